/* What is drafted of a node in a position that is made for it alone. We are n2, who does not act,
 * so nothing else is drafted. */
#include "agent/draft.h"
#include "agent/nodes.h"
#include "agent/peers.h"
#include "fencing/proof.h"
#include "tests/unit/unit_core.h"

#define N2 1 /* slots */
#define N3 2
#define GOLD SETTINGS_MAX

/* n3's record says that; vm0 is on it and waits for its power, by its class. Its barrier stands, by
 * us. It is in the ring, and speaks. */
static struct unit *position(enum node_state state)
{
    struct unit *u = unit_new(2);
    struct setting_record *gold = &u->image.set[GOLD];
    *gold = (struct setting_record){.set_ms = 1, .value = PROOF_POWER, .given = true};
    name_set(gold->name, NAME_BYTES, "gold");
    unit_set(u, "power_on_after_fence", 1);
    unit_vm(u, 0, VM_RUNNING, N3)->class_slot = GOLD;
    unit_start(u);
    struct node_record *node = &u->core.cluster.nodes[N3];
    struct fence *fence = &u->core.local.acting.fences[N3];
    node->state = state;
    node->proofs = state == NODE_FENCED ? PROOF_STORAGE : 0;
    fence->incarnation = node->incarnation;
    fence->state = FENCE_STANDS;
    fence->proofs = PROOF_STORAGE;
    fence->barrier_told = true;
    return u;
}

static struct node_record *record(struct unit *u)
{
    return &u->core.cluster.nodes[N3];
}

static struct fence *fence_of(struct unit *u)
{
    return &u->core.local.acting.fences[N3];
}

static struct peer *peer_of(struct unit *u)
{
    return peers_find(&u->core.local, 3);
}

/* n3's machine has booted since, and its hands are empty. */
static void reboot(struct unit *u)
{
    peer_of(u)->beat.boot = unit_uuid(0x66);
    peer_of(u)->beat.empty = true;
}

static void release_vm(struct unit *u)
{
    u->core.cluster.vms[0].node = NODE_NONE;
}

/* n3 as it will be. */
static const struct node_record *drafted(struct unit *u)
{
    draft_begin(&u->core);
    nodes_draft(&u->core, NULL);
    return draft_peek_node(&u->core, N3);
}

/* The drafted entry of that kind; it must be there. */
static const struct history_entry *told(const struct unit *u, enum history_kind kind)
{
    const struct delta *delta = &u->core.local.draft.delta;
    const struct history_entry *entry = NULL;
    for (uint32_t i = 0; i < delta->count; i++) {
        if (delta->records[i].kind == RECORD_HISTORY && delta->records[i].history.kind == kind) {
            entry = &delta->records[i].history;
        }
    }
    assert_non_null(entry);
    return entry;
}

/* What it said in the very moment of the barrier may be from before it. Only once it is fenced can
 * it do nothing, so that its word needs not be an answer to us; another life's has to be. */
TEST(empty_hands_are_those_of_after_the_barrier)
{
    static const struct {
        enum node_state state;
        int answered, heard; /* so many ms after it */
        bool its_life, clean;
    } cases[] = {
        {NODE_LOST, 1, 1, true, true},    {NODE_LOST, 0, 1, true, false},
        {NODE_FENCED, 0, 1, true, true},  {NODE_FENCED, 0, 0, true, false},
        {NODE_FENCED, 1, 1, false, true}, {NODE_FENCED, 0, 1, false, false},
    };
    for (unsigned i = 0; i < 2 * UNIT_COUNT(cases); i++) {
        struct unit *u = position(cases[i / 2].state);
        struct peer *peer = peer_of(u);
        uint64_t since_ms = u->core.local.now_ms - 10;
        fence_of(u)->begun_ms = i % 2 == 0 ? since_ms - 30 : since_ms;
        fence_of(u)->stands_ms = i % 2 == 0 ? since_ms : 0; /* by who acted before us */
        u->core.local.acting.lost_version[N3] = 100;        /* which it has not read */
        peer->answered_ms = since_ms + (uint64_t)cases[i / 2].answered;
        peer->heard_ms = since_ms + (uint64_t)cases[i / 2].heard;
        peer->beat.empty = true;
        peer->beat.incarnation.number += !cases[i / 2].its_life;
        uint32_t proofs = drafted(u)->proofs;
        assert_int_equal(proofs, PROOF_STORAGE | (cases[i / 2].clean ? PROOF_CLEAN : 0));
        free(u);
    }
}

/* Neither its barrier nor its proofs say anything of the life that the record names now. */
TEST(the_fence_of_an_earlier_life_proves_nothing)
{
    static const enum node_state states[] = {NODE_LOST, NODE_FENCED};
    for (unsigned i = 0; i < UNIT_COUNT(states); i++) {
        struct unit *u = position(states[i]);
        record(u)->proofs = PROOF_STORAGE;
        fence_of(u)->incarnation.number--;
        fence_of(u)->proofs |= PROOF_POWER;
        assert_int_equal(drafted(u)->state, states[i]);
        assert_int_equal(drafted(u)->proofs, PROOF_STORAGE);
        free(u);
    }
}

TEST(a_proof_that_comes_later_is_kept_and_told)
{
    struct unit *u = position(NODE_FENCED);
    peer_of(u)->beat.empty = true; /* and it has read all that we have */
    assert_int_equal(drafted(u)->proofs, PROOF_STORAGE | PROOF_CLEAN);
    const struct history_entry *entry = told(u, HISTORY_NODE_FENCED);
    assert_int_equal(entry->number, PROOF_STORAGE | PROOF_CLEAN);
    assert_string_equal(entry->cause, "n3 is proven further: storage+clean");
    free(u);
}

/* Whose policy rests on it, sees on what. */
TEST(the_time_of_a_watchdog_is_told_where_it_is_a_proof)
{
    for (unsigned i = 0; i < 2; i++) {
        struct unit *u = position(NODE_LOST);
        fence_of(u)->proofs |= i == 0 ? 0 : PROOF_WATCHDOG;
        fence_of(u)->watchdog_from_ms = u->core.local.now_ms - 700;
        record(u)->watchdog_fires_ms = 500;
        assert_int_equal(drafted(u)->state, NODE_FENCED);
        const char *cause = told(u, HISTORY_NODE_FENCED)->cause;
        const char *words = "; watchdog: 700 ms since a quorum answered it no more, it fires "
                            "within 500 ms";
        assert_int_equal(strstr(cause, words) != NULL, i == 1);
        assert_int_equal(strstr(cause, "watchdog") != NULL, i == 1);
        free(u);
    }
}

TEST(it_is_to_be_switched_on_again_from_that_level_on)
{
    for (uint32_t level = LEVEL_FENCE_DEVICES - 1; level <= LEVEL_FENCE_DEVICES; level++) {
        struct unit *u = position(NODE_LOST);
        record(u)->bmc = (struct bmc_address){.address = "10.1.0.3", .verified = true};
        u->core.cluster.header.feature_level = level;
        assert_int_equal(drafted(u)->state, NODE_FENCED);
        assert_int_equal(drafted(u)->power_on, level == LEVEL_FENCE_DEVICES);
        free(u);
    }
}

/* By a boot, which is a proof, or by a person's word, which is none, but ends a row of failures. */
TEST(how_it_came_back_is_in_its_record)
{
    for (unsigned i = 0; i < 2; i++) {
        bool asked = i == 1;
        struct unit *u = position(NODE_FENCED);
        fence_of(u)->incarnation.number--; /* it was fenced by who acted before us */
        record(u)->proofs = PROOF_OPERATOR;
        record(u)->losses = 4;
        record(u)->power_on = true;
        record(u)->unfence_wanted = asked;
        release_vm(u);
        if (asked) {
            peer_of(u)->beat.empty = true;
        } else {
            reboot(u);
        }
        const struct node_record *node = drafted(u);
        assert_int_equal(node->state, NODE_OUT);
        assert_int_equal(node->proofs, PROOF_OPERATOR | (asked ? 0 : PROOF_REBORN));
        assert_int_equal(node->losses, asked ? 0 : 4);
        assert_false(node->power_on);
        free(u);
    }
}

/* ... and the settings may be changed without its keeper. */
TEST(nobody_counts_on_the_watchdog_of_a_removed_node)
{
    struct unit *u = position(NODE_FENCED);
    record(u)->removing = record(u)->watchdog = true;
    record(u)->watchdog_fires_ms = record(u)->watchdog_vouch_ms = 500;
    release_vm(u);
    const struct node_record *node = drafted(u);
    assert_int_equal(node->state, NODE_REMOVED);
    assert_false(node->watchdog);
    assert_int_equal(node->watchdog_fires_ms, 0);
    assert_int_equal(node->watchdog_vouch_ms, 0);
    free(u);
}

/* Its own end would be the cluster's; until another can act, it goes on like any other. */
TEST(the_last_one_goes_on_though_its_end_was_asked_for)
{
    struct unit *u = position(NODE_ADMITTED);
    peers_find(&u->core.local, 1)->beat.able = peer_of(u)->beat.able = false;
    peers_find(&u->core.local, 2)->beat.memory_mib = 4096;
    u->core.cluster.nodes[N2].removing = true;
    (void)drafted(u);
    assert_int_equal(draft_peek_node(&u->core, N2)->state, NODE_ADMITTED);
    assert_int_equal(draft_peek_node(&u->core, N2)->memory_mib, 4096);
    free(u);
}

/* For how long its guests stood still by its own clock; one that was over before says no more. */
TEST(a_member_is_readmitted_with_what_it_tells)
{
    static const struct {
        uint64_t suspended_ms, sent_ms, for_ms;
    } cases[] = {{1000, 1700, 700}, {1000, 900, 0}};
    for (unsigned i = 0; i < UNIT_COUNT(cases); i++) {
        struct unit *u = position(NODE_ADMITTED);
        record(u)->readmitted_ms = 7;
        peer_of(u)->beat.suspended_ms = cases[i].suspended_ms;
        peer_of(u)->beat.sent_ms = cases[i].sent_ms;
        assert_int_equal(drafted(u)->readmitted_ms, cases[i].suspended_ms);
        const struct history_entry *entry = told(u, HISTORY_NODE_READMITTED);
        assert_int_equal(entry->number, cases[i].for_ms);
        assert_non_null(strstr(entry->cause, cases[i].for_ms == 0 ? " 0 ms;" : " 700 ms;"));
        free(u);
    }
    struct unit *u = position(NODE_ADMITTED);
    record(u)->readmitted_ms = 7;
    assert_int_equal(drafted(u)->readmitted_ms, 7);
    assert_int_equal(u->core.local.draft.delta.count, 0);
    free(u);
}

/* Fills the draft until it takes so many more records. */
static void leave_room(struct unit *u, uint32_t room)
{
    draft_begin(&u->core);
    while (draft_room(&u->core) > room) {
        draft_history(&u->core, HISTORY_TERM, 0, NULL, "something else");
    }
}

/* Of all that can befall a node in one commit this is the most: its barrier and its power are told,
 * a boot proves more than both, and it is out. */
static struct unit *busiest(void)
{
    struct unit *u = position(NODE_FENCED);
    fence_of(u)->barrier_told = false;
    fence_of(u)->power.state = POWER_FAILED;
    reboot(u);
    return u;
}

TEST(there_is_room_for_all_of_it_or_it_waits)
{
    uint32_t least = 0;
    for (enum node_state state = NODE_FENCED; state != NODE_OUT; least++) {
        struct unit *u = busiest();
        leave_room(u, least);
        nodes_draft(&u->core, NULL);
        state = draft_peek_node(&u->core, N3)->state;
        assert_int_equal(draft_room(&u->core), state == NODE_OUT ? 0 : least);
        free(u);
    }
    least--;
    for (uint32_t room = least - 1; room <= least; room++) {
        struct unit *u = position(NODE_ADMITTED);
        unit_leave(u, 3);
        leave_room(u, room);
        nodes_draft_lost(&u->core);
        bool lost = draft_peek_node(&u->core, N3)->state == NODE_LOST;
        assert_int_equal(lost, room == least);
        free(u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_hands_are_those_of_after_the_barrier),
        cmocka_unit_test(the_fence_of_an_earlier_life_proves_nothing),
        cmocka_unit_test(a_proof_that_comes_later_is_kept_and_told),
        cmocka_unit_test(the_time_of_a_watchdog_is_told_where_it_is_a_proof),
        cmocka_unit_test(it_is_to_be_switched_on_again_from_that_level_on),
        cmocka_unit_test(how_it_came_back_is_in_its_record),
        cmocka_unit_test(nobody_counts_on_the_watchdog_of_a_removed_node),
        cmocka_unit_test(the_last_one_goes_on_though_its_end_was_asked_for),
        cmocka_unit_test(a_member_is_readmitted_with_what_it_tells),
        cmocka_unit_test(there_is_room_for_all_of_it_or_it_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
