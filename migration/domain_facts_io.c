/*
 * What `vm add` must know of a domain: who it is, what it weighs, which RBD images it writes, and
 * whether anything in it ties it to the host it was written for.
 *
 * Refused is what would make the VM fail, or be another VM, on the next host: a disk that is not in
 * RADOS, a device of the host, state kept in a local file. Paths of programs and kernels are not
 * judged: each host has its own, and a missing one fails the start with libvirt's own words.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migration/domain_xml_io.h"
#include "migration/libvirt_io.h"

#define CLEANUP_TEXT __attribute__((cleanup(domain_xml_free_text)))

static xmlChar *attribute(xmlNodePtr node, const char *name)
{
    return node ? xmlGetNoNsProp(node, (const xmlChar *)name) : NULL;
}

static const char *or_none(const xmlChar *text)
{
    return text ? (const char *)text : "?";
}

__attribute__((format(printf, 2, 3))) static int refuse(char *ret_text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_text, TEXT_BYTES, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* Copies what fits whole; a cut name would be another name. */
static bool copy_whole(char *field, size_t size, const char *text, size_t length)
{
    if (length == 0 || length >= size) {
        return false;
    }
    memset(field, 0, size);
    memcpy(field, text, length);
    return true;
}

/* --- identity and size --------------------------------------------------------------------- */

/* libvirt's units: KB is 1000, K and KiB are 1024; none means KiB. 0: no such unit. */
static uint64_t unit_bytes(const char *unit)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"b", 1},
        {"bytes", 1},
        {"KB", 1000},
        {"K", 1024},
        {"k", 1024},
        {"KiB", 1024},
        {"MB", 1000000},
        {"M", 1048576},
        {"MiB", 1048576},
        {"GB", 1000000000},
        {"G", 1073741824},
        {"GiB", 1073741824},
        {"TB", 1000000000000},
        {"T", 1099511627776},
        {"TiB", 1099511627776},
    };
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].name) == 0) {
            return units[i].bytes;
        }
    }
    return 0;
}

static int memory_read(xmlNodePtr domain, struct domain_facts *facts, char *ret_text)
{
    xmlNodePtr node = domain_xml_child(domain, "memory");
    CLEANUP_TEXT xmlChar *text = node ? xmlNodeGetContent(node) : NULL;
    CLEANUP_TEXT xmlChar *unit = attribute(node, "unit");
    char *end = NULL;
    uint64_t scale = unit_bytes(unit ? (const char *)unit : "KiB");
    uint64_t number = text ? strtoull((const char *)text, &end, 10) : 0;
    uint64_t bytes;
    if (number == 0 || scale == 0 || __builtin_mul_overflow(number, scale, &bytes) ||
        bytes > (uint64_t)UINT32_MAX * 1048576) {
        return refuse(ret_text, "the domain XML's <memory> is missing or makes no sense");
    }
    facts->memory_mib = (uint32_t)((bytes + 1048575) / 1048576);
    return 0;
}

static int identity_read(xmlNodePtr domain, struct domain_facts *facts, char *ret_text)
{
    xmlNodePtr node = domain_xml_child(domain, "name");
    CLEANUP_TEXT xmlChar *name = node ? xmlNodeGetContent(node) : NULL;
    if (!name || !copy_whole(facts->name, sizeof(facts->name), (const char *)name,
                             strlen((const char *)name))) {
        return refuse(ret_text, "the domain XML needs a <name> of 1 to %d bytes", NAME_BYTES - 1);
    }
    node = domain_xml_child(domain, "uuid");
    CLEANUP_TEXT xmlChar *uuid = node ? xmlNodeGetContent(node) : NULL;
    if (uuid && domain_xml_uuid((const char *)uuid, &facts->uuid) < 0) {
        return refuse(ret_text, "the domain XML's <uuid> is none: correct it or leave it out");
    }
    facts->has_uuid = uuid != NULL;
    return memory_read(domain, facts, ret_text);
}

/* --- disks --------------------------------------------------------------------------------- */

/* "disk vda" and what it lies on, for people. */
static int refuse_local(xmlNodePtr disk, const char *target, char *ret_text)
{
    static const char *const places[] = {"file", "dev", "dir", "volume", "protocol", "path"};
    xmlNodePtr source = domain_xml_child(disk, "source");
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        CLEANUP_TEXT xmlChar *place = attribute(source, places[i]);
        if (place) {
            return refuse(ret_text,
                          "disk %s is not an RBD image but %s '%s', which no other host has: move "
                          "it to RBD, or take it out",
                          target, places[i], (const char *)place);
        }
    }
    return refuse(ret_text, "disk %s is not an RBD image: move it to RBD, or take it out", target);
}

static int image_add(xmlNodePtr disk, const char *target, struct domain_facts *facts,
                     char *ret_text)
{
    xmlNodePtr source = domain_xml_child(disk, "source");
    CLEANUP_TEXT xmlChar *name = attribute(source, "name");
    const char *text = (const char *)name;
    const char *slash = text ? strchr(text, '/') : NULL;
    if (facts->image_count == CLIENTS_PER_VM_MAX) {
        return refuse(ret_text, "more than %d RBD disks: a run lease cannot name their clients",
                      CLIENTS_PER_VM_MAX);
    }
    uint32_t index = facts->image_count;
    if (!slash || strchr(slash + 1, '/') ||
        !copy_whole(facts->images[index].pool, sizeof(facts->images[index].pool), text,
                    (size_t)(slash - text)) ||
        !copy_whole(facts->images[index].image, sizeof(facts->images[index].image), slash + 1,
                    strlen(slash + 1))) {
        return refuse(ret_text, "disk %s: its <source name> '%s' is not POOL/IMAGE", target,
                      or_none(name));
    }
    /* <auth> is a child of <source> since libvirt 3.9, of <disk> before; both are still read. */
    xmlNodePtr auth = domain_xml_child(source, "auth");
    auth = auth ? auth : domain_xml_child(disk, "auth");
    CLEANUP_TEXT xmlChar *secret = attribute(domain_xml_child(auth, "secret"), "uuid");
    struct uuid uuid;
    if (secret && domain_xml_uuid((const char *)secret, &uuid) < 0) {
        return refuse(ret_text, "disk %s: the uuid of its <secret> is none", target);
    }
    if (secret) {
        domain_xml_uuid_text(&uuid, facts->images[index].secret);
    }
    facts->image_count++;
    return 0;
}

static int disk_read(xmlNodePtr disk, struct domain_facts *facts, char *ret_text)
{
    CLEANUP_TEXT xmlChar *device = attribute(disk, "device");
    CLEANUP_TEXT xmlChar *name = attribute(domain_xml_child(disk, "target"), "dev");
    const char *target = or_none(name);
    bool drive = device && (strcmp((const char *)device, "cdrom") == 0 ||
                            strcmp((const char *)device, "floppy") == 0);
    if (drive && !domain_xml_child(disk, "source")) {
        return 0; /* an empty drive moves with anyone */
    }
    if (!domain_xml_is_rbd(disk)) {
        return refuse_local(disk, target, ret_text);
    }
    if (domain_xml_child(disk, "shareable")) {
        return refuse(ret_text,
                      "disk %s is <shareable>: several guests may write it, so no run lease can "
                      "guard it; use one image per guest",
                      target);
    }
    if (domain_xml_child(disk, "transient")) {
        return refuse(ret_text, "disk %s is <transient>: its changes live in a local file", target);
    }
    /* A read-only image has no writer to guard, and librbd puts no watcher on it. */
    if (drive || domain_xml_child(disk, "readonly") ||
        domain_xml_child(domain_xml_child(disk, "source"), "snapshot")) {
        return 0;
    }
    return image_add(disk, target, facts, ret_text);
}

/* --- what cannot move ---------------------------------------------------------------------- */

static int hostdev_refuse(xmlNodePtr node, char *ret_text)
{
    CLEANUP_TEXT xmlChar *type = attribute(node, "type");
    xmlNodePtr address = domain_xml_child(domain_xml_child(node, "source"), "address");
    CLEANUP_TEXT xmlChar *bus = attribute(address, "bus");
    CLEANUP_TEXT xmlChar *slot = attribute(address, "slot");
    if (bus && slot) {
        return refuse(ret_text,
                      "<hostdev> passes through the %s device at bus %s slot %s of one host: take "
                      "it out, for the VM cannot run elsewhere with it",
                      or_none(type), (const char *)bus, (const char *)slot);
    }
    return refuse(
        ret_text,
        "<hostdev> passes through a %s device of one host: take it out, for the VM cannot "
        "run elsewhere with it",
        or_none(type));
}

struct tie {
    const char *element;
    const char *attribute; /* NULL: the element itself ties it */
    const char *value;
    const char *why;
};

static const struct tie ties[] = {
    {"interface", "type", "hostdev", "passes a network card of one host through"},
    {"interface", "type", "vdpa", "uses a vDPA device of one host"},
    {"filesystem", NULL, NULL, "shares a directory of one host"},
    {"tpm", NULL, NULL, "keeps its TPM's state on one host"},
    {"serial", "type", "dev", "uses a serial port of one host"},
    {"parallel", "type", "dev", "uses a parallel port of one host"},
    {"input", "type", "passthrough", "uses an input device of one host"},
    {"input", "type", "evdev", "uses an input device of one host"},
    {"memory", "model", "nvdimm", "keeps memory in a file of one host"},
    {"memory", "model", "virtio-pmem", "keeps memory in a file of one host"},
    {"shmem", NULL, NULL, "shares memory with a process of one host"},
};

static int device_check(xmlNodePtr node, char *ret_text)
{
    if (strcmp((const char *)node->name, "hostdev") == 0) {
        return hostdev_refuse(node, ret_text);
    }
    for (size_t i = 0; i < sizeof(ties) / sizeof(ties[0]); i++) {
        const struct tie *tie = &ties[i];
        if (strcmp((const char *)node->name, tie->element) == 0 &&
            (!tie->attribute || domain_xml_attribute_is(node, tie->attribute, tie->value))) {
            return refuse(ret_text, "<%s> %s: take it out, for the VM cannot run elsewhere with it",
                          tie->element, tie->why);
        }
    }
    return 0;
}

int domain_xml_facts(const char *xml, struct domain_facts *ret_facts, char *ret_text)
{
    __attribute__((cleanup(domain_xml_free))) xmlDocPtr doc = domain_xml_parse(xml, "domain");
    struct domain_facts facts = {0};
    if (!doc) {
        return refuse(ret_text, "this is no domain XML: give it what `virsh dumpxml --inactive "
                                "--security-info VM` prints");
    }
    xmlNodePtr domain = xmlDocGetRootElement(doc);
    xmlNodePtr devices = domain_xml_child(domain, "devices");
    int r = identity_read(domain, &facts, ret_text);
    for (xmlNodePtr node = devices ? devices->children : NULL; r == 0 && node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE) {
            continue;
        }
        bool disk = strcmp((const char *)node->name, "disk") == 0;
        r = disk ? disk_read(node, &facts, ret_text) : device_check(node, ret_text);
    }
    if (r < 0) {
        return r;
    }
    if (facts.image_count == 0) {
        return refuse(ret_text,
                      "%s has no writable RBD disk, so no storage can guard it: give it "
                      "a <disk type='network'> with <source protocol='rbd'>",
                      facts.name);
    }
    *ret_facts = facts;
    return 0;
}
