/*
 * The change being put together.
 *
 * Decides nothing by itself; keeps the books: one record per key, one history entry per decision,
 * the header's version, digest and commit id. Assumes that the caller asked draft_room() first.
 * Never: touches the copy of the state, or goes out while another commit's fate is open.
 */
#include "agent/draft.h"

#include <string.h>

#include "agent/ledger.h"
#include "agent/trace.h"
#include "proto/assert.h"
#include "proto/settings.h"
#include "proto/values.h"
#include "storage/state.h"

void draft_begin(struct core *core)
{
    struct draft *draft = &core->local.draft;
    ASSERT(core->local.commit.state == COMMIT_IDLE);
    draft->open = true;
    draft->delta.header = core->cluster.header;
    draft->delta.base_term = core->cluster.header.term;
    draft->delta.count = 0;
    draft->ledger_count = 0;
}

uint32_t draft_room(const struct core *core)
{
    const struct draft *draft = &core->local.draft;
    return draft->open ? DELTA_RECORDS_MAX - draft->delta.count - draft->ledger_count : 0;
}

static struct record *find(const struct core *core, enum record_kind kind, uint32_t slot)
{
    const struct delta *delta = &core->local.draft.delta;
    ASSERT(delta->count <= DELTA_RECORDS_MAX);
    for (uint32_t i = 0; core->local.draft.open && i < delta->count; i++) {
        if (delta->records[i].kind == kind && delta->records[i].slot == slot) {
            return (struct record *)&delta->records[i];
        }
    }
    return NULL;
}

static struct record *add(struct core *core, enum record_kind kind, uint32_t slot)
{
    struct delta *delta = &core->local.draft.delta;
    ASSERT(core->local.draft.open);
    ASSERT(delta->count < DELTA_RECORDS_MAX);
    struct record *record = &delta->records[delta->count++];
    memset(record, 0, sizeof(*record));
    record->kind = kind;
    record->slot = slot;
    return record;
}

struct node_record *draft_node(struct core *core, uint32_t slot)
{
    ASSERT(slot < NODES_MAX);
    struct record *record = find(core, RECORD_NODE, slot);
    if (record == NULL) {
        record = add(core, RECORD_NODE, slot);
        record->node = core->cluster.nodes[slot];
    }
    return &record->node;
}

struct vm_record *draft_vm(struct core *core, uint32_t slot)
{
    ASSERT(slot < VMS_MAX);
    struct record *record = find(core, RECORD_VM, slot);
    if (record == NULL) {
        record = add(core, RECORD_VM, slot);
        record->vm = core->cluster.vms[slot];
    }
    return &record->vm;
}

void draft_remove_vm(struct core *core, uint32_t slot)
{
    struct vm_record *vm = draft_vm(core, slot);
    ASSERT(vm->state == VM_STOPPED || vm->state == VM_RUNNING); /* this: given back */
    find(core, RECORD_VM, slot)->removed = true;
}

void draft_setting(struct core *core, uint32_t slot, const struct setting_record *setting)
{
    ASSERT(slot < SETTING_SLOTS);
    ASSERT(setting->set_ms > 0);
    struct record *record = find(core, RECORD_SETTING, slot);
    if (record == NULL) {
        record = add(core, RECORD_SETTING, slot);
    }
    record->setting = *setting;
    record->removed = false;
}

void draft_remove_setting(struct core *core, uint32_t slot)
{
    ASSERT(slot >= SETTINGS_MAX); /* a class; a setting is put back to its default */
    struct record *record = find(core, RECORD_SETTING, slot);
    if (record == NULL) {
        record = add(core, RECORD_SETTING, slot);
    }
    memset(&record->setting, 0, sizeof(record->setting));
    record->removed = true;
}

const struct setting_record *draft_peek_setting(const struct core *core, uint32_t slot)
{
    ASSERT(slot < SETTING_SLOTS);
    const struct record *record = find(core, RECORD_SETTING, slot);
    return record != NULL ? &record->setting : &core->cluster.set[slot];
}

static bool changes_settings(const struct core *core)
{
    const struct delta *delta = &core->local.draft.delta;
    for (uint32_t i = 0; core->local.draft.open && i < delta->count; i++) {
        if (delta->records[i].kind == RECORD_SETTING) {
            return true;
        }
    }
    return false;
}

/* Asked at each step of whoever acts: as nearly always, those in force are meant. */
struct settings draft_peek_settings(const struct core *core)
{
    struct setting_record set[SETTINGS_MAX];
    if (!changes_settings(core)) {
        return core->cluster.settings;
    }
    for (uint32_t slot = 0; slot < SETTINGS_MAX; slot++) {
        set[slot] = *draft_peek_setting(core, slot);
    }
    return settings_in_force(set);
}

void draft_again(struct core *core, enum record_kind kind, uint32_t slot)
{
    ASSERT(kind < RECORD_KIND_COUNT);
    if (find(core, kind, slot) == NULL) {
        *add(core, kind, slot) = state_record(&core->cluster, kind, slot);
    }
}

const struct node_record *draft_peek_node(const struct core *core, uint32_t slot)
{
    ASSERT(slot < NODES_MAX);
    const struct record *record = find(core, RECORD_NODE, slot);
    return record != NULL ? &record->node : &core->cluster.nodes[slot];
}

const struct vm_record *draft_peek_vm(const struct core *core, uint32_t slot)
{
    ASSERT(slot < VMS_MAX);
    const struct record *record = find(core, RECORD_VM, slot);
    return record != NULL ? &record->vm : &core->cluster.vms[slot];
}

uint32_t draft_vm_end(const struct core *core)
{
    const struct delta *delta = &core->local.draft.delta;
    uint32_t end = core->cluster.vm_end;
    for (uint32_t i = 0; core->local.draft.open && i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        if (record->kind == RECORD_VM && record->slot >= end) {
            end = record->slot + 1;
        }
    }
    ASSERT(end <= VMS_MAX);
    return end;
}

bool draft_has_vm_name(const struct core *core, const char *name)
{
    const struct delta *delta = &core->local.draft.delta;
    for (uint32_t i = 0; core->local.draft.open && i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        if (record->kind == RECORD_VM && !record->removed && name_equal(record->vm.name, name)) {
            return true;
        }
    }
    return state_find_vm(&core->cluster, name) != VMS_MAX;
}

bool draft_has_vm_uuid(const struct core *core, const struct uuid *uuid)
{
    const struct delta *delta = &core->local.draft.delta;
    for (uint32_t i = 0; core->local.draft.open && i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        if (record->kind == RECORD_VM && !record->removed && uuid_equal(&record->vm.uuid, uuid)) {
            return true;
        }
    }
    return state_find_vm_uuid(&core->cluster, uuid) != VMS_MAX;
}

struct history_entry *draft_history(struct core *core, enum history_kind kind, uint32_t nodeid,
                                    const struct vm_record *vm, const char *cause)
{
    struct header *header = &core->local.draft.delta.header;
    ASSERT(kind != HISTORY_NONE);
    if (header->next_history == 0) {
        header->next_history = 1;
    }
    uint64_t sequence = header->next_history++;
    struct record *record = add(core, RECORD_HISTORY, (uint32_t)(sequence % HISTORY_MAX));
    struct history_entry *entry = &record->history;
    entry->sequence = sequence;
    entry->wall_ms = core->local.wall_ms;
    entry->boot_ms = core->local.now_ms;
    entry->term = header->term;
    entry->kind = kind;
    entry->nodeid = nodeid;
    if (vm != NULL) {
        memcpy(entry->vm, vm->name, NAME_BYTES);
        entry->action = vm->action;
    }
    name_set(entry->cause, TEXT_BYTES, cause);
    core->local.draft.ledger_count += ledger_keeps(core, kind, nodeid);
    return entry;
}

struct action_id draft_action(struct core *core)
{
    ASSERT(core->local.draft.open);
    return (struct action_id){core->local.draft.delta.header.term, ++core->local.next_counter};
}

/* Once more, in the ledger, what belongs there; it is whole only now. */
static void draft_ledger(struct core *core)
{
    struct draft *draft = &core->local.draft;
    bool taken[LEDGER_MAX] = {false};
    for (uint32_t i = 0; i < draft->delta.count && draft->ledger_count > 0; i++) {
        const struct record *record = &draft->delta.records[i];
        if (record->kind == RECORD_HISTORY && record->slot < HISTORY_MAX && !record->removed &&
            ledger_keeps(core, record->history.kind, record->history.nodeid)) {
            uint32_t slot = ledger_slot(&core->cluster, taken);
            add(core, RECORD_HISTORY, slot)->history = record->history;
            taken[slot - HISTORY_MAX] = true;
            draft->ledger_count--;
        }
    }
    ASSERT(draft->ledger_count == 0);
}

static struct text commit_head(const struct header *header)
{
    struct text text = {0};
    text_add_u64(text_add(&text, "commit version "), header->version);
    text_add_u64(text_add(&text, " term "), header->term);
    return text;
}

/* In as many lines as it takes: none of the causes is left out. */
static void trace_commit(const struct core *core, struct caller *caller)
{
    const struct delta *delta = &core->local.commit.delta;
    const struct text head = commit_head(&delta->header);
    struct text text = head;
    for (uint32_t i = 0; i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        if (record->kind == RECORD_HISTORY && record->slot < HISTORY_MAX) {
            struct text part = {0};
            text_add(text_add(&part, "; "), record->history.vm);
            text_add(text_add(&part, record->history.vm[0] ? ": " : ""), record->history.cause);
            if (text.length + part.length >= TEXT_BYTES && text.length > head.length) {
                trace(caller, &text);
                text = head;
            }
            text_add(&text, part.bytes);
        }
    }
    trace(caller, &text);
}

void draft_send(struct core *core, struct caller *caller, bool create)
{
    struct draft *draft = &core->local.draft;
    struct commit *commit = &core->local.commit;
    ASSERT(draft->open);
    ASSERT(commit->state == COMMIT_IDLE);
    draft_ledger(core);
    draft->open = false;
    const struct header *copy = &core->cluster.header;
    bool same = draft->delta.count == 0 && draft->delta.header.term == copy->term &&
                draft->delta.header.members == copy->members;
    if (same) {
        return;
    }
    struct header *header = &draft->delta.header;
    header->version = copy->version + 1;
    header->digest = state_digest_after(&core->cluster, &draft->delta);
    header->commit = (struct origin){core->local.facts.nodeid, core->local.facts.agent_start,
                                     ++core->local.next_counter};
    commit->delta = draft->delta;
    commit->create = create;
    commit_begin(commit, caller, core->cluster.settings.call_ms);
    trace_commit(core, caller);
}
