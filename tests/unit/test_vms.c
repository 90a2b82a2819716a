/* The acting node's work on VMs: placing them, stopping them, and taking over from the dead. We are
 * n1 and act; n3 dies. */
#include "agent/vms.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

/* n3 has left and a term names it lost; nothing is answered yet. */
static struct unit *n3_lost(struct unit *u)
{
    unit_lead(u);
    unit_leave(u, 3);
    unit_commit(u);
    return u;
}

/* Answers the fence of n3: its own entries stand. */
static void fence_stands(struct unit *u)
{
    for (unsigned i = 0; i < 50; i++) {
        struct action block = unit_take(u, ACTION_BLOCK_ADD);
        bool node = unit_holds(&block.block, unit_client(3, 300));
        unit_block(u, &block, OUTCOME_DONE, 0);
        if (node) {
            return;
        }
    }
    fail_msg("n3 is not being fenced");
}

/* The barrier of VM 0 reads its lease. */
static void lease_read(struct unit *u, const struct lease *lease)
{
    struct action read = unit_take(u, ACTION_LEASE_READ);
    unit_lease_is(u, &read, OUTCOME_DONE, lease);
}

static struct lease held_by_n3(struct unit *u)
{
    struct lease lease = unit_lease(u, 0, 3);
    lease.generation = UNIT_GENERATION + 5; /* the state need not know the newest */
    return lease;
}

/* The history has one such entry, about vm0. */
static void check_told(const struct unit *u, enum history_kind kind, uint32_t nodeid,
                       const char *cause)
{
    unsigned count = 0;
    for (unsigned i = 0; i < HISTORY_MAX; i++) {
        const struct history_entry *entry = &u->core.cluster.history[i];
        if (entry->kind == kind) {
            count++;
            assert_string_equal(entry->vm, "vm0");
            assert_int_equal(entry->nodeid, nodeid);
            assert_string_equal(entry->cause, cause);
        }
    }
    assert_int_equal(count, 1);
}

/* The VM of a dead node is started elsewhere, from the very generation whose clients were blocked.
 */
TEST(a_takeover_uses_the_barred_generation)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    n3_lost(u);
    struct lease lease = held_by_n3(u);
    fence_stands(u);
    lease_read(u, &lease);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&block.block, lease.clients.list[0]));
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_settle(u, 500);
    const struct vm_record *vm = unit_copy_vm(u, 0);
    assert_int_equal(vm->state, VM_STARTING);
    assert_int_equal(vm->generation, UNIT_GENERATION + 5);
    assert_int_not_equal(vm->node, N3);
    free(u);
}

/* No start elsewhere while the holder is not proven, though the VM's own clients are barred. */
TEST(no_start_while_the_holder_is_unproven)
{
    struct unit *u = unit_new(1);
    unit_set(u, "proof", PROOF_POWER);
    unit_vm(u, 0, VM_RUNNING, N3);
    n3_lost(u);
    struct lease lease = held_by_n3(u);
    fence_stands(u);
    lease_read(u, &lease);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_settle(u, 2000);
    assert_int_not_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    assert_int_equal(unit_copy_vm(u, 0)->node, N3);
    free(u);
}

/* No start elsewhere while the VM's clients are not barred, though the node is fenced. */
TEST(no_start_before_its_own_barrier)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    n3_lost(u);
    struct lease lease = held_by_n3(u);
    fence_stands(u);
    lease_read(u, &lease);
    unit_settle(u, 2000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    assert_int_equal(unit_copy_vm(u, 0)->node, N3);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_UNKNOWN, 0);
    unit_settle(u, 200);
    assert_int_equal(unit_copy_vm(u, 0)->node, N3);
    free(u);
}

/* A missing lease counts as held by everybody: no start, and the reason is told once. */
TEST(a_missing_lease_starts_nothing)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    n3_lost(u);
    fence_stands(u);
    for (unsigned i = 0; i < 5; i++) {
        struct action read = unit_take(u, ACTION_LEASE_READ);
        unit_lease_is(u, &read, OUTCOME_MISSING, NULL);
        unit_settle(u, 500);
    }
    const struct vm_record *vm = unit_copy_vm(u, 0);
    assert_int_equal(vm->state, VM_RECOVERING);
    assert_true(strlen(vm->reason) > 0);
    unsigned told = 0;
    for (unsigned i = 0; i < HISTORY_MAX; i++) {
        told += u->core.cluster.history[i].kind == HISTORY_VM_RECOVERING;
    }
    assert_int_equal(told, 1);
    free(u);
}

/* A lease in the hands of a living node is followed: no barrier, the record goes to that node. */
TEST(a_living_holder_is_followed)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    n3_lost(u);
    struct lease lease = unit_lease(u, 0, 2);
    lease.generation = UNIT_GENERATION + 9;
    fence_stands(u);
    unit_settle(u, 300);
    lease_read(u, &lease);
    unit_settle(u, 300);
    unit_none(u, ACTION_BLOCK_ADD);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    assert_int_equal(unit_copy_vm(u, 0)->node, 1);
    free(u);
}

/* A lease found free makes the VM stopped, and wanted running it starts from that generation. */
TEST(a_free_lease_starts_anew)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    n3_lost(u);
    struct lease held = held_by_n3(u);
    struct lease lease = lease_free(&held, END_STEAD);
    fence_stands(u);
    lease_read(u, &lease);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    assert_int_equal(unit_copy_vm(u, 0)->generation, lease.generation);
    free(u);
}

/* The VM of a dead node that is wanted stopped is not started: its lease is freed behind the
 * barrier. */
TEST(wanted_stopped_is_freed)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_STOPPING, N3)->want = WANT_STOPPED;
    n3_lost(u);
    struct lease lease = held_by_n3(u);
    fence_stands(u);
    lease_read(u, &lease);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_settle(u, 100);
    struct action change = unit_take(u, ACTION_LEASE_CHANGE);
    assert_int_equal(change.lease.lease.state, LEASE_FREE);
    assert_int_equal(change.lease.lease.generation, lease.generation + 1);
    unit_lease_done(u, &change);
    unit_settle(u, 300);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STOPPED);
    assert_int_equal(unit_copy_vm(u, 0)->generation, lease.generation + 1);
    assert_int_equal(unit_copy_vm(u, 0)->node, NODE_NONE);
    check_told(u, HISTORY_VM_STOPPED, 0, "its holder is gone, its lease is free");
    assert_int_equal(u->core.local.acting.barrier_of[0], 0); /* its place is free again */
    assert_true(uuid_is_zero(&u->core.local.acting.barriers[0].vm));
    free(u);
}

/* ... and never before its holder is proven. */
TEST(nothing_is_freed_before_the_proof)
{
    struct unit *u = unit_new(1);
    unit_set(u, "proof", PROOF_POWER);
    unit_vm(u, 0, VM_STOPPING, N3)->want = WANT_STOPPED;
    n3_lost(u);
    struct lease lease = held_by_n3(u);
    fence_stands(u);
    lease_read(u, &lease);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_settle(u, 1000);
    unit_none(u, ACTION_LEASE_CHANGE);
    free(u);
}

/* A takeover that failed once looks at the watchers at the dead node's address too. */
TEST(after_a_failed_takeover_watchers_are_barred)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RECOVERING, N3)->attempts = 1;
    n3_lost(u);
    struct lease lease = held_by_n3(u);
    fence_stands(u);
    lease_read(u, &lease);
    struct action watchers = unit_take(u, ACTION_WATCHERS_READ);
    unit_watchers(u, &watchers, OUTCOME_DONE, unit_client(3, 7777));
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&block.block, unit_client(3, 7777)));
    assert_true(unit_holds(&block.block, lease.clients.list[0]));
    free(u);
}

/* ... but a first one does not: one that only starts anew, or whose start failed elsewhere. */
TEST(a_first_takeover_asks_for_no_watchers)
{
    for (unsigned starting = 0; starting < 2; starting++) {
        struct unit *u = unit_new(1);
        unit_vm(u, 0, starting ? VM_STARTING : VM_RECOVERING, N3)->attempts = starting ? 3 : 0;
        n3_lost(u);
        struct lease lease = held_by_n3(u);
        fence_stands(u);
        lease_read(u, &lease);
        struct action block = unit_take(u, ACTION_BLOCK_ADD);
        assert_true(unit_holds(&block.block, lease.clients.list[0]));
        unit_none(u, ACTION_WATCHERS_READ);
        free(u);
    }
}

/* An answer that never comes does not hold up the takeover for good: it is begun anew. */
TEST(an_answer_that_never_comes_is_not_waited_for)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    n3_lost(u);
    struct lease lease = held_by_n3(u);
    fence_stands(u);
    struct action lost = unit_take(u, ACTION_LEASE_READ);
    unit_settle(u, lost.deadline_ms - u->now_ms + 4000);
    lease_read(u, &lease);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    free(u);
}

/* The answers of a barrier are its own, once; nobody else need look at them. */
TEST(a_barriers_answers_are_taken_once)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RECOVERING, N3)->attempts = 1;
    n3_lost(u);
    struct event event = unit_event(EVENT_LEASE, unit_take(u, ACTION_LEASE_READ).id);
    event.lease.outcome = OUTCOME_DONE;
    event.lease.has_lease = true;
    event.lease.lease = held_by_n3(u);
    assert_true(vms_on_answer(&u->core, &event));
    assert_false(vms_on_answer(&u->core, &event));
    event = unit_event(EVENT_WATCHERS, unit_take(u, ACTION_WATCHERS_READ).id);
    event.watchers.outcome = OUTCOME_DONE;
    assert_true(vms_on_answer(&u->core, &event));
    assert_false(vms_on_answer(&u->core, &event));
    event = unit_event(EVENT_BLOCK, 0);
    unit_settle(u, 100);
    for (struct action block; event.id == 0 && unit_find(u, ACTION_BLOCK_ADD, &block);) {
        event.id = unit_holds(&block.block, unit_client(3, 7000)) ? block.id : 0;
    }
    event.block.outcome = OUTCOME_DONE;
    assert_true(vms_on_answer(&u->core, &event));
    assert_false(vms_on_answer(&u->core, &event));
    free(u);
}

/* With no node left that has the memory, the VM waits and says why; it is started once there is
 * one. */
TEST(a_vm_without_a_place_waits_and_is_started_later)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE)->memory_mib = 20000;
    unit_lead(u);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STOPPED);
    unit_settle(u, 2500); /* it is tried again, and not told again */
    check_told(u, HISTORY_VM_FAILED, 0, unit_copy_vm(u, 0)->reason);
    assert_string_equal(unit_copy_vm(u, 0)->reason, "no node that is online has the memory for it");
    u->peers[2].memory_mib = 65536;
    unit_settle(u, 1500);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    assert_int_equal(unit_copy_vm(u, 0)->node, 1);
    assert_int_equal(unit_copy_vm(u, 0)->reason[0], '\0');
    free(u);
}

/* Where not all can be started at once, the higher priority goes first. */
TEST(higher_priority_first)
{
    struct unit *u = unit_new(1);
    for (uint32_t i = 0; i < 4; i++) {
        struct vm_record *vm = unit_vm(u, i, VM_STOPPED, NODE_NONE);
        vm->memory_mib = 8000; /* one to a node */
        vm->priority = (int32_t)i;
    }
    unit_lead(u);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STOPPED);
    for (uint32_t i = 1; i < 4; i++) {
        assert_int_equal(unit_copy_vm(u, i)->state, VM_STARTING);
    }
    free(u);
}

/* Many VMs of high priority that fit nowhere must not keep a small one from starting (I5). */
TEST(the_unplaceable_do_not_starve_the_rest)
{
    struct unit *u = unit_new(1);
    for (uint32_t i = 0; i < 40; i++) {
        struct vm_record *vm = unit_vm(u, i, VM_STOPPED, NODE_NONE);
        vm->memory_mib = 100000;
        vm->priority = 10;
    }
    unit_vm(u, 40, VM_STOPPED, NODE_NONE);
    unit_lead(u);
    unit_settle(u, 3000);
    assert_int_equal(unit_copy_vm(u, 40)->state, VM_STARTING);
    free(u);
}

/* Many VMs to start are all started, as many in one commit as have room, the most urgent first. */
TEST(many_are_started_over_several_commits)
{
    struct unit *u = unit_new(1);
    for (uint32_t i = 0; i < 72; i++) {
        struct vm_record *vm = unit_vm(u, i, VM_STOPPED, NODE_NONE);
        vm->memory_mib = 100;
        vm->priority = (int32_t)i;
    }
    unit_lead(u);
    uint64_t before = u->core.cluster.header.version;
    unit_settle(u, 1000);
    assert_int_equal(u->core.cluster.header.version - before, 3);
    for (uint32_t i = 0; i < 72; i++) {
        assert_int_equal(unit_copy_vm(u, i)->state, VM_STARTING);
        assert_true(i == 0 ||
                    unit_copy_vm(u, i)->action.counter < unit_copy_vm(u, i - 1)->action.counter);
    }
    free(u);
}

/* Each start has an action id of its own, of the present term. */
TEST(each_start_has_an_id_of_its_own)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE);
    unit_vm(u, 1, VM_STOPPED, NODE_NONE);
    unit_lead(u);
    unit_settle(u, 500);
    const struct vm_record *a = unit_copy_vm(u, 0);
    const struct vm_record *b = unit_copy_vm(u, 1);
    assert_false(action_id_equal(a->action, b->action));
    assert_int_equal(a->action.term, u->core.cluster.header.term);
    assert_int_equal(a->generation, UNIT_GENERATION);
    free(u);
}

/* A VM that runs or starts and is wanted stopped is told so by its record, under a new action. */
TEST(wanted_stopped_is_stopped)
{
    for (unsigned starting = 0; starting < 2; starting++) {
        struct unit *u = unit_new(1);
        unit_vm(u, 0, starting ? VM_STARTING : VM_RUNNING, 1)->want = WANT_STOPPED;
        unit_lead(u);
        unit_settle(u, 500);
        assert_int_equal(unit_copy_vm(u, 0)->state, VM_STOPPING);
        assert_int_equal(unit_copy_vm(u, 0)->node, 1);
        assert_int_equal(unit_copy_vm(u, 0)->action.term, u->core.cluster.header.term);
        check_told(u, HISTORY_VM_STOPPING, 2, "wanted stopped");
        free(u);
    }
}

/* A VM that is to be removed goes once it is stopped, and its lease with it. */
TEST(a_removed_vm_takes_its_lease_along)
{
    struct unit *u = unit_new(1);
    struct vm_record *vm = unit_vm(u, 0, VM_STOPPED, NODE_NONE);
    vm->want = WANT_STOPPED;
    vm->removing = true;
    struct uuid uuid = vm->uuid;
    unit_lead(u);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_FREE);
    struct action removal = unit_take(u, ACTION_LEASE_REMOVE);
    assert_true(uuid_equal(&removal.lease.lease.vm, &uuid));
    assert_int_equal(removal.lease.lease.generation, UNIT_GENERATION);
    check_told(u, HISTORY_VM_REMOVED, 0, "removed; its images are kept");
    free(u);
}

/* A start says where and why, and forgets what was wrong with the run before. */
TEST(a_start_tells_why_it_is_there)
{
    for (unsigned back = 0; back < 2; back++) {
        struct unit *u = unit_new(1);
        struct vm_record *vm = unit_vm(u, 0, VM_STOPPED, NODE_NONE);
        vm->prefer = back << N3;
        vm->ends = 1;
        memset(&vm->condition, 1, sizeof(vm->condition));
        unit_lead(u);
        unit_settle(u, 300);
        const struct vm_condition none = {0};
        assert_memory_equal(&unit_copy_vm(u, 0)->condition, &none, sizeof(none));
        check_told(u, HISTORY_VM_STARTING, back ? 3 : 1,
                   back ? "start on n3 (VMs there: 0; it ended there by itself)"
                        : "start on n1 (VMs there: 0; wanted running)");
        free(u);
    }
}

/* A VM on a living node is nobody's to take over. */
TEST(a_living_nodes_vm_is_left_alone)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_lead(u);
    unit_settle(u, 2000);
    unit_none(u, ACTION_LEASE_READ);
    unit_none(u, ACTION_BLOCK_ADD);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_RUNNING);
    free(u);
}

/* A VM held by an earlier life of a node that is back is taken over: that life is proven over. */
TEST(an_earlier_lifes_vm_is_taken_over)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3)->incarnation = (struct incarnation){1, 77};
    struct lease lease = unit_lease(u, 0, 3);
    lease.incarnation = (struct incarnation){1, 77};
    unit_lead(u);
    lease_read(u, &lease);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&block.block, lease.clients.list[0]));
    assert_false(unit_holds(&block.block, unit_client(3, 0)));
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    assert_int_equal(unit_copy_vm(u, 0)->generation, lease.generation);
    free(u);
}

/* ... also one whose node no longer tells by which handle it wrote, or that names no node: there is
 * no address at which to look for more. */
TEST(a_vm_of_nobody_known_is_taken_over)
{
    static const uint8_t nodes[] = {N3, NODE_NONE};
    for (size_t i = 0; i < UNIT_COUNT(nodes); i++) {
        struct unit *u = unit_new(1);
        const struct acting *acting = &u->core.local.acting;
        unit_vm(u, 0, VM_RUNNING, nodes[i])->incarnation = (struct incarnation){1, 77};
        u->image.nodes[N3].client = (struct client){{0}};
        unit_lead(u);
        (void)unit_take(u, ACTION_LEASE_READ);
        assert_int_equal(acting->barrier_end, 1);
        assert_true(client_is_none(&acting->barriers[0].address));
        free(u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_takeover_uses_the_barred_generation),
        cmocka_unit_test(no_start_while_the_holder_is_unproven),
        cmocka_unit_test(no_start_before_its_own_barrier),
        cmocka_unit_test(a_missing_lease_starts_nothing),
        cmocka_unit_test(a_living_holder_is_followed),
        cmocka_unit_test(a_free_lease_starts_anew),
        cmocka_unit_test(wanted_stopped_is_freed),
        cmocka_unit_test(nothing_is_freed_before_the_proof),
        cmocka_unit_test(after_a_failed_takeover_watchers_are_barred),
        cmocka_unit_test(a_first_takeover_asks_for_no_watchers),
        cmocka_unit_test(an_answer_that_never_comes_is_not_waited_for),
        cmocka_unit_test(a_barriers_answers_are_taken_once),
        cmocka_unit_test(a_vm_without_a_place_waits_and_is_started_later),
        cmocka_unit_test(higher_priority_first),
        cmocka_unit_test(the_unplaceable_do_not_starve_the_rest),
        cmocka_unit_test(many_are_started_over_several_commits),
        cmocka_unit_test(each_start_has_an_id_of_its_own),
        cmocka_unit_test(wanted_stopped_is_stopped),
        cmocka_unit_test(a_removed_vm_takes_its_lease_along),
        cmocka_unit_test(a_start_tells_why_it_is_there),
        cmocka_unit_test(a_living_nodes_vm_is_left_alone),
        cmocka_unit_test(an_earlier_lifes_vm_is_taken_over),
        cmocka_unit_test(a_vm_of_nobody_known_is_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
