/*
 * SplitMix64: one 64-bit word of state, every seed as good as the next. A slight bias of the ranges
 * (modulo) does not matter here; that the numbers never change does.
 */
#include "tests/sim/sim_rng.h"

#include "proto/assert.h"

void sim_rng_seed(struct sim_rng *rng, uint64_t seed)
{
    rng->state = seed * UINT64_C(0x9e3779b97f4a7c15) + UINT64_C(0x1234567);
    (void)sim_rng_next(rng); /* neighbouring seeds part at once */
}

uint64_t sim_rng_next(struct sim_rng *rng)
{
    rng->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t word = rng->state;
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

uint64_t sim_rng_range(struct sim_rng *rng, uint64_t low, uint64_t high)
{
    ASSERT(low <= high);
    ASSERT(high - low < UINT64_MAX);
    return low + sim_rng_next(rng) % (high - low + 1);
}

bool sim_rng_chance(struct sim_rng *rng, uint64_t of)
{
    ASSERT(of > 0);
    return sim_rng_next(rng) % of == 0;
}
