/*
 * Whom not to fence.
 *
 * Decides: whether the fence of an absent node is held back, though it would help a VM. It is while
 * HA is paused; while more nodes are gone at once than can be believed (a switch, a mistake in
 * corosync.conf): a person is asked; and once fence_budget other nodes were fenced within
 * fence_window_ms. Who was gone before we had a quorum may be late, and is waited for
 * (agent/peers.c). And how long a node that fails again and again is kept out before it is admitted
 * anew: its VMs would only be torn down once more.
 * A host that ended in order, an announced absence, a reboot that was over before anybody missed it
 * and a fence that a person asked for are no failures: they count for nothing here.
 * Assumes: wall clocks are right to a minute; a stamp from the future counts for nothing. Never:
 * lets a fence begin or a VM go that would not without it; no safety rests on this.
 */
#include "agent/spare.h"

#include "agent/draft.h"
#include "agent/leave.h"
#include "agent/pause.h"
#include "agent/peers.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"

#define MASS_LEAST 3     /* one, or two at once, is what HA is for */
#define SKEW_MS 60000    /* between two nodes' wall clocks */
#define IN_A_ROW 3600000 /* a failure so long after the node was last kept out begins a new row */

static uint64_t bit(uint32_t slot)
{
    ASSERT(slot < NODES_MAX);
    return UINT64_C(1) << slot;
}

/* How long ago that was by the wall clock. */
static uint64_t ago_ms(const struct core *core, uint64_t wall_ms)
{
    uint64_t now_ms = core->local.wall_ms;
    if (wall_ms == 0 || wall_ms > now_ms + SKEW_MS) {
        return UINT64_MAX;
    }
    return now_ms > wall_ms ? now_ms - wall_ms : 0;
}

/* Mask of the slots of nodes that hold a VM. */
static uint64_t holders(const struct core *core)
{
    uint64_t mask = 0;
    const uint32_t end = draft_vm_end(core);
    for (uint32_t i = 0; i < end; i++) {
        const struct vm_record *vm = draft_peek_vm(core, i);
        bool holds = vm->state != VM_FREE && vm->state != VM_STOPPED && vm->node < NODES_MAX;
        mask |= holds ? bit(vm->node) : 0;
    }
    return mask;
}

/* Gone, and nothing was said of it. */
static bool missing(const struct core *core, const struct node_record *node)
{
    return node->state == NODE_ADMITTED && peers_see(core, node->nodeid) == NULL &&
           !leave_covers(core, node);
}

uint64_t spare_due(const struct core *core)
{
    uint64_t due = 0;
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *node = draft_peek_node(core, slot);
        if (missing(core, node) && peers_late_ms(core, node->nodeid) == 0) {
            due |= bit(slot);
        }
    }
    return due == 0 ? 0 : due & holders(core);
}

/* How many are gone at once: those that are due, and those just fenced or being fenced that are not
 * back: one in the ring may wait for a person, but no switch hides it. */
static uint32_t gone_count(const struct core *core, uint64_t due)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *node = draft_peek_node(core, slot);
        bool fresh = ago_ms(core, node->lost_ms) < core->cluster.settings.fence_window_ms;
        bool fenced = (node->state == NODE_LOST || node->state == NODE_FENCED) && fresh &&
                      peers_see(core, node->nodeid) == NULL;
        bool failed = (due & bit(slot)) != 0 && !peers_ended(core, node->nodeid);
        count += fenced || failed;
    }
    return count;
}

static bool mass_loss(const struct core *core, uint64_t due, struct text *ret_why)
{
    uint32_t gone = gone_count(core, due);
    uint32_t all = mask_count(core->cluster.counting);
    ASSERT(all <= NODES_MAX);
    if (gone < MASS_LEAST || gone * 100 <= all * core->cluster.settings.mass_loss) {
        return false;
    }
    text_add_u64(text_add(ret_why, "not fenced: "), gone);
    text_add_u64(text_add(ret_why, " of "), all);
    text_add(ret_why, " nodes are gone at once (mass_loss), a person is asked: bring it back, or, "
                      "if it surely is dead, stead node fence it");
    return true;
}

static bool budget_spent(const struct core *core, uint32_t self, struct text *ret_why)
{
    const struct settings *settings = &core->cluster.settings;
    uint64_t next_ms = UINT64_MAX;
    uint32_t spent = 0;
    ASSERT(settings->fence_budget > 0);
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        uint64_t since_ms = ago_ms(core, draft_peek_node(core, slot)->lost_ms);
        if (slot != self && since_ms < settings->fence_window_ms) {
            uint64_t left_ms = settings->fence_window_ms - since_ms;
            next_ms = left_ms < next_ms ? left_ms : next_ms;
            spent++;
        }
    }
    if (spent < settings->fence_budget) {
        return false;
    }
    text_add_u64(text_add(ret_why, "not fenced yet: "), spent);
    text_add(ret_why, " others were lately (fence_budget), so not before ");
    text_add_u64(ret_why, next_ms / 1000 + 1);
    text_add(ret_why, " s from now; at once: stead node fence it");
    return true;
}

bool spare_holds_back(const struct core *core, uint64_t due, uint32_t slot, struct text *ret_why)
{
    const struct node_record *node = draft_peek_node(core, slot);
    ASSERT((due & bit(slot)) != 0);
    *ret_why = (struct text){0};
    if (pause_mode(core) != HA_ON) {
        text_add(ret_why, "not fenced: HA is paused, its VMs wait; stead ha resume");
        return true;
    }
    if (peers_ended(core, node->nodeid)) {
        return false; /* no failure: it said so */
    }
    return mass_loss(core, due, ret_why) || budget_spent(core, slot, ret_why);
}

void spare_draft(struct core *core, uint32_t slot, const struct text *why)
{
    const struct node_record *node = draft_peek_node(core, slot);
    struct acting *acting = &core->local.acting;
    ASSERT(why->length > 0);
    bool new_term = core->local.draft.delta.header.term != core->cluster.header.term;
    if ((acting->held & bit(slot)) != 0 || new_term ||
        core->cluster.header.feature_level < LEVEL_LEDGER) {
        return; /* who takes a term has time for it in the next commit */
    }
    struct text text = {0};
    text_add(text_add(text_add(&text, node->name), " is gone, and "), why->bytes);
    draft_history(core, HISTORY_FENCE_HELD, node->nodeid, NULL, text.bytes);
    acting->held |= bit(slot); /* in this term: whoever is back and leaves again ends it */
}

void spare_note_loss(const struct core *core, struct node_record *node)
{
    const struct settings *settings = &core->cluster.settings;
    bool asked = node->fence_wanted || node->removing;
    ASSERT(node->state == NODE_LOST);
    if (core->cluster.header.feature_level < LEVEL_LOSSES || peers_ended(core, node->nodeid)) {
        return;
    }
    uint64_t row_ms = IN_A_ROW + (uint64_t)timing_out_ms(settings, node->losses);
    if (ago_ms(core, node->lost_ms) >= row_ms) {
        node->losses = 0;
    }
    node->losses += !asked && node->losses < UINT32_MAX;
    node->lost_ms = core->local.wall_ms;
}

uint64_t spare_out_ms(const struct core *core, const struct node_record *node)
{
    uint64_t out_ms = timing_out_ms(&core->cluster.settings, node->losses);
    uint64_t since_ms = ago_ms(core, node->lost_ms);
    ASSERT(node->state < NODE_STATE_COUNT);
    return since_ms < out_ms ? out_ms - since_ms : 0;
}

bool spare_tell_late(const struct core *core, uint32_t slot, struct text *ret_text)
{
    const struct node_record *node = draft_peek_node(core, slot);
    uint64_t late_ms = missing(core, node) ? peers_late_ms(core, node->nodeid) : 0;
    ASSERT(core->local.peer_count <= NODES_MAX);
    if (late_ms == 0 || !core->local.ring.quorate || (holders(core) & bit(slot)) == 0) {
        return false;
    }
    text_add(text_add(ret_text, node->name), " was not here when the quorum came, and may be late: "
                                             "not fenced for ");
    text_add_u64(ret_text, late_ms / 1000 + 1);
    text_add(ret_text, " s yet; at once: stead node fence it");
    return true;
}

void spare_tell(const struct core *core, uint64_t due, uint32_t slot, struct text *ret_text)
{
    const struct node_record *node = draft_peek_node(core, slot);
    uint64_t out_ms = node->state == NODE_OUT ? spare_out_ms(core, node) : 0;
    *ret_text = (struct text){0};
    if (out_ms > 0) {
        text_add_u64(text_add(ret_text, "it failed "), node->losses);
        text_add_u64(text_add(ret_text, " times in a row and is kept out for "), out_ms / 1000 + 1);
        text_add(ret_text, " s more; at once: stead node unfence it");
    } else if (core->local.ring.quorate && (due & bit(slot)) != 0) {
        struct text why;
        if (spare_holds_back(core, due, slot, &why)) {
            *ret_text = why;
        }
    }
}
