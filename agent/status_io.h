/* What the agent tells of itself: the core's answers as messages of the local socket. */
#ifndef STEAD_AGENT_STATUS_IO_H
#define STEAD_AGENT_STATUS_IO_H

#include "agent/core.h"
#include "proto/control_io.h"

struct status_io;

/* Room for one page of each kind. 0 or -errno. There is no close: it lives as long as the agent. */
int status_io_open(struct status_io **ret_status);

/* Each fills one page. The message points into `status` and `core`: pack it before either changes.
 * `core` may be NULL: the agent has not begun, `situation` says what it waits for. */
const Control__Status *status_io_fill(struct status_io *status, const struct core *core,
                                      const Control__StatusAsk *ask, const char *situation);
const Control__History *status_io_history(struct status_io *status, const struct core *core,
                                          const Control__HistoryAsk *ask);

#endif
