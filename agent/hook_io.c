/*
 * The files that stead's libvirt hook reads. They lie in memory (/run), so writing them never
 * waits; the one on the disk is written by a thread, which may wait for that disk as long as it
 * likes.
 */
#include "agent/hook_io.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/journal_io.h"
#include "migration/hook.h"
#include "proto/digest.h"
#include "proto/values.h"

#define FIRST_LOOK_NS 1000000000ull
#define LOOK_NS 60000000000ull
#define PATH_BYTES 128
#define LIB_DIR "/var/lib/stead"

/* A permit that libvirt has not answered yet. */
struct permit {
    uint64_t id; /* of the call; 0: none */
    struct uuid vm;
};

/* The list on its way to the disk. */
struct keeper {
    pthread_mutex_t lock;
    bool busy;  /* a thread is at it */
    char *next; /* what it writes next; owned */
};

struct hook_io {
    qb_loop_t *loop;
    struct sink sink;
    qb_loop_timer_handle timer;
    uint64_t version; /* of the state, as last looked at */
    uint32_t epoch;
    uint64_t digest; /* of the UUIDs, as last written; 0: not yet */
    bool again;      /* it could not be written */
    int said;        /* for this reason */
    bool unasked;    /* libvirt made a domain without asking the hook */
    const char *told;
    struct keeper keeper;
    struct permit permits[RUNS_MAX];
};

/* ---- is it there? */

const char *hook_io_fault(void)
{
    return access(HOOK_PATH, X_OK) == 0
               ? NULL
               : "starts by hand are not refused here: " HOOK_PATH " is missing or not executable; "
                 "make install, then systemctl restart libvirtd (guests run on)";
}

static void tell(struct hook_io *hook)
{
    struct event event = {.kind = EVENT_TROUBLE};
    const char *fault = hook_io_fault();
    if (fault == NULL && hook->unasked) {
        fault = "starts by hand are not refused here: libvirt does not ask " HOOK_PATH
                " yet; systemctl restart libvirtd (guests run on)";
    }
    if (fault != hook->told) {
        hook->told = fault;
        event.trouble.kind = TROUBLE_HOOK;
        name_set(event.trouble.text, sizeof(event.trouble.text), fault != NULL ? fault : "");
        sink_put(&hook->sink, &event);
    }
}

static void look(void *context)
{
    struct hook_io *hook = context;
    tell(hook);
    if (hook->again || access(HOOK_VMS, F_OK) < 0) {
        hook->version = 0; /* it is written after the next step */
        hook->digest = 0;
        hook->again = false;
    }
    qb_loop_timer_add(hook->loop, QB_LOOP_LOW, LOOK_NS, hook, look, &hook->timer);
}

/* ---- files */

/* As a whole or not at all. 0 or -errno. */
static int write_file(const char *path, const char *text, bool lasting)
{
    char draft[PATH_BYTES];
    snprintf(draft, sizeof(draft), "%s.new", path);
    FILE *file = fopen(draft, "we");
    if (file == NULL) {
        return -errno;
    }
    bool good = fputs(text, file) >= 0 && fflush(file) == 0 && fchmod(fileno(file), 0644) == 0;
    good = good && (!lasting || fsync(fileno(file)) == 0);
    good = fclose(file) == 0 && good;
    if (!good || rename(draft, path) < 0) {
        int error = errno == 0 ? EIO : errno;
        unlink(draft);
        return -error;
    }
    return 0;
}

static char *next_list(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    char *text = keeper->next;
    keeper->next = NULL;
    keeper->busy = text != NULL;
    pthread_mutex_unlock(&keeper->lock);
    return text;
}

static void *keep_lists(void *context)
{
    char *text;
    (void)mkdir(LIB_DIR, 0700); /* what keeps it from being made shows below */
    while ((text = next_list(context)) != NULL) {
        int r = write_file(HOOK_KEPT, text, true);
        if (r < 0) {
            journal_io_say(LOG_WARNING, "cannot write " HOOK_KEPT ": %s", strerror(-r));
        }
        free(text);
    }
    return NULL;
}

/* Takes `text` over. */
static void keep(struct keeper *keeper, char *text)
{
    pthread_t thread;
    pthread_mutex_lock(&keeper->lock);
    free(keeper->next);
    keeper->next = text;
    if (!keeper->busy && pthread_create(&thread, NULL, keep_lists, keeper) == 0) {
        pthread_detach(thread);
        keeper->busy = true;
    }
    pthread_mutex_unlock(&keeper->lock);
}

static char *list_text(const struct cluster *cluster)
{
    char uuid[UUID_TEXT_BYTES];
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < VMS_MAX; i++) {
        if (cluster->vms[i].state != VM_FREE) {
            uuid_format(&cluster->vms[i].uuid, uuid);
            fprintf(memory, "%s %s\n", uuid, cluster->vms[i].name);
        }
    }
    fputs("end\n", memory);
    bool good = ferror(memory) == 0;
    good = fclose(memory) == 0 && good;
    if (!good) {
        free(text);
        return NULL;
    }
    return text;
}

static int write_vms(struct hook_io *hook, const struct cluster *cluster)
{
    char *text = list_text(cluster);
    int r = text != NULL ? write_file(HOOK_VMS, text, false) : -ENOMEM;
    if (text != NULL) {
        keep(&hook->keeper, text);
    }
    return r;
}

static void permit_path(const struct uuid *vm, char ret_path[PATH_BYTES])
{
    char text[UUID_TEXT_BYTES];
    uuid_format(vm, text);
    snprintf(ret_path, PATH_BYTES, HOOK_PERMITS "/%s", text);
}

static int write_permit(const struct action *action)
{
    char path[PATH_BYTES];
    char text[64];
    permit_path(&action->vm.uuid, path);
    snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", action->vm.action.term,
             action->vm.action.counter, action->deadline_ms);
    return write_file(path, text, false);
}

/* An agent before this one may have left some: what it was creating is none of our starts. */
static int clear_permits(void)
{
    char path[PATH_BYTES + 256];
    struct dirent *entry;
    if (mkdir(HOOK_PERMITS, 0700) < 0 && errno != EEXIST) {
        return -errno;
    }
    DIR *folder = opendir(HOOK_PERMITS);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        snprintf(path, sizeof(path), HOOK_PERMITS "/%s", entry->d_name);
        (void)unlink(path); /* not `.` and `..` */
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return 0;
}

/* ---- what the agent knows */

static uint64_t digest_of(const struct cluster *cluster)
{
    uint64_t digest = DIGEST_SEED;
    for (uint32_t i = 0; i < VMS_MAX; i++) {
        if (cluster->vms[i].state != VM_FREE) {
            digest = digest_bytes(digest, cluster->vms[i].uuid.bytes, sizeof(struct uuid));
        }
    }
    return digest;
}

void hook_io_list(struct hook_io *hook, const struct cluster *cluster)
{
    const struct header *header = &cluster->header;
    if (header->version == 0 ||
        (header->version == hook->version && header->epoch == hook->epoch)) {
        return;
    }
    hook->version = header->version;
    hook->epoch = header->epoch;
    uint64_t digest = digest_of(cluster);
    if (digest == hook->digest) {
        return;
    }
    int r = write_vms(hook, cluster);
    if (r < 0) {
        hook->again = true;
        if (r != hook->said) { /* each commit tries again, each failure is not news */
            journal_io_say(LOG_ERR, "cannot write " HOOK_VMS ": %s", strerror(-r));
        }
        hook->said = r;
        return;
    }
    hook->digest = digest;
    hook->said = 0;
}

int hook_io_permit(struct hook_io *hook, const struct action *action)
{
    int r = write_permit(action);
    for (uint32_t i = 0; i < RUNS_MAX && r == 0; i++) {
        if (hook->permits[i].id == 0) {
            hook->permits[i] = (struct permit){.id = action->id, .vm = action->vm.uuid};
            break;
        }
    }
    return r;
}

void hook_io_answered(struct hook_io *hook, const struct event *event)
{
    char path[PATH_BYTES];
    for (uint32_t i = 0; i < RUNS_MAX && event->id != 0; i++) {
        struct permit *permit = &hook->permits[i];
        if (permit->id != event->id) {
            continue;
        }
        permit->id = 0;
        permit_path(&permit->vm, path);
        bool unused = unlink(path) == 0;
        if (event->domain_done.outcome == OUTCOME_DONE) {
            hook->unasked = unused;
            tell(hook);
        }
        return;
    }
}

int hook_io_open(qb_loop_t *loop, const struct sink *sink, struct hook_io **ret_hook)
{
    struct hook_io *hook = calloc(1, sizeof(*hook));
    if (hook == NULL) {
        return -ENOMEM;
    }
    hook->loop = loop;
    hook->sink = *sink;
    pthread_mutex_init(&hook->keeper.lock, NULL);
    int r = clear_permits();
    if (r < 0) {
        journal_io_say(LOG_ERR, "cannot make " HOOK_PERMITS ": %s", strerror(-r));
    }
    r = qb_loop_timer_add(loop, QB_LOOP_LOW, FIRST_LOOK_NS, hook, look, &hook->timer);
    if (r < 0) {
        free(hook);
        return r;
    }
    *ret_hook = hook;
    return 0;
}
