/* Random but valid values of everything that goes over the wire; the same in every run. */
#ifndef STEAD_TESTS_EDGE_WIRE_RANDOM_H
#define STEAD_TESTS_EDGE_WIRE_RANDOM_H

#include <stdlib.h>
#include <string.h>

#include "proto/wire_io.h"

static inline uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static inline uint64_t wide(uint64_t *seed) /* small ones as likely as large ones */
{
    const uint64_t value = next(seed);
    return value >> (next(seed) % 64);
}

static inline uint32_t below(uint64_t *seed, uint32_t bound)
{
    return (uint32_t)(next(seed) % bound);
}

static inline bool coin(uint64_t *seed)
{
    return below(seed, 2) != 0;
}

static inline void characters(uint64_t *seed, const char *set, uint32_t length, char *field)
{
    for (uint32_t i = 0; i < length; i++) {
        field[i] = set[below(seed, (uint32_t)strlen(set))];
    }
}

static inline void random_name(uint64_t *seed, char *field)
{
    characters(seed, "aZ09", 1, field);
    characters(seed, "abzAZ09._-", below(seed, NAME_BYTES - 1), field + 1);
}

static inline void random_text(uint64_t *seed, char *field, uint32_t size)
{
    characters(seed, "abc \"\\\n\xc3\xa4%{}", below(seed, size), field);
}

static inline struct uuid random_uuid(uint64_t *seed)
{
    struct uuid uuid;
    for (unsigned i = 0; i < sizeof(uuid.bytes); i++) {
        uuid.bytes[i] = (uint8_t)next(seed);
    }
    return uuid;
}

static inline struct client random_client(uint64_t *seed)
{
    struct client client = {{0}};
    characters(seed, "0123456789abcdef:.[]/", 1 + below(seed, CLIENT_BYTES - 1), client.address);
    return client;
}

static inline struct incarnation random_incarnation(uint64_t *seed)
{
    return (struct incarnation){.epoch = (uint32_t)wide(seed), .number = (uint32_t)wide(seed)};
}

static inline struct action_id random_action_id(uint64_t *seed)
{
    return (struct action_id){.term = wide(seed), .counter = wide(seed)};
}

static inline void random_origin(uint64_t *seed, struct origin *ret_origin)
{
    ret_origin->nodeid = (uint32_t)wide(seed);
    ret_origin->agent_start = wide(seed);
    ret_origin->counter = wide(seed);
}

static inline void random_bmc(uint64_t *seed, struct bmc_address *ret_bmc)
{
    characters(seed, "a0.:[]-%", below(seed, ADDRESS_BYTES), ret_bmc->address);
    ret_bmc->cipher_suite = below(seed, 18);
    ret_bmc->verified = coin(seed);
    ret_bmc->level = below(seed, FENCE_LEVEL_MAX + 1);
}

static inline void random_devices(uint64_t *seed, struct fence_device *ret_devices)
{
    uint32_t count = below(seed, FENCE_DEVICES_MAX + 1);
    for (uint32_t i = 0; i < count; i++) {
        struct fence_device *device = &ret_devices[i];
        characters(seed, "abz019._-", 1 + below(seed, DEVICE_NAME_BYTES - 1), device->name);
        strcpy(device->agent, "fence_");
        characters(seed, "abz019_-", below(seed, DEVICE_AGENT_BYTES - 6), device->agent + 6);
        characters(seed, "ab01=\n", below(seed, DEVICE_OPTIONS_BYTES), device->options);
        device->level = 1 + below(seed, FENCE_LEVEL_MAX);
        device->standing = (enum device_standing)below(seed, DEVICE_STANDING_COUNT);
    }
}

static inline void random_header(uint64_t *seed, struct header *ret_header)
{
    memset(ret_header, 0, sizeof(*ret_header));
    ret_header->cluster_id = random_uuid(seed);
    ret_header->epoch = (uint32_t)wide(seed);
    ret_header->term = wide(seed);
    ret_header->actor = (uint32_t)wide(seed);
    ret_header->actor_start = wide(seed);
    ret_header->members = wide(seed);
    ret_header->version = wide(seed) | 1; /* 0 is no version */
    ret_header->digest = next(seed);
    random_origin(seed, &ret_header->commit);
    ret_header->feature_level = (uint32_t)wide(seed);
    ret_header->next_incarnation = (uint32_t)wide(seed);
    ret_header->next_history = wide(seed);
    random_name(seed, ret_header->corosync);
}

static inline void random_node(uint64_t *seed, struct node_record *ret_node)
{
    random_name(seed, ret_node->name);
    ret_node->nodeid = (uint32_t)wide(seed);
    ret_node->state = (enum node_state)below(seed, NODE_STATE_COUNT);
    ret_node->machine = random_uuid(seed);
    ret_node->boot = random_uuid(seed);
    ret_node->incarnation = random_incarnation(seed);
    ret_node->client = random_client(seed);
    random_bmc(seed, &ret_node->bmc);
    random_devices(seed, ret_node->devices);
    ret_node->power_on = coin(seed);
    ret_node->memory_mib = (uint32_t)wide(seed);
    ret_node->feature_level = (uint32_t)wide(seed);
    ret_node->proofs = below(seed, 32);
    ret_node->fence_term = wide(seed);
    ret_node->client_only = coin(seed);
    ret_node->address_blocked = coin(seed);
    ret_node->fence_wanted = coin(seed);
    ret_node->unfence_wanted = coin(seed);
    ret_node->away_ms = (uint32_t)wide(seed);
    ret_node->readmitted_ms = wide(seed);
}

static inline void random_vm(uint64_t *seed, struct vm_record *ret_vm)
{
    random_name(seed, ret_vm->name);
    ret_vm->uuid = random_uuid(seed);
    ret_vm->want = coin(seed) ? WANT_RUNNING : WANT_STOPPED;
    ret_vm->state = (enum vm_state)below(seed, VM_STATE_COUNT);
    ret_vm->memory_mib = (uint32_t)wide(seed);
    ret_vm->priority = (int32_t)next(seed);
    ret_vm->node = (uint8_t)(coin(seed) ? NODE_NONE : below(seed, NODES_MAX));
    ret_vm->incarnation = random_incarnation(seed);
    ret_vm->action = random_action_id(seed);
    ret_vm->generation = wide(seed);
    ret_vm->definition_version = (uint32_t)wide(seed);
    ret_vm->definition_digest = next(seed);
    ret_vm->attempts = (uint32_t)wide(seed);
    ret_vm->avoid = wide(seed);
    ret_vm->stop_timeout_ms = (uint32_t)wide(seed);
    ret_vm->removing = coin(seed);
    random_text(seed, ret_vm->reason, TEXT_BYTES);
    ret_vm->prefer = wide(seed);
    ret_vm->ends = (uint32_t)wide(seed);
    ret_vm->condition.trouble = (enum vm_trouble)below(seed, VM_TROUBLE_COUNT);
    ret_vm->condition.since_wall_ms = wide(seed);
    ret_vm->class_slot = coin(seed) ? 0 : SETTINGS_MAX + below(seed, CLASSES_MAX);
}

static inline void random_setting(uint64_t *seed, struct setting_record *ret_setting)
{
    ret_setting->set_ms = wide(seed);
    ret_setting->value = (uint32_t)wide(seed);
    ret_setting->given = coin(seed);
    random_text(seed, ret_setting->by, NAME_BYTES);
    if (coin(seed)) {
        random_name(seed, ret_setting->name);
    }
}

static inline void random_history(uint64_t *seed, uint32_t slot, struct history_entry *ret_entry)
{
    ret_entry->sequence = (uint64_t)below(seed, 1000000) * HISTORY_MAX + slot;
    ret_entry->wall_ms = wide(seed);
    ret_entry->boot_ms = wide(seed);
    ret_entry->term = wide(seed);
    ret_entry->kind = (enum history_kind)below(seed, HISTORY_KIND_COUNT);
    ret_entry->nodeid = (uint32_t)wide(seed);
    if (coin(seed)) {
        random_name(seed, ret_entry->vm);
    }
    ret_entry->action = random_action_id(seed);
    random_origin(seed, &ret_entry->request);
    ret_entry->number = wide(seed);
    random_text(seed, ret_entry->cause, TEXT_BYTES);
}

static inline void random_record(uint64_t *seed, struct record *ret_record)
{
    memset(ret_record, 0, sizeof(*ret_record));
    ret_record->kind = (enum record_kind)below(seed, RECORD_KIND_COUNT);
    switch (ret_record->kind) {
    case RECORD_NODE:
        ret_record->slot = below(seed, NODES_MAX);
        random_node(seed, &ret_record->node);
        break;
    case RECORD_VM:
        ret_record->slot = below(seed, VMS_MAX);
        random_vm(seed, &ret_record->vm);
        break;
    case RECORD_SETTING:
        ret_record->slot = below(seed, SETTING_SLOTS);
        random_setting(seed, &ret_record->setting);
        break;
    case RECORD_HISTORY:
        ret_record->slot = below(seed, HISTORY_SLOTS);
        random_history(seed, ret_record->slot, &ret_record->history);
        break;
    case RECORD_KIND_COUNT:
    default:
        break;
    }
}

static inline void random_lease(uint64_t *seed, struct lease *ret_lease)
{
    memset(ret_lease, 0, sizeof(*ret_lease));
    ret_lease->cluster_id = random_uuid(seed);
    ret_lease->vm = random_uuid(seed);
    ret_lease->state = (enum lease_state)below(seed, LEASE_STATE_COUNT);
    ret_lease->holder = (uint32_t)wide(seed);
    ret_lease->incarnation = random_incarnation(seed);
    ret_lease->action = random_action_id(seed);
    ret_lease->clients.count = below(seed, CLIENTS_PER_VM_MAX + 1);
    for (uint32_t i = 0; i < ret_lease->clients.count; i++) {
        ret_lease->clients.list[i] = random_client(seed);
    }
    ret_lease->generation = wide(seed);
    ret_lease->end = (enum domain_end)below(seed, END_COUNT);
}

static inline void random_observation(uint64_t *seed, struct observation *ret_observation)
{
    ret_observation->slot = below(seed, VMS_MAX);
    ret_observation->vm = random_uuid(seed);
    ret_observation->kind = (enum observation_kind)below(seed, OBSERVED_STOPPED + 1);
    ret_observation->action = random_action_id(seed);
    ret_observation->generation = wide(seed);
    ret_observation->lease = (enum lease_state)below(seed, LEASE_STATE_COUNT);
    ret_observation->lease_holder = (uint32_t)wide(seed);
    ret_observation->lease_incarnation = random_incarnation(seed);
    random_text(seed, ret_observation->reason, TEXT_BYTES);
    ret_observation->end = (enum domain_end)below(seed, END_COUNT);
    ret_observation->up_ms = wide(seed);
    ret_observation->trouble = (enum vm_trouble)below(seed, VM_TROUBLE_COUNT);
}

static inline void random_beat(uint64_t *seed, struct beat *ret_beat)
{
    ret_beat->nodeid = (uint32_t)wide(seed);
    ret_beat->agent_start = next(seed);
    ret_beat->sent_ms = wide(seed);
    ret_beat->version = wide(seed);
    ret_beat->term = wide(seed);
    ret_beat->digest = next(seed);
    ret_beat->machine = random_uuid(seed);
    ret_beat->boot = random_uuid(seed);
    ret_beat->incarnation = random_incarnation(seed);
    ret_beat->client = random_client(seed);
    random_bmc(seed, &ret_beat->bmc);
    random_devices(seed, ret_beat->devices);
    random_name(seed, ret_beat->name);
    ret_beat->memory_mib = (uint32_t)wide(seed);
    ret_beat->feature_level = (uint32_t)wide(seed);
    ret_beat->able = coin(seed);
    ret_beat->storage = coin(seed);
    ret_beat->empty = coin(seed);
    ret_beat->wants_answer = coin(seed);
    ret_beat->alarms = (uint32_t)wide(seed);
    ret_beat->epoch = (uint32_t)wide(seed);
    random_text(seed, ret_beat->trouble, TEXT_BYTES);
    ret_beat->leaving = (enum leaving)below(seed, LEAVING_COUNT);
    ret_beat->halted = coin(seed);
    if (ret_beat->halted) {
        ret_beat->mark.epoch = (uint32_t)wide(seed);
        ret_beat->mark.decided = wide(seed);
        ret_beat->mark.version = wide(seed);
        random_text(seed, ret_beat->mark.reason, TEXT_BYTES);
    }
    ret_beat->restarts = (uint32_t)wide(seed);
    ret_beat->suspended_ms = wide(seed);
    ret_beat->libvirt = coin(seed);
    ret_beat->answer_count = below(seed, NODES_MAX + 1);
    for (uint32_t i = 0; i < ret_beat->answer_count; i++) {
        ret_beat->answers[i].nodeid = (uint32_t)wide(seed);
        ret_beat->answers[i].agent_start = next(seed);
        ret_beat->answers[i].sent_ms = wide(seed);
    }
    ret_beat->observation_count = below(seed, OBSERVATIONS_MAX + 1);
    for (uint32_t i = 0; i < ret_beat->observation_count; i++) {
        random_observation(seed, &ret_beat->observations[i]);
    }
}

static inline void random_delta(uint64_t *seed, struct delta *ret_delta)
{
    random_header(seed, &ret_delta->header);
    ret_delta->base_term = wide(seed);
    ret_delta->count = below(seed, DELTA_RECORDS_MAX + 1);
    for (uint32_t i = 0; i < ret_delta->count; i++) {
        random_record(seed, &ret_delta->records[i]);
        if (below(seed, 4) == 0) {
            struct record *record = &ret_delta->records[i];
            const struct record removed = *record;
            memset(record, 0, sizeof(*record));
            record->kind = removed.kind;
            record->slot = removed.slot;
            record->removed = true;
        }
    }
}

static inline void random_request(uint64_t *seed, struct request *ret_request)
{
    random_origin(seed, &ret_request->id);
    ret_request->tenure.epoch = (uint32_t)wide(seed);
    ret_request->tenure.term = wide(seed);
    ret_request->kind = (enum request_kind)below(seed, REQUEST_KIND_COUNT);
    random_name(seed, ret_request->name);
    random_text(seed, ret_request->by, NAME_BYTES);
    ret_request->vouched = coin(seed);
    ret_request->uuid = random_uuid(seed);
    ret_request->memory_mib = (uint32_t)wide(seed);
    ret_request->priority = (int32_t)next(seed);
    ret_request->want = coin(seed) ? WANT_RUNNING : WANT_STOPPED;
    if (coin(seed)) {
        random_name(seed, ret_request->on);
    }
    ret_request->definition_version = (uint32_t)wide(seed);
    ret_request->definition_digest = next(seed);
    ret_request->generation = wide(seed);
    ret_request->stop_timeout_ms = (uint32_t)wide(seed);
    ret_request->nodeid = (uint32_t)wide(seed);
    random_text(seed, ret_request->value, NAME_BYTES);
    ret_request->adopt = coin(seed);
    ret_request->keep_running = coin(seed);
    ret_request->incarnation = (struct incarnation){(uint32_t)wide(seed), (uint32_t)wide(seed)};
}

static inline void random_message(uint64_t *seed, enum message_kind kind,
                                  struct wire_message *ret_message)
{
    memset(ret_message, 0, sizeof(*ret_message));
    ret_message->kind = kind;
    switch (kind) {
    case MESSAGE_BEAT:
        random_beat(seed, &ret_message->beat);
        break;
    case MESSAGE_DELTA:
        random_delta(seed, &ret_message->delta);
        break;
    case MESSAGE_REQUEST:
        random_request(seed, &ret_message->request);
        break;
    case MESSAGE_REPLY:
        random_origin(seed, &ret_message->reply.id);
        ret_message->reply.tenure.epoch = (uint32_t)wide(seed);
        ret_message->reply.tenure.term = wide(seed);
        ret_message->reply.verdict = coin(seed) ? VERDICT_DONE : VERDICT_REFUSED;
        random_text(seed, ret_message->reply.text, TEXT_BYTES);
        break;
    case MESSAGE_NONE:
    default:
        abort();
    }
}

#endif
