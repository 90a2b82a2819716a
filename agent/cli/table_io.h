/* Tables for people, as lsblk draws them. */
#ifndef STEAD_AGENT_CLI_TABLE_IO_H
#define STEAD_AGENT_CLI_TABLE_IO_H

#include "agent/cli/client_io.h"

void cli_print_header(const Control__Status *status);
/* One line each; with the remedy under it, unless `bare`. */
void cli_print_alarms(const Control__Status *status, bool bare);
/* `all`: removed ones too. */
void cli_print_nodes(const Control__Status *status, bool all);
void cli_print_vms(const struct cli_status *status);
/* `fences`: what the ledger has of it, the oldest first. */
void cli_print_node(const Control__Node *node, const Control__Decision *const *fences,
                    size_t count);
void cli_print_vm(const Control__Vm *vm);
void cli_print_settings(const Control__Config *config);
void cli_print_classes(const Control__Config *config);
void cli_print_timing(const Control__Status *status);
void cli_print_decision(const Control__Decision *decision); /* one line */
/* What the agent tells beside; NULL: nothing. */
void cli_print_vm_detail(const Control__Outcome *detail);
void cli_print_history(const Control__Decision *const *decisions, size_t count);

#endif
