/*
 * Bytes from other nodes and from RADOS. The first byte says which decoder gets the rest. What one
 * takes in must be a value that can be said again, and come back the same.
 */
#include "proto/wire_io.h"
#include "storage/definition_io.h"
#include "tests/fuzz/fuzz.h"

struct room {
    uint8_t bytes[WIRE_BYTES_MAX];
    struct wire_message in;
    struct wire_message out;
};

static int pack_message(const struct wire_message *message, uint8_t *bytes, size_t *ret_size)
{
    switch (message->kind) {
    case MESSAGE_BEAT:
        return wire_pack_beat(&message->beat, bytes, WIRE_BYTES_MAX, ret_size);
    case MESSAGE_DELTA:
        return wire_pack_delta(&message->delta, bytes, WIRE_BYTES_MAX, ret_size);
    case MESSAGE_REQUEST:
        return wire_pack_request(&message->request, bytes, WIRE_BYTES_MAX, ret_size);
    case MESSAGE_REPLY:
        return wire_pack_reply(&message->reply, bytes, WIRE_BYTES_MAX, ret_size);
    case MESSAGE_NONE:
        break;
    }
    return -1;
}

static void try_message(struct room *room, const uint8_t *data, size_t size)
{
    size_t packed = 0;
    if (wire_unpack_message(data, size, &room->in) == 0) {
        PROMISE(pack_message(&room->in, room->bytes, &packed) == 0);
        PROMISE(wire_unpack_message(room->bytes, packed, &room->out) == 0);
        PROMISE(memcmp(&room->in, &room->out, sizeof(room->in)) == 0);
    }
}

static void try_record(struct room *room, enum record_kind kind, const uint8_t *data, size_t size)
{
    struct record in;
    struct record out;
    size_t packed = 0;
    memset(&in, 0, sizeof(in));
    memset(&out, 0, sizeof(out));
    if (wire_unpack_record(data, size, kind, 0, &in) == 0) {
        PROMISE(wire_pack_record(&in, room->bytes, WIRE_BYTES_MAX, &packed) == 0);
        PROMISE(wire_unpack_record(room->bytes, packed, kind, 0, &out) == 0);
        PROMISE(memcmp(&in, &out, sizeof(in)) == 0);
    }
}

static void try_header(struct room *room, const uint8_t *data, size_t size)
{
    struct header in;
    struct header out;
    size_t packed = 0;
    if (wire_unpack_header(data, size, &in) == 0) {
        PROMISE(wire_pack_header(&in, room->bytes, WIRE_BYTES_MAX, &packed) == 0);
        PROMISE(wire_unpack_header(room->bytes, packed, &out) == 0);
        PROMISE(memcmp(&in, &out, sizeof(in)) == 0);
    }
}

static void try_lease(struct room *room, const uint8_t *data, size_t size)
{
    struct lease in;
    struct lease out;
    size_t packed = 0;
    if (wire_unpack_lease(data, size, &in) == 0) {
        PROMISE(wire_pack_lease(&in, room->bytes, WIRE_BYTES_MAX, &packed) == 0);
        PROMISE(wire_unpack_lease(room->bytes, packed, &out) == 0);
        PROMISE(memcmp(&in, &out, sizeof(in)) == 0);
    }
}

static void try_definition(const uint8_t *data, size_t size)
{
    struct definition definition = {0};
    if (definition_unpack(data, size, &definition) == 0) {
        PROMISE(definition.xml != NULL);
        definition_free(&definition);
    }
}

/* A key as it lies in the omap: text, perhaps not ended where one thinks. */
static void try_key(const uint8_t *data, size_t size)
{
    char key[256] = "";
    char again[WIRE_KEY_BYTES];
    enum record_kind kind = RECORD_NODE;
    uint32_t slot = 0;
    memcpy(key, data, size < sizeof(key) ? size : sizeof(key) - 1);
    if (wire_parse_key(key, &kind, &slot) == 0) {
        wire_record_key(kind, slot, again);
        PROMISE(strcmp(key, again) == 0);
    }
    (void)definition_parse_key(key, &slot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct room room;
    if (size == 0) {
        return 0;
    }
    const unsigned decoder = data[0] % (RECORD_KIND_COUNT + 5);
    data++;
    size--;
    switch (decoder) {
    case 0:
        try_message(&room, data, size);
        break;
    case 1:
        try_header(&room, data, size);
        break;
    case 2:
        try_lease(&room, data, size);
        break;
    case 3:
        try_definition(data, size);
        break;
    case 4:
        try_key(data, size);
        break;
    default:
        try_record(&room, (enum record_kind)(decoder - 5), data, size);
        break;
    }
    return 0;
}
