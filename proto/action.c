/*
 * The list of effects of one step.
 *
 * Decides nothing: adds at the end, zeroed, and the edges carry out in that order. Assumes that
 * each who fills it knows a bound for what it adds; ACTIONS_MAX in all is a programmer's error, not
 * a state. Never takes an action back.
 */
#include "proto/action.h"

#include <string.h>

#include "proto/assert.h"

struct action *actions_add(struct actions *out, enum action_kind kind)
{
    ASSERT(out->count < ACTIONS_MAX);
    ASSERT(kind < ACTION_KIND_COUNT);
    struct action *action = &out->list[out->count++];
    memset(action, 0, sizeof(*action));
    action->kind = kind;
    return action;
}
