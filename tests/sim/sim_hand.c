/*
 * Guests that end or stand still by themselves, and people who work past stead, with virsh or on
 * the blocklist. A domain
 * that somebody starts bears no mark; one that somebody moves takes its mark along. With the hook
 * in place (sim_hook.h) libvirt refuses both.
 */
#include "proto/values.h"
#include "storage/state.h"
#include "tests/sim/sim_block.h"
#include "tests/sim/sim_hook.h"
#include "tests/sim/sim_rados.h"
#include "tests/sim/sim_virt.h"

/* The guest of this VM on `node`, or wherever it is. */
static uint32_t guest_of(const struct sim *sim, uint32_t vm, uint32_t node)
{
    uint32_t found = UINT32_MAX;
    for (uint32_t n = 0; n < sim->node_count && found == UINT32_MAX; n++) {
        if (node == SIM_NODES_MAX || node == n) {
            found = sim_guest_find(sim, vm, n);
        }
    }
    return found;
}

static void note_down(struct sim *sim, uint32_t vm)
{
    sim->vms[vm].may_stop = true;
    if (sim->vms[vm].down_us == 0) {
        sim->vms[vm].down_us = sim->now_us;
    }
}

static void stand_still(struct sim *sim, uint32_t index, enum guest_state state)
{
    sim->guests[index].state = state;
    sim->writers_changed = true;
    sim_guest_tell(sim, &sim->guests[index]);
}

static void guest_step(struct sim *sim, const struct scenario_step *step)
{
    uint32_t index = guest_of(sim, step->vm, step->node);
    if (index == UINT32_MAX || sim->guests[index].state != GUEST_RUNNING) {
        return;
    }
    if (step->deed == DEED_STICK) {
        sim->guests[index].stuck_until_us = sim->now_us + step->duration_us;
        return;
    }
    if (step->deed == DEED_REBOOT) { /* QEMU stays: on_reboot=restart */
        sim_log(sim, sim->guests[index].node, "qemu: %s reboots", sim->story->vms[step->vm].name);
        return;
    }
    note_down(sim, step->vm);
    if (step->deed == DEED_PANIC) {
        stand_still(sim, index, GUEST_PANICKED);
    } else if (!sim->guests[index].write_held && !sim_block_hits(sim, sim->guests[index].client)) {
        sim_guest_end(sim, index, END_SHUTDOWN, true);
    }
}

/* --- virsh --- */

static uint32_t new_by_hand(struct sim *sim, uint32_t vm, uint32_t node, struct action_id action)
{
    const struct sim_host *host = &sim->hosts[node];
    if (!host->up || host->frozen || !sim_rados_reaches(sim, node, false) ||
        sim_guest_find(sim, vm, node) != UINT32_MAX) {
        return UINT32_MAX;
    }
    if (sim_hook_refuses(sim, node, vm)) {
        return UINT32_MAX;
    }
    uint32_t index = sim_guest_new(sim, vm, node, action);
    sim_guest_open(sim, index);
    sim->guests[index].by_hand = action.term == 0;
    sim->guests[index].moved = action.term != 0;
    if (sim_block_hits(sim, sim->guests[index].client)) { /* it cannot open its image */
        sim_guest_end(sim, index, END_CRASHED, false);
        return UINT32_MAX;
    }
    return index;
}

static void start(struct sim *sim, const struct scenario_step *step)
{
    uint32_t index = new_by_hand(sim, step->vm, step->node, (struct action_id){0});
    if (index != UINT32_MAX) {
        sim_guest_run(sim, index);
    }
}

static void move(struct sim *sim, const struct scenario_step *step)
{
    uint32_t from = guest_of(sim, step->vm, SIM_NODES_MAX);
    if (from == UINT32_MAX || sim->guests[from].node == step->node ||
        sim->hosts[sim->guests[from].node].frozen || sim->guests[from].state != GUEST_RUNNING ||
        sim->guests[from].write_held) {
        return;
    }
    uint32_t to = new_by_hand(sim, step->vm, step->node, sim->guests[from].action);
    if (to == UINT32_MAX) {
        return;
    }
    note_down(sim, step->vm);
    sim->guests[from].ended_clean = true; /* the source has drained its disk and closed it */
    sim_guest_end(sim, from, END_MIGRATED, true);
    sim_guest_run(sim, to);
}

/* --- ceph osd blocklist --- */

/* Whoever runs there ends by that hand. */
static void note_ends(struct sim *sim, struct sim_address entry, bool all)
{
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        if (guest->alive && guest->node == entry.host &&
            (all || guest->client.nonce == entry.nonce)) {
            sim->vms[guest->vm].may_stop = true;
        }
    }
}

static void block(struct sim *sim, struct sim_address entry, const struct scenario_step *step)
{
    note_ends(sim, entry, step->target == BLOCK_HOST);
    if (step->on) {
        sim_block_hand(sim, entry, step->duration_us);
    } else {
        sim_block_remove(sim, entry);
    }
    sim_log(sim, SIM_NO_HOST, "blocklist %s %s by hand", step->on ? "add" : "remove",
            sim_address_client(entry).address);
}

static void blocklist(struct sim *sim, const struct scenario_step *step)
{
    const struct sim_agent *agent = &sim->hosts[step->node].agent;
    uint32_t guest =
        step->target == BLOCK_QEMU ? guest_of(sim, step->vm, SIM_NODES_MAX) : UINT32_MAX;
    if (step->target == BLOCK_HOST) {
        block(sim, (struct sim_address){.host = step->node}, step);
    } else if (step->target == BLOCK_AGENT && agent->has_handle) {
        block(sim, agent->client, step);
    } else if (guest != UINT32_MAX && sim->guests[guest].has_client) {
        block(sim, sim->guests[guest].client, step);
    } else if (step->target == BLOCK_ALL) {
        sim_block_clear(sim);
    }
    sim_block_publish(sim);
}

/* On that host: elsewhere there may be another copy by now. */
static void run_again(struct sim *sim, struct sim_task *task)
{
    struct scenario_step step = sim->story->steps[task->number];
    bool there = step.kind == STEP_GUEST || step.deed == DEED_STOP || step.deed == DEED_PAUSE ||
                 step.deed == DEED_RESUME;
    step.node = there ? task->host : step.node;
    sim_hand_step(sim, &step);
}

void sim_hand_step(struct sim *sim, const struct scenario_step *step)
{
    if (step->kind == STEP_BLOCKLIST) {
        blocklist(sim, step);
        return;
    }
    uint32_t index = guest_of(sim, step->vm, step->node);
    if (index != UINT32_MAX && sim->hosts[sim->guests[index].node].frozen) {
        sim_put(
            sim, 0, sim->guests[index].node, /* once it goes on */
            (struct sim_task){.run = run_again, .number = (uint64_t)(step - sim->story->steps)});
    } else if (step->kind == STEP_GUEST) {
        guest_step(sim, step);
    } else if (step->deed == DEED_START) {
        start(sim, step);
    } else if (step->deed == DEED_MOVE) {
        move(sim, step);
    } else if (index == UINT32_MAX) {
        return;
    } else if (step->deed == DEED_STOP && sim_guest_sticks(sim, index)) {
        sim_log(sim, sim->guests[index].node, "qemu: %s does not end",
                sim->story->vms[step->vm].name);
    } else if (step->deed == DEED_STOP) {
        note_down(sim, step->vm);
        sim_guest_end(sim, index, END_DESTROYED, true);
    } else if (step->deed == DEED_PAUSE && sim->guests[index].state == GUEST_RUNNING) {
        stand_still(sim, index, GUEST_PAUSED);
    } else if (step->deed == DEED_RESUME && (sim->guests[index].state == GUEST_PAUSED ||
                                             sim->guests[index].state == GUEST_SUSPENDED ||
                                             sim->guests[index].state == GUEST_IO_ERROR)) {
        sim_guest_run(sim, index);
    }
}
