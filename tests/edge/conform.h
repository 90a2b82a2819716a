/*
 * Does the simulator's world answer as the real one does? One list of actions is put to both, and
 * what they answer is kept as text, one line each; then the lines are compared. What differs by its
 * nature (addresses, ids, times) is told by what it means: "new", "newer", who it is.
 */
#ifndef STEAD_TESTS_EDGE_CONFORM_H
#define STEAD_TESTS_EDGE_CONFORM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/action.h"
#include "proto/event.h"
#include "proto/values.h"
#include "storage/state.h"

#define CONFORM_LINES_MAX 160
#define CONFORM_LINE_BYTES 256
#define CONFORM_SEATS 3
#define CONFORM_PAST_MS 1 /* as valid_until_ms: gone by on any clock */

/* One that is asked: the model or the real part. */
struct conform {
    void *part;
    /* Carries it out for that seat; action->deadline_ms is so long from now. Its answer, which must
     * have come in time. */
    struct event (*ask)(void *part, uint32_t seat, struct action *action,
                        const struct delta *delta);
    struct client clients[CONFORM_SEATS]; /* as their handles told */
    uint64_t osd_epoch;                   /* the newest that was told */
    const struct client *guest; /* whom to look for among watchers and the dead; may be NULL */
    uint32_t line_count;
    char lines[CONFORM_LINES_MAX][CONFORM_LINE_BYTES];
};

static inline const char *conform_outcome(enum outcome outcome)
{
    static const char *const words[OUTCOME_COUNT] = {"DONE",    "REFUSED",     "FAILED", "UNKNOWN",
                                                     "MISSING", "BLOCKLISTED", "STALE"};
    assert_true(outcome < OUTCOME_COUNT);
    return words[outcome];
}

__attribute__((format(printf, 2, 3))) static inline void conform_note(struct conform *conform,
                                                                      const char *format, ...)
{
    va_list list;
    assert_true(conform->line_count < CONFORM_LINES_MAX);
    va_start(list, format);
    vsnprintf(conform->lines[conform->line_count++], CONFORM_LINE_BYTES, format, list);
    va_end(list);
}

/* ---- what an answer says */

static inline void conform_header(const struct header *header, char *ret, size_t size)
{
    snprintf(ret, size, " epoch %u term %llu version %llu by %llu", header->epoch,
             (unsigned long long)header->term, (unsigned long long)header->version,
             (unsigned long long)header->commit.counter);
}

static inline void conform_state(const struct event_state *state, char *ret, size_t size)
{
    snprintf(ret, size, " versions %llu to %llu, %u VMs, sound %d",
             (unsigned long long)state->first.version, (unsigned long long)state->last.version,
             state->image->vm_end, state_digest(state->image) == state->image->header.digest);
}

static inline void conform_lease(const struct event_lease *lease, char *ret, size_t size)
{
    const struct lease *held = &lease->lease;
    snprintf(ret, size,
             " state %d holder %u life %u/%u action %llu/%llu clients %u generation %llu",
             (int)held->state, held->holder, held->incarnation.epoch, held->incarnation.number,
             (unsigned long long)held->action.term, (unsigned long long)held->action.counter,
             held->clients.count, (unsigned long long)held->generation);
}

static inline void conform_block(struct conform *conform, const struct event_block *block,
                                 char *ret, size_t size)
{
    const bool newer = block->osd_epoch > conform->osd_epoch;
    snprintf(ret, size, " %u blocked, %s map", block->blocked_count, newer ? "newer" : "same");
    conform->osd_epoch = newer ? block->osd_epoch : conform->osd_epoch;
}

static inline void conform_handle(struct conform *conform, uint32_t seat, const struct event *event,
                                  char *ret, size_t size)
{
    const struct client *client = &event->handle.client;
    const bool same = client_equal(client, &conform->clients[seat]);
    snprintf(ret, size, " %s client", client_is_none(client) ? "no" : same ? "the same" : "a new");
    if (!client_is_none(client)) {
        conform->clients[seat] = *client;
    }
}

/* Everything of `event` that the two must agree on. */
static inline void conform_describe(struct conform *conform, uint32_t seat,
                                    const struct event *event, char *ret, size_t size)
{
    ret[0] = '\0';
    if (event->kind == EVENT_HANDLE) {
        conform_handle(conform, seat, event, ret, size);
    } else if (event->kind == EVENT_POLL && event->poll.outcome == OUTCOME_DONE) {
        conform_header(&event->poll.header, ret, size);
    } else if (event->kind == EVENT_POLL && event->poll.garbled) {
        snprintf(ret, size, " garbled");
    } else if (event->kind == EVENT_STATE && event->state.outcome == OUTCOME_DONE) {
        conform_state(&event->state, ret, size);
    } else if (event->kind == EVENT_STATE && event->state.garbled) {
        snprintf(ret, size, " garbled");
    } else if (event->kind == EVENT_COMMIT && event->commit.outcome == OUTCOME_REFUSED) {
        conform_header(&event->commit.header, ret, size);
    } else if (event->kind == EVENT_LEASE && event->lease.has_lease) {
        conform_lease(&event->lease, ret, size);
    } else if (event->kind == EVENT_BLOCK && event->block.outcome == OUTCOME_DONE) {
        conform_block(conform, &event->block, ret, size);
    } else if (event->kind == EVENT_WATCHERS && event->watchers.outcome == OUTCOME_DONE) {
        snprintf(ret, size, " images %u clients %u, the guest %d", event->watchers.image_count,
                 event->watchers.clients.count,
                 conform->guest != NULL && clients_hold(&event->watchers.clients, conform->guest));
    } else if (event->kind == EVENT_LOCKS && event->locks.outcome == OUTCOME_DONE) {
        snprintf(ret, size, " dead %u, the guest %d", event->locks.dead.count,
                 conform->guest != NULL && clients_hold(&event->locks.dead, conform->guest));
    } else if (event->kind == EVENT_KILLED) {
        snprintf(ret, size, " alive %u", event->killed.alive_count);
    }
}

static inline enum outcome conform_outcome_of(const struct event *event)
{
    return event->done.outcome; /* each kind of answer has it in the first place */
}

/* Asks, and keeps the answer; `why` is for people. */
static inline enum outcome conform_ask(struct conform *conform, const char *why, uint32_t seat,
                                       struct action *action, const struct delta *delta)
{
    char details[CONFORM_LINE_BYTES];
    const struct event event = conform->ask(conform->part, seat, action, delta);
    conform_describe(conform, seat, &event, details, sizeof(details));
    conform_note(conform, "%s: event %d %s%s", why, (int)event.kind,
                 conform_outcome(conform_outcome_of(&event)), details);
    return conform_outcome_of(&event);
}

/* ---- the comparison */

static inline void conform_compare(const struct conform *model, const struct conform *real)
{
    uint32_t differ = 0;
    assert_int_equal(model->line_count, real->line_count);
    for (uint32_t i = 0; i < model->line_count; i++) {
        const bool same = strcmp(model->lines[i], real->lines[i]) == 0;
        differ += !same;
        if (!same || getenv("STEAD_TEST_VERBOSE") != NULL) {
            print_message("%s model: %s\n     real:  %s\n", same ? "    " : "!!! ", model->lines[i],
                          real->lines[i]);
        }
    }
    print_message("%u answers compared, %u differ\n", model->line_count, differ);
    assert_int_equal(differ, 0);
}

#endif
