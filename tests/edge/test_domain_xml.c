/* What is read from a domain's XML, and what is put into it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "migration/domain_io.h"
#include "migration/domain_xml_io.h"
#include "migration/libvirt_io.h"
#include "tests/edge/events.h"

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
    assert_true(uuid_parse("0123456789abcdef0123456789abcdef", &uuid));
    const char *given =
        "<domain type='kvm'><name>w&lt;b</name><memory>1024</memory>"
        "<on_reboot>destroy</on_reboot><on_crash>coredump-restart</on_crash><metadata>"
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
    assert_non_null(strstr(xml, "<on_reboot>restart</on_reboot>"));
    assert_non_null(strstr(xml, "<on_crash>preserve</on_crash>"));
    assert_non_null(strstr(xml, "<on_poweroff>destroy</on_poweroff>"));
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

/* Drives from local files start empty where the file is missing; marks come and go. */
static void media_and_marks_in_a_definition(void **state)
{
    const struct domain_mark mark = {.action = {1, 2}, .starting = true};
    struct uuid uuid;
    char text[TEXT_BYTES];
    char *xml = NULL, *plain = NULL;
    (void)state;
    assert_true(uuid_parse("0123456789abcdef0123456789abcdef", &uuid));
    assert_int_equal(domain_xml_prepare(HEAD RBD
                                        "<disk type='file' device='cdrom'><source file='/x.iso'/>"
                                        "<target dev='sda'/></disk>" TAIL,
                                        &uuid, &mark, &xml, text),
                     0);
    assert_non_null(strstr(xml, "file=\"/x.iso\" startupPolicy=\"optional\""));
    assert_null(
        strstr(strstr(xml, "startupPolicy") + 1, "startupPolicy")); /* not on the RBD disk */
    assert_int_equal(domain_xml_pending(xml, &plain), 0);
    assert_null(strstr(plain, MARK_URI));
    assert_non_null(strstr(plain, PENDING_URI));
    free(xml);
    assert_int_equal(domain_xml_plain(plain, &xml), 0);
    assert_null(strstr(xml, "stead.example"));
    free(xml);
    free(plain);
    assert_int_equal(domain_xml_plain("<no", &xml), -EINVAL);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_of_a_good_domain),
        cmocka_unit_test(memory_in_each_unit),
        cmocka_unit_test(bad_domains_are_refused),
        cmocka_unit_test(a_definition_is_prepared),
        cmocka_unit_test(media_and_marks_in_a_definition),
        cmocka_unit_test(marks_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
