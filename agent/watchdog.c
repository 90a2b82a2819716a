/*
 * Watchdogs.
 *
 * Decides, on each node: when its keeper arms the watchdog (some policy accepts that proof, and we
 * are fresh: to arm one anew feeds it), until when this host is vouched for (while we are fresh, or
 * while no guest can be alive here that may be proven dead so), and when the watchdog is let go
 * (the state says that nobody counts on it). On the acting node: that a present member's armed
 * watchdog is committed, and when that of a lost one must have fired. Assumes: who has read that a
 * node is lost does not answer its heartbeats, so that its freshness, its vouching and its feeding
 * end; the arithmetic is in fencing/timing.c. Never: lets a watchdog go while the state counts on
 * it, or counts on one that was not committed.
 */
#include "agent/watchdog.h"

#include <stddef.h>

#include "agent/classes.h"
#include "agent/draft.h"
#include "agent/life.h"
#include "agent/peers.h"
#include "agent/trace.h"
#include "agent/votes.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/text.h"
#include "proto/values.h"
#include "storage/state.h"

#define ROOM 2 /* the node's record and an entry */

static bool accepted(const struct core *core)
{
    return classes_rest_on_time(&core->cluster, core->cluster.settings.proof) &&
           core->cluster.header.feature_level >= LEVEL_WATCHDOG;
}

/* --- on each node --- */

/* Does the state count on our watchdog? Unknown counts as yes. */
static bool is_counted_on(const struct core *core)
{
    uint8_t slot = state_find_node(&core->cluster, core->local.facts.nodeid);
    if (core->cluster.header.version == 0) {
        return true;
    }
    return slot != NODE_NONE && core->cluster.nodes[slot].watchdog;
}

static uint32_t fires_ms(const struct core *core)
{
    uint32_t own_ms = core->local.facts.watchdog_fires_ms;
    ASSERT(core->cluster.settings.watchdog_fires_ms > 0);
    return own_ms != 0 ? own_ms : core->cluster.settings.watchdog_fires_ms;
}

void watchdog_on_event(struct core *core, const struct event *event, struct caller *caller)
{
    struct watchdog *watchdog = &core->local.watchdog;
    struct text text = {0};
    bool changed = !watchdog->known || watchdog->armed != event->keeper.armed;
    watchdog->known = true;
    watchdog->armed = event->keeper.armed;
    watchdog->timeout_ms = event->keeper.timeout_ms;
    name_set(watchdog->identity, sizeof(watchdog->identity), event->keeper.identity);
    name_set(core->local.troubles[TROUBLE_WATCHDOG], TEXT_BYTES, event->keeper.trouble);
    if (watchdog->armed && watchdog->timeout_ms > fires_ms(core)) {
        name_set(core->local.troubles[TROUBLE_WATCHDOG], TEXT_BYTES,
                 "its watchdog's timeout is longer than it is said to fire within: set [watchdog] "
                 "fires in stead.conf, or watchdog_ms lower");
    }
    if (watchdog->armed) {
        watchdog->tries = 0;
        watchdog->vouch_ms = 0;
        watchdog->vouched_ms = 0;
    }
    if (changed) {
        watchdog->since_ms = core->local.beat_last_ms + 1;
        text_add(text_add(&text, "watchdog: "), watchdog->armed ? "armed, " : "not armed ");
        trace(caller,
              text_add(&text, watchdog->armed ? watchdog->identity : event->keeper.trouble));
        peers_hurry(core);
    }
}

void watchdog_on_end(struct core *core, struct caller *caller)
{
    core->local.watchdog.ending = true;
    core->local.watchdog.retry_ms = 0;
    if (core->local.watchdog.armed && !life_no_guest(core, accepted(core))) {
        trace_words(caller, "watchdog: armed, and guests are alive here: this host is reset unless "
                            "an agent vouches for it again in time");
    }
    peers_hurry(core);
}

bool watchdog_is_ending(const struct core *core)
{
    return core->local.watchdog.ending && core->local.watchdog.armed &&
           life_no_guest(core, accepted(core));
}

/* By answers to what told of the watchdog: whoever knows that we are lost goes by that. */
static bool is_heard(const struct core *core, const struct caller *caller)
{
    uint64_t since_ms = core->local.watchdog.since_ms + core->cluster.settings.fresh_ms;
    ASSERT(core->local.watchdog.armed);
    return caller_fresh(caller) && caller->valid_until_ms >= since_ms;
}

/* From the sending of what was answered. By settings that were not read: no longer than others may
 * count with, whichever are in force. */
static uint32_t heard_for_ms(const struct core *core)
{
    uint32_t fresh_ms = core->cluster.settings.fresh_ms;
    bool read = core->cluster.header.version != 0;
    ASSERT(fresh_ms > 0);
    return read || fresh_ms < timing_vouch_least_ms() ? fresh_ms : timing_vouch_least_ms();
}

static void vouch(struct core *core, struct caller *caller)
{
    struct watchdog *watchdog = &core->local.watchdog;
    const struct settings *settings = &core->cluster.settings;
    uint64_t until_ms = 0;
    if (is_heard(core, caller)) {
        until_ms = caller->valid_until_ms - settings->fresh_ms + heard_for_ms(core);
    } else if (life_no_guest(core, accepted(core))) {
        until_ms = caller->now_ms + settings->fresh_ms;
    }
    if (until_ms <= watchdog->vouched_ms || until_ms <= caller->now_ms ||
        caller->now_ms < watchdog->vouch_ms) {
        return;
    }
    ASSERT(until_ms <= caller->now_ms + settings->fresh_ms);
    actions_add(caller->out, ACTION_VOUCH)->keeper.until_ms = until_ms;
    watchdog->vouched_ms = until_ms;
    watchdog->span_ms = timing_vouch_ms(settings);
    watchdog->vouch_ms = caller->now_ms + settings->beat_ms / 2;
}

void watchdog_carry_on(struct core *core, struct caller *caller)
{
    struct watchdog *watchdog = &core->local.watchdog;
    bool counts = accepted(core);
    bool wanted = counts && core->local.life.state == LIFE_ADMITTED && !watchdog->ending;
    if (watchdog->armed) {
        vouch(core, caller);
    }
    if (!counts) {
        core->local.troubles[TROUBLE_WATCHDOG][0] = '\0';
    }
    if (caller->now_ms < watchdog->retry_ms) {
        return;
    }
    if (wanted && !watchdog->armed && caller_fresh(caller)) {
        actions_add(caller->out, ACTION_KEEPER_ARM)->keeper.timeout_ms =
            core->cluster.settings.watchdog_ms;
    } else if (!wanted && watchdog->armed && !is_counted_on(core)) {
        (void)actions_add(caller->out, ACTION_KEEPER_DISARM);
    } else {
        return;
    }
    watchdog->retry_ms =
        caller->now_ms + timing_retry_ms(&core->cluster.settings, watchdog->tries++);
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* What this host may be vouched for at most, past an answered heartbeat. A lower `fresh_ms` takes
 * nothing back that the keeper was told before, by us or by an agent of which the record tells. */
static uint32_t vouches_ms(const struct core *core)
{
    const struct watchdog *watchdog = &core->local.watchdog;
    uint8_t slot = state_find_node(&core->cluster, core->local.facts.nodeid);
    uint32_t most_ms = timing_vouch_ms(&core->cluster.settings);
    uint32_t record_ms = slot == NODE_NONE ? 0 : core->cluster.nodes[slot].watchdog_vouch_ms;
    ASSERT(most_ms > 0);
    if (core->local.now_ms < watchdog->vouched_ms) {
        most_ms = larger(most_ms, watchdog->span_ms);
    }
    if (core->local.now_ms < core->local.started_ms + record_ms) {
        most_ms = larger(most_ms, record_ms);
    }
    return most_ms;
}

void watchdog_fill_beat(const struct core *core, struct beat *beat)
{
    const struct watchdog *watchdog = &core->local.watchdog;
    bool read = core->cluster.header.version != 0; /* else: by which settings, nobody can say */
    bool counts = watchdog->armed && (!read || watchdog->timeout_ms <= fires_ms(core)) &&
                  !watchdog_is_ending(core);
    if (watchdog->known) {
        beat->watchdog = counts ? WATCHDOG_ARMED : WATCHDOG_OFF;
        beat->watchdog_fires_ms = counts && read ? fires_ms(core) : 0;
        beat->watchdog_vouch_ms = counts && read ? vouches_ms(core) : 0;
    }
}

/* Before we were restarted we may have known that it is lost, and been counted on. If so it has
 * fired once it went unanswered for as long by us, and by all who knew. Not for ever: where we are
 * needed for a quorum and our address is barred, nobody else could let us read the state. */
static bool may_have_known(const struct core *core, const struct beat *beat)
{
    ASSERT(core->local.started_ms <= core->local.now_ms);
    if (beat->watchdog_vouch_ms == 0 || beat->watchdog_fires_ms == 0) {
        return true;
    }
    return core->local.now_ms - core->local.started_ms <
           timing_watchdog_ms(beat->watchdog_vouch_ms, beat->watchdog_fires_ms);
}

bool watchdog_shuns(const struct core *core, const struct beat *beat)
{
    uint8_t slot = state_find_node(&core->cluster, beat->nodeid);
    bool armed = beat->watchdog == WATCHDOG_ARMED;
    if (core->cluster.header.version == 0) {
        return armed && may_have_known(core, beat);
    }
    if (slot == NODE_NONE) {
        return false;
    }
    const struct node_record *node = &core->cluster.nodes[slot];
    bool its_life = incarnation_equal(node->incarnation, beat->incarnation) ||
                    (incarnation_is_none(beat->incarnation) && !beat->empty); /* it was not kept */
    return (node->state == NODE_LOST || node->state == NODE_FENCED) && its_life &&
           (armed || node->watchdog);
}

/* --- on the acting node --- */

void watchdog_draft(struct core *core, uint32_t slot, const struct beat *beat)
{
    const struct node_record *node = draft_peek_node(core, slot);
    const struct header *copy = &core->cluster.header;
    ASSERT(node->state == NODE_ADMITTED);
    /* What it said before it read what we know may be over: it lets go by what it reads. */
    bool current = beat->epoch == copy->epoch && beat->version == copy->version;
    bool counts = accepted(core);
    bool armed = counts && beat->watchdog == WATCHDOG_ARMED && current;
    bool off = !counts || beat->watchdog == WATCHDOG_OFF;
    bool news = armed ? !node->watchdog || node->watchdog_fires_ms != beat->watchdog_fires_ms ||
                            node->watchdog_vouch_ms != beat->watchdog_vouch_ms
                      : node->watchdog && off;
    if (!news || draft_room(core) < ROOM) {
        return;
    }
    struct node_record *next = draft_node(core, slot);
    struct text text = {0};
    next->watchdog = armed;
    next->watchdog_fires_ms = armed ? beat->watchdog_fires_ms : 0;
    next->watchdog_vouch_ms = armed ? beat->watchdog_vouch_ms : 0;
    text_add(text_add(&text, "watchdog of "), next->name);
    if (armed) {
        text_add(&text, " armed: it fires within ");
        text_add(text_add_u64(&text, next->watchdog_fires_ms), " ms of its last feed");
    } else {
        text_add(&text, counts ? " off: its keeper says that it is not armed"
                               : " off: the cluster no longer counts on it");
    }
    draft_history(core, HISTORY_NODE_WATCHDOG, next->nodeid, NULL, text.bytes)->number =
        next->watchdog_fires_ms;
}

uint32_t watchdog_vouch_ms(const struct settings *settings, const struct node_record *node)
{
    uint32_t vouch_ms = timing_vouch_ms(settings);
    ASSERT(node->watchdog);
    return node->watchdog_vouch_ms > vouch_ms ? node->watchdog_vouch_ms : vouch_ms;
}

uint32_t watchdog_deadline_ms(const struct settings *settings, const struct node_record *node)
{
    ASSERT(node->watchdog);
    ASSERT(node->watchdog_fires_ms > 0);
    return timing_watchdog_ms(watchdog_vouch_ms(settings, node), node->watchdog_fires_ms);
}

/* One that was fed so long ago must not be taken for fired before its own timeout. */
static bool too_long(const struct node_record *node, const struct settings *next,
                     struct text *ret_why)
{
    if (next->watchdog_ms <= node->watchdog_fires_ms) {
        return false;
    }
    text_add(text_add(ret_why, "the watchdog of "), node->name);
    text_add(text_add_u64(text_add(ret_why, " is said to fire within "), node->watchdog_fires_ms),
             " ms: set watchdog_ms to that or less, or [watchdog] fires in its stead.conf higher");
    return true;
}

bool watchdog_agrees(const struct core *core, const struct settings *next, struct text *ret_why)
{
    uint32_t now_ms = timing_vouch_ms(&core->cluster.settings);
    bool moves = timing_vouch_ms(next) != now_ms;
    bool counts = classes_rest_on_time(&core->cluster, next->proof);
    *ret_why = (struct text){0};
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *node = draft_peek_node(core, slot);
        if (!node->watchdog || !counts) {
            continue;
        }
        if (moves && node->watchdog_vouch_ms != now_ms) {
            text_add(text_add(ret_why, node->name),
                     " has not taken up the fresh_ms in force yet, and its watchdog is counted on: "
                     "try again once it has, or is fenced");
            return false;
        }
        if (too_long(node, next, ret_why)) {
            return false;
        }
    }
    return true;
}

/* How many nodes that count have read of the loss, the lost one left out. */
static uint32_t know_of_it(const struct core *core, uint32_t slot)
{
    const struct header *copy = &core->cluster.header;
    uint32_t known = 0;
    ASSERT(copy->version >= core->local.acting.lost_version[slot]);
    for (uint32_t other = 0; other < NODES_MAX; other++) {
        bool counts = (core->cluster.counting & UINT64_C(1) << other) != 0 && other != slot;
        const struct peer *peer =
            counts ? peers_see(core, core->cluster.nodes[other].nodeid) : NULL;
        known += peer != NULL && peer->heard && peer->beat.epoch == copy->epoch &&
                 peer->beat.version >= core->local.acting.lost_version[slot];
    }
    return known;
}

void watchdog_prove(struct core *core, uint32_t slot, struct fence *fence)
{
    const struct node_record *node = &core->cluster.nodes[slot];
    ASSERT(node->state == NODE_LOST || node->state == NODE_FENCED);
    if (!node->watchdog || !incarnation_equal(fence->incarnation, node->incarnation) ||
        (fence->proofs & PROOF_WATCHDOG) != 0) {
        return;
    }
    if (fence->watchdog_from_ms == 0 && know_of_it(core, slot) >= votes_needed(core)) {
        fence->watchdog_from_ms = core->local.now_ms;
    }
    uint32_t wait_ms = watchdog_deadline_ms(&core->cluster.settings, node);
    if (fence->watchdog_from_ms != 0 && core->local.now_ms >= fence->watchdog_from_ms + wait_ms) {
        fence->proofs |= PROOF_WATCHDOG;
    }
}
