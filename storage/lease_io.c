/*
 * Reading and changing run leases. What a lease means is decided elsewhere (storage/lease.c); here
 * is only compare-and-set, and never a second try: a change of unknown fate is the caller's to
 * settle.
 */
#include "storage/lease_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/values.h"
#include "storage/definition_io.h"

#define DEFINITIONS_MAX 64 /* versions removed with a lease */

struct lease_op {
    struct op op;
    char object[LEASE_OBJECT_BYTES];
    struct lease wanted;
    uint32_t version_count; /* LEASE_REMOVE: definitions to go with it */
    uint32_t versions[DEFINITIONS_MAX];
};

void lease_object(const struct uuid *vm, char ret_object[LEASE_OBJECT_BYTES])
{
    char text[UUID_TEXT_BYTES];
    uuid_format(vm, text);
    snprintf(ret_object, LEASE_OBJECT_BYTES, "lease/%s", text);
}

/* The value of LEASE_KEY_GENERATION: fixed width, because an omap comparison is of whole values. */
static void format_generation(uint64_t generation, char ret_text[LEASE_GENERATION_BYTES])
{
    snprintf(ret_text, LEASE_GENERATION_BYTES, "%020" PRIu64, generation);
}

int lease_set(rados_write_op_t write, const struct lease *lease)
{
    uint8_t bytes[LEASE_BYTES];
    char generation[LEASE_GENERATION_BYTES];
    size_t size = 0;
    const int r = wire_pack_lease(lease, bytes, sizeof(bytes), &size);
    if (r < 0) {
        return r;
    }
    format_generation(lease->generation, generation);
    const char *const keys[] = {LEASE_KEY_GENERATION, LEASE_KEY_VALUE};
    const char *const values[] = {generation, (const char *)bytes};
    const size_t key_sizes[] = {strlen(keys[0]), strlen(keys[1])};
    const size_t value_sizes[] = {strlen(generation), size};
    rados_write_op_omap_set2(write, keys, values, key_sizes, value_sizes, 2);
    return 0;
}

void lease_compare(rados_write_op_t write, uint64_t generation)
{
    char text[LEASE_GENERATION_BYTES];
    format_generation(generation, text);
    rados_write_op_omap_cmp2(write, LEASE_KEY_GENERATION, LIBRADOS_CMPXATTR_OP_EQ, text,
                             strlen(LEASE_KEY_GENERATION), strlen(text), NULL);
}

int lease_find(rados_omap_iter_t values, struct lease *ret_lease)
{
    struct op_value value;
    char expected[LEASE_GENERATION_BYTES] = "", found[LEASE_GENERATION_BYTES] = "";
    int r = -EBADMSG;
    while (op_next_value(values, &value)) {
        if (strcmp(value.key, LEASE_KEY_VALUE) == 0) {
            r = wire_unpack_lease(value.bytes, value.size, ret_lease);
        } else if (strcmp(value.key, LEASE_KEY_GENERATION) == 0 && value.size < sizeof(found)) {
            memcpy(found, value.bytes, value.size);
        }
    }
    if (r == 0) {
        format_generation(ret_lease->generation, expected);
    }
    return r == 0 && strcmp(expected, found) == 0 ? 0 : -EBADMSG;
}

/* ---- read */

static void ask_lease(struct op *op, void (*after)(struct op *op, int result))
{
    static const char *const keys[] = {LEASE_KEY_GENERATION, LEASE_KEY_VALUE};
    op_new_read(op);
    op_ask_keys(op, keys, 2);
    op_read(op, ((struct lease_op *)op)->object, after);
}

/* Fills the event's lease from what was read, if it is this VM's. */
static int take_lease(struct op *op, int result)
{
    const struct lease_op *const lease = (const struct lease_op *)op;
    struct event_lease *const event = &op->event.lease;
    struct lease found;
    if (result >= 0) {
        result = lease_find(op->aio.values, &found);
    }
    if (result >= 0 && !uuid_equal(&found.vm, &lease->wanted.vm)) {
        result = -EBADMSG;
    }
    if (result >= 0) {
        event->has_lease = true;
        event->lease = found;
    }
    return result;
}

static void log_failure(const struct op *op, const char *what, int result)
{
    const enum outcome outcome = op_outcome(result);
    if (outcome != OUTCOME_DONE && outcome != OUTCOME_MISSING && outcome != OUTCOME_REFUSED) {
        warn_io_say("storage: %s %s: %s", what, ((const struct lease_op *)op)->object,
                    strerror(-result));
    }
}

static void read_done(struct op *op, int result)
{
    result = take_lease(op, result);
    log_failure(op, "reading", result);
    op_answer(op, op_outcome(result));
}

static void read_begin(struct op *op)
{
    ask_lease(op, read_done);
}

static struct lease_op *new_lease_op(struct storage_io *io, const struct action *action)
{
    struct lease_op *lease = op_new(io, action, EVENT_LEASE, sizeof(*lease));
    if (lease != NULL) {
        lease->wanted = action->lease.lease;
        lease_object(&lease->wanted.vm, lease->object);
    }
    return lease;
}

void lease_io_read(struct storage_io *io, const struct action *action)
{
    struct lease_op *lease = new_lease_op(io, action);
    if (lease != NULL) {
        op_begin(&lease->op, read_begin);
    }
}

/* ---- change */

static void change_refused(struct op *op, int result)
{
    result = take_lease(op, result);
    log_failure(op, "reading", result);
    const enum outcome outcome = op_outcome(result);
    op_answer(op, outcome == OUTCOME_DONE          ? OUTCOME_REFUSED
                  : outcome == OUTCOME_BLOCKLISTED ? OUTCOME_BLOCKLISTED
                                                   : OUTCOME_UNKNOWN);
}

static void change_written(struct op *op, int result)
{
    if (op_outcome(result) == OUTCOME_REFUSED) {
        ask_lease(op, change_refused);
        return;
    }
    if (result >= 0) {
        op->event.lease.has_lease = true;
        op->event.lease.lease = ((struct lease_op *)op)->wanted;
    }
    log_failure(op, "changing", result);
    op_answer(op, op_outcome(result));
}

static void change_write(struct op *op)
{
    const struct lease_op *const lease = (const struct lease_op *)op;
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_assert_exists(write);
    lease_compare(write, lease->wanted.generation - 1);
    const int r = lease_set(write, &lease->wanted);
    if (r < 0 || op_stale(op)) {
        rados_release_write_op(write);
        log_failure(op, "packing", r);
        op_answer(op, r < 0 ? OUTCOME_FAILED : OUTCOME_STALE);
        return;
    }
    op_write(op, write, lease->object, change_written);
}

static void change_map_seen(struct op *op, int result)
{
    if (result < 0) {
        log_failure(op, "waiting for the map for", result);
        op_answer(op, OUTCOME_FAILED); /* nothing was sent */
        return;
    }
    change_write(op);
}

static void change_wait(struct op *op)
{
    op_wait_map(op, change_map_seen);
}

void lease_io_change(struct storage_io *io, const struct action *action)
{
    struct lease_op *lease = new_lease_op(io, action);
    if (lease != NULL) {
        op_begin(&lease->op, action->lease.wait_map ? change_wait : change_write);
    }
}

/* ---- remove: only while free (or held by that life) at that generation; its definitions after it
 */

static void remove_next_definition(struct op *op, int result)
{
    struct lease_op *lease = (struct lease_op *)op;
    log_failure(op, "removing a definition of", result);
    if (lease->version_count == 0) {
        op_answer(op, OUTCOME_DONE);
        return;
    }
    char object[DEFINITION_OBJECT_BYTES];
    definition_object(&lease->wanted.vm, lease->versions[--lease->version_count], object);
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_remove(write);
    op_write(op, write, object, remove_next_definition);
}

static void remove_done(struct op *op, int result)
{
    if (result < 0) {
        log_failure(op, "removing", result);
        op_answer(op, op_outcome(result));
        return;
    }
    remove_next_definition(op, 0);
}

static void note_versions(struct lease_op *lease, rados_omap_iter_t page, struct lease *ret_lease,
                          bool *ret_found)
{
    struct op_value value;
    while (op_next_value(page, &value)) {
        uint32_t version = 0;
        if (strcmp(value.key, LEASE_KEY_VALUE) == 0) {
            *ret_found = wire_unpack_lease(value.bytes, value.size, ret_lease) == 0;
        } else if (definition_parse_key(value.key, &version) &&
                   lease->version_count < DEFINITIONS_MAX) {
            lease->versions[lease->version_count++] = version;
        }
    }
}

static void remove_read(struct op *op, int result)
{
    struct lease_op *lease = (struct lease_op *)op;
    struct lease found;
    bool is_there = false;
    if (result >= 0) {
        note_versions(lease, op->aio.page, &found, &is_there);
    }
    if (!is_there || found.state != lease->wanted.state ||
        !incarnation_equal(found.incarnation, lease->wanted.incarnation) ||
        found.generation != lease->wanted.generation) {
        warn_io_say("storage: %s is left in place: %s", lease->object,
                    result < 0 ? strerror(-result) : "not as it was");
        op_answer(op, result < 0 ? op_outcome(result) : OUTCOME_REFUSED);
        return;
    }
    if (op_stale(op)) {
        op_answer(op, OUTCOME_STALE);
        return;
    }
    rados_write_op_t write = rados_create_write_op();
    lease_compare(write, lease->wanted.generation);
    rados_write_op_remove(write);
    op_write(op, write, lease->object, remove_done);
}

static void remove_begin(struct op *op)
{
    struct aio *aio = op_new_read(op);
    rados_read_op_omap_get_vals2(aio->read, "", "", DEFINITIONS_MAX + 3, &aio->page, &aio->more,
                                 NULL);
    op_read(op, ((struct lease_op *)op)->object, remove_read);
}

void lease_io_remove(struct storage_io *io, const struct action *action)
{
    struct lease_op *lease = new_lease_op(io, action);
    if (lease != NULL) {
        op_begin(&lease->op, remove_begin);
    }
}
