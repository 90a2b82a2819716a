/* The trace: lines for people, which never crowd out an action. */
#include "agent/trace.h"
#include "tests/unit/unit.h"

/* A line is an action of its own, in order. */
TEST(a_line_is_told)
{
    struct unit_alone *alone = unit_alone_new();
    trace_words(&alone->caller, "self: lost");
    assert_string_equal(unit_only(alone, ACTION_TRACE)->trace, "self: lost");
    free(alone);
}

/* However many lines there are, room for actions stays. */
TEST(lines_give_way_to_actions)
{
    struct unit_alone *alone = unit_alone_new();
    for (unsigned i = 0; i < 2 * ACTIONS_MAX; i++) {
        trace_words(&alone->caller, "chatter");
    }
    assert_true(alone->out.count <= ACTIONS_MAX - DELTA_RECORDS_MAX);
    (void)actions_add(&alone->out, ACTION_KILL);
    free(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_told),
        cmocka_unit_test(lines_give_way_to_actions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
