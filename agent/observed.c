/*
 * What nodes tell of their VMs.
 *
 * Decides: whether a told fact answers the present record (same node, same life, same action), and
 * what follows: running, stopped, or a failed start to be tried elsewhere. Facts are repeated with
 * each heartbeat until reflected, so one may be dropped here without loss. Never: believes a fact
 * of an earlier life or for an earlier action.
 */
#include "agent/observed.h"

#include <string.h>

#include "agent/draft.h"
#include "agent/ends.h"
#include "agent/hand.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/text.h"
#include "proto/values.h"
#include "storage/state.h"

#define ROOM_PER_FACT 2

/* Does this fact answer the VM's record as it is (or is drafted) now? */
static bool answers(const struct core *core, const struct observed *observed)
{
    const struct observation *fact = &observed->fact;
    if (fact->slot >= core->cluster.vm_end) {
        return false;
    }
    const struct vm_record *vm = draft_peek_vm(core, fact->slot);
    if (fact->kind == OBSERVED_BY_HAND) {
        return vm->state != VM_FREE && uuid_equal(&vm->uuid, &fact->vm) &&
               state_incarnation_lives(&core->cluster, observed->node, observed->incarnation) &&
               hand_is_new(core, fact);
    }
    bool same = vm->state != VM_FREE && uuid_equal(&vm->uuid, &fact->vm) &&
                vm->node == observed->node &&
                incarnation_equal(vm->incarnation, observed->incarnation) &&
                action_id_equal(vm->action, fact->action) &&
                state_incarnation_lives(&core->cluster, vm->node, vm->incarnation);
    if (!same) {
        return false;
    }
    if (fact->kind == OBSERVED_RUNNING) {
        return vm->state == VM_STARTING;
    }
    if (fact->kind == OBSERVED_CONDITION) {
        return vm->state == VM_RUNNING && vm->condition.trouble != fact->trouble;
    }
    return vm->state == VM_STARTING || vm->state == VM_RUNNING || vm->state == VM_STOPPING;
}

void observed_on_beat(struct core *core, const struct beat *beat)
{
    struct local *local = &core->local;
    uint8_t node = state_find_node(&core->cluster, beat->nodeid);
    ASSERT(beat->observation_count <= OBSERVATIONS_MAX);
    for (uint32_t i = 0; node != NODE_NONE && i < beat->observation_count; i++) {
        struct observed observed = {node, beat->incarnation, beat->observations[i]};
        if (!answers(core, &observed)) {
            continue;
        }
        uint32_t at = 0;
        while (at < local->observed_count && local->observed[at].fact.slot != observed.fact.slot) {
            at++;
        }
        if (at < OBSERVED_MAX) {
            local->observed[at] = observed;
            local->observed_count += at == local->observed_count;
        }
    }
}

void observed_prune(struct core *core)
{
    struct local *local = &core->local;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < local->observed_count; i++) {
        if (answers(core, &local->observed[i])) {
            if (kept != i) {
                local->observed[kept] = local->observed[i];
            }
            kept++;
        }
    }
    local->observed_count = kept;
}

static void draft_running(struct core *core, const struct observed *observed)
{
    struct vm_record *vm = draft_vm(core, observed->fact.slot);
    vm->state = VM_RUNNING;
    vm->generation = observed->fact.generation;
    vm->attempts = 0;
    vm->avoid = 0;
    vm->prefer = 0;
    ends_forget_condition(vm);
    memset(vm->reason, 0, TEXT_BYTES);
    const struct node_record *node = draft_peek_node(core, observed->node);
    struct text text = {0};
    text_add(text_add(&text, "runs on "), node->name);
    draft_history(core, HISTORY_VM_RUNNING, node->nodeid, vm, text.bytes);
}

static void draft_stopped(struct core *core, const struct observed *observed)
{
    struct vm_record *vm = draft_vm(core, observed->fact.slot);
    const struct node_record *node = draft_peek_node(core, observed->node);
    if (vm->state != VM_STOPPING) {
        ends_draft(core, observed);
        return;
    }
    vm->state = VM_STOPPED;
    vm->node = NODE_NONE;
    vm->incarnation = (struct incarnation){0};
    vm->generation = observed->fact.generation;
    ends_forget_condition(vm);
    struct text text = {0};
    text_add(text_add(&text, "stopped on "), node->name);
    draft_history(core, HISTORY_VM_STOPPED, node->nodeid, vm, text.bytes);
}

/* The start failed and nothing of it is left there. Whoever holds the lease now decides what next.
 */
static void draft_failed(struct core *core, const struct observed *observed)
{
    const struct observation *fact = &observed->fact;
    struct vm_record *vm = draft_vm(core, fact->slot);
    const struct node_record *node = draft_peek_node(core, observed->node);
    vm->attempts++;
    vm->generation = fact->generation;
    name_set(vm->reason, TEXT_BYTES, fact->reason);
    core->local.acting.vm_retry_ms[fact->slot] = core->local.now_ms;
    if (fact->lease == LEASE_HELD && fact->lease_holder != 0) {
        vm->state = VM_RECOVERING;
        vm->node = state_find_node(&core->cluster, fact->lease_holder);
        vm->incarnation = fact->lease_incarnation;
        if (state_incarnation_lives(&core->cluster, vm->node, vm->incarnation)) {
            vm->state = VM_STARTING; /* follow the lease: its holder runs it or gives it back */
            vm->action = draft_action(core);
            vm->generation = GENERATION_UNKNOWN;
        }
    } else {
        vm->state = VM_STOPPED;
        vm->node = NODE_NONE;
        vm->incarnation = (struct incarnation){0};
        vm->avoid |= UINT64_C(1) << observed->node;
        core->local.acting.vm_retry_ms[fact->slot] +=
            vm->attempts == 1 ? 0 : timing_retry_ms(&core->cluster.settings, vm->attempts - 2);
    }
    struct text text = {0};
    text_add(text_add(&text, "start failed on "), node->name);
    text_add(text_add(&text, ": "), fact->reason);
    draft_history(core, HISTORY_VM_FAILED, node->nodeid, vm, text.bytes);
}

void observed_draft(struct core *core)
{
    for (uint32_t i = 0; i < core->local.observed_count; i++) {
        const struct observed *observed = &core->local.observed[i];
        if (draft_room(core) < ROOM_PER_FACT || !answers(core, observed)) {
            continue;
        }
        switch (observed->fact.kind) {
        case OBSERVED_RUNNING:
            draft_running(core, observed);
            break;
        case OBSERVED_STOPPED:
            draft_stopped(core, observed);
            break;
        case OBSERVED_START_FAILED:
            draft_failed(core, observed);
            break;
        case OBSERVED_CONDITION:
            ends_draft_condition(core, observed);
            break;
        case OBSERVED_BY_HAND:
            hand_draft(core, observed);
            break;
        case OBSERVED_NONE:
            break;
        }
    }
}
