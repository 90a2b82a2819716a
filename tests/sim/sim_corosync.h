/* Corosync as a service of its host: stopped in order, killed, started. */
#ifndef STEAD_TESTS_SIM_COROSYNC_H
#define STEAD_TESTS_SIM_COROSYNC_H

#include "tests/sim/sim.h"

/* As its unit stops it: it asks the agent first, and ends 5 s later at the latest. */
void sim_corosync_stop(struct sim *sim, uint32_t node);
/* SIGKILL: it stays away until it is started. */
void sim_corosync_kill(struct sim *sim, uint32_t node);
/* It is up a second later, unless it is there. */
void sim_corosync_start(struct sim *sim, uint32_t node);
/* ACTION_LET_GO: the agent answers what it was asked. */
void sim_corosync_let_go(struct sim *sim, uint32_t node);

#endif
