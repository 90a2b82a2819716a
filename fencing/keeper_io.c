/*
 * A vouch that cannot be sent is dropped: the next one follows within a heartbeat, and a keeper
 * that hears none lets this host be reset, as it should.
 */
#include "fencing/keeper_io.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fencing/keeper.h"

struct keeper_io {
    qb_loop_t *loop;
    struct sink sink;
    struct keeper_options options;
    int fd; /* -1: no keeper */
};

static void tell(struct keeper_io *io, const struct keeper_report *report, const char *trouble)
{
    struct event event = {.kind = EVENT_KEEPER};
    event.keeper.armed = report != NULL && keeper_guards(report->state);
    event.keeper.timeout_ms = event.keeper.armed ? report->timeout_ms : 0;
    snprintf(event.keeper.identity, sizeof(event.keeper.identity), "%s",
             event.keeper.armed ? report->identity : "");
    snprintf(event.keeper.trouble, sizeof(event.keeper.trouble), "%s", trouble);
    sink_put(&io->sink, &event);
}

static void hang_up(struct keeper_io *io, const char *trouble)
{
    (void)qb_loop_poll_del(io->loop, io->fd);
    close(io->fd);
    io->fd = -1;
    tell(io, NULL, trouble);
}

/* What it says itself, or that the proof which rests on it may have come too early. */
static void tell_report(struct keeper_io *io, const struct keeper_report *report)
{
    char text[TEXT_BYTES];
    snprintf(text, sizeof(text), "%s", report->trouble);
    if (text[0] == '\0' && keeper_is_late(report->late_ms)) {
        snprintf(text, sizeof(text),
                 "its watchdog was fed %u ms late (%s), and others rest on %u ms at most: is the "
                 "host, or its BMC, overloaded?",
                 report->late_ms, report->device, keeper_feed_ms(KEEPER_TIMEOUT_MAX_MS));
    }
    tell(io, report, text);
}

static int32_t on_report(int32_t fd, int32_t revents, void *context)
{
    struct keeper_io *io = context;
    struct keeper_report report;
    (void)revents;
    ssize_t length = recv(fd, &report, sizeof(report), MSG_DONTWAIT | MSG_TRUNC);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    if (length != (ssize_t)sizeof(report)) {
        hang_up(io, "stead-keeper ended: journalctl -u stead-keeper");
    } else if (!keeper_report_ok(&report)) {
        hang_up(io, "stead-keeper is not of this release: systemctl restart stead-keeper");
    } else {
        tell_report(io, &report);
    }
    return 0;
}

/* A local connect() is done at once or not at all. */
static int reach(struct keeper_io *io)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (io->fd >= 0) {
        return 0;
    }
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", io->options.socket);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    int r = qb_loop_poll_add(io->loop, QB_LOOP_HIGH, fd, POLLIN, io, on_report);
    if (r < 0) {
        close(fd);
        return r;
    }
    io->fd = fd;
    return 0;
}

static void send_order(struct keeper_io *io, const struct keeper_order *order)
{
    ssize_t sent = send(io->fd, order, sizeof(*order), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        hang_up(io, "stead-keeper ended: journalctl -u stead-keeper");
    }
}

void keeper_io_act(struct keeper_io *io, const struct action *action)
{
    struct keeper_order order = {.magic = KEEPER_MAGIC};
    if (action->kind == ACTION_VOUCH) {
        order.kind = KEEPER_VOUCH;
        order.until_ms = action->keeper.until_ms;
    } else if (action->kind == ACTION_KEEPER_DISARM) {
        order.kind = KEEPER_DISARM;
    } else {
        order.kind = KEEPER_ARM;
        order.timeout_ms = action->keeper.timeout_ms;
        order.softdog = io->options.softdog;
        snprintf(order.device, sizeof(order.device), "%s", io->options.device);
    }
    bool arming = order.kind == KEEPER_ARM;
    int r = arming ? reach(io) : 0;
    if (r < 0) {
        char text[TEXT_BYTES];
        snprintf(text, sizeof(text),
                 "its watchdog is not armed, stead-keeper does not answer (%s): systemctl enable "
                 "--now stead-keeper",
                 strerror(-r));
        tell(io, NULL, text);
    } else if (io->fd >= 0) {
        send_order(io, &order);
    }
}

int keeper_io_open(qb_loop_t *loop, const struct keeper_options *options, const struct sink *sink,
                   struct keeper_io **ret_io)
{
    struct keeper_io *io = calloc(1, sizeof(*io));
    if (io == NULL) {
        return -ENOMEM;
    }
    io->loop = loop;
    io->sink = *sink;
    io->options = *options;
    io->fd = -1;
    (void)reach(io);
    *ret_io = io;
    return 0;
}

void keeper_io_close(struct keeper_io *io)
{
    if (io != NULL && io->fd >= 0) {
        (void)qb_loop_poll_del(io->loop, io->fd);
        close(io->fd);
    }
    free(io);
}
