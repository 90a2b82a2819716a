/* The blocklist: an osdmap at the monitors, and the OSDs that learn of it a little later. */
#ifndef STEAD_TESTS_SIM_BLOCK_H
#define STEAD_TESTS_SIM_BLOCK_H

#include "tests/sim/sim.h"

/* When a change of the map asked for now takes effect. */
uint64_t sim_block_proposal_us(struct sim *sim);
/* Takes effect at the monitors now. */
void sim_block_add(struct sim *sim, struct sim_address entry);
void sim_block_remove(struct sim *sim, struct sim_address entry);
/* One change of the map is done: a new epoch. */
void sim_block_publish(struct sim *sim);

/* Somebody with this map talks to the OSDs: they catch up first. */
void sim_block_osd_learns(struct sim *sim, uint32_t epoch);

/* Do the OSDs refuse this client? */
bool sim_block_hits(const struct sim *sim, struct sim_address client);
/* Is exactly this entry on the list, as the monitors have it? */
bool sim_block_listed(const struct sim *sim, struct sim_address entry);

/* How many of the entries of a BLOCK_ADD are not there yet; of any other kind: are there. */
uint32_t sim_block_amiss(const struct sim *sim, const struct action *action);

struct sim_address sim_address_new(struct sim *sim, uint32_t host);
struct client sim_address_client(struct sim_address address);
/* False when it is none that this world could have made. */
bool sim_address_parse(const struct sim *sim, const struct client *client,
                       struct sim_address *ret_address);

#endif
