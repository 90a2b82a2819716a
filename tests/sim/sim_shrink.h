/* Makes a failing scenario smaller. */
#ifndef STEAD_TESTS_SIM_SHRINK_H
#define STEAD_TESTS_SIM_SHRINK_H

#include "tests/sim/sim.h"

/*
 * The smallest scenario found that fails as `text` does: the same promise is broken, or an
 * expectation, with fewer lines and less time between them. NULL when `text` does not fail. The
 * caller frees it. Takes some hundred runs.
 */
char *shrink(const char *text);

#endif
