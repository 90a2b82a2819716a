/* Whose turn it is among many VMs: what cannot go on takes nobody's, the most urgent go first, and
 * room is kept for those that may need it yet. We are n1 and act. */
#include "agent/vms.h"
#include "tests/unit/unit_core.h"

#define N2 1 /* slots */
#define N3 2
#define CROWD 25   /* VMs: more than are placed in one commit */
#define LAST CROWD /* the slot behind them: of whose turn it is about */

/* A crowd, more urgent than the last one, that an earlier life of n3 held, which is proven to be
 * over. The last one fits nowhere yet. */
static struct unit *crowd(enum vm_state state)
{
    struct unit *u = unit_new(1);
    for (uint32_t slot = 0; slot < CROWD; slot++) {
        struct vm_record *vm = unit_vm(u, slot, state, N3);
        vm->incarnation = (struct incarnation){1, 77};
        vm->priority = 10;
    }
    unit_vm(u, LAST, VM_STOPPED, NODE_NONE)->memory_mib = 20000;
    return u;
}

/* How far the barriers get that are raised for the crowd. */
enum answers { NOTHING, READ, MISSING, BARRED };

static void answer(struct unit *u, enum answers answers)
{
    struct action asked;
    while (answers != NOTHING && unit_find(u, ACTION_LEASE_READ, &asked)) {
        uint32_t slot = asked.lease.lease.vm.bytes[0] - 0x80u;
        struct lease lease = unit_lease(u, slot, 3);
        lease.incarnation = u->image.vms[slot].incarnation;
        unit_lease_is(u, &asked, answers == MISSING ? OUTCOME_MISSING : OUTCOME_DONE,
                      answers == MISSING ? NULL : &lease);
    }
    while (answers == BARRED && unit_find(u, ACTION_BLOCK_ADD, &asked)) {
        unit_block(u, &asked, OUTCOME_DONE, 0);
    }
}

static void settle(struct unit *u, enum answers answers, uint64_t ms)
{
    for (uint64_t until_ms = u->now_ms + ms; u->now_ms < until_ms;) {
        unit_settle(u, 60);
        answer(u, answers);
    }
}

/* A host with room for the last one comes, and it is started there while the crowd waits on. */
static void check_last_has_its_turn(struct unit *u, enum answers answers)
{
    assert_int_equal(unit_copy_vm(u, LAST)->state, VM_STOPPED);
    u->peers[2].memory_mib = 65536;
    settle(u, answers, 1500);
    assert_int_equal(unit_copy_vm(u, LAST)->state, VM_STARTING);
    for (uint32_t slot = 0; slot < CROWD; slot++) {
        assert_int_equal(unit_copy_vm(u, slot)->node, N3);
    }
}

/* A VM whose lease does not answer, is not there, or whose clients are not barred yet. */
TEST(who_waits_for_a_barrier_takes_nobodys_turn)
{
    for (enum answers answers = NOTHING; answers < BARRED; answers++) {
        struct unit *u = crowd(VM_RUNNING);
        unit_lead(u);
        settle(u, answers, 2000);
        check_last_has_its_turn(u, answers);
        free(u);
    }
}

/* One whose barrier cannot be begun yet, since as many as may be are under way; though there is
 * something to be said of it. */
TEST(who_has_no_barrier_yet_takes_nobodys_turn)
{
    struct unit *u = crowd(VM_RUNNING);
    unit_set(u, "proof", PROOF_POWER);
    for (uint32_t slot = 0; slot < CROWD; slot++) {
        u->image.vms[slot].incarnation = u->image.nodes[N3].incarnation;
    }
    unit_lead(u);
    for (uint32_t i = 0; i < TAKEOVERS_MAX; i++) {
        u->core.local.acting.barriers[i].vm = unit_uuid(9);
    }
    unit_leave(u, 3);
    settle(u, BARRED, 2000);
    assert_int_equal(u->core.local.acting.fences[N3].state, FENCE_STANDS);
    check_last_has_its_turn(u, BARRED);
    free(u);
}

/* One that the pause of HA holds where it was, though all else is done. */
TEST(who_is_held_by_a_pause_takes_nobodys_turn)
{
    for (unsigned said = 0; said < 2; said++) {
        struct unit *u = crowd(said ? VM_RECOVERING : VM_RUNNING);
        unit_set(u, "ha", HA_IGNORE);
        unit_lead(u);
        settle(u, BARRED, 2000);
        check_last_has_its_turn(u, BARRED);
        free(u);
    }
}

/* They are taken over by the very commit that ends the pause, whatever they were called. */
TEST(the_end_of_a_pause_takes_over)
{
    static const enum vm_state states[] = {VM_RUNNING, VM_RECOVERING, VM_STOPPED};
    for (unsigned i = 0; i < UNIT_COUNT(states); i++) {
        struct unit *u = unit_new(1);
        struct vm_record *vm = unit_vm(u, 0, states[i], N3);
        vm->incarnation = (struct incarnation){1, 77};
        unit_set(u, "ha", HA_FREEZE);
        unit_lead(u);
        settle(u, BARRED, 2000);
        assert_int_equal(unit_copy_vm(u, 0)->state, states[i]);
        struct request resume = {.kind = REQUEST_CONFIG_SET, .id = {1, 1001, 1}};
        name_set(resume.name, NAME_BYTES, "ha");
        name_set(resume.value, NAME_BYTES, "on");
        struct event event = unit_event(EVENT_REQUEST, 0);
        event.request = &resume;
        unit_step(u, &event); /* given here; and its multicast comes back */
        unit_step(u, &event);
        unit_commit(u);
        assert_int_equal(u->core.cluster.settings.ha, HA_ON);
        assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
        free(u);
    }
}

/* One that fits nowhere. */
TEST(who_has_no_place_takes_nobodys_turn)
{
    struct unit *u = crowd(VM_RUNNING);
    for (uint32_t slot = 0; slot < CROWD; slot++) {
        u->image.vms[slot].memory_mib = 100000;
    }
    unit_lead(u);
    settle(u, BARRED, 2000);
    assert_string_equal(unit_copy_vm(u, 0)->reason, "no node that is online has the memory for it");
    check_last_has_its_turn(u, BARRED);
    free(u);
}

/* One of which all is said: its host's power could not be cut. */
TEST(who_waits_for_a_proof_takes_nobodys_turn)
{
    struct unit *u = crowd(VM_RUNNING);
    unit_set(u, "proof", PROOF_POWER);
    u->image.nodes[N3].state = NODE_LOST;
    u->image.header.members = 3;
    u->ring.count = 2;
    name_set(u->image.nodes[N3].bmc.address, ADDRESS_BYTES, "10.0.1.3");
    u->image.nodes[N3].bmc.verified = true;
    for (uint32_t slot = 0; slot < CROWD; slot++) {
        u->image.vms[slot].incarnation = u->image.nodes[N3].incarnation;
    }
    unit_lead(u);
    for (unsigned tries = 0; tries < 2; tries++) { /* the third comes four seconds later */
        struct action power = unit_take(u, ACTION_POWER);
        unit_power(u, &power, OUTCOME_FAILED);
        settle(u, BARRED, 500);
    }
    assert_non_null(strstr(unit_copy_vm(u, 0)->reason, "the BMC says so"));
    check_last_has_its_turn(u, BARRED);
    unit_none(u, ACTION_POWER);
    free(u);
}

/* Slots that no VM has are passed over. */
TEST(free_slots_take_nobodys_turn)
{
    struct unit *u = unit_new(1);
    unit_vm(u, LAST, VM_STOPPED, NODE_NONE);
    unit_lead(u);
    unit_settle(u, 300);
    assert_int_equal(unit_copy_vm(u, LAST)->state, VM_STARTING);
    free(u);
}

/* They are started in the order of their priorities, however they lie. */
TEST(the_most_urgent_is_the_first)
{
    const uint32_t count = 12;
    struct unit *u = unit_new(1);
    for (uint32_t slot = 0; slot < count; slot++) {
        struct vm_record *vm = unit_vm(u, slot, VM_STOPPED, NODE_NONE);
        vm->memory_mib = 100;
        vm->priority = (int32_t)(slot * 5 % count);
    }
    unit_lead(u);
    unit_commit(u);
    for (uint32_t a = 0; a < count; a++) {
        for (uint32_t b = 0; b < count; b++) {
            const struct vm_record *one = unit_copy_vm(u, a);
            const struct vm_record *other = unit_copy_vm(u, b);
            assert_int_equal(one->priority > other->priority,
                             one->action.counter < other->action.counter);
        }
    }
    free(u);
}

/* Of more than fit in a commit the least urgent wait for the next; of equals the last. */
TEST(a_full_commit_takes_the_most_urgent)
{
    for (unsigned equal = 0; equal < 2; equal++) {
        struct unit *u = unit_new(1);
        const uint32_t waits = equal ? LAST : LAST - 1;
        for (uint32_t slot = 0; slot <= LAST; slot++) {
            struct vm_record *vm = unit_vm(u, slot, VM_STOPPED, NODE_NONE);
            vm->memory_mib = 100;
            vm->priority = equal ? 0 : 2 * (int32_t)(LAST - slot);
        }
        u->image.vms[LAST].priority += equal ? 0 : 3; /* before the last of the others */
        u->image.vms[0].want = WANT_STOPPED;
        unit_lead(u);
        unit_commit(u);
        for (uint32_t slot = 1; slot <= LAST; slot++) {
            assert_int_equal(unit_copy_vm(u, slot)->state,
                             slot == waits ? VM_STOPPED : VM_STARTING);
        }
        unit_commit(u);
        assert_int_equal(unit_copy_vm(u, waits)->state, VM_STARTING);
        free(u);
    }
}

/* A commit is filled to its last record: with what n2 tells of eight VMs, and 24 starts. */
TEST(a_commit_is_filled_to_the_last_record)
{
    struct unit *u = unit_new(1);
    for (uint32_t slot = 0; slot < DELTA_RECORDS_MAX / 2; slot++) {
        bool told = slot < 8;
        struct vm_record *vm =
            unit_vm(u, slot, told ? VM_STARTING : VM_STOPPED, told ? N2 : NODE_NONE);
        vm->memory_mib = 100;
        if (told) {
            u->peers[2].observations[u->peers[2].observation_count++] =
                (struct observation){.slot = slot,
                                     .vm = vm->uuid,
                                     .kind = OBSERVED_RUNNING,
                                     .action = vm->action,
                                     .generation = UNIT_GENERATION};
        }
    }
    unit_lead(u);
    unit_commit(u);
    for (uint32_t slot = 0; slot < DELTA_RECORDS_MAX / 2; slot++) {
        assert_int_equal(unit_copy_vm(u, slot)->state, slot < 8 ? VM_RUNNING : VM_STARTING);
    }
    free(u);
}

/* ---- room that is kept */

/* VM 0 was on n3, which is lost and not proven; VMs 1 and 2 are to be started. */
static struct unit *three_want_room(const uint32_t *memory_mib, const int32_t *priorities)
{
    struct unit *u = unit_new(1);
    unit_set(u, "proof", PROOF_POWER);
    u->image.nodes[N3].state = NODE_LOST;
    u->image.header.members = 3;
    u->ring.count = 2;
    for (uint32_t slot = 0; slot < 3; slot++) {
        struct vm_record *vm =
            unit_vm(u, slot, slot == 0 ? VM_RUNNING : VM_STOPPED, slot == 0 ? N3 : NODE_NONE);
        vm->memory_mib = memory_mib[slot];
        vm->priority = priorities[slot];
    }
    return u;
}

/* Nothing is kept for one that is wanted stopped, or that waits for what may never come. */
TEST(no_room_is_kept_for_who_may_never_need_it)
{
    for (unsigned said = 0; said < 2; said++) {
        struct unit *u =
            three_want_room((const uint32_t[]){8000, 8000, 8000}, (const int32_t[]){1, 0, 0});
        if (said == 1) {
            u->image.vms[0].state = VM_RECOVERING;
            name_set(u->image.vms[0].reason, TEXT_BYTES, "?");
        } else {
            u->image.vms[0].want = WANT_STOPPED;
        }
        unit_lead(u);
        unit_settle(u, 300);
        assert_int_equal(unit_copy_vm(u, 1)->state, VM_STARTING);
        assert_int_equal(unit_copy_vm(u, 2)->state, VM_STARTING);
        free(u);
    }
}

/* Nor in a pause, when the one that waits has no turn to come. */
TEST(no_room_is_kept_in_a_pause)
{
    struct unit *u =
        three_want_room((const uint32_t[]){8000, 8000, 8000}, (const int32_t[]){1, 0, 0});
    unit_set(u, "ha", HA_IGNORE);
    unit_lead(u);
    unit_settle(u, 300);
    assert_int_equal(unit_copy_vm(u, 1)->state, VM_STARTING);
    assert_int_equal(unit_copy_vm(u, 2)->state, VM_STARTING);
    free(u);
}

/* A less urgent one does not take the room of one that is as urgent as the last that was placed. */
TEST(room_is_kept_for_an_equal_of_the_last_one_placed)
{
    struct unit *u =
        three_want_room((const uint32_t[]){8000, 8000, 8000}, (const int32_t[]){5, 5, 3});
    unit_lead(u);
    unit_settle(u, 300);
    assert_int_equal(unit_copy_vm(u, 1)->state, VM_STARTING);
    assert_int_equal(unit_copy_vm(u, 2)->state, VM_STOPPED);
    assert_non_null(strstr(unit_copy_vm(u, 2)->reason, "memory is kept"));
    free(u);
}

/* For one VM room is kept once, however many are placed after it. */
TEST(room_is_kept_once)
{
    struct unit *u =
        three_want_room((const uint32_t[]){4000, 4000, 5000}, (const int32_t[]){9, 5, 3});
    unit_lead(u);
    unit_settle(u, 300);
    assert_int_equal(unit_copy_vm(u, 1)->state, VM_STARTING);
    assert_int_equal(unit_copy_vm(u, 2)->state, VM_STARTING);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_for_a_barrier_takes_nobodys_turn),
        cmocka_unit_test(who_has_no_barrier_yet_takes_nobodys_turn),
        cmocka_unit_test(who_is_held_by_a_pause_takes_nobodys_turn),
        cmocka_unit_test(the_end_of_a_pause_takes_over),
        cmocka_unit_test(who_has_no_place_takes_nobodys_turn),
        cmocka_unit_test(who_waits_for_a_proof_takes_nobodys_turn),
        cmocka_unit_test(free_slots_take_nobodys_turn),
        cmocka_unit_test(the_most_urgent_is_the_first),
        cmocka_unit_test(a_full_commit_takes_the_most_urgent),
        cmocka_unit_test(a_commit_is_filled_to_the_last_record),
        cmocka_unit_test(no_room_is_kept_for_who_may_never_need_it),
        cmocka_unit_test(no_room_is_kept_in_a_pause),
        cmocka_unit_test(room_is_kept_for_an_equal_of_the_last_one_placed),
        cmocka_unit_test(room_is_kept_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
