/* The BMC edge against a real simulated BMC (ipmi_sim, started by bmc.sh): off verified, refusals,
 * deadlines. Run it from the top of the repository. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fencing/bmc_io.h"
#include "tests/edge/events.h"

#define PATH_BYTES 256
#define GUID "00112233445566778899aabbccddeeff"

struct world {
    struct events *events;
    struct bmc_io *io;
    char dir[64];
    char credentials[PATH_BYTES];
    int port;
    pid_t pid; /* of ipmi_sim */
};

static const struct uuid machine = {{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
                                     0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}};

static void write_file(const struct world *world, const char *name, const char *text)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", world->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    chmod(path, 0600);
}

static void read_file(const struct world *world, const char *name, char *ret_text, size_t size)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", world->dir, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(ret_text, 1, size - 1, file);
    ret_text[length] = '\0';
    fclose(file);
}

static bool was_switched(const struct world *world)
{
    char commands[4096];
    read_file(world, "commands", commands, sizeof(commands));
    return strstr(commands, "set power");
}

static void helper_path(char ret_path[PATH_BYTES])
{
    ssize_t length = readlink("/proc/self/exe", ret_path, PATH_BYTES - 32);
    assert_true(length > 0);
    ret_path[length] = '\0';
    strcpy(strrchr(ret_path, '/'), "/../stead-bmc"); /* build/tests/test_bmc, build/stead-bmc */
}

static int setup_guid(void **state, const char *guid)
{
    struct world *world = calloc(1, sizeof(*world));
    char command[PATH_BYTES];
    char helper[PATH_BYTES];
    char pid[32];
    if (geteuid() != 0) {
        fprintf(stderr, "the credentials file must belong to root: run this test as root\n");
        return -1;
    }
    strcpy(world->dir, "/tmp/stead-test-bmc.XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    world->port = 20000 + getpid() % 20000;
    snprintf(command, sizeof(command), "tests/edge/bmc.sh start %s %d %s", world->dir, world->port,
             guid);
    assert_int_equal(system(command), 0);
    read_file(world, "pid", pid, sizeof(pid));
    world->pid = atoi(pid);
    write_file(world, "credentials",
               "[default]\nusername = admin\npassword = secret\n\n[mistaken]\npassword = wrong\n");
    snprintf(world->credentials, sizeof(world->credentials), "%s/credentials", world->dir);
    helper_path(helper);
    world->events = events_new();
    assert_int_equal(bmc_io_open(world->events->loop, world->credentials, helper,
                                 &world->events->sink, &world->io),
                     0);
    *state = world;
    return 0;
}

static int setup(void **state)
{
    return setup_guid(state, GUID);
}

static int setup_nameless(void **state)
{
    return setup_guid(state, "00000000000000000000000000000000");
}

static int teardown(void **state)
{
    struct world *world = *state;
    char command[PATH_BYTES];
    bmc_io_close(world->io);
    snprintf(command, sizeof(command), "tests/edge/bmc.sh stop %s; rm -rf %s", world->dir,
             world->dir);
    assert_int_equal(system(command), 0);
    events_free(world->events);
    free(world);
    return 0;
}

static struct action off(struct world *world, uint64_t limit_ms)
{
    struct action action = {.kind = ACTION_POWER};
    action.id = world->events->next_id++;
    action.deadline_ms = events_now_ms() + limit_ms;
    strcpy(action.power.node, "n2");
    snprintf(action.power.bmc.address, ADDRESS_BYTES, "127.0.0.1:%d", world->port);
    action.power.bmc.cipher_suite = 3;
    action.power.machine = machine;
    return action;
}

static const struct event *ask(struct world *world, const struct action *action)
{
    bmc_io_act(world->io, action);
    const struct event *event = events_wait(world->events, 0, EVENT_POWER, action->id,
                                            action->deadline_ms + 2000 - events_now_ms());
    assert_non_null(event);
    assert_true(event->now_ms <= action->deadline_ms + 500); /* a busy machine's allowance */
    return event;
}

static void expect(struct world *world, const struct action *action, enum outcome outcome,
                   const char *words)
{
    const struct event *event = ask(world, action);
    if (event->power.outcome != outcome || !strstr(event->power.text, words)) {
        fail_msg("outcome %d, \"%s\"; wanted outcome %d with \"%s\"", (int)event->power.outcome,
                 event->power.text, (int)outcome, words);
    }
}

static void off_is_read_back(void **state)
{
    struct world *world = *state;
    struct action action = off(world, 5000);
    char power[8];
    uint64_t before = events_now_ms();
    expect(world, &action, OUTCOME_DONE, "off");
    print_message("    off and read back after %d ms\n", (int)(events_now_ms() - before));
    read_file(world, "power", power, sizeof(power));
    assert_string_equal(power, "0\n");
}

static void off_already_is_off(void **state)
{
    struct world *world = *state;
    struct action action = off(world, 5000);
    write_file(world, "power", "0\n");
    expect(world, &action, OUTCOME_DONE, "off already");
    assert_false(was_switched(world));
}

/* The BMC says yes and does nothing: never DONE. */
static void accepted_is_not_off(void **state)
{
    struct world *world = *state;
    struct action action = off(world, 1500);
    write_file(world, "stuck", "");
    expect(world, &action, OUTCOME_UNKNOWN, "did not read as off");
    assert_true(was_switched(world));
}

static void wrong_password_is_refused_quickly(void **state)
{
    struct world *world = *state;
    struct action action = off(world, 5000);
    uint64_t before = events_now_ms();
    strcpy(action.power.node, "mistaken");
    expect(world, &action, OUTCOME_FAILED, "password");
    assert_true(events_now_ms() - before < 3000);
    assert_false(was_switched(world));
    assert_null(strstr(world->events->list[0].power.text, "wrong"));
}

static void another_machine_is_not_touched(void **state)
{
    struct world *world = *state;
    struct action action = off(world, 5000);
    action.power.machine.bytes[15] = 0xfe;
    expect(world, &action, OUTCOME_FAILED, "another machine");
    action = off(world, 5000); /* not even one that was the right one once */
    action.power.machine.bytes[0] = 0x01;
    action.power.bmc.verified = true;
    expect(world, &action, OUTCOME_FAILED, "another machine");
    assert_false(was_switched(world));
}

/* The same UUID in the orders in which BMCs are known to send it. */
static void guid_in_any_known_order(void **state)
{
    static const struct uuid orders[] = {
        {{0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
          0x00}}, /* IPMI: last byte first */
        {{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee,
          0xff}}, /* SMBIOS: the first three fields little-endian */
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        struct action action = off(world, 5000);
        action.power.machine = orders[i];
        write_file(world, "power", "1\n");
        expect(world, &action, OUTCOME_DONE, "off");
    }
}

/* A BMC that shows no GUID is trusted only if it was compared while its host was healthy. */
static void without_a_guid_only_if_verified(void **state)
{
    struct world *world = *state;
    struct action action = off(world, 5000);
    expect(world, &action, OUTCOME_FAILED, "never compared");
    assert_false(was_switched(world));
    bmc_io_identify(world->io, "n2", &action.power.bmc, &machine, events_now_ms() + 2000);
    action = off(world, 5000);
    action.power.bmc.verified = true;
    expect(world, &action, OUTCOME_DONE, "off");
    events_run(world->events, 200);
    assert_int_equal(events_count(world->events, EVENT_BMC_IDENTITY, 0), 0);
    const struct event *trouble = events_wait(world->events, 0, EVENT_TROUBLE, 0, 3000);
    assert_non_null(trouble);
    assert_non_null(strstr(trouble->trouble.text, "shows no system GUID"));
}

static void identity_is_told(void **state)
{
    struct world *world = *state;
    struct action action = off(world, 5000);
    struct uuid other = machine;
    other.bytes[7] ^= 1;
    bmc_io_identify(world->io, "n2", &action.power.bmc, &machine, events_now_ms() + 5000);
    const struct event *event = events_wait(world->events, 0, EVENT_BMC_IDENTITY, 0, 6000);
    assert_non_null(event);
    assert_true(event->bmc_identity.verified);
    bmc_io_identify(world->io, "n2", &action.power.bmc, &other, events_now_ms() + 5000);
    event = events_wait(world->events, 1, EVENT_BMC_IDENTITY, 0, 6000);
    assert_non_null(event);
    assert_false(event->bmc_identity.verified);
    event = events_wait(world->events, 0, EVENT_TROUBLE, 0, 1000); /* of the first: nothing wrong */
    assert_non_null(event);
    assert_string_equal(event->trouble.text, "");
    event = events_wait(world->events, 2, EVENT_TROUBLE, 0, 1000);
    assert_non_null(event);
    assert_non_null(strstr(event->trouble.text, "another machine's"));
    assert_non_null(strstr(event->trouble.text, "correct the address"));
}

/* Frozen: the deadline holds, and nothing is claimed. Thawed: the late packets do no harm. */
static void a_dead_bmc_costs_the_deadline_only(void **state)
{
    struct world *world = *state;
    struct action action = off(world, 1200);
    uint64_t before = events_now_ms();
    kill(world->pid, SIGSTOP);
    expect(world, &action, OUTCOME_UNKNOWN, "no answer");
    assert_in_range(events_now_ms() - before, 900, 2000);
    kill(world->pid, SIGCONT);
    action = off(world, 5000);
    expect(world, &action, OUTCOME_DONE, "off");
}

/* Each request has a process of its own: one dead BMC does not delay another. */
static void a_dead_bmc_delays_nobody_else(void **state)
{
    struct world *world = *state;
    struct action dead = off(world, 3000);
    struct action alive = off(world, 3000);
    strcpy(dead.power.bmc.address, "127.0.0.1:9"); /* nobody listens there */
    bmc_io_act(world->io, &dead);
    uint64_t before = events_now_ms();
    expect(world, &alive, OUTCOME_DONE, "off");
    assert_true(events_now_ms() - before < 2500);
    const struct event *event = events_wait(world->events, 0, EVENT_POWER, dead.id, 5000);
    assert_non_null(event);
    assert_int_equal(event->power.outcome, OUTCOME_UNKNOWN);
}

/* It needs a second and a half for each command, longer than the first session waits. */
static void a_slow_bmc_gets_its_time(void **state)
{
    struct world *world = *state;
    struct action action = off(world, 30000);
    write_file(world, "delay", "1.5");
    expect(world, &action, OUTCOME_DONE, "off");
}

static void a_late_command_is_not_sent(void **state)
{
    struct world *world = *state;
    struct action action = off(world, 5000);
    action.valid_until_ms = events_now_ms() - 1;
    expect(world, &action, OUTCOME_STALE, "");
    /* Valid when asked, but not any more when the BMC has at last answered. */
    action = off(world, 20000);
    action.valid_until_ms = events_now_ms() + 300;
    write_file(world, "delay", "1");
    expect(world, &action, OUTCOME_STALE, "");
    assert_false(was_switched(world));
}

/* One answer each, whatever comes after the deadline. */
static void answers_come_once(void **state)
{
    struct world *world = *state;
    struct action action = off(world, 300);
    write_file(world, "delay", "0.5");
    (void)ask(world, &action);
    events_run(world->events, 1500);
    assert_int_equal(events_count(world->events, EVENT_POWER, action.id), 1);
}

static void nothing_configured_is_said(void **state)
{
    struct world *world = *state;
    struct action action = off(world, 5000);
    action.power.bmc.address[0] = '\0';
    expect(world, &action, OUTCOME_FAILED, "no BMC address");
    bmc_io_close(world->io);
    assert_int_equal(bmc_io_open(world->events->loop, NULL, "/nowhere/stead-bmc",
                                 &world->events->sink, &world->io),
                     0);
    action = off(world, 5000);
    expect(world, &action, OUTCOME_FAILED, "no BMC credentials");
    bmc_io_close(world->io);
    assert_int_equal(bmc_io_open(world->events->loop, world->credentials, "/nowhere/stead-bmc",
                                 &world->events->sink, &world->io),
                     0);
    action = off(world, 5000);
    expect(world, &action, OUTCOME_FAILED, "/nowhere/stead-bmc");
}

/* What libraries say goes the same way: a crash after the answer, a warning before it. */
static void other_words_are_no_answer(void **state)
{
    static const struct {
        const char *script;
        enum outcome outcome;
        const char *words;
    } helpers[] = {
        {"echo done off; echo 'free(): invalid pointer' >&2; exit 1", OUTCOME_DONE, "off"},
        {"echo 'a warning' >&2; echo 'failed no such user'", OUTCOME_FAILED, "no such user"},
        {"echo done with it; echo unknown no answer; echo; echo one-word", OUTCOME_UNKNOWN,
         "no answer"},
        {"echo 'a warning of some library'", OUTCOME_UNKNOWN, "without an answer"},
        {"echo 'a warning'; sleep 30", OUTCOME_UNKNOWN, "before the deadline"},
        {"printf 'done of'", OUTCOME_UNKNOWN, "without an answer"},
    };
    struct world *world = *state;
    char helper[PATH_BYTES];
    char script[256];
    snprintf(helper, sizeof(helper), "%s/helper", world->dir);
    bmc_io_close(world->io);
    assert_int_equal(bmc_io_open(world->events->loop, world->credentials, helper,
                                 &world->events->sink, &world->io),
                     0);
    for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++) {
        struct action action = off(world, 1000);
        snprintf(script, sizeof(script), "#!/bin/sh\n%s\n", helpers[i].script);
        write_file(world, "helper", script);
        assert_int_equal(chmod(helper, 0700), 0);
        expect(world, &action, helpers[i].outcome, helpers[i].words);
    }
}

/* A stead-bmc that stayed would carry out its order later, on nobody's word. */
static void closing_with_requests_under_way(void **state)
{
    struct world *world = *state;
    struct action action = off(world, 60000);
    pid_t ended = 0;
    kill(world->pid, SIGSTOP);
    bmc_io_act(world->io, &action);
    events_run(world->events, 50);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), 0); /* it waits for its BMC */
    bmc_io_close(world->io);
    world->io = NULL;
    for (int i = 0; i < 100 && (ended = waitpid(-1, NULL, WNOHANG)) >= 0; i++) {
        usleep(20000);
    }
    assert_int_equal(ended, -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(events_count(world->events, EVENT_POWER, action.id), 0);
}

static void expect_credentials(const struct world *world, const char *content, mode_t mode, int r,
                               const char *words)
{
    char text[TEXT_BYTES] = "";
    write_file(world, "credentials", content);
    chmod(world->credentials, mode);
    assert_int_equal(bmc_io_check_credentials(world->credentials, text), r);
    if (!strstr(text, words)) {
        fail_msg("\"%s\" does not say \"%s\"", text, words);
    }
}

static void credentials_are_checked(void **state)
{
    struct world *world = *state;
    char text[TEXT_BYTES];
    const char *good =
        "; who we are\n[default]\nusername=admin\npassword=secret\n[n1]\npassword=x\n";
    expect_credentials(world, good, 0600, 0, "");
    expect_credentials(world, good, 0400, 0, "");
    expect_credentials(world, good, 0640, -EPERM, "chmod 600");
    expect_credentials(world, good, 0604, -EPERM, world->credentials);
    expect_credentials(world, "[default]\nuser=admin\n", 0600, -EINVAL, "credentials:2: ");
    expect_credentials(world, "username=admin\n", 0600, -EINVAL, "credentials:1: ");
    expect_credentials(world, "[default]\nnonsense\n", 0600, -EINVAL, "credentials:2: ");
    write_file(world, "credentials", good);
    assert_int_equal(chown(world->credentials, 1, 1), 0);
    assert_int_equal(bmc_io_check_credentials(world->credentials, text), -EPERM);
    assert_non_null(strstr(text, "chown root"));
    assert_int_equal(bmc_io_check_credentials("/nowhere/at/all", text), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(off_is_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(off_already_is_off, setup, teardown),
        cmocka_unit_test_setup_teardown(accepted_is_not_off, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_password_is_refused_quickly, setup, teardown),
        cmocka_unit_test_setup_teardown(another_machine_is_not_touched, setup, teardown),
        cmocka_unit_test_setup_teardown(guid_in_any_known_order, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_guid_only_if_verified, setup_nameless, teardown),
        cmocka_unit_test_setup_teardown(identity_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dead_bmc_costs_the_deadline_only, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dead_bmc_delays_nobody_else, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_bmc_gets_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_late_command_is_not_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_come_once, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_configured_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(other_words_are_no_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_with_requests_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(credentials_are_checked, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
