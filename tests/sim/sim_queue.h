/* What is to happen, by virtual time; things at the same time happen in the order they were put. */
#ifndef STEAD_TESTS_SIM_QUEUE_H
#define STEAD_TESTS_SIM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim;
struct sim_news;

#define SIM_NO_HOST UINT32_MAX

struct sim_task {
    uint64_t at_us;
    uint64_t sequence; /* 0: gets the next one as it is put; else it keeps its place */
    void (*run)(struct sim *sim, struct sim_task *task);
    uint32_t host; /* it happens on this host: waits while it is frozen, is lost when it goes off */
    uint32_t life; /* of that host */
    uint64_t number; /* meaning is the runner's */
    uint64_t other;
    void *object;          /* borrowed */
    struct sim_news *news; /* goes back to its pool after the task */
};

/* A task's place in the order; the tasks themselves stay where they are. */
struct sim_turn {
    uint64_t at_us;
    uint64_t sequence;
    size_t slot;
};

struct sim_queue {
    struct sim_turn *heap; /* beyond `count`: the slots that are free */
    struct sim_task *tasks;
    size_t count;
    size_t room;
    uint64_t sequence;
};

void sim_queue_put(struct sim_queue *queue, const struct sim_task *task);
/* Takes the first task out; false when there is none. */
bool sim_queue_take(struct sim_queue *queue, struct sim_task *ret_task);
void sim_queue_free(struct sim_queue *queue);

#endif
