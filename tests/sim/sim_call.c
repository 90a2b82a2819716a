/*
 * The book-keeping of calls. The deadline runs on the host's own clock: a frozen host hears of it
 * after the thaw, after whatever answer came meanwhile.
 */
#include "tests/sim/sim_call.h"

#include <stddef.h>
#include <string.h>

#include "proto/assert.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_hang.h"

static void call_free(struct sim *sim, struct sim_call *call)
{
    *(call->prior != NULL ? &call->prior->next : &sim->rados.first_call) = call->next;
    *(call->next != NULL ? &call->next->prior : &sim->rados.last_call) = call->prior;
    sim_pool_give(&sim->pools.deltas, call->delta);
    sim_pool_give(&sim->pools.images, call->image);
    sim_pool_give(&sim->pools.calls, call);
}

void sim_call_done(struct sim *sim, struct sim_call *call)
{
    ASSERT(call->refs > 0);
    if (--call->refs == 0 && !call->held && !call->stalled) {
        call_free(sim, call);
    }
}

void sim_call_put(struct sim *sim, struct sim_call *call, uint64_t delay_us, uint32_t host,
                  void (*run)(struct sim *, struct sim_task *))
{
    call->refs++;
    sim_put(sim, delay_us, host, (struct sim_task){.run = run, .object = call});
}

bool sim_call_lives(const struct sim *sim, const struct sim_call *call)
{
    const struct sim_host *host = &sim->hosts[call->node];
    return host->life == call->life && host->agent.alive && host->agent.life == call->agent_life;
}

bool sim_call_stale(const struct sim *sim, const struct sim_call *call)
{
    return call->action.valid_until_ms != 0 &&
           sim_clock_ms(sim, call->node) >= call->action.valid_until_ms;
}

struct sim_news *sim_news(struct sim *sim, struct sim_call *call, const struct event *event)
{
    struct sim_news *news = sim_pool_take(&sim->pools.news);
    news->call = call;
    news->own = false;
    news->event = *event;
    return news;
}

struct delta *sim_delta_copy(struct sim *sim, const struct delta *delta)
{
    struct delta *copy = sim_pool_take(&sim->pools.deltas);
    ASSERT(delta->count <= DELTA_RECORDS_MAX);
    memcpy(copy, delta, offsetof(struct delta, records) + delta->count * sizeof(delta->records[0]));
    return copy;
}

static void run_answer(struct sim *sim, struct sim_task *task)
{
    if (sim_hang_waits(sim, task)) {
        return;
    }
    struct sim_call *call = task->news->call;
    if (!call->answered && sim_call_lives(sim, call)) {
        call->answered = true;
        task->news->event.id = call->action.id;
        sim_agent_event(sim, call->node, &task->news->event);
    }
    sim_call_done(sim, call);
}

void sim_call_answer(struct sim *sim, struct sim_call *call, uint64_t delay_us,
                     const struct event *event)
{
    if (call->action.id == 0) {
        return;
    }
    call->refs++;
    sim_put(sim, delay_us, call->node,
            (struct sim_task){.run = run_answer, .news = sim_news(sim, call, event)});
}

struct sim_call *sim_call_begin(struct sim *sim, uint32_t node, const struct action *action,
                                const struct event *unknown)
{
    const struct sim_host *host = &sim->hosts[node];
    struct sim_call *call = sim_pool_take(&sim->pools.calls);
    *call = (struct sim_call){
        .prior = sim->rados.last_call,
        .node = node,
        .asked_us = sim->now_us,
        .life = host->life,
        .agent_life = host->agent.life,
        .libvirt_life = host->libvirt_life,
        .action = *action,
    };
    *(call->prior != NULL ? &call->prior->next : &sim->rados.first_call) = call;
    sim->rados.last_call = call;
    uint64_t now_ms = sim_clock_ms(sim, node);
    uint64_t left_ms = action->deadline_ms > now_ms ? action->deadline_ms - now_ms : 0;
    if (action->id != 0) {
        ASSERT(left_ms < 3600 * 1000);
        sim_call_answer(sim, call, sim_clock_true_us(sim, node, left_ms * MS), unknown);
    }
    return call;
}
