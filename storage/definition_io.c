/* Definitions in RADOS: packing, checking, reading. Bytes read are checked like a message's:
 * bounds, names, and the XML against its digest. */
#include "storage/definition_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/digest.h"
#include "proto/values.h"
#include "proto/wire_inner_io.h"
#include "storage/handle_io.h"
#include "storage/lease_io.h"

#define KEYS_MAX 1024

void definition_object(const struct uuid *vm, uint32_t version,
                       char ret_object[DEFINITION_OBJECT_BYTES])
{
    char text[UUID_TEXT_BYTES];
    uuid_format(vm, text);
    snprintf(ret_object, DEFINITION_OBJECT_BYTES, "def/%s/%" PRIu32, text, version);
}

void definition_format_key(uint32_t version, char ret_key[WIRE_KEY_BYTES])
{
    snprintf(ret_key, WIRE_KEY_BYTES, LEASE_KEY_DEFINITION "%010" PRIu32, version);
}

bool definition_parse_key(const char *key, uint32_t *ret_version)
{
    const size_t prefix = strlen(LEASE_KEY_DEFINITION);
    if (strncmp(key, LEASE_KEY_DEFINITION, prefix) != 0 || strlen(key) != prefix + 10 ||
        strspn(key + prefix, "0123456789") != 10) {
        return false;
    }
    const unsigned long long version = strtoull(key + prefix, NULL, 10);
    *ret_version = (uint32_t)version;
    return version != 0 && version <= UINT32_MAX;
}

void definition_free(struct definition *definition)
{
    free(definition->xml);
    definition->xml = NULL;
}

static uint64_t digest_of(const char *xml)
{
    return digest_bytes(DIGEST_SEED, xml, strlen(xml));
}

int definition_pack(const struct definition *definition, uint8_t **ret_bytes, size_t *ret_size)
{
    if (definition->image_count > IMAGES_MAX || definition->version == 0 ||
        definition->digest != digest_of(definition->xml)) {
        return -EINVAL;
    }
    Stead__Image images[IMAGES_MAX];
    Stead__Image *list[IMAGES_MAX];
    for (uint32_t i = 0; i < definition->image_count; i++) {
        stead__image__init(&images[i]);
        images[i].pool = wire_text_to_pb(definition->images[i].pool);
        images[i].name = wire_text_to_pb(definition->images[i].name);
        list[i] = &images[i];
    }
    Stead__Definition pb = STEAD__DEFINITION__INIT;
    pb.vm = wire_uuid_to_pb(&definition->vm);
    pb.version = definition->version;
    pb.digest = definition->digest;
    pb.n_images = definition->image_count;
    pb.images = list;
    pb.xml = definition->xml;
    *ret_size = stead__definition__get_packed_size(&pb);
    *ret_bytes = *ret_size <= DEFINITION_BYTES_MAX ? malloc(*ret_size) : NULL;
    if (*ret_bytes == NULL) {
        return *ret_size <= DEFINITION_BYTES_MAX ? -ENOMEM : -EINVAL;
    }
    stead__definition__pack(&pb, *ret_bytes);
    return 0;
}

static bool from_pb(const Stead__Definition *pb, struct definition *ret_definition)
{
    if (pb->n_images > IMAGES_MAX || pb->digest != digest_of(pb->xml) ||
        !wire_uuid_from_pb(&pb->vm, &ret_definition->vm)) {
        return false;
    }
    ret_definition->version = pb->version;
    ret_definition->digest = pb->digest;
    ret_definition->image_count = (uint32_t)pb->n_images;
    for (size_t i = 0; i < pb->n_images; i++) {
        if (pb->images[i]->name[0] == '\0' || pb->images[i]->pool[0] == '\0' ||
            !wire_text_from_pb(pb->images[i]->pool, ret_definition->images[i].pool, NAME_BYTES) ||
            !wire_text_from_pb(pb->images[i]->name, ret_definition->images[i].name,
                               NAME_BYTES * 2)) {
            return false;
        }
    }
    return true;
}

int definition_unpack(const uint8_t *data, size_t size, struct definition *ret_definition)
{
    const size_t arena_size = 2 * DEFINITION_BYTES_MAX;
    uint8_t *bytes = malloc(arena_size);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    struct wire_arena arena;
    wire_arena_init(&arena, bytes, arena_size);
    const Stead__Definition *pb =
        wire_arena_unpack(&arena, &stead__definition__descriptor, data, size);
    struct definition definition = {0};
    int r = pb != NULL && from_pb(pb, &definition) ? 0 : -EBADMSG;
    if (r == 0) {
        definition.xml = strdup(pb->xml);
        r = definition.xml != NULL ? 0 : -ENOMEM;
    }
    free(bytes);
    if (r == 0) {
        *ret_definition = definition;
    }
    return r;
}

static int newest_version(rados_ioctx_t pool, const struct uuid *vm, uint32_t *ret_version)
{
    char object[LEASE_OBJECT_BYTES];
    rados_omap_iter_t page = NULL;
    unsigned char more = 0;
    struct op_value value;
    uint32_t newest = 0, version = 0;
    lease_object(vm, object);
    rados_read_op_t read = rados_create_read_op();
    rados_read_op_omap_get_vals2(read, "", LEASE_KEY_DEFINITION, KEYS_MAX, &page, &more, NULL);
    const int r = rados_read_op_operate(read, pool, object, 0);
    while (r == 0 && op_next_value(page, &value)) {
        if (definition_parse_key(value.key, &version) && version > newest) {
            newest = version;
        }
    }
    rados_omap_get_end(page);
    rados_release_read_op(read);
    *ret_version = newest;
    return r == 0 && newest == 0 ? -ENOENT : r;
}

int definition_read(rados_ioctx_t pool, const struct uuid *vm, uint32_t version,
                    struct definition *ret_definition)
{
    int r = version == 0 ? newest_version(pool, vm, &version) : 0;
    uint8_t *bytes = r == 0 ? malloc(DEFINITION_BYTES_MAX + 1) : NULL;
    if (bytes == NULL) {
        return r != 0 ? r : -ENOMEM;
    }
    char object[DEFINITION_OBJECT_BYTES];
    definition_object(vm, version, object);
    r = rados_read(pool, object, (char *)bytes, DEFINITION_BYTES_MAX + 1, 0);
    if (r >= 0) {
        r = r <= DEFINITION_BYTES_MAX ? definition_unpack(bytes, (size_t)r, ret_definition)
                                      : -EBADMSG;
    }
    free(bytes);
    if (r == 0 && (!uuid_equal(&ret_definition->vm, vm) || ret_definition->version != version)) {
        definition_free(ret_definition);
        r = -EBADMSG;
    }
    return r;
}

/* ---- the outside: a definition for whoever creates a domain */

struct read_op {
    struct op op;
    struct uuid vm;
    uint32_t version;
    int result;
    struct definition definition;
    void (*done)(void *context, enum outcome outcome, const struct definition *definition);
    void *context;
};

static void read_work(struct job *job)
{
    struct read_op *read = (struct read_op *)op_of(job);
    read->result =
        definition_read(handle_pool(read->op.handle), &read->vm, read->version, &read->definition);
}

static void read_emit(struct op *op, enum outcome outcome)
{
    struct read_op *read = (struct read_op *)op;
    read->done(read->context, outcome, outcome == OUTCOME_DONE ? &read->definition : NULL);
}

static void read_after(struct job *job)
{
    struct op *op = op_back(job);
    if (op != NULL) {
        op_answer(op, op_outcome(((struct read_op *)op)->result));
    }
}

static void read_begin(struct op *op)
{
    op_work(op, read_work, read_after);
}

static void read_release(struct op *op)
{
    definition_free(&((struct read_op *)op)->definition);
}

void storage_io_read_definition(struct storage_io *io, const struct uuid *vm, uint32_t version,
                                uint64_t deadline_ms,
                                void (*done)(void *context, enum outcome outcome,
                                             const struct definition *definition),
                                void *context)
{
    struct read_op *read = op_new_call(io, deadline_ms, sizeof(*read), read_emit);
    if (read == NULL) {
        done(context, OUTCOME_FAILED, NULL);
        return;
    }
    read->op.release = read_release;
    read->vm = *vm;
    read->version = version;
    read->done = done;
    read->context = context;
    op_begin(&read->op, read_begin);
}
