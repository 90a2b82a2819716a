/*
 * librbd's part: dead locks and watchers. All of it blocks, so all of it runs in workers, one image
 * after the other; between two images the deadline is looked at. The handle has
 * rbd_blocklist_on_break_lock off: a lock is broken only where its owner is on the list already.
 */
#include "storage/images_io.h"

#include <errno.h>
#include <rbd/librbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/digest.h"
#include "proto/values.h"
#include "storage/blocklist_io.h"
#include "storage/definition_io.h"
#include "storage/handle_io.h"

#define OWNERS_MAX 8
#define WATCHERS_MAX 32

struct images_op {
    struct op op;
    struct uuid vm;
    uint32_t version; /* of the definition; 0: the newest there is */
    int result;       /* the worker's; -ESTALE: the right ran out before the first break */
    const char *step; /* where it failed */
    struct blocklist list;
    struct clients clients; /* the watchers; of locks: the dead holders, not barred for good */
    struct definition definition;
    uint32_t looked; /* at so many of its images */
    bool lockless[IMAGES_MAX];
};

static int late(const struct images_op *images)
{
    return storage_stale(images->op.deadline_ms) ? -ETIMEDOUT : 0;
}

/* Without the feature an image has no lock, whoever writes it. */
static int look_at_features(struct images_op *images, rbd_image_t image)
{
    uint64_t features = 0;
    const int r = rbd_get_features(image, &features);
    if (r == 0) {
        images->lockless[images->looked++] = (features & RBD_FEATURE_EXCLUSIVE_LOCK) == 0;
    }
    return r;
}

/* Runs `each` with every image of the VM's definition, until one fails. */
static int for_each_image(struct images_op *images, bool writable,
                          int (*each)(struct images_op *images, rbd_image_t image))
{
    struct definition *definition = &images->definition;
    rados_t cluster = handle_cluster(images->op.handle);
    images->step = "definition";
    int r =
        definition_read(handle_pool(images->op.handle), &images->vm, images->version, definition);
    if (r < 0) {
        return r;
    }
    for (uint32_t i = 0; r == 0 && i < definition->image_count; i++) {
        rados_ioctx_t pool;
        rbd_image_t image;
        images->step = "open";
        r = late(images);
        r = r == 0 ? rados_ioctx_create(cluster, definition->images[i].pool, &pool) : r;
        if (r == 0) {
            rados_set_pool_full_try(pool); /* a VM of a full pool can still be stopped */
        }
        if (r < 0) {
            break;
        }
        r = writable ? rbd_open(pool, definition->images[i].name, &image, NULL)
                     : rbd_open_read_only(pool, definition->images[i].name, &image, NULL);
        if (r == 0) {
            r = look_at_features(images, image);
            r = r == 0 ? each(images, image) : r;
            rbd_close(image);
        }
        rados_ioctx_destroy(pool);
    }
    definition_free(definition);
    return r;
}

/* ---- locks */

/* An owner that is alive watches its image. */
static int note_dead(struct images_op *images, rbd_image_t image, const struct client *owner)
{
    rbd_image_watcher_t watchers[WATCHERS_MAX];
    size_t count = WATCHERS_MAX;
    int r = rbd_watchers_list(image, watchers, &count);
    if (r < 0) {
        return r;
    }
    bool alive = false;
    for (size_t i = 0; i < count; i++) {
        struct client client;
        alive =
            alive || (client_normalise(watchers[i].addr, &client) && client_equal(&client, owner));
    }
    rbd_watchers_list_cleanup(watchers, count);
    if (!alive) {
        (void)clients_add(&images->clients, owner); /* full: the rest once these are barred */
    }
    return 0;
}

/* A lock that went meanwhile is as good as broken. */
static int break_lock(struct images_op *images, rbd_image_t image, rbd_lock_mode_t mode,
                      const char *owner)
{
    struct client client;
    if (!client_normalise(owner, &client)) {
        return 0;
    }
    if (!blocklist_holds(&images->list, &client)) {
        return note_dead(images, image, &client);
    }
    if (blocklist_find(&images->list, &client) != BLOCKED_FOR_YEARS) {
        (void)clients_add(&images->clients, &client); /* what bars it now comes off, or runs out */
        return 0;
    }
    if (op_stale(&images->op)) {
        return -ESTALE;
    }
    const int r = rbd_lock_break(image, mode, owner);
    return r == -ENOENT || r == -EBUSY ? 0 : r;
}

static int break_image_locks(struct images_op *images, rbd_image_t image)
{
    char *owners[OWNERS_MAX];
    size_t count = OWNERS_MAX;
    rbd_lock_mode_t mode = RBD_LOCK_MODE_EXCLUSIVE;
    images->step = "locks";
    if (images->lockless[images->looked - 1]) {
        return 0;
    }
    int r = rbd_lock_get_owners(image, &mode, owners, &count);
    if (r < 0) {
        return r == -ENOENT ? 0 : r;
    }
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = break_lock(images, image, mode, owners[i]);
    }
    rbd_lock_get_owners_cleanup(owners, count);
    return r;
}

static void locks_work(struct job *job)
{
    struct images_op *images = (struct images_op *)op_of(job);
    images->step = "blocklist";
    images->result = blocklist_read(handle_cluster(images->op.handle), &images->list);
    if (images->result == 0) {
        images->result = for_each_image(images, true, break_image_locks);
        blocklist_free(&images->list);
    }
}

/* ---- watchers */

int images_add_watchers(rbd_image_t image, const struct client *own, struct clients *clients)
{
    rbd_image_watcher_t watchers[WATCHERS_MAX];
    size_t count = WATCHERS_MAX;
    int r = rbd_watchers_list(image, watchers, &count);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct client client;
        if (!client_normalise(watchers[i].addr, &client)) {
            r = -EBADMSG;
        } else if ((own == NULL || !client_equal(&client, own)) && !clients_add(clients, &client)) {
            r = -E2BIG; /* more than a lease can name */
        }
    }
    rbd_watchers_list_cleanup(watchers, count);
    return r;
}

static int read_image_watchers(struct images_op *images, rbd_image_t image)
{
    images->step = "watchers";
    return images_add_watchers(image, handle_client(images->op.handle), &images->clients);
}

static void watchers_work(struct job *job)
{
    struct images_op *images = (struct images_op *)op_of(job);
    images->result = for_each_image(images, false, read_image_watchers);
}

/* ---- back on the loop's thread */

/* Told once for as long as it is so (again and again only where two images share a place in the
 * table). The look itself goes on: were it to fail, its VM would start nowhere, and an unclean end
 * would never be over (docs/decisions/0024). */
static void tell_lockless(const struct images_op *images)
{
    char name[sizeof(images->definition.images[0]) + 1];
    for (uint32_t i = 0; i < images->looked; i++) {
        snprintf(name, sizeof(name), "%s/%s", images->definition.images[i].pool,
                 images->definition.images[i].name);
        const uint64_t digest = digest_bytes(DIGEST_SEED, name, strlen(name));
        uint64_t *told = &images->op.io->lockless[digest % LOCKLESS_TOLD];
        if (images->lockless[i] && *told != digest) {
            *told = digest;
            warn_io_say("storage: image %s lacks exclusive-lock: a second writer of it that "
                        "stands still is not found: rbd feature enable %s exclusive-lock",
                        name, name);
        } else if (!images->lockless[i] && *told == digest) {
            *told = 0;
        }
    }
}

static void images_after(struct job *job)
{
    struct op *op = op_back(job);
    if (op == NULL) {
        return;
    }
    struct images_op *images = (struct images_op *)op;
    tell_lockless(images);
    if (images->result < 0) {
        char vm[UUID_TEXT_BYTES];
        uuid_format(&images->vm, vm);
        warn_io_say("storage: images of VM %s: %s: %s", vm, images->step,
                    strerror(-images->result));
    } else if (op->kind == ACTION_WATCHERS_READ) {
        op->event.watchers.clients = images->clients;
        op->event.watchers.image_count = images->definition.image_count;
    } else {
        op->event.locks.dead = images->clients;
    }
    op_answer(op, images->result == -ESTALE ? OUTCOME_STALE : op_outcome(images->result));
}

static void locks_begin(struct op *op)
{
    if (op_stale(op)) {
        op_answer(op, OUTCOME_STALE);
    } else {
        op_work(op, locks_work, images_after);
    }
}

static void watchers_begin(struct op *op)
{
    op_work(op, watchers_work, images_after);
}

static struct images_op *new_images_op(struct storage_io *io, const struct action *action,
                                       enum event_kind kind)
{
    struct images_op *images = op_new(io, action, kind, sizeof(*images));
    if (images != NULL) {
        images->vm = action->vm.uuid;
        images->version = action->vm.definition_version;
    }
    return images;
}

void images_break_locks(struct storage_io *io, const struct action *action)
{
    struct images_op *images = new_images_op(io, action, EVENT_LOCKS);
    if (images != NULL) {
        op_begin(&images->op, locks_begin);
    }
}

void images_read_watchers(struct storage_io *io, const struct action *action)
{
    struct images_op *images = new_images_op(io, action, EVENT_WATCHERS);
    if (images != NULL) {
        op_begin(&images->op, watchers_begin);
    }
}
