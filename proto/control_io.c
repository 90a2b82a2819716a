/* The local socket's messages: frames, and what is let in. */
#include "proto/control_io.h"

#include <errno.h>
#include <qb/qbipc_common.h>
#include <string.h>

#include "proto/limits.h"

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

int control_pack_request(const Control__Request *request, uint8_t *buffer, size_t size,
                         size_t *ret_size)
{
    struct qb_ipc_request_header header = {.id = QB_IPC_MSG_USER_START};
    size_t whole = sizeof(header) + control__request__get_packed_size(request);
    if (whole > size || whole > INT32_MAX) {
        return -ENOBUFS;
    }
    header.size = (int32_t)whole;
    memcpy(buffer, &header, sizeof(header));
    control__request__pack(request, buffer + sizeof(header));
    *ret_size = whole;
    return 0;
}

int control_pack_reply(const Control__Reply *reply, uint8_t *buffer, size_t size, size_t *ret_size)
{
    struct qb_ipc_response_header header = {.id = QB_IPC_MSG_USER_START};
    size_t whole = sizeof(header) + control__reply__get_packed_size(reply);
    if (whole > size || whole > INT32_MAX) {
        return -ENOBUFS;
    }
    header.size = (int32_t)whole;
    memcpy(buffer, &header, sizeof(header));
    control__reply__pack(reply, buffer + sizeof(header));
    *ret_size = whole;
    return 0;
}

static bool command_is_sane(const Control__Command *command)
{
    switch (command->kind) {
    case CONTROL__COMMAND_KIND__COMMAND_CLUSTER_INIT:
    case CONTROL__COMMAND_KIND__COMMAND_CLUSTER_JOIN:
        return command->name[0] == '\0';
    case CONTROL__COMMAND_KIND__COMMAND_NODE_FENCE:
    case CONTROL__COMMAND_KIND__COMMAND_NODE_UNFENCE:
    case CONTROL__COMMAND_KIND__COMMAND_VM_REMOVE:
    case CONTROL__COMMAND_KIND__COMMAND_VM_START:
    case CONTROL__COMMAND_KIND__COMMAND_VM_STOP:
        return control_is_name(command->name);
    case CONTROL__COMMAND_KIND__COMMAND_NONE:
    case _CONTROL__COMMAND_KIND_IS_INT_SIZE:
        break;
    }
    return false;
}

static bool request_is_sane(const Control__Request *request)
{
    switch (request->ask_case) {
    case CONTROL__REQUEST__ASK_STATUS:
        return request->status->first_vm < VMS_MAX && name_or_empty(request->status->vm);
    case CONTROL__REQUEST__ASK_HISTORY:
        return true;
    case CONTROL__REQUEST__ASK_COMMAND:
        return command_is_sane(request->command);
    case CONTROL__REQUEST__ASK_VM_ADD:
        return control_is_name(request->vm_add->name) && name_or_empty(request->vm_add->on) &&
               request->vm_add->xml[0] != '\0' && strlen(request->vm_add->xml) <= CONTROL_XML_MAX;
    case CONTROL__REQUEST__ASK_CONFIG:
        return name_or_empty(request->config->name);
    case CONTROL__REQUEST__ASK_CONFIG_SET:
        return control_is_name(request->config_set->name) &&
               strlen(request->config_set->value) < NAME_BYTES;
    case CONTROL__REQUEST__ASK__NOT_SET:
    case _CONTROL__REQUEST__ASK__CASE_IS_INT_SIZE:
        break;
    }
    return false;
}

int control_unpack_request(const uint8_t *frame, size_t size, Control__Request **ret_request)
{
    const size_t head = sizeof(struct qb_ipc_request_header);
    if (size < head || size > CONTROL_BYTES_MAX) {
        return -EBADMSG;
    }
    Control__Request *request = control__request__unpack(NULL, size - head, frame + head);
    if (request == NULL) {
        return -EBADMSG;
    }
    int r = request->version != CONTROL_VERSION ? -EPROTO : request_is_sane(request) ? 0 : -EBADMSG;
    if (r < 0) {
        control_free_request(&request);
        return r;
    }
    *ret_request = request;
    return 0;
}

int control_unpack_reply(const uint8_t *frame, size_t size, Control__Reply **ret_reply)
{
    const size_t head = sizeof(struct qb_ipc_response_header);
    if (size < head || size > CONTROL_BYTES_MAX) {
        return -EBADMSG;
    }
    Control__Reply *reply = control__reply__unpack(NULL, size - head, frame + head);
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
