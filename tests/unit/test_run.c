/* Starting a VM on this host: the order that keeps one writer per disk, and what a failed step
 * leaves. */
#include "tests/unit/unit_run.h"

static int place_of(const struct world *w, enum action_kind kind, unsigned nth)
{
    for (uint32_t i = 0; i < w->done_count; i++) {
        if (w->done[i] == kind && nth-- == 0) {
            return (int)i;
        }
    }
    fail_msg("action kind %d was never carried out", (int)kind);
    return -1;
}

/* Nothing of the VM is left here and its lease is free again. */
static void check_nothing_left(const struct world *w)
{
    assert_false(w->alive);
    assert_int_equal(w->lease.state, LEASE_FREE);
    assert_int_equal(world_state(w), RUN_OVER);
}

/* The order of a start: lease, create paused, watchers, clients into the lease, check, resume. */
TEST(the_order_of_a_start)
{
    struct world *w = world_at(RUN_UP);
    int take = place_of(w, ACTION_LEASE_CHANGE, 0);
    int create = place_of(w, ACTION_DOMAIN_CREATE, 0);
    int watchers = place_of(w, ACTION_WATCHERS_READ, 1);
    int name = place_of(w, ACTION_LEASE_CHANGE, 1);
    int check = place_of(w, ACTION_BLOCK_CHECK, 0);
    int resume = place_of(w, ACTION_DOMAIN_RESUME, 0);
    assert_true(take < create && create < watchers && watchers < name);
    assert_true(name < check && check < resume);
    assert_true(w->runs);
    world_end(w);
}

/* The lease is taken from the very generation the state tells, for this life and this action, after
 * the map that holds the barrier. */
TEST(the_lease_is_taken_from_the_told_generation)
{
    struct world *w = world_at(RUN_TAKE);
    struct action take = unit_take(w->u, ACTION_LEASE_CHANGE);
    assert_int_equal(take.lease.lease.generation, UNIT_GENERATION + 1);
    assert_int_equal(take.lease.lease.holder, OURS);
    assert_true(incarnation_equal(take.lease.lease.incarnation, (struct incarnation){1, 2}));
    assert_true(action_id_equal(take.lease.lease.action, unit_copy_vm(w->u, 0)->action));
    assert_true(take.lease.wait_map);
    world_end(w);
}

/* Taking the lease and letting the guest run carry the end of freshness to the edge. */
TEST(take_and_resume_are_bound_to_freshness)
{
    struct world *w = world_at(RUN_TAKE);
    struct action take = unit_take(w->u, ACTION_LEASE_CHANGE);
    assert_int_not_equal(take.valid_until_ms, 0);
    assert_true(take.valid_until_ms <= w->u->now_ms + w->u->core.cluster.settings.fresh_ms);
    world_do(w, &take);
    world_until(w, RUN_RESUME);
    assert_int_not_equal(unit_take(w->u, ACTION_DOMAIN_RESUME).valid_until_ms, 0);
    world_end(w);
}

/* The domain is not created before the lease is known to be ours. */
TEST(no_domain_before_the_lease)
{
    struct world *w = world_at(RUN_TAKE);
    struct action watchers = unit_take(w->u, ACTION_WATCHERS_READ);
    world_do(w, &watchers);
    unit_pass(w->u, 500);
    unit_none(w->u, ACTION_DOMAIN_CREATE);
    world_end(w);
}

/* Without fresh quorum no lease is taken. */
TEST(no_take_without_quorum)
{
    struct world *w = world_new(VM_STARTING);
    const uint32_t alone[] = {OURS};
    unit_open(w->u, w->u->image.nodes[OUR_SLOT].client);
    unit_ring(w->u, false, 1, alone);
    unit_domains(w->u);
    unit_pass(w->u, 2000);
    unit_none(w->u, ACTION_LEASE_CHANGE);
    world_end(w);
}

/* A node that is no member of the present term takes no lease. */
TEST(no_take_off_the_members)
{
    struct world *w = world_new(VM_STARTING);
    w->u->image.header.members = 5;
    unit_start(w->u);
    unit_pass(w->u, 1000);
    unit_none(w->u, ACTION_LEASE_CHANGE);
    world_end(w);
}

/* With a RADOS handle the state does not name, no lease is taken. */
TEST(no_take_with_an_unrecorded_handle)
{
    struct world *w = world_new(VM_STARTING);
    unit_open(w->u, unit_client(OURS, 999));
    unit_ring(w->u, true, w->u->ring.count, w->u->ring.nodeids);
    unit_domains(w->u);
    unit_pass(w->u, 1000);
    unit_none(w->u, ACTION_LEASE_CHANGE);
    world_end(w);
}

/* Before libvirt has listed what is here, nothing is begun. */
TEST(nothing_before_the_domains_are_known)
{
    struct world *w = world_new(VM_STARTING);
    unit_open(w->u, w->u->image.nodes[OUR_SLOT].client);
    unit_ring(w->u, true, w->u->ring.count, w->u->ring.nodeids);
    unit_pass(w->u, 1000);
    unit_none(w->u, ACTION_LEASE_CHANGE);
    world_end(w);
}

/* A lease change refused by its own earlier success goes on: taking. */
TEST(a_take_refused_by_its_own_success_goes_on)
{
    struct world *w = world_at(RUN_TAKE);
    struct action take = unit_take(w->u, ACTION_LEASE_CHANGE);
    assert_true(world_effect(w, &take));
    world_tell(w, &take, OUTCOME_UNKNOWN);
    world_settle(w, 1000);
    assert_int_equal(world_state(w), RUN_UP);
    assert_int_equal(w->lease.generation, UNIT_GENERATION + 2);
    world_end(w);
}

/* ... and naming. */
TEST(a_name_refused_by_its_own_success_goes_on)
{
    struct world *w = world_at(RUN_NAME);
    struct action name = unit_take(w->u, ACTION_LEASE_CHANGE);
    assert_true(world_effect(w, &name));
    world_tell(w, &name, OUTCOME_UNKNOWN);
    world_settle(w, 1000);
    assert_int_equal(world_state(w), RUN_UP);
    world_end(w);
}

/* A lease another node holds is left alone, and its holder is told to the actor. */
TEST(anothers_lease_is_left_alone)
{
    struct world *w = world_new(VM_STARTING);
    w->lease = unit_lease(w->u, 0, 3);
    w->lease.generation = UNIT_GENERATION + 7;
    unit_start(w->u);
    world_settle(w, 1000);
    assert_int_equal(world_state(w), RUN_OVER);
    assert_int_equal(w->lease.holder, 3);
    const struct observation *fact = world_observation(w);
    assert_int_equal(fact->kind, OBSERVED_START_FAILED);
    assert_int_equal(fact->lease_holder, 3);
    assert_int_equal(fact->generation, UNIT_GENERATION + 7);
    world_end(w);
}

/* Taken by another while its clients are being named: the guest is killed before it ever ran, and
 * the lease left alone. */
TEST(a_lease_taken_during_the_start_kills)
{
    struct world *w = world_at(RUN_NAME);
    struct action name = unit_take(w->u, ACTION_LEASE_CHANGE);
    w->lease = unit_lease(w->u, 0, 3);
    w->lease.generation = UNIT_GENERATION + 9;
    world_tell(w, &name, OUTCOME_REFUSED);
    assert_int_equal(world_state(w), RUN_KILL);
    world_settle(w, 1000);
    assert_false(w->alive);
    assert_false(w->runs);
    assert_int_equal(w->lease.holder, 3);
    assert_int_equal(w->lease.generation, UNIT_GENERATION + 9);
    world_end(w);
}

/* A lease that is ours from an earlier try: the clients it names are blocked before it is taken
 * anew. */
TEST(our_own_leftover_is_cleaned_up_first)
{
    struct world *w = world_new(VM_STARTING);
    w->lease = unit_lease(w->u, 0, OURS);
    w->lease.generation = UNIT_GENERATION + 2;
    unit_start(w->u);
    world_until(w, RUN_CREATE);
    assert_true(clients_hold(&w->blocked, &(struct client){"10.0.0.2:0/7000"}));
    assert_true(place_of(w, ACTION_BLOCK_ADD, 0) < place_of(w, ACTION_LEASE_CHANGE, 1));
    assert_int_equal(w->lease.generation, UNIT_GENERATION + 3);
    world_end(w);
}

/* A missing lease is nobody's to make: the start fails, nothing is created. */
TEST(a_missing_lease_fails_the_start)
{
    struct world *w = world_at(RUN_TAKE);
    struct action take = unit_take(w->u, ACTION_LEASE_CHANGE);
    unit_lease_is(w->u, &take, OUTCOME_MISSING, NULL);
    world_settle(w, 500);
    assert_int_equal(world_state(w), RUN_OVER);
    assert_int_equal(world_observation(w)->kind, OBSERVED_START_FAILED);
    world_end(w);
}

/* An image that is not there fails the start and says so: it must not hang for ever (I5, I8). */
TEST(a_missing_image_fails_the_start)
{
    struct world *w = world_at(RUN_TAKE);
    struct action action;
    for (unsigned i = 0; i < 40 && world_state(w) != RUN_OVER; i++) {
        while (world_next(w, &action)) {
            if (action.kind == ACTION_WATCHERS_READ) {
                world_tell(w, &action, OUTCOME_MISSING);
            } else {
                world_do(w, &action);
            }
        }
        unit_pass(w->u, 500);
    }
    check_nothing_left(w);
    assert_int_equal(world_observation(w)->kind, OBSERVED_START_FAILED);
    assert_true(strlen(world_observation(w)->reason) > 0);
    world_end(w);
}

/* Clients from before the create are not our QEMU's. */
TEST(only_new_clients_of_this_host_are_named)
{
    struct world *w = world_at(RUN_TAKE);
    struct action before = unit_take(w->u, ACTION_WATCHERS_READ);
    struct client agent = w->u->core.cluster.nodes[OUR_SLOT].client;
    unit_watchers(w->u, &before, OUTCOME_DONE, agent);
    world_until(w, RUN_WATCHERS);
    struct action after = unit_take(w->u, ACTION_WATCHERS_READ);
    struct event event = unit_event(EVENT_WATCHERS, after.id);
    const struct client seen[] = {agent, world_client(w)};
    for (unsigned i = 0; i < UNIT_COUNT(seen); i++) {
        (void)clients_add(&event.watchers.clients, &seen[i]);
    }
    event.watchers.image_count = 1;
    unit_step(w->u, &event);
    struct action name = unit_take(w->u, ACTION_LEASE_CHANGE);
    assert_int_equal(name.lease.lease.clients.count, 1);
    assert_true(client_equal(&name.lease.lease.clients.list[0], &seen[1]));
    world_end(w);
}

/* A copy that was cut off from Ceph when the lease was taken, and watches again by now. */
TEST(images_opened_elsewhere_while_it_is_made_fail_a_start)
{
    struct world *w = world_at(RUN_WATCHERS);
    struct client other = unit_client(3, 6001);
    struct action action;
    while (world_state(w) == RUN_WATCHERS) {
        if (unit_find(w->u, ACTION_WATCHERS_READ, &action)) {
            struct event event = unit_event(EVENT_WATCHERS, action.id);
            event.watchers.clients = (struct clients){2, {world_client(w), other}};
            event.watchers.image_count = 1;
            unit_step(w->u, &event);
        }
        unit_pass(w->u, UNIT_TICK_MS);
    }
    assert_non_null(strstr(world_run(w)->reason, "open at 10.0.0.3:0/6001, not by stead"));
    world_until(w, RUN_OVER);
    assert_false(clients_hold(&w->blocked, &other));
    world_end(w);
}

/* Nobody's guest is started beside somebody who has its images open. */
TEST(images_open_elsewhere_hold_a_start_up)
{
    struct world *w = world_at(RUN_TAKE);
    struct client other = unit_client(3, 6001);
    struct action action = unit_take(w->u, ACTION_LEASE_CHANGE);
    world_do(w, &action);
    for (uint64_t until_ms = w->u->now_ms + 2000; w->u->now_ms < until_ms;) {
        if (unit_find(w->u, ACTION_WATCHERS_READ, &action)) {
            unit_watchers(w->u, &action, OUTCOME_DONE, other);
        }
        unit_pass(w->u, UNIT_TICK_MS);
        assert_int_equal(world_state(w), RUN_TAKE);
    }
    world_until(w, RUN_UP); /* it went away */
    world_end(w);
}

TEST(images_that_stay_open_elsewhere_fail_a_start)
{
    struct world *w = world_at(RUN_TAKE);
    struct client other = unit_client(3, 6001);
    struct action action = unit_take(w->u, ACTION_LEASE_CHANGE);
    world_do(w, &action);
    while (world_state(w) == RUN_TAKE) {
        if (unit_find(w->u, ACTION_WATCHERS_READ, &action)) {
            unit_watchers(w->u, &action, OUTCOME_DONE, other);
        }
        unit_pass(w->u, UNIT_TICK_MS);
    }
    assert_non_null(strstr(world_run(w)->reason, "open at 10.0.0.3:0/6001, not by stead"));
    world_until(w, RUN_OVER);
    assert_int_equal(w->blocked.count, 0);
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

/* libvirt finishes what an agent before us asked for: that is ended first, then comes our start. */
TEST(an_earlier_start_that_comes_up_is_ended_first)
{
    struct world *w = world_at(RUN_TAKE);
    w->alive = true;
    unit_domain(w->u, 0, DOMAIN_STARTING, END_UNKNOWN);
    assert_int_equal(world_state(w), RUN_ADOPT);
    world_until(w, RUN_UP); /* the world sees to it that no two are alive */
    assert_true(place_of(w, ACTION_DOMAIN_DESTROY, 0) < place_of(w, ACTION_DOMAIN_CREATE, 0));
    world_end(w);
}

/* Fewer watchers than images: QEMU has not opened them all, so the lease does not name them all
 * yet. */
TEST(every_image_has_a_named_client)
{
    struct world *w = world_at(RUN_WATCHERS);
    struct action read = unit_take(w->u, ACTION_WATCHERS_READ);
    struct event event = unit_event(EVENT_WATCHERS, read.id);
    struct client client = world_client(w);
    (void)clients_add(&event.watchers.clients, &client);
    event.watchers.image_count = 2;
    unit_step(w->u, &event);
    unit_none(w->u, ACTION_LEASE_CHANGE);
    assert_int_equal(unit_take(w->u, ACTION_WATCHERS_READ).kind, ACTION_WATCHERS_READ);
    world_end(w);
}

/* The check asks for every named client and for this host's address. */
TEST(the_check_asks_for_clients_and_address)
{
    struct world *w = world_at(RUN_CHECK);
    struct action check = unit_take(w->u, ACTION_BLOCK_CHECK);
    assert_true(unit_holds(&check.block, world_client(w)));
    assert_true(unit_holds(&check.block, unit_client(OURS, 0)));
    world_end(w);
}

/* A client or host found blocklisted is never let run. */
TEST(a_blocklisted_qemu_never_runs)
{
    struct world *w = world_at(RUN_CHECK);
    struct action check = unit_take(w->u, ACTION_BLOCK_CHECK);
    unit_block(w->u, &check, OUTCOME_DONE, 1);
    world_settle(w, 2000);
    check_nothing_left(w);
    world_end(w);
}

/* A resume that was too late to be sent is tried again when we are fresh; the guest is kept. */
TEST(a_stale_resume_is_tried_again)
{
    struct world *w = world_at(RUN_RESUME);
    struct action resume = unit_take(w->u, ACTION_DOMAIN_RESUME);
    world_tell(w, &resume, OUTCOME_STALE);
    world_settle(w, 1000);
    assert_int_equal(world_state(w), RUN_UP);
    assert_int_equal(w->nonce, 7001);
    world_end(w);
}

/* Each failing step of a start ends with nothing left here, the lease free, and the reason told. */
TEST(every_failing_step_ends_with_nothing_left)
{
    const struct {
        enum run_state state;
        enum action_kind kind;
        enum outcome outcome;
    } steps[] = {
        {RUN_CREATE, ACTION_DOMAIN_CREATE, OUTCOME_FAILED},
        {RUN_CREATE, ACTION_DOMAIN_CREATE, OUTCOME_UNKNOWN},
        {RUN_RESUME, ACTION_DOMAIN_RESUME, OUTCOME_FAILED},
        {RUN_RESUME, ACTION_DOMAIN_RESUME, OUTCOME_UNKNOWN},
        {RUN_RESUME, ACTION_DOMAIN_RESUME, OUTCOME_MISSING},
    };
    for (unsigned i = 0; i < UNIT_COUNT(steps); i++) {
        struct world *w = world_at(steps[i].state);
        struct action action = unit_take(w->u, steps[i].kind);
        (void)world_effect(w, &action); /* it may have happened all the same */
        world_tell(w, &action, steps[i].outcome);
        world_settle(w, 3000);
        check_nothing_left(w);
        assert_int_equal(world_observation(w)->kind, OBSERVED_START_FAILED);
        assert_int_equal(world_observation(w)->generation, w->lease.generation);
        assert_true(strlen(world_observation(w)->reason) > 0);
        bool said = strcmp(world_observation(w)->reason, "libvirt says so") == 0;
        assert_int_equal(said, steps[i].outcome != OUTCOME_UNKNOWN);
        world_end(w);
    }
}

/* A creation of unknown outcome is always followed by a destroy: it may happen yet. */
TEST(an_unknown_creation_is_destroyed)
{
    struct world *w = world_at(RUN_CREATE);
    struct action create = unit_take(w->u, ACTION_DOMAIN_CREATE);
    world_tell(w, &create, OUTCOME_UNKNOWN);
    assert_int_equal(unit_take(w->u, ACTION_DOMAIN_DESTROY).kind, ACTION_DOMAIN_DESTROY);
    world_end(w);
}

/* ... also when libvirt told in between of the end of an earlier domain of the same VM. */
TEST(an_old_end_does_not_spare_a_creation_its_destroy)
{
    struct world *w = world_at(RUN_CREATE);
    struct action create = unit_take(w->u, ACTION_DOMAIN_CREATE);
    unit_domain(w->u, 0, DOMAIN_GONE, END_DESTROYED);
    world_tell(w, &create, OUTCOME_UNKNOWN);
    assert_int_equal(unit_take(w->u, ACTION_DOMAIN_DESTROY).kind, ACTION_DOMAIN_DESTROY);
    world_end(w);
}

/* QEMU ending in the middle of a start fails it; its clients are blocked before the lease is freed.
 */
TEST(qemu_ending_in_a_start)
{
    for (enum run_state state = RUN_WATCHERS; state <= RUN_RESUME; state++) {
        struct world *w = world_at(state);
        world_guest_ends(w, END_CRASHED);
        world_settle(w, 3000);
        check_nothing_left(w);
        world_end(w);
    }
}

/* A start whose images never open is given up at its deadline. */
TEST(a_start_has_a_deadline)
{
    struct world *w = world_at(RUN_WATCHERS);
    struct action action;
    for (unsigned i = 0; i < 500 && world_state(w) != RUN_OVER; i++) {
        while (world_next(w, &action)) {
            if (world_state(w) == RUN_WATCHERS) {
                unit_watchers(w->u, &action, OUTCOME_DONE, (struct client){{0}});
            } else {
                world_do(w, &action);
            }
        }
        unit_pass(w->u, UNIT_TICK_MS);
    }
    check_nothing_left(w);
    world_end(w);
}

/* A start no longer wanted is undone from wherever it is. */
TEST(a_start_no_longer_wanted_is_undone)
{
    for (enum run_state state = RUN_TAKE; state <= RUN_RESUME; state++) {
        struct world *w = world_at(state);
        world_record(w, VM_STOPPING, OUR_SLOT);
        world_settle(w, 3000);
        check_nothing_left(w);
        assert_int_equal(world_observation(w)->kind, OBSERVED_STOPPED);
        assert_int_equal(world_observation(w)->generation, w->lease.generation);
        world_end(w);
    }
}

/* Given to another while its lease is being taken, and the take is not known to have landed: the
 * lease is not taken again, only raised and freed. */
TEST(a_take_no_longer_wanted_is_not_repeated)
{
    struct world *w = world_at(RUN_TAKE);
    (void)unit_take(w->u, ACTION_LEASE_CHANGE);
    world_record(w, VM_STARTING, 0);
    world_settle(w, 3000);
    assert_int_equal(w->lease.state, LEASE_FREE);
    assert_int_equal(w->lease.generation, UNIT_GENERATION + 1); /* the take can land no more */
    assert_int_equal(world_state(w), RUN_IDLE);
    world_end(w);
}

/* Dead locks that could not be broken are tried again, beside the creation. */
TEST(unbroken_locks_are_tried_again)
{
    struct world *w = world_at(RUN_CREATE);
    struct action locks = unit_take(w->u, ACTION_LOCKS_BREAK);
    world_tell(w, &locks, OUTCOME_FAILED);
    world_until(w, RUN_UP);
    assert_true(w->locks_broken);
    world_end(w);
}

/* One that died elsewhere with a lock, named by no lease, is barred before the guest runs; as a
 * lease is taken, only while we are fresh, and tried again where that failed. */
TEST(a_dead_holder_of_a_lock_is_barred)
{
    struct world *w = world_at(RUN_CREATE);
    w->dead = unit_client(3, 4711);
    struct action locks = unit_take(w->u, ACTION_LOCKS_BREAK);
    world_do(w, &locks);
    struct action block = unit_take(w->u, ACTION_BLOCK_ADD);
    assert_int_equal(block.block.count, 1);
    assert_true(client_equal(&block.block.entries[0], &w->dead));
    assert_true(block.valid_until_ms != 0);
    world_tell(w, &block, OUTCOME_UNKNOWN);
    world_until(w, RUN_UP);
    assert_false(world_dead_may_write(w));
    world_end(w);
}

/* ... and not at all by one that is not fresh. */
TEST(nobody_is_barred_without_a_quorum)
{
    struct world *w = world_at(RUN_CREATE);
    w->dead = unit_client(3, 4711);
    struct action locks = unit_take(w->u, ACTION_LOCKS_BREAK);
    unit_ring(w->u, false, 1, (uint32_t[]){OURS});
    world_do(w, &locks);
    unit_pass(w->u, 200);
    unit_none(w->u, ACTION_BLOCK_ADD);
    world_end(w);
}

/* The domain is created under the VM's own name and definition, marked with the start it is of. */
TEST(the_domain_is_marked_with_its_start)
{
    struct world *w = world_at(RUN_CREATE);
    const struct vm_record *vm = &w->u->core.cluster.vms[0];
    struct action create = unit_take(w->u, ACTION_DOMAIN_CREATE);
    assert_true(vm->action.term != 0);
    assert_true(action_id_equal(create.vm.action, vm->action));
    assert_true(uuid_equal(&create.vm.uuid, &vm->uuid));
    assert_string_equal(create.vm.name, vm->name);
    assert_int_equal(create.vm.definition_version, vm->definition_version);
    assert_int_equal(create.vm.definition_digest, vm->definition_digest);
    world_end(w);
}

/* "It runs" is told with each heartbeat until the state reflects it, and no longer. */
TEST(running_is_told_until_reflected)
{
    struct world *w = world_up();
    unit_pass(w->u, 600);
    assert_int_equal(world_observation(w)->kind, OBSERVED_RUNNING);
    assert_int_equal(world_observation(w)->generation, w->lease.generation);
    (void)unit_foreign(w->u);
    unit_foreign_vm(w->u, 0)->state = VM_RUNNING;
    unit_foreign_send(w->u);
    unit_pass(w->u, 600);
    assert_null(world_observation(w));
    assert_int_equal(world_state(w), RUN_UP);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_of_a_start),
        cmocka_unit_test(the_lease_is_taken_from_the_told_generation),
        cmocka_unit_test(take_and_resume_are_bound_to_freshness),
        cmocka_unit_test(no_domain_before_the_lease),
        cmocka_unit_test(no_take_without_quorum),
        cmocka_unit_test(no_take_off_the_members),
        cmocka_unit_test(no_take_with_an_unrecorded_handle),
        cmocka_unit_test(nothing_before_the_domains_are_known),
        cmocka_unit_test(a_take_refused_by_its_own_success_goes_on),
        cmocka_unit_test(a_name_refused_by_its_own_success_goes_on),
        cmocka_unit_test(anothers_lease_is_left_alone),
        cmocka_unit_test(a_lease_taken_during_the_start_kills),
        cmocka_unit_test(our_own_leftover_is_cleaned_up_first),
        cmocka_unit_test(a_missing_lease_fails_the_start),
        cmocka_unit_test(a_missing_image_fails_the_start),
        cmocka_unit_test(only_new_clients_of_this_host_are_named),
        cmocka_unit_test(images_open_elsewhere_hold_a_start_up),
        cmocka_unit_test(images_opened_elsewhere_while_it_is_made_fail_a_start),
        cmocka_unit_test(images_that_stay_open_elsewhere_fail_a_start),
        cmocka_unit_test(an_earlier_start_that_comes_up_is_ended_first),
        cmocka_unit_test(every_image_has_a_named_client),
        cmocka_unit_test(the_check_asks_for_clients_and_address),
        cmocka_unit_test(a_blocklisted_qemu_never_runs),
        cmocka_unit_test(a_stale_resume_is_tried_again),
        cmocka_unit_test(every_failing_step_ends_with_nothing_left),
        cmocka_unit_test(an_unknown_creation_is_destroyed),
        cmocka_unit_test(an_old_end_does_not_spare_a_creation_its_destroy),
        cmocka_unit_test(qemu_ending_in_a_start),
        cmocka_unit_test(a_start_has_a_deadline),
        cmocka_unit_test(a_start_no_longer_wanted_is_undone),
        cmocka_unit_test(the_domain_is_marked_with_its_start),
        cmocka_unit_test(unbroken_locks_are_tried_again),
        cmocka_unit_test(a_dead_holder_of_a_lock_is_barred),
        cmocka_unit_test(nobody_is_barred_without_a_quorum),
        cmocka_unit_test(a_take_no_longer_wanted_is_not_repeated),
        cmocka_unit_test(running_is_told_until_reflected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
