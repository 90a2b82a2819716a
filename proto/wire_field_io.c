/* The small fields on the wire: texts, names, addresses, identities. */
#include <string.h>

#include "proto/wire_inner_io.h"

char *wire_text_to_pb(const char *text)
{
    return (char *)text; /* protobuf-c does not write through it */
}

ProtobufCBinaryData wire_uuid_to_pb(const struct uuid *uuid)
{
    return (ProtobufCBinaryData){.len = sizeof(uuid->bytes), .data = (uint8_t *)uuid->bytes};
}

Stead__Incarnation *wire_incarnation_to_pb(struct wire_arena *arena, const struct incarnation *in)
{
    Stead__Incarnation *pb = wire_arena_get(arena, sizeof(*pb));
    stead__incarnation__init(pb);
    pb->epoch = in->epoch;
    pb->number = in->number;
    return pb;
}

Stead__ActionId *wire_action_id_to_pb(struct wire_arena *arena, const struct action_id *id)
{
    Stead__ActionId *pb = wire_arena_get(arena, sizeof(*pb));
    stead__action_id__init(pb);
    pb->term = id->term;
    pb->counter = id->counter;
    return pb;
}

Stead__Origin *wire_origin_to_pb(struct wire_arena *arena, const struct origin *origin)
{
    Stead__Origin *pb = wire_arena_get(arena, sizeof(*pb));
    stead__origin__init(pb);
    pb->nodeid = origin->nodeid;
    pb->agent_start = origin->agent_start;
    pb->counter = origin->counter;
    return pb;
}

Stead__BmcAddress *wire_bmc_to_pb(struct wire_arena *arena, const struct bmc_address *bmc)
{
    Stead__BmcAddress *pb = wire_arena_get(arena, sizeof(*pb));
    stead__bmc_address__init(pb);
    pb->address = wire_text_to_pb(bmc->address);
    pb->cipher_suite = bmc->cipher_suite;
    pb->verified = bmc->verified;
    pb->level = bmc->level;
    return pb;
}

/* Those that there are, in their order. */
Stead__FenceDevice **wire_devices_to_pb(struct wire_arena *arena,
                                        const struct fence_device *devices, size_t *ret_count)
{
    Stead__FenceDevice **list =
        wire_arena_get(arena, FENCE_DEVICES_MAX * sizeof(Stead__FenceDevice *));
    size_t count = 0;
    for (size_t i = 0; i < FENCE_DEVICES_MAX; i++) {
        const struct fence_device *device = &devices[i];
        if (device->agent[0] != '\0') {
            Stead__FenceDevice *pb = wire_arena_get(arena, sizeof(*pb));
            stead__fence_device__init(pb);
            pb->name = wire_text_to_pb(device->name);
            pb->agent = wire_text_to_pb(device->agent);
            pb->options = wire_text_to_pb(device->options);
            pb->level = device->level;
            pb->standing = (Stead__DeviceStanding)device->standing;
            list[count++] = pb;
        }
    }
    *ret_count = count;
    return list;
}

bool wire_text_ok(const char *field, size_t size)
{
    return memchr(field, '\0', size) != NULL;
}

bool wire_text_from_pb(const char *pb, char *field, size_t size)
{
    const size_t length = strnlen(pb, size);
    if (length == size) {
        return false;
    }
    memset(field, 0, size);
    memcpy(field, pb, length);
    return true;
}

static bool holds_only(const char *text, const char *more)
{
    static const char alphanumeric[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    while (*text != '\0') {
        const size_t known = strspn(text, alphanumeric);
        const size_t other = strspn(text + known, more);
        if (known + other == 0) {
            return false;
        }
        text += known + other;
    }
    return true;
}

bool wire_name_from_pb(const char *pb, enum wire_name need, char *field, size_t size)
{
    if (pb[0] == '\0') {
        memset(field, 0, size);
        return need == NAME_OPTIONAL;
    }
    return strchr("._-", pb[0]) == NULL && holds_only(pb, "._-") &&
           wire_text_from_pb(pb, field, size);
}

/* These end up inside monitor commands, which are JSON: nothing that JSON could mistake. */
bool wire_client_from_pb(const char *pb, struct client *ret_client)
{
    return holds_only(pb, ".:/[]") && wire_text_from_pb(pb, ret_client->address, CLIENT_BYTES);
}

bool wire_uuid_from_pb(const ProtobufCBinaryData *pb, struct uuid *ret_uuid)
{
    *ret_uuid = (struct uuid){{0}};
    if (pb->len != 0 && pb->len != sizeof(ret_uuid->bytes)) {
        return false;
    }
    if (pb->len != 0) {
        memcpy(ret_uuid->bytes, pb->data, sizeof(ret_uuid->bytes));
    }
    return true;
}

void wire_incarnation_from_pb(const Stead__Incarnation *pb, struct incarnation *ret_incarnation)
{
    *ret_incarnation = (struct incarnation){0};
    if (pb != NULL) {
        *ret_incarnation = (struct incarnation){.epoch = pb->epoch, .number = pb->number};
    }
}

void wire_action_id_from_pb(const Stead__ActionId *pb, struct action_id *ret_id)
{
    *ret_id = (struct action_id){0};
    if (pb != NULL) {
        *ret_id = (struct action_id){.term = pb->term, .counter = pb->counter};
    }
}

void wire_origin_from_pb(const Stead__Origin *pb, struct origin *ret_origin)
{
    *ret_origin = (struct origin){0};
    if (pb != NULL) {
        ret_origin->nodeid = pb->nodeid;
        ret_origin->agent_start = pb->agent_start;
        ret_origin->counter = pb->counter;
    }
}

bool wire_bmc_from_pb(const Stead__BmcAddress *pb, struct bmc_address *ret_bmc)
{
    memset(ret_bmc, 0, sizeof(*ret_bmc));
    if (pb == NULL) {
        return true;
    }
    ret_bmc->cipher_suite = pb->cipher_suite;
    ret_bmc->verified = pb->verified;
    ret_bmc->level = pb->level;
    return holds_only(pb->address, "._:[]%-") &&
           wire_text_from_pb(pb->address, ret_bmc->address, ADDRESS_BYTES);
}

bool wire_devices_ok(const struct fence_device *devices)
{
    for (size_t i = 0; i < FENCE_DEVICES_MAX; i++) {
        if (!wire_text_ok(devices[i].name, DEVICE_NAME_BYTES) ||
            !wire_text_ok(devices[i].agent, DEVICE_AGENT_BYTES) ||
            !wire_text_ok(devices[i].options, DEVICE_OPTIONS_BYTES)) {
            return false;
        }
    }
    return true;
}

/* What is in `agent` becomes a program's name and is run as root: nothing but fence_WORD. */
static bool device_from_pb(const Stead__FenceDevice *pb, struct fence_device *ret_device)
{
    ret_device->level = pb->level;
    ret_device->standing = (enum device_standing)pb->standing;
    return pb->level >= 1 && pb->level <= FENCE_LEVEL_MAX &&
           wire_enum_ok((int)pb->standing, DEVICE_STANDING_COUNT) &&
           strncmp(pb->agent, "fence_", 6) == 0 && holds_only(pb->agent, "_-") &&
           wire_text_from_pb(pb->agent, ret_device->agent, DEVICE_AGENT_BYTES) &&
           pb->name[0] != '\0' && holds_only(pb->name, "._-") &&
           wire_text_from_pb(pb->name, ret_device->name, DEVICE_NAME_BYTES) &&
           wire_text_from_pb(pb->options, ret_device->options, DEVICE_OPTIONS_BYTES);
}

bool wire_devices_from_pb(Stead__FenceDevice *const *list, size_t count,
                          struct fence_device *ret_devices)
{
    if (count > FENCE_DEVICES_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!device_from_pb(list[i], &ret_devices[i])) {
            return false;
        }
    }
    return true;
}
