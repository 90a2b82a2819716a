/* What the record and the history say after a node told of a VM, and what becomes of what was told
 * when there is much of it. It is n3 that tells. */
#include "agent/observed.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */
#define FACTS_PER_COMMIT (DELTA_RECORDS_MAX / 2)

/* We are n1 and act; its guest was paused when it last ran. */
static struct unit *acting(enum vm_state state, uint32_t attempts)
{
    struct unit *u = unit_new(1);
    struct vm_record *vm = unit_vm(u, 0, state, N3);
    vm->want = state == VM_STOPPING ? WANT_STOPPED : WANT_RUNNING;
    vm->attempts = attempts;
    vm->condition = (struct vm_condition){VM_TROUBLE_PAUSED, 5};
    name_set(vm->reason, TEXT_BYTES, "somebody paused it");
    unit_lead(u);
    unit_settle(u, 400);
    return u;
}

/* As it must be to answer the record of that VM. */
static struct observation *tells(struct unit *u, uint32_t slot, enum observation_kind kind)
{
    struct beat *beat = &u->peers[3];
    const struct vm_record *vm = unit_copy_vm(u, slot);
    assert_true(beat->observation_count < OBSERVATIONS_MAX);
    struct observation *fact = &beat->observations[beat->observation_count++];
    *fact = (struct observation){.slot = slot,
                                 .vm = vm->uuid,
                                 .kind = kind,
                                 .action = vm->action,
                                 .generation = UNIT_GENERATION + 3};
    name_set(fact->reason, TEXT_BYTES, "no such image");
    return fact;
}

static void assert_told(const struct unit *u, enum history_kind kind, const char *cause)
{
    const struct cluster *copy = &u->core.cluster;
    const struct history_entry *entry =
        &copy->history[(copy->header.next_history - 1) % HISTORY_MAX];
    assert_int_equal(entry->kind, kind);
    assert_int_equal(entry->nodeid, 3);
    assert_string_equal(entry->vm, "vm0");
    assert_string_equal(entry->cause, cause);
}

static void assert_held_by_nobody(const struct vm_record *vm)
{
    const struct incarnation none = {0};
    assert_int_equal(vm->state, VM_STOPPED);
    assert_int_equal(vm->node, NODE_NONE);
    assert_true(incarnation_equal(vm->incarnation, none));
}

/* It is a new guest: what kept the one before from its work is over. */
TEST(who_runs_again_has_no_trouble_left)
{
    struct unit *u = acting(VM_STARTING, 1);
    tells(u, 0, OBSERVED_RUNNING);
    unit_commit(u);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_RUNNING);
    assert_int_equal(unit_copy_vm(u, 0)->condition.trouble, VM_TROUBLE_NONE);
    assert_told(u, HISTORY_VM_RUNNING, "runs on n3");
    free(u);
}

TEST(who_was_stopped_is_held_by_nobody)
{
    struct unit *u = acting(VM_STOPPING, 0);
    tells(u, 0, OBSERVED_STOPPED);
    unit_commit(u);
    assert_held_by_nobody(unit_copy_vm(u, 0));
    assert_int_equal(unit_copy_vm(u, 0)->condition.trouble, VM_TROUBLE_NONE);
    assert_string_equal(unit_copy_vm(u, 0)->reason, "");
    assert_told(u, HISTORY_VM_STOPPED, "stopped on n3");
    free(u);
}

/* A free lease may still name who had it last; it says nothing of where the VM is. */
TEST(a_failed_start_leaves_it_to_nobody)
{
    static const struct {
        enum lease_state lease;
        uint32_t holder;
    } cases[] = {{LEASE_FREE, 0}, {LEASE_FREE, 2}, {LEASE_HELD, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct unit *u = acting(VM_STARTING, 1);
        struct observation *fact = tells(u, 0, OBSERVED_START_FAILED);
        fact->lease = cases[i].lease;
        fact->lease_holder = cases[i].holder;
        fact->lease_incarnation = u->image.nodes[1].incarnation;
        unit_commit(u);
        assert_held_by_nobody(unit_copy_vm(u, 0));
        assert_string_equal(unit_copy_vm(u, 0)->reason, "no such image");
        assert_told(u, HISTORY_VM_FAILED, "start failed on n3: no such image");
        free(u);
    }
}

/* Another node may do better: nothing is waited for. */
TEST(the_first_failure_moves_it_at_once)
{
    struct unit *u = acting(VM_STARTING, 0);
    tells(u, 0, OBSERVED_START_FAILED)->lease = LEASE_FREE;
    unit_commit(u);
    uint64_t now_ms = u->now_ms;
    assert_held_by_nobody(unit_copy_vm(u, 0));
    unit_commit(u);
    assert_int_equal(u->now_ms, now_ms);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    assert_int_not_equal(unit_copy_vm(u, 0)->node, N3);
    free(u);
}

/* Be it ourselves. By an action of its own, so that nothing told of the failed one is taken for it;
 * and where that lease is by then, only its holder can say. */
TEST(who_holds_the_lease_is_told_by_a_new_action)
{
    for (uint32_t holder = 1; holder <= 2; holder++) {
        struct unit *u = acting(VM_STARTING, 0);
        struct action_id failed = unit_copy_vm(u, 0)->action;
        struct observation *fact = tells(u, 0, OBSERVED_START_FAILED);
        fact->lease = LEASE_HELD;
        fact->lease_holder = holder;
        fact->lease_incarnation = u->image.nodes[holder - 1].incarnation;
        unit_commit(u);
        const struct vm_record *vm = unit_copy_vm(u, 0);
        assert_int_equal(vm->state, VM_STARTING);
        assert_int_equal(vm->node + 1, holder);
        assert_false(action_id_equal(vm->action, failed));
        assert_int_equal(vm->action.term, u->core.cluster.header.term);
        assert_true(vm->generation == GENERATION_UNKNOWN);
        free(u);
    }
}

/* ---- many */

/* So many are being started on n3. */
static struct unit *starting(uint32_t self, uint32_t count)
{
    struct unit *u = unit_new(self);
    for (uint32_t slot = 0; slot < count; slot++) {
        unit_vm(u, slot, VM_STARTING, N3)->uuid.bytes[1] = (uint8_t)(slot >> 8);
    }
    return u;
}

static uint32_t running(const struct unit *u)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < u->core.cluster.vm_end; slot++) {
        count += unit_copy_vm(u, slot)->state == VM_RUNNING;
    }
    return count;
}

/* A commit takes as many as it has room for; the rest go with the next. */
TEST(what_one_commit_has_no_room_for_goes_with_the_next)
{
    const uint32_t count = FACTS_PER_COMMIT + 8;
    struct unit *u = starting(1, count);
    unit_lead(u);
    unit_settle(u, 400);
    for (uint32_t slot = 0; slot < count; slot++) {
        tells(u, slot, OBSERVED_RUNNING);
    }
    unit_commit(u);
    assert_int_equal(running(u), FACTS_PER_COMMIT);
    unit_commit(u);
    assert_int_equal(running(u), count);
    free(u);
}

/* n1 acts, and we come after it: what it did not see to is ours, though n3 tells it no more. */
TEST(of_what_was_told_the_rest_is_kept)
{
    struct unit *u = starting(2, 3);
    unit_start(u);
    for (uint32_t slot = 0; slot < 3; slot++) {
        tells(u, slot, OBSERVED_RUNNING);
    }
    unit_pass(u, 600);
    u->peers[3].observation_count = 0;
    (void)unit_foreign(u);
    unit_foreign_vm(u, 0)->state = VM_RUNNING;
    unit_foreign_send(u);
    assert_int_equal(u->core.local.observed_count, 2);
    u->silent[1] = true;
    unit_leave(u, 1);
    unit_settle(u, 1000);
    assert_int_equal(running(u), 3);
    free(u);
}

/* What another tells wrongly of a VM does not take the place of what its node told. */
TEST(what_is_not_believed_displaces_nothing)
{
    struct unit *u = starting(2, 1);
    unit_start(u);
    u->peers[1].observation_count = 1;
    u->peers[1].observations[0] = *tells(u, 0, OBSERVED_RUNNING);
    u->peers[1].observations[0].kind = OBSERVED_START_FAILED;
    unit_beat(u, 3, NULL);
    unit_beat(u, 1, NULL);
    assert_int_equal(u->core.local.observed_count, 1);
    assert_int_equal(u->core.local.observed[0].node, N3);
    assert_int_equal(u->core.local.observed[0].fact.kind, OBSERVED_RUNNING);
    free(u);
}

/* Facts are told again until they are reflected: what finds no place now does later. */
TEST(more_than_can_be_kept_waits_for_a_place)
{
    const uint32_t count = OBSERVED_MAX + 1;
    struct unit *u = starting(2, count);
    unit_start(u);
    for (uint32_t slot = 0; slot < count; slot++) {
        u->peers[3].observation_count = 0;
        tells(u, slot, OBSERVED_RUNNING);
        unit_beat(u, 3, NULL);
    }
    struct local *local = &u->core.local;
    assert_int_equal(local->observed_count, OBSERVED_MAX);
    assert_int_equal(local->observed[OBSERVED_MAX - 1].fact.slot, OBSERVED_MAX - 1);
    (void)unit_foreign(u);
    unit_foreign_vm(u, 0)->state = VM_RUNNING;
    unit_foreign_send(u);
    assert_int_equal(local->observed_count, OBSERVED_MAX - 1);
    unit_beat(u, 3, NULL);
    assert_int_equal(local->observed_count, OBSERVED_MAX);
    assert_int_equal(local->observed[OBSERVED_MAX - 1].fact.slot, OBSERVED_MAX);
    free(u);
}

/* Nor in a cluster that is full. */
TEST(a_slot_that_no_vm_can_have_is_not_believed)
{
    for (unsigned full = 0; full < 2; full++) {
        struct unit *u = starting(2, 1);
        if (full) {
            unit_vm(u, VMS_MAX - 1, VM_STOPPED, NODE_NONE);
        }
        unit_start(u);
        tells(u, 0, OBSERVED_RUNNING)->slot = VMS_MAX;
        unit_beat(u, 3, NULL);
        assert_int_equal(u->core.local.observed_count, 0);
        free(u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_runs_again_has_no_trouble_left),
        cmocka_unit_test(who_was_stopped_is_held_by_nobody),
        cmocka_unit_test(a_failed_start_leaves_it_to_nobody),
        cmocka_unit_test(the_first_failure_moves_it_at_once),
        cmocka_unit_test(who_holds_the_lease_is_told_by_a_new_action),
        cmocka_unit_test(what_one_commit_has_no_room_for_goes_with_the_next),
        cmocka_unit_test(of_what_was_told_the_rest_is_kept),
        cmocka_unit_test(what_is_not_believed_displaces_nothing),
        cmocka_unit_test(more_than_can_be_kept_waits_for_a_place),
        cmocka_unit_test(a_slot_that_no_vm_can_have_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
