/*
 * The driver of the core in the daemon: an event in, one step, its actions out to the edges. Thin
 * on purpose, and a twin of the simulator's.
 */
#ifndef STEAD_AGENT_EFFECTS_IO_H
#define STEAD_AGENT_EFFECTS_IO_H

#include <qb/qbloop.h>

#include "agent/core.h"
#include "agent/corosync_io.h"
#include "agent/create_io.h"
#include "agent/hook_io.h"
#include "agent/nvram_io.h"
#include "fencing/bmc_io.h"
#include "fencing/fence_agent_io.h"
#include "fencing/keeper_io.h"
#include "migration/guest_io.h"
#include "migration/libvirt_io.h"
#include "proto/sink.h"
#include "storage/storage_io.h"

/* Where the actions go. */
struct edges {
    struct corosync_io *corosync;
    struct storage_io *storage;
    struct libvirt_io *libvirt;
    struct guest_io *guests;
    struct bmc_io *bmc;
    struct fence_agent_io *fence_agents;
    struct keeper_io *keeper;
    struct create_io *create;
    struct alarm_command_io *notify;
    struct nvram_io *nvram;
    struct hook_io *hook;
    void (*answer)(void *context, const struct reply *reply); /* ACTION_ANSWER */
    void *answer_context;
};

struct effects;

/* Without a core yet. 0 or -errno. There is no close: it lives as long as the agent. */
int effects_io_open(qb_loop_t *loop, struct effects **ret_effects);

/* Where the edges put their events. Before effects_io_begin() they are dropped. */
struct sink effects_io_sink(struct effects *effects);

/* Makes the core; its first step is a tick. Call once. */
void effects_io_begin(struct effects *effects, const struct facts *facts,
                      const struct edges *edges);

/* NULL before it began. */
const struct core *effects_io_core(const struct effects *effects);

#endif
