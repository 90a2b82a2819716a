/* Choosing a place: hard rules first, then the fewest VMs, then the lowest slot. */
#include "agent/draft.h"
#include "agent/place.h"
#include "tests/unit/unit_core.h"

static struct loads three_nodes(void)
{
    struct loads loads = {.able = 7};
    for (unsigned i = 0; i < 3; i++) {
        loads.memory_mib[i] = 4096;
    }
    return loads;
}

/* The node with the fewest VMs is chosen. */
TEST(fewest_vms)
{
    struct loads loads = three_nodes();
    place_add(&loads, 0, 100);
    place_add(&loads, 0, 100);
    place_add(&loads, 1, 3000);
    assert_int_equal(place_choose(&loads, 100, PROOF_STORAGE, 0, 0), 2);
    place_add(&loads, 2, 100);
    place_add(&loads, 2, 100);
    assert_int_equal(place_choose(&loads, 100, PROOF_STORAGE, 0, 0), 1);
}

/* What is kept for a more urgent VM is not given to a lesser one; and only it is named as the
 * reason where it is one. */
TEST(kept_memory_is_not_given_away)
{
    struct loads loads = three_nodes();
    loads.able = 3;
    place_keep(&loads, 4000, PROOF_STORAGE, 0);
    assert_int_equal(loads.kept_mib[0], 4000);
    assert_int_equal(place_choose(&loads, 4000, PROOF_STORAGE, 0, 0), 1);
    place_add(&loads, 1, 4000);
    assert_int_equal(place_choose(&loads, 4000, PROOF_STORAGE, 0, 0), NODE_NONE);
    assert_true(place_is_kept_out(&loads, 4000, PROOF_STORAGE));
    assert_false(place_is_kept_out(&loads, 5000, PROOF_STORAGE)); /* it would fit nowhere anyway */
    place_keep(&loads, 4000, PROOF_STORAGE, 0); /* for one that fits nowhere nothing is kept */
    assert_int_equal(loads.kept_mib[0] + loads.kept_mib[1] + loads.kept_mib[2], 4000);
}

/* It is kept where it would be placed, to the last MiB; where nothing is kept nobody is kept out.
 */
TEST(the_last_mib_may_be_the_kept_one)
{
    struct loads loads = three_nodes();
    assert_false(place_is_kept_out(&loads, 100, PROOF_STORAGE));
    loads.able = 3;
    place_add(&loads, 0, 4096);
    place_add(&loads, 1, 4095);
    place_keep(&loads, 1, PROOF_STORAGE, 0);
    assert_int_equal(loads.kept_mib[1], 1);
    assert_true(place_is_kept_out(&loads, 1, PROOF_STORAGE));
    assert_false(place_is_kept_out(&loads, 2, PROOF_STORAGE));
    loads = three_nodes();
    place_add(&loads, 0, 100);
    place_keep(&loads, 1, PROOF_STORAGE, 0);
    assert_int_equal(loads.kept_mib[1], 1);
}

/* Of equals the lowest slot, always the same. */
TEST(ties_go_to_the_lowest_slot)
{
    struct loads loads = three_nodes();
    assert_int_equal(place_choose(&loads, 100, PROOF_STORAGE, 0, 0), 0);
    place_add(&loads, 0, 100);
    assert_int_equal(place_choose(&loads, 100, PROOF_STORAGE, 0, 0), 1);
}

/* Memory is a hard rule: a node is never overfilled, though it has the fewest VMs. */
TEST(memory_is_hard)
{
    struct loads loads = three_nodes();
    place_add(&loads, 0, 4000);
    place_add(&loads, 1, 10);
    place_add(&loads, 1, 10);
    place_add(&loads, 2, 10);
    place_add(&loads, 2, 10);
    place_add(&loads, 2, 10);
    assert_int_equal(place_choose(&loads, 97, PROOF_STORAGE, 0, 0), 1);
    assert_int_equal(place_choose(&loads, 96, PROOF_STORAGE, 0, 0), 0);
    assert_int_equal(place_choose(&loads, 4077, PROOF_STORAGE, 0, 0), NODE_NONE);
}

/* A restless node is taken only where no steady one has the room. */
TEST(restless_nodes_come_last)
{
    struct loads loads = three_nodes();
    loads.restless = 1;
    place_add(&loads, 1, 100);
    place_add(&loads, 2, 100);
    assert_int_equal(place_choose(&loads, 100, PROOF_STORAGE, 0, 0), 1);
    assert_int_equal(place_choose(&loads, 4000, PROOF_STORAGE, 0, 0), 0);
}

/* A node whose libvirt does not answer is no place. */
TEST(a_node_without_libvirt_is_no_place)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE);
    u->image.nodes[0].memory_mib = 512;
    u->facts.memory_mib = 512;
    u->peers[2].libvirt = false;
    unit_lead(u);
    unit_commit(u);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    assert_int_equal(unit_copy_vm(u, 0)->node, 2);
    free(u);
}

/* Memory sums do not run over. */
TEST(memory_does_not_overflow)
{
    struct loads loads = three_nodes();
    place_add(&loads, 0, UINT32_MAX);
    place_add(&loads, 0, UINT32_MAX);
    loads.able = 1;
    assert_int_equal(place_choose(&loads, 100, PROOF_STORAGE, 0, 0), NODE_NONE);
    assert_int_equal(place_choose(&loads, UINT32_MAX, PROOF_STORAGE, 0, 0), NODE_NONE);
}

/* Only able nodes are chosen. */
TEST(only_able_nodes)
{
    struct loads loads = three_nodes();
    loads.able = 4;
    assert_int_equal(place_choose(&loads, 100, PROOF_STORAGE, 0, 0), 2);
    loads.able = 0;
    assert_int_equal(place_choose(&loads, 100, PROOF_STORAGE, 0, 0), NODE_NONE);
}

/* A node to be avoided is taken only when no other is left. */
TEST(avoided_only_as_the_last)
{
    struct loads loads = three_nodes();
    place_add(&loads, 1, 100);
    place_add(&loads, 2, 100);
    assert_int_equal(place_choose(&loads, 100, PROOF_STORAGE, 0, 1), 1);
    loads.able = 1;
    assert_int_equal(place_choose(&loads, 100, PROOF_STORAGE, 0, 1), 0);
}

/* Nothing is started where it could not be proven dead afterwards: n2 has a watchdog, n3 a BMC. */
TEST(only_who_could_be_proven_dead)
{
    static const struct {
        uint32_t policy;
        uint64_t lawful;
    } cases[] = {
        {PROOF_STORAGE, 7},
        {PROOF_POWER, 7}, /* as it was before there were watchdogs */
        {PROOF_STORAGE | PROOF_WATCHDOG, 7},
        {PROOF_WATCHDOG, 2},
        {PROOF_POWER | PROOF_WATCHDOG, 6},
    };
    struct loads loads = three_nodes();
    loads.armed = 2;
    loads.powered = 4;
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(place_lawful(&loads, cases[i].policy), cases[i].lawful);
    }
    assert_int_equal(place_choose(&loads, 100, PROOF_WATCHDOG, 0, 2), 1);
    assert_int_equal(place_choose(&loads, 5000, PROOF_WATCHDOG, 0, 0), NODE_NONE);
    place_keep(&loads, 4000, PROOF_WATCHDOG, 0);
    assert_true(place_is_kept_out(&loads, 4000, PROOF_WATCHDOG));
    assert_int_equal(place_choose(&loads, 4000, PROOF_WATCHDOG, 0, 0), NODE_NONE);
    assert_int_equal(place_choose(&loads, 4000, PROOF_POWER | PROOF_WATCHDOG, 0, 0), 2);
}

static uint64_t able_of(struct unit *u)
{
    struct loads loads;
    unit_pass(u, 400);
    draft_begin(&u->core);
    place_loads(&u->core, &loads);
    u->core.local.draft.open = false;
    return loads.able;
}

/* Able is: admitted, a member, in the ring, speaking, able by its word, in its present life, by its
 * recorded handle. */
TEST(who_is_able)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    assert_int_equal(able_of(u), 7);
    u->peers[3].able = false;
    assert_int_equal(able_of(u), 3);
    u->peers[3].able = true;
    u->peers[3].incarnation.number++;
    assert_int_equal(able_of(u), 3);
    u->peers[3].incarnation.number--;
    u->peers[3].client = unit_client(3, 9);
    assert_int_equal(able_of(u), 3);
    u->peers[3].client = unit_client(3, 300);
    assert_int_equal(able_of(u), 7);
    u->silent[3] = true;
    unit_pass(u, 2000);
    assert_int_equal(able_of(u), 3);
    free(u);
}

/* What proves a node dead is counted as its record has it, each node by itself; and before all
 * members told of watchdogs everybody counts as having one. */
TEST(what_could_prove_whom_dead)
{
    for (uint32_t level = LEVEL_WATCHDOG - 1; level <= LEVEL_WATCHDOG; level++) {
        struct unit *u = unit_new(2);
        struct loads loads;
        u->image.header.feature_level = level;
        u->image.nodes[1].watchdog = true;
        name_set(u->image.nodes[2].bmc.address, ADDRESS_BYTES, "10.0.1.3");
        u->image.nodes[2].bmc.verified = true;
        u->peers[3].restarts = 2;
        unit_start(u);
        unit_pass(u, 400);
        memset(&loads, 0xff, sizeof(loads));
        draft_begin(&u->core);
        place_loads(&u->core, &loads);
        assert_int_equal(loads.able, 7);
        assert_int_equal(loads.armed, level < LEVEL_WATCHDOG ? 7 : 2);
        assert_int_equal(loads.powered, 4);
        assert_int_equal(loads.restless, 4);
        assert_int_equal(loads.vm_count[0] + loads.used_mib[0] + loads.kept_mib[0], 0);
        free(u);
    }
}

/* A node off the members, or not admitted, takes no VM. */
TEST(members_only)
{
    struct unit *u = unit_new(2);
    u->image.header.members = 3;
    unit_start(u);
    assert_int_equal(able_of(u), 3);
    free(u);
    u = unit_new(2);
    unit_start(u);
    (void)unit_foreign(u);
    unit_foreign_node(u, 2)->state = NODE_FENCED;
    unit_foreign_send(u);
    assert_int_equal(able_of(u), 3);
    free(u);
}

/* A VM weighs where it starts, runs and stops; not where it is stopped or its holder is gone. */
TEST(what_weighs)
{
    struct unit *u = unit_new(2);
    struct loads loads;
    unit_vm(u, 0, VM_STARTING, 0);
    unit_vm(u, 1, VM_RUNNING, 0);
    unit_vm(u, 2, VM_STOPPING, 0);
    unit_vm(u, 3, VM_RECOVERING, 0);
    unit_vm(u, 4, VM_STOPPED, NODE_NONE);
    unit_vm(u, 5, VM_RECOVERING, 0);
    unit_start(u);
    draft_begin(&u->core);
    place_loads(&u->core, &loads);
    assert_int_equal(loads.vm_count[0], 3);
    assert_int_equal(loads.used_mib[0], 3 * 1024);
    assert_int_equal(loads.memory_mib[0], 8192);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fewest_vms),
        cmocka_unit_test(kept_memory_is_not_given_away),
        cmocka_unit_test(the_last_mib_may_be_the_kept_one),
        cmocka_unit_test(ties_go_to_the_lowest_slot),
        cmocka_unit_test(memory_is_hard),
        cmocka_unit_test(restless_nodes_come_last),
        cmocka_unit_test(a_node_without_libvirt_is_no_place),
        cmocka_unit_test(memory_does_not_overflow),
        cmocka_unit_test(only_able_nodes),
        cmocka_unit_test(avoided_only_as_the_last),
        cmocka_unit_test(only_who_could_be_proven_dead),
        cmocka_unit_test(who_is_able),
        cmocka_unit_test(what_could_prove_whom_dead),
        cmocka_unit_test(members_only),
        cmocka_unit_test(what_weighs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
