/* Who is there, and how we know: the ring, the heartbeats, freshness. Pure. */
#ifndef STEAD_AGENT_PEERS_H
#define STEAD_AGENT_PEERS_H

#include "agent/core.h"

/* What Corosync and the other agents tell: who is in the ring, a heartbeat, and whose agent left
 * the group, so that its last word no longer counts. */
void peers_on_ring(struct core *core, const struct event_ring *ring);
void peers_on_beat(struct core *core, const struct beat *beat);
void peers_on_left(struct core *core, uint32_t nodeid);

/* The peer of a node in the ring, or NULL. */
struct peer *peers_find(struct local *local, uint32_t nodeid);
const struct peer *peers_see(const struct core *core, uint32_t nodeid);

bool peers_never_seen(const struct core *core, uint32_t nodeid); /* in the ring, by this process */

/* Did it leave the ring before we last had a quorum again? */
bool peers_left_before_quorum(const struct core *core, uint32_t nodeid);

/* For how long yet this absent node may merely be late (ms). After a power failure of all, hosts
 * come back one by one; after a cut of all links, those do. */
uint64_t peers_late_ms(const struct core *core, uint32_t nodeid);

/* How long this absent node has been absent, as far as this process saw it. */
uint64_t peers_absent_ms(const struct core *core, uint32_t nodeid);

/* Did this node say last that its host shuts down? Then nobody needs to switch it off. */
bool peers_ended(const struct core *core, uint32_t nodeid);

/* Its agent speaks: heard within timing_silent_ms. */
bool peers_speaks(const struct core *core, const struct peer *peer);

/* Is a silent one waited for yet, as an absent host is that may be booting: for grace_ms? */
bool peers_awaited(const struct core *core, const struct peer *peer);

/* Until when "I am quorate" is proven (CLOCK_BOOTTIME, ms); 0: it is not. */
uint64_t peers_fresh_until_ms(const struct core *core);

/* The slots of the known nodes in the ring. */
uint64_t peers_ring_mask(const struct core *core);

/* Sends our heartbeat if it is due. */
void peers_send_beat(struct core *core, struct caller *caller);

/* Something worth telling came up: the next heartbeat goes out now (not twice within 5 ms). */
void peers_hurry(struct core *core);

#endif
