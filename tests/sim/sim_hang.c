/*
 * A process that stands still goes on where it was: first with all that Corosync had for it
 * meanwhile, oldest first, then with its timers and answers. What it hears then was said long ago.
 */
#include "tests/sim/sim_hang.h"

#include <stdlib.h>

#include "proto/assert.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_cpg.h"
#include "tests/sim/sim_host.h"

#define WATCHDOG_US (10 * SECOND) /* WatchdogSec= of the unit */

struct sim_kept {
    struct sim_message *message; /* NULL: the ring */
    struct event_ring ring;
};

static bool hangs(const struct sim_agent *agent)
{
    return agent->alive && agent->hung;
}

bool sim_hang_waits(struct sim *sim, struct sim_task *task)
{
    const struct sim_agent *agent = &sim->hosts[task->host].agent;
    if (!hangs(agent)) {
        return false;
    }
    task->at_us = agent->hung_until_us > sim->now_us ? agent->hung_until_us + 1 : sim->now_us + 1;
    sim_queue_put(&sim->queue, task);
    task->news = NULL;
    return true;
}

bool sim_hang_keeps(struct sim *sim, uint32_t node, struct sim_message *message,
                    const struct event_ring *ring)
{
    struct sim_agent *agent = &sim->hosts[node].agent;
    if (!hangs(agent)) {
        return false;
    }
    if (agent->kept_count == agent->kept_room) {
        agent->kept_room = agent->kept_room == 0 ? 64 : agent->kept_room * 2;
        agent->kept = realloc(agent->kept, agent->kept_room * sizeof(*agent->kept));
        ASSERT(agent->kept != NULL);
    }
    struct sim_kept *kept = &agent->kept[agent->kept_count++];
    *kept = (struct sim_kept){.message = message};
    if (message != NULL) {
        message->refs++;
    } else {
        kept->ring = *ring;
    }
    return true;
}

void sim_hang_over(struct sim *sim, uint32_t node)
{
    struct sim_agent *agent = &sim->hosts[node].agent;
    for (size_t i = 0; i < agent->kept_count; i++) {
        if (agent->kept[i].message != NULL) {
            sim_message_drop(sim, agent->kept[i].message);
        }
    }
    free(agent->kept);
    agent->kept = NULL;
    agent->kept_count = 0;
    agent->kept_room = 0;
    agent->hung = false;
}

static void run_on(struct sim *sim, struct sim_task *task)
{
    struct sim_agent *agent = &sim->hosts[task->host].agent;
    if (!hangs(agent) || agent->life != task->number || agent->hung_until_us > sim->now_us) {
        return;
    }
    struct sim_kept *kept = agent->kept;
    size_t count = agent->kept_count;
    agent->kept = NULL;
    agent->kept_count = 0;
    sim_hang_over(sim, task->host);
    sim_log(sim, task->host, "agent goes on, %zu messages and rings late", count);
    for (size_t i = 0; i < count; i++) {
        if (kept[i].message != NULL) {
            sim_message_deliver(sim, task->host, kept[i].message);
            sim_message_drop(sim, kept[i].message);
        } else if (agent->life == task->number) {
            struct event event = {.kind = EVENT_RING, .ring = kept[i].ring};
            sim_agent_event(sim, task->host, &event);
        }
    }
    free(kept);
}

static void run_watchdog(struct sim *sim, struct sim_task *task)
{
    const struct sim_agent *agent = &sim->hosts[task->host].agent;
    if (hangs(agent) && agent->life == task->number && agent->hung_until_us > sim->now_us) {
        sim_log(sim, task->host, "systemd kills the agent, which hangs");
        sim_agent_kill(sim, task->host);
    }
}

void sim_hang(struct sim *sim, uint32_t node, uint64_t for_us)
{
    struct sim_agent *agent = &sim->hosts[node].agent;
    if (!agent->alive || agent->hung) {
        return;
    }
    sim_host_hurt(sim, node);
    agent->hung = true;
    agent->hung_until_us = sim->now_us + for_us;
    sim_put(sim, for_us, node, (struct sim_task){.run = run_on, .number = agent->life});
    sim_put(sim, WATCHDOG_US, node, (struct sim_task){.run = run_watchdog, .number = agent->life});
}
