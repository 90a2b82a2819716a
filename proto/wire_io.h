/*
 * Wire forms: every message between nodes, every value in RADOS, as protobuf (proto/stead.proto).
 *
 * Bytes from outside are validated here: a field out of its bounds, a name that is not one, a count
 * over its limit, a string not terminated make -EBADMSG and leave the output alone. Packing returns
 * -ENOBUFS when `size` is too small. No function here logs.
 */
#ifndef STEAD_PROTO_WIRE_IO_H
#define STEAD_PROTO_WIRE_IO_H

#include <stddef.h>

#include "proto/message.h"

#define WIRE_BYTES_MAX (256 * 1024) /* the largest packed message (a full delta) stays below */

struct wire_message {
    enum message_kind kind;
    union {
        struct beat beat;
        struct delta delta;
        struct request request;
        struct reply reply;
    };
};

/* Between nodes (CPG). Each returns 0 and the packed size in *ret_size, or -errno. */
int wire_pack_beat(const struct beat *beat, uint8_t *buffer, size_t size, size_t *ret_size);
int wire_pack_delta(const struct delta *delta, uint8_t *buffer, size_t size, size_t *ret_size);
int wire_pack_request(const struct request *request, uint8_t *buffer, size_t size,
                      size_t *ret_size);
int wire_pack_reply(const struct reply *reply, uint8_t *buffer, size_t size, size_t *ret_size);
int wire_unpack_message(const uint8_t *data, size_t size, struct wire_message *ret_message);

/* Values in RADOS. A record's kind and slot travel in its key: "node/07", "vm/00042",
 * "setting/10", "history/0123"; the header's key is "header". */
#define WIRE_KEY_BYTES 32
void wire_record_key(enum record_kind kind, uint32_t slot, char ret_key[WIRE_KEY_BYTES]);
int wire_parse_key(const char *key, enum record_kind *ret_kind, uint32_t *ret_slot);
int wire_pack_record(const struct record *record, uint8_t *buffer, size_t size, size_t *ret_size);
int wire_unpack_record(const uint8_t *data, size_t size, enum record_kind kind, uint32_t slot,
                       struct record *ret_record);
int wire_pack_header(const struct header *header, uint8_t *buffer, size_t size, size_t *ret_size);
int wire_unpack_header(const uint8_t *data, size_t size, struct header *ret_header);
int wire_pack_lease(const struct lease *lease, uint8_t *buffer, size_t size, size_t *ret_size);
int wire_unpack_lease(const uint8_t *data, size_t size, struct lease *ret_lease);

#endif
