/*
 * The run lease: the right to run one VM, kept in the same system as its disks.
 *
 * Decides: what follows a lease. Every change raises the generation (a holder's by one, a restore's
 * to above all that an epoch knew), so that a change which lands late fails its comparison; a
 * generation is never used for two different contents by one holder (each content names its action,
 * its clients or how it ended).
 * Assumes: the edge writes lease_X(...) only by comparing `generation - 1`.
 * Never: frees or takes without a step of the generation.
 */
#include "storage/lease.h"

#include "proto/assert.h"
#include "proto/values.h"

bool lease_held_by(const struct lease *lease, uint32_t nodeid, struct incarnation incarnation)
{
    return lease->state == LEASE_HELD && lease->holder == nodeid &&
           incarnation_equal(lease->incarnation, incarnation);
}

struct lease lease_take(const struct uuid *cluster_id, const struct uuid *vm, uint64_t from,
                        uint32_t nodeid, struct incarnation incarnation, struct action_id action)
{
    ASSERT(nodeid != 0);
    ASSERT(!incarnation_is_none(incarnation));
    return (struct lease){
        .cluster_id = *cluster_id,
        .vm = *vm,
        .state = LEASE_HELD,
        .holder = nodeid,
        .incarnation = incarnation,
        .action = action,
        .generation = from + 1,
    };
}

struct lease lease_name(const struct lease *lease, const struct clients *clients)
{
    ASSERT(lease->state == LEASE_HELD);
    ASSERT(clients->count > 0);
    struct lease next = *lease;
    next.clients = *clients;
    next.generation++;
    return next;
}

struct lease lease_free(const struct lease *lease, enum domain_end end)
{
    ASSERT(lease->state == LEASE_HELD || lease->state == LEASE_FREE);
    ASSERT(lease->generation > 0);
    return (struct lease){
        .cluster_id = lease->cluster_id,
        .vm = lease->vm,
        .state = LEASE_FREE,
        .action = lease->action,
        .generation = lease->generation + 1,
        .end = end,
    };
}

bool lease_is_raised(const struct lease *ours, const struct lease *seen)
{
    struct lease raised = *ours;
    ASSERT(uuid_equal(&ours->vm, &seen->vm));
    raised.generation = seen->generation;
    return ours->state == LEASE_HELD && seen->generation > ours->generation &&
           lease_is(&raised, seen);
}

bool lease_is(const struct lease *wanted, const struct lease *seen)
{
    return seen->generation == wanted->generation && seen->state == wanted->state &&
           seen->holder == wanted->holder &&
           incarnation_equal(seen->incarnation, wanted->incarnation) &&
           action_id_equal(seen->action, wanted->action) && seen->end == wanted->end &&
           clients_equal(&seen->clients, &wanted->clients);
}
