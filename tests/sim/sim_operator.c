/*
 * An operator gives a command to any node that can take it, waits for the answer, and asks again
 * elsewhere when the agent he asked is gone. What he was told is done must be in the state (I7).
 */
#include "tests/sim/sim_operator.h"

#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_block.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_cpg.h"
#include "tests/sim/sim_force.h"
#include "tests/sim/sim_host.h"
#include "tests/sim/sim_rados.h"
#include "tests/sim/sim_virt.h"

#define LOOK_US SECOND
#define KNOWN_US                                                                                   \
    (50 * MS) /* as vm_add_io.c: between two looks whether the core knows the domain               \
               */
#define TRIES_MAX 120

static bool takes_commands(const struct sim *sim, const struct scenario_step *step, uint32_t node)
{
    const struct sim_host *host = &sim->hosts[node];
    return host->up && !host->frozen && host->agent.alive && !host->agent.hung && !host->marked &&
           sim_cpg_works(sim, node) &&
           (step->kind == STEP_CLUSTER_JOIN || sim_rados_reaches(sim, node, true));
}

/* What is about a running domain is given where it runs, a join by the node that joins; the rest
 * anywhere. */
static bool is_place(const struct sim *sim, const struct scenario_step *step, uint32_t node)
{
    if (step->kind == STEP_VM_ADOPT || step->kind == STEP_CLUSTER_JOIN) {
        return node == step->node;
    }
    if (step->kind == STEP_VM_GIVE_BACK) {
        uint32_t guest = sim_guest_find(sim, step->vm, node);
        return guest != UINT32_MAX && sim->guests[guest].state == GUEST_RUNNING;
    }
    return true;
}

static uint32_t choose_node(const struct sim *sim, const struct scenario_step *step)
{
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if (takes_commands(sim, step, n) && is_place(sim, step, n)) {
            return n;
        }
    }
    return SIM_NO_HOST;
}

static void fill_place(const struct sim *sim, uint32_t node, struct request *request)
{
    request->nodeid = node + 1;
    request->incarnation = sim->hosts[node].agent.core->local.life.incarnation;
}

static void fill_vm(const struct sim *sim, uint32_t v, struct request *request)
{
    const struct scenario_vm *line = &sim->story->vms[v];
    request->uuid = sim->vms[v].uuid;
    request->memory_mib = line->memory_mib;
    request->priority = line->priority;
    name_set(request->value, sizeof(request->value),
             line->class_slot != 0 ? sim->story->set[line->class_slot].name : "");
    request->want = line->wanted ? WANT_RUNNING : WANT_STOPPED;
    request->definition_version = 1;
    request->definition_digest = v + 1;
    request->generation = sim->rados.leases[v].generation;
}

/* What it looks at before it writes anything; `guest`: the QEMU that is adopted. */
static const char *review_vm(const struct sim *sim, uint32_t v, uint32_t node, uint32_t guest)
{
    const struct cluster *copy = &sim->hosts[node].agent.core->cluster;
    struct clients watchers = {0};
    struct client own = {{0}};
    if (guest != UINT32_MAX) {
        own = sim_address_client(sim->guests[guest].client);
    }
    if (state_find_vm_uuid(copy, &sim->vms[v].uuid) != VMS_MAX) {
        return "a VM with its UUID is already registered";
    }
    if (sim->rados.lease_stalled[v]) {
        return "Ceph did not answer in time; nothing was added";
    }
    sim_virt_watchers(sim, v, &watchers);
    for (uint32_t i = 0; i < watchers.count; i++) {
        if (!client_equal(&watchers.list[i], &own)) {
            return "its image is open elsewhere";
        }
    }
    return guest != UINT32_MAX && watchers.count == 0 ? "its image is not open" : NULL;
}

/* Its first generation is the second in which it is made, that of one which is there the next: no
 * late change or removal of an earlier life of it matches. */
static void make_lease(struct sim *sim, uint32_t v, uint32_t node, const struct lease *wanted)
{
    struct lease *lease = &sim->rados.leases[v];
    uint64_t first = sim_clock_wall_ms(sim, node) / 1000;
    uint64_t generation = sim->rados.lease_exists[v] ? lease->generation + 1 : first;
    *lease = *wanted;
    lease->cluster_id = sim->rados.state->header.cluster_id;
    lease->vm = sim->vms[v].uuid;
    lease->generation = generation;
    sim->rados.lease_exists[v] = true;
    sim->vms[v].known = true;
}

/* What the command itself does before it asks the cluster: definition and lease into RADOS. */
static const char *prepare_vm(struct sim *sim, uint32_t v, uint32_t node, struct request *request)
{
    const struct lease wanted = {.state = LEASE_FREE};
    const char *refusal = review_vm(sim, v, node, UINT32_MAX);
    if (refusal != NULL) {
        return refusal;
    }
    if (sim->rados.lease_exists[v] && sim->rados.leases[v].state != LEASE_FREE) {
        return "its lease is held";
    }
    make_lease(sim, v, node, &wanted);
    fill_vm(sim, v, request);
    name_set(request->on, sizeof(request->on), sim->story->nodes[sim->story->vms[v].node].name);
    return NULL;
}

/* A domain that runs by hand: started at the first try, never again by us. */
static uint32_t plain_guest(struct sim *sim, uint32_t v, uint32_t node)
{
    const struct action_id nobody = {0, 0};
    uint32_t guest = sim_guest_find(sim, v, node);
    if (guest == UINT32_MAX && !sim->vms[v].known && review_vm(sim, v, node, UINT32_MAX) == NULL) {
        guest = sim_guest_new(sim, v, node, nobody);
        sim_guest_open(sim, guest);
    }
    return guest;
}

/* Whoever had the image's lock and died was barred as this one took it: librbd does so. */
static void take_lock(struct sim *sim, uint32_t v)
{
    struct clients dead = {0};
    struct sim_address entry;
    sim_virt_locker(sim, v, &dead);
    if (dead.count != 0 && sim_address_parse(sim, &dead.list[0], &entry)) {
        sim_block_add(sim, entry);
        sim_block_publish(sim);
        sim_block_osd_learns(sim, sim->rados.map_epoch);
    }
}

static void mark(struct sim *sim, uint32_t index)
{
    struct sim_guest *guest = &sim->guests[index];
    guest->by_hand = false;
    guest->moved = false;
    guest->let_go = false;
    guest->action = (struct action_id){0, 0};
    if (guest->order == 0) {
        take_lock(sim, guest->vm);
        sim_guest_run(sim, index);
    } else {
        sim_guest_tell(sim, guest);
    }
}

/* The command waits until the agent shows the domain: one that it did not know would count as gone.
 */
static bool is_shown(struct sim *sim, uint32_t v, uint32_t node)
{
    const struct local *local = &sim->hosts[node].agent.core->local;
    for (uint32_t i = 0; i < local->domain_count; i++) {
        if (uuid_equal(&local->domains[i].vm, &sim->vms[v].uuid)) {
            return local->domains[i].mark == MARK_READ && local->domains[i].action.term == 0;
        }
    }
    return false;
}

/* As agent/vm_add_io.h has it: the lease is made held by this node, with the client its QEMU has.
 */
static const char *prepare_adoption(struct sim *sim, uint32_t v, uint32_t node,
                                    struct request *request)
{
    const struct lease *lease = &sim->rados.leases[v];
    uint32_t guest = plain_guest(sim, v, node);
    struct sim_agent *agent = &sim->hosts[node].agent;
    bool held = sim->rados.lease_exists[v] && lease->state == LEASE_HELD;
    if (guest == UINT32_MAX) {
        return "libvirt on this node has no such domain";
    }
    const char *refusal = review_vm(sim, v, node, guest);
    if (refusal != NULL) {
        return refusal;
    }
    if (agent->core->local.life.state != LIFE_ADMITTED) {
        return "this node is no member of the cluster now";
    }
    if (held && lease->holder != node + 1) {
        return "its lease is held";
    }
    struct client client = sim_address_client(sim->guests[guest].client);
    struct lease wanted = {.state = LEASE_HELD,
                           .holder = node + 1,
                           .incarnation = agent->core->local.life.incarnation};
    (void)clients_add(&wanted.clients, &client);
    make_lease(sim, v, node, &wanted);
    mark(sim, guest);
    fill_vm(sim, v, request);
    fill_place(sim, node, request);
    request->want = WANT_RUNNING;
    request->adopt = true;
    return NULL;
}

static bool about_a_node(enum step_kind kind)
{
    return kind == STEP_NODE_FENCE || kind == STEP_NODE_UNFENCE || kind == STEP_NODE_REMOVE ||
           kind == STEP_NODE_RESUME || kind == STEP_CLUSTER_JOIN;
}

/* The request behind a command; else why the command itself refuses. */
static const char *fill(struct sim *sim, const struct scenario_step *step, uint32_t given_on,
                        struct request *request)
{
    static const enum request_kind kinds[STEP_KIND_COUNT] = {
        [STEP_VM_START] = REQUEST_VM_START,       [STEP_VM_STOP] = REQUEST_VM_STOP,
        [STEP_VM_REMOVE] = REQUEST_VM_REMOVE,     [STEP_VM_GIVE_BACK] = REQUEST_VM_REMOVE,
        [STEP_VM_ADD] = REQUEST_VM_ADD,           [STEP_VM_ADOPT] = REQUEST_VM_ADD,
        [STEP_NODE_RESUME] = REQUEST_NODE_RESUME, [STEP_NODE_REMOVE] = REQUEST_NODE_REMOVE,
        [STEP_NODE_FENCE] = REQUEST_NODE_FENCE,   [STEP_NODE_UNFENCE] = REQUEST_NODE_UNFENCE,
        [STEP_CONFIG_SET] = REQUEST_CONFIG_SET,   [STEP_CLUSTER_JOIN] = REQUEST_NODE_JOIN,
    };
    request->kind = step->kind == STEP_CLASS ? step->request : kinds[step->kind];
    request->vouched = step->on;
    request->stop_timeout_ms = (uint32_t)(step->duration_us / MS);
    name_set(request->by, sizeof(request->by), "operator");
    name_set(request->name, sizeof(request->name),
             about_a_node(step->kind) ? sim->story->nodes[step->node].name
                                      : sim->story->vms[step->vm].name);
    if (step->kind == STEP_VM_REMOVE || step->kind == STEP_VM_GIVE_BACK) {
        request->keep_running = step->kind == STEP_VM_GIVE_BACK;
        fill_place(sim, given_on, request);
    } else if (step->kind == STEP_VM_ADOPT) {
        return prepare_adoption(sim, step->vm, given_on, request);
    } else if (step->kind == STEP_VM_ADD) {
        return prepare_vm(sim, step->vm, given_on, request);
    } else if (request->kind == REQUEST_VM_CLASS) {
        name_set(request->value, sizeof(request->value), step->value);
    } else if (step->kind == STEP_CONFIG_SET || step->kind == STEP_CLASS) {
        name_set(request->name, sizeof(request->name), step->setting);
        name_set(request->value, sizeof(request->value), step->value);
    } else if (step->kind == STEP_CLUSTER_JOIN) {
        request->nodeid = step->node + 1;
    }
    return NULL;
}

static void close_command(struct sim *sim, struct sim_command *command, const struct reply *reply)
{
    static const char *const words[] = {
        [VERDICT_REFUSED] = "refused", [VERDICT_DONE] = "done", [VERDICT_UNKNOWN] = "unknown"};
    const char *verdict = words[reply->verdict];
    command->closed = true;
    command->refused = reply->verdict == VERDICT_REFUSED;
    name_set(command->text, sizeof(command->text), reply->text);
    sim_log(sim, SIM_NO_HOST, "operator: %s: %s%s%s", command->step->words, verdict,
            reply->text[0] != '\0' ? ": " : "", reply->text);
}

static void give(struct sim *sim, struct sim_command *command);

static void run_known(struct sim *sim, struct sim_task *task)
{
    struct sim_command *command = &sim->commands[task->number];
    if (!command->closed && !command->given) {
        give(sim, command);
    }
}

static void give(struct sim *sim, struct sim_command *command)
{
    struct request request = {0};
    uint32_t node = choose_node(sim, command->step);
    if (node == SIM_NO_HOST) {
        return;
    }
    const char *refusal = fill(sim, command->step, node, &request);
    if (refusal != NULL) {
        sim_operator_close(sim, (uint32_t)(command - sim->commands), VERDICT_REFUSED, refusal);
        return;
    }
    if (request.adopt && !is_shown(sim, command->step->vm, node)) {
        sim_put(sim, KNOWN_US, SIM_NO_HOST,
                (struct sim_task){.run = run_known, .number = (uint64_t)(command - sim->commands)});
        return;
    }
    command->given = true;
    command->undone = false;
    command->node = node;
    command->agent_life = sim->hosts[node].agent.life;
    command->id = (struct origin){.nodeid = node + 1,
                                  .agent_start = sim->hosts[node].agent.start,
                                  .counter = (UINT64_C(1) << 32) + ++sim->last_command};
    request.id = command->id;
    struct event event = {.kind = EVENT_REQUEST, .request = &request};
    sim_agent_event(sim, node, &event);
}

static void run_look(struct sim *sim, struct sim_task *task)
{
    struct sim_command *command = &sim->commands[task->number];
    if (command->closed) {
        return;
    }
    const struct sim_agent *agent = &sim->hosts[command->node].agent;
    if (!command->given || !agent->alive || agent->life != command->agent_life) {
        command->given = false;
        give(sim, command);
    }
    if (!command->closed && ++command->tries < TRIES_MAX) {
        sim_put(sim, LOOK_US, SIM_NO_HOST, *task);
    }
}

void sim_operator_close(struct sim *sim, uint32_t index, enum verdict verdict, const char *text)
{
    struct reply reply = {.verdict = verdict};
    ASSERT(index < sim->command_count);
    name_set(reply.text, sizeof(reply.text), text);
    close_command(sim, &sim->commands[index], &reply);
}

void sim_operator_do(struct sim *sim, const struct scenario_step *step)
{
    ASSERT(sim->command_count < SIM_STEPS_MAX);
    uint32_t index = sim->command_count++;
    sim->commands[index] = (struct sim_command){.step = step};
    if (step->kind == STEP_CLUSTER_FORCE) { /* no agent is asked */
        sim_force_do(sim, index);
        return;
    }
    sim_put(sim, 0, SIM_NO_HOST, (struct sim_task){.run = run_look, .number = index});
}

void sim_operator_answer(struct sim *sim, uint32_t node, const struct reply *reply)
{
    for (uint32_t i = 0; i < sim->command_count; i++) {
        struct sim_command *command = &sim->commands[i];
        if (!command->given || !origin_equal(&command->id, &reply->id)) {
            continue;
        }
        if (command->closed) {
            sim_violation(sim, "%s answered a command twice: %s", sim->story->nodes[node].name,
                          command->step->words);
        }
        close_command(sim, command, reply);
        if (reply->verdict != VERDICT_DONE) {
            sim_check_refusal(sim, command);
        } else if (command->step->kind != STEP_NODE_RESUME) { /* commits nothing */
            sim_check_acknowledged(sim, command);
        }
        return;
    }
    sim_violation(sim, "%s answered a command nobody gave", sim->story->nodes[node].name);
}
