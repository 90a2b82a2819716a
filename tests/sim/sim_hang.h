/* An agent that stands still while its host goes on. */
#ifndef STEAD_TESTS_SIM_HANG_H
#define STEAD_TESTS_SIM_HANG_H

#include "tests/sim/sim.h"

/* It stands still (SIGSTOP, swapped out); systemd's watchdog kills it after ten seconds. */
void sim_hang(struct sim *sim, uint32_t node, uint64_t for_us);
/* The process ended: what it has not read is gone. */
void sim_hang_over(struct sim *sim, uint32_t node);

/* At the start of what the agent of task->host does: is it to wait? Then it is put off. */
bool sim_hang_waits(struct sim *sim, struct sim_task *task);
/* What Corosync has for it waits in its inbox, in order: a message, or else a ring. False when it
 * does not hang. */
bool sim_hang_keeps(struct sim *sim, uint32_t node, struct sim_message *message,
                    const struct event_ring *ring);

#endif
