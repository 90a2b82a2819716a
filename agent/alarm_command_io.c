/* Runs the operator's command for alarms, one after the other. */
#define _GNU_SOURCE /* pipe2 */
#include "agent/alarm_command_io.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/journal_io.h"
#include "proto/assert.h"
#include "proto/spawn_io.h"
#include "proto/values.h"

struct told {
    struct alarm alarm;
    char node[NAME_BYTES];
    bool raised;
    uint64_t wall_ms;
};

struct alarm_command_io {
    qb_loop_t *loop;
    const char *path;
    uint64_t deadline_ms;
    qb_loop_timer_handle timer;
    pid_t pid; /* its process group too; 0: none runs */
    int pid_fd;
    bool killed;
    uint32_t lost; /* since the queue was last empty */
    uint32_t first;
    uint32_t count;
    struct told queue[ALARM_COMMAND_WAITING];
};

static void start_next(struct alarm_command_io *command);

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

/* ---- what it is told */

static json_t *time_value(uint64_t wall_ms)
{
    char text[40] = "";
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t used = strftime(text, sizeof(text), "%FT%T", &parts);
    snprintf(text + used, sizeof(text) - used, ".%03uZ", (unsigned)(wall_ms % 1000));
    return json_string(text);
}

/* A reason may quote another program's bytes. */
static json_t *text_value(const char *text)
{
    json_t *value = json_string(text);
    return value != NULL ? value : json_string("(not UTF-8)");
}

/* One line, to be freed; NULL: out of memory. */
static char *json_of(const struct told *told)
{
    const struct alarm_about *about = alarm_about(told->alarm.kind);
    json_t *object = json_pack(
        "{si ss ss so ss so ss so so so ss}", "version", 1, "state",
        told->raised ? "raised" : "cleared", "kind", about->word, "subject",
        told->alarm.subject[0] != '\0' ? text_value(told->alarm.subject) : json_null(), "severity",
        about->critical ? "critical" : "warning", "text", text_value(told->alarm.text), "remedy",
        about->remedy, "since", time_value(told->alarm.since_wall_ms), "time",
        time_value(told->wall_ms), "node", text_value(told->node), "message_id", about->message_id);
    char *line = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return line;
}

/* ---- one run */

/* It runs with the agent's rights, so nobody else may be able to change it. */
static int check_file(const char *path)
{
    struct stat file;
    if (stat(path, &file) < 0) {
        return -errno;
    }
    bool ours = file.st_uid == 0 || file.st_uid == geteuid();
    return S_ISREG(file.st_mode) && ours && (file.st_mode & (S_IWGRP | S_IWOTH)) == 0 ? 0 : -EPERM;
}

/* Its output goes where ours goes: to the journal. Nothing else of the agent reaches it. */
static int spawn(const char *path, int input, pid_t *ret_pid)
{
    const char *const arguments[] = {path, NULL};
    const char *const environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    const struct spawn spawn = {.path = path,
                                .arguments = arguments,
                                .environment = environment,
                                .input = input,
                                .output = STDERR_FILENO,
                                .own_group = true};
    return spawn_io_start(&spawn, ret_pid);
}

/* What it left running in its process group ends with it. */
static void kill_all(struct alarm_command_io *command)
{
    (void)kill(-command->pid, SIGKILL);
}

static void on_deadline(void *context)
{
    struct alarm_command_io *command = context;
    command->killed = true;
    kill_all(command);
}

static void say_how_it_ended(const struct alarm_command_io *command, const siginfo_t *info)
{
    if (command->killed) {
        journal_io_say(LOG_WARNING, "notify command %s was killed: it took longer than %u ms",
                       command->path, (unsigned)command->deadline_ms);
    } else if (info->si_code != CLD_EXITED) {
        journal_io_say(LOG_WARNING, "notify command %s ended by signal %d", command->path,
                       info->si_status);
    } else if (info->si_status != 0) {
        journal_io_say(LOG_WARNING, "notify command %s failed: exit status %d", command->path,
                       info->si_status);
    }
}

static int32_t on_exit_seen(int32_t fd, int32_t revents, void *context)
{
    struct alarm_command_io *command = context;
    siginfo_t info = {.si_pid = 0};
    (void)revents;
    /* Not reaped yet: as long as it is a zombie its process group cannot be another's. */
    if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) {
        return 0;
    }
    kill_all(command);
    (void)waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG);
    (void)qb_loop_timer_del(command->loop, command->timer);
    (void)qb_loop_poll_del(command->loop, fd);
    close_fd(&command->pid_fd);
    say_how_it_ended(command, &info);
    command->pid = 0;
    start_next(command);
    return 0;
}

static int watch(struct alarm_command_io *command, pid_t pid)
{
    command->pid = pid;
    command->killed = false;
    command->pid_fd = pidfd_open(pid, 0);
    int r = command->pid_fd < 0 ? -errno
                                : qb_loop_poll_add(command->loop, QB_LOOP_LOW, command->pid_fd,
                                                   POLLIN, command, on_exit_seen);
    if (r < 0) { /* an unwatched child must not stay */
        kill_all(command);
        (void)waitpid(pid, NULL, 0);
        close_fd(&command->pid_fd);
        command->pid = 0;
        return r;
    }
    qb_loop_timer_add(command->loop, QB_LOOP_LOW, command->deadline_ms * 1000000, command,
                      on_deadline, &command->timer);
    return 0;
}

static int start(struct alarm_command_io *command, const struct told *told)
{
    __attribute__((cleanup(close_fd))) int reader = -1;
    __attribute__((cleanup(close_fd))) int writer = -1;
    int pipes[2];
    pid_t pid = 0;
    int r = check_file(command->path);
    if (r < 0) {
        return r;
    }
    if (pipe2(pipes, O_CLOEXEC) < 0) {
        return -errno;
    }
    reader = pipes[0];
    writer = pipes[1];
    char *line = json_of(told);
    size_t length = line != NULL ? strlen(line) : 0;
    /* Before it is born: into an empty pipe, which holds more than any alarm, and without SIGPIPE.
     */
    bool written = line != NULL && write(writer, line, length) == (ssize_t)length &&
                   write(writer, "\n", 1) == 1;
    free(line);
    if (!written) {
        return -ENOMEM;
    }
    r = spawn(command->path, reader, &pid);
    return r < 0 ? r : watch(command, pid);
}

/* ---- one after the other */

static const char *reason(int error)
{
    return error == -EPERM ? "it must be a file of root's that nobody else may write"
                           : strerror(-error);
}

static void start_next(struct alarm_command_io *command)
{
    while (command->pid == 0 && command->count > 0) {
        struct told told = command->queue[command->first];
        command->first = (command->first + 1) % ALARM_COMMAND_WAITING;
        command->count--;
        int r = start(command, &told);
        if (r < 0) {
            journal_io_say(LOG_WARNING, "notify command %s cannot be run: %s", command->path,
                           reason(r));
        }
    }
    if (command->count == 0 && command->lost > 0) {
        journal_io_say(LOG_WARNING, "%u alarms were not passed on to %s: too many waited",
                       command->lost, command->path);
        command->lost = 0;
    }
}

void alarm_command_io_put(struct alarm_command_io *command, const char *node,
                          const struct alarm *alarm, bool raised, uint64_t wall_ms)
{
    if (command->path[0] == '\0') {
        return;
    }
    if (command->count == ALARM_COMMAND_WAITING) {
        command->lost++;
        return;
    }
    uint32_t at = (command->first + command->count++) % ALARM_COMMAND_WAITING;
    command->queue[at] = (struct told){.alarm = *alarm, .raised = raised, .wall_ms = wall_ms};
    name_set(command->queue[at].node, NAME_BYTES, node);
    start_next(command);
}

int alarm_command_io_open(qb_loop_t *loop, const char *path, uint64_t deadline_ms,
                          struct alarm_command_io **ret_command)
{
    struct alarm_command_io *command = calloc(1, sizeof(*command));
    ASSERT(path[0] == '\0' || path[0] == '/');
    if (command == NULL) {
        return -ENOMEM;
    }
    command->loop = loop;
    command->path = path;
    command->deadline_ms = deadline_ms;
    command->pid_fd = -1;
    *ret_command = command;
    return 0;
}

void alarm_command_io_close(struct alarm_command_io *command)
{
    if (command->pid != 0) {
        kill_all(command);
        (void)qb_loop_timer_del(command->loop, command->timer);
        (void)qb_loop_poll_del(command->loop, command->pid_fd);
        (void)waitpid(command->pid, NULL, 0);
        close_fd(&command->pid_fd);
    }
    free(command);
}
