/*
 * Polls and commits of the state object. A commit is one atomic operation: compare the guard, set
 * the changed keys, the header and the new guard. The guard repeats (epoch, term, version) in a
 * fixed width because an omap comparison is of whole values, and a header holds more than is
 * compared.
 */
#include "storage/state_io.h"
#include "storage/handle_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "proto/clock_io.h"
#include "proto/digest.h"

#define RECORD_BYTES 1024 /* the largest packed record is below */
#define FIND_POOL_MS 5000
#define KEYS_MAX (DELTA_RECORDS_MAX + 2)

/* ---- poll */

static int unpack_header(const struct op_value *value, struct header *ret_header)
{
    const int r = wire_unpack_header(value->bytes, value->size, ret_header);
    return r == 0 && (ret_header->version == 0 || ret_header->epoch == 0) ? -EBADMSG : r;
}

int state_find_header(rados_omap_iter_t values, struct header *ret_header)
{
    struct op_value value;
    return op_find_value(values, STATE_KEY_HEADER, &value) ? unpack_header(&value, ret_header)
                                                           : -EBADMSG;
}

/* A storage that is away is asked again and again: its silence is logged once. That there is no
 * state, or none to be understood, the core says. */
static void poll_answer(struct op *op, int result)
{
    const enum outcome outcome = op_outcome(result);
    if (outcome != op->io->poll_outcome && result < 0 && result != -ENOENT && result != -EBADMSG) {
        warn_io_say("storage: the state cannot be read: %s", strerror(-result));
    }
    op->io->poll_outcome = outcome;
    if (outcome == OUTCOME_MISSING && clock_io_boot_ms() >= op->io->find_pool_ms) {
        op->io->find_pool_ms = clock_io_boot_ms() + FIND_POOL_MS;
        handle_find_pool(op->handle);
    }
    op->event.poll.garbled = result == -EBADMSG;
    op_answer(op, outcome);
}

struct poll_op {
    struct op op;
    uint32_t watch_count;
    uint32_t watch[NODES_MAX];
};

/* The header, and what those watched last wrote, in the order of the keys. */
static int take_poll(struct op *op)
{
    struct op_value value;
    int r = -EBADMSG;
    op->event.poll.beats = DIGEST_SEED;
    while (op_next_value(op->aio.values, &value)) {
        if (strcmp(value.key, STATE_KEY_HEADER) == 0) {
            r = unpack_header(&value, &op->event.poll.header);
        } else {
            op->event.poll.beats =
                digest_bytes(op->event.poll.beats, value.key, strlen(value.key) + 1);
            op->event.poll.beats = digest_bytes(op->event.poll.beats, value.bytes, value.size);
        }
    }
    return r;
}

static void poll_read(struct op *op, int result)
{
    poll_answer(op, result >= 0 ? take_poll(op) : result);
}

static void poll_begin(struct op *op)
{
    const struct poll_op *poll = (struct poll_op *)op;
    char names[NODES_MAX][WIRE_KEY_BYTES];
    const char *keys[NODES_MAX + 1] = {STATE_KEY_HEADER};
    for (uint32_t i = 0; i < poll->watch_count; i++) {
        snprintf(names[i], sizeof(names[i]), "beat/%" PRIu32, poll->watch[i]);
        keys[i + 1] = names[i];
    }
    op_new_read(op);
    op_ask_keys(op, keys, poll->watch_count + 1);
    op_read(op, STORAGE_OBJECT, poll_read);
}

static void poll_written(struct op *op, int result)
{
    if (result < 0) {
        poll_answer(op, result);
    } else {
        poll_begin(op);
    }
}

/* Never makes the object: that is `cluster init`'s. */
static void write_beat(struct op *op)
{
    char key[WIRE_KEY_BYTES], value[32];
    snprintf(key, sizeof(key), "beat/%" PRIu32, op->io->nodeid);
    snprintf(value, sizeof(value), "%" PRIu64 "/%" PRIu64, clock_io_boot_ms(), ++op->io->beats);
    const char *const keys[] = {key}, *const values[] = {value};
    const size_t key_sizes[] = {strlen(key)}, value_sizes[] = {strlen(value)};
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_assert_exists(write);
    rados_write_op_omap_set2(write, keys, values, key_sizes, value_sizes, 1);
    op_write(op, write, STORAGE_OBJECT, poll_written);
}

void state_poll(struct storage_io *io, const struct action *action)
{
    struct poll_op *poll = op_new(io, action, EVENT_POLL, sizeof(*poll));
    if (poll != NULL) {
        ASSERT(action->poll.watch_count <= NODES_MAX);
        poll->watch_count = action->poll.watch_count;
        memcpy(poll->watch, action->poll.watch, sizeof(poll->watch));
        op_begin_ahead(&poll->op, action->poll.write ? write_beat : poll_begin);
    }
}

/* ---- commit */

struct commit_op {
    struct op op;
    rados_write_op_t write; /* built when it was asked for: the delta is lent for that step only */
    bool create;
};

static void format_guard(char *text, uint32_t epoch, uint64_t term, uint64_t version)
{
    snprintf(text, STATE_GUARD_BYTES, "%010" PRIu32 "/%020" PRIu64 "/%020" PRIu64, epoch, term,
             version);
}

void state_format_guard(char ret_text[STATE_GUARD_BYTES], const struct header *header)
{
    format_guard(ret_text, header->epoch, header->term, header->version);
}

/* What one write operation sets; the packed values must last until it was built. */
struct keys {
    uint32_t set_count;
    uint32_t gone_count;
    char names[KEYS_MAX][WIRE_KEY_BYTES];
    const char *set_keys[KEYS_MAX];
    const char *values[KEYS_MAX];
    size_t set_key_sizes[KEYS_MAX];
    size_t value_sizes[KEYS_MAX];
    const char *gone_keys[KEYS_MAX];
    size_t gone_key_sizes[KEYS_MAX];
    uint8_t bytes[KEYS_MAX][RECORD_BYTES];
};

static void keys_set(struct keys *keys, const char *key, const void *value, size_t size)
{
    const uint32_t i = keys->set_count++;
    keys->set_keys[i] = key;
    keys->set_key_sizes[i] = strlen(key);
    keys->values[i] = value;
    keys->value_sizes[i] = size;
}

static int keys_add(struct keys *keys, const struct record *record)
{
    const uint32_t i = keys->set_count + keys->gone_count;
    wire_record_key(record->kind, record->slot, keys->names[i]);
    if (record->removed) {
        keys->gone_keys[keys->gone_count] = keys->names[i];
        keys->gone_key_sizes[keys->gone_count++] = strlen(keys->names[i]);
        return 0;
    }
    size_t size = 0;
    const int r = wire_pack_record(record, keys->bytes[i], RECORD_BYTES, &size);
    if (r == 0) {
        keys_set(keys, keys->names[i], keys->bytes[i], size);
    }
    return r;
}

static int fill(struct keys *keys, const struct delta *delta, const char *guard)
{
    for (uint32_t i = 0; i < delta->count; i++) {
        const int r = keys_add(keys, &delta->records[i]);
        if (r < 0) {
            return r;
        }
    }
    size_t size = 0;
    const int r = wire_pack_header(&delta->header, keys->bytes[KEYS_MAX - 1], RECORD_BYTES, &size);
    if (r == 0) {
        keys_set(keys, STATE_KEY_HEADER, keys->bytes[KEYS_MAX - 1], size);
        keys_set(keys, STATE_KEY_GUARD, guard, strlen(guard));
    }
    return r;
}

static void compare(rados_write_op_t write, const struct delta *delta, bool create)
{
    if (create) {
        rados_write_op_create(write, LIBRADOS_CREATE_EXCLUSIVE, NULL);
        return;
    }
    char base[STATE_GUARD_BYTES];
    format_guard(base, delta->header.epoch, delta->base_term, delta->header.version - 1);
    rados_write_op_omap_cmp2(write, STATE_KEY_GUARD, LIBRADOS_CMPXATTR_OP_EQ, base,
                             strlen(STATE_KEY_GUARD), strlen(base), NULL);
}

static int build(const struct delta *delta, bool create, rados_write_op_t *ret_write)
{
    char guard[STATE_GUARD_BYTES];
    struct keys *keys = delta->count <= DELTA_RECORDS_MAX ? calloc(1, sizeof(*keys)) : NULL;
    if (keys == NULL) {
        return delta->count <= DELTA_RECORDS_MAX ? -ENOMEM : -EINVAL;
    }
    format_guard(guard, delta->header.epoch, delta->header.term, delta->header.version);
    const int r = fill(keys, delta, guard);
    if (r == 0) {
        rados_write_op_t write = rados_create_write_op();
        compare(write, delta, create);
        rados_write_op_omap_set2(write, keys->set_keys, keys->values, keys->set_key_sizes,
                                 keys->value_sizes, keys->set_count);
        if (keys->gone_count != 0) {
            rados_write_op_omap_rm_keys2(write, keys->gone_keys, keys->gone_key_sizes,
                                         keys->gone_count);
        }
        *ret_write = write;
    }
    free(keys);
    return r;
}

/* What a refused commit finds there. */
struct found {
    struct header header;
    size_t header_size;
    uint8_t header_bytes[RECORD_BYTES];
    bool guard_agrees;
};

static int take_found(rados_omap_iter_t values, struct found *ret_found)
{
    struct op_value value;
    char guard[STATE_GUARD_BYTES] = "", wanted[STATE_GUARD_BYTES];
    int r = -EBADMSG;
    while (op_next_value(values, &value)) {
        if (strcmp(value.key, STATE_KEY_HEADER) == 0 && value.size <= RECORD_BYTES) {
            memcpy(ret_found->header_bytes, value.bytes, value.size);
            ret_found->header_size = value.size;
            r = wire_unpack_header(value.bytes, value.size, &ret_found->header);
        } else if (strcmp(value.key, STATE_KEY_GUARD) == 0 && value.size < STATE_GUARD_BYTES) {
            memcpy(guard, value.bytes, value.size);
        }
    }
    const struct header *header = &ret_found->header;
    format_guard(wanted, header->epoch, header->term, header->version);
    ret_found->guard_agrees = strcmp(guard, wanted) == 0;
    return r;
}

static void guard_written(struct op *op, int result)
{
    warn_io_say("storage: the state's guard did not say what its header says: written anew: %s",
                result < 0 ? strerror(-result) : "done");
    op_answer(op, OUTCOME_REFUSED); /* what was refused is sent again */
}

/* Header and guard are always written together, so a guard that says something else is damaged, and
 * no commit would ever take effect again. It follows from the header: written anew, unless that
 * header has changed meanwhile. */
static void write_guard(struct op *op, const struct found *found)
{
    char guard[STATE_GUARD_BYTES];
    const char *const keys[] = {STATE_KEY_GUARD}, *const values[] = {guard};
    format_guard(guard, found->header.epoch, found->header.term, found->header.version);
    const size_t key_sizes[] = {strlen(STATE_KEY_GUARD)}, value_sizes[] = {strlen(guard)};
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_omap_cmp2(write, STATE_KEY_HEADER, LIBRADOS_CMPXATTR_OP_EQ,
                             (const char *)found->header_bytes, strlen(STATE_KEY_HEADER),
                             found->header_size, NULL);
    rados_write_op_omap_set2(write, keys, values, key_sizes, value_sizes, 1);
    op_write(op, write, STORAGE_OBJECT, guard_written);
}

static void ask_found(struct op *op, void (*after)(struct op *op, int result))
{
    static const char *const keys[] = {STATE_KEY_GUARD, STATE_KEY_HEADER};
    op_new_read(op);
    op_ask_keys(op, keys, 2);
    op_read(op, STORAGE_OBJECT, after);
}

/* It was refused; what stands there now? Without that nobody can say whose it is. */
static void commit_refused(struct op *op, int result)
{
    struct found found = {.guard_agrees = false};
    if (result >= 0) {
        result = take_found(op->aio.values, &found);
        op->event.commit.header = found.header;
    }
    if (result >= 0 && !found.guard_agrees && !((struct commit_op *)op)->create) {
        write_guard(op, &found);
        return;
    }
    const enum outcome outcome = op_outcome(result);
    op_answer(op, outcome == OUTCOME_DONE          ? OUTCOME_REFUSED
                  : outcome == OUTCOME_BLOCKLISTED ? OUTCOME_BLOCKLISTED
                                                   : OUTCOME_UNKNOWN);
}

static void commit_written(struct op *op, int result)
{
    const enum outcome outcome = op_outcome(result);
    if (outcome == OUTCOME_REFUSED) {
        ask_found(op, commit_refused);
        return;
    }
    if (result < 0) {
        warn_io_say("storage: commit: %s", strerror(-result));
    }
    op_answer(op, outcome);
}

static void commit_begin(struct op *op)
{
    struct commit_op *commit = (struct commit_op *)op;
    if (op_stale(op)) {
        op_answer(op, OUTCOME_STALE);
        return;
    }
    op_write(op, commit->write, STORAGE_OBJECT, commit_written);
    commit->write = NULL;
}

static void commit_release(struct op *op)
{
    struct commit_op *commit = (struct commit_op *)op;
    if (commit->write != NULL) {
        rados_release_write_op(commit->write);
    }
}

void state_commit(struct storage_io *io, const struct action *action, const struct delta *delta)
{
    struct commit_op *commit = op_new(io, action, EVENT_COMMIT, sizeof(*commit));
    if (commit == NULL) {
        return;
    }
    commit->op.release = commit_release;
    commit->create = action->commit.create;
    const int r = build(delta, commit->create, &commit->write);
    if (r < 0) {
        warn_io_say("storage: commit of version %" PRIu64 " cannot be packed: %s",
                    delta->header.version, strerror(-r));
        op_answer(&commit->op, OUTCOME_FAILED);
        return;
    }
    op_begin_ahead(&commit->op, commit_begin);
}
