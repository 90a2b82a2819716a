/*
 * The fence ledger.
 *
 * Decides: what is kept of a fence, and for how long. Whatever concerns one is an entry of the
 * history like any other decision: who was lost, why and in whose term; the barrier with its
 * entries, the map that holds them, tries and duration; each try of the BMC with its answer and
 * duration; the proof that let the VMs go; a person's word; the end of it. The recovery of two
 * hundred VMs would push all that out of the history within seconds, so each such entry is kept
 * once more, among LEDGER_MAX of its kind only.
 * Assumes: entries are numbered as they are drafted. Never: decides anything by the ledger.
 */
#include "agent/ledger.h"

#include "agent/draft.h"
#include "fencing/fence.h"
#include "proto/assert.h"
#include "proto/values.h"

bool ledger_keeps(const struct core *core, enum history_kind kind, uint32_t nodeid)
{
    ASSERT(kind < HISTORY_KIND_COUNT);
    bool about_fences = kind == HISTORY_NODE_LOST || kind == HISTORY_BARRIER ||
                        kind == HISTORY_BMC || kind == HISTORY_NODE_FENCED ||
                        kind == HISTORY_NODE_UNFENCED || kind == HISTORY_NODE_REMOVED ||
                        kind == HISTORY_FENCE_HELD;
    bool asked = kind == HISTORY_REQUEST && nodeid != 0; /* a person: for a fence, or its end */
    return (about_fences || asked) && core->cluster.header.feature_level >= LEVEL_LEDGER;
}

uint32_t ledger_slot(const struct cluster *cluster, const bool taken[LEDGER_MAX])
{
    uint32_t oldest = LEDGER_MAX;
    for (uint32_t i = 0; i < LEDGER_MAX; i++) {
        uint64_t sequence = cluster->history[HISTORY_MAX + i].sequence;
        if (!taken[i] &&
            (oldest == LEDGER_MAX || sequence < cluster->history[HISTORY_MAX + oldest].sequence)) {
            oldest = i;
        }
    }
    ASSERT(oldest < LEDGER_MAX);
    return HISTORY_MAX + oldest;
}

const struct history_entry *ledger_next(const struct cluster *cluster, uint64_t first)
{
    const struct history_entry *next = NULL;
    for (uint32_t i = HISTORY_MAX; i < HISTORY_SLOTS; i++) {
        const struct history_entry *entry = &cluster->history[i];
        if (entry->sequence != 0 && entry->sequence >= first &&
            (next == NULL || entry->sequence < next->sequence)) {
            next = entry;
        }
    }
    return next;
}

/* "barrier of n3: 10.0.0.3:0/0 and 10.0.0.3:0/77 read back from osd epoch 57 after 41 ms" */
static void draft_barrier(struct core *core, const struct node_record *node, struct fence *fence)
{
    struct text text = {0};
    text_add(text_add(text_add(&text, "barrier of "), node->name), ": ");
    if (client_is_none(&node->client)) {
        text_add(&text, "its agent never had a client");
    } else {
        struct client address = client_address_entry(&node->client);
        text_add(text_add(&text, fence->address ? address.address : ""),
                 fence->address ? " and " : "");
        text_add(text_add(&text, node->client.address), " read back from osd epoch ");
        text_add_u64(&text, fence->osd_epoch);
        text_add_u64(text_add(&text, " after "), fence->stands_ms - fence->begun_ms);
        text_add(&text, " ms");
    }
    if (fence->barrier_tries > 0) {
        text_add_u64(text_add(&text, ", tries before: "), fence->barrier_tries);
    }
    draft_history(core, HISTORY_BARRIER, node->nodeid, NULL, text.bytes)->number = fence->osd_epoch;
    fence->barrier_told = true;
}

static const char *power_words(const struct power *power)
{
    switch (power->state) {
    case POWER_OFF:
        return ": off, read back, after ";
    case POWER_FAILED:
        return ": not proven off, after ";
    case POWER_ON_ENDED:
        return power->on ? ": on again, after " : ": not switched on again, after ";
    case POWER_UNTRIED:
    case POWER_ASKED:
    case POWER_READING:
    case POWER_ON_ASKED:
    case POWER_STATE_COUNT:
        return NULL; /* it has not ended */
    }
    return NULL;
}

static void draft_power(struct core *core, uint32_t slot, const struct node_record *node,
                        struct power *power)
{
    const char *words = power_words(power);
    if (words == NULL || power->told) {
        return;
    }
    bool off = power->state == POWER_OFF;
    struct text text = {0};
    text_add(text_add(text_add(&text, "power of "), node->name), words);
    text_add_u64(&text, power->ended_ms - power->begun_ms);
    text_add(&text, " ms; ");
    if (power->tries > 1 && power->state != POWER_ON_ENDED) {
        text_add(text_add_u64(text_add(&text, "try "), power->tries), "; ");
    }
    text_add(&text, power->text);
    bool done = off || (power->state == POWER_ON_ENDED && power->on);
    draft_history(core, HISTORY_BMC, node->nodeid, NULL, text.bytes)->number =
        done ? OUTCOME_DONE : OUTCOME_FAILED;
    if (off) {
        draft_node(core, slot)->proofs |= PROOF_POWER;
    } else if (power->state == POWER_ON_ENDED) {
        draft_node(core, slot)->power_on = false;
    }
    power->told = true;
}

void ledger_draft(struct core *core, uint32_t slot)
{
    const struct node_record *node = draft_peek_node(core, slot);
    struct fence *fence = &core->local.acting.fences[slot];
    ASSERT(slot < NODES_MAX);
    if (!incarnation_equal(fence->incarnation, node->incarnation)) {
        return; /* not begun by us */
    }
    if (fence->state == FENCE_STANDS && !fence->barrier_told &&
        core->cluster.header.feature_level >= LEVEL_LEDGER) {
        draft_barrier(core, node, fence);
    }
    draft_power(core, slot, node, &fence->power);
}
