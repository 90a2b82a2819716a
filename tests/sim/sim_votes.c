/*
 * votequorum, as of Corosync 3.1: quorum is more than half of the highest number of votes that a
 * member of the ring expects. A restarted Corosync expects the whole nodelist; setting the number
 * reaches every member of the ring, and is refused where more than twice as many are here.
 */
#include "tests/sim/sim_votes.h"

#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"
#include "tests/sim/sim_cpg.h"

#define REACHES_US (5 * MS)
#define BIT(index) (UINT64_C(1) << (index))

static uint64_t members_of(const struct sim *sim, uint32_t node)
{
    const struct sim_ring *ring = sim->cpg.members[node].ring;
    return ring == NULL ? 0 : ring->members;
}

static void expect_all(struct sim *sim, uint64_t members, uint32_t votes)
{
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((members & BIT(n)) != 0) {
            sim->hosts[n].expected_votes = votes;
        }
    }
}

void sim_votes_start(struct sim *sim, uint32_t node)
{
    sim->hosts[node].expected_votes = sim->node_count;
}

void sim_votes_meet(struct sim *sim, uint64_t members)
{
    uint32_t votes = 1;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((members & BIT(n)) != 0 && sim->hosts[n].expected_votes > votes) {
            votes = sim->hosts[n].expected_votes;
        }
    }
    expect_all(sim, members, votes);
}

static void run_show(struct sim *sim, struct sim_task *task)
{
    sim_cpg_show(sim, task->host);
}

static void run_expect(struct sim *sim, struct sim_task *task)
{
    uint32_t node = task->host;
    uint32_t votes = (uint32_t)task->number;
    uint64_t members = members_of(sim, node);
    uint32_t here = mask_count(members);
    if (here == 0 || votes / 2 + 1 < here / 2 || votes / 2 + 1 > here) {
        sim_log(sim, node, "Corosync refuses to expect %u votes", votes);
        return;
    }
    sim_log(sim, node, "Corosync expects %u votes", votes);
    expect_all(sim, members, votes);
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((members & BIT(n)) != 0) {
            sim_put(sim, 0, n, (struct sim_task){.run = run_show}); /* a frozen host: later */
        }
    }
}

void sim_votes_expect(struct sim *sim, uint32_t node, uint32_t votes)
{
    sim_put(sim, REACHES_US, node, (struct sim_task){.run = run_expect, .number = votes});
}

uint32_t sim_votes_quorum(const struct sim *sim, uint32_t node)
{
    uint32_t here = mask_count(members_of(sim, node));
    uint32_t expected = sim->hosts[node].expected_votes;
    ASSERT(expected > 0);
    return (expected > here ? expected : here) / 2 + 1;
}

bool sim_votes_quorate(const struct sim *sim, uint32_t node)
{
    return mask_count(members_of(sim, node)) >= sim_votes_quorum(sim, node);
}

bool sim_votes_suffice(const struct sim *sim, uint64_t nodes)
{
    uint32_t ours = 0;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        bool in = (nodes & BIT(n)) != 0;
        ours += in && state_counts(&sim->rados.state->nodes[n]);
        if (in && mask_count(nodes) < sim_votes_quorum(sim, n)) {
            return false;
        }
    }
    return nodes != 0 && ours > mask_count(state_counting(sim->rados.state)) / 2;
}
