/* Runs the operator's command for alarms, one after the other. */
#define _GNU_SOURCE /* asprintf */
#include "agent/alarm_command_io.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/journal_io.h"
#include "proto/assert.h"
#include "proto/child_io.h"
#include "proto/clock_io.h"
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
    struct child *child; /* NULL: none runs */
    uint32_t lost;       /* since the queue was last empty */
    uint32_t first;
    uint32_t count;
    struct told queue[ALARM_COMMAND_WAITING];
};

static void start_next(struct alarm_command_io *command);

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

/* To be freed; NULL: out of memory. */
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

static void on_ended(void *context, const struct child_end *end)
{
    struct alarm_command_io *command = context;
    command->child = NULL;
    if (end->killed) {
        journal_io_say(LOG_WARNING, "notify command %s was killed: it took longer than %u ms",
                       command->path, (unsigned)command->deadline_ms);
    } else if (end->signal != 0) {
        journal_io_say(LOG_WARNING, "notify command %s ended by signal %d", command->path,
                       end->signal);
    } else if (end->status != 0) {
        journal_io_say(LOG_WARNING, "notify command %s failed: exit status %d", command->path,
                       end->status);
    }
    start_next(command);
}

static int start(struct alarm_command_io *command, const struct told *told)
{
    static const char *const environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    int r = check_file(command->path);
    char *json = r == 0 ? json_of(told) : NULL;
    char *line = NULL;
    int length = json != NULL ? asprintf(&line, "%s\n", json) : -1;
    free(json);
    if (r < 0 || length < 0) {
        return r < 0 ? r : -ENOMEM;
    }
    const struct child_task task = {.path = command->path,
                                    .input = line,
                                    .input_bytes = (size_t)length,
                                    .deadline_ms = clock_io_boot_ms() + command->deadline_ms,
                                    .to_journal = true,
                                    .environment = environment,
                                    .ended = on_ended,
                                    .context = command};
    r = child_io_start(command->loop, &task, &command->child);
    free(line);
    return r;
}

/* ---- one after the other */

static const char *reason(int error)
{
    return error == -EPERM ? "it must be a file of root's that nobody else may write"
                           : strerror(-error);
}

static void start_next(struct alarm_command_io *command)
{
    while (command->child == NULL && command->count > 0) {
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
    *ret_command = command;
    return 0;
}

void alarm_command_io_close(struct alarm_command_io *command)
{
    child_io_kill(command->child);
    free(command);
}
