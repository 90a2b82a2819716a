/* The simulator's own small generator: the same numbers on every machine, for ever. */
#ifndef STEAD_TESTS_SIM_RNG_H
#define STEAD_TESTS_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct sim_rng {
    uint64_t state;
};

void sim_rng_seed(struct sim_rng *rng, uint64_t seed);
uint64_t sim_rng_next(struct sim_rng *rng);

/* A number in [low, high], both included. */
uint64_t sim_rng_range(struct sim_rng *rng, uint64_t low, uint64_t high);

/* True once in `of` times. */
bool sim_rng_chance(struct sim_rng *rng, uint64_t of);

#endif
