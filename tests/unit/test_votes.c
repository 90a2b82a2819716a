/* Who counts, and what Corosync is told when the dead do not. */
#include "agent/votes.h"
#include "tests/unit/unit_core.h"

static void vouch_dead(struct unit *u, uint32_t nodeid)
{
    u->image.nodes[nodeid - 1].state = NODE_FENCED;
    u->image.nodes[nodeid - 1].proofs = PROOF_STORAGE | PROOF_OPERATOR;
}

/* A ring of these nodes, as Corosync counts them. */
static struct unit *ring(struct unit *u, bool quorate, uint32_t quorum, uint32_t count,
                         const uint32_t *nodeids)
{
    u->ring.quorum = quorum;
    unit_open(u, u->image.nodes[u->self - 1].client);
    unit_ring(u, quorate, count, nodeids);
    unit_pass(u, 300);
    return u;
}

static bool fresh(const struct unit *u)
{
    return peers_fresh_until_ms(&u->core) > u->now_ms;
}

TEST(who_counts)
{
    static const struct {
        enum node_state state;
        uint32_t proofs;
        bool counts;
    } nodes[] = {
        {NODE_FREE, 0, false},
        {NODE_OUT, 0, true},
        {NODE_OUT, PROOF_OPERATOR, false},
        {NODE_ADMITTED, 0, true},
        {NODE_ADMITTED, PROOF_OPERATOR, true}, /* a word about a life before this one */
        {NODE_LOST, PROOF_STORAGE, true},
        {NODE_LOST, PROOF_OPERATOR, false},
        {NODE_FENCED, PROOF_POWER, true},
        {NODE_FENCED, PROOF_STORAGE | PROOF_OPERATOR, false},
        {NODE_REMOVED, 0, false},
    };
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    assert_non_null(cluster);
    for (uint32_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        cluster->nodes[i].state = nodes[i].state;
        cluster->nodes[i].proofs = nodes[i].proofs;
        assert_int_equal(state_counts(&cluster->nodes[i]), nodes[i].counts);
    }
    assert_int_equal(mask_count(state_counting(cluster)), 5);
    free(cluster);
}

/* Corosync was told to expect one vote, by hand and without a word to stead: that is no quorum. */
TEST(what_corosync_expects_is_not_enough)
{
    struct unit *u = ring(unit_new(1), true, 1, 1, (const uint32_t[]){1});
    assert_false(fresh(u));
    assert_int_equal(votes_needed(&u->core), 2);
    free(u);
}

/* The newest time that enough have answered, in whatever order they did; who does not count is of
 * the ring's quorum, but not of the cluster's. */
TEST(as_many_as_are_wanted_have_answered)
{
    static const uint64_t ages[][3] = {{10, 20, 30}, {10, 30, 20}, {20, 10, 30},
                                       {20, 30, 10}, {30, 10, 20}, {30, 20, 10}};
    struct unit *u = ring(unit_new(1), true, 2, 3, (const uint32_t[]){1, 2, 3});
    for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
        uint64_t second_ms = 0;
        for (uint32_t k = 0; k < 3; k++) {
            u->core.local.peers[k].answered_ms = u->now_ms - ages[i][k];
            second_ms = ages[i][k] == 20 ? u->now_ms - 20 : second_ms;
        }
        u->core.cluster.counting = 7;
        assert_int_equal(votes_answered_ms(&u->core), second_ms);
        u->core.cluster.counting = 3; /* both of them are wanted */
        uint64_t older = ages[i][0] > ages[i][1] ? ages[i][0] : ages[i][1];
        assert_int_equal(votes_answered_ms(&u->core), u->now_ms - older);
    }
    free(u);
}

/* Half of fresh_ms without an answer of most, and the object is asked, where ties are broken. */
TEST(the_object_is_asked_in_time)
{
    struct unit *u = unit_new(1);
    u->ring.tie = TIE_QDEVICE;
    (void)ring(u, true, 2, 3, (const uint32_t[]){1, 2, 3});
    for (uint32_t age_ms = 350; age_ms <= 550; age_ms += 50) {
        for (uint32_t k = 0; k < 3; k++) {
            u->core.local.peers[k].answered_ms = u->core.local.now_ms - age_ms;
        }
        assert_int_equal(votes_want_object(&u->core), age_ms > 500);
    }
    free(u);
}

/* More than half of those known, or of those here, whichever are more. */
TEST(how_many_are_enough)
{
    struct unit *u = ring(unit_new(1), true, 2, 3, (const uint32_t[]){1, 2, 3});
    u->core.cluster.counting = 0x3f;
    assert_int_equal(votes_enough(&u->core), 4);
    u->core.cluster.counting = 0x1f;
    assert_int_equal(votes_enough(&u->core), 3);
    u->core.cluster.counting = 1;
    assert_int_equal(votes_enough(&u->core), 2);
    free(u);
}

/* The dead come back as a quorate pair, and are heard: by Corosync a quorum, by us none. */
TEST(those_vouched_dead_are_no_quorum_among_themselves)
{
    struct unit *u = unit_new(2);
    vouch_dead(u, 2);
    vouch_dead(u, 3);
    u->facts.incarnation = (struct incarnation){0};
    (void)ring(u, true, 2, 2, (const uint32_t[]){2, 3});
    assert_false(fresh(u));
    free(u);
}

TEST(the_one_that_went_on_is_a_quorum)
{
    struct unit *u = unit_new(1);
    vouch_dead(u, 2);
    vouch_dead(u, 3);
    (void)ring(u, true, 1, 1, (const uint32_t[]){1});
    assert_true(fresh(u));
    assert_int_equal(votes_needed(&u->core), 1);
    unit_none(u, ACTION_EXPECT_VOTES); /* Corosync knows */
    free(u);
}

/* Corosync waits for the dead (it was restarted, say): it is told, and told again. */
TEST(corosync_is_told_not_to_wait_for_the_dead)
{
    for (uint64_t version = 1; version <= 10; version += 9) {
        struct unit *u = unit_new(1);
        vouch_dead(u, 2);
        vouch_dead(u, 3);
        u->image.header.version = version;
        (void)ring(u, false, 2, 1, (const uint32_t[]){1});
        assert_false(fresh(u));
        assert_int_equal(unit_take(u, ACTION_EXPECT_VOTES).votes, 1);
        unit_none(u, ACTION_EXPECT_VOTES);
        unit_pass(u, 1100);
        assert_int_equal(unit_take(u, ACTION_EXPECT_VOTES).votes, 1);
        free(u);
    }
}

/* One of the dead is in the ring, not admitted yet: no fewer are expected than are here. */
TEST(as_many_are_expected_as_are_here)
{
    struct unit *u = unit_new(1);
    vouch_dead(u, 2);
    vouch_dead(u, 3);
    (void)ring(u, false, 3, 2, (const uint32_t[]){1, 2});
    assert_int_equal(unit_take(u, ACTION_EXPECT_VOTES).votes, 2);
    free(u);
}

/* Most are here and Corosync waits for more, such as hosts that never joined: its own affair, as
 * long as no person has taken anybody out. */
TEST(only_a_persons_word_lowers_what_is_expected)
{
    for (uint32_t removed = 0; removed < 2; removed++) {
        struct unit *u = unit_new(1);
        struct action action;
        if (removed == 1) {
            u->image.nodes[2].state = NODE_REMOVED;
        }
        (void)ring(u, false, 3, 2, (const uint32_t[]){1, 2});
        assert_int_equal(unit_find(u, ACTION_EXPECT_VOTES, &action), removed == 1);
        free(u);
    }
}

TEST(corosync_is_left_alone)
{
    static const struct {
        const char *why;
        bool vouched; /* n2 and n3 */
        bool away;
        bool stale;
        bool removed; /* n2; n3 counts */
        uint32_t self;
    } cases[] = {
        {"nobody was taken out", false, false, false, false, 1},
        {"Corosync is away", true, true, false, false, 1},
        {"the copy is not the newest", true, false, true, false, 1},
        {"those that count are not here", false, false, false, true, 1},
        {"we do not count ourselves", true, false, false, false, 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct unit *u = unit_new(cases[i].self);
        if (cases[i].vouched) {
            vouch_dead(u, 2);
            vouch_dead(u, 3);
        }
        u->image.nodes[1].state = cases[i].removed ? NODE_REMOVED : u->image.nodes[1].state;
        u->ring.away = cases[i].away;
        u->polls_hang = cases[i].stale;
        u->ring.quorum = 2;
        unit_open(u, u->image.nodes[cases[i].self - 1].client);
        if (cases[i].stale) {
            unit_pass(u, 5000);
            (void)unit_find(u, ACTION_EXPECT_VOTES, &(struct action){0});
        }
        unit_ring(u, false, 1, &cases[i].self);
        unit_pass(u, 3000);
        unit_none(u, ACTION_EXPECT_VOTES);
        free(u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_counts),
        cmocka_unit_test(what_corosync_expects_is_not_enough),
        cmocka_unit_test(as_many_as_are_wanted_have_answered),
        cmocka_unit_test(the_object_is_asked_in_time),
        cmocka_unit_test(how_many_are_enough),
        cmocka_unit_test(those_vouched_dead_are_no_quorum_among_themselves),
        cmocka_unit_test(the_one_that_went_on_is_a_quorum),
        cmocka_unit_test(corosync_is_told_not_to_wait_for_the_dead),
        cmocka_unit_test(as_many_are_expected_as_are_here),
        cmocka_unit_test(only_a_persons_word_lowers_what_is_expected),
        cmocka_unit_test(corosync_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
