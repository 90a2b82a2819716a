/*
 * The agent's starts lately. One that ends again and again is restless: it acts, and takes guests,
 * only where no steadier node can, and each of its starts is held up. Pure; agent/starts_io.h keeps
 * them over the process.
 */
#ifndef STEAD_AGENT_STARTS_H
#define STEAD_AGENT_STARTS_H

#include <stdint.h>

#define STARTS_MAX 5            /* so many starts ... */
#define STARTS_WITHIN_MS 600000 /* ... in so long are restless */
#define STARTS_HOLD_UP_MS 10000 /* then a start waits so long before it does anything */

struct starts {
    uint32_t count;
    uint64_t times_ms[STARTS_MAX]; /* CLOCK_BOOTTIME, the newest first */
};

/* Notes a start now, and forgets those that are too old, or of another boot (later than now). */
void starts_note(struct starts *starts, uint64_t now_ms);

/* CLOCK_BOOTTIME until which it counts as restless; 0: it does not. */
uint64_t starts_steady_ms(const struct starts *starts);

#endif
