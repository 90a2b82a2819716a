/* What is wrong with our own host. Told in heartbeats, so that every node's status can say it.
 * Pure. */
#ifndef STEAD_AGENT_TROUBLE_H
#define STEAD_AGENT_TROUBLE_H

#include "agent/core.h"

/* EVENT_TROUBLE: an edge found something, or finds it no more. */
void trouble_on_event(struct core *core, const struct event *event, struct caller *caller);

/* The most serious trouble in one sentence with its remedy; TEXT_BYTES, padded. Empty: none. */
const char *trouble_of_host(const struct core *core);

#endif
