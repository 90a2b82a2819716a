/*
 * The acting node's work on nodes.
 *
 * Decides, for each node, from its record, the ring and its heartbeats:
 *   admitted, gone from the ring, VMs on it   -> lost (absent alone is not: fencing must help a VM;
 *     nor is one that announced its absence, while that lasts, nor one that agent/spare.c spares)
 *   admitted, its guests stand still for want of a quorum, and it is here -> readmitted
 *   admitted, back under another boot id      -> lost, client entries only: the machine lives again
 *   lost, barrier stands, proof suffices      -> fenced; each VM may be taken over whose own
 *     policy is content; a proof that comes later, and lets go another, is kept in its record
 *   fenced, back with empty hands by a reboot,
 *     or asked for by an operator             -> out, once nobody waits for a proof of its end any
 *     more and its address entry is off
 *   out, hands empty, storage and a new handle -> admitted under a new incarnation (one that
 *     fails again and again, after a while)
 *   to be removed: lost like any other, and once fenced and no VM refers to it -> a tombstone
 * Assumes: caller holds the term; what it acts on outside is committed first.
 * Never: touches a node's power while it shuts down in order, or power or address once its machine
 * is back, or admits one whose guests of an earlier life may live.
 */
#include "agent/nodes.h"

#include <string.h>

#include "agent/address.h"
#include "agent/classes.h"
#include "agent/devices.h"
#include "agent/draft.h"
#include "agent/leave.h"
#include "agent/ledger.h"
#include "agent/level.h"
#include "agent/peers.h"
#include "agent/spare.h"
#include "agent/trace.h"
#include "agent/watchdog.h"
#include "fencing/proof.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"

/* Its record, two entries, each once more, its evidence. */
#define ROOM_PER_NODE (5 + LEDGER_ROOM)

static uint64_t bit(uint32_t slot)
{
    return UINT64_C(1) << slot;
}

/* The peer of a node whose agent speaks to us, or NULL. */
static const struct peer *speaking(const struct core *core, const struct node_record *node)
{
    const struct peer *peer = peers_see(core, node->nodeid);
    return peer != NULL && peers_speaks(core, peer) ? peer : NULL;
}

static bool holds_vm(const struct core *core, uint32_t slot)
{
    const uint32_t end = draft_vm_end(core);
    for (uint32_t i = 0; i < end; i++) {
        const struct vm_record *vm = draft_peek_vm(core, i);
        if (vm->state != VM_FREE && vm->state != VM_STOPPED && vm->node == slot) {
            return true;
        }
    }
    return false;
}

/* The same machine, another kernel: whatever ran there before is gone, once it says so. */
static bool reborn(const struct node_record *node, const struct peer *peer)
{
    return uuid_equal(&peer->beat.machine, &node->machine) &&
           !uuid_equal(&peer->beat.boot, &node->boot) && !uuid_is_zero(&peer->beat.boot);
}

/* Its own agent, on the same machine, knows that it is lost, has killed what it ran, and found no
 * guest of ours in /proc. It knows: its copy is as new as the one our fence began with; or it says
 * so since it was barred, and cannot run guests again: it is fenced, has no copy, or its address is
 * barred as well, and no handle but the one in its old copy lets it begin anything. */
static bool clean(const struct core *core, uint32_t slot, const struct peer *peer)
{
    const struct node_record *node = &core->cluster.nodes[slot];
    const struct fence *fence = &core->local.acting.fences[slot];
    uint64_t since_ms = fence->stands_ms > fence->begun_ms ? fence->stands_ms : fence->begun_ms;
    bool fenced = node->state == NODE_FENCED;
    bool shut = peer->beat.version == 0 || fence->address;
    bool barred = fenced || (shut && fence->state == FENCE_STANDS);
    bool its_life = incarnation_equal(peer->beat.incarnation, node->incarnation);
    bool since = peer->answered_ms > since_ms || (fenced && its_life && peer->heard_ms > since_ms);
    bool knows = (barred && since) || peer->beat.version >= core->local.acting.lost_version[slot];
    return knows && peer->beat.empty && uuid_equal(&peer->beat.machine, &node->machine) &&
           uuid_equal(&peer->beat.boot, &node->boot) && !uuid_is_zero(&peer->beat.boot);
}

static void lose(struct core *core, uint32_t slot, bool client_only, const char *why)
{
    struct node_record *node = draft_node(core, slot);
    ASSERT(node->state == NODE_ADMITTED);
    node->state = NODE_LOST;
    node->client_only = client_only;
    node->away_ms = 0;
    bool gone =
        peers_see(core, node->nodeid) == NULL; /* a person's word holds for a gone node only */
    node->proofs &= gone ? (uint32_t)PROOF_OPERATOR : 0;
    node->fence_term = core->local.draft.delta.header.term;
    if (gone) {
        spare_note_loss(core, node);
    }
    core->local.draft.delta.header.members &= ~bit(slot);
    struct text text = {0};
    text_add(text_add(&text, node->name), " (incarnation ");
    text_add_incarnation(&text, node->incarnation);
    text_add(text_add(text_add(&text, ") lost: "), why), ", says ");
    text_add(&text, core->local.facts.name);
    draft_history(core, HISTORY_NODE_LOST, node->nodeid, NULL, text.bytes);
}

static const char *why_absent(const struct core *core, const struct node_record *node)
{
    if (node->away_ms != 0) {
        return "its announced absence is over, and VMs are on it";
    }
    if (peers_ended(core, node->nodeid)) {
        return "its host shut down with VMs on it";
    }
    if (peers_never_seen(core, node->nodeid)) {
        return "it did not come up within grace_ms of the quorum, and VMs are on it";
    }
    return peers_left_before_quorum(core, node->nodeid)
               ? "it was gone before the quorum was back and did not follow, and VMs are on it"
               : "it left the ring and VMs are on it";
}

/* Can nobody but us act? Then our own end must wait: it would be the cluster's. */
static bool is_last(const struct core *core, const struct node_record *node)
{
    for (uint8_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *other = draft_peek_node(core, slot);
        const struct peer *peer = other->state == NODE_ADMITTED ? speaking(core, other) : NULL;
        if (peer != NULL && other->nodeid != node->nodeid && peer->beat.able) {
            return false;
        }
    }
    return node->nodeid == core->local.facts.nodeid;
}

/* Does this very commit start a VM there? */
static bool is_chosen(const struct core *core, uint32_t slot)
{
    const struct delta *delta = &core->local.draft.delta;
    for (uint32_t i = 0; i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        if (record->kind == RECORD_VM && record->vm.state == VM_STARTING &&
            record->vm.node == slot &&
            !action_id_equal(record->vm.action, core->cluster.vms[record->slot].action)) {
            return true;
        }
    }
    return false;
}

/* Somebody asked for its end, present or not: it goes with the next commit where a command before
 * made it the place of a VM. */
static bool draft_wanted_gone(struct core *core, uint32_t slot, const struct node_record *node)
{
    if (!(node->removing || node->fence_wanted) || is_last(core, node)) {
        return false;
    }
    if (is_chosen(core, slot)) {
        return true;
    }
    lose(core, slot, false,
         node->removing ? "it is being removed" : "an operator asked for its fence");
    return true;
}

static void draft_absent(struct core *core, uint32_t slot, const struct node_record *node)
{
    uint64_t due = spare_due(core);
    bool missed = (due & bit(slot)) != 0;
    struct text spared;
    if (missed && spare_holds_back(core, due, slot, &spared)) {
        spare_draft(core, slot, &spared);
    } else if (missed) {
        lose(core, slot, false, why_absent(core, node));
    }
}

void nodes_draft_lost(struct core *core)
{
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *node = draft_peek_node(core, slot);
        bool absent = node->state == NODE_ADMITTED && peers_see(core, node->nodeid) == NULL;
        if (absent && draft_room(core) >= ROOM_PER_NODE && !draft_wanted_gone(core, slot, node)) {
            draft_absent(core, slot, node);
        }
    }
}

/* Another handle than the state has, told after it read of that one: which it has ended by now
 * (agent/view.c), or which is its own. */
static bool tells_handle(const struct core *core, uint32_t slot, const struct beat *beat)
{
    const struct node_record *node = draft_peek_node(core, slot);
    ASSERT(slot < NODES_MAX);
    return !client_is_none(&beat->client) && !client_equal(&beat->client, &node->client) &&
           beat->epoch == core->cluster.header.epoch &&
           beat->version >= core->local.acting.handle_version[slot];
}

/* Facts that a member tells of itself and that changed. */
static void draft_facts(struct core *core, uint32_t slot, const struct beat *beat)
{
    const struct node_record *node = draft_peek_node(core, slot);
    struct node_record follows = *node;
    bool devices = devices_follow(&follows, beat, core->local.draft.delta.header.feature_level);
    bool handle = tells_handle(core, slot, beat);
    if (!devices && !handle && node->memory_mib == beat->memory_mib &&
        node->feature_level == beat->feature_level) {
        return;
    }
    struct node_record *next = draft_node(core, slot);
    *next = follows;
    next->memory_mib = beat->memory_mib;
    next->feature_level = beat->feature_level;
    if (handle) {
        next->client = beat->client;
        core->local.acting.handle_version[slot] = core->cluster.header.version + 1;
    }
}

/* Its guests stand still since before it was in this ring: that is over, for all that we can see.
 * Whether each may go on, its lease and the blocklist tell its host. */
static void draft_readmitted(struct core *core, uint32_t slot, const struct beat *beat)
{
    const struct node_record *node = draft_peek_node(core, slot);
    if (beat->suspended_ms == 0 || beat->suspended_ms == node->readmitted_ms ||
        !level_suspends(core)) {
        return;
    }
    struct node_record *next = draft_node(core, slot);
    uint64_t for_ms = beat->sent_ms > beat->suspended_ms ? beat->sent_ms - beat->suspended_ms : 0;
    next->readmitted_ms = beat->suspended_ms;
    struct text text = {0};
    text_add(text_add(&text, next->name), " readmitted: it had no quorum, its guests stood still ");
    text_add(text_add_u64(&text, for_ms), " ms; each goes on if its lease is unchanged");
    draft_history(core, HISTORY_NODE_READMITTED, next->nodeid, NULL, text.bytes)->number = for_ms;
}

static void draft_member(struct core *core, uint32_t slot, const struct node_record *node,
                         const struct peer *peer)
{
    const struct beat *beat = &peer->beat;
    bool other_handle =
        !client_is_none(&beat->client) && !client_equal(&beat->client, &node->client);
    if (!uuid_equal(&beat->boot, &node->boot)) {
        lose(core, slot, true, "it is back under another boot id");
    } else if (!incarnation_equal(beat->incarnation, node->incarnation) && beat->empty &&
               other_handle) {
        lose(core, slot, true, "it came back not knowing its incarnation");
    } else if (incarnation_equal(beat->incarnation, node->incarnation)) {
        core->local.draft.delta.header.members |= bit(slot);
        draft_facts(core, slot, beat);
        draft_readmitted(core, slot, beat);
        leave_draft(core, slot, beat);
        watchdog_draft(core, slot, beat);
    }
}

/* Is it to be switched on again? Not one that a person wanted off, nor one that is back already. */
static bool wants_power_on(const struct core *core, const struct node_record *node)
{
    return core->cluster.settings.power_on_after_fence != 0 && !node->fence_wanted &&
           !node->removing && !node->client_only && power_has_level(node) &&
           core->local.draft.delta.header.feature_level >= LEVEL_FENCE_DEVICES;
}

/* All that is proven of the end of this life, by what its own agent says, too. Only of a fence that
 * we have begun: what was told before may be from before the loss. */
static uint32_t proofs_now(struct core *core, uint32_t slot, const struct node_record *node)
{
    struct fence *fence = &core->local.acting.fences[slot];
    const struct peer *peer = speaking(core, node);
    if (!incarnation_equal(fence->incarnation, node->incarnation)) {
        return node->proofs;
    }
    if (peer != NULL && peer->beat.empty && reborn(node, peer)) {
        fence->proofs |= PROOF_REBORN;
    }
    if (peer != NULL && clean(core, slot, peer)) {
        fence->proofs |= PROOF_CLEAN;
    }
    return fence->proofs | node->proofs; /* an operator's word is in the record */
}

/* Is anybody released: a VM by its own policy, or whoever goes by the cluster's? */
static bool releases(const struct core *core, uint32_t slot, uint32_t proofs)
{
    return proof_suffices(proofs, core->cluster.settings.proof) ||
           classes_waiting(core, slot, proofs) < classes_waiting(core, slot, 0);
}

static void draft_lost(struct core *core, uint32_t slot, const struct node_record *node)
{
    struct fence *fence = &core->local.acting.fences[slot];
    uint32_t proofs = proofs_now(core, slot, node);
    if (!incarnation_equal(fence->incarnation, node->incarnation) || fence->state != FENCE_STANDS ||
        !releases(core, slot, proofs)) {
        return;
    }
    struct node_record *next = draft_node(core, slot);
    next->state = NODE_FENCED;
    next->proofs = proofs;
    /* An actor before us may have barred the address and died before it could say so. */
    next->address_blocked = fence->address || !next->client_only;
    next->power_on = wants_power_on(core, next);
    next->fence_wanted = false;
    char proof[TEXT_BYTES];
    proof_text(proofs, proof);
    struct text text = {0};
    text_add(text_add(&text, next->name), " fenced, proof: ");
    text_add(text_add(&text, proof), "; barrier after ");
    text_add(text_add_u64(&text, fence->stands_ms - fence->begun_ms), " ms, by ");
    text_add(&text, core->local.facts.name);
    text_add(text_add_u64(text_add(&text, "; "), core->local.now_ms - fence->begun_ms),
             " ms in all");
    if ((proofs & PROOF_WATCHDOG) != 0) {
        text_add(&text, "; watchdog: ");
        text_add_u64(&text, core->local.now_ms - fence->watchdog_from_ms);
        text_add(&text, " ms since a quorum answered it no more, it fires within ");
        text_add(text_add_u64(&text, next->watchdog_fires_ms), " ms");
    }
    draft_history(core, HISTORY_NODE_FENCED, next->nodeid, NULL, text.bytes)->number = proofs;
}

/* A VM of a stricter policy waits on, and this lets it go: it is kept in the record. */
static void draft_proof(struct core *core, uint32_t slot, const struct node_record *node)
{
    uint32_t proofs = proofs_now(core, slot, node);
    ASSERT(node->state == NODE_FENCED);
    if (proofs == node->proofs ||
        classes_waiting(core, slot, proofs) == classes_waiting(core, slot, node->proofs)) {
        return;
    }
    struct node_record *next = draft_node(core, slot);
    next->proofs = proofs;
    char proof[TEXT_BYTES];
    proof_text(proofs, proof);
    struct text text = {0};
    text_add(text_add(&text, next->name), " is proven further: ");
    text_add(&text, proof);
    draft_history(core, HISTORY_NODE_FENCED, next->nodeid, NULL, text.bytes)->number = proofs;
}

bool nodes_may_return(const struct core *core, uint32_t slot, const struct node_record *node)
{
    const struct peer *peer = speaking(core, node);
    return node->state == NODE_FENCED && !node->removing && peer != NULL && peer->beat.empty &&
           (reborn(node, peer) || ((node->unfence_wanted || node->client_only) &&
                                   classes_waiting(core, slot, node->proofs) == 0));
}

/* The end of a removal: what is kept is for the blocklist entries that stand, and for the node
 * itself, should its agent still be there: it reads that it is out. */
static void draft_removed(struct core *core, uint32_t slot)
{
    if (holds_vm(core, slot)) {
        return; /* they are started elsewhere first, or stopped */
    }
    struct node_record *next = draft_node(core, slot);
    next->state = NODE_REMOVED;
    next->watchdog = false;
    next->watchdog_fires_ms = 0;
    next->watchdog_vouch_ms = 0;
    next->removing = false;
    next->fence_wanted = false;
    next->unfence_wanted = false;
    core->local.acting.addresses[slot].off = false;
    struct text text = {0};
    text_add(text_add(&text, next->name), " is removed; its blocklist entries stand");
    draft_history(core, HISTORY_NODE_REMOVED, next->nodeid, NULL, text.bytes);
}

static void draft_back(struct core *core, uint32_t slot, const struct node_record *node)
{
    struct node_record *next = draft_node(core, slot);
    const struct peer *peer = speaking(core, node);
    next->state = NODE_OUT;
    next->proofs |= reborn(node, peer) ? (uint32_t)PROOF_REBORN : 0;
    next->address_blocked = false;
    next->power_on = false;
    next->losses = next->unfence_wanted ? 0 : next->losses;
    next->unfence_wanted = false;
    core->local.acting.addresses[slot].off = false;
    struct text text = {0};
    text_add(text_add(&text, node->name), " is back with empty hands; its address entry is off");
    draft_history(core, HISTORY_NODE_UNFENCED, node->nodeid, NULL, text.bytes);
}

static void draft_fenced(struct core *core, uint32_t slot, const struct node_record *node)
{
    bool barred = node->address_blocked && !core->local.acting.addresses[slot].off;
    if (node->removing) {
        draft_removed(core, slot);
    } else if (nodes_may_return(core, slot, node) && !barred) {
        draft_back(core, slot, node);
    }
}

void nodes_draft_admit(struct core *core, uint32_t slot, const struct beat *beat)
{
    struct node_record *next = draft_node(core, slot);
    struct header *header = &core->local.draft.delta.header;
    ASSERT(header->next_incarnation > 0);
    ASSERT(beat->empty);
    bool replaced = !uuid_is_zero(&next->machine) && !uuid_equal(&next->machine, &beat->machine);
    next->state = NODE_ADMITTED;
    next->machine = beat->machine;
    next->boot = beat->boot;
    next->incarnation = (struct incarnation){header->epoch, header->next_incarnation++};
    next->client = beat->client;
    core->local.acting.handle_version[slot] = core->cluster.header.version + 1;
    next->bmc.verified = false; /* what was seen in an earlier life of it counts no more */
    memset(next->devices, 0, sizeof(next->devices));
    (void)devices_follow(next, beat, header->feature_level);
    next->memory_mib = beat->memory_mib;
    next->feature_level = beat->feature_level;
    next->proofs = 0;
    next->client_only = false;
    next->address_blocked = false; /* a fenced one is admitted only by itself, off the list */
    next->power_on = false;
    next->fence_wanted = false;
    next->unfence_wanted = false;
    next->away_ms = 0;
    next->watchdog = false;
    next->watchdog_fires_ms = 0;
    next->watchdog_vouch_ms = 0;
    next->readmitted_ms = 0;
    header->members |= bit(slot);
    struct text text = {0};
    text_add(text_add(&text, next->name), " admitted as incarnation ");
    text_add_incarnation(&text, next->incarnation);
    text_add(&text, replaced ? ", on another machine than before" : "");
    draft_history(core, HISTORY_NODE_ADMITTED, next->nodeid, NULL, text.bytes);
}

static void draft_out(struct core *core, uint32_t slot, const struct node_record *node)
{
    if (node->removing) { /* nothing of it runs: no fence is needed */
        draft_removed(core, slot);
        return;
    }
    const struct peer *peer = speaking(core, node);
    bool ready = peer != NULL && peer->beat.empty && peer->beat.storage &&
                 !level_of_peer_is_short(core, &peer->beat) &&
                 !client_is_none(&peer->beat.client) &&
                 !client_equal(&peer->beat.client, &node->client);
    if (ready && spare_out_ms(core, node) == 0) {
        nodes_draft_admit(core, slot, &peer->beat);
    }
}

static void draft_one(struct core *core, uint32_t slot, const struct node_record *node)
{
    const struct peer *peer = speaking(core, node);
    switch (node->state) {
    case NODE_ADMITTED:
        address_draft(core, slot);
        if (draft_wanted_gone(core, slot, node)) {
            return;
        }
        if (peer != NULL) {
            draft_member(core, slot, node, peer);
        } else if (peers_see(core, node->nodeid) == NULL) {
            draft_absent(core, slot, node);
        }
        return;
    case NODE_LOST:
        ledger_draft(core, slot);
        draft_lost(core, slot, draft_peek_node(core, slot));
        return;
    case NODE_FENCED:
        ledger_draft(core, slot);
        draft_proof(core, slot, draft_peek_node(core, slot));
        draft_fenced(core, slot, draft_peek_node(core, slot));
        return;
    case NODE_OUT:
        draft_out(core, slot, node);
        return;
    case NODE_REMOVED:
    case NODE_FREE:
    case NODE_STATE_COUNT:
        return;
    }
}

void nodes_draft(struct core *core, struct caller *caller)
{
    (void)caller;
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *node = draft_peek_node(core, slot);
        if (node->state != NODE_FREE && draft_room(core) >= ROOM_PER_NODE) {
            draft_one(core, slot, node);
        }
    }
}

/* Takes part, says its agent, and reaches no storage for a while: is its address barred? */
static bool cut_off(const struct core *core, const struct node_record *node)
{
    const struct peer *peer = speaking(core, node);
    return (node->state == NODE_OUT || node->state == NODE_ADMITTED) && peer != NULL &&
           peer->no_storage_since_ms != 0 &&
           core->local.now_ms - peer->no_storage_since_ms > core->cluster.settings.call_ms;
}

/* Is its fence carried on: it is lost; or fenced, and not back, or a VM waits for a proof yet? */
static bool goes_on(const struct core *core, uint32_t slot, const struct node_record *node)
{
    return node->state == NODE_LOST ||
           (node->state == NODE_FENCED && (peers_see(core, node->nodeid) == NULL ||
                                           classes_waiting(core, slot, node->proofs) > 0));
}

/* Nobody would wait for more than these proofs: no VM that it holds, none of the cluster's policy.
 */
static bool releases_all(const struct core *core, uint32_t slot, uint32_t proofs)
{
    return proof_suffices(proofs, core->cluster.settings.proof) &&
           classes_waiting(core, slot, proofs) == 0;
}

/* Would it release a VM that waits? */
static bool needs_power(const struct core *core, uint32_t slot, const struct node_record *node)
{
    uint32_t with = node->proofs | PROOF_STORAGE | PROOF_POWER;
    return classes_waiting(core, slot, with) < classes_waiting(core, slot, node->proofs);
}

static void carry_fence_on(struct core *core, uint32_t slot, const struct node_record *node,
                           struct caller *caller)
{
    struct fence *fence = &core->local.acting.fences[slot];
    const struct peer *peer = peers_see(core, node->nodeid);
    struct node_record seen = *node;
    bool let = peers_ended(core, node->nodeid) || peers_never_seen(core, node->nodeid);
    bool spared = let && releases_all(core, slot, PROOF_STORAGE);
    seen.client_only |= peer != NULL && peer->heard && reborn(node, peer);
    seen.client_only |= /* another machine in its place is not switched off for it */
        node->state == NODE_FENCED && peer != NULL && peer->heard &&
        !uuid_equal(&peer->beat.machine, &node->machine);
    seen.client_only |= node->removing && speaking(core, node) != NULL; /* it ends itself */
    if (!incarnation_equal(fence->incarnation, node->incarnation)) {
        core->local.acting.lost_version[slot] = core->cluster.header.version;
    }
    enum fence_power power = spared                          ? FENCE_POWER_SPARED
                             : needs_power(core, slot, node) ? FENCE_POWER_NEEDED
                                                             : FENCE_POWER_TRIED;
    fence_carry_on(fence, &seen, power, &core->cluster.settings, caller);
    watchdog_prove(core, slot, fence);
}

static void act_on(struct core *core, uint32_t slot, const struct node_record *node,
                   struct caller *caller)
{
    fence_on_tick(&core->local.acting.fences[slot], caller->now_ms);
    if (goes_on(core, slot, node)) {
        carry_fence_on(core, slot, node, caller);
    }
    address_act(core, slot, nodes_may_return(core, slot, node), cut_off(core, node), caller);
}

void nodes_act(struct core *core, struct caller *caller)
{
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *node = &core->cluster.nodes[slot];
        if (node->state != NODE_FREE && caller_room_urgent(caller)) {
            act_on(core, slot, node, caller); /* nobody asks again before he is answered */
        }
    }
}

void nodes_on_block(struct core *core, const struct event *event)
{
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        (void)fence_on_block(&core->local.acting.fences[slot], event, &core->cluster.settings);
        address_on_block(core, slot, event);
    }
}

void nodes_on_power(struct core *core, const struct event *event)
{
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        (void)fence_on_power(&core->local.acting.fences[slot], event, &core->cluster.settings);
    }
}
