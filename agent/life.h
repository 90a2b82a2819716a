/* Our own standing: admitted, outside, or the losing side; and what that asks of our guests. Pure.
 */
#ifndef STEAD_AGENT_LIFE_H
#define STEAD_AGENT_LIFE_H

#include "agent/core.h"

/* Judges our standing from the copy and carries out its duties: outside or lost, every guest of
 * ours is killed until /proc shows none; newly admitted, the incarnation is kept in /run/stead. */
void life_carry_on(struct core *core, struct caller *caller);

/* libvirt tells of a domain: where we stand outside our hands are empty no more. */
void life_on_domain(struct core *core, const struct event_domain *told);
void life_on_killed(struct core *core, const struct event *event, struct caller *caller);
void life_on_saved(struct core *core, const struct event *event);

/* Can no guest of ours be alive here, nor one begin, before we are fresh again? With `mortal`: none
 * that must be dead when time proves this host to be. */
bool life_no_guest(const struct core *core, bool mortal);

/* For people and for coverage. */
const char *life_word(enum life_state state);

#endif
