/*
 * The whole state object, in pages of as many keys as an OSD gives at a time. Each page's operation
 * reads the header too, so that the reader knows which commits got in between.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/state_io.h"

#define PAGE_KEYS 1024 /* osd_max_omap_entries_per_request */

struct image_op {
    struct op op;
    struct cluster *image;
    bool begun; /* a page was read */
    char last_key[WIRE_KEY_BYTES];
};

static void ask_page(struct op *op);

void state_take_record(struct cluster *image, const struct record *record)
{
    switch (record->kind) {
    case RECORD_NODE:
        image->nodes[record->slot] = record->node;
        break;
    case RECORD_VM:
        image->vms[record->slot] = record->vm;
        if (record->vm.state != VM_FREE && record->slot >= image->vm_end) {
            image->vm_end = record->slot + 1;
        }
        break;
    case RECORD_SETTING:
        image->set[record->slot] = record->setting;
        break;
    case RECORD_HISTORY:
        image->history[record->slot] = record->history;
        break;
    case RECORD_KIND_COUNT:
    default:
        break;
    }
}

/* Keys that are no record's (header, guard, beats, and what a newer version may add) pass by. So
 * does a record that cannot be understood: the digest tells that it is missing, and the acting
 * node, which has it, can write it anew. */
static void take_page(struct image_op *read)
{
    struct op_value value;
    struct record record;
    while (op_next_value(read->op.aio.page, &value)) {
        memcpy(read->last_key, value.key, sizeof(read->last_key));
        enum record_kind kind = RECORD_KIND_COUNT;
        uint32_t slot = 0;
        if (wire_parse_key(value.key, &kind, &slot) < 0) {
            continue;
        }
        if (wire_unpack_record(value.bytes, value.size, kind, slot, &record) == 0) {
            state_take_record(read->image, &record);
        }
    }
}

static int take_header(struct image_op *read)
{
    struct event_state *const state = &read->op.event.state;
    const int r = state_find_header(read->op.aio.values, &state->last);
    if (r == 0 && !read->begun) {
        read->begun = true;
        state->first = state->last;
        read->image->header = state->first;
    }
    return r;
}

static void page_read(struct op *op, int result)
{
    struct image_op *read = (struct image_op *)op;
    const bool more = op->aio.more != 0;
    if (result >= 0) {
        result = take_header(read);
    }
    if (result >= 0) {
        take_page(read);
    }
    if (result < 0) {
        op->event.state.garbled = result == -EBADMSG;
        if (result != -ENOENT && !op->event.state.garbled) { /* those two the core says, once */
            warn_io_say("storage: reading the state: %s", strerror(-result));
        }
        op_answer(op, op_outcome(result));
    } else if (more) {
        ask_page(op);
    } else {
        op->event.state.image = read->image;
        op_answer(op, OUTCOME_DONE);
    }
}

static void ask_page(struct op *op)
{
    static const char *const keys[] = {STATE_KEY_HEADER};
    struct image_op *read = (struct image_op *)op;
    struct aio *aio = op_new_read(op);
    op_ask_keys(op, keys, 1);
    rados_read_op_omap_get_vals2(aio->read, read->last_key, "", PAGE_KEYS, &aio->page, &aio->more,
                                 NULL);
    op_read(op, STORAGE_OBJECT, page_read);
}

static void image_release(struct op *op)
{
    free(((struct image_op *)op)->image);
}

void state_read(struct storage_io *io, const struct action *action)
{
    struct image_op *read = op_new(io, action, EVENT_STATE, sizeof(*read));
    if (read == NULL) {
        return;
    }
    read->op.release = image_release;
    read->image = calloc(1, sizeof(*read->image));
    if (read->image == NULL) {
        op_answer(&read->op, OUTCOME_FAILED);
        return;
    }
    op_begin_ahead(&read->op, ask_page);
}
