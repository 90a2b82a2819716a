/*
 * A VM of this host from RUN_UP to its end.
 *
 * Decides the order of an end: domain gone; unless the guest shut down by itself, the dead
 * process's clients (and, should it have been moved past stead, whoever has its images open)
 * blocklisted and its image locks broken (its last write may still be queued in an OSD, and waiting
 * for a dead lock takes 29 s, measured), whoever else died with one barred as well; only then the
 * lease freed, or taken again. While up, the lease is looked at every few polls, and at once on an
 * I/O error: one that is no longer ours, or a blocklisted client of ours, ends the guest by
 * SIGKILL. Never: releases a lease while a process that may write could live.
 */
#include <stddef.h>
#include <string.h>

#include "agent/run.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/lease.h"

#define DESTROY_LIMIT_MS 5000 /* libvirt's own: SIGTERM, 10 s, SIGKILL; we do not wait for that */
#define KILL_LIMIT_MS 3000
#define OTHERS_MS 60000       /* between two looks at who else has the images of a guest open */
#define OTHERS_AGAIN_MS 10000 /* ... where somebody had */

void run_end(struct run_step *step, const char *cause)
{
    const struct run *run = step->run;
    if (run->has_domain) {
        run_move(step, RUN_DESTROY, cause);
    } else if (run->stray) {
        run_move(step, RUN_BLOCK, cause);
    } else if (run->lease.state == LEASE_HELD && !run->forfeit) {
        run_move(step, run->clean ? RUN_RELEASE : RUN_BLOCK, cause);
    } else {
        run_move(step, RUN_OVER, cause);
    }
}

void run_undo(struct run_step *step, const char *reason)
{
    struct run *run = step->run;
    name_set(run->reason, TEXT_BYTES, reason);
    run->again = false; /* it failed: said, and tried elsewhere */
    if (!lease_held_by(&run->lease, step->core->local.facts.nodeid,
                       step->core->local.life.incarnation)) {
        run->forfeit = true;
    }
    run_end(step, run->reason);
}

/* Might it run on elsewhere, past stead? It was moved, or nobody saw how it ended. */
static bool may_have_moved(const struct run *run)
{
    return run->end == END_MIGRATED || run->end == END_UNKNOWN || run->intruder;
}

/* May there be clients that no lease of ours names? It never had a lease, or its start was undone
 * before that was done: a killed QEMU counts as having its images open for 30 s yet. */
static bool has_unnamed(const struct run *run)
{
    return may_have_moved(run) || run->stray || run->lease.clients.count == 0;
}

static void ask_watchers(struct run_step *step)
{
    struct run *run = step->run;
    if (has_unnamed(run) && !run->side_done && !call_open(&run->side_call)) {
        (void)run_call(step, &run->side_call, ACTION_WATCHERS_READ, run_settings(step)->call_ms,
                       false);
    }
}

static bool is_an_agent(const struct core *core, const struct client *client)
{
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        if (client_equal(&core->cluster.nodes[i].client, client)) {
            return true;
        }
    }
    return client_equal(&core->local.storage.client, client);
}

struct client run_other(const struct core *core, const struct run *run,
                        const struct clients *clients)
{
    ASSERT(clients->count <= CLIENTS_PER_VM_MAX);
    for (uint32_t i = 0; i < clients->count; i++) {
        const struct client *client = &clients->list[i];
        if (!is_an_agent(core, client) && !clients_hold(&run->lease.clients, client)) {
            return *client;
        }
    }
    return (struct client){{0}};
}

/* Whoever has its images open now has no right to: the lease is ours, and nothing of it runs here.
 * Where the lease is another's, or the VM did not come to run, that holds for what was opened on
 * this host since. */
static void on_watchers(struct run_step *step, const struct event *event)
{
    struct run *run = step->run;
    struct client here = client_address_entry(&step->core->local.storage.client);
    bool everywhere = may_have_moved(run) && !run->stray;
    run->side_done =
        event->watchers.outcome == OUTCOME_DONE || event->watchers.outcome == OUTCOME_MISSING;
    for (uint32_t i = 0; i < event->watchers.clients.count; i++) {
        const struct client *client = &event->watchers.clients.list[i];
        struct client address = client_address_entry(client);
        bool fresh = client_equal(&address, &here) && !clients_hold(&run->before, client);
        if (!is_an_agent(step->core, client) && (everywhere || fresh)) {
            (void)clients_add(&run->wanted.clients, client);
        }
    }
    if (!run->side_done) {
        run_retry(step);
    }
}

static void fill_block(struct action_block *block, const struct clients *named,
                       const struct clients *others)
{
    _Static_assert(BLOCK_ENTRIES_MAX >= 2 * CLIENTS_PER_VM_MAX, "a lease's, and as many others");
    ASSERT(named->count + others->count <= BLOCK_ENTRIES_MAX);
    memcpy(block->entries, named->list, named->count * sizeof(struct client));
    block->count = named->count;
    for (uint32_t i = 0; i < others->count; i++) {
        if (!clients_hold(named, &others->list[i])) {
            block->entries[block->count++] = others->list[i];
        }
    }
}

/* Every client the dead process may have had: those the lease names, and those we were naming. */
static void block_clients(struct run_step *step)
{
    struct run *run = step->run;
    ask_watchers(step);
    if (has_unnamed(run) && !run->side_done) {
        return;
    }
    struct clients named = run->stray ? (struct clients){0} : run->lease.clients;
    const uint32_t count = named.count + run->wanted.clients.count;
    if (count == 0 && run->stray) {
        run_move(step, RUN_OVER, "it had no clients");
        return;
    }
    if (count == 0) { /* it never ran: nothing of it can be under way */
        run_move(step, run->again ? RUN_TAKE : RUN_RELEASE, "it had no clients");
        return;
    }
    struct action *action =
        call_begin(step->caller, &run->call, ACTION_BLOCK_ADD, run_settings(step)->call_ms, false);
    fill_block(&action->block, &named, &run->wanted.clients);
}

/* What still runs is about to be killed by a look into /proc, if that finds it. */
void run_note_fates(struct local *local)
{
    ASSERT(local->run_count <= RUNS_MAX);
    local->fate_count = local->run_count > 0 ? 0 : local->fate_count;
    for (uint32_t i = 0; i < local->run_count; i++) {
        const struct run *run = &local->runs[i];
        if (run->state != RUN_IDLE) {
            local->fates[local->fate_count++] = (struct fate){
                run->vm, run->action, run->has_domain ? END_UNKNOWN : run_told_end(run)};
        }
    }
}

enum domain_end run_fate(const struct core *core, const struct run *run)
{
    const struct local *local = &core->local;
    ASSERT(local->fate_count <= RUNS_MAX);
    for (uint32_t i = 0; i < local->fate_count; i++) {
        const struct fate *fate = &local->fates[i];
        if (fate->end != END_UNKNOWN && uuid_equal(&fate->vm, &run->vm) &&
            action_id_equal(fate->action, run->action)) {
            return fate->end;
        }
    }
    return local->life.killed ? END_STEAD : END_UNKNOWN;
}

/* Of one that was gone when this run began, run->end says what was told of it since, and whether it
 * may have become something elsewhere. */
enum domain_end run_told_end(const struct run *run)
{
    ASSERT(run->end < END_COUNT);
    ASSERT(run->fate < END_COUNT);
    return run->fate != END_UNKNOWN ? run->fate : run->end;
}

/* Whoever freed it saw it end. */
void run_learn_fate(struct run *run)
{
    if (run->lease.state == LEASE_FREE && run->lease.end != END_UNKNOWN) {
        run->fate = run->lease.end;
    }
}

static void release(struct run_step *step)
{
    struct run *run = step->run;
    run->wanted = lease_free(&run->lease, run_told_end(run));
    struct action *action = call_begin(step->caller, &run->call, ACTION_LEASE_CHANGE,
                                       run_settings(step)->call_ms, false);
    action->lease.lease = run->wanted;
}

/* Somebody else with the images of a guest that is up is told of, and left alone: a mirror or a
 * backup looks the same from here as a second writer (docs/decisions/0024). */
static void look_for_others(struct run_step *step)
{
    struct run *run = step->run;
    if (step->caller->now_ms >= run->others_ms && !run->suspect && !call_open(&run->side_call)) {
        run->others_ms = step->caller->now_ms + OTHERS_MS;
        (void)run_call(step, &run->side_call, ACTION_WATCHERS_READ, run_settings(step)->call_ms,
                       false);
    }
}

static void on_others(struct run_step *step, const struct event *event)
{
    struct run *run = step->run;
    if (event->watchers.outcome != OUTCOME_DONE) {
        return;
    }
    struct client seen = run_other(step->core, run, &event->watchers.clients);
    run->other_stays = !client_is_none(&seen) && client_equal(&seen, &run->other);
    run->other = seen;
    if (!client_is_none(&seen)) { /* a snapshot being made? */
        run->others_ms = step->caller->now_ms + OTHERS_AGAIN_MS;
    }
}

static void look_after(struct run_step *step)
{
    struct run *run = step->run;
    look_for_others(step);
    if (step->caller->now_ms < run->check_ms) {
        return;
    }
    run->check_ms = step->caller->now_ms + timing_lease_check_ms(run_settings(step));
    struct action *action =
        call_begin(step->caller, &run->call, ACTION_LEASE_READ, run_settings(step)->call_ms, false);
    action->lease.lease.vm = run->vm;
    if (run->suspect && !call_open(&run->side_call) && run->lease.clients.count > 0) {
        action = call_begin(step->caller, &run->side_call, ACTION_BLOCK_CHECK,
                            run_settings(step)->call_ms, false);
        action->block.count = run->lease.clients.count;
        memcpy(action->block.entries, run->lease.clients.list,
               run->lease.clients.count * sizeof(struct client));
    }
}

static void shut_down(struct run_step *step)
{
    struct run *run = step->run;
    const struct domain *domain = run_domain(step->core, run);
    if (domain != NULL && domain->state == DOMAIN_SUSPENDED) {
        return; /* it goes on with that when it goes on */
    }
    if (step->caller->now_ms >= run->deadline_ms) {
        run_move(step, RUN_DESTROY, "it did not shut down in time");
    } else if (!run->done) {
        (void)run_call(step, &run->call, ACTION_DOMAIN_SHUTDOWN, run_settings(step)->call_ms,
                       false);
    }
}

void run_end_carry_on(struct run_step *step)
{
    struct run *run = step->run;
    if (run->state == RUN_UP || run->state == RUN_SHUTDOWN) {
        run_wake_carry_on(step);
    }
    if (run->state == RUN_SHUTDOWN && step->caller->now_ms >= run->deadline_ms) {
        shut_down(step);
    }
    if (run->state == RUN_UP) {
        run_halt_carry_on(step);
    }
    if (call_open(&run->call)) {
        return;
    }
    switch (run->state) {
    case RUN_UP:
        look_after(step);
        return;
    case RUN_SHUTDOWN:
        shut_down(step);
        return;
    case RUN_DESTROY:
        (void)run_call(step, &run->call, ACTION_DOMAIN_DESTROY, DESTROY_LIMIT_MS, false);
        return;
    case RUN_KILL:
        (void)run_call(step, &run->call, ACTION_KILL, KILL_LIMIT_MS, false);
        return;
    case RUN_BLOCK:
        block_clients(step);
        return;
    case RUN_UNLOCK:
        (void)run_call(step, &run->call, ACTION_LOCKS_BREAK, run_settings(step)->call_ms, false);
        return;
    case RUN_RELEASE:
        release(step);
        return;
    case RUN_IDLE:
    case RUN_OVER:
    case RUN_ADOPT:
    case RUN_TAKE:
    case RUN_CREATE:
    case RUN_WATCHERS:
    case RUN_NAME:
    case RUN_CHECK:
    case RUN_RESUME:
    case RUN_STATE_COUNT:
        return;
    }
}

static void on_look(struct run_step *step, const struct event_lease *answer)
{
    struct run *run = step->run;
    if (answer->outcome == OUTCOME_DONE && answer->has_lease &&
        !lease_held_by(&answer->lease, step->core->local.facts.nodeid,
                       step->core->local.life.incarnation)) {
        run->forfeit = true;
        run->lease = answer->lease;
        run_move(step, RUN_KILL, "its lease is no longer ours");
    } else if (answer->outcome == OUTCOME_DONE && answer->has_lease) {
        run_halt_on_lease(step);
    }
}

void run_up_on_side(struct run_step *step, const struct event *event)
{
    ASSERT(step->run->state >= RUN_UP);
    if (event->kind == EVENT_WATCHERS && step->run->state == RUN_UP) {
        on_others(step, event);
        return;
    }
    if (event->kind == EVENT_WATCHERS) {
        on_watchers(step, event);
        return;
    }
    if (event->kind != EVENT_BLOCK) { /* a resume: libvirt's events tell what came of it */
        return;
    }
    step->run->suspect = event->block.outcome != OUTCOME_DONE;
    if (step->run->state == RUN_UP && event->block.outcome == OUTCOME_DONE &&
        event->block.blocked_count > 0) {
        run_move(step, RUN_KILL, "a client of its is blocklisted");
    }
}

static void ended(struct run_step *step, const char *cause)
{
    step->run->has_domain = false;
    run_end(step, cause);
}

static void on_release(struct run_step *step, const struct event_lease *answer)
{
    struct run *run = step->run;
    bool late = answer->outcome == OUTCOME_REFUSED && answer->has_lease &&
                lease_is(&run->wanted, &answer->lease);
    if (answer->outcome == OUTCOME_DONE || late) {
        run->lease = run->wanted;
        run_move(step, RUN_OVER, "the lease is free");
    } else if (answer->outcome == OUTCOME_REFUSED && answer->has_lease &&
               lease_is_raised(&run->lease, &answer->lease)) {
        run->lease = answer->lease;
    } else if (answer->outcome == OUTCOME_REFUSED && answer->has_lease) {
        run->lease = answer->lease; /* a late change of ours, or it was taken over */
        run_learn_fate(run);
        run->clean = false;
        run->forfeit = !lease_held_by(&answer->lease, step->core->local.facts.nodeid,
                                      step->core->local.life.incarnation);
        run_end(step, "the lease had changed");
    } else if (answer->outcome == OUTCOME_MISSING) {
        run->forfeit = true;
        run_end(step, "the lease is missing");
    } else {
        run_retry(step);
    }
}

static void on_unlock(struct run_step *step, const struct event *event)
{
    enum outcome outcome = event->locks.outcome;
    bool open = outcome != OUTCOME_DONE && outcome != OUTCOME_MISSING;
    if (open) {
        run_retry(step);
        return;
    }
    if (outcome == OUTCOME_DONE && event->locks.dead.count > 0) {
        step->run->wanted.clients = event->locks.dead;
        run_move(step, RUN_BLOCK, "one that died elsewhere holds an image's lock");
        return;
    }
    run_move(step, step->run->again ? RUN_TAKE : RUN_RELEASE, "nothing of it can write any more");
}

void run_end_on_answer(struct run_step *step, const struct event *event)
{
    struct run *run = step->run;
    switch (run->state) {
    case RUN_UP:
        on_look(step, &event->lease);
        return;
    case RUN_SHUTDOWN:
        run->done = event->domain_done.outcome == OUTCOME_DONE;
        run_retry(step);
        return;
    case RUN_DESTROY:
        if (event->domain_done.outcome == OUTCOME_DONE ||
            event->domain_done.outcome == OUTCOME_MISSING) {
            ended(step, "destroyed");
        } else {
            run_move(step, RUN_KILL, "libvirt did not destroy it");
        }
        return;
    case RUN_KILL:
        if (event->killed.outcome == OUTCOME_DONE && event->killed.alive_count == 0) {
            run_rest_domain(step);
            ended(step, "killed");
        } else {
            run_retry(step);
        }
        return;
    case RUN_BLOCK:
        if (event->block.outcome == OUTCOME_DONE) {
            run_move(step, run->stray ? RUN_OVER : RUN_UNLOCK, "its clients are blocklisted");
        } else {
            run_retry(step);
        }
        return;
    case RUN_UNLOCK:
        on_unlock(step, event);
        return;
    case RUN_RELEASE:
        on_release(step, &event->lease);
        return;
    case RUN_IDLE:
    case RUN_OVER:
    case RUN_ADOPT:
    case RUN_TAKE:
    case RUN_CREATE:
    case RUN_WATCHERS:
    case RUN_NAME:
    case RUN_CHECK:
    case RUN_RESUME:
    case RUN_STATE_COUNT:
        break;
    }
    IMPOSSIBLE("an answer in a state that asks nothing");
}
