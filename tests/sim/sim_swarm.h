/* Made-up scenarios, by seed. */
#ifndef STEAD_TESTS_SIM_SWARM_H
#define STEAD_TESTS_SIM_SWARM_H

#include "tests/sim/sim.h"

struct swarm_options {
    uint64_t first; /* seeds */
    uint64_t last;
    uint32_t nodes; /* 0: by seed */
    uint32_t vms;   /* 0: by seed */
};

/* Writes the scenario of a seed as text, so that it can be kept, read and cut down. The caller
 * frees it. With `fault_max` less than the seed's number of faults, only the first so many. */
char *swarm_text(uint64_t seed, const struct swarm_options *options, uint32_t fault_max);

/* Runs the seeds; returns how many failed. */
uint32_t swarm_run(const struct swarm_options *options, FILE *out);

#define SWARM_FAULTS_ALL UINT32_MAX

#endif
