/* The commands that change something. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/commands_io.h"
#include "agent/cli/json_io.h"
#include "agent/cli/watch_io.h"

static void print_finding(FILE *out, const Control__Finding *finding)
{
    bool acceptable = strcmp(finding->treatment, "acceptable") == 0;
    fprintf(out, "  %-8s %-15s %s%s%s\n", acceptable ? "refused" : finding->treatment,
            finding->kind, finding->text, acceptable ? "; all the same: --accept " : "",
            acceptable ? finding->kind : "");
}

/* What was found at `vm add`, what refuses it first: on stdout where it was added all the same,
 * else on stderr. */
static void print_findings(FILE *out, const Control__Outcome *outcome)
{
    for (int told = 0; told < 2; told++) {
        for (size_t i = 0; i < outcome->n_findings; i++) {
            if ((strcmp(outcome->findings[i]->treatment, "told") == 0) == (told == 1)) {
                print_finding(out, outcome->findings[i]);
            }
        }
    }
}

/* `name`: what the command was about, said where a refusal does not say it. */
static enum cli_exit print_outcome(const struct cli_options *options, const char *name,
                                   const Control__Outcome *outcome)
{
    bool done = outcome->verdict == CONTROL__VERDICT__VERDICT_DONE;
    if ((options->given & OPTION_JSON) != 0) {
        cli_json_outcome(outcome);
    } else if (done) {
        if (outcome->text[0] != '\0') { /* the agent's own words, with the entry of the history */
            printf("done: %s\n", outcome->text);
        } else {
            printf("done: committed as version %" PRIu64 "\n", outcome->committed);
        }
        fflush(stdout); /* what follows may take a while */
    }
    if (!done) {
        bool named = strstr(outcome->text, name) != NULL;
        fprintf(stderr, "stead: %s%s%s\n", named ? "" : name, named ? "" : ": ", outcome->text);
    }
    if ((options->given & OPTION_JSON) == 0) {
        print_findings(done ? stdout : stderr, outcome);
    }
    return done ? CLI_DONE : CLI_FAILED;
}

enum cli_exit cli_send_request(const struct cli_options *options, Control__Request *request)
{
    struct cli_client *client = NULL;
    Control__Reply *reply = NULL;
    enum cli_exit result = cli_connect(&client);
    if (result != CLI_DONE) {
        return result;
    }
    result = cli_ask(client, request, &reply);
    if (result == CLI_DONE && reply->answer_case == CONTROL__REPLY__ANSWER_OUTCOME) {
        bool command = request->ask_case == CONTROL__REQUEST__ASK_COMMAND;
        result = print_outcome(options, command ? request->command->name : "", reply->outcome);
    } else if (result == CLI_DONE) {
        fputs("stead: the agent's reply makes no sense\n", stderr);
        result = CLI_FAILED;
    }
    control_free_reply(&reply);
    cli_disconnect(&client);
    return result;
}

enum cli_exit cli_send_value(const struct cli_options *options, Control__CommandKind kind,
                             const char *name, const char *value)
{
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__Command command = CONTROL__COMMAND__INIT;
    command.kind = kind;
    command.name = (char *)(uintptr_t)name;
    command.value = (char *)(uintptr_t)value;
    command.vouched = (options->given & OPTION_I_VOUCH) != 0;
    command.stop_timeout_ms = options->timeout_ms;
    command.keep_running = (options->given & OPTION_KEEP_RUNNING) != 0;
    command.no_define = (options->given & OPTION_NO_DEFINE) != 0;
    request.ask_case = CONTROL__REQUEST__ASK_COMMAND;
    request.command = &command;
    return cli_send_request(options, &request);
}

enum cli_exit cli_order(const struct cli_options *options, Control__CommandKind kind,
                        const char *name, enum cli_goal goal)
{
    enum cli_exit result = cli_send_value(options, kind, name, "");
    if (result == CLI_DONE && (options->given & OPTION_WATCH) != 0) {
        result = cli_follow(options, goal, name);
    }
    return result;
}

enum cli_exit cli_cluster_init(const struct cli_options *options, const char *name)
{
    return cli_send_value(options, CONTROL__COMMAND_KIND__COMMAND_CLUSTER_INIT, name, "");
}

enum cli_exit cli_cluster_join(const struct cli_options *options, const char *name)
{
    return cli_order(options, CONTROL__COMMAND_KIND__COMMAND_CLUSTER_JOIN, name, GOAL_NODE_ONLINE);
}

enum cli_exit cli_vm_remove(const struct cli_options *options, const char *name)
{
    return cli_order(options, CONTROL__COMMAND_KIND__COMMAND_VM_REMOVE, name, GOAL_VM_GONE);
}

enum cli_exit cli_vm_start(const struct cli_options *options, const char *name)
{
    return cli_order(options, CONTROL__COMMAND_KIND__COMMAND_VM_START, name, GOAL_VM_RUNNING);
}

enum cli_exit cli_vm_stop(const struct cli_options *options, const char *name)
{
    return cli_order(options, CONTROL__COMMAND_KIND__COMMAND_VM_STOP, name, GOAL_VM_STOPPED);
}

enum cli_exit cli_node_unfence(const struct cli_options *options, const char *name)
{
    return cli_order(options, CONTROL__COMMAND_KIND__COMMAND_NODE_UNFENCE, name, GOAL_NODE_ONLINE);
}

enum cli_exit cli_node_resume(const struct cli_options *options, const char *name)
{
    return cli_order(options, CONTROL__COMMAND_KIND__COMMAND_NODE_RESUME, name, GOAL_NODE_ONLINE);
}

enum cli_exit cli_let_confirm(const struct cli_options *options, const char *explanation,
                              const char *word)
{
    char line[NAME_BYTES + 2] = "";
    if ((options->given & OPTION_YES) != 0) {
        return CLI_DONE;
    }
    fprintf(stderr, "%s\n", explanation);
    if (!isatty(STDIN_FILENO)) {
        fputs("stead: nothing was done: this asks on a terminal; in a script add --yes\n", stderr);
        return CLI_USAGE;
    }
    fprintf(stderr, "Type '%s' to go on: ", word);
    if (fgets(line, sizeof(line), stdin) == NULL) {
        line[0] = '\0';
    }
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, word) != 0) {
        fprintf(stderr, "stead: that is not '%s'; nothing was done\n", word);
        return CLI_FAILED;
    }
    return CLI_DONE;
}

/* ---- vm add */

/* The whole file, NUL-terminated; NULL after a sentence on stderr. */
static char *read_xml(const char *path)
{
    bool from_stdin = strcmp(path, "-") == 0;
    FILE *file = from_stdin ? stdin : fopen(path, "re");
    char *text = file != NULL ? calloc(1, CONTROL_XML_MAX + 2) : NULL;
    if (text == NULL) {
        fprintf(stderr, "stead: %s: %s\n", path, strerror(errno));
        return NULL;
    }
    size_t size = fread(text, 1, CONTROL_XML_MAX + 1, file);
    const char *wrong = NULL;
    if (ferror(file) != 0) {
        wrong = "cannot be read";
    } else if (size > CONTROL_XML_MAX) {
        wrong = "is larger than 256 KiB";
    } else if (size == 0 || strlen(text) != size) {
        wrong = "is no text";
    }
    if (!from_stdin) {
        fclose(file);
    }
    if (wrong != NULL) {
        fprintf(stderr, "stead: %s %s\n", path, wrong);
        free(text);
        return NULL;
    }
    return text;
}

enum cli_exit cli_vm_add(const struct cli_options *options, const char *name)
{
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__VmAdd add = CONTROL__VM_ADD__INIT;
    bool adopt = (options->given & OPTION_ADOPT) != 0;
    if (adopt == (options->xml != NULL)) {
        fputs("stead: vm add wants either its definition, --xml FILE (libvirt's domain XML; - is "
              "stdin), or --adopt: the libvirt domain NAME of this node\n",
              stderr);
        return CLI_USAGE;
    }
    char *xml = adopt ? NULL : read_xml(options->xml);
    if (!adopt && xml == NULL) {
        return CLI_FAILED;
    }
    add.name = (char *)(uintptr_t)name;
    add.xml = adopt ? add.xml : xml;
    add.adopt = adopt;
    add.dry_run = (options->given & OPTION_DRY_RUN) != 0;
    add.accept = (char *)(uintptr_t)(options->accept != NULL ? options->accept : "");
    add.on = (char *)(uintptr_t)(options->on != NULL ? options->on : "");
    add.class_name = (char *)(uintptr_t)(options->class_name != NULL ? options->class_name : "");
    add.priority = options->priority;
    add.memory_mib = options->memory_mib;
    add.stopped = (options->given & OPTION_STOPPED) != 0;
    request.ask_case = CONTROL__REQUEST__ASK_VM_ADD;
    request.vm_add = &add;
    enum cli_exit result = cli_send_request(options, &request);
    free(xml);
    if (result == CLI_DONE && (options->given & OPTION_WATCH) != 0) {
        result = cli_follow(options, add.stopped ? GOAL_VM_STOPPED : GOAL_VM_RUNNING, name);
    }
    return result;
}
