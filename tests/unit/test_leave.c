/* Announced absences: when our Corosync may end, and whose absence is no failure. */
#include "agent/leave.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

static void ask(struct unit *u, enum leaving why, bool forced)
{
    struct event event = unit_event(EVENT_LEAVING, 0);
    event.leaving.why = why;
    event.leaving.forced = forced;
    unit_step(u, &event);
}

/* We are n2 and n1 acts. */
static struct unit *follower(void)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    return u;
}

/* n1 commits our announcement. */
static void accept_ours(struct unit *u)
{
    (void)unit_foreign(u);
    unit_foreign_node(u, 1)->away_ms = 60000;
    unit_foreign_send(u);
}

/* We are n1 and act; a VM runs on n3. */
static struct unit *acting(void)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_lead(u);
    return u;
}

static void n3_announces(struct unit *u)
{
    u->peers[3].leaving = LEAVING_RING;
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 3)->away_ms, u->core.cluster.settings.leave_ms);
}

static void n3_is_back(struct unit *u)
{
    const uint32_t all[] = {1, 2, 3};
    u->peers[3].leaving = LEAVING_NOT;
    unit_ring(u, true, 3, all);
}

/* Asked by Corosync, we say so in the next heartbeat, and let it go once that is committed. */
TEST(corosync_goes_once_the_others_know)
{
    struct unit *u = follower();
    ask(u, LEAVING_RING, true);
    unit_pass(u, 300);
    assert_int_equal(u->core.local.beat.leaving, LEAVING_RING);
    unit_none(u, ACTION_LET_GO);
    accept_ours(u);
    assert_true(unit_take(u, ACTION_LET_GO).let_go.agreed);
    unit_pass(u, 1000);
    unit_none(u, ACTION_LET_GO);
    free(u);
}

/* There are only seconds: it is not kept for the next regular heartbeat. */
TEST(it_is_announced_at_once)
{
    struct unit *u = follower();
    while (u->core.local.beat_last_ms != u->now_ms) {
        unit_pass(u, UNIT_TICK_MS);
    }
    u->now_ms += 10;
    ask(u, LEAVING_RING, true);
    unit_tick(u);
    assert_int_equal(u->core.local.beat_last_ms, u->now_ms);
    assert_int_equal(u->core.local.beat.leaving, LEAVING_RING);
    free(u);
}

/* Nobody commits our announcement: after 3 s we answer all the same, and object. */
TEST(corosync_is_not_held_up_for_ever)
{
    struct unit *u = follower();
    ask(u, LEAVING_RING, true);
    unit_pass(u, 2900);
    unit_none(u, ACTION_LET_GO);
    unit_pass(u, 200);
    assert_false(unit_take(u, ACTION_LET_GO).let_go.agreed);
    assert_int_equal(u->core.local.leave.why, LEAVING_RING); /* it ends all the same */
    free(u);
}

/* Not forced and objected to: Corosync stays, and we do not announce any more. */
TEST(an_objection_ends_the_announcement)
{
    struct unit *u = follower();
    ask(u, LEAVING_RING, false);
    unit_pass(u, 3500);
    assert_false(unit_take(u, ACTION_LET_GO).let_go.agreed);
    assert_int_equal(u->core.local.beat.leaving, LEAVING_NOT);
    free(u);
}

/* An agent that is not admitted has nothing to lose: Corosync goes at once. */
TEST(outside_it_goes_at_once)
{
    struct unit *u = unit_new(2);
    u->image.nodes[1].state = NODE_OUT;
    u->facts.incarnation = (struct incarnation){0};
    unit_open(u, unit_client(2, 900));
    unit_ring(u, true, 3, u->ring.nodeids);
    ask(u, LEAVING_RING, true);
    assert_true(unit_take(u, ACTION_LET_GO).let_go.agreed);
    free(u);
}

/* It may go and does not: after 15 s we stop saying that it will. */
TEST(who_stays_takes_it_back)
{
    struct unit *u = follower();
    ask(u, LEAVING_RING, false);
    accept_ours(u);
    (void)unit_take(u, ACTION_LET_GO);
    unit_pass(u, 14000);
    assert_int_equal(u->core.local.beat.leaving, LEAVING_RING);
    unit_pass(u, 2000);
    assert_int_equal(u->core.local.beat.leaving, LEAVING_NOT);
    free(u);
}

/* Corosync is gone: what we announced is over, and our next heartbeat says so. */
TEST(once_it_is_gone_we_say_no_more_that_it_goes)
{
    struct unit *u = follower();
    ask(u, LEAVING_RING, true);
    ask(u, LEAVING_NOT, false);
    unit_pass(u, 4000);
    assert_int_equal(u->core.local.beat.leaving, LEAVING_NOT);
    unit_none(u, ACTION_LET_GO);
    free(u);
}

/* An announced absence is no failure before its time, and one after it. */
TEST(an_announced_absence_is_no_failure_in_its_time)
{
    struct unit *u = acting();
    n3_announces(u);
    unit_leave(u, 3);
    unit_settle(u, 59000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    unit_settle(u, 2000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    assert_int_equal(unit_copy_node(u, 3)->away_ms, 0);
    free(u);
}

/* Back and heard, its announcement is cleared: the next absence is a failure again. */
TEST(back_again_the_announcement_is_used_up)
{
    struct unit *u = acting();
    n3_announces(u);
    uint64_t entry = u->core.cluster.header.next_history - 1;
    assert_int_equal(u->core.cluster.history[entry % HISTORY_MAX].kind, HISTORY_NODE_AWAY);
    assert_string_equal(u->core.cluster.history[entry % HISTORY_MAX].cause,
                        "n3 announces a restart of its Corosync: no failure, up to 60000 ms");
    unit_leave(u, 3);
    unit_settle(u, 5000);
    n3_is_back(u);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->away_ms, 0);
    entry = u->core.cluster.header.next_history - 1;
    assert_int_equal(u->core.cluster.history[entry % HISTORY_MAX].kind, HISTORY_NODE_BACK);
    assert_string_equal(u->core.cluster.history[entry % HISTORY_MAX].cause,
                        "n3 is back from its announced absence");
    unit_leave(u, 3);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    free(u);
}

/* The quorum must not go with it: with two of three there, no absence is accepted. */
TEST(no_announcement_takes_the_quorum_along)
{
    struct unit *u = acting();
    unit_leave(u, 2);
    unit_settle(u, 500);
    u->peers[3].leaving = LEAVING_RING;
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->away_ms, 0);
    free(u);
}

/* Two at once: the first is accepted, the second would take the quorum along. */
TEST(of_two_only_one_is_accepted)
{
    struct unit *u = acting();
    u->peers[2].leaving = LEAVING_RING;
    u->peers[3].leaving = LEAVING_RING;
    unit_settle(u, 1000);
    uint32_t away = 0;
    away += unit_copy_node(u, 2)->away_ms != 0;
    away += unit_copy_node(u, 3)->away_ms != 0;
    assert_int_equal(away, 1);
    free(u);
}

/* The acting node itself announces its own, and is let go. */
TEST(the_acting_node_announces_itself)
{
    struct unit *u = acting();
    ask(u, LEAVING_RING, true);
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 1)->away_ms, u->core.cluster.settings.leave_ms);
    assert_true(unit_take(u, ACTION_LET_GO).let_go.agreed);
    free(u);
}

/* A node that an operator wants fenced is not excused. */
TEST(a_fence_by_hand_comes_first)
{
    struct unit *u = acting();
    n3_announces(u);
    unit_leave(u, 3);
    unit_settle(u, 1000);
    struct event event = unit_event(EVENT_REQUEST, 0);
    struct request request = {.id = {2, 1002, 1}, .kind = REQUEST_NODE_FENCE};
    name_set(request.name, NAME_BYTES, "n3");
    event.request = &request;
    unit_step(u, &event);
    unit_settle(u, 200);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    free(u);
}

/* Another incarnation's announcement is none of the record's. */
TEST(another_incarnation_announces_nothing)
{
    struct unit *u = acting();
    u->peers[3].incarnation = (struct incarnation){1, 99};
    u->peers[3].leaving = LEAVING_RING;
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->away_ms, 0);
    free(u);
}

/* With leave_ms 0 nobody is excused. */
TEST(the_setting_may_forbid_it)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_set(u, "leave_ms", 0);
    unit_lead(u);
    u->peers[3].leaving = LEAVING_RING;
    unit_settle(u, 1000);
    unit_leave(u, 3);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    free(u);
}

/* A host that shuts down says so to its end, and asks for nothing. */
TEST(a_host_that_shuts_down_says_so)
{
    struct unit *u = follower();
    ask(u, LEAVING_HOST, false);
    ask(u, LEAVING_RING, true);
    ask(u, LEAVING_NOT, false);
    unit_pass(u, 4000);
    assert_int_equal(u->core.local.beat.leaving, LEAVING_HOST);
    unit_none(u, ACTION_LET_GO);
    free(u);
}

static struct unit *n3_with_a_bmc(uint32_t proof)
{
    struct unit *u = unit_new(1);
    struct bmc_address bmc = {.address = "10.1.0.3", .cipher_suite = 17, .verified = true};
    unit_vm(u, 0, VM_RUNNING, N3);
    u->image.nodes[N3].bmc = bmc;
    u->peers[3].bmc = bmc;
    unit_set(u, "proof", proof);
    unit_lead(u);
    u->peers[3].leaving = LEAVING_HOST;
    unit_settle(u, 500);
    return u;
}

/* It is lost as it leaves, its barrier raised, and nobody pulls its plug meanwhile. */
TEST(a_host_that_shuts_down_keeps_its_power)
{
    struct unit *u = n3_with_a_bmc(PROOF_STORAGE);
    assert_int_equal(unit_copy_node(u, 3)->away_ms, 0);
    unit_leave(u, 3);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    unit_none(u, ACTION_POWER);
    assert_int_equal(unit_logged(u, ACTION_BLOCK_ADD) > 0, 1);
    free(u);
}

/* Unless its power is the proof that the policy asks for. */
TEST(policy_power_pulls_the_plug_all_the_same)
{
    struct unit *u = n3_with_a_bmc(PROOF_POWER);
    unit_leave(u, 3);
    unit_settle(u, 500);
    assert_int_equal(unit_logged(u, ACTION_POWER), 1);
    free(u);
}

/* What it said is over once it speaks again and says nothing of the kind. */
TEST(a_shutdown_is_forgotten_once_it_is_back)
{
    struct unit *u = n3_with_a_bmc(PROOF_STORAGE);
    u->peers[3].leaving = LEAVING_NOT;
    unit_settle(u, 500);
    unit_leave(u, 3);
    unit_settle(u, 500);
    assert_int_equal(unit_logged(u, ACTION_POWER), 1);
    free(u);
}

/* Its fence was asked for, and nobody else can act: it goes on, and may leave the ring. */
TEST(the_last_one_whose_fence_was_asked_for_goes_on)
{
    struct unit *u = unit_new(1);
    u->peers[2].able = u->peers[3].able = false;
    u->image.nodes[0].fence_wanted = true;
    unit_start(u);
    unit_commit(u);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 1)->state, NODE_ADMITTED);
    assert_int_equal(u->core.cluster.header.actor, 1);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corosync_goes_once_the_others_know),
        cmocka_unit_test(it_is_announced_at_once),
        cmocka_unit_test(corosync_is_not_held_up_for_ever),
        cmocka_unit_test(an_objection_ends_the_announcement),
        cmocka_unit_test(outside_it_goes_at_once),
        cmocka_unit_test(who_stays_takes_it_back),
        cmocka_unit_test(once_it_is_gone_we_say_no_more_that_it_goes),
        cmocka_unit_test(an_announced_absence_is_no_failure_in_its_time),
        cmocka_unit_test(back_again_the_announcement_is_used_up),
        cmocka_unit_test(no_announcement_takes_the_quorum_along),
        cmocka_unit_test(of_two_only_one_is_accepted),
        cmocka_unit_test(the_acting_node_announces_itself),
        cmocka_unit_test(a_fence_by_hand_comes_first),
        cmocka_unit_test(another_incarnation_announces_nothing),
        cmocka_unit_test(the_setting_may_forbid_it),
        cmocka_unit_test(a_host_that_shuts_down_says_so),
        cmocka_unit_test(a_host_that_shuts_down_keeps_its_power),
        cmocka_unit_test(policy_power_pulls_the_plug_all_the_same),
        cmocka_unit_test(a_shutdown_is_forgotten_once_it_is_back),
        cmocka_unit_test(the_last_one_whose_fence_was_asked_for_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
