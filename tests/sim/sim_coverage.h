/* Which events met which states of the core's machines, and how often. */
#ifndef STEAD_TESTS_SIM_COVERAGE_H
#define STEAD_TESTS_SIM_COVERAGE_H

#include "tests/sim/sim.h"

#define COVERAGE_STATES 16
#define COVERAGE_WORDS 8 /* an answer's outcome, a domain's state, whether libvirt is connected */

enum machine {
    MACHINE_HANDLE,
    MACHINE_LIFE,
    MACHINE_COMMIT,
    MACHINE_FENCE,
    MACHINE_POWER,
    MACHINE_BARRIER,
    MACHINE_RUN,
    MACHINE_WAKE,
    MACHINE_COUNT
};

struct coverage {
    uint64_t hits[MACHINE_COUNT][COVERAGE_STATES][EVENT_KIND_COUNT][COVERAGE_WORDS];
};

/* Before the step: notes the machines of this core that the event is for. */
void coverage_note(struct coverage *coverage, const struct core *core, const struct event *event);

/*
 * A line for each pair that there is, met or not: machine, state, event, its outcome or form ("-":
 * it has but one), how often. One that was met and that the table does not know is "impossible".
 */
void coverage_write(const struct coverage *coverage, FILE *out);

#endif
