/* To the millisecond and to the last guest: when a suspension begins and ends, what it asks for
 * each guest, and what it notes. We are n2; guests are those that libvirt told of, the steps are
 * the suspension's alone. */
#include "agent/query.h"
#include "agent/suspend.h"
#include "tests/unit/unit_core.h"

#define OURS 2
#define OUR_SLOT 1
#define WALL_MS 1700000000000
#define SOON_MS 500 /* after the boot */

struct host {
    struct unit *u;
    struct core *core;
    struct local *local;
    struct unit_alone *alone;
};

static struct uuid vm_of(uint32_t slot)
{
    return unit_uuid((uint8_t)(0x80 + slot));
}

/* With `guests` guests that run, each known to the state. */
static struct host host_at(uint64_t now_ms, uint32_t guests)
{
    struct host h = {.u = unit_new(OURS), .alone = unit_alone_new()};
    h.u->now_ms = now_ms;
    for (uint32_t slot = 0; slot < guests; slot++) {
        (void)unit_vm(h.u, slot, VM_RUNNING, OUR_SLOT);
    }
    unit_start(h.u);
    h.core = &h.u->core;
    h.local = &h.core->local;
    for (uint32_t slot = 0; slot < guests; slot++) {
        h.local->domains[slot] = (struct domain){
            .vm = vm_of(slot), .state = DOMAIN_RUNNING, .slot = slot, .action = {7, 8 + slot}};
    }
    h.local->domain_count = guests;
    return h;
}

static struct host host_new(uint32_t guests)
{
    return host_at(100000, guests);
}

static void host_end(struct host *h)
{
    free(h->u);
    free(h->alone);
}

/* A step `ms` later; what it asks is in `alone`. */
static void after(struct host *h, uint64_t ms)
{
    h->local->now_ms += ms;
    h->local->wall_ms = WALL_MS + h->local->now_ms;
    unit_alone_at(h->alone, h->local->now_ms);
    suspend_carry_on(h->core, &h->alone->caller);
}

/* ... in which there is room for `room` effects that cannot wait. */
static void after_with_room(struct host *h, uint64_t ms, uint32_t room)
{
    h->local->now_ms += ms;
    unit_alone_at(h->alone, h->local->now_ms);
    h->alone->out.count = ACTIONS_URGENT - room;
    suspend_carry_on(h->core, &h->alone->caller);
}

static const struct action *asked(const struct host *h, enum action_kind kind)
{
    const struct action *found = NULL;
    for (uint32_t i = 0; i < h->alone->out.count; i++) {
        if (h->alone->out.list[i].kind == kind) {
            assert_null(found); /* for one guest only */
            found = &h->alone->out.list[i];
        }
    }
    return found;
}

static const struct action *last(const struct host *h)
{
    assert_int_not_equal(h->alone->out.count, 0);
    return &h->alone->out.list[h->alone->out.count - 1];
}

static bool answered(struct host *h, enum event_kind kind, uint64_t id)
{
    struct event event = unit_event(kind, id);
    return suspend_on_answer(h->core, &event, &h->alone->caller);
}

static void lose(struct host *h)
{
    h->local->ring.quorate = false;
    after(h, 20);
    assert_true(suspend_on(h->core));
}

static void readmit(struct host *h)
{
    h->core->cluster.nodes[OUR_SLOT].readmitted_ms = suspend_told_ms(h->core);
    h->local->ring.quorate = true;
    after(h, 20);
    assert_false(suspend_on(h->core));
}

/* ---- whom it is about */

TEST(one_that_has_just_begun_suspends_nobody)
{
    struct unit *u = unit_new(OURS);
    core_init(&u->core, &u->facts, u->now_ms);
    assert_false(suspend_on(&u->core));
    assert_int_equal(suspend_told_ms(&u->core), 0);
    free(u);
}

/* Neither an empty host nor one whose only guest is its owner's has anything to suspend. */
TEST(without_guests_of_the_cluster_there_is_nothing_to_suspend)
{
    for (uint32_t guests = 0; guests < 2; guests++) {
        struct host h = host_new(guests);
        h.local->domains[0].vm = unit_uuid(0x77);
        h.local->ring.quorate = false;
        after(&h, 20);
        assert_false(suspend_on(h.core));
        assert_null(asked(&h, ACTION_DOMAIN_SUSPEND));
        host_end(&h);
    }
}

TEST(who_stands_still_is_known_by_guest_and_counted)
{
    struct host h = host_new(4);
    const struct uuid none = unit_uuid(0x77);
    h.local->domains[1].state = DOMAIN_SUSPENDED;
    h.local->domains[2].state = DOMAIN_SUSPENDED;
    h.local->domains[3] = (struct domain){.vm = unit_uuid(0x78), .state = DOMAIN_SUSPENDED};
    for (uint32_t slot = 0; slot < 3; slot++) {
        const struct uuid vm = vm_of(slot);
        assert_int_equal(suspend_of(h.core, &vm), slot != 0);
    }
    assert_false(suspend_of(h.core, &none));
    assert_int_equal(suspend_count(h.core), 2); /* its owner's is none of ours */
    host_end(&h);
}

/* A pause of HA does not stop the clock by which others take this host for dead. */
TEST(where_time_proves_a_pause_of_ha_does_not_spare)
{
    for (unsigned timed = 0; timed < 2; timed++) {
        struct host h = host_new(1);
        h.core->cluster.settings.ha = HA_FREEZE;
        h.core->cluster.settings.proof = timed ? PROOF_WATCHDOG : PROOF_STORAGE;
        h.local->ring.quorate = false;
        after(&h, 20);
        assert_int_equal(suspend_on(h.core), timed);
        host_end(&h);
    }
}

/* ---- when there is no quorum */

/* Silence of Corosync is no word of it: it has not spoken yet. */
TEST(before_the_first_ring_nothing_is_known_to_be_lost)
{
    struct host h = host_new(1);
    h.local->ring.quorate = false;
    h.local->ring.count = 0;
    after(&h, 20);
    assert_false(suspend_on(h.core));
    host_end(&h);
}

/* That the clock is young is no absence of Corosync. */
TEST(soon_after_the_boot_a_loss_counts_at_once)
{
    struct host h = host_at(SOON_MS, 1);
    h.local->ring.quorate = false;
    after(&h, 20);
    assert_true(h.local->now_ms < UNIT_DETECT_MS);
    assert_true(suspend_on(h.core));
    host_end(&h);
}

TEST(unanswered_for_just_so_long_is_borne)
{
    struct host h = host_new(1);
    after(&h, 0);
    uint64_t until_ms = h.local->suspension.answered_ms +
                        timing_unanswered_ms(&h.core->cluster.settings, UNIT_DETECT_MS);
    after(&h, until_ms - h.local->now_ms);
    assert_false(suspend_on(h.core));
    after(&h, 1);
    assert_true(suspend_on(h.core));
    host_end(&h);
}

/* Each absence has its own time: that of one before it is no part of it. */
TEST(corosync_may_be_away_for_as_long_each_time)
{
    struct host h = host_new(1);
    for (unsigned i = 0; i < 2; i++) {
        h.local->ring.quorate = true;
        h.local->ring.away = false;
        after(&h, 20);
        h.local->ring.quorate = false;
        h.local->ring.away = true;
        after(&h, 20);
        after(&h, UNIT_DETECT_MS - 1);
        assert_false(suspend_on(h.core));
    }
    after(&h, 1);
    assert_true(suspend_on(h.core));
    host_end(&h);
}

/* Of two halves the one without the term stands still though Corosync calls it quorate. That is no
 * lack that links could mend: it is not noted as one. */
TEST(the_half_without_the_term_stands_still)
{
    struct host h = host_new(1);
    h.core->cluster.counting = 6; /* n2 and n3 */
    h.core->cluster.header.members = 4;
    h.local->ring.tie = TIE_QDEVICE;
    h.local->ring.quorum = 1;
    h.local->ring.count = 1;
    h.local->ring.nodeids[0] = OURS;
    peers_on_left(h.core, 1);
    peers_on_left(h.core, 3);
    after(&h, 20);
    assert_true(suspend_on(h.core));
    assert_false(h.local->suspension.without);
    assert_int_equal(h.local->suspension.without_ms, 0);
    host_end(&h);
}

/* Up to the step that brings it: who leaves by that very ring was gone before. */
TEST(until_when_there_was_no_quorum_is_noted)
{
    struct host h = host_new(1);
    const uint64_t *without_ms = &h.local->suspension.without_ms;
    h.core->cluster.settings.ha = HA_FREEZE; /* exempt from standing still, not from this */
    after(&h, 20);
    assert_int_equal(*without_ms, 0);
    h.local->ring.quorate = false;
    after(&h, 20);
    assert_int_equal(*without_ms, h.local->now_ms);
    after(&h, 20);
    assert_int_equal(*without_ms, h.local->now_ms);
    h.local->ring.quorate = true;
    after(&h, 20);
    assert_int_equal(*without_ms, h.local->now_ms);
    after(&h, 20);
    assert_int_equal(*without_ms, h.local->now_ms - 20);
    host_end(&h);
}

/* ---- its name, its beginning and its end */

/* The acting node is to hear of both with the next heartbeat there may be. */
TEST(beginning_and_end_are_told_at_once)
{
    struct host h = host_new(1);
    h.local->beat_last_ms = 0;
    h.local->beat_next_ms = UINT64_MAX;
    lose(&h);
    assert_int_equal(h.local->beat_next_ms, h.local->now_ms);
    h.local->beat_next_ms = UINT64_MAX;
    readmit(&h);
    assert_int_equal(h.local->beat_next_ms, h.local->now_ms);
    host_end(&h);
}

TEST(since_when_it_stands_still_is_told_by_the_clock_on_the_wall)
{
    struct host h = host_new(1);
    uint64_t since_ms = 0;
    lose(&h);
    h.local->domains[0].state = DOMAIN_SUSPENDED;
    uint64_t lost_ms = h.local->wall_ms;
    after(&h, 4000);
    assert_true(query_vm_suspended(h.core, unit_copy_vm(h.u, 0), &since_ms));
    assert_int_equal(since_ms, lost_ms);
    host_end(&h);
}

/* Else the readmission to the first would count for the second. */
TEST(two_in_one_millisecond_have_two_names)
{
    struct host h = host_new(1);
    lose(&h);
    uint64_t first_ms = suspend_told_ms(h.core);
    h.core->cluster.nodes[OUR_SLOT].readmitted_ms = first_ms;
    h.local->ring.quorate = true;
    after(&h, 0);
    assert_false(suspend_on(h.core));
    h.local->ring.quorate = false;
    after(&h, 0);
    assert_int_equal(suspend_told_ms(h.core), first_ms + 1);
    host_end(&h);
}

/* Its name stays: the acting node may just be committing that it sees it. */
TEST(what_is_on_does_not_begin_again)
{
    struct host h = host_new(1);
    lose(&h);
    uint64_t first_ms = suspend_told_ms(h.core);
    after(&h, 20);
    suspend_again(h.core, &h.alone->caller);
    assert_int_equal(suspend_told_ms(h.core), first_ms);
    readmit(&h);
    h.core->cluster.header.feature_level = 1; /* no end of it could be committed */
    suspend_again(h.core, &h.alone->caller);
    assert_false(suspend_on(h.core));
    h.core->cluster.header.feature_level = FEATURE_LEVEL;
    suspend_again(h.core, &h.alone->caller);
    assert_int_equal(suspend_told_ms(h.core), h.local->now_ms);
    host_end(&h);
}

/* Its guests are killed; what comes back is another life, with nothing to be readmitted to. */
TEST(it_ends_with_the_life_it_was_of)
{
    static const enum life_state ends[] = {LIFE_OUTSIDE, LIFE_LOST};
    for (size_t i = 0; i < UNIT_COUNT(ends); i++) {
        struct host h = host_new(1);
        lose(&h);
        h.local->life.state = ends[i];
        after(&h, 20);
        assert_false(suspend_on(h.core));
        assert_int_equal(h.alone->out.count, 0);
        host_end(&h);
    }
}

/* ---- what is asked for each guest */

/* Whatever became of our quorum meanwhile, it is carried out, and on the start that was meant. */
TEST(a_guest_is_asked_to_stand_still_by_the_deadline)
{
    struct host h = host_new(1);
    lose(&h);
    const struct action *action = asked(&h, ACTION_DOMAIN_SUSPEND);
    assert_non_null(action);
    assert_true(uuid_equal(&action->vm.uuid, &h.local->domains[0].vm));
    assert_true(action_id_equal(action->vm.action, h.local->domains[0].action));
    assert_int_equal(action->deadline_ms, h.local->now_ms + timing_suspend_ms());
    assert_int_equal(action->valid_until_ms, 0);
    host_end(&h);
}

/* ... with what is left of the time, a quarter of retry_ms after each refusal. */
TEST(a_refusal_is_followed_by_another_try)
{
    struct host h = host_new(1);
    uint32_t retry_ms = h.core->cluster.settings.retry_ms / 4;
    assert_true(retry_ms > 0 && retry_ms < timing_suspend_ms());
    lose(&h);
    uint64_t until_ms = h.local->now_ms + timing_suspend_ms();
    assert_true(answered(&h, EVENT_DOMAIN_DONE, asked(&h, ACTION_DOMAIN_SUSPEND)->id));
    after(&h, retry_ms - 1);
    assert_null(asked(&h, ACTION_DOMAIN_SUSPEND));
    after(&h, 1);
    const struct action *action = asked(&h, ACTION_DOMAIN_SUSPEND);
    assert_non_null(action);
    assert_int_equal(action->deadline_ms, until_ms);
    host_end(&h);
}

/* An answer that never came is not waited for once it can come no more. */
TEST(one_that_runs_again_is_asked_though_no_answer_ever_came)
{
    struct host h = host_new(1);
    lose(&h);
    h.local->domains[0].state = DOMAIN_SUSPENDED;
    after(&h, timing_suspend_ms());
    h.local->domains[0].state = DOMAIN_RUNNING;
    h.local->domains[0].runs_ms = h.local->now_ms + 3000;
    after(&h, 3000);
    assert_non_null(asked(&h, ACTION_DOMAIN_SUSPEND));
    host_end(&h);
}

TEST(an_answer_to_no_guest_here_is_left_to_others)
{
    struct host h = host_new(1);
    lose(&h);
    uint64_t id = asked(&h, ACTION_DOMAIN_SUSPEND)->id;
    assert_false(answered(&h, EVENT_DOMAIN_DONE, id + 1));
    h.local->domain_count = 0; /* it has ended meanwhile */
    assert_false(answered(&h, EVENT_DOMAIN_DONE, id));
    host_end(&h);
}

/* At the deadline itself, past libvirt, and over and over until libvirt says that it is gone. */
TEST(not_standing_still_it_is_killed_until_it_is_gone)
{
    struct host h = host_new(1);
    lose(&h);
    after(&h, timing_suspend_ms() - 1);
    assert_null(asked(&h, ACTION_KILL));
    after(&h, 1);
    const struct action *kill = asked(&h, ACTION_KILL);
    assert_non_null(kill);
    assert_true(uuid_equal(&kill->vm.uuid, &h.local->domains[0].vm));
    assert_int_equal(kill->valid_until_ms, 0); /* a quorum is not asked for */
    uint64_t id = kill->id;
    after(&h, 20);
    assert_null(asked(&h, ACTION_KILL)); /* one at a time */
    assert_true(answered(&h, EVENT_KILLED, id));
    after(&h, 20);
    assert_non_null(asked(&h, ACTION_KILL));
    after(&h, 10000); /* that answer never came */
    assert_non_null(asked(&h, ACTION_KILL));
    host_end(&h);
}

/* Where a step has no room for all, the next one begins with whom it left out. */
TEST(everyone_comes_to_his_turn)
{
    struct host h = host_new(3);
    h.local->ring.quorate = false;
    after_with_room(&h, 20, 1);
    assert_int_equal(h.alone->out.count, ACTIONS_URGENT);
    assert_true(uuid_equal(&last(&h)->vm.uuid, &h.local->domains[0].vm));
    assert_true(answered(&h, EVENT_DOMAIN_DONE, last(&h)->id)); /* and is due again then */
    after_with_room(&h, h.core->cluster.settings.retry_ms / 4, 1);
    assert_int_equal(h.alone->out.count, ACTIONS_URGENT);
    assert_true(uuid_equal(&last(&h)->vm.uuid, &h.local->domains[1].vm));
    after_with_room(&h, 20, 3);
    assert_int_equal(h.alone->out.count, ACTIONS_URGENT - 1);
    for (uint32_t slot = 0; slot < 3; slot++) {
        assert_true(call_open(&h.local->domains[slot].suspend_call));
    }
    host_end(&h);
}

/* The round goes past the end of the list to its beginning. */
TEST(a_turn_goes_round)
{
    struct host h = host_new(3);
    h.local->ring.quorate = false;
    after_with_room(&h, 20, 1);
    after(&h, 20);
    for (uint32_t slot = 0; slot < 3; slot++) {
        assert_true(call_open(&h.local->domains[slot].suspend_call));
    }
    host_end(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_has_just_begun_suspends_nobody),
        cmocka_unit_test(without_guests_of_the_cluster_there_is_nothing_to_suspend),
        cmocka_unit_test(who_stands_still_is_known_by_guest_and_counted),
        cmocka_unit_test(where_time_proves_a_pause_of_ha_does_not_spare),
        cmocka_unit_test(before_the_first_ring_nothing_is_known_to_be_lost),
        cmocka_unit_test(soon_after_the_boot_a_loss_counts_at_once),
        cmocka_unit_test(unanswered_for_just_so_long_is_borne),
        cmocka_unit_test(corosync_may_be_away_for_as_long_each_time),
        cmocka_unit_test(the_half_without_the_term_stands_still),
        cmocka_unit_test(until_when_there_was_no_quorum_is_noted),
        cmocka_unit_test(beginning_and_end_are_told_at_once),
        cmocka_unit_test(since_when_it_stands_still_is_told_by_the_clock_on_the_wall),
        cmocka_unit_test(two_in_one_millisecond_have_two_names),
        cmocka_unit_test(what_is_on_does_not_begin_again),
        cmocka_unit_test(it_ends_with_the_life_it_was_of),
        cmocka_unit_test(a_guest_is_asked_to_stand_still_by_the_deadline),
        cmocka_unit_test(a_refusal_is_followed_by_another_try),
        cmocka_unit_test(one_that_runs_again_is_asked_though_no_answer_ever_came),
        cmocka_unit_test(an_answer_to_no_guest_here_is_left_to_others),
        cmocka_unit_test(not_standing_still_it_is_killed_until_it_is_gone),
        cmocka_unit_test(everyone_comes_to_his_turn),
        cmocka_unit_test(a_turn_goes_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
