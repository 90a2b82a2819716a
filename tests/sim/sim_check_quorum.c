/*
 * The checker of I4: a host that has no quorum, in truth, has no guest that runs.
 * Of one given back to libvirt, or not adopted yet, nothing is promised.
 *
 * In truth: it is in no ring whose token goes round and that has the votes. One rule: so much time
 * since the last moment at which nobody could have asked it. That is while the ring worked; while
 * the agent was dead, hung, had just begun, or had read nothing that binds it (no state, a lower
 * feature level, HA paused, an absence announced that lasts); while its host was frozen or its
 * libvirt did not even list its domains; and, of one guest, while it did not run or no signal ended
 * it. The time: until our own heartbeats have gone unanswered for too long, and then until what
 * does not stand still is killed.
 */
#include "proto/assert.h"
#include "storage/state.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_cpg.h"

#define DEADLINE_MS                                                                                \
    5000 /* from the word to stand still to its death; a figure of its own, not the core's */
#define SLACK_MS 1500    /* a step comes at least every beat_ms; a kill takes some 30 ms */
#define LISTED_US SECOND /* after its start: libvirt's list, the state, the ring */

static uint64_t latest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Since when this agent could have seen, and done, what is to be done. */
static uint64_t able_since_us(const struct sim *sim, uint32_t node)
{
    const struct sim_host *host = &sim->hosts[node];
    uint64_t since_us = latest(host->agent.began_us + LISTED_US, host->agent.hung_until_us);
    since_us = latest(since_us, host->thaw_us);
    since_us = latest(since_us, host->libvirt_until_us);
    since_us = latest(since_us, host->excused_us);
    return latest(since_us, sim_cpg_worked_us(sim, node));
}

/* By what its agent has read, whatever was committed since. */
static bool is_excused(const struct sim *sim, uint32_t node)
{
    const struct cluster *copy = &sim->hosts[node].agent.core->cluster;
    uint64_t gone_us = sim->now_us - sim_cpg_worked_us(sim, node);
    return copy->header.version == 0 || copy->settings.ha != HA_ON ||
           copy->header.feature_level < LEVEL_SUSPENDS || sim->hosts[node].level < LEVEL_SUSPENDS ||
           gone_us < copy->nodes[node].away_ms * MS;
}

/* By what its agent has read, here too. */
static bool is_ours(const struct sim *sim, const struct sim_guest *guest)
{
    const struct cluster *copy = &sim->hosts[guest->node].agent.core->cluster;
    ASSERT(guest->vm < sim->vm_count);
    return !guest->by_hand && state_find_vm_uuid(copy, &sim->vms[guest->vm].uuid) != VMS_MAX;
}

void sim_check_quorum(struct sim *sim, uint32_t node)
{
    struct sim_host *host = &sim->hosts[node];
    if (!host->agent.alive || sim_cpg_works(sim, node)) {
        return;
    }
    if (is_excused(sim, node)) {
        host->excused_us = sim->now_us;
        return;
    }
    const struct settings *settings = &host->agent.core->cluster.settings;
    uint64_t unanswered_ms = settings->fresh_ms + 2 * (uint64_t)sim_cpg_detect_ms(sim);
    uint64_t bound_us = MS * (unanswered_ms + DEADLINE_MS + SLACK_MS);
    uint64_t able_us = able_since_us(sim, node);
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        uint64_t from_us = latest(able_us, latest(guest->runs_us, guest->stuck_until_us));
        if (guest->alive && guest->node == node && guest->state == GUEST_RUNNING &&
            sim->now_us > from_us + bound_us + bound_us / 100 && is_ours(sim, guest)) {
            sim_violation(sim, "I4: %s still runs on %s, %llu ms after that lost its quorum",
                          sim->story->vms[guest->vm].name, sim->story->nodes[node].name,
                          (unsigned long long)((sim->now_us - able_us) / MS));
        }
    }
}
