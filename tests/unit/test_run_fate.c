/* How a guest ended, as the others hear it: seen by this run, remembered from before its agent's
 * life was in doubt, or read from its lease. And a lease that a restore raised under its holder. */
#include "storage/lease.h"
#include "tests/unit/unit_run.h"

/* How the others hear that it ended, once nothing of it is left. */
static enum domain_end told_end(struct world *w)
{
    world_until(w, RUN_OVER);
    unit_pass(w->u, 500);
    assert_non_null(world_observation(w));
    assert_int_equal(world_observation(w)->kind, OBSERVED_STOPPED);
    return world_observation(w)->end;
}

/* Our client is blocklisted by hand while nobody gives us up; `end` (or none): the guest ends so
 * before we notice. What lives is killed: so many the look into /proc found. */
static struct world *barred(enum domain_end end, uint32_t found)
{
    struct world *w = world_new(VM_RUNNING);
    struct unit *u = w->u;
    world_restart(w, DOMAIN_RUNNING);
    world_until(w, RUN_UP);
    u->polls_hang = true;
    unit_pass(u, 1000);
    if (end != END_COUNT) {
        world_guest_ends(w, end);
    }
    struct event event = unit_event(EVENT_POLL, u->core.local.storage.poll_call.id);
    event.poll.outcome = OUTCOME_BLOCKLISTED;
    unit_step(u, &event);
    assert_int_equal(u->core.local.life.state, LIFE_LOST);
    assert_int_equal(world_state(w), RUN_IDLE);
    struct action kill = unit_take(u, ACTION_KILL);
    event = unit_event(EVENT_KILLED, kill.id);
    event.killed.outcome = OUTCOME_DONE;
    event.killed.count = found;
    w->alive = false;
    unit_step(u, &event);
    assert_true(u->core.local.life.empty);
    return w;
}

/* With another client: what it had here is looked into at once, though nothing in the state has
 * changed. */
static void life_goes_on(struct world *w)
{
    struct unit *u = w->u;
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_DONE, unit_client(OURS, 999));
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_DONE);
    assert_int_equal(u->core.local.life.state, LIFE_ADMITTED);
    assert_int_equal(world_state(w), RUN_ADOPT);
    u->polls_hang = false;
    w->done_count = 0;
}

/* Nobody saw it end, as far as libvirt goes: we killed it. Whoever has its images open is asked
 * for, and barred, all the same. */
TEST(killed_as_our_life_was_in_doubt)
{
    struct world *w = barred(END_COUNT, 1);
    life_goes_on(w); /* libvirt has not said yet that it is gone */
    assert_int_equal(w->u->core.local.domain_count, 0);
    assert_int_equal(told_end(w), END_STEAD);
    assert_int_not_equal(world_place_of(w, ACTION_WATCHERS_READ), -1);
    assert_int_equal(w->lease.end, END_STEAD);
    world_end(w);
}

/* That libvirt says so late changes nothing. */
TEST(killed_and_told_of_late)
{
    struct world *w = barred(END_COUNT, 1);
    life_goes_on(w);
    assert_int_equal(world_state(w), RUN_ADOPT);
    world_guest_ends(w, END_CRASHED);
    assert_int_equal(told_end(w), END_STEAD);
    world_end(w);
}

/* An end that was seen before is remembered. */
TEST(ended_before_our_life_was_in_doubt)
{
    static const enum domain_end ends[] = {END_SHUTDOWN, END_DESTROYED, END_CRASHED};
    for (unsigned i = 0; i < UNIT_COUNT(ends); i++) {
        struct world *w = barred(ends[i], 0);
        assert_int_equal(w->u->core.local.fate_count, 1);
        life_goes_on(w);
        assert_int_equal(told_end(w), ends[i]);
        world_end(w);
    }
}

/* Nothing was there to be killed: it ended before, which libvirt had not said. */
TEST(ended_unheard_before_our_life_was_in_doubt)
{
    struct world *w = barred(END_COUNT, 0);
    life_goes_on(w);
    assert_int_equal(told_end(w), END_UNKNOWN);
    world_end(w);
}

/* ... of that start of that VM alone; any other one that is gone is one that we killed. */
TEST(what_is_remembered_is_of_one_start)
{
    struct world *w = barred(END_SHUTDOWN, 0);
    w->u->core.local.life.killed = true;
    struct run run = {.vm = w->lease.vm, .action = w->u->core.local.fates[0].action};
    assert_int_equal(run_fate(&w->u->core, &run), END_SHUTDOWN);
    run.action.counter++;
    assert_int_equal(run_fate(&w->u->core, &run), END_STEAD);
    run.action.counter--;
    run.vm = unit_uuid(77);
    assert_int_equal(run_fate(&w->u->core, &run), END_STEAD);
    w->u->core.local.life.killed = false;
    assert_int_equal(run_fate(&w->u->core, &run), END_UNKNOWN);
    world_end(w);
}

/* A second drop, with nothing there to be dropped, forgets nothing; one with runs begins anew. */
TEST(what_is_remembered_is_of_the_last_drop)
{
    struct world *w = barred(END_SHUTDOWN, 0);
    run_drop_all(&w->u->core);
    assert_int_equal(w->u->core.local.fate_count, 1);
    life_goes_on(w);
    assert_int_equal(world_state(w), RUN_ADOPT);
    run_drop_all(&w->u->core);
    assert_int_equal(w->u->core.local.fate_count, 1);
    assert_int_equal(w->u->core.local.fates[0].end, END_SHUTDOWN);
    world_end(w);
}

/* It is gone, its lease is ours yet: nobody saw how it ended, and so says its lease. */
TEST(found_gone)
{
    struct world *w = world_new(VM_RUNNING);
    world_restart(w, DOMAIN_GONE);
    assert_int_equal(told_end(w), END_UNKNOWN);
    assert_int_equal(w->lease.end, END_UNKNOWN);
    world_end(w);
}

/* An agent whose life was in doubt once says so of what was gone by then: this one ran since. */
TEST(found_gone_that_ran_since)
{
    struct world *w = world_new(VM_RUNNING);
    w->u->core.local.life.killed = true;
    world_restart(w, DOMAIN_RUNNING);
    world_until(w, RUN_UP);
    world_guest_ends(w, END_UNKNOWN);
    assert_int_equal(told_end(w), END_UNKNOWN);
    world_end(w);
}

/* ... and so did one that it started since. */
TEST(found_gone_that_was_started_since)
{
    struct world *w = world_new(VM_STARTING);
    w->u->core.local.life.killed = true;
    unit_start(w->u);
    world_until(w, RUN_UP);
    assert_true(w->u->core.local.life.killed);
    world_guest_ends(w, END_CRASHED);
    assert_int_equal(told_end(w), END_CRASHED);
    world_end(w);
}

/* The agent before saw it end and freed its lease, and nobody heard of it: its lease says how. */
TEST(its_lease_says_how_it_ended)
{
    struct world *w = world_new(VM_RUNNING);
    w->lease = lease_free(&w->lease, END_SHUTDOWN);
    world_restart(w, DOMAIN_GONE);
    assert_int_equal(told_end(w), END_SHUTDOWN);
    assert_int_equal(world_place_of(w, ACTION_LEASE_CHANGE), -1);
    world_end(w);
}

/* ... even where that change lands after the lease was read as ours. */
TEST(its_lease_says_so_late)
{
    struct world *w = world_new(VM_RUNNING);
    world_restart(w, DOMAIN_GONE);
    world_until(w, RUN_RELEASE);
    w->lease = lease_free(&w->lease, END_SHUTDOWN);
    assert_int_equal(told_end(w), END_SHUTDOWN);
    assert_int_equal(w->lease.end, END_SHUTDOWN);
    world_end(w);
}

/* ... and more than what a look into /proc says of all that were here. */
TEST(its_lease_counts_more_than_a_look)
{
    struct world *w = barred(END_COUNT, 1);
    life_goes_on(w);
    world_until(w, RUN_RELEASE);
    w->lease = lease_free(&w->lease, END_SHUTDOWN);
    assert_int_equal(told_end(w), END_SHUTDOWN);
    world_end(w);
}

/* ---- raised by a restore, which came to nothing or was not heard of yet */

static void raise_lease(struct world *w)
{
    w->lease.generation = UINT64_C(5) << 32;
}

/* All that must be done before it is freed is done: it is freed as it is now. */
TEST(a_raised_lease_is_freed)
{
    struct world *w = world_up();
    world_guest_ends(w, END_CRASHED);
    world_until(w, RUN_RELEASE);
    w->done_count = 0;
    raise_lease(w);
    assert_int_equal(told_end(w), END_CRASHED);
    assert_int_equal(world_place_of(w, ACTION_BLOCK_ADD), -1);
    assert_int_equal(w->lease.generation, (UINT64_C(5) << 32) + 1);
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

/* A free one is no holder's to go on with: whatever it became is another's. */
TEST(a_free_lease_that_changed_is_left_alone)
{
    struct world *w = world_at(RUN_TAKE);
    struct action take = unit_take(w->u, ACTION_LEASE_CHANGE);
    world_record(w, VM_STOPPED, NODE_NONE); /* whether it was taken is open */
    world_until(w, RUN_RELEASE);
    struct action raise = unit_take(w->u, ACTION_LEASE_CHANGE);
    assert_int_equal(raise.lease.lease.generation, take.lease.lease.generation);
    w->lease.generation += 7;
    world_tell(w, &raise, OUTCOME_REFUSED);
    assert_int_equal(world_state(w), RUN_IDLE); /* over, and forgotten */
    world_end(w);
}

/* The start goes on. */
TEST(a_raised_lease_is_named)
{
    struct world *w = world_at(RUN_NAME);
    raise_lease(w);
    world_until(w, RUN_UP);
    assert_true(w->runs);
    assert_int_equal(w->lease.generation, (UINT64_C(5) << 32) + 1);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_as_our_life_was_in_doubt),
        cmocka_unit_test(killed_and_told_of_late),
        cmocka_unit_test(ended_before_our_life_was_in_doubt),
        cmocka_unit_test(ended_unheard_before_our_life_was_in_doubt),
        cmocka_unit_test(what_is_remembered_is_of_one_start),
        cmocka_unit_test(what_is_remembered_is_of_the_last_drop),
        cmocka_unit_test(found_gone),
        cmocka_unit_test(found_gone_that_ran_since),
        cmocka_unit_test(found_gone_that_was_started_since),
        cmocka_unit_test(its_lease_says_how_it_ended),
        cmocka_unit_test(its_lease_says_so_late),
        cmocka_unit_test(its_lease_counts_more_than_a_look),
        cmocka_unit_test(a_raised_lease_is_freed),
        cmocka_unit_test(a_free_lease_that_changed_is_left_alone),
        cmocka_unit_test(a_raised_lease_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
