/* What votequorum counts. */
#ifndef STEAD_TESTS_SIM_VOTES_H
#define STEAD_TESTS_SIM_VOTES_H

#include "tests/sim/sim.h"

/* Corosync of this host starts: it expects the whole nodelist. */
void sim_votes_start(struct sim *sim, uint32_t node);
/* These are in one ring now. */
void sim_votes_meet(struct sim *sim, uint64_t members);
/* Somebody lowers or raises it for the whole ring of `node`. */
void sim_votes_expect(struct sim *sim, uint32_t node, uint32_t votes);

/* By its own rules (agent/votes.c), are these hosts enough to decide? */
bool sim_votes_suffice(const struct sim *sim, uint64_t nodes);

#endif
