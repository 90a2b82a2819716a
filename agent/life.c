/*
 * Our own standing in the cluster.
 *
 * Decides: whether this agent may run guests at all. A term that names our incarnation lost,
 * another incarnation than ours, or a read refused because our handle is blocklisted, each mean
 * that the cluster may have given our VMs to others: every guest of ours is killed, by pidfd, with
 * no libvirt in the path, until /proc shows none. Then, and only then, our hands are empty and we
 * can be admitted. A guest that somebody brings here afterwards, past stead, ends likewise. Being
 * absent from the view, or without quorum, ends nobody: guests stand still then (agent/suspend.c).
 * Never: kills for want of knowledge (no copy of the state, storage away).
 */
#include "agent/life.h"

#include "agent/classes.h"
#include "agent/peers.h"
#include "agent/run.h"
#include "agent/trace.h"
#include "agent/view.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"

#define KILL_LIMIT_MS 3000

/* The states of a life and the moves allowed between them. */
static const struct {
    const char *word;
    uint32_t moves; /* mask of states it may move to */
    const char *sentence;
} lives[LIFE_STATE_COUNT] = {
    [LIFE_UNKNOWN] = {"unknown", 1u << LIFE_OUTSIDE | 1u << LIFE_ADMITTED | 1u << LIFE_LOST,
                      "no copy of the state yet: decide nothing"},
    [LIFE_OUTSIDE] = {"outside", 1u << LIFE_ADMITTED | 1u << LIFE_LOST,
                      "not admitted: hands must be empty first"},
    [LIFE_ADMITTED] = {"admitted", 1u << LIFE_OUTSIDE | 1u << LIFE_LOST,
                       "the state holds our incarnation"},
    [LIFE_LOST] = {"lost", 1u << LIFE_OUTSIDE | 1u << LIFE_ADMITTED,
                   "given up by the others, or blocklisted: kill what runs here"},
};

const char *life_word(enum life_state state)
{
    ASSERT(state < LIFE_STATE_COUNT);
    return lives[state].word;
}

static bool outside(const struct life *life)
{
    ASSERT(life->state < LIFE_STATE_COUNT);
    return life->state == LIFE_OUTSIDE || life->state == LIFE_LOST;
}

/* How many guests here a lease names: whoever takes that over bars them by name. */
static uint32_t named_guests(const struct core *core)
{
    const struct local *local = &core->local;
    uint32_t count = 0;
    ASSERT(local->run_count <= RUNS_MAX);
    for (uint32_t i = 0; i < local->run_count; i++) {
        count += local->runs[i].state > RUN_NAME && local->runs[i].state < RUN_BLOCK;
    }
    return count;
}

static void move(struct core *core, enum life_state state, struct caller *caller)
{
    struct life *life = &core->local.life;
    if (life->state == state) {
        return;
    }
    ASSERT(lives[life->state].moves & (1u << state));
    struct text text = {0};
    text_add(text_add(&text, "self: "), lives[life->state].word);
    text_add(text_add(&text, " -> "), lives[state].word);
    text_add(text_add(&text, " ("), lives[state].sentence);
    trace(caller, text_add(&text, ")"));
    if (life->state == LIFE_ADMITTED || state == LIFE_LOST) {
        life->empty = false; /* look in /proc anew */
    }
    life->killed = life->killed && state != LIFE_LOST;
    if (state != LIFE_ADMITTED) {
        life->named = outside(life) ? life->named : named_guests(core);
        run_drop_all(core);
    }
    life->state = state;
    peers_hurry(core);
}

static bool newly_admitted(const struct core *core, const struct node_record *node)
{
    const struct local *local = &core->local;
    return uuid_equal(&node->boot, &local->facts.boot) && local->life.empty &&
           local->storage.handle == HANDLE_OPEN &&
           client_equal(&node->client, &local->storage.client);
}

static enum life_state judge(struct core *core)
{
    struct life *life = &core->local.life;
    const struct storage_view *storage = &core->local.storage;
    if (storage->blocklisted) {
        return incarnation_is_none(life->incarnation) ? LIFE_OUTSIDE : LIFE_LOST;
    }
    if (storage->stale && life->state == LIFE_LOST) {
        return LIFE_LOST; /* the copy is from before; what has become of us is being read */
    }
    if (core->cluster.header.version == 0) {
        /* An incarnation and no cluster: a wrong pool is likelier; kill nothing for it. And let the
         * others first say whether they hold a copy of what is gone. */
        bool heard = core->local.now_ms - core->local.started_ms >= core->cluster.settings.fresh_ms;
        return storage->missing && heard && incarnation_is_none(life->incarnation) ? LIFE_OUTSIDE
                                                                                   : LIFE_UNKNOWN;
    }
    uint8_t slot = state_find_node(&core->cluster, core->local.facts.nodeid);
    if (slot == NODE_NONE) {
        return LIFE_OUTSIDE;
    }
    const struct node_record *node = &core->cluster.nodes[slot];
    bool ours = !incarnation_is_none(life->incarnation) &&
                incarnation_equal(node->incarnation, life->incarnation);
    if (node->state != NODE_ADMITTED) {
        return ours && !(life->state == LIFE_LOST && life->empty) ? LIFE_LOST : LIFE_OUTSIDE;
    }
    if (ours && uuid_equal(&node->boot, &core->local.facts.boot)) {
        return LIFE_ADMITTED;
    }
    if (newly_admitted(core, node)) {
        life->incarnation = node->incarnation;
        life->saved = false;
        return LIFE_ADMITTED;
    }
    return LIFE_OUTSIDE;
}

static void empty_hands(struct core *core, struct caller *caller)
{
    struct life *life = &core->local.life;
    (void)call_overdue(&life->kill_call, caller->now_ms);
    if (life->empty || call_open(&life->kill_call) || caller->now_ms < life->kill_retry_ms) {
        return;
    }
    (void)call_begin(caller, &life->kill_call, ACTION_KILL, KILL_LIMIT_MS, false);
    life->brought = false;
}

static void keep_incarnation(struct core *core, struct caller *caller)
{
    struct life *life = &core->local.life;
    (void)call_overdue(&life->save_call, caller->now_ms);
    if (life->saved || call_open(&life->save_call) || caller->now_ms < life->save_retry_ms) {
        return;
    }
    struct action *action =
        call_begin(caller, &life->save_call, ACTION_SAVE_INCARNATION, KILL_LIMIT_MS, false);
    action->incarnation = life->incarnation;
    life->saving = life->incarnation;
}

void life_carry_on(struct core *core, struct caller *caller)
{
    struct life *life = &core->local.life;
    enum life_state state = judge(core);
    if (state == LIFE_UNKNOWN && life->state != LIFE_UNKNOWN) {
        state = life->state; /* the copy cannot be un-read */
    }
    move(core, state, caller);
    if (life->state == LIFE_OUTSIDE && !incarnation_is_none(life->incarnation) &&
        !core->local.storage.blocklisted) {
        life->incarnation = (struct incarnation){0};
        life->saved = false;
    }
    if (outside(life)) {
        empty_hands(core, caller);
    }
    if (life->state == LIFE_OUTSIDE || life->state == LIFE_ADMITTED) {
        keep_incarnation(core, caller);
    }
}

/* Soon after we say that our hands are empty our address comes off the blocklist: not while a guest
 * that no lease names, so that nobody bars it by name, may have a write under way. */
static void note_strangers(struct core *core, const struct event *event, struct caller *caller)
{
    struct life *life = &core->local.life;
    ASSERT(event->kind == EVENT_KILLED);
    if (event->killed.count > life->named) {
        life->late_ms = event->now_ms + timing_late_ms();
        trace_words(caller, "self: killed a guest that no lease names: its last write may be under "
                            "way, our hands count as empty when it cannot be any more");
    }
    if (event->killed.alive_count == 0) {
        life->named = 0;
    }
    ASSERT(life->named <= RUNS_MAX);
}

/* /proc has none of them any more. libvirt may not say so for a while, and one that it told of
 * before is not to be taken for a guest that runs, should our life go on. */
static void forget_guests(struct core *core)
{
    struct local *local = &core->local;
    ASSERT(local->life.empty);
    for (uint32_t i = local->domain_count; i > 0; i--) {
        const struct domain *domain = &local->domains[i - 1];
        if (run_slot(core, &domain->vm, domain->slot) != VMS_MAX) {
            local->domains[i - 1] = local->domains[--local->domain_count];
        }
    }
}

void life_on_killed(struct core *core, const struct event *event, struct caller *caller)
{
    struct life *life = &core->local.life;
    if (!call_ends(&life->kill_call, event)) {
        return;
    }
    life->killed = life->killed || event->killed.count > 0;
    note_strangers(core, event, caller);
    if (!outside(life) || event->killed.outcome != OUTCOME_DONE || event->killed.alive_count > 0) {
        life->kill_retry_ms = event->now_ms + core->cluster.settings.retry_ms / 4;
    } else if (life->brought) { /* it may have looked before: at once again */
        return;
    } else if (event->now_ms < life->late_ms) {
        life->kill_retry_ms = life->late_ms;
    } else {
        life->empty = true;
        forget_guests(core);
        trace_words(caller, "self: hands are empty, no guest of ours in /proc");
        peers_hurry(core);
    }
}

void life_on_domain(struct core *core, const struct event_domain *told)
{
    struct life *life = &core->local.life;
    ASSERT(!uuid_is_zero(&told->vm));
    if (outside(life) && told->state != DOMAIN_GONE) {
        life->empty = false;
        life->brought = true;
        life->kill_retry_ms = 0;
    }
}

void life_on_saved(struct core *core, const struct event *event)
{
    struct life *life = &core->local.life;
    if (!call_ends(&life->save_call, event)) {
        return;
    }
    if (event->done.outcome == OUTCOME_DONE) {
        life->saved = incarnation_equal(life->saving, life->incarnation);
        life->save_tries = 0;
    } else { /* a full disk, say: tried for ever, and ever more seldom */
        life->save_retry_ms =
            event->now_ms + timing_retry_ms(&core->cluster.settings, life->save_tries++);
    }
}

_Static_assert(RUN_BLOCK > RUN_KILL && RUN_OVER > RUN_BLOCK, "the end of a run, in order");

bool life_no_guest(const struct core *core, bool mortal)
{
    const struct local *local = &core->local;
    const struct cluster *copy = &core->cluster;
    if (local->life.state != LIFE_ADMITTED) {
        return local->life.empty;
    }
    bool empty = local->domains_known && local->libvirt;
    ASSERT(local->domain_count <= RUNS_MAX);
    for (uint32_t i = 0; i < local->domain_count; i++) {
        const struct domain *domain = &local->domains[i];
        uint32_t slot = run_slot(core, &domain->vm, domain->slot);
        empty = empty && (domain->state == DOMAIN_GONE || (mortal && !classes_mortal(copy, slot)));
    }
    for (uint32_t i = 0; i < local->run_count; i++) { /* from RUN_BLOCK on its process is gone */
        const struct run *run = &local->runs[i];
        bool gone = run->state == RUN_IDLE || run->state >= RUN_BLOCK;
        empty = empty &&
                (gone || (mortal && !classes_mortal(copy, run_slot(core, &run->vm, run->slot))));
    }
    return empty;
}
