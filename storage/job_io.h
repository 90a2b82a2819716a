/*
 * Work outside the main loop: what librados has no asynchronous form for runs in a bounded set of
 * threads; what it has one for runs in librados' own. Both ends come back to the loop's thread
 * through one queue and one eventfd.
 *
 * The queue outlives storage_io_close() for as long as anything is still under way in it.
 */
#ifndef STEAD_STORAGE_JOB_IO_H
#define STEAD_STORAGE_JOB_IO_H

#include <stdbool.h>
#include <stdint.h>

struct jobs;

/* One excursion. Lives in the structure it serves, which must stay until `after` has run. */
struct job {
    void (*work)(struct job *job);  /* on a worker's thread; may block */
    void (*after)(struct job *job); /* on the loop's thread; NULL: nobody waits, work frees it */
    struct job *next;               /* the queue's */
};

/* 0 or -errno. */
int jobs_open(struct jobs **ret_jobs);

/* Readable when jobs_finish() has something to do. */
int jobs_fd(const struct jobs *jobs);

/* Gives `job` to a worker, when one is free, in order. */
void jobs_submit(struct jobs *jobs, struct job *job);

/* For an excursion into librados' own threads: before it begins, and when it is over (any thread).
 */
void jobs_expect(struct jobs *jobs);
void jobs_over(struct jobs *jobs, struct job *job);

/* Runs `after` of all that is over. On the loop's thread. */
void jobs_finish(struct jobs *jobs);

/* Nothing more comes back; what is under way is left to itself and its memory is not freed. */
void jobs_close(struct jobs *jobs);

#endif
