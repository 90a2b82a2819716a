/* The edge to fence agents: those of Debian's package (fence_dummy, and fence_ipmilan against
 * ipmi_sim), and scripts that lie, hang, fail and chatter. Run it from the top of the repository.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fencing/fence_agent_io.h"
#include "tests/edge/events.h"

#define PATH_BYTES 256
#define SECRET "t0p-secret"

struct world {
    struct events *events;
    struct fence_agent_io *io; /* the scripts of `dir` */
    struct fence_agent_io *real;
    char dir[64];
    char credentials[PATH_BYTES];
};

static void write_file(const struct world *world, const char *name, const char *text, mode_t mode)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", world->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static bool has(const struct world *world, const char *format, const char *word)
{
    char command[PATH_BYTES * 2];
    char test[PATH_BYTES];
    snprintf(test, sizeof(test), format, word);
    snprintf(command, sizeof(command), "cd %s && { %s; } >/dev/null 2>&1", world->dir, test);
    return system(command) == 0;
}

/* A fence agent in shell: keeps what it was told in DIR/told, one verb a line in DIR/verbs, and
 * then does BODY with its verb in $verb. */
static void script(const struct world *world, const char *name, const char *body)
{
    char text[2048];
    snprintf(text, sizeof(text),
             "#!/bin/sh\ncd %s || exit 1\ncat >told\nverb=$(sed -n 's/^action=//p' told)\n"
             "echo $verb >>verbs\n%s\n",
             world->dir, body);
    write_file(world, name, text, 0755);
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    strcpy(world->dir, "/tmp/stead-test-agent.XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    snprintf(world->credentials, sizeof(world->credentials), "%s/credentials", world->dir);
    write_file(world, "credentials",
               "[default]\nusername = admin\npassword = other\n\n"
               "[fence pdu]\nusername = ada\npassword = " SECRET "\n\n"
               "[fence ipmi]\nusername = admin\npassword = secret\n",
               0600);
    world->events = events_new();
    assert_int_equal(fence_agent_io_open(world->events->loop, world->credentials, world->dir,
                                         &world->events->sink, &world->io),
                     0);
    assert_int_equal(fence_agent_io_open(world->events->loop, world->credentials,
                                         FENCE_AGENT_FOLDER, &world->events->sink, &world->real),
                     0);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    char command[PATH_BYTES];
    fence_agent_io_close(world->io);
    fence_agent_io_close(world->real);
    snprintf(command, sizeof(command), "rm -rf %s", world->dir);
    assert_int_equal(system(command), 0);
    events_free(world->events);
    free(world);
    return 0;
}

static struct action order(struct world *world, enum power_order what, const char *agent,
                           const char *options)
{
    struct action action = {.kind = ACTION_POWER};
    action.id = world->events->next_id++;
    action.deadline_ms = events_now_ms() + 10000;
    action.power.order = what;
    name_set(action.power.node, NAME_BYTES, "n2");
    name_set(action.power.device.name, DEVICE_NAME_BYTES, "pdu");
    name_set(action.power.device.agent, DEVICE_AGENT_BYTES, agent);
    name_set(action.power.device.options, DEVICE_OPTIONS_BYTES, options);
    return action;
}

static void expect_by(struct world *world, struct fence_agent_io *io, const struct action *action,
                      enum outcome outcome, const char *words)
{
    fence_agent_io_act(io, action);
    const struct event *event = events_wait(world->events, 0, EVENT_POWER, action->id, 12000);
    assert_non_null(event);
    assert_true(event->now_ms <= action->deadline_ms + 500); /* a busy machine's allowance */
    if (event->power.outcome != outcome || !strstr(event->power.text, words)) {
        fail_msg("outcome %d, \"%s\"; wanted outcome %d with \"%s\"", (int)event->power.outcome,
                 event->power.text, (int)outcome, words);
    }
    assert_null(strstr(event->power.text, SECRET));
}

static void expect(struct world *world, const struct action *action, enum outcome outcome,
                   const char *words)
{
    expect_by(world, world->io, action, outcome, words);
}

static void expect_identity(struct world *world, const struct fence_device *device, bool verified,
                            const char *words)
{
    uint32_t from = world->events->count;
    fence_agent_io_identify(world->io, 1, device, events_now_ms() + 5000);
    const struct event *event = events_wait(world->events, from, EVENT_TROUBLE, 0, 6000);
    assert_non_null(event);
    assert_int_equal(event->trouble.kind, TROUBLE_DEVICE);
    if (!strstr(event->trouble.text, words) || (!words[0] && event->trouble.text[0])) {
        fail_msg("\"%s\"; wanted \"%s\"", event->trouble.text, words);
    }
    event = events_wait(world->events, from, EVENT_BMC_IDENTITY, 0, 100);
    if (event) {
        assert_int_equal(event->bmc_identity.device, 2);
        assert_int_equal(event->bmc_identity.verified, verified);
    }
    assert_int_equal(event != NULL, strstr(words, "check the device") == NULL);
}

/* As each of the package does it (fence_action() of its fencing.py; fence_virt). */
#define SAYS_ON "echo 'Status: ON'; exit 0"
#define SAYS_OFF "echo 'Status: OFF'; exit 2"

/* What a well-behaved agent does with DIR/power. */
#define GOOD                                                                                       \
    "case $verb in on|off) echo $verb >power; echo Success;; "                                     \
    "status) [ \"$(cat power)\" = on ] && { " SAYS_ON "; }; " SAYS_OFF ";; esac"

static void off_is_read_back(void **state)
{
    struct world *world = *state;
    struct action action = order(world, POWER_ORDER_OFF, "fence_good", "ip=10.0.0.9\nplug=3");
    script(world, "fence_good", GOOD);
    write_file(world, "power", "on\n", 0644);
    expect(world, &action, OUTCOME_DONE, "fence_good pdu: reads off");
    assert_true(has(world, "[ \"$(echo $(cat verbs))\" = '%s' ]", "off status"));
    action = order(world, POWER_ORDER_READ, "fence_good", "");
    expect(world, &action, OUTCOME_DONE, "reads off");
    action = order(world, POWER_ORDER_ON, "fence_good", "");
    expect(world, &action, OUTCOME_DONE, "reads on");
    action = order(world, POWER_ORDER_READ, "fence_good", "");
    expect(world, &action, OUTCOME_FAILED, "reads on");
}

/* Options and secrets come on its standard input, whole; nothing in its arguments. */
static void secrets_are_not_in_arguments(void **state)
{
    struct world *world = *state;
    struct action action = order(world, POWER_ORDER_READ, "fence_args", "ip=10.0.0.9\nplug=3");
    script(world, "fence_args",
           "tr '\\0' ' ' </proc/$$/cmdline >arguments; env >environment; " SAYS_OFF);
    expect(world, &action, OUTCOME_DONE, "reads off");
    assert_true(has(world, "grep -qx '%s' told", "action=status"));
    assert_true(has(world, "grep -qx '%s' told", "plug=3"));
    assert_true(has(world, "grep -qx '%s' told", "ip=10.0.0.9"));
    assert_true(has(world, "grep -qx '%s' told", "username=ada"));
    assert_true(has(world, "grep -qx '%s' told", "password=" SECRET));
    assert_false(has(world, "grep -q '%s' told", "other"));
    assert_true(has(world, "grep -q '%s' arguments", "fence_args"));
    assert_false(has(world, "grep -q '%s' arguments environment", SECRET));
}

/* An exit status of 0 is no proof. */
static void a_liar_is_no_proof(void **state)
{
    struct world *world = *state;
    struct action action = order(world, POWER_ORDER_OFF, "fence_liar", "");
    script(world, "fence_liar",
           "[ $verb = status ] && { " SAYS_ON "; }; echo 'Success: Powered OFF'; exit 0");
    expect(world, &action, OUTCOME_FAILED, "says that it switched off, and reads on");
}

/* Nor is 2: so end shells and Python that cannot open the agent, or find a fault in it. The status
 * and what is said must agree. */
static void an_exit_status_alone_is_no_reading(void **state)
{
    static const char *const bodies[] = {
        "exit 2",
        "exit 0",
        "exec sh ./nowhere",
        "exec python3 ./nowhere",
        "echo 'Status: OFF'; exit 0",
        "echo 'Status: ON'; exit 2",
        "echo 'Status: OFF'; exit 1",
        "echo 'Status: OFFLINE'; exit 2",
        "echo 'No Status: OFF'; exit 2",
        "echo 'Status: OFF'; kill -9 $$",
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct action action = order(world, POWER_ORDER_READ, "fence_odd", "");
        script(world, "fence_odd", bodies[i]);
        expect(world, &action, OUTCOME_UNKNOWN, "check the device, its options");
        expect_identity(world, &action.power.device, false, "check the device");
    }
    struct action action = order(world, POWER_ORDER_READ, "fence_talk", "");
    script(world, "fence_talk",
           "echo 'Trying again'; printf 'Status: OFF\\r\\n'; echo bye; exit 2");
    expect(world, &action, OUTCOME_DONE, "reads off");
}

/* Its off failed, and its status says off: off it is. The other way round it says why. */
static void the_reading_decides(void **state)
{
    struct world *world = *state;
    struct action action = order(world, POWER_ORDER_OFF, "fence_late", "");
    script(world, "fence_late", "[ $verb = off ] && { echo 'Timed out' >&2; exit 1; }; " SAYS_OFF);
    expect(world, &action, OUTCOME_DONE, "reads off");
    action = order(world, POWER_ORDER_OFF, "fence_no", "");
    script(world, "fence_no", "[ $verb = off ] && { echo 'No such plug' >&2; exit 1; }; " SAYS_ON);
    expect(world, &action, OUTCOME_FAILED, "reads on; No such plug");
    action = order(world, POWER_ORDER_OFF, "fence_mute", "");
    script(world, "fence_mute", "exit 1");
    expect(world, &action, OUTCOME_FAILED, "check the device, its options");
}

/* Of what it says only the last line is told, and no secret of it. */
static void secrets_are_covered(void **state)
{
    struct world *world = *state;
    struct action action = order(world, POWER_ORDER_OFF, "fence_chat", "");
    script(world, "fence_chat",
           "yes noise | head -n 9999; echo 'login ada:" SECRET " was refused' >&2; exit 1");
    expect(world, &action, OUTCOME_FAILED, "login ada:********** was refused");
}

/* Killed at the deadline, with everything it started. */
static void a_hung_agent_is_killed(void **state)
{
    struct world *world = *state;
    struct action action = order(world, POWER_ORDER_OFF, "fence_hang", "");
    script(world, "fence_hang", "trap '' TERM INT; sleep 60 & echo $! >child; wait; sleep 60");
    action.deadline_ms = events_now_ms() + 700;
    expect(world, &action, OUTCOME_UNKNOWN, "killed at the deadline");
    events_run(world->events, 100);
    assert_false(has(world, "grep -q 'State:.[RSDT]' /proc/$(cat %s)/status", "child"));
    action = order(world, POWER_ORDER_READ, "fence_hang", "");
    action.deadline_ms = events_now_ms() + 700;
    expect(world, &action, OUTCOME_UNKNOWN, "did not come before the deadline");
}

static void a_late_order_is_not_given(void **state)
{
    struct world *world = *state;
    struct action action = order(world, POWER_ORDER_OFF, "fence_good", "");
    script(world, "fence_good", GOOD);
    action.valid_until_ms = events_now_ms() - 1;
    expect(world, &action, OUTCOME_STALE, "run out");
    assert_false(has(world, "cat %s", "verbs"));
}

static void an_agent_that_is_not_there(void **state)
{
    struct world *world = *state;
    struct action action = order(world, POWER_ORDER_OFF, "fence_nowhere", "");
    expect(world, &action, OUTCOME_FAILED, "apt install fence-agents");
}

/* Ours reads on while we run; one that reads off is another's; one that fails tells nothing. */
static void identity_is_told(void **state)
{
    struct world *world = *state;
    struct action action = order(world, POWER_ORDER_READ, "fence_good", "plug=3");
    script(world, "fence_good", GOOD);
    write_file(world, "power", "on\n", 0644);
    expect_identity(world, &action.power.device, true, "");
    write_file(world, "power", "off\n", 0644);
    expect_identity(world, &action.power.device, false, "correct [fence pdu] in stead.conf");
    script(world, "fence_good", "exit 1");
    expect_identity(world, &action.power.device, false, "check the device");
    fence_agent_io_distrust(world->io, 1, &action.power.device);
    assert_true(events_count(world->events, EVENT_TROUBLE, 0) == 4);
}

/* ---- the package's own */

static void fence_dummy_of_the_package(void **state)
{
    struct world *world = *state;
    char options[DEVICE_OPTIONS_BYTES];
    snprintf(options, sizeof(options), "type=file\nstatus_file=%s/dummy", world->dir);
    struct action action = order(world, POWER_ORDER_ON, "fence_dummy", options);
    name_set(action.power.device.name, DEVICE_NAME_BYTES, "dummy"); /* it has no secrets */
    expect_by(world, world->real, &action, OUTCOME_DONE, "fence_dummy dummy: reads on");
    action.power.order = POWER_ORDER_OFF;
    action.id = world->events->next_id++;
    expect_by(world, world->real, &action, OUTCOME_DONE, "reads off");
    assert_true(has(world, "grep -qi '%s' dummy", "off"));
}

static void fence_ipmilan_and_a_bmc(void **state)
{
    struct world *world = *state;
    char options[DEVICE_OPTIONS_BYTES];
    char command[PATH_BYTES * 2];
    int port = 20000 + getpid() % 20000;
    snprintf(command, sizeof(command), "tests/edge/bmc.sh start %s/bmc %d %s", world->dir, port,
             "00112233445566778899aabbccddeeff");
    assert_int_equal(system(command), 0);
    snprintf(options, sizeof(options), "ip=127.0.0.1\nipport=%d\nlanplus=1\ncipher=3", port);
    struct action action = order(world, POWER_ORDER_OFF, "fence_ipmilan", options);
    name_set(action.power.device.name, DEVICE_NAME_BYTES, "ipmi");
    uint64_t before = events_now_ms();
    expect_by(world, world->real, &action, OUTCOME_DONE, "fence_ipmilan ipmi: reads off");
    print_message("    off and read back after %d ms\n", (int)(events_now_ms() - before));
    assert_true(has(world, "[ \"$(cat bmc/%s)\" = 0 ]", "power"));
    action = order(world, POWER_ORDER_READ, "fence_ipmilan", options); /* with pdu's password */
    expect_by(world, world->real, &action, OUTCOME_UNKNOWN, "check the device");
    snprintf(command, sizeof(command), "tests/edge/bmc.sh stop %s/bmc", world->dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(off_is_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(secrets_are_not_in_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(a_liar_is_no_proof, setup, teardown),
        cmocka_unit_test_setup_teardown(an_exit_status_alone_is_no_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(the_reading_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(secrets_are_covered, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hung_agent_is_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_late_order_is_not_given, setup, teardown),
        cmocka_unit_test_setup_teardown(an_agent_that_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(identity_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(fence_dummy_of_the_package, setup, teardown),
        cmocka_unit_test_setup_teardown(fence_ipmilan_and_a_bmc, setup, teardown),
    };
    if (geteuid() != 0) {
        fprintf(stderr, "the credentials file must belong to root: run this test as root\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
