/* Work past stead: told until the history holds it, and written down once. We are n1 and act. */
#include "agent/hand.h"

#include "agent/draft.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

static struct unit *acting(void)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_vm(u, 1, VM_RUNNING, N3);
    unit_lead(u);
    return u;
}

/* What our next heartbeat would say. */
static uint32_t told(struct unit *u, struct beat *beat)
{
    *beat = (struct beat){.observation_count = 0};
    hand_fill_observations(&u->core, beat);
    return beat->observation_count;
}

static void write_down(struct unit *u, enum history_kind kind, uint64_t number)
{
    u->core.cluster.history[7] = (struct history_entry){.sequence = 7, .kind = kind};
    u->core.cluster.history[7].number = number;
}

/* Each VM once, with a token of its own; till the history holds that very token. */
TEST(it_is_told_until_it_is_written_down)
{
    struct unit *u = acting();
    struct beat beat;
    for (uint32_t again = 0; again < 2; again++) {
        hand_note(&u->core, &unit_copy_vm(u, 0)->uuid);
        hand_note(&u->core, &unit_copy_vm(u, 1)->uuid);
    }
    assert_int_equal(told(u, &beat), 2);
    uint64_t first = beat.observations[0].generation;
    uint64_t second = beat.observations[1].generation;
    assert_int_equal(beat.observations[1].kind, OBSERVED_BY_HAND);
    assert_int_equal(beat.observations[1].slot, 1);
    assert_true(uuid_equal(&beat.observations[1].vm, &unit_copy_vm(u, 1)->uuid));
    assert_int_not_equal(first, 0);
    assert_int_not_equal(first, second);
    write_down(u, HISTORY_VM_ADDED, first); /* that is another matter's number */
    assert_int_equal(told(u, &beat), 2);
    write_down(u, HISTORY_VM_BY_HAND, first);
    assert_int_equal(told(u, &beat), 1);
    assert_int_equal(beat.observations[0].generation, second);
    hand_note(&u->core, &unit_copy_vm(u, 0)->uuid); /* once more: another copy */
    assert_int_equal(told(u, &beat), 2);
    assert_int_not_equal(beat.observations[0].generation, first);
    free(u);
}

/* Of a VM that is the cluster's no more nothing is told, nor beyond what a heartbeat holds. */
TEST(what_cannot_be_told_is_not)
{
    struct unit *u = acting();
    struct beat full = {.observation_count = OBSERVATIONS_MAX};
    struct beat beat;
    struct uuid stranger = unit_uuid(99);
    hand_note(&u->core, &stranger);
    assert_int_equal(told(u, &beat), 0);
    assert_int_equal(u->core.local.hands[0].token, 0);
    hand_note(&u->core, &unit_copy_vm(u, 0)->uuid);
    hand_fill_observations(&u->core, &full);
    assert_int_equal(full.observation_count, OBSERVATIONS_MAX);
    assert_int_equal(told(u, &beat), 1); /* the next time */
    for (uint32_t i = 0; i < HANDS_MAX; i++) {
        struct uuid one = unit_uuid((uint8_t)(100 + i));
        hand_note(&u->core, &one); /* the last finds no room */
    }
    assert_int_equal(told(u, &beat), 1);
    free(u);
}

/* A fact may reach several actors, and one twice: its token tells. */
TEST(it_is_new_once)
{
    struct unit *u = acting();
    struct observation fact = {.kind = OBSERVED_BY_HAND, .generation = 5};
    assert_true(hand_is_new(&u->core, &fact));
    write_down(u, HISTORY_VM_BY_HAND, 5);
    assert_false(hand_is_new(&u->core, &fact));
    fact.generation = 1;
    assert_true(hand_is_new(&u->core, &fact));
    fact.generation = 0; /* by no agent that knows of tokens */
    assert_false(hand_is_new(&u->core, &fact));
    free(u);
}

TEST(where_it_was_is_written_down)
{
    struct unit *u = acting();
    struct observed observed = {.node = N3, .fact = {.slot = 1, .generation = 5}};
    unit_settle(u, 1000);
    draft_begin(&u->core);
    hand_draft(&u->core, &observed);
    const struct delta *delta = &u->core.local.draft.delta;
    assert_int_equal(delta->count, 1);
    const struct history_entry *entry = &delta->records[0].history;
    assert_int_equal(entry->kind, HISTORY_VM_BY_HAND);
    assert_int_equal(entry->number, 5);
    assert_int_equal(entry->nodeid, 3);
    assert_string_equal(entry->cause, "somebody started it on n3 past stead, without its run "
                                      "lease: that copy was killed");
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_told_until_it_is_written_down),
        cmocka_unit_test(what_cannot_be_told_is_not),
        cmocka_unit_test(it_is_new_once),
        cmocka_unit_test(where_it_was_is_written_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
