/* Where people look at a running domain, from its active XML: with autoport the port is known only
 * there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migration/domain_io.h"
#include "migration/libvirt_ask_io.h"
#include "migration/libvirt_inner_io.h"

struct displaying {
    struct uuid vm;
    struct domain_displays displays;
};

struct teller {
    void (*done)(void *context, enum outcome outcome, const struct domain_displays *displays);
    void *context;
};

/* "vnc 127.0.0.1:5901", or what there is instead of a port. */
static void display_add(xmlNodePtr graphics, struct domain_displays *displays)
{
    xmlNodePtr node = domain_xml_child(graphics, "listen");
    CLEANUP_TEXT xmlChar *type = domain_xml_attribute(graphics, "type");
    CLEANUP_TEXT xmlChar *port = domain_xml_attribute(graphics, "port");
    CLEANUP_TEXT xmlChar *tls = domain_xml_attribute(graphics, "tlsPort");
    CLEANUP_TEXT xmlChar *address = domain_xml_attribute(node, "address");
    CLEANUP_TEXT xmlChar *socket = domain_xml_attribute(node, "socket");
    char *line = displays->list[displays->count];
    const char *word = type ? (const char *)type : "?";
    if (socket) {
        snprintf(line, DISPLAY_BYTES, "%s at the socket %s", word, (const char *)socket);
    } else if (port && strcmp((const char *)port, "-1") != 0) {
        snprintf(line, DISPLAY_BYTES, "%s %s:%s%s%s", word, address ? (const char *)address : "?",
                 (const char *)port, tls ? ", TLS port " : "", tls ? (const char *)tls : "");
    } else if (tls) {
        snprintf(line, DISPLAY_BYTES, "%s %s:%s (TLS)", word, address ? (const char *)address : "?",
                 (const char *)tls);
    } else {
        return; /* a local window, or none */
    }
    displays->count++;
}

static void displays_read(const char *xml, struct domain_displays *displays)
{
    __attribute__((cleanup(domain_xml_free))) xmlDocPtr doc = domain_xml_parse(xml, "domain");
    xmlNodePtr devices = doc ? domain_xml_child(xmlDocGetRootElement(doc), "devices") : NULL;
    xmlNodePtr graphics = domain_xml_child(devices, "graphics");
    for (; graphics && displays->count < DISPLAYS_MAX; graphics = domain_xml_next(graphics)) {
        display_add(graphics, displays);
    }
    xmlNodePtr console = domain_xml_child(devices, "console");
    displays->console = domain_xml_attribute_is(console, "type", "pty");
}

static enum outcome displays_work(virConnectPtr connection, void *memory, char ret_text[TEXT_BYTES])
{
    struct displaying *displaying = memory;
    virDomainPtr domain = virDomainLookupByUUID(connection, displaying->vm.bytes);
    char *xml = domain ? virDomainGetXMLDesc(domain, 0) : NULL; /* without passwords */
    enum outcome outcome = xml ? OUTCOME_DONE : libvirt_failure(connection, ret_text);
    if (xml) {
        displays_read(xml, &displaying->displays);
        free(xml);
    }
    if (domain) {
        virDomainFree(domain);
    }
    return outcome;
}

static void displays_tell(void *context, void *memory, enum outcome outcome, const char *text)
{
    struct teller teller = *(struct teller *)context;
    const struct displaying *displaying = memory;
    (void)text;
    free(context);
    teller.done(teller.context, outcome,
                outcome == OUTCOME_DONE && displaying ? &displaying->displays : NULL);
}

int domain_io_displays(struct libvirt_io *io, const struct uuid *vm, uint64_t deadline_ms,
                       void (*done)(void *context, enum outcome outcome,
                                    const struct domain_displays *displays),
                       void *context)
{
    struct teller *teller = malloc(sizeof(*teller));
    struct displaying *displaying = calloc(1, sizeof(*displaying));
    if (!teller || !displaying) {
        free(teller);
        free(displaying);
        return -ENOMEM;
    }
    displaying->vm = *vm;
    *teller = (struct teller){done, context};
    const struct libvirt_ask given = {.work = displays_work,
                                      .done = displays_tell,
                                      .release = free,
                                      .memory = displaying,
                                      .context = teller};
    int r = libvirt_io_ask(io, vm, deadline_ms, &given);
    if (r < 0) {
        free(teller);
    }
    return r;
}
