/*
 * The decision core: one pure function per node. Edges observe, the core decides, edges act.
 *
 *     step(core, &event, &actions);
 *     for (i = 0; i < actions.count; i++) carry_out(&actions.list[i]);
 *
 * Two drivers of one shape run it: the daemon (agent/effects_io.c) and the simulator (tests/sim/).
 */
#ifndef STEAD_AGENT_CORE_H
#define STEAD_AGENT_CORE_H

#include "agent/local.h"
#include "proto/action.h"
#include "proto/event.h"

struct core {
    struct cluster cluster; /* the copy of the committed state; written only by state_apply/load */
    struct local local;     /* this node's view, timers, calls in flight */
};

/*
 * Makes a zeroed core ready for its first step. `facts` is copied. Call once, before any event; the
 * driver then sends EVENT_TICK and carries on. A core is large (some MiB): allocate it once.
 */
void core_init(struct core *core, const struct facts *facts, uint64_t now_ms);

/*
 * Takes one event and fills `out` with what is to be done now, in order. `out` is emptied first.
 * Never blocks, allocates or reads a clock. event->now_ms must not be smaller than in the step
 * before.
 */
void step(struct core *core, const struct event *event, struct actions *out);

/* When the core next wants an EVENT_TICK (CLOCK_BOOTTIME, ms). */
uint64_t core_next_ms(const struct core *core);

#endif
