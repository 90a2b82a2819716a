/* What is drafted of a node in a position that is made for it alone. We are n2, who does not act,
 * so nothing else is drafted. */
#include "agent/draft.h"
#include "agent/nodes.h"
#include "agent/peers.h"
#include "fencing/proof.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */
#define GOLD SETTINGS_MAX

/* n3's record says that; vm0 is on it and waits for its power, by its class. Its barrier stands, by
 * us. It is in the ring, and speaks. */
static struct unit *position(enum node_state state)
{
    struct unit *u = unit_new(2);
    struct setting_record *gold = &u->image.set[GOLD];
    *gold = (struct setting_record){.set_ms = 1, .value = PROOF_POWER, .given = true};
    name_set(gold->name, NAME_BYTES, "gold");
    unit_set(u, "power_on_after_fence", 1);
    unit_vm(u, 0, VM_RUNNING, N3)->class_slot = GOLD;
    unit_start(u);
    struct node_record *node = &u->core.cluster.nodes[N3];
    struct fence *fence = &u->core.local.acting.fences[N3];
    node->state = state;
    node->proofs = state == NODE_FENCED ? PROOF_STORAGE : 0;
    fence->incarnation = node->incarnation;
    fence->state = FENCE_STANDS;
    fence->proofs = PROOF_STORAGE;
    fence->barrier_told = true;
    return u;
}

static struct node_record *record(struct unit *u)
{
    return &u->core.cluster.nodes[N3];
}

static struct fence *fence_of(struct unit *u)
{
    return &u->core.local.acting.fences[N3];
}

static struct peer *peer_of(struct unit *u)
{
    return peers_find(&u->core.local, 3);
}

/* n3's machine has booted since, and its hands are empty. */
static void reboot(struct unit *u)
{
    peer_of(u)->beat.boot = unit_uuid(0x66);
    peer_of(u)->beat.empty = true;
}

/* n3 as it will be. */
static const struct node_record *drafted(struct unit *u)
{
    draft_begin(&u->core);
    nodes_draft(&u->core, NULL);
    return draft_peek_node(&u->core, N3);
}

TEST(it_is_to_be_switched_on_again_from_that_level_on)
{
    for (uint32_t level = LEVEL_FENCE_DEVICES - 1; level <= LEVEL_FENCE_DEVICES; level++) {
        struct unit *u = position(NODE_LOST);
        record(u)->bmc = (struct bmc_address){.address = "10.1.0.3", .verified = true};
        u->core.cluster.header.feature_level = level;
        assert_int_equal(drafted(u)->state, NODE_FENCED);
        assert_int_equal(drafted(u)->power_on, level == LEVEL_FENCE_DEVICES);
        free(u);
    }
}

/* By a boot, which is a proof, or by a person's word, which is none, but ends a row of failures. */
TEST(how_it_came_back_is_in_its_record)
{
    for (unsigned i = 0; i < 2; i++) {
        bool asked = i == 1;
        struct unit *u = position(NODE_FENCED);
        fence_of(u)->incarnation.number--; /* it was fenced by who acted before us */
        record(u)->proofs = PROOF_OPERATOR;
        record(u)->losses = 4;
        record(u)->power_on = true;
        record(u)->unfence_wanted = asked;
        u->core.cluster.vms[0].node = NODE_NONE; /* nobody waits */
        if (asked) {
            peer_of(u)->beat.empty = true;
        } else {
            reboot(u);
        }
        const struct node_record *node = drafted(u);
        assert_int_equal(node->state, NODE_OUT);
        assert_int_equal(node->proofs, PROOF_OPERATOR | (asked ? 0 : PROOF_REBORN));
        assert_int_equal(node->losses, asked ? 0 : 4);
        assert_false(node->power_on);
        free(u);
    }
}

/* Fills the draft until it takes so many more records. */
static void leave_room(struct unit *u, uint32_t room)
{
    draft_begin(&u->core);
    while (draft_room(&u->core) > room) {
        draft_history(&u->core, HISTORY_TERM, 0, NULL, "something else");
    }
}

/* Of all that can befall a node in one commit this is the most: its barrier and its power are told,
 * a boot proves more than both, and it is out. */
static struct unit *busiest(void)
{
    struct unit *u = position(NODE_FENCED);
    fence_of(u)->barrier_told = false;
    fence_of(u)->power.state = POWER_FAILED;
    reboot(u);
    return u;
}

TEST(there_is_room_for_all_of_it_or_it_waits)
{
    uint32_t least = 0;
    for (enum node_state state = NODE_FENCED; state != NODE_OUT; least++) {
        struct unit *u = busiest();
        leave_room(u, least);
        nodes_draft(&u->core, NULL);
        state = draft_peek_node(&u->core, N3)->state;
        assert_int_equal(draft_room(&u->core), state == NODE_OUT ? 0 : least);
        free(u);
    }
    least--;
    for (uint32_t room = least - 1; room <= least; room++) {
        struct unit *u = position(NODE_ADMITTED);
        unit_leave(u, 3);
        leave_room(u, room);
        nodes_draft_lost(&u->core);
        bool lost = draft_peek_node(&u->core, N3)->state == NODE_LOST;
        assert_int_equal(lost, room == least);
        free(u);
    }
}

/* A command before made it the place of a VM in this very commit: it goes with the next. What was
 * started there before, or is started elsewhere, does not keep it. */
TEST(a_place_chosen_in_the_same_commit_is_lost_in_the_next)
{
    static const struct {
        uint8_t node;
        enum vm_state state;
        bool anew;
        bool boots; /* that would end its life, too */
        enum node_state then;
    } cases[] = {
        {N3, VM_STARTING, true, false, NODE_ADMITTED}, {N3, VM_STARTING, true, true, NODE_ADMITTED},
        {N3, VM_STARTING, false, false, NODE_LOST},    {N3, VM_STOPPING, true, false, NODE_LOST},
        {0, VM_STARTING, true, false, NODE_LOST},
    };
    for (unsigned i = 0; i < UNIT_COUNT(cases); i++) {
        struct unit *u = position(NODE_ADMITTED);
        record(u)->fence_wanted = true;
        if (cases[i].boots) {
            reboot(u);
        }
        draft_begin(&u->core);
        struct vm_record *vm = draft_vm(&u->core, 0);
        vm->node = cases[i].node;
        vm->state = cases[i].state;
        vm->action.counter += cases[i].anew;
        nodes_draft(&u->core, NULL);
        assert_int_equal(draft_peek_node(&u->core, N3)->state, cases[i].then);
        free(u);
    }
}

/* Removed it is once no VM is on it: nor one that this very commit has put there. */
TEST(a_vm_drafted_in_the_same_commit_keeps_it)
{
    for (uint32_t there = 0; there <= 1; there++) {
        struct unit *u = position(NODE_OUT);
        record(u)->removing = true;
        u->core.cluster.vms[0].node = NODE_NONE;
        draft_begin(&u->core);
        struct vm_record *vm = draft_vm(&u->core, u->core.cluster.vm_end);
        *vm = u->core.cluster.vms[0];
        vm->uuid = unit_uuid(0x77);
        vm->node = there != 0 ? N3 : 0;
        nodes_draft(&u->core, NULL);
        const enum node_state then = there != 0 ? NODE_OUT : NODE_REMOVED;
        assert_int_equal(draft_peek_node(&u->core, N3)->state, then);
        free(u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_to_be_switched_on_again_from_that_level_on),
        cmocka_unit_test(how_it_came_back_is_in_its_record),
        cmocka_unit_test(there_is_room_for_all_of_it_or_it_waits),
        cmocka_unit_test(a_place_chosen_in_the_same_commit_is_lost_in_the_next),
        cmocka_unit_test(a_vm_drafted_in_the_same_commit_keeps_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
