/*
 * Commands about classes of VMs.
 *
 * Decides: whether a class may be made, changed or taken away, and a VM be of it, now. Whether a
 * guest accepts `watchdog` must be read by its host and by the acting node alike, also where the
 * host is cut off: so that changes only while nothing of it is anywhere. What else a policy asks
 * for may change at any time: only the acting node goes by it. Assumes: called on the acting node
 * with a draft open. Never: leaves a VM in a class that is not there.
 */
#include "agent/request_validate.h"

#include <string.h>

#include "agent/classes.h"
#include "agent/draft.h"
#include "agent/watchdog.h"
#include "fencing/proof.h"
#include "proto/assert.h"
#include "proto/settings.h"
#include "proto/values.h"
#include "storage/state.h"

#define NAMED_MAX 3 /* VMs that a refusal names */

const char *request_class_early(const struct core *core, const struct request *request)
{
    bool about = request->kind == REQUEST_CLASS_SET || request->kind == REQUEST_CLASS_REMOVE ||
                 request->kind == REQUEST_VM_CLASS ||
                 (request->kind == REQUEST_VM_ADD && request->value[0] != '\0');
    const struct header *copy = &core->cluster.header;
    return about && copy->version != 0 && copy->feature_level < LEVEL_CLASSES
               ? "older agents know no classes: upgrade them first (stead history: feature-level)"
               : NULL;
}

/* The VMs of this class (0: of none), or those of them that are not stopped; adds some by name. */
static uint32_t count_vms(const struct core *core, uint32_t class, bool stopped_too,
                          struct text *names)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < VMS_MAX; slot++) {
        const struct vm_record *vm = draft_peek_vm(core, slot);
        if (vm->state == VM_FREE || vm->class_slot != class ||
            (vm->state == VM_STOPPED && !stopped_too)) {
            continue;
        }
        if (count < NAMED_MAX) {
            text_add(text_add(names, count == 0 ? "" : ", "), vm->name);
        }
        count++;
    }
    if (count > NAMED_MAX) {
        text_add(text_add_u64(text_add(names, " and "), count - NAMED_MAX), " more");
    }
    return count;
}

/* Its VMs are about to accept watchdogs, or not to any more. */
static const char *runs_refuse(const struct core *core, uint32_t class, uint32_t before,
                               uint32_t after, struct text *ret_why)
{
    if (proof_rests_on_time(proof_known(before)) == proof_rests_on_time(proof_known(after))) {
        return NULL;
    }
    struct text names = {0};
    if (count_vms(core, class, false, &names) == 0) {
        return NULL;
    }
    *ret_why = (struct text){0};
    text_add(
        text_add(ret_why, "watchdog comes or goes only for VMs that are stopped: stead vm stop "),
        names.bytes);
    return ret_why->bytes;
}

/* A host is counted on by what it read: is there one that, cut off, would let a guest of no class
 * stand still, while we took that for dead by now? */
static const char *counted_refuses(const struct core *core, struct text *ret_why)
{
    ASSERT(core->local.draft.open);
    const uint32_t end = draft_vm_end(core);
    ASSERT(end <= VMS_MAX);
    for (uint32_t slot = 0; slot < end; slot++) {
        const struct vm_record *vm = draft_peek_vm(core, slot);
        bool concerned = vm->state != VM_FREE && vm->state != VM_STOPPED && vm->class_slot == 0;
        if (!concerned || vm->node >= NODES_MAX) {
            continue;
        }
        const struct node_record *node = draft_peek_node(core, vm->node);
        if (node->watchdog && incarnation_equal(node->incarnation, vm->incarnation)) {
            *ret_why = (struct text){0};
            text_add(text_add(ret_why, "the watchdog of "), node->name);
            text_add(text_add(ret_why, " is counted on by what it read before, and "), vm->name);
            text_add(ret_why, " is on it: again once it is not, or stead node show says it is off");
            return ret_why->bytes;
        }
    }
    return NULL;
}

const char *request_class_proof(const struct core *core, const struct settings *next,
                                struct text *ret_why)
{
    bool classes = false;
    for (uint32_t slot = SETTINGS_MAX; slot < SETTING_SLOTS; slot++) {
        uint32_t words = draft_peek_setting(core, slot)->value;
        classes = classes || proof_rests_on_time(proof_known(words));
    }
    ASSERT(next->proof == proof_known(next->proof));
    uint32_t before = draft_peek_settings(core).proof;
    if (classes) {
        return runs_refuse(core, 0, before, next->proof, ret_why);
    }
    /* All or nothing: a watchdog is counted on once its host has read of it. */
    bool comes = !proof_rests_on_time(before) && proof_rests_on_time(next->proof);
    return comes ? counted_refuses(core, ret_why) : NULL;
}

static uint32_t free_slot(const struct core *core)
{
    uint32_t slot = SETTINGS_MAX;
    while (slot < SETTING_SLOTS && draft_peek_setting(core, slot)->set_ms != 0) {
        slot++;
    }
    return slot;
}

static const char *name_refuses(const char *name)
{
    if (name[0] == '\0' || name_equal(name, "none")) {
        return "a class needs a name, and 'none' says that a VM has no class";
    }
    return NULL;
}

const char *request_class_set(struct core *core, const struct request *request,
                              struct text *ret_why)
{
    struct setting_record record = {.set_ms = core->local.wall_ms, .given = true};
    struct settings settings = draft_peek_settings(core);
    const char *refused = request_class_early(core, request);
    refused = refused != NULL ? refused : name_refuses(request->name);
    if (refused != NULL) {
        return refused;
    }
    if (!setting_parse(settings_find("proof"), request->value, &record.value, ret_why)) {
        return ret_why->bytes;
    }
    uint32_t slot = classes_find(core, request->name);
    uint32_t before = slot != 0 ? draft_peek_setting(core, slot)->value : 0;
    refused = slot != 0 ? runs_refuse(core, slot, before, record.value, ret_why) : NULL;
    if (refused != NULL) {
        return refused;
    }
    settings.proof |= record.value;
    if (!watchdog_agrees(core, &settings, ret_why)) {
        return ret_why->bytes;
    }
    uint32_t at = slot != 0 ? slot : free_slot(core);
    if (at == SETTING_SLOTS) {
        return "there are 16 classes already; stead class remove one";
    }
    record.set_ms = record.set_ms != 0 ? record.set_ms : 1; /* 0 would mean "never set" */
    name_set(record.by, sizeof(record.by), request->by);
    memcpy(record.name, request->name, NAME_BYTES);
    draft_setting(core, at, &record);
    struct text cause = {0};
    setting_add_value(text_add(&cause, "class, proof "), settings_find("proof"), before);
    text_add(&cause, slot != 0 ? " -> " : "");
    setting_add_value(&cause, settings_find("proof"), record.value);
    request_entry(core, request, HISTORY_SETTING, 0, NULL, cause.bytes)->number = record.value;
    return NULL;
}

const char *request_class_find(const struct core *core, const char *name, uint32_t *ret_slot,
                               struct text *ret_why)
{
    bool any = false;
    *ret_slot = name[0] != '\0' ? classes_find(core, name) : 0;
    if (name[0] == '\0' || *ret_slot != 0) {
        return NULL;
    }
    *ret_why = (struct text){0};
    text_add(text_add(text_add(ret_why, "there is no class '"), name), "'");
    for (uint32_t slot = SETTINGS_MAX; slot < SETTING_SLOTS; slot++) {
        const struct setting_record *class = draft_peek_setting(core, slot);
        if (class->set_ms != 0) {
            text_add(text_add(ret_why, any ? ", " : ": there are "), class->name);
            any = true;
        }
    }
    text_add(ret_why, any ? "" : "; stead class set makes one");
    return ret_why->bytes;
}

const char *request_class_remove(struct core *core, const struct request *request,
                                 struct text *ret_why)
{
    uint32_t slot;
    struct text names = {0};
    const char *refused = name_refuses(request->name);
    refused = refused != NULL ? refused : request_class_find(core, request->name, &slot, ret_why);
    if (refused != NULL) {
        return refused;
    }
    ASSERT(slot >= SETTINGS_MAX);
    if (count_vms(core, slot, true, &names) > 0) {
        *ret_why = (struct text){0};
        text_add(text_add(ret_why, "VMs are of it: stead vm class them otherwise first: "),
                 names.bytes);
        return ret_why->bytes;
    }
    draft_remove_setting(core, slot);
    request_entry(core, request, HISTORY_SETTING, 0, NULL, "class removed");
    return NULL;
}

/* As it will be by this draft. */
static uint32_t policy_of(const struct core *core, uint32_t class)
{
    return class == 0 ? draft_peek_settings(core).proof : draft_peek_setting(core, class)->value;
}

const char *request_vm_class(struct core *core, const struct request *request, struct text *ret_why)
{
    uint32_t at = state_find_vm(&core->cluster, request->name);
    uint32_t class;
    const char *refused = request_class_early(core, request);
    if (refused == NULL && (at == VMS_MAX || draft_peek_vm(core, at)->removing)) {
        refused = "no such VM; see stead vm list";
    }
    refused = refused != NULL ? refused : request_class_find(core, request->value, &class, ret_why);
    if (refused != NULL) {
        return refused;
    }
    const struct vm_record *vm = draft_peek_vm(core, at);
    bool before = proof_rests_on_time(proof_known(policy_of(core, vm->class_slot)));
    bool after = proof_rests_on_time(proof_known(policy_of(core, class)));
    if (before != after && vm->state != VM_STOPPED) {
        *ret_why = (struct text){0};
        text_add(text_add(ret_why, "one of the two accepts watchdog: stead vm stop "), vm->name);
        text_add(ret_why, " first, it changes only while it is stopped");
        return ret_why->bytes;
    }
    struct vm_record *next = draft_vm(core, at);
    next->class_slot = class;
    if (next->state == VM_RECOVERING) { /* what it waits for may be another proof now */
        memset(next->reason, 0, TEXT_BYTES);
    }
    struct text cause = {0};
    text_add(text_add(&cause, class != 0 ? "is of class " : "is of no class: the cluster's proof"),
             class != 0 ? request->value : "");
    request_entry(core, request, HISTORY_REQUEST, 0, next, cause.bytes);
    return NULL;
}
