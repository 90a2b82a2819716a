/*
 * The edge to fence agents: any fence_* program of Debian's fence-agents switches a host's power,
 * as a child process with a deadline. It is told what to do on its standard input (action=,
 * the device's options, its secrets), never by arguments, which everybody can read.
 *
 * What an agent's "off" says is no proof: DONE is told once its "status" said off (exit status 2).
 */
#ifndef STEAD_FENCING_FENCE_AGENT_IO_H
#define STEAD_FENCING_FENCE_AGENT_IO_H

#include <qb/qbloop.h>

#include "proto/action.h"
#include "proto/sink.h"

#define FENCE_AGENT_FOLDER "/usr/sbin"

struct fence_agent_io;

/* `credentials`: the BMCs' file, with a [fence DEVICE] section for each device whose agent needs a
 * secret; NULL: none does. `folder`: where the agents lie. Both strings are copied. */
int fence_agent_io_open(qb_loop_t *loop, const char *credentials, const char *folder,
                        const struct sink *sink, struct fence_agent_io **ret_io);

/* ACTION_POWER by power.device; answers EVENT_POWER. */
void fence_agent_io_act(struct fence_agent_io *io, const struct action *action);

/* Asks our own device number `own` (its index in facts.devices) for its state. It must read on,
 * since we run: answers EVENT_BMC_IDENTITY when it could be read, and in any case EVENT_TROUBLE
 * (TROUBLE_DEVICE): what is wrong with any of ours, with the remedy, or nothing. */
void fence_agent_io_identify(struct fence_agent_io *io, uint32_t own,
                             const struct fence_device *device, uint64_t deadline_ms);

/* Says (as TROUBLE_DEVICE) that no person vouches for this device of ours: it is never asked. */
void fence_agent_io_distrust(struct fence_agent_io *io, uint32_t own,
                             const struct fence_device *device);

/* Kills the children under way; nothing is answered any more. NULL is fine. */
void fence_agent_io_close(struct fence_agent_io *io);

#endif
