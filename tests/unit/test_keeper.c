/* The keeper's decisions, on a clock made up here: when the watchdog is fed, and which is trusted.
 */
#include "fencing/keeper.h"
#include "fencing/timing.h"
#include "tests/unit/unit.h"

#define TIMEOUT 10000u
#define FEED 1000u

static struct keeper armed_at(uint64_t now_ms)
{
    struct keeper keeper = {.state = KEEPER_OFF};
    keeper_armed(&keeper, TIMEOUT, now_ms);
    return keeper;
}

TEST(a_device_is_fed_several_times_within_its_timeout)
{
    for (uint32_t timeout_ms = KEEPER_TIMEOUT_MIN_MS; timeout_ms <= 60000; timeout_ms += 1000) {
        assert_true(keeper_feed_ms(timeout_ms) * 5 <= timeout_ms);
        assert_true(keeper_feed_ms(timeout_ms) >= 50);
    }
    assert_int_equal(keeper_feed_ms(TIMEOUT), FEED);
    assert_int_equal(keeper_feed_ms(1000), 100);
    assert_int_equal(keeper_feed_ms(KEEPER_TIMEOUT_MAX_MS), FEED);
}

/* Armed and never vouched for: it is left to fire. */
TEST(without_a_word_nothing_is_fed)
{
    struct keeper keeper = armed_at(5000);
    assert_int_equal(keeper.state, KEEPER_ARMED);
    for (uint64_t now_ms = 5000; now_ms < 30000; now_ms += 100) {
        assert_false(keeper_feeds(&keeper, now_ms));
    }
    assert_int_equal(keeper_rest_ms(&keeper, 30000), UINT32_MAX);
}

/* Every feed lies before the end of the vouch, to the millisecond. */
TEST(it_is_fed_until_the_word_runs_out_and_not_once_more)
{
    struct keeper keeper = armed_at(5000);
    uint64_t last_ms = 0;
    uint32_t feeds = 0;
    assert_true(keeper_vouch(&keeper, 8500, 5000));
    assert_int_equal(keeper.state, KEEPER_FEEDING);
    for (uint64_t now_ms = 5000; now_ms < 20000; now_ms++) {
        if (keeper_feeds(&keeper, now_ms)) {
            last_ms = now_ms;
            feeds++;
        }
    }
    assert_int_equal(feeds, 3); /* at 6000, 7000, 8000 */
    assert_int_equal(last_ms, 8000);
    assert_int_equal(keeper.state, KEEPER_EXPIRED);
}

TEST(the_end_of_the_word_itself_is_too_late)
{
    struct keeper keeper = armed_at(0);
    assert_true(keeper_vouch(&keeper, 2000, 0));
    assert_true(keeper_feeds(&keeper, 1999));
    keeper.fed_ms = 0;
    assert_false(keeper_feeds(&keeper, 2000));
    assert_int_equal(keeper.state, KEEPER_EXPIRED);
}

/* A host that was suspended, or stood still, finds its word run out, whatever it did before. */
TEST(a_clock_that_jumped_is_believed)
{
    struct keeper keeper = armed_at(0);
    assert_true(keeper_vouch(&keeper, 2000, 0));
    assert_true(keeper_feeds(&keeper, 1500));
    assert_false(keeper_feeds(&keeper, 3600000));
    assert_int_equal(keeper.state, KEEPER_EXPIRED);
}

TEST(a_new_word_saves_a_host_whose_watchdog_has_not_fired_yet)
{
    struct keeper keeper = armed_at(0);
    assert_true(keeper_vouch(&keeper, 1000, 0));
    assert_false(keeper_feeds(&keeper, 1000));
    assert_int_equal(keeper.state, KEEPER_EXPIRED);
    assert_true(keeper_vouch(&keeper, 5000, 4000));
    assert_int_equal(keeper.state, KEEPER_FEEDING);
    assert_true(keeper_feeds(&keeper, 4000)); /* at once: it went hungry */
}

/* Of two statements the later end holds; one that is over changes nothing. */
TEST(a_shorter_or_finished_word_takes_nothing_back)
{
    struct keeper keeper = armed_at(0);
    assert_true(keeper_vouch(&keeper, 1000, 2000));
    assert_int_equal(keeper.state, KEEPER_ARMED);
    assert_true(keeper_vouch(&keeper, 2000, 2000)); /* ends now: nothing is fed on that */
    assert_int_equal(keeper.state, KEEPER_ARMED);
    assert_true(keeper_vouch(&keeper, 5000, 2000));
    assert_true(keeper_vouch(&keeper, 3000, 2000));
    assert_int_equal(keeper.until_ms, 5000);
}

TEST(a_word_for_the_far_future_is_nonsense)
{
    struct keeper keeper = armed_at(0);
    assert_false(keeper_vouch(&keeper, KEEPER_VOUCH_MAX_MS + 1, 0));
    assert_int_equal(keeper.state, KEEPER_ARMED);
    assert_true(keeper_vouch(&keeper, KEEPER_VOUCH_MAX_MS, 0));
}

TEST(a_word_before_it_is_armed_is_not_kept)
{
    struct keeper keeper = {.state = KEEPER_OFF};
    assert_false(keeper_vouch(&keeper, 1000, 0));
    keeper_armed(&keeper, TIMEOUT, 10);
    assert_false(keeper_feeds(&keeper, 20));
}

TEST(disarmed_it_rests_and_can_be_armed_again)
{
    struct keeper keeper = armed_at(0);
    assert_true(keeper_vouch(&keeper, 5000, 0));
    assert_int_equal(keeper_rest_ms(&keeper, 100), FEED - 100);
    keeper_disarmed(&keeper);
    assert_int_equal(keeper.state, KEEPER_OFF);
    assert_int_equal(keeper.until_ms, 0);
    assert_int_equal(keeper_rest_ms(&keeper, 100), UINT32_MAX);
    keeper.until_ms = 5000; /* whatever was left */
    keeper_armed(&keeper, TIMEOUT, 200);
    assert_int_equal(keeper.until_ms, 0); /* the old word is gone */
    assert_false(keeper_feeds(&keeper, 300));
    expect_assert_failure(keeper_armed(&keeper, TIMEOUT, 400));
}

/* Let go, and nothing stops it: whoever vouches or not, it must not fire. */
TEST(what_cannot_be_stopped_is_fed_for_good)
{
    struct keeper keeper = armed_at(1000);
    uint64_t fed_ms = 0;
    assert_true(keeper_vouch(&keeper, 5000, 1000));
    keeper_kept(&keeper);
    assert_int_equal(keeper.state, KEEPER_KEPT);
    assert_true(keeper_feeds(&keeper, 4000)); /* at once: it may have gone hungry */
    fed_ms = 4000;
    for (uint64_t now_ms = 4001; now_ms < 4000 + 2 * KEEPER_VOUCH_MAX_MS; now_ms++) {
        assert_int_equal(keeper_rest_ms(&keeper, now_ms),
                         fed_ms + 100 > now_ms ? fed_ms + 100 - now_ms : 0);
        if (keeper_feeds(&keeper, now_ms)) {
            assert_int_equal(now_ms, fed_ms + keeper_feed_ms(KEEPER_TIMEOUT_MIN_MS));
            fed_ms = now_ms;
        }
    }
    assert_int_equal(keeper.state, KEEPER_KEPT);
    expect_assert_failure(keeper_kept(&keeper));
}

/* A word that was under way when it was let go would end some time, and the feeding with it. */
TEST(what_is_fed_for_good_takes_no_word)
{
    struct keeper keeper = armed_at(0);
    keeper_kept(&keeper);
    assert_false(keeper_vouch(&keeper, 2000, 1000));
    assert_int_equal(keeper.state, KEEPER_KEPT);
    assert_true(keeper_feeds(&keeper, 3000));
}

TEST(armed_anew_what_was_kept_is_fed_by_word_only)
{
    struct keeper keeper = {.state = KEEPER_OFF}; /* refused as soon as it was opened */
    keeper_kept(&keeper);
    keeper_armed(&keeper, TIMEOUT, 1000);
    assert_int_equal(keeper.state, KEEPER_ARMED);
    assert_false(keeper_feeds(&keeper, 5000));
    assert_true(keeper_vouch(&keeper, 6000, 5000));
    assert_false(keeper_feeds(&keeper, 6000));
    assert_int_equal(keeper.state, KEEPER_EXPIRED);
    keeper_kept(&keeper); /* nobody counts on it any more: it is saved */
    assert_true(keeper_feeds(&keeper, 6000));
    keeper_disarmed(&keeper); /* it could be stopped after all */
    assert_int_equal(keeper.state, KEEPER_OFF);
}

/* Nobody may count on one that is fed for good; a person must know of it. */
TEST(each_state_says_whether_it_guards)
{
    for (enum keeper_state state = KEEPER_OFF; state < KEEPER_STATE_COUNT; state++) {
        bool guards = state == KEEPER_ARMED || state == KEEPER_FEEDING || state == KEEPER_EXPIRED;
        bool grave = state == KEEPER_EXPIRED || state == KEEPER_KEPT;
        assert_int_equal(keeper_guards(state), guards);
        assert_int_equal(keeper_sentence(state)[0] != '\0', grave);
        assert_true(keeper_word(state)[0] != '\0');
        for (enum keeper_state other = KEEPER_OFF; other < state; other++) {
            assert_string_not_equal(keeper_word(state), keeper_word(other));
        }
    }
    assert_non_null(strstr(keeper_sentence(KEEPER_KEPT), "cannot be stopped"));
    expect_assert_failure(keeper_guards(KEEPER_STATE_COUNT));
    expect_assert_failure(keeper_sentence(KEEPER_STATE_COUNT));
    expect_assert_failure(keeper_word(KEEPER_STATE_COUNT));
}

TEST(it_wakes_for_the_next_feed_or_the_end_of_the_word)
{
    struct keeper keeper = armed_at(0);
    assert_true(keeper_vouch(&keeper, 1200, 0));
    assert_int_equal(keeper_rest_ms(&keeper, 0), 1000);
    assert_true(keeper_feeds(&keeper, 1000));
    assert_int_equal(keeper_rest_ms(&keeper, 1000), 200);
    assert_int_equal(keeper_rest_ms(&keeper, 1300), 0);
}

/* What fencing/timing.c allows a feed that is under way. */
TEST(a_feed_is_late_beyond_what_the_sum_allows)
{
    assert_false(keeper_is_late(timing_feed_ms()));
    assert_true(keeper_is_late(timing_feed_ms() + 1));
}

/* --- which device --- */

static bool trusted(const struct keeper_device *device, bool softdog)
{
    char trouble[TEXT_BYTES] = "of a look before";
    bool good = keeper_trusts(device, softdog, trouble);
    assert_int_equal(good, trouble[0] == '\0');
    assert_true(good || strstr(trouble, device->identity) != NULL);
    return good;
}

TEST(known_liars_are_refused_with_a_remedy)
{
    struct keeper_device device = {
        .identity = "iTCO_wdt", .opened = true, .stays_armed = true, .emulated = true};
    assert_false(trusted(&device, true));
    device.emulated = false; /* real ones do fire, if late */
    assert_true(trusted(&device, false));
    struct keeper_device softdog = {
        .identity = "Software Watchdog", .opened = true, .stays_armed = true};
    assert_false(trusted(&softdog, false));
    assert_true(trusted(&softdog, true));
}

TEST(ipmi_watchdog_without_its_device_is_told_of)
{
    struct keeper_device device = {
        .identity = "i6300ESB timer", .opened = true, .stays_armed = true, .ipmi_loaded = true};
    assert_false(trusted(&device, false));
    device.ipmi_loaded = false;
    assert_true(trusted(&device, false));
    struct keeper_device ipmi = {
        .identity = "IPMI", .opened = true, .stays_armed = true, .ipmi_loaded = true};
    assert_true(trusted(&ipmi, false));
}

/* Its keeper's death must not disarm it. */
TEST(a_device_that_stops_when_closed_is_refused)
{
    struct keeper_device device = {.identity = "some board's", .opened = true};
    assert_false(trusted(&device, true));
    device.opened = false; /* not known yet */
    assert_true(trusted(&device, true));
}

TEST(a_timeout_is_within_its_limits_and_they_count_as_within)
{
    static const uint32_t timeouts[] = {KEEPER_TIMEOUT_MIN_MS - 1, KEEPER_TIMEOUT_MIN_MS,
                                        KEEPER_TIMEOUT_MAX_MS, KEEPER_TIMEOUT_MAX_MS + 1};
    struct keeper_order order = {.magic = KEEPER_MAGIC, .kind = KEEPER_ARM};
    for (uint32_t i = 0; i < UNIT_COUNT(timeouts); i++) {
        order.timeout_ms = timeouts[i];
        assert_int_equal(keeper_order_ok(&order), i == 1 || i == 2);
    }
}

/* Else whoever reads it would read on past its end. */
TEST(a_text_from_outside_must_end_within_its_field)
{
    struct keeper_order order = {.magic = KEEPER_MAGIC, .kind = KEEPER_VOUCH};
    order.device[ADDRESS_BYTES - 1] = 'x';
    assert_false(keeper_order_ok(&order));
    const struct keeper_report good = {.magic = KEEPER_MAGIC, .state = KEEPER_ARMED};
    struct keeper_report report = good;
    report.identity[KEEPER_IDENTITY_BYTES - 1] = 'x';
    assert_false(keeper_report_ok(&report));
    report = good;
    report.device[ADDRESS_BYTES - 1] = 'x';
    assert_false(keeper_report_ok(&report));
    report = good;
    report.trouble[TEXT_BYTES - 1] = 'x';
    assert_false(keeper_report_ok(&report));
    assert_true(keeper_report_ok(&good));
}

TEST(orders_and_reports_are_looked_at)
{
    struct keeper_order order = {.magic = KEEPER_MAGIC, .kind = KEEPER_ARM, .timeout_ms = TIMEOUT};
    assert_true(keeper_order_ok(&order));
    order.timeout_ms = 0;
    assert_false(keeper_order_ok(&order));
    order.kind = KEEPER_VOUCH;
    assert_true(keeper_order_ok(&order));
    order.kind = KEEPER_ORDER_KIND_COUNT;
    assert_false(keeper_order_ok(&order));
    order.kind = 0;
    assert_false(keeper_order_ok(&order));
    struct keeper_report report = {.magic = KEEPER_MAGIC, .state = KEEPER_FEEDING};
    assert_true(keeper_report_ok(&report));
    report.state = KEEPER_STATE_COUNT;
    assert_false(keeper_report_ok(&report));
    report.state = KEEPER_OFF;
    report.magic++;
    assert_false(keeper_report_ok(&report));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_is_fed_several_times_within_its_timeout),
        cmocka_unit_test(without_a_word_nothing_is_fed),
        cmocka_unit_test(it_is_fed_until_the_word_runs_out_and_not_once_more),
        cmocka_unit_test(the_end_of_the_word_itself_is_too_late),
        cmocka_unit_test(a_clock_that_jumped_is_believed),
        cmocka_unit_test(a_new_word_saves_a_host_whose_watchdog_has_not_fired_yet),
        cmocka_unit_test(a_shorter_or_finished_word_takes_nothing_back),
        cmocka_unit_test(a_word_for_the_far_future_is_nonsense),
        cmocka_unit_test(a_word_before_it_is_armed_is_not_kept),
        cmocka_unit_test(disarmed_it_rests_and_can_be_armed_again),
        cmocka_unit_test(what_cannot_be_stopped_is_fed_for_good),
        cmocka_unit_test(what_is_fed_for_good_takes_no_word),
        cmocka_unit_test(armed_anew_what_was_kept_is_fed_by_word_only),
        cmocka_unit_test(each_state_says_whether_it_guards),
        cmocka_unit_test(it_wakes_for_the_next_feed_or_the_end_of_the_word),
        cmocka_unit_test(a_feed_is_late_beyond_what_the_sum_allows),
        cmocka_unit_test(known_liars_are_refused_with_a_remedy),
        cmocka_unit_test(ipmi_watchdog_without_its_device_is_told_of),
        cmocka_unit_test(a_device_that_stops_when_closed_is_refused),
        cmocka_unit_test(a_timeout_is_within_its_limits_and_they_count_as_within),
        cmocka_unit_test(a_text_from_outside_must_end_within_its_field),
        cmocka_unit_test(orders_and_reports_are_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
