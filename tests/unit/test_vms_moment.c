/* What came in the same moment, and is drafted into the same commit, counts: a command, or what a
 * node tells. */
#include "agent/vms.h"
#include "tests/unit/unit_request.h"

#define N2 1 /* slot */

static void wanted_stopped(struct unit *u)
{
    struct request request = command(REQUEST_VM_STOP, "vm0", 1);
    u->peers[2].memory_mib = 65536; /* there is room at last */
    unit_settle(u, 60);
    check_accepted(u, &request);
    assert_int_equal(unit_copy_vm(u, 0)->want, WANT_STOPPED);
}

/* One that waited for a place is not started by the commit that has it stopped. */
TEST(a_stop_comes_before_a_start)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE)->memory_mib = 20000;
    unit_lead(u);
    unit_settle(u, 300);
    assert_true(unit_copy_vm(u, 0)->reason[0] != '\0');
    wanted_stopped(u);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STOPPED);
    assert_string_equal(unit_copy_vm(u, 0)->reason, "");
    free(u);
}

/* ... nor one whose takeover is done but for the place: its lease is freed. */
TEST(a_stop_comes_before_a_takeover)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3)->memory_mib = 20000;
    u->image.vms[0].incarnation = (struct incarnation){1, 77};
    unit_lead(u);
    struct lease lease = unit_lease(u, 0, 3);
    lease.incarnation = u->image.vms[0].incarnation;
    struct action read = unit_take(u, ACTION_LEASE_READ);
    unit_lease_is(u, &read, OUTCOME_DONE, &lease);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_settle(u, 100);
    assert_true(unit_copy_vm(u, 0)->reason[0] != '\0');
    wanted_stopped(u);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_RECOVERING);
    struct action change = unit_take(u, ACTION_LEASE_CHANGE);
    assert_int_equal(change.lease.lease.state, LEASE_FREE);
    free(u);
}

/* A start that failed since a life that is over has the lease is recovered, wanted or not. */
TEST(a_failed_start_that_was_to_be_stopped_is_recovered)
{
    struct unit *u = unit_new(1);
    struct vm_record *vm = unit_vm(u, 0, VM_STARTING, N2);
    vm->want = WANT_STOPPED;
    u->peers[2].observation_count = 1;
    u->peers[2].observations[0] =
        (struct observation){.vm = vm->uuid,
                             .kind = OBSERVED_START_FAILED,
                             .action = vm->action,
                             .lease = LEASE_HELD,
                             .lease_holder = 3,
                             .lease_incarnation = (struct incarnation){1, 77}};
    unit_lead(u);
    unit_commit(u);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_RECOVERING);
    assert_int_equal(unit_copy_vm(u, 0)->node, N3);
    (void)unit_take(u, ACTION_LEASE_READ);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_comes_before_a_start),
        cmocka_unit_test(a_stop_comes_before_a_takeover),
        cmocka_unit_test(a_failed_start_that_was_to_be_stopped_is_recovered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
