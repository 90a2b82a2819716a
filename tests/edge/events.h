/* For edge tests: a main loop, and a sink that keeps what the edge under test said. */
#ifndef STEAD_TESTS_EDGE_EVENTS_H
#define STEAD_TESTS_EDGE_EVENTS_H

#include <qb/qbloop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/assert.h"
#include "proto/sink.h"
#include "proto/values.h"

#define EVENTS_MAX 512

struct events {
    qb_loop_t *loop;
    struct sink sink;
    uint64_t next_id;
    bool eager; /* each event stops the loop */
    uint32_t count;
    struct event list[EVENTS_MAX];
};

/* Each test is one file, so this is defined once. */
_Noreturn void stead_panic(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, condition);
    abort();
}

static inline uint64_t events_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void events_put(void *context, struct event *event)
{
    struct events *events = context;
    if (events->count < EVENTS_MAX) {
        event->now_ms = events_now_ms();
        events->list[events->count++] = *event;
    }
    if (events->eager) {
        qb_loop_stop(events->loop);
    }
}

static inline struct events *events_new(void)
{
    struct events *events = calloc(1, sizeof(*events));
    if (events) {
        events->loop = qb_loop_create();
        events->sink = (struct sink){.put = events_put, .context = events};
        events->next_id = 100;
    }
    return events;
}

static inline void events_free(struct events *events)
{
    qb_loop_destroy(events->loop);
    free(events);
}

static inline void events_stop(void *data)
{
    qb_loop_stop(data);
}

/* Lets the loop run for so long. */
static inline void events_run(struct events *events, uint64_t run_ms)
{
    qb_loop_timer_handle timer;
    if (qb_loop_timer_add(events->loop, QB_LOOP_LOW, run_ms * 1000000, events->loop, events_stop,
                          &timer) == 0) {
        qb_loop_run(events->loop);
        (void)qb_loop_timer_del(events->loop, timer); /* an error if it has run: fine */
    }
}

/* Lets it run until something is said, at most until then. False: it is too late already. */
static inline bool events_run_until(struct events *events, uint64_t until_ms)
{
    uint64_t now_ms = events_now_ms();
    if (now_ms >= until_ms) {
        return false;
    }
    events->eager = true;
    events_run(events, until_ms - now_ms);
    events->eager = false;
    return true;
}

/* How many events answer `id` (of kind `kind` where id is 0). */
static inline uint32_t events_count(const struct events *events, enum event_kind kind, uint64_t id)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < events->count; i++) {
        count += events->list[i].kind == kind && events->list[i].id == id;
    }
    return count;
}

/* The first event of that kind and id from place `from` on; runs the loop until it is there. NULL
 * when it does not come in time. */
static inline const struct event *events_wait(struct events *events, uint32_t from,
                                              enum event_kind kind, uint64_t id, uint64_t wait_ms)
{
    uint64_t until = events_now_ms() + wait_ms;
    do {
        for (uint32_t i = from; i < events->count; i++) {
            if (events->list[i].kind == kind && events->list[i].id == id) {
                return &events->list[i];
            }
        }
    } while (events_run_until(events, until));
    return NULL;
}

/* The first EVENT_DOMAIN that tells `vm` to be in `state`, likewise. */
static inline const struct event *events_wait_domain(struct events *events, uint32_t from,
                                                     const struct uuid *vm, enum domain_state state,
                                                     uint64_t wait_ms)
{
    uint64_t until = events_now_ms() + wait_ms;
    do {
        for (uint32_t i = from; i < events->count; i++) {
            const struct event *event = &events->list[i];
            if (event->kind == EVENT_DOMAIN && uuid_equal(&event->domain.vm, vm) &&
                event->domain.state == state) {
                return event;
            }
        }
    } while (events_run_until(events, until));
    return NULL;
}

#endif
