/*
 * What stead's libvirt hook goes by (migration/hook.h): this writes it. Also looks whether the hook
 * is in its place and asked by libvirt, and tells EVENT_TROUBLE (TROUBLE_HOOK) if not.
 */
#ifndef STEAD_AGENT_HOOK_IO_H
#define STEAD_AGENT_HOOK_IO_H

#include <qb/qbloop.h>

#include "proto/action.h"
#include "proto/sink.h"

struct hook_io;

/* NULL where it is in its place and executable, else what is wrong and what to do. */
const char *hook_io_fault(void);

/* Takes away the permits of an earlier process, and begins to look at the hook. 0 or -errno. */
int hook_io_open(qb_loop_t *loop, const struct sink *sink, struct hook_io **ret_hook);

/* The copy of the state may have changed: after each step. A copy that is not loaded changes
 * nothing. */
void hook_io_list(struct hook_io *hook, const struct cluster *cluster);

/* Before an ACTION_DOMAIN_CREATE is carried out: 0, or -errno and it would be refused. And when its
 * EVENT_DOMAIN_DONE is there; other calls' are fine. */
int hook_io_permit(struct hook_io *hook, const struct action *action);
void hook_io_answered(struct hook_io *hook, const struct event *event);

#endif
