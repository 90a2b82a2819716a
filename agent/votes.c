/*
 * Votes.
 *
 * Decides: whether enough are here. Two things are asked for, and both must be: as many of the ring
 * as Corosync wants, and more than half of the cluster's own nodes that count. A node does not
 * count that was removed, or that a person vouched dead, until it is admitted anew. Any two rings
 * that may decide have such a node in common, whatever Corosync's own count has become. So when
 * those that count are here and Corosync still waits for the dead, it is told how many votes to
 * expect. That lives in a running Corosync only; hence it is told again whenever it is so.
 * Where Corosync breaks ties, half of those that count are enough while the state object says that
 * the term is theirs (agent/tie.c): of two halves, one takes the next.
 * Never: lowers what Corosync expects where no person has taken a node out.
 */
#include "agent/votes.h"

#include "agent/peers.h"
#include "agent/tie.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"

/* More than half of those that count; 0 while nobody is known to. */
static uint32_t majority(const struct core *core)
{
    uint32_t all = mask_count(core->cluster.counting);
    ASSERT(all <= NODES_MAX);
    return all == 0 ? 0 : all / 2 + 1;
}

static bool counts(const struct core *core, uint32_t nodeid)
{
    uint8_t slot = state_find_node(&core->cluster, nodeid);
    return slot != NODE_NONE && (core->cluster.counting & (UINT64_C(1) << slot)) != 0;
}

uint32_t votes_enough(const struct core *core)
{
    uint32_t known = mask_count(core->cluster.counting);
    uint32_t here = core->local.ring.count;
    ASSERT(known <= NODES_MAX);
    ASSERT(here <= NODES_MAX);
    return (known > here ? known : here) / 2 + 1;
}

/* Half of those that count: enough where Corosync breaks ties and the state object agrees. */
static uint32_t half(const struct core *core)
{
    uint32_t all = mask_count(core->cluster.counting);
    ASSERT(all <= NODES_MAX);
    return all - all / 2;
}

uint32_t votes_needed(const struct core *core)
{
    const struct event_ring *ring = &core->local.ring;
    uint32_t quorum = ring->quorum;
    bool tie = ring->tie != TIE_NONE && ring->quorate; /* else nobody has broken it */
    uint32_t least = tie ? half(core) : majority(core);
    return quorum > least ? quorum : least;
}

static uint32_t counting_here(const struct core *core)
{
    const struct event_ring *ring = &core->local.ring;
    uint32_t here = 0;
    ASSERT(ring->count <= NODES_MAX);
    for (uint32_t i = 0; i < ring->count; i++) {
        here += counts(core, ring->nodeids[i]);
    }
    return here;
}

bool votes_tied(const struct core *core)
{
    const struct event_ring *ring = &core->local.ring;
    uint32_t here = counting_here(core);
    ASSERT(half(core) <= majority(core));
    return ring->tie != TIE_NONE && ring->quorate && here >= half(core) && here < majority(core);
}

/* What a peer answered last: our own sending time. */
struct answer {
    uint64_t sent_ms;
    uint32_t nodeid;
};

/* Those of all peers, the newest first. Asked several times a step. */
static void sort_answers(const struct local *local, struct answer ret_newest[NODES_MAX])
{
    ASSERT(local->peer_count <= NODES_MAX);
    for (uint32_t i = 0; i < local->peer_count; i++) {
        const struct peer *peer = &local->peers[i];
        uint32_t at = i;
        ASSERT(peer->answered_ms <= local->now_ms);
        for (; at > 0 && ret_newest[at - 1].sent_ms < peer->answered_ms; at--) {
            ret_newest[at] = ret_newest[at - 1];
        }
        ret_newest[at] = (struct answer){peer->answered_ms, peer->nodeid};
    }
}

/* The newest that as many as Corosync wants, and `least` of those that count, have answered. */
static uint64_t answered_by(const struct core *core, uint32_t least)
{
    const struct local *local = &core->local;
    struct answer newest[NODES_MAX];
    uint32_t ours = 0;
    uint32_t wanted = local->ring.quorum;
    if (!local->ring.quorate || wanted == 0) {
        return 0;
    }
    if (local->ring.tie != TIE_NONE && core->cluster.counting == 0) {
        wanted++; /* Corosync's is half of them there, and no state object says whose the term is */
    }
    sort_answers(local, newest);
    for (uint32_t i = 0; i < local->peer_count; i++) { /* until both needs are met */
        ours += counts(core, newest[i].nodeid);
        if (i + 1 >= wanted && ours >= least) {
            return newest[i].sent_ms;
        }
    }
    return 0;
}

bool votes_want_object(const struct core *core)
{
    uint64_t whole_ms = answered_by(core, majority(core));
    ASSERT(whole_ms <= core->local.now_ms);
    return core->local.ring.tie != TIE_NONE && core->local.ring.quorate &&
           core->local.now_ms - whole_ms > core->cluster.settings.fresh_ms / 2;
}

uint64_t votes_answered_ms(const struct core *core)
{
    uint64_t whole_ms = answered_by(core, majority(core));
    if (core->local.ring.tie == TIE_NONE) {
        return whole_ms;
    }
    uint64_t half_ms = answered_by(core, half(core));
    uint64_t held_ms = tie_held_ms(core);
    uint64_t tied_ms = half_ms < held_ms ? half_ms : held_ms;
    return whole_ms > tied_ms ? whole_ms : tied_ms;
}

/* Is our copy the newest, as far as can be known? */
static bool is_current(const struct core *core)
{
    const struct storage_view *storage = &core->local.storage;
    return core->cluster.header.version != 0 && storage->trouble == STATE_WELL && !storage->stale &&
           core->local.now_ms - storage->newest_ms < core->cluster.settings.able_ms;
}

/* By a person's word: removed, or vouched dead. */
static bool somebody_was_taken_out(const struct core *core)
{
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *node = &core->cluster.nodes[slot];
        if (node->state != NODE_FREE && !state_counts(node)) {
            return true;
        }
    }
    return false;
}

void votes_carry_on(struct core *core, struct caller *caller)
{
    struct local *local = &core->local;
    const struct event_ring *ring = &local->ring;
    if (ring->away || ring->quorate || caller->now_ms < local->votes_retry_ms ||
        !is_current(core) || !somebody_was_taken_out(core)) {
        return;
    }
    if (counting_here(core) < majority(core)) {
        return;
    }
    uint32_t all = mask_count(core->cluster.counting);
    ASSERT(all > 0);
    struct action *action = actions_add(caller->out, ACTION_EXPECT_VOTES);
    action->votes = all > ring->count ? all : ring->count; /* fewer than are here it refuses */
    local->votes_retry_ms = caller->now_ms + core->cluster.settings.retry_ms;
}
