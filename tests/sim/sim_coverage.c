/*
 * An answer is for the machine whose call it ends; what nobody asked for is for all it may touch.
 * Which pairs there are is a table of its own, from what the machines ask for and what the edges
 * may answer (proto/action.h): a pair that was never met is seen, and so is one that cannot be.
 */
#include "tests/sim/sim_coverage.h"

#include <inttypes.h>

#include "agent/life.h"
#include "agent/run.h"
#include "proto/assert.h"
#include "proto/values.h"

#define PAIRS_OF_MACHINE (COVERAGE_STATES * EVENT_KIND_COUNT * COVERAGE_WORDS)

static const char *const event_words[EVENT_KIND_COUNT] = {
    [EVENT_TICK] = "tick",
    [EVENT_RING] = "ring",
    [EVENT_PEER_LEFT] = "peer-left",
    [EVENT_BEAT] = "beat",
    [EVENT_DELTA] = "delta",
    [EVENT_REQUEST] = "request",
    [EVENT_REPLY] = "reply",
    [EVENT_HANDLE] = "handle",
    [EVENT_POLL] = "poll",
    [EVENT_STATE] = "state",
    [EVENT_COMMIT] = "commit",
    [EVENT_LEASE] = "lease",
    [EVENT_BLOCK] = "blocklist",
    [EVENT_LOCKS] = "locks",
    [EVENT_WATCHERS] = "watchers",
    [EVENT_POWER] = "power",
    [EVENT_BMC_IDENTITY] = "BMC-identity",
    [EVENT_DOMAIN_DONE] = "libvirt-call",
    [EVENT_DOMAIN] = "domain",
    [EVENT_DOMAINS] = "libvirt",
    [EVENT_KILLED] = "killed",
    [EVENT_SAVED] = "saved",
    [EVENT_LEAVING] = "leaving",
    [EVENT_TROUBLE] = "trouble",
    [EVENT_KEEPER] = "keeper",
};
static const char *const machine_words[MACHINE_COUNT] = {
    [MACHINE_HANDLE] = "handle",   [MACHINE_LIFE] = "life",   [MACHINE_COMMIT] = "commit",
    [MACHINE_FENCE] = "fence",     [MACHINE_POWER] = "power", [MACHINE_RUN] = "run",
    [MACHINE_BARRIER] = "barrier", [MACHINE_WAKE] = "wake",
};
static const char *const state_words[MACHINE_COUNT][COVERAGE_STATES] = {
    [MACHINE_HANDLE] = {"none", "opening", "open"},
    [MACHINE_COMMIT] = {"idle", "sent", "unknown"},
    [MACHINE_FENCE] = {"idle", "raising", "waiting", "stands"},
    [MACHINE_POWER] = {"untried", "asked", "reading", "off", "failed", "on asked", "on ended"},
    [MACHINE_BARRIER] = {"idle", "reading", "watchers", "raising", "stands", "free", "freeing",
                         "waiting"},
    [MACHINE_WAKE] = {"not", "lease", "blocklist", "asked"},
};

#define BIT(number) (1u << (number))
#define ONE BIT(0) /* of the events that come in one form only */
#define READ                                                                                       \
    (BIT(OUTCOME_DONE) | BIT(OUTCOME_FAILED) | BIT(OUTCOME_UNKNOWN) | BIT(OUTCOME_MISSING) |       \
     BIT(OUTCOME_BLOCKLISTED))
#define CHANGE (READ | BIT(OUTCOME_REFUSED))
#define STALE BIT(OUTCOME_STALE)
#define ENTRIES                                                                                    \
    (BIT(OUTCOME_DONE) | BIT(OUTCOME_FAILED) | BIT(OUTCOME_UNKNOWN)) /* any handle may */
#define CALLED (BIT(OUTCOME_DONE) | BIT(OUTCOME_FAILED) | BIT(OUTCOME_UNKNOWN))
#define RESUMED (CALLED | BIT(OUTCOME_REFUSED) | BIT(OUTCOME_MISSING) | STALE)
#define DOMAINS (BIT(DOMAIN_SUSPENDED + 1) - 1)
#define ALL (~0u)
#define USED (ALL & ~BIT(0)) /* every state but the first, in which there is no such machine */

/* Which events may come in which states of a machine, and in which forms. */
static const struct {
    enum machine machine;
    uint32_t states;
    enum event_kind kind;
    uint32_t words;
} may_come[] = {
    {MACHINE_HANDLE, ALL, EVENT_RING, ONE},
    {MACHINE_HANDLE, BIT(HANDLE_OPENING), EVENT_HANDLE, READ},
    {MACHINE_HANDLE, BIT(HANDLE_OPEN), EVENT_POLL, READ},
    {MACHINE_HANDLE, BIT(HANDLE_OPEN), EVENT_STATE, READ},
    {MACHINE_HANDLE, ALL, EVENT_BLOCK, ENTRIES},
    {MACHINE_LIFE, ALL, EVENT_TICK, ONE},
    {MACHINE_LIFE, ALL, EVENT_RING, ONE},
    {MACHINE_LIFE, ALL, EVENT_PEER_LEFT, ONE},
    {MACHINE_LIFE, ALL, EVENT_BEAT, ONE},
    {MACHINE_LIFE, ALL, EVENT_DELTA, ONE},
    {MACHINE_LIFE, ALL, EVENT_REQUEST, ONE},
    {MACHINE_LIFE, ALL, EVENT_REPLY, ONE},
    {MACHINE_LIFE, ALL & ~BIT(LIFE_ADMITTED), EVENT_HANDLE, READ},
    {MACHINE_LIFE, ALL, EVENT_POLL, READ},
    {MACHINE_LIFE, ALL, EVENT_STATE, READ},
    {MACHINE_LIFE, ALL, EVENT_BMC_IDENTITY, ONE},
    {MACHINE_LIFE, ALL, EVENT_DOMAIN, DOMAINS},
    {MACHINE_LIFE, ALL, EVENT_DOMAINS, BIT(false) | BIT(true)},
    {MACHINE_LIFE, BIT(LIFE_OUTSIDE) | BIT(LIFE_LOST), EVENT_KILLED,
     BIT(OUTCOME_DONE) | BIT(OUTCOME_UNKNOWN)},
    {MACHINE_LIFE, USED, EVENT_SAVED, CALLED},
    {MACHINE_LIFE, ALL, EVENT_LEAVING, ONE},
    {MACHINE_LIFE, ALL, EVENT_TROUBLE, ONE},
    {MACHINE_LIFE, ALL, EVENT_KEEPER, ONE},
    {MACHINE_COMMIT, ALL, EVENT_TICK, ONE},
    {MACHINE_COMMIT, ALL, EVENT_RING, ONE},
    {MACHINE_COMMIT, ALL, EVENT_PEER_LEFT, ONE},
    {MACHINE_COMMIT, ALL, EVENT_BEAT, ONE},
    {MACHINE_COMMIT, ALL, EVENT_DELTA, ONE},
    {MACHINE_COMMIT, ALL, EVENT_REQUEST, ONE},
    {MACHINE_COMMIT, ALL, EVENT_HANDLE, READ},
    {MACHINE_COMMIT, ALL, EVENT_POLL, READ},
    {MACHINE_COMMIT, ALL, EVENT_STATE, READ},
    {MACHINE_COMMIT, BIT(COMMIT_SENT), EVENT_COMMIT, CHANGE | STALE},
    {MACHINE_FENCE, USED, EVENT_RING, ONE},
    {MACHINE_FENCE, BIT(FENCE_RAISING), EVENT_BLOCK, ENTRIES | STALE},
    {MACHINE_POWER, ALL, EVENT_RING, ONE},
    {MACHINE_POWER, BIT(POWER_ASKED) | BIT(POWER_READING) | BIT(POWER_ON_ASKED), EVENT_POWER,
     CALLED | STALE},
    {MACHINE_BARRIER, USED, EVENT_RING, ONE},
    {MACHINE_BARRIER, BIT(BARRIER_READING), EVENT_LEASE, READ},
    {MACHINE_BARRIER, BIT(BARRIER_WATCHERS), EVENT_WATCHERS, READ},
    {MACHINE_BARRIER, BIT(BARRIER_RAISING), EVENT_BLOCK, ENTRIES | STALE},
    {MACHINE_BARRIER, BIT(BARRIER_FREEING), EVENT_LEASE, CHANGE | STALE},
    {MACHINE_RUN, USED, EVENT_RING, ONE},
    {MACHINE_RUN, USED, EVENT_DOMAIN, DOMAINS},
    {MACHINE_RUN, USED, EVENT_DOMAINS, BIT(false) | BIT(true)},
    {MACHINE_RUN, BIT(RUN_ADOPT) | BIT(RUN_UP), EVENT_LEASE, READ},
    {MACHINE_RUN, BIT(RUN_TAKE), EVENT_LEASE, CHANGE | STALE},
    {MACHINE_RUN, BIT(RUN_NAME) | BIT(RUN_RELEASE), EVENT_LEASE, CHANGE},
    {MACHINE_RUN, BIT(RUN_TAKE) | BIT(RUN_WATCHERS) | BIT(RUN_UP) | BIT(RUN_BLOCK), EVENT_WATCHERS,
     READ},
    {MACHINE_RUN, BIT(RUN_CREATE) | BIT(RUN_UNLOCK), EVENT_LOCKS, READ},
    {MACHINE_RUN, BIT(RUN_CREATE), EVENT_BLOCK, ENTRIES | STALE},
    {MACHINE_RUN, BIT(RUN_CHECK) | BIT(RUN_UP) | BIT(RUN_BLOCK), EVENT_BLOCK, ENTRIES},
    {MACHINE_RUN, BIT(RUN_CREATE) | BIT(RUN_DESTROY), EVENT_DOMAIN_DONE, CALLED},
    {MACHINE_RUN, BIT(RUN_SHUTDOWN), EVENT_DOMAIN_DONE, CALLED | BIT(OUTCOME_MISSING)},
    {MACHINE_RUN, BIT(RUN_RESUME) | BIT(RUN_UP), EVENT_DOMAIN_DONE, RESUMED},
    {MACHINE_RUN, BIT(RUN_KILL), EVENT_KILLED, BIT(OUTCOME_DONE) | BIT(OUTCOME_UNKNOWN)},
    {MACHINE_WAKE, USED, EVENT_RING, ONE},
    {MACHINE_WAKE, USED, EVENT_DOMAIN, DOMAINS},
    {MACHINE_WAKE, USED, EVENT_DOMAINS, BIT(false) | BIT(true)},
    {MACHINE_WAKE, BIT(WAKE_LEASE), EVENT_LEASE, READ},
    {MACHINE_WAKE, BIT(WAKE_BLOCK), EVENT_BLOCK, ENTRIES},
    {MACHINE_WAKE, BIT(WAKE_ASKED), EVENT_DOMAIN_DONE, RESUMED},
};

_Static_assert(RUN_STATE_COUNT <= COVERAGE_STATES, "room for each state");
_Static_assert(OUTCOME_COUNT <= COVERAGE_WORDS, "room for each outcome");

/* --- noting --- */

static bool is_answer(enum event_kind kind)
{
    return (kind >= EVENT_HANDLE && kind <= EVENT_POWER) || kind == EVENT_DOMAIN_DONE ||
           kind == EVENT_KILLED || kind == EVENT_SAVED;
}

static uint32_t word_of(const struct event *event)
{
    if (is_answer(event->kind)) {
        return (uint32_t)event->done.outcome;
    }
    if (event->kind == EVENT_DOMAIN) {
        return (uint32_t)event->domain.state;
    }
    return event->kind == EVENT_DOMAINS && event->domains.connected;
}

static void hit(struct coverage *coverage, enum machine machine, uint32_t state,
                const struct event *event)
{
    uint32_t word = word_of(event);
    ASSERT(state < COVERAGE_STATES);
    ASSERT(word < COVERAGE_WORDS);
    coverage->hits[machine][state][event->kind][word]++;
}

static bool ends(const struct call *call, const struct event *event)
{
    return call_open(call) && call->id == event->id;
}

static void note_runs(struct coverage *coverage, const struct local *local,
                      const struct event *event)
{
    for (uint32_t i = 0; i < local->run_count; i++) {
        const struct run *run = &local->runs[i];
        bool told = (event->kind == EVENT_DOMAIN && uuid_equal(&run->vm, &event->domain.vm)) ||
                    event->kind == EVENT_DOMAINS || event->kind == EVENT_RING;
        bool its = told || ends(&run->call, event) || ends(&run->side_call, event);
        if (run->state != RUN_IDLE && its) {
            hit(coverage, MACHINE_RUN, (uint32_t)run->state, event);
        }
        if (run->wake.state != WAKE_NOT && (told || ends(&run->wake.call, event))) {
            hit(coverage, MACHINE_WAKE, (uint32_t)run->wake.state, event);
        }
    }
}

static void note_acting(struct coverage *coverage, const struct acting *acting,
                        const struct event *event)
{
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        const struct fence *fence = &acting->fences[i];
        bool ring = event->kind == EVENT_RING && fence->state != FENCE_IDLE;
        if (ring || ends(&fence->barrier_call, event)) {
            hit(coverage, MACHINE_FENCE, (uint32_t)fence->state, event);
        }
        bool power = ring;
        for (uint32_t k = 0; k < POWER_DEVICES_MAX; k++) {
            power |= ends(&fence->power.calls[k], event);
        }
        if (power) {
            hit(coverage, MACHINE_POWER, (uint32_t)fence->power.state, event);
        }
    }
    for (uint32_t i = 0; i < acting->barrier_end; i++) {
        const struct barrier *barrier = &acting->barriers[i];
        bool ring = event->kind == EVENT_RING && barrier->state != BARRIER_IDLE;
        if (ring || ends(&barrier->call, event)) {
            hit(coverage, MACHINE_BARRIER, (uint32_t)barrier->state, event);
        }
    }
}

void coverage_note(struct coverage *coverage, const struct core *core, const struct event *event)
{
    const struct local *local = &core->local;
    bool own = ends(&local->storage.handle_call, event) || ends(&local->storage.poll_call, event) ||
               ends(&local->storage.read_call, event);
    bool unasked = !is_answer(event->kind);
    bool hypervisor = event->kind == EVENT_DOMAIN || event->kind == EVENT_DOMAINS;
    if (own || event->kind == EVENT_RING || ends(&local->storage.predecessor_call, event)) {
        hit(coverage, MACHINE_HANDLE, (uint32_t)local->storage.handle, event);
    }
    if (unasked || own || ends(&local->life.kill_call, event) ||
        ends(&local->life.save_call, event)) {
        hit(coverage, MACHINE_LIFE, (uint32_t)local->life.state, event);
    }
    if (own || ends(&local->commit.call, event) || (event->kind <= EVENT_REQUEST && unasked)) {
        hit(coverage, MACHINE_COMMIT, (uint32_t)local->commit.state, event);
    }
    if (!unasked || hypervisor || event->kind == EVENT_RING) {
        note_runs(coverage, local, event);
        note_acting(coverage, &local->acting, event);
    }
}

/* --- telling --- */

static const char *state_word(enum machine machine, uint32_t state)
{
    if (machine == MACHINE_LIFE) {
        return state < LIFE_STATE_COUNT ? life_word((enum life_state)state) : NULL;
    }
    if (machine == MACHINE_RUN) {
        return state < RUN_STATE_COUNT ? run_word((enum run_state)state) : NULL;
    }
    return state_words[machine][state];
}

static const char *word(enum event_kind kind, uint32_t number)
{
    static const char *const outcomes[COVERAGE_WORDS] = {
        [OUTCOME_DONE] = "done",       [OUTCOME_REFUSED] = "refused",
        [OUTCOME_FAILED] = "failed",   [OUTCOME_UNKNOWN] = "unknown",
        [OUTCOME_MISSING] = "missing", [OUTCOME_BLOCKLISTED] = "blocklisted",
        [OUTCOME_STALE] = "stale",
    };
    static const char *const domains[COVERAGE_WORDS] = {
        [DOMAIN_GONE] = "gone",           [DOMAIN_STARTING] = "starting",
        [DOMAIN_RUNNING] = "running",     [DOMAIN_PAUSED] = "paused",
        [DOMAIN_IO_ERROR] = "io-error",   [DOMAIN_PANICKED] = "panicked",
        [DOMAIN_SUSPENDED] = "suspended",
    };
    const char *said = kind == EVENT_DOMAIN    ? domains[number]
                       : kind == EVENT_DOMAINS ? (number != 0 ? "listed" : "lost")
                       : is_answer(kind)       ? outcomes[number]
                                               : "-";
    return said != NULL ? said : "?";
}

static bool may_be(enum machine machine, uint32_t state, uint32_t kind, uint32_t number)
{
    for (size_t i = 0; i < sizeof(may_come) / sizeof(may_come[0]); i++) {
        if (may_come[i].machine == machine && may_come[i].kind == kind &&
            (may_come[i].states & BIT(state)) != 0 && (may_come[i].words & BIT(number)) != 0) {
            return true;
        }
    }
    return false;
}

/* One word in a column: "take-lease". */
static void write_word(const char *text, int width, FILE *out)
{
    char column[32];
    (void)snprintf(column, sizeof(column), "%s", text);
    for (char *at = column; *at != '\0'; at++) {
        *at = *at == ' ' ? '-' : *at;
    }
    (void)fprintf(out, "%-*s ", width, column);
}

void coverage_write(const struct coverage *coverage, FILE *out)
{
    uint32_t pairs = 0;
    uint32_t never = 0;
    for (uint32_t at = 0; at < MACHINE_COUNT * PAIRS_OF_MACHINE; at++) {
        enum machine machine = (enum machine)(at / PAIRS_OF_MACHINE);
        uint32_t state = at % PAIRS_OF_MACHINE / (EVENT_KIND_COUNT * COVERAGE_WORDS);
        uint32_t kind = at / COVERAGE_WORDS % EVENT_KIND_COUNT;
        uint32_t number = at % COVERAGE_WORDS;
        uint64_t count = coverage->hits[machine][state][kind][number];
        const char *of = state_word(machine, state);
        bool possible = of != NULL && may_be(machine, state, kind, number);
        if (!possible && count == 0) {
            continue;
        }
        pairs += possible;
        never += count == 0;
        write_word(machine_words[machine], 8, out);
        write_word(of != NULL ? of : "?", 16, out);
        write_word(event_words[kind], 13, out);
        write_word(word((enum event_kind)kind, number), 12, out);
        (void)fprintf(out, "%10" PRIu64 "%s\n", count, possible ? "" : " impossible");
    }
    (void)fprintf(out, "%u pairs of a state and an event, %u of them never met\n", pairs, never);
}
