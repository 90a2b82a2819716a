/*
 * stead-keeper's own decisions (fencing/keeper.c) before a watchdog that is as the scenario says:
 * one that fires at its timeout, one that is late, and one that arms and never fires. It counts on
 * while its host stands still. The keeper outlives the agent. Where it is killed as it holds the
 * device, that is fed once more, as Linux does when a watchdog is closed without the magic
 * character (watchdog_release in drivers/watchdog/watchdog_dev.c), and counts on; whoever arms it
 * anew feeds it, too.
 */
#include "tests/sim/sim_keeper.h"

#include "proto/assert.h"
#include "proto/values.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_host.h"

#define TELL_US 300
#define RESTART_US (100 * MS) /* RestartSec of stead-keeper.service */
#define LOOK_US (50 * MS)     /* how exactly it fires, and the keeper feeds */

static void tell(struct sim *sim, uint32_t node, const char *trouble)
{
    const struct sim_host *host = &sim->hosts[node];
    struct event event = {.kind = EVENT_KEEPER};
    event.keeper.armed = host->keeper.state != KEEPER_OFF;
    event.keeper.timeout_ms = event.keeper.armed ? host->watchdog_ms : 0;
    name_set(event.keeper.identity, sizeof(event.keeper.identity), "simulated watchdog");
    name_set(event.keeper.trouble, sizeof(event.keeper.trouble), trouble);
    sim_agent_tell(sim, node, TELL_US, &event);
}

static void fire(struct sim *sim, uint32_t node)
{
    sim_log(sim, node, "watchdog: fires, the host is reset");
    sim_host_power(sim, node, false);
    sim_host_power(sim, node, true);
}

static void run_look(struct sim *sim, struct sim_task *task)
{
    uint32_t node = (uint32_t)task->number;
    struct sim_host *host = &sim->hosts[node];
    if (host->life != task->other || !host->watchdog_runs) {
        return;
    }
    enum keeper_state before = host->keeper.state;
    if (!host->frozen && keeper_feeds(&host->keeper, sim_clock_ms(sim, node))) {
        host->fed_us = sim->now_us;
    }
    if (before == KEEPER_FEEDING && host->keeper.state == KEEPER_EXPIRED) {
        sim_log(sim, node, "keeper: nobody vouches for this host any more");
    }
    uint64_t fires_us = host->watchdog_ms * MS + host->watchdog_late_us;
    if (host->watchdog != SIM_WATCHDOG_NEVER && sim->now_us >= host->fed_us + fires_us) {
        fire(sim, node);
        return;
    }
    sim_put(sim, LOOK_US, SIM_NO_HOST,
            (struct sim_task){.run = run_look, .number = node, .other = host->life});
}

static void arm(struct sim *sim, uint32_t node, uint32_t timeout_ms)
{
    struct sim_host *host = &sim->hosts[node];
    if (host->watchdog == SIM_WATCHDOG_NO) {
        tell(sim, node, "there is no /dev/watchdog");
        return;
    }
    if (sim->now_us < host->keeper_back_us) {
        tell(sim, node, "stead-keeper does not answer");
        return;
    }
    if (host->keeper.state == KEEPER_OFF) {
        host->watchdog_ms = timeout_ms;
        host->fed_us = sim->now_us;
        host->watchdog_spared = false;
        keeper_armed(&host->keeper, timeout_ms, sim_clock_ms(sim, node));
        sim_log(sim, node, "keeper: armed");
    }
    if (!host->watchdog_runs) {
        host->watchdog_runs = true;
        sim_put(sim, LOOK_US, SIM_NO_HOST,
                (struct sim_task){.run = run_look, .number = node, .other = host->life});
    }
    tell(sim, node, "");
}

void sim_keeper_act(struct sim *sim, uint32_t node, const struct action *action)
{
    struct sim_host *host = &sim->hosts[node];
    if (action->kind == ACTION_KEEPER_ARM) {
        arm(sim, node, action->keeper.timeout_ms);
    } else if (action->kind == ACTION_VOUCH) {
        bool sound = keeper_vouch(&host->keeper, action->keeper.until_ms, sim_clock_ms(sim, node));
        ASSERT(sound || host->keeper.state == KEEPER_OFF);
    } else if (host->keeper.state != KEEPER_OFF) {
        ASSERT(action->kind == ACTION_KEEPER_DISARM);
        keeper_disarmed(&host->keeper);
        host->watchdog_runs = false;
        sim_log(sim, node, "keeper: disarmed");
        tell(sim, node, "");
    }
}

void sim_keeper_connect(struct sim *sim, uint32_t node)
{
    if (sim->hosts[node].keeper.state != KEEPER_OFF) {
        tell(sim, node, "");
    }
}

void sim_keeper_kill(struct sim *sim, uint32_t node)
{
    struct sim_host *host = &sim->hosts[node];
    if (!host->up || host->frozen) {
        return;
    }
    sim_log(sim, node, "keeper: killed%s", host->watchdog_runs ? ", its watchdog counts on" : "");
    if (host->keeper.state != KEEPER_OFF) { /* else it has not opened it */
        host->watchdog_spared |= host->keeper.state == KEEPER_EXPIRED;
        host->fed_us = sim->now_us;
    }
    host->keeper = (struct keeper){.state = KEEPER_OFF};
    host->keeper_back_us = sim->now_us + RESTART_US;
    tell(sim, node, "stead-keeper ended");
}
