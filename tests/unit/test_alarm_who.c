/* Who tells an alarm: the acting node, each for itself without a quorum, and one where nobody acts.
 */
#include "agent/alarm.h"
#include "proto/values.h"
#include "tests/unit/unit_alarm.h"

/* Nobody acted who could tell it; by the time we do it is over, and no news. */
TEST(what_is_over_is_not_told_as_new)
{
    struct unit *u = well();
    set_ring(u, 1, true);
    u->core.cluster.header.actor = 2;
    u->core.cluster.nodes[0].state = NODE_FENCED;
    look(u, 4000);
    assert_non_null(raised(u, ALARM_NODE_FENCED, "n1"));
    assert_int_equal(told(u, ALARM_NODE_FENCED, true), 0);
    u->core.cluster.nodes[0].state = NODE_ADMITTED;
    u->core.cluster.header.actor = 1;
    look(u, 10000);
    assert_null(raised(u, ALARM_NODE_FENCED, "n1"));
    assert_int_equal(told(u, ALARM_NODE_FENCED, true), 0);
    assert_int_equal(told(u, ALARM_NODE_FENCED, false), 0);
    free(u);
}

/* Who does not act keeps what the actor tells to itself, and takes over what nobody told. */
TEST(one_tells)
{
    struct unit *u = unit_new(2); /* n1 acts */
    unit_start(u);
    u->silent[3] = true;
    look(u, 16000);
    assert_non_null(raised(u, ALARM_NODE_UNATTENDED, "n3"));
    assert_int_equal(told(u, ALARM_NODE_UNATTENDED, true), 0);
    set_ring(u, 1, false); /* nobody acts where no quorum is: each for itself */
    look(u, 8000);
    assert_int_equal(told(u, ALARM_NO_QUORUM, true), 1);
    free(u);
}

/* n2 of three with a quorum; the term is n1's, whose agent was started anew. n3 was fenced. */
static struct unit *nobody_acts(void)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    u->core.local.alarms = (struct alarms){.next_ms = 0};
    u->core.local.peers[0].beat.agent_start++;
    u->core.cluster.nodes[2].state = NODE_FENCED;
    for (uint32_t i = 0; i < u->core.local.peer_count; i++) {
        struct beat *beat = &u->core.local.peers[i].beat;
        beat->epoch = u->core.cluster.header.epoch;
        beat->version = u->core.cluster.header.version;
    }
    return u;
}

/* Nobody acts, and n1 tells in an actor's stead; whoever acts next tells again, once. */
TEST(the_next_actor_tells)
{
    struct unit *u = nobody_acts();
    look(u, 16000);
    assert_non_null(raised(u, ALARM_NODE_FENCED, "n3"));
    assert_int_equal(told(u, ALARM_NODE_FENCED, true), 0);
    u->core.cluster.header.actor = 2;
    u->core.cluster.header.actor_start = u->core.local.facts.agent_start;
    u->core.local.acting.term = u->core.cluster.header.term;
    look(u, 3000);
    assert_int_equal(told(u, ALARM_NODE_FENCED, true), 1);
    look(u, 9000);
    assert_int_equal(told(u, ALARM_NODE_FENCED, true), 1);
    free(u);
}

/* ... but not what an actor that spoke had to tell before. */
TEST(what_was_told_is_not_told_in_its_stead)
{
    struct unit *u = nobody_acts();
    u->core.local.peers[0].beat.agent_start--; /* it acts */
    look(u, 4000);
    assert_non_null(raised(u, ALARM_NODE_FENCED, "n3"));
    u->core.local.peers[0].beat.agent_start++;
    u->silent[1] = true;
    u->core.local.peers[0].heard = false;
    look(u, 16000);
    assert_int_equal(told(u, ALARM_NODE_UNATTENDED, true), 1); /* n1, which is news */
    assert_int_equal(told(u, ALARM_NODE_FENCED, true), 0);
    free(u);
}

/* Not at once: somebody takes the term in a moment. */
TEST(where_nobody_acts_one_tells)
{
    struct unit *u = nobody_acts();
    u->silent[1] = true;
    u->core.local.peers[0].heard = false;
    look(u, 5000);
    assert_non_null(raised(u, ALARM_NODE_FENCED, "n3"));
    assert_int_equal(told(u, ALARM_NODE_FENCED, true), 0);
    look(u, 1000);
    assert_int_equal(told(u, ALARM_NODE_FENCED, true), 1);
    u->core.cluster.nodes[2].state = NODE_ADMITTED;
    look(u, 5000);
    assert_int_equal(told(u, ALARM_NODE_FENCED, false), 1);
    free(u);
}

/* Of those that speak who has the newest copy, and of as new ones the lowest. */
TEST(which_one_tells)
{
    static const struct {
        int epoch[2], version[2]; /* n1's and n3's, beside ours */
        bool silent, tells;
    } cases[] = {
        {{0, 0}, {0, 0}, false, false},  {{0, 0}, {0, 0}, true, true},
        {{0, 0}, {-1, 0}, false, true},  {{0, 0}, {-1, 1}, false, false},
        {{-1, 0}, {1, 0}, false, true},  {{-1, 1}, {0, -1}, false, false},
        {{0, -1}, {-1, 1}, false, true}, {{1, 0}, {-1, 0}, true, true},
    };
    for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
        struct unit *u = nobody_acts();
        for (uint32_t j = 0; j < 2; j++) {
            struct beat *beat = &u->core.local.peers[2 * j].beat;
            beat->epoch = (uint32_t)((int)beat->epoch + cases[i].epoch[j]);
            beat->version = (uint64_t)((int64_t)beat->version + cases[i].version[j]);
        }
        u->silent[1] = cases[i].silent;
        u->core.local.peers[0].heard = !cases[i].silent;
        look(u, 10000);
        assert_int_equal(told(u, ALARM_NODE_FENCED, true), cases[i].tells);
        free(u);
    }
}

/* The time counts from when an actor was last heard, or a quorum came. */
TEST(since_when_nobody_acts)
{
    for (unsigned i = 0; i < 2; i++) {
        struct unit *u = nobody_acts();
        u->core.local.peers[0].nodeid = 9; /* so n1 is not in the ring */
        look(u, 4000);
        u->core.cluster.header.actor = i == 0 ? 3 : 1;
        u->core.cluster.header.actor_start = 1003;
        u->core.local.ring.quorate = i == 0;
        u->core.cluster.nodes[2].state = i == 0 ? NODE_ADMITTED : NODE_FENCED;
        look(u, 4000);
        unit_forget(u);
        u->core.cluster.header.actor = 1;
        u->core.local.ring.quorate = true;
        u->core.cluster.nodes[0].state = NODE_FENCED;
        look(u, 4000);
        assert_non_null(raised(u, ALARM_NODE_FENCED, "n1"));
        assert_int_equal(told(u, ALARM_NODE_FENCED, true), 0);
        look(u, 2000);
        assert_int_equal(told(u, ALARM_NODE_FENCED, true), 1);
        free(u);
    }
}

/* A quorum that is proven, a copy that is new, and nobody who could act. */
TEST(nobody_is_able)
{
    for (unsigned i = 0; i < 5; i++) {
        struct unit *u = nobody_acts();
        for (uint32_t j = 0; j < u->core.local.peer_count; j++) {
            struct beat *beat = &u->core.local.peers[j].beat;
            beat->able = (i == 1 && j == 2) || (i == 4 && j == 1);
            beat->halted = i == 4 && j != 1; /* two at this version: then who could may not */
            beat->mark.epoch = u->core.cluster.header.epoch;
            beat->mark.decided = mark_decided(&u->core.cluster.header);
        }
        u->core.cluster.nodes[2].state = NODE_ADMITTED;
        u->silent[1] = u->silent[3] = i == 2;
        u->polls_hang = i == 3;
        u->core.local.storage.newest_ms -= i == 3 ? 10000 : 0;
        look(u, 9000);
        assert_null(raised(u, ALARM_NOBODY_ACTS, ""));
        look(u, 3000);
        const struct alarm_seen *seen = raised(u, ALARM_NOBODY_ACTS, "");
        assert_int_equal(seen != NULL, i == 0 || i == 4);
        assert_true(seen == NULL ||
                    strstr(seen->alarm.text,
                           i == 4 ? "two nodes are halted" : "nobody acts: no node") != NULL);
        free(u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_over_is_not_told_as_new),
        cmocka_unit_test(one_tells),
        cmocka_unit_test(the_next_actor_tells),
        cmocka_unit_test(where_nobody_acts_one_tells),
        cmocka_unit_test(what_was_told_is_not_told_in_its_stead),
        cmocka_unit_test(which_one_tells),
        cmocka_unit_test(since_when_nobody_acts),
        cmocka_unit_test(nobody_is_able),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
