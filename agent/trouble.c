/*
 * Troubles of our own host.
 *
 * Decides which of them is told: the most serious one. Those of Ceph, the BMC, fence devices and
 * libvirt's hook are found by the edges; that our incarnation cannot be kept, and that our name or
 * machine UUID does not fit what the cluster knows, follows from what we hold. Nothing here stops
 * anything: each is something a person should mend while all is well, and not find out at the next
 * failover.
 */
#include "agent/trouble.h"

#include <string.h>

#include "agent/trace.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"

void trouble_on_event(struct core *core, const struct event *event, struct caller *caller)
{
    ASSERT(event->trouble.kind < TROUBLE_COUNT);
    char *known = core->local.troubles[event->trouble.kind];
    if (strncmp(known, event->trouble.text, TEXT_BYTES) != 0) {
        name_set(known, TEXT_BYTES, event->trouble.text);
        trace_words(caller, known[0] != '\0' ? known : "host: a trouble is over");
    }
}

static bool machine_is_shared(const struct core *core)
{
    const struct facts *facts = &core->local.facts;
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        const struct node_record *node = &core->cluster.nodes[i];
        if (node->state != NODE_FREE && node->nodeid != facts->nodeid &&
            uuid_equal(&node->machine, &facts->machine)) {
            return true;
        }
    }
    return false;
}

static bool name_differs(const struct core *core)
{
    uint8_t slot = state_find_node(&core->cluster, core->local.facts.nodeid);
    return slot != NODE_NONE && !name_equal(core->cluster.nodes[slot].name, core->local.facts.name);
}

const char *trouble_of_host(const struct core *core)
{
    static const char full[TEXT_BYTES] = "/run/stead cannot be written (full?): if its agent "
                                         "restarts now, its guests are ended; make "
                                         "room";
    static const char shared[TEXT_BYTES] =
        "its machine UUID is another node's too: its BMC and its reboots cannot be told from that "
        "one's; set [node] uuid in stead.conf";
    static const char renamed[TEXT_BYTES] = "corosync.conf or [node] name calls it otherwise than "
                                            "the cluster does: give it its old name";
    const struct local *local = &core->local;
    if (local->troubles[TROUBLE_COROSYNC][0] != '\0') {
        return local->troubles[TROUBLE_COROSYNC];
    }
    if (local->troubles[TROUBLE_CEPH][0] != '\0') {
        return local->troubles[TROUBLE_CEPH];
    }
    if (local->life.save_tries > 0) {
        return full;
    }
    if (machine_is_shared(core)) {
        return shared;
    }
    if (name_differs(core)) {
        return renamed;
    }
    ASSERT(local->troubles[TROUBLE_BMC][TEXT_BYTES - 1] == '\0');
    static const enum trouble lesser[] = {TROUBLE_BMC, TROUBLE_DEVICE, TROUBLE_HOOK,
                                          TROUBLE_DEFINED};
    for (uint32_t i = 0; i < sizeof(lesser) / sizeof(lesser[0]); i++) {
        if (local->troubles[lesser[i]][0] != '\0') {
            return local->troubles[lesser[i]];
        }
    }
    return local->troubles[TROUBLE_WATCHDOG];
}
