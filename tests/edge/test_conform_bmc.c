/* The BMC edge on ipmi_sim, and the simulator's BMCs: the same list of actions to both. */
#include <errno.h>
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

#include "fencing/bmc_io.h"
#include "tests/edge/events.h"

#include "tests/edge/conform_model.h"

#define PATH_BYTES 512
#define LIMIT_MS 8000
#define SHORT_MS 1500
#define GUID "00112233445566778899aabbccddeeff"

static const char story[] = "cluster seed=7\nnode n1\nnode n2\nnode n3\nrun 10000s\n";
enum { ASKER = 0, TARGET = 1 };

/* What befalls the BMC and the machine behind it. */
struct hands {
    void (*make)(struct conform *conform, enum sim_bmc bmc);
    void (*power)(struct conform *conform, bool on); /* by hand */
    bool (*is_powered)(struct conform *conform);
};

struct list {
    struct conform conform;
    const struct hands *hands;
    struct action off; /* as the core would ask for it */
};

struct real {
    struct events *events;
    struct bmc_io *io;
    char dir[64];
    int port;
    pid_t pid;
};

/* ---- the list */

static void ask_off(struct list *list, const char *why, struct action action)
{
    (void)conform_ask(&list->conform, why, ASKER, &action, NULL);
    conform_note(&list->conform, "%s: its host is %s", why,
                 list->hands->is_powered(&list->conform) ? "on" : "off");
}

static void run_list(struct list *list)
{
    struct conform *conform = &list->conform;
    struct action action = list->off;
    action.valid_until_ms = CONFORM_PAST_MS;
    ask_off(list, "off, too late", action);
    action = list->off;
    action.power.machine.bytes[3] ^= 1;
    ask_off(list, "off of another machine", action);
    action.power.bmc.verified = true;
    ask_off(list, "off of one that it once was", action);
    ask_off(list, "off", list->off);
    ask_off(list, "off of one that is off", list->off);
    list->hands->power(conform, true);
    list->hands->make(conform, SIM_BMC_DEAD);
    action = list->off;
    action.deadline_ms = SHORT_MS;
    ask_off(list, "a dead BMC", action);
    list->hands->make(conform, SIM_BMC_LIES);
    ask_off(list, "it says yes and does nothing", action);
    list->hands->make(conform, SIM_BMC_LIES_OFF);
    ask_off(list, "it reads off whatever is", list->off);
    list->hands->make(conform, SIM_BMC_WITH_HOST);
    list->hands->power(conform, false);
    ask_off(list, "it lost its power with its host", action);
    list->hands->power(conform, true);
    list->hands->make(conform, SIM_BMC_SLOW);
    ask_off(list, "a slow BMC", list->off);
    list->hands->make(conform, SIM_BMC_OK);
    ask_off(list, "a good one", list->off);
    list->hands->make(conform, SIM_BMC_NONE);
    action = list->off;
    action.power.bmc = (struct bmc_address){0};
    ask_off(list, "none", action);
}

/* ---- the model */

static void model_make(struct conform *conform, enum sim_bmc bmc)
{
    (void)conform;
    model.sim->hosts[TARGET].bmc = bmc;
    model.sim->hosts[TARGET].bmc_slow_us = 1 * SECOND;
}

static void model_power(struct conform *conform, bool on)
{
    (void)conform;
    sim_host_power(model.sim, TARGET, on);
}

static bool model_is_powered(struct conform *conform)
{
    (void)conform;
    return model.sim->hosts[TARGET].powered;
}

static const struct hands model_hands = {model_make, model_power, model_is_powered};

/* ---- the real one */

static void in_dir(const struct real *real, const char *command)
{
    char line[PATH_BYTES];
    snprintf(line, sizeof(line), "cd %s && %s", real->dir, command);
    assert_int_equal(system(line), 0);
}

static void real_make(struct conform *conform, enum sim_bmc bmc)
{
    const struct real *real = conform->part;
    in_dir(real, "rm -f stuck claims delay");
    kill(real->pid, bmc == SIM_BMC_DEAD ? SIGSTOP : SIGCONT);
    in_dir(real, bmc == SIM_BMC_WITH_HOST ? "touch with-host" : "rm -f with-host");
    if (bmc == SIM_BMC_LIES) {
        in_dir(real, "touch stuck");
    } else if (bmc == SIM_BMC_LIES_OFF) {
        in_dir(real, "touch stuck claims");
    } else if (bmc == SIM_BMC_SLOW) {
        in_dir(real, "echo 0.5 >delay");
    }
}

static void real_power(struct conform *conform, bool on)
{
    in_dir(conform->part, on ? "echo 1 >power" : "echo 0 >power");
    in_dir(conform->part, on ? "[ ! -e with-host ] || kill -CONT $(cat pid)"
                             : "[ ! -e with-host ] || kill -STOP $(cat pid)");
}

static bool real_is_powered(struct conform *conform)
{
    const struct real *real = conform->part;
    char line[PATH_BYTES];
    snprintf(line, sizeof(line), "[ \"$(cat %s/power)\" = 1 ]", real->dir);
    return system(line) == 0;
}

static const struct hands real_hands = {real_make, real_power, real_is_powered};

static struct event real_ask(void *part, uint32_t seat, struct action *action,
                             const struct delta *delta)
{
    struct real *real = part;
    struct action asked = *action;
    (void)seat;
    (void)delta;
    asked.id = real->events->next_id++;
    asked.deadline_ms += events_now_ms();
    bmc_io_act(real->io, &asked);
    const struct event *event =
        events_wait(real->events, 0, EVENT_POWER, asked.id, action->deadline_ms + 2000);
    assert_non_null(event);
    assert_true(event->now_ms <= asked.deadline_ms + 500); /* a busy machine's allowance */
    return *event;
}

static int begin(void **state)
{
    struct real *real = calloc(1, sizeof(*real));
    char line[PATH_BYTES], helper[PATH_BYTES], credentials[PATH_BYTES];
    strcpy(real->dir, "/tmp/stead-test-conform.XXXXXX");
    assert_non_null(mkdtemp(real->dir));
    real->port = 20000 + getpid() % 20000;
    snprintf(line, sizeof(line), "tests/edge/bmc.sh start %s %d %s", real->dir, real->port, GUID);
    assert_int_equal(system(line), 0);
    snprintf(line, sizeof(line), "%s/pid", real->dir);
    FILE *file = fopen(line, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &real->pid), 1);
    fclose(file);
    in_dir(real,
           "umask 077; printf '[default]\\nusername=admin\\npassword=secret\\n' >credentials");
    snprintf(credentials, sizeof(credentials), "%s/credentials", real->dir);
    ssize_t length = readlink("/proc/self/exe", helper, sizeof(helper) - 32);
    assert_true(length > 0);
    helper[length] = '\0';
    strcpy(strrchr(helper, '/'), "/../stead-bmc");
    real->events = events_new();
    assert_int_equal(
        bmc_io_open(real->events->loop, credentials, helper, &real->events->sink, &real->io), 0);
    *state = real;
    return 0;
}

static int end(void **state)
{
    struct real *real = *state;
    char line[PATH_BYTES];
    bmc_io_close(real->io);
    snprintf(line, sizeof(line), "tests/edge/bmc.sh stop %s; rm -rf %s", real->dir, real->dir);
    events_free(real->events);
    free(real);
    return system(line);
}

/* ---- */

static struct action off_of(const char *address, uint32_t suite, const struct uuid *machine)
{
    struct action action = {.kind = ACTION_POWER, .deadline_ms = LIMIT_MS};
    name_set(action.power.node, NAME_BYTES, "n2");
    name_set(action.power.bmc.address, ADDRESS_BYTES, address);
    action.power.bmc.cipher_suite = suite;
    action.power.machine = *machine;
    return action;
}

static void test_both_answer_alike(void **state)
{
    static const struct uuid guid = {{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
                                      0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}};
    static struct list of_model, of_real;
    struct real *real = *state;
    char address[ADDRESS_BYTES];
    model_begin(story);
    of_model.conform.ask = model_ask;
    of_model.hands = &model_hands;
    of_model.off =
        off_of(sim_bmc_address(model.sim, TARGET).address, 17, &model.sim->hosts[TARGET].machine);
    run_list(&of_model);
    model_end();
    snprintf(address, sizeof(address), "127.0.0.1:%d", real->port);
    of_real.conform.part = real;
    of_real.conform.ask = real_ask;
    of_real.hands = &real_hands;
    of_real.off = off_of(address, 3, &guid);
    run_list(&of_real);
    conform_compare(&of_model.conform, &of_real.conform);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_answer_alike, begin, end),
    };
    return cmocka_run_group_tests_name("conform: BMC", tests, NULL, NULL);
}
