/* The state object: its header, its commits, its whole contents. Each answers by the event the
 * action calls for (see proto/action.h). */
#ifndef STEAD_STORAGE_STATE_IO_H
#define STEAD_STORAGE_STATE_IO_H

#include "storage/op_io.h"

#define STATE_KEY_HEADER "header"

/* ACTION_POLL, ACTION_COMMIT, ACTION_STATE_READ. `delta` is packed before this returns. */
void state_poll(struct storage_io *io, const struct action *action);
void state_commit(struct storage_io *io, const struct action *action, const struct delta *delta);
void state_read(struct storage_io *io, const struct action *action);

/* Puts a record as it was read into an image. */
void state_take_record(struct cluster *image, const struct record *record);

/* The key and value by which a commit compares what it follows. */
#define STATE_KEY_GUARD "guard"
#define STATE_GUARD_BYTES 64
void state_format_guard(char ret_text[STATE_GUARD_BYTES], const struct header *header);

/* Finds and reads the header among the asked keys. 0 or -EBADMSG. */
int state_find_header(rados_omap_iter_t values, struct header *ret_header);

#endif
