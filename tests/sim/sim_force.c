/*
 * As agent/force_io.c: it asks Corosync who is here, watches for a while whether any of the others
 * still writes to the state object, and then replaces that object, if it is still the one it read.
 */
#include "tests/sim/sim_force.h"

#include "proto/assert.h"
#include "proto/values.h"
#include "storage/force.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_cpg.h"
#include "tests/sim/sim_operator.h"
#include "tests/sim/sim_rados.h"

#define WATCH_US (10 * SECOND)

static uint64_t here(const struct sim *sim, uint32_t node)
{
    const struct sim_ring *ring = sim->cpg.members[node].ring;
    return ring == NULL ? 0 : ring->members;
}

static uint64_t alive_since(const struct sim *sim, uint64_t since_us)
{
    uint64_t mask = 0;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        mask |= sim->rados.beat_us[n] > since_us ? UINT64_C(1) << n : 0;
    }
    return mask;
}

static void run_put(struct sim *sim, struct sim_task *task)
{
    uint32_t index = (uint32_t)task->number;
    uint32_t node = task->host;
    struct cluster *state = sim->rados.state;
    struct text text;
    struct force force = {.start = sim_rng_range(&sim->rng, 1, UINT32_MAX),
                          .wall_ms = SIM_WALL_MS,
                          .here = here(sim, node),
                          .alive = alive_since(sim, sim->now_us - WATCH_US),
                          .by = "operator"};
    if (!sim_rados_reaches(sim, node, true) || sim->rados.gone) {
        sim_operator_close(sim, index, VERDICT_REFUSED, "the state cannot be read");
    } else if (task->other != state->header.version) {
        sim_operator_close(sim, index, VERDICT_REFUSED,
                           "the state moved meanwhile: somebody is at work");
    } else if (!force_allowed(state, &force, &text)) {
        sim_operator_close(sim, index, VERDICT_REFUSED, text.bytes);
    } else {
        sim_cpg_note_works(sim);
        force_image(state, &force);
        sim_check_forced(sim);
        sim_operator_close(sim, index, VERDICT_DONE, "");
    }
}

void sim_force_do(struct sim *sim, uint32_t index)
{
    uint32_t node = sim->commands[index].step->node;
    sim_put(sim, WATCH_US, node,
            (struct sim_task){
                .run = run_put, .number = index, .other = sim->rados.state->header.version});
}
