/* Firmware variables between a file and the lease object; all of it in workers. */
#define _GNU_SOURCE /* mkostemp */
#include "storage/nvram_io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/values.h"
#include "storage/handle_io.h"
#include "storage/lease_io.h"

#define SAVER_BYTES 16

struct nvram_op {
    struct op op;
    struct nvram_place place;
    struct nvram_stamp stamp;
    int result;
    void (*saved)(void *context, enum outcome outcome, const struct nvram_stamp *stamp);
    void (*restored)(void *context, enum outcome outcome);
    void *context;
};

static struct nvram_stamp stamp_from(const struct stat *status)
{
    return (struct nvram_stamp){.changed_ns = (int64_t)status->st_mtim.tv_sec * 1000000000 +
                                              status->st_mtim.tv_nsec,
                                .size = status->st_size};
}

struct nvram_stamp nvram_stamp_of(const char *path)
{
    struct stat status;
    struct nvram_stamp none = {.size = 0};
    return stat(path, &status) == 0 ? stamp_from(&status) : none;
}

bool nvram_stamp_equal(const struct nvram_stamp *a, const struct nvram_stamp *b)
{
    return a->changed_ns == b->changed_ns && a->size == b->size;
}

/* ---- file to RADOS */

/* The whole file; the stamp is from before the reading, so that a change during it shows. */
static int read_file(const char *path, struct nvram_stamp *ret_stamp, char **ret_bytes,
                     size_t *ret_size)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    int r = fstat(fd, &status) < 0 ? -errno : 0;
    if (r == 0 &&
        (!S_ISREG(status.st_mode) || status.st_size == 0 || status.st_size > NVRAM_BYTES_MAX)) {
        r = -EINVAL;
    }
    size_t size = r == 0 ? (size_t)status.st_size : 0;
    char *bytes = r == 0 ? malloc(size) : NULL;
    if (r == 0 && bytes == NULL) {
        r = -ENOMEM;
    }
    for (size_t done = 0; r == 0 && done < size;) {
        ssize_t got = pread(fd, bytes + done, size - done, (off_t)done);
        r = got < 0 ? -errno : got == 0 ? -EIO : 0;
        done += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    if (r < 0) {
        free(bytes);
        return r;
    }
    *ret_stamp = stamp_from(&status);
    *ret_bytes = bytes;
    *ret_size = size;
    return 0;
}

static int write_copy(const struct nvram_op *op, const char *bytes, size_t size)
{
    char object[LEASE_OBJECT_BYTES], saver[SAVER_BYTES];
    snprintf(saver, sizeof(saver), "%" PRIu32, op->op.io->nodeid);
    const char *const key = LEASE_KEY_NVRAM, *const value = saver;
    const size_t key_size = strlen(key), value_size = strlen(saver);
    lease_object(&op->place.vm, object);
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_assert_exists(write);
    lease_compare(write, op->place.generation);
    rados_write_op_write_full(write, bytes, size);
    rados_write_op_omap_set2(write, &key, &value, &key_size, &value_size, 1);
    const int r = rados_write_op_operate(write, handle_pool(op->op.handle), object, NULL, 0);
    rados_release_write_op(write);
    return r;
}

static void save_work(struct job *job)
{
    struct nvram_op *op = (struct nvram_op *)op_of(job);
    char *bytes = NULL;
    size_t size = 0;
    op->result = read_file(op->place.path, &op->stamp, &bytes, &size);
    if (op->result == 0) {
        op->result = storage_stale(op->op.deadline_ms) ? -ETIMEDOUT : write_copy(op, bytes, size);
    }
    free(bytes);
}

/* ---- RADOS to file */

/* Who made the copy, and how large it is. -ENOENT: there is none. */
static int read_saver(const struct nvram_op *op, const char *object, uint32_t *ret_nodeid,
                      uint64_t *ret_size)
{
    const char *const key = LEASE_KEY_NVRAM;
    const size_t key_size = strlen(key);
    rados_omap_iter_t found = NULL;
    struct op_value value;
    char saver[SAVER_BYTES] = "";
    int step = 0;
    rados_read_op_t read = rados_create_read_op();
    rados_read_op_stat(read, ret_size, NULL, NULL);
    rados_read_op_omap_get_vals_by_keys2(read, &key, 1, &key_size, &found, &step);
    int r = rados_read_op_operate(read, handle_pool(op->op.handle), object, 0);
    if (r == 0 && !op_next_value(found, &value)) {
        r = -ENOENT;
    } else if (r == 0 && value.size < sizeof(saver)) {
        memcpy(saver, value.bytes, value.size);
        *ret_nodeid = (uint32_t)strtoul(saver, NULL, 10);
    }
    rados_omap_get_end(found);
    rados_release_read_op(read);
    return r;
}

/* The place's folder, made if need be; the file's owner is to be the folder's where it is new: QEMU
 * must be able to read it, whether libvirt changes owners or not. */
static int open_new(const char *path, char *ret_temporary, size_t size, int *ret_fd)
{
    char folder[NVRAM_PATH_BYTES];
    struct stat status;
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder ||
        (size_t)snprintf(ret_temporary, size, "%s.steadXXXXXX", path) >= size) {
        return -EINVAL;
    }
    *slash = '\0';
    if (mkdir(folder, 0711) == 0 ? chmod(folder, 0711) < 0 : errno != EEXIST) { /* our umask: 077 */
        return -errno;
    }
    if (stat(path, &status) < 0 && stat(folder, &status) < 0) {
        return -errno;
    }
    int fd = mkostemp(ret_temporary, O_CLOEXEC); /* another try may be writing, too */
    if (fd < 0) {
        return -errno;
    }
    if (fchown(fd, status.st_uid, status.st_gid) < 0) {
        const int r = -errno;
        (void)unlink(ret_temporary);
        close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

/* Whole or not at all, also over a crash; and not late, when it may be a running guest's. */
static int write_file(const struct nvram_op *op, const char *bytes, size_t size)
{
    const char *const path = op->place.path;
    char temporary[NVRAM_PATH_BYTES + 16];
    int fd = -1;
    int r = open_new(path, temporary, sizeof(temporary), &fd);
    for (size_t done = 0; r == 0 && done < size;) {
        ssize_t put = write(fd, bytes + done, size - done);
        r = put < 0 && errno != EINTR ? -errno : 0;
        done += put > 0 ? (size_t)put : 0;
    }
    if (r == 0 && fsync(fd) < 0) {
        r = -errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (r == 0 && storage_stale(op->op.deadline_ms)) {
        r = -ETIMEDOUT;
    }
    if (r == 0 && rename(temporary, path) < 0) {
        r = -errno;
    }
    if (r < 0 && fd >= 0) {
        (void)unlink(temporary);
    }
    return r;
}

static int restore(struct nvram_op *op)
{
    char object[LEASE_OBJECT_BYTES];
    uint32_t saver = 0;
    uint64_t size = 0;
    lease_object(&op->place.vm, object);
    int r = read_saver(op, object, &saver, &size);
    if (r == -ENOENT) {
        return 0; /* libvirt makes the file from its template */
    }
    if (r < 0 || (saver == op->op.io->nodeid && access(op->place.path, F_OK) == 0)) {
        return r;
    }
    char *bytes = size > 0 && size <= NVRAM_BYTES_MAX ? malloc(size) : NULL;
    if (bytes == NULL) {
        return size > 0 && size <= NVRAM_BYTES_MAX ? -ENOMEM : -EBADMSG;
    }
    r = rados_read(handle_pool(op->op.handle), object, bytes, size, 0);
    if (r >= 0) {
        r = (uint64_t)r == size ? write_file(op, bytes, size) : -EBADMSG;
    }
    free(bytes);
    return r;
}

static void restore_work(struct job *job)
{
    struct nvram_op *op = (struct nvram_op *)op_of(job);
    op->result = restore(op);
}

/* ---- on the loop's thread */

static void nvram_after(struct job *job)
{
    struct op *op = op_back(job);
    if (op == NULL) {
        return;
    }
    const struct nvram_op *nvram = (const struct nvram_op *)op;
    const enum outcome outcome = op_outcome(nvram->result);
    if (outcome != OUTCOME_DONE && outcome != OUTCOME_MISSING && outcome != OUTCOME_REFUSED) {
        warn_io_say("storage: firmware variables %s: %s", nvram->place.path,
                    strerror(-nvram->result));
    }
    op_answer(op, outcome);
}

static void nvram_emit(struct op *op, enum outcome outcome)
{
    struct nvram_op *nvram = (struct nvram_op *)op;
    if (nvram->saved != NULL) {
        nvram->saved(nvram->context, outcome, outcome == OUTCOME_DONE ? &nvram->stamp : NULL);
    } else {
        nvram->restored(nvram->context, outcome);
    }
}

static void save_begin(struct op *op)
{
    op_work(op, save_work, nvram_after);
}

static void restore_begin(struct op *op)
{
    op_work(op, restore_work, nvram_after);
}

static struct nvram_op *new_nvram_op(struct storage_io *io, const struct nvram_place *place,
                                     uint64_t deadline_ms, void *context)
{
    struct nvram_op *op = op_new_call(io, deadline_ms, sizeof(*op), nvram_emit);
    if (op != NULL) {
        op->place = *place;
        op->context = context;
    }
    return op;
}

void storage_io_save_nvram(struct storage_io *io, const struct nvram_place *place,
                           uint64_t deadline_ms,
                           void (*done)(void *context, enum outcome outcome,
                                        const struct nvram_stamp *stamp),
                           void *context)
{
    struct nvram_op *op = new_nvram_op(io, place, deadline_ms, context);
    if (op == NULL) {
        done(context, OUTCOME_FAILED, NULL);
        return;
    }
    op->saved = done;
    op_begin(&op->op, save_begin);
}

void storage_io_restore_nvram(struct storage_io *io, const struct nvram_place *place,
                              uint64_t deadline_ms,
                              void (*done)(void *context, enum outcome outcome), void *context)
{
    struct nvram_op *op = new_nvram_op(io, place, deadline_ms, context);
    if (op == NULL) {
        done(context, OUTCOME_FAILED);
        return;
    }
    op->restored = done;
    op_begin(&op->op, restore_begin);
}
