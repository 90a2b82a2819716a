/* Commands about nodes, as they are decided: what is drafted, or why nothing is. We are n1 and act;
 * n2 and n3 are in the ring. */
#include "agent/request_validate.h"
#include "tests/unit/unit_request.h"

static struct node_record *record_of(struct unit *u, uint32_t nodeid)
{
    return &u->core.cluster.nodes[nodeid - 1];
}

/* Decides it in a draft of its own; NULL, or why it is refused, having drafted nothing. */
static const char *decide(struct unit *u, const struct request *request)
{
    const char *(*by)(struct core *, const struct request *) =
        request->kind == REQUEST_NODE_JOIN      ? request_node_join
        : request->kind == REQUEST_NODE_FENCE   ? request_node_fence
        : request->kind == REQUEST_NODE_UNFENCE ? request_node_unfence
                                                : request_node_remove;
    draft_begin(&u->core);
    const char *refused = by(&u->core, request);
    assert_int_equal(u->core.local.draft.delta.count, refused != NULL ? 0 : 2);
    return refused;
}

static struct node_record drafted(struct unit *u, const struct request *request, uint32_t slot)
{
    const char *refused = decide(u, request);
    if (refused != NULL) {
        fail_msg("refused: %s", refused);
    }
    return *draft_peek_node(&u->core, slot);
}

/* A person's word about a node that is in the ring: taken only where it is lost or fenced, and who
 * is there now does not say that it is that machine, still up. */
TEST(a_persons_word_is_about_a_node_that_is_gone)
{
    static const struct {
        enum node_state state;
        bool heard;
        bool machine; /* it says it is the same */
        bool boot;
        bool taken;
    } cases[] = {
        {NODE_ADMITTED, true, true, true, false},    {NODE_ADMITTED, true, false, false, false},
        {NODE_ADMITTED, false, false, false, false}, {NODE_LOST, true, true, true, false},
        {NODE_LOST, true, true, false, true},        {NODE_LOST, true, false, true, true},
        {NODE_LOST, true, false, false, true},       {NODE_LOST, false, true, true, true},
        {NODE_FENCED, true, true, true, false},      {NODE_FENCED, true, true, false, true},
        {NODE_FENCED, false, true, true, true},
    };
    struct unit *u = acting();
    struct peer *peer = peers_find(&u->core.local, 3);
    for (size_t i = 0; i < 2 * UNIT_COUNT(cases); i++) {
        enum request_kind kind = i % 2 == 0 ? REQUEST_NODE_FENCE : REQUEST_NODE_REMOVE;
        struct request request = command(kind, "n3", 1);
        request.vouched = true;
        record_of(u, 3)->state = cases[i / 2].state;
        record_of(u, 3)->proofs = PROOF_STORAGE;
        peer->heard = cases[i / 2].heard;
        peer->beat.machine = unit_uuid(cases[i / 2].machine ? 0x13 : 0x99);
        peer->beat.boot = unit_uuid(cases[i / 2].boot ? 0x23 : 0x99);
        if (!cases[i / 2].taken) {
            assert_non_null(strstr(decide(u, &request), "in the ring: power it off first"));
            continue;
        }
        struct node_record node = drafted(u, &request, N3);
        assert_int_equal(node.proofs, PROOF_STORAGE | PROOF_OPERATOR);
        assert_false(node.fence_wanted);
        assert_int_equal(node.removing, kind == REQUEST_NODE_REMOVE);
        assert_non_null(strstr(drafted_entry(u)->cause, "a person vouches that it is dead"));
        assert_int_equal(drafted_entry(u)->nodeid, 3);
    }
    free(u);
}

/* Without such a word nothing is proven by the command itself. */
TEST(a_command_alone_proves_nothing)
{
    struct unit *u = acting();
    record_of(u, 3)->proofs = PROOF_POWER;
    struct request request = command(REQUEST_NODE_FENCE, "n3", 1);
    struct node_record node = drafted(u, &request, N3);
    assert_int_equal(node.proofs, PROOF_POWER);
    assert_true(node.fence_wanted);
    assert_false(node.removing);
    request = command(REQUEST_NODE_REMOVE, "n3", 2);
    node = drafted(u, &request, N3);
    assert_int_equal(node.proofs, PROOF_POWER);
    assert_true(node.removing);
    assert_string_equal(drafted_entry(u)->cause,
                        "n3: removal asked for: fenced first, then forgotten, by ada");
    assert_int_equal(drafted_entry(u)->nodeid, 3);
    free(u);
}

/* What is not lost and not admitted is not fenced once more; a word about it may be given where VMs
 * may wait for that. */
TEST(a_fenced_node_is_fenced_by_word_only)
{
    struct unit *u = acting();
    struct request request = command(REQUEST_NODE_FENCE, "n3", 1);
    record_of(u, 3)->state = NODE_FENCED;
    assert_string_equal(decide(u, &request), "it is fenced, out or removed already");
    record_of(u, 3)->state = NODE_OUT;
    request.vouched = true;
    assert_string_equal(decide(u, &request), "it is fenced, out or removed already");
    free(u);
}

/* ---- back again */

/* One that failed too often is let in at once, as long as it is kept out; one that is out for
 * another reason is not fenced; one that is fenced waits for its end, however often it failed. */
TEST(unfence_is_for_the_fenced_and_the_kept_out)
{
    struct unit *u = acting();
    struct node_record *record = record_of(u, 3);
    struct request request = command(REQUEST_NODE_UNFENCE, "n3", 1);
    record->state = NODE_OUT;
    record->losses = 1;
    record->lost_ms = u->core.local.wall_ms;
    assert_string_equal(decide(u, &request), "it is not fenced");
    record->losses = 3;
    struct node_record node = drafted(u, &request, N3);
    assert_int_equal(node.losses, 0);
    assert_false(node.unfence_wanted);
    assert_string_equal(drafted_entry(u)->cause,
                        "n3: unfence asked for: it is kept out no longer, by ada");
    record->state = NODE_FENCED;
    node = drafted(u, &request, N3);
    assert_int_equal(node.losses, 3);
    assert_true(node.unfence_wanted);
    record->removing = true;
    assert_non_null(strstr(decide(u, &request), "stead cluster join on that node"));
    free(u);
}

/* A removal that is called off is done by that: it is not a node that is in the cluster already. */
TEST(joining_calls_off_a_removal_of_one_that_is_out)
{
    struct unit *u = acting();
    struct request request = command(REQUEST_NODE_JOIN, "n3", 1);
    request.nodeid = 3;
    record_of(u, 3)->state = NODE_OUT;
    record_of(u, 3)->removing = true;
    struct node_record node = drafted(u, &request, N3);
    assert_false(node.removing);
    assert_false(node.unfence_wanted);
    assert_int_equal(node.state, NODE_OUT);
    free(u);
}

static void tombstone(struct unit *u, uint32_t slot, uint32_t nodeid)
{
    struct node_record *node = &u->core.cluster.nodes[slot];
    *node = (struct node_record){.state = NODE_REMOVED, .nodeid = nodeid};
    node->incarnation = (struct incarnation){1, 50 + nodeid};
    node->client = unit_client(nodeid, 77);
    snprintf(node->name, NAME_BYTES, "n%u", nodeid);
}

/* A node that joins takes up its own tombstone; else a free slot, and another's tombstone only when
 * there is no other. */
TEST(a_node_joins_in_its_own_place)
{
    struct unit *u = acting();
    struct request request = command(REQUEST_NODE_JOIN, "n30", 1);
    request.nodeid = 30;
    tombstone(u, 4, 20);
    tombstone(u, 5, 30);
    tombstone(u, 6, 40);
    struct node_record node = drafted(u, &request, 5);
    assert_int_equal(node.state, NODE_FENCED); /* its address entry comes off first */
    assert_true(node.unfence_wanted);
    struct client client = unit_client(30, 77);
    assert_true(client_equal(&node.client, &client));
    request = command(REQUEST_NODE_JOIN, "n31", 2);
    request.nodeid = 31;
    node = drafted(u, &request, 3);
    assert_int_equal(node.nodeid, 31);
    assert_int_equal(node.state, NODE_OUT);
    assert_true(client_is_none(&node.client));
    free(u);
}

/* Restored from a copy, a tombstone names no life; the address that may be barred stays known of
 * its own node, and is nobody else's. */
TEST(a_tombstone_without_a_life_keeps_its_address)
{
    struct unit *u = acting();
    struct request request = command(REQUEST_NODE_JOIN, "n4", 1);
    request.nodeid = 4;
    tombstone(u, 3, 4);
    record_of(u, 4)->incarnation = (struct incarnation){0};
    struct node_record node = drafted(u, &request, 3);
    struct client client = unit_client(4, 77);
    assert_int_equal(node.state, NODE_OUT);
    assert_true(client_equal(&node.client, &client));
    assert_string_equal(drafted_entry(u)->cause, "n4: joined, by ada");
    assert_int_equal(drafted_entry(u)->nodeid, 4);
    for (uint32_t slot = 4; slot < NODES_MAX; slot++) { /* no other slot is left */
        tombstone(u, slot, slot + 1);
        u->core.cluster.nodes[slot].state = NODE_OUT;
    }
    request = command(REQUEST_NODE_JOIN, "n70", 2);
    request.nodeid = 70;
    node = drafted(u, &request, 3);
    assert_int_equal(node.nodeid, 70);
    assert_true(client_is_none(&node.client));
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_persons_word_is_about_a_node_that_is_gone),
        cmocka_unit_test(a_command_alone_proves_nothing),
        cmocka_unit_test(a_fenced_node_is_fenced_by_word_only),
        cmocka_unit_test(unfence_is_for_the_fenced_and_the_kept_out),
        cmocka_unit_test(joining_calls_off_a_removal_of_one_that_is_out),
        cmocka_unit_test(a_node_joins_in_its_own_place),
        cmocka_unit_test(a_tombstone_without_a_life_keeps_its_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
