/*
 * The operator's own command, run once for each alarm that this node tells: mail, pager, chat.
 *
 * No shell; the alarm is one JSON object on its standard input, its output is the journal's. One
 * runs at a time, others wait in a bounded queue; at its deadline, and when the agent ends, it and
 * its children get SIGKILL.
 * Whatever becomes of it, the main loop does not wait, and what went wrong is said in the journal.
 */
#ifndef STEAD_AGENT_ALARM_COMMAND_IO_H
#define STEAD_AGENT_ALARM_COMMAND_IO_H

#include <qb/qbloop.h>

#include "proto/alarm.h"

#define ALARM_COMMAND_MS 10000   /* for one run */
#define ALARM_COMMAND_WAITING 64 /* alarms that wait for theirs */

struct alarm_command_io;

/* `path` is absolute and outlives this; empty: no command, and everything here does nothing. */
int alarm_command_io_open(qb_loop_t *loop, const char *path, uint64_t deadline_ms,
                          struct alarm_command_io **ret_command);

/* Runs it for this alarm, or queues it, or says that too many wait. `node`: who tells. */
void alarm_command_io_put(struct alarm_command_io *command, const char *node,
                          const struct alarm *alarm, bool raised, uint64_t wall_ms);

/* SIGKILL to what still runs. */
void alarm_command_io_close(struct alarm_command_io *command);

#endif
