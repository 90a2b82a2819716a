/* A VM that runs on this host, to its end: where an answer fails, comes late, or says little. */
#include "tests/unit/unit_run.h"

/* The next of that kind, which is dropped by no edge for want of the right to act. */
static struct action take_unbound(struct world *w, enum action_kind kind)
{
    struct action action = unit_take(w->u, kind);
    assert_int_equal(action.valid_until_ms, 0);
    return action;
}

/* Who is cut off ends and looks after what is here all the same. */
TEST(nothing_after_the_start_is_bound_to_the_right_to_act)
{
    struct world *w = world_up();
    struct action look = take_unbound(w, ACTION_LEASE_READ);
    assert_true(uuid_equal(&look.lease.lease.vm, &w->lease.vm));
    world_tell(w, &look, OUTCOME_DONE);
    world_settle(w, w->u->core.cluster.settings.retry_ms + 500);
    unit_domain(w->u, 0, DOMAIN_IO_ERROR, END_UNKNOWN);
    (void)take_unbound(w, ACTION_BLOCK_CHECK);
    unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    world_record(w, VM_STOPPING, OUR_SLOT);
    (void)take_unbound(w, ACTION_DOMAIN_SHUTDOWN);
    world_record(w, VM_RECOVERING, OUR_SLOT);
    unit_pass(w->u, world_run(w)->deadline_ms - w->u->now_ms + UNIT_TICK_MS);
    struct action destroy = take_unbound(w, ACTION_DOMAIN_DESTROY);
    world_tell(w, &destroy, OUTCOME_FAILED);
    (void)take_unbound(w, ACTION_KILL);
    world_end(w);
}

/* So it is with who else has its images open: while it runs, and when nobody saw its end. */
TEST(who_has_the_images_open_is_asked_without_the_right_to_act)
{
    struct world *w = world_up();
    unit_pass(w->u, w->u->core.cluster.settings.retry_ms);
    (void)take_unbound(w, ACTION_WATCHERS_READ);
    world_guest_ends(w, END_UNKNOWN);
    struct action read = take_unbound(w, ACTION_WATCHERS_READ);
    world_tell(w, &read, OUTCOME_FAILED);
    uint32_t pause_ms = w->u->core.cluster.settings.retry_ms / 4;
    unit_pass(w->u, pause_ms - UNIT_TICK_MS);
    unit_none(w->u, ACTION_WATCHERS_READ);
    unit_pass(w->u, 2 * UNIT_TICK_MS);
    assert_int_equal(unit_logged(w->u, ACTION_WATCHERS_READ), 1);
    unit_none(w->u, ACTION_BLOCK_ADD);
    read = unit_take(w->u, ACTION_WATCHERS_READ);
    world_tell(w, &read, OUTCOME_DONE);
    assert_int_equal(unit_logged(w->u, ACTION_BLOCK_ADD), 1); /* that one need not wait */
    world_end(w);
}

/* Whose the lease is by now is told along with the end. */
TEST(who_took_the_lease_is_told)
{
    struct world *w = world_up();
    struct action look = unit_take(w->u, ACTION_LEASE_READ);
    w->lease = unit_lease(w->u, 0, 3);
    w->lease.generation = UNIT_GENERATION + 9;
    world_tell(w, &look, OUTCOME_DONE);
    world_settle(w, 1000);
    assert_int_equal(world_observation(w)->lease_holder, 3);
    assert_int_equal(world_observation(w)->generation, UNIT_GENERATION + 9);
    world_end(w);
}

/* A guest that ended cleanly, and whose lease names more by now than we know of: it is not let go
 * before those are barred. */
TEST(a_clean_end_under_a_lease_that_changed_is_barred)
{
    struct world *w = world_up();
    struct client late = unit_client(OURS, 7777);
    world_guest_ends(w, END_SHUTDOWN);
    world_until(w, RUN_RELEASE);
    struct action release = unit_take(w->u, ACTION_LEASE_CHANGE);
    w->clean = false;
    w->lease.generation++;
    (void)clients_add(&w->lease.clients, &late);
    world_do(w, &release);
    assert_int_equal(world_state(w), RUN_BLOCK);
    world_until(w, RUN_OVER);
    assert_true(clients_hold(&w->blocked, &late));
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

/* What each answer to the release makes of it. */
TEST(each_answer_to_a_release)
{
    const struct {
        enum outcome outcome;
        bool effect;
        enum run_state state;
    } answers[] = {
        {OUTCOME_DONE, true, RUN_OVER},
        {OUTCOME_MISSING, false, RUN_OVER},
        {OUTCOME_REFUSED, false, RUN_RELEASE}, /* ... and nobody could read why */
        {OUTCOME_UNKNOWN, false, RUN_RELEASE},
    };
    for (unsigned i = 0; i < UNIT_COUNT(answers); i++) {
        struct world *w = world_up();
        world_guest_ends(w, END_CRASHED);
        world_until(w, RUN_RELEASE);
        struct action release = unit_take(w->u, ACTION_LEASE_CHANGE);
        if (answers[i].effect) {
            assert_true(world_effect(w, &release));
        }
        unit_lease_is(w->u, &release, answers[i].outcome, NULL);
        assert_int_equal(world_state(w), answers[i].state);
        world_end(w);
    }
}

/* A guest is asked once to shut down; again, after a while, where libvirt could not. */
TEST(a_shutdown_is_asked_again_only_where_that_failed)
{
    struct world *w = world_up();
    uint32_t pause_ms = w->u->core.cluster.settings.retry_ms / 4;
    world_record(w, VM_STOPPING, OUR_SLOT);
    struct action asked = unit_take(w->u, ACTION_DOMAIN_SHUTDOWN);
    world_tell(w, &asked, OUTCOME_FAILED);
    unit_pass(w->u, pause_ms - UNIT_TICK_MS);
    unit_none(w->u, ACTION_DOMAIN_SHUTDOWN);
    unit_pass(w->u, 2 * UNIT_TICK_MS);
    assert_int_equal(unit_logged(w->u, ACTION_DOMAIN_SHUTDOWN), 1);
    asked = unit_take(w->u, ACTION_DOMAIN_SHUTDOWN);
    world_tell(w, &asked, OUTCOME_DONE);
    unit_pass(w->u, 4 * pause_ms);
    unit_none(w->u, ACTION_DOMAIN_SHUTDOWN);
    assert_int_equal(world_state(w), RUN_SHUTDOWN);
    world_end(w);
}

/* A guest that stands still by our doing hears no request and loses no time: it is not killed for
 * that. */
TEST(a_suspended_guest_is_neither_asked_nor_ended)
{
    struct world *w = world_up();
    world_record(w, VM_STOPPING, OUR_SLOT);
    struct action asked = unit_take(w->u, ACTION_DOMAIN_SHUTDOWN);
    unit_domain(w->u, 0, DOMAIN_SUSPENDED, END_UNKNOWN);
    world_tell(w, &asked, OUTCOME_FAILED);
    unit_pass(w->u, unit_copy_vm(w->u, 0)->stop_timeout_ms + 1000);
    unit_none(w->u, ACTION_DOMAIN_SHUTDOWN);
    assert_int_equal(world_state(w), RUN_SHUTDOWN);
    world_end(w);
}

/* A domain that libvirt does not know any more is destroyed: nobody need be killed. */
TEST(a_missing_domain_is_destroyed)
{
    struct world *w = world_up();
    world_record(w, VM_RECOVERING, OUR_SLOT);
    struct action destroy = unit_take(w->u, ACTION_DOMAIN_DESTROY);
    w->alive = false;
    world_tell(w, &destroy, OUTCOME_MISSING);
    assert_int_equal(world_state(w), RUN_BLOCK);
    world_end(w);
}

/* Whether a client of its is blocklisted is asked until that is known, and then no more. */
TEST(a_suspicion_lasts_until_it_is_cleared)
{
    struct world *w = world_up();
    world_settle(w, 500);
    unit_domain(w->u, 0, DOMAIN_IO_ERROR, END_UNKNOWN);
    struct action check = unit_take(w->u, ACTION_BLOCK_CHECK);
    world_tell(w, &check, OUTCOME_UNKNOWN);
    unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    assert_true(world_run(w)->suspect);
    world_tell(w, &check, OUTCOME_DONE); /* of no call any more */
    assert_true(world_run(w)->suspect);
    world_settle(w, 20000);
    assert_false(world_run(w)->suspect);
    assert_int_equal(world_state(w), RUN_UP);
    world_end(w);
}

/* A look that failed says nothing of who has the images open. */
TEST(a_failed_look_forgets_nobody)
{
    struct world *w = world_up();
    struct client other = unit_client(3, 6001);
    const enum outcome outcomes[] = {OUTCOME_DONE, OUTCOME_UNKNOWN, OUTCOME_DONE};
    struct action look;
    for (unsigned i = 0; i < UNIT_COUNT(outcomes);) {
        if (unit_find(w->u, ACTION_WATCHERS_READ, &look)) {
            assert_false(world_run(w)->other_stays);
            bool done = outcomes[i] == OUTCOME_DONE;
            unit_watchers(w->u, &look, outcomes[i++], done ? other : (struct client){{0}});
        }
        unit_forget(w->u);
        unit_pass(w->u, UNIT_TICK_MS);
    }
    assert_true(world_run(w)->other_stays);
    world_end(w);
}

/* Somebody on this host who looks at the images of a guest that is up is not barred with it. */
TEST(who_looked_on_is_not_barred_at_the_end)
{
    struct world *w = world_up();
    struct client looker = unit_client(OURS, 4321);
    unit_pass(w->u, w->u->core.cluster.settings.retry_ms);
    struct action look = unit_take(w->u, ACTION_WATCHERS_READ);
    unit_watchers(w->u, &look, OUTCOME_DONE, looker);
    world_guest_ends(w, END_CRASHED);
    world_until(w, RUN_OVER);
    assert_false(clients_hold(&w->blocked, &looker));
    world_end(w);
}

/* Nothing is barred, and nothing waited for, where nobody had its images open: under no lease of
 * ours, or under one that names nobody. */
TEST(without_clients_nothing_is_barred)
{
    for (unsigned anothers = 0; anothers < 2; anothers++) {
        struct world *w = world_new(VM_RUNNING);
        w->lease = unit_lease(w->u, 0, anothers != 0 ? 3 : OURS);
        w->lease.clients = (struct clients){0};
        world_restart(w, DOMAIN_RUNNING);
        world_settle(w, 1000);
        assert_int_equal(world_state(w), RUN_OVER);
        assert_int_equal(world_place_of(w, ACTION_BLOCK_ADD), -1);
        unit_none(w->u, ACTION_BLOCK_ADD);
        world_end(w);
    }
}

/* A start that went on from a leftover of ours is a start like any. */
static struct world *up_from_leftover(void)
{
    struct world *w = world_new(VM_STARTING);
    w->lease = unit_lease(w->u, 0, OURS);
    world_restart(w, DOMAIN_STARTING);
    unit_domain(w->u, 0, DOMAIN_GONE, END_UNKNOWN); /* while its lease is read */
    w->alive = false;
    world_until(w, RUN_UP);
    unit_forget(w->u);
    return w;
}

/* ... what stead ends of it runs nowhere else, */
TEST(a_start_from_a_leftover_is_ended_as_any)
{
    struct world *w = up_from_leftover();
    world_record(w, VM_RECOVERING, OUR_SLOT);
    world_until(w, RUN_BLOCK);
    unit_none(w->u, ACTION_WATCHERS_READ);
    world_end(w);
}

/* ... and when its guest crashes it is told, not started once more by us. */
TEST(a_start_from_a_leftover_is_over_as_any)
{
    struct world *w = up_from_leftover();
    world_guest_ends(w, END_CRASHED);
    world_settle(w, 2000);
    assert_int_equal(world_state(w), RUN_OVER);
    assert_false(w->alive);
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

/* A heartbeat has just gone out: the next would have time. */
static void after_a_heartbeat(struct world *w)
{
    do {
        unit_pass(w->u, UNIT_TICK_MS);
    } while (w->u->core.local.beat_last_ms != w->u->now_ms);
    assert_true(w->u->core.local.beat_next_ms > w->u->now_ms + UNIT_TICK_MS);
}

/* That it runs, and that it ended, is told at once, with how long it ran. */
TEST(up_and_over_are_told_at_once)
{
    struct world *w = world_at(RUN_RESUME);
    struct action resume = unit_take(w->u, ACTION_DOMAIN_RESUME);
    after_a_heartbeat(w);
    world_do(w, &resume);
    unit_pass(w->u, UNIT_TICK_MS);
    assert_int_equal(world_observation(w)->kind, OBSERVED_RUNNING);
    world_settle(w, 5000);
    world_record(w, VM_STOPPING, OUR_SLOT); /* by another action than it was started by */
    world_guest_ends(w, END_SHUTDOWN);
    struct action release = unit_take(w->u, ACTION_LEASE_CHANGE);
    after_a_heartbeat(w);
    world_do(w, &release);
    unit_pass(w->u, UNIT_TICK_MS);
    assert_int_equal(world_observation(w)->kind, OBSERVED_STOPPED);
    assert_in_range(world_observation(w)->up_ms, 5000, 6000);
    world_end(w);
}

/* Who has its images open is not looked at while the start's own clients may still be there. */
TEST(who_else_looks_on_is_asked_after_a_while)
{
    struct world *w = world_up();
    unit_pass(w->u, w->u->core.cluster.settings.retry_ms - 2 * UNIT_TICK_MS);
    unit_none(w->u, ACTION_WATCHERS_READ);
    world_end(w);
}

/* One that stands still by our doing could not hear a request: its plug is pulled. */
TEST(a_suspended_guest_wanted_stopped_is_destroyed)
{
    struct world *w = world_up();
    unit_domain(w->u, 0, DOMAIN_SUSPENDED, END_UNKNOWN);
    world_record(w, VM_STOPPING, OUR_SLOT);
    assert_int_equal(world_state(w), RUN_DESTROY);
    world_end(w);
}

/* Without its connection libvirt tells nothing, and nothing follows for what runs; that it is gone
 * is told at once. */
TEST(a_lost_connection_says_nothing_of_the_guests)
{
    struct world *w = world_up();
    unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    after_a_heartbeat(w);
    assert_true(w->u->core.local.beat.libvirt);
    struct event lost = unit_event(EVENT_DOMAINS, 0);
    unit_step(w->u, &lost);
    unit_pass(w->u, UNIT_TICK_MS);
    assert_false(w->u->core.local.beat.libvirt);
    assert_int_equal(world_state(w), RUN_UP);
    assert_int_equal(w->u->core.local.domain_count, 1);
    world_end(w);
}

/* Whatever becomes of its record, a guest that is shutting down closes its disks itself: its lease
 * is ours until then. */
TEST(a_guest_shutting_down_keeps_its_time)
{
    struct world *w = world_up();
    world_record(w, VM_STOPPING, OUR_SLOT);
    struct action asked = unit_take(w->u, ACTION_DOMAIN_SHUTDOWN);
    world_tell(w, &asked, OUTCOME_DONE);
    world_record(w, VM_STARTING, 0);
    unit_pass(w->u, unit_copy_vm(w->u, 0)->stop_timeout_ms - 2 * UNIT_TICK_MS);
    assert_int_equal(world_state(w), RUN_SHUTDOWN);
    world_guest_ends(w, END_SHUTDOWN);
    assert_int_equal(world_state(w), RUN_RELEASE);
    world_end(w);
}

/* A wait of one state delays nothing in the next. */
TEST(an_end_is_seen_to_at_once)
{
    struct world *w = world_up();
    world_record(w, VM_STOPPING, OUR_SLOT);
    struct action asked = unit_take(w->u, ACTION_DOMAIN_SHUTDOWN);
    world_tell(w, &asked, OUTCOME_FAILED); /* to be asked again after a while */
    world_guest_ends(w, END_SHUTDOWN);
    assert_int_equal(unit_logged(w->u, ACTION_LEASE_CHANGE), 1);
    world_end(w);
}

/* A guest shut down by itself, and while its lease is freed another hand starts it: that copy is
 * killed, and whoever had the images open is barred, before the lease is free. How the guest ended
 * is told all the same. */
TEST(a_copy_started_after_a_clean_end_is_barred)
{
    struct world *w = world_up();
    struct client elsewhere = unit_client(3, 6001);
    world_record(w, VM_STOPPING, OUR_SLOT);
    world_guest_ends(w, END_SHUTDOWN);
    struct action release = unit_take(w->u, ACTION_LEASE_CHANGE);
    w->alive = true;
    w->clean = false;
    w->nonce++;
    unit_domain_marked(w->u, 0, DOMAIN_RUNNING, MARK_ABSENT, (struct action_id){0, 0});
    assert_int_equal(world_state(w), RUN_KILL);
    world_tell(w, &release, OUTCOME_REFUSED);
    world_until(w, RUN_BLOCK);
    struct action read = unit_take(w->u, ACTION_WATCHERS_READ);
    unit_watchers(w->u, &read, OUTCOME_DONE, elsewhere);
    world_until(w, RUN_OVER);
    assert_true(clients_hold(&w->blocked, &elsewhere));
    unit_pass(w->u, 300);
    const struct observation *fact = world_observation(w);
    fact += fact->kind == OBSERVED_BY_HAND;
    assert_int_equal(fact->kind, OBSERVED_STOPPED);
    assert_int_equal(fact->end, END_SHUTDOWN);
    world_end(w);
}

/* How a guest ended that another hand replaced unseen, nobody knows; one whose end was seen ended
 * that way, whatever was started afterwards. */
TEST(the_end_is_known_if_it_was_seen)
{
    for (unsigned seen = 0; seen < 2; seen++) {
        struct world *w = world_up();
        if (seen) {
            world_guest_ends(w, END_CRASHED);
            assert_int_equal(world_state(w), RUN_BLOCK);
            w->alive = true;
        }
        unit_domain_marked(w->u, 0, DOMAIN_RUNNING, MARK_ABSENT, (struct action_id){0, 0});
        assert_int_equal(world_state(w), RUN_KILL);
        world_until(w, RUN_OVER);
        assert_int_equal(world_run(w)->end, seen ? END_CRASHED : END_UNKNOWN);
        world_end(w);
    }
}

/* A process that is gone is not looked for again while libvirt lists it; what libvirt tells anew is
 * looked at at once. */
TEST(what_is_told_anew_is_looked_at_at_once)
{
    struct world *w = world_new(VM_RUNNING);
    w->u->image.vms[0].node = 2;
    w->u->image.vms[0].incarnation = (struct incarnation){1, 3};
    w->lease = unit_lease(w->u, 0, 3);
    world_restart(w, DOMAIN_RUNNING);
    world_until(w, RUN_KILL);
    world_until(w, RUN_IDLE);
    unit_pass(w->u, UNIT_TICK_MS);
    assert_int_equal(world_state(w), RUN_IDLE);
    w->alive = true;
    unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    assert_int_equal(world_state(w), RUN_ADOPT);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_after_the_start_is_bound_to_the_right_to_act),
        cmocka_unit_test(who_has_the_images_open_is_asked_without_the_right_to_act),
        cmocka_unit_test(who_took_the_lease_is_told),
        cmocka_unit_test(a_clean_end_under_a_lease_that_changed_is_barred),
        cmocka_unit_test(each_answer_to_a_release),
        cmocka_unit_test(a_shutdown_is_asked_again_only_where_that_failed),
        cmocka_unit_test(a_suspended_guest_is_neither_asked_nor_ended),
        cmocka_unit_test(a_missing_domain_is_destroyed),
        cmocka_unit_test(a_suspicion_lasts_until_it_is_cleared),
        cmocka_unit_test(a_failed_look_forgets_nobody),
        cmocka_unit_test(who_looked_on_is_not_barred_at_the_end),
        cmocka_unit_test(without_clients_nothing_is_barred),
        cmocka_unit_test(a_start_from_a_leftover_is_ended_as_any),
        cmocka_unit_test(a_start_from_a_leftover_is_over_as_any),
        cmocka_unit_test(up_and_over_are_told_at_once),
        cmocka_unit_test(who_else_looks_on_is_asked_after_a_while),
        cmocka_unit_test(a_suspended_guest_wanted_stopped_is_destroyed),
        cmocka_unit_test(a_lost_connection_says_nothing_of_the_guests),
        cmocka_unit_test(a_guest_shutting_down_keeps_its_time),
        cmocka_unit_test(an_end_is_seen_to_at_once),
        cmocka_unit_test(a_copy_started_after_a_clean_end_is_barred),
        cmocka_unit_test(the_end_is_known_if_it_was_seen),
        cmocka_unit_test(what_is_told_anew_is_looked_at_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
