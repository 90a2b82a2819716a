/* An operator and the acting node he asks: n1, which is us. */
#ifndef STEAD_TESTS_UNIT_REQUEST_H
#define STEAD_TESTS_UNIT_REQUEST_H

#include "agent/draft.h"
#include "agent/request.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

static inline struct request command(enum request_kind kind, const char *name, uint64_t counter)
{
    struct request request = {.kind = kind, .id = {1, 1001, counter}};
    name_set(request.name, NAME_BYTES, name);
    name_set(request.by, NAME_BYTES, "ada");
    return request;
}

static inline struct request vm_add(const char *name, uint8_t uuid, uint64_t counter)
{
    struct request request = command(REQUEST_VM_ADD, name, counter);
    request.uuid = unit_uuid(uuid);
    request.memory_mib = 1024;
    request.want = WANT_STOPPED;
    request.generation = 1;
    request.definition_version = 1;
    return request;
}

static inline void give(struct unit *u, const struct request *request)
{
    struct event event = unit_event(EVENT_REQUEST, 0);
    event.request = request;
    unit_step(u, &event);
}

/* Given on this node; its multicast comes back to us, the actor. */
static inline void command_here(struct unit *u, const struct request *request)
{
    give(u, request);
    struct action sent = unit_take(u, ACTION_SEND_REQUEST);
    struct request copy = sent.request;
    give(u, &copy);
    struct action reply;
    unit_settle(u, 200);
    if (unit_find(u, ACTION_SEND_REPLY, &reply)) {
        struct event event = unit_event(EVENT_REPLY, 0);
        event.reply = reply.reply;
        unit_step(u, &event);
    }
}

static inline struct reply answer_to(struct unit *u, const struct request *request)
{
    command_here(u, request);
    struct action answer = unit_take(u, ACTION_ANSWER);
    assert_true(origin_equal(&answer.reply.id, &request->id));
    unit_none(u, ACTION_ANSWER);
    return answer.reply;
}

static inline void check_refused(struct unit *u, const struct request *request, const char *part)
{
    uint64_t version = u->core.cluster.header.version;
    struct reply reply = answer_to(u, request);
    assert_int_equal(reply.verdict, VERDICT_REFUSED);
    if (strstr(reply.text, part) == NULL) {
        fail_msg("refused by \"%s\" instead of \"%s\"", reply.text, part);
    }
    assert_int_equal(u->core.cluster.header.version, version);
}

static inline void check_accepted(struct unit *u, const struct request *request)
{
    struct reply reply = answer_to(u, request);
    if (reply.verdict != VERDICT_DONE) {
        fail_msg("refused: %s", reply.text);
    }
    assert_non_null(state_find_request(&u->core.cluster, &request->id));
}

/* Decided in a draft of its own, which is left open: NULL, or why it is refused, with nothing
 * drafted. What was in `ret_why` before is no part of it. */
static inline const char *decided(struct unit *u, const struct request *request,
                                  const char *(*decide)(struct core *, const struct request *,
                                                        struct text *))
{
    static struct text why;
    memset(why.bytes, 'x', sizeof(why.bytes) - 1);
    why.length = TEXT_BYTES / 2;
    draft_begin(&u->core);
    const char *refused = decide(&u->core, request, &why);
    if (refused != NULL) {
        assert_int_equal(u->core.local.draft.delta.count, 0);
    }
    return refused;
}

static inline void check_why(const char *refused, const char *words)
{
    assert_non_null(refused);
    assert_string_equal(refused, words);
}

/* What is drafted: one record, and the entry by which the command is done. */
static inline const struct record *drafted_record(const struct unit *u)
{
    assert_int_equal(u->core.local.draft.delta.count, 2);
    return &u->core.local.draft.delta.records[0];
}

static inline const struct history_entry *drafted_entry(const struct unit *u)
{
    assert_int_equal(u->core.local.draft.delta.count, 2);
    const struct record *record = &u->core.local.draft.delta.records[1];
    assert_int_equal(record->kind, RECORD_HISTORY);
    return &record->history;
}

static inline struct unit *acting(void)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE)->want = WANT_STOPPED;
    unit_vm(u, 1, VM_RUNNING, 1);
    unit_lead(u);
    return u;
}

#endif
