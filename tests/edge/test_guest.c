/* Killing guests by pidfd, against real QEMU processes (without a machine: they start at once). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "migration/domain_xml_io.h"
#include "migration/guest_io.h"
#include "migration/guest_proc_io.h"
#include "tests/edge/events.h"

#define GUESTS_MAX 200
#define FREEZERS "/sys/fs/cgroup" /* covered in a mount namespace of our own */
#define FREEZER FREEZERS "/stead-edge-test"

struct world {
    struct events *events;
    struct guest_io *io;
    char run_dir[64];
    pid_t pids[GUESTS_MAX];
    uint32_t pid_count;
};

static struct uuid vm(uint8_t number)
{
    struct uuid uuid = {{0x57, 0xea, 0xd0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0}};
    uuid.bytes[13] = (uint8_t)getpid(); /* several of this test may run at a time */
    uuid.bytes[14] = (uint8_t)(getpid() >> 8);
    uuid.bytes[15] = number;
    return uuid;
}

static pid_t spawn(struct world *world, const char *const *words)
{
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execvp(words[0], (char *const *)(uintptr_t)words);
        _exit(127);
    }
    assert_true(pid > 0);
    assert_true(world->pid_count < GUESTS_MAX);
    world->pids[world->pid_count++] = pid;
    return pid;
}

/* Returns once /proc shows it as a guest. */
static pid_t spawn_qemu(struct world *world, const struct uuid *uuid)
{
    char text[UUID_TEXT_BYTES];
    struct uuid seen;
    uuid_format(uuid, text);
    const char *const words[] = {"qemu-system-x86_64",
                                 "-M",
                                 "none",
                                 "-nodefaults",
                                 "-display",
                                 "none",
                                 "-S",
                                 "-uuid",
                                 text,
                                 NULL};
    pid_t pid = spawn(world, words);
    for (int i = 0; i < 1000 && guest_proc_read(pid, &seen) != 1; i++) {
        usleep(5000);
    }
    assert_int_equal(guest_proc_read(pid, &seen), 1);
    assert_true(uuid_equal(&seen, uuid));
    return pid;
}

static bool is_alive(pid_t pid)
{
    struct uuid seen;
    return guest_proc_read(pid, &seen) == 1;
}

static void write_status(const struct world *world, const char *name, const struct uuid *uuid,
                         const char *metadata)
{
    char path[128];
    char text[UUID_TEXT_BYTES];
    uuid_format(uuid, text);
    snprintf(path, sizeof(path), "%s/%s.xml", world->run_dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE.\n-->\n"
            "<domstatus state='running' reason='booted' pid='1'>\n<monitor path='/x'/>\n"
            "<domain type='qemu'><name>%s</name><uuid>%s</uuid>"
            "<metadata>%s</metadata></domain></domstatus>\n",
            name, text, metadata);
    fclose(file);
}

static uint64_t ask_kill(struct world *world, const struct uuid *uuid, uint64_t limit_ms)
{
    struct action action = {.kind = ACTION_KILL};
    action.id = world->events->next_id++;
    action.deadline_ms = events_now_ms() + limit_ms;
    if (uuid) {
        action.vm.uuid = *uuid;
    }
    guest_io_act(world->io, &action);
    return action.id;
}

/* How many it sent SIGKILL. */
static uint32_t expect_killed(struct world *world, uint64_t id, enum outcome outcome,
                              uint32_t alive)
{
    const struct event *event = events_wait(world->events, 0, EVENT_KILLED, id, 10000);
    assert_non_null(event);
    assert_int_equal(event->killed.outcome, outcome);
    assert_int_equal(event->killed.alive_count, alive);
    return event->killed.count;
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    strcpy(world->run_dir, "/tmp/stead-test-guest.XXXXXX");
    assert_non_null(mkdtemp(world->run_dir));
    world->events = events_new();
    assert_int_equal(
        guest_io_open(world->events->loop, world->run_dir, &world->events->sink, &world->io), 0);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    char command[128];
    guest_io_close(world->io);
    for (uint32_t i = 0; i < world->pid_count; i++) {
        kill(world->pids[i], SIGKILL);
        waitpid(world->pids[i], NULL, 0);
    }
    snprintf(command, sizeof(command), "rm -rf %s", world->run_dir);
    assert_int_equal(system(command), 0);
    events_free(world->events);
    free(world);
    return 0;
}

/* A guest is killed, and gone although its parent (we) has not reaped it: a zombie writes nothing.
 */
static void kills_the_one_it_is_told(void **state)
{
    struct world *world = *state;
    struct uuid first = vm(1);
    struct uuid second = vm(2);
    pid_t doomed = spawn_qemu(world, &first);
    pid_t spared = spawn_qemu(world, &second);
    (void)expect_killed(world, ask_kill(world, &first, 5000), OUTCOME_DONE, 0);
    assert_false(is_alive(doomed));
    assert_int_equal(kill(doomed, 0), 0); /* still a zombie of ours */
    assert_true(is_alive(spared));
}

static void two_qemus_of_one_vm_both_die(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(1);
    pid_t first = spawn_qemu(world, &uuid);
    pid_t second = spawn_qemu(world, &uuid);
    uint64_t id = ask_kill(world, &uuid, 5000);
    assert_int_equal(expect_killed(world, id, OUTCOME_DONE, 0), 2);
    assert_false(is_alive(first));
    assert_false(is_alive(second));
}

/* All of ours: the known and those whose status file carries the mark; not a stranger. */
static void kills_all_of_ours_only(void **state)
{
    struct world *world = *state;
    struct uuid known = vm(1);
    struct uuid marked = vm(2);
    struct uuid stranger = vm(3);
    pid_t first = spawn_qemu(world, &known);
    pid_t second = spawn_qemu(world, &marked);
    pid_t third = spawn_qemu(world, &stranger);
    guest_io_know(world->io, &known);
    guest_io_know(world->io, &known);
    write_status(world, "marked", &marked,
                 "<stead:vm xmlns:stead='https://stead.example/1' term='1' counter='2'/>");
    write_status(world, "stranger", &stranger, "<a:b xmlns:a='https://other.example/'/>");
    write_status(world, "broken", &stranger, "<not xml");
    (void)expect_killed(world, ask_kill(world, NULL, 5000), OUTCOME_DONE, 0);
    assert_false(is_alive(first));
    assert_false(is_alive(second));
    assert_true(is_alive(third));
}

/* Once seen as ours, a guest stays ours when libvirt's files are gone. */
static void remembers_the_marked(void **state)
{
    struct world *world = *state;
    struct uuid marked = vm(1);
    char path[128];
    pid_t first = spawn_qemu(world, &marked);
    write_status(world, "marked", &marked,
                 "<stead:vm xmlns:stead='https://stead.example/1' term='1' counter='2'/>");
    (void)expect_killed(world, ask_kill(world, NULL, 5000), OUTCOME_DONE, 0);
    assert_false(is_alive(first));
    snprintf(path, sizeof(path), "%s/marked.xml", world->run_dir);
    unlink(path);
    pid_t again = spawn_qemu(world, &marked);
    (void)expect_killed(world, ask_kill(world, NULL, 5000), OUTCOME_DONE, 0);
    assert_false(is_alive(again));
}

static void nothing_there_is_done_at_once(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(1);
    uint64_t id = ask_kill(world, &uuid, 5000);
    assert_int_equal(events_count(world->events, EVENT_KILLED, id), 1);
    assert_int_equal(expect_killed(world, id, OUTCOME_DONE, 0), 0);
    assert_int_equal(expect_killed(world, ask_kill(world, NULL, 5000), OUTCOME_DONE, 0), 0);
}

static void a_stopped_guest_dies_too(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(1);
    pid_t pid = spawn_qemu(world, &uuid);
    kill(pid, SIGSTOP);
    (void)expect_killed(world, ask_kill(world, &uuid, 5000), OUTCOME_DONE, 0);
    assert_false(is_alive(pid));
}

/* The words alone do not make a QEMU. */
static void other_programs_are_left_alone(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(1);
    char text[UUID_TEXT_BYTES];
    uuid_format(&uuid, text);
    const char *const words[] = {"sh",    "-c", "sleep 60; :", "qemu-system-x86_64",
                                 "-uuid", text, NULL};
    pid_t pid = spawn(world, words);
    usleep(100000);
    (void)expect_killed(world, ask_kill(world, &uuid, 1000), OUTCOME_DONE, 0);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
}

/* A container's guest shows in our /proc; it is not ours to judge. */
static void another_pid_namespace_is_left_alone(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(1);
    char text[UUID_TEXT_BYTES];
    char command[256];
    uuid_format(&uuid, text);
    const char *const words[] = {"unshare",
                                 "--pid",
                                 "--fork",
                                 "--kill-child",
                                 "qemu-system-x86_64",
                                 "-M",
                                 "none",
                                 "-nodefaults",
                                 "-display",
                                 "none",
                                 "-S",
                                 "-uuid",
                                 text,
                                 NULL};
    assert_int_equal(geteuid(), 0);
    (void)spawn(world, words);
    snprintf(command, sizeof(command),
             "for i in $(seq 100); do pgrep -f '^qemu-system-x86_64.*%s' >/dev/null && exit 0; "
             "sleep 0.05; done; exit 1",
             text);
    assert_int_equal(system(command), 0);
    (void)expect_killed(world, ask_kill(world, &uuid, 1000), OUTCOME_DONE, 0);
    snprintf(command, sizeof(command), "pgrep -f '^qemu-system-x86_64.*%s' >/dev/null", text);
    assert_int_equal(system(command), 0);
}

static bool freezer_write(const char *file, const char *format, int number)
{
    char path[128];
    snprintf(path, sizeof(path), FREEZER "/%s", file);
    FILE *out = fopen(path, "w");
    if (!out) {
        return false;
    }
    fprintf(out, format, number);
    return fclose(out) == 0;
}

/* Of version 1, also where the machine has version 2 only: that one lets SIGKILL through. */
static void mount_freezers(void)
{
    assert_int_equal(unshare(CLONE_NEWNS), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    assert_int_equal(mount("stead", FREEZERS, "cgroup", 0, "freezer"), 0);
    assert_true(mkdir(FREEZER, 0755) == 0 || errno == EEXIST);
}

/* One that does not die (here: frozen, else stuck in the kernel) is alive at the deadline, is said
 * so once, and is found dead when asked about later. */
static void what_does_not_die_is_unknown(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(1);
    mount_freezers();
    pid_t pid = spawn_qemu(world, &uuid);
    assert_true(freezer_write("cgroup.procs", "%d", pid));
    assert_true(freezer_write("freezer.state", "FROZEN", 0));
    usleep(100000);
    uint64_t asked_ms = events_now_ms();
    uint64_t id = ask_kill(world, &uuid, 300);
    const struct event *event = events_wait(world->events, 0, EVENT_KILLED, id, 10000);
    (void)freezer_write("freezer.state", "THAWED", 0); /* first of all, whatever was seen */
    assert_non_null(event);
    assert_in_range(event->now_ms - asked_ms, 250, 2000);
    (void)expect_killed(world, id, OUTCOME_UNKNOWN, 1);
    (void)expect_killed(world, ask_kill(world, &uuid, 5000), OUTCOME_DONE, 0);
    events_run(world->events, 50);
    assert_int_equal(events_count(world->events, EVENT_KILLED, id), 1);
    waitpid(pid, NULL, 0);
    world->pid_count = 0;
    rmdir(FREEZER);
}

/* Leaves this process `left` more descriptors; the limit from before. */
static struct rlimit limit_descriptors(unsigned left)
{
    struct rlimit before;
    int lowest = dup(STDERR_FILENO);
    close(lowest);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit now = {(rlim_t)lowest + left, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    return before;
}

/* Out of descriptors, nobody can be looked at: that is not nobody there. */
static void what_cannot_be_seen_is_not_gone(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(1);
    uint64_t ids[2];
    pid_t pid = spawn_qemu(world, &uuid);
    for (unsigned left = 0; left < 2; left++) {
        struct rlimit before = limit_descriptors(left);
        ids[0] = ask_kill(world, &uuid, 300);
        ids[1] = ask_kill(world, NULL, 300);
        events_run(world->events, 400);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_true(is_alive(pid));
        (void)expect_killed(world, ids[0], OUTCOME_UNKNOWN, 1);
        (void)expect_killed(world, ids[1], OUTCOME_UNKNOWN, 1);
    }
    (void)expect_killed(world, ask_kill(world, &uuid, 5000), OUTCOME_DONE, 0);
    assert_false(is_alive(pid));
}

/* A stranger may be ours as long as libvirt's files cannot be read; the known are killed at once.
 */
static void files_that_cannot_be_read_name_anybody(void **state)
{
    struct world *world = *state;
    struct uuid known = vm(1);
    struct uuid stranger = vm(2);
    char path[128];
    pid_t first = spawn_qemu(world, &known);
    pid_t second = spawn_qemu(world, &stranger);
    guest_io_know(world->io, &known);
    snprintf(path, sizeof(path), "%s/loop.xml", world->run_dir);
    assert_int_equal(symlink("loop.xml", path), 0);
    (void)expect_killed(world, ask_kill(world, NULL, 5000), OUTCOME_UNKNOWN, 1);
    assert_false(is_alive(first));
    assert_int_equal(unlink(path), 0);
    (void)expect_killed(world, ask_kill(world, NULL, 5000), OUTCOME_DONE, 0);
    assert_int_equal(rmdir(world->run_dir), 0);
    assert_int_equal(close(creat(world->run_dir, 0600)), 0);
    (void)expect_killed(world, ask_kill(world, NULL, 5000), OUTCOME_UNKNOWN, 1);
    assert_int_equal(unlink(world->run_dir), 0); /* since the boot, libvirt had no guest */
    (void)expect_killed(world, ask_kill(world, NULL, 5000), OUTCOME_DONE, 0);
    assert_true(is_alive(second));
}

/* What /proc shows as a guest, for less than a QEMU takes: a shell by that name that stands still.
 */
static void spawn_light(struct world *world, const struct uuid *uuid)
{
    char text[UUID_TEXT_BYTES];
    char path[128];
    uuid_format(uuid, text);
    snprintf(path, sizeof(path), "%s/qemu-light", world->run_dir);
    const char *const words[] = {path, "-c", "kill -STOP $$", "sh", "-uuid", text, NULL};
    pid_t pid = spawn(world, words);
    for (int i = 0; i < 1000 && !is_alive(pid); i++) {
        usleep(1000);
    }
    assert_true(is_alive(pid));
}

/* Each of many is killed on its own, and the time that takes grows with them, not with their
 * square: a look at /proc serves all. */
static void many_are_killed_by_few_looks(void **state)
{
    struct world *world = *state;
    uint64_t ids[GUESTS_MAX];
    char command[128];
    snprintf(command, sizeof(command), "cp /bin/sh %s/qemu-light", world->run_dir);
    assert_int_equal(system(command), 0);
    for (uint32_t i = 0; i < GUESTS_MAX; i++) {
        struct uuid uuid = vm((uint8_t)i);
        spawn_light(world, &uuid);
    }
    clock_t before = clock();
    for (uint32_t i = 0; i < GUESTS_MAX; i++) {
        struct uuid uuid = vm((uint8_t)i);
        ids[i] = ask_kill(world, &uuid, 10000);
    }
    for (uint32_t i = 0; i < GUESTS_MAX; i++) {
        assert_int_equal(expect_killed(world, ids[i], OUTCOME_DONE, 0), 1);
    }
    double spent = (double)(clock() - before) / CLOCKS_PER_SEC;
    assert_true(spent < 0.5);
}

static void closing_with_a_kill_under_way(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(1);
    (void)spawn_qemu(world, &uuid);
    (void)ask_kill(world, &uuid, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kills_the_one_it_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(two_qemus_of_one_vm_both_die, setup, teardown),
        cmocka_unit_test_setup_teardown(kills_all_of_ours_only, setup, teardown),
        cmocka_unit_test_setup_teardown(remembers_the_marked, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_there_is_done_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stopped_guest_dies_too, setup, teardown),
        cmocka_unit_test_setup_teardown(other_programs_are_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(another_pid_namespace_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_die_is_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_seen_is_not_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(files_that_cannot_be_read_name_anybody, setup, teardown),
        cmocka_unit_test_setup_teardown(many_are_killed_by_few_looks, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_with_a_kill_under_way, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
