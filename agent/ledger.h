/* The fence ledger: what of the history is kept longer, and how a fence's evidence reads. Pure. */
#ifndef STEAD_AGENT_LEDGER_H
#define STEAD_AGENT_LEDGER_H

#include "agent/core.h"
#include "proto/text.h"

/* Is such an entry kept in the ledger, beside the history? */
bool ledger_keeps(const struct core *core, enum history_kind kind, uint32_t nodeid);

/* The slot (of RECORD_HISTORY) for the next one: that of the oldest. `taken`: mask of the slots,
 * from the first of the ledger on, that are drafted already. */
uint32_t ledger_slot(const struct cluster *cluster, const bool taken[LEDGER_MAX]);

/* Drafts what is new of a fence: its barrier stands, a try of its BMC has ended. Needs room for
 * LEDGER_ROOM. */
#define LEDGER_ROOM 4
void ledger_draft(struct core *core, uint32_t slot);

/* The entry of the ledger with the smallest number not below `first`, or NULL. */
const struct history_entry *ledger_next(const struct cluster *cluster, uint64_t first);

#endif
