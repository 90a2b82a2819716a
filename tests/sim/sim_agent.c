/*
 * The driver of one core, the twin of the daemon's: events in, actions out, in order. Nothing is
 * answered from within a step; every effect goes through the queue.
 */
#include "tests/sim/sim_agent.h"

#include <stdlib.h>
#include <string.h>

#include "agent/query.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "tests/sim/sim_bmc.h"
#include "tests/sim/sim_call.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_corosync.h"
#include "tests/sim/sim_coverage.h"
#include "tests/sim/sim_cpg.h"
#include "tests/sim/sim_hang.h"
#include "tests/sim/sim_hook.h"
#include "tests/sim/sim_host.h"
#include "tests/sim/sim_keeper.h"
#include "tests/sim/sim_operator.h"
#include "tests/sim/sim_rados.h"
#include "tests/sim/sim_virt.h"
#include "tests/sim/sim_votes.h"

#define RESTART_US (300 * MS) /* by systemd */
#define STEPS_AT_ONCE_MAX 10000

static struct sim_agent *agent_of(struct sim *sim, uint32_t node)
{
    ASSERT(node < sim->node_count);
    return &sim->hosts[node].agent;
}

/* --- actions out --- */

static void multicast(struct sim *sim, uint32_t node, const struct action *action)
{
    struct sim_message *message = NULL;
    if (action->kind == ACTION_SEND_BEAT) {
        message = sim_message_new(sim, MESSAGE_BEAT, node);
        message->beat = sim_pool_take(&sim->pools.beats);
        beat_copy(message->beat, sim->actions->beat);
    } else if (action->kind == ACTION_SEND_DELTA) {
        ASSERT(sim->actions->committed != NULL);
        message = sim_message_new(sim, MESSAGE_DELTA, node);
        message->delta = sim_delta_copy(sim, sim->actions->committed);
    } else if (action->kind == ACTION_SEND_REQUEST) {
        message = sim_message_new(sim, MESSAGE_REQUEST, node);
        message->request = action->request;
    } else {
        message = sim_message_new(sim, MESSAGE_REPLY, node);
        message->reply = action->reply;
    }
    sim_cpg_send(sim, node, message);
}

static void run_saved(struct sim *sim, struct sim_task *task)
{
    if (sim_hang_waits(sim, task)) {
        return;
    }
    struct sim_call *call = task->object;
    struct event event = {.kind = EVENT_SAVED, .done.outcome = OUTCOME_DONE};
    struct sim_host *host = &sim->hosts[call->node];
    if (sim_call_lives(sim, call)) {
        if (host->tmpfs_full) {
            event.done.outcome = OUTCOME_FAILED;
        } else {
            host->has_file = true;
            host->file = call->action.incarnation;
        }
        sim_call_answer(sim, call, 0, &event);
    }
    sim_call_done(sim, call);
}

static void save_incarnation(struct sim *sim, uint32_t node, const struct action *action)
{
    struct event unknown = {.kind = EVENT_SAVED, .done.outcome = OUTCOME_UNKNOWN};
    struct sim_call *call = sim_call_begin(sim, node, action, &unknown);
    sim_call_put(sim, call, sim_rng_range(&sim->rng, 200, 2000), node, run_saved);
}

static void log_alarm(struct sim *sim, uint32_t node, const struct alarm *alarm, bool raised)
{
    sim_log(sim, node, "alarm %s: %s%s%s: %s", raised ? "raised" : "cleared",
            alarm_about(alarm->kind)->word, alarm->subject[0] != '\0' ? " " : "", alarm->subject,
            alarm->text);
}

static void carry_out(struct sim *sim, uint32_t node, const struct action *action)
{
    switch (action->kind) {
    case ACTION_TRACE:
        sim_log(sim, node, "%s", action->trace);
        return;
    case ACTION_SEND_BEAT:
    case ACTION_SEND_DELTA:
    case ACTION_SEND_REQUEST:
    case ACTION_SEND_REPLY:
        multicast(sim, node, action);
        return;
    case ACTION_ANSWER:
        sim_operator_answer(sim, node, &action->reply);
        return;
    case ACTION_HANDLE_OPEN:
    case ACTION_POLL:
    case ACTION_STATE_READ:
    case ACTION_COMMIT:
    case ACTION_LEASE_READ:
    case ACTION_LEASE_CHANGE:
    case ACTION_LEASE_REMOVE:
    case ACTION_BLOCK_ADD:
    case ACTION_BLOCK_REMOVE:
    case ACTION_BLOCK_CHECK:
    case ACTION_LOCKS_BREAK:
    case ACTION_WATCHERS_READ:
        sim_rados_act(sim, node, action);
        return;
    case ACTION_POWER:
        sim_bmc_act(sim, node, action);
        return;
    case ACTION_DOMAIN_CREATE:
    case ACTION_DOMAIN_RESUME:
    case ACTION_DOMAIN_SUSPEND:
    case ACTION_DOMAIN_SHUTDOWN:
    case ACTION_DOMAIN_DESTROY:
    case ACTION_KILL:
        sim_virt_act(sim, node, action);
        return;
    case ACTION_SAVE_INCARNATION:
        save_incarnation(sim, node, action);
        return;
    case ACTION_FORGET_MARK:
        sim->hosts[node].marked = false;
        return;
    case ACTION_LET_GO:
        sim_corosync_let_go(sim, node);
        return;
    case ACTION_EXPECT_VOTES:
        sim_votes_expect(sim, node, action->votes);
        return;
    case ACTION_KEEPER_ARM:
    case ACTION_KEEPER_DISARM:
    case ACTION_VOUCH:
        sim_keeper_act(sim, node, action);
        return;
    case ACTION_ALARM:
        log_alarm(sim, node, &action->alarm.alarm, action->alarm.raised);
        return;
    case ACTION_KIND_COUNT:
        break;
    }
    sim_violation(sim, "%s: unknown action %d", sim->story->nodes[node].name, (int)action->kind);
}

/* --- stead-sim kills: the acting node dies, or stands still, right after its k-th action --- */

static bool counts(const struct action *action)
{
    return action->kind != ACTION_TRACE && action->kind != ACTION_SEND_BEAT &&
           action->kind != ACTION_POLL && action->kind != ACTION_ALARM &&
           action->kind != ACTION_VOUCH;
}

static void kill_if_due(struct sim *sim, uint32_t node, const struct action *action)
{
    struct sim_kill *kill = &sim->kill;
    if (!kill->counting || kill->done || !counts(action) ||
        !query_acting(sim->hosts[node].agent.core)) {
        return;
    }
    if (++kill->count != kill->target) {
        return;
    }
    kill->done = true;
    sim_host_kill_acting(sim, node, kill->how);
}

/* --- events in --- */

static void run_tick(struct sim *sim, struct sim_task *task)
{
    if (sim_hang_waits(sim, task)) {
        return;
    }
    struct sim_agent *agent = agent_of(sim, task->host);
    if (!agent->alive || agent->life != task->number || agent->tick_us != task->other) {
        return; /* a nearer one was set since */
    }
    agent->tick_us = 0;
    struct event event = {.kind = EVENT_TICK};
    sim_agent_event(sim, task->host, &event);
}

static void put_tick(struct sim *sim, uint32_t node)
{
    struct sim_agent *agent = agent_of(sim, node);
    uint64_t next_ms = core_next_ms(agent->core);
    uint64_t now_ms = sim_clock_ms(sim, node);
    uint64_t wait_ms = next_ms > now_ms ? next_ms - now_ms : 0;
    if (wait_ms > 3600 * 1000) {
        return;
    }
    uint64_t at_us = sim->now_us + (wait_ms > 0 ? sim_clock_true_us(sim, node, wait_ms * MS) : 100);
    if (agent->tick_us != 0 && agent->tick_us <= at_us) {
        return;
    }
    agent->tick_us = at_us;
    sim_put(sim, at_us - sim->now_us, node,
            (struct sim_task){.run = run_tick, .number = agent->life, .other = at_us});
}

static void guard_livelock(struct sim *sim, uint32_t node, struct sim_agent *agent)
{
    if (sim->now_us / MS != agent->steps_us / MS) {
        agent->steps_us = sim->now_us;
        agent->steps_now = 0;
    }
    if (++agent->steps_now > STEPS_AT_ONCE_MAX) {
        sim_violation(sim, "%s: the core asks for %d steps in one millisecond",
                      sim->story->nodes[node].name, STEPS_AT_ONCE_MAX);
    }
}

void sim_agent_event(struct sim *sim, uint32_t node, struct event *event)
{
    struct sim_agent *agent = agent_of(sim, node);
    if (!agent->alive) {
        return;
    }
    ASSERT(!sim->hosts[node].frozen);
    ASSERT(!agent->hung);
    ASSERT(sim->stepping == SIM_NO_HOST);
    guard_livelock(sim, node, agent);
    event->now_ms = sim_clock_ms(sim, node);
    event->wall_ms = sim_clock_wall_ms(sim, node);
    uint32_t life = agent->life;
    sim->stepping = node;
    if (sim->coverage != NULL) {
        coverage_note(sim->coverage, agent->core, event);
    }
    step(agent->core, event, sim->actions);
    sim_hook_list(sim, node);
    ASSERT(sim->actions->count <= ACTIONS_MAX);
    for (uint32_t i = 0; i < sim->actions->count && agent->alive && agent->life == life; i++) {
        carry_out(sim, node, &sim->actions->list[i]);
        kill_if_due(sim, node, &sim->actions->list[i]);
    }
    sim->stepping = SIM_NO_HOST;
    if (agent->alive && agent->life == life) {
        put_tick(sim, node);
        sim_check_copy(sim, node);
    }
    sim_check_world(sim);
    sim_check_quorum(sim, node);
}

static void run_told(struct sim *sim, struct sim_task *task)
{
    if (sim_hang_waits(sim, task)) {
        return;
    }
    struct sim_agent *agent = agent_of(sim, task->host);
    if (agent->alive && agent->life == task->number) {
        sim_agent_event(sim, task->host, &task->news->event);
    }
}

void sim_agent_tell(struct sim *sim, uint32_t node, uint64_t delay_us, const struct event *event)
{
    struct sim_task task = {.run = run_told, .number = sim->hosts[node].agent.life};
    task.news = sim_news(sim, NULL, event);
    sim_put(sim, delay_us, node, task);
}

/* --- the process --- */

static struct facts facts_of(struct sim *sim, uint32_t node)
{
    const struct sim_host *host = &sim->hosts[node];
    const struct scenario_node *line = &sim->story->nodes[node];
    struct facts facts = {
        .nodeid = node + 1,
        .agent_start = host->agent.start,
        .machine = host->machine,
        .boot = host->boot,
        .memory_mib = line->memory_mib,
        .feature_level = host->level,
    };
    memcpy(facts.name, line->name, sizeof(facts.name));
    if (host->has_file) {
        facts.incarnation = host->file;
    }
    facts.restarts = host->starts.count;
    facts.steady_ms = starts_steady_ms(&host->starts);
    facts.halted = host->marked;
    facts.mark = host->mark;
    facts.bmc = sim_bmc_address(sim, node);
    facts.bmc.verified = false;
    sim_bmc_devices(sim, node, facts.devices);
    for (uint32_t i = 0; i < FENCE_DEVICES_MAX; i++) {
        facts.devices[i].standing = DEVICE_UNKNOWN;
    }
    return facts;
}

void sim_agent_start(struct sim *sim, uint32_t node)
{
    struct sim_agent *agent = agent_of(sim, node);
    ASSERT(!agent->alive);
    free(agent->core);
    agent->core = calloc(1, sizeof(*agent->core)); /* the system makes only the pages it uses */
    ASSERT(agent->core != NULL);
    agent->alive = true;
    agent->stopped = false;
    agent->life++;
    agent->began_us = sim->now_us;
    agent->start = sim_rng_next(&sim->rng) | 1;
    agent->has_handle = false;
    agent->libvirt_told = false;
    agent->tick_us = 0;
    agent->checked_version = 0;
    starts_note(&sim->hosts[node].starts, sim_clock_ms(sim, node));
    struct facts facts = facts_of(sim, node);
    sim->stepping = node;
    core_init(agent->core, &facts, sim_clock_ms(sim, node));
    sim->stepping = SIM_NO_HOST;
    struct event event = {.kind = EVENT_TICK};
    sim_agent_event(sim, node, &event);
    sim_cpg_show(sim, node);
    sim_virt_connect(sim, node);
    sim_bmc_identify(sim, node);
    sim_keeper_connect(sim, node);
}

void sim_agent_stop(struct sim *sim, uint32_t node)
{
    struct sim_agent *agent = agent_of(sim, node);
    agent->alive = false;
    agent->has_handle = false;
    sim_hang_over(sim, node);
    agent->life++;
}

static void run_restart(struct sim *sim, struct sim_task *task)
{
    const struct sim_agent *agent = agent_of(sim, task->host);
    if (!agent->alive && !agent->stopped) {
        sim_agent_start(sim, task->host);
    }
}

static bool end_process(struct sim *sim, uint32_t node)
{
    if (!agent_of(sim, node)->alive) {
        return false;
    }
    sim_agent_stop(sim, node);
    struct sim_message *left = sim_message_new(sim, MESSAGE_NONE, node);
    left->peer_left = true;
    sim_cpg_send(sim, node, left);
    return true;
}

void sim_agent_leave(struct sim *sim, uint32_t node)
{
    agent_of(sim, node)->stopped = sim->hosts[node].up;
    sim->hosts[node].starts = (struct starts){0};
    (void)end_process(sim, node);
}

void sim_agent_restart(struct sim *sim, uint32_t node)
{
    if (end_process(sim, node)) {
        sim->hosts[node].starts = (struct starts){0};
        sim_put(sim, RESTART_US, node, (struct sim_task){.run = run_restart});
    }
}

void sim_agent_kill(struct sim *sim, uint32_t node)
{
    if (!end_process(sim, node)) {
        return;
    }
    struct starts next = sim->hosts[node].starts;
    starts_note(&next, sim_clock_ms(sim, node));
    uint64_t hold_up_us = starts_steady_ms(&next) != 0 ? STARTS_HOLD_UP_MS * MS : 0;
    sim_put(sim, RESTART_US + hold_up_us, node, (struct sim_task){.run = run_restart});
}

void sim_agent_halt(struct sim *sim, uint32_t node)
{
    struct sim_host *host = &sim->hosts[node];
    if (!host->agent.alive) {
        return;
    }
    const struct header *header = &host->agent.core->cluster.header;
    host->marked = true;
    host->mark = (struct mark){
        .epoch = header->epoch, .version = header->version, .decided = mark_decided(header)};
    name_set(host->mark.reason, sizeof(host->mark.reason), "agent/story.c:1: as the story has it");
    sim_log(sim, node, "an assertion fails at version %llu", (unsigned long long)header->version);
    sim_agent_kill(sim, node);
}
