/*
 * What people ask of a core.
 *
 * Decides nothing; answers from the copy of the state, the heartbeats and what the edges told, as
 * this node has them: another may answer otherwise. Words are stable, since scripts read them
 * (docs/json.md); sentences may change and name the remedy. Never changes the core.
 */
#include "agent/query.h"

#include <string.h>

#include "agent/actor.h"
#include "agent/halt.h"
#include "agent/life.h"
#include "agent/pause.h"
#include "agent/peers.h"
#include "agent/spare.h"
#include "agent/suspend.h"
#include "agent/tie.h"
#include "agent/trouble.h"
#include "agent/votes.h"
#include "proto/assert.h"
#include "proto/text.h"
#include "proto/values.h"
#include "storage/state.h"

#define TRUSTED_MS 5000

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

bool query_trusted(const struct core *core, uint64_t now_ms)
{
    return query_loaded(core) && query_fresh(core, now_ms) &&
           query_copy_age_ms(core, now_ms) < TRUSTED_MS;
}

static const struct peer *speaking(const struct core *core, uint8_t slot)
{
    ASSERT(slot < NODES_MAX);
    const struct peer *peer = peers_see(core, core->cluster.nodes[slot].nodeid);
    return peer != NULL && peers_speaks(core, peer) ? peer : NULL;
}

uint64_t query_silent_ms(const struct core *core, uint8_t slot, uint64_t now_ms)
{
    if (!query_in_ring(core, slot) || speaking(core, slot) != NULL) {
        return 0;
    }
    const struct peer *peer = peers_see(core, core->cluster.nodes[slot].nodeid);
    uint64_t since_ms = peer->heard_ms != 0 ? peer->heard_ms : peer->came_ms;
    return now_ms > since_ms ? now_ms - since_ms : 1;
}

uint32_t query_restarts(const struct core *core, uint8_t slot)
{
    const struct peer *peer = speaking(core, slot);
    return peer != NULL ? peer->beat.restarts : 0;
}

bool query_halted(const struct core *core, uint8_t slot)
{
    ASSERT(slot < NODES_MAX);
    return halt_mark(core, core->cluster.nodes[slot].nodeid) != NULL;
}

/* Its agent speaks, and has no connection to libvirt: it can neither start nor stop a guest. */
static bool no_libvirt(const struct core *core, uint8_t slot)
{
    const struct peer *peer = speaking(core, slot);
    return peer != NULL && !peer->beat.libvirt;
}

static void tell_mark(const struct mark *mark, struct text *text)
{
    text_add_u64(text_add(text, "halted at version "), mark->version);
    text_add(text_add(text_add(text, " (assertion failed: "), mark->reason),
             "): it decides nothing, its VMs run on; stead node resume");
}

void query_agent_trouble(const struct core *core, uint8_t slot, char ret_text[TEXT_BYTES])
{
    struct text text = {0};
    ASSERT(slot < NODES_MAX);
    const struct mark *mark = halt_mark(core, core->cluster.nodes[slot].nodeid);
    if (mark != NULL) {
        tell_mark(mark, &text);
    } else if (query_restarts(core, slot) != 0) {
        text_add(&text, "its agent was started ");
        text_add_u64(&text, query_restarts(core, slot));
        text_add(&text, " times within ten minutes: journalctl -u stead-agent there");
    } else if (no_libvirt(core, slot)) {
        text_add(&text, "libvirt does not answer there: no guest is started or stopped on it; "
                        "systemctl status libvirtd");
    } else {
        spare_tell(core, spare_due(core), slot, &text);
        (void)(text.length == 0 && spare_tell_late(core, slot, &text));
    }
    memcpy(ret_text, text.bytes, TEXT_BYTES);
}

const char *query_node_word(const struct core *core, uint8_t slot, uint64_t now_ms)
{
    ASSERT(slot < NODES_MAX);
    switch (core->cluster.nodes[slot].state) {
    case NODE_ADMITTED:
        if (!query_in_ring(core, slot)) {
            return core->cluster.nodes[slot].away_ms != 0 ? "away" : "offline";
        }
        if (!query_agent_alive(core, slot, now_ms)) {
            return "unattended";
        }
        return query_halted(core, slot) ? "halted" : "online";
    case NODE_LOST:
        return "lost";
    case NODE_FENCED:
        return "fenced";
    case NODE_OUT:
        return "out";
    case NODE_REMOVED:
        return "removed";
    case NODE_FREE:
    case NODE_STATE_COUNT:
        break;
    }
    return "unknown";
}

const char *query_node_trouble(const struct core *core, uint8_t slot)
{
    ASSERT(slot < NODES_MAX);
    uint32_t nodeid = core->cluster.nodes[slot].nodeid;
    const struct peer *peer = peers_see(core, nodeid);
    if (nodeid == core->local.facts.nodeid) {
        return trouble_of_host(core);
    }
    return peer != NULL && peer->heard ? peer->beat.trouble : "";
}

const char *query_vm_word(const struct vm_record *vm)
{
    static const char *const words[VM_STATE_COUNT] = {
        [VM_FREE] = "unknown",    [VM_STOPPED] = "stopped",   [VM_STARTING] = "starting",
        [VM_RUNNING] = "running", [VM_STOPPING] = "stopping", [VM_RECOVERING] = "recovering",
    };
    static const char *const standing[VM_TROUBLE_COUNT] = {
        [VM_TROUBLE_PAUSED] = "paused",
        [VM_TROUBLE_IO_ERROR] = "io-error",
        [VM_TROUBLE_PANICKED] = "panicked",
    };
    ASSERT(vm->state < VM_STATE_COUNT);
    ASSERT(vm->condition.trouble < VM_TROUBLE_COUNT);
    bool still = vm->state == VM_RUNNING && standing[vm->condition.trouble] != NULL;
    return still ? standing[vm->condition.trouble] : words[vm->state];
}

bool query_vm_suspended(const struct core *core, const struct vm_record *vm,
                        uint64_t *ret_since_wall_ms)
{
    const struct suspension *own = &core->local.suspension;
    ASSERT(vm->state < VM_STATE_COUNT);
    if (vm->state != VM_RUNNING || vm->node >= NODES_MAX) {
        return false;
    }
    if (vm->node == query_own_slot(core)) {
        bool still = suspend_of(core, &vm->uuid);
        *ret_since_wall_ms = still ? own->since_wall_ms : *ret_since_wall_ms;
        return still;
    }
    const struct peer *peer = speaking(core, vm->node);
    if (peer == NULL || peer->beat.suspended_ms == 0) {
        return false;
    }
    *ret_since_wall_ms = core->local.wall_ms - (peer->beat.sent_ms - peer->beat.suspended_ms);
    return true;
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

const char *query_state_word(const struct core *core)
{
    static const char *const words[STATE_TROUBLE_COUNT] = {
        [STATE_WELL] = "",
        [STATE_GONE] = "gone",
        [STATE_FOREIGN] = "foreign",
        [STATE_OLDER] = "older",
        [STATE_GARBLED] = "garbled",
        [STATE_DAMAGED] = "damaged",
        [STATE_ELSEWHERE] = "foreign",
    };
    ASSERT(core->local.storage.trouble < STATE_TROUBLE_COUNT);
    return words[core->local.storage.trouble];
}

/* The node of the ring that holds the newest copy, if it is not us. */
static const char *newest_holder(const struct core *core)
{
    const struct header *copy = &core->cluster.header;
    struct known newest = {.epoch = copy->epoch, .version = copy->version};
    const char *name = NULL;
    for (uint32_t i = 0; i < core->local.peer_count; i++) {
        const struct beat *beat = &core->local.peers[i].beat;
        bool later = beat->epoch != newest.epoch ? beat->epoch > newest.epoch
                                                 : beat->version > newest.version;
        if (core->local.peers[i].heard && later) {
            newest = (struct known){.epoch = beat->epoch, .version = beat->version};
            name = beat->name;
        }
    }
    return name;
}

static void tell_elsewhere(const struct core *core, struct text *text)
{
    text_add(text_add(text, "the pool is Corosync cluster '"), core->local.storage.elsewhere);
    text_add(text_add(text, "'s, and this host's cluster_name is '"), core->local.ring.cluster);
    text_add(text, "': nothing is decided or ended here; correct [ceph] pool in stead.conf");
}

/* What is wrong with the state object, and what to do about it. */
static bool tell_object(const struct core *core, struct text *text)
{
    const char *holder = newest_holder(core);
    switch (core->local.storage.trouble) {
    case STATE_WELL:
    case STATE_TROUBLE_COUNT:
        return false;
    case STATE_GONE:
        text_add(text, "the state object is gone from its pool");
        break;
    case STATE_FOREIGN:
        text_add(text, "the state object in the pool is another cluster's");
        if (!query_loaded(core)) { /* it never was ours here: the pool is wrong, not the object */
            text_add(text,
                     " than that of this host's VMs: nothing is decided or ended here; correct "
                     "[ceph] pool in stead.conf");
            return true;
        }
        break;
    case STATE_ELSEWHERE:
        tell_elsewhere(core, text);
        return true;
    case STATE_OLDER:
        text_add(text, "the state object is older than a copy held here (an old backup put back?)");
        if (holder != NULL) {
            *text = (struct text){0};
            text_add(text_add(text, "the state object is older than the copy of "), holder);
        }
        break;
    case STATE_GARBLED:
        text_add(text, "the state object's header is damaged");
        break;
    case STATE_DAMAGED:
        text_add(text, "records of the state object are damaged");
        break;
    }
    bool mends =
        health_may_commit(core->local.storage.trouble) && (query_loaded(core) || holder != NULL);
    if (mends) {
        text_add(text, "; the acting node writes it anew from its copy");
        return true;
    }
    text_add(text, ": nothing is decided, VMs run on; put it back, or stead cluster restore");
    if (holder != NULL && core->local.storage.trouble == STATE_GONE) {
        text_add(text_add(text_add(text, " (copy: "), holder), ")");
    }
    return true;
}

/* Ceph has answered nothing, or not about the state, for a while. */
static bool tell_silence(const struct core *core, uint64_t now_ms, struct text *text)
{
    const struct storage_view *storage = &core->local.storage;
    uint64_t limit_ms = 2 * (uint64_t)core->cluster.settings.able_ms;
    bool handle = storage->handle == HANDLE_OPEN && now_ms - storage->good_ms < limit_ms;
    if (handle && now_ms - storage->newest_ms < limit_ms) {
        return false;
    }
    uint64_t since_ms = handle ? storage->newest_ms : storage->good_ms;
    text_add(text, handle ? "Ceph answers, but not about the state object, for "
                          : "Ceph does not answer this host, for ");
    text_add_u64(text, (now_ms - since_ms) / 1000);
    text_add(text, handle ? " s: nothing is decided, VMs run on; see ceph health detail"
                          : " s: it decides nothing, its VMs run on; see ceph -s, network, [ceph]");
    return true;
}

static void tell_no_copy(const struct core *core, struct text *text)
{
    const struct storage_view *storage = &core->local.storage;
    if (storage->missing) {
        text_add(text, "no cluster in this pool yet: stead cluster init");
    } else if (core->local.troubles[TROUBLE_CEPH][0] != '\0') {
        text_add(text, core->local.troubles[TROUBLE_CEPH]);
    } else if (storage->handle != HANDLE_OPEN) {
        text_add(text, "Ceph cannot be reached yet: nothing is decided; see journalctl -u "
                       "stead-agent, ceph -s, [ceph] in stead.conf");
    } else {
        text_add(text, "the state is being read from Ceph: nothing is decided yet");
    }
}

bool query_is_stranger(const struct core *core, uint32_t nodeid)
{
    return peers_see(core, nodeid) != NULL && state_find_node(&core->cluster, nodeid) == NODE_NONE;
}

static bool tell_stranger(const struct core *core, struct text *text)
{
    for (uint32_t i = 0; i < core->local.peer_count; i++) {
        const struct peer *peer = &core->local.peers[i];
        if (query_is_stranger(core, peer->nodeid)) {
            text_add(text, peer->heard ? peer->beat.name : "a node without an agent");
            text_add_u64(text_add(text, " (nodeid "), peer->nodeid);
            text_add(text, ") is in the ring, not in the cluster: stead cluster join there");
            return true;
        }
    }
    return false;
}

static bool tell_late(const struct core *core, struct text *text)
{
    bool any = false;
    for (uint32_t slot = 0; slot < NODES_MAX && !any; slot++) {
        any = spare_tell_late(core, slot, text);
    }
    return any;
}

static bool was_removed(const struct core *core)
{
    uint8_t own = query_own_slot(core);
    return own != NODE_NONE && core->cluster.nodes[own].state == NODE_REMOVED;
}

/* Our node id is in the state, as another machine's. */
static bool is_replaced(const struct core *core)
{
    uint8_t own = query_own_slot(core);
    const struct node_record *node = own == NODE_NONE ? NULL : &core->cluster.nodes[own];
    return node != NULL && core->local.life.state == LIFE_OUTSIDE &&
           (node->state == NODE_ADMITTED || node->state == NODE_LOST) &&
           !uuid_equal(&node->machine, &core->local.facts.machine);
}

static bool tell_trouble(const struct core *core, uint64_t now_ms, struct text *text)
{
    const struct local *local = &core->local;
    if (was_removed(core)) {
        text_add(text, "this node was removed: stead cluster join lets it take part again");
    } else if (tie_tell(core, text)) {
        return true;
    } else if (local->storage.blocklisted) {
        text_add(text,
                 query_loaded(core)
                     ? "this host is blocklisted: its guests are ended; stead node unfence it"
                     : "this host is blocklisted: it was fenced or removed; stead node unfence "
                       "it from another node, or stead cluster join here if it was removed");
    } else if (local->troubles[TROUBLE_COROSYNC][0] != '\0') {
        text_add(text, local->troubles[TROUBLE_COROSYNC]);
        text_add(text, "; until then this node takes no part, its VMs run on");
    } else if (tell_object(core, text)) {
        return true;
    } else if (halt_here(core)) {
        text_add(text, "this node is ");
        tell_mark(&local->facts.mark, text);
    } else if (!query_loaded(core)) {
        tell_no_copy(core, text);
    } else if (!query_quorate(core)) {
        text_add_u64(text_add(text, "no quorum: "), local->ring.count);
        text_add_u64(text_add(text, " in the ring, "), votes_needed(core));
        text_add(text, " needed; nothing is begun here; bring nodes back, or, if they are lost for "
                       "ever, stead cluster force");
    } else if (query_own_slot(core) == NODE_NONE) {
        text_add(text, "this node is not in the cluster: stead cluster join");
    } else if (is_replaced(core)) {
        text_add(text, "the state knows node ");
        text_add(text, core->cluster.nodes[query_own_slot(core)].name);
        text_add(text, " as another machine: if this one replaces it, stead node unfence it once "
                       "it is fenced; else [ceph] pool in stead.conf is another cluster's");
    } else if (local->life.state == LIFE_LOST) {
        text_add(text,
                 "the cluster gave this node up: its guests are ended; stead node unfence it");
    } else if (tell_silence(core, now_ms, text)) {
        return true;
    } else if (!query_fresh(core, now_ms)) {
        text_add(text, "quorum is not proven fresh: nothing is begun");
    } else if (actor_tell_none(core, text)) {
        return true;
    } else if (!local->libvirt) {
        text_add(text, "libvirt does not answer here: its VMs run on, none is started or stopped "
                       "here; systemctl status libvirtd");
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
    bool paused = query_loaded(core) && pause_tell(core, &text);
    text_add(&text, paused ? ". " : "");
    if (!tell_trouble(core, now_ms, &text) && !paused) {
        uint32_t busy = count_busy(core);
        if (busy > 0) {
            text_add_u64(text_add(&text, "VMs being started, stopped or recovered: "), busy);
        } else if (!tell_late(core, &text) && !tell_stranger(core, &text)) {
            text_add(&text, "all is settled");
        }
    }
    memcpy(ret_text, text.bytes, TEXT_BYTES);
}
