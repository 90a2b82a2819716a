/* Every deadline that safety or speed rests on, as named functions of the settings. Pure. */
#ifndef STEAD_FENCING_TIMING_H
#define STEAD_FENCING_TIMING_H

#include "proto/settings.h"

/* How long an agent waits between two tries of something that failed for this many tries. */
uint32_t timing_retry_ms(const struct settings *settings, uint32_t tries);

/* How long a guest that ended by itself rests before it is started again: `ends` times in a row by
 * now, at least 1. Each end costs blocklist entries that stand for years, so it must get rarer. */
uint32_t timing_guest_retry_ms(const struct settings *settings, uint32_t ends);

/* How long a node that failed so often in a row is kept out after the last time; 0: it is not. */
uint32_t timing_out_ms(const struct settings *settings, uint32_t losses);

/* A guest that had run this long is steady: its next end is the first in a row. */
uint32_t timing_steady_ms(void);

/* How long a peer's silence may last before it counts as having no working agent. */
uint32_t timing_silent_ms(const struct settings *settings);

/* The terms of the proof `watchdog`; the argument is in timing.c. How long a vouch may reach past
 * the sending of the last heartbeat that a quorum answered; between two feeds; by how much clocks
 * may differ after so long; for what is late in between. */
uint32_t timing_vouch_ms(const struct settings *settings);
uint32_t timing_vouch_least_ms(void); /* of all values that fresh_ms may have */
uint32_t timing_feed_ms(void);
uint32_t timing_drift_ms(uint32_t span_ms);
uint32_t timing_schedule_ms(void);

/* Their sum: so long after a quorum has stopped answering a node, its watchdog has surely fired.
 * `fires_ms`: at the latest so long after it was last fed. */
uint32_t timing_watchdog_ms(uint32_t vouch_ms, uint32_t fires_ms);

/* How long our own heartbeats may go unanswered before that alone means that we have no quorum.
 * `detect_ms`: Corosync's token and consensus timeouts, in which it misses a member. */
uint32_t timing_unanswered_ms(const struct settings *settings, uint32_t detect_ms);

/* Who was gone before a quorum was back may follow within this: links come back one by one. */
uint32_t timing_rejoin_ms(uint32_t detect_ms);

/* A guest that is to stand still and was not seen to, so long after it was to, is killed. */
uint32_t timing_suspend_ms(void);

/* So long after its QEMU's death a write may still land. */
uint32_t timing_late_ms(void);

/* After a cut, so long the side with less to lose leaves the term to the other. */
uint32_t timing_tie_ms(void);

/* How often a running VM's lease is looked at. */
uint32_t timing_lease_check_ms(const struct settings *settings);

#endif
