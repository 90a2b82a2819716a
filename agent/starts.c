/*
 * Which starts of this agent count, and from how many on it is restless.
 *
 * Decides that alone; what restlessness means is for those who ask (agent/actor.c, agent/place.c).
 * Assumes one clock that goes on over the process, CLOCK_BOOTTIME: a start later than now is of
 * another boot. Never keeps more than STARTS_MAX, the newest: the oldest of them says until when.
 */
#include "agent/starts.h"

#include "proto/assert.h"

void starts_note(struct starts *starts, uint64_t now_ms)
{
    struct starts next = {.count = 1, .times_ms = {now_ms}};
    ASSERT(starts->count <= STARTS_MAX);
    for (uint32_t i = 0; i < starts->count && next.count < STARTS_MAX; i++) {
        uint64_t at_ms = starts->times_ms[i];
        if (at_ms <= now_ms && now_ms - at_ms < STARTS_WITHIN_MS) {
            next.times_ms[next.count++] = at_ms;
        }
    }
    *starts = next;
}

uint64_t starts_steady_ms(const struct starts *starts)
{
    ASSERT(starts->count <= STARTS_MAX);
    return starts->count < STARTS_MAX ? 0 : starts->times_ms[STARTS_MAX - 1] + STARTS_WITHIN_MS;
}
