/* The acting node's work on nodes: losing, fencing, taking back, admitting. We are n1 and act. */
#include "agent/nodes.h"
#include "fencing/proof.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

static struct unit *acting(bool vm_on_n3)
{
    struct unit *u = unit_new(1);
    if (vm_on_n3) {
        unit_vm(u, 0, VM_RUNNING, N3);
    }
    unit_lead(u);
    return u;
}

/* n3 has a BMC that was seen to be its own. */
static struct unit *acting_with_bmc(void)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    struct bmc_address bmc = {.address = "10.1.0.3", .cipher_suite = 17, .verified = true};
    u->image.nodes[N3].bmc = bmc;
    u->peers[3].bmc = bmc;
    unit_lead(u);
    return u;
}

/* n3 leaves the ring and the term that names it lost is committed. */
static void lose(struct unit *u)
{
    unit_leave(u, 3);
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
}

/* Its barrier stands. */
static void bar(struct unit *u)
{
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
}

static void fenced(struct unit *u)
{
    lose(u);
    bar(u);
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
}

/* n3 is in the ring again, after a boot, with empty hands and a handle of its own. */
static void reboot(struct unit *u)
{
    const uint32_t all[] = {1, 2, 3};
    u->peers[3].boot = unit_uuid(0x66);
    u->peers[3].incarnation = (struct incarnation){0};
    u->peers[3].agent_start = 2003;
    u->peers[3].able = false;
    u->peers[3].empty = true;
    u->peers[3].client = unit_client(3, 301);
    unit_ring(u, true, 3, all);
}

/* Absent is not lost: a node without VMs is not fenced for leaving the ring. */
TEST(an_absent_node_without_vms_is_not_lost)
{
    struct unit *u = acting(false);
    unit_leave(u, 3);
    unit_settle(u, 2000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    unit_none(u, ACTION_BLOCK_ADD);
    unit_none(u, ACTION_POWER);
    free(u);
}

/* A node that left with VMs on it is named lost by a new term, and no member of it. */
TEST(an_absent_node_with_vms_is_lost)
{
    struct unit *u = acting(true);
    uint64_t term = u->core.cluster.header.term;
    lose(u);
    assert_int_equal(u->core.cluster.header.term, term + 1);
    assert_int_equal(u->core.cluster.header.members & 4, 0);
    assert_int_equal(unit_copy_node(u, 3)->fence_term, term + 1);
    free(u);
}

/* A node not seen since we started may be booting: it is given its time, and lost after it. */
TEST(a_node_never_seen_is_given_time_to_boot)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    u->ring.count = 2;
    unit_start(u);
    unit_settle(u, u->core.cluster.settings.grace_ms - 5000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    unit_settle(u, 6000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    free(u);
}

/* The grace time counts from the first quorum: before it nothing can be decided anyway. */
TEST(the_grace_time_begins_with_the_first_quorum)
{
    static const uint32_t alone[] = {1};
    static const uint32_t two[] = {1, 2};
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_open(u, u->image.nodes[0].client);
    unit_ring(u, false, 1, alone);
    unit_domains(u);
    unit_pass(u, 2 * u->core.cluster.settings.grace_ms);
    unit_ring(u, true, 2, two);
    unit_settle(u, u->core.cluster.settings.grace_ms - 5000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    unit_settle(u, 6000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    free(u);
}

/* An agent that is silent in a live ring is not fenced: its VMs run on. */
TEST(a_silent_agent_is_not_lost)
{
    struct unit *u = acting(true);
    u->silent[3] = true;
    unit_settle(u, 5000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    free(u);
}

/* Nothing outside is done before the commit that names it lost took effect. */
TEST(no_fence_before_the_commit)
{
    struct unit *u = acting(true);
    unit_leave(u, 3);
    (void)unit_take(u, ACTION_COMMIT);
    unit_pass(u, 1000);
    unit_none(u, ACTION_BLOCK_ADD);
    unit_none(u, ACTION_POWER);
    free(u);
}

/* Once lost: address and client are blocked and the BMC told, in one step. */
TEST(a_lost_node_is_barred_and_powered_off)
{
    struct unit *u = acting_with_bmc();
    lose(u);
    assert_int_equal(unit_logged(u, ACTION_POWER), 1);
    struct action block;
    assert_true(unit_find(u, ACTION_BLOCK_ADD, &block));
    assert_true(unit_holds(&block.block, unit_client(3, 0)));
    assert_true(unit_holds(&block.block, unit_client(3, 300)));
    free(u);
}

/* With the barrier standing it is fenced, and the record says that an address entry stands. */
TEST(the_barrier_makes_it_fenced)
{
    struct unit *u = acting(true);
    fenced(u);
    const struct node_record *node = unit_copy_node(u, 3);
    assert_int_equal(node->proofs, PROOF_STORAGE);
    assert_true(node->address_blocked);
    free(u);
}

/* Under the policy "power" the barrier alone does not make it fenced; the read-back "off" does. */
TEST(policy_power_waits_for_the_bmc)
{
    struct unit *u = unit_new(1);
    unit_set(u, "proof", PROOF_POWER);
    u->image.nodes[N3].bmc = (struct bmc_address){.address = "10.1.0.3", .verified = true};
    u->peers[3].bmc = u->image.nodes[N3].bmc;
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_lead(u);
    lose(u);
    bar(u);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    struct action power = unit_take(u, ACTION_POWER);
    unit_power(u, &power, OUTCOME_DONE);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    assert_int_equal(unit_copy_node(u, 3)->proofs, PROOF_STORAGE | PROOF_POWER);
    free(u);
}

/* A BMC that did not prove it off is told in the history, and is no proof; so it is when the
 * barrier had made the node fenced before. */
TEST(a_failed_power_off_is_told)
{
    for (unsigned after = 0; after < 2; after++) {
        struct unit *u = acting_with_bmc();
        lose(u);
        struct action power = unit_take(u, ACTION_POWER);
        if (after) {
            bar(u);
            unit_settle(u, 500);
            assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
        }
        unit_power(u, &power, OUTCOME_FAILED);
        unit_settle(u, 500);
        bool told = false;
        for (unsigned i = 0; i < HISTORY_MAX; i++) {
            const struct history_entry *entry = &u->core.cluster.history[i];
            told |= entry->kind == HISTORY_BMC && entry->number == OUTCOME_FAILED;
        }
        assert_true(told);
        assert_int_equal(unit_copy_node(u, 3)->proofs & PROOF_POWER, 0);
        free(u);
    }
}

/* Fenced and read off, with the setting: told on once, and the record forgets that it wants it. */
TEST(on_again_only_if_fenced_unasked)
{
    enum { BY_ITSELF, FENCED_BY_HAND, REMOVED, WITHOUT_SETTING, WAYS };
    for (int way = 0; way < WAYS; way++) {
        struct unit *u = unit_new(1);
        unit_set(u, "power_on_after_fence", way != WITHOUT_SETTING);
        u->image.header.feature_level = LEVEL_FENCE_DEVICES; /* which n2 has reached, and no more */
        u->peers[2].feature_level = u->image.nodes[1].feature_level = LEVEL_FENCE_DEVICES;
        u->image.nodes[N3].bmc = (struct bmc_address){.address = "10.1.0.3", .verified = true};
        u->image.nodes[N3].fence_wanted = way == FENCED_BY_HAND;
        u->image.nodes[N3].removing = way == REMOVED;
        u->peers[3].bmc = u->image.nodes[N3].bmc;
        unit_vm(u, 0, VM_RUNNING, N3);
        unit_lead(u);
        lose(u);
        struct action power = unit_take(u, ACTION_POWER);
        bar(u);
        unit_settle(u, 200);
        assert_int_equal(unit_copy_node(u, 3)->power_on, way == BY_ITSELF);
        unit_none(u, ACTION_POWER); /* not before it was read off */
        unit_power(u, &power, OUTCOME_DONE);
        unit_settle(u, 200);
        if (way == BY_ITSELF) {
            power = unit_take(u, ACTION_POWER);
            assert_int_equal(power.power.order, POWER_ORDER_ON);
            unit_power(u, &power, OUTCOME_DONE);
        }
        unit_settle(u, 2000);
        assert_false(unit_copy_node(u, 3)->power_on);
        unit_none(u, ACTION_POWER);
        free(u);
    }
}

/* A machine that is back under another boot id is fenced by client only: no address, no power. */
TEST(a_reborn_node_is_fenced_by_client_only)
{
    struct unit *u = acting_with_bmc();
    reboot(u);
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    assert_true(unit_copy_node(u, 3)->client_only);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_int_equal(block.block.count, 1);
    assert_true(unit_holds(&block.block, unit_client(3, 300)));
    unit_pass(u, 500);
    unit_none(u, ACTION_POWER);
    free(u);
}

/* A machine that came back between the naming and the fence is spared its address as well. */
TEST(a_machine_back_before_the_fence_is_spared_its_address)
{
    struct unit *u = acting_with_bmc();
    unit_leave(u, 3);
    struct action commit = unit_take(u, ACTION_COMMIT);
    reboot(u);
    unit_beat(u, 3, NULL);
    unit_commit_is(u, &commit, OUTCOME_DONE, NULL);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_false(unit_holds(&block.block, unit_client(3, 0)));
    unit_none(u, ACTION_POWER);
    free(u);
}

/* Reborn with empty hands is a proof of its own, under any policy. */
TEST(reborn_is_a_proof)
{
    struct unit *u = unit_new(1);
    unit_set(u, "proof", PROOF_POWER);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_lead(u);
    reboot(u);
    unit_commit(u);
    bar(u);
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    assert_int_equal(unit_copy_node(u, 3)->proofs, PROOF_STORAGE | PROOF_REBORN);
    free(u);
}

/* Another machine under the same name proves nothing about the first one. */
TEST(another_machine_is_not_reborn)
{
    struct unit *u = unit_new(1);
    unit_set(u, "proof", PROOF_POWER);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_lead(u);
    u->peers[3].machine = unit_uuid(0x67);
    reboot(u);
    unit_settle(u, 500);
    bar(u);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    free(u);
}

/* A fenced node that is rebooting stays fenced until its address entry is seen to be off. */
TEST(the_address_entry_comes_off_before_out)
{
    struct unit *u = acting(true);
    fenced(u);
    u->peers[3].storage = false; /* the entry stands: it reaches nothing */
    reboot(u);
    struct action off = unit_take(u, ACTION_BLOCK_REMOVE);
    assert_int_equal(off.block.count, 1);
    assert_true(unit_holds(&off.block, unit_client(3, 0)));
    unit_settle(u, 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    unit_block(u, &off, OUTCOME_DONE, 0);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_OUT);
    assert_false(unit_copy_node(u, 3)->address_blocked);
    free(u);
}

/* An address entry whose removal failed keeps the node fenced, and is tried again. */
TEST(a_failed_removal_keeps_it_fenced)
{
    struct unit *u = acting(true);
    fenced(u);
    u->peers[3].storage = false;
    reboot(u);
    struct action off = unit_take(u, ACTION_BLOCK_REMOVE);
    unit_block(u, &off, OUTCOME_UNKNOWN, 0);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    unit_settle(u, 6000);
    (void)unit_take(u, ACTION_BLOCK_REMOVE);
    free(u);
}

/* Client entries are never taken off: an old process could live. */
TEST(client_entries_stay)
{
    struct unit *u = acting(true);
    fenced(u);
    reboot(u);
    struct action off = unit_take(u, ACTION_BLOCK_REMOVE);
    assert_false(unit_holds(&off.block, unit_client(3, 300)));
    free(u);
}

/* A fenced node that is merely back, without a boot, waits for an operator. */
TEST(a_fenced_node_without_a_boot_waits_for_a_person)
{
    struct unit *u = acting(true);
    fenced(u);
    reboot(u);
    u->peers[3].boot = u->image.nodes[N3].boot;
    unit_beat(u, 3, NULL);
    unit_forget(u);
    unit_settle(u, 2000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    (void)unit_foreign(u);
    unit_foreign_node(u, N3)->unfence_wanted = true;
    unit_foreign_send(u);
    struct action off = unit_take(u, ACTION_BLOCK_REMOVE);
    unit_block(u, &off, OUTCOME_DONE, 0);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    free(u);
}

static struct unit *acting_with_n3_out(void)
{
    struct unit *u = unit_new(1);
    u->image.nodes[N3].state = NODE_OUT;
    u->image.header.members = 3;
    u->peers[3].incarnation = (struct incarnation){0};
    u->peers[3].able = false;
    u->peers[3].empty = true;
    u->peers[3].client = unit_client(3, 301);
    return u;
}

/* A node is admitted under a new incarnation, with the handle and boot it told. */
TEST(admission_issues_a_new_life)
{
    struct unit *u = acting_with_n3_out();
    unit_lead(u);
    unit_settle(u, 500);
    const struct node_record *node = unit_copy_node(u, 3);
    assert_int_equal(node->state, NODE_ADMITTED);
    assert_int_equal(node->incarnation.number, UNIT_NODES + 1);
    assert_int_equal(u->core.cluster.header.next_incarnation, UNIT_NODES + 2);
    assert_true(client_equal(&node->client, &u->peers[3].client));
    assert_true((u->core.cluster.header.members & 4) != 0);
    free(u);
}

/* That a node comes back on another machine than before is written down; its first is no other. */
TEST(another_machine_is_told)
{
    for (unsigned i = 0; i < 2; i++) {
        struct unit *u = acting_with_n3_out();
        u->image.nodes[N3].machine = i == 0 ? (struct uuid){{0}} : unit_uuid(99);
        unit_lead(u);
        unit_settle(u, 500);
        bool told = false;
        for (unsigned h = 0; h < HISTORY_MAX; h++) {
            const struct history_entry *entry = &u->core.cluster.history[h];
            told = told || (entry->kind == HISTORY_NODE_ADMITTED &&
                            strstr(entry->cause, "another machine") != NULL);
        }
        assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
        assert_int_equal(told, i == 1);
        free(u);
    }
}

/* A node is admitted only with empty hands, storage of its own, and a handle that is new. */
TEST(admission_needs_empty_hands_and_a_new_handle)
{
    for (unsigned i = 0; i < 4; i++) {
        struct unit *u = acting_with_n3_out();
        struct beat *beat = &u->peers[3];
        beat->empty = i != 0;
        beat->storage = i != 1;
        beat->client = i == 2   ? (struct client){{0}}
                       : i == 3 ? u->image.nodes[N3].client
                                : beat->client;
        unit_lead(u);
        unit_settle(u, 1000);
        assert_int_equal(unit_copy_node(u, 3)->state, NODE_OUT);
        free(u);
    }
}

/* A stranger in the ring is not taken in. */
TEST(an_unknown_node_is_not_admitted)
{
    struct unit *u = acting_with_n3_out();
    memset(&u->image.nodes[N3], 0, sizeof(u->image.nodes[N3]));
    unit_lead(u);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FREE);
    free(u);
}

/* A present member that tells a new handle of its own has it recorded. */
TEST(a_members_new_handle_is_recorded)
{
    struct unit *u = acting(false);
    u->peers[3].client = unit_client(3, 333);
    u->peers[3].epoch = u->core.cluster.header.epoch;
    u->peers[3].version = u->core.cluster.header.version;
    unit_settle(u, 1000);
    assert_true(client_equal(&unit_copy_node(u, 3)->client, &u->peers[3].client));
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    free(u);
}

/* A BMC once verified is not unverified by an agent that has not asked it yet. */
TEST(a_verified_bmc_stays_verified)
{
    struct unit *u = acting_with_bmc();
    u->peers[3].bmc.verified = false;
    unit_settle(u, 1000);
    assert_true(unit_copy_node(u, 3)->bmc.verified);
    free(u);
}

/* ... also when something else of that node changed meanwhile. */
TEST(a_verified_bmc_stays_verified_beside_other_news)
{
    struct unit *u = acting_with_bmc();
    u->peers[3].bmc.verified = false;
    u->peers[3].memory_mib = 4096;
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->memory_mib, 4096);
    assert_true(unit_copy_node(u, 3)->bmc.verified);
    free(u);
}

/* An operator's fence takes a present node too, address and power included. */
TEST(an_operators_fence_takes_a_present_node)
{
    struct unit *u = acting_with_bmc();
    (void)unit_foreign(u);
    unit_foreign_node(u, N3)->fence_wanted = true;
    unit_foreign_send(u);
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&block.block, unit_client(3, 0)));
    assert_int_equal(unit_take(u, ACTION_POWER).kind, ACTION_POWER);
    free(u);
}

/* A person's word that a node is dead does not count when the node is back by the time it is lost.
 */
TEST(a_vouch_does_not_outlive_an_absence)
{
    struct unit *u = acting_with_bmc();
    (void)unit_foreign(u);
    struct node_record *node = unit_foreign_node(u, N3);
    node->fence_wanted = true;
    node->proofs = PROOF_STORAGE | PROOF_OPERATOR;
    unit_foreign_send(u);
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    assert_int_equal(unit_copy_node(u, 3)->proofs, 0);
    free(u);
}

/* ... as it takes an absent one on which no VM is. */
TEST(an_operators_fence_takes_an_absent_node)
{
    struct unit *u = acting(false);
    unit_leave(u, 3);
    unit_settle(u, 300);
    (void)unit_foreign(u);
    unit_foreign_node(u, N3)->fence_wanted = true;
    unit_foreign_send(u);
    unit_settle(u, 300);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    free(u);
}

/* A member whose agent came back without its incarnation, hands empty and with another handle, is
 * over: client entries only, as its machine lives. */
TEST(an_agent_without_its_incarnation_is_over)
{
    struct unit *u = acting_with_bmc();
    u->peers[3].incarnation = (struct incarnation){0};
    u->peers[3].able = false;
    u->peers[3].empty = true;
    u->peers[3].client = unit_client(3, 333);
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    assert_true(unit_copy_node(u, 3)->client_only);
    unit_pass(u, 300);
    unit_none(u, ACTION_POWER);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_absent_node_without_vms_is_not_lost),
        cmocka_unit_test(an_absent_node_with_vms_is_lost),
        cmocka_unit_test(a_node_never_seen_is_given_time_to_boot),
        cmocka_unit_test(the_grace_time_begins_with_the_first_quorum),
        cmocka_unit_test(a_silent_agent_is_not_lost),
        cmocka_unit_test(no_fence_before_the_commit),
        cmocka_unit_test(a_lost_node_is_barred_and_powered_off),
        cmocka_unit_test(the_barrier_makes_it_fenced),
        cmocka_unit_test(policy_power_waits_for_the_bmc),
        cmocka_unit_test(a_failed_power_off_is_told),
        cmocka_unit_test(on_again_only_if_fenced_unasked),
        cmocka_unit_test(a_reborn_node_is_fenced_by_client_only),
        cmocka_unit_test(a_machine_back_before_the_fence_is_spared_its_address),
        cmocka_unit_test(reborn_is_a_proof),
        cmocka_unit_test(another_machine_is_not_reborn),
        cmocka_unit_test(the_address_entry_comes_off_before_out),
        cmocka_unit_test(a_failed_removal_keeps_it_fenced),
        cmocka_unit_test(client_entries_stay),
        cmocka_unit_test(a_fenced_node_without_a_boot_waits_for_a_person),
        cmocka_unit_test(admission_issues_a_new_life),
        cmocka_unit_test(another_machine_is_told),
        cmocka_unit_test(admission_needs_empty_hands_and_a_new_handle),
        cmocka_unit_test(an_unknown_node_is_not_admitted),
        cmocka_unit_test(a_members_new_handle_is_recorded),
        cmocka_unit_test(a_verified_bmc_stays_verified),
        cmocka_unit_test(a_verified_bmc_stays_verified_beside_other_news),
        cmocka_unit_test(an_operators_fence_takes_a_present_node),
        cmocka_unit_test(a_vouch_does_not_outlive_an_absence),
        cmocka_unit_test(an_operators_fence_takes_an_absent_node),
        cmocka_unit_test(an_agent_without_its_incarnation_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
