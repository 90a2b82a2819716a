/* Calls: an action with an id, on its way through an edge. Each ends in exactly one event. */
#ifndef STEAD_TESTS_SIM_CALL_H
#define STEAD_TESTS_SIM_CALL_H

#include "tests/sim/sim.h"

/* Begins a call: its deadline is set, and answered with `unknown` should nothing come before. */
struct sim_call *sim_call_begin(struct sim *sim, uint32_t node, const struct action *action,
                                const struct event *unknown);

/* The answer, unless one was given; heard after `delay_us`, if that process still lives. */
void sim_call_answer(struct sim *sim, struct sim_call *call, uint64_t delay_us,
                     const struct event *event);

/* Puts a task that works on this call. */
void sim_call_put(struct sim *sim, struct sim_call *call, uint64_t delay_us, uint32_t host,
                  void (*run)(struct sim *, struct sim_task *));
/* Ends such a task. */
void sim_call_done(struct sim *sim, struct sim_call *call);

/* Is the process that made this call still there? */
bool sim_call_lives(const struct sim *sim, const struct sim_call *call);

/* Its right to act has run out by the clock of its host. */
bool sim_call_stale(const struct sim *sim, const struct sim_call *call);

/* Copies from the pools: what a task tells its agent; a delta that is on its way. */
struct sim_news *sim_news(struct sim *sim, struct sim_call *call, const struct event *event);
struct delta *sim_delta_copy(struct sim *sim, const struct delta *delta);

#endif
