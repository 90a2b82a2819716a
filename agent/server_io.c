/* The local socket's server. */
#include "agent/server_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/command_io.h"
#include "agent/copy_io.h"
#include "agent/settings_io.h"
#include "agent/socket_io.h"
#include "agent/status_io.h"
#include "proto/assert.h"
#include "proto/values.h"

struct findings {
    Control__Finding list[FINDINGS_MAX];
    Control__Finding *pointers[FINDINGS_MAX];
};

struct server_io {
    struct socket_io *socket;
    struct command_io *commands;
    struct status_io *status;
    struct settings_page settings;
    struct copy_page copy;
    const struct core *core;
    char situation[TEXT_BYTES]; /* before the core is there */
    struct findings findings;   /* of the reply being made */
    uint8_t reply[CONTROL_BYTES_MAX];
};

/* ---- replies */

static void findings_fill(struct findings *findings, const struct review *review,
                          Control__Outcome *message)
{
    static const char *const treatments[] = {[TREATMENT_REFUSED] = "refused",
                                             [TREATMENT_ACCEPTED] = "acceptable",
                                             [TREATMENT_TOLD] = "told"};
    for (uint32_t i = 0; review != NULL && i < review->count; i++) {
        const struct finding *finding = &review->list[i];
        Control__Finding *pb = &findings->list[i];
        enum treatment treatment = review_treatment(finding->kind);
        control__finding__init(pb);
        if (treatment == TREATMENT_ACCEPTED && !review_refuses(review, finding)) {
            treatment = TREATMENT_TOLD;
        }
        pb->kind = (char *)(uintptr_t)review_word(finding->kind);
        pb->treatment = (char *)(uintptr_t)treatments[treatment];
        pb->text = (char *)(uintptr_t)finding->text;
        findings->pointers[i] = pb;
    }
    message->n_findings = review != NULL ? review->count : 0;
    message->findings = findings->pointers;
}

static void send_reply(struct server_io *server, struct socket_client *client,
                       Control__Reply *reply)
{
    size_t size = 0;
    reply->version = CONTROL_VERSION;
    int r = control_pack_reply(reply, server->reply, sizeof(server->reply), &size);
    ASSERT(r == 0); /* a page always fits */
    socket_io_reply(client, server->reply, size);
}

static void send_outcome(void *context, void *client, const struct command_outcome *outcome)
{
    struct server_io *server = context;
    Control__Outcome message = CONTROL__OUTCOME__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;
    message.verdict = outcome->verdict;
    message.text = (char *)(uintptr_t)outcome->text;
    message.committed = outcome->committed;
    findings_fill(&server->findings, outcome->review, &message);
    if (outcome->detail != NULL) {
        message.n_places = outcome->detail->count;
        message.places = (char **)(uintptr_t)outcome->detail->places;
        message.xml = (char *)(uintptr_t)(outcome->detail->xml != NULL ? outcome->detail->xml : "");
    }
    reply.answer_case = CONTROL__REPLY__ANSWER_OUTCOME;
    reply.outcome = &message;
    send_reply(server, client, &reply);
}

static void send_refusal(struct server_io *server, struct socket_client *client, const char *text)
{
    struct command_outcome outcome = {.verdict = CONTROL__VERDICT__VERDICT_REFUSED, .text = text};
    send_outcome(server, client, &outcome);
}

static void send_status(struct server_io *server, struct socket_client *client,
                        const Control__StatusAsk *ask)
{
    Control__Reply reply = CONTROL__REPLY__INIT;
    Control__Status status = *status_io_fill(server->status, server->core, ask, server->situation);
    status.commands_waiting = command_io_waiting(server->commands);
    reply.answer_case = CONTROL__REPLY__ANSWER_STATUS;
    reply.status = &status;
    send_reply(server, client, &reply);
}

static void send_history(struct server_io *server, struct socket_client *client,
                         const Control__HistoryAsk *ask)
{
    Control__Reply reply = CONTROL__REPLY__INIT;
    Control__History history = *status_io_history(server->status, server->core, ask);
    reply.answer_case = CONTROL__REPLY__ANSWER_HISTORY;
    reply.history = &history;
    send_reply(server, client, &reply);
}

static void send_config(struct server_io *server, struct socket_client *client,
                        const Control__ConfigAsk *ask)
{
    Control__Reply reply = CONTROL__REPLY__INIT;
    const char *refusal = settings_io_fill(&server->settings, server->core, ask);
    if (refusal != NULL) {
        send_refusal(server, client, refusal);
        return;
    }
    reply.answer_case = CONTROL__REPLY__ANSWER_CONFIG;
    reply.config = &server->settings.config;
    send_reply(server, client, &reply);
}

static void send_copy(struct server_io *server, struct socket_client *client,
                      const Control__CopyAsk *ask)
{
    Control__Reply reply = CONTROL__REPLY__INIT;
    const char *refusal = copy_io_fill(&server->copy, server->core, ask->first);
    if (refusal != NULL) {
        send_refusal(server, client, refusal);
        return;
    }
    reply.answer_case = CONTROL__REPLY__ANSWER_COPY;
    reply.copy = &server->copy.copy;
    send_reply(server, client, &reply);
}

/* ---- what clients do */

static void serve(struct server_io *server, struct socket_client *client,
                  const Control__Request *request)
{
    const struct peer_user *peer = socket_io_peer(client);
    char by[NAME_BYTES];
    if (peer->access == PEER_ASKS && !control_for_viewers(request)) {
        send_refusal(server, client,
                     "only root and members of the group " PEER_GROUP
                     " may do this; as a member of " PEER_ASK_GROUP " you may ask");
    } else if (request->ask_case == CONTROL__REQUEST__ASK_STATUS) {
        send_status(server, client, request->status);
    } else if (request->ask_case == CONTROL__REQUEST__ASK_HISTORY) {
        send_history(server, client, request->history);
    } else if (request->ask_case == CONTROL__REQUEST__ASK_CONFIG) {
        send_config(server, client, request->config);
    } else if (request->ask_case == CONTROL__REQUEST__ASK_COPY) {
        send_copy(server, client, request->copy);
    } else {
        peer_io_name(peer->uid, by);
        command_io_take(server->commands, client, by, request);
    }
}

static void take_frame(void *context, struct socket_client *client, const uint8_t *frame,
                       size_t size)
{
    struct server_io *server = context;
    Control__Request *request = NULL;
    int r = control_unpack_request(frame, size, &request);
    if (r == 0) {
        serve(server, client, request);
        control_free_request(&request);
    } else if (r == -EPROTO) {
        send_refusal(server, client,
                     "the agent and this command are of different releases: use its own `stead`");
    } else {
        send_refusal(server, client, "the agent could not make sense of the request");
    }
}

static void client_gone(void *context, struct socket_client *client)
{
    struct server_io *server = context;
    command_io_forget(server->commands, client);
}

/* ---- outside */

void server_io_begin(struct server_io *server, const struct vm_tools *tools)
{
    server->core = tools->core;
    command_io_begin(server->commands, tools);
}

void server_io_say(struct server_io *server, const char *situation)
{
    name_set(server->situation, sizeof(server->situation), situation);
}

void server_io_answer(struct server_io *server, const struct reply *reply)
{
    command_io_answer(server->commands, reply);
}

int server_io_open(qb_loop_t *loop, const char *path, const struct sink *sink,
                   struct server_io **ret_server)
{
    struct server_io *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        return -ENOMEM;
    }
    const struct socket_service service = {take_frame, client_gone, server};
    server_io_say(server, "waiting for Corosync");
    int r = status_io_open(&server->status);
    if (r == 0) {
        r = command_io_open(loop, sink, send_outcome, server, &server->commands);
    }
    if (r == 0) {
        r = socket_io_open(loop, path, &socket_deadlines_usual, &service, &server->socket);
    }
    if (r < 0) {
        return r; /* the process ends now */
    }
    *ret_server = server;
    return 0;
}

void server_io_close(struct server_io *server)
{
    socket_io_close(server->socket);
}
