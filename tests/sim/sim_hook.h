/* stead's libvirt hook on each host, and what the agent wrote for it: where the story has it. */
#ifndef STEAD_TESTS_SIM_HOOK_H
#define STEAD_TESTS_SIM_HOOK_H

#include "tests/sim/sim.h"

/* After a step of this node's agent, before its actions: which VMs its copy of the state has. */
void sim_hook_list(struct sim *sim, uint32_t node);

/* Somebody is making a QEMU of this VM there: is that refused? */
bool sim_hook_refuses(struct sim *sim, uint32_t node, uint32_t vm);

/* Likewise for a creation that stead asked for: refused once its permit is gone. */
bool sim_hook_refuses_call(struct sim *sim, const struct sim_call *call, uint32_t vm);

#endif
