/*
 * The Corosync edge: the CPG group "stead" carries our messages, quorum and ring come as
 * EVENT_RING, and its wish to end (corosync-cfgtool -H, as its unit stops it) as EVENT_LEAVING.
 * When Corosync goes away the agent lives on, alone and without quorum, and the edge comes back by
 * itself.
 */
#ifndef STEAD_AGENT_COROSYNC_IO_H
#define STEAD_AGENT_COROSYNC_IO_H

#include <qb/qbloop.h>

#include "proto/action.h"
#include "proto/sink.h"

struct corosync_io;

/* Called on the loop, before any event of that connection. */
struct corosync_watcher {
    /* Connected, the first time or again. `name` is ours in the nodelist; empty: none there. */
    void (*connected)(void *context, uint32_t nodeid, const char *name);
    /* A setting of corosync.conf is refused; tried again every 2 s. */
    void (*refused)(void *context, const char *text);
    /* Answers corosync_io_leave(). */
    void (*left)(void *context);
    void *context;
};

/* Begins to connect, in a thread, and goes on until it is; `watcher` is copied. 0 or -errno. There
 * is no close: see corosync_link_io.h. */
int corosync_io_open(qb_loop_t *loop, const struct corosync_watcher *watcher,
                     const struct sink *sink, struct corosync_io **ret_io);

/* ACTION_SEND_BEAT, _DELTA, _REQUEST, _REPLY. Never blocks; what Corosync does not take now waits
 * in a short queue, where a beat is replaced by the next. Without a connection it is dropped: the
 * core repeats what matters. */
void corosync_io_act(struct corosync_io *io, const struct action *action,
                     const struct actions *out);

/* ACTION_LET_GO: answers Corosync's question whether it may end. Never blocks. */
void corosync_io_let_go(struct corosync_io *io, bool agreed);

/* ACTION_EXPECT_VOTES. Never blocks. */
void corosync_io_expect(struct corosync_io *io, uint32_t votes);

/* Leaves the group; `left` may never come if Corosync hangs. */
void corosync_io_leave(struct corosync_io *io);

#endif
