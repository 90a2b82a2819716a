/*
 * The libvirt edge, in three parts: the XML it reads and changes; libvirt's own test driver (within
 * this process) for lists and events; a real libvirtd with real QEMUs (libvirtd.sh) for paused
 * starts, restarts and hangs of the daemon. Run it from the top of the repository, as root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libvirt/libvirt.h>

#include "migration/domain_xml_io.h"
#include "migration/libvirt_io.h"
#include "tests/edge/events.h"

#define PATH_BYTES 256
#define WAIT_MS 20000

static struct uuid vm(uint8_t number)
{
    struct uuid uuid = {{0x57, 0xea, 0xd1, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0}};
    uuid.bytes[13] = (uint8_t)getpid();
    uuid.bytes[14] = (uint8_t)(getpid() >> 8);
    uuid.bytes[15] = number;
    return uuid;
}

/* --- XML ----------------------------------------------------------------------------------- */

#define HEAD                                                                                       \
    "<domain type='kvm'><name>web</name><uuid>01234567-89ab-cdef-0123-456789ABCDEF</uuid>"         \
    "<memory unit='MiB'>100</memory><devices>"
#define RBD                                                                                        \
    "<disk type='network' device='disk'><source protocol='rbd' name='rbd/web1'>"                   \
    "<auth username='vm'><secret type='ceph' uuid='AAAAAAAA-0000-0000-0000-000000000001'/></auth>" \
    "</source><target dev='vda' bus='virtio'/></disk>"
#define TAIL "</devices></domain>"

static void expect_refusal(const char *xml, const char *words)
{
    struct domain_facts facts = {.memory_mib = 77};
    char text[TEXT_BYTES] = "";
    assert_int_equal(domain_xml_facts(xml, &facts, text), -EINVAL);
    if (!strstr(text, words)) {
        fail_msg("\"%s\" does not say \"%s\"", text, words);
    }
    assert_int_equal(facts.memory_mib, 77); /* untouched */
}

static void facts_of_a_good_domain(void **state)
{
    struct domain_facts facts;
    char text[TEXT_BYTES];
    (void)state;
    const char *xml =
        HEAD RBD "<disk type='network' device='disk'><driver name='qemu' type='raw'/>"
                 "<source protocol='rbd' name='fast/web2'/><target dev='vdb'/></disk>"
                 "<disk type='file' device='cdrom'><target dev='sda'/><readonly/></disk>"
                 "<disk type='network' device='cdrom'><source protocol='rbd' name='iso/debian'/>"
                 "<target dev='sdb'/></disk><interface type='bridge'/>" TAIL;
    assert_int_equal(domain_xml_facts(xml, &facts, text), 0);
    assert_string_equal(facts.name, "web");
    assert_true(facts.has_uuid);
    assert_int_equal(facts.uuid.bytes[0], 0x01);
    assert_int_equal(facts.uuid.bytes[15], 0xef);
    assert_int_equal(facts.memory_mib, 100);
    assert_int_equal(facts.image_count, 2); /* nobody writes a CD */
    assert_string_equal(facts.images[0].pool, "rbd");
    assert_string_equal(facts.images[0].image, "web1");
    assert_string_equal(facts.images[0].secret, "aaaaaaaa-0000-0000-0000-000000000001");
    assert_string_equal(facts.images[1].pool, "fast");
    assert_string_equal(facts.images[1].secret, "");
}

static void memory_in_each_unit(void **state)
{
    static const struct {
        const char *memory;
        uint32_t mib;
    } cases[] = {{"<memory>1048576</memory>", 1024},    {"<memory unit='KiB'>1025</memory>", 2},
                 {"<memory unit='G'>2</memory>", 2048}, {"<memory unit='b'>1048577</memory>", 2},
                 {"<memory unit='MB'>1</memory>", 1},   {"<memory unit='TiB'>1</memory>", 1048576}};
    struct domain_facts facts;
    char text[TEXT_BYTES];
    char xml[1024];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(xml, sizeof(xml), "<domain><name>a</name>%s<devices>" RBD TAIL, cases[i].memory);
        assert_int_equal(domain_xml_facts(xml, &facts, text), 0);
        assert_int_equal(facts.memory_mib, cases[i].mib);
        assert_false(facts.has_uuid);
    }
}

static void bad_domains_are_refused(void **state)
{
    (void)state;
    expect_refusal("", "no domain XML");
    expect_refusal("<domain", "no domain XML");
    expect_refusal("<network><name>a</name></network>", "no domain XML");
    expect_refusal("<domain><memory>1024</memory></domain>", "<name>");
    expect_refusal("<domain><name>a</name><devices>" RBD TAIL, "<memory>");
    expect_refusal("<domain><name>a</name><memory unit='stones'>4</memory></domain>", "<memory>");
    expect_refusal("<domain><name>a</name><memory>-4</memory></domain>", "<memory>");
    expect_refusal("<domain><name>a</name><uuid>12</uuid><memory>1024</memory></domain>", "<uuid>");
    expect_refusal(HEAD TAIL, "no writable RBD disk");
    expect_refusal(HEAD "<disk type='network'><source protocol='rbd' name='web1'/></disk>" TAIL,
                   "POOL/IMAGE");
    expect_refusal(HEAD "<disk type='network'><source protocol='rbd' name='a/b/c'/></disk>" TAIL,
                   "POOL/IMAGE");
    expect_refusal(HEAD RBD RBD RBD RBD RBD RBD RBD RBD RBD TAIL, "more than 8");
}

static void what_cannot_move_is_named(void **state)
{
    (void)state;
    expect_refusal(HEAD RBD "<disk type='file' device='disk'><source file='/var/x.img'/>"
                            "<target dev='vdz'/></disk>" TAIL,
                   "disk vdz is not an RBD image but file '/var/x.img'");
    expect_refusal(HEAD RBD "<disk type='network'><source protocol='nbd' name='x'/>"
                            "<target dev='vdy'/></disk>" TAIL,
                   "vdy");
    expect_refusal(HEAD RBD "<disk type='file' device='cdrom'><source file='/d.iso'/>"
                            "<target dev='sda'/></disk>" TAIL,
                   "/d.iso");
    expect_refusal(HEAD RBD "<hostdev mode='subsystem' type='pci'><source><address domain='0' "
                            "bus='0x06' slot='0x02' function='0'/></source></hostdev>" TAIL,
                   "pci device at bus 0x06 slot 0x02");
    expect_refusal(HEAD RBD "<interface type='hostdev'/>" TAIL, "<interface>");
    expect_refusal(HEAD RBD "<filesystem/>" TAIL, "<filesystem>");
    expect_refusal(HEAD RBD "<tpm/>" TAIL, "<tpm>");
    expect_refusal(HEAD "<disk type='network'><source protocol='rbd' name='a/b'/>"
                        "<target dev='vda'/><shareable/></disk>" TAIL,
                   "<shareable>");
}

/* The mark and the disk rules are put in, in place of what was there. */
static void a_definition_is_prepared(void **state)
{
    const struct domain_mark mark = {.action = {.term = 7, .counter = UINT64_MAX},
                                     .starting = true};
    struct uuid uuid;
    struct domain_facts facts;
    char text[TEXT_BYTES];
    char *xml = NULL;
    char *again = NULL;
    (void)state;
    assert_int_equal(domain_xml_uuid("0123456789abcdef0123456789abcdef", &uuid), 0);
    const char *given =
        "<domain type='kvm'><name>w&lt;b</name><memory>1024</memory><metadata>"
        "<o:keep xmlns:o='https://other.example/'/><stead:vm "
        "xmlns:stead='https://stead.example/1' term='1' counter='1'/></metadata><devices>" RBD
        "<disk type='network'><driver name='qemu' type='raw' error_policy='report'/>"
        "<source protocol='rbd' name='a/b'/></disk></devices></domain>";
    assert_int_equal(domain_xml_prepare(given, &uuid, &mark, &xml, text), 0);
    assert_int_equal(domain_xml_facts(xml, &facts, text), 0);
    assert_true(uuid_equal(&facts.uuid, &uuid));
    assert_string_equal(facts.name, "w<b");
    assert_non_null(strstr(xml, "term=\"7\" counter=\"18446744073709551615\" starting=\"yes\""));
    assert_null(strstr(xml, "term=\"1\""));
    assert_null(strstr(xml, "report"));
    assert_non_null(strstr(xml, "o:keep"));
    const char *first = strstr(xml, " error_policy=\"stop\" rerror_policy=\"stop\"");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, " error_policy=\"stop\" rerror_policy=\"stop\""));
    assert_int_equal(domain_xml_prepare(xml, &uuid, &mark, &again, text), 0);
    assert_string_equal(xml, again); /* doing it twice changes nothing more */
    free(xml);
    free(again);
    struct uuid other = uuid;
    other.bytes[3] ^= 1;
    assert_int_equal(domain_xml_prepare(HEAD TAIL, &other, &mark, &xml, text), -EINVAL);
    assert_int_equal(domain_xml_prepare("<no", &uuid, &mark, &xml, text), -EINVAL);
}

static void marks_are_read(void **state)
{
    struct domain_mark mark = {.action = {5, 6}, .starting = true};
    struct domain_mark read = {0};
    char text[MARK_TEXT_BYTES];
    (void)state;
    domain_xml_mark_text(&mark, text);
    assert_int_equal(domain_xml_mark_read(text, &read), 0);
    assert_int_equal(read.action.term, 5);
    assert_int_equal(read.action.counter, 6);
    assert_true(read.starting);
    mark = (struct domain_mark){.action = {UINT64_MAX, UINT64_MAX}, .starting = false};
    domain_xml_mark_text(&mark, text);
    assert_int_equal(domain_xml_mark_read(text, &read), 0);
    assert_true(read.action.term == UINT64_MAX && !read.starting);
    assert_int_equal(domain_xml_mark_read("<vm term='1'/>", &read), -EBADMSG);
    assert_int_equal(domain_xml_mark_read("<vm term='1' counter='-1'/>", &read), -EBADMSG);
    assert_int_equal(domain_xml_mark_read("<vm term='1' counter='1x'/>", &read), -EBADMSG);
    assert_int_equal(domain_xml_mark_read("", &read), -EBADMSG);
}

/* --- a world with the edge in it ----------------------------------------------------------- */

struct world {
    struct events *events;
    struct libvirt_io *io;
    const char *uri;
    virConnectPtr other; /* another client of the same libvirt */
};

static void world_open(struct world *world, const char *uri)
{
    world->uri = uri;
    world->events = events_new();
    assert_int_equal(libvirt_io_open(world->events->loop, uri, &world->events->sink, &world->io),
                     0);
}

static void world_connect(struct world *world)
{
    assert_non_null(events_wait(world->events, 0, EVENT_DOMAINS, 0, WAIT_MS));
    world->other = virConnectOpen(world->uri);
    assert_non_null(world->other);
}

static void world_close(struct world *world)
{
    if (world->other) {
        virConnectClose(world->other);
    }
    libvirt_io_close(world->io);
    events_free(world->events);
    free(world);
}

static struct action ask(struct world *world, enum action_kind kind, const struct uuid *uuid,
                         uint64_t limit_ms)
{
    struct action action = {.kind = kind};
    action.id = world->events->next_id++;
    action.deadline_ms = events_now_ms() + limit_ms;
    action.vm.uuid = *uuid;
    action.vm.action = (struct action_id){3, 4};
    return action;
}

static const struct event *wait_done(struct world *world, const struct action *action)
{
    const struct event *event =
        events_wait(world->events, 0, EVENT_DOMAIN_DONE, action->id, WAIT_MS);
    assert_non_null(event);
    return event;
}

static void expect_done(struct world *world, const struct action *action, enum outcome outcome)
{
    const struct event *event = wait_done(world, action);
    if (event->domain_done.outcome != outcome) {
        fail_msg("outcome %d (\"%s\"), wanted %d", (int)event->domain_done.outcome,
                 event->domain_done.text, (int)outcome);
    }
}

/* Does it, and expects that outcome. */
static void act(struct world *world, enum action_kind kind, const struct uuid *uuid,
                enum outcome outcome)
{
    struct action action = ask(world, kind, uuid, 15000);
    libvirt_io_act(world->io, &action);
    expect_done(world, &action, outcome);
}

static void expect_domain(struct world *world, uint32_t from, const struct uuid *uuid,
                          enum domain_state domain_state, enum domain_end end)
{
    const struct event *event =
        events_wait_domain(world->events, from, uuid, domain_state, WAIT_MS);
    assert_non_null(event);
    assert_int_equal(event->domain.end, end);
    assert_int_equal(event->domain.action.term, 3);
    assert_int_equal(event->domain.action.counter, 4);
}

/* A domain of `type` without disks; with our mark if `mark` is not NULL. */
static void domain_xml(char *xml, size_t size, const char *type, const char *name,
                       const struct uuid *uuid, const char *mark)
{
    char text[UUID_TEXT_BYTES];
    domain_xml_uuid_text(uuid, text);
    snprintf(xml, size,
             "<domain type='%s'><name>%s</name><uuid>%s</uuid><memory unit='MiB'>16</memory>"
             "<metadata>%s</metadata><os><type arch='x86_64'>hvm</type></os>"
             "<features><acpi/></features><devices><controller type='usb' model='none'/>"
             "<memballoon model='none'/></devices></domain>",
             type, name, text, mark ? mark : "");
}

#define MARK(rest) "<stead:vm xmlns:stead='https://stead.example/1' term='3' counter='4' " rest "/>"

/* --- libvirt's test driver ----------------------------------------------------------------- */

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

/* --- a real libvirtd ----------------------------------------------------------------------- */

struct real {
    struct world *world;
    char dir[64];
    char uri[PATH_BYTES];
};

static int script(const struct real *real, const char *verb)
{
    char command[PATH_BYTES];
    snprintf(command, sizeof(command), "tests/edge/libvirtd.sh %s %s", verb, real->dir);
    return system(command);
}

static pid_t libvirtd_pid(const struct real *real)
{
    char path[PATH_BYTES];
    int pid = 0;
    snprintf(path, sizeof(path), "%s/libvirtd.pid", real->dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    return pid;
}

static int start_libvirtd(void **state)
{
    struct real *real = calloc(1, sizeof(*real));
    *state = real;
    if (geteuid() != 0) {
        fprintf(stderr, "a libvirtd of its own needs root: run this test as root\n");
        return -1;
    }
    strcpy(real->dir, "/tmp/stead-test-libvirt.XXXXXX");
    assert_non_null(mkdtemp(real->dir));
    snprintf(real->uri, sizeof(real->uri), "qemu+unix:///system?socket=%s/libvirt-sock", real->dir);
    return script(real, "start");
}

static int stop_libvirtd(void **state)
{
    struct real *real = *state;
    char command[PATH_BYTES];
    int r = script(real, "stop");
    snprintf(command, sizeof(command), "rm -rf %s", real->dir);
    r = r ? r : system(command);
    free(real);
    return r;
}

static int setup_real(void **state)
{
    struct real *real = *state;
    real->world = calloc(1, sizeof(*real->world));
    world_open(real->world, real->uri);
    world_connect(real->world);
    return 0;
}

static int teardown_real(void **state)
{
    struct real *real = *state;
    world_close(real->world);
    real->world = NULL;
    return 0;
}

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
    domain_xml_uuid_text(uuid, text);
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
    domain_xml_uuid_text(&uuid, text);
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
    event = events_wait_domain(world->events, from, &ended, DOMAIN_GONE, 5000);
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

#define DRIVER(test) cmocka_unit_test_setup_teardown(test, setup_driver, teardown_driver)
#define REAL(test) cmocka_unit_test_setup_teardown(test, setup_real, teardown_real)

int main(void)
{
    const struct CMUnitTest xml[] = {
        cmocka_unit_test(facts_of_a_good_domain),   cmocka_unit_test(memory_in_each_unit),
        cmocka_unit_test(bad_domains_are_refused),  cmocka_unit_test(what_cannot_move_is_named),
        cmocka_unit_test(a_definition_is_prepared), cmocka_unit_test(marks_are_read),
    };
    const struct CMUnitTest driver[] = {
        DRIVER(strangers_are_not_told),
        DRIVER(a_marked_domain_is_watched),
        DRIVER(a_shutdown_is_a_clean_end),
        DRIVER(what_runs_is_listed),
        DRIVER(what_is_not_there),
        DRIVER(resume_checks_mark_and_time),
        DRIVER(many_at_once_answer_once_each),
        DRIVER(bad_secrets_are_refused),
        cmocka_unit_test(nobody_there_is_failed_not_unknown),
    };
    const struct CMUnitTest real[] = {
        REAL(a_domain_is_started_and_ended),
        REAL(a_killed_qemu_is_a_crash),
        REAL(several_start_at_once),
        REAL(a_failed_start_says_why),
        REAL(a_secret_is_set),
        REAL(a_late_creation_is_undone),
        REAL(a_restarted_libvirtd_is_found_again),
        cmocka_unit_test(a_frozen_libvirtd_hangs_nobody),
    };
    int failed = cmocka_run_group_tests(xml, NULL, NULL);
    failed += cmocka_run_group_tests(driver, NULL, NULL);
    failed += cmocka_run_group_tests(real, start_libvirtd, stop_libvirtd);
    return failed;
}
