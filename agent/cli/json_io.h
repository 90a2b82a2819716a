/* `--json`: one object on stdout, for scripts. docs/json.md describes every key; a test compares.
 */
#ifndef STEAD_AGENT_CLI_JSON_IO_H
#define STEAD_AGENT_CLI_JSON_IO_H

#include "agent/cli/client_io.h"

enum json_part { JSON_ALL, JSON_NODES, JSON_VMS };

/* Each prints one object. `all`: removed nodes too. */
void cli_json_status(const struct cli_status *status, enum json_part part, bool all);
void cli_json_alarms(const Control__Status *status);
void cli_json_node(const Control__Node *node, const Control__Decision *const *fences, size_t count);
void cli_json_vm(const Control__Vm *vm, const Control__Outcome *detail); /* NULL: not told */
void cli_json_decision(const Control__Decision *decision);               /* on one line */
void cli_json_history(const Control__Decision *const *decisions, size_t count);
void cli_json_settings(const Control__Config *config);
void cli_json_classes(const Control__Config *config);
void cli_json_outcome(const Control__Outcome *outcome);

/* "2026-01-31T12:00:00.000Z", or with a space and without the Z for people, in local time. */
#define CLI_TIME_BYTES 32
void cli_format_time(uint64_t wall_ms, bool for_people, char ret_text[CLI_TIME_BYTES]);

#endif
