/* Without a quorum our guests stand still; what must hold before one goes on. */
#include "agent/suspend.h"
#include "fencing/timing.h"
#include "storage/lease.h"
#include "tests/unit/unit_run.h"

static const uint32_t alone[] = {OURS};
static const uint32_t all[] = {1, 2, 3};

/* Up, and known to the state as running. */
static struct world *running(void)
{
    struct world *w = world_up();
    (void)unit_foreign(w->u);
    unit_foreign_vm(w->u, 0)->state = VM_RUNNING;
    unit_foreign_send(w->u);
    unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    world_settle(w, 400);
    unit_forget(w->u);
    return w;
}

static uint64_t told_ms(const struct world *w)
{
    return w->u->core.local.beat.suspended_ms;
}

/* The quorum is gone; libvirt was asked, has suspended the guest and has said so. */
static struct world *suspended(void)
{
    struct world *w = running();
    unit_ring(w->u, false, 1, alone);
    struct action action = unit_take(w->u, ACTION_DOMAIN_SUSPEND);
    world_do(w, &action);
    unit_domain(w->u, 0, DOMAIN_SUSPENDED, END_UNKNOWN);
    unit_pass(w->u, 60000);
    unit_forget(w->u);
    return w;
}

static void heal(struct world *w)
{
    unit_ring(w->u, true, UNIT_NODES, all);
    unit_pass(w->u, 400);
}

/* The acting node commits that it saw the suspension of this name. */
static void readmit(struct world *w, uint64_t since_ms)
{
    (void)unit_foreign(w->u);
    unit_foreign_node(w->u, OUR_SLOT)->readmitted_ms = since_ms;
    unit_foreign_send(w->u);
}

/* Back in the ring, readmitted, its lease being read. */
static struct world *woken(void)
{
    struct world *w = suspended();
    heal(w);
    unit_forget(w->u);
    readmit(w, told_ms(w));
    return w;
}

/* What is asked before it goes on, and how that is answered. */
static void answer(struct world *w, enum action_kind kind, enum outcome outcome)
{
    struct action action = unit_take(w->u, kind);
    world_tell(w, &action, outcome);
}

static void not_woken(struct world *w)
{
    world_settle(w, 5000);
    assert_int_equal(world_place_of(w, ACTION_DOMAIN_RESUME), -1);
    assert_false(w->runs);
}

TEST(no_quorum_suspends_at_once)
{
    struct world *w = running();
    unit_ring(w->u, false, 1, alone);
    assert_int_equal(unit_logged(w->u, ACTION_DOMAIN_SUSPEND), 1);
    struct action action = unit_take(w->u, ACTION_DOMAIN_SUSPEND);
    assert_true(uuid_equal(&action.vm.uuid, &w->lease.vm));
    unit_none(w->u, ACTION_KILL);
    world_end(w);
}

/* Another member's death stalls our heartbeats for Corosync's token and consensus. */
TEST(a_stall_that_corosync_gets_over_does_nothing)
{
    struct world *w = running();
    w->u->silent[1] = true;
    w->u->silent[2] = true;
    w->u->silent[3] = true;
    unit_pass(w->u, 2 * UNIT_DETECT_MS);
    unit_none(w->u, ACTION_DOMAIN_SUSPEND);
    w->u->silent[1] = false;
    w->u->silent[2] = false;
    unit_pass(w->u, 60000);
    unit_none(w->u, ACTION_DOMAIN_SUSPEND);
    world_end(w);
}

/* Corosync hangs, or its ring livelocks: the flag stays, and nobody answers. */
TEST(heartbeats_unanswered_for_long_suspend)
{
    struct world *w = running();
    uint32_t limit_ms = timing_unanswered_ms(&w->u->core.cluster.settings, UNIT_DETECT_MS);
    w->u->silent[1] = true;
    w->u->silent[3] = true;
    unit_pass(w->u, limit_ms + 400);
    assert_int_equal(unit_logged(w->u, ACTION_DOMAIN_SUSPEND), 1);
    world_end(w);
}

TEST(not_seen_to_stand_still_is_killed)
{
    struct world *w = running();
    unit_ring(w->u, false, 1, alone);
    unit_pass(w->u, timing_suspend_ms() - 2 * UNIT_TICK_MS);
    unit_none(w->u, ACTION_KILL);
    unit_pass(w->u, 4 * UNIT_TICK_MS);
    struct action action = unit_take(w->u, ACTION_KILL);
    assert_true(uuid_equal(&action.vm.uuid, &w->lease.vm));
    assert_int_equal(world_state(w), RUN_KILL);
    unit_pass(w->u, 200);
    unit_none(w->u, ACTION_KILL); /* once, and by one only */
    world_do(w, &action);
    world_until(w, RUN_BLOCK);
    unit_pass(w->u, 200);
    assert_int_equal(world_state(w), RUN_BLOCK); /* libvirt lists it still */
    world_until(w, RUN_OVER);
    assert_string_equal(world_run(w)->reason, ""); /* it is no start that failed */
    world_end(w);
}

/* ... so is one whose start is not over: it was just let run. */
TEST(a_start_not_seen_to_stand_still_is_killed)
{
    struct world *w = world_at(RUN_TAKE);
    w->u->core.cluster.settings.start_ms = 60000;
    world_until(w, RUN_RESUME);
    struct action resume = unit_take(w->u, ACTION_DOMAIN_RESUME);
    (void)world_effect(w, &resume);
    unit_domain_marked(w->u, 0, DOMAIN_RUNNING, MARK_READ, w->lease.action);
    unit_ring(w->u, false, 1, alone);
    unit_pass(w->u, timing_suspend_ms() + 2 * UNIT_TICK_MS);
    struct action kill = unit_take(w->u, ACTION_KILL);
    assert_int_equal(world_state(w), RUN_KILL);
    world_do(w, &kill);
    world_until(w, RUN_OVER);
    assert_int_equal(w->lease.state, LEASE_FREE);
    assert_non_null(strstr(world_run(w)->reason, "not seen to stand still"));
    world_end(w);
}

/* However often libvirt says that it runs. */
TEST(told_again_it_has_no_more_time)
{
    struct world *w = running();
    unit_ring(w->u, false, 1, alone);
    for (unsigned i = 0; i < 2; i++) {
        unit_pass(w->u, timing_suspend_ms() / 2 + UNIT_TICK_MS);
        unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    }
    assert_int_equal(unit_logged(w->u, ACTION_KILL), 1);
    world_end(w);
}

/* libvirt's answer is not its word that the guest stands still. */
TEST(an_answer_alone_is_not_seen)
{
    struct world *w = running();
    unit_ring(w->u, false, 1, alone);
    struct action action = unit_take(w->u, ACTION_DOMAIN_SUSPEND);
    unit_domain_done(w->u, &action, OUTCOME_DONE);
    unit_pass(w->u, timing_suspend_ms() + 200);
    (void)unit_take(w->u, ACTION_KILL);
    world_end(w);
}

TEST(asked_again_where_libvirt_refused)
{
    struct world *w = running();
    unit_ring(w->u, false, 1, alone);
    struct action action = unit_take(w->u, ACTION_DOMAIN_SUSPEND);
    unit_domain_done(w->u, &action, OUTCOME_FAILED);
    (void)unit_take(w->u, ACTION_DOMAIN_SUSPEND);
    world_end(w);
}

TEST(what_stands_still_is_left_for_however_long)
{
    struct world *w = suspended();
    unit_pass(w->u, 600000);
    unit_none(w->u, ACTION_KILL);
    unit_none(w->u, ACTION_DOMAIN_RESUME);
    assert_int_equal(world_state(w), RUN_UP);
    assert_true(told_ms(w) != 0);
    world_end(w);
}

/* Somebody lets it go on by hand: it stands still again, from then on. */
TEST(one_that_runs_again_is_suspended_again)
{
    struct world *w = suspended();
    unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    assert_int_equal(unit_logged(w->u, ACTION_DOMAIN_SUSPEND), 1);
    unit_pass(w->u, timing_suspend_ms() - 200);
    unit_none(w->u, ACTION_KILL);
    world_end(w);
}

TEST(goes_on_once_readmitted)
{
    struct world *w = woken();
    answer(w, ACTION_LEASE_READ, OUTCOME_DONE);
    struct action check = unit_take(w->u, ACTION_BLOCK_CHECK);
    assert_int_equal(check.block.count, 2); /* its client and this host */
    world_do(w, &check);
    struct action resume = unit_take(w->u, ACTION_DOMAIN_RESUME);
    assert_true(resume.valid_until_ms > w->u->now_ms);
    world_do(w, &resume);
    assert_true(w->runs);
    unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    unit_pass(w->u, 5000);
    unit_none(w->u, ACTION_DOMAIN_SUSPEND);
    assert_int_equal(told_ms(w), 0);
    world_end(w);
}

/* ---- each condition alone keeps it still */

TEST(not_without_a_readmission)
{
    struct world *w = suspended();
    heal(w);
    not_woken(w);
    world_end(w);
}

TEST(not_by_the_readmission_of_an_earlier_suspension)
{
    struct world *w = suspended();
    heal(w);
    readmit(w, told_ms(w) - 1);
    not_woken(w);
    world_end(w);
}

TEST(not_while_the_term_does_not_count_us)
{
    struct world *w = suspended();
    heal(w);
    unit_foreign(w->u)->header.members &= ~(UINT64_C(1) << OUR_SLOT);
    unit_foreign_node(w->u, OUR_SLOT)->readmitted_ms = told_ms(w);
    unit_foreign_send(w->u);
    not_woken(w);
    world_end(w);
}

TEST(not_while_quorum_is_not_fresh)
{
    struct world *w = suspended();
    w->u->silent[1] = true;
    w->u->silent[3] = true;
    heal(w);
    readmit(w, told_ms(w));
    not_woken(w);
    world_end(w);
}

TEST(not_what_somebody_paused)
{
    struct world *w = running();
    unit_domain(w->u, 0, DOMAIN_PAUSED, END_UNKNOWN);
    w->runs = false;
    unit_ring(w->u, false, 1, alone);
    unit_pass(w->u, 10000);
    unit_none(w->u, ACTION_DOMAIN_SUSPEND);
    unit_none(w->u, ACTION_KILL);
    heal(w);
    readmit(w, w->u->now_ms);
    not_woken(w);
    world_end(w);
}

/* Its vCPUs stand, what it has under way is not on the disk yet. */
TEST(not_while_the_suspend_is_open)
{
    struct world *w = running();
    unit_ring(w->u, false, 1, alone);
    struct action action = unit_take(w->u, ACTION_DOMAIN_SUSPEND);
    unit_domain(w->u, 0, DOMAIN_SUSPENDED, END_UNKNOWN);
    w->runs = false;
    heal(w);
    readmit(w, told_ms(w));
    world_settle(w, 1000);
    assert_false(w->runs);
    unit_domain_done(w->u, &action, OUTCOME_DONE);
    world_settle(w, 1000);
    assert_true(world_place_of(w, ACTION_DOMAIN_RESUME) >= 0);
    world_end(w);
}

TEST(a_changed_lease_ends_it)
{
    struct world *w = woken();
    w->lease = lease_name(&w->lease, &(struct clients){1, {unit_client(OURS, 8000)}});
    answer(w, ACTION_LEASE_READ, OUTCOME_DONE);
    assert_int_equal(world_state(w), RUN_KILL);
    unit_none(w->u, ACTION_DOMAIN_RESUME);
    world_end(w);
}

/* ... and what was being asked for its sake meanwhile, lets nothing go on any more. */
TEST(an_answer_after_its_end_wakes_nothing)
{
    struct world *w = woken();
    struct action read = unit_take(w->u, ACTION_LEASE_READ);
    assert_int_equal(read.id, world_run(w)->wake.call.id);
    world_record(w, VM_STOPPING, OUR_SLOT);
    assert_int_equal(world_state(w), RUN_DESTROY);
    world_tell(w, &read, OUTCOME_DONE);
    unit_pass(w->u, 200);
    unit_none(w->u, ACTION_BLOCK_CHECK);
    unit_none(w->u, ACTION_DOMAIN_RESUME);
    world_end(w);
}

TEST(a_blocklisted_client_ends_it)
{
    struct world *w = woken();
    answer(w, ACTION_LEASE_READ, OUTCOME_DONE);
    struct client client = world_client(w);
    (void)clients_add(&w->blocked, &client);
    answer(w, ACTION_BLOCK_CHECK, OUTCOME_DONE);
    assert_int_equal(world_state(w), RUN_KILL);
    world_end(w);
}

TEST(what_cannot_be_read_is_asked_again)
{
    struct world *w = woken();
    answer(w, ACTION_LEASE_READ, OUTCOME_UNKNOWN);
    answer(w, ACTION_LEASE_READ, OUTCOME_DONE);
    answer(w, ACTION_BLOCK_CHECK, OUTCOME_UNKNOWN);
    unit_none(w->u, ACTION_DOMAIN_RESUME);
    answer(w, ACTION_LEASE_READ, OUTCOME_DONE); /* from the beginning */
    answer(w, ACTION_BLOCK_CHECK, OUTCOME_DONE);
    (void)unit_take(w->u, ACTION_DOMAIN_RESUME);
    world_end(w);
}

/* Readmitted, but not awake yet when the quorum is lost again: that readmission is of the past. */
TEST(lost_again_wants_another_readmission)
{
    struct world *w = woken();
    uint64_t first_ms = w->u->core.local.suspension.since_ms;
    answer(w, ACTION_LEASE_READ, OUTCOME_UNKNOWN);
    unit_ring(w->u, false, 1, alone);
    heal(w);
    assert_true(told_ms(w) > first_ms);
    not_woken(w);
    readmit(w, told_ms(w));
    world_settle(w, 1000);
    assert_true(w->runs);
    world_end(w);
}

/* The host stood still between the look at the clock and the call. */
TEST(a_right_that_ran_out_on_the_way_suspends_again)
{
    struct world *w = woken();
    answer(w, ACTION_LEASE_READ, OUTCOME_DONE);
    answer(w, ACTION_BLOCK_CHECK, OUTCOME_DONE);
    struct action resume = unit_take(w->u, ACTION_DOMAIN_RESUME);
    w->u->silent[1] = true;
    w->u->silent[3] = true;
    unit_pass(w->u, w->u->core.cluster.settings.fresh_ms + 200);
    unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    unit_none(w->u, ACTION_DOMAIN_SUSPEND);
    unit_domain_done(w->u, &resume, OUTCOME_DONE);
    assert_int_equal(unit_logged(w->u, ACTION_DOMAIN_SUSPEND), 1);
    world_end(w);
}

/* ---- others */

/* The agent before us let them stand; what its readmission was about is not known. */
TEST(a_new_agent_goes_on_with_what_stands_still)
{
    struct world *w = world_new(VM_RUNNING);
    world_restart(w, DOMAIN_SUSPENDED);
    world_settle(w, 2000);
    assert_int_equal(world_state(w), RUN_UP);
    assert_true(told_ms(w) != 0);
    not_woken(w);
    readmit(w, told_ms(w));
    world_settle(w, 1000);
    assert_true(w->runs);
    world_end(w);
}

TEST(a_new_agent_leaves_what_somebody_paused)
{
    struct world *w = world_new(VM_RUNNING);
    world_restart(w, DOMAIN_PAUSED);
    world_settle(w, 2000);
    assert_int_equal(told_ms(w), 0);
    not_woken(w);
    world_end(w);
}

/* Its lease cannot be read: whether it is ours is open, that it must not run is not. */
TEST(one_being_adopted_is_killed_too)
{
    struct world *w = world_new(VM_RUNNING);
    world_restart(w, DOMAIN_RUNNING);
    unit_ring(w->u, false, 1, alone);
    unit_pass(w->u, timing_suspend_ms() + 200);
    assert_int_equal(world_state(w), RUN_ADOPT);
    (void)unit_take(w->u, ACTION_KILL);
    world_end(w);
}

TEST(stands_still_and_is_wanted_stopped)
{
    struct world *w = suspended();
    heal(w);
    unit_forget(w->u);
    (void)unit_foreign(w->u);
    struct vm_record *vm = unit_foreign_vm(w->u, 0);
    vm->state = VM_STOPPING;
    vm->want = WANT_STOPPED;
    unit_foreign_send(w->u);
    assert_int_equal(world_state(w), RUN_DESTROY);
    world_end(w);
}

TEST(a_halted_agent_suspends_too)
{
    struct world *w = running();
    w->u->core.local.halted = true;
    unit_ring(w->u, false, 1, alone);
    assert_int_equal(unit_logged(w->u, ACTION_DOMAIN_SUSPEND), 1);
    world_end(w);
}

/* Its end could not be committed: an older agent may act. */
TEST(not_below_the_level)
{
    struct world *w = running();
    w->u->core.cluster.header.feature_level = 1;
    unit_ring(w->u, false, 1, alone);
    unit_pass(w->u, 10000);
    unit_none(w->u, ACTION_DOMAIN_SUSPEND);
    unit_none(w->u, ACTION_KILL);
    world_end(w);
}

TEST(not_while_ha_is_paused)
{
    struct world *w = running();
    w->u->core.cluster.settings.ha = HA_FREEZE;
    unit_ring(w->u, false, 1, alone);
    unit_pass(w->u, 10000);
    unit_none(w->u, ACTION_DOMAIN_SUSPEND);
    w->u->core.cluster.settings.ha = HA_ON;
    unit_tick(w->u);
    assert_int_equal(unit_logged(w->u, ACTION_DOMAIN_SUSPEND), 1);
    world_end(w);
}

static void corosync_ends(struct world *w)
{
    w->u->ring.away = true;
    unit_ring(w->u, false, 1, alone);
}

TEST(an_announced_absence_does_not_suspend_while_it_lasts)
{
    struct world *w = running();
    (void)unit_foreign(w->u);
    unit_foreign_node(w->u, OUR_SLOT)->away_ms = 60000;
    unit_foreign_send(w->u);
    corosync_ends(w);
    unit_pass(w->u, 59000);
    unit_none(w->u, ACTION_DOMAIN_SUSPEND);
    unit_pass(w->u, 2000);
    assert_int_equal(unit_logged(w->u, ACTION_DOMAIN_SUSPEND), 1);
    world_end(w);
}

/* It is started again at once, and alone at first: the others have not even missed it. */
TEST(corosync_killed_suspends_once_it_is_missed)
{
    struct world *w = running();
    corosync_ends(w);
    unit_pass(w->u, 1000);
    w->u->ring.away = false;
    unit_ring(w->u, false, 1, alone);
    unit_pass(w->u, UNIT_DETECT_MS - 1000 - UNIT_TICK_MS);
    unit_none(w->u, ACTION_DOMAIN_SUSPEND);
    unit_pass(w->u, 2 * UNIT_TICK_MS);
    assert_int_equal(unit_logged(w->u, ACTION_DOMAIN_SUSPEND), 1);
    world_end(w);
}

TEST(corosync_killed_and_back_in_time_does_nothing)
{
    struct world *w = running();
    corosync_ends(w);
    unit_pass(w->u, 1000);
    w->u->ring.away = false;
    unit_ring(w->u, true, UNIT_NODES, all);
    unit_pass(w->u, 10000);
    unit_none(w->u, ACTION_DOMAIN_SUSPEND);
    unit_ring(w->u, false, 1, alone); /* another time, it is the network's doing */
    assert_int_equal(unit_logged(w->u, ACTION_DOMAIN_SUSPEND), 1);
    world_end(w);
}

/* ---- the acting node */

TEST(the_acting_node_readmits_whom_it_sees)
{
    struct unit *u = unit_new(1);
    (void)unit_vm(u, 0, VM_RUNNING, OUR_SLOT);
    unit_lead(u);
    u->peers[OURS].suspended_ms = 4711;
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, OURS)->readmitted_ms, 4711);
    uint64_t version = u->core.cluster.header.version;
    unit_settle(u, 1000);
    assert_int_equal(u->core.cluster.header.version, version); /* once */
    u->peers[OURS].suspended_ms = 4712;
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, OURS)->readmitted_ms, 4712);
    free(u);
}

TEST(not_one_of_an_earlier_life)
{
    struct unit *u = unit_new(1);
    unit_lead(u);
    u->peers[OURS].suspended_ms = 4711;
    u->peers[OURS].incarnation.number += 7;
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, OURS)->readmitted_ms, 0);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_quorum_suspends_at_once),
        cmocka_unit_test(a_stall_that_corosync_gets_over_does_nothing),
        cmocka_unit_test(heartbeats_unanswered_for_long_suspend),
        cmocka_unit_test(not_seen_to_stand_still_is_killed),
        cmocka_unit_test(a_start_not_seen_to_stand_still_is_killed),
        cmocka_unit_test(told_again_it_has_no_more_time),
        cmocka_unit_test(an_answer_alone_is_not_seen),
        cmocka_unit_test(asked_again_where_libvirt_refused),
        cmocka_unit_test(what_stands_still_is_left_for_however_long),
        cmocka_unit_test(one_that_runs_again_is_suspended_again),
        cmocka_unit_test(goes_on_once_readmitted),
        cmocka_unit_test(not_without_a_readmission),
        cmocka_unit_test(not_by_the_readmission_of_an_earlier_suspension),
        cmocka_unit_test(not_while_the_term_does_not_count_us),
        cmocka_unit_test(not_while_quorum_is_not_fresh),
        cmocka_unit_test(not_what_somebody_paused),
        cmocka_unit_test(not_while_the_suspend_is_open),
        cmocka_unit_test(a_changed_lease_ends_it),
        cmocka_unit_test(an_answer_after_its_end_wakes_nothing),
        cmocka_unit_test(a_blocklisted_client_ends_it),
        cmocka_unit_test(what_cannot_be_read_is_asked_again),
        cmocka_unit_test(lost_again_wants_another_readmission),
        cmocka_unit_test(a_right_that_ran_out_on_the_way_suspends_again),
        cmocka_unit_test(a_new_agent_goes_on_with_what_stands_still),
        cmocka_unit_test(a_new_agent_leaves_what_somebody_paused),
        cmocka_unit_test(one_being_adopted_is_killed_too),
        cmocka_unit_test(stands_still_and_is_wanted_stopped),
        cmocka_unit_test(a_halted_agent_suspends_too),
        cmocka_unit_test(not_below_the_level),
        cmocka_unit_test(not_while_ha_is_paused),
        cmocka_unit_test(an_announced_absence_does_not_suspend_while_it_lasts),
        cmocka_unit_test(corosync_killed_suspends_once_it_is_missed),
        cmocka_unit_test(corosync_killed_and_back_in_time_does_nothing),
        cmocka_unit_test(the_acting_node_readmits_whom_it_sees),
        cmocka_unit_test(not_one_of_an_earlier_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
