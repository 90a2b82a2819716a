/*
 * What a start does where the usual way ends: it waits, asks again, gives up with the right words,
 * or makes no start of what it found.
 */
#include "tests/unit/unit_run.h"

static void lose_quorum(struct world *w)
{
    unit_ring(w->u, false, 1, (uint32_t[]){OURS});
}

static void regain_quorum(struct world *w)
{
    unit_ring(w->u, true, 3, (uint32_t[]){1, 2, 3});
}

/* Only what needs the right to act is dropped where that ends on the way to the edge: what merely
 * looks, or what the lease covers, would fail a start for nothing. */
TEST(what_needs_no_right_to_act_is_not_bound_to_it)
{
    struct world *w = world_new(VM_STARTING);
    struct action action;
    uint32_t bound = 0;
    unit_start(w->u);
    while (world_state(w) != RUN_UP) {
        if (!world_next(w, &action)) {
            unit_pass(w->u, UNIT_TICK_MS);
            continue;
        }
        bool needs = (action.kind == ACTION_LEASE_CHANGE && world_state(w) == RUN_TAKE) ||
                     action.kind == ACTION_DOMAIN_RESUME;
        assert_int_equal(action.valid_until_ms != 0, needs);
        bound += needs;
        world_do(w, &action);
    }
    assert_int_equal(bound, 2);
    world_end(w);
}

/* What is found here is looked into by one without the right to act too. */
TEST(the_lease_of_what_is_found_is_read_in_any_case)
{
    struct world *w = world_new(VM_RUNNING);
    world_restart(w, DOMAIN_RUNNING);
    world_until(w, RUN_ADOPT);
    struct action read = unit_take(w->u, ACTION_LEASE_READ);
    world_tell(w, &read, OUTCOME_UNKNOWN);
    read = unit_take(w->u, ACTION_LEASE_READ); /* by now we have the right to act */
    assert_true(w->u->core.local.first_fresh_ms != 0);
    assert_int_equal(read.valid_until_ms, 0);
    assert_true(uuid_equal(&read.lease.lease.vm, &w->lease.vm));
    world_end(w);
}

/* A start has its time from the moment that it has its lease: until then it waits for a quorum. */
TEST(a_start_waits_for_a_quorum_beyond_its_deadline)
{
    struct world *w = world_new(VM_STARTING);
    unit_open(w->u, w->u->image.nodes[OUR_SLOT].client);
    lose_quorum(w);
    unit_domains(w->u);
    unit_pass(w->u, 2 * w->u->core.cluster.settings.start_ms);
    assert_int_equal(world_state(w), RUN_TAKE);
    regain_quorum(w);
    world_settle(w, 2000);
    assert_int_equal(world_state(w), RUN_UP);
    world_end(w);
}

/* Without a quorum no guest is let run; it is when that is back. */
TEST(no_guest_is_resumed_without_a_quorum)
{
    struct world *w = world_at(RUN_RESUME);
    struct action resume = unit_take(w->u, ACTION_DOMAIN_RESUME);
    lose_quorum(w);
    world_tell(w, &resume, OUTCOME_STALE);
    unit_pass(w->u, 1000);
    assert_int_equal(world_state(w), RUN_RESUME);
    unit_none(w->u, ACTION_DOMAIN_RESUME);
    regain_quorum(w);
    world_settle(w, 1000);
    assert_int_equal(world_state(w), RUN_UP);
    world_end(w);
}

/* What did not work out is asked again after a while, not in the same breath: each of these would
 * go round as fast as its answers come. */
TEST(nothing_is_asked_again_at_once)
{
    const struct {
        enum run_state state;
        enum action_kind kind;
        enum outcome outcome;
    } asked[] = {
        {RUN_ADOPT, ACTION_LEASE_READ, OUTCOME_UNKNOWN},
        {RUN_TAKE, ACTION_LEASE_CHANGE, OUTCOME_UNKNOWN},
        {RUN_TAKE, ACTION_WATCHERS_READ, OUTCOME_FAILED},
        {RUN_CREATE, ACTION_LOCKS_BREAK, OUTCOME_FAILED},
        {RUN_NAME, ACTION_LEASE_CHANGE, OUTCOME_UNKNOWN},
        {RUN_CHECK, ACTION_BLOCK_CHECK, OUTCOME_UNKNOWN},
        {RUN_RESUME, ACTION_DOMAIN_RESUME, OUTCOME_STALE},
    };
    for (unsigned i = 0; i < UNIT_COUNT(asked); i++) {
        bool found = asked[i].state == RUN_ADOPT;
        struct world *w = found ? world_new(VM_RUNNING) : world_at(asked[i].state);
        if (found) {
            world_restart(w, DOMAIN_RUNNING);
            world_until(w, RUN_ADOPT);
        }
        struct action action = unit_take(w->u, asked[i].kind);
        world_tell(w, &action, asked[i].outcome);
        uint32_t pause_ms = w->u->core.cluster.settings.retry_ms / 4;
        unit_pass(w->u, pause_ms - UNIT_TICK_MS);
        unit_none(w->u, asked[i].kind);
        unit_pass(w->u, 2 * UNIT_TICK_MS);
        assert_int_equal(unit_logged(w->u, asked[i].kind), 1);
        world_end(w);
    }
}

/* How often who has the images open is looked at in that time, they being open elsewhere. */
static uint32_t looks_within(struct world *w, uint64_t ms)
{
    uint32_t looks = 0;
    struct action action;
    for (uint64_t until_ms = w->u->now_ms + ms; w->u->now_ms < until_ms;) {
        if (unit_find(w->u, ACTION_WATCHERS_READ, &action)) {
            unit_watchers(w->u, &action, OUTCOME_DONE, unit_client(3, 6001));
            unit_none(w->u, ACTION_WATCHERS_READ); /* not in the same breath */
            looks++;
        }
        unit_pass(w->u, UNIT_TICK_MS);
    }
    return looks;
}

/* Whoever was just barred is gone within moments; who is not gone by then stays for longer. */
TEST(images_open_elsewhere_are_looked_at_often_only_at_first)
{
    struct world *w = world_at(RUN_TAKE);
    struct action take = unit_take(w->u, ACTION_LEASE_CHANGE);
    world_do(w, &take);
    uint32_t pause_ms = w->u->core.cluster.settings.retry_ms / 4;
    assert_true(looks_within(w, 900) >= 40);
    (void)looks_within(w, 200);
    assert_in_range(looks_within(w, 1000), 2, 1000 / pause_ms + 1);
    assert_int_equal(world_state(w), RUN_TAKE);
    world_end(w);
}

/* Its images never open, here or elsewhere: nobody is to be looked for. */
TEST(a_start_that_took_too_long_accuses_nobody)
{
    struct world *w = world_at(RUN_WATCHERS);
    struct action action;
    while (world_state(w) == RUN_WATCHERS) {
        if (unit_find(w->u, ACTION_WATCHERS_READ, &action)) {
            unit_watchers(w->u, &action, OUTCOME_DONE, (struct client){{0}});
        }
        unit_pass(w->u, UNIT_TICK_MS);
    }
    assert_string_equal(world_run(w)->reason, "the start took too long");
    world_end(w);
}

/* Of a VM without images no client can be seen, so no lease can name one: it is never let run. */
TEST(no_lease_names_nobody)
{
    struct world *w = world_at(RUN_WATCHERS);
    struct action read = unit_take(w->u, ACTION_WATCHERS_READ);
    struct event event = unit_event(EVENT_WATCHERS, read.id);
    unit_step(w->u, &event);
    unit_pass(w->u, 100);
    assert_int_equal(world_state(w), RUN_WATCHERS);
    world_end(w);
}

/* What is missing is told as soon as the lease is known to be ours, and is not looked for again. */
TEST(a_missing_image_is_told_once_the_lease_is_known)
{
    struct world *w = world_at(RUN_TAKE);
    struct action take = unit_take(w->u, ACTION_LEASE_CHANGE);
    struct action watchers = unit_take(w->u, ACTION_WATCHERS_READ);
    world_tell(w, &watchers, OUTCOME_MISSING);
    unit_pass(w->u, 800);
    unit_none(w->u, ACTION_WATCHERS_READ);
    assert_int_equal(world_state(w), RUN_TAKE);
    world_do(w, &take);
    assert_string_equal(world_run(w)->reason, "an image or the definition is missing");
    unit_none(w->u, ACTION_DOMAIN_CREATE);
    world_until(w, RUN_OVER);
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

/* Refused, and nobody could read why: that says nothing of the lease, so the same bytes again. */
TEST(a_take_refused_for_nothing_known_is_tried_again)
{
    struct world *w = world_at(RUN_TAKE);
    struct action take = unit_take(w->u, ACTION_LEASE_CHANGE);
    unit_lease_is(w->u, &take, OUTCOME_REFUSED, NULL);
    assert_int_equal(world_state(w), RUN_TAKE);
    struct action again = unit_take(w->u, ACTION_LEASE_CHANGE);
    assert_true(lease_is(&take.lease.lease, &again.lease.lease));
    world_end(w);
}

/* A lease that cannot be taken, and one that is taken from us: the actor hears whose it is, people
 * hear why. */
TEST(whose_the_lease_is_instead_is_told)
{
    const struct {
        enum run_state state;
        uint32_t holder; /* 0: free */
        const char *reason;
    } cases[] = {
        {RUN_TAKE, 3, "another node holds the lease"},
        {RUN_TAKE, 0, "the lease is at another generation"},
        {RUN_NAME, 3, "the lease was taken by another node"},
    };
    for (unsigned i = 0; i < UNIT_COUNT(cases); i++) {
        struct world *w = world_at(cases[i].state);
        struct action change = unit_take(w->u, ACTION_LEASE_CHANGE);
        w->lease = unit_lease(w->u, 0, 3);
        if (cases[i].holder == 0) {
            w->lease = (struct lease){.cluster_id = w->lease.cluster_id, .vm = w->lease.vm};
        }
        w->lease.generation = UNIT_GENERATION + 9;
        world_do(w, &change);
        world_settle(w, 1000);
        const struct observation *fact = world_observation(w);
        assert_int_equal(fact->kind, OBSERVED_START_FAILED);
        assert_int_equal(fact->lease_holder, cases[i].holder);
        assert_int_equal(fact->generation, UNIT_GENERATION + 9);
        assert_string_equal(fact->reason, cases[i].reason);
        world_end(w);
    }
}

/* A domain that is created is not let go on before the dead lock on its image is seen to. */
TEST(a_dead_lock_seen_after_the_creation_is_barred)
{
    struct world *w = world_at(RUN_CREATE);
    w->dead = unit_client(3, 4711);
    struct action create = unit_take(w->u, ACTION_DOMAIN_CREATE);
    struct action locks = unit_take(w->u, ACTION_LOCKS_BREAK);
    world_do(w, &create);
    world_do(w, &locks);
    assert_int_equal(world_state(w), RUN_CREATE);
    world_until(w, RUN_UP);
    assert_false(world_dead_may_write(w));
    world_end(w);
}

/* A guest that runs under a lease of ours which names nobody: no start of ours lets one run so, and
 * the clients that would have to be barred are not known. */
TEST(a_guest_that_its_lease_does_not_name_is_not_adopted)
{
    struct world *w = world_new(VM_RUNNING);
    w->lease.clients = (struct clients){0};
    world_restart(w, DOMAIN_RUNNING);
    world_settle(w, 1000);
    assert_false(w->alive);
    assert_int_not_equal(world_place_of(w, ACTION_WATCHERS_READ), -1);
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

/* What we destroy ourselves was not moved away: only whom its lease names is barred. */
TEST(a_start_left_over_is_known_not_to_run_elsewhere)
{
    struct world *w = world_new(VM_STARTING);
    w->lease = unit_lease(w->u, 0, OURS);
    world_restart(w, DOMAIN_STARTING);
    world_until(w, RUN_BLOCK);
    unit_none(w->u, ACTION_WATCHERS_READ);
    assert_int_equal(unit_take(w->u, ACTION_BLOCK_ADD).block.count, 1);
    world_end(w);
}

/* A VM that was to run here, and is to be started while its lease is read: that start, when it
 * fails, is told as one. */
TEST(a_start_that_came_while_the_lease_was_read_is_one)
{
    struct world *w = world_new(VM_RUNNING);
    world_restart(w, DOMAIN_GONE);
    world_until(w, RUN_ADOPT);
    struct action read = unit_take(w->u, ACTION_LEASE_READ);
    world_record(w, VM_STARTING, OUR_SLOT);
    world_tell(w, &read, OUTCOME_DONE);
    world_until(w, RUN_CREATE);
    struct action create = unit_take(w->u, ACTION_DOMAIN_CREATE);
    assert_true(action_id_equal(create.vm.action, unit_copy_vm(w->u, 0)->action));
    world_tell(w, &create, OUTCOME_FAILED);
    world_settle(w, 2000);
    assert_int_equal(world_observation(w)->kind, OBSERVED_START_FAILED);
    world_end(w);
}

/* An earlier start came up here and went again, the lease is another's by now: ours is taken from
 * where the state has it, so it is refused. */
TEST(a_start_looked_into_takes_the_told_generation)
{
    struct world *w = world_at(RUN_TAKE);
    (void)unit_take(w->u, ACTION_LEASE_CHANGE);
    unit_domain(w->u, 0, DOMAIN_STARTING, END_UNKNOWN);
    unit_domain(w->u, 0, DOMAIN_GONE, END_DESTROYED);
    w->lease = unit_lease(w->u, 0, 3);
    w->lease.generation = UNIT_GENERATION + 7;
    struct action read = unit_take(w->u, ACTION_LEASE_READ);
    world_do(w, &read);
    assert_int_equal(world_state(w), RUN_TAKE);
    struct action take = unit_take(w->u, ACTION_LEASE_CHANGE);
    assert_int_equal(take.lease.lease.generation, UNIT_GENERATION + 1);
    world_do(w, &take);
    world_settle(w, 1000);
    assert_int_equal(w->lease.holder, 3);
    world_end(w);
}

/* A lease of another is not raised, let alone freed, though a take of ours of the next generation
 * is under way: that one is refused anyhow. */
TEST(anothers_lease_is_not_raised_for_a_take_under_way)
{
    struct world *w = world_at(RUN_TAKE);
    (void)unit_take(w->u, ACTION_LEASE_CHANGE);
    world_record(w, VM_STARTING, 0);
    w->lease = unit_lease(w->u, 0, 3);
    struct action read = unit_take(w->u, ACTION_LEASE_READ);
    world_do(w, &read);
    unit_pass(w->u, 500);
    unit_none(w->u, ACTION_LEASE_CHANGE);
    assert_int_equal(world_state(w), RUN_IDLE);
    world_end(w);
}

/* An edge that is broken never answers: it is asked again, after a while; so is what goes on beside
 * that, at once. */
TEST(what_is_never_answered_is_asked_again)
{
    const struct {
        enum run_state state;
        enum action_kind kind;
        bool beside;
    } asked[] = {
        {RUN_NAME, ACTION_LEASE_CHANGE, false},
        {RUN_CREATE, ACTION_LOCKS_BREAK, true},
    };
    for (unsigned i = 0; i < UNIT_COUNT(asked); i++) {
        struct world *w = world_at(RUN_TAKE);
        w->u->core.cluster.settings.start_ms = 60000;
        world_until(w, asked[i].state);
        struct action first = unit_take(w->u, asked[i].kind);
        const struct call *call = asked[i].beside ? &world_run(w)->side_call : &world_run(w)->call;
        unit_pass(w->u, first.deadline_ms - w->u->now_ms);
        unit_none(w->u, asked[i].kind);
        for (uint32_t ms = 0; ms < UNIT_WAIT_MS && call->id == first.id; ms += UNIT_TICK_MS) {
            unit_pass(w->u, UNIT_TICK_MS);
        }
        assert_int_equal(unit_logged(w->u, asked[i].kind), asked[i].beside ? 1 : 0);
        (void)unit_take(w->u, asked[i].kind);
        world_end(w);
    }
}

/* A start that failed was up for no time. */
TEST(a_start_that_failed_was_never_up)
{
    struct world *w = world_at(RUN_RESUME);
    struct action resume = unit_take(w->u, ACTION_DOMAIN_RESUME);
    world_tell(w, &resume, OUTCOME_FAILED);
    world_settle(w, 2000);
    assert_int_equal(world_observation(w)->kind, OBSERVED_START_FAILED);
    assert_int_equal(world_observation(w)->up_ms, 0);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_needs_no_right_to_act_is_not_bound_to_it),
        cmocka_unit_test(the_lease_of_what_is_found_is_read_in_any_case),
        cmocka_unit_test(a_start_waits_for_a_quorum_beyond_its_deadline),
        cmocka_unit_test(no_guest_is_resumed_without_a_quorum),
        cmocka_unit_test(nothing_is_asked_again_at_once),
        cmocka_unit_test(images_open_elsewhere_are_looked_at_often_only_at_first),
        cmocka_unit_test(a_start_that_took_too_long_accuses_nobody),
        cmocka_unit_test(no_lease_names_nobody),
        cmocka_unit_test(a_missing_image_is_told_once_the_lease_is_known),
        cmocka_unit_test(a_take_refused_for_nothing_known_is_tried_again),
        cmocka_unit_test(whose_the_lease_is_instead_is_told),
        cmocka_unit_test(a_dead_lock_seen_after_the_creation_is_barred),
        cmocka_unit_test(a_guest_that_its_lease_does_not_name_is_not_adopted),
        cmocka_unit_test(a_start_left_over_is_known_not_to_run_elsewhere),
        cmocka_unit_test(a_start_that_came_while_the_lease_was_read_is_one),
        cmocka_unit_test(a_start_looked_into_takes_the_told_generation),
        cmocka_unit_test(anothers_lease_is_not_raised_for_a_take_under_way),
        cmocka_unit_test(what_is_never_answered_is_asked_again),
        cmocka_unit_test(a_start_that_failed_was_never_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
