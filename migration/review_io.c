/* A domain's XML under review: the whole, and what is outside its devices. */
#include "migration/review_io.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "migration/libvirt_io.h"
#include "migration/review_inner_io.h"
#include "proto/control_io.h"

void review_say(struct review *review, enum finding_kind kind, const char *format, ...)
{
    char text[FINDING_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    review_add(review, kind, text);
}

static void review_identity(const char *xml, xmlNodePtr domain, struct review *review)
{
    struct domain_facts facts;
    char text[TEXT_BYTES];
    CLEANUP_TEXT xmlChar *type = domain_xml_attribute(domain, "type");
    if (domain_xml_facts(xml, &facts, text) < 0) {
        review_say(review, FINDING_DEFINITION, "%s", text);
    } else if (!control_is_name(facts.name)) {
        review_say(review, FINDING_DEFINITION,
                   "its <name> '%s' is no name stead takes (letters, digits and ._-, at most %d): "
                   "rename it (virsh domrename)",
                   facts.name, NAME_BYTES - 1);
    }
    if (!type ||
        (strcmp((const char *)type, "kvm") != 0 && strcmp((const char *)type, "qemu") != 0)) {
        review_say(review, FINDING_DEFINITION, "it is a domain of type '%s', not kvm or qemu",
                   review_or_none(type));
    }
}

static void review_file(xmlNodePtr os, const char *element, struct review *review)
{
    xmlNodePtr node = domain_xml_child(os, element);
    CLEANUP_TEXT xmlChar *path = node ? xmlNodeGetContent(node) : NULL;
    if (path && path[0] != '\0') {
        review_say(review, FINDING_HOST_FILE, "it starts only where %s is (its <%s>)",
                   (const char *)path, element);
    }
}

static void review_firmware(xmlNodePtr domain, struct review *review)
{
    char path[256];
    if (domain_xml_nvram(domain, path, sizeof(path))) {
        review_say(review, FINDING_NVRAM,
                   "its firmware variables lie in %s: stead copies them to RADOS, and to a node "
                   "before it starts there",
                   path);
    }
}

static void review_memory(xmlNodePtr domain, struct review *review)
{
    xmlNodePtr tune = domain_xml_child(domain, "cputune");
    CLEANUP_TEXT xmlChar *cpuset = domain_xml_attribute(domain_xml_child(domain, "vcpu"), "cpuset");
    if (domain_xml_child(domain_xml_child(domain, "memoryBacking"), "hugepages")) {
        review_say(review, FINDING_HOST_MEMORY,
                   "its memory is in huge pages: it starts only where enough of them are free");
    }
    if (cpuset || domain_xml_child(tune, "vcpupin") || domain_xml_child(tune, "emulatorpin") ||
        domain_xml_child(domain, "numatune")) {
        review_say(review, FINDING_HOST_MEMORY,
                   "it is pinned to CPUs or NUMA nodes by number: each node must have those");
    }
}

static void review_machine(xmlNodePtr domain, struct review *review)
{
    xmlNodePtr os = domain_xml_child(domain, "os");
    xmlNodePtr cpu = domain_xml_child(domain, "cpu");
    review_file(os, "kernel", review);
    review_file(os, "initrd", review);
    review_file(os, "dtb", review);
    review_file(os, "loader", review);
    review_firmware(domain, review);
    review_memory(domain, review);
    if (domain_xml_attribute_is(cpu, "mode", "host-passthrough") ||
        domain_xml_attribute_is(cpu, "mode", "maximum")) {
        review_say(review, FINDING_HOST_CPU,
                   "its CPU is the host's own: a guest that was tuned to it may not like another "
                   "model");
    }
    if (domain_xml_child(domain, "launchSecurity")) {
        review_say(review, FINDING_LAUNCH_SECURITY,
                   "<launchSecurity> binds it to the processor of one host");
    }
    if (domain_xml_child(domain, "commandline")) {
        review_say(
            review, FINDING_QEMU_ARGUMENTS,
            "<qemu:commandline> is handed to QEMU as it is; nobody checks what it ties it to");
    }
}

void review_domain(const char *xml, const char *guest_user, struct review *review)
{
    __attribute__((cleanup(domain_xml_free))) xmlDocPtr doc = domain_xml_parse(xml, "domain");
    uint32_t images = 0;
    if (!doc) {
        review_say(review, FINDING_DEFINITION,
                   "this is no domain XML: give it what `virsh dumpxml --inactive --security-info "
                   "VM` prints");
        return;
    }
    xmlNodePtr domain = xmlDocGetRootElement(doc);
    xmlNodePtr devices = domain_xml_child(domain, "devices");
    review_identity(xml, domain, review);
    for (xmlNodePtr node = devices ? devices->children : NULL; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, "disk") == 0) {
            review_disk(node, guest_user, review, &images);
        } else if (node->type == XML_ELEMENT_NODE) {
            review_device(node, review);
        }
    }
    review_twins(devices, review);
    if (images == 0) {
        review_say(review, FINDING_NO_RBD,
                   "it has no writable RBD disk, so no storage can guard it: give it a <disk "
                   "type='network'> with <source protocol='rbd'>");
    } else if (images > CLIENTS_PER_VM_MAX) {
        review_say(review, FINDING_RBD_DISK,
                   "it has %u RBD disks, and a run lease names the clients of %d at most", images,
                   CLIENTS_PER_VM_MAX);
    }
    review_machine(domain, review);
}

void review_nvram_path(const char *xml, char *ret_path, size_t size)
{
    __attribute__((cleanup(domain_xml_free))) xmlDocPtr doc = domain_xml_parse(xml, "domain");
    ret_path[0] = '\0';
    if (doc) {
        (void)domain_xml_nvram(xmlDocGetRootElement(doc), ret_path, size);
    }
}
