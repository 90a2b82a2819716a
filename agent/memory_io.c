/* glibc's malloc keeps an arena per thread and librados has many threads; the libraries' pages that
 * only a start touches would stay mapped for good. */
#include "agent/memory_io.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE_BYTES (128 * 1024)

void memory_io_begin(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES); /* fixed: glibc would raise it with each free */
    (void)mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
}

/* Code is never written to, so its pages are only the file's; nothing is lost with them. */
void memory_io_settle(void)
{
    char line[512], flags[8];
    uintptr_t begin = 0, end = 0;
    unsigned long inode = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        if (sscanf(line, "%lx-%lx %7s %*x %*s %lu", &begin, &end, flags, &inode) == 4 &&
            strcmp(flags, "r-xp") == 0 && inode != 0) {
            (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
}

void memory_io_trim(void)
{
    (void)malloc_trim(0);
}
