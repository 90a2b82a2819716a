/* The list of effects of one step. */
#include "proto/action.h"
#include "tests/unit/unit.h"

/* An added action is zeroed but for its kind, whatever the list held before. */
TEST(an_action_is_zeroed)
{
    struct actions *out = malloc(sizeof(*out));
    memset(out, 0xee, sizeof(*out));
    out->count = 0;
    const struct action *action = actions_add(out, ACTION_KILL);
    assert_int_equal(action->kind, ACTION_KILL);
    assert_int_equal(action->id, 0);
    assert_int_equal(action->valid_until_ms, 0);
    assert_true(uuid_is_zero(&action->vm.uuid));
    free(out);
}

/* The list takes ACTIONS_MAX actions in order, and asserts at one more. */
TEST(the_list_is_bounded)
{
    struct actions *out = calloc(1, sizeof(*out));
    for (uint32_t i = 0; i < ACTIONS_MAX; i++) {
        actions_add(out, ACTION_TRACE)->id = i;
    }
    assert_int_equal(out->list[ACTIONS_MAX - 1].id, ACTIONS_MAX - 1);
    expect_assert_failure(actions_add(out, ACTION_TRACE));
    free(out);
}

/* A kind nobody knows asserts. */
TEST(unknown_kinds_assert)
{
    struct actions *out = calloc(1, sizeof(*out));
    expect_assert_failure(actions_add(out, ACTION_KIND_COUNT));
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_action_is_zeroed),
        cmocka_unit_test(the_list_is_bounded),
        cmocka_unit_test(unknown_kinds_assert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
