/*
 * I6 and I8, asked of each commit that takes effect: what the cluster chose keeps to what is hard
 * (a place is admitted and has the memory), and whoever asks "why?" afterwards finds an answer:
 * each start, fence, admission and change of a VM has a history entry of its kind, with a cause.
 */
#include <string.h>

#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"
#include "tests/sim/sim_block.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_cpg.h"

#define HEARD_US (2 * SECOND)
#define FRESH_MARGIN_US (20 * MS) /* from the look at the clock to the call itself */

static const char *const node_words[NODE_STATE_COUNT] = {
    [NODE_FREE] = "free", [NODE_OUT] = "out",       [NODE_ADMITTED] = "admitted",
    [NODE_LOST] = "lost", [NODE_FENCED] = "fenced", [NODE_REMOVED] = "removed",
};
static const char *const vm_words[VM_STATE_COUNT] = {
    [VM_FREE] = "free",       [VM_STOPPED] = "stopped",   [VM_STARTING] = "starting",
    [VM_RUNNING] = "running", [VM_STOPPING] = "stopping", [VM_RECOVERING] = "recovering",
};

/* --- I8 --- */

static bool explained(const struct delta *delta, enum history_kind kind, const char *vm,
                      uint32_t nodeid)
{
    for (uint32_t i = 0; i < delta->count; i++) {
        const struct history_entry *entry = &delta->records[i].history;
        if (delta->records[i].kind == RECORD_HISTORY && !delta->records[i].removed &&
            (kind == HISTORY_NONE || entry->kind == kind) && entry->cause[0] != '\0' &&
            (vm == NULL || name_equal(entry->vm, vm)) && (nodeid == 0 || entry->nodeid == nodeid)) {
            return true;
        }
    }
    return false;
}

static void why_node(struct sim *sim, const struct delta *delta, const struct record *record)
{
    static const enum history_kind kinds[NODE_STATE_COUNT] = {
        [NODE_ADMITTED] = HISTORY_NODE_ADMITTED,
        [NODE_LOST] = HISTORY_NODE_LOST,
        [NODE_FENCED] = HISTORY_NODE_FENCED,
        [NODE_REMOVED] = HISTORY_NODE_REMOVED,
    };
    const struct node_record *before = &sim->rados.state->nodes[record->slot];
    const struct node_record *after = &record->node;
    bool same =
        before->state == after->state && incarnation_equal(before->incarnation, after->incarnation);
    enum history_kind kind = kinds[after->state];
    if (before->state == NODE_REMOVED && after->state == NODE_FENCED) {
        kind = HISTORY_NODE_JOINED; /* and its old entries come off as after any fence */
    }
    if (!same && !record->removed && !explained(delta, kind, NULL, after->nodeid)) {
        sim_violation(sim, "I8: nothing says why %s became %s", after->name,
                      node_words[after->state]);
    }
    if (!same && kind == HISTORY_NODE_FENCED && after->proofs == 0) {
        sim_violation(sim, "I8: %s is fenced and no proof is named", after->name);
    }
}

static void why_vm(struct sim *sim, const struct delta *delta, const struct record *record)
{
    const struct vm_record *before = &sim->rados.state->vms[record->slot];
    const struct vm_record *after = &record->vm;
    const char *name = record->removed ? before->name : after->name;
    if (record->removed) {
        if (!explained(delta, HISTORY_VM_REMOVED, name, 0)) {
            sim_violation(sim, "I8: nothing says why %s is removed", name);
        }
        return;
    }
    bool started = after->state == VM_STARTING && !action_id_equal(before->action, after->action);
    bool same = before->state == after->state && before->want == after->want && !started;
    if (!same && !explained(delta, started ? HISTORY_VM_STARTING : HISTORY_NONE, name, 0)) {
        sim_violation(sim, "I8: nothing says why %s went from %s to %s", name,
                      vm_words[before->state], vm_words[after->state]);
    }
}

void sim_check_why(struct sim *sim, const struct delta *delta)
{
    ASSERT(delta->count <= DELTA_RECORDS_MAX);
    for (uint32_t i = 0; i < delta->count; i++) {
        if (delta->records[i].kind == RECORD_NODE) {
            why_node(sim, delta, &delta->records[i]);
        } else if (delta->records[i].kind == RECORD_VM) {
            why_vm(sim, delta, &delta->records[i]);
        }
    }
}

void sim_check_refusal(struct sim *sim, const struct sim_command *command)
{
    if (command->text[0] == '\0') {
        sim_violation(sim, "I8: refused without a reason: %s", command->step->words);
    }
}

/* --- fresh --- */

/* What only a node may do that was in a quorate ring less than fresh_ms ago: whatever names until
 * when it is valid, and what must. A ring that works is less than the core asks for. */
void sim_check_fresh(struct sim *sim, const struct sim_call *call)
{
    const struct core *core = sim->hosts[call->node].agent.core;
    bool must = call->action.kind == ACTION_POWER || call->action.kind == ACTION_DOMAIN_RESUME;
    if ((call->action.valid_until_ms == 0 && !must) || sim_cpg_works(sim, call->node)) {
        return;
    }
    uint64_t since_us = sim->now_us - sim_cpg_worked_us(sim, call->node);
    uint64_t fresh_us = core->cluster.settings.fresh_ms * MS;
    if (since_us > fresh_us + fresh_us / 100 + FRESH_MARGIN_US) {
        sim_violation(sim, "fresh: %s acts (%d) %llu ms after its ring last worked",
                      sim->story->nodes[call->node].name, (int)call->action.kind,
                      (unsigned long long)(since_us / MS));
    }
}

/* --- entries --- */

/* In one working ring with `node` for long enough to have been heard, under another boot than the
 * one that is being fenced. */
static bool is_back(const struct sim *sim, uint32_t node, uint32_t target)
{
    const struct sim_host *host = &sim->hosts[target];
    const struct node_record *record = &sim->rados.state->nodes[target];
    const struct sim_member *here = &sim->cpg.members[node];
    const struct sim_member *there = &sim->cpg.members[target];
    return node != target && host->up && !host->frozen && host->agent.alive &&
           here->ring == there->ring && sim_cpg_works(sim, node) &&
           sim->now_us - there->came_us > HEARD_US && sim->now_us - here->came_us > HEARD_US &&
           sim->now_us - host->agent.began_us > HEARD_US &&
           sim->now_us > host->agent.hung_until_us + HEARD_US && /* nor does one that hangs speak */
           uuid_equal(&host->machine, &record->machine) &&
           !uuid_equal(&host->boot, &record->boot) && record->state == NODE_LOST;
}

void sim_check_entries(struct sim *sim, uint32_t node, const struct action *action)
{
    for (uint32_t i = 0; action->kind == ACTION_BLOCK_ADD && i < action->block.count; i++) {
        struct sim_address entry;
        bool known = sim_address_parse(sim, &action->block.entries[i], &entry);
        if (known && entry.nonce == 0 && is_back(sim, node, entry.host)) {
            sim_violation(sim, "entries: %s bars the address of %s, which is back",
                          sim->story->nodes[node].name, sim->story->nodes[entry.host].name);
        }
    }
}

/* --- I6 --- */

static void check_place(struct sim *sim, const struct vm_record *vm)
{
    const struct cluster *state = sim->rados.state;
    const struct node_record *node = &state->nodes[vm->node];
    uint64_t used_mib = 0;
    for (uint32_t i = 0; i < state->vm_end; i++) {
        const struct vm_record *other = &state->vms[i];
        bool there = other->state == VM_STARTING || other->state == VM_RUNNING ||
                     other->state == VM_STOPPING;
        used_mib += there && other->node == vm->node ? other->memory_mib : 0;
    }
    if (node->state != NODE_ADMITTED) {
        sim_violation(sim, "I6: %s is placed on %s, which takes no part", vm->name, node->name);
    }
    if (used_mib > node->memory_mib) {
        sim_violation(sim, "I6: %s is placed on %s, which has no memory for it", vm->name,
                      node->name);
    }
}

void sim_check_places(struct sim *sim, const struct delta *delta)
{
    for (uint32_t i = 0; i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        if (record->kind == RECORD_VM && !record->removed && record->vm.state == VM_STARTING &&
            explained(delta, HISTORY_VM_STARTING, record->vm.name, 0)) { /* not a later change */
            check_place(sim, &record->vm);
        }
    }
}
