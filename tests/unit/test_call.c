/* Calls under way: each ends once. */
#include "tests/unit/unit.h"

/* A call has an id of its own and a deadline, and carries the end of freshness only if bound to it.
 */
TEST(a_call_begins)
{
    struct unit_alone *alone = unit_alone_new();
    struct call a = {0};
    struct call b = {0};
    const struct action *first = call_begin(&alone->caller, &a, ACTION_LEASE_READ, 500, false);
    const struct action *second = call_begin(&alone->caller, &b, ACTION_LEASE_CHANGE, 500, true);
    assert_int_not_equal(first->id, 0);
    assert_int_not_equal(first->id, second->id);
    assert_int_equal(first->deadline_ms, 10500);
    assert_int_equal(first->valid_until_ms, 0);
    assert_int_equal(second->valid_until_ms, 11000);
    assert_true(call_open(&a) && call_open(&b));
    free(alone);
}

/* One call is never begun over another. */
TEST(one_at_a_time)
{
    struct unit_alone *alone = unit_alone_new();
    struct call call = {0};
    (void)call_begin(&alone->caller, &call, ACTION_LEASE_READ, 500, false);
    expect_assert_failure(call_begin(&alone->caller, &call, ACTION_LEASE_READ, 500, false));
    call = (struct call){0};
    expect_assert_failure(call_begin(&alone->caller, &call, ACTION_LEASE_READ, 0, false));
    free(alone);
}

/* A call ends by its own id, and only once. */
TEST(a_call_ends_once)
{
    struct call call = {.id = 7, .deadline_ms = 100};
    struct event stranger = {.kind = EVENT_LEASE, .id = 8};
    struct event answer = {.kind = EVENT_LEASE, .id = 7};
    assert_false(call_ends(&call, &stranger));
    assert_true(call_ends(&call, &answer));
    assert_false(call_open(&call));
    assert_false(call_ends(&call, &answer));
}

/* An unasked event, id 0, never ends a call that is not under way. */
TEST(unasked_events_end_nothing)
{
    struct call call = {0};
    struct event event = {.kind = EVENT_LEASE, .id = 0};
    assert_false(call_ends(&call, &event));
}

/* A call is overdue some time after its deadline, never before it. */
TEST(overdue)
{
    struct call call = {.id = 7, .deadline_ms = 1000};
    assert_false(call_overdue(&call, 1000));
    assert_false(call_overdue(&call, 1500));
    assert_true(call_overdue(&call, 10000));
    assert_false(call_open(&call));
    assert_false(call_overdue(&call, 20000));
}

/* The right to act ends at valid_until_ms exactly. */
TEST(freshness_ends_exactly)
{
    struct unit_alone *alone = unit_alone_new();
    alone->caller.now_ms = 10999;
    assert_true(caller_fresh(&alone->caller));
    alone->caller.now_ms = 11000;
    assert_false(caller_fresh(&alone->caller));
    free(alone);
}

/* Room ends exactly at the bound, the urgent one's later, and it is noted that it was wanting. */
TEST(room_ends_exactly)
{
    struct unit_alone *alone = unit_alone_new();
    alone->out.count = ACTIONS_EACH - 1;
    assert_true(caller_room(&alone->caller));
    alone->out.count = ACTIONS_URGENT - 1;
    assert_true(caller_room_urgent(&alone->caller));
    assert_false(alone->caller.full);
    assert_false(caller_room(&alone->caller));
    assert_true(alone->caller.full);
    assert_true(caller_room_urgent(&alone->caller));
    assert_true(alone->caller.full); /* for the whole step */
    alone->out.count = ACTIONS_EACH;
    assert_false(caller_room(&alone->caller));
    alone->out.count = ACTIONS_URGENT;
    assert_false(caller_room_urgent(&alone->caller));
    free(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_begins),     cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(a_call_ends_once),  cmocka_unit_test(unasked_events_end_nothing),
        cmocka_unit_test(overdue),           cmocka_unit_test(freshness_ends_exactly),
        cmocka_unit_test(room_ends_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
