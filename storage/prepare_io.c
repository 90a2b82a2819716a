/*
 * `vm add`, the part in RADOS: the images are claimed, the lease is there, the definition is
 * stored. In that order: what stands half-way is a claim of a VM nobody knows and a lease without a
 * VM. A free one holds nobody up; a held one (of a running domain) is said, and taken up by the
 * next try.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/values.h"
#include "storage/claim_io.h"
#include "storage/definition_io.h"
#include "storage/handle_io.h"
#include "storage/lease_io.h"

struct prepare_op {
    struct op op;
    struct preparation wanted; /* without the XML: that is in `bytes` */
    uint8_t *bytes;
    size_t size;
    enum outcome outcome; /* the worker's, with generation and text */
    uint64_t generation;
    char text[TEXT_BYTES];
    void (*done)(void *context, enum outcome outcome, uint64_t generation, const char *text);
    void *context;
};

/* Keeps the first thing that went wrong. */
static bool failed(struct prepare_op *prepare, int result, const char *what, const char *name)
{
    if (result >= 0) {
        return false;
    }
    prepare->outcome = op_outcome(result);
    if (prepare->outcome == OUTCOME_REFUSED) { /* a race lost between our own two steps */
        prepare->outcome = OUTCOME_FAILED;
    }
    snprintf(prepare->text, sizeof(prepare->text), "%.16s %.130s: %.40s", what, name,
             strerror(-result));
    return true;
}

static bool claimed(struct prepare_op *prepare)
{
    const struct definition *const definition = &prepare->wanted.definition;
    char name[NAME_BYTES * 3 + 2];
    uint32_t image = 0;
    const int r =
        claims_take(handle_pool(prepare->op.handle), definition, prepare->wanted.claims, &image);
    snprintf(name, sizeof(name), "%s/%s", definition->images[image].pool,
             definition->images[image].name);
    if (r == -ECANCELED) {
        prepare->outcome = OUTCOME_REFUSED;
        snprintf(prepare->text, sizeof(prepare->text),
                 "another VM was just given the image %.130s: see stead vm list", name);
        return false;
    }
    return !failed(prepare, r, "claim on", name);
}

/* Free, or held by this node for the domain that runs on it. */
static struct lease lease_wanted(const struct preparation *wanted, uint64_t generation)
{
    struct lease lease = {
        .cluster_id = wanted->cluster_id, .vm = wanted->definition.vm, .generation = generation};
    if (wanted->running) {
        lease.state = LEASE_HELD;
        lease.holder = wanted->holder;
        lease.incarnation = wanted->incarnation;
        lease.clients = wanted->clients;
    }
    return lease;
}

static void set_version_key(rados_write_op_t write, uint32_t version)
{
    char key[WIRE_KEY_BYTES];
    definition_format_key(version, key);
    const char *const keys[] = {key}, *const values[] = {""};
    const size_t key_sizes[] = {strlen(key)}, value_sizes[] = {0};
    rados_write_op_omap_set2(write, keys, values, key_sizes, value_sizes, 1);
}

/* The definition's version is its first generation (storage_io.h says why). -EEXIST if there is one
 * already. */
static int make_lease(struct prepare_op *prepare, const char *object)
{
    const struct lease lease = lease_wanted(&prepare->wanted, prepare->wanted.definition.version);
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_create(write, LIBRADOS_CREATE_EXCLUSIVE, NULL);
    set_version_key(write, prepare->wanted.definition.version);
    int r = lease_set(write, &lease);
    if (r == 0) {
        r = rados_write_op_operate(write, handle_pool(prepare->op.handle), object, NULL, 0);
    }
    rados_release_write_op(write);
    prepare->generation = lease.generation;
    return r;
}

static int read_lease(rados_ioctx_t pool, const char *object, struct lease *ret_lease)
{
    rados_omap_iter_t page = NULL;
    unsigned char more = 0;
    rados_read_op_t read = rados_create_read_op();
    rados_read_op_omap_get_vals2(read, "", "", 1024, &page, &more, NULL);
    int r = rados_read_op_operate(read, pool, object, 0);
    if (r == 0) {
        r = lease_find(page, ret_lease);
    }
    rados_omap_get_end(page);
    rados_release_read_op(read);
    return r;
}

/* Of an earlier life of it; those of this one are copied after this. */
static void drop_nvram(rados_write_op_t write)
{
    const char *const key = LEASE_KEY_NVRAM;
    const size_t key_size = strlen(key);
    rados_write_op_omap_rm_keys2(write, &key, &key_size, 1);
}

/* Left by an adoption of this node's that never came to its commit. */
static bool is_half_done(const struct prepare_op *prepare, const struct lease *lease)
{
    return prepare->wanted.running && lease->state == LEASE_HELD &&
           lease->holder == prepare->wanted.holder;
}

static bool usable(struct prepare_op *prepare, const struct lease *lease, const char *object)
{
    const bool ours = uuid_equal(&lease->cluster_id, &prepare->wanted.cluster_id);
    const bool its = uuid_equal(&lease->vm, &prepare->wanted.definition.vm);
    if (ours && its && (lease->state == LEASE_FREE || is_half_done(prepare, lease))) {
        return true;
    }
    prepare->outcome = OUTCOME_REFUSED;
    snprintf(prepare->text, sizeof(prepare->text),
             ours ? "its run lease is held by node %" PRIu32
                    " (object %s): if a vm add --adopt broke off there, repeat it there"
                  : "its run lease is another cluster's (held there by node %" PRIu32
                    "; object %s): remove the VM there first",
             lease->holder, object);
    return false;
}

/* One that is there already will do if it is this cluster's and free; it then tells of this version
 * too, one generation on, so that a late removal or change of before does not match. */
static bool use_lease(struct prepare_op *prepare, const char *object)
{
    struct lease lease;
    rados_ioctx_t pool = handle_pool(prepare->op.handle);
    if (failed(prepare, read_lease(pool, object, &lease), "run lease", object)) {
        return false;
    }
    if (!usable(prepare, &lease, object)) {
        return false;
    }
    const struct lease next = lease_wanted(&prepare->wanted, lease.generation + 1);
    rados_write_op_t write = rados_create_write_op();
    lease_compare(write, lease.generation);
    drop_nvram(write);
    set_version_key(write, prepare->wanted.definition.version);
    int r = lease_set(write, &next);
    if (r == 0) {
        r = rados_write_op_operate(write, pool, object, NULL, 0);
    }
    rados_release_write_op(write);
    prepare->generation = next.generation;
    return !failed(prepare, r, "run lease", object);
}

static bool have_lease(struct prepare_op *prepare)
{
    char object[LEASE_OBJECT_BYTES];
    lease_object(&prepare->wanted.definition.vm, object);
    const int r = make_lease(prepare, object);
    return r == -EEXIST ? use_lease(prepare, object) : !failed(prepare, r, "run lease", object);
}

static void prepare_work(struct job *job)
{
    struct prepare_op *prepare = (struct prepare_op *)op_of(job);
    prepare->outcome = OUTCOME_UNKNOWN; /* nothing is begun after the deadline */
    if (storage_stale(prepare->op.deadline_ms) || !claimed(prepare) ||
        storage_stale(prepare->op.deadline_ms) || !have_lease(prepare)) {
        return;
    }
    char object[DEFINITION_OBJECT_BYTES];
    definition_object(&prepare->wanted.definition.vm, prepare->wanted.definition.version, object);
    const int r = rados_write_full(handle_pool(prepare->op.handle), object,
                                   (const char *)prepare->bytes, prepare->size);
    if (!failed(prepare, r, "definition", object)) {
        prepare->outcome = OUTCOME_DONE;
    }
}

static void prepare_after(struct job *job)
{
    struct op *op = op_back(job);
    if (op != NULL) {
        op_answer(op, ((struct prepare_op *)op)->outcome);
    }
}

/* At the deadline the worker may still be writing its text: that is not looked at then. */
static void prepare_emit(struct op *op, enum outcome outcome)
{
    struct prepare_op *prepare = (struct prepare_op *)op;
    const char *text = outcome == OUTCOME_UNKNOWN ? "no answer from the storage in time"
                       : op->handle == NULL       ? "no connection to the storage"
                       : outcome == OUTCOME_DONE  ? ""
                                                  : prepare->text;
    prepare->done(prepare->context, outcome, outcome == OUTCOME_DONE ? prepare->generation : 0,
                  text);
}

static void prepare_begin(struct op *op)
{
    op_work(op, prepare_work, prepare_after);
}

static void prepare_release(struct op *op)
{
    free(((struct prepare_op *)op)->bytes);
}

void storage_io_prepare_vm(struct storage_io *io, const struct preparation *preparation,
                           uint64_t deadline_ms,
                           void (*done)(void *context, enum outcome outcome, uint64_t generation,
                                        const char *text),
                           void *context)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (definition_pack(&preparation->definition, &bytes, &size) < 0) {
        done(context, OUTCOME_FAILED, 0, "its definition is too large, or not as its digest says");
        return;
    }
    struct prepare_op *prepare = op_new_call(io, deadline_ms, sizeof(*prepare), prepare_emit);
    if (prepare == NULL) {
        free(bytes);
        done(context, OUTCOME_FAILED, 0, "too much is under way: try again");
        return;
    }
    prepare->op.release = prepare_release;
    prepare->wanted = *preparation;
    prepare->wanted.definition.xml = NULL;
    prepare->bytes = bytes;
    prepare->size = size;
    prepare->done = done;
    prepare->context = context;
    op_begin(&prepare->op, prepare_begin);
}
