/* For edge tests: the other end of the local socket, byte by byte, as nobody should write it. */
#ifndef STEAD_TESTS_EDGE_CONTROL_CLIENT_H
#define STEAD_TESTS_EDGE_CONTROL_CLIENT_H

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/control_io.h"

#define NOBODY 65534

/* A connected descriptor or -errno. */
static inline int raw_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, path, strlen(path) + 1); /* a test's own: short */
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

/* A server in a process of its own: `serve` writes a byte to `ready` once it listens, and goes on
 * for ever. Its pid, or -1. */
static inline pid_t server_start(const char *path, uint32_t number,
                                 void (*serve)(const char *path, int ready, uint32_t number))
{
    int ready[2];
    char byte;
    if (pipe(ready) < 0) {
        return -1;
    }
    pid_t child = fork();
    if (child == 0) {
        serve(path, ready[1], number);
        _exit(1);
    }
    close(ready[1]);
    ssize_t got = read(ready[0], &byte, 1);
    close(ready[0]);
    return got == 1 ? child : -1;
}

/* Killed by us, not fallen before? */
static inline bool server_stop(pid_t server)
{
    int status = 0;
    return kill(server, SIGKILL) == 0 && waitpid(server, &status, 0) == server &&
           WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static inline bool raw_send(int fd, const uint8_t *bytes, size_t size)
{
    return send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static inline bool raw_readable(int fd, int wait_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return poll(&ready, 1, wait_ms) == 1;
}

/* Exactly `size` bytes, each wait at most `wait_ms`. */
static inline bool raw_read(int fd, uint8_t *bytes, size_t size, int wait_ms)
{
    size_t done = 0;
    while (done < size && raw_readable(fd, wait_ms)) {
        ssize_t got = recv(fd, bytes + done, size - done, 0);
        if (got <= 0) {
            return false;
        }
        done += (size_t)got;
    }
    return done == size;
}

/* One frame; its size, or 0 when none came whole. */
static inline size_t raw_receive(int fd, uint8_t *frame, int wait_ms)
{
    size_t size = 0;
    if (!raw_read(fd, frame, CONTROL_HEAD_BYTES, wait_ms) ||
        control_frame_size(frame, CONTROL_BYTES_MAX, &size) < 0 ||
        !raw_read(fd, frame + CONTROL_HEAD_BYTES, size - CONTROL_HEAD_BYTES, wait_ms)) {
        return 0;
    }
    return size;
}

/* Does the other end hang up within that time? */
static inline bool raw_hung_up(int fd, int wait_ms)
{
    uint8_t byte;
    return raw_readable(fd, wait_ms) && recv(fd, &byte, 1, 0) <= 0;
}

/* Runs in a child as another user; its exit status, 99 when the user could not be changed. */
static inline int as_user(uid_t uid, gid_t gid, const gid_t *groups, size_t count,
                          int (*run)(void *context), void *context)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        bool is = setgroups(count, groups) == 0 && setgid(gid) == 0 && setuid(uid) == 0;
        _exit(is ? run(context) : 99);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)
               ? WEXITSTATUS(status)
               : 98;
}

#endif
