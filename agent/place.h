/* Choosing a place for a VM. Pure, integer, deterministic. */
#ifndef STEAD_AGENT_PLACE_H
#define STEAD_AGENT_PLACE_H

#include "agent/core.h"

struct loads {
    uint64_t able;     /* mask of the nodes that can take a VM now */
    uint64_t armed;    /* mask of those whose watchdog is counted on, or need not be */
    uint64_t powered;  /* mask of those whose power can be cut */
    uint64_t restless; /* mask of those whose agent was started too often lately */
    uint32_t vm_count[NODES_MAX];
    uint64_t used_mib[NODES_MAX]; /* what is kept for others included */
    uint64_t kept_mib[NODES_MAX];
    uint32_t memory_mib[NODES_MAX];
};

/* What each node carries, by the copy and the draft on top of it. */
void place_loads(const struct core *core, struct loads *ret_loads);

/* The able node with the fewest VMs that has the memory and that could be proven dead by `policy`,
 * should it die, as far as that rests on watchdogs; of equals the lowest slot. One of `prefer`
 * first, nodes in `avoid`, and restless ones, only when no other is left. NODE_NONE: there is none.
 */
uint8_t place_choose(const struct loads *loads, uint32_t memory_mib, uint32_t policy,
                     uint64_t prefer, uint64_t avoid);

/* The nodes that can take a VM of this policy now. */
uint64_t place_lawful(const struct loads *loads, uint32_t policy);

/* Keeps memory for a more urgent VM that cannot be placed yet, where it would be placed now
 * (nowhere, if it fits nowhere). */
void place_keep(struct loads *loads, uint32_t memory_mib, uint32_t policy, uint64_t avoid);

/* Is there room for it, were it not for what is kept? */
bool place_is_kept_out(const struct loads *loads, uint32_t memory_mib, uint32_t policy);

/* Counts a VM placed there. */
void place_add(struct loads *loads, uint8_t node, uint32_t memory_mib);

#endif
