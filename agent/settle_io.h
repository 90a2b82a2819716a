/*
 * Settles whose a persistent definition is that carries one of stead's marks (migration/domain_io.h
 * says which): a VM of the state's is no definition's, so that goes; a domain the state does not
 * know is libvirt's, so the marks go. One that a start made and never resumed, of a VM that was
 * removed meanwhile, is destroyed. A definition that somebody made of a VM of the state's counts
 * for nothing and is told of (TROUBLE_DEFINED). Level-triggered: after each command that leaves
 * such a mark, at the agent's start, and once a minute.
 */
#ifndef STEAD_AGENT_SETTLE_IO_H
#define STEAD_AGENT_SETTLE_IO_H

#include <qb/qbloop.h>

#include "agent/core.h"
#include "migration/libvirt_io.h"
#include "proto/sink.h"

struct settle_io;

/* All borrowed for good. 0 or -errno. */
int settle_io_open(qb_loop_t *loop, const struct core *core, struct libvirt_io *libvirt,
                   const struct sink *sink, struct settle_io **ret_settle);

/* A command is under way with this domain: hands off until it is dropped. False: no room. */
bool settle_io_hold(struct settle_io *settle, const struct uuid *vm);

/* The command is over. `certain`: its outcome is known, so the state can be believed at once;
 * otherwise a late commit is waited for. One that is not held is fine. */
void settle_io_drop(struct settle_io *settle, const struct uuid *vm, bool certain);

#endif
