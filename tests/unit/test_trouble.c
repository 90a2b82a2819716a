/* What is wrong with our own host: the most serious thing, until it is over, told to everybody. */
#include "agent/query.h"
#include "agent/trouble.h"
#include "tests/unit/unit_core.h"

static void tell(struct unit *u, enum trouble kind, const char *text)
{
    struct event event = unit_event(EVENT_TROUBLE, 0);
    event.trouble.kind = kind;
    name_set(event.trouble.text, TEXT_BYTES, text);
    unit_step(u, &event);
}

static void check_host(struct unit *u, const char *words)
{
    const char *trouble = trouble_of_host(&u->core);
    if (words[0] == '\0') {
        assert_string_equal(trouble, "");
    } else {
        assert_non_null(strstr(trouble, words));
    }
}

TEST(the_most_serious_is_told_until_it_is_over)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    check_host(u, "");
    tell(u, TROUBLE_BMC, "b");
    tell(u, TROUBLE_BMC, "a"); /* the last word holds, however alike */
    check_host(u, "a");
    tell(u, TROUBLE_BMC, "the BMC says no");
    check_host(u, "the BMC says no");
    u->core.local.life.save_tries = 1;
    check_host(u, "/run/stead cannot be written");
    tell(u, TROUBLE_CEPH, "a cap is missing");
    check_host(u, "a cap is missing");
    unit_pass(u, 300);
    assert_string_equal(u->core.local.beat.trouble, "a cap is missing");
    tell(u, TROUBLE_CEPH, "");
    u->core.local.life.save_tries = 0;
    check_host(u, "the BMC says no");
    tell(u, TROUBLE_HOOK, "starts by hand are not refused");
    check_host(u, "the BMC says no");
    tell(u, TROUBLE_BMC, "");
    check_host(u, "starts by hand are not refused");
    tell(u, TROUBLE_DEFINED, "a definition of VM web, made by hand");
    check_host(u, "starts by hand are not refused");
    tell(u, TROUBLE_HOOK, "");
    check_host(u, "made by hand");
    tell(u, TROUBLE_DEFINED, "");
    tell(u, TROUBLE_POOL, "full in Ceph: rbd"); /* nothing of this host's */
    check_host(u, "");
    free(u);
}

TEST(a_machine_or_a_name_that_does_not_fit)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    u->core.cluster.nodes[2].machine = u->core.local.facts.machine;
    check_host(u, "machine UUID is another node's too");
    u->core.cluster.nodes[2].machine = unit_uuid(0x77);
    name_set(u->core.local.facts.name, NAME_BYTES, "other");
    check_host(u, "corosync.conf or [node] name calls it otherwise");
    free(u);
}

TEST(others_know_it_from_our_heartbeat)
{
    struct unit *u = unit_new(2);
    name_set(u->peers[3].trouble, TEXT_BYTES, "its BMC says no");
    unit_start(u);
    unit_pass(u, 500);
    assert_string_equal(query_node_trouble(&u->core, 2), "its BMC says no");
    assert_string_equal(query_node_trouble(&u->core, 0), "");
    tell(u, TROUBLE_CEPH, "ours");
    assert_string_equal(query_node_trouble(&u->core, 1), "ours");
    static const uint32_t two[] = {1, 2};
    unit_ring(u, true, 2, two);
    assert_string_equal(query_node_trouble(&u->core, 2), "");
    free(u);
}

/* A trouble is one from its first letter on, and another text is another trouble. */
TEST(the_shortest_words_count)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    static const enum trouble rising[] = {TROUBLE_DEFINED, TROUBLE_HOOK, TROUBLE_BMC, TROUBLE_CEPH,
                                          TROUBLE_COROSYNC};
    static const char *const letters[] = {"d", "h", "b", "c", "r"};
    for (uint32_t i = 0; i < UNIT_COUNT(rising); i++) {
        tell(u, rising[i], letters[i]);
        check_host(u, letters[i]);
    }
    tell(u, TROUBLE_COROSYNC, "s");
    check_host(u, "s");
    tell(u, TROUBLE_COROSYNC, "");
    check_host(u, "c");
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_serious_is_told_until_it_is_over),
        cmocka_unit_test(a_machine_or_a_name_that_does_not_fit),
        cmocka_unit_test(others_know_it_from_our_heartbeat),
        cmocka_unit_test(the_shortest_words_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
