/*
 * What the OSDs and the monitors do with an operation that has arrived: compare-and-set on the
 * state object and on leases, the blocklist, the watchers. An operation of a blocklisted client is
 * refused
 * (-108) by the OSDs; the monitors still serve it.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"
#include "tests/sim/sim_block.h"
#include "tests/sim/sim_call.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_cpg.h"
#include "tests/sim/sim_rados.h"
#include "tests/sim/sim_virt.h"

static uint64_t way_back_us(struct sim *sim, const struct sim_call *call, bool own)
{
    return sim_rng_range(&sim->rng, 200, 1000) + sim_rados_slow_us(sim, call->node, own);
}

static void run_back(struct sim *sim, struct sim_task *task)
{
    const struct sim_news *back = task->news;
    if (sim_rados_reaches(sim, back->call->node, back->own) && !back->call->unheard) {
        sim_call_answer(sim, back->call, 0, &back->event);
    } /* else the answer is lost */
    sim_call_done(sim, back->call);
}

static void answer(struct sim *sim, struct sim_call *call, bool own, const struct event *event)
{
    struct sim_news *back = sim_news(sim, call, event);
    back->own = own;
    call->refs++;
    sim_put(sim, way_back_us(sim, call, own), SIM_NO_HOST,
            (struct sim_task){.run = run_back, .news = back});
}

/* The OSDs see the map this client has; false when they refuse it. */
static bool admitted(struct sim *sim, const struct sim_call *call)
{
    const struct sim_agent *agent = &sim->hosts[call->node].agent;
    if (agent->has_handle && agent->client.nonce == call->client.nonce) {
        sim_block_osd_learns(sim, agent->handle_epoch);
    }
    return !sim_block_hits(sim, call->client);
}

/* --- the state object --- */

static enum outcome read_object(const struct sim *sim)
{
    if (sim->rados.gone) {
        return OUTCOME_MISSING;
    }
    return sim->rados.garbled ? OUTCOME_FAILED : OUTCOME_DONE;
}

static struct cluster *copy_of(const struct cluster *state)
{
    struct cluster *copy = malloc(sizeof(*copy));
    ASSERT(copy != NULL);
    *copy = *state;
    return copy;
}

static void put_old(struct sim *sim)
{
    ASSERT(sim->rados.kept != NULL); /* the parser saw to it */
    if (sim->rados.newest == NULL) {
        sim->rados.newest = sim->rados.state;
        sim->rados.state = copy_of(sim->rados.kept);
    }
}

static void put_back(struct sim *sim)
{
    sim->rados.gone = false;
    sim->rados.garbled = false;
    sim->rados.damaged = false;
    sim->rados.stalled = false;
    sim_rados_unstalled(sim);
    if (sim->rados.newest != NULL) {
        free(sim->rados.state);
        sim->rados.state = sim->rados.newest;
        sim->rados.newest = NULL;
    }
}

void sim_rados_object(struct sim *sim, enum object_event what)
{
    switch (what) {
    case OBJECT_GONE:
        sim->rados.gone = true;
        return;
    case OBJECT_KEPT:
        free(sim->rados.kept);
        sim->rados.kept = copy_of(sim->rados.state);
        return;
    case OBJECT_RESTORED:
        sim_restore(sim);
        return;
    case OBJECT_OLD:
        put_old(sim);
        return;
    case OBJECT_BACK:
        put_back(sim);
        return;
    case OBJECT_GARBLED:
        sim->rados.garbled = true;
        return;
    case OBJECT_DAMAGED:
        sim->rados.damaged = true;
        return;
    case OBJECT_STALLED:
        sim->rados.stalled = true;
        return;
    }
    stead_panic(__FILE__, __LINE__, "object event");
}

/* What a commit writes is sound again: the header always, a record if it is among them. */
static void heal_object(struct sim *sim, const struct delta *delta)
{
    sim->rados.garbled = false;
    for (uint32_t i = 0; i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        if (record->kind == RECORD_NODE && record->slot == sim->node_count - 1) {
            sim->rados.damaged = false;
        }
    }
}

static void do_poll(struct sim *sim, struct sim_call *call)
{
    struct event event = {.kind = EVENT_POLL};
    event.poll.outcome = admitted(sim, call) ? read_object(sim) : OUTCOME_BLOCKLISTED;
    event.poll.garbled = event.poll.outcome == OUTCOME_FAILED;
    if (event.poll.outcome == OUTCOME_DONE) {
        event.poll.header = sim->rados.state->header;
        for (uint32_t i = 0; i < call->action.poll.watch_count; i++) {
            event.poll.beats += sim->rados.beat_us[call->action.poll.watch[i] - 1] * (i + 1);
        }
        sim_cpg_note_works(sim);
        sim->rados.beat_us[call->node] =
            call->action.poll.write ? sim->now_us : sim->rados.beat_us[call->node];
    }
    answer(sim, call, true, &event);
}

/* Nothing is there: what `delta` follows is an empty object. */
static void begin_object(struct sim *sim, const struct delta *delta)
{
    struct cluster *state = sim->rados.state;
    memset(state, 0, sizeof(*state));
    state->header.epoch = delta->header.epoch;
    state->header.term = delta->base_term;
    state->header.version = delta->header.version - 1;
    sim->rados.gone = false;
}

static void do_commit(struct sim *sim, struct sim_call *call)
{
    struct cluster *state = sim->rados.state;
    struct event event = {.kind = EVENT_COMMIT, .commit.outcome = OUTCOME_DONE};
    if (!admitted(sim, call)) {
        event.commit.outcome = OUTCOME_BLOCKLISTED;
    } else if (sim->rados.gone && !call->action.commit.create) {
        event.commit.outcome = OUTCOME_MISSING;
    } else if (!sim->rados.gone &&
               (call->action.commit.create || !state_follows(state, call->delta))) {
        /* Refused; by what, only a header that can be read tells. */
        event.commit.outcome = sim->rados.garbled ? OUTCOME_UNKNOWN : OUTCOME_REFUSED;
        event.commit.header = state->header;
    } else {
        if (sim->rados.gone) {
            begin_object(sim, call->delta);
        }
        sim_cpg_note_works(sim);
        sim_check_commit(sim, call->node, call->delta);
        heal_object(sim, call->delta);
    }
    answer(sim, call, true, &event);
}

/* A read in pages: the first half of the VMs, a little later the rest and the history. */
static void run_second_page(struct sim *sim, struct sim_task *task)
{
    struct sim_call *call = task->object;
    struct cluster *image = call->image;
    const struct cluster *state = sim->rados.state;
    uint32_t half = (uint32_t)task->number;
    uint32_t end = state->vm_end > half ? state->vm_end - half : 0;
    memcpy(image->vms + half, state->vms + half, end * sizeof(state->vms[0]));
    memcpy(image->history, state->history, sizeof(state->history));
    image->vm_end = half + end;
    while (image->vm_end > 0 && image->vms[image->vm_end - 1].state == VM_FREE) {
        image->vm_end--;
    }
    struct event event = {.kind = EVENT_STATE};
    event.state.outcome = OUTCOME_DONE;
    event.state.image = image;
    event.state.first = image->header;
    event.state.last = state->header;
    answer(sim, call, true, &event);
    sim_call_done(sim, call);
}

static void do_state_read(struct sim *sim, struct sim_call *call)
{
    const struct cluster *state = sim->rados.state;
    if (!admitted(sim, call)) {
        struct event event = {.kind = EVENT_STATE, .state.outcome = OUTCOME_BLOCKLISTED};
        answer(sim, call, true, &event);
        return;
    }
    if (read_object(sim) != OUTCOME_DONE) {
        struct event event = {.kind = EVENT_STATE, .state.outcome = read_object(sim)};
        event.state.garbled = sim->rados.garbled && !sim->rados.gone;
        answer(sim, call, true, &event);
        return;
    }
    ASSERT(call->image == NULL);
    uint32_t half = state->vm_end / 2;
    call->image = sim_pool_take(&sim->pools.images);
    memset(call->image->vms, 0, call->image->vm_end * sizeof(state->vms[0])); /* of its last use */
    call->image->vm_end = half;
    call->image->header = state->header;
    memcpy(call->image->set, state->set, sizeof(state->set));
    memcpy(call->image->nodes, state->nodes, sizeof(state->nodes));
    call->image->nodes[sim->node_count - 1].memory_mib += sim->rados.damaged ? 1 : 0;
    memcpy(call->image->vms, state->vms, half * sizeof(state->vms[0]));
    uint64_t page_us = sim_rng_chance(&sim->rng, 4) ? sim_rng_range(&sim->rng, 1, 20 * MS) : 0;
    call->refs++;
    sim_put(sim, page_us, SIM_NO_HOST,
            (struct sim_task){.run = run_second_page, .object = call, .number = half});
}

/* --- leases --- */

static void do_lease(struct sim *sim, struct sim_call *call)
{
    const struct lease *asked = &call->action.lease.lease;
    struct event event = {.kind = EVENT_LEASE};
    uint32_t vm = sim_vm_by_uuid(sim, &asked->vm);
    if (call->action.lease.wait_map) {
        sim->hosts[call->node].agent.handle_epoch = sim->rados.map_epoch;
    }
    if (!admitted(sim, call)) {
        event.lease.outcome = OUTCOME_BLOCKLISTED;
        answer(sim, call, true, &event);
        return;
    }
    if (vm == SIM_VMS_MAX || !sim->rados.lease_exists[vm]) {
        event.lease.outcome = OUTCOME_MISSING;
        answer(sim, call, true, &event);
        return;
    }
    struct lease *lease = &sim->rados.leases[vm];
    event.lease.outcome = OUTCOME_DONE;
    if (call->action.kind == ACTION_LEASE_CHANGE) {
        if (lease->generation + 1 == asked->generation) {
            sim_check_lease(sim, call->node, vm, asked);
            *lease = *asked;
        } else {
            event.lease.outcome = OUTCOME_REFUSED;
        }
    } else if (call->action.kind == ACTION_LEASE_REMOVE) {
        if (lease->state == asked->state && lease->generation == asked->generation &&
            incarnation_equal(lease->incarnation, asked->incarnation)) {
            sim_check_let_go(sim, vm);
            sim->rados.lease_exists[vm] = false;
            sim->vms[vm].known = false;
        } else {
            event.lease.outcome = OUTCOME_REFUSED;
        }
        answer(sim, call, true, &event);
        return;
    }
    event.lease.has_lease = true;
    event.lease.lease = *lease;
    answer(sim, call, true, &event);
}

/* --- the monitors --- */

/* Each guest on this host whose client is among the entries asked about. */
static void note_told(struct sim *sim, const struct sim_call *call, uint32_t blocked)
{
    for (uint32_t g = 0; g < sim->guest_count; g++) {
        struct sim_guest *guest = &sim->guests[g];
        if (!guest->alive || guest->node != call->node || !guest->has_client) {
            continue;
        }
        struct client client = sim_address_client(guest->client);
        for (uint32_t i = 0; i < call->action.block.count; i++) {
            if (client_equal(&client, &call->action.block.entries[i])) {
                uint64_t since_us = guest->told_us != 0 ? guest->told_us : sim->now_us;
                guest->told_us = blocked > 0 ? since_us : 0;
            }
        }
    }
}

/* Read back: what the list says by now. */
static void answer_blocked(struct sim *sim, struct sim_call *call)
{
    const struct action *action = &call->action;
    uint32_t amiss = sim_block_amiss(sim, action);
    bool add = action->kind == ACTION_BLOCK_ADD;
    struct event event = {.kind = EVENT_BLOCK, .block.outcome = OUTCOME_DONE};
    event.block.osd_epoch = action->block.count > 0 ? sim->rados.map_epoch : 0;
    event.block.blocked_count = add ? action->block.count - amiss : amiss;
    if (action->kind == ACTION_BLOCK_CHECK) {
        note_told(sim, call, amiss);
    }
    answer(sim, call, false, &event);
}

static void see_map(struct sim *sim, const struct sim_call *call)
{
    struct sim_agent *agent = &sim->hosts[call->node].agent;
    if (agent->client.nonce == call->client.nonce) {
        agent->handle_epoch = sim->rados.map_epoch;
    }
}

static void run_blocked(struct sim *sim, struct sim_task *task)
{
    struct sim_call *call = task->object;
    for (uint32_t i = 0; i < call->action.block.count; i++) {
        struct sim_address entry;
        if (!sim_address_parse(sim, &call->action.block.entries[i], &entry)) {
            sim_violation(sim, "a blocklist entry of no client: \"%s\"",
                          call->action.block.entries[i].address);
        }
        if (call->action.kind == ACTION_BLOCK_ADD) {
            sim_block_add(sim, entry);
        } else {
            sim_block_remove(sim, entry);
        }
        sim_log(sim, SIM_NO_HOST, "blocklist %s %s",
                call->action.kind == ACTION_BLOCK_ADD ? "add" : "remove",
                call->action.block.entries[i].address);
    }
    sim_block_publish(sim);
    see_map(sim, call);
    answer_blocked(sim, call);
    sim_call_done(sim, call);
}

/* What is as wanted already costs no round; the newest map is waited for all the same. */
static void do_block(struct sim *sim, struct sim_call *call)
{
    if (call->action.kind == ACTION_BLOCK_CHECK) {
        answer_blocked(sim, call);
    } else if (sim_block_amiss(sim, &call->action) == 0) {
        see_map(sim, call);
        answer_blocked(sim, call);
    } else {
        uint64_t delay_us = sim_block_proposal_us(sim) - sim->now_us;
        sim_call_put(sim, call, delay_us, SIM_NO_HOST, run_blocked);
    }
}

static void do_handle(struct sim *sim, struct sim_call *call)
{
    struct sim_agent *agent = &sim->hosts[call->node].agent;
    if (!sim_call_lives(sim, call) || call->answered) { /* too late for it to be taken */
        return;
    }
    struct event event = {.kind = EVENT_HANDLE, .handle.outcome = OUTCOME_DONE};
    agent->client = sim_address_new(sim, call->node);
    agent->has_handle = true;
    agent->handle_epoch = sim->rados.map_epoch;
    event.handle.client = sim_address_client(agent->client);
    if (sim_block_hits(sim, agent->client)) { /* the first read on it says so */
        event.handle.outcome = OUTCOME_BLOCKLISTED;
    }
    answer(sim, call, false, &event);
}

/* --- images --- */

static void do_images(struct sim *sim, struct sim_call *call)
{
    struct event event = {.kind = EVENT_LOCKS, .locks.outcome = OUTCOME_DONE};
    uint32_t vm = sim_vm_by_uuid(sim, &call->action.vm.uuid);
    bool watchers = call->action.kind == ACTION_WATCHERS_READ;
    event.kind = watchers ? EVENT_WATCHERS : EVENT_LOCKS;
    if (!admitted(sim, call)) {
        event.locks.outcome = OUTCOME_BLOCKLISTED; /* at the same place in both */
    } else if (vm == SIM_VMS_MAX || !sim->vms[vm].known) {
        event.locks.outcome = OUTCOME_MISSING;
    } else if (watchers) {
        event.watchers.outcome = OUTCOME_DONE;
        event.watchers.image_count = 1;
        sim_virt_watchers(sim, vm, &event.watchers.clients);
    } else {
        sim_virt_locker(sim, vm, &event.locks.dead);
    }
    answer(sim, call, false, &event);
}

void sim_objects_execute(struct sim *sim, struct sim_call *call)
{
    switch (call->action.kind) {
    case ACTION_HANDLE_OPEN:
        do_handle(sim, call);
        return;
    case ACTION_POLL:
        do_poll(sim, call);
        return;
    case ACTION_STATE_READ:
        do_state_read(sim, call);
        return;
    case ACTION_COMMIT:
        do_commit(sim, call);
        return;
    case ACTION_LEASE_READ:
    case ACTION_LEASE_CHANGE:
    case ACTION_LEASE_REMOVE:
        do_lease(sim, call);
        return;
    case ACTION_BLOCK_ADD:
    case ACTION_BLOCK_REMOVE:
    case ACTION_BLOCK_CHECK:
        do_block(sim, call);
        return;
    case ACTION_LOCKS_BREAK:
    case ACTION_WATCHERS_READ:
        do_images(sim, call);
        return;
    case ACTION_TRACE:
    case ACTION_SEND_BEAT:
    case ACTION_SEND_DELTA:
    case ACTION_SEND_REQUEST:
    case ACTION_SEND_REPLY:
    case ACTION_ANSWER:
    case ACTION_POWER:
    case ACTION_DOMAIN_CREATE:
    case ACTION_DOMAIN_RESUME:
    case ACTION_DOMAIN_SUSPEND:
    case ACTION_DOMAIN_SHUTDOWN:
    case ACTION_DOMAIN_DESTROY:
    case ACTION_KILL:
    case ACTION_SAVE_INCARNATION:
    case ACTION_LET_GO:
    case ACTION_ALARM:
    case ACTION_EXPECT_VOTES:
    case ACTION_KEEPER_ARM:
    case ACTION_KEEPER_DISARM:
    case ACTION_VOUCH:
    case ACTION_FORGET_MARK:
    case ACTION_KIND_COUNT:
        break;
    }
    stead_panic(__FILE__, __LINE__, "a storage action");
}
