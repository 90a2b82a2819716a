/* VMs that wait: for what, in which words, and what is kept for them meanwhile. We are n1 and act;
 * n3 is lost from the beginning. */
#include "agent/vms.h"
#include "tests/unit/unit_core.h"

#define N2 1 /* slots */
#define N3 2

static struct unit *n3_lost(uint32_t proof)
{
    struct unit *u = unit_new(1);
    unit_set(u, "proof", proof);
    u->image.nodes[N3].state = NODE_LOST;
    u->image.header.members = 3;
    u->ring.count = 2;
    return u;
}

/* All barriers stand, and all leases are as n3 had them. */
static void answer(struct unit *u)
{
    for (unsigned i = 0; i < 20; i++) {
        struct action asked;
        unit_settle(u, 60);
        while (unit_find(u, ACTION_BLOCK_ADD, &asked)) {
            unit_block(u, &asked, OUTCOME_DONE, 0);
        }
        while (unit_find(u, ACTION_LEASE_READ, &asked)) {
            struct lease lease = unit_lease(u, 0, 3);
            unit_lease_is(u, &asked, OUTCOME_DONE, &lease);
        }
    }
}

static unsigned told(const struct unit *u, const char *cause)
{
    unsigned count = 0;
    for (unsigned i = 0; i < HISTORY_MAX; i++) {
        const struct history_entry *entry = &u->core.cluster.history[i];
        count += entry->kind == HISTORY_VM_RECOVERING && strcmp(entry->cause, cause) == 0;
    }
    return count;
}

/* What is owed to a VM is what nobody gave a reason for yet. */
TEST(what_waits_for_whoever_acts)
{
    static const struct {
        enum vm_state state;
        enum vm_want want;
        uint32_t attempts;
        uint8_t node;
        bool said, waits;
    } cases[] = {
        {VM_STOPPED, WANT_RUNNING, 0, NODE_NONE, false, true},
        {VM_STOPPED, WANT_RUNNING, 0, NODE_NONE, true, false},
        {VM_STOPPED, WANT_RUNNING, 1, NODE_NONE, false, false},
        {VM_STOPPED, WANT_STOPPED, 0, NODE_NONE, false, false},
        {VM_RUNNING, WANT_RUNNING, 0, N2, false, false},
        {VM_RUNNING, WANT_RUNNING, 0, N3, false, true},
        {VM_RUNNING, WANT_STOPPED, 3, N3, false, true},
        {VM_RECOVERING, WANT_RUNNING, 0, N3, true, false},
    };
    for (uint32_t i = 0; i < UNIT_COUNT(cases); i++) {
        struct unit *u = n3_lost(PROOF_POWER);
        struct vm_record *vm = unit_vm(u, 0, cases[i].state, cases[i].node);
        vm->want = cases[i].want;
        vm->attempts = cases[i].attempts;
        name_set(vm->reason, TEXT_BYTES, cases[i].said ? "?" : "");
        unit_start(u);
        assert_int_equal(vms_wait(&u->core), cases[i].waits);
        u->core.cluster.settings.ha = HA_ON + 1;
        assert_false(vms_wait(&u->core));
        free(u);
    }
}

static const char no_device[] = "the barrier stands; waits for power (proof); surely off? stead "
                                "node fence n3 --i-vouch; n3: no power device is verified";

static void give_bmc(struct unit *u)
{
    name_set(u->image.nodes[N3].bmc.address, ADDRESS_BYTES, "10.0.1.3");
    u->image.nodes[N3].bmc.verified = true;
}

/* What it waits for is said once, with what a person may do; whatever was said of its run before,
 * and whatever is wanted of it. */
TEST(what_a_proof_is_waited_for_is_said)
{
    for (unsigned i = 0; i < 4; i++) {
        struct unit *u = n3_lost(PROOF_POWER);
        struct vm_record *before = unit_vm(u, 0, i == 1 ? VM_RECOVERING : VM_RUNNING, N3);
        name_set(before->reason, TEXT_BYTES, i == 2 ? "somebody paused it" : "");
        before->want = i == 3 ? WANT_STOPPED : WANT_RUNNING;
        unit_lead(u);
        answer(u);
        const struct vm_record *vm = unit_copy_vm(u, 0);
        assert_int_equal(vm->state, VM_RECOVERING);
        assert_string_equal(vm->reason, no_device);
        assert_int_equal(told(u, vm->reason), 1);
        free(u);
    }
}

/* ... and anew when a try to cut its host's power has ended, not while one is under way. */
TEST(a_failed_try_is_said_once_it_has_ended)
{
    struct unit *u = n3_lost(PROOF_POWER);
    unit_vm(u, 0, VM_RUNNING, N3);
    give_bmc(u);
    unit_lead(u);
    answer(u);
    const struct vm_record *vm = unit_copy_vm(u, 0);
    const char *at_first =
        "the barrier stands; waits for power (proof); surely off? stead node fence n3 --i-vouch";
    assert_string_equal(vm->reason, at_first);
    struct action power = unit_take(u, ACTION_POWER);
    unit_power(u, &power, OUTCOME_FAILED);
    for (unsigned tries = 0; tries < 2; tries++) {
        unit_settle(u, 200);
        assert_non_null(strstr(vm->reason, "--i-vouch; n3: "));
        assert_non_null(strstr(vm->reason, "the BMC says so"));
        assert_int_equal(told(u, vm->reason), 1);
        assert_int_equal(told(u, at_first), 1);
        power = tries == 0 ? unit_take(u, ACTION_POWER) : power;
    }
    free(u);
}

/* What was said by whoever acted before holds, too. */
TEST(what_was_said_before_holds)
{
    struct unit *u = n3_lost(PROOF_POWER);
    name_set(unit_vm(u, 0, VM_RECOVERING, N3)->reason, TEXT_BYTES, "?");
    unit_lead(u);
    answer(u);
    assert_string_equal(unit_copy_vm(u, 0)->reason, "?");
    free(u);
}

/* Of power nothing is said to one that waits for another proof: neither that there is no device,
 * nor that a try for the sake of others failed. */
TEST(power_is_not_told_of_where_it_proves_nothing)
{
    for (unsigned bmc = 0; bmc < 2; bmc++) {
        struct unit *u = n3_lost(PROOF_POWER);
        struct setting_record *class = &u->image.set[SETTINGS_MAX];
        *class = (struct setting_record){.set_ms = 1, .value = PROOF_WATCHDOG, .given = true};
        name_set(class->name, NAME_BYTES, "timed");
        unit_vm(u, 0, VM_RUNNING, N3)->class_slot = SETTINGS_MAX;
        if (bmc == 1) {
            give_bmc(u);
        }
        unit_lead(u);
        if (bmc == 1) {
            struct action power = unit_take(u, ACTION_POWER);
            unit_power(u, &power, OUTCOME_FAILED);
        }
        answer(u);
        assert_string_equal(unit_copy_vm(u, 0)->reason,
                            "the barrier stands; waits for watchdog (class timed); surely off? "
                            "stead node fence n3 --i-vouch");
        free(u);
    }
}

/* Its last place is proven and never took the lease: it waits for whom that names. */
TEST(an_unproven_holder_of_the_lease_is_followed)
{
    struct unit *u = n3_lost(PROOF_POWER);
    unit_vm(u, 0, VM_STARTING, N2)->incarnation = (struct incarnation){1, 77};
    name_set(u->image.vms[0].reason, TEXT_BYTES, "of its last place");
    unit_lead(u);
    struct lease lease = unit_lease(u, 0, 3);
    struct action read = unit_take(u, ACTION_LEASE_READ);
    unit_lease_is(u, &read, OUTCOME_DONE, &lease);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    while (!unit_holds(&block.block, lease.clients.list[0])) {
        block = unit_take(u, ACTION_BLOCK_ADD); /* n3's own are left open */
    }
    unit_settle(u, 100);
    const struct vm_record *vm = unit_copy_vm(u, 0);
    assert_int_equal(vm->state, VM_RECOVERING);
    assert_int_equal(vm->node, N3);
    assert_true(incarnation_equal(vm->incarnation, unit_copy_node(u, 3)->incarnation));
    assert_int_equal(told(u, "its lease is in the hands of n3, not proven dead for it yet"), 1);
    assert_string_equal(vm->reason, "");
    (void)unit_take(u, ACTION_LEASE_READ); /* another barrier, around another holder */
    free(u);
}

/* Its host may yet be proven dead: the room for the more urgent one is not given away. */
TEST(room_is_kept_for_the_more_urgent)
{
    for (int32_t priority = 0; priority < 2; priority++) {
        struct unit *u = n3_lost(PROOF_POWER);
        for (uint32_t slot = 0; slot < 3; slot++) {
            struct vm_record *vm = slot == 0 ? unit_vm(u, slot, VM_RUNNING, N3)
                                             : unit_vm(u, slot, VM_STOPPED, NODE_NONE);
            vm->memory_mib = 8000; /* one to a node */
            vm->priority = slot == 0 ? priority : 0;
        }
        unit_lead(u);
        unit_settle(u, 300);
        assert_int_equal(unit_copy_vm(u, 1)->state, VM_STARTING);
        assert_int_equal(unit_copy_vm(u, 2)->state, priority == 1 ? VM_STOPPED : VM_STARTING);
        assert_string_equal(
            unit_copy_vm(u, 2)->reason,
            priority == 1 ? "memory is kept for VMs of higher priority whose hosts may yet come up"
                          : "");
        free(u);
    }
}

static const char silent[] =
    "its run lease, or the blocklist, does not answer: see ceph health detail";
static const char missing[] =
    "its run lease is missing or foreign: it counts as held by every node";

/* As answer(), but of the lease of VM 0 that is said. */
static void answer_lease(struct unit *u, enum outcome outcome)
{
    struct action asked;
    unit_settle(u, 300);
    while (unit_find(u, ACTION_BLOCK_ADD, &asked)) {
        unit_block(u, &asked, OUTCOME_DONE, 0);
    }
    while (unit_find(u, ACTION_LEASE_READ, &asked)) {
        struct lease lease = unit_lease(u, 0, 3);
        unit_lease_is(u, &asked, outcome, outcome == OUTCOME_DONE ? &lease : NULL);
    }
    unit_settle(u, 300);
}

/* What it waits for now is said, each time once: a proof, then its lease, which is taken away, and
 * not put back for its not answering; then the proof again. With a power that fails, or none. */
TEST(a_missing_lease_is_said_while_it_is_missing)
{
    for (unsigned bmc = 0; bmc < 2; bmc++) {
        struct unit *u = n3_lost(PROOF_POWER);
        const struct vm_record *vm = unit_copy_vm(u, 0);
        unit_vm(u, 0, VM_RUNNING, N3);
        if (bmc == 1) {
            give_bmc(u);
        }
        unit_lead(u);
        if (bmc == 1) {
            struct action power = unit_take(u, ACTION_POWER);
            unit_power(u, &power, OUTCOME_FAILED);
        }
        answer_lease(u, OUTCOME_UNKNOWN);
        char waits[TEXT_BYTES];
        memcpy(waits, vm->reason, TEXT_BYTES);
        assert_non_null(strstr(waits, "waits for power (proof)"));
        answer_lease(u, OUTCOME_MISSING);
        assert_string_equal(vm->reason, missing);
        answer_lease(u, OUTCOME_UNKNOWN);
        answer_lease(u, OUTCOME_MISSING);
        assert_string_equal(vm->reason, missing);
        assert_int_equal(told(u, missing), 1);
        assert_int_equal(told(u, waits), 1);
        answer_lease(u, OUTCOME_DONE);
        assert_non_null(strstr(vm->reason, "waits for power (proof)"));
        assert_int_equal(told(u, waits), bmc == 1 ? 1 : 2); /* it is tried anew */
        free(u);
    }
}

/* Once its host is proven dead it is not told to vouch for that any more. */
TEST(a_missing_lease_is_said_after_the_proof)
{
    struct unit *u = n3_lost(PROOF_POWER);
    unit_vm(u, 0, VM_RUNNING, N3);
    give_bmc(u);
    unit_lead(u);
    struct action power = unit_take(u, ACTION_POWER);
    answer_lease(u, OUTCOME_UNKNOWN);
    assert_non_null(strstr(unit_copy_vm(u, 0)->reason, "--i-vouch"));
    unit_power(u, &power, OUTCOME_DONE);
    for (unsigned i = 0; i < 3; i++) {
        answer_lease(u, OUTCOME_MISSING);
    }
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    assert_string_equal(unit_copy_vm(u, 0)->reason, missing);
    assert_int_equal(told(u, missing), 1);
    free(u);
}

/* Whoever acts next reads it before he says anything else; the barrier of its host does not. */
TEST(what_was_said_of_its_lease_holds_till_it_is_read)
{
    struct unit *u = n3_lost(PROOF_POWER);
    name_set(unit_vm(u, 0, VM_RECOVERING, N3)->reason, TEXT_BYTES, missing);
    unit_lead(u);
    struct action read = unit_take(u, ACTION_LEASE_READ);
    struct lease lease = unit_lease(u, 0, 3);
    struct action block;
    unit_settle(u, 100);
    assert_string_equal(unit_copy_vm(u, 0)->reason, missing);
    unit_lease_is(u, &read, OUTCOME_DONE, &lease);
    unit_settle(u, 100); /* the barrier of its host does not stand yet */
    assert_string_equal(unit_copy_vm(u, 0)->reason, missing);
    while (unit_find(u, ACTION_BLOCK_ADD, &block)) {
        unit_block(u, &block, OUTCOME_DONE, 0);
    }
    unit_settle(u, 100);
    assert_string_equal(unit_copy_vm(u, 0)->reason, no_device);
    free(u);
}

/* A lease that does not answer is said once, proof or no proof, at the second try that fails; till
 * its barrier stands after all. */
TEST(a_lease_that_does_not_answer_is_said)
{
    for (unsigned proven = 0; proven < 2; proven++) {
        struct unit *u = n3_lost(proven ? PROOF_STORAGE : PROOF_POWER);
        const struct vm_record *vm = unit_copy_vm(u, 0);
        unit_vm(u, 0, VM_RUNNING, N3);
        unit_lead(u);
        answer_lease(u, OUTCOME_UNKNOWN);
        assert_int_equal(told(u, silent), 0);
        answer_lease(u, OUTCOME_UNKNOWN);
        assert_string_equal(vm->reason, silent);
        answer_lease(u, OUTCOME_UNKNOWN);
        assert_int_equal(told(u, silent), 1);
        assert_int_equal(vm->state, VM_RECOVERING);
        answer_lease(u, OUTCOME_DONE);
        struct action watchers = unit_take(u, ACTION_WATCHERS_READ);
        unit_watchers(u, &watchers, OUTCOME_DONE, unit_client(3, 71));
        answer_lease(u, OUTCOME_DONE); /* and the blocklist */
        assert_string_not_equal(vm->reason, silent);
        free(u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_for_whoever_acts),
        cmocka_unit_test(what_a_proof_is_waited_for_is_said),
        cmocka_unit_test(a_failed_try_is_said_once_it_has_ended),
        cmocka_unit_test(what_was_said_before_holds),
        cmocka_unit_test(power_is_not_told_of_where_it_proves_nothing),
        cmocka_unit_test(an_unproven_holder_of_the_lease_is_followed),
        cmocka_unit_test(room_is_kept_for_the_more_urgent),
        cmocka_unit_test(a_missing_lease_is_said_while_it_is_missing),
        cmocka_unit_test(a_missing_lease_is_said_after_the_proof),
        cmocka_unit_test(what_was_said_of_its_lease_holds_till_it_is_read),
        cmocka_unit_test(a_lease_that_does_not_answer_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
