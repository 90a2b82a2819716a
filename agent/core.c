/*
 * The decision core of one node.
 *
 * step() hands an event to the part it concerns, then lets each part carry on with what is due; the
 * order there is the order of effects: our standing first (it may end everything), then the way to
 * the state, the acting node's round, the VMs of this host, commands, the heartbeat. Assumes:
 * event->now_ms never runs backwards. Never: reads a clock, allocates, or blocks.
 */
#include "agent/core.h"

#include <stddef.h>

#include "agent/actor.h"
#include "agent/devices.h"
#include "agent/halt.h"
#include "agent/leave.h"
#include "agent/life.h"
#include "agent/nodes.h"
#include "agent/observed.h"
#include "agent/peers.h"
#include "agent/request.h"
#include "agent/run.h"
#include "agent/suspend.h"
#include "agent/tie.h"
#include "agent/trouble.h"
#include "agent/view.h"
#include "agent/vms.h"
#include "agent/votes.h"
#include "agent/watchdog.h"
#include "fencing/timing.h"
#include "proto/assert.h"

_Static_assert(ACTIONS_MAX - ACTIONS_URGENT >= ALARMS_TOLD_MAX + 32,
               "alarms, what each part begins at most once a step, and all of the last kill or "
               "fence that had room");

void core_init(struct core *core, const struct facts *facts, uint64_t now_ms)
{
    struct local *local = &core->local;
    ASSERT(facts->nodeid != 0);
    ASSERT(facts->agent_start != 0);
    core->cluster.settings = settings_default(); /* until the state tells */
    local->facts = *facts;
    local->now_ms = now_ms;
    local->started_ms = now_ms;
    local->life.incarnation = facts->incarnation;
    local->life.saved = true;
    local->beat_next_ms = now_ms;
    local->halted = facts->halted;
}

static void on_block(struct core *core, const struct event *event, struct caller *caller)
{
    view_note(core, event->id, event->block.outcome);
    view_on_block(core, event);
    nodes_on_block(core, event);
    if (!tie_on_block(core, event) && !vms_on_answer(core, event)) {
        run_on_answer(core, event, caller);
    }
}

static void on_lease(struct core *core, const struct event *event, struct caller *caller)
{
    if (event->lease.outcome != OUTCOME_MISSING) {
        view_note(core, event->id, event->lease.outcome);
    }
    if (!vms_on_answer(core, event)) {
        run_on_answer(core, event, caller);
    }
}

static void on_poll(struct core *core, const struct event *event, struct caller *caller)
{
    bool awaited = event->id == core->local.storage.poll_call.id;
    view_on_poll(core, event, caller);
    if (awaited && event->poll.outcome == OUTCOME_DONE) {
        actor_on_header(core, &event->poll.header, caller);
    }
}

static void on_state(struct core *core, const struct event *event, struct caller *caller)
{
    view_on_state(core, event, caller);
    if (event->state.outcome == OUTCOME_DONE) {
        actor_on_header(core, &core->cluster.header, caller);
    }
}

static void on_killed(struct core *core, const struct event *event, struct caller *caller)
{
    run_on_answer(core, event, caller);
    if (!suspend_on_answer(core, event, caller)) {
        life_on_killed(core, event, caller);
    }
}

/* What was done to a guest, or to what one left behind. */
static void on_guest(struct core *core, const struct event *event, struct caller *caller)
{
    if (!suspend_on_answer(core, event, caller)) {
        run_on_answer(core, event, caller);
    }
}

static void on_watchers(struct core *core, const struct event *event, struct caller *caller)
{
    if (!vms_on_answer(core, event)) {
        run_on_answer(core, event, caller);
    }
}

/* What RADOS answered. */
static void on_storage(struct core *core, const struct event *event, struct caller *caller)
{
    if (event->kind == EVENT_HANDLE) {
        view_on_handle(core, event, caller);
    } else if (event->kind == EVENT_POLL) {
        on_poll(core, event, caller);
    } else if (event->kind == EVENT_STATE) {
        on_state(core, event, caller);
    } else if (event->kind == EVENT_COMMIT) {
        actor_on_commit(core, event, caller);
    } else if (event->kind == EVENT_LEASE) {
        on_lease(core, event, caller);
    } else if (event->kind == EVENT_BLOCK) {
        on_block(core, event, caller);
    } else {
        on_watchers(core, event, caller);
    }
}

static void on_leaving(struct core *core, const struct event *event, struct caller *caller)
{
    if (event->leaving.agent) {
        watchdog_on_end(core, caller);
    }
    if (event->leaving.why != LEAVING_NOT || !event->leaving.agent) {
        leave_on_event(core, event->leaving.why, event->leaving.forced);
    }
}

static void on_event(struct core *core, const struct event *event, struct caller *caller)
{
    switch (event->kind) {
    case EVENT_TICK:
        actor_note_waiting(core);
        return;
    case EVENT_RING:
        peers_on_ring(core, &event->ring);
        return;
    case EVENT_PEER_LEFT:
        peers_on_left(core, event->nodeid);
        return;
    case EVENT_BEAT:
        peers_on_beat(core, event->beat);
        observed_on_beat(core, event->beat);
        return;
    case EVENT_DELTA:
        view_on_delta(core, event->delta, caller);
        return;
    case EVENT_REQUEST:
        request_on_event(core, event->request, caller);
        return;
    case EVENT_REPLY:
        request_on_reply(core, &event->reply, caller);
        return;
    case EVENT_HANDLE:
    case EVENT_POLL:
    case EVENT_STATE:
    case EVENT_COMMIT:
    case EVENT_LEASE:
    case EVENT_BLOCK:
    case EVENT_WATCHERS:
        on_storage(core, event, caller);
        return;
    case EVENT_LOCKS:
    case EVENT_DOMAIN_DONE:
        on_guest(core, event, caller);
        return;
    case EVENT_POWER:
        nodes_on_power(core, event);
        return;
    case EVENT_BMC_IDENTITY:
        devices_on_identity(&core->local.facts, event);
        return;
    case EVENT_DOMAIN:
        life_on_domain(core, &event->domain);
        run_on_domain(core, &event->domain, caller);
        return;
    case EVENT_DOMAINS:
        run_on_domains(core, event->domains.connected, caller);
        return;
    case EVENT_KILLED:
        on_killed(core, event, caller);
        return;
    case EVENT_SAVED:
        life_on_saved(core, event);
        return;
    case EVENT_TROUBLE:
        trouble_on_event(core, event, caller);
        return;
    case EVENT_LEAVING:
        on_leaving(core, event, caller);
        return;
    case EVENT_KEEPER:
        watchdog_on_event(core, event, caller);
        return;
    case EVENT_KIND_COUNT:
        IMPOSSIBLE("event kind");
    }
}

void step(struct core *core, const struct event *event, struct actions *out)
{
    struct local *local = &core->local;
    ASSERT(event->now_ms >= local->now_ms);
    local->now_ms = event->now_ms;
    local->wall_ms = event->wall_ms;
    out->count = 0;
    out->beat = NULL;
    out->delta = NULL;
    out->committed = NULL;
    struct caller caller = {
        .now_ms = event->now_ms,
        .valid_until_ms = peers_fresh_until_ms(core),
        .next_id = &local->next_id,
        .out = out,
    };
    on_event(core, event, &caller);
    caller.valid_until_ms = peers_fresh_until_ms(core);
    life_carry_on(core, &caller);
    suspend_carry_on(core, &caller);
    tie_carry_on(core, &caller);
    view_carry_on(core, &caller);
    votes_carry_on(core, &caller);
    watchdog_carry_on(core, &caller);
    halt_carry_on(core, &caller);
    observed_prune(core);
    if (!halt_here(core)) {
        actor_carry_on(core, &caller);
        run_carry_on(core, &caller);
    }
    leave_carry_on(core, &caller);
    request_carry_on(core, &caller);
    alarm_carry_on(core, &caller);
    peers_send_beat(core, &caller);
    local->unfinished = caller.full;
    ASSERT(out->count <= ACTIONS_MAX);
}

uint64_t core_next_ms(const struct core *core)
{
    const struct local *local = &core->local;
    uint64_t next_ms = local->unfinished ? local->now_ms : local->beat_next_ms;
    for (uint32_t i = 0; i < local->run_count; i++) { /* a start must not wait for the next beat */
        uint64_t retry_ms = local->runs[i].retry_ms;
        if (local->runs[i].state != RUN_IDLE && retry_ms > local->now_ms && retry_ms < next_ms) {
            next_ms = retry_ms;
        }
    }
    return next_ms;
}
