/* Halted: what the core still does, who may act, and what ends it. */
#include "agent/halt.h"
#include "agent/query.h"
#include "agent/request.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

static struct mark mark_here(const struct unit *u)
{
    const struct header *header = &u->image.header;
    struct mark mark = {
        .epoch = header->epoch, .version = header->version, .decided = mark_decided(header)};
    name_set(mark.reason, sizeof(mark.reason), "agent/x.c:7: so");
    return mark;
}

/* We are `self`, and an assertion failed in us at the version of the image. */
static struct unit *halted(uint32_t self)
{
    struct unit *u = unit_new(self);
    u->facts.halted = true;
    u->facts.mark = mark_here(u);
    return u;
}

/* An assertion failed in that peer, at the version of the image. */
static void halt_peer(struct unit *u, uint32_t nodeid)
{
    u->peers[nodeid].halted = true;
    u->peers[nodeid].able = false;
    u->peers[nodeid].mark = mark_here(u);
}

/* n1's commit that decides something, or merely takes a term. */
static void foreign_commit(struct unit *u, bool decides)
{
    struct delta *delta = unit_foreign(u);
    delta->header.next_history++;
    delta->header.term += decides ? 0 : 1;
    unit_foreign_send(u);
}

static void resume(struct unit *u, uint32_t by, const char *name)
{
    struct event event = unit_event(EVENT_REQUEST, 0);
    struct request request = {.id = {by, 1000 + by, 42}, .kind = REQUEST_NODE_RESUME};
    name_set(request.name, NAME_BYTES, name);
    event.request = &request;
    unit_step(u, &event);
}

/* It tells the others, and is not able. */
TEST(its_heartbeat_carries_the_mark)
{
    struct unit *u = halted(2);
    unit_start(u);
    assert_true(u->core.local.beat.halted);
    assert_false(u->core.local.beat.able);
    assert_int_equal(u->core.local.beat.mark.version, 10);
    assert_true(query_halted(&u->core, 1));
    assert_string_equal(query_node_word(&u->core, 1, u->now_ms), "halted");
    u->core.local.peer_count = 0; /* its own it knows without any heartbeat */
    assert_ptr_equal(halt_mark(&u->core, u->self), &u->core.local.facts.mark);
    free(u);
}

/* It takes no term, though it is the lowest and there is work. */
TEST(it_takes_no_term)
{
    struct unit *u = halted(1);
    unit_vm(u, 0, VM_RUNNING, N3);
    unit_start(u);
    unit_leave(u, 3);
    unit_pass(u, 8000);
    unit_none(u, ACTION_COMMIT);
    free(u);
}

/* It starts nothing that is assigned to it, and neither adopts nor ends what it finds. */
TEST(it_leaves_guests_alone)
{
    struct unit *u = halted(2);
    unit_vm(u, 0, VM_STARTING, 1);
    unit_vm(u, 1, VM_RUNNING, 1);
    unit_vm(u, 2, VM_STOPPING, 1);
    unit_start(u);
    unit_domain(u, 1, DOMAIN_RUNNING, END_UNKNOWN);
    unit_domain(u, 2, DOMAIN_STARTING, END_UNKNOWN);
    unit_pass(u, 5000);
    unit_none(u, ACTION_LEASE_READ);
    unit_none(u, ACTION_LEASE_CHANGE);
    unit_none(u, ACTION_DOMAIN_CREATE);
    unit_none(u, ACTION_DOMAIN_DESTROY);
    unit_none(u, ACTION_DOMAIN_SHUTDOWN);
    unit_none(u, ACTION_KILL);
    free(u);
}

/* Named lost by a term, it kills its guests as anybody else. */
TEST(it_plays_the_losing_side)
{
    struct unit *u = halted(2);
    unit_start(u);
    (void)unit_foreign(u);
    unit_foreign_node(u, 1)->state = NODE_LOST;
    unit_foreign_send(u);
    (void)unit_take(u, ACTION_KILL);
    free(u);
}

/* A newer decision ends it: the mark goes, and it works again. */
TEST(a_newer_version_ends_it)
{
    struct unit *u = halted(2);
    unit_start(u);
    foreign_commit(u, true);
    assert_false(u->core.local.beat.halted); /* told at once */
    assert_int_equal(unit_logged(u, ACTION_FORGET_MARK), 1);
    unit_pass(u, 300);
    assert_false(u->core.local.beat.halted);
    assert_true(u->core.local.beat.able);
    free(u);
}

/* A term taken, or a record without a decision, is no newer version. */
TEST(a_term_alone_does_not_end_it)
{
    struct unit *u = halted(2);
    unit_start(u);
    foreign_commit(u, false);
    (void)unit_foreign(u);
    unit_foreign_node(u, N3)->memory_mib++;
    unit_foreign_send(u);
    unit_pass(u, 1000);
    assert_true(u->core.local.beat.halted);
    unit_none(u, ACTION_FORGET_MARK);
    free(u);
}

/* Another epoch is another history. */
TEST(a_later_epoch_ends_it)
{
    struct unit *u = halted(2);
    u->facts.mark.epoch = 0;
    unit_start(u);
    assert_false(halt_here(&u->core));
    free(u);
}

/* An operator ends it, here. */
TEST(an_operator_ends_it)
{
    struct unit *u = halted(2);
    unit_start(u);
    resume(u, 2, "n2");
    assert_int_equal(unit_take(u, ACTION_ANSWER).reply.verdict, VERDICT_DONE);
    assert_int_equal(unit_logged(u, ACTION_FORGET_MARK), 1);
    assert_false(halt_here(&u->core));
    resume(u, 2, "n2");
    free(u);
}

/* An operator ends it from another node: we answer by a message. */
TEST(an_operator_ends_it_from_elsewhere)
{
    struct unit *u = halted(2);
    unit_start(u);
    resume(u, 3, "n2");
    struct action reply = unit_take(u, ACTION_SEND_REPLY);
    assert_int_equal(reply.reply.verdict, VERDICT_DONE);
    assert_string_equal(reply.reply.text, "it is at work again");
    assert_int_equal(reply.reply.id.nodeid, 3);
    assert_false(halt_here(&u->core));
    free(u);
}

/* Given on a node that is well, for a halted one: sent on, and answered by that one. */
TEST(a_resume_is_passed_on)
{
    struct unit *u = unit_new(2);
    halt_peer(u, 3);
    unit_start(u);
    resume(u, 2, "n3");
    struct action sent = unit_take(u, ACTION_SEND_REQUEST);
    assert_int_equal(sent.request.kind, REQUEST_NODE_RESUME);
    unit_none(u, ACTION_ANSWER);
    struct event event = unit_event(EVENT_REPLY, 0);
    event.reply = (struct reply){.id = sent.request.id, .verdict = VERDICT_DONE};
    unit_step(u, &event);
    assert_int_equal(unit_take(u, ACTION_ANSWER).reply.verdict, VERDICT_DONE);
    free(u);
}

/* ... also by one that does not know it from the state: a barred node reads none. */
TEST(a_resume_is_passed_on_by_a_stranger)
{
    struct unit *u = unit_new(2);
    halt_peer(u, 3);
    memset(&u->image.nodes[N3], 0, sizeof(u->image.nodes[N3]));
    unit_start(u);
    resume(u, 2, "n3");
    unit_none(u, ACTION_ANSWER);
    (void)unit_take(u, ACTION_SEND_REQUEST);
    free(u);
}

/* That one gives no answer: nothing is known, and no history tells. */
TEST(a_resume_that_nobody_answers_is_unknown)
{
    struct unit *u = unit_new(2);
    halt_peer(u, 3);
    unit_start(u);
    resume(u, 2, "n3");
    unit_pass(u, 31000);
    struct reply reply = unit_take(u, ACTION_ANSWER).reply;
    assert_int_equal(reply.verdict, VERDICT_UNKNOWN);
    assert_non_null(strstr(reply.text, "no answer from it in 30 s; stead status"));
    free(u);
}

/* Refused at once, with the reason: what is not halted, not known, not heard. */
TEST(a_senseless_resume_is_refused)
{
    static const struct {
        const char *name;
        const char *part;
    } cases[] = {{"n2", "it is not halted"},
                 {"n1", "it is not halted"},
                 {"nosuch", "no such node; see stead node list"},
                 {"n3", "not heard here; give the command on that node itself"}};
    for (unsigned i = 0; i < UNIT_COUNT(cases); i++) {
        struct unit *u = unit_new(2);
        u->silent[3] = true;
        unit_start(u);
        resume(u, 2, cases[i].name);
        struct reply reply = unit_take(u, ACTION_ANSWER).reply;
        assert_int_equal(reply.verdict, VERDICT_REFUSED);
        assert_non_null(strstr(reply.text, cases[i].part));
        unit_none(u, ACTION_SEND_REQUEST);
        free(u);
    }
}

/* Other commands are refused on a halted node, with the remedy. */
TEST(it_takes_no_commands)
{
    struct unit *u = halted(2);
    unit_start(u);
    struct event event = unit_event(EVENT_REQUEST, 0);
    struct request request = {.id = {2, 1002, 42}, .kind = REQUEST_VM_STOP};
    event.request = &request;
    unit_step(u, &event);
    struct action answer = unit_take(u, ACTION_ANSWER);
    assert_int_equal(answer.reply.verdict, VERDICT_REFUSED);
    assert_non_null(strstr(answer.reply.text, "halted"));
    free(u);
}

/* One is halted: another able one acts on that very version. */
TEST(with_one_halted_another_acts)
{
    struct unit *u = unit_new(2);
    halt_peer(u, 1);
    unit_start(u);
    unit_commit(u);
    assert_int_equal(u->core.cluster.header.actor, 2);
    free(u);
}

/* Two are halted at that version: nobody acts on it, however long work waits. */
TEST(with_two_halted_nobody_acts)
{
    struct unit *u = unit_new(3);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE);
    halt_peer(u, 1);
    halt_peer(u, 2);
    unit_start(u);
    unit_pass(u, 30000);
    unit_none(u, ACTION_COMMIT);
    assert_true(halt_forbids(&u->core));
    free(u);
}

/* Two are halted, but one of them at an older version: the other counts alone. */
TEST(marks_of_older_versions_do_not_count)
{
    struct unit *u = unit_new(3);
    halt_peer(u, 1);
    halt_peer(u, 2);
    u->peers[1].mark.decided--;
    unit_start(u);
    unit_commit(u);
    assert_int_equal(u->core.cluster.header.actor, 3);
    free(u);
}

/* Only beside a mark does silence count. */
TEST(silence_alone_forbids_nothing)
{
    struct unit *u = unit_new(3);
    unit_start(u);
    u->silent[1] = u->silent[2] = true;
    unit_pass(u, 3000);
    assert_false(halt_forbids(&u->core));
    free(u);
}

/* One is halted and another has just fallen silent: perhaps for the same reason. Wait for it, but
 * not for ever. */
TEST(a_silent_one_beside_a_mark_is_waited_for)
{
    struct unit *u = unit_new(3);
    halt_peer(u, 1);
    unit_start(u);
    struct event event = unit_event(EVENT_PEER_LEFT, 0);
    event.nodeid = 2;
    u->silent[2] = true;
    unit_step(u, &event);
    unit_pass(u, 9000);
    unit_none(u, ACTION_COMMIT);
    unit_pass(u, 2000);
    unit_commit(u);
    assert_int_equal(u->core.cluster.header.actor, 3);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_heartbeat_carries_the_mark),
        cmocka_unit_test(it_takes_no_term),
        cmocka_unit_test(it_leaves_guests_alone),
        cmocka_unit_test(it_plays_the_losing_side),
        cmocka_unit_test(a_newer_version_ends_it),
        cmocka_unit_test(a_term_alone_does_not_end_it),
        cmocka_unit_test(a_later_epoch_ends_it),
        cmocka_unit_test(an_operator_ends_it),
        cmocka_unit_test(an_operator_ends_it_from_elsewhere),
        cmocka_unit_test(a_resume_is_passed_on),
        cmocka_unit_test(a_resume_is_passed_on_by_a_stranger),
        cmocka_unit_test(a_resume_that_nobody_answers_is_unknown),
        cmocka_unit_test(a_senseless_resume_is_refused),
        cmocka_unit_test(it_takes_no_commands),
        cmocka_unit_test(with_one_halted_another_acts),
        cmocka_unit_test(with_two_halted_nobody_acts),
        cmocka_unit_test(marks_of_older_versions_do_not_count),
        cmocka_unit_test(silence_alone_forbids_nothing),
        cmocka_unit_test(a_silent_one_beside_a_mark_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
