/* BMCs: those that work, and those that do not. */
#ifndef STEAD_TESTS_SIM_BMC_H
#define STEAD_TESTS_SIM_BMC_H

#include "tests/sim/sim.h"

struct bmc_address sim_bmc_address(const struct sim *sim, uint32_t node);
/* The fence devices behind its BMC, seen to be this host's: PDU outlets, all at level 2. */
void sim_bmc_devices(const struct sim *sim, uint32_t node,
                     struct fence_device ret_devices[FENCE_DEVICES_MAX]);
/* Its BMC (`device` 0) or PDU from now on. */
void sim_bmc_become(struct sim_host *host, uint32_t device, enum sim_bmc mode, uint64_t slow_us);
void sim_bmc_act(struct sim *sim, uint32_t node, const struct action *action);
/* The agent of this host asks its own BMC who it is. */
void sim_bmc_identify(struct sim *sim, uint32_t node);

#endif
