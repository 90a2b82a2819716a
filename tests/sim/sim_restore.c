/*
 * As agent/state_main.c does it: definitions and leases that the pool lacks, those raised whose
 * removal may be under way, then the state, in one operation. Where a placement group answers
 * nobody, nothing comes of it.
 */
#include <stdlib.h>

#include "proto/assert.h"
#include "proto/values.h"
#include "storage/restore.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_rados.h"
#include "tests/sim/sim_virt.h"

static bool restore_vm(struct sim *sim, struct cluster *image, uint32_t slot, bool raised)
{
    struct clients watchers = {0};
    uint32_t vm = sim_vm_by_uuid(sim, &image->vms[slot].uuid);
    ASSERT(vm != SIM_VMS_MAX);
    if (sim->rados.lease_stalled[vm]) {
        return false;
    }
    sim->vms[vm].known = true;
    struct lease *lease = &sim->rados.leases[vm];
    if (sim->rados.lease_exists[vm] && raised) {
        *lease = restore_raise(image, slot, lease);
    } else if (!sim->rados.lease_exists[vm]) {
        sim_virt_watchers(sim, vm, &watchers);
        *lease = restore_lease(image, slot, &watchers);
        sim->rados.lease_exists[vm] = true;
    }
    restore_know(image, slot, lease);
    return true;
}

static bool restore_vms(struct sim *sim, const struct cluster *present, struct cluster *image,
                        bool raised)
{
    bool whole = true;
    for (uint32_t slot = 0; whole && slot < image->vm_end; slot++) {
        const struct vm_record *vm = &image->vms[slot];
        bool now = vm->state != VM_FREE && restore_raises(image, slot, present) == raised;
        whole = !now || restore_vm(sim, image, slot, raised);
    }
    return whole;
}

/* What it says counts from now on, whatever was there. */
static void put(struct sim *sim, const struct cluster *image)
{
    uint64_t next_history = sim->rados.kept->header.next_history;
    sim_check_restores(sim, next_history);
    *sim->rados.state = *image;
    free(sim->rados.newest);
    sim->rados.newest = NULL;
    sim->rados.gone = false;
    sim->rados.garbled = false;
    sim->rados.damaged = false;
    sim_check_restored(sim, next_history);
}

void sim_restore(struct sim *sim)
{
    const struct header *present = &sim->rados.state->header;
    bool read = !sim->rados.gone && !sim->rados.garbled;
    struct restore order = {.start = sim_rng_range(&sim->rng, 1, UINT32_MAX),
                            .wall_ms = SIM_WALL_MS + sim->now_us / MS,
                            .by = "operator"};
    ASSERT(sim->rados.kept != NULL); /* the parser saw to it */
    if (sim->rados.stalled) {
        sim_log(sim, SIM_NO_HOST, "operator: not restored: the pool does not answer");
        return;
    }
    if (read) {
        order.epoch = present->epoch;
        order.version = present->version;
        order.term = present->term;
    }
    const struct cluster *now = read && !sim->rados.damaged ? sim->rados.state : NULL;
    struct cluster *image = malloc(sizeof(*image));
    ASSERT(image != NULL);
    *image = *sim->rados.kept;
    restore_image(image, &order);
    if (restore_vms(sim, now, image, false) && restore_vms(sim, now, image, true)) {
        put(sim, image);
    } else {
        sim_log(sim, SIM_NO_HOST, "operator: not restored: a run lease does not answer");
    }
    free(image);
}
