/* What a node's record says after each of its moves, and what the history says of it. We are n1 and
 * act. */
#include "agent/draft.h"
#include "agent/nodes.h"
#include "fencing/proof.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

/* The newest entry of that kind; it must be there, and be about n3. */
static const struct history_entry *told(const struct unit *u, enum history_kind kind)
{
    const struct history_entry *newest = NULL;
    for (uint32_t i = 0; i < HISTORY_MAX; i++) {
        const struct history_entry *entry = &u->core.cluster.history[i];
        if (entry->kind == kind && (newest == NULL || entry->sequence > newest->sequence)) {
            newest = entry;
        }
    }
    assert_non_null(newest);
    assert_int_equal(newest->nodeid, 3);
    return newest;
}

static struct unit *acting(void)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_lead(u);
    return u;
}

/* A person wants n3 fenced, which is here; the commit that names it lost took effect. */
static void fence_by_hand(struct unit *u)
{
    (void)unit_foreign(u);
    struct node_record *node = unit_foreign_node(u, N3);
    node->fence_wanted = true;
    node->away_ms = 777;
    unit_foreign_send(u);
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
}

static void bar(struct unit *u)
{
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_settle(u, 300);
}

/* n3 says that nothing of ours runs there, as it does once it has read that it is lost. */
static void empties_its_hands(struct unit *u)
{
    u->peers[3].empty = true;
    u->peers[3].able = false;
    u->peers[3].version = u->core.cluster.header.version;
}

TEST(a_lost_node_is_no_member_and_not_away)
{
    struct unit *u = acting();
    fence_by_hand(u);
    assert_int_equal(unit_copy_node(u, 3)->away_ms, 0);
    assert_int_equal(u->core.cluster.header.members & 4, 0);
    assert_non_null(strstr(told(u, HISTORY_NODE_LOST)->cause, "an operator asked for its fence"));
    free(u);
}

TEST(a_fenced_node_is_no_longer_to_be_fenced)
{
    struct unit *u = acting();
    fence_by_hand(u);
    bar(u);
    const struct node_record *node = unit_copy_node(u, 3);
    assert_int_equal(node->state, NODE_FENCED);
    assert_false(node->fence_wanted);
    assert_true(node->address_blocked);
    const struct history_entry *entry = told(u, HISTORY_NODE_FENCED);
    assert_int_equal(entry->number, PROOF_STORAGE);
    assert_non_null(strstr(entry->cause, "storage"));
    free(u);
}

/* One fenced by its client only, as its machine was back: no address entry is to come off. */
TEST(without_an_address_entry_the_record_says_so)
{
    struct unit *u = acting();
    u->peers[3].boot = unit_uuid(0x66);
    empties_its_hands(u);
    unit_commit(u);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    assert_false(unit_copy_node(u, 3)->address_blocked);
    free(u);
}

/* The address is spared at the last moment; who acted before us may have barred it all the same. */
TEST(an_address_that_may_be_barred_counts_as_barred)
{
    struct unit *u = acting();
    const uint32_t all[] = {1, 2, 3};
    unit_leave(u, 3);
    struct action commit = unit_take(u, ACTION_COMMIT);
    u->peers[3].boot = unit_uuid(0x66);
    empties_its_hands(u);
    unit_ring(u, true, 3, all);
    unit_beat(u, 3, NULL);
    unit_commit_is(u, &commit, OUTCOME_DONE, NULL);
    bar(u);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    assert_true(unit_copy_node(u, 3)->address_blocked);
    free(u);
}

/* Its own agent's word that its hands are empty is a proof, if it is that life's, and given after
 * the fence began. */
TEST(a_clean_end_is_the_word_of_that_very_life)
{
    for (unsigned i = 0; i < 6; i++) {
        struct unit *u = acting();
        fence_by_hand(u);
        struct beat *beat = &u->peers[3];
        empties_its_hands(u);
        beat->empty = i != 1;
        beat->version -= i == 2;
        beat->machine.bytes[0] ^= i == 3;
        if (i == 4) {
            beat->boot = unit_uuid(0x66);
        } else if (i == 5) { /* neither knows of a boot */
            beat->boot = (struct uuid){{0}};
            u->core.cluster.nodes[N3].boot = beat->boot;
        }
        unit_settle(u, 600);
        assert_int_equal((u->core.local.acting.fences[N3].proofs & PROOF_CLEAN) != 0, i == 0);
        free(u);
    }
}

/* It reads nothing, for its address is barred: it is not the life's before that. By a copy from
 * before the loss it could go on with what it has, were only its client barred. */
TEST(who_reads_nothing_is_believed_once_it_is_barred)
{
    enum { RESTARTED, OLD_COPY, NOT_BARRED, OLD_COPY_CLIENT_ONLY, CASES };
    for (unsigned i = 0; i < CASES; i++) {
        struct unit *u = unit_new(1);
        unit_set(u, "proof", PROOF_POWER);
        unit_vm(u, 0, VM_RUNNING, N3);
        unit_lead(u);
        fence_by_hand(u);
        empties_its_hands(u);
        u->peers[3].version = i == OLD_COPY || i == OLD_COPY_CLIENT_ONLY ? 1 : 0;
        if (i == OLD_COPY_CLIENT_ONLY) {
            u->core.local.acting.fences[N3].address = false;
        }
        if (i != NOT_BARRED) {
            bar(u);
        }
        unit_settle(u, 600);
        bool believed = i == RESTARTED || i == OLD_COPY;
        assert_int_equal(unit_copy_node(u, 3)->state, believed ? NODE_FENCED : NODE_LOST);
        assert_int_equal((unit_copy_node(u, 3)->proofs & PROOF_CLEAN) != 0, believed);
        free(u);
    }
}

TEST(back_from_a_fence_nothing_is_wanted_any_more)
{
    struct unit *u = acting();
    fence_by_hand(u);
    bar(u);
    empties_its_hands(u);
    (void)unit_foreign(u);
    struct node_record *wanted = unit_foreign_node(u, N3);
    wanted->unfence_wanted = wanted->power_on = true;
    wanted->losses = 5;
    unit_foreign_send(u);
    struct action off = unit_take(u, ACTION_BLOCK_REMOVE);
    unit_block(u, &off, OUTCOME_DONE, 0);
    unit_commit(u);
    const struct node_record *node = unit_copy_node(u, 3);
    assert_int_equal(node->state, NODE_OUT);
    assert_false(node->unfence_wanted);
    assert_false(node->address_blocked);
    assert_false(node->power_on);
    assert_int_equal(node->losses, 0); /* a person vouches for it */
    assert_int_equal(node->proofs & PROOF_REBORN, 0);
    assert_false(u->core.local.acting.addresses[N3].off);
    assert_non_null(strstr(told(u, HISTORY_NODE_UNFENCED)->cause, "n3 is back"));
    free(u);
}

/* One that is back by a reboot has proven its end by that, and its failures are not forgotten. */
TEST(back_by_a_reboot_its_failures_count)
{
    struct unit *u = acting();
    fence_by_hand(u);
    bar(u);
    (void)unit_foreign(u);
    unit_foreign_node(u, N3)->losses = 5;
    unit_foreign_send(u);
    empties_its_hands(u);
    u->peers[3].boot = unit_uuid(0x66);
    struct action off = unit_take(u, ACTION_BLOCK_REMOVE);
    unit_block(u, &off, OUTCOME_DONE, 0);
    unit_commit(u);
    const struct node_record *node = unit_copy_node(u, 3);
    assert_int_equal(node->state, NODE_OUT);
    assert_int_equal(node->losses, 5);
    assert_int_equal(node->proofs & PROOF_REBORN, PROOF_REBORN);
    free(u);
}

/* How long its guests stood still is told, by its own clock; one that says nothing of the kind is
 * not readmitted. */
TEST(a_readmission_is_told_with_its_length)
{
    struct unit *u = acting();
    u->peers[3].suspended_ms = u->now_ms - 5000;
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 3)->readmitted_ms, u->peers[3].suspended_ms);
    const struct history_entry *entry = told(u, HISTORY_NODE_READMITTED);
    uint64_t first = entry->sequence;
    assert_in_range(entry->number, 5000, 6000);
    u->peers[3].suspended_ms = 0;
    unit_settle(u, 1000);
    assert_int_equal(told(u, HISTORY_NODE_READMITTED)->sequence, first);
    assert_int_not_equal(unit_copy_node(u, 3)->readmitted_ms, 0);
    u->peers[3].suspended_ms = u->now_ms + 60000; /* no clock of this life says so */
    unit_settle(u, 1000);
    assert_int_equal(told(u, HISTORY_NODE_READMITTED)->number, 0);
    free(u);
}

/* The last one that can act is not lost at a person's word, and its record is kept as ever. */
TEST(the_last_one_is_kept_up_to_date)
{
    struct unit *u = unit_new(1);
    u->peers[2].able = u->peers[3].able = false;
    unit_lead(u);
    (void)unit_foreign(u);
    unit_foreign_node(u, 0)->removing = true;
    unit_foreign_send(u);
    u->core.local.facts.memory_mib = 4096;
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_node(u, 1)->state, NODE_ADMITTED);
    assert_int_equal(unit_copy_node(u, 1)->memory_mib, 4096);
    free(u);
}

/* It had not read of the handle that the state has, so that one it has not ended. */
TEST(a_handle_told_before_is_not_recorded)
{
    struct unit *u = acting();
    struct client second = unit_client(3, 333);
    u->peers[3].epoch = u->core.cluster.header.epoch;
    u->peers[3].version = u->core.cluster.header.version;
    u->peers[3].client = second;
    unit_settle(u, 1000);
    u->peers[3].client = unit_client(3, 334); /* the third one's, at the version of before */
    unit_settle(u, 1000);
    assert_true(client_equal(&unit_copy_node(u, 3)->client, &second));
    u->peers[3].version = u->core.cluster.header.version;
    unit_settle(u, 1000);
    assert_true(client_equal(&unit_copy_node(u, 3)->client, &u->peers[3].client));
    free(u);
}

/* n3 is out and ready to be taken in, its record full of what was. */
static struct unit *n3_out(void)
{
    struct unit *u = unit_new(1);
    struct node_record *node = &u->image.nodes[N3];
    node->state = NODE_OUT;
    node->proofs = PROOF_STORAGE;
    node->client_only = true;
    node->fence_wanted = true;
    node->unfence_wanted = true;
    node->away_ms = 777;
    u->image.header.members = 3;
    struct beat *beat = &u->peers[3];
    beat->incarnation = (struct incarnation){0};
    beat->able = false;
    beat->empty = true;
    beat->client = unit_client(3, 301);
    return u;
}

TEST(an_admission_takes_what_the_node_says_of_itself)
{
    struct unit *u = n3_out();
    struct beat *beat = &u->peers[3];
    beat->machine = unit_uuid(0x71);
    beat->boot = unit_uuid(0x72);
    beat->memory_mib = 4096;
    beat->bmc = (struct bmc_address){.address = "10.1.0.9", .cipher_suite = 17};
    unit_lead(u);
    unit_settle(u, 500);
    const struct node_record *node = unit_copy_node(u, 3);
    assert_int_equal(node->state, NODE_ADMITTED);
    assert_true(uuid_equal(&node->machine, &beat->machine));
    assert_true(uuid_equal(&node->boot, &beat->boot));
    assert_int_equal(node->memory_mib, 4096);
    assert_string_equal(node->bmc.address, "10.1.0.9");
    assert_int_equal(node->proofs, 0);
    assert_int_equal(node->away_ms, 0);
    assert_false(node->client_only);
    assert_int_equal(u->core.cluster.header.members & 4, 4);
    assert_non_null(strstr(told(u, HISTORY_NODE_ADMITTED)->cause, "n3 admitted"));
    free(u);
}

/* A tombstone: nothing is wanted of it, and none is made while a VM refers to the node. */
TEST(a_removed_node_leaves_a_tombstone)
{
    for (unsigned i = 0; i < 3; i++) {
        struct unit *u = n3_out();
        u->image.nodes[N3].removing = u->image.nodes[N3].watchdog = true;
        u->image.nodes[N3].watchdog_fires_ms = u->image.nodes[N3].watchdog_vouch_ms = 7;
        struct vm_record *vm = unit_vm(u, 0, i == 2 ? VM_RECOVERING : VM_STOPPED, N3);
        vm->want = WANT_STOPPED;
        vm->node = i == 0 ? NODE_NONE : N3; /* stopped, a node there holds nothing */
        (void)unit_vm(u, 1, VM_RUNNING, 0);
        unit_lead(u);
        unit_settle(u, 500);
        const struct node_record *node = unit_copy_node(u, 3);
        assert_int_equal(node->state, i == 2 ? NODE_OUT : NODE_REMOVED);
        if (i != 2) {
            assert_false(node->removing || node->fence_wanted || node->unfence_wanted);
            assert_false(node->watchdog);
            assert_int_equal(node->watchdog_fires_ms, 0);
            assert_int_equal(node->watchdog_vouch_ms, 0);
            assert_non_null(strstr(told(u, HISTORY_NODE_REMOVED)->cause, "n3 is removed"));
        }
        free(u);
    }
}

/* More than fit into one commit: the others are the next ones'. */
TEST(many_removals_take_several_commits)
{
    struct unit *u = unit_new(1);
    for (uint32_t slot = UNIT_NODES; slot < NODES_MAX; slot++) {
        struct node_record *node = &u->image.nodes[slot];
        *node = (struct node_record){.nodeid = slot + 1, .state = NODE_OUT, .removing = true};
        node->proofs = PROOF_OPERATOR; /* it does not count for the quorum */
        snprintf(node->name, sizeof(node->name), "n%u", slot + 1);
    }
    unit_lead(u);
    unit_settle(u, 3000);
    for (uint32_t slot = UNIT_NODES; slot < NODES_MAX; slot++) {
        assert_int_equal(u->core.cluster.nodes[slot].state, NODE_REMOVED);
    }
    free(u);
}

/* What was taken off for a return that did not come is not held for taken off after the next fence.
 */
TEST(a_removal_forgets_what_was_taken_off)
{
    struct unit *u = acting();
    fence_by_hand(u);
    bar(u);
    u->core.local.acting.addresses[N3].off = true;
    (void)unit_foreign(u);
    unit_foreign_node(u, N3)->removing = true;
    unit_foreign_vm(u, 0)->node = 1;
    unit_foreign_send(u);
    unit_settle(u, 300);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_REMOVED);
    assert_false(u->core.local.acting.addresses[N3].off);
    free(u);
}

/* Whatever a life before was fenced by, asked of it and promised, its admission anew ends: above
 * all a watchdog's word, on which a proof may rest. */
TEST(an_admission_ends_what_was_of_the_life_before)
{
    struct unit *u = unit_new(2); /* with no commit of its own under way */
    unit_start(u);
    struct node_record *node = &u->core.cluster.nodes[N3];
    struct beat *beat = &u->peers[3];
    node->proofs = PROOF_POWER;
    node->client_only = node->address_blocked = node->power_on = node->watchdog = true;
    node->fence_wanted = node->unfence_wanted = true;
    node->away_ms = node->watchdog_fires_ms = node->watchdog_vouch_ms = 7;
    node->readmitted_ms = 7;
    node->feature_level = FEATURE_LEVEL - 1;
    node->bmc.verified = true;
    name_set(beat->devices[0].name, DEVICE_NAME_BYTES, "pdu");
    name_set(beat->devices[0].agent, DEVICE_AGENT_BYTES, "fence_apc");
    node->devices[0] = beat->devices[0];
    node->devices[0].standing = DEVICE_VERIFIED;
    beat->empty = true;
    draft_begin(&u->core);
    u->core.local.draft.delta.header.members = 1;
    nodes_draft_admit(&u->core, N3, beat);
    const struct node_record *next = draft_peek_node(&u->core, N3);
    assert_int_equal(next->state, NODE_ADMITTED);
    assert_int_equal(next->proofs, 0);
    assert_false(next->client_only || next->address_blocked || next->power_on || next->watchdog);
    assert_false(next->fence_wanted || next->unfence_wanted);
    assert_int_equal(next->away_ms, 0);
    assert_int_equal(next->watchdog_fires_ms, 0);
    assert_int_equal(next->watchdog_vouch_ms, 0);
    assert_int_equal(next->readmitted_ms, 0);
    assert_false(next->bmc.verified);
    assert_string_equal(next->devices[0].name, "pdu");
    assert_int_equal(next->devices[0].standing, DEVICE_UNKNOWN);
    assert_int_equal(next->feature_level, FEATURE_LEVEL);
    uint64_t version = u->core.cluster.header.version + 1;
    assert_int_equal(u->core.local.acting.handle_version[N3], version);
    assert_int_equal(u->core.local.draft.delta.header.members, 5);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_told_before_is_not_recorded),
        cmocka_unit_test(a_lost_node_is_no_member_and_not_away),
        cmocka_unit_test(a_fenced_node_is_no_longer_to_be_fenced),
        cmocka_unit_test(without_an_address_entry_the_record_says_so),
        cmocka_unit_test(an_address_that_may_be_barred_counts_as_barred),
        cmocka_unit_test(a_clean_end_is_the_word_of_that_very_life),
        cmocka_unit_test(who_reads_nothing_is_believed_once_it_is_barred),
        cmocka_unit_test(back_from_a_fence_nothing_is_wanted_any_more),
        cmocka_unit_test(back_by_a_reboot_its_failures_count),
        cmocka_unit_test(a_readmission_is_told_with_its_length),
        cmocka_unit_test(the_last_one_is_kept_up_to_date),
        cmocka_unit_test(an_admission_takes_what_the_node_says_of_itself),
        cmocka_unit_test(a_removed_node_leaves_a_tombstone),
        cmocka_unit_test(many_removals_take_several_commits),
        cmocka_unit_test(a_removal_forgets_what_was_taken_off),
        cmocka_unit_test(an_admission_ends_what_was_of_the_life_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
