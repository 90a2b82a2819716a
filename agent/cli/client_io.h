/* The command's end of the local socket. */
#ifndef STEAD_AGENT_CLI_CLIENT_IO_H
#define STEAD_AGENT_CLI_CLIENT_IO_H

#include "proto/control_io.h"
#include "proto/limits.h"

enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_NO_AGENT = 3 };

struct cli_client;

/* A tombstone: shown only where all nodes are asked for. */
bool cli_node_is_removed(const Control__Node *node);

/* Connects to this host's agent. Anything but CLI_DONE has been explained on stderr; so in all
 * functions here. */
enum cli_exit cli_connect(struct cli_client **ret_client);
enum cli_exit cli_connect_to(const char *path, struct cli_client **ret_client); /* for tests */
void cli_disconnect(struct cli_client **client);

/* Sends one request, waits for its reply: 10 s, or 35 s for what changes something. The caller
 * frees it with control_free_reply(). */
enum cli_exit cli_ask(struct cli_client *client, Control__Request *request,
                      Control__Reply **ret_reply);

/* A whole status: every page, all of one version of the state where that can be had. */
#define CLI_PAGES_MAX (VMS_MAX / CONTROL_VMS_MAX + 2)
struct cli_status {
    size_t page_count;
    Control__Reply *pages[CLI_PAGES_MAX]; /* each holds a status; the first speaks for the nodes */
};

/* `vm`: only that one; empty: all. */
enum cli_exit cli_ask_status(struct cli_client *client, const char *vm,
                             struct cli_status *ret_status);
void cli_free_status(struct cli_status *status);

/* The cluster's history from entry `first` on, oldest first, as pages. */
#define CLI_HISTORY_PAGES_MAX (HISTORY_MAX / CONTROL_DECISIONS_MAX + 2)
struct cli_history {
    size_t page_count;
    Control__Reply *pages[CLI_HISTORY_PAGES_MAX];
};
enum cli_exit cli_ask_history(struct cli_client *client, uint64_t first, bool fences,
                              struct cli_history *ret_history);
void cli_free_history(struct cli_history *history);

/* The agent answered, but not with what was asked for: its refusal, or that it makes no sense, on
 * stderr. Returns CLI_FAILED. */
enum cli_exit cli_unexpected(const Control__Reply *reply);

#endif
