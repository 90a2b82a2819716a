/* `stead cluster force`: the program beside the agents that does it. */
#ifndef STEAD_TESTS_SIM_FORCE_H
#define STEAD_TESTS_SIM_FORCE_H

#include "tests/sim/sim.h"

/* Carries out command `index`, as agent/force_io.c does. */
void sim_force_do(struct sim *sim, uint32_t index);

#endif
