/* Made-up scenarios, by seed. */
#ifndef STEAD_TESTS_SIM_SWARM_H
#define STEAD_TESTS_SIM_SWARM_H

#include "tests/sim/sim.h"

struct swarm_options {
    uint64_t first; /* seeds */
    uint64_t last;
    uint32_t nodes;            /* 0: by seed */
    uint32_t vms;              /* 0: by seed */
    bool quick;                /* end at the first that fails, as it is */
    struct coverage *coverage; /* which events met which states; NULL: nobody counts */
};

/* Writes the scenario of a seed as text, so that it can be kept, read and cut down. The caller
 * frees it. */
char *swarm_text(uint64_t seed, const struct swarm_options *options);

/* Runs the seeds; returns how many failed. */
uint32_t swarm_run(const struct swarm_options *options, FILE *out);

#endif
