/*
 * Bounded memory for protobuf-c: a hostile message can use up its arena, never the host's memory.
 * Decides only what fits; assumes nothing about the bytes.
 */
#include <errno.h>
#include <string.h>

#include "proto/assert.h"
#include "proto/wire_inner_io.h"

static size_t aligned(size_t size)
{
    const size_t unit = _Alignof(max_align_t);
    return (size + unit - 1) / unit * unit;
}

static void *take(struct wire_arena *arena, size_t size)
{
    const size_t room = arena->size - WIRE_ARENA_SCRATCH_BYTES - arena->used;
    if (size > room || aligned(size) > room) {
        return NULL;
    }
    void *bytes = arena->bytes + WIRE_ARENA_SCRATCH_BYTES + arena->used;
    arena->used += aligned(size);
    return bytes;
}

static void *take_for_protobuf(void *context, size_t size)
{
    return take(context, size);
}

static void keep(void *context, void *bytes)
{
    (void)context;
    (void)bytes; /* all of it goes when the caller's bytes go */
}

void wire_arena_init(struct wire_arena *arena, uint8_t *bytes, size_t size)
{
    ASSERT(size >= WIRE_ARENA_SCRATCH_BYTES);
    *arena = (struct wire_arena){
        .allocator = {.alloc = take_for_protobuf, .free = keep, .allocator_data = arena},
        .bytes = bytes,
        .size = size,
    };
}

void *wire_arena_get(struct wire_arena *arena, size_t size)
{
    ASSERT(size <= WIRE_ARENA_SCRATCH_BYTES);
    void *bytes = take(arena, size);
    if (bytes == NULL) {
        arena->overrun = true;
        bytes = arena->bytes;
    }
    return memset(bytes, 0, size);
}

int wire_arena_pack(const struct wire_arena *arena, bool valid, const ProtobufCMessage *message,
                    uint8_t *buffer, size_t size, size_t *ret_size)
{
    if (!valid) {
        return -EINVAL;
    }
    if (arena->overrun || protobuf_c_message_get_packed_size(message) > size) {
        return -ENOBUFS;
    }
    *ret_size = protobuf_c_message_pack(message, buffer);
    return 0;
}

const void *wire_arena_unpack(struct wire_arena *arena, const ProtobufCMessageDescriptor *type,
                              const uint8_t *data, size_t size)
{
    return protobuf_c_message_unpack(type, &arena->allocator, size, data);
}
