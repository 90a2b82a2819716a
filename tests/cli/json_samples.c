/*
 * Every JSON object the command prints, made from replies in which every field of every message is
 * set (by protobuf's descriptors, so a new field is set too). tests/cli/test_json.py compares them
 * with docs/json.md. Each is announced by a line "== NAME", its heading there.
 */
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/json_io.h"

static void *zeroed(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL) {
        exit(1);
    }
    return memory;
}

static void *filled(const ProtobufCMessageDescriptor *type);

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
    bool wide = field->type == PROTOBUF_C_TYPE_UINT64 || field->type == PROTOBUF_C_TYPE_INT64 ||
                field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE;
    return wide ? 8 : 4;
}

static void set_one(const ProtobufCFieldDescriptor *field, void *place)
{
    static char text[] = "text";
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        memcpy(place, &(char *){text}, sizeof(char *));
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        void *inner = filled(field->descriptor);
        memcpy(place, &inner, sizeof(inner));
    } else if (field->type != PROTOBUF_C_TYPE_BYTES) {
        *(uint8_t *)place = 1; /* little end first: 1 in every width */
    }
}

static void set_field(const ProtobufCFieldDescriptor *field, uint8_t *message)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        void *list = zeroed(size_of(field));
        const size_t one = 1;
        set_one(field, list);
        memcpy(message + field->offset, &list, sizeof(list));
        memcpy(message + field->quantifier_offset, &one, sizeof(one));
    } else {
        set_one(field, message + field->offset);
    }
}

static void *filled(const ProtobufCMessageDescriptor *type)
{
    uint8_t *message = zeroed(type->sizeof_message);
    protobuf_c_message_init(type, message);
    for (unsigned i = 0; i < type->n_fields; i++) {
        set_field(&type->fields[i], message);
    }
    return message;
}

static void announce(const char *name)
{
    printf("== %s\n", name);
}

int main(void)
{
    Control__Reply reply = CONTROL__REPLY__INIT;
    struct cli_status status = {.page_count = 1, .pages = {&reply}};
    reply.status = filled(&control__status__descriptor);
    announce("status");
    cli_json_status(&status, JSON_ALL, true);
    announce("status --check");
    cli_json_alarms(filled(&control__status__descriptor));
    announce("node list");
    cli_json_status(&status, JSON_NODES, true);
    announce("vm list");
    cli_json_status(&status, JSON_VMS, true);
    announce("node show");
    const Control__Decision *decision = filled(&control__decision__descriptor);
    cli_json_node(filled(&control__node__descriptor), &decision, 1);
    announce("vm show");
    cli_json_vm(filled(&control__vm__descriptor), filled(&control__outcome__descriptor));
    announce("history");
    cli_json_history(&decision, 1);
    announce("history --follow");
    cli_json_decision(decision);
    announce("config");
    cli_json_settings(filled(&control__config__descriptor));
    announce("class list");
    cli_json_classes(filled(&control__config__descriptor));
    announce("every other command");
    cli_json_outcome(filled(&control__outcome__descriptor));
    return 0;
}
