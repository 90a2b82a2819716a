/* Classes of VMs: whose policy it is, and which proof of which life releases whom. */
#include "agent/classes.h"
#include "agent/life.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */
#define GOLD SETTINGS_MAX
#define TIMED (SETTINGS_MAX + 1)

static void class_is(struct cluster *cluster, uint32_t slot, const char *name, uint32_t policy)
{
    struct setting_record *class = &cluster->set[slot];
    *class = (struct setting_record){.set_ms = 1, .value = policy, .given = true};
    name_set(class->name, NAME_BYTES, name);
}

/* We act; VMs 0 (no class), 1 (gold) and 2 (timed) run on n3. */
static struct unit *three_policies(void)
{
    struct unit *u = unit_new(1);
    class_is(&u->image, GOLD, "gold", PROOF_POWER);
    class_is(&u->image, TIMED, "timed", PROOF_WATCHDOG);
    for (uint32_t slot = 0; slot < 3; slot++) {
        unit_vm(u, slot, VM_RUNNING, N3)->class_slot = slot == 0 ? 0 : GOLD + slot - 1;
    }
    unit_lead(u);
    return u;
}

TEST(a_vm_goes_by_its_class_or_by_the_cluster)
{
    struct unit *u = three_policies();
    struct cluster *copy = &u->core.cluster;
    assert_int_equal(classes_policy(copy, &copy->vms[0]), PROOF_STORAGE);
    assert_int_equal(classes_policy(copy, &copy->vms[1]), PROOF_POWER);
    assert_int_equal(classes_policy(copy, &copy->vms[2]), PROOF_WATCHDOG);
    assert_string_equal(classes_name(copy, &copy->vms[0]), "");
    assert_string_equal(classes_name(copy, &copy->vms[2]), "timed");
    assert_int_equal(classes_find(&u->core, "timed"), TIMED);
    assert_int_equal(classes_find(&u->core, "gol"), 0);
    free(u);
}

/* A newer release's words, and a class that is not there, suffice for nothing. */
TEST(what_is_not_known_releases_nobody)
{
    struct unit *u = three_policies();
    struct cluster *copy = &u->core.cluster;
    copy->set[GOLD].value = 64;
    memset(&copy->set[TIMED], 0, sizeof(copy->set[TIMED]));
    assert_int_equal(classes_waiting(&u->core, N3, PROOF_STORAGE | PROOF_POWER | PROOF_WATCHDOG),
                     2);
    assert_int_equal(classes_waiting(&u->core, N3, PROOF_STORAGE | PROOF_OPERATOR), 0);
    free(u);
}

TEST(who_waits_for_what)
{
    static const struct {
        uint32_t proofs;
        uint32_t waiting;
    } cases[] = {
        {0, 3},
        {PROOF_POWER, 3}, /* no proof without the barrier */
        {PROOF_STORAGE, 2},
        {PROOF_STORAGE | PROOF_POWER, 1},
        {PROOF_STORAGE | PROOF_WATCHDOG, 1},
        {PROOF_STORAGE | PROOF_POWER | PROOF_WATCHDOG, 0},
        {PROOF_STORAGE | PROOF_REBORN, 0},
        {PROOF_STORAGE | PROOF_CLEAN, 0},
        {PROOF_STORAGE | PROOF_OPERATOR, 0},
    };
    struct unit *u = three_policies();
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(classes_waiting(&u->core, N3, cases[i].proofs), cases[i].waiting);
    }
    u->core.cluster.vms[1].state = VM_STOPPED;   /* it is nowhere */
    u->core.cluster.vms[2].incarnation.number++; /* another life holds it */
    assert_int_equal(classes_waiting(&u->core, N3, 0), 1);
    free(u);
}

/* A life is proven over by its own proofs, or by what had to be proven before there was another. */
TEST(each_vm_by_its_own_policy_and_that_very_life)
{
    struct unit *u = three_policies();
    struct cluster *copy = &u->core.cluster;
    struct node_record *node = &copy->nodes[N3];
    const struct incarnation life = copy->vms[1].incarnation;
    node->proofs = PROOF_STORAGE | PROOF_POWER;
    node->state = NODE_LOST; /* nobody is released before the commit that says fenced */
    assert_false(classes_proven(&u->core, &copy->vms[0], N3, life));
    node->state = NODE_FENCED;
    assert_true(classes_proven(&u->core, &copy->vms[1], N3, life));
    assert_false(classes_proven(&u->core, &copy->vms[2], N3, life));
    node->proofs = PROOF_STORAGE;
    assert_true(classes_proven(&u->core, &copy->vms[0], N3, life));
    assert_false(classes_proven(&u->core, &copy->vms[1], N3, life));
    node->incarnation.number++;
    assert_true(classes_proven(&u->core, &copy->vms[1], N3, life));
    free(u);
}

/* What must be dead when time proves: guests of such a policy, and those that no record names. */
TEST(time_ends_only_whose_policy_goes_by_it)
{
    struct unit *u = three_policies();
    struct cluster *copy = &u->core.cluster;
    assert_true(classes_rest_on_time(copy, PROOF_STORAGE));
    assert_false(classes_mortal(copy, 0));
    assert_false(classes_mortal(copy, 1));
    assert_true(classes_mortal(copy, 2));
    assert_true(classes_mortal(copy, VMS_MAX));
    copy->set[TIMED].value = PROOF_POWER;
    assert_false(classes_rest_on_time(copy, PROOF_STORAGE));
    assert_false(classes_mortal(copy, VMS_MAX));
    free(u);
}

/* Our host is cut off: it is vouched for while nobody lives here that the watchdog must have ended.
 */
static bool vouched_beside(uint32_t class, uint32_t cluster_policy)
{
    struct unit *u = unit_new(2);
    unit_set(u, "proof", cluster_policy);
    class_is(&u->image, GOLD, "gold", PROOF_POWER);
    class_is(&u->image, TIMED, "timed", PROOF_WATCHDOG);
    unit_vm(u, 0, VM_RUNNING, 1)->class_slot = class;
    unit_start(u);
    (void)unit_take(u, ACTION_KEEPER_ARM);
    struct event armed = unit_event(EVENT_KEEPER, 0);
    armed.keeper.armed = true;
    armed.keeper.timeout_ms = u->core.cluster.settings.watchdog_ms;
    unit_step(u, &armed);
    unit_domain(u, 0, DOMAIN_RUNNING, END_UNKNOWN);
    u->silent[1] = u->silent[2] = u->silent[3] = true;
    unit_pass(u, u->core.cluster.settings.fresh_ms + 100);
    unit_forget(u);
    unit_pass(u, 2000);
    struct action action;
    bool vouched = unit_find(u, ACTION_VOUCH, &action);
    free(u);
    return vouched;
}

TEST(a_guest_of_another_policy_does_not_keep_the_vouching_back)
{
    assert_true(vouched_beside(GOLD, PROOF_STORAGE));
    assert_true(vouched_beside(GOLD, PROOF_WATCHDOG));
    assert_true(vouched_beside(0, PROOF_STORAGE));
    assert_false(vouched_beside(TIMED, PROOF_STORAGE));
    assert_false(vouched_beside(0, PROOF_WATCHDOG));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vm_goes_by_its_class_or_by_the_cluster),
        cmocka_unit_test(what_is_not_known_releases_nobody),
        cmocka_unit_test(who_waits_for_what),
        cmocka_unit_test(each_vm_by_its_own_policy_and_that_very_life),
        cmocka_unit_test(time_ends_only_whose_policy_goes_by_it),
        cmocka_unit_test(a_guest_of_another_policy_does_not_keep_the_vouching_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
