/* Half of the nodes, by the rule itself: whose the term is, what shows silence, who waits after a
 * cut, and what an ended life left in the way. We are n2 but where a test says so. */
#include "agent/tie.h"
#include "agent/votes.h"
#include "tests/unit/unit_core.h"

#define N1 0 /* slots */
#define N2 1
#define N3 2
#define BIT(slot) (UINT64_C(1) << (slot))

static const uint32_t both[] = {1, 2};

/* Two nodes that see each other. */
static struct unit *two(uint32_t self)
{
    struct unit *u = unit_new(self);
    memset(&u->image.nodes[N3], 0, sizeof(u->image.nodes[N3]));
    u->image.header.members = BIT(N1) | BIT(N2);
    u->ring.tie = TIE_TWO_NODE;
    u->ring.quorum = 1;
    u->ring.count = 2;
    return u;
}

/* n2, cut off: the term is n1's, as the copy says from the first. */
static struct unit *without_the_term(uint64_t version)
{
    struct unit *u = two(2);
    u->image.header.members = BIT(N1);
    u->image.header.version = version;
    unit_start(u);
    unit_ring(u, true, 1, &u->self);
    return u;
}

static void empty_hands(struct unit *u)
{
    struct action kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 0);
}

/* ... and says so to people, or neither. */
static bool watches(const struct unit *u)
{
    struct action poll = {.kind = ACTION_POLL};
    struct text text = {0};
    tie_fill_poll(&u->core, &poll);
    assert_int_equal(poll.poll.watch_count, poll.poll.write ? 1 : 0);
    assert_int_equal(tie_tell(&u->core, &text), poll.poll.write);
    return poll.poll.write;
}

/* --- whose the term is --- */

/* Whoever has the term, or sees both, watches nobody; nor does one that knows of no term. A state
 * that was just made is one like any other. */
TEST(only_the_half_without_the_term_watches)
{
    for (uint64_t version = 1; version <= 10; version += 9) {
        struct unit *u = two(1);
        u->image.header.version = version;
        unit_start(u);
        assert_false(watches(u));
        unit_ring(u, true, 1, &u->self);
        assert_false(watches(u));
        assert_false(tie_lost(&u->core));
        assert_int_equal(tie_held_ms(&u->core), u->core.local.storage.shown_ms);
        assert_int_not_equal(tie_held_ms(&u->core), 0);
        free(u);
        u = without_the_term(version);
        assert_true(watches(u));
        assert_true(tie_lost(&u->core));
        assert_int_equal(tie_held_ms(&u->core), 0);
        free(u);
    }
    struct unit *u = two(1);
    core_init(&u->core, &u->facts, u->now_ms);
    unit_ring(u, true, 1, &u->self);
    assert_false(watches(u));
    assert_false(tie_lost(&u->core));
    free(u);
}

/* Of four, n2 sees n3, which is of the term: while it says so, and in the life that is. */
TEST(a_member_that_speaks_in_its_life_brings_the_term)
{
    for (unsigned i = 0; i < 3; i++) {
        struct unit *u = unit_new(2);
        static const uint32_t half[] = {2, 3};
        struct node_record *n4 = &u->image.nodes[3];
        *n4 = u->image.nodes[N1];
        n4->nodeid = 4;
        n4->client = unit_client(4, 400);
        name_set(n4->name, NAME_BYTES, "n4");
        u->image.header.members = BIT(N1) | BIT(N3);
        u->ring.tie = TIE_QDEVICE;
        u->peers[3].incarnation.number += i == 1;
        unit_start(u);
        unit_ring(u, true, 2, half);
        u->silent[3] = i == 2;
        unit_pass(u, 3000);
        assert_true(votes_tied(&u->core));
        assert_int_equal(tie_lost(&u->core), i > 0);
        free(u);
    }
}

/* The term's last member, blocklisted: what it was a member with is over. */
TEST(a_blocklisted_member_has_no_term)
{
    struct unit *u = two(2);
    u->image.header.members = BIT(N2);
    unit_start(u);
    unit_ring(u, true, 1, &u->self);
    assert_false(tie_lost(&u->core));
    u->core.local.storage.blocklisted = true;
    unit_tick(u);
    assert_int_equal(u->core.local.life.state, LIFE_LOST);
    assert_true(tie_lost(&u->core));
    free(u);
}

/* ... and after a reboot it watches the others of the term, not itself. */
TEST(a_rebooted_member_does_not_wait_for_itself)
{
    struct unit *u = two(2);
    u->facts.boot = unit_uuid(0x62);
    u->facts.incarnation = (struct incarnation){0};
    u->peers[2].boot = u->facts.boot;
    u->peers[2].incarnation = u->facts.incarnation;
    u->ring.count = 1;
    u->ring.nodeids[0] = 2;
    unit_open(u, unit_client(2, 902));
    unit_ring(u, true, 1, &u->self);
    assert_true(watches(u));
    free(u);
}

/* --- silence --- */

static void shows(struct unit *u, enum outcome outcome, uint32_t epochs, uint64_t versions)
{
    struct event event = unit_event(EVENT_POLL, 0);
    event.now_ms = u->now_ms;
    event.poll.outcome = outcome;
    event.poll.header = u->core.cluster.header;
    event.poll.header.epoch += epochs;
    event.poll.header.version += versions;
    event.poll.beats = u->beats;
    tie_on_poll(&u->core, &event);
}

/* Only an answer that shows our copy counts, and it does from when it came. */
TEST(what_shows_silence)
{
    struct unit *u = without_the_term(10);
    const struct tie *tie = &u->core.local.tie;
    unit_pass(u, 1000);
    assert_int_not_equal(tie->since_ms, 0);
    for (unsigned i = 0; i < 3; i++) {
        shows(u, i == 0 ? OUTCOME_UNKNOWN : OUTCOME_DONE, i == 1, i == 2);
        assert_int_equal(tie->since_ms, 0);
        assert_int_equal(tie_held_ms(&u->core), 0);
        shows(u, OUTCOME_DONE, 0, 0);
        assert_int_equal(tie->since_ms, u->now_ms);
        unit_pass(u, 300);
    }
    uint64_t since_ms = tie->since_ms;
    shows(u, OUTCOME_DONE, 0, 0);
    assert_int_equal(tie->since_ms, since_ms);
    u->beats++;
    shows(u, OUTCOME_DONE, 0, 0);
    assert_int_equal(tie->since_ms, u->now_ms);
    unit_ring(u, true, 2, both);
    shows(u, OUTCOME_DONE, 0, 0);
    assert_int_equal(tie->since_ms, 0);
    free(u);
}

/* A poll that was on its way when the last word was seen shows nothing yet; one that failed shows
 * nothing at all. */
TEST(a_slow_answer_is_no_silence)
{
    for (unsigned i = 0; i < 2; i++) {
        struct unit *u = without_the_term(10);
        u->polls_hang = true;
        unit_pass(u, 600);
        struct event event = unit_event(EVENT_POLL, u->core.local.storage.poll_call.id);
        event.poll.outcome = i == 0 ? OUTCOME_DONE : OUTCOME_UNKNOWN;
        event.poll.header = u->core.cluster.header;
        unit_step(u, &event);
        assert_true(u->core.local.tie.last_ms < u->now_ms);
        assert_int_equal(tie_held_ms(&u->core), 0);
        unit_pass(u, 1000);
        unit_none(u, ACTION_COMMIT);
        free(u);
    }
}

/* Long silent, but the copy has moved on: that was a word of theirs, too. */
TEST(a_delta_ends_the_silence)
{
    struct unit *u = without_the_term(10);
    unit_domain(u, 0, DOMAIN_SUSPENDED, END_UNKNOWN); /* keeps it from the term */
    unit_pass(u, 20000);
    unit_none(u, ACTION_COMMIT);
    u->polls_hang = true;
    (void)unit_foreign(u);
    unit_foreign_send(u);
    unit_domain(u, 0, DOMAIN_GONE, END_UNKNOWN);
    assert_int_equal(tie_held_ms(&u->core), 0);
    free(u);
}

/* No gap between two polls is longer than a quarter of fresh_ms. */
TEST(polls_are_never_far_apart)
{
    struct unit *u = two(1);
    unit_start(u);
    unit_ring(u, true, 1, &u->self);
    unit_pass(u, 1000);
    for (unsigned i = 0; i < 100; i++) {
        unit_pass(u, UNIT_TICK_MS);
        assert_true(u->now_ms - u->core.local.storage.poll_sent_ms <= 250 + UNIT_TICK_MS);
    }
    free(u);
}

/* --- the race after a cut --- */

/* n3 is in the ring, vouched dead: it takes no part and no side. */
static struct unit *with_a_dead_one(uint32_t self)
{
    struct unit *u = two(self);
    unit_fill_node(u, 3);
    u->image.nodes[N3].state = NODE_FENCED;
    u->image.nodes[N3].proofs = PROOF_OPERATOR;
    u->ring.count = 3;
    return u;
}

/* Free places in the list and stopped VMs are nothing to lose. */
TEST(what_does_not_run_is_nothing_to_lose)
{
    struct unit *u = two(2);
    unit_vm(u, 2, VM_RUNNING, N1);
    unit_vm(u, 4, VM_RUNNING, N2);
    unit_vm(u, 5, VM_STARTING, N2);
    unit_vm(u, 6, VM_STOPPED, NODE_NONE)->want = WANT_STOPPED;
    unit_start(u);
    unit_ring(u, true, 1, &u->self);
    assert_false(tie_waits(&u->core));
    free(u);
}

/* The lowest of either side counts, however many there are; n3 is on neither. */
TEST(with_as_much_to_lose_the_lower_goes_first)
{
    for (uint32_t self = 1; self <= 2; self++) {
        struct unit *u = with_a_dead_one(self);
        const uint32_t rest[] = {self, 3};
        unit_start(u);
        unit_ring(u, true, 2, rest);
        assert_true(votes_tied(&u->core));
        assert_int_equal(tie_waits(&u->core), self == 2);
        free(u);
        u = with_a_dead_one(self);
        u->image.header.members = 7;
        unit_start(u);
        unit_ring(u, true, 1, &self); /* both others left */
        assert_int_equal(tie_waits(&u->core), self == 2);
        free(u);
    }
}

/* Only for one of the term that just left, and not where a majority is here. */
TEST(nobody_waits_for_who_is_no_rival)
{
    struct unit *u = with_a_dead_one(2);
    static const uint32_t rest[] = {2, 3};
    unit_start(u);
    unit_ring(u, true, 2, rest);
    assert_true(tie_waits(&u->core));
    u->polls_hang = true;
    unit_pass(u, timing_tie_ms());
    assert_false(tie_waits(&u->core));
    unit_ring(u, true, 1, &u->self); /* n3 goes as well, later */
    assert_false(tie_waits(&u->core));
    free(u);
    u = two(2);
    u->image.nodes[N1].state = NODE_FENCED;
    u->image.nodes[N1].proofs = PROOF_OPERATOR;
    unit_start(u);
    unit_ring(u, true, 1, &u->self);
    assert_false(votes_tied(&u->core));
    assert_false(tie_waits(&u->core));
    free(u);
}

/* --- what an ended life left in the way --- */

TEST(when_a_new_handle_is_wanted)
{
    struct unit *u = without_the_term(10);
    struct local *local = &u->core.local;
    struct node_record *own = &u->core.cluster.nodes[N2];
    local->life.state = LIFE_OUTSIDE;
    local->life.empty = true;
    struct core *before = malloc(sizeof(*before));
    assert_non_null(before);
    *before = u->core;
    for (unsigned i = 0; i < 9; i++) {
        own->state = i == 1 ? NODE_FENCED : i == 2 ? NODE_ADMITTED : NODE_LOST;
        local->storage.handle = i == 3 ? HANDLE_OPENING : HANDLE_OPEN;
        local->storage.stale = i == 4;
        local->life.state = i == 5 ? LIFE_LOST : LIFE_OUTSIDE;
        local->life.empty = i != 6;
        own->client = unit_client(2, i == 7 ? 999 : 200);
        u->core.cluster.header.members = i == 8 ? 0 : BIT(N1);
        local->ring.quorate = i != 8;
        assert_int_equal(tie_wants_handle(&u->core), i < 2);
        u->core = *before;
    }
    free(before);
    free(u);
}

/* n2, whose address is barred, and that has no guest. */
static struct unit *barred(void)
{
    struct unit *u = two(2);
    unit_start(u);
    unit_ring(u, true, 1, &u->self);
    struct delta *delta = unit_foreign(u);
    delta->header.members = BIT(N1);
    delta->header.term++;
    unit_foreign_node(u, N2)->state = NODE_LOST;
    unit_foreign_send(u);
    empty_hands(u);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_BLOCKLISTED, unit_client(2, 902));
    return u;
}

/* For so long the handle is tried, and refused; is the entry taken off meanwhile? */
static bool takes_off(struct unit *u, uint64_t ms, struct action *ret_off)
{
    struct action open;
    for (uint64_t until_ms = u->now_ms + ms; u->now_ms < until_ms; unit_pass(u, UNIT_TICK_MS)) {
        if (unit_find(u, ACTION_HANDLE_OPEN, &open)) {
            unit_handle(u, &open, OUTCOME_BLOCKLISTED, unit_client(2, 902));
        }
        if (unit_find(u, ACTION_BLOCK_REMOVE, ret_off)) {
            return true;
        }
    }
    return false;
}

/* Once it is off the handle is tried at once; refused again (the fence goes on), it waits anew. */
TEST(an_entry_that_comes_back_is_waited_for_again)
{
    struct unit *u = barred();
    struct tie *tie = &u->core.local.tie;
    struct action off;
    tie->since_ms = 1; /* long silent, so that it was fresh while it could poll */
    tie->last_ms = 50000;
    tie->version = u->core.cluster.header.version;
    assert_int_not_equal(tie_held_ms(&u->core), 0);
    assert_true(takes_off(u, timing_late_ms() + 500, &off));
    assert_int_equal(off.valid_until_ms, 0); /* it is not fresh any more, and need not be */
    assert_false(takes_off(u, 500, &off));
    struct action open;
    while (unit_find(u, ACTION_HANDLE_OPEN, &open)) {
        unit_handle(u, &open, OUTCOME_BLOCKLISTED, unit_client(2, 902));
    }
    struct event event = unit_event(EVENT_BLOCK, off.id + 1000);
    event.now_ms = u->now_ms;
    assert_false(tie_on_block(&u->core, &event));
    event.id = off.id;
    assert_true(tie_on_block(&u->core, &event));
    unit_pass(u, UNIT_TICK_MS);
    assert_int_equal(unit_logged(u, ACTION_HANDLE_OPEN), 1);
    assert_false(takes_off(u, timing_late_ms() - 1500, &off));
    assert_true(takes_off(u, 2500, &off));
    free(u);
}

/* An answer that never comes is not waited for for ever. */
TEST(an_entry_whose_end_is_not_told_is_taken_off_again)
{
    struct unit *u = barred();
    struct action off;
    assert_true(takes_off(u, timing_late_ms() + 500, &off));
    assert_true(takes_off(u, timing_late_ms() + u->core.cluster.settings.call_ms + 3000, &off));
    free(u);
}

/* Somebody of the ring may see to it in between: then the time counts from anew. */
TEST(a_barred_address_is_timed_from_when_nobody_else_can)
{
    struct unit *u = barred();
    struct action off;
    assert_false(takes_off(u, timing_late_ms() - 1000, &off));
    unit_ring(u, true, 2, both);
    assert_false(takes_off(u, 500, &off));
    unit_ring(u, true, 1, &u->self);
    assert_false(takes_off(u, timing_late_ms() - 1000, &off));
    assert_true(takes_off(u, 2000, &off));
    free(u);
}

/* Our address stays barred while somebody acts in this ring, or may: who says that his hands are
 * not empty, or says nothing yet; or where Corosync does not call the ring quorate. With a copy or
 * without. */
TEST(a_barred_address_waits_for_who_may_act)
{
    static const struct {
        bool quorate, empty, storage, silent, off;
    } cases[] = {
        {true, true, false, false, true},  {true, true, true, false, true},
        {true, false, true, false, false}, {true, false, false, false, false},
        {true, true, false, true, false},  {false, true, false, false, false},
    };
    for (size_t i = 0; i < 2 * UNIT_COUNT(cases); i++) {
        struct unit *u = two(2);
        struct action off;
        u->ring.tie = TIE_NONE;
        u->peers[1].empty = cases[i / 2].empty;
        u->peers[1].storage = cases[i / 2].storage;
        u->peers[1].able = false;
        u->silent[1] = cases[i / 2].silent;
        if (i % 2 == 0) {
            core_init(&u->core, &u->facts, u->now_ms);
            unit_ring(u, cases[i / 2].quorate, 2, both);
            struct action open = unit_take(u, ACTION_HANDLE_OPEN);
            unit_handle(u, &open, OUTCOME_BLOCKLISTED, unit_client(2, 902));
        } else {
            unit_open(u, unit_client(2, 200));
            unit_ring(u, cases[i / 2].quorate, 2, both);
            u->core.local.storage.blocklisted = true;
            u->core.local.storage.handle = HANDLE_NONE;
        }
        empty_hands(u);
        assert_int_equal(takes_off(u, timing_late_ms() + 3000, &off), cases[i / 2].off);
        free(u);
    }
}

/* One that never speaks is waited for like a host that may be booting, and no longer. */
TEST(a_barred_address_waits_for_a_silent_one_so_long)
{
    struct unit *u = two(2);
    struct action off;
    u->silent[1] = true;
    u->ring.tie = TIE_NONE;
    core_init(&u->core, &u->facts, u->now_ms);
    unit_ring(u, true, 2, both);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_BLOCKLISTED, unit_client(2, 902));
    empty_hands(u);
    assert_false(takes_off(u, u->core.cluster.settings.grace_ms + timing_late_ms() - 1500, &off));
    assert_true(takes_off(u, 3000, &off));
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_half_without_the_term_watches),
        cmocka_unit_test(a_member_that_speaks_in_its_life_brings_the_term),
        cmocka_unit_test(a_blocklisted_member_has_no_term),
        cmocka_unit_test(a_rebooted_member_does_not_wait_for_itself),
        cmocka_unit_test(what_shows_silence),
        cmocka_unit_test(a_slow_answer_is_no_silence),
        cmocka_unit_test(a_delta_ends_the_silence),
        cmocka_unit_test(polls_are_never_far_apart),
        cmocka_unit_test(what_does_not_run_is_nothing_to_lose),
        cmocka_unit_test(with_as_much_to_lose_the_lower_goes_first),
        cmocka_unit_test(nobody_waits_for_who_is_no_rival),
        cmocka_unit_test(when_a_new_handle_is_wanted),
        cmocka_unit_test(an_entry_that_comes_back_is_waited_for_again),
        cmocka_unit_test(an_entry_whose_end_is_not_told_is_taken_off_again),
        cmocka_unit_test(a_barred_address_is_timed_from_when_nobody_else_can),
        cmocka_unit_test(a_barred_address_waits_for_who_may_act),
        cmocka_unit_test(a_barred_address_waits_for_a_silent_one_so_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
