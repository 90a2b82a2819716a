/* From a backup to a new epoch: no life of before counts, and nothing starts without its lease. */
#include "storage/lease.h"
#include "storage/restore.h"
#include "storage/state.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

static const struct restore order = {
    .epoch = 4, .version = 70, .term = 9, .wall_ms = 5, .start = 77, .by = "ada"};

static struct unit *restored(uint32_t self)
{
    struct unit *u = unit_new(self);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_vm(u, 1, VM_STOPPED, NODE_NONE);
    u->image.nodes[1].state = NODE_FENCED;
    u->image.nodes[1].address_blocked = true;
    u->image.nodes[0].fence_wanted = true;
    u->image.nodes[1].unfence_wanted = true;
    u->image.nodes[0].away_ms = 60000;
    u->image.vms[0].attempts = 3;
    u->image.vms[0].avoid = 1;
    name_set(u->image.vms[0].reason, TEXT_BYTES, "no room");
    memset(&u->image.history[1], 0x41, sizeof(u->image.history[1])); /* of a round before */
    name_set(u->image.header.corosync, NAME_BYTES, "before");
    restore_image(&u->image, &order);
    return u;
}

TEST(the_new_epoch_is_above_all_there_was)
{
    struct unit *u = restored(1);
    assert_int_equal(u->image.header.epoch, 5);
    assert_int_equal(u->image.header.version, 71);
    assert_int_equal(u->image.header.term, 10);
    assert_int_equal(u->image.header.actor, 0);
    assert_int_equal(u->image.header.digest, state_digest(&u->image));
    assert_int_equal(u->image.header.actor_start, 0);
    assert_int_equal(u->image.header.members, 0);
    assert_true(origin_equal(&u->image.header.commit, &(struct origin){0, 77, 1}));
    assert_string_equal(u->image.header.corosync, ""); /* it may be restored under another one */
    free(u);
}

TEST(the_history_goes_on_and_says_so)
{
    struct unit *u = restored(1);
    const struct history_entry *entry = &u->image.history[1];
    assert_int_equal(u->image.header.next_history, 2);
    assert_int_equal(entry->kind, HISTORY_RESTORED);
    assert_int_equal(entry->sequence, 1);
    assert_int_equal(entry->number, 10);
    assert_int_equal(entry->term, 10);
    assert_int_equal(entry->wall_ms, 5);
    assert_int_equal(entry->nodeid, 0);
    assert_string_equal(entry->vm, "");
    assert_non_null(strstr(entry->cause, "version 10"));
    assert_non_null(strstr(entry->cause, "by ada"));
    u->image.header.next_history = 0; /* as of a state whose history never began */
    restore_image(&u->image, &order);
    assert_int_equal(u->image.header.next_history, 2);
    u->image.header.next_history = HISTORY_MAX + 3;
    restore_image(&u->image, &order);
    assert_int_equal(u->image.history[3].sequence, HISTORY_MAX + 3);
    free(u);
}

/* An object that cannot be read may have been of any epoch, this backup's next one among them. */
TEST(unread_it_is_above_all_there_may_have_been)
{
    struct unit *u = unit_new(1);
    struct restore blind = order;
    blind.epoch = 0;
    blind.version = 0;
    blind.wall_ms = UINT64_C(1700000000999);
    restore_image(&u->image, &blind);
    assert_int_equal(u->image.header.epoch, 1700000001);
    free(u);
}

TEST(no_life_of_before_counts)
{
    struct unit *u = restored(1);
    assert_int_equal(u->image.nodes[0].state, NODE_OUT);
    assert_true(incarnation_is_none(u->image.nodes[0].incarnation));
    struct client handle = unit_client(1, 100);
    struct client address = client_address_entry(&handle);
    assert_true(client_equal(&u->image.nodes[0].client, &address)); /* it may be barred */
    assert_int_equal(u->image.nodes[1].state, NODE_FENCED);         /* what was fenced stays so */
    assert_true(u->image.nodes[1].address_blocked);
    assert_int_equal(u->image.vms[0].state, VM_RECOVERING);
    assert_int_equal(u->image.vms[0].node, N3);
    assert_int_equal(u->image.vms[1].state, VM_STOPPED);
    assert_false(u->image.nodes[0].fence_wanted);
    assert_false(u->image.nodes[1].unfence_wanted);
    assert_int_equal(u->image.nodes[0].away_ms, 0);
    assert_int_equal(u->image.vms[0].attempts, 0);
    assert_int_equal(u->image.vms[0].avoid, 0);
    assert_string_equal(u->image.vms[0].reason, "");
    free(u);
}

/* A lost node's address entry may stand: it is taken off as after a fence. Its own may not: it may
 * return with the handle that it has. */
TEST(a_lost_node_counts_as_fenced)
{
    struct unit *u = unit_new(1);
    u->image.nodes[N3].state = NODE_LOST;
    u->image.nodes[N3].proofs = PROOF_OPERATOR;
    restore_image(&u->image, &order);
    assert_int_equal(u->image.nodes[N3].state, NODE_FENCED);
    assert_int_equal(u->image.nodes[N3].proofs, PROOF_OPERATOR | PROOF_STORAGE);
    assert_true(u->image.nodes[N3].address_blocked);
    struct client handle = unit_client(3, 100);
    struct client address = client_address_entry(&handle);
    assert_true(client_equal(&u->image.nodes[N3].client, &address));
    free(u);
}

/* A lease made anew names who has the disks open, at a generation nobody ever had. */
TEST(a_lease_made_anew_is_held)
{
    struct unit *u = restored(1);
    struct clients watchers = {.count = 1, .list = {unit_client(3, 9)}};
    struct lease lease = restore_lease(&u->image, 0, &watchers);
    assert_int_equal(lease.state, LEASE_HELD);
    assert_int_equal(lease.holder, 3);
    assert_true(incarnation_equal(lease.incarnation, u->image.vms[0].incarnation));
    assert_true(action_id_equal(lease.action, u->image.vms[0].action));
    assert_true(uuid_equal(&lease.vm, &u->image.vms[0].uuid));
    assert_int_equal(lease.clients.count, 1);
    assert_int_equal(lease.generation, (5ull << 32) + 1);
    lease = restore_lease(&u->image, 1, &(struct clients){0});
    assert_int_equal(lease.state, LEASE_FREE);
    assert_int_equal(lease.generation, (5ull << 32) + 1);
    free(u);
}

/* As it is, above all that the epoch before knew; raised twice, it goes on. */
TEST(a_lease_that_is_there_is_raised)
{
    struct unit *u = restored(1);
    struct lease seen = unit_lease(u, 0, 3);
    struct lease raised = restore_raise(&u->image, 0, &seen);
    assert_int_equal(raised.generation, (5ull << 32) + 1);
    seen.generation = (5ull << 32) - 1;
    assert_int_equal(restore_raise(&u->image, 0, &seen).generation, (5ull << 32) + 1);
    seen.generation = (5ull << 32) + 1;
    assert_int_equal(restore_raise(&u->image, 0, &seen).generation, (5ull << 32) + 2);
    seen.generation = raised.generation;
    assert_true(lease_is(&raised, &seen)); /* holder, clients and all */
    free(u);
}

/* The lease of a VM that the state has no more may be on its way out, and that of one which it has
 * not stopped, as the backup has, on its way into somebody's hands; so may any where nobody can
 * read the state. */
TEST(a_lease_that_may_change_is_raised)
{
    struct unit *u = restored(1);
    struct cluster *present = &u->core.cluster;
    *present = u->image;
    for (uint32_t slot = 0; slot <= 1; slot++) {
        assert_false(restore_raises(&u->image, slot, present));
        assert_true(restore_raises(&u->image, slot, NULL));
    }
    present->vms[1].state = VM_STARTING;
    assert_true(restore_raises(&u->image, 1, present));
    present->vms[0].state = VM_STARTING; /* it recovers, whatever its lease says */
    assert_false(restore_raises(&u->image, 0, present));
    present->vms[0].uuid = unit_uuid(77);
    assert_true(restore_raises(&u->image, 0, present));
    free(u);
}

/* A start goes by the record: it may know a free lease, and not one that somebody holds. */
TEST(the_record_knows_a_free_lease)
{
    struct unit *u = restored(1);
    struct lease lease = unit_lease(u, 1, 3);
    lease = lease_free(&lease, END_STEAD);
    lease.generation = (5ull << 32) + 2;
    restore_know(&u->image, 1, &lease);
    assert_int_equal(u->image.vms[1].state, VM_STOPPED);
    assert_int_equal(u->image.vms[1].generation, (5ull << 32) + 2);
    assert_int_equal(u->image.header.digest, state_digest(&u->image));
    lease.vm = u->image.vms[0].uuid;
    expect_assert_failure(restore_know(&u->image, 1, &lease));
    free(u);
}

/* What is recovering waits for its lease, whoever holds that. */
TEST(the_record_keeps_the_holder_it_knows)
{
    struct unit *u = restored(1);
    struct lease lease = unit_lease(u, 0, 1);
    const struct vm_record before = u->image.vms[0];
    lease.generation = (5ull << 32) + 1;
    restore_know(&u->image, 0, &lease);
    assert_memory_equal(&u->image.vms[0], &before, sizeof(before));
    assert_int_equal(u->image.header.digest, state_digest(&u->image));
    free(u);
}

/* Stopped in the backup, and started since: it is recovering from whoever holds its lease. */
TEST(one_that_was_started_since_is_recovering)
{
    struct unit *u = restored(1);
    struct lease lease = unit_lease(u, 1, 3);
    const uint64_t before = u->image.vms[1].generation;
    lease.incarnation.number += 6;
    u->image.vms[1].attempts = 3;
    u->image.vms[1].avoid = 1;
    name_set(u->image.vms[1].reason, TEXT_BYTES, "no room");
    u->image.header.digest = state_digest(&u->image);
    restore_know(&u->image, 1, &lease);
    assert_int_equal(u->image.vms[1].state, VM_RECOVERING);
    assert_int_equal(u->image.vms[1].node, N3);
    assert_true(incarnation_equal(u->image.vms[1].incarnation, lease.incarnation));
    assert_int_equal(u->image.vms[1].generation, before);
    assert_int_equal(u->image.vms[1].attempts, 0);
    assert_int_equal(u->image.vms[1].avoid, 0);
    assert_string_equal(u->image.vms[1].reason, "");
    assert_int_equal(u->image.header.digest, state_digest(&u->image));
    u->image.vms[1].state = VM_STOPPED;
    lease.holder = 99; /* a host that the backup does not know */
    restore_know(&u->image, 1, &lease);
    assert_int_equal(u->image.vms[1].state, VM_RECOVERING);
    assert_int_equal(u->image.vms[1].node, NODE_NONE);
    free(u);
}

static enum lease_state lease_made(struct unit *u)
{
    return restore_lease(&u->image, 0, &(struct clients){0}).state;
}

/* Whom the backup does not name, or name with a life, holds nothing; nor does a stopped VM. */
TEST(a_lease_made_anew_is_free_without_a_holder)
{
    struct unit *u = restored(1);
    struct vm_record *vm = &u->image.vms[0];
    vm->node = 0; /* the node with id 1 is one as any */
    assert_int_equal(lease_made(u), LEASE_HELD);
    vm->state = VM_STOPPED;
    assert_int_equal(lease_made(u), LEASE_FREE);
    vm->state = VM_RECOVERING;
    vm->node = NODE_NONE;
    assert_int_equal(lease_made(u), LEASE_FREE);
    vm->node = NODES_MAX;
    assert_int_equal(lease_made(u), LEASE_FREE);
    vm->node = N3;
    vm->incarnation = (struct incarnation){0};
    assert_int_equal(lease_made(u), LEASE_FREE);
    free(u);
}

/* Nobody is admitted, nobody was rebooted: the lowest takes the term with its own admission, ends
 * its guests before, and starts nothing before it has seen the lease. */
TEST(the_lowest_begins_and_asks_the_lease)
{
    struct unit *u = restored(1);
    for (uint32_t id = 1; id <= UNIT_NODES; id++) {
        u->peers[id].incarnation = (struct incarnation){0};
        u->peers[id].able = false;
        u->peers[id].empty = true;
    }
    unit_open(u, unit_client(1, 901));
    unit_ring(u, true, 3, u->ring.nodeids);
    unit_domains(u);
    struct action kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 0);
    unit_none(u, ACTION_BLOCK_ADD); /* the record names an address, and no handle */
    unit_commit(u);
    assert_int_equal(u->core.cluster.header.actor, 1);
    assert_int_equal(u->core.cluster.header.term, 11);
    assert_int_equal(unit_copy_node(u, 1)->state, NODE_ADMITTED);
    assert_int_equal(unit_copy_node(u, 1)->incarnation.epoch, 5);
    struct action read = unit_take(u, ACTION_LEASE_READ);
    assert_true(uuid_equal(&read.lease.lease.vm, &u->image.vms[0].uuid));
    unit_none(u, ACTION_LEASE_CHANGE);
    unit_none(u, ACTION_DOMAIN_CREATE);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_new_epoch_is_above_all_there_was),
        cmocka_unit_test(unread_it_is_above_all_there_may_have_been),
        cmocka_unit_test(no_life_of_before_counts),
        cmocka_unit_test(a_lost_node_counts_as_fenced),
        cmocka_unit_test(a_lease_made_anew_is_held),
        cmocka_unit_test(a_lease_that_is_there_is_raised),
        cmocka_unit_test(a_lease_that_may_change_is_raised),
        cmocka_unit_test(the_record_knows_a_free_lease),
        cmocka_unit_test(the_record_keeps_the_holder_it_knows),
        cmocka_unit_test(one_that_was_started_since_is_recovering),
        cmocka_unit_test(the_lowest_begins_and_asks_the_lease),
        cmocka_unit_test(the_history_goes_on_and_says_so),
        cmocka_unit_test(a_lease_made_anew_is_free_without_a_holder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
