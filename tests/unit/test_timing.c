/* The numbers: what must hold between them, and that waiting is bounded. */
#include "fencing/timing.h"
#include "tests/unit/unit.h"

/* A single late heartbeat must not end freshness, nor a single slow poll ableness. */
TEST(one_late_answer_is_forgiven)
{
    struct settings s = settings_default();
    assert_true(s.fresh_ms >= 2 * s.beat_ms);
    assert_true(s.able_ms >= 2 * s.poll_ms);
}

/* A stalled actor is overtaken only after a RADOS answer could no longer be called good. */
TEST(the_actor_gets_longer_than_a_slow_answer)
{
    struct settings s = settings_default();
    assert_true(s.actor_ms > s.able_ms);
}

/* The default policy: the barrier releases. */
TEST(the_default_proof_is_the_barrier)
{
    assert_int_equal(settings_default().proof, PROOF_STORAGE);
}

/* Waiting between tries doubles, and stops growing: recovery never stops trying (I5). */
TEST(retries_back_off_and_are_bounded)
{
    struct settings s = settings_default();
    assert_int_equal(timing_retry_ms(&s, 0), s.retry_ms);
    assert_int_equal(timing_retry_ms(&s, 1), 2 * s.retry_ms);
    for (uint32_t tries = 1; tries < 100; tries++) {
        assert_true(timing_retry_ms(&s, tries) >= timing_retry_ms(&s, tries - 1));
        assert_true(timing_retry_ms(&s, tries) <= 60000);
    }
    assert_int_equal(timing_retry_ms(&s, UINT32_MAX), timing_retry_ms(&s, 99));
}

/* A guest that ends again and again: its first end costs retry_ms, each further one twice as much,
 * up to 256 times that. */
TEST(guests_back_off_from_their_first_end)
{
    struct settings s = settings_default();
    for (uint32_t ends = 1; ends < 20; ends++) {
        uint32_t doublings = ends <= 9 ? ends - 1 : 8;
        assert_int_equal(timing_guest_retry_ms(&s, ends), s.retry_ms << doublings);
    }
    expect_assert_failure(timing_guest_retry_ms(&s, 0));
}

/* A peer is silent only after several of its heartbeats are missing. */
TEST(silence_is_several_beats)
{
    struct settings s = settings_default();
    assert_true(timing_silent_ms(&s) >= 3 * s.beat_ms);
}

/* A running VM's lease is looked at more often than any takeover by time could matter. */
TEST(leases_are_looked_at)
{
    struct settings s = settings_default();
    assert_int_equal(timing_lease_check_ms(&s), 4 * s.poll_ms);
}

/* A host that was never seen since we started is given its time to boot, and not for ever (I5). */
TEST(grace_is_minutes_not_hours)
{
    struct settings s = settings_default();
    assert_true(s.grace_ms >= 10000);
    assert_true(s.grace_ms <= 300000);
}

/* The deadline is the sum of its terms, and follows each of them. */
TEST(a_watchdog_is_given_its_time)
{
    struct settings s = settings_default();
    uint32_t vouch_ms = timing_vouch_ms(&s);
    uint32_t sum_ms = vouch_ms + timing_feed_ms() + 20000;
    uint32_t wait_ms = timing_watchdog_ms(vouch_ms, 20000);
    assert_int_equal(vouch_ms, 2 * s.fresh_ms);
    assert_int_equal(wait_ms, sum_ms + timing_drift_ms(sum_ms) + timing_schedule_ms());
    assert_int_equal(timing_watchdog_ms(vouch_ms, 21000), wait_ms + 1000 + 1);
    assert_int_equal(timing_watchdog_ms(vouch_ms + 1000, 20000), wait_ms + 1000 + 1);
    assert_true(timing_feed_ms() >= 1000); /* no keeper feeds more seldom */
}

/* Unanswered is who would be so though two members died one after the other; clocks differ by no
 * more than 1000 ppm, and a millisecond for what is less than one. */
TEST(the_terms_are_what_their_arguments_say)
{
    struct settings s = settings_default();
    assert_int_equal(timing_unanswered_ms(&s, 1700), s.fresh_ms + 2 * 1700);
    assert_int_equal(timing_rejoin_ms(1700), 2 * 1700);
    assert_int_equal(timing_drift_ms(999), 1);
    assert_int_equal(timing_drift_ms(100000), 101);
}

/* Settings of zero would mean "at once, for ever". */
TEST(zero_settings_assert)
{
    struct settings s = {0};
    expect_assert_failure(timing_retry_ms(&s, 0));
    expect_assert_failure(timing_silent_ms(&s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_late_answer_is_forgiven),
        cmocka_unit_test(the_actor_gets_longer_than_a_slow_answer),
        cmocka_unit_test(the_default_proof_is_the_barrier),
        cmocka_unit_test(retries_back_off_and_are_bounded),
        cmocka_unit_test(guests_back_off_from_their_first_end),
        cmocka_unit_test(silence_is_several_beats),
        cmocka_unit_test(leases_are_looked_at),
        cmocka_unit_test(grace_is_minutes_not_hours),
        cmocka_unit_test(a_watchdog_is_given_its_time),
        cmocka_unit_test(the_terms_are_what_their_arguments_say),
        cmocka_unit_test(zero_settings_assert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
