/* A domain becomes ours as it runs, and is given back so: by one commit each. We are n1 and act. */
#include "tests/unit/unit_request.h"

#include "agent/classes.h"
#include "agent/peers.h"
#include "agent/place.h"
#include "agent/request_validate.h"
#include "agent/spare.h"

static struct request adoption(uint32_t nodeid, uint32_t number, uint64_t counter)
{
    struct request request = vm_add("new", 1, counter);
    request.adopt = true;
    request.want = WANT_RUNNING;
    request.generation = 7;
    request.nodeid = nodeid;
    request.incarnation = (struct incarnation){1, number};
    return request;
}

/* A domain adopted as it runs is running at once, in the life of its node that has the lease. */
TEST(a_running_domain_is_adopted)
{
    struct unit *u = acting();
    struct request request = adoption(2, 2, 1);
    check_accepted(u, &request);
    const struct vm_record *vm = unit_copy_vm(u, state_find_vm(&u->core.cluster, "new"));
    assert_int_equal(vm->state, VM_RUNNING);
    assert_int_equal(vm->node, 1);
    assert_true(incarnation_equal(vm->incarnation, (struct incarnation){1, 2}));
    assert_int_equal(vm->generation, 7);
    assert_int_equal(vm->action.term, u->core.cluster.header.term);
    free(u);
}

/* Its lease names a life; had the node been given up since, nothing would bar that lease's clients.
 */
TEST(an_adoption_of_an_earlier_life_is_refused)
{
    struct unit *u = acting();
    struct request request = adoption(2, 1, 1);
    check_refused(u, &request, "not in the cluster any more as it was");
    request = adoption(9, 2, 2);
    check_refused(u, &request, "not in the cluster any more as it was");
    (void)unit_foreign(u);
    unit_foreign_node(u, N3)->state = NODE_LOST;
    unit_foreign_send(u);
    request = adoption(3, 3, 3);
    check_refused(u, &request, "not in the cluster any more as it was");
    free(u);
}

/* Given back as it runs: the record goes, and with it the lease as that life held it. */
TEST(a_running_vm_is_given_back)
{
    struct unit *u = acting();
    struct request request = command(REQUEST_VM_REMOVE, "vm1", 1);
    request.keep_running = true;
    request.nodeid = 1;
    request.incarnation = (struct incarnation){1, 1};
    check_refused(u, &request, "does not run on this node");
    request.nodeid = 2;
    request.id.counter = 2;
    check_refused(u, &request, "not in the cluster any more as it was");
    request.incarnation = (struct incarnation){1, 2};
    request.id.counter = 3;
    check_accepted(u, &request);
    assert_int_equal(state_find_vm(&u->core.cluster, "vm1"), VMS_MAX);
    struct action action = unit_take(u, ACTION_LEASE_REMOVE);
    assert_int_equal(action.lease.lease.state, LEASE_HELD);
    assert_true(incarnation_equal(action.lease.lease.incarnation, request.incarnation));
    assert_int_equal(action.lease.lease.generation, UNIT_GENERATION);
    free(u);
}

/* What the same commit decides next goes by it: the memory that is taken, whom a host's death
 * concerns. */
TEST(an_adopted_vm_counts_in_its_own_draft)
{
    struct unit *u = acting();
    struct loads before, after;
    struct text scratch;
    struct request request = adoption(2, 2, 1);
    const uint32_t end = u->core.cluster.vm_end;
    u->core.cluster.header.next_history = 100; /* which is no slot of a VM */
    draft_begin(&u->core);
    place_loads(&u->core, &before);
    const uint32_t waiting = classes_waiting(&u->core, 1, 0);
    assert_int_equal(draft_vm_end(&u->core), end);
    assert_null(request_vm_add(&u->core, &request, &scratch));
    struct delta *delta = &u->core.local.draft.delta;
    delta->records[delta->count] =
        (struct record){.kind = RECORD_VM, .slot = 50}; /* an earlier's */
    assert_int_equal(draft_vm_end(&u->core), end + 1);
    place_loads(&u->core, &after);
    assert_int_equal(after.used_mib[1], before.used_mib[1] + 1024);
    assert_int_equal(classes_waiting(&u->core, 1, 0), waiting + 1);
    u->core.local.draft.open = false;
    assert_int_equal(draft_vm_end(&u->core), end);
    free(u);
}

/* Nobody else's VM is on its node: it alone makes a fence of that due, and forbids what would count
 * on its watchdog by what was read before. */
TEST(an_adopted_vm_is_on_its_node_in_its_own_draft)
{
    struct unit *u = acting();
    struct core *core = &u->core;
    struct text scratch;
    struct request request = adoption(3, 3, 1);
    struct settings next = core->cluster.settings;
    for (uint32_t i = 0; i < core->cluster.vm_end; i++) {
        core->cluster.vms[i].state = VM_STOPPED;
    }
    core->cluster.nodes[N3].watchdog = true;
    peers_find(&core->local, 3)->nodeid = 77; /* it is gone */
    for (uint32_t i = 0; i < core->local.seen_count; i++) {
        core->local.left_ms[i] = u->now_ms;
    }
    draft_begin(core);
    next.proof = PROOF_STORAGE | PROOF_WATCHDOG;
    assert_int_equal(spare_due(core), 0);
    assert_null(request_class_proof(core, &next, &scratch));
    assert_null(request_vm_add(core, &request, &scratch));
    assert_int_equal(spare_due(core), UINT64_C(1) << N3);
    assert_non_null(strstr(request_class_proof(core, &next, &scratch), "new is on it"));
    core->local.draft.open = false;
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_domain_is_adopted),
        cmocka_unit_test(an_adoption_of_an_earlier_life_is_refused),
        cmocka_unit_test(a_running_vm_is_given_back),
        cmocka_unit_test(an_adopted_vm_counts_in_its_own_draft),
        cmocka_unit_test(an_adopted_vm_is_on_its_node_in_its_own_draft),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
