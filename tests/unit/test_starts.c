/* Which starts of an agent make it restless. */
#include "agent/starts.h"
#include "tests/unit/unit.h"

static struct starts after(const uint64_t *times_ms, unsigned count)
{
    struct starts starts = {0};
    for (unsigned i = 0; i < count; i++) {
        starts_note(&starts, times_ms[i]);
    }
    return starts;
}

/* Four starts in a row are none too many. */
TEST(a_few_starts_are_steady)
{
    const uint64_t times_ms[] = {3 * STARTS_WITHIN_MS, 3 * STARTS_WITHIN_MS + 1000,
                                 3 * STARTS_WITHIN_MS + 2000, 3 * STARTS_WITHIN_MS + 3000};
    struct starts starts = after(times_ms, 4);
    assert_int_equal(starts.count, 4);
    assert_int_equal(starts_steady_ms(&starts), 0);
}

/* The fifth within ten minutes is, until the first of them is ten minutes old. */
TEST(the_fifth_is_restless)
{
    const uint64_t times_ms[] = {1000, 2000, 3000, 4000, 5000};
    struct starts starts = after(times_ms, 5);
    assert_int_equal(starts_steady_ms(&starts), 1000 + STARTS_WITHIN_MS);
    starts_note(&starts, 5000); /* again in the same moment */
    assert_int_equal(starts.times_ms[1], 5000);
    assert_int_equal(starts_steady_ms(&starts), 2000 + STARTS_WITHIN_MS);
}

/* One more: the oldest no longer counts, the next does. */
TEST(only_the_last_five_count)
{
    const uint64_t times_ms[] = {1000, 2000, 3000, 4000, 5000, 9000};
    struct starts starts = after(times_ms, 6);
    assert_int_equal(starts.count, STARTS_MAX);
    assert_int_equal(starts.times_ms[0], 9000);
    assert_int_equal(starts_steady_ms(&starts), 2000 + STARTS_WITHIN_MS);
}

/* Starts far apart never add up. */
TEST(old_starts_are_forgotten)
{
    const uint64_t times_ms[] = {1000, 2000, 3000, 4000, 4000 + STARTS_WITHIN_MS};
    struct starts starts = after(times_ms, 5);
    assert_int_equal(starts.count, 1);
    assert_int_equal(starts_steady_ms(&starts), 0);
}

/* Times later than now are another boot's. */
TEST(another_boots_starts_are_forgotten)
{
    const uint64_t times_ms[] = {500000, 500100, 500200, 500300, 9000};
    struct starts starts = after(times_ms, 5);
    assert_int_equal(starts.count, 1);
    assert_int_equal(starts.times_ms[0], 9000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_starts_are_steady),
        cmocka_unit_test(the_fifth_is_restless),
        cmocka_unit_test(only_the_last_five_count),
        cmocka_unit_test(old_starts_are_forgotten),
        cmocka_unit_test(another_boots_starts_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
