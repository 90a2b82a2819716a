/* Whom not to fence now, although it is gone and VMs are on it; who stays out for a while. Pure. */
#ifndef STEAD_AGENT_SPARE_H
#define STEAD_AGENT_SPARE_H

#include "agent/core.h"
#include "proto/text.h"

/* Mask of the slots of absent nodes whose fence would help a VM. */
uint64_t spare_due(const struct core *core);

/* Is the fence of this one, of `due`, held back? Then *ret_why says why, and what would let it go
 * on. */
bool spare_holds_back(const struct core *core, uint64_t due, uint32_t slot, struct text *ret_why);

/* Drafts that it is held back, once for each absence. Needs room for two. */
void spare_draft(struct core *core, uint32_t slot, const struct text *why);

/* Its drafted record has just become lost, while absent. */
void spare_note_loss(const struct core *core, struct node_record *node);

/* For how long this node, which failed again and again, is not admitted yet (ms); 0: it may be. */
uint64_t spare_out_ms(const struct core *core, const struct node_record *node);

/* It is gone with VMs on it, and not fenced while it may merely be late: says so; else false. */
bool spare_tell_late(const struct core *core, uint32_t slot, struct text *ret_text);

/* Its fence is held back, or it stays out: why; empty: neither is so. */
void spare_tell(const struct core *core, uint64_t due, uint32_t slot, struct text *ret_text);

#endif
