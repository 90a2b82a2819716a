/* Without a quorum the guests of this host stand still. Pure. */
#ifndef STEAD_AGENT_SUSPEND_H
#define STEAD_AGENT_SUSPEND_H

#include "agent/core.h"

/* Must our guests stand still now? */
bool suspend_on(const struct core *core);

/* The present suspension, as heartbeats and records name it: when it began on our clock; 0: none.
 */
uint64_t suspend_told_ms(const struct core *core);

/* Begins, keeps up or ends it; suspends the guests that run, kills those not seen to stand still in
 * time. Each step, before the runs. */
void suspend_carry_on(struct core *core, struct caller *caller);

/* The answer to a call of suspend_carry_on; false: none of ours. */
bool suspend_on_answer(struct core *core, const struct event *event, struct caller *caller);

/* A guest was told to go on, and the right to that has run out meanwhile: everything stands still
 * again. */
void suspend_again(struct core *core, struct caller *caller);

/* Does this VM's guest stand still here by our doing? */
bool suspend_of(const struct core *core, const struct uuid *vm);

/* How many guests here stand still by our doing. */
uint32_t suspend_count(const struct core *core);

#endif
