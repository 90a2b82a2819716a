/* The Corosync edge, loop side: deliver, send, ring, reconnect. */
#include "agent/corosync_io.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "agent/corosync_link_io.h"
#include "agent/journal_io.h"
#include "agent/outbox_io.h"
#include "agent/tick_io.h"
#include "proto/assert.h"
#include "proto/wire_io.h"

#define RETRY_MS 10   /* after "try again" */
#define CHECK_MS 5000 /* between two looks at Corosync's settings */
#define MS_NS 1000000ull

struct corosync_io {
    qb_loop_t *loop;
    struct corosync_watcher watcher;
    struct sink sink;
    struct corosync_link *link;
    struct link_state state; /* of the present or last connection */
    bool up;
    struct event_ring ring; /* as last told */
    struct outbox outbox;
    qb_loop_timer_handle retry;
    struct tick check;
    bool retrying;
    uint32_t garbled_count; /* peers whose undecodable message was logged */
    uint32_t garbled[NODES_MAX];
    struct wire_message message; /* the one being delivered: too large for the stack */
    uint8_t buffer[WIRE_BYTES_MAX];
};

static void tell_ring(struct corosync_io *io)
{
    struct event event = {.kind = EVENT_RING, .ring = io->ring};
    sink_put(&io->sink, &event);
}

/* libcfg's callback gets no context. It is called from within on_cfg() and from nowhere else. */
static struct corosync_io *dispatching;

static void tell_leaving(struct corosync_io *io, enum leaving why, bool forced)
{
    struct event event = {.kind = EVENT_LEAVING, .leaving = {.why = why, .forced = forced}};
    sink_put(&io->sink, &event);
}

/* Without Corosync we know of nobody but ourselves. */
static void lose(struct corosync_io *io)
{
    if (!io->up) {
        return;
    }
    journal_io_say(LOG_WARNING, "Corosync is gone; guests run on, connecting again");
    io->up = false;
    qb_loop_poll_del(io->loop, io->state.cpg_fd);
    qb_loop_poll_del(io->loop, io->state.votes_fd);
    qb_loop_poll_del(io->loop, io->state.cfg_fd);
    outbox_clear(&io->outbox);
    corosync_link_order(io->link, LINK_CONNECT);
    io->ring.away = true;
    io->ring.quorate = false;
    io->ring.count = 1;
    io->ring.nodeids[0] = io->state.nodeid;
    tell_ring(io);
    tell_leaving(io, LEAVING_NOT, false);
}

/* ---- what arrives */

static void complain_once(struct corosync_io *io, uint32_t nodeid, const char *why)
{
    for (uint32_t i = 0; i < io->garbled_count; i++) {
        if (io->garbled[i] == nodeid) {
            return;
        }
    }
    if (io->garbled_count < NODES_MAX) {
        io->garbled[io->garbled_count++] = nodeid;
        journal_io_say(LOG_WARNING, "node %u: %s; its like is dropped without a word", nodeid, why);
    }
}

static void deliver(cpg_handle_t handle, const struct cpg_name *group, uint32_t nodeid,
                    uint32_t pid, void *data, size_t size)
{
    void *context = NULL;
    (void)group;
    (void)pid;
    if (cpg_context_get(handle, &context) != CS_OK || context == NULL) {
        return;
    }
    struct corosync_io *io = context;
    if (wire_unpack_message(data, size, &io->message) < 0) {
        complain_once(io, nodeid, "a message that cannot be read");
        return;
    }
    struct event event = {.kind = EVENT_KIND_COUNT};
    switch (io->message.kind) {
    case MESSAGE_BEAT:
        event.kind = EVENT_BEAT;
        event.beat = &io->message.beat;
        if (io->message.beat.nodeid != nodeid) {
            complain_once(io, nodeid, "a heartbeat in another node's name");
            return;
        }
        break;
    case MESSAGE_DELTA:
        event.kind = EVENT_DELTA;
        event.delta = &io->message.delta;
        break;
    case MESSAGE_REQUEST:
        event.kind = EVENT_REQUEST;
        event.request = &io->message.request;
        break;
    case MESSAGE_REPLY:
        event.kind = EVENT_REPLY;
        event.reply = io->message.reply;
        break;
    case MESSAGE_NONE:
        return;
    }
    sink_put(&io->sink, &event);
}

/* A peer's agent ended. Its node going down is told by the ring, not here. */
static void members_changed(cpg_handle_t handle, const struct cpg_name *group,
                            const struct cpg_address *members, size_t member_count,
                            const struct cpg_address *left, size_t left_count,
                            const struct cpg_address *joined, size_t joined_count)
{
    void *context = NULL;
    (void)group;
    (void)members;
    (void)member_count;
    (void)joined;
    (void)joined_count;
    if (cpg_context_get(handle, &context) != CS_OK || context == NULL) {
        return;
    }
    struct corosync_io *io = context;
    for (size_t i = 0; i < left_count; i++) {
        bool agent_ended =
            left[i].reason == CPG_REASON_LEAVE || left[i].reason == CPG_REASON_PROCDOWN;
        if (agent_ended && left[i].nodeid != io->state.nodeid) {
            struct event event = {.kind = EVENT_PEER_LEFT, .nodeid = left[i].nodeid};
            sink_put(&io->sink, &event);
        }
    }
}

static void quorum_changed(quorum_handle_t handle, uint32_t quorate, struct quorum_ring_id ring,
                           uint32_t member_count, const uint32_t *members)
{
    const void *context = NULL;
    (void)ring;
    if (quorum_context_get(handle, &context) != CS_OK || context == NULL) {
        return;
    }
    struct corosync_io *io = (struct corosync_io *)(uintptr_t)context;
    if (member_count > NODES_MAX) {
        journal_io_say(LOG_ERR, "the ring has %u members, more than %d: not quorate for stead",
                       member_count, NODES_MAX);
        member_count = NODES_MAX;
        quorate = 0;
    }
    io->ring.quorate = quorate != 0;
    io->ring.quorum = io->state.quorum;
    io->ring.tie = io->state.tie;
    io->ring.detect_ms = io->state.detect_ms;
    io->ring.away = false;
    io->ring.count = member_count;
    memcpy(io->ring.nodeids, members, member_count * sizeof(members[0]));
    memcpy(io->ring.cluster, io->state.cluster, sizeof(io->ring.cluster));
    tell_ring(io);
    corosync_link_order(io->link, LINK_CHECK); /* votes may have changed with the ring */
}

static int32_t on_cpg(int32_t fd, int32_t revents, void *context)
{
    struct corosync_io *io = context;
    (void)fd;
    cs_error_t error = cpg_dispatch(io->state.cpg, CS_DISPATCH_ALL);
    if ((error != CS_OK && error != CS_ERR_TRY_AGAIN) || (revents & (POLLHUP | POLLERR)) != 0) {
        lose(io);
    }
    return 0;
}

static int32_t on_votes(int32_t fd, int32_t revents, void *context)
{
    struct corosync_io *io = context;
    (void)fd;
    cs_error_t error = quorum_dispatch(io->state.votes, CS_DISPATCH_ALL);
    if ((error != CS_OK && error != CS_ERR_TRY_AGAIN) || (revents & (POLLHUP | POLLERR)) != 0) {
        lose(io);
    }
    return 0;
}

/* Debian's unit stops Corosync with `corosync-cfgtool -H --force`: it tells its clients, and waits
 * for their answers up to cfg.shutdown_timeout (5 s). */
static void shutdown_asked(corosync_cfg_handle_t handle, corosync_cfg_shutdown_flags_t flags)
{
    (void)handle;
    if (dispatching != NULL) {
        journal_io_say(LOG_NOTICE, "Corosync is being stopped: asking the others for leave");
        tell_leaving(dispatching, LEAVING_RING, flags != COROSYNC_CFG_SHUTDOWN_FLAG_REQUEST);
    }
}

static int32_t on_cfg(int32_t fd, int32_t revents, void *context)
{
    struct corosync_io *io = context;
    (void)fd;
    dispatching = io;
    cs_error_t error = corosync_cfg_dispatch(io->state.cfg, CS_DISPATCH_ALL);
    dispatching = NULL;
    if ((error != CS_OK && error != CS_ERR_TRY_AGAIN) || (revents & (POLLHUP | POLLERR)) != 0) {
        lose(io);
    }
    return 0;
}

/* ---- what leaves */

static cs_error_t send_now(struct corosync_io *io, const uint8_t *data, size_t size)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    return cpg_mcast_joined(io->state.cpg, CPG_TYPE_AGREED, &part, 1);
}

static void empty_outbox(void *context)
{
    struct corosync_io *io = context;
    io->retrying = false;
    while (io->up && io->outbox.count > 0) {
        const struct outbox_message *first = &io->outbox.messages[0];
        if (send_now(io, first->data, first->size) == CS_ERR_TRY_AGAIN) {
            io->retrying = qb_loop_timer_add(io->loop, QB_LOOP_HIGH, RETRY_MS * MS_NS, io,
                                             empty_outbox, &io->retry) == 0;
            return;
        }
        outbox_drop_first(&io->outbox);
    }
}

static void send_or_keep(struct corosync_io *io, size_t size, bool beat)
{
    if (!io->up) {
        return;
    }
    if (io->outbox.count == 0 && send_now(io, io->buffer, size) != CS_ERR_TRY_AGAIN) {
        return; /* sent, or the connection is broken and its dispatch will say so */
    }
    if (outbox_put(&io->outbox, io->buffer, size, beat) == 0 && !io->retrying) {
        empty_outbox(io);
    }
}

void corosync_io_act(struct corosync_io *io, const struct action *action, const struct actions *out)
{
    size_t size = 0;
    int r = -EINVAL;
    if (action->kind == ACTION_SEND_BEAT) {
        r = wire_pack_beat(out->beat, io->buffer, sizeof(io->buffer), &size);
    } else if (action->kind == ACTION_SEND_DELTA) {
        r = wire_pack_delta(out->committed, io->buffer, sizeof(io->buffer), &size);
    } else if (action->kind == ACTION_SEND_REQUEST) {
        r = wire_pack_request(&action->request, io->buffer, sizeof(io->buffer), &size);
    } else if (action->kind == ACTION_SEND_REPLY) {
        r = wire_pack_reply(&action->reply, io->buffer, sizeof(io->buffer), &size);
    }
    ASSERT(r == 0); /* the core's own values always fit */
    send_or_keep(io, size, action->kind == ACTION_SEND_BEAT);
}

/* ---- the connection */

static void connected(struct corosync_io *io)
{
    io->up = true;
    io->garbled_count = 0;
    journal_io_say(LOG_NOTICE, "connected to Corosync as node %u", io->state.nodeid);
    int r = qb_loop_poll_add(io->loop, QB_LOOP_HIGH, io->state.votes_fd, POLLIN, io, on_votes);
    ASSERT(r == 0);
    r = qb_loop_poll_add(io->loop, QB_LOOP_HIGH, io->state.cpg_fd, POLLIN, io, on_cpg);
    ASSERT(r == 0);
    r = qb_loop_poll_add(io->loop, QB_LOOP_HIGH, io->state.cfg_fd, POLLIN, io, on_cfg);
    ASSERT(r == 0);
    io->watcher.connected(io->watcher.context, io->state.nodeid, io->state.name);
}

static void take_checked(struct corosync_io *io, const struct link_state *news)
{
    io->state.quorum = news->quorum;
    io->state.detect_ms = news->detect_ms;
    io->state.tie = news->tie;
    bool same = io->ring.quorum == news->quorum && io->ring.detect_ms == news->detect_ms &&
                io->ring.tie == news->tie;
    if (io->up && io->ring.count > 0 && !same) {
        io->ring.quorum = news->quorum;
        io->ring.tie = news->tie;
        io->ring.detect_ms = news->detect_ms;
        tell_ring(io);
    }
}

static int32_t on_link(int32_t fd, int32_t revents, void *context)
{
    struct corosync_io *io = context;
    struct link_state news;
    (void)fd;
    (void)revents;
    corosync_link_fetch(io->link, &news);
    if ((news.news & LINK_REFUSED) != 0) {
        lose(io);
        io->watcher.refused(io->watcher.context, news.text);
    }
    if ((news.news & LINK_UP) != 0) {
        io->state = news;
        connected(io);
    }
    if ((news.news & LINK_CHECKED) != 0) {
        take_checked(io, &news);
    }
    if ((news.news & LINK_LEFT) != 0) {
        io->watcher.left(io->watcher.context);
    }
    return 0;
}

static void on_check(void *context)
{
    struct corosync_io *io = context;
    corosync_link_order(io->link, LINK_CHECK);
}

void corosync_io_let_go(struct corosync_io *io, bool agreed)
{
    corosync_link_order(io->link, agreed ? LINK_AGREE : LINK_OBJECT);
}

void corosync_io_expect(struct corosync_io *io, uint32_t votes)
{
    corosync_link_expect(io->link, votes);
}

void corosync_io_leave(struct corosync_io *io)
{
    if (io->up) {
        io->up = false;
        qb_loop_poll_del(io->loop, io->state.cpg_fd);
        qb_loop_poll_del(io->loop, io->state.votes_fd);
        qb_loop_poll_del(io->loop, io->state.cfg_fd);
    }
    corosync_link_order(io->link, LINK_LEAVE);
}

int corosync_io_open(qb_loop_t *loop, const struct corosync_watcher *watcher,
                     const struct sink *sink, struct corosync_io **ret_io)
{
    struct corosync_io *io = calloc(1, sizeof(*io));
    int fd = -1;
    if (io == NULL) {
        return -ENOMEM;
    }
    io->loop = loop;
    io->watcher = *watcher;
    io->sink = *sink;
    struct link_callbacks callbacks = {
        .cpg = {.model = CPG_MODEL_V1,
                .cpg_deliver_fn = deliver,
                .cpg_confchg_fn = members_changed},
        .votes = {.model = QUORUM_MODEL_V1, .quorum_notify_fn = quorum_changed},
        .cfg = {.corosync_cfg_shutdown_callback = shutdown_asked},
        .context = io,
    };
    int r = corosync_link_open(&callbacks, &fd, &io->link);
    if (r < 0) {
        free(io);
        return r;
    }
    r = qb_loop_poll_add(loop, QB_LOOP_HIGH, fd, POLLIN, io, on_link);
    if (r == 0) {
        r = tick_io_begin(&io->check, loop, QB_LOOP_LOW, CHECK_MS * MS_NS, on_check, io);
    }
    if (r < 0) {
        return r; /* the thread holds on to `io`; the process ends now */
    }
    corosync_link_order(io->link, LINK_CONNECT);
    on_check(io);
    *ret_io = io;
    return 0;
}
