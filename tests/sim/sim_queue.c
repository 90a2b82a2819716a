/* A binary heap ordered by (time, sequence): a total order, so that nothing depends on the heap. */
#include "tests/sim/sim_queue.h"

#include <stdlib.h>

#include "proto/assert.h"

static bool before(const struct sim_turn *a, const struct sim_turn *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

static void grow(struct sim_queue *queue)
{
    queue->room = queue->room == 0 ? 256 : queue->room * 2;
    queue->heap = realloc(queue->heap, queue->room * sizeof(*queue->heap));
    queue->tasks = realloc(queue->tasks, queue->room * sizeof(*queue->tasks));
    ASSERT(queue->heap != NULL);
    ASSERT(queue->tasks != NULL);
    for (size_t i = queue->count; i < queue->room; i++) {
        queue->heap[i].slot = i;
    }
}

void sim_queue_put(struct sim_queue *queue, const struct sim_task *task)
{
    ASSERT(task->run != NULL);
    if (queue->count == queue->room) {
        grow(queue);
    }
    size_t i = queue->count++;
    struct sim_turn fresh = {
        .at_us = task->at_us, .sequence = task->sequence, .slot = queue->heap[i].slot};
    fresh.sequence = fresh.sequence == 0 ? ++queue->sequence : fresh.sequence;
    queue->tasks[fresh.slot] = *task;
    queue->tasks[fresh.slot].sequence = fresh.sequence;
    while (i > 0 && before(&fresh, &queue->heap[(i - 1) / 2])) {
        queue->heap[i] = queue->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    queue->heap[i] = fresh;
}

static void sink(struct sim_queue *queue, const struct sim_turn *turn)
{
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= queue->count) {
            break;
        }
        if (child + 1 < queue->count && before(&queue->heap[child + 1], &queue->heap[child])) {
            child++;
        }
        if (before(turn, &queue->heap[child])) {
            break;
        }
        queue->heap[i] = queue->heap[child];
        i = child;
    }
    queue->heap[i] = *turn;
}

bool sim_queue_take(struct sim_queue *queue, struct sim_task *ret_task)
{
    if (queue->count == 0) {
        return false;
    }
    size_t slot = queue->heap[0].slot;
    struct sim_turn last = queue->heap[--queue->count];
    *ret_task = queue->tasks[slot];
    if (queue->count > 0) {
        sink(queue, &last);
    }
    queue->heap[queue->count].slot = slot;
    return true;
}

void sim_queue_free(struct sim_queue *queue)
{
    free(queue->heap);
    free(queue->tasks);
    *queue = (struct sim_queue){0};
}
