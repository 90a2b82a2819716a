/*
 * One VM on this host and the world it runs in: its lease, its QEMU, the blocklist. The world
 * carries out what the core asks, and asserts at each effect what I1 and I2 ask of it.
 *
 * We are n2 (slot 1). VM slot 0 is ours.
 */
#ifndef STEAD_TESTS_UNIT_RUN_H
#define STEAD_TESTS_UNIT_RUN_H

#include "agent/run.h"
#include "tests/unit/unit_core.h"

#define OURS 2
#define OUR_SLOT 1

struct world {
    struct unit *u;
    struct lease lease; /* in the pool */
    bool alive;         /* a QEMU of the VM is on this host */
    bool runs;          /* ... and its guest may write */
    bool clean;         /* the last one shut down by itself */
    bool locks_broken;
    struct client dead; /* holds the image's lock and died elsewhere; none */
    uint32_t nonce;     /* of its RADOS client */
    struct clients blocked;
    uint32_t done_count;
    enum action_kind done[64]; /* what was carried out, in order */
};

static inline struct client world_client(const struct world *w)
{
    return unit_client(OURS, w->nonce);
}

/* A VM in that state on us, its lease free (STARTING) or held by us and naming a client. */
static inline struct world *world_new(enum vm_state state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->u = unit_new(OURS);
    unit_set(w->u, "start_ms", 3000);
    unit_set(w->u, "call_ms", 1000);
    struct vm_record *vm = unit_vm(w->u, 0, state, OUR_SLOT);
    w->nonce = 7000;
    w->lease = unit_lease(w->u, 0, OURS);
    w->lease.action = (struct action_id){2, 1}; /* of an earlier start */
    if (state == VM_STARTING) {
        w->lease = (struct lease){.cluster_id = w->lease.cluster_id, .vm = vm->uuid};
        w->lease.generation = UNIT_GENERATION;
    }
    return w;
}

static inline void world_end(struct world *w)
{
    free(w->u);
    free(w);
}

static inline struct run *world_run(const struct world *w)
{
    return &w->u->core.local.runs[0];
}

static inline enum run_state world_state(const struct world *w)
{
    return w->u->core.local.run_count == 0 ? RUN_IDLE : world_run(w)->state;
}

static inline bool world_held(const struct world *w)
{
    return lease_held_by(&w->lease, OURS, (struct incarnation){1, OURS});
}

/* The lease is given away: nothing of ours may be able to write any more. */
static inline void world_check_free(const struct world *w)
{
    assert_false(w->alive);
    for (uint32_t i = 0; i < w->lease.clients.count && !w->clean; i++) {
        assert_true(clients_hold(&w->blocked, &w->lease.clients.list[i]));
    }
    assert_true(w->clean || w->lease.clients.count == 0 || w->locks_broken);
}

static inline bool world_dead_may_write(const struct world *w)
{
    return !client_is_none(&w->dead) && !clients_hold(&w->blocked, &w->dead);
}

/* Does the compare-and-set. */
static inline bool world_change(struct world *w, const struct lease *lease)
{
    if (lease->generation != w->lease.generation + 1) {
        return false;
    }
    if (lease->state == LEASE_FREE) {
        world_check_free(w);
    }
    w->lease = *lease;
    return true;
}

/* Carries out the effect of an action, without answering. False: refused. */
static inline bool world_effect(struct world *w, const struct action *action)
{
    struct client client = world_client(w);
    switch ((int)action->kind) {
    case ACTION_LEASE_CHANGE:
        return world_change(w, &action->lease.lease);
    case ACTION_DOMAIN_CREATE:
        assert_true(world_held(w));
        assert_false(w->alive);
        w->alive = true;
        w->clean = false;
        w->runs = false;
        w->locks_broken = false;
        w->nonce++;
        return true;
    case ACTION_DOMAIN_RESUME: /* never with a client its lease does not name */
        if (!w->alive) {
            return false; /* it ended while this was on its way */
        }
        assert_true(world_held(w));
        assert_true(clients_hold(&w->lease.clients, &client));
        assert_false(clients_hold(&w->blocked, &client));
        assert_false(world_dead_may_write(w));
        w->runs = true;
        return true;
    case ACTION_DOMAIN_SUSPEND:
        w->runs = false;
        return w->alive;
    case ACTION_DOMAIN_DESTROY:
    case ACTION_KILL:
        w->alive = false;
        w->runs = false;
        return true;
    case ACTION_BLOCK_ADD:
        for (uint32_t i = 0; i < action->block.count; i++) {
            (void)clients_add(&w->blocked, &action->block.entries[i]);
        }
        return true;
    case ACTION_LOCKS_BREAK:
        w->locks_broken = true;
        return true;
    default:
        return true;
    }
}

static inline uint32_t world_count_blocked(const struct world *w, const struct action *action)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < action->block.count; i++) {
        count += clients_hold(&w->blocked, &action->block.entries[i]);
    }
    return count;
}

/* Answers with that outcome; what else the answer says is what the world holds. */
static inline void world_tell(struct world *w, const struct action *action, enum outcome outcome)
{
    struct unit *u = w->u;
    bool lease_known = outcome == OUTCOME_DONE || outcome == OUTCOME_REFUSED;
    switch ((int)action->kind) {
    case ACTION_LEASE_CHANGE:
    case ACTION_LEASE_READ:
        unit_lease_is(u, action, outcome, lease_known ? &w->lease : NULL);
        return;
    case ACTION_WATCHERS_READ:
        unit_watchers(u, action, outcome, w->alive ? world_client(w) : (struct client){{0}});
        return;
    case ACTION_BLOCK_ADD:
    case ACTION_BLOCK_CHECK:
        unit_block(u, action, outcome, world_count_blocked(w, action));
        return;
    case ACTION_LOCKS_BREAK:
        unit_locks(u, action, outcome, world_dead_may_write(w) ? w->dead : (struct client){{0}});
        return;
    case ACTION_DOMAIN_CREATE:
    case ACTION_DOMAIN_RESUME:
    case ACTION_DOMAIN_SUSPEND:
    case ACTION_DOMAIN_SHUTDOWN:
    case ACTION_DOMAIN_DESTROY:
        unit_domain_done(u, action, outcome);
        return;
    case ACTION_KILL:
        unit_killed(u, action, outcome, w->alive ? 1 : 0);
        return;
    default:
        return;
    }
}

/* Carries an action out and answers it. */
static inline void world_do(struct world *w, const struct action *action)
{
    if (w->done_count < UNIT_COUNT(w->done)) {
        w->done[w->done_count++] = action->kind;
    }
    bool done = world_effect(w, action);
    world_tell(w, action, done ? OUTCOME_DONE : OUTCOME_REFUSED);
}

static inline bool world_next(struct world *w, struct action *ret_action)
{
    if (w->u->log_count == 0) {
        return false;
    }
    return unit_find(w->u, w->u->log[0].kind, ret_action);
}

/* Carries everything out until the run is in that state; what it asks there stays in the log. */
static inline void world_until(struct world *w, enum run_state state)
{
    struct action action;
    for (unsigned i = 0; world_state(w) != state; i++) {
        if (i > 2000) {
            fail_msg("the run never came to state %s", run_word(state));
        }
        if (world_next(w, &action)) {
            world_do(w, &action);
        } else {
            unit_pass(w->u, UNIT_TICK_MS);
        }
    }
}

static inline void world_settle(struct world *w, uint64_t ms)
{
    uint64_t until_ms = w->u->now_ms + ms;
    struct action action;
    while (w->u->now_ms < until_ms) {
        while (world_next(w, &action)) {
            world_do(w, &action);
        }
        unit_pass(w->u, UNIT_TICK_MS);
    }
}

static inline void unit_domain_marked(struct unit *u, uint32_t slot, enum domain_state state,
                                      enum mark_sight mark, struct action_id action)
{
    struct event event = unit_event(EVENT_DOMAIN, 0);
    event.domain = (struct event_domain){
        .vm = unit_uuid((uint8_t)(0x80 + slot)), .state = state, .mark = mark, .action = action};
    unit_step(u, &event);
}

/* Our agent starts in a world where libvirt lists this domain (DOMAIN_GONE: none). */
static inline void world_restart(struct world *w, enum domain_state domain)
{
    struct unit *u = w->u;
    w->alive = domain != DOMAIN_GONE;
    w->runs = domain == DOMAIN_RUNNING;
    unit_open(u, u->image.nodes[OUR_SLOT].client);
    unit_ring(u, true, u->ring.count, u->ring.nodeids);
    if (domain != DOMAIN_GONE) {
        unit_domain_marked(u, 0, domain, MARK_READ, w->lease.action);
    }
    unit_domains(u);
    unit_pass(u, 60);
}

/* A VM whose start has come to that state. */
static inline struct world *world_at(enum run_state state)
{
    struct world *w = world_new(VM_STARTING);
    unit_start(w->u);
    world_until(w, state);
    return w;
}

/* A VM that was started and runs, its record STARTING still. */
static inline struct world *world_up(void)
{
    struct world *w = world_at(RUN_UP);
    w->done_count = 0;
    return w;
}

/* The end of a guest, told by libvirt. */
static inline void world_guest_ends(struct world *w, enum domain_end end)
{
    w->alive = false;
    w->runs = false;
    w->clean = end == END_SHUTDOWN;
    unit_domain(w->u, 0, DOMAIN_GONE, end);
}

/* The actor assigns the VM otherwise. */
static inline void world_record(struct world *w, enum vm_state state, uint8_t node)
{
    (void)unit_foreign(w->u);
    struct vm_record *vm = unit_foreign_vm(w->u, 0);
    vm->state = state;
    vm->node = node;
    vm->action.counter += 100;
    unit_foreign_send(w->u);
}

static inline const struct observation *world_observation(const struct world *w)
{
    const struct beat *beat = &w->u->core.local.beat;
    return beat->observation_count == 0 ? NULL : &beat->observations[0];
}

/* When the first of that kind was carried out, or -1. */
static inline int world_place_of(const struct world *w, enum action_kind kind)
{
    for (uint32_t i = 0; i < w->done_count; i++) {
        if (w->done[i] == kind) {
            return (int)i;
        }
    }
    return -1;
}

#endif
