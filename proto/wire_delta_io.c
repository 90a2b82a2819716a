/* One key of the state object: its name, its place in a delta, its value alone. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "proto/wire_inner_io.h"
#include "proto/wire_io.h"

static const struct {
    const char *prefix;
    uint32_t slots;
    int digits;
} keys[RECORD_KIND_COUNT] = {
    [RECORD_NODE] = {"node/", NODES_MAX, 2},
    [RECORD_VM] = {"vm/", VMS_MAX, 5},
    [RECORD_SETTING] = {"setting/", SETTING_SLOTS, 2},
    [RECORD_HISTORY] = {"history/", HISTORY_SLOTS, 4},
};

static bool slot_ok(enum record_kind kind, uint32_t slot)
{
    return wire_enum_ok((int)kind, RECORD_KIND_COUNT) && slot < keys[kind].slots;
}

void wire_record_key(enum record_kind kind, uint32_t slot, char ret_key[WIRE_KEY_BYTES])
{
    ASSERT(slot_ok(kind, slot));
    memset(ret_key, 0, WIRE_KEY_BYTES);
    if (keys[kind].digits == 0) {
        snprintf(ret_key, WIRE_KEY_BYTES, "%s", keys[kind].prefix);
    } else {
        snprintf(ret_key, WIRE_KEY_BYTES, "%s%0*" PRIu32, keys[kind].prefix, keys[kind].digits,
                 slot);
    }
}

/* Accepts only what wire_record_key would write: one slot has one key. */
int wire_parse_key(const char *key, enum record_kind *ret_kind, uint32_t *ret_slot)
{
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        const size_t prefix = strlen(keys[kind].prefix);
        if (strncmp(key, keys[kind].prefix, prefix) != 0) {
            continue;
        }
        const char *number = key + prefix;
        if (strlen(number) != (size_t)keys[kind].digits ||
            strspn(number, "0123456789") != strlen(number)) {
            return -EBADMSG;
        }
        const uint32_t slot = (uint32_t)strtoul(number, NULL, 10); /* "" is 0 */
        if (!slot_ok((enum record_kind)kind, slot)) {
            return -EBADMSG;
        }
        *ret_kind = (enum record_kind)kind;
        *ret_slot = slot;
        return 0;
    }
    return -EBADMSG;
}

bool wire_record_ok(const struct record *record)
{
    if (!slot_ok(record->kind, record->slot)) {
        return false;
    }
    const struct node_record *node = &record->node;
    const struct vm_record *vm = &record->vm;
    switch (record->removed ? RECORD_KIND_COUNT : record->kind) {
    case RECORD_NODE:
        return wire_text_ok(node->name, sizeof(node->name)) &&
               wire_text_ok(node->client.address, CLIENT_BYTES) &&
               wire_text_ok(node->bmc.address, ADDRESS_BYTES) && wire_devices_ok(node->devices);
    case RECORD_VM:
        return wire_text_ok(vm->name, sizeof(vm->name)) &&
               wire_text_ok(vm->reason, sizeof(vm->reason));
    case RECORD_HISTORY:
        return wire_text_ok(record->history.vm, sizeof(record->history.vm)) &&
               wire_text_ok(record->history.cause, sizeof(record->history.cause));
    case RECORD_SETTING:
        return wire_text_ok(record->setting.by, sizeof(record->setting.by));
    case RECORD_KIND_COUNT:
        return true;
    default:
        return false;
    }
}

static void set_value(struct wire_arena *arena, const struct record *record, Stead__Record *pb)
{
    switch (record->kind) {
    case RECORD_NODE:
        pb->value_case = STEAD__RECORD__VALUE_NODE;
        pb->node = wire_node_to_pb(arena, &record->node);
        break;
    case RECORD_VM:
        pb->value_case = STEAD__RECORD__VALUE_VM;
        pb->vm = wire_vm_to_pb(arena, &record->vm);
        break;
    case RECORD_SETTING:
        pb->value_case = STEAD__RECORD__VALUE_SETTING;
        pb->setting = wire_setting_to_pb(arena, &record->setting);
        break;
    case RECORD_HISTORY:
        pb->value_case = STEAD__RECORD__VALUE_HISTORY;
        pb->history = wire_history_to_pb(arena, &record->history);
        break;
    case RECORD_KIND_COUNT:
    default:
        break;
    }
}

Stead__Record *wire_record_to_pb(struct wire_arena *arena, const struct record *record)
{
    Stead__Record *pb = wire_arena_get(arena, sizeof(*pb));
    stead__record__init(pb);
    pb->slot = record->slot;
    if (record->removed) {
        pb->removed_kind = (Stead__RecordKind)record->kind;
    } else {
        set_value(arena, record, pb);
    }
    return pb;
}

bool wire_record_from_pb(const Stead__Record *pb, struct record *ret_record)
{
    memset(ret_record, 0, sizeof(*ret_record));
    ret_record->slot = pb->slot;
    bool ok = true;
    switch ((int)pb->value_case) {
    case STEAD__RECORD__VALUE_NODE:
        ret_record->kind = RECORD_NODE;
        ok = wire_node_from_pb(pb->node, &ret_record->node);
        break;
    case STEAD__RECORD__VALUE_VM:
        ret_record->kind = RECORD_VM;
        ok = wire_vm_from_pb(pb->vm, &ret_record->vm);
        break;
    case STEAD__RECORD__VALUE_SETTING:
        ret_record->kind = RECORD_SETTING;
        ok = wire_setting_from_pb(pb->setting, &ret_record->setting);
        break;
    case STEAD__RECORD__VALUE_HISTORY:
        ret_record->kind = RECORD_HISTORY;
        ok = wire_history_from_pb(pb->history, pb->slot, &ret_record->history);
        break;
    case STEAD__RECORD__VALUE__NOT_SET:
        ret_record->kind = (enum record_kind)pb->removed_kind;
        ret_record->removed = true;
        break;
    default:
        return false;
    }
    return ok && slot_ok(ret_record->kind, ret_record->slot);
}

int wire_pack_record(const struct record *record, uint8_t *buffer, size_t size, size_t *ret_size)
{
    _Alignas(max_align_t) uint8_t bytes[WIRE_ARENA_VALUE_BYTES];
    struct wire_arena arena;
    wire_arena_init(&arena, bytes, sizeof(bytes));
    if (!wire_record_ok(record) || record->removed) {
        return -EINVAL;
    }
    Stead__Record pb = STEAD__RECORD__INIT;
    set_value(&arena, record, &pb);
    const ProtobufCMessage *const value = (const ProtobufCMessage *)pb.node; /* any of the union */
    return wire_arena_pack(&arena, value != NULL, value, buffer, size, ret_size);
}

int wire_unpack_record(const uint8_t *data, size_t size, enum record_kind kind, uint32_t slot,
                       struct record *ret_record)
{
    static const ProtobufCMessageDescriptor *const types[RECORD_KIND_COUNT] = {
        [RECORD_NODE] = &stead__node__descriptor,
        [RECORD_VM] = &stead__vm__descriptor,
        [RECORD_SETTING] = &stead__setting__descriptor,
        [RECORD_HISTORY] = &stead__history__descriptor,
    };
    static const Stead__Record__ValueCase cases[RECORD_KIND_COUNT] = {
        [RECORD_NODE] = STEAD__RECORD__VALUE_NODE,
        [RECORD_VM] = STEAD__RECORD__VALUE_VM,
        [RECORD_SETTING] = STEAD__RECORD__VALUE_SETTING,
        [RECORD_HISTORY] = STEAD__RECORD__VALUE_HISTORY,
    };
    if (!slot_ok(kind, slot)) {
        return -EBADMSG;
    }
    _Alignas(max_align_t) uint8_t bytes[WIRE_ARENA_VALUE_BYTES];
    struct wire_arena arena;
    wire_arena_init(&arena, bytes, sizeof(bytes));
    Stead__Record pb = STEAD__RECORD__INIT;
    pb.slot = slot;
    pb.value_case = cases[kind];
    pb.node = (Stead__Node *)wire_arena_unpack(&arena, types[kind], data, size);
    struct record record;
    if (pb.node == NULL || !wire_record_from_pb(&pb, &record)) {
        return -EBADMSG;
    }
    *ret_record = record;
    return 0;
}
