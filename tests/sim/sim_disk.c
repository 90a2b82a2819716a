/*
 * Every running guest writes a few times a second. A write whose path to storage is down waits in
 * its process and lands when the path is back; the last write of a process that died may sit in a
 * queue of the OSD and land up to 15 s later. Whether it may is asked when it lands: a blocklisted
 * client is refused, and QEMU then pauses its guest (error_policy stop).
 */
#include "tests/sim/sim_disk.h"

#include "proto/assert.h"
#include "tests/sim/sim_block.h"
#include "tests/sim/sim_rados.h"
#include "tests/sim/sim_virt.h"

#define WRITE_EVERY_US (250 * MS)
#define LANDS_LATE_MAX_US (15 * SECOND)

static struct sim_guest *guest_at(struct sim *sim, uint32_t guest)
{
    ASSERT(guest < sim->guest_count);
    return &sim->guests[guest];
}

/* Do the OSDs refuse its writes? What they know changes only with their map. */
static bool refused(const struct sim *sim, struct sim_guest *guest)
{
    if (guest->asked_epoch != sim->rados.osd_epoch) {
        guest->asked_epoch = sim->rados.osd_epoch;
        guest->refused = sim_block_hits(sim, guest->client);
    }
    return guest->refused;
}

bool sim_disk_answers(const struct sim *sim, uint32_t node)
{
    return sim->rados.pool != POOL_FULL && sim_rados_reaches(sim, node, false);
}

static void take_disk(struct sim_vm *vm, uint32_t index, uint64_t order)
{
    vm->newest_order = order;
    vm->newest_guest = index;
}

/* I1: once a newer guest has read the disk, no write of an older one may land. */
static void land(struct sim *sim, uint32_t index)
{
    struct sim_guest *guest = guest_at(sim, index);
    struct sim_vm *vm = &sim->vms[guest->vm];
    bool blocked = refused(sim, guest);
    guest->write_held = guest->alive && !blocked && sim->rados.pool == POOL_FULL;
    if (sim->rados.pool == POOL_FULL && !blocked) {
        return; /* held until there is room; of a dead client, never */
    }
    if (blocked || sim->rados.pool == POOL_REFUSES) {
        if (guest->alive && guest->state == GUEST_RUNNING) {
            sim_virt_io_error(sim, index);
        }
        return;
    }
    if (guest->order > vm->newest_order) { /* barred as it began, and no longer */
        take_disk(vm, index, guest->order);
    }
    if (vm->newest_order > guest->order) {
        sim_violation(sim, "I1: a write of %s's old guest on %s (%s) landed after the new one read",
                      sim->story->vms[guest->vm].name, sim->story->nodes[guest->node].name,
                      sim_address_client(guest->client).address);
    }
    vm->writes++;
}

static void run_land(struct sim *sim, struct sim_task *task)
{
    land(sim, (uint32_t)task->number);
}

static void run_write(struct sim *sim, struct sim_task *task)
{
    uint32_t index = (uint32_t)task->number;
    struct sim_guest *guest = guest_at(sim, index);
    if (!guest->alive || guest->state != GUEST_RUNNING) {
        guest->writing = false;
        return;
    }
    uint64_t slow_us = sim_rados_slow_us(sim, guest->node, false);
    if (guest->write_held) {
        /* one at a time */
    } else if (!sim_disk_answers(sim, guest->node)) {
        guest->write_held = true;
    } else if (slow_us > 0) {
        guest->write_held = true;
        sim_put(sim, slow_us, SIM_NO_HOST, (struct sim_task){.run = run_land, .number = index});
    } else {
        land(sim, index);
    }
    sim_put(sim, WRITE_EVERY_US, task->host, (struct sim_task){.run = run_write, .number = index});
}

void sim_disk_begin(struct sim *sim, uint32_t index)
{
    struct sim_guest *guest = guest_at(sim, index);
    struct sim_vm *vm = &sim->vms[guest->vm];
    ASSERT(guest->alive);
    ASSERT(guest->order > vm->newest_order);
    if (!sim_block_lasts(sim, guest->client)) { /* else it neither reads nor takes the lock */
        take_disk(vm, index, guest->order);
    }
    if (!guest->writing) {
        guest->writing = true;
        uint64_t boot_us = vm->boot_us;
        sim_put(sim, sim_rng_range(&sim->rng, 0, boot_us + 1), guest->node,
                (struct sim_task){.run = run_write, .number = index});
    }
}

void sim_disk_resume(struct sim *sim, uint32_t index)
{
    struct sim_guest *guest = guest_at(sim, index);
    ASSERT(guest->alive);
    if (!guest->writing) {
        guest->writing = true;
        sim_put(sim, WRITE_EVERY_US, guest->node,
                (struct sim_task){.run = run_write, .number = index});
    }
}

void sim_disk_end(struct sim *sim, uint32_t index)
{
    struct sim_guest *guest = guest_at(sim, index);
    ASSERT(!guest->alive);
    if (guest->order != 0 && !guest->ended_clean && sim_rng_chance(&sim->rng, 2)) {
        sim_put(sim, sim_rng_range(&sim->rng, 1, LANDS_LATE_MAX_US), SIM_NO_HOST,
                (struct sim_task){.run = run_land, .number = index});
    }
}

void sim_disk_path_changed(struct sim *sim, uint32_t node)
{
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        if (guest->alive && guest->node == node && guest->write_held &&
            sim_disk_answers(sim, node)) {
            sim_put(sim, sim_rng_range(&sim->rng, 1 * MS, 1500 * MS), node,
                    (struct sim_task){.run = run_land, .number = i});
        }
    }
}
