/* What a run lease means, and the next value of one. Pure; the storage edge does compare-and-set.
 */
#ifndef STEAD_STORAGE_LEASE_H
#define STEAD_STORAGE_LEASE_H

#include "proto/types.h"

/* Does this incarnation of this node hold it? */
bool lease_held_by(const struct lease *lease, uint32_t nodeid, struct incarnation incarnation);

/* The lease that follows generation `from`, held for `action`, naming no client yet. */
struct lease lease_take(const struct uuid *cluster_id, const struct uuid *vm, uint64_t from,
                        uint32_t nodeid, struct incarnation incarnation, struct action_id action);

/* The same holder, naming the clients that may write its disks. */
struct lease lease_name(const struct lease *lease, const struct clients *clients);

/* Free, one generation on: of a held one its release; of a free one a raise, so that a change under
 * way for the present generation fails. `end`: how what ran under it ended. */
struct lease lease_free(const struct lease *lease, enum domain_end end);

/* Is `ours` held, and `seen` the same at a later generation? A restore did that, which came to
 * nothing yet, or was not heard of: whoever holds it goes on with it. */
bool lease_is_raised(const struct lease *ours, const struct lease *seen);

/* Is `seen` what we wanted to write (our own change, refused by its earlier success)? */
bool lease_is(const struct lease *wanted, const struct lease *seen);

#endif
