/*
 * The copy of a VM's firmware variables (UEFI NVRAM): the data of its lease object, so that right,
 * definition and variables share one fate, and a copy is written only by whoever the lease names:
 * the write compares the generation.
 *
 * The file is copied as it is at that moment. Of a running guest that is what a power cut would
 * leave there, which the firmware's own fault-tolerant writing is made for.
 */
#ifndef STEAD_STORAGE_NVRAM_IO_H
#define STEAD_STORAGE_NVRAM_IO_H

#include "storage/storage_io.h"

#define NVRAM_PATH_BYTES 256
#define NVRAM_BYTES_MAX (4 * 1024 * 1024) /* OVMF's are 528 KiB */

struct nvram_place {
    struct uuid vm;
    uint64_t generation; /* of its lease, for saving */
    char path[NVRAM_PATH_BYTES];
};

/* What a file was like when it was copied; zero: not known. */
struct nvram_stamp {
    int64_t changed_ns;
    int64_t size;
};

/* What the file is like now; zero where there is none. Does not block for longer than stat(). */
struct nvram_stamp nvram_stamp_of(const char *path);
bool nvram_stamp_equal(const struct nvram_stamp *a, const struct nvram_stamp *b);

/* File to RADOS. DONE with its stamp; MISSING: no file, or no lease; REFUSED: the lease has another
 * generation; FAILED: no file of firmware variables (too large, not to be read). `done` is called
 * once on the loop thread, by `deadline_ms` at the latest. */
void storage_io_save_nvram(struct storage_io *io, const struct nvram_place *place,
                           uint64_t deadline_ms,
                           void (*done)(void *context, enum outcome outcome,
                                        const struct nvram_stamp *stamp),
                           void *context);

/* RADOS to file, before the VM starts on this node: unless there is no copy, or this node made it
 * and still has the file, which is then at least as new. DONE in either case. */
void storage_io_restore_nvram(struct storage_io *io, const struct nvram_place *place,
                              uint64_t deadline_ms,
                              void (*done)(void *context, enum outcome outcome), void *context);

#endif
