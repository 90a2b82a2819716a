/*
 * The RADOS edge: carries out the storage actions on librados and librbd and answers with events.
 *
 * Pattern (measured: librados' synchronous calls block for ever by default): short object
 * operations go out as aio with a completion that only writes an eventfd; what has no aio form
 * (connect, monitor commands, rbd_open) runs in worker threads that only enqueue. One operation in
 * flight per purpose is the caller's rule. The three librados timeouts are set from `call_ms`.
 * Everything here is called on, and answers on, the main loop's thread.
 */
#ifndef STEAD_STORAGE_STORAGE_IO_H
#define STEAD_STORAGE_STORAGE_IO_H

#include <qb/qbloop.h>

#include "proto/action.h"
#include "proto/sink.h"

struct storage_io;

struct storage_options {
    const char *conf; /* ceph.conf path */
    const char *user; /* without "client." */
    const char *pool; /* of the state object, leases and definitions */
    uint32_t nodeid;  /* names our beat key */
    uint32_t call_ms; /* librados timeouts */
};

/* Where a VM's definition is kept: object "def/<uuid>/<version>" beside its lease "lease/<uuid>".
 */
#define IMAGES_MAX CLIENTS_PER_VM_MAX
struct definition {
    struct uuid vm;
    uint32_t version;
    uint64_t digest; /* wire digest of the XML text */
    uint32_t image_count;
    struct {
        char pool[NAME_BYTES];
        char name[NAME_BYTES * 2];
    } images[IMAGES_MAX];
    char *xml; /* NUL-terminated; owned by whoever holds the struct */
};

/* Makes the edge; no handle is open until ACTION_HANDLE_OPEN. The strings in `options` are copied.
 * 0 or -errno. */
int storage_io_open(qb_loop_t *loop, const struct storage_options *options, const struct sink *sink,
                    struct storage_io **ret_io);

/* The setting `call_ms` changed: it counts for what is asked from now on, and for librados' own
 * timeouts from the next handle on (they cannot be changed on one that is open). */
void storage_io_set_call_ms(struct storage_io *io, uint32_t call_ms);

/* Carries out one action of a storage kind (HANDLE_OPEN, POLL, STATE_READ, COMMIT, LEASE_*,
 * BLOCK_*, LOCKS_BREAK, WATCHERS_READ). `out` is the list it came in (COMMIT takes out->delta). */
void storage_io_act(struct storage_io *io, const struct action *action, const struct actions *out);

/* Reads a definition; `done` is called once on the loop thread, by `deadline_ms` (CLOCK_BOOTTIME)
 * at the latest, with NULL and an outcome other than DONE if it failed. The definition is lent for
 * the call. */
void storage_io_read_definition(struct storage_io *io, const struct uuid *vm, uint32_t version,
                                uint64_t deadline_ms,
                                void (*done)(void *context, enum outcome outcome,
                                             const struct definition *definition),
                                void *context);

/* Which VM an image belongs to, and since when (CLOCK_REALTIME). */
struct image_claim {
    struct uuid vm; /* zero: nobody's */
    uint64_t wall_s;
};

/* What `vm add` writes for one VM. */
struct preparation {
    struct definition definition; /* its XML is borrowed for the call */
    struct uuid cluster_id;
    struct image_claim claims[IMAGES_MAX]; /* as storage_io_check_images() saw them */
    bool running; /* the domain runs already: the lease is made held, by: */
    uint32_t holder;
    struct incarnation incarnation;
    struct clients clients;
};

/* `vm add`, the part in RADOS: claims the images, makes the lease object, free or (`running`) held,
 * its first generation being the definition's version (or raises the one that is there by one), and
 * writes the definition; the generation is told. Give each add of one UUID a greater version
 * (state_new_definition): then no change or removal meant for an earlier life of it can match.
 * REFUSED with the reason in `text` when an image was claimed meanwhile or the lease is held; one
 * that the very node holds which adopts again is its own half-done try. `done` as above. */
void storage_io_prepare_vm(struct storage_io *io, const struct preparation *preparation,
                           uint64_t deadline_ms,
                           void (*done)(void *context, enum outcome outcome, uint64_t generation,
                                        const char *text),
                           void *context);

/* Ends everything under way without waiting for RADOS (see the note in storage_io.c on why the
 * process should then exit), and frees. NULL is fine. */
void storage_io_close(struct storage_io *io);

#endif
