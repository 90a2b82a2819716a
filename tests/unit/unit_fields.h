/*
 * Every field of the committed records, one by one, so that a test can change each and see it
 * noticed. unit_fields_cover() fails when a record has grown a field that is missing here.
 */
#ifndef STEAD_TESTS_UNIT_FIELDS_H
#define STEAD_TESTS_UNIT_FIELDS_H

#include "proto/types.h"
#include "tests/unit/unit.h"

struct unit_field {
    const char *name;
    size_t offset;
    size_t size;
};

#define UNIT_FIELD(type, field)                                                                    \
    {                                                                                              \
#field, offsetof(struct type, field), sizeof(((struct type *)0)->field)                    \
    }
#define N(field) UNIT_FIELD(node_record, field)
#define V(field) UNIT_FIELD(vm_record, field)
#define S(field) UNIT_FIELD(setting_record, field)
#define H(field) UNIT_FIELD(history_entry, field)

static const struct unit_field unit_node_fields[] = {
    N(name),
    N(nodeid),
    N(state),
    N(machine),
    N(boot),
    N(incarnation.epoch),
    N(incarnation.number),
    N(client),
    N(bmc.address),
    N(bmc.cipher_suite),
    N(bmc.verified),
    N(bmc.level),
    N(devices[0].name),
    N(devices[0].agent),
    N(devices[0].options),
    N(devices[0].level),
    N(devices[0].standing),
    N(devices[1].name),
    N(devices[1].agent),
    N(devices[1].options),
    N(devices[1].level),
    N(devices[1].standing),
    N(devices[2].name),
    N(devices[2].agent),
    N(devices[2].options),
    N(devices[2].level),
    N(devices[2].standing),
    N(memory_mib),
    N(feature_level),
    N(proofs),
    N(fence_term),
    N(client_only),
    N(address_blocked),
    N(fence_wanted),
    N(unfence_wanted),
    N(away_ms),
    N(removing),
    N(losses),
    N(lost_ms),
    N(power_on),
    N(watchdog),
    N(watchdog_fires_ms),
    N(watchdog_vouch_ms),
    N(readmitted_ms),
};

static const struct unit_field unit_vm_fields[] = {
    V(name),
    V(uuid),
    V(want),
    V(state),
    V(memory_mib),
    V(priority),
    V(node),
    V(incarnation.epoch),
    V(incarnation.number),
    V(action.term),
    V(action.counter),
    V(generation),
    V(definition_version),
    V(definition_digest),
    V(attempts),
    V(avoid),
    V(stop_timeout_ms),
    V(removing),
    V(reason),
    V(prefer),
    V(ends),
    V(condition.trouble),
    V(condition.since_wall_ms),
    V(class_slot),
};

static const struct unit_field unit_setting_fields[] = {S(set_ms), S(value), S(given), S(by),
                                                        S(name)};

static const struct unit_field unit_history_fields[] = {
    H(sequence),
    H(wall_ms),
    H(boot_ms),
    H(term),
    H(kind),
    H(nodeid),
    H(vm),
    H(action.term),
    H(action.counter),
    H(request.nodeid),
    H(request.agent_start),
    H(request.counter),
    H(number),
    H(cause),
};

#undef N
#undef V
#undef S
#undef H

/* No gap between the fields is larger than padding can be. */
static inline void unit_fields_cover(const struct unit_field *fields, size_t count, size_t size)
{
    size_t end = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(fields[i].offset >= end);
        assert_true(fields[i].offset - end < 8);
        end = fields[i].offset + fields[i].size;
    }
    assert_true(size >= end);
    assert_true(size - end < 8);
}

/* Changes the field's value and keeps it valid: the lowest bit of its first byte. */
static inline void unit_field_flip(void *record, const struct unit_field *field)
{
    ((uint8_t *)record)[field->offset] ^= 1;
}

/* Records of which every field may be flipped without becoming "unused". */
static inline struct node_record unit_any_node(void)
{
    struct node_record node = {.nodeid = 4, .state = NODE_ADMITTED, .proofs = 2, .fence_term = 6};
    name_set(node.name, NAME_BYTES, "nodename");
    name_set(node.client.address, CLIENT_BYTES, "10.0.0.4:0/4");
    name_set(node.bmc.address, ADDRESS_BYTES, "10.1.0.4");
    node.bmc.level = 2;
    for (uint32_t i = 0; i < FENCE_DEVICES_MAX; i++) {
        struct fence_device *device = &node.devices[i];
        *device = (struct fence_device){.name = "pdu", .agent = "fence_apc", .options = "plug=3"};
        device->level = 2;
    }
    return node;
}

static inline struct vm_record unit_any_vm(void)
{
    struct vm_record vm = {.state = VM_RUNNING, .node = 2, .generation = 6, .priority = -8};
    name_set(vm.name, NAME_BYTES, "vmname");
    name_set(vm.reason, TEXT_BYTES, "because");
    vm.uuid = unit_uuid(0x42);
    return vm;
}

static inline struct setting_record unit_any_setting(void)
{
    struct setting_record setting = {.set_ms = 6, .value = 300, .given = true};
    name_set(setting.by, NAME_BYTES, "ada");
    return setting;
}

static inline struct history_entry unit_any_history(void)
{
    struct history_entry entry = {.sequence = 4, .kind = HISTORY_TERM, .wall_ms = 2, .term = 8};
    name_set(entry.vm, NAME_BYTES, "vmname");
    name_set(entry.cause, TEXT_BYTES, "because");
    return entry;
}

#endif
