/* A VM that runs on this host, to its end. */
#include "tests/unit/unit_run.h"

/* The dead process's clients are blocked, then its locks broken, then the lease freed. */
static void check_barred_before_free(const struct world *w)
{
    int block = world_place_of(w, ACTION_BLOCK_ADD);
    int locks = world_place_of(w, ACTION_LOCKS_BREAK);
    int release = world_place_of(w, ACTION_LEASE_CHANGE);
    assert_true(block >= 0 && block < locks && locks < release);
    assert_int_equal(w->lease.state, LEASE_FREE);
    assert_false(w->alive);
}

/* A guest that shut down by itself closed its disks: the lease is freed at once. */
TEST(a_clean_end_only_frees_the_lease)
{
    struct world *w = world_up();
    world_guest_ends(w, END_SHUTDOWN);
    world_until(w, RUN_OVER);
    assert_int_equal(world_place_of(w, ACTION_BLOCK_ADD), -1);
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

/* Any other end may have left a write under way: clients and locks first, the lease last. */
TEST(an_unclean_end_is_barred_first)
{
    const enum domain_end ends[] = {END_CRASHED, END_DESTROYED, END_UNKNOWN};
    for (unsigned i = 0; i < UNIT_COUNT(ends); i++) {
        struct world *w = world_up();
        world_guest_ends(w, ends[i]);
        world_until(w, RUN_OVER);
        check_barred_before_free(w);
        world_end(w);
    }
}

/* So is one that died elsewhere with a lock, and that no lease names. */
TEST(a_dead_holder_is_barred_before_the_lease_is_free)
{
    struct world *w = world_up();
    w->dead = unit_client(3, 4711);
    world_guest_ends(w, END_CRASHED);
    world_until(w, RUN_RELEASE);
    assert_false(world_dead_may_write(w));
    assert_true(w->locks_broken);
    world_until(w, RUN_OVER);
    check_barred_before_free(w);
    world_end(w);
}

/* What clears a dead guest away needs no quorum: nothing of it is bound to freshness. */
TEST(an_end_is_bound_to_nothing)
{
    const enum action_kind kinds[] = {ACTION_BLOCK_ADD, ACTION_LOCKS_BREAK, ACTION_LEASE_CHANGE};
    struct world *w = world_up();
    world_guest_ends(w, END_CRASHED);
    for (unsigned i = 0; i < UNIT_COUNT(kinds); i++) {
        struct action action = unit_take(w->u, kinds[i]);
        assert_int_equal(action.valid_until_ms, 0);
        world_do(w, &action);
    }
    world_end(w);
}

/* What failed while clearing away is tried again after a pause, not at each step. */
TEST(clearing_away_is_tried_again_after_a_pause)
{
    const enum action_kind kinds[] = {ACTION_BLOCK_ADD, ACTION_LOCKS_BREAK, ACTION_LEASE_CHANGE};
    struct world *w = world_up();
    world_guest_ends(w, END_CRASHED);
    for (unsigned i = 0; i < UNIT_COUNT(kinds); i++) {
        struct action action = unit_take(w->u, kinds[i]);
        world_tell(w, &action, OUTCOME_UNKNOWN);
        unit_pass(w->u, w->u->core.cluster.settings.retry_ms / 4 - UNIT_TICK_MS);
        unit_none(w->u, kinds[i]);
        action = unit_take(w->u, kinds[i]);
        world_do(w, &action);
    }
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

/* An end found only when libvirt's connection came back counts as unclean. */
TEST(an_end_missed_by_libvirt_is_unclean)
{
    struct world *w = world_up();
    struct event lost = unit_event(EVENT_DOMAINS, 0);
    unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    unit_step(w->u, &lost);
    w->alive = false;
    unit_domains(w->u);
    world_until(w, RUN_OVER);
    check_barred_before_free(w);
    world_end(w);
}

/* "It ended" is told with the generation at which its lease is free. */
TEST(the_end_is_told_with_its_generation)
{
    struct world *w = world_up();
    world_guest_ends(w, END_SHUTDOWN);
    world_until(w, RUN_OVER);
    unit_pass(w->u, 300);
    assert_int_equal(world_observation(w)->kind, OBSERVED_STOPPED);
    assert_int_equal(world_observation(w)->generation, w->lease.generation);
    world_end(w);
}

/* Wanted stopped, the guest is asked first, and the plug pulled only when its time is over. */
TEST(stopping_asks_before_it_pulls)
{
    struct world *w = world_up();
    world_record(w, VM_STOPPING, OUR_SLOT);
    struct action asked = unit_take(w->u, ACTION_DOMAIN_SHUTDOWN);
    uint64_t begun_ms = w->u->now_ms;
    world_tell(w, &asked, OUTCOME_DONE);
    (void)unit_take(w->u, ACTION_DOMAIN_DESTROY);
    assert_true(w->u->now_ms - begun_ms >= 1900);
    world_end(w);
}

/* The plug is pulled in time even if libvirt never answers the asking. */
TEST(an_unanswered_shutdown_does_not_delay_the_plug)
{
    struct world *w = world_up();
    world_record(w, VM_STOPPING, OUR_SLOT);
    (void)unit_take(w->u, ACTION_DOMAIN_SHUTDOWN);
    (void)unit_take(w->u, ACTION_DOMAIN_DESTROY);
    world_end(w);
}

/* A guest that shuts down when asked is cleanly over. */
TEST(a_shutdown_that_works_is_clean)
{
    struct world *w = world_up();
    world_record(w, VM_STOPPING, OUR_SLOT);
    struct action asked = unit_take(w->u, ACTION_DOMAIN_SHUTDOWN);
    world_tell(w, &asked, OUTCOME_DONE);
    world_guest_ends(w, END_SHUTDOWN);
    world_until(w, RUN_OVER);
    assert_int_equal(world_place_of(w, ACTION_BLOCK_ADD), -1);
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

/* A destroy that libvirt does not carry out is followed by SIGKILL, until /proc shows nothing. */
TEST(libvirt_failing_means_kill)
{
    struct world *w = world_up();
    world_record(w, VM_RECOVERING, OUR_SLOT);
    struct action destroy = unit_take(w->u, ACTION_DOMAIN_DESTROY);
    world_tell(w, &destroy, OUTCOME_UNKNOWN);
    struct action first = unit_take(w->u, ACTION_KILL);
    uint64_t told_ms = w->u->now_ms;
    unit_killed(w->u, &first, OUTCOME_DONE, 1);
    unit_none(w->u, ACTION_BLOCK_ADD);
    struct action again = unit_take(w->u, ACTION_KILL);
    assert_true(w->u->now_ms - told_ms >= 200); /* not without pause */
    assert_true(uuid_equal(&again.vm.uuid, &w->lease.vm));
    world_do(w, &again);
    world_settle(w, 1000);
    check_barred_before_free(w);
    world_end(w);
}

/* A lease seen in other hands while the guest runs: it is killed, and the lease left alone. */
TEST(a_lease_that_changed_hands_kills)
{
    struct world *w = world_up();
    w->lease = unit_lease(w->u, 0, 3);
    w->lease.generation = UNIT_GENERATION + 9;
    world_until(w, RUN_KILL);
    assert_int_equal(unit_take(w->u, ACTION_KILL).kind, ACTION_KILL);
    w->alive = false;
    unit_killed(w->u, &(struct action){.id = world_run(w)->call.id}, OUTCOME_DONE, 0);
    world_settle(w, 1000);
    assert_int_equal(world_state(w), RUN_OVER);
    assert_int_equal(w->lease.holder, 3);
    assert_int_equal(w->lease.generation, UNIT_GENERATION + 9);
    world_end(w);
}

/* A lease held by an earlier life of this node is not ours. */
TEST(a_lease_of_an_earlier_life_kills)
{
    struct world *w = world_up();
    w->lease.incarnation.number = 99;
    world_until(w, RUN_KILL);
    world_end(w);
}

/* A lease that cannot be read kills nothing: the barrier protects the disk. */
TEST(an_unreadable_lease_kills_nothing)
{
    for (int outcome = OUTCOME_FAILED; outcome < OUTCOME_COUNT; outcome++) {
        struct world *w = world_up();
        struct action look = unit_take(w->u, ACTION_LEASE_READ);
        if (outcome != OUTCOME_BLOCKLISTED) {
            world_tell(w, &look, (enum outcome)outcome);
            unit_pass(w->u, 100);
            assert_int_equal(world_state(w), RUN_UP);
        }
        world_end(w);
    }
}

/* A disk that refuses I/O is looked into at once; a blocklisted client of it means SIGKILL and a
 * proper end. */
TEST(an_io_error_by_blocklisting_kills)
{
    struct world *w = world_up();
    struct client client = world_client(w);
    world_settle(w, 100);
    (void)clients_add(&w->blocked, &client);
    unit_domain(w->u, 0, DOMAIN_IO_ERROR, END_UNKNOWN);
    world_until(w, RUN_KILL);
    world_until(w, RUN_OVER);
    check_barred_before_free(w);
    world_end(w);
}

/* A disk that refuses I/O for another reason keeps its guest: a person may repair the disk. */
TEST(an_io_error_alone_kills_nothing)
{
    struct world *w = world_up();
    unit_domain(w->u, 0, DOMAIN_IO_ERROR, END_UNKNOWN);
    world_settle(w, 3000);
    assert_int_equal(world_state(w), RUN_UP);
    world_end(w);
}

/* Given to another node or called back by the state, a running guest is ended properly. */
TEST(a_guest_assigned_elsewhere_is_ended)
{
    struct world *w = world_up();
    world_record(w, VM_RECOVERING, OUR_SLOT);
    world_settle(w, 3000);
    check_barred_before_free(w);
    world_end(w);
}

/* A lease freed by a change refused by its own success is free. */
TEST(a_release_refused_by_its_own_success_is_free)
{
    struct world *w = world_up();
    world_guest_ends(w, END_SHUTDOWN);
    struct action release = unit_take(w->u, ACTION_LEASE_CHANGE);
    assert_true(world_effect(w, &release));
    uint64_t told_ms = w->u->now_ms;
    world_tell(w, &release, OUTCOME_UNKNOWN);
    release = unit_take(w->u, ACTION_LEASE_CHANGE);
    assert_true(w->u->now_ms - told_ms >= 200); /* not without pause */
    world_do(w, &release);
    world_until(w, RUN_OVER);
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

/* A lease that moved on while we freed it, and is ours still, is freed from where it is now. */
TEST(a_release_follows_a_late_change_of_ours)
{
    struct world *w = world_up();
    world_guest_ends(w, END_SHUTDOWN);
    struct action release = unit_take(w->u, ACTION_LEASE_CHANGE);
    w->lease.generation += 5;
    world_do(w, &release);
    world_until(w, RUN_OVER);
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

/* A lease taken over while we freed it stays with whoever took it. */
TEST(a_release_never_takes_from_another)
{
    struct world *w = world_up();
    world_guest_ends(w, END_SHUTDOWN);
    struct action release = unit_take(w->u, ACTION_LEASE_CHANGE);
    w->lease = unit_lease(w->u, 0, 3);
    w->lease.generation = UNIT_GENERATION + 9;
    world_do(w, &release);
    world_settle(w, 1000);
    assert_int_equal(w->lease.holder, 3);
    world_end(w);
}

/* Somebody else opens its images while it is up: seen twice, then told; the guest runs on. */
TEST(images_open_elsewhere_are_noticed)
{
    struct world *w = world_up();
    struct client other = unit_client(3, 6001);
    struct action action = {0};
    uint32_t looks = 0;
    for (uint64_t until_ms = w->u->now_ms + 80000; w->u->now_ms < until_ms;) {
        if (unit_find(w->u, ACTION_WATCHERS_READ, &action)) {
            unit_watchers(w->u, &action, OUTCOME_DONE, other);
            looks++;
            assert_true(world_run(w)->other_stays == (looks > 1));
        } else if (world_next(w, &action)) {
            world_do(w, &action);
        } else {
            unit_pass(w->u, UNIT_TICK_MS);
        }
    }
    assert_in_range(looks, 7, 9); /* each ten seconds */
    world_settle(w, 20000);       /* it is gone */
    assert_false(world_run(w)->other_stays);
    assert_int_equal(world_state(w), RUN_UP);
    assert_int_equal(w->blocked.count, 0);
    world_end(w);
}

/* libvirt lists a guest for a while that /proc no longer has: it is looked at now and then. */
TEST(a_killed_guest_still_listed_is_not_killed_without_pause)
{
    struct world *w = world_new(VM_RUNNING);
    w->u->image.vms[0].node = 2;
    w->u->image.vms[0].incarnation = (struct incarnation){1, 3};
    w->lease = unit_lease(w->u, 0, 3);
    world_restart(w, DOMAIN_RUNNING);
    world_settle(w, 2000);
    uint32_t kills = 0;
    for (uint32_t i = 0; i < w->done_count; i++) {
        kills += w->done[i] == ACTION_KILL;
    }
    assert_false(w->alive);
    assert_in_range(kills, 1, 4);
    world_end(w);
}

/* ... and what somebody started is told once, however long libvirt lists it. */
TEST(a_copy_started_by_hand_is_told_once)
{
    struct world *w = world_new(VM_RUNNING);
    w->u->image.vms[0].node = 2;
    w->u->image.vms[0].incarnation = (struct incarnation){1, 3};
    w->lease = unit_lease(w->u, 0, 3);
    world_restart(w, DOMAIN_RUNNING);
    struct local *local = &w->u->core.local;
    local->domains[0].mark = MARK_ABSENT;
    world_settle(w, 1000);
    assert_true(local->hands[0].token != 0);
    local->hands[0] = (struct hand){{{0}}, 0}; /* the history holds it */
    world_settle(w, 5000);
    assert_int_equal(local->domain_count, 1);
    assert_true(local->hands[0].token == 0);
    world_end(w);
}

/* A VM recorded here that ended while no agent looked: barred, freed, told. */
TEST(a_guest_that_ended_meanwhile)
{
    struct world *w = world_new(VM_RUNNING);
    world_restart(w, DOMAIN_GONE);
    world_settle(w, 1000);
    check_barred_before_free(w);
    assert_int_equal(world_observation(w)->kind, OBSERVED_STOPPED);
    world_end(w);
}

/* A stop that was under way when the agent restarted is carried on. */
TEST(a_stop_survives_an_agent_restart)
{
    struct world *w = world_new(VM_STOPPING);
    w->u->image.vms[0].want = WANT_STOPPED;
    world_restart(w, DOMAIN_RUNNING);
    world_settle(w, 6000);
    assert_false(w->alive);
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

/* Its lease unread, a guest found here is neither killed nor ended: unknown is not lost. */
TEST(an_unread_lease_decides_nothing)
{
    struct world *w = world_new(VM_RUNNING);
    world_restart(w, DOMAIN_RUNNING);
    struct action read = unit_take(w->u, ACTION_LEASE_READ);
    world_tell(w, &read, OUTCOME_UNKNOWN);
    unit_pass(w->u, 100);
    unit_none(w->u, ACTION_KILL);
    unit_none(w->u, ACTION_DOMAIN_DESTROY);
    world_settle(w, 1000);
    assert_int_equal(world_state(w), RUN_UP);
    world_end(w);
}

/* A guest that was moved past stead, or whose end nobody saw, whatever was being done with it:
 * whoever has its images open now is blocklisted before the lease is free. */
TEST(a_guest_that_may_live_elsewhere_is_barred)
{
    static const struct {
        enum vm_state record;
        enum run_state state;
        enum domain_end end;
    } cases[] = {
        {VM_RUNNING, RUN_UP, END_MIGRATED},         {VM_RUNNING, RUN_UP, END_UNKNOWN},
        {VM_STOPPING, RUN_SHUTDOWN, END_MIGRATED},  {VM_STOPPING, RUN_SHUTDOWN, END_UNKNOWN},
        {VM_RECOVERING, RUN_DESTROY, END_MIGRATED},
    };
    for (unsigned i = 0; i < UNIT_COUNT(cases); i++) {
        struct world *w = world_up();
        struct client elsewhere = {"10.0.0.9:0/99"};
        world_record(w, cases[i].record, OUR_SLOT);
        world_until(w, cases[i].state);
        world_guest_ends(w, cases[i].end);
        world_until(w, RUN_BLOCK);
        struct action read = unit_take(w->u, ACTION_WATCHERS_READ);
        unit_none(w->u, ACTION_BLOCK_ADD);
        unit_watchers(w->u, &read, OUTCOME_UNKNOWN, (struct client){{0}});
        unit_pass(w->u, 1000);
        unit_none(w->u, ACTION_BLOCK_ADD); /* nobody knows yet */
        read = unit_take(w->u, ACTION_WATCHERS_READ);
        unit_watchers(w->u, &read, OUTCOME_DONE, elsewhere);
        world_settle(w, 1000);
        assert_true(clients_hold(&w->blocked, &elsewhere));
        check_barred_before_free(w);
        world_end(w);
    }
}

/* Started by another hand while its end is seen to: killed before the lease is let go. */
TEST(a_copy_started_during_the_end_is_killed)
{
    struct world *w = world_up();
    world_guest_ends(w, END_CRASHED);
    world_until(w, RUN_UNLOCK);
    w->alive = true;
    unit_domain_marked(w->u, 0, DOMAIN_RUNNING, MARK_ABSENT, (struct action_id){0, 0});
    assert_int_equal(world_state(w), RUN_KILL);
    unit_pass(w->u, 300);
    assert_int_equal(world_observation(w)->kind, OBSERVED_BY_HAND); /* it bears no start's mark */
    world_until(w, RUN_OVER);
    assert_false(w->alive);
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

/* A record goes while its guest runs for one reason only: it was given back. It is let alone. */
TEST(a_guest_given_back_runs_on)
{
    struct world *w = world_up();
    (void)unit_foreign(w->u);
    (void)unit_foreign_vm(w->u, 0);
    w->u->foreign.records[0].removed = true;
    unit_foreign_send(w->u);
    world_settle(w, 3000);
    assert_true(w->alive && w->runs);
    assert_int_equal(w->blocked.count, 0);
    assert_int_equal(world_state(w), RUN_IDLE);
    assert_int_equal(w->lease.state, LEASE_HELD); /* it is the acting node's to remove */
    world_end(w);
}

/* What came of an earlier start is barred, though it had its images open before ours began. */
TEST(what_an_earlier_start_had_open_is_barred)
{
    struct world *w = world_at(RUN_TAKE);
    struct client left_over = world_client(w);
    w->alive = true;
    struct action action = unit_take(w->u, ACTION_WATCHERS_READ);
    world_do(w, &action);
    unit_domain(w->u, 0, DOMAIN_STARTING, END_UNKNOWN);
    world_until(w, RUN_BLOCK);
    action = unit_take(w->u, ACTION_WATCHERS_READ);
    unit_watchers(w->u, &action, OUTCOME_DONE, left_over);
    action = unit_take(w->u, ACTION_BLOCK_ADD);
    assert_true(client_equal(&action.block.entries[0], &left_over));
    world_do(w, &action);
    world_until(w, RUN_UP);
    world_end(w);
}

/* A QEMU that was killed before its lease named it counts as having its images open for 30 s: it is
 * barred, so that the next start need not wait for that; whoever had them open before is not. */
TEST(what_an_undone_start_had_open_is_barred)
{
    struct world *w = world_at(RUN_TAKE);
    struct client before = unit_client(OURS, 5001);
    struct action action = unit_take(w->u, ACTION_WATCHERS_READ);
    w->u->core.cluster.nodes[2].client = before; /* an agent, else the start would wait */
    unit_watchers(w->u, &action, OUTCOME_DONE, before);
    world_until(w, RUN_CREATE);
    w->u->core.cluster.nodes[2].client = unit_client(3, 300);
    action = unit_take(w->u, ACTION_DOMAIN_CREATE);
    struct client dead = unit_client(OURS, w->nonce + 1);
    (void)world_effect(w, &action);
    world_tell(w, &action, OUTCOME_UNKNOWN);
    world_until(w, RUN_BLOCK);
    action = unit_take(w->u, ACTION_WATCHERS_READ);
    struct event event = unit_event(EVENT_WATCHERS, action.id);
    const struct client seen[] = {before, unit_client(3, 6001), dead};
    for (unsigned i = 0; i < UNIT_COUNT(seen); i++) {
        (void)clients_add(&event.watchers.clients, &seen[i]);
    }
    unit_step(w->u, &event);
    action = unit_take(w->u, ACTION_BLOCK_ADD);
    assert_int_equal(action.block.count, 1);
    assert_true(client_equal(&action.block.entries[0], &dead));
    world_do(w, &action);
    world_until(w, RUN_OVER);
    assert_int_equal(w->lease.state, LEASE_FREE);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_started_by_hand_is_told_once),
        cmocka_unit_test(images_open_elsewhere_are_noticed),
        cmocka_unit_test(a_guest_that_may_live_elsewhere_is_barred),
        cmocka_unit_test(a_copy_started_during_the_end_is_killed),
        cmocka_unit_test(a_clean_end_only_frees_the_lease),
        cmocka_unit_test(an_unclean_end_is_barred_first),
        cmocka_unit_test(a_dead_holder_is_barred_before_the_lease_is_free),
        cmocka_unit_test(an_end_is_bound_to_nothing),
        cmocka_unit_test(an_end_missed_by_libvirt_is_unclean),
        cmocka_unit_test(the_end_is_told_with_its_generation),
        cmocka_unit_test(stopping_asks_before_it_pulls),
        cmocka_unit_test(an_unanswered_shutdown_does_not_delay_the_plug),
        cmocka_unit_test(a_shutdown_that_works_is_clean),
        cmocka_unit_test(libvirt_failing_means_kill),
        cmocka_unit_test(a_lease_that_changed_hands_kills),
        cmocka_unit_test(a_lease_of_an_earlier_life_kills),
        cmocka_unit_test(an_unreadable_lease_kills_nothing),
        cmocka_unit_test(an_io_error_by_blocklisting_kills),
        cmocka_unit_test(an_io_error_alone_kills_nothing),
        cmocka_unit_test(a_guest_assigned_elsewhere_is_ended),
        cmocka_unit_test(a_release_refused_by_its_own_success_is_free),
        cmocka_unit_test(a_release_follows_a_late_change_of_ours),
        cmocka_unit_test(a_release_never_takes_from_another),
        cmocka_unit_test(a_guest_that_ended_meanwhile),
        cmocka_unit_test(a_stop_survives_an_agent_restart),
        cmocka_unit_test(an_unread_lease_decides_nothing),
        cmocka_unit_test(a_killed_guest_still_listed_is_not_killed_without_pause),
        cmocka_unit_test(a_guest_given_back_runs_on),
        cmocka_unit_test(what_an_earlier_start_had_open_is_barred),
        cmocka_unit_test(what_an_undone_start_had_open_is_barred),
        cmocka_unit_test(clearing_away_is_tried_again_after_a_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
