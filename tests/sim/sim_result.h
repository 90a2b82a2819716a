/* What comes back from a run. */
#ifndef STEAD_TESTS_SIM_RESULT_H
#define STEAD_TESTS_SIM_RESULT_H

#include "tests/sim/sim.h"

void sim_result_trace(const struct sim *sim, FILE *out);
/* One line: FILE: ok, or FAILED with the first reason. */
void sim_result_line(const struct sim *sim, FILE *out);
/* One JSON object. */
void sim_result_json(const struct sim *sim, FILE *out);

/* Runs a scenario and tells in a line how it fails: "I5: v7 is wanted ...", "expect: 2 failed",
 * "not a scenario"; "" if it does not. Adds to `coverage`, if there is one. */
void sim_result_of(const char *text, struct coverage *coverage, char ret_why[SIM_LINE_BYTES]);

#endif
