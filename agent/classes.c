/*
 * Classes of VMs.
 *
 * Decides: which proofs release a VM: those of its class, or of the cluster where it has none; and
 * whether the life of a node that holds it is proven to be over by these. A node is fenced once its
 * proofs release somebody; each VM goes on by its own policy, and what comes to be proven later
 * counts. What was proven is told by the node's record while it holds that very life; it is let in
 * anew only when nobody waits for a proof of it any more (agent/nodes.c), so an earlier life is a
 * proven one.
 * Assumes: a class that VMs are of is not taken away, and gains or loses `watchdog` only while none
 * of them is anywhere (agent/request_class.c): so a host that is cut off and the acting node never
 * differ about which guests must be dead by a deadline. Never: takes a class that is not there for
 * the cluster's policy: then only what always counts releases its VMs.
 */
#include "agent/classes.h"

#include "agent/draft.h"
#include "fencing/proof.h"
#include "proto/assert.h"
#include "proto/values.h"

uint32_t classes_find(const struct core *core, const char *name)
{
    ASSERT(name[0] != '\0');
    for (uint32_t slot = SETTINGS_MAX; slot < SETTING_SLOTS; slot++) {
        const struct setting_record *class = draft_peek_setting(core, slot);
        if (class->set_ms != 0 && name_equal(class->name, name)) {
            return slot;
        }
    }
    return 0;
}

const char *classes_name(const struct cluster *cluster, const struct vm_record *vm)
{
    ASSERT(vm->class_slot < SETTING_SLOTS);
    ASSERT(vm->class_slot == 0 || vm->class_slot >= SETTINGS_MAX);
    return vm->class_slot == 0 ? "" : cluster->set[vm->class_slot].name;
}

uint32_t classes_policy(const struct cluster *cluster, const struct vm_record *vm)
{
    ASSERT(vm->class_slot < SETTING_SLOTS);
    ASSERT(vm->class_slot == 0 || vm->class_slot >= SETTINGS_MAX);
    return vm->class_slot == 0 ? cluster->settings.proof
                               : proof_known(cluster->set[vm->class_slot].value);
}

bool classes_rest_on_time(const struct cluster *cluster, uint32_t proof)
{
    bool any = proof_rests_on_time(proof);
    for (uint32_t slot = SETTINGS_MAX; slot < SETTING_SLOTS; slot++) {
        any = any || proof_rests_on_time(proof_known(cluster->set[slot].value));
    }
    return any;
}

bool classes_mortal(const struct cluster *cluster, uint32_t slot)
{
    ASSERT(slot <= VMS_MAX);
    return slot == VMS_MAX ? classes_rest_on_time(cluster, cluster->settings.proof)
                           : proof_rests_on_time(classes_policy(cluster, &cluster->vms[slot]));
}

bool classes_proven(const struct core *core, const struct vm_record *vm, uint8_t node,
                    struct incarnation life)
{
    ASSERT(node < NODES_MAX);
    const struct node_record *holder = draft_peek_node(core, node);
    if (!incarnation_equal(holder->incarnation, life)) {
        return true;
    }
    if (holder->state == NODE_LOST) {
        return false;
    }
    return holder->state != NODE_FENCED ||
           proof_suffices(holder->proofs, classes_policy(&core->cluster, vm));
}

uint32_t classes_waiting(const struct core *core, uint32_t node, uint32_t proofs)
{
    uint32_t count = 0;
    ASSERT(node < NODES_MAX);
    const struct incarnation life = draft_peek_node(core, node)->incarnation;
    const uint32_t end = draft_vm_end(core);
    for (uint32_t slot = 0; slot < end; slot++) {
        const struct vm_record *vm = draft_peek_vm(core, slot);
        bool holds = vm->state != VM_FREE && vm->state != VM_STOPPED && vm->node == node &&
                     incarnation_equal(vm->incarnation, life);
        count += holds && !proof_suffices(proofs, classes_policy(&core->cluster, vm));
    }
    return count;
}
