/* Starting a child process that gets nothing of ours but what it is given. */
#ifndef STEAD_PROTO_SPAWN_IO_H
#define STEAD_PROTO_SPAWN_IO_H

#include <stdbool.h>
#include <sys/types.h>

struct spawn {
    const char *path;               /* absolute; no shell is asked */
    const char *const *arguments;   /* argv, NULL at its end: no secrets, everybody can read them */
    const char *const *environment; /* whole, NULL at its end */
    int input;                      /* becomes its standard input */
    int output;                     /* becomes its standard output; standard error stays ours … */
    bool errors_too;                /* … or goes the same way */
    bool own_group; /* a process group of its own, to be killed with all it started */
};

/* Every other descriptor is closed in it, its signals are as if nothing had been blocked or caught.
 * The caller waits for it, kills it at its deadline, and keeps both descriptors. 0 or -errno. */
int spawn_io_start(const struct spawn *spawn, pid_t *ret_pid);

#endif
