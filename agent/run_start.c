/*
 * Starting one VM on this host, up to RUN_UP.
 *
 * Decides the order that keeps one writer per disk (I1, I2): take the lease by compare-and-set on
 * the very generation we were told, while nobody else has its images open; bar whoever died with
 * one of their locks; create the domain paused; read which RADOS clients that QEMU opened, and that
 * nobody else showed up meanwhile; write them into the lease; see that neither they nor this host
 * are blocklisted; only then let it run. A guest never runs with a client its lease does not name,
 * and any failed step destroys it. Taking the lease, barring and resuming need fresh quorum at the
 * moment of the call; all carry it to the edge. Never: takes a timed-out step for a failed one. A
 * lease change is asked again with the same bytes; a creation of unknown outcome is destroyed.
 */
#include <string.h>

#include "agent/peers.h"
#include "agent/run.h"
#include "agent/suspend.h"
#include "agent/view.h"
#include "proto/assert.h"
#include "proto/text.h"
#include "proto/values.h"
#include "storage/lease.h"
#include "storage/state.h"

#define WATCHERS_AGAIN_MS                                                                          \
    20 /* QEMU has opened its images when the create returns; watchers follow */
#define OSDS_BEHIND_MS 1000

bool run_may_begin(const struct run_step *step)
{
    const struct core *core = step->core;
    uint8_t own = state_find_node(&core->cluster, core->local.facts.nodeid);
    return own != NODE_NONE && (core->cluster.header.members & (UINT64_C(1) << own)) != 0 &&
           caller_fresh(step->caller) && view_recorded(core) && view_in_epoch(core) &&
           !suspend_on(core);
}

static bool ours(const struct run_step *step, const struct lease *lease)
{
    return lease_held_by(lease, step->core->local.facts.nodeid, step->core->local.life.incarnation);
}

static void change_lease(struct run_step *step, bool bound)
{
    struct action *action = call_begin(step->caller, &step->run->call, ACTION_LEASE_CHANGE,
                                       run_settings(step)->call_ms, bound);
    action->lease.lease = step->run->wanted;
    action->lease.wait_map = step->run->state == RUN_TAKE;
}

static void begin_take(struct run_step *step)
{
    struct run *run = step->run;
    if (!run_may_begin(step)) {
        return;
    }
    if (!run->side_done && !call_open(&run->side_call)) {
        (void)run_call(step, &run->side_call, ACTION_WATCHERS_READ, run_settings(step)->call_ms,
                       false);
    }
    if (!run->done && !call_open(&run->call)) {
        run->wanted = lease_take(&step->core->cluster.header.cluster_id, &run->vm,
                                 run->lease.generation, step->core->local.facts.nodeid,
                                 step->core->local.life.incarnation, run->action);
        change_lease(step, true);
    }
}

/* Whoever may have a write under way holds an image's lock. What is barred loses it; one that died
 * elsewhere, under no lease, is barred first. */
static void see_to_locks(struct run_step *step)
{
    struct run *run = step->run;
    const struct clients *dead = &run->wanted.clients;
    ASSERT(run->state == RUN_CREATE);
    if (dead->count == 0) {
        (void)run_call(step, &run->side_call, ACTION_LOCKS_BREAK, run_settings(step)->call_ms,
                       false);
        return;
    }
    if (!run_may_begin(step)) {
        return;
    }
    struct action *action = call_begin(step->caller, &run->side_call, ACTION_BLOCK_ADD,
                                       run_settings(step)->call_ms, true);
    action->block.count = dead->count;
    memcpy(action->block.entries, dead->list, dead->count * sizeof(struct client));
}

static void begin_create(struct run_step *step)
{
    struct run *run = step->run;
    if (!run->side_done && !call_open(&run->side_call)) {
        see_to_locks(step);
    }
    if (!run->done && !call_open(&run->call)) {
        run->has_domain = true; /* or may have, from here on */
        (void)run_call(step, &run->call, ACTION_DOMAIN_CREATE, run_settings(step)->start_ms, false);
    }
}

void run_ask_block(struct run_step *step, struct call *call)
{
    const struct run *run = step->run;
    struct action *action =
        call_begin(step->caller, call, ACTION_BLOCK_CHECK, run_settings(step)->call_ms, false);
    ASSERT(run->lease.clients.count > 0);
    memcpy(action->block.entries, run->lease.clients.list,
           run->lease.clients.count * sizeof(struct client));
    action->block.count = run->lease.clients.count;
    action->block.entries[action->block.count++] =
        client_address_entry(&step->core->local.storage.client);
}

static bool too_late(const struct run_step *step)
{
    const struct run *run = step->run;
    bool waits = run->state == RUN_ADOPT || (run->state == RUN_TAKE && !run->done);
    return !waits && step->caller->now_ms >= step->run->deadline_ms;
}

static const char *why_late(const struct run *run, struct text *text)
{
    bool looks = run->state == RUN_TAKE || run->state == RUN_WATCHERS;
    if (!looks || client_is_none(&run->other)) {
        return "the start took too long";
    }
    text_add(text_add(text, "its images are open at "), run->other.address);
    return text_add(text, ", not by stead: end what uses them there (another domain, rbd map)")
        ->bytes;
}

void run_start_carry_on(struct run_step *step)
{
    struct run *run = step->run;
    struct text why = {0};
    if (too_late(step)) {
        run_undo(step, why_late(run, &why));
        return;
    }
    if (run->state == RUN_TAKE) {
        begin_take(step);
        return;
    }
    if (run->state == RUN_CREATE) {
        begin_create(step);
        return;
    }
    if (call_open(&run->call)) {
        return;
    }
    if (run->state == RUN_ADOPT) {
        struct action *action = call_begin(step->caller, &run->call, ACTION_LEASE_READ,
                                           run_settings(step)->call_ms, false);
        action->lease.lease.vm = run->vm;
    } else if (run->state == RUN_WATCHERS) {
        (void)run_call(step, &run->call, ACTION_WATCHERS_READ, run_settings(step)->call_ms, false);
    } else if (run->state == RUN_NAME) {
        change_lease(step, false);
    } else if (run->state == RUN_CHECK) {
        run_ask_block(step, &run->call);
    } else if (run->state == RUN_RESUME && run_may_begin(step)) {
        (void)run_call(step, &run->call, ACTION_DOMAIN_RESUME, run_settings(step)->call_ms, true);
    }
}

/* A lease is ours and known: what was found here is kept, or ended properly. */
static void adopt(struct run_step *step)
{
    struct run *run = step->run;
    const struct vm_record *vm = run_assigned(step->core, run);
    const struct domain *found = run_domain(step->core, run);
    enum domain_state domain = found != NULL ? found->state : DOMAIN_GONE;
    run->has_domain = domain != DOMAIN_GONE;
    run->end = run->has_domain ? END_STEAD : run->end;
    bool resumed = vm == NULL || vm->state != VM_STARTING || domain != DOMAIN_PAUSED;
    bool strange = run->has_domain && domain != DOMAIN_STARTING && run_is_anothers(run, found);
    bool runs = run->has_domain && domain != DOMAIN_STARTING && resumed && !strange &&
                run->lease.clients.count > 0; /* no guest of ours ran before its lease named it */
    run->again = vm != NULL && vm->state == VM_STARTING && !runs;
    if (run->again) { /* the start to go on with is the one assigned now */
        run->action = vm->action;
        run->starting = true;
    }
    if (strange) {
        run_kill_anothers(step);
    } else if (vm != NULL && runs) {
        run_move(step, RUN_UP, "its lease is ours");
    } else {
        run_end(step, runs ? "no longer wanted here" : "left over from before");
    }
}

static void on_adopt(struct run_step *step, const struct event_lease *answer)
{
    struct run *run = step->run;
    if (answer->outcome !=
        OUTCOME_DONE) { /* missing: held by whoever could run it; a person looks */
        run_retry(step);
        return;
    }
    run->lease = answer->lease;
    if (ours(step, &run->lease)) {
        adopt(step);
    } else if (run->has_domain) {
        run_note_hand(step->core, &run->vm);
        run->stray = true;
        run_move(step, RUN_KILL, "its lease is not ours");
    } else if (run->starting) {
        run->lease.generation = step->core->cluster.vms[run->slot].generation;
        run_move(step, RUN_TAKE, "assigned");
    } else if (run->lease.state == LEASE_FREE &&
               run->wanted.generation == run->lease.generation + 1) {
        run_move(step, RUN_RELEASE, "our taking it may land yet: raise the generation first");
    } else {
        run_learn_fate(run);
        run_move(step, RUN_OVER, "nothing of it is here");
    }
}

/* Somebody has its images open. One that was just blocklisted is gone as soon as the OSDs have the
 * new map; one that died otherwise counts for 30 s. */
static void look_again(struct run_step *step)
{
    struct run *run = step->run;
    uint64_t since_ms = run->deadline_ms - run_settings(step)->start_ms;
    ASSERT(run->done);
    run->side_done = false;
    run_retry(step);
    if (step->caller->now_ms < since_ms + OSDS_BEHIND_MS) {
        run->retry_ms = step->caller->now_ms + WATCHERS_AGAIN_MS;
    }
}

static void taken(struct run_step *step)
{
    struct run *run = step->run;
    if (!run->done || !run->side_done) {
        return;
    }
    run->other = run_other(step->core, run, &run->before);
    if (!client_is_none(&run->other)) { /* it may be gone soon: see look_again() */
        look_again(step);
        return;
    }
    if (run->unfit) {
        run_undo(step, "an image or the definition is missing");
    } else {
        run_move(step, RUN_CREATE, "the lease is ours");
    }
}

static void on_take(struct run_step *step, const struct event_lease *answer)
{
    struct run *run = step->run;
    if (answer->outcome == OUTCOME_DONE) {
        run->lease = run->wanted;
        run->done = true;
    } else if (answer->outcome == OUTCOME_REFUSED && answer->has_lease) {
        run->lease = answer->lease;
        if (lease_is(&run->wanted, &answer->lease)) { /* our own success, read as a refusal */
            run->done = true;
        } else if (ours(step, &answer->lease)) {
            run->again = true;
            run_move(step, RUN_BLOCK, "left over from an earlier try");
            return;
        } else {
            run_undo(step, answer->lease.state == LEASE_FREE ? "the lease is at another generation"
                                                             : "another node holds the lease");
            return;
        }
    } else if (answer->outcome == OUTCOME_MISSING) {
        run_undo(step, "the run lease is missing: see stead vm show");
        return;
    } else { /* unknown: the same bytes once more */
        run_retry(step);
        return;
    }
    run->deadline_ms = step->caller->now_ms + run_settings(step)->start_ms;
    taken(step);
}

static void on_create(struct run_step *step, const struct event *event)
{
    struct run *run = step->run;
    if (event->domain_done.outcome == OUTCOME_DONE) {
        run->done = true;
        if (run->side_done) {
            run_move(step, RUN_WATCHERS, "created, paused");
        }
        return;
    }
    run_undo(step, event->domain_done.outcome == OUTCOME_UNKNOWN ? "libvirt did not answer in time"
                                                                 : event->domain_done.text);
}

/* Whoever held a lock when these were looked at, and was alive, watches: a copy that was cut off
 * when the lease was taken is seen here. */
static void on_watchers(struct run_step *step, const struct event *event)
{
    struct run *run = step->run;
    struct clients opened = {0};
    struct clients elsewhere = {0};
    struct client here = client_address_entry(&step->core->local.storage.client);
    for (uint32_t i = 0; i < event->watchers.clients.count; i++) {
        const struct client *client = &event->watchers.clients.list[i];
        struct client address = client_address_entry(client);
        if (!client_equal(&address, &here)) {
            (void)clients_add(&elsewhere, client);
        } else if (!clients_hold(&run->before, client)) {
            (void)clients_add(&opened, client);
        }
    }
    run->other = run_other(step->core, run, &elsewhere);
    bool all = event->watchers.outcome == OUTCOME_DONE && opened.count > 0 &&
               opened.count >= event->watchers.image_count;
    if (!all || !client_is_none(&run->other)) {
        run->retry_ms = step->caller->now_ms + WATCHERS_AGAIN_MS;
        return;
    }
    run->wanted = lease_name(&run->lease, &opened);
    run_move(step, RUN_NAME, "QEMU has its images open");
}

static void on_name(struct run_step *step, const struct event_lease *answer)
{
    struct run *run = step->run;
    bool late = answer->outcome == OUTCOME_REFUSED && answer->has_lease &&
                lease_is(&run->wanted, &answer->lease);
    if (answer->outcome == OUTCOME_DONE || late) {
        run->lease = run->wanted;
        run_move(step, RUN_CHECK, "the lease names its clients");
    } else if (answer->outcome == OUTCOME_REFUSED && answer->has_lease &&
               lease_is_raised(&run->lease, &answer->lease)) {
        run->lease = answer->lease;
        run->wanted = lease_name(&run->lease, &run->wanted.clients);
    } else if (answer->outcome == OUTCOME_REFUSED) {
        run->forfeit = true;
        run->lease = answer->has_lease ? answer->lease : run->lease;
        name_set(run->reason, TEXT_BYTES, "the lease was taken by another node");
        run_move(step, RUN_KILL, "the lease was taken from us");
    } else {
        run_retry(step);
    }
}

static void on_check(struct run_step *step, const struct event_block *answer)
{
    if (answer->outcome != OUTCOME_DONE) {
        run_retry(step);
    } else if (answer->blocked_count > 0) {
        run_undo(step, "this host or the new QEMU is blocklisted");
    } else {
        run_move(step, RUN_RESUME, "not blocklisted");
    }
}

static void on_resume(struct run_step *step, const struct event *event)
{
    if (event->domain_done.outcome == OUTCOME_DONE) {
        run_move(step, RUN_UP, "resumed");
    } else if (event->domain_done.outcome == OUTCOME_STALE) {
        run_retry(step); /* never sent; once more when we are fresh again */
    } else {
        run_undo(step, event->domain_done.outcome == OUTCOME_UNKNOWN
                           ? "libvirt did not answer the resume in time"
                           : event->domain_done.text);
    }
}

void run_start_on_answer(struct run_step *step, const struct event *event)
{
    switch (step->run->state) {
    case RUN_ADOPT:
        on_adopt(step, &event->lease);
        return;
    case RUN_TAKE:
        on_take(step, &event->lease);
        return;
    case RUN_CREATE:
        on_create(step, event);
        return;
    case RUN_WATCHERS:
        on_watchers(step, event);
        return;
    case RUN_NAME:
        on_name(step, &event->lease);
        return;
    case RUN_CHECK:
        on_check(step, &event->block);
        return;
    case RUN_RESUME:
        on_resume(step, event);
        return;
    case RUN_IDLE:
    case RUN_UP:
    case RUN_SHUTDOWN:
    case RUN_DESTROY:
    case RUN_KILL:
    case RUN_BLOCK:
    case RUN_UNLOCK:
    case RUN_RELEASE:
    case RUN_OVER:
    case RUN_STATE_COUNT:
        break;
    }
    IMPOSSIBLE("an answer in a state that asks nothing");
}

static void on_locks(struct run_step *step, const struct event *event)
{
    struct run *run = step->run;
    ASSERT(run->state == RUN_CREATE);
    bool block = event->kind == EVENT_BLOCK;
    enum outcome outcome = block ? event->block.outcome : event->locks.outcome;
    if (outcome == OUTCOME_DONE) { /* barred: the locks once more */
        run->wanted.clients = block ? (struct clients){0} : event->locks.dead;
    } else if (outcome != OUTCOME_MISSING) {
        run_retry(step);
        return;
    }
    run->side_done = !block && run->wanted.clients.count == 0;
    if (run->side_done && run->done) {
        run_move(step, RUN_WATCHERS, "created, paused");
    }
}

void run_start_on_side(struct run_step *step, const struct event *event)
{
    struct run *run = step->run;
    if (run->state == RUN_TAKE) {
        run->side_done = event->watchers.outcome == OUTCOME_DONE;
        run->before = event->watchers.clients;
        if (event->watchers.outcome == OUTCOME_MISSING) {
            run->unfit = true; /* the lease may be on its way: wait for that, then give it back */
            run->side_done = true;
        }
        if (run->side_done) {
            taken(step);
        } else {
            run_retry(step);
        }
        return;
    }
    on_locks(step, event);
}
