/* An answer is for the machine whose call it ends; what nobody asked for is for all it may touch.
 */
#include "tests/sim/sim_coverage.h"

#include <inttypes.h>

#include "agent/life.h"
#include "agent/run.h"
#include "proto/assert.h"
#include "proto/values.h"

static const char *const event_words[EVENT_KIND_COUNT] = {
    [EVENT_TICK] = "tick",
    [EVENT_RING] = "ring",
    [EVENT_PEER_LEFT] = "peer left",
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
    [EVENT_BMC_IDENTITY] = "BMC identity",
    [EVENT_DOMAIN_DONE] = "libvirt call",
    [EVENT_DOMAIN] = "domain",
    [EVENT_DOMAINS] = "libvirt",
    [EVENT_KILLED] = "killed",
    [EVENT_SAVED] = "saved",
    [EVENT_LEAVING] = "leaving",
    [EVENT_TROUBLE] = "trouble",
};
static const char *const machine_words[MACHINE_COUNT] = {
    [MACHINE_HANDLE] = "handle",   [MACHINE_LIFE] = "life",   [MACHINE_COMMIT] = "commit",
    [MACHINE_FENCE] = "fence",     [MACHINE_POWER] = "power", [MACHINE_RUN] = "run",
    [MACHINE_BARRIER] = "barrier",
};
static const char *const state_words[MACHINE_COUNT][COVERAGE_STATES] = {
    [MACHINE_HANDLE] = {"none", "opening", "open"},
    [MACHINE_COMMIT] = {"idle", "sent", "unknown"},
    [MACHINE_FENCE] = {"idle", "raising", "waiting", "stands"},
    [MACHINE_POWER] = {"untried", "asked", "off", "failed"},
    [MACHINE_BARRIER] = {"idle", "reading", "watchers", "raising", "stands", "free", "freeing",
                         "waiting"},
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
    for (uint32_t i = 0; i < RUNS_MAX; i++) {
        const struct run *run = &local->runs[i];
        bool its = ends(&run->call, event) || ends(&run->side_call, event) ||
                   (event->kind == EVENT_DOMAIN && uuid_equal(&run->vm, &event->domain.vm)) ||
                   event->kind == EVENT_DOMAINS || event->kind == EVENT_RING;
        if (run->state != RUN_IDLE && its) {
            hit(coverage, MACHINE_RUN, (uint32_t)run->state, event);
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
        if (ring || ends(&fence->power_call, event)) {
            hit(coverage, MACHINE_POWER, (uint32_t)fence->power, event);
        }
    }
    for (uint32_t i = 0; i < TAKEOVERS_MAX; i++) {
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
    bool asked = is_answer(event->kind);
    bool own = ends(&local->storage.handle_call, event) || ends(&local->storage.poll_call, event) ||
               ends(&local->storage.read_call, event) ||
               ends(&local->storage.predecessor_call, event);
    if (own || event->kind == EVENT_RING) {
        hit(coverage, MACHINE_HANDLE, (uint32_t)local->storage.handle, event);
    }
    if (!asked || own || ends(&local->life.kill_call, event) ||
        ends(&local->life.save_call, event)) {
        hit(coverage, MACHINE_LIFE, (uint32_t)local->life.state, event);
    }
    if (!asked || own || ends(&local->commit.call, event)) {
        hit(coverage, MACHINE_COMMIT, (uint32_t)local->commit.state, event);
    }
    note_runs(coverage, local, event);
    note_acting(coverage, &local->acting, event);
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
        [DOMAIN_GONE] = "gone",     [DOMAIN_STARTING] = "starting", [DOMAIN_RUNNING] = "running",
        [DOMAIN_PAUSED] = "paused", [DOMAIN_IO_ERROR] = "io error", [DOMAIN_PANICKED] = "panicked",
    };
    const char *said = kind == EVENT_DOMAIN    ? domains[number]
                       : kind == EVENT_DOMAINS ? (number != 0 ? "listed" : "lost")
                       : is_answer(kind)       ? outcomes[number]
                                               : "";
    return said != NULL ? said : "?";
}

static uint64_t met_by_state(const struct coverage *coverage, enum machine machine, uint32_t state,
                             uint32_t kind)
{
    uint64_t sum = 0;
    for (uint32_t w = 0; w < COVERAGE_WORDS; w++) {
        sum += coverage->hits[machine][state][kind][w];
    }
    return sum;
}

static uint64_t met_by_machine(const struct coverage *coverage, enum machine machine, uint32_t kind,
                               uint32_t number)
{
    uint64_t sum = 0;
    for (uint32_t s = 0; s < COVERAGE_STATES; s++) {
        sum += coverage->hits[machine][s][kind][number];
    }
    return sum;
}

void coverage_write(const struct coverage *coverage, uint64_t few, FILE *out)
{
    uint32_t pairs = 0;
    uint32_t fewer = 0;
    for (uint32_t m = 0; m < MACHINE_COUNT; m++) {
        for (uint32_t at = 0; at < COVERAGE_STATES * EVENT_KIND_COUNT * COVERAGE_WORDS; at++) {
            enum machine machine = (enum machine)m;
            uint32_t state = at / (EVENT_KIND_COUNT * COVERAGE_WORDS);
            uint32_t kind = at / COVERAGE_WORDS % EVENT_KIND_COUNT;
            uint32_t number = at % COVERAGE_WORDS;
            uint64_t count = coverage->hits[m][state][kind][number];
            if (met_by_state(coverage, machine, state, kind) == 0 ||
                met_by_machine(coverage, machine, kind, number) == 0) {
                continue;
            }
            pairs++;
            fewer += count < few;
            (void)fprintf(out, "%-8s %-18s %-13s %-12s %10" PRIu64 "%s\n", machine_words[m],
                          state_word(machine, state), event_words[kind],
                          word((enum event_kind)kind, number), count, count < few ? " few" : "");
        }
    }
    (void)fprintf(out,
                  "%u pairs of a state and an event, %u of them met fewer than %" PRIu64 " times\n",
                  pairs, fewer, few);
}
