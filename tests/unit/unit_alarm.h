/* What tests of alarms need: time that passes for the alarms alone, and what was raised and told.
 */
#ifndef STEAD_TESTS_UNIT_ALARM_H
#define STEAD_TESTS_UNIT_ALARM_H

#include "agent/alarm.h"
#include "tests/unit/unit_core.h"

static inline const struct alarm_seen *raised(struct unit *u, enum alarm_kind kind,
                                              const char *subject)
{
    const struct alarm_seen *seen = NULL;
    uint32_t at = 0;
    while ((seen = alarm_next(&u->core.local.alarms, &at)) != NULL) {
        if (seen->alarm.kind == kind && strcmp(seen->alarm.subject, subject) == 0) {
            return seen;
        }
    }
    return NULL;
}

/* How often this was told, raised or cleared; what is older is forgotten with unit_forget(). */
static inline uint32_t told(const struct unit *u, enum alarm_kind kind, bool raise)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < u->log_count; i++) {
        const struct action *action = &u->log[i];
        count += action->kind == ACTION_ALARM && action->alarm.alarm.kind == kind &&
                 action->alarm.raised == raise;
    }
    return count;
}

/* Time passes for the alarms alone, in a world where all else stays as the test put it: who is not
 * silent was just heard, and the copy is fresh unless polls hang. */
static inline void look(struct unit *u, uint64_t ms)
{
    struct local *local = &u->core.local;
    for (uint64_t until_ms = u->now_ms + ms; u->now_ms < until_ms; u->now_ms += 1000) {
        local->now_ms = u->now_ms;
        local->wall_ms = 1700000000000 + u->now_ms;
        for (uint32_t i = 0; i < local->peer_count; i++) {
            struct peer *peer = &local->peers[i];
            if (peer->nodeid > UNIT_NODES || !u->silent[peer->nodeid]) {
                peer->heard_ms = peer->answered_ms = u->now_ms;
            }
        }
        local->storage.newest_ms = u->polls_hang ? local->storage.newest_ms : u->now_ms;
        struct caller caller = {.now_ms = u->now_ms, .out = &u->out};
        u->out.count = 0;
        alarm_carry_on(&u->core, &caller);
        assert_true(u->out.count <= ALARMS_TOLD_MAX);
        for (uint32_t i = 0; i < u->out.count && u->log_count < UNIT_LOG_MAX; i++) {
            u->log[u->log_count++] = u->out.list[i];
        }
    }
}

static inline void set_ring(struct unit *u, uint32_t count, bool quorate)
{
    struct local *local = &u->core.local;
    local->ring.away = false;
    local->ring.count = count;
    local->ring.quorate = quorate;
    local->peer_count = count;
}

static inline uint32_t count_raised(const struct unit *u)
{
    uint32_t count = 0;
    for (uint32_t at = 0; alarm_next(&u->core.local.alarms, &at) != NULL;) {
        count++;
    }
    return count;
}

static inline struct unit *well(void)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE)->want = WANT_STOPPED;
    unit_lead(u);
    u->core.local.alarms = (struct alarms){.next_ms = 0};
    look(u, 5000);
    assert_int_equal(count_raised(u), 0);
    unit_forget(u);
    return u;
}

#endif
