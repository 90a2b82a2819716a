/* Our own standing: when every guest of ours is killed, when none is, and how we come back. We are
 * n2. */
#include "agent/life.h"
#include "agent/query.h"
#include "fencing/timing.h"
#include "tests/unit/unit_core.h"

#define OUR_SLOT 1

static enum life_state standing(const struct unit *u)
{
    return u->core.local.life.state;
}

/* The actor commits that our node is in that state. */
static void record(struct unit *u, enum node_state state)
{
    (void)unit_foreign(u);
    unit_foreign_node(u, OUR_SLOT)->state = state;
    unit_foreign_send(u);
}

static void hands_empty(struct unit *u)
{
    struct action kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 0);
    assert_true(u->core.local.life.empty);
}

/* Before a copy of the state is there, nothing is decided: no kill, no lease, no commit. */
TEST(without_a_copy_nothing_is_decided)
{
    struct unit *u = unit_new(2);
    core_init(&u->core, &u->facts, u->now_ms);
    unit_ring(u, true, 3, u->ring.nodeids);
    unit_domains(u);
    unit_pass(u, 10000);
    assert_int_equal(standing(u), LIFE_UNKNOWN);
    unit_none(u, ACTION_KILL);
    unit_none(u, ACTION_COMMIT);
    free(u);
}

/* A term that names our present incarnation lost kills every guest of ours, by pidfd. */
TEST(named_lost_kills_all)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    record(u, NODE_LOST);
    assert_int_equal(standing(u), LIFE_LOST);
    struct action kill = unit_take(u, ACTION_KILL);
    assert_true(uuid_is_zero(&kill.vm.uuid));
    assert_int_equal(kill.valid_until_ms, 0); /* it must not wait for freshness */
    free(u);
}

/* A node that was removed ends its guests as one that was lost, and is told how to come back. */
TEST(removed_kills_all)
{
    struct unit *u = unit_new(2);
    char text[TEXT_BYTES];
    unit_start(u);
    record(u, NODE_REMOVED);
    assert_int_equal(standing(u), LIFE_LOST);
    hands_empty(u);
    unit_pass(u, 100);
    assert_int_equal(standing(u), LIFE_OUTSIDE);
    query_situation(&u->core, u->now_ms, text);
    assert_non_null(strstr(text, "removed: stead cluster join"));
    free(u);
}

/* libvirt may tell of them for a while: our VMs' domains are forgotten, and nobody else's. */
TEST(with_empty_hands_our_guests_are_forgotten)
{
    struct unit *u = unit_new(2);
    unit_vm(u, 0, VM_RUNNING, OUR_SLOT);
    unit_vm(u, 1, VM_RUNNING, OUR_SLOT);
    unit_start(u);
    struct local *local = &u->core.local;
    const struct uuid vms[] = {unit_uuid(70), u->image.vms[0].uuid, unit_uuid(71),
                               u->image.vms[1].uuid};
    local->domain_count = UNIT_COUNT(vms);
    for (unsigned i = 0; i < UNIT_COUNT(vms); i++) {
        local->domains[i] = (struct domain){.vm = vms[i], .state = DOMAIN_RUNNING};
    }
    record(u, NODE_LOST);
    hands_empty(u);
    assert_int_equal(local->domain_count, 2);
    assert_true(uuid_equal(&local->domains[0].vm, &vms[0]));
    assert_true(uuid_equal(&local->domains[1].vm, &vms[2]));
    free(u);
}

/* Killing goes on until /proc shows none. */
TEST(killing_goes_on_until_none_is_left)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    record(u, NODE_LOST);
    const enum outcome outcomes[] = {OUTCOME_DONE, OUTCOME_UNKNOWN, OUTCOME_FAILED};
    for (unsigned i = 0; i < UNIT_COUNT(outcomes); i++) {
        struct action kill = unit_take(u, ACTION_KILL);
        struct action anothers = {.id = kill.id + 77};
        unit_killed(u, &anothers, OUTCOME_DONE, 0);
        unit_killed(u, &kill, outcomes[i], outcomes[i] == OUTCOME_DONE ? 1 : 0);
        assert_false(u->core.local.life.empty);
        unit_pass(u, u->core.cluster.settings.retry_ms / 4 - UNIT_TICK_MS);
        unit_none(u, ACTION_KILL);
        unit_pass(u, 2 * UNIT_TICK_MS);
        assert_int_equal(unit_logged(u, ACTION_KILL), 1);
    }
    hands_empty(u);
    unit_pass(u, 3000);
    unit_none(u, ACTION_KILL);
    free(u);
}

/* A kill that is never answered is asked again. */
TEST(an_unanswered_kill_is_asked_again)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    record(u, NODE_LOST);
    (void)unit_take(u, ACTION_KILL);
    unit_pass(u, 10000);
    assert_true(unit_logged(u, ACTION_KILL) > 0);
    free(u);
}

/* A term that names an earlier incarnation of ours lost does not touch this one. */
TEST(an_earlier_incarnation_named_lost)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    (void)unit_foreign(u);
    struct node_record *other = unit_foreign_node(u, 2);
    other->state = NODE_LOST;
    unit_foreign_send(u);
    unit_pass(u, 1000);
    assert_int_equal(standing(u), LIFE_ADMITTED);
    unit_none(u, ACTION_KILL);
    free(u);
}

/* Being alone, without quorum, kills nothing. */
TEST(absent_alone_kills_nothing)
{
    struct unit *u = unit_new(2);
    const uint32_t alone[] = {2};
    unit_start(u);
    unit_ring(u, false, 1, alone);
    unit_pass(u, 60000);
    assert_int_equal(standing(u), LIFE_ADMITTED);
    unit_none(u, ACTION_KILL);
    free(u);
}

/* A storage that is away kills nothing. */
TEST(storage_away_kills_nothing)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    u->polls_hang = true;
    unit_pass(u, 60000);
    assert_int_equal(standing(u), LIFE_ADMITTED);
    unit_none(u, ACTION_KILL);
    free(u);
}

/* A read refused because our handle is blocklisted is the answer: we are the losing side. */
TEST(blocklisted_kills_all)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    u->polls_hang = true;
    unit_pass(u, 1000);
    struct event event = unit_event(EVENT_POLL, u->core.local.storage.poll_call.id);
    event.poll.outcome = OUTCOME_BLOCKLISTED;
    unit_step(u, &event);
    assert_int_equal(standing(u), LIFE_LOST);
    (void)unit_take(u, ACTION_KILL);
    free(u);
}

/* Our incarnation gone from the record, another is there: what runs here is not wanted any more. */
TEST(another_incarnation_in_our_record_kills)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    (void)unit_foreign(u);
    unit_foreign_node(u, OUR_SLOT)->incarnation.number = 9;
    unit_foreign_send(u);
    assert_int_equal(standing(u), LIFE_OUTSIDE);
    (void)unit_take(u, ACTION_KILL);
    free(u);
}

/* Lost or outside, "empty" is told only once /proc was seen without guests. */
TEST(empty_is_told_only_when_seen)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    record(u, NODE_FENCED);
    unit_pass(u, 400);
    assert_false(u->core.local.beat.empty);
    hands_empty(u);
    unit_pass(u, 400);
    assert_true(u->core.local.beat.empty);
    free(u);
}

/* An admitted node never says that its hands are empty. */
TEST(an_admitted_node_is_not_empty)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    unit_pass(u, 1000);
    assert_false(u->core.local.beat.empty);
    free(u);
}

/* An agent restarted within its life keeps its incarnation, and its guests. */
TEST(a_restart_keeps_the_incarnation)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    assert_true(incarnation_equal(u->core.local.life.incarnation, (struct incarnation){1, 2}));
    unit_pass(u, 1000);
    unit_none(u, ACTION_KILL);
    unit_none(u, ACTION_SAVE_INCARNATION);
    free(u);
}

/* An incarnation kept from before a boot is not ours: hands are emptied first. */
TEST(an_incarnation_of_another_boot_is_not_ours)
{
    struct unit *u = unit_new(2);
    u->facts.boot = unit_uuid(0x77);
    unit_open(u, unit_client(2, 999));
    assert_int_equal(standing(u), LIFE_OUTSIDE);
    (void)unit_take(u, ACTION_KILL);
    free(u);
}

/* An agent that does not know its incarnation kills what it finds. */
TEST(no_incarnation_kills_what_is_found)
{
    struct unit *u = unit_new(2);
    u->facts.incarnation = (struct incarnation){0};
    unit_open(u, unit_client(2, 999));
    assert_int_equal(standing(u), LIFE_OUTSIDE);
    (void)unit_take(u, ACTION_KILL);
    free(u);
}

static struct unit *outside_with_empty_hands(void)
{
    struct unit *u = unit_new(2);
    u->facts.incarnation = (struct incarnation){0};
    u->image.nodes[OUR_SLOT].state = NODE_OUT;
    u->image.nodes[OUR_SLOT].incarnation = (struct incarnation){0};
    unit_open(u, unit_client(2, 999));
    unit_ring(u, true, 3, u->ring.nodeids);
    hands_empty(u);
    unit_forget(u);
    return u;
}

static void admit(struct unit *u, struct client client, struct uuid boot)
{
    (void)unit_foreign(u);
    struct node_record *node = unit_foreign_node(u, OUR_SLOT);
    node->state = NODE_ADMITTED;
    node->incarnation = (struct incarnation){1, 44};
    node->client = client;
    node->boot = boot;
    unit_foreign_send(u);
}

/* Admitted anew with our own handle in the record, we take the incarnation and keep it on disk. */
TEST(admitted_anew_with_our_handle)
{
    struct unit *u = outside_with_empty_hands();
    admit(u, unit_client(2, 999), u->facts.boot);
    assert_int_equal(standing(u), LIFE_ADMITTED);
    struct action save = unit_take(u, ACTION_SAVE_INCARNATION);
    assert_int_equal(save.incarnation.number, 44);
    assert_int_equal(save.valid_until_ms, 0);
    unit_pass(u, 10000); /* never answered: asked again */
    (void)unit_take(u, ACTION_SAVE_INCARNATION);
    free(u);
}

/* An admission that names another handle was meant for another process of ours: we stay outside. */
TEST(not_admitted_with_anothers_handle)
{
    struct unit *u = outside_with_empty_hands();
    admit(u, unit_client(2, 998), u->facts.boot);
    assert_int_equal(standing(u), LIFE_OUTSIDE);
    free(u);
}

/* ... as one that names another boot was meant for another life. */
TEST(not_admitted_with_another_boot)
{
    struct unit *u = outside_with_empty_hands();
    admit(u, unit_client(2, 999), unit_uuid(0x66));
    assert_int_equal(standing(u), LIFE_OUTSIDE);
    free(u);
}

/* An incarnation that could not be kept is kept again, until it is. */
TEST(saving_is_tried_again)
{
    struct unit *u = outside_with_empty_hands();
    admit(u, unit_client(2, 999), u->facts.boot);
    struct action save = unit_take(u, ACTION_SAVE_INCARNATION);
    struct event event = unit_event(EVENT_SAVED, save.id);
    event.done.outcome = OUTCOME_FAILED;
    unit_step(u, &event);
    unit_pass(u, 900);
    unit_none(u, ACTION_SAVE_INCARNATION); /* a full disk is not asked at each step */
    save = unit_take(u, ACTION_SAVE_INCARNATION);
    event = unit_event(EVENT_SAVED, save.id);
    event.done.outcome = OUTCOME_FAILED;
    unit_step(u, &event);
    unit_pass(u, 1900);
    unit_none(u, ACTION_SAVE_INCARNATION); /* and ever more seldom */
    save = unit_take(u, ACTION_SAVE_INCARNATION);
    event = unit_event(EVENT_SAVED, save.id);
    event.done.outcome = OUTCOME_DONE;
    struct event strange = event;
    strange.id += 77;
    unit_step(u, &strange);
    assert_false(u->core.local.life.saved);
    unit_step(u, &event);
    assert_int_equal(u->core.local.life.save_tries, 0);
    unit_pass(u, 1000);
    unit_none(u, ACTION_SAVE_INCARNATION);
    free(u);
}

/* Lost, killed and fenced: the old incarnation is given up, and none is kept on disk. */
TEST(a_lost_life_is_given_up)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    record(u, NODE_LOST);
    hands_empty(u);
    record(u, NODE_FENCED);
    unit_pass(u, 200);
    assert_int_equal(standing(u), LIFE_OUTSIDE);
    assert_true(incarnation_is_none(u->core.local.life.incarnation));
    assert_true(incarnation_is_none(unit_take(u, ACTION_SAVE_INCARNATION).incarnation));
    free(u);
}

/* A node the state does not know is outside. */
TEST(a_stranger_is_outside)
{
    struct unit *u = unit_new(2);
    memset(&u->image.nodes[OUR_SLOT], 0, sizeof(u->image.nodes[0]));
    unit_open(u, unit_client(2, 999));
    assert_int_equal(standing(u), LIFE_OUTSIDE);
    free(u);
}

/* Whoever was admitted with empty hands has them full by now: they are looked at anew. */
TEST(empty_hands_are_not_for_ever)
{
    for (unsigned i = 0; i < 2; i++) {
        struct unit *u = outside_with_empty_hands();
        admit(u, unit_client(2, 999), u->facts.boot);
        assert_int_equal(standing(u), LIFE_ADMITTED);
        if (i == 0) {
            record(u, NODE_LOST);
        } else {
            admit(u, unit_client(2, 998), unit_uuid(0x66)); /* another life of ours */
        }
        assert_int_equal(standing(u), i == 0 ? LIFE_LOST : LIFE_OUTSIDE);
        assert_false(u->core.local.life.empty);
        (void)unit_take(u, ACTION_KILL);
        free(u);
    }
}

/* Somebody brings a guest to a host that is out, past stead: its hands are not empty any more, also
 * where /proc was being looked at just then. */
TEST(a_guest_brought_later_is_ended)
{
    for (unsigned under_way = 0; under_way < 2; under_way++) {
        struct unit *u = outside_with_empty_hands();
        unit_vm(u, 0, VM_RUNNING, 0);
        unit_domain(u, 0, DOMAIN_RUNNING, END_UNKNOWN);
        assert_false(u->core.local.life.empty);
        if (under_way == 1) {
            struct action kill = unit_take(u, ACTION_KILL);
            unit_domain(u, 0, DOMAIN_PAUSED, END_UNKNOWN);
            unit_killed(u, &kill, OUTCOME_DONE, 0);
            assert_false(u->core.local.life.empty);
        }
        hands_empty(u);
        unit_domain(u, 0, DOMAIN_GONE, END_CRASHED);
        assert_true(u->core.local.life.empty);
        free(u);
    }
}

static void killed(struct unit *u, uint32_t count, uint32_t alive_count)
{
    struct action kill = unit_take(u, ACTION_KILL);
    struct event event = unit_event(EVENT_KILLED, kill.id);
    event.killed.outcome = alive_count == 0 ? OUTCOME_DONE : OUTCOME_UNKNOWN;
    event.killed.alive_count = alive_count;
    event.killed.count = count;
    unit_step(u, &event);
}

static struct unit *with_a_guest(void)
{
    struct unit *u = unit_new(2);
    unit_vm(u, 0, VM_RUNNING, OUR_SLOT);
    unit_start(u);
    unit_domain(u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    unit_pass(u, 100);
    assert_int_equal(u->core.local.run_count, 1);
    return u;
}

/* Lost with one guest here, in that state. */
static struct unit *lost_with_a_guest(enum run_state state)
{
    struct unit *u = with_a_guest();
    u->core.local.runs[0].state = state;
    record(u, NODE_LOST);
    return u;
}

/* A guest that a lease names is barred by that: with it gone our hands are empty. */
TEST(named_guests_leave_empty_hands)
{
    struct unit *u = lost_with_a_guest(RUN_UP);
    killed(u, 1, 1); /* it takes two rounds */
    unit_pass(u, 1000);
    killed(u, 1, 0);
    assert_true(u->core.local.life.empty);
    free(u);
}

/* Who bars one that no lease names? Its last write is waited for. */
TEST(the_last_write_of_an_unnamed_guest_is_waited_for)
{
    static const enum run_state states[] = {RUN_ADOPT, RUN_NAME, RUN_BLOCK, RUN_UP};
    for (unsigned i = 0; i < 4; i++) { /* not named yet, gone already, or one more than is named */
        struct unit *u = lost_with_a_guest(states[i]);
        killed(u, states[i] == RUN_UP ? 2 : 1, 0);
        unit_pass(u, timing_late_ms() - 500);
        unit_none(u, ACTION_KILL);
        assert_false(u->core.local.life.empty);
        unit_pass(u, 1000);
        killed(u, 0, 0); /* once more: none came meanwhile */
        assert_true(u->core.local.life.empty);
        free(u);
    }
}

/* One more that is brought meanwhile is killed at once, and its write is waited for as well. */
TEST(a_guest_brought_while_waiting_is_ended_at_once)
{
    struct unit *u = lost_with_a_guest(RUN_UP);
    killed(u, 2, 0);
    unit_pass(u, timing_late_ms() / 2);
    unit_domain(u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    killed(u, 1, 0);
    unit_pass(u, timing_late_ms() - 500);
    assert_false(u->core.local.life.empty);
    unit_pass(u, 1000);
    killed(u, 0, 0);
    assert_true(u->core.local.life.empty);
    free(u);
}

/* Each time it is lost anew; a look that finds none changes nothing. */
TEST(whether_any_was_killed_since_it_was_lost)
{
    struct unit *u = lost_with_a_guest(RUN_UP);
    assert_false(u->core.local.life.killed);
    killed(u, 1, 0);
    assert_true(u->core.local.life.killed);
    unit_domain(u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    killed(u, 0, 0);
    assert_true(u->core.local.life.killed);
    free(u);
    u = with_a_guest();
    u->core.local.life.killed = true; /* the time before */
    record(u, NODE_LOST);
    assert_false(u->core.local.life.killed);
    free(u);
}

/* What is killed as a whole is not carried on one by one. */
TEST(a_lost_life_drops_its_runs)
{
    struct unit *u = with_a_guest();
    record(u, NODE_LOST);
    assert_int_equal(u->core.local.run_count, 0);
    free(u);
}

/* The others hear of it at once, not with the next regular heartbeat. */
TEST(a_new_standing_is_told_at_once)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    unit_pass(u, 600);
    while (u->now_ms - u->core.local.beat_last_ms != 60) { /* between two of them */
        unit_pass(u, UNIT_TICK_MS);
    }
    uint64_t lost_ms = u->now_ms;
    record(u, NODE_LOST);
    unit_pass(u, UNIT_TICK_MS);
    assert_true(u->core.local.beat_last_ms >= lost_ms);
    unit_pass(u, 60);
    uint64_t empty_ms = u->now_ms;
    hands_empty(u);
    unit_pass(u, UNIT_TICK_MS);
    assert_true(u->core.local.beat_last_ms >= empty_ms);
    free(u);
}

/* With a new handle the copy is still that of before: it does not make us well again. */
TEST(lost_until_the_state_is_read_again)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    u->polls_hang = true;
    unit_pass(u, 1000);
    struct event event = unit_event(EVENT_POLL, u->core.local.storage.poll_call.id);
    event.poll.outcome = OUTCOME_BLOCKLISTED;
    unit_step(u, &event);
    hands_empty(u);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_DONE, unit_client(2, 999));
    unit_pass(u, 100);
    assert_int_equal(standing(u), LIFE_LOST);
    free(u);
}

/* Each standing has a word for people. */
TEST(standings_have_words)
{
    for (int state = 0; state < LIFE_STATE_COUNT; state++) {
        assert_non_null(life_word((enum life_state)state));
    }
    expect_assert_failure(life_word(LIFE_STATE_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_copy_nothing_is_decided),
        cmocka_unit_test(named_lost_kills_all),
        cmocka_unit_test(removed_kills_all),
        cmocka_unit_test(with_empty_hands_our_guests_are_forgotten),
        cmocka_unit_test(killing_goes_on_until_none_is_left),
        cmocka_unit_test(an_unanswered_kill_is_asked_again),
        cmocka_unit_test(an_earlier_incarnation_named_lost),
        cmocka_unit_test(absent_alone_kills_nothing),
        cmocka_unit_test(storage_away_kills_nothing),
        cmocka_unit_test(blocklisted_kills_all),
        cmocka_unit_test(another_incarnation_in_our_record_kills),
        cmocka_unit_test(empty_is_told_only_when_seen),
        cmocka_unit_test(an_admitted_node_is_not_empty),
        cmocka_unit_test(a_restart_keeps_the_incarnation),
        cmocka_unit_test(an_incarnation_of_another_boot_is_not_ours),
        cmocka_unit_test(no_incarnation_kills_what_is_found),
        cmocka_unit_test(admitted_anew_with_our_handle),
        cmocka_unit_test(not_admitted_with_anothers_handle),
        cmocka_unit_test(not_admitted_with_another_boot),
        cmocka_unit_test(saving_is_tried_again),
        cmocka_unit_test(a_lost_life_is_given_up),
        cmocka_unit_test(a_stranger_is_outside),
        cmocka_unit_test(standings_have_words),
        cmocka_unit_test(empty_hands_are_not_for_ever),
        cmocka_unit_test(a_guest_brought_later_is_ended),
        cmocka_unit_test(named_guests_leave_empty_hands),
        cmocka_unit_test(the_last_write_of_an_unnamed_guest_is_waited_for),
        cmocka_unit_test(a_guest_brought_while_waiting_is_ended_at_once),
        cmocka_unit_test(whether_any_was_killed_since_it_was_lost),
        cmocka_unit_test(a_lost_life_drops_its_runs),
        cmocka_unit_test(a_new_standing_is_told_at_once),
        cmocka_unit_test(lost_until_the_state_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
