/* Tables for people. */
#include "agent/cli/table_io.h"

#include <inttypes.h>
#include <libsmartcols.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/json_io.h"
#include "proto/assert.h"

#define OLD_COPY_MS 5000 /* a copy older than that is worth a word */

struct column {
    const char *name;
    double width; /* a hint: a share of the line, or characters */
    int flags;
};

static struct libscols_table *table_with(const struct column *columns, size_t count)
{
    struct libscols_table *table = scols_new_table();
    ASSERT(table != NULL);
    setlocale(LC_CTYPE, ""); /* or libsmartcols measures bytes */
    for (size_t i = 0; i < count; i++) {
        struct libscols_column *column =
            scols_table_new_column(table, columns[i].name, columns[i].width, columns[i].flags);
        ASSERT(column != NULL);
    }
    return table;
}

static struct libscols_line *new_line(struct libscols_table *table)
{
    struct libscols_line *line = scols_table_new_line(table, NULL);
    ASSERT(line != NULL);
    return line;
}

__attribute__((format(printf, 3, 4))) static void put(struct libscols_line *line, size_t column,
                                                      const char *format, ...)
{
    char text[512]; /* longer than any field an agent sends */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    int r = scols_line_set_data(line, column, text);
    ASSERT(r == 0);
}

static void print_table(struct libscols_table *table)
{
    scols_print_table(table);
    scols_unref_table(table);
}

static const char *or_dash(const char *text)
{
    return text[0] != '\0' ? text : "-";
}

/* ---- status */

static const char *quorum_words(const Control__Status *status)
{
    if (!status->quorate) {
        return "NO: nothing is started or fenced from here";
    }
    return status->fresh ? "yes, proven just now" : "Corosync says yes, not proven just now";
}

void cli_print_header(const Control__Status *status)
{
    printf("Now      %s\n", or_dash(status->situation));
    printf("Quorum   %s\n", quorum_words(status));
    if (!status->loaded) {
        printf("Cluster  none known here yet\n");
        return;
    }
    printf("Cluster  %s, version %" PRIu64 "\n", status->cluster_id, status->version_committed);
    printf("Acting   %s%s%s, term %" PRIu64 "\n", status->quorate ? "" : "nobody known; last ",
           or_dash(status->actor), status->acting ? " (this node)" : "", status->term);
    if (!status->copy_known) {
        printf("Copy     of unknown age\n");
    } else if (status->copy_age_ms > OLD_COPY_MS) {
        printf("Copy     %" PRIu64 " s old: what follows may have changed\n",
               status->copy_age_ms / 1000);
    }
    for (size_t i = 0; i < status->n_nodes; i++) {
        if (status->nodes[i]->trouble[0] != '\0') {
            printf("Trouble  %s: %s\n", status->nodes[i]->name, status->nodes[i]->trouble);
        }
    }
    if (status->commands_waiting != 0) {
        printf("Waiting  %u command(s) given here\n", status->commands_waiting);
    }
}

static const char *bmc_word(const Control__Node *node)
{
    if (node->bmc[0] == '\0') {
        return "-";
    }
    return node->bmc_verified ? "verified" : "unverified";
}

#define AGENT_BYTES 32

/* "alive", "silent 5 m", "-". */
static const char *agent_word(const Control__Node *node, char ret_word[AGENT_BYTES])
{
    unsigned long long seconds = node->silent_ms / 1000;
    if (node->agent_alive || !node->in_ring || node->silent_ms == 0) {
        snprintf(ret_word, AGENT_BYTES, "%s",
                 node->agent_alive ? "alive"
                 : node->in_ring   ? "silent"
                                   : "-");
    } else if (seconds < 120) {
        snprintf(ret_word, AGENT_BYTES, "silent %llu s", seconds);
    } else if (seconds < 7200) {
        snprintf(ret_word, AGENT_BYTES, "silent %llu m", seconds / 60);
    } else {
        snprintf(ret_word, AGENT_BYTES, "silent %llu h", seconds / 3600);
    }
    return ret_word;
}

void cli_print_nodes(const Control__Status *status, bool all)
{
    static const struct column columns[] = {{"NODE", 0, 0},
                                            {"ID", 0, SCOLS_FL_RIGHT},
                                            {"STATE", 0, 0},
                                            {"AGENT", 0, 0},
                                            {"VMS", 0, SCOLS_FL_RIGHT},
                                            {"USED", 0, SCOLS_FL_RIGHT},
                                            {"MEMORY", 0, SCOLS_FL_RIGHT},
                                            {"BMC", 0, 0}};
    struct libscols_table *table = table_with(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < status->n_nodes; i++) {
        const Control__Node *node = status->nodes[i];
        if (!all && cli_node_is_removed(node)) {
            continue;
        }
        struct libscols_line *line = new_line(table);
        put(line, 0, "%s%s", node->name, strcmp(node->name, status->actor) == 0 ? "*" : "");
        put(line, 1, "%u", node->nodeid);
        put(line, 2, "%s", node->state);
        char agent[AGENT_BYTES];
        put(line, 3, "%s", agent_word(node, agent));
        put(line, 4, "%u", node->vm_count);
        put(line, 5, "%u MiB", node->memory_used_mib);
        put(line, 6, "%u MiB", node->memory_mib);
        put(line, 7, "%s", bmc_word(node));
    }
    print_table(table);
}

/* With since when, if it is a trouble that lasts. */
static void put_reason(struct libscols_line *line, size_t column, const Control__Vm *vm)
{
    char time[CLI_TIME_BYTES];
    if (vm->since_wall_ms == 0) {
        put(line, column, "%s", vm->reason);
        return;
    }
    cli_format_time(vm->since_wall_ms, true, time);
    put(line, column, "since %s: %s", time, vm->reason);
}

void cli_print_vms(const struct cli_status *status)
{
    static const struct column columns[] = {{"VM", 0, 0},
                                            {"STATE", 0, 0},
                                            {"NODE", 0, 0},
                                            {"WANTED", 0, 0},
                                            {"CLASS", 0, 0},
                                            {"MEMORY", 0, SCOLS_FL_RIGHT},
                                            {"REASON", 0.3, SCOLS_FL_TRUNC}};
    struct libscols_table *table = table_with(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t page = 0; page < status->page_count; page++) {
        const Control__Status *part = status->pages[page]->status;
        for (size_t i = 0; i < part->n_vms; i++) {
            const Control__Vm *vm = part->vms[i];
            struct libscols_line *line = new_line(table);
            put(line, 0, "%s", vm->name);
            put(line, 1, "%s", vm->state);
            put(line, 2, "%s", or_dash(vm->node));
            put(line, 3, "%s", vm->want);
            put(line, 4, "%s", or_dash(vm->class_name));
            put(line, 5, "%u MiB", vm->memory_mib);
            put_reason(line, 6, vm);
        }
    }
    print_table(table);
}

/* ---- one thing whole */

/* The last one, from its loss on. */
static void print_fence(const Control__Decision *const *fences, size_t count)
{
    size_t first = count;
    while (first > 0 && strcmp(fences[first - 1]->kind, "node-lost") != 0) {
        first--;
    }
    for (size_t i = first > 0 ? first - 1 : count; i < count; i++) {
        char time[CLI_TIME_BYTES];
        cli_format_time(fences[i]->wall_ms, true, time);
        printf("  %s  term %" PRIu64 "  %s\n", time, fences[i]->term, fences[i]->cause);
    }
}

void cli_print_node(const Control__Node *node, const Control__Decision *const *fences, size_t count)
{
    printf("Name         %s (nodeid %u)\n", node->name, node->nodeid);
    char agent[AGENT_BYTES];
    printf("State        %s\n", node->state);
    if (node->trouble[0] != '\0') {
        printf("Trouble      %s\n", node->trouble);
    }
    printf("Corosync     %s, agent %s\n", node->in_ring ? "in the ring" : "not in the ring",
           agent_word(node, agent));
    if (node->incarnation_number != 0) {
        printf("Incarnation  %u.%u\n", node->incarnation_epoch, node->incarnation_number);
    }
    printf("Machine      %s, boot %s\n", node->machine, node->boot);
    printf("Ceph client  %s\n", or_dash(node->client));
    printf("BMC          %s%s%s\n", or_dash(node->bmc), node->bmc[0] != '\0' ? ", " : "",
           node->bmc[0] != '\0' ? bmc_word(node) : "");
    for (size_t i = 0; i < node->n_fence_devices; i++) {
        const Control__FenceDevice *device = node->fence_devices[i];
        printf("Fence        %s (%s), level %u, %s\n", device->name, device->agent, device->level,
               device->standing);
    }
    printf("Memory       %u of %u MiB for %u VM(s)\n", node->memory_used_mib, node->memory_mib,
           node->vm_count);
    if (node->n_proofs > 0) {
        printf("Last fence   proven by");
        for (size_t i = 0; i < node->n_proofs; i++) {
            printf(" %s", node->proofs[i]);
        }
        putchar('\n');
    }
    print_fence(fences, count);
}

void cli_print_vm(const Control__Vm *vm)
{
    printf("Name         %s (%s)\n", vm->name, vm->uuid);
    printf("State        %s%s%s, wanted %s\n", vm->state, vm->node[0] != '\0' ? " on " : "",
           vm->node, vm->want);
    printf("Memory       %u MiB\n", vm->memory_mib);
    printf("Priority     %d\n", vm->priority);
    printf("Class        %s: taken from a dead host by %s\n", or_dash(vm->class_name),
           vm->proof[0] != '\0' ? vm->proof : "reborn, clean or operator");
    printf("Lease        generation %" PRIu64 "\n", vm->generation);
    printf("Definition   version %u\n", vm->definition_version);
    if (vm->stop_timeout_ms > 0) {
        printf("Shutdown     %u s, then the plug is pulled\n", vm->stop_timeout_ms / 1000);
    }
    if (vm->attempts > 0) {
        printf("Attempts     %u failed since it last ran\n", vm->attempts);
    }
    if (vm->reason[0] != '\0') {
        printf("Reason       %s\n", vm->reason);
    }
    if (vm->since_wall_ms > 0) {
        char time[CLI_TIME_BYTES];
        cli_format_time(vm->since_wall_ms, true, time);
        printf("Since        %s\n", time);
    }
    if (vm->ends > 0) {
        printf("Ends         %u by itself in a row\n", vm->ends);
    }
}

void cli_print_vm_detail(const Control__Outcome *detail)
{
    for (size_t i = 0; detail != NULL && i < detail->n_places; i++) {
        const char *words = strchr(detail->places[i], ':');
        bool console = strncmp(detail->places[i], "console:", 8) == 0;
        printf("%-12s %s\n", console ? "Console" : "Screen", words != NULL ? words + 2 : "");
    }
    for (size_t i = 0; detail != NULL && i < detail->n_findings; i++) {
        printf("%-12s %s: %s\n", i == 0 ? "Known of it" : "", detail->findings[i]->kind,
               detail->findings[i]->text);
    }
    if (detail != NULL && detail->text[0] != '\0') {
        printf("Definition   %s\n", detail->text);
    }
}

/* ---- history */

void cli_print_decision(const Control__Decision *decision)
{
    char time[CLI_TIME_BYTES];
    cli_format_time(decision->wall_ms, true, time);
    printf("%s  %-14s %-8s %-12s %s\n", time, decision->kind, or_dash(decision->node),
           or_dash(decision->vm), decision->cause);
}

void cli_print_history(const Control__Decision *const *decisions, size_t count)
{
    static const struct column columns[] = {
        {"NR", 0, SCOLS_FL_RIGHT},  {"TIME", 0, 0}, {"WHAT", 0, 0}, {"NODE", 0, 0}, {"VM", 0, 0},
        {"WHY", 0.5, SCOLS_FL_WRAP}};
    struct libscols_table *table = table_with(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < count; i++) {
        const Control__Decision *decision = decisions[i];
        struct libscols_line *line = new_line(table);
        char time[CLI_TIME_BYTES];
        cli_format_time(decision->wall_ms, true, time);
        put(line, 0, "%" PRIu64, decision->sequence);
        put(line, 1, "%s", time);
        put(line, 2, "%s", decision->kind);
        put(line, 3, "%s", or_dash(decision->node));
        put(line, 4, "%s", or_dash(decision->vm));
        put(line, 5, "%s", decision->cause);
    }
    print_table(table);
}

/* ---- alarms */

void cli_print_alarms(const Control__Status *status, bool bare)
{
    for (size_t i = 0; i < status->n_alarms; i++) {
        const Control__Alarm *alarm = status->alarms[i];
        char since[CLI_TIME_BYTES + 16] = "";
        if (alarm->since_wall_ms != 0) {
            char time[CLI_TIME_BYTES];
            cli_format_time(alarm->since_wall_ms, true, time);
            snprintf(since, sizeof(since), " (since %.19s)", time);
        }
        printf("%s %s%s%s: %s%s\n", alarm->critical ? "CRITICAL" : "WARNING", alarm->kind,
               alarm->subject[0] != '\0' ? " " : "", alarm->subject, alarm->text, since);
        if (!bare) {
            printf("         do: %s\n", alarm->remedy);
        }
    }
    if (status->more_alarms) {
        puts("WARNING and more than can be listed");
    }
}

/* ---- settings */

void cli_print_settings(const Control__Config *config)
{
    static const struct column columns[] = {
        {"SETTING", 0.12, 0},
        {"VALUE", 0.1, 0},
        {"DEFAULT", 0.1, 0},
        {"RANGE", 0.14, SCOLS_FL_WRAP},
        {"CHANGED", 0.2, SCOLS_FL_WRAP},
        {"WHAT IT IS", 0.3, SCOLS_FL_WRAP},
    };
    struct libscols_table *table = table_with(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < config->n_settings; i++) {
        const Control__Setting *setting = config->settings[i];
        char time[CLI_TIME_BYTES];
        struct libscols_line *line = new_line(table);
        cli_format_time(setting->set_ms, true, time);
        put(line, 0, "%s", setting->name);
        put(line, 1, "%s", setting->value);
        put(line, 2, "%s", or_dash(setting->standard));
        put(line, 3, "%s", or_dash(setting->range));
        if (setting->set_ms != 0) {
            put(line, 4, "%.19s by %s", time, or_dash(setting->by));
        } else {
            put(line, 4, "-");
        }
        put(line, 5, "%s", setting->help);
    }
    print_table(table);
}

void cli_print_classes(const Control__Config *config)
{
    static const struct column columns[] = {{"CLASS", 0.2, 0},
                                            {"PROOF", 0.4, 0},
                                            {"VMS", 0.1, SCOLS_FL_RIGHT},
                                            {"CHANGED", 0.3, SCOLS_FL_WRAP}};
    struct libscols_table *table = table_with(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < config->n_classes; i++) {
        const Control__Class *class = config->classes[i];
        char time[CLI_TIME_BYTES];
        struct libscols_line *line = new_line(table);
        cli_format_time(class->set_ms, true, time);
        put(line, 0, "%s", class->name);
        put(line, 1, "%s", or_dash(class->proof));
        put(line, 2, "%u", class->vm_count);
        put(line, 3, "%.19s by %s", time, or_dash(class->by));
    }
    print_table(table);
}

/* ---- the proof by watchdog */

void cli_print_timing(const Control__Status *status)
{
    static const struct column columns[] = {
        {"NODE", 0.2, 0},
        {"VOUCH", 0.1, SCOLS_FL_RIGHT},
        {"FEED", 0.1, SCOLS_FL_RIGHT},
        {"FIRES", 0.1, SCOLS_FL_RIGHT},
        {"DRIFT", 0.1, SCOLS_FL_RIGHT},
        {"SCHEDULE", 0.1, SCOLS_FL_RIGHT},
        {"DEADLINE", 0.1, SCOLS_FL_RIGHT},
        {"MARGIN", 0.1, SCOLS_FL_RIGHT},
    };
    struct libscols_table *table = table_with(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < status->n_nodes; i++) {
        const Control__Watchdog *watchdog = status->nodes[i]->watchdog;
        struct libscols_line *line = new_line(table);
        put(line, 0, "%s", status->nodes[i]->name);
        if (watchdog != NULL) {
            const uint32_t terms[] = {watchdog->vouch_ms,
                                      watchdog->feed_ms,
                                      watchdog->fires_ms,
                                      watchdog->drift_ms,
                                      watchdog->schedule_ms,
                                      watchdog->deadline_ms,
                                      watchdog->drift_ms + watchdog->schedule_ms};
            for (size_t term = 0; term < sizeof(terms) / sizeof(terms[0]); term++) {
                put(line, term + 1, "%u ms", terms[term]);
            }
        }
        for (size_t term = 1; watchdog == NULL && term < sizeof(columns) / sizeof(columns[0]);
             term++) {
            put(line, term, "-");
        }
    }
    print_table(table);
    puts("A lost node counts as reset DEADLINE after a quorum has stopped answering it, where the "
         "policy\n(config get proof) has `watchdog`. -: no armed watchdog is counted on.");
}
