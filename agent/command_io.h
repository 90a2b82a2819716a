/*
 * Operators' commands on this node: from the socket into the core as requests, and the core's
 * answers back to whoever waits. Bounded; each ends in exactly one outcome, at the latest after
 * COMMAND_MS, when it is unknown.
 */
#ifndef STEAD_AGENT_COMMAND_IO_H
#define STEAD_AGENT_COMMAND_IO_H

#include <qb/qbloop.h>

#include "agent/vm_detail_io.h"
#include "agent/vm_tools_io.h"
#include "proto/control_io.h"
#include "proto/review.h"
#include "proto/sink.h"

#define COMMAND_MS 30000

struct command_io;

struct command_outcome {
    Control__Verdict verdict;
    const char *text;
    uint64_t committed;          /* version; 0: not known */
    const struct review *review; /* of a VM that was to be added, or is asked about; NULL: none */
    const struct vm_detail *detail; /* of a VM that is asked about; NULL: none */
};

/* Tells the client behind `client` (an opaque pointer of the server's). Called at most once per
 * command, perhaps before command_io_take() returns. */
typedef void command_tell(void *context, void *client, const struct command_outcome *outcome);

/* `tell` is called with `context`. 0 or -errno. There is no close: it lives as long as the agent.
 */
int command_io_open(qb_loop_t *loop, const struct sink *sink, command_tell *tell, void *context,
                    struct command_io **ret_commands);

/* The core and its edges are there now; before that every command is refused. `tools` is borrowed
 * for good. */
void command_io_begin(struct command_io *commands, const struct vm_tools *tools);

/* One request of kind COMMAND or VM_ADD, sane as control_unpack_request() leaves it. `by` is the
 * operator's name. */
void command_io_take(struct command_io *commands, void *client, const char *by,
                     const Control__Request *request);

/* ACTION_ANSWER. */
void command_io_answer(struct command_io *commands, const struct reply *reply);

/* The client has hung up; its commands go on, nobody is told. */
void command_io_forget(struct command_io *commands, const void *client);

/* How many were taken and have no outcome yet. */
uint32_t command_io_waiting(const struct command_io *commands);

#endif
