/* Whom not to fence: every way in which the fence of an absent node is held back, or must not be.
 */
#include "agent/pause.h"
#include "agent/query.h"
#include "agent/spare.h"
#include "fencing/timing.h"
#include "tests/unit/unit_request.h"

#define N2 1 /* slot */
#define MINUTE 60000

/* We are n1 and act; vm0 is on n3. */
static struct unit *vm_on_n3(void)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    return u;
}

/* A node of the image, in slot `slot`, that failed so long before the story begins. */
static void failed_before(struct unit *u, uint32_t slot, uint64_t ago_ms)
{
    u->image.nodes[slot].lost_ms = 1700000000000 + u->now_ms - ago_ms;
    u->image.nodes[slot].losses = 1;
}

/* n3 leaves the ring; what has become of it half a minute later. */
static enum node_state lose_n3(struct unit *u)
{
    unit_lead(u);
    unit_leave(u, 3);
    unit_settle(u, 500);
    return unit_copy_node(u, 3)->state;
}

static bool is_gone(enum node_state state)
{
    return state == NODE_LOST || state == NODE_FENCED;
}

static const char *told(const struct unit *u)
{
    static struct text text;
    spare_tell(&u->core, spare_due(&u->core), N3, &text);
    return text.bytes;
}

static uint32_t held_count(const struct unit *u)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < HISTORY_MAX; i++) {
        count += u->core.cluster.history[i].kind == HISTORY_FENCE_HELD;
    }
    return count;
}

TEST(a_failure_is_noted)
{
    struct unit *u = vm_on_n3();
    assert_true(is_gone(lose_n3(u)));
    assert_int_equal(unit_copy_node(u, 3)->losses, 1);
    assert_true(unit_copy_node(u, 3)->lost_ms >= 1700000000000);
    assert_string_equal(told(u), "");
    free(u);
}

/* Older agents would take a record with it for another. */
TEST(nothing_is_noted_at_an_older_level)
{
    struct unit *u = vm_on_n3();
    u->image.header.feature_level = 1;
    u->peers[2].feature_level = 1;
    u->image.nodes[N2].feature_level = 1;
    assert_true(is_gone(lose_n3(u)));
    assert_int_equal(unit_copy_node(u, 3)->losses, 0);
    assert_int_equal(unit_copy_node(u, 3)->lost_ms, 0);
    free(u);
}

TEST(a_node_without_vms_is_not_fenced)
{
    struct unit *u = vm_on_n3();
    u->image.vms[0].node = N2;
    u->image.vms[0].incarnation = u->image.nodes[N2].incarnation;
    assert_int_equal(lose_n3(u), NODE_ADMITTED);
    assert_string_equal(told(u), "");
    free(u);
}

TEST(nothing_is_fenced_while_ha_is_paused)
{
    for (uint32_t mode = HA_FREEZE; mode <= HA_IGNORE; mode++) {
        struct unit *u = vm_on_n3();
        unit_set(u, "ha", mode);
        assert_int_equal(lose_n3(u), NODE_ADMITTED);
        assert_non_null(strstr(told(u), "HA is paused"));
        free(u);
    }
}

TEST(the_budget_holds_back)
{
    struct unit *u = vm_on_n3();
    unit_set(u, "fence_budget", 1);
    failed_before(u, N2, 2 * MINUTE);
    assert_int_equal(lose_n3(u), NODE_ADMITTED);
    assert_int_equal(held_count(u), 1);
    unit_settle(u, 2000);
    assert_int_equal(held_count(u), 1); /* told once */
    assert_non_null(strstr(told(u), "fence_budget"));
    assert_non_null(strstr(told(u), "stead node fence"));
    free(u);
}

/* ... and again when it goes once more. */
TEST(each_absence_that_is_held_back_is_told)
{
    struct unit *u = vm_on_n3();
    unit_set(u, "fence_budget", 1);
    failed_before(u, N2, 2 * MINUTE);
    assert_int_equal(lose_n3(u), NODE_ADMITTED);
    unit_ring(u, true, 3, (uint32_t[]){1, 2, 3});
    unit_settle(u, 1000);
    unit_leave(u, 3);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    assert_int_equal(held_count(u), 2);
    free(u);
}

TEST(the_budget_is_renewed)
{
    struct unit *u = vm_on_n3();
    unit_set(u, "fence_budget", 1);
    unit_set(u, "fence_window_ms", 2 * MINUTE);
    failed_before(u, N2, 2 * MINUTE);
    assert_true(is_gone(lose_n3(u)));
    free(u);
}

/* By default the second within the time is as good as the first. */
TEST(the_second_failure_is_not_held_back)
{
    struct unit *u = vm_on_n3();
    failed_before(u, N2, MINUTE);
    assert_true(is_gone(lose_n3(u)));
    free(u);
}

/* The same node's last failure is not another's. */
TEST(its_own_failures_do_not_spend_the_budget)
{
    struct unit *u = vm_on_n3();
    unit_set(u, "fence_budget", 1);
    failed_before(u, N3, MINUTE);
    assert_true(is_gone(lose_n3(u)));
    assert_int_equal(unit_copy_node(u, 3)->losses, 2);
    free(u);
}

/* A clock far ahead wrote that. */
TEST(a_stamp_from_the_future_counts_for_nothing)
{
    struct unit *u = vm_on_n3();
    unit_set(u, "fence_budget", 1);
    failed_before(u, N2, 0);
    u->image.nodes[N2].lost_ms += 10 * MINUTE;
    assert_true(is_gone(lose_n3(u)));
    free(u);
}

TEST(a_row_ends_after_a_while)
{
    struct unit *u = vm_on_n3();
    failed_before(u, N3, 61 * MINUTE);
    u->image.nodes[N3].losses = 2;
    assert_true(is_gone(lose_n3(u)));
    assert_int_equal(unit_copy_node(u, 3)->losses, 1);
    free(u);
}

/* Somebody asked for it: no failure of its own. */
TEST(an_asked_fence_is_carried_out_and_begins_no_row)
{
    struct unit *u = vm_on_n3();
    unit_set(u, "fence_budget", 1);
    failed_before(u, N2, MINUTE);
    u->image.nodes[N3].fence_wanted = true;
    assert_true(is_gone(lose_n3(u)));
    assert_int_equal(unit_copy_node(u, 3)->losses, 0);
    free(u);
}

TEST(a_host_that_ends_in_order_is_no_failure)
{
    struct unit *u = vm_on_n3();
    unit_set(u, "fence_budget", 1);
    failed_before(u, N2, MINUTE);
    unit_lead(u);
    u->peers[3].leaving = LEAVING_HOST;
    unit_pass(u, 500);
    unit_leave(u, 3);
    unit_settle(u, 500);
    assert_true(is_gone(unit_copy_node(u, 3)->state));
    assert_int_equal(unit_copy_node(u, 3)->losses, 0);
    assert_int_equal(unit_copy_node(u, 3)->lost_ms, 0);
    free(u);
}

/* All links were cut; those between n1 and n2 are back. */
static struct unit *half_healed(void)
{
    const uint32_t alone[] = {1};
    const uint32_t two[] = {1, 2};
    struct unit *u = vm_on_n3();
    unit_lead(u);
    unit_ring(u, false, 1, alone);
    unit_pass(u, 60000);
    unit_ring(u, true, 2, two);
    return u;
}

static bool told_late(const struct unit *u, const char *words)
{
    struct text text = {0};
    return spare_tell_late(&u->core, N3, &text) && strstr(text.bytes, words) != NULL;
}

TEST(who_was_gone_before_the_quorum_is_waited_for)
{
    struct unit *u = half_healed();
    char situation[TEXT_BYTES];
    unit_settle(u, timing_rejoin_ms(UNIT_DETECT_MS) - 400);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    assert_true(told_late(u, "not fenced for 1 s yet"));
    query_situation(&u->core, u->now_ms, situation);
    assert_non_null(strstr(situation, "n3 was not here when the quorum came"));
    assert_string_equal(told(u), "");
    unit_settle(u, 800);
    assert_true(is_gone(unit_copy_node(u, 3)->state));
    assert_int_equal(held_count(u), 0);
    assert_false(told_late(u, ""));
    free(u);
}

/* Corosync has two in a ring, and the other agent does not answer yet. */
TEST(nobody_is_missed_before_the_first_quorum)
{
    struct unit *u = vm_on_n3();
    u->ring.count = 2;
    u->silent[2] = true;
    unit_open(u, u->image.nodes[0].client);
    unit_ring(u, true, 2, u->ring.nodeids);
    unit_domains(u);
    unit_pass(u, 2 * MINUTE);
    assert_true(told_late(u, "not fenced for 61 s yet"));
    u->silent[2] = false;
    unit_settle(u, MINUTE - 1000);
    assert_true(told_late(u, "n3 was not here"));
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    unit_settle(u, 2000);
    assert_true(is_gone(unit_copy_node(u, 3)->state));
    free(u);
}

TEST(who_is_late_and_comes_is_not_fenced)
{
    struct unit *u = half_healed();
    const uint32_t all[] = {1, 2, 3};
    unit_settle(u, timing_rejoin_ms(UNIT_DETECT_MS) - 400);
    unit_ring(u, true, 3, all);
    unit_settle(u, 60000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    free(u);
}

/* It has been here since: it is no latecomer. */
TEST(who_goes_after_the_quorum_came_is_not_waited_for)
{
    struct unit *u = half_healed();
    const uint32_t all[] = {1, 2, 3};
    unit_ring(u, true, 3, all);
    unit_settle(u, 500);
    unit_leave(u, 3);
    assert_false(told_late(u, ""));
    unit_settle(u, 500);
    assert_true(is_gone(unit_copy_node(u, 3)->state));
    free(u);
}

/* The ring of n1 and n3 had no quorum; the one with n2 has, and n3 has dropped out of it. */
TEST(who_is_left_out_by_the_ring_that_brings_the_quorum_is_waited_for)
{
    const uint32_t before[] = {1, 3};
    const uint32_t after[] = {1, 2};
    struct unit *u = vm_on_n3();
    unit_lead(u);
    unit_ring(u, false, 2, before);
    unit_pass(u, 2000); /* too short for that alone: nobody answers */
    u->now_ms += 50;    /* the ring comes between two ticks */
    unit_ring(u, true, 2, after);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    assert_true(told_late(u, "n3 was not here"));
    free(u);
}

/* Corosync never said it: nobody answered for so long that there was none (a ring that
 * livelocks). */
TEST(a_ring_in_which_nobody_answered_had_no_quorum)
{
    struct unit *u = vm_on_n3();
    unit_lead(u);
    u->silent[2] = true;
    u->silent[3] = true;
    unit_pass(u, timing_unanswered_ms(&u->core.cluster.settings, UNIT_DETECT_MS) + 400);
    u->silent[2] = false;
    unit_leave(u, 3);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    assert_true(told_late(u, "n3 was not here"));
    free(u);
}

TEST(nothing_is_told_of_who_is_here_or_holds_no_vm_or_without_a_quorum)
{
    const uint32_t alone[] = {1};
    struct unit *u = half_healed();
    assert_true(told_late(u, "n3"));
    unit_ring(u, false, 1, alone);
    assert_false(told_late(u, ""));
    unit_ring(u, true, UNIT_NODES, (const uint32_t[]){1, 2, 3});
    assert_false(told_late(u, ""));
    free(u);
    u = unit_new(1);
    unit_lead(u);
    unit_ring(u, false, 1, alone);
    unit_ring(u, true, 2, (const uint32_t[]){1, 2});
    assert_false(told_late(u, ""));
    free(u);
}

TEST(who_said_that_it_ends_is_not_waited_for)
{
    struct unit *u = vm_on_n3();
    const uint32_t alone[] = {1};
    const uint32_t two[] = {1, 2};
    unit_lead(u);
    u->peers[3].leaving = LEAVING_HOST;
    unit_pass(u, 500);
    unit_ring(u, false, 1, alone);
    unit_pass(u, 10000);
    unit_ring(u, true, 2, two);
    unit_settle(u, 500);
    assert_true(is_gone(unit_copy_node(u, 3)->state));
    free(u);
}

TEST(a_person_does_not_wait)
{
    struct unit *u = half_healed();
    struct request fence = command(REQUEST_NODE_FENCE, "n3", 1);
    unit_settle(u, 200);
    check_accepted(u, &fence);
    unit_settle(u, 500);
    assert_true(is_gone(unit_copy_node(u, 3)->state));
    free(u);
}

/* A node as it is once it is out, after `losses` in a row, the last `ago_ms` ago. */
static struct node_record out(uint32_t losses, uint64_t wall_ms)
{
    return (struct node_record){.state = NODE_OUT, .losses = losses, .lost_ms = wall_ms};
}

TEST(who_fails_again_and_again_stays_out_for_longer_and_longer)
{
    struct unit *u = vm_on_n3();
    unit_lead(u);
    uint64_t now_ms = u->core.local.wall_ms;
    struct node_record twice = out(2, now_ms);
    struct node_record thrice = out(3, now_ms - MINUTE);
    struct node_record more = out(4, now_ms);
    struct node_record most = out(UINT32_MAX, now_ms);
    struct node_record over = out(3, now_ms - 5 * MINUTE);
    struct node_record future = out(3, now_ms + 2 * MINUTE);
    assert_int_equal(spare_out_ms(&u->core, &twice), 0);
    assert_int_equal(spare_out_ms(&u->core, &thrice), 4 * MINUTE);
    assert_int_equal(spare_out_ms(&u->core, &more), 10 * MINUTE);
    assert_int_equal(spare_out_ms(&u->core, &most), 64 * 5 * MINUTE);
    assert_int_equal(spare_out_ms(&u->core, &over), 0);
    assert_int_equal(spare_out_ms(&u->core, &future), 0);
    free(u);
}

/* n3 is out after its third failure, its agent is there with empty hands. */
static struct unit *kept_out(void)
{
    struct unit *u = unit_new(1);
    struct beat *beat = &u->peers[3];
    u->image.nodes[N3].state = NODE_OUT;
    u->image.header.members = 3;
    failed_before(u, N3, MINUTE);
    u->image.nodes[N3].losses = 3;
    beat->empty = true;
    beat->able = false;
    beat->incarnation = (struct incarnation){0};
    beat->client = unit_client(3, 333);
    unit_lead(u);
    unit_settle(u, 1000);
    return u;
}

TEST(it_is_not_admitted_meanwhile)
{
    struct unit *u = kept_out();
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_OUT);
    assert_non_null(strstr(told(u), "failed 3 times in a row"));
    free(u);
}

TEST(a_person_lets_it_in_at_once)
{
    struct unit *u = kept_out();
    struct request unfence = command(REQUEST_NODE_UNFENCE, "n3", 1);
    check_accepted(u, &unfence);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    assert_int_equal(unit_copy_node(u, 3)->losses, 0);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_noted),
        cmocka_unit_test(nothing_is_noted_at_an_older_level),
        cmocka_unit_test(a_node_without_vms_is_not_fenced),
        cmocka_unit_test(nothing_is_fenced_while_ha_is_paused),
        cmocka_unit_test(the_budget_holds_back),
        cmocka_unit_test(each_absence_that_is_held_back_is_told),
        cmocka_unit_test(the_budget_is_renewed),
        cmocka_unit_test(the_second_failure_is_not_held_back),
        cmocka_unit_test(its_own_failures_do_not_spend_the_budget),
        cmocka_unit_test(a_stamp_from_the_future_counts_for_nothing),
        cmocka_unit_test(a_row_ends_after_a_while),
        cmocka_unit_test(an_asked_fence_is_carried_out_and_begins_no_row),
        cmocka_unit_test(a_host_that_ends_in_order_is_no_failure),
        cmocka_unit_test(who_was_gone_before_the_quorum_is_waited_for),
        cmocka_unit_test(nobody_is_missed_before_the_first_quorum),
        cmocka_unit_test(who_is_late_and_comes_is_not_fenced),
        cmocka_unit_test(who_goes_after_the_quorum_came_is_not_waited_for),
        cmocka_unit_test(who_is_left_out_by_the_ring_that_brings_the_quorum_is_waited_for),
        cmocka_unit_test(a_ring_in_which_nobody_answered_had_no_quorum),
        cmocka_unit_test(nothing_is_told_of_who_is_here_or_holds_no_vm_or_without_a_quorum),
        cmocka_unit_test(who_said_that_it_ends_is_not_waited_for),
        cmocka_unit_test(a_person_does_not_wait),
        cmocka_unit_test(who_fails_again_and_again_stays_out_for_longer_and_longer),
        cmocka_unit_test(it_is_not_admitted_meanwhile),
        cmocka_unit_test(a_person_lets_it_in_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
