/* The whole core: what holds at every step, and a failover from end to end. */
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

/* A core without a name or a process of its own is never made. */
TEST(a_core_needs_its_facts)
{
    struct unit *u = unit_new(2);
    u->facts.nodeid = 0;
    expect_assert_failure(core_init(&u->core, &u->facts, 1));
    u->facts.nodeid = 2;
    u->facts.agent_start = 0;
    expect_assert_failure(core_init(&u->core, &u->facts, 1));
    free(u);
}

/* Time never runs backwards. */
TEST(time_does_not_run_backwards)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    struct event event = unit_event(EVENT_TICK, 0);
    event.now_ms = u->now_ms - 1;
    expect_assert_failure(step(&u->core, &event, &u->out));
    free(u);
}

/* While nobody is missing nothing is decided by the wall clock, however it jumps. */
TEST(the_wall_clock_may_jump)
{
    static const uint64_t walls[] = {0, 1700000000000, 1, 32503680000000, 1600000000000};
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_start(u);
    unit_settle(u, 500);
    uint64_t version = u->core.cluster.header.version;
    for (size_t i = 0; i < sizeof(walls) / sizeof(walls[0]); i++) {
        struct event event = unit_event(EVENT_TICK, 0);
        event.now_ms = u->now_ms;
        event.wall_ms = walls[i];
        step(&u->core, &event, &u->out);
        for (uint32_t j = 0; j < u->out.count; j++) {
            assert_true(u->out.list[j].kind == ACTION_SEND_BEAT ||
                        u->out.list[j].kind == ACTION_POLL);
        }
    }
    unit_settle(u, 500);
    assert_int_equal(u->core.cluster.header.version, version);
    assert_int_equal(u->core.local.life.state, LIFE_ADMITTED);
    free(u);
}

/* What one step hands out is not handed out by the next as well. */
TEST(a_step_hands_out_its_own_alone)
{
    struct unit *u = unit_new(1);
    unit_lead(u);
    u->out.beat = &u->core.local.beat;
    u->out.delta = u->out.committed = &u->core.local.committed;
    struct event event = unit_event(EVENT_TICK, 0);
    event.now_ms = u->now_ms;
    step(&u->core, &event, &u->out);
    assert_null(u->out.beat);
    assert_null(u->out.delta);
    assert_null(u->out.committed);
    free(u);
}

/* The core always names a time for its next tick, no later than a heartbeat from now. */
TEST(the_next_tick_is_near)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    for (unsigned i = 0; i < 100; i++) {
        uint64_t next_ms = core_next_ms(&u->core);
        assert_true(next_ms <= u->now_ms + u->core.cluster.settings.beat_ms);
        u->now_ms = next_ms > u->now_ms ? next_ms : u->now_ms;
        unit_tick(u);
    }
    free(u);
}

/* A retry within a start does not wait for the next heartbeat. */
TEST(a_start_is_not_slowed_by_the_heartbeat)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    struct run *run = &u->core.local.runs[0];
    *run = (struct run){.state = RUN_WATCHERS, .retry_ms = u->now_ms + 20};
    u->core.local.run_count = 1;
    u->core.local.beat_next_ms = u->now_ms + 200;
    assert_int_equal(core_next_ms(&u->core), u->now_ms + 20);
    run->retry_ms = u->now_ms; /* past: this step has seen to it */
    assert_int_equal(core_next_ms(&u->core), u->now_ms + 200);
    run->state = RUN_IDLE;
    assert_int_equal(core_next_ms(&u->core), u->now_ms + 200);
    free(u);
}

/* What a step had no room for is not left until the next heartbeat; nor is the core restless then.
 */
TEST(what_had_no_room_goes_on_at_once)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    for (uint32_t i = 0; i <= ACTIONS_EACH; i++) {
        u->core.local.runs[i] = (struct run){.state = RUN_ADOPT, .slot = VMS_MAX - 1};
    }
    u->core.local.run_count = ACTIONS_EACH + 1;
    unit_tick(u);
    assert_int_equal(core_next_ms(&u->core), u->now_ms);
    unit_forget(u);
    unit_tick(u);
    assert_in_range(unit_logged(u, ACTION_LEASE_READ), 1, 3);
    assert_true(core_next_ms(&u->core) > u->now_ms);
    free(u);
}

/* Every kind of answer to a call nobody waits for is ignored. */
TEST(strangers_are_ignored)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, 0);
    unit_lead(u);
    unit_settle(u, 300);
    uint64_t version = u->core.cluster.header.version;
    unit_forget(u);
    for (int kind = EVENT_HANDLE; kind <= EVENT_SAVED; kind++) {
        if (kind == EVENT_BMC_IDENTITY || kind == EVENT_DOMAIN || kind == EVENT_DOMAINS) {
            continue; /* these are nobody's answers */
        }
        struct event event = unit_event((enum event_kind)kind, 999999);
        unit_step(u, &event);
    }
    assert_int_equal(u->core.cluster.header.version, version);
    assert_int_equal(u->core.local.life.state, LIFE_ADMITTED);
    unit_none(u, ACTION_KILL);
    free(u);
}

/* An event of a kind nobody knows asserts. */
TEST(unknown_events_assert)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    struct event event = unit_event(EVENT_KIND_COUNT, 0);
    event.now_ms = u->now_ms;
    expect_assert_failure(step(&u->core, &event, &u->out));
    free(u);
}

/* That our BMC is ours is told with the next heartbeats. */
TEST(the_bmc_identity_is_told)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    struct event event = unit_event(EVENT_BMC_IDENTITY, 0);
    event.bmc_identity.verified = true;
    unit_step(u, &event);
    unit_pass(u, 300);
    assert_true(u->core.local.beat.bmc.verified);
    free(u);
}

/* ---- from end to end */

/* The next block entry that is (or is not) about the node itself. */
static void block_done(struct unit *u)
{
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
}

/* n3 dies with a VM: it is named lost, barred, fenced, and the VM is assigned to a survivor; no
 * earlier. */
TEST(a_failover)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_lead(u);
    struct lease lease = unit_lease(u, 0, 3);
    unit_leave(u, 3);
    unit_commit(u); /* the term */
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    block_done(u); /* its address and handle */
    struct action read = unit_take(u, ACTION_LEASE_READ);
    unit_lease_is(u, &read, OUTCOME_DONE, &lease);
    unit_settle(u, 200);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_RUNNING);
    block_done(u); /* the VM's clients */
    unit_settle(u, 200);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    assert_int_equal(unit_copy_vm(u, 0)->generation, lease.generation);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_core_needs_its_facts),
        cmocka_unit_test(time_does_not_run_backwards),
        cmocka_unit_test(the_wall_clock_may_jump),
        cmocka_unit_test(a_step_hands_out_its_own_alone),
        cmocka_unit_test(the_next_tick_is_near),
        cmocka_unit_test(a_start_is_not_slowed_by_the_heartbeat),
        cmocka_unit_test(what_had_no_room_goes_on_at_once),
        cmocka_unit_test(strangers_are_ignored),
        cmocka_unit_test(unknown_events_assert),
        cmocka_unit_test(the_bmc_identity_is_told),
        cmocka_unit_test(a_failover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
