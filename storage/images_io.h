/* The RBD images of a VM: their locks and their watchers. */
#ifndef STEAD_STORAGE_IMAGES_IO_H
#define STEAD_STORAGE_IMAGES_IO_H

#include <rbd/librbd.h>

#include "storage/op_io.h"

/* ACTION_LOCKS_BREAK, ACTION_WATCHERS_READ. */
void images_break_locks(struct storage_io *io, const struct action *action);
void images_read_watchers(struct storage_io *io, const struct action *action);

/* Adds who has an image open, without `own` (NULL: nobody is left out). -EBADMSG: an address that
 * cannot be read; -E2BIG: more than a lease can name. Blocks. */
int images_add_watchers(rbd_image_t image, const struct client *own, struct clients *clients);

#endif
