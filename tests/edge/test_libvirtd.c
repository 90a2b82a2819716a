/* The libvirt edge against a real libvirtd with real QEMUs (libvirtd.sh): paused starts, restarts
 * and hangs of the daemon. Run it from the top of the repository, as root. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/edge/libvirtd_world.h"

static struct action create(struct world *world, const struct uuid *uuid, uint64_t limit_ms)
{
    char xml[2048];
    char name[16];
    snprintf(name, sizeof(name), "vm%d", uuid->bytes[15]);
    domain_xml(xml, sizeof(xml), "qemu", name, uuid, NULL);
    struct action action = ask(world, ACTION_DOMAIN_CREATE, uuid, limit_ms);
    libvirt_io_create(world->io, &action, xml);
    return action;
}

/* The whole life: created paused and marked, resumed without the mark, destroyed. */
static void a_domain_is_started_and_ended(void **state)
{
    struct real *real = *state;
    struct world *world = real->world;
    struct uuid uuid = vm(1);
    uint64_t before = events_now_ms();
    struct action action = create(world, &uuid, 15000);
    expect_done(world, &action, OUTCOME_DONE);
    uint64_t created = events_now_ms();
    expect_domain(world, 0, &uuid, DOMAIN_STARTING, END_UNKNOWN);
    act(world, ACTION_DOMAIN_RESUME, &uuid, OUTCOME_DONE);
    print_message("    created paused in %d ms, resumed in %d ms\n", (int)(created - before),
                  (int)(events_now_ms() - created));
    expect_domain(world, 0, &uuid, DOMAIN_RUNNING, END_UNKNOWN);
    assert_null(events_wait_domain(world->events, 0, &uuid, DOMAIN_PAUSED, 0));
    action = create(world, &uuid, 15000); /* there already: nothing is done to it */
    const struct event *event = wait_done(world, &action);
    assert_int_equal(event->domain_done.outcome, OUTCOME_FAILED);
    assert_non_null(strstr(event->domain_done.text, "already"));
    act(world, ACTION_DOMAIN_DESTROY, &uuid, OUTCOME_DONE);
    expect_domain(world, 0, &uuid, DOMAIN_GONE, END_DESTROYED);
}

static pid_t qemu_pid(const struct uuid *uuid)
{
    char text[UUID_TEXT_BYTES];
    char command[128];
    int pid = 0;
    uuid_format(uuid, text);
    snprintf(command, sizeof(command), "pgrep -f '^/usr/bin/qemu-system.*-uuid %s'", text);
    FILE *file = popen(command, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    pclose(file);
    return pid;
}

static void a_killed_qemu_is_a_crash(void **state)
{
    struct real *real = *state;
    struct uuid uuid = vm(2);
    struct action action = create(real->world, &uuid, 15000);
    expect_done(real->world, &action, OUTCOME_DONE);
    act(real->world, ACTION_DOMAIN_RESUME, &uuid, OUTCOME_DONE);
    kill(qemu_pid(&uuid), SIGKILL);
    expect_domain(real->world, 0, &uuid, DOMAIN_GONE, END_CRASHED);
}

/* SIGTERM makes QEMU close its disks and libvirt call it a shutdown; its guest did not shut down.
 */
static void a_qemu_told_to_quit_is_a_crash(void **state)
{
    struct real *real = *state;
    struct uuid uuid = vm(20);
    struct action action = create(real->world, &uuid, 15000);
    expect_done(real->world, &action, OUTCOME_DONE);
    act(real->world, ACTION_DOMAIN_RESUME, &uuid, OUTCOME_DONE);
    kill(qemu_pid(&uuid), SIGTERM);
    expect_domain(real->world, 0, &uuid, DOMAIN_GONE, END_CRASHED);
}

static void monitor(const struct real *real, const struct uuid *uuid, const char *command)
{
    char text[UUID_TEXT_BYTES];
    char line[1024];
    uuid_format(uuid, text);
    snprintf(line, sizeof(line), "virsh -q -c '%s' qemu-monitor-command %s --hmp '%s' >/dev/null",
             real->uri, text, command);
    assert_int_equal(system(line), 0);
}

static void virsh(const struct real *real, const struct uuid *uuid, const char *verb,
                  const char *more)
{
    char text[UUID_TEXT_BYTES];
    char line[1024];
    uuid_format(uuid, text);
    snprintf(line, sizeof(line), "virsh -q -c '%s' %s %s %s >/dev/null", real->uri, verb, text,
             more);
    assert_int_equal(system(line), 0);
}

/* What somebody does through libvirt is told as what it is; a reset keeps QEMU. */
static void what_another_hand_does_is_told(void **state)
{
    struct real *real = *state;
    struct uuid uuid = vm(21);
    struct action action = create(real->world, &uuid, 15000);
    expect_done(real->world, &action, OUTCOME_DONE);
    act(real->world, ACTION_DOMAIN_RESUME, &uuid, OUTCOME_DONE);
    pid_t pid = qemu_pid(&uuid);
    monitor(real, &uuid, "system_reset");
    virsh(real, &uuid, "suspend", "");
    expect_domain(real->world, 0, &uuid, DOMAIN_PAUSED, END_UNKNOWN);
    uint32_t from = real->world->events->count;
    virsh(real, &uuid, "resume", "");
    expect_domain(real->world, from, &uuid, DOMAIN_RUNNING, END_UNKNOWN);
    assert_int_equal(qemu_pid(&uuid), pid);
    char file[PATH_BYTES];
    snprintf(file, sizeof(file), "%s/saved", real->dir);
    virsh(real, &uuid, "save", file);
    expect_domain(real->world, from, &uuid, DOMAIN_GONE, END_MIGRATED);
    action = create(real->world, &uuid, 15000);
    expect_done(real->world, &action, OUTCOME_DONE);
    act(real->world, ACTION_DOMAIN_RESUME, &uuid, OUTCOME_DONE);
    from = real->world->events->count;
    virsh(real, &uuid, "destroy", "");
    expect_domain(real->world, from, &uuid, DOMAIN_GONE, END_DESTROYED);
}

static bool is_registered(void *context, const struct uuid *uuid)
{
    return uuid_equal(context, uuid);
}

/* Started by another hand, without our mark: told if it is a VM of the cluster's, else not. */
static void who_starts_a_vm_of_ours_is_told(void **state)
{
    struct real *real = *state;
    struct world *world = real->world;
    struct uuid ours = vm(22);
    struct uuid foreign = vm(23);
    char xml[2048];
    libvirt_io_set_registered(world->io, is_registered, &ours);
    for (int i = 0; i < 2; i++) {
        domain_xml(xml, sizeof(xml), "qemu", i == 0 ? "vm23" : "vm22", i == 0 ? &foreign : &ours,
                   NULL);
        virDomainPtr domain = virDomainCreateXML(world->other, xml, 0);
        assert_non_null(domain);
        virDomainFree(domain);
    }
    const struct event *event =
        events_wait_domain(world->events, 0, &ours, DOMAIN_RUNNING, WAIT_MS);
    assert_non_null(event);
    assert_int_equal(event->domain.action.term, 0);
    assert_null(events_wait_domain(world->events, 0, &foreign, DOMAIN_RUNNING, 200));
    act(world, ACTION_DOMAIN_DESTROY, &ours, OUTCOME_DONE);
    act(world, ACTION_DOMAIN_DESTROY, &foreign, OUTCOME_DONE);
}

static void several_start_at_once(void **state)
{
    struct real *real = *state;
    struct world *world = real->world;
    struct action actions[6];
    uint64_t before = events_now_ms();
    for (uint8_t i = 0; i < 6; i++) {
        struct uuid uuid = vm(10 + i);
        actions[i] = create(world, &uuid, 30000);
    }
    for (uint8_t i = 0; i < 6; i++) {
        expect_done(world, &actions[i], OUTCOME_DONE);
    }
    print_message("    six created paused in %d ms\n", (int)(events_now_ms() - before));
    for (uint8_t i = 0; i < 6; i++) {
        struct uuid uuid = vm(10 + i);
        actions[i] = ask(world, ACTION_DOMAIN_DESTROY, &uuid, 30000);
        libvirt_io_act(world->io, &actions[i]);
    }
    for (uint8_t i = 0; i < 6; i++) {
        expect_done(world, &actions[i], OUTCOME_DONE);
    }
}

/* libvirtd's words reach the answer. */
static void a_failed_start_says_why(void **state)
{
    struct real *real = *state;
    struct world *world = real->world;
    struct uuid uuid = vm(3);
    char text[UUID_TEXT_BYTES];
    char xml[1024];
    uuid_format(&uuid, text);
    snprintf(xml, sizeof(xml),
             "<domain type='qemu'><name>bad</name><uuid>%s</uuid><memory unit='MiB'>16</memory>"
             "<os><type arch='x86_64'>hvm</type></os><devices>"
             "<emulator>/no/such/qemu</emulator></devices></domain>",
             text);
    struct action action = ask(world, ACTION_DOMAIN_CREATE, &uuid, 15000);
    libvirt_io_create(world->io, &action, xml);
    const struct event *event = wait_done(world, &action);
    assert_int_equal(event->domain_done.outcome, OUTCOME_FAILED);
    if (!strstr(event->domain_done.text, "/no/such/qemu")) {
        fail_msg("\"%s\" does not say what is wrong", event->domain_done.text);
    }
    assert_int_equal(events_count(world->events, EVENT_DOMAIN, 0), 0);
}

/* A frozen libvirtd: the deadline holds; thawed, it makes the domain all the same, which is then
 * destroyed without anybody asking. */
static void a_late_creation_is_undone(void **state)
{
    struct real *real = *state;
    struct world *world = real->world;
    struct uuid uuid = vm(4);
    pid_t daemon = libvirtd_pid(real);
    struct uuid warm = vm(5); /* so that a worker has its connection */
    act(world, ACTION_DOMAIN_DESTROY, &warm, OUTCOME_DONE);
    kill(daemon, SIGSTOP);
    uint64_t before = events_now_ms();
    struct action first = create(world, &uuid, 500);
    events_run(world->events, 100);
    const struct event *event = wait_done(world, &first);
    bool in_time = events_now_ms() - before < 2500;
    kill(daemon, SIGCONT); /* first of all, whatever was seen */
    assert_true(in_time);
    assert_int_equal(event->domain_done.outcome, OUTCOME_UNKNOWN);
    events_run(world->events, 6000);
    virDomainPtr domain = virDomainLookupByUUID(world->other, uuid.bytes);
    assert_null(domain);
    assert_int_equal(events_count(world->events, EVENT_DOMAIN_DONE, first.id), 1);
    /* And the next start of it is not mistaken for the late one. */
    struct action second = ask(world, ACTION_DOMAIN_CREATE, &uuid, 15000);
    char xml[2048];
    domain_xml(xml, sizeof(xml), "qemu", "vm4", &uuid, NULL);
    second.vm.action.counter = 5;
    libvirt_io_create(world->io, &second, xml);
    expect_done(world, &second, OUTCOME_DONE);
    events_run(world->events, 1500);
    domain = virDomainLookupByUUID(world->other, uuid.bytes);
    assert_non_null(domain);
    virDomainFree(domain);
    act(world, ACTION_DOMAIN_DESTROY, &uuid, OUTCOME_DONE);
}

/* libvirtd dies and comes back: lost is told, then every domain, then connected. */
static void a_restarted_libvirtd_is_found_again(void **state)
{
    struct real *real = *state;
    struct world *world = real->world;
    struct uuid running = vm(6);
    struct uuid starting = vm(7);
    struct uuid ended = vm(8);
    struct action actions[] = {create(world, &running, 15000), create(world, &starting, 15000),
                               create(world, &ended, 15000)};
    for (unsigned i = 0; i < 3; i++) {
        expect_done(world, &actions[i], OUTCOME_DONE);
    }
    act(world, ACTION_DOMAIN_RESUME, &running, OUTCOME_DONE);
    virConnectClose(world->other);
    world->other = NULL;
    uint32_t from = world->events->count;
    kill(libvirtd_pid(real), SIGKILL);
    const struct event *event = events_wait(world->events, from, EVENT_DOMAINS, 0, 5000);
    assert_non_null(event);
    assert_false(event->domains.connected);
    kill(qemu_pid(&ended), SIGKILL);
    from = world->events->count;
    struct action nowhere = ask(world, ACTION_DOMAIN_SHUTDOWN, &running, 5000);
    libvirt_io_act(world->io, &nowhere);
    expect_done(world, &nowhere, OUTCOME_FAILED);
    assert_int_equal(script(real, "start"), 0);
    event = events_wait(world->events, from, EVENT_DOMAINS, 0, WAIT_MS);
    assert_non_null(event);
    assert_true(event->domains.connected);
    expect_domain(world, from, &running, DOMAIN_RUNNING, END_UNKNOWN);
    expect_domain(world, from, &starting, DOMAIN_STARTING, END_UNKNOWN);
    event = events_wait_domain(world->events, from, &ended, DOMAIN_GONE, WAIT_MS);
    assert_non_null(event);
    assert_true(event->domain.end == END_UNKNOWN || event->domain.end == END_CRASHED);
    act(world, ACTION_DOMAIN_DESTROY, &running, OUTCOME_DONE);
    act(world, ACTION_DOMAIN_DESTROY, &starting, OUTCOME_DONE);
}

/* However many calls hang, each is answered in time and closing does not wait for them. */
static void a_frozen_libvirtd_hangs_nobody(void **state)
{
    struct real *real = *state;
    struct world *world = calloc(1, sizeof(*world));
    struct action actions[40];
    pid_t daemon = libvirtd_pid(real);
    world_open(world, real->uri);
    assert_non_null(events_wait(world->events, 0, EVENT_DOMAINS, 0, WAIT_MS));
    kill(daemon, SIGSTOP);
    uint64_t before = events_now_ms();
    for (uint8_t i = 0; i < 40; i++) {
        struct uuid uuid = vm(100 + i);
        actions[i] = ask(world, ACTION_DOMAIN_DESTROY, &uuid, 400);
        libvirt_io_act(world->io, &actions[i]);
    }
    events_run(world->events, 1000);
    uint32_t unknown = 0;
    for (uint8_t i = 0; i < 40; i++) {
        const struct event *event =
            events_wait(world->events, 0, EVENT_DOMAIN_DONE, actions[i].id, 0);
        unknown += event && event->domain_done.outcome == OUTCOME_UNKNOWN;
    }
    uint64_t closing = events_now_ms();
    libvirt_io_close(world->io);
    uint64_t closed = events_now_ms();
    kill(daemon, SIGCONT);
    assert_int_equal(unknown, 40);
    assert_true(closing - before < 3000);
    assert_true(closed - closing < 3000);
    events_free(world->events);
    free(world);
    usleep(500000); /* the threads that hung end now, and free what they held */
}

static void a_secret_is_set(void **state)
{
    struct real *real = *state;
    struct world *world = real->world;
    const char *uuid = "aaaaaaaa-0000-0000-0000-000000000001";
    virSecretPtr secret = NULL;
    assert_int_equal(libvirt_io_set_ceph_secret(world->io, uuid, "vm", "QUJDREU="), 0);
    assert_int_equal(libvirt_io_set_ceph_secret(world->io, uuid, "vm", "QUJDREVG"), 0);
    for (int i = 0; i < 200 && !secret; i++) {
        events_run(world->events, 10);
        secret = virSecretLookupByUUIDString(world->other, uuid);
    }
    assert_non_null(secret);
    assert_int_equal(virSecretGetUsageType(secret), VIR_SECRET_USAGE_TYPE_CEPH);
    assert_string_equal(virSecretGetUsageID(secret), "client.vm secret");
    char *xml = virSecretGetXMLDesc(secret, 0);
    assert_non_null(strstr(xml, "private='yes'"));
    assert_non_null(strstr(xml, "ephemeral='no'"));
    free(xml);
    virSecretUndefine(secret);
    virSecretFree(secret);
}

#define REAL(test) cmocka_unit_test_setup_teardown(test, setup_real, teardown_real)

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* for the other client, here: libvirt leaves that to its users */
    const struct CMUnitTest tests[] = {
        REAL(a_domain_is_started_and_ended),
        REAL(a_killed_qemu_is_a_crash),
        REAL(a_qemu_told_to_quit_is_a_crash),
        REAL(what_another_hand_does_is_told),
        REAL(who_starts_a_vm_of_ours_is_told),
        REAL(several_start_at_once),
        REAL(a_failed_start_says_why),
        REAL(a_secret_is_set),
        REAL(a_late_creation_is_undone),
        REAL(a_restarted_libvirtd_is_found_again),
        cmocka_unit_test(a_frozen_libvirtd_hangs_nobody),
    };
    return cmocka_run_group_tests(tests, start_libvirtd, stop_libvirtd);
}
