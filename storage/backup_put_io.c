/* From a backup into the pool. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/values.h"
#include "proto/wire_io.h"
#include "storage/backup_io.h"
#include "storage/lease_io.h"
#include "storage/restore.h"
#include "storage/state.h"
#include "storage/state_io.h"

#define RECORD_BYTES 1024
#define RAISES_MAX 20 /* of one lease that changes between its reading and its raise */

int backup_present_header(rados_ioctx_t pool, bool *ret_exists, struct header *ret_header)
{
    static const char *const keys[] = {STATE_KEY_HEADER};
    static const size_t sizes[] = {sizeof(STATE_KEY_HEADER) - 1};
    rados_omap_iter_t values = NULL;
    int result = 0;
    rados_read_op_t read = rados_create_read_op();
    memset(ret_header, 0, sizeof(*ret_header));
    rados_read_op_omap_get_vals_by_keys2(read, keys, 1, sizes, &values, &result);
    int r = rados_read_op_operate(read, pool, STORAGE_OBJECT, 0);
    *ret_exists = r == 0;
    if (r == 0 && state_find_header(values, ret_header) < 0) {
        memset(ret_header, 0, sizeof(*ret_header));
    }
    rados_omap_get_end(values);
    rados_release_read_op(read);
    return r == -ENOENT ? 0 : r;
}

/* ---- the state */

static int set_key(rados_write_op_t write, const char *key, const void *value, size_t size)
{
    const char *const keys[] = {key};
    const char *const values[] = {value};
    const size_t key_size = strlen(key);
    rados_write_op_omap_set2(write, keys, values, &key_size, &size, 1);
    return 0;
}

static int set_record(rados_write_op_t write, const struct record *record)
{
    char key[WIRE_KEY_BYTES];
    uint8_t bytes[RECORD_BYTES];
    size_t size = 0;
    wire_record_key(record->kind, record->slot, key);
    int r = wire_pack_record(record, bytes, sizeof(bytes), &size);
    return r < 0 ? r : set_key(write, key, bytes, size);
}

static int set_slots(rados_write_op_t write, const struct cluster *image, enum record_kind kind)
{
    int r = 0;
    for (uint32_t slot = 0; r == 0 && slot < state_slots(kind); slot++) {
        const struct record record = state_record(image, kind, slot);
        r = record.removed ? 0 : set_record(write, &record);
    }
    return r;
}

static int set_image(rados_write_op_t write, const struct cluster *image)
{
    char guard[STATE_GUARD_BYTES];
    uint8_t bytes[RECORD_BYTES];
    size_t size = 0;
    int r = wire_pack_header(&image->header, bytes, sizeof(bytes), &size);
    if (r < 0) {
        return r;
    }
    state_format_guard(guard, &image->header);
    set_key(write, STATE_KEY_HEADER, bytes, size);
    set_key(write, STATE_KEY_GUARD, guard, strlen(guard));
    for (unsigned kind = 0; r == 0 && kind < RECORD_KIND_COUNT; kind++) {
        r = set_slots(write, image, (enum record_kind)kind);
    }
    return r;
}

int backup_put_state(rados_ioctx_t pool, const struct cluster *image, bool exists,
                     const struct header *present)
{
    char guard[STATE_GUARD_BYTES];
    rados_write_op_t write = rados_create_write_op();
    if (!exists) {
        rados_write_op_create(write, LIBRADOS_CREATE_EXCLUSIVE, NULL);
    } else if (present->version != 0) {
        state_format_guard(guard, present);
        rados_write_op_omap_cmp2(write, STATE_KEY_GUARD, LIBRADOS_CMPXATTR_OP_EQ, guard,
                                 strlen(STATE_KEY_GUARD), strlen(guard), NULL);
    }
    rados_write_op_omap_clear(write);
    int r = set_image(write, image);
    if (r == 0) {
        r = rados_write_op_operate(write, pool, STORAGE_OBJECT, NULL, 0);
    }
    rados_release_write_op(write);
    return r;
}

/* ---- leases and definitions */

static int read_lease(rados_ioctx_t pool, const char *object, struct lease *ret_lease)
{
    static const char *const keys[] = {LEASE_KEY_GENERATION, LEASE_KEY_VALUE};
    static const size_t sizes[] = {sizeof(LEASE_KEY_GENERATION) - 1, sizeof(LEASE_KEY_VALUE) - 1};
    rados_omap_iter_t values = NULL;
    int result = 0;
    rados_read_op_t read = rados_create_read_op();
    rados_read_op_omap_get_vals_by_keys2(read, keys, 2, sizes, &values, &result);
    int r = rados_read_op_operate(read, pool, object, 0);
    if (r == 0) {
        r = lease_find(values, ret_lease);
    }
    rados_omap_get_end(values);
    rados_release_read_op(read);
    return r;
}

/* -ECANCELED: it is no longer at generation `from`. */
static int write_lease(rados_ioctx_t pool, const char *object, const struct lease *lease,
                       uint64_t from)
{
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_assert_exists(write);
    lease_compare(write, from);
    int r = lease_set(write, lease);
    if (r == 0) {
        r = rados_write_op_operate(write, pool, object, NULL, 0);
    }
    rados_release_write_op(write);
    return r;
}

int backup_follow_lease(rados_ioctx_t pool, struct cluster *image, uint32_t slot, bool raise)
{
    const struct uuid *vm = &image->vms[slot].uuid;
    char object[LEASE_OBJECT_BYTES];
    int r = -ECANCELED;
    lease_object(vm, object);
    for (unsigned i = 0; r == -ECANCELED && i < RAISES_MAX; i++) {
        struct lease lease;
        r = read_lease(pool, object, &lease);
        if (r == 0 && !(uuid_equal(&lease.vm, vm) &&
                        uuid_equal(&lease.cluster_id, &image->header.cluster_id))) {
            r = -EBADMSG;
        }
        if (r == 0 && raise) {
            const uint64_t from = lease.generation;
            lease = restore_raise(image, slot, &lease);
            r = write_lease(pool, object, &lease, from);
        }
        if (r == 0) {
            restore_know(image, slot, &lease);
        }
    }
    return r == -ECANCELED ? -EAGAIN : r;
}

void backup_set_nvram(rados_write_op_t write, const struct backup *backup, const char *object)
{
    for (size_t i = 0; i < backup->count; i++) {
        const struct backup_entry *entry = &backup->entries[i];
        if (strcmp(entry->object, object) != 0) {
            continue;
        }
        if (strcmp(entry->key, LEASE_KEY_NVRAM) == 0) {
            set_key(write, entry->key, entry->value, entry->size);
        } else if (entry->key[0] == '\0' && entry->size > 0) {
            rados_write_op_write_full(write, (const char *)entry->value, entry->size);
        }
    }
}

int backup_put_object(rados_ioctx_t pool, const struct backup *backup, const char *object)
{
    size_t found = 0;
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_create(write, LIBRADOS_CREATE_EXCLUSIVE, NULL);
    for (size_t i = 0; i < backup->count; i++) {
        const struct backup_entry *entry = &backup->entries[i];
        if (strcmp(entry->object, object) != 0) {
            continue;
        }
        found++;
        if (entry->key[0] != '\0') {
            set_key(write, entry->key, entry->value, entry->size);
        } else if (entry->size > 0) {
            rados_write_op_write_full(write, (const char *)entry->value, entry->size);
        }
    }
    int r = found == 0 ? -ENOENT : rados_write_op_operate(write, pool, object, NULL, 0);
    rados_release_write_op(write);
    return r;
}
