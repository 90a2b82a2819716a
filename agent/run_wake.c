/*
 * The way of a guest that stands still by our doing back to its work.
 *
 * Decides: whether it may go on, now that this node was readmitted (suspend.c). All of this must
 * hold: the present term counts us among its members and our quorum is fresh; its lease, read anew,
 * is the one we know; no client of its and not this host, asked anew, is on the blocklist; it was
 * we who paused it (its mark); libvirt owes no answer to a suspend. One whose lease changed or
 * whose client is barred is killed and started anew, like any that ended uncleanly. If the right
 * has run out by the time libvirt has let it go on, everything stands still again. Never: wakes
 * what somebody else paused, or takes what was read before the readmission for an answer.
 */
#include <string.h>

#include "agent/run.h"
#include "agent/suspend.h"
#include "agent/trace.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/lease.h"

#define BIT(state) (1u << (state))

/* The states and the moves allowed between them. */
static const struct {
    const char *sentence;
    uint32_t moves;
} rows[WAKE_STATE_COUNT] = {
    [WAKE_NOT] = {"stands still", BIT(WAKE_LEASE)},
    [WAKE_LEASE] = {"may go on, if its lease is unchanged", BIT(WAKE_NOT) | BIT(WAKE_BLOCK)},
    [WAKE_BLOCK] = {"... and neither it nor this host blocklisted",
                    BIT(WAKE_NOT) | BIT(WAKE_ASKED)},
    [WAKE_ASKED] = {"goes on", BIT(WAKE_NOT)},
};

static void move(struct run_step *step, enum wake_state state)
{
    struct run_wake *wake = &step->run->wake;
    ASSERT(state < WAKE_STATE_COUNT);
    ASSERT(rows[wake->state].moves & BIT(state));
    struct text text = {0};
    if (state != WAKE_NOT) {
        text_add(text_add(&text, "vm "), step->core->cluster.vms[step->run->slot].name);
        trace(step->caller, text_add(text_add(&text, ": "), rows[state].sentence));
    }
    *wake = (struct run_wake){.state = state};
}

/* From the beginning, after a while, if libvirt still shows it so. */
static void again(struct run_step *step)
{
    move(step, WAKE_NOT);
    step->run->wake.retry_ms = step->caller->now_ms + run_settings(step)->retry_ms / 4;
}

static bool may_wake(const struct run_step *step, const struct domain *domain)
{
    ASSERT(step->run->state == RUN_UP || step->run->state == RUN_SHUTDOWN);
    return domain != NULL && domain->state == DOMAIN_SUSPENDED &&
           !call_open(&domain->suspend_call) && run_may_begin(step);
}

static void ask_lease(struct run_step *step)
{
    move(step, WAKE_LEASE);
    struct action *action = call_begin(step->caller, &step->run->wake.call, ACTION_LEASE_READ,
                                       run_settings(step)->call_ms, false);
    action->lease.lease.vm = step->run->vm;
}

static void ask_block(struct run_step *step)
{
    move(step, WAKE_BLOCK);
    run_ask_block(step, &step->run->wake.call);
}

static void ask_resume(struct run_step *step, const struct domain *domain)
{
    move(step, WAKE_ASKED);
    struct action *action = run_call(step, &step->run->wake.call, ACTION_DOMAIN_RESUME,
                                     run_settings(step)->call_ms, true);
    action->vm.action = domain->action; /* which its mark bears */
}

void run_wake_carry_on(struct run_step *step)
{
    struct run_wake *wake = &step->run->wake;
    if (call_overdue(&wake->call, step->caller->now_ms)) {
        again(step);
    }
    if (wake->state == WAKE_NOT && step->caller->now_ms >= wake->retry_ms &&
        may_wake(step, run_domain(step->core, step->run))) {
        ask_lease(step);
    }
}

static void on_lease(struct run_step *step, const struct event_lease *answer)
{
    struct run *run = step->run;
    bool known = answer->outcome == OUTCOME_DONE && answer->has_lease;
    if (known && lease_is_raised(&run->lease, &answer->lease)) {
        run->lease = answer->lease;
    }
    if (known && !lease_is(&run->lease, &answer->lease)) {
        run->forfeit = !lease_held_by(&answer->lease, step->core->local.facts.nodeid,
                                      step->core->local.life.incarnation);
        run->lease = answer->lease;
        run_move(step, RUN_KILL, "its lease changed while it stood still");
    } else if (known && may_wake(step, run_domain(step->core, run))) {
        ask_block(step);
    } else {
        again(step);
    }
}

static void on_block(struct run_step *step, const struct event_block *answer)
{
    const struct domain *domain = run_domain(step->core, step->run);
    if (answer->outcome == OUTCOME_DONE && answer->blocked_count > 0) {
        run_move(step, RUN_KILL, "a client of its, or this host, was blocklisted meanwhile");
    } else if (answer->outcome == OUTCOME_DONE && may_wake(step, domain)) {
        ask_resume(step, domain);
    } else {
        again(step);
    }
}

/* Libvirt's events tell whether it runs. While it stood still, so did the time it has to shut down.
 */
static void on_resume(struct run_step *step, enum outcome outcome)
{
    again(step);
    if (outcome == OUTCOME_DONE) {
        step->run->deadline_ms += step->caller->now_ms - step->core->local.suspension.since_ms;
    }
    if (outcome != OUTCOME_STALE && !caller_fresh(step->caller)) {
        suspend_again(step->core, step->caller);
    }
}

void run_wake_on_answer(struct run_step *step, const struct event *event)
{
    switch (step->run->wake.state) {
    case WAKE_LEASE:
        on_lease(step, &event->lease);
        return;
    case WAKE_BLOCK:
        on_block(step, &event->block);
        return;
    case WAKE_ASKED:
        on_resume(step, event->domain_done.outcome);
        return;
    case WAKE_NOT:
    case WAKE_STATE_COUNT:
        break;
    }
    IMPOSSIBLE("an answer in a state that asks nothing");
}
