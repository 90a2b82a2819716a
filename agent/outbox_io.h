/* Packed messages that Corosync did not take yet, in order; of heartbeats only the newest. */
#ifndef STEAD_AGENT_OUTBOX_IO_H
#define STEAD_AGENT_OUTBOX_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTBOX_MAX 64 /* messages; a full box loses its oldest: the core repeats */

struct outbox_message {
    uint8_t *data;
    size_t size;
    bool beat;
};

struct outbox {
    uint32_t count;
    struct outbox_message messages[OUTBOX_MAX];
};

/* Copies `data` in. 0 or -ENOMEM (it is lost then). */
int outbox_put(struct outbox *outbox, const uint8_t *data, size_t size, bool beat);
void outbox_drop_first(struct outbox *outbox);
void outbox_clear(struct outbox *outbox);

#endif
