/*
 * What is wrong now, one predicate per kind of alarm.
 *
 * Decides: only what is so at this moment; agent/alarm.c decides what becomes of it. Assumes: the
 * copy of the state may be old (then that is an alarm itself). Order matters when the list is full:
 * the cluster first, then nodes, then VMs.
 */
#include "agent/alarm.h"

#include <string.h>

#include "agent/actor.h"
#include "agent/address.h"
#include "agent/core.h"
#include "agent/devices.h"
#include "agent/ends.h"
#include "agent/level.h"
#include "agent/pause.h"
#include "agent/peers.h"
#include "agent/query.h"
#include "agent/run.h"
#include "agent/spare.h"
#include "agent/suspend.h"
#include "agent/tie.h"
#include "agent/votes.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/text.h"
#include "proto/values.h"
#include "storage/state.h"

#define OLD_COPY_MS 10000
#define FAILS_MANY 3
#define ENDS_MANY 3
#define JUMP_TOLD_MS 600000 /* how long a jump of the clock stays worth a word */

static void found(struct core *core, enum alarm_kind kind, const char *subject,
                  const struct text *text)
{
    const struct local *local = &core->local;
    bool own = alarm_about(kind)->scope == ALARM_SCOPE_NODE;
    alarm_found(&core->local.alarms, kind, subject, own, text->bytes, local->now_ms,
                local->wall_ms);
}

static void say(struct core *core, enum alarm_kind kind, const char *subject, const char *words)
{
    struct text text = {0};
    found(core, kind, subject, text_add(&text, words));
}

static const char *self(const struct core *core)
{
    return core->local.facts.name;
}

/* ---- this node's view */

static void find_quorum(struct core *core)
{
    const struct event_ring *ring = &core->local.ring;
    struct text text = {0};
    if (ring->away || ring->count == 0) {
        say(core, ALARM_COROSYNC_AWAY, self(core), "Corosync does not run on this host");
    } else if (!ring->quorate) {
        text_add_u64(text_add(&text, "no quorum: "), ring->count);
        text_add_u64(text_add(&text, " in the ring, "), votes_needed(core));
        text_add(&text, " needed; nothing is started or fenced");
        text_add(&text, suspend_on(core) ? ", guests stand still" : ", guests that run go on");
        found(core, ALARM_NO_QUORUM, "", &text);
    } else if (!query_fresh(core, core->local.now_ms)) {
        say(core, ALARM_NOT_FRESH, self(core),
            tie_lost(core)
                ? "half of the nodes are here, and the term is the other half's: nothing is begun"
                : "Corosync says quorate, but too few agents answer: nothing is begun");
    }
    if (query_fresh(core, core->local.now_ms) &&
        query_copy_age_ms(core, core->local.now_ms) < OLD_COPY_MS && actor_tell_none(core, &text)) {
        found(core, ALARM_NOBODY_ACTS, "", &text);
    }
    if (!ring->away && ring->quorum > votes_enough(core) && core->cluster.counting != 0) {
        struct text wants = {0};
        text_add_u64(text_add(&wants, "Corosync wants "), ring->quorum);
        text_add_u64(text_add(&wants, " votes; more than half of the nodes are "),
                     votes_enough(core));
        found(core, ALARM_VOTES_RAISED, "", text_add(&wants, ": fewer may fail than you think"));
    }
}

static void find_suspended(struct core *core)
{
    uint32_t count = suspend_count(core);
    struct text text = {0};
    if (count > 0) {
        text_add_u64(&text, count);
        text_add(&text, suspend_on(core) ? " guests stand still: there is no quorum here"
                                         : " guests stand still; each is looked at and goes on");
        found(core, ALARM_SUSPENDED, self(core), &text);
    }
}

static void find_storage(struct core *core)
{
    uint64_t age_ms = query_copy_age_ms(core, core->local.now_ms);
    struct text text = {0};
    if (age_ms >= OLD_COPY_MS) {
        text_add(&text, core->local.storage.blocklisted ? "this host is blocklisted in Ceph"
                                                        : "Ceph does not answer");
        text_add(&text, age_ms == UINT64_MAX
                            ? "; the state was never read"
                            : "; this node goes by an old copy and decides nothing");
        found(core, ALARM_STORAGE_AWAY, self(core), &text);
    }
    if (core->local.storage.trouble != STATE_WELL) {
        text_add(text_add(&text, "the state object is "), query_state_word(core));
        found(core, ALARM_STATE_TROUBLE, "", &text);
    }
    if (core->local.commit.state == COMMIT_UNKNOWN) {
        say(core, ALARM_COMMIT_OPEN, self(core),
            "Ceph has not said whether a commit of this node took effect; it is asked again");
    }
}

static void find_pools(struct core *core)
{
    const char *full = core->local.troubles[TROUBLE_POOL];
    struct text text = {0};
    if (full[0] != '\0') {
        text_add(text_add(&text, full),
                 ": what guests write there waits, without an error, until there is room");
        found(core, ALARM_POOL_FULL, "", &text);
    }
}

static void find_clock(struct core *core)
{
    const struct alarms *alarms = &core->local.alarms;
    struct text text = {0};
    if (alarms->jumped_ms == 0 || core->local.now_ms - alarms->jumped_ms >= JUMP_TOLD_MS) {
        return;
    }
    bool back = alarms->jump_ms < 0;
    text_add_u64(text_add(&text, "the wall clock was set by "),
                 (uint64_t)(back ? -alarms->jump_ms : alarms->jump_ms) / 1000);
    found(core, ALARM_CLOCK_JUMPED, self(core), text_add(&text, back ? " s back" : " s ahead"));
}

/* ---- what nodes say of themselves */

/* In heartbeats; what is beyond them goes by the bit of a kind that no node says of itself. */
#define SAYS_LIBVIRT_AWAY (1u << ALARM_LIBVIRT_AWAY)
#define SAYS_VM_SHARED (1u << ALARM_VM_SHARED)
#define SAYS_VM_STUCK (1u << ALARM_VM_DOWN)

/* Of one VM, and for long: many that come to their ends one by one are none. */
static bool has_stuck(const struct core *core)
{
    const struct alarm_seen *seen = NULL;
    for (uint32_t at = 0; (seen = alarm_next(&core->local.alarms, &at)) != NULL;) {
        if (seen->alarm.kind == ALARM_VM_STUCK && seen->own) {
            return true;
        }
    }
    return false;
}

uint32_t alarm_of_ourselves(const struct core *core)
{
    bool libvirt = core->local.domains_known && core->local.libvirt;
    uint32_t mask = (libvirt ? 0 : SAYS_LIBVIRT_AWAY) | (has_stuck(core) ? SAYS_VM_STUCK : 0);
    for (uint32_t i = 0; i < core->local.run_count; i++) {
        const struct run *run = &core->local.runs[i];
        bool shared = run->state == RUN_UP && run->other_stays;
        mask |= shared ? SAYS_VM_SHARED : 0;
    }
    return mask;
}

static void find_said(struct core *core, const struct node_record *node, uint32_t mask, bool own)
{
    if ((mask & SAYS_LIBVIRT_AWAY) != 0) {
        alarm_found(&core->local.alarms, ALARM_LIBVIRT_AWAY, node->name, own,
                    "libvirt does not answer there: no VM is started or stopped on it",
                    core->local.now_ms, core->local.wall_ms);
    }
    if ((mask & SAYS_VM_SHARED) != 0 && !own) { /* the VMs that are here: find_runs() */
        alarm_found(&core->local.alarms, ALARM_VM_SHARED, node->name, own,
                    "images of a VM there are open elsewhere, too: stead status there",
                    core->local.now_ms, core->local.wall_ms);
    }
    if ((mask & SAYS_VM_STUCK) != 0 && !own) { /* likewise */
        alarm_found(&core->local.alarms, ALARM_VM_STUCK, node->name, own,
                    "the end or start of a VM there does not get on: stead status there",
                    core->local.now_ms, core->local.wall_ms);
    }
}

static void find_peer(struct core *core, const struct node_record *node)
{
    const struct peer *peer = peers_see(core, node->nodeid);
    bool own = node->nodeid == core->local.facts.nodeid;
    bool speaks = peer != NULL && peers_speaks(core, peer);
    uint32_t says = own ? alarm_of_ourselves(core) : speaks ? peer->beat.alarms : 0;
    const struct facts *facts = &core->local.facts;
    struct text unverified = {0};
    find_said(core, node, says, own);
    if (!own && speaks && !peer->beat.storage) {
        alarm_found(&core->local.alarms, ALARM_STORAGE_AWAY, node->name, false,
                    "it does not reach Ceph", core->local.now_ms, core->local.wall_ms);
    }
    if (!own && speaks && peer->beat.suspended_ms != 0) {
        alarm_found(&core->local.alarms, ALARM_SUSPENDED, node->name, false,
                    "its guests stand still: it has had no quorum", core->local.now_ms,
                    core->local.wall_ms);
    }
    if (speaks && level_of_peer_is_short(core, &peer->beat)) {
        say(core, ALARM_HOST_TROUBLE, node->name,
            "its agent is older than the state: install the newer release there; it decides "
            "nothing, its VMs run on");
    }
    const char *trouble = query_node_trouble(core, state_find_node(&core->cluster, node->nodeid));
    if (trouble[0] != '\0') {
        say(core, ALARM_HOST_TROUBLE, node->name, trouble);
    }
    bool wrong = own ? devices_find_unverified(&facts->bmc, facts->devices, &unverified)
                 : speaks
                     ? devices_find_unverified(&peer->beat.bmc, peer->beat.devices, &unverified)
                     : false;
    if (wrong) {
        found(core, ALARM_BMC_UNVERIFIED, node->name, &unverified);
    }
}

/* ---- nodes, by the state */

static void find_agent(struct core *core, uint8_t slot, const struct node_record *node)
{
    char text[TEXT_BYTES];
    query_agent_trouble(core, slot, text);
    if (query_halted(core, slot)) {
        say(core, ALARM_HALTED, node->name, text);
    } else if (query_restarts(core, slot) != 0) {
        say(core, ALARM_RESTLESS, node->name, text);
    }
}

static void find_node(struct core *core, uint8_t slot)
{
    const struct node_record *node = &core->cluster.nodes[slot];
    struct text text = {0};
    bool in_ring = query_in_ring(core, slot);
    switch (node->state) {
    case NODE_LOST:
        text_add(&text, "it is gone and its fence is not done; its VMs wait");
        found(core, ALARM_NODE_LOST, node->name, &text);
        return;
    case NODE_REMOVED:
        return;
    case NODE_FENCED:
        if (node->removing) { /* on its way out: nobody waits for it */
            return;
        }
        text_add(&text, "it was fenced and stays out");
        found(core, ALARM_NODE_FENCED, node->name, &text);
        return;
    case NODE_ADMITTED:
        find_agent(core, slot, node);
        if (in_ring && !query_agent_alive(core, slot, core->local.now_ms)) {
            say(core, ALARM_NODE_UNATTENDED, node->name,
                "its agent is silent: nobody looks after its VMs, or whether they run");
        }
        break;
    case NODE_OUT:
    case NODE_FREE:
    case NODE_STATE_COUNT:
        break;
    }
    if (!in_ring && core->local.ring.quorate && node->away_ms == 0) {
        say(core, ALARM_NODE_OFFLINE, node->name, "Corosync does not see it");
    }
}

/* Gone, or back, and not dealt with as others would be. */
static void find_spared(struct core *core, uint64_t due, uint8_t slot)
{
    struct text text;
    const struct node_record *node = &core->cluster.nodes[slot];
    spare_tell(core, due, slot, &text);
    if (text.length > 0) {
        found(core, node->state == NODE_OUT ? ALARM_KEPT_OUT : ALARM_FENCE_HELD, node->name, &text);
    }
}

/* The acting node sees it: a stray entry that stands, or stood lately. */
static void find_address(struct core *core, uint8_t slot)
{
    const struct address *address = &core->local.acting.addresses[slot];
    if (address->stray_ms != 0 && core->local.now_ms - address->stray_ms < ADDRESS_TOLD_MS) {
        say(core, ALARM_ADDRESS_BARRED, core->cluster.nodes[slot].name,
            address->stray ? "its address is on the blocklist, so it reaches no disk, and no fence "
                             "wants that: it is being taken off"
                           : "its address was on the blocklist, and no fence wanted that: it was "
                             "taken off");
    }
}

static void find_pause(struct core *core)
{
    struct text text = {0};
    if (pause_tell(core, &text)) {
        found(core, ALARM_PAUSED, "", &text);
    }
}

static void find_nodes(struct core *core)
{
    uint64_t due = spare_due(core);
    for (uint8_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *node = &core->cluster.nodes[slot];
        if (node->state != NODE_FREE && node->state != NODE_REMOVED && node->nodeid != 0) {
            find_node(core, slot);
            find_spared(core, due, slot);
            find_address(core, slot);
            find_peer(core, node);
        }
    }
}

/* ---- VMs, by the state */

static void find_trouble(struct core *core, const struct vm_record *vm, enum vm_trouble trouble,
                         const char *words)
{
    static const enum alarm_kind kinds[VM_TROUBLE_COUNT] = {
        [VM_TROUBLE_PAUSED] = ALARM_VM_PAUSED,
        [VM_TROUBLE_IO_ERROR] = ALARM_VM_IO,
        [VM_TROUBLE_PANICKED] = ALARM_VM_PANICKED,
    };
    ASSERT(trouble < VM_TROUBLE_COUNT);
    if (trouble != VM_TROUBLE_NONE) {
        say(core, kinds[trouble], vm->name, words);
    }
}

static void find_other(struct core *core, const struct vm_record *vm, const struct client *other)
{
    struct text text = {0};
    text_add(text_add(&text, "its images are open at "), other->address);
    found(core, ALARM_VM_SHARED, vm->name,
          text_add(&text, ", too, by somebody its run lease does not name: two may write"));
}

/* What its start or end waits for without a deadline of its own; NULL: nothing. A start that asks
 * nothing waits for a quorum or its turn: others tell that. */
static const char *waits_for(const struct core *core, const struct run *run)
{
    static const char *const words[RUN_STATE_COUNT] = {
        [RUN_ADOPT] = "it was found here, and its lease does not answer or is missing: "
                      "ceph health detail",
        [RUN_TAKE] = "it is to start here, and its lease does not answer: ceph health detail",
        [RUN_DESTROY] =
            "its QEMU here has to end, and no signal ends it: reboot or fence this host",
        [RUN_KILL] = "its QEMU here has to end, and no signal ends it: reboot or fence this host",
        [RUN_BLOCK] = "nothing of it runs here, and it is not on the blocklist yet: "
                      "ceph health detail",
        [RUN_UNLOCK] = "nothing of it runs here, and its images' locks do not answer: "
                       "ceph health detail",
        [RUN_RELEASE] = "nothing of it runs here, and its lease does not answer: "
                        "ceph health detail",
    };
    bool asks = call_open(&run->call) || core->local.now_ms < run->retry_ms;
    ASSERT(run->state < RUN_STATE_COUNT);
    return run->state != RUN_TAKE || (asks && !run->done) ? words[run->state] : NULL;
}

/* Whatever the state has of it: it may still be `running` there, or another's by now. */
static void find_stuck(struct core *core, const struct run *run)
{
    const char *words = waits_for(core, run);
    uint32_t slot = words != NULL ? run_slot(core, &run->vm, run->slot) : VMS_MAX;
    if (slot != VMS_MAX) {
        say(core, ALARM_VM_STUCK, core->cluster.vms[slot].name, words);
    }
}

/* Beside what does not get on: what stands still here and cannot be committed, since nobody acts or
 * Ceph is away. */
static void find_runs(struct core *core)
{
    for (uint32_t i = 0; i < core->local.run_count; i++) {
        const struct run *run = &core->local.runs[i];
        const struct vm_record *vm = run->state == RUN_UP ? run_assigned(core, run) : NULL;
        find_stuck(core, run);
        if (vm != NULL) {
            enum vm_trouble trouble = run_trouble(core, run);
            find_trouble(core, vm, trouble, ends_trouble_word(trouble));
            if (run->other_stays) {
                find_other(core, vm, &run->other);
            }
        }
    }
}

/* When it last began to run, as far as the history still tells. */
static uint64_t ran_wall_ms(const struct core *core, const struct vm_record *vm)
{
    uint64_t wall_ms = 0;
    for (uint32_t i = 0; i < HISTORY_MAX; i++) {
        const struct history_entry *entry = &core->cluster.history[i];
        if (entry->kind == HISTORY_VM_RUNNING && entry->wall_ms > wall_ms &&
            name_equal(entry->vm, vm->name)) {
            wall_ms = entry->wall_ms;
        }
    }
    return wall_ms;
}

/* A row of ends is over once it has run for long. */
static void find_ends(struct core *core, const struct vm_record *vm)
{
    bool runs = vm->state == VM_RUNNING;
    if (vm->ends < ENDS_MANY ||
        (runs && core->local.wall_ms >= ran_wall_ms(core, vm) + timing_steady_ms())) {
        return;
    }
    struct text text = {0};
    text_add(text_add_u64(text_add(&text, "it ended by itself "), vm->ends), " times in a row");
    text_add(text_add(&text, vm->reason[0] != '\0' ? ": " : ""), vm->reason);
    found(core, ALARM_VM_ENDS, vm->name, &text);
}

static void find_vm(struct core *core, const struct vm_record *vm)
{
    struct text text = {0};
    bool wanted = vm->want == WANT_RUNNING;
    if (wanted && vm->state != VM_RUNNING) {
        text_add(text_add(&text, "it is "), query_vm_word(vm));
        text_add(text_add(&text, vm->reason[0] != '\0' ? ": " : ""), vm->reason);
        found(core, ALARM_VM_DOWN, vm->name, &text);
    } else if (!wanted && vm->state != VM_STOPPED) {
        text_add(text_add(&text, "it is wanted stopped and is "), query_vm_word(vm));
        found(core, ALARM_VM_STOPPING, vm->name, &text);
    }
    if (wanted && vm->attempts >= FAILS_MANY) {
        struct text fails = {0};
        text_add(text_add_u64(text_add(&fails, "it failed to start "), vm->attempts), " times");
        text_add(text_add(&fails, vm->reason[0] != '\0' ? ": " : ""), vm->reason);
        found(core, ALARM_VM_FAILS, vm->name, &fails);
    }
    if (wanted) {
        find_ends(core, vm);
    }
    if (vm->state == VM_RUNNING) {
        find_trouble(core, vm, vm->condition.trouble, vm->reason);
    }
}

/* Would the VMs of the fullest node find room on the others? By the sum: what one VM needs in one
 * piece is seen when it is placed. */
static void find_spare(struct core *core)
{
    uint64_t used[NODES_MAX] = {0};
    uint64_t free_mib = 0;
    uint8_t fullest = NODE_NONE;
    uint32_t able = 0;
    for (uint32_t i = 0; i < core->cluster.vm_end; i++) {
        const struct vm_record *vm = &core->cluster.vms[i];
        bool placed = vm->state != VM_FREE && vm->state != VM_STOPPED && vm->node < NODES_MAX;
        used[placed ? vm->node : 0] += placed ? vm->memory_mib : 0;
    }
    for (uint8_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *node = &core->cluster.nodes[slot];
        if (node->state != NODE_ADMITTED || !query_in_ring(core, slot)) {
            continue;
        }
        able++;
        free_mib += node->memory_mib > used[slot] ? node->memory_mib - used[slot] : 0;
        fullest = fullest == NODE_NONE || used[slot] > used[fullest] ? slot : fullest;
    }
    if (fullest == NODE_NONE || able < 2) {
        return;
    }
    const struct node_record *node = &core->cluster.nodes[fullest];
    free_mib -= node->memory_mib > used[fullest] ? node->memory_mib - used[fullest] : 0;
    if (used[fullest] > free_mib) {
        struct text text = {0};
        text_add_u64(text_add(&text, "its VMs need "), used[fullest]);
        text_add_u64(text_add(&text, " MiB, the others have "), free_mib);
        found(core, ALARM_NO_SPARE, node->name, text_add(&text, " MiB to spare"));
    }
}

void alarm_find_all(struct core *core)
{
    uint8_t own = query_own_slot(core);
    find_clock(core);
    if (!query_loaded(core) || own == NODE_NONE) { /* not in a cluster, or not that we know */
        if (core->local.ring.away || core->local.ring.count == 0) {
            find_quorum(core);
        }
        if (!query_loaded(core) && !core->local.storage.missing) {
            find_storage(core);
        }
        return;
    }
    find_quorum(core);
    find_suspended(core);
    find_storage(core);
    find_pools(core);
    find_pause(core);
    find_nodes(core);
    find_spare(core);
    find_runs(core);
    for (uint32_t i = 0; i < core->cluster.vm_end; i++) {
        if (core->cluster.vms[i].state != VM_FREE) {
            find_vm(core, &core->cluster.vms[i]);
        }
    }
}
