/* One VM's part of the barrier: nothing is handed on that is not blocked. */
#include "fencing/timing.h"
#include "storage/barrier.h"
#include "storage/lease.h"
#include "tests/unit/unit.h"

#define HOLDER 3

struct position {
    struct unit_alone *alone;
    struct settings settings;
    struct uuid cluster;
    struct barrier barrier;
};

static struct position *begun(bool again)
{
    struct position *p = calloc(1, sizeof(*p));
    struct uuid vm = unit_uuid(2);
    struct client address = unit_client(HOLDER, 0);
    p->alone = unit_alone_new();
    p->settings = settings_default();
    p->cluster = unit_uuid(1);
    barrier_init(&p->barrier, 5, &vm, &address, again);
    return p;
}

static void end(struct position *p)
{
    free(p->alone);
    free(p);
}

static struct lease held(uint64_t generation)
{
    struct uuid cluster = unit_uuid(1);
    struct uuid vm = unit_uuid(2);
    struct clients clients = {0};
    struct client client = unit_client(HOLDER, 71);
    struct lease lease = lease_take(&cluster, &vm, generation - 2, HOLDER,
                                    (struct incarnation){1, 3}, (struct action_id){2, 1});
    (void)clients_add(&clients, &client);
    return lease_name(&lease, &clients);
}

static const struct action *carry_on(struct position *p)
{
    p->alone->out.count = 0;
    barrier_carry_on(&p->barrier, &p->settings, &p->alone->caller);
    return p->alone->out.count == 0 ? NULL : &p->alone->out.list[0];
}

static void lease_answer(struct position *p, enum outcome outcome, const struct lease *lease)
{
    struct event event = {.kind = EVENT_LEASE, .id = p->barrier.call.id};
    event.now_ms = p->alone->caller.now_ms;
    event.lease.outcome = outcome;
    event.lease.has_lease = lease != NULL;
    if (lease != NULL) {
        event.lease.lease = *lease;
    }
    assert_true(barrier_on_lease(&p->barrier, &event, &p->cluster, &p->settings));
}

static void block_answer(struct position *p, enum outcome outcome)
{
    struct event event = {.kind = EVENT_BLOCK, .id = p->barrier.call.id};
    event.now_ms = p->alone->caller.now_ms;
    event.block.outcome = outcome;
    assert_true(barrier_on_block(&p->barrier, &event, &p->settings));
}

static void watchers_answer(struct position *p, enum outcome outcome, const struct clients *clients)
{
    struct event event = {.kind = EVENT_WATCHERS, .id = p->barrier.call.id};
    event.now_ms = p->alone->caller.now_ms;
    event.watchers.outcome = outcome;
    event.watchers.clients = *clients;
    assert_true(barrier_on_watchers(&p->barrier, &event, &p->settings));
}

/* Reads the lease and has its clients blocked. */
static void raise(struct position *p, const struct lease *lease)
{
    assert_int_equal(carry_on(p)->kind, ACTION_LEASE_READ);
    lease_answer(p, OUTCOME_DONE, lease);
    assert_int_equal(carry_on(p)->kind, ACTION_BLOCK_ADD);
    block_answer(p, OUTCOME_DONE);
}

/* The generation a takeover may compare against is the one whose clients were blocked. */
TEST(the_blocked_generation_is_handed_on)
{
    struct position *p = begun(false);
    struct lease lease = held(44);
    assert_int_equal(carry_on(p)->kind, ACTION_LEASE_READ);
    lease_answer(p, OUTCOME_DONE, &lease);
    const struct action *block = carry_on(p);
    assert_int_equal(block->kind, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&block->block, unit_client(HOLDER, 71)));
    assert_int_equal(block->valid_until_ms, p->alone->caller.valid_until_ms);
    block_answer(p, OUTCOME_DONE);
    assert_int_equal(p->barrier.state, BARRIER_STANDS);
    assert_int_equal(p->barrier.lease.generation, 44);
    end(p);
}

/* The barrier does not stand on any answer but "done". */
TEST(only_done_makes_it_stand)
{
    for (int outcome = OUTCOME_REFUSED; outcome < OUTCOME_COUNT; outcome++) {
        struct position *p = begun(false);
        struct lease lease = held(44);
        carry_on(p);
        lease_answer(p, OUTCOME_DONE, &lease);
        carry_on(p);
        block_answer(p, (enum outcome)outcome);
        assert_int_not_equal(p->barrier.state, BARRIER_STANDS);
        end(p);
    }
}

/* A failed barrier is raised from the start: the lease is read anew, as it may have changed. */
TEST(after_a_failure_the_lease_is_read_anew)
{
    struct position *p = begun(false);
    struct lease lease = held(44);
    carry_on(p);
    lease_answer(p, OUTCOME_DONE, &lease);
    carry_on(p);
    block_answer(p, OUTCOME_UNKNOWN);
    unit_alone_at(p->alone, p->alone->caller.now_ms + p->settings.retry_ms / 4 - 1);
    assert_null(carry_on(p));
    unit_alone_at(p->alone, p->alone->caller.now_ms + 1);
    const struct action *read = carry_on(p);
    assert_int_equal(read->kind, ACTION_LEASE_READ);
    assert_int_equal(read->valid_until_ms, 0); /* asking is never too late */
    lease_answer(p, OUTCOME_DONE, &lease);
    assert_int_equal(carry_on(p)->kind, ACTION_WATCHERS_READ);
    end(p);
}

/* A missing lease never counts as free, nor as one a takeover may stand on. */
TEST(a_missing_lease_is_not_free)
{
    struct position *p = begun(false);
    carry_on(p);
    lease_answer(p, OUTCOME_MISSING, NULL);
    assert_true(p->barrier.missing);
    assert_int_equal(p->barrier.state, BARRIER_WAITING);
    end(p);
}

/* A lease of another cluster counts as missing, even if it says it is free. */
TEST(a_foreign_lease_is_not_free)
{
    struct position *p = begun(false);
    struct lease mine = held(44);
    struct lease lease = lease_free(&mine, END_STEAD);
    lease.cluster_id = unit_uuid(9);
    carry_on(p);
    lease_answer(p, OUTCOME_DONE, &lease);
    assert_true(p->barrier.missing);
    assert_int_not_equal(p->barrier.state, BARRIER_FREE);
    end(p);
}

/* A lease that cannot be read, by whatever outcome, is asked again and never guessed. */
TEST(an_unread_lease_is_asked_again)
{
    for (int outcome = OUTCOME_REFUSED; outcome < OUTCOME_COUNT; outcome++) {
        struct position *p = begun(false);
        struct lease lease = held(44);
        carry_on(p);
        lease_answer(p, (enum outcome)outcome, outcome == OUTCOME_REFUSED ? &lease : NULL);
        assert_int_equal(p->barrier.state, BARRIER_WAITING);
        unit_alone_at(p->alone, p->alone->caller.now_ms + p->settings.retry_ms);
        assert_int_equal(carry_on(p)->kind, ACTION_LEASE_READ);
        end(p);
    }
}

/* A lease found free needs no blocking: its holder had ended before it died. */
TEST(a_free_lease_is_free)
{
    struct position *p = begun(false);
    struct lease mine = held(44);
    struct lease lease = lease_free(&mine, END_STEAD);
    carry_on(p);
    lease_answer(p, OUTCOME_DONE, &lease);
    assert_int_equal(p->barrier.state, BARRIER_FREE);
    assert_int_equal(p->barrier.lease.generation, 45);
    assert_null(carry_on(p));
    end(p);
}

/* A lease that names no client blocks none: no guest ever ran under it. */
TEST(no_clients_need_no_entry)
{
    struct position *p = begun(false);
    struct lease lease = held(44);
    lease.clients = (struct clients){0};
    carry_on(p);
    lease_answer(p, OUTCOME_DONE, &lease);
    assert_null(carry_on(p));
    assert_int_equal(p->barrier.state, BARRIER_STANDS);
    end(p);
}

/* On the second try whoever has the images open at the dead node's address is blocked too. */
TEST(the_second_try_blocks_watchers)
{
    struct position *p = begun(true);
    struct lease lease = held(44);
    struct clients seen = {0};
    struct client there = unit_client(HOLDER, 72);
    struct client elsewhere = unit_client(1, 73);
    (void)clients_add(&seen, &there);
    (void)clients_add(&seen, &elsewhere);
    carry_on(p);
    lease_answer(p, OUTCOME_DONE, &lease);
    const struct action *ask = carry_on(p);
    assert_int_equal(ask->kind, ACTION_WATCHERS_READ);
    assert_true(uuid_equal(&ask->vm.uuid, &p->barrier.vm));
    assert_int_equal(ask->valid_until_ms, 0); /* asking is never too late */
    watchers_answer(p, OUTCOME_DONE, &seen);
    const struct action *block = carry_on(p);
    assert_int_equal(block->kind, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&block->block, unit_client(HOLDER, 71)));
    assert_true(unit_holds(&block->block, there));
    assert_false(unit_holds(&block->block, elsewhere));
    end(p);
}

/* Watchers that cannot be read keep the second try from standing. */
TEST(unread_watchers_keep_it_down)
{
    struct position *p = begun(true);
    struct lease lease = held(44);
    struct clients none = {0};
    carry_on(p);
    lease_answer(p, OUTCOME_DONE, &lease);
    carry_on(p);
    watchers_answer(p, OUTCOME_UNKNOWN, &none);
    assert_int_equal(p->barrier.state, BARRIER_WAITING);
    end(p);
}

/* Nothing is begun without freshness. */
TEST(nothing_without_freshness)
{
    struct position *p = begun(false);
    p->alone->caller.valid_until_ms = p->alone->caller.now_ms;
    assert_null(carry_on(p));
    end(p);
}

/* The lease of a VM wanted stopped is freed from the very generation that was blocked. */
TEST(freeing_compares_the_blocked_generation)
{
    struct position *p = begun(false);
    struct lease lease = held(44);
    raise(p, &lease);
    p->alone->out.count = 0;
    barrier_free(&p->barrier, &p->settings, &p->alone->caller);
    const struct action *change = unit_only(p->alone, ACTION_LEASE_CHANGE);
    assert_int_equal(change->lease.lease.generation, 45);
    assert_int_equal(change->lease.lease.state, LEASE_FREE);
    assert_true(change->lease.wait_map);
    assert_int_equal(change->valid_until_ms, p->alone->caller.valid_until_ms);
    struct lease written = change->lease.lease;
    lease_answer(p, OUTCOME_DONE, &written);
    assert_int_equal(p->barrier.state, BARRIER_FREE);
    end(p);
}

/* A freeing that was refused goes back to reading: the holder had changed the lease. */
TEST(a_refused_freeing_starts_over)
{
    struct position *p = begun(false);
    struct lease lease = held(44);
    raise(p, &lease);
    barrier_free(&p->barrier, &p->settings, &p->alone->caller);
    struct lease other = held(45);
    lease_answer(p, OUTCOME_REFUSED, &other);
    assert_int_equal(p->barrier.state, BARRIER_WAITING);
    end(p);
}

/* Freeing before the barrier stands is a programmer's error. */
TEST(freeing_needs_a_standing_barrier)
{
    struct position *p = begun(false);
    expect_assert_failure(barrier_free(&p->barrier, &p->settings, &p->alone->caller));
    end(p);
}

/* An edge that never answers is waited for no longer than its deadline and a little. */
TEST(an_answer_that_never_comes)
{
    struct position *p = begun(false);
    carry_on(p);
    barrier_on_tick(&p->barrier, p->alone->caller.now_ms + p->settings.call_ms + 5000);
    unit_alone_at(p->alone, p->alone->caller.now_ms + p->settings.call_ms + 5000);
    assert_int_equal(carry_on(p)->kind, ACTION_LEASE_READ);
    end(p);
}

/* An answer to another call is left alone. */
TEST(a_stranger_is_ignored)
{
    struct position *p = begun(false);
    struct event event = {.kind = EVENT_LEASE, .id = 77};
    carry_on(p);
    assert_false(barrier_on_lease(&p->barrier, &event, &p->cluster, &p->settings));
    assert_false(barrier_on_watchers(&p->barrier, &event, &p->settings));
    assert_false(barrier_on_block(&p->barrier, &event, &p->settings));
    assert_int_equal(p->barrier.state, BARRIER_READING);
    end(p);
}

/* A lease in a move, which this version never writes, comes from outside: it must not end the
 * agent, and must not be handed on. */
TEST(a_moving_lease_neither_asserts_nor_stands)
{
    struct position *p = begun(false);
    struct lease lease = held(44);
    lease.state = LEASE_MOVING;
    carry_on(p);
    lease_answer(p, OUTCOME_DONE, &lease);
    (void)carry_on(p);
    assert_int_not_equal(p->barrier.state, BARRIER_FREE);
    assert_int_not_equal(p->barrier.state, BARRIER_STANDS);
    end(p);
}

/* What failed is counted, in a row; a lease that is missing is another matter. */
TEST(tries_that_fail_are_counted_till_it_stands)
{
    struct position *p = begun(false);
    struct lease lease = held(7);
    (void)carry_on(p);
    lease_answer(p, OUTCOME_UNKNOWN, NULL);
    assert_int_equal(p->barrier.failed_count, 1);
    p->barrier.state = BARRIER_IDLE;
    (void)carry_on(p);
    barrier_on_tick(&p->barrier, p->alone->caller.now_ms + 60000); /* no answer */
    assert_int_equal(p->barrier.failed_count, 2);
    p->barrier.state = BARRIER_IDLE;
    (void)carry_on(p);
    lease_answer(p, OUTCOME_DONE, &lease);
    assert_int_equal(p->barrier.failed_count, 2);
    p->barrier.state = BARRIER_RAISING;
    (void)carry_on(p);
    block_answer(p, OUTCOME_FAILED);
    assert_int_equal(p->barrier.failed_count, 3);
    p->barrier.state = BARRIER_RAISING;
    (void)carry_on(p);
    block_answer(p, OUTCOME_DONE);
    assert_int_equal(p->barrier.failed_count, 0);
    p->barrier.failed_count = 3;
    p->barrier.state = BARRIER_IDLE;
    (void)carry_on(p);
    lease_answer(p, OUTCOME_MISSING, NULL);
    assert_int_equal(p->barrier.failed_count, 0);
    end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_blocked_generation_is_handed_on),
        cmocka_unit_test(only_done_makes_it_stand),
        cmocka_unit_test(after_a_failure_the_lease_is_read_anew),
        cmocka_unit_test(a_missing_lease_is_not_free),
        cmocka_unit_test(a_foreign_lease_is_not_free),
        cmocka_unit_test(an_unread_lease_is_asked_again),
        cmocka_unit_test(a_free_lease_is_free),
        cmocka_unit_test(no_clients_need_no_entry),
        cmocka_unit_test(the_second_try_blocks_watchers),
        cmocka_unit_test(unread_watchers_keep_it_down),
        cmocka_unit_test(nothing_without_freshness),
        cmocka_unit_test(freeing_compares_the_blocked_generation),
        cmocka_unit_test(a_refused_freeing_starts_over),
        cmocka_unit_test(freeing_needs_a_standing_barrier),
        cmocka_unit_test(an_answer_that_never_comes),
        cmocka_unit_test(a_stranger_is_ignored),
        cmocka_unit_test(a_moving_lease_neither_asserts_nor_stands),
        cmocka_unit_test(tries_that_fail_are_counted_till_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
