/*
 * One VM's part of the barrier.
 *
 * Decides: which clients of a dead holder must be on the blocklist before its lease may be taken,
 * and at which generation of the lease that is so. The takeover compares against that very
 * generation: if the holder named another client in between, the comparison fails and the barrier
 * is raised again, then also against whoever has the images open at the dead node's address.
 * Assumes: the node's own entries (fencing/fence.h) are raised beside it.
 * Never: takes a missing or foreign lease for a free one; it counts as held by every node that
 * could have run the VM, so nothing starts and a person is told.
 */
#include "storage/barrier.h"

#include <string.h>

#include "proto/assert.h"
#include "proto/values.h"
#include "storage/lease.h"

void barrier_init(struct barrier *barrier, uint32_t slot, const struct uuid *vm,
                  const struct client *address, bool again)
{
    ASSERT(slot < VMS_MAX);
    ASSERT(!uuid_is_zero(vm));
    *barrier = (struct barrier){.slot = slot, .vm = *vm, .address = *address, .again = again};
}

static void wait(struct barrier *barrier, uint64_t now_ms, const struct settings *settings)
{
    barrier->state = BARRIER_WAITING;
    barrier->failed_count++;
    barrier->again = true;
    barrier->retry_ms = now_ms + settings->retry_ms / 4;
}

static void end_well(struct barrier *barrier, enum barrier_state state)
{
    ASSERT(state == BARRIER_STANDS || state == BARRIER_FREE);
    barrier->state = state;
    barrier->failed_count = 0;
}

static void read_lease(struct barrier *barrier, const struct settings *settings,
                       struct caller *caller)
{
    struct action *action =
        call_begin(caller, &barrier->call, ACTION_LEASE_READ, settings->call_ms, false);
    action->lease.lease.vm = barrier->vm;
    barrier->state = BARRIER_READING;
}

static void read_watchers(struct barrier *barrier, const struct settings *settings,
                          struct caller *caller)
{
    struct action *action =
        call_begin(caller, &barrier->call, ACTION_WATCHERS_READ, settings->call_ms, false);
    action->vm.uuid = barrier->vm;
}

static void block_clients(struct barrier *barrier, const struct settings *settings,
                          struct caller *caller)
{
    ASSERT(barrier->lease.state == LEASE_HELD);
    if (barrier->lease.clients.count == 0) {
        /* A guest never ran with a client its lease does not name. */
        end_well(barrier, BARRIER_STANDS);
        return;
    }
    struct action *action =
        call_begin(caller, &barrier->call, ACTION_BLOCK_ADD, settings->call_ms, true);
    _Static_assert(BLOCK_ENTRIES_MAX >= CLIENTS_PER_VM_MAX, "one action blocks all of a lease");
    action->block.count = barrier->lease.clients.count;
    memcpy(action->block.entries, barrier->lease.clients.list,
           barrier->lease.clients.count * sizeof(struct client));
}

void barrier_carry_on(struct barrier *barrier, const struct settings *settings,
                      struct caller *caller)
{
    ASSERT(barrier->state < BARRIER_STATE_COUNT);
    if (call_open(&barrier->call) || !caller_fresh(caller)) {
        return;
    }
    switch (barrier->state) {
    case BARRIER_WAITING:
        if (caller->now_ms < barrier->retry_ms) {
            return;
        }
        read_lease(barrier, settings, caller);
        return;
    case BARRIER_IDLE:
        read_lease(barrier, settings, caller);
        return;
    case BARRIER_WATCHERS:
        read_watchers(barrier, settings, caller);
        return;
    case BARRIER_RAISING:
        block_clients(barrier, settings, caller);
        return;
    case BARRIER_READING:
    case BARRIER_STANDS:
    case BARRIER_FREE:
    case BARRIER_FREEING:
    case BARRIER_STATE_COUNT:
        return;
    }
}

void barrier_free(struct barrier *barrier, const struct settings *settings, struct caller *caller)
{
    ASSERT(barrier->state == BARRIER_STANDS);
    ASSERT(caller_fresh(caller));
    struct action *action =
        call_begin(caller, &barrier->call, ACTION_LEASE_CHANGE, settings->call_ms, true);
    action->lease.lease = lease_free(&barrier->lease, END_UNKNOWN);
    action->lease.wait_map = true;
    barrier->state = BARRIER_FREEING;
}

bool barrier_on_lease(struct barrier *barrier, const struct event *event,
                      const struct uuid *cluster_id, const struct settings *settings)
{
    if (!call_ends(&barrier->call, event)) {
        return false;
    }
    const struct event_lease *answer = &event->lease;
    barrier->missing = answer->outcome == OUTCOME_MISSING ||
                       (answer->has_lease && (!uuid_equal(&answer->lease.cluster_id, cluster_id) ||
                                              answer->lease.state == LEASE_MOVING));
    bool freed = barrier->state == BARRIER_FREEING && answer->outcome == OUTCOME_DONE;
    bool read = barrier->state == BARRIER_READING && answer->outcome == OUTCOME_DONE;
    if (barrier->missing || !answer->has_lease || (!freed && !read)) {
        wait(barrier, event->now_ms, settings);
        barrier->failed_count = barrier->missing ? 0 : barrier->failed_count;
        return true;
    }
    barrier->lease = answer->lease;
    if (answer->lease.state == LEASE_FREE) {
        end_well(barrier, BARRIER_FREE);
    } else {
        barrier->state = barrier->again ? BARRIER_WATCHERS : BARRIER_RAISING;
    }
    return true;
}

bool barrier_on_watchers(struct barrier *barrier, const struct event *event,
                         const struct settings *settings)
{
    if (!call_ends(&barrier->call, event)) {
        return false;
    }
    ASSERT(barrier->state == BARRIER_WATCHERS);
    if (event->watchers.outcome != OUTCOME_DONE) {
        wait(barrier, event->now_ms, settings);
        return true;
    }
    barrier->state = BARRIER_RAISING;
    for (uint32_t i = 0; i < event->watchers.clients.count; i++) {
        const struct client *watcher = &event->watchers.clients.list[i];
        struct client entry = client_address_entry(watcher);
        if (client_equal(&entry, &barrier->address)) {
            (void)clients_add(&barrier->lease.clients, watcher); /* full: those named count first */
        }
    }
    return true;
}

bool barrier_on_block(struct barrier *barrier, const struct event *event,
                      const struct settings *settings)
{
    if (!call_ends(&barrier->call, event)) {
        return false;
    }
    ASSERT(barrier->state == BARRIER_RAISING);
    if (event->block.outcome == OUTCOME_DONE) {
        end_well(barrier, BARRIER_STANDS);
    } else {
        wait(barrier, event->now_ms, settings);
    }
    return true;
}

void barrier_on_tick(struct barrier *barrier, uint64_t now_ms)
{
    if (call_overdue(&barrier->call, now_ms)) {
        barrier->failed_count++;
        barrier->state = BARRIER_WAITING; /* for nothing: its retry_ms was past at the call */
    }
}
