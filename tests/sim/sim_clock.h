/* The clocks of a host: the one that counts from its boot, and the one on the wall. */
#ifndef STEAD_TESTS_SIM_CLOCK_H
#define STEAD_TESTS_SIM_CLOCK_H

#include "tests/sim/sim.h"

/* CLOCK_BOOTTIME of this host. */
uint64_t sim_clock_ms(const struct sim *sim, uint32_t node);
/* CLOCK_REALTIME of this host. */
uint64_t sim_clock_wall_ms(const struct sim *sim, uint32_t node);
/* How long it takes in truth until that clock has gone on by `local_us`. */
uint64_t sim_clock_true_us(const struct sim *sim, uint32_t node, uint64_t local_us);
/* From now on it starts at one second, `in_us` from now (a boot). */
void sim_clock_begin(struct sim *sim, uint32_t node, uint64_t in_us);
/* A step of the story. */
void sim_clock_change(struct sim *sim, const struct scenario_step *step);

#endif
