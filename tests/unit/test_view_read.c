/* What makes the copy newer, or shows what is wrong with the object: polls, whole reads, deltas. */
#include "agent/view.h"
#include "tests/unit/unit_core.h"

#define N3_SLOT 2

static struct unit *started(uint32_t self)
{
    struct unit *u = unit_new(self);
    unit_start(u);
    unit_pass(u, 600);
    unit_forget(u);
    return u;
}

/* The poll that is under way next. */
static struct event next_poll(struct unit *u, enum outcome outcome)
{
    u->polls_hang = true;
    while (!call_open(&u->core.local.storage.poll_call)) {
        unit_pass(u, UNIT_TICK_MS);
    }
    struct event event = unit_event(EVENT_POLL, u->core.local.storage.poll_call.id);
    event.poll.outcome = outcome;
    event.poll.header = u->core.cluster.header;
    return event;
}

/* A whole read begins, of what the copy is now. */
static struct action read_begins(struct unit *u)
{
    u->image = u->core.cluster;
    u->core.local.storage.stale = true;
    return unit_take(u, ACTION_STATE_READ);
}

/* No cluster was made yet, and polls are not answered. */
static struct unit *empty_pool(void)
{
    struct unit *u = unit_new(2);
    u->polls_hang = true;
    u->facts.incarnation = (struct incarnation){0};
    u->image.header.digest = state_digest(&u->image);
    core_init(&u->core, &u->facts, u->now_ms);
    unit_ring(u, true, 3, u->ring.nodeids);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_DONE, unit_client(2, 999));
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_MISSING);
    assert_true(u->core.local.storage.missing);
    return u;
}

/* RADOS answered, if not with a header; of any other failure nothing is known. */
TEST(a_header_that_cannot_be_read_is_an_answer)
{
    for (unsigned garbled = 0; garbled < 2; garbled++) {
        struct unit *u = started(2);
        struct storage_view *storage = &u->core.local.storage;
        struct event event = next_poll(u, OUTCOME_FAILED);
        event.poll.garbled = garbled != 0;
        storage->good_ms = 1;
        unit_step(u, &event);
        assert_int_equal(storage->trouble, garbled ? STATE_GARBLED : STATE_WELL);
        assert_int_equal(storage->good_ms, garbled ? u->now_ms : 1);
        free(u);
    }
}

/* For whoever has to find out which stead.conf or Corosync is the wrong one. */
TEST(whose_object_it_is_instead_is_kept)
{
    struct unit *u = unit_new(2);
    snprintf(u->ring.cluster, NAME_BYTES, "lab");
    unit_start(u);
    struct event event = next_poll(u, OUTCOME_DONE);
    snprintf(event.poll.header.corosync, NAME_BYTES, "prod");
    unit_step(u, &event);
    assert_int_equal(u->core.local.storage.trouble, STATE_ELSEWHERE);
    assert_string_equal(u->core.local.storage.elsewhere, "prod");
    free(u);
}

/* What the others held when it was sent, no header may be older than. */
TEST(a_poll_older_than_anothers_copy_is_seen)
{
    struct unit *u = started(2);
    u->peers[3].epoch = u->core.cluster.header.epoch;
    u->peers[3].version = u->core.cluster.header.version + 1;
    unit_pass(u, 1000);
    struct event event = next_poll(u, OUTCOME_DONE);
    unit_step(u, &event);
    assert_int_equal(u->core.local.storage.trouble, STATE_OLDER);
    free(u);
}

TEST(polls_and_reads_never_answered_are_tried_again)
{
    struct unit *u = started(2);
    (void)next_poll(u, OUTCOME_DONE);
    uint64_t poll_id = u->core.local.storage.poll_call.id;
    struct action read = read_begins(u);
    unit_pass(u, u->core.cluster.settings.call_ms + 3000);
    assert_true(unit_take(u, ACTION_STATE_READ).id > read.id);
    assert_true(u->core.local.storage.poll_call.id > poll_id);
    free(u);
}

/* It has had an answer with that, which is told; and what the object is like is asked at once. */
TEST(a_new_handle_is_used_at_once)
{
    struct unit *u = started(2);
    struct storage_view *storage = &u->core.local.storage;
    struct event event = next_poll(u, OUTCOME_BLOCKLISTED);
    unit_step(u, &event);
    struct action kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 0);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    assert_int_equal(open.deadline_ms, u->now_ms + 2 * u->core.cluster.settings.call_ms);
    while (u->core.local.beat_last_ms != u->now_ms) {
        unit_pass(u, UNIT_TICK_MS);
    }
    u->now_ms += 10;
    assert_true(u->now_ms < storage->next_poll_ms);
    unit_handle(u, &open, OUTCOME_DONE, unit_client(2, 998));
    unit_tick(u);
    assert_int_equal(storage->good_ms, u->now_ms);
    assert_true(call_open(&storage->poll_call));
    assert_int_equal(u->core.local.beat_last_ms, u->now_ms);
    free(u);
}

/* Somebody makes a cluster: a poll shows it, or a whole read. */
TEST(what_was_missing_is_there)
{
    struct unit *u = empty_pool();
    struct storage_view *storage = &u->core.local.storage;
    struct event event = next_poll(u, OUTCOME_DONE);
    event.poll.header = u->image.header;
    unit_step(u, &event);
    assert_false(storage->missing);
    free(u);
    u = empty_pool();
    storage = &u->core.local.storage;
    storage->stale = true;
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_DONE);
    assert_false(storage->missing);
    assert_int_equal(u->core.cluster.header.version, u->image.header.version);
    free(u);
}

/* A change without what it changes is nothing; that there is a cluster the object tells. */
TEST(without_a_copy_a_delta_is_nothing)
{
    struct unit *u = empty_pool();
    (void)unit_foreign(u);
    u->foreign.header.version += 5;
    unit_foreign_send(u);
    assert_int_equal(u->core.cluster.header.version, 0);
    assert_false(u->core.local.storage.stale);
    free(u);
}

/* The first version of a cluster is as good as any: not read over and over, and deltas follow. */
TEST(a_copy_of_the_first_version_is_one)
{
    struct unit *u = unit_new(2);
    u->image.header.version = 1;
    unit_start(u);
    unit_pass(u, 1000);
    unit_none(u, ACTION_STATE_READ);
    (void)unit_foreign(u);
    unit_foreign_send(u);
    assert_int_equal(u->core.cluster.header.version, 2);
    free(u);
}

/* It is the newest there is; told twice, as one's own is, it is no sign of a gap. */
TEST(a_delta_brings_the_newest)
{
    struct unit *u = started(2);
    u->core.local.storage.newest_ms = 1;
    (void)unit_foreign(u);
    unit_foreign_send(u);
    assert_int_equal(u->core.local.storage.newest_ms, u->now_ms);
    struct event event = unit_event(EVENT_DELTA, 0);
    event.delta = &u->foreign;
    unit_step(u, &event);
    assert_false(u->core.local.storage.stale);
    free(u);
}

/* Pages of before and after a commit whose delta came: that is kept, and makes them one version. */
TEST(a_read_under_commits_comes_out)
{
    struct unit *u = started(2);
    struct storage_view *storage = &u->core.local.storage;
    struct action read = read_begins(u);
    (void)unit_foreign(u);
    unit_foreign_node(u, N3_SLOT)->memory_mib = 7;
    unit_foreign_send(u);
    struct event event = unit_event(EVENT_STATE, read.id);
    event.state.outcome = OUTCOME_DONE;
    event.state.first = u->image.header;
    event.state.last = u->core.cluster.header;
    event.state.image = &u->image;
    unit_step(u, &event);
    assert_false(storage->stale);
    assert_int_equal(u->core.cluster.nodes[N3_SLOT].memory_mib, 7);
    (void)read_begins(u);
    assert_int_equal(storage->reload.count, 0); /* the next one has room for as many */
    free(u);
}

/* No damage: commits that we know nothing of got in between. */
TEST(a_mixture_is_read_again_at_once)
{
    struct unit *u = started(2);
    struct action read = read_begins(u);
    struct event event = unit_event(EVENT_STATE, read.id);
    event.state.outcome = OUTCOME_DONE;
    event.state.first = u->image.header;
    event.state.last = u->image.header;
    event.state.last.version++;
    event.state.image = &u->image;
    unit_step(u, &event);
    assert_int_equal(unit_logged(u, ACTION_STATE_READ), 1);
    assert_int_equal(u->core.local.storage.trouble, STATE_WELL);
    free(u);
}

/* Our own commit took effect before its delta came back to us. */
TEST(a_read_that_our_commit_overtook_is_passed_over)
{
    struct unit *u = unit_new(1);
    unit_start(u);
    struct action read = read_begins(u);
    unit_commit(u);
    uint64_t version = u->core.cluster.header.version;
    assert_int_equal(version, u->image.header.version + 1);
    unit_state_is(u, &read, OUTCOME_DONE);
    assert_int_equal(u->core.cluster.header.version, version);
    assert_int_equal(u->core.cluster.header.actor, 1);
    free(u);
}

/* A read that failed is not tried at once; one that was refused for good says so. */
TEST(a_failed_read_is_tried_again_in_a_while)
{
    struct unit *u = started(2);
    struct action read = read_begins(u);
    unit_state_is(u, &read, OUTCOME_FAILED);
    unit_pass(u, 240);
    unit_none(u, ACTION_STATE_READ);
    unit_pass(u, UNIT_TICK_MS);
    read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_BLOCKLISTED);
    assert_true(u->core.local.storage.blocklisted);
    free(u);
}

/* Who acts finds what of it differs from the copy; once that is written anew, all is well. */
TEST(damage_is_compared_and_then_gone)
{
    struct unit *u = unit_new(1);
    unit_start(u);
    unit_settle(u, 1000);
    u->core.local.storage.look = true;
    struct action read = unit_take(u, ACTION_STATE_READ);
    u->image = u->core.cluster;
    u->image.nodes[N3_SLOT].memory_mib++;
    unit_state_is(u, &read, OUTCOME_DONE);
    assert_int_equal(u->core.local.storage.trouble, STATE_DAMAGED);
    unit_commit(u);
    assert_int_equal(u->delta.records[0].kind, RECORD_NODE);
    assert_int_equal(u->delta.records[0].slot, N3_SLOT);
    read = read_begins(u);
    unit_state_is(u, &read, OUTCOME_DONE);
    assert_int_equal(u->core.local.storage.trouble, STATE_WELL);
    free(u);
}

/* Nothing of a damaged object is newer than a copy of the same version: it is waited for no more.
 * A copy of another version, or one that went astray, waits. */
TEST(a_damaged_object_is_not_waited_for_by_its_newest_copy)
{
    enum which { SAME, NEWER, OTHER_EPOCH, ASTRAY, WHICH_COUNT };
    for (enum which which = SAME; which < WHICH_COUNT; which++) {
        struct unit *u = started(2);
        struct action read = read_begins(u);
        u->image.nodes[N3_SLOT].memory_mib++;
        u->image.header.version += which == NEWER;
        u->image.header.epoch += which == OTHER_EPOCH;
        u->core.cluster.nodes[N3_SLOT].memory_mib += which == ASTRAY ? 2 : 0;
        unit_state_is(u, &read, OUTCOME_DONE);
        assert_int_equal(u->core.local.storage.trouble, STATE_DAMAGED);
        assert_int_equal(u->core.local.storage.stale, which != SAME);
        assert_int_equal(u->core.local.acting.mend_count, 0); /* we do not act */
        free(u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_that_cannot_be_read_is_an_answer),
        cmocka_unit_test(whose_object_it_is_instead_is_kept),
        cmocka_unit_test(a_poll_older_than_anothers_copy_is_seen),
        cmocka_unit_test(polls_and_reads_never_answered_are_tried_again),
        cmocka_unit_test(a_new_handle_is_used_at_once),
        cmocka_unit_test(what_was_missing_is_there),
        cmocka_unit_test(without_a_copy_a_delta_is_nothing),
        cmocka_unit_test(a_copy_of_the_first_version_is_one),
        cmocka_unit_test(a_delta_brings_the_newest),
        cmocka_unit_test(a_read_under_commits_comes_out),
        cmocka_unit_test(a_mixture_is_read_again_at_once),
        cmocka_unit_test(a_read_that_our_commit_overtook_is_passed_over),
        cmocka_unit_test(a_failed_read_is_tried_again_in_a_while),
        cmocka_unit_test(damage_is_compared_and_then_gone),
        cmocka_unit_test(a_damaged_object_is_not_waited_for_by_its_newest_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
