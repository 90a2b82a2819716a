/* The command's end of the local socket. */
#include "agent/cli/client_io.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/clock_io.h"

#define CONNECT_S 5
#define ASK_MS 10000     /* the agent answers from memory */
#define COMMAND_MS 35000 /* longer than the agent's own deadline for a command */
#define PAGE_TRIES 5

bool cli_node_is_removed(const Control__Node *node)
{
    return strcmp(node->state, "removed") == 0;
}

struct cli_client {
    int fd;
    uint8_t buffer[CONTROL_BYTES_MAX];
};

static enum cli_exit explain(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
        fputs("stead: no agent runs on this host: systemctl start stead-agent\n", stderr);
        return CLI_NO_AGENT;
    case ETIMEDOUT:
    case EAGAIN: /* its backlog is full */
        fputs("stead: the agent does not answer: see journalctl -u stead-agent\n", stderr);
        return CLI_NO_AGENT;
    case EPIPE:
    case ECONNRESET:
        fputs("stead: the agent went away meanwhile: see journalctl -u stead-agent\n", stderr);
        return CLI_NO_AGENT;
    case EBADMSG:
        fputs("stead: the agent's reply makes no sense\n", stderr);
        return CLI_FAILED;
    case EPROTO:
        fputs("stead: the agent is of another release than this command: use the `stead` that was "
              "installed with it\n",
              stderr);
        return CLI_FAILED;
    default:
        fprintf(stderr, "stead: cannot talk to the agent: %s\n", strerror(error));
        return CLI_FAILED;
    }
}

enum cli_exit cli_connect_to(const char *path, struct cli_client **ret_client)
{
    const struct timeval patience = {.tv_sec = CONNECT_S};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return explain(ENAMETOOLONG);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    struct cli_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return explain(ENOMEM);
    }
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* The sending deadline is connect()'s, too, where the backlog is full: unix(7). */
    if (client->fd < 0 ||
        setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
        connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int error = errno;
        cli_disconnect(&client);
        return explain(error);
    }
    *ret_client = client;
    return CLI_DONE;
}

enum cli_exit cli_connect(struct cli_client **ret_client)
{
    return cli_connect_to(CONTROL_PATH, ret_client);
}

void cli_disconnect(struct cli_client **client)
{
    if (*client != NULL) {
        if ((*client)->fd >= 0) {
            close((*client)->fd);
        }
        free(*client);
        *client = NULL;
    }
}

/* ---- frames, there and back before a deadline */

static int wait_for(const struct cli_client *client, short events, int64_t until_ms)
{
    struct pollfd ready = {.fd = client->fd, .events = events};
    int64_t left_ms = until_ms - (int64_t)clock_io_boot_ms();
    int r = poll(&ready, 1, left_ms > 0 ? (int)left_ms : 0);
    if (r < 0) {
        return errno == EINTR ? 0 : -errno;
    }
    return r == 0 ? -ETIMEDOUT : 0;
}

static int send_frame(const struct cli_client *client, size_t size, int64_t until_ms)
{
    size_t done = 0;
    while (done < size) {
        ssize_t sent =
            send(client->fd, client->buffer + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        int r = sent < 0 && errno == EAGAIN  ? wait_for(client, POLLOUT, until_ms)
                : sent < 0 && errno != EINTR ? -errno
                                             : 0;
        if (r < 0) {
            return r;
        }
        done += sent > 0 ? (size_t)sent : 0;
    }
    return 0;
}

/* Bytes `from` to `to` of a frame. */
static int receive(struct cli_client *client, size_t from, size_t to, int64_t until_ms)
{
    while (from < to) {
        ssize_t got = recv(client->fd, client->buffer + from, to - from, MSG_DONTWAIT);
        int r = got == 0                     ? -ECONNRESET
                : got < 0 && errno == EAGAIN ? wait_for(client, POLLIN, until_ms)
                : got < 0 && errno != EINTR  ? -errno
                                             : 0;
        if (r < 0) {
            return r;
        }
        from += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

/* An agent that refuses the connection, or the request by its length, says so and hangs up: its
 * words can be read though ours could not be sent. */
static int exchange(struct cli_client *client, size_t size, int64_t until_ms, size_t *ret_size)
{
    size_t whole = 0;
    int r = send_frame(client, size, until_ms);
    if (r == 0 || r == -EPIPE || r == -ECONNRESET) {
        r = receive(client, 0, CONTROL_HEAD_BYTES, until_ms);
    }
    if (r == 0) {
        r = control_frame_size(client->buffer, sizeof(client->buffer), &whole);
    }
    if (r == 0) {
        r = receive(client, CONTROL_HEAD_BYTES, whole, until_ms);
    }
    if (r == 0) {
        *ret_size = whole;
    }
    return r;
}

enum cli_exit cli_ask(struct cli_client *client, Control__Request *request,
                      Control__Reply **ret_reply)
{
    const bool changes = control_changes(request);
    size_t size = 0;
    request->version = CONTROL_VERSION;
    if (control_pack_request(request, client->buffer, sizeof(client->buffer), &size) < 0) {
        fputs("stead: the request is too large\n", stderr);
        return CLI_FAILED;
    }
    int r = exchange(client, size, (int64_t)clock_io_boot_ms() + (changes ? COMMAND_MS : ASK_MS),
                     &size);
    if (r == 0) {
        r = control_unpack_reply(client->buffer, size, ret_reply);
    }
    if (r < 0 && changes) {
        fputs("stead: the outcome is unknown: ask `stead history`\n", stderr);
    }
    return r < 0 ? explain(-r) : CLI_DONE;
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

enum cli_exit cli_ask_history(struct cli_client *client, uint64_t first, bool fences,
                              struct cli_history *ret_history)
{
    Control__HistoryAsk ask = CONTROL__HISTORY_ASK__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;
    request.ask_case = CONTROL__REQUEST__ASK_HISTORY;
    request.history = &ask;
    ask.first = first;
    ask.fences = fences;
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
