/* Hosts: power, boot, network, freezing. */
#ifndef STEAD_TESTS_SIM_HOST_H
#define STEAD_TESTS_SIM_HOST_H

#include "tests/sim/sim.h"

void sim_host_power(struct sim *sim, uint32_t node, bool on);
/* By its own init: the agent says so, guests and Corosync are ended, then the power goes, or the
 * host boots anew. */
void sim_host_shutdown(struct sim *sim, uint32_t node, bool again);
void sim_host_net(struct sim *sim, uint32_t node, bool up);
void sim_host_freeze(struct sim *sim, uint32_t node, uint64_t for_us);
/* Its path to Ceph, or to stead's own objects alone, becomes what the step says. */
void sim_host_storage(struct sim *sim, uint32_t node, const struct scenario_step *step);
void sim_host_state(struct sim *sim, uint32_t node, const struct scenario_step *step);
/* The acting node is struck in the middle of its work. */
void sim_host_kill_acting(struct sim *sim, uint32_t node, enum sim_kill_how how);
/* "host", "agent", "freeze". */
const char *sim_kill_word(enum sim_kill_how how);
/* The host is hurt: recovery of its VMs is timed from now. */
void sim_host_hurt(struct sim *sim, uint32_t node);
/* It is well again, and so are those of its VMs that nobody has taken from it. */
void sim_host_well(struct sim *sim, uint32_t node);

struct uuid sim_uuid(struct sim *sim);

#endif
