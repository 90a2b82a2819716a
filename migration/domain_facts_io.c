/*
 * What stead must know of a domain: who it is, what it weighs, and which RBD images it writes. Only
 * what makes no sense at all fails here; whether the VM may be added is the review's question
 * (migration/review_io.h).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migration/domain_xml_io.h"
#include "migration/libvirt_io.h"

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
    CLEANUP_TEXT xmlChar *unit = domain_xml_attribute(node, "unit");
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
    if (uuid && !uuid_parse((const char *)uuid, &facts->uuid)) {
        return refuse(ret_text, "the domain XML's <uuid> is none: correct it or leave it out");
    }
    facts->has_uuid = uuid != NULL;
    return memory_read(domain, facts, ret_text);
}

/* --- disks --------------------------------------------------------------------------------- */

/* "HOST:PORT,HOST": the monitors it names; none that does not fit whole. */
static void hosts_read(xmlNodePtr source, char *ret_hosts, size_t size)
{
    size_t length = 0;
    xmlNodePtr host = domain_xml_child(source, "host");
    for (; host; host = domain_xml_next(host)) {
        CLEANUP_TEXT xmlChar *name = domain_xml_attribute(host, "name");
        CLEANUP_TEXT xmlChar *port = domain_xml_attribute(host, "port");
        bool six = name && strchr((const char *)name, ':') && name[0] != '[';
        int more = !name
                       ? 0
                       : snprintf(ret_hosts + length, size - length, "%s%s%s%s%s%s",
                                  length > 0 ? "," : "", six ? "[" : "", (const char *)name,
                                  six ? "]" : "", port ? ":" : "", port ? (const char *)port : "");
        if (more < 0 || (size_t)more >= size - length) {
            ret_hosts[length] = '\0';
            return;
        }
        length += (size_t)more;
    }
}

/* One that is not written as it must be is left out: the review names it. */
static void image_add(xmlNodePtr disk, struct domain_facts *facts)
{
    xmlNodePtr source = domain_xml_child(disk, "source");
    CLEANUP_TEXT xmlChar *name = domain_xml_attribute(source, "name");
    const char *text = (const char *)name;
    const char *slash = text ? strchr(text, '/') : NULL;
    if (!slash || strchr(slash + 1, '/') || facts->image_count == CLIENTS_PER_VM_MAX) {
        return;
    }
    struct domain_image *image = &facts->images[facts->image_count];
    if (!copy_whole(image->pool, sizeof(image->pool), text, (size_t)(slash - text)) ||
        !copy_whole(image->image, sizeof(image->image), slash + 1, strlen(slash + 1))) {
        return;
    }
    CLEANUP_TEXT xmlChar *secret =
        domain_xml_attribute(domain_xml_child(domain_xml_auth(disk), "secret"), "uuid");
    struct uuid uuid;
    if (secret && uuid_parse((const char *)secret, &uuid)) {
        uuid_format(&uuid, image->secret);
    }
    hosts_read(source, image->hosts, sizeof(image->hosts));
    facts->image_count++;
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
    int r = identity_read(domain, &facts, ret_text);
    xmlNodePtr disk = domain_xml_child(domain_xml_child(domain, "devices"), "disk");
    for (; r == 0 && disk; disk = domain_xml_next(disk)) {
        if (domain_xml_is_written(disk)) {
            image_add(disk, &facts);
        }
    }
    if (r == 0) {
        *ret_facts = facts;
    }
    return r;
}
