/* What the cluster's state becomes when a person goes on without a majority. Pure. */
#ifndef STEAD_STORAGE_FORCE_H
#define STEAD_STORAGE_FORCE_H

#include "proto/text.h"
#include "proto/types.h"

struct force {
    uint64_t start;   /* random, not 0: names this force in the header's commit id */
    uint64_t wall_ms; /* only shown to people */
    uint64_t here;    /* mask of the node slots that Corosync shows where it is given */
    uint64_t alive;   /* mask of those whose agent was seen to write to the state meanwhile */
    char by[NAME_BYTES];
};

/* Mask of the slots it would vouch dead: those that count and are not here. */
uint64_t force_absent(const struct cluster *image, uint64_t here);

/* May it be done? False with the reason in *ret_text. */
bool force_allowed(const struct cluster *image, const struct force *force, struct text *ret_text);

/* Changes `image`, which is in the pool, into what follows it. Must be allowed. The digest of the
 * result is right. */
void force_image(struct cluster *image, const struct force *force);

#endif
