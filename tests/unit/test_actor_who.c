/* Whom the actor waits for, what its term says, and how long a commit may be on its way. */
#include "agent/actor.h"
#include "tests/unit/unit_core.h"

#define N1 0 /* slot */

/* Hands empty, a new handle open, and our handle of before barred. */
static void come_back(struct unit *u)
{
    unit_open(u, unit_client(2, 902));
    unit_ring(u, true, 3, u->ring.nodeids);
    unit_domains(u);
    struct action kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 0);
    if (unit_logged(u, ACTION_BLOCK_ADD) > 0) { /* a fence has barred it already */
        struct action block = unit_take(u, ACTION_BLOCK_ADD);
        unit_block(u, &block, OUTCOME_DONE, 0);
    }
}

/* Does n2 take the term, as it does if n1 cannot? */
static bool begins(struct unit *u)
{
    come_back(u);
    unit_pass(u, 1000);
    bool does = unit_logged(u, ACTION_COMMIT) > 0;
    free(u);
    return does;
}

/* The lowest that could be admitted begins; one that could not is not waited for. */
TEST(who_could_not_be_admitted_is_not_waited_for)
{
    assert_false(begins(unit_all_rebooted(2))); /* n1 does */
    for (unsigned i = 0; i < 7; i++) {
        struct unit *u = unit_all_rebooted(2);
        struct node_record *node = &u->image.nodes[N1];
        struct beat *beat = &u->peers[1];
        beat->empty = i != 0;
        beat->halted = i == 1;
        beat->storage = i != 2;
        beat->client = i == 3 ? (struct client){{0}} : i == 4 ? node->client : beat->client;
        beat->machine = i == 5 ? unit_uuid(0x77) : beat->machine;
        node->state = i == 6 ? NODE_FENCED : node->state;
        assert_true(begins(u));
    }
}

/* An admitted life is over once its host was booted anew, or says itself that it has no part in it.
 */
TEST(a_life_that_may_still_be_is_not_waited_for)
{
    for (unsigned i = 0; i < 4; i++) {
        struct unit *u = unit_all_rebooted(2);
        const struct node_record *node = &u->image.nodes[N1];
        bool booted = (i & 1) != 0;
        bool without = (i & 2) != 0;
        u->peers[1].boot = booted ? u->peers[1].boot : node->boot;
        u->peers[1].incarnation = without ? (struct incarnation){0} : node->incarnation;
        assert_int_equal(begins(u), !booted && !without); /* else n1 does */
    }
}

/* One that was fenced, and could be let in again, begins if all others are as it is, or cannot. */
TEST(who_was_fenced_begins_where_nobody_else_can)
{
    for (unsigned i = 0; i < 4; i++) {
        struct unit *u = unit_all_rebooted(2);
        u->image.nodes[1].state = NODE_FENCED;
        u->peers[1].storage = false;
        u->peers[3].storage = i == 1; /* n3 could, and is not fenced */
        u->image.nodes[1].boot = i == 2 ? u->facts.boot : u->image.nodes[1].boot;
        u->image.nodes[1].removing = i == 3;
        assert_int_equal(begins(u), i == 0);
    }
}

/* ... nor whom the state does not know, or remembers as removed, and who says nothing. */
TEST(outsiders_are_not_waited_for)
{
    for (unsigned i = 0; i < 3; i++) {
        struct unit *u = unit_all_rebooted(2);
        u->silent[1] = true;
        if (i == 0) {
            memset(&u->image.nodes[N1], 0, sizeof(u->image.nodes[N1]));
        } else if (i == 1) {
            u->image.nodes[N1].state = NODE_REMOVED;
        }
        assert_int_equal(begins(u), i < 2);
    }
}

static const char *why_nobody_acts(const struct unit *u)
{
    static struct text text;
    text = (struct text){0};
    return actor_tell_none(&u->core, &text) ? text.bytes : "somebody may";
}

/* One of ours that says nothing is waited for like a host that may be booting, and people are told;
 * then it is nobody any more, whether it spoke before or not. */
TEST(a_silent_one_is_waited_for_so_long)
{
    for (unsigned i = 0; i < 2; i++) {
        struct unit *u = unit_all_rebooted(2);
        unit_set(u, "grace_ms", 20000);
        unit_fill_node(u, 1); /* admitted, and never away */
        u->silent[1] = i == 0;
        u->peers[3].storage = false; /* could not begin */
        come_back(u);
        unit_pass(u, 15000);
        assert_int_equal(strcmp(why_nobody_acts(u), "somebody may") == 0, i == 1);
        if (i == 1) {
            u->silent[1] = true;
            unit_pass(u, 15000);
        }
        unit_none(u, ACTION_COMMIT);
        assert_non_null(strstr(why_nobody_acts(u), "the agent of n1 is silent"));
        assert_non_null(strstr(why_nobody_acts(u), "for 20 s (grace_ms)"));
        unit_pass(u, 5100);
        assert_int_equal(unit_logged(u, ACTION_COMMIT), 1);
        assert_non_null(strstr(why_nobody_acts(u), "stead status on each"));
        free(u);
    }
}

/* What a heartbeat said of a handle that is gone admits nobody: who begins waits for his own to
 * come round with the handle he has now. The ring's other members are not the term's. */
TEST(who_begins_is_admitted_with_the_handle_he_has)
{
    struct unit *u = unit_all_rebooted(2);
    u->silent[3] = true;
    u->peers[1].storage = false;
    u->image.nodes[1].fence_wanted = true; /* of the life before, which is over */
    come_back(u);
    unit_pass(u, 600);
    u->polls_hang = true;
    unit_pass(u, 600);
    struct event event = unit_event(EVENT_POLL, u->core.local.storage.poll_call.id);
    event.poll.outcome = OUTCOME_BLOCKLISTED;
    u->silent[2] = true;
    unit_step(u, &event);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_handle(u, &open, OUTCOME_DONE, unit_client(2, 903));
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_DONE);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
    u->silent[3] = false; /* comes back as well, which nobody has to wait for */
    unit_pass(u, 400);
    assert_true(peers_speaks(&u->core, peers_see(&u->core, 2)));
    assert_true(peers_speaks(&u->core, peers_see(&u->core, 3)));
    unit_none(u, ACTION_COMMIT);
    u->silent[2] = false;
    unit_commit(u);
    struct client own = unit_client(2, 903);
    assert_true(client_equal(&unit_copy_node(u, 2)->client, &own));
    assert_false(unit_copy_node(u, 2)->fence_wanted);
    assert_int_equal(u->core.cluster.header.members, 2);
    free(u);
}

/* One that is out is known by its name, on whatever machine; a life may go on only on the very one.
 */
TEST(one_that_is_out_may_have_another_machine)
{
    struct unit *u = unit_all_rebooted(2);
    u->image.nodes[N1].state = NODE_OUT;
    u->peers[1].machine = unit_uuid(0x77);
    assert_false(begins(u));
    u = unit_all_rebooted(2);
    u->image.nodes[N1].state = NODE_OUT;
    u->peers[1].machine = unit_uuid(0x77);
    name_set(u->peers[1].name, NAME_BYTES, "other");
    assert_true(begins(u));
}

/* Our agent was restarted again and again of late. */
static void restless(struct unit *u)
{
    u->core.local.facts.restarts = 5;
    u->core.local.facts.steady_ms = u->now_ms + 60000;
    unit_pass(u, 400); /* our own heartbeat says so */
    unit_forget(u);
}

/* Whose agent ends again and again leaves the term to a steady one, though that has a higher id. */
TEST(a_restless_one_leaves_it_to_a_steady_one)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    restless(u);
    unit_leave(u, 1);
    unit_pass(u, 1000);
    unit_none(u, ACTION_COMMIT);
    free(u);
}

/* ... and, where it acts, goes on with what is owed, but takes no further term itself. */
TEST(a_restless_actor_goes_on_till_it_is_relieved)
{
    struct unit *u = unit_new(1);
    unit_lead(u);
    restless(u);
    u->peers[3].memory_mib += 1024;
    unit_commit(u);
    assert_int_equal(unit_copy_node(u, 3)->memory_mib, u->peers[3].memory_mib);
    assert_int_equal(u->core.cluster.header.term, 4);
    unit_leave(u, 3);
    unit_pass(u, 1000);
    unit_none(u, ACTION_COMMIT);
    free(u);
}

/* What its members are is in each term: one that is missing calls for the next, and a wait that
 * ended by itself, in the same version, overtakes nobody. */
TEST(a_wait_that_is_over_overtakes_nobody)
{
    static const uint32_t all[] = {1, 2, 3};
    struct unit *u = unit_new(2);
    unit_start(u);
    unit_leave(u, 3);
    unit_pass(u, u->core.cluster.settings.actor_ms - 500);
    assert_int_not_equal(u->core.local.acting.waits_since_ms, 0);
    unit_ring(u, true, 3, all);
    unit_pass(u, 5000);
    unit_none(u, ACTION_COMMIT);
    unit_leave(u, 3);
    unit_pass(u, u->core.cluster.settings.actor_ms - 500);
    unit_none(u, ACTION_COMMIT);
    unit_pass(u, 1000);
    assert_int_equal(unit_logged(u, ACTION_COMMIT), 1);
    assert_int_equal(u->delta.header.members, 3);
    free(u);
}

/* A command that nobody answers, and a fact that nobody commits, are waited for no longer. */
TEST(commands_and_facts_do_not_wait_for_a_stalled_actor)
{
    for (unsigned i = 0; i < 2; i++) {
        struct unit *u = unit_new(2);
        const struct vm_record *vm = unit_vm(u, 0, VM_STARTING, 2);
        struct request request = {.kind = REQUEST_CONFIG_SET, .id = {2, 1002, 1}};
        struct event event = unit_event(EVENT_REQUEST, 0);
        event.request = &request;
        name_set(request.name, NAME_BYTES, "able_ms");
        unit_start(u);
        if (i == 0) {
            unit_step(u, &event);
        } else {
            u->peers[3].observation_count = 1;
            u->peers[3].observations[0] = (struct observation){
                .vm = vm->uuid, .kind = OBSERVED_RUNNING, .action = vm->action};
        }
        unit_pass(u, u->core.cluster.settings.actor_ms - 500);
        unit_none(u, ACTION_COMMIT);
        unit_pass(u, 1000);
        assert_int_equal(unit_logged(u, ACTION_COMMIT), 1);
        free(u);
    }
}

static struct unit *n1_gone(void)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    unit_leave(u, 1);
    return u;
}

TEST(a_term_says_who_took_it_and_why_it_may)
{
    struct unit *u = unit_new(2);
    name_set(u->ring.cluster, NAME_BYTES, "lab");
    unit_start(u);
    unit_leave(u, 1);
    unit_commit(u);
    const struct history_entry *entry = &u->core.cluster.history[1];
    assert_int_equal(entry->kind, HISTORY_TERM);
    assert_int_equal(entry->nodeid, 2);
    assert_string_equal(entry->cause, "n2 takes term 4: quorum is 2, in the ring are 2");
    assert_string_equal(u->core.cluster.header.corosync, "lab");
    free(u);
}

/* What was asked for in a term before says nothing in this one. */
TEST(a_term_begins_with_empty_hands)
{
    struct unit *u = n1_gone();
    u->core.local.acting.fences[N1].proofs = PROOF_STORAGE;
    u->core.local.acting.barriers[0].vm = unit_uuid(9);
    u->core.local.acting.barrier_end = 1;
    u->core.local.acting.vm_retry_ms[7] = u->now_ms + 60000;
    unit_commit(u);
    assert_int_equal(u->core.local.acting.term, 4);
    assert_int_equal(u->core.local.acting.fences[N1].proofs, 0);
    assert_int_equal(u->core.local.acting.vm_retry_ms[7], 0);
    assert_int_equal(u->core.local.acting.barrier_end, 0);
    assert_true(uuid_is_zero(&u->core.local.acting.barriers[0].vm));
    free(u);
}

/* The name that the state has of its Corosync cluster stays, however short. */
TEST(a_term_leaves_the_clusters_name)
{
    struct unit *u = unit_new(2);
    name_set(u->image.header.corosync, NAME_BYTES, "x");
    unit_start(u);
    unit_leave(u, 1);
    unit_commit(u);
    assert_string_equal(u->core.cluster.header.corosync, "x");
    free(u);
}

/* A handle that was told before its node could read this term may be one it had before. */
TEST(a_term_takes_no_handle_told_before_it)
{
    struct unit *u = unit_new(1);
    unit_lead(u);
    u->peers[3].client = unit_client(3, 999);
    u->peers[3].epoch = u->core.cluster.header.epoch;
    u->peers[3].version = u->core.cluster.header.version - 1;
    unit_pass(u, 1000);
    unit_none(u, ACTION_COMMIT);
    u->peers[3].version++;
    unit_commit(u);
    assert_true(client_equal(&unit_copy_node(u, 3)->client, &u->peers[3].client));
    free(u);
}

/* Only what removes a VM takes its lease along. */
TEST(a_start_takes_no_lease_along)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE);
    unit_lead(u);
    unit_commit(u);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    unit_none(u, ACTION_LEASE_REMOVE);
    free(u);
}

/* The answer to a commit tells as well that we were put out. */
TEST(a_commit_may_find_us_blocklisted)
{
    struct unit *u = n1_gone();
    struct action commit = unit_take(u, ACTION_COMMIT);
    unit_commit_is(u, &commit, OUTCOME_BLOCKLISTED, NULL);
    assert_int_equal(u->core.local.life.state, LIFE_LOST);
    free(u);
}

/* A commit of unknown fate is sent again after a pause; one never answered, after its time. */
TEST(a_commit_is_sent_again_in_its_time)
{
    struct unit *u = n1_gone();
    struct action commit = unit_take(u, ACTION_COMMIT);
    unit_commit_is(u, &commit, OUTCOME_UNKNOWN, NULL);
    unit_pass(u, u->core.cluster.settings.retry_ms / 4 - UNIT_TICK_MS);
    unit_none(u, ACTION_COMMIT);
    unit_pass(u, 2 * UNIT_TICK_MS);
    assert_true(unit_find(u, ACTION_COMMIT, &commit));
    unit_pass(u, u->core.cluster.settings.call_ms);
    unit_none(u, ACTION_COMMIT);
    unit_pass(u, 3000);
    commit = unit_take(u, ACTION_COMMIT);
    unit_commit_is(u, &commit, OUTCOME_DONE, NULL);
    assert_true(actor_holds(&u->core));
    assert_int_equal(u->core.local.committed.header.version, u->core.cluster.header.version);
    assert_int_equal(u->core.local.storage.newest_ms, u->now_ms);
    free(u);
}

/* Nobody is overtaken for a wait that is over. */
TEST(a_wait_ends_with_what_was_waited_for)
{
    struct unit *u = unit_new(2);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE);
    unit_start(u);
    unit_pass(u, u->core.cluster.settings.actor_ms - 500);
    assert_int_not_equal(u->core.local.acting.waits_since_ms, 0);
    (void)unit_foreign(u);
    unit_foreign_vm(u, 0)->want = WANT_STOPPED;
    unit_foreign_send(u);
    unit_pass(u, 5000);
    assert_int_equal(u->core.local.acting.waits_since_ms, 0);
    unit_none(u, ACTION_COMMIT);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_could_not_be_admitted_is_not_waited_for),
        cmocka_unit_test(a_life_that_may_still_be_is_not_waited_for),
        cmocka_unit_test(who_was_fenced_begins_where_nobody_else_can),
        cmocka_unit_test(outsiders_are_not_waited_for),
        cmocka_unit_test(a_silent_one_is_waited_for_so_long),
        cmocka_unit_test(who_begins_is_admitted_with_the_handle_he_has),
        cmocka_unit_test(one_that_is_out_may_have_another_machine),
        cmocka_unit_test(a_restless_one_leaves_it_to_a_steady_one),
        cmocka_unit_test(a_restless_actor_goes_on_till_it_is_relieved),
        cmocka_unit_test(a_wait_that_is_over_overtakes_nobody),
        cmocka_unit_test(commands_and_facts_do_not_wait_for_a_stalled_actor),
        cmocka_unit_test(a_term_says_who_took_it_and_why_it_may),
        cmocka_unit_test(a_term_begins_with_empty_hands),
        cmocka_unit_test(a_term_leaves_the_clusters_name),
        cmocka_unit_test(a_term_takes_no_handle_told_before_it),
        cmocka_unit_test(a_start_takes_no_lease_along),
        cmocka_unit_test(a_commit_may_find_us_blocklisted),
        cmocka_unit_test(a_commit_is_sent_again_in_its_time),
        cmocka_unit_test(a_wait_ends_with_what_was_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
