/*
 * The agent's side of stead-keeper: orders out, EVENT_KEEPER in. Never blocks; where no keeper runs
 * it opens nothing, and says so when it is asked to arm.
 */
#ifndef STEAD_FENCING_KEEPER_IO_H
#define STEAD_FENCING_KEEPER_IO_H

#include <qb/qbloop.h>

#include "proto/action.h"
#include "proto/sink.h"

struct keeper_io;

struct keeper_options {
    const char *socket; /* KEEPER_SOCKET; these outlive the edge */
    const char *device; /* to be taken; empty: the first that can be trusted */
    bool softdog;
};

/* Looks whether there is a keeper already: it may have been armed for the agent before this one. */
int keeper_io_open(qb_loop_t *loop, const struct keeper_options *options, const struct sink *sink,
                   struct keeper_io **ret_io);
void keeper_io_close(struct keeper_io *io);

/* ACTION_KEEPER_ARM, ACTION_KEEPER_DISARM, ACTION_VOUCH. */
void keeper_io_act(struct keeper_io *io, const struct action *action);

#endif
