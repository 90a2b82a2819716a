/* Our way to the committed state: the handle, polls, whole reads, deltas. Pure. */
#ifndef STEAD_AGENT_VIEW_H
#define STEAD_AGENT_VIEW_H

#include "agent/core.h"

/* Begins what is due: opens a handle, polls the header, reads the whole state. */
void view_carry_on(struct core *core, struct caller *caller);

/* The answers to what view_carry_on() began, and a delta that another node committed. One that does
 * not follow our copy lets the whole state be read. */
void view_on_handle(struct core *core, const struct event *event, struct caller *caller);
void view_on_poll(struct core *core, const struct event *event, struct caller *caller);
void view_on_state(struct core *core, const struct event *event, struct caller *caller);
void view_on_delta(struct core *core, const struct delta *delta, struct caller *caller);

/* Any storage answer to the call `id`: was it a good one, or did it say that our handle is
 * blocklisted? Answers to calls of an earlier handle say nothing about the present one. */
void view_note(struct core *core, uint64_t id, enum outcome outcome);

/* An answer: to the blocklisting of our predecessor's handle, or to another's call. */
void view_on_block(struct core *core, const struct event *event);

/* Is the handle that the state has of us ended? One that was recorded meanwhile is not. */
bool view_predecessor_ended(const struct core *core);

/* The handle as the others may record it; none while a predecessor's could still write. */
struct client view_announced(const struct core *core);

/* Does the state name our present handle, so that we may write by it? */
bool view_recorded(const struct core *core);

/* Is our copy of the newest epoch that anybody here tells of? Else its leases and lives are over: a
 * restore or a person's force has begun a new one. */
bool view_in_epoch(const struct core *core);

#endif
