/* One answer tells several parts: a commit whose own answer was lost is settled by whatever shows
 * the header next, and whoever hears that our handle is barred tells it. */
#include "agent/actor.h"
#include "tests/unit/unit_core.h"

/* We are n2 and wanted the term; whether that commit landed nobody said, and it is not sent again
 * yet. Polls wait for the test. */
static struct unit *term_in_doubt(void)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    unit_leave(u, 1);
    struct action commit = unit_take(u, ACTION_COMMIT);
    u->polls_hang = true;
    unit_commit_is(u, &commit, OUTCOME_UNKNOWN, NULL);
    u->core.local.commit_retry_ms = u->now_ms + 60000;
    while (!call_open(&u->core.local.storage.poll_call)) {
        unit_pass(u, UNIT_TICK_MS);
    }
    unit_forget(u);
    assert_false(actor_holds(&u->core));
    return u;
}

/* A poll's answer: the object as our commit leaves it. */
static void polled(struct unit *u, uint64_t id, enum outcome outcome)
{
    struct event event = unit_event(EVENT_POLL, id);
    event.poll.outcome = outcome;
    event.poll.header = u->delta.header;
    unit_step(u, &event);
}

/* The term holds, and the others are told what was committed. */
static void assert_settled(const struct unit *u, bool settled)
{
    assert_int_equal(actor_holds(&u->core), settled);
    assert_int_equal(unit_logged(u, ACTION_SEND_DELTA), settled);
    assert_int_equal(u->core.local.commit.state, settled ? COMMIT_IDLE : COMMIT_UNKNOWN);
}

TEST(a_poll_tells_that_a_commit_landed)
{
    struct unit *u = term_in_doubt();
    polled(u, u->core.local.storage.poll_call.id, OUTCOME_DONE);
    assert_settled(u, true);
    free(u);
}

/* A poll that failed brings no header, and one that nobody waits for any more may be older than
 * what we know: neither says how a commit came out. */
TEST(only_a_poll_that_is_awaited_and_well_tells)
{
    struct unit *u = term_in_doubt();
    uint64_t awaited = u->core.local.storage.poll_call.id;
    polled(u, awaited + 1000, OUTCOME_DONE);
    assert_settled(u, false);
    polled(u, awaited, OUTCOME_FAILED);
    assert_settled(u, false);
    free(u);
}

TEST(a_whole_read_tells_that_a_commit_landed)
{
    struct unit *u = term_in_doubt();
    u->image = u->core.cluster;
    assert_true(state_apply(&u->image, &u->delta));
    u->core.local.storage.stale = true;
    struct action read = unit_take(u, ACTION_STATE_READ);
    assert_settled(u, false);
    unit_state_is(u, &read, OUTCOME_DONE);
    assert_settled(u, true);
    free(u);
}

/* The entry of another's handle was refused because our own is barred: it is let go at once. */
TEST(a_refused_block_tells_that_we_are_barred)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, 2 /* slot of n3 */);
    unit_lead(u);
    unit_leave(u, 3);
    unit_commit(u);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_false(u->core.local.storage.blocklisted);
    unit_block(u, &block, OUTCOME_BLOCKLISTED, 0);
    assert_true(u->core.local.storage.blocklisted);
    free(u);
}

/* An agent that ends because its host does says both. */
TEST(an_agent_that_ends_says_that_its_host_does)
{
    for (unsigned host = 0; host < 2; host++) {
        struct unit *u = unit_new(2);
        unit_start(u);
        struct event event = unit_event(EVENT_LEAVING, 0);
        event.leaving.why = host != 0 ? LEAVING_HOST : LEAVING_NOT;
        event.leaving.agent = true;
        unit_step(u, &event);
        assert_int_equal(u->core.local.leave.why, event.leaving.why);
        assert_int_equal(u->core.local.leave.asked_ms, host != 0 ? u->now_ms : 0);
        free(u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poll_tells_that_a_commit_landed),
        cmocka_unit_test(only_a_poll_that_is_awaited_and_well_tells),
        cmocka_unit_test(a_whole_read_tells_that_a_commit_landed),
        cmocka_unit_test(a_refused_block_tells_that_we_are_barred),
        cmocka_unit_test(an_agent_that_ends_says_that_its_host_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
