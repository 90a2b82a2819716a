/* What systemd is told: ready, alive, and one sentence about it. Without systemd, nothing. */
#ifndef STEAD_AGENT_NOTIFY_IO_H
#define STEAD_AGENT_NOTIFY_IO_H

#include <qb/qbloop.h>

struct notify_io;

/* Feeds the unit's watchdog from the loop: a loop that hangs gets the agent killed. `situation`
 * fills the status line (TEXT_BYTES) every few seconds; it is told only when it changed. */
int notify_io_open(qb_loop_t *loop, void (*situation)(void *context, char *ret_text), void *context,
                   struct notify_io **ret_notify);
/* Before the loop runs: the process waits before it begins. */
void notify_io_held_up(const char *why);
void notify_io_ready(struct notify_io *notify);
void notify_io_stopping(struct notify_io *notify);

#endif
