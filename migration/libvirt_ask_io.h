/*
 * Asking libvirt something in a worker, beside the core's own actions: what an operator's command
 * needs of it. For migration/ only; agent/ uses what is built on it.
 */
#ifndef STEAD_MIGRATION_LIBVIRT_ASK_IO_H
#define STEAD_MIGRATION_LIBVIRT_ASK_IO_H

#include <libvirt/libvirt.h>

#include "migration/libvirt_io.h"

struct libvirt_ask {
    /* On a worker's thread; may block. What it finds goes into `memory`. */
    enum outcome (*work)(virConnectPtr connection, void *memory, char ret_text[TEXT_BYTES]);
    /* On the loop's thread, once. `memory` is lent, and NULL when the deadline passed first: the
     * worker may still be in it. */
    void (*done)(void *context, void *memory, enum outcome outcome, const char *text);
    void (*release)(void *memory); /* on any thread, once nobody is in it */
    void *memory;
    void *context;
};

/* Takes over ask->memory, also on failure. Asks about one VM are answered in order, and in order
 * with the core's actions on it. 0, or -ENOBUFS or -ENOMEM: then `done` is not called. */
int libvirt_io_ask(struct libvirt_io *io, const struct uuid *vm, uint64_t deadline_ms,
                   const struct libvirt_ask *ask);

#endif
