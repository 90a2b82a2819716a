/* The fence ledger: what is kept in it, what it tells, and that a fence's evidence is whole. */
#include "agent/draft.h"
#include "agent/ledger.h"
#include "tests/unit/unit_request.h"

static const struct history_entry *last_of(const struct unit *u, enum history_kind kind)
{
    static const struct history_entry none;
    const struct history_entry *found = &none;
    const struct history_entry *entry = ledger_next(&u->core.cluster, 0);
    for (; entry != NULL; entry = ledger_next(&u->core.cluster, entry->sequence + 1)) {
        found = entry->kind == kind ? entry : found;
    }
    return found;
}

/* n3 holds vm0, has a BMC, and is gone; we are n1 and act. */
static struct unit *losing(uint32_t level)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    u->image.header.feature_level = level;
    u->peers[2].feature_level = level;
    u->image.nodes[1].feature_level = level;
    name_set(u->image.nodes[N3].bmc.address, ADDRESS_BYTES, "10.0.1.3");
    u->image.nodes[N3].bmc.verified = true;
    u->peers[3].bmc = u->image.nodes[N3].bmc;
    unit_lead(u);
    unit_leave(u, 3);
    unit_settle(u, 40);
    return u;
}

static void answer_bmc(struct unit *u, enum outcome outcome, const char *words)
{
    struct action asked = unit_take(u, ACTION_POWER);
    struct event event = unit_event(EVENT_POWER, asked.id);
    event.power.outcome = outcome;
    name_set(event.power.text, TEXT_BYTES, words);
    unit_step(u, &event);
    unit_settle(u, 60);
}

static void answer_barrier(struct unit *u)
{
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    struct event event = unit_event(EVENT_BLOCK, block.id);
    event.block.outcome = OUTCOME_DONE;
    event.block.osd_epoch = 57;
    unit_step(u, &event);
    unit_settle(u, 60);
}

TEST(a_fence_is_kept_with_its_evidence)
{
    struct unit *u = losing(FEATURE_LEVEL);
    const struct history_entry *lost = last_of(u, HISTORY_NODE_LOST);
    assert_string_equal(lost->cause, "n3 (incarnation 1.3) lost: it left the ring and VMs are on "
                                     "it, says n1");
    answer_bmc(u, OUTCOME_FAILED, "no answer");
    const struct history_entry *bmc = last_of(u, HISTORY_BMC);
    assert_non_null(strstr(bmc->cause, "not proven off, after "));
    assert_non_null(strstr(bmc->cause, "no answer"));
    assert_int_equal(bmc->number, OUTCOME_FAILED);
    answer_barrier(u);
    const struct history_entry *barrier = last_of(u, HISTORY_BARRIER);
    assert_non_null(strstr(barrier->cause, "10.0.0.3:0/0 and 10.0.0.3:0/300 read back from osd "
                                           "epoch 57 after "));
    assert_int_equal(barrier->number, 57);
    const struct history_entry *fenced = last_of(u, HISTORY_NODE_FENCED);
    assert_non_null(strstr(fenced->cause, "n3 fenced, proof: storage; barrier after "));
    assert_int_equal(fenced->number, PROOF_STORAGE);
    unit_pass(u, 2500);
    unit_settle(u, 100);
    answer_bmc(u, OUTCOME_DONE, "reads off");
    assert_non_null(strstr(last_of(u, HISTORY_BMC)->cause, "off, read back, after "));
    assert_non_null(strstr(last_of(u, HISTORY_BMC)->cause, " ms; try 2; reads off"));
    free(u);
}

/* Each is the very entry of the history, and none is told twice. */
TEST(the_ledger_has_what_the_history_has)
{
    struct unit *u = losing(FEATURE_LEVEL);
    answer_barrier(u);
    uint32_t count = 0;
    const struct history_entry *entry = ledger_next(&u->core.cluster, 0);
    for (; entry != NULL; entry = ledger_next(&u->core.cluster, entry->sequence + 1)) {
        const struct history_entry *same = &u->core.cluster.history[entry->sequence % HISTORY_MAX];
        assert_memory_equal(entry, same, sizeof(*entry));
        count++;
    }
    assert_int_equal(count, 3); /* lost, barrier, fenced */
    assert_int_equal(u->core.cluster.header.digest, state_digest(&u->core.cluster));
    free(u);
}

TEST(older_agents_are_spared_it)
{
    struct unit *u = losing(1);
    answer_barrier(u);
    assert_true(unit_copy_node(u, 3)->state == NODE_FENCED);
    assert_null(ledger_next(&u->core.cluster, 0));
    for (uint32_t i = 0; i < HISTORY_MAX; i++) {
        assert_int_not_equal(u->core.cluster.history[i].kind, HISTORY_BARRIER);
    }
    free(u);
}

TEST(a_persons_word_is_kept)
{
    struct unit *u = losing(FEATURE_LEVEL);
    struct request vouch = command(REQUEST_NODE_FENCE, "n3", 1);
    vouch.vouched = true;
    check_accepted(u, &vouch);
    const struct history_entry *word = last_of(u, HISTORY_REQUEST);
    assert_string_equal(word->cause, "n3: a person vouches that it is dead, by ada");
    assert_true(origin_equal(&word->request, &vouch.id));
    struct request stop = command(REQUEST_VM_STOP, "vm0", 2);
    check_accepted(u, &stop);
    assert_ptr_equal(last_of(u, HISTORY_REQUEST), word); /* that is no matter of fences */
    free(u);
}

TEST(the_oldest_makes_room)
{
    struct unit *u = unit_new(1);
    bool taken[LEDGER_MAX] = {false};
    for (uint32_t i = 0; i < LEDGER_MAX; i++) {
        u->image.history[HISTORY_MAX + i].sequence = 1000 + (i + 5) % LEDGER_MAX;
        u->image.history[HISTORY_MAX + i].kind = HISTORY_BMC;
    }
    uint32_t oldest = LEDGER_MAX - 5;
    assert_int_equal(ledger_slot(&u->image, taken), HISTORY_MAX + oldest);
    taken[oldest] = true;
    assert_int_equal(ledger_slot(&u->image, taken), HISTORY_MAX + oldest + 1);
    assert_int_equal(ledger_next(&u->image, 0)->sequence, 1000);
    assert_int_equal(ledger_next(&u->image, 1001)->sequence, 1001);
    assert_null(ledger_next(&u->image, 1000 + LEDGER_MAX));
    u->image.history[HISTORY_MAX + 9].sequence = 0; /* never used: before any other */
    assert_int_equal(ledger_slot(&u->image, taken), HISTORY_MAX + 9);
    free(u);
}

/* The room for the second writing is kept while it is drafted. */
TEST(room_is_kept_for_it)
{
    struct unit *u = unit_new(1);
    unit_lead(u);
    draft_begin(&u->core);
    uint32_t room = draft_room(&u->core);
    draft_history(&u->core, HISTORY_BMC, 3, NULL, "BMC of n3: off");
    assert_int_equal(draft_room(&u->core), room - 2);
    draft_history(&u->core, HISTORY_REQUEST, 0, NULL, "web: wanted");
    assert_int_equal(draft_room(&u->core), room - 3);
    free(u);
}

/* Of all kinds those about fences, and a person's word about a node. */
TEST(what_is_of_a_fence)
{
    static const enum history_kind fences[] = {
        HISTORY_NODE_LOST,     HISTORY_BARRIER,      HISTORY_BMC,       HISTORY_NODE_FENCED,
        HISTORY_NODE_UNFENCED, HISTORY_NODE_REMOVED, HISTORY_FENCE_HELD};
    struct unit *u = unit_new(1);
    u->core.cluster.header.feature_level = LEVEL_LEDGER;
    uint32_t kept = 0;
    for (uint32_t kind = HISTORY_NONE; kind < HISTORY_KIND_COUNT; kind++) {
        kept += ledger_keeps(&u->core, (enum history_kind)kind, 0);
    }
    assert_int_equal(kept, UNIT_COUNT(fences));
    for (uint32_t i = 0; i < UNIT_COUNT(fences); i++) {
        assert_true(ledger_keeps(&u->core, fences[i], 3));
    }
    assert_true(ledger_keeps(&u->core, HISTORY_REQUEST, 3));
    assert_false(ledger_keeps(&u->core, HISTORY_TERM, 3));
    free(u);
}

/* The fence of n3 as it is in `fence`, drafted; we are n2, so nothing else is. */
static struct unit *drafted(const struct fence *fence)
{
    struct unit *u = unit_new(2);
    u->image.header.feature_level = LEVEL_LEDGER;
    u->image.nodes[N3].power_on = true;
    unit_start(u);
    struct fence *own = &u->core.local.acting.fences[N3];
    *own = *fence;
    own->incarnation.epoch += u->core.cluster.nodes[N3].incarnation.epoch;
    own->incarnation.number += u->core.cluster.nodes[N3].incarnation.number;
    draft_begin(&u->core);
    ledger_draft(&u->core, N3);
    return u;
}

/* What the switching came to, in words, as a number, and in the record. */
TEST(how_the_switching_ended)
{
    static const struct {
        enum power_state state;
        bool on, done, proof, wants_on;
        uint32_t tries;
        const char *cause;
    } cases[] = {
        {POWER_OFF, false, true, true, true, 1, "power of n3: off, read back, after 5 ms; so"},
        {POWER_OFF, false, true, true, true, 2,
         "power of n3: off, read back, after 5 ms; try 2; so"},
        {POWER_FAILED, true, false, false, true, 1, "power of n3: not proven off, after 5 ms; so"},
        {POWER_ON_ENDED, true, true, false, false, 2, "power of n3: on again, after 5 ms; so"},
        {POWER_ON_ENDED, false, false, false, false, 2,
         "power of n3: not switched on again, after 5 ms; so"},
    };
    for (uint32_t i = 0; i < UNIT_COUNT(cases); i++) {
        struct fence fence = {.power = {.state = cases[i].state,
                                        .on = cases[i].on,
                                        .tries = cases[i].tries,
                                        .begun_ms = 10,
                                        .ended_ms = 15,
                                        .text = "so"}};
        struct unit *u = drafted(&fence);
        const struct history_entry *entry = &u->core.local.draft.delta.records[0].history;
        assert_string_equal(entry->cause, cases[i].cause);
        assert_int_equal(entry->number, cases[i].done ? OUTCOME_DONE : OUTCOME_FAILED);
        const struct node_record *node = draft_peek_node(&u->core, N3);
        assert_int_equal(node->proofs, cases[i].proof ? PROOF_POWER : 0);
        assert_int_equal(node->power_on, cases[i].wants_on);
        uint32_t room = draft_room(&u->core);
        ledger_draft(&u->core, N3); /* once is enough */
        assert_int_equal(draft_room(&u->core), room);
        free(u);
    }
}

/* Each try that failed counts; and what was not begun by us, for this life, is not ours to tell. */
TEST(how_the_barrier_came_to_stand)
{
    for (uint32_t tries = 0; tries < 3; tries++) {
        struct fence fence = {.state = FENCE_STANDS, .barrier_tries = tries};
        struct unit *u = drafted(&fence);
        const char *cause = u->core.local.draft.delta.records[0].history.cause;
        assert_int_equal(u->core.local.draft.delta.count, 1);
        const char *told = strstr(cause, ", tries before: ");
        assert_int_equal(told == NULL, tries == 0);
        assert_true(told == NULL || told[strlen(", tries before: ")] == (char)('0' + tries));
        free(u);
    }
    struct fence earlier = {.state = FENCE_STANDS, .incarnation = {0, 1}};
    struct unit *u = drafted(&earlier);
    assert_int_equal(u->core.local.draft.delta.count, 0);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fence_is_kept_with_its_evidence),
        cmocka_unit_test(the_ledger_has_what_the_history_has),
        cmocka_unit_test(older_agents_are_spared_it),
        cmocka_unit_test(a_persons_word_is_kept),
        cmocka_unit_test(the_oldest_makes_room),
        cmocka_unit_test(room_is_kept_for_it),
        cmocka_unit_test(what_is_of_a_fence),
        cmocka_unit_test(how_the_switching_ended),
        cmocka_unit_test(how_the_barrier_came_to_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
