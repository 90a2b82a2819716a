/* A 64-bit FNV-1a digest: to compare copies and definitions, not to keep secrets. */
#ifndef STEAD_PROTO_DIGEST_H
#define STEAD_PROTO_DIGEST_H

#include <stddef.h>

#include "proto/types.h"

#define DIGEST_SEED 0xcbf29ce484222325u

/* Goes on from `seed` (the first time DIGEST_SEED). Text: without its padding, with its length. */
uint64_t digest_bytes(uint64_t seed, const void *data, size_t size);
uint64_t digest_u64(uint64_t seed, uint64_t value);
uint64_t digest_text(uint64_t seed, const char *text, size_t size_max);

/* Of one record, key included; field by field, so that padding never counts. 0 for an unused slot.
 * The state's digest is the sum over all records: a commit changes it by what it replaced. */
uint64_t digest_node(uint32_t slot, const struct node_record *node);
uint64_t digest_vm(uint32_t slot, const struct vm_record *vm);
uint64_t digest_setting(uint32_t slot, const struct setting_record *setting);
uint64_t digest_history(uint32_t slot, const struct history_entry *entry);

#endif
