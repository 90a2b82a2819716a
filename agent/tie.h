/* Exactly half of the nodes: what the state object says of this side, and what may follow. Pure. */
#ifndef STEAD_AGENT_TIE_H
#define STEAD_AGENT_TIE_H

#include "agent/core.h"
#include "proto/call.h"
#include "proto/text.h"

/* When a read of the state was sent, our clock, that showed the term to be this side's, or to be
 * had by it; 0: it shows neither. */
uint64_t tie_held_ms(const struct core *core);

/* Is the present term the other side's? Then this side is as one without a quorum. */
bool tie_lost(const struct core *core);

/* After a cut: is the other side, which has more to lose, to try for the term first? */
bool tie_waits(const struct core *core);

/* Our life was ended by a term, and our handle is that life's: is a new one to be opened? */
bool tie_wants_handle(const struct core *core);

/* Whom a poll is to watch, and whether it is to write. */
void tie_fill_poll(const struct core *core, struct action *action);

/* A poll was answered. */
void tie_on_poll(struct core *core, const struct event *event);

/* A handle was refused: this is its client. */
void tie_on_refused(struct core *core, const struct client *client);

/* Polls more often while a tie is to be watched, and has our address taken off the blocklist once
 * the term is ours. Each step. */
void tie_carry_on(struct core *core, struct caller *caller);

/* The answer to our address taken off the blocklist; false: not that. */
bool tie_on_block(struct core *core, const struct event *event);

/* Why this side of a tie does not act; false: it does, or there is no tie. */
bool tie_tell(const struct core *core, struct text *text);

#endif
