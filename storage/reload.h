/* A whole read of the state object, in pages, while commits go on. Pure. */
#ifndef STEAD_STORAGE_RELOAD_H
#define STEAD_STORAGE_RELOAD_H

#include "proto/types.h"

struct reload {
    uint32_t count;
    struct delta kept[DELTAS_KEPT_MAX]; /* delivered since page one, in order */
};

/* A read begins: forget what was kept. */
void reload_begin(struct reload *reload);

/* A delta was delivered while a read is under way. */
void reload_keep(struct reload *reload, const struct delta *delta);

/* The pages are in `image` (its header is the first page's); `last` is the header at the last page.
 * Brings the image to one version by the kept deltas. False: it cannot be; read again. */
bool reload_finish(const struct reload *reload, struct cluster *image, const struct header *last);

#endif
