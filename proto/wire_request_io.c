/* An operator's command on the wire. Whether it is allowed is the actor's question. */
#include <string.h>

#include "proto/wire_inner_io.h"

_Static_assert((int)STEAD__REQUEST_KIND__REQUEST_VM_CLASS == REQUEST_KIND_COUNT - 1, "message.h");

bool wire_request_ok(const struct request *request)
{
    return wire_text_ok(request->name, sizeof(request->name)) &&
           wire_text_ok(request->by, sizeof(request->by)) &&
           wire_text_ok(request->on, sizeof(request->on)) &&
           wire_text_ok(request->value, sizeof(request->value)) &&
           wire_text_ok(request->why, sizeof(request->why));
}

Stead__Request *wire_request_to_pb(struct wire_arena *arena, const struct request *request)
{
    Stead__Request *pb = wire_arena_get(arena, sizeof(*pb));
    stead__request__init(pb);
    pb->id = wire_origin_to_pb(arena, &request->id);
    pb->kind = (Stead__RequestKind)request->kind;
    pb->name = wire_text_to_pb(request->name);
    pb->by = wire_text_to_pb(request->by);
    pb->vouched = request->vouched;
    pb->uuid = wire_uuid_to_pb(&request->uuid);
    pb->memory_mib = request->memory_mib;
    pb->priority = request->priority;
    pb->want = (Stead__VmWant)request->want;
    pb->on = wire_text_to_pb(request->on);
    pb->definition_version = request->definition_version;
    pb->definition_digest = request->definition_digest;
    pb->generation = request->generation;
    pb->stop_timeout_ms = request->stop_timeout_ms;
    pb->nodeid = request->nodeid;
    pb->epoch = request->tenure.epoch;
    pb->term = request->tenure.term;
    pb->value = wire_text_to_pb(request->value);
    pb->why = wire_text_to_pb(request->why);
    pb->adopt = request->adopt;
    pb->keep_running = request->keep_running;
    pb->incarnation = wire_incarnation_to_pb(arena, &request->incarnation);
    return pb;
}

bool wire_request_from_pb(const Stead__Request *pb, struct request *ret_request)
{
    memset(ret_request, 0, sizeof(*ret_request));
    if (!wire_enum_ok((int)pb->kind, REQUEST_KIND_COUNT) ||
        !wire_enum_ok((int)pb->want, WANT_RUNNING + 1)) {
        return false;
    }
    ret_request->kind = (enum request_kind)pb->kind;
    ret_request->vouched = pb->vouched;
    ret_request->memory_mib = pb->memory_mib;
    ret_request->priority = pb->priority;
    ret_request->want = (enum vm_want)pb->want;
    ret_request->definition_version = pb->definition_version;
    ret_request->definition_digest = pb->definition_digest;
    ret_request->generation = pb->generation;
    ret_request->stop_timeout_ms = pb->stop_timeout_ms;
    ret_request->nodeid = pb->nodeid;
    ret_request->tenure = (struct tenure){pb->epoch, pb->term};
    ret_request->adopt = pb->adopt;
    ret_request->keep_running = pb->keep_running;
    wire_incarnation_from_pb(pb->incarnation, &ret_request->incarnation);
    wire_origin_from_pb(pb->id, &ret_request->id);
    return wire_name_from_pb(pb->name, NAME_OPTIONAL, ret_request->name, NAME_BYTES) &&
           wire_name_from_pb(pb->on, NAME_OPTIONAL, ret_request->on, NAME_BYTES) &&
           wire_text_from_pb(pb->by, ret_request->by, NAME_BYTES) &&
           wire_text_from_pb(pb->value, ret_request->value, NAME_BYTES) &&
           wire_text_from_pb(pb->why, ret_request->why, NAME_BYTES) &&
           wire_uuid_from_pb(&pb->uuid, &ret_request->uuid);
}
