/* `stead`: the operator's command. Finds what was meant in one table and runs it. */
#include <stdio.h>
#include <string.h>

#include "agent/cli/commands_io.h"
#include "agent/nearest.h"
#include "agent/version.h"

struct command {
    const char *words;   /* one or two */
    const char *operand; /* NULL: none */
    cli_command *run;
    uint32_t options; /* those it takes, beside --json */
    const char *usage;
    const char *help;
};

static const struct command commands[] = {
    {"status", NULL, cli_status, 0, "", "the cluster, its nodes and VMs"},
    {"history", NULL, cli_history, OPTION_VM | OPTION_NODE | OPTION_LAST,
     " [--vm V] [--node N] [--last N]", "what was decided, and why"},
    {"cluster init", NULL, cli_cluster_init, 0, "", "make a new cluster, this node its first"},
    {"cluster join", NULL, cli_cluster_join, 0, "", "let this node take part"},
    {"vm add", "NAME", cli_vm_add,
     OPTION_XML | OPTION_ON | OPTION_PRIORITY | OPTION_MEMORY | OPTION_STOPPED,
     " --xml FILE|- [...]", "register a VM from its domain XML"},
    {"vm remove", "NAME", cli_vm_remove, 0, "", "forget a stopped VM; its disks stay"},
    {"vm start", "NAME", cli_vm_start, 0, "", "want it running, wherever there is room"},
    {"vm stop", "NAME", cli_vm_stop, OPTION_TIMEOUT, " [--timeout 60s]",
     "shut it down, then pull the plug"},
    {"vm list", NULL, cli_vm_list, 0, "", "all VMs"},
    {"vm show", "NAME", cli_vm_show, 0, "", "one VM"},
    {"node list", NULL, cli_node_list, 0, "", "all nodes"},
    {"node show", "NAME", cli_node_show, 0, "", "one node"},
    {"node fence", "NAME", cli_node_fence, OPTION_I_VOUCH | OPTION_YES, " [--i-vouch [--yes]]",
     "prove it harmless now, VMs restart"},
    {"node unfence", "NAME", cli_node_unfence, 0, "", "let a fenced node return"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static enum cli_exit help(void)
{
    puts("usage: stead COMMAND [OPTION...]    on any node with stead-agent\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        char left[128];
        snprintf(left, sizeof(left), "%s%s%s%s", commands[i].words,
                 commands[i].operand != NULL ? " " : "",
                 commands[i].operand != NULL ? commands[i].operand : "", commands[i].usage);
        printf("  %-42s %s\n", left, commands[i].help);
    }
    puts("\nvm add also takes --on NODE (first place), --priority N, --memory SIZE, --stopped.\n"
         "Each takes --json. SIZE: 512M, 4G. Durations: 60s, 2m.\n"
         "Exit status: 0 done (committed), 1 refused or failed, 2 wrong usage, 3 no agent here.");
    return CLI_DONE;
}

/* Its words as a prefix of the words given. Returns how many there are, 0 if it is not this one. */
static size_t matches(const struct command *command, const struct cli_options *options)
{
    const char *space = strchr(command->words, ' ');
    size_t first = space != NULL ? (size_t)(space - command->words) : strlen(command->words);
    if (options->word_count == 0 || strlen(options->words[0]) != first ||
        strncmp(options->words[0], command->words, first) != 0) {
        return 0;
    }
    if (space == NULL) {
        return 1;
    }
    return options->word_count > 1 && strcmp(options->words[1], space + 1) == 0 ? 2 : 0;
}

/* "stead vn lst": the nearest whole command; "stead vm": what there is of it. */
static enum cli_exit unknown_command(const struct cli_options *options)
{
    char typed[128];
    const char *names[COMMANDS];
    bool group = false;
    snprintf(typed, sizeof(typed), "%.40s%s%.40s", options->words[0],
             options->word_count > 1 ? " " : "", options->word_count > 1 ? options->words[1] : "");
    for (size_t i = 0; i < COMMANDS; i++) {
        size_t length = strlen(options->words[0]);
        names[i] = commands[i].words;
        group =
            group || (strncmp(names[i], options->words[0], length) == 0 && names[i][length] == ' ');
    }
    if (group && options->word_count == 1) {
        fprintf(stderr, "stead: `%s` wants one more word:", typed);
        for (size_t i = 0; i < COMMANDS; i++) {
            size_t length = strlen(options->words[0]);
            if (strncmp(names[i], options->words[0], length) == 0 && names[i][length] == ' ') {
                fprintf(stderr, " %s", names[i] + length + 1);
            }
        }
        fputc('\n', stderr);
        return CLI_USAGE;
    }
    const char *near = nearest_word(typed, names, COMMANDS);
    fprintf(stderr, "stead: there is no `%s`%s%s%s\n", typed,
            near != NULL ? "; did you mean `stead " : ": see `stead --help`",
            near != NULL ? near : "", near != NULL ? "`?" : "");
    return CLI_USAGE;
}

static enum cli_exit run(const struct command *command, size_t words,
                         const struct cli_options *options)
{
    size_t operands = options->word_count - words;
    const char *name = operands > 0 ? options->words[words] : "";
    if (cli_complain_of_options(options->given, command->options | OPTION_JSON, command->words)) {
        return CLI_USAGE;
    }
    if (command->operand != NULL && operands == 0) {
        fprintf(stderr, "stead: `stead %s` wants a name\n", command->words);
        return CLI_USAGE;
    }
    if (operands > (command->operand != NULL ? 1u : 0u)) {
        fprintf(stderr, "stead: `stead %s` does not take '%s'\n", command->words,
                options->words[options->word_count - 1]);
        return CLI_USAGE;
    }
    if (command->operand != NULL && !control_is_name(name)) {
        fprintf(stderr, "stead: '%s' is no name: letters, digits and ._-, at most 63\n", name);
        return CLI_USAGE;
    }
    return command->run(options, name);
}

int main(int argc, char **argv)
{
    struct cli_options options;
    if (cli_parse_options(argc, argv, &options) < 0) {
        return CLI_USAGE;
    }
    if ((options.given & OPTION_VERSION) != 0) {
        puts("stead " STEAD_VERSION);
        return CLI_DONE;
    }
    if ((options.given & OPTION_HELP) != 0) {
        return (int)help();
    }
    if (options.word_count == 0) {
        fputs("stead: what is to be done? See `stead --help`\n", stderr);
        return CLI_USAGE;
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        size_t words = matches(&commands[i], &options);
        if (words > 0) {
            return (int)run(&commands[i], words, &options);
        }
    }
    return (int)unknown_command(&options);
}
