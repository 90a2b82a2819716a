/* What the record of a VM says after an end of its own, and of what keeps it from its work. We are
 * n1 and act; it runs on n3. */
#include "agent/ends.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

static struct unit *running(enum vm_trouble trouble)
{
    struct unit *u = unit_new(1);
    struct vm_record *vm = unit_vm(u, 0, VM_RUNNING, N3);
    vm->want = WANT_RUNNING;
    vm->condition = (struct vm_condition){trouble, 5};
    unit_lead(u);
    return u;
}

static struct observation *tells(struct unit *u, enum observation_kind kind)
{
    const struct vm_record *vm = unit_copy_vm(u, 0);
    u->peers[3].observation_count = 1;
    u->peers[3].observations[0] = (struct observation){
        .vm = vm->uuid, .kind = kind, .action = vm->action, .generation = UNIT_GENERATION + 3};
    return &u->peers[3].observations[0];
}

/* As it is right after the commit of that. */
static const struct vm_record *ended(struct unit *u, enum domain_end end)
{
    tells(u, OBSERVED_STOPPED)->end = end;
    unit_settle(u, 400);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STOPPED);
    return unit_copy_vm(u, 0);
}

static const struct history_entry *told(const struct unit *u)
{
    return &u->core.cluster.history[(u->core.cluster.header.next_history - 1) % HISTORY_MAX];
}

/* Nobody holds it any more, in no life, and what kept its guest from its work went with it. */
TEST(who_has_ended_is_held_by_nobody)
{
    struct unit *u = running(VM_TROUBLE_PAUSED);
    const struct vm_record *vm = ended(u, END_SHUTDOWN);
    const struct incarnation none = {0};
    assert_int_equal(vm->node, NODE_NONE);
    assert_true(incarnation_equal(vm->incarnation, none));
    assert_int_equal(vm->generation, UNIT_GENERATION + 3);
    assert_int_equal(vm->condition.trouble, VM_TROUBLE_NONE);
    assert_int_equal(told(u)->kind, HISTORY_VM_ENDED);
    assert_int_equal(told(u)->number, END_SHUTDOWN);
    free(u);
}

/* Why it stays off is said in its record as in the history. */
TEST(what_stays_off_says_why)
{
    static const char *const whys[] = {
        "the guest powered itself off; it stays off (guest_poweroff = stop)",
        "the guest powered itself off; it stays off (ha = ignore)"};
    for (unsigned ignored = 0; ignored < 2; ignored++) {
        struct unit *u = running(VM_TROUBLE_NONE);
        u->core.cluster.settings.ha = ignored ? HA_IGNORE : HA_ON;
        const struct vm_record *vm = ended(u, END_SHUTDOWN);
        assert_string_equal(vm->reason, whys[ignored]);
        assert_int_equal(vm->want, WANT_STOPPED);
        assert_non_null(strstr(told(u)->cause, whys[ignored]));
        free(u);
    }
}

/* The first in a row is just said to be started again; the count never starts anew by itself. */
TEST(ends_in_a_row_are_counted)
{
    static const struct {
        uint32_t before, after;
        const char *row;
    } cases[] = {{0, 1, NULL}, {1, 2, " (in a row: 2)"}, {UINT32_MAX, UINT32_MAX, "4294967295)"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct unit *u = running(VM_TROUBLE_NONE);
        ((struct vm_record *)unit_copy_vm(u, 0))->ends = cases[i].before;
        const struct vm_record *vm = ended(u, END_CRASHED);
        assert_int_equal(vm->ends, cases[i].after);
        assert_non_null(strstr(vm->reason, "; started again in "));
        assert_int_equal(strstr(vm->reason, "in a row") != NULL, cases[i].row != NULL);
        assert_true(cases[i].row == NULL || strstr(vm->reason, cases[i].row) != NULL);
        free(u);
    }
}

/* Where its host could not keep it, it is not tried there first. */
TEST(it_goes_back_to_where_it_ended_by_itself)
{
    struct unit *u = running(VM_TROUBLE_NONE);
    assert_int_equal(ended(u, END_CRASHED)->prefer, 1u << N3);
    free(u);
    u = running(VM_TROUBLE_NONE);
    assert_int_equal(ended(u, END_STEAD)->prefer, 0);
    free(u);
}

/* What the node says of it, or else what that kind of trouble is; then that it is over. */
TEST(what_keeps_it_from_its_work_is_told)
{
    static const char *const words[] = {"", "the pool is full", "?"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct unit *u = running(VM_TROUBLE_NONE);
        struct observation *fact = tells(u, OBSERVED_CONDITION);
        fact->trouble = VM_TROUBLE_IO_ERROR;
        name_set(fact->reason, TEXT_BYTES, words[i]);
        unit_settle(u, 400);
        const char *says = i > 0 ? words[i] : ends_trouble_word(VM_TROUBLE_IO_ERROR);
        assert_string_equal(unit_copy_vm(u, 0)->reason, says);
        assert_non_null(strstr(told(u)->cause, says));
        assert_int_equal(told(u)->kind, HISTORY_VM_CONDITION);
        assert_int_equal(told(u)->number, VM_TROUBLE_IO_ERROR);
        fact->trouble = VM_TROUBLE_NONE;
        unit_settle(u, 400);
        assert_string_equal(unit_copy_vm(u, 0)->reason, "");
        assert_non_null(strstr(told(u)->cause, "it is well again"));
        free(u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_ended_is_held_by_nobody),
        cmocka_unit_test(what_stays_off_says_why),
        cmocka_unit_test(ends_in_a_row_are_counted),
        cmocka_unit_test(it_goes_back_to_where_it_ended_by_itself),
        cmocka_unit_test(what_keeps_it_from_its_work_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
