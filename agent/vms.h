/* The acting node's work on VMs: placing, stopping, taking over, and what nodes tell of them. Pure.
 */
#ifndef STEAD_AGENT_VMS_H
#define STEAD_AGENT_VMS_H

#include "agent/core.h"
#include "agent/place.h"

/* Outside work that the committed state calls for: the barrier of each VM of a dead holder. */
void vms_act(struct core *core, struct caller *caller);

/* Drafts what is to change in the VMs' records, most urgent first. */
void vms_draft(struct core *core);

/* Drafts the start of a stopped VM on `node`; used by `vm add --on` as well. Needs room for two. */
void vms_draft_start(struct core *core, struct loads *loads, uint32_t slot, uint8_t node,
                     uint64_t generation, const char *why);

/* The answers to calls of vms_act; false: none of ours. */
bool vms_on_answer(struct core *core, const struct event *event);

/* Is there a VM the cluster owes something, that nobody has explained? */
bool vms_wait(const struct core *core);

#endif
