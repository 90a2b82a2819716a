/* Finding, marking, taking away and giving back domains, against a real libvirtd with real
 * QEMUs. */
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

#include "migration/domain_io.h"
#include "tests/edge/libvirtd_world.h"

#define CALL_MS 10000

struct told {
    struct world *world;
    bool there;
    enum outcome outcome;
    char text[TEXT_BYTES];
    struct domain_found found;
    char xml[4096];
    bool has_active_xml;
    struct domain_pending *pending;
};

static void on_done(void *context, enum outcome outcome, const char *text)
{
    struct told *told = context;
    told->there = true;
    told->outcome = outcome;
    snprintf(told->text, sizeof(told->text), "%s", text);
    qb_loop_stop(told->world->events->loop);
}

static void on_found(void *context, enum outcome outcome, const char *text,
                     const struct domain_found *found)
{
    struct told *told = context;
    assert_int_equal(found != NULL, outcome == OUTCOME_DONE);
    if (found) {
        told->found = *found;
        told->has_active_xml = found->active_xml != NULL;
        snprintf(told->xml, sizeof(told->xml), "%s", found->xml);
    }
    on_done(context, outcome, text);
}

static void on_pending(void *context, const struct domain_pending *pending)
{
    struct told *told = context;
    told->pending = calloc(1, sizeof(*told->pending));
    *told->pending = *pending;
    on_done(context, OUTCOME_DONE, "");
}

static void wait_told(struct told *told)
{
    for (int i = 0; !told->there && i < 100; i++) {
        events_run(told->world->events, 200);
    }
    assert_true(told->there);
}

static struct told find_it(struct world *world, const char *name)
{
    struct told told = {.world = world};
    assert_int_equal(domain_io_find(world->io, name, events_now_ms() + CALL_MS, on_found, &told),
                     0);
    wait_told(&told);
    return told;
}

static void ask_it(struct world *world, const struct uuid *uuid,
                   int (*what)(struct libvirt_io *, const struct uuid *, uint64_t, domain_done *,
                               void *),
                   enum outcome outcome)
{
    struct told told = {.world = world};
    assert_int_equal(what(world->io, uuid, events_now_ms() + CALL_MS, on_done, &told), 0);
    wait_told(&told);
    if (told.outcome != outcome) {
        fail_msg("outcome %d (\"%s\"), wanted %d", (int)told.outcome, told.text, (int)outcome);
    }
}

/* -1: nothing is marked, else whether it is pending. */
static int listed(struct world *world, const struct uuid *uuid)
{
    struct told told = {.world = world};
    int pending = -1;
    assert_int_equal(
        domain_io_list_pending(world->io, events_now_ms() + CALL_MS, on_pending, &told), 0);
    wait_told(&told);
    for (uint32_t i = 0; i < told.pending->count; i++) {
        const struct domain_kept *kept = &told.pending->list[i];
        if (uuid_equal(&kept->vm, uuid) && (kept->pending || (kept->ours && kept->persistent))) {
            pending = told.pending->list[i].pending;
        }
    }
    free(told.pending);
    return pending;
}

static bool is_unborn(struct world *world, const struct uuid *uuid)
{
    struct told told = {.world = world};
    bool unborn = false;
    assert_int_equal(
        domain_io_list_pending(world->io, events_now_ms() + CALL_MS, on_pending, &told), 0);
    wait_told(&told);
    for (uint32_t i = 0; i < told.pending->count; i++) {
        unborn =
            unborn || (uuid_equal(&told.pending->list[i].vm, uuid) && told.pending->list[i].unborn);
    }
    free(told.pending);
    return unborn;
}

static virDomainPtr define_other(struct world *world, const char *name, const struct uuid *uuid)
{
    char xml[2048];
    domain_xml(xml, sizeof(xml), "qemu", name, uuid, NULL);
    virDomainPtr domain = virDomainDefineXML(world->other, xml);
    assert_non_null(domain);
    return domain;
}

static void a_domain_is_found_by_name_or_uuid(void **state)
{
    struct world *world = ((struct real *)*state)->world;
    struct uuid uuid = vm(1);
    char text[UUID_TEXT_BYTES];
    virDomainPtr domain = define_other(world, "found", &uuid);
    uuid_format(&uuid, text);
    struct told told = find_it(world, "found");
    assert_int_equal(told.outcome, OUTCOME_DONE);
    assert_true(uuid_equal(&told.found.vm, &uuid));
    assert_true(told.found.persistent && !told.found.active && !told.has_active_xml);
    assert_non_null(strstr(told.xml, "<name>found</name>"));
    assert_int_equal(virDomainCreate(domain), 0);
    told = find_it(world, text);
    assert_true(told.found.active && told.found.running && told.has_active_xml);
    assert_int_equal(virDomainSuspend(domain), 0);
    assert_false(find_it(world, text).found.running);
    assert_int_equal(find_it(world, "nosuch").outcome, OUTCOME_MISSING);
    virDomainDestroy(domain);
    virDomainUndefine(domain);
    virDomainFree(domain);
}

/* Running: marked, ours, then transient; it runs all the time. */
static void a_running_domain_changes_its_owner(void **state)
{
    struct world *world = ((struct real *)*state)->world;
    struct uuid uuid = vm(2);
    virDomainPtr domain = define_other(world, "adopted", &uuid);
    int on = 1;
    assert_int_equal(virDomainCreate(domain), 0);
    assert_int_equal(virDomainSetAutostart(domain, 1), 0);
    assert_int_equal(listed(world, &uuid), -1);
    ask_it(world, &uuid, domain_io_undefine, OUTCOME_DONE); /* not marked: left alone */
    assert_int_equal(virDomainIsPersistent(domain), 1);
    ask_it(world, &uuid, domain_io_mark, OUTCOME_DONE);
    assert_int_equal(listed(world, &uuid), 1);
    assert_true(find_it(world, "adopted").found.ours);
    libvirt_io_look(world->io, &uuid);
    assert_non_null(events_wait_domain(world->events, 0, &uuid, DOMAIN_RUNNING, WAIT_MS));
    ask_it(world, &uuid, domain_io_undefine, OUTCOME_DONE);
    assert_int_equal(virDomainIsPersistent(domain), 0);
    assert_int_equal(virDomainIsActive(domain), 1);
    assert_int_equal(listed(world, &uuid), -1);
    struct told told = find_it(world, "adopted"); /* and back */
    char *plain = NULL;
    assert_int_equal(domain_xml_plain(told.xml, &plain), 0);
    told = (struct told){.world = world};
    assert_int_equal(
        domain_io_define(world->io, &uuid, plain, events_now_ms() + CALL_MS, on_done, &told), 0);
    wait_told(&told);
    assert_int_equal(told.outcome, OUTCOME_DONE);
    assert_int_equal(listed(world, &uuid), 1);
    ask_it(world, &uuid, domain_io_unmark, OUTCOME_DONE);
    assert_int_equal(listed(world, &uuid), -1);
    assert_int_equal(virDomainIsPersistent(domain), 1);
    assert_int_equal(virDomainGetAutostart(domain, &on), 0);
    assert_int_equal(on, 0);
    assert_int_equal(virDomainIsActive(domain), 1);
    assert_null(strstr(find_it(world, "adopted").xml, "stead.example"));
    free(plain);
    virDomainDestroy(domain);
    virDomainUndefine(domain);
    virDomainFree(domain);
}

/* One that a start made and never resumed is listed and can be ended; once it ran, it is let be. */
static void a_domain_that_never_ran_can_be_ended(void **state)
{
    struct world *world = ((struct real *)*state)->world;
    struct uuid uuid = vm(5);
    const struct domain_mark mark = {.action = {3, 4}, .starting = true};
    char xml[2048], text[TEXT_BYTES];
    char *marked = NULL;
    domain_xml(xml, sizeof(xml), "qemu", "unborn", &uuid, NULL);
    assert_int_equal(domain_xml_prepare(xml, &uuid, &mark, &marked, text), 0);
    for (int run = 0; run < 2; run++) {
        virDomainPtr domain =
            virDomainCreateXML(world->other, marked, run ? 0 : VIR_DOMAIN_START_PAUSED);
        assert_non_null(domain);
        assert_int_equal(is_unborn(world, &uuid), !run);
        ask_it(world, &uuid, domain_io_destroy_unborn, OUTCOME_DONE);
        assert_int_equal(virDomainIsActive(domain) == 1, run);
        if (run) {
            virDomainDestroy(domain);
        }
        virDomainFree(domain);
    }
    free(marked);
}

static void what_is_not_there_is_said(void **state)
{
    struct world *world = ((struct real *)*state)->world;
    struct uuid uuid = vm(3), other = vm(4);
    ask_it(world, &uuid, domain_io_mark, OUTCOME_MISSING);
    ask_it(world, &uuid, domain_io_undefine, OUTCOME_DONE);
    virDomainPtr domain = define_other(world, "inway", &uuid);
    char xml[2048];
    domain_xml(xml, sizeof(xml), "qemu", "inway", &other, NULL);
    struct told told = {.world = world};
    assert_int_equal(
        domain_io_define(world->io, &other, xml, events_now_ms() + CALL_MS, on_done, &told), 0);
    wait_told(&told);
    assert_int_equal(told.outcome, OUTCOME_FAILED);
    assert_non_null(strstr(told.text, "already exists"));
    assert_int_equal(domain_io_define(world->io, &other, "<no", events_now_ms(), on_done, &told),
                     -EINVAL);
    virDomainUndefine(domain);
    virDomainFree(domain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_domain_is_found_by_name_or_uuid, setup_real,
                                        teardown_real),
        cmocka_unit_test_setup_teardown(a_running_domain_changes_its_owner, setup_real,
                                        teardown_real),
        cmocka_unit_test_setup_teardown(a_domain_that_never_ran_can_be_ended, setup_real,
                                        teardown_real),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_said, setup_real, teardown_real),
    };
    return cmocka_run_group_tests(tests, start_libvirtd, stop_libvirtd);
}
