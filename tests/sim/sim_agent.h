/* One agent process: drives the real core, turns its actions into the world's doings. */
#ifndef STEAD_TESTS_SIM_AGENT_H
#define STEAD_TESTS_SIM_AGENT_H

#include "tests/sim/sim.h"

/* A new agent process on a host that is up. */
void sim_agent_start(struct sim *sim, uint32_t node);
/* It ends without a word; what it sent is on its way. */
void sim_agent_stop(struct sim *sim, uint32_t node);
/* systemctl stop, until systemctl start or the next boot. */
void sim_agent_leave(struct sim *sim, uint32_t node);
/* An assertion fails in its core: it leaves a mark, and systemd starts it again. */
/* By systemctl. */
void sim_agent_restart(struct sim *sim, uint32_t node);
void sim_agent_halt(struct sim *sim, uint32_t node);
/* SIGKILL: the peers' CPG sees it leave, systemd starts it again. */
void sim_agent_kill(struct sim *sim, uint32_t node);

/* Steps the core now, unless no agent is there to hear. Not to be called from within a step. */
void sim_agent_event(struct sim *sim, uint32_t node, struct event *event);

/* The same after `delay_us`, on the host (so not while it is frozen), for the present process only.
 */
void sim_agent_tell(struct sim *sim, uint32_t node, uint64_t delay_us, const struct event *event);

#endif
