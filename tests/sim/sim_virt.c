/*
 * libvirt's calls as measured: a paused start takes about 0.3 s; one that waits for unreachable
 * storage appears by itself when the storage is back, long after its caller gave up (the edge
 * destroys it then); a destroy of a cut-off QEMU takes 12 s; SIGKILL takes milliseconds.
 */
#include "tests/sim/sim_virt.h"

#include <string.h>

#include "proto/assert.h"
#include "proto/text.h"
#include "proto/values.h"
#include "tests/sim/sim_block.h"
#include "tests/sim/sim_call.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_hang.h"
#include "tests/sim/sim_hook.h"
#include "tests/sim/sim_rados.h"

#define CUT_OFF_DESTROY_US (12 * SECOND)
#define STUCK_DESTROY_US (15 * SECOND) /* libvirt's own: SIGTERM, 10 s, SIGKILL, 5 s */
#define SHUTDOWN_US (3 * SECOND)
#define LOOK_AGAIN_US (50 * MS)

static void domain_done(struct sim *sim, struct sim_call *call, enum outcome outcome,
                        const char *text)
{
    bool same = call->libvirt_life == sim->hosts[call->node].libvirt_life;
    struct event event = {.kind = EVENT_DOMAIN_DONE,
                          .domain_done.outcome = same ? outcome : OUTCOME_UNKNOWN};
    name_set(event.domain_done.text, sizeof(event.domain_done.text), text);
    sim_call_answer(sim, call, sim_rng_range(&sim->rng, 200, 5 * MS), &event);
}

/* --- create --- */

static void run_destroy_late(struct sim *sim, struct sim_task *task)
{
    if (sim_guest_sticks(sim, (uint32_t)task->number)) {
        return; /* libvirt gives up */
    }
    sim_guest_end(sim, (uint32_t)task->number, END_DESTROYED, true);
}

/* Paused and marked: there, as far as libvirt is concerned. */
static void run_created(struct sim *sim, struct sim_task *task)
{
    struct sim_call *call = task->object;
    uint32_t index = (uint32_t)task->number;
    struct sim_guest *guest = &sim->guests[index];
    if (guest->alive) {
        guest->state = GUEST_MARKED;
        sim_guest_tell(sim, guest); /* whoever asked for it */
        if (!call->answered) {
            domain_done(sim, call, OUTCOME_DONE, "");
        } else if (sim_call_lives(sim, call)) { /* nobody waits for it any more */
            sim_put(sim, sim_rng_range(&sim->rng, 20 * MS, 200 * MS), guest->node,
                    (struct sim_task){.run = run_destroy_late, .number = index});
        }
        sim->writers_changed = true;
    } else {
        domain_done(sim, call, OUTCOME_FAILED, "the domain ended while it was created");
    }
    sim_call_done(sim, call);
}

static void run_open(struct sim *sim, struct sim_task *task)
{
    struct sim_call *call = task->object;
    uint32_t index = (uint32_t)task->number;
    struct sim_guest *guest = &sim->guests[index];
    struct sim_task again = {.run = run_open, .object = call, .number = index};
    if (!guest->alive) {
        domain_done(sim, call, OUTCOME_FAILED, "the domain ended while it was created");
        sim_call_done(sim, call);
    } else if (!sim_disk_answers(sim, guest->node) || sim->rados.monitors == MONITORS_STALLED) {
        sim_put(sim, 500 * MS, guest->node, again);
    } else {
        sim_guest_open(sim, index);
        if (sim_block_hits(sim, guest->client)) {
            sim_guest_end(sim, index, END_CRASHED, false);
            domain_done(sim, call, OUTCOME_FAILED, "cannot open the image: blocklisted");
            sim_call_done(sim, call);
            return;
        }
        again.run = run_created;
        sim_put(sim, sim_rng_range(&sim->rng, 100 * MS, 200 * MS), guest->node, again);
    }
}

static void create(struct sim *sim, struct sim_call *call, uint32_t v)
{
    const struct scenario_vm *line = &sim->story->vms[v];
    struct sim_vm *vm = &sim->vms[v];
    if (!vm->known) {
        domain_done(sim, call, OUTCOME_MISSING, "no definition");
    } else if (sim_guest_find(sim, v, call->node) != UINT32_MAX) {
        domain_done(sim, call, OUTCOME_FAILED, "operation failed: domain is already active");
    } else if (sim_hook_refuses_call(sim, call, v)) {
        domain_done(sim, call, OUTCOME_FAILED, "Hook script execution failed");
    } else if ((vm->fails_on & (UINT64_C(1) << call->node)) != 0 || vm->fails_left > 0) {
        vm->fails_left -= vm->fails_left > 0;
        sim_log(sim, call->node, "qemu: %s does not start here", line->name);
        domain_done(sim, call, OUTCOME_FAILED, "internal error: process exited while connecting");
    } else {
        uint32_t guest = sim_guest_new(sim, v, call->node, call->action.vm.action);
        call->refs++;
        sim_put(sim, sim_rng_range(&sim->rng, 80 * MS, 150 * MS), call->node,
                (struct sim_task){.run = run_open, .object = call, .number = guest});
    }
}

/* --- the others --- */

static void resume(struct sim *sim, struct sim_call *call, uint32_t guest)
{
    if (guest == UINT32_MAX) {
        domain_done(sim, call, OUTCOME_MISSING, "no such domain");
    } else if (!action_id_equal(sim->guests[guest].action, call->action.vm.action)) {
        domain_done(sim, call, OUTCOME_REFUSED, "the domain here was not made by this start");
    } else if (sim->guests[guest].state == GUEST_RUNNING) {
        domain_done(sim, call, OUTCOME_DONE, "");
    } else if (sim->guests[guest].state == GUEST_PAUSED) {
        domain_done(sim, call, OUTCOME_REFUSED, "somebody paused it");
    } else if (sim->guests[guest].state != GUEST_PANICKED) {
        sim_check_told(sim, call, guest);
        sim_guest_run(sim, guest);
        domain_done(sim, call, OUTCOME_DONE, "");
    } else {
        domain_done(sim, call, OUTCOME_FAILED, "cannot resume it");
    }
}

/* QEMU's `stop` returns once what its guest has under way is on the disk. */
static void run_drained(struct sim *sim, struct sim_task *task)
{
    struct sim_call *call = task->object;
    struct sim_guest *guest = &sim->guests[task->number];
    if (guest->alive && guest->write_held) {
        sim_put(sim, 100 * MS, guest->node, *task);
        return;
    }
    domain_done(sim, call, guest->alive ? OUTCOME_DONE : OUTCOME_MISSING, "");
    sim_call_done(sim, call);
}

static void suspend(struct sim *sim, struct sim_call *call, uint32_t guest)
{
    if (guest == UINT32_MAX) {
        domain_done(sim, call, OUTCOME_MISSING, "no such domain");
        return;
    }
    if (!action_id_equal(sim->guests[guest].action, call->action.vm.action)) {
        domain_done(sim, call, OUTCOME_REFUSED, "the domain here was not made by this start");
        return;
    }
    if (sim->guests[guest].state == GUEST_RUNNING) {
        sim_guest_suspend(sim, guest);
    }
    call->refs++;
    sim_put(sim, sim_rng_range(&sim->rng, 1 * MS, 20 * MS), call->node,
            (struct sim_task){.run = run_drained, .object = call, .number = guest});
}

/* The guest has shut down once its disk is flushed: not while its storage is away. */
static void run_shutdown(struct sim *sim, struct sim_task *task)
{
    struct sim_guest *guest = &sim->guests[task->number];
    bool still = guest->state == GUEST_SUSPENDED; /* it goes on with that once it runs */
    if (!guest->alive || (guest->state != GUEST_RUNNING && !still) ||
        sim->vms[guest->vm].stop_fails) {
        return;
    }
    if (still || guest->write_held || !sim_disk_answers(sim, guest->node)) {
        sim_put(sim, 500 * MS, guest->node,
                (struct sim_task){.run = run_shutdown, .number = task->number});
    } else if (sim_block_hits(sim, guest->client)) {
        sim_virt_io_error(sim, (uint32_t)task->number);
    } else {
        sim_guest_end(sim, (uint32_t)task->number, END_SHUTDOWN, true);
    }
}

static void ask_shutdown(struct sim *sim, struct sim_call *call, uint32_t guest)
{
    if (guest == UINT32_MAX) {
        domain_done(sim, call, OUTCOME_MISSING, "no such domain");
        return;
    }
    if (sim->guests[guest].state != GUEST_RUNNING) {
        domain_done(sim, call, OUTCOME_FAILED, "domain is not running");
        return;
    }
    domain_done(sim, call, OUTCOME_DONE, "");
    if (!sim->guests[guest].asked_shutdown) {
        sim->guests[guest].asked_shutdown = true;
        sim_put(sim, SHUTDOWN_US, call->node,
                (struct sim_task){.run = run_shutdown, .number = guest});
    }
}

static void run_destroyed(struct sim *sim, struct sim_task *task)
{
    struct sim_call *call = task->object;
    if (sim_guest_sticks(sim, (uint32_t)task->number)) {
        domain_done(sim, call, OUTCOME_FAILED, "Failed to terminate process with SIGKILL");
    } else {
        sim_guest_end(sim, (uint32_t)task->number, END_DESTROYED, true);
        domain_done(sim, call, OUTCOME_DONE, "");
    }
    sim_call_done(sim, call);
}

static void destroy(struct sim *sim, struct sim_call *call, uint32_t guest)
{
    if (guest == UINT32_MAX) {
        domain_done(sim, call, OUTCOME_DONE, "");
        return;
    }
    bool reaches = sim_disk_answers(sim, call->node);
    uint64_t delay_us = reaches ? sim_rng_range(&sim->rng, 50 * MS, 300 * MS) : CUT_OFF_DESTROY_US;
    if (sim_guest_sticks(sim, guest)) {
        delay_us = STUCK_DESTROY_US;
    }
    call->refs++;
    sim_put(sim, delay_us, call->node,
            (struct sim_task){.run = run_destroyed, .object = call, .number = guest});
}

/* libvirt looks the domain up when a call comes in, and then waits for its turn on that very one:
 * however late, it never meets another that took its name. `asked`: what it found. */
static void carry_out(struct sim *sim, struct sim_call *call, uint32_t asked)
{
    uint32_t vm = sim_vm_by_uuid(sim, &call->action.vm.uuid);
    if (vm == SIM_VMS_MAX) {
        domain_done(sim, call, OUTCOME_MISSING, "no such VM");
        return;
    }
    bool there = asked != UINT32_MAX && sim->guests[asked].alive;
    uint32_t guest = there ? asked : UINT32_MAX;
    if (call->action.kind == ACTION_DOMAIN_CREATE) {
        create(sim, call, vm);
    } else if (call->action.kind == ACTION_DOMAIN_RESUME) {
        resume(sim, call, guest);
    } else if (call->action.kind == ACTION_DOMAIN_SHUTDOWN) {
        ask_shutdown(sim, call, guest);
    } else if (call->action.kind == ACTION_DOMAIN_SUSPEND) {
        suspend(sim, call, guest);
    } else {
        ASSERT(call->action.kind == ACTION_DOMAIN_DESTROY);
        destroy(sim, call, guest);
    }
}

static void run_inside(struct sim *sim, struct sim_task *task)
{
    carry_out(sim, task->object, (uint32_t)task->number);
    sim_call_done(sim, task->object);
}

/* A worker thread makes the call. */
static void run_worker(struct sim *sim, struct sim_task *task)
{
    if (sim_hang_waits(sim, task)) {
        return;
    }
    struct sim_call *call = task->object;
    const struct sim_host *host = &sim->hosts[call->node];
    if (!sim_call_lives(sim, call)) {
        /* its process is gone before it was made */
    } else if (sim_call_stale(sim, call)) {
        domain_done(sim, call, OUTCOME_STALE, "");
    } else if (host->libvirt == LIBVIRT_HANG && sim->now_us < host->libvirt_until_us) {
        /* never carried out */
    } else {
        sim_check_fresh(sim, call);
        uint64_t late_us = host->libvirt == LIBVIRT_LATE ? host->libvirt_late_us : 0;
        uint32_t vm = sim_vm_by_uuid(sim, &call->action.vm.uuid);
        call->refs++;
        sim_put(sim, late_us + sim_rng_range(&sim->rng, 1 * MS, 15 * MS), call->node,
                (struct sim_task){.run = run_inside,
                                  .object = call,
                                  .number = sim_guest_find(sim, vm, call->node)});
    }
    sim_call_done(sim, call);
}

/* --- SIGKILL --- */

static void run_kill(struct sim *sim, struct sim_task *task)
{
    if (sim_hang_waits(sim, task)) {
        return;
    }
    struct sim_call *call = task->object;
    struct event event = {.kind = EVENT_KILLED, .killed.outcome = OUTCOME_DONE};
    bool all = uuid_is_zero(&call->action.vm.uuid);
    uint32_t vm = sim_vm_by_uuid(sim, &call->action.vm.uuid);
    uint32_t count = 0;
    for (uint32_t i = 0; i < sim->guest_count && sim_call_lives(sim, call); i++) {
        bool meant = sim->guests[i].node == call->node && (all || sim->guests[i].vm == vm);
        count += meant && sim->guests[i].alive;
        if (meant && !sim_guest_sticks(sim, i)) {
            sim_guest_end(sim, i, END_CRASHED, true);
        }
    }
    call->kill_count = count > call->kill_count ? count : call->kill_count;
    event.killed.count = call->kill_count;
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        bool meant = all || sim->guests[i].vm == vm;
        event.killed.alive_count +=
            meant && sim->guests[i].alive && sim->guests[i].node == call->node;
    }
    if (event.killed.alive_count == 0) {
        sim_call_answer(sim, call, sim_rng_range(&sim->rng, 1 * MS, 5 * MS), &event);
    } else if (!call->answered) { /* it waits for them, up to its deadline */
        sim_call_put(sim, call, LOOK_AGAIN_US, call->node, run_kill);
    }
    sim_call_done(sim, call);
}

void sim_virt_act(struct sim *sim, uint32_t node, const struct action *action)
{
    struct event unknown = {.kind = EVENT_DOMAIN_DONE, .domain_done.outcome = OUTCOME_UNKNOWN};
    if (action->kind == ACTION_KILL) {
        unknown = (struct event){.kind = EVENT_KILLED,
                                 .killed = {.outcome = OUTCOME_UNKNOWN, .alive_count = 1}};
        struct sim_call *call = sim_call_begin(sim, node, action, &unknown);
        sim_call_put(sim, call, sim_rng_range(&sim->rng, 2 * MS, 30 * MS), node, run_kill);
        return;
    }
    struct sim_call *call = sim_call_begin(sim, node, action, &unknown);
    sim_call_put(sim, call, sim_rng_range(&sim->rng, 20, 2000), node, run_worker);
}
