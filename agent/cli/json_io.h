/*
 * `--json`: one object on stdout, for scripts. These keys are kept; new ones may come. Times are
 * ms, sizes MiB; what does not apply is null.
 *
 *   status      {version: 1, node, situation, quorate, fresh, acting, copy_age_ms,
 * commands_waiting, cluster: {id, epoch, term, actor, state_version} | null, vm_count, nodes, vms}
 *   node list   {version: 1, nodes: [NODE…]}      node show  {version: 1, node: NODE}
 *   vm list     {version: 1, vms: [VM…]}          vm show    {version: 1, vm: VM}
 *   history     {version: 1, history: [DECISION…]}, oldest first
 *   commands    {version: 1, outcome: "done" | "refused" | "unknown", text, committed}
 *   NODE        {name, nodeid, state, in_ring, agent_alive, incarnation: "EPOCH.NUMBER" | null,
 *                machine, boot, client, bmc: {address, verified} | null, memory_mib,
 *                memory_used_mib, vm_count, proofs: ["storage"…]}
 *   VM          {name, uuid, want, state, node, memory_mib, priority, generation,
 *                definition_version, attempts, stop_timeout_ms, reason}
 *   DECISION    {sequence, time (ISO 8601, UTC), wall_ms, boot_ms, term, kind, node, vm, number,
 *                action: {term, counter} | null, cause}
 */
#ifndef STEAD_AGENT_CLI_JSON_IO_H
#define STEAD_AGENT_CLI_JSON_IO_H

#include "agent/cli/client_io.h"

enum json_part { JSON_ALL, JSON_NODES, JSON_VMS };

/* Each prints one object. */
void cli_json_status(const struct cli_status *status, enum json_part part);
void cli_json_node(const Control__Node *node);
void cli_json_vm(const Control__Vm *vm);
void cli_json_history(const Control__Decision *const *decisions, size_t count);
void cli_json_outcome(const Control__Outcome *outcome);

/* "2026-01-31T12:00:00.000Z", or with a space and without the Z for people, in local time. */
#define CLI_TIME_BYTES 32
void cli_format_time(uint64_t wall_ms, bool for_people, char ret_text[CLI_TIME_BYTES]);

#endif
