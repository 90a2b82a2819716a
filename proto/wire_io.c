/*
 * What goes through CPG: one envelope, four bodies. Validates everything that came from outside;
 * decides nothing about what it means.
 */
#include "proto/wire_io.h"
#include "proto/assert.h"

#include <errno.h>
#include <string.h>

#include "proto/wire_inner_io.h"

static int pack(const struct wire_arena *arena, const Stead__Message *pb, uint8_t *buffer,
                size_t size, size_t *ret_size)
{
    return wire_arena_pack(arena, true, &pb->base, buffer, size, ret_size);
}

int wire_pack_beat(const struct beat *beat, uint8_t *buffer, size_t size, size_t *ret_size)
{
    if (!wire_beat_ok(beat)) {
        return -EINVAL;
    }
    _Alignas(max_align_t) uint8_t bytes[WIRE_ARENA_MESSAGE_BYTES];
    struct wire_arena arena;
    wire_arena_init(&arena, bytes, sizeof(bytes));
    Stead__Message pb = STEAD__MESSAGE__INIT;
    pb.body_case = STEAD__MESSAGE__BODY_BEAT;
    pb.beat = wire_beat_to_pb(&arena, beat);
    return pack(&arena, &pb, buffer, size, ret_size);
}

static bool delta_ok(const struct delta *delta)
{
    if (delta->count > DELTA_RECORDS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < delta->count; i++) {
        if (!wire_record_ok(&delta->records[i])) {
            return false;
        }
    }
    return true;
}

int wire_pack_delta(const struct delta *delta, uint8_t *buffer, size_t size, size_t *ret_size)
{
    if (!delta_ok(delta)) {
        return -EINVAL;
    }
    _Alignas(max_align_t) uint8_t bytes[WIRE_ARENA_MESSAGE_BYTES];
    struct wire_arena arena;
    wire_arena_init(&arena, bytes, sizeof(bytes));
    Stead__Record *records[DELTA_RECORDS_MAX];
    for (uint32_t i = 0; i < delta->count; i++) {
        records[i] = wire_record_to_pb(&arena, &delta->records[i]);
    }
    Stead__Delta body = STEAD__DELTA__INIT;
    body.header = wire_header_to_pb(&arena, &delta->header);
    body.base_term = delta->base_term;
    body.n_records = delta->count;
    body.records = records;
    Stead__Message pb = STEAD__MESSAGE__INIT;
    pb.body_case = STEAD__MESSAGE__BODY_DELTA;
    pb.delta = &body;
    return pack(&arena, &pb, buffer, size, ret_size);
}

int wire_pack_request(const struct request *request, uint8_t *buffer, size_t size, size_t *ret_size)
{
    if (!wire_request_ok(request)) {
        return -EINVAL;
    }
    _Alignas(max_align_t) uint8_t bytes[WIRE_ARENA_VALUE_BYTES];
    struct wire_arena arena;
    wire_arena_init(&arena, bytes, sizeof(bytes));
    Stead__Message pb = STEAD__MESSAGE__INIT;
    pb.body_case = STEAD__MESSAGE__BODY_REQUEST;
    pb.request = wire_request_to_pb(&arena, request);
    return pack(&arena, &pb, buffer, size, ret_size);
}

int wire_pack_reply(const struct reply *reply, uint8_t *buffer, size_t size, size_t *ret_size)
{
    if (!wire_text_ok(reply->text, sizeof(reply->text))) {
        return -EINVAL;
    }
    _Alignas(max_align_t) uint8_t bytes[WIRE_ARENA_VALUE_BYTES];
    struct wire_arena arena;
    wire_arena_init(&arena, bytes, sizeof(bytes));
    Stead__Reply body = STEAD__REPLY__INIT;
    body.id = wire_origin_to_pb(&arena, &reply->id);
    ASSERT(reply->verdict != VERDICT_UNKNOWN);
    body.accepted = reply->verdict == VERDICT_DONE;
    body.epoch = reply->tenure.epoch;
    body.term = reply->tenure.term;
    body.text = wire_text_to_pb(reply->text);
    Stead__Message pb = STEAD__MESSAGE__INIT;
    pb.body_case = STEAD__MESSAGE__BODY_REPLY;
    pb.reply = &body;
    return pack(&arena, &pb, buffer, size, ret_size);
}

static bool delta_from_pb(const Stead__Delta *pb, struct delta *ret_delta)
{
    memset(ret_delta, 0, sizeof(*ret_delta));
    if (pb->n_records > DELTA_RECORDS_MAX || !wire_header_from_pb(pb->header, &ret_delta->header)) {
        return false;
    }
    ret_delta->base_term = pb->base_term;
    ret_delta->count = (uint32_t)pb->n_records;
    for (size_t i = 0; i < pb->n_records; i++) {
        if (!wire_record_from_pb(pb->records[i], &ret_delta->records[i])) {
            return false;
        }
    }
    return true;
}

static bool reply_from_pb(const Stead__Reply *pb, struct reply *ret_reply)
{
    memset(ret_reply, 0, sizeof(*ret_reply));
    wire_origin_from_pb(pb->id, &ret_reply->id);
    ret_reply->verdict = pb->accepted ? VERDICT_DONE : VERDICT_REFUSED;
    ret_reply->tenure = (struct tenure){pb->epoch, pb->term};
    return wire_text_from_pb(pb->text, ret_reply->text, sizeof(ret_reply->text));
}

static bool message_from_pb(const Stead__Message *pb, struct wire_message *ret_message)
{
    switch ((int)pb->body_case) {
    case STEAD__MESSAGE__BODY_BEAT:
        ret_message->kind = MESSAGE_BEAT;
        return wire_beat_from_pb(pb->beat, &ret_message->beat);
    case STEAD__MESSAGE__BODY_DELTA:
        ret_message->kind = MESSAGE_DELTA;
        return delta_from_pb(pb->delta, &ret_message->delta);
    case STEAD__MESSAGE__BODY_REQUEST:
        ret_message->kind = MESSAGE_REQUEST;
        return wire_request_from_pb(pb->request, &ret_message->request);
    case STEAD__MESSAGE__BODY_REPLY:
        ret_message->kind = MESSAGE_REPLY;
        return reply_from_pb(pb->reply, &ret_message->reply);
    case STEAD__MESSAGE__BODY__NOT_SET:
    default:
        return false;
    }
}

int wire_unpack_message(const uint8_t *data, size_t size, struct wire_message *ret_message)
{
    if (size > WIRE_BYTES_MAX) {
        return -EBADMSG;
    }
    _Alignas(max_align_t) uint8_t bytes[WIRE_ARENA_MESSAGE_BYTES];
    struct wire_arena arena;
    wire_arena_init(&arena, bytes, sizeof(bytes));
    const Stead__Message *pb = wire_arena_unpack(&arena, &stead__message__descriptor, data, size);
    struct wire_message message;
    memset(&message, 0, sizeof(message)); /* the whole union: nothing of our stack goes out */
    if (pb == NULL || !message_from_pb(pb, &message)) {
        return -EBADMSG;
    }
    *ret_message = message;
    return 0;
}
