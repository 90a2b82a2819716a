/* The world at time 0. */
#ifndef STEAD_TESTS_SIM_SETUP_H
#define STEAD_TESTS_SIM_SETUP_H

#include "tests/sim/sim.h"

void sim_setup(struct sim *sim);

#endif
