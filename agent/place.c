/*
 * Choosing a place.
 *
 * Decides: the survivor with the fewest VMs that has the memory and could be proven dead by the
 * VM's policy (both hard), ties by slot. A node where the VM failed to start, or whose agent is
 * restless, is taken only when no other is left; one where it ended by itself before any other (its
 * image is in the caches there). Assumes: a VM weighs on its node in every state but stopped,
 * recovering ones included only where they are placed anew. Memory may be kept for a more urgent VM
 * whose fate is still open: a lesser one does not take it. Never: picks a node that is not a fresh,
 * speaking member with its storage and its libvirt.
 */
#include "agent/place.h"

#include <stddef.h>
#include <string.h>

#include "agent/draft.h"
#include "agent/peers.h"
#include "fencing/power.h"
#include "proto/assert.h"
#include "proto/values.h"

static bool able(const struct core *core, uint32_t slot)
{
    const struct node_record *node = draft_peek_node(core, slot);
    uint64_t bit = UINT64_C(1) << slot;
    if (node->state != NODE_ADMITTED || (core->local.draft.delta.header.members & bit) == 0) {
        return false;
    }
    const struct peer *peer = peers_see(core, node->nodeid);
    return peer != NULL && peers_speaks(core, peer) && peer->beat.able && peer->beat.libvirt &&
           incarnation_equal(peer->beat.incarnation, node->incarnation) &&
           client_equal(&peer->beat.client, &node->client);
}

void place_add(struct loads *loads, uint8_t node, uint32_t memory_mib)
{
    ASSERT(node < NODES_MAX);
    loads->vm_count[node]++;
    loads->used_mib[node] += memory_mib;
}

uint64_t place_lawful(const struct loads *loads, uint32_t policy)
{
    ASSERT((loads->armed & ~loads->able) == 0);
    ASSERT((loads->powered & ~loads->able) == 0);
    if ((policy & PROOF_WATCHDOG) == 0 || (policy & PROOF_STORAGE) != 0) {
        return loads->able;
    }
    return loads->armed | ((policy & PROOF_POWER) != 0 ? loads->powered : 0);
}

void place_keep(struct loads *loads, uint32_t memory_mib, uint32_t policy, uint64_t avoid)
{
    uint8_t node = place_choose(loads, memory_mib, policy, 0, avoid);
    if (node != NODE_NONE) {
        loads->used_mib[node] += memory_mib;
        loads->kept_mib[node] += memory_mib;
    }
}

bool place_is_kept_out(const struct loads *loads, uint32_t memory_mib, uint32_t policy)
{
    const uint64_t lawful = place_lawful(loads, policy);
    for (uint8_t slot = 0; slot < NODES_MAX; slot++) {
        ASSERT(loads->kept_mib[slot] <= loads->used_mib[slot]);
        uint64_t used_mib = loads->used_mib[slot] - loads->kept_mib[slot];
        if ((lawful & (UINT64_C(1) << slot)) != 0 && loads->kept_mib[slot] > 0 &&
            used_mib + memory_mib <= loads->memory_mib[slot]) {
            return true;
        }
    }
    return false;
}

void place_loads(const struct core *core, struct loads *ret_loads)
{
    ASSERT(core->local.draft.open);
    memset(ret_loads, 0, sizeof(*ret_loads));
    bool counted = core->cluster.header.feature_level >= LEVEL_WATCHDOG;
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *node = draft_peek_node(core, slot);
        ret_loads->memory_mib[slot] = node->memory_mib;
        if (able(core, slot)) {
            bool restless = peers_see(core, node->nodeid)->beat.restarts != 0;
            ret_loads->able |= UINT64_C(1) << slot;
            ret_loads->armed |= node->watchdog || !counted ? UINT64_C(1) << slot : 0;
            ret_loads->powered |= power_has_level(node) ? UINT64_C(1) << slot : 0;
            ret_loads->restless |= restless ? UINT64_C(1) << slot : 0;
        }
    }
    const uint32_t end = draft_vm_end(core);
    for (uint32_t slot = 0; slot < end; slot++) {
        const struct vm_record *vm = draft_peek_vm(core, slot);
        bool placed =
            vm->state == VM_STARTING || vm->state == VM_RUNNING || vm->state == VM_STOPPING;
        if (placed && vm->node < NODES_MAX) {
            place_add(ret_loads, vm->node, vm->memory_mib);
        }
    }
}

static uint8_t fewest(const struct loads *loads, uint32_t memory_mib, uint64_t among)
{
    uint8_t best = NODE_NONE;
    for (uint8_t slot = 0; slot < NODES_MAX; slot++) {
        bool fits = (among & (UINT64_C(1) << slot)) != 0 &&
                    loads->used_mib[slot] + memory_mib <= loads->memory_mib[slot];
        if (fits && (best == NODE_NONE || loads->vm_count[slot] < loads->vm_count[best])) {
            best = slot;
        }
    }
    return best;
}

uint8_t place_choose(const struct loads *loads, uint32_t memory_mib, uint32_t policy,
                     uint64_t prefer, uint64_t avoid)
{
    const uint64_t lawful = place_lawful(loads, policy);
    const uint64_t steady = lawful & ~avoid & ~loads->restless;
    const uint64_t tries[] = {steady & prefer, steady, lawful & ~avoid, lawful};
    uint8_t node = NODE_NONE;
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]) && node == NODE_NONE; i++) {
        node = fewest(loads, memory_mib, tries[i]);
    }
    ASSERT(node == NODE_NONE || (loads->able & (UINT64_C(1) << node)) != 0);
    return node;
}
