/* A guest that is up and stands still: who lets it go on, and when. */
#include "agent/ends.h"
#include "fencing/timing.h"
#include "tests/unit/unit_run.h"

/* Up, and known to the state as running. */
static struct world *running(void)
{
    struct world *w = world_up();
    (void)unit_foreign(w->u);
    unit_foreign_vm(w->u, 0)->state = VM_RUNNING;
    unit_foreign_send(w->u);
    unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    world_settle(w, 400);
    w->done_count = 0;
    return w;
}

static void rule_is(struct world *w, uint32_t panic, uint32_t io_error)
{
    w->u->core.cluster.settings.guest_panic = panic;
    w->u->core.cluster.settings.guest_io_error = io_error;
}

static uint32_t count_of(const struct world *w, enum action_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->done_count; i++) {
        count += w->done[i] == kind;
    }
    return count;
}

static enum vm_trouble told(const struct world *w)
{
    const struct observation *fact = world_observation(w);
    return fact != NULL && fact->kind == OBSERVED_CONDITION ? fact->trouble : VM_TROUBLE_NONE;
}

TEST(paused_by_hand_is_told_and_left)
{
    struct world *w = running();
    unit_domain(w->u, 0, DOMAIN_PAUSED, END_UNKNOWN);
    world_settle(w, 20000);
    assert_int_equal(world_state(w), RUN_UP);
    assert_int_equal(told(w), VM_TROUBLE_PAUSED);
    assert_int_equal(count_of(w, ACTION_DOMAIN_RESUME), 0);
    unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    world_settle(w, 400);
    assert_int_equal(told(w), VM_TROUBLE_NONE);
    world_end(w);
}

/* Its storage stopped it: woken now and then, at a falling rate, each time after a new look at its
 * lease and at the blocklist. */
TEST(an_io_error_is_resumed_at_a_falling_rate)
{
    struct world *w = running();
    unit_domain(w->u, 0, DOMAIN_IO_ERROR, END_UNKNOWN);
    world_settle(w, 30000);
    assert_int_equal(told(w), VM_TROUBLE_IO_ERROR);
    uint32_t tries = count_of(w, ACTION_DOMAIN_RESUME);
    assert_in_range(tries, 3, 6);
    assert_true(count_of(w, ACTION_BLOCK_CHECK) >= tries);
    unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    world_settle(w, 2000);
    assert_int_equal(told(w), VM_TROUBLE_IO_ERROR); /* for how long? */
    world_settle(w, 5000);
    assert_int_equal(told(w), VM_TROUBLE_NONE);
    world_end(w);
}

/* ... not before a while: a storage that is away for a moment is given that moment; then as soon as
 * lease and blocklist were asked, and only while the right to let it go on holds. The domain is
 * told by the mark it bears, not by what is commanded of the VM since. */
TEST(the_first_resume_follows_its_wait_at_once)
{
    struct world *w = running();
    struct action_id mark = w->lease.action;
    unit_domain_marked(w->u, 0, DOMAIN_RUNNING, MARK_READ, mark);
    world_record(w, VM_RUNNING, OUR_SLOT); /* written anew, about the same guest */
    assert_false(action_id_equal(world_run(w)->action, mark));
    unit_domain_marked(w->u, 0, DOMAIN_IO_ERROR, MARK_READ, mark);
    uint32_t retry_ms = w->u->core.cluster.settings.retry_ms;
    world_settle(w, retry_ms - 100);
    assert_int_equal(count_of(w, ACTION_DOMAIN_RESUME), 0);
    struct action action;
    uint64_t until_ms = w->u->now_ms + 400;
    while (!unit_find(w->u, ACTION_DOMAIN_RESUME, &action)) {
        assert_true(w->u->now_ms < until_ms);
        struct action other;
        if (world_next(w, &other)) {
            world_do(w, &other);
        } else {
            unit_pass(w->u, UNIT_TICK_MS);
        }
    }
    assert_true(action_id_equal(action.vm.action, mark));
    assert_true(action.valid_until_ms > w->u->now_ms);
    world_end(w);
}

/* One that runs for a moment only, time and again, is in trouble all that time. */
TEST(calm_counts_from_the_last_standstill)
{
    struct world *w = running();
    for (unsigned i = 0; i < 3; i++) {
        unit_domain(w->u, 0, DOMAIN_IO_ERROR, END_UNKNOWN);
        world_settle(w, 400);
        unit_domain(w->u, 0, DOMAIN_RUNNING, END_UNKNOWN);
        world_settle(w, 4000);
        assert_int_equal(told(w), VM_TROUBLE_IO_ERROR);
    }
    world_settle(w, 2000);
    assert_int_equal(told(w), VM_TROUBLE_NONE);
    world_end(w);
}

/* A guest that was fenced stands still just so: nothing is told before the blocklist was asked. */
TEST(nothing_is_told_before_the_blocklist_is_seen)
{
    struct world *w = running();
    struct action action;
    unit_forget(w->u);
    unit_domain(w->u, 0, DOMAIN_IO_ERROR, END_UNKNOWN);
    action = unit_take(w->u, ACTION_BLOCK_CHECK);
    unit_pass(w->u, 400);
    assert_int_equal(told(w), VM_TROUBLE_NONE);
    world_do(w, &action);
    unit_pass(w->u, 400);
    assert_int_equal(told(w), VM_TROUBLE_IO_ERROR);
    world_end(w);
}

/* What is being ended needs nobody to let it go on. */
TEST(a_guest_being_ended_has_no_trouble)
{
    struct world *w = running();
    unit_domain(w->u, 0, DOMAIN_PAUSED, END_UNKNOWN);
    assert_int_equal(run_trouble(&w->u->core, world_run(w)), VM_TROUBLE_PAUSED);
    world_record(w, VM_STOPPING, OUR_SLOT);
    assert_int_equal(world_state(w), RUN_SHUTDOWN);
    assert_int_equal(run_trouble(&w->u->core, world_run(w)), VM_TROUBLE_NONE);
    world_end(w);
}

TEST(an_io_error_may_be_left)
{
    struct world *w = running();
    rule_is(w, GUEST_RESTART, IO_LEAVE);
    unit_domain(w->u, 0, DOMAIN_IO_ERROR, END_UNKNOWN);
    world_settle(w, 30000);
    assert_int_equal(told(w), VM_TROUBLE_IO_ERROR);
    assert_int_equal(count_of(w, ACTION_DOMAIN_RESUME), 0);
    world_end(w);
}

/* Fenced while it stood still: killed, not woken. */
TEST(a_fenced_guest_is_not_woken)
{
    struct world *w = running();
    struct client client = world_client(w);
    (void)clients_add(&w->blocked, &client);
    unit_domain(w->u, 0, DOMAIN_IO_ERROR, END_UNKNOWN);
    world_settle(w, 3000);
    assert_int_equal(count_of(w, ACTION_DOMAIN_RESUME), 0);
    assert_int_equal(count_of(w, ACTION_KILL), 1);
    world_end(w);
}

/* ... nor one whose lease went to another since. */
TEST(a_guest_without_its_lease_is_not_woken)
{
    struct world *w = running();
    unit_domain(w->u, 0, DOMAIN_IO_ERROR, END_UNKNOWN);
    world_settle(w, 400);
    uint32_t before = count_of(w, ACTION_DOMAIN_RESUME);
    w->lease.holder = 3;
    w->lease.generation++;
    world_settle(w, 5000);
    assert_int_equal(count_of(w, ACTION_DOMAIN_RESUME), before);
    assert_int_equal(count_of(w, ACTION_KILL), 1);
    world_end(w);
}

/* ... nor one before lease and blocklist were both seen anew: answers that do not come wake nobody.
 */
TEST(nothing_is_woken_unseen)
{
    const enum action_kind unanswered[] = {ACTION_LEASE_READ, ACTION_BLOCK_CHECK};
    for (unsigned i = 0; i < UNIT_COUNT(unanswered); i++) {
        struct world *w = running();
        struct action action;
        unit_domain(w->u, 0, DOMAIN_IO_ERROR, END_UNKNOWN);
        world_settle(w, 400);
        assert_int_equal(told(w), VM_TROUBLE_IO_ERROR);
        w->done_count = 0;
        for (uint64_t until_ms = w->u->now_ms + 6000; w->u->now_ms < until_ms;) {
            if (!world_next(w, &action)) {
                unit_pass(w->u, UNIT_TICK_MS);
            } else if (action.kind != unanswered[i]) {
                world_do(w, &action);
            }
        }
        assert_int_equal(count_of(w, ACTION_DOMAIN_RESUME), 0);
        world_end(w);
    }
}

/* ... nor any while we are not fresh. */
TEST(nothing_is_woken_without_fresh_quorum)
{
    struct world *w = running();
    unit_domain(w->u, 0, DOMAIN_IO_ERROR, END_UNKNOWN);
    const uint32_t alone[] = {1};
    unit_ring(w->u, false, 1, alone);
    world_settle(w, 10000);
    assert_int_equal(count_of(w, ACTION_DOMAIN_RESUME), 0);
    world_end(w);
}

TEST(a_panicked_guest_is_ended)
{
    struct world *w = running();
    rule_is(w, GUEST_STOP, IO_RESUME);
    unit_domain(w->u, 0, DOMAIN_PANICKED, END_UNKNOWN);
    world_settle(w, 2000);
    assert_false(w->alive);
    assert_int_equal(w->lease.state, LEASE_FREE);
    assert_int_equal(world_observation(w)->kind, OBSERVED_STOPPED);
    assert_int_equal(world_observation(w)->end, END_PANICKED);
    world_end(w);
}

TEST(a_panicked_guest_may_be_left)
{
    struct world *w = running();
    rule_is(w, GUEST_LEAVE, IO_RESUME);
    unit_domain(w->u, 0, DOMAIN_PANICKED, END_UNKNOWN);
    world_settle(w, 20000);
    assert_true(w->alive);
    assert_int_equal(told(w), VM_TROUBLE_PANICKED);
    rule_is(w, GUEST_RESTART, IO_RESUME); /* a rule that changes is followed */
    world_settle(w, 2000);
    assert_false(w->alive);
    world_end(w);
}

/* Each end is told as what it was; what stead ends for its own reasons, as that. */
TEST(the_end_is_told_as_it_was)
{
    const enum domain_end ends[] = {END_SHUTDOWN, END_CRASHED, END_DESTROYED, END_MIGRATED};
    for (unsigned i = 0; i < UNIT_COUNT(ends); i++) {
        struct world *w = running();
        world_settle(w, 3000);
        world_guest_ends(w, ends[i]);
        world_settle(w, 1000);
        assert_int_equal(world_observation(w)->end, ends[i]);
        assert_in_range(world_observation(w)->up_ms, 3000, 10000);
        world_end(w);
    }
    struct world *w = running();
    struct client client = world_client(w);
    (void)clients_add(&w->blocked, &client);
    unit_domain(w->u, 0, DOMAIN_IO_ERROR, END_UNKNOWN);
    world_until(w, RUN_KILL);
    unit_domain(w->u, 0, DOMAIN_GONE, END_CRASHED);
    world_settle(w, 1000);
    assert_int_equal(world_observation(w)->end, END_STEAD);
    world_end(w);
}

TEST(each_end_and_trouble_has_words)
{
    for (int end = 0; end < END_COUNT; end++) {
        assert_non_null(ends_word((enum domain_end)end));
    }
    for (int trouble = 0; trouble < VM_TROUBLE_COUNT; trouble++) {
        assert_non_null(ends_trouble_word((enum vm_trouble)trouble));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paused_by_hand_is_told_and_left),
        cmocka_unit_test(an_io_error_is_resumed_at_a_falling_rate),
        cmocka_unit_test(the_first_resume_follows_its_wait_at_once),
        cmocka_unit_test(calm_counts_from_the_last_standstill),
        cmocka_unit_test(nothing_is_told_before_the_blocklist_is_seen),
        cmocka_unit_test(a_guest_being_ended_has_no_trouble),
        cmocka_unit_test(an_io_error_may_be_left),
        cmocka_unit_test(a_fenced_guest_is_not_woken),
        cmocka_unit_test(a_guest_without_its_lease_is_not_woken),
        cmocka_unit_test(nothing_is_woken_unseen),
        cmocka_unit_test(nothing_is_woken_without_fresh_quorum),
        cmocka_unit_test(a_panicked_guest_is_ended),
        cmocka_unit_test(a_panicked_guest_may_be_left),
        cmocka_unit_test(the_end_is_told_as_it_was),
        cmocka_unit_test(each_end_and_trouble_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
