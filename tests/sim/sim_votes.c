/*
 * votequorum, as of Corosync 3.1 (its source; seen in the lab): quorum is more than half of what is
 * expected, and of what is here. It does not fall again, but by somebody's order, or where a node
 * that is not quorate meets some that are: it takes over what they expect. A restarted Corosync
 * expects the whole nodelist; with two_node it waits for all of them (wait_for_all), and is quorate
 * alone from then on. A qdevice of algorithm ffsplit has one vote, and gives it to one ring.
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
static void recount(const struct sim *sim, struct sim_votes *votes, uint32_t here, bool may_fall)
{
    uint32_t cast = here + votes->device;
    votes->expected = more(votes->expected, cast);
    uint32_t quorum = sim->story->tie == TIE_TWO_NODE ? 1 : votes->expected / 2 + 1;
    votes->quorum = may_fall ? quorum : more(quorum, votes->quorum);
    votes->waits = votes->waits && here != votes->expected;
    votes->quorate = cast >= votes->quorum && !votes->waits;
}

void sim_votes_start(struct sim *sim, uint32_t node)
{
    bool device = sim->story->tie == TIE_QDEVICE;
    sim->hosts[node].votes = (struct sim_votes){.expected = sim->node_count + device,
                                                .waits = sim->story->tie == TIE_TWO_NODE};
    recount(sim, &sim->hosts[node].votes, 1, true);
}

static void run_show(struct sim *sim, struct sim_task *task)
{
    sim_cpg_show(sim, task->host);
}

/* Is the ring of `a`, as far as the qdevice hears its hosts, to have the vote rather than that of
 * `b`? The larger; of as large ones, the one with the lowest node id. */
static bool better(const struct sim *sim, uint32_t a, uint32_t b)
{
    uint32_t heard[2] = {0};
    for (uint32_t n = 0; n < sim->node_count; n++) {
        const struct sim_ring *ring = sim->hosts[n].net_up ? sim->cpg.members[n].ring : NULL;
        heard[0] += ring != NULL && ring == sim->cpg.members[a].ring;
        heard[1] += ring != NULL && ring == sim->cpg.members[b].ring;
    }
    return heard[0] > heard[1];
}

void sim_votes_device(struct sim *sim)
{
    uint32_t chosen = SIM_NO_HOST;
    if (sim->story->tie != TIE_QDEVICE) {
        return;
    }
    sim_cpg_note_works(sim);
    for (uint32_t n = 0; n < sim->node_count; n++) {
        bool heard = sim->cpg.members[n].ring != NULL && sim->hosts[n].net_up;
        if (heard && !sim->cpg.device_down && (chosen == SIM_NO_HOST || better(sim, n, chosen))) {
            chosen = n;
        }
    }
    for (uint32_t n = 0; n < sim->node_count; n++) {
        struct sim_votes *votes = &sim->hosts[n].votes;
        bool device = chosen != SIM_NO_HOST && sim->hosts[n].net_up &&
                      sim->cpg.members[n].ring == sim->cpg.members[chosen].ring;
        if (sim->cpg.members[n].ring != NULL && device != votes->device) {
            votes->device = device;
            recount(sim, votes, mask_count(members_of(sim, n)), false);
            sim_put(sim, REACHES_US, n, (struct sim_task){.run = run_show});
        }
    }
}

uint32_t sim_votes_quorum(const struct sim *sim, uint32_t node)
{
    uint32_t quorum = sim->hosts[node].votes.quorum;
    ASSERT(quorum > 0);
    return sim->story->tie == TIE_QDEVICE && quorum > 1 ? quorum - 1 : quorum;
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
            recount(sim, votes, mask_count(members), follows);
        }
    }
    sim_votes_device(sim);
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
            recount(sim, &sim->hosts[n].votes, here, true);
            sim_put(sim, 0, n, (struct sim_task){.run = run_show}); /* a frozen host: later */
        }
    }
}

void sim_votes_expect(struct sim *sim, uint32_t node, uint32_t votes)
{
    sim_put(sim, REACHES_US, node, (struct sim_task){.run = run_expect, .number = votes});
}

bool sim_votes_in_term(const struct sim *sim, uint32_t node)
{
    const struct cluster *state = sim->rados.state;
    const struct sim_host *host = &sim->hosts[node];
    return state != NULL && (state->header.members & BIT(node)) != 0 &&
           state->nodes[node].state == NODE_ADMITTED && host->has_file &&
           incarnation_equal(state->nodes[node].incarnation, host->file);
}

/* Half of those that count, of which one is in the term, or nobody of it has written lately. */
static bool has_term(const struct sim *sim, uint64_t nodes)
{
    const struct cluster *state = sim->rados.state;
    const uint64_t bar_us = state->settings.bar_ms * MS;
    uint64_t near = 0; /* in one ring with any of them */
    bool silent = true;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        near |= (nodes & BIT(n)) != 0 ? members_of(sim, n) : 0;
    }
    for (uint32_t n = 0; n < sim->node_count; n++) {
        bool here = (nodes & BIT(n)) != 0;
        bool member = (state->header.members & BIT(n)) != 0;
        if (here && sim_votes_in_term(sim, n)) {
            return true;
        }
        uint64_t still_us = sim->now_us - sim->rados.beat_us[n];
        bool gone = (near & BIT(n)) == 0 && still_us >= bar_us - bar_us / 100;
        silent = silent && (!member || here || gone);
    }
    return silent;
}

static bool are_half(const struct sim *sim, uint64_t nodes, bool more_than)
{
    uint32_t all = mask_count(state_counting(sim->rados.state));
    uint32_t ours = 0;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        ours += (nodes & BIT(n)) != 0 && state_counts(&sim->rados.state->nodes[n]);
    }
    return ours >= (more_than ? all / 2 + 1 : all - all / 2);
}

static bool are_enough(const struct sim *sim, uint64_t nodes)
{
    return are_half(sim, nodes, true) ||
           (sim->story->tie != TIE_NONE && are_half(sim, nodes, false) && has_term(sim, nodes));
}

bool sim_votes_hold(const struct sim *sim, uint32_t node)
{
    return sim->story->tie == TIE_NONE || sim->rados.state == NULL ||
           are_enough(sim, members_of(sim, node));
}

/* A half that forms just as the other takes the term goes, for fresh_ms, by what it read before:
 * that the term is that of one who is in its ring now, whichever ring that one was in then. */
uint64_t sim_votes_held_us(const struct sim *sim, uint32_t node)
{
    const uint64_t ring = members_of(sim, node);
    uint64_t held_us = sim->cpg.members[node].held_us;
    if (sim_votes_hold(sim, node)) {
        return sim->now_us;
    }
    for (uint32_t n = 0; n < sim->node_count && are_half(sim, ring, false); n++) {
        uint64_t term_us = (ring & BIT(n)) != 0 ? sim->cpg.members[n].term_us : 0;
        held_us = term_us > held_us ? term_us : held_us;
    }
    return held_us;
}

bool sim_votes_suffice(const struct sim *sim, uint64_t nodes)
{
    for (uint32_t n = 0; n < sim->node_count; n++) {
        const struct sim_votes *votes = &sim->hosts[n].votes;
        if ((nodes & BIT(n)) != 0 &&
            (votes->waits || mask_count(nodes) + votes->device < votes->quorum)) {
            return false;
        }
    }
    return nodes != 0 && are_enough(sim, nodes);
}
