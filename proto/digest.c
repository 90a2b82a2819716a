/*
 * Digests of the committed records.
 *
 * Assumes zero-padded strings. A new field of a record must be added here too: a copy that differs
 * only there would pass for equal. Fields that came with a feature level count only where they are
 * set, so that older agents, which do not know them, come to the same digest. Never hashes a whole
 * struct: padding would count.
 */
#include "proto/digest.h"

#include <string.h>

#include "proto/assert.h"

uint64_t digest_bytes(uint64_t seed, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        seed = (seed ^ bytes[i]) * 0x100000001b3u;
    }
    return seed;
}

uint64_t digest_u64(uint64_t seed, uint64_t value)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    return digest_bytes(seed, bytes, sizeof(bytes));
}

uint64_t digest_text(uint64_t seed, const char *text, size_t size_max)
{
    ASSERT(size_max > 0);
    size_t length = strnlen(text, size_max);
    return digest_u64(digest_bytes(seed, text, length), length);
}

static uint64_t digest_key(enum record_kind kind, uint32_t slot)
{
    ASSERT(kind < RECORD_KIND_COUNT);
    return digest_u64(digest_u64(DIGEST_SEED, (uint64_t)kind + 1), slot);
}

static uint64_t digest_incarnation(uint64_t seed, struct incarnation incarnation)
{
    return digest_u64(digest_u64(seed, incarnation.epoch), incarnation.number);
}

static uint64_t digest_action_id(uint64_t seed, struct action_id id)
{
    return digest_u64(digest_u64(seed, id.term), id.counter);
}

/* What an agent before feature level 2 cannot know counts only where it is there. */
static uint64_t digest_devices(uint64_t d, const struct node_record *node)
{
    if (node->bmc.level != 0) {
        d = digest_u64(digest_u64(d, 1), node->bmc.level);
    }
    for (uint32_t i = 0; i < FENCE_DEVICES_MAX; i++) {
        const struct fence_device *device = &node->devices[i];
        if (device->agent[0] != '\0') {
            d = digest_text(digest_u64(d, 2 + i), device->name, DEVICE_NAME_BYTES);
            d = digest_text(d, device->agent, DEVICE_AGENT_BYTES);
            d = digest_text(d, device->options, DEVICE_OPTIONS_BYTES);
            d = digest_u64(digest_u64(d, device->level), device->standing);
        }
    }
    return d;
}

uint64_t digest_node(uint32_t slot, const struct node_record *node)
{
    ASSERT(slot < NODES_MAX);
    if (node->state == NODE_FREE) {
        return 0;
    }
    uint64_t d = digest_key(RECORD_NODE, slot);
    d = digest_text(d, node->name, sizeof(node->name));
    d = digest_u64(d, node->nodeid);
    d = digest_u64(d, node->state);
    d = digest_bytes(d, node->machine.bytes, sizeof(node->machine.bytes));
    d = digest_bytes(d, node->boot.bytes, sizeof(node->boot.bytes));
    d = digest_incarnation(d, node->incarnation);
    d = digest_text(d, node->client.address, CLIENT_BYTES);
    d = digest_text(d, node->bmc.address, ADDRESS_BYTES);
    d = digest_u64(d, node->bmc.cipher_suite);
    d = digest_u64(d, node->bmc.verified);
    d = digest_u64(d, node->memory_mib);
    d = digest_u64(d, node->feature_level);
    d = digest_u64(d, node->proofs);
    d = digest_u64(d, node->fence_term);
    d = digest_u64(d, node->client_only);
    d = digest_u64(d, node->address_blocked);
    d = digest_u64(d, node->fence_wanted);
    d = digest_u64(d, node->unfence_wanted);
    d = digest_u64(d, node->away_ms);
    d = digest_u64(d, node->removing);
    if (node->losses != 0 || node->lost_ms != 0) { /* not before feature level 2 */
        d = digest_u64(digest_u64(d, node->losses), node->lost_ms);
    }
    if (node->power_on) {
        d = digest_u64(d, 1);
    }
    if (node->watchdog || node->watchdog_fires_ms != 0 || node->watchdog_vouch_ms != 0) { /* 2 */
        d = digest_u64(digest_u64(d, node->watchdog), node->watchdog_fires_ms);
        d = digest_u64(d, node->watchdog_vouch_ms);
    }
    if (node->readmitted_ms != 0) { /* likewise */
        d = digest_u64(d, node->readmitted_ms);
    }
    return digest_devices(d, node);
}

uint64_t digest_vm(uint32_t slot, const struct vm_record *vm)
{
    ASSERT(slot < VMS_MAX);
    if (vm->state == VM_FREE) {
        return 0;
    }
    uint64_t d = digest_key(RECORD_VM, slot);
    d = digest_text(d, vm->name, sizeof(vm->name));
    d = digest_bytes(d, vm->uuid.bytes, sizeof(vm->uuid.bytes));
    d = digest_u64(d, vm->want);
    d = digest_u64(d, vm->state);
    d = digest_u64(d, vm->memory_mib);
    d = digest_u64(d, (uint64_t)(int64_t)vm->priority);
    d = digest_u64(d, vm->node);
    d = digest_incarnation(d, vm->incarnation);
    d = digest_action_id(d, vm->action);
    d = digest_u64(d, vm->generation);
    d = digest_u64(d, vm->definition_version);
    d = digest_u64(d, vm->definition_digest);
    d = digest_u64(d, vm->attempts);
    d = digest_u64(d, vm->avoid);
    d = digest_u64(d, vm->stop_timeout_ms);
    d = digest_u64(d, vm->removing);
    d = digest_text(d, vm->reason, sizeof(vm->reason));
    d = digest_u64(d, vm->prefer);
    d = digest_u64(d, vm->ends);
    d = digest_u64(d, vm->condition.trouble);
    d = digest_u64(d, vm->condition.since_wall_ms);
    return vm->class_slot == 0 ? d : digest_u64(d, vm->class_slot); /* level 3 */
}

uint64_t digest_setting(uint32_t slot, const struct setting_record *setting)
{
    ASSERT(slot < SETTING_SLOTS);
    if (setting->set_ms == 0) {
        return 0;
    }
    uint64_t d = digest_key(RECORD_SETTING, slot);
    d = digest_u64(d, setting->set_ms);
    d = digest_u64(d, setting->value);
    d = digest_u64(d, setting->given);
    d = digest_text(d, setting->by, sizeof(setting->by));
    return setting->name[0] == '\0' ? d : digest_text(d, setting->name, sizeof(setting->name));
}

uint64_t digest_history(uint32_t slot, const struct history_entry *entry)
{
    ASSERT(slot < HISTORY_SLOTS);
    if (entry->sequence == 0) {
        return 0;
    }
    uint64_t d = digest_key(RECORD_HISTORY, slot);
    d = digest_u64(d, entry->sequence);
    d = digest_u64(d, entry->wall_ms);
    d = digest_u64(d, entry->boot_ms);
    d = digest_u64(d, entry->term);
    d = digest_u64(d, entry->kind);
    d = digest_u64(d, entry->nodeid);
    d = digest_text(d, entry->vm, sizeof(entry->vm));
    d = digest_action_id(d, entry->action);
    d = digest_u64(d, entry->request.nodeid);
    d = digest_u64(d, entry->request.agent_start);
    d = digest_u64(d, entry->request.counter);
    d = digest_u64(d, entry->number);
    return digest_text(d, entry->cause, sizeof(entry->cause));
}
