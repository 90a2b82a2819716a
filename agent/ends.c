/*
 * A guest's own ends.
 *
 * Decides: whether a VM that ended without stead's doing stays stopped (its want becomes stopped in
 * the same commit, so that it does not come back at the next failover either) or is started again:
 * on the node it was on first, since its image is in the caches there, elsewhere once a start there
 * failed, and each time in a row later than the last. Assumes: the node that tells has freed the
 * lease behind the dead process's blocklisting already (run_end.c), so either choice is safe for
 * the disk. Never: takes an end of which stead was the cause for the guest's own.
 */
#include "agent/ends.h"

#include <string.h>

#include "agent/draft.h"
#include "agent/pause.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/text.h"
#include "proto/values.h"

#define ASKED_MS 30000 /* a command waits that long for its commit */

enum guest_rule ends_rule(const struct settings *settings, enum domain_end end)
{
    uint32_t rule = GUEST_RESTART;
    switch (end) {
    case END_SHUTDOWN:
        rule = settings->guest_poweroff;
        break;
    case END_DESTROYED:
        rule = settings->guest_destroyed;
        break;
    case END_PANICKED:
        rule = settings->guest_panic;
        break;
    case END_UNKNOWN:
    case END_CRASHED:
        rule = settings->guest_crash;
        break;
    case END_MIGRATED: /* it must be somewhere, and stead says where */
    case END_STEAD:
    case END_COUNT:
        break;
    }
    ASSERT(rule < GUEST_RULE_COUNT);
    return rule == GUEST_STOP ? GUEST_STOP : GUEST_RESTART;
}

const char *ends_word(enum domain_end end)
{
    static const char *const words[END_COUNT] = {
        [END_UNKNOWN] = "QEMU was found gone",
        [END_SHUTDOWN] = "the guest powered itself off",
        [END_DESTROYED] = "somebody destroyed it through libvirt",
        [END_CRASHED] = "QEMU died",
        [END_PANICKED] = "the guest's kernel panicked",
        [END_MIGRATED] = "somebody moved or saved it through libvirt",
        [END_STEAD] = "its host could not keep it",
    };
    ASSERT(end < END_COUNT);
    return words[end];
}

static const char *setting_of(enum domain_end end)
{
    static const char *const names[END_COUNT] = {[END_UNKNOWN] = "guest_crash",
                                                 [END_SHUTDOWN] = "guest_poweroff",
                                                 [END_CRASHED] = "guest_crash",
                                                 [END_DESTROYED] = "guest_destroyed",
                                                 [END_PANICKED] = "guest_panic"};
    ASSERT(names[end] != NULL);
    return names[end];
}

/* When it is started again, and what is said until then. */
static void draft_restart(struct core *core, const struct observed *observed, struct text *text)
{
    const struct settings *settings = &core->cluster.settings;
    const struct observation *fact = &observed->fact;
    struct vm_record *vm = draft_vm(core, fact->slot);
    vm->ends = fact->up_ms >= timing_steady_ms() ? 1 : vm->ends + (vm->ends < UINT32_MAX);
    vm->prefer = fact->end == END_STEAD ? 0 : UINT64_C(1) << observed->node;
    uint32_t rest_ms = timing_guest_retry_ms(settings, vm->ends);
    core->local.acting.vm_retry_ms[fact->slot] = core->local.now_ms + rest_ms;
    text_add(text, "; started again in ");
    text_add(text_add_u64(text, (rest_ms + 999) / 1000), " s");
    if (vm->ends > 1) {
        text_add(text_add_u64(text_add(text, " (in a row: "), vm->ends), ")");
    }
    name_set(vm->reason, TEXT_BYTES, text->bytes);
}

/* Whoever starts a VM that runs, by what is committed, saw it end before we heard of it. */
static bool was_asked_for(const struct core *core, uint32_t slot)
{
    uint64_t asked_ms = core->local.acting.vm_asked_ms[slot];
    ASSERT(asked_ms <= core->local.now_ms);
    return asked_ms != 0 && core->local.now_ms - asked_ms < ASKED_MS;
}

void ends_draft(struct core *core, const struct observed *observed)
{
    const struct observation *fact = &observed->fact;
    const struct node_record *node = draft_peek_node(core, observed->node);
    struct vm_record *vm = draft_vm(core, fact->slot);
    struct text text = {0};
    ASSERT(vm->state == VM_RUNNING || vm->state == VM_STARTING);
    vm->state = VM_STOPPED;
    vm->node = NODE_NONE;
    vm->incarnation = (struct incarnation){0};
    vm->generation = fact->generation;
    ends_forget_condition(vm);
    text_add(&text, ends_word(fact->end));
    if (vm->want == WANT_RUNNING && was_asked_for(core, fact->slot)) {
        text_add(&text, "; its start was asked for meanwhile");
        draft_restart(core, observed, &text);
    } else if (vm->want == WANT_RUNNING && pause_mode(core) == HA_IGNORE &&
               fact->end != END_STEAD) {
        vm->want = WANT_STOPPED;
        text_add(&text, "; it stays off (ha = ignore)");
        name_set(vm->reason, TEXT_BYTES, text.bytes);
    } else if (vm->want == WANT_RUNNING &&
               ends_rule(&core->cluster.settings, fact->end) == GUEST_STOP) {
        vm->want = WANT_STOPPED;
        text_add(text_add(text_add(&text, "; it stays off ("), setting_of(fact->end)), " = stop)");
        name_set(vm->reason, TEXT_BYTES, text.bytes);
    } else if (vm->want == WANT_RUNNING) {
        draft_restart(core, observed, &text);
    }
    draft_history(core, HISTORY_VM_ENDED, node->nodeid, vm, text.bytes)->number = fact->end;
}

/* --- conditions --- */

const char *ends_trouble_word(enum vm_trouble trouble)
{
    static const char *const words[VM_TROUBLE_COUNT] = {
        [VM_TROUBLE_NONE] = "it is well again",
        [VM_TROUBLE_PAUSED] = "somebody paused it through libvirt; virsh resume lets it go on",
        [VM_TROUBLE_IO_ERROR] =
            "its disk refused I/O and it is paused: see rbd info of its images, ceph health detail",
        [VM_TROUBLE_PANICKED] = "its kernel panicked; it is left so (guest_panic = leave)",
    };
    ASSERT(trouble < VM_TROUBLE_COUNT);
    return words[trouble];
}

void ends_forget_condition(struct vm_record *vm)
{
    if (vm->condition.trouble != VM_TROUBLE_NONE) {
        memset(vm->reason, 0, TEXT_BYTES);
    }
    vm->condition = (struct vm_condition){0};
}

void ends_draft_condition(struct core *core, const struct observed *observed)
{
    const struct observation *fact = &observed->fact;
    const struct node_record *node = draft_peek_node(core, observed->node);
    struct vm_record *vm = draft_vm(core, fact->slot);
    ASSERT(vm->condition.trouble != fact->trouble);
    ends_forget_condition(vm);
    if (fact->trouble != VM_TROUBLE_NONE) {
        vm->condition = (struct vm_condition){fact->trouble, core->local.wall_ms};
        name_set(vm->reason, TEXT_BYTES,
                 fact->reason[0] != '\0' ? fact->reason : ends_trouble_word(fact->trouble));
    }
    draft_history(core, HISTORY_VM_CONDITION, node->nodeid, vm,
                  fact->trouble == VM_TROUBLE_NONE ? ends_trouble_word(VM_TROUBLE_NONE)
                                                   : vm->reason)
        ->number = fact->trouble;
}
