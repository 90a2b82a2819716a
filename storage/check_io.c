/*
 * Looks at the images of a VM to be added, in a worker. All is found at once; only what keeps us
 * from looking at all (our own handle does not answer) is a failure.
 *
 * The images are opened once with our own key, and once, writable, as the guests' user: opening for
 * writing sets a watch, which needs the right to write, so a missing cap shows here and not at the
 * first start. A disk that names monitors is opened through those; another fsid there is another
 * cluster, whose blocklist we do not hold.
 */
#include "storage/check_io.h"

#include <errno.h>
#include <rbd/librbd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/values.h"
#include "storage/claim_io.h"
#include "storage/guest_client_io.h"
#include "storage/handle_io.h"

#define WATCHERS_MAX 16
#define FSID_BYTES 40

struct check_op {
    struct op op;
    struct image_check check;
    struct image_report report;
    struct guest_client *guests[IMAGES_MAX]; /* at the first image of each set of monitors */
    int result;
    void (*done)(void *context, enum outcome outcome, const struct image_report *report);
    void *context;
};

__attribute__((format(printf, 3, 4))) static void found(struct check_op *op, enum finding_kind kind,
                                                        const char *format, ...)
{
    char text[FINDING_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    review_add(&op->report.review, kind, text);
}

/* Why an image does not open with `user`'s key, with the remedy. */
static void found_unopened(struct check_op *op, const char *user, uint32_t image, bool pool,
                           int result)
{
    const char *const name = op->check.definition.images[image].name;
    const char *const in = op->check.definition.images[image].pool;
    if (result == -ENOENT && pool) {
        found(op, FINDING_IMAGE, "image %s/%s: there is no pool '%s'", in, name, in);
    } else if (result == -ENOENT) {
        found(op, FINDING_IMAGE,
              "image %s/%s does not exist: correct the name, or make it (rbd create --size 20G "
              "%s/%s)",
              in, name, in, name);
    } else if (result == -EPERM || result == -EACCES) {
        found(op, FINDING_IMAGE,
              "image %s/%s: client.%s has no right to open and write it: give it osd 'profile rbd "
              "pool=%s' and mon 'profile rbd' beside what it has (ceph auth caps)",
              in, name, user, in);
    } else {
        found(op, FINDING_IMAGE, "image %s/%s cannot be opened by client.%s: %s", in, name, user,
              strerror(-result));
    }
}

/* ---- who has it open */

static void found_watchers(struct check_op *op, uint32_t image, const struct clients *clients)
{
    struct client here = client_address_entry(handle_client(op->op.handle));
    const char *const name = op->check.definition.images[image].name;
    const char *const in = op->check.definition.images[image].pool;
    if (!op->check.running) {
        if (clients->count > 0) {
            found(op, FINDING_IMAGE_OPEN,
                  "image %s/%s is open at %s: end what uses it (a guest, rbd map …); one that died "
                  "counts for 30 s more. A running domain: --adopt",
                  in, name, clients->list[0].address);
        }
        return;
    }
    for (uint32_t i = 0; i < clients->count; i++) {
        struct client address = client_address_entry(&clients->list[i]);
        if (!client_equal(&address, &here)) {
            found(op, FINDING_IMAGE_OPEN,
                  "image %s/%s is open elsewhere, too, at %s: end what uses it there", in, name,
                  clients->list[i].address);
        }
        if (!clients_add(&op->report.clients, &clients->list[i])) {
            found(op, FINDING_IMAGE_OPEN, "its images are opened more often than a lease can name");
        }
    }
    if (clients->count != 1) {
        found(op, FINDING_IMAGE_OPEN,
              "image %s/%s is open %u times, not once by the domain's QEMU: end the others (rbd "
              "map, rbd-nbd …)",
              in, name, clients->count);
    }
}

static void look_at_watchers(struct check_op *op, uint32_t image, rbd_image_t opened)
{
    rbd_image_watcher_t watchers[WATCHERS_MAX];
    size_t count = WATCHERS_MAX;
    struct clients clients = {.count = 0};
    int r = rbd_watchers_list(opened, watchers, &count);
    if (r < 0) {
        found_unopened(op, op->op.io->user, image, false, r);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct client client;
        if (client_normalise(watchers[i].addr, &client) &&
            !client_equal(&client, handle_client(op->op.handle))) {
            (void)clients_add(&clients, &client);
        }
    }
    rbd_watchers_list_cleanup(watchers, count);
    found_watchers(op, image, &clients);
}

/* By its lock a copy is found that no lease names and that watches no more. */
static void look_at_features(struct check_op *op, uint32_t image, rbd_image_t opened)
{
    uint64_t features = 0;
    const char *const name = op->check.definition.images[image].name;
    const char *const in = op->check.definition.images[image].pool;
    const int r = rbd_get_features(opened, &features);
    if (r < 0) {
        found_unopened(op, op->op.io->user, image, false, r);
    } else if ((features & RBD_FEATURE_EXCLUSIVE_LOCK) == 0) {
        found(op, FINDING_IMAGE,
              "image %s/%s lacks exclusive-lock, by which a second writer is found that stands "
              "still: enable it (rbd feature enable %s/%s exclusive-lock)",
              in, name, in, name);
    }
}

static void look_at_image(struct check_op *op, uint32_t image, rbd_image_t opened)
{
    look_at_features(op, image, opened);
    look_at_watchers(op, image, opened);
}

/* ---- opening */

/* 0 or -errno; *ret_pool tells whether it failed at the pool. */
static int open_image(struct check_op *op, rados_t cluster, uint32_t image, bool writable,
                      void (*look)(struct check_op *op, uint32_t image, rbd_image_t opened),
                      bool *ret_pool)
{
    rados_ioctx_t pool;
    rbd_image_t opened;
    const char *const name = op->check.definition.images[image].name;
    int r = rados_ioctx_create(cluster, op->check.definition.images[image].pool, &pool);
    *ret_pool = r < 0;
    if (r < 0) {
        return r;
    }
    r = writable ? rbd_open(pool, name, &opened, NULL)
                 : rbd_open_read_only(pool, name, &opened, NULL);
    if (r == 0) {
        if (look != NULL) {
            look(op, image, opened);
        }
        rbd_close(opened);
    }
    rados_ioctx_destroy(pool);
    return r;
}

static void look_as_ourselves(struct check_op *op)
{
    for (uint32_t i = 0; i < op->check.definition.image_count; i++) {
        bool pool = false;
        const int r = open_image(op, handle_cluster(op->op.handle), i, false, look_at_image, &pool);
        if (r < 0) {
            found_unopened(op, op->op.io->user, i, pool, r);
        }
    }
}

static void found_unconnected(struct check_op *op, const char *hosts, int result)
{
    const char *const user = op->check.guest_user;
    if (result == -ETIMEDOUT) {
        found(op, FINDING_IMAGE, "no monitor answers client.%s at %s", user,
              hosts[0] != '\0' ? hosts : "the addresses in ceph.conf");
    } else {
        found(
            op, FINDING_IMAGE,
            "Ceph does not let client.%s in (%s): its key must be on this host, as `ceph auth get "
            "client.%s` prints it, in /etc/ceph/ceph.client.%s.keyring",
            user, strerror(-result), user, user);
    }
}

static bool is_ours(const struct check_op *op, rados_t cluster)
{
    char ours[FSID_BYTES] = "", theirs[FSID_BYTES] = "";
    return rados_cluster_fsid(handle_cluster(op->op.handle), ours, sizeof(ours)) > 0 &&
           rados_cluster_fsid(cluster, theirs, sizeof(theirs)) > 0 && strcmp(ours, theirs) == 0;
}

/* Every image whose disk names the same monitors as that of `first`. False: something was found. */
static bool look_as_guest(struct check_op *op, uint32_t first, rados_t cluster)
{
    bool well = true;
    if (!is_ours(op, cluster)) {
        found(op, FINDING_IMAGE,
              "image %s/%s lies in another Ceph cluster (monitors %s): stead guards only disks of "
              "the one in its ceph.conf",
              op->check.definition.images[first].pool, op->check.definition.images[first].name,
              op->check.hosts[first]);
        return false;
    }
    for (uint32_t i = first; i < op->check.definition.image_count; i++) {
        bool pool = false;
        int opened = strcmp(op->check.hosts[i], op->check.hosts[first]) == 0
                         ? open_image(op, cluster, i, true, NULL, &pool)
                         : 0;
        if (opened < 0 && opened != -ENOENT) { /* a missing one is named already */
            found_unopened(op, op->check.guest_user, i, pool, opened);
        }
        well = well && opened == 0;
    }
    return well;
}

static void look_as_guests(struct check_op *op)
{
    for (uint32_t i = 0; i < op->check.definition.image_count; i++) {
        rados_t cluster;
        if (op->guests[i] == NULL || storage_stale(op->op.deadline_ms)) {
            continue;
        }
        const int r = guest_client_connect(op->guests[i], &cluster);
        if (r < 0) {
            found_unconnected(op, op->check.hosts[i], r);
        }
        if (r < 0 || !look_as_guest(op, i, cluster)) {
            guest_client_spoil(op->guests[i]);
        }
    }
}

static void check_work(struct job *job)
{
    struct check_op *op = (struct check_op *)op_of(job);
    op->result = claims_read(handle_pool(op->op.handle), &op->check.definition, op->report.claims);
    if (op->result == 0) {
        look_as_ourselves(op);
        look_as_guests(op);
    }
}

/* ---- on the loop's thread */

static void check_after(struct job *job)
{
    struct op *op = op_back(job);
    if (op != NULL) {
        op_answer(op, op_outcome(((struct check_op *)op)->result));
    }
}

static void check_emit(struct op *op, enum outcome outcome)
{
    struct check_op *check = (struct check_op *)op;
    check->done(check->context, outcome, outcome == OUTCOME_DONE ? &check->report : NULL);
}

static bool hold_guests(struct check_op *op)
{
    for (uint32_t i = 0; i < op->check.definition.image_count; i++) {
        bool seen = false;
        for (uint32_t j = 0; j < i; j++) {
            seen = seen || strcmp(op->check.hosts[j], op->check.hosts[i]) == 0;
        }
        if (!seen) {
            op->guests[i] = guest_client_hold(op->op.io, op->check.guest_user, op->check.hosts[i]);
        }
        if (!seen && op->guests[i] == NULL) {
            return false;
        }
    }
    return true;
}

static void check_begin(struct op *op)
{
    if (hold_guests((struct check_op *)op)) {
        op_work(op, check_work, check_after);
    } else {
        op_answer(op, OUTCOME_FAILED);
    }
}

static void check_release(struct op *op)
{
    struct check_op *check = (struct check_op *)op;
    for (uint32_t i = 0; i < check->check.definition.image_count; i++) {
        if (check->guests[i] != NULL) {
            guest_client_drop(check->guests[i]);
        }
    }
}

void storage_io_check_images(struct storage_io *io, const struct image_check *check,
                             uint64_t deadline_ms,
                             void (*done)(void *context, enum outcome outcome,
                                          const struct image_report *report),
                             void *context)
{
    struct check_op *op = op_new_call(io, deadline_ms, sizeof(*op), check_emit);
    if (op == NULL) {
        done(context, OUTCOME_FAILED, NULL);
        return;
    }
    op->check = *check;
    op->check.definition.xml = NULL;
    op->op.release = check_release;
    op->done = done;
    op->context = context;
    op_begin(&op->op, check_begin);
}
