/*
 * The local socket's service: each request gets one reply, from the copy of the state or, for a
 * command, once it is committed or refused. root and members of the group `stead` may do
 * everything, members of `stead-view` may ask; socket_io.h says what a client can make the agent
 * hold.
 */
#ifndef STEAD_AGENT_SERVER_IO_H
#define STEAD_AGENT_SERVER_IO_H

#include <qb/qbloop.h>

#include "agent/vm_tools_io.h"
#include "proto/sink.h"

struct server_io;

/* `path`: CONTROL_PATH, but for tests. `sink` takes the operators' requests. */
int server_io_open(qb_loop_t *loop, const char *path, const struct sink *sink,
                   struct server_io **ret_server);

/* The core and its edges are there now; `tools` is borrowed for good. Before that, status is
 * answered with `server_io_say()`'s sentence. */
void server_io_begin(struct server_io *server, const struct vm_tools *tools);
void server_io_say(struct server_io *server, const char *situation);

/* ACTION_ANSWER. */
void server_io_answer(struct server_io *server, const struct reply *reply);

/* Closes the socket; waiting clients see the connection end. */
void server_io_close(struct server_io *server);

#endif
