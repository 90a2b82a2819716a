/* The libvirt edge against libvirt's own test driver, within this process: lists, events, marks.
 * Paused starts and the daemon's troubles are in test_libvirtd.c. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "migration/libvirt_inner_io.h"
#include "tests/edge/libvirt_world.h"

static int setup_driver(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    world_open(world, "test:///default");
    world_connect(world);
    *state = world;
    return 0;
}

static int teardown_driver(void **state)
{
    world_close(*state);
    return 0;
}

static virDomainPtr make_other(struct world *world, const char *name, const struct uuid *uuid,
                               const char *mark)
{
    char xml[2048];
    domain_xml(xml, sizeof(xml), "test", name, uuid, mark);
    virDomainPtr domain = virDomainCreateXML(world->other, xml, 0);
    assert_non_null(domain);
    return domain;
}

/* "test", the driver's own domain, is running and no business of ours. */
static void strangers_are_not_told(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(1);
    virDomainPtr domain = make_other(world, "stranger", &uuid, NULL);
    virDomainSuspend(domain);
    virDomainDestroy(domain);
    virDomainFree(domain);
    events_run(world->events, 300);
    assert_int_equal(events_count(world->events, EVENT_DOMAIN, 0), 0);
    assert_int_equal(world->events->count, 1);
    assert_true(world->events->list[0].domains.connected);
}

/* One that was started by another hand but carries our mark: each change of it is told. */
static void a_marked_domain_is_watched(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(1);
    virDomainPtr domain = make_other(world, "marked", &uuid, MARK(""));
    expect_domain(world, 0, &uuid, DOMAIN_RUNNING, END_UNKNOWN);
    virDomainSuspend(domain);
    expect_domain(world, 0, &uuid, DOMAIN_PAUSED, END_UNKNOWN);
    uint32_t from = world->events->count;
    virDomainResume(domain);
    expect_domain(world, from, &uuid, DOMAIN_RUNNING, END_UNKNOWN);
    act(world, ACTION_DOMAIN_DESTROY, &uuid, OUTCOME_DONE);
    expect_domain(world, from, &uuid, DOMAIN_GONE, END_DESTROYED);
    virDomainFree(domain);
}

static bool mark_says(virDomainPtr domain, const char *words)
{
    char *mark = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, MARK_URI, 0);
    assert_non_null(mark);
    bool says = strstr(mark, words) != NULL;
    free(mark);
    return says;
}

/* What stead paused is told apart from what somebody paused, by the next agent, too. */
static void suspended_by_stead_and_by_somebody(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(1);
    virDomainPtr domain = make_other(world, "marked", &uuid, MARK(""));
    expect_domain(world, 0, &uuid, DOMAIN_RUNNING, END_UNKNOWN);
    act(world, ACTION_DOMAIN_SUSPEND, &uuid, OUTCOME_DONE);
    expect_domain(world, 0, &uuid, DOMAIN_SUSPENDED, END_UNKNOWN);
    assert_true(mark_says(domain, "suspended="));
    struct world *second = calloc(1, sizeof(*second));
    world_open(second, world->uri);
    world_connect(second);
    expect_domain(second, 0, &uuid, DOMAIN_SUSPENDED, END_UNKNOWN);
    world_close(second);
    uint32_t from = world->events->count;
    act(world, ACTION_DOMAIN_RESUME, &uuid, OUTCOME_DONE);
    expect_domain(world, from, &uuid, DOMAIN_RUNNING, END_UNKNOWN);
    assert_false(mark_says(domain, "suspended="));
    virDomainSuspend(domain); /* by hand */
    expect_domain(world, from, &uuid, DOMAIN_PAUSED, END_UNKNOWN);
    act(world, ACTION_DOMAIN_SUSPEND, &uuid, OUTCOME_DONE);
    assert_false(mark_says(domain, "suspended="));
    act(world, ACTION_DOMAIN_RESUME, &uuid, OUTCOME_REFUSED);
    act(world, ACTION_DOMAIN_DESTROY, &uuid, OUTCOME_DONE);
    virDomainFree(domain);
}

/* An agent that resumed it and died at once has left the mark: the next one takes it off. */
static void a_mark_left_on_what_runs_is_taken_off(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(1);
    virDomainPtr domain = make_other(world, "marked", &uuid, MARK("suspended='yes'"));
    expect_domain(world, 0, &uuid, DOMAIN_RUNNING, END_UNKNOWN);
    for (unsigned i = 0; i < 50 && mark_says(domain, "suspended="); i++) {
        events_run(world->events, 20);
    }
    assert_false(mark_says(domain, "suspended="));
    act(world, ACTION_DOMAIN_DESTROY, &uuid, OUTCOME_DONE);
    virDomainFree(domain);
}

static void a_shutdown_is_a_clean_end(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(1);
    virDomainPtr domain = make_other(world, "marked", &uuid, MARK(""));
    expect_domain(world, 0, &uuid, DOMAIN_RUNNING, END_UNKNOWN);
    act(world, ACTION_DOMAIN_SHUTDOWN, &uuid, OUTCOME_DONE);
    expect_domain(world, 0, &uuid, DOMAIN_GONE, END_SHUTDOWN);
    virDomainFree(domain);
}

/* A restarted agent finds what runs, by its marks, and is told so before "connected". */
static void what_runs_is_listed(void **state)
{
    struct world *world = *state;
    struct uuid running = vm(1);
    struct uuid starting = vm(2);
    struct uuid paused = vm(3);
    virDomainPtr domains[] = {make_other(world, "a", &running, MARK("")),
                              make_other(world, "b", &starting, MARK("starting='yes'")),
                              make_other(world, "c", &paused, MARK(""))};
    virDomainSuspend(domains[1]);
    virDomainSuspend(domains[2]);
    struct world *second = calloc(1, sizeof(*second));
    world_open(second, world->uri);
    world_connect(second);
    expect_domain(second, 0, &running, DOMAIN_RUNNING, END_UNKNOWN);
    expect_domain(second, 0, &starting, DOMAIN_STARTING, END_UNKNOWN);
    expect_domain(second, 0, &paused, DOMAIN_PAUSED, END_UNKNOWN);
    assert_int_equal(second->events->count, 4);
    assert_int_equal(second->events->list[3].kind, EVENT_DOMAINS);
    assert_true(second->events->list[3].domains.connected);
    world_close(second);
    for (unsigned i = 0; i < 3; i++) {
        virDomainDestroy(domains[i]);
        virDomainFree(domains[i]);
    }
}

static void what_is_not_there(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(9);
    act(world, ACTION_DOMAIN_DESTROY, &uuid, OUTCOME_DONE);
    act(world, ACTION_DOMAIN_RESUME, &uuid, OUTCOME_MISSING);
    act(world, ACTION_DOMAIN_SHUTDOWN, &uuid, OUTCOME_MISSING);
}

/* Only the start that made a domain may resume it, and only while its right lasts. */
static void resume_checks_mark_and_time(void **state)
{
    struct world *world = *state;
    struct uuid uuid = vm(1);
    virDomainPtr domain = make_other(world, "marked", &uuid, MARK("starting='yes'"));
    virDomainSuspend(domain);
    struct action action = ask(world, ACTION_DOMAIN_RESUME, &uuid, 5000);
    action.vm.action.counter = 5;
    libvirt_io_act(world->io, &action);
    expect_done(world, &action, OUTCOME_REFUSED);
    action = ask(world, ACTION_DOMAIN_RESUME, &uuid, 5000);
    action.valid_until_ms = events_now_ms() - 1;
    libvirt_io_act(world->io, &action);
    expect_done(world, &action, OUTCOME_STALE);
    int domain_state;
    assert_int_equal(virDomainGetState(domain, &domain_state, NULL, 0), 0);
    assert_int_equal(domain_state, VIR_DOMAIN_PAUSED);
    action = ask(world, ACTION_DOMAIN_RESUME, &uuid, 5000);
    action.valid_until_ms = events_now_ms() + 5000;
    libvirt_io_act(world->io, &action);
    expect_done(world, &action, OUTCOME_DONE);
    char *mark = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, MARK_URI, 0);
    assert_non_null(mark);
    assert_null(strstr(mark, "starting"));
    free(mark);
    act(world, ACTION_DOMAIN_RESUME, &uuid, OUTCOME_DONE); /* it runs: so be it */
    virDomainDestroy(domain);
    virDomainFree(domain);
}

static void many_at_once_answer_once_each(void **state)
{
    struct world *world = *state;
    struct action actions[200];
    for (uint8_t i = 0; i < 200; i++) {
        struct uuid uuid = vm(i % 50);
        actions[i] = ask(world, ACTION_DOMAIN_DESTROY, &uuid, 15000);
        libvirt_io_act(world->io, &actions[i]);
    }
    for (uint32_t i = 0; i < 200; i++) {
        expect_done(world, &actions[i], OUTCOME_DONE);
        assert_int_equal(events_count(world->events, EVENT_DOMAIN_DONE, actions[i].id), 1);
    }
}

/* --- more than can be asked --- */

/* Holds its worker, and so each later job of its domain. */
static enum outcome gate_work(virConnectPtr connection, void *memory, char ret_text[TEXT_BYTES])
{
    atomic_bool *gate = memory;
    (void)connection;
    while (!*gate) {
        usleep(1000);
    }
    ret_text[0] = '\0';
    return OUTCOME_DONE;
}

static void gate_release(void *memory)
{
    (void)memory;
}

static void gate_done(void *context, void *memory, enum outcome outcome, const char *text)
{
    (void)context;
    (void)memory;
    (void)outcome;
    (void)text;
}

/* What could not even be asked for is not on its way: who starts that domain later is not us. */
static void a_creation_that_is_not_sent_is_over(void **state)
{
    struct world *world = *state;
    struct uuid held = vm(1);
    struct uuid uuid = vm(2);
    atomic_bool gate = false;
    const struct libvirt_ask gate_ask = {
        .work = gate_work, .release = gate_release, .done = gate_done, .memory = &gate};
    char xml[2048];
    assert_int_equal(libvirt_io_ask(world->io, &held, events_now_ms() + 15000, &gate_ask), 0);
    struct action filler = ask(world, ACTION_DOMAIN_DESTROY, &held, 15000);
    filler.id = 0; /* nobody waits for it */
    for (int i = 0; i < JOBS_MAX; i++) {
        libvirt_io_act(world->io, &filler);
    }
    struct action action = ask(world, ACTION_DOMAIN_CREATE, &uuid, 5000);
    domain_xml(xml, sizeof(xml), "test", "a", &uuid, MARK("starting='yes'"));
    libvirt_io_create(world->io, &action, xml);
    expect_done(world, &action, OUTCOME_FAILED);
    assert_non_null(strstr(wait_done(world, &action)->domain_done.text, "too much to do"));
    gate = true;
    virDomainPtr domain = make_other(world, "a", &uuid, NULL);
    events_run(world->events, 300);
    assert_int_equal(events_count(world->events, EVENT_DOMAIN, 0), 0);
    virDomainDestroy(domain);
    virDomainFree(domain);
}

static void nobody_there_is_failed_not_unknown(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct uuid uuid = vm(1);
    char xml[2048];
    (void)state;
    world_open(world, "qemu+unix:///system?socket=/nowhere/libvirt-sock");
    domain_xml(xml, sizeof(xml), "qemu", "a", &uuid, NULL);
    struct action action = ask(world, ACTION_DOMAIN_CREATE, &uuid, 5000);
    libvirt_io_create(world->io, &action, xml);
    expect_done(world, &action, OUTCOME_FAILED);
    assert_int_equal(events_count(world->events, EVENT_DOMAINS, 0), 0);
    world_close(world);
}

static void bad_secrets_are_refused(void **state)
{
    struct world *world = *state;
    const char *uuid = "aaaaaaaa-0000-0000-0000-000000000001";
    assert_int_equal(libvirt_io_set_ceph_secret(world->io, "x", "vm", "QUJD"), -EINVAL);
    assert_int_equal(libvirt_io_set_ceph_secret(world->io, uuid, "v<m", "QUJD"), -EINVAL);
    assert_int_equal(libvirt_io_set_ceph_secret(world->io, uuid, "vm", "!"), -EINVAL);
    assert_int_equal(libvirt_io_set_ceph_secret(world->io, uuid, "vm", ""), -EINVAL);
}

#define DRIVER(test) cmocka_unit_test_setup_teardown(test, setup_driver, teardown_driver)

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* for the other client, here: libvirt leaves that to its users */
    const struct CMUnitTest tests[] = {
        DRIVER(strangers_are_not_told),
        DRIVER(a_marked_domain_is_watched),
        DRIVER(suspended_by_stead_and_by_somebody),
        DRIVER(a_mark_left_on_what_runs_is_taken_off),
        DRIVER(a_shutdown_is_a_clean_end),
        DRIVER(what_runs_is_listed),
        DRIVER(what_is_not_there),
        DRIVER(resume_checks_mark_and_time),
        DRIVER(many_at_once_answer_once_each),
        DRIVER(a_creation_that_is_not_sent_is_over),
        DRIVER(bad_secrets_are_refused),
        cmocka_unit_test(nobody_there_is_failed_not_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
