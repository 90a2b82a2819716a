/* Watchdogs: when the keeper is told what, what is committed of it, and when one must have fired.
 */
#include "agent/votes.h"
#include "agent/watchdog.h"
#include "fencing/timing.h"
#include "tests/unit/unit_core.h"

#define N2 1 /* slots */
#define N3 2
#define FIRES 20000u
#define VOUCH 2000u /* fresh_ms twice */

static void keeper_is(struct unit *u, bool armed, const char *trouble)
{
    struct event event = unit_event(EVENT_KEEPER, 0);
    event.keeper.armed = armed;
    event.keeper.timeout_ms = armed ? u->core.cluster.settings.watchdog_ms : 0;
    snprintf(event.keeper.trouble, TEXT_BYTES, "%s", trouble);
    unit_step(u, &event);
}

/* We are n2; the cluster accepts the proof. */
static struct unit *accepting(void)
{
    struct unit *u = unit_new(2);
    unit_set(u, "proof", PROOF_WATCHDOG);
    unit_start(u);
    return u;
}

static struct unit *armed(void)
{
    struct unit *u = accepting();
    (void)unit_take(u, ACTION_KEEPER_ARM);
    keeper_is(u, true, "");
    return u;
}

static void hush(struct unit *u)
{
    u->silent[1] = true;
    u->silent[2] = true;
    u->silent[3] = true;
}

/* By default nothing is asked of any keeper, whatever it says. */
TEST(without_the_policy_nobody_speaks_to_a_keeper)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    unit_pass(u, 3000);
    unit_none(u, ACTION_KEEPER_ARM);
    unit_none(u, ACTION_VOUCH);
    unit_none(u, ACTION_KEEPER_DISARM);
    assert_int_equal(u->core.local.beat.watchdog, WATCHDOG_UNKNOWN);
    free(u);
}

/* Nor below the level at which the records can hold it. */
TEST(below_its_level_nothing_is_armed)
{
    struct unit *u = unit_new(2);
    unit_set(u, "proof", PROOF_WATCHDOG);
    u->image.header.feature_level = LEVEL_WATCHDOG - 1;
    unit_start(u);
    unit_pass(u, 3000);
    unit_none(u, ACTION_KEEPER_ARM);
    free(u);
}

TEST(with_the_policy_it_is_armed_and_asked_again_until_it_is)
{
    struct unit *u = accepting();
    assert_int_equal(unit_take(u, ACTION_KEEPER_ARM).keeper.timeout_ms,
                     settings_default().watchdog_ms);
    keeper_is(u, false, "there is none");
    assert_string_equal(u->core.local.troubles[TROUBLE_WATCHDOG], "there is none");
    (void)unit_take(u, ACTION_KEEPER_ARM);
    keeper_is(u, true, "");
    unit_forget(u);
    unit_pass(u, 5000);
    unit_none(u, ACTION_KEEPER_ARM);
    unit_none(u, ACTION_KEEPER_DISARM);
    assert_int_equal(u->core.local.beat.watchdog, WATCHDOG_ARMED);
    assert_int_equal(u->core.local.beat.watchdog_fires_ms, settings_default().watchdog_fires_ms);
    free(u);
}

/* Its keeper died, and the device runs on: to arm it anew is to feed it, which nobody's answer
 * would stand behind. */
TEST(it_is_not_armed_anew_while_nobody_hears_this_host)
{
    struct unit *u = armed();
    hush(u);
    unit_pass(u, 3000);
    keeper_is(u, false, "stead-keeper ended");
    unit_forget(u);
    unit_pass(u, 30000);
    unit_none(u, ACTION_KEEPER_ARM);
    memset(u->silent, 0, sizeof(u->silent));
    (void)unit_take(u, ACTION_KEEPER_ARM);
    free(u);
}

/* Fresh, it is vouched for exactly as long as that freshness lasts. */
TEST(a_vouch_ends_with_the_freshness_it_says)
{
    struct unit *u = armed();
    struct action action;
    uint32_t vouches = 0;
    unit_domain(u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    unit_forget(u);
    for (uint32_t i = 0; i < 100; i++) {
        unit_pass(u, UNIT_TICK_MS);
        while (unit_find(u, ACTION_VOUCH, &action)) {
            assert_true(action.keeper.until_ms <= u->now_ms + u->core.cluster.settings.fresh_ms);
            assert_true(action.keeper.until_ms > u->now_ms);
            vouches++;
        }
    }
    assert_in_range(vouches, 5, 25); /* about one per heartbeat, in two seconds */
    hush(u);
    unit_pass(u, u->core.cluster.settings.fresh_ms + 100);
    unit_forget(u);
    unit_pass(u, 5000);
    unit_none(u, ACTION_VOUCH);
    free(u);
}

/* Cut off, but with nothing alive here: no need to be reset. */
TEST(an_empty_host_is_vouched_for_while_it_is_cut_off)
{
    struct unit *u = armed();
    hush(u);
    unit_pass(u, u->core.cluster.settings.fresh_ms + 100);
    unit_forget(u);
    unit_pass(u, 2000);
    struct action action = unit_take(u, ACTION_VOUCH);
    assert_true(action.keeper.until_ms <= u->now_ms + u->core.cluster.settings.fresh_ms);
    free(u);
}

/* What libvirt has not told, may be a guest. */
TEST(a_host_that_does_not_know_its_guests_is_not_empty)
{
    struct unit *u = armed();
    struct event event = unit_event(EVENT_DOMAINS, 0);
    unit_step(u, &event); /* libvirt is away */
    hush(u);
    unit_pass(u, u->core.cluster.settings.fresh_ms + 100);
    unit_forget(u);
    unit_pass(u, 2000);
    unit_none(u, ACTION_VOUCH);
    free(u);
}

/* The setting goes; the watchdog stays until the state says that nobody counts on it. */
TEST(it_is_let_go_only_after_a_committed_off)
{
    struct unit *u = unit_new(2);
    u->image.nodes[N2].watchdog = true;
    u->image.nodes[N2].watchdog_fires_ms = FIRES;
    unit_start(u);
    keeper_is(u, true, "");
    unit_pass(u, 3000);
    unit_none(u, ACTION_KEEPER_DISARM);
    (void)unit_foreign(u);
    struct node_record *node = unit_foreign_node(u, N2);
    node->watchdog = false;
    node->watchdog_fires_ms = 0;
    unit_foreign_send(u);
    (void)unit_take(u, ACTION_KEEPER_DISARM);
    free(u);
}

/* Was it told that this host is reset soon? */
static bool end(struct unit *u)
{
    struct event event = unit_event(EVENT_LEAVING, 0);
    bool told = false;
    event.leaving.agent = true;
    unit_step(u, &event);
    for (uint32_t i = 0; i < u->out.count; i++) {
        const struct action *action = &u->out.list[i];
        told |= action->kind == ACTION_TRACE && strstr(action->trace, "this host is reset") != NULL;
    }
    unit_pass(u, 300);
    return told;
}

/* An agent that ends lets an empty host go on: it says so, and waits for the committed off. */
TEST(an_agent_that_ends_has_the_watchdog_of_an_empty_host_let_go)
{
    struct unit *u = armed();
    u->core.cluster.nodes[N2].watchdog = true;
    assert_false(end(u));
    assert_true(watchdog_is_ending(&u->core));
    assert_int_equal(u->core.local.beat.watchdog, WATCHDOG_OFF);
    unit_none(u, ACTION_KEEPER_DISARM);
    u->core.cluster.nodes[N2].watchdog = false;
    (void)unit_take(u, ACTION_KEEPER_DISARM);
    keeper_is(u, false, "");
    assert_false(watchdog_is_ending(&u->core));
    unit_forget(u);
    unit_pass(u, 3000);
    unit_none(u, ACTION_KEEPER_ARM);
    free(u);
}

TEST(an_agent_that_ends_beside_guests_leaves_it_armed)
{
    struct unit *u = armed();
    unit_domain(u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    u->core.cluster.nodes[N2].watchdog = true;
    assert_true(end(u));
    assert_false(watchdog_is_ending(&u->core));
    assert_int_equal(u->core.local.beat.watchdog, WATCHDOG_ARMED);
    free(u);
}

/* Before it knows anything, an agent vouches by freshness and lets nothing go. */
TEST(a_restarted_agent_lets_nothing_go)
{
    struct unit *u = unit_new(2);
    core_init(&u->core, &u->facts, u->now_ms);
    unit_ring(u, true, u->ring.count, u->ring.nodeids);
    keeper_is(u, true, "");
    unit_pass(u, 1000);
    unit_none(u, ACTION_KEEPER_DISARM);
    assert_true(unit_logged(u, ACTION_VOUCH) > 0);
    free(u);
}

/* What was answered before we knew that it is armed was answered by whoever knows us lost, too. */
TEST(only_what_told_of_the_watchdog_vouches)
{
    struct unit *u = unit_new(2);
    core_init(&u->core, &u->facts, u->now_ms);
    unit_ring(u, true, u->ring.count, u->ring.nodeids);
    unit_pass(u, 500);
    hush(u);
    keeper_is(u, true, "");
    unit_pass(u, 800);
    assert_int_equal(unit_logged(u, ACTION_VOUCH), 0);
    free(u);
}

/* ... and for no longer than whoever counts on it may expect, whichever settings are in force. */
TEST(who_has_read_nothing_vouches_for_the_least)
{
    struct unit *u = unit_new(2);
    struct action action;
    uint32_t vouches = 0;
    core_init(&u->core, &u->facts, u->now_ms);
    unit_ring(u, true, u->ring.count, u->ring.nodeids);
    keeper_is(u, true, "");
    for (uint32_t i = 0; i < 100; i++) {
        unit_pass(u, UNIT_TICK_MS);
        while (unit_find(u, ACTION_VOUCH, &action)) {
            assert_true(action.keeper.until_ms <= u->now_ms + 400);
            assert_true(action.keeper.until_ms > u->now_ms - UNIT_TICK_MS);
            vouches++;
        }
    }
    assert_in_range(vouches, 5, 25);
    free(u);
}

/* Settings that were not read may differ from those that the others count on. */
TEST(who_has_read_nothing_says_armed_and_not_how_long)
{
    struct unit *u = unit_new(2);
    core_init(&u->core, &u->facts, u->now_ms);
    unit_ring(u, true, u->ring.count, u->ring.nodeids);
    struct event event = unit_event(EVENT_KEEPER, 0);
    event.keeper.armed = true;
    event.keeper.timeout_ms = settings_default().watchdog_fires_ms + 1;
    unit_step(u, &event);
    unit_pass(u, 500);
    assert_int_equal(u->core.local.beat.watchdog, WATCHDOG_ARMED);
    assert_int_equal(u->core.local.beat.watchdog_fires_ms, 0);
    assert_int_equal(u->core.local.beat.watchdog_vouch_ms, 0);
    free(u);
}

/* A lower fresh_ms takes nothing back that the keeper was told before. */
TEST(what_it_was_vouched_for_is_told_until_it_is_over)
{
    struct unit *u = armed();
    unit_pass(u, 1000);
    assert_int_equal(u->core.local.beat.watchdog_vouch_ms, VOUCH);
    hush(u);
    u->core.cluster.settings.fresh_ms = VOUCH / 4;
    unit_pass(u, 400);
    assert_int_equal(u->core.local.beat.watchdog_vouch_ms, VOUCH);
    unit_pass(u, VOUCH);
    assert_int_equal(u->core.local.beat.watchdog_vouch_ms, VOUCH / 2);
    free(u);
}

/* ... by an agent before us: the record says how long that may be. */
TEST(a_restarted_agent_tells_no_less_than_its_record_for_as_long)
{
    struct unit *u = unit_new(2);
    unit_set(u, "proof", PROOF_WATCHDOG);
    u->image.nodes[N2].watchdog = true;
    u->image.nodes[N2].watchdog_fires_ms = settings_default().watchdog_fires_ms;
    u->image.nodes[N2].watchdog_vouch_ms = 3 * VOUCH;
    unit_start(u);
    keeper_is(u, true, "");
    unit_pass(u, VOUCH);
    assert_int_equal(u->core.local.beat.watchdog_vouch_ms, 3 * VOUCH);
    unit_pass(u, 3 * VOUCH);
    assert_int_equal(u->core.local.beat.watchdog_vouch_ms, VOUCH);
    free(u);
}

/* --- whom we answer --- */

TEST(who_is_lost_with_an_armed_watchdog_is_not_answered)
{
    struct unit *u = unit_new(2);
    struct beat beat = u->peers[3];
    unit_start(u);
    beat.watchdog = WATCHDOG_ARMED;
    assert_false(watchdog_shuns(&u->core, &beat));
    u->core.cluster.nodes[N3].state = NODE_LOST;
    assert_true(watchdog_shuns(&u->core, &beat));
    u->core.cluster.nodes[N3].state = NODE_FENCED;
    assert_true(watchdog_shuns(&u->core, &beat));
    beat.incarnation.number++; /* a new life of its */
    assert_false(watchdog_shuns(&u->core, &beat));
    beat.incarnation = (struct incarnation){0}; /* it could not keep which life it has */
    assert_true(watchdog_shuns(&u->core, &beat));
    beat.empty = true; /* that life is over: it may be needed to let both in again */
    assert_false(watchdog_shuns(&u->core, &beat));
    beat = u->peers[3];
    beat.watchdog = WATCHDOG_OFF; /* it goes as it always went */
    assert_false(watchdog_shuns(&u->core, &beat));
    u->core.cluster.nodes[N3].watchdog = true; /* what it says now comes too late */
    assert_true(watchdog_shuns(&u->core, &beat));
    beat.watchdog = WATCHDOG_UNKNOWN;
    assert_true(watchdog_shuns(&u->core, &beat));
    free(u);
}

TEST(who_has_no_copy_answers_nobody_whose_watchdog_runs)
{
    struct unit *u = unit_new(2);
    core_init(&u->core, &u->facts, u->now_ms);
    u->peers[3].watchdog = WATCHDOG_ARMED;
    assert_true(watchdog_shuns(&u->core, &u->peers[3]));
    assert_false(watchdog_shuns(&u->core, &u->peers[1]));
    u->core.local.now_ms += 1000000;
    u->peers[3].watchdog_fires_ms = FIRES;
    assert_true(watchdog_shuns(&u->core, &u->peers[3])); /* for ever, if it does not say how long */
    free(u);
}

TEST(who_has_no_copy_answers_again_once_the_watchdog_would_have_fired)
{
    struct unit *u = unit_new(2);
    core_init(&u->core, &u->facts, u->now_ms);
    u->peers[3].watchdog = WATCHDOG_ARMED;
    u->peers[3].watchdog_fires_ms = FIRES;
    u->peers[3].watchdog_vouch_ms = VOUCH;
    u->core.local.now_ms = u->core.local.started_ms + timing_watchdog_ms(VOUCH, FIRES) - 1;
    assert_true(watchdog_shuns(&u->core, &u->peers[3]));
    u->core.local.now_ms++;
    assert_false(watchdog_shuns(&u->core, &u->peers[3]));
    free(u);
}

/* --- on the acting node --- */

/* What n1 and the others say of the copy, as their agents do. */
static void all_know(struct unit *u)
{
    for (uint32_t id = 1; id <= UNIT_NODES; id++) {
        u->peers[id].epoch = u->core.cluster.header.epoch;
        u->peers[id].version = u->core.cluster.header.version;
    }
}

/* We are n1 and act; a VM runs on n3. */
static struct unit *acting(uint32_t proof)
{
    struct unit *u = unit_new(1);
    unit_set(u, "proof", proof);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_lead(u);
    unit_settle(u, 500);
    return u;
}

static void settle_knowing(struct unit *u, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += UNIT_TICK_MS) {
        all_know(u);
        unit_settle(u, UNIT_TICK_MS);
    }
}

static void n3_arms(struct unit *u)
{
    u->peers[3].watchdog = WATCHDOG_ARMED;
    u->peers[3].watchdog_fires_ms = FIRES;
    u->peers[3].watchdog_vouch_ms = VOUCH;
    settle_knowing(u, 1000);
    assert_true(unit_copy_node(u, 3)->watchdog);
    assert_int_equal(unit_copy_node(u, 3)->watchdog_fires_ms, FIRES);
    assert_int_equal(unit_copy_node(u, 3)->watchdog_vouch_ms, VOUCH);
}

TEST(an_armed_watchdog_is_committed_and_its_end_too)
{
    struct unit *u = acting(PROOF_WATCHDOG);
    n3_arms(u);
    u->peers[3].watchdog = WATCHDOG_UNKNOWN; /* its agent was restarted */
    settle_knowing(u, 1000);
    assert_true(unit_copy_node(u, 3)->watchdog);
    u->peers[3].watchdog = WATCHDOG_OFF;
    settle_knowing(u, 1000);
    assert_false(unit_copy_node(u, 3)->watchdog);
    assert_int_equal(unit_copy_node(u, 3)->watchdog_fires_ms, 0);
    free(u);
}

/* It may have read an "off" that it had not read when it said so. */
TEST(a_word_on_an_older_copy_does_not_count)
{
    struct unit *u = acting(PROOF_WATCHDOG);
    u->peers[3].watchdog = WATCHDOG_ARMED;
    u->peers[3].watchdog_fires_ms = FIRES;
    u->peers[3].epoch = u->core.cluster.header.epoch;
    u->peers[3].version = u->core.cluster.header.version - 1;
    unit_settle(u, 2000);
    assert_false(unit_copy_node(u, 3)->watchdog);
    free(u);
}

TEST(without_the_policy_it_is_not_committed)
{
    struct unit *u = acting(PROOF_STORAGE);
    u->peers[3].watchdog = WATCHDOG_ARMED;
    u->peers[3].watchdog_fires_ms = FIRES;
    settle_knowing(u, 1000);
    assert_false(unit_copy_node(u, 3)->watchdog);
    free(u);
}

/* n3 leaves; its node's part of the barrier stands. */
static void n3_dies(struct unit *u)
{
    unit_leave(u, 3);
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
}

TEST(it_has_fired_after_the_deadline_and_not_before)
{
    struct unit *u = acting(PROOF_WATCHDOG);
    n3_arms(u);
    n3_dies(u);
    uint32_t wait_ms = timing_watchdog_ms(VOUCH, FIRES);
    settle_knowing(u, wait_ms - 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    settle_knowing(u, 1500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    assert_int_equal(unit_copy_node(u, 3)->proofs, PROOF_STORAGE | PROOF_WATCHDOG);
    free(u);
}

/* While fewer than a quorum know that it is lost, somebody may answer it still. */
TEST(the_time_runs_from_a_quorum_that_knows)
{
    struct unit *u = acting(PROOF_WATCHDOG);
    n3_arms(u);
    n3_dies(u); /* n2 says of no copy that it has this version */
    u->peers[2].version = unit_copy_node(u, 3)->fence_term; /* an old one */
    unit_settle(u, 2ull * timing_watchdog_ms(VOUCH, FIRES));
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    settle_knowing(u, timing_watchdog_ms(VOUCH, FIRES) - 1000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    settle_knowing(u, 2000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    free(u);
}

/* One that was not committed as armed proves nothing, however long. */
TEST(time_alone_proves_nothing)
{
    struct unit *u = acting(PROOF_WATCHDOG);
    n3_dies(u);
    settle_knowing(u, 3ull * timing_watchdog_ms(VOUCH, FIRES));
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    free(u);
}

/* n3 was cut off before it read that fresh_ms is less now: it vouches as far as it last said. */
TEST(who_has_not_read_a_shorter_setting_gets_the_longer_time)
{
    struct unit *u = acting(PROOF_WATCHDOG);
    n3_arms(u);
    u->peers[3].watchdog_vouch_ms = 5 * VOUCH;
    settle_knowing(u, 1000);
    n3_dies(u);
    settle_knowing(u, timing_watchdog_ms(5 * VOUCH, FIRES) - 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    settle_knowing(u, 1500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    free(u);
}

static bool agrees(struct unit *u, struct settings next)
{
    struct text why = {0};
    bool good = watchdog_agrees(&u->core, &next, &why);
    assert_int_equal(good, why.length == 0);
    return good;
}

/* Changed twice before a node has read it once, nobody would know how far it vouches. */
TEST(fresh_ms_is_changed_again_only_once_all_have_taken_it_up)
{
    struct unit *u = acting(PROOF_WATCHDOG);
    struct settings next = u->core.cluster.settings;
    next.fresh_ms = 3000;
    assert_true(agrees(u, next)); /* nobody is counted on */
    n3_arms(u);
    assert_true(agrees(u, next));
    u->core.cluster.nodes[N3].watchdog_vouch_ms = 3 * VOUCH;
    assert_false(agrees(u, next));
    next.proof = PROOF_STORAGE;
    assert_true(agrees(u, next));
    free(u);
}

/* Its host says within which time it fires: no timeout may be longer than that. */
TEST(a_timeout_longer_than_a_host_says_is_refused)
{
    struct unit *u = acting(PROOF_WATCHDOG);
    struct settings next = u->core.cluster.settings;
    n3_arms(u);
    next.watchdog_ms = FIRES;
    assert_true(agrees(u, next));
    next.watchdog_ms = FIRES + 1000;
    assert_false(agrees(u, next));
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_policy_nobody_speaks_to_a_keeper),
        cmocka_unit_test(below_its_level_nothing_is_armed),
        cmocka_unit_test(with_the_policy_it_is_armed_and_asked_again_until_it_is),
        cmocka_unit_test(it_is_not_armed_anew_while_nobody_hears_this_host),
        cmocka_unit_test(a_vouch_ends_with_the_freshness_it_says),
        cmocka_unit_test(an_empty_host_is_vouched_for_while_it_is_cut_off),
        cmocka_unit_test(a_host_that_does_not_know_its_guests_is_not_empty),
        cmocka_unit_test(it_is_let_go_only_after_a_committed_off),
        cmocka_unit_test(an_agent_that_ends_has_the_watchdog_of_an_empty_host_let_go),
        cmocka_unit_test(an_agent_that_ends_beside_guests_leaves_it_armed),
        cmocka_unit_test(a_restarted_agent_lets_nothing_go),
        cmocka_unit_test(only_what_told_of_the_watchdog_vouches),
        cmocka_unit_test(who_has_read_nothing_vouches_for_the_least),
        cmocka_unit_test(who_has_read_nothing_says_armed_and_not_how_long),
        cmocka_unit_test(what_it_was_vouched_for_is_told_until_it_is_over),
        cmocka_unit_test(a_restarted_agent_tells_no_less_than_its_record_for_as_long),
        cmocka_unit_test(who_is_lost_with_an_armed_watchdog_is_not_answered),
        cmocka_unit_test(who_has_no_copy_answers_nobody_whose_watchdog_runs),
        cmocka_unit_test(who_has_no_copy_answers_again_once_the_watchdog_would_have_fired),
        cmocka_unit_test(an_armed_watchdog_is_committed_and_its_end_too),
        cmocka_unit_test(a_word_on_an_older_copy_does_not_count),
        cmocka_unit_test(without_the_policy_it_is_not_committed),
        cmocka_unit_test(it_has_fired_after_the_deadline_and_not_before),
        cmocka_unit_test(the_time_runs_from_a_quorum_that_knows),
        cmocka_unit_test(time_alone_proves_nothing),
        cmocka_unit_test(who_has_not_read_a_shorter_setting_gets_the_longer_time),
        cmocka_unit_test(fresh_ms_is_changed_again_only_once_all_have_taken_it_up),
        cmocka_unit_test(a_timeout_longer_than_a_host_says_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
