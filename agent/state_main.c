/*
 * stead-state: the state of a cluster, into a file and back, and on without a majority. `stead
 * cluster backup`, `restore` and `force` run it; it speaks to Ceph by itself, with this host's
 * stead.conf, so that it works where no agent does; only where the state object is gone does a
 * backup ask the agent for its copy. Exit status: 0 done, 1 not done (and the state is as it was),
 * 2 wrong usage.
 *
 * A restore writes, in this order: definitions and leases that the pool lacks; a new generation
 * into leases whose removal or taking may be under way; the state, in one operation that fails if
 * the state moved meanwhile. Agents see a new epoch and follow; what that means is in
 * storage/restore.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <rbd/librbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/copy_io.h"
#include "agent/config_io.h"
#include "agent/force_io.h"
#include "agent/host_io.h"
#include "proto/values.h"
#include "storage/backup_io.h"
#include "storage/definition_io.h"
#include "storage/images_io.h"
#include "storage/lease_io.h"
#include "storage/restore.h"
#include "storage/state.h"

#define TIMEOUT_S "20" /* of each call to Ceph */
#define STRANGERS_SHOWN 20

struct pool {
    rados_t cluster;
    rados_ioctx_t io;
};

static int open_pool(struct pool *ret_pool)
{
    char text[CONFIG_TEXT_BYTES];
    struct config config;
    static const char *const timeouts[] = {"client_mount_timeout", "rados_mon_op_timeout",
                                           "rados_osd_op_timeout"};
    if (config_io_load(CONFIG_PATH, false, &config, text) < 0) {
        fprintf(stderr, "stead: %s\n", text);
        return -EINVAL;
    }
    int r = rados_create(&ret_pool->cluster, config.ceph_user);
    if (r == 0) {
        r = rados_conf_read_file(ret_pool->cluster, config.ceph_conf);
    }
    for (size_t i = 0; r == 0 && i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
        r = rados_conf_set(ret_pool->cluster, timeouts[i], TIMEOUT_S);
    }
    if (r == 0) {
        r = rados_conf_set(ret_pool->cluster, "admin_socket", "");
    }
    if (r == 0) {
        r = rados_connect(ret_pool->cluster);
    }
    if (r == 0) {
        r = rados_ioctx_create(ret_pool->cluster, config.ceph_pool, &ret_pool->io);
    }
    if (r < 0) {
        fprintf(stderr, "stead: Ceph pool %s as client.%s with %s: %s\n", config.ceph_pool,
                config.ceph_user, config.ceph_conf, strerror(-r));
    }
    return r;
}

/* ---- backup */

static uint32_t vm_count(const struct cluster *image)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < image->vm_end; i++) {
        count += image->vms[i].state != VM_FREE;
    }
    return count;
}

/* The state object is gone or damaged, but an agent that ran on still holds what it was. */
static bool ask_agent(struct backup *ret_backup, bool gone)
{
    struct cli_client *client = NULL;
    struct copy_source source = {.known = false};
    fprintf(stderr,
            "stead: the state object in the pool is %s: asking this host's agent for its copy\n",
            gone ? "gone" : "damaged");
    bool copied =
        cli_connect(&client) == CLI_DONE && cli_ask_copy(client, ret_backup, &source) == CLI_DONE;
    cli_disconnect(&client);
    if (!copied) {
        fputs("stead: not backed up; try it on a node whose agent holds a copy: stead status there "
              "says so\n",
              stderr);
    } else if (source.known) {
        printf("the copy of %s's agent, last known to be the newest %" PRIu64 " s ago\n",
               source.node, source.age_ms / 1000);
    } else {
        printf("the copy of %s's agent, never known to be the newest\n", source.node);
    }
    return copied;
}

static int back_up(const struct pool *pool, const char *path)
{
    struct backup backup = {.count = 0};
    struct cluster *image = NULL;
    int r = backup_read_state(pool->io, &backup);
    if (r == -ENOENT || r == -EBADMSG) {
        if (!ask_agent(&backup, r == -ENOENT)) {
            return 1;
        }
        r = 0;
    }
    if (r == 0) {
        r = backup_read_rest(pool->io, &backup);
    }
    if (r == 0) {
        r = backup_state(&backup, &image);
    }
    if (r < 0) {
        return force_io_fail("reading the pool", r);
    }
    r = backup_write_file(&backup, path);
    if (r < 0) {
        return force_io_fail(path, r);
    }
    printf("done: %s holds version %" PRIu64 " of epoch %" PRIu32 ", %" PRIu32 " VMs\n", path,
           image->header.version, image->header.epoch, vm_count(image));
    return 0;
}

/* ---- restore */

struct restoring {
    const struct pool *pool;
    struct backup backup;
    struct cluster *image;
    bool exists;
    struct header present;
    struct cluster *now; /* the state in the pool, NULL where nobody can read it */
    bool leases;         /* write those that are missing, on a person's word */
    uint32_t definitions_back;
    uint32_t leases_back;
    uint32_t leases_missing;
};

/* Who has the disks of this VM open now. */
static int read_watchers(const struct pool *pool, const struct vm_record *vm,
                         struct clients *ret_clients)
{
    struct definition definition;
    int r = definition_read(pool->io, &vm->uuid, vm->definition_version, &definition);
    if (r < 0) {
        return r;
    }
    for (uint32_t i = 0; r == 0 && i < definition.image_count; i++) {
        rados_ioctx_t images;
        rbd_image_t image;
        r = rados_ioctx_create(pool->cluster, definition.images[i].pool, &images);
        if (r < 0) {
            break;
        }
        r = rbd_open_read_only(images, definition.images[i].name, &image, NULL);
        if (r == 0) {
            r = images_add_watchers(image, NULL, ret_clients);
            rbd_close(image);
        }
        rados_ioctx_destroy(images);
    }
    definition_free(&definition);
    return r;
}

static int put_definition(struct restoring *restoring, const struct vm_record *vm)
{
    char object[DEFINITION_OBJECT_BYTES];
    definition_object(&vm->uuid, vm->definition_version, object);
    int r = backup_put_object(restoring->pool->io, &restoring->backup, object);
    restoring->definitions_back += r == 0;
    return r == -EEXIST ? 0 : r;
}

/* The lease of a VM whose lease object is gone: on a person's word that no host outside the cluster
 * runs it (docs/decisions/0008). */
static int put_lease(struct restoring *restoring, uint32_t slot)
{
    struct clients watchers = {0};
    char object[LEASE_OBJECT_BYTES];
    int r = read_watchers(restoring->pool, &restoring->image->vms[slot], &watchers);
    if (r < 0) {
        return r;
    }
    struct lease lease = restore_lease(restoring->image, slot, &watchers);
    lease_object(&lease.vm, object);
    rados_write_op_t write = rados_create_write_op();
    char key[WIRE_KEY_BYTES];
    definition_format_key(restoring->image->vms[slot].definition_version, key);
    const char *const keys[] = {key};
    const char *const values[] = {""};
    const size_t key_size = strlen(key);
    const size_t value_size = 0;
    rados_write_op_create(write, LIBRADOS_CREATE_EXCLUSIVE, NULL);
    rados_write_op_omap_set2(write, keys, values, &key_size, &value_size, 1);
    backup_set_nvram(write, &restoring->backup, object);
    r = lease_set(write, &lease);
    if (r == 0) {
        r = rados_write_op_operate(write, restoring->pool->io, object, NULL, 0);
    }
    rados_release_write_op(write);
    if (r == 0) {
        restore_know(restoring->image, slot, &lease);
        restoring->leases_back++;
    }
    return r;
}

static int restore_vm(struct restoring *restoring, uint32_t slot, bool raised)
{
    const struct vm_record *vm = &restoring->image->vms[slot];
    int r = put_definition(restoring, vm);
    if (r < 0) {
        fprintf(stderr, "stead: %s: its definition: %s\n", vm->name, strerror(-r));
        return r;
    }
    r = backup_follow_lease(restoring->pool->io, restoring->image, slot, raised);
    if (r == -ENOENT && restoring->leases) {
        r = put_lease(restoring, slot);
    } else if (r == -EBADMSG) {
        printf("%s: nobody can read its run lease; it will not start\n", vm->name);
        r = 0;
    } else if (r == -ENOENT) {
        restoring->leases_missing++;
        printf("%s: its run lease is gone; it will not start until you restore with --i-vouch\n",
               vm->name);
        r = 0;
    }
    if (r < 0) {
        fprintf(stderr, "stead: %s: its run lease: %s\n", vm->name, strerror(-r));
    }
    return r;
}

/* Those first whose leases are not raised: what fails there has changed none. */
static int restore_vms(struct restoring *restoring, bool raised)
{
    int r = 0;
    for (uint32_t slot = 0; r == 0 && slot < restoring->image->vm_end; slot++) {
        const struct vm_record *vm = &restoring->image->vms[slot];
        if (vm->state != VM_FREE &&
            restore_raises(restoring->image, slot, restoring->now) == raised) {
            r = restore_vm(restoring, slot, raised);
        }
    }
    return r;
}

/* Leases the backup does not know: VMs added since. */
static void tell_strangers(const struct restoring *restoring)
{
    rados_list_ctx_t list = NULL;
    const char *object = NULL;
    struct uuid uuid;
    uint32_t shown = 0;
    if (rados_nobjects_list_open(restoring->pool->io, &list) < 0) {
        return;
    }
    while (rados_nobjects_list_next(list, &object, NULL, NULL) == 0 && shown < STRANGERS_SHOWN) {
        if (strncmp(object, "lease/", 6) == 0 && uuid_parse(object + 6, &uuid) &&
            state_find_vm_uuid(restoring->image, &uuid) == VMS_MAX) {
            printf("%s: in the pool, not in the backup: added since, and no longer managed; its "
                   "definition is there, its disks are untouched\n",
                   object + 6);
            shown++;
        }
    }
    rados_nobjects_list_close(list);
}

/* As the header says that was read before: should it be another by now, the restore fails. */
static int read_present(struct restoring *restoring)
{
    struct backup present = {.count = 0};
    int r = backup_read_state(restoring->pool->io, &present);
    if (r == 0) {
        r = backup_state(&present, &restoring->now);
        backup_free(&present);
    }
    return r == -ENOENT || r == -EBADMSG ? 0 : r;
}

static int prepare(struct restoring *restoring, const char *path)
{
    int r = backup_read_file(path, &restoring->backup);
    if (r == 0) {
        r = backup_state(&restoring->backup, &restoring->image);
    }
    if (r == -EBADMSG) {
        fprintf(stderr, "stead: %s is no backup of a state, or is damaged; nothing was changed\n",
                path);
        return r;
    }
    if (r < 0) {
        (void)force_io_fail(path, r);
        return r;
    }
    r = backup_present_header(restoring->pool->io, &restoring->exists, &restoring->present);
    r = r == 0 ? read_present(restoring) : r;
    if (r < 0) {
        (void)force_io_fail("reading the pool", r);
    } else if (restoring->present.version != 0 &&
               !uuid_equal(&restoring->present.cluster_id, &restoring->image->header.cluster_id)) {
        fputs("stead: the pool holds another cluster's state than this backup; nothing was "
              "changed\n",
              stderr);
        r = -EINVAL;
    }
    return r;
}

static int restore(struct restoring *restoring, const char *path, const char *by)
{
    struct restore order = {.start = host_io_random() | 1};
    if (prepare(restoring, path) < 0) {
        return 1;
    }
    order.wall_ms = host_io_wall_ms();
    order.epoch = restoring->present.epoch;
    order.version = restoring->present.version;
    order.term = restoring->present.term;
    name_set(order.by, sizeof(order.by), by);
    const uint64_t version = restoring->image->header.version;
    restore_image(restoring->image, &order);
    if (restore_vms(restoring, false) < 0 || restore_vms(restoring, true) < 0) {
        fputs("stead: the state was not restored\n", stderr);
        return 1;
    }
    int r = backup_put_state(restoring->pool->io, restoring->image, restoring->exists,
                             &restoring->present);
    if (r == -ECANCELED || r == -EEXIST) {
        fputs("stead: the state in the pool moved meanwhile; not restored: is a cluster at work? "
              "Try again\n",
              stderr);
        return 1;
    }
    if (r < 0) {
        return force_io_fail("writing the state", r);
    }
    tell_strangers(restoring);
    printf("done: version %" PRIu64 " is restored as epoch %" PRIu32 ": %" PRIu32
           " VMs; written back: %" PRIu32 " definitions, %" PRIu32 " leases\n",
           version, restoring->image->header.epoch, vm_count(restoring->image),
           restoring->definitions_back, restoring->leases_back);
    return 0;
}

int main(int argc, char **argv)
{
    bool restores = argc >= 4 && strcmp(argv[1], "restore") == 0;
    bool backs_up = argc == 3 && strcmp(argv[1], "backup") == 0;
    bool forces = argc == 4 && strcmp(argv[1], "force") == 0;
    bool leases = restores && argc == 5 && strcmp(argv[4], "--leases") == 0;
    struct pool pool;
    if (!backs_up && !forces && !(restores && (argc == 4 || leases))) {
        fputs("usage: stead-state backup FILE | restore FILE USER [--leases] | force NODEIDS USER\n"
              "Run by `stead cluster backup|restore|force`, which say what it means.\n",
              stderr);
        return 2;
    }
    if (open_pool(&pool) < 0) {
        return 1;
    }
    if (backs_up) {
        return back_up(&pool, argv[2]);
    }
    if (forces) {
        return force_io_run(pool.io, argv[2], argv[3]);
    }
    struct restoring *restoring = calloc(1, sizeof(*restoring));
    if (restoring == NULL) {
        return force_io_fail(argv[2], -ENOMEM);
    }
    restoring->pool = &pool;
    restoring->leases = leases;
    return restore(restoring, argv[2], argv[3]);
}
