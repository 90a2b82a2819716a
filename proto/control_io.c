/* The local socket's messages: frames, and what is let in. */
#include "proto/control_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "proto/review.h"

bool control_is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    size_t length = strnlen(name, NAME_BYTES);
    if (length == 0 || length >= NAME_BYTES || strchr("._-", name[0]) != NULL) {
        return false;
    }
    return strspn(name, letters) == length;
}

static bool name_or_empty(const char *name)
{
    return name[0] == '\0' || control_is_name(name);
}

/* ---- frames */

int control_frame_size(const uint8_t head[CONTROL_HEAD_BYTES], size_t size_max, size_t *ret_size)
{
    const uint32_t length = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 |
                            (uint32_t)head[2] << 8 | (uint32_t)head[3];
    if (length == 0 || size_max < CONTROL_HEAD_BYTES || length > size_max - CONTROL_HEAD_BYTES) {
        return -EBADMSG;
    }
    *ret_size = CONTROL_HEAD_BYTES + (size_t)length;
    return 0;
}

static int pack(const ProtobufCMessage *message, uint8_t *buffer, size_t size, size_t *ret_size)
{
    const size_t length = protobuf_c_message_get_packed_size(message);
    if (length > UINT32_MAX || CONTROL_HEAD_BYTES + length > size) {
        return -ENOBUFS;
    }
    for (size_t i = 0; i < CONTROL_HEAD_BYTES; i++) {
        buffer[i] = (uint8_t)(length >> (8 * (CONTROL_HEAD_BYTES - 1 - i)));
    }
    protobuf_c_message_pack(message, buffer + CONTROL_HEAD_BYTES);
    *ret_size = CONTROL_HEAD_BYTES + length;
    return 0;
}

int control_pack_request(const Control__Request *request, uint8_t *buffer, size_t size,
                         size_t *ret_size)
{
    return pack(&request->base, buffer, size, ret_size);
}

int control_pack_reply(const Control__Reply *reply, uint8_t *buffer, size_t size, size_t *ret_size)
{
    return pack(&reply->base, buffer, size, ret_size);
}

int control_pack_refusal(const char *text, uint8_t *buffer, size_t size, size_t *ret_size)
{
    Control__Outcome outcome = CONTROL__OUTCOME__INIT;
    Control__Reply reply = CONTROL__REPLY__INIT;
    outcome.verdict = CONTROL__VERDICT__VERDICT_REFUSED;
    outcome.text = (char *)(uintptr_t)text; /* packing changes nothing */
    reply.version = CONTROL_VERSION;
    reply.answer_case = CONTROL__REPLY__ANSWER_OUTCOME;
    reply.outcome = &outcome;
    return control_pack_reply(&reply, buffer, size, ret_size);
}

/* ---- what is let in */

static bool command_is_sane(const Control__Command *command)
{
    switch (command->kind) {
    case CONTROL__COMMAND_KIND__COMMAND_CLUSTER_INIT:
    case CONTROL__COMMAND_KIND__COMMAND_CLUSTER_JOIN:
        return command->name[0] == '\0';
    case CONTROL__COMMAND_KIND__COMMAND_NODE_FENCE:
    case CONTROL__COMMAND_KIND__COMMAND_NODE_UNFENCE:
    case CONTROL__COMMAND_KIND__COMMAND_NODE_RESUME:
    case CONTROL__COMMAND_KIND__COMMAND_VM_REMOVE:
    case CONTROL__COMMAND_KIND__COMMAND_VM_START:
    case CONTROL__COMMAND_KIND__COMMAND_VM_STOP:
    case CONTROL__COMMAND_KIND__COMMAND_NODE_REMOVE:
    case CONTROL__COMMAND_KIND__COMMAND_CLASS_REMOVE:
        return control_is_name(command->name);
    case CONTROL__COMMAND_KIND__COMMAND_CLASS_SET:
        return control_is_name(command->name) && strlen(command->value) < NAME_BYTES;
    case CONTROL__COMMAND_KIND__COMMAND_VM_CLASS:
        return control_is_name(command->name) && name_or_empty(command->value);
    case CONTROL__COMMAND_KIND__COMMAND_NONE:
    case _CONTROL__COMMAND_KIND_IS_INT_SIZE:
        break;
    }
    return false;
}

/* Either an XML, or the name of a domain that is there. */
static bool vm_add_is_sane(const Control__VmAdd *add)
{
    return control_is_name(add->name) && name_or_empty(add->on) && name_or_empty(add->class_name) &&
           strlen(add->accept) < ACCEPT_BYTES && (add->xml[0] == '\0') == (add->adopt != 0) &&
           strlen(add->xml) <= CONTROL_XML_MAX;
}

static bool request_is_sane(const Control__Request *request)
{
    switch (request->ask_case) {
    case CONTROL__REQUEST__ASK_STATUS:
        return request->status->first_vm < VMS_MAX && name_or_empty(request->status->vm);
    case CONTROL__REQUEST__ASK_HISTORY:
    case CONTROL__REQUEST__ASK_COPY:
        return true;
    case CONTROL__REQUEST__ASK_COMMAND:
        return command_is_sane(request->command);
    case CONTROL__REQUEST__ASK_VM:
        return control_is_name(request->vm->name);
    case CONTROL__REQUEST__ASK_VM_ADD:
        return vm_add_is_sane(request->vm_add);
    case CONTROL__REQUEST__ASK_CONFIG:
        return name_or_empty(request->config->name);
    case CONTROL__REQUEST__ASK_CONFIG_SET:
        return control_is_name(request->config_set->name) &&
               strlen(request->config_set->value) < NAME_BYTES &&
               strlen(request->config_set->why) < NAME_BYTES;
    case CONTROL__REQUEST__ASK__NOT_SET:
    case _CONTROL__REQUEST__ASK__CASE_IS_INT_SIZE:
        break;
    }
    return false;
}

bool control_changes(const Control__Request *request)
{
    return request->ask_case == CONTROL__REQUEST__ASK_COMMAND ||
           request->ask_case == CONTROL__REQUEST__ASK_VM_ADD ||
           request->ask_case == CONTROL__REQUEST__ASK_CONFIG_SET;
}

bool control_for_viewers(const Control__Request *request)
{
    switch (request->ask_case) {
    case CONTROL__REQUEST__ASK_STATUS:
    case CONTROL__REQUEST__ASK_HISTORY:
    case CONTROL__REQUEST__ASK_CONFIG:
        return true;
    case CONTROL__REQUEST__ASK_VM:
        return !request->vm->xml; /* a definition may hold the password of a screen */
    case CONTROL__REQUEST__ASK_COMMAND:
    case CONTROL__REQUEST__ASK_VM_ADD:
    case CONTROL__REQUEST__ASK_CONFIG_SET:
    case CONTROL__REQUEST__ASK_COPY: /* the whole of it is for those who may change it */
    case CONTROL__REQUEST__ASK__NOT_SET:
    case _CONTROL__REQUEST__ASK__CASE_IS_INT_SIZE:
        break;
    }
    return false;
}

/* Both ends come from one release: a field that is not known here carries a wish or a warning that
 * would be lost. */
static bool is_foreign(const Control__Request *request)
{
    const bool asks = request->ask_case != CONTROL__REQUEST__ASK__NOT_SET;
    const ProtobufCMessage *ask = asks ? (const ProtobufCMessage *)request->status : NULL;
    return request->version != CONTROL_VERSION || request->base.n_unknown_fields > 0 ||
           (ask != NULL && ask->n_unknown_fields > 0) ||
           (request->ask_case == CONTROL__REQUEST__ASK_COMMAND &&
            protobuf_c_enum_descriptor_get_value(&control__command_kind__descriptor,
                                                 (int)request->command->kind) == NULL);
}

/* ---- memory: counted, so that small bytes cannot make large structures */

static void *take_counted(void *context, size_t size)
{
    size_t *left = context;
    if (size > *left) {
        return NULL;
    }
    *left -= size;
    return malloc(size);
}

static void give_back(void *context, void *bytes)
{
    (void)context;
    free(bytes);
}

static void *unpack(const ProtobufCMessageDescriptor *type, const uint8_t *frame, size_t size)
{
    size_t whole = 0;
    size_t left = CONTROL_MEMORY_MAX;
    ProtobufCAllocator counted = {take_counted, give_back, &left};
    if (size < CONTROL_HEAD_BYTES || control_frame_size(frame, CONTROL_BYTES_MAX, &whole) < 0 ||
        whole != size) {
        return NULL;
    }
    return protobuf_c_message_unpack(type, &counted, size - CONTROL_HEAD_BYTES,
                                     frame + CONTROL_HEAD_BYTES);
}

int control_unpack_request(const uint8_t *frame, size_t size, Control__Request **ret_request)
{
    Control__Request *request = unpack(&control__request__descriptor, frame, size);
    if (request == NULL) {
        return -EBADMSG;
    }
    int r = is_foreign(request) ? -EPROTO : request_is_sane(request) ? 0 : -EBADMSG;
    if (r < 0) {
        control_free_request(&request);
        return r;
    }
    *ret_request = request;
    return 0;
}

int control_unpack_reply(const uint8_t *frame, size_t size, Control__Reply **ret_reply)
{
    Control__Reply *reply = unpack(&control__reply__descriptor, frame, size);
    if (reply == NULL) {
        return -EBADMSG;
    }
    int r = reply->version != CONTROL_VERSION                       ? -EPROTO
            : reply->answer_case == CONTROL__REPLY__ANSWER__NOT_SET ? -EBADMSG
                                                                    : 0;
    if (r < 0) {
        control_free_reply(&reply);
        return r;
    }
    *ret_reply = reply;
    return 0;
}

void control_free_request(Control__Request **request)
{
    if (*request != NULL) {
        control__request__free_unpacked(*request, NULL);
        *request = NULL;
    }
}

void control_free_reply(Control__Reply **reply)
{
    if (*reply != NULL) {
        control__reply__free_unpacked(*reply, NULL);
        *reply = NULL;
    }
}
