/* stead.conf: whatever is in it, there is a configuration or one sentence why not. */
#define _GNU_SOURCE /* memfd_create */
#include <sys/mman.h>
#include <unistd.h>

#include "agent/config_io.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    struct config config;
    char text[CONFIG_TEXT_BYTES] = "";
    if (fd < 0) {
        fd = memfd_create("stead.conf", 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    PROMISE(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    if (config_io_load(path, true, &config, text) < 0) {
        PROMISE(text[0] != '\0' && memchr(text, '\0', sizeof(text)) != NULL);
    }
    return 0;
}
