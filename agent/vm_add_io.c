/* A domain becomes a VM: one `struct adding` walks from look to look until it has its result. */
#include "agent/vm_add_io.h"

#include <errno.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/nearest.h"
#include "agent/query.h"
#include "migration/domain_io.h"
#include "migration/review_io.h"
#include "proto/clock_io.h"
#include "proto/digest.h"
#include "proto/values.h"
#include "storage/check_io.h"
#include "storage/nvram_io.h"
#include "storage/state.h"

#define CLAIM_S 60            /* how long a claim of an unknown VM may be one just being added */
#define KNOWN_NS 50000000ull  /* between two looks whether the core knows the marked domain */
#define STOP_TIMEOUT_MS 60000 /* of a VM whose operator did not say */

struct adding {
    const struct vm_tools *tools;
    char name[NAME_BYTES];
    uint32_t memory_mib; /* 0: as the XML says */
    bool adopt;
    bool dry_run;
    bool running;
    uint64_t deadline_ms;
    char *xml;
    struct domain_facts facts;
    struct review review;
    struct preparation preparation;
    struct request request;
    qb_loop_timer_handle timer;
    vm_work_done *done;
    void *context;
};

/* ---- results */

static void finish(struct adding *adding, const struct vm_work_result *result)
{
    adding->done(adding->context, result);
    free(adding->xml);
    free(adding);
}

__attribute__((format(printf, 2, 3))) static void refuse(struct adding *adding, const char *format,
                                                         ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    const struct vm_work_result result = {.text = text, .review = &adding->review};
    finish(adding, &result);
}

__attribute__((format(printf, 3, 4))) static void
found(struct adding *adding, enum finding_kind kind, const char *format, ...)
{
    char text[FINDING_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    review_add(&adding->review, kind, text);
}

/* All has been looked at. True: it goes on. */
static bool passes(struct adding *adding)
{
    const uint32_t against = review_refusals(&adding->review);
    if (against > 0) {
        refuse(adding, "%s is not added: %" PRIu32 " finding%s against it", adding->name, against,
               against == 1 ? "" : "s");
        return false;
    }
    if (adding->dry_run) {
        char text[TEXT_BYTES];
        snprintf(text, sizeof(text), "%s may be added; nothing was changed", adding->name);
        const struct vm_work_result result = {
            .done = true, .text = text, .review = &adding->review};
        finish(adding, &result);
        return false;
    }
    return true;
}

static void send_it(struct adding *adding)
{
    const struct vm_work_result result = {
        .request = &adding->request, .held = adding->adopt, .review = &adding->review};
    finish(adding, &result);
}

/* ---- the definition */

/* One without a UUID gets one that the same XML would get again: the run lease is named by it, so
 * it may not be left to libvirt to make up one at each start. */
static struct uuid made_uuid(const struct adding *adding)
{
    const struct uuid *cluster = &adding->tools->core->cluster.header.cluster_id;
    uint64_t halves[2];
    struct uuid uuid;
    halves[0] = digest_bytes(DIGEST_SEED, cluster->bytes, sizeof(cluster->bytes));
    halves[0] = digest_bytes(halves[0], adding->xml, strlen(adding->xml));
    halves[1] = digest_bytes(halves[0], adding->facts.name, strlen(adding->facts.name));
    memcpy(uuid.bytes, halves, sizeof(uuid.bytes));
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x80); /* RFC 9562: version 8, made by us */
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

static char *with_uuid(const char *xml, const struct uuid *uuid)
{
    char text[UUID_TEXT_BYTES];
    char *copy = NULL;
    xmlChar *dumped = NULL;
    int length = 0;
    xmlDoc *document = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET);
    xmlNode *root = document != NULL ? xmlDocGetRootElement(document) : NULL;
    uuid_format(uuid, text);
    if (root != NULL && xmlNewTextChild(root, NULL, BAD_CAST "uuid", BAD_CAST text) != NULL) {
        xmlDocDumpMemory(document, &dumped, &length);
    }
    if (dumped != NULL) {
        copy = strdup((const char *)dumped);
        xmlFree(dumped);
    }
    xmlFreeDoc(document);
    return copy;
}

static int give_uuid(struct adding *adding)
{
    if (adding->facts.has_uuid) {
        return 0;
    }
    adding->facts.uuid = made_uuid(adding);
    char *xml = with_uuid(adding->xml, &adding->facts.uuid);
    if (xml == NULL) {
        return -ENOMEM;
    }
    free(adding->xml);
    adding->xml = xml;
    return 0;
}

static void fill_definition(struct adding *adding)
{
    struct definition *definition = &adding->preparation.definition;
    /* A version no earlier add of this UUID had: what removes that one cannot touch this one. */
    *definition = (struct definition){
        .vm = adding->facts.uuid,
        .version = state_new_definition(&adding->tools->core->cluster, (uint32_t)time(NULL))};
    definition->xml = adding->xml;
    definition->digest = digest_bytes(DIGEST_SEED, adding->xml, strlen(adding->xml));
    definition->image_count = adding->facts.image_count;
    for (uint32_t i = 0; i < adding->facts.image_count; i++) {
        name_set(definition->images[i].pool, sizeof(definition->images[i].pool),
                 adding->facts.images[i].pool);
        name_set(definition->images[i].name, sizeof(definition->images[i].name),
                 adding->facts.images[i].image);
    }
}

static void fill_request(struct adding *adding, uint64_t generation)
{
    const struct local *local = &adding->tools->core->local;
    struct request *request = &adding->request;
    request->kind = REQUEST_VM_ADD;
    request->uuid = adding->facts.uuid;
    request->generation = generation;
    request->definition_version = adding->preparation.definition.version;
    request->definition_digest = adding->preparation.definition.digest;
    request->memory_mib = adding->memory_mib != 0 ? adding->memory_mib : adding->facts.memory_mib;
    request->stop_timeout_ms = STOP_TIMEOUT_MS;
    name_set(request->name, sizeof(request->name), adding->name);
    if (adding->running) {
        request->adopt = true;
        request->want = WANT_RUNNING;
        request->nodeid = local->facts.nodeid;
        request->incarnation = adding->preparation.incarnation;
    }
}

/* ---- marking a domain that is here */

/* The commit makes the core look at the domain; were it unknown then, it would count as dead. */
static void wait_known(void *context)
{
    struct adding *adding = context;
    const struct local *local = &adding->tools->core->local;
    for (uint32_t i = 0; i < local->domain_count; i++) {
        if (uuid_equal(&local->domains[i].vm, &adding->facts.uuid) &&
            local->domains[i].mark == MARK_READ && local->domains[i].action.term == 0) {
            send_it(adding);
            return;
        }
    }
    if (clock_io_boot_ms() >= adding->deadline_ms) {
        settle_io_drop(adding->tools->settle, &adding->facts.uuid, true);
        refuse(adding,
               "libvirt did not show the marked domain in time; nothing was added, try again");
        return;
    }
    qb_loop_timer_add(adding->tools->loop, QB_LOOP_MED, KNOWN_NS, adding, wait_known,
                      &adding->timer);
}

static void marked(void *context, enum outcome outcome, const char *text)
{
    struct adding *adding = context;
    if (outcome != OUTCOME_DONE) {
        settle_io_drop(adding->tools->settle, &adding->facts.uuid, true);
        refuse(adding, "libvirt did not mark the domain; nothing was added: %s", text);
    } else if (adding->running) {
        libvirt_io_look(adding->tools->libvirt, &adding->facts.uuid);
        wait_known(adding);
    } else {
        send_it(adding);
    }
}

static void mark_it(struct adding *adding)
{
    struct settle_io *settle = adding->tools->settle;
    if (!settle_io_hold(settle, &adding->facts.uuid)) {
        refuse(adding, "too many commands are under way on this node: try again");
    } else if (domain_io_mark(adding->tools->libvirt, &adding->facts.uuid, adding->deadline_ms,
                              marked, adding) < 0) {
        settle_io_drop(settle, &adding->facts.uuid, true);
        refuse(adding, "libvirt has too much to do: try again");
    }
}

/* ---- writing */

static void go_on(struct adding *adding)
{
    if (adding->adopt) {
        mark_it(adding);
    } else {
        send_it(adding);
    }
}

/* No file: the guest never ran here, so there is nothing to lose. */
static void nvram_saved(void *context, enum outcome outcome, const struct nvram_stamp *stamp)
{
    struct adding *adding = context;
    (void)stamp;
    if (outcome == OUTCOME_DONE || outcome == OUTCOME_MISSING) {
        go_on(adding);
    } else {
        refuse(adding,
               "%s is not added: its firmware variables cannot be copied to Ceph from its "
               "<nvram> file; see the agent's journal",
               adding->name);
    }
}

static void save_nvram(struct adding *adding)
{
    struct nvram_place place = {.vm = adding->facts.uuid, .generation = adding->request.generation};
    review_nvram_path(adding->xml, place.path, sizeof(place.path));
    if (place.path[0] == '\0') {
        go_on(adding);
    } else {
        storage_io_save_nvram(adding->tools->storage, &place, adding->deadline_ms, nvram_saved,
                              adding);
    }
}

static void prepared(void *context, enum outcome outcome, uint64_t generation, const char *text)
{
    struct adding *adding = context;
    if (outcome != OUTCOME_DONE) {
        refuse(adding, "%s",
               text != NULL && text[0] != '\0'
                   ? text
                   : "Ceph did not answer in time; nothing was added, try again");
        return;
    }
    fill_request(adding, generation);
    save_nvram(adding);
}

static void prepare(struct adding *adding, const struct image_report *report)
{
    const struct core *core = adding->tools->core;
    struct preparation *preparation = &adding->preparation;
    preparation->cluster_id = core->cluster.header.cluster_id;
    preparation->running = adding->running;
    memcpy(preparation->claims, report->claims, sizeof(preparation->claims));
    if (adding->running) {
        if (core->local.life.state != LIFE_ADMITTED) {
            refuse(adding, "this node is no member of the cluster now: see stead status");
            return;
        }
        preparation->holder = core->local.facts.nodeid;
        preparation->incarnation = core->local.life.incarnation;
        preparation->clients = report->clients;
    }
    storage_io_prepare_vm(adding->tools->storage, preparation, adding->deadline_ms, prepared,
                          adding);
}

/* ---- looking at Ceph */

static void review_claims(struct adding *adding, const struct image_report *report)
{
    const struct cluster *cluster = &adding->tools->core->cluster;
    const struct definition *definition = &adding->preparation.definition;
    for (uint32_t i = 0; i < definition->image_count; i++) {
        const struct image_claim *claim = &report->claims[i];
        uint32_t slot = state_find_vm_uuid(cluster, &claim->vm);
        if (uuid_is_zero(&claim->vm) || uuid_equal(&claim->vm, &definition->vm)) {
            continue;
        }
        if (slot != VMS_MAX) {
            found(adding, FINDING_IMAGE_USED,
                  "image %s/%s is a disk of the VM %s: give this one an image of its own",
                  definition->images[i].pool, definition->images[i].name, cluster->vms[slot].name);
        } else if (claim->wall_s + CLAIM_S > (uint64_t)time(NULL)) {
            found(adding, FINDING_IMAGE_USED,
                  "image %s/%s is just being added with another VM: try again in a minute",
                  definition->images[i].pool, definition->images[i].name);
        } else if (!query_trusted(adding->tools->core, clock_io_boot_ms())) {
            found(adding, FINDING_IMAGE_USED,
                  "image %s/%s may be a disk of another VM, which is not known here: this node's "
                  "copy of the cluster's state is old; see stead status, and try again",
                  definition->images[i].pool, definition->images[i].name);
        }
    }
}

static void checked(void *context, enum outcome outcome, const struct image_report *report)
{
    struct adding *adding = context;
    if (outcome != OUTCOME_DONE) {
        refuse(adding, "Ceph did not answer in time; nothing was added, see stead status");
        return;
    }
    for (uint32_t i = 0; i < report->review.count; i++) {
        review_add(&adding->review, report->review.list[i].kind, report->review.list[i].text);
    }
    review_claims(adding, report);
    if (passes(adding)) {
        prepare(adding, report);
    }
}

static void check_images(struct adding *adding)
{
    struct image_check check = {.definition = adding->preparation.definition,
                                .running = adding->running};
    name_set(check.guest_user, sizeof(check.guest_user), adding->tools->guest_user);
    for (uint32_t i = 0; i < adding->facts.image_count; i++) {
        name_set(check.hosts[i], sizeof(check.hosts[i]), adding->facts.images[i].hosts);
    }
    storage_io_check_images(adding->tools->storage, &check, adding->deadline_ms, checked, adding);
}

/* ---- looking at the XML and the cluster */

static void review_cluster(struct adding *adding)
{
    const struct cluster *cluster = &adding->tools->core->cluster;
    if (state_find_vm(cluster, adding->name) != VMS_MAX) {
        found(adding, FINDING_DEFINITION,
              "a VM of that name is already registered: see `stead vm list`");
    } else if (state_find_vm_uuid(cluster, &adding->facts.uuid) != VMS_MAX) {
        found(adding, FINDING_DEFINITION,
              "a VM with its UUID is already registered: %s; give it another one",
              cluster->vms[state_find_vm_uuid(cluster, &adding->facts.uuid)].name);
    }
}

static void review_wishes(struct adding *adding)
{
    const struct domain_facts *facts = &adding->facts;
    if (strcmp(adding->name, facts->name) != 0) {
        found(adding, FINDING_DEFINITION,
              "the XML's <name> is '%s', not the name given: make them the same", facts->name);
    }
    if (adding->memory_mib != 0 && adding->memory_mib < facts->memory_mib) {
        found(adding, FINDING_DEFINITION,
              "the XML gives it %u MiB, more than the --memory of %u MiB to plan with",
              facts->memory_mib, adding->memory_mib);
    }
    if (adding->running && adding->request.on[0] != '\0' &&
        strcmp(adding->request.on, adding->tools->core->local.facts.name) != 0) {
        found(adding, FINDING_DEFINITION,
              "it runs here, so it cannot be placed on %s by --on: leave that out",
              adding->request.on);
    }
}

/* There is nothing further to look at; the review says why. */
static void fail(struct adding *adding)
{
    if (passes(adding)) {
        refuse(adding, "the agent is out of memory");
    }
}

static void review_all(struct adding *adding, const char *xml)
{
    char text[TEXT_BYTES];
    review_domain(xml, adding->tools->guest_user, &adding->review);
    if (domain_xml_plain(xml, &adding->xml) < 0 ||
        domain_xml_facts(adding->xml, &adding->facts, text) < 0) {
        fail(adding);
        return;
    }
    if (strlen(adding->xml) > CONTROL_XML_MAX) {
        refuse(adding, "its definition is larger than %d KiB", CONTROL_XML_MAX / 1024);
        return;
    }
    if (give_uuid(adding) < 0) {
        refuse(adding, "the agent is out of memory");
        return;
    }
    if (adding->adopt) { /* it may have been named by its UUID */
        name_set(adding->name, sizeof(adding->name), adding->facts.name);
    }
    review_wishes(adding);
    review_cluster(adding);
    fill_definition(adding);
    if (adding->facts.image_count > 0) {
        check_images(adding);
    } else {
        fail(adding);
    }
}

static void review_state(struct adding *adding, const struct domain_found *domain)
{
    if (domain->active && !domain->running) {
        found(adding, FINDING_DOMAIN_STATE, "it is paused: resume it first (virsh resume)");
    }
    if (domain->saved) {
        found(adding, FINDING_DOMAIN_STATE,
              "its memory was saved to a file of this host: start it, or drop that (virsh "
              "managedsave-remove)");
    }
    if (domain->snapshots > 0) {
        found(adding, FINDING_DOMAIN_STATE,
              "libvirt keeps %d snapshots or checkpoints of it, which other nodes would not know: "
              "delete them (virsh snapshot-delete --metadata); RBD's own snapshots may stay",
              domain->snapshots);
    }
    if (domain->active) {
        review_running(domain->active_xml, &adding->review);
    }
}

static void found_domain(void *context, enum outcome outcome, const char *text,
                         const struct domain_found *domain)
{
    struct adding *adding = context;
    if (outcome == OUTCOME_MISSING) {
        refuse(adding,
               "libvirt on this node has no domain '%s': give the command on its node (virsh list "
               "--all)",
               adding->name);
    } else if (domain == NULL) {
        refuse(adding, "libvirt did not show the domain: %s", text);
    } else {
        adding->running = domain->active;
        review_state(adding, domain);
        review_all(adding, domain->xml);
    }
}

/* ---- the beginning */

static bool take_accept(struct adding *adding, const char *accept)
{
    char word[NAME_BYTES];
    const char *words[FINDING_KIND_COUNT];
    uint32_t count = 0;
    if (review_parse_accept(accept, &adding->review.accepted, word)) {
        return true;
    }
    for (const char *one; (one = review_acceptable(count)) != NULL;) {
        words[count++] = one;
    }
    const char *near = nearest_word(word, words, count);
    refuse(adding, "'%s' cannot be accepted%s%s%s; what can is listed in --help", word,
           near != NULL ? ": did you mean '" : "", near != NULL ? near : "",
           near != NULL ? "'?" : "");
    return false;
}

static void begin(struct adding *adding, const Control__VmAdd *add)
{
    if (!query_loaded(adding->tools->core)) {
        refuse(adding, "there is no cluster here yet: `stead cluster init` or `join`");
    } else if (!take_accept(adding, add->accept)) {
        return;
    } else if (!add->adopt) {
        review_all(adding, add->xml);
    } else if (domain_io_find(adding->tools->libvirt, adding->name, adding->deadline_ms,
                              found_domain, adding) < 0) {
        refuse(adding, "libvirt has too much to do: try again");
    }
}

void vm_add_io_begin(const struct vm_tools *tools, const Control__VmAdd *add, uint64_t deadline_ms,
                     vm_work_done *done, void *context)
{
    struct adding *adding = calloc(1, sizeof(*adding));
    if (adding == NULL) {
        const struct vm_work_result result = {.text = "the agent is out of memory"};
        done(context, &result);
        return;
    }
    adding->tools = tools;
    adding->adopt = add->adopt;
    adding->dry_run = add->dry_run;
    adding->memory_mib = add->memory_mib;
    adding->deadline_ms = deadline_ms;
    adding->done = done;
    adding->context = context;
    name_set(adding->name, sizeof(adding->name), add->name);
    name_set(adding->request.on, sizeof(adding->request.on), add->on);
    adding->request.priority = add->priority;
    name_set(adding->request.value, sizeof(adding->request.value), add->class_name);
    adding->request.want = add->stopped || add->adopt ? WANT_STOPPED : WANT_RUNNING;
    begin(adding, add);
}
