/* What an agent makes of the guests it finds after a restart: the lease decides. */
#include "tests/unit/unit_run.h"

/* A guest that runs under a lease of ours is kept: nothing is written, nothing ended. */
TEST(a_running_guest_is_adopted)
{
    struct world *w = world_new(VM_RUNNING);
    world_restart(w, DOMAIN_RUNNING);
    world_settle(w, 1000);
    assert_int_equal(world_state(w), RUN_UP);
    assert_true(w->runs);
    assert_int_equal(w->lease.generation, UNIT_GENERATION);
    world_end(w);
}

/* A guest that was just resumed when the agent died is adopted, and told as running. */
TEST(a_resumed_guest_is_adopted_and_told)
{
    struct world *w = world_new(VM_STARTING);
    w->lease = unit_lease(w->u, 0, OURS);
    world_restart(w, DOMAIN_RUNNING);
    world_settle(w, 500);
    assert_int_equal(world_state(w), RUN_UP);
    assert_int_equal(world_place_of(w, ACTION_DOMAIN_DESTROY), -1);
    assert_int_equal(world_observation(w)->kind, OBSERVED_RUNNING);
    world_end(w);
}

/* One that was assigned, and is paused without the mark, is no start to go on with: made anew. */
TEST(a_start_found_paused_is_made_anew)
{
    struct world *w = world_new(VM_STARTING);
    w->lease = unit_lease(w->u, 0, OURS);
    world_restart(w, DOMAIN_PAUSED);
    world_until(w, RUN_UP);
    assert_int_not_equal(world_place_of(w, ACTION_DOMAIN_DESTROY), -1);
    assert_true(world_place_of(w, ACTION_DOMAIN_DESTROY) < world_place_of(w, ACTION_DOMAIN_CREATE));
    assert_true(w->runs);
    world_end(w);
}

/* A guest that somebody paused is adopted as it is: it ran before, and is no start that failed. */
TEST(a_paused_guest_is_adopted)
{
    struct world *w = world_new(VM_RUNNING);
    world_restart(w, DOMAIN_PAUSED);
    world_settle(w, 1000);
    assert_int_equal(world_state(w), RUN_UP);
    assert_int_equal(world_place_of(w, ACTION_DOMAIN_DESTROY), -1);
    assert_int_equal(w->lease.generation, UNIT_GENERATION);
    world_end(w);
}

/* A domain that still carries the start mark never ran: it is destroyed and the start made anew. */
TEST(a_marked_domain_is_destroyed)
{
    struct world *w = world_new(VM_STARTING);
    w->lease = unit_lease(w->u, 0, OURS);
    world_restart(w, DOMAIN_STARTING);
    world_until(w, RUN_UP);
    assert_true(world_place_of(w, ACTION_DOMAIN_DESTROY) < world_place_of(w, ACTION_DOMAIN_CREATE));
    assert_true(clients_hold(&w->blocked, &(struct client){"10.0.0.2:0/7000"}));
    world_end(w);
}

/* The lease is ours, but what is here was not made by the start that it was taken for. */
static void found_anothers(enum mark_sight mark, struct action_id action)
{
    struct world *w = world_new(VM_RUNNING);
    struct client named = w->lease.clients.list[0];
    w->nonce++; /* another QEMU than the lease names */
    world_restart(w, DOMAIN_GONE);
    world_until(w, RUN_ADOPT);
    struct action read = unit_take(w->u, ACTION_LEASE_READ);
    w->alive = true;
    unit_domain_marked(w->u, 0, DOMAIN_RUNNING, mark, action);
    world_tell(w, &read, OUTCOME_DONE);
    assert_int_equal(world_state(w), RUN_KILL);
    world_settle(w, 1000);
    assert_false(w->alive);
    assert_true(clients_hold(&w->blocked, &named));
    assert_true(world_place_of(w, ACTION_WATCHERS_READ) >= 0); /* whoever has its images open */
    assert_int_equal(w->lease.state, LEASE_FREE);
    assert_int_equal(world_observation(w)->kind, OBSERVED_STOPPED);
    assert_int_equal(w->u->core.local.hands[0].token != 0, mark == MARK_ABSENT);
    world_end(w);
}

TEST(a_guest_by_another_hand_is_not_adopted)
{
    found_anothers(MARK_ABSENT, (struct action_id){0, 0});
}

TEST(a_guest_of_another_start_is_not_adopted)
{
    found_anothers(MARK_READ, (struct action_id){1, 9});
}

/* An unreadable mark says nothing against it. */
TEST(a_guest_with_an_unreadable_mark_is_adopted)
{
    struct world *w = world_new(VM_RUNNING);
    world_restart(w, DOMAIN_GONE);
    world_until(w, RUN_ADOPT);
    struct action read = unit_take(w->u, ACTION_LEASE_READ);
    w->alive = true;
    unit_domain_marked(w->u, 0, DOMAIN_RUNNING, MARK_UNREADABLE, (struct action_id){0, 0});
    world_tell(w, &read, OUTCOME_DONE);
    assert_int_equal(world_state(w), RUN_UP);
    world_end(w);
}

/* It ended and was started by hand while libvirt was not heard: what is shown now is killed. */
TEST(a_guest_replaced_by_hand_unseen)
{
    struct world *w = world_new(VM_RUNNING);
    world_restart(w, DOMAIN_RUNNING);
    world_settle(w, 1000);
    assert_int_equal(world_state(w), RUN_UP);
    unit_domain_marked(w->u, 0, DOMAIN_RUNNING, MARK_ABSENT, (struct action_id){0, 0});
    assert_int_equal(world_state(w), RUN_KILL);
    world_settle(w, 1000);
    assert_false(w->alive);
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

/* A guest whose lease is not ours is killed, and the lease left alone. */
TEST(a_guest_without_a_lease_is_killed)
{
    struct world *w = world_new(VM_RUNNING);
    w->lease = unit_lease(w->u, 0, 3);
    world_restart(w, DOMAIN_RUNNING);
    world_until(w, RUN_KILL);
    world_settle(w, 1000);
    assert_false(w->alive);
    assert_int_equal(w->lease.holder, 3);
    world_end(w);
}

/* ... its clients here are barred, since a write of its may still be queued; the holder's are not.
 */
TEST(a_guest_without_a_lease_is_barred)
{
    struct world *w = world_new(VM_RUNNING);
    struct client holder = {"10.0.0.3:0/7777"};
    struct client own = world_client(w);
    struct action action = {0};
    w->u->image.vms[0].node = 2;
    w->u->image.vms[0].incarnation = (struct incarnation){1, 3};
    w->lease = unit_lease(w->u, 0, 3);
    world_restart(w, DOMAIN_RUNNING);
    world_until(w, RUN_BLOCK);
    assert_false(w->alive);
    struct event event = unit_event(EVENT_WATCHERS, 0);
    assert_true(unit_find(w->u, ACTION_WATCHERS_READ, &action));
    event.id = action.id;
    event.watchers.outcome = OUTCOME_DONE;
    event.watchers.image_count = 1;
    (void)clients_add(&event.watchers.clients, &holder);
    (void)clients_add(&event.watchers.clients, &own);
    unit_step(w->u, &event);
    world_settle(w, 1000);
    assert_true(clients_hold(&w->blocked, &own));
    assert_false(clients_hold(&w->blocked, &holder));
    assert_false(w->locks_broken); /* one may be the holder's */
    assert_int_equal(w->lease.holder, 3);
    world_end(w);
}

/* libvirt tells of a guest just while the lease is read: it counts as there, and is killed at once
 * when the lease turns out to be another's. */
TEST(a_guest_told_while_the_lease_is_read)
{
    struct world *w = world_new(VM_RUNNING);
    w->lease = unit_lease(w->u, 0, 3);
    world_restart(w, DOMAIN_GONE);
    world_until(w, RUN_ADOPT);
    struct action read = unit_take(w->u, ACTION_LEASE_READ);
    w->alive = true;
    unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    world_tell(w, &read, OUTCOME_DONE);
    assert_int_equal(world_state(w), RUN_KILL);
    world_settle(w, 1000);
    assert_false(w->alive);
    world_end(w);
}

/* A guest found here that the state has elsewhere, under a lease of another, is killed. */
TEST(a_guest_assigned_elsewhere_is_found)
{
    struct world *w = world_new(VM_RUNNING);
    w->u->image.vms[0].node = 2;
    w->u->image.vms[0].incarnation = (struct incarnation){1, 3};
    w->lease = unit_lease(w->u, 0, 3);
    world_restart(w, DOMAIN_RUNNING);
    world_settle(w, 1000);
    assert_false(w->alive);
    assert_int_equal(w->lease.holder, 3);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_guest_is_adopted),
        cmocka_unit_test(a_resumed_guest_is_adopted_and_told),
        cmocka_unit_test(a_start_found_paused_is_made_anew),
        cmocka_unit_test(a_paused_guest_is_adopted),
        cmocka_unit_test(a_marked_domain_is_destroyed),
        cmocka_unit_test(a_guest_by_another_hand_is_not_adopted),
        cmocka_unit_test(a_guest_of_another_start_is_not_adopted),
        cmocka_unit_test(a_guest_with_an_unreadable_mark_is_adopted),
        cmocka_unit_test(a_guest_replaced_by_hand_unseen),
        cmocka_unit_test(a_guest_without_a_lease_is_killed),
        cmocka_unit_test(a_guest_without_a_lease_is_barred),
        cmocka_unit_test(a_guest_told_while_the_lease_is_read),
        cmocka_unit_test(a_guest_assigned_elsewhere_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
