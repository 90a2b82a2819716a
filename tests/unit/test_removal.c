/* A node's end for good: fenced first, emptied, then a tombstone; and its way back. We are n1 and
 * act. */
#include "agent/nodes.h"
#include "agent/query.h"
#include "fencing/proof.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

static struct unit *acting(uint32_t policy)
{
    struct unit *u = unit_new(1);
    struct bmc_address bmc = {.address = "10.1.0.3", .cipher_suite = 17, .verified = true};
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_set(u, "proof", policy);
    u->image.nodes[N3].bmc = bmc;
    u->peers[3].bmc = bmc;
    unit_lead(u);
    return u;
}

static void remove_n3(struct unit *u)
{
    (void)unit_foreign(u);
    unit_foreign_node(u, N3)->removing = true;
    unit_foreign_send(u);
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
}

/* n3's agent has read that it is lost and has killed what it ran. */
static void says_empty_at(struct unit *u, uint64_t version)
{
    u->peers[3].able = false;
    u->peers[3].empty = true;
    u->peers[3].version = version;
    unit_beat(u, 3, NULL);
}

static void empties_its_hands(struct unit *u)
{
    says_empty_at(u, u->core.cluster.header.version);
}

static void bar(struct unit *u)
{
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
}

/* A present node ends itself: neither its address nor its power is touched. */
TEST(a_present_node_is_barred_by_client_only)
{
    struct unit *u = acting(PROOF_STORAGE);
    remove_n3(u);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&block.block, u->image.nodes[N3].client));
    assert_false(unit_holds(&block.block, unit_client(3, 0)));
    unit_none(u, ACTION_POWER);
    free(u);
}

/* One whose agent is silent, or that is gone, is fenced with all that there is. */
TEST(a_silent_node_is_fenced_whole)
{
    struct unit *u = acting(PROOF_STORAGE);
    u->silent[3] = true;
    unit_settle(u, 2000);
    remove_n3(u);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&block.block, unit_client(3, 0)));
    (void)unit_take(u, ACTION_POWER);
    free(u);
}

/* ... also when it fell silent after its removal was begun. */
TEST(an_agent_that_dies_meanwhile_is_powered_off)
{
    struct unit *u = acting(PROOF_POWER);
    remove_n3(u);
    bar(u);
    unit_none(u, ACTION_POWER);
    u->silent[3] = true;
    unit_settle(u, 2000);
    (void)unit_take(u, ACTION_POWER);
    free(u);
}

/* Under the policy "power" its own word that its hands are empty is proof enough. */
TEST(empty_hands_of_a_lost_node_are_a_proof)
{
    struct unit *u = acting(PROOF_POWER);
    remove_n3(u);
    bar(u);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    empties_its_hands(u);
    unit_settle(u, 200);
    assert_true((unit_copy_node(u, 3)->proofs & PROOF_CLEAN) != 0);
    assert_int_not_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    free(u);
}

/* Said before it knew that it is lost, it proves nothing: a guest may have been started since. */
TEST(empty_hands_of_before_are_no_proof)
{
    struct unit *u = acting(PROOF_POWER);
    remove_n3(u);
    bar(u);
    says_empty_at(u, u->core.cluster.header.version - 1);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    free(u);
}

/* Nor does another machine's word. */
TEST(another_machine_proves_nothing)
{
    struct unit *u = acting(PROOF_POWER);
    remove_n3(u);
    bar(u);
    u->peers[3].machine = unit_uuid(0x99);
    empties_its_hands(u);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    free(u);
}

/* Nor without the barrier. */
TEST(empty_hands_do_not_replace_the_barrier)
{
    struct unit *u = acting(PROOF_STORAGE);
    remove_n3(u);
    empties_its_hands(u);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    free(u);
}

/* The tombstone comes when no VM refers to it any more, and keeps what its entries are about. */
TEST(the_tombstone_waits_for_the_vms)
{
    struct unit *u = acting(PROOF_STORAGE);
    remove_n3(u);
    bar(u);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    (void)unit_foreign(u);
    struct vm_record *vm = unit_foreign_vm(u, 0);
    vm->node = 0;
    vm->incarnation = unit_copy_node(u, 1)->incarnation;
    unit_foreign_send(u);
    unit_settle(u, 500);
    const struct node_record *node = unit_copy_node(u, 3);
    assert_int_equal(node->state, NODE_REMOVED);
    assert_false(node->removing);
    assert_int_equal(node->nodeid, 3);
    assert_int_equal(node->incarnation.number, 3);
    assert_true(client_equal(&node->client, &u->image.nodes[N3].client));
    assert_string_equal(query_node_word(&u->core, N3, u->now_ms), "removed");
    free(u);
}

/* A tombstone is not admitted, whatever its agent says. */
TEST(a_tombstone_is_not_admitted)
{
    struct unit *u = acting(PROOF_STORAGE);
    (void)unit_foreign(u);
    unit_foreign_node(u, N3)->state = NODE_REMOVED;
    struct vm_record *vm = unit_foreign_vm(u, 0);
    vm->state = VM_STOPPED;
    vm->node = NODE_NONE;
    vm->want = WANT_STOPPED;
    unit_foreign_send(u);
    empties_its_hands(u);
    u->peers[3].client = unit_client(3, 333);
    unit_settle(u, 2000);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_REMOVED);
    unit_none(u, ACTION_BLOCK_REMOVE);
    free(u);
}

static struct reply ask(struct unit *u, enum request_kind kind, const char *name, uint32_t nodeid,
                        bool vouched)
{
    struct request request = {
        .kind = kind,
        .id = {1, 1001, 100 + ++u->foreign_count},
        .nodeid = nodeid,
        .vouched = vouched,
    };
    struct event event = unit_event(EVENT_REQUEST, 0);
    struct action action;
    name_set(request.name, NAME_BYTES, name);
    event.request = &request;
    unit_step(u, &event);
    for (int i = 0; i < 100; i++) {
        if (unit_find(u, ACTION_SEND_REQUEST, &action)) {
            event = unit_event(EVENT_REQUEST, 0);
            event.request = &action.request;
            unit_step(u, &event);
        } else if (unit_find(u, ACTION_COMMIT, &action)) {
            unit_commit_is(u, &action, OUTCOME_DONE, NULL);
        } else if (unit_find(u, ACTION_SEND_REPLY, &action)) {
            event = unit_event(EVENT_REPLY, 0);
            event.reply = action.reply;
            unit_step(u, &event);
        } else if (unit_find(u, ACTION_ANSWER, &action)) {
            return action.reply;
        } else {
            unit_pass(u, UNIT_TICK_MS);
        }
    }
    fail_msg("no answer");
    return (struct reply){0};
}

static void refused(const struct reply *reply, const char *part)
{
    assert_int_equal(reply->verdict, VERDICT_REFUSED);
    if (strstr(reply->text, part) == NULL) {
        fail_msg("refused by \"%s\" instead of \"%s\"", reply->text, part);
    }
}

/* The acting node, a stranger, a removed node, a present one vouched dead: each refused. */
TEST(unlawful_removals_are_refused)
{
    struct unit *u = acting(PROOF_STORAGE);
    struct reply reply = ask(u, REQUEST_NODE_REMOVE, "n1", 0, false);
    refused(&reply, "from another");
    reply = ask(u, REQUEST_NODE_REMOVE, "n9", 0, false);
    refused(&reply, "no such node");
    reply = ask(u, REQUEST_NODE_REMOVE, "n3", 0, true);
    refused(&reply, "in the ring");
    (void)unit_foreign(u);
    unit_foreign_node(u, 1)->state = NODE_REMOVED;
    unit_foreign_send(u);
    reply = ask(u, REQUEST_NODE_REMOVE, "n2", 0, false);
    refused(&reply, "removed already");
    reply = ask(u, REQUEST_NODE_FENCE, "n2", 0, false);
    refused(&reply, "removed");
    reply = ask(u, REQUEST_NODE_UNFENCE, "n2", 0, false);
    refused(&reply, "cluster join");
    free(u);
}

/* A removed node that joins takes up its tombstone: fenced still, until its address entry is off.
 */
TEST(a_removed_node_joins_through_its_tombstone)
{
    struct unit *u = acting(PROOF_STORAGE);
    (void)unit_foreign(u);
    struct node_record *node = unit_foreign_node(u, N3);
    node->state = NODE_REMOVED;
    node->address_blocked = true;
    struct vm_record *vm = unit_foreign_vm(u, 0);
    vm->state = VM_STOPPED;
    vm->node = NODE_NONE;
    vm->want = WANT_STOPPED;
    unit_foreign_send(u);
    empties_its_hands(u);
    u->peers[3].client = unit_client(3, 333);
    u->peers[3].incarnation = (struct incarnation){0};
    struct reply reply = ask(u, REQUEST_NODE_JOIN, "n3", 3, false);
    assert_int_equal(reply.verdict, VERDICT_DONE);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    struct action off = unit_take(u, ACTION_BLOCK_REMOVE);
    assert_true(unit_holds(&off.block, unit_client(3, 0)));
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    unit_block(u, &off, OUTCOME_DONE, 0);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_ADMITTED);
    assert_int_equal(unit_copy_node(u, 3)->incarnation.number, UNIT_NODES + 1);
    free(u);
}

/* What waits to go for want of room elsewhere may be joined again; before its fence it may not. */
TEST(joining_calls_a_removal_off)
{
    struct unit *u = acting(PROOF_STORAGE);
    remove_n3(u);
    struct reply reply = ask(u, REQUEST_NODE_JOIN, "n3", 3, false);
    assert_int_equal(reply.verdict, VERDICT_REFUSED);
    assert_non_null(strstr(reply.text, "once it is fenced, join again"));
    bar(u);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    assert_int_equal(ask(u, REQUEST_NODE_JOIN, "other", 3, false).verdict, VERDICT_REFUSED);
    assert_true(unit_copy_node(u, 3)->removing);
    assert_int_equal(ask(u, REQUEST_NODE_JOIN, "n3", 3, false).verdict, VERDICT_DONE);
    assert_false(unit_copy_node(u, 3)->removing);
    assert_true(unit_copy_node(u, 3)->unfence_wanted);
    free(u);
}

/* Where every slot is taken, a tombstone nobody in the ring belongs to makes room. */
TEST(a_tombstone_makes_room)
{
    struct unit *u = unit_new(1);
    for (uint32_t slot = 3; slot < NODES_MAX; slot++) {
        u->image.nodes[slot].state = slot == 40 ? NODE_REMOVED : NODE_OUT;
        u->image.nodes[slot].nodeid = slot + 1;
        u->image.nodes[slot].proofs = PROOF_OPERATOR; /* so that they do not count */
        u->image.nodes[slot].incarnation = (struct incarnation){1, 900};
        snprintf(u->image.nodes[slot].name, NAME_BYTES, "n%u", slot + 1);
    }
    unit_lead(u);
    struct reply reply = ask(u, REQUEST_NODE_JOIN, "n70", 70, false);
    assert_int_equal(reply.verdict, VERDICT_DONE);
    assert_int_equal(u->core.cluster.nodes[40].nodeid, 70);
    assert_int_equal(u->core.cluster.nodes[40].state, NODE_OUT);
    assert_true(incarnation_is_none(u->core.cluster.nodes[40].incarnation));
    reply = ask(u, REQUEST_NODE_JOIN, "n71", 71, false);
    refused(&reply, "full");
    free(u);
}

/* A name or a node id that is taken is refused with whose it is. */
TEST(a_clash_is_refused_by_name)
{
    struct unit *u = acting(PROOF_STORAGE);
    struct reply reply = ask(u, REQUEST_NODE_JOIN, "n4", 2, false);
    refused(&reply, "node id 2 is that of n2 already");
    reply = ask(u, REQUEST_NODE_JOIN, "n2", 4, false);
    refused(&reply, "n2 is the name of node id 2 already");
    reply = ask(u, REQUEST_NODE_JOIN, "n2", 2, false);
    refused(&reply, "this node is in the cluster already");
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_present_node_is_barred_by_client_only),
        cmocka_unit_test(a_silent_node_is_fenced_whole),
        cmocka_unit_test(an_agent_that_dies_meanwhile_is_powered_off),
        cmocka_unit_test(empty_hands_of_a_lost_node_are_a_proof),
        cmocka_unit_test(empty_hands_of_before_are_no_proof),
        cmocka_unit_test(another_machine_proves_nothing),
        cmocka_unit_test(empty_hands_do_not_replace_the_barrier),
        cmocka_unit_test(the_tombstone_waits_for_the_vms),
        cmocka_unit_test(joining_calls_a_removal_off),
        cmocka_unit_test(a_tombstone_is_not_admitted),
        cmocka_unit_test(unlawful_removals_are_refused),
        cmocka_unit_test(a_removed_node_joins_through_its_tombstone),
        cmocka_unit_test(a_tombstone_makes_room),
        cmocka_unit_test(a_clash_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
