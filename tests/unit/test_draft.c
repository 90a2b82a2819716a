/* The change being put together: its books, and what of it is seen before it is committed. */
#include "agent/draft.h"
#include "tests/unit/unit_core.h"

static struct unit *drafting(void)
{
    struct unit *u = unit_new(2);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE)->want = WANT_STOPPED;
    unit_start(u);
    unit_forget(u);
    draft_begin(&u->core);
    return u;
}

/* Sends the draft as the core would in a step. */
static const struct delta *send(struct unit *u, uint32_t *ret_count)
{
    struct caller caller = {.now_ms = u->now_ms,
                            .valid_until_ms = u->now_ms + 500,
                            .next_id = &u->core.local.next_id,
                            .out = &u->out};
    u->out.count = 0;
    draft_send(&u->core, &caller, false);
    *ret_count = u->out.count;
    return &u->core.local.commit.delta;
}

/* What is drafted is seen through the draft, and not in the copy. */
TEST(a_draft_does_not_touch_the_copy)
{
    struct unit *u = drafting();
    draft_node(&u->core, 2)->memory_mib = 7;
    draft_vm(&u->core, 0)->priority = 9;
    assert_int_equal(draft_peek_node(&u->core, 2)->memory_mib, 7);
    assert_int_equal(draft_peek_vm(&u->core, 0)->priority, 9);
    assert_int_equal(u->core.cluster.nodes[2].memory_mib, 8192);
    assert_int_equal(u->core.cluster.vms[0].priority, 0);
    free(u);
}

/* One key takes one record, however often it is touched. */
TEST(one_record_to_a_key)
{
    struct unit *u = drafting();
    uint32_t room = draft_room(&u->core);
    draft_node(&u->core, 2)->memory_mib = 7;
    draft_node(&u->core, 2)->feature_level = 2;
    assert_int_equal(draft_room(&u->core), room - 1);
    assert_int_equal(draft_peek_node(&u->core, 2)->memory_mib, 7);
    free(u);
}

/* An empty draft is not committed: nothing changed, nothing is written. */
TEST(an_empty_draft_is_not_sent)
{
    struct unit *u = drafting();
    uint32_t count;
    (void)send(u, &count);
    assert_int_equal(count, 0);
    assert_int_equal(u->core.local.commit.state, COMMIT_IDLE);
    free(u);
}

/* A sent draft is the next version, with a digest that comes out and an id nobody else has. */
TEST(the_header_of_a_commit)
{
    struct unit *u = drafting();
    uint32_t count;
    draft_node(&u->core, 2)->memory_mib = 7;
    const struct delta *delta = send(u, &count);
    const struct header *copy = &u->core.cluster.header;
    assert_true(count > 0);
    assert_int_equal(delta->header.version, copy->version + 1);
    assert_int_equal(delta->base_term, copy->term);
    assert_int_equal(delta->header.digest, state_digest_after(&u->core.cluster, delta));
    assert_int_equal(delta->header.commit.nodeid, 2);
    assert_int_equal(delta->header.commit.agent_start, 1002);
    assert_int_not_equal(delta->header.commit.counter, 0);
    free(u);
}

/* A change of the members alone is a change. */
TEST(members_alone_are_a_change)
{
    struct unit *u = drafting();
    uint32_t count;
    u->core.local.draft.delta.header.members = 3;
    (void)send(u, &count);
    assert_int_equal(u->core.local.commit.state, COMMIT_SENT);
    free(u);
}

/* No draft is begun while the fate of another commit is open. */
TEST(no_draft_over_an_open_commit)
{
    struct unit *u = drafting();
    uint32_t count;
    draft_node(&u->core, 2)->memory_mib = 7;
    (void)send(u, &count);
    expect_assert_failure(draft_begin(&u->core));
    free(u);
}

/* Touching a record without a draft asserts. */
TEST(no_record_without_a_draft)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    expect_assert_failure(draft_node(&u->core, 2));
    assert_int_equal(draft_room(&u->core), 0);
    free(u);
}

/* The draft is bounded, and says how much room it has. */
TEST(room_is_bounded)
{
    struct unit *u = drafting();
    for (uint32_t i = 0; i < DELTA_RECORDS_MAX; i++) {
        assert_int_equal(draft_room(&u->core), DELTA_RECORDS_MAX - i);
        (void)draft_vm(&u->core, i);
    }
    expect_assert_failure(draft_vm(&u->core, DELTA_RECORDS_MAX));
    free(u);
}

/* History goes round its ring, its sequence never back. */
TEST(history_goes_round)
{
    struct unit *u = drafting();
    u->core.local.draft.delta.header.next_history = HISTORY_MAX - 1;
    const struct history_entry *a = draft_history(&u->core, HISTORY_TERM, 2, NULL, "one");
    const struct history_entry *b = draft_history(&u->core, HISTORY_TERM, 2, NULL, "two");
    assert_int_equal(a->sequence, HISTORY_MAX - 1);
    assert_int_equal(b->sequence, HISTORY_MAX);
    assert_int_equal(u->core.local.draft.delta.records[1].slot, 0);
    assert_int_equal(u->core.local.draft.delta.header.next_history, HISTORY_MAX + 1);
    assert_int_equal(b->boot_ms, u->now_ms);
    expect_assert_failure(draft_history(&u->core, HISTORY_NONE, 0, NULL, ""));
    free(u);
}

/* A VM is removed when it is stopped, or given back as it runs; never on its way between. */
TEST(only_a_stopped_vm_goes)
{
    struct unit *u = drafting();
    draft_remove_vm(&u->core, 0);
    assert_true(u->core.local.draft.delta.records[0].removed);
    draft_vm(&u->core, 1)->state = VM_STARTING;
    expect_assert_failure(draft_remove_vm(&u->core, 1));
    free(u);
}

/* What was drafted twice is one record, the later; a record must say when. */
TEST(settings_are_drafted)
{
    struct unit *u = drafting();
    struct setting_record record = {.set_ms = 5, .value = 300, .given = true};
    draft_setting(&u->core, 1, &record);
    record.value = 400;
    draft_setting(&u->core, 1, &record);
    assert_int_equal(u->core.local.draft.delta.count, 1);
    assert_int_equal(draft_peek_settings(&u->core).beat_ms, 400);
    assert_int_equal(u->core.cluster.settings.beat_ms, 200);
    record.set_ms = 0;
    expect_assert_failure(draft_setting(&u->core, 1, &record));
    free(u);
}

/* Each action id is new, of the drafted term. */
TEST(action_ids_are_new)
{
    struct unit *u = drafting();
    u->core.local.draft.delta.header.term = 9;
    struct action_id a = draft_action(&u->core);
    struct action_id b = draft_action(&u->core);
    assert_int_equal(a.term, 9);
    assert_false(action_id_equal(a, b));
    free(u);
}

/* Entry 0 is none: a history that never began begins with 1. */
TEST(history_begins_with_one)
{
    struct unit *u = drafting();
    u->core.local.draft.delta.header.next_history = 0;
    assert_int_equal(draft_history(&u->core, HISTORY_VM_STOPPED, 0, NULL, "why")->sequence, 1);
    assert_int_equal(u->core.local.draft.delta.header.next_history, 2);
    free(u);
}

/* The line of a commit names every cause, each whole: in a second line what the first cannot hold.
 */
TEST(no_cause_is_cut_off)
{
    struct unit *u = drafting();
    uint32_t count, lines = 0;
    char long_cause[TEXT_BYTES - 40];
    memset(long_cause, 'x', sizeof(long_cause) - 1);
    long_cause[sizeof(long_cause) - 1] = '\0';
    draft_history(&u->core, HISTORY_VM_STOPPED, 0, NULL, "first");
    draft_history(&u->core, HISTORY_VM_STOPPED, 0, NULL, long_cause);
    draft_history(&u->core, HISTORY_VM_STOPPED, 0, NULL, "start on n2");
    (void)send(u, &count);
    bool first = false, long_one = false, last = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct action *action = &u->out.list[i];
        if (action->kind == ACTION_TRACE) {
            lines++;
            assert_ptr_equal(strstr(action->trace, "commit version "), action->trace);
            first |= strstr(action->trace, "; first") != NULL;
            long_one |= strstr(action->trace, long_cause) != NULL;
            last |= strstr(action->trace, "; start on n2") != NULL;
        }
    }
    assert_true(first);
    assert_true(long_one);
    assert_true(last);
    assert_int_equal(lines, 2); /* "first" fits beside neither; "start on n2" does */
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_draft_does_not_touch_the_copy),
        cmocka_unit_test(one_record_to_a_key),
        cmocka_unit_test(an_empty_draft_is_not_sent),
        cmocka_unit_test(the_header_of_a_commit),
        cmocka_unit_test(members_alone_are_a_change),
        cmocka_unit_test(no_draft_over_an_open_commit),
        cmocka_unit_test(no_record_without_a_draft),
        cmocka_unit_test(room_is_bounded),
        cmocka_unit_test(history_goes_round),
        cmocka_unit_test(only_a_stopped_vm_goes),
        cmocka_unit_test(settings_are_drafted),
        cmocka_unit_test(action_ids_are_new),
        cmocka_unit_test(history_begins_with_one),
        cmocka_unit_test(no_cause_is_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
