/* Mending a damaged state object from the acting node's copy. We are n1 and act. */
#include "agent/mend.h"

#include "agent/draft.h"
#include "tests/unit/unit_request.h"

static struct unit *whole(void)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, 1);
    unit_start(u);
    unit_settle(u, 1000);
    u->image = u->core.cluster;
    return u;
}

static bool named(const struct unit *u, enum record_kind kind, uint32_t slot)
{
    const struct acting *acting = &u->core.local.acting;
    for (uint32_t i = 0; i < acting->mend_count; i++) {
        if (acting->mends[i].kind == kind && acting->mends[i].slot == slot) {
            return true;
        }
    }
    return false;
}

/* Each kind of record that is another, missing or too many is found, and nothing else. */
TEST(what_differs_is_found)
{
    struct unit *u = whole();
    mend_compare(&u->core, &u->image);
    assert_int_equal(u->core.local.acting.mend_count, 0);
    u->image.nodes[2].memory_mib++;
    memset(&u->image.vms[0], 0, sizeof(u->image.vms[0]));
    u->image.vms[5] = u->core.cluster.vms[0];
    u->image.vm_end = 6;
    u->image.set[3] = (struct setting_record){.set_ms = 1, .value = 7};
    u->image.history[1].number++;
    mend_compare(&u->core, &u->image);
    assert_int_equal(u->core.local.acting.mend_count, 5);
    assert_true(named(u, RECORD_SETTING, 3));
    assert_true(named(u, RECORD_HISTORY, 1));
    assert_true(named(u, RECORD_NODE, 2));
    assert_true(named(u, RECORD_VM, 0));
    assert_true(named(u, RECORD_VM, 5));
    free(u);
}

/* However much is damaged, a commit has room for it; the rest is found by the look after it. */
TEST(a_great_damage_is_mended_in_turns)
{
    struct unit *u = whole();
    u->image.vm_end = MENDS_MAX + 2;
    for (uint32_t i = 1; i < u->image.vm_end; i++) {
        u->image.vms[i] = u->image.vms[0];
    }
    mend_compare(&u->core, &u->image);
    assert_int_equal(u->core.local.acting.mend_count, MENDS_MAX);
    assert_false(named(u, RECORD_VM, MENDS_MAX + 1));
    memset(&u->image.vms[1], 0, MENDS_MAX * sizeof(u->image.vms[0])); /* as the commit makes it */
    mend_compare(&u->core, &u->image);
    assert_int_equal(u->core.local.acting.mend_count, 1);
    assert_true(named(u, RECORD_VM, MENDS_MAX + 1));
    free(u);
}

/* A second look finds what the first one found, or that somebody else has mended it. */
TEST(each_look_counts_for_itself)
{
    struct unit *u = whole();
    u->image.nodes[2].memory_mib++;
    mend_compare(&u->core, &u->image);
    mend_compare(&u->core, &u->image);
    assert_int_equal(u->core.local.acting.mend_count, 1);
    mend_compare(&u->core, &u->core.cluster);
    assert_int_equal(u->core.local.acting.mend_count, 0);
    free(u);
}

/* A copy of another version, or of another history, proves nothing about the object. */
TEST(only_a_copy_of_that_very_version_counts)
{
    struct unit *u = whole();
    u->image.nodes[2].memory_mib++;
    u->image.header.version++;
    mend_compare(&u->core, &u->image);
    assert_int_equal(u->core.local.acting.mend_count, 0);
    u->image.header.version--;
    u->image.header.digest++;
    mend_compare(&u->core, &u->image);
    assert_int_equal(u->core.local.acting.mend_count, 0);
    u->image.header.digest--;
    mend_compare(&u->core, &u->image);
    assert_int_equal(u->core.local.acting.mend_count, 1);
    free(u);
}

/* A copy whose records do not add up themselves is no better than the object. */
TEST(a_copy_that_went_astray_mends_nothing)
{
    struct unit *u = whole();
    u->core.cluster.nodes[2].memory_mib++;
    mend_compare(&u->core, &u->image);
    assert_int_equal(u->core.local.acting.mend_count, 0);
    free(u);
}

/* What is written anew is what the copy has; the digest stays right, and the history tells. */
TEST(the_commit_holds_the_copys_records)
{
    struct unit *u = whole();
    u->image.nodes[2].memory_mib++;
    u->image.vms[5] = u->core.cluster.vms[0];
    u->image.vm_end = 6;
    mend_compare(&u->core, &u->image);
    unit_forget(u);
    unit_commit(u);
    bool node = false, gone = false, told = false;
    for (uint32_t i = 0; i < u->delta.count; i++) {
        const struct record *record = &u->delta.records[i];
        node |= record->kind == RECORD_NODE && record->slot == 2 && !record->removed &&
                record->node.memory_mib == u->core.cluster.nodes[2].memory_mib;
        gone |= record->kind == RECORD_VM && record->slot == 5 && record->removed;
        told |= record->kind == RECORD_HISTORY && record->history.kind == HISTORY_STATE &&
                record->history.number == 2;
    }
    assert_true(node);
    assert_true(gone);
    assert_true(told);
    assert_int_equal(state_digest(&u->core.cluster), u->core.cluster.header.digest);
    assert_int_equal(u->core.local.acting.mend_count, 0);
    free(u);
}

/* Whether it is whole now is read at once, and not with the next look a minute later. */
TEST(what_was_mended_is_looked_at)
{
    struct unit *u = whole();
    struct action read = unit_take(u, ACTION_STATE_READ);
    u->peers[2].version = u->peers[3].version = u->core.cluster.header.version;
    unit_pass(u, 400);
    unit_state_is(u, &read, OUTCOME_DONE);
    u->image.nodes[2].memory_mib++;
    mend_compare(&u->core, &u->image);
    assert_int_equal(u->core.local.acting.mend_count, 1);
    unit_forget(u);
    unit_commit(u);
    unit_pass(u, 1000);
    assert_int_equal(unit_logged(u, ACTION_STATE_READ), 1);
    free(u);
}

static bool adds_vm(const struct unit *u)
{
    for (uint32_t i = 0; i < u->delta.count; i++) {
        if (u->delta.records[i].kind == RECORD_VM) {
            return true;
        }
    }
    return false;
}

/* What a person asks for meanwhile comes after it: its commit must not rest on a damaged object. */
TEST(mending_is_a_commit_of_its_own)
{
    struct unit *u = whole();
    struct request request = vm_add("b", 9, 1);
    request.id.nodeid = 2;
    u->image.nodes[2].memory_mib++;
    mend_compare(&u->core, &u->image);
    give(u, &request);
    struct action commit = unit_take(u, ACTION_COMMIT);
    assert_false(adds_vm(u));
    unit_commit_is(u, &commit, OUTCOME_DONE, NULL);
    (void)unit_take(u, ACTION_COMMIT);
    assert_true(adds_vm(u));
    free(u);
}

/* A header that cannot be read is written by a commit of its own. */
TEST(a_garbled_header_is_written)
{
    struct unit *u = whole();
    u->polls_hang = true;
    u->core.local.storage.trouble = STATE_GARBLED;
    unit_forget(u);
    unit_commit(u);
    assert_int_equal(u->core.local.storage.trouble, STATE_WELL);
    uint64_t last = u->core.cluster.header.next_history - 1;
    assert_string_equal(u->core.cluster.history[last % HISTORY_MAX].cause,
                        "the state object was damaged (its header): written anew from the copy "
                        "of n1");
    free(u);
}

/* The acting node reads the object every minute; each second while an agent cannot read it. */
TEST(the_object_is_looked_at)
{
    struct unit *u = whole();
    struct action read = unit_take(u, ACTION_STATE_READ);
    u->peers[2].version = u->peers[3].version = u->core.cluster.header.version;
    unit_pass(u, 400);
    unit_state_is(u, &read, OUTCOME_DONE);
    unit_pass(u, 59000);
    unit_none(u, ACTION_STATE_READ);
    unit_pass(u, 2000);
    read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_DONE);
    u->peers[3].version = 0;
    unit_pass(u, 2500);
    assert_int_equal(unit_logged(u, ACTION_STATE_READ), 1); /* which is not answered */
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_differs_is_found),
        cmocka_unit_test(a_great_damage_is_mended_in_turns),
        cmocka_unit_test(each_look_counts_for_itself),
        cmocka_unit_test(only_a_copy_of_that_very_version_counts),
        cmocka_unit_test(a_copy_that_went_astray_mends_nothing),
        cmocka_unit_test(the_commit_holds_the_copys_records),
        cmocka_unit_test(what_was_mended_is_looked_at),
        cmocka_unit_test(mending_is_a_commit_of_its_own),
        cmocka_unit_test(a_garbled_header_is_written),
        cmocka_unit_test(the_object_is_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
