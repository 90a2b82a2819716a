/*
 * The change being put together in one step by the acting node: a delta on top of the copy. What is
 * drafted is seen through draft_peek_*; nothing of it is acted on before it is committed. Pure.
 */
#ifndef STEAD_AGENT_DRAFT_H
#define STEAD_AGENT_DRAFT_H

#include "agent/core.h"

/* Starts an empty draft. Only while no commit is under way. */
void draft_begin(struct core *core);

/* How many more records it takes. */
uint32_t draft_room(const struct core *core);

/* The drafted record, copied from the copy of the state at first touch. Needs room. */
struct node_record *draft_node(struct core *core, uint32_t slot);
struct vm_record *draft_vm(struct core *core, uint32_t slot);
void draft_remove_vm(struct core *core, uint32_t slot);
void draft_setting(struct core *core, uint32_t slot, const struct setting_record *setting);
void draft_remove_setting(struct core *core, uint32_t slot);

/* The record as the copy has it (none: taken away), to be written anew. Needs room. */
void draft_again(struct core *core, enum record_kind kind, uint32_t slot);

/* The record as it will be. */
const struct node_record *draft_peek_node(const struct core *core, uint32_t slot);
const struct vm_record *draft_peek_vm(const struct core *core, uint32_t slot);
/* One past the last VM there will be: one that is added by this draft counts, too. */
uint32_t draft_vm_end(const struct core *core);
const struct setting_record *draft_peek_setting(const struct core *core, uint32_t slot);
struct settings draft_peek_settings(const struct core *core);

/* Is a VM of this name, or this UUID, in the state as it will be? */
bool draft_has_vm_name(const struct core *core, const char *name);
bool draft_has_vm_uuid(const struct core *core, const struct uuid *uuid);

/* Adds an entry to the history; `vm` NULL and `nodeid` 0 for none. Needs room. */
struct history_entry *draft_history(struct core *core, enum history_kind kind, uint32_t nodeid,
                                    const struct vm_record *vm, const char *cause);

/* A new action id in the drafted term. */
struct action_id draft_action(struct core *core);

/* Commits what was drafted, if anything was; with `create`, as the state object's first version. */
void draft_send(struct core *core, struct caller *caller, bool create);

#endif
