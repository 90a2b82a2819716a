/* An address entry against a node that takes part: looked for, taken off, told. */
#include "agent/address.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

/* We are n1 and act; n3 takes part and has not reached the storage for a while. */
static struct unit *cut_off(void)
{
    struct unit *u = unit_new(1);
    unit_lead(u);
    u->peers[3].storage = false;
    unit_settle(u, u->core.cluster.settings.call_ms + 1000);
    return u;
}

static const struct address *address(const struct unit *u)
{
    return &u->core.local.acting.addresses[N3];
}

static uint32_t told_count(const struct unit *u)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < HISTORY_MAX; i++) {
        const struct history_entry *entry = &u->core.cluster.history[i];
        count += strstr(entry->cause, "10.0.0.3:0/0 of n3") != NULL;
    }
    return count;
}

/* Its cable may be out as well: nothing is changed unseen. */
TEST(the_list_is_looked_at_first)
{
    struct unit *u = cut_off();
    struct action look = unit_take(u, ACTION_BLOCK_CHECK);
    assert_true(unit_holds(&look.block, unit_client(3, 0)));
    assert_int_equal(look.block.count, 1);
    unit_block(u, &look, OUTCOME_DONE, 0);
    unit_settle(u, 500);
    unit_none(u, ACTION_BLOCK_REMOVE);
    assert_false(address(u)->stray);
    unit_settle(u, u->core.cluster.settings.call_ms);
    (void)unit_take(u, ACTION_BLOCK_CHECK); /* again and again */
    assert_int_equal(told_count(u), 0);
    free(u);
}

TEST(a_late_hand_is_undone)
{
    struct unit *u = cut_off();
    struct action look = unit_take(u, ACTION_BLOCK_CHECK);
    unit_block(u, &look, OUTCOME_DONE, 1);
    assert_true(address(u)->stray);
    unit_settle(u, 500);
    struct action off = unit_take(u, ACTION_BLOCK_REMOVE);
    assert_true(unit_holds(&off.block, unit_client(3, 0)));
    assert_int_equal(off.block.count, 1);
    unit_block(u, &off, OUTCOME_DONE, 0);
    unit_settle(u, 500);
    assert_false(address(u)->stray);
    assert_false(address(u)->off); /* that is for a node that comes back */
    assert_int_equal(told_count(u), 1);
    free(u);
}

TEST(a_removal_that_failed_is_tried_again)
{
    struct unit *u = cut_off();
    struct action look = unit_take(u, ACTION_BLOCK_CHECK);
    unit_block(u, &look, OUTCOME_DONE, 1);
    unit_settle(u, 500);
    struct action off = unit_take(u, ACTION_BLOCK_REMOVE);
    unit_block(u, &off, OUTCOME_UNKNOWN, 0);
    assert_true(address(u)->stray);
    unit_settle(u, u->core.cluster.settings.call_ms);
    (void)unit_take(u, ACTION_BLOCK_REMOVE);
    assert_int_equal(told_count(u), 1);
    free(u);
}

TEST(a_look_that_failed_says_nothing)
{
    struct unit *u = cut_off();
    struct action look = unit_take(u, ACTION_BLOCK_CHECK);
    unit_block(u, &look, OUTCOME_UNKNOWN, 1);
    assert_false(address(u)->stray);
    free(u);
}

static bool alarmed(const struct unit *u)
{
    uint32_t at = 0;
    const struct alarm_seen *seen = NULL;
    while ((seen = alarm_next(&u->core.local.alarms, &at)) != NULL) {
        if (seen->alarm.kind == ALARM_ADDRESS_BARRED) {
            return strcmp(seen->alarm.subject, "n3") == 0;
        }
    }
    return false;
}

TEST(people_are_told_for_a_while)
{
    struct unit *u = cut_off();
    assert_false(alarmed(u));
    struct action look = unit_take(u, ACTION_BLOCK_CHECK);
    unit_block(u, &look, OUTCOME_DONE, 1);
    unit_settle(u, 2000);
    assert_true(alarmed(u));
    struct action off = unit_take(u, ACTION_BLOCK_REMOVE);
    unit_block(u, &off, OUTCOME_DONE, 0);
    u->peers[3].storage = true;
    unit_settle(u, 10000);
    assert_true(alarmed(u));
    u->core.local.acting.addresses[N3].stray_ms = u->now_ms - ADDRESS_TOLD_MS;
    unit_settle(u, 3000);
    assert_false(alarmed(u));
    free(u);
}

/* By an older agent's reading, that kind of entry does not exist. */
TEST(older_agents_are_not_told)
{
    for (uint32_t level = LEVEL_LEDGER - 1; level <= LEVEL_LEDGER; level++) {
        struct unit *u = unit_new(1);
        u->image.header.feature_level = level;
        u->image.nodes[1].feature_level = level;
        u->peers[2].feature_level = level;
        unit_lead(u);
        u->peers[3].storage = false;
        unit_settle(u, u->core.cluster.settings.call_ms + 1000);
        struct action look = unit_take(u, ACTION_BLOCK_CHECK);
        unit_block(u, &look, OUTCOME_DONE, 1);
        unit_settle(u, 500);
        (void)unit_take(u, ACTION_BLOCK_REMOVE);
        assert_int_equal(told_count(u), level == LEVEL_LEDGER);
        free(u);
    }
}

/* One that comes back is another one, and told again. */
TEST(each_late_hand_is_told)
{
    struct unit *u = cut_off();
    for (uint32_t count = 1; count <= 2; count++) {
        struct action look = unit_take(u, ACTION_BLOCK_CHECK);
        unit_block(u, &look, OUTCOME_DONE, 1);
        unit_settle(u, 500);
        struct action off = unit_take(u, ACTION_BLOCK_REMOVE);
        unit_block(u, &off, OUTCOME_DONE, 0);
        assert_int_equal(told_count(u), count);
        unit_settle(u, u->core.cluster.settings.call_ms);
    }
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_is_looked_at_first),
        cmocka_unit_test(a_late_hand_is_undone),
        cmocka_unit_test(a_removal_that_failed_is_tried_again),
        cmocka_unit_test(a_look_that_failed_says_nothing),
        cmocka_unit_test(people_are_told_for_a_while),
        cmocka_unit_test(older_agents_are_not_told),
        cmocka_unit_test(each_late_hand_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
