/* The disks: which write lands, and when. */
#ifndef STEAD_TESTS_SIM_DISK_H
#define STEAD_TESTS_SIM_DISK_H

#include "tests/sim/sim.h"

/* A guest was resumed: it reads its disk, and writes from then on. */
void sim_disk_begin(struct sim *sim, uint32_t guest);
/* ... and goes on after a standstill. */
void sim_disk_resume(struct sim *sim, uint32_t guest);
/* Its process has ended; without a clean end its last write may still be on its way. */
void sim_disk_end(struct sim *sim, uint32_t guest);
/* Does the guests' pool answer who asks from there, be it with a refusal? A full one does not. */
bool sim_disk_answers(const struct sim *sim, uint32_t node);
void sim_disk_path_changed(struct sim *sim, uint32_t node);

#endif
