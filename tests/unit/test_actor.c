/* Who acts, and when: the order in line, the term, and that nothing is done before it is committed.
 */
#include "agent/actor.h"
#include "agent/query.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

/* We are n2 and n1, who held the term, is gone. */
static struct unit *n1_gone(void)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    unit_leave(u, 1);
    return u;
}

static bool commits(struct unit *u, uint64_t ms)
{
    unit_pass(u, ms);
    return unit_logged(u, ACTION_COMMIT) > 0;
}

static bool wants_term(const struct unit *u)
{
    return u->delta.header.term == u->delta.base_term + 1;
}

/* The lowest able node takes the next term, naming the members of the ring. */
TEST(the_lowest_able_takes_the_term)
{
    struct unit *u = n1_gone();
    unit_commit(u);
    const struct header *header = &u->core.cluster.header;
    assert_int_equal(header->term, 4);
    assert_int_equal(header->actor, 2);
    assert_int_equal(header->actor_start, 1002);
    assert_int_equal(header->members, 6);
    assert_true(actor_holds(&u->core));
    free(u);
}

/* A lower one whose agent ends again and again is passed over. */
TEST(a_restless_node_comes_last)
{
    struct unit *u = unit_new(3);
    unit_start(u);
    u->peers[2].restarts = 5;
    unit_beat(u, 2, NULL);
    unit_leave(u, 1);
    assert_true(commits(u, 500)); /* at once, not for a wait that was too long */
    assert_int_equal(u->delta.header.actor, 3);
    free(u);
}

/* A node with a lower able one beside it leaves the term to that one. */
TEST(a_lower_able_node_goes_first)
{
    struct unit *u = unit_new(3);
    unit_start(u);
    unit_leave(u, 1);
    assert_false(commits(u, 1000));
    free(u);
}

/* Lower but not able does not count: it is passed over at once. */
TEST(a_lower_node_that_is_not_able_is_passed_over)
{
    struct unit *u = unit_new(3);
    unit_start(u);
    u->peers[2].able = false;
    unit_beat(u, 2, NULL);
    unit_leave(u, 1);
    assert_true(commits(u, 500));
    assert_int_equal(u->delta.header.actor, 3);
    free(u);
}

/* The present actor goes on while it is able, though a lower one could act. */
TEST(the_present_actor_goes_on)
{
    struct unit *u = unit_new(1);
    u->image.header.actor = 2;
    u->image.header.actor_start = 1002;
    unit_start(u);
    assert_false(commits(u, 1500));
    free(u);
}

/* ... by its present process: one that was started anew stands in line by its id. */
TEST(an_actor_that_was_restarted_does_not_go_first)
{
    struct unit *u = unit_new(1);
    u->image.header.actor = 2;
    u->image.header.actor_start = 555;
    unit_start(u);
    assert_true(commits(u, 500));
    assert_true(wants_term(u));
    free(u);
}

/* An actor whose agent was started anew does not act by its old term: the next one is taken. */
TEST(a_restarted_actor_takes_a_new_term)
{
    struct unit *u = unit_new(1);
    u->image.header.actor_start = 555;
    unit_start(u);
    unit_commit(u);
    assert_int_equal(u->core.cluster.header.term, 4);
    assert_int_equal(u->core.cluster.header.actor_start, 1001);
    free(u);
}

/* Without freshness nothing is committed and nothing done outside. */
TEST(not_fresh_means_nothing)
{
    struct unit *u = unit_new(1);
    const uint32_t alone[] = {1};
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_lead(u);
    unit_forget(u);
    unit_ring(u, false, 1, alone);
    unit_pass(u, 20000);
    unit_none(u, ACTION_COMMIT);
    unit_none(u, ACTION_BLOCK_ADD);
    unit_none(u, ACTION_POWER);
    free(u);
}

/* A ring that Corosync calls quorate, with nobody answering in it, is no reason to act. */
TEST(a_livelocked_ring_means_nothing)
{
    struct unit *u = n1_gone();
    unit_forget(u);
    u->silent[3] = true;
    u->silent[2] = true;
    struct action commit;
    (void)unit_find(u, ACTION_COMMIT, &commit);
    unit_pass(u, 3000);
    unit_forget(u);
    unit_pass(u, 20000);
    unit_none(u, ACTION_COMMIT);
    free(u);
}

/* A copy that is known to be old is no ground to decide on. */
TEST(a_stale_copy_means_nothing)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    u->core.local.storage.stale = true;
    unit_pass(u, 50);
    unit_leave(u, 1);
    assert_false(commits(u, 1000));
    free(u);
}

/* A stalled actor, able by its words, is overtaken after actor_ms by the next in line; in a state
 * that was just made as well. */
TEST(a_stalled_actor_is_overtaken)
{
    for (uint64_t version = 1; version <= 10; version += 9) {
        struct unit *u = unit_new(2);
        unit_vm(u, 0, VM_STOPPED, NODE_NONE); /* owed a start, and n1 does nothing */
        u->image.header.version = version;
        unit_start(u);
        assert_false(commits(u, u->core.cluster.settings.actor_ms - 500));
        assert_true(commits(u, 1000));
        assert_true(wants_term(u));
        free(u);
    }
}

/* ... and the one after that only when twice the time has passed. */
TEST(the_third_in_line_waits_longer)
{
    struct unit *u = unit_new(3);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE);
    unit_start(u);
    assert_false(commits(u, 2 * u->core.cluster.settings.actor_ms - 500));
    assert_true(commits(u, 1000));
    free(u);
}

static void note_terms(struct unit *u, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        u->image.history[i + 1].kind = HISTORY_TERM;
        u->image.history[i + 1].sequence = i + 1;
    }
    u->image.header.next_history = count + 1;
}

/* Terms that change hands and bring nothing: the line goes on ever more slowly ... */
TEST(a_round_of_idle_terms_slows_the_line)
{
    struct unit *u = unit_new(2);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE);
    note_terms(u, 3); /* all three had their turn */
    unit_start(u);
    assert_false(commits(u, 2 * u->core.cluster.settings.actor_ms - 500));
    assert_true(commits(u, 1000));
    assert_true(wants_term(u));
    free(u);
}

/* ... but at an eighth of its pace it stays. */
TEST(the_line_never_stops)
{
    struct unit *u = unit_new(2);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE);
    note_terms(u, 100);
    unit_start(u);
    assert_false(commits(u, 8 * u->core.cluster.settings.actor_ms - 500));
    assert_true(commits(u, 1000));
    free(u);
}

/* One other decision since, the last or the one before, and it goes at its pace again. */
TEST(a_term_that_decided_something_is_not_idle)
{
    for (uint32_t sequence = 8; sequence <= 9; sequence++) {
        struct unit *u = unit_new(2);
        unit_vm(u, 0, VM_STOPPED, NODE_NONE);
        note_terms(u, 9);
        u->image.history[sequence].kind = HISTORY_VM_RUNNING;
        unit_start(u);
        assert_true(commits(u, u->core.cluster.settings.actor_ms + 500));
        free(u);
    }
}

/* An actor that commits is not stalled: waiting starts anew with each version. */
TEST(a_busy_actor_is_not_overtaken)
{
    struct unit *u = unit_new(2);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE);
    unit_start(u);
    for (unsigned i = 0; i < 6; i++) {
        assert_false(commits(u, 2000));
        (void)unit_foreign(u);
        unit_foreign_node(u, 2)->memory_mib += 1;
        unit_foreign_send(u);
    }
    free(u);
}

/* Nothing owed, nobody is overtaken. */
TEST(an_idle_actor_is_not_overtaken)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    assert_false(commits(u, 20000));
    free(u);
}

/* A term names lost only those who left with VMs on them. */
TEST(a_term_names_lost_only_nodes_with_vms)
{
    struct unit *u = unit_new(2);
    const uint32_t two[] = {2, 3};
    unit_vm(u, 0, VM_RUNNING, 0);
    unit_start(u);
    unit_ring(u, true, 2, two);
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 1)->state, NODE_LOST);
    assert_int_equal(unit_copy_node(u, 1)->fence_term, 4);
    free(u);
    u = n1_gone();
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 1)->state, NODE_ADMITTED);
    free(u);
}

/* Until the commit of the term is answered, nothing is done outside. */
TEST(no_action_before_the_commits_answer)
{
    struct unit *u = unit_new(2);
    unit_vm(u, 0, VM_RUNNING, 0);
    unit_start(u);
    unit_leave(u, 1);
    struct action commit = unit_take(u, ACTION_COMMIT);
    unit_pass(u, 1000);
    unit_none(u, ACTION_BLOCK_ADD);
    unit_none(u, ACTION_LEASE_READ);
    unit_none(u, ACTION_SEND_DELTA);
    unit_commit_is(u, &commit, OUTCOME_DONE, NULL);
    (void)unit_take(u, ACTION_BLOCK_ADD);
    (void)unit_take(u, ACTION_SEND_DELTA);
    free(u);
}

/* A commit of unknown outcome is sent again with the same bytes, and nothing else is committed. */
TEST(an_unknown_commit_is_sent_again)
{
    struct unit *u = n1_gone();
    struct action commit = unit_take(u, ACTION_COMMIT);
    struct delta *first = malloc(sizeof(*first));
    *first = u->delta;
    unit_commit_is(u, &commit, OUTCOME_UNKNOWN, NULL);
    commit = unit_take(u, ACTION_COMMIT);
    assert_memory_equal(&u->delta, first, sizeof(*first));
    assert_false(actor_holds(&u->core));
    unit_commit_is(u, &commit, OUTCOME_REFUSED, &first->header);
    assert_true(actor_holds(&u->core));
    free(first);
    free(u);
}

/* A commit that another's came before is dropped, and the state read again before anything else. */
TEST(a_refused_commit_reads_again)
{
    struct unit *u = n1_gone();
    struct action commit = unit_take(u, ACTION_COMMIT);
    struct header other = u->core.cluster.header;
    other.version++;
    other.term++;
    other.actor = 3;
    other.commit = (struct origin){3, 1003, 1};
    unit_commit_is(u, &commit, OUTCOME_REFUSED, &other);
    (void)unit_take(u, ACTION_STATE_READ);
    assert_false(commits(u, 1000));
    assert_false(actor_holds(&u->core));
    free(u);
}

/* An actor whose term another took holds nothing any more: its fences stop. */
TEST(a_deposed_actor_stops)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_lead(u);
    unit_leave(u, 3);
    unit_commit(u);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    (void)unit_foreign(u);
    u->foreign.header.term++;
    u->foreign.header.actor = 2;
    u->foreign.header.actor_start = 1002;
    unit_foreign_send(u);
    assert_false(actor_holds(&u->core));
    unit_block(u, &block, OUTCOME_UNKNOWN, 0);
    unit_forget(u);
    unit_pass(u, 3000);
    unit_none(u, ACTION_BLOCK_ADD);
    unit_none(u, ACTION_LEASE_READ);
    free(u);
}

/* A new actor finds the unfinished work of the old one in the state alone. */
TEST(a_new_actor_needs_no_memory)
{
    struct unit *u = unit_new(2);
    unit_vm(u, 0, VM_RUNNING, N3);
    u->image.nodes[N3].state = NODE_LOST;
    u->image.header.members = 3;
    u->ring.count = 2;
    u->ring.nodeids[0] = 2;
    u->ring.nodeids[1] = 1;
    u->peers[1].able = false;
    unit_start(u);
    unit_commit(u);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&block.block, unit_client(3, 300)));
    (void)unit_take(u, ACTION_LEASE_READ);
    free(u);
}

/* A VM's removal that is seen done only by reading the state takes its lease along all the same. */
TEST(a_removal_seen_late_takes_its_lease_along)
{
    struct unit *u = unit_new(1);
    struct vm_record *vm = unit_vm(u, 0, VM_STOPPED, NODE_NONE);
    vm->want = WANT_STOPPED;
    vm->removing = true;
    struct uuid uuid = vm->uuid;
    unit_lead(u);
    struct action commit = unit_take(u, ACTION_COMMIT);
    u->image = u->core.cluster;
    assert_true(state_apply(&u->image, &u->delta));
    u->core.local.storage.stale = true;
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_DONE);
    unit_commit_is(u, &commit, OUTCOME_UNKNOWN, NULL);
    struct action removal = unit_take(u, ACTION_LEASE_REMOVE);
    assert_true(uuid_equal(&removal.lease.lease.vm, &uuid));
    assert_int_equal(removal.lease.lease.generation, UNIT_GENERATION);
    free(u);
}

/* An actor with a new handle records it in the very write that takes the term. */
TEST(a_new_handle_is_recorded_with_the_term)
{
    struct unit *u = unit_new(1);
    unit_open(u, unit_client(1, 999));
    unit_ring(u, true, 3, u->ring.nodeids);
    unit_domains(u);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_commit(u);
    struct client own = unit_client(1, 999);
    assert_true(wants_term(u));
    assert_true(client_equal(&unit_copy_node(u, 1)->client, &own));
    free(u);
}

static struct unit *all_rebooted(uint32_t self)
{
    struct unit *u = unit_all_rebooted(self);
    unit_vm(u, 0, VM_RUNNING, N3);
    return u;
}

static void come_back(struct unit *u)
{
    unit_open(u, unit_client(u->self, 900 + u->self));
    unit_ring(u, true, 3, u->ring.nodeids);
    unit_domains(u);
    struct action kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 0);
    struct action block = unit_take(u, ACTION_BLOCK_ADD); /* our handle of before */
    unit_block(u, &block, OUTCOME_DONE, 0);
}

/* After all lost power the lowest that is back takes the term with its own admission, under a new
 * life. */
TEST(after_all_lost_power_the_lowest_begins)
{
    struct unit *u = all_rebooted(1);
    come_back(u);
    unit_commit(u);
    const struct node_record *own = unit_copy_node(u, 1);
    assert_int_equal(u->core.cluster.header.actor, 1);
    assert_int_equal(u->core.cluster.header.members, 1);
    assert_int_equal(own->state, NODE_ADMITTED);
    assert_int_equal(own->incarnation.number, UNIT_NODES + 1);
    assert_int_equal(u->core.local.life.state, LIFE_ADMITTED);
    free(u);
}

/* ... and no other, nor anybody while one of the ring is admitted and able, or is not heard. */
TEST(nobody_else_begins)
{
    struct unit *u = all_rebooted(2);
    come_back(u);
    assert_false(commits(u, 2000));
    free(u);
    u = all_rebooted(1);
    u->peers[3] = (struct beat){0};
    unit_fill_node(u, 3); /* n3 never went down */
    come_back(u);
    assert_false(commits(u, 2000));
    free(u);
    u = all_rebooted(1);
    u->silent[3] = true;
    come_back(u);
    assert_false(commits(u, 2000));
    free(u);
}

/* Hosts of another cluster, pointed at this pool under the same Corosync name (Debian ships one):
 * their node ids are here as other machines. They take no term, and end no handle but their own. */
TEST(other_machines_under_our_node_ids_begin_nothing)
{
    struct unit *u = all_rebooted(1);
    char text[TEXT_BYTES];
    for (uint32_t id = 1; id <= UNIT_NODES; id++) {
        u->peers[id].machine = unit_uuid((uint8_t)(0x40 + id));
    }
    u->facts.machine = u->peers[1].machine;
    unit_open(u, unit_client(9, 901));
    unit_ring(u, true, 3, u->ring.nodeids);
    unit_domains(u);
    struct action kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 0);
    assert_false(commits(u, 10000));
    unit_none(u, ACTION_BLOCK_ADD);
    query_situation(&u->core, u->now_ms, text);
    assert_non_null(strstr(text, "as another machine"));
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_able_takes_the_term),
        cmocka_unit_test(a_restless_node_comes_last),
        cmocka_unit_test(a_lower_able_node_goes_first),
        cmocka_unit_test(a_lower_node_that_is_not_able_is_passed_over),
        cmocka_unit_test(the_present_actor_goes_on),
        cmocka_unit_test(an_actor_that_was_restarted_does_not_go_first),
        cmocka_unit_test(a_restarted_actor_takes_a_new_term),
        cmocka_unit_test(not_fresh_means_nothing),
        cmocka_unit_test(a_livelocked_ring_means_nothing),
        cmocka_unit_test(a_stale_copy_means_nothing),
        cmocka_unit_test(a_stalled_actor_is_overtaken),
        cmocka_unit_test(the_third_in_line_waits_longer),
        cmocka_unit_test(a_round_of_idle_terms_slows_the_line),
        cmocka_unit_test(the_line_never_stops),
        cmocka_unit_test(a_term_that_decided_something_is_not_idle),
        cmocka_unit_test(a_busy_actor_is_not_overtaken),
        cmocka_unit_test(an_idle_actor_is_not_overtaken),
        cmocka_unit_test(a_term_names_lost_only_nodes_with_vms),
        cmocka_unit_test(no_action_before_the_commits_answer),
        cmocka_unit_test(an_unknown_commit_is_sent_again),
        cmocka_unit_test(a_refused_commit_reads_again),
        cmocka_unit_test(a_deposed_actor_stops),
        cmocka_unit_test(a_new_actor_needs_no_memory),
        cmocka_unit_test(a_removal_seen_late_takes_its_lease_along),
        cmocka_unit_test(a_new_handle_is_recorded_with_the_term),
        cmocka_unit_test(after_all_lost_power_the_lowest_begins),
        cmocka_unit_test(nobody_else_begins),
        cmocka_unit_test(other_machines_under_our_node_ids_begin_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
