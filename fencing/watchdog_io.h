/*
 * The watchdog device of this host: which one, and the calls it understands. For stead-keeper; no
 * allocation, no library beyond libc. Every open device runs: it must be fed, or closed by
 * watchdog_io_disarm(); one that cannot be stopped must be fed for good, for closing it lets it
 * fire.
 */
#ifndef STEAD_FENCING_WATCHDOG_IO_H
#define STEAD_FENCING_WATCHDOG_IO_H

#include "fencing/keeper.h"

struct watchdog_io {
    int fd; /* -1: not open */
    char path[ADDRESS_BYTES];
    char identity[KEEPER_IDENTITY_BYTES];
    uint32_t timeout_ms; /* as it says */
};

/* Opens, and thereby arms, `wanted`, or (empty) the first device that can be trusted; where one is
 * open that could not be stopped, that one. -errno, and why in ret_trouble (TEXT_BYTES) with the
 * remedy: nothing is left running but what cannot be stopped, which stays open. */
int watchdog_io_arm(struct watchdog_io *device, const char *wanted, uint32_t timeout_ms,
                    bool softdog, char *ret_trouble);

/* -errno: it may not have been fed. */
int watchdog_io_feed(const struct watchdog_io *device);

/* Stops and closes it. -errno: it runs on, and is still open. */
int watchdog_io_disarm(struct watchdog_io *device);

#endif
