/* Fills status and history pages from a core. */
#include "agent/status_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/classes.h"
#include "agent/ledger.h"
#include "agent/pause.h"
#include "agent/query.h"
#include "agent/watchdog.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/clock_io.h"
#include "proto/settings.h"
#include "proto/values.h"

#define NODES_SHOWN_MAX (NODES_MAX + 16) /* those of the cluster, and strangers in the ring */
#define PROOFS 6

struct status_io {
    Control__Status status;
    Control__History history;
    char situation[TEXT_BYTES];
    char cluster_id[UUID_TEXT_BYTES];
    Control__Alarm alarms[ALARMS_MAX];
    Control__Alarm *alarm_list[ALARMS_MAX];
    Control__Node nodes[NODES_SHOWN_MAX];
    Control__Node *node_list[NODES_SHOWN_MAX];
    char *proofs[NODES_MAX][PROOFS];
    Control__Watchdog watchdogs[NODES_MAX];
    Control__FenceDevice devices[NODES_MAX][FENCE_DEVICES_MAX];
    Control__FenceDevice *device_list[NODES_MAX][FENCE_DEVICES_MAX];
    char troubles[NODES_MAX][TEXT_BYTES];
    char machines[NODES_MAX][UUID_TEXT_BYTES];
    char boots[NODES_MAX][UUID_TEXT_BYTES];
    Control__Vm vms[CONTROL_VMS_MAX];
    Control__Vm *vm_list[CONTROL_VMS_MAX];
    char uuids[CONTROL_VMS_MAX][UUID_TEXT_BYTES];
    struct text policies[CONTROL_VMS_MAX];
    Control__Decision decisions[CONTROL_DECISIONS_MAX];
    Control__Decision *decision_list[CONTROL_DECISIONS_MAX];
};

/* protobuf-c wants strings it could change; packing does not. */
static char *lent(const char *text)
{
    return (char *)(uintptr_t)text;
}

static const char *node_name(const struct core *core, uint32_t nodeid)
{
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *node = &core->cluster.nodes[slot];
        if (node->state != NODE_FREE && node->nodeid == nodeid) {
            return node->name;
        }
    }
    return "";
}

/* ---- alarms */

static void fill_alarm(const struct alarm *alarm, Control__Alarm *pb)
{
    const struct alarm_about *about = alarm_about(alarm->kind);
    control__alarm__init(pb);
    pb->kind = lent(about->word);
    pb->subject = lent(alarm->subject);
    pb->critical = about->critical;
    pb->text = lent(alarm->text);
    pb->remedy = lent(about->remedy);
    pb->since_wall_ms = alarm->since_wall_ms;
}

static void fill_alarms(struct status_io *status, const struct core *core)
{
    const struct alarm_seen *seen = NULL;
    uint32_t at = 0;
    size_t count = 0;
    while ((seen = alarm_next(&core->local.alarms, &at)) != NULL) {
        fill_alarm(&seen->alarm, &status->alarms[count]);
        status->alarm_list[count] = &status->alarms[count];
        count++;
    }
    status->status.alarms = status->alarm_list;
    status->status.n_alarms = count;
    status->status.more_alarms = core->local.alarms.full;
}

/* The agent has not begun: the one thing it waits for is Corosync. */
static void fill_waiting(struct status_io *status, const char *situation)
{
    const struct alarm_about *about = alarm_about(ALARM_COROSYNC_AWAY);
    Control__Alarm *pb = &status->alarms[0];
    control__alarm__init(pb);
    pb->kind = lent(about->word);
    pb->critical = about->critical;
    pb->text = lent(situation);
    pb->remedy = lent(about->remedy);
    status->alarm_list[0] = pb;
    status->status.alarms = status->alarm_list;
    status->status.n_alarms = 1;
}

/* ---- nodes */

static size_t fill_proofs(char **list, uint32_t mask)
{
    static const struct {
        uint32_t proof;
        const char *word;
    } words[PROOFS] = {{PROOF_STORAGE, "storage"},   {PROOF_POWER, "power"},
                       {PROOF_REBORN, "reborn"},     {PROOF_CLEAN, "clean"},
                       {PROOF_OPERATOR, "operator"}, {PROOF_WATCHDOG, "watchdog"}};
    size_t count = 0;
    for (size_t i = 0; i < PROOFS; i++) {
        if ((mask & words[i].proof) != 0) {
            list[count++] = lent(words[i].word);
        }
    }
    return count;
}

static void fill_watchdog(const struct core *core, const struct node_record *record,
                          Control__Watchdog *pb)
{
    uint32_t deadline_ms = watchdog_deadline_ms(&core->cluster.settings, record);
    control__watchdog__init(pb);
    pb->vouch_ms = watchdog_vouch_ms(&core->cluster.settings, record);
    pb->feed_ms = timing_feed_ms();
    pb->fires_ms = record->watchdog_fires_ms;
    pb->drift_ms = timing_drift_ms(pb->vouch_ms + pb->feed_ms + pb->fires_ms);
    pb->schedule_ms = timing_schedule_ms();
    pb->deadline_ms = deadline_ms;
}

static size_t fill_devices(struct status_io *status, uint32_t slot,
                           const struct node_record *record)
{
    static const char *const words[DEVICE_STANDING_COUNT] = {"unverified", "verified", "denied"};
    size_t count = 0;
    for (uint32_t i = 0; i < FENCE_DEVICES_MAX; i++) {
        const struct fence_device *device = &record->devices[i];
        if (device->agent[0] != '\0') {
            Control__FenceDevice *pb = &status->devices[slot][count];
            control__fence_device__init(pb);
            pb->name = lent(device->name);
            pb->agent = lent(device->agent);
            pb->level = device->level;
            pb->standing = lent(words[device->standing]);
            status->device_list[slot][count++] = pb;
        }
    }
    return count;
}

static void fill_node(struct status_io *status, const struct core *core, uint32_t slot,
                      Control__Node *node, uint64_t now_ms)
{
    const struct node_record *record = &core->cluster.nodes[slot];
    control__node__init(node);
    uuid_format(&record->machine, status->machines[slot]);
    uuid_format(&record->boot, status->boots[slot]);
    node->name = lent(record->name);
    node->nodeid = record->nodeid;
    node->state = lent(query_node_word(core, (uint8_t)slot, now_ms));
    node->in_ring = query_in_ring(core, (uint8_t)slot);
    node->agent_alive = query_agent_alive(core, (uint8_t)slot, now_ms);
    node->incarnation_epoch = record->incarnation.epoch;
    node->incarnation_number = record->incarnation.number;
    node->machine = status->machines[slot];
    node->boot = status->boots[slot];
    node->client = lent(record->client.address);
    node->bmc = lent(record->bmc.address);
    node->bmc_verified = record->bmc.verified;
    node->fence_devices = status->device_list[slot];
    node->n_fence_devices = fill_devices(status, slot, record);
    node->memory_mib = record->memory_mib;
    node->silent_ms = query_silent_ms(core, (uint8_t)slot, now_ms);
    node->restarts = query_restarts(core, (uint8_t)slot);
    query_agent_trouble(core, (uint8_t)slot, status->troubles[slot]);
    node->trouble = status->troubles[slot][0] != '\0'
                        ? status->troubles[slot]
                        : lent(query_node_trouble(core, (uint8_t)slot));
    if (record->watchdog) {
        fill_watchdog(core, record, &status->watchdogs[slot]);
        node->watchdog = &status->watchdogs[slot];
    }
    node->proofs = status->proofs[slot];
    node->n_proofs = fill_proofs(status->proofs[slot], record->proofs);
}

/* In the ring, but not of this cluster: whoever looks here may wonder why nothing runs there. */
static size_t fill_strangers(struct status_io *status, const struct core *core, size_t count)
{
    for (uint32_t i = 0; i < core->local.peer_count && count < NODES_SHOWN_MAX; i++) {
        const struct peer *peer = &core->local.peers[i];
        if (!query_is_stranger(core, peer->nodeid)) {
            continue;
        }
        Control__Node *node = &status->nodes[count];
        control__node__init(node);
        node->name = lent(peer->heard ? peer->beat.name : "?");
        node->nodeid = peer->nodeid;
        node->state = lent("not-joined");
        node->in_ring = true;
        node->agent_alive = peer->heard;
        status->node_list[count++] = node;
    }
    return count;
}

/* Who holds how much. `by_slot` are the nodes in the message, NULL where a slot is free. */
static void add_up(const struct core *core, Control__Node **by_slot, uint32_t *ret_vm_count)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < core->cluster.vm_end; i++) {
        const struct vm_record *vm = &core->cluster.vms[i];
        count += vm->state != VM_FREE;
        bool placed = vm->state == VM_STARTING || vm->state == VM_RUNNING ||
                      vm->state == VM_STOPPING || vm->state == VM_RECOVERING;
        if (placed && vm->node < NODES_MAX && by_slot[vm->node] != NULL) {
            by_slot[vm->node]->vm_count++;
            by_slot[vm->node]->memory_used_mib += vm->memory_mib;
        }
    }
    *ret_vm_count = count;
}

static void fill_nodes(struct status_io *status, const struct core *core, uint64_t now_ms)
{
    Control__Node *by_slot[NODES_MAX] = {NULL};
    size_t count = 0;
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        if (core->cluster.nodes[slot].state != NODE_FREE) {
            Control__Node *node = &status->nodes[count];
            fill_node(status, core, slot, node, now_ms);
            by_slot[slot] = node;
            status->node_list[count++] = node;
        }
    }
    count = fill_strangers(status, core, count);
    status->status.n_nodes = count;
    status->status.nodes = status->node_list;
    add_up(core, by_slot, &status->status.vm_count);
}

/* ---- VMs */

static void fill_vm(struct status_io *status, const struct core *core,
                    const struct vm_record *record, size_t at)
{
    Control__Vm *vm = &status->vms[at];
    control__vm__init(vm);
    uuid_format(&record->uuid, status->uuids[at]);
    vm->name = lent(record->name);
    vm->uuid = status->uuids[at];
    vm->want = lent(record->want == WANT_RUNNING ? "running" : "stopped");
    vm->state = lent(query_vm_word(record));
    vm->node = lent(record->node < NODES_MAX ? core->cluster.nodes[record->node].name : "");
    vm->memory_mib = record->memory_mib;
    vm->priority = record->priority;
    status->policies[at] = (struct text){0};
    setting_add_value(&status->policies[at], settings_find("proof"),
                      classes_policy(&core->cluster, record));
    vm->class_name = lent(classes_name(&core->cluster, record));
    vm->proof = status->policies[at].bytes;
    vm->generation = record->generation;
    vm->definition_version = record->definition_version;
    vm->attempts = record->attempts;
    vm->stop_timeout_ms = record->stop_timeout_ms;
    bool waits = record->want == WANT_RUNNING &&
                 (record->state == VM_STOPPED || record->state == VM_RECOVERING);
    vm->reason = lent(waits && pause_record(core) != NULL ? "HA is paused: stead ha resume"
                                                          : record->reason);
    vm->since_wall_ms = record->state == VM_RUNNING ? record->condition.since_wall_ms : 0;
    vm->ends = record->ends;
    if (query_vm_suspended(core, record, &vm->since_wall_ms)) {
        vm->state = lent("suspended");
        vm->reason = lent("no quorum there: it stands still, and goes on by itself");
    }
    status->vm_list[at] = vm;
}

static void fill_vms(struct status_io *status, const struct core *core,
                     const Control__StatusAsk *ask)
{
    size_t count = 0;
    uint32_t slot = ask->first_vm;
    for (; slot < core->cluster.vm_end && count < CONTROL_VMS_MAX; slot++) {
        const struct vm_record *vm = &core->cluster.vms[slot];
        bool asked = ask->vm[0] == '\0' || strcmp(ask->vm, vm->name) == 0;
        if (vm->state != VM_FREE && asked) {
            fill_vm(status, core, vm, count++);
        }
    }
    status->status.vms = status->vm_list;
    status->status.n_vms = count;
    status->status.next_vm = slot < core->cluster.vm_end ? slot : 0;
}

/* ---- the whole */

static void fill_cluster(struct status_io *status, const struct core *core)
{
    const struct header *header = &core->cluster.header;
    Control__Status *all = &status->status;
    uuid_format(&header->cluster_id, status->cluster_id);
    all->cluster_id = status->cluster_id;
    all->epoch = header->epoch;
    all->term = header->term;
    all->actor = lent(node_name(core, header->actor));
    all->version_committed = header->version;
}

const Control__Status *status_io_fill(struct status_io *status, const struct core *core,
                                      const Control__StatusAsk *ask, const char *situation)
{
    Control__Status *all = &status->status;
    control__status__init(all);
    all->situation = lent(situation);
    if (core == NULL) {
        fill_waiting(status, situation);
        return all;
    }
    uint64_t now_ms = clock_io_boot_ms();
    uint64_t age_ms = query_copy_age_ms(core, now_ms);
    query_situation(core, now_ms, status->situation);
    all->situation = status->situation;
    all->node = lent(core->local.facts.name);
    all->loaded = query_loaded(core);
    all->quorate = query_quorate(core);
    all->fresh = query_fresh(core, now_ms);
    all->acting = query_acting(core);
    all->state_object = lent(query_state_word(core));
    all->copy_known = age_ms != UINT64_MAX;
    all->copy_age_ms = all->copy_known ? age_ms : 0;
    if (ask->first_vm == 0) {
        fill_alarms(status, core);
    }
    if (all->loaded) {
        fill_cluster(status, core);
        fill_nodes(status, core, now_ms);
        fill_vms(status, core, ask);
    }
    return all;
}

/* ---- history */

static const char *history_word(enum history_kind kind)
{
    static const char *const words[HISTORY_KIND_COUNT] = {
        [HISTORY_NONE] = "none",
        [HISTORY_TERM] = "term",
        [HISTORY_NODE_JOINED] = "node-joined",
        [HISTORY_NODE_ADMITTED] = "node-admitted",
        [HISTORY_NODE_LOST] = "node-lost",
        [HISTORY_NODE_FENCED] = "node-fenced",
        [HISTORY_NODE_UNFENCED] = "node-unfenced",
        [HISTORY_BMC] = "bmc",
        [HISTORY_VM_ADDED] = "vm-added",
        [HISTORY_VM_REMOVED] = "vm-removed",
        [HISTORY_VM_WANT] = "vm-want",
        [HISTORY_VM_STARTING] = "vm-starting",
        [HISTORY_VM_RUNNING] = "vm-running",
        [HISTORY_VM_STOPPING] = "vm-stopping",
        [HISTORY_VM_STOPPED] = "vm-stopped",
        [HISTORY_VM_RECOVERING] = "vm-recovering",
        [HISTORY_VM_FAILED] = "vm-failed",
        [HISTORY_REQUEST] = "request",
        [HISTORY_STATE] = "state",
        [HISTORY_NODE_AWAY] = "node-away",
        [HISTORY_NODE_BACK] = "node-back",
        [HISTORY_SETTING] = "setting",
        [HISTORY_NODE_REMOVED] = "node-removed",
        [HISTORY_RESTORED] = "restored",
        [HISTORY_FORCED] = "forced",
        [HISTORY_VM_ENDED] = "vm-ended",
        [HISTORY_VM_CONDITION] = "vm-condition",
        [HISTORY_VM_BY_HAND] = "vm-by-hand",
        [HISTORY_LEVEL] = "feature-level",
        [HISTORY_NODE_WATCHDOG] = "node-watchdog",
        [HISTORY_BARRIER] = "barrier",
        [HISTORY_FENCE_HELD] = "fence-withheld",
        [HISTORY_NODE_READMITTED] = "node-readmitted",
    };
    ASSERT((unsigned)kind < HISTORY_KIND_COUNT);
    return words[kind] != NULL ? words[kind] : "other";
}

static void fill_decision(const struct core *core, const struct history_entry *entry,
                          Control__Decision *decision)
{
    control__decision__init(decision);
    decision->sequence = entry->sequence;
    decision->wall_ms = entry->wall_ms;
    decision->boot_ms = entry->boot_ms;
    decision->term = entry->term;
    decision->kind = lent(history_word(entry->kind));
    decision->node = lent(entry->nodeid != 0 ? node_name(core, entry->nodeid) : "");
    decision->vm = lent(entry->vm);
    decision->number = entry->number;
    decision->action_term = entry->action.term;
    decision->action_counter = entry->action.counter;
    decision->cause = lent(entry->cause);
}

static const Control__History *fill_ledger(struct status_io *status, const struct core *core,
                                           uint64_t first)
{
    Control__History *history = &status->history;
    const struct history_entry *entry = ledger_next(&core->cluster, first);
    for (; entry != NULL && history->n_decisions < CONTROL_DECISIONS_MAX;
         entry = ledger_next(&core->cluster, entry->sequence + 1)) {
        size_t at = history->n_decisions++;
        fill_decision(core, entry, &status->decisions[at]);
        status->decision_list[at] = &status->decisions[at];
    }
    history->decisions = status->decision_list;
    history->next = entry != NULL ? entry->sequence : 0;
    return history;
}

const Control__History *status_io_history(struct status_io *status, const struct core *core,
                                          const Control__HistoryAsk *ask)
{
    Control__History *history = &status->history;
    control__history__init(history);
    if (core == NULL || !query_loaded(core)) {
        return history;
    }
    uint64_t end = core->cluster.header.next_history;
    uint64_t oldest = end > HISTORY_MAX ? end - HISTORY_MAX : 0;
    uint64_t sequence = ask->first > oldest ? ask->first : oldest;
    size_t count = 0;
    if (ask->fences) {
        return fill_ledger(status, core, ask->first);
    }
    for (; sequence < end && count < CONTROL_DECISIONS_MAX; sequence++) {
        const struct history_entry *entry = &core->cluster.history[sequence % HISTORY_MAX];
        if (entry->kind != HISTORY_NONE && entry->sequence == sequence) {
            fill_decision(core, entry, &status->decisions[count]);
            status->decision_list[count] = &status->decisions[count];
            count++;
        }
    }
    history->decisions = status->decision_list;
    history->n_decisions = count;
    history->next = sequence < end ? sequence : 0;
    return history;
}

int status_io_open(struct status_io **ret_status)
{
    struct status_io *status = calloc(1, sizeof(*status));
    if (status == NULL) {
        return -ENOMEM;
    }
    *ret_status = status;
    return 0;
}
