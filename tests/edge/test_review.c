/* One golden XML per finding, and all at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "migration/review_io.h"
#include "proto/assert.h"

_Noreturn void stead_panic(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, condition);
    abort();
}

#define NAME "<name>web</name><memory unit='MiB'>100</memory>"
#define RBD_AS(user, image, rest)                                                                  \
    "<disk type='network' device='disk'>"                                                          \
    "<source protocol='rbd' name='" image "'><auth username='" user                                \
    "'><secret type='ceph' uuid='AAAAAAAA-0000-0000-0000-000000000001'/></auth></source>"          \
    "<target dev='vda' bus='virtio'/>" rest "</disk>"
#define RBD RBD_AS("vm", "rbd/web1", "")
#define DOMAIN(outside, devices)                                                                   \
    "<domain type='kvm'>" NAME outside "<devices>" devices "</devices></domain>"
#define WITH(device) DOMAIN("", RBD device)

static struct review review_of(const char *xml)
{
    struct review review = {.accepted = 0};
    review_domain(xml, "vm", &review);
    return review;
}

static bool says(const struct review *review, enum finding_kind kind, const char *words)
{
    for (uint32_t i = 0; i < review->count; i++) {
        if (review->list[i].kind == kind && strstr(review->list[i].text, words) != NULL) {
            return true;
        }
    }
    return false;
}

static void a_good_domain_has_no_finding(void **state)
{
    (void)state;
    struct review review = review_of(
        WITH("<disk type='network' device='cdrom'><source protocol='rbd' name='iso/debian'/>"
             "<target dev='sdb'/></disk><disk type='file' device='cdrom'><target dev='sda'/>"
             "<readonly/></disk><interface type='bridge'><source bridge='br0'/></interface>"
             "<graphics type='vnc' port='-1' autoport='yes' listen='0.0.0.0'/>"
             "<serial type='pty'/><console type='pty'/><channel type='unix'/>"));
    for (uint32_t i = 0; i < review.count; i++) {
        print_error("found: %s\n", review.list[i].text);
    }
    assert_int_equal(review.count, 0);
}

static const struct {
    enum finding_kind kind;
    const char *words;
    const char *xml;
} golden[] = {
    {FINDING_DEFINITION, "this is no domain XML", ""},
    {FINDING_DEFINITION, "this is no domain XML", "<network><name>a</name></network>"},
    {FINDING_DEFINITION, "<name>", "<domain type='kvm'><memory>1024</memory></domain>"},
    {FINDING_DEFINITION, "'my web' is no name",
     "<domain type='kvm'><name>my web</name><memory>1024</memory></domain>"},
    {FINDING_DEFINITION, "type 'xen'", "<domain type='xen'>" NAME "</domain>"},
    {FINDING_NO_RBD, "no writable RBD disk", DOMAIN("", "")},
    {FINDING_LOCAL_DISK, "disk vdz lies in file '/var/x.img'",
     WITH("<disk type='file' device='disk'><source file='/var/x.img'/><target dev='vdz'/></disk>")},
    {FINDING_LOCAL_DISK, "volume 'x'",
     WITH("<disk type='volume'><source pool='p' volume='x'/><target dev='vdz'/></disk>")},
    {FINDING_LOCAL_DISK, "the floppy fda may be written",
     WITH("<disk type='file' device='floppy'><source file='/f'/><target dev='fda'/></disk>")},
    {FINDING_LOCAL_DISK, "nvdimm", WITH("<memory model='nvdimm'/>")},
    {FINDING_LOCAL_DISK, "based on the local file /base.img",
     DOMAIN("", RBD_AS("vm", "rbd/web1",
                       "<backingStore type='file'><source file='/base.img'/></backingStore>"))},
    {FINDING_BLOCK_DISK, "/dev/vg0/web",
     WITH("<disk type='block'><source dev='/dev/vg0/web'/><target dev='vdz'/></disk>")},
    {FINDING_KRBD, "name='rbd/web2'",
     WITH("<disk type='block'><source dev='/dev/rbd/rbd/web2'/><target dev='vdz'/></disk>")},
    {FINDING_KRBD, "/dev/rbd0, mapped by the kernel",
     WITH("<disk type='block'><source dev='/dev/rbd0'/><target dev='vdz'/></disk>")},
    {FINDING_NETWORK_DISK, "reached by 'nbd'",
     WITH("<disk type='network'><source protocol='nbd' name='x'/><target dev='vdy'/></disk>")},
    {FINDING_NETWORK_DISK, "reached by 'iscsi'",
     WITH("<disk type='network'><source protocol='iscsi' name='iqn/1'/><target "
          "dev='vdy'/></disk>")},
    {FINDING_RBD_DISK, "<shareable>", DOMAIN("", RBD_AS("vm", "rbd/web1", "<shareable/>"))},
    {FINDING_RBD_DISK, "<transient>", DOMAIN("", RBD_AS("vm", "rbd/web1", "<transient/>"))},
    {FINDING_RBD_DISK, "is not POOL/IMAGE", DOMAIN("", RBD_AS("vm", "web1", ""))},
    {FINDING_RBD_DISK, "is not POOL/IMAGE", DOMAIN("", RBD_AS("vm", "a/b/c", ""))},
    {FINDING_RBD_DISK, "two disks are the same image rbd/web1", WITH(RBD)},
    {FINDING_RBD_DISK, "9 RBD disks",
     DOMAIN("", RBD_AS("vm", "r/1", "") RBD_AS("vm", "r/2", "") RBD_AS("vm", "r/3", "")
                    RBD_AS("vm", "r/4", "") RBD_AS("vm", "r/5", "") RBD_AS("vm", "r/6", "")
                        RBD_AS("vm", "r/7", "") RBD_AS("vm", "r/8", "") RBD_AS("vm", "r/9", ""))},
    {FINDING_CEPH_USER, "opened as client.admin, but stead hands out the key of client.vm",
     DOMAIN("", RBD_AS("admin", "rbd/web1", ""))},
    {FINDING_SECRET, "has no <auth>",
     DOMAIN("", "<disk type='network'><source protocol='rbd' name='rbd/web1'/></disk>")},
    {FINDING_SECRET, "encrypted",
     DOMAIN("", RBD_AS("vm", "rbd/web1", "<encryption format='luks'/>"))},
    {FINDING_CACHE, "cache='unsafe'",
     DOMAIN("", RBD_AS("vm", "rbd/web1", "<driver name='qemu' cache='unsafe'/>"))},
    {FINDING_TPM_LOCAL, "empty TPM", WITH("<tpm><backend type='emulator'/></tpm>")},
    {FINDING_PASSTHROUGH, "TPM of one host", WITH("<tpm><backend type='passthrough'/></tpm>")},
    {FINDING_PASSTHROUGH, "pci device at bus 0x06 slot 0x02",
     WITH("<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0x06' slot='0x02' "
          "function='0'/></source></hostdev>")},
    {FINDING_PASSTHROUGH, "usb device 0x1234:0xbeef",
     WITH("<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product "
          "id='0xbeef'/></source></hostdev>")},
    {FINDING_PASSTHROUGH, "mdev device c2177883",
     WITH("<hostdev mode='subsystem' type='mdev'><source><address "
          "uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source></hostdev>")},
    {FINDING_PASSTHROUGH, "network device", WITH("<interface type='hostdev'/>")},
    {FINDING_PASSTHROUGH, "/dev/ttyS0",
     WITH("<serial type='dev'><source path='/dev/ttyS0'/></serial>")},
    {FINDING_PASSTHROUGH, "<input>", WITH("<input type='evdev'/>")},
    {FINDING_PASSTHROUGH, "<smartcard>", WITH("<smartcard mode='host'/>")},
    {FINDING_FILESYSTEM, "/srv/x", WITH("<filesystem><source dir='/srv/x'/></filesystem>")},
    {FINDING_SHARED_MEMORY, "<shmem>", WITH("<shmem name='a'/>")},
    {FINDING_SHARED_MEMORY, "vhost-user process at /tmp/s",
     WITH("<interface type='vhostuser'><source type='unix' path='/tmp/s'/></interface>")},
    {FINDING_LAUNCH_SECURITY, "processor of one host", DOMAIN("<launchSecurity type='sev'/>", RBD)},
    {FINDING_MEDIA, "holds /d.iso: a start on a node without that file leaves the drive empty",
     WITH("<disk type='file' device='cdrom'><source file='/d.iso'/><target dev='sda'/></disk>")},
    {FINDING_MEDIA, "/dev/sr0",
     WITH("<disk type='block' device='cdrom'><source dev='/dev/sr0'/><target dev='sda'/></disk>")},
    {FINDING_NVRAM, "firmware variables",
     DOMAIN("<os><loader type='pflash'>/fw</loader><nvram>/n</nvram></os>", RBD)},
    {FINDING_NVRAM, "firmware variables", DOMAIN("<os firmware='efi'/>", RBD)},
    {FINDING_HOST_CPU, "the host's own", DOMAIN("<cpu mode='host-passthrough'/>", RBD)},
    {FINDING_HOST_MEMORY, "huge pages", DOMAIN("<memoryBacking><hugepages/></memoryBacking>", RBD)},
    {FINDING_HOST_MEMORY, "pinned", DOMAIN("<vcpu cpuset='1-3'>2</vcpu>", RBD)},
    {FINDING_HOST_INTERFACE, "macvtap on eth0",
     WITH("<interface type='direct'><source dev='eth0'/></interface>")},
    {FINDING_HOST_ADDRESS, "vnc listens on 10.1.2.3",
     WITH("<graphics type='vnc'><listen type='address' address='10.1.2.3'/></graphics>")},
    {FINDING_HOST_FILE, "/boot/k", DOMAIN("<os><kernel>/boot/k</kernel></os>", RBD)},
    {FINDING_HOST_FILE, "/var/log/s",
     WITH("<serial type='file'><source path='/var/log/s'/></serial>")},
    {FINDING_QEMU_ARGUMENTS, "commandline",
     "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>" NAME
     "<devices>" RBD "</devices><qemu:commandline/></domain>"},
};

static void each_is_found(void **state)
{
    bool had[FINDING_KIND_COUNT] = {false};
    (void)state;
    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
        struct review review = review_of(golden[i].xml);
        had[golden[i].kind] = true;
        if (!says(&review, golden[i].kind, golden[i].words)) {
            for (uint32_t j = 0; j < review.count; j++) {
                print_error("found %s: %s\n", review_word(review.list[j].kind),
                            review.list[j].text);
            }
            fail_msg("%s: nothing says \"%s\"", review_word(golden[i].kind), golden[i].words);
        }
        /* Nothing else refuses it, so the finding alone decides. */
        assert_int_equal(review_refusals(&review) > 0,
                         review_treatment(golden[i].kind) != TREATMENT_TOLD);
    }
    for (uint32_t kind = 0; kind < FINDING_ERROR_POLICY; kind++) {
        if (!had[kind]) {
            fail_msg("no golden XML for %s", review_word(kind));
        }
    }
}

static void all_are_told_at_once(void **state)
{
    (void)state;
    struct review review = review_of(
        WITH("<disk type='block'><source dev='/dev/rbd0'/><target dev='vdb'/></disk>"
             "<tpm><backend type='emulator'/></tpm><hostdev type='pci'/>"
             "<disk type='file' device='cdrom'><source file='/d.iso'/><target dev='sda'/></disk>"));
    assert_int_equal(review.count, 4);
    assert_true(says(&review, FINDING_KRBD, "/dev/rbd0"));
    assert_true(says(&review, FINDING_TPM_LOCAL, "TPM"));
    assert_true(says(&review, FINDING_PASSTHROUGH, "pci"));
    assert_true(says(&review, FINDING_MEDIA, "/d.iso"));
}

static void only_what_costs_mobility_is_accepted(void **state)
{
    char word[NAME_BYTES] = "";
    struct review review = {.count = 0};
    (void)state;
    assert_true(review_parse_accept("", &review.accepted, word));
    assert_true(review_parse_accept("passthrough,tpm", &review.accepted, word));
    review_domain(WITH("<hostdev type='pci'/><tpm/>"), "vm", &review);
    assert_int_equal(review.count, 2);
    assert_int_equal(review_refusals(&review), 0);
    review_domain(WITH("<filesystem/>"), "vm", &review);
    assert_int_equal(review_refusals(&review), 1);
    assert_false(review_parse_accept("passthrough,krbd", &review.accepted, word));
    assert_string_equal(word, "krbd");
    assert_false(review_parse_accept("nonsense", &review.accepted, word));
    assert_false(review_parse_accept(",", &review.accepted, word));
}

static void a_running_one_is_looked_at(void **state)
{
    struct review review = {.count = 0};
    (void)state;
    review_running(
        DOMAIN("", RBD_AS("vm", "rbd/web1", "<driver error_policy='stop' rerror_policy='stop'/>")),
        &review);
    assert_int_equal(review.count, 0);
    review_running(WITH(""), &review);
    assert_true(says(&review, FINDING_ERROR_POLICY, "disk vda runs without error_policy='stop'"));
    assert_int_equal(review_refusals(&review), 0);
    review_running(DOMAIN("", RBD_AS("vm", "rbd/web1", "<mirror type='file' job='copy'/>")),
                   &review);
    assert_true(says(&review, FINDING_DOMAIN_STATE, "a block job copies disk vda"));
    assert_int_equal(review_refusals(&review), 1);
}

static void a_full_list_hides_no_refusal(void **state)
{
    struct review review = {.count = 0};
    char text[32];
    (void)state;
    for (int i = 0; i < FINDINGS_MAX + 5; i++) {
        snprintf(text, sizeof(text), "file %d", i);
        review_add(&review, FINDING_HOST_FILE, text);
    }
    assert_int_equal(review.count, FINDINGS_MAX);
    assert_true(review.cut);
    review_add(&review, FINDING_KRBD, "krbd\nand more");
    assert_int_equal(review_refusals(&review), 1);
    assert_true(says(&review, FINDING_KRBD, "krbd and more"));
    review_add(&review, FINDING_KRBD, "krbd and more");
    assert_int_equal(review.count, FINDINGS_MAX);
}

static void the_nvram_path(void **state)
{
    char path[64];
    (void)state;
    review_nvram_path(DOMAIN("<os><nvram template='/t'>/var/n.fd</nvram></os>", RBD), path,
                      sizeof(path));
    assert_string_equal(path, "/var/n.fd");
    review_nvram_path(DOMAIN("<os><nvram type='file'><source file='/x'/></nvram></os>", RBD), path,
                      sizeof(path));
    assert_string_equal(path, "/x");
    review_nvram_path(WITH(""), path, sizeof(path));
    assert_string_equal(path, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_domain_has_no_finding),
        cmocka_unit_test(each_is_found),
        cmocka_unit_test(all_are_told_at_once),
        cmocka_unit_test(only_what_costs_mobility_is_accepted),
        cmocka_unit_test(a_running_one_is_looked_at),
        cmocka_unit_test(a_full_list_hides_no_refusal),
        cmocka_unit_test(the_nvram_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
