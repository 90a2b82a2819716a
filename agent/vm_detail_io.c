/* The definition from RADOS, then the displays from libvirt. */
#include "agent/vm_detail_io.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/query.h"
#include "migration/domain_io.h"
#include "migration/review_io.h"
#include "storage/state.h"

struct asking {
    const struct vm_tools *tools;
    struct vm_record vm;
    char node[NAME_BYTES]; /* where it runs; empty: nowhere */
    bool here;
    bool want_xml;
    uint64_t deadline_ms;
    struct review review;
    char *xml;
    uint32_t count;
    char places[PLACES_MAX][PLACE_BYTES];
    void (*done)(void *context, const struct vm_detail *detail);
    void *context;
};

static void finish(struct asking *asking, const char *text)
{
    struct vm_detail detail = {.text = text,
                               .count = asking->count,
                               .review = &asking->review,
                               .xml = asking->want_xml ? asking->xml : NULL};
    for (uint32_t i = 0; i < asking->count; i++) {
        detail.places[i] = asking->places[i];
    }
    asking->done(asking->context, &detail);
    free(asking->xml);
    free(asking);
}

__attribute__((format(printf, 2, 3))) static void add_place(struct asking *asking,
                                                            const char *format, ...)
{
    va_list arguments;
    if (asking->count == PLACES_MAX) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(asking->places[asking->count++], PLACE_BYTES, format, arguments);
    va_end(arguments);
}

static void have_displays(void *context, enum outcome outcome,
                          const struct domain_displays *displays)
{
    struct asking *asking = context;
    if (outcome != OUTCOME_DONE || displays == NULL) {
        add_place(asking, "screen: libvirt on %s does not tell now: virsh domdisplay %s",
                  asking->node, asking->vm.name);
        finish(asking, NULL);
        return;
    }
    if (displays->console) {
        add_place(asking, "console: virsh -c qemu+ssh://%s/system console %s", asking->node,
                  asking->vm.name);
    }
    for (uint32_t i = 0; i < displays->count; i++) {
        add_place(asking, "screen: %s, on %s", displays->list[i], asking->node);
    }
    if (displays->count == 0) {
        add_place(asking, "screen: none");
    }
    finish(asking, NULL);
}

static void ask_displays(struct asking *asking)
{
    if (asking->node[0] == '\0') {
        finish(asking, NULL);
    } else if (!asking->here) {
        add_place(asking, "console: virsh -c qemu+ssh://%s/system console %s", asking->node,
                  asking->vm.name);
        add_place(asking, "screen: virsh -c qemu+ssh://%s/system domdisplay %s", asking->node,
                  asking->vm.name);
        finish(asking, NULL);
    } else if (domain_io_displays(asking->tools->libvirt, &asking->vm.uuid, asking->deadline_ms,
                                  have_displays, asking) < 0) {
        have_displays(asking, OUTCOME_FAILED, NULL);
    }
}

static void have_definition(void *context, enum outcome outcome,
                            const struct definition *definition)
{
    struct asking *asking = context;
    if (outcome == OUTCOME_MISSING) {
        finish(asking, "its definition is not in the pool: it cannot be started");
        return;
    }
    if (outcome != OUTCOME_DONE || (asking->xml = strdup(definition->xml)) == NULL) {
        finish(asking, "its definition cannot be read from Ceph now");
        return;
    }
    if (asking->want_xml) {
        finish(asking, NULL);
        return;
    }
    review_domain(asking->xml, asking->tools->guest_user, &asking->review);
    ask_displays(asking);
}

void vm_detail_io_begin(const struct vm_tools *tools, const char *name, bool want_xml,
                        uint64_t deadline_ms,
                        void (*done)(void *context, const struct vm_detail *detail), void *context)
{
    const struct cluster *cluster = &tools->core->cluster;
    uint32_t slot = query_loaded(tools->core) ? state_find_vm(cluster, name) : VMS_MAX;
    struct asking *asking = calloc(1, sizeof(*asking));
    if (asking == NULL || slot == VMS_MAX) {
        const struct vm_detail none = {.text = "no such VM; see stead vm list"};
        free(asking);
        done(context, &none);
        return;
    }
    asking->tools = tools;
    asking->vm = cluster->vms[slot];
    asking->want_xml = want_xml;
    asking->deadline_ms = deadline_ms;
    asking->done = done;
    asking->context = context;
    bool runs = asking->vm.state == VM_RUNNING || asking->vm.state == VM_STOPPING;
    if (runs && asking->vm.node < NODES_MAX) {
        memcpy(asking->node, cluster->nodes[asking->vm.node].name, NAME_BYTES);
        asking->here = asking->vm.node == query_own_slot(tools->core);
    }
    storage_io_read_definition(tools->storage, &asking->vm.uuid, asking->vm.definition_version,
                               deadline_ms, have_definition, asking);
}
