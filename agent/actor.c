/*
 * Who acts.
 *
 * Decides: which node takes the next term, and when. The present actor goes on while it is able (it
 * speaks, is admitted, and RADOS answers it); else the lowest able node; where work has waited for
 * actor_ms without a commit, the next able one. A term is taken by compare-and-set while fresh,
 * names the members Corosync shows, and names lost those it will fence now. Everything else the
 * actor does follows from the committed state, so a new one needs no memory of the old one's.
 * Assumes: two may think they act; the compare-and-set lets one win, and safety rests on lease and
 * barrier, not on terms.
 * Never: acts outside before the commit that calls for it is known to have taken effect.
 */
#include "agent/actor.h"

#include <stddef.h>
#include <string.h>

#include "agent/draft.h"
#include "agent/halt.h"
#include "agent/level.h"
#include "agent/mend.h"
#include "agent/nodes.h"
#include "agent/observed.h"
#include "agent/peers.h"
#include "agent/request.h"
#include "agent/tie.h"
#include "agent/trace.h"
#include "agent/view.h"
#include "agent/vms.h"
#include "agent/votes.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"

#define IDLE_ROUNDS_MAX 3 /* each doubles the wait: eight times actor_ms at most */

bool actor_holds(const struct core *core)
{
    const struct header *header = &core->cluster.header;
    return header->version != 0 && header->term == core->local.acting.term &&
           header->actor == core->local.facts.nodeid &&
           header->actor_start == core->local.facts.agent_start;
}

static bool eligible(const struct core *core, const struct peer *peer)
{
    uint8_t slot = state_find_node(&core->cluster, peer->nodeid);
    return slot != NODE_NONE && peers_speaks(core, peer) && peer->beat.able &&
           state_incarnation_lives(&core->cluster, slot, peer->beat.incarnation);
}

static bool acts_now(const struct core *core, const struct peer *peer)
{
    return peer->nodeid == core->cluster.header.actor &&
           peer->beat.agent_start == core->cluster.header.actor_start;
}

bool actor_speaks(const struct core *core)
{
    const struct peer *actor = peers_see(core, core->cluster.header.actor);
    ASSERT(core->local.peer_count <= NODES_MAX);
    return actor != NULL && acts_now(core, actor) && peers_speaks(core, actor);
}

/* Is `a` to act rather than `b`? One whose agent does not end again and again first, then the
 * present actor, then the lowest node id. */
static bool before(const struct core *core, const struct peer *a, const struct peer *b)
{
    if ((a->beat.restarts == 0) != (b->beat.restarts == 0)) {
        return a->beat.restarts == 0;
    }
    if (acts_now(core, a) != acts_now(core, b)) {
        return acts_now(core, a);
    }
    return a->nodeid < b->nodeid;
}

/* The host that the record knows. Where a life may still be going on there only the machine tells;
 * a host of another cluster, pointed at this pool, may have its node id and its name. */
static bool same_host(const struct node_record *node, const struct beat *beat)
{
    return uuid_equal(&beat->machine, &node->machine) ||
           (node->state == NODE_OUT && name_equal(beat->name, node->name));
}

/* Back after a reboot or a restore, or fenced and let in again by whoever acts, hands empty, with
 * its own handle: it could be admitted, if anybody acted. */
static bool returning(const struct core *core, const struct peer *peer)
{
    uint8_t slot = state_find_node(&core->cluster, peer->nodeid);
    if (slot == NODE_NONE || !peers_speaks(core, peer)) {
        return false;
    }
    const struct node_record *node = &core->cluster.nodes[slot];
    const struct beat *beat = &peer->beat;
    bool fenced = node->state == NODE_FENCED && !node->removing &&
                  (votes_tied(core) || nodes_may_return(core, slot, node));
    return (node->state == NODE_ADMITTED || node->state == NODE_LOST || node->state == NODE_OUT ||
            fenced) &&
           same_host(node, beat) && beat->empty && !beat->halted &&
           !level_of_peer_is_short(core, beat) && beat->storage && !client_is_none(&beat->client) &&
           !client_equal(&beat->client, &node->client) &&
           (node->state == NODE_OUT || !uuid_equal(&beat->boot, &node->boot) ||
            !incarnation_equal(beat->incarnation, node->incarnation));
}

/* Who is back but fenced yet comes after all who are not (but in a tie, where all may be). */
static bool returns_first(const struct core *core, const struct peer *a, const struct peer *b)
{
    uint8_t slot_a = state_find_node(&core->cluster, a->nodeid);
    uint8_t slot_b = state_find_node(&core->cluster, b->nodeid);
    ASSERT(slot_a != NODE_NONE);
    ASSERT(slot_b != NODE_NONE);
    bool last_a = core->cluster.nodes[slot_a].state == NODE_FENCED && !votes_tied(core);
    bool last_b = core->cluster.nodes[slot_b].state == NODE_FENCED && !votes_tied(core);
    return last_a == last_b ? a->nodeid < b->nodeid : last_b;
}

/* Silent, and its agent may come up yet. Who is by our copy of no cluster of ours is nobody to wait
 * for. */
static bool is_awaited(const struct core *core, const struct peer *peer)
{
    uint8_t slot = state_find_node(&core->cluster, peer->nodeid);
    return slot != NODE_NONE && core->cluster.nodes[slot].state != NODE_REMOVED &&
           peers_awaited(core, peer);
}

/* Nobody in a quorate ring is admitted any more (all hosts lost power): the lowest that is back
 * takes the term with its own admission. No other side can be quorate, or, in a tie, this one would
 * not be fresh; and each VM still waits for the barrier on its last holder's clients. A silent one
 * may be admitted, and its agent may come up yet; after grace_ms it is as well left to its guests:
 * nobody is fenced who is in the ring. */
static bool our_turn_to_return(const struct core *core)
{
    const struct local *local = &core->local;
    const struct peer *self = peers_see(core, local->facts.nodeid);
    if (self == NULL || !returning(core, self) || local->life.state != LIFE_OUTSIDE ||
        !client_equal(&self->beat.client, &local->storage.client)) {
        return false;
    }
    for (uint32_t i = 0; i < local->peer_count; i++) {
        const struct peer *peer = &local->peers[i];
        bool first = returning(core, peer) && returns_first(core, peer, self);
        if (first || eligible(core, peer) || is_awaited(core, peer)) {
            return false;
        }
    }
    return true;
}

bool actor_tell_none(const struct core *core, struct text *text)
{
    const struct peer *awaited = NULL;
    ASSERT(core->local.peer_count <= NODES_MAX);
    if (halt_forbids(core)) {
        text_add(text, "two nodes are halted at this version of the state: nobody acts on it, VMs "
                       "run on; see stead node show, then stead node resume NAME");
        return true;
    }
    for (uint32_t i = 0; i < core->local.peer_count; i++) {
        const struct peer *peer = &core->local.peers[i];
        if (eligible(core, peer)) {
            return false;
        }
        awaited = is_awaited(core, peer) ? peer : awaited;
    }
    text_add(text, "nobody acts: ");
    if (awaited != NULL) {
        uint8_t slot = state_find_node(&core->cluster, awaited->nodeid);
        ASSERT(slot != NODE_NONE);
        text_add(text_add(text, "the agent of "), core->cluster.nodes[slot].name);
        text_add_u64(text_add(text, " is silent, and waited for until it has been so for "),
                     core->cluster.settings.grace_ms / 1000);
        text_add(text, " s (grace_ms); systemctl start stead-agent there");
    } else {
        text_add(text, "no node here is admitted and able: stead status on each tells why; one "
                       "that was fenced and not rebooted: reboot it");
    }
    return true;
}

/* How many terms in a row, up to now, brought nothing but themselves? */
static uint32_t idle_terms(const struct cluster *cluster)
{
    uint32_t count = 0;
    uint64_t sequence = cluster->header.next_history;
    while (count < NODES_MAX * IDLE_ROUNDS_MAX && sequence > count + 1) {
        const struct history_entry *entry = &cluster->history[(sequence - count - 1) % HISTORY_MAX];
        if (entry->kind != HISTORY_TERM) {
            break;
        }
        count++;
    }
    return count;
}

/* May we act? The first in line may; the n-th too where, as far as it sees, work has waited n times
 * actor_ms; longer, up to eight times, once all had their turn and none got on: what is waited for
 * (a lease that does not answer, say) is not to be had from anybody then. Two may try: the
 * compare-and-set lets one win. */
static bool our_turn(const struct core *core)
{
    const struct local *local = &core->local;
    const struct peer *self = peers_see(core, local->facts.nodeid);
    if (self == NULL || !eligible(core, self) ||
        self->beat.agent_start != local->facts.agent_start) {
        return false;
    }
    bool waits = local->acting.waits_since_ms != 0 &&
                 local->acting.waits_version == core->cluster.header.version;
    uint64_t waited_ms = waits ? local->now_ms - local->acting.waits_since_ms : 0;
    uint64_t place = 0;
    uint32_t able_count = 0;
    for (uint32_t i = 0; i < local->peer_count; i++) {
        const struct peer *peer = &local->peers[i];
        bool able = eligible(core, peer);
        able_count += able;
        place += able && before(core, peer, self);
        if (place > 0 && waited_ms == 0) {
            return false; /* as nearly always */
        }
    }
    ASSERT(place < able_count);
    uint32_t rounds = idle_terms(&core->cluster) / able_count;
    uint32_t slower = rounds < IDLE_ROUNDS_MAX ? rounds : IDLE_ROUNDS_MAX;
    uint64_t turn = waited_ms / ((uint64_t)core->cluster.settings.actor_ms << slower);
    return place <= turn;
}

void actor_note_waiting(struct core *core)
{
    struct acting *acting = &core->local.acting;
    const struct header *header = &core->cluster.header;
    bool waits = header->version != 0 &&
                 ((header->members & ~peers_ring_mask(core)) != 0 || request_waits(core) ||
                  core->local.observed_count > 0 || vms_wait(core));
    if (!waits) {
        acting->waits_since_ms = 0;
    } else if (acting->waits_since_ms == 0 || acting->waits_version != header->version) {
        acting->waits_since_ms = core->local.now_ms;
        acting->waits_version = header->version;
    }
}

static bool member_left(const struct core *core)
{
    return (core->cluster.header.members & ~peers_ring_mask(core)) != 0;
}

static void draft_term(struct core *core)
{
    struct header *header = &core->local.draft.delta.header;
    const struct storage_view *storage = &core->local.storage;
    uint8_t own = state_find_node(&core->cluster, core->local.facts.nodeid);
    ASSERT(own != NODE_NONE);
    header->term++;
    header->actor = core->local.facts.nodeid;
    header->actor_start = core->local.facts.agent_start;
    header->members &= peers_ring_mask(core);
    header->members |= UINT64_C(1) << own;
    if (header->corosync[0] == '\0') { /* restored, or made before it was kept */
        memcpy(header->corosync, core->local.ring.cluster, NAME_BYTES);
    }
    if (core->local.life.state == LIFE_OUTSIDE) {
        header->members = 0;
        nodes_draft_admit(core, own, &peers_see(core, core->local.facts.nodeid)->beat);
    } else if (!client_equal(&core->cluster.nodes[own].client, &storage->client)) {
        draft_node(core, own)->client = storage->client; /* recorded in its own first write */
    }
    struct text text = {0};
    text_add(text_add(&text, core->local.facts.name), " takes term ");
    text_add_u64(&text, header->term);
    text_add_u64(text_add(&text, ": quorum is "), votes_needed(core));
    text_add_u64(text_add(&text, ", in the ring are "), core->local.ring.count);
    draft_history(core, HISTORY_TERM, header->actor, NULL, text.bytes);
    nodes_draft_lost(core);
}

static bool may_act(const struct core *core, const struct caller *caller)
{
    const struct storage_view *storage = &core->local.storage;
    bool standing = core->local.life.state == LIFE_ADMITTED || our_turn_to_return(core);
    return standing && storage->handle == HANDLE_OPEN && caller_fresh(caller) && !storage->stale &&
           core->cluster.header.version != 0 && health_may_commit(storage->trouble) &&
           !halt_forbids(core) && !level_is_short(core) &&
           (view_recorded(core) || view_predecessor_ended(core));
}

static void next_commit(struct core *core, struct caller *caller)
{
    bool holds = actor_holds(core) && view_recorded(core);
    bool turn = our_turn(core) || our_turn_to_return(core);
    if (!turn && !holds) {
        return;
    }
    draft_begin(core);
    if (!holds || member_left(core)) {
        if (!turn || tie_waits(core)) {
            core->local.draft.open = false;
            return;
        }
        draft_term(core);
    } else if (!mend_draft(core)) {
        request_draft(core, caller);
        nodes_draft(core, caller);
        vms_draft(core);
        level_draft(core);
    }
    draft_send(core, caller, false);
}

void actor_carry_on(struct core *core, struct caller *caller)
{
    struct commit *commit = &core->local.commit;
    if (call_overdue(&commit->call, caller->now_ms)) {
        commit->state = COMMIT_UNKNOWN;
    }
    if (commit->state == COMMIT_UNKNOWN && !call_open(&commit->call) &&
        caller->now_ms >= core->local.commit_retry_ms && (caller_fresh(caller) || commit->create) &&
        core->local.storage.handle == HANDLE_OPEN) {
        commit_again(commit, caller, core->cluster.settings.call_ms);
    }
    if (!may_act(core, caller)) {
        return;
    }
    if (actor_holds(core)) {
        mend_act(core);
        nodes_act(core, caller);
        vms_act(core, caller);
    }
    if (commit->state == COMMIT_IDLE) {
        next_commit(core, caller);
    }
}

/* VMs removed by this commit: their lease and definition go too. */
static void remove_leases(const struct delta *delta, struct caller *caller)
{
    for (uint32_t i = 0; i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        if (record->kind == RECORD_VM && record->removed) {
            struct action *action = actions_add(caller->out, ACTION_LEASE_REMOVE);
            action->lease.lease.vm = record->vm.uuid; /* the draft still holds what it removes */
            action->lease.lease.generation = record->vm.generation;
            if (record->vm.state == VM_RUNNING) { /* given back as it runs */
                action->lease.lease.state = LEASE_HELD;
                action->lease.lease.incarnation = record->vm.incarnation;
            }
        }
    }
}

/* A new term begins with empty hands: what is to be done follows from the state. */
static void begin_term(struct core *core)
{
    struct acting *acting = &core->local.acting;
    memset(acting->barriers, 0, acting->barrier_end * sizeof(acting->barriers[0]));
    memset(acting, 0, offsetof(struct acting, barriers));
    acting->term = core->cluster.header.term;
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        acting->handle_version[slot] = core->cluster.header.version;
    }
}

static void done(struct core *core, struct caller *caller)
{
    struct local *local = &core->local;
    const struct delta *delta = &local->commit.delta;
    remove_leases(delta, caller);
    bool took_term = delta->header.term != delta->base_term;
    if (local->commit.create) {
        local->storage.stale = true; /* read it as everybody else does */
    } else if (state_follows(&core->cluster, delta)) {
        bool same = state_apply(&core->cluster, delta);
        ASSERT(same);
        mend_on_commit(core);
        local->storage.newest_ms = caller->now_ms;
    }
    if (took_term || local->commit.create) {
        local->acting.term = delta->header.term;
    }
    if (took_term && actor_holds(core)) {
        begin_term(core);
    }
    local->committed = *delta;
    caller->out->committed = &local->committed;
    (void)actions_add(caller->out, ACTION_SEND_DELTA);
}

static void settle(struct core *core, enum commit_verdict verdict, struct caller *caller)
{
    if (verdict == COMMIT_DONE) {
        done(core, caller);
    } else if (verdict == COMMIT_FAILED) {
        core->local.storage.stale = true;
        trace_words(caller, "commit refused: another came first; reading the state again");
    }
}

void actor_on_commit(struct core *core, const struct event *event, struct caller *caller)
{
    struct commit *commit = &core->local.commit;
    if (!call_ends(&commit->call, event)) {
        return;
    }
    view_note(core, event->id, event->commit.outcome);
    core->local.commit_retry_ms = event->now_ms + core->cluster.settings.retry_ms / 4;
    settle(core, commit_on_answer(commit, event->commit.outcome, &event->commit.header), caller);
}

void actor_on_header(struct core *core, const struct header *header, struct caller *caller)
{
    settle(core, commit_on_header(&core->local.commit, header), caller);
}
