/*
 * Corosync 3.1 as a service (measured): `corosync-cfgtool -H --force` asks the clients that track
 * it and waits for all their answers, 5 s at most; then it leaves the ring in order, which the
 * others see in a tenth of a second instead of after the token timeout. Its agent lives on alone.
 */
#include "tests/sim/sim_corosync.h"

#include "proto/assert.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_cpg.h"
#include "tests/sim/sim_host.h"

#define WAIT_US (5 * SECOND) /* cfg.shutdown_timeout */
#define END_US (20 * MS)
#define START_US SECOND

static void end(struct sim *sim, uint32_t node, bool orderly)
{
    struct sim_host *host = &sim->hosts[node];
    host->corosync_asked = false;
    host->corosync_life++;
    sim_host_hurt(sim, node);
    sim_log(sim, node, "Corosync ended");
    if (orderly) {
        sim_cpg_leave(sim, node);
    } else {
        sim_cpg_stop(sim, node);
    }
    struct event alone = {.kind = EVENT_RING};
    alone.ring.away = true;
    alone.ring.detect_ms = sim_cpg_detect_ms(sim);
    alone.ring.quorum = sim->node_count / 2 + 1;
    alone.ring.count = 1;
    alone.ring.nodeids[0] = node + 1;
    sim_agent_tell(sim, node, 0, &alone);
    struct event over = {.kind = EVENT_LEAVING};
    sim_agent_tell(sim, node, 0, &over);
}

static void run_end(struct sim *sim, struct sim_task *task)
{
    const struct sim_host *host = &sim->hosts[task->host];
    if (host->corosync_asked && host->corosync_life == task->number) {
        end(sim, task->host, true);
    }
}

static void put_end(struct sim *sim, uint32_t node, uint64_t delay_us)
{
    sim_put(sim, delay_us, node,
            (struct sim_task){.run = run_end, .number = sim->hosts[node].corosync_life});
}

void sim_corosync_stop(struct sim *sim, uint32_t node)
{
    struct sim_host *host = &sim->hosts[node];
    if (!sim_cpg_runs(sim, node) || host->corosync_asked) {
        return;
    }
    host->corosync_asked = true;
    put_end(sim, node, host->agent.alive ? WAIT_US : END_US);
    struct event event = {.kind = EVENT_LEAVING, .leaving = {.why = LEAVING_RING, .forced = true}};
    sim_agent_tell(sim, node, 200, &event);
}

void sim_corosync_let_go(struct sim *sim, uint32_t node)
{
    if (sim->hosts[node].corosync_asked) {
        put_end(sim, node, END_US);
    }
}

void sim_corosync_kill(struct sim *sim, uint32_t node)
{
    if (sim_cpg_runs(sim, node)) {
        end(sim, node, false);
    }
}

/* While it is being stopped systemd keeps the job until it has. */
static void run_start(struct sim *sim, struct sim_task *task)
{
    if (sim->hosts[task->host].corosync_asked) {
        sim_corosync_start(sim, task->host);
    } else if (!sim_cpg_runs(sim, task->host)) {
        sim_log(sim, task->host, "Corosync started");
        sim_cpg_start(sim, task->host);
        sim_cpg_show(sim, task->host);
        sim_host_well(sim, task->host);
    }
}

void sim_corosync_start(struct sim *sim, uint32_t node)
{
    if (sim->hosts[node].up) {
        sim_put(sim, START_US, node, (struct sim_task){.run = run_start});
    }
}
