/* BMCs: those that work, and those that do not. */
#ifndef STEAD_TESTS_SIM_BMC_H
#define STEAD_TESTS_SIM_BMC_H

#include "tests/sim/sim.h"

struct bmc_address sim_bmc_address(const struct sim *sim, uint32_t node);
void sim_bmc_act(struct sim *sim, uint32_t node, const struct action *action);
/* The agent of this host asks its own BMC who it is. */
void sim_bmc_identify(struct sim *sim, uint32_t node);

#endif
