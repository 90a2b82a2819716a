/*
 * One node's fence.
 *
 * Decides: which blocklist entries end a lost node's agent and, unless the machine is already back,
 * every client at its address; when to try again. The barrier and the power
 * (fencing/power.c) begin at once; the barrier never waits for it.
 * A host that nobody has seen since the power came back may be booting: where the barrier is proof
 * enough, it is not switched off in the middle of that. Where its record says so, a fenced host is
 * switched on again, once it was read off.
 * Assumes: the node's record is NODE_LOST by a commit of a term we hold (the right to fence), and
 * the caller's freshness. Entries are read back by the edge before it says DONE. Never: adds an
 * address entry against a machine that is back (it would hit its new agent), and never takes
 * anything but a read-back "off" for power.
 */
#include "fencing/fence.h"

#include <string.h>

#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/values.h"

static void add_entry(struct action_block *block, struct client entry)
{
    ASSERT(block->count < BLOCK_ENTRIES_MAX);
    block->entries[block->count++] = entry;
}

static void raise_barrier(struct fence *fence, const struct node_record *node,
                          const struct settings *settings, struct caller *caller)
{
    ASSERT(node->state == NODE_LOST);
    if (client_is_none(&node->client)) { /* it never had a handle: nothing of it can write */
        fence->state = FENCE_STANDS;
        fence->proofs |= PROOF_STORAGE;
        fence->stands_ms = caller->now_ms;
        return;
    }
    struct action *action =
        call_begin(caller, &fence->barrier_call, ACTION_BLOCK_ADD, settings->call_ms, true);
    if (!node->client_only) {
        add_entry(&action->block, client_address_entry(&node->client));
        fence->address = true;
    }
    add_entry(&action->block, node->client);
    fence->state = FENCE_RAISING;
}

void fence_carry_on(struct fence *fence, const struct node_record *node, enum fence_power power,
                    const struct settings *settings, struct caller *caller)
{
    ASSERT(node->state == NODE_LOST || node->state == NODE_FENCED);
    if (!incarnation_equal(fence->incarnation, node->incarnation)) {
        *fence = (struct fence){.incarnation = node->incarnation, .begun_ms = caller->now_ms};
    }
    if (!caller_fresh(caller)) {
        return;
    }
    bool due = fence->state == FENCE_IDLE ||
               (fence->state == FENCE_WAITING && caller->now_ms >= fence->barrier_retry_ms);
    if (due && node->state == NODE_LOST) {
        raise_barrier(fence, node, settings, caller);
    }
    bool known_off = (node->proofs & PROOF_POWER) != 0;
    if (power != FENCE_POWER_SPARED && !known_off && !node->client_only) {
        power_off_carry_on(&fence->power, node, power == FENCE_POWER_NEEDED, settings, caller);
    } else if (known_off && node->power_on && node->state == NODE_FENCED) {
        power_on_again(&fence->power, node, settings, caller);
    }
}

bool fence_on_block(struct fence *fence, const struct event *event, const struct settings *settings)
{
    if (!call_ends(&fence->barrier_call, event)) {
        return false;
    }
    ASSERT(fence->state == FENCE_RAISING);
    if (event->block.outcome == OUTCOME_DONE) {
        fence->state = FENCE_STANDS;
        fence->proofs |= PROOF_STORAGE;
        fence->stands_ms = event->now_ms;
        fence->osd_epoch = event->block.osd_epoch;
        return true;
    }
    fence->state = FENCE_WAITING;
    fence->barrier_retry_ms = event->now_ms + timing_retry_ms(settings, fence->barrier_tries++) / 4;
    return true;
}

bool fence_on_power(struct fence *fence, const struct event *event, const struct settings *settings)
{
    if (!power_on_event(&fence->power, event, settings)) {
        return false;
    }
    if (fence->power.state == POWER_OFF) {
        fence->proofs |= PROOF_POWER;
    }
    return true;
}

void fence_on_tick(struct fence *fence, uint64_t now_ms)
{
    if (call_overdue(&fence->barrier_call, now_ms)) {
        ASSERT(fence->state == FENCE_RAISING);
        fence->state = FENCE_WAITING; /* for nothing: the retry time was past at the call */
    }
    power_on_tick(&fence->power, now_ms);
}
