/* Blocklist entries against a node's address: taken off when it may come back, or when nobody wants
 * them. Pure. */
#ifndef STEAD_AGENT_ADDRESS_H
#define STEAD_AGENT_ADDRESS_H

#include "agent/core.h"

#define ADDRESS_TOLD_MS 600000 /* how long a stray entry that is off stays worth a word */

/* Begins what is due. `wanted`: it is fenced and may come back; `cut_off`: it takes part, and has
 * not reached the storage for a while. */
void address_act(struct core *core, uint32_t slot, bool wanted, bool cut_off,
                 struct caller *caller);

/* Drafts the news of a stray entry. Needs room for two. */
void address_draft(struct core *core, uint32_t slot);

/* An answer: to one of its calls, or to another's. */
void address_on_block(struct core *core, uint32_t slot, const struct event *event);

#endif
