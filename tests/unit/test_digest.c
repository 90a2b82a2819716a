/* The digest: two records that differ anywhere differ in it, and nothing else counts. */
#include "proto/digest.h"
#include "tests/unit/unit_fields.h"

/* Each field of a node's record changes its digest. */
TEST(every_node_field_counts)
{
    unit_fields_cover(unit_node_fields, UNIT_COUNT(unit_node_fields), sizeof(struct node_record));
    for (unsigned i = 0; i < UNIT_COUNT(unit_node_fields); i++) {
        struct node_record a = unit_any_node();
        struct node_record b = a;
        unit_field_flip(&b, &unit_node_fields[i]);
        if (digest_node(3, &a) == digest_node(3, &b)) {
            fail_msg("node_record.%s does not count", unit_node_fields[i].name);
        }
    }
}

/* Each field of a VM's record changes its digest. */
TEST(every_vm_field_counts)
{
    unit_fields_cover(unit_vm_fields, UNIT_COUNT(unit_vm_fields), sizeof(struct vm_record));
    for (unsigned i = 0; i < UNIT_COUNT(unit_vm_fields); i++) {
        struct vm_record a = unit_any_vm();
        struct vm_record b = a;
        unit_field_flip(&b, &unit_vm_fields[i]);
        if (digest_vm(3, &a) == digest_vm(3, &b)) {
            fail_msg("vm_record.%s does not count", unit_vm_fields[i].name);
        }
    }
}

/* Each field of a setting's record changes its digest. */
TEST(every_setting_counts)
{
    unit_fields_cover(unit_setting_fields, UNIT_COUNT(unit_setting_fields),
                      sizeof(struct setting_record));
    for (unsigned i = 0; i < UNIT_COUNT(unit_setting_fields); i++) {
        struct setting_record a = unit_any_setting();
        struct setting_record b = a;
        unit_field_flip(&b, &unit_setting_fields[i]);
        if (digest_setting(3, &a) == digest_setting(3, &b)) {
            fail_msg("setting_record.%s does not count", unit_setting_fields[i].name);
        }
    }
}

/* Each field of a history entry changes its digest. */
TEST(every_history_field_counts)
{
    unit_fields_cover(unit_history_fields, UNIT_COUNT(unit_history_fields),
                      sizeof(struct history_entry));
    for (unsigned i = 0; i < UNIT_COUNT(unit_history_fields); i++) {
        struct history_entry a = unit_any_history();
        struct history_entry b = a;
        unit_field_flip(&b, &unit_history_fields[i]);
        if (digest_history(3, &a) == digest_history(3, &b)) {
            fail_msg("history_entry.%s does not count", unit_history_fields[i].name);
        }
    }
}

/* The slot counts: the same record elsewhere is another. */
TEST(the_slot_counts)
{
    struct node_record node = unit_any_node();
    struct vm_record vm = unit_any_vm();
    struct history_entry entry = unit_any_history();
    assert_int_not_equal(digest_node(1, &node), digest_node(2, &node));
    assert_int_not_equal(digest_vm(1, &vm), digest_vm(2, &vm));
    assert_int_not_equal(digest_history(1, &entry), digest_history(2, &entry));
}

/* A slot not in use weighs nothing, whatever is left in it. */
TEST(unused_slots_weigh_nothing)
{
    struct node_record node = unit_any_node();
    struct vm_record vm = unit_any_vm();
    struct setting_record setting = unit_any_setting();
    struct history_entry entry = unit_any_history();
    node.state = NODE_FREE;
    vm.state = VM_FREE;
    setting.set_ms = 0;
    entry.sequence = 0;
    assert_int_equal(digest_node(1, &node), 0);
    assert_int_equal(digest_vm(1, &vm), 0);
    assert_int_equal(digest_setting(1, &setting), 0);
    assert_int_equal(digest_history(1, &entry), 0);
}

/* Padding between fields never counts: two equal values are equal, however they were made. */
TEST(padding_does_not_count)
{
    struct vm_record *a = malloc(sizeof(*a));
    struct vm_record *b = malloc(sizeof(*b));
    const struct vm_record vm = unit_any_vm();
    memset(a, 0x55, sizeof(*a));
    memset(b, 0xaa, sizeof(*b));
    for (unsigned i = 0; i < UNIT_COUNT(unit_vm_fields); i++) {
        const struct unit_field *field = &unit_vm_fields[i];
        memcpy((char *)a + field->offset, (const char *)&vm + field->offset, field->size);
        memcpy((char *)b + field->offset, (const char *)&vm + field->offset, field->size);
    }
    assert_int_equal(digest_vm(1, a), digest_vm(1, b));
    free(a);
    free(b);
}

/* Two texts side by side do not run into one another. */
TEST(texts_do_not_run_together)
{
    uint64_t ab_c = digest_text(digest_text(DIGEST_SEED, "ab", 8), "c", 8);
    uint64_t a_bc = digest_text(digest_text(DIGEST_SEED, "a", 8), "bc", 8);
    assert_int_not_equal(ab_c, a_bc);
}

/* The digest is the published FNV-1a, so that another program can compute it. */
TEST(bytes_are_fnv_1a)
{
    assert_int_equal(digest_bytes(DIGEST_SEED, "", 0), 0xcbf29ce484222325u);
    assert_int_equal(digest_bytes(DIGEST_SEED, "a", 1), 0xaf63dc4c8601ec8cu);
    assert_int_equal(digest_bytes(DIGEST_SEED, "foobar", 6), 0x85944171f73967e8u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_field_counts), cmocka_unit_test(every_vm_field_counts),
        cmocka_unit_test(every_setting_counts),    cmocka_unit_test(every_history_field_counts),
        cmocka_unit_test(the_slot_counts),         cmocka_unit_test(unused_slots_weigh_nothing),
        cmocka_unit_test(padding_does_not_count),  cmocka_unit_test(texts_do_not_run_together),
        cmocka_unit_test(bytes_are_fnv_1a),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
