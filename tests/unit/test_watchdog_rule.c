/* Watchdogs by the rule itself: whose knowledge lets one count as fired and when, and what a
 * keeper's word changes here. */
#include "agent/draft.h"
#include "agent/watchdog.h"
#include "fencing/timing.h"
#include "tests/unit/unit_core.h"

#define N2 1 /* slots */
#define N3 2
#define FIRES 20000u
#define VOUCH 2000u

/* We are n1; n3 is lost with its watchdog armed, and all here have read of it. */
static struct unit *n3_lost(void)
{
    struct unit *u = unit_new(1);
    unit_start(u);
    struct cluster *copy = &u->core.cluster;
    struct node_record *n3 = &copy->nodes[N3];
    n3->state = NODE_LOST;
    n3->watchdog = true;
    n3->watchdog_fires_ms = FIRES;
    n3->watchdog_vouch_ms = VOUCH;
    u->core.local.acting.lost_version[N3] = copy->header.version;
    for (uint32_t i = 0; i < u->core.local.peer_count; i++) {
        u->core.local.peers[i].beat.epoch = copy->header.epoch;
        u->core.local.peers[i].beat.version = copy->header.version;
    }
    return u;
}

static struct fence fence_of(const struct unit *u)
{
    return (struct fence){.incarnation = u->core.cluster.nodes[N3].incarnation};
}

/* A quorum of those that count must know: the lost one's own word is none, nor that of one that
 * does not count; one that says nothing or has read less knows nothing. */
TEST(whose_knowledge_counts)
{
    static const struct {
        uint64_t counting;
        bool knows; /* n2, if it is heard */
        bool heard;
        bool runs;
    } cases[] = {
        {7, true, true, true},   {7, false, true, false},
        {7, true, false, false}, {3, true, true, true}, /* a person vouched n3 dead */
        {5, true, true, false},                         /* ... or n2: n1 alone knows, and n3 */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct unit *u = n3_lost();
        struct fence fence = fence_of(u);
        struct peer *n2 = peers_find(&u->core.local, 2);
        u->core.cluster.counting = cases[i].counting;
        n2->beat.version -= !cases[i].knows;
        n2->heard = cases[i].heard;
        watchdog_prove(&u->core, N3, &fence);
        assert_int_equal(fence.watchdog_from_ms, cases[i].runs ? u->core.local.now_ms : 0);
        free(u);
    }
}

/* To the millisecond, of that life, and only of a watchdog that was committed. */
TEST(when_it_has_fired)
{
    struct unit *u = n3_lost();
    struct fence fence = fence_of(u);
    watchdog_prove(&u->core, N3, &fence);
    u->core.local.now_ms += timing_watchdog_ms(VOUCH, FIRES) - 1;
    watchdog_prove(&u->core, N3, &fence);
    assert_int_equal(fence.proofs, 0);
    u->core.local.now_ms++;
    struct fence another = fence;
    another.incarnation.number++;
    watchdog_prove(&u->core, N3, &another);
    assert_int_equal(another.proofs, 0);
    struct fence unarmed = fence;
    u->core.cluster.nodes[N3].watchdog = false;
    watchdog_prove(&u->core, N3, &unarmed);
    assert_int_equal(unarmed.proofs, 0);
    u->core.cluster.nodes[N3].watchdog = true;
    watchdog_prove(&u->core, N3, &fence);
    assert_int_equal(fence.proofs, PROOF_WATCHDOG);
    free(u);
}

/* One that the state does not know has no life that it could have lost. */
TEST(a_stranger_is_answered)
{
    struct unit *u = n3_lost();
    struct beat beat = u->peers[3];
    beat.watchdog = WATCHDOG_ARMED;
    assert_true(watchdog_shuns(&u->core, &beat));
    beat.nodeid = 9;
    assert_false(watchdog_shuns(&u->core, &beat));
    free(u);
}

static void keeper_is(struct unit *u, bool armed, uint32_t timeout_ms)
{
    struct event event = unit_event(EVENT_KEEPER, 0);
    event.keeper.armed = armed;
    event.keeper.timeout_ms = timeout_ms;
    name_set(event.keeper.identity, sizeof(event.keeper.identity), "iTCO");
    unit_step(u, &event);
}

/* Only heartbeats sent after a change tell of it, and the next goes at once; a word that changes
 * nothing leaves that as it is. */
TEST(a_keepers_word)
{
    struct unit *u = unit_new(2);
    unit_set(u, "proof", PROOF_WATCHDOG);
    unit_start(u);
    struct watchdog *watchdog = &u->core.local.watchdog;
    unit_pass(u, 400);
    while (u->core.local.beat_last_ms != u->now_ms) {
        unit_pass(u, UNIT_TICK_MS);
    }
    uint64_t beat_ms = u->now_ms;
    u->now_ms += 10;
    watchdog->tries = 5;
    watchdog->vouched_ms = watchdog->vouch_ms = u->now_ms + 60000;
    keeper_is(u, true, u->core.cluster.settings.watchdog_ms);
    assert_int_equal(watchdog->since_ms, beat_ms + 1);
    assert_int_equal(watchdog->timeout_ms, u->core.cluster.settings.watchdog_ms);
    assert_string_equal(watchdog->identity, "iTCO");
    assert_int_equal(watchdog->tries, 0);
    assert_true(watchdog->vouched_ms < u->now_ms + 60000);
    assert_true(watchdog->vouch_ms < u->now_ms + 60000);
    unit_tick(u);
    assert_int_equal(u->core.local.beat_last_ms, u->now_ms);
    unit_pass(u, 600);
    keeper_is(u, true, u->core.cluster.settings.watchdog_ms);
    assert_int_equal(watchdog->since_ms, beat_ms + 1);
    keeper_is(u, false, 0);
    assert_true(watchdog->since_ms > beat_ms + 1);
    free(u);
}

/* From its level on it is armed; asked again ever more seldom, but not at once so. */
TEST(a_keeper_that_says_nothing_is_asked_again)
{
    struct unit *u = unit_new(2);
    unit_set(u, "proof", PROOF_WATCHDOG);
    u->image.header.feature_level = LEVEL_WATCHDOG;
    unit_start(u);
    unit_pass(u, 4 * u->core.cluster.settings.retry_ms);
    assert_int_equal(unit_logged(u, ACTION_KEEPER_ARM), 3);
    free(u);
}

/* Twice in a beat_ms at most, however many answers come. */
TEST(a_vouch_is_told_in_its_time)
{
    struct unit *u = unit_new(2);
    struct watchdog *watchdog = &u->core.local.watchdog;
    unit_set(u, "proof", PROOF_WATCHDOG);
    unit_start(u);
    keeper_is(u, true, u->core.cluster.settings.watchdog_ms);
    unit_pass(u, 2000);
    unit_forget(u);
    (void)unit_take(u, ACTION_VOUCH);
    assert_int_equal(watchdog->vouch_ms, u->now_ms + u->core.cluster.settings.beat_ms / 2);
    watchdog->vouch_ms = u->now_ms + 5000;
    unit_forget(u);
    unit_pass(u, 3000);
    unit_none(u, ACTION_VOUCH);
    free(u);
}

/* Where no policy rests on it nobody is troubled by it; what agrees gives no reason. */
TEST(without_the_policy_it_is_no_trouble)
{
    struct unit *u = unit_new(2);
    struct text why = {0};
    unit_start(u);
    name_set(u->core.local.troubles[TROUBLE_WATCHDOG], TEXT_BYTES, "no such device");
    unit_tick(u);
    assert_string_equal(u->core.local.troubles[TROUBLE_WATCHDOG], "");
    text_add(&why, "of before");
    assert_true(watchdog_agrees(&u->core, &u->core.cluster.settings, &why));
    assert_string_equal(why.bytes, "");
    free(u);
}

/* Its end is told at once, and no pause from before keeps the watchdog from being let go. */
TEST(an_agent_that_ends_says_so_at_once)
{
    struct unit *u = unit_new(2);
    struct watchdog *watchdog = &u->core.local.watchdog;
    unit_set(u, "proof", PROOF_WATCHDOG);
    unit_start(u);
    keeper_is(u, true, u->core.cluster.settings.watchdog_ms);
    u->core.cluster.nodes[N2].watchdog = true; /* counted on: nothing more is done yet */
    unit_pass(u, 400);
    while (u->core.local.beat_last_ms != u->now_ms) {
        unit_pass(u, UNIT_TICK_MS);
    }
    u->now_ms += 10;
    watchdog->retry_ms = u->now_ms + 60000;
    struct event event = unit_event(EVENT_LEAVING, 0);
    event.leaving.agent = true;
    unit_step(u, &event);
    assert_int_equal(watchdog->retry_ms, 0);
    unit_tick(u);
    assert_int_equal(u->core.local.beat_last_ms, u->now_ms);
    free(u);
}

/* A timeout that is longer than the host is said to be reset within is told, and not counted on. */
TEST(a_timeout_longer_than_is_said_is_trouble)
{
    for (uint32_t more = 0; more < 2; more++) {
        struct unit *u = unit_new(2);
        const char *trouble = u->core.local.troubles[TROUBLE_WATCHDOG];
        unit_set(u, "proof", PROOF_WATCHDOG);
        u->facts.watchdog_fires_ms = FIRES;
        unit_start(u);
        keeper_is(u, true, FIRES + more);
        assert_int_equal(strstr(trouble, "longer than it is said") != NULL, more == 1);
        unit_pass(u, 400);
        assert_int_equal(u->core.local.beat.watchdog, more == 0 ? WATCHDOG_ARMED : WATCHDOG_OFF);
        keeper_is(u, false, FIRES + more);
        assert_string_equal(trouble, "");
        free(u);
    }
}

/* Who tells no copy of its own for how long it is vouched for may be counted on for ever. */
TEST(who_says_no_length_is_not_answered_without_a_copy)
{
    struct unit *u = unit_new(2);
    core_init(&u->core, &u->facts, u->now_ms);
    u->core.local.now_ms += 24 * 3600000;
    struct beat beat = u->peers[3];
    beat.watchdog = WATCHDOG_ARMED;
    for (unsigned i = 0; i < 4; i++) {
        beat.watchdog_vouch_ms = (i & 1) != 0 ? VOUCH : 0;
        beat.watchdog_fires_ms = (i & 2) != 0 ? FIRES : 0;
        assert_int_equal(watchdog_shuns(&u->core, &beat), i < 3);
    }
    free(u);
}

/* How many records does this word of n3's make, in a draft that holds `before`? */
static uint32_t drafts(struct unit *u, uint32_t before)
{
    struct draft *draft = &u->core.local.draft;
    struct beat *beat = &u->peers[3];
    beat->epoch = u->core.cluster.header.epoch;
    beat->version = u->core.cluster.header.version;
    draft_begin(&u->core);
    draft->delta.count = before;
    watchdog_draft(&u->core, N3, beat);
    return draft->delta.count - before;
}

static void takes_effect(struct unit *u, const char *words)
{
    struct draft *draft = &u->core.local.draft;
    const struct history_entry *entry = &draft->delta.records[1].history;
    u->core.cluster.nodes[N3] = *draft_peek_node(&u->core, N3);
    draft->open = false;
    assert_int_equal(entry->kind, HISTORY_NODE_WATCHDOG);
    assert_int_equal(entry->number, u->core.cluster.nodes[N3].watchdog_fires_ms);
    assert_string_equal(entry->cause, words);
}

/* Each change once, and nothing that is known already; the record and its entry fit in or not. */
TEST(what_is_committed_of_a_watchdog)
{
    struct unit *u = unit_new(2);
    struct beat *beat = &u->peers[3];
    const struct node_record *node = &u->core.cluster.nodes[N3];
    unit_set(u, "proof", PROOF_WATCHDOG);
    unit_start(u);
    beat->watchdog = WATCHDOG_ARMED;
    beat->watchdog_fires_ms = FIRES;
    beat->watchdog_vouch_ms = VOUCH;
    assert_int_equal(drafts(u, DELTA_RECORDS_MAX - 1), 0);
    assert_int_equal(drafts(u, DELTA_RECORDS_MAX - 2), 2);
    assert_int_equal(drafts(u, 0), 2);
    takes_effect(u, "watchdog of n3 armed: it fires within 20000 ms of its last feed");
    assert_true(node->watchdog);
    assert_int_equal(node->watchdog_vouch_ms, VOUCH);
    assert_int_equal(drafts(u, 0), 0);
    beat->watchdog_vouch_ms++;
    assert_int_equal(drafts(u, 0), 2);
    beat->watchdog_vouch_ms--;
    beat->watchdog_fires_ms++;
    assert_int_equal(drafts(u, 0), 2);
    beat->watchdog = WATCHDOG_OFF;
    assert_int_equal(drafts(u, 0), 2);
    takes_effect(u, "watchdog of n3 off: its keeper says that it is not armed");
    assert_false(node->watchdog);
    assert_int_equal(node->watchdog_fires_ms, 0);
    assert_int_equal(node->watchdog_vouch_ms, 0);
    assert_int_equal(drafts(u, 0), 0);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whose_knowledge_counts),
        cmocka_unit_test(when_it_has_fired),
        cmocka_unit_test(a_stranger_is_answered),
        cmocka_unit_test(a_keepers_word),
        cmocka_unit_test(a_keeper_that_says_nothing_is_asked_again),
        cmocka_unit_test(a_vouch_is_told_in_its_time),
        cmocka_unit_test(without_the_policy_it_is_no_trouble),
        cmocka_unit_test(an_agent_that_ends_says_so_at_once),
        cmocka_unit_test(a_timeout_longer_than_is_said_is_trouble),
        cmocka_unit_test(who_says_no_length_is_not_answered_without_a_copy),
        cmocka_unit_test(what_is_committed_of_a_watchdog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
