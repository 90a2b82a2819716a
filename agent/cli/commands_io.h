/* What each command does: asks the agent, prints, and says with the exit status how it went. */
#ifndef STEAD_AGENT_CLI_COMMANDS_IO_H
#define STEAD_AGENT_CLI_COMMANDS_IO_H

#include "agent/cli/client_io.h"
#include "agent/cli/options_io.h"

/* `name`: the one operand, "" for the commands without. */
typedef enum cli_exit cli_command(const struct cli_options *options, const char *name);

/* What is asked. */
cli_command cli_status;
cli_command cli_vm_list;
cli_command cli_vm_show;
cli_command cli_node_list;
cli_command cli_node_show;
cli_command cli_history;

/* What is done: 0 means committed. */
cli_command cli_cluster_init;
cli_command cli_cluster_join;
cli_command cli_vm_add;
cli_command cli_vm_remove;
cli_command cli_vm_start;
cli_command cli_vm_stop;
cli_command cli_node_fence;
cli_command cli_node_unfence;

#endif
