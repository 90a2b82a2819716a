/* Address entries of nodes that are to come back, or were barred by a late hand; and fences that
 * nobody answers. We are n1 and act. */
#include "agent/nodes.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

/* n3 is in that state, speaks, and has no storage. */
static struct unit *cut_off(enum node_state state)
{
    struct unit *u = unit_new(1);
    u->image.nodes[N3].state = state;
    u->peers[3].storage = false;
    u->peers[3].able = false;
    if (state != NODE_ADMITTED) {
        u->peers[3].incarnation = (struct incarnation){0};
        u->peers[3].empty = true;
    }
    unit_lead(u);
    unit_none(u, ACTION_BLOCK_CHECK); /* not the moment it lacks storage */
    unit_forget(u);
    return u;
}

static uint32_t call_ms(const struct unit *u)
{
    return u->core.cluster.settings.call_ms;
}

/* Whoever is here and had no storage for longer than any call takes: his address may be barred. */
TEST(a_present_node_without_storage_is_unbarred)
{
    static const enum node_state states[] = {NODE_ADMITTED, NODE_OUT};
    for (unsigned i = 0; i < UNIT_COUNT(states); i++) {
        struct unit *u = cut_off(states[i]);
        unit_settle(u, call_ms(u) - 1000);
        unit_none(u, ACTION_BLOCK_CHECK);
        unit_settle(u, 1500);
        struct action look = unit_take(u, ACTION_BLOCK_CHECK);
        assert_int_equal(look.block.count, 1);
        assert_true(unit_holds(&look.block, unit_client(3, 0)));
        unit_none(u, ACTION_BLOCK_REMOVE);
        unit_block(u, &look, OUTCOME_DONE, 1);
        struct action off = unit_take(u, ACTION_BLOCK_REMOVE);
        assert_int_equal(off.block.count, 1);
        assert_true(unit_holds(&off.block, unit_client(3, 0)));
        assert_int_not_equal(off.valid_until_ms, 0); /* only while we are fresh */
        unit_block(u, &off, OUTCOME_DONE, 0);
        assert_false(u->core.local.acting.addresses[N3].off); /* that is for fenced nodes */
        unit_settle(u, 500);
        unit_none(u, ACTION_BLOCK_REMOVE);
        free(u);
    }
}

/* One at a time, and no more often than a call may take; one never answered is asked once more. */
TEST(an_entry_is_looked_for_at_a_bounded_rate)
{
    struct unit *u = cut_off(NODE_ADMITTED);
    unit_settle(u, call_ms(u) + 500);
    struct action look = unit_take(u, ACTION_BLOCK_CHECK);
    struct action anothers = {.id = look.id + 1000};
    unit_block(u, &anothers, OUTCOME_DONE, 1); /* of no entry of n3's */
    unit_settle(u, 1000);
    unit_none(u, ACTION_BLOCK_CHECK);
    unit_block(u, &look, OUTCOME_UNKNOWN, 0);
    unit_settle(u, call_ms(u) - 2000);
    unit_none(u, ACTION_BLOCK_CHECK);
    unit_settle(u, 1500);
    (void)unit_take(u, ACTION_BLOCK_CHECK);
    unit_settle(u, call_ms(u) + 3000);
    look = unit_take(u, ACTION_BLOCK_CHECK);
    unit_block(u, &look, OUTCOME_DONE, 0); /* none stands: there is nothing to take off */
    unit_settle(u, 1000);
    unit_none(u, ACTION_BLOCK_REMOVE);
    free(u);
}

/* Without a handle in its record there is no entry to be taken off. */
TEST(who_never_had_a_handle_was_never_barred)
{
    struct unit *u = unit_new(1);
    u->image.nodes[N3].state = NODE_OUT;
    u->image.nodes[N3].client = (struct client){{0}};
    u->peers[3].storage = false;
    u->peers[3].empty = true;
    u->peers[3].able = false;
    unit_lead(u);
    unit_settle(u, 2 * call_ms(u));
    unit_none(u, ACTION_BLOCK_CHECK);
    free(u);
}

/* A node with storage, or one that is not here, is left alone. */
TEST(who_is_well_or_away_is_left_alone)
{
    for (unsigned i = 0; i < 2; i++) {
        struct unit *u = cut_off(NODE_ADMITTED);
        if (i == 0) {
            u->peers[3].storage = true;
        } else {
            unit_leave(u, 3);
        }
        unit_settle(u, 2 * call_ms(u));
        unit_none(u, ACTION_BLOCK_CHECK);
        free(u);
    }
}

/* A fence whose edges say nothing is begun once more when their time is over. */
TEST(a_fence_never_answered_is_begun_again)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_lead(u);
    unit_leave(u, 3);
    unit_commit(u);
    (void)unit_take(u, ACTION_BLOCK_ADD);
    unit_settle(u, call_ms(u) + 3000);
    struct action again = unit_take(u, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&again.block, unit_client(3, 300)));
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_present_node_without_storage_is_unbarred),
        cmocka_unit_test(an_entry_is_looked_for_at_a_bounded_rate),
        cmocka_unit_test(who_never_had_a_handle_was_never_barred),
        cmocka_unit_test(who_is_well_or_away_is_left_alone),
        cmocka_unit_test(a_fence_never_answered_is_begun_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
