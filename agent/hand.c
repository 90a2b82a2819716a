/*
 * People who work past stead.
 *
 * Decides: that each copy of a VM that somebody started without its lease is written down once,
 * with the host it was on. What becomes of it does not depend on that: its lease decides, and it is
 * killed at once (run_start.c). Assumes: a fact may be told to several actors, and reach one twice;
 * its token, kept in the entry, tells. Never: delays a kill for the record.
 */
#include "agent/hand.h"

#include <string.h>

#include "agent/draft.h"
#include "proto/assert.h"
#include "proto/text.h"
#include "proto/values.h"
#include "storage/state.h"

static bool written(const struct core *core, uint64_t token)
{
    for (uint32_t i = 0; i < HISTORY_MAX; i++) {
        const struct history_entry *entry = &core->cluster.history[i];
        if (entry->kind == HISTORY_VM_BY_HAND && entry->number == token) {
            return true;
        }
    }
    return false;
}

void hand_note(struct core *core, const struct uuid *vm)
{
    struct local *local = &core->local;
    ASSERT(!uuid_is_zero(vm));
    for (uint32_t i = 0; i < HANDS_MAX; i++) {
        struct hand *hand = &local->hands[i];
        if (hand->token != 0 && uuid_equal(&hand->vm, vm)) {
            return; /* being told already */
        }
    }
    for (uint32_t i = 0; i < HANDS_MAX; i++) {
        struct hand *hand = &local->hands[i];
        if (hand->token == 0) {
            *hand = (struct hand){*vm, local->facts.agent_start ^ ++local->next_counter};
            return;
        }
    }
}

void hand_fill_observations(struct core *core, struct beat *beat)
{
    for (uint32_t i = 0; i < HANDS_MAX; i++) {
        struct hand *hand = &core->local.hands[i];
        if (hand->token == 0 || beat->observation_count == OBSERVATIONS_MAX) {
            continue;
        }
        uint32_t slot = state_find_vm_uuid(&core->cluster, &hand->vm);
        if (slot == VMS_MAX || written(core, hand->token)) {
            *hand = (struct hand){{{0}}, 0};
            continue;
        }
        beat->observations[beat->observation_count++] = (struct observation){
            .slot = slot, .vm = hand->vm, .kind = OBSERVED_BY_HAND, .generation = hand->token};
    }
}

bool hand_is_new(const struct core *core, const struct observation *fact)
{
    ASSERT(fact->kind == OBSERVED_BY_HAND);
    return fact->generation != 0 && !written(core, fact->generation);
}

void hand_draft(struct core *core, const struct observed *observed)
{
    const struct node_record *node = draft_peek_node(core, observed->node);
    const struct vm_record *vm = draft_peek_vm(core, observed->fact.slot);
    struct text text = {0};
    text_add(text_add(&text, "somebody started it on "), node->name);
    text_add(&text, " past stead, without its run lease: that copy was killed");
    draft_history(core, HISTORY_VM_BY_HAND, node->nodeid, vm, text.bytes)->number =
        observed->fact.generation;
}
