/*
 * Who is there.
 *
 * Decides: freshness. Corosync's quorate flag may be 1 s out of date after a thaw, and stays true
 * for ever in a ring that livelocks (measured). So each heartbeat carries its sender's clock at
 * sending, every other heartbeat answers the newest one its sender had, and we are fresh while a
 * quorum (agent/votes.c), ourselves included, has answered a heartbeat *sent* less than fresh_ms
 * ago.
 * Arrival proves nothing: a thawed host finds old answers in its queues.
 * Assumes: CLOCK_BOOTTIME, so that a suspended host ages too.
 * Never: counts an answer from a node outside the present ring, or to an earlier agent process.
 */
#include "agent/peers.h"

#include <stddef.h>
#include <string.h>

#include "agent/halt.h"
#include "agent/hand.h"
#include "agent/level.h"
#include "agent/run.h"
#include "agent/suspend.h"
#include "agent/trouble.h"
#include "agent/view.h"
#include "agent/votes.h"
#include "agent/watchdog.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"

#define BEAT_SPACING_MS 5 /* answers at once, but not one by one in a burst of questions */

struct peer *peers_find(struct local *local, uint32_t nodeid)
{
    ASSERT(local->peer_count <= NODES_MAX);
    for (uint32_t i = 0; i < local->peer_count; i++) {
        if (local->peers[i].nodeid == nodeid) {
            return &local->peers[i];
        }
    }
    return NULL;
}

const struct peer *peers_see(const struct core *core, uint32_t nodeid)
{
    for (uint32_t i = 0; i < core->local.peer_count; i++) {
        if (core->local.peers[i].nodeid == nodeid) {
            return &core->local.peers[i];
        }
    }
    return NULL;
}

bool peers_speaks(const struct core *core, const struct peer *peer)
{
    return peer->heard &&
           core->local.now_ms - peer->heard_ms < timing_silent_ms(&core->cluster.settings);
}

bool peers_awaited(const struct core *core, const struct peer *peer)
{
    uint64_t since_ms = peer->heard_ms != 0 ? peer->heard_ms : peer->came_ms;
    ASSERT(since_ms <= core->local.now_ms);
    return !peers_speaks(core, peer) &&
           core->local.now_ms - since_ms < core->cluster.settings.grace_ms;
}

static bool was_seen(const struct local *local, uint32_t nodeid)
{
    for (uint32_t i = 0; i < local->seen_count; i++) {
        if (local->seen[i] == nodeid) {
            return true;
        }
    }
    return false;
}

bool peers_never_seen(const struct core *core, uint32_t nodeid)
{
    return !was_seen(&core->local, nodeid);
}

uint64_t peers_absent_ms(const struct core *core, uint32_t nodeid)
{
    const struct local *local = &core->local;
    ASSERT(peers_see(core, nodeid) == NULL);
    for (uint32_t i = 0; i < local->seen_count; i++) {
        if (local->seen[i] == nodeid) {
            return local->now_ms - local->left_ms[i];
        }
    }
    return local->now_ms - local->started_ms;
}

bool peers_left_before_quorum(const struct core *core, uint32_t nodeid)
{
    const struct local *local = &core->local;
    uint64_t left_ms = local->now_ms - peers_absent_ms(core, nodeid);
    return was_seen(local, nodeid) && left_ms <= local->suspension.without_ms;
}

uint64_t peers_late_ms(const struct core *core, uint32_t nodeid)
{
    const struct local *local = &core->local;
    bool seen = was_seen(local, nodeid);
    if (seen && (!peers_left_before_quorum(core, nodeid) || peers_ended(core, nodeid))) {
        return 0;
    }
    uint64_t quorum_ms = seen ? local->suspension.without_ms : local->first_fresh_ms;
    uint64_t until_ms = quorum_ms != 0 ? quorum_ms : local->now_ms;
    until_ms += seen ? timing_rejoin_ms(local->ring.detect_ms) : core->cluster.settings.grace_ms;
    ASSERT(quorum_ms <= local->now_ms);
    return until_ms > local->now_ms ? until_ms - local->now_ms : 0;
}

bool peers_ended(const struct core *core, uint32_t nodeid)
{
    const struct local *local = &core->local;
    for (uint32_t i = 0; i < local->seen_count; i++) {
        if (local->seen[i] == nodeid) {
            return local->ended[i];
        }
    }
    return false;
}

static void note_ended(struct local *local, uint32_t nodeid, bool ended)
{
    for (uint32_t i = 0; i < local->seen_count; i++) {
        if (local->seen[i] == nodeid) {
            local->ended[i] = ended;
        }
    }
}

static void note_left(struct local *local, uint32_t nodeid)
{
    for (uint32_t i = 0; i < local->seen_count; i++) {
        if (local->seen[i] == nodeid) {
            local->left_ms[i] = local->now_ms;
        }
    }
}

static void note_seen(struct local *local, uint32_t nodeid)
{
    if (!was_seen(local, nodeid) && local->seen_count < NODES_MAX) {
        local->seen[local->seen_count++] = nodeid;
    }
}

static bool in_ring(const struct event_ring *ring, uint32_t nodeid)
{
    for (uint32_t i = 0; i < ring->count; i++) {
        if (ring->nodeids[i] == nodeid) {
            return true;
        }
    }
    return false;
}

void peers_on_ring(struct core *core, const struct event_ring *ring)
{
    struct local *local = &core->local;
    ASSERT(ring->count <= NODES_MAX);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < local->peer_count; i++) { /* forget who left */
        if (!in_ring(ring, local->peers[i].nodeid)) {
            note_left(local, local->peers[i].nodeid);
            continue;
        }
        if (kept != i) {
            local->peers[kept] = local->peers[i];
        }
        kept++;
    }
    local->peer_count = kept;
    for (uint32_t j = 0; j < ring->count; j++) { /* meet who came */
        note_seen(local, ring->nodeids[j]);
        if (peers_find(local, ring->nodeids[j]) == NULL) {
            ASSERT(local->peer_count < NODES_MAX);
            struct peer *peer = &local->peers[local->peer_count++];
            memset(peer, 0, sizeof(*peer));
            peer->nodeid = ring->nodeids[j];
            peer->came_ms = local->now_ms;
        }
    }
    local->ring = *ring;
    peers_hurry(core);
}

void peers_on_left(struct core *core, uint32_t nodeid)
{
    struct peer *peer = peers_find(&core->local, nodeid);
    if (peer != NULL && nodeid != core->local.facts.nodeid) {
        peer->heard = false;
    }
}

static uint64_t answer_to_us(const struct local *local, const struct beat *beat)
{
    if (beat->nodeid == local->facts.nodeid) { /* our own came back through CPG */
        return beat->agent_start == local->facts.agent_start ? beat->sent_ms : 0;
    }
    ASSERT(beat->answer_count <= NODES_MAX);
    for (uint32_t i = 0; i < beat->answer_count; i++) {
        const struct beat_answer *answer = &beat->answers[i];
        if (answer->nodeid == local->facts.nodeid &&
            answer->agent_start == local->facts.agent_start) {
            return answer->sent_ms;
        }
    }
    return 0;
}

void peers_on_beat(struct core *core, const struct beat *beat)
{
    struct local *local = &core->local;
    struct peer *peer = peers_find(local, beat->nodeid);
    if (peer == NULL) { /* from before a view change */
        return;
    }
    uint64_t answered_ms = answer_to_us(local, beat);
    if (answered_ms > local->now_ms) { /* not our clock: an earlier life's, or nonsense */
        answered_ms = 0;
    }
    if (answered_ms > peer->answered_ms) {
        peer->answered_ms = answered_ms;
    }
    note_ended(local, beat->nodeid, beat->leaving == LEAVING_HOST);
    peer->heard = true;
    peer->heard_ms = local->now_ms;
    beat_copy(&peer->beat, beat);
    if (beat->storage) {
        peer->no_storage_since_ms = 0;
    } else if (peer->no_storage_since_ms == 0) {
        peer->no_storage_since_ms = local->now_ms;
    }
    if (beat->wants_answer && beat->nodeid != local->facts.nodeid) {
        peers_hurry(core);
    }
    if (local->first_fresh_ms == 0 && peers_fresh_until_ms(core) > local->now_ms) {
        local->first_fresh_ms = local->now_ms;
    }
}

uint64_t peers_fresh_until_ms(const struct core *core)
{
    uint64_t answered_ms = votes_answered_ms(core);
    return answered_ms == 0 ? 0 : answered_ms + core->cluster.settings.fresh_ms;
}

uint64_t peers_ring_mask(const struct core *core)
{
    uint64_t mask = 0;
    for (uint32_t i = 0; i < core->local.peer_count; i++) {
        uint8_t slot = state_find_node(&core->cluster, core->local.peers[i].nodeid);
        if (slot != NODE_NONE) {
            mask |= UINT64_C(1) << slot;
        }
    }
    return mask;
}

void peers_hurry(struct core *core)
{
    struct local *local = &core->local;
    uint64_t soonest_ms = local->beat_last_ms + BEAT_SPACING_MS;
    uint64_t at_ms = soonest_ms > local->now_ms ? soonest_ms : local->now_ms;
    if (at_ms < local->beat_next_ms) {
        local->beat_next_ms = at_ms;
    }
}

static void fill_answers(const struct core *core, struct beat *beat)
{
    for (uint32_t i = 0; i < core->local.peer_count; i++) {
        const struct peer *peer = &core->local.peers[i];
        if (peer->heard && peer->nodeid != core->local.facts.nodeid &&
            !watchdog_shuns(core, &peer->beat)) {
            ASSERT(beat->answer_count < NODES_MAX);
            beat->answers[beat->answer_count++] = (struct beat_answer){
                .nodeid = peer->nodeid,
                .agent_start = peer->beat.agent_start,
                .sent_ms = peer->beat.sent_ms,
            };
        }
    }
}

static void fill_beat(const struct core *core, struct beat *beat)
{
    const struct local *local = &core->local;
    const struct storage_view *storage = &local->storage;
    memset(beat, 0, offsetof(struct beat, answers));
    beat->nodeid = local->facts.nodeid;
    beat->agent_start = local->facts.agent_start;
    beat->sent_ms = local->now_ms;
    beat->epoch = core->cluster.header.epoch;
    beat->version = core->cluster.header.version;
    beat->term = core->cluster.header.term;
    beat->digest = core->cluster.header.digest;
    beat->machine = local->facts.machine;
    beat->boot = local->facts.boot;
    beat->incarnation = local->life.incarnation;
    beat->client = view_announced(core);
    beat->bmc = local->facts.bmc;
    memcpy(beat->devices, local->facts.devices, sizeof(beat->devices));
    memcpy(beat->name, local->facts.name, NAME_BYTES);
    beat->memory_mib = local->facts.memory_mib;
    beat->feature_level = local->facts.feature_level;
    beat->storage = storage->handle == HANDLE_OPEN && !storage->blocklisted &&
                    storage->good_ms != 0 &&
                    local->now_ms - storage->good_ms < core->cluster.settings.able_ms;
    beat->halted = halt_here(core);
    if (beat->halted) {
        beat->mark = local->facts.mark;
    }
    beat->restarts = local->now_ms < local->facts.steady_ms ? local->facts.restarts : 0;
    beat->suspended_ms = suspend_told_ms(core);
    beat->libvirt = local->domains_known && local->libvirt;
    watchdog_fill_beat(core, beat);
    beat->able = beat->storage && !beat->halted && !level_is_short(core) &&
                 local->life.state == LIFE_ADMITTED &&
                 (view_recorded(core) || view_predecessor_ended(core));
    beat->empty = local->life.state != LIFE_ADMITTED && local->life.empty;
    beat->leaving = local->leave.why;
    beat->alarms = alarm_of_ourselves(core);
    beat->wants_answer =
        peers_fresh_until_ms(core) <= local->now_ms + core->cluster.settings.beat_ms;
    memcpy(beat->trouble, trouble_of_host(core), TEXT_BYTES);
    fill_answers(core, beat);
    run_fill_observations(core, beat);
}

void peers_send_beat(struct core *core, struct caller *caller)
{
    struct local *local = &core->local;
    if (local->now_ms < local->beat_next_ms) {
        return;
    }
    fill_beat(core, &local->beat);
    hand_fill_observations(core, &local->beat);
    local->beat_last_ms = local->now_ms;
    local->beat_next_ms = local->now_ms + core->cluster.settings.beat_ms;
    caller->out->beat = &local->beat;
    (void)actions_add(caller->out, ACTION_SEND_BEAT);
}
