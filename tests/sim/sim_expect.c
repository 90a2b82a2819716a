/* Expectations, judged by the world; only words about decisions (recovering, fenced) by the state
 * object. */
#include "tests/sim/sim_expect.h"

#include <string.h>

#include "proto/assert.h"
#include "proto/settings.h"
#include "storage/state.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_cpg.h"

enum node_word sim_node_word(const struct sim *sim, uint32_t node)
{
    enum node_state state = sim->rados.state->nodes[node].state;
    if (state == NODE_FENCED || state == NODE_LOST) {
        return NODE_IS_FENCED;
    }
    if (state == NODE_REMOVED) {
        return NODE_IS_REMOVED;
    }
    const struct sim_host *host = &sim->hosts[node];
    if (state == NODE_ADMITTED && host->up && sim_cpg_works(sim, node)) {
        return !host->agent.alive ? NODE_UNATTENDED : host->marked ? NODE_HALTED : NODE_ONLINE;
    }
    if (state == NODE_OUT && host->up && sim_cpg_works(sim, node)) {
        return NODE_IS_OUT;
    }
    bool away = state == NODE_ADMITTED && sim->rados.state->nodes[node].away_ms != 0;
    return away ? NODE_AWAY : NODE_OFFLINE;
}

const char *sim_node_text(enum node_word word)
{
    switch (word) {
    case NODE_ONLINE:
        return "online";
    case NODE_OFFLINE:
        return "offline";
    case NODE_IS_FENCED:
        return "fenced";
    case NODE_AWAY:
        return "away";
    case NODE_UNATTENDED:
        return "unattended";
    case NODE_IS_REMOVED:
        return "removed";
    case NODE_HALTED:
        return "halted";
    case NODE_IS_OUT:
        return "out";
    }
    stead_panic(__FILE__, __LINE__, "node word");
}

const char *sim_vm_text(const struct sim *sim, uint32_t vm, uint32_t *ret_node)
{
    *ret_node = SIM_NO_HOST;
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        if (guest->vm == vm && sim_guest_writes(sim, guest)) {
            *ret_node = guest->node;
            return "running";
        }
    }
    uint32_t slot = state_find_vm_uuid(sim->rados.state, &sim->vms[vm].uuid);
    bool wanted = slot != VMS_MAX && sim->rados.state->vms[slot].want == WANT_RUNNING;
    return wanted ? "recovering" : "stopped";
}

static bool process_lives(const struct sim *sim, uint32_t vm)
{
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        if (sim->guests[i].vm == vm && sim->guests[i].alive) {
            return true;
        }
    }
    return false;
}

bool sim_vm_suspended(const struct sim *sim, uint32_t vm, uint32_t *ret_node)
{
    uint32_t alive = 0;
    uint32_t still = 0;
    uint32_t node = SIM_NO_HOST;
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        if (guest->vm == vm && guest->alive) {
            alive++;
            still += guest->state == GUEST_SUSPENDED;
            node = guest->node;
        }
    }
    if (alive != 1 || still != 1) {
        return false;
    }
    *ret_node = node;
    return true;
}

static uint64_t ghost_max_us(const struct sim *sim, uint32_t vm)
{
    uint64_t most_us = sim->vms[vm].ghost_max_us;
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        if (guest->vm == vm && guest->ghost_us != 0 && sim->now_us - guest->ghost_us > most_us) {
            most_us = sim->now_us - guest->ghost_us;
        }
    }
    return most_us;
}

static bool was_refused(const struct sim *sim, const char *words)
{
    for (uint32_t i = 0; i < sim->command_count; i++) {
        const struct sim_command *command = &sim->commands[i];
        if (command->refused && strcmp(command->step->words, words) == 0) {
            return true;
        }
    }
    return false;
}

/* In the state object, and in every copy that a node in the ring goes by. */
static bool setting_holds(const struct sim *sim, const struct scenario_expect *expect)
{
    const struct setting *setting = settings_find(expect->text);
    bool same = setting_get(setting, &sim->rados.state->settings) == expect->number;
    for (uint32_t n = 0; n < sim->node_count && same; n++) {
        const struct core *core = sim->hosts[n].agent.core;
        if (sim_node_word(sim, n) == NODE_ONLINE && sim->hosts[n].agent.alive) {
            same = setting_get(setting, &core->cluster.settings) == expect->number;
        }
    }
    return same;
}

/* Raised where an agent is alive, on whichever node. */
static bool alarm_raised(const struct sim *sim, const struct scenario_expect *expect)
{
    for (uint32_t n = 0; n < sim->node_count; n++) {
        const struct sim_agent *agent = &sim->hosts[n].agent;
        const struct alarm_seen *seen = NULL;
        uint32_t at = 0;
        while (agent->alive && (seen = alarm_next(&agent->core->local.alarms, &at)) != NULL) {
            bool kind = expect->number == ALARM_KIND_COUNT || seen->alarm.kind == expect->number;
            if (kind &&
                (expect->text[0] == '\0' || strcmp(expect->text, seen->alarm.subject) == 0)) {
                return true;
            }
        }
    }
    return false;
}

static bool holds(const struct sim *sim, const struct scenario_expect *expect)
{
    const struct sim_vm *vm = &sim->vms[expect->vm];
    uint32_t node = SIM_NO_HOST;
    const char *word = sim_vm_text(sim, expect->vm, &node);
    switch (expect->kind) {
    case EXPECT_VM_RUNNING:
        return node != SIM_NO_HOST && (expect->any || (expect->nodes >> node & 1) != 0);
    case EXPECT_VM_STOPPED:
        return strcmp(word, "stopped") == 0 && !process_lives(sim, expect->vm);
    case EXPECT_VM_RECOVERING:
        return strcmp(word, "recovering") == 0;
    case EXPECT_VM_SUSPENDED:
        return sim_vm_suspended(sim, expect->vm, &node);
    case EXPECT_NODE:
        return sim_node_word(sim, expect->node) == expect->word;
    case EXPECT_FENCED:
        return sim->fenced == expect->nodes;
    case EXPECT_FENCED_BY:
        return (sim->fenced_by[expect->node] & expect->proof) != 0;
    case EXPECT_GHOST:
        return ghost_max_us(sim, expect->vm) <= expect->duration_us;
    case EXPECT_RECOVERED:
        return vm->recovered && vm->down_us == 0 && vm->recovered_max_us <= expect->duration_us;
    case EXPECT_NEVER_ON:
        return (vm->ran_on >> expect->node & 1) == 0;
    case EXPECT_MOVED:
        return vm->moves <= expect->number;
    case EXPECT_REFUSED:
        return was_refused(sim, expect->text);
    case EXPECT_LOG:
        return sim->trace.bytes != NULL && strstr(sim->trace.bytes, expect->text) != NULL;
    case EXPECT_SETTING:
        return setting_holds(sim, expect);
    case EXPECT_ALARM:
        return alarm_raised(sim, expect);
    case EXPECT_NO_ALARM:
        return !alarm_raised(sim, expect);
    }
    stead_panic(__FILE__, __LINE__, "expectation");
}

static bool is_about_vm(const struct scenario_expect *expect)
{
    return expect->kind != EXPECT_NODE && expect->kind != EXPECT_FENCED &&
           expect->kind != EXPECT_FENCED_BY && expect->kind != EXPECT_REFUSED &&
           expect->kind != EXPECT_LOG && expect->kind != EXPECT_SETTING &&
           expect->kind != EXPECT_ALARM && expect->kind != EXPECT_NO_ALARM;
}

/* With what is so instead, where one word says it. */
static void log_failure(struct sim *sim, const struct scenario_expect *expect)
{
    const struct sim_vm *vm = &sim->vms[expect->vm];
    uint32_t node = SIM_NO_HOST;
    if (expect->kind == EXPECT_NODE) {
        sim_log(sim, SIM_NO_HOST, "FAILED line %u: %s (it is %s)", expect->line, expect->words,
                sim_node_text(sim_node_word(sim, expect->node)));
    } else if (!is_about_vm(expect)) {
        sim_log(sim, SIM_NO_HOST, "FAILED line %u: %s", expect->line, expect->words);
    } else {
        const char *word = sim_vm_text(sim, expect->vm, &node);
        sim_log(sim, SIM_NO_HOST,
                "FAILED line %u: %s (%s%s%s, moved %u times, worst recovery %llu ms, worst ghost "
                "%llu ms)",
                expect->line, expect->words, word, node == SIM_NO_HOST ? "" : " on ",
                node == SIM_NO_HOST ? "" : sim->story->nodes[node].name, vm->moves,
                (unsigned long long)(vm->recovered_max_us / MS),
                (unsigned long long)(ghost_max_us(sim, expect->vm) / MS));
    }
}

void sim_expect_now(struct sim *sim, uint64_t at_us)
{
    for (uint32_t i = 0; i < sim->story->expect_count; i++) {
        const struct scenario_expect *expect = &sim->story->expects[i];
        if (expect->at_us != at_us || holds(sim, expect)) {
            continue;
        }
        sim->failed_expect[i] = true;
        sim->expects_failed++;
        log_failure(sim, expect);
    }
}
