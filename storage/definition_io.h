/* The definitions: object "def/<uuid>/<version>", and the way from a VM to its RBD images. */
#ifndef STEAD_STORAGE_DEFINITION_IO_H
#define STEAD_STORAGE_DEFINITION_IO_H

#include "storage/op_io.h"

#define DEFINITION_OBJECT_BYTES 64
#define DEFINITION_BYTES_MAX                                                                       \
    (320 * 1024) /* packed; libvirt's own limit of a domain XML is below                           \
                  */

/* The name of the object of that version. */
void definition_object(const struct uuid *vm, uint32_t version,
                       char ret_object[DEFINITION_OBJECT_BYTES]);

/* "def/0000000001", the key by which the lease object tells of a version. */
void definition_format_key(uint32_t version, char ret_key[WIRE_KEY_BYTES]);
bool definition_parse_key(const char *key, uint32_t *ret_version);

/* Packs `definition` into a new buffer. 0 or -errno (-EINVAL: too large, or its digest is not its
 * XML's). The caller frees. */
int definition_pack(const struct definition *definition, uint8_t **ret_bytes, size_t *ret_size);

/* From bytes as they lie in RADOS. 0, -EBADMSG or -ENOMEM. The caller frees with definition_free.
 */
int definition_unpack(const uint8_t *data, size_t size, struct definition *ret_definition);

/* Reads one; version 0 means the newest that the lease object tells of. Blocks: for workers.
 * 0, -ENOENT, -EBADMSG or librados' error. The caller frees with definition_free. */
int definition_read(rados_ioctx_t pool, const struct uuid *vm, uint32_t version,
                    struct definition *ret_definition);

/* Frees what is in it. */
void definition_free(struct definition *definition);

#endif
