/*
 * Raising and clearing alarms.
 *
 * Decides: when something that is so is worth a word, when it is over, and whether this node has to
 * say it: what concerns one node, that node; what concerns the cluster, the acting node, or each
 * for itself where there is no quorum; where there is one and nobody acts, one in its stead. An
 * actor that takes over tells what the one before may not have told: rather twice than never.
 * Never: acts on an alarm, or fails when there are too many.
 */
#include "agent/alarm.h"

#include <string.h>

#include "agent/actor.h"
#include "agent/core.h"
#include "agent/peers.h"
#include "proto/assert.h"
#include "proto/digest.h"
#include "proto/values.h"

#define LOOK_MS 1000
#define STEAD_MS 5000 /* a term is taken sooner, if anybody can */
#define JUMP_MS 5000  /* an NTP slew is far slower, a step to be known of larger */

/* Thousands of VMs may be down at once, so this must be quick where the list is full. */
static struct alarm_seen *find(struct alarms *alarms, uint64_t key, enum alarm_kind kind,
                               const char *subject)
{
    for (uint32_t i = 0; i < alarms->count; i++) {
        uint32_t at = alarms->next + i;
        at -= at >= alarms->count ? alarms->count : 0;
        struct alarm_seen *seen = &alarms->list[at];
        if (seen->key == key && seen->alarm.kind == kind &&
            name_equal(seen->alarm.subject, subject)) {
            alarms->next = at + 1 < alarms->count ? at + 1 : 0;
            return seen;
        }
    }
    return NULL;
}

void alarm_found(struct alarms *alarms, enum alarm_kind kind, const char *subject, bool own,
                 const char *text, uint64_t now_ms, uint64_t wall_ms)
{
    uint64_t key = digest_text(digest_u64(DIGEST_SEED, kind), subject, NAME_BYTES);
    struct alarm_seen *seen = find(alarms, key, kind, subject);
    ASSERT(kind < ALARM_KIND_COUNT);
    if (seen == NULL && alarms->count == ALARMS_MAX) {
        alarms->full = true;
        return;
    }
    if (seen == NULL) {
        seen = &alarms->list[alarms->count++];
        *seen = (struct alarm_seen){.alarm = {.kind = kind, .since_wall_ms = wall_ms},
                                    .key = key,
                                    .since_ms = now_ms,
                                    .own = own};
        name_set(seen->alarm.subject, sizeof(seen->alarm.subject), subject);
    }
    seen->last_ms = now_ms;
    name_set(seen->alarm.text, sizeof(seen->alarm.text), text);
}

/* In the place of an acting node: who has a newer copy tells, of as new ones the lowest. */
static bool tells_before_us(const struct core *core, const struct peer *peer)
{
    const struct header *copy = &core->cluster.header;
    ASSERT(core->local.facts.nodeid != 0);
    if (!peers_speaks(core, peer)) {
        return false;
    }
    if (peer->beat.epoch != copy->epoch) {
        return peer->beat.epoch > copy->epoch;
    }
    return peer->beat.version != copy->version ? peer->beat.version > copy->version
                                               : peer->nodeid < core->local.facts.nodeid;
}

/* Has there been a quorum and no acting node for a while, and are we the one to tell? */
static bool in_its_stead(const struct core *core)
{
    const struct local *local = &core->local;
    ASSERT(local->alarms.actor_ms <= local->now_ms);
    bool ours = local->now_ms - local->alarms.actor_ms >= STEAD_MS;
    for (uint32_t i = 0; i < local->peer_count; i++) {
        ours = ours && !tells_before_us(core, &local->peers[i]);
    }
    return ours;
}

/* Is it ours to tell? */
static bool is_ours(const struct core *core, const struct alarm_seen *seen)
{
    if (alarm_about(seen->alarm.kind)->scope == ALARM_SCOPE_NODE) {
        return seen->own;
    }
    return actor_holds(core) || !core->local.ring.quorate || in_its_stead(core);
}

/* An actor that is there tells what is the cluster's: then we need not when we come to act. */
static bool another_tells(const struct core *core, const struct alarm_seen *seen)
{
    return alarm_about(seen->alarm.kind)->scope == ALARM_SCOPE_CLUSTER &&
           core->local.ring.quorate && !actor_holds(core) && actor_speaks(core);
}

static void tell(const struct alarm_seen *seen, bool raised, struct caller *caller)
{
    struct action *action = actions_add(caller->out, ACTION_ALARM);
    action->alarm.alarm = seen->alarm;
    action->alarm.raised = raised;
}

static void raise_and_tell(struct core *core, struct alarm_seen *seen, uint32_t *told,
                           struct caller *caller)
{
    const struct alarm_about *about = alarm_about(seen->alarm.kind);
    if (!seen->raised && caller->now_ms - seen->since_ms >= about->raise_ms &&
        seen->last_ms == caller->now_ms) {
        seen->raised = true;
        seen->told = another_tells(core, seen);
    }
    if (seen->raised && !seen->told && seen->last_ms == caller->now_ms && is_ours(core, seen) &&
        *told < ALARMS_TOLD_MAX) {
        seen->told = true;
        ++*told;
        tell(seen, true, caller);
    }
}

/* True when it can be forgotten. */
static bool is_over(struct core *core, struct alarm_seen *seen, uint32_t *told,
                    struct caller *caller)
{
    const struct alarm_about *about = alarm_about(seen->alarm.kind);
    if (seen->last_ms == caller->now_ms) {
        return false;
    }
    if (!seen->raised) {
        return true; /* it must be so all the time to be raised */
    }
    if (caller->now_ms - seen->last_ms < about->clear_ms || *told == ALARMS_TOLD_MAX) {
        return false;
    }
    if (seen->told && is_ours(core, seen)) {
        ++*told;
        tell(seen, false, caller);
    }
    return true;
}

/* The wall clock must run with the one that counts suspend. */
static void watch_clock(struct alarms *alarms, uint64_t now_ms, uint64_t wall_ms)
{
    int64_t ahead_ms = (int64_t)wall_ms - (int64_t)now_ms;
    int64_t jump_ms = ahead_ms - alarms->wall_ahead_ms;
    if (alarms->next_ms != 0 && (jump_ms > JUMP_MS || jump_ms < -JUMP_MS)) {
        alarms->jumped_ms = now_ms;
        alarms->jump_ms = jump_ms;
    }
    alarms->wall_ahead_ms = ahead_ms;
}

void alarm_carry_on(struct core *core, struct caller *caller)
{
    struct alarms *alarms = &core->local.alarms;
    uint32_t told = 0;
    uint32_t kept = 0;
    if (caller->now_ms < alarms->next_ms) {
        return;
    }
    ASSERT(alarms->count <= ALARMS_MAX);
    watch_clock(alarms, caller->now_ms, core->local.wall_ms);
    if (alarms->next_ms == 0 || actor_speaks(core) || !core->local.ring.quorate) {
        alarms->actor_ms = caller->now_ms;
    }
    alarms->next_ms = caller->now_ms + LOOK_MS;
    alarms->full = false;
    alarms->next = 0;
    alarm_find_all(core);
    for (uint32_t i = 0; i < alarms->count; i++) {
        struct alarm_seen *seen = &alarms->list[i];
        raise_and_tell(core, seen, &told, caller);
        if (!is_over(core, seen, &told, caller)) {
            if (kept != i) {
                alarms->list[kept] = *seen;
            }
            kept++;
        }
    }
    alarms->count = kept;
}

const struct alarm_seen *alarm_next(const struct alarms *alarms, uint32_t *at)
{
    while (*at < alarms->count) {
        const struct alarm_seen *seen = &alarms->list[(*at)++];
        if (seen->raised) {
            return seen;
        }
    }
    return NULL;
}
