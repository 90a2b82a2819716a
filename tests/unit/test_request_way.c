/* Commands on their way: kept by the node they are given on, gathered by the acting node, and each
 * answered once. */
#include "tests/unit/unit_request.h"

/* ---- where it is given: n2, which does not act */

static struct unit *asked(void)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    return u;
}

static struct request start_of(const char *vm, uint32_t nodeid, uint64_t counter)
{
    struct request request = command(REQUEST_VM_START, vm, counter);
    request.id = (struct origin){nodeid, 1000 + nodeid, counter};
    return request;
}

static void replied(struct unit *u, const struct request *request, enum verdict verdict)
{
    struct event event = unit_event(EVENT_REPLY, 0);
    event.reply = (struct reply){.id = request->id, .verdict = verdict, .text = "so"};
    unit_step(u, &event);
}

/* Another's commit; with a history entry of that command, if there is one. */
static void foreign_commit(struct unit *u, const struct request *request)
{
    (void)unit_foreign(u);
    if (request != NULL) {
        struct record *record = &u->foreign.records[u->foreign.count++];
        *record = (struct record){.kind = RECORD_HISTORY, .slot = 1};
        record->history = (struct history_entry){.sequence = 1, .request = request->id};
    }
    unit_foreign_send(u);
}

/* Only so many are under way at once, but a node is never through with taking them. */
TEST(a_node_takes_any_number_one_after_another)
{
    struct unit *u = asked();
    for (uint64_t i = 1; i <= 2 * REQUESTS_MAX; i++) {
        struct request request = start_of("vm0", 2, i);
        give(u, &request);
        (void)unit_take(u, ACTION_SEND_REQUEST);
        replied(u, &request, VERDICT_REFUSED);
        assert_int_equal(unit_take(u, ACTION_ANSWER).reply.id.counter, i);
        assert_false(request_waits(&u->core));
        unit_forget(u);
    }
    free(u);
}

/* The step that shows it answers it. */
TEST(a_command_is_answered_in_the_step_that_shows_it)
{
    struct unit *u = asked();
    struct request request = start_of("vm0", 2, 1);
    give(u, &request);
    unit_pass(u, 1000);
    foreign_commit(u, &request);
    assert_int_equal(unit_logged(u, ACTION_ANSWER), 1);
    free(u);
}

/* A commit that does not show it holds nothing up: it is sent again when that is due. */
TEST(a_commit_about_others_holds_no_command_up)
{
    struct unit *u = asked();
    struct request request = start_of("vm0", 2, 1);
    give(u, &request);
    unit_forget(u);
    u->polls_hang = true; /* so that there is this one step */
    memset(u->silent, true, sizeof(u->silent));
    u->now_ms += 500;
    foreign_commit(u, NULL);
    assert_int_equal(unit_logged(u, ACTION_SEND_REQUEST), 1);
    unit_none(u, ACTION_ANSWER);
    free(u);
}

/* Where a step has no room left for all of them, the next one answers the others; none is
 * forgotten, though the copy is looked through only once. */
TEST(many_that_one_commit_does_are_answered_as_room_permits)
{
    struct unit *u = asked();
    struct unit_alone *alone = unit_alone_new();
    for (uint64_t i = 1; i <= 3; i++) {
        struct request request = start_of("vm0", 2, i);
        give(u, &request);
        struct history_entry *entry = &u->core.cluster.history[i];
        *entry = (struct history_entry){.sequence = i, .request = request.id};
    }
    u->core.cluster.header.version++;
    alone->caller.now_ms = u->now_ms;
    alone->out.count = ACTIONS_EACH - 1; /* one more */
    request_carry_on(&u->core, &alone->caller);
    assert_int_equal(alone->out.count, ACTIONS_EACH);
    assert_int_equal(alone->out.list[ACTIONS_EACH - 1].reply.id.counter, 1);
    assert_true(alone->caller.full);
    alone->out.count = 0;
    request_carry_on(&u->core, &alone->caller);
    assert_int_equal(alone->out.count, 2);
    assert_int_equal(alone->out.list[0].reply.id.counter, 2);
    assert_int_equal(alone->out.list[1].reply.id.counter, 3);
    assert_false(request_waits(&u->core));
    free(alone);
    free(u);
}

/* Accepted by word alone is not done: only the state says so. */
TEST(an_actors_yes_is_not_an_answer)
{
    struct unit *u = asked();
    struct request request = start_of("vm0", 2, 1);
    give(u, &request);
    replied(u, &request, VERDICT_DONE);
    unit_pass(u, 1000);
    unit_none(u, ACTION_ANSWER);
    free(u);
}

/* What an earlier agent of this node was given, or another node, is not ours to send. */
TEST(only_its_own_commands_are_sent)
{
    struct unit *u = asked();
    struct request request = start_of("vm0", 2, 1);
    request.id.agent_start--;
    give(u, &request);
    request = start_of("vm0", 3, 2);
    request.id.agent_start = 1002;
    give(u, &request);
    unit_pass(u, 1000);
    unit_none(u, ACTION_SEND_REQUEST);
    assert_false(request_waits(&u->core));
    free(u);
}

/* Another Corosync's cluster takes no command from here, and is not asked. */
TEST(a_foreign_pool_takes_no_command)
{
    struct unit *u = asked();
    u->core.local.storage.trouble = STATE_ELSEWHERE;
    struct request request = start_of("vm0", 2, 1);
    give(u, &request);
    struct reply reply = unit_take(u, ACTION_ANSWER).reply;
    assert_int_equal(reply.verdict, VERDICT_REFUSED);
    assert_non_null(strstr(reply.text, "under another Corosync: stead status"));
    unit_none(u, ACTION_SEND_REQUEST);
    assert_false(request_waits(&u->core));
    free(u);
}

/* ---- of whom it is asked */

static void check_asked(struct unit *u, uint32_t epoch, uint64_t term)
{
    struct tenure tenure = unit_take(u, ACTION_SEND_REQUEST).request.tenure;
    assert_int_equal(tenure.epoch, epoch);
    assert_int_equal(tenure.term, term);
}

static void refused_in(struct unit *u, const struct request *request, uint32_t epoch, uint64_t term)
{
    struct event event = unit_event(EVENT_REPLY, 0);
    event.reply = (struct reply){.id = request->id, .tenure = {epoch, term}, .text = "no"};
    unit_step(u, &event);
}

/* Another takes the next term. */
static void next_term(struct unit *u)
{
    unit_foreign(u)->header.term++;
    unit_foreign_send(u);
}

/* n3's heartbeat, of such a copy. */
static void heard_of(struct unit *u, uint32_t epoch, uint64_t term)
{
    u->peers[3].epoch = epoch;
    u->peers[3].term = term;
    unit_beat(u, 3, NULL);
}

/* Of two that think that they act one may do what the other refuses: the later one is asked, at
 * once, and then the word of the earlier one is none. */
TEST(only_the_latest_term_refuses)
{
    struct unit *u = asked();
    struct request request = start_of("vm0", 2, 1);
    uint64_t term = u->core.cluster.header.term;
    give(u, &request);
    check_asked(u, 1, term);
    unit_forget(u);
    next_term(u);
    check_asked(u, 1, term + 1);
    refused_in(u, &request, 1, term);
    refused_in(u, &request, 2, term + 1);
    refused_in(u, &request, 1, term + 2);
    unit_none(u, ACTION_ANSWER);
    assert_true(request_waits(&u->core));
    refused_in(u, &request, 1, term + 1);
    assert_int_equal(unit_take(u, ACTION_ANSWER).reply.verdict, VERDICT_REFUSED);
    free(u);
}

/* Whose own copy is old, since Ceph has barred it, asks whoever acts by what the others say; and
 * never again one of an earlier term. In a later epoch, a restore's, terms may have gone back. */
TEST(a_later_term_is_heard_of)
{
    struct unit *u = asked();
    struct request request = start_of("vm0", 2, 1);
    uint64_t term = u->core.cluster.header.term;
    give(u, &request);
    heard_of(u, 1, term + 7);
    unit_forget(u);
    unit_tick(u);
    unit_none(u, ACTION_SEND_REQUEST);
    unit_pass(u, 500);
    assert_int_equal(unit_logged(u, ACTION_SEND_REQUEST), 1);
    check_asked(u, 1, term + 7);
    heard_of(u, 1, term + 6);
    unit_forget(u);
    unit_pass(u, 500);
    assert_int_equal(unit_logged(u, ACTION_SEND_REQUEST), 1);
    check_asked(u, 1, term + 7);
    heard_of(u, 2, 0); /* an older agent */
    heard_of(u, 2, 1);
    check_asked(u, 2, 1);
    heard_of(u, 1, term + 8);
    unit_forget(u);
    unit_pass(u, 500);
    check_asked(u, 2, 1);
    u->silent[3] = true; /* the word of one that is silent is old */
    unit_pass(u, 5000);
    request = start_of("vm1", 2, 2);
    unit_forget(u);
    give(u, &request);
    check_asked(u, 1, term);
    free(u);
}

/* Without a copy nobody is asked, and that is no unknown outcome; till somebody is heard of. */
TEST(without_a_copy_nobody_is_asked)
{
    struct unit *u = unit_new(2);
    core_init(&u->core, &u->facts, u->now_ms); /* and its storage never opens */
    unit_ring(u, true, u->ring.count, u->ring.nodeids);
    struct request request = start_of("vm0", 2, 1);
    give(u, &request);
    unit_pass(u, 29000);
    unit_none(u, ACTION_SEND_REQUEST);
    unit_none(u, ACTION_ANSWER);
    unit_pass(u, 1000);
    struct reply reply = unit_take(u, ACTION_ANSWER).reply;
    assert_int_equal(reply.verdict, VERDICT_REFUSED);
    assert_non_null(strstr(reply.text, "nobody was asked: stead status"));
    request = start_of("vm0", 2, 2);
    give(u, &request);
    unit_none(u, ACTION_SEND_REQUEST);
    heard_of(u, 1, 7);
    check_asked(u, 1, 7);
    unit_forget(u);
    unit_pass(u, 30000);
    assert_int_equal(unit_take(u, ACTION_ANSWER).reply.verdict, VERDICT_UNKNOWN);
    free(u);
}

/* ---- where it is decided: n1, which acts */

/* It was asked of whoever acts in that term: another would refuse what that one does, or do what it
 * refuses. Older agents name none. */
TEST(a_command_for_another_term_is_not_taken)
{
    struct unit *u = acting();
    const uint64_t term = u->core.cluster.header.term;
    const struct tenure others[] = {{1, term - 1}, {1, term + 1}, {2, term}};
    const struct tenure ours[] = {{1, term}, {0, 0}};
    struct request request;
    for (uint64_t i = 0; i < 3; i++) {
        request = start_of("vm0", 2, 1 + i);
        request.tenure = others[i];
        give(u, &request);
        unit_settle(u, 200);
        assert_null(state_find_request(&u->core.cluster, &request.id));
        unit_none(u, ACTION_SEND_REPLY);
    }
    for (uint64_t i = 0; i < 2; i++) {
        request = start_of("vm0", 2, 4 + i);
        request.tenure = ours[i];
        give(u, &request);
        unit_settle(u, 200);
        assert_non_null(state_find_request(&u->core.cluster, &request.id));
    }
    request = start_of("vm7", 2, 6);
    give(u, &request);
    struct reply reply = unit_take(u, ACTION_SEND_REPLY).reply;
    assert_int_equal(reply.tenure.epoch, 1);
    assert_int_equal(reply.tenure.term, term);
    free(u);
}

/* A commit of ours is under way: what comes now waits for the next one. */
static struct action busy(struct unit *u)
{
    (void)unit_foreign(u);
    unit_foreign_node(u, 1)->memory_mib = 5000; /* wrong: we write it as it is */
    unit_foreign_send(u);
    return unit_take(u, ACTION_COMMIT);
}

static uint32_t entries_of(const struct unit *u, const struct request *request)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < HISTORY_MAX; i++) {
        count += origin_equal(&u->core.cluster.history[i].request, &request->id);
    }
    return count;
}

/* Two that come meanwhile are done together, by the next commit; one that comes twice, once. */
TEST(what_comes_during_a_commit_is_done_by_the_next)
{
    struct unit *u = acting();
    struct request first = start_of("vm0", 2, 1);
    struct request second = start_of("vm1", 3, 1);
    struct action commit = busy(u);
    give(u, &first);
    give(u, &second);
    give(u, &first);
    unit_commit_is(u, &commit, OUTCOME_DONE, NULL);
    unit_commit(u);
    assert_int_equal(entries_of(u, &first), 1);
    assert_int_equal(entries_of(u, &second), 1);
    unit_none(u, ACTION_SEND_REPLY);
    free(u);
}

/* More than it can gather: the last is left to its node, which asks again, and none of the others
 * is lost or done twice, though they take several commits. */
TEST(a_flood_of_commands_is_worked_off)
{
    struct unit *u = acting();
    struct action commit = busy(u);
    for (uint64_t i = 1; i <= REQUESTS_MAX + 1; i++) {
        struct request request = start_of("vm0", 2, i);
        give(u, &request);
    }
    unit_commit_is(u, &commit, OUTCOME_DONE, NULL);
    unit_settle(u, 1000);
    for (uint64_t i = 1; i <= REQUESTS_MAX + 1; i++) {
        struct request request = start_of("vm0", 2, i);
        assert_int_equal(entries_of(u, &request), i <= REQUESTS_MAX);
        unit_forget(u);
        give(u, &request);
        unit_settle(u, 40);
        assert_int_equal(entries_of(u, &request), 1);
    }
    free(u);
}

/* Committed before, and asked again as its node has not read that yet: nothing more is done, and it
 * is not refused. */
TEST(a_committed_command_that_comes_again_is_let_be)
{
    struct unit *u = acting();
    struct request request = vm_add("new", 1, 1);
    request.id = (struct origin){2, 1002, 1};
    give(u, &request);
    unit_settle(u, 200);
    uint64_t version = u->core.cluster.header.version;
    give(u, &request);
    unit_settle(u, 200);
    assert_int_equal(u->core.cluster.header.version, version);
    assert_int_equal(entries_of(u, &request), 1);
    unit_none(u, ACTION_SEND_REPLY);
    free(u);
}

/* Its operator may have been told so: a refused command is not done later, when it would be lawful,
 * but refused in the same words. */
TEST(a_refused_command_stays_refused)
{
    struct unit *u = acting();
    struct request request = start_of("vm7", 2, 1);
    for (uint64_t i = 1; i <= 3; i++) {
        request.id.counter = i;
        give(u, &request);
        assert_non_null(strstr(unit_take(u, ACTION_SEND_REPLY).reply.text, "no such VM"));
    }
    struct request add = vm_add("vm7", 7, 9);
    check_accepted(u, &add);
    for (uint64_t i = 1; i <= 3; i++) {
        request.id.counter = i;
        give(u, &request);
        struct reply reply = unit_take(u, ACTION_SEND_REPLY).reply;
        assert_int_equal(reply.id.counter, i);
        assert_int_equal(reply.verdict, VERDICT_REFUSED);
        assert_non_null(strstr(reply.text, "no such VM"));
    }
    unit_settle(u, 200);
    assert_int_equal(unit_copy_vm(u, state_find_vm(&u->core.cluster, "vm7"))->want, WANT_STOPPED);
    request.id.counter = 4; /* given anew, it is another */
    give(u, &request);
    unit_settle(u, 200);
    assert_int_equal(entries_of(u, &request), 1);
    free(u);
}

/* The history tells who gave it, however short the name. */
TEST(the_history_tells_who_gave_it)
{
    struct unit *u = acting();
    struct request request = command(REQUEST_VM_START, "vm0", 1);
    name_set(request.by, NAME_BYTES, "x");
    check_accepted(u, &request);
    assert_string_equal(state_find_request(&u->core.cluster, &request.id)->cause,
                        "vm0: wanted running, by x");
    request = command(REQUEST_VM_STOP, "vm0", 2);
    request.by[0] = '\0'; /* not known */
    check_accepted(u, &request);
    assert_string_equal(state_find_request(&u->core.cluster, &request.id)->cause,
                        "vm0: wanted stopped");
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_takes_any_number_one_after_another),
        cmocka_unit_test(a_command_is_answered_in_the_step_that_shows_it),
        cmocka_unit_test(a_commit_about_others_holds_no_command_up),
        cmocka_unit_test(many_that_one_commit_does_are_answered_as_room_permits),
        cmocka_unit_test(an_actors_yes_is_not_an_answer),
        cmocka_unit_test(only_its_own_commands_are_sent),
        cmocka_unit_test(a_foreign_pool_takes_no_command),
        cmocka_unit_test(only_the_latest_term_refuses),
        cmocka_unit_test(a_later_term_is_heard_of),
        cmocka_unit_test(without_a_copy_nobody_is_asked),
        cmocka_unit_test(a_command_for_another_term_is_not_taken),
        cmocka_unit_test(what_comes_during_a_commit_is_done_by_the_next),
        cmocka_unit_test(a_flood_of_commands_is_worked_off),
        cmocka_unit_test(a_committed_command_that_comes_again_is_let_be),
        cmocka_unit_test(a_refused_command_stays_refused),
        cmocka_unit_test(the_history_tells_who_gave_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
