/* Operators' commands and who waits for them. */
#include "agent/command_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host_io.h"
#include "agent/query.h"
#include "agent/vm_add_io.h"
#include "proto/assert.h"
#include "proto/values.h"

#define SWEEP_NS 500000000ull
#define STOP_TIMEOUT_MS 60000 /* of a VM whose operator did not say */

struct waiting {
    uint64_t counter; /* of its origin; 0: free */
    uint64_t deadline_ms;
    void *client; /* NULL: hung up */
};

struct command_io {
    qb_loop_t *loop;
    qb_loop_timer_handle timer;
    struct sink sink;
    command_tell *tell;
    void *context;
    const struct core *core; /* NULL: not begun */
    struct storage_io *storage;
    uint64_t next_counter;
    uint32_t count;
    bool timing; /* the timer is set */
    struct waiting list[REQUESTS_MAX];
};

/* A VM_ADD whose definition is being written. */
struct adding {
    struct command_io *commands;
    struct request request;
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
    void *client = waiting->client;
    *waiting = (struct waiting){.counter = 0};
    commands->count--;
    if (client != NULL) {
        commands->tell(commands->context, client, outcome);
    }
}

static void refuse(struct command_io *commands, void *client, const char *text)
{
    struct command_outcome outcome = {CONTROL__VERDICT__VERDICT_REFUSED, text, 0};
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
                                .deadline_ms = host_io_boottime_ms() + COMMAND_MS,
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
        send_request(commands, &request);
    }
}

/* ---- vm add */

static void prepared(void *context, enum outcome outcome, uint64_t generation, const char *text)
{
    struct adding *adding = context;
    struct command_io *commands = adding->commands;
    struct command_outcome refused = {CONTROL__VERDICT__VERDICT_REFUSED, text, 0};
    struct waiting *waiting = find(commands, adding->request.id.counter);
    if (outcome == OUTCOME_DONE && waiting != NULL) {
        adding->request.generation = generation;
        send_request(commands, &adding->request);
    } else if (waiting != NULL) {
        if (text == NULL || text[0] == '\0') {
            refused.text = "Ceph did not answer in time; nothing was added, try again";
        }
        finish(commands, waiting, &refused);
    }
    free(adding);
}

/* The cheap refusals, before anything is written to the pool. */
static const char *already_there(const struct core *core, const struct domain_facts *facts)
{
    for (uint32_t i = 0; i < core->cluster.vm_end; i++) {
        const struct vm_record *vm = &core->cluster.vms[i];
        if (vm->state == VM_FREE) {
            continue;
        }
        if (strcmp(vm->name, facts->name) == 0) {
            return "a VM of that name is already registered: see `stead vm list`";
        }
        if (uuid_equal(&vm->uuid, &facts->uuid)) {
            return "a VM with the UUID of this XML is already registered: give it another one";
        }
    }
    return NULL;
}

static void fill_add(struct request *request, const Control__VmAdd *add, const struct vm_to_add *vm)
{
    request->kind = REQUEST_VM_ADD;
    name_set(request->name, sizeof(request->name), add->name);
    name_set(request->on, sizeof(request->on), add->on);
    request->uuid = vm->facts.uuid;
    request->memory_mib = add->memory_mib != 0 ? add->memory_mib : vm->facts.memory_mib;
    request->priority = add->priority;
    request->want = add->stopped ? WANT_STOPPED : WANT_RUNNING;
    request->definition_version = vm->definition.version;
    request->definition_digest = vm->definition.digest;
    request->stop_timeout_ms = STOP_TIMEOUT_MS;
}

static void take_vm_add(struct command_io *commands, void *client, const char *by,
                        const Control__VmAdd *add)
{
    char text[TEXT_BYTES] = "";
    struct vm_to_add vm;
    if (!query_loaded(commands->core)) {
        refuse(commands, client, "there is no cluster here yet: `stead cluster init` or `join`");
        return;
    }
    if (vm_add_io_read(add, &vm, text) < 0) {
        refuse(commands, client, text);
        return;
    }
    const char *there = already_there(commands->core, &vm.facts);
    struct adding *adding = there == NULL ? calloc(1, sizeof(*adding)) : NULL;
    if (adding == NULL) {
        refuse(commands, client, there != NULL ? there : "the agent is out of memory");
    } else if (!begin(commands, client, by, &adding->request)) {
        free(adding);
    } else {
        adding->commands = commands;
        fill_add(&adding->request, add, &vm);
        storage_io_prepare_vm(commands->storage, &vm.definition,
                              &commands->core->cluster.header.cluster_id,
                              host_io_boottime_ms() + COMMAND_MS / 2, prepared, adding);
    }
    vm_add_io_free(&vm);
}

/* ---- outside */

void command_io_take(struct command_io *commands, void *client, const char *by,
                     const Control__Request *request)
{
    if (commands->core == NULL) {
        refuse(commands, client, "this agent waits for Corosync: systemctl start corosync");
    } else if (request->ask_case == CONTROL__REQUEST__ASK_VM_ADD) {
        take_vm_add(commands, client, by, request->vm_add);
    } else if (request->ask_case == CONTROL__REQUEST__ASK_CONFIG_SET) {
        take_config_set(commands, client, by, request->config_set);
    } else {
        ASSERT(request->ask_case == CONTROL__REQUEST__ASK_COMMAND);
        take_command(commands, client, by, request->command);
    }
}

void command_io_answer(struct command_io *commands, const struct reply *reply)
{
    struct waiting *waiting = reply->id.counter != 0 ? find(commands, reply->id.counter) : NULL;
    if (waiting == NULL || reply->id.agent_start != commands->core->local.facts.agent_start) {
        return;
    }
    struct command_outcome outcome = {
        .verdict =
            reply->accepted ? CONTROL__VERDICT__VERDICT_DONE : CONTROL__VERDICT__VERDICT_REFUSED,
        .text = reply->text,
        .committed = reply->accepted ? commands->core->cluster.header.version : 0,
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
        CONTROL__VERDICT__VERDICT_UNKNOWN,
        "no answer within 30 s; it may have been done or be done yet: ask `stead history`", 0};
    uint64_t now_ms = host_io_boottime_ms();
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

void command_io_begin(struct command_io *commands, const struct core *core,
                      struct storage_io *storage)
{
    commands->core = core;
    commands->storage = storage;
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
