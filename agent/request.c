/*
 * Operators' commands.
 *
 * Decides: whether a command is lawful now, and drafts what it changes together with a history
 * entry that carries the command's id. It is done when the state holds that entry (I7), whoever
 * committed it, so a command asked again of the next actor answers "done" and changes nothing
 * twice. Never: answers "done" before the commit, or changes anything for a command it refuses.
 */
#include "agent/request.h"

#include <string.h>

#include "agent/actor.h"
#include "agent/draft.h"
#include "agent/peers.h"
#include "agent/vms.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/text.h"
#include "proto/values.h"
#include "storage/state.h"

#define GIVE_UP_MS 30000
#define AGAIN_MS 500
#define ROOM_PER_REQUEST 4 /* record, its entry, a start's entry, and one to spare */

static struct pending *find_pending(struct local *local, const struct origin *id)
{
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        struct pending *pending = &local->pending[i];
        if (pending->request.kind != REQUEST_NONE && origin_equal(&pending->request.id, id)) {
            return pending;
        }
    }
    return NULL;
}

static void answer(struct core *core, struct caller *caller, struct pending *pending, bool accepted,
                   const char *text)
{
    struct action *action = actions_add(caller->out, ACTION_ANSWER);
    action->reply.id = pending->request.id;
    action->reply.accepted = accepted;
    name_set(action->reply.text, TEXT_BYTES, text);
    struct local *local = &core->local;
    local->answered[local->answered_next++ % REQUESTS_MAX] = pending->request.id.counter;
    memset(pending, 0, sizeof(*pending));
}

static bool was_answered(const struct local *local, const struct request *request)
{
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        if (local->answered[i] == request->id.counter) {
            return true;
        }
    }
    return false;
}

static void add_inbox(struct acting *acting, const struct request *request)
{
    for (uint32_t i = 0; i < acting->inbox_count; i++) {
        if (origin_equal(&acting->inbox[i].id, &request->id)) {
            return;
        }
    }
    if (acting->inbox_count < REQUESTS_MAX) { /* full: it is asked again */
        acting->inbox[acting->inbox_count++] = *request;
    }
}

static void init_cluster(struct core *core, const struct request *request, struct caller *caller);

static void keep_pending(struct core *core, const struct request *request, struct caller *caller)
{
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        struct pending *pending = &core->local.pending[i];
        if (pending->request.kind == REQUEST_NONE) {
            pending->request = *request;
            pending->deadline_ms = caller->now_ms + GIVE_UP_MS;
            pending->send_ms = caller->now_ms;
            if (request->kind == REQUEST_CLUSTER_INIT) {
                init_cluster(core, request, caller);
            }
            return;
        }
    }
    struct pending full = {.request = *request};
    answer(core, caller, &full, false, "too many commands are under way on this node; try again");
}

void request_on_event(struct core *core, const struct request *request, struct caller *caller)
{
    struct local *local = &core->local;
    bool here = request->id.nodeid == local->facts.nodeid &&
                request->id.agent_start == local->facts.agent_start;
    if (here && find_pending(local, &request->id) == NULL && !was_answered(local, request) &&
        state_find_request(&core->cluster, &request->id) == NULL) {
        keep_pending(core, request, caller);
        return;
    }
    if (actor_holds(core)) { /* a later actor is asked again by the command's node */
        add_inbox(&local->acting, request);
    }
}

void request_on_reply(struct core *core, const struct reply *reply, struct caller *caller)
{
    struct pending *pending = find_pending(&core->local, &reply->id);
    if (pending != NULL && !reply->accepted) {
        answer(core, caller, pending, false, reply->text);
    }
}

static bool answer_done(struct core *core, struct pending *pending, struct caller *caller)
{
    const struct history_entry *entry = state_find_request(&core->cluster, &pending->request.id);
    if (entry == NULL) {
        return false;
    }
    struct text text = {0};
    text_add(text_add(&text, entry->cause), " (committed, entry ");
    text_add(text_add_u64(&text, entry->sequence), ")");
    answer(core, caller, pending, true, text.bytes);
    return true;
}

void request_carry_on(struct core *core, struct caller *caller)
{
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        struct pending *pending = &core->local.pending[i];
        if (pending->request.kind == REQUEST_NONE || answer_done(core, pending, caller)) {
            continue;
        }
        if (caller->now_ms >= pending->deadline_ms) {
            answer(
                core, caller, pending, false,
                peers_fresh_until_ms(core) <= caller->now_ms
                    ? "no quorum here, so nothing is committed now; stead history tells if it was"
                    : "outcome unknown: no commit in 30 s; see stead history");
        } else if (caller->now_ms >= pending->send_ms &&
                   pending->request.kind != REQUEST_CLUSTER_INIT) {
            struct action *action = actions_add(caller->out, ACTION_SEND_REQUEST);
            action->request = pending->request;
            pending->send_ms = caller->now_ms + AGAIN_MS;
        }
    }
}

bool request_waits(const struct core *core)
{
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        if (core->local.pending[i].request.kind != REQUEST_NONE) {
            return true;
        }
    }
    return false;
}

/* Each returns NULL when it drafted the command, or why it is refused. */

static struct history_entry *entry_for(struct core *core, const struct request *request,
                                       enum history_kind kind, uint32_t nodeid,
                                       const struct vm_record *vm, const char *cause)
{
    struct text text = {0};
    text_add(text_add(&text, request->name), ": ");
    text_add(&text, cause);
    if (request->by[0] != '\0') {
        text_add(text_add(&text, ", by "), request->by);
    }
    struct history_entry *entry = draft_history(core, kind, nodeid, vm, text.bytes);
    entry->request = request->id;
    return entry;
}

static const char *node_join(struct core *core, const struct request *request)
{
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *other = draft_peek_node(core, slot);
        if (other->state != NODE_FREE && other->nodeid == request->nodeid) {
            return "this node is in the cluster already";
        }
        if (other->state != NODE_FREE && name_equal(other->name, request->name)) {
            return "another node has that name already";
        }
    }
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        if (draft_peek_node(core, slot)->state == NODE_FREE) {
            struct node_record *node = draft_node(core, slot);
            memcpy(node->name, request->name, NAME_BYTES);
            node->nodeid = request->nodeid;
            node->state = NODE_OUT;
            entry_for(core, request, HISTORY_NODE_JOINED, node->nodeid, NULL, "joined");
            return NULL;
        }
    }
    return "the cluster is full (64 nodes)";
}

static const char *node_fence(struct core *core, const struct request *request)
{
    uint8_t slot = state_find_node_name(&core->cluster, request->name);
    if (slot == NODE_NONE) {
        return "no such node; see stead node list";
    }
    const struct node_record *node = draft_peek_node(core, slot);
    if (node->nodeid == core->local.facts.nodeid) {
        return "that node is acting; give the command when another acts, or power it off";
    }
    if (node->state == NODE_FENCED || node->state == NODE_OUT) {
        return "it is fenced or out already";
    }
    if (request->vouched && node->state != NODE_LOST && peers_see(core, node->nodeid) != NULL) {
        return "--i-vouch is for a node that is gone, and this one is in the ring";
    }
    struct node_record *next = draft_node(core, slot);
    next->fence_wanted = node->state == NODE_ADMITTED;
    next->proofs |= request->vouched ? (uint32_t)PROOF_OPERATOR : 0;
    entry_for(core, request, HISTORY_REQUEST, node->nodeid, NULL,
              request->vouched ? "a person vouches that it is dead" : "fence asked for");
    return NULL;
}

static const char *node_unfence(struct core *core, const struct request *request)
{
    uint8_t slot = state_find_node_name(&core->cluster, request->name);
    if (slot == NODE_NONE) {
        return "no such node; see stead node list";
    }
    const struct node_record *node = draft_peek_node(core, slot);
    if (node->state == NODE_LOST) {
        return "its fence has not ended yet; see stead node show";
    }
    if (node->state != NODE_FENCED) {
        return "it is not fenced";
    }
    draft_node(core, slot)->unfence_wanted = true;
    entry_for(core, request, HISTORY_REQUEST, node->nodeid, NULL,
              "unfence asked for: it returns once it is up with empty hands");
    return NULL;
}

static uint32_t free_vm_slot(const struct core *core)
{
    for (uint32_t slot = 0; slot < VMS_MAX; slot++) {
        if (draft_peek_vm(core, slot)->state == VM_FREE) {
            return slot;
        }
    }
    return VMS_MAX;
}

static const char *place_on(struct core *core, const struct request *request, uint8_t *ret_node)
{
    *ret_node = NODE_NONE;
    if (request->on[0] == '\0') {
        return NULL;
    }
    struct loads loads;
    place_loads(core, &loads);
    uint8_t node = state_find_node_name(&core->cluster, request->on);
    if (node == NODE_NONE) {
        return "no such node to start it on; see stead node list";
    }
    if ((loads.able & (UINT64_C(1) << node)) == 0) {
        return "the node to start it on is not online";
    }
    if (loads.used_mib[node] + request->memory_mib > loads.memory_mib[node]) {
        return "the node to start it on has not that much memory left";
    }
    *ret_node = node;
    return NULL;
}

static const char *vm_add(struct core *core, const struct request *request)
{
    uint8_t node;
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
    const char *refused = place_on(core, request, &node);
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
    };
    memcpy(vm->name, request->name, NAME_BYTES);
    core->local.acting.vm_retry_ms[slot] = 0; /* the slot's last VM may have been resting */
    entry_for(core, request, HISTORY_VM_ADDED, 0, vm, "added");
    if (node != NODE_NONE && request->want == WANT_RUNNING) {
        struct loads loads;
        place_loads(core, &loads);
        vms_draft_start(core, &loads, slot, node, request->generation, "asked for by the operator");
    }
    return NULL;
}

static const char *vm_want(struct core *core, const struct request *request, enum vm_want want)
{
    uint32_t slot = state_find_vm(&core->cluster, request->name);
    if (slot == VMS_MAX || draft_peek_vm(core, slot)->removing) {
        return "no such VM; see stead vm list";
    }
    struct vm_record *vm = draft_vm(core, slot);
    vm->want = want;
    vm->avoid = 0;
    vm->attempts = 0;
    memset(vm->reason, 0, TEXT_BYTES);
    vm->stop_timeout_ms = request->stop_timeout_ms;
    core->local.acting.vm_retry_ms[slot] = 0;
    entry_for(core, request, HISTORY_VM_WANT, 0, vm,
              want == WANT_RUNNING ? "wanted running" : "wanted stopped")
        ->number = want;
    return NULL;
}

static const char *vm_remove(struct core *core, const struct request *request)
{
    uint32_t slot = state_find_vm(&core->cluster, request->name);
    if (slot == VMS_MAX) {
        return "no such VM; see stead vm list";
    }
    const struct vm_record *vm = draft_peek_vm(core, slot);
    if (vm->state != VM_STOPPED || vm->want == WANT_RUNNING) {
        return "it is not stopped; stead vm stop it first";
    }
    struct vm_record *next = draft_vm(core, slot);
    next->removing = true;
    entry_for(core, request, HISTORY_REQUEST, 0, next, "to be removed");
    return NULL;
}

static const char *validate(struct core *core, const struct request *request)
{
    switch (request->kind) {
    case REQUEST_NODE_JOIN:
        return node_join(core, request);
    case REQUEST_NODE_FENCE:
        return node_fence(core, request);
    case REQUEST_NODE_UNFENCE:
        return node_unfence(core, request);
    case REQUEST_VM_ADD:
        return vm_add(core, request);
    case REQUEST_VM_REMOVE:
        return vm_remove(core, request);
    case REQUEST_VM_START:
        return vm_want(core, request, WANT_RUNNING);
    case REQUEST_VM_STOP:
        return vm_want(core, request, WANT_STOPPED);
    case REQUEST_NONE:
    case REQUEST_CLUSTER_INIT:
    case REQUEST_KIND_COUNT:
        break;
    }
    return "not a command for the cluster";
}

static const struct reply *refused_before(const struct acting *acting,
                                          const struct request *request)
{
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        if (acting->refused[i].id.counter != 0 &&
            origin_equal(&acting->refused[i].id, &request->id)) {
            return &acting->refused[i];
        }
    }
    return NULL;
}

void request_draft(struct core *core, struct caller *caller)
{
    struct acting *acting = &core->local.acting;
    uint32_t done = 0;
    while (done < acting->inbox_count && draft_room(core) >= ROOM_PER_REQUEST) {
        const struct request *request = &acting->inbox[done++];
        if (state_find_request(&core->cluster, &request->id) != NULL) {
            continue; /* committed before; its node sees that in the history */
        }
        const struct reply *before = refused_before(acting, request);
        const char *refused = before != NULL ? before->text : validate(core, request);
        if (refused != NULL) {
            struct action *action = actions_add(caller->out, ACTION_SEND_REPLY);
            action->reply.id = request->id;
            name_set(action->reply.text, TEXT_BYTES, refused);
            if (before == NULL) {
                acting->refused[acting->refused_next++ % REQUESTS_MAX] = action->reply;
            }
        }
    }
    acting->inbox_count -= done;
    memmove(acting->inbox, acting->inbox + done, acting->inbox_count * sizeof(acting->inbox[0]));
}

static void draft_first(struct core *core, const struct request *request)
{
    const struct local *local = &core->local;
    struct header *header = &core->local.draft.delta.header;
    *header = (struct header){
        .cluster_id = request->uuid,
        .epoch = 1,
        .term = 1,
        .actor = local->facts.nodeid,
        .actor_start = local->facts.agent_start,
        .members = 1,
        .feature_level = local->facts.feature_level,
        .next_incarnation = 2,
        .next_history = 1,
    };
    struct node_record *node = draft_node(core, 0);
    memcpy(node->name, local->facts.name, NAME_BYTES);
    node->nodeid = local->facts.nodeid;
    node->state = NODE_ADMITTED;
    node->machine = local->facts.machine;
    node->boot = local->facts.boot;
    node->incarnation = (struct incarnation){1, 1};
    node->client = local->storage.client;
    node->bmc = local->facts.bmc;
    node->memory_mib = local->facts.memory_mib;
    node->feature_level = local->facts.feature_level;
    struct settings settings = settings_default();
    draft_settings(core, &settings);
    entry_for(core, request, HISTORY_NODE_JOINED, node->nodeid, NULL, "made the cluster");
}

/* The one command that is not the actor's: there is none yet. */
static void init_cluster(struct core *core, const struct request *request, struct caller *caller)
{
    const struct storage_view *storage = &core->local.storage;
    struct pending *pending = find_pending(&core->local, &request->id);
    ASSERT(pending != NULL);
    if (core->cluster.header.version != 0) {
        answer(core, caller, pending, false,
               "there is a cluster in this pool already; see stead status");
    } else if (!storage->missing || storage->handle != HANDLE_OPEN) {
        answer(core, caller, pending, false,
               "the pool cannot be read yet; check [ceph] in stead.conf and stead status");
    } else if (!core->local.life.empty) {
        answer(core, caller, pending, false, "this host is not ready yet; try again in a moment");
    } else if (core->local.commit.state != COMMIT_IDLE) {
        answer(core, caller, pending, false, "the cluster is just being made");
    } else {
        draft_begin(core);
        draft_first(core, request);
        draft_send(core, caller, true);
    }
}
