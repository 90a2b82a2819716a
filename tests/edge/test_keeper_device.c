/*
 * stead-keeper as it is installed, between the agent's edge and a watchdog device: the lab's, a
 * FUSE file that says when it is armed, let go, and when it would have reset the host. /run and
 * /sys are the test's own, in a mount namespace. `make build/stead-keeper build/tests/watchdog`
 * makes both; with sanitizers there would be nothing to say about locked memory.
 */
#define _GNU_SOURCE /* unshare */

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fencing/keeper.h"
#include "fencing/keeper_io.h"
#include "tests/edge/events.h"

#define TIMEOUT_MS 2000u
#define FEED_MS (TIMEOUT_MS / 10)
#define VOUCH_MS 600  /* each reaches so far */
#define BUSY_MS 500   /* a busy machine's allowance */
#define PATIENCE 3000 /* for what is to come at once */

struct world {
    struct events *events;
    struct keeper_io *io;
    struct keeper_options options;
    char dir[64];
    char device[80];
    pid_t keeper;
    pid_t watchdog;
    uint64_t until_ms; /* of the last vouch */
};

/* --- processes and files --- */

/* Ends with this process. What it says goes to NAME in the world's folder. */
static pid_t start(const struct world *world, const char *name, const char *const *arguments)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", world->dir, name);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int out = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        execv(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    return pid;
}

static void end(pid_t *pid)
{
    if (*pid > 0) {
        kill(*pid, SIGKILL);
        waitpid(*pid, NULL, 0);
    }
    *pid = 0;
}

static void read_text(const char *path, char *ret_text, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t length = file != NULL ? fread(ret_text, 1, size - 1, file) : 0;
    ret_text[length] = '\0';
    if (file != NULL) {
        fclose(file);
    }
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* When (CLOCK_REALTIME, ms) the device first said that; 0: it has not. */
static uint64_t device_said(const struct world *world, const char *word)
{
    char path[128], line[128], what[64];
    double at_s = 0, found_s = 0;
    snprintf(path, sizeof(path), "%s/watchdog", world->dir);
    FILE *file = fopen(path, "r");
    while (file != NULL && found_s == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "%lf %63[^\n]", &at_s, what) == 2 && strcmp(what, word) == 0) {
            found_s = at_s;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return (uint64_t)(found_s * 1000);
}

static bool keeper_said(const struct world *world, const char *words)
{
    char path[128], text[8192];
    snprintf(path, sizeof(path), "%s/keeper", world->dir);
    read_text(path, text, sizeof(text));
    return strstr(text, words) != NULL;
}

/* Waits until the device says it; when, on the clock of vouches. */
static uint64_t wait_for_device(const struct world *world, const char *word, uint64_t wait_ms)
{
    struct timespec wall;
    uint64_t end_ms = events_now_ms() + wait_ms, at_ms = 0;
    while ((at_ms = device_said(world, word)) == 0 && events_now_ms() < end_ms) {
        events_run(world->events, 20);
    }
    if (at_ms == 0) {
        fail_msg("the device has not said '%s' within %d ms", word, (int)wait_ms);
    }
    clock_gettime(CLOCK_REALTIME, &wall);
    uint64_t wall_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000;
    return events_now_ms() - (wall_ms - at_ms);
}

/* --- a world --- */

/* A device, called so (NULL: what the lab calls it), that says to stop when closed or not. */
static void start_watchdog(struct world *world, const char *identity, bool stops)
{
    char pid[16];
    const char *const arguments[] = {"build/tests/watchdog", pid, world->device, "/bin/true", NULL};
    char log[128];
    end(&world->watchdog);
    snprintf(log, sizeof(log), "%s/watchdog", world->dir);
    (void)unlink(log);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    identity != NULL ? setenv("WATCHDOG_IDENTITY", identity, 1) : unsetenv("WATCHDOG_IDENTITY");
    stops ? setenv("WATCHDOG_STOPS", "yes", 1) : unsetenv("WATCHDOG_STOPS");
    world->watchdog = start(world, "watchdog", arguments);
    (void)wait_for_device(world, "ready", PATIENCE);
}

static void connect_agent(struct world *world)
{
    uint32_t before = world->events->count;
    assert_int_equal(
        keeper_io_open(world->events->loop, &world->options, &world->events->sink, &world->io), 0);
    assert_non_null(events_wait(world->events, before, EVENT_KEEPER, 0, PATIENCE));
}

static void agent_dies(struct world *world)
{
    keeper_io_close(world->io);
    world->io = NULL;
}

static int setup(void **state)
{
    static const char *const arguments[] = {"build/stead-keeper", "run", NULL};
    struct world *world = calloc(1, sizeof(*world));
    strcpy(world->dir, "/tmp/stead-test-keeper.XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    snprintf(world->device, sizeof(world->device), "%s/device", world->dir);
    world->options = (struct keeper_options){.socket = KEEPER_SOCKET, .device = world->device};
    world->events = events_new();
    start_watchdog(world, NULL, false);
    (void)unlink(KEEPER_SOCKET);
    world->keeper = start(world, "keeper", arguments);
    for (int i = 0; i < 100 && !keeper_said(world, "ready"); i++) {
        events_run(world->events, 30);
    }
    connect_agent(world);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    char command[128];
    keeper_io_close(world->io);
    end(&world->keeper);
    end(&world->watchdog);
    (void)umount2(world->device, MNT_DETACH);
    snprintf(command, sizeof(command), "rm -rf %s", world->dir);
    assert_int_equal(system(command), 0);
    events_free(world->events);
    free(world);
    return 0;
}

/* --- orders --- */

/* From now on nothing stops it, as with a driver that was loaded with nowayout=1. */
static void start_nowayout(struct world *world, const char *identity)
{
    setenv("WATCHDOG_NOWAYOUT", "yes", 1);
    start_watchdog(world, identity, false);
    unsetenv("WATCHDOG_NOWAYOUT");
}

static const struct event *order(struct world *world, enum action_kind kind)
{
    struct action action = {.kind = kind};
    uint32_t before = world->events->count;
    action.keeper.timeout_ms = TIMEOUT_MS;
    keeper_io_act(world->io, &action);
    const struct event *event = events_wait(world->events, before, EVENT_KEEPER, 0, PATIENCE);
    assert_non_null(event);
    return event;
}

static void arm(struct world *world)
{
    const struct event *event = order(world, ACTION_KEEPER_ARM);
    assert_string_equal(event->keeper.trouble, "");
    assert_true(event->keeper.armed);
    assert_int_equal(event->keeper.timeout_ms, TIMEOUT_MS);
    assert_true(device_said(world, "armed") != 0);
}

static void refused(struct world *world, const char *words)
{
    const struct event *event = order(world, ACTION_KEEPER_ARM);
    assert_false(event->keeper.armed);
    if (strstr(event->keeper.trouble, words) == NULL) {
        fail_msg("'%s' does not say '%s'", event->keeper.trouble, words);
    }
    assert_int_equal(device_said(world, "closed, still armed"), 0);
}

static void vouch(struct world *world, uint64_t for_ms)
{
    struct action action = {.kind = ACTION_VOUCH};
    world->until_ms = events_now_ms() + for_ms;
    action.keeper.until_ms = world->until_ms;
    keeper_io_act(world->io, &action);
}

/* As an agent does, for so long. */
static void keep_vouching(struct world *world, uint64_t for_ms)
{
    for (uint64_t end_ms = events_now_ms() + for_ms; events_now_ms() < end_ms;) {
        vouch(world, VOUCH_MS);
        events_run(world->events, VOUCH_MS / 3);
    }
}

/* --- tests --- */

static void it_feeds_to_the_end_of_the_word_and_not_beyond(void **state)
{
    struct world *world = *state;
    arm(world);
    keep_vouching(world, 2 * TIMEOUT_MS + 500);
    assert_int_equal(device_said(world, "expired"), 0);
    uint64_t fired_ms = wait_for_device(world, "expired", TIMEOUT_MS + PATIENCE);
    print_message("    fired %d ms after the word ran out\n", (int)(fired_ms - world->until_ms));
    assert_in_range(fired_ms, world->until_ms + TIMEOUT_MS - FEED_MS - BUSY_MS,
                    world->until_ms + TIMEOUT_MS + BUSY_MS);
    assert_true(keeper_said(world, "feeding -> expired"));
}

static void without_a_word_it_is_not_fed(void **state)
{
    struct world *world = *state;
    uint64_t armed_ms = events_now_ms();
    arm(world);
    uint64_t fired_ms = wait_for_device(world, "expired", TIMEOUT_MS + PATIENCE);
    assert_in_range(fired_ms, armed_ms + TIMEOUT_MS - 10, armed_ms + TIMEOUT_MS + BUSY_MS);
}

static void it_lets_go_only_when_told(void **state)
{
    struct world *world = *state;
    int status = -1;
    arm(world);
    keep_vouching(world, 500);
    kill(world->keeper, SIGTERM);
    keep_vouching(world, TIMEOUT_MS + 500);
    assert_int_equal(waitpid(world->keeper, &status, WNOHANG), 0);
    assert_true(keeper_said(world, "told to end while its watchdog runs"));
    assert_int_equal(device_said(world, "closed, still armed"), 0);
    assert_false(order(world, ACTION_KEEPER_DISARM)->keeper.armed);
    (void)wait_for_device(world, "disarmed", PATIENCE); /* FUSE tells of a close later */
    for (int i = 0; i < 50 && waitpid(world->keeper, &status, WNOHANG) == 0; i++) {
        events_run(world->events, 20);
    }
    assert_int_equal(status, 0); /* it had been told to end */
    world->keeper = 0;
}

/* Let go, a device that nothing stops would reset this host soon after: it is fed on, whoever
 * vouches or not, and guards again once it is armed anew. */
static void what_cannot_be_stopped_is_fed_on(void **state)
{
    struct world *world = *state;
    int status = -1;
    start_nowayout(world, NULL);
    arm(world);
    keep_vouching(world, 500);
    const struct event *event = order(world, ACTION_KEEPER_DISARM);
    assert_false(event->keeper.armed); /* nobody is to count on it */
    assert_non_null(strstr(event->keeper.trouble, "cannot be stopped"));
    kill(world->keeper, SIGTERM);
    agent_dies(world);
    events_run(world->events, 2 * TIMEOUT_MS);
    assert_int_equal(device_said(world, "expired"), 0);
    assert_int_equal(device_said(world, "closed, still armed"), 0);
    assert_int_equal(waitpid(world->keeper, &status, WNOHANG), 0);
    assert_true(keeper_said(world, "told to end while its watchdog runs"));
    connect_agent(world);
    assert_false(world->events->list[world->events->count - 1].keeper.armed);
    vouch(world, VOUCH_MS); /* of no use, and no harm */
    events_run(world->events, TIMEOUT_MS + VOUCH_MS + BUSY_MS);
    assert_int_equal(device_said(world, "expired"), 0);
    arm(world);
    keep_vouching(world, 500);
    uint64_t fired_ms = wait_for_device(world, "expired", VOUCH_MS + TIMEOUT_MS + PATIENCE);
    assert_in_range(fired_ms, world->until_ms + TIMEOUT_MS - FEED_MS - BUSY_MS,
                    world->until_ms + TIMEOUT_MS + BUSY_MS);
}

/* At the very end of a shutdown systemd waits for each that does not heed its SIGTERM. */
static void what_is_fed_for_good_ends_with_its_host(void **state)
{
    struct world *world = *state;
    char path[128];
    int status = -1;
    snprintf(path, sizeof(path), "%s/comm", world->dir);
    write_text(path, "systemd-shutdow\n");
    start_nowayout(world, NULL);
    arm(world);
    assert_false(order(world, ACTION_KEEPER_DISARM)->keeper.armed);
    assert_int_equal(mount(path, "/proc/1/comm", NULL, MS_BIND, NULL), 0);
    kill(world->keeper, SIGTERM);
    for (int i = 0; i < 50 && waitpid(world->keeper, &status, WNOHANG) == 0; i++) {
        events_run(world->events, 20);
    }
    assert_int_equal(umount("/proc/1/comm"), 0);
    assert_int_equal(status, 0);
    assert_true(keeper_said(world, "unless the host is down by then"));
    world->keeper = 0;
}

/* To look at it was to arm it. */
static void what_is_refused_and_cannot_be_stopped_is_fed(void **state)
{
    struct world *world = *state;
    start_nowayout(world, "Software Watchdog");
    refused(world, "softdog dies with the kernel");
    events_run(world->events, 2 * TIMEOUT_MS);
    assert_int_equal(device_said(world, "expired"), 0);
    refused(world, "softdog dies with the kernel");
    events_run(world->events, 2 * TIMEOUT_MS);
    assert_int_equal(device_said(world, "expired"), 0);
}

/* Where a feed takes longer than the sum of a proof allows for (docs/timing.md), a person is told.
 */
static void a_late_feed_is_told(void **state)
{
    struct world *world = *state;
    const struct event *last = NULL;
    arm(world);
    keep_vouching(world, 500);
    assert_false(keeper_said(world, " late"));
    kill(world->watchdog, SIGSTOP);
    keep_vouching(world, 1300);
    kill(world->watchdog, SIGCONT);
    for (int i = 0; i < 20 && !keeper_said(world, " late"); i++) {
        keep_vouching(world, VOUCH_MS / 3);
    }
    keep_vouching(world, VOUCH_MS);
    last = &world->events->list[world->events->count - 1];
    assert_true(last->keeper.armed);
    assert_non_null(strstr(last->keeper.trouble, " ms late"));
    assert_non_null(strstr(last->keeper.trouble, world->device));
    assert_false(order(world, ACTION_KEEPER_DISARM)->keeper.armed);
    (void)wait_for_device(world, "disarmed", PATIENCE);
    arm(world); /* another life of it: no trouble */
}

static void it_outlives_the_agent(void **state)
{
    struct world *world = *state;
    arm(world);
    vouch(world, 1500);
    agent_dies(world);
    events_run(world->events, 1500 + TIMEOUT_MS / 2);
    assert_int_equal(device_said(world, "expired"), 0); /* its word was kept */
    connect_agent(world);
    assert_true(world->events->list[world->events->count - 1].keeper.armed);
    keep_vouching(world, TIMEOUT_MS + 500);
    assert_true(keeper_said(world, "expired -> feeding"));
    assert_int_equal(device_said(world, "expired"), 0);
    agent_dies(world);
    uint64_t fired_ms = wait_for_device(world, "expired", VOUCH_MS + TIMEOUT_MS + PATIENCE);
    assert_in_range(fired_ms, world->until_ms + TIMEOUT_MS - FEED_MS - BUSY_MS,
                    world->until_ms + TIMEOUT_MS + BUSY_MS);
}

static void killed_it_leaves_the_device_armed(void **state)
{
    struct world *world = *state;
    arm(world);
    keep_vouching(world, 500);
    uint64_t killed_ms = events_now_ms();
    end(&world->keeper);
    (void)wait_for_device(world, "closed, still armed", PATIENCE);
    uint64_t fired_ms = wait_for_device(world, "expired", TIMEOUT_MS + PATIENCE);
    assert_in_range(fired_ms, killed_ms, killed_ms + TIMEOUT_MS + BUSY_MS);
}

/* Each is let go, not left behind armed. */
static void known_liars_are_refused(void **state)
{
    struct world *world = *state;
    start_watchdog(world, "Software Watchdog", false);
    refused(world, "softdog dies with the kernel");
    (void)wait_for_device(world, "disarmed", PATIENCE);
    start_watchdog(world, "iTCO_wdt", false);
    write_text("/sys/class/dmi/id/sys_vendor", "QEMU\n");
    refused(world, "arms and never fires");
    (void)wait_for_device(world, "disarmed", PATIENCE);
    write_text("/sys/class/dmi/id/sys_vendor", "Dell Inc.\n");
    arm(world);
    assert_false(order(world, ACTION_KEEPER_DISARM)->keeper.armed);
    start_watchdog(world, "another", false);
    assert_int_equal(mkdir("/sys/module/ipmi_watchdog", 0755), 0);
    refused(world, "ipmi_watchdog is loaded");
    assert_int_equal(rmdir("/sys/module/ipmi_watchdog"), 0);
    start_watchdog(world, "another", true);
    refused(world, "nowayout=1");
    start_watchdog(world, "another", false);
    int held = open(world->device, O_WRONLY | O_CLOEXEC);
    assert_true(held >= 0);
    refused(world, "another program holds it");
    close(held);
    agent_dies(world);
    world->options.softdog = true;
    start_watchdog(world, "Software Watchdog", false);
    connect_agent(world);
    arm(world);
}

static long status_kb(const struct world *world, const char *name)
{
    char path[64], text[4096];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)world->keeper);
    read_text(path, text, sizeof(text));
    const char *line = strstr(text, name);
    assert_non_null(line);
    return strtol(line + strlen(name), NULL, 10);
}

/* Its own objects name no allocator at all; what libc might take beneath them would show as data
 * that grows, while it does all that it ever does. */
static void it_is_small_and_locked_and_takes_no_more(void **state)
{
    struct world *world = *state;
    char command[256];
    const long data_kb = status_kb(world, "VmData:");
    arm(world);
    keep_vouching(world, 1000);
    agent_dies(world);
    connect_agent(world);
    keep_vouching(world, 500);
    print_message("    VmRSS %ld kB, VmLck %ld kB\n", status_kb(world, "VmRSS:"),
                  status_kb(world, "VmLck:"));
    assert_in_range(status_kb(world, "VmRSS:"), 1, 2047);
    assert_true(status_kb(world, "VmLck:") * 10 >= status_kb(world, "VmRSS:") * 9);
    assert_int_equal(status_kb(world, "VmSwap:"), 0);
    assert_int_equal(sched_getscheduler(world->keeper), SCHED_RR);
    assert_false(order(world, ACTION_KEEPER_DISARM)->keeper.armed);
    assert_int_equal(open(world->device, O_WRONLY | O_CLOEXEC) < 0, 0);
    refused(world, "another program holds it");
    assert_int_equal(status_kb(world, "VmData:"), data_kb);
    snprintf(command, sizeof(command),
             "nm -u build/fencing/keeper_main.o build/fencing/watchdog_io.o "
             "build/fencing/keeper.o build/proto/text.o >%s/names",
             world->dir);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof(command),
             "grep -E ' (malloc|calloc|realloc|strdup|asprintf|fopen|getline)' %s/names",
             world->dir);
    assert_int_equal(WEXITSTATUS(system(command)), 1);
}

/* A /run and a /sys of our own. */
static int own_world(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/run", "tmpfs", 0, NULL) < 0 ||
        mount("none", "/sys", "tmpfs", 0, NULL) < 0) {
        return -1;
    }
    return system("mkdir -p /sys/class/dmi/id /sys/module");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_feeds_to_the_end_of_the_word_and_not_beyond, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_a_word_it_is_not_fed, setup, teardown),
        cmocka_unit_test_setup_teardown(it_lets_go_only_when_told, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_stopped_is_fed_on, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_fed_for_good_ends_with_its_host, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_refused_and_cannot_be_stopped_is_fed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_late_feed_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(it_outlives_the_agent, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_it_leaves_the_device_armed, setup, teardown),
        cmocka_unit_test_setup_teardown(known_liars_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_small_and_locked_and_takes_no_more, setup, teardown),
    };
    if (own_world() != 0) {
        perror("test_keeper_device: needs root, and mount namespaces");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
