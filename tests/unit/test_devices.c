/* The ways to a node's power in its record: what is kept, what its agent changes. */
#include "agent/devices.h"
#include "agent/level.h"
#include "tests/unit/unit.h"

struct position {
    struct node_record node;
    struct beat beat;
};

/* The record is as the agent tells it, which just began: it has asked none of them yet. */
static struct position *begun(void)
{
    struct position *p = calloc(1, sizeof(*p));
    p->node.nodeid = p->beat.nodeid = 3;
    p->node.bmc = (struct bmc_address){"10.1.0.3", 17, true, 0};
    p->node.devices[0] = (struct fence_device){"pdu", "fence_apc", "plug=3", 2, DEVICE_VERIFIED};
    p->beat.bmc = p->node.bmc;
    p->beat.bmc.verified = false;
    p->beat.devices[0] = p->node.devices[0];
    p->beat.devices[0].standing = DEVICE_UNKNOWN;
    return p;
}

static bool follow(struct position *p)
{
    return devices_follow(&p->node, &p->beat, LEVEL_FENCE_DEVICES);
}

/* What was seen while the host was well stays, whoever cannot ask now. */
TEST(what_was_verified_stays_so)
{
    struct position *p = begun();
    assert_false(follow(p));
    assert_true(p->node.bmc.verified);
    assert_int_equal(p->node.devices[0].standing, DEVICE_VERIFIED);
    free(p);
}

/* That a BMC is seen to be the host's own is news. */
TEST(what_comes_to_be_verified_is_news)
{
    struct position *p = begun();
    p->node.bmc.verified = false;
    p->beat.bmc.verified = true;
    assert_true(follow(p));
    assert_true(p->node.bmc.verified);
    assert_false(follow(p));
    free(p);
}

/* One that was seen to be another's is not used any more. */
TEST(what_is_denied_is_lost)
{
    struct position *p = begun();
    p->beat.devices[0].standing = DEVICE_DENIED;
    assert_true(follow(p));
    assert_int_equal(p->node.devices[0].standing, DEVICE_DENIED);
    p->beat.devices[0].standing = DEVICE_UNKNOWN; /* it is not asked now: still denied */
    assert_false(follow(p));
    assert_int_equal(p->node.devices[0].standing, DEVICE_DENIED);
    p->beat.devices[0].standing = DEVICE_VERIFIED;
    assert_true(follow(p));
    assert_int_equal(p->node.devices[0].standing, DEVICE_VERIFIED);
    free(p);
}

/* Configured otherwise in any way, it is another device, and nothing is known of it. */
TEST(another_device_begins_anew)
{
    for (int what = 0; what < 4; what++) {
        struct position *p = begun();
        struct fence_device *device = &p->beat.devices[0];
        name_set(device->name, DEVICE_NAME_BYTES, what == 0 ? "other" : "pdu");
        name_set(device->agent, DEVICE_AGENT_BYTES, what == 1 ? "fence_wti" : "fence_apc");
        name_set(device->options, DEVICE_OPTIONS_BYTES, what == 2 ? "plug=4" : "plug=3");
        device->level = what == 3 ? 1 : 2;
        assert_true(follow(p));
        assert_int_equal(p->node.devices[0].standing, DEVICE_UNKNOWN);
        assert_true(p->node.bmc.verified);
        free(p);
    }
    struct position *p = begun();
    p->beat.bmc.level = 2;
    assert_true(follow(p));
    assert_false(p->node.bmc.verified);
    assert_int_equal(p->node.bmc.level, 2);
    free(p);
}

/* Below the feature level that knows them neither devices nor levels are written. */
TEST(older_agents_are_spared)
{
    struct position *p = begun();
    memset(p->node.devices, 0, sizeof(p->node.devices));
    p->beat.bmc.level = 2;
    assert_false(devices_follow(&p->node, &p->beat, LEVEL_FENCE_DEVICES - 1));
    assert_int_equal(p->node.bmc.level, 0);
    assert_string_equal(p->node.devices[0].agent, "");
    assert_true(follow(p)); /* ... and as soon as all know them they are */
    assert_int_equal(p->node.bmc.level, 2);
    assert_string_equal(p->node.devices[0].agent, "fence_apc");
    free(p);
}

TEST(what_our_own_devices_say)
{
    struct facts facts = {.bmc = {.address = "10.1.0.3"}};
    struct event event = {.kind = EVENT_BMC_IDENTITY};
    event.bmc_identity.verified = true;
    devices_on_identity(&facts, &event);
    assert_true(facts.bmc.verified);
    event.bmc_identity.device = 2;
    devices_on_identity(&facts, &event);
    assert_int_equal(facts.devices[0].standing, DEVICE_UNKNOWN);
    assert_int_equal(facts.devices[1].standing, DEVICE_VERIFIED);
    event.bmc_identity.verified = false;
    devices_on_identity(&facts, &event);
    assert_int_equal(facts.devices[1].standing, DEVICE_DENIED);
    assert_true(facts.bmc.verified);
}

TEST(the_unverified_is_named)
{
    struct position *p = begun();
    struct text text = {0};
    assert_false(devices_find_unverified(&p->node.bmc, p->node.devices, &text));
    assert_true(devices_find_unverified(&p->node.bmc, p->beat.devices, &text));
    assert_non_null(strstr(text.bytes, "its fence device pdu "));
    text = (struct text){0};
    assert_true(devices_find_unverified(&p->beat.bmc, p->beat.devices, &text));
    assert_non_null(strstr(text.bytes, "its BMC "));
    assert_null(strstr(text.bytes, "pdu")); /* one at a time */
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_verified_stays_so),
        cmocka_unit_test(what_comes_to_be_verified_is_news),
        cmocka_unit_test(what_is_denied_is_lost),
        cmocka_unit_test(another_device_begins_anew),
        cmocka_unit_test(older_agents_are_spared),
        cmocka_unit_test(what_our_own_devices_say),
        cmocka_unit_test(the_unverified_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
