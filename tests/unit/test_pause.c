/* HA paused: what is refused, what is left undone, and when a pause is said to be done. */
#include "agent/pause.h"
#include "tests/unit/unit_request.h"

#define N2 1 /* slot */

static struct request pause_request(const char *how, uint64_t counter)
{
    struct request request = command(REQUEST_CONFIG_SET, "ha", counter);
    name_set(request.value, NAME_BYTES, how);
    name_set(request.why, NAME_BYTES, "new switch");
    return request;
}

static enum vm_state vm_state(const struct unit *u, uint32_t slot)
{
    return u->core.cluster.vms[slot].state;
}

TEST(it_is_committed_with_who_and_why)
{
    struct unit *u = acting();
    struct request request = pause_request("freeze", 1);
    struct text text = {0};
    check_accepted(u, &request);
    const char *cause = state_find_request(&u->core.cluster, &request.id)->cause;
    assert_string_equal(cause, "ha: on -> freeze, no fence is under way (new switch), by ada");
    assert_int_equal(u->core.cluster.settings.ha, HA_FREEZE);
    assert_true(pause_tell(&u->core, &text));
    assert_non_null(strstr(text.bytes, "HA is paused (freeze, by ada)"));
    struct request resume = pause_request("on", 2);
    check_accepted(u, &resume);
    assert_int_equal(u->core.cluster.settings.ha, HA_ON);
    assert_false(pause_tell(&u->core, &text));
    free(u);
}

TEST(older_agents_would_not_heed_it)
{
    struct unit *u = unit_new(1);
    u->image.header.feature_level = LEVEL_PAUSE - 1;
    u->peers[2].feature_level = LEVEL_PAUSE - 1;
    u->image.nodes[N2].feature_level = LEVEL_PAUSE - 1;
    unit_lead(u);
    struct request request = pause_request("freeze", 1);
    check_refused(u, &request, "upgrade them first");
    free(u);
}

static const enum request_kind movers[] = {REQUEST_VM_START, REQUEST_VM_STOP, REQUEST_NODE_FENCE,
                                           REQUEST_NODE_REMOVE};

TEST(frozen_refuses_what_moves)
{
    struct unit *u = acting();
    struct request freeze = pause_request("freeze", 1);
    check_accepted(u, &freeze);
    for (uint32_t i = 0; i < 4; i++) {
        bool vm = movers[i] == REQUEST_VM_START || movers[i] == REQUEST_VM_STOP;
        struct request request = command(movers[i], vm ? "vm1" : "n3", 2 + i);
        check_refused(u, &request, "stead ha resume");
    }
    free(u);
}

TEST(ignoring_takes_commands)
{
    struct unit *u = acting();
    struct request ignore = pause_request("ignore", 1);
    struct request start = command(REQUEST_VM_START, "vm0", 2);
    check_accepted(u, &ignore);
    check_accepted(u, &start);
    unit_settle(u, 500);
    assert_int_equal(vm_state(u, 0), VM_STARTING);
    free(u);
}

/* A new one is taken in, and where it is to start is kept in mind till the resume. */
TEST(frozen_keeps_a_new_vm_for_its_node)
{
    struct unit *u = acting();
    struct request freeze = pause_request("freeze", 1);
    struct request add = vm_add("new", 1, 2);
    struct request resume = pause_request("on", 3);
    add.want = WANT_RUNNING;
    name_set(add.on, NAME_BYTES, "n3");
    check_accepted(u, &freeze);
    check_accepted(u, &add);
    uint32_t slot = state_find_vm(&u->core.cluster, "new");
    assert_int_equal(vm_state(u, slot), VM_STOPPED);
    check_accepted(u, &resume);
    unit_settle(u, 3000);
    assert_int_equal(vm_state(u, slot), VM_STARTING);
    assert_int_equal(unit_copy_vm(u, slot)->node, N3);
    const struct header *header = &u->core.cluster.header;
    const char *why = u->core.cluster.history[(header->next_history - 1) % HISTORY_MAX].cause;
    assert_non_null(strstr(why, "; wanted running)"));
    free(u);
}

/* vm0 is wanted and stopped; vm1's holder is fenced. */
static struct unit *owing(enum ha_mode mode)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_STOPPED, NODE_NONE);
    unit_vm(u, 1, VM_RECOVERING, N3);
    u->image.nodes[N3].state = NODE_FENCED;
    u->image.header.members = 3;
    unit_set(u, "ha", mode);
    unit_lead(u);
    unit_leave(u, 3);
    unit_settle(u, 1000);
    return u;
}

TEST(frozen_starts_nothing)
{
    struct unit *u = owing(HA_FREEZE);
    assert_int_equal(vm_state(u, 0), VM_STOPPED);
    assert_int_equal(vm_state(u, 1), VM_RECOVERING);
    free(u);
}

TEST(ignoring_recovers_nothing)
{
    struct unit *u = owing(HA_IGNORE);
    assert_int_equal(vm_state(u, 0), VM_STARTING);
    assert_int_equal(vm_state(u, 1), VM_RECOVERING);
    free(u);
}

static struct unit *fencing_n3(void)
{
    struct unit *u = unit_new(1);
    unit_set(u, "proof", PROOF_POWER);
    u->image.nodes[N3].state = NODE_LOST;
    u->image.nodes[N3].fence_term = 3;
    u->image.header.members = 3;
    unit_lead(u);
    unit_leave(u, 3);
    return u;
}

/* A fence under way: in force at once, not done. */
TEST(it_is_done_when_no_fence_is_under_way)
{
    struct unit *u = fencing_n3();
    struct request request = pause_request("ignore", 1);
    command_here(u, &request);
    assert_int_equal(u->core.cluster.settings.ha, HA_IGNORE);
    unit_none(u, ACTION_ANSWER);
    assert_true(pause_in_force(&u->core, &request));
    assert_false(request_waits(&u->core)); /* nobody else could do it sooner */
    assert_string_equal(pause_waits_for(&u->core), "n3");
    struct request vouch = command(REQUEST_NODE_FENCE, "n3", 2);
    vouch.vouched = true;
    give(u, &vouch);
    give(u, &vouch);
    unit_settle(u, 500);
    struct action barrier = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &barrier, OUTCOME_DONE, 0);
    unit_settle(u, 500);
    assert_int_equal(unit_copy_node(u, 3)->state, NODE_FENCED);
    assert_int_equal(unit_take(u, ACTION_ANSWER).reply.id.counter, 2);
    struct action answer = unit_take(u, ACTION_ANSWER);
    assert_int_equal(answer.reply.verdict, VERDICT_DONE);
    assert_non_null(
        strstr(answer.reply.text, "on -> ignore; the fence of n3 ends first (new switch), by ada"));
    assert_null(strstr(answer.reply.text, "any more"));
    free(u);
}

/* It is in force, so that is no refusal; nor is it done. */
TEST(one_that_waits_for_too_long_is_not_refused)
{
    struct unit *u = fencing_n3();
    struct request request = pause_request("freeze", 1);
    command_here(u, &request);
    assert_int_equal(u->core.cluster.settings.ha, HA_FREEZE);
    unit_pass(u, 31000);
    struct reply reply = unit_take(u, ACTION_ANSWER).reply;
    assert_int_equal(reply.verdict, VERDICT_UNKNOWN);
    assert_string_equal(
        reply.text, "HA is paused, but a fence that was under way has not ended; see stead status");
    free(u);
}

/* Whoever resumes meanwhile is not overruled by the pause that still waits, and who asked for that
 * is told. */
TEST(a_resume_ends_a_pause_that_waits)
{
    struct unit *u = fencing_n3();
    struct request pause = pause_request("freeze", 1);
    struct request resume = pause_request("on", 2);
    command_here(u, &pause);
    unit_none(u, ACTION_ANSWER);
    command_here(u, &resume);
    struct action answer = unit_take(u, ACTION_ANSWER);
    assert_int_equal(answer.reply.id.counter, 1);
    assert_non_null(strstr(answer.reply.text, "; not in force any more"));
    answer = unit_take(u, ACTION_ANSWER);
    assert_int_equal(answer.reply.id.counter, 2);
    assert_int_equal(answer.reply.verdict, VERDICT_DONE);
    assert_null(strstr(answer.reply.text, "any more"));
    give(u, &pause); /* late, from a colleague */
    unit_settle(u, 5000);
    assert_int_equal(u->core.cluster.settings.ha, HA_ON);
    free(u);
}

/* A fence that was asked for is as good as under way, whichever way it was; only of one that takes
 * part. */
TEST(a_fence_that_was_asked_for_is_waited_for)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    struct node_record *node = &u->core.cluster.nodes[N3];
    for (unsigned i = 0; i < 4; i++) {
        node->fence_wanted = (i & 1) != 0;
        node->removing = (i & 2) != 0;
        node->state = NODE_ADMITTED;
        assert_int_equal(pause_waits_for(&u->core) != NULL, i > 0);
        node->state = NODE_OUT;
        assert_null(pause_waits_for(&u->core));
    }
    free(u);
}

TEST(a_resume_never_waits)
{
    struct unit *u = unit_new(1);
    u->image.nodes[N3].state = NODE_LOST;
    unit_set(u, "ha", HA_FREEZE);
    unit_lead(u);
    struct request resume = pause_request("on", 1);
    assert_false(pause_in_force(&u->core, &resume));
    check_accepted(u, &resume);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_committed_with_who_and_why),
        cmocka_unit_test(older_agents_would_not_heed_it),
        cmocka_unit_test(frozen_refuses_what_moves),
        cmocka_unit_test(frozen_keeps_a_new_vm_for_its_node),
        cmocka_unit_test(ignoring_takes_commands),
        cmocka_unit_test(frozen_starts_nothing),
        cmocka_unit_test(ignoring_recovers_nothing),
        cmocka_unit_test(it_is_done_when_no_fence_is_under_way),
        cmocka_unit_test(one_that_waits_for_too_long_is_not_refused),
        cmocka_unit_test(a_resume_ends_a_pause_that_waits),
        cmocka_unit_test(a_fence_that_was_asked_for_is_waited_for),
        cmocka_unit_test(a_resume_never_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
