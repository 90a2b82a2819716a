/* Who acts, and the acting node's round: take the term, commit what is decided, act on it. Pure. */
#ifndef STEAD_AGENT_ACTOR_H
#define STEAD_AGENT_ACTOR_H

#include "agent/core.h"
#include "proto/text.h"

/* One round: commit upkeep, the term, outside work, the next commit. Each step. */
void actor_carry_on(struct core *core, struct caller *caller);

/* The answer to a commit. */
void actor_on_commit(struct core *core, const struct event *event, struct caller *caller);

/* A header was seen by a poll or a whole read: does it settle an open commit? */
void actor_on_header(struct core *core, const struct header *header, struct caller *caller);

/* On a tick: has work waited too long for the acting node? */
void actor_note_waiting(struct core *core);

/* Do we hold the present term? */
bool actor_holds(const struct core *core);

/* Is whoever holds the present term in this ring, and speaks? */
bool actor_speaks(const struct core *core);

/* Why nobody in this ring acts, and what is waited for; false: somebody may. For people. */
bool actor_tell_none(const struct core *core, struct text *text);

#endif
