/* What each command does: asks the agent, prints, and says with the exit status how it went. */
#ifndef STEAD_AGENT_CLI_COMMANDS_IO_H
#define STEAD_AGENT_CLI_COMMANDS_IO_H

#include "agent/cli/client_io.h"
#include "agent/cli/options_io.h"

/* `name`: the one operand, "" for the commands without. */
typedef enum cli_exit cli_command(const struct cli_options *options, const char *name);

/* One row of the table from which help, completion and stead(8) are made. */
struct command {
    const char *words;   /* one or two */
    const char *operand; /* VM, NODE or SETTING: completed with those there are; NAME: a new one;
                          * words with | between: one of them;
                          * with a blank in it, the command looks at them itself;
                          * NULL: it takes none */
    cli_command *run;
    uint32_t options;    /* those it takes, beside --help and, unless OPTION_PLAIN, --json */
    const char *help;    /* one line, at most 46 characters */
    const char *more;    /* what one should know before using it: sentences, any length */
    const char *example; /* a whole line */
};
const struct command *cli_commands(size_t *ret_count);

/* All it takes but --help. */
uint32_t cli_options_of(const struct command *command);

/* Its words as a prefix of the words given. Returns how many there are, 0 if it is not this one. */
size_t cli_command_matches(const struct command *command, const struct cli_options *options);

/* Prints help for what was given of a command: nothing, a group such as "vm", or a whole one. */
void cli_print_help(const struct cli_options *options);

/* "vm stop VM [--timeout=DURATION]", cut to `size`. */
void cli_usage_of(const struct command *command, char *ret_line, size_t size);

/* The words after `stead`, the last one unfinished: prints what may stand there, a line each. Never
 * complains; asks the agent for names, for one second at most. */
void cli_complete(int count, char **words);

/* What is asked. */
cli_command cli_status;
cli_command cli_vm_list;
cli_command cli_vm_show;
cli_command cli_node_list;
cli_command cli_node_show;
cli_command cli_history;
cli_command cli_config_list;
cli_command cli_config_get;
cli_command cli_config_timing;
cli_command cli_class_list;

/* What is done: 0 means committed. */
cli_command cli_cluster_init;
cli_command cli_cluster_join;
cli_command cli_vm_add;
cli_command cli_vm_remove;
cli_command cli_vm_start;
cli_command cli_vm_stop;
cli_command cli_node_fence;
cli_command cli_node_unfence;
cli_command cli_config_set;
cli_command cli_class_set;
cli_command cli_class_remove;
cli_command cli_vm_class;
cli_command cli_ha_pause;
cli_command cli_ha_resume;

/* Sends a command, prints how it went. */
enum cli_exit cli_send_request(const struct cli_options *options, Control__Request *request);
cli_command cli_node_remove;
cli_command cli_cluster_backup;
cli_command cli_cluster_restore;
cli_command cli_cluster_force;

/* All settings and classes, or the one setting; a sentence on stderr if not. The caller frees. */
enum cli_exit cli_ask_config(const char *name, Control__Reply **ret_reply);

/* All settings and classes, by one of the two as the options say. */
enum cli_exit cli_show_config(const struct cli_options *options,
                              void (*json)(const Control__Config *config),
                              void (*print)(const Control__Config *config));

/* Sends a command, with a value beside the name where it takes one, and prints how it went. */
enum cli_exit cli_send_value(const struct cli_options *options, Control__CommandKind kind,
                             const char *name, const char *value);

/* Lets a person type `word` to go on, after `explanation`; --yes goes on without, a script without
 * --yes is refused. CLI_DONE: go on. */
enum cli_exit cli_let_confirm(const struct cli_options *options, const char *explanation,
                              const char *word);
cli_command cli_node_resume;

#endif
