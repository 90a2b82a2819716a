/* The blocklist: an osdmap at the monitors, and the OSDs that learn of it a little later. */
#ifndef STEAD_TESTS_SIM_BLOCK_H
#define STEAD_TESTS_SIM_BLOCK_H

#include "tests/sim/sim.h"

/* When a change of the map asked for now takes effect. */
uint64_t sim_block_proposal_us(struct sim *sim);
/* Takes effect at the monitors now. */
void sim_block_add(struct sim *sim, struct sim_address entry);
void sim_block_remove(struct sim *sim, struct sim_address entry);
/* By somebody's hand, and for a while: an add of ours makes it last; nothing makes it shorter. */
void sim_block_hand(struct sim *sim, struct sim_address entry, uint64_t for_us);
/* All of them are taken off. */
void sim_block_clear(struct sim *sim);
/* One change of the map is done: a new epoch. */
void sim_block_publish(struct sim *sim);

/* Somebody with this map talks to the OSDs: they catch up first. */
void sim_block_osd_learns(struct sim *sim, uint32_t epoch);

/* Do the OSDs refuse this client? */
bool sim_block_hits(const struct sim *sim, struct sim_address client);
/* Has it an entry of its own that does not run out? */
bool sim_block_lasts(const struct sim *sim, struct sim_address client);

/* How many of the entries of a BLOCK_ADD are not there yet, for years; of any other kind: are
 * there. */
uint32_t sim_block_amiss(const struct sim *sim, const struct action *action);

struct sim_address sim_address_new(struct sim *sim, uint32_t host);
struct client sim_address_client(struct sim_address address);
/* False when it is none that this world could have made. */
bool sim_address_parse(const struct sim *sim, const struct client *client,
                       struct sim_address *ret_address);

#endif
