/*
 * A seed becomes a scenario in the language itself: random faults for some minutes, then everything
 * is healed, powered on and unfenced, and must settle (I5). Each fault draws from a generator of
 * its own, so that a change to one of them does not change the others.
 */
#include "tests/sim/sim_swarm.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "tests/sim/sim_coverage.h"
#include "tests/sim/sim_shrink.h"

#define FIRST_FAULT_S 20
#define HEAL_AFTER_S 20
#define UNFENCE_TRIES 4
#define UNFENCE_EVERY_S 25
#define SETTLE_S 180
#define NODES_AT_MOST 5
#define COVERAGE_FEW 10

struct sketch {
    char *text;
    size_t size;
    FILE *out;
    struct sim_rng rng;
    uint32_t nodes;
    uint32_t vms;
    uint64_t now_ms;
    const char *bmc[SIM_NODES_MAX + 1]; /* of each node, by its number */
    bool cut[SIM_NODES_MAX + 1];        /* it and the next one ever were cut */
};

static void line(struct sketch *sketch, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void line(struct sketch *sketch, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(sketch->out, format, arguments);
    (void)fputc('\n', sketch->out);
    va_end(arguments);
}

static void at(struct sketch *sketch, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void at(struct sketch *sketch, const char *format, ...)
{
    va_list arguments;
    (void)fprintf(sketch->out, "at %llums ", (unsigned long long)sketch->now_ms);
    va_start(arguments, format);
    (void)vfprintf(sketch->out, format, arguments);
    (void)fputc('\n', sketch->out);
    va_end(arguments);
}

/* Once a statement: in which order C evaluates two arguments is up to the compiler. */
static uint32_t any(struct sketch *sketch, uint32_t low, uint32_t high)
{
    return (uint32_t)sim_rng_range(&sketch->rng, low, high);
}

/* Small ones are likelier. */
static uint32_t product(struct sketch *sketch, uint32_t high, uint32_t other_high)
{
    uint32_t one = any(sketch, 1, high);
    return one * any(sketch, 1, other_high);
}

static void make_setup(struct sketch *sketch, uint64_t seed)
{
    static const char *const bmcs[] = {"ok", "ok", "none", "dead", "with-host", "slow:4s", "lies"};
    static const char *const tokens[] = {"1000ms", "1000ms", "500ms", "3s"};
    uint32_t bmc = any(sketch, 0, (uint32_t)(sizeof(bmcs) / sizeof(bmcs[0])) - 1);
    uint32_t memory = any(sketch, 0, 2) != 0 ? 64 : any(sketch, 6, 12); /* tight in one of three */
    line(sketch, "# swarm seed %llu", (unsigned long long)seed);
    uint32_t boot = any(sketch, 1, 4) * 10;
    line(sketch, "cluster seed=%llu token=%s boot=%us", (unsigned long long)seed,
         tokens[any(sketch, 0, 3)], boot);
    for (uint32_t n = 1; n <= sketch->nodes; n++) {
        if (any(sketch, 0, 3) == 0) {
            bmc = any(sketch, 0, (uint32_t)(sizeof(bmcs) / sizeof(bmcs[0])) - 1);
        }
        sketch->bmc[n] = bmcs[bmc];
        line(sketch, "node n%u mem=%uG bmc=%s", n, memory, bmcs[bmc]);
    }
    for (uint32_t v = 1; v <= sketch->vms; v++) {
        uint32_t kind = any(sketch, 0, 9);
        uint32_t priority = any(sketch, 0, 3);
        uint32_t gib = any(sketch, 1, 4);
        line(sketch, "vm v%u on n%u mem=%uG priority=%u%s", v, any(sketch, 1, sketch->nodes), gib,
             priority,
             kind == 0   ? " want=stopped"
             : kind == 1 ? " running=no"
             : kind == 2 ? " start_fails=1"
                         : "");
    }
}

static void make_partition(struct sketch *sketch)
{
    uint32_t cut = any(sketch, 1, sketch->nodes - 1);
    uint32_t first = any(sketch, 0, sketch->nodes - 1);
    (void)fprintf(sketch->out, "at %llums partition ", (unsigned long long)sketch->now_ms);
    for (uint32_t i = 0; i < sketch->nodes; i++) {
        const char *between = i == 0 ? "" : i == cut ? "|" : ",";
        (void)fprintf(sketch->out, "%sn%u", between, (first + i) % sketch->nodes + 1);
    }
    (void)fputc('\n', sketch->out);
}

static void make_command(struct sketch *sketch, uint32_t node, uint32_t vm)
{
    switch (any(sketch, 0, 6)) {
    case 0:
    case 1:
        at(sketch, "do vm stop v%u --timeout %us", vm, any(sketch, 1, 20));
        return;
    case 2:
    case 3:
        at(sketch, "do vm start v%u", vm);
        return;
    case 4:
        at(sketch, "do node unfence n%u", node);
        return;
    case 5:
        at(sketch, "do vm remove v%u", vm);
        return;
    default:
        at(sketch, "do node fence n%u", node);
        return;
    }
}

/* A path that is slow or gone; `what` is storage or state. */
static void make_path(struct sketch *sketch, const char *what, uint32_t node)
{
    switch (any(sketch, 0, 9)) {
    case 7:
    case 8:
        at(sketch, "%s all lossy:%u%%", what, any(sketch, 1, 20));
        return;
    case 9:
        at(sketch, "%s n%u lossy:%u%%", what, node, any(sketch, 1, 60));
        return;
    case 0:
    case 1:
        at(sketch, "%s n%u down", what, node);
        return;
    case 6:
        at(sketch, "%s n%u silent", what, node);
        return;
    case 2:
        at(sketch, "%s n%u up", what, node);
        return;
    case 3:
        at(sketch, "%s n%u slow:%ums", what, node, product(sketch, 60, 100));
        return;
    case 4:
        at(sketch, "%s all down", what);
        return;
    default:
        at(sketch, "%s all up", what);
        return;
    }
}

static void make_bmc(struct sketch *sketch, uint32_t node)
{
    static const char *const bmcs[] = {"ok", "dead", "slow:8s", "lies", "lies-off"};
    if (strcmp(sketch->bmc[node], "none") != 0) {
        at(sketch, "bmc n%u %s", node, bmcs[any(sketch, 0, 4)]);
    }
}

/* Corosync or the agent restarts, or only one half of that comes to pass. */
static void make_service(struct sketch *sketch, uint32_t node)
{
    const char *service = any(sketch, 0, 2) == 0 ? "agent" : "corosync";
    switch (any(sketch, 0, 9)) {
    case 8:
        at(sketch, "reboot n%u", node);
        return;
    case 9:
        at(sketch, "shutdown n%u", node);
        return;
    case 7:
        at(sketch, "halt n%u", node);
        return;
    case 0:
        at(sketch, "start n%u %s", node, service);
        return;
    case 1:
        at(sketch, "kill n%u %s", node, service);
        return;
    case 2:
        at(sketch, "stop n%u %s", node, service);
        return;
    default:
        at(sketch, "stop n%u %s", node, service);
        sketch->now_ms += product(sketch, 200, 200);
        at(sketch, "start n%u %s", node, service);
        return;
    }
}

/* Not `old`: where all who know better have lost their power, an old object is the only one. */
static void make_object(struct sketch *sketch)
{
    static const char *const kinds[] = {"gone", "back", "garbled", "damaged", "stalled"};
    at(sketch, "object %s", kinds[any(sketch, 0, 4)]);
}

/* Two nodes that do not hear each other, while the others hear both. */
static void make_cut(struct sketch *sketch, uint32_t node)
{
    uint32_t other = node % sketch->nodes + 1;
    sketch->cut[node] = true;
    if (any(sketch, 0, 2) == 0) {
        at(sketch, "mend n%u-n%u", node, other);
    } else {
        at(sketch, "cut n%u-n%u%s", node, other, any(sketch, 0, 2) == 0 ? " oneway" : "");
    }
}

static void make_clock(struct sketch *sketch, uint32_t node)
{
    bool steps = any(sketch, 0, 1) == 0;
    uint32_t much = steps ? product(sketch, 100, 100) : any(sketch, 1, 500);
    bool ahead = any(sketch, 0, 1) == 0;
    if (steps) {
        at(sketch, "clock n%u %s%us", node, ahead ? "+" : "-", much);
    } else {
        at(sketch, "clock n%u drift:%s%uppm", node, ahead ? "" : "-", much);
    }
}

/* Links that go down and up faster than a ring forms. */
static void make_flapping(struct sketch *sketch, uint32_t node)
{
    uint32_t times = any(sketch, 2, 8);
    for (uint32_t i = 0; i < times; i++) {
        at(sketch, "net n%u down", node);
        sketch->now_ms += any(sketch, 20, 1500);
        at(sketch, "net n%u up", node);
        sketch->now_ms += any(sketch, 20, 1500);
    }
}

static void make_odd(struct sketch *sketch, uint32_t node, uint32_t vm)
{
    switch (any(sketch, 0, 6)) {
    case 0:
    case 1:
        make_cut(sketch, node);
        return;
    case 2:
        make_clock(sketch, node);
        return;
    case 3:
        make_flapping(sketch, node);
        return;
    case 4:
        at(sketch, "kill n%u libvirt", node);
        return;
    default:
        at(sketch, "lease v%u %s", vm, any(sketch, 0, 2) == 0 ? "back" : "stalled");
        return;
    }
}

/* A guest ends or stands still, by itself or by virsh. */
static void make_end(struct sketch *sketch, uint32_t vm)
{
    static const char *const hands[] = {"stop", "pause", "resume"};
    static const char *const pools[] = {"ok", "full", "refuses"};
    uint32_t deed = any(sketch, 0, 7);
    if (deed < 2) {
        at(sketch, "guest v%u %s", vm, deed == 0 ? "poweroff" : "panic");
    } else if (deed < 5) {
        at(sketch, "hand %s v%u", hands[deed - 2], vm);
    } else {
        at(sketch, "pool %s", pools[deed - 5]);
    }
}

static void make_freeze(struct sketch *sketch, uint32_t node)
{
    uint32_t times = any(sketch, 2, 300);
    at(sketch, "freeze n%u %ums", node, times * any(sketch, 10, 200));
}

static void make_libvirt(struct sketch *sketch, uint32_t node)
{
    uint32_t seconds = any(sketch, 1, 40);
    at(sketch, "libvirt n%u %s:%us", node, any(sketch, 0, 1) == 0 ? "hang" : "late", seconds);
}

static void make_fault(struct sketch *sketch)
{
    uint32_t node = any(sketch, 1, sketch->nodes);
    uint32_t vm = any(sketch, 1, sketch->vms);
    switch (any(sketch, 0, 25)) {
    case 0:
    case 1:
    case 2:
        at(sketch, "power n%u off", node);
        return;
    case 3:
        at(sketch, "power n%u on", node);
        return;
    case 4:
    case 5:
        make_freeze(sketch, node);
        return;
    case 6:
        make_partition(sketch);
        return;
    case 7:
        at(sketch, "heal");
        return;
    case 8:
        at(sketch, "net n%u %s", node, any(sketch, 0, 2) != 0 ? "down" : "up");
        return;
    case 9:
        make_path(sketch, "storage", node);
        return;
    case 10:
        make_path(sketch, "state", node);
        return;
    case 11:
        at(sketch, "kill n%u agent", node);
        return;
    case 12:
        at(sketch, "kill n%u v%u", node, vm);
        return;
    case 13:
        make_libvirt(sketch, node);
        return;
    case 14:
        make_bmc(sketch, node);
        return;
    case 15:
    case 16:
    case 17:
        make_service(sketch, node);
        return;
    case 18:
        make_object(sketch);
        return;
    case 19:
    case 20:
        make_end(sketch, vm);
        return;
    case 21:
    case 22:
    case 23:
    case 24:
        make_odd(sketch, node, vm);
        return;
    default:
        make_command(sketch, node, vm);
        return;
    }
}

static void make_heal(struct sketch *sketch)
{
    sketch->now_ms += HEAL_AFTER_S * 1000;
    at(sketch, "heal");
    at(sketch, "storage all up");
    at(sketch, "state all up");
    at(sketch, "object back");
    at(sketch, "pool ok");
    for (uint32_t v = 1; v <= sketch->vms; v++) {
        at(sketch, "hand resume v%u", v);
        at(sketch, "lease v%u back", v);
    }
    for (uint32_t n = 1; n <= sketch->nodes; n++) {
        if (sketch->cut[n]) {
            at(sketch, "mend n%u-n%u", n, n % sketch->nodes + 1);
        }
        at(sketch, "net n%u up", n);
        at(sketch, "libvirt n%u ok", n);
        at(sketch, "start n%u corosync", n);
        at(sketch, "start n%u agent", n);
    }
    for (uint32_t i = 0; i < UNFENCE_TRIES; i++) {
        for (uint32_t n = 1; n <= sketch->nodes; n++) {
            at(sketch, "power n%u on", n);
        }
        sketch->now_ms += UNFENCE_EVERY_S * 1000;
        for (uint32_t n = 1; n <= sketch->nodes; n++) {
            at(sketch, "do node unfence n%u", n);
            at(sketch, "do node resume n%u", n);
        }
    }
    line(sketch, "run %llums", (unsigned long long)sketch->now_ms + SETTLE_S * 1000);
}

char *swarm_text(uint64_t seed, const struct swarm_options *options)
{
    struct sketch sketch = {0};
    sketch.out = open_memstream(&sketch.text, &sketch.size);
    ASSERT(sketch.out != NULL);
    sim_rng_seed(&sketch.rng, seed);
    sketch.nodes = any(&sketch, 3, NODES_AT_MOST);
    sketch.vms = any(&sketch, 1, 10);
    uint32_t faults = any(&sketch, 1, 14);
    sketch.nodes = options->nodes != 0 ? options->nodes : sketch.nodes;
    sketch.vms = options->vms != 0 ? options->vms : sketch.vms;
    make_setup(&sketch, seed);
    sketch.now_ms = FIRST_FAULT_S * 1000;
    for (uint32_t i = 0; i < faults; i++) {
        sim_rng_seed(&sketch.rng, seed * 1000003 + i);
        uint32_t unit = any(&sketch, 0, 2);
        sketch.now_ms += unit == 0   ? any(&sketch, 0, 400)
                         : unit == 1 ? any(&sketch, 400, 5000)
                                     : any(&sketch, 5000, 40000);
        make_fault(&sketch);
    }
    make_heal(&sketch);
    (void)fclose(sketch.out);
    return sketch.text;
}

/* A failing seed: the line that replays it, and the smallest story that fails as it does. */
static void report(uint64_t seed, const struct swarm_options *options, const char *text,
                   const char *why, FILE *out)
{
    (void)fprintf(out, "seed %llu fails: %s\n    stead-sim replay %llu", (unsigned long long)seed,
                  why, (unsigned long long)seed);
    if (options->nodes != 0) {
        (void)fprintf(out, " --nodes %u", options->nodes);
    }
    if (options->vms != 0) {
        (void)fprintf(out, " --vms %u", options->vms);
    }
    (void)fputc('\n', out);
    char *small = options->quick ? NULL : shrink(text);
    for (char *row = small != NULL ? strtok(small, "\n") : NULL; row != NULL;
         row = strtok(NULL, "\n")) {
        (void)fprintf(out, "        %s\n", row);
    }
    free(small);
    (void)fflush(out);
}

uint32_t swarm_run(const struct swarm_options *options, FILE *out)
{
    uint32_t failed = 0;
    uint64_t total = 0;
    char why[SIM_LINE_BYTES];
    struct coverage *coverage = options->coverage ? calloc(1, sizeof(*coverage)) : NULL;
    ASSERT(coverage != NULL || !options->coverage);
    for (uint64_t seed = options->first; seed <= options->last; seed++) {
        char *text = swarm_text(seed, options);
        total++;
        shrink_reason(text, coverage, why);
        if (why[0] != '\0') {
            failed++;
            report(seed, options, text, why, out);
        }
        free(text);
        if (failed > 0 && options->quick) {
            break;
        }
    }
    if (coverage != NULL) {
        coverage_write(coverage, COVERAGE_FEW, out);
        free(coverage);
    }
    (void)fprintf(out, "%llu passed, %u failed\n", (unsigned long long)(total - failed), failed);
    return failed;
}
