/* The local socket's server. */
#include "agent/server_io.h"

#include <errno.h>
#include <qb/qbipcs.h>
#include <stdlib.h>
#include <string.h>

#include "agent/command_io.h"
#include "agent/journal_io.h"
#include "agent/peer_io.h"
#include "agent/settings_io.h"
#include "agent/status_io.h"
#include "proto/assert.h"
#include "proto/values.h"

#define CLIENTS_MAX 32 /* connections at a time */

struct server_io {
    qb_ipcs_service_t *service;
    struct command_io *commands;
    struct status_io *status;
    struct settings_page settings;
    const struct core *core;
    char situation[TEXT_BYTES]; /* before the core is there */
    uint32_t client_count;
    _Alignas(8) uint8_t frame[CONTROL_BYTES_MAX]; /* the request being read */
    _Alignas(8) uint8_t reply[CONTROL_BYTES_MAX];
};

/* One connection: the context libqb keeps for it. */
struct operator
{
    char by[NAME_BYTES];
};

/* ---- libqb's handlers carry no context: NULL means the process's one loop */

static int32_t add_job(enum qb_loop_priority priority, void *data, qb_loop_job_dispatch_fn run)
{
    return qb_loop_job_add(NULL, priority, data, run);
}

static int32_t add_fd(enum qb_loop_priority priority, int32_t fd, int32_t events, void *data,
                      qb_ipcs_dispatch_fn_t run)
{
    return qb_loop_poll_add(NULL, priority, fd, events, data, run);
}

static int32_t change_fd(enum qb_loop_priority priority, int32_t fd, int32_t events, void *data,
                         qb_ipcs_dispatch_fn_t run)
{
    return qb_loop_poll_mod(NULL, priority, fd, events, data, run);
}

static int32_t remove_fd(int32_t fd)
{
    return qb_loop_poll_del(NULL, fd);
}

/* ---- replies */

static void send_reply(struct server_io *server, qb_ipcs_connection_t *connection,
                       Control__Reply *reply)
{
    size_t size = 0;
    reply->version = CONTROL_VERSION;
    int r = control_pack_reply(reply, server->reply, sizeof(server->reply), &size);
    ASSERT(r == 0); /* a page always fits */
    ssize_t sent = qb_ipcs_response_send(connection, server->reply, size);
    if (sent < 0) {
        journal_io_say(LOG_INFO, "a reply found no reader: %s", strerror((int)-sent));
    }
}

static void send_outcome(void *context, void *client, const struct command_outcome *outcome)
{
    Control__Outcome message = CONTROL__OUTCOME__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;
    message.verdict = outcome->verdict;
    message.text = (char *)(uintptr_t)outcome->text;
    message.committed = outcome->committed;
    reply.answer_case = CONTROL__REPLY__ANSWER_OUTCOME;
    reply.outcome = &message;
    send_reply(context, client, &reply);
}

static void send_refusal(struct server_io *server, qb_ipcs_connection_t *connection,
                         const char *text)
{
    struct command_outcome outcome = {CONTROL__VERDICT__VERDICT_REFUSED, text, 0};
    send_outcome(server, connection, &outcome);
}

static void send_status(struct server_io *server, qb_ipcs_connection_t *connection,
                        const Control__StatusAsk *ask)
{
    Control__Reply reply = CONTROL__REPLY__INIT;
    Control__Status status = *status_io_fill(server->status, server->core, ask, server->situation);
    status.commands_waiting = command_io_waiting(server->commands);
    reply.answer_case = CONTROL__REPLY__ANSWER_STATUS;
    reply.status = &status;
    send_reply(server, connection, &reply);
}

static void send_history(struct server_io *server, qb_ipcs_connection_t *connection,
                         const Control__HistoryAsk *ask)
{
    Control__Reply reply = CONTROL__REPLY__INIT;
    Control__History history = *status_io_history(server->status, server->core, ask);
    reply.answer_case = CONTROL__REPLY__ANSWER_HISTORY;
    reply.history = &history;
    send_reply(server, connection, &reply);
}

static void send_config(struct server_io *server, qb_ipcs_connection_t *connection,
                        const Control__ConfigAsk *ask)
{
    Control__Reply reply = CONTROL__REPLY__INIT;
    const char *refusal = settings_io_fill(&server->settings, server->core, ask);
    if (refusal != NULL) {
        send_refusal(server, connection, refusal);
        return;
    }
    reply.answer_case = CONTROL__REPLY__ANSWER_CONFIG;
    reply.config = &server->settings.config;
    send_reply(server, connection, &reply);
}

/* ---- what clients do */

static int32_t accept_client(qb_ipcs_connection_t *connection, uid_t uid, gid_t gid)
{
    struct server_io *server = qb_ipcs_connection_service_context_get(connection);
    struct qb_ipcs_connection_stats stats = {0};
    if (server->client_count >= CLIENTS_MAX) {
        return -EAGAIN;
    }
    qb_ipcs_connection_stats_get(connection, &stats, 0);
    if (!peer_io_is_allowed(stats.client_pid, uid, gid, PEER_GROUP)) {
        journal_io_say(LOG_NOTICE, "refused a connection of uid %u", uid);
        return -EACCES;
    }
    struct operator* operator= calloc(1, sizeof(*operator));
    if (operator== NULL) {
        return -ENOMEM;
    }
    peer_io_name(uid, operator->by);
    qb_ipcs_context_set(connection, operator);
    server->client_count++;
    return 0;
}

static int32_t client_closed(qb_ipcs_connection_t *connection)
{
    struct server_io *server = qb_ipcs_connection_service_context_get(connection);
    command_io_forget(server->commands, connection);
    return 0;
}

static void client_destroyed(qb_ipcs_connection_t *connection)
{
    struct server_io *server = qb_ipcs_connection_service_context_get(connection);
    struct operator* operator= qb_ipcs_context_get(connection);
    if (operator!= NULL) {
        command_io_forget(server->commands, connection);
        server->client_count--;
        free(operator);
    }
}

static void serve(struct server_io *server, qb_ipcs_connection_t *connection,
                  const Control__Request *request)
{
    const struct operator* operator= qb_ipcs_context_get(connection);
    if (request->ask_case == CONTROL__REQUEST__ASK_STATUS) {
        send_status(server, connection, request->status);
    } else if (request->ask_case == CONTROL__REQUEST__ASK_HISTORY) {
        send_history(server, connection, request->history);
    } else if (request->ask_case == CONTROL__REQUEST__ASK_CONFIG) {
        send_config(server, connection, request->config);
    } else {
        command_io_take(server->commands, connection, operator->by, request);
    }
}

/* `size` is what the client's header claims; libqb keeps its buffers large enough for
 * CONTROL_BYTES_MAX from there on. The memory is shared with the client, so it is copied first:
 * what was checked must not change. */
static int32_t take_frame(qb_ipcs_connection_t *connection, void *data, size_t size)
{
    struct server_io *server = qb_ipcs_connection_service_context_get(connection);
    Control__Request *request = NULL;
    int r = -EBADMSG;
    if (size <= sizeof(server->frame)) {
        memcpy(server->frame, data, size);
        r = control_unpack_request(server->frame, size, &request);
    }
    if (r == 0) {
        serve(server, connection, request);
        control_free_request(&request);
    } else if (r == -EPROTO) {
        send_refusal(server, connection,
                     "the agent and this command are of different releases: use its own `stead`");
    } else {
        send_refusal(server, connection, "the agent could not make sense of the request");
    }
    return 0;
}

/* ---- outside */

void server_io_begin(struct server_io *server, const struct core *core, struct storage_io *storage)
{
    server->core = core;
    command_io_begin(server->commands, core, storage);
}

void server_io_say(struct server_io *server, const char *situation)
{
    name_set(server->situation, sizeof(server->situation), situation);
}

void server_io_answer(struct server_io *server, const struct reply *reply)
{
    command_io_answer(server->commands, reply);
}

static int open_service(struct server_io *server, const char *name)
{
    struct qb_ipcs_service_handlers handlers = {
        .connection_accept = accept_client,
        .msg_process = take_frame,
        .connection_closed = client_closed,
        .connection_destroyed = client_destroyed,
    };
    struct qb_ipcs_poll_handlers loop = {.job_add = add_job,
                                         .dispatch_add = add_fd,
                                         .dispatch_mod = change_fd,
                                         .dispatch_del = remove_fd};
    /* Shared memory, not datagrams: libqb's datagram sockets take frames from any local user. */
    server->service = qb_ipcs_create(name, 0, QB_IPC_SHM, &handlers);
    if (server->service == NULL) {
        return -errno;
    }
    qb_ipcs_service_context_set(server->service, server);
    qb_ipcs_poll_handlers_set(server->service, &loop);
    qb_ipcs_enforce_buffer_size(server->service, CONTROL_BYTES_MAX);
    return qb_ipcs_run(server->service);
}

int server_io_open(qb_loop_t *loop, const char *service, const struct sink *sink,
                   struct server_io **ret_server)
{
    struct server_io *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        return -ENOMEM;
    }
    server_io_say(server, "waiting for Corosync");
    int r = status_io_open(&server->status);
    if (r == 0) {
        r = command_io_open(loop, sink, send_outcome, server, &server->commands);
    }
    if (r == 0) {
        r = open_service(server, service);
    }
    if (r < 0) {
        return r; /* the process ends now */
    }
    *ret_server = server;
    return 0;
}

void server_io_close(struct server_io *server)
{
    qb_ipcs_destroy(server->service);
}
