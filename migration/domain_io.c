/* Domains as operators' commands see them: blocking calls in a worker, one ask each. */
#include "migration/domain_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libvirt/virterror.h>

#include "migration/libvirt_ask_io.h"
#include "migration/libvirt_inner_io.h"
#include "proto/values.h"

#define PENDING_PREFIX "stead"

/* One ask: what goes in, what comes out. */
struct asked {
    struct uuid vm;
    char *text; /* a name, or an XML */
    struct domain_found found;
    domain_found_done *found_done;
    domain_done *done;
    void *context;
};

static void asked_release(void *memory)
{
    struct asked *asked = memory;
    free(asked->text);
    free(asked->found.xml);
    free(asked->found.active_xml);
    free(asked);
}

/* Who is told is kept apart from what the worker fills: that one may outlive the answer. */
struct teller {
    domain_found_done *found_done;
    domain_done *done;
    void *context;
};

static void tell(void *context, void *memory, enum outcome outcome, const char *text)
{
    struct teller teller = *(struct teller *)context;
    const struct asked *asked = memory;
    free(context);
    if (teller.found_done) {
        teller.found_done(teller.context, outcome, text,
                          outcome == OUTCOME_DONE && asked ? &asked->found : NULL);
    } else {
        teller.done(teller.context, outcome, text);
    }
}

static int ask(struct libvirt_io *io, const struct uuid *vm, const char *text, uint64_t deadline_ms,
               const struct teller *teller,
               enum outcome (*work)(virConnectPtr, void *, char[TEXT_BYTES]))
{
    struct asked *asked = calloc(1, sizeof(*asked));
    struct teller *kept = malloc(sizeof(*kept));
    char *copy = text ? strdup(text) : NULL;
    if (!asked || !kept || (text && !copy)) {
        free(asked);
        free(kept);
        free(copy);
        return -ENOMEM;
    }
    asked->vm = *vm;
    asked->text = copy;
    *kept = *teller;
    const struct libvirt_ask given = {
        .work = work, .done = tell, .release = asked_release, .memory = asked, .context = kept};
    int r = libvirt_io_ask(io, vm, deadline_ms, &given);
    if (r < 0) {
        free(kept);
    }
    return r;
}

static int ask_plain(struct libvirt_io *io, const struct uuid *vm, const char *text,
                     uint64_t deadline_ms, domain_done *done, void *context,
                     enum outcome (*work)(virConnectPtr, void *, char[TEXT_BYTES]))
{
    const struct teller teller = {.done = done, .context = context};
    return ask(io, vm, text, deadline_ms, &teller, work);
}

/* ---- finding */

/* Has the definition (`flag` CONFIG) or the running one (LIVE) this element of ours? */
static bool has_element(virDomainPtr domain, const char *uri, unsigned int flag)
{
    char *text = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, uri, flag);
    bool there = text != NULL;
    free(text);
    return there;
}

static virDomainPtr lookup(virConnectPtr connection, const char *name)
{
    struct uuid uuid;
    virDomainPtr domain = virDomainLookupByName(connection, name);
    if (!domain && uuid_parse(name, &uuid)) {
        domain = virDomainLookupByUUID(connection, uuid.bytes);
    }
    return domain;
}

static int fill_found(virDomainPtr domain, struct domain_found *found)
{
    int state = 0;
    if (virDomainGetUUID(domain, found->vm.bytes) < 0 ||
        virDomainGetState(domain, &state, NULL, 0) < 0) {
        return -1;
    }
    found->active = virDomainIsActive(domain) == 1;
    found->running = state == VIR_DOMAIN_RUNNING;
    found->persistent = virDomainIsPersistent(domain) == 1;
    found->ours = found->active && has_element(domain, MARK_URI, VIR_DOMAIN_AFFECT_LIVE);
    found->saved = found->persistent && virDomainHasManagedSaveImage(domain, 0) == 1;
    int snapshots = virDomainSnapshotNum(domain, 0);
    int checkpoints = virDomainListAllCheckpoints(domain, NULL, 0); /* -1 where not supported */
    found->snapshots = (snapshots > 0 ? snapshots : 0) + (checkpoints > 0 ? checkpoints : 0);
    found->xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_INACTIVE |
                                                 VIR_DOMAIN_XML_MIGRATABLE);
    found->active_xml = found->active ? virDomainGetXMLDesc(domain, 0) : NULL;
    return found->xml && (!found->active || found->active_xml) ? 0 : -1;
}

static enum outcome find_work(virConnectPtr connection, void *memory, char ret_text[TEXT_BYTES])
{
    struct asked *asked = memory;
    CLEANUP_DOMAIN virDomainPtr domain = lookup(connection, asked->text);
    if (!domain || fill_found(domain, &asked->found) < 0) {
        return libvirt_failure(connection, ret_text);
    }
    return OUTCOME_DONE;
}

int domain_io_find(struct libvirt_io *io, const char *name, uint64_t deadline_ms,
                   domain_found_done *done, void *context)
{
    const struct teller teller = {.found_done = done, .context = context};
    const struct uuid nobody = {{0}};
    return ask(io, &nobody, name, deadline_ms, &teller, find_work);
}

/* ---- marks */

static int set_element(virDomainPtr domain, const char *uri, const char *text, unsigned int flag)
{
    return virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, text, PENDING_PREFIX, uri,
                                flag);
}

/* The definition first: a running one that is ours with nothing pending would look settled. */
static enum outcome mark_work(virConnectPtr connection, void *memory, char ret_text[TEXT_BYTES])
{
    const struct asked *asked = memory;
    const struct domain_mark mark = {.action = {0, 0}};
    char text[MARK_TEXT_BYTES];
    CLEANUP_DOMAIN virDomainPtr domain = virDomainLookupByUUID(connection, asked->vm.bytes);
    if (!domain) {
        return libvirt_failure(connection, ret_text);
    }
    domain_xml_mark_text(&mark, text);
    if (virDomainIsPersistent(domain) == 1 &&
        set_element(domain, PENDING_URI, "<pending/>", VIR_DOMAIN_AFFECT_CONFIG) < 0) {
        return libvirt_failure(connection, ret_text);
    }
    if (virDomainIsActive(domain) == 1 &&
        set_element(domain, MARK_URI, text, VIR_DOMAIN_AFFECT_LIVE) < 0) {
        return libvirt_failure(connection, ret_text);
    }
    return OUTCOME_DONE;
}

int domain_io_mark(struct libvirt_io *io, const struct uuid *vm, uint64_t deadline_ms,
                   domain_done *done, void *context)
{
    return ask_plain(io, vm, NULL, deadline_ms, done, context, mark_work);
}

static enum outcome unmark_work(virConnectPtr connection, void *memory, char ret_text[TEXT_BYTES])
{
    const struct asked *asked = memory;
    CLEANUP_DOMAIN virDomainPtr domain = virDomainLookupByUUID(connection, asked->vm.bytes);
    if (!domain) {
        return libvirt_failure(connection, ret_text);
    }
    if (virDomainIsActive(domain) == 1 && has_element(domain, MARK_URI, VIR_DOMAIN_AFFECT_LIVE) &&
        set_element(domain, MARK_URI, NULL, VIR_DOMAIN_AFFECT_LIVE) < 0) {
        return libvirt_failure(connection, ret_text);
    }
    if (virDomainIsPersistent(domain) == 1 &&
        has_element(domain, PENDING_URI, VIR_DOMAIN_AFFECT_CONFIG) &&
        set_element(domain, PENDING_URI, NULL, VIR_DOMAIN_AFFECT_CONFIG) < 0) {
        return libvirt_failure(connection, ret_text);
    }
    return OUTCOME_DONE;
}

int domain_io_unmark(struct libvirt_io *io, const struct uuid *vm, uint64_t deadline_ms,
                     domain_done *done, void *context)
{
    return ask_plain(io, vm, NULL, deadline_ms, done, context, unmark_work);
}

/* ---- definitions */

static enum outcome undefine_work(virConnectPtr connection, void *memory, char ret_text[TEXT_BYTES])
{
    const struct asked *asked = memory;
    CLEANUP_DOMAIN virDomainPtr domain = virDomainLookupByUUID(connection, asked->vm.bytes);
    if (!domain) {
        enum outcome outcome = libvirt_failure(connection, ret_text);
        return outcome == OUTCOME_MISSING ? OUTCOME_DONE : outcome;
    }
    if (virDomainIsPersistent(domain) != 1 ||
        !has_element(domain, PENDING_URI, VIR_DOMAIN_AFFECT_CONFIG)) {
        return OUTCOME_DONE;
    }
    if (virDomainSetAutostart(domain, 0) < 0 ||
        virDomainUndefineFlags(domain,
                               VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | VIR_DOMAIN_UNDEFINE_KEEP_TPM) < 0) {
        return libvirt_failure(connection, ret_text);
    }
    return OUTCOME_DONE;
}

int domain_io_undefine(struct libvirt_io *io, const struct uuid *vm, uint64_t deadline_ms,
                       domain_done *done, void *context)
{
    return ask_plain(io, vm, NULL, deadline_ms, done, context, undefine_work);
}

static enum outcome define_work(virConnectPtr connection, void *memory, char ret_text[TEXT_BYTES])
{
    const struct asked *asked = memory;
    CLEANUP_DOMAIN virDomainPtr domain = virDomainDefineXML(connection, asked->text);
    if (!domain || virDomainSetAutostart(domain, 0) < 0) {
        return libvirt_failure(connection, ret_text);
    }
    return OUTCOME_DONE;
}

int domain_io_define(struct libvirt_io *io, const struct uuid *vm, const char *xml,
                     uint64_t deadline_ms, domain_done *done, void *context)
{
    char *marked = NULL;
    int r = domain_xml_pending(xml, &marked);
    if (r == 0) {
        r = ask_plain(io, vm, marked, deadline_ms, done, context, define_work);
    }
    free(marked);
    return r;
}

/* ---- what is pending */

struct list_teller {
    void (*done)(void *context, const struct domain_pending *pending);
    void *context;
};

static bool is_unborn(virDomainPtr domain)
{
    struct domain_mark mark = {.starting = false};
    char *text =
        virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, MARK_URI, VIR_DOMAIN_AFFECT_LIVE);
    bool read = text && domain_xml_mark_read(text, &mark) == 0;
    int state = VIR_DOMAIN_NOSTATE;
    free(text);
    return read && mark.starting && virDomainGetState(domain, &state, NULL, 0) == 0 &&
           state == VIR_DOMAIN_PAUSED;
}

static enum outcome destroy_unborn_work(virConnectPtr connection, void *memory,
                                        char ret_text[TEXT_BYTES])
{
    const struct asked *asked = memory;
    CLEANUP_DOMAIN virDomainPtr domain = virDomainLookupByUUID(connection, asked->vm.bytes);
    if (domain && is_unborn(domain) && virDomainDestroy(domain) < 0) {
        return libvirt_failure(connection, ret_text);
    }
    return OUTCOME_DONE;
}

int domain_io_destroy_unborn(struct libvirt_io *io, const struct uuid *vm, uint64_t deadline_ms,
                             domain_done *done, void *context)
{
    return ask_plain(io, vm, NULL, deadline_ms, done, context, destroy_unborn_work);
}

static void list_add(virDomainPtr domain, struct domain_pending *pending)
{
    bool active = virDomainIsActive(domain) == 1;
    struct domain_kept kept = {
        .persistent = virDomainIsPersistent(domain) == 1,
        .ours = active && has_element(domain, MARK_URI, VIR_DOMAIN_AFFECT_LIVE),
        .unborn = active && is_unborn(domain),
    };
    kept.pending = kept.persistent && has_element(domain, PENDING_URI, VIR_DOMAIN_AFFECT_CONFIG);
    if ((kept.persistent || kept.unborn) && pending->count < RUNS_MAX &&
        virDomainGetUUID(domain, kept.vm.bytes) == 0) {
        pending->list[pending->count++] = kept;
    }
}

static enum outcome list_work(virConnectPtr connection, void *memory, char ret_text[TEXT_BYTES])
{
    struct domain_pending *pending = memory;
    virDomainPtr *domains = NULL;
    int count = virConnectListAllDomains(connection, &domains, 0);
    if (count < 0) {
        return libvirt_failure(connection, ret_text);
    }
    for (int i = 0; i < count; i++) {
        list_add(domains[i], pending);
        virDomainFree(domains[i]);
    }
    free(domains);
    return OUTCOME_DONE;
}

static void list_tell(void *context, void *memory, enum outcome outcome, const char *text)
{
    struct list_teller teller = *(struct list_teller *)context;
    (void)text;
    free(context);
    teller.done(teller.context, outcome == OUTCOME_DONE ? memory : NULL);
}

int domain_io_list_pending(struct libvirt_io *io, uint64_t deadline_ms,
                           void (*done)(void *context, const struct domain_pending *pending),
                           void *context)
{
    struct list_teller *teller = malloc(sizeof(*teller));
    struct domain_pending *pending = calloc(1, sizeof(*pending));
    const struct uuid nobody = {{0}};
    if (!teller || !pending) {
        free(teller);
        free(pending);
        return -ENOMEM;
    }
    *teller = (struct list_teller){done, context};
    const struct libvirt_ask given = {.work = list_work,
                                      .done = list_tell,
                                      .release = free,
                                      .memory = pending,
                                      .context = teller};
    int r = libvirt_io_ask(io, &nobody, deadline_ms, &given);
    if (r < 0) {
        free(teller);
    }
    return r;
}
