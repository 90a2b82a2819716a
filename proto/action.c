/* The list of effects of one step. Decides nothing; never grows past its bound. */
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
