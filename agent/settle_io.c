/* Lists what is marked, looks it up in the copy of the state, and asks libvirt to settle it. */
#include "agent/settle_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/journal_io.h"
#include "agent/query.h"
#include "agent/tick_io.h"
#include "migration/domain_io.h"
#include "proto/clock_io.h"
#include "proto/values.h"
#include "storage/state.h"

#define HELD_MAX REQUESTS_MAX
#define SWEEP_NS 5000000000ull
#define REST_SWEEPS 12 /* between two lists where nothing is to be settled: a minute */
#define LATE_MS                                                                                    \
    60000 /* how long a commit of unknown fate may still land (agent/request.c: 30 s)              \
           */
#define LIBVIRT_MS 10000

struct held {
    struct uuid vm; /* zero: free */
};

/* Seen marked, with nobody at it. */
struct marked {
    struct uuid vm;
    uint64_t since_ms;
};

struct settle_io {
    qb_loop_t *loop;
    struct tick tick;
    const struct core *core;
    struct libvirt_io *libvirt;
    struct sink sink;
    char defined[NAME_BYTES]; /* a VM that somebody defined here; empty: none */
    uint32_t rest;
    bool listing;
    struct held held[HELD_MAX];
    uint32_t marked_count;
    struct marked marked[RUNS_MAX];
    struct uuid certain[HELD_MAX]; /* of which the state can be believed at once */
    uint32_t certain_next;
};

static struct held *find_held(struct settle_io *settle, const struct uuid *vm)
{
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (uuid_equal(&settle->held[i].vm, vm)) {
            return &settle->held[i];
        }
    }
    return NULL;
}

static bool is_certain(const struct settle_io *settle, const struct uuid *vm)
{
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (uuid_equal(&settle->certain[i], vm)) {
            return true;
        }
    }
    return false;
}

/* Since when it has been seen so. */
static uint64_t marked_since_ms(struct settle_io *settle, const struct uuid *vm, uint64_t now_ms)
{
    for (uint32_t i = 0; i < settle->marked_count; i++) {
        if (uuid_equal(&settle->marked[i].vm, vm)) {
            return settle->marked[i].since_ms;
        }
    }
    if (settle->marked_count < RUNS_MAX) {
        settle->marked[settle->marked_count++] = (struct marked){*vm, now_ms};
    }
    return now_ms;
}

static void forget_marked(struct settle_io *settle, const struct uuid *vm)
{
    for (uint32_t i = 0; i < settle->marked_count; i++) {
        if (uuid_equal(&settle->marked[i].vm, vm)) {
            settle->marked[i] = settle->marked[--settle->marked_count];
            return;
        }
    }
}

static void settled(void *context, enum outcome outcome, const char *text)
{
    struct settle_io *settle = context;
    if (outcome != OUTCOME_DONE) {
        journal_io_say(LOG_WARNING, "a domain's definition is not settled yet: %s", text);
    }
    settle->rest = 0;
}

static void settle_due(struct settle_io *settle, const struct domain_kept *kept, bool known,
                       uint64_t now_ms)
{
    char text[UUID_TEXT_BYTES];
    const struct uuid *vm = &kept->vm;
    bool due = is_certain(settle, vm) || now_ms - marked_since_ms(settle, vm, now_ms) >= LATE_MS;
    if (!due) {
        return;
    }
    uuid_format(vm, text);
    forget_marked(settle, vm);
    if (known) {
        journal_io_say(LOG_NOTICE, "VM %s is the cluster's: taking its libvirt definition away",
                       text);
        (void)domain_io_undefine(settle->libvirt, vm, now_ms + LIBVIRT_MS, settled, settle);
    } else if (kept->unborn) {
        journal_io_say(LOG_NOTICE,
                       "domain %s is left of a start of a VM that is no more: ending it", text);
        (void)domain_io_destroy_unborn(settle->libvirt, vm, now_ms + LIBVIRT_MS, settled, settle);
    } else {
        journal_io_say(LOG_NOTICE, "domain %s is not the cluster's: taking stead's mark off", text);
        (void)domain_io_unmark(settle->libvirt, vm, now_ms + LIBVIRT_MS, settled, settle);
    }
}

/* False: there is nothing to look at again soon. The VM somebody defined is named. */
static bool settle_one(struct settle_io *settle, const struct domain_kept *kept, uint64_t now_ms,
                       const char **ret_defined)
{
    const struct cluster *cluster = &settle->core->cluster;
    uint32_t slot = state_find_vm_uuid(cluster, &kept->vm);
    bool known = slot != VMS_MAX;
    if (find_held(settle, &kept->vm) != NULL || (known && cluster->vms[slot].removing)) {
        return true; /* this: it is about to be libvirt's, and the definition is all there will be
                      */
    }
    if (known && !kept->pending) {
        *ret_defined = kept->persistent ? cluster->vms[slot].name : *ret_defined;
        return kept->persistent; /* until it is gone */
    }
    if (!known && !kept->pending && !kept->ours) {
        return false; /* libvirt's own */
    }
    settle_due(settle, kept, known, now_ms);
    return true;
}

static void tell_defined(struct settle_io *settle, const char *name)
{
    struct event event = {.kind = EVENT_TROUBLE, .trouble.kind = TROUBLE_DEFINED};
    if (strcmp(settle->defined, name) == 0) {
        return;
    }
    snprintf(settle->defined, sizeof(settle->defined), "%s", name);
    if (name[0] != '\0') {
        snprintf(
            event.trouble.text, sizeof(event.trouble.text),
            "libvirt here has a definition of VM %s, made by hand: it counts for nothing, stead "
            "goes by its own (vm show --dumpxml); virsh undefine it",
            name);
    }
    sink_put(&settle->sink, &event);
}

static void listed(void *context, const struct domain_pending *pending)
{
    struct settle_io *settle = context;
    uint64_t now_ms = clock_io_boot_ms();
    settle->listing = false;
    if (pending == NULL || !query_trusted(settle->core, now_ms)) {
        return; /* again with the next sweep */
    }
    const char *defined = "";
    settle->rest = REST_SWEEPS;
    for (uint32_t i = 0; i < pending->count; i++) {
        if (settle_one(settle, &pending->list[i], now_ms, &defined)) {
            settle->rest = 0;
        }
    }
    tell_defined(settle, defined);
}

static void list_now(struct settle_io *settle)
{
    if (!settle->listing) {
        settle->listing = domain_io_list_pending(settle->libvirt, clock_io_boot_ms() + LIBVIRT_MS,
                                                 listed, settle) == 0;
    }
}

static void sweep(void *context)
{
    struct settle_io *settle = context;
    if (settle->rest > 0) {
        settle->rest--;
    } else if (settle->core->local.domains_known) {
        list_now(settle);
    }
}

bool settle_io_hold(struct settle_io *settle, const struct uuid *vm)
{
    const struct uuid nobody = {{0}};
    struct held *held = find_held(settle, vm);
    held = held != NULL ? held : find_held(settle, &nobody);
    if (held == NULL) {
        return false;
    }
    held->vm = *vm;
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (uuid_equal(&settle->certain[i], vm)) {
            settle->certain[i] = nobody;
        }
    }
    return true;
}

void settle_io_drop(struct settle_io *settle, const struct uuid *vm, bool certain)
{
    struct held *held = uuid_is_zero(vm) ? NULL : find_held(settle, vm);
    if (held == NULL) {
        return;
    }
    held->vm = (struct uuid){{0}};
    if (certain) {
        settle->certain[settle->certain_next++ % HELD_MAX] = *vm;
    }
    settle->rest = 0;
    list_now(settle);
}

int settle_io_open(qb_loop_t *loop, const struct core *core, struct libvirt_io *libvirt,
                   const struct sink *sink, struct settle_io **ret_settle)
{
    struct settle_io *settle = calloc(1, sizeof(*settle));
    if (settle == NULL) {
        return -ENOMEM;
    }
    settle->loop = loop;
    settle->core = core;
    settle->libvirt = libvirt;
    settle->sink = *sink;
    int r = tick_io_begin(&settle->tick, loop, QB_LOOP_LOW, SWEEP_NS, sweep, settle);
    if (r < 0) {
        return r; /* the process ends now */
    }
    sweep(settle);
    *ret_settle = settle;
    return 0;
}
