/*
 * Runs fence agents, one child after the other for each request: "off", then "status".
 *
 * An agent whose "off" failed is asked for its status all the same: the off may have been too slow
 * for it and yet have worked. What that prints counts, not how it exits. The right behind an order
 * is compared once, before its first child; what an agent then does is bounded by the deadline
 * alone.
 */
#include "fencing/fence_agent_io.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "fencing/credentials_io.h"
#include "proto/assert.h"
#include "proto/child_io.h"
#include "proto/clock_io.h"
#include "proto/values.h"

#define REQUESTS_AT_ONCE_MAX (NODES_MAX * FENCE_DEVICES_MAX)
#define PATH_BYTES 256
#define INPUT_BYTES (DEVICE_OPTIONS_BYTES + SECRETS_BYTES + 32)

/* What an agent of the package ends "status" with, and says. Both, for so (2) end also shells and
 * Python that cannot open it. */
static const struct reading {
    int status;
    const char *line;
} reads_on = {0, "Status: ON"}, reads_off = {2, "Status: OFF"};

struct agent_run {
    LIST_ENTRY(agent_run) link;
    struct fence_agent_io *io;
    uint64_t id;
    bool identify;
    uint32_t own;
    enum power_order order;
    struct fence_device device;
    uint64_t deadline_ms;
    bool reading;          /* its "status" runs, not its order */
    char said[TEXT_BYTES]; /* why the order failed; empty: it did not */
    char secrets[SECRETS_BYTES];
    struct child *child;
};

struct fence_agent_io {
    qb_loop_t *loop;
    struct sink sink;
    char *credentials;
    char *folder;
    uint32_t count;
    LIST_HEAD(, agent_run) runs;
    char troubles[FENCE_DEVICES_MAX][TEXT_BYTES];
};

/* ---- answers */

static void power_answer(struct fence_agent_io *io, uint64_t id, enum outcome outcome,
                         const char *text)
{
    struct event event = {.kind = EVENT_POWER, .id = id};
    event.power.outcome = outcome;
    name_set(event.power.text, TEXT_BYTES, text);
    sink_put(&io->sink, &event);
}

/* One sentence for all of our own devices: of the first that has one. */
static void trouble_tell(struct fence_agent_io *io, uint32_t own, const char *text)
{
    struct event event = {.kind = EVENT_TROUBLE, .trouble.kind = TROUBLE_DEVICE};
    ASSERT(own < FENCE_DEVICES_MAX);
    name_set(io->troubles[own], TEXT_BYTES, text ? text : "");
    for (uint32_t i = 0; i < FENCE_DEVICES_MAX && event.trouble.text[0] == '\0'; i++) {
        name_set(event.trouble.text, TEXT_BYTES, io->troubles[i]);
    }
    sink_put(&io->sink, &event);
}

static void identity_answer(struct agent_run *run, bool verified)
{
    struct event event = {.kind = EVENT_BMC_IDENTITY};
    char text[TEXT_BYTES];
    event.bmc_identity.verified = verified;
    event.bmc_identity.device = 1 + run->own;
    sink_put(&run->io->sink, &event);
    snprintf(
        text, sizeof(text),
        "fence device %s reads off while this host runs: it is off, another's, or lies, and is "
        "not used; switch it on, or correct [fence %s] in stead.conf",
        run->device.name, run->device.name);
    trouble_tell(run->io, run->own, verified ? NULL : text);
}

static void run_free(struct agent_run *run)
{
    LIST_REMOVE(run, link);
    run->io->count--;
    explicit_bzero(run, sizeof(*run));
    free(run);
}

/* "fence_apc pdu1: WHAT", and the request is over. */
__attribute__((format(printf, 3, 4))) static void
run_end(struct agent_run *run, enum outcome outcome, const char *format, ...)
{
    char what[TEXT_BYTES];
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    int used = snprintf(text, sizeof(text), "%s %s: ", run->device.agent, run->device.name);
    name_set(text + used, sizeof(text) - (size_t)used, what);
    if (run->identify) {
        trouble_tell(run->io, run->own, text);
    } else {
        power_answer(run->io, run->id, outcome, text);
    }
    run_free(run);
}

/* ---- what an agent said */

static void cover(char *text, const char *secret, size_t length)
{
    for (char *at = length > 0 ? strstr(text, secret) : NULL; at; at = strstr(at, secret)) {
        memset(at, '*', length);
        at += length;
    }
}

/* No value of its secrets section, but the user's name, is passed on. */
static void cover_secrets(char *text, const char *secrets)
{
    char lines[SECRETS_BYTES];
    char *rest = NULL;
    name_set(lines, sizeof(lines), secrets);
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *value = strchr(line, '=');
        bool public = strncmp(line, "username=", 9) == 0 || strncmp(line, "login=", 6) == 0;
        if (value && !public) {
            cover(text, value + 1, strlen(value + 1));
        }
    }
    explicit_bzero(lines, sizeof(lines));
}

/* The last line with anything in it, in ASCII. */
static void last_line(const struct agent_run *run, const char *output,
                      char ret_text[TEXT_BYTES / 2])
{
    char all[CHILD_OUTPUT_BYTES];
    name_set(all, sizeof(all), output);
    cover_secrets(all, run->secrets);
    size_t end = strlen(all);
    while (end > 0 && isspace((unsigned char)all[end - 1])) {
        all[--end] = '\0';
    }
    const char *newline = strrchr(all, '\n');
    const char *line = newline ? newline + 1 : all;
    snprintf(ret_text, TEXT_BYTES / 2, "%s", line[0] != '\0' ? line : "it says nothing");
    for (char *at = ret_text; *at != '\0'; at++) {
        *at = isprint((unsigned char)*at) ? *at : '?';
    }
    explicit_bzero(all, sizeof(all));
}

static bool is_reading(const struct child_end *end, const struct reading *reading)
{
    size_t length = strlen(reading->line);
    const char *line = end->status == reading->status ? end->output : NULL;
    while (line && (strncmp(line, reading->line, length) != 0 || !strchr("\r\n", line[length]))) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return line != NULL;
}

/* ---- one child after the other */

static void run_begin(struct agent_run *run, const char *verb);

static void on_status(struct agent_run *run, const struct child_end *end, const char *line)
{
    bool off = is_reading(end, &reads_off);
    bool on = is_reading(end, &reads_on);
    if (end->killed) {
        run_end(run, OUTCOME_UNKNOWN, "its status did not come before the deadline");
    } else if (!off && !on) {
        run_end(
            run, run->said[0] != '\0' ? OUTCOME_FAILED : OUTCOME_UNKNOWN,
            "%s (its status ended with %d); check the device, its options and its section of the "
            "credentials",
            run->said[0] != '\0' ? run->said : line, end->status);
    } else if (run->identify) {
        identity_answer(run, on);
        run_free(run);
    } else if (run->order == POWER_ORDER_ON) {
        run_end(run, on ? OUTCOME_DONE : OUTCOME_FAILED, on ? "reads on" : "still reads off");
    } else if (off) {
        run_end(run, OUTCOME_DONE, "reads off");
    } else if (run->said[0] != '\0') {
        run_end(run, OUTCOME_FAILED, "reads on; %s", run->said);
    } else {
        run_end(run, OUTCOME_FAILED, "%s",
                run->order == POWER_ORDER_READ ? "reads on"
                                               : "says that it switched off, and reads on");
    }
}

static void on_ended(void *context, const struct child_end *end)
{
    struct agent_run *run = context;
    char line[TEXT_BYTES / 2];
    run->child = NULL;
    last_line(run, end->output, line);
    if (run->reading) {
        on_status(run, end, line);
    } else if (end->killed) {
        run_end(run, OUTCOME_UNKNOWN, "killed at the deadline in the middle of its order");
    } else {
        if (end->status != 0) {
            name_set(run->said, TEXT_BYTES, line);
        }
        run_begin(run, "status");
    }
}

static void run_begin(struct agent_run *run, const char *verb)
{
    const struct fence_device *device = &run->device;
    char path[PATH_BYTES];
    char input[INPUT_BYTES];
    snprintf(path, sizeof(path), "%s/%s", run->io->folder, device->agent);
    int length =
        snprintf(input, sizeof(input), "action=%s\n%s\n%s", verb, device->options, run->secrets);
    const struct child_task task = {.path = path,
                                    .input = input,
                                    .input_bytes = (size_t)length,
                                    .deadline_ms = run->deadline_ms,
                                    .ended = on_ended,
                                    .context = run};
    ASSERT(length > 0 && (size_t)length < sizeof(input));
    run->reading = strcmp(verb, "status") == 0;
    int r = child_io_start(run->io->loop, &task, &run->child);
    explicit_bzero(input, sizeof(input));
    if (r == -ENOENT) {
        run_end(run, OUTCOME_FAILED, "there is no %s here: apt install fence-agents", path);
    } else if (r < 0) {
        run_end(run, OUTCOME_FAILED, "%s cannot be run: %s", path, strerror(-r));
    }
}

/* NULL: the sentence why not is in ret_text. */
static struct agent_run *run_new(struct fence_agent_io *io, const struct fence_device *device,
                                 uint64_t deadline_ms, char ret_text[TEXT_BYTES])
{
    struct agent_run *run = io->count < REQUESTS_AT_ONCE_MAX ? calloc(1, sizeof(*run)) : NULL;
    if (!run) {
        snprintf(ret_text, TEXT_BYTES, "no memory for one more fence agent");
        return NULL;
    }
    run->io = io;
    run->device = *device;
    run->deadline_ms = deadline_ms;
    if (io->credentials &&
        credentials_read_device(io->credentials, device->name, run->secrets, ret_text) < 0) {
        free(run);
        return NULL;
    }
    LIST_INSERT_HEAD(&io->runs, run, link);
    io->count++;
    return run;
}

void fence_agent_io_act(struct fence_agent_io *io, const struct action *action)
{
    const struct action_power *power = &action->power;
    char text[TEXT_BYTES];
    ASSERT(power->device.agent[0] != '\0');
    if (action->valid_until_ms != 0 && clock_io_boot_ms() >= action->valid_until_ms) {
        power_answer(io, action->id, OUTCOME_STALE, "the right to switch it has run out");
        return;
    }
    struct agent_run *run = run_new(io, &power->device, action->deadline_ms, text);
    if (!run) {
        power_answer(io, action->id, OUTCOME_FAILED, text);
        return;
    }
    run->id = action->id;
    run->order = power->order;
    run_begin(run, power->order == POWER_ORDER_OFF  ? "off"
                   : power->order == POWER_ORDER_ON ? "on"
                                                    : "status");
}

void fence_agent_io_identify(struct fence_agent_io *io, uint32_t own,
                             const struct fence_device *device, uint64_t deadline_ms)
{
    char text[TEXT_BYTES];
    struct agent_run *run = run_new(io, device, deadline_ms, text);
    if (!run) {
        trouble_tell(io, own, text);
        return;
    }
    run->identify = true;
    run->own = own;
    run_begin(run, "status");
}

void fence_agent_io_distrust(struct fence_agent_io *io, uint32_t own,
                             const struct fence_device *device)
{
    char text[TEXT_BYTES];
    snprintf(text, sizeof(text),
             "nobody says that fence device %s is this host's, so it is never used: make sure, and "
             "add 'trusted = yes' to [fence %s] in stead.conf",
             device->name, device->name);
    trouble_tell(io, own, text);
}

/* ---- open and close */

int fence_agent_io_open(qb_loop_t *loop, const char *credentials, const char *folder,
                        const struct sink *sink, struct fence_agent_io **ret_io)
{
    struct fence_agent_io *io = calloc(1, sizeof(*io));
    if (!io) {
        return -ENOMEM;
    }
    io->loop = loop;
    io->sink = *sink;
    LIST_INIT(&io->runs);
    io->credentials = credentials ? strdup(credentials) : NULL;
    io->folder = strdup(folder);
    if (!io->folder || (credentials && !io->credentials)) {
        fence_agent_io_close(io);
        return -ENOMEM;
    }
    *ret_io = io;
    return 0;
}

void fence_agent_io_close(struct fence_agent_io *io)
{
    if (!io) {
        return;
    }
    for (struct agent_run *run; (run = LIST_FIRST(&io->runs));) {
        child_io_kill(run->child);
        run_free(run);
    }
    free(io->credentials);
    free(io->folder);
    free(io);
}
