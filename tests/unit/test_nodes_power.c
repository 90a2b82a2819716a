/* Whose power is touched, and how often: it follows from who waits for what. We are n1 and act. */
#include "agent/nodes.h"
#include "fencing/proof.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */
#define GOLD SETTINGS_MAX
#define TRIES 3 /* of a clean-up */

/* vm0 runs on n3, under the cluster's policy, or one of its class (0: it has none). */
static struct unit *with_policies(uint32_t cluster, uint32_t class)
{
    struct unit *u = unit_new(1);
    struct setting_record *gold = &u->image.set[GOLD];
    *gold = (struct setting_record){.set_ms = 1, .value = class, .given = true};
    name_set(gold->name, NAME_BYTES, "gold");
    unit_set(u, "proof", cluster);
    unit_vm(u, 0, VM_RUNNING, N3)->class_slot = class != 0 ? GOLD : 0;
    return u;
}

/* n3 has a BMC that was seen to be its own. */
static void give_bmc(struct unit *u)
{
    u->image.nodes[N3].bmc = (struct bmc_address){.address = "10.1.0.3", .verified = true};
    u->peers[3].bmc = u->image.nodes[N3].bmc;
}

/* ... or a fence device. */
static void give_device(struct unit *u)
{
    u->image.nodes[N3].devices[0] =
        (struct fence_device){"pdu", "fence_apc", "plug=3", 1, DEVICE_VERIFIED};
    u->peers[3].devices[0] = u->image.nodes[N3].devices[0];
}

static void is(const struct unit *u, enum node_state state)
{
    assert_int_equal(unit_copy_node(u, 3)->state, state);
}

static void bar(struct unit *u)
{
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_settle(u, 300);
}

/* How often its power is switched off from now on, where that always fails. */
static uint32_t tries(struct unit *u)
{
    uint32_t count = 0;
    struct action power;
    for (uint32_t i = 0; i < 300; i++) {
        while (unit_find(u, ACTION_POWER, &power)) {
            count++;
            unit_power(u, &power, OUTCOME_FAILED);
        }
        unit_settle(u, 200);
    }
    return count;
}

static const struct {
    uint32_t cluster, class;
    bool spared;
} policies[] = {
    {PROOF_STORAGE, 0, true},
    {PROOF_POWER, 0, false},
    {PROOF_STORAGE, PROOF_POWER, false}, /* its VM waits for more than the barrier */
    {PROOF_POWER, PROOF_STORAGE, false}, /* whoever goes by the cluster's policy does */
};

/* Not seen since the power came back, it may be slow: where the barrier does for all, it is let be.
 */
TEST(who_may_be_booting_is_switched_off_where_the_barrier_does_not_do)
{
    for (unsigned i = 0; i < UNIT_COUNT(policies); i++) {
        struct unit *u = with_policies(policies[i].cluster, policies[i].class);
        give_bmc(u);
        u->ring.count = 2;
        unit_start(u);
        unit_settle(u, u->core.cluster.settings.grace_ms + 1000);
        assert_int_equal(unit_logged(u, ACTION_POWER) == 0, policies[i].spared);
        assert_int_equal(unit_logged(u, ACTION_BLOCK_ADD), 1);
        free(u);
    }
}

/* It said that its host shuts down. */
TEST(who_shuts_down_in_order_is_switched_off_where_the_barrier_does_not_do)
{
    for (unsigned i = 0; i < 2 * UNIT_COUNT(policies); i++) {
        struct unit *u = with_policies(policies[i / 2].cluster, policies[i / 2].class);
        if (i % 2 == 0) {
            give_bmc(u);
        } else {
            give_device(u);
        }
        u->peers[3].leaving = LEAVING_HOST;
        unit_lead(u);
        unit_leave(u, 3);
        unit_settle(u, 500);
        is(u, NODE_LOST);
        assert_int_equal(unit_logged(u, ACTION_POWER) == 0, policies[i / 2].spared);
        free(u);
    }
}

/* Where it would let nobody go, it is a clean-up, and given up after some failures. */
TEST(power_is_tried_on_only_while_it_would_let_a_vm_go)
{
    static const struct {
        uint32_t cluster, class;
        bool needed;
    } cases[] = {
        {PROOF_STORAGE, 0, false},
        {PROOF_STORAGE, PROOF_POWER, true},
        {PROOF_STORAGE, PROOF_OPERATOR, false}, /* only a person's word would */
    };
    for (unsigned i = 0; i < UNIT_COUNT(cases); i++) {
        struct unit *u = with_policies(cases[i].cluster, cases[i].class);
        give_bmc(u);
        unit_lead(u);
        unit_leave(u, 3);
        unit_commit(u);
        bar(u);
        uint32_t count = tries(u);
        assert_true(cases[i].needed ? count > TRIES : count == TRIES);
        free(u);
    }
}

/* n3 is fenced, and vm0 waits for more; its machine, or another in its place, is in the ring again,
 * without a boot that would prove anything. */
static struct unit *back_while_one_waits(bool another)
{
    static const uint32_t all[] = {1, 2, 3};
    struct unit *u = with_policies(PROOF_STORAGE, PROOF_POWER);
    give_bmc(u);
    unit_vm(u, 1, VM_RUNNING, N3); /* the barrier does for this one, so n3 is fenced */
    unit_lead(u);
    unit_leave(u, 3);
    unit_commit(u);
    bar(u);
    is(u, NODE_FENCED);
    struct action power = unit_take(u, ACTION_POWER);
    u->peers[3].storage = u->peers[3].able = false;
    if (another) {
        u->peers[3].machine = unit_uuid(0x99);
        u->peers[3].boot = unit_uuid(0x98);
    }
    unit_ring(u, true, 3, all);
    unit_beat(u, 3, NULL);
    unit_power(u, &power, OUTCOME_FAILED);
    return u;
}

TEST(its_fence_is_carried_on_while_a_vm_waits_though_it_is_back)
{
    struct unit *u = back_while_one_waits(false);
    assert_true(tries(u) > TRIES);
    free(u);
}

/* What runs there now is not what the VM waits for. */
TEST(another_machine_in_its_place_is_not_switched_off)
{
    struct unit *u = back_while_one_waits(true);
    assert_int_equal(tries(u), 0);
    is(u, NODE_FENCED);
    free(u);
}

/* Back in the ring and ending in order while two devices are asked: what they are at ends, and
 * nothing more is asked of them. */
TEST(who_shuts_down_while_it_is_told_off_is_let)
{
    struct unit *u = with_policies(PROOF_STORAGE, 0);
    give_device(u);
    u->image.nodes[N3].devices[1] = u->image.nodes[N3].devices[0];
    u->image.nodes[N3].devices[1].name[0] = 'q';
    u->peers[3].devices[1] = u->image.nodes[N3].devices[1];
    unit_lead(u);
    unit_leave(u, 3);
    unit_commit(u);
    is(u, NODE_LOST);
    struct action first = unit_take(u, ACTION_POWER);
    struct action second = unit_take(u, ACTION_POWER);
    u->peers[3].leaving = LEAVING_HOST;
    unit_ring(u, true, 3, (uint32_t[]){1, 2, 3});
    unit_settle(u, 300);
    unit_power(u, &first, OUTCOME_DONE);
    unit_power(u, &second, OUTCOME_DONE);
    unit_settle(u, 3000);
    unit_none(u, ACTION_POWER);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_be_booting_is_switched_off_where_the_barrier_does_not_do),
        cmocka_unit_test(who_shuts_down_in_order_is_switched_off_where_the_barrier_does_not_do),
        cmocka_unit_test(power_is_tried_on_only_while_it_would_let_a_vm_go),
        cmocka_unit_test(its_fence_is_carried_on_while_a_vm_waits_though_it_is_back),
        cmocka_unit_test(another_machine_in_its_place_is_not_switched_off),
        cmocka_unit_test(who_shuts_down_while_it_is_told_off_is_let),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
