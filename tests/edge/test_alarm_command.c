/* The operator's notify command: what it gets, and that one that is slow, fails, or is not there
 * holds nothing up and is said in the journal (here: on stderr). Run it as root. */
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

#include "agent/alarm_command_io.h"
#include "tests/edge/events.h"

#define PATH_BYTES 128
#define TEXT_MAX 65536
#define FREEZER "/sys/fs/cgroup/freezer/stead-edge-alarm"

struct world {
    struct events *events;
    struct alarm_command_io *command;
    char dir[64];
    char path[PATH_BYTES];
    int stderr_kept;
};

static void in_dir(const struct world *world, const char *name, char ret_path[PATH_BYTES])
{
    snprintf(ret_path, PATH_BYTES, "%s/%s", world->dir, name);
}

static char *read_all(const struct world *world, const char *name)
{
    char path[PATH_BYTES];
    char *text = calloc(1, TEXT_MAX);
    in_dir(world, name, path);
    fflush(stderr);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        (void)!fread(text, 1, TEXT_MAX - 1, file);
        fclose(file);
    }
    return text;
}

static uint32_t count_of(const struct world *world, const char *name, const char *words)
{
    char *text = read_all(world, name);
    uint32_t count = 0;
    for (const char *at = text; (at = strstr(at, words)) != NULL; at++) {
        count++;
    }
    free(text);
    return count;
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    char log[PATH_BYTES];
    strcpy(world->dir, "/tmp/stead-test-alarm.XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    in_dir(world, "command", world->path);
    in_dir(world, "log", log);
    unsetenv("JOURNAL_STREAM");
    fflush(stderr);
    world->stderr_kept = dup(STDERR_FILENO);
    assert_non_null(freopen(log, "a", stderr));
    world->events = events_new();
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    char remove[PATH_BYTES];
    if (world->command != NULL) {
        alarm_command_io_close(world->command);
    }
    events_free(world->events);
    fflush(stderr);
    dup2(world->stderr_kept, STDERR_FILENO);
    close(world->stderr_kept);
    snprintf(remove, sizeof(remove), "rm -rf %s", world->dir);
    (void)!system(remove);
    free(world);
    return 0;
}

/* A shell script in $DIR, run by its path alone. */
static void write_command(struct world *world, const char *script, mode_t mode)
{
    FILE *file = fopen(world->path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\nDIR=%s\n%s\n", world->dir, script);
    fclose(file);
    assert_int_equal(chmod(world->path, mode), 0);
}

static void open_with(struct world *world, uint64_t deadline_ms)
{
    assert_int_equal(
        alarm_command_io_open(world->events->loop, world->path, deadline_ms, &world->command), 0);
}

static void put(struct world *world, const char *subject, bool raised)
{
    struct alarm alarm = {.kind = ALARM_NODE_LOST, .since_wall_ms = 1700000000123};
    name_set(alarm.subject, sizeof(alarm.subject), subject);
    name_set(alarm.text, sizeof(alarm.text), "it is \"gone\"\n");
    alarm_command_io_put(world->command, "n1", &alarm, raised, 1700000001000);
}

static void run_until(struct world *world, const char *name, const char *words, uint32_t count)
{
    for (int i = 0; i < 200 && count_of(world, name, words) < count; i++) {
        events_run(world->events, 50);
    }
    assert_int_equal(count_of(world, name, words), count);
}

/* One JSON object on its standard input, and nothing of the agent's environment or files. */
static void gets_json(void **state)
{
    struct world *world = *state;
    setenv("STEAD_SECRET", "x", 1);
    write_command(world,
                  "env >$DIR/env; ls /proc/$$/fd | wc -l >$DIR/fds; cat >$DIR/got; "
                  "echo $# >$DIR/arguments",
                  0700);
    open_with(world, 5000);
    put(world, "n3", true);
    run_until(world, "arguments", "0", 1);
    char *got = read_all(world, "got");
    assert_string_equal(
        got, "{\"version\":1,\"state\":\"raised\",\"kind\":\"node-lost\",\"subject\":\"n3\","
             "\"severity\":\"critical\",\"text\":\"it is \\\"gone\\\"\\n\",\"remedy\":"
             "\"stead node show NODE; if it surely is off: stead node fence NODE --i-vouch\","
             "\"since\":\"2023-11-14T22:13:20.123Z\",\"time\":\"2023-11-14T22:13:21.000Z\","
             "\"node\":\"n1\",\"message_id\":\"3667d221a4c25e08a776f84c03db513f\"}\n");
    free(got);
    assert_int_equal(count_of(world, "env", "STEAD_SECRET"), 0);
    assert_int_equal(count_of(world, "log", "notify"), 0);
}

/* In order, one at a time: none starts before the one before has ended. */
static void one_at_a_time(void **state)
{
    struct world *world = *state;
    write_command(world,
                  "mkdir $DIR/busy || echo clash >>$DIR/done; "
                  "sed 's/.*subject\":\"\\([^\"]*\\).*/\\1/' >>$DIR/done; sleep 0.05; "
                  "rmdir $DIR/busy",
                  0700);
    open_with(world, 5000);
    const char *const subjects[] = {"n1", "n2", "n3", "n4", "n5"};
    for (unsigned i = 0; i < 5; i++) {
        put(world, subjects[i], i % 2 == 0);
    }
    run_until(world, "done", "n5", 1);
    char *done = read_all(world, "done");
    assert_string_equal(done, "n1\nn2\nn3\nn4\nn5\n");
    free(done);
}

/* A zombie that nobody has fetched yet is dead, too. */
static bool lives(int pid)
{
    char path[PATH_BYTES];
    char state = 'Z';
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        (void)!fscanf(file, "%*d (%*[^)]) %c", &state);
        fclose(file);
    }
    return state != 'Z' && state != 'X';
}

/* A slow one is killed with what it started, and the next one gets its turn; nobody waited. */
static void a_slow_one_is_killed(void **state)
{
    struct world *world = *state;
    write_command(world,
                  "grep -q '\"n1\"' && { sleep 77 & echo $! >$DIR/child; sleep 77; }; "
                  "echo ran >>$DIR/done",
                  0700);
    open_with(world, 300);
    uint64_t begun_ms = events_now_ms();
    put(world, "x\", \"n1", true); /* each has "n1" as its node: all are slow */
    put(world, "n2", true);
    assert_true(events_now_ms() - begun_ms < 200);
    run_until(world, "log", "was killed: it took longer than 300 ms", 2);
    assert_int_equal(count_of(world, "done", "ran"), 0);
    char *child = read_all(world, "child");
    assert_true(atoi(child) > 1);
    for (int i = 0; i < 100 && lives(atoi(child)); i++) {
        events_run(world->events, 20);
    }
    assert_false(lives(atoi(child))); /* its own child is gone, too */
    free(child);
}

static void a_failing_one_is_said(void **state)
{
    struct world *world = *state;
    write_command(world, "exit 3", 0700);
    open_with(world, 5000);
    put(world, "n3", true);
    put(world, "n3", false);
    run_until(world, "log", "failed: exit status 3", 2);
    write_command(world, "kill -9 $$", 0700);
    put(world, "n3", true);
    run_until(world, "log", "ended by signal 9", 1);
}

/* Not there, not to be executed, anybody's to write: said, and the next alarm tries again. */
static void what_cannot_run_is_said(void **state)
{
    struct world *world = *state;
    open_with(world, 5000);
    put(world, "n3", true);
    run_until(world, "log", "cannot be run: No such file", 1);
    write_command(world, "echo ran >>$DIR/done", 0600);
    put(world, "n3", true);
    run_until(world, "log", "cannot be run: Permission denied", 1);
    write_command(world, "echo ran >>$DIR/done", 0777);
    put(world, "n3", true);
    run_until(world, "log", "nobody else may write", 1);
    write_command(world, "echo ran >>$DIR/done", 0755);
    put(world, "n3", true);
    run_until(world, "done", "ran", 1);
}

/* More than may wait: the rest is counted, and said once. */
static void the_queue_is_bounded(void **state)
{
    struct world *world = *state;
    write_command(world, "echo ran >>$DIR/done; sleep 0.01", 0700);
    open_with(world, 5000);
    for (unsigned i = 0; i < ALARM_COMMAND_WAITING + 8; i++) {
        put(world, "n3", true); /* the first begins at once, 64 wait */
    }
    run_until(world, "done", "ran", ALARM_COMMAND_WAITING + 1);
    run_until(world, "log", "7 alarms were not passed on", 1);
}

/* No command: nothing happens. One that runs at the end is killed. */
static void none_and_the_end(void **state)
{
    struct world *world = *state;
    struct alarm_command_io *none = NULL;
    struct alarm alarm = {.kind = ALARM_NODE_LOST};
    assert_int_equal(alarm_command_io_open(world->events->loop, "", 5000, &none), 0);
    alarm_command_io_put(none, "n1", &alarm, true, 1);
    alarm_command_io_close(none);
    write_command(world, "echo $$ >$DIR/pid; exec sleep 77", 0700);
    open_with(world, 60000);
    put(world, "n3", true);
    run_until(world, "pid", "\n", 1);
    char *pid = read_all(world, "pid");
    alarm_command_io_close(world->command);
    world->command = NULL;
    assert_false(lives(atoi(pid)));
    free(pid);
}

static bool freezer_write(const char *file, const char *words)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), FREEZER "/%s", file);
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        return false;
    }
    fputs(words, out);
    return fclose(out) == 0;
}

/* One that even SIGKILL does not end (here: frozen, else stuck in the kernel) holds nothing up,
 * neither at its deadline nor at the end. */
static void one_that_does_not_die_holds_nothing_up(void **state)
{
    struct world *world = *state;
    if (mkdir(FREEZER, 0755) < 0 && errno != EEXIST) {
        skip(); /* needs a version 1 freezer: the new one lets SIGKILL through */
    }
    write_command(world, "echo $$ >$DIR/pid; exec sleep 77", 0700);
    open_with(world, 1000);
    put(world, "n3", true);
    run_until(world, "pid", "\n", 1);
    char *pid = read_all(world, "pid");
    assert_true(freezer_write("cgroup.procs", pid));
    assert_true(freezer_write("freezer.state", "FROZEN"));
    assert_int_equal(system("(sleep 4; echo THAWED >" FREEZER "/freezer.state) &"), 0);
    uint64_t begun_ms = events_now_ms();
    events_run(world->events, 1200);
    alarm_command_io_close(world->command);
    world->command = NULL;
    assert_in_range(events_now_ms() - begun_ms, 1200, 3000);
    (void)freezer_write("freezer.state", "THAWED");
    for (int i = 0; i < 100 && lives(atoi(pid)); i++) {
        usleep(20000);
    }
    assert_false(lives(atoi(pid)));
    free(pid);
    rmdir(FREEZER);
}

/* Nobody would hold it to its deadline. */
static void it_dies_with_the_agent(void **state)
{
    struct world *world = *state;
    write_command(world, "echo $$ >$DIR/pid; exec sleep 77", 0700);
    pid_t agent = fork();
    if (agent == 0) {
        struct events *events = events_new();
        assert_int_equal(alarm_command_io_open(events->loop, world->path, 60000, &world->command),
                         0);
        put(world, "n3", true);
        for (int i = 0; i < 200 && count_of(world, "pid", "\n") == 0; i++) {
            events_run(events, 20);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(agent, NULL, 0), agent);
    char *pid = read_all(world, "pid");
    assert_true(atoi(pid) > 1);
    for (int i = 0; i < 100 && lives(atoi(pid)); i++) {
        usleep(20000);
    }
    bool left = lives(atoi(pid));
    if (left) {
        kill(atoi(pid), SIGKILL);
    }
    free(pid);
    assert_false(left);
}

/* `journalctl -x` has something to say about each kind. */
static void the_catalog_knows_each(void **state)
{
    char *catalog = calloc(1, TEXT_MAX);
    FILE *file = fopen("deploy/systemd/stead.catalog", "r");
    (void)state;
    assert_non_null(file);
    assert_true(fread(catalog, 1, TEXT_MAX - 1, file) > 0);
    fclose(file);
    for (int i = 0; i < ALARM_KIND_COUNT; i++) {
        const struct alarm_about *about = alarm_about((enum alarm_kind)i);
        char head[160];
        snprintf(head, sizeof(head), "\n-- %s\nSubject: stead: %s ", about->message_id,
                 about->word);
        const char *entry = strstr(catalog, head);
        if (entry == NULL) {
            fail_msg("stead.catalog does not explain %s", about->word);
        }
        if (strstr(entry, about->sentence) == NULL || strstr(entry, about->remedy) == NULL) {
            fail_msg("stead.catalog explains %s otherwise", about->word);
        }
    }
    free(catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_catalog_knows_each),
        cmocka_unit_test_setup_teardown(gets_json, setup, teardown),
        cmocka_unit_test_setup_teardown(one_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_one_is_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failing_one_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_run_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(the_queue_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(none_and_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_does_not_die_holds_nothing_up, setup, teardown),
        cmocka_unit_test_setup_teardown(it_dies_with_the_agent, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
