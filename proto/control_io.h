/*
 * The local socket's messages (proto/control.proto): a frame is the message's length, four bytes,
 * most significant first, and the message as protobuf. Shared by the agent's server and the command
 * `stead`.
 *
 * Bytes from the other side are validated here. What another release may have said (a version, a
 * field, a command not known here) makes -EPROTO; anything else that is not a whole, sane message
 * -EBADMSG, and the output is left alone. However hostile, a frame takes no more memory than
 * CONTROL_MEMORY_MAX to read.
 */
#ifndef STEAD_PROTO_CONTROL_IO_H
#define STEAD_PROTO_CONTROL_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/control.pb-c.h"

#define CONTROL_PATH "/run/stead/control.sock"
#define CONTROL_VERSION 1
#define CONTROL_HEAD_BYTES 4
#define CONTROL_XML_MAX (256 * 1024)               /* of a domain's definition */
#define CONTROL_BYTES_MAX (CONTROL_XML_MAX + 4096) /* of one frame, either way */
#define CONTROL_MEMORY_MAX (1024 * 1024)           /* of one message, unpacked */
#define CONTROL_VMS_MAX 128                        /* in one page of a status */
#define CONTROL_DECISIONS_MAX 128                  /* in one page of the history */

/* A name of a VM or node, as the wire forms take it: letters, digits, "._-", 1 to NAME_BYTES - 1 of
 * them, beginning with a letter or digit. */
bool control_is_name(const char *name);

/* The whole size, head included, of the frame that begins with `head`: 0, or -EBADMSG when it is
 * empty or above `size_max`. To be asked before anything is allocated for it. */
int control_frame_size(const uint8_t head[CONTROL_HEAD_BYTES], size_t size_max, size_t *ret_size);

/* Frame and message into `buffer`. 0 with the whole size in *ret_size, or -ENOBUFS. */
int control_pack_request(const Control__Request *request, uint8_t *buffer, size_t size,
                         size_t *ret_size);
int control_pack_reply(const Control__Reply *reply, uint8_t *buffer, size_t size, size_t *ret_size);

/* A Reply that says REFUSED, and `text` (cut where the frame would grow too large). */
int control_pack_refusal(const char *text, uint8_t *buffer, size_t size, size_t *ret_size);

/* May it change something, so that without an answer nobody knows whether it did? */
bool control_changes(const Control__Request *request);

/* May those ask it who may only ask? */
bool control_for_viewers(const Control__Request *request);

/* From a whole frame of `size` bytes. 0, -EBADMSG or -EPROTO. The caller frees. */
int control_unpack_request(const uint8_t *frame, size_t size, Control__Request **ret_request);
int control_unpack_reply(const uint8_t *frame, size_t size, Control__Reply **ret_reply);

/* Sets the pointer to NULL. */
void control_free_request(Control__Request **request);
void control_free_reply(Control__Reply **reply);

#endif
