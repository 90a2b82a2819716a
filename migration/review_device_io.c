/* The other devices of a domain under review: what is bound to one host, by name. */
#include <stdio.h>
#include <string.h>

#include "migration/review_inner_io.h"

static bool is(xmlNodePtr node, const char *name)
{
    return strcmp((const char *)node->name, name) == 0;
}

static void review_hostdev(xmlNodePtr node, struct review *review)
{
    xmlNodePtr source = domain_xml_child(node, "source");
    xmlNodePtr address = domain_xml_child(source, "address");
    CLEANUP_TEXT xmlChar *type = domain_xml_attribute(node, "type");
    CLEANUP_TEXT xmlChar *bus = domain_xml_attribute(address, "bus");
    CLEANUP_TEXT xmlChar *slot = domain_xml_attribute(address, "slot");
    CLEANUP_TEXT xmlChar *device = domain_xml_attribute(address, "device");
    CLEANUP_TEXT xmlChar *mediated = domain_xml_attribute(address, "uuid");
    CLEANUP_TEXT xmlChar *vendor = domain_xml_attribute(domain_xml_child(source, "vendor"), "id");
    CLEANUP_TEXT xmlChar *product = domain_xml_attribute(domain_xml_child(source, "product"), "id");
    char what[96] = "device";
    if (bus && (slot || device)) {
        snprintf(what, sizeof(what), "device at bus %.16s %s %.16s", (const char *)bus,
                 slot ? "slot" : "device", review_or_none(slot ? slot : device));
    } else if (vendor && product) {
        snprintf(what, sizeof(what), "device %.16s:%.16s", (const char *)vendor,
                 (const char *)product);
    } else if (mediated) {
        snprintf(what, sizeof(what), "device %.36s", (const char *)mediated);
    }
    review_say(review, FINDING_PASSTHROUGH,
               "<hostdev> passes a %s %s of one host through: it starts only where there is such a "
               "one",
               review_or_none(type), what);
}

static void review_interface(xmlNodePtr node, struct review *review)
{
    xmlNodePtr source = domain_xml_child(node, "source");
    CLEANUP_TEXT xmlChar *dev = domain_xml_attribute(source, "dev");
    CLEANUP_TEXT xmlChar *path = domain_xml_attribute(source, "path");
    if (domain_xml_attribute_is(node, "type", "hostdev") ||
        domain_xml_attribute_is(node, "type", "vdpa")) {
        review_say(review, FINDING_PASSTHROUGH,
                   "<interface> passes a network device %s of one host through",
                   dev ? (const char *)dev : "");
    } else if (domain_xml_attribute_is(node, "type", "direct")) {
        review_say(review, FINDING_HOST_INTERFACE,
                   "<interface> is a macvtap on %s: it starts only where a card of that name is",
                   review_or_none(dev));
    } else if (domain_xml_attribute_is(node, "type", "vhostuser")) {
        review_say(review, FINDING_SHARED_MEMORY,
                   "<interface> talks to a vhost-user process at %s of one host",
                   review_or_none(path));
    }
}

static void review_tpm(xmlNodePtr node, struct review *review)
{
    xmlNodePtr backend = domain_xml_child(node, "backend");
    CLEANUP_TEXT xmlChar *type = domain_xml_attribute(backend, "type");
    if (domain_xml_attribute_is(backend, "type", "passthrough")) {
        review_say(review, FINDING_PASSTHROUGH, "<tpm> passes the TPM of one host through");
        return;
    }
    review_say(
        review, FINDING_TPM_LOCAL,
        "<tpm> (%s) keeps its state on one host: elsewhere the guest finds an empty TPM, and "
        "what it sealed (BitLocker, LUKS) is locked; accept it if /var/lib/libvirt/swtpm is "
        "shared by all nodes",
        type ? (const char *)type : "emulator");
}

static void review_character(xmlNodePtr node, struct review *review)
{
    CLEANUP_TEXT xmlChar *path = domain_xml_attribute(domain_xml_child(node, "source"), "path");
    if (domain_xml_attribute_is(node, "type", "dev")) {
        review_say(review, FINDING_PASSTHROUGH, "<%s> is the device %s of one host",
                   (const char *)node->name, review_or_none(path));
    } else if (domain_xml_attribute_is(node, "type", "file") ||
               domain_xml_attribute_is(node, "type", "pipe")) {
        review_say(review, FINDING_HOST_FILE,
                   "<%s> goes to %s of whichever node it runs on: that folder must be on each",
                   (const char *)node->name, review_or_none(path));
    }
}

static bool is_everywhere(const char *address)
{
    static const char *const everywhere[] = {"", "127.0.0.1", "::1", "localhost", "0.0.0.0", "::"};
    for (size_t i = 0; i < sizeof(everywhere) / sizeof(everywhere[0]); i++) {
        if (strcmp(address, everywhere[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void review_graphics(xmlNodePtr node, struct review *review)
{
    CLEANUP_TEXT xmlChar *type = domain_xml_attribute(node, "type");
    CLEANUP_TEXT xmlChar *listen = domain_xml_attribute(node, "listen");
    CLEANUP_TEXT xmlChar *address =
        domain_xml_attribute(domain_xml_child(node, "listen"), "address");
    const char *where = address ? (const char *)address : listen ? (const char *)listen : "";
    if (!is_everywhere(where)) {
        review_say(review, FINDING_HOST_ADDRESS,
                   "%s listens on %s, which one host has: elsewhere the start fails; use 127.0.0.1 "
                   "or 0.0.0.0",
                   review_or_none(type), where);
    }
}

static void review_filesystem(xmlNodePtr node, struct review *review)
{
    CLEANUP_TEXT xmlChar *dir = domain_xml_attribute(domain_xml_child(node, "source"), "dir");
    review_say(review, FINDING_FILESYSTEM,
               "<filesystem> shares the folder %s of one host: what the guest writes there stays "
               "behind",
               review_or_none(dir));
}

static const struct {
    const char *element;
    const char *attribute; /* NULL: the element itself */
    const char *value;
    enum finding_kind kind;
    const char *words;
} ties[] = {
    {"input", "type", "passthrough", FINDING_PASSTHROUGH, "<input> is a device of one host"},
    {"input", "type", "evdev", FINDING_PASSTHROUGH, "<input> is a device of one host"},
    {"smartcard", "mode", "host", FINDING_PASSTHROUGH, "<smartcard> is a reader of one host"},
    {"memory", "model", "nvdimm", FINDING_LOCAL_DISK,
     "<memory model='nvdimm'> is kept in a file of one host: take it out"},
    {"memory", "model", "virtio-pmem", FINDING_LOCAL_DISK,
     "<memory model='virtio-pmem'> is kept in a file of one host: take it out"},
    {"shmem", NULL, NULL, FINDING_SHARED_MEMORY,
     "<shmem> shares memory with a process of one host"},
};

void review_device(xmlNodePtr node, struct review *review)
{
    static const struct {
        const char *element;
        void (*look)(xmlNodePtr node, struct review *review);
    } looks[] = {
        {"hostdev", review_hostdev},
        {"interface", review_interface},
        {"tpm", review_tpm},
        {"serial", review_character},
        {"parallel", review_character},
        {"console", review_character},
        {"channel", review_character},
        {"graphics", review_graphics},
        {"filesystem", review_filesystem},
    };
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        if (is(node, looks[i].element)) {
            looks[i].look(node, review);
        }
    }
    for (size_t i = 0; i < sizeof(ties) / sizeof(ties[0]); i++) {
        if (is(node, ties[i].element) &&
            (!ties[i].attribute ||
             domain_xml_attribute_is(node, ties[i].attribute, ties[i].value))) {
            review_say(review, ties[i].kind, "%s", ties[i].words);
        }
    }
}
