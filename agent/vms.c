/*
 * The acting node's work on VMs.
 *
 * Decides, for each VM, level-triggered from its record: where a wanted one starts, when a running
 * one stops, and how the VM of a dead holder is taken over: barrier on the clients its lease names,
 * the holder proven, then a start elsewhere from the very generation that was barred (I1, I2). A
 * lease found in the hands of a living node is followed, or of one that is not proven dead yet: the
 * lease decides who may run, the state follows it. No terminal "error" for want of a node: what
 * cannot be placed says why and is tried again (I5). Never: frees or hands on a lease whose holder
 * may live.
 */
#include "agent/vms.h"

#include <string.h>

#include "agent/classes.h"
#include "agent/draft.h"
#include "agent/observed.h"
#include "agent/pause.h"
#include "agent/peers.h"
#include "agent/trace.h"
#include "fencing/power.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/settings.h"
#include "proto/values.h"
#include "storage/state.h"

#define ROOM_PER_VM 2 /* its record and an entry */
#define LEASE_MISSING "its run lease is missing or foreign: it counts as held by every node"
#define SILENT "its run lease, or the blocklist, does not answer: see ceph health detail"
#define URGENT_MAX 24 /* VMs placed in one commit, the highest priorities first */

static bool held(const struct vm_record *vm)
{
    return vm->state == VM_STARTING || vm->state == VM_RUNNING || vm->state == VM_STOPPING ||
           vm->state == VM_RECOVERING;
}

/* Is the holder's life over or ending, by the committed state? */
static bool orphaned(const struct core *core, const struct vm_record *vm)
{
    return held(vm) && !state_incarnation_lives(&core->cluster, vm->node, vm->incarnation);
}

/* ... and is it proven, by what this VM's own policy asks for? */
static bool proven(const struct core *core, const struct vm_record *vm)
{
    ASSERT(held(vm));
    return vm->node >= NODES_MAX || classes_proven(core, vm, vm->node, vm->incarnation);
}

/* Do its holder's own entries stand, so that a further proof is all that it waits for? */
static bool holder_barred(const struct core *core, const struct vm_record *vm)
{
    ASSERT(vm->node < NODES_MAX);
    return core->cluster.nodes[vm->node].state == NODE_FENCED ||
           core->local.acting.fences[vm->node].state == FENCE_STANDS;
}

/* Did nobody say yet what its recovery waits for? */
static bool unsaid(const struct vm_record *vm)
{
    return vm->state != VM_RECOVERING || vm->reason[0] == '\0';
}

/* Is this said: that it waits for its lease or its barrier, which no proof could take the place
 * of? */
static bool said(const struct vm_record *vm, const char *trouble)
{
    return vm->state == VM_RECOVERING && strncmp(vm->reason, trouble, TEXT_BYTES) == 0;
}

static struct barrier *barrier_of(struct core *core, uint32_t slot)
{
    struct acting *acting = &core->local.acting;
    uint16_t index = acting->barrier_of[slot];
    ASSERT(index <= TAKEOVERS_MAX);
    return index == 0 ? NULL : &acting->barriers[index - 1];
}

static void drop_barrier(struct core *core, uint32_t slot)
{
    struct barrier *barrier = barrier_of(core, slot);
    if (barrier != NULL) {
        *barrier = (struct barrier){0};
        core->local.acting.barrier_of[slot] = 0;
    }
}

static struct barrier *begin_barrier(struct core *core, uint32_t slot, bool again)
{
    struct acting *acting = &core->local.acting;
    const struct vm_record *vm = &core->cluster.vms[slot];
    for (uint16_t i = 0; i < TAKEOVERS_MAX; i++) {
        if (uuid_is_zero(&acting->barriers[i].vm)) {
            struct client address = {{0}};
            if (vm->node < NODES_MAX && !client_is_none(&core->cluster.nodes[vm->node].client)) {
                address = client_address_entry(&core->cluster.nodes[vm->node].client);
            }
            barrier_init(&acting->barriers[i], slot, &vm->uuid, &address, again);
            acting->barrier_of[slot] = (uint16_t)(i + 1);
            acting->barrier_end = i < acting->barrier_end ? acting->barrier_end : i + 1u;
            return &acting->barriers[i];
        }
    }
    return NULL; /* full: this one waits for its turn */
}

/* The lease turned out to be in the hands of a present life: the node holding it, or NODE_NONE. */
static uint8_t living_holder(const struct core *core, const struct lease *lease)
{
    uint8_t node = state_find_node(&core->cluster, lease->holder);
    bool lives = lease->state == LEASE_HELD && node != NODE_NONE &&
                 state_incarnation_lives(&core->cluster, node, lease->incarnation);
    return lives ? node : NODE_NONE;
}

static bool lease_known(const struct barrier *barrier)
{
    return barrier->state == BARRIER_WATCHERS || barrier->state == BARRIER_RAISING;
}

_Static_assert(BARRIER_STANDS > BARRIER_READING && BARRIER_FREEING < BARRIER_WAITING, "in order");

/* It was read since its barrier was begun anew, and is there. */
static bool lease_read(const struct barrier *barrier)
{
    ASSERT(barrier->state < BARRIER_STATE_COUNT);
    return barrier->state > BARRIER_READING && barrier->state < BARRIER_WAITING;
}

/* One try may fail for the moment's sake. */
static bool is_silent(const struct barrier *barrier)
{
    ASSERT(barrier->state < BARRIER_STATE_COUNT);
    return barrier->failed_count > 1;
}

/* What keeps its barrier from standing; NULL: nothing, as far as is known. */
static const char *trouble_of(const struct barrier *barrier)
{
    if (barrier->missing) {
        return LEASE_MISSING;
    }
    return is_silent(barrier) && !lease_known(barrier) ? SILENT : NULL;
}

/* The node in whose hands its lease is, by a life that is being fenced, or is not proven yet to be
 * over for this VM: whatever the record says of whom. NODE_NONE: no such. */
static uint8_t unproven_holder(const struct core *core, const struct vm_record *vm,
                               const struct lease *lease)
{
    uint8_t node =
        lease->state == LEASE_HELD ? state_find_node(&core->cluster, lease->holder) : NODE_NONE;
    return node != NODE_NONE && !classes_proven(core, vm, node, lease->incarnation) ? node
                                                                                    : NODE_NONE;
}

static void act_on_orphan(struct core *core, uint32_t slot, struct caller *caller)
{
    const struct vm_record *vm = &core->cluster.vms[slot];
    struct barrier *barrier = barrier_of(core, slot);
    if (barrier == NULL) {
        barrier = begin_barrier(core, slot, vm->state == VM_RECOVERING && vm->attempts > 0);
    }
    if (barrier == NULL) {
        return;
    }
    barrier_on_tick(barrier, caller->now_ms);
    if (lease_known(barrier) && living_holder(core, &barrier->lease) != NODE_NONE) {
        return; /* to be followed, not barred */
    }
    if (barrier->state == BARRIER_STANDS && vm->want == WANT_STOPPED && proven(core, vm) &&
        unproven_holder(core, vm, &barrier->lease) == NODE_NONE && caller_fresh(caller) &&
        !call_open(&barrier->call)) {
        barrier_free(barrier, &core->cluster.settings, caller);
    } else {
        barrier_carry_on(barrier, &core->cluster.settings, caller);
    }
}

void vms_act(struct core *core, struct caller *caller)
{
    struct acting *acting = &core->local.acting;
    const uint32_t first = acting->act_first;
    bool left = false;
    for (uint32_t i = 0; i < core->cluster.vm_end; i++) {
        const uint32_t slot = (first + i) % core->cluster.vm_end;
        if (!orphaned(core, &core->cluster.vms[slot])) {
            drop_barrier(core, slot);
        } else if (caller_room(caller)) {
            act_on_orphan(core, slot, caller);
        } else if (!left) { /* the first in the next step, so that all have their turn */
            left = true;
            acting->act_first = slot;
        }
    }
}

bool vms_on_answer(struct core *core, const struct event *event)
{
    struct acting *acting = &core->local.acting;
    const struct settings *settings = &core->cluster.settings;
    for (uint32_t i = 0; i < acting->barrier_end; i++) {
        struct barrier *barrier = &acting->barriers[i];
        if (barrier->call.id != event->id) {
            continue;
        }
        if (event->kind == EVENT_LEASE) {
            return barrier_on_lease(barrier, event, &core->cluster.header.cluster_id, settings);
        }
        if (event->kind == EVENT_WATCHERS) {
            return barrier_on_watchers(barrier, event, settings);
        }
        return event->kind == EVENT_BLOCK && barrier_on_block(barrier, event, settings);
    }
    return false;
}

static const char *node_name(const struct core *core, uint8_t node)
{
    return node < NODES_MAX ? draft_peek_node(core, node)->name : "nobody";
}

void vms_draft_start(struct core *core, struct loads *loads, uint32_t slot, uint8_t node,
                     uint64_t generation, const char *why)
{
    ASSERT(node < NODES_MAX);
    struct vm_record *vm = draft_vm(core, slot);
    const struct node_record *place = draft_peek_node(core, node);
    ASSERT(place->state == NODE_ADMITTED);
    struct text text = {0};
    text_add(text_add(&text, "start on "), place->name);
    text_add_u64(text_add(&text, " (VMs there: "), loads->vm_count[node]);
    text_add(text_add(text_add(&text, "; "), why), ")");
    vm->state = VM_STARTING;
    vm->node = node;
    vm->incarnation = place->incarnation;
    vm->action = draft_action(core);
    vm->generation = generation;
    memset(vm->reason, 0, TEXT_BYTES);
    vm->condition = (struct vm_condition){0};
    place_add(loads, node, vm->memory_mib);
    draft_history(core, HISTORY_VM_STARTING, place->nodeid, vm, text.bytes);
}

/* It cannot be where it is wanted: say so, once. */
static void draft_waiting(struct core *core, uint32_t slot, enum vm_state state, const char *reason)
{
    const struct vm_record *vm = draft_peek_vm(core, slot);
    if (vm->state == state && strncmp(vm->reason, reason, TEXT_BYTES) == 0) {
        return;
    }
    struct vm_record *next = draft_vm(core, slot);
    next->state = state;
    name_set(next->reason, TEXT_BYTES, reason);
    draft_history(core, state == VM_RECOVERING ? HISTORY_VM_RECOVERING : HISTORY_VM_FAILED, 0, next,
                  reason);
}

static const char *why_no_place(const struct loads *loads, const struct vm_record *vm,
                                uint32_t policy)
{
    if (place_is_kept_out(loads, vm->memory_mib, policy)) {
        return "memory is kept for VMs of higher priority whose hosts may yet come up";
    }
    return place_choose(loads, vm->memory_mib, PROOF_STORAGE, vm->prefer, vm->avoid) == NODE_NONE
               ? "no node that is online has the memory for it"
               : "no node that has the memory for it could be proven dead as proof asks: see its "
                 "watchdog and its BMC";
}

static void place(struct core *core, struct loads *loads, uint32_t slot, uint64_t generation,
                  enum vm_state otherwise, const char *why)
{
    const struct vm_record *vm = draft_peek_vm(core, slot);
    uint32_t policy = classes_policy(&core->cluster, vm);
    uint8_t node = place_choose(loads, vm->memory_mib, policy, vm->prefer, vm->avoid);
    if (node == NODE_NONE) {
        core->local.acting.vm_retry_ms[slot] = /* till then the others have their turn */
            core->local.now_ms + core->cluster.settings.retry_ms;
        draft_waiting(core, slot, otherwise, why_no_place(loads, vm, policy));
        return;
    }
    bool back = vm->ends > 0 && (vm->prefer & (UINT64_C(1) << node)) != 0;
    vms_draft_start(core, loads, slot, node, generation, back ? "it ended there by itself" : why);
}

/* What it waits for, and what a person may do. Of its holder's power the answer that ended a try.
 */
static struct text wait_words(const struct core *core, const struct vm_record *vm)
{
    const struct node_record *node = draft_peek_node(core, vm->node);
    const struct power *power = &core->local.acting.fences[vm->node].power;
    const char *class = classes_name(&core->cluster, vm);
    uint32_t policy = classes_policy(&core->cluster, vm);
    struct text text = {0};
    text_add(&text, "the barrier stands; waits for ");
    setting_add_value(&text, settings_find("proof"), policy);
    text_add(&text, policy == 0 ? "a proof" : "");
    text_add(text_add(&text, class[0] != '\0' ? " (class " : " (proof"), class);
    text_add(text_add(&text, "); surely off? stead node fence "), node->name);
    text_add(&text, " --i-vouch");
    if ((policy & PROOF_POWER) != 0 && !power_has_level(node)) {
        text_add(text_add(text_add(&text, "; "), node->name), ": no power device is verified");
    } else if ((policy & PROOF_POWER) != 0 && power->state == POWER_FAILED) {
        text_add(text_add(text_add(text_add(&text, "; "), node->name), ": "), power->text);
    }
    return text;
}

/* Has that not been said yet? While its power is tried anew, what is said of that holds; what is
 * said of its lease, till that was read. */
static bool wait_is_news(const struct core *core, const struct vm_record *vm,
                         const struct barrier *barrier)
{
    if (said(vm, LEASE_MISSING) || said(vm, SILENT)) {
        return lease_read(barrier) && !is_silent(barrier) && holder_barred(core, vm);
    }
    if (!unsaid(vm) && core->local.acting.fences[vm->node].power.state != POWER_FAILED) {
        return false;
    }
    struct text text = wait_words(core, vm);
    return holder_barred(core, vm) &&
           (unsaid(vm) || strncmp(vm->reason, text.bytes, TEXT_BYTES) != 0);
}

/* Its last place never took the lease, and is proven: what is waited for is whom that names. */
static void draft_follow(struct core *core, uint32_t slot, uint8_t node, struct incarnation life)
{
    struct vm_record *vm = draft_vm(core, slot);
    ASSERT(node < NODES_MAX);
    struct text text = {0};
    text_add(text_add(&text, "its lease is in the hands of "), node_name(core, node));
    text_add(&text, ", not proven dead for it yet");
    vm->state = VM_RECOVERING;
    vm->node = node;
    vm->incarnation = life;
    memset(vm->reason, 0, TEXT_BYTES);
    draft_history(core, HISTORY_VM_RECOVERING, draft_peek_node(core, node)->nodeid, vm, text.bytes);
    drop_barrier(core, slot); /* it was raised around another holder */
}

/* Its holder is proven: what its lease says is followed. */
static void draft_released(struct core *core, struct loads *loads, uint32_t slot,
                           const struct barrier *barrier)
{
    const struct vm_record *vm = draft_peek_vm(core, slot);
    uint8_t unproven = unproven_holder(core, vm, &barrier->lease);
    uint8_t living = lease_known(barrier) ? living_holder(core, &barrier->lease) : NODE_NONE;
    if (unproven != NODE_NONE) {
        draft_follow(core, slot, unproven, barrier->lease.incarnation);
    } else if (living != NODE_NONE) {
        vms_draft_start(core, loads, slot, living, GENERATION_UNKNOWN,
                        "its lease is in that node's hands");
    } else if (barrier->state == BARRIER_FREE) {
        struct vm_record *next = draft_vm(core, slot);
        next->state = VM_STOPPED;
        next->node = NODE_NONE;
        next->generation = barrier->lease.generation;
        draft_history(core, HISTORY_VM_STOPPED, 0, next, "its holder is gone, its lease is free");
    } else if (barrier->state == BARRIER_STANDS && vm->want == WANT_RUNNING) {
        struct text why = {0};
        text_add(text_add(&why, "its holder "), node_name(core, vm->node));
        text_add(&why, " is proven harmless, its clients barred");
        place(core, loads, slot, barrier->lease.generation, VM_RECOVERING, why.bytes);
    }
}

static void draft_orphan(struct core *core, struct loads *loads, uint32_t slot)
{
    const struct vm_record *vm = draft_peek_vm(core, slot);
    const struct barrier *barrier = barrier_of(core, slot);
    if (barrier == NULL) {
        return;
    }
    const char *trouble = trouble_of(barrier);
    if (trouble != NULL) {
        draft_waiting(core, slot, VM_RECOVERING, trouble);
    } else if (proven(core, vm)) {
        draft_released(core, loads, slot, barrier);
    } else if (wait_is_news(core, vm, barrier)) {
        struct text text = wait_words(core, vm);
        draft_waiting(core, slot, VM_RECOVERING, text.bytes);
    }
}

static void draft_stopping(struct core *core, uint32_t slot)
{
    struct vm_record *vm = draft_vm(core, slot);
    ASSERT(vm->state == VM_RUNNING || vm->state == VM_STARTING);
    vm->state = VM_STOPPING;
    vm->action = draft_action(core);
    draft_history(core, HISTORY_VM_STOPPING, draft_peek_node(core, vm->node)->nodeid, vm,
                  "wanted stopped");
}

static void draft_removed(struct core *core, uint32_t slot)
{
    struct vm_record vm = *draft_peek_vm(core, slot);
    draft_remove_vm(core, slot);
    draft_history(core, HISTORY_VM_REMOVED, 0, &vm, "removed; its images are kept");
}

static void draft_one(struct core *core, struct loads *loads, uint32_t slot)
{
    const struct vm_record *vm = draft_peek_vm(core, slot);
    if (orphaned(core, vm)) {
        draft_orphan(core, loads, slot);
        return;
    }
    if (vm->state == VM_STOPPED && vm->removing) {
        draft_removed(core, slot);
    } else if (vm->state == VM_STOPPED && vm->want == WANT_RUNNING) {
        place(core, loads, slot, vm->generation, VM_STOPPED, "wanted running");
    } else if ((vm->state == VM_RUNNING || vm->state == VM_STARTING) && vm->want == WANT_STOPPED) {
        draft_stopping(core, slot);
    }
}

/* Can its recovery be taken a step further now? One that only waits (for a proof, a barrier, a
 * person, the end of a pause) must not take the turn of one that need not. */
static bool orphan_moves(const struct core *core, enum ha_mode mode, uint32_t slot)
{
    const struct acting *acting = &core->local.acting;
    const struct vm_record *vm = &core->cluster.vms[slot];
    if (acting->barrier_of[slot] == 0) {
        return false;
    }
    const struct barrier *barrier = &acting->barriers[acting->barrier_of[slot] - 1];
    const char *trouble = trouble_of(barrier);
    if (trouble != NULL) {
        return !said(vm, trouble);
    }
    if (!proven(core, vm)) {
        return wait_is_news(core, vm, barrier);
    }
    return unproven_holder(core, vm, &barrier->lease) != NODE_NONE ||
           barrier->state == BARRIER_FREE ||
           (barrier->state == BARRIER_STANDS && vm->want == WANT_RUNNING &&
            pause_lets_start(mode, vm)) ||
           (lease_known(barrier) && living_holder(core, &barrier->lease) != NODE_NONE);
}

/* Is there anything to decide about it? Cheap: asked for every VM. */
static bool calls(const struct core *core, enum ha_mode mode, uint32_t slot)
{
    const struct vm_record *vm = &core->cluster.vms[slot];
    if (vm->state == VM_FREE) {
        return false;
    }
    bool rests = vm->want == WANT_RUNNING && !vm->removing &&
                 core->local.now_ms < core->local.acting.vm_retry_ms[slot];
    if (rests && (vm->state == VM_STOPPED || vm->state == VM_RECOVERING)) {
        return false;
    }
    if (orphaned(core, vm)) {
        return orphan_moves(core, mode, slot);
    }
    if (vm->state == VM_STOPPED) {
        return vm->removing || (vm->want == WANT_RUNNING && pause_lets_start(mode, vm));
    }
    return vm->want == WANT_STOPPED && vm->state != VM_STOPPING;
}

/* Wanted, and more urgent than what is placed now, but its turn has not come: its host may be
 * booting, or is being fenced. One that waits for something that may never come has a reason. In a
 * pause none has a turn. */
static bool undecided(const struct core *core, enum ha_mode mode, uint32_t slot)
{
    const struct vm_record *vm = &core->cluster.vms[slot];
    if (vm->want != WANT_RUNNING || !held(vm) || !pause_lets_start(mode, vm)) {
        return false;
    }
    if (orphaned(core, vm)) {
        return vm->reason[0] == '\0' && !calls(core, mode, slot);
    }
    return peers_see(core, core->cluster.nodes[vm->node].nodeid) == NULL;
}

/* Keeps memory for the undecided ones of a priority above `low` and up to `high`. */
static void keep_memory(const struct core *core, enum ha_mode mode, struct loads *loads,
                        int64_t low, int64_t high)
{
    for (uint32_t slot = 0; low < high && slot < core->cluster.vm_end; slot++) {
        const struct vm_record *vm = &core->cluster.vms[slot];
        if (vm->priority > low && vm->priority <= high && undecided(core, mode, slot)) {
            place_keep(loads, vm->memory_mib, classes_policy(&core->cluster, vm), vm->avoid);
        }
    }
}

/* Keeps `urgent` sorted by priority, then slot; the least urgent falls out when it is full. */
static void insert(const struct core *core, uint32_t *urgent, uint32_t *count, uint32_t slot)
{
    const struct vm_record *vms = core->cluster.vms;
    if (*count < URGENT_MAX) {
        (*count)++;
    } else if (vms[urgent[*count - 1]].priority >= vms[slot].priority) {
        return;
    }
    uint32_t at = *count - 1;
    for (; at > 0 && vms[urgent[at - 1]].priority < vms[slot].priority; at--) {
        urgent[at] = urgent[at - 1];
    }
    urgent[at] = slot;
}

void vms_draft(struct core *core)
{
    struct loads loads;
    uint32_t urgent[URGENT_MAX];
    uint32_t count = 0;
    const enum ha_mode mode = pause_mode(core);
    observed_draft(core);
    for (uint32_t slot = 0; slot < core->cluster.vm_end; slot++) {
        if (calls(core, mode, slot)) {
            insert(core, urgent, &count, slot);
        }
    }
    if (count == 0) {
        return;
    }
    place_loads(core, &loads);
    int64_t high = INT32_MAX;
    for (uint32_t i = 0; i < count && draft_room(core) >= ROOM_PER_VM; i++) {
        int64_t priority = core->cluster.vms[urgent[i]].priority;
        keep_memory(core, mode, &loads, priority, high);
        high = priority;
        draft_one(core, &loads, urgent[i]);
    }
}

bool vms_wait(const struct core *core)
{
    if (core->cluster.settings.ha != HA_ON) {
        return false; /* nobody else would do more */
    }
    for (uint32_t slot = 0; slot < core->cluster.vm_end; slot++) {
        const struct vm_record *vm = &core->cluster.vms[slot];
        bool owed = orphaned(core, vm) ||
                    (vm->state == VM_STOPPED && vm->want == WANT_RUNNING && vm->attempts == 0);
        if (owed && vm->reason[0] == '\0') {
            return true;
        }
    }
    return false;
}
