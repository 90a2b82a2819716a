/* The agent's copy of the state as a message of the local socket, for `stead cluster backup` where
 * the state object is gone. */
#ifndef STEAD_AGENT_COPY_IO_H
#define STEAD_AGENT_COPY_IO_H

#include "agent/core.h"
#include "proto/control_io.h"
#include "proto/wire_io.h"

#define COPY_RECORDS_MAX 128 /* in one page */
#define COPY_VALUE_BYTES 1024

/* Where one page is put together; large, so allocated once with whoever asks. */
struct copy_page {
    Control__Copy copy;
    Control__CopyRecord records[COPY_RECORDS_MAX];
    Control__CopyRecord *list[COPY_RECORDS_MAX];
    char keys[COPY_RECORDS_MAX][WIRE_KEY_BYTES];
    uint8_t values[COPY_RECORDS_MAX][COPY_VALUE_BYTES];
};

/* NULL, or why not. The message points into `page` and `core`: pack it before either changes. */
const char *copy_io_fill(struct copy_page *page, const struct core *core, uint32_t first);

#endif
