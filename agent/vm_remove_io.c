/* From a VM back to a domain. */
#include "agent/vm_remove_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/query.h"
#include "migration/domain_io.h"
#include "migration/review_io.h"
#include "proto/values.h"
#include "storage/nvram_io.h"
#include "storage/state.h"

#define PATH_BYTES 160

struct removing {
    const struct vm_tools *tools;
    struct vm_record vm; /* as it was when the command was given */
    bool keep_running;
    bool no_define;
    char *xml;
    char note[PATH_BYTES + 64];
    uint64_t deadline_ms;
    struct request request;
    vm_work_done *done;
    void *context;
};

/* ---- results */

__attribute__((format(printf, 2, 3))) static void refuse(struct removing *removing,
                                                         const char *format, ...)
{
    char text[2 * TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    const struct vm_work_result result = {.text = text};
    removing->done(removing->context, &result);
    free(removing->xml);
    free(removing);
}

static void send_it(struct removing *removing, const char *note)
{
    const struct local *local = &removing->tools->core->local;
    struct request *request = &removing->request;
    request->kind = REQUEST_VM_REMOVE;
    request->uuid = removing->vm.uuid;
    request->keep_running = removing->keep_running;
    request->nodeid = removing->keep_running ? local->facts.nodeid : 0;
    request->incarnation = removing->vm.incarnation;
    name_set(request->name, sizeof(request->name), removing->vm.name);
    const struct vm_work_result result = {
        .request = request, .held = !removing->no_define, .text = note};
    removing->done(removing->context, &result);
    free(removing->xml);
    free(removing);
}

/* ---- to libvirt */

static void defined(void *context, enum outcome outcome, const char *text)
{
    struct removing *removing = context;
    char note[TEXT_BYTES];
    if (outcome != OUTCOME_DONE) {
        settle_io_drop(removing->tools->settle, &removing->vm.uuid, true);
        refuse(removing,
               "%s stays: libvirt here does not take it (%s); give the command on another node, or "
               "keep only its XML with --no-define",
               removing->vm.name, text);
        return;
    }
    snprintf(note, sizeof(note), "libvirt on %s has it again (virsh dominfo %s), autostart off",
             removing->tools->core->local.facts.name, removing->vm.name);
    send_it(removing, note);
}

static void define(struct removing *removing)
{
    const struct vm_tools *tools = removing->tools;
    const char *xml = removing->xml;
    if (!settle_io_hold(tools->settle, &removing->vm.uuid)) {
        refuse(removing, "too many commands are under way on this node: try again");
        return;
    }
    create_io_bring_secrets(tools->create, xml); /* so that virsh can start it here */
    if (domain_io_define(tools->libvirt, &removing->vm.uuid, xml, removing->deadline_ms, defined,
                         removing) < 0) {
        settle_io_drop(tools->settle, &removing->vm.uuid, true);
        refuse(removing, "libvirt has too much to do, or no memory is left: try again");
    }
}

static void nvram_restored(void *context, enum outcome outcome)
{
    struct removing *removing = context;
    if (outcome == OUTCOME_DONE) {
        define(removing);
    } else {
        refuse(removing,
               "%s stays: its firmware variables could not be written here; see the "
               "agent's journal",
               removing->vm.name);
    }
}

/* A running one's are here already. */
static void bring_back(struct removing *removing, const char *xml)
{
    struct nvram_place place = {.vm = removing->vm.uuid};
    removing->xml = strdup(xml);
    review_nvram_path(xml, place.path, sizeof(place.path));
    if (removing->xml == NULL) {
        refuse(removing, "the agent is out of memory");
    } else if (place.path[0] == '\0' || removing->keep_running) {
        define(removing);
    } else {
        storage_io_restore_nvram(removing->tools->storage, &place, removing->deadline_ms,
                                 nvram_restored, removing);
    }
}

/* ---- to a file */

static int write_all(int fd, const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t written = write(fd, text, left);
        if (written < 0 && errno != EINTR) {
            return -errno;
        }
        text += written > 0 ? written : 0;
        left -= written > 0 ? (size_t)written : 0;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* Into NAME.xml, or NAME.VERSION.xml where there is one of an earlier removal. */
static int keep_xml(const struct vm_record *vm, const char *xml, char *ret_path)
{
    (void)mkdir("/var/lib/stead", 0700); /* what keeps them from being made shows below */
    (void)mkdir(REMOVED_DIR, 0700);
    snprintf(ret_path, PATH_BYTES, REMOVED_DIR "/%s.xml", vm->name);
    int fd = open(ret_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST) {
        snprintf(ret_path, PATH_BYTES, REMOVED_DIR "/%s.%u.xml", vm->name, vm->definition_version);
        fd = open(ret_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    }
    if (fd < 0) {
        return -errno;
    }
    int r = write_all(fd, xml);
    if (close(fd) < 0 && r == 0) {
        r = -errno;
    }
    return r;
}

static void nvram_kept(void *context, enum outcome outcome)
{
    struct removing *removing = context;
    if (outcome == OUTCOME_DONE) {
        send_it(removing, removing->note);
    } else {
        refuse(removing, "%s stays: its firmware variables could not be kept in " REMOVED_DIR,
               removing->vm.name);
    }
}

/* Beside its XML, if there is a copy of them. */
static void keep_nvram(struct removing *removing, const char *xml, const char *path)
{
    struct nvram_place place = {.vm = removing->vm.uuid};
    review_nvram_path(xml, place.path, sizeof(place.path));
    bool any = place.path[0] != '\0';
    snprintf(removing->note, sizeof(removing->note), "its XML is in %s%s", path,
             any ? ", its firmware variables beside it" : "");
    snprintf(place.path, sizeof(place.path), REMOVED_DIR "/%s_VARS.fd", removing->vm.name);
    if (any) {
        (void)unlink(place.path); /* of an earlier removal: a file that is there would be kept */
        storage_io_restore_nvram(removing->tools->storage, &place, removing->deadline_ms,
                                 nvram_kept, removing);
    } else {
        send_it(removing, removing->note);
    }
}

static void keep(struct removing *removing, const char *xml)
{
    char path[PATH_BYTES];
    int r = keep_xml(&removing->vm, xml, path);
    if (r < 0) {
        refuse(removing, "%s stays: its XML cannot be kept in %s: %s", removing->vm.name, path,
               strerror(-r));
        return;
    }
    keep_nvram(removing, xml, path);
}

/* ---- the beginning */

static void have_definition(void *context, enum outcome outcome,
                            const struct definition *definition)
{
    struct removing *removing = context;
    bool gone = outcome == OUTCOME_MISSING;
    if (gone && removing->no_define) {
        send_it(removing, "its definition was not in the pool any more");
    } else if (gone) {
        refuse(removing,
               "%s stays: its definition is not in the pool; to forget it all the same: "
               "--no-define",
               removing->vm.name);
    } else if (outcome != OUTCOME_DONE) {
        refuse(removing, "%s stays: its definition could not be read from Ceph; try again",
               removing->vm.name);
    } else if (removing->no_define) {
        keep(removing, definition->xml);
    } else {
        bring_back(removing, definition->xml);
    }
}

/* The cheap refusals, and the truth about where to give the command. False: refused. */
static bool is_lawful(struct removing *removing)
{
    const struct core *core = removing->tools->core;
    const struct vm_record *vm = &removing->vm;
    bool runs = vm->state == VM_RUNNING && vm->node < NODES_MAX;
    const char *node = runs ? core->cluster.nodes[vm->node].name : "";
    if (!removing->keep_running && (vm->state != VM_STOPPED || vm->want == WANT_RUNNING)) {
        refuse(removing, "%s is not stopped: stead vm stop it first%s%s%s", vm->name,
               runs ? ", or give it back as it runs: on " : "", node,
               runs ? ", with --keep-running" : "");
        return false;
    }
    if (removing->keep_running && (!runs || vm->node != query_own_slot(core))) {
        refuse(removing, "%s does not run on this node%s%s: see stead vm show", vm->name,
               runs ? " but on " : "", node);
        return false;
    }
    if (removing->keep_running && removing->no_define) {
        refuse(removing, "--keep-running needs the domain defined, so --no-define does not go");
        return false;
    }
    return true;
}

void vm_remove_io_begin(const struct vm_tools *tools, const Control__Command *command,
                        uint64_t deadline_ms, vm_work_done *done, void *context)
{
    const struct cluster *cluster = &tools->core->cluster;
    uint32_t slot = query_loaded(tools->core) ? state_find_vm(cluster, command->name) : VMS_MAX;
    struct removing *removing = calloc(1, sizeof(*removing));
    if (removing == NULL || slot == VMS_MAX) {
        const struct vm_work_result result = {.text = removing != NULL
                                                          ? "no such VM; see stead vm list"
                                                          : "the agent is out of memory"};
        done(context, &result);
        free(removing);
        return;
    }
    removing->tools = tools;
    removing->vm = cluster->vms[slot];
    removing->keep_running = command->keep_running;
    removing->no_define = command->no_define;
    removing->deadline_ms = deadline_ms;
    removing->done = done;
    removing->context = context;
    if (is_lawful(removing)) {
        storage_io_read_definition(tools->storage, &removing->vm.uuid,
                                   removing->vm.definition_version, deadline_ms, have_definition,
                                   removing);
    }
}
