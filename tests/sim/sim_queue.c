/* A binary heap ordered by (time, sequence): a total order, so that nothing depends on the heap. */
#include "tests/sim/sim_queue.h"

#include <stdlib.h>

#include "proto/assert.h"

static bool before(const struct sim_task *a, const struct sim_task *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

void sim_queue_put(struct sim_queue *queue, const struct sim_task *task)
{
    ASSERT(task->run != NULL);
    if (queue->count == queue->room) {
        queue->room = queue->room == 0 ? 256 : queue->room * 2;
        queue->heap = realloc(queue->heap, queue->room * sizeof(*queue->heap));
        ASSERT(queue->heap != NULL);
    }
    struct sim_task fresh = *task;
    fresh.sequence = ++queue->sequence;
    size_t i = queue->count++;
    while (i > 0 && before(&fresh, &queue->heap[(i - 1) / 2])) {
        queue->heap[i] = queue->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    queue->heap[i] = fresh;
}

static void sink(struct sim_queue *queue, const struct sim_task *task)
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
        if (before(task, &queue->heap[child])) {
            break;
        }
        queue->heap[i] = queue->heap[child];
        i = child;
    }
    queue->heap[i] = *task;
}

bool sim_queue_take(struct sim_queue *queue, struct sim_task *ret_task)
{
    if (queue->count == 0) {
        return false;
    }
    *ret_task = queue->heap[0];
    struct sim_task last = queue->heap[--queue->count];
    if (queue->count > 0) {
        sink(queue, &last);
    }
    return true;
}

void sim_queue_free(struct sim_queue *queue)
{
    free(queue->heap);
    *queue = (struct sim_queue){0};
}
