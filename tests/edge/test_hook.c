/* stead's libvirt hook in a real libvirtd (libvirtd.sh), and the files the agent writes for it. Run
 * it from the top of the repository, as root. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libvirt/virterror.h>

#include <cmocka.h>

#include "agent/hook_io.h"
#include "migration/hook.h"
#include "proto/clock_io.h"
#include "tests/edge/libvirtd_world.h"

/* The agent's side: its copy of the state, and what it writes. */
static struct cluster *cluster;
static struct hook_io *hook;
static struct hook_io *agents[16]; /* all there were: a thread may be at one, so none is freed */
static unsigned agent_count;
static bool made_lib; /* the machine had no /var/lib/stead */

static int shell(const char *format, const char *word)
{
    char line[1024];
    snprintf(line, sizeof(line), format, word);
    int status = system(line);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Into libvirtd's mount namespace, before any thread runs: its /etc and /run are ours from now on.
 */
static int enter(const struct real *real)
{
    char path[PATH_BYTES];
    char here[PATH_BYTES];
    int keeper = 0;
    snprintf(path, sizeof(path), "%s/keeper.pid", real->dir);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%d", &keeper) != 1 || !getcwd(here, sizeof(here))) {
        return -1;
    }
    fclose(file);
    snprintf(path, sizeof(path), "/proc/%d/ns/mnt", keeper);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int r = setns(fd, CLONE_NEWNS);
    close(fd);
    return r < 0 ? r : chdir(here);
}

static int start(void **state)
{
    int r = start_libvirtd(state);
    r = r != 0 ? r : enter(*state);
    if (r != 0) {
        return r; /* nothing below may touch the machine's own folders */
    }
    made_lib = mkdir("/var/lib/stead", 0700) == 0;
    mkdir("/run/stead", 0755);
    return mount("tmpfs", "/var/lib/stead", "tmpfs", 0, NULL);
}

static int stop(void **state)
{
    umount2("/var/lib/stead", MNT_DETACH);
    if (made_lib) {
        rmdir("/var/lib/stead");
    }
    return stop_libvirtd(state);
}

/* As `make install` does, from the folder above that of this test. */
static void install(void)
{
    char self[PATH_BYTES] = "";
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    assert_int_equal(shell("install -D -m 755 $(dirname %s)/../stead-hook " HOOK_PATH, self), 0);
}

/* ---- the agent */

static void list_vms(void)
{
    cluster->header.version++;
    hook_io_list(hook, cluster);
}

static void agent_knows(const struct uuid *uuid)
{
    uint32_t slot = 0;
    while (cluster->vms[slot].state != VM_FREE) {
        slot++;
    }
    cluster->vms[slot].state = VM_STOPPED;
    cluster->vms[slot].uuid = *uuid;
    snprintf(cluster->vms[slot].name, NAME_BYTES, "vm%d", uuid->bytes[15]);
    list_vms();
}

static void agent_forgets_all(void)
{
    memset(cluster->vms, 0, sizeof(cluster->vms));
    list_vms();
}

static struct action begin(struct world *world, const struct uuid *uuid, uint64_t limit_ms)
{
    char xml[2048];
    char name[16];
    snprintf(name, sizeof(name), "vm%d", uuid->bytes[15]);
    domain_xml(xml, sizeof(xml), "qemu", name, uuid, NULL);
    struct action action = ask(world, ACTION_DOMAIN_CREATE, uuid, limit_ms);
    assert_int_equal(hook_io_permit(hook, &action), 0);
    libvirt_io_create(world->io, &action, xml);
    return action;
}

static const struct event *end(struct world *world, const struct action *action)
{
    const struct event *event = wait_done(world, action);
    hook_io_answered(hook, event);
    return event;
}

/* stead's own start, permit and all. */
static void agent_starts(struct world *world, const struct uuid *uuid)
{
    struct action action = begin(world, uuid, 15000);
    const struct event *event = end(world, &action);
    if (event->domain_done.outcome != OUTCOME_DONE) {
        fail_msg("%s", event->domain_done.text);
    }
}

/* ---- people */

/* Creates it as somebody with virsh does, paused; `mark` may be NULL. */
static bool by_hand(struct world *world, const struct uuid *uuid, const char *mark)
{
    char xml[2048];
    char name[16];
    snprintf(name, sizeof(name), "vm%d", uuid->bytes[15]);
    domain_xml(xml, sizeof(xml), "qemu", name, uuid, mark);
    virDomainPtr domain = virDomainCreateXML(world->other, xml, VIR_DOMAIN_START_PAUSED);
    bool made = domain != NULL;
    if (made) {
        virDomainDestroy(domain);
        virDomainFree(domain);
    }
    return made;
}

static void refused(struct world *world, const struct uuid *uuid, const char *mark)
{
    char words[64];
    assert_false(by_hand(world, uuid, mark));
    virErrorPtr error = virGetLastError();
    assert_non_null(error);
    assert_int_equal(error->code, VIR_ERR_HOOK_SCRIPT_FAILED);
    snprintf(words, sizeof(words), "stead vm start vm%d", uuid->bytes[15]);
    assert_non_null(strstr(error->message, words));
}

static void destroy(struct world *world, const struct uuid *uuid)
{
    act(world, ACTION_DOMAIN_DESTROY, uuid, OUTCOME_DONE);
}

static const char *last_trouble(const struct world *world)
{
    const char *text = NULL;
    for (uint32_t i = 0; i < world->events->count; i++) {
        const struct event *event = &world->events->list[i];
        if (event->kind == EVENT_TROUBLE && event->trouble.kind == TROUBLE_HOOK) {
            text = event->trouble.text;
        }
    }
    return text ? text : "";
}

/* ---- each test with an agent that begins anew */

static int agent_begins(struct world *world)
{
    int r = hook_io_open(world->events->loop, &world->events->sink, &hook);
    assert_true(agent_count < sizeof(agents) / sizeof(agents[0]));
    agents[agent_count++] = hook;
    return r;
}

static int setup(void **state)
{
    struct real *real = *state;
    int r = setup_real(state);
    cluster = calloc(1, sizeof(*cluster));
    cluster->header.version = 1;
    shell("rm -rf /run/stead/* /var/lib/stead/*%s", "");
    return r < 0 ? r : agent_begins(real->world);
}

static int teardown(void **state)
{
    int r = teardown_real(state);
    free(cluster);
    return r;
}

/* libvirt looks for hooks when it begins, and on SIGHUP: until then the agent says that it is not
 * asked. */
static void a_hook_that_is_not_asked_is_said(void **state)
{
    struct real *real = *state;
    struct world *world = real->world;
    struct uuid uuid = vm(1);
    assert_non_null(strstr(hook_io_fault(), "missing or not executable"));
    events_run(world->events, 1500);
    assert_non_null(strstr(last_trouble(world), "missing or not executable"));
    install();
    assert_null(hook_io_fault());
    agent_knows(&uuid);
    agent_starts(world, &uuid);
    assert_non_null(strstr(last_trouble(world), "does not ask"));
    destroy(world, &uuid);
    kill(libvirtd_pid(real), SIGHUP);
    events_run(world->events, 1500);
    agent_starts(world, &uuid);
    assert_string_equal(last_trouble(world), "");
    destroy(world, &uuid);
}

static void by_hand_is_refused_and_by_stead_is_not(void **state)
{
    struct real *real = *state;
    struct world *world = real->world;
    struct uuid ours = vm(2);
    struct uuid foreign = vm(3);
    agent_knows(&ours);
    refused(world, &ours, NULL);
    print_message("    %s\n", virGetLastErrorMessage());
    refused(world, &ours, MARK("starting='yes'")); /* no permit */
    assert_true(by_hand(world, &foreign, NULL));
    agent_starts(world, &ours);
    act(world, ACTION_DOMAIN_RESUME, &ours, OUTCOME_DONE);
    destroy(world, &ours);
    refused(world, &ours, NULL);
    agent_forgets_all(); /* given back */
    assert_true(by_hand(world, &ours, NULL));
}

/* libvirt kills a running guest whose reconnect a hook refuses. */
static void a_restarted_libvirtd_keeps_its_guests(void **state)
{
    struct real *real = *state;
    struct world *world = real->world;
    struct uuid uuid = vm(7);
    agent_knows(&uuid);
    agent_starts(world, &uuid);
    act(world, ACTION_DOMAIN_RESUME, &uuid, OUTCOME_DONE);
    virConnectClose(world->other);
    world->other = NULL;
    kill(libvirtd_pid(real), SIGKILL);
    assert_non_null(events_wait(world->events, 0, EVENT_DOMAINS, 0, 5000));
    events_run(world->events, 500);
    uint32_t from = world->events->count;
    assert_int_equal(script(real, "start"), 0);
    expect_domain(world, from, &uuid, DOMAIN_RUNNING, END_UNKNOWN);
    destroy(world, &uuid);
}

/* What else makes a QEMU: an autostart, a start of what is defined, a restored memory. */
static void each_way_to_start_is_refused(void **state)
{
    struct real *real = *state;
    struct world *world = real->world;
    struct uuid uuid = vm(8);
    char xml[2048];
    char saved[PATH_BYTES];
    snprintf(saved, sizeof(saved), "%s/saved", real->dir);
    domain_xml(xml, sizeof(xml), "qemu", "vm8", &uuid, NULL);
    virDomainPtr domain = virDomainDefineXML(world->other, xml);
    assert_non_null(domain);
    assert_int_equal(virDomainSetAutostart(domain, 1), 0);
    assert_int_equal(virDomainCreate(domain), 0);
    assert_int_equal(virDomainSave(domain, saved), 0);
    agent_knows(&uuid);
    assert_int_equal(virDomainCreate(domain), -1);
    assert_non_null(strstr(virGetLastErrorMessage(), "stead vm start vm8"));
    assert_int_equal(virDomainRestore(world->other, saved), -1);
    assert_non_null(strstr(virGetLastErrorMessage(), "stead vm start vm8"));
    virDomainFree(domain);
    virConnectClose(world->other);
    kill(libvirtd_pid(real), SIGKILL);
    usleep(300000);
    unlink("/run/libvirt/qemu/autostarted"); /* as after a boot */
    assert_int_equal(script(real, "start"), 0);
    world->other = virConnectOpen(real->uri);
    domain = virDomainLookupByName(world->other, "vm8");
    assert_non_null(domain);
    assert_int_equal(virDomainIsActive(domain), 0);
    agent_forgets_all();
    assert_int_equal(virDomainRestore(world->other, saved), 0);
    assert_int_equal(virDomainDestroy(domain), 0);
    assert_int_equal(virDomainUndefine(domain), 0);
    virDomainFree(domain);
}

/* ---- the hook alone, as libvirt would run it */

static int run_hook(const char *operation, const char *input)
{
    char line[512];
    snprintf(line, sizeof(line), "%s | " HOOK_PATH " web %s begin - 2>/run/said", input, operation);
    uint64_t before = events_now_ms();
    int status = shell("%s", line);
    assert_true(events_now_ms() - before < 2500);
    return status;
}

/* With the XML of a domain that bears this mark, or none. Is it refused? */
static bool refuses(const char *operation, const struct uuid *uuid, const char *mark)
{
    char xml[2048];
    domain_xml(xml, sizeof(xml), "qemu", "web", uuid, mark);
    FILE *file = fopen("/run/xml", "w");
    assert_non_null(file);
    fputs(xml, file);
    fclose(file);
    int status = run_hook(operation, "tr \"'\" '\"' </run/xml"); /* quoted as libvirt does it */
    assert_true(status == 0 || status == 1);
    return status == 1;
}

static bool it_said(const char *words)
{
    return shell("grep -q '%s' /run/said", words) == 0;
}

/* A permit is for one start, by its mark, until its deadline, once. */
static void a_permit_is_good_for_one_start(void **state)
{
    struct real *real = *state;
    struct world *world = real->world;
    struct uuid uuid = vm(4);
    agent_knows(&uuid);
    struct action action = ask(world, ACTION_DOMAIN_CREATE, &uuid, 60000);
    assert_int_equal(hook_io_permit(hook, &action), 0);
    assert_true(refuses("prepare", &uuid, NULL));
    assert_true(refuses("prepare", &uuid, MARK(""))); /* of a start long over */
    assert_true(refuses("prepare", &uuid,
                        "<stead:vm xmlns:stead='https://stead.example/1' term='3' counter='5' "
                        "starting='yes'/>"));
    assert_true(refuses("migrate", &uuid, MARK("starting='yes'")));
    assert_false(refuses("prepare", &uuid, MARK("starting='yes'")));
    assert_true(refuses("prepare", &uuid, MARK("starting='yes'")));
    const uint64_t deadline_ms = action.deadline_ms;
    action.deadline_ms = clock_io_boot_ms() + 100;
    assert_int_equal(hook_io_permit(hook, &action), 0);
    usleep(200000);
    assert_true(refuses("prepare", &uuid, MARK("starting='yes'")));
    action.deadline_ms = deadline_ms + 60000;
    assert_int_equal(hook_io_permit(hook, &action), 0);
    assert_int_equal(agent_begins(world), 0);
    assert_true(refuses("prepare", &uuid, MARK("starting='yes'")));
}

/* What the files tell when the agent has not written them, or somebody else has. */
static void a_missing_or_damaged_list(void **state)
{
    struct real *real = *state;
    struct uuid ours = vm(5);
    struct uuid foreign = vm(6);
    agent_knows(&ours);
    assert_true(refuses("prepare", &ours, NULL));
    assert_false(it_said("systemctl status stead-agent"));
    assert_false(refuses("prepare", &foreign, MARK(""))); /* a clone takes the mark along */
    for (int i = 0; i < 50 && access(HOOK_KEPT, F_OK) < 0; i++) {
        usleep(100000);
    }
    static const char *const damages[] = {
        "rm -rf " HOOK_VMS, /* as after a boot */
        "head -c 100000 /dev/urandom >" HOOK_VMS,
        "rm " HOOK_VMS "; mkdir " HOOK_VMS,
    };
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        assert_int_equal(shell("%s", damages[i]), 0);
        assert_true(refuses("prepare", &ours, NULL));
        assert_true(it_said("systemctl status stead-agent"));
        assert_false(refuses("prepare", &foreign, NULL));
    }
    assert_int_equal(shell("rmdir " HOOK_VMS "; rm %s", HOOK_KEPT), 0);
    assert_true(refuses("prepare", &ours, MARK(""))); /* its mark tells whose it is */
    assert_false(refuses("prepare", &foreign, NULL));
    assert_int_equal(shell("rm -rf %s", "/run/stead /var/lib/stead/*"), 0); /* no stead here */
    assert_false(refuses("prepare", &foreign, NULL));
    struct action action = ask(real->world, ACTION_DOMAIN_CREATE, &ours, 1000);
    assert_int_equal(hook_io_permit(hook, &action), -ENOENT); /* then nothing is created */
    mkdir("/run/stead", 0755);
}

static void it_answers_within_two_seconds(void **state)
{
    struct uuid uuid = vm(10);
    (void)state;
    assert_int_equal(run_hook("prepare", "sleep 2.2"), 1); /* no XML comes */
    assert_true(it_said("within 2 s"));
    assert_int_equal(run_hook("prepare", "true"), 0); /* no XML at all */
    assert_int_equal(mkfifo(HOOK_VMS, 0600), 0);      /* a file that nobody delivers */
    assert_true(refuses("prepare", &uuid, NULL));
    assert_true(it_said("within 2 s"));
    assert_false(refuses("reconnect", &uuid, NULL));
    assert_int_equal(unlink(HOOK_VMS), 0);
    assert_false(refuses("prepare", &uuid, NULL));
}

/* Only what makes a QEMU is its business. */
static void each_operation(void **state)
{
    static const struct {
        const char *name;
        bool refused;
    } operations[] = {{"prepare", true},   {"migrate", true},   {"restore", true},
                      {"start", false},    {"started", false},  {"stopped", false},
                      {"release", false},  {"attach", false},   {"reconnect", false},
                      {"snapshot", false}, {"whatever", false}, {"''", false}};
    struct uuid uuid = vm(11);
    (void)state;
    agent_knows(&uuid);
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        assert_int_equal(refuses(operations[i].name, &uuid, MARK("")), operations[i].refused);
    }
}

/* What it costs, with as many VMs as there may be. */
static void what_it_costs(void **state)
{
    struct uuid uuid = vm(12);
    (void)state;
    for (uint32_t i = 0; i < VMS_MAX; i++) {
        cluster->vms[i].state = VM_RUNNING;
        memcpy(cluster->vms[i].uuid.bytes, &i, sizeof(i));
        snprintf(cluster->vms[i].name, NAME_BYTES, "machine-%u", i);
    }
    uint64_t before = events_now_ms();
    list_vms();
    print_message("    10,000 VMs are listed in %d ms\n", (int)(events_now_ms() - before));
    assert_false(refuses("prepare", &uuid, NULL)); /* leaves its XML */
    before = events_now_ms();
    assert_int_equal(shell("bash -c 'for i in {1..100}; do %s web prepare begin - </run/xml || "
                           "exit; done'",
                           HOOK_PATH),
                     0);
    uint64_t took_us = (events_now_ms() - before) * 10;
    print_message("    the hook answers in %d.%02d ms\n", (int)(took_us / 1000),
                  (int)(took_us % 1000 / 10));
    assert_true(took_us < 100000);
}

#define HOOK_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOOK_TEST(a_hook_that_is_not_asked_is_said),
        HOOK_TEST(by_hand_is_refused_and_by_stead_is_not),
        HOOK_TEST(a_restarted_libvirtd_keeps_its_guests),
        HOOK_TEST(each_way_to_start_is_refused),
        HOOK_TEST(a_permit_is_good_for_one_start),
        HOOK_TEST(a_missing_or_damaged_list),
        HOOK_TEST(it_answers_within_two_seconds),
        HOOK_TEST(each_operation),
        HOOK_TEST(what_it_costs),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
