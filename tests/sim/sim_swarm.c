/*
 * A seed becomes a scenario in the language itself: random faults for some minutes, then everything
 * is healed, powered on and unfenced, and must settle (I5). Each fault draws from a generator of
 * its own, so that a change to one of them does not change the others.
 */
#include "tests/sim/sim_swarm.h"

#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "tests/sim/sim_result.h"
#include "tests/sim/sim_shrink.h"
#include "tests/sim/sim_sketch.h"

#define FIRST_FAULT_S 20
#define HEAL_AFTER_S 20
#define UNFENCE_TRIES 4
#define UNFENCE_EVERY_S 25
#define SETTLE_S 180
#define NODES_AT_MOST 5
#define HOOK_ONE_IN 3
#define TMPFS_FULL_ONE_IN 16
#define TIE_ONE_IN 8
#define CLASSES_ONE_IN 7
#define RARE_ONE_IN 12 /* after so many faults */
#define RARE_APART 500000
#define CHANGE_ONE_IN 18 /* after so many faults */
#define CHANGE_APART 600000

/* Some stories are of clusters in which half may be enough: two nodes, or a qdevice. By the seed,
 * nothing is drawn: the others stay as they were. */
static void make_tie(struct sketch *sketch, uint64_t seed, bool nodes_given)
{
    if (nodes_given ? sketch->nodes == 2 : seed % TIE_ONE_IN == 5) {
        sketch->nodes = 2;
        sketch->tie = TIE_TWO_NODE;
    }
    if (nodes_given ? sketch->nodes % 2 == 0 && seed % TIE_ONE_IN == 6 : seed % TIE_ONE_IN == 6) {
        sketch->nodes = nodes_given ? sketch->nodes : (uint32_t)(seed / TIE_ONE_IN % 2) * 2 + 2;
        sketch->tie = TIE_QDEVICE;
    }
}

/* Some stories have VMs of three policies; nothing is drawn, so the others stay as they are. */
static bool has_classes(uint64_t seed)
{
    return seed % CLASSES_ONE_IN == 3;
}

static const char *class_of(uint64_t seed, uint32_t vm)
{
    static const char *const words[] = {"", " class=gold", " class=timed"};
    return has_classes(seed) ? words[vm % 3] : "";
}

static void make_classes(struct sketch *sketch, uint64_t seed)
{
    static const char *const timed[] = {"watchdog", "power,watchdog"};
    sketch->classes = has_classes(seed);
    sketch->strict = sketch->classes;
    if (sketch->classes) {
        sketch_line(sketch, "class gold proof=power");
        sketch_line(sketch, "class timed proof=%s",
                    sketch->proof.on ? timed[seed / CLASSES_ONE_IN % 2] : "storage,power");
    }
}

static void make_setup(struct sketch *sketch, uint64_t seed)
{
    static const char *const bmcs[] = {"ok", "ok", "none", "dead", "with-host", "slow:4s", "lies"};
    static const char *const pdus[] = {"", " pdu=ok", "", " pdu=ok pdu2=ok", "", " pdu=lies", ""};
    static const char *const ties[] = {
        [TIE_NONE] = "", [TIE_TWO_NODE] = " two_node=yes", [TIE_QDEVICE] = " qdevice=ffsplit"};
    static const char *const tokens[] = {"1000ms", "1000ms", "500ms", "3s"};
    uint32_t bmc = sketch_any(sketch, 0, (uint32_t)(sizeof(bmcs) / sizeof(bmcs[0])) - 1);
    uint32_t memory =
        sketch_any(sketch, 0, 2) != 0 ? 64 : sketch_any(sketch, 6, 12); /* tight in one of three */
    sketch_line(sketch, "# swarm seed %llu", (unsigned long long)seed);
    uint32_t boot = sketch_any(sketch, 1, 4) * 10;
    (void)fprintf(sketch->out, "cluster seed=%llu token=%s boot=%us%s%s", (unsigned long long)seed,
                  tokens[sketch_any(sketch, 0, 3)], boot,
                  seed % HOOK_ONE_IN == 0 ? " hook=yes" : "", ties[sketch->tie]);
    sketch_proof_cluster(sketch, seed);
    make_classes(sketch, seed);
    for (uint32_t n = 1; n <= sketch->nodes; n++) {
        if (sketch_any(sketch, 0, 3) == 0) {
            bmc = sketch_any(sketch, 0, (uint32_t)(sizeof(bmcs) / sizeof(bmcs[0])) - 1);
        }
        sketch->bmc[n] = sketch->proof.alone ? "none" : bmcs[bmc];
        sketch->version[n] = seed % 2 == 0; /* every other story ends with all agents restarted */
        uint64_t behind = (seed + n) % (sizeof(pdus) / sizeof(pdus[0])); /* nothing is drawn */
        behind = sketch->proof.alone ? 0 : behind;
        sketch->pdu[n] = pdus[behind][0] != '\0';
        (void)fprintf(sketch->out, "node n%u mem=%uG bmc=%s%s", n, memory, sketch->bmc[n],
                      pdus[behind]);
        sketch_proof_node(sketch, n);
    }
    for (uint32_t v = 1; v <= sketch->vms; v++) {
        uint32_t kind = sketch_any(sketch, 0, 9);
        uint32_t priority = sketch_any(sketch, 0, 3);
        uint32_t gib = sketch_any(sketch, 1, 4);
        sketch->home[v] = sketch_any(sketch, 1, sketch->nodes);
        sketch_line(sketch, "vm v%u on n%u mem=%uG priority=%u%s%s", v, sketch->home[v], gib,
                    priority, class_of(seed, v),
                    kind == 0   ? " want=stopped"
                    : kind == 1 ? " running=no"
                    : kind == 2 ? " start_fails=1"
                                : "");
    }
    uint32_t budget = sketch_any(sketch, 1, 8);
    if (budget < 3) {
        sketch_at(sketch, "do config set fence_budget=%u", budget);
    }
    uint32_t node = (uint32_t)(seed / TMPFS_FULL_ONE_IN % sketch->nodes) + 1; /* nothing is drawn */
    sketch->tmpfs_full = seed % TMPFS_FULL_ONE_IN == 0 ? node : 0;
    if (sketch->tmpfs_full != 0) {
        sketch_at(sketch, "tmpfs n%u full", sketch->tmpfs_full);
    }
}

/* What a person does who replaced a host. Where more than the barrier proves one dead, he says that
 * the old one is off: not to the end, since that fences the new one, too. And where those that are
 * left were fenced, nobody acts before one of them is rebooted, as the alarm says. */
static void make_word(struct sketch *sketch, uint32_t try)
{
    if (sketch->replaced != 0 && (sketch->proof.on || sketch->strict) && try < UNFENCE_TRIES / 2) {
        sketch_at(sketch, "do node fence n%u --i-vouch", sketch->replaced);
    }
    for (uint32_t n = 1; sketch->replaced != 0 && try == 0 && n <= sketch->nodes; n++) {
        if (n != sketch->replaced) {
            sketch_at(sketch, "reboot n%u", n);
        }
    }
}

static void make_heal(struct sketch *sketch)
{
    sketch->now_ms += HEAL_AFTER_S * 1000;
    sketch_at(sketch, "heal");
    if (sketch->tie == TIE_QDEVICE) {
        sketch_at(sketch, "qdevice up");
    }
    sketch_at(sketch, "storage all up");
    sketch_at(sketch, "state all up");
    sketch_at(sketch, "object back");
    sketch_at(sketch, "pool ok");
    sketch_at(sketch, "monitors back");
    for (uint32_t v = 1; v <= sketch->vms; v++) {
        sketch_at(sketch, "hand resume v%u", v);
        sketch_at(sketch, "lease v%u back", v);
        sketch_at(sketch, "set v%u start_fails=0 start_fails_on=none stop_fails=no", v);
    }
    for (uint32_t n = 1; n <= sketch->nodes; n++) {
        if (sketch->cut[n]) {
            sketch_at(sketch, "mend n%u-n%u", n, n % sketch->nodes + 1);
        }
        sketch_at(sketch, "net n%u up", n);
        sketch_at(sketch, "libvirt n%u ok", n);
        sketch_at(sketch, "start n%u corosync", n);
        sketch_at(sketch, "start n%u agent", n);
        if (sketch->tmpfs_full == n) {
            sketch_at(sketch, "tmpfs n%u ok", n);
        }
        if (sketch->version[n]) { /* else no agent is restarted: what it knows must do */
            sketch_at(sketch, "version n%u %u", n, FEATURE_LEVEL + 1);
        }
    }
    for (uint32_t i = 0; i < UNFENCE_TRIES; i++) {
        for (uint32_t n = 1; n <= sketch->nodes; n++) {
            sketch_at(sketch, "power n%u on", n);
        }
        sketch_at(sketch, "do ha resume");
        sketch->now_ms += UNFENCE_EVERY_S * 1000;
        make_word(sketch, i);
        for (uint32_t n = 1; n <= sketch->nodes; n++) {
            sketch_at(sketch, "do node unfence n%u", n);
            sketch_at(sketch, "do node resume n%u", n);
            sketch_at(sketch, "do cluster join n%u", n);
        }
    }
    sketch_line(sketch, "run %llums", (unsigned long long)sketch->now_ms + SETTLE_S * 1000);
}

char *swarm_text(uint64_t seed, const struct swarm_options *options)
{
    struct sketch sketch = {0};
    sketch.out = open_memstream(&sketch.text, &sketch.size);
    ASSERT(sketch.out != NULL);
    sim_rng_seed(&sketch.rng, seed);
    sketch.nodes = sketch_any(&sketch, 3, NODES_AT_MOST);
    sketch.vms = sketch_any(&sketch, 1, 10);
    uint32_t faults = sketch_any(&sketch, 1, 14);
    sketch.nodes = options->nodes != 0 ? options->nodes : sketch.nodes;
    sketch.vms = options->vms != 0 ? options->vms : sketch.vms;
    make_tie(&sketch, seed, options->nodes != 0);
    make_setup(&sketch, seed);
    sketch.now_ms = FIRST_FAULT_S * 1000;
    for (uint32_t i = 0; i < faults; i++) {
        sim_rng_seed(&sketch.rng, seed * 1000003 + i);
        uint32_t unit = sketch_any(&sketch, 0, 2);
        sketch.now_ms += unit == 0   ? sketch_any(&sketch, 0, 400)
                         : unit == 1 ? sketch_any(&sketch, 400, 5000)
                                     : sketch_any(&sketch, 5000, 40000);
        bool proves = sketch.proof.on && (seed + i) % 3 != 0; /* two of three faults */
        proves ? sketch_proof_fault(&sketch) : sketch_fault(&sketch);
        sim_rng_seed(&sketch.rng, seed * 1000003 + i + RARE_APART);
        if (sketch_any(&sketch, 1, RARE_ONE_IN) == 1) {
            sketch_rare(&sketch);
        }
        sim_rng_seed(&sketch.rng, seed * 1000003 + i + CHANGE_APART);
        if (sketch_any(&sketch, 1, CHANGE_ONE_IN) == 1) {
            sketch_change(&sketch);
        }
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
    for (uint64_t seed = options->first; seed <= options->last; seed++) {
        char *text = swarm_text(seed, options);
        total++;
        sim_result_of(text, options->coverage, why);
        if (why[0] != '\0') {
            failed++;
            report(seed, options, text, why, out);
        }
        free(text);
        if (failed > 0 && options->quick) {
            break;
        }
    }
    (void)fprintf(out, "%llu passed, %u failed\n", (unsigned long long)(total - failed), failed);
    return failed;
}
