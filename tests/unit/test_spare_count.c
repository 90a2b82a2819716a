/* Whom not to fence, by the numbers: who is due, how many are gone, what was spent, and what a
 * failure leaves in the record. */
#include "agent/draft.h"
#include "agent/spare.h"
#include "fencing/timing.h"
#include "proto/values.h"
#include "tests/unit/unit_core.h"

#define N1 0 /* slots */
#define N2 1
#define N3 2
#define BIT(slot) (UINT64_C(1) << (slot))
#define IN_A_ROW 3600000

static const uint32_t all[] = {1, 2, 3};

/* We are n2; these VMs are n1's and our own, and one is stopped. */
static struct unit *three(void)
{
    struct unit *u = unit_new(2);
    unit_vm(u, 2, VM_RUNNING, N2);
    unit_vm(u, 4, VM_STOPPED, NODE_NONE)->want = WANT_STOPPED;
    unit_start(u);
    return u;
}

/* Who is absent and holds a VM, and nobody else: free places in the list are nobody's. */
TEST(who_is_due)
{
    struct unit *u = three();
    assert_int_equal(spare_due(&u->core), 0);
    unit_leave(u, 1);
    assert_int_equal(spare_due(&u->core), 0); /* it holds nothing */
    u->core.cluster.vms[2].node = N1;
    assert_int_equal(spare_due(&u->core), BIT(N1));
    unit_ring(u, true, 3, all);
    assert_int_equal(spare_due(&u->core), 0);
    unit_leave(u, 3);
    assert_int_equal(spare_due(&u->core), 0); /* n1 is here */
    u->core.cluster.vms[2].node = N3;
    assert_int_equal(spare_due(&u->core), BIT(N3));
    free(u);
}

/* As if `count` nodes counted; the budget is no matter. */
static struct unit *many(uint32_t count, uint32_t mass_loss)
{
    struct unit *u = three();
    unit_leave(u, 3);
    for (uint32_t slot = N3 + 1; slot < count; slot++) {
        u->core.cluster.nodes[slot] = u->core.cluster.nodes[N3];
        u->core.cluster.nodes[slot].nodeid = slot + 1;
    }
    u->core.cluster.counting = BIT(count) - 1;
    u->core.cluster.settings.mass_loss = mass_loss;
    u->core.cluster.settings.fence_budget = 20;
    return u;
}

static bool held(const struct unit *u, uint64_t due)
{
    struct text why;
    return spare_holds_back(&u->core, due, N3, &why);
}

/* More than that share of all, and three at least. */
TEST(so_many_at_once_are_not_believed)
{
    struct unit *u = many(4, 50);
    assert_false(held(u, BIT(2) | BIT(3)));
    assert_true(held(u, BIT(2) | BIT(3) | BIT(N1)));
    free(u);
    u = many(8, 50);
    assert_false(held(u, 0x3c));
    assert_true(held(u, 0x7c));
    free(u);
}

/* Lately fenced ones are gone as well; not those long ago, or back, or that said that they end. */
TEST(who_is_gone_at_once)
{
    struct unit *u = many(4, 50);
    unit_leave(u, 1);
    struct node_record *n1 = &u->core.cluster.nodes[N1];
    const uint64_t due = BIT(2) | BIT(3);
    static const struct {
        enum node_state state;
        uint32_t ago_ms;
        bool counts;
    } cases[] = {{NODE_LOST, 1000, true},      {NODE_FENCED, 1000, true},
                 {NODE_LOST, 600000, false},   {NODE_FENCED, 600000, false},
                 {NODE_ADMITTED, 1000, false}, {NODE_OUT, 1000, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        n1->state = cases[i].state;
        n1->lost_ms = u->core.local.wall_ms - cases[i].ago_ms;
        assert_int_equal(held(u, due), cases[i].counts);
    }
    n1->state = NODE_FENCED;
    n1->lost_ms = 0; /* never noted, whatever the wall clock says */
    u->core.local.wall_ms = 5000;
    assert_false(held(u, due));
    n1->lost_ms = 5000;
    assert_true(held(u, due));
    for (uint32_t i = 0; i < u->core.local.seen_count; i++) {
        u->core.local.ended[i] = true; /* n3 among them, which may be fenced at once then */
    }
    struct text why;
    assert_false(held(u, due));
    assert_false(spare_holds_back(&u->core, due, 3, &why));
    free(u);
}

/* In the ring again, and waiting for a person to let it in, or for the end of its fence. */
TEST(who_is_back_is_not_gone)
{
    struct unit *u = many(4, 50);
    struct node_record *n1 = &u->core.cluster.nodes[N1];
    const uint64_t due = BIT(2) | BIT(3);
    n1->lost_ms = u->core.local.wall_ms - 1000;
    for (enum node_state state = NODE_LOST; state <= NODE_FENCED; state++) {
        n1->state = state;
        assert_false(held(u, due));
    }
    unit_leave(u, 1);
    assert_true(held(u, due));
    free(u);
}

/* The first of the failures that is a window old makes room. */
TEST(when_the_budget_is_renewed)
{
    struct unit *u = many(5, 100);
    struct text why;
    u->core.cluster.settings.fence_budget = 2;
    uint64_t window_ms = u->core.cluster.settings.fence_window_ms;
    u->core.cluster.nodes[3].lost_ms = u->core.local.wall_ms - window_ms + 50000;
    u->core.cluster.nodes[4].lost_ms = u->core.local.wall_ms - window_ms + 90000;
    assert_true(spare_holds_back(&u->core, BIT(N3), N3, &why));
    assert_non_null(strstr(why.bytes, "2 others were lately"));
    assert_non_null(strstr(why.bytes, "not before 51 s from now"));
    u->core.cluster.nodes[3].lost_ms -= 50000;
    assert_false(spare_holds_back(&u->core, BIT(N3), N3, &why));
    free(u);
}

/* It is told once, in a commit after the one that takes the term, from that level on. */
TEST(what_is_held_back_is_told_once)
{
    struct unit *u = many(4, 50);
    struct core *core = &u->core;
    struct text why = {0};
    text_add(&why, "not fenced");
    core->cluster.header.feature_level = LEVEL_LEDGER;
    for (unsigned i = 0; i < 3; i++) {
        draft_begin(core);
        core->local.draft.delta.header.term += i == 0;
        spare_draft(core, N3, &why);
        assert_int_equal(core->local.draft.delta.count, i == 1);
        core->local.draft.open = false;
    }
    core->local.acting.held = 0;
    core->cluster.header.feature_level = LEVEL_LEDGER - 1;
    draft_begin(core);
    spare_draft(core, N3, &why);
    assert_int_equal(core->local.draft.delta.count, 0);
    free(u);
}

/* How many failures in a row does the record show after one more? */
static uint32_t losses_after(const struct unit *u, struct node_record node)
{
    node.state = NODE_LOST;
    spare_note_loss(&u->core, &node);
    return node.losses;
}

/* A fence that was asked for, in either way, is none; the count ends at its end. A row lasts an
 * hour from when the node was let in again. */
TEST(what_a_failure_leaves_in_the_record)
{
    struct unit *u = three();
    const struct settings *settings = &u->core.cluster.settings;
    struct node_record node = u->core.cluster.nodes[N1];
    u->core.cluster.header.feature_level = LEVEL_LOSSES;
    assert_int_equal(losses_after(u, node), 1);
    node.fence_wanted = true;
    assert_int_equal(losses_after(u, node), 0);
    node.fence_wanted = false;
    node.removing = true;
    assert_int_equal(losses_after(u, node), 0);
    node.removing = false;
    node.losses = UINT32_MAX;
    node.lost_ms = u->core.local.wall_ms;
    assert_int_equal(losses_after(u, node), UINT32_MAX);
    node.losses = 6;
    uint64_t row_ms = IN_A_ROW + (uint64_t)timing_out_ms(settings, node.losses);
    assert_true(row_ms > IN_A_ROW + 1000);
    node.lost_ms = u->core.local.wall_ms - row_ms + 1000;
    assert_int_equal(losses_after(u, node), 7);
    node.lost_ms -= 1000;
    assert_int_equal(losses_after(u, node), 1);
    u->core.cluster.header.feature_level = LEVEL_LOSSES - 1;
    assert_int_equal(losses_after(u, node), 6);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_due),
        cmocka_unit_test(so_many_at_once_are_not_believed),
        cmocka_unit_test(who_is_gone_at_once),
        cmocka_unit_test(who_is_back_is_not_gone),
        cmocka_unit_test(when_the_budget_is_renewed),
        cmocka_unit_test(what_is_held_back_is_told_once),
        cmocka_unit_test(what_a_failure_leaves_in_the_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
