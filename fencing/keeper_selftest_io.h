/* stead-keeper selftest: lets the watchdog fire, and measures how long it took. */
#ifndef STEAD_FENCING_KEEPER_SELFTEST_IO_H
#define STEAD_FENCING_KEEPER_SELFTEST_IO_H

#include <stdbool.h>
#include <stdint.h>

struct keeper_selftest {
    const char *device; /* empty: the first that can be trusted */
    uint32_t timeout_ms;
    bool softdog;
    bool yes; /* do not ask */
};

/* The exit status; does not return when the watchdog does what it is for. */
int keeper_selftest_run(const struct keeper_selftest *test);

/* What the last one showed, after the reset. */
int keeper_selftest_result(void);

#endif
