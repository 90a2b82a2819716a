/*
 * Memory that goes round: blocks of one size that are taken, given back and taken again, so that a
 * simulation that has warmed up asks the system for nothing more. With ASan a block that was given
 * back must not be touched, as if it had been freed.
 */
#ifndef STEAD_TESTS_SIM_POOL_H
#define STEAD_TESTS_SIM_POOL_H

#include <stddef.h>

struct sim_chunk;
struct sim_idle;

struct sim_pool {
    size_t size; /* of a block: set once */
    struct sim_chunk *chunks;
    struct sim_idle *idle;
};

/* A block that holds whatever it last held; one that was never used before holds zeros. */
void *sim_pool_take(struct sim_pool *pool);
void sim_pool_give(struct sim_pool *pool, void *block);
/* All blocks, given back or not. */
void sim_pool_free(struct sim_pool *pool);

#endif
