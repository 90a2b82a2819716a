/* Storage that stands still: osd or monitor frozen. Deadlines hold, the loop goes on, nothing is
 * called a failure that may land yet. */
#include "storage_world.h"

#define DEADLINE_MS 700
#define SLACK_MS 300 /* how late an answer may come on a busy machine */
/* The loop's longest step: a few ms, 72 once on a busy virtual machine, which is not told what its
 * host takes from it. A call that waits for the frozen daemon takes CALL_MS. */
#define STEP_US_MAX (CALL_MS * 1000 / 8)

static int thaw(void **state)
{
    signal_daemon(*state, "osd", SIGCONT);
    signal_daemon(*state, "mon", SIGCONT);
    return 0;
}

static int thaw_and_end(void **state)
{
    thaw(state);
    return world_end(state);
}

/* Begins an action that must end at its deadline, as unknown. */
static uint64_t begin_in_vain(struct seat *seat, struct action *action)
{
    action->deadline_ms = boot_ms() + DEADLINE_MS;
    return begin(seat, action);
}

static void check_in_time(struct world *world, uint64_t first_id, uint64_t begun_us)
{
    for (uint64_t id = first_id; id <= world->next_id; id++) {
        const uint64_t took_ms = (world->answers[id % ANSWERS_MAX].at_us - begun_us) / 1000;
        assert_true(took_ms <= DEADLINE_MS + SLACK_MS);
    }
    print_message("longest step of the loop %.1f ms\n", (double)world->longest_us / 1e3);
    assert_true(world->longest_us < STEP_US_MAX);
}

/* Asks until the storage answers as it does when well. */
static void wait_until_well(struct seat *seat)
{
    for (uint32_t i = 0; i < 60; i++) {
        if (poll_outcome(seat, true) == OUTCOME_DONE) {
            return;
        }
        world_run(seat->world, 250);
    }
    fail_msg("the storage does not come back");
}

static void test_a_commit_lands_after_its_deadline(void **state)
{
    struct world *world = *state;
    struct seat *seat = &world->seats[0];
    create_state(world);
    watch_steps(world);
    signal_daemon(world, "osd", SIGSTOP);
    const uint64_t begun_us = mono_us(), first_id = world->next_id + 1;
    struct action action = {.kind = ACTION_COMMIT};
    make_delta(world, 1, 1);
    world->delta.header.commit = (struct origin){.nodeid = 1, .agent_start = 11, .counter = 2};
    const uint64_t id = begin_in_vain(seat, &action);
    struct action poll = {.kind = ACTION_POLL}, read = {.kind = ACTION_STATE_READ};
    const uint64_t polled = begin_in_vain(&world->seats[1], &poll);
    const uint64_t was_read = begin_in_vain(&world->seats[1], &read);
    world_wait(world);
    assert_int_equal(answer_to(world, id)->commit.outcome, OUTCOME_UNKNOWN);
    assert_int_equal(answer_to(world, polled)->poll.outcome, OUTCOME_UNKNOWN);
    assert_int_equal(answer_to(world, was_read)->state.outcome, OUTCOME_UNKNOWN);
    check_in_time(world, first_id, begun_us);
    signal_daemon(world, "osd", SIGCONT);
    wait_until_well(&world->seats[1]);
    poll.deadline_ms = 0;
    const struct event *event = ask(&world->seats[1], &poll);
    assert_int_equal(event->poll.header.version, 2); /* it has landed */
    assert_int_equal(event->poll.header.commit.counter, 2);
    event = commit(seat, false); /* the same bytes again, as the core does */
    assert_int_equal(event->commit.outcome, OUTCOME_REFUSED);
    assert_true(origin_equal(&event->commit.header.commit, &world->delta.header.commit));
}

/* librados gave up before the deadline did: that does not make it a failure. */
static void test_a_librados_timeout_is_unknown(void **state)
{
    struct world *world = *state;
    create_state(world);
    signal_daemon(world, "osd", SIGSTOP);
    make_delta(world, 1, 1);
    const uint64_t begun_us = mono_us();
    const struct event *event = commit(&world->seats[0], false);
    const uint64_t took_ms = (mono_us() - begun_us) / 1000;
    assert_int_equal(event->commit.outcome, OUTCOME_UNKNOWN);
    assert_true(took_ms >= CALL_MS - 100 && took_ms < CALL_MS + 2000);
    signal_daemon(world, "osd", SIGCONT);
    wait_until_well(&world->seats[1]);
}

static void test_the_osd_frozen_stops_nobody(void **state)
{
    struct world *world = *state;
    struct seat *seat = &world->seats[0];
    create_state(world);
    watch_steps(world);
    signal_daemon(world, "osd", SIGSTOP);
    const uint64_t begun_us = mono_us(), first_id = world->next_id + 1;
    struct action change = {.kind = ACTION_LEASE_CHANGE}, locks = {.kind = ACTION_LOCKS_BREAK};
    struct action watchers = {.kind = ACTION_WATCHERS_READ};
    change.lease.lease.vm = uuid_from(30);
    for (uint32_t i = 0; i < 300; i++) { /* more than are sent at a time */
        change.lease.lease.generation = i + 1;
        begin_in_vain(seat, &change);
    }
    begin_in_vain(seat, &locks);
    begin_in_vain(seat, &watchers);
    world_wait(world);
    for (uint64_t id = first_id; id <= world->next_id - 2; id++) {
        assert_int_equal(answer_to(world, id)->lease.outcome, OUTCOME_UNKNOWN);
    }
    check_in_time(world, first_id, begun_us);
    struct action add = {.kind = ACTION_BLOCK_ADD, .block.count = 1}; /* the monitors answer */
    name_set(add.block.entries[0].address, CLIENT_BYTES, "10.99.1.1:0/1");
    assert_int_equal(ask(seat, &add)->block.outcome, OUTCOME_DONE);
    signal_daemon(world, "osd", SIGCONT);
    wait_until_well(seat);
}

static void test_a_handle_is_not_had_from_a_frozen_osd(void **state)
{
    struct world *world = *state;
    struct seat *seat = &world->seats[0];
    create_state(world);
    signal_daemon(world, "osd", SIGSTOP);
    struct action action = {.kind = ACTION_HANDLE_OPEN};
    const uint64_t id = begin_in_vain(seat, &action);
    world_wait(world);
    assert_int_equal(answer_to(world, id)->handle.outcome, OUTCOME_UNKNOWN);
    assert_int_equal(poll_outcome(seat, false), OUTCOME_FAILED); /* there is none */
    world_run(world, CALL_MS + 500);                             /* the late one is dropped */
    assert_int_equal(poll_outcome(seat, false), OUTCOME_FAILED);
    signal_daemon(world, "osd", SIGCONT);
    open_handle(seat);
    wait_until_well(seat);
}

/* Two calls know no timeout with the monitors away; the deadline is ours then. */
static void test_the_monitor_frozen_stops_nobody(void **state)
{
    struct world *world = *state;
    struct seat *seat = &world->seats[0];
    create_state(world);
    watch_steps(world);
    signal_daemon(world, "mon", SIGSTOP);
    const uint64_t begun_us = mono_us(), first_id = world->next_id + 1;
    struct action change = {.kind = ACTION_LEASE_CHANGE, .lease.wait_map = true};
    struct action add = {.kind = ACTION_BLOCK_ADD, .block.count = 1};
    struct action check = {.kind = ACTION_BLOCK_CHECK, .block.count = 1};
    struct action opening = {.kind = ACTION_HANDLE_OPEN};
    name_set(add.block.entries[0].address, CLIENT_BYTES, "10.99.1.1:0/2");
    check.block = add.block;
    change.lease.lease.vm = uuid_from(31);
    for (uint32_t i = 0; i < 20; i++) {
        change.lease.lease.generation = i + 1;
        begin_in_vain(seat, &change);
    }
    const uint64_t added = begin_in_vain(seat, &add);
    const uint64_t checked = begin_in_vain(seat, &check);
    const uint64_t opened = begin_in_vain(&world->seats[1], &opening);
    world_wait(world);
    assert_int_equal(answer_to(world, first_id)->lease.outcome, OUTCOME_UNKNOWN);
    assert_int_equal(answer_to(world, added)->block.outcome, OUTCOME_UNKNOWN);
    assert_int_equal(answer_to(world, checked)->block.outcome, OUTCOME_UNKNOWN);
    assert_int_equal(answer_to(world, opened)->handle.outcome, OUTCOME_UNKNOWN);
    check_in_time(world, first_id, begun_us);
    assert_int_equal(poll_outcome(seat, true), OUTCOME_DONE); /* the osd answers */
    begin_in_vain(seat, &opening); /* retire the handle beside its pending monitor calls */
    begin_in_vain(seat, &add);
    world_wait(world);
    world_run(world, CALL_MS * 2);
    signal_daemon(world, "mon", SIGCONT);
    open_handle(seat);
    open_handle(&world->seats[1]);
    wait_until_well(seat);
    assert_int_equal(ask(seat, &add)->block.outcome, OUTCOME_UNKNOWN); /* its deadline is over */
    add.deadline_ms = 0;
    assert_int_equal(ask(seat, &add)->block.outcome, OUTCOME_DONE);
}

static void test_closing_leaves_alone_what_is_under_way(void **state)
{
    struct world *world = *state;
    create_state(world);
    add_seat(world);
    struct seat *seat = &world->seats[--world->seat_count];
    signal_daemon(world, "mon", SIGSTOP);
    struct action change = {.kind = ACTION_LEASE_CHANGE, .lease.wait_map = true};
    struct action add = {.kind = ACTION_BLOCK_ADD, .block.count = 1};
    struct action poll = {.kind = ACTION_POLL};
    name_set(add.block.entries[0].address, CLIENT_BYTES, "10.99.1.1:0/3");
    change.lease.lease.generation = 2;
    begin(seat, &change);
    begin(seat, &add);
    begin(seat, &poll);
    storage_io_close(seat->io);
    world->missing = 0;
    signal_daemon(world, "mon", SIGCONT);
    world_run(world, 1000); /* what comes back now comes to nobody */
    wait_until_well(&world->seats[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_commit_lands_after_its_deadline, world_empty, thaw),
        cmocka_unit_test_setup_teardown(test_a_librados_timeout_is_unknown, world_empty, thaw),
        cmocka_unit_test_setup_teardown(test_the_osd_frozen_stops_nobody, world_empty, thaw),
        cmocka_unit_test_setup_teardown(test_a_handle_is_not_had_from_a_frozen_osd, world_empty,
                                        thaw),
        cmocka_unit_test_setup_teardown(test_the_monitor_frozen_stops_nobody, world_empty, thaw),
        cmocka_unit_test_setup_teardown(test_closing_leaves_alone_what_is_under_way, world_empty,
                                        thaw),
    };
    leave(cmocka_run_group_tests_name("storage: frozen", tests, world_make, thaw_and_end));
}
