/* From a backed-up state to the first state of a new epoch. Pure. */
#ifndef STEAD_STORAGE_RESTORE_H
#define STEAD_STORAGE_RESTORE_H

#include "proto/types.h"

/* What the state of a new epoch must be later than, and on whose word it is made. */
struct restore {
    uint32_t epoch;   /* of the object in the pool, 0 if it cannot be read */
    uint64_t version; /* likewise */
    uint64_t term;
    uint64_t wall_ms;    /* now */
    uint64_t start;      /* random, not 0: names the restoring process in the commit id */
    char by[NAME_BYTES]; /* the operator */
};

/* Makes `image` (a whole, sound one) the first version of a new epoch, its digest included. */
void restore_image(struct cluster *image, const struct restore *restore);

/* Must the lease of this VM of the restored `image` be raised? `present` is the state in the pool,
 * NULL where nobody can read it: by that, a removal or a start may be under way, or is not. */
bool restore_raises(const struct cluster *image, uint32_t slot, const struct cluster *present);

/* The lease to be written over `seen`, that of a VM of a restored `image`, before the image is:
 * as it is, at a generation above all that the epoch before knew. Changes compare generations. */
struct lease restore_raise(const struct cluster *image, uint32_t slot, const struct lease *seen);

/* The lease to be written for a VM of a restored `image` whose lease object is gone: free, or in
 * the hands of the holder the image knows, with the clients that have its disks open now, so that
 * the barrier ends those before anybody starts it. To be used on a person's word only
 * (docs/decisions/ 0008): whoever ran it unknown to the image, and has its disks not open now, is
 * not named. */
struct lease restore_lease(const struct cluster *image, uint32_t slot,
                           const struct clients *watchers);

/* The image learns of the lease as it is in the pool, and a VM that it has stopped is recovering if
 * somebody holds that: to be called once the lease is read, or written. */
void restore_know(struct cluster *image, uint32_t slot, const struct lease *lease);

#endif
