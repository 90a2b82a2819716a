/* Freshness: what proves that Corosync's view is real, and what does not. We are n2. */
#include "agent/peers.h"
#include "tests/unit/unit_core.h"

static uint64_t fresh_until(const struct unit *u)
{
    return peers_fresh_until_ms(&u->core);
}

static bool fresh(const struct unit *u)
{
    return fresh_until(u) > u->now_ms;
}

static void hush(struct unit *u, bool one, bool two, bool three)
{
    u->silent[1] = one;
    u->silent[2] = two;
    u->silent[3] = three;
}

/* A beat of ours, sent back by the test at a time of its choosing. */
static struct beat own_beat(const struct unit *u, uint64_t sent_ms)
{
    return (struct beat){.nodeid = 2, .agent_start = u->facts.agent_start, .sent_ms = sent_ms};
}

/* Our heartbeat answered by a quorum of the ring makes us fresh for fresh_ms from its sending. */
TEST(answers_of_a_quorum_make_fresh)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    assert_true(fresh(u));
    assert_true(fresh_until(u) <= u->now_ms + u->core.cluster.settings.fresh_ms);
    free(u);
}

/* Silence ends freshness after fresh_ms, whatever Corosync says. */
TEST(silence_ends_freshness)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    hush(u, true, false, true);
    unit_pass(u, u->core.cluster.settings.fresh_ms + 100);
    assert_true(u->core.local.ring.quorate);
    assert_false(fresh(u));
    free(u);
}

/* One of three being silent leaves a quorum of answers. */
TEST(a_quorum_is_enough)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    hush(u, false, false, true);
    unit_pass(u, 3000);
    assert_true(fresh(u));
    free(u);
}

/* The sending time counts, not the arrival: a host that froze and finds its answers in the queue is
 * not fresh. */
TEST(late_answers_do_not_make_fresh)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    struct beat sent = own_beat(u, u->core.local.beat_last_ms);
    hush(u, true, true, true);
    u->now_ms += 20000; /* frozen */
    struct event event = unit_event(EVENT_BEAT, 0);
    event.beat = &sent;
    unit_step(u, &event);
    unit_beat(u, 1, &sent);
    unit_beat(u, 3, &sent);
    assert_false(fresh(u));
    free(u);
}

/* Not even a beat that the edge still delivers to the others counts for more than its sending time.
 */
TEST(freshness_ends_by_the_oldest_needed_answer)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    hush(u, true, true, true);
    uint64_t old_ms = u->core.local.beat_last_ms;
    unit_pass(u, 400);
    struct beat young = own_beat(u, u->now_ms);
    struct event event = unit_event(EVENT_BEAT, 0);
    event.beat = &young;
    unit_step(u, &event);
    assert_int_equal(fresh_until(u), old_ms + u->core.cluster.settings.fresh_ms);
    free(u);
}

/* Corosync saying "not quorate" ends freshness at once. */
TEST(not_quorate_is_not_fresh)
{
    struct unit *u = unit_new(2);
    const uint32_t all[] = {1, 2, 3};
    unit_start(u);
    hush(u, true, true, true);
    unit_ring(u, false, 3, all);
    assert_int_equal(fresh_until(u), 0);
    free(u);
}

/* A ring smaller than the quorum is not fresh, even if Corosync calls it quorate. */
TEST(a_ring_below_the_quorum_is_not_fresh)
{
    struct unit *u = unit_new(2);
    const uint32_t alone[] = {2};
    unit_start(u);
    unit_ring(u, true, 1, alone);
    unit_pass(u, 1000);
    assert_int_equal(fresh_until(u), 0);
    free(u);
}

/* An answer to an earlier process of our agent proves nothing about this one. */
TEST(answers_to_an_earlier_process_do_not_count)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    hush(u, true, true, true);
    unit_pass(u, 5000);
    struct beat sent = own_beat(u, u->now_ms);
    sent.agent_start = 999;
    struct event event = unit_event(EVENT_BEAT, 0);
    event.beat = &sent;
    unit_step(u, &event);
    unit_beat(u, 1, &sent);
    unit_beat(u, 3, &sent);
    assert_false(fresh(u));
    free(u);
}

/* An answer from the future is not of our clock. */
TEST(answers_from_the_future_do_not_count)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    hush(u, true, true, true);
    unit_pass(u, 5000);
    struct beat sent = own_beat(u, u->now_ms + 3600000);
    struct event event = unit_event(EVENT_BEAT, 0);
    event.beat = &sent;
    unit_step(u, &event);
    unit_beat(u, 1, &sent);
    assert_false(fresh(u));
    free(u);
}

/* A node outside the present ring does not count, though its answer is young. */
TEST(answers_from_outside_the_ring_do_not_count)
{
    struct unit *u = unit_new(2);
    const uint32_t two[] = {1, 2};
    unit_start(u);
    hush(u, true, false, false);
    unit_ring(u, true, 2, two);
    unit_pass(u, 2000);
    struct beat sent = own_beat(u, u->now_ms);
    unit_beat(u, 3, &sent);
    assert_null(peers_see(&u->core, 3));
    assert_false(fresh(u));
    free(u);
}

/* A node that left and came back has to answer anew. */
TEST(a_node_that_came_back_answers_anew)
{
    struct unit *u = unit_new(2);
    const uint32_t alone[] = {2};
    const uint32_t two[] = {1, 2};
    unit_start(u);
    hush(u, true, false, true);
    unit_ring(u, true, 1, alone);
    unit_pass(u, 100);
    unit_ring(u, true, 2, two);
    assert_false(fresh(u));
    assert_int_equal(peers_see(&u->core, 1)->came_ms, u->now_ms);
    free(u);
}

/* Those who stay in the ring through a view change keep what they have answered. */
TEST(those_who_stay_keep_their_answers)
{
    struct unit *u = unit_new(2);
    const uint32_t two[] = {1, 2};
    unit_start(u);
    hush(u, true, true, true);
    unit_ring(u, true, 2, two);
    assert_true(fresh(u));
    free(u);
}

/* An agent that left the group does not speak, until it is heard again. */
TEST(an_agent_that_left_does_not_speak)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    struct event event = unit_event(EVENT_PEER_LEFT, 0);
    event.nodeid = 3;
    u->silent[3] = true;
    unit_step(u, &event);
    assert_false(peers_speaks(&u->core, peers_see(&u->core, 3)));
    unit_beat(u, 3, NULL);
    assert_true(peers_speaks(&u->core, peers_see(&u->core, 3)));
    free(u);
}

/* A peer not heard for a while does not speak, though it is in the ring. */
TEST(a_silent_peer_does_not_speak)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    u->silent[3] = true;
    unit_pass(u, timing_silent_ms(&u->core.cluster.settings) + 50);
    assert_false(peers_speaks(&u->core, peers_see(&u->core, 3)));
    assert_true(peers_speaks(&u->core, peers_see(&u->core, 1)));
    free(u);
}

/* From when it was heard last, or came if it never was. */
TEST(a_silent_one_is_awaited_for_grace_ms)
{
    for (unsigned i = 0; i < 2; i++) { /* heard once, or never */
        struct unit *u = unit_new(2);
        unit_set(u, "grace_ms", 20000);
        u->silent[1] = i == 1;
        unit_start(u);
        const struct peer *n1 = peers_see(&u->core, 1);
        assert_int_equal(peers_awaited(&u->core, n1), i == 1); /* it speaks, or not */
        assert_int_equal(n1->heard_ms == 0, i == 1);
        u->core.local.now_ms = (i == 0 ? n1->heard_ms : n1->came_ms) + 19999;
        assert_true(peers_awaited(&u->core, n1));
        u->core.local.now_ms++;
        assert_false(peers_awaited(&u->core, n1));
        free(u);
    }
}

/* How long a peer has been without storage is counted from when it said so first. */
TEST(a_peer_without_storage_is_timed)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    assert_int_equal(peers_see(&u->core, 3)->no_storage_since_ms, 0);
    u->peers[3].storage = false;
    unit_beat(u, 3, NULL);
    uint64_t since_ms = u->now_ms;
    unit_pass(u, 1000);
    assert_int_equal(peers_see(&u->core, 3)->no_storage_since_ms, since_ms);
    u->peers[3].storage = true;
    unit_beat(u, 3, NULL);
    assert_int_equal(peers_see(&u->core, 3)->no_storage_since_ms, 0);
    free(u);
}

/* Our heartbeat answers the newest one of each peer that was heard. */
TEST(our_beat_answers_each_peer)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    unit_pass(u, 400);
    const struct beat *beat = &u->core.local.beat;
    assert_int_equal(beat->answer_count, 2);
    for (unsigned i = 0; i < beat->answer_count; i++) {
        assert_int_equal(beat->answers[i].agent_start, 1000 + beat->answers[i].nodeid);
        assert_true(beat->answers[i].nodeid != 2);
    }
    free(u);
}

/* Our heartbeat says who we are, what our host has, and how far our copy has come. */
TEST(our_beat_says_who_we_are)
{
    struct unit *u = unit_new(2);
    name_set(u->facts.bmc.address, sizeof(u->facts.bmc.address), "10.1.0.2");
    memset(u->facts.devices, 7, sizeof(u->facts.devices));
    unit_start(u);
    unit_pass(u, 400);
    const struct beat *beat = &u->core.local.beat;
    const struct facts *facts = &u->core.local.facts;
    assert_int_equal(beat->nodeid, 2);
    assert_int_equal(beat->agent_start, facts->agent_start);
    assert_string_equal(beat->name, facts->name);
    assert_true(uuid_equal(&beat->machine, &facts->machine));
    assert_true(uuid_equal(&beat->boot, &facts->boot));
    assert_int_equal(beat->memory_mib, facts->memory_mib);
    assert_int_equal(beat->feature_level, FEATURE_LEVEL);
    assert_string_equal(beat->bmc.address, "10.1.0.2");
    assert_memory_equal(beat->devices, facts->devices, sizeof(beat->devices));
    assert_int_equal(beat->epoch, u->core.cluster.header.epoch);
    assert_int_equal(beat->version, u->core.cluster.header.version);
    assert_true(beat->digest == u->core.cluster.header.digest);
    assert_true(incarnation_equal(beat->incarnation, facts->incarnation));
    free(u);
}

/* A node that is not fresh asks for an answer at once; one that is fresh does not. */
TEST(not_fresh_asks_for_answers)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    unit_pass(u, 400);
    assert_false(u->core.local.beat.wants_answer);
    hush(u, true, true, true);
    unit_pass(u, 1500);
    assert_true(u->core.local.beat.wants_answer);
    free(u);
}

/* Asked for an answer, the next heartbeat goes out without waiting its turn; but never two within 5
 * ms. */
TEST(a_question_is_answered_at_once)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    u->now_ms += 10;
    uint64_t before_ms = u->core.local.beat_last_ms;
    u->peers[3].wants_answer = true;
    unit_beat(u, 3, NULL);
    assert_int_equal(u->core.local.beat_last_ms, u->now_ms);
    assert_true(u->core.local.beat_last_ms > before_ms);
    uint64_t sent_ms = u->core.local.beat_last_ms;
    u->now_ms += 1;
    unit_beat(u, 3, NULL);
    assert_int_equal(u->core.local.beat_last_ms, sent_ms);
    free(u);
}

/* "Able" takes a recent good answer of the storage. */
TEST(without_storage_we_are_not_able)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    unit_pass(u, 1000);
    assert_true(u->core.local.beat.able && u->core.local.beat.storage);
    u->polls_hang = true;
    unit_pass(u, u->core.cluster.settings.able_ms + 700);
    assert_false(u->core.local.beat.able);
    assert_false(u->core.local.beat.storage);
    free(u);
}

/* It is asked for a beat_ms before it runs out, so that it need not. */
TEST(an_answer_is_asked_for_in_time)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    unit_pass(u, 400);
    uint64_t answered_ms = u->core.local.beat_last_ms;
    hush(u, true, true, true);
    unit_pass(u, answered_ms + 600 - u->now_ms);
    assert_false(u->core.local.beat.wants_answer);
    unit_pass(u, 200);
    assert_int_equal(u->core.local.beat_last_ms, answered_ms + 800);
    assert_true(u->core.local.beat.wants_answer);
    free(u);
}

/* What answers another process, comes from the future or is none at all leaves no trace. */
TEST(what_is_no_answer_leaves_nothing)
{
    struct unit *u = unit_new(2);
    static const uint32_t all[] = {1, 2, 3};
    hush(u, true, true, true);
    core_init(&u->core, &u->facts, u->now_ms);
    unit_ring(u, true, 3, all);
    struct beat sent = own_beat(u, u->now_ms + 1000);
    unit_beat(u, 1, &sent);
    unit_beat(u, 3, NULL);
    sent.sent_ms = u->now_ms;
    sent.agent_start = 999;
    peers_on_beat(&u->core, &sent);
    for (uint32_t id = 1; id <= 3; id++) {
        assert_true(peers_see(&u->core, id)->heard);
        assert_int_equal(peers_see(&u->core, id)->answered_ms, 0);
    }
    free(u);
}

/* A change of the ring is told at once. */
TEST(a_new_ring_is_told_at_once)
{
    struct unit *u = unit_new(2);
    static const uint32_t two[] = {1, 2};
    unit_start(u);
    while (u->core.local.beat_last_ms != u->now_ms) {
        unit_pass(u, UNIT_TICK_MS);
    }
    u->now_ms += 10;
    unit_ring(u, true, 2, two);
    unit_tick(u);
    assert_int_equal(u->core.local.beat_last_ms, u->now_ms);
    free(u);
}

/* That an agent left is about those in the ring, and not about ourselves. */
TEST(we_do_not_leave)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    peers_on_left(&u->core, 2);
    assert_true(peers_speaks(&u->core, peers_see(&u->core, 2)));
    peers_on_left(&u->core, 9);
    free(u);
}

/* Whom this process never saw is absent since it began, and has said nothing. */
TEST(one_never_seen_is_absent_since_we_began)
{
    struct unit *u = unit_new(2);
    static const uint32_t two[] = {1, 2};
    u->ring.count = 2;
    unit_start(u);
    unit_pass(u, 500);
    assert_true(peers_never_seen(&u->core, 3));
    assert_int_equal(peers_absent_ms(&u->core, 3), u->now_ms - u->core.local.started_ms);
    assert_false(peers_ended(&u->core, 3));
    assert_int_equal(u->core.local.seen_count, 2);
    unit_ring(u, true, 2, two);
    assert_int_equal(u->core.local.seen_count, 2);
    free(u);
}

/* As many as a cluster may have are remembered, and no more. */
TEST(those_seen_are_bounded)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    hush(u, true, true, true);
    for (uint32_t id = 3; id <= NODES_MAX + 2; id++) {
        struct event_ring ring = {.quorate = true, .quorum = 2, .count = 2, .nodeids = {2, id}};
        peers_on_ring(&u->core, &ring);
    }
    assert_int_equal(u->core.local.seen_count, NODES_MAX);
    assert_true(peers_never_seen(&u->core, NODES_MAX + 2));
    assert_false(peers_never_seen(&u->core, NODES_MAX));
    free(u);
}

/* One that comes without storage is timed from its first word. */
TEST(a_peer_that_comes_without_storage_is_timed)
{
    struct unit *u = unit_new(2);
    u->peers[3].storage = false;
    unit_start(u);
    assert_int_not_equal(peers_see(&u->core, 3)->no_storage_since_ms, 0);
    free(u);
}

/* libvirt answers here once it has listed all domains, and while its connection stands. */
TEST(our_beat_says_whether_libvirt_answers)
{
    for (unsigned i = 0; i < 3; i++) {
        struct unit *u = unit_new(2);
        unit_start(u);
        u->core.local.domains_known = i != 1;
        u->core.local.libvirt = i != 2;
        unit_pass(u, 400);
        assert_int_equal(u->core.local.beat.libvirt, i == 0);
        assert_int_equal(u->core.local.beat.alarms, i == 0 ? 0 : 1u << ALARM_LIBVIRT_AWAY);
        free(u);
    }
}

/* The ring as slots holds only nodes the state knows. */
TEST(the_ring_mask_holds_known_nodes)
{
    struct unit *u = unit_new(2);
    const uint32_t ring[] = {2, 3, 9};
    unit_start(u);
    hush(u, true, true, true);
    unit_ring(u, true, 2, ring);
    assert_int_equal(peers_ring_mask(&u->core), 6);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_a_quorum_make_fresh),
        cmocka_unit_test(silence_ends_freshness),
        cmocka_unit_test(a_quorum_is_enough),
        cmocka_unit_test(late_answers_do_not_make_fresh),
        cmocka_unit_test(freshness_ends_by_the_oldest_needed_answer),
        cmocka_unit_test(not_quorate_is_not_fresh),
        cmocka_unit_test(a_ring_below_the_quorum_is_not_fresh),
        cmocka_unit_test(answers_to_an_earlier_process_do_not_count),
        cmocka_unit_test(answers_from_the_future_do_not_count),
        cmocka_unit_test(answers_from_outside_the_ring_do_not_count),
        cmocka_unit_test(a_node_that_came_back_answers_anew),
        cmocka_unit_test(those_who_stay_keep_their_answers),
        cmocka_unit_test(an_agent_that_left_does_not_speak),
        cmocka_unit_test(a_silent_peer_does_not_speak),
        cmocka_unit_test(a_silent_one_is_awaited_for_grace_ms),
        cmocka_unit_test(a_peer_without_storage_is_timed),
        cmocka_unit_test(our_beat_answers_each_peer),
        cmocka_unit_test(our_beat_says_who_we_are),
        cmocka_unit_test(not_fresh_asks_for_answers),
        cmocka_unit_test(a_question_is_answered_at_once),
        cmocka_unit_test(without_storage_we_are_not_able),
        cmocka_unit_test(an_answer_is_asked_for_in_time),
        cmocka_unit_test(what_is_no_answer_leaves_nothing),
        cmocka_unit_test(a_new_ring_is_told_at_once),
        cmocka_unit_test(we_do_not_leave),
        cmocka_unit_test(one_never_seen_is_absent_since_we_began),
        cmocka_unit_test(those_seen_are_bounded),
        cmocka_unit_test(a_peer_that_comes_without_storage_is_timed),
        cmocka_unit_test(our_beat_says_whether_libvirt_answers),
        cmocka_unit_test(the_ring_mask_holds_known_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
