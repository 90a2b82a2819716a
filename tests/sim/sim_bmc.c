/*
 * A BMC switches off and reads back in 100 to 150 ms (measured with libfreeipmi against ipmi_sim);
 * one that is dead never answers, one that is slow may do as told long after its caller gave up.
 */
#include "tests/sim/sim_bmc.h"

#include <stdio.h>

#include "proto/assert.h"
#include "proto/values.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_call.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_hang.h"
#include "tests/sim/sim_host.h"

struct bmc_address sim_bmc_address(const struct sim *sim, uint32_t node)
{
    struct bmc_address address = {.cipher_suite = 17};
    if (sim->hosts[node].bmc == SIM_BMC_NONE) {
        return (struct bmc_address){0};
    }
    (void)snprintf(address.address, sizeof(address.address), "10.0.1.%u", node + 1);
    address.verified = true;
    return address;
}

static bool answers(const struct sim_host *host)
{
    return host->bmc != SIM_BMC_DEAD && host->bmc != SIM_BMC_NONE &&
           !(host->bmc == SIM_BMC_WITH_HOST && !host->powered);
}

static uint32_t target_of(const struct sim *sim, const struct action *action)
{
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if (name_equal(sim->story->nodes[n].name, action->power.node)) {
            return n;
        }
    }
    return SIM_NO_HOST;
}

static void answer(struct sim *sim, struct sim_call *call, enum outcome outcome, const char *text)
{
    struct event event = {.kind = EVENT_POWER, .power.outcome = outcome};
    name_set(event.power.text, sizeof(event.power.text), text);
    sim_call_answer(sim, call, 0, &event);
}

/* At the BMC itself. */
static void run_off(struct sim *sim, struct sim_task *task)
{
    struct sim_call *call = task->object;
    uint32_t target = target_of(sim, &call->action);
    const struct sim_host *host = &sim->hosts[target];
    if (!answers(host)) {
        /* silence, until the deadline */
    } else if (!uuid_equal(&call->action.power.machine, &host->machine)) {
        answer(sim, call, OUTCOME_FAILED, "this BMC is another machine's");
    } else if (host->bmc == SIM_BMC_LIES && host->powered) {
        /* it reads on whenever it is asked, until the deadline: it may go off yet */
    } else if (host->bmc == SIM_BMC_LIES_OFF) {
        answer(sim, call, OUTCOME_DONE, "reads off");
    } else {
        if (host->powered) {
            sim_log(sim, target, "bmc: powers the host off");
            sim_host_power(sim, target, false);
        }
        answer(sim, call, OUTCOME_DONE, "reads off");
    }
    sim_call_done(sim, call);
}

static void run_ask(struct sim *sim, struct sim_task *task)
{
    if (sim_hang_waits(sim, task)) {
        return;
    }
    struct sim_call *call = task->object;
    uint32_t target = target_of(sim, &call->action);
    if (!sim_call_lives(sim, call)) {
        /* gone before it asked */
    } else if (sim_call_stale(sim, call)) {
        answer(sim, call, OUTCOME_STALE, "");
    } else if (target == SIM_NO_HOST || sim->hosts[target].bmc == SIM_BMC_NONE) {
        answer(sim, call, OUTCOME_FAILED, "there is no such BMC");
    } else {
        sim_check_fresh(sim, call);
        uint64_t delay_us = sim_rng_range(&sim->rng, 100 * MS, 150 * MS);
        delay_us += sim->hosts[target].bmc == SIM_BMC_SLOW ? sim->hosts[target].bmc_slow_us : 0;
        sim_call_put(sim, call, delay_us, SIM_NO_HOST, run_off);
    }
    sim_call_done(sim, call);
}

void sim_bmc_act(struct sim *sim, uint32_t node, const struct action *action)
{
    struct event unknown = {.kind = EVENT_POWER, .power.outcome = OUTCOME_UNKNOWN};
    name_set(unknown.power.text, sizeof(unknown.power.text), "no answer");
    struct sim_call *call = sim_call_begin(sim, node, action, &unknown);
    sim_call_put(sim, call, sim_rng_range(&sim->rng, 20, 3000), node, run_ask);
}

void sim_bmc_identify(struct sim *sim, uint32_t node)
{
    struct sim_host *host = &sim->hosts[node];
    struct event event = {.kind = EVENT_BMC_IDENTITY, .bmc_identity.verified = true};
    if (answers(host)) {
        uint64_t slow_us = host->bmc == SIM_BMC_SLOW ? host->bmc_slow_us : 0;
        sim_agent_tell(sim, node, slow_us + sim_rng_range(&sim->rng, 20 * MS, 60 * MS), &event);
    }
}
