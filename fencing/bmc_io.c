/*
 * Runs one stead-bmc per request and bounds it.
 *
 * Why a program of its own: libfreeipmi is synchronous and cannot be cancelled, a thread cannot be
 * killed, and after a bare fork() of this multithreaded process (librados, libvirt) hardly a call
 * is legal. A child has none of these troubles: at the deadline it gets SIGKILL, and the answer is
 * UNKNOWN.
 */
#include "fencing/bmc_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "fencing/credentials_io.h"
#include "proto/child_io.h"
#include "proto/clock_io.h"
#include "proto/values.h"

#define REQUESTS_AT_ONCE_MAX NODES_MAX

struct bmc_request {
    LIST_ENTRY(bmc_request) link;
    struct bmc_io *io;
    uint64_t id;
    bool identify;
    struct child *child;
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

static void request_answer(const struct bmc_request *request, enum outcome outcome,
                           const char *text)
{
    if (request->identify) {
        trouble_tell(request->io, text);
    } else {
        power_answer(request->io, request->id, outcome, text);
    }
}

static void identity_answer(const struct bmc_request *request, bool verified)
{
    struct event event = {.kind = EVENT_BMC_IDENTITY, .id = request->id};
    event.bmc_identity.verified = verified;
    sink_put(&request->io->sink, &event);
    trouble_tell(request->io,
                 verified
                     ? ""
                     : "the BMC at [bmc] address in stead.conf is another machine's (its GUID is "
                       "not this host's UUID): it is never touched; correct the address");
}

/* An answer is an outcome word, a space, a sentence. False: the line is none. */
static bool line_answer(const struct bmc_request *request, char *line)
{
    static const struct {
        const char *word;
        enum outcome outcome;
    } words[] = {{"done", OUTCOME_DONE},
                 {"failed", OUTCOME_FAILED},
                 {"unknown", OUTCOME_UNKNOWN},
                 {"stale", OUTCOME_STALE}};
    char *space = strchr(line, ' ');
    if (!space) {
        return false;
    }
    *space = '\0';
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(line, words[i].word) == 0) {
            request_answer(request, words[i].outcome, space + 1);
            return true;
        }
    }
    if (!request->identify || strcmp(line, "guid") != 0) {
        return false;
    }
    identity_answer(request, space[1] == '1');
    return true;
}

/* --- one child ----------------------------------------------------------------------------- */

static void request_free(struct bmc_request *request)
{
    LIST_REMOVE(request, link);
    request->io->count--;
    free(request);
}

/* The last line that is an answer is it, even of one that then hung or crashed: what else is said,
 * before and after, is a library's. */
static void on_ended(void *context, const struct child_end *end)
{
    struct bmc_request *request = context;
    char text[CHILD_OUTPUT_BYTES];
    name_set(text, sizeof(text), end->output);
    bool answered = false;
    for (char *newline; !answered && (newline = strrchr(text, '\n'));) {
        *newline = '\0';
        char *before = strrchr(text, '\n');
        answered = line_answer(request, before ? before + 1 : text);
    }
    if (!answered) {
        request_answer(request, OUTCOME_UNKNOWN,
                       end->killed ? "the BMC gave no answer before the deadline"
                                   : "the BMC helper ended without an answer; the command may have "
                                     "been sent");
    }
    request_free(request);
}

/* --- asking -------------------------------------------------------------------------------- */

/* 0 or -errno. */
static int request_start(struct bmc_request *request, const struct bmc_question *question,
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
    const struct child_task task = {.path = request->io->helper,
                                    .input = bytes,
                                    .input_bytes = (size_t)length,
                                    .deadline_ms = question->deadline_ms,
                                    .ended = on_ended,
                                    .context = request};
    int r = length > 0 && (size_t)length < sizeof(bytes) ? 0 : -E2BIG;
    r = r < 0 ? r : child_io_start(request->io->loop, &task, &request->child);
    explicit_bzero(bytes, sizeof(bytes));
    return r;
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
        *request = (struct bmc_request){.io = io, .id = id};
        request->identify = strcmp(question->op, "identify") == 0;
        r = request_start(request, question, &credentials);
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
    if (action->valid_until_ms != 0 && clock_io_boot_ms() >= action->valid_until_ms) {
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
    for (struct bmc_request *request; (request = LIST_FIRST(&io->requests));) {
        child_io_kill(request->child);
        request_free(request);
    }
    free(io->credentials);
    free(io->helper);
    free(io);
}
