/*
 * The hook knows the VMs of the agent's last copy of the state, whatever became of the agent and of
 * the host's memory since: the list lies on its disk, too. A permit ends with the deadline of its
 * call, and a new agent takes away what the one before it left (agent/hook_io.c).
 */
#include "tests/sim/sim_hook.h"

#include "proto/assert.h"
#include "storage/state.h"
#include "tests/sim/sim_call.h"

void sim_hook_list(struct sim *sim, uint32_t node)
{
    struct sim_host *host = &sim->hosts[node];
    const struct cluster *copy = &host->agent.core->cluster;
    bool news =
        copy->header.version != host->hook_version || copy->header.epoch != host->hook_epoch;
    if (!sim->story->hook || copy->header.version == 0 || !news) {
        return;
    }
    host->hook_version = copy->header.version;
    host->hook_epoch = copy->header.epoch;
    for (uint32_t i = 0; i < sim->vm_count; i++) {
        host->hook_has[i] = state_find_vm_uuid(copy, &sim->vms[i].uuid) != VMS_MAX;
    }
}

bool sim_hook_refuses(struct sim *sim, uint32_t node, uint32_t vm)
{
    ASSERT(vm < sim->vm_count);
    if (!sim->story->hook || !sim->hosts[node].hook_has[vm]) {
        return false;
    }
    sim_log(sim, node, "hook: %s may not be started here", sim->story->vms[vm].name);
    return true;
}

bool sim_hook_refuses_call(struct sim *sim, const struct sim_call *call, uint32_t vm)
{
    bool cleared = !sim_call_lives(sim, call) && sim->hosts[call->node].agent.alive;
    return (call->answered || cleared) && sim_hook_refuses(sim, call->node, vm);
}
