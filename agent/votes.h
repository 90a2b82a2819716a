/* How many must be here, and who counts: Corosync's votes, and the cluster's own nodes. Pure. */
#ifndef STEAD_AGENT_VOTES_H
#define STEAD_AGENT_VOTES_H

#include "agent/core.h"
#include "proto/call.h"

/* How many nodes of the ring must be here, for people: the greater of the two needs. */
uint32_t votes_needed(const struct core *core);

/* More than half of the nodes that are known to stead or in the ring. Where Corosync wants more, it
 * knows of others, or was told so by one with another corosync.conf: it never lowers its count. */
uint32_t votes_enough(const struct core *core);

/* Is this ring quorate by Corosync's tie-break alone: half of those that count are in it? */
bool votes_tied(const struct core *core);

/* Does our freshness rest on the state object: more than half have not answered lately, and
 * Corosync breaks ties? */
bool votes_want_object(const struct core *core);

/* The newest of our own sending times that enough have answered, of the ring and of the nodes that
 * count: 0 if there never were enough. */
uint64_t votes_answered_ms(const struct core *core);

/* Tells Corosync of those that do not count any more, where it would wait for them. */
void votes_carry_on(struct core *core, struct caller *caller);

#endif
