/*
 * Entries against a node's address.
 *
 * Decides: when the address entry of a fence comes off (its node may come back), and what is done
 * about one against a node that takes part: nobody's fence wants it (a stale actor's late hand, or
 * a person's), and while it stands that host reaches no disk. So where such a node has not reached
 * the storage for a while, the list is looked at; if an entry is there it is taken off, and told.
 * Assumes: the caller acts, and is fresh when it begins a call. Never: touches a client's own
 * entry: its process might live.
 */
#include "agent/address.h"

#include "agent/draft.h"
#include "proto/assert.h"
#include "proto/text.h"
#include "proto/values.h"

void address_act(struct core *core, uint32_t slot, bool wanted, bool cut_off, struct caller *caller)
{
    const struct node_record *node = &core->cluster.nodes[slot];
    struct address *address = &core->local.acting.addresses[slot];
    bool remove = (wanted && node->address_blocked && !address->off) || (cut_off && address->stray);
    (void)call_overdue(&address->call, caller->now_ms);
    if ((!remove && !cut_off) || client_is_none(&node->client) || call_open(&address->call) ||
        !caller_fresh(caller) || caller->now_ms < address->retry_ms) {
        return;
    }
    struct action *action =
        call_begin(caller, &address->call, remove ? ACTION_BLOCK_REMOVE : ACTION_BLOCK_CHECK,
                   core->cluster.settings.call_ms, true);
    action->block.count = 1;
    action->block.entries[0] = client_address_entry(&node->client);
    address->looking = !remove;
    address->retry_ms = caller->now_ms + core->cluster.settings.call_ms;
}

void address_on_block(struct core *core, uint32_t slot, const struct event *event)
{
    struct address *address = &core->local.acting.addresses[slot];
    if (!call_ends(&address->call, event)) {
        return;
    }
    ASSERT(event->kind == EVENT_BLOCK);
    bool done = event->block.outcome == OUTCOME_DONE;
    if (address->looking && done && event->block.blocked_count > 0) {
        address->stray = true;
        address->told = false;
        address->stray_ms = event->now_ms;
        address->retry_ms = event->now_ms;
    } else if (!address->looking && done) {
        address->off = core->cluster.nodes[slot].state == NODE_FENCED;
        address->stray = false;
    }
}

void address_draft(struct core *core, uint32_t slot)
{
    const struct node_record *node = draft_peek_node(core, slot);
    struct address *address = &core->local.acting.addresses[slot];
    ASSERT(slot < NODES_MAX);
    if (address->stray_ms == 0 || address->told ||
        core->cluster.header.feature_level < LEVEL_LEDGER) {
        return;
    }
    struct client entry = client_address_entry(&node->client);
    struct text text = {0};
    text_add(text_add(text_add(&text, entry.address), " of "), node->name);
    text_add(&text, ", which takes part, stood on the blocklist and no fence wants it: taken off");
    draft_history(core, HISTORY_BARRIER, node->nodeid, NULL, text.bytes);
    address->told = true;
}
