/* Operators' commands: on their way, asked again until answered, validated by the acting node.
 * Pure. */
#ifndef STEAD_AGENT_REQUEST_H
#define STEAD_AGENT_REQUEST_H

#include "agent/core.h"

/* A command: given on this node, or delivered by CPG (then only the acting node keeps it). */
void request_on_event(struct core *core, const struct request *request, struct caller *caller);

/* The acting node refused a command, or had accepted it before. */
void request_on_reply(struct core *core, const struct reply *reply, struct caller *caller);

/* Sends pending commands (again), answers those the state shows as done, gives up the overdue. */
void request_carry_on(struct core *core, struct caller *caller);

/* The acting node: validates what is in the inbox and drafts it, or refuses it. */
void request_draft(struct core *core, struct caller *caller);

/* Has a command given here been waiting for an actor? */
bool request_waits(const struct core *core);

#endif
