/* The watchdog of each host, and stead-keeper before it. */
#ifndef STEAD_TESTS_SIM_KEEPER_H
#define STEAD_TESTS_SIM_KEEPER_H

#include "tests/sim/sim.h"

/* ACTION_KEEPER_ARM, ACTION_KEEPER_DISARM, ACTION_VOUCH. */
void sim_keeper_act(struct sim *sim, uint32_t node, const struct action *action);
/* A new agent connects: it hears how it stands. */
void sim_keeper_connect(struct sim *sim, uint32_t node);
/* SIGKILL; systemd starts it again. */
void sim_keeper_kill(struct sim *sim, uint32_t node);

#endif
