/* One lost host's power: ordered levels, all devices of one together, and on again once. */
#include "fencing/power.h"
#include "proto/settings.h"
#include "proto/values.h"
#include "tests/unit/unit.h"

struct position {
    struct unit_alone *alone;
    struct settings settings;
    struct node_record node;
    struct power power;
};

static void device(struct position *p, uint32_t at, const char *name, uint32_t level)
{
    struct fence_device *device = &p->node.devices[at];
    *device = (struct fence_device){.agent = "fence_apc", .level = level};
    device->standing = DEVICE_VERIFIED;
    name_set(device->name, DEVICE_NAME_BYTES, name);
}

/* A BMC at level 1, and two power supplies, each at a PDU of its own, at level 2. */
static struct position *begun(void)
{
    struct position *p = calloc(1, sizeof(*p));
    p->alone = unit_alone_new();
    p->settings = settings_default();
    p->node = (struct node_record){
        .nodeid = 3,
        .state = NODE_LOST,
        .bmc = {.address = "10.1.0.3", .cipher_suite = 17, .verified = true},
    };
    device(p, 0, "left", 2);
    device(p, 1, "right", 2);
    return p;
}

static void end(struct position *p)
{
    free(p->alone);
    free(p);
}

static void carry_on(struct position *p)
{
    p->alone->out.count = 0;
    power_off_carry_on(&p->power, &p->node, false, &p->settings, &p->alone->caller);
}

static void later(struct position *p, uint64_t ms)
{
    unit_alone_at(p->alone, p->alone->caller.now_ms + ms);
    power_on_tick(&p->power, p->alone->caller.now_ms);
    carry_on(p);
}

/* What was asked in this step, such as "bmc:off left:read". */
static void asked(const struct position *p, const char *wanted)
{
    static const char *const orders[] = {"off", "read", "on"};
    char said[256] = "";
    for (uint32_t i = 0; i < p->alone->out.count; i++) {
        const struct action *action = &p->alone->out.list[i];
        assert_int_equal(action->kind, ACTION_POWER);
        assert_int_equal(action->valid_until_ms, p->alone->caller.valid_until_ms);
        const char *name = action->power.device.name;
        size_t used = strlen(said);
        snprintf(said + used, sizeof(said) - used, "%s%s:%s", used > 0 ? " " : "",
                 name[0] != '\0' ? name : "bmc", orders[action->power.order]);
        assert_int_equal(name[0] == '\0', action->power.bmc.address[0] != '\0');
    }
    assert_string_equal(said, wanted);
}

static void on_again(struct position *p)
{
    p->alone->out.count = 0;
    power_on_again(&p->power, &p->node, &p->settings, &p->alone->caller);
}

/* Device 0 is the BMC. */
static void answer(struct position *p, uint32_t number, enum outcome outcome)
{
    struct event event = {.kind = EVENT_POWER, .id = p->power.calls[number].id};
    assert_true(call_open(&p->power.calls[number]));
    event.now_ms = p->alone->caller.now_ms;
    event.power.outcome = outcome;
    snprintf(event.power.text, TEXT_BYTES, "device %u: %d", number, (int)outcome);
    assert_true(power_on_event(&p->power, &event, &p->settings));
}

/* One device alone proves it off by its read-back; the next level is not touched. */
TEST(the_first_level_suffices)
{
    struct position *p = begun();
    carry_on(p);
    asked(p, "bmc:off");
    answer(p, 0, OUTCOME_DONE);
    assert_int_equal(p->power.state, POWER_OFF);
    assert_string_equal(p->power.text, "device 0: 0");
    later(p, 100000);
    asked(p, "");
    end(p);
}

/* Whatever becomes of the first level but DONE, the second is tried at once. */
TEST(the_next_level_is_tried_at_once)
{
    for (int outcome = OUTCOME_REFUSED; outcome < OUTCOME_COUNT; outcome++) {
        struct position *p = begun();
        carry_on(p);
        answer(p, 0, (enum outcome)outcome);
        assert_int_equal(p->power.state, POWER_ASKED);
        carry_on(p);
        asked(p, "left:off right:off");
        end(p);
    }
}

static struct position *at_the_second_level(void)
{
    struct position *p = begun();
    carry_on(p);
    answer(p, 0, OUTCOME_UNKNOWN);
    carry_on(p);
    asked(p, "left:off right:off");
    return p;
}

/* Two power supplies: both are told off, then both are read, and only then is it off. */
TEST(all_of_a_level_are_off_before_any_is_read)
{
    struct position *p = at_the_second_level();
    answer(p, 1, OUTCOME_DONE);
    carry_on(p);
    asked(p, "");
    answer(p, 2, OUTCOME_DONE);
    assert_int_equal(p->power.state, POWER_ASKED); /* no proof yet */
    carry_on(p);
    asked(p, "left:read right:read");
    assert_int_equal(p->power.state, POWER_READING);
    answer(p, 2, OUTCOME_DONE);
    assert_int_equal(p->power.state, POWER_READING);
    answer(p, 1, OUTCOME_DONE);
    assert_int_equal(p->power.state, POWER_OFF);
    end(p);
}

/* One of two fails, in either phase: no proof, and after the last level a rest. */
TEST(half_a_level_is_no_proof)
{
    for (uint32_t bad = 1; bad <= 2; bad++) {
        for (int reading = 0; reading <= 1; reading++) {
            struct position *p = at_the_second_level();
            if (reading) {
                answer(p, 1, OUTCOME_DONE);
                answer(p, 2, OUTCOME_DONE);
                carry_on(p);
            }
            answer(p, bad, OUTCOME_FAILED);
            assert_int_not_equal(p->power.state, POWER_FAILED); /* the other may answer yet */
            answer(p, 3 - bad, OUTCOME_DONE);
            assert_int_equal(p->power.state, POWER_FAILED);
            char why[32];
            snprintf(why, sizeof(why), "device %u: %d", bad, (int)OUTCOME_FAILED);
            assert_string_equal(p->power.text, why);
            carry_on(p);
            asked(p, "");
            later(p, 60000); /* from the first level again */
            asked(p, "bmc:off");
            end(p);
        }
    }
}

/* A supply that was told off and reads on: what is behind its level is told off at once. */
TEST(a_level_that_reads_on_is_followed_by_the_next)
{
    struct position *p = begun();
    p->node.bmc.level = 3;
    carry_on(p);
    answer(p, 1, OUTCOME_DONE);
    answer(p, 2, OUTCOME_DONE);
    carry_on(p);
    asked(p, "left:read right:read");
    answer(p, 1, OUTCOME_FAILED);
    answer(p, 2, OUTCOME_DONE);
    assert_int_equal(p->power.state, POWER_READING);
    carry_on(p);
    asked(p, "bmc:off");
    answer(p, 0, OUTCOME_DONE);
    assert_int_equal(p->power.state, POWER_OFF);
    end(p);
}

/* A level with one device that was not seen to be this host's is not used at all. */
TEST(an_unverified_device_spoils_its_level)
{
    static const enum device_standing bad[] = {DEVICE_UNKNOWN, DEVICE_DENIED};
    for (int i = 0; i < 2; i++) {
        struct position *p = begun();
        p->node.devices[1].standing = bad[i];
        carry_on(p);
        answer(p, 0, OUTCOME_FAILED);
        assert_int_equal(p->power.state, POWER_FAILED);
        end(p);
    }
    struct position *p = begun();
    p->node.bmc.verified = false;
    carry_on(p);
    asked(p, "left:off right:off");
    end(p);
}

/* The BMC may stand behind other devices, or beside them. */
TEST(the_bmc_has_a_level_too)
{
    struct position *p = begun();
    p->node.bmc.level = 3;
    carry_on(p);
    asked(p, "left:off right:off");
    answer(p, 1, OUTCOME_FAILED);
    answer(p, 2, OUTCOME_FAILED);
    carry_on(p);
    asked(p, "bmc:off");
    end(p);
    p = begun();
    p->node.bmc.level = 2;
    carry_on(p);
    asked(p, "bmc:off left:off right:off");
    end(p);
}

TEST(without_a_usable_level_nothing_is_asked)
{
    struct position *p = begun();
    assert_true(power_has_level(&p->node));
    p->node.bmc.verified = false;
    p->node.devices[0].standing = DEVICE_DENIED;
    assert_false(power_has_level(&p->node));
    carry_on(p);
    asked(p, "");
    assert_int_equal(p->power.state, POWER_UNTRIED);
    end(p);
}

/* What is left of a record's device that has no agent any more stands in nobody's way. */
TEST(without_an_agent_it_is_no_device)
{
    struct position *p = begun();
    p->node.devices[0].agent[0] = '\0';
    p->node.devices[0].standing = DEVICE_DENIED;
    carry_on(p);
    answer(p, 0, OUTCOME_FAILED);
    carry_on(p);
    asked(p, "right:off");
    end(p);
}

/* Three rounds through all levels, then a person may go on. */
TEST(rounds_are_bounded)
{
    struct position *p = begun();
    unsigned told = 0;
    for (unsigned i = 0; i < 20; i++) {
        later(p, 60000);
        for (uint32_t k = 0; k < POWER_DEVICES_MAX; k++) {
            if (call_open(&p->power.calls[k])) {
                answer(p, k, OUTCOME_FAILED);
                told++;
            }
        }
    }
    assert_int_equal(told, 9);
    assert_int_equal(p->power.state, POWER_FAILED);
    end(p);
}

/* Three failures are told; of further rounds, which go on where power is needed, only a success. */
TEST(failures_are_told_three_times_and_a_success_always)
{
    struct position *p = begun();
    memset(p->node.devices, 0, sizeof(p->node.devices));
    for (uint32_t round = 1; round <= 5; round++) {
        unit_alone_at(p->alone, p->alone->caller.now_ms + 60000);
        power_off_carry_on(&p->power, &p->node, true, &p->settings, &p->alone->caller);
        asked(p, "bmc:off");
        answer(p, 0, OUTCOME_FAILED);
        assert_int_equal(p->power.state, POWER_FAILED);
        assert_int_equal(p->power.told, round > 3);
    }
    unit_alone_at(p->alone, p->alone->caller.now_ms + 60000);
    power_off_carry_on(&p->power, &p->node, true, &p->settings, &p->alone->caller);
    answer(p, 0, OUTCOME_DONE);
    assert_false(p->power.told);
    end(p);
}

static void took(const struct position *p, uint64_t ms)
{
    assert_int_equal(p->power.ended_ms, p->alone->caller.now_ms);
    assert_int_equal(p->power.ended_ms - p->power.begun_ms, ms);
}

/* For the history: each round, and switching on, from its own beginning to the last answer. */
TEST(it_remembers_how_long_it_took)
{
    struct position *p = begun();
    memset(p->node.devices, 0, sizeof(p->node.devices));
    carry_on(p);
    later(p, 3000);
    answer(p, 0, OUTCOME_FAILED);
    took(p, 3000);
    later(p, 60000);
    unit_alone_at(p->alone, p->alone->caller.now_ms + p->settings.bmc_ms + 10000);
    power_on_tick(&p->power, p->alone->caller.now_ms);
    assert_int_equal(p->power.state, POWER_FAILED);
    took(p, p->settings.bmc_ms + 10000);
    unit_alone_at(p->alone, p->alone->caller.now_ms + 500);
    p->power.told = true;
    on_again(p);
    took(p, 0); /* so far */
    assert_false(p->power.told);
    later(p, 700);
    answer(p, 0, OUTCOME_DONE);
    took(p, 700);
    end(p);
}

/* A device of which not even our own edge answers is as good as one that failed. */
TEST(answers_that_never_come)
{
    struct position *p = begun();
    carry_on(p);
    later(p, p->settings.bmc_ms + 10000);
    asked(p, "left:off right:off");
    answer(p, 1, OUTCOME_DONE);
    later(p, p->settings.bmc_ms + 10000);
    assert_int_equal(p->power.state, POWER_ASKED); /* at once again: the first level */
    asked(p, "bmc:off");
    end(p);
}

/* Its agent told of other devices while they were asked. */
TEST(devices_change_meanwhile)
{
    struct position *p = begun();
    carry_on(p);
    answer(p, 0, OUTCOME_FAILED);
    memset(p->node.devices, 0, sizeof(p->node.devices));
    carry_on(p);
    asked(p, "");
    assert_int_equal(p->power.state, POWER_FAILED);
    end(p);
}

/* Every device that may be used is told, since any of them may be off; and each once. */
TEST(on_again_tells_all_once)
{
    struct position *p = begun();
    carry_on(p);
    answer(p, 0, OUTCOME_DONE);
    p->node.devices[1].standing = DEVICE_DENIED;
    on_again(p);
    asked(p, "bmc:on left:on");
    answer(p, 0, OUTCOME_DONE);
    assert_int_equal(p->power.state, POWER_ON_ASKED);
    answer(p, 1, OUTCOME_FAILED);
    assert_int_equal(p->power.state, POWER_ON_ENDED);
    assert_true(p->power.on);
    on_again(p);
    asked(p, "");
    carry_on(p);
    asked(p, "");
    end(p);
}

/* A new actor, which switched nothing off itself; and nothing to tell it by. */
TEST(on_again_by_the_next_actor)
{
    struct position *p = begun();
    on_again(p);
    asked(p, "bmc:on left:on right:on");
    for (uint32_t i = 0; i < 3; i++) {
        answer(p, i, OUTCOME_UNKNOWN);
    }
    assert_int_equal(p->power.state, POWER_ON_ENDED);
    assert_false(p->power.on);
    end(p);
    p = begun();
    memset(&p->node.bmc, 0, sizeof(p->node.bmc));
    memset(p->node.devices, 0, sizeof(p->node.devices));
    on_again(p);
    asked(p, "");
    assert_int_equal(p->power.state, POWER_ON_ENDED);
    assert_string_equal(p->power.text, "no device of it may be used");
    end(p);
}

/* Not while it is being told off. */
TEST(never_on_while_told_off)
{
    struct position *p = begun();
    carry_on(p);
    on_again(p);
    asked(p, "");
    assert_int_equal(p->power.state, POWER_ASKED);
    end(p);
}

TEST(a_stranger_is_ignored)
{
    struct position *p = begun();
    struct event event = {.kind = EVENT_POWER, .id = 77};
    carry_on(p);
    assert_false(power_on_event(&p->power, &event, &p->settings));
    end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_level_suffices),
        cmocka_unit_test(the_next_level_is_tried_at_once),
        cmocka_unit_test(all_of_a_level_are_off_before_any_is_read),
        cmocka_unit_test(half_a_level_is_no_proof),
        cmocka_unit_test(a_level_that_reads_on_is_followed_by_the_next),
        cmocka_unit_test(an_unverified_device_spoils_its_level),
        cmocka_unit_test(the_bmc_has_a_level_too),
        cmocka_unit_test(without_a_usable_level_nothing_is_asked),
        cmocka_unit_test(without_an_agent_it_is_no_device),
        cmocka_unit_test(rounds_are_bounded),
        cmocka_unit_test(failures_are_told_three_times_and_a_success_always),
        cmocka_unit_test(it_remembers_how_long_it_took),
        cmocka_unit_test(answers_that_never_come),
        cmocka_unit_test(devices_change_meanwhile),
        cmocka_unit_test(on_again_tells_all_once),
        cmocka_unit_test(on_again_by_the_next_actor),
        cmocka_unit_test(never_on_while_told_off),
        cmocka_unit_test(a_stranger_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
