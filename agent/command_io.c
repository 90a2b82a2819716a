/* Operators' commands and who waits for them. */
#include "agent/command_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host_io.h"
#include "agent/query.h"
#include "agent/vm_add_io.h"
#include "agent/vm_remove_io.h"
#include "proto/assert.h"
#include "proto/clock_io.h"
#include "proto/values.h"

#define SWEEP_NS 500000000ull
#define DETAIL_MS 5000        /* a look at a definition and a domain */
#define STOP_TIMEOUT_MS 60000 /* of a VM whose operator did not say */

struct waiting {
    uint64_t counter; /* of its origin; 0: free */
    uint64_t deadline_ms;
    void *client;          /* NULL: hung up */
    struct uuid held;      /* a domain of this node that the command is about; zero: none */
    struct review *review; /* to be told with the outcome, owned; NULL: none */
    char note[TEXT_BYTES]; /* likewise, if it is done */
};

struct command_io {
    qb_loop_t *loop;
    qb_loop_timer_handle timer;
    struct sink sink;
    command_tell *tell;
    void *context;
    const struct core *core; /* NULL: not begun */
    const struct vm_tools *tools;
    uint64_t next_counter;
    uint32_t count;
    bool timing; /* the timer is set */
    struct waiting list[REQUESTS_MAX];
};

/* A command that this node works at before it becomes a request. */
struct work {
    struct command_io *commands;
    struct request request; /* its id and `by` */
};

static struct waiting *find(struct command_io *commands, uint64_t counter)
{
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        if (commands->list[i].counter == counter) {
            return &commands->list[i];
        }
    }
    return NULL;
}

static void finish(struct command_io *commands, struct waiting *waiting,
                   const struct command_outcome *outcome)
{
    struct waiting over = *waiting;
    struct command_outcome told = *outcome;
    *waiting = (struct waiting){.counter = 0};
    commands->count--;
    if (!uuid_is_zero(&over.held)) {
        settle_io_drop(commands->tools->settle, &over.held,
                       outcome->verdict != CONTROL__VERDICT__VERDICT_UNKNOWN);
    }
    if (over.client != NULL) {
        told.review = over.review != NULL ? over.review : outcome->review;
        commands->tell(commands->context, over.client, &told);
    }
    free(over.review);
}

static void refuse(struct command_io *commands, void *client, const char *text)
{
    struct command_outcome outcome = {.verdict = CONTROL__VERDICT__VERDICT_REFUSED, .text = text};
    commands->tell(commands->context, client, &outcome);
}

static void sweep(void *context);

/* Only while somebody waits: libqb's loop turns idly for the last millisecond before each timer. */
static void set_timer(struct command_io *commands)
{
    qb_loop_timer_add(commands->loop, QB_LOOP_LOW, SWEEP_NS, commands, sweep, &commands->timer);
}

/* A request with a fresh id, its client waiting for it; false (and the client told) if there is no
 * room. */
static bool begin(struct command_io *commands, void *client, const char *by,
                  struct request *ret_request)
{
    const struct facts *facts = &commands->core->local.facts;
    struct waiting *waiting = find(commands, 0);
    if (waiting == NULL) {
        refuse(commands, client, "too many commands are waiting on this node: try again");
        return false;
    }
    *waiting = (struct waiting){.counter = commands->next_counter++,
                                .deadline_ms = clock_io_boot_ms() + COMMAND_MS,
                                .client = client};
    if (commands->count++ == 0 && !commands->timing) {
        commands->timing = true;
        set_timer(commands);
    }
    *ret_request = (struct request){.id = {.nodeid = facts->nodeid,
                                           .agent_start = facts->agent_start,
                                           .counter = waiting->counter}};
    name_set(ret_request->by, sizeof(ret_request->by), by);
    return true;
}

static void send_request(struct command_io *commands, const struct request *request)
{
    struct event event = {.kind = EVENT_REQUEST, .request = request};
    sink_put(&commands->sink, &event);
}

/* ---- the plain commands */

static enum request_kind request_kind(Control__CommandKind kind)
{
    switch (kind) {
    case CONTROL__COMMAND_KIND__COMMAND_CLUSTER_INIT:
        return REQUEST_CLUSTER_INIT;
    case CONTROL__COMMAND_KIND__COMMAND_CLUSTER_JOIN:
        return REQUEST_NODE_JOIN;
    case CONTROL__COMMAND_KIND__COMMAND_NODE_FENCE:
        return REQUEST_NODE_FENCE;
    case CONTROL__COMMAND_KIND__COMMAND_NODE_UNFENCE:
        return REQUEST_NODE_UNFENCE;
    case CONTROL__COMMAND_KIND__COMMAND_NODE_RESUME:
        return REQUEST_NODE_RESUME;
    case CONTROL__COMMAND_KIND__COMMAND_VM_REMOVE:
        return REQUEST_VM_REMOVE;
    case CONTROL__COMMAND_KIND__COMMAND_VM_START:
        return REQUEST_VM_START;
    case CONTROL__COMMAND_KIND__COMMAND_VM_STOP:
        return REQUEST_VM_STOP;
    case CONTROL__COMMAND_KIND__COMMAND_NODE_REMOVE:
        return REQUEST_NODE_REMOVE;
    case CONTROL__COMMAND_KIND__COMMAND_CLASS_SET:
        return REQUEST_CLASS_SET;
    case CONTROL__COMMAND_KIND__COMMAND_CLASS_REMOVE:
        return REQUEST_CLASS_REMOVE;
    case CONTROL__COMMAND_KIND__COMMAND_VM_CLASS:
        return REQUEST_VM_CLASS;
    case CONTROL__COMMAND_KIND__COMMAND_NONE:
    case _CONTROL__COMMAND_KIND_IS_INT_SIZE:
        break;
    }
    return REQUEST_NONE;
}

static void take_command(struct command_io *commands, void *client, const char *by,
                         const Control__Command *command)
{
    const struct facts *facts = &commands->core->local.facts;
    struct request request;
    if (!begin(commands, client, by, &request)) {
        return;
    }
    request.kind = request_kind(command->kind);
    ASSERT(request.kind != REQUEST_NONE);
    bool own = request.kind == REQUEST_CLUSTER_INIT || request.kind == REQUEST_NODE_JOIN;
    name_set(request.name, sizeof(request.name), own ? facts->name : command->name);
    request.nodeid = own ? facts->nodeid : 0;
    if (request.kind == REQUEST_CLUSTER_INIT) {
        request.uuid = host_io_random_uuid(); /* the cluster's id */
    }
    name_set(request.value, sizeof(request.value), command->value);
    request.vouched = command->vouched;
    request.stop_timeout_ms =
        command->stop_timeout_ms != 0 ? command->stop_timeout_ms : STOP_TIMEOUT_MS;
    send_request(commands, &request);
}

static void take_config_set(struct command_io *commands, void *client, const char *by,
                            const Control__ConfigSet *set)
{
    struct request request;
    if (!query_loaded(commands->core)) {
        refuse(commands, client, "there is no cluster here yet: `stead cluster init` or `join`");
    } else if (begin(commands, client, by, &request)) {
        request.kind = REQUEST_CONFIG_SET;
        name_set(request.name, sizeof(request.name), set->name);
        name_set(request.value, sizeof(request.value), set->value);
        name_set(request.why, sizeof(request.why), set->why);
        send_request(commands, &request);
    }
}

/* ---- vm add, vm remove */

/* Found on the way, told at the end. Without memory it is not told, which keeps nobody from adding.
 */
static void keep_review(struct waiting *waiting, const struct review *review)
{
    waiting->review = review != NULL ? malloc(sizeof(*review)) : NULL;
    if (waiting->review != NULL) {
        *waiting->review = *review;
    }
}

static void worked(void *context, const struct vm_work_result *result)
{
    struct work *work = context;
    struct command_io *commands = work->commands;
    struct waiting *waiting = find(commands, work->request.id.counter);
    struct command_outcome outcome = {.verdict = result->done ? CONTROL__VERDICT__VERDICT_DONE
                                                              : CONTROL__VERDICT__VERDICT_REFUSED,
                                      .text = result->text,
                                      .review = result->review};
    if (result->request != NULL && waiting != NULL) {
        struct request request = *result->request;
        request.id = work->request.id;
        memcpy(request.by, work->request.by, sizeof(request.by));
        keep_review(waiting, result->review);
        name_set(waiting->note, sizeof(waiting->note), result->text != NULL ? result->text : "");
        waiting->held = result->held ? request.uuid : waiting->held;
        send_request(commands, &request);
    } else if (waiting != NULL) {
        finish(commands, waiting, &outcome);
    } else if (result->held) { /* its time is up; nothing was sent */
        settle_io_drop(commands->tools->settle, &result->request->uuid, true);
    }
    free(work);
}

static struct work *begin_work(struct command_io *commands, void *client, const char *by)
{
    struct work *work = calloc(1, sizeof(*work));
    if (work == NULL) {
        refuse(commands, client, "the agent is out of memory");
        return NULL;
    }
    work->commands = commands;
    if (!begin(commands, client, by, &work->request)) {
        free(work);
        return NULL;
    }
    return work;
}

static void take_vm_add(struct command_io *commands, void *client, const char *by,
                        const Control__VmAdd *add)
{
    struct work *work = begin_work(commands, client, by);
    if (work != NULL) {
        vm_add_io_begin(commands->tools, add, clock_io_boot_ms() + COMMAND_MS / 2, worked, work);
    }
}

static void take_vm_remove(struct command_io *commands, void *client, const char *by,
                           const Control__Command *command)
{
    struct work *work = begin_work(commands, client, by);
    if (work != NULL) {
        vm_remove_io_begin(commands->tools, command, clock_io_boot_ms() + COMMAND_MS / 2, worked,
                           work);
    }
}

/* ---- vm show */

static void told_detail(void *context, const struct vm_detail *detail)
{
    struct work *work = context;
    struct command_io *commands = work->commands;
    struct waiting *waiting = find(commands, work->request.id.counter);
    struct command_outcome outcome = {.verdict = CONTROL__VERDICT__VERDICT_DONE,
                                      .text = detail->text != NULL ? detail->text : "",
                                      .review = detail->review,
                                      .detail = detail};
    if (waiting != NULL) {
        finish(commands, waiting, &outcome);
    }
    free(work);
}

static void take_vm_ask(struct command_io *commands, void *client, const Control__VmAsk *asked)
{
    struct work *work = begin_work(commands, client, "");
    if (work != NULL) {
        vm_detail_io_begin(commands->tools, asked->name, asked->xml, clock_io_boot_ms() + DETAIL_MS,
                           told_detail, work);
    }
}

/* ---- outside */

void command_io_take(struct command_io *commands, void *client, const char *by,
                     const Control__Request *request)
{
    if (commands->core == NULL) {
        refuse(commands, client, "this agent waits for Corosync: systemctl start corosync");
    } else if (request->ask_case == CONTROL__REQUEST__ASK_VM) {
        take_vm_ask(commands, client, request->vm);
    } else if (request->ask_case == CONTROL__REQUEST__ASK_VM_ADD) {
        take_vm_add(commands, client, by, request->vm_add);
    } else if (request->ask_case == CONTROL__REQUEST__ASK_CONFIG_SET) {
        take_config_set(commands, client, by, request->config_set);
    } else {
        ASSERT(request->ask_case == CONTROL__REQUEST__ASK_COMMAND);
        if (request->command->kind == CONTROL__COMMAND_KIND__COMMAND_VM_REMOVE) {
            take_vm_remove(commands, client, by, request->command);
            return;
        }
        take_command(commands, client, by, request->command);
    }
}

static Control__Verdict verdict_of(const struct reply *reply)
{
    switch (reply->verdict) {
    case VERDICT_REFUSED:
        return CONTROL__VERDICT__VERDICT_REFUSED;
    case VERDICT_DONE:
        return CONTROL__VERDICT__VERDICT_DONE;
    case VERDICT_UNKNOWN:
        break;
    }
    return CONTROL__VERDICT__VERDICT_UNKNOWN;
}

void command_io_answer(struct command_io *commands, const struct reply *reply)
{
    struct waiting *waiting = reply->id.counter != 0 ? find(commands, reply->id.counter) : NULL;
    if (waiting == NULL || reply->id.agent_start != commands->core->local.facts.agent_start) {
        return;
    }
    char text[2 * TEXT_BYTES + 8];
    bool done = reply->verdict == VERDICT_DONE;
    bool noted = done && waiting->note[0] != '\0';
    snprintf(text, sizeof(text), "%s%s%s", reply->text, noted ? "; " : "",
             noted ? waiting->note : "");
    struct command_outcome outcome = {
        .verdict = verdict_of(reply),
        .text = text,
        .committed = done ? commands->core->cluster.header.version : 0,
    };
    finish(commands, waiting, &outcome);
}

void command_io_forget(struct command_io *commands, const void *client)
{
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        if (commands->list[i].client == client) {
            commands->list[i].client = NULL;
        }
    }
}

uint32_t command_io_waiting(const struct command_io *commands)
{
    return commands->count;
}

static void sweep(void *context)
{
    struct command_io *commands = context;
    const struct command_outcome unknown = {
        .verdict = CONTROL__VERDICT__VERDICT_UNKNOWN,
        .text = "outcome unknown: no answer in 30 s; it may be done yet: stead history tells"};
    uint64_t now_ms = clock_io_boot_ms();
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        struct waiting *waiting = &commands->list[i];
        if (waiting->counter != 0 && now_ms >= waiting->deadline_ms) {
            finish(commands, waiting, &unknown);
        }
    }
    commands->timing = commands->count > 0;
    if (commands->timing) {
        set_timer(commands);
    }
}

void command_io_begin(struct command_io *commands, const struct vm_tools *tools)
{
    commands->core = tools->core;
    commands->tools = tools;
}

int command_io_open(qb_loop_t *loop, const struct sink *sink, command_tell *tell, void *context,
                    struct command_io **ret_commands)
{
    struct command_io *commands = calloc(1, sizeof(*commands));
    if (commands == NULL) {
        return -ENOMEM;
    }
    commands->loop = loop;
    commands->sink = *sink;
    commands->tell = tell;
    commands->context = context;
    commands->next_counter = 1;
    *ret_commands = commands;
    return 0;
}
