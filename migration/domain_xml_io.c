/*
 * Marks a domain as ours and puts stead's disk rules into it, by libxml2.
 *
 * Why error_policy: without it a fenced guest runs on with I/O errors on disks that a successor
 * writes; with `stop` QEMU pauses it at the first refused write.
 */
#include "migration/domain_xml_io.h"
#include "migration/domain_io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NVRAM_FOLDER "/var/lib/libvirt/qemu/nvram" /* libvirt's own, of qemu:///system */
#define PARSE_OPTIONS (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)

static const xmlChar *x(const char *text)
{
    return (const xmlChar *)text;
}

void domain_xml_free(xmlDocPtr *doc)
{
    if (*doc) {
        xmlFreeDoc(*doc);
    }
}

void domain_xml_free_text(xmlChar **text)
{
    if (*text) {
        xmlFree(*text);
    }
}

static xmlDocPtr root_check(xmlDocPtr doc, const char *root)
{
    xmlNodePtr node = doc ? xmlDocGetRootElement(doc) : NULL;
    if (node && xmlStrEqual(node->name, x(root))) {
        return doc;
    }
    domain_xml_free(&doc);
    return NULL;
}

xmlDocPtr domain_xml_parse(const char *xml, const char *root)
{
    size_t size = strnlen(xml, XML_BYTES_MAX + 1);
    if (size > XML_BYTES_MAX) {
        return NULL;
    }
    return root_check(xmlReadMemory(xml, (int)size, "domain.xml", NULL, PARSE_OPTIONS), root);
}

static xmlNodePtr first_named(xmlNodePtr node, const xmlChar *name)
{
    while (node && (node->type != XML_ELEMENT_NODE || !xmlStrEqual(node->name, name))) {
        node = node->next;
    }
    return node;
}

xmlNodePtr domain_xml_child(xmlNodePtr parent, const char *name)
{
    return parent ? first_named(parent->children, x(name)) : NULL;
}

xmlNodePtr domain_xml_next(xmlNodePtr node)
{
    return first_named(node->next, node->name);
}

xmlChar *domain_xml_attribute(xmlNodePtr node, const char *name)
{
    return node ? xmlGetNoNsProp(node, x(name)) : NULL;
}

bool domain_xml_attribute_is(xmlNodePtr node, const char *name, const char *value)
{
    __attribute__((cleanup(domain_xml_free_text))) xmlChar *text =
        node ? xmlGetNoNsProp(node, x(name)) : NULL;
    return text && xmlStrEqual(text, x(value));
}

bool domain_xml_is_rbd(xmlNodePtr disk)
{
    return domain_xml_attribute_is(disk, "type", "network") &&
           domain_xml_attribute_is(domain_xml_child(disk, "source"), "protocol", "rbd");
}

bool domain_xml_is_written(xmlNodePtr disk)
{
    bool drive = domain_xml_attribute_is(disk, "device", "cdrom") ||
                 domain_xml_attribute_is(disk, "device", "floppy");
    return domain_xml_is_rbd(disk) && !drive && !domain_xml_child(disk, "readonly") &&
           !domain_xml_child(domain_xml_child(disk, "source"), "snapshot");
}

static void nvram_read(xmlNodePtr nvram, char *ret_path, size_t size)
{
    CLEANUP_TEXT xmlChar *path = xmlNodeGetContent(nvram);
    CLEANUP_TEXT xmlChar *file = /* since libvirt 8.5 */
        domain_xml_attribute(domain_xml_child(nvram, "source"), "file");
    const char *text = file ? (const char *)file : path ? (const char *)path : "";
    snprintf(ret_path, size, "%s", strlen(text) < size ? text : "");
}

bool domain_xml_nvram(xmlNodePtr domain, char *ret_path, size_t size)
{
    xmlNodePtr os = domain_xml_child(domain, "os");
    xmlNodePtr loader = domain_xml_child(os, "loader");
    xmlNodePtr nvram = domain_xml_child(os, "nvram");
    xmlNodePtr name = domain_xml_child(domain, "name");
    bool flash = domain_xml_attribute_is(loader, "type", "pflash") &&
                 domain_xml_attribute_is(loader, "readonly", "yes");
    bool keeps = nvram || flash || domain_xml_attribute_is(os, "firmware", "efi");
    ret_path[0] = '\0';
    if (!keeps || domain_xml_attribute_is(loader, "stateless", "yes")) {
        return false;
    }
    if (nvram) {
        nvram_read(nvram, ret_path, size);
    }
    CLEANUP_TEXT xmlChar *text = name ? xmlNodeGetContent(name) : NULL;
    if (ret_path[0] == '\0' && text) {
        snprintf(ret_path, size, NVRAM_FOLDER "/%s_VARS.fd", (const char *)text);
    }
    return true;
}

xmlNodePtr domain_xml_auth(xmlNodePtr disk)
{
    xmlNodePtr auth = domain_xml_child(domain_xml_child(disk, "source"), "auth");
    return auth ? auth : domain_xml_child(disk, "auth");
}

void domain_xml_mark_text(const struct domain_mark *mark, char ret_text[MARK_TEXT_BYTES])
{
    snprintf(ret_text, MARK_TEXT_BYTES, "<vm term='%" PRIu64 "' counter='%" PRIu64 "'%s%s/>",
             mark->action.term, mark->action.counter, mark->starting ? " starting='yes'" : "",
             mark->suspended ? " suspended='yes'" : "");
}

static int number_read(xmlNodePtr node, const char *name, uint64_t *ret_number)
{
    __attribute__((cleanup(domain_xml_free_text))) xmlChar *text = xmlGetNoNsProp(node, x(name));
    char *end = NULL;
    if (!text || text[0] < '0' || text[0] > '9') {
        return -EBADMSG;
    }
    errno = 0;
    uint64_t number = strtoull((const char *)text, &end, 10);
    if (errno != 0 || *end != '\0') {
        return -EBADMSG;
    }
    *ret_number = number;
    return 0;
}

int domain_xml_mark_read(const char *text, struct domain_mark *ret_mark)
{
    __attribute__((cleanup(domain_xml_free))) xmlDocPtr doc = domain_xml_parse(text, "vm");
    struct domain_mark mark = {0};
    if (!doc) {
        return -EBADMSG;
    }
    xmlNodePtr node = xmlDocGetRootElement(doc);
    int r = number_read(node, "term", &mark.action.term);
    r = r < 0 ? r : number_read(node, "counter", &mark.action.counter);
    if (r < 0) {
        return r;
    }
    mark.starting = domain_xml_attribute_is(node, "starting", "yes");
    mark.suspended = domain_xml_attribute_is(node, "suspended", "yes");
    *ret_mark = mark;
    return 0;
}

/* --- changes ------------------------------------------------------------------------------- */

static bool is_mark(xmlNodePtr node)
{
    return node->type == XML_ELEMENT_NODE && node->ns && xmlStrEqual(node->ns->href, x(MARK_URI));
}

static bool is_pending(xmlNodePtr node)
{
    return node->type == XML_ELEMENT_NODE && node->ns &&
           xmlStrEqual(node->ns->href, x(PENDING_URI));
}

static void marks_drop(xmlNodePtr domain)
{
    xmlNodePtr metadata = domain_xml_child(domain, "metadata");
    for (xmlNodePtr node = metadata ? metadata->children : NULL, next; node; node = next) {
        next = node->next;
        if (is_mark(node) || is_pending(node)) {
            xmlUnlinkNode(node);
            xmlFreeNode(node);
        }
    }
}

static xmlNodePtr metadata_of(xmlNodePtr domain)
{
    xmlNodePtr metadata = domain_xml_child(domain, "metadata");
    return metadata ? metadata : xmlNewChild(domain, NULL, x("metadata"), NULL);
}

static int mark_put(xmlNodePtr domain, const struct domain_mark *mark)
{
    char text[32];
    marks_drop(domain);
    xmlNodePtr metadata = metadata_of(domain);
    if (!metadata) {
        return -ENOMEM;
    }
    xmlNodePtr vm = xmlNewChild(metadata, NULL, x("vm"), NULL);
    xmlNsPtr ns = vm ? xmlNewNs(vm, x(MARK_URI), x(MARK_PREFIX)) : NULL;
    if (!ns) {
        return -ENOMEM;
    }
    xmlSetNs(vm, ns);
    snprintf(text, sizeof(text), "%" PRIu64, mark->action.term);
    bool good = xmlNewProp(vm, x("term"), x(text));
    snprintf(text, sizeof(text), "%" PRIu64, mark->action.counter);
    good = good && xmlNewProp(vm, x("counter"), x(text));
    good = good && (!mark->starting || xmlNewProp(vm, x("starting"), x("yes")));
    return good ? 0 : -ENOMEM;
}

static int policies_put(xmlNodePtr domain)
{
    xmlNodePtr disk = domain_xml_child(domain_xml_child(domain, "devices"), "disk");
    for (; disk; disk = domain_xml_next(disk)) {
        if (!domain_xml_is_rbd(disk)) {
            continue;
        }
        xmlNodePtr driver = domain_xml_child(disk, "driver");
        if (!driver) {
            driver = xmlNewChild(disk, NULL, x("driver"), NULL);
            if (!driver || !xmlNewProp(driver, x("name"), x("qemu")) ||
                !xmlNewProp(driver, x("type"), x("raw"))) {
                return -ENOMEM;
            }
        }
        if (!xmlSetProp(driver, x("error_policy"), x("stop")) ||
            !xmlSetProp(driver, x("rerror_policy"), x("stop"))) {
            return -ENOMEM;
        }
    }
    return 0;
}

/* What follows a guest's own end is a rule of the cluster: libvirt is to tell of it and do nothing.
 * A reboot is the guest's own business, and its QEMU stays. */
static int ends_put(xmlNodePtr domain)
{
    static const struct {
        const char *name;
        const char *value;
    } ends[] = {{"on_poweroff", "destroy"}, {"on_reboot", "restart"}, {"on_crash", "preserve"}};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        xmlNodePtr node = domain_xml_child(domain, ends[i].name);
        if (node) {
            xmlNodeSetContent(node, x(ends[i].value));
        } else if (!xmlNewChild(domain, NULL, x(ends[i].name), x(ends[i].value))) {
            return -ENOMEM;
        }
    }
    return 0;
}

/* CD-ROMs and floppies from files of one host: where the file is missing, libvirt starts with an
 * empty drive (startupPolicy, since libvirt 0.9.7). */
static int media_loosen(xmlNodePtr domain)
{
    xmlNodePtr disk = domain_xml_child(domain_xml_child(domain, "devices"), "disk");
    for (; disk; disk = domain_xml_next(disk)) {
        xmlNodePtr source = domain_xml_child(disk, "source");
        bool drive = domain_xml_attribute_is(disk, "device", "cdrom") ||
                     domain_xml_attribute_is(disk, "device", "floppy");
        bool local = domain_xml_attribute_is(disk, "type", "file") ||
                     domain_xml_attribute_is(disk, "type", "block");
        if (drive && local && source && !xmlSetProp(source, x("startupPolicy"), x("optional"))) {
            return -ENOMEM;
        }
    }
    return 0;
}

/* The path is written down, so that every node keeps the variables at the same place. */
static int nvram_put(xmlNodePtr domain)
{
    char path[512];
    xmlNodePtr os = domain_xml_child(domain, "os");
    if (!domain_xml_nvram(domain, path, sizeof(path)) || domain_xml_child(os, "nvram")) {
        return 0;
    }
    return xmlNewTextChild(os, NULL, x("nvram"), x(path)) ? 0 : -ENOMEM;
}

/* The UUID is what every later call and the dead process's arguments name it by. */
static int uuid_put(xmlNodePtr domain, const struct uuid *vm, char *ret_text)
{
    char text[UUID_TEXT_BYTES];
    struct uuid its;
    uuid_format(vm, text);
    xmlNodePtr node = domain_xml_child(domain, "uuid");
    if (!node) {
        return xmlNewChild(domain, NULL, x("uuid"), x(text)) ? 0 : -ENOMEM;
    }
    __attribute__((cleanup(domain_xml_free_text))) xmlChar *content = xmlNodeGetContent(node);
    if (!content || !uuid_parse((const char *)content, &its) ||
        memcmp(its.bytes, vm->bytes, sizeof(its.bytes)) != 0) {
        snprintf(ret_text, TEXT_BYTES, "the definition's <uuid> is not the VM's %s", text);
        return -EINVAL;
    }
    return 0;
}

int domain_xml_prepare(const char *xml, const struct uuid *vm, const struct domain_mark *mark,
                       char **ret_xml, char ret_text[TEXT_BYTES])
{
    __attribute__((cleanup(domain_xml_free))) xmlDocPtr doc = domain_xml_parse(xml, "domain");
    __attribute__((cleanup(domain_xml_free_text))) xmlChar *bytes = NULL;
    int size = 0;
    if (!doc) {
        snprintf(ret_text, TEXT_BYTES, "the definition is no domain XML");
        return -EINVAL;
    }
    xmlNodePtr domain = xmlDocGetRootElement(doc);
    ret_text[0] = '\0';
    int r = uuid_put(domain, vm, ret_text);
    r = r < 0 ? r : mark_put(domain, mark);
    r = r < 0 ? r : policies_put(domain);
    r = r < 0 ? r : ends_put(domain);
    r = r < 0 ? r : media_loosen(domain);
    r = r < 0 ? r : nvram_put(domain);
    if (r == 0) {
        xmlDocDumpMemoryEnc(doc, &bytes, &size, "UTF-8");
    }
    char *copy = bytes ? strdup((const char *)bytes) : NULL;
    if (!copy) {
        if (ret_text[0] == '\0') {
            snprintf(ret_text, TEXT_BYTES, "no memory for the domain XML");
        }
        return r < 0 ? r : -ENOMEM;
    }
    *ret_xml = copy;
    return 0;
}

static int remark(const char *xml, bool pending, char **ret_xml)
{
    __attribute__((cleanup(domain_xml_free))) xmlDocPtr doc = domain_xml_parse(xml, "domain");
    __attribute__((cleanup(domain_xml_free_text))) xmlChar *bytes = NULL;
    int size = 0;
    if (!doc) {
        return -EINVAL;
    }
    xmlNodePtr domain = xmlDocGetRootElement(doc);
    marks_drop(domain);
    if (pending) {
        xmlNodePtr metadata = metadata_of(domain);
        xmlNodePtr node = metadata ? xmlNewChild(metadata, NULL, x("pending"), NULL) : NULL;
        xmlNsPtr ns = node ? xmlNewNs(node, x(PENDING_URI), x(MARK_PREFIX)) : NULL;
        if (!ns) {
            return -ENOMEM;
        }
        xmlSetNs(node, ns);
    }
    xmlDocDumpMemoryEnc(doc, &bytes, &size, "UTF-8");
    char *copy = bytes ? strdup((const char *)bytes) : NULL;
    if (!copy) {
        return -ENOMEM;
    }
    *ret_xml = copy;
    return 0;
}

int domain_xml_pending(const char *xml, char **ret_xml)
{
    return remark(xml, true, ret_xml);
}

int domain_xml_plain(const char *xml, char **ret_xml)
{
    return remark(xml, false, ret_xml);
}

int domain_xml_status_read(const char *path, struct uuid *ret_vm, bool *ret_ours)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    xmlResetLastError();
    __attribute__((cleanup(domain_xml_free))) xmlDocPtr doc =
        root_check(xmlReadFd(fd, path, NULL, PARSE_OPTIONS), "domstatus");
    const xmlError *error = xmlGetLastError();
    close(fd);
    if (!doc && error && (error->domain == XML_FROM_IO || error->code == XML_ERR_NO_MEMORY)) {
        return -EIO;
    }
    xmlNodePtr domain = doc ? domain_xml_child(xmlDocGetRootElement(doc), "domain") : NULL;
    xmlNodePtr node = domain_xml_child(domain, "uuid");
    __attribute__((cleanup(domain_xml_free_text))) xmlChar *text =
        node ? xmlNodeGetContent(node) : NULL;
    if (!text || !uuid_parse((const char *)text, ret_vm)) {
        return -EBADMSG;
    }
    *ret_ours = false;
    xmlNodePtr metadata = domain_xml_child(domain, "metadata");
    for (node = metadata ? metadata->children : NULL; node; node = node->next) {
        *ret_ours = *ret_ours || is_mark(node);
    }
    return 0;
}
