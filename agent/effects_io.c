/* One step, its effects; then the next. */
#include "agent/effects_io.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent/alarm_command_io.h"
#include "agent/alarm_io.h"
#include "agent/host_io.h"
#include "agent/incarnation_io.h"
#include "agent/journal_io.h"
#include "agent/panic_io.h"
#include "proto/assert.h"
#include "proto/clock_io.h"
#include "storage/state.h"

#define QUEUE_MAX 8192 /* events that arise while actions are carried out */

/* An edge may answer at once, and the steps that take these answers ask further: so there may be
 * one for each call that can be under way, beside what some edge tells unasked. */
_Static_assert(
    QUEUE_MAX >= 3 * RUNS_MAX + 2 * RUNS_MAX + TAKEOVERS_MAX + 8 * NODES_MAX + ACTIONS_MAX,
    "three calls of a run, two of a domain, one of a takeover, less than eight of a node");

struct effects {
    qb_loop_t *loop;
    struct core *core; /* NULL before it began */
    struct actions *out;
    struct edges edges;
    uint32_t call_ms; /* as the storage edge was last told */
    int timer_fd;
    uint64_t timer_ms; /* what it is set to */
    bool busy;
    uint32_t first;
    uint32_t count;
    struct event queue[QUEUE_MAX];
};

static void save_incarnation(struct effects *effects, const struct action *action)
{
    const struct facts *facts = &effects->core->local.facts;
    struct kept kept = {.incarnation = action->incarnation, .nodeid = facts->nodeid};
    struct event event = {.kind = EVENT_SAVED, .id = action->id};
    memcpy(kept.name, facts->name, sizeof(kept.name));
    kept.cluster_id = effects->core->cluster.header.cluster_id;
    int r = incarnation_io_save(INCARNATION_PATH, &facts->boot, &kept);
    if (r < 0) {
        journal_io_say(LOG_ERR, "cannot write " INCARNATION_PATH ": %s", strerror(-r));
    }
    event.done.outcome = r == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
    struct sink sink = effects_io_sink(effects);
    sink_put(&sink, &event);
}

static void change_lease(const struct edges *edges, const struct action *action)
{
    struct actions none = {.count = 0};
    if (action->lease.lease.state == LEASE_FREE) {
        nvram_io_release(edges->nvram, action);
    } else {
        storage_io_act(edges->storage, action, &none);
    }
}

static void create(struct effects *effects, const struct action *action)
{
    guest_io_know(effects->edges.guests, &action->vm.uuid);
    int r = hook_io_permit(effects->edges.hook, action);
    if (r == 0) {
        create_io_act(effects->edges.create, action);
        return;
    }
    struct event event = {.kind = EVENT_DOMAIN_DONE, .id = action->id};
    event.domain_done.outcome = OUTCOME_FAILED;
    snprintf(event.domain_done.text, sizeof(event.domain_done.text),
             "its permit for libvirt's hook cannot be written below /run/stead: %s", strerror(-r));
    struct sink sink = effects_io_sink(effects);
    sink_put(&sink, &event);
}

static void act_on_domain(struct effects *effects, const struct action *action)
{
    if (action->kind == ACTION_DOMAIN_CREATE) {
        create(effects, action);
    } else {
        libvirt_io_act(effects->edges.libvirt, action);
    }
}

static void switch_power(const struct edges *edges, const struct action *action)
{
    if (action->power.device.agent[0] != '\0') {
        fence_agent_io_act(edges->fence_agents, action);
    } else {
        bmc_io_act(edges->bmc, action);
    }
}

static void tell_alarm(const struct effects *effects, const struct action *action)
{
    const struct local *local = &effects->core->local;
    alarm_io_journal(&action->alarm.alarm, action->alarm.raised);
    alarm_command_io_put(effects->edges.notify, local->facts.name, &action->alarm.alarm,
                         action->alarm.raised, local->wall_ms);
}

static void carry_out(struct effects *effects, const struct action *action)
{
    const struct edges *edges = &effects->edges;
    switch (action->kind) {
    case ACTION_TRACE:
        journal_io_say(LOG_INFO, "%s", action->trace);
        break;
    case ACTION_SEND_BEAT:
    case ACTION_SEND_DELTA:
    case ACTION_SEND_REQUEST:
    case ACTION_SEND_REPLY:
        corosync_io_act(edges->corosync, action, effects->out);
        break;
    case ACTION_ANSWER:
        edges->answer(edges->answer_context, &action->reply);
        break;
    case ACTION_HANDLE_OPEN:
    case ACTION_POLL:
    case ACTION_STATE_READ:
    case ACTION_COMMIT:
    case ACTION_LEASE_READ:
    case ACTION_LEASE_REMOVE:
    case ACTION_BLOCK_ADD:
    case ACTION_BLOCK_REMOVE:
    case ACTION_BLOCK_CHECK:
    case ACTION_LOCKS_BREAK:
    case ACTION_WATCHERS_READ:
        storage_io_act(edges->storage, action, effects->out);
        break;
    case ACTION_LEASE_CHANGE:
        change_lease(edges, action);
        break;
    case ACTION_POWER:
        switch_power(edges, action);
        break;
    case ACTION_DOMAIN_CREATE:
    case ACTION_DOMAIN_RESUME:
    case ACTION_DOMAIN_SUSPEND:
    case ACTION_DOMAIN_SHUTDOWN:
    case ACTION_DOMAIN_DESTROY:
        act_on_domain(effects, action);
        break;
    case ACTION_KILL:
        guest_io_act(edges->guests, action);
        break;
    case ACTION_SAVE_INCARNATION:
        save_incarnation(effects, action);
        break;
    case ACTION_FORGET_MARK:
        panic_io_forget(MARK_PATH);
        break;
    case ACTION_LET_GO:
        corosync_io_let_go(edges->corosync, action->let_go.agreed);
        break;
    case ACTION_EXPECT_VOTES:
        corosync_io_expect(edges->corosync, action->votes);
        break;
    case ACTION_KEEPER_ARM:
    case ACTION_KEEPER_DISARM:
    case ACTION_VOUCH:
        keeper_io_act(edges->keeper, action);
        break;
    case ACTION_ALARM:
        tell_alarm(effects, action);
        break;
    case ACTION_KIND_COUNT:
        IMPOSSIBLE("action kind");
    }
}

/* What an edge goes by of the settings. */
static void pass_settings(struct effects *effects)
{
    uint32_t call_ms = effects->core->cluster.settings.call_ms;
    if (call_ms != effects->call_ms) {
        effects->call_ms = call_ms;
        storage_io_set_call_ms(effects->edges.storage, call_ms);
    }
}

/* The version that this step stands on: the copy's, or the one just arriving. */
static struct header stands_on(const struct effects *effects, const struct event *event)
{
    const struct header *copy = &effects->core->cluster.header;
    const struct header *news = copy;
    if (event->kind == EVENT_DELTA) {
        news = &event->delta->header;
    } else if (event->kind == EVENT_STATE && event->state.outcome == OUTCOME_DONE) {
        news = &event->state.last;
    }
    return news->version > copy->version ? *news : *copy;
}

static void run(struct effects *effects, struct event *event)
{
    struct header at = stands_on(effects, event);
    event->now_ms = clock_io_boot_ms();
    event->wall_ms = host_io_wall_ms();
    if (event->kind == EVENT_DOMAIN && event->domain.state != DOMAIN_GONE) {
        guest_io_know(effects->edges.guests, &event->domain.vm); /* should libvirt forget it */
    }
    if (event->kind == EVENT_DOMAINS && !event->domains.connected) {
        create_io_forget_secrets(effects->edges.create);
    }
    if (event->kind == EVENT_DOMAIN_DONE) {
        hook_io_answered(effects->edges.hook, event);
        if (event->domain_done.outcome == OUTCOME_FAILED) { /* for want of its secret, perhaps */
            create_io_forget_secrets(effects->edges.create);
        }
    }
    panic_io_stepping(&at);
    step(effects->core, event, effects->out);
    pass_settings(effects);
    panic_io_stepped();
    hook_io_list(effects->edges.hook, &effects->core->cluster); /* before anybody is answered */
    for (uint32_t i = 0; i < effects->out->count; i++) {
        carry_out(effects, &effects->out->list[i]);
    }
}

/* An absolute time on CLOCK_BOOTTIME: due at once when a suspended host wakes up late. */
static void set_timer(struct effects *effects)
{
    uint64_t next_ms = core_next_ms(effects->core);
    if (next_ms == effects->timer_ms) {
        return;
    }
    effects->timer_ms = next_ms;
    next_ms = next_ms == 0 ? 1 : next_ms; /* 0 would disarm it */
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(next_ms / 1000),
                                         .tv_nsec = (long)(next_ms % 1000) * 1000000}};
    int r = timerfd_settime(effects->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    ASSERT(r == 0);
}

/* What it points to is gone when put() returns, so it cannot wait in the queue. */
static bool lends(const struct event *event)
{
    return event->kind == EVENT_BEAT || event->kind == EVENT_DELTA ||
           event->kind == EVENT_REQUEST ||
           (event->kind == EVENT_STATE && event->state.outcome == OUTCOME_DONE);
}

static void put(void *context, struct event *event)
{
    struct effects *effects = context;
    if (effects->core == NULL) {
        return;
    }
    if (effects->busy) { /* an edge answers while we carry out: never step inside a step */
        ASSERT(!lends(event));
        ASSERT(effects->count < QUEUE_MAX);
        effects->queue[(effects->first + effects->count++) % QUEUE_MAX] = *event;
        return;
    }
    effects->busy = true;
    run(effects, event);
    while (effects->count > 0) {
        struct event next = effects->queue[effects->first];
        effects->first = (effects->first + 1) % QUEUE_MAX;
        effects->count--;
        run(effects, &next);
    }
    effects->first = 0; /* the same pages again */
    effects->busy = false;
    set_timer(effects);
}

static int32_t on_timer(int32_t fd, int32_t revents, void *context)
{
    struct effects *effects = context;
    struct event event = {.kind = EVENT_TICK};
    uint64_t expired;
    (void)revents;
    ssize_t got = read(fd, &expired, sizeof(expired));
    if (got == (ssize_t)sizeof(expired)) {
        effects->timer_ms = 0;
        put(effects, &event);
    }
    return 0;
}

struct sink effects_io_sink(struct effects *effects)
{
    return (struct sink){.put = put, .context = effects};
}

const struct core *effects_io_core(const struct effects *effects)
{
    return effects->core;
}

static bool is_registered(void *context, const struct uuid *vm)
{
    const struct core *core = context;
    return state_find_vm_uuid(&core->cluster, vm) != VMS_MAX;
}

void effects_io_begin(struct effects *effects, const struct facts *facts, const struct edges *edges)
{
    struct event event = {.kind = EVENT_TICK};
    ASSERT(effects->core == NULL);
    effects->core = calloc(1, sizeof(*effects->core));
    ASSERT(effects->core != NULL);
    effects->edges = *edges;
    core_init(effects->core, facts, clock_io_boot_ms());
    libvirt_io_set_registered(edges->libvirt, is_registered, effects->core);
    put(effects, &event);
}

int effects_io_open(qb_loop_t *loop, struct effects **ret_effects)
{
    struct effects *effects = calloc(1, sizeof(*effects));
    if (effects == NULL) {
        return -ENOMEM;
    }
    effects->loop = loop;
    effects->out = calloc(1, sizeof(*effects->out));
    effects->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (effects->out == NULL || effects->timer_fd < 0) {
        return -ENOMEM; /* the process ends now */
    }
    int r = qb_loop_poll_add(loop, QB_LOOP_HIGH, effects->timer_fd, POLLIN, effects, on_timer);
    if (r < 0) {
        return r;
    }
    *ret_effects = effects;
    return 0;
}
