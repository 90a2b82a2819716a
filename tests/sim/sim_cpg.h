/* Corosync: rings, quorum, and messages in total order (extended virtual synchrony). */
#ifndef STEAD_TESTS_SIM_CPG_H
#define STEAD_TESTS_SIM_CPG_H

#include "tests/sim/sim.h"

/* Corosync starts on this host, alone in a ring of its own; or ends with it. */
void sim_cpg_start(struct sim *sim, uint32_t node);
void sim_cpg_stop(struct sim *sim, uint32_t node);
/* It ends in order: the others are told. */
void sim_cpg_leave(struct sim *sim, uint32_t node);
bool sim_cpg_runs(const struct sim *sim, uint32_t node);

/* All powered hosts are in one ring already (time 0). */
void sim_cpg_begin(struct sim *sim);

/* Who can hear whom may have changed: call after power, net, partition, freeze and thaw. */
void sim_cpg_changed(struct sim *sim);

/* Notes who hears whom now, and who is caught in a ring that never forms. */
void sim_cpg_listen(struct sim *sim);

/* Multicasts; takes the message over. */
void sim_cpg_send(struct sim *sim, uint32_t node, struct sim_message *message);
struct sim_message *sim_message_new(struct sim *sim, enum message_kind kind, uint32_t from);

void sim_message_drop(struct sim *sim, struct sim_message *message);
/* To the agent of `node`, or into its inbox while it hangs. */
void sim_message_deliver(struct sim *sim, uint32_t node, struct sim_message *message);

/* Tells the agent of `node` what Corosync shows (as when it connects). */
void sim_cpg_show(struct sim *sim, uint32_t node);

/* Is this node in a ring whose token goes round? */
bool sim_cpg_goes_round(const struct sim *sim, uint32_t node);
/* Is this node in a quorate ring whose token goes round? */
bool sim_cpg_works(const struct sim *sim, uint32_t node);
/* Until when it was in one, and until when that had the right to decide: the earlier of the two. */
uint64_t sim_cpg_worked_us(const struct sim *sim, uint32_t node);

/* Call before anything changes on which that rests: until now they worked. */
void sim_cpg_note_works(struct sim *sim);

void sim_cpg_free(struct sim *sim);

/* Its token and consensus timeouts: in that time it misses a member. */
uint32_t sim_cpg_detect_ms(const struct sim *sim);

#endif
