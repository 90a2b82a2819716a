/*
 * A host's monotonic clock runs at its own rate (`drift_ppm` too fast); its wall clock follows that
 * and may be stepped. Virtual time is the true one.
 */
#include "tests/sim/sim_clock.h"

#include "proto/assert.h"

#define PER_MILLION INT64_C(1000000)

static uint64_t local_us(const struct sim *sim, uint32_t node)
{
    const struct sim_host *host = &sim->hosts[node];
    uint64_t local = sim->now_us + host->clock_us;
    if (host->drift_ppm != 0) {
        int64_t passed_us = (int64_t)(sim->now_us - host->drift_from_us);
        local += (uint64_t)(passed_us * host->drift_ppm / PER_MILLION);
    }
    return local;
}

uint64_t sim_clock_ms(const struct sim *sim, uint32_t node)
{
    ASSERT(node < sim->node_count);
    return local_us(sim, node) / MS;
}

uint64_t sim_clock_wall_ms(const struct sim *sim, uint32_t node)
{
    const struct sim_host *host = &sim->hosts[node];
    uint64_t ahead_us = local_us(sim, node) - sim->now_us - host->clock_us;
    return SIM_WALL_MS + (uint64_t)((int64_t)(sim->now_us + ahead_us) + host->wall_us) / MS;
}

uint64_t sim_clock_true_us(const struct sim *sim, uint32_t node, uint64_t wait_us)
{
    int32_t ppm = sim->hosts[node].drift_ppm;
    if (ppm == 0) {
        return wait_us;
    }
    return (uint64_t)((int64_t)wait_us * PER_MILLION / (PER_MILLION + ppm)) + 1;
}

void sim_clock_begin(struct sim *sim, uint32_t node, uint64_t in_us)
{
    struct sim_host *host = &sim->hosts[node];
    host->clock_us = SECOND - (sim->now_us + in_us);
    host->drift_from_us = sim->now_us + in_us;
}

void sim_clock_change(struct sim *sim, const struct scenario_step *step)
{
    struct sim_host *host = &sim->hosts[step->node];
    ASSERT(step->kind == STEP_CLOCK);
    if (!step->drifts) {
        host->wall_us += step->wall_us;
        return;
    }
    host->clock_us = local_us(sim, step->node) - sim->now_us;
    host->drift_from_us = sim->now_us;
    host->drift_ppm = step->drift_ppm;
}
