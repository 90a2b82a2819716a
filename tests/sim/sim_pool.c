/* Chunks are had from the system and cut into blocks; they go back together, at the end. */
#include "tests/sim/sim_pool.h"

#include <sanitizer/asan_interface.h>
#include <stdlib.h>

#include "proto/assert.h"

#define CHUNK_BYTES ((size_t)64 * 1024) /* at least one block, however large */
#define ALIGN _Alignof(max_align_t)

struct sim_chunk {
    struct sim_chunk *next;
    max_align_t blocks[];
};

struct sim_idle {
    struct sim_idle *next;
};

static size_t stride(const struct sim_pool *pool)
{
    ASSERT(pool->size >= sizeof(struct sim_idle));
    return (pool->size + ALIGN - 1) / ALIGN * ALIGN;
}

static void add_chunk(struct sim_pool *pool)
{
    size_t count = CHUNK_BYTES / stride(pool);
    count = count > 0 ? count : 1;
    struct sim_chunk *chunk = calloc(1, sizeof(*chunk) + count * stride(pool));
    ASSERT(chunk != NULL);
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    for (size_t i = 0; i < count; i++) {
        sim_pool_give(pool, (char *)chunk->blocks + i * stride(pool));
    }
}

void *sim_pool_take(struct sim_pool *pool)
{
    if (pool->idle == NULL) {
        add_chunk(pool);
    }
    struct sim_idle *block = pool->idle;
    ASAN_UNPOISON_MEMORY_REGION(block, stride(pool));
    pool->idle = block->next;
    block->next = NULL;
    return block;
}

void sim_pool_give(struct sim_pool *pool, void *block)
{
    struct sim_idle *idle = block;
    if (block == NULL) {
        return;
    }
    idle->next = pool->idle;
    pool->idle = idle;
    ASAN_POISON_MEMORY_REGION(block, stride(pool));
}

void sim_pool_free(struct sim_pool *pool)
{
    while (pool->chunks != NULL) {
        struct sim_chunk *chunk = pool->chunks;
        pool->chunks = chunk->next;
        free(chunk);
    }
    pool->idle = NULL;
}
