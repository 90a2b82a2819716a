/* What may follow what is known of the state object. */
#include "storage/health.h"

#include "tests/unit/unit.h"

static struct header header(uint32_t epoch, uint64_t version, uint64_t digest)
{
    struct header header = {.epoch = epoch, .version = version, .digest = digest};
    header.cluster_id = unit_uuid(1);
    return header;
}

TEST(what_is_known_only_grows)
{
    struct known known = {0};
    health_know(&known, 1, 7);
    health_know(&known, 1, 6);
    assert_int_equal(known.version, 7);
    health_know(&known, 2, 3);
    assert_int_equal(known.epoch, 2);
    assert_int_equal(known.version, 3);
    health_know(&known, 1, 900);
    assert_int_equal(known.epoch, 2);
    assert_int_equal(known.version, 3);
}

TEST(the_same_and_the_later_are_well)
{
    struct header copy = header(1, 7, 70);
    struct known known = {.epoch = 1, .version = 7};
    struct header read = copy;
    assert_int_equal(health_of_header(&read, &copy, &known), STATE_WELL);
    read = header(1, 8, 80);
    assert_int_equal(health_of_header(&read, &copy, &known), STATE_WELL);
    read = header(2, 1, 10); /* restored by a person: the epoch says so */
    assert_int_equal(health_of_header(&read, &copy, &known), STATE_WELL);
}

TEST(an_older_one_and_another_of_the_same_version_are_refused)
{
    struct header copy = header(2, 7, 70);
    struct known known = {.epoch = 2, .version = 7};
    struct header read = header(2, 6, 60);
    assert_int_equal(health_of_header(&read, &copy, &known), STATE_OLDER);
    read = header(1, 900, 9000);
    assert_int_equal(health_of_header(&read, &copy, &known), STATE_OLDER);
    read = header(2, 7, 71);
    assert_int_equal(health_of_header(&read, &copy, &known), STATE_OLDER);
}

TEST(without_a_copy_the_copies_of_others_count)
{
    struct header copy = {0};
    struct known known = {.epoch = 1, .version = 9};
    struct header read = header(1, 8, 80);
    assert_int_equal(health_of_header(&read, &copy, &known), STATE_OLDER);
    read.version = 9;
    assert_int_equal(health_of_header(&read, &copy, &known), STATE_WELL);
    known = (struct known){0};
    read.version = 1;
    assert_int_equal(health_of_header(&read, &copy, &known), STATE_WELL);
}

TEST(another_cluster_is_foreign_whatever_its_version)
{
    struct header read = header(3, 900, 1);
    struct belonging ours = {.cluster_id = read.cluster_id};
    assert_int_equal(health_of_belonging(&read, &ours), STATE_WELL);
    read.cluster_id = unit_uuid(2);
    assert_int_equal(health_of_belonging(&read, &ours), STATE_FOREIGN);
    ours.cluster_id = (struct uuid){{0}}; /* we belong to none yet */
    assert_int_equal(health_of_belonging(&read, &ours), STATE_WELL);
}

TEST(a_cluster_under_another_corosync_is_elsewhere)
{
    struct header read = header(1, 7, 70);
    struct belonging ours = {.corosync = "lab"};
    assert_int_equal(health_of_belonging(&read, &ours), STATE_WELL); /* not kept yet */
    snprintf(read.corosync, sizeof(read.corosync), "x");             /* one letter is a name */
    assert_int_equal(health_of_belonging(&read, &ours), STATE_ELSEWHERE);
    snprintf(read.corosync, sizeof(read.corosync), "prod");
    assert_int_equal(health_of_belonging(&read, &ours), STATE_ELSEWHERE);
    snprintf(ours.corosync, sizeof(ours.corosync), "prod");
    assert_int_equal(health_of_belonging(&read, &ours), STATE_WELL);
    ours.corosync[0] = '\0'; /* without a name nothing can be told */
    assert_int_equal(health_of_belonging(&read, &ours), STATE_WELL);
    assert_false(health_may_commit(STATE_ELSEWHERE));
}

TEST(only_where_the_guard_still_tells_may_a_copy_be_written)
{
    assert_true(health_may_commit(STATE_WELL));
    assert_true(health_may_commit(STATE_GARBLED));
    assert_true(health_may_commit(STATE_DAMAGED));
    assert_false(health_may_commit(STATE_GONE));
    assert_false(health_may_commit(STATE_FOREIGN));
    assert_false(health_may_commit(STATE_OLDER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_known_only_grows),
        cmocka_unit_test(the_same_and_the_later_are_well),
        cmocka_unit_test(an_older_one_and_another_of_the_same_version_are_refused),
        cmocka_unit_test(without_a_copy_the_copies_of_others_count),
        cmocka_unit_test(another_cluster_is_foreign_whatever_its_version),
        cmocka_unit_test(a_cluster_under_another_corosync_is_elsewhere),
        cmocka_unit_test(only_where_the_guard_still_tells_may_a_copy_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
