/* A short queue of packed messages. */
#include "agent/outbox_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void drop(struct outbox *outbox, uint32_t at)
{
    free(outbox->messages[at].data);
    outbox->count--;
    memmove(&outbox->messages[at], &outbox->messages[at + 1],
            (outbox->count - at) * sizeof(outbox->messages[0]));
}

int outbox_put(struct outbox *outbox, const uint8_t *data, size_t size, bool beat)
{
    uint8_t *copy = malloc(size);
    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, data, size);
    for (uint32_t i = 0; beat && i < outbox->count; i++) {
        if (outbox->messages[i].beat) {
            drop(outbox, i);
            break;
        }
    }
    if (outbox->count == OUTBOX_MAX) {
        drop(outbox, 0);
    }
    outbox->messages[outbox->count++] = (struct outbox_message){copy, size, beat};
    return 0;
}

void outbox_drop_first(struct outbox *outbox)
{
    drop(outbox, 0);
}

void outbox_clear(struct outbox *outbox)
{
    while (outbox->count > 0) {
        drop(outbox, outbox->count - 1);
    }
}
