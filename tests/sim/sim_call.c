/*
 * The book-keeping of calls. The deadline runs on the host's own clock: a frozen host hears of it
 * after the thaw, after whatever answer came meanwhile.
 */
#include "tests/sim/sim_call.h"

#include <stdlib.h>

#include "proto/assert.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_clock.h"

static void call_free(struct sim *sim, struct sim_call *call)
{
    *(call->prior != NULL ? &call->prior->next : &sim->rados.first_call) = call->next;
    *(call->next != NULL ? &call->next->prior : &sim->rados.last_call) = call->prior;
    free(call->delta);
    free(call->image);
    free(call);
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

struct told {
    struct sim_call *call;
    struct event event;
};

static void run_answer(struct sim *sim, struct sim_task *task)
{
    struct told *told = task->owned;
    struct sim_call *call = told->call;
    if (!call->answered && sim_call_lives(sim, call)) {
        call->answered = true;
        told->event.id = call->action.id;
        sim_agent_event(sim, call->node, &told->event);
    }
    sim_call_done(sim, call);
}

void sim_call_answer(struct sim *sim, struct sim_call *call, uint64_t delay_us,
                     const struct event *event)
{
    if (call->action.id == 0) {
        return;
    }
    struct told *told = malloc(sizeof(*told));
    ASSERT(told != NULL);
    *told = (struct told){.call = call, .event = *event};
    call->refs++;
    sim_put(sim, delay_us, call->node, (struct sim_task){.run = run_answer, .owned = told});
}

struct sim_call *sim_call_begin(struct sim *sim, uint32_t node, const struct action *action,
                                const struct event *unknown)
{
    const struct sim_host *host = &sim->hosts[node];
    struct sim_call *call = calloc(1, sizeof(*call));
    ASSERT(call != NULL);
    call->node = node;
    call->life = host->life;
    call->agent_life = host->agent.life;
    call->libvirt_life = host->libvirt_life;
    call->action = *action;
    call->prior = sim->rados.last_call;
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

void sim_call_free_all(struct sim *sim)
{
    while (sim->rados.first_call != NULL) {
        call_free(sim, sim->rados.first_call);
    }
}
