/*
 * The VMs of this host.
 *
 * Decides: which VMs this node must start, keep or end, from the copy of the state and what libvirt
 * tells; and, after an agent restart, what to make of what it finds: the lease decides. The
 * domain list is complete before anything is begun.
 * Assumes: life.c has established that our incarnation lives; it drops all runs when it ends.
 * Never: keeps a guest whose lease is not ours, or begins a start without fresh quorum
 * (run_start.c).
 */
#include "agent/run.h"

#include <string.h>

#include "agent/ends.h"
#include "agent/hand.h"
#include "agent/peers.h"
#include "agent/trace.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/lease.h"
#include "storage/state.h"

#define BIT(state) (1u << (state))
#define ENDS (BIT(RUN_DESTROY) | BIT(RUN_KILL) | BIT(RUN_BLOCK) | BIT(RUN_RELEASE) | BIT(RUN_OVER))

/* The states of a run and the moves allowed between them. */
static const struct {
    const char *word;
    uint32_t moves;
} rows[RUN_STATE_COUNT] = {
    [RUN_IDLE] = {"idle", BIT(RUN_ADOPT) | BIT(RUN_TAKE)},
    [RUN_ADOPT] = {"adopt", ENDS | BIT(RUN_TAKE) | BIT(RUN_UP)},
    [RUN_TAKE] = {"take lease", ENDS | BIT(RUN_CREATE) | BIT(RUN_ADOPT)},
    [RUN_CREATE] = {"create", ENDS | BIT(RUN_WATCHERS)},
    [RUN_WATCHERS] = {"read clients", ENDS | BIT(RUN_NAME)},
    [RUN_NAME] = {"name clients", ENDS | BIT(RUN_CHECK)},
    [RUN_CHECK] = {"check blocklist", ENDS | BIT(RUN_RESUME)},
    [RUN_RESUME] = {"resume", ENDS | BIT(RUN_UP)},
    [RUN_UP] = {"up", ENDS | BIT(RUN_SHUTDOWN)},
    [RUN_SHUTDOWN] = {"shut down", ENDS},
    [RUN_DESTROY] = {"destroy", ENDS},
    [RUN_KILL] = {"kill", ENDS},
    [RUN_BLOCK] = {"block own clients", ENDS | BIT(RUN_UNLOCK) | BIT(RUN_TAKE)},
    [RUN_UNLOCK] = {"break own locks", ENDS | BIT(RUN_TAKE)},
    [RUN_RELEASE] = {"release lease", ENDS},
    [RUN_OVER] = {"over", BIT(RUN_IDLE)},
};

const char *run_word(enum run_state state)
{
    ASSERT(state < RUN_STATE_COUNT);
    return rows[state].word;
}

void run_move(struct run_step *step, enum run_state state, const char *cause)
{
    struct run *run = step->run;
    ASSERT(state < RUN_STATE_COUNT);
    ASSERT(rows[run->state].moves & BIT(state));
    struct text text = {0};
    text_add(text_add(&text, "vm "), step->core->cluster.vms[run->slot].name);
    text_add(text_add(text_add(&text, ": "), rows[run->state].word), " -> ");
    text_add(text_add(text_add(&text, rows[state].word), " ("), cause);
    trace(step->caller, text_add(&text, ")"));
    run->state = state;
    run->call = (struct call){0};
    run->side_call = (struct call){0};
    run->wake = (struct run_wake){0};
    run->done = false;
    run->side_done = false;
    run->retry_ms = 0;
    if (state == RUN_UP) {
        ASSERT(run->lease.state == LEASE_HELD);
        run->starting = false;
        run->again = false;
        run->wanted = (struct lease){0}; /* room for whoever is found beside those it names */
        run->check_ms = step->caller->now_ms;
        run->up_ms = step->caller->now_ms;
        run->others_ms = step->caller->now_ms + run_settings(step)->retry_ms;
        run->other = (struct client){{0}};
        run->other_stays = false;
        run->end = END_STEAD; /* unless we are told otherwise */
        run->fate = END_UNKNOWN;
    }
    if (state == RUN_UP || state == RUN_OVER) {
        peers_hurry(step->core);
    }
}

const struct settings *run_settings(const struct run_step *step)
{
    return &step->core->cluster.settings;
}

struct action *run_call(struct run_step *step, struct call *call, enum action_kind kind,
                        uint32_t limit_ms, bool bound)
{
    const struct vm_record *vm = &step->core->cluster.vms[step->run->slot];
    struct action *action = call_begin(step->caller, call, kind, limit_ms, bound);
    memcpy(action->vm.name, vm->name, NAME_BYTES);
    action->vm.uuid = step->run->vm;
    action->vm.action = step->run->action;
    action->vm.definition_version = vm->definition_version;
    action->vm.definition_digest = vm->definition_digest;
    return action;
}

void run_retry(struct run_step *step)
{
    step->run->retry_ms = step->caller->now_ms + step->core->cluster.settings.retry_ms / 4;
}

/* Does the state give this VM to us, in our present life? */
static bool is_assigned(const struct core *core, const struct vm_record *vm)
{
    bool held = vm->state == VM_STARTING || vm->state == VM_RUNNING || vm->state == VM_STOPPING;
    return held && vm->node < NODES_MAX &&
           incarnation_equal(vm->incarnation, core->local.life.incarnation) &&
           core->cluster.nodes[vm->node].nodeid == core->local.facts.nodeid &&
           core->cluster.nodes[vm->node].state != NODE_FREE;
}

const struct vm_record *run_assigned(const struct core *core, const struct run *run)
{
    ASSERT(run->slot < VMS_MAX);
    const struct vm_record *vm = &core->cluster.vms[run->slot];
    return uuid_equal(&vm->uuid, &run->vm) && is_assigned(core, vm) ? vm : NULL;
}

/* The slot of a VM's record, or VMS_MAX; looked at `hint` first, since all this is asked at each
 * step for each VM here. */
uint32_t run_slot(const struct core *core, const struct uuid *vm, uint32_t hint)
{
    ASSERT(hint < VMS_MAX);
    const struct vm_record *likely = &core->cluster.vms[hint];
    bool there = likely->state != VM_FREE && uuid_equal(&likely->uuid, vm);
    return there ? hint : state_find_vm_uuid(&core->cluster, vm);
}

static struct domain *find_domain(struct local *local, const struct uuid *vm)
{
    for (uint32_t i = 0; i < local->domain_count; i++) {
        if (uuid_equal(&local->domains[i].vm, vm)) {
            return &local->domains[i];
        }
    }
    return NULL;
}

const struct domain *run_domain(const struct core *core, const struct run *run)
{
    const struct local *local = &core->local;
    ASSERT(local->domain_count <= RUNS_MAX);
    for (uint32_t i = 0; i < local->domain_count; i++) {
        uint32_t at = (run->domain_at + i) % local->domain_count;
        if (uuid_equal(&local->domains[at].vm, &run->vm)) {
            return &local->domains[at];
        }
    }
    return NULL;
}

static struct run *find_run(struct local *local, const struct uuid *vm)
{
    for (uint32_t i = 0; i < local->run_count; i++) {
        if (local->runs[i].state != RUN_IDLE && uuid_equal(&local->runs[i].vm, vm)) {
            return &local->runs[i];
        }
    }
    return NULL;
}

static struct run *new_run(struct local *local)
{
    for (uint32_t i = 0; i < local->run_count; i++) {
        if (local->runs[i].state == RUN_IDLE) {
            return &local->runs[i];
        }
    }
    return local->run_count < RUNS_MAX ? &local->runs[local->run_count++] : NULL;
}

static void begin(struct core *core, uint32_t slot, struct caller *caller)
{
    struct run *run = caller_room(caller) ? new_run(&core->local) : NULL;
    if (run == NULL) { /* full: the assignment stands and is tried again when there is room */
        return;
    }
    const struct vm_record *vm = &core->cluster.vms[slot];
    const struct domain *domain = find_domain(&core->local, &vm->uuid);
    *run = (struct run){.slot = slot, .vm = vm->uuid, .has_domain = domain != NULL};
    struct run_step step = {core, run, caller};
    const struct vm_record *assigned = run_assigned(core, run);
    if (assigned != NULL) {
        run->action = assigned->action;
        run->starting = assigned->state == VM_STARTING;
    }
    run->fate = domain == NULL ? run_fate(core, run) : END_UNKNOWN;
    bool fresh_start = run->starting && domain == NULL;
    if (fresh_start) {
        run->lease.generation = vm->generation;
        run->end = END_STEAD;
    }
    run_move(&step, fresh_start ? RUN_TAKE : RUN_ADOPT, fresh_start ? "assigned" : "found here");
}

void run_drop_all(struct core *core)
{
    run_note_fates(&core->local);
    core->local.run_count = 0;
    core->local.begun_epoch = 0;
}

/* The state moved under a run: does it still want what the run is doing? */
static void follow_record(struct run_step *step)
{
    struct run *run = step->run;
    if (run->state == RUN_UP && run_slot(step->core, &run->vm, run->slot) == VMS_MAX) {
        /* a record goes while its VM runs for this alone */
        run_move(step, RUN_OVER, "given back to libvirt");
    }
    const struct vm_record *vm = run_assigned(step->core, run);
    bool same = vm != NULL && action_id_equal(vm->action, run->action);
    if (run->state == RUN_OVER) {
        if (!same) { /* reflected, or assigned anew */
            *run = (struct run){0};
            step->core->local.begun_epoch = 0;
        }
        return;
    }
    if (run->state == RUN_UP && vm != NULL) {
        run->action = vm->action;
        const struct domain *domain = run_domain(step->core, run);
        if (vm->state == VM_STOPPING && domain != NULL && domain->state == DOMAIN_SUSPENDED) {
            run_move(step, RUN_DESTROY, "wanted stopped while it stands still");
        } else if (vm->state == VM_STOPPING) {
            run->deadline_ms = step->caller->now_ms + vm->stop_timeout_ms;
            run_move(step, RUN_SHUTDOWN, "wanted stopped");
        }
        return;
    }
    if (same || run->state >= RUN_SHUTDOWN || run->state == RUN_ADOPT) {
        return;
    }
    run->starting = false;
    if (run->state == RUN_TAKE) { /* whether the lease was taken is open: ask it */
        run_move(step, RUN_ADOPT, "no longer wanted here");
    } else {
        run_end(step, "no longer wanted here");
    }
}

static void carry_on_one(struct run_step *step)
{
    struct run *run = step->run;
    if (call_overdue(&run->call, step->caller->now_ms)) {
        run_retry(step);
    }
    (void)call_overdue(&run->side_call, step->caller->now_ms);
    follow_record(step);
    if (run->state == RUN_IDLE || step->caller->now_ms < run->retry_ms) {
        return;
    }
    if (run->state < RUN_UP) {
        run_start_carry_on(step);
    } else {
        run_end_carry_on(step);
    }
}

/* A bit for each VM in the state that has a run here. */
struct begun {
    uint64_t bits[(VMS_MAX + 63) / 64];
};

static bool is_begun(const struct begun *begun, uint32_t slot)
{
    return (begun->bits[slot / 64] >> slot % 64 & 1) != 0;
}

static void find_begun(const struct core *core, struct begun *begun)
{
    memset(begun, 0, sizeof(*begun));
    for (uint32_t i = 0; i < core->local.run_count; i++) {
        const struct run *run = &core->local.runs[i];
        ASSERT(run->slot < VMS_MAX);
        if (run->state != RUN_IDLE && uuid_equal(&core->cluster.vms[run->slot].uuid, &run->vm)) {
            begun->bits[run->slot / 64] |= UINT64_C(1) << run->slot % 64;
        }
    }
}

/* Every VM of the cluster is looked at, so only after the copy changed or a run ended (then there
 * is room again, too). */
static void begin_assigned(struct core *core, const struct begun *begun, struct caller *caller)
{
    struct local *local = &core->local;
    const struct header *header = &core->cluster.header;
    if (local->begun_epoch == header->epoch && local->begun_version == header->version) {
        return;
    }
    local->begun_version = header->version;
    for (uint32_t slot = 0; slot < core->cluster.vm_end; slot++) {
        const struct vm_record *vm = &core->cluster.vms[slot];
        if (vm->state != VM_FREE && !is_begun(begun, slot) && is_assigned(core, vm) &&
            find_run(local, &vm->uuid) == NULL) {
            begin(core, slot, caller);
        }
    }
    local->begun_epoch = caller->full ? 0 : header->epoch;
}

/* Domains of ours, assigned elsewhere or to nobody. */
static void begin_found(struct core *core, const struct begun *begun, struct caller *caller)
{
    struct local *local = &core->local;
    for (uint32_t i = 0; i < local->domain_count; i++) {
        struct domain *domain = &local->domains[i];
        uint32_t slot = run_slot(core, &domain->vm, domain->slot);
        if (slot == VMS_MAX) {
            continue;
        }
        domain->slot = slot;
        if (!is_begun(begun, slot) && caller->now_ms >= domain->rest_ms &&
            find_run(local, &domain->vm) == NULL) {
            begin(core, slot, caller);
        }
    }
}

void run_carry_on(struct core *core, struct caller *caller)
{
    struct local *local = &core->local;
    if (local->life.state != LIFE_ADMITTED || !local->domains_known) {
        return;
    }
    struct begun begun;
    find_begun(core, &begun);
    begin_assigned(core, &begun, caller);
    begin_found(core, &begun, caller);
    const uint32_t first = local->run_first;
    bool left = false;
    for (uint32_t i = 0; i < local->run_count; i++) {
        const uint32_t at = (first + i) % local->run_count;
        struct run_step step = {core, &local->runs[at], caller};
        bool kills = step.run->state == RUN_KILL; /* others' reads must not delay it */
        if (step.run->state == RUN_IDLE) {
            continue;
        }
        if (kills ? caller_room_urgent(caller) : caller_room(caller)) {
            carry_on_one(&step);
        } else if (!left) { /* the first in the next step, so that all have their turn */
            left = true;
            local->run_first = at;
        }
    }
}

void run_on_answer(struct core *core, const struct event *event, struct caller *caller)
{
    struct local *local = &core->local;
    for (uint32_t i = 0; i < local->run_count; i++) {
        struct run *run = &local->runs[i];
        struct run_step step = {core, run, caller};
        if (call_ends(&run->call, event)) {
            if (run->state < RUN_UP) {
                run_start_on_answer(&step, event);
            } else {
                run_end_on_answer(&step, event);
            }
        } else if (call_ends(&run->wake.call, event)) {
            run_wake_on_answer(&step, event);
        } else if (call_ends(&run->side_call, event)) {
            if (run->state < RUN_UP) {
                run_start_on_side(&step, event);
            } else {
                run_up_on_side(&step, event);
            }
        }
    }
}

static void domain_gone(struct run_step *step, enum domain_end end)
{
    struct run *run = step->run;
    if (run->state >= RUN_UP || run->state == RUN_ADOPT) {
        run->has_domain = false; /* in a start it may be an older one's end: destroy to be sure */
    }
    bool unforeseen = run->state == RUN_UP || run->state == RUN_SHUTDOWN || run->state == RUN_ADOPT;
    if (unforeseen || end == END_MIGRATED) { /* moved: it may run elsewhere, whatever we were at */
        run->end = end;
    }
    run->clean = end == END_SHUTDOWN && (run->state == RUN_UP || run->state == RUN_SHUTDOWN);
    switch (run->state) {
    case RUN_WATCHERS:
    case RUN_NAME:
    case RUN_CHECK:
    case RUN_RESUME:
        run_undo(step, "QEMU ended while it was being started");
        return;
    case RUN_UP:
    case RUN_SHUTDOWN:
        run_end(step, ends_word(end));
        return;
    case RUN_IDLE:
    case RUN_ADOPT: /* the lease is being read; then it counts as gone */
    case RUN_TAKE:
    case RUN_CREATE:  /* its own answer tells */
    case RUN_DESTROY: /* likewise */
    case RUN_KILL:
    case RUN_BLOCK:
    case RUN_UNLOCK:
    case RUN_RELEASE:
    case RUN_OVER:
    case RUN_STATE_COUNT:
        return;
    }
}

void run_note_hand(struct core *core, const struct uuid *vm)
{
    struct domain *domain = find_domain(&core->local, vm);
    if (domain != NULL && domain->mark == MARK_ABSENT && !domain->noted) {
        domain->noted = true;
        hand_note(core, vm);
    }
}

bool run_is_anothers(const struct run *run, const struct domain *domain)
{
    ASSERT(run->lease.state == LEASE_HELD);
    return domain->mark == MARK_ABSENT ||
           (domain->mark == MARK_READ && !action_id_equal(domain->action, run->lease.action));
}

void run_kill_anothers(struct run_step *step)
{
    struct run *run = step->run;
    run_note_hand(step->core, &run->vm);
    run->end = run->state < RUN_BLOCK ? END_UNKNOWN : run->end;
    run->intruder = true;
    run->clean = false;
    run_move(step, RUN_KILL, "another hand started it");
}

void run_rest_domain(struct run_step *step)
{
    struct domain *domain = find_domain(&step->core->local, &step->run->vm);
    if (domain != NULL) {
        domain->rest_ms = step->caller->now_ms + run_settings(step)->retry_ms;
    }
}

bool run_kill(struct core *core, const struct uuid *vm, const char *cause, struct caller *caller)
{
    struct run *run = find_run(&core->local, vm);
    if (run == NULL || run->state == RUN_ADOPT || run->state == RUN_OVER) {
        return false;
    }
    struct run_step step = {core, run, caller};
    ASSERT(run->state != RUN_IDLE);
    if (run->state < RUN_UP) {
        run_undo(&step, cause);
    }
    if (run->state >= RUN_UP && run->state < RUN_KILL) {
        run_move(&step, RUN_KILL, cause);
    }
    return true;
}

static void forget_domain(struct local *local, struct domain *domain)
{
    ASSERT(local->domain_count > 0);
    *domain = local->domains[--local->domain_count];
}

void run_on_domain(struct core *core, const struct event_domain *told, struct caller *caller)
{
    struct local *local = &core->local;
    struct domain *domain = find_domain(local, &told->vm);
    struct run *run = find_run(local, &told->vm);
    struct run_step step = {core, run, caller};
    if (told->state == DOMAIN_GONE) {
        bool panicked = domain != NULL && domain->state == DOMAIN_PANICKED;
        if (domain != NULL) {
            forget_domain(local, domain);
        }
        if (run != NULL) {
            domain_gone(&step, panicked ? END_PANICKED : told->end);
        }
        return;
    }
    if (domain == NULL) {
        if (local->domain_count == RUNS_MAX) {
            return;
        }
        domain = &local->domains[local->domain_count++];
        *domain = (struct domain){.vm = told->vm};
    }
    if (told->state == DOMAIN_RUNNING && domain->state != DOMAIN_RUNNING) {
        domain->runs_ms = caller->now_ms;
    }
    domain->state = told->state;
    domain->mark = told->mark;
    domain->action = told->action;
    domain->told = true;
    domain->rest_ms = 0;
    if (run != NULL && run->state == RUN_UP && told->state == DOMAIN_IO_ERROR) {
        run->check_ms = caller->now_ms; /* are we blocklisted, is the lease another's? */
        run->suspect = true;
    }
    bool ending = run != NULL && run->state >= RUN_BLOCK && run->state <= RUN_RELEASE;
    bool up = run != NULL && (run->state == RUN_UP || run->state == RUN_SHUTDOWN);
    if (ending ||
        (up && run_is_anothers(run, domain))) { /* its end was not seen, or is being seen to */
        run_kill_anothers(&step);
    }
    if (run != NULL && run->state == RUN_TAKE) { /* an earlier agent asked libvirt for it */
        run->before = (struct clients){0};
        run_move(&step, RUN_ADOPT, "an earlier start came up here");
    }
    if (run != NULL && (run->state == RUN_ADOPT || run->state >= RUN_UP)) {
        run->has_domain = true;
    }
}

void run_on_domains(struct core *core, bool connected, struct caller *caller)
{
    struct local *local = &core->local;
    if (local->libvirt != connected) {
        local->libvirt = connected;
        peers_hurry(core);
    }
    if (!connected) {
        for (uint32_t i = 0; i < local->domain_count; i++) {
            local->domains[i].told = false;
        }
        return;
    }
    local->domains_known = true;
    for (uint32_t i = local->domain_count; i > 0; i--) {
        if (!local->domains[i - 1].told) { /* not listed any more: it ended meanwhile */
            struct event_domain gone = {.vm = local->domains[i - 1].vm, .state = DOMAIN_GONE};
            run_on_domain(core, &gone, caller);
        }
    }
}

static void observe(const struct core *core, const struct run *run, struct beat *beat)
{
    const struct vm_record *vm = run_assigned(core, run);
    bool same = vm != NULL && action_id_equal(vm->action, run->action);
    bool up = run->state == RUN_UP && vm != NULL && vm->state == VM_STARTING;
    enum vm_trouble trouble = run_trouble(core, run);
    bool changed = run->state == RUN_UP && vm != NULL && vm->state == VM_RUNNING &&
                   vm->condition.trouble != trouble;
    if (!same || (run->state != RUN_OVER && !up && !changed)) {
        return;
    }
    struct observation *fact = &beat->observations[beat->observation_count++];
    bool freed = run->lease.state == LEASE_FREE;
    *fact = (struct observation){
        .slot = run->slot,
        .vm = run->vm,
        .kind = up                        ? OBSERVED_RUNNING
                : changed                 ? OBSERVED_CONDITION
                : freed && !run->starting ? OBSERVED_STOPPED
                                          : OBSERVED_START_FAILED,
        .action = run->action,
        .generation = run->lease.generation,
        .lease = run->lease.state,
        .lease_holder = run->lease.holder,
        .lease_incarnation = run->lease.incarnation,
        .end = run_told_end(run),
        .up_ms = run->up_ms == 0 ? 0 : core->local.now_ms - run->up_ms,
        .trouble = trouble,
    };
    memcpy(fact->reason, run->reason, TEXT_BYTES);
}

void run_fill_observations(const struct core *core, struct beat *beat)
{
    for (uint32_t i = 0; i < core->local.run_count; i++) {
        if (beat->observation_count == OBSERVATIONS_MAX) { /* the rest with a later heartbeat */
            return;
        }
        if (core->local.runs[i].state != RUN_IDLE) {
            observe(core, &core->local.runs[i], beat);
        }
    }
}
