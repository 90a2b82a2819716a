/* The committed records and the header on the wire. Field for field; the checks are the bounds
 * types.h states. */
#include <string.h>

#include "proto/wire_inner_io.h"

_Static_assert((int)STEAD__NODE_STATE__NODE_REMOVED == NODE_STATE_COUNT - 1, "as in types.h");
_Static_assert((int)STEAD__VM_WANT__WANT_RUNNING == WANT_RUNNING, "as in types.h");
_Static_assert((int)STEAD__VM_STATE__VM_RECOVERING == VM_STATE_COUNT - 1, "as in types.h");
_Static_assert((int)STEAD__HISTORY_KIND__HISTORY_FENCE_HELD == HISTORY_KIND_COUNT - 1, "types.h");
_Static_assert((int)STEAD__RECORD_KIND__RECORD_HISTORY == RECORD_KIND_COUNT - 1, "as in types.h");

#define PROOFS_ALL                                                                                 \
    (PROOF_STORAGE | PROOF_POWER | PROOF_REBORN | PROOF_CLEAN | PROOF_OPERATOR | PROOF_WATCHDOG)

static bool proofs_ok(uint32_t mask)
{
    return (mask & ~(uint32_t)PROOFS_ALL) == 0;
}

Stead__Header *wire_header_to_pb(struct wire_arena *arena, const struct header *header)
{
    Stead__Header *pb = wire_arena_get(arena, sizeof(*pb));
    stead__header__init(pb);
    pb->cluster_id = wire_uuid_to_pb(&header->cluster_id);
    pb->epoch = header->epoch;
    pb->term = header->term;
    pb->actor = header->actor;
    pb->actor_start = header->actor_start;
    pb->members = header->members;
    pb->version = header->version;
    pb->digest = header->digest;
    pb->commit = wire_origin_to_pb(arena, &header->commit);
    pb->feature_level = header->feature_level;
    pb->next_incarnation = header->next_incarnation;
    pb->next_history = header->next_history;
    pb->corosync = wire_text_to_pb(header->corosync);
    return pb;
}

bool wire_header_from_pb(const Stead__Header *pb, struct header *ret_header)
{
    if (pb == NULL) {
        return false;
    }
    memset(ret_header, 0, sizeof(*ret_header));
    ret_header->epoch = pb->epoch;
    ret_header->term = pb->term;
    ret_header->actor = pb->actor;
    ret_header->actor_start = pb->actor_start;
    ret_header->members = pb->members;
    ret_header->version = pb->version;
    ret_header->digest = pb->digest;
    ret_header->feature_level = pb->feature_level;
    ret_header->next_incarnation = pb->next_incarnation;
    ret_header->next_history = pb->next_history;
    wire_origin_from_pb(pb->commit, &ret_header->commit);
    return wire_text_from_pb(pb->corosync, ret_header->corosync, sizeof(ret_header->corosync)) &&
           wire_uuid_from_pb(&pb->cluster_id, &ret_header->cluster_id);
}

Stead__Node *wire_node_to_pb(struct wire_arena *arena, const struct node_record *node)
{
    Stead__Node *pb = wire_arena_get(arena, sizeof(*pb));
    stead__node__init(pb);
    pb->name = wire_text_to_pb(node->name);
    pb->nodeid = node->nodeid;
    pb->state = (Stead__NodeState)node->state;
    pb->machine = wire_uuid_to_pb(&node->machine);
    pb->boot = wire_uuid_to_pb(&node->boot);
    pb->incarnation = wire_incarnation_to_pb(arena, &node->incarnation);
    pb->client = wire_text_to_pb(node->client.address);
    pb->bmc = wire_bmc_to_pb(arena, &node->bmc);
    pb->devices = wire_devices_to_pb(arena, node->devices, &pb->n_devices);
    pb->memory_mib = node->memory_mib;
    pb->feature_level = node->feature_level;
    pb->proofs = node->proofs;
    pb->fence_term = node->fence_term;
    pb->client_only = node->client_only;
    pb->address_blocked = node->address_blocked;
    pb->fence_wanted = node->fence_wanted;
    pb->unfence_wanted = node->unfence_wanted;
    pb->away_ms = node->away_ms;
    pb->removing = node->removing;
    pb->losses = node->losses;
    pb->lost_ms = node->lost_ms;
    pb->power_on = node->power_on;
    pb->watchdog = node->watchdog;
    pb->watchdog_fires_ms = node->watchdog_fires_ms;
    pb->watchdog_vouch_ms = node->watchdog_vouch_ms;
    pb->readmitted_ms = node->readmitted_ms;
    return pb;
}

bool wire_node_from_pb(const Stead__Node *pb, struct node_record *ret_node)
{
    memset(ret_node, 0, sizeof(*ret_node));
    if (!wire_enum_ok((int)pb->state, NODE_STATE_COUNT) || !proofs_ok(pb->proofs)) {
        return false;
    }
    ret_node->nodeid = pb->nodeid;
    ret_node->state = (enum node_state)pb->state;
    ret_node->memory_mib = pb->memory_mib;
    ret_node->feature_level = pb->feature_level;
    ret_node->proofs = pb->proofs;
    ret_node->fence_term = pb->fence_term;
    ret_node->client_only = pb->client_only;
    ret_node->address_blocked = pb->address_blocked;
    ret_node->fence_wanted = pb->fence_wanted;
    ret_node->unfence_wanted = pb->unfence_wanted;
    ret_node->away_ms = pb->away_ms;
    ret_node->removing = pb->removing;
    ret_node->losses = pb->losses;
    ret_node->lost_ms = pb->lost_ms;
    ret_node->power_on = pb->power_on;
    ret_node->watchdog = pb->watchdog;
    ret_node->watchdog_fires_ms = pb->watchdog_fires_ms;
    ret_node->watchdog_vouch_ms = pb->watchdog_vouch_ms;
    ret_node->readmitted_ms = pb->readmitted_ms;
    wire_incarnation_from_pb(pb->incarnation, &ret_node->incarnation);
    const enum wire_name need = ret_node->state == NODE_FREE ? NAME_OPTIONAL : NAME_REQUIRED;
    return wire_name_from_pb(pb->name, need, ret_node->name, sizeof(ret_node->name)) &&
           wire_uuid_from_pb(&pb->machine, &ret_node->machine) &&
           wire_uuid_from_pb(&pb->boot, &ret_node->boot) &&
           wire_client_from_pb(pb->client, &ret_node->client) &&
           wire_bmc_from_pb(pb->bmc, &ret_node->bmc) &&
           wire_devices_from_pb(pb->devices, pb->n_devices, ret_node->devices);
}

Stead__Vm *wire_vm_to_pb(struct wire_arena *arena, const struct vm_record *vm)
{
    Stead__Vm *pb = wire_arena_get(arena, sizeof(*pb));
    stead__vm__init(pb);
    pb->name = wire_text_to_pb(vm->name);
    pb->uuid = wire_uuid_to_pb(&vm->uuid);
    pb->want = (Stead__VmWant)vm->want;
    pb->state = (Stead__VmState)vm->state;
    pb->memory_mib = vm->memory_mib;
    pb->priority = vm->priority;
    pb->node = vm->node;
    pb->incarnation = wire_incarnation_to_pb(arena, &vm->incarnation);
    pb->action = wire_action_id_to_pb(arena, &vm->action);
    pb->generation = vm->generation;
    pb->definition_version = vm->definition_version;
    pb->definition_digest = vm->definition_digest;
    pb->attempts = vm->attempts;
    pb->avoid = vm->avoid;
    pb->stop_timeout_ms = vm->stop_timeout_ms;
    pb->removing = vm->removing;
    pb->reason = wire_text_to_pb(vm->reason);
    pb->prefer = vm->prefer;
    pb->ends = vm->ends;
    if (vm->condition.trouble != VM_TROUBLE_NONE || vm->condition.since_wall_ms != 0) {
        pb->condition = wire_arena_get(arena, sizeof(*pb->condition));
        stead__vm_condition__init(pb->condition);
        pb->condition->trouble = (Stead__VmTrouble)vm->condition.trouble;
        pb->condition->since_wall_ms = vm->condition.since_wall_ms;
    }
    pb->class_slot = vm->class_slot;
    return pb;
}

static bool class_slot_ok(uint32_t slot)
{
    return slot == 0 || (slot >= SETTINGS_MAX && slot < SETTING_SLOTS);
}

bool wire_vm_from_pb(const Stead__Vm *pb, struct vm_record *ret_vm)
{
    memset(ret_vm, 0, sizeof(*ret_vm));
    if (!wire_enum_ok((int)pb->want, WANT_RUNNING + 1) ||
        !wire_enum_ok((int)pb->state, VM_STATE_COUNT) ||
        (pb->node >= NODES_MAX && pb->node != NODE_NONE) || !class_slot_ok(pb->class_slot)) {
        return false;
    }
    ret_vm->class_slot = pb->class_slot;
    ret_vm->want = (enum vm_want)pb->want;
    ret_vm->state = (enum vm_state)pb->state;
    ret_vm->memory_mib = pb->memory_mib;
    ret_vm->priority = pb->priority;
    ret_vm->node = (uint8_t)pb->node;
    ret_vm->generation = pb->generation;
    ret_vm->definition_version = pb->definition_version;
    ret_vm->definition_digest = pb->definition_digest;
    ret_vm->attempts = pb->attempts;
    ret_vm->avoid = pb->avoid;
    ret_vm->stop_timeout_ms = pb->stop_timeout_ms;
    ret_vm->removing = pb->removing;
    ret_vm->prefer = pb->prefer;
    ret_vm->ends = pb->ends;
    if (pb->condition != NULL) {
        if (!wire_enum_ok((int)pb->condition->trouble, VM_TROUBLE_COUNT)) {
            return false;
        }
        ret_vm->condition.trouble = (enum vm_trouble)pb->condition->trouble;
        ret_vm->condition.since_wall_ms = pb->condition->since_wall_ms;
    }
    wire_incarnation_from_pb(pb->incarnation, &ret_vm->incarnation);
    wire_action_id_from_pb(pb->action, &ret_vm->action);
    const enum wire_name need = ret_vm->state == VM_FREE ? NAME_OPTIONAL : NAME_REQUIRED;
    return wire_name_from_pb(pb->name, need, ret_vm->name, sizeof(ret_vm->name)) &&
           wire_uuid_from_pb(&pb->uuid, &ret_vm->uuid) &&
           wire_text_from_pb(pb->reason, ret_vm->reason, sizeof(ret_vm->reason));
}

Stead__Setting *wire_setting_to_pb(struct wire_arena *arena, const struct setting_record *setting)
{
    Stead__Setting *pb = wire_arena_get(arena, sizeof(*pb));
    stead__setting__init(pb);
    pb->set_ms = setting->set_ms;
    pb->value = setting->value;
    pb->given = setting->given;
    pb->by = wire_text_to_pb(setting->by);
    pb->name = wire_text_to_pb(setting->name);
    return pb;
}

bool wire_setting_from_pb(const Stead__Setting *pb, struct setting_record *ret_setting)
{
    memset(ret_setting, 0, sizeof(*ret_setting));
    ret_setting->set_ms = pb->set_ms;
    ret_setting->value = pb->value;
    ret_setting->given = pb->given;
    return wire_text_from_pb(pb->by, ret_setting->by, sizeof(ret_setting->by)) &&
           wire_name_from_pb(pb->name, NAME_OPTIONAL, ret_setting->name, sizeof(ret_setting->name));
}

Stead__History *wire_history_to_pb(struct wire_arena *arena, const struct history_entry *entry)
{
    Stead__History *pb = wire_arena_get(arena, sizeof(*pb));
    stead__history__init(pb);
    pb->sequence = entry->sequence;
    pb->wall_ms = entry->wall_ms;
    pb->boot_ms = entry->boot_ms;
    pb->term = entry->term;
    pb->kind = (Stead__HistoryKind)entry->kind;
    pb->nodeid = entry->nodeid;
    pb->vm = wire_text_to_pb(entry->vm);
    pb->action = wire_action_id_to_pb(arena, &entry->action);
    pb->request = wire_origin_to_pb(arena, &entry->request);
    pb->number = entry->number;
    pb->cause = wire_text_to_pb(entry->cause);
    return pb;
}

bool wire_history_from_pb(const Stead__History *pb, uint32_t slot, struct history_entry *ret_entry)
{
    memset(ret_entry, 0, sizeof(*ret_entry));
    bool ring = slot < HISTORY_MAX;
    if (!wire_enum_ok((int)pb->kind, HISTORY_KIND_COUNT) ||
        (ring && pb->sequence % HISTORY_MAX != slot)) {
        return false;
    }
    ret_entry->sequence = pb->sequence;
    ret_entry->wall_ms = pb->wall_ms;
    ret_entry->boot_ms = pb->boot_ms;
    ret_entry->term = pb->term;
    ret_entry->kind = (enum history_kind)pb->kind;
    ret_entry->nodeid = pb->nodeid;
    ret_entry->number = pb->number;
    wire_action_id_from_pb(pb->action, &ret_entry->action);
    wire_origin_from_pb(pb->request, &ret_entry->request);
    return wire_name_from_pb(pb->vm, NAME_OPTIONAL, ret_entry->vm, sizeof(ret_entry->vm)) &&
           wire_text_from_pb(pb->cause, ret_entry->cause, sizeof(ret_entry->cause));
}
