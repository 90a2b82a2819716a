/*
 * Runs one stead-bmc per request and bounds it.
 *
 * Why a program of its own: libfreeipmi is synchronous and cannot be cancelled, a thread cannot be
 * killed, and after a bare fork() of this multithreaded process (librados, libvirt) hardly a call
 * is legal. posix_spawn() and a pidfd have none of these troubles: at the deadline the child gets
 * SIGKILL, and the answer is UNKNOWN.
 */
#define _GNU_SOURCE /* pipe2 */
#include "fencing/bmc_io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fencing/credentials_io.h"
#include "proto/spawn_io.h"

#define REQUESTS_AT_ONCE_MAX NODES_MAX
#define CLOSE_WAIT_MS 200 /* for killed children at close: they need no more than their exit */

struct bmc_request {
    LIST_ENTRY(bmc_request) link;
    struct bmc_io *io;
    uint64_t id;
    bool identify;
    bool answered;
    pid_t pid;
    int pid_fd;
    int output;
    qb_loop_timer_handle timer;
    uint32_t length;
    char bytes[TEXT_BYTES * 2]; /* the answer, as far as it has come */
};

struct bmc_io {
    qb_loop_t *loop;
    struct sink sink;
    char *credentials;
    char *helper;
    uint32_t count;
    LIST_HEAD(, bmc_request) requests;
};

/* What the helper is asked, apart from the credentials. */
struct bmc_question {
    const char *op;
    const char *node;
    const struct bmc_address *bmc;
    const struct uuid *machine;
    uint64_t deadline_ms;
    uint64_t valid_until_ms;
};

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* --- answers ------------------------------------------------------------------------------- */

static void power_answer(struct bmc_io *io, uint64_t id, enum outcome outcome, const char *text)
{
    struct event event = {.kind = EVENT_POWER, .id = id};
    event.power.outcome = outcome;
    snprintf(event.power.text, sizeof(event.power.text), "%s", text);
    sink_put(&io->sink, &event);
}

/* What is wrong with our own BMC; an empty text: nothing any more. */
static void trouble_tell(struct bmc_io *io, const char *text)
{
    struct event event = {.kind = EVENT_TROUBLE};
    event.trouble.kind = TROUBLE_BMC;
    snprintf(event.trouble.text, sizeof(event.trouble.text), "%s", text);
    sink_put(&io->sink, &event);
}

static void request_answer(struct bmc_request *request, enum outcome outcome, const char *text)
{
    if (!request->answered && request->identify) {
        trouble_tell(request->io, text);
    } else if (!request->answered) {
        power_answer(request->io, request->id, outcome, text);
    }
    request->answered = true;
}

static void identity_answer(struct bmc_request *request, bool verified)
{
    struct event event = {.kind = EVENT_BMC_IDENTITY, .id = request->id};
    event.bmc_identity.verified = verified;
    request->answered = true;
    sink_put(&request->io->sink, &event);
    trouble_tell(request->io,
                 verified
                     ? ""
                     : "the BMC at [bmc] address in stead.conf is another machine's (its GUID is "
                       "not this host's UUID): it is never touched; correct the address");
}

/* The helper's line: an outcome word, a space, a sentence. */
static void line_answer(struct bmc_request *request, char *line)
{
    static const struct {
        const char *word;
        enum outcome outcome;
    } words[] = {{"done", OUTCOME_DONE},
                 {"failed", OUTCOME_FAILED},
                 {"unknown", OUTCOME_UNKNOWN},
                 {"stale", OUTCOME_STALE}};
    char *space = strchr(line, ' ');
    if (space) {
        *space = '\0';
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            if (strcmp(line, words[i].word) == 0) {
                request_answer(request, words[i].outcome, space + 1);
                return;
            }
        }
        if (request->identify && strcmp(line, "guid") == 0) {
            identity_answer(request, space[1] == '1');
            return;
        }
    }
    request_answer(request, OUTCOME_UNKNOWN, "the BMC helper gave an answer that makes no sense");
}

/* --- one child ----------------------------------------------------------------------------- */

static void output_close(struct bmc_request *request)
{
    if (request->output >= 0) {
        (void)qb_loop_poll_del(request->io->loop, request->output);
        close_fd(&request->output);
    }
}

static void request_free(struct bmc_request *request)
{
    struct bmc_io *io = request->io;
    LIST_REMOVE(request, link);
    io->count--;
    output_close(request);
    if (request->timer) {
        (void)qb_loop_timer_del(io->loop, request->timer);
    }
    (void)qb_loop_poll_del(io->loop, request->pid_fd);
    close_fd(&request->pid_fd);
    explicit_bzero(request, sizeof(*request));
    free(request);
}

static void on_deadline(void *data)
{
    struct bmc_request *request = data;
    request->timer = 0;
    (void)kill(request->pid, SIGKILL); /* not reaped yet, so the pid is still its own */
    request_answer(request, OUTCOME_UNKNOWN, "the BMC gave no answer before the deadline");
}

static int32_t on_output(int32_t fd, int32_t revents, void *data)
{
    struct bmc_request *request = data;
    (void)revents;
    size_t room = sizeof(request->bytes) - 1 - request->length;
    ssize_t count = read(fd, request->bytes + request->length, room);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    request->length += count > 0 ? (uint32_t)count : 0;
    request->bytes[request->length] = '\0';
    char *end = strchr(request->bytes, '\n');
    if (end) {
        *end = '\0';
        line_answer(request, request->bytes);
    }
    if (end || count <= 0 || request->length == sizeof(request->bytes) - 1) {
        output_close(request);
    }
    return 0;
}

/* Its end may be seen before its last words: read those first. */
static int32_t on_exit_seen(int32_t fd, int32_t revents, void *data)
{
    struct bmc_request *request = data;
    siginfo_t info = {0};
    (void)fd;
    (void)revents;
    while (request->output >= 0) {
        uint32_t before = request->length;
        (void)on_output(request->output, POLLIN, request);
        if (request->length == before) {
            break;
        }
    }
    (void)waitid(P_PIDFD, (id_t)request->pid_fd, &info, WEXITED | WNOHANG);
    request_answer(request, OUTCOME_UNKNOWN,
                   "the BMC helper ended without an answer; the command may have been sent");
    request_free(request);
    return 0;
}

/* --- asking -------------------------------------------------------------------------------- */

/* Writes the question into the pipe, which is empty and larger than any question. */
static int question_write(int fd, const struct bmc_question *question,
                          const struct credentials *credentials)
{
    char machine[sizeof(question->machine->bytes) * 2 + 1];
    char bytes[1024];
    for (size_t i = 0; i < sizeof(question->machine->bytes); i++) {
        snprintf(machine + i * 2, 3, "%02x", question->machine->bytes[i]);
    }
    int length = snprintf(bytes, sizeof(bytes),
                          "op %s\naddress %s\nusername %s\npassword %s\nmachine %s\ncipher %u\n"
                          "verified %d\ndeadline %llu\nvalid %llu\n",
                          question->op, question->bmc->address, credentials->username,
                          credentials->password, machine, question->bmc->cipher_suite,
                          question->bmc->verified, (unsigned long long)question->deadline_ms,
                          (unsigned long long)question->valid_until_ms);
    ssize_t written = write(fd, bytes, (size_t)length);
    explicit_bzero(bytes, sizeof(bytes));
    return written == length ? 0 : -EIO;
}

/* The child keeps stdin and stdout of ours and nothing else: no descriptor, signal setting or
 * variable of the agent. */
static int helper_spawn(const char *helper, int input, int output, pid_t *ret_pid)
{
    const char *const arguments[] = {"stead-bmc", NULL};
    const char *const environment[] = {NULL};
    const struct spawn spawn = {.path = helper,
                                .arguments = arguments,
                                .environment = environment,
                                .input = input,
                                .output = output};
    return spawn_io_start(&spawn, ret_pid);
}

static void request_watch(struct bmc_request *request, uint64_t deadline_ms)
{
    struct bmc_io *io = request->io;
    uint64_t now = clock_ms();
    uint64_t wait_ms = deadline_ms > now ? deadline_ms - now : 0;
    int r =
        qb_loop_poll_add(io->loop, QB_LOOP_HIGH, request->pid_fd, POLLIN, request, on_exit_seen);
    r = r ? r
          : qb_loop_poll_add(io->loop, QB_LOOP_HIGH, request->output, POLLIN, request, on_output);
    r = r ? r
          : qb_loop_timer_add(io->loop, QB_LOOP_HIGH, wait_ms * 1000000, request, on_deadline,
                              &request->timer);
    if (r < 0) { /* cannot be waited for: end it rather than lose it */
        (void)kill(request->pid, SIGKILL);
        (void)waitpid(request->pid, NULL, 0);
        request_answer(request, OUTCOME_UNKNOWN, "no memory to wait for the BMC helper");
        request_free(request);
    }
}

/* Starts the child for `request`; its descriptors are in place on success. */
static int request_spawn(struct bmc_request *request, const struct bmc_question *question,
                         const struct credentials *credentials)
{
    __attribute__((cleanup(close_fd))) int child_input = -1;
    __attribute__((cleanup(close_fd))) int child_output = -1;
    __attribute__((cleanup(close_fd))) int input = -1;
    __attribute__((cleanup(close_fd))) int output = -1;
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) < 0) {
        return -errno;
    }
    child_input = pipes[0];
    input = pipes[1];
    if (pipe2(pipes, O_CLOEXEC) < 0) {
        return -errno;
    }
    output = pipes[0];
    child_output = pipes[1];
    /* Written before the child is born: a child that dies early can then raise no SIGPIPE here. */
    int r = question_write(input, question, credentials);
    r = r < 0 ? r : helper_spawn(request->io->helper, child_input, child_output, &request->pid);
    if (r < 0) {
        return r;
    }
    request->pid_fd = pidfd_open(request->pid, 0);
    if (request->pid_fd < 0) {
        r = -errno;
        (void)kill(request->pid, SIGKILL);
        (void)waitpid(request->pid, NULL, 0);
        return r;
    }
    (void)fcntl(output, F_SETFL, O_NONBLOCK);
    request->output = output;
    output = -1;
    return 0;
}

/* 0: under way. Else the sentence for a FAILED answer is in ret_text. */
static int question_ask(struct bmc_io *io, const struct bmc_question *question, uint64_t id,
                        char ret_text[TEXT_BYTES])
{
    struct credentials credentials;
    struct bmc_request *request = NULL;
    int r = 0;
    if (!io->credentials) {
        snprintf(ret_text, TEXT_BYTES, "no BMC credentials file is configured");
        return -ENOENT;
    }
    if (question->bmc->address[0] == '\0') {
        snprintf(ret_text, TEXT_BYTES, "node %s has no BMC address configured", question->node);
        return -EDESTADDRREQ;
    }
    r = credentials_read(io->credentials, question->node, &credentials, ret_text);
    if (r < 0) {
        return r;
    }
    request = io->count < REQUESTS_AT_ONCE_MAX ? calloc(1, sizeof(*request)) : NULL;
    r = -ENOMEM;
    if (request) {
        *request = (struct bmc_request){.io = io, .id = id, .pid_fd = -1, .output = -1};
        request->identify = strcmp(question->op, "identify") == 0;
        r = request_spawn(request, question, &credentials);
    }
    explicit_bzero(&credentials, sizeof(credentials));
    if (r < 0) {
        snprintf(ret_text, TEXT_BYTES, "cannot run the BMC helper %s: %s", io->helper,
                 strerror(-r));
        free(request);
        return r;
    }
    LIST_INSERT_HEAD(&io->requests, request, link);
    io->count++;
    request_watch(request, question->deadline_ms);
    return 0;
}

void bmc_io_act(struct bmc_io *io, const struct action *action)
{
    const struct action_power *power = &action->power;
    static const char *const ops[] = {
        [POWER_ORDER_OFF] = "off", [POWER_ORDER_READ] = "read", [POWER_ORDER_ON] = "on"};
    const struct bmc_question question = {.op = ops[power->order],
                                          .node = power->node,
                                          .bmc = &power->bmc,
                                          .machine = &power->machine,
                                          .deadline_ms = action->deadline_ms,
                                          .valid_until_ms = action->valid_until_ms};
    char text[TEXT_BYTES];
    if (action->valid_until_ms != 0 && clock_ms() >= action->valid_until_ms) {
        power_answer(io, action->id, OUTCOME_STALE, "the right to switch it has run out");
    } else if (question_ask(io, &question, action->id, text) < 0) {
        power_answer(io, action->id, OUTCOME_FAILED, text);
    }
}

void bmc_io_identify(struct bmc_io *io, const char *node, const struct bmc_address *bmc,
                     const struct uuid *machine, uint64_t deadline_ms)
{
    const struct bmc_question question = {
        .op = "identify", .node = node, .bmc = bmc, .machine = machine, .deadline_ms = deadline_ms};
    char text[TEXT_BYTES];
    if (question_ask(io, &question, 0, text) < 0) {
        trouble_tell(io, text);
    }
}

int bmc_io_check_credentials(const char *credentials, char *ret_text)
{
    return credentials_read(credentials, NULL, NULL, ret_text);
}

/* --- open and close ------------------------------------------------------------------------ */

int bmc_io_open(qb_loop_t *loop, const char *credentials, const char *helper,
                const struct sink *sink, struct bmc_io **ret_io)
{
    struct bmc_io *io = calloc(1, sizeof(*io));
    if (!io) {
        return -ENOMEM;
    }
    io->loop = loop;
    io->sink = *sink;
    LIST_INIT(&io->requests);
    io->credentials = credentials ? strdup(credentials) : NULL;
    io->helper = strdup(helper);
    if (!io->helper || (credentials && !io->credentials)) {
        bmc_io_close(io);
        return -ENOMEM;
    }
    *ret_io = io;
    return 0;
}

void bmc_io_close(struct bmc_io *io)
{
    if (!io) {
        return;
    }
    struct bmc_request *request = NULL;
    LIST_FOREACH(request, &io->requests, link)
    {
        (void)kill(request->pid, SIGKILL);
    }
    while ((request = LIST_FIRST(&io->requests))) {
        struct pollfd ended = {.fd = request->pid_fd, .events = POLLIN};
        if (poll(&ended, 1, CLOSE_WAIT_MS) == 1) {
            (void)waitpid(request->pid, NULL, WNOHANG);
        }
        request_free(request);
    }
    free(io->credentials);
    free(io->helper);
    free(io);
}
