/*
 * What `stead vm show` tells beside the state: where console and screen of a VM are, as they are
 * now, and what its definition was found to hold. The node it runs on asks its libvirt; any other
 * tells how to ask there.
 */
#ifndef STEAD_AGENT_VM_DETAIL_IO_H
#define STEAD_AGENT_VM_DETAIL_IO_H

#include "agent/vm_tools_io.h"

#define PLACES_MAX 8
#define PLACE_BYTES 256

/* All lent. */
struct vm_detail {
    const char *text; /* why there is nothing more to tell; NULL: there is */
    uint32_t count;
    const char *places[PLACES_MAX]; /* one line each: "console: …" */
    const struct review *review;
    const char *xml; /* the definition, where that was asked for, and nothing else */
};

/* Ends in one call of `done`, by `deadline_ms` at the latest and perhaps before this returns. */
void vm_detail_io_begin(const struct vm_tools *tools, const char *name, bool want_xml,
                        uint64_t deadline_ms,
                        void (*done)(void *context, const struct vm_detail *detail), void *context);

#endif
