/*
 * Blocking and unblocking clients, many at once. Each change waits for the monitors' next proposal
 * (up to 1 s), and changes proposed together cost one: so all requests that are there form a batch:
 *
 *     read the list → change what is not as wanted, in parallel → read the list again → wait for
 * the newest map → answer each request
 *
 * The next batch begins as soon as the first list of this one is read. What the list shows is the
 * answer, not what the changes returned.
 */
#include "storage/blocklist_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "proto/values.h"
#include "storage/handle_io.h"

#define BATCH_OPS_MAX 64

struct batch;

struct block_op {
    struct op op;
    struct action_block block;
};

struct block_entry {
    struct job job;
    struct batch *batch;
    struct client client;
    uint64_t valid_until_ms; /* the longest right of those who want it */
    uint64_t deadline_ms;    /* the latest of theirs */
    enum blocked_for found;
    int result; /* of the change: 0, -errno, -ESTALE when it was too late to begin */
};

struct batch {
    struct job job;
    struct map_wait map_wait;
    struct storage_io *io;
    struct handle *handle;
    enum action_kind kind;
    uint32_t op_count;
    struct block_op *ops[BATCH_OPS_MAX]; /* held */
    uint32_t entry_count;
    uint32_t pending; /* changes under way */
    int list_result;
    uint32_t epoch;
    struct block_entry entries[BATCH_OPS_MAX * BLOCK_ENTRIES_MAX];
};

static struct batch *batch_of(struct job *job)
{
    return (struct batch *)((char *)job - offsetof(struct batch, job));
}

static void start_batch(struct storage_io *io);

/* ---- which entries */

static struct block_entry *find_entry(struct batch *batch, const struct client *client)
{
    for (uint32_t i = 0; i < batch->entry_count; i++) {
        if (client_equal(&batch->entries[i].client, client)) {
            return &batch->entries[i];
        }
    }
    return NULL;
}

static void want_entry(struct batch *batch, const struct op *op, const struct client *client)
{
    struct block_entry *entry = find_entry(batch, client);
    if (entry == NULL) {
        entry = &batch->entries[batch->entry_count++];
        entry->batch = batch;
        entry->client = *client;
        entry->valid_until_ms = op->valid_until_ms;
        entry->deadline_ms = op->deadline_ms;
        return;
    }
    if (op->valid_until_ms == 0 || entry->valid_until_ms == 0) {
        entry->valid_until_ms = 0;
    } else if (op->valid_until_ms > entry->valid_until_ms) {
        entry->valid_until_ms = op->valid_until_ms;
    }
    if (op->deadline_ms > entry->deadline_ms) {
        entry->deadline_ms = op->deadline_ms;
    }
}

/* ---- the end: each request by what the list says of its entries */

static enum outcome judge(const struct batch *batch, const struct block_op *request)
{
    const enum blocked_for wanted =
        batch->kind == ACTION_BLOCK_ADD ? BLOCKED_FOR_YEARS : BLOCKED_NOT;
    uint32_t missed = 0, stale = 0, refused = 0;
    for (uint32_t i = 0; i < request->block.count; i++) {
        const struct block_entry *const entry =
            find_entry((struct batch *)batch, &request->block.entries[i]);
        missed += entry->found != wanted;
        stale += entry->found != wanted && entry->result == -ESTALE;
        refused += entry->found != wanted && op_outcome(entry->result) == OUTCOME_FAILED;
    }
    if (missed == 0) {
        return OUTCOME_DONE;
    }
    if (stale == request->block.count) {
        return OUTCOME_STALE;
    }
    return refused == missed ? OUTCOME_FAILED : OUTCOME_UNKNOWN;
}

static uint32_t count_blocked(struct batch *batch, const struct block_op *request)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->block.count; i++) {
        count += find_entry(batch, &request->block.entries[i])->found != BLOCKED_NOT;
    }
    return count;
}

static void finish_batch(struct batch *batch)
{
    for (uint32_t i = 0; i < batch->op_count; i++) {
        op_drop(&batch->ops[i]->op);
    }
    handle_drop(batch->handle);
    free(batch);
}

/* Why a request did not come about: the first of its entries that says so. */
static const char *reason(struct batch *batch, const struct block_op *request, int result)
{
    for (uint32_t i = 0; result >= 0 && i < request->block.count; i++) {
        result = find_entry(batch, &request->block.entries[i])->result;
    }
    return result == -ESTALE ? "too late to begin"
           : result < 0      ? strerror(-result)
                             : "not seen to have happened";
}

static void answer(struct batch *batch, struct block_op *request, int result)
{
    enum outcome outcome = result < 0 ? op_outcome(result) : OUTCOME_DONE;
    if (result >= 0 && batch->kind != ACTION_BLOCK_CHECK) {
        outcome = judge(batch, request);
    }
    if (outcome == OUTCOME_DONE) {
        request->op.event.block.osd_epoch = batch->epoch;
        request->op.event.block.blocked_count = count_blocked(batch, request);
    } else if (!request->op.answered) {
        warn_io_say("storage: blocklist: %s and %u more: %s", request->block.entries[0].address,
                    request->block.count - 1, reason(batch, request, result));
    }
    op_answer(&request->op, outcome);
}

static void answer_all(struct batch *batch, int result)
{
    for (uint32_t i = 0; i < batch->op_count; i++) {
        answer(batch, batch->ops[i], result);
    }
    finish_batch(batch);
}

static void map_seen(struct map_wait *wait, int result)
{
    answer_all((struct batch *)((char *)wait - offsetof(struct batch, map_wait)), result);
}

static void wait_for_map(struct batch *batch)
{
    batch->map_wait.after = map_seen;
    handle_wait_map(batch->handle, &batch->map_wait);
}

/* ---- reading the list */

static void list_work(struct job *job)
{
    struct batch *batch = batch_of(job);
    struct blocklist list;
    batch->list_result = blocklist_read(handle_cluster(batch->handle), &list);
    if (batch->list_result < 0) {
        return;
    }
    for (uint32_t i = 0; i < batch->entry_count; i++) {
        batch->entries[i].found = blocklist_find(&list, &batch->entries[i].client);
    }
    batch->epoch = list.epoch;
    blocklist_free(&list);
}

static void read_list(struct batch *batch, void (*after)(struct job *job))
{
    batch->job = (struct job){.work = list_work, .after = after};
    jobs_submit(batch->io->jobs, &batch->job);
}

static void second_list_read(struct job *job)
{
    struct batch *batch = batch_of(job);
    if (batch->list_result < 0) {
        answer_all(batch, -ETIMEDOUT); /* changes went out: nobody knows */
    } else {
        wait_for_map(batch);
    }
}

/* ---- changing what is not as wanted */

/* A shorter entry must go first: an add does not prolong it. */
static int change_entry(const struct block_entry *entry, rados_t cluster)
{
    int r = 0;
    if (entry->batch->kind == ACTION_BLOCK_REMOVE || entry->found == BLOCKED_SHORTLY) {
        r = blocklist_remove(cluster, &entry->client);
    }
    if (r == 0 && entry->batch->kind == ACTION_BLOCK_ADD) {
        r = blocklist_add(cluster, &entry->client);
    }
    return r;
}

static void change_work(struct job *job)
{
    struct block_entry *entry =
        (struct block_entry *)((char *)job - offsetof(struct block_entry, job));
    if (storage_stale(entry->valid_until_ms) || storage_stale(entry->deadline_ms)) {
        entry->result = -ESTALE;
    } else {
        entry->result = change_entry(entry, handle_cluster(entry->batch->handle));
    }
}

static void change_after(struct job *job)
{
    struct batch *batch =
        ((struct block_entry *)((char *)job - offsetof(struct block_entry, job)))->batch;
    if (--batch->pending == 0) {
        read_list(batch, second_list_read);
    }
}

static void change_entries(struct batch *batch)
{
    const enum blocked_for wanted =
        batch->kind == ACTION_BLOCK_ADD ? BLOCKED_FOR_YEARS : BLOCKED_NOT;
    batch->pending = 1; /* ours, until all are sent */
    for (uint32_t i = 0; i < batch->entry_count; i++) {
        struct block_entry *const entry = &batch->entries[i];
        if (entry->found != wanted) {
            batch->pending++;
            entry->job = (struct job){.work = change_work, .after = change_after};
            jobs_submit(batch->io->jobs, &entry->job);
        }
    }
    if (--batch->pending == 0) { /* all was as wanted before */
        wait_for_map(batch);
    }
}

static void first_list_read(struct job *job)
{
    struct batch *batch = batch_of(job);
    struct storage_io *const io = batch->io;
    io->listing = false;
    if (batch->list_result < 0) {
        answer_all(batch, batch->list_result);
    } else if (batch->kind == ACTION_BLOCK_CHECK) {
        answer_all(batch, 0);
    } else {
        change_entries(batch);
    }
    start_batch(io);
}

/* ---- the beginning */

/* Takes the requests at the head that are of one kind and one handle. */
static void gather(struct batch *batch)
{
    struct op_queue *const queue = &batch->io->blocking;
    while (queue->first != NULL && batch->op_count < BATCH_OPS_MAX &&
           queue->first->kind == batch->kind && queue->first->handle == batch->handle) {
        struct block_op *const request = (struct block_op *)op_queue_take(queue);
        if (request->op.answered) {
            op_drop(&request->op);
            continue;
        }
        batch->ops[batch->op_count++] = request; /* the queue's hold is the batch's now */
        for (uint32_t i = 0; i < request->block.count; i++) {
            want_entry(batch, &request->op, &request->block.entries[i]);
        }
    }
}

static void start_batch(struct storage_io *io)
{
    if (io->listing || io->blocking.first == NULL) {
        return;
    }
    struct batch *batch = calloc(1, sizeof(*batch));
    if (batch == NULL) {
        return; /* they stay queued until their deadlines, or until the next request */
    }
    batch->io = io;
    batch->kind = io->blocking.first->kind;
    batch->handle = io->blocking.first->handle;
    handle_hold(batch->handle);
    gather(batch);
    if (batch->op_count == 0) {
        finish_batch(batch);
        start_batch(io);
        return;
    }
    io->listing = true;
    read_list(batch, first_list_read);
}

void block_act(struct storage_io *io, const struct action *action)
{
    struct block_op *request = op_new(io, action, EVENT_BLOCK, sizeof(*request));
    if (request == NULL) {
        return;
    }
    ASSERT(action->block.count <= BLOCK_ENTRIES_MAX);
    request->block = action->block;
    if (request->op.handle == NULL || request->block.count == 0) {
        op_answer(&request->op, request->op.handle == NULL ? OUTCOME_FAILED : OUTCOME_DONE);
        return;
    }
    op_hold(&request->op);
    op_queue_put(&io->blocking, &request->op);
    start_batch(io);
}
