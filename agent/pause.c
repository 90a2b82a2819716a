/*
 * HA paused.
 *
 * Decides: what is left undone meanwhile. Under both kinds nothing is fenced unasked, nothing is
 * taken over, and no VM is started that nobody asked for. `freeze` holds still: commands that would
 * set something in motion are refused, what ended is started again after the resume. `ignore` is as
 * if there were no HA: people's commands are carried out, and what ends by itself stays off.
 * A pause counts from its commit on, but is said to be done only once no fence is under way; those
 * go to their end, since half a fence helps nobody. A node that was back by itself before anybody
 * missed it is taken in as ever: only what its dead client could write is barred.
 * Assumes: called with or without a draft. Never: releases a VM; it only leaves things undone.
 */
#include "agent/pause.h"

#include "agent/draft.h"
#include "proto/assert.h"
#include "proto/settings.h"
#include "proto/values.h"

#define SETTING "ha"

bool pause_is_meant(const char *setting)
{
    return name_equal(setting, SETTING);
}

enum ha_mode pause_mode(const struct core *core)
{
    struct settings settings = draft_peek_settings(core);
    ASSERT(settings.ha <= HA_IGNORE);
    return (enum ha_mode)settings.ha;
}

const char *pause_refuses(const struct core *core, const struct request *request)
{
    bool moves = request->kind == REQUEST_VM_START || request->kind == REQUEST_VM_STOP ||
                 request->kind == REQUEST_NODE_FENCE || request->kind == REQUEST_NODE_REMOVE;
    ASSERT(request->kind < REQUEST_KIND_COUNT);
    if (!moves || pause_mode(core) != HA_FREEZE) {
        return NULL;
    }
    return "HA is frozen, nothing is set in motion: stead ha resume first, or stead ha pause "
           "ignore";
}

const char *pause_waits_for(const struct core *core)
{
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *node = draft_peek_node(core, slot);
        bool asked = node->state == NODE_ADMITTED && (node->fence_wanted || node->removing);
        if (node->state == NODE_LOST || asked) {
            return node->name;
        }
    }
    return NULL;
}

bool pause_lets_start(enum ha_mode mode, const struct vm_record *vm)
{
    ASSERT(vm->state != VM_FREE);
    return mode == HA_ON || (mode == HA_IGNORE && vm->state == VM_STOPPED);
}

const struct setting_record *pause_record(const struct core *core)
{
    const struct setting *setting = settings_find(SETTING);
    ASSERT(setting != NULL);
    return core->cluster.settings.ha == HA_ON ? NULL : &core->cluster.set[setting->slot];
}

bool pause_in_force(const struct core *core, const struct request *request)
{
    const struct setting *setting = settings_find(SETTING);
    uint32_t mode = core->cluster.settings.ha;
    ASSERT(setting != NULL);
    ASSERT(mode <= HA_IGNORE);
    return request->kind == REQUEST_CONFIG_SET && pause_is_meant(request->name) && mode != HA_ON &&
           name_equal(request->value, setting->words[mode]);
}

bool pause_waits(const struct core *core, const struct request *request)
{
    return pause_in_force(core, request) && pause_waits_for(core) != NULL;
}

bool pause_is_undone(const struct core *core, const struct request *request,
                     const struct history_entry *entry)
{
    ASSERT(core->cluster.settings.ha <= HA_IGNORE);
    ASSERT(origin_equal(&entry->request, &request->id));
    return request->kind == REQUEST_CONFIG_SET && pause_is_meant(request->name) &&
           entry->number != core->cluster.settings.ha;
}

bool pause_tell(const struct core *core, struct text *text)
{
    const struct setting_record *record = pause_record(core);
    if (record == NULL) {
        return false;
    }
    text_add(text, record->value == HA_FREEZE ? "HA is paused (freeze" : "HA is paused (ignore");
    text_add(text_add(text, record->by[0] != '\0' ? ", by " : ""), record->by);
    text_add(text, "): nothing is fenced or recovered; stead ha resume");
    const char *node = pause_waits_for(core);
    if (node != NULL) {
        text_add(text_add(text_add(text, "; the fence of "), node), " still goes on");
    }
    return true;
}
