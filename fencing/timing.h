/* Every deadline that safety or speed rests on, as named functions of the settings. Pure. */
#ifndef STEAD_FENCING_TIMING_H
#define STEAD_FENCING_TIMING_H

#include "proto/settings.h"

/* How long an agent waits between two tries of something that failed for this many tries. */
uint32_t timing_retry_ms(const struct settings *settings, uint32_t tries);

/* How long a peer's silence may last before it counts as having no working agent. */
uint32_t timing_silent_ms(const struct settings *settings);

/* How often a running VM's lease is looked at. */
uint32_t timing_lease_check_ms(const struct settings *settings);

#endif
