/* Halted: an assertion failed in this core, so it decides nothing until it is told otherwise. Pure.
 */
#ifndef STEAD_AGENT_HALT_H
#define STEAD_AGENT_HALT_H

#include "agent/core.h"

/* Is this node halted? */
bool halt_here(const struct core *core);

/* The mark of a node as this core knows it, its own included; NULL: it is not halted, or silent. */
const struct mark *halt_mark(const struct core *core, uint32_t nodeid);

/* Must nobody act on this version of the state, since it has halted two nodes already? */
bool halt_forbids(const struct core *core);

/* Lets go of a mark older than our copy. Each step. */
void halt_carry_on(struct core *core, struct caller *caller);

/* By an operator's word. False: it is not halted. */
bool halt_resume(struct core *core, struct caller *caller);

#endif
