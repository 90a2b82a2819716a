/* What befalls a host as a whole. A loss of power ends everything on it without a word. */
#include "tests/sim/sim_host.h"

#include "proto/assert.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_cpg.h"
#include "tests/sim/sim_rados.h"
#include "tests/sim/sim_virt.h"

#define FIRMWARE_US (10 * SECOND) /* of the boot, before the kernel's clock starts */
#define AGENT_START_US (300 * MS)
#define GOODBYE_US (20 * MS)
#define SHUTDOWN_US (3 * SECOND)
#define KILLED_BACK_US (30 * SECOND)
#define KILLED_FREEZE_US (20 * SECOND)

struct uuid sim_uuid(struct sim *sim)
{
    struct uuid uuid;
    for (uint32_t i = 0; i < sizeof(uuid.bytes); i++) {
        uuid.bytes[i] = (uint8_t)(sim_rng_next(&sim->rng) >> 11);
    }
    return uuid;
}

static void note_fault(struct sim *sim, uint64_t until_us)
{
    if (until_us > sim->last_fault_us) {
        sim->last_fault_us = until_us;
    }
}

void sim_host_hurt(struct sim *sim, uint32_t node)
{
    note_fault(sim, sim->now_us);
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        struct sim_vm *vm = &sim->vms[guest->vm];
        if (guest->alive && guest->node == node && guest->order == vm->newest_order &&
            vm->down_us == 0) {
            vm->down_us = sim->now_us;
        }
    }
}

void sim_host_well(struct sim *sim, uint32_t node)
{
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        struct sim_vm *vm = &sim->vms[guest->vm];
        if (guest->node == node && guest->order == vm->newest_order &&
            sim_guest_writes(sim, guest)) {
            vm->down_us = 0;
        }
    }
}

static void power_off(struct sim *sim, uint32_t node)
{
    struct sim_host *host = &sim->hosts[node];
    sim_host_hurt(sim, node);
    sim_log(sim, node, "power off");
    host->powered = false;
    host->agent.stopped = false;
    host->up = false;
    host->frozen = false;
    host->has_file = false;
    host->tmpfs_full = false;
    host->marked = false;
    host->keeper = (struct keeper){.state = KEEPER_OFF};
    host->watchdog_runs = false;
    host->watchdog_spared = false;
    host->starts = (struct starts){0};
    host->corosync_asked = false;
    host->corosync_life++;
    host->libvirt = LIBVIRT_OK;
    host->life++;
    sim_agent_stop(sim, node);
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        if (sim->guests[i].node == node) {
            sim_guest_end(sim, i, END_UNKNOWN, false);
        }
    }
    sim_cpg_stop(sim, node);
}

static void run_agent(struct sim *sim, struct sim_task *task)
{
    sim_agent_start(sim, task->host);
}

static void run_boot(struct sim *sim, struct sim_task *task)
{
    struct sim_host *host = &sim->hosts[task->host];
    ASSERT(host->powered);
    host->up = true;
    host->boot = sim_uuid(sim);
    sim_log(sim, task->host, "booted");
    sim_cpg_start(sim, task->host);
    sim_put(sim, AGENT_START_US, task->host, (struct sim_task){.run = run_agent});
}

void sim_host_power(struct sim *sim, uint32_t node, bool on)
{
    struct sim_host *host = &sim->hosts[node];
    if (host->powered == on) {
        return;
    }
    if (!on) {
        power_off(sim, node);
        return;
    }
    uint64_t boot_us = sim->story->boot_us;
    uint64_t firmware_us = boot_us < FIRMWARE_US ? 0 : FIRMWARE_US;
    sim_log(sim, node, "power on");
    note_fault(sim, sim->now_us + boot_us);
    host->powered = true;
    host->life++;
    sim_clock_begin(sim, node, firmware_us); /* it counts from the kernel's start */
    sim_put(sim, boot_us, node, (struct sim_task){.run = run_boot});
}

static void run_guests_end(struct sim *sim, struct sim_task *task)
{
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        if (sim->guests[i].node == task->host && sim->guests[i].alive) {
            sim_guest_end(sim, i, END_DESTROYED, false);
        }
    }
    sim_cpg_leave(sim, task->host);
}

static void run_goodbye(struct sim *sim, struct sim_task *task)
{
    sim_agent_leave(sim, task->host);
}

static void run_power_end(struct sim *sim, struct sim_task *task)
{
    uint32_t node = (uint32_t)task->number;
    if (sim->hosts[node].life != task->other >> 1) {
        return; /* somebody was quicker */
    }
    sim_host_power(sim, node, false);
    if ((task->other & 1) != 0) {
        sim_host_power(sim, node, true);
    }
}

void sim_host_shutdown(struct sim *sim, uint32_t node, bool again)
{
    struct sim_host *host = &sim->hosts[node];
    if (!host->up) {
        return;
    }
    struct event event = {.kind = EVENT_LEAVING, .leaving = {.why = LEAVING_HOST}};
    sim_host_hurt(sim, node);
    sim_agent_tell(sim, node, 0, &event);
    sim_put(sim, GOODBYE_US, node, (struct sim_task){.run = run_goodbye});
    sim_put(sim, 2 * GOODBYE_US, node, (struct sim_task){.run = run_guests_end});
    sim_put(sim, SHUTDOWN_US, SIM_NO_HOST,
            (struct sim_task){
                .run = run_power_end, .number = node, .other = (uint64_t)host->life << 1 | again});
}

void sim_host_net(struct sim *sim, uint32_t node, bool up)
{
    if (up) {
        sim_host_well(sim, node);
    } else {
        sim_host_hurt(sim, node);
    }
    sim->hosts[node].net_up = up;
    sim_cpg_changed(sim);
}

static void run_thaw(struct sim *sim, struct sim_task *task)
{
    uint32_t node = (uint32_t)task->number;
    struct sim_host *host = &sim->hosts[node];
    if (!host->frozen || host->life != task->other || host->thaw_us > sim->now_us) {
        return;
    }
    host->frozen = false;
    sim->writers_changed = true;
    sim_log(sim, node, "goes on");
    sim_host_well(sim, node);
    sim_cpg_changed(sim);
}

void sim_host_freeze(struct sim *sim, uint32_t node, uint64_t for_us)
{
    struct sim_host *host = &sim->hosts[node];
    uint64_t until_us = sim->now_us + for_us;
    if (!host->up || (host->frozen && host->thaw_us >= until_us)) {
        return;
    }
    sim_host_hurt(sim, node);
    note_fault(sim, until_us);
    sim_log(sim, node, "stands still");
    host->froze_us = host->frozen ? host->froze_us : sim->now_us;
    host->frozen = true;
    host->thaw_us = until_us;
    sim->writers_changed = true;
    sim_put(sim, for_us, SIM_NO_HOST,
            (struct sim_task){.run = run_thaw, .number = node, .other = host->life});
    sim_cpg_changed(sim);
}

void sim_host_storage(struct sim *sim, uint32_t node, const struct scenario_step *step)
{
    if (step->path == PATH_UP) {
        sim_host_well(sim, node);
    } else {
        sim_host_hurt(sim, node);
    }
    if (sim_rados_reaches(sim, node, false)) {
        sim->hosts[node].cut_us = sim->now_us;
    }
    sim->hosts[node].storage = step->path;
    sim->hosts[node].storage_slow_us = step->duration_us;
    sim->hosts[node].storage_lossy = step->percent;
    sim_rados_path_changed(sim, node);
}

void sim_host_state(struct sim *sim, uint32_t node, const struct scenario_step *step)
{
    note_fault(sim, sim->now_us);
    sim->hosts[node].state = step->path;
    sim->hosts[node].state_slow_us = step->duration_us;
    sim->hosts[node].state_lossy = step->percent;
    sim_rados_path_changed(sim, node);
}

static void run_back_on(struct sim *sim, struct sim_task *task)
{
    sim_host_power(sim, (uint32_t)task->number, true);
}

const char *sim_kill_word(enum sim_kill_how how)
{
    static const char *const words[KILL_HOW_COUNT] = {"host", "agent", "freeze"};
    ASSERT(how < KILL_HOW_COUNT);
    return words[how];
}

static void run_freeze(struct sim *sim, struct sim_task *task)
{
    sim_host_freeze(sim, task->host, KILLED_FREEZE_US);
}

void sim_host_kill_acting(struct sim *sim, uint32_t node, enum sim_kill_how how)
{
    sim_log(sim, node, "struck: %s", sim_kill_word(how));
    note_fault(sim, sim->now_us);
    if (how == KILL_AGENT) {
        sim_agent_kill(sim, node);
    } else if (how == KILL_FREEZE) { /* after this step, before anything of it has left the host */
        sim_put(sim, 0, node, (struct sim_task){.run = run_freeze});
    } else {
        sim_host_power(sim, node, false);
        sim_put(sim, KILLED_BACK_US, SIM_NO_HOST,
                (struct sim_task){.run = run_back_on, .number = node});
    }
}
