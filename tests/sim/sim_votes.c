/*
 * votequorum, as of Corosync 3.1 (its source; seen in the lab): quorum is more than half of what is
 * expected, and of what is here. It does not fall again, but by somebody's order, or where a node
 * that is not quorate meets some that are: it takes over what they expect. A restarted Corosync
 * expects the whole nodelist.
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

static uint32_t more(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Counts anew on one host, all of `here` being in its ring. */
static void recount(struct sim_votes *votes, uint32_t here, bool may_fall)
{
    votes->expected = more(votes->expected, here);
    uint32_t quorum = votes->expected / 2 + 1;
    votes->quorum = may_fall ? quorum : more(quorum, votes->quorum);
    votes->quorate = here >= votes->quorum;
}

void sim_votes_start(struct sim *sim, uint32_t node)
{
    sim->hosts[node].votes = (struct sim_votes){.expected = sim->node_count};
    recount(&sim->hosts[node].votes, 1, true);
}

void sim_votes_meet(struct sim *sim, uint64_t members)
{
    uint32_t quorate = 0; /* the most that any who is quorate expects */
    for (uint32_t n = 0; n < sim->node_count; n++) {
        const struct sim_votes *votes = &sim->hosts[n].votes;
        if ((members & BIT(n)) != 0 && votes->quorate) {
            quorate = more(quorate, votes->expected);
        }
    }
    for (uint32_t n = 0; n < sim->node_count; n++) {
        struct sim_votes *votes = &sim->hosts[n].votes;
        if ((members & BIT(n)) != 0) {
            bool follows = quorate > 0 && !votes->quorate;
            votes->expected = quorate > 0 ? quorate : votes->expected;
            recount(votes, mask_count(members), follows);
        }
    }
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
    if (!sim_cpg_goes_round(sim, node)) {
        return; /* a message in the ring, as any other */
    }
    if (votes / 2 + 1 < here / 2 || votes / 2 + 1 > here) {
        sim_log(sim, node, "Corosync refuses to expect %u votes", votes);
        return;
    }
    sim_log(sim, node, "Corosync expects %u votes", votes);
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((members & BIT(n)) != 0) {
            sim->hosts[n].votes.expected = votes;
            recount(&sim->hosts[n].votes, here, true);
            sim_put(sim, 0, n, (struct sim_task){.run = run_show}); /* a frozen host: later */
        }
    }
}

void sim_votes_expect(struct sim *sim, uint32_t node, uint32_t votes)
{
    sim_put(sim, REACHES_US, node, (struct sim_task){.run = run_expect, .number = votes});
}

bool sim_votes_suffice(const struct sim *sim, uint64_t nodes)
{
    uint32_t ours = 0;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        bool in = (nodes & BIT(n)) != 0;
        ours += in && state_counts(&sim->rados.state->nodes[n]);
        if (in && mask_count(nodes) < sim->hosts[n].votes.quorum) {
            return false;
        }
    }
    return nodes != 0 && ours > mask_count(state_counting(sim->rados.state)) / 2;
}
