/* Half of the nodes: what the state object says, the race, and the way of the side that lost. */
#include "agent/life.h"
#include "agent/query.h"
#include "agent/tie.h"
#include "agent/votes.h"
#include "tests/unit/unit_core.h"

#define BAR_MS 15000

static const uint32_t both[] = {1, 2};

/* Two nodes that see each other; we are `self`. */
static struct unit *two(uint32_t self, enum tie_break tie)
{
    struct unit *u = unit_new(self);
    memset(&u->image.nodes[2], 0, sizeof(u->image.nodes[2]));
    u->image.header.members = 3;
    u->ring.tie = tie;
    u->ring.quorum = 1;
    u->ring.count = 2;
    return u;
}

static struct unit *started(uint32_t self, enum tie_break tie)
{
    struct unit *u = two(self, tie);
    unit_start(u);
    return u;
}

static void cut(struct unit *u)
{
    unit_ring(u, true, 1, &u->self);
}

static bool fresh(const struct unit *u)
{
    return peers_fresh_until_ms(&u->core) > u->now_ms;
}

/* n1 took the next term without us; we are named lost in it, or not. */
static void other_takes(struct unit *u, bool lost)
{
    struct delta *delta = unit_foreign(u);
    delta->header.term++;
    delta->header.members = 1;
    if (lost) {
        unit_foreign_node(u, 1)->state = NODE_LOST;
    }
    unit_foreign_send(u);
}

static void empty_hands(struct unit *u)
{
    struct action kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 0);
}

/* --- the right --- */

TEST(half_is_enough_where_ties_are_broken)
{
    for (int tie = TIE_NONE; tie <= TIE_QDEVICE; tie++) {
        struct unit *u = started(1, (enum tie_break)tie);
        assert_false(votes_tied(&u->core));
        cut(u);
        unit_pass(u, 300);
        assert_int_equal(votes_tied(&u->core), tie != TIE_NONE);
        assert_int_equal(fresh(u), tie != TIE_NONE);
        free(u);
    }
}

/* A restarted agent that has not read the state yet does not know whose the term is. */
TEST(half_without_a_copy_is_nothing)
{
    for (int tie = TIE_TWO_NODE; tie <= TIE_QDEVICE; tie++) {
        struct unit *u = two(1, (enum tie_break)tie);
        core_init(&u->core, &u->facts, u->now_ms);
        unit_ring(u, true, 2, both);
        unit_pass(u, 300);
        assert_true(fresh(u)); /* both are here */
        cut(u);
        unit_pass(u, 1500);
        assert_false(fresh(u));
        free(u);
    }
}

TEST(half_of_a_ring_that_is_not_quorate_is_nothing)
{
    struct unit *u = started(1, TIE_QDEVICE);
    assert_int_equal(votes_needed(&u->core), 1);
    unit_ring(u, false, 1, &u->self);
    unit_pass(u, 300);
    assert_int_equal(votes_needed(&u->core), 2);
    assert_false(votes_tied(&u->core));
    assert_false(fresh(u));
    free(u);
}

/* Corosync's word alone lasts for fresh_ms after the last poll that was sent. */
TEST(the_object_must_say_so_lately)
{
    struct unit *u = started(1, TIE_TWO_NODE);
    cut(u);
    unit_pass(u, 300);
    u->polls_hang = true;
    uint64_t sent_ms = u->core.local.storage.shown_ms;
    assert_int_equal(peers_fresh_until_ms(&u->core), sent_ms + 1000);
    unit_pass(u, 1000);
    assert_false(fresh(u));
    free(u);
}

/* Commits overtake polls where much is done: what was read is older than the copy then. */
TEST(an_older_answer_shows_it_too)
{
    struct unit *u = started(1, TIE_TWO_NODE);
    cut(u);
    u->polls_hang = true;
    unit_pass(u, 600);
    struct event event = unit_event(EVENT_POLL, u->core.local.storage.poll_call.id);
    event.poll.outcome = OUTCOME_DONE;
    event.poll.header = u->core.cluster.header;
    (void)unit_foreign(u);
    unit_foreign_send(u);
    uint64_t sent_ms = u->core.local.storage.poll_sent_ms;
    assert_true(u->core.local.storage.shown_ms < sent_ms);
    unit_step(u, &event);
    assert_int_equal(u->core.local.storage.shown_ms, sent_ms);
    free(u);
}

/* A tie is looked at more often than every poll_ms: what was asked must not run out between. */
TEST(a_tie_is_polled_often)
{
    struct unit *u = started(1, TIE_TWO_NODE);
    unit_pass(u, 2000);
    assert_false(votes_want_object(&u->core));
    cut(u);
    unit_pass(u, 2000);
    assert_true(votes_want_object(&u->core));
    assert_true(u->now_ms - u->core.local.storage.poll_sent_ms <= 300);
    free(u);
}

/* The other's agent says nothing, its host is in the ring: the object decides, and nobody is lost.
 */
TEST(a_silent_agent_is_no_cut)
{
    struct unit *u = started(1, TIE_TWO_NODE);
    u->silent[2] = true;
    unit_pass(u, 3000);
    assert_false(votes_tied(&u->core));
    assert_true(fresh(u));
    assert_int_equal(u->core.cluster.nodes[1].state, NODE_ADMITTED);
    free(u);
}

/* --- the race --- */

/* Does a node with these VMs try at once after the cut? */
static bool tries_at_once(uint32_t self, enum tie_break tie, uint32_t ours, uint32_t theirs)
{
    struct unit *u = two(self, tie);
    for (uint32_t i = 0; i < ours + theirs; i++) {
        unit_vm(u, i, VM_RUNNING, (uint8_t)(i < ours ? self - 1 : 2 - self));
    }
    u->image.header.actor = self;
    unit_start(u);
    unit_settle(u, 300);
    unit_forget(u);
    uint64_t cut_ms = u->now_ms;
    cut(u);
    (void)unit_take(u, ACTION_COMMIT);
    bool at_once = u->now_ms - cut_ms < 100;
    assert_true(at_once || u->now_ms - cut_ms >= timing_tie_ms());
    free(u);
    return at_once;
}

TEST(the_side_with_more_to_lose_goes_first)
{
    assert_true(tries_at_once(1, TIE_TWO_NODE, 2, 1));
    assert_true(tries_at_once(2, TIE_TWO_NODE, 2, 1));
    assert_false(tries_at_once(1, TIE_TWO_NODE, 1, 2));
    assert_false(tries_at_once(2, TIE_TWO_NODE, 1, 2));
    assert_true(tries_at_once(1, TIE_TWO_NODE, 1, 1));
    assert_false(tries_at_once(2, TIE_TWO_NODE, 1, 1));
    assert_true(tries_at_once(2, TIE_QDEVICE, 0, 2)); /* that has chosen */
}

/* --- the side that lost --- */

static struct unit *lost_side(bool lost)
{
    struct unit *u = started(2, TIE_TWO_NODE);
    cut(u);
    unit_forget(u);
    other_takes(u, lost);
    return u;
}

TEST(without_the_term_it_is_as_without_a_quorum)
{
    struct unit *u = lost_side(false);
    assert_true(tie_lost(&u->core));
    unit_pass(u, 300);
    assert_false(fresh(u));
    assert_int_equal(u->core.local.life.state, LIFE_ADMITTED);
    free(u);
}

/* Nobody writes: after bar_ms, and not before, it takes the term. */
TEST(after_bar_ms_of_silence_it_takes_the_term)
{
    struct unit *u = lost_side(false);
    unit_pass(u, BAR_MS - 500);
    unit_none(u, ACTION_COMMIT);
    unit_pass(u, 1500);
    assert_int_equal(unit_logged(u, ACTION_COMMIT), 1);
    unit_commit(u);
    assert_int_equal(u->core.cluster.header.members, 2);
    assert_int_equal(u->core.cluster.header.actor, 2);
    free(u);
}

/* It counts from the last that was written, whatever that is. */
TEST(it_counts_from_the_last_word)
{
    struct unit *u = lost_side(false);
    u->beats = 7;
    unit_pass(u, BAR_MS - 2000);
    u->beats = 8;
    unit_pass(u, BAR_MS - 500);
    unit_none(u, ACTION_COMMIT);
    unit_pass(u, 1500);
    assert_int_equal(unit_logged(u, ACTION_COMMIT), 1);
    free(u);
}

TEST(whom_it_watches_and_that_it_writes)
{
    struct unit *u = lost_side(false);
    struct action poll = {0};
    u->polls_hang = true;
    while (poll.kind != ACTION_POLL) {
        unit_pass(u, UNIT_TICK_MS);
        for (uint32_t i = 0; i < u->out.count; i++) {
            poll = u->out.list[i].kind == ACTION_POLL ? u->out.list[i] : poll;
        }
    }
    assert_true(poll.poll.write);
    assert_int_equal(poll.poll.watch_count, 1);
    assert_int_equal(poll.poll.watch[0], 1);
    free(u);
}

/* What keeps it from it: somebody of the term writes; a poll fails; a guest is alive here; one of
 * the term is in the ring and says nothing. */
TEST(what_keeps_it_from_the_term)
{
    for (int what = 0; what < 4; what++) {
        struct unit *u = lost_side(false);
        if (what == 2) {
            unit_domain(u, 0, DOMAIN_SUSPENDED, END_UNKNOWN);
        }
        if (what == 3) {
            u->silent[1] = true;
            unit_ring(u, true, 2, both);
        }
        for (int i = 0; i < 3; i++) {
            unit_pass(u, BAR_MS - 1000);
            u->beats += what == 0;
            u->polls_hang = what == 1;
            unit_pass(u, what == 1 ? 2000 : 300);
            u->polls_hang = false;
        }
        unit_none(u, ACTION_COMMIT);
        free(u);
    }
}

/* Named lost: its guests end; it opens a handle of its own before it takes the term with it. */
TEST(a_lost_one_takes_it_with_a_new_handle)
{
    struct unit *u = lost_side(true);
    assert_int_equal(u->core.local.life.state, LIFE_LOST);
    empty_hands(u);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_DONE, unit_client(2, 902));
    u->image = u->core.cluster;
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_DONE);
    struct action block = unit_take(u, ACTION_BLOCK_ADD); /* the old one */
    assert_string_equal(block.block.entries[0].address, unit_client(2, 200).address);
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_pass(u, BAR_MS + 1500);
    unit_commit(u);
    const struct node_record *node = &u->core.cluster.nodes[1];
    assert_int_equal(node->state, NODE_ADMITTED);
    assert_string_equal(node->client.address, unit_client(2, 902).address);
    assert_int_equal(node->incarnation.number, UNIT_NODES + 1);
    free(u);
}

/* What the old one was asked is nothing to the new one, whose opening may fail. */
TEST(with_its_handle_goes_what_was_asked_through_it)
{
    struct unit *u = lost_side(true);
    struct storage_view *storage = &u->core.local.storage;
    u->polls_hang = true;
    storage->look = true;
    unit_pass(u, 600);
    assert_true(call_open(&storage->poll_call));
    assert_true(call_open(&storage->read_call));
    empty_hands(u);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    assert_false(call_open(&storage->poll_call));
    assert_false(call_open(&storage->read_call));
    unit_handle(u, &open, OUTCOME_FAILED, (struct client){{0}});
    assert_true(client_is_none(&storage->client));
    free(u);
}

/* Barred, address and all: it takes that off, but not before the fence had its time. */
TEST(its_address_comes_off_by_itself)
{
    struct unit *u = lost_side(true);
    empty_hands(u);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_BLOCKLISTED, unit_client(2, 902));
    uint64_t barred_ms = u->now_ms;
    while (u->now_ms < barred_ms + timing_late_ms() - 500) {
        unit_pass(u, 500);
        unit_none(u, ACTION_BLOCK_REMOVE);
        if (unit_find(u, ACTION_HANDLE_OPEN, &open)) {
            unit_handle(u, &open, OUTCOME_BLOCKLISTED, unit_client(2, 902));
        }
    }
    struct action off = unit_take(u, ACTION_BLOCK_REMOVE);
    assert_int_equal(off.block.count, 1);
    assert_string_equal(off.block.entries[0].address, unit_client(2, 0).address);
    unit_block(u, &off, OUTCOME_DONE, 0);
    (void)unit_take(u, ACTION_HANDLE_OPEN);
    free(u);
}

/* Its agent was restarted and never read the state: Corosync's word must do. */
TEST(its_address_comes_off_without_a_copy)
{
    for (int count = 1; count <= 2; count++) {
        struct unit *u = two(2, TIE_TWO_NODE);
        core_init(&u->core, &u->facts, u->now_ms);
        unit_ring(u, true, (uint32_t)count, count == 1 ? &u->self : both);
        struct action open = unit_take(u, ACTION_HANDLE_OPEN);
        unit_handle(u, &open, OUTCOME_BLOCKLISTED, unit_client(2, 902));
        empty_hands(u);
        unit_pass(u, timing_late_ms() + 1000);
        assert_int_equal(unit_logged(u, ACTION_BLOCK_REMOVE), count == 1);
        free(u);
    }
}

/* In one ring again the acting node sees to it; nor does a host whose hands are not empty. */
TEST(its_address_is_left_alone)
{
    for (int what = 0; what < 2; what++) {
        struct unit *u = lost_side(true);
        if (what == 0) {
            empty_hands(u);
        }
        u->core.local.tie.refused = unit_client(2, 902);
        u->core.local.storage.blocklisted = true;
        u->core.local.storage.handle = HANDLE_NONE;
        if (what == 0) {
            unit_ring(u, true, 2, both);
        }
        unit_pass(u, timing_late_ms() + 10000);
        unit_none(u, ACTION_BLOCK_REMOVE);
        free(u);
    }
}

TEST(why_it_does_nothing)
{
    char text[TEXT_BYTES];
    struct unit *u = lost_side(false);
    unit_pass(u, 4000);
    query_situation(&u->core, u->now_ms, text);
    assert_non_null(strstr(text, "term 4 is the other half's"));
    assert_non_null(strstr(text, "from 15 s (bar_ms) on this node goes on"));
    unit_domain(u, 0, DOMAIN_SUSPENDED, END_UNKNOWN);
    query_situation(&u->core, u->now_ms, text);
    assert_non_null(strstr(text, "While guests of this node live"));
    u->silent[1] = true;
    unit_ring(u, true, 2, both);
    query_situation(&u->core, u->now_ms, text);
    assert_null(strstr(text, "is the other half's"));
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_is_enough_where_ties_are_broken),
        cmocka_unit_test(half_without_a_copy_is_nothing),
        cmocka_unit_test(half_of_a_ring_that_is_not_quorate_is_nothing),
        cmocka_unit_test(the_object_must_say_so_lately),
        cmocka_unit_test(an_older_answer_shows_it_too),
        cmocka_unit_test(a_tie_is_polled_often),
        cmocka_unit_test(a_silent_agent_is_no_cut),
        cmocka_unit_test(the_side_with_more_to_lose_goes_first),
        cmocka_unit_test(without_the_term_it_is_as_without_a_quorum),
        cmocka_unit_test(after_bar_ms_of_silence_it_takes_the_term),
        cmocka_unit_test(it_counts_from_the_last_word),
        cmocka_unit_test(whom_it_watches_and_that_it_writes),
        cmocka_unit_test(what_keeps_it_from_the_term),
        cmocka_unit_test(a_lost_one_takes_it_with_a_new_handle),
        cmocka_unit_test(with_its_handle_goes_what_was_asked_through_it),
        cmocka_unit_test(its_address_comes_off_by_itself),
        cmocka_unit_test(its_address_comes_off_without_a_copy),
        cmocka_unit_test(its_address_is_left_alone),
        cmocka_unit_test(why_it_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
