/* What people ask of a core. Decides nothing; words that are stable, since scripts read them. */
#include "agent/query.h"

#include <string.h>

#include "agent/actor.h"
#include "agent/life.h"
#include "agent/peers.h"
#include "proto/assert.h"
#include "proto/text.h"
#include "proto/values.h"
#include "storage/state.h"

bool query_loaded(const struct core *core)
{
    return core->cluster.header.version != 0;
}

bool query_quorate(const struct core *core)
{
    return core->local.ring.quorate;
}

bool query_fresh(const struct core *core, uint64_t now_ms)
{
    return peers_fresh_until_ms(core) > now_ms;
}

bool query_acting(const struct core *core)
{
    return actor_holds(core);
}

uint8_t query_own_slot(const struct core *core)
{
    return state_find_node(&core->cluster, core->local.facts.nodeid);
}

bool query_in_ring(const struct core *core, uint8_t slot)
{
    ASSERT(slot < NODES_MAX);
    return peers_see(core, core->cluster.nodes[slot].nodeid) != NULL;
}

bool query_agent_alive(const struct core *core, uint8_t slot, uint64_t now_ms)
{
    ASSERT(slot < NODES_MAX);
    (void)now_ms;
    const struct peer *peer = peers_see(core, core->cluster.nodes[slot].nodeid);
    return peer != NULL && peers_speaks(core, peer);
}

uint64_t query_copy_age_ms(const struct core *core, uint64_t now_ms)
{
    uint64_t newest_ms = core->local.storage.newest_ms;
    if (newest_ms == 0) {
        return UINT64_MAX;
    }
    return now_ms > newest_ms ? now_ms - newest_ms : 0;
}

const char *query_node_word(const struct core *core, uint8_t slot, uint64_t now_ms)
{
    ASSERT(slot < NODES_MAX);
    switch (core->cluster.nodes[slot].state) {
    case NODE_ADMITTED:
        if (!query_in_ring(core, slot)) {
            return "offline";
        }
        return query_agent_alive(core, slot, now_ms) ? "online" : "unattended";
    case NODE_LOST:
        return "lost";
    case NODE_FENCED:
        return "fenced";
    case NODE_OUT:
        return "out";
    case NODE_FREE:
    case NODE_STATE_COUNT:
        break;
    }
    return "unknown";
}

const char *query_vm_word(const struct vm_record *vm)
{
    static const char *const words[VM_STATE_COUNT] = {
        [VM_FREE] = "unknown",    [VM_STOPPED] = "stopped",   [VM_STARTING] = "starting",
        [VM_RUNNING] = "running", [VM_STOPPING] = "stopping", [VM_RECOVERING] = "recovering",
    };
    ASSERT(vm->state < VM_STATE_COUNT);
    return words[vm->state];
}

static uint32_t count_busy(const struct core *core)
{
    uint32_t busy = 0;
    for (uint32_t i = 0; i < core->cluster.vm_end; i++) {
        enum vm_state state = core->cluster.vms[i].state;
        busy += state == VM_STARTING || state == VM_STOPPING || state == VM_RECOVERING;
    }
    return busy;
}

static bool tell_trouble(const struct core *core, uint64_t now_ms, struct text *text)
{
    const struct local *local = &core->local;
    if (local->storage.blocklisted) {
        text_add(text, "this host is blocklisted: its guests are ended; stead node unfence it");
    } else if (!query_loaded(core)) {
        text_add(text, local->storage.missing
                           ? "no cluster in this pool yet: stead cluster init"
                           : "the state cannot be read from Ceph yet: nothing is decided");
    } else if (!query_quorate(core)) {
        text_add_u64(text_add(text, "no quorum: "), local->ring.count);
        text_add_u64(text_add(text, " in the ring, "), local->ring.quorum);
        text_add(text, " needed; nothing is started or fenced here");
    } else if (query_own_slot(core) == NODE_NONE) {
        text_add(text, "this node is not in the cluster: stead cluster join");
    } else if (local->life.state == LIFE_LOST) {
        text_add(text,
                 "the cluster gave this node up: its guests are ended; stead node unfence it");
    } else if (!query_fresh(core, now_ms)) {
        text_add(text, "quorum is not proven fresh: nothing is begun");
    } else if (local->storage.damaged) {
        text_add(text, "the state object does not match its own digest: nothing is decided");
    } else if (local->commit.state == COMMIT_UNKNOWN) {
        text_add(text, "a commit's fate is open: asking again");
    } else {
        return false;
    }
    return true;
}

void query_situation(const struct core *core, uint64_t now_ms, char ret_text[TEXT_BYTES])
{
    struct text text = {0};
    if (!tell_trouble(core, now_ms, &text)) {
        uint32_t busy = count_busy(core);
        if (busy > 0) {
            text_add_u64(text_add(&text, "VMs being started, stopped or recovered: "), busy);
        } else {
            text_add(&text, "all is settled");
        }
    }
    memcpy(ret_text, text.bytes, TEXT_BYTES);
}
