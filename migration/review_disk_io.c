/*
 * The disks of a domain under review.
 *
 * The blocklist reaches librbd clients and nobody else, so a disk that may be written must be an
 * RBD image opened by QEMU itself (not by the kernel, whose client outlives QEMU and serves all).
 */
#include <stdio.h>
#include <string.h>

#include "migration/review_inner_io.h"

#define MOVE_IT "move it to RBD (rbd import), or take it out"

static void review_elsewhere(xmlNodePtr disk, const char *target, struct review *review)
{
    static const char *const places[] = {"file", "dir", "volume", "path"};
    xmlNodePtr source = domain_xml_child(disk, "source");
    CLEANUP_TEXT xmlChar *type = domain_xml_attribute(disk, "type");
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        CLEANUP_TEXT xmlChar *place = domain_xml_attribute(source, places[i]);
        if (place) {
            review_say(review, FINDING_LOCAL_DISK,
                       "disk %s lies in %s '%s', which no other host has: " MOVE_IT, target,
                       places[i], (const char *)place);
            return;
        }
    }
    review_say(review, FINDING_LOCAL_DISK, "disk %s is of type '%s', no RBD image: " MOVE_IT,
               target, type ? (const char *)type : "file");
}

static void review_block(xmlNodePtr disk, const char *target, struct review *review)
{
    CLEANUP_TEXT xmlChar *dev = domain_xml_attribute(domain_xml_child(disk, "source"), "dev");
    const char *path = review_or_none(dev);
    const char *image = strncmp(path, "/dev/rbd/", 9) == 0 ? path + 9 : "POOL/IMAGE";
    if (strncmp(path, "/dev/rbd", 8) == 0) {
        review_say(review, FINDING_KRBD,
                   "disk %s is %s, mapped by the kernel, whose writes no lease can end: unmap it, "
                   "and use <disk type='network'> with <source protocol='rbd' name='%s'>",
                   target, path, image);
        return;
    }
    review_say(review, FINDING_BLOCK_DISK,
               "disk %s is the block device %s (LVM, iSCSI …), which no blocklist guards: " MOVE_IT,
               target, path);
}

static void review_media(xmlNodePtr disk, const char *target, struct review *review)
{
    CLEANUP_TEXT xmlChar *device = domain_xml_attribute(disk, "device");
    xmlNodePtr source = domain_xml_child(disk, "source");
    CLEANUP_TEXT xmlChar *file = domain_xml_attribute(source, "file");
    CLEANUP_TEXT xmlChar *dev = domain_xml_attribute(source, "dev");
    if (!file && !dev) {
        review_elsewhere(disk, target, review);
        return;
    }
    if (strcmp((const char *)device, "floppy") == 0 && !domain_xml_child(disk, "readonly")) {
        review_say(review, FINDING_LOCAL_DISK,
                   "the floppy %s may be written, to %s of one host: give it <readonly/>, or take "
                   "it out",
                   target, review_or_none(file ? file : dev));
        return;
    }
    review_say(review, FINDING_MEDIA,
               "the %s %s holds %s: a start on a node without that file leaves the drive empty",
               (const char *)device, target, review_or_none(file ? file : dev));
}

static void review_key(xmlNodePtr disk, const char *target, const char *guest_user,
                       struct review *review)
{
    xmlNodePtr auth = domain_xml_auth(disk);
    CLEANUP_TEXT xmlChar *user = domain_xml_attribute(auth, "username");
    CLEANUP_TEXT xmlChar *uuid = domain_xml_attribute(domain_xml_child(auth, "secret"), "uuid");
    struct uuid parsed;
    if (!auth) {
        review_say(review, FINDING_SECRET,
                   "disk %s has no <auth>: it opens only where Ceph asks nobody for a key", target);
        return;
    }
    if (!user || strcmp((const char *)user, guest_user) != 0) {
        review_say(review, FINDING_CEPH_USER,
                   "disk %s is opened as client.%s, but stead hands out the key of client.%s: "
                   "change the disk's <auth username>, or guest_user in stead.conf on all nodes",
                   target, review_or_none(user), guest_user);
    }
    if (!uuid) {
        review_say(
            review, FINDING_SECRET,
            "disk %s does not name its Ceph secret by uuid: stead cannot bring it, so define "
            "it in libvirt on every node",
            target);
    } else if (!uuid_parse((const char *)uuid, &parsed)) {
        review_say(review, FINDING_RBD_DISK, "disk %s: the uuid of its <secret> is none", target);
    }
}

static bool is_pool_and_image(const char *name)
{
    const char *slash = strchr(name, '/');
    return slash && slash != name && slash[1] != '\0' && !strchr(slash + 1, '/') &&
           slash - name < NAME_BYTES && strlen(slash + 1) < (size_t)NAME_BYTES * 2;
}

static void review_written(xmlNodePtr disk, const char *target, struct review *review)
{
    xmlNodePtr source = domain_xml_child(disk, "source");
    CLEANUP_TEXT xmlChar *name = domain_xml_attribute(source, "name");
    if (!name || !is_pool_and_image((const char *)name)) {
        review_say(review, FINDING_RBD_DISK,
                   "disk %s: its <source name> '%s' is not POOL/IMAGE (namespaces are not "
                   "supported)",
                   target, review_or_none(name));
    }
    if (domain_xml_child(disk, "shareable")) {
        review_say(review, FINDING_RBD_DISK,
                   "disk %s is <shareable>: several guests may write it, so no run lease can guard "
                   "it; use one image per guest",
                   target);
    }
    if (domain_xml_child(disk, "transient")) {
        review_say(review, FINDING_RBD_DISK,
                   "disk %s is <transient>: its changes live in a local file; take that out",
                   target);
    }
    if (domain_xml_attribute_is(domain_xml_child(disk, "driver"), "cache", "unsafe")) {
        review_say(
            review, FINDING_CACHE,
            "disk %s has cache='unsafe': a host's death would lose writes the guest believes "
            "safe; use cache='writeback' or 'none'",
            target);
    }
    if (domain_xml_child(disk, "encryption") || domain_xml_child(source, "encryption")) {
        review_say(review, FINDING_SECRET,
                   "disk %s is encrypted by QEMU: define its secret in libvirt on every node",
                   target);
    }
    CLEANUP_TEXT xmlChar *backing = domain_xml_attribute(
        domain_xml_child(domain_xml_child(disk, "backingStore"), "source"), "file");
    if (backing) {
        review_say(review, FINDING_LOCAL_DISK, "disk %s is based on the local file %s: " MOVE_IT,
                   target, (const char *)backing);
    }
}

void review_disk(xmlNodePtr disk, const char *guest_user, struct review *review, uint32_t *images)
{
    CLEANUP_TEXT xmlChar *name = domain_xml_attribute(domain_xml_child(disk, "target"), "dev");
    const char *target = review_or_none(name);
    bool drive = domain_xml_attribute_is(disk, "device", "cdrom") ||
                 domain_xml_attribute_is(disk, "device", "floppy");
    bool network = domain_xml_attribute_is(disk, "type", "network");
    CLEANUP_TEXT xmlChar *protocol =
        domain_xml_attribute(domain_xml_child(disk, "source"), "protocol");
    if (drive && (network || !domain_xml_child(disk, "source"))) {
        return; /* an empty drive moves with anyone, and one from the network, too */
    }
    if (drive) {
        review_media(disk, target, review);
    } else if (domain_xml_attribute_is(disk, "type", "block")) {
        review_block(disk, target, review);
    } else if (!network) {
        review_elsewhere(disk, target, review);
    } else if (!domain_xml_is_rbd(disk)) {
        review_say(review, FINDING_NETWORK_DISK,
                   "disk %s is reached by '%s', which no blocklist guards: " MOVE_IT, target,
                   review_or_none(protocol));
    } else {
        review_key(disk, target, guest_user, review);
    }
    if (domain_xml_is_written(disk)) {
        review_written(disk, target, review);
        (*images)++;
    }
}

void review_twins(xmlNodePtr devices, struct review *review)
{
    xmlNodePtr disk = domain_xml_child(devices, "disk");
    for (; disk; disk = domain_xml_next(disk)) {
        CLEANUP_TEXT xmlChar *name = domain_xml_attribute(domain_xml_child(disk, "source"), "name");
        xmlNodePtr other = domain_xml_next(disk);
        for (; name && other; other = domain_xml_next(other)) {
            if (domain_xml_is_written(disk) && domain_xml_is_written(other) &&
                domain_xml_attribute_is(domain_xml_child(other, "source"), "name",
                                        (const char *)name)) {
                review_say(review, FINDING_RBD_DISK, "two disks are the same image %s",
                           (const char *)name);
            }
        }
    }
}

/* --- the running one ------------------------------------------------------------------------ */

static void review_running_disk(xmlNodePtr disk, struct review *review)
{
    CLEANUP_TEXT xmlChar *name = domain_xml_attribute(domain_xml_child(disk, "target"), "dev");
    xmlNodePtr driver = domain_xml_child(disk, "driver");
    if (domain_xml_child(disk, "mirror")) {
        review_say(review, FINDING_DOMAIN_STATE,
                   "a block job copies disk %s just now: let it end, or `virsh blockjob --abort`",
                   review_or_none(name));
    }
    if (!domain_xml_attribute_is(driver, "error_policy", "stop") ||
        !domain_xml_attribute_is(driver, "rerror_policy", "stop")) {
        review_say(review, FINDING_ERROR_POLICY,
                   "disk %s runs without error_policy='stop': that takes effect at its next start; "
                   "until then a fenced guest runs on with I/O errors",
                   review_or_none(name));
    }
}

void review_running(const char *xml, struct review *review)
{
    __attribute__((cleanup(domain_xml_free))) xmlDocPtr doc = domain_xml_parse(xml, "domain");
    xmlNodePtr domain = doc ? xmlDocGetRootElement(doc) : NULL;
    xmlNodePtr disk = domain_xml_child(domain_xml_child(domain, "devices"), "disk");
    for (; disk; disk = domain_xml_next(disk)) {
        if (domain_xml_is_written(disk)) {
            review_running_disk(disk, review);
        }
    }
}
