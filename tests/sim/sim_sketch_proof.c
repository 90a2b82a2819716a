/* Stories of clusters in which more than the barrier proves a host dead: the policy, watchdogs with
 * their settings, and what goes wrong where time or a BMC is believed. The watchdogs are honest,
 * and as bad as they are said to be: one fires at its bound, and its keeper's last feed is carried
 * out late by all that fencing/timing.c has for that. In some stories one arms and never fires. */
#include "tests/sim/sim_sketch.h"

#define ONE_IN 4
#define NEVER_ONE_IN 6 /* of these */
#define APART 700000
#define FEED_LATE_MS 1400 /* a feed and what steps take, but for how exactly the world fires */
#define FEWEST_FIRES_MS 3000
#define LEAST_MS 2000 /* of watchdog_ms */

static const char *const policies[] = {
    "watchdog", "watchdog",       "watchdog",         "watchdog",      "watchdog",
    "power",    "power,watchdog", "storage,watchdog", "storage,power",
};
#define WATCHDOG_ALONE 5 /* so many of them */
#define POLICIES (sizeof(policies) / sizeof(policies[0]))

static uint32_t any_of(struct sketch *sketch, const uint32_t *values, uint32_t count)
{
    return values[sketch_any(sketch, 0, count - 1)];
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

void sketch_proof_cluster(struct sketch *sketch, uint64_t seed)
{
    static const uint32_t fresh_ms[] = {1000, 400, 600, 2500};
    static const uint32_t timeout_ms[] = {LEAST_MS, 3000, 5000, 10000, 10000};
    static const uint32_t late_ms[] = {0, 0, 1000, 4000};
    struct sketch_proof *proof = &sketch->proof;
    proof->on = seed / 3 % ONE_IN == 1; /* by the seed: the others stay as they were */
    if (!proof->on) {
        (void)fputc('\n', sketch->out);
        return;
    }
    struct sim_rng before = sketch->rng;
    sim_rng_seed(&sketch->rng, seed * 1000003 + APART);
    uint32_t policy = sketch_any(sketch, 0, POLICIES - 1);
    proof->alone = policy < WATCHDOG_ALONE && sketch_any(sketch, 0, 4) != 0;
    proof->fresh_ms = any_of(sketch, fresh_ms, 4);
    proof->timeout_ms = larger(any_of(sketch, timeout_ms, 5), 2 * proof->fresh_ms);
    proof->fires_ms = larger(proof->timeout_ms + any_of(sketch, late_ms, 4), FEWEST_FIRES_MS);
    (void)fprintf(sketch->out,
                  " proof=%s beat_ms=%ums fresh_ms=%ums watchdog_ms=%ums watchdog_fires_ms=%ums\n",
                  policies[policy], proof->fresh_ms < 600 ? 100u : 200u, proof->fresh_ms,
                  proof->timeout_ms, proof->fires_ms);
    for (uint32_t n = 1; n <= sketch->nodes; n++) {
        uint32_t kind = sketch_any(sketch, 0, 5);
        uint32_t feed_ms = sketch_any(sketch, 0, 1) * FEED_LATE_MS;
        proof->watchdog[n] = kind != 0;
        proof->late_ms[n] = proof->fires_ms - proof->timeout_ms + feed_ms;
    }
    uint32_t never = sketch_any(sketch, 1, NEVER_ONE_IN * sketch->nodes);
    proof->never = never <= sketch->nodes && proof->watchdog[never] ? never : 0;
    sketch->rng = before;
}

void sketch_proof_node(struct sketch *sketch, uint32_t node)
{
    if (sketch->proof.never == node) {
        (void)fprintf(sketch->out, " watchdog=never");
    } else if (sketch->proof.on && sketch->proof.watchdog[node]) {
        (void)fprintf(sketch->out, " watchdog=late:%ums", sketch->proof.late_ms[node]);
    }
    (void)fputc('\n', sketch->out);
}

/* Nobody of it is heard any more, and its agent may not know. */
static void make_deaf(struct sketch *sketch, uint32_t node)
{
    switch (sketch_any(sketch, 0, 4)) {
    case 0:
        sketch_at(sketch, "hang n%u %us", node, sketch_any(sketch, 2, 60));
        return;
    case 1:
        sketch_at(sketch, "freeze n%u %us", node, sketch_any(sketch, 2, 60));
        return;
    case 2:
        sketch_at(sketch, "stop n%u agent", node);
        return;
    case 3:
        sketch_at(sketch, "kill n%u keeper", node);
        return;
    default:
        return;
    }
}

/* It is given up: by a cut, or by a person while it is heard. */
static void make_lost(struct sketch *sketch, uint32_t node)
{
    switch (sketch_any(sketch, 0, 4)) {
    case 0:
    case 1:
        sketch_at(sketch, "net n%u down", node);
        return;
    case 2:
        sketch_at(sketch, "kill n%u corosync", node);
        return;
    default:
        sketch_at(sketch, "do node fence n%u", node);
        return;
    }
}

static void make_gone(struct sketch *sketch, uint32_t node)
{
    bool lost_first = sketch_any(sketch, 0, 1) == 0;
    if (lost_first) {
        make_lost(sketch, node);
        sketch->now_ms += sketch_any(sketch, 0, 3000);
    }
    make_deaf(sketch, node);
    if (!lost_first) {
        sketch->now_ms += sketch_any(sketch, 0, 300);
        make_lost(sketch, node);
    }
    if (sketch_any(sketch, 0, 1) == 0) {
        sketch_at(sketch, "storage n%u down", node);
    }
}

/* No signal ends its guest, so that its host is not empty by itself. At times its agent goes on
 * later, and finds its keeper new. */
static void make_stuck_host(struct sketch *sketch)
{
    uint32_t vm = sketch_any(sketch, 1, sketch->vms);
    bool keeper = sketch_any(sketch, 0, 2) == 0;
    sketch_at(sketch, "guest v%u stuck:%us", vm, sketch_any(sketch, 20, 90));
    sketch->now_ms += sketch_any(sketch, 0, 500);
    make_lost(sketch, sketch->home[vm]);
    if (keeper) {
        sketch_at(sketch, "hang n%u %us", sketch->home[vm], sketch_any(sketch, 3, 9));
        sketch->now_ms += sketch_any(sketch, 0, 500);
        sketch_at(sketch, "kill n%u keeper", sketch->home[vm]);
    }
}

/* An operator changes what is believed, or by which figures, in the middle of it. */
static void make_policy(struct sketch *sketch)
{
    sketch_at(sketch, "do config set proof=%s", policies[sketch_any(sketch, 0, POLICIES - 1)]);
    if (sketch_any(sketch, 0, 1) == 0) {
        sketch->now_ms += sketch_any(sketch, 50, 4000);
        sketch_at(sketch, "do config set proof=watchdog");
    }
}

/* Only where each device fires at its timeout is it within what is said after each order of
 * these two commands. */
static void make_figures(struct sketch *sketch)
{
    static const uint32_t fresh_ms[] = {600, 600, 1000, 2500};
    const struct sketch_proof *proof = &sketch->proof;
    if (proof->fresh_ms == fresh_ms[3] || sketch_any(sketch, 0, 3) == 0 ||
        proof->fires_ms != proof->timeout_ms) {
        sketch_at(sketch, "do config set fresh_ms=%ums", any_of(sketch, fresh_ms, 4));
        return;
    }
    uint32_t timeout_ms = sketch_any(sketch, 3, 6) * FEWEST_FIRES_MS / 3;
    sketch_at(sketch, "do config set watchdog_ms=%ums", timeout_ms);
    sketch->now_ms += sketch_any(sketch, 1, 2000);
    sketch_at(sketch, "do config set watchdog_fires_ms=%ums", timeout_ms);
}

/* Nobody has a quorum. */
static void make_apart(struct sketch *sketch)
{
    (void)fprintf(sketch->out, "at %llums partition ", (unsigned long long)sketch->now_ms);
    for (uint32_t n = 1; n <= sketch->nodes; n++) {
        (void)fprintf(sketch->out, "%sn%u", n == 1 ? "" : "|", n);
    }
    (void)fputc('\n', sketch->out);
    sketch->now_ms += sketch_product(sketch, 60, 1000);
    sketch_at(sketch, "heal");
}

/* `side` in one ring, all others in another. */
static void part(struct sketch *sketch, uint64_t side)
{
    (void)fprintf(sketch->out, "at %llums partition ", (unsigned long long)sketch->now_ms);
    for (uint32_t i = 0; i < 2; i++) {
        const char *between = i == 0 ? "" : "|";
        for (uint32_t n = 1; n <= sketch->nodes; n++) {
            if (((side >> n & 1) != 0) == (i == 0)) {
                (void)fprintf(sketch->out, "%sn%u", between, n);
                between = ",";
            }
        }
    }
    (void)fputc('\n', sketch->out);
}

/* A host is given up, and those that go on answering it have not read so: what told them went with
 * the one who decided it, and they cannot read the state. He comes back to them later, or to all.
 */
static void make_unread(struct sketch *sketch, uint32_t node)
{
    uint32_t actor = node % sketch->nodes + 1;
    uint64_t alone = UINT64_C(1) << actor;
    for (uint32_t n = 1; n <= sketch->nodes; n++) {
        if (n != actor) { /* its leases would tell it, too */
            sketch_at(sketch, "%s n%u down", n == node ? "storage" : "state", n);
        }
    }
    sketch_at(sketch, "state n%u slow:%ums", actor, sketch_any(sketch, 50, 500));
    sketch->now_ms += sketch_any(sketch, 2000, 6000);
    sketch_at(sketch, "do node fence n%u", node);
    sketch->now_ms += sketch_any(sketch, 0, 700);
    part(sketch, alone);
    sketch->now_ms += sketch_any(sketch, 5000, 60000);
    if (sketch_any(sketch, 0, 1) == 0) {
        part(sketch, UINT64_C(1) << node);
    } else {
        sketch_at(sketch, "heal");
    }
    sketch->now_ms += sketch_any(sketch, 0, 30000);
}

/* Given up within what its last heartbeat vouched for, by agents that know it at once: the sum is
 * all that is left. */
static void make_tight(struct sketch *sketch, uint32_t node)
{
    const char *how = sketch_any(sketch, 0, 2) == 0 ? "hang" : "freeze";
    sketch_at(sketch, "%s n%u %us", how, node, sketch_any(sketch, 10, 60));
    sketch->now_ms += sketch_any(sketch, 0, 100);
    sketch_at(sketch, "do node fence n%u", node);
    if (sketch->proof.fresh_ms > 2000) {
        sketch_at(sketch, "do config set fresh_ms=600ms");
    }
}

static void make_drift(struct sketch *sketch, uint32_t node)
{
    static const char *const ways[] = {"", "-"};
    const char *way = ways[sketch_any(sketch, 0, 1)];
    sketch_at(sketch, "clock n%u drift:%s%uppm", node, way, sketch_any(sketch, 100, 500));
    sketch->now_ms += sketch_any(sketch, 0, 20000);
    make_gone(sketch, node % sketch->nodes + 1);
}

void sketch_proof_fault(struct sketch *sketch)
{
    uint32_t node = sketch_any(sketch, 1, sketch->nodes);
    uint32_t most =
        sketch->proof.tried ? 12 : 19; /* what needs all others to be well comes first */
    sketch->proof.tried = true;
    switch (sketch_any(sketch, 0, most)) {
    case 0:
    case 8:
    case 9:
        make_stuck_host(sketch);
        return;
    case 13:
    case 14:
    case 15:
        make_tight(sketch, node);
        return;
    case 16:
    case 17:
        make_unread(sketch, node);
        return;
    case 1:
        make_policy(sketch);
        make_gone(sketch, node);
        return;
    case 2:
        make_policy(sketch);
        return;
    case 3:
        make_gone(sketch, node);
        make_figures(sketch);
        return;
    case 4:
    case 18:
    case 19:
        make_figures(sketch);
        sketch->now_ms += sketch_any(sketch, 500, 5000);
        make_gone(sketch, node);
        return;
    case 5:
        make_apart(sketch);
        return;
    case 6:
        make_unread(sketch, node);
        return;
    case 7:
        make_drift(sketch, node);
        return;
    default:
        make_gone(sketch, node);
        return;
    }
}
