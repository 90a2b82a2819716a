/* The command's end of the local socket. */
#include "agent/cli/client_io.h"

#include <errno.h>
#include <poll.h>
#include <qb/qbipcc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 5000
#define REPLY_MS 35000 /* longer than the agent's own deadline for a command */
#define PAGE_TRIES 5

struct cli_client {
    qb_ipcc_connection_t *connection;
    _Alignas(8) uint8_t buffer[CONTROL_BYTES_MAX]; /* libqb looks at its header in place */
};

static enum cli_exit explain(int error)
{
    if (error == EACCES || error == EPERM) {
        fputs("stead: only root and members of the group stead may talk to the agent\n", stderr);
        return CLI_FAILED;
    }
    if (error == ETIMEDOUT) {
        fputs("stead: the agent does not answer: see journalctl -u stead-agent\n", stderr);
        return CLI_NO_AGENT;
    }
    if (error == EAGAIN) {
        fputs("stead: too many commands at a time: try again\n", stderr);
        return CLI_FAILED;
    }
    fputs("stead: no agent runs on this host: systemctl start stead-agent\n", stderr);
    return CLI_NO_AGENT;
}

enum cli_exit cli_connect(struct cli_client **ret_client)
{
    int fd = -1;
    struct cli_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return explain(EAGAIN);
    }
    client->connection = qb_ipcc_connect_async(CONTROL_SERVICE, CONTROL_BYTES_MAX, &fd);
    if (client->connection == NULL) {
        int error = errno;
        free(client);
        return explain(error);
    }
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int r = poll(&ready, 1, CONNECT_MS) == 1 ? qb_ipcc_connect_continue(client->connection)
                                             : -ETIMEDOUT;
    if (r < 0) {
        free(client);
        return explain(-r);
    }
    *ret_client = client;
    return CLI_DONE;
}

void cli_disconnect(struct cli_client **client)
{
    if (*client != NULL) {
        qb_ipcc_disconnect((*client)->connection);
        free(*client);
        *client = NULL;
    }
}

enum cli_exit cli_ask(struct cli_client *client, Control__Request *request,
                      Control__Reply **ret_reply)
{
    size_t size = 0;
    request->version = CONTROL_VERSION;
    if (control_pack_request(request, client->buffer, sizeof(client->buffer), &size) < 0) {
        fputs("stead: the request is too large\n", stderr);
        return CLI_FAILED;
    }
    ssize_t done = qb_ipcc_send(client->connection, client->buffer, size);
    if (done >= 0) {
        done = qb_ipcc_recv(client->connection, client->buffer, sizeof(client->buffer), REPLY_MS);
    }
    if (done < 0) {
        if (request->ask_case != CONTROL__REQUEST__ASK_STATUS &&
            request->ask_case != CONTROL__REQUEST__ASK_HISTORY) {
            fputs("stead: the agent went away meanwhile; the outcome is unknown: ask `stead "
                  "history`\n",
                  stderr);
        }
        return explain((int)-done);
    }
    int r = control_unpack_reply(client->buffer, (size_t)done, ret_reply);
    if (r < 0) {
        fputs(r == -EPROTO ? "stead: the agent is of another release than this command\n"
                           : "stead: the agent's reply makes no sense\n",
              stderr);
        return CLI_FAILED;
    }
    return CLI_DONE;
}

enum cli_exit cli_unexpected(const Control__Reply *reply)
{
    bool said = reply->answer_case == CONTROL__REPLY__ANSWER_OUTCOME;
    fprintf(stderr, "stead: %s\n",
            said ? reply->outcome->text : "the agent's reply makes no sense");
    return CLI_FAILED;
}

/* ---- status */

static enum cli_exit ask_pages(struct cli_client *client, const char *vm, struct cli_status *status)
{
    Control__StatusAsk ask = CONTROL__STATUS_ASK__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;
    ask.vm = (char *)(uintptr_t)vm;
    request.ask_case = CONTROL__REQUEST__ASK_STATUS;
    request.status = &ask;
    do {
        Control__Reply *reply = NULL;
        enum cli_exit result = cli_ask(client, &request, &reply);
        if (result != CLI_DONE) {
            return result;
        }
        status->pages[status->page_count++] = reply;
        if (reply->answer_case != CONTROL__REPLY__ANSWER_STATUS) {
            return cli_unexpected(reply);
        }
        ask.first_vm = reply->status->next_vm;
    } while (ask.first_vm != 0 && status->page_count < CLI_PAGES_MAX);
    return CLI_DONE;
}

static bool one_version(const struct cli_status *status)
{
    uint64_t version = status->pages[0]->status->version_committed;
    return status->pages[status->page_count - 1]->status->version_committed == version;
}

enum cli_exit cli_ask_status(struct cli_client *client, const char *vm,
                             struct cli_status *ret_status)
{
    enum cli_exit result = CLI_FAILED;
    for (int i = 0; i < PAGE_TRIES; i++) {
        *ret_status = (struct cli_status){.page_count = 0};
        result = ask_pages(client, vm, ret_status);
        if (result != CLI_DONE || one_version(ret_status) || i == PAGE_TRIES - 1) {
            break;
        }
        cli_free_status(ret_status);
    }
    if (result != CLI_DONE) {
        cli_free_status(ret_status);
    }
    return result;
}

void cli_free_status(struct cli_status *status)
{
    for (size_t i = 0; i < status->page_count; i++) {
        control_free_reply(&status->pages[i]);
    }
    status->page_count = 0;
}

/* ---- history */

enum cli_exit cli_ask_history(struct cli_client *client, struct cli_history *ret_history)
{
    Control__HistoryAsk ask = CONTROL__HISTORY_ASK__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;
    request.ask_case = CONTROL__REQUEST__ASK_HISTORY;
    request.history = &ask;
    *ret_history = (struct cli_history){.page_count = 0};
    do {
        Control__Reply *reply = NULL;
        enum cli_exit result = cli_ask(client, &request, &reply);
        if (result == CLI_DONE && reply->answer_case != CONTROL__REPLY__ANSWER_HISTORY) {
            result = cli_unexpected(reply);
            control_free_reply(&reply);
        }
        if (result != CLI_DONE) {
            cli_free_history(ret_history);
            return result;
        }
        ret_history->pages[ret_history->page_count++] = reply;
        ask.first = reply->history->next;
    } while (ask.first != 0 && ret_history->page_count < CLI_HISTORY_PAGES_MAX);
    return CLI_DONE;
}

void cli_free_history(struct cli_history *history)
{
    for (size_t i = 0; i < history->page_count; i++) {
        control_free_reply(&history->pages[i]);
    }
    history->page_count = 0;
}
