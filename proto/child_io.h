/*
 * One child process with a deadline: what it reads is given beforehand, what it says is kept up to
 * a bound, and at the deadline it is killed with all that it started.
 */
#ifndef STEAD_PROTO_CHILD_IO_H
#define STEAD_PROTO_CHILD_IO_H

#include <qb/qbloop.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHILD_OUTPUT_BYTES 4096 /* the end of what it says; more is read and dropped */

struct child;

struct child_end {
    bool killed;        /* by us, at the deadline */
    int status;         /* its exit status; -1: a signal ended it */
    int signal;         /* that one; 0: none did */
    const char *output; /* the end of what it wrote to both outputs, closed by a NUL */
};

struct child_task {
    const char *path; /* absolute; no shell is asked, and it gets no arguments */
    const char *input;
    size_t input_bytes;             /* less than a pipe holds, 4096 at least */
    uint64_t deadline_ms;           /* CLOCK_BOOTTIME */
    bool to_journal;                /* what it says goes where our errors go, and is not kept */
    const char *const *environment; /* whole, NULL at its end; NULL: a plain one, in English */
    /* Called once, with the child gone; not after child_io_kill(). */
    void (*ended)(void *context, const struct child_end *end);
    void *context;
};

/* 0 or -errno (-ENOENT, -EACCES: `path` cannot be run). The child ends with the caller's process,
 * however that ends. */
int child_io_start(qb_loop_t *loop, const struct child_task *task, struct child **ret_child);

/* Ends and forgets it. */
void child_io_kill(struct child *child);

#endif
