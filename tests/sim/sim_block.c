/*
 * Measured on Ceph 16.2: an entry costs one round of the monitors, 7 to 60 ms when the map was
 * quiet for a second, else the rest of that second; rounds are shared. OSDs learn of it up to 16 ms
 * later, or as soon as anybody with the newer map talks to them.
 */
#include "tests/sim/sim_block.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/assert.h"

#define EXPIRE_EVERY_US (5 * SECOND) /* the monitors' tick */

uint64_t sim_block_proposal_us(struct sim *sim)
{
    struct sim_rados *rados = &sim->rados;
    if (rados->proposal_us > sim->now_us) {
        return rados->proposal_us;
    }
    bool quiet = rados->map_changed_us == 0 || sim->now_us - rados->map_changed_us > SECOND;
    if (rados->monitors == MONITORS_SLOW) {
        rados->proposal_us = sim->now_us + rados->monitors_us;
    } else {
        rados->proposal_us = quiet ? sim->now_us + sim_rng_range(&sim->rng, 7 * MS, 60 * MS)
                                   : rados->map_changed_us + SECOND + 1;
    }
    return rados->proposal_us;
}

/* This very entry, as the monitors have it; or NULL. */
static struct sim_block *find(const struct sim *sim, struct sim_address entry)
{
    for (size_t i = 0; i < sim->rados.block_count; i++) {
        struct sim_block *block = &sim->rados.blocks[i];
        if (block->removed == 0 && block->entry.host == entry.host &&
            block->entry.nonce == entry.nonce) {
            return block;
        }
    }
    return NULL;
}

uint32_t sim_block_amiss(const struct sim *sim, const struct action *action)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < action->block.count; i++) {
        struct sim_address entry;
        bool add = action->kind == ACTION_BLOCK_ADD;
        const struct sim_block *block =
            sim_address_parse(sim, &action->block.entries[i], &entry) ? find(sim, entry) : NULL;
        bool listed = block != NULL && !(add && block->short_lived);
        count += listed != add;
    }
    return count;
}

bool sim_block_lasts(const struct sim *sim, struct sim_address client)
{
    const struct sim_block *block = find(sim, client);
    return block != NULL && !block->short_lived;
}

void sim_block_add(struct sim *sim, struct sim_address entry)
{
    struct sim_rados *rados = &sim->rados;
    struct sim_block *block = find(sim, entry);
    if (block != NULL) { /* taken off and put on anew, for years */
        block->short_lived = false;
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
    struct sim_block *block = find(sim, entry);
    if (block != NULL) {
        block->removed = sim->rados.map_epoch + 1;
    }
}

static void run_expire(struct sim *sim, struct sim_task *task)
{
    struct sim_block *block = &sim->rados.blocks[task->number];
    if (block->removed == 0 && block->short_lived) {
        block->removed = sim->rados.map_epoch + 1;
        sim_log(sim, SIM_NO_HOST, "blocklist expire %s", sim_address_client(block->entry).address);
        sim_block_publish(sim);
    }
}

void sim_block_hand(struct sim *sim, struct sim_address entry, uint64_t for_us)
{
    if (find(sim, entry) == NULL) { /* else it stays for as long as it was to */
        sim_block_add(sim, entry);
        size_t index = sim->rados.block_count - 1;
        sim->rados.blocks[index].short_lived = true;
        sim_put(sim, for_us + sim_rng_range(&sim->rng, 0, EXPIRE_EVERY_US), SIM_NO_HOST,
                (struct sim_task){.run = run_expire, .number = index});
    }
}

void sim_block_clear(struct sim *sim)
{
    for (size_t i = 0; i < sim->rados.block_count; i++) {
        if (sim->rados.blocks[i].removed == 0) {
            sim->rados.blocks[i].removed = sim->rados.map_epoch + 1;
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
    uint64_t late_us = sim->rados.monitors == MONITORS_LATE ? sim->rados.monitors_us
                                                            : sim_rng_range(&sim->rng, 0, 16 * MS);
    sim_put(sim, late_us, SIM_NO_HOST,
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
