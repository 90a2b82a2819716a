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

/* In the ring and its agent silent: for how long, as far as this node saw (ms, at least 1); else 0.
 */
uint64_t query_silent_ms(const struct core *core, uint8_t slot, uint64_t now_ms);
/* How often its agent was started within ten minutes, if too often; 0: it is steady, or not heard.
 */
uint32_t query_restarts(const struct core *core, uint8_t slot);
bool query_halted(const struct core *core, uint8_t slot); /* an assertion failed in its agent */
/* What keeps its agent from its work, libvirt above all, as one sentence with the remedy; empty:
 * nothing of the kind. */
void query_agent_trouble(const struct core *core, uint8_t slot, char ret_text[TEXT_BYTES]);

/* ms since the copy was last known to be the newest; UINT64_MAX: never. */
uint64_t query_copy_age_ms(const struct core *core, uint64_t now_ms);
/* Is what the copy does not have not there? A quorum, and the copy the newest within 5 s. */
bool query_trusted(const struct core *core, uint64_t now_ms);

/* "online", "offline" (admitted, not in the ring), "away" (the same, but announced), "unattended"
 * (in the ring, its agent silent), "halted" (an assertion failed in its agent), "lost" (being
 * fenced), "fenced", "out" (known, not admitted), "removed". Static strings. */
const char *query_node_word(const struct core *core, uint8_t slot, uint64_t now_ms);
/* What the node's agent finds wrong with its host, with the remedy; "": nothing, or not known. */
const char *query_node_trouble(const struct core *core, uint8_t slot);

/* "stopped", "starting", "running", "stopping", "recovering"; of one that runs and does not work,
 * "paused", "io-error" or "panicked". */
const char *query_vm_word(const struct vm_record *vm);

/* Does it stand still because its host has, or just had, no quorum? Then since when (wall clock).
 */
bool query_vm_suspended(const struct core *core, const struct vm_record *vm,
                        uint64_t *ret_since_wall_ms);

/* What is wrong with the state object: "gone", "foreign", "older", "garbled", "damaged", or "". */
const char *query_state_word(const struct core *core);

/* One sentence: what this node is doing or why it does nothing ("no quorum: 1 of 3 votes, so
 * nothing is started or fenced here"). */
void query_situation(const struct core *core, uint64_t now_ms, char ret_text[TEXT_BYTES]);

#endif
