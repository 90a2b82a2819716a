/* A story told: its steps, at their time, and the questions at its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_bmc.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_corosync.h"
#include "tests/sim/sim_cpg.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_expect.h"
#include "tests/sim/sim_hang.h"
#include "tests/sim/sim_host.h"
#include "tests/sim/sim_keeper.h"
#include "tests/sim/sim_operator.h"
#include "tests/sim/sim_rados.h"
#include "tests/sim/sim_setup.h"
#include "tests/sim/sim_virt.h"
#include "tests/sim/sim_votes.h"

/* The run that a failed assertion belongs to: stead_panic() has no other way to know. */
static struct sim *running;

_Noreturn void stead_panic(const char *file, int line, const char *condition)
{
    if (running == NULL) {
        (void)fprintf(stderr, "stead-sim: %s:%d: assertion failed: %s\n", file, line, condition);
        abort();
    }
    const char *who = running->stepping == SIM_NO_HOST
                          ? "the simulator"
                          : running->story->nodes[running->stepping].name;
    sim_violation(running, "%s: assertion failed at %s:%d: %s", who, file, line, condition);
}

/* --- steps --- */

static uint32_t side_size(const struct sim *sim, const struct scenario_step *step, uint32_t node)
{
    uint32_t size = 0;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        size += step->side[n] == step->side[node];
    }
    return size;
}

static void step_cut(struct sim *sim, const struct scenario_step *step)
{
    uint64_t *left = &sim->hosts[step->node].deaf;
    uint64_t *right = &sim->hosts[step->other].deaf;
    *left &= ~(UINT64_C(1) << step->other);
    *right &= ~(UINT64_C(1) << step->node);
    if (step->kind == STEP_CUT) {
        *left |= step->on ? 0 : UINT64_C(1) << step->other;
        *right |= UINT64_C(1) << step->node;
    }
    sim_cpg_changed(sim);
}

static void step_partition(struct sim *sim, const struct scenario_step *step)
{
    if (step->kind == STEP_CUT || step->kind == STEP_MEND) {
        step_cut(sim, step);
        return;
    }
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if (step->kind == STEP_HEAL) {
            sim_host_well(sim, n);
        } else if (side_size(sim, step, n) <= sim->node_count / 2) {
            sim_host_hurt(sim, n);
        }
        sim->hosts[n].side = step->side[n];
    }
    sim_cpg_changed(sim);
}

static void step_storage(struct sim *sim, const struct scenario_step *step)
{
    bool state = step->kind == STEP_STATE;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if (step->node != SIM_NODES_MAX && step->node != n) {
            continue;
        }
        if (state) {
            sim_host_state(sim, n, step);
        } else {
            sim_host_storage(sim, n, step);
        }
    }
}

static void step_kill_vm(struct sim *sim, const struct scenario_step *step)
{
    uint32_t guest = sim_guest_find(sim, step->vm, step->node);
    if (guest == UINT32_MAX || sim_guest_sticks(sim, guest)) {
        return;
    }
    if (sim->vms[step->vm].down_us == 0) {
        sim->vms[step->vm].down_us = sim->now_us;
    }
    sim->vms[step->vm].may_stop = true;
    sim_guest_end(sim, guest, END_CRASHED, true);
}

static void step_start_agent(struct sim *sim, uint32_t node)
{
    const struct sim_host *host = &sim->hosts[node];
    if (host->up && host->agent.stopped && !host->agent.alive) {
        sim_agent_start(sim, node);
    }
}

/* On the host itself: while that stands still, nothing is done on it. */
static void run_service(struct sim *sim, struct sim_task *task)
{
    const struct scenario_step *step = &sim->story->steps[task->number];
    if (step->kind == STEP_SHUTDOWN || step->kind == STEP_REBOOT) {
        sim_host_shutdown(sim, step->node, step->kind == STEP_REBOOT);
    } else if (step->kind == STEP_HALT) {
        sim_agent_halt(sim, step->node);
    } else if (step->kind == STEP_VERSION) {
        sim->hosts[step->node].level = step->level;
        sim_agent_restart(sim, step->node);
    } else if (step->kind == STEP_STOP_AGENT) {
        sim_agent_leave(sim, step->node);
    } else if (step->kind == STEP_START_AGENT) {
        step_start_agent(sim, step->node);
    } else if (step->kind == STEP_KILL_COROSYNC) {
        sim_corosync_kill(sim, step->node);
    } else if (step->kind == STEP_STOP_COROSYNC) {
        sim_corosync_stop(sim, step->node);
    } else {
        ASSERT(step->kind == STEP_START_COROSYNC);
        sim_corosync_start(sim, step->node);
    }
}

/* A host's own services, in its own time. */
static void put_service(struct sim *sim, const struct scenario_step *step)
{
    sim_put(sim, 0, step->node,
            (struct sim_task){.run = run_service, .number = (uint64_t)(step - sim->story->steps)});
}

static void step_set(struct sim_vm *vm, const struct vm_change *change)
{
    vm->boot_us = change->boots ? change->boot_us : vm->boot_us;
    vm->fails_left = change->fails ? change->start_fails : vm->fails_left;
    vm->fails_on = change->fails_on ? change->start_fails_on : vm->fails_on;
    vm->stop_fails = change->stops ? change->stop_fails : vm->stop_fails;
}

/* What only changes a fact of the world. */
static void step_change(struct sim *sim, const struct scenario_step *step)
{
    struct sim_host *host = &sim->hosts[step->node];
    if (step->kind == STEP_POOL) {
        sim->rados.pool = step->pool;
        for (uint32_t node = 0; node < sim->story->node_count; node++) {
            sim_disk_path_changed(sim, node);
        }
    } else if (step->kind == STEP_CLOCK) {
        sim_clock_change(sim, step);
    } else if (step->kind == STEP_LEASE) {
        sim->rados.lease_stalled[step->vm] = step->on;
        sim_rados_unstalled(sim);
    } else if (step->kind == STEP_MONITORS) {
        sim->rados.monitors = step->monitors;
        sim->rados.monitors_us = step->duration_us;
        sim_rados_unstalled(sim);
    } else if (step->kind == STEP_MESSAGES) {
        sim->cpg.delivery = step->delivery;
    } else if (step->kind == STEP_QDEVICE) {
        sim->cpg.device_down = !step->on;
        sim_votes_device(sim);
    } else if (step->kind == STEP_SET) {
        step_set(&sim->vms[step->vm], &step->change);
    } else if (step->kind == STEP_BMC) {
        sim_bmc_become(host, step->device, step->bmc, step->duration_us);
    } else if (step->kind == STEP_OBJECT) {
        sim_rados_object(sim, step->object);
    } else if (step->kind == STEP_STATE || step->kind == STEP_STORAGE) {
        step_storage(sim, step);
    } else if (step->kind == STEP_TMPFS) {
        host->tmpfs_full = step->on;
    } else {
        ASSERT(step->kind == STEP_MACHINE);
        host->machine = sim_uuid(sim);
    }
}

static void step_hypervisor(struct sim *sim, const struct scenario_step *step)
{
    if (step->kind == STEP_KILL_VM) {
        step_kill_vm(sim, step);
    } else if (step->kind == STEP_LIBVIRT) {
        sim_virt_trouble(sim, step->node, step->libvirt, step->duration_us);
    } else {
        sim_virt_kill(sim, step->node);
    }
}

static void step_host(struct sim *sim, const struct scenario_step *step)
{
    if (step->kind == STEP_POWER) {
        bool *outlets = sim->hosts[step->node].pdu_off;
        memset(outlets, 0, sizeof(sim->hosts[0].pdu_off)); /* whoever does it looks at them too */
        sim_host_power(sim, step->node, step->on);
    } else if (step->kind == STEP_NET) {
        sim_host_net(sim, step->node, step->on);
    } else if (step->kind == STEP_HANG) {
        sim_hang(sim, step->node, step->duration_us);
    } else if (step->kind == STEP_KILL_AGENT) {
        sim_agent_kill(sim, step->node);
    } else if (step->kind == STEP_KILL_KEEPER) {
        sim_keeper_kill(sim, step->node);
    } else if (step->kind == STEP_FREEZE) {
        sim_host_freeze(sim, step->node, step->duration_us);
    } else {
        step_hypervisor(sim, step);
    }
}

static void step_do(struct sim *sim, const struct scenario_step *step)
{
    switch (step->kind) {
    case STEP_KIND_COUNT:
        stead_panic(__FILE__, __LINE__, "step");
    case STEP_POWER:
    case STEP_NET:
    case STEP_FREEZE:
    case STEP_HANG:
    case STEP_KILL_AGENT:
    case STEP_KILL_KEEPER:
    case STEP_LIBVIRT:
    case STEP_KILL_LIBVIRT:
    case STEP_KILL_VM:
        step_host(sim, step);
        return;
    case STEP_PARTITION:
    case STEP_HEAL:
    case STEP_CUT:
    case STEP_MEND:
        step_partition(sim, step);
        return;
    case STEP_SHUTDOWN:
    case STEP_REBOOT:
    case STEP_HALT:
    case STEP_VERSION:
    case STEP_STOP_AGENT:
    case STEP_START_AGENT:
    case STEP_KILL_COROSYNC:
    case STEP_STOP_COROSYNC:
    case STEP_START_COROSYNC:
        put_service(sim, step);
        return;
    case STEP_BMC:
    case STEP_CLOCK:
    case STEP_LEASE:
    case STEP_MACHINE:
    case STEP_MESSAGES:
    case STEP_MONITORS:
    case STEP_OBJECT:
    case STEP_POOL:
    case STEP_TMPFS:
    case STEP_QDEVICE:
    case STEP_SET:
    case STEP_STATE:
    case STEP_STORAGE:
        step_change(sim, step);
        return;
    case STEP_VM_START:
    case STEP_VM_STOP:
    case STEP_VM_ADD:
    case STEP_VM_REMOVE:
    case STEP_VM_ADOPT:
    case STEP_VM_GIVE_BACK:
    case STEP_NODE_FENCE:
    case STEP_NODE_UNFENCE:
    case STEP_CONFIG_SET:
    case STEP_NODE_REMOVE:
    case STEP_CLUSTER_JOIN:
    case STEP_CLUSTER_FORCE:
    case STEP_NODE_RESUME:
    case STEP_CLASS:
        sim_operator_do(sim, step);
        return;
    case STEP_BLOCKLIST:
    case STEP_GUEST:
    case STEP_HAND:
        sim_hand_step(sim, step);
    }
}

static void run_step(struct sim *sim, struct sim_task *task)
{
    const struct scenario_step *step = &sim->story->steps[task->number];
    uint64_t until_us = sim->now_us;
    bool stuck = step->kind == STEP_GUEST && step->deed == DEED_STICK;
    if (stuck || (step->kind == STEP_LIBVIRT && step->libvirt == LIBVIRT_HANG)) {
        until_us += step->duration_us;
    }
    sim->last_fault_us = until_us > sim->last_fault_us ? until_us : sim->last_fault_us;
    sim->kill.counting = sim->kill.armed;
    sim_log(sim, SIM_NO_HOST, "%s", step->words);
    step_do(sim, step);
}

static void run_expect(struct sim *sim, struct sim_task *task)
{
    (void)task;
    sim_expect_now(sim, sim->now_us);
}

static void put_story(struct sim *sim)
{
    uint64_t last_us = SIM_TIME_END;
    for (uint32_t i = 0; i < sim->story->step_count; i++) {
        sim_put(sim, sim->story->steps[i].at_us, SIM_NO_HOST,
                (struct sim_task){.run = run_step, .number = i});
    }
    for (uint32_t i = 0; i < sim->story->expect_count; i++) {
        uint64_t at_us = sim->story->expects[i].at_us;
        bool seen = at_us == SIM_TIME_END || at_us == last_us;
        for (uint32_t j = 0; j < i && !seen; j++) {
            seen = sim->story->expects[j].at_us == at_us;
        }
        if (!seen) {
            sim_put(sim, at_us, SIM_NO_HOST, (struct sim_task){.run = run_expect});
            last_us = at_us;
        }
    }
}

static void finish(struct sim *sim)
{
    char why[SIM_LINE_BYTES];
    sim->now_us = sim->story->run_us;
    sim_check_kept(sim);
    if (sim->now_us >= sim->last_fault_us + sim->story->settle_us && !sim_settled(sim, why)) {
        sim_violation(sim, "%s", why);
    }
    sim_expect_now(sim, SIM_TIME_END);
}

struct sim *sim_run(const struct scenario *story, const struct sim_kill *kill,
                    struct coverage *coverage)
{
    struct sim *sim = sim_new(story);
    sim->coverage = coverage;
    if (kill != NULL) {
        sim->kill = *kill;
    }
    running = sim;
    if (setjmp(sim->out) == 0) {
        put_story(sim);
        sim_setup(sim);
        while (sim_turn(sim)) {
        }
        finish(sim);
    }
    running = NULL;
    return sim;
}

bool sim_ok(const struct sim *sim)
{
    return !sim->violated && sim->expects_failed == 0;
}
