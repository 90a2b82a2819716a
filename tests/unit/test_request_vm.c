/* Commands about VMs, to the letter: what each leaves in the record, and what it is refused for. We
 * are n1 and act. */
#include "agent/request_validate.h"
#include "tests/unit/unit_request.h"

#define N2 1 /* slot */
#define GOLD SETTINGS_MAX
#define TIMED (SETTINGS_MAX + 1)

static const struct history_entry *entry_of(const struct unit *u, const struct request *request)
{
    const struct history_entry *entry = state_find_request(&u->core.cluster, &request->id);
    assert_non_null(entry);
    return entry;
}

static const struct vm_record *called(const struct unit *u, const char *name)
{
    uint32_t slot = state_find_vm(&u->core.cluster, name);
    assert_int_not_equal(slot, VMS_MAX);
    return unit_copy_vm(u, slot);
}

static struct request run_on(const char *node, uint32_t memory_mib, uint64_t counter)
{
    struct request request = vm_add("new", 1, counter);
    request.want = WANT_RUNNING;
    request.memory_mib = memory_mib;
    name_set(request.on, NAME_BYTES, node);
    return request;
}

/* ---- added */

/* A node is asked for by its whole name, be it of one letter. */
TEST(a_vm_is_started_on_a_node_of_one_letter)
{
    struct unit *u = unit_new(1);
    name_set(u->image.nodes[N3].name, NAME_BYTES, "x");
    name_set(u->peers[3].name, NAME_BYTES, "x");
    unit_vm(u, 0, VM_RUNNING, N3); /* it is not the one with the fewest */
    unit_lead(u);
    struct request request = run_on("x", 1024, 1);
    check_accepted(u, &request);
    assert_int_equal(called(u, "new")->node, N3);
    free(u);
}

/* It takes what memory is left to the last MiB. */
TEST(a_vm_that_just_fits_is_started)
{
    struct unit *u = acting(); /* on n2 is one of 1 GiB */
    struct request request = run_on("n2", 8192 - 1023, 1);
    check_refused(u, &request, "has not that much memory left");
    request = run_on("n2", 8192 - 1024, 2);
    check_accepted(u, &request);
    assert_int_equal(called(u, "new")->node, N2);
    free(u);
}

/* The history says that it was added, and of its start how many VMs were there. */
TEST(an_add_with_a_start_is_told)
{
    struct unit *u = acting();
    struct request request = run_on("n2", 1024, 1);
    check_accepted(u, &request);
    const struct history_entry *added = entry_of(u, &request);
    assert_int_equal(added->kind, HISTORY_VM_ADDED);
    assert_int_equal(added->nodeid, 0);
    assert_string_equal(added->vm, "new");
    assert_string_equal(added->cause, "new: added, by ada");
    const struct history_entry *start =
        &u->core.cluster.history[(added->sequence + 1) % HISTORY_MAX];
    assert_int_equal(start->kind, HISTORY_VM_STARTING);
    assert_int_equal(start->nodeid, 2);
    assert_string_equal(start->cause, "start on n2 (VMs there: 1; asked for by the operator)");
    free(u);
}

/* Without a node it finds its place itself; with one, but not wanted running, it is not started. */
TEST(place_and_want_are_two_things)
{
    struct unit *u = acting();
    struct request anywhere = run_on("", 1024, 1);
    check_accepted(u, &anywhere);
    unit_settle(u, 500);
    assert_int_equal(called(u, "new")->state, VM_STARTING);
    struct request stopped = vm_add("other", 2, 2);
    name_set(stopped.on, NAME_BYTES, "n3");
    check_accepted(u, &stopped);
    unit_settle(u, 500);
    assert_int_equal(called(u, "other")->state, VM_STOPPED);
    assert_int_equal(called(u, "other")->node, NODE_NONE);
    free(u);
}

/* The VM that had the slot before may have been resting after failures; a new one does not. */
TEST(a_new_vm_does_not_rest_for_another)
{
    struct unit *u = acting();
    u->core.local.acting.vm_retry_ms[2] = u->now_ms + 60000;
    u->core.local.acting.vm_asked_ms[2] = u->now_ms;
    struct request request = run_on("", 1024, 1);
    check_accepted(u, &request);
    assert_int_equal(u->core.local.acting.vm_asked_ms[2], 0); /* nor was it asked for before */
    unit_settle(u, 500);
    assert_int_equal(unit_copy_vm(u, 2)->state, VM_STARTING);
    free(u);
}

/* Of a class that is not there: refused with those that are. */
TEST(a_vm_of_an_unknown_class_is_not_added)
{
    struct unit *u = acting();
    struct request request = vm_add("new", 1, 1);
    name_set(request.value, NAME_BYTES, "gold");
    check_refused(u, &request, "there is no class 'gold'; stead class set makes one");
    assert_int_equal(state_find_vm(&u->core.cluster, "new"), VMS_MAX);
    free(u);
}

/* A VM that its host's watchdog is to end is not started where none is counted on; another is. */
TEST(a_vm_of_a_watchdog_class_needs_an_armed_node)
{
    static const uint32_t policies[] = {PROOF_POWER, PROOF_WATCHDOG};
    struct unit *u = unit_new(1);
    for (uint32_t i = 0; i < 2; i++) {
        struct setting_record *class = &u->image.set[GOLD + i];
        *class = (struct setting_record){.set_ms = 1, .value = policies[i], .given = true};
        name_set(class->name, NAME_BYTES, i == 0 ? "gold" : "timed");
    }
    unit_lead(u);
    struct request request = run_on("n3", 1024, 1);
    name_set(request.value, NAME_BYTES, "timed");
    check_refused(u, &request, "that of the node to start it on is not armed; see stead node show");
    request.id.counter = 2;
    name_set(request.value, NAME_BYTES, "gold");
    check_accepted(u, &request);
    assert_int_equal(called(u, "new")->class_slot, GOLD);
    assert_int_equal(called(u, "new")->node, N3);
    free(u);
}

TEST(a_full_cluster_takes_no_vm)
{
    struct unit *u = unit_new(1);
    for (uint32_t slot = 0; slot < VMS_MAX; slot++) {
        struct vm_record *vm = unit_vm(u, slot, VM_STOPPED, NODE_NONE);
        vm->want = WANT_STOPPED;
        memcpy(vm->uuid.bytes, &slot, sizeof(slot));
    }
    unit_lead(u);
    struct request request = vm_add("new", 1, 1);
    check_refused(u, &request, "the cluster is full");
    struct request remove = command(REQUEST_VM_REMOVE, "vm77", 2);
    check_accepted(u, &remove);
    unit_settle(u, 500);
    request.id.counter = 3;
    check_accepted(u, &request);
    assert_string_equal(unit_copy_vm(u, 77)->name, "new");
    free(u);
}

/* ---- wanted otherwise */

/* Whatever was said of it before is forgotten: where it failed or ended, how often, and why it is
 * not where it was wanted. */
TEST(a_new_want_forgets_what_was_before)
{
    struct unit *u = unit_new(1);
    struct vm_record *vm = unit_vm(u, 0, VM_STOPPED, NODE_NONE);
    vm->want = WANT_STOPPED;
    vm->attempts = 4;
    vm->avoid = 6;
    vm->prefer = 4;
    vm->ends = 3;
    name_set(vm->reason, TEXT_BYTES, "it failed");
    unit_lead(u);
    struct request request = command(REQUEST_VM_STOP, "vm0", 1);
    check_accepted(u, &request);
    const struct vm_record *after = unit_copy_vm(u, 0);
    assert_int_equal(after->attempts, 0);
    assert_int_equal(after->avoid, 0);
    assert_int_equal(after->prefer, 0);
    assert_int_equal(after->ends, 0);
    assert_string_equal(after->reason, "");
    const struct history_entry *entry = entry_of(u, &request);
    assert_int_equal(entry->kind, HISTORY_VM_WANT);
    assert_int_equal(entry->nodeid, 0);
    assert_int_equal(entry->number, WANT_STOPPED);
    free(u);
}

/* ... but not what keeps a running guest from its work, of which the reason tells. */
TEST(a_new_want_keeps_what_a_guest_suffers_from)
{
    struct unit *u = unit_new(1);
    struct vm_record *vm = unit_vm(u, 0, VM_RUNNING, N2);
    vm->condition = (struct vm_condition){VM_TROUBLE_PAUSED, 5};
    name_set(vm->reason, TEXT_BYTES, "paused");
    unit_lead(u);
    struct request request = command(REQUEST_VM_START, "vm0", 1);
    check_accepted(u, &request);
    assert_string_equal(unit_copy_vm(u, 0)->reason, "paused");
    free(u);
}

/* A person's word ends the rest after failures. */
TEST(a_vm_that_is_wanted_anew_starts_at_once)
{
    struct unit *u = acting();
    u->core.local.acting.vm_retry_ms[0] = u->now_ms + 60000;
    struct request request = command(REQUEST_VM_START, "vm0", 1);
    check_accepted(u, &request);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    free(u);
}

/* A start of what runs, and is wanted so, says that it was seen to end. */
TEST(a_start_of_what_runs_is_kept_in_mind)
{
    static const struct {
        enum vm_state state;
        enum vm_want before;
        enum request_kind kind;
        bool kept;
    } cases[] = {
        {VM_RUNNING, WANT_RUNNING, REQUEST_VM_START, true},
        {VM_RUNNING, WANT_RUNNING, REQUEST_VM_STOP, false},
        {VM_RUNNING, WANT_STOPPED, REQUEST_VM_START, false},
        {VM_STARTING, WANT_RUNNING, REQUEST_VM_START, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct unit *u = unit_new(1);
        unit_vm(u, 0, cases[i].state, N3)->want = cases[i].before;
        unit_lead(u);
        u->core.local.acting.vm_asked_ms[0] = 7;
        struct request request = command(cases[i].kind, "vm0", 1);
        command_here(u, &request);
        uint64_t asked_ms = u->core.local.acting.vm_asked_ms[0];
        assert_int_equal(asked_ms != 0, cases[i].kept);
        assert_int_not_equal(asked_ms, 7);
        free(u);
    }
}

/* ---- taken away */

/* HA is frozen, so that it is stopped still. */
TEST(what_is_wanted_running_is_not_removed)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE);
    unit_set(u, "ha", HA_FREEZE);
    unit_lead(u);
    struct request request = command(REQUEST_VM_REMOVE, "vm0", 1);
    check_refused(u, &request, "not stopped; stead vm stop it first");
    assert_false(unit_copy_vm(u, 0)->removing);
    free(u);
}

TEST(a_removal_is_told)
{
    struct unit *u = acting();
    struct request request = command(REQUEST_VM_REMOVE, "vm0", 1);
    check_accepted(u, &request);
    const struct history_entry *entry = entry_of(u, &request);
    assert_string_equal(entry->cause, "vm0: to be removed, by ada");
    assert_int_equal(entry->nodeid, 0);
    free(u);
}

/* What does not run there, wanted so and in this very life of the node, is not given back. */
TEST(only_what_runs_on_the_node_is_given_back)
{
    static const struct vm_record cases[] = {
        {.state = VM_STARTING, .want = WANT_RUNNING, .node = N2, .incarnation = {1, 2}},
        {.state = VM_RUNNING, .want = WANT_STOPPED, .node = N2, .incarnation = {1, 2}},
        {.state = VM_RUNNING, .want = WANT_RUNNING, .node = N3, .incarnation = {1, 3}},
        {.state = VM_RUNNING, .want = WANT_RUNNING, .node = N2, .incarnation = {1, 1}},
    };
    struct unit *u = acting();
    struct request request = command(REQUEST_VM_REMOVE, "vm1", 1);
    request.keep_running = true;
    request.nodeid = 2;
    request.incarnation = (struct incarnation){1, 2};
    for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
        struct vm_record *vm = &u->core.cluster.vms[1];
        vm->state = cases[i].state;
        vm->want = cases[i].want;
        vm->node = cases[i].node;
        vm->incarnation = cases[i].incarnation;
        draft_begin(&u->core);
        assert_string_equal(request_vm_remove(&u->core, &request),
                            "it does not run on this node now; see stead vm show");
        assert_int_equal(u->core.local.draft.delta.count, 0);
    }
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vm_is_started_on_a_node_of_one_letter),
        cmocka_unit_test(a_vm_that_just_fits_is_started),
        cmocka_unit_test(an_add_with_a_start_is_told),
        cmocka_unit_test(place_and_want_are_two_things),
        cmocka_unit_test(a_new_vm_does_not_rest_for_another),
        cmocka_unit_test(a_vm_of_an_unknown_class_is_not_added),
        cmocka_unit_test(a_vm_of_a_watchdog_class_needs_an_armed_node),
        cmocka_unit_test(a_full_cluster_takes_no_vm),
        cmocka_unit_test(a_new_want_forgets_what_was_before),
        cmocka_unit_test(a_new_want_keeps_what_a_guest_suffers_from),
        cmocka_unit_test(a_vm_that_is_wanted_anew_starts_at_once),
        cmocka_unit_test(a_start_of_what_runs_is_kept_in_mind),
        cmocka_unit_test(what_is_wanted_running_is_not_removed),
        cmocka_unit_test(a_removal_is_told),
        cmocka_unit_test(only_what_runs_on_the_node_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
