/* A guest that stands still by our doing goes on: what is asked, in which words, and what follows
 * from each answer. Whether it may at all is seen in test_suspend.c. */
#include "agent/suspend.h"
#include "fencing/timing.h"
#include "tests/unit/unit_run.h"

static const uint32_t alone[] = {OURS};
static const uint32_t all[] = {1, 2, 3};

/* Up, known to the state as running, and of a mark that can be read. */
static struct world *running(void)
{
    struct world *w = world_up();
    (void)unit_foreign(w->u);
    unit_foreign_vm(w->u, 0)->state = VM_RUNNING;
    unit_foreign_send(w->u);
    unit_domain_marked(w->u, 0, DOMAIN_RUNNING, MARK_READ, w->lease.action);
    world_settle(w, 400);
    unit_forget(w->u);
    return w;
}

/* The quorum is gone; libvirt was asked, has suspended the guest and has said so. */
static void suspend(struct world *w)
{
    unit_ring(w->u, false, 1, alone);
    struct action action = unit_take(w->u, ACTION_DOMAIN_SUSPEND);
    world_do(w, &action);
    unit_domain_marked(w->u, 0, DOMAIN_SUSPENDED, MARK_READ, w->lease.action);
    unit_pass(w->u, 60000);
}

/* Back in the ring; the acting node commits that it saw the suspension. */
static void readmit(struct world *w)
{
    unit_ring(w->u, true, UNIT_NODES, all);
    unit_pass(w->u, 400);
    unit_forget(w->u);
    (void)unit_foreign(w->u);
    unit_foreign_node(w->u, OUR_SLOT)->readmitted_ms = w->u->core.local.beat.suspended_ms;
    unit_foreign_send(w->u);
}

static struct world *woken(void)
{
    struct world *w = running();
    suspend(w);
    readmit(w);
    return w;
}

static void answer(struct world *w, enum action_kind kind)
{
    struct action action = unit_take(w->u, kind);
    world_tell(w, &action, OUTCOME_DONE);
}

/* Lease and blocklist were asked and are as they should be. */
static struct action resume_asked(struct world *w)
{
    answer(w, ACTION_LEASE_READ);
    answer(w, ACTION_BLOCK_CHECK);
    return unit_take(w->u, ACTION_DOMAIN_RESUME);
}

static void goes_on(struct world *w, const struct action *resume)
{
    world_do(w, resume);
    assert_true(w->runs);
    unit_domain_marked(w->u, 0, DOMAIN_RUNNING, MARK_READ, w->lease.action);
}

/* The lease of this VM; that needs no right to act, which may be late. */
TEST(its_own_lease_is_read)
{
    struct world *w = woken();
    struct action read = unit_take(w->u, ACTION_LEASE_READ);
    assert_int_equal(read.id, world_run(w)->wake.call.id);
    assert_true(uuid_equal(&read.lease.lease.vm, &w->lease.vm));
    assert_int_equal(read.valid_until_ms, 0);
    world_end(w);
}

static bool traced(const struct world *w, const char *line)
{
    for (uint32_t i = 0; i < w->u->out.count; i++) {
        const struct action *action = &w->u->out.list[i];
        if (action->kind == ACTION_TRACE && strcmp(action->trace, line) == 0) {
            return true;
        }
    }
    return false;
}

/* Whoever reads the journal sees how far it came. */
TEST(each_step_is_told)
{
    struct world *w = woken();
    answer(w, ACTION_LEASE_READ);
    assert_true(traced(w, "vm vm0: ... and neither it nor this host blocklisted"));
    answer(w, ACTION_BLOCK_CHECK);
    assert_true(traced(w, "vm vm0: goes on"));
    world_end(w);
}

/* The domain is told by the mark it bears, not by what is commanded of the VM since. */
TEST(the_domain_of_that_mark_goes_on)
{
    struct world *w = running();
    world_record(w, VM_RUNNING, OUR_SLOT);
    assert_false(action_id_equal(world_run(w)->action, w->lease.action));
    suspend(w);
    readmit(w);
    struct action resume = resume_asked(w);
    assert_true(action_id_equal(resume.vm.action, w->lease.action));
    world_end(w);
}

/* The edge lost the call: it is asked from the beginning, a while after its deadline. */
TEST(an_answer_that_never_comes_is_asked_for_again)
{
    struct world *w = woken();
    (void)unit_take(w->u, ACTION_LEASE_READ);
    unit_pass(w->u, w->u->core.cluster.settings.call_ms + 3000);
    world_settle(w, 1000);
    assert_true(w->runs);
    world_end(w);
}

/* Not in a rush: a quarter of the usual wait lies between. */
TEST(asked_again_after_a_while)
{
    struct world *w = woken();
    uint32_t wait_ms = w->u->core.cluster.settings.retry_ms / 4;
    struct action read = unit_take(w->u, ACTION_LEASE_READ);
    world_tell(w, &read, OUTCOME_UNKNOWN);
    unit_pass(w->u, wait_ms - UNIT_TICK_MS);
    assert_int_equal(world_run(w)->wake.state, WAKE_NOT);
    unit_pass(w->u, 2 * UNIT_TICK_MS);
    assert_int_equal(world_run(w)->wake.state, WAKE_LEASE);
    world_end(w);
}

/* A lease that is not there is none that changed: nothing is ended for it, nothing goes on. */
TEST(a_lease_not_found_ends_nothing)
{
    struct world *w = woken();
    struct action read = unit_take(w->u, ACTION_LEASE_READ);
    unit_lease_is(w->u, &read, OUTCOME_DONE, NULL);
    assert_int_equal(world_state(w), RUN_UP);
    assert_int_equal(world_run(w)->wake.state, WAKE_NOT);
    unit_none(w->u, ACTION_BLOCK_CHECK);
    world_end(w);
}

/* Another took it meanwhile: it is his, whatever we end here. */
TEST(a_lease_that_went_to_another_is_left_to_him)
{
    struct world *w = woken();
    w->lease.holder = 3;
    w->lease.generation++;
    uint64_t generation = w->lease.generation;
    answer(w, ACTION_LEASE_READ);
    assert_int_equal(world_state(w), RUN_KILL);
    w->done_count = 0;
    world_settle(w, 5000);
    assert_false(w->alive);
    assert_int_equal(world_place_of(w, ACTION_LEASE_CHANGE), -1);
    assert_int_equal(w->lease.generation, generation);
    world_end(w);
}

/* It changed and is ours still: whoever it names now is barred first, then it is given back. */
TEST(a_changed_lease_of_ours_is_given_back)
{
    struct world *w = woken();
    struct client client = unit_client(OURS, 8000);
    (void)clients_add(&w->lease.clients, &client);
    w->lease.generation++;
    uint64_t generation = w->lease.generation;
    answer(w, ACTION_LEASE_READ);
    assert_int_equal(world_state(w), RUN_KILL);
    world_until(w, RUN_BLOCK);
    struct action bar = unit_take(w->u, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&bar.block, client));
    world_do(w, &bar);
    world_settle(w, 5000);
    assert_false(w->alive);
    assert_int_equal(w->lease.state, LEASE_FREE);
    assert_int_equal(w->lease.generation, generation + 1);
    world_end(w);
}

/* Each loss of the quorum is got over alike. */
TEST(goes_on_time_and_again)
{
    struct world *w = running();
    for (unsigned i = 0; i < 3; i++) {
        suspend(w);
        readmit(w);
        struct action resume = resume_asked(w);
        goes_on(w, &resume);
        world_settle(w, 1000);
        assert_int_equal(world_state(w), RUN_UP);
        assert_true(w->runs);
        unit_forget(w->u);
    }
    world_end(w);
}

/* It was shutting down when it was made to stand still: that took none of its time. */
static struct world *woken_from_shutdown(void)
{
    struct world *w = running();
    world_record(w, VM_STOPPING, OUR_SLOT);
    assert_int_equal(world_state(w), RUN_SHUTDOWN);
    struct action down = unit_take(w->u, ACTION_DOMAIN_SHUTDOWN);
    world_do(w, &down);
    suspend(w);
    readmit(w);
    assert_int_equal(world_state(w), RUN_SHUTDOWN);
    return w;
}

TEST(its_time_to_shut_down_stood_still_too)
{
    struct world *w = woken_from_shutdown();
    uint32_t timeout_ms = unit_copy_vm(w->u, 0)->stop_timeout_ms;
    struct action resume = resume_asked(w);
    goes_on(w, &resume);
    unit_pass(w->u, timeout_ms - 500);
    assert_int_equal(world_state(w), RUN_SHUTDOWN);
    unit_pass(w->u, 1000);
    assert_int_equal(world_state(w), RUN_DESTROY);
    world_end(w);
}

/* Libvirt would not let it go on: its time is given once, when it does. */
TEST(a_refused_resume_gives_no_time)
{
    struct world *w = woken_from_shutdown();
    uint64_t deadline_ms = world_run(w)->deadline_ms;
    struct action resume = resume_asked(w);
    unit_domain_done(w->u, &resume, OUTCOME_FAILED);
    assert_int_equal(world_state(w), RUN_SHUTDOWN);
    assert_int_equal(world_run(w)->deadline_ms, deadline_ms);
    resume = resume_asked(w);
    goes_on(w, &resume);
    assert_int_equal(world_state(w), RUN_SHUTDOWN);
    world_end(w);
}

/* Raised by a restore, and ours: it goes on under the lease as it is now. */
TEST(a_raised_lease_lets_it_go_on)
{
    struct world *w = woken();
    w->lease.generation = UINT64_C(5) << 32;
    struct action resume = resume_asked(w);
    goes_on(w, &resume);
    assert_int_equal(world_run(w)->lease.generation, UINT64_C(5) << 32);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_own_lease_is_read),
        cmocka_unit_test(each_step_is_told),
        cmocka_unit_test(the_domain_of_that_mark_goes_on),
        cmocka_unit_test(an_answer_that_never_comes_is_asked_for_again),
        cmocka_unit_test(asked_again_after_a_while),
        cmocka_unit_test(a_lease_not_found_ends_nothing),
        cmocka_unit_test(a_lease_that_went_to_another_is_left_to_him),
        cmocka_unit_test(a_changed_lease_of_ours_is_given_back),
        cmocka_unit_test(goes_on_time_and_again),
        cmocka_unit_test(its_time_to_shut_down_stood_still_too),
        cmocka_unit_test(a_refused_resume_gives_no_time),
        cmocka_unit_test(a_raised_lease_lets_it_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
