/* People who work past stead, with virsh: what this host saw of it is told until the history holds
 * it. Pure. */
#ifndef STEAD_AGENT_HAND_H
#define STEAD_AGENT_HAND_H

#include "agent/core.h"

/* A VM of the cluster's was started on this host by another hand than stead's, and is killed. */
void hand_note(struct core *core, const struct uuid *vm);

/* Adds what the history does not hold yet; forgets what it holds. */
void hand_fill_observations(struct core *core, struct beat *beat);

/* Is this OBSERVED_BY_HAND still to be written down? */
bool hand_is_new(const struct core *core, const struct observation *fact);

/* Writes it down. With a draft open, on the acting node. */
void hand_draft(struct core *core, const struct observed *observed);

#endif
