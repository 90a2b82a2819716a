/* The copy of the committed state: what follows it, and that two copies of a version are equal
 * (I3). */
#include "storage/state.h"

#include "proto/digest.h"
#include "tests/unit/unit_fields.h"

struct position {
    struct cluster copy;
    struct cluster other;
    struct delta delta;
};

static struct position *begun(void)
{
    struct position *p = calloc(1, sizeof(*p));
    p->copy.header = (struct header){.epoch = 1, .term = 3, .version = 10};
    p->copy.set[1] = unit_any_setting();
    p->copy.nodes[2] = unit_any_node();
    p->copy.vms[6] = unit_any_vm();
    p->copy.vm_end = 7;
    p->copy.history[4] = unit_any_history();
    p->copy.header.digest = state_digest(&p->copy);
    p->delta.header = p->copy.header;
    p->delta.header.version = 11;
    p->delta.base_term = 3;
    return p;
}

static struct record *add(struct position *p, enum record_kind kind, uint32_t slot)
{
    struct record *record = &p->delta.records[p->delta.count++];
    record->kind = kind;
    record->slot = slot;
    return record;
}

/* What the delta's author has in mind: its digest over the delta as it is now. */
static void seal(struct position *p)
{
    p->delta.header.digest = state_digest_after(&p->copy, &p->delta);
}

static bool applies_after_flip(enum record_kind kind, size_t value_offset,
                               const struct unit_field *field)
{
    struct position *p = begun();
    struct record *record = add(p, kind, 0);
    switch (kind) {
    case RECORD_NODE:
        record->node = unit_any_node();
        break;
    case RECORD_VM:
        record->vm = unit_any_vm();
        break;
    case RECORD_SETTING:
        record->setting = unit_any_setting();
        break;
    case RECORD_HISTORY:
        record->history = unit_any_history();
        break;
    case RECORD_KIND_COUNT:
        break;
    }
    seal(p);
    unit_field_flip((char *)record + value_offset, field);
    bool good = state_apply(&p->copy, &p->delta);
    free(p);
    return good;
}

static void walk(enum record_kind kind, size_t value_offset, const struct unit_field *fields,
                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (applies_after_flip(kind, value_offset, &fields[i])) {
            fail_msg("a delta whose %s is another was taken for good", fields[i].name);
        }
    }
}

/* A delta that differs from what its author wrote, in whichever field, does not pass for good. */
TEST(every_field_is_compared)
{
    walk(RECORD_NODE, offsetof(struct record, node), unit_node_fields,
         UNIT_COUNT(unit_node_fields));
    walk(RECORD_VM, offsetof(struct record, vm), unit_vm_fields, UNIT_COUNT(unit_vm_fields));
    walk(RECORD_SETTING, offsetof(struct record, setting), unit_setting_fields,
         UNIT_COUNT(unit_setting_fields));
    walk(RECORD_HISTORY, offsetof(struct record, history), unit_history_fields,
         UNIT_COUNT(unit_history_fields));
}

/* A delta applied as written gives the digest its author computed, and that of a whole count. */
TEST(the_running_digest_is_the_whole_one)
{
    struct position *p = begun();
    add(p, RECORD_NODE, 3)->node = unit_any_node();
    add(p, RECORD_VM, 6)->removed = true;
    add(p, RECORD_SETTING, 1)->setting = unit_any_setting();
    add(p, RECORD_HISTORY, 5)->history = unit_any_history();
    seal(p);
    assert_true(state_apply(&p->copy, &p->delta));
    assert_int_equal(p->copy.header.version, 11);
    assert_int_equal(p->copy.header.digest, state_digest(&p->copy));
    free(p);
}

/* A copy that had gone astray unseen is found out by the next delta. */
TEST(a_copy_gone_astray_is_found_out)
{
    struct position *p = begun();
    add(p, RECORD_VM, 6)->vm = unit_any_vm();
    p->delta.records[0].vm.generation = 7;
    seal(p);
    p->copy.vms[6].generation = 99;
    assert_false(state_apply(&p->copy, &p->delta));
    free(p);
}

/* Only the next version of the same epoch and term follows. */
TEST(what_follows)
{
    struct position *p = begun();
    assert_true(state_follows(&p->copy, &p->delta));
    p->delta.header.version = 12;
    assert_false(state_follows(&p->copy, &p->delta));
    p->delta.header.version = 10;
    assert_false(state_follows(&p->copy, &p->delta));
    p->delta.header.version = 11;
    p->delta.header.epoch = 2;
    assert_false(state_follows(&p->copy, &p->delta));
    p->delta.header.epoch = 1;
    p->delta.base_term = 2; /* of an older term */
    assert_false(state_follows(&p->copy, &p->delta));
    expect_assert_failure(state_apply(&p->copy, &p->delta));
    free(p);
}

/* Terms never run backwards, and a peer that says so brings nobody down. */
TEST(terms_do_not_run_backwards)
{
    struct position *p = begun();
    p->delta.header.term = 2;
    seal(p);
    assert_false(state_follows(&p->copy, &p->delta));
    expect_assert_failure(state_apply(&p->copy, &p->delta));
    free(p);
}

/* Records not named by a delta stay as they are. */
TEST(the_rest_stays)
{
    struct position *p = begun();
    struct vm_record before = p->copy.vms[6];
    add(p, RECORD_VM, 8)->vm = unit_any_vm();
    seal(p);
    assert_true(state_apply(&p->copy, &p->delta));
    assert_memory_equal(&p->copy.vms[6], &before, sizeof(before));
    free(p);
}

/* The end of the VMs moves up with the highest slot in use, and down again when it is removed. */
TEST(vm_end_follows_the_highest_slot)
{
    struct position *p = begun();
    add(p, RECORD_VM, 9)->vm = unit_any_vm();
    seal(p);
    assert_true(state_apply(&p->copy, &p->delta));
    assert_int_equal(p->copy.vm_end, 10);
    p->delta.count = 0;
    p->delta.header.version = 12;
    add(p, RECORD_VM, 9)->removed = true;
    seal(p);
    assert_true(state_apply(&p->copy, &p->delta));
    assert_int_equal(p->copy.vm_end, 7);
    assert_int_equal(p->copy.vms[9].state, VM_FREE);
    free(p);
}

/* A removed record leaves nothing behind. */
TEST(removal_leaves_nothing)
{
    struct position *p = begun();
    p->copy.counting = 4;
    add(p, RECORD_NODE, 2)->removed = true;
    add(p, RECORD_VM, 6)->removed = true;
    add(p, RECORD_HISTORY, 4)->removed = true;
    add(p, RECORD_SETTING, 1)->removed = true;
    seal(p);
    assert_true(state_apply(&p->copy, &p->delta));
    assert_int_equal(p->copy.header.digest, 0);
    assert_int_equal(p->copy.nodes[2].state, NODE_FREE);
    assert_int_equal(p->copy.history[4].sequence, 0);
    assert_int_equal(p->copy.history[4].term, 0);
    assert_int_equal(p->copy.counting, 0);
    assert_int_equal(p->copy.settings.beat_ms, 200);
    assert_int_equal(p->copy.vm_end, 0);
    free(p);
}

/* An image is taken only if it matches its own digest; else the copy stays. */
TEST(a_damaged_image_is_not_taken)
{
    struct position *p = begun();
    p->other = p->copy;
    p->other.header.version = 20;
    p->other.vms[6].generation++;
    assert_false(state_load(&p->copy, &p->other));
    assert_int_equal(p->copy.header.version, 10);
    p->other.header.digest = state_digest(&p->other);
    assert_true(state_load(&p->copy, &p->other));
    assert_int_equal(p->copy.header.version, 20);
    free(p);
}

/* Slot by slot, a copy is all there. */
TEST(records_make_a_copy)
{
    struct position *p = begun();
    for (unsigned kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        for (uint32_t slot = 0; slot < state_slots((enum record_kind)kind); slot++) {
            const struct record record = state_record(&p->copy, (enum record_kind)kind, slot);
            if (!record.removed) {
                p->delta.records[p->delta.count++] = record;
            }
        }
    }
    assert_int_equal(p->delta.count, 4);
    p->other.header = p->copy.header;
    p->other.header.digest = 0;
    p->delta.header.digest = p->copy.header.digest;
    assert_true(state_apply(&p->other, &p->delta));
    assert_memory_equal(&p->other.vms[6], &p->copy.vms[6], sizeof(p->copy.vms[6]));
    free(p);
}

/* Records are found by name and id, and never in unused slots. */
TEST(finding)
{
    struct position *p = begun();
    struct uuid uuid = unit_uuid(0x42);
    assert_int_equal(state_find_node(&p->copy, 4), 2);
    assert_int_equal(state_find_node(&p->copy, 5), NODE_NONE);
    assert_int_equal(state_find_node(&p->copy, 0), NODE_NONE);
    assert_int_equal(state_find_node(&p->copy, NODES_MAX), NODE_NONE);
    assert_int_equal(state_find_node(&p->copy, NODES_MAX + 1), NODE_NONE);
    p->copy.nodes[2].nodeid = 3; /* as most: one more than its slot */
    assert_int_equal(state_find_node(&p->copy, 3), 2);
    assert_int_equal(state_find_node_name(&p->copy, "nodename"), 2);
    assert_int_equal(state_find_node_name(&p->copy, "nodenam"), NODE_NONE);
    assert_int_equal(state_find_vm(&p->copy, "vmname"), 6);
    assert_int_equal(state_find_vm(&p->copy, ""), VMS_MAX);
    assert_int_equal(state_find_vm_uuid(&p->copy, &uuid), 6);
    uuid = unit_uuid(0);
    assert_int_equal(state_find_vm_uuid(&p->copy, &uuid), VMS_MAX);
    free(p);
}

/* A host whose clock is behind gives a version above all that are there, too. */
TEST(a_new_definition_is_above_all)
{
    struct position *p = begun();
    p->copy.vms[6].definition_version = 1800000000;
    assert_int_equal(state_new_definition(&p->copy, 1700000000), 1800000001);
    assert_int_equal(state_new_definition(&p->copy, 1800000000), 1800000001);
    assert_int_equal(state_new_definition(&p->copy, 1800000001), 1800000001);
    assert_int_equal(state_new_definition(&p->copy, 1900000000), 1900000000);
    p->copy.vms[6].definition_version = UINT32_MAX;
    assert_int_equal(state_new_definition(&p->copy, 1900000000), UINT32_MAX);
    p->copy.vms[6].definition_version = 0;
    assert_int_equal(state_new_definition(&p->copy, 0), 1);
    p->copy.vm_end = 0; /* and no VM yet to be above */
    assert_int_equal(state_new_definition(&p->copy, 0), 1);
    free(p);
}

/* A life lives only while its node is admitted under that very incarnation. */
TEST(a_life_is_node_and_incarnation)
{
    struct position *p = begun();
    struct incarnation life = {1, 5};
    p->copy.nodes[2].incarnation = life;
    assert_true(state_incarnation_lives(&p->copy, 2, life));
    assert_false(state_incarnation_lives(&p->copy, 2, (struct incarnation){1, 4}));
    assert_false(state_incarnation_lives(&p->copy, NODE_NONE, life));
    assert_false(state_incarnation_lives(&p->copy, NODES_MAX, life));
    p->copy.nodes[2].state = NODE_LOST;
    assert_false(state_incarnation_lives(&p->copy, 2, life));
    free(p);
}

/* A command is found in the history by all parts of its id; no id finds nothing. */
TEST(commands_are_found_by_id)
{
    struct position *p = begun();
    struct origin id = {2, 1002, 6};
    struct origin first = {2, 1002, 1};
    struct origin none = {0};
    p->copy.history[1] = (struct history_entry){.sequence = 1, .request = first};
    p->copy.history[4].request = id;
    p->copy.history[5] = (struct history_entry){.sequence = 5}; /* nobody asked for that */
    assert_ptr_equal(state_find_request(&p->copy, &id), &p->copy.history[4]);
    assert_ptr_equal(state_find_request(&p->copy, &first), &p->copy.history[1]);
    assert_null(state_find_request(&p->copy, &none));
    id.agent_start = 1003;
    assert_null(state_find_request(&p->copy, &id));
    free(p);
}

/* The last slot is as good as any. */
TEST(the_last_slot_can_be_used)
{
    struct position *p = begun();
    memset(&p->other, 1, sizeof(p->other)); /* what lies behind it is no VM */
    add(p, RECORD_VM, VMS_MAX - 1)->vm = unit_any_vm();
    seal(p);
    assert_true(state_apply(&p->copy, &p->delta));
    assert_int_equal(p->copy.vm_end, VMS_MAX);
    free(p);
}

/* An image with fewer VMs leaves none of the others behind: they would come up again as soon as a
 * higher slot is used. */
TEST(an_image_replaces_all_that_was)
{
    struct position *p = begun();
    p->other = p->copy;
    p->other.header.version = 20;
    add(p, RECORD_VM, 8)->vm = unit_any_vm();
    seal(p);
    assert_true(state_apply(&p->copy, &p->delta));
    assert_true(state_load(&p->copy, &p->other));
    assert_int_equal(p->copy.vm_end, 7);
    assert_memory_equal(&p->copy.vms[8], &(struct vm_record){0}, sizeof(struct vm_record));
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_compared),
        cmocka_unit_test(the_running_digest_is_the_whole_one),
        cmocka_unit_test(a_copy_gone_astray_is_found_out),
        cmocka_unit_test(what_follows),
        cmocka_unit_test(terms_do_not_run_backwards),
        cmocka_unit_test(the_rest_stays),
        cmocka_unit_test(vm_end_follows_the_highest_slot),
        cmocka_unit_test(removal_leaves_nothing),
        cmocka_unit_test(a_damaged_image_is_not_taken),
        cmocka_unit_test(records_make_a_copy),
        cmocka_unit_test(finding),
        cmocka_unit_test(a_new_definition_is_above_all),
        cmocka_unit_test(a_life_is_node_and_incarnation),
        cmocka_unit_test(commands_are_found_by_id),
        cmocka_unit_test(the_last_slot_can_be_used),
        cmocka_unit_test(an_image_replaces_all_that_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
