/* Our handle and the one before it: which must be ended, what of a dead one is let go, and what a
 * poll carries and shows. We are n2. */
#include "agent/view.h"
#include "tests/unit/unit_core.h"

#define OUR_SLOT 1

/* Our agent was restarted within one life: it has another handle than the record names. */
static struct unit *restarted(void)
{
    struct unit *u = unit_new(2);
    unit_open(u, unit_client(2, 901));
    unit_ring(u, true, 3, u->ring.nodeids);
    unit_domains(u);
    return u;
}

/* A reboot of this machine ended it; but a guest may live yet until /proc was looked through. */
TEST(a_handle_of_before_a_reboot_is_ended_with_empty_hands)
{
    struct unit *u = unit_all_rebooted(2);
    unit_open(u, unit_client(2, 902));
    unit_ring(u, true, 3, u->ring.nodeids);
    unit_domains(u);
    unit_pass(u, 1000);
    unit_none(u, ACTION_BLOCK_ADD);
    struct action kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 0);
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&block.block, unit_client(2, 200)));
    free(u);
}

/* What the fence that put us out has barred, or what never was, is ended already. */
TEST(a_handle_that_a_fence_has_barred_is_not_barred_again)
{
    for (unsigned i = 0; i < 3; i++) {
        struct unit *u = unit_all_rebooted(2);
        struct node_record *node = &u->image.nodes[OUR_SLOT];
        node->state = i == 0 ? NODE_OUT : i == 1 ? NODE_FENCED : NODE_ADMITTED;
        node->client = i == 2 ? (struct client){{0}} : node->client;
        unit_open(u, unit_client(2, 902));
        unit_ring(u, true, 3, u->ring.nodeids);
        unit_domains(u);
        struct action kill = unit_take(u, ACTION_KILL);
        unit_killed(u, &kill, OUTCOME_DONE, 0);
        unit_pass(u, 1000);
        unit_none(u, ACTION_BLOCK_ADD);
        assert_true(view_predecessor_ended(&u->core));
        free(u);
    }
}

/* It is tried until it is done, fresh or not; then it is told at once. */
TEST(a_predecessor_is_ended_in_the_end)
{
    struct unit *u = restarted();
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_pass(u, u->core.cluster.settings.call_ms + 3000); /* nobody answers */
    assert_true(peers_fresh_until_ms(&u->core) > u->now_ms);
    block = unit_take(u, ACTION_BLOCK_ADD);
    assert_int_equal(block.valid_until_ms, 0);
    struct event another = unit_event(EVENT_BLOCK, block.id + 1000);
    another.block.outcome = OUTCOME_DONE;
    view_on_block(&u->core, &another);
    assert_false(view_predecessor_ended(&u->core));
    assert_true(call_open(&u->core.local.storage.predecessor_call));
    unit_block(u, &block, OUTCOME_FAILED, 0);
    assert_false(view_predecessor_ended(&u->core));
    unit_pass(u, 240);
    unit_none(u, ACTION_BLOCK_ADD);
    unit_pass(u, 20);
    block = unit_take(u, ACTION_BLOCK_ADD);
    while (u->core.local.beat_last_ms != u->now_ms) {
        unit_pass(u, UNIT_TICK_MS);
    }
    u->now_ms += 10;
    unit_block(u, &block, OUTCOME_DONE, 0);
    unit_tick(u);
    assert_true(view_predecessor_ended(&u->core));
    assert_int_equal(u->core.local.beat_last_ms, u->now_ms);
    free(u);
}

/* The record may come to name another one, by a late write of the first: that is not ended yet. */
TEST(another_predecessor_is_another_matter)
{
    struct unit *u = restarted();
    struct action block = unit_take(u, ACTION_BLOCK_ADD);
    unit_block(u, &block, OUTCOME_DONE, 0);
    assert_true(view_predecessor_ended(&u->core));
    (void)unit_foreign(u);
    unit_foreign_node(u, OUR_SLOT)->client = unit_client(2, 777);
    unit_foreign_send(u);
    block = unit_take(u, ACTION_BLOCK_ADD);
    assert_true(unit_holds(&block.block, unit_client(2, 777)));
    assert_false(view_predecessor_ended(&u->core));
    unit_block(u, &block, OUTCOME_DONE, 0);
    assert_true(view_predecessor_ended(&u->core));
    free(u);
}

/* A blocklisted handle is of no use for anything, what is under way through it neither. */
TEST(a_blocklisted_handle_is_let_go_of)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    struct storage_view *storage = &u->core.local.storage;
    u->polls_hang = true;
    storage->stale = true;
    unit_pass(u, 1000);
    assert_true(call_open(&storage->poll_call));
    assert_true(call_open(&storage->read_call));
    assert_int_equal(unit_take(u, ACTION_STATE_READ).valid_until_ms, 0); /* fresh or not */
    view_note(&u->core, storage->handle_id, OUTCOME_BLOCKLISTED);
    assert_true(storage->blocklisted);
    assert_int_equal(storage->handle, HANDLE_NONE);
    assert_true(client_is_none(&storage->client));
    assert_false(call_open(&storage->poll_call));
    assert_false(call_open(&storage->read_call));
    struct action kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 0);
    assert_true(peers_fresh_until_ms(&u->core) > u->now_ms);
    assert_int_equal(unit_take(u, ACTION_HANDLE_OPEN).valid_until_ms, 0);
    free(u);
}

/* Does the poll of now say by a write that we take part? */
static bool writes(struct unit *u)
{
    struct event event = unit_event(EVENT_TICK, 0);
    u->core.local.storage.poll_call = (struct call){0};
    u->core.local.storage.next_poll_ms = u->now_ms;
    event.now_ms = u->now_ms;
    step(&u->core, &event, &u->out);
    for (uint32_t i = 0; i < u->out.count; i++) {
        if (u->out.list[i].kind == ACTION_POLL) {
            assert_int_equal(u->out.list[i].valid_until_ms, 0);
            return u->out.list[i].poll.write;
        }
    }
    fail_msg("no poll");
    return false;
}

TEST(who_takes_part_writes_it_with_each_poll)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    assert_true(writes(u));
    (void)unit_foreign(u);
    unit_foreign_node(u, OUR_SLOT)->state = NODE_LOST;
    unit_foreign_send(u);
    assert_false(writes(u));
    free(u);
    u = restarted(); /* takes part, but not by this handle yet */
    assert_false(writes(u));
    free(u);
}

/* A poll shows our copy if it read that very version, or an older one; never a newer. */
TEST(a_newer_header_does_not_show_our_copy)
{
    for (unsigned i = 0; i < 2; i++) {
        struct unit *u = unit_new(2);
        unit_start(u);
        struct storage_view *storage = &u->core.local.storage;
        unit_pass(u, 1000);
        u->polls_hang = true;
        uint64_t shown_ms = storage->shown_ms;
        unit_pass(u, 600);
        assert_true(storage->poll_sent_ms > shown_ms);
        struct event event = unit_event(EVENT_POLL, storage->poll_call.id);
        event.poll.outcome = OUTCOME_DONE;
        event.poll.header = u->core.cluster.header;
        event.poll.header.version += i;
        unit_step(u, &event);
        assert_int_equal(storage->stale, i == 1);
        assert_int_equal(storage->shown_ms, i == 1 ? shown_ms : storage->poll_sent_ms);
        assert_int_equal(storage->newest_ms == u->now_ms, i == 0);
        free(u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_of_before_a_reboot_is_ended_with_empty_hands),
        cmocka_unit_test(a_handle_that_a_fence_has_barred_is_not_barred_again),
        cmocka_unit_test(a_predecessor_is_ended_in_the_end),
        cmocka_unit_test(another_predecessor_is_another_matter),
        cmocka_unit_test(a_blocklisted_handle_is_let_go_of),
        cmocka_unit_test(who_takes_part_writes_it_with_each_poll),
        cmocka_unit_test(a_newer_header_does_not_show_our_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
