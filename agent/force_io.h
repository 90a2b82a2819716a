/*
 * `stead cluster force`, as stead-state does it: beside the agents, since none of them has a
 * quorum. What it makes of the state is in storage/force.c.
 */
#ifndef STEAD_AGENT_FORCE_IO_H
#define STEAD_AGENT_FORCE_IO_H

#include <rados/librados.h>

/* Watches for a while whether anybody but those in `here` (node ids, "1,3": who Corosync shows)
 * still writes to the state object; then replaces it, if it has not moved meanwhile. Says how it
 * went. Returns the exit status: 0 done, 1 refused or failed, and nothing changed. Blocks. */
int force_io_run(rados_ioctx_t pool, const char *here, const char *by);

/* Says what failed with -errno `r`, and that nothing was changed. Returns the exit status, 1. */
int force_io_fail(const char *what, int r);

#endif
