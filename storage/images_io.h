/* The RBD images of a VM: their locks and their watchers. */
#ifndef STEAD_STORAGE_IMAGES_IO_H
#define STEAD_STORAGE_IMAGES_IO_H

#include "storage/op_io.h"

/* ACTION_LOCKS_BREAK, ACTION_WATCHERS_READ. */
void images_break_locks(struct storage_io *io, const struct action *action);
void images_read_watchers(struct storage_io *io, const struct action *action);

#endif
