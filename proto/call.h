/*
 * A request to an edge that is under way: its id and its deadline. Every call ends: in an event
 * with its id, or, should the edge have failed us, call_overdue() some time after its deadline; the
 * caller treats that as OUTCOME_UNKNOWN.
 */
#ifndef STEAD_PROTO_CALL_H
#define STEAD_PROTO_CALL_H

#include "proto/action.h"
#include "proto/event.h"

struct call {
    uint64_t id; /* 0: none under way */
    uint64_t deadline_ms;
};

/* What a machine needs in order to act: the moment, how long the right to act is known to hold, and
 * where effects and ids come from. One per step. */
struct caller {
    uint64_t now_ms;
    uint64_t valid_until_ms; /* the end of freshness; <= now_ms: nothing may be begun */
    uint64_t *next_id;
    struct actions *out;
    bool full; /* somebody found no room: he goes on in the next step, which comes at once */
};

/* May something that needs the right to act be begun now? */
static inline bool caller_fresh(const struct caller *caller)
{
    return caller->now_ms < caller->valid_until_ms;
}

/* Is there room in this step for all that one more VM, or command, calls for? To be asked for each
 * of those that may be many. */
bool caller_room(struct caller *caller);

/* The same for a kill or a fence, which others' reads must not delay. */
bool caller_room_urgent(struct caller *caller);

static inline bool call_open(const struct call *call)
{
    return call->id != 0;
}

/* Begins a call that ends within `limit_ms`. With `bound`, only while the right to act holds
 * (valid_until_ms is handed on). Returns the action to be filled. */
struct action *call_begin(struct caller *caller, struct call *call, enum action_kind kind,
                          uint32_t limit_ms, bool bound);

/* Is this event the answer? If so the call is closed. */
bool call_ends(struct call *call, const struct event *event);

/* The edge owes an answer for so long that it will not come; the call is closed. */
bool call_overdue(struct call *call, uint64_t now_ms);

#endif
