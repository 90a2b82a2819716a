/* The checkers of I1, I2, I3, I4 and I7. Each ends the run at the first broken promise. */
#include "tests/sim/sim_check.h"

#include <stdlib.h>

#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"
#include "tests/sim/sim_block.h"
#include "tests/sim/sim_rados.h"

#define RECOUNT_EVERY 8 /* versions, between two full recounts of a copy's digest: they cost */

static const char *vm_name(const struct sim *sim, uint32_t vm)
{
    return sim->story->vms[vm].name;
}

static const char *node_name(const struct sim *sim, uint32_t node)
{
    return sim->story->nodes[node].name;
}

/* --- I3 --- */

static void note_digest(struct sim *sim, uint64_t version, uint64_t digest)
{
    if (version != sim->digest_count + 1) {
        sim_violation(sim, "I3: version %llu was committed twice: on top of an old object",
                      (unsigned long long)version);
    }
    if (sim->digest_count == sim->digest_room) {
        sim->digest_room = sim->digest_room == 0 ? 256 : sim->digest_room * 2;
        sim->digests = realloc(sim->digests, sim->digest_room * sizeof(*sim->digests));
        ASSERT(sim->digests != NULL);
    }
    sim->digests[sim->digest_count++] = (struct sim_digest){.version = version, .digest = digest};
}

static void note_fences(struct sim *sim, const struct delta *delta)
{
    for (uint32_t i = 0; i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        if (record->kind != RECORD_NODE || record->removed || record->slot >= sim->node_count) {
            continue;
        }
        bool before = sim->rados.state->nodes[record->slot].state == NODE_FENCED;
        if (record->node.state == NODE_FENCED && !before) {
            sim->fenced |= UINT64_C(1) << record->slot;
        }
        if (record->node.state == NODE_FENCED) {
            sim->fenced_by[record->slot] |= record->node.proofs;
        }
    }
}

/* --- I2: what an agent's predecessor left under way --- */

/* A node's new handle is recorded within one life: its old one is on the blocklist. */
static void check_predecessors(struct sim *sim, const struct delta *delta)
{
    for (uint32_t i = 0; i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        if (record->kind != RECORD_NODE || record->removed || record->slot >= sim->node_count) {
            continue;
        }
        const struct node_record *before = &sim->rados.state->nodes[record->slot];
        bool same_life = before->state == NODE_ADMITTED && record->node.state == NODE_ADMITTED &&
                         incarnation_equal(before->incarnation, record->node.incarnation);
        struct action entry = {.kind = ACTION_BLOCK_ADD};
        entry.block.count = 1;
        entry.block.entries[0] = before->client;
        if (same_life && !client_is_none(&before->client) &&
            !client_equal(&before->client, &record->node.client) &&
            sim_block_amiss(sim, &entry) > 0) {
            sim_violation(sim, "I2: a new handle of %s is recorded, and the one before may write",
                          node_name(sim, record->slot));
        }
    }
}

/* --- I4 --- */

/* By the policy of its VM; one that no record names is no better. */
static bool accepts_watchdog(const struct sim *sim, const struct sim_guest *guest)
{
    const struct cluster *state = sim->rados.state;
    uint32_t slot = state_find_vm_uuid(state, &sim->vms[guest->vm].uuid);
    return slot == VMS_MAX || (sim_check_policy(sim, &state->vms[slot]) & PROOF_WATCHDOG) != 0;
}

/* Of a life that is over: what lives on its host came there since. */
static bool was_reset(const struct sim *sim, uint32_t node)
{
    return !uuid_equal(&sim->hosts[node].boot, &sim->rados.state->nodes[node].boot);
}

/* A host is taken for reset or off: then nothing of the cluster's lives there. What a BMC that lies
 * has read is nobody's fault but its own, nor that a watchdog never fires, nor that a keeper was
 * killed which fed no more: the kernel feeds its device then (docs/timing.md). */
static void check_deaths(struct sim *sim, const struct delta *delta)
{
    for (uint32_t r = 0; r < delta->count; r++) {
        const struct record *record = &delta->records[r];
        if (record->kind != RECORD_NODE || record->removed || record->slot >= sim->node_count ||
            record->node.state != NODE_FENCED || was_reset(sim, record->slot)) {
            continue;
        }
        const struct node_record *before = &sim->rados.state->nodes[record->slot];
        uint32_t known = before->state == NODE_FENCED ? before->proofs : 0;
        bool reset = (record->node.proofs & ~known & PROOF_WATCHDOG) != 0 &&
                     !sim_check_spared(sim, record->slot);
        bool off =
            (record->node.proofs & ~known & PROOF_POWER) != 0 && !sim->hosts[record->slot].lied_off;
        for (uint32_t i = 0; i < sim->guest_count; i++) {
            const struct sim_guest *guest = &sim->guests[i];
            if ((off || (reset && accepts_watchdog(sim, guest))) && guest->node == record->slot &&
                guest->alive && guest->order != 0 && !guest->by_hand) {
                sim_violation(sim, "I4: %s is taken for %s, and %s lives there",
                              node_name(sim, record->slot), reset ? "reset by its watchdog" : "off",
                              vm_name(sim, guest->vm));
            }
        }
    }
}

/* HA ignored, what ends stays off. An agent ended it, and was restarted before its lease said so:
 * the new one found it gone, which nothing tells from an end of the guest's own. */
static bool found_gone(const struct sim *sim, const struct vm_record *vm, uint32_t v)
{
    const struct sim_guest *last = NULL;
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        last = guest->vm == v && guest->node == vm->node ? guest : last;
    }
    return sim->rados.state->settings.ha == HA_IGNORE && last != NULL && !last->alive &&
           sim->rados.leases[v].end == END_UNKNOWN &&
           sim->hosts[last->node].agent.began_us > last->ended_us;
}

/* A VM is given up only because somebody said so, or by a rule about an end that happened. */
static void check_wants(struct sim *sim, const struct delta *delta)
{
    bool asked = false;
    for (uint32_t i = 0; i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        asked =
            asked || (record->kind == RECORD_HISTORY && record->history.kind == HISTORY_VM_WANT);
    }
    for (uint32_t i = 0; i < delta->count && !asked; i++) {
        const struct record *record = &delta->records[i];
        if (record->kind != RECORD_VM || record->removed) {
            continue;
        }
        const struct vm_record *before = &sim->rados.state->vms[record->slot];
        uint32_t v = sim_vm_by_uuid(sim, &record->vm.uuid);
        bool given_up = before->state != VM_FREE && before->want == WANT_RUNNING &&
                        record->vm.want == WANT_STOPPED;
        if (given_up && v != SIM_VMS_MAX && !sim->vms[v].may_stop && !found_gone(sim, before, v)) {
            sim_violation(sim, "%s is given up, and nobody asked for it", record->vm.name);
        }
    }
}

void sim_check_commit(struct sim *sim, uint32_t node, const struct delta *delta)
{
    struct cluster *state = sim->rados.state;
    if (delta->header.term < state->header.term || delta->base_term != state->header.term) {
        sim_violation(sim, "I3: a commit of %s of an older term took effect", node_name(sim, node));
    }
    sim_check_hands(sim, delta);
    note_fences(sim, delta);
    check_wants(sim, delta);
    check_deaths(sim, delta);
    sim_check_proofs(sim, delta);
    check_predecessors(sim, delta);
    sim_check_why(sim, delta);
    if (!state_apply(state, delta)) {
        sim_violation(sim, "I3: version %llu of %s does not have the digest it says",
                      (unsigned long long)delta->header.version, node_name(sim, node));
    }
    sim_check_places(sim, delta);
    while (sim->digest_count + 1 < delta->header.version) {
        note_digest(sim, sim->digest_count + 1, 0);
    }
    note_digest(sim, delta->header.version, delta->header.digest);
}

void sim_check_forced(struct sim *sim)
{
    const struct cluster *state = sim->rados.state;
    if (state_digest(state) != state->header.digest) {
        sim_violation(sim, "I3: the state of a new epoch does not have the digest it says");
    }
    while (sim->digest_count + 1 < state->header.version) {
        note_digest(sim, sim->digest_count + 1, 0);
    }
    note_digest(sim, state->header.version, state->header.digest);
}

static const struct history_entry *entry_of(const struct sim *sim,
                                            const struct sim_command *command)
{
    const struct cluster *newest = sim->rados.newest;
    return state_find_request(newest != NULL ? newest : sim->rados.state, &command->id);
}

void sim_check_restores(struct sim *sim, uint64_t next_history)
{
    for (uint32_t i = 0; i < sim->command_count; i++) {
        struct sim_command *command = &sim->commands[i];
        const struct history_entry *entry = command->given ? entry_of(sim, command) : NULL;
        command->undone = command->undone || (entry != NULL && entry->sequence >= next_history);
    }
}

/* Whoever still holds a copy of an epoch that is over is not followed any more, and what was
 * decided since the backup was made is forgotten, as the operator was told. */
void sim_check_restored(struct sim *sim, uint64_t next_history)
{
    uint64_t before = sim->rados.state->header.version - 1;
    sim->digest_count = before < sim->digest_count ? before : sim->digest_count;
    for (uint32_t i = 0; i < sim->command_count; i++) {
        struct sim_command *command = &sim->commands[i];
        command->sequence = command->sequence < next_history ? command->sequence : 0;
    }
    sim_check_forced(sim);
}

void sim_check_copy(struct sim *sim, uint32_t node)
{
    struct sim_agent *agent = &sim->hosts[node].agent;
    const struct cluster *copy = &agent->core->cluster;
    uint64_t version = copy->header.version;
    if (version == 0 || copy->header.epoch < sim->rados.state->header.epoch ||
        (version == agent->checked_version && copy->header.digest == agent->checked_digest)) {
        return;
    }
    agent->checked_version = version;
    agent->checked_digest = copy->header.digest;
    if (version > sim->digest_count) {
        sim_violation(sim, "I3: %s holds version %llu, which was never committed",
                      node_name(sim, node), (unsigned long long)version);
    }
    if (sim->digests[version - 1].digest != copy->header.digest) {
        sim_violation(sim, "I3: %s holds another version %llu than the one committed",
                      node_name(sim, node), (unsigned long long)version);
    }
    if (version % RECOUNT_EVERY == 0 && state_digest(copy) != copy->header.digest) {
        sim_violation(sim, "I3: the records of %s at version %llu do not add up to their digest",
                      node_name(sim, node), (unsigned long long)version);
    }
}

/* --- I2 --- */

/* Might this process, or what it left behind, still write? */
static bool may_write(const struct sim *sim, const struct sim_guest *guest)
{
    return guest->order != 0 && !guest->ended_clean && !sim_block_hits(sim, guest->client);
}

/* A copy that somebody moved past stead runs under no lease, nor does a guest that was given back
 * to libvirt (whose VM comes back with a backup, and its lease with it): that one changes hands
 * neither lets it run nor ends it, and no change of it could wait for what nobody knows of. What
 * must not be is that another guest begins beside it, and that is asked as it begins. */
static bool has_no_lease(const struct sim_guest *guest, const struct lease *lease)
{
    struct client client = sim_address_client(guest->client);
    return (guest->moved || guest->let_go) && !clients_hold(&lease->clients, &client);
}

void sim_check_let_go(struct sim *sim, uint32_t vm)
{
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        struct sim_guest *guest = &sim->guests[i];
        struct client client = sim_address_client(guest->client);
        guest->let_go |= guest->vm == vm && clients_hold(&sim->rados.leases[vm].clients, &client);
    }
}

void sim_check_lease(struct sim *sim, uint32_t node, uint32_t vm, const struct lease *lease)
{
    const struct lease *old = &sim->rados.leases[vm];
    ASSERT(lease->generation == old->generation + 1);
    bool same = lease->state == old->state && lease->holder == old->holder &&
                incarnation_equal(lease->incarnation, old->incarnation) &&
                action_id_equal(lease->action, old->action);
    if (same || old->state == LEASE_FREE) {
        return;
    }
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        if (guest->vm == vm && may_write(sim, guest) && !has_no_lease(guest, old)) {
            sim_violation(sim,
                          "I2: %s changes the lease of %s while its guest on %s (%s) may write",
                          node_name(sim, node), vm_name(sim, vm), node_name(sim, guest->node),
                          sim_address_client(guest->client).address);
        }
    }
}

/* One that is barred for good begins nothing: libvirt carried a resume out after its host's fence.
 */
void sim_check_resume(struct sim *sim, uint32_t index)
{
    const struct sim_guest *fresh = &sim->guests[index];
    bool barred = sim_block_lasts(sim, fresh->client);
    const struct lease *lease = &sim->rados.leases[fresh->vm];
    struct client client = sim_address_client(fresh->client);
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        if (i != index && guest->vm == fresh->vm && !barred && may_write(sim, guest)) {
            sim_violation(sim, "I2: %s starts on %s while its guest on %s (%s) may still write",
                          vm_name(sim, fresh->vm), node_name(sim, fresh->node),
                          node_name(sim, guest->node), sim_address_client(guest->client).address);
        }
    }
    bool named = lease->state == LEASE_HELD && lease->holder == fresh->node + 1 &&
                 clients_hold(&lease->clients, &client);
    if (!named && !fresh->moved && !sim_block_hits(sim, fresh->client)) {
        sim_violation(sim, "I2: %s starts on %s as %s, which its lease does not name",
                      vm_name(sim, fresh->vm), node_name(sim, fresh->node), client.address);
    }
}

/* --- I1 --- */

bool sim_guest_writes(const struct sim *sim, const struct sim_guest *guest)
{
    return guest->alive && guest->state == GUEST_RUNNING && !guest->by_hand &&
           !sim_block_hits(sim, guest->client);
}

static void watch_ghost(struct sim *sim, struct sim_guest *guest, bool writes)
{
    struct sim_vm *vm = &sim->vms[guest->vm];
    bool ghost =
        guest->alive && guest->state == GUEST_RUNNING && !writes && !sim->hosts[guest->node].frozen;
    if (ghost && guest->ghost_us == 0) {
        guest->ghost_us = sim->now_us;
    } else if (!ghost && guest->ghost_us != 0) {
        uint64_t lasted_us = sim->now_us - guest->ghost_us;
        vm->ghost_max_us = lasted_us > vm->ghost_max_us ? lasted_us : vm->ghost_max_us;
        guest->ghost_us = 0;
        sim_log(sim, guest->node, "qemu: %s was a ghost here for %llu ms", vm_name(sim, guest->vm),
                (unsigned long long)(lasted_us / MS));
    }
}

void sim_check_world(struct sim *sim)
{
    static const uint32_t none = UINT32_MAX;
    if (!sim->writers_changed) {
        return;
    }
    sim->writers_changed = false;
    uint32_t writer[SIM_VMS_MAX];
    for (uint32_t v = 0; v < sim->vm_count; v++) {
        writer[v] = none;
    }
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        struct sim_guest *guest = &sim->guests[i];
        bool writes = sim_guest_writes(sim, guest);
        watch_ghost(sim, guest, writes);
        if (writes && writer[guest->vm] != none) {
            sim_violation(sim, "I1: %s runs writable on %s and on %s", vm_name(sim, guest->vm),
                          node_name(sim, sim->guests[writer[guest->vm]].node),
                          node_name(sim, guest->node));
        }
        if (writes) {
            writer[guest->vm] = i;
        }
    }
}

/* --- I7 --- */

void sim_check_acknowledged(struct sim *sim, struct sim_command *command)
{
    const struct history_entry *entry = entry_of(sim, command);
    if (entry == NULL && !command->undone) {
        sim_violation(sim, "I7: told done, but not in the state: %s", command->step->words);
    }
    command->sequence = entry != NULL ? entry->sequence : 0;
}

void sim_check_kept(struct sim *sim)
{
    const struct cluster *state = sim->rados.newest != NULL ? sim->rados.newest : sim->rados.state;
    for (uint32_t i = 0; i < sim->command_count; i++) {
        const struct sim_command *command = &sim->commands[i];
        bool due =
            command->sequence != 0 && command->sequence + HISTORY_MAX >= state->header.next_history;
        if (due && entry_of(sim, command) == NULL) {
            sim_violation(sim, "I7: told done, and forgotten since: %s", command->step->words);
        }
        if (command->given && command->refused && entry_of(sim, command) != NULL) {
            sim_violation(sim, "I7: told refused, and done: %s", command->step->words);
        }
    }
}
