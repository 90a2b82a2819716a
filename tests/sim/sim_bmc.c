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

static const char *const pdu_names[SIM_PDUS_MAX] = {"pdu", "pdu2"};

void sim_bmc_devices(const struct sim *sim, uint32_t node,
                     struct fence_device ret_devices[FENCE_DEVICES_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SIM_PDUS_MAX; i++) {
        if (sim->hosts[node].pdus[i] != SIM_BMC_NONE) {
            struct fence_device *device = &ret_devices[count++];
            *device = (struct fence_device){.agent = "fence_apc", .level = 2};
            device->standing = DEVICE_VERIFIED;
            name_set(device->name, DEVICE_NAME_BYTES, pdu_names[i]);
        }
    }
}

void sim_bmc_become(struct sim_host *host, uint32_t device, enum sim_bmc mode, uint64_t slow_us)
{
    if (device == 0) {
        host->bmc = mode;
        host->bmc_slow_us = slow_us;
    } else {
        host->pdus[device - 1] = mode;
        host->pdu_slow_us[device - 1] = slow_us;
    }
}

/* 0: the BMC; else 1 + the PDU's index. */
static uint32_t device_of(const struct action *action)
{
    for (uint32_t i = 0; i < SIM_PDUS_MAX; i++) {
        if (name_equal(action->power.device.name, pdu_names[i])) {
            return 1 + i;
        }
    }
    return 0;
}

static enum sim_bmc mode_of(const struct sim_host *host, uint32_t device)
{
    return device == 0 ? host->bmc : host->pdus[device - 1];
}

static uint64_t slow_of(const struct sim_host *host, uint32_t device)
{
    uint64_t slow_us = device == 0 ? host->bmc_slow_us : host->pdu_slow_us[device - 1];
    return mode_of(host, device) == SIM_BMC_SLOW ? slow_us : 0;
}

static bool answers(const struct sim_host *host, uint32_t device)
{
    enum sim_bmc mode = mode_of(host, device);
    return mode != SIM_BMC_DEAD && mode != SIM_BMC_NONE &&
           !(mode == SIM_BMC_WITH_HOST && !host->powered);
}

/* Does any outlet that feeds it still carry current? */
static bool has_mains(const struct sim_host *host)
{
    bool pdus = false;
    for (uint32_t i = 0; i < SIM_PDUS_MAX; i++) {
        pdus |= host->pdus[i] != SIM_BMC_NONE;
        if (host->pdus[i] != SIM_BMC_NONE && !host->pdu_off[i]) {
            return true;
        }
    }
    return !pdus;
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

static void switch_to(struct sim *sim, uint32_t target, uint32_t device, bool on)
{
    struct sim_host *host = &sim->hosts[target];
    const char *name = device == 0 ? "bmc" : pdu_names[device - 1];
    if (device > 0) {
        host->pdu_off[device - 1] = !on;
    }
    bool power = on ? has_mains(host) : device > 0 && has_mains(host) && host->powered;
    if (power != host->powered) {
        sim_log(sim, target, "%s: powers the host %s", name, power ? "on" : "off");
        sim_host_power(sim, target, power);
    }
}

static bool reads_off(const struct sim_host *host, uint32_t device)
{
    return device == 0 ? !host->powered : host->pdu_off[device - 1];
}

/* At the BMC or PDU itself. */
static void run_order(struct sim *sim, struct sim_task *task)
{
    struct sim_call *call = task->object;
    uint32_t target = target_of(sim, &call->action);
    uint32_t device = device_of(&call->action);
    struct sim_host *host = &sim->hosts[target];
    enum power_order order = call->action.power.order;
    enum sim_bmc mode = mode_of(host, device);
    if (!answers(host, device)) {
        /* silence, until the deadline */
    } else if (device == 0 && !uuid_equal(&call->action.power.machine, &host->machine)) {
        answer(sim, call, OUTCOME_FAILED, "this BMC is another machine's");
    } else if (mode == SIM_BMC_LIES_OFF) {
        host->lied_off |= order != POWER_ORDER_ON;
        answer(sim, call, OUTCOME_DONE, order == POWER_ORDER_ON ? "reads on" : "reads off");
    } else if (mode == SIM_BMC_LIES && order != POWER_ORDER_READ && !reads_off(host, device)) {
        if (device > 0) { /* of a BMC it is read until the deadline: it may go off yet */
            answer(sim, call, OUTCOME_FAILED, "says that it switched off, and reads on");
        }
    } else {
        if (order != POWER_ORDER_READ && mode != SIM_BMC_LIES) {
            switch_to(sim, target, device, order == POWER_ORDER_ON);
        }
        bool done = reads_off(host, device) == (order != POWER_ORDER_ON);
        answer(sim, call, done ? OUTCOME_DONE : OUTCOME_FAILED,
               reads_off(host, device) ? "reads off" : "reads on");
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
    } else if (target == SIM_NO_HOST ||
               mode_of(&sim->hosts[target], device_of(&call->action)) == SIM_BMC_NONE) {
        answer(sim, call, OUTCOME_FAILED, "there is no such BMC");
    } else {
        sim_check_fresh(sim, call);
        uint64_t delay_us = sim_rng_range(&sim->rng, 100 * MS, 150 * MS);
        delay_us += slow_of(&sim->hosts[target], device_of(&call->action));
        sim_call_put(sim, call, delay_us, SIM_NO_HOST, run_order);
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
    const struct sim_host *host = &sim->hosts[node];
    struct event event = {.kind = EVENT_BMC_IDENTITY};
    uint32_t number = 0; /* those that are there are counted, as in the facts */
    for (uint32_t device = 0; device <= SIM_PDUS_MAX; device++) {
        number += device > 0 && mode_of(host, device) != SIM_BMC_NONE;
        if (answers(host, device)) {
            uint64_t us = slow_of(host, device) + sim_rng_range(&sim->rng, 20 * MS, 60 * MS);
            event.bmc_identity.device = number;
            event.bmc_identity.verified = device == 0 || !reads_off(host, device);
            sim_agent_tell(sim, node, us, &event);
        }
    }
}
