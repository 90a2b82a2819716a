/* What the state remembers of the ways to a node's power. Pure. */
#ifndef STEAD_AGENT_DEVICES_H
#define STEAD_AGENT_DEVICES_H

#include "agent/core.h"
#include "proto/text.h"

/* Our own BMC or fence device was asked: is it this host's? */
void devices_on_identity(struct facts *facts, const struct event *event);

/* The record as it should be by what its agent tells, at this feature level. True: it differs. */
bool devices_follow(struct node_record *node, const struct beat *beat, uint32_t level);

/* Is there one that is not seen to be this host's? Then its sentence is in ret_text. */
bool devices_find_unverified(const struct bmc_address *bmc, const struct fence_device *devices,
                             struct text *ret_text);

#endif
