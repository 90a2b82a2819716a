/* Announced absences: Corosync on a node restarts, and nobody takes that for the node's death.
 * Pure.
 */
#ifndef STEAD_AGENT_LEAVE_H
#define STEAD_AGENT_LEAVE_H

#include "agent/core.h"

/* EVENT_LEAVING: our Corosync asks whether it may end, or our host shuts down; or that is over. */
void leave_on_event(struct core *core, enum leaving why, bool forced);

/* Lets our Corosync go once our announcement is committed, or will not be. Each step. */
void leave_carry_on(struct core *core, struct caller *caller);

/* Drafts what the heartbeat of this present member says of its leave. Needs room for two. */
void leave_draft(struct core *core, uint32_t slot, const struct beat *beat);

/* Is this absent node's absence covered by its announcement, as far as we saw it go? */
bool leave_covers(const struct core *core, const struct node_record *node);

#endif
