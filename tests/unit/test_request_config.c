/* Commands about settings, as they are decided: what is drafted, or why nothing is. We are n1 and
 * act. */
#include "agent/request_validate.h"
#include "tests/unit/unit_request.h"

static struct request setting(const char *name, const char *value)
{
    struct request request = command(REQUEST_CONFIG_SET, name, 1);
    name_set(request.value, NAME_BYTES, value);
    return request;
}

static const char *set(struct unit *u, const char *name, const char *value)
{
    struct request request = setting(name, value);
    return decided(u, &request, request_config_set);
}

/* The record with its value, when and by whom; the entry with the value, too. */
TEST(what_a_setting_leaves)
{
    struct unit *u = acting();
    assert_null(set(u, "fresh_ms", "2s"));
    const struct record *record = drafted_record(u);
    assert_int_equal(record->slot, settings_find("fresh_ms")->slot);
    assert_int_equal(record->setting.value, 2000);
    assert_int_equal(record->setting.set_ms, u->core.local.wall_ms);
    assert_string_equal(record->setting.by, "ada");
    assert_int_equal(drafted_entry(u)->number, 2000);
    assert_int_equal(drafted_entry(u)->nodeid, 0);
    u->core.local.wall_ms = 0; /* a host without a clock: it is set nevertheless */
    assert_null(set(u, "fresh_ms", "2s"));
    assert_int_equal(drafted_record(u)->setting.set_ms, 1);
    free(u);
}

/* The operator's own words are told, however few. */
TEST(why_it_was_set_is_told)
{
    struct unit *u = acting();
    struct request request = setting("fresh_ms", "2s");
    name_set(request.why, NAME_BYTES, "x");
    assert_null(decided(u, &request, request_config_set));
    assert_string_equal(drafted_entry(u)->cause, "fresh_ms: 1s -> 2s (x), by ada");
    free(u);
}

/* Each refusal is the whole sentence, with what is right. */
TEST(what_cannot_be_set_is_refused_with_what_can)
{
    struct unit *u = acting();
    check_why(set(u, "nonsense", "1"), "there is no setting 'nonsense': see stead config list");
    check_why(set(u, "fresh", "1"),
              "there is no setting 'fresh'; did you mean 'fresh_ms' (200ms to 10s)?");
    check_why(set(u, "fersh_ms", "1"),
              "there is no setting 'fersh_ms'; did you mean 'fresh_ms' (200ms to 10s)?");
    assert_int_equal(strncmp(set(u, "fresh_ms", "1ms"), "fresh_ms ", 9), 0);
    assert_non_null(strstr(set(u, "fresh_ms", "1ms"), "200ms to 10s, not '1ms'"));
    assert_non_null(strstr(set(u, "able_ms", "300ms"), "set able_ms to "));
    free(u);
}

/* ---- HA is paused */

/* From the level on that knows of it. */
TEST(ha_is_paused_once_all_heed_it)
{
    struct unit *u = acting();
    u->core.cluster.header.feature_level = LEVEL_PAUSE - 1;
    check_why(set(u, "ha", "freeze"),
              "older agents would not heed it: upgrade them first (stead history: feature-level)");
    assert_null(set(u, "ha", "on"));
    u->core.cluster.header.feature_level = LEVEL_PAUSE;
    assert_null(set(u, "ha", "freeze"));
    free(u);
}

/* While a fence is under way it is in force at once, and says what ends first. */
TEST(a_pause_tells_of_a_fence_under_way)
{
    struct unit *u = acting();
    u->core.cluster.nodes[N3].state = NODE_LOST;
    assert_null(set(u, "ha", "ignore"));
    assert_int_equal(drafted_record(u)->setting.value, HA_IGNORE);
    assert_int_equal(drafted_entry(u)->number, HA_IGNORE);
    assert_string_equal(drafted_entry(u)->cause,
                        "ha: on -> ignore; the fence of n3 ends first, by ada");
    assert_null(set(u, "ha", "on"));
    assert_string_equal(drafted_entry(u)->cause, "ha: on -> on, by ada");
    u->core.cluster.nodes[N3].state = NODE_FENCED;
    assert_null(set(u, "ha", "ignore"));
    assert_string_equal(drafted_entry(u)->cause, "ha: on -> ignore, no fence is under way, by ada");
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_setting_leaves),
        cmocka_unit_test(why_it_was_set_is_told),
        cmocka_unit_test(what_cannot_be_set_is_refused_with_what_can),
        cmocka_unit_test(ha_is_paused_once_all_heed_it),
        cmocka_unit_test(a_pause_tells_of_a_fence_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
