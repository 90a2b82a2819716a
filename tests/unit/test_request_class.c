/* Commands about classes, as they are decided: what is drafted, or why nothing is. We are n1 and
 * act; VM 0 is stopped, VM 1 runs on n2, both of no class. */
#include "agent/request_validate.h"
#include "tests/unit/unit_request.h"

#define N2 1 /* slot */
#define GOLD SETTINGS_MAX
#define TIMED (SETTINGS_MAX + 1)

static void class_is(struct unit *u, uint32_t slot, const char *name, uint32_t policy)
{
    struct setting_record *class = &u->core.cluster.set[slot];
    *class = (struct setting_record){.set_ms = 1, .value = policy, .given = true};
    name_set(class->name, NAME_BYTES, name);
}

/* The cluster's own policy, as it is in force. */
static void cluster_is(struct unit *u, uint32_t policy)
{
    struct setting_record *record = &u->core.cluster.set[settings_find("proof")->slot];
    *record = (struct setting_record){.set_ms = 1, .value = policy, .given = true};
    u->core.cluster.settings.proof = policy;
}

static struct unit *with_classes(void)
{
    struct unit *u = acting();
    class_is(u, GOLD, "gold", PROOF_POWER);
    class_is(u, TIMED, "timed", PROOF_WATCHDOG);
    return u;
}

static struct request about(enum request_kind kind, const char *name, const char *value)
{
    struct request request = command(kind, name, 1);
    name_set(request.value, NAME_BYTES, value);
    return request;
}

static const char *set(struct unit *u, const char *name, const char *policy)
{
    struct request request = about(REQUEST_CLASS_SET, name, policy);
    return decided(u, &request, request_class_set);
}

static const char *removed(struct unit *u, const char *name)
{
    struct request request = about(REQUEST_CLASS_REMOVE, name, "");
    return decided(u, &request, request_class_remove);
}

static const char *classed(struct unit *u, const char *vm, const char *class)
{
    struct request request = about(REQUEST_VM_CLASS, vm, class);
    return decided(u, &request, request_vm_class);
}

static const char *cluster_set(struct unit *u, const char *policy)
{
    struct request request = about(REQUEST_CONFIG_SET, "proof", policy);
    return decided(u, &request, request_config_set);
}

static struct vm_record *vm_of(struct unit *u, uint32_t slot)
{
    return &u->core.cluster.vms[slot];
}

/* n2's watchdog is counted on, in its present life. */
static void arm_n2(struct unit *u, uint32_t fires_ms)
{
    struct node_record *node = &u->core.cluster.nodes[N2];
    node->watchdog = true;
    node->watchdog_fires_ms = fires_ms;
}

/* ---- of older agents nothing about classes is asked */

/* Whatever is about a class waits until all know them; before a copy is read nobody can tell. */
TEST(what_is_about_classes_is_not_for_older_agents)
{
    static const struct {
        enum request_kind kind;
        const char *value;
        bool about;
    } cases[] = {
        {REQUEST_CLASS_SET, "power", true}, {REQUEST_CLASS_REMOVE, "", true},
        {REQUEST_VM_CLASS, "gold", true},   {REQUEST_VM_ADD, "g", true},
        {REQUEST_VM_ADD, "", false},        {REQUEST_VM_START, "gold", false},
    };
    struct unit *u = acting();
    struct header *header = &u->core.cluster.header;
    for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
        struct request request = about(cases[i].kind, "gold", cases[i].value);
        header->feature_level = LEVEL_CLASSES - 1;
        assert_int_equal(request_class_early(&u->core, &request) != NULL, cases[i].about);
        header->feature_level = LEVEL_CLASSES;
        assert_null(request_class_early(&u->core, &request));
    }
    struct request request = about(REQUEST_CLASS_SET, "gold", "power");
    *header = (struct header){0};
    assert_null(request_class_early(&u->core, &request));
    free(u);
}

/* ---- made and changed */

/* A new class takes the first free slot; one that is there is changed in its place. The history
 * tells from what to what. */
TEST(a_class_is_made_and_changed)
{
    struct unit *u = acting();
    class_is(u, GOLD, "gold", PROOF_POWER);
    assert_null(set(u, "b", "power,operator"));
    const struct record *record = drafted_record(u);
    assert_int_equal(record->kind, RECORD_SETTING);
    assert_int_equal(record->slot, GOLD + 1);
    assert_string_equal(record->setting.name, "b");
    assert_string_equal(record->setting.by, "ada");
    assert_int_equal(record->setting.value, PROOF_POWER | PROOF_OPERATOR);
    assert_int_equal(record->setting.set_ms, u->core.local.wall_ms);
    assert_true(record->setting.given);
    assert_string_equal(drafted_entry(u)->cause, "b: class, proof power,operator, by ada");
    assert_int_equal(drafted_entry(u)->kind, HISTORY_SETTING);
    assert_int_equal(drafted_entry(u)->nodeid, 0);
    assert_int_equal(drafted_entry(u)->number, PROOF_POWER | PROOF_OPERATOR);
    assert_null(set(u, "gold", "storage"));
    assert_int_equal(drafted_record(u)->slot, GOLD);
    assert_string_equal(drafted_entry(u)->cause, "gold: class, proof power -> storage, by ada");
    u->core.local.wall_ms = 0; /* a host without a clock: it is set nevertheless */
    assert_null(set(u, "gold", "storage"));
    assert_int_equal(drafted_record(u)->setting.set_ms, 1);
    free(u);
}

TEST(a_class_without_a_name_or_a_policy_is_refused)
{
    struct unit *u = acting();
    check_why(set(u, "", "power"), "a class needs a name, and 'none' says that a VM has no class");
    check_why(set(u, "none", "power"),
              "a class needs a name, and 'none' says that a VM has no class");
    assert_non_null(strstr(set(u, "gold", "powder"), "not 'powder'"));
    u->core.cluster.header.feature_level = LEVEL_CLASSES - 1;
    assert_non_null(strstr(set(u, "gold", "power"), "upgrade them first"));
    free(u);
}

TEST(there_are_sixteen_classes)
{
    struct unit *u = acting();
    for (uint32_t i = 0; i < CLASSES_MAX; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof(name), "c%u", i);
        class_is(u, SETTINGS_MAX + i, name, PROOF_POWER);
    }
    check_why(set(u, "more", "power"), "there are 16 classes already; stead class remove one");
    assert_null(set(u, "c15", "storage")); /* it is there */
    memset(&u->core.cluster.set[SETTINGS_MAX + 7], 0, sizeof(u->core.cluster.set[0]));
    assert_null(set(u, "more", "power"));
    assert_int_equal(drafted_record(u)->slot, SETTINGS_MAX + 7);
    free(u);
}

/* `watchdog` comes to a class, and goes from it, only while its VMs are stopped; the first are
 * named. What else its policy asks for may change at any time, and what runs of another class, or
 * of none, is not concerned. */
TEST(watchdog_comes_and_goes_only_for_stopped_vms)
{
    static const char words[] =
        "watchdog comes or goes only for VMs that are stopped: stead vm stop ";
    struct unit *u = with_classes();
    struct text why = {0};
    vm_of(u, 0)->class_slot = GOLD; /* stopped */
    assert_null(set(u, "gold", "watchdog"));
    assert_null(set(u, "fresh", "watchdog")); /* vm1 runs, of no class */
    vm_of(u, 1)->class_slot = TIMED;
    assert_null(set(u, "gold", "watchdog"));
    assert_null(set(u, "timed", "watchdog,power"));
    text_add(text_add(&why, words), "vm1");
    check_why(set(u, "timed", "power"), why.bytes);
    for (uint32_t slot = 2; slot < 6; slot++) {
        struct vm_record *vm = vm_of(u, slot);
        *vm = *vm_of(u, 1);
        vm->class_slot = GOLD;
        snprintf(vm->name, sizeof(vm->name), "vm%u", slot);
        why = (struct text){0};
        text_add(text_add(&why, words), slot == 2   ? "vm2"
                                        : slot == 3 ? "vm2, vm3"
                                                    : "vm2, vm3, vm4");
        text_add(&why, slot == 5 ? " and 1 more" : "");
        check_why(set(u, "gold", "power,watchdog"), why.bytes);
    }
    free(u);
}

/* A class that accepts watchdog counts on those that are armed: as long as one fires later than
 * watchdog_ms says, it is refused. */
TEST(a_class_goes_with_the_watchdogs_there_are)
{
    struct unit *u = acting();
    vm_of(u, 1)->state = VM_STOPPED;
    arm_n2(u, u->core.cluster.settings.watchdog_ms - 1);
    assert_non_null(strstr(set(u, "timed", "watchdog"), "the watchdog of n2 is said to fire"));
    assert_null(set(u, "gold", "power"));
    arm_n2(u, u->core.cluster.settings.watchdog_ms);
    assert_null(set(u, "timed", "watchdog"));
    free(u);
}

/* ---- the cluster's own policy */

/* Beside a class that accepts watchdog, the cluster's own is as one for the VMs of none. */
TEST(beside_a_watchdog_class_the_clusters_own_is_as_one)
{
    struct unit *u = with_classes();
    check_why(cluster_set(u, "watchdog"),
              "watchdog comes or goes only for VMs that are stopped: stead vm stop vm1");
    assert_null(cluster_set(u, "power"));
    cluster_is(u, PROOF_WATCHDOG);
    check_why(cluster_set(u, "power"),
              "watchdog comes or goes only for VMs that are stopped: stead vm stop vm1");
    vm_of(u, 1)->class_slot = GOLD;
    assert_null(cluster_set(u, "power"));
    free(u);
}

/* Where none does: it may come, but not while a guest of no class is on a host whose watchdog is
 * counted on by what that host read before. */
TEST(watchdog_comes_to_all_once_no_guest_is_counted_on_by_the_old)
{
    static const char words[] =
        "the watchdog of n2 is counted on by what it read before, and vm1 is on it: again once it "
        "is not, or stead node show says it is off";
    struct unit *u = acting();
    struct vm_record *vm = vm_of(u, 1);
    class_is(u, GOLD, "gold", PROOF_POWER);
    assert_null(cluster_set(u, "watchdog"));
    arm_n2(u, u->core.cluster.settings.watchdog_ms);
    check_why(cluster_set(u, "watchdog"), words);
    struct settings next = u->core.cluster.settings;
    struct text why = {.length = 6, .bytes = "before"};
    next.proof = PROOF_WATCHDOG;
    check_why(request_class_proof(&u->core, &next, &why), words);
    assert_null(cluster_set(u, "power"));
    vm->class_slot = GOLD; /* it goes by its own */
    assert_null(cluster_set(u, "watchdog"));
    vm->class_slot = 0;
    vm->incarnation.number++; /* another life of n2 holds it */
    assert_null(cluster_set(u, "watchdog"));
    vm->incarnation.number--;
    vm->state = VM_STOPPED; /* it is nowhere */
    assert_null(cluster_set(u, "watchdog"));
    vm->state = VM_FREE;
    assert_null(cluster_set(u, "watchdog"));
    vm->state = VM_RECOVERING;
    vm->node = NODE_NONE; /* nobody holds it any more */
    assert_null(cluster_set(u, "watchdog"));
    cluster_is(u, PROOF_WATCHDOG); /* to go, it need not wait */
    vm->node = N2;
    assert_null(cluster_set(u, "power"));
    free(u);
}

/* ---- found and taken away */

/* By its name, be it of one letter; else what there is, or how to make one. */
TEST(a_class_that_is_not_there_is_refused_with_those_that_are)
{
    struct unit *u = acting();
    check_why(classed(u, "vm0", "g"), "there is no class 'g'; stead class set makes one");
    class_is(u, GOLD, "gold", PROOF_POWER);
    class_is(u, GOLD + 3, "s", PROOF_POWER);
    check_why(classed(u, "vm0", "g"), "there is no class 'g': there are gold, s");
    check_why(removed(u, "g"), "there is no class 'g': there are gold, s");
    assert_null(classed(u, "vm0", "s"));
    assert_int_equal(drafted_record(u)->vm.class_slot, GOLD + 3);
    free(u);
}

/* Not while a VM is of it, stopped or not. */
TEST(a_class_with_vms_is_not_taken_away)
{
    struct unit *u = with_classes();
    vm_of(u, 0)->class_slot = GOLD;
    check_why(removed(u, "gold"), "VMs are of it: stead vm class them otherwise first: vm0");
    assert_non_null(strstr(removed(u, ""), "a class needs a name"));
    assert_null(removed(u, "timed"));
    assert_true(drafted_record(u)->removed);
    assert_int_equal(drafted_record(u)->slot, TIMED);
    assert_string_equal(drafted_entry(u)->cause, "timed: class removed, by ada");
    assert_int_equal(drafted_entry(u)->nodeid, 0);
    free(u);
}

/* ---- a VM's */

/* No VM of that name, or one that is about to go. */
TEST(a_vm_that_is_not_there_is_of_no_class)
{
    struct unit *u = with_classes();
    check_why(classed(u, "nobody", "gold"), "no such VM; see stead vm list");
    vm_of(u, 0)->removing = true;
    check_why(classed(u, "vm0", "gold"), "no such VM; see stead vm list");
    u->core.cluster.header.feature_level = LEVEL_CLASSES - 1;
    assert_non_null(strstr(classed(u, "nobody", "gold"), "upgrade them first"));
    free(u);
}

/* A running VM changes its class where neither or both accept watchdog, by the cluster's own policy
 * where it is of none; a stopped one always. */
TEST(a_running_vm_keeps_or_leaves_watchdog_out)
{
    static const char words[] =
        "one of the two accepts watchdog: stead vm stop vm1 first, it changes only while it is "
        "stopped";
    struct unit *u = with_classes();
    assert_null(classed(u, "vm1", "gold"));
    assert_int_equal(drafted_record(u)->vm.class_slot, GOLD);
    assert_string_equal(drafted_entry(u)->cause, "vm1: is of class gold, by ada");
    assert_int_equal(drafted_entry(u)->nodeid, 0);
    check_why(classed(u, "vm1", "timed"), words);
    assert_null(classed(u, "vm0", "timed"));
    cluster_is(u, PROOF_WATCHDOG);
    assert_null(classed(u, "vm1", "timed"));
    check_why(classed(u, "vm1", "gold"), words);
    vm_of(u, 1)->class_slot = GOLD;
    check_why(classed(u, "vm1", ""), words);
    cluster_is(u, PROOF_STORAGE);
    assert_null(classed(u, "vm1", ""));
    assert_int_equal(drafted_record(u)->vm.class_slot, 0);
    assert_string_equal(drafted_entry(u)->cause,
                        "vm1: is of no class: the cluster's proof, by ada");
    free(u);
}

/* One that waits for a proof may now wait for another: what it waited for is forgotten. */
TEST(what_a_vm_waits_for_is_told_anew)
{
    struct unit *u = with_classes();
    struct vm_record *vm = vm_of(u, 1);
    name_set(vm->reason, TEXT_BYTES, "paused");
    assert_null(classed(u, "vm1", "gold"));
    assert_string_equal(drafted_record(u)->vm.reason, "paused");
    vm->state = VM_RECOVERING;
    assert_null(classed(u, "vm1", "gold"));
    assert_string_equal(drafted_record(u)->vm.reason, "");
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_about_classes_is_not_for_older_agents),
        cmocka_unit_test(a_class_is_made_and_changed),
        cmocka_unit_test(a_class_without_a_name_or_a_policy_is_refused),
        cmocka_unit_test(there_are_sixteen_classes),
        cmocka_unit_test(watchdog_comes_and_goes_only_for_stopped_vms),
        cmocka_unit_test(a_class_goes_with_the_watchdogs_there_are),
        cmocka_unit_test(beside_a_watchdog_class_the_clusters_own_is_as_one),
        cmocka_unit_test(watchdog_comes_to_all_once_no_guest_is_counted_on_by_the_old),
        cmocka_unit_test(a_class_that_is_not_there_is_refused_with_those_that_are),
        cmocka_unit_test(a_class_with_vms_is_not_taken_away),
        cmocka_unit_test(a_vm_that_is_not_there_is_of_no_class),
        cmocka_unit_test(a_running_vm_keeps_or_leaves_watchdog_out),
        cmocka_unit_test(what_a_vm_waits_for_is_told_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
