/* Questions about a core, for status and for people. Pure; change nothing. */
#ifndef STEAD_AGENT_QUERY_H
#define STEAD_AGENT_QUERY_H

#include "agent/core.h"

bool query_loaded(const struct core *core);  /* is there a cluster and a copy of it? */
bool query_quorate(const struct core *core); /* Corosync's flag */
bool query_fresh(const struct core *core, uint64_t now_ms); /* quorate, and proven so just now */
bool query_acting(const struct core *core);                 /* does this node hold the term? */
uint8_t query_own_slot(const struct core *core);            /* NODE_NONE: not in this cluster */
bool query_in_ring(const struct core *core, uint8_t slot);  /* Corosync shows it */
bool query_is_stranger(const struct core *core, uint32_t nodeid); /* in the ring, not joined */
bool query_agent_alive(const struct core *core, uint8_t slot, uint64_t now_ms);

/* ms since the copy was last known to be the newest; UINT64_MAX: never. */
uint64_t query_copy_age_ms(const struct core *core, uint64_t now_ms);

/* "online", "offline" (admitted, not in the ring), "away" (the same, but announced), "unattended"
 * (in the ring, its agent silent), "lost" (being fenced), "fenced", "out" (known, not admitted),
 * "removed". Static strings. */
const char *query_node_word(const struct core *core, uint8_t slot, uint64_t now_ms);
/* "stopped", "starting", "running", "stopping", "recovering". */
/* What the node's agent finds wrong with its host, with the remedy; "": nothing, or not known. */
const char *query_node_trouble(const struct core *core, uint8_t slot);

const char *query_vm_word(const struct vm_record *vm);

/* What is wrong with the state object: "gone", "foreign", "older", "garbled", "damaged", or "". */
const char *query_state_word(const struct core *core);

/* One sentence: what this node is doing or why it does nothing ("no quorum: 1 of 3 votes, so
 * nothing is started or fenced here"). */
void query_situation(const struct core *core, uint64_t now_ms, char ret_text[TEXT_BYTES]);

#endif
