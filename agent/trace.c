/*
 * The trace: a line into the list of effects.
 *
 * Decides only which line is left out: every one once the list is three quarters full, so that a
 * step that does much never lacks room for what it does. Nothing may rest on a line being there.
 * Never stamps one: whoever prints it knows the time and the node.
 */
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
