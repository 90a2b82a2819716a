/*
 * The simulator's world without agents: the test asks in their place, and hears what they would.
 * Seat N is host N. Defines sim_agent_*(), so the linker leaves the simulator's own out.
 */
#ifndef STEAD_TESTS_EDGE_CONFORM_MODEL_H
#define STEAD_TESTS_EDGE_CONFORM_MODEL_H

#include "tests/edge/conform.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_block.h"
#include "tests/sim/sim_bmc.h"
#include "tests/sim/sim_call.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_host.h"
#include "tests/sim/sim_rados.h"
#include "tests/sim/sim_setup.h"
#include "tests/sim/sim_virt.h"

#define MODEL_VMS 8

struct model {
    struct scenario story;
    struct sim *sim;
    uint64_t last_id;
    bool there; /* the answer to last_id */
    struct event answer;
    struct cluster image; /* STATE lends its own for the step only */
    struct event_domain told[MODEL_VMS];
};

static struct model model;

void sim_agent_event(struct sim *sim, uint32_t node, struct event *event)
{
    (void)node;
    if (event->kind == EVENT_DOMAIN) {
        model.told[sim_vm_by_uuid(sim, &event->domain.vm)] = event->domain;
    }
    if (event->id == 0) {
        return;
    }
    assert_int_equal(event->id, model.last_id);
    assert_false(model.there);
    model.there = true;
    model.answer = *event;
    if (event->kind == EVENT_STATE && event->state.outcome == OUTCOME_DONE) {
        model.image = *event->state.image;
        model.answer.state.image = &model.image;
    }
}

static void run_model_told(struct sim *sim, struct sim_task *task)
{
    sim_agent_event(sim, task->host, &task->news->event);
}

void sim_agent_tell(struct sim *sim, uint32_t node, uint64_t delay_us, const struct event *event)
{
    sim_put(sim, delay_us, node,
            (struct sim_task){.run = run_model_told, .news = sim_news(sim, NULL, event)});
}

/* Its core is there for the checkers only, to whom whoever asks is fresh enough. */
void sim_agent_start(struct sim *sim, uint32_t node)
{
    struct sim_agent *agent = &sim->hosts[node].agent;
    free(agent->core);
    agent->core = calloc(1, sizeof(*agent->core));
    assert_non_null(agent->core);
    agent->core->cluster.settings.fresh_ms = 3600 * 1000;
    agent->alive = true;
    sim_virt_connect(sim, node);
}

void sim_agent_stop(struct sim *sim, uint32_t node)
{
    sim->hosts[node].agent.alive = false; /* its host lost its power */
}

/* The rest nobody does here. */
static inline void no_agent(struct sim *sim, uint32_t node)
{
    sim_violation(sim, "something happens to the agent of host %u", node);
}

void sim_agent_kill(struct sim *sim, uint32_t node)
{
    no_agent(sim, node);
}

void sim_agent_leave(struct sim *sim, uint32_t node)
{
    no_agent(sim, node);
}

void sim_agent_restart(struct sim *sim, uint32_t node)
{
    no_agent(sim, node);
}

void sim_agent_halt(struct sim *sim, uint32_t node)
{
    no_agent(sim, node);
}

/* ---- turns */

static inline void model_turn(void)
{
    if (!sim_turn(model.sim)) {
        fail_msg("the model has nothing left to do");
    }
}

static void run_nothing(struct sim *sim, struct sim_task *task)
{
    (void)sim;
    (void)task;
}

static inline void model_pass(uint64_t us)
{
    const uint64_t until_us = model.sim->now_us + us;
    sim_put(model.sim, us, SIM_NO_HOST, (struct sim_task){.run = run_nothing});
    if (setjmp(model.sim->out) != 0) {
        fail_msg("the model breaks a promise: %s", model.sim->violation);
    }
    while (model.sim->now_us < until_us) {
        model_turn();
    }
}

static inline void model_act(uint32_t seat, const struct action *action)
{
    if (action->kind == ACTION_POWER) {
        sim_bmc_act(model.sim, seat, action);
    } else if ((action->kind >= ACTION_DOMAIN_CREATE && action->kind <= ACTION_KILL) ||
               action->kind == ACTION_DOMAIN_SUSPEND) {
        sim_virt_act(model.sim, seat, action);
    } else {
        sim_rados_act(model.sim, seat, action);
    }
}

static inline struct event model_ask(void *part, uint32_t seat, struct action *action,
                                     const struct delta *delta)
{
    (void)part;
    struct action asked = *action;
    asked.id = ++model.last_id;
    asked.deadline_ms += sim_clock_ms(model.sim, seat);
    model.there = false;
    model.sim->actions->delta = delta;
    if (setjmp(model.sim->out) != 0) {
        fail_msg("the model breaks a promise: %s", model.sim->violation);
    }
    model_act(seat, &asked);
    while (!model.there) {
        model_turn();
    }
    assert_true(sim_clock_ms(model.sim, seat) <= asked.deadline_ms + 1);
    return model.answer;
}

/* The world of this story, a few seconds old. */
static inline void model_begin(const char *story)
{
    assert_int_equal(scenario_parse("conform", story, stderr, &model.story), 0);
    model.sim = sim_new(&model.story);
    if (setjmp(model.sim->out) != 0) {
        fail_msg("the model breaks a promise: %s", model.sim->violation);
    }
    sim_setup(model.sim);
    model_pass(10 * SECOND);
}

static inline void model_end(void)
{
    sim_free(model.sim);
    model.sim = NULL;
}

#endif
