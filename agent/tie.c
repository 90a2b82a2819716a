/*
 * Ties: half of the nodes in a ring, and Corosync calls it quorate.
 *
 * Decides: whether this half may decide. It may while a member of the present term is in it, as the
 * state object says by a read of ours. A half that has none stands still; it may take the term once
 * what the members of it write beside the state has not changed over bar_ms of reads and writes of
 * its own, none of which failed, and no guest of ours is alive here. For that it opens a new handle
 * (that of its ended life is barred first, agent/view.c). After a cut: which half tries for the
 * term first. And in any quorate ring, a tie or not, where nobody acts who could let us back in:
 * that our own address comes off the blocklist, once our hands have been empty and that has been so
 * for longer than a write of a dead guest was ever under way. What else may write is not here and
 * is barred by name: a host outside the ring that thaws by its own entries and by the barrier of
 * who takes its VMs over; the clients of our own ended life, whose entries stay. Assumes: terms are
 * compared and set, so that of two halves that try one wins; a fence begins with the term that
 * names the node lost; leases and barriers keep the disks whoever is wrong here. Never: takes
 * silence for death where a read or a write of our own failed meanwhile; takes off another's entry.
 */
#include "agent/tie.h"

#include "agent/life.h"
#include "agent/peers.h"
#include "agent/votes.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"

static uint64_t bit(uint8_t slot)
{
    ASSERT(slot < NODES_MAX);
    return UINT64_C(1) << slot;
}

static uint8_t own_slot(const struct core *core)
{
    ASSERT(core->local.facts.nodeid != 0);
    return state_find_node(&core->cluster, core->local.facts.nodeid);
}

/* Does this peer, or do we, take part in the present term, in the present life? */
static bool in_term(const struct core *core, const struct peer *peer)
{
    uint8_t slot = state_find_node(&core->cluster, peer->nodeid);
    ASSERT(core->local.peer_count <= NODES_MAX);
    if (slot == NODE_NONE || (core->cluster.header.members & bit(slot)) == 0) {
        return false;
    }
    if (peer->nodeid == core->local.facts.nodeid) {
        return core->local.life.state == LIFE_ADMITTED;
    }
    return peers_speaks(core, peer) &&
           state_incarnation_lives(&core->cluster, slot, peer->beat.incarnation);
}

/* The term is ours: somebody here is a member of it. */
static bool ours(const struct core *core)
{
    for (uint32_t i = 0; i < core->local.peer_count; i++) {
        if (in_term(core, &core->local.peers[i])) {
            return true;
        }
    }
    return false;
}

/* Mask of the term's members in this ring that are not we: one is here and says nothing. */
static uint64_t silent_members(const struct core *core)
{
    uint8_t own = own_slot(core);
    uint64_t others = own == NODE_NONE ? UINT64_MAX : ~bit(own);
    return core->cluster.header.members & peers_ring_mask(core) & others;
}

/* Without the term, and nobody of it is in this ring. */
static bool is_barred(const struct core *core)
{
    return core->cluster.header.version != 0 && votes_tied(core) && !ours(core) &&
           silent_members(core) == 0;
}

/* For how long nobody of the term has written. */
static uint64_t still_ms(const struct core *core)
{
    const struct tie *tie = &core->local.tie;
    ASSERT(tie->since_ms <= core->local.now_ms);
    bool shown = tie->since_ms != 0 && tie->last_ms > tie->since_ms;
    return shown && tie->version == core->cluster.header.version ? tie->last_ms - tie->since_ms : 0;
}

static bool may_take(const struct core *core)
{
    return is_barred(core) && life_no_guest(core, false) &&
           still_ms(core) >= core->cluster.settings.bar_ms;
}

uint64_t tie_held_ms(const struct core *core)
{
    ASSERT(core->local.storage.shown_ms <= core->local.now_ms);
    if (core->cluster.header.version == 0 || (!ours(core) && !may_take(core))) {
        return 0;
    }
    return core->local.storage.shown_ms;
}

bool tie_lost(const struct core *core)
{
    return core->cluster.header.version != 0 && votes_tied(core) && !ours(core);
}

/* --- the race after a cut --- */

/* How many VMs the nodes of this mask hold. */
static uint32_t held_by(const struct core *core, uint64_t mask)
{
    uint32_t count = 0;
    ASSERT(core->cluster.vm_end <= VMS_MAX);
    for (uint32_t i = 0; i < core->cluster.vm_end; i++) {
        const struct vm_record *vm = &core->cluster.vms[i];
        bool holds = vm->state != VM_FREE && vm->state != VM_STOPPED && vm->node < NODES_MAX;
        count += holds && (mask & bit(vm->node)) != 0;
    }
    return count;
}

/* Has one of these left so lately that it may not have noticed? One that said that its host shuts
 * down does not try. */
static bool just_left(const struct core *core, uint64_t left)
{
    for (uint8_t slot = 0; slot < NODES_MAX; slot++) {
        uint32_t nodeid = core->cluster.nodes[slot].nodeid;
        if ((left & bit(slot)) != 0 && !peers_ended(core, nodeid) &&
            peers_absent_ms(core, nodeid) < timing_tie_ms()) {
            return true;
        }
    }
    return false;
}

bool tie_waits(const struct core *core)
{
    uint64_t here = peers_ring_mask(core);
    uint64_t left = core->cluster.header.members & ~here;
    if (core->local.ring.tie != TIE_TWO_NODE || left == 0 || !votes_tied(core) ||
        !just_left(core, left)) {
        return false;
    }
    uint32_t ours_count = held_by(core, here);
    uint32_t theirs = held_by(core, left);
    bool lower = (left & (~left + 1)) < (here & (~here + 1)); /* the lowest slot is theirs */
    return theirs > ours_count || (theirs == ours_count && lower);
}

/* --- the watch --- */

void tie_fill_poll(const struct core *core, struct action *action)
{
    uint64_t members = core->cluster.header.members & ~peers_ring_mask(core);
    ASSERT(action->kind == ACTION_POLL);
    if (!is_barred(core)) {
        return;
    }
    action->poll.write = true;
    for (uint8_t slot = 0; slot < NODES_MAX; slot++) {
        if ((members & bit(slot)) != 0) {
            action->poll.watch[action->poll.watch_count++] = core->cluster.nodes[slot].nodeid;
        }
    }
}

void tie_on_poll(struct core *core, const struct event *event)
{
    struct tie *tie = &core->local.tie;
    const struct header *copy = &core->cluster.header;
    ASSERT(event->kind == EVENT_POLL);
    bool shown = event->poll.outcome == OUTCOME_DONE && is_barred(core) &&
                 event->poll.header.epoch == copy->epoch &&
                 event->poll.header.version == copy->version;
    bool same = shown && tie->since_ms != 0 && tie->version == copy->version &&
                tie->beats == event->poll.beats &&
                event->now_ms - tie->last_ms < core->cluster.settings.able_ms;
    if (!same) {
        tie->since_ms = shown ? event->now_ms : 0;
        tie->version = copy->version;
        tie->beats = event->poll.beats;
    }
    tie->last_ms = core->local.storage.poll_sent_ms;
}

/* --- what an ended life left in the way --- */

bool tie_wants_handle(const struct core *core)
{
    const struct local *local = &core->local;
    uint8_t own = own_slot(core);
    if (own == NODE_NONE || local->storage.handle != HANDLE_OPEN || local->storage.stale ||
        local->life.state != LIFE_OUTSIDE || !local->life.empty || !is_barred(core)) {
        return false;
    }
    const struct node_record *node = &core->cluster.nodes[own];
    return (node->state == NODE_LOST || node->state == NODE_FENCED) &&
           client_equal(&node->client, &local->storage.client);
}

void tie_on_refused(struct core *core, const struct client *client)
{
    core->local.tie.refused = *client;
}

/* Corosync calls the ring quorate, and nobody in it is let in or, silent yet, may be: nobody acts,
 * and who could be about to is let in first. */
static bool nobody_acts(const struct core *core)
{
    const struct local *local = &core->local;
    ASSERT(local->peer_count <= NODES_MAX);
    for (uint32_t i = 0; i < local->peer_count; i++) {
        const struct peer *peer = &local->peers[i];
        bool speaks = peers_speaks(core, peer);
        if (speaks ? !peer->beat.empty : peers_awaited(core, peer)) {
            return false;
        }
    }
    return local->ring.quorate;
}

/* Is our address to be taken off the list by ourselves? Only where nobody acts: else whoever does
 * sees to it. */
static bool wants_off(const struct core *core)
{
    const struct local *local = &core->local;
    return local->storage.blocklisted && local->life.empty &&
           !client_is_none(&local->tie.refused) && nobody_acts(core);
}

static void take_off(struct core *core, struct caller *caller)
{
    struct tie *tie = &core->local.tie;
    (void)call_overdue(&tie->off_call, caller->now_ms);
    if (!wants_off(core)) {
        tie->barred_ms = 0;
    } else if (tie->barred_ms == 0) {
        tie->barred_ms = caller->now_ms;
    } else if (caller->now_ms - tie->barred_ms >= timing_late_ms() && !call_open(&tie->off_call)) {
        struct action *action = call_begin(caller, &tie->off_call, ACTION_BLOCK_REMOVE,
                                           core->cluster.settings.call_ms, false);
        action->block.count = 1;
        action->block.entries[0] = client_address_entry(&tie->refused);
        tie->barred_ms = caller->now_ms;
    }
}

void tie_carry_on(struct core *core, struct caller *caller)
{
    struct storage_view *storage = &core->local.storage;
    uint32_t often_ms = core->cluster.settings.fresh_ms / 4;
    ASSERT(storage->shown_ms <= caller->now_ms);
    if (votes_want_object(core) && caller->now_ms - storage->poll_sent_ms >= often_ms) {
        storage->next_poll_ms = caller->now_ms;
    }
    take_off(core, caller);
}

bool tie_on_block(struct core *core, const struct event *event)
{
    if (!call_ends(&core->local.tie.off_call, event)) {
        return false;
    }
    ASSERT(event->kind == EVENT_BLOCK);
    core->local.storage.reopen_ms = event->now_ms;
    return true;
}

/* --- for people --- */

bool tie_tell(const struct core *core, struct text *text)
{
    if (!tie_lost(core) || may_take(core)) {
        return false;
    }
    ASSERT(core->cluster.header.term > 0);
    text_add_u64(text_add(text, "term "), core->cluster.header.term);
    text_add(text, " is the other half's, nothing is begun here: mend the network. ");
    if (silent_members(core) != 0) {
        text_add(text, "One of it is in this ring, and its agent says nothing");
    } else if (!life_no_guest(core, false)) {
        text_add(text, "While guests of this node live it does not act in its stead");
    } else {
        text_add_u64(text_add(text, "Silent in Ceph for "), still_ms(core) / 1000);
        text_add(text_add_u64(text_add(text, " s; from "), core->cluster.settings.bar_ms / 1000),
                 " s (bar_ms) on this node goes on");
    }
    return true;
}
