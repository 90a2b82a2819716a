/* What comes back from a run. */
#ifndef STEAD_TESTS_SIM_RESULT_H
#define STEAD_TESTS_SIM_RESULT_H

#include "tests/sim/sim.h"

void sim_result_trace(const struct sim *sim, FILE *out);
/* One line: FILE: ok, or FAILED with the first reason. */
void sim_result_line(const struct sim *sim, FILE *out);
/* One JSON object. */
void sim_result_json(const struct sim *sim, FILE *out);

#endif
