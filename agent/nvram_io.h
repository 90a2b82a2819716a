/*
 * Keeps the copies of firmware variables in RADOS as new as they need be, for the guests of this
 * host: within half a minute of a change, and before the lease is freed, so that whoever starts the
 * VM next finds what its guest wrote last. (A host that dies loses at most that half minute of
 * them.)
 */
#ifndef STEAD_AGENT_NVRAM_IO_H
#define STEAD_AGENT_NVRAM_IO_H

#include <qb/qbloop.h>

#include "agent/core.h"
#include "storage/storage_io.h"

struct nvram_io;

/* Copies nothing before nvram_io_begin(); `storage` is borrowed for good. 0 or -errno. */
int nvram_io_open(qb_loop_t *loop, struct storage_io *storage, struct nvram_io **ret_nvram);

/* The core is there now; borrowed for good. 0 or -errno. */
int nvram_io_begin(struct nvram_io *nvram, const struct core *core);

/* ACTION_LEASE_CHANGE that frees a lease: what is not copied yet is copied first. */
void nvram_io_release(struct nvram_io *nvram, const struct action *action);

#endif
