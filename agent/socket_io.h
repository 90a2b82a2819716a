/*
 * The local socket's transport: a Unix stream socket on the main loop, frames of control_io.h in
 * and out. Everybody may connect; who is neither root nor in one of the two groups is told so and
 * sent away. All that a client can make us hold is bounded, and so is how long and how much of the
 * loop's time; see the numbers below and docs/decisions/0018-own-control-socket.md.
 *
 * One request at a time per connection: the next frame is read when the reply to the last has gone
 * out. The connections have an epoll of their own, which is one descriptor to the main loop, at low
 * priority: however many clients talk at once, what a node must do goes first.
 */
#ifndef STEAD_AGENT_SOCKET_IO_H
#define STEAD_AGENT_SOCKET_IO_H

#include <qb/qbloop.h>
#include <stddef.h>

#include "agent/peer_io.h"
#include "proto/control_io.h"

/* How many connections there may be when one more comes from each kind of peer: who may do less
 * leaves room for who may do more, so that none of them can lock out the others. */
#define SOCKET_ASKS_MAX 256
#define SOCKET_OPERATES_MAX 288
#define SOCKET_CLIENTS_MAX 320                     /* root */
#define SOCKET_ASK_BYTES_MAX 4096                  /* the largest frame of those who only ask */
#define SOCKET_BUFFERS_BYTES_MAX (8 * 1024 * 1024) /* all frames being read or written */

/* When a connection is closed. */
struct socket_deadlines {
    uint32_t frame_ms; /* after a frame's first byte, if its last did not come */
    uint32_t reply_ms; /* after a reply was given, if it was not read */
    uint32_t idle_ms;  /* without a request */
};
extern const struct socket_deadlines socket_deadlines_usual;

struct socket_io;
struct socket_client;

/* What takes the requests. Both run on the main loop. */
struct socket_service {
    /* A whole frame, checked for nothing but its length; valid during the call. To be answered by
     * exactly one socket_io_reply(), now or later, unless `gone` comes first. */
    void (*take)(void *context, struct socket_client *client, const uint8_t *frame, size_t size);
    /* The client is no more. */
    void (*gone)(void *context, struct socket_client *client);
    void *context;
};

/* Takes the path over from whatever lay there (the caller holds the lock that makes it the only
 * agent). 0 or -errno. */
int socket_io_open(qb_loop_t *loop, const char *path, const struct socket_deadlines *deadlines,
                   const struct socket_service *service, struct socket_io **ret_socket);

/* Who it is; lent as long as it is connected. */
const struct peer_user *socket_io_peer(const struct socket_client *client);

/* The one reply, a whole frame; copied. The client may be gone when this returns. */
void socket_io_reply(struct socket_client *client, const uint8_t *frame, size_t size);

/* Closes every connection, without `gone`, and removes the path. */
void socket_io_close(struct socket_io *socket);

#endif
