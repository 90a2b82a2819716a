/* What nodes tell of their VMs, until the committed state reflects it. Pure. */
#ifndef STEAD_AGENT_OBSERVED_H
#define STEAD_AGENT_OBSERVED_H

#include "agent/core.h"

/* A heartbeat brought facts about VMs. Every node keeps them, so that a new actor has them too. */
void observed_on_beat(struct core *core, const struct beat *beat);

/* Forgets the facts that the state reflects by now, or that no longer concern it. */
void observed_prune(struct core *core);

/* The acting node: drafts what the facts change. */
void observed_draft(struct core *core);

#endif
