/* A table of this host's guests and the files of their firmware variables. */
#include "agent/nvram_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/journal_io.h"
#include "agent/tick_io.h"
#include "migration/review_io.h"
#include "proto/clock_io.h"
#include "proto/values.h"
#include "storage/nvram_io.h"
#include "storage/state.h"

#define SWEEP_NS 10000000000ull
#define COPY_EVERY 3 /* sweeps: within half a minute of a change */
#define CALL_MS 5000

/* One guest of this host. */
struct kept {
    struct uuid vm;              /* zero: free */
    char path[NVRAM_PATH_BYTES]; /* empty: none, or not known yet */
    bool known;
    bool busy; /* a definition or a copy is under way */
    bool seen;
    struct nvram_stamp stamp; /* of what was copied last from here */
};

struct nvram_io {
    qb_loop_t *loop;
    struct tick tick;
    struct storage_io *storage;
    const struct core *core;
    uint32_t sweeps;
    struct kept list[RUNS_MAX];
};

/* A copy under way; the table may change meanwhile. */
struct copying {
    struct nvram_io *nvram;
    struct uuid vm;
    bool releases;
    struct action release;
};

static struct kept *find(struct nvram_io *nvram, const struct uuid *vm)
{
    for (uint32_t i = 0; i < RUNS_MAX; i++) {
        if (uuid_equal(&nvram->list[i].vm, vm)) {
            return &nvram->list[i];
        }
    }
    return NULL;
}

static struct kept *find_or_add(struct nvram_io *nvram, const struct uuid *vm)
{
    const struct uuid nobody = {{0}};
    struct kept *kept = find(nvram, vm);
    if (kept == NULL && (kept = find(nvram, &nobody)) != NULL) {
        *kept = (struct kept){.vm = *vm};
    }
    return kept;
}

/* ---- copying */

static void copied(void *context, enum outcome outcome, const struct nvram_stamp *stamp)
{
    struct copying *copying = context;
    struct kept *kept = find(copying->nvram, &copying->vm);
    if (kept != NULL) {
        kept->busy = false;
        kept->stamp = stamp != NULL ? *stamp : kept->stamp;
    }
    if (outcome != OUTCOME_DONE && copying->releases) {
        journal_io_say(LOG_WARNING,
                       "the last firmware variables of a guest that ended were not copied to Ceph");
    }
    if (copying->releases) {
        struct actions none = {.count = 0};
        storage_io_act(copying->nvram->storage, &copying->release, &none);
    }
    free(copying);
}

/* False: there is nothing to copy, or no memory for it. */
static bool copy(struct nvram_io *nvram, struct kept *kept, uint64_t generation,
                 const struct action *release)
{
    struct nvram_place place = {.vm = kept->vm, .generation = generation};
    struct nvram_stamp now = nvram_stamp_of(kept->path);
    if (kept->path[0] == '\0' || now.size == 0 || nvram_stamp_equal(&now, &kept->stamp)) {
        return false;
    }
    struct copying *copying = calloc(1, sizeof(*copying));
    if (copying == NULL) {
        return false;
    }
    copying->nvram = nvram;
    copying->vm = kept->vm;
    uint64_t deadline_ms = clock_io_boot_ms() + CALL_MS;
    if (release != NULL) {
        copying->releases = true;
        copying->release = *release;
        /* Half of its time: a copy that hangs must not keep the lease from being freed. */
        deadline_ms = (clock_io_boot_ms() + release->deadline_ms) / 2;
    }
    kept->busy = true;
    name_set(place.path, sizeof(place.path), kept->path);
    storage_io_save_nvram(nvram->storage, &place, deadline_ms, copied, copying);
    return true;
}

static void release(struct nvram_io *nvram, struct kept *kept, const struct action *action)
{
    struct actions none = {.count = 0};
    if (kept == NULL || !copy(nvram, kept, action->lease.lease.generation - 1, action)) {
        storage_io_act(nvram->storage, action, &none);
    }
}

/* ---- learning where the file is */

static void learnt(void *context, enum outcome outcome, const struct definition *definition)
{
    struct copying *copying = context;
    struct kept *kept = find(copying->nvram, &copying->vm);
    if (kept != NULL) {
        kept->busy = false;
    }
    if (kept != NULL && outcome == OUTCOME_DONE) {
        kept->known = true;
        review_nvram_path(definition->xml, kept->path, sizeof(kept->path));
    }
    if (copying->releases) {
        release(copying->nvram, kept, &copying->release);
    }
    free(copying);
}

/* Before `action`, if there is one, is carried out. False: no memory, nothing happens. */
static bool learn(struct nvram_io *nvram, struct kept *kept, uint32_t version,
                  const struct action *action)
{
    struct copying *copying = calloc(1, sizeof(*copying));
    uint64_t now_ms = clock_io_boot_ms();
    uint64_t deadline_ms = now_ms + CALL_MS;
    if (copying == NULL) {
        return false;
    }
    copying->nvram = nvram;
    copying->vm = kept->vm;
    if (action != NULL) {
        copying->releases = true;
        copying->release = *action;
        deadline_ms = now_ms + (action->deadline_ms - now_ms) / 3;
    }
    kept->busy = true;
    storage_io_read_definition(nvram->storage, &kept->vm, version, deadline_ms, learnt, copying);
    return true;
}

/* A guest that ended soon after its start was in no sweep yet. */
void nvram_io_release(struct nvram_io *nvram, const struct action *action)
{
    const struct uuid *vm = &action->lease.lease.vm;
    uint32_t slot = state_find_vm_uuid(&nvram->core->cluster, vm);
    struct kept *kept = slot != VMS_MAX ? find_or_add(nvram, vm) : find(nvram, vm);
    bool learns =
        kept != NULL && !kept->known && slot != VMS_MAX && action->deadline_ms > clock_io_boot_ms();
    if (!learns || !learn(nvram, kept, nvram->core->cluster.vms[slot].definition_version, action)) {
        release(nvram, kept, action);
    }
}

/* ---- once in a while */

static void look_after(struct nvram_io *nvram, const struct run *run)
{
    const struct vm_record *vm = &nvram->core->cluster.vms[run->slot];
    struct kept *kept = find_or_add(nvram, &run->vm);
    if (kept == NULL) {
        return;
    }
    kept->seen = true;
    if (kept->busy || !uuid_equal(&vm->uuid, &run->vm)) {
        return;
    }
    if (!kept->known) {
        (void)learn(nvram, kept, vm->definition_version, NULL);
    } else if (nvram->sweeps % COPY_EVERY == 0 || kept->stamp.size == 0) {
        (void)copy(nvram, kept, run->lease.generation, NULL);
    }
}

static void sweep(void *context)
{
    struct nvram_io *nvram = context;
    const struct local *local = &nvram->core->local;
    nvram->sweeps++;
    for (uint32_t i = 0; i < local->run_count; i++) {
        if (local->runs[i].state == RUN_UP) {
            look_after(nvram, &local->runs[i]);
        }
    }
    for (uint32_t i = 0; i < RUNS_MAX; i++) {
        struct kept *kept = &nvram->list[i];
        if (!kept->seen && !kept->busy) { /* it does not run here any more */
            *kept = (struct kept){.known = false};
        }
        kept->seen = false;
    }
}

int nvram_io_begin(struct nvram_io *nvram, const struct core *core)
{
    nvram->core = core;
    sweep(nvram);
    return tick_io_begin(&nvram->tick, nvram->loop, QB_LOOP_LOW, SWEEP_NS, sweep, nvram);
}

int nvram_io_open(qb_loop_t *loop, struct storage_io *storage, struct nvram_io **ret_nvram)
{
    struct nvram_io *nvram = calloc(1, sizeof(*nvram));
    if (nvram == NULL) {
        return -ENOMEM;
    }
    nvram->loop = loop;
    nvram->storage = storage;
    *ret_nvram = nvram;
    return 0;
}
