/* `--json`. */
#include "agent/cli/json_io.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void cli_format_time(uint64_t wall_ms, bool for_people, char ret_text[CLI_TIME_BYTES])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    char day[CLI_TIME_BYTES] = "";
    if (for_people) {
        localtime_r(&seconds, &parts);
        strftime(day, sizeof(day), "%F %T", &parts);
    } else {
        gmtime_r(&seconds, &parts);
        strftime(day, sizeof(day), "%FT%T", &parts);
    }
    snprintf(ret_text, CLI_TIME_BYTES, "%.24s.%03u%s", day, (unsigned)(wall_ms % 1000),
             for_people ? "" : "Z");
}

/* An object or array that could not be made is a matter of memory alone. */
static json_t *made(json_t *value)
{
    if (value == NULL) {
        fputs("stead: out of memory\n", stderr);
        exit(CLI_FAILED);
    }
    return value;
}

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, made(value));
}

/* jansson refuses what is not UTF-8; a reason may quote another program's bytes. */
static json_t *text_value(const char *text)
{
    json_t *value = json_string(text);
    return value != NULL ? value : json_string("(not UTF-8)");
}

static json_t *text_or_null(const char *text)
{
    return text[0] != '\0' ? text_value(text) : json_null();
}

static json_t *integer(uint64_t number)
{
    return json_integer((json_int_t)number);
}

static json_t *begin(void)
{
    json_t *object = made(json_object());
    set(object, "version", integer(1));
    return object;
}

static void print(json_t *object)
{
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(object);
}

static json_t *bmc_value(const Control__Node *node)
{
    if (node->bmc[0] == '\0') {
        return json_null();
    }
    json_t *bmc = made(json_object());
    set(bmc, "address", text_value(node->bmc));
    set(bmc, "verified", json_boolean(node->bmc_verified));

    return bmc;
}

static json_t *watchdog_value(const Control__Watchdog *watchdog)
{
    if (watchdog == NULL) {
        return json_null();
    }
    json_t *object = made(json_object());
    set(object, "vouch_ms", integer(watchdog->vouch_ms));
    set(object, "feed_ms", integer(watchdog->feed_ms));
    set(object, "fires_ms", integer(watchdog->fires_ms));
    set(object, "drift_ms", integer(watchdog->drift_ms));
    set(object, "schedule_ms", integer(watchdog->schedule_ms));
    set(object, "deadline_ms", integer(watchdog->deadline_ms));
    return object;
}

static json_t *devices_value(const Control__Node *node)
{
    json_t *list = made(json_array());
    for (size_t i = 0; i < node->n_fence_devices; i++) {
        const Control__FenceDevice *device = node->fence_devices[i];
        json_t *object = made(json_object());
        set(object, "name", text_value(device->name));
        set(object, "agent", text_value(device->agent));
        set(object, "level", integer(device->level));
        set(object, "standing", text_value(device->standing));
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *node_value(const Control__Node *node)
{
    json_t *object = made(json_object());
    json_t *proofs = made(json_array());
    char incarnation[32] = "";
    for (size_t i = 0; i < node->n_proofs; i++) {
        json_array_append_new(proofs, made(text_value(node->proofs[i])));
    }
    if (node->incarnation_number != 0) {
        snprintf(incarnation, sizeof(incarnation), "%u.%u", node->incarnation_epoch,
                 node->incarnation_number);
    }
    set(object, "name", text_value(node->name));
    set(object, "nodeid", integer(node->nodeid));
    set(object, "state", text_value(node->state));
    set(object, "in_ring", json_boolean(node->in_ring));
    set(object, "agent_alive", json_boolean(node->agent_alive));
    set(object, "silent_ms", integer(node->silent_ms));
    set(object, "restarts", integer(node->restarts));
    set(object, "trouble", text_or_null(node->trouble));
    set(object, "incarnation", text_or_null(incarnation));
    set(object, "machine", text_value(node->machine));
    set(object, "boot", text_value(node->boot));
    set(object, "client", text_or_null(node->client));
    set(object, "bmc", bmc_value(node));
    set(object, "fence_devices", devices_value(node));
    set(object, "watchdog", watchdog_value(node->watchdog));
    set(object, "memory_mib", integer(node->memory_mib));
    set(object, "memory_used_mib", integer(node->memory_used_mib));
    set(object, "vm_count", integer(node->vm_count));
    set(object, "proofs", proofs);
    return object;
}

static json_t *vm_value(const Control__Vm *vm)
{
    json_t *object = made(json_object());
    set(object, "name", text_value(vm->name));
    set(object, "uuid", text_value(vm->uuid));
    set(object, "want", text_value(vm->want));
    set(object, "state", text_value(vm->state));
    set(object, "node", text_or_null(vm->node));
    set(object, "memory_mib", integer(vm->memory_mib));
    set(object, "priority", json_integer(vm->priority));
    set(object, "class", text_or_null(vm->class_name));
    set(object, "proof", text_value(vm->proof));
    set(object, "generation", integer(vm->generation));
    set(object, "definition_version", integer(vm->definition_version));
    set(object, "attempts", integer(vm->attempts));
    set(object, "stop_timeout_ms", integer(vm->stop_timeout_ms));
    set(object, "reason", text_or_null(vm->reason));
    set(object, "since_ms", integer(vm->since_wall_ms));
    set(object, "ends", integer(vm->ends));
    return object;
}

static json_t *alarms_value(const Control__Status *status)
{
    json_t *list = made(json_array());
    for (size_t i = 0; i < status->n_alarms; i++) {
        const Control__Alarm *alarm = status->alarms[i];
        json_t *value = made(json_object());
        char time[CLI_TIME_BYTES];
        cli_format_time(alarm->since_wall_ms, false, time);
        set(value, "kind", text_value(alarm->kind));
        set(value, "subject", text_or_null(alarm->subject));
        set(value, "severity", json_string(alarm->critical ? "critical" : "warning"));
        set(value, "text", text_value(alarm->text));
        set(value, "remedy", text_value(alarm->remedy));
        set(value, "since", alarm->since_wall_ms != 0 ? text_value(time) : json_null());
        json_array_append_new(list, value);
    }
    return list;
}

void cli_json_alarms(const Control__Status *status)
{
    json_t *object = begin();
    set(object, "ok", json_boolean(status->n_alarms == 0));
    set(object, "alarms", alarms_value(status));
    print(object);
}

static json_t *nodes_value(const Control__Status *status, bool all)
{
    json_t *nodes = made(json_array());
    for (size_t i = 0; i < status->n_nodes; i++) {
        if (all || !cli_node_is_removed(status->nodes[i])) {
            json_array_append_new(nodes, node_value(status->nodes[i]));
        }
    }
    return nodes;
}

static json_t *vms_value(const struct cli_status *status)
{
    json_t *vms = made(json_array());
    for (size_t page = 0; page < status->page_count; page++) {
        const Control__Status *part = status->pages[page]->status;
        for (size_t i = 0; i < part->n_vms; i++) {
            json_array_append_new(vms, vm_value(part->vms[i]));
        }
    }
    return vms;
}

static json_t *cluster_value(const Control__Status *status)
{
    if (!status->loaded) {
        return json_null();
    }
    json_t *cluster = made(json_object());
    set(cluster, "id", text_value(status->cluster_id));
    set(cluster, "epoch", integer(status->epoch));
    set(cluster, "term", integer(status->term));
    set(cluster, "actor", text_or_null(status->actor));
    set(cluster, "state_version", integer(status->version_committed));
    return cluster;
}

void cli_json_status(const struct cli_status *status, enum json_part part, bool all)
{
    const Control__Status *first = status->pages[0]->status;
    json_t *object = begin();
    if (part == JSON_ALL) {
        set(object, "node", text_or_null(first->node));
        set(object, "situation", text_value(first->situation));
        set(object, "state_object", text_or_null(first->state_object));
        set(object, "quorate", json_boolean(first->quorate));
        set(object, "fresh", json_boolean(first->fresh));
        set(object, "acting", json_boolean(first->acting));
        set(object, "copy_age_ms", first->copy_known ? integer(first->copy_age_ms) : json_null());
        set(object, "commands_waiting", integer(first->commands_waiting));
        set(object, "cluster", cluster_value(first));
        set(object, "vm_count", integer(first->vm_count));
        set(object, "alarms", alarms_value(first));
    }
    if (part != JSON_VMS) {
        set(object, "nodes", nodes_value(first, all));
    }
    if (part != JSON_NODES) {
        set(object, "vms", vms_value(status));
    }
    print(object);
}

static json_t *findings(const Control__Outcome *outcome)
{
    json_t *list = made(json_array());
    for (size_t i = 0; outcome != NULL && i < outcome->n_findings; i++) {
        json_t *one = made(json_object());
        set(one, "kind", text_value(outcome->findings[i]->kind));
        set(one, "treatment", text_value(outcome->findings[i]->treatment));
        set(one, "text", text_value(outcome->findings[i]->text));
        json_array_append_new(list, one);
    }
    return list;
}

void cli_json_vm(const Control__Vm *vm, const Control__Outcome *detail)
{
    json_t *object = begin();
    json_t *places = made(json_array());
    for (size_t i = 0; detail != NULL && i < detail->n_places; i++) {
        json_array_append_new(places, made(text_value(detail->places[i])));
    }
    set(object, "vm", vm_value(vm));
    set(object, "places", places);
    set(object, "findings", findings(detail));
    print(object);
}

static json_t *decision_value(const Control__Decision *decision)
{
    char time[CLI_TIME_BYTES];
    json_t *object = made(json_object());
    json_t *action = json_null();
    if (decision->action_counter != 0) {
        action = made(json_object());
        set(action, "term", integer(decision->action_term));
        set(action, "counter", integer(decision->action_counter));
    }
    cli_format_time(decision->wall_ms, false, time);
    set(object, "sequence", integer(decision->sequence));
    set(object, "time", text_value(time));
    set(object, "wall_ms", integer(decision->wall_ms));
    set(object, "boot_ms", integer(decision->boot_ms));
    set(object, "term", integer(decision->term));
    set(object, "kind", text_value(decision->kind));
    set(object, "node", text_or_null(decision->node));
    set(object, "vm", text_or_null(decision->vm));
    set(object, "number", integer(decision->number));
    set(object, "action", action);
    set(object, "cause", text_value(decision->cause));
    return object;
}

void cli_json_decision(const Control__Decision *decision)
{
    json_t *object = decision_value(decision);
    set(object, "version", integer(1));
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static json_t *decisions_value(const Control__Decision *const *decisions, size_t count)
{
    json_t *list = made(json_array());
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, decision_value(decisions[i]));
    }
    return list;
}

void cli_json_node(const Control__Node *node, const Control__Decision *const *fences, size_t count)
{
    json_t *object = begin();
    set(object, "node", node_value(node));
    set(object, "fences", decisions_value(fences, count));
    print(object);
}

void cli_json_history(const Control__Decision *const *decisions, size_t count)
{
    json_t *object = begin();
    set(object, "history", decisions_value(decisions, count));
    print(object);
}

void cli_json_classes(const Control__Config *config)
{
    json_t *object = begin();
    json_t *list = made(json_array());
    for (size_t i = 0; i < config->n_classes; i++) {
        const Control__Class *class = config->classes[i];
        json_t *value = made(json_object());
        char time[CLI_TIME_BYTES];
        cli_format_time(class->set_ms, false, time);
        set(value, "name", text_value(class->name));
        set(value, "proof", text_value(class->proof));
        set(value, "vm_count", integer(class->vm_count));
        set(value, "changed", text_value(time));
        set(value, "by", text_or_null(class->by));
        json_array_append_new(list, value);
    }
    set(object, "classes", list);
    print(object);
}

void cli_json_settings(const Control__Config *config)
{
    json_t *object = begin();
    json_t *list = made(json_array());
    for (size_t i = 0; i < config->n_settings; i++) {
        const Control__Setting *setting = config->settings[i];
        json_t *value = made(json_object());
        char time[CLI_TIME_BYTES];
        cli_format_time(setting->set_ms, false, time);
        set(value, "name", text_value(setting->name));
        set(value, "value", text_value(setting->value));
        set(value, "default", text_or_null(setting->standard));
        set(value, "range", text_or_null(setting->range));
        set(value, "unit", text_or_null(setting->unit));
        set(value, "number", integer(setting->number));
        set(value, "help", text_value(setting->help));
        set(value, "set", json_boolean(setting->given));
        set(value, "changed", setting->set_ms != 0 ? text_value(time) : json_null());
        set(value, "by", text_or_null(setting->by));
        json_array_append_new(list, value);
    }
    set(object, "settings", list);
    print(object);
}

void cli_json_outcome(const Control__Outcome *outcome)
{
    const char *word = outcome->verdict == CONTROL__VERDICT__VERDICT_DONE      ? "done"
                       : outcome->verdict == CONTROL__VERDICT__VERDICT_UNKNOWN ? "unknown"
                                                                               : "refused";
    json_t *object = begin();
    set(object, "outcome", text_value(word));
    set(object, "text", text_value(outcome->text));
    set(object, "committed", outcome->committed != 0 ? integer(outcome->committed) : json_null());
    set(object, "findings", findings(outcome));
    print(object);
}
