/* Which starts count, and from how many on. Decides nothing else. */
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
