/* The commands that only ask. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/commands_io.h"
#include "agent/cli/json_io.h"
#include "agent/cli/table_io.h"
#include "agent/cli/watch_io.h"
#include "agent/nearest.h"

static bool wants_json(const struct cli_options *options)
{
    return (options->given & OPTION_JSON) != 0;
}

static enum cli_exit no_cluster(const Control__Status *status)
{
    fprintf(stderr, "stead: no cluster is known here: %s\n", status->situation);
    return CLI_FAILED;
}

static void show_status(const struct cli_options *options, const struct cli_status *status)
{
    const Control__Status *first = status->pages[0]->status;
    if (wants_json(options)) {
        cli_json_status(status, JSON_ALL, false);
        return;
    }
    cli_print_header(first);
    if (first->n_alarms > 0) {
        putchar('\n');
        cli_print_alarms(first, false);
    }
    if (first->loaded) {
        putchar('\n');
        cli_print_nodes(first, false);
    }
    if (first->vm_count > 0) {
        putchar('\n');
        cli_print_vms(status);
    }
}

/* For monitoring: one line per alarm, or one that says that there is none. */
static enum cli_exit check(const struct cli_options *options, const Control__Status *status)
{
    if (wants_json(options)) {
        cli_json_alarms(status);
    } else if (status->n_alarms > 0) {
        cli_print_alarms(status, true);
    } else {
        printf("OK: %zu nodes, %u VMs; %s\n", status->n_nodes, status->vm_count, status->situation);
    }
    return status->n_alarms > 0 ? CLI_FAILED : CLI_DONE;
}

enum cli_exit cli_status(const struct cli_options *options, const char *name)
{
    struct cli_status status;
    (void)name;
    if ((options->given & OPTION_WATCH) != 0 && (options->given & OPTION_CHECK) == 0) {
        return cli_watch_status(options, show_status);
    }
    enum cli_exit result = cli_look("", &status);
    if (result != CLI_DONE) {
        return result;
    }
    if ((options->given & OPTION_CHECK) != 0) {
        result = check(options, status.pages[0]->status);
    } else {
        show_status(options, &status);
    }
    cli_free_status(&status);
    return result;
}

enum cli_exit cli_config_timing(const struct cli_options *options, const char *name)
{
    struct cli_status status;
    (void)name;
    enum cli_exit result = cli_look("", &status);
    if (result != CLI_DONE) {
        return result;
    }
    if (!status.pages[0]->status->loaded) {
        result = no_cluster(status.pages[0]->status);
    } else if (wants_json(options)) {
        cli_json_status(&status, JSON_NODES, false);
    } else {
        cli_print_timing(status.pages[0]->status);
    }
    cli_free_status(&status);
    return result;
}

/* ---- lists */

static enum cli_exit list(const struct cli_options *options, enum json_part part)
{
    struct cli_status status;
    enum cli_exit result = cli_look("", &status);
    if (result != CLI_DONE) {
        return result;
    }
    if (!status.pages[0]->status->loaded) {
        result = no_cluster(status.pages[0]->status);
    } else if (wants_json(options)) {
        cli_json_status(&status, part, (options->given & OPTION_ALL) != 0);
    } else if (part == JSON_NODES) {
        cli_print_nodes(status.pages[0]->status, (options->given & OPTION_ALL) != 0);
    } else {
        cli_print_vms(&status);
    }
    cli_free_status(&status);
    return result;
}

enum cli_exit cli_vm_list(const struct cli_options *options, const char *name)
{
    (void)name;
    return list(options, JSON_VMS);
}

enum cli_exit cli_node_list(const struct cli_options *options, const char *name)
{
    (void)name;
    return list(options, JSON_NODES);
}

/* ---- one thing */

static enum cli_exit no_such_node(const Control__Status *status, const char *name)
{
    const char *names[NODES_MAX];
    size_t count = status->n_nodes < NODES_MAX ? status->n_nodes : NODES_MAX;
    for (size_t i = 0; i < count; i++) {
        names[i] = status->nodes[i]->name;
    }
    const char *near = nearest_word(name, names, count);
    fprintf(stderr, "stead: no node is called '%s'%s%s%s\n", name,
            near != NULL ? "; did you mean '" : ": see `stead node list`", near != NULL ? near : "",
            near != NULL ? "'?" : "");
    return CLI_FAILED;
}

/* With what the ledger has of its fences; without, where that cannot be had. */
static void show_node(const struct cli_options *options, const Control__Node *node)
{
    const Control__Decision *fences[LEDGER_MAX];
    size_t count = 0;
    struct cli_client *client = NULL;
    struct cli_history history = {.page_count = 0};
    if (cli_connect(&client) == CLI_DONE) {
        (void)cli_ask_history(client, 0, true, &history);
        cli_disconnect(&client);
    }
    for (size_t page = 0; page < history.page_count; page++) {
        const Control__History *part = history.pages[page]->history;
        for (size_t i = 0; i < part->n_decisions && count < LEDGER_MAX; i++) {
            if (strcmp(part->decisions[i]->node, node->name) == 0) {
                fences[count++] = part->decisions[i];
            }
        }
    }
    if (wants_json(options)) {
        cli_json_node(node, fences, count);
    } else {
        cli_print_node(node, fences, count);
    }
    cli_free_history(&history);
}

enum cli_exit cli_node_show(const struct cli_options *options, const char *name)
{
    struct cli_status status;
    enum cli_exit result = cli_look("", &status);
    if (result != CLI_DONE) {
        return result;
    }
    const Control__Status *first = status.pages[0]->status;
    const Control__Node *node = cli_find_node(&status, name);
    if (!first->loaded) {
        result = no_cluster(first);
    } else if (node == NULL) {
        result = no_such_node(first, name);
    } else {
        show_node(options, node);
    }
    cli_free_status(&status);
    return result;
}
