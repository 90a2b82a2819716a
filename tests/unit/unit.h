/*
 * What every unit test needs: cmocka, and an assertion handler that lets a test say "this asserts".
 *
 * A failed ASSERT of the core goes to cmocka's mock_assert(): inside expect_assert_failure(call) it
 * is the expected end of the call, anywhere else it fails the test.
 */
#ifndef STEAD_TESTS_UNIT_H
#define STEAD_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/assert.h"
#include "proto/call.h"
#include "proto/values.h"

_Noreturn void stead_panic(const char *file, int line, const char *condition)
{
    mock_assert(0, condition, file, line);
    abort(); /* never reached: mock_assert(0) leaves by longjmp */
}

/* One test case. The comment above it is the sentence it nails. */
#define TEST(name) static void name(void **unit_unused __attribute__((unused)))

#define UNIT_COUNT(list) (sizeof(list) / sizeof((list)[0]))

static inline struct uuid unit_uuid(uint8_t byte)
{
    struct uuid uuid;
    memset(uuid.bytes, byte, sizeof(uuid.bytes));
    return uuid;
}

/* A client at the address of that node; nonce 0 is the node's address entry. */
static inline struct client unit_client(uint32_t nodeid, uint32_t nonce)
{
    struct client client = {{0}};
    snprintf(client.address, sizeof(client.address), "10.0.0.%u:0/%u", nodeid, nonce);
    return client;
}

static inline bool unit_holds(const struct action_block *block, struct client client)
{
    for (uint32_t i = 0; i < block->count; i++) {
        if (client_equal(&block->entries[i], &client)) {
            return true;
        }
    }
    return false;
}

/* A caller for parts that are tested alone: fresh for a second from now. Allocated once per test.
 */
struct unit_alone {
    struct actions out;
    struct caller caller;
    uint64_t next_id;
};

static inline struct unit_alone *unit_alone_new(void)
{
    struct unit_alone *alone = calloc(1, sizeof(*alone));
    assert_non_null(alone);
    alone->caller = (struct caller){10000, 11000, &alone->next_id, &alone->out, false};
    return alone;
}

static inline void unit_alone_at(struct unit_alone *alone, uint64_t now_ms)
{
    alone->caller.now_ms = now_ms;
    alone->caller.valid_until_ms = now_ms + 1000;
    alone->out.count = 0;
}

/* The only action there is, which must be of that kind. */
static inline const struct action *unit_only(const struct unit_alone *alone, enum action_kind kind)
{
    assert_int_equal(alone->out.count, 1);
    assert_int_equal(alone->out.list[0].kind, kind);
    return &alone->out.list[0];
}

#endif
