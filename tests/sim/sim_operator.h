/* The person with the command line. */
#ifndef STEAD_TESTS_SIM_OPERATOR_H
#define STEAD_TESTS_SIM_OPERATOR_H

#include "tests/sim/sim.h"

/* Gives this step's command to a node that can take it; tries again while there is none. */
void sim_operator_do(struct sim *sim, const struct scenario_step *step);
/* Command `index` has ended: done, or refused with the reason. */
void sim_operator_close(struct sim *sim, uint32_t index, enum verdict verdict, const char *text);
/* The agent of `node` answered. */
void sim_operator_answer(struct sim *sim, uint32_t node, const struct reply *reply);

#endif
