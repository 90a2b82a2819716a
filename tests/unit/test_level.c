/* Feature levels: raised when the last agent has it, and who is too old for the state. */
#include "agent/level.h"

#include "agent/draft.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

/* We are n1 and act, at the next level like n2; n3's agent has level `third`. */
static struct unit *acting(uint32_t third)
{
    struct unit *u = unit_new(1);
    u->facts.feature_level = FEATURE_LEVEL + 1;
    u->peers[1].feature_level = FEATURE_LEVEL + 1;
    u->peers[2].feature_level = FEATURE_LEVEL + 1;
    u->peers[3].feature_level = third;
    unit_lead(u);
    return u;
}

static uint32_t level(const struct unit *u)
{
    return u->core.cluster.header.feature_level;
}

TEST(the_last_agent_raises_the_level)
{
    struct unit *u = acting(FEATURE_LEVEL + 1);
    unit_settle(u, 3000);
    assert_int_equal(level(u), FEATURE_LEVEL + 1);
    assert_int_equal(unit_copy_node(u, 3)->feature_level, FEATURE_LEVEL + 1);
    const struct header *header = &u->core.cluster.header;
    const struct history_entry *told =
        &u->core.cluster.history[(header->next_history - 1) % HISTORY_MAX];
    assert_int_equal(told->kind, HISTORY_LEVEL);
    assert_int_equal(told->number, FEATURE_LEVEL + 1);
    assert_int_equal(told->nodeid, 0); /* it is about no single node */
    free(u);
}

TEST(one_older_agent_keeps_it_down)
{
    struct unit *u = acting(FEATURE_LEVEL);
    unit_settle(u, 3000);
    assert_int_equal(level(u), FEATURE_LEVEL);
    free(u);
}

/* The last record that a commit has room for is enough; without any it is the next one's. */
TEST(the_level_needs_room_for_its_history)
{
    struct unit *u = acting(FEATURE_LEVEL + 1);
    struct draft *draft = &u->core.local.draft;
    unit_settle(u, 3000);
    u->core.cluster.header.feature_level = FEATURE_LEVEL; /* as if it were to be raised yet */
    for (uint32_t room = 0; room < 2; room++) {
        draft_begin(&u->core);
        draft->delta.count = DELTA_RECORDS_MAX - room;
        level_draft(&u->core);
        assert_int_equal(draft->delta.header.feature_level, FEATURE_LEVEL + room);
        draft->open = false;
    }
    free(u);
}

/* A suspended guest is left alone from the level on at which all know of it. */
TEST(suspended_guests_are_known_from_their_level_on)
{
    static const struct {
        uint32_t cluster, own;
        bool known;
    } cases[] = {
        {LEVEL_SUSPENDS, LEVEL_SUSPENDS, true},
        {LEVEL_SUSPENDS - 1, LEVEL_SUSPENDS, false},
        {LEVEL_SUSPENDS, LEVEL_SUSPENDS - 1, false},
    };
    struct unit *u = unit_new(1);
    unit_start(u);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        u->core.cluster.header.feature_level = cases[i].cluster;
        u->core.local.facts.feature_level = cases[i].own;
        assert_int_equal(level_suspends(&u->core), cases[i].known);
    }
    free(u);
}

/* A node that is away counts with what its agent had. */
TEST(an_absent_node_keeps_it_down)
{
    struct unit *u = acting(FEATURE_LEVEL);
    unit_leave(u, 3);
    unit_settle(u, 3000);
    assert_int_equal(level(u), FEATURE_LEVEL);
    free(u);
}

/* We are n2 and the state is at the next level. */
static struct unit *older(uint32_t own)
{
    struct unit *u = unit_new(2);
    u->image.header.feature_level = FEATURE_LEVEL + 1;
    u->facts.feature_level = own;
    u->peers[1].feature_level = FEATURE_LEVEL + 1;
    u->peers[3].feature_level = FEATURE_LEVEL + 1;
    unit_start(u);
    return u;
}

/* It says that it is not able, and takes no term though it would be next. */
TEST(an_older_agent_does_not_act)
{
    struct unit *u = older(FEATURE_LEVEL);
    assert_true(level_is_short(&u->core));
    unit_leave(u, 1);
    unit_pass(u, 3000);
    assert_false(u->core.local.beat.able);
    assert_int_equal(u->core.local.life.state, LIFE_ADMITTED); /* its guests run on */
    unit_none(u, ACTION_COMMIT);
    free(u);
}

TEST(an_agent_of_that_level_acts)
{
    struct unit *u = older(FEATURE_LEVEL + 1);
    unit_leave(u, 1);
    unit_commit(u);
    assert_int_equal(u->core.cluster.header.actor, 2);
    free(u);
}

/* Hands empty and a handle of its own, but too old to be admitted. */
static struct unit *n3_outside(uint32_t its)
{
    struct unit *u = unit_new(1);
    u->image.header.feature_level = FEATURE_LEVEL + 1;
    u->facts.feature_level = FEATURE_LEVEL + 1;
    u->peers[1].feature_level = FEATURE_LEVEL + 1;
    u->image.nodes[N3].state = NODE_OUT;
    u->image.header.members = 3;
    u->peers[3].feature_level = its;
    u->peers[3].empty = true;
    u->peers[3].able = false;
    u->peers[3].incarnation = (struct incarnation){0};
    u->peers[3].client = unit_client(3, 333);
    unit_lead(u);
    unit_settle(u, 2000);
    return u;
}

TEST(an_older_agent_is_not_admitted)
{
    struct unit *u = n3_outside(FEATURE_LEVEL);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_OUT);
    free(u);
}

TEST(an_agent_of_that_level_is_admitted)
{
    struct unit *u = n3_outside(FEATURE_LEVEL + 1);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_agent_raises_the_level),
        cmocka_unit_test(one_older_agent_keeps_it_down),
        cmocka_unit_test(the_level_needs_room_for_its_history),
        cmocka_unit_test(suspended_guests_are_known_from_their_level_on),
        cmocka_unit_test(an_absent_node_keeps_it_down),
        cmocka_unit_test(an_older_agent_does_not_act),
        cmocka_unit_test(an_agent_of_that_level_acts),
        cmocka_unit_test(an_older_agent_is_not_admitted),
        cmocka_unit_test(an_agent_of_that_level_is_admitted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
