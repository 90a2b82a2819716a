/*
 * I5: once faults are over, everything that can be where it belongs is there. What can be is asked
 * of the world: a host that is up, heard, reaches storage and libvirt, is admitted, and has room.
 */
#include <stdio.h>
#include <string.h>

#include "proto/values.h"
#include "storage/state.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_cpg.h"
#include "tests/sim/sim_rados.h"
#include "tests/sim/sim_votes.h"

#define TOO_SLOW_US SECOND
#define SKEW_MS 60000 /* a stamp from further in the future counts for nothing */

static bool healthy(const struct sim *sim, uint32_t node)
{
    const struct sim_host *host = &sim->hosts[node];
    bool hung = host->libvirt != LIBVIRT_OK &&
                (host->libvirt == LIBVIRT_LATE || sim->now_us < host->libvirt_until_us);
    return host->up && !host->frozen && host->agent.alive && !host->agent.hung && !host->marked &&
           !host->tmpfs_full && !sim->rados.stalled && sim->rados.monitors != MONITORS_STALLED &&
           !sim->rados.gone && /* till a person brings it back nobody decides anything */
           host->level >= sim->rados.state->header.feature_level && sim_cpg_works(sim, node) &&
           sim_rados_reaches(sim, node, true) && !sim_rados_lossy(sim, node) &&
           sim_rados_slow_us(sim, node, true) < TOO_SLOW_US && !hung;
}

static bool admitted(const struct sim *sim, uint32_t node)
{
    const struct node_record *record = &sim->rados.state->nodes[node];
    const struct sim_host *host = &sim->hosts[node];
    return record->state == NODE_ADMITTED && host->has_file &&
           incarnation_equal(record->incarnation, host->file);
}

static uint64_t used_mib(const struct sim *sim, uint32_t node)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < sim->rados.state->vm_end; i++) {
        const struct vm_record *vm = &sim->rados.state->vms[i];
        bool there =
            vm->state == VM_STARTING || vm->state == VM_RUNNING || vm->state == VM_STOPPING;
        used += there && vm->node == node ? vm->memory_mib : 0;
    }
    return used;
}

/* Could its death ever be proven as this policy asks? Else no such VM is put there. */
static bool provable(const struct sim *sim, uint32_t node, uint32_t policy)
{
    const struct sim_host *host = &sim->hosts[node];
    uint32_t fires_ms = sim->rados.state->settings.watchdog_fires_ms;
    bool counts = host->watchdog != SIM_WATCHDOG_NO && /* what is armed keeps its timeout */
                  (host->keeper.state == KEEPER_OFF || host->watchdog_ms <= fires_ms);
    bool timed = (policy & PROOF_WATCHDOG) != 0; /* then a device that nobody ever saw is none */
    bool bmc = host->bmc != SIM_BMC_NONE && !(timed && host->bmc == SIM_BMC_DEAD);
    bool pdus = host->pdus[0] != SIM_BMC_NONE;
    for (uint32_t i = 0; i < SIM_PDUS_MAX && timed; i++) {
        pdus = pdus && host->pdus[i] != SIM_BMC_DEAD;
    }
    return (policy & PROOF_STORAGE) != 0 || ((policy & PROOF_POWER) != 0 && (bmc || pdus)) ||
           (timed && counts);
}

/* Nothing proves it dead by itself, and it does not say that it is empty: a person's word is waited
 * for. */
static bool unproven(const struct sim *sim, const struct node_record *record)
{
    uint32_t policy = sim->rados.state->settings.proof;
    bool fires = (policy & PROOF_WATCHDOG) != 0 && record->watchdog;
    return record->state == NODE_LOST && (policy & PROOF_STORAGE) == 0 && !fires;
}

/* A node that could run it now; SIM_NO_HOST when there is none. */
static uint32_t lawful_place(const struct sim *sim, uint32_t v, const struct vm_record *record)
{
    const uint32_t policy = sim_check_policy(sim, record);
    uint64_t alive = 0;
    uint32_t place = SIM_NO_HOST;
    for (uint32_t n = sim->node_count; n > 0; n--) {
        uint32_t node = n - 1;
        if (!healthy(sim, node)) {
            continue;
        }
        alive |= UINT64_C(1) << node;
        bool fails = (sim->vms[v].fails_on & (UINT64_C(1) << node)) != 0;
        bool room = used_mib(sim, node) + record->memory_mib <= sim->story->nodes[node].memory_mib;
        if (admitted(sim, node) && room && !fails && provable(sim, node, policy)) {
            place = node;
        }
    }
    return sim_votes_suffice(sim, alive) ? place : SIM_NO_HOST;
}

/* A scenario that says where a VM ends knows better. */
static bool expected_otherwise(const struct sim *sim, uint32_t v)
{
    for (uint32_t i = 0; i < sim->story->expect_count; i++) {
        const struct scenario_expect *expect = &sim->story->expects[i];
        if (expect->vm == v && expect->at_us == SIM_TIME_END &&
            (expect->kind == EXPECT_VM_RECOVERING || expect->kind == EXPECT_VM_STOPPED ||
             expect->kind == EXPECT_VM_SUSPENDED)) {
            return true;
        }
    }
    return false;
}

/* By the wall clock of `judge`: as many others as the budget has were lost within its window. */
static bool budget_spent(const struct sim *sim, uint32_t judge, uint32_t node)
{
    const struct settings *settings = &sim->rados.state->settings;
    uint64_t wall_ms = sim_clock_wall_ms(sim, judge);
    uint32_t spent = 0;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        uint64_t lost_ms = sim->rados.state->nodes[n].lost_ms;
        spent += n != node && lost_ms != 0 && lost_ms < wall_ms + SKEW_MS &&
                 wall_ms < lost_ms + settings->fence_window_ms;
    }
    return spent >= settings->fence_budget;
}

static bool person_is_asked(const struct sim *sim, uint32_t judge, uint32_t node)
{
    const struct alarm_seen *seen = NULL;
    uint32_t at = 0;
    while ((seen = alarm_next(&sim->hosts[judge].agent.core->local.alarms, &at)) != NULL) {
        if (seen->alarm.kind == ALARM_FENCE_HELD &&
            strcmp(seen->alarm.subject, sim->story->nodes[node].name) == 0 &&
            strstr(seen->alarm.text, "fence_budget") != NULL) {
            return true;
        }
    }
    return false;
}

/* Its holder is not well, and the budget for fences is spent: so says, with this reason, everybody
 * who takes part. */
static bool fence_withheld(const struct sim *sim, uint32_t node)
{
    bool withheld = node < sim->node_count && !healthy(sim, node) &&
                    sim->rados.state->nodes[node].state == NODE_ADMITTED;
    for (uint32_t n = 0; n < sim->node_count && withheld; n++) {
        withheld = !healthy(sim, n) || !admitted(sim, n) ||
                   (budget_spent(sim, n, node) && person_is_asked(sim, n, node));
    }
    return withheld;
}

static bool vm_settled(const struct sim *sim, const struct vm_record *record, char *why)
{
    uint32_t v = sim_vm_by_uuid(sim, &record->uuid);
    uint32_t writers = 0;
    if (v == SIM_VMS_MAX || expected_otherwise(sim, v) || sim->rados.lease_stalled[v] ||
        (record->node < NODES_MAX && unproven(sim, &sim->rados.state->nodes[record->node]))) {
        return true;
    }
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        writers += sim->guests[i].vm == v && sim_guest_writes(sim, &sim->guests[i]);
    }
    uint32_t place = lawful_place(sim, v, record);
    if (place == SIM_NO_HOST) {
        return true;
    }
    if (record->want == WANT_RUNNING && writers == 0 && !fence_withheld(sim, record->node)) {
        (void)snprintf(why, SIM_LINE_BYTES, "I5: %s is wanted and does not run; %s has room",
                       record->name, sim->story->nodes[place].name);
        return false;
    }
    if (record->want == WANT_RUNNING && record->state != VM_RUNNING && writers != 0) {
        (void)snprintf(why, SIM_LINE_BYTES, "I5: %s runs, but the state does not say so",
                       record->name);
        return false;
    }
    if (record->want == WANT_STOPPED && (writers != 0 || record->state != VM_STOPPED)) {
        (void)snprintf(why, SIM_LINE_BYTES, "I5: %s is wanted stopped and is not", record->name);
        return false;
    }
    if (record->want == WANT_STOPPED && sim->rados.lease_exists[v] &&
        sim->rados.leases[v].state != LEASE_FREE) { /* removed, it could not be added again */
        (void)snprintf(why, SIM_LINE_BYTES, "I5: %s is stopped and its lease is held",
                       record->name);
        return false;
    }
    return true;
}

/* A healthy host takes part, or is fenced and waits for its operator. */
static bool node_settled(const struct sim *sim, uint32_t node, char *why)
{
    const struct node_record *record = &sim->rados.state->nodes[node];
    bool fenced = record->state == NODE_FENCED && !record->unfence_wanted;
    bool removed = record->state == NODE_REMOVED;
    if (!healthy(sim, node) || fenced || unproven(sim, record) || removed || admitted(sim, node)) {
        return true;
    }
    (void)snprintf(why, SIM_LINE_BYTES, "I5: %s is well and is not admitted", record->name);
    return false;
}

/* What somebody started past stead is ended, if it is the cluster's. */
static bool hands_settled(const struct sim *sim, char *why)
{
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        const struct uuid *vm = &sim->vms[guest->vm].uuid;
        if (guest->alive && guest->by_hand && healthy(sim, guest->node) &&
            admitted(sim, guest->node) && state_find_vm_uuid(sim->rados.state, vm) != VMS_MAX) {
            (void)snprintf(why, SIM_LINE_BYTES, "I5: %s, started by hand on %s, lives on",
                           sim->story->vms[guest->vm].name, sim->story->nodes[guest->node].name);
            return false;
        }
    }
    return true;
}

bool sim_settled(const struct sim *sim, char ret_why[SIM_LINE_BYTES])
{
    uint64_t alive = 0;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        alive |= healthy(sim, n) ? UINT64_C(1) << n : 0;
    }
    for (uint32_t n = 0; n < sim->node_count && sim_votes_suffice(sim, alive); n++) {
        if (!node_settled(sim, n, ret_why)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < sim->rados.state->vm_end; i++) {
        const struct vm_record *record = &sim->rados.state->vms[i];
        if (record->state != VM_FREE && !vm_settled(sim, record, ret_why)) {
            return false;
        }
    }
    return hands_settled(sim, ret_why);
}
