/*
 * A seed becomes a scenario in the language itself: random faults for some minutes, then everything
 * is healed, powered on and unfenced, and must settle (I5). Each fault draws from a generator of
 * its own, so that leaving the last ones out does not change the first.
 */
#include "tests/sim/sim_swarm.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"

#define FIRST_FAULT_S 20
#define HEAL_AFTER_S 20
#define UNFENCE_TRIES 4
#define UNFENCE_EVERY_S 25
#define SETTLE_S 180
#define NODES_AT_MOST 5

struct sketch {
    char *text;
    size_t size;
    FILE *out;
    struct sim_rng rng;
    uint32_t nodes;
    uint32_t vms;
    uint64_t now_ms;
};

static void line(struct sketch *draft, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void line(struct sketch *draft, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(draft->out, format, arguments);
    (void)fputc('\n', draft->out);
    va_end(arguments);
}

static void at(struct sketch *draft, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void at(struct sketch *draft, const char *format, ...)
{
    va_list arguments;
    (void)fprintf(draft->out, "at %llums ", (unsigned long long)draft->now_ms);
    va_start(arguments, format);
    (void)vfprintf(draft->out, format, arguments);
    (void)fputc('\n', draft->out);
    va_end(arguments);
}

static uint32_t any(struct sketch *draft, uint32_t low, uint32_t high)
{
    return (uint32_t)sim_rng_range(&draft->rng, low, high);
}

static void make_setup(struct sketch *draft, uint64_t seed)
{
    static const char *const bmcs[] = {"ok", "ok", "none", "dead", "with-host", "slow:4s", "lies"};
    static const char *const tokens[] = {"1000ms", "1000ms", "500ms", "3s"};
    uint32_t bmc = any(draft, 0, (uint32_t)(sizeof(bmcs) / sizeof(bmcs[0])) - 1);
    line(draft, "# swarm seed %llu", (unsigned long long)seed);
    line(draft, "cluster seed=%llu token=%s boot=%us", (unsigned long long)seed,
         tokens[any(draft, 0, 3)], any(draft, 1, 4) * 10);
    for (uint32_t n = 1; n <= draft->nodes; n++) {
        if (any(draft, 0, 3) == 0) {
            bmc = any(draft, 0, (uint32_t)(sizeof(bmcs) / sizeof(bmcs[0])) - 1);
        }
        line(draft, "node n%u mem=64G bmc=%s", n, bmcs[bmc]);
    }
    for (uint32_t v = 1; v <= draft->vms; v++) {
        uint32_t kind = any(draft, 0, 9);
        line(draft, "vm v%u on n%u mem=%uG priority=%u%s", v, any(draft, 1, draft->nodes),
             any(draft, 1, 4), any(draft, 0, 3),
             kind == 0   ? " want=stopped"
             : kind == 1 ? " running=no"
             : kind == 2 ? " start_fails=1"
                         : "");
    }
}

static void make_partition(struct sketch *draft)
{
    uint32_t cut = any(draft, 1, draft->nodes - 1);
    uint32_t first = any(draft, 0, draft->nodes - 1);
    (void)fprintf(draft->out, "at %llums partition ", (unsigned long long)draft->now_ms);
    for (uint32_t i = 0; i < draft->nodes; i++) {
        const char *between = i == 0 ? "" : i == cut ? "|" : ",";
        (void)fprintf(draft->out, "%sn%u", between, (first + i) % draft->nodes + 1);
    }
    (void)fputc('\n', draft->out);
}

static void make_command(struct sketch *draft, uint32_t node, uint32_t vm)
{
    switch (any(draft, 0, 4)) {
    case 0:
    case 1:
        at(draft, "do vm stop v%u --timeout %us", vm, any(draft, 1, 20));
        return;
    case 2:
        at(draft, "do vm start v%u", vm);
        return;
    case 3:
        at(draft, "do node unfence n%u", node);
        return;
    default:
        at(draft, "do node fence n%u", node);
        return;
    }
}

static void make_trouble(struct sketch *draft, uint32_t node)
{
    static const char *const bmcs[] = {"ok", "dead", "slow:8s", "lies"};
    uint32_t ms = any(draft, 1, 80) * any(draft, 1, 100);
    switch (any(draft, 0, 5)) {
    case 0:
        at(draft, "storage n%u slow:%ums", node, ms);
        return;
    case 1:
        at(draft, "state n%u slow:%ums", node, ms);
        return;
    case 2:
        at(draft, "state %s down", any(draft, 0, 2) == 0 ? "all" : "n1");
        return;
    case 3:
        at(draft, "libvirt n%u %s:%us", node, any(draft, 0, 1) == 0 ? "hang" : "late",
           any(draft, 1, 40));
        return;
    case 4:
        at(draft, "storage all down");
        return;
    default:
        at(draft, "kill n%u agent", node);
        (void)bmcs;
        return;
    }
}

static void make_fault(struct sketch *draft)
{
    uint32_t node = any(draft, 1, draft->nodes);
    uint32_t vm = any(draft, 1, draft->vms);
    switch (any(draft, 0, 15)) {
    case 0:
    case 1:
        at(draft, "power n%u off", node);
        return;
    case 2:
    case 3:
        at(draft, "power n%u on", node);
        return;
    case 4:
        at(draft, "freeze n%u %ums", node, any(draft, 2, 300) * any(draft, 10, 200));
        return;
    case 5:
        make_partition(draft);
        return;
    case 6:
        at(draft, "heal");
        return;
    case 7:
        at(draft, "net n%u %s", node, any(draft, 0, 1) == 0 ? "down" : "up");
        return;
    case 8:
        at(draft, "storage n%u down", node);
        return;
    case 9:
        at(draft, "storage %s%u up", "n", node);
        return;
    case 10:
        at(draft, "state all up");
        return;
    case 11:
        at(draft, "kill n%u agent", node);
        return;
    case 12:
        at(draft, "kill n%u v%u", node, vm);
        return;
    case 13:
    case 14:
        make_trouble(draft, node);
        return;
    default:
        make_command(draft, node, vm);
        return;
    }
}

static void make_heal(struct sketch *draft)
{
    draft->now_ms += HEAL_AFTER_S * 1000;
    at(draft, "heal");
    at(draft, "storage all up");
    at(draft, "state all up");
    for (uint32_t n = 1; n <= draft->nodes; n++) {
        at(draft, "net n%u up", n);
        at(draft, "libvirt n%u ok", n);
    }
    for (uint32_t i = 0; i < UNFENCE_TRIES; i++) {
        for (uint32_t n = 1; n <= draft->nodes; n++) {
            at(draft, "power n%u on", n);
        }
        draft->now_ms += UNFENCE_EVERY_S * 1000;
        for (uint32_t n = 1; n <= draft->nodes; n++) {
            at(draft, "do node unfence n%u", n);
        }
    }
    line(draft, "run %llums", (unsigned long long)draft->now_ms + SETTLE_S * 1000);
}

char *swarm_text(uint64_t seed, const struct swarm_options *options, uint32_t fault_max)
{
    struct sketch draft = {0};
    draft.out = open_memstream(&draft.text, &draft.size);
    ASSERT(draft.out != NULL);
    sim_rng_seed(&draft.rng, seed);
    draft.nodes = any(&draft, 3, NODES_AT_MOST);
    draft.vms = any(&draft, 1, 10);
    uint32_t faults = any(&draft, 1, 14);
    draft.nodes = options->nodes != 0 ? options->nodes : draft.nodes;
    draft.vms = options->vms != 0 ? options->vms : draft.vms;
    make_setup(&draft, seed);
    draft.now_ms = FIRST_FAULT_S * 1000;
    for (uint32_t i = 0; i < faults && i < fault_max; i++) {
        sim_rng_seed(&draft.rng, seed * 1000003 + i);
        uint32_t unit = any(&draft, 0, 2);
        draft.now_ms += unit == 0   ? any(&draft, 0, 400)
                        : unit == 1 ? any(&draft, 400, 5000)
                                    : any(&draft, 5000, 40000);
        make_fault(&draft);
    }
    make_heal(&draft);
    (void)fclose(draft.out);
    return draft.text;
}

static bool fails(uint64_t seed, const struct swarm_options *options, uint32_t fault_max, char *why)
{
    struct scenario *story = malloc(sizeof(*story));
    char *text = swarm_text(seed, options, fault_max);
    ASSERT(story != NULL);
    if (scenario_parse("swarm", text, stderr, story) != 0) {
        ASSERT(!"the swarm writes valid scenarios");
    }
    struct sim *sim = sim_run(story, NULL);
    bool failed = !sim_ok(sim);
    (void)snprintf(why, SIM_LINE_BYTES, "%s", sim->violation);
    sim_free(sim);
    free(text);
    free(story);
    return failed;
}

/* The fewest of its faults, from the first on, that still fail. */
static uint32_t shortest(uint64_t seed, const struct swarm_options *options, char *why)
{
    uint32_t count = 0;
    while (count < 64 && !fails(seed, options, count, why)) {
        count++;
    }
    return count;
}

uint32_t swarm_run(const struct swarm_options *options, FILE *out)
{
    uint32_t failed = 0;
    char why[SIM_LINE_BYTES];
    for (uint64_t seed = options->first; seed <= options->last; seed++) {
        if (!fails(seed, options, SWARM_FAULTS_ALL, why)) {
            continue;
        }
        failed++;
        uint32_t faults = shortest(seed, options, why);
        (void)fprintf(out, "seed %llu fails with its first %u faults: %s\n",
                      (unsigned long long)seed, faults, why);
        (void)fprintf(out, "    stead-sim replay %llu --faults %u", (unsigned long long)seed,
                      faults);
        if (options->nodes != 0) {
            (void)fprintf(out, " --nodes %u", options->nodes);
        }
        if (options->vms != 0) {
            (void)fprintf(out, " --vms %u", options->vms);
        }
        (void)fputc('\n', out);
        (void)fflush(out);
    }
    uint64_t total = options->last - options->first + 1;
    (void)fprintf(out, "%llu passed, %u failed\n", (unsigned long long)(total - failed), failed);
    return failed;
}
