/*
 * What is done again and again, by a descriptor: the loop turns idly for the last millisecond
 * before each of libqb's own timers, which for a handful of them is more than all else that an idle
 * agent does.
 */
#ifndef STEAD_AGENT_TICK_IO_H
#define STEAD_AGENT_TICK_IO_H

#include <qb/qbloop.h>
#include <stdint.h>

struct tick {
    qb_loop_t *loop;
    int fd;
    void (*call)(void *context);
    void *context;
};

/* Calls `call` from the loop every `every_ns`, first after that time. 0 or -errno. */
int tick_io_begin(struct tick *tick, qb_loop_t *loop, enum qb_loop_priority priority,
                  uint64_t every_ns, void (*call)(void *context), void *context);
void tick_io_end(struct tick *tick);

#endif
