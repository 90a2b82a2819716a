/* Feature levels: what all agents of the cluster can read. */
#ifndef STEAD_AGENT_LEVEL_H
#define STEAD_AGENT_LEVEL_H

#include "agent/core.h"

/* Can our agent not read all that the state may hold? Then it decides nothing and is not admitted.
 */
bool level_is_short(const struct core *core);

/* The same of a peer's, as its heartbeat has it. */
bool level_of_peer_is_short(const struct core *core, const struct beat *beat);

/* Since level 2 a node's record tells which suspension of its guests is over: may they be
 * suspended?
 */
bool level_suspends(const struct core *core);

/* Raises the state's level once the agent of every node that takes part has a higher one. */
void level_draft(struct core *core);

#endif
