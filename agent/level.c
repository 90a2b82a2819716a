/*
 * Feature levels.
 *
 * Decides: which level the state is written at. It is the lowest of the nodes that take part, so
 * that nothing is written that one of them could not read; it is raised when the last agent is
 * upgraded and never lowered, since what was written stays. Assumes: an agent's level is in its
 * heartbeat, and a node's record keeps it while the node is away. Never: sends an agent away that
 * is too old for the state: its guests run on, it acts no more and is not admitted anew.
 */
#include "agent/level.h"

#include <stddef.h>

#include "agent/draft.h"
#include "proto/assert.h"
#include "proto/text.h"

bool level_is_short(const struct core *core)
{
    ASSERT(core->local.facts.feature_level > 0);
    return core->local.facts.feature_level < core->cluster.header.feature_level;
}

bool level_of_peer_is_short(const struct core *core, const struct beat *beat)
{
    ASSERT(beat->nodeid != 0);
    return beat->feature_level < core->cluster.header.feature_level;
}

bool level_suspends(const struct core *core)
{
    ASSERT(core->local.facts.feature_level > 0);
    return core->cluster.header.feature_level >= LEVEL_SUSPENDS &&
           core->local.facts.feature_level >= LEVEL_SUSPENDS;
}

void level_draft(struct core *core)
{
    struct header *header = &core->local.draft.delta.header;
    uint32_t lowest = UINT32_MAX;
    ASSERT(core->local.draft.open);
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *node = draft_peek_node(core, slot);
        bool counts = node->state == NODE_ADMITTED || node->state == NODE_LOST;
        if (counts && node->feature_level < lowest) {
            lowest = node->feature_level;
        }
    }
    if (lowest == UINT32_MAX || lowest <= header->feature_level || draft_room(core) == 0) {
        return;
    }
    header->feature_level = lowest;
    struct text text = {0};
    text_add_u64(text_add(&text, "feature level "), lowest);
    text_add(&text, " from now on: every agent has it, older ones are not admitted any more");
    draft_history(core, HISTORY_LEVEL, 0, NULL, text.bytes)->number = lowest;
}
