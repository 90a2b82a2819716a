/* One node's fence: both methods at once, and never more than its record allows. */
#include "fencing/fence.h"
#include "fencing/timing.h"
#include "tests/unit/unit.h"

struct position {
    struct unit_alone *alone;
    struct settings settings;
    struct node_record node;
    struct fence fence;
};

static struct position *begun(void)
{
    struct position *p = calloc(1, sizeof(*p));
    p->alone = unit_alone_new();
    p->settings = settings_default();
    p->node = (struct node_record){
        .nodeid = 3,
        .state = NODE_LOST,
        .incarnation = {1, 3},
        .machine = unit_uuid(0x13),
        .client = unit_client(3, 300),
        .bmc = {.address = "10.1.0.3", .cipher_suite = 17, .verified = true},
    };
    name_set(p->node.name, NAME_BYTES, "n3");
    return p;
}

static void end(struct position *p)
{
    free(p->alone);
    free(p);
}

static const struct action *asked(const struct position *p, enum action_kind kind)
{
    for (uint32_t i = 0; i < p->alone->out.count; i++) {
        if (p->alone->out.list[i].kind == kind) {
            return &p->alone->out.list[i];
        }
    }
    return NULL;
}

static void carry_on(struct position *p)
{
    p->alone->out.count = 0;
    fence_carry_on(&p->fence, &p->node, FENCE_POWER_TRIED, &p->settings, &p->alone->caller);
}

/* A host that may be booting is not switched off where the barrier is proof enough. */
TEST(a_booting_host_is_spared_where_it_may_be)
{
    struct position *p = begun();
    fence_carry_on(&p->fence, &p->node, FENCE_POWER_SPARED, &p->settings, &p->alone->caller);
    assert_non_null(asked(p, ACTION_BLOCK_ADD));
    assert_null(asked(p, ACTION_POWER));
    fence_carry_on(&p->fence, &p->node, FENCE_POWER_TRIED, &p->settings, &p->alone->caller);
    assert_non_null(asked(p, ACTION_POWER));
    end(p);
}

static void later(struct position *p, uint64_t ms)
{
    unit_alone_at(p->alone, p->alone->caller.now_ms + ms);
    fence_on_tick(&p->fence, p->alone->caller.now_ms);
    carry_on(p);
}

static void block_answer(struct position *p, enum outcome outcome)
{
    struct event event = {.kind = EVENT_BLOCK, .id = p->fence.barrier_call.id};
    event.now_ms = p->alone->caller.now_ms;
    event.block.outcome = outcome;
    assert_true(fence_on_block(&p->fence, &event, &p->settings));
}

static void power_answer(struct position *p, enum outcome outcome)
{
    struct event event = {.kind = EVENT_POWER, .id = p->fence.power.calls[0].id};
    event.now_ms = p->alone->caller.now_ms;
    event.power.outcome = outcome;
    assert_true(fence_on_power(&p->fence, &event, &p->settings));
}

/* Barrier and BMC begin in the same step: neither waits for the other. */
TEST(both_methods_begin_at_once)
{
    struct position *p = begun();
    carry_on(p);
    const struct action *block = asked(p, ACTION_BLOCK_ADD);
    const struct action *power = asked(p, ACTION_POWER);
    assert_non_null(block);
    assert_non_null(power);
    assert_true(unit_holds(&block->block, unit_client(3, 0)));
    assert_true(unit_holds(&block->block, unit_client(3, 300)));
    assert_true(uuid_equal(&power->power.machine, &p->node.machine));
    assert_true(incarnation_equal(power->power.incarnation, p->node.incarnation));
    assert_string_equal(power->power.node, "n3");
    assert_string_equal(power->power.bmc.address, "10.1.0.3");
    assert_true(p->fence.address);
    end(p);
}

/* Both are bound to the freshness they were begun under. */
TEST(both_methods_are_bound_to_freshness)
{
    struct position *p = begun();
    carry_on(p);
    assert_int_equal(asked(p, ACTION_BLOCK_ADD)->valid_until_ms, 11000);
    assert_int_equal(asked(p, ACTION_POWER)->valid_until_ms, 11000);
    end(p);
}

/* Nothing is begun without freshness. */
TEST(nothing_without_freshness)
{
    struct position *p = begun();
    p->alone->caller.valid_until_ms = p->alone->caller.now_ms;
    carry_on(p);
    assert_int_equal(p->alone->out.count, 0);
    end(p);
}

/* A machine that is back is blocked by client only: no address entry, no power touched. */
TEST(client_only_spares_address_and_power)
{
    struct position *p = begun();
    p->node.client_only = true;
    carry_on(p);
    const struct action *block = asked(p, ACTION_BLOCK_ADD);
    assert_int_equal(block->block.count, 1);
    assert_true(unit_holds(&block->block, unit_client(3, 300)));
    assert_null(asked(p, ACTION_POWER));
    assert_false(p->fence.address);
    end(p);
}

/* A BMC that was never seen to be this machine's is not touched, nor one that is not there. */
TEST(an_unverified_bmc_is_not_touched)
{
    struct position *p = begun();
    p->node.bmc.verified = false;
    carry_on(p);
    assert_null(asked(p, ACTION_POWER));
    end(p);
    p = begun();
    p->node.bmc.address[0] = '\0';
    carry_on(p);
    assert_null(asked(p, ACTION_POWER));
    end(p);
}

/* The barrier stands only when the edge says "done". */
TEST(only_done_is_a_barrier)
{
    for (int outcome = OUTCOME_DONE; outcome < OUTCOME_COUNT; outcome++) {
        struct position *p = begun();
        carry_on(p);
        block_answer(p, (enum outcome)outcome);
        assert_int_equal(p->fence.state == FENCE_STANDS, outcome == OUTCOME_DONE);
        assert_int_equal((p->fence.proofs & PROOF_STORAGE) != 0, outcome == OUTCOME_DONE);
        end(p);
    }
}

/* Power is proven only by a read-back "off". */
TEST(only_read_back_off_is_power)
{
    for (int outcome = OUTCOME_DONE; outcome < OUTCOME_COUNT; outcome++) {
        struct position *p = begun();
        carry_on(p);
        power_answer(p, (enum outcome)outcome);
        assert_int_equal((p->fence.proofs & PROOF_POWER) != 0, outcome == OUTCOME_DONE);
        end(p);
    }
}

/* How long the barrier took, for the history. */
TEST(it_remembers_when_the_barrier_stood)
{
    struct position *p = begun();
    carry_on(p);
    later(p, 70);
    block_answer(p, OUTCOME_DONE);
    assert_int_equal(p->fence.stands_ms - p->fence.begun_ms, 70);
    end(p);
    p = begun();
    p->node.client = (struct client){{0}};
    carry_on(p);
    assert_int_equal(p->fence.stands_ms, p->fence.begun_ms);
    end(p);
}

/* Off is off: what the BMC said is kept, and it is not asked again. */
TEST(a_host_read_off_is_left_off)
{
    struct position *p = begun();
    carry_on(p);
    struct event event = {.kind = EVENT_POWER, .id = p->fence.power.calls[0].id};
    event.power.outcome = OUTCOME_DONE;
    name_set(event.power.text, TEXT_BYTES, "reads off");
    assert_true(fence_on_power(&p->fence, &event, &p->settings));
    assert_int_equal(p->fence.power.state, POWER_OFF);
    assert_string_equal(p->fence.power.text, "reads off");
    later(p, 60000);
    assert_null(asked(p, ACTION_POWER));
    end(p);
}

/* Each try's outcome goes into the history anew. */
TEST(each_try_is_to_be_told)
{
    struct position *p = begun();
    carry_on(p);
    power_answer(p, OUTCOME_FAILED);
    p->fence.power.told = true;
    later(p, 60000);
    assert_non_null(asked(p, ACTION_POWER));
    assert_false(p->fence.power.told);
    end(p);
}

/* The first wait is a quarter of retry_ms, and each is twice the one before. */
TEST(the_barrier_is_tried_again_soon_and_ever_more_seldom)
{
    struct position *p = begun();
    carry_on(p);
    for (uint32_t wait_ms = p->settings.retry_ms / 4, i = 0; i < 4; i++, wait_ms *= 2) {
        block_answer(p, OUTCOME_UNKNOWN);
        later(p, wait_ms - 1);
        assert_null(asked(p, ACTION_BLOCK_ADD));
        later(p, 1);
        assert_non_null(asked(p, ACTION_BLOCK_ADD));
    }
    end(p);
}

/* A barrier that failed is raised again, for ever, at a bounded rate. */
TEST(the_barrier_is_tried_on)
{
    struct position *p = begun();
    carry_on(p);
    for (unsigned i = 0; i < 20; i++) {
        block_answer(p, OUTCOME_UNKNOWN);
        later(p, 1);
        assert_null(asked(p, ACTION_BLOCK_ADD));
        later(p, 60000);
        assert_non_null(asked(p, ACTION_BLOCK_ADD));
    }
    end(p);
}

/* A BMC that fails is tried three times, and then left to a person. */
TEST(power_tries_are_bounded)
{
    struct position *p = begun();
    unsigned tries = 0;
    carry_on(p);
    for (unsigned i = 0; i < 10; i++) {
        tries += asked(p, ACTION_POWER) != NULL;
        if (call_open(&p->fence.power.calls[0])) {
            power_answer(p, OUTCOME_FAILED);
        }
        later(p, 60000);
    }
    assert_int_equal(tries, 3);
    end(p);
}

/* What never had a RADOS handle cannot write: its barrier stands at once. */
TEST(without_a_client_the_barrier_stands)
{
    struct position *p = begun();
    p->node.client = (struct client){{0}};
    carry_on(p);
    assert_null(asked(p, ACTION_BLOCK_ADD));
    assert_int_equal(p->fence.state, FENCE_STANDS);
    assert_int_equal(p->fence.proofs, PROOF_STORAGE);
    end(p);
}

/* Another life of the node is another fence: nothing gained for the old one counts. */
TEST(another_life_begins_anew)
{
    struct position *p = begun();
    carry_on(p);
    block_answer(p, OUTCOME_DONE);
    power_answer(p, OUTCOME_DONE);
    p->node.incarnation.number = 9;
    p->node.client = unit_client(3, 301);
    carry_on(p);
    assert_int_equal(p->fence.proofs, 0);
    assert_true(unit_holds(&asked(p, ACTION_BLOCK_ADD)->block, unit_client(3, 301)));
    end(p);
}

/* Once fenced only the power is tried on, as clean-up. */
TEST(a_fenced_node_is_not_barred_again)
{
    struct position *p = begun();
    p->node.state = NODE_FENCED;
    carry_on(p);
    assert_null(asked(p, ACTION_BLOCK_ADD));
    assert_non_null(asked(p, ACTION_POWER));
    end(p);
}

/* A node proven off, by the state, is not powered off once more by the next actor: somebody may
 * just be booting it. */
TEST(a_node_proven_off_is_left_off)
{
    struct position *p = begun();
    p->node.state = NODE_FENCED;
    p->node.proofs = PROOF_STORAGE | PROOF_POWER;
    carry_on(p);
    assert_null(asked(p, ACTION_POWER));
    end(p);
}

/* ... but on, where its record wants that: once it is fenced and was read off, and not before. */
TEST(a_fenced_node_is_switched_on_where_it_wants_that)
{
    for (int i = 0; i < 8; i++) {
        struct position *p = begun();
        bool off = (i & 1) != 0;
        bool wants = (i & 2) != 0;
        bool fenced = (i & 4) != 0;
        p->node.state = fenced ? NODE_FENCED : NODE_LOST;
        p->node.proofs = PROOF_STORAGE | (off ? PROOF_POWER : 0);
        p->node.power_on = wants;
        carry_on(p);
        const struct action *power = asked(p, ACTION_POWER);
        assert_int_equal(power != NULL, !off || (wants && fenced));
        if (power != NULL) {
            assert_int_equal(power->power.order, off ? POWER_ORDER_ON : POWER_ORDER_OFF);
        }
        end(p);
    }
}

/* Only a node that a term named lost is fenced. */
TEST(a_living_node_is_never_fenced)
{
    struct position *p = begun();
    p->node.state = NODE_ADMITTED;
    expect_assert_failure(
        fence_carry_on(&p->fence, &p->node, FENCE_POWER_TRIED, &p->settings, &p->alone->caller));
    end(p);
}

/* Edges that never answer are not waited for: both methods are tried again. */
TEST(answers_that_never_come)
{
    struct position *p = begun();
    carry_on(p);
    later(p, p->settings.bmc_ms + 10000);
    assert_non_null(asked(p, ACTION_BLOCK_ADD));
    assert_non_null(asked(p, ACTION_POWER));
    end(p);
}

/* An answer to another call is left alone. */
TEST(a_stranger_is_ignored)
{
    struct position *p = begun();
    struct event event = {.kind = EVENT_BLOCK, .id = 77};
    carry_on(p);
    assert_false(fence_on_block(&p->fence, &event, &p->settings));
    assert_false(fence_on_power(&p->fence, &event, &p->settings));
    end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_methods_begin_at_once),
        cmocka_unit_test(a_booting_host_is_spared_where_it_may_be),
        cmocka_unit_test(both_methods_are_bound_to_freshness),
        cmocka_unit_test(nothing_without_freshness),
        cmocka_unit_test(client_only_spares_address_and_power),
        cmocka_unit_test(an_unverified_bmc_is_not_touched),
        cmocka_unit_test(only_done_is_a_barrier),
        cmocka_unit_test(only_read_back_off_is_power),
        cmocka_unit_test(it_remembers_when_the_barrier_stood),
        cmocka_unit_test(a_host_read_off_is_left_off),
        cmocka_unit_test(each_try_is_to_be_told),
        cmocka_unit_test(the_barrier_is_tried_again_soon_and_ever_more_seldom),
        cmocka_unit_test(the_barrier_is_tried_on),
        cmocka_unit_test(power_tries_are_bounded),
        cmocka_unit_test(without_a_client_the_barrier_stands),
        cmocka_unit_test(another_life_begins_anew),
        cmocka_unit_test(a_fenced_node_is_not_barred_again),
        cmocka_unit_test(a_node_proven_off_is_left_off),
        cmocka_unit_test(a_fenced_node_is_switched_on_where_it_wants_that),
        cmocka_unit_test(a_living_node_is_never_fenced),
        cmocka_unit_test(answers_that_never_come),
        cmocka_unit_test(a_stranger_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
