/* Operators' commands: done once, answered when committed, and refused without a trace. We are n1
 * and act. */
#include "tests/unit/unit_request.h"

/* A command is answered only once it is committed. */
TEST(no_answer_before_the_commit)
{
    struct unit *u = acting();
    struct request request = vm_add("new", 1, 1);
    give(u, &request);
    struct action sent = unit_take(u, ACTION_SEND_REQUEST);
    struct request copy = sent.request;
    give(u, &copy);
    struct action commit = unit_take(u, ACTION_COMMIT);
    unit_none(u, ACTION_ANSWER);
    unit_commit_is(u, &commit, OUTCOME_DONE, NULL);
    struct action answer = unit_take(u, ACTION_ANSWER);
    assert_int_equal(answer.reply.verdict, VERDICT_DONE);
    free(u);
}

/* A command asked again, by its node or of the next actor, changes nothing twice. */
TEST(a_command_is_done_once)
{
    struct unit *u = acting();
    struct request request = vm_add("new", 1, 1);
    check_accepted(u, &request);
    uint64_t version = u->core.cluster.header.version;
    for (unsigned i = 0; i < 3; i++) {
        give(u, &request);
        unit_settle(u, 200);
    }
    assert_int_equal(u->core.cluster.header.version, version);
    free(u);
}

/* A command that arrives twice before its commit is done once, too. */
TEST(a_command_heard_twice_is_done_once)
{
    struct unit *u = acting();
    struct request request = vm_add("new", 1, 1);
    request.id = (struct origin){3, 1003, 1}; /* given on n3 */
    give(u, &request);
    give(u, &request);
    unit_settle(u, 500);
    unsigned entries = 0;
    for (unsigned i = 0; i < HISTORY_MAX; i++) {
        entries += origin_equal(&u->core.cluster.history[i].request, &request.id);
    }
    assert_int_equal(entries, 1);
    free(u);
}

/* A node that does not act leaves a delivered command to the actor. */
TEST(only_the_actor_decides)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    struct request request = vm_add("new", 1, 1);
    request.id = (struct origin){3, 1003, 1};
    give(u, &request);
    unit_pass(u, 1000);
    unit_none(u, ACTION_COMMIT);
    unit_none(u, ACTION_SEND_REPLY);
    free(u);
}

/* A command given on a node that does not act is sent until the state shows it; then it is
 * answered. */
TEST(a_command_is_sent_until_committed)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    struct request request = vm_add("new", 1, 1);
    request.id = (struct origin){2, 1002, 1};
    give(u, &request);
    (void)unit_take(u, ACTION_SEND_REQUEST);
    (void)unit_take(u, ACTION_SEND_REQUEST);
    unit_none(u, ACTION_ANSWER);
    (void)unit_foreign(u);
    struct record *record = &u->foreign.records[u->foreign.count++];
    *record = (struct record){.kind = RECORD_HISTORY, .slot = 1};
    record->history = (struct history_entry){.sequence = 1, .request = request.id};
    unit_foreign_send(u);
    assert_int_equal(unit_take(u, ACTION_ANSWER).reply.verdict, VERDICT_DONE);
    unit_forget(u);
    unit_pass(u, 2000);
    unit_none(u, ACTION_SEND_REQUEST);
    free(u);
}

/* A command that was answered is not taken for a new one when its own multicast comes round. */
TEST(an_answered_command_is_not_new)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    struct request request = vm_add("new", 1, 1);
    request.id = (struct origin){2, 1002, 1};
    give(u, &request);
    (void)unit_take(u, ACTION_SEND_REQUEST);
    struct event refused = unit_event(EVENT_REPLY, 0);
    refused.reply = (struct reply){.id = request.id, .text = "no"};
    assert_true(request_waits(&u->core));
    unit_step(u, &refused);
    struct reply reply = unit_take(u, ACTION_ANSWER).reply;
    assert_int_equal(reply.verdict, VERDICT_REFUSED);
    assert_false(request_waits(&u->core));
    give(u, &request);
    unit_pass(u, 1000);
    unit_none(u, ACTION_SEND_REQUEST);
    unit_none(u, ACTION_ANSWER);
    free(u);
}

/* Full of commands under way, a node refuses the next one at once. */
TEST(too_many_commands_are_refused)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    struct request request = vm_add("new", 1, 1);
    for (uint64_t i = 1; i <= REQUESTS_MAX + 1; i++) {
        unit_none(u, ACTION_ANSWER);
        unit_forget(u);
        request.id = (struct origin){2, 1002, i};
        give(u, &request);
    }
    struct reply reply = unit_take(u, ACTION_ANSWER).reply;
    assert_int_equal(reply.verdict, VERDICT_REFUSED);
    assert_int_equal(reply.id.counter, REQUESTS_MAX + 1);
    assert_non_null(strstr(reply.text, "too many commands"));
    free(u);
}

/* A command that nobody commits is given up with the truth: its outcome is unknown. */
TEST(a_command_nobody_commits_is_given_up)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    struct request request = vm_add("new", 1, 1);
    request.id = (struct origin){2, 1002, 1};
    give(u, &request);
    u->core.local.storage.stale = true; /* nor do we act ourselves */
    unit_pass(u, 31000);
    struct reply reply = unit_take(u, ACTION_ANSWER).reply;
    assert_int_equal(reply.verdict, VERDICT_UNKNOWN);
    assert_non_null(strstr(reply.text, "unknown: no commit in 30 s"));
    assert_non_null(strstr(reply.text, "stead history"));
    free(u);
}

/* Without quorum the operator is told so; it may have been committed before, or be later. */
TEST(without_quorum_the_operator_is_told)
{
    struct unit *u = unit_new(2);
    const uint32_t alone[] = {2};
    unit_start(u);
    unit_ring(u, false, 1, alone);
    struct request request = vm_add("new", 1, 1);
    request.id = (struct origin){2, 1002, 1};
    give(u, &request);
    unit_pass(u, 31000);
    struct reply reply = unit_take(u, ACTION_ANSWER).reply;
    assert_int_equal(reply.verdict, VERDICT_UNKNOWN);
    assert_non_null(strstr(reply.text, "unknown: no quorum here"));
    free(u);
}

/* ---- VMs */

/* A VM is added as asked, stopped, at the generation its lease was found. */
TEST(a_vm_is_added)
{
    struct unit *u = acting();
    struct request request = vm_add("new", 1, 1);
    request.generation = 17;
    request.priority = 5;
    request.stop_timeout_ms = 4000;
    check_accepted(u, &request);
    const struct vm_record *vm = unit_copy_vm(u, state_find_vm(&u->core.cluster, "new"));
    assert_int_equal(vm->state, VM_STOPPED);
    assert_int_equal(vm->generation, 17);
    assert_int_equal(vm->priority, 5);
    assert_true(uuid_equal(&vm->uuid, &request.uuid));
    free(u);
}

/* An older agent that acts would add it without its class, or answer nothing. */
TEST(no_class_is_asked_of_older_agents)
{
    struct unit *u = unit_new(1);
    u->image.header.feature_level = LEVEL_CLASSES - 1;
    unit_lead(u);
    struct request request = vm_add("db", 9, 1);
    name_set(request.value, NAME_BYTES, "gold");
    give(u, &request);
    unit_none(u, ACTION_SEND_REQUEST);
    struct action answer = unit_take(u, ACTION_ANSWER);
    assert_int_equal(answer.reply.verdict, VERDICT_REFUSED);
    assert_non_null(strstr(answer.reply.text, "upgrade them first"));
    request = vm_add("db", 9, 2); /* of none */
    give(u, &request);
    (void)unit_take(u, ACTION_SEND_REQUEST);
    free(u);
}

/* Wanted on a certain node, it is started there with its adding. */
TEST(a_vm_is_started_where_asked)
{
    struct unit *u = acting();
    struct request request = vm_add("new", 1, 1);
    request.want = WANT_RUNNING;
    name_set(request.on, NAME_BYTES, "n3");
    check_accepted(u, &request);
    const struct vm_record *vm = unit_copy_vm(u, state_find_vm(&u->core.cluster, "new"));
    assert_int_equal(vm->state, VM_STARTING);
    assert_int_equal(vm->node, N3);
    request = vm_add("off", 2, 2); /* wanted stopped */
    name_set(request.on, NAME_BYTES, "n3");
    check_accepted(u, &request);
    vm = unit_copy_vm(u, state_find_vm(&u->core.cluster, "off"));
    assert_int_equal(vm->state, VM_STOPPED);
    free(u);
}

/* What cannot be added is refused with the reason, and changes nothing. */
TEST(unlawful_adds_are_refused)
{
    struct unit *u = acting();
    struct request request = vm_add("vm0", 1, 1);
    check_refused(u, &request, "of that name");
    request = vm_add("new", 0x80, 2);
    check_refused(u, &request, "of that UUID");
    request = vm_add("new", 0, 3);
    check_refused(u, &request, "not prepared");
    request = vm_add("new", 1, 4);
    request.generation = 0;
    check_refused(u, &request, "not prepared");
    request = vm_add("new", 1, 5);
    name_set(request.on, NAME_BYTES, "n9");
    check_refused(u, &request, "no such node");
    request = vm_add("new", 1, 6);
    name_set(request.on, NAME_BYTES, "n3");
    request.memory_mib = 9000;
    check_refused(u, &request, "memory");
    u->peers[3].able = false;
    unit_settle(u, 500);
    request.id.counter = 7;
    request.memory_mib = 100;
    check_refused(u, &request, "is here, but takes no VM yet");
    unit_leave(u, 3);
    unit_settle(u, 500);
    request.id.counter = 8;
    check_refused(u, &request, "not online");
    free(u);
}

/* Two adds of one name that reach the actor together: one is done, the other refused. */
TEST(two_adds_of_one_name_at_once)
{
    struct unit *u = acting();
    struct request a = vm_add("new", 1, 1);
    struct request b = vm_add("new", 2, 1);
    a.id = (struct origin){2, 1002, 1};
    b.id = (struct origin){3, 1003, 1};
    (void)unit_foreign(u);
    unit_foreign_node(u, 1)->memory_mib = 5000; /* so that a commit is under way */
    unit_foreign_send(u);
    (void)unit_take(u, ACTION_COMMIT);
    give(u, &a);
    give(u, &b);
    struct event done = unit_event(EVENT_COMMIT, u->core.local.commit.call.id);
    done.commit.outcome = OUTCOME_DONE;
    unit_step(u, &done);
    unit_settle(u, 500);
    unsigned count = 0;
    for (uint32_t i = 0; i < u->core.cluster.vm_end; i++) {
        count += name_equal(u->core.cluster.vms[i].name, "new");
    }
    assert_int_equal(count, 1);
    free(u);
}

/* ... and two of one UUID, which would be two VMs under one lease. */
TEST(two_adds_of_one_uuid_at_once)
{
    struct unit *u = acting();
    struct request a = vm_add("one", 1, 1);
    struct request b = vm_add("two", 1, 1);
    a.id = (struct origin){2, 1002, 1};
    b.id = (struct origin){3, 1003, 1};
    (void)unit_foreign(u);
    unit_foreign_node(u, 1)->memory_mib = 5000;
    unit_foreign_send(u);
    (void)unit_take(u, ACTION_COMMIT);
    give(u, &a);
    give(u, &b);
    struct event done = unit_event(EVENT_COMMIT, u->core.local.commit.call.id);
    done.commit.outcome = OUTCOME_DONE;
    unit_step(u, &done);
    unit_settle(u, 500);
    unsigned count = 0;
    for (uint32_t i = 0; i < u->core.cluster.vm_end; i++) {
        count += uuid_equal(&u->core.cluster.vms[i].uuid, &a.uuid);
    }
    assert_int_equal(count, 1);
    free(u);
}

/* Start and stop change what is wanted, and forget failures of before. */
TEST(start_and_stop_change_the_want)
{
    struct unit *u = acting();
    struct request request = command(REQUEST_VM_START, "vm0", 1);
    check_accepted(u, &request);
    assert_int_equal(unit_copy_vm(u, 0)->want, WANT_RUNNING);
    request = command(REQUEST_VM_STOP, "vm1", 2);
    request.stop_timeout_ms = 1234;
    check_accepted(u, &request);
    assert_int_equal(unit_copy_vm(u, 1)->want, WANT_STOPPED);
    assert_int_equal(unit_copy_vm(u, 1)->stop_timeout_ms, 1234);
    request = command(REQUEST_VM_START, "nobody", 3);
    check_refused(u, &request, "no such VM");
    free(u);
}

/* Only a stopped VM that is wanted stopped is removed. */
TEST(only_a_stopped_vm_is_removed)
{
    struct unit *u = acting();
    struct request request = command(REQUEST_VM_REMOVE, "vm1", 1);
    check_refused(u, &request, "not stopped");
    request = command(REQUEST_VM_REMOVE, "nobody", 2);
    check_refused(u, &request, "no such VM");
    request = command(REQUEST_VM_REMOVE, "vm0", 3);
    check_accepted(u, &request);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_FREE);
    free(u);
}

/* ---- nodes */

/* A node joins as out: it is admitted only when its hands are empty. */
TEST(a_node_joins)
{
    struct unit *u = acting();
    struct request request = command(REQUEST_NODE_JOIN, "n4", 1);
    request.nodeid = 4;
    check_accepted(u, &request);
    assert_int_equal(u->core.cluster.nodes[3].state, NODE_OUT);
    request = command(REQUEST_NODE_JOIN, "n5", 2);
    request.nodeid = 4;
    check_refused(u, &request, "already");
    request = command(REQUEST_NODE_JOIN, "n4", 3);
    request.nodeid = 5;
    check_refused(u, &request, "name");
    free(u);
}

/* A fence asked for takes the node, whatever it says itself. */
TEST(a_fence_is_asked_for)
{
    struct unit *u = acting();
    struct request request = command(REQUEST_NODE_FENCE, "n3", 1);
    check_accepted(u, &request);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    free(u);
}

/* A fence is refused for a stranger, for the acting node, and for one that is fenced already. */
TEST(unlawful_fences_are_refused)
{
    struct unit *u = acting();
    struct request request = command(REQUEST_NODE_FENCE, "n9", 1);
    check_refused(u, &request, "no such node");
    request = command(REQUEST_NODE_FENCE, "n1", 2);
    check_refused(u, &request, "acting");
    request = command(REQUEST_NODE_FENCE, "n3", 3);
    request.vouched = true;
    check_refused(u, &request, "in the ring");
    (void)unit_foreign(u);
    unit_foreign_node(u, N3)->state = NODE_FENCED;
    unit_foreign_send(u);
    request = command(REQUEST_NODE_FENCE, "n3", 4);
    check_refused(u, &request, "already");
    free(u);
}

/* A person's word for a lost node is a proof in its record. */
TEST(a_persons_word_is_a_proof)
{
    struct unit *u = unit_new(1);
    unit_set(u, "proof", PROOF_POWER);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_lead(u);
    unit_leave(u, 3);
    unit_commit(u);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_LOST);
    struct request request = command(REQUEST_NODE_FENCE, "n3", 1);
    request.vouched = true;
    check_accepted(u, &request);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    free(u);
}

/* Unfence is for a fenced node only. */
TEST(unfence_is_for_the_fenced)
{
    struct unit *u = acting();
    struct request request = command(REQUEST_NODE_UNFENCE, "n9", 1);
    check_refused(u, &request, "no such node");
    request = command(REQUEST_NODE_UNFENCE, "n3", 2);
    check_refused(u, &request, "not fenced");
    (void)unit_foreign(u);
    unit_foreign_node(u, N3)->state = NODE_LOST;
    unit_foreign_send(u);
    request.id.counter = 3;
    check_refused(u, &request, "not ended");
    (void)unit_foreign(u);
    unit_foreign_node(u, N3)->state = NODE_FENCED;
    unit_foreign_send(u);
    u->peers[3].empty = false;
    request.id.counter = 4;
    check_accepted(u, &request);
    assert_true(unit_copy_node(u, 3)->unfence_wanted);
    free(u);
}

static struct request config_set(const char *name, const char *value, uint64_t counter)
{
    struct request request = command(REQUEST_CONFIG_SET, name, counter);
    name_set(request.value, NAME_BYTES, value);
    return request;
}

/* A setting is in force once committed, with who set it and when; its history entry says from what
 * to what. "default" takes it back and says by whom. */
TEST(a_setting_is_set)
{
    struct unit *u = acting();
    struct request set = config_set("fresh_ms", "2s", 31);
    check_accepted(u, &set);
    const struct setting_record *record = &u->core.cluster.set[settings_find("fresh_ms")->slot];
    assert_int_equal(u->core.cluster.settings.fresh_ms, 2000);
    assert_string_equal(record->by, "ada");
    assert_true(record->given && record->set_ms > 1600000000000);
    const struct history_entry *entry = state_find_request(&u->core.cluster, &set.id);
    assert_int_equal(entry->kind, HISTORY_SETTING);
    assert_string_equal(entry->cause, "fresh_ms: 1s -> 2s, by ada");
    struct request back = config_set("fresh_ms", "default", 32);
    check_accepted(u, &back);
    assert_int_equal(u->core.cluster.settings.fresh_ms, 1000);
    assert_false(record->given);
    assert_string_equal(state_find_request(&u->core.cluster, &back.id)->cause,
                        "fresh_ms: 2s -> 1s (default), by ada");
    free(u);
}

/* Two settings of one commit are judged together, each by what was drafted before it. */
TEST(settings_of_one_commit_agree)
{
    struct unit *u = acting();
    struct request both[2] = {config_set("able_ms", "10s", 41), config_set("poll_ms", "5s", 42)};
    for (unsigned i = 0; i < 2; i++) {
        give(u, &both[i]);
        struct request copy = unit_take(u, ACTION_SEND_REQUEST).request;
        u->core.local.acting.inbox[u->core.local.acting.inbox_count++] = copy;
    }
    unit_settle(u, 200);
    assert_int_equal(u->core.cluster.settings.poll_ms, 5000);
    assert_int_equal(u->core.cluster.settings.able_ms, 10000);
    unit_forget(u);
    struct request bad = config_set("able_ms", "9s", 43);
    check_refused(u, &bad, "set able_ms to 10s or more, or poll_ms to 4500ms or less");
    free(u);
}

/* What a newer release set under a number we do not know lives through our commits. */
TEST(a_foreign_setting_survives)
{
    struct unit *u = unit_new(1);
    struct setting_record foreign = {.set_ms = 9, .value = 7, .given = true, .by = "eve"};
    u->image.set[SETTINGS_MAX - 1] = foreign;
    unit_lead(u);
    struct request set = config_set("beat_ms", "300", 51);
    check_accepted(u, &set);
    assert_memory_equal(&u->core.cluster.set[SETTINGS_MAX - 1], &foreign, sizeof(foreign));
    struct request unknown = config_set("no_such", "1", 52);
    check_refused(u, &unknown, "there is no setting 'no_such': see stead config list");
    struct request near = config_set("beat", "300", 53);
    check_refused(u, &near, "did you mean 'beat_ms' (50ms to 2s)?");
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_answer_before_the_commit),
        cmocka_unit_test(a_command_is_done_once),
        cmocka_unit_test(a_command_heard_twice_is_done_once),
        cmocka_unit_test(only_the_actor_decides),
        cmocka_unit_test(a_command_is_sent_until_committed),
        cmocka_unit_test(an_answered_command_is_not_new),
        cmocka_unit_test(too_many_commands_are_refused),
        cmocka_unit_test(a_command_nobody_commits_is_given_up),
        cmocka_unit_test(without_quorum_the_operator_is_told),
        cmocka_unit_test(a_vm_is_added),
        cmocka_unit_test(no_class_is_asked_of_older_agents),
        cmocka_unit_test(a_vm_is_started_where_asked),
        cmocka_unit_test(unlawful_adds_are_refused),
        cmocka_unit_test(two_adds_of_one_name_at_once),
        cmocka_unit_test(two_adds_of_one_uuid_at_once),
        cmocka_unit_test(start_and_stop_change_the_want),
        cmocka_unit_test(only_a_stopped_vm_is_removed),
        cmocka_unit_test(a_node_joins),
        cmocka_unit_test(a_fence_is_asked_for),
        cmocka_unit_test(unlawful_fences_are_refused),
        cmocka_unit_test(a_persons_word_is_a_proof),
        cmocka_unit_test(unfence_is_for_the_fenced),
        cmocka_unit_test(a_setting_is_set),
        cmocka_unit_test(settings_of_one_commit_agree),
        cmocka_unit_test(a_foreign_setting_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
