/*
 * The losing side's duty: a host without a quorum lets its guests stand still.
 *
 * Decides: when a suspension begins (Corosync says that there is no quorum, or our own heartbeats
 * go unanswered for so long that it should have), and when it is over: once the acting node has
 * committed that it sees this very suspension (`readmitted_ms`). While it lasts, whatever runs here
 * is suspended through libvirt; what is not seen to stand still by the deadline is killed by pidfd.
 * Where nobody has a quorum nobody fences, so all stand still for however long it takes and go on
 * when it is over; where others have one, the storage says so, and life.c and run_end.c kill.
 * Guests whose policy takes a host for dead by time are killed at the deadline even if they stand
 * still. Letting each guest go on is run_wake.c's. Until when this node was without a quorum is
 * noted here, too: agent/peers.c goes by it. Assumes: a suspension is named by the moment it began,
 * on a clock that restarts with the boot and so with the incarnation: no two of one incarnation
 * have the same name. Never: suspends without a copy of the state, or below the feature level at
 * which an end can be committed.
 */
#include "agent/suspend.h"

#include <string.h>

#include "agent/classes.h"
#include "agent/level.h"
#include "agent/peers.h"
#include "agent/run.h"
#include "agent/tie.h"
#include "agent/trace.h"
#include "agent/votes.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"

#define KILL_LIMIT_MS 3000

bool suspend_on(const struct core *core)
{
    const struct suspension *now = &core->local.suspension;
    ASSERT(now->since_ms <= core->local.now_ms + 1);
    return now->since_ms != 0 && !now->over;
}

uint64_t suspend_told_ms(const struct core *core)
{
    return suspend_on(core) ? core->local.suspension.since_ms : 0;
}

/* Of a VM of the cluster's: one that was given back to libvirt is its owner's. */
static bool is_ours(const struct core *core, const struct domain *domain)
{
    return run_slot(core, &domain->vm, domain->slot) != VMS_MAX;
}

uint32_t suspend_count(const struct core *core)
{
    uint32_t count = 0;
    ASSERT(core->local.domain_count <= RUNS_MAX);
    for (uint32_t i = 0; i < core->local.domain_count; i++) {
        const struct domain *domain = &core->local.domains[i];
        count += domain->state == DOMAIN_SUSPENDED && is_ours(core, domain);
    }
    return count;
}

/* May this host be proven dead by time while this one is on it? */
static bool is_mortal(const struct core *core, const struct domain *domain)
{
    ASSERT(!uuid_is_zero(&domain->vm));
    return classes_mortal(&core->cluster, run_slot(core, &domain->vm, domain->slot));
}

/* ... and is there such a one? */
static bool has_mortal(const struct core *core)
{
    ASSERT(core->local.domain_count <= RUNS_MAX);
    for (uint32_t i = 0; i < core->local.domain_count; i++) {
        if (is_mortal(core, &core->local.domains[i])) {
            return true;
        }
    }
    return false;
}

/* Is there one that runs, or waits to be woken? Where time proves, any that is there at all. */
static bool concerns_any(const struct core *core)
{
    ASSERT(core->local.domain_count <= RUNS_MAX);
    for (uint32_t i = 0; i < core->local.domain_count; i++) {
        const struct domain *domain = &core->local.domains[i];
        bool goes = domain->state == DOMAIN_RUNNING || domain->state == DOMAIN_SUSPENDED;
        if ((goes || is_mortal(core, domain)) && is_ours(core, domain)) {
            return true;
        }
    }
    return false;
}

bool suspend_of(const struct core *core, const struct uuid *vm)
{
    ASSERT(core->local.domain_count <= RUNS_MAX);
    for (uint32_t i = 0; i < core->local.domain_count; i++) {
        const struct domain *domain = &core->local.domains[i];
        if (uuid_equal(&domain->vm, vm)) {
            return domain->state == DOMAIN_SUSPENDED;
        }
    }
    return false;
}

static const struct node_record *own_record(const struct core *core)
{
    uint8_t slot = state_find_node(&core->cluster, core->local.facts.nodeid);
    return slot == NODE_NONE ? NULL : &core->cluster.nodes[slot];
}

/* Nobody takes anything over while HA is paused: guests run on, also through a cut of the network
 * that is being worked on. Where the pause has ended without our knowing, the storage tells. */
static bool nobody_takes_over(const struct core *core)
{
    return core->cluster.settings.ha != HA_ON && !has_mortal(core);
}

/* Corosync here has ended, and it is not yet the time at which the others miss us: it takes them
 * token and consensus, or as long as was announced and committed. A Corosync that is started again
 * is no reason to let guests stand still. Not where a proof rests on time: that time runs. */
static bool not_missed_yet(const struct core *core)
{
    const struct suspension *now = &core->local.suspension;
    const struct node_record *node = own_record(core);
    uint64_t limit_ms = core->local.ring.detect_ms;
    if (node != NULL && node->away_ms > limit_ms) {
        limit_ms = node->away_ms;
    }
    return now->left_ms != 0 && core->local.now_ms - now->left_ms < limit_ms && !has_mortal(core);
}

/* Why there is no quorum; NULL: there is one, as far as anybody could have told. */
static const char *no_quorum(const struct core *core)
{
    const struct local *local = &core->local;
    const struct suspension *now = &local->suspension;
    bool told = local->ring.count > 0 || local->ring.away;
    uint64_t base_ms = now->answered_ms > local->started_ms ? now->answered_ms : local->started_ms;
    uint32_t limit_ms = timing_unanswered_ms(&core->cluster.settings, local->ring.detect_ms);
    ASSERT(base_ms <= local->now_ms);
    if (told && !local->ring.quorate) {
        return local->ring.away ? "Corosync does not run here" : "Corosync has no quorum";
    }
    if (tie_lost(core)) {
        return "the term is the other half's";
    }
    return local->now_ms - base_ms > limit_ms ? "too few agents answer" : NULL;
}

/* ... and that is a reason to let guests stand still. */
static const char *lost_quorum(const struct core *core)
{
    return not_missed_yet(core) || nobody_takes_over(core) ? NULL : no_quorum(core);
}

/* Until the event that brings it there was none: who leaves by that very ring was gone before. In a
 * tie nothing is missing that links could bring: half waits for the term, and longer than for them.
 */
static void note_without(struct core *core)
{
    struct suspension *now = &core->local.suspension;
    bool before = now->without;
    now->without = no_quorum(core) != NULL && !votes_tied(core);
    if (before || now->without) {
        now->without_ms = core->local.now_ms;
    }
}

static void begin(struct core *core, const char *why, struct caller *caller)
{
    struct suspension *now = &core->local.suspension;
    struct text text = {0};
    uint64_t next_ms = now->since_ms + 1; /* no name is used twice */
    now->since_ms = caller->now_ms > next_ms ? caller->now_ms : next_ms;
    now->since_wall_ms = core->local.wall_ms;
    now->over = false;
    text_add(text_add(&text, "self: no quorum: guests stand still ("), why);
    trace(caller, text_add(&text, ")"));
    peers_hurry(core);
}

/* An acting node saw this very suspension. That its term counts us as a member and that quorum is
 * fresh is asked for each guest (run_may_begin). */
static bool readmitted(const struct core *core)
{
    const struct node_record *node = own_record(core);
    ASSERT(core->local.life.state == LIFE_ADMITTED);
    return node != NULL && node->readmitted_ms == core->local.suspension.since_ms;
}

static void judge(struct core *core, struct caller *caller)
{
    struct suspension *now = &core->local.suspension;
    const char *why = lost_quorum(core);
    bool found = now->since_ms == 0 && suspend_count(core) > 0; /* by the agent before us */
    if (!suspend_on(core) && why != NULL && concerns_any(core)) {
        begin(core, why, caller);
    } else if (!suspend_on(core) && found) {
        begin(core, "as the agent before this one left them", caller);
    } else if (suspend_on(core) && why == NULL && readmitted(core)) {
        now->over = true;
        trace_words(caller, "self: readmitted: guests may go on");
        peers_hurry(core);
    }
}

/* Its process, past libvirt. A run that is past its start sees to what it leaves behind; where its
 * lease is being asked for still, that follows once it is gone. */
static void kill_it(struct core *core, struct domain *domain, struct caller *caller)
{
    const char *why = domain->state == DOMAIN_RUNNING
                          ? "it was not seen to stand still in time"
                          : "no quorum for long, and time may prove this host dead";
    if (run_kill(core, &domain->vm, why, caller)) {
        return;
    }
    (void)call_overdue(&domain->kill_call, caller->now_ms);
    if (!call_open(&domain->kill_call)) {
        struct action *action =
            call_begin(caller, &domain->kill_call, ACTION_KILL, KILL_LIMIT_MS, false);
        action->vm.uuid = domain->vm;
    }
}

static void let_stand(struct core *core, struct domain *domain, struct caller *caller)
{
    const struct suspension *now = &core->local.suspension;
    uint64_t from_ms = domain->runs_ms > now->since_ms ? domain->runs_ms : now->since_ms;
    uint64_t until_ms = from_ms + timing_suspend_ms();
    bool runs = domain->state == DOMAIN_RUNNING;
    bool mortal = is_mortal(core, domain);
    (void)call_overdue(&domain->suspend_call, caller->now_ms);
    if ((runs || mortal) && caller->now_ms >= until_ms) {
        kill_it(core, domain, caller);
    } else if (runs && !call_open(&domain->suspend_call) &&
               caller->now_ms >= domain->suspend_retry_ms) {
        struct action *action = call_begin(caller, &domain->suspend_call, ACTION_DOMAIN_SUSPEND,
                                           (uint32_t)(until_ms - caller->now_ms), false);
        action->vm.uuid = domain->vm;
        action->vm.action = domain->action;
    }
}

static void let_all_stand(struct core *core, struct caller *caller)
{
    struct local *local = &core->local;
    const uint32_t first = local->suspension.first;
    for (uint32_t i = 0; i < local->domain_count; i++) {
        const uint32_t at = (first + i) % local->domain_count;
        if (!caller_room_urgent(caller)) {
            local->suspension.first = at;
            return;
        }
        if (is_ours(core, &local->domains[at])) {
            let_stand(core, &local->domains[at], caller);
        }
    }
}

void suspend_carry_on(struct core *core, struct caller *caller)
{
    struct local *local = &core->local;
    struct suspension *now = &local->suspension;
    uint64_t answered_ms = votes_answered_ms(core);
    now->answered_ms = answered_ms > now->answered_ms ? answered_ms : now->answered_ms;
    if (local->ring.quorate) {
        now->left_ms = 0;
    } else if (now->left_ms == 0 && local->ring.away) {
        now->left_ms = caller->now_ms;
    }
    note_without(core);
    if (local->life.state == LIFE_OUTSIDE || local->life.state == LIFE_LOST) {
        now->since_ms = 0; /* what runs here is killed */
        return;
    }
    if (local->life.state != LIFE_ADMITTED || !level_suspends(core)) {
        return;
    }
    judge(core, caller);
    if (suspend_on(core)) {
        let_all_stand(core, caller);
    }
}

bool suspend_on_answer(struct core *core, const struct event *event, struct caller *caller)
{
    struct local *local = &core->local;
    for (uint32_t i = 0; event->id != 0 && i < local->domain_count; i++) {
        struct domain *domain = &local->domains[i];
        if (call_ends(&domain->kill_call, event)) {
            return true; /* libvirt tells; else once more */
        }
        if (call_ends(&domain->suspend_call, event)) {
            domain->suspend_retry_ms = caller->now_ms + core->cluster.settings.retry_ms / 4;
            return true;
        }
    }
    return false;
}

void suspend_again(struct core *core, struct caller *caller)
{
    if (!suspend_on(core) && level_suspends(core)) {
        begin(core, "it was lost while a guest went on", caller);
    }
}
