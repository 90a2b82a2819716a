/* The clock that all deadlines and ages are told by. */
#include "proto/clock_io.h"

#include <time.h>

uint64_t clock_io_boot_ms(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
