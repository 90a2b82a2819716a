/* The last starts, one time a line. */
#include "agent/starts_io.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static void load(const char *path, struct starts *ret_starts)
{
    unsigned long long at_ms;
    FILE *file = fopen(path, "re");
    *ret_starts = (struct starts){0};
    if (file == NULL) {
        return;
    }
    while (ret_starts->count < STARTS_MAX && fscanf(file, "%llu", &at_ms) == 1) {
        ret_starts->times_ms[ret_starts->count++] = at_ms;
    }
    fclose(file);
}

/* No rename: half a file is a few starts fewer. */
static int save(const char *path, const struct starts *starts)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return -errno;
    }
    for (uint32_t i = 0; i < starts->count; i++) {
        fprintf(file, "%llu\n", (unsigned long long)starts->times_ms[i]);
    }
    return fclose(file) == 0 ? 0 : -errno;
}

int starts_io_note(const char *path, uint64_t now_ms, struct starts *ret_starts)
{
    load(path, ret_starts);
    starts_note(ret_starts, now_ms);
    return save(path, ret_starts);
}

void starts_io_forget(const char *path)
{
    (void)unlink(path);
}
