/*
 * Children by posix_spawn(3), watched by a pidfd and a pipe.
 *
 * setpriv(1) stands between, so that the kernel kills the child when we are gone: nobody else would
 * hold it to its deadline.
 */
#define _GNU_SOURCE /* pipe2 */
#include "proto/child_io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/assert.h"
#include "proto/clock_io.h"
#include "proto/spawn_io.h"

#define SETPRIV "/usr/bin/setpriv"
#define READ_BYTES 1024
#define CLOSE_WAIT_MS 200 /* a killed one needs no more than its exit */

struct child {
    qb_loop_t *loop;
    void (*ended)(void *context, const struct child_end *end);
    void *context;
    pid_t pid; /* its process group, too */
    int pid_fd;
    int output;
    bool killed;
    qb_loop_timer_handle timer;
    size_t length;
    char bytes[CHILD_OUTPUT_BYTES];
};

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static void output_close(struct child *child)
{
    if (child->output >= 0) {
        (void)qb_loop_poll_del(child->loop, child->output);
        close_fd(&child->output);
    }
}

/* It is a zombie or alive, so neither its pid nor its group can be another's. */
static void kill_group(const struct child *child)
{
    (void)kill(-child->pid, SIGKILL);
}

static void child_free(struct child *child)
{
    output_close(child);
    if (child->timer) {
        (void)qb_loop_timer_del(child->loop, child->timer);
    }
    if (child->pid_fd >= 0) {
        (void)qb_loop_poll_del(child->loop, child->pid_fd);
    }
    close_fd(&child->pid_fd);
    explicit_bzero(child, sizeof(*child)); /* it may have said a secret */
    free(child);
}

/* Keeps the end of what is said. False: there is no more for now. */
static bool read_some(struct child *child)
{
    char bytes[READ_BYTES];
    ssize_t count = read(child->output, bytes, sizeof(bytes));
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (count <= 0) {
        output_close(child);
        return false;
    }
    size_t more = (size_t)count;
    size_t room = sizeof(child->bytes) - 1;
    if (child->length + more > room) {
        size_t drop = child->length + more - room;
        memmove(child->bytes, child->bytes + drop, child->length - drop);
        child->length -= drop;
    }
    memcpy(child->bytes + child->length, bytes, more);
    child->length += more;
    child->bytes[child->length] = '\0';
    explicit_bzero(bytes, sizeof(bytes));
    return true;
}

static int32_t on_output(int32_t fd, int32_t revents, void *data)
{
    (void)fd;
    (void)revents;
    (void)read_some(data);
    return 0;
}

static void on_deadline(void *data)
{
    struct child *child = data;
    child->timer = 0;
    child->killed = true;
    kill_group(child);
}

static int32_t on_exit_seen(int32_t fd, int32_t revents, void *data)
{
    struct child *child = data;
    siginfo_t info = {.si_pid = 0};
    (void)revents;
    if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) {
        return 0;
    }
    kill_group(child); /* what it left behind */
    for (unsigned i = 0; i < 64 && child->output >= 0 && read_some(child); i++) {
        /* its last words, which may lie in the pipe yet */
    }
    (void)waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG);
    const struct child_end end = {.killed = child->killed,
                                  .status = info.si_code == CLD_EXITED ? info.si_status : -1,
                                  .signal = info.si_code == CLD_EXITED ? 0 : info.si_status,
                                  .output = child->bytes};
    child->ended(child->context, &end);
    child_free(child);
    return 0;
}

static int child_watch(struct child *child, uint64_t deadline_ms)
{
    uint64_t now = clock_io_boot_ms();
    uint64_t wait_ms = deadline_ms > now ? deadline_ms - now : 0;
    child->pid_fd = pidfd_open(child->pid, 0);
    if (child->pid_fd < 0) {
        return -errno;
    }
    int r = qb_loop_poll_add(child->loop, QB_LOOP_HIGH, child->pid_fd, POLLIN, child, on_exit_seen);
    if (r == 0 && child->output >= 0) {
        r = qb_loop_poll_add(child->loop, QB_LOOP_HIGH, child->output, POLLIN, child, on_output);
    }
    return r ? r
             : qb_loop_timer_add(child->loop, QB_LOOP_HIGH, wait_ms * 1000000, child, on_deadline,
                                 &child->timer);
}

static int child_spawn(struct child *child, const struct child_task *task)
{
    static const char *const plain[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
                                        "PYTHONWARNINGS=ignore", NULL};
    const char *const arguments[] = {"setpriv", "--pdeathsig", "KILL", task->path, NULL};
    __attribute__((cleanup(close_fd))) int child_input = -1;
    __attribute__((cleanup(close_fd))) int child_output = -1;
    __attribute__((cleanup(close_fd))) int input = -1;
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) < 0) {
        return -errno;
    }
    child_input = pipes[0];
    input = pipes[1];
    if (!task->to_journal) {
        if (pipe2(pipes, O_CLOEXEC) < 0) {
            return -errno;
        }
        child->output = pipes[0];
        child_output = pipes[1];
        (void)fcntl(child->output, F_SETFL, O_NONBLOCK);
    }
    /* Written before the child is born: one that dies early can then raise no SIGPIPE here. */
    if (write(input, task->input, task->input_bytes) != (ssize_t)task->input_bytes) {
        return -EIO;
    }
    const struct spawn spawn = {.path = SETPRIV,
                                .arguments = arguments,
                                .environment = task->environment ? task->environment : plain,
                                .input = child_input,
                                .output = task->to_journal ? STDERR_FILENO : child_output,
                                .errors_too = !task->to_journal,
                                .own_group = true};
    return spawn_io_start(&spawn, &child->pid);
}

int child_io_start(qb_loop_t *loop, const struct child_task *task, struct child **ret_child)
{
    ASSERT(task->input_bytes <= 4096);
    if (access(task->path, X_OK) < 0) { /* setpriv alone would be told */
        return -errno;
    }
    struct child *child = calloc(1, sizeof(*child));
    if (!child) {
        return -ENOMEM;
    }
    *child = (struct child){
        .loop = loop, .ended = task->ended, .context = task->context, .pid_fd = -1, .output = -1};
    int r = child_spawn(child, task);
    if (r == 0) {
        r = child_watch(child, task->deadline_ms);
        if (r < 0) { /* cannot be waited for: it must not stay */
            child_io_kill(child);
            return r;
        }
    }
    if (r < 0) {
        child_free(child);
        return r;
    }
    *ret_child = child;
    return 0;
}

void child_io_kill(struct child *child)
{
    if (!child) {
        return;
    }
    struct pollfd ended = {.fd = child->pid_fd, .events = POLLIN};
    kill_group(child);
    if (poll(&ended, 1, CLOSE_WAIT_MS) == 1) {
        (void)waitpid(child->pid, NULL, WNOHANG);
    }
    child_free(child);
}
