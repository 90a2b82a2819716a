/*
 * Guests as processes: what /proc says, and SIGKILL without libvirt in the path (measured: QEMU's
 * own quit and virsh destroy hang for 12 s and more when its storage is cut off).
 */
#ifndef STEAD_MIGRATION_GUEST_IO_H
#define STEAD_MIGRATION_GUEST_IO_H

#include <qb/qbloop.h>

#include "proto/action.h"
#include "proto/sink.h"

struct guest_io;

/* A guest of ours is a QEMU process in /proc whose libvirt status file (run_dir/NAME.xml, normally
 * /run/libvirt/qemu) carries our metadata, or whose -uuid was given to guest_io_know. */
int guest_io_open(qb_loop_t *loop, const char *run_dir, const struct sink *sink,
                  struct guest_io **ret_io);

/* Remember that this VM is ours even if libvirt's files are gone. Bounded by VMS_MAX. */
void guest_io_know(struct guest_io *io, const struct uuid *vm);

/* ACTION_KILL: SIGKILL by pidfd, wait (on the loop, not blocking) until they are gone from /proc or
 * the deadline; answers EVENT_KILLED. */
void guest_io_act(struct guest_io *io, const struct action *action);

/* Kills under way are answered no more. NULL is fine. */
void guest_io_close(struct guest_io *io);

#endif
