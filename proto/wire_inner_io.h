/*
 * Between the wire_*_io.c files (and storage's definition): building protobuf messages from plain
 * values, and plain values from protobuf messages that came from outside.
 *
 * Building (`*_to_pb`) borrows strings and bytes from the plain value; the messages themselves live
 * in an arena. Reading (`*_from_pb`) checks every bound and returns false at the first violation;
 * the output is then undefined, so the callers above read into a copy of their own.
 */
#ifndef STEAD_PROTO_WIRE_INNER_IO_H
#define STEAD_PROTO_WIRE_INNER_IO_H

#include <stddef.h>

#include "proto/message.h"
#include "proto/stead.pb-c.h"

/* ---- memory: a bump allocator over the caller's bytes; nothing is ever freed one by one */

struct wire_arena {
    ProtobufCAllocator allocator; /* hands out of this arena; NULL when it is used up */
    uint8_t *bytes;
    size_t size;
    size_t used;
    bool overrun; /* a building call did not fit: what was built must not be packed */
};

#define WIRE_ARENA_VALUE_BYTES (8 * 1024)     /* one record, header, lease, request or reply */
#define WIRE_ARENA_MESSAGE_BYTES (192 * 1024) /* a full delta or beat */
#define WIRE_ARENA_SCRATCH_BYTES 1024         /* kept back: where overrunning calls may write */

/* `bytes` must be at least WIRE_ARENA_SCRATCH_BYTES, aligned as malloc's, and outlive the arena. */
void wire_arena_init(struct wire_arena *arena, uint8_t *bytes, size_t size);

/* Zeroed memory; never NULL (see `overrun`). Asserts `size` <= WIRE_ARENA_SCRATCH_BYTES. */
void *wire_arena_get(struct wire_arena *arena, size_t size);

/* Packs `message`: 0, -ENOBUFS when `size` is too small or the arena was, -EINVAL when the plain
 * value could not be said (`valid` false). */
int wire_arena_pack(const struct wire_arena *arena, bool valid, const ProtobufCMessage *message,
                    uint8_t *buffer, size_t size, size_t *ret_size);

/* NULL for bytes that are no such message, or that would need more than the arena. */
const void *wire_arena_unpack(struct wire_arena *arena, const ProtobufCMessageDescriptor *type,
                              const uint8_t *data, size_t size);

/* ---- fields: plain -> protobuf */

char *wire_text_to_pb(const char *text);
ProtobufCBinaryData wire_uuid_to_pb(const struct uuid *uuid);
Stead__Incarnation *wire_incarnation_to_pb(struct wire_arena *arena, const struct incarnation *in);
Stead__ActionId *wire_action_id_to_pb(struct wire_arena *arena, const struct action_id *id);
Stead__Origin *wire_origin_to_pb(struct wire_arena *arena, const struct origin *origin);
Stead__BmcAddress *wire_bmc_to_pb(struct wire_arena *arena, const struct bmc_address *bmc);
Stead__FenceDevice **wire_devices_to_pb(struct wire_arena *arena,
                                        const struct fence_device *devices, size_t *ret_count);

/* ---- fields: protobuf -> plain. Absent submessages are zero. */

enum wire_name { NAME_REQUIRED, NAME_OPTIONAL };

bool wire_text_from_pb(const char *pb, char *field, size_t size);
bool wire_name_from_pb(const char *pb, enum wire_name need, char *field, size_t size);
bool wire_client_from_pb(const char *pb, struct client *ret_client);
bool wire_uuid_from_pb(const ProtobufCBinaryData *pb, struct uuid *ret_uuid);
void wire_incarnation_from_pb(const Stead__Incarnation *pb, struct incarnation *ret_incarnation);
void wire_action_id_from_pb(const Stead__ActionId *pb, struct action_id *ret_id);
void wire_origin_from_pb(const Stead__Origin *pb, struct origin *ret_origin);
bool wire_bmc_from_pb(const Stead__BmcAddress *pb, struct bmc_address *ret_bmc);
bool wire_devices_ok(const struct fence_device *devices);
bool wire_devices_from_pb(Stead__FenceDevice *const *list, size_t count,
                          struct fence_device *ret_devices);

/* Is 0 <= value < count? Protobuf hands on enum values it does not know. */
static inline bool wire_enum_ok(int value, int count)
{
    return value >= 0 && value < count;
}

/* Does the field hold a NUL-terminated string? */
bool wire_text_ok(const char *field, size_t size);

/* ---- whole values. `*_ok`: can this plain value be said? (its strings end, its counts hold) */

bool wire_record_ok(const struct record *record);
bool wire_beat_ok(const struct beat *beat);
bool wire_request_ok(const struct request *request);

Stead__Header *wire_header_to_pb(struct wire_arena *arena, const struct header *header);
bool wire_header_from_pb(const Stead__Header *pb, struct header *ret_header);

Stead__Node *wire_node_to_pb(struct wire_arena *arena, const struct node_record *node);
Stead__Vm *wire_vm_to_pb(struct wire_arena *arena, const struct vm_record *vm);
Stead__Setting *wire_setting_to_pb(struct wire_arena *arena, const struct setting_record *setting);
Stead__History *wire_history_to_pb(struct wire_arena *arena, const struct history_entry *entry);
bool wire_node_from_pb(const Stead__Node *pb, struct node_record *ret_node);
bool wire_vm_from_pb(const Stead__Vm *pb, struct vm_record *ret_vm);
bool wire_setting_from_pb(const Stead__Setting *pb, struct setting_record *ret_setting);
bool wire_history_from_pb(const Stead__History *pb, uint32_t slot, struct history_entry *ret_entry);

Stead__Record *wire_record_to_pb(struct wire_arena *arena, const struct record *record);
bool wire_record_from_pb(const Stead__Record *pb, struct record *ret_record);

Stead__Beat *wire_beat_to_pb(struct wire_arena *arena, const struct beat *beat);
bool wire_beat_from_pb(const Stead__Beat *pb, struct beat *ret_beat);

Stead__Request *wire_request_to_pb(struct wire_arena *arena, const struct request *request);
bool wire_request_from_pb(const Stead__Request *pb, struct request *ret_request);

#endif
