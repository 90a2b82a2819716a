/*
 * One core among three nodes, in a usual position, and the world it speaks with.
 *
 * The world answers heartbeats and polls by itself, so that the core stays fresh; every other
 * effect is kept in a log until the test takes it and answers it. Nodes n1, n2, n3 have the ids 1,
 * 2, 3 and the slots 0, 1, 2; all are admitted, incarnation 1.<id>, with the RADOS
 * client 10.0.0.<id>:0/<id>00.
 *
 *     struct unit *u = unit_new(2);              we are n2; n1 acts
 *     unit_vm(u, 0, VM_STARTING, 1);             a VM in slot 0, assigned to node slot 1
 *     unit_start(u);                             handle open, copy loaded, fresh
 *     struct action a = unit_take(u, ACTION_LEASE_CHANGE);
 */
#ifndef STEAD_TESTS_UNIT_CORE_H
#define STEAD_TESTS_UNIT_CORE_H

#include "agent/core.h"
#include "agent/peers.h"
#include "fencing/timing.h"
#include "storage/lease.h"
#include "storage/state.h"
#include "tests/unit/unit.h"

#define UNIT_NODES 3
#define UNIT_LOG_MAX 512
#define UNIT_TICK_MS 20
#define UNIT_WAIT_MS 3000
#define UNIT_DETECT_MS 2200 /* Corosync's token and consensus */
#define UNIT_GENERATION 40  /* of the lease of each VM, as the state has it at first */

struct unit {
    struct core core;
    struct actions out;
    struct cluster image; /* what the pool holds at the start */
    struct delta delta;   /* the last one the core wanted committed */
    struct delta foreign; /* one another node commits */
    struct facts facts;
    uint64_t now_ms;
    uint32_t self;
    uint64_t foreign_count;
    struct event_ring ring;
    struct beat peers[UNIT_NODES + 1]; /* by node id: what each says of itself */
    bool silent[UNIT_NODES + 1];       /* its agent says nothing */
    bool polls_hang;                   /* the storage answers no poll */
    uint64_t beats;                    /* what those watched last wrote there */
    uint32_t log_count;
    struct action log[UNIT_LOG_MAX];
};

/* ---- the world before the core starts */

static inline void unit_fill_node(struct unit *u, uint32_t nodeid)
{
    struct node_record *node = &u->image.nodes[nodeid - 1];
    snprintf(node->name, sizeof(node->name), "n%u", nodeid);
    node->nodeid = nodeid;
    node->state = NODE_ADMITTED;
    node->machine = unit_uuid((uint8_t)(0x10 + nodeid));
    node->boot = unit_uuid((uint8_t)(0x20 + nodeid));
    node->incarnation = (struct incarnation){1, nodeid};
    node->client = unit_client(nodeid, nodeid * 100);
    node->memory_mib = 8192;
    node->feature_level = FEATURE_LEVEL;
    struct beat *beat = &u->peers[nodeid];
    *beat = (struct beat){
        .nodeid = nodeid,
        .agent_start = 1000 + nodeid,
        .machine = node->machine,
        .boot = node->boot,
        .incarnation = node->incarnation,
        .client = node->client,
        .memory_mib = node->memory_mib,
        .feature_level = FEATURE_LEVEL,
        .able = true,
        .storage = true,
        .libvirt = true,
    };
    memcpy(beat->name, node->name, NAME_BYTES);
}

/* A core of node `self` (not started) and an image in which n1 acts in term 3, at version 10. */
static inline struct unit *unit_new(uint32_t self)
{
    struct unit *u = calloc(1, sizeof(*u));
    assert_non_null(u);
    u->self = self;
    u->now_ms = 100000;
    u->image.header = (struct header){
        .cluster_id = unit_uuid(0xc1),
        .epoch = 1,
        .term = 3,
        .actor = 1,
        .actor_start = 1001,
        .members = 7,
        .version = 10,
        .commit = {1, 1001, 77},
        .feature_level = FEATURE_LEVEL,
        .next_incarnation = UNIT_NODES + 1,
        .next_history = 1,
    };
    u->ring = (struct event_ring){
        .quorate = true, .quorum = 2, .count = UNIT_NODES, .detect_ms = UNIT_DETECT_MS};
    for (uint32_t id = 1; id <= UNIT_NODES; id++) {
        u->ring.nodeids[id - 1] = id;
        unit_fill_node(u, id);
    }
    const struct node_record *node = &u->image.nodes[self - 1];
    u->facts = (struct facts){
        .nodeid = self,
        .agent_start = 1000 + self,
        .machine = node->machine,
        .boot = node->boot,
        .incarnation = node->incarnation,
        .memory_mib = node->memory_mib,
        .feature_level = FEATURE_LEVEL,
    };
    memcpy(u->facts.name, node->name, NAME_BYTES);
    return u;
}

/* All hosts lost power and are back, hands empty, nobody admitted in his present life. */
static inline struct unit *unit_all_rebooted(uint32_t self)
{
    struct unit *u = unit_new(self);
    for (uint32_t id = 1; id <= UNIT_NODES; id++) {
        struct beat *beat = &u->peers[id];
        beat->boot = unit_uuid((uint8_t)(0x60 + id));
        beat->incarnation = (struct incarnation){0};
        beat->able = false;
        beat->empty = true;
        beat->client = unit_client(id, 900 + id);
    }
    u->facts.boot = u->peers[self].boot;
    u->facts.incarnation = (struct incarnation){0};
    return u;
}

/* Somebody set a setting before the story begins. */
static inline void unit_set(struct unit *u, const char *name, uint32_t value)
{
    const struct setting *setting = settings_find(name);
    assert_non_null(setting);
    u->image.set[setting->slot] =
        (struct setting_record){.set_ms = 1, .value = value, .given = true, .by = "ada"};
}

/* Puts a VM of 1 GiB, wanted running, into the image: in slot `slot`, with node slot `node`. */
static inline struct vm_record *unit_vm(struct unit *u, uint32_t slot, enum vm_state state,
                                        uint8_t node)
{
    struct vm_record *vm = &u->image.vms[slot];
    snprintf(vm->name, sizeof(vm->name), "vm%u", slot);
    vm->uuid = unit_uuid((uint8_t)(0x80 + slot));
    vm->want = WANT_RUNNING;
    vm->state = state;
    vm->memory_mib = 1024;
    vm->node = node;
    if (node != NODE_NONE) {
        vm->incarnation = u->image.nodes[node].incarnation;
    }
    vm->action = (struct action_id){2, 5 + slot};
    vm->generation = UNIT_GENERATION;
    vm->definition_version = 1;
    vm->definition_digest = 99;
    vm->stop_timeout_ms = 2000;
    if (slot >= u->image.vm_end) {
        u->image.vm_end = slot + 1;
    }
    return vm;
}

/* The lease of that VM as its holder has it once it runs. */
static inline struct lease unit_lease(const struct unit *u, uint32_t slot, uint32_t nodeid)
{
    const struct vm_record *vm = &u->image.vms[slot];
    struct lease lease = {
        .cluster_id = u->image.header.cluster_id,
        .vm = vm->uuid,
        .state = LEASE_HELD,
        .holder = nodeid,
        .incarnation = u->image.nodes[nodeid - 1].incarnation,
        .action = vm->action,
        .generation = UNIT_GENERATION,
    };
    struct client client = unit_client(nodeid, 7000 + slot);
    (void)clients_add(&lease.clients, &client);
    return lease;
}

/* ---- steps */

static inline struct event unit_event(enum event_kind kind, uint64_t id)
{
    return (struct event){.kind = kind, .id = id};
}

static inline void unit_keep(struct unit *u, const struct action *action)
{
    if (action->kind == ACTION_TRACE || action->kind == ACTION_SEND_BEAT ||
        action->kind == ACTION_POLL) {
        return;
    }
    if (action->kind == ACTION_COMMIT) {
        u->delta = *u->out.delta;
    }
    assert_true(u->log_count < UNIT_LOG_MAX);
    u->log[u->log_count++] = *action;
}

/* The core's own heartbeat comes back, and every peer that speaks answers it. */
static inline void unit_answer_beat(struct unit *u, const struct beat *own);
static inline void unit_answer_poll(struct unit *u, uint64_t id);

static inline void unit_step(struct unit *u, struct event *event)
{
    event->now_ms = u->now_ms;
    event->wall_ms = 1700000000000 + u->now_ms;
    step(&u->core, event, &u->out);
    uint64_t poll = 0;
    struct beat *own = NULL;
    for (uint32_t i = 0; i < u->out.count; i++) {
        const struct action *action = &u->out.list[i];
        unit_keep(u, action);
        poll = action->kind == ACTION_POLL ? action->id : poll;
        if (action->kind == ACTION_SEND_BEAT) {
            own = malloc(sizeof(*own));
            assert_non_null(own);
            *own = *u->out.beat;
        }
    }
    if (poll != 0 && !u->polls_hang) {
        unit_answer_poll(u, poll);
    }
    if (own != NULL) {
        unit_answer_beat(u, own);
        free(own);
    }
}

static inline void unit_beat(struct unit *u, uint32_t nodeid, const struct beat *answered)
{
    struct event event = unit_event(EVENT_BEAT, 0);
    struct beat *beat = malloc(sizeof(*beat));
    assert_non_null(beat);
    *beat = u->peers[nodeid];
    beat->sent_ms = u->now_ms;
    if (answered != NULL) {
        beat->answers[beat->answer_count++] =
            (struct beat_answer){answered->nodeid, answered->agent_start, answered->sent_ms};
    }
    event.beat = beat;
    unit_step(u, &event);
    free(beat);
}

static inline void unit_answer_beat(struct unit *u, const struct beat *own)
{
    for (uint32_t i = 0; i < u->ring.count; i++) {
        uint32_t nodeid = u->ring.nodeids[i];
        if (u->silent[nodeid]) {
            continue;
        }
        if (nodeid == u->self) {
            struct event event = unit_event(EVENT_BEAT, 0);
            event.beat = own;
            unit_step(u, &event);
        } else {
            unit_beat(u, nodeid, own);
        }
    }
}

static inline void unit_answer_poll(struct unit *u, uint64_t id)
{
    struct event event = unit_event(EVENT_POLL, id);
    const struct header *copy = &u->core.cluster.header;
    event.poll.outcome = OUTCOME_DONE;
    event.poll.header = copy->version != 0 ? *copy : u->image.header;
    event.poll.beats = u->beats;
    unit_step(u, &event);
}

static inline void unit_tick(struct unit *u)
{
    struct event event = unit_event(EVENT_TICK, 0);
    unit_step(u, &event);
}

static inline void unit_pass(struct unit *u, uint64_t ms)
{
    uint64_t until_ms = u->now_ms + ms;
    while (u->now_ms < until_ms) {
        u->now_ms += until_ms - u->now_ms < UNIT_TICK_MS ? until_ms - u->now_ms : UNIT_TICK_MS;
        unit_tick(u);
    }
}

/* ---- the log */

static inline void unit_forget(struct unit *u)
{
    u->log_count = 0;
}

static inline uint32_t unit_logged(const struct unit *u, enum action_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < u->log_count; i++) {
        count += u->log[i].kind == kind;
    }
    return count;
}

static inline bool unit_find(struct unit *u, enum action_kind kind, struct action *ret_action)
{
    for (uint32_t i = 0; i < u->log_count; i++) {
        if (u->log[i].kind == kind) {
            *ret_action = u->log[i];
            u->log_count--;
            memmove(&u->log[i], &u->log[i + 1], (u->log_count - i) * sizeof(u->log[0]));
            return true;
        }
    }
    return false;
}

/* The oldest action of that kind not taken yet; waits for it, and fails if it never comes. */
static inline struct action unit_take(struct unit *u, enum action_kind kind)
{
    struct action action = {0};
    for (uint32_t waited = 0; !unit_find(u, kind, &action); waited += UNIT_TICK_MS) {
        if (waited > UNIT_WAIT_MS) {
            fail_msg("the core never asked for action kind %d", (int)kind);
        }
        unit_pass(u, UNIT_TICK_MS);
    }
    return action;
}

static inline void unit_none(const struct unit *u, enum action_kind kind)
{
    assert_int_equal(unit_logged(u, kind), 0);
}

/* ---- answers */

static inline void unit_handle(struct unit *u, const struct action *action, enum outcome outcome,
                               struct client client)
{
    struct event event = unit_event(EVENT_HANDLE, action->id);
    event.handle.outcome = outcome;
    event.handle.client = client;
    unit_step(u, &event);
}

/* The whole state as it is in `u->image`. */
static inline void unit_state_is(struct unit *u, const struct action *action, enum outcome outcome)
{
    struct event event = unit_event(EVENT_STATE, action->id);
    struct cluster *lent = malloc(sizeof(*lent));
    assert_non_null(lent);
    *lent = u->image;
    event.state.outcome = outcome;
    event.state.image = lent;
    event.state.first = u->image.header;
    event.state.last = u->image.header;
    unit_step(u, &event);
    free(lent);
}

static inline void unit_lease_is(struct unit *u, const struct action *action, enum outcome outcome,
                                 const struct lease *lease)
{
    struct event event = unit_event(EVENT_LEASE, action->id);
    event.lease.outcome = outcome;
    event.lease.has_lease = lease != NULL;
    if (lease != NULL) {
        event.lease.lease = *lease;
    }
    unit_step(u, &event);
}

/* A lease change took effect. */
static inline void unit_lease_done(struct unit *u, const struct action *action)
{
    struct lease lease = action->lease.lease;
    unit_lease_is(u, action, OUTCOME_DONE, &lease);
}

static inline void unit_block(struct unit *u, const struct action *action, enum outcome outcome,
                              uint32_t blocked_count)
{
    struct event event = unit_event(EVENT_BLOCK, action->id);
    event.block.outcome = outcome;
    event.block.blocked_count = blocked_count;
    unit_step(u, &event);
}

/* One that died holds a lock, or none for a zero client. */
static inline void unit_locks(struct unit *u, const struct action *action, enum outcome outcome,
                              struct client dead)
{
    struct event event = unit_event(EVENT_LOCKS, action->id);
    event.locks.outcome = outcome;
    (void)clients_add(&event.locks.dead, &dead);
    unit_step(u, &event);
}

/* One watcher, or none for a zero client. */
static inline void unit_watchers(struct unit *u, const struct action *action, enum outcome outcome,
                                 struct client client)
{
    struct event event = unit_event(EVENT_WATCHERS, action->id);
    event.watchers.outcome = outcome;
    event.watchers.image_count = 1;
    (void)clients_add(&event.watchers.clients, &client);
    unit_step(u, &event);
}

static inline void unit_domain_done(struct unit *u, const struct action *action,
                                    enum outcome outcome)
{
    struct event event = unit_event(EVENT_DOMAIN_DONE, action->id);
    event.domain_done.outcome = outcome;
    snprintf(event.domain_done.text, TEXT_BYTES, "libvirt says so");
    unit_step(u, &event);
}

static inline void unit_killed(struct unit *u, const struct action *action, enum outcome outcome,
                               uint32_t alive_count)
{
    struct event event = unit_event(EVENT_KILLED, action->id);
    event.killed.outcome = outcome;
    event.killed.alive_count = alive_count;
    unit_step(u, &event);
}

static inline void unit_power(struct unit *u, const struct action *action, enum outcome outcome)
{
    struct event event = unit_event(EVENT_POWER, action->id);
    event.power.outcome = outcome;
    snprintf(event.power.text, TEXT_BYTES, "the BMC says so");
    unit_step(u, &event);
}

static inline void unit_commit_is(struct unit *u, const struct action *action, enum outcome outcome,
                                  const struct header *header)
{
    struct event event = unit_event(EVENT_COMMIT, action->id);
    event.commit.outcome = outcome;
    if (header != NULL) {
        event.commit.header = *header;
    }
    unit_step(u, &event);
}

/* libvirt tells of the domain of VM slot `slot`; nothing is said of its mark. */
static inline void unit_domain(struct unit *u, uint32_t slot, enum domain_state state,
                               enum domain_end end)
{
    struct event event = unit_event(EVENT_DOMAIN, 0);
    struct uuid vm = unit_uuid((uint8_t)(0x80 + slot));
    event.domain = (struct event_domain){vm, state, end, MARK_UNREADABLE, {0, 0}};
    unit_step(u, &event);
}

static inline void unit_ring(struct unit *u, bool quorate, uint32_t count, const uint32_t *nodeids)
{
    u->ring.quorate = quorate;
    u->ring.count = count;
    memcpy(u->ring.nodeids, nodeids, count * sizeof(nodeids[0]));
    struct event event = unit_event(EVENT_RING, 0);
    event.ring = u->ring;
    unit_step(u, &event);
}

static inline void unit_leave(struct unit *u, uint32_t nodeid)
{
    uint32_t left[UNIT_NODES];
    uint32_t count = 0;
    for (uint32_t i = 0; i < u->ring.count; i++) {
        if (u->ring.nodeids[i] != nodeid) {
            left[count++] = u->ring.nodeids[i];
        }
    }
    unit_ring(u, true, count, left);
}

/* ---- what another node commits */

/* An empty delta on top of the copy, by n1's agent unless we are that one. */
static inline struct delta *unit_foreign(struct unit *u)
{
    memset(&u->foreign, 0, sizeof(u->foreign));
    u->foreign.header = u->core.cluster.header;
    u->foreign.base_term = u->core.cluster.header.term;
    u->foreign.header.version++;
    uint32_t by = u->self == 1 ? 2 : 1;
    u->foreign.header.commit = (struct origin){by, 1000 + by, 500 + ++u->foreign_count};
    return &u->foreign;
}

static inline struct vm_record *unit_foreign_vm(struct unit *u, uint32_t slot)
{
    struct record *record = &u->foreign.records[u->foreign.count++];
    *record = (struct record){.kind = RECORD_VM, .slot = slot, .vm = u->core.cluster.vms[slot]};
    return &record->vm;
}

static inline struct node_record *unit_foreign_node(struct unit *u, uint32_t slot)
{
    struct record *record = &u->foreign.records[u->foreign.count++];
    *record =
        (struct record){.kind = RECORD_NODE, .slot = slot, .node = u->core.cluster.nodes[slot]};
    return &record->node;
}

static inline void unit_foreign_send(struct unit *u)
{
    u->foreign.header.digest = state_digest_after(&u->core.cluster, &u->foreign);
    struct event event = unit_event(EVENT_DELTA, 0);
    event.delta = &u->foreign;
    unit_step(u, &event);
}

/* ---- the usual position */

/* Handle open, copy loaded, domains listed, ring of three, fresh. What the core asked for meanwhile
 * and nobody answered yet stays in the log. */
static inline void unit_open(struct unit *u, struct client client)
{
    u->image.header.digest = state_digest(&u->image);
    core_init(&u->core, &u->facts, u->now_ms);
    if (incarnation_is_none(u->facts.incarnation)) { /* then nothing is read before */
        unit_ring(u, u->ring.quorate, u->ring.count, u->ring.nodeids);
    }
    unit_tick(u);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_DONE, client);
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_DONE);
}

static inline void unit_domains(struct unit *u)
{
    struct event event = unit_event(EVENT_DOMAINS, 0);
    event.domains.connected = true;
    unit_step(u, &event);
}

static inline void unit_start(struct unit *u)
{
    unit_open(u, u->image.nodes[u->self - 1].client);
    unit_ring(u, u->ring.quorate, u->ring.count, u->ring.nodeids);
    unit_domains(u);
    unit_pass(u, 100);
    assert_true(peers_fresh_until_ms(&u->core) > u->now_ms);
    assert_int_equal(u->core.local.life.state, LIFE_ADMITTED);
}

/* Waits for the core's next commit, which takes effect. Its delta is in u->delta. */
static inline void unit_commit(struct unit *u)
{
    struct action action = unit_take(u, ACTION_COMMIT);
    unit_commit_is(u, &action, OUTCOME_DONE, NULL);
}

/* We are n1 and take the term: from here on this core acts. */
static inline void unit_lead(struct unit *u)
{
    unit_start(u);
    unit_commit(u);
    assert_int_equal(u->core.cluster.header.actor, u->self);
}

/* Lets commits take effect until `ms` pass; other actions gather in the log. */
static inline void unit_settle(struct unit *u, uint64_t ms)
{
    uint64_t until_ms = u->now_ms + ms;
    struct action action;
    while (u->now_ms < until_ms) {
        while (unit_find(u, ACTION_COMMIT, &action)) {
            unit_commit_is(u, &action, OUTCOME_DONE, NULL);
        }
        unit_pass(u, UNIT_TICK_MS);
    }
}

static inline const struct vm_record *unit_copy_vm(const struct unit *u, uint32_t slot)
{
    return &u->core.cluster.vms[slot];
}

static inline const struct node_record *unit_copy_node(const struct unit *u, uint32_t nodeid)
{
    return &u->core.cluster.nodes[nodeid - 1];
}

#endif
