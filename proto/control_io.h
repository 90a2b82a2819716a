/*
 * The local socket's messages (proto/control.proto), packed and unpacked as protobuf with libqb's
 * frame around them. Shared by the agent's server and the command `stead`.
 *
 * Bytes from the other side are validated here: another version makes -EPROTO; anything else that
 * is not a whole, sane message -EBADMSG, and the output is left alone.
 */
#ifndef STEAD_PROTO_CONTROL_IO_H
#define STEAD_PROTO_CONTROL_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/control.pb-c.h"

#define CONTROL_SERVICE "stead" /* libqb's name of the socket */
#define CONTROL_VERSION 1
#define CONTROL_XML_MAX (256 * 1024)               /* of a domain's definition */
#define CONTROL_BYTES_MAX (CONTROL_XML_MAX + 4096) /* of one frame, either way */
#define CONTROL_VMS_MAX 128                        /* in one page of a status */
#define CONTROL_DECISIONS_MAX 128                  /* in one page of the history */

/* A name of a VM or node, as the wire forms take it: letters, digits, "._-", 1 to NAME_BYTES - 1 of
 * them, beginning with a letter or digit. */
bool control_is_name(const char *name);

/* Frame and message into `buffer`. 0 with the whole size in *ret_size, or -ENOBUFS. */
int control_pack_request(const Control__Request *request, uint8_t *buffer, size_t size,
                         size_t *ret_size);
int control_pack_reply(const Control__Reply *reply, uint8_t *buffer, size_t size, size_t *ret_size);

/* From a frame of `size` bytes. 0, -EBADMSG, -EPROTO, or -ENOMEM. The caller frees. */
int control_unpack_request(const uint8_t *frame, size_t size, Control__Request **ret_request);
int control_unpack_reply(const uint8_t *frame, size_t size, Control__Reply **ret_reply);

void control_free_request(Control__Request **request);
void control_free_reply(Control__Reply **reply);

#endif
