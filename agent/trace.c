/* The trace. Decides nothing; a line gives way to an action when room is short. */
#include "agent/trace.h"

#include <string.h>

#include "proto/assert.h"

#define TRACE_ROOM (ACTIONS_MAX / 4) /* kept free of lines */

void trace(struct caller *caller, const struct text *text)
{
    ASSERT(text->length < TEXT_BYTES);
    if (caller->out->count >= ACTIONS_MAX - TRACE_ROOM) {
        return;
    }
    struct action *action = actions_add(caller->out, ACTION_TRACE);
    memcpy(action->trace, text->bytes, TEXT_BYTES);
}

void trace_words(struct caller *caller, const char *words)
{
    struct text text = {0};
    trace(caller, text_add(&text, words));
}
