/*
 * Measured on Ceph 16.2: an entry costs one round of the monitors, 7 to 60 ms when the map was
 * quiet for a second, else the rest of that second; rounds are shared. OSDs learn of it up to 16 ms
 * later, or as soon as anybody with the newer map talks to them.
 */
#include "tests/sim/sim_block.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/assert.h"

uint64_t sim_block_proposal_us(struct sim *sim)
{
    struct sim_rados *rados = &sim->rados;
    if (rados->proposal_us > sim->now_us) {
        return rados->proposal_us;
    }
    bool quiet = rados->map_changed_us == 0 || sim->now_us - rados->map_changed_us > SECOND;
    rados->proposal_us = quiet ? sim->now_us + sim_rng_range(&sim->rng, 7 * MS, 60 * MS)
                               : rados->map_changed_us + SECOND + 1;
    return rados->proposal_us;
}

bool sim_block_listed(const struct sim *sim, struct sim_address entry)
{
    for (size_t i = 0; i < sim->rados.block_count; i++) {
        const struct sim_block *block = &sim->rados.blocks[i];
        if (block->removed == 0 && block->entry.host == entry.host &&
            block->entry.nonce == entry.nonce) {
            return true;
        }
    }
    return false;
}

uint32_t sim_block_amiss(const struct sim *sim, const struct action *action)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < action->block.count; i++) {
        struct sim_address entry;
        bool listed = sim_address_parse(sim, &action->block.entries[i], &entry) &&
                      sim_block_listed(sim, entry);
        count += listed != (action->kind == ACTION_BLOCK_ADD);
    }
    return count;
}

void sim_block_add(struct sim *sim, struct sim_address entry)
{
    struct sim_rados *rados = &sim->rados;
    if (sim_block_listed(sim, entry)) {
        return;
    }
    if (rados->block_count == rados->block_room) {
        rados->block_room = rados->block_room == 0 ? 64 : rados->block_room * 2;
        rados->blocks = realloc(rados->blocks, rados->block_room * sizeof(*rados->blocks));
        ASSERT(rados->blocks != NULL);
    }
    rados->blocks[rados->block_count++] =
        (struct sim_block){.entry = entry, .added = rados->map_epoch + 1};
}

void sim_block_remove(struct sim *sim, struct sim_address entry)
{
    for (size_t i = 0; i < sim->rados.block_count; i++) {
        struct sim_block *block = &sim->rados.blocks[i];
        if (block->removed == 0 && block->entry.host == entry.host &&
            block->entry.nonce == entry.nonce) {
            block->removed = sim->rados.map_epoch + 1;
        }
    }
}

void sim_block_osd_learns(struct sim *sim, uint32_t epoch)
{
    if (epoch > sim->rados.osd_epoch) {
        sim->rados.osd_epoch = epoch;
        sim->writers_changed = true;
    }
}

static void run_learn(struct sim *sim, struct sim_task *task)
{
    sim_block_osd_learns(sim, (uint32_t)task->number);
}

void sim_block_publish(struct sim *sim)
{
    sim->rados.map_epoch++;
    sim->rados.map_changed_us = sim->now_us;
    sim_put(sim, sim_rng_range(&sim->rng, 0, 16 * MS), SIM_NO_HOST,
            (struct sim_task){.run = run_learn, .number = sim->rados.map_epoch});
}

bool sim_block_hits(const struct sim *sim, struct sim_address client)
{
    uint32_t epoch = sim->rados.osd_epoch;
    for (size_t i = 0; i < sim->rados.block_count; i++) {
        const struct sim_block *block = &sim->rados.blocks[i];
        bool stands = block->added <= epoch && (block->removed == 0 || block->removed > epoch);
        if (stands && block->entry.host == client.host &&
            (block->entry.nonce == 0 || block->entry.nonce == client.nonce)) {
            return true;
        }
    }
    return false;
}

struct sim_address sim_address_new(struct sim *sim, uint32_t host)
{
    return (struct sim_address){.host = host, .nonce = ++sim->rados.last_nonce};
}

struct client sim_address_client(struct sim_address address)
{
    struct client client = {0};
    (void)snprintf(client.address, sizeof(client.address), "10.0.0.%u:0/%u", address.host + 1,
                   address.nonce);
    return client;
}

bool sim_address_parse(const struct sim *sim, const struct client *client,
                       struct sim_address *ret_address)
{
    unsigned host = 0;
    unsigned nonce = 0;
    int end = 0;
    if (sscanf(client->address, "10.0.0.%u:0/%u%n", &host, &nonce, &end) != 2 ||
        client->address[end] != '\0' || host == 0 || host > sim->node_count) {
        return false;
    }
    *ret_address = (struct sim_address){.host = host - 1, .nonce = nonce};
    return true;
}
