/* Our way to the committed state: the handle, the copy, and what may make it newer. We are n2. */
#include "agent/view.h"
#include "tests/unit/unit_core.h"

#define OUR_SLOT 1

static struct unit *started(void)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    unit_pass(u, 600);
    unit_forget(u);
    return u;
}

/* A poll answered with that outcome or header. */
static void poll(struct unit *u, enum outcome outcome, const struct header *header)
{
    u->polls_hang = true;
    while (u->core.local.storage.poll_call.id == 0) {
        unit_pass(u, UNIT_TICK_MS);
    }
    struct event event = unit_event(EVENT_POLL, u->core.local.storage.poll_call.id);
    event.poll.outcome = outcome;
    if (header != NULL) {
        event.poll.header = *header;
    }
    unit_step(u, &event);
    u->polls_hang = false;
}

/* The pool has moved on by one version behind our back. */
static void pool_moves_on(struct unit *u)
{
    u->image = u->core.cluster;
    u->image.header.version++;
    u->image.nodes[2].memory_mib++;
    u->image.header.commit.counter++;
    u->image.header.digest = state_digest(&u->image);
}

/* Blocklisted, the handle is closed, and none is opened while a guest of ours may live. */
TEST(no_new_handle_before_hands_are_empty)
{
    struct unit *u = started();
    poll(u, OUTCOME_BLOCKLISTED, NULL);
    assert_int_equal(u->core.local.storage.handle, HANDLE_NONE);
    assert_false(u->core.local.beat.able && u->core.local.storage.handle == HANDLE_OPEN);
    unit_pass(u, 2000);
    unit_none(u, ACTION_HANDLE_OPEN);
    struct action kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 1);
    unit_pass(u, 100);
    unit_none(u, ACTION_HANDLE_OPEN);
    kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 0);
    (void)unit_take(u, ACTION_HANDLE_OPEN);
    free(u);
}

/* A late answer to a call of the handle before says nothing about the present one. */
TEST(a_late_answer_of_the_old_handle_is_ignored)
{
    struct unit *u = started();
    uint64_t old_id = u->core.local.next_id;
    poll(u, OUTCOME_BLOCKLISTED, NULL);
    struct action kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 0);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_DONE, unit_client(2, 999));
    struct event late = unit_event(EVENT_BLOCK, old_id);
    late.block.outcome = OUTCOME_BLOCKLISTED;
    unit_step(u, &late);
    late = unit_event(EVENT_LEASE, old_id);
    late.lease.outcome = OUTCOME_BLOCKLISTED;
    unit_step(u, &late);
    assert_int_equal(u->core.local.storage.handle, HANDLE_OPEN);
    assert_false(u->core.local.storage.blocklisted);
    free(u);
}

/* A handle that could not be opened is tried again after a while, not at once. */
TEST(a_failed_open_is_tried_again)
{
    struct unit *u = unit_new(2);
    core_init(&u->core, &u->facts, u->now_ms);
    unit_tick(u);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_FAILED, (struct client){{0}});
    unit_pass(u, 500);
    unit_none(u, ACTION_HANDLE_OPEN);
    (void)unit_take(u, ACTION_HANDLE_OPEN);
    free(u);
}

/* A handle that is never answered is tried again. */
TEST(an_open_never_answered_is_tried_again)
{
    struct unit *u = unit_new(2);
    core_init(&u->core, &u->facts, u->now_ms);
    unit_tick(u);
    (void)unit_take(u, ACTION_HANDLE_OPEN);
    unit_pass(u, 20000);
    (void)unit_take(u, ACTION_HANDLE_OPEN);
    free(u);
}

/* Opening a handle by a blocklisted address says that we are blocklisted. */
TEST(a_blocklisted_open_is_blocklisted)
{
    struct unit *u = unit_new(2);
    core_init(&u->core, &u->facts, u->now_ms);
    unit_tick(u);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_BLOCKLISTED, (struct client){{0}});
    assert_true(u->core.local.storage.blocklisted);
    (void)unit_take(u, ACTION_KILL);
    free(u);
}

/* A poll that shows a newer version makes the state be read. */
TEST(a_newer_header_is_read)
{
    struct unit *u = started();
    pool_moves_on(u);
    poll(u, OUTCOME_DONE, &u->image.header);
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_DONE);
    assert_int_equal(u->core.cluster.header.version, u->image.header.version);
    free(u);
}

/* A header of another epoch makes it be read, whatever its version. */
TEST(another_epoch_is_read)
{
    struct unit *u = started();
    struct header header = u->core.cluster.header;
    header.epoch = 2;
    header.version = 1;
    poll(u, OUTCOME_DONE, &header);
    (void)unit_take(u, ACTION_STATE_READ);
    free(u);
}

/* An image whose digest is wrong is never taken, and is read again. */
TEST(a_damaged_image_is_read_again)
{
    struct unit *u = started();
    uint64_t version = u->core.cluster.header.version;
    pool_moves_on(u);
    u->image.header.digest ^= 1;
    poll(u, OUTCOME_DONE, &u->image.header);
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_DONE);
    assert_int_equal(u->core.cluster.header.version, version);
    assert_int_equal(u->core.local.storage.trouble, STATE_DAMAGED);
    unit_none(u, ACTION_STATE_READ); /* in a while, not at once */
    unit_pass(u, 500);
    (void)unit_take(u, ACTION_STATE_READ);
    free(u);
}

/* The copy never goes back: an image older than what deltas brought is passed over. */
TEST(the_copy_never_goes_back)
{
    struct unit *u = started();
    u->image = u->core.cluster; /* the pages are read now ... */
    struct header newer = u->core.cluster.header;
    newer.version++;
    poll(u, OUTCOME_DONE, &newer);
    struct action read = unit_take(u, ACTION_STATE_READ);
    (void)unit_foreign(u);
    unit_foreign_node(u, 2)->memory_mib = 7;
    unit_foreign_send(u); /* ... and this comes in between */
    uint64_t version = u->core.cluster.header.version;
    unit_state_is(u, &read, OUTCOME_DONE);
    assert_int_equal(u->core.cluster.header.version, version);
    assert_int_equal(u->core.cluster.nodes[2].memory_mib, 7);
    free(u);
}

/* A delta that follows is applied; one that skips a version makes the state be read. */
TEST(deltas_are_applied_in_order)
{
    struct unit *u = started();
    uint64_t version = u->core.cluster.header.version;
    (void)unit_foreign(u);
    unit_foreign_node(u, 2)->memory_mib = 7;
    unit_foreign_send(u);
    assert_int_equal(u->core.cluster.header.version, version + 1);
    unit_none(u, ACTION_STATE_READ);
    (void)unit_foreign(u)->header.version++;
    unit_foreign_send(u);
    assert_int_equal(u->core.cluster.header.version, version + 1);
    (void)unit_take(u, ACTION_STATE_READ);
    free(u);
}

/* A delta of an older term, or one already applied, changes nothing. */
TEST(old_deltas_change_nothing)
{
    struct unit *u = started();
    (void)unit_foreign(u);
    u->foreign.base_term--;
    unit_foreign_node(u, 2)->memory_mib = 7;
    u->foreign.header.term--;
    unit_foreign_send(u);
    assert_int_not_equal(u->core.cluster.nodes[2].memory_mib, 7);
    free(u);
}

/* A delta that does not come out at its digest makes the state be read again. */
TEST(a_delta_gone_astray_is_read_again)
{
    struct unit *u = started();
    (void)unit_foreign(u);
    unit_foreign_node(u, 2)->memory_mib = 7;
    u->foreign.header.digest = 12345;
    struct event event = unit_event(EVENT_DELTA, 0);
    event.delta = &u->foreign;
    unit_step(u, &event);
    (void)unit_take(u, ACTION_STATE_READ);
    free(u);
}

/* Lost storage answers are no answers: the copy stays, and polling goes on. */
TEST(polling_goes_on)
{
    struct unit *u = started();
    for (unsigned i = 0; i < 5; i++) {
        poll(u, OUTCOME_UNKNOWN, NULL);
    }
    assert_int_equal(u->core.cluster.header.version, u->image.header.version);
    unit_pass(u, 1200);
    assert_true(u->core.local.storage.good_ms + 600 > u->now_ms);
    free(u);
}

/* Only what RADOS itself said counts as its answer: "refused" and "not there" do, silence does not.
 */
TEST(silence_is_no_good_answer)
{
    static const struct {
        enum outcome outcome;
        bool good;
    } cases[] = {
        {OUTCOME_DONE, true},     {OUTCOME_REFUSED, true}, {OUTCOME_MISSING, true},
        {OUTCOME_UNKNOWN, false}, {OUTCOME_FAILED, false}, {OUTCOME_STALE, false},
    };
    for (unsigned i = 0; i < UNIT_COUNT(cases); i++) {
        struct unit *u = started();
        u->core.local.storage.good_ms = 1;
        view_note(&u->core, u->core.local.storage.handle_id + 1, cases[i].outcome);
        assert_int_equal(u->core.local.storage.good_ms != 1, cases[i].good);
        free(u);
    }
}

/* An agent restarted within its life blocks its predecessor's handle before its own is announced.
 */
TEST(the_predecessor_is_blocked_first)
{
    struct unit *u = unit_new(2);
    unit_open(u, unit_client(2, 999));
    unit_ring(u, true, 3, u->ring.nodeids);
    unit_domains(u);
    unit_pass(u, 300);
    assert_true(client_is_none(&u->core.local.beat.client));
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_int_equal(block.block.count, 1);
    assert_true(unit_holds(&block.block, unit_client(2, 200)));
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_pass(u, 300);
    struct client own = unit_client(2, 999);
    assert_true(client_equal(&u->core.local.beat.client, &own));
    free(u);
}

/* What was ended is not what the state has of us now: another one of ours was recorded late. */
TEST(one_recorded_meanwhile_is_ended_too)
{
    struct unit *u = unit_new(2);
    unit_open(u, unit_client(2, 999));
    unit_ring(u, true, 3, u->ring.nodeids);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
    (void)unit_foreign(u);
    unit_foreign_node(u, 1)->client = unit_client(2, 555);
    unit_foreign_send(u);
    unit_pass(u, 300);
    assert_true(client_is_none(&u->core.local.beat.client));
    block = unit_take(u, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&block.block, unit_client(2, 555)));
    free(u);
}

/* With a new handle that is asked for anew: the answer to the old one may never come. */
TEST(a_new_handle_blocks_the_predecessor_anew)
{
    struct unit *u = unit_new(2);
    unit_open(u, unit_client(2, 999));
    unit_ring(u, true, 3, u->ring.nodeids);
    (void)unit_take(u, ACTION_BLOCK_ADD);
    poll(u, OUTCOME_BLOCKLISTED, NULL);
    struct action kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 0);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_DONE, unit_client(2, 998));
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_DONE);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&block.block, unit_client(2, 200)));
    free(u);
}

/* Before it has read the state it does not know whether it has a predecessor. */
TEST(no_handle_is_announced_before_the_state_is_read)
{
    struct unit *u = unit_new(2);
    core_init(&u->core, &u->facts, u->now_ms);
    unit_ring(u, true, 3, u->ring.nodeids);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_DONE, unit_client(2, 999));
    unit_pass(u, 300);
    assert_int_equal(u->core.cluster.header.version, 0);
    assert_true(client_is_none(&u->core.local.beat.client));
    free(u);
}

/* While that blocking is not known to stand, the new handle stays unannounced. */
TEST(an_unblocked_predecessor_keeps_us_quiet)
{
    struct unit *u = unit_new(2);
    unit_open(u, unit_client(2, 999));
    unit_ring(u, true, 3, u->ring.nodeids);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_UNKNOWN, 0);
    unit_pass(u, 200);
    assert_true(client_is_none(&u->core.local.beat.client));
    assert_false(u->core.local.beat.able);
    (void)unit_take(u, ACTION_BLOCK_ADD);
    free(u);
}

/* No cluster in the pool: nothing is read over and over, and we stand outside. */
TEST(an_empty_pool_is_missing)
{
    struct unit *u = unit_new(2);
    u->polls_hang = true;
    u->facts.incarnation = (struct incarnation){0};
    core_init(&u->core, &u->facts, u->now_ms);
    unit_ring(u, true, 3, u->ring.nodeids);
    unit_tick(u);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_DONE, unit_client(2, 999));
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_MISSING);
    assert_true(u->core.local.storage.missing);
    assert_int_equal(u->core.local.life.state, LIFE_UNKNOWN); /* the others may hold a copy */
    unit_pass(u, 1100);
    assert_int_equal(u->core.local.life.state, LIFE_OUTSIDE);
    unit_none(u, ACTION_STATE_READ);
    free(u);
}

/* An incarnation in /run/stead, or a copy held by another: then the object is gone, and there was a
 * cluster. Nobody is killed for it. */
TEST(not_there_is_not_never)
{
    for (int by_peer = 0; by_peer < 2; by_peer++) {
        struct unit *u = unit_new(2);
        u->polls_hang = true;
        u->facts.incarnation = (struct incarnation){by_peer ? 0 : 1, by_peer ? 0 : 2};
        core_init(&u->core, &u->facts, u->now_ms);
        unit_ring(u, true, 3, u->ring.nodeids);
        unit_tick(u);
        struct action open = unit_take(u, ACTION_HANDLE_OPEN);
        u->peers[1].epoch = by_peer ? 1 : 0;
        u->peers[1].version = by_peer ? 5 : 0;
        unit_pass(u, 500);
        unit_handle(u, &open, OUTCOME_DONE, unit_client(2, 999));
        struct action read = unit_take(u, ACTION_STATE_READ);
        unit_state_is(u, &read, OUTCOME_MISSING);
        assert_false(u->core.local.storage.missing);
        assert_int_equal(u->core.local.storage.trouble, STATE_GONE);
        unit_pass(u, 2000);
        assert_int_equal(u->core.local.life.state, LIFE_UNKNOWN);
        unit_none(u, ACTION_KILL);
        free(u);
    }
}

/* The pool shows another object than lawfully could be: we keep our copy and decide nothing. */
TEST(an_older_or_foreign_object_is_left_alone)
{
    static const enum state_trouble troubles[] = {STATE_OLDER, STATE_FOREIGN};
    for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
        struct unit *u = started();
        struct header copy = u->core.cluster.header;
        struct header wrong = copy;
        if (troubles[i] == STATE_OLDER) {
            wrong.digest++;
        } else {
            wrong.version += 5;
            wrong.cluster_id = unit_uuid(0x77);
        }
        poll(u, OUTCOME_DONE, &wrong);
        assert_int_equal(u->core.local.storage.trouble, troubles[i]);
        assert_false(u->core.local.storage.stale);
        unit_none(u, ACTION_STATE_READ);
        poll(u, OUTCOME_DONE, &copy);
        assert_int_equal(u->core.local.storage.trouble, STATE_WELL);
        free(u);
    }
}

/* Without a copy of our own, an image older than another's copy is not taken. */
TEST(an_image_older_than_anothers_copy_is_not_taken)
{
    struct unit *u = unit_new(2);
    u->polls_hang = true;
    u->image.header.digest = state_digest(&u->image);
    core_init(&u->core, &u->facts, u->now_ms);
    unit_tick(u);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_ring(u, true, 3, u->ring.nodeids);
    u->peers[3].epoch = u->image.header.epoch;
    u->peers[3].version = u->image.header.version + 1;
    unit_pass(u, 500);
    unit_handle(u, &open, OUTCOME_DONE, unit_client(2, 999));
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_DONE);
    assert_int_equal(u->core.cluster.header.version, 0);
    assert_int_equal(u->core.local.storage.trouble, STATE_OLDER);
    free(u);
}

/* A stead.conf that names another cluster's pool: our node id is there, our life is not. Nothing of
 * it is taken, so nothing here is ended and nobody there is fenced. */
TEST(another_clusters_pool_is_not_read)
{
    static const struct {
        const char *corosync; /* in the state */
        uint8_t cluster;      /* of the life in /run/stead; 0: none is there */
        enum state_trouble trouble;
    } pools[] = {{"prod", 0, STATE_ELSEWHERE},
                 {"prod", 0xc1, STATE_ELSEWHERE},
                 {"lab", 0x77, STATE_FOREIGN},
                 {"lab", 0xc1, STATE_WELL}};
    for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
        struct unit *u = unit_new(2);
        unit_vm(u, 0, VM_RUNNING, 0);
        snprintf(u->image.header.corosync, NAME_BYTES, "%s", pools[i].corosync);
        snprintf(u->ring.cluster, NAME_BYTES, "lab");
        if (pools[i].cluster == 0) {
            u->facts.incarnation = (struct incarnation){0};
        } else {
            u->facts.cluster_id = unit_uuid(pools[i].cluster);
        }
        u->image.header.digest = state_digest(&u->image);
        core_init(&u->core, &u->facts, u->now_ms);
        unit_ring(u, true, 3, u->ring.nodeids);
        unit_tick(u);
        struct action open = unit_take(u, ACTION_HANDLE_OPEN);
        unit_handle(u, &open, OUTCOME_DONE, unit_client(2, 999));
        struct action read = unit_take(u, ACTION_STATE_READ);
        unit_state_is(u, &read, OUTCOME_DONE);
        assert_int_equal(u->core.local.storage.trouble, pools[i].trouble);
        if (pools[i].trouble != STATE_WELL) {
            unit_pass(u, 3000);
            assert_int_equal(u->core.cluster.header.version, 0);
            assert_int_equal(u->core.local.life.state, LIFE_UNKNOWN);
            unit_none(u, ACTION_KILL);
            unit_none(u, ACTION_BLOCK_ADD);
            unit_none(u, ACTION_COMMIT);
        }
        free(u);
    }
}

/* Corosync comes back as another cluster while we hold a copy: from then on nothing is decided. */
TEST(a_corosync_that_became_another_clusters_ends_deciding)
{
    struct unit *u = unit_new(1);
    snprintf(u->image.header.corosync, NAME_BYTES, "lab");
    snprintf(u->ring.cluster, NAME_BYTES, "lab");
    unit_lead(u);
    snprintf(u->ring.cluster, NAME_BYTES, "prod");
    unit_ring(u, true, 3, u->ring.nodeids);
    struct header copy = u->core.cluster.header;
    poll(u, OUTCOME_DONE, &copy);
    assert_int_equal(u->core.local.storage.trouble, STATE_ELSEWHERE);
    unit_ring(u, true, 2, (const uint32_t[]){1, 2}); /* n3 left: a matter for whoever acts */
    unit_pass(u, 1000);
    unit_none(u, ACTION_COMMIT);
    unit_none(u, ACTION_KILL);
    free(u);
}

/* Before Corosync has said which cluster this is, a host without a life here reads nothing. */
TEST(a_new_host_waits_for_corosync)
{
    struct unit *u = unit_new(2);
    u->facts.incarnation = (struct incarnation){0};
    core_init(&u->core, &u->facts, u->now_ms);
    unit_pass(u, 1000);
    unit_none(u, ACTION_HANDLE_OPEN);
    unit_ring(u, true, 3, u->ring.nodeids);
    unit_tick(u);
    (void)unit_take(u, ACTION_HANDLE_OPEN);
    free(u);
}

/* Our handle counts as recorded only when the state names exactly it. */
TEST(recorded_means_named)
{
    struct unit *u = started();
    assert_true(view_recorded(&u->core));
    (void)unit_foreign(u);
    unit_foreign_node(u, OUR_SLOT)->client = unit_client(2, 1);
    unit_foreign_send(u);
    assert_false(view_recorded(&u->core));
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_new_handle_before_hands_are_empty),
        cmocka_unit_test(a_late_answer_of_the_old_handle_is_ignored),
        cmocka_unit_test(a_failed_open_is_tried_again),
        cmocka_unit_test(an_open_never_answered_is_tried_again),
        cmocka_unit_test(a_blocklisted_open_is_blocklisted),
        cmocka_unit_test(a_newer_header_is_read),
        cmocka_unit_test(another_epoch_is_read),
        cmocka_unit_test(a_damaged_image_is_read_again),
        cmocka_unit_test(the_copy_never_goes_back),
        cmocka_unit_test(deltas_are_applied_in_order),
        cmocka_unit_test(old_deltas_change_nothing),
        cmocka_unit_test(a_delta_gone_astray_is_read_again),
        cmocka_unit_test(polling_goes_on),
        cmocka_unit_test(silence_is_no_good_answer),
        cmocka_unit_test(the_predecessor_is_blocked_first),
        cmocka_unit_test(no_handle_is_announced_before_the_state_is_read),
        cmocka_unit_test(an_unblocked_predecessor_keeps_us_quiet),
        cmocka_unit_test(an_empty_pool_is_missing),
        cmocka_unit_test(not_there_is_not_never),
        cmocka_unit_test(an_older_or_foreign_object_is_left_alone),
        cmocka_unit_test(an_image_older_than_anothers_copy_is_not_taken),
        cmocka_unit_test(another_clusters_pool_is_not_read),
        cmocka_unit_test(a_corosync_that_became_another_clusters_ends_deciding),
        cmocka_unit_test(a_new_host_waits_for_corosync),
        cmocka_unit_test(recorded_means_named),
        cmocka_unit_test(a_new_handle_blocks_the_predecessor_anew),
        cmocka_unit_test(one_recorded_meanwhile_is_ended_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
