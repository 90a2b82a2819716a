/* How an edge hands an event to the agent without knowing it. */
#ifndef STEAD_PROTO_SINK_H
#define STEAD_PROTO_SINK_H

#include "proto/event.h"

/* `put` runs on the main loop's thread only, copies the event and never blocks; the payload an
 * event points to must stay valid until put returns. now_ms and wall_ms are filled in by put. */
struct sink {
    void (*put)(void *context, struct event *event);
    void *context;
};

static inline void sink_put(const struct sink *sink, struct event *event)
{
    sink->put(sink->context, event);
}

#endif
