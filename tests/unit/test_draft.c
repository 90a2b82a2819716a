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

/* Nothing of a draft that was given up is in the next one: no record, no room taken, no mark. */
TEST(a_draft_begins_anew)
{
    struct unit *u = drafting();
    struct uuid uuid = unit_uuid(0x99);
    name_set(draft_vm(&u->core, 5)->name, NAME_BYTES, "new");
    draft_vm(&u->core, 5)->uuid = uuid;
    draft_history(&u->core, HISTORY_BMC, 3, NULL, "BMC of n3: off");
    assert_int_equal(draft_room(&u->core), DELTA_RECORDS_MAX - 3); /* that one twice */
    u->core.local.draft.delta.records[0].removed = true;
    u->core.local.draft.open = false;
    draft_begin(&u->core);
    assert_int_equal(draft_room(&u->core), DELTA_RECORDS_MAX);
    u->core.local.draft.delta.records[0].removed = false;
    assert_false(draft_has_vm_name(&u->core, "new"));
    assert_false(draft_has_vm_uuid(&u->core, &uuid));
    assert_string_equal(draft_peek_vm(&u->core, 5)->name, "");
    u->core.local.draft.delta.records[0].removed = true;
    assert_int_equal(draft_node(&u->core, 2)->nodeid, 3); /* as the copy has it */
    assert_false(u->core.local.draft.delta.records[0].removed);
    free(u);
}

/* A name is taken by the copy or by the draft, unless what is drafted goes. */
TEST(names_and_uuids_are_taken)
{
    struct unit *u = drafting();
    struct uuid uuid = unit_uuid(0x99), held = unit_uuid(0x80), none = unit_uuid(0x98);
    assert_true(draft_has_vm_name(&u->core, "vm0"));
    assert_true(draft_has_vm_uuid(&u->core, &held));
    struct vm_record *vm = draft_vm(&u->core, 5);
    name_set(vm->name, NAME_BYTES, "new");
    vm->uuid = uuid;
    vm->state = VM_STOPPED;
    assert_true(draft_has_vm_name(&u->core, "new"));
    assert_true(draft_has_vm_uuid(&u->core, &uuid));
    assert_false(draft_has_vm_name(&u->core, "other"));
    assert_false(draft_has_vm_uuid(&u->core, &none));
    draft_remove_vm(&u->core, 5);
    assert_false(draft_has_vm_name(&u->core, "new"));
    assert_false(draft_has_vm_uuid(&u->core, &uuid));
    free(u);
}

/* A class goes, and may come back within one draft. */
TEST(classes_are_drafted_away)
{
    struct unit *u = drafting();
    struct setting_record class = {.set_ms = 5, .value = 2, .given = true, .name = "gold"};
    const struct record *record = &u->core.local.draft.delta.records[0];
    draft_remove_setting(&u->core, SETTINGS_MAX);
    assert_true(record->removed);
    draft_setting(&u->core, SETTINGS_MAX, &class);
    assert_false(record->removed);
    assert_string_equal(draft_peek_setting(&u->core, SETTINGS_MAX)->name, "gold");
    draft_remove_setting(&u->core, SETTINGS_MAX);
    assert_true(record->removed);
    const struct setting_record none = {0};
    assert_memory_equal(&record->setting, &none, sizeof(none));
    assert_int_equal(u->core.local.draft.delta.count, 1);
    free(u);
}

/* A record to be written anew is the copy's; one that is drafted is newer than that. */
TEST(a_record_is_drafted_again)
{
    struct unit *u = drafting();
    draft_again(&u->core, RECORD_NODE, 2);
    assert_int_equal(u->core.local.draft.delta.count, 1);
    assert_int_equal(u->core.local.draft.delta.records[0].node.nodeid, 3);
    draft_node(&u->core, 2)->memory_mib = 7;
    draft_again(&u->core, RECORD_NODE, 2);
    assert_int_equal(u->core.local.draft.delta.count, 1);
    assert_int_equal(draft_peek_node(&u->core, 2)->memory_mib, 7);
    free(u);
}

TEST(an_entry_tells_when_where_and_why)
{
    struct unit *u = drafting();
    const struct vm_record *vm = &u->core.cluster.vms[0];
    const struct history_entry *entry =
        draft_history(&u->core, HISTORY_VM_STOPPED, 3, vm, "so it was wanted");
    assert_int_equal(entry->wall_ms, u->core.local.wall_ms);
    assert_int_equal(entry->term, 3);
    assert_int_equal(entry->kind, HISTORY_VM_STOPPED);
    assert_int_equal(entry->nodeid, 3);
    assert_string_equal(entry->vm, "vm0");
    assert_true(action_id_equal(entry->action, vm->action));
    assert_string_equal(entry->cause, "so it was wanted");
    free(u);
}

/* What is of a fence is written twice, each into a slot of its own, and told once. What of the
 * ledger is only mended is not of this draft. */
TEST(the_ledger_is_written_with_its_commit)
{
    struct unit *u = drafting();
    uint32_t count, told = 0;
    u->core.cluster.history[HISTORY_MAX].kind = HISTORY_BMC;
    u->core.cluster.history[HISTORY_MAX].nodeid = 1;
    u->core.cluster.history[HISTORY_MAX + 1].sequence = 5;
    draft_again(&u->core, RECORD_HISTORY, HISTORY_MAX);
    draft_history(&u->core, HISTORY_REQUEST, 0, NULL, "wanted");
    draft_history(&u->core, HISTORY_BMC, 3, NULL, "BMC of n3");
    draft_history(&u->core, HISTORY_BARRIER, 3, NULL, "barrier of n3");
    const struct delta *delta = send(u, &count);
    assert_false(u->core.local.draft.open);
    assert_int_equal(delta->count, 6);
    for (uint32_t i = 4; i < 6; i++) {
        assert_int_equal(delta->records[i].kind, RECORD_HISTORY);
        assert_memory_equal(&delta->records[i].history, &delta->records[i - 2].history,
                            sizeof(struct history_entry));
    }
    assert_int_equal(delta->records[4].slot, HISTORY_MAX);
    assert_int_equal(delta->records[5].slot, HISTORY_MAX + 2);
    for (uint32_t i = 0; i < count; i++) {
        const char *at = u->out.list[i].kind == ACTION_TRACE ? u->out.list[i].trace : "";
        for (; (at = strstr(at, "; ")) != NULL; at++) {
            told++;
        }
    }
    assert_int_equal(told, 3);
    free(u);
}

/* What is only written anew, of the history or of the ledger, is no new entry of either. */
TEST(what_is_mended_is_not_kept_again)
{
    static const uint32_t slots[] = {7, HISTORY_MAX};
    for (uint32_t i = 0; i < UNIT_COUNT(slots); i++) {
        struct unit *u = drafting();
        uint32_t count;
        struct history_entry *old = &u->core.cluster.history[slots[i]];
        old->sequence = 7;
        old->kind = HISTORY_BMC;
        old->nodeid = 3;
        draft_again(&u->core, RECORD_HISTORY, slots[i]);
        if (i == 0) {
            assert_int_equal(send(u, &count)->count, 1);
        } else {
            draft_history(&u->core, HISTORY_BARRIER, 3, NULL, "barrier of n3");
            const struct delta *delta = send(u, &count);
            assert_int_equal(delta->count, 3);
            assert_int_equal(delta->records[2].history.kind, HISTORY_BARRIER);
        }
        free(u);
    }
}

/* Counters go up, of actions and of commits; and a commit that makes the object says so. */
TEST(counters_go_up)
{
    struct unit *u = drafting();
    struct caller caller = {.now_ms = u->now_ms,
                            .valid_until_ms = u->now_ms + 500,
                            .next_id = &u->core.local.next_id,
                            .out = &u->out};
    uint64_t before = u->core.local.next_counter;
    assert_int_equal(draft_action(&u->core).counter, before + 1);
    draft_node(&u->core, 2)->memory_mib = 7;
    u->out.count = 0;
    draft_send(&u->core, &caller, true);
    assert_int_equal(u->core.local.commit.delta.header.commit.counter, before + 2);
    assert_true(u->core.local.commit.create);
    free(u);
}

/* How many lines a commit takes whose second cause fills the first line but for `spare` bytes. */
static uint32_t lines_of(int spare)
{
    struct unit *u = drafting();
    uint32_t count, lines = 0;
    char cause[TEXT_BYTES] = "";
    size_t head = strlen("commit version 11 term 3; ");
    memset(cause, 'x', TEXT_BYTES - 1 - head - strlen("; end") - (size_t)spare);
    draft_history(&u->core, HISTORY_VM_STOPPED, 0, NULL, cause);
    draft_history(&u->core, HISTORY_VM_STOPPED, 0, NULL, "end");
    (void)send(u, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (u->out.list[i].kind == ACTION_TRACE) {
            assert_non_null(strchr(u->out.list[i].trace, ';'));
            lines++;
        }
    }
    free(u);
    return lines;
}

TEST(a_line_is_filled_to_its_last_byte)
{
    assert_int_equal(lines_of(0), 1);
    assert_int_equal(lines_of(-1), 2);
    assert_int_equal(lines_of(-6), 2); /* the first alone is too long by one, and is cut */
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
        cmocka_unit_test(a_draft_begins_anew),
        cmocka_unit_test(names_and_uuids_are_taken),
        cmocka_unit_test(classes_are_drafted_away),
        cmocka_unit_test(a_record_is_drafted_again),
        cmocka_unit_test(an_entry_tells_when_where_and_why),
        cmocka_unit_test(the_ledger_is_written_with_its_commit),
        cmocka_unit_test(what_is_mended_is_not_kept_again),
        cmocka_unit_test(counters_go_up),
        cmocka_unit_test(a_line_is_filled_to_its_last_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
