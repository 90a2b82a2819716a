/* Connections and frames of the local socket. */
#define _GNU_SOURCE /* accept4 */
#include "agent/socket_io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/journal_io.h"
#include "agent/tick_io.h"
#include "proto/assert.h"
#include "proto/clock_io.h"

#define BACKLOG 512
#define EVENTS_PER_DISPATCH 8  /* each: one request at most */
#define ACCEPTS_PER_DISPATCH 8 /* each: one look at who it is */
#define SWEEP_NS 500000000ull
#define COMPLAIN_MS 10000 /* between two lines about refused connections */
#define SEND_BYTES 65536  /* of a reply that the kernel may hold for a slow reader */
#define REFUSAL_BYTES 512

const struct socket_deadlines socket_deadlines_usual = {
    .frame_ms = 10000, .reply_ms = 10000, .idle_ms = 600000};

enum client_state { CLIENT_FREE, CLIENT_READING, CLIENT_SERVED, CLIENT_WRITING };

struct socket_client {
    struct socket_io *io;
    enum client_state state;
    int fd;
    uint32_t life; /* how often this place was used: tells late events apart */
    uint32_t events;
    struct peer_user peer;
    uint64_t deadline_ms; /* SERVED: none, the service has its own */
    uint8_t head[CONTROL_HEAD_BYTES];
    uint8_t *bytes; /* the frame being read or written; NULL: none */
    size_t size;
    size_t done;
};

struct socket_io {
    qb_loop_t *loop;
    struct tick tick;
    int epoll;
    int listener;
    int spare; /* given up to refuse a connection when there is no descriptor left */
    bool listening;
    struct socket_deadlines deadlines;
    struct socket_service service;
    struct peer_groups groups;
    uint32_t count;
    size_t buffered;
    uint64_t complain_ms; /* not before */
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    struct socket_client clients[SOCKET_CLIENTS_MAX];
};

#define LISTENER UINT32_MAX /* its place, in epoll's data */

static uint64_t epoll_key(uint32_t place, uint32_t life)
{
    return (uint64_t)life << 32 | place;
}

/* ---- one connection's memory and interest */

static bool buffer_take(struct socket_client *client, size_t size)
{
    struct socket_io *io = client->io;
    ASSERT(client->bytes == NULL);
    if (io->buffered + size > SOCKET_BUFFERS_BYTES_MAX) {
        return false;
    }
    client->bytes = malloc(size);
    if (client->bytes == NULL) {
        return false;
    }
    client->size = size;
    io->buffered += size;
    return true;
}

static void buffer_drop(struct socket_client *client)
{
    if (client->bytes != NULL) {
        ASSERT(client->io->buffered >= client->size);
        client->io->buffered -= client->size;
        free(client->bytes);
        client->bytes = NULL;
    }
    client->size = 0;
    client->done = 0;
}

static void close_client(struct socket_client *client)
{
    struct socket_io *io = client->io;
    ASSERT(client->state != CLIENT_FREE && io->count > 0);
    buffer_drop(client);
    close(client->fd); /* epoll forgets it with that */
    client->state = CLIENT_FREE;
    client->fd = -1;
    client->life++;
    io->count--;
    io->service.gone(io->service.context, client);
}

/* The one mover of a connection that lives on. A hang-up is told whatever is asked for. */
static void move(struct socket_client *client, enum client_state state, uint64_t deadline_ms)
{
    static const uint32_t events[] = {
        [CLIENT_READING] = EPOLLIN, [CLIENT_SERVED] = 0, [CLIENT_WRITING] = EPOLLOUT};
    const uint32_t place = (uint32_t)(client - client->io->clients);
    struct epoll_event event = {.events = events[state]};
    ASSERT(state != CLIENT_FREE && client->state != CLIENT_FREE);
    event.data.u64 = epoll_key(place, client->life);
    client->state = state;
    client->deadline_ms = deadline_ms;
    if (client->events != event.events) {
        client->events = event.events;
        (void)epoll_ctl(client->io->epoll, EPOLL_CTL_MOD, client->fd, &event);
    }
}

static void await_request(struct socket_client *client)
{
    buffer_drop(client);
    move(client, CLIENT_READING, clock_io_boot_ms() + client->io->deadlines.idle_ms);
}

/* ---- out */

/* What the kernel takes at once; the rest when it has room. */
static void send_more(struct socket_client *client)
{
    ASSERT(client->state == CLIENT_WRITING && client->done < client->size);
    ssize_t sent = send(client->fd, client->bytes + client->done, client->size - client->done,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        close_client(client);
        return;
    }
    client->done += sent > 0 ? (size_t)sent : 0;
    if (client->done == client->size) {
        await_request(client);
    }
}

void socket_io_reply(struct socket_client *client, const uint8_t *frame, size_t size)
{
    ASSERT(client->state == CLIENT_SERVED);
    ASSERT(size > CONTROL_HEAD_BYTES);
    if (!buffer_take(client, size)) { /* slow readers hold it all; better gone than silent */
        close_client(client);
        return;
    }
    memcpy(client->bytes, frame, size);
    move(client, CLIENT_WRITING, clock_io_boot_ms() + client->io->deadlines.reply_ms);
    send_more(client);
}

/* To one who gets no connection, or loses it for what it sent. Fits into any socket's buffer, or is
 * lost. */
static void send_refusal(int fd, const char *text)
{
    uint8_t frame[REFUSAL_BYTES];
    size_t size = 0;
    int r = control_pack_refusal(text, frame, sizeof(frame), &size);
    ASSERT(r == 0);
    (void)send(fd, frame, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void refuse_client(struct socket_client *client, const char *text)
{
    send_refusal(client->fd, text);
    close_client(client);
}

/* ---- in */

static void take_request(struct socket_client *client)
{
    struct socket_io *io = client->io;
    uint8_t *frame = client->bytes;
    const size_t size = client->size;
    client->bytes = NULL; /* the reply may be given within take() */
    io->buffered -= size;
    client->size = 0;
    client->done = 0;
    move(client, CLIENT_SERVED, UINT64_MAX);
    io->service.take(io->service.context, client, frame, size);
    free(frame);
}

static bool head_read(struct socket_client *client)
{
    const bool asks = client->peer.access == PEER_ASKS;
    size_t size = 0;
    if (control_frame_size(client->head, asks ? SOCKET_ASK_BYTES_MAX : CONTROL_BYTES_MAX, &size) <
        0) {
        refuse_client(client, "the agent could not make sense of the request: its length is wrong");
    } else if (!buffer_take(client, size)) {
        refuse_client(client, "too many large requests at a time: try again");
    } else {
        memcpy(client->bytes, client->head, CONTROL_HEAD_BYTES);
        client->done = CONTROL_HEAD_BYTES;
        return true;
    }
    return false;
}

/* Never reads beyond the frame: what a client sends ahead stays in its own send buffer. False:
 * there is no more to do now. */
static bool read_part(struct socket_client *client)
{
    const bool first = client->done == 0;
    const bool head = client->bytes == NULL;
    uint8_t *to = head ? client->head : client->bytes;
    const size_t whole = head ? CONTROL_HEAD_BYTES : client->size;
    ssize_t got = recv(client->fd, to + client->done, whole - client->done, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (got <= 0) {
        close_client(client);
        return false;
    }
    client->done += (size_t)got;
    if (first) {
        client->deadline_ms = clock_io_boot_ms() + client->io->deadlines.frame_ms;
    }
    if (client->done < whole) {
        return false;
    }
    if (head) {
        return head_read(client);
    }
    take_request(client);
    return false;
}

static void read_more(struct socket_client *client)
{
    if (read_part(client)) {
        (void)read_part(client); /* head, then body: bounded */
    }
}

/* ---- who comes */

static uint32_t room_for(enum peer_access access)
{
    static const uint32_t room[PEER_ACCESS_COUNT] = {[PEER_STRANGER] = 0,
                                                     [PEER_ASKS] = SOCKET_ASKS_MAX,
                                                     [PEER_OPERATES] = SOCKET_OPERATES_MAX,
                                                     [PEER_IS_ROOT] = SOCKET_CLIENTS_MAX};
    return room[access];
}

static void refuse_connection(struct socket_io *io, int fd, const struct peer_user *peer,
                              const char *text)
{
    const uint64_t now_ms = clock_io_boot_ms();
    send_refusal(fd, text);
    close(fd);
    if (now_ms >= io->complain_ms) { /* a flood must not fill the journal */
        io->complain_ms = now_ms + COMPLAIN_MS;
        journal_io_say(LOG_NOTICE, "refused a connection of uid %d: %s",
                       peer != NULL ? (int)peer->uid : -1, text);
    }
}

static struct socket_client *free_place(struct socket_io *io)
{
    for (uint32_t i = 0; i < SOCKET_CLIENTS_MAX; i++) {
        if (io->clients[i].state == CLIENT_FREE) {
            return &io->clients[i];
        }
    }
    return NULL;
}

static bool begin_client(struct socket_io *io, int fd, const struct peer_user *peer)
{
    struct socket_client *client = free_place(io);
    const int send_bytes = SEND_BYTES;
    ASSERT(client != NULL);
    const uint32_t place = (uint32_t)(client - io->clients);
    struct epoll_event event = {.events = EPOLLIN};
    event.data.u64 = epoll_key(place, client->life);
    if (epoll_ctl(io->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        return false;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes));
    client->io = io;
    client->fd = fd;
    client->events = event.events;
    client->peer = *peer;
    client->state = CLIENT_READING;
    client->deadline_ms = clock_io_boot_ms() + io->deadlines.idle_ms;
    io->count++;
    return true;
}

static void admit(struct socket_io *io, int fd)
{
    struct peer_user peer = {.uid = 0};
    char text[TEXT_BYTES];
    if (peer_io_read(fd, &io->groups, &peer) < 0) {
        close(fd);
    } else if (peer.access == PEER_STRANGER) {
        snprintf(text, sizeof(text),
                 "only root and members of the group " PEER_GROUP " may talk to the agent, and "
                 "those of " PEER_ASK_GROUP " may ask; this is uid %u",
                 peer.uid);
        refuse_connection(io, fd, &peer, text);
    } else if (io->count >= room_for(peer.access)) {
        snprintf(text, sizeof(text), "the agent has %u connections, no more for you: try again",
                 io->count);
        refuse_connection(io, fd, &peer, text);
    } else if (!begin_client(io, fd, &peer)) {
        refuse_connection(io, fd, &peer, "the agent is out of memory: try again");
    }
}

/* ---- the listener, also without a descriptor left */

static void listen_again(struct socket_io *io)
{
    struct epoll_event event = {.events = EPOLLIN};
    event.data.u64 = LISTENER;
    if (io->spare < 0) {
        io->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    if (!io->listening && io->spare >= 0) {
        io->listening = epoll_ctl(io->epoll, EPOLL_CTL_ADD, io->listener, &event) == 0;
    }
}

/* Until the next sweep: what waits would only be told again. */
static void listen_later(struct socket_io *io)
{
    if (io->listening) {
        (void)epoll_ctl(io->epoll, EPOLL_CTL_DEL, io->listener, NULL);
        io->listening = false;
    }
}

static void refuse_for_want_of_fds(struct socket_io *io)
{
    close(io->spare);
    int fd = accept4(io->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        refuse_connection(io, fd, NULL, "the agent is out of file descriptors: try again");
    }
    io->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (io->spare < 0 || fd < 0) {
        listen_later(io);
    }
}

static void accept_some(struct socket_io *io)
{
    for (int i = 0; i < ACCEPTS_PER_DISPATCH && io->listening; i++) {
        int fd = accept4(io->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(io, fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EMFILE) {
            refuse_for_want_of_fds(io);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            listen_later(io); /* the system is out of something */
        }
    }
}

/* ---- the loop */

static void handle(struct socket_io *io, const struct epoll_event *event)
{
    const uint32_t place = (uint32_t)event->data.u64;
    if (place == LISTENER) {
        accept_some(io);
        return;
    }
    ASSERT(place < SOCKET_CLIENTS_MAX);
    struct socket_client *client = &io->clients[place];
    if (client->state == CLIENT_FREE || client->life != (uint32_t)(event->data.u64 >> 32)) {
        return; /* closed by what came before it in this round */
    }
    if (client->state == CLIENT_READING) {
        read_more(client);
    } else if (client->state == CLIENT_WRITING) {
        send_more(client);
    } else if ((event->events & (EPOLLHUP | EPOLLERR)) != 0) {
        close_client(client);
    }
}

static int32_t dispatch(int32_t fd, int32_t revents, void *context)
{
    struct socket_io *io = context;
    struct epoll_event events[EVENTS_PER_DISPATCH];
    (void)revents;
    int count = epoll_wait(fd, events, EVENTS_PER_DISPATCH, 0);
    for (int i = 0; i < count; i++) {
        handle(io, &events[i]);
    }
    return 0;
}

static void sweep(void *context)
{
    struct socket_io *io = context;
    const uint64_t now_ms = clock_io_boot_ms();
    for (uint32_t i = 0; i < SOCKET_CLIENTS_MAX && io->count > 0; i++) {
        struct socket_client *client = &io->clients[i];
        if (client->state != CLIENT_FREE && now_ms >= client->deadline_ms) {
            close_client(client);
        }
    }
    listen_again(io);
}

/* ---- open and close */

/* Everybody may connect: who may speak is decided by the kernel's word on who they are. */
static int bind_path(struct socket_io *io, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    memcpy(io->path, path, strlen(path) + 1);
    if (unlink(path) < 0 && errno != ENOENT) {
        return -errno;
    }
    if (bind(io->listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(path, 0666) < 0 || listen(io->listener, BACKLOG) < 0) {
        return -errno;
    }
    return 0;
}

static int open_descriptors(struct socket_io *io)
{
    io->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    io->epoll = epoll_create1(EPOLL_CLOEXEC);
    return io->listener < 0 || io->epoll < 0 ? -errno : 0;
}

int socket_io_open(qb_loop_t *loop, const char *path, const struct socket_deadlines *deadlines,
                   const struct socket_service *service, struct socket_io **ret_socket)
{
    struct socket_io *io = calloc(1, sizeof(*io));
    if (io == NULL) {
        return -ENOMEM;
    }
    io->loop = loop;
    io->deadlines = *deadlines;
    io->service = *service;
    io->spare = -1;
    int r = open_descriptors(io);
    if (r == 0) {
        r = bind_path(io, path);
    }
    if (r == 0) {
        r = qb_loop_poll_add(loop, QB_LOOP_LOW, io->epoll, POLLIN, io, dispatch);
    }
    if (r == 0) {
        r = tick_io_begin(&io->tick, loop, QB_LOOP_LOW, SWEEP_NS, sweep, io);
    }
    if (r < 0) {
        return r; /* the process ends now */
    }
    sweep(io);
    *ret_socket = io;
    return 0;
}

const struct peer_user *socket_io_peer(const struct socket_client *client)
{
    ASSERT(client->state != CLIENT_FREE);
    return &client->peer;
}

void socket_io_close(struct socket_io *io)
{
    (void)qb_loop_poll_del(io->loop, io->epoll);
    tick_io_end(&io->tick);
    for (uint32_t i = 0; i < SOCKET_CLIENTS_MAX; i++) {
        if (io->clients[i].state != CLIENT_FREE) {
            buffer_drop(&io->clients[i]);
            close(io->clients[i].fd);
        }
    }
    (void)unlink(io->path);
    close(io->listener);
    close(io->spare);
    close(io->epoll);
    free(io);
}
