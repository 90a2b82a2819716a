/* The trace is kept in memory: most runs are quiet and only a failing one is ever shown. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "tests/sim/sim.h"

static void append(struct sim_text *text, const char *bytes, size_t count)
{
    if (text->count + count + 1 > text->room) {
        text->room = (text->count + count + 1) * 2 + 4096;
        text->bytes = realloc(text->bytes, text->room);
        ASSERT(text->bytes != NULL);
    }
    memcpy(text->bytes + text->count, bytes, count);
    text->count += count;
    text->bytes[text->count] = '\0';
}

void sim_log(struct sim *sim, uint32_t node, const char *format, ...)
{
    char head[NAME_BYTES + 32];
    char body[SIM_LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(body, sizeof(body), format, arguments);
    va_end(arguments);
    (void)snprintf(head, sizeof(head), "[%5llu.%03llu] %s%s",
                   (unsigned long long)(sim->now_us / SECOND),
                   (unsigned long long)(sim->now_us / MS % 1000),
                   node == SIM_NO_HOST ? "--" : sim->story->nodes[node].name,
                   node == SIM_NO_HOST ? " " : ": ");
    append(&sim->trace, head, strlen(head));
    append(&sim->trace, body, strlen(body));
    append(&sim->trace, "\n", 1);
}

_Noreturn void sim_violation(struct sim *sim, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sim->violation, sizeof(sim->violation), format, arguments);
    va_end(arguments);
    sim->violated = true;
    sim_log(sim, SIM_NO_HOST, "VIOLATION: %s", sim->violation);
    longjmp(sim->out, 1);
}
