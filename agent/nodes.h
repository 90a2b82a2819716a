/* The acting node's work on nodes: losing, fencing, taking back, admitting. Pure. */
#ifndef STEAD_AGENT_NODES_H
#define STEAD_AGENT_NODES_H

#include "agent/core.h"

/* Outside work that the committed state calls for: fences, address entries taken off. */
void nodes_act(struct core *core, struct caller *caller);

/* Drafts what is to change in the nodes' records. */
void nodes_draft(struct core *core, struct caller *caller);

/* Drafts the loss of every absent node whose fencing can help a VM (part of taking a term too). */
void nodes_draft_lost(struct core *core);

/* Drafts the admission of a node whose heartbeat says that its hands are empty. Needs room for two.
 */
void nodes_draft_admit(struct core *core, uint32_t slot, const struct beat *beat);

/* May a fenced node come back: hands empty, and by a reboot, an operator's word, or because it was
 * back already when it was fenced (then it has confessed empty hands itself)? But for a reboot not
 * while a VM waits for a proof of its end: another machine in its place says nothing of the one
 * before. */
bool nodes_may_return(const struct core *core, uint32_t slot, const struct node_record *node);

/* Answers: to calls of nodes_act, or to others'. */
void nodes_on_block(struct core *core, const struct event *event);
void nodes_on_power(struct core *core, const struct event *event);

#endif
