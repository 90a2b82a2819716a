/*
 * Calls under way.
 *
 * Decides when an answer is too late to be waited for, and when a step has begun enough. Assumes
 * that the caller's counter of ids never runs back. Never takes an answer twice, nor one to an
 * earlier call: what comes after call_overdue() finds nobody.
 */
#include "proto/call.h"

#include "proto/assert.h"

#define OVERDUE_MS 2000 /* an edge answers at its deadline; this much later it is broken */

static bool has_room(struct caller *caller, uint32_t limit)
{
    bool room = caller->out->count < limit;
    ASSERT(limit < ACTIONS_MAX);
    caller->full |= !room;
    return room;
}

bool caller_room(struct caller *caller)
{
    return has_room(caller, ACTIONS_EACH);
}

bool caller_room_urgent(struct caller *caller)
{
    return has_room(caller, ACTIONS_URGENT);
}

struct action *call_begin(struct caller *caller, struct call *call, enum action_kind kind,
                          uint32_t limit_ms, bool bound)
{
    ASSERT(!call_open(call));
    ASSERT(limit_ms > 0);
    struct action *action = actions_add(caller->out, kind);
    action->id = ++*caller->next_id;
    action->deadline_ms = caller->now_ms + limit_ms;
    action->valid_until_ms = bound ? caller->valid_until_ms : 0;
    call->id = action->id;
    call->deadline_ms = action->deadline_ms;
    return action;
}

bool call_ends(struct call *call, const struct event *event)
{
    ASSERT(event->kind < EVENT_KIND_COUNT);
    if (!call_open(call) || event->id != call->id) {
        return false;
    }
    *call = (struct call){0};
    return true;
}

bool call_overdue(struct call *call, uint64_t now_ms)
{
    if (!call_open(call) || now_ms < call->deadline_ms + OVERDUE_MS) {
        return false;
    }
    *call = (struct call){0};
    return true;
}
