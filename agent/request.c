/*
 * Operators' commands.
 *
 * Decides: whether a command is lawful now, and drafts what it changes together with a history
 * entry that carries the command's id. It is done when the state holds that entry (I7), whoever
 * committed it, so a command asked again of the next actor answers "done" and changes nothing
 * twice. A command names the tenure whose acting node is to decide it, and is refused by that one
 * alone, who holds to it: two may think that they act, and one may commit what the other refuses.
 * One that nobody committed in time was told to whoever acts, or is being committed: its outcome is
 * unknown. Never: answers "done" before the commit, or changes anything for a command it refuses.
 */
#include "agent/request.h"

#include <string.h>

#include "agent/actor.h"
#include "agent/draft.h"
#include "agent/halt.h"
#include "agent/pause.h"
#include "agent/peers.h"
#include "agent/request_validate.h"
#include "proto/assert.h"
#include "proto/text.h"
#include "proto/values.h"
#include "storage/state.h"

#define GIVE_UP_MS 30000
#define AGAIN_MS 500
#define RESUMED "it is at work again"
#define NOT_HALTED "it is not halted"

static struct tenure present_tenure(const struct core *core)
{
    return (struct tenure){core->cluster.header.epoch, core->cluster.header.term};
}

static bool is_later(struct tenure a, struct tenure b)
{
    return a.epoch != b.epoch ? a.epoch > b.epoch : a.term > b.term;
}

static bool is_same(struct tenure a, struct tenure b)
{
    return a.epoch == b.epoch && a.term == b.term;
}

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

/* A command that is not kept: given, and answered at once. */
static void answer_now(struct core *core, const struct request *request, enum verdict verdict,
                       const char *text, struct caller *caller)
{
    struct action *action = actions_add(caller->out, ACTION_ANSWER);
    action->reply.id = request->id;
    action->reply.verdict = verdict;
    name_set(action->reply.text, TEXT_BYTES, text);
    struct local *local = &core->local;
    local->answered[local->answered_next++ % REQUESTS_MAX] = request->id.counter;
}

static void answer(struct core *core, struct caller *caller, struct pending *pending,
                   enum verdict verdict, const char *text)
{
    ASSERT(pending->request.kind != REQUEST_NONE);
    ASSERT(core->local.pending_count > 0);
    answer_now(core, &pending->request, verdict, text, caller);
    memset(pending, 0, sizeof(*pending));
    core->local.pending_count--;
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
            pending->deadline_ms = caller->now_ms + GIVE_UP_MS; /* and sent at once */
            core->local.pending_count++;
            if (request->kind == REQUEST_CLUSTER_INIT) {
                init_cluster(core, request, caller);
            }
            return;
        }
    }
    answer_now(core, request, VERDICT_REFUSED,
               "too many commands are under way on this node; try again", caller);
}

/* By its own word: a node that is barred reads no state, and may be the only one left to ask. */
static const struct peer *peer_called(const struct core *core, const char *name)
{
    ASSERT(core->local.peer_count <= NODES_MAX);
    for (uint32_t i = 0; i < core->local.peer_count; i++) {
        const struct peer *peer = &core->local.peers[i];
        if (peers_speaks(core, peer) && name_equal(peer->beat.name, name)) {
            return peer;
        }
    }
    return NULL;
}

/* `node resume`, given here. The node itself answers; nothing is committed, since perhaps nobody
 * may commit anything before. */
static void give_resume(struct core *core, const struct request *request, struct caller *caller)
{
    const struct peer *peer = peer_called(core, request->name);
    bool known = state_find_node_name(&core->cluster, request->name) != NODE_NONE;
    if (name_equal(request->name, core->local.facts.name)) {
        bool resumed = halt_resume(core, caller);
        answer_now(core, request, resumed ? VERDICT_DONE : VERDICT_REFUSED,
                   resumed ? RESUMED : NOT_HALTED, caller);
    } else if (peer == NULL && !known) {
        answer_now(core, request, VERDICT_REFUSED, "no such node; see stead node list", caller);
    } else if (peer == NULL) {
        answer_now(core, request, VERDICT_REFUSED,
                   "its agent is not heard here; give the command on that node itself", caller);
    } else if (!peer->beat.halted) {
        answer_now(core, request, VERDICT_REFUSED, NOT_HALTED, caller);
    } else {
        keep_pending(core, request, caller);
    }
}

/* `node resume`, given elsewhere: ours to answer if it names us. */
static void take_resume(struct core *core, const struct request *request, struct caller *caller)
{
    if (name_equal(request->name, core->local.facts.name)) {
        bool resumed = halt_resume(core, caller);
        struct action *action = actions_add(caller->out, ACTION_SEND_REPLY);
        action->reply.id = request->id;
        action->reply.verdict = resumed ? VERDICT_DONE : VERDICT_REFUSED;
        name_set(action->reply.text, TEXT_BYTES, resumed ? RESUMED : NOT_HALTED);
    }
}

static void give(struct core *core, const struct request *request, struct caller *caller)
{
    const char *early = request_class_early(core, request);
    if (request->kind == REQUEST_NODE_RESUME) {
        give_resume(core, request, caller);
    } else if (core->local.storage.trouble == STATE_ELSEWHERE) {
        answer_now(
            core, request, VERDICT_REFUSED,
            "the pool in stead.conf is that of a cluster under another Corosync: stead status",
            caller);
    } else if (halt_here(core)) {
        answer_now(core, request, VERDICT_REFUSED,
                   "this node is halted; give the command on another, or first: stead node resume",
                   caller);
    } else if (early != NULL) {
        answer_now(core, request, VERDICT_REFUSED, early, caller);
    } else {
        keep_pending(core, request, caller);
    }
}

void request_on_event(struct core *core, const struct request *request, struct caller *caller)
{
    struct local *local = &core->local;
    bool here = request->id.nodeid == local->facts.nodeid &&
                request->id.agent_start == local->facts.agent_start;
    if (here && find_pending(local, &request->id) == NULL && !was_answered(local, request) &&
        state_find_request(&core->cluster, &request->id) == NULL) {
        give(core, request, caller);
        return;
    }
    if (request->kind == REQUEST_NODE_RESUME) {
        take_resume(core, request, caller);
    } else if (actor_holds(core) &&
               (request->tenure.term == 0 || is_same(request->tenure, present_tenure(core)))) {
        add_inbox(&local->acting, request); /* a later actor is asked by the command's node */
    }
}

/* A refusal of the tenure asked last is final: who acted in earlier ones can commit nothing any
 * more, and their commits are in the copy by which it is refused. One of an earlier tenure is not:
 * the later one was asked, and may do it. */
static bool is_final(const struct pending *pending, const struct reply *reply)
{
    ASSERT(pending->request.kind != REQUEST_NONE);
    ASSERT(origin_equal(&pending->request.id, &reply->id));
    bool refused = reply->verdict == VERDICT_REFUSED &&
                   (reply->tenure.term == 0 || is_same(reply->tenure, pending->request.tenure));
    return refused || pending->request.kind == REQUEST_NODE_RESUME;
}

void request_on_reply(struct core *core, const struct reply *reply, struct caller *caller)
{
    struct pending *pending = find_pending(&core->local, &reply->id);
    if (pending != NULL && is_final(pending, reply)) {
        answer(core, caller, pending, reply->verdict, reply->text);
    }
}

static bool answer_done(struct core *core, struct pending *pending, struct caller *caller)
{
    const struct history_entry *entry = state_find_request(&core->cluster, &pending->request.id);
    if (entry == NULL || pause_waits(core, &pending->request)) {
        return false;
    }
    struct text text = {0};
    text_add(text_add(&text, entry->cause), " (committed, entry ");
    text_add(text_add_u64(&text, entry->sequence), ")");
    text_add(&text,
             pause_is_undone(core, &pending->request, entry) ? "; not in force any more" : "");
    answer(core, caller, pending, VERDICT_DONE, text.bytes);
    return true;
}

/* Is the copy another than the one that was last looked through? A command that came meanwhile was
 * not in it when it came. */
static bool copy_is_new(struct core *core)
{
    struct local *local = &core->local;
    const struct header *header = &core->cluster.header;
    bool same = local->looked_epoch == header->epoch && local->looked_version == header->version;
    local->looked_epoch = header->epoch;
    local->looked_version = header->version;
    return !same;
}

static const char *why_no_answer(const struct core *core, const struct pending *pending,
                                 const struct caller *caller)
{
    if (pending->request.kind == REQUEST_NODE_RESUME) {
        return "outcome unknown: no answer from it in 30 s; stead status tells if it is at work";
    }
    if (state_find_request(&core->cluster, &pending->request.id) != NULL) { /* it waits */
        return "HA is paused, but a fence that was under way has not ended; see stead status";
    }
    if (peers_fresh_until_ms(core) <= caller->now_ms) {
        return "outcome unknown: no quorum here, so nothing is committed now; it may have been, or "
               "be yet: stead history tells";
    }
    return "outcome unknown: no commit in 30 s; it may be done yet: stead history tells";
}

static void give_up(struct core *core, struct pending *pending, struct caller *caller)
{
    ASSERT(pending->request.kind != REQUEST_NONE);
    ASSERT(caller->now_ms >= pending->deadline_ms);
    if (pending->send_ms == 0 && pending->request.kind != REQUEST_CLUSTER_INIT) {
        answer(core, caller, pending, VERDICT_REFUSED,
               "this node has not read the state of a cluster, so nobody was asked: stead status");
    } else {
        answer(core, caller, pending, VERDICT_UNKNOWN, why_no_answer(core, pending, caller));
    }
}

/* By our copy or another's: one that is barred reads no state. */
static struct tenure latest_tenure(const struct core *core)
{
    struct tenure latest = present_tenure(core);
    ASSERT(core->local.peer_count <= NODES_MAX);
    for (uint32_t i = 0; i < core->local.peer_count; i++) {
        const struct peer *peer = &core->local.peers[i];
        struct tenure tenure = {peer->beat.epoch, peer->beat.term};
        if (peers_speaks(core, peer) && tenure.term != 0 && is_later(tenure, latest)) {
            latest = tenure;
        }
    }
    ASSERT(!is_later(present_tenure(core), latest));
    return latest;
}

/* Whoever acts in a later tenure is asked at once, and again until it is answered; one of an
 * earlier tenure never again. */
static void send_due(struct core *core, struct pending *pending, struct caller *caller)
{
    struct request *request = &pending->request;
    bool resume = request->kind == REQUEST_NODE_RESUME; /* whoever acts: its node answers */
    ASSERT(request->kind != REQUEST_CLUSTER_INIT);
    ASSERT(!resume || request->tenure.term == 0);
    struct tenure tenure = latest_tenure(core);
    bool later = !resume && is_later(tenure, request->tenure);
    request->tenure = later ? tenure : request->tenure;
    bool known = resume || request->tenure.term != 0; /* whom to ask */
    if (known && (later || caller->now_ms >= pending->send_ms)) {
        struct action *action = actions_add(caller->out, ACTION_SEND_REQUEST);
        action->request = *request;
        pending->send_ms = caller->now_ms + AGAIN_MS;
    }
}

void request_carry_on(struct core *core, struct caller *caller)
{
    bool look = copy_is_new(core);
    for (uint32_t i = 0; i < REQUESTS_MAX && core->local.pending_count > 0; i++) {
        struct pending *pending = &core->local.pending[i];
        if (pending->request.kind == REQUEST_NONE) {
            continue;
        }
        if (!caller_room(caller)) {
            core->local.looked_epoch = 0; /* it was not looked through for the others */
            return;
        }
        if (look && answer_done(core, pending, caller)) {
            continue;
        }
        if (caller->now_ms >= pending->deadline_ms) {
            give_up(core, pending, caller);
        } else if (pending->request.kind != REQUEST_CLUSTER_INIT) {
            send_due(core, pending, caller);
        }
    }
}

bool request_waits(const struct core *core)
{
    ASSERT(core->local.pending_count <= REQUESTS_MAX);
    for (uint32_t i = 0; i < REQUESTS_MAX && core->local.pending_count > 0; i++) {
        const struct pending *pending = &core->local.pending[i];
        if (pending->request.kind != REQUEST_NONE && !pause_in_force(core, &pending->request)) {
            return true;
        }
    }
    return false;
}

struct history_entry *request_entry(struct core *core, const struct request *request,
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

/* `scratch` is lent to those whose refusal is put together. */
static const char *validate(struct core *core, const struct request *request, struct text *scratch)
{
    const char *frozen = pause_refuses(core, request);
    if (frozen != NULL) {
        return frozen;
    }
    switch (request->kind) {
    case REQUEST_NODE_JOIN:
        return request_node_join(core, request);
    case REQUEST_NODE_FENCE:
        return request_node_fence(core, request);
    case REQUEST_NODE_UNFENCE:
        return request_node_unfence(core, request);
    case REQUEST_NODE_REMOVE:
        return request_node_remove(core, request);
    case REQUEST_VM_ADD:
        return request_vm_add(core, request, scratch);
    case REQUEST_VM_REMOVE:
        return request_vm_remove(core, request);
    case REQUEST_VM_START:
        return request_vm_want(core, request, WANT_RUNNING);
    case REQUEST_VM_STOP:
        return request_vm_want(core, request, WANT_STOPPED);
    case REQUEST_CONFIG_SET:
        return request_config_set(core, request, scratch);
    case REQUEST_CLASS_SET:
        return request_class_set(core, request, scratch);
    case REQUEST_CLASS_REMOVE:
        return request_class_remove(core, request, scratch);
    case REQUEST_VM_CLASS:
        return request_vm_class(core, request, scratch);
    case REQUEST_NONE:
    case REQUEST_NODE_RESUME:
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
    while (done < acting->inbox_count && draft_room(core) >= ROOM_PER_REQUEST &&
           caller_room(caller)) {
        const struct request *request = &acting->inbox[done++];
        if (state_find_request(&core->cluster, &request->id) != NULL) {
            continue; /* committed before; its node sees that in the history */
        }
        const struct reply *before = refused_before(acting, request);
        struct text scratch;
        const char *refused = before != NULL ? before->text : validate(core, request, &scratch);
        if (refused != NULL) {
            struct action *action = actions_add(caller->out, ACTION_SEND_REPLY);
            action->reply.id = request->id;
            action->reply.tenure = present_tenure(core);
            name_set(action->reply.text, TEXT_BYTES, refused);
            if (before == NULL) {
                acting->refused[acting->refused_next++ % REQUESTS_MAX] = action->reply;
            }
        }
    }
    acting->inbox_count -= done;
    memmove(acting->inbox, acting->inbox + done, acting->inbox_count * sizeof(acting->inbox[0]));
}

/* The one command that is not the actor's: there is none yet. */
static void init_cluster(struct core *core, const struct request *request, struct caller *caller)
{
    const struct storage_view *storage = &core->local.storage;
    struct pending *pending = find_pending(&core->local, &request->id);
    ASSERT(pending != NULL);
    if (core->cluster.header.version != 0) {
        answer(core, caller, pending, VERDICT_REFUSED,
               "there is a cluster in this pool already; see stead status");
    } else if (storage->trouble == STATE_GONE) {
        answer(
            core, caller, pending, VERDICT_REFUSED,
            "a cluster was made in this pool and its state object is gone: stead cluster restore "
            "brings it back; to begin anew, stop stead-agent on all nodes first and reboot them");
    } else if (!storage->missing || storage->handle != HANDLE_OPEN) {
        answer(core, caller, pending, VERDICT_REFUSED,
               "the pool cannot be read yet; check [ceph] in stead.conf and stead status");
    } else if (!core->local.life.empty) {
        answer(core, caller, pending, VERDICT_REFUSED,
               "this host is not ready yet; try again in a moment");
    } else if (core->local.commit.state != COMMIT_IDLE) {
        answer(core, caller, pending, VERDICT_REFUSED, "the cluster is just being made");
    } else {
        draft_begin(core);
        request_draft_first(core, request);
        draft_send(core, caller, true);
    }
}
