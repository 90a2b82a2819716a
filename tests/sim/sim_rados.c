/*
 * The way to storage and back. What is sent over a path that is up arrives in a millisecond; when
 * the path goes down, an operation already sent may sit in a queue of the OSD and land many seconds
 * later (14.5 s was measured), any other waits at its client and is sent when the path is back, as
 * long as the process lives. An answer that finds the path down is lost. In all these cases the
 * agent hears "unknown" at the deadline.
 */
#include "tests/sim/sim_rados.h"

#include <stdlib.h>

#include "proto/assert.h"
#include "proto/values.h"
#include "tests/sim/sim_block.h"
#include "tests/sim/sim_call.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_hang.h"

#define LANDS_LATE_MAX_US (15 * SECOND)

uint32_t sim_vm_by_uuid(const struct sim *sim, const struct uuid *uuid)
{
    for (uint32_t v = 0; v < sim->vm_count; v++) {
        if (uuid_equal(&sim->vms[v].uuid, uuid)) {
            return v;
        }
    }
    return SIM_VMS_MAX;
}

/* Does what is asked get there? */
static bool arrives(const struct sim *sim, uint32_t node, bool own)
{
    const struct sim_host *host = &sim->hosts[node];
    return host->storage != PATH_DOWN && !(own && host->state == PATH_DOWN);
}

bool sim_rados_reaches(const struct sim *sim, uint32_t node, bool own)
{
    const struct sim_host *host = &sim->hosts[node];
    bool silent = host->storage == PATH_SILENT || (own && host->state == PATH_SILENT);
    return arrives(sim, node, own) && !silent;
}

uint64_t sim_rados_slow_us(const struct sim *sim, uint32_t node, bool own)
{
    const struct sim_host *host = &sim->hosts[node];
    uint64_t slow_us = host->storage == PATH_SLOW ? host->storage_slow_us : 0;
    return slow_us + (own && host->state == PATH_SLOW ? host->state_slow_us : 0);
}

/* Does it go to stead's own objects, rather than to the monitors or to images? (A new handle is
 * tried by a read of the state object.) */
static bool is_own(const struct sim_call *call)
{
    switch (call->action.kind) {
    case ACTION_HANDLE_OPEN:
    case ACTION_POLL:
    case ACTION_STATE_READ:
    case ACTION_COMMIT:
    case ACTION_LEASE_READ:
    case ACTION_LEASE_CHANGE:
    case ACTION_LEASE_REMOVE:
        return true;
    case ACTION_TRACE:
    case ACTION_SEND_BEAT:
    case ACTION_SEND_DELTA:
    case ACTION_SEND_REQUEST:
    case ACTION_SEND_REPLY:
    case ACTION_ANSWER:
    case ACTION_BLOCK_ADD:
    case ACTION_BLOCK_REMOVE:
    case ACTION_BLOCK_CHECK:
    case ACTION_LOCKS_BREAK:
    case ACTION_WATCHERS_READ:
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
    return false;
}

/* Does it need the monitors: a change of the map, a look at it, the newest of it? */
static bool asks_monitors(const struct action *action)
{
    enum action_kind kind = action->kind;
    bool lease = kind == ACTION_LEASE_READ || kind == ACTION_LEASE_CHANGE;
    return kind == ACTION_BLOCK_ADD || kind == ACTION_BLOCK_REMOVE || kind == ACTION_BLOCK_CHECK ||
           kind == ACTION_HANDLE_OPEN || (lease && action->lease.wait_map);
}

/* The placement group of its object answers nobody, or the monitors do not. */
static bool object_stalled(const struct sim *sim, const struct sim_call *call)
{
    enum action_kind kind = call->action.kind;
    if (sim->rados.monitors == MONITORS_STALLED && asks_monitors(&call->action)) {
        return true;
    }
    if (kind == ACTION_LEASE_READ || kind == ACTION_LEASE_CHANGE || kind == ACTION_LEASE_REMOVE) {
        uint32_t vm = sim_vm_by_uuid(sim, &call->action.lease.lease.vm);
        return vm != SIM_VMS_MAX && sim->rados.lease_stalled[vm];
    }
    return is_own(call) && sim->rados.stalled;
}

static void run_late(struct sim *sim, struct sim_task *task)
{
    struct sim_call *call = task->object;
    sim_objects_execute(sim, call);
    sim_call_done(sim, call);
}

/* Percent of the operations that go astray. */
static uint32_t lossy(const struct sim *sim, uint32_t node, bool own)
{
    const struct sim_host *host = &sim->hosts[node];
    uint32_t percent = host->storage == PATH_LOSSY ? host->storage_lossy : 0;
    return percent + (own && host->state == PATH_LOSSY ? host->state_lossy : 0);
}

bool sim_rados_lossy(const struct sim *sim, uint32_t node)
{
    return lossy(sim, node, true) != 0;
}

/* It arrives late, or never, or it is done and its answer is lost. */
static void go_astray(struct sim *sim, struct sim_call *call)
{
    switch (sim_rng_range(&sim->rng, 0, 3)) {
    case 0:
        return;
    case 1:
        call->unheard = true;
        sim_objects_execute(sim, call);
        return;
    default:
        sim_call_put(sim, call, sim_rng_range(&sim->rng, 1, LANDS_LATE_MAX_US), SIM_NO_HOST,
                     run_late);
        return;
    }
}

static void run_arrive(struct sim *sim, struct sim_task *task)
{
    struct sim_call *call = task->object;
    uint32_t percent = lossy(sim, call->node, is_own(call));
    if (percent != 0 && sim_rng_range(&sim->rng, 1, 100) <= percent) {
        go_astray(sim, call);
    } else if (object_stalled(sim, call)) {
        call->stalled = true;
    } else if (arrives(sim, call->node, is_own(call))) {
        sim_objects_execute(sim, call);
    } else if (call->sent && sim_rng_chance(&sim->rng, 3)) {
        sim_call_put(sim, call, sim_rng_range(&sim->rng, 1, LANDS_LATE_MAX_US), SIM_NO_HOST,
                     run_late);
    } else {
        call->held = true;
    }
    sim_call_done(sim, call);
}

static void send(struct sim *sim, struct sim_call *call, uint64_t delay_us)
{
    struct sim_host *host = &sim->hosts[call->node];
    uint64_t at_us = sim->now_us + delay_us + sim_rados_slow_us(sim, call->node, is_own(call));
    if (at_us <= host->last_arrival_us) {
        at_us = host->last_arrival_us + 1;
    }
    host->last_arrival_us = at_us;
    call->sent = arrives(sim, call->node, is_own(call));
    sim_call_put(sim, call, at_us - sim->now_us, SIM_NO_HOST, run_arrive);
}

void sim_rados_path_changed(struct sim *sim, uint32_t node)
{
    struct sim_call *call = sim->rados.first_call;
    sim->hosts[node].last_arrival_us = 0;
    while (call != NULL) {
        struct sim_call *next = call->next;
        if (call->held && call->node == node && arrives(sim, node, is_own(call))) {
            call->held = false;
            if (sim_call_lives(sim, call)) {
                send(sim, call, sim_rng_range(&sim->rng, 1 * MS, 1500 * MS));
            } /* else its process took it along */
        }
        call = next;
    }
    sim_disk_path_changed(sim, node);
}

/* All that came meanwhile is done now, in order, whoever asked for it and whatever became of him.
 */
void sim_rados_unstalled(struct sim *sim)
{
    uint64_t delay_us = 1;
    for (struct sim_call *call = sim->rados.first_call; call != NULL; call = call->next) {
        if (call->stalled && !object_stalled(sim, call)) {
            call->stalled = false;
            sim_call_put(sim, call, delay_us++, SIM_NO_HOST, run_late);
        }
    }
}

static struct event unknown_of(const struct action *action)
{
    struct event event = {0};
    switch (action->kind) {
    case ACTION_HANDLE_OPEN:
        event.kind = EVENT_HANDLE;
        event.handle.outcome = OUTCOME_UNKNOWN;
        break;
    case ACTION_POLL:
        event.kind = EVENT_POLL;
        event.poll.outcome = OUTCOME_UNKNOWN;
        break;
    case ACTION_STATE_READ:
        event.kind = EVENT_STATE;
        event.state.outcome = OUTCOME_UNKNOWN;
        break;
    case ACTION_COMMIT:
        event.kind = EVENT_COMMIT;
        event.commit.outcome = OUTCOME_UNKNOWN;
        break;
    case ACTION_LEASE_READ:
    case ACTION_LEASE_CHANGE:
    case ACTION_LEASE_REMOVE:
        event.kind = EVENT_LEASE;
        event.lease.outcome = OUTCOME_UNKNOWN;
        break;
    case ACTION_BLOCK_ADD:
    case ACTION_BLOCK_REMOVE:
    case ACTION_BLOCK_CHECK:
        event.kind = EVENT_BLOCK;
        event.block.outcome = OUTCOME_UNKNOWN;
        break;
    case ACTION_LOCKS_BREAK:
        event.kind = EVENT_LOCKS;
        event.locks.outcome = OUTCOME_UNKNOWN;
        break;
    case ACTION_WATCHERS_READ:
        event.kind = EVENT_WATCHERS;
        event.watchers.outcome = OUTCOME_UNKNOWN;
        break;
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
        stead_panic(__FILE__, __LINE__, "a storage action");
    }
    return event;
}

/* The same event with another outcome: each kind keeps it in the first place of its part. */
static struct event with_outcome(struct event event, enum outcome outcome)
{
    _Static_assert(offsetof(struct event, poll) == offsetof(struct event, done), "a union");
    event.done.outcome = outcome;
    return event;
}

/* What becomes of it before it is sent; DONE: it is sent. Blocklist entries that are as wanted need
 * no right to change them; where one is and another is not, nobody knows what came of it. */
static enum outcome unsent(const struct sim *sim, const struct sim_call *call)
{
    const struct action *action = &call->action;
    if (action->kind == ACTION_HANDLE_OPEN) {
        return OUTCOME_DONE;
    }
    if (!sim->hosts[call->node].agent.has_handle) {
        return OUTCOME_FAILED;
    }
    if (!sim_call_stale(sim, call)) {
        return OUTCOME_DONE;
    }
    if (action->kind != ACTION_BLOCK_ADD && action->kind != ACTION_BLOCK_REMOVE) {
        return OUTCOME_STALE;
    }
    uint32_t amiss = sim_block_amiss(sim, action);
    return amiss == 0                     ? OUTCOME_DONE
           : amiss == action->block.count ? OUTCOME_STALE
                                          : OUTCOME_UNKNOWN;
}

/* It leaves the process. A worker thread may get to it a little later, or after a thaw. */
static void run_leave(struct sim *sim, struct sim_task *task)
{
    if (sim_hang_waits(sim, task)) {
        return;
    }
    struct sim_call *call = task->object;
    struct sim_agent *agent = &sim->hosts[call->node].agent;
    struct event unknown = unknown_of(&call->action);
    if (!sim_call_lives(sim, call)) {
        sim_call_done(sim, call);
        return;
    }
    enum outcome outcome = unsent(sim, call);
    if (outcome != OUTCOME_DONE) {
        struct event event = with_outcome(unknown, outcome);
        sim_call_answer(sim, call, 0, &event);
    } else if (call->action.kind == ACTION_HANDLE_OPEN) {
        agent->has_handle = false;
        send(sim, call, sim_rng_range(&sim->rng, 15 * MS, 50 * MS));
    } else {
        if (!sim_call_stale(sim, call)) { /* else it changes nothing */
            sim_check_fresh(sim, call);
        }
        call->client = agent->client;
        send(sim, call, sim_rng_range(&sim->rng, 300, 1500));
    }
    sim_call_done(sim, call);
}

void sim_rados_act(struct sim *sim, uint32_t node, const struct action *action)
{
    struct event unknown = unknown_of(action);
    sim_check_entries(sim, node, action);
    struct sim_call *call = sim_call_begin(sim, node, action, &unknown);
    if (action->kind == ACTION_COMMIT) {
        if (sim->actions->delta == NULL) {
            sim_violation(sim, "%s: a commit without a delta", sim->story->nodes[node].name);
        }
        call->delta = sim_delta_copy(sim, sim->actions->delta);
    }
    sim_call_put(sim, call, sim_rng_range(&sim->rng, 10, 100), node, run_leave);
}
