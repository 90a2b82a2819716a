/* Every moment at which the acting node can die. */
#ifndef STEAD_TESTS_SIM_KILLS_H
#define STEAD_TESTS_SIM_KILLS_H

#include "tests/sim/sim.h"

struct kills_count {
    uint32_t passed;
    uint32_t failed;
};

/* Runs the scenario once for each action of its acting nodes after the first event, killing the
 * acting node right after it: its host's power, its agent alone, or all of it for 20 s. `story` is
 * changed: it gets time to settle, and its expectations, which know nothing of the kill, are
 * dropped. */
struct kills_count kills_run(struct scenario *story, FILE *out);

#endif
