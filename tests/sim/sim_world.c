/* The world as such: how it begins, goes on from one thing to the next, and is put away. */
#include <stdlib.h>

#include "proto/assert.h"
#include "tests/sim/sim_call.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_cpg.h"
#include "tests/sim/sim_hang.h"

void sim_put(struct sim *sim, uint64_t delay_us, uint32_t host, struct sim_task task)
{
    task.at_us = sim->now_us + delay_us;
    task.host = host;
    task.sequence = 0;
    task.life = host == SIM_NO_HOST ? 0 : sim->hosts[host].life;
    sim_queue_put(&sim->queue, &task);
}

static void run_task(struct sim *sim, struct sim_task *task)
{
    if (task->host != SIM_NO_HOST) {
        const struct sim_host *host = &sim->hosts[task->host];
        if (host->life != task->life) {
            return;
        }
        if (host->frozen) {
            /* After the thaw itself, so that all that waited goes on in the order it came in. */
            task->at_us = (host->thaw_us > sim->now_us ? host->thaw_us : sim->now_us) + 1;
            sim_queue_put(&sim->queue, task);
            task->news = NULL;
            return;
        }
    }
    task->run(sim, task);
    sim_check_world(sim);
}

bool sim_turn(struct sim *sim)
{
    if (!sim_queue_take(&sim->queue, &sim->task) || sim->task.at_us > sim->story->run_us) {
        return false;
    }
    ASSERT(sim->task.at_us >= sim->now_us);
    sim->now_us = sim->task.at_us;
    run_task(sim, &sim->task);
    sim_pool_give(&sim->pools.news, sim->task.news);
    return true;
}

static struct sim_pools pools_new(void)
{
    return (struct sim_pools){
        .news = {.size = sizeof(struct sim_news)},
        .calls = {.size = sizeof(struct sim_call)},
        .messages = {.size = sizeof(struct sim_message)},
        .beats = {.size = sizeof(struct beat)},
        .deltas = {.size = sizeof(struct delta)},
        .images = {.size = sizeof(struct cluster)},
    };
}

static void pools_free(struct sim_pools *pools)
{
    sim_pool_free(&pools->news);
    sim_pool_free(&pools->calls);
    sim_pool_free(&pools->messages);
    sim_pool_free(&pools->beats);
    sim_pool_free(&pools->deltas);
    sim_pool_free(&pools->images);
}

struct sim *sim_new(const struct scenario *story)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    ASSERT(sim != NULL);
    sim->actions = calloc(1, sizeof(*sim->actions));
    sim->commands = calloc(SIM_STEPS_MAX, sizeof(*sim->commands));
    ASSERT(sim->actions != NULL);
    ASSERT(sim->commands != NULL);
    sim->pools = pools_new();
    sim->story = story;
    sim->node_count = story->node_count;
    sim->vm_count = story->vm_count;
    sim->stepping = SIM_NO_HOST;
    sim_rng_seed(&sim->rng, story->seed);
    return sim;
}

void sim_free(struct sim *sim)
{
    sim_queue_free(&sim->queue);
    for (uint32_t n = 0; n < sim->node_count; n++) {
        sim_hang_over(sim, n);
    }
    sim_cpg_free(sim);
    pools_free(&sim->pools);
    for (uint32_t n = 0; n < sim->node_count; n++) {
        free(sim->hosts[n].agent.core);
    }
    free(sim->rados.state);
    free(sim->rados.kept);
    free(sim->rados.newest);
    free(sim->rados.blocks);
    free(sim->guests);
    free(sim->commands);
    free(sim->digests);
    free(sim->actions);
    free(sim->trace.bytes);
    free(sim);
}
