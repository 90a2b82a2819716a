/* What votequorum counts. */
#ifndef STEAD_TESTS_SIM_VOTES_H
#define STEAD_TESTS_SIM_VOTES_H

#include "tests/sim/sim.h"

/* Corosync of this host starts: it expects the whole nodelist. */
void sim_votes_start(struct sim *sim, uint32_t node);
/* These are in one ring now. */
void sim_votes_meet(struct sim *sim, uint64_t members);
/* The qdevice, or whom it hears, may have changed: who has its vote? */
void sim_votes_device(struct sim *sim);
/* How many votes of nodes this Corosync asks for, with the qdevice's. */
uint32_t sim_votes_quorum(const struct sim *sim, uint32_t node);
/* In truth: is its ring more than half of those that count; or is the term its ring's, or to be had
 * by it since nobody of the term has written for bar_ms? */
bool sim_votes_hold(const struct sim *sim, uint32_t node);
/* ... until when; or until when the term was that of somebody who is in its ring now. */
uint64_t sim_votes_held_us(const struct sim *sim, uint32_t node);
/* In truth: is this node, in its present life, a member of the term? */
bool sim_votes_in_term(const struct sim *sim, uint32_t node);
/* Somebody lowers or raises it for the whole ring of `node`. */
void sim_votes_expect(struct sim *sim, uint32_t node, uint32_t votes);

/* By its own rules (agent/votes.c), are these hosts enough to decide? */
bool sim_votes_suffice(const struct sim *sim, uint64_t nodes);

#endif
