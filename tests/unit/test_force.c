/* Going on without a majority: what it makes of the state, and when it is refused. */
#include "storage/force.h"
#include "tests/unit/unit_core.h"

#define N1 1u /* masks of slots */
#define N2 2u
#define N3 4u

static struct force order(uint64_t here)
{
    return (struct force){.start = 77, .wall_ms = 5, .here = here, .by = "ada"};
}

static bool refused(const struct unit *u, const struct force *force, const char *why)
{
    struct text text;
    return !force_allowed(&u->image, force, &text) && strstr(text.bytes, why) != NULL;
}

static struct unit *forced(void)
{
    struct unit *u = unit_new(1);
    struct force force = order(N1);
    unit_vm(u, 0, VM_RUNNING, 0);
    unit_vm(u, 1, VM_RUNNING, 1);
    u->image.nodes[2].away_ms = 60000;
    u->image.nodes[2].fence_wanted = true;
    u->image.nodes[2].client_only = true;
    u->image.nodes[2].address_blocked = true;
    memset(&u->image.history[1], 0x41, sizeof(u->image.history[1])); /* of a round before */
    force_image(&u->image, &force);
    return u;
}

TEST(everything_under_way_is_left_behind)
{
    struct unit *u = forced();
    const struct header *header = &u->image.header;
    assert_int_equal(header->epoch, 2);
    assert_int_equal(header->term, 4);
    assert_int_equal(header->version, 11);
    assert_int_equal(header->actor, 0);
    assert_int_equal(header->actor_start, 0);
    assert_int_equal(header->members, N1);
    assert_true(origin_equal(&header->commit, &(struct origin){0, 77, 1}));
    assert_int_equal(header->digest, state_digest(&u->image));
    free(u);
}

TEST(the_absent_are_lost_by_a_persons_word)
{
    struct unit *u = forced();
    for (uint32_t slot = 1; slot < 3; slot++) {
        const struct node_record *node = &u->image.nodes[slot];
        assert_int_equal(node->state, NODE_LOST);
        assert_int_equal(node->proofs, PROOF_OPERATOR);
        assert_int_equal(node->incarnation.number, slot + 1);
        assert_false(client_is_none(&node->client)); /* it is to be blocklisted */
        assert_int_equal(node->fence_term, 4);
        assert_int_equal(node->away_ms, 0);
        assert_false(node->client_only);
        assert_false(node->fence_wanted);
    }
    assert_int_equal(mask_count(state_counting(&u->image)), 1);
    free(u);
}

TEST(those_here_keep_their_lives_and_no_vm_is_touched)
{
    struct unit *u = forced();
    struct unit *before = unit_new(1);
    unit_vm(before, 0, VM_RUNNING, 0);
    unit_vm(before, 1, VM_RUNNING, 1);
    assert_memory_equal(&u->image.nodes[0], &before->image.nodes[0], sizeof(struct node_record));
    assert_memory_equal(u->image.vms, before->image.vms, 2 * sizeof(struct vm_record));
    free(before);
    free(u);
}

TEST(the_history_says_who_and_whom)
{
    struct unit *u = forced();
    const struct history_entry *entries = u->image.history;
    assert_int_equal(u->image.header.next_history, 4);
    assert_int_equal(entries[1].kind, HISTORY_FORCED);
    assert_int_equal(entries[1].number, 2);
    assert_int_equal(entries[1].sequence, 1);
    assert_int_equal(entries[1].wall_ms, 5);
    assert_int_equal(entries[1].term, 4);
    assert_int_equal(entries[1].nodeid, 0);
    assert_string_equal(entries[1].vm, "");
    assert_non_null(strstr(entries[1].cause, "n2, n3"));
    assert_non_null(strstr(entries[1].cause, "by ada"));
    assert_int_equal(entries[2].kind, HISTORY_NODE_LOST);
    assert_int_equal(entries[2].nodeid, 2);
    assert_int_equal(entries[3].nodeid, 3);
    free(u);
}

/* Fenced before, or never admitted: nothing is to be fenced, but they do not count either. */
TEST(the_absent_without_a_life_stop_counting)
{
    struct unit *u = unit_new(1);
    struct force force = order(N1);
    u->image.nodes[1].state = NODE_FENCED;
    u->image.nodes[1].proofs = PROOF_STORAGE;
    u->image.nodes[1].unfence_wanted = true;
    u->image.nodes[2].state = NODE_OUT;
    u->image.header.next_history = 0; /* a history that never began */
    force_image(&u->image, &force);
    assert_int_equal(u->image.history[1].sequence, 1);
    assert_int_equal(u->image.header.next_history, 2);
    assert_int_equal(u->image.nodes[1].state, NODE_FENCED);
    assert_false(u->image.nodes[1].unfence_wanted);
    assert_int_equal(u->image.nodes[2].state, NODE_OUT);
    assert_int_equal(mask_count(state_counting(&u->image)), 1);
    free(u);
}

TEST(it_is_refused)
{
    struct unit *u = unit_new(1);
    struct force force = order(N1 | N2 | N3);
    assert_true(refused(u, &force, "nobody is lost"));
    force = order(N1 | N2);
    assert_true(refused(u, &force, "no loss of a majority"));
    force = order(N1);
    force.alive = N1; /* that is us */
    assert_false(refused(u, &force, ""));
    force.alive = N1 | N3;
    assert_true(refused(u, &force, "n3 still writes to the state"));
    force = order(N1);
    u->image.nodes[0].state = NODE_LOST; /* then the others are the cluster */
    assert_true(refused(u, &force, "may go on"));
    assert_true(refused(u, &force, "bring back n2, n3"));
    force = order(0);
    assert_true(refused(u, &force, "bring back n1, n2, n3"));
    free(u);
}

/* Removed nodes are not asked after. */
TEST(the_removed_do_not_count)
{
    struct unit *u = unit_new(1);
    struct force force = order(N1);
    u->image.nodes[2].state = NODE_REMOVED;
    assert_int_equal(force_absent(&u->image, N1), N2);
    assert_false(refused(u, &force, ""));
    u->image.nodes[1].state = NODE_REMOVED;
    assert_true(refused(u, &force, "nobody is lost"));
    free(u);
}

TEST(what_is_refused_is_not_done)
{
    struct unit *u = unit_new(1);
    struct force force = order(N1 | N2);
    expect_assert_failure(force_image(&u->image, &force));
    free(u);
}

/* One of the present, when it reads the new epoch: its life and its guests go on, and as soon as
 * Corosync agrees it fences the others. */
TEST(who_is_here_goes_on_in_the_new_epoch)
{
    struct unit *u = unit_new(1);
    struct force force = order(N1);
    unit_vm(u, 0, VM_RUNNING, 0);
    force_image(&u->image, &force);
    u->ring.quorum = 1;
    unit_open(u, u->image.nodes[0].client);
    unit_ring(u, true, 1, (const uint32_t[]){1});
    unit_commit(u);
    assert_int_equal(u->core.local.life.state, LIFE_ADMITTED);
    assert_int_equal(u->core.cluster.header.epoch, 2);
    assert_int_equal(u->core.cluster.header.actor, 1);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_true(block.block.count > 0);
    unit_none(u, ACTION_KILL);
    free(u);
}

/* One that was given up, when it reads that: it ends what it runs, and begins nothing. */
TEST(who_was_given_up_ends_its_guests)
{
    struct unit *u = unit_new(2);
    struct force force = order(N1);
    force_image(&u->image, &force);
    u->image.header.digest = state_digest(&u->image);
    unit_open(u, u->image.nodes[1].client);
    unit_ring(u, true, 2, (const uint32_t[]){2, 3});
    unit_tick(u);
    assert_int_equal(u->core.local.life.state, LIFE_LOST);
    (void)unit_take(u, ACTION_KILL);
    unit_pass(u, 3000);
    unit_none(u, ACTION_COMMIT);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_under_way_is_left_behind),
        cmocka_unit_test(the_absent_are_lost_by_a_persons_word),
        cmocka_unit_test(those_here_keep_their_lives_and_no_vm_is_touched),
        cmocka_unit_test(the_history_says_who_and_whom),
        cmocka_unit_test(the_absent_without_a_life_stop_counting),
        cmocka_unit_test(it_is_refused),
        cmocka_unit_test(the_removed_do_not_count),
        cmocka_unit_test(what_is_refused_is_not_done),
        cmocka_unit_test(who_is_here_goes_on_in_the_new_epoch),
        cmocka_unit_test(who_was_given_up_ends_its_guests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
