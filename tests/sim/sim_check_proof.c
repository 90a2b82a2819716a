/*
 * The checker of who may be taken over by which proof (I2): by the VM's own policy, of that very
 * life of its holder. Asked of the records, and of the world: where the barrier alone does not
 * suffice, no guest of it may live on that host, blocklisted or not.
 */
#include "proto/values.h"
#include "storage/state.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_rados.h"

uint32_t sim_check_policy(const struct sim *sim, const struct vm_record *vm)
{
    const struct cluster *state = sim->rados.state;
    return vm->class_slot == 0 ? state->settings.proof : state->set[vm->class_slot].value;
}

bool sim_check_spared(const struct sim *sim, uint32_t node)
{
    const struct sim_host *host = &sim->hosts[node];
    return host->watchdog_spared || host->watchdog == SIM_WATCHDOG_NEVER;
}

static bool suffices(uint32_t proofs, uint32_t policy)
{
    const uint32_t always = PROOF_REBORN | PROOF_CLEAN | PROOF_OPERATOR;
    return (proofs & PROOF_STORAGE) != 0 && (proofs & (policy | always)) != 0;
}

static bool held(const struct vm_record *vm)
{
    return vm->state != VM_FREE && vm->state != VM_STOPPED;
}

static const struct record *find(const struct delta *delta, enum record_kind kind, uint32_t slot)
{
    for (uint32_t i = 0; i < delta->count; i++) {
        if (delta->records[i].kind == kind && delta->records[i].slot == slot) {
            return &delta->records[i];
        }
    }
    return NULL;
}

/* A device of its that says off and is not, at any time of the story: nobody can see through that.
 */
static bool lies(const struct sim *sim, uint32_t node)
{
    const struct scenario_node *line = &sim->story->nodes[node];
    bool any = line->bmc == SIM_BMC_LIES_OFF || line->pdus[0] == SIM_BMC_LIES_OFF ||
               line->pdus[1] == SIM_BMC_LIES_OFF;
    for (uint32_t i = 0; i < sim->story->step_count; i++) {
        const struct scenario_step *step = &sim->story->steps[i];
        any =
            any || (step->kind == STEP_BMC && step->node == node && step->bmc == SIM_BMC_LIES_OFF);
    }
    return any;
}

/* Its guest lives where it was, and its host can have been proven dead by nobody's word, nor by a
 * watchdog that never fires or that its keeper's death fed once more. */
static void check_truth(struct sim *sim, const struct vm_record *before, uint32_t proofs)
{
    uint32_t v = sim_vm_by_uuid(sim, &before->uuid);
    bool barred = (sim_check_policy(sim, before) & PROOF_STORAGE) != 0;
    bool spared = (proofs & PROOF_WATCHDOG) != 0 && sim_check_spared(sim, before->node);
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        bool lives = guest->vm == v && guest->node == before->node && guest->alive &&
                     guest->order != 0 && !guest->by_hand && !guest->moved;
        if (lives && !barred && !spared && (proofs & PROOF_OPERATOR) == 0 &&
            !lies(sim, before->node)) {
            sim_violation(sim,
                          "I2: %s is taken over by less than its policy: its guest on %s lives",
                          before->name, sim->story->nodes[before->node].name);
        }
    }
}

static void check_vm(struct sim *sim, const struct delta *delta, const struct record *record)
{
    const struct cluster *state = sim->rados.state;
    const struct vm_record *before = &state->vms[record->slot];
    const struct vm_record *after = &record->vm;
    bool same = !record->removed && held(after) && after->node == before->node &&
                incarnation_equal(after->incarnation, before->incarnation);
    if (!held(before) || before->node >= sim->node_count || same ||
        state_incarnation_lives(state, before->node, before->incarnation)) {
        return;
    }
    const struct record *holder = find(delta, RECORD_NODE, before->node);
    const struct node_record *node = holder != NULL ? &holder->node : &state->nodes[before->node];
    bool its_life = incarnation_equal(node->incarnation, before->incarnation);
    if (its_life &&
        (node->state == NODE_LOST || !suffices(node->proofs, sim_check_policy(sim, before)))) {
        sim_violation(sim, "I2: %s is taken over from %s by less than its policy asks for",
                      before->name, node->name);
    }
    check_truth(sim, before, its_life ? node->proofs : PROOF_OPERATOR);
}

/* It is let in anew: who waits for a proof of its last life could not get one any more. */
static void check_node(struct sim *sim, const struct delta *delta, const struct record *record)
{
    const struct cluster *state = sim->rados.state;
    const struct node_record *before = &state->nodes[record->slot];
    if (before->state != NODE_FENCED || record->node.state != NODE_OUT) {
        return;
    }
    for (uint32_t slot = 0; slot < state->vm_end; slot++) {
        const struct record *change = find(delta, RECORD_VM, slot);
        const struct vm_record *vm = change != NULL ? &change->vm : &state->vms[slot];
        if (held(vm) && vm->node == record->slot &&
            incarnation_equal(vm->incarnation, before->incarnation) &&
            !suffices(record->node.proofs, sim_check_policy(sim, vm))) {
            sim_violation(sim, "I2: %s is let in anew, and %s waits for a proof of its last life",
                          before->name, vm->name);
        }
    }
}

void sim_check_proofs(struct sim *sim, const struct delta *delta)
{
    for (uint32_t i = 0; i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        if (record->kind == RECORD_VM) {
            check_vm(sim, delta, record);
        } else if (record->kind == RECORD_NODE && !record->removed &&
                   record->slot < sim->node_count) {
            check_node(sim, delta, record);
        }
    }
}
