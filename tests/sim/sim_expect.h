/* What a scenario expects. */
#ifndef STEAD_TESTS_SIM_EXPECT_H
#define STEAD_TESTS_SIM_EXPECT_H

#include "tests/sim/sim.h"

/* Looks at those that are due now (at_us), or at the end; logs the ones that do not hold. */
void sim_expect_now(struct sim *sim, uint64_t at_us);

enum node_word sim_node_word(const struct sim *sim, uint32_t node);
const char *sim_node_text(enum node_word word);
/* "running", "stopped", "recovering"; the node it runs on in *ret_node, or SIM_NO_HOST. */
const char *sim_vm_text(const struct sim *sim, uint32_t vm, uint32_t *ret_node);
/* It stands still by stead's doing and no other lives; then where, in *ret_node. */
bool sim_vm_suspended(const struct sim *sim, uint32_t vm, uint32_t *ret_node);

#endif
