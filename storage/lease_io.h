/* The run leases: object "lease/<uuid>", changed only by compare-and-set on its generation. */
#ifndef STEAD_STORAGE_LEASE_IO_H
#define STEAD_STORAGE_LEASE_IO_H

#include "storage/op_io.h"

#define LEASE_OBJECT_BYTES 64
#define LEASE_KEY_GENERATION "generation"
#define LEASE_KEY_VALUE "lease"
#define LEASE_KEY_DEFINITION "def/" /* "def/0000000001": that version of the definition exists */
#define LEASE_KEY_NVRAM "nvram"     /* who copied firmware variables into the object's data */
#define LEASE_GENERATION_BYTES 24
#define LEASE_BYTES 1024 /* the largest packed lease is below */

/* ACTION_LEASE_READ, _CHANGE, _REMOVE. */
void lease_io_read(struct storage_io *io, const struct action *action);
void lease_io_change(struct storage_io *io, const struct action *action);
void lease_io_remove(struct storage_io *io, const struct action *action);

/* "lease/<uuid>". */
void lease_object(const struct uuid *vm, char ret_object[LEASE_OBJECT_BYTES]);

/* Adds to `write` both keys of `lease`. 0 or -errno. */
int lease_set(rados_write_op_t write, const struct lease *lease);

/* Adds to `write`: only if the generation is still this. */
void lease_compare(rados_write_op_t write, uint64_t generation);

/* The lease among all or both keys of its object. 0, or -EBADMSG when it is missing, not to be
 * understood, or contradicts its generation. */
int lease_find(rados_omap_iter_t values, struct lease *ret_lease);

#endif
