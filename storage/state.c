/*
 * The copy of the committed cluster state.
 *
 * Decides: whether a delta follows the copy, and what the copy is after it. Records carry whole
 * values, so applying one twice, or over a page that already held it, gives the same (that is what
 * makes a paged read under commits come out right). The digest is a sum over the records, so each
 * replacement subtracts the old value's digest and adds the new one's (I3).
 * Assumes: deltas were validated when decoded. Never: changes a copy partly and calls it good.
 */
#include "storage/state.h"

#include <stddef.h>
#include <string.h>

#include "proto/assert.h"
#include "proto/digest.h"
#include "proto/settings.h"
#include "proto/values.h"

static uint64_t digest_of_slot(const struct cluster *cluster, enum record_kind kind, uint32_t slot)
{
    switch (kind) {
    case RECORD_NODE:
        ASSERT(slot < NODES_MAX);
        return digest_node(slot, &cluster->nodes[slot]);
    case RECORD_VM:
        ASSERT(slot < VMS_MAX);
        return digest_vm(slot, &cluster->vms[slot]);
    case RECORD_SETTING:
        ASSERT(slot < SETTING_SLOTS);
        return digest_setting(slot, &cluster->set[slot]);
    case RECORD_HISTORY:
        ASSERT(slot < HISTORY_SLOTS);
        return digest_history(slot, &cluster->history[slot]);
    case RECORD_KIND_COUNT:
        break;
    }
    IMPOSSIBLE("record kind");
    return 0;
}

uint32_t state_slots(enum record_kind kind)
{
    static const uint32_t slots[RECORD_KIND_COUNT] = {[RECORD_NODE] = NODES_MAX,
                                                      [RECORD_VM] = VMS_MAX,
                                                      [RECORD_SETTING] = SETTING_SLOTS,
                                                      [RECORD_HISTORY] = HISTORY_SLOTS};
    ASSERT(kind < RECORD_KIND_COUNT);
    ASSERT(slots[kind] > 0);
    return slots[kind];
}

struct record state_record(const struct cluster *cluster, enum record_kind kind, uint32_t slot)
{
    struct record record = {.kind = kind, .slot = slot};
    ASSERT(kind < RECORD_KIND_COUNT);
    ASSERT(slot < state_slots(kind));
    if (kind == RECORD_NODE) {
        record.node = cluster->nodes[slot];
        record.removed = record.node.state == NODE_FREE;
    } else if (kind == RECORD_VM) {
        record.vm = cluster->vms[slot];
        record.removed = record.vm.state == VM_FREE;
    } else if (kind == RECORD_SETTING) {
        record.setting = cluster->set[slot];
        record.removed = record.setting.set_ms == 0;
    } else {
        record.history = cluster->history[slot];
        record.removed = record.history.sequence == 0;
    }
    return record;
}

static uint64_t digest_of_record(const struct record *record)
{
    if (record->removed) {
        return 0;
    }
    switch (record->kind) {
    case RECORD_NODE:
        return digest_node(record->slot, &record->node);
    case RECORD_VM:
        return digest_vm(record->slot, &record->vm);
    case RECORD_SETTING:
        return digest_setting(record->slot, &record->setting);
    case RECORD_HISTORY:
        return digest_history(record->slot, &record->history);
    case RECORD_KIND_COUNT:
        break;
    }
    IMPOSSIBLE("record kind");
    return 0;
}

static void set_vm(struct cluster *cluster, uint32_t slot, const struct record *record)
{
    ASSERT(slot < VMS_MAX);
    if (record->removed) {
        memset(&cluster->vms[slot], 0, sizeof(cluster->vms[slot]));
    } else {
        cluster->vms[slot] = record->vm;
    }
    if (slot >= cluster->vm_end) {
        cluster->vm_end = slot + 1;
    }
    while (cluster->vm_end > 0 && cluster->vms[cluster->vm_end - 1].state == VM_FREE) {
        cluster->vm_end--;
    }
}

static void set_record(struct cluster *cluster, const struct record *record)
{
    switch (record->kind) {
    case RECORD_NODE:
        ASSERT(record->slot < NODES_MAX);
        if (record->removed) {
            memset(&cluster->nodes[record->slot], 0, sizeof(cluster->nodes[0]));
        } else {
            cluster->nodes[record->slot] = record->node;
        }
        cluster->counting = state_counting(cluster);
        return;
    case RECORD_VM:
        set_vm(cluster, record->slot, record);
        return;
    case RECORD_SETTING:
        ASSERT(record->slot < SETTING_SLOTS);
        if (record->removed) {
            memset(&cluster->set[record->slot], 0, sizeof(cluster->set[0]));
        } else {
            cluster->set[record->slot] = record->setting;
        }
        cluster->settings = settings_in_force(cluster->set);
        return;
    case RECORD_HISTORY:
        ASSERT(record->slot < HISTORY_SLOTS);
        if (record->removed) {
            memset(&cluster->history[record->slot], 0, sizeof(cluster->history[0]));
        } else {
            cluster->history[record->slot] = record->history;
        }
        return;
    case RECORD_KIND_COUNT:
        break;
    }
    IMPOSSIBLE("record kind");
}

bool state_follows(const struct cluster *cluster, const struct delta *delta)
{
    ASSERT(delta->count <= DELTA_RECORDS_MAX);
    return delta->header.epoch == cluster->header.epoch &&
           delta->base_term == cluster->header.term && delta->header.term >= delta->base_term &&
           delta->header.version == cluster->header.version + 1;
}

uint64_t state_digest_after(const struct cluster *cluster, const struct delta *delta)
{
    ASSERT(delta->count <= DELTA_RECORDS_MAX);
    uint64_t digest = cluster->header.digest;
    for (uint32_t i = 0; i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        digest -= digest_of_slot(cluster, record->kind, record->slot);
        digest += digest_of_record(record);
    }
    return digest;
}

bool state_apply(struct cluster *cluster, const struct delta *delta)
{
    ASSERT(state_follows(cluster, delta));
    uint64_t digest = state_digest_after(cluster, delta);
    for (uint32_t i = 0; i < delta->count; i++) {
        set_record(cluster, &delta->records[i]);
    }
    cluster->header = delta->header;
    return digest == delta->header.digest;
}

uint64_t state_digest(const struct cluster *cluster)
{
    ASSERT(cluster->vm_end <= VMS_MAX);
    uint64_t digest = 0;
    for (uint32_t i = 0; i < SETTING_SLOTS; i++) {
        digest += digest_setting(i, &cluster->set[i]);
    }
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        digest += digest_node(i, &cluster->nodes[i]);
    }
    for (uint32_t i = 0; i < cluster->vm_end; i++) {
        digest += digest_vm(i, &cluster->vms[i]);
    }
    for (uint32_t i = 0; i < HISTORY_SLOTS; i++) {
        digest += digest_history(i, &cluster->history[i]);
    }
    return digest;
}

/* Only as many VMs as there are: most clusters are far smaller than VMS_MAX, and what was never
 * written needs no memory. */
static void copy(struct cluster *cluster, const struct cluster *image)
{
    uint32_t before = cluster->vm_end;
    memcpy(cluster, image, offsetof(struct cluster, vms) + image->vm_end * sizeof(image->vms[0]));
    for (uint32_t slot = image->vm_end; slot < before; slot++) {
        memset(&cluster->vms[slot], 0, sizeof(cluster->vms[slot]));
    }
}

bool state_load(struct cluster *cluster, const struct cluster *image)
{
    ASSERT(image->vm_end <= VMS_MAX);
    if (state_digest(image) != image->header.digest) {
        return false;
    }
    copy(cluster, image);
    cluster->settings = settings_in_force(cluster->set);
    cluster->counting = state_counting(cluster);
    return true;
}

/* Did a person vouch that this node is dead, and was it not admitted anew since? */
static bool is_vouched_dead(const struct node_record *node)
{
    bool gone = node->state == NODE_LOST || node->state == NODE_FENCED || node->state == NODE_OUT;
    return gone && (node->proofs & PROOF_OPERATOR) != 0;
}

bool state_counts(const struct node_record *node)
{
    ASSERT(node->state < NODE_STATE_COUNT);
    return node->state != NODE_FREE && node->state != NODE_REMOVED && !is_vouched_dead(node);
}

uint64_t state_counting(const struct cluster *cluster)
{
    uint64_t mask = 0;
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        mask |= state_counts(&cluster->nodes[slot]) ? UINT64_C(1) << slot : 0;
    }
    return mask;
}

static bool is_node(const struct cluster *cluster, uint32_t slot, uint32_t nodeid)
{
    return cluster->nodes[slot].state != NODE_FREE && cluster->nodes[slot].nodeid == nodeid;
}

/* Asked many times in each step. Node ids mostly count from 1 as slots do from 0: look there first.
 */
uint8_t state_find_node(const struct cluster *cluster, uint32_t nodeid)
{
    if (nodeid - 1 < NODES_MAX && is_node(cluster, nodeid - 1, nodeid)) {
        return (uint8_t)(nodeid - 1);
    }
    for (uint8_t i = 0; i < NODES_MAX; i++) {
        if (is_node(cluster, i, nodeid)) {
            return i;
        }
    }
    return NODE_NONE;
}

uint8_t state_find_node_name(const struct cluster *cluster, const char *name)
{
    for (uint8_t i = 0; i < NODES_MAX; i++) {
        if (cluster->nodes[i].state != NODE_FREE && name_equal(cluster->nodes[i].name, name)) {
            return i;
        }
    }
    return NODE_NONE;
}

uint32_t state_find_vm(const struct cluster *cluster, const char *name)
{
    for (uint32_t i = 0; i < cluster->vm_end; i++) {
        if (cluster->vms[i].state != VM_FREE && name_equal(cluster->vms[i].name, name)) {
            return i;
        }
    }
    return VMS_MAX;
}

uint32_t state_find_vm_uuid(const struct cluster *cluster, const struct uuid *uuid)
{
    for (uint32_t i = 0; i < cluster->vm_end; i++) {
        if (cluster->vms[i].state != VM_FREE && uuid_equal(&cluster->vms[i].uuid, uuid)) {
            return i;
        }
    }
    return VMS_MAX;
}

uint32_t state_new_definition(const struct cluster *cluster, uint32_t clock_s)
{
    uint32_t version = clock_s == 0 ? 1 : clock_s;
    ASSERT(cluster->vm_end <= VMS_MAX);
    for (uint32_t i = 0; i < cluster->vm_end; i++) {
        const uint32_t there = cluster->vms[i].definition_version;
        if (there >= version) {
            version = there < UINT32_MAX ? there + 1 : there;
        }
    }
    ASSERT(version != 0);
    return version;
}

bool state_incarnation_lives(const struct cluster *cluster, uint8_t node,
                             struct incarnation incarnation)
{
    return node < NODES_MAX && cluster->nodes[node].state == NODE_ADMITTED &&
           incarnation_equal(cluster->nodes[node].incarnation, incarnation);
}

const struct history_entry *state_find_request(const struct cluster *cluster,
                                               const struct origin *request)
{
    if (request->counter == 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < HISTORY_MAX; i++) {
        const struct history_entry *entry = &cluster->history[i];
        if (entry->sequence != 0 && origin_equal(&entry->request, request)) {
            return entry;
        }
    }
    return NULL;
}
