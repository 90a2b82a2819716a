/*
 * Commands about VMs.
 *
 * Decides: whether a VM may be added, wanted otherwise or forgotten now. Assumes: called on the
 * acting node with a draft open; an added VM's definition and lease are in RADOS already. Never:
 * starts or ends anything itself; what is wanted is acted on once it is committed.
 */
#include "agent/request_validate.h"

#include <string.h>

#include "agent/classes.h"
#include "agent/draft.h"
#include "agent/pause.h"
#include "agent/peers.h"
#include "agent/vms.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"

static uint32_t free_vm_slot(const struct core *core)
{
    for (uint32_t slot = 0; slot < VMS_MAX; slot++) {
        if (draft_peek_vm(core, slot)->state == VM_FREE) {
            return slot;
        }
    }
    return VMS_MAX;
}

static const char *why_unable(const struct core *core, uint8_t node)
{
    const struct node_record *record = draft_peek_node(core, node);
    ASSERT(node < NODES_MAX);
    ASSERT(record->state != NODE_FREE);
    return record->state == NODE_ADMITTED && peers_see(core, record->nodeid) != NULL
               ? "the node to start it on is here, but takes no VM yet: its agent has just begun, "
                 "or Ceph or libvirt does not answer it; ask again in a moment (stead node show)"
               : "the node to start it on is not online; see stead node list";
}

/* Where it is to be started at once, if anywhere, and what the nodes carry without it. */
static const char *place_on(struct core *core, const struct request *request, uint32_t class,
                            uint8_t *ret_node, struct loads *ret_loads)
{
    *ret_node = NODE_NONE;
    if (request->on[0] == '\0') {
        return NULL;
    }
    place_loads(core, ret_loads);
    uint8_t node = state_find_node_name(&core->cluster, request->on);
    if (node == NODE_NONE) {
        return "no such node to start it on; see stead node list";
    }
    if ((ret_loads->able & (UINT64_C(1) << node)) == 0) {
        return why_unable(core, node);
    }
    const struct vm_record vm = {.class_slot = class};
    uint64_t lawful = place_lawful(ret_loads, classes_policy(&core->cluster, &vm));
    if ((lawful & (UINT64_C(1) << node)) == 0) {
        return "its policy has watchdog, and that of the node to start it on is not armed; see "
               "stead node show";
    }
    if (ret_loads->used_mib[node] + request->memory_mib > ret_loads->memory_mib[node]) {
        return "the node to start it on has not that much memory left";
    }
    *ret_node = node;
    return NULL;
}

/* The node a running domain is adopted on, or given back to: still the same life of it? */
static const char *its_node(const struct core *core, const struct request *request,
                            uint8_t *ret_node)
{
    uint8_t node = state_find_node(&core->cluster, request->nodeid);
    *ret_node = node;
    if (node == NODE_NONE || draft_peek_node(core, node)->state != NODE_ADMITTED ||
        !incarnation_equal(draft_peek_node(core, node)->incarnation, request->incarnation)) {
        return "the node it runs on is not in the cluster any more as it was; see stead node list";
    }
    return NULL;
}

/* Its lease is held already, with the clients it has open: from this commit on it is ours. */
static void draft_adopted(struct core *core, struct vm_record *vm, uint8_t node)
{
    vm->state = VM_RUNNING;
    vm->node = node;
    vm->incarnation = draft_peek_node(core, node)->incarnation;
    vm->action = draft_action(core);
}

const char *request_vm_add(struct core *core, const struct request *request, struct text *ret_why)
{
    uint8_t node = NODE_NONE;
    uint32_t class;
    struct loads loads;
    uint32_t slot = free_vm_slot(core);
    if (draft_has_vm_name(core, request->name)) {
        return "a VM of that name is there already";
    }
    if (uuid_is_zero(&request->uuid) || request->generation == 0) {
        return "its definition was not prepared";
    }
    if (draft_has_vm_uuid(core, &request->uuid)) {
        return "a VM of that UUID is there already";
    }
    if (slot == VMS_MAX) {
        return "the cluster is full (10000 VMs)";
    }
    const char *refused = request_class_find(core, request->value, &class, ret_why);
    if (refused != NULL) {
        return refused;
    }
    refused = request->adopt ? its_node(core, request, &node)
                             : place_on(core, request, class, &node, &loads);
    if (refused != NULL) {
        return refused;
    }
    struct vm_record *vm = draft_vm(core, slot);
    *vm = (struct vm_record){
        .uuid = request->uuid,
        .want = request->want,
        .state = VM_STOPPED,
        .memory_mib = request->memory_mib,
        .priority = request->priority,
        .node = NODE_NONE,
        .generation = request->generation,
        .definition_version = request->definition_version,
        .definition_digest = request->definition_digest,
        .stop_timeout_ms = request->stop_timeout_ms,
        .class_slot = class,
    };
    memcpy(vm->name, request->name, NAME_BYTES);
    core->local.acting.vm_retry_ms[slot] = 0; /* the slot's last VM may have been resting */
    core->local.acting.vm_asked_ms[slot] = 0;
    if (request->adopt) {
        draft_adopted(core, vm, node);
        request_entry(core, request, HISTORY_VM_ADDED, request->nodeid, vm, "adopted as it runs");
        return NULL;
    }
    request_entry(core, request, HISTORY_VM_ADDED, 0, vm, "added");
    if (node == NODE_NONE || request->want != WANT_RUNNING) {
        return NULL;
    }
    if (pause_lets_start(pause_mode(core), vm)) {
        vms_draft_start(core, &loads, slot, node, request->generation, "asked for by the operator");
    } else {
        vm->prefer = UINT64_C(1) << node;
    }
    return NULL;
}

const char *request_vm_want(struct core *core, const struct request *request, enum vm_want want)
{
    uint32_t slot = state_find_vm(&core->cluster, request->name);
    if (slot == VMS_MAX || draft_peek_vm(core, slot)->removing) {
        return "no such VM; see stead vm list";
    }
    struct vm_record *vm = draft_vm(core, slot);
    bool again = want == WANT_RUNNING && vm->want == WANT_RUNNING && vm->state == VM_RUNNING;
    core->local.acting.vm_asked_ms[slot] = again ? core->local.now_ms : 0;
    vm->want = want;
    vm->avoid = 0;
    vm->attempts = 0;
    vm->prefer = 0;
    vm->ends = 0;
    if (vm->condition.trouble == VM_TROUBLE_NONE) { /* else it is what the reason tells of */
        memset(vm->reason, 0, TEXT_BYTES);
    }
    vm->stop_timeout_ms = request->stop_timeout_ms;
    core->local.acting.vm_retry_ms[slot] = 0;
    request_entry(core, request, HISTORY_VM_WANT, 0, vm,
                  want == WANT_RUNNING ? "wanted running" : "wanted stopped")
        ->number = want;
    return NULL;
}

/* It is libvirt's again, where it runs: its node lets go of it when it sees the record gone. */
static const char *give_back(struct core *core, const struct request *request, uint32_t slot)
{
    uint8_t node;
    struct vm_record vm = *draft_peek_vm(core, slot);
    const char *refused = its_node(core, request, &node);
    if (refused != NULL) {
        return refused;
    }
    if (vm.state != VM_RUNNING || vm.want != WANT_RUNNING || vm.node != node ||
        !incarnation_equal(vm.incarnation, request->incarnation)) {
        return "it does not run on this node now; see stead vm show";
    }
    draft_remove_vm(core, slot);
    request_entry(core, request, HISTORY_VM_REMOVED, request->nodeid, &vm,
                  "given back to libvirt as it runs");
    return NULL;
}

const char *request_vm_remove(struct core *core, const struct request *request)
{
    uint32_t slot = state_find_vm(&core->cluster, request->name);
    if (slot == VMS_MAX) {
        return "no such VM; see stead vm list";
    }
    if (request->keep_running) {
        return give_back(core, request, slot);
    }
    const struct vm_record *vm = draft_peek_vm(core, slot);
    if (vm->state != VM_STOPPED || vm->want == WANT_RUNNING) {
        return "it is not stopped; stead vm stop it first";
    }
    struct vm_record *next = draft_vm(core, slot);
    next->removing = true;
    request_entry(core, request, HISTORY_REQUEST, 0, next, "to be removed");
    return NULL;
}
