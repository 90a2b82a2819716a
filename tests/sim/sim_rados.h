/* Storage as an agent reaches it: the state object, leases, blocklist, watchers. */
#ifndef STEAD_TESTS_SIM_RADOS_H
#define STEAD_TESTS_SIM_RADOS_H

#include "tests/sim/sim.h"

/* Carries out one storage action of the agent of `node`. */
void sim_rados_act(struct sim *sim, uint32_t node, const struct action *action);

/* A path to storage changed: what waited for it goes on. */
void sim_rados_path_changed(struct sim *sim, uint32_t node);

/* After the state object's placement group, or a lease's, went on. */
void sim_rados_unstalled(struct sim *sim);

/* Does this host reach Ceph and hear its answers (`own`: and stead's own objects in it)? */
bool sim_rados_reaches(const struct sim *sim, uint32_t node, bool own);
/* Does some of what it asks go astray? */
bool sim_rados_lossy(const struct sim *sim, uint32_t node);
uint64_t sim_rados_slow_us(const struct sim *sim, uint32_t node, bool own);

/* sim_objects.c: carries out what has arrived at the OSD or the monitors. */
void sim_objects_execute(struct sim *sim, struct sim_call *call);

/* Something befalls the state object itself. */
void sim_rados_object(struct sim *sim, enum object_event what);

/* sim_restore.c: an operator restores the backup that was kept, and vouches for what it lacks. */
void sim_restore(struct sim *sim);

/* The index of a VM by its uuid; SIM_VMS_MAX when there is none. */
uint32_t sim_vm_by_uuid(const struct sim *sim, const struct uuid *uuid);

#endif
