/* `--watch`: looking again and again, at everything or at what a command set in motion. */
#ifndef STEAD_AGENT_CLI_WATCH_IO_H
#define STEAD_AGENT_CLI_WATCH_IO_H

#include "agent/cli/client_io.h"
#include "agent/cli/options_io.h"

/* What a command leads to, and when that is reached. */
enum cli_goal {
    GOAL_VM_RUNNING,
    GOAL_VM_STOPPED,
    GOAL_VM_GONE,
    GOAL_NODE_ONLINE,
    GOAL_NODE_GONE,
    GOAL_NODE_FENCED, /* and its VMs have been started elsewhere, or say what they wait for */
};

/* Prints a line for each change of `name` ("": this node) until the goal is reached: CLI_DONE. At
 * the deadline (--within, else 5 minutes beyond --timeout) or without an agent: CLI_FAILED, said on
 * stderr. Ctrl-C ends the looking only, and says so. */
enum cli_exit cli_follow(const struct cli_options *options, enum cli_goal goal, const char *name);

/* Sends a command and prints how it went; then, with --watch, follows what it sets in motion. */
enum cli_exit cli_order(const struct cli_options *options, Control__CommandKind kind,
                        const char *name, enum cli_goal goal);

/* Calls `show` every second with a fresh status, until Ctrl-C or --within: on a terminal the screen
 * is drawn anew; elsewhere it is shown once, then a line for each change. */
enum cli_exit cli_watch_status(const struct cli_options *options,
                               void (*show)(const struct cli_options *options,
                                            const struct cli_status *status));

/* One look at the cluster: connects, asks, disconnects; the caller frees. And one node in it; NULL:
 * there is none of that name. */
enum cli_exit cli_look(const char *vm, struct cli_status *ret_status);
const Control__Node *cli_find_node(const struct cli_status *status, const char *name);

/* The pace of all that looks again, to be shared: sleeps `ms`, at most until `deadline_ms` (0:
 * none). False: that deadline has passed. CLOCK_MONOTONIC. */
bool cli_pause(uint32_t ms, uint64_t deadline_ms);

#endif
