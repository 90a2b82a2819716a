/* Which proof of a node's end counts, of whom and since when. */
#include "agent/draft.h"
#include "agent/nodes.h"
#include "agent/peers.h"
#include "fencing/proof.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */
#define GOLD SETTINGS_MAX

/* A VM on n3 whose class waits for its power. */
static void gold_vm(struct unit *u)
{
    struct setting_record *class = &u->image.set[GOLD];
    *class = (struct setting_record){.set_ms = 1, .value = PROOF_POWER, .given = true};
    name_set(class->name, NAME_BYTES, "gold");
    unit_vm(u, 0, VM_RUNNING, N3)->class_slot = GOLD;
}

/* n3's record is in that state; the barrier of our fence of it stands since 50 ms. We are n2 and
 * have no commit under way. */
static struct unit *barred(enum node_state state)
{
    struct unit *u = unit_new(2);
    gold_vm(u);
    unit_start(u);
    struct node_record *node = &u->core.cluster.nodes[N3];
    node->state = state;
    node->proofs = state == NODE_FENCED ? PROOF_STORAGE : 0;
    node->watchdog_fires_ms = 10;
    u->core.local.acting.lost_version[N3] = UINT64_MAX;
    u->core.local.acting.fences[N3] = (struct fence){
        .state = FENCE_STANDS,
        .incarnation = node->incarnation,
        .proofs = PROOF_STORAGE,
        .address = true,
        .begun_ms = u->now_ms - 100,
        .stands_ms = u->now_ms - 50,
        .watchdog_from_ms = u->now_ms - 70,
    };
    return u;
}

/* What would be committed of n3, did we act. */
static const struct node_record *drafted(struct unit *u)
{
    draft_begin(&u->core);
    nodes_draft(&u->core, NULL);
    return draft_peek_node(&u->core, N3);
}

/* What the draft says in the history of its fence. */
static const char *said(const struct unit *u)
{
    const struct delta *delta = &u->core.local.draft.delta;
    for (uint32_t i = 0; i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        if (record->kind == RECORD_HISTORY && record->history.kind == HISTORY_NODE_FENCED) {
            assert_int_equal(record->history.nodeid, 3);
            return record->history.cause;
        }
    }
    return "";
}

/* Empty hands behind the barrier: said since it stands, as an answer to us tells; or, by a life
 * that is fenced, heard since. */
TEST(empty_hands_are_those_since_the_barrier)
{
    static const struct {
        enum node_state state;
        enum fence_state fence;
        bool its_life;
        int answered_ms; /* after the barrier or, where there is none of ours, our beginning */
        int heard_ms;
        bool believed;
    } cases[] = {
        {NODE_FENCED, FENCE_STANDS, false, 1, 10, true},
        {NODE_FENCED, FENCE_STANDS, false, 0, 10, false},
        {NODE_FENCED, FENCE_STANDS, true, -1, 1, true},
        {NODE_FENCED, FENCE_STANDS, true, -1, 0, false},
        {NODE_FENCED, FENCE_STANDS, false, -1, 1, false},
        {NODE_LOST, FENCE_STANDS, true, 1, 10, true},
        {NODE_LOST, FENCE_STANDS, true, -1, 10, false},
        {NODE_LOST, FENCE_RAISING, true, 10, 10, false},
        {NODE_FENCED, FENCE_IDLE, false, 1, 10, true},
        {NODE_FENCED, FENCE_IDLE, false, 0, 10, false},
    };
    for (unsigned i = 0; i < UNIT_COUNT(cases); i++) {
        struct unit *u = barred(cases[i].state);
        struct fence *fence = &u->core.local.acting.fences[N3];
        struct peer *peer = peers_find(&u->core.local, 3);
        uint64_t since_ms = fence->stands_ms;
        fence->state = cases[i].fence;
        if (fence->state != FENCE_STANDS) {
            fence->stands_ms = 0;
            since_ms = fence->begun_ms;
        }
        peer->beat.empty = true;
        peer->beat.version = 1;
        peer->beat.incarnation.number += !cases[i].its_life;
        peer->answered_ms = since_ms + (uint64_t)(int64_t)cases[i].answered_ms;
        peer->heard_ms = since_ms + (uint64_t)(int64_t)cases[i].heard_ms;
        (void)drafted(u);
        assert_int_equal((fence->proofs & PROOF_CLEAN) != 0, cases[i].believed);
        free(u);
    }
}

/* What was proven of a life before is no proof of this one's end. */
TEST(an_earlier_fence_proves_nothing)
{
    struct unit *u = barred(NODE_FENCED);
    struct fence *fence = &u->core.local.acting.fences[N3];
    fence->proofs |= PROOF_POWER;
    assert_int_equal(drafted(u)->proofs, PROOF_STORAGE | PROOF_POWER);
    fence->incarnation.number--;
    u->core.local.draft.open = false;
    assert_int_equal(drafted(u)->proofs, PROOF_STORAGE);
    free(u);
}

/* Whatever the record of a lost node says: it is fenced by a barrier that we have seen to stand, in
 * the fence of this very life. */
TEST(fenced_is_who_stands_behind_our_barrier)
{
    for (unsigned i = 0; i < 3; i++) {
        struct unit *u = barred(NODE_LOST);
        struct fence *fence = &u->core.local.acting.fences[N3];
        u->core.cluster.nodes[N3].proofs = PROOF_STORAGE | PROOF_OPERATOR;
        fence->state = i == 1 ? FENCE_RAISING : FENCE_STANDS;
        fence->incarnation.number -= i == 2;
        assert_int_equal(drafted(u)->state, i == 0 ? NODE_FENCED : NODE_LOST);
        free(u);
    }
}

/* The history tells of the watchdog where that is what proves. */
TEST(only_a_watchdog_that_proves_is_told_of)
{
    for (unsigned i = 0; i < 2; i++) {
        struct unit *u = barred(NODE_LOST);
        u->core.cluster.set[GOLD].value = PROOF_POWER | PROOF_WATCHDOG;
        u->core.local.acting.fences[N3].proofs |= i == 0 ? PROOF_POWER : PROOF_WATCHDOG;
        assert_int_equal(drafted(u)->state, NODE_FENCED);
        assert_non_null(strstr(said(u), "barrier after 50 ms"));
        assert_int_equal(strstr(said(u), "watchdog: 70 ms") != NULL, i == 1);
        free(u);
    }
}

/* A proof that comes later, for a VM that the barrier did not do for. */
TEST(what_is_proven_further_is_told)
{
    struct unit *u = barred(NODE_FENCED);
    struct peer *peer = peers_find(&u->core.local, 3);
    peer->beat.empty = true;
    peer->answered_ms = u->now_ms;
    assert_int_equal(drafted(u)->proofs, PROOF_STORAGE | PROOF_CLEAN);
    assert_non_null(strstr(said(u), "n3 is proven further: storage+clean"));
    free(u);
}

/* Another machine in the place of a lost one does not spare that one its barrier. */
TEST(another_machine_spares_no_address)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_lead(u);
    unit_leave(u, 3);
    struct action commit = unit_take(u, ACTION_COMMIT);
    u->peers[3].machine.bytes[0] ^= 1;
    unit_ring(u, true, 3, (uint32_t[]){1, 2, 3});
    unit_beat(u, 3, NULL);
    unit_commit_is(u, &commit, OUTCOME_DONE, NULL);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&block.block, unit_client(3, 0)));
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_hands_are_those_since_the_barrier),
        cmocka_unit_test(an_earlier_fence_proves_nothing),
        cmocka_unit_test(fenced_is_who_stands_behind_our_barrier),
        cmocka_unit_test(only_a_watchdog_that_proves_is_told_of),
        cmocka_unit_test(what_is_proven_further_is_told),
        cmocka_unit_test(another_machine_spares_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
