/*
 * Time 0: a cluster that was made some time ago. The state object holds its nodes and VMs, the VMs
 * that run hold their leases with the clients of their guests, and every agent was restarted just
 * now: it has its incarnation in /run/stead and opens a RADOS handle anew.
 */
#include "tests/sim/sim_setup.h"

#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "proto/settings.h"
#include "proto/values.h"
#include "storage/state.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_block.h"
#include "tests/sim/sim_bmc.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_cpg.h"
#include "tests/sim/sim_host.h"
#include "tests/sim/sim_virt.h"

#define UPTIME_US (3600 * SECOND)

static void setup_host(struct sim *sim, uint32_t node)
{
    const struct scenario_node *line = &sim->story->nodes[node];
    struct sim_host *host = &sim->hosts[node];
    host->powered = line->powered;
    host->up = line->powered;
    host->machine = sim_uuid(sim);
    host->boot = sim_uuid(sim);
    host->level = FEATURE_LEVEL;
    host->clock_us = UPTIME_US + node * 977 * SECOND + sim_rng_range(&sim->rng, 0, SECOND);
    host->net_up = line->net_up;
    host->bmc = line->bmc;
    host->bmc_slow_us = line->bmc_slow_us;
    host->watchdog = line->watchdog;
    host->watchdog_late_us = line->watchdog_late_us;
    memcpy(host->pdus, line->pdus, sizeof(host->pdus));
    memcpy(host->pdu_slow_us, line->pdu_slow_us, sizeof(host->pdu_slow_us));
    host->has_file = line->powered;
    host->file = (struct incarnation){.epoch = 1, .number = node + 1};
}

static void setup_node(struct sim *sim, uint32_t node)
{
    const struct scenario_node *line = &sim->story->nodes[node];
    struct sim_host *host = &sim->hosts[node];
    struct node_record *record = &sim->rados.state->nodes[node];
    memcpy(record->name, line->name, sizeof(record->name));
    record->nodeid = node + 1;
    record->machine = host->machine;
    record->memory_mib = line->memory_mib;
    record->feature_level = FEATURE_LEVEL;
    record->bmc = sim_bmc_address(sim, node);
    sim_bmc_devices(sim, node, record->devices);
    record->state = NODE_OUT;
    if (host->powered) {
        record->state = NODE_ADMITTED;
        record->boot = host->boot;
        record->incarnation = host->file;
        record->client = sim_address_client(sim_address_new(sim, node));
    }
}

/* It has been running since before the story begins. */
static void setup_running(struct sim *sim, uint32_t v, struct vm_record *record)
{
    const struct scenario_vm *line = &sim->story->vms[v];
    struct lease *lease = &sim->rados.leases[v];
    record->state = VM_RUNNING;
    record->node = (uint8_t)line->node;
    record->incarnation = sim->hosts[line->node].file;
    record->action = (struct action_id){.term = 1, .counter = v + 1};
    record->generation = 3;
    uint32_t index = sim_guest_new(sim, v, line->node, record->action);
    sim_guest_open(sim, index);
    lease->state = LEASE_HELD;
    lease->holder = line->node + 1;
    lease->incarnation = record->incarnation;
    lease->action = record->action;
    lease->generation = record->generation;
    struct client client = sim_address_client(sim->guests[index].client);
    (void)clients_add(&lease->clients, &client);
    sim_guest_run(sim, index);
}

static void setup_vm(struct sim *sim, uint32_t v)
{
    const struct scenario_vm *line = &sim->story->vms[v];
    struct sim_vm *vm = &sim->vms[v];
    vm->uuid = sim_uuid(sim);
    vm->fails_left = line->start_fails;
    vm->fails_on = line->start_fails_on;
    vm->boot_us = line->boot_us;
    vm->stop_fails = line->stop_fails;
    if (line->later) {
        return;
    }
    struct vm_record *record = &sim->rados.state->vms[sim->rados.state->vm_end++];
    vm->known = true;
    memcpy(record->name, line->name, sizeof(record->name));
    record->uuid = vm->uuid;
    record->want = line->wanted ? WANT_RUNNING : WANT_STOPPED;
    record->state = VM_STOPPED;
    record->memory_mib = line->memory_mib;
    record->priority = line->priority;
    record->class_slot = line->class_slot;
    record->node = NODE_NONE;
    record->generation = 1;
    record->definition_version = 1;
    record->definition_digest = v + 1;
    sim->rados.lease_exists[v] = true;
    sim->rados.leases[v] = (struct lease){.cluster_id = sim->rados.state->header.cluster_id,
                                          .vm = vm->uuid,
                                          .state = LEASE_FREE,
                                          .generation = 1};
    if (line->running) {
        setup_running(sim, v, record);
    }
}

static void setup_header(struct sim *sim)
{
    struct header *header = &sim->rados.state->header;
    header->cluster_id = sim_uuid(sim);
    header->epoch = 1;
    header->term = 1;
    header->actor = 1;
    header->actor_start = 1;
    header->version = 1;
    header->commit = (struct origin){.nodeid = 1, .agent_start = 1, .counter = 1};
    header->feature_level = FEATURE_LEVEL;
    header->next_incarnation = sim->node_count + 1;
    header->next_history = 1;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        header->members |= sim->hosts[n].up ? UINT64_C(1) << n : 0;
    }
}

void sim_setup(struct sim *sim)
{
    sim->rados.state = calloc(1, sizeof(*sim->rados.state));
    ASSERT(sim->rados.state != NULL);
    sim->rados.last_nonce = 1000;
    sim->rados.map_epoch = 10;
    sim->rados.osd_epoch = 10;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        setup_host(sim, n);
    }
    setup_header(sim);
    struct cluster *state = sim->rados.state;
    memcpy(state->set, sim->story->set, sizeof(state->set));
    state->settings = settings_in_force(state->set);
    for (uint32_t n = 0; n < sim->node_count; n++) {
        setup_node(sim, n);
    }
    for (uint32_t v = 0; v < sim->vm_count; v++) {
        setup_vm(sim, v);
    }
    state->header.digest = state_digest(state);
    sim->digests = calloc(64, sizeof(*sim->digests));
    ASSERT(sim->digests != NULL);
    sim->digest_room = 64;
    sim->digests[sim->digest_count++] =
        (struct sim_digest){.version = 1, .digest = state->header.digest};
    sim_cpg_begin(sim);
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if (sim->hosts[n].up) {
            sim_agent_start(sim, n);
        }
    }
}
