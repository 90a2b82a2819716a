/* What may go wrong in a made-up story, each with its share. */
#include "tests/sim/sim_sketch.h"

#include <stdarg.h>
#include <string.h>

void sketch_line(struct sketch *sketch, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(sketch->out, format, arguments);
    (void)fputc('\n', sketch->out);
    va_end(arguments);
}

void sketch_at(struct sketch *sketch, const char *format, ...)
{
    va_list arguments;
    (void)fprintf(sketch->out, "at %llums ", (unsigned long long)sketch->now_ms);
    va_start(arguments, format);
    (void)vfprintf(sketch->out, format, arguments);
    (void)fputc('\n', sketch->out);
    va_end(arguments);
}

uint32_t sketch_any(struct sketch *sketch, uint32_t low, uint32_t high)
{
    return (uint32_t)sim_rng_range(&sketch->rng, low, high);
}

uint32_t sketch_product(struct sketch *sketch, uint32_t high, uint32_t other_high)
{
    uint32_t one = sketch_any(sketch, 1, high);
    return one * sketch_any(sketch, 1, other_high);
}

static void make_partition(struct sketch *sketch)
{
    if (sketch->tie == TIE_QDEVICE && sketch_any(sketch, 0, 3) == 0) {
        sketch_at(sketch, "qdevice %s", sketch_any(sketch, 0, 1) == 0 ? "up" : "down");
        return;
    }
    if (sketch_any(sketch, 0, 1) == 0) {
        sketch_at(sketch, "heal");
        return;
    }
    uint32_t cut = sketch_any(sketch, 1, sketch->nodes - 1);
    uint32_t first = sketch_any(sketch, 0, sketch->nodes - 1);
    (void)fprintf(sketch->out, "at %llums partition ", (unsigned long long)sketch->now_ms);
    for (uint32_t i = 0; i < sketch->nodes; i++) {
        const char *between = i == 0 ? "" : i == cut ? "|" : ",";
        (void)fprintf(sketch->out, "%sn%u", between, (first + i) % sketch->nodes + 1);
    }
    (void)fputc('\n', sketch->out);
}

/* Most are cut off or without power, and somebody gives them up: rightly or not. */
static void make_force(struct sketch *sketch, uint32_t node)
{
    for (uint32_t i = 1; i <= sketch->nodes / 2 + 1 && i < sketch->nodes; i++) {
        uint32_t other = (node + i - 1) % sketch->nodes + 1;
        uint32_t how = sketch_any(sketch, 0, 3);
        if (how == 0) {
            sketch_at(sketch, "net n%u down", other);
            sketch_at(sketch, "storage n%u down", other);
        } else {
            sketch_at(sketch, how == 1 ? "net n%u down" : "power n%u off", other);
        }
    }
    sketch->now_ms += sketch_any(sketch, 0, 6000);
    sketch_at(sketch, "do cluster force n%u", node);
    sketch->now_ms += 9000 + sketch_any(sketch, 0, 3000); /* it watches for 10 s */
}

static void make_command(struct sketch *sketch, uint32_t node, uint32_t vm)
{
    switch (sketch_any(sketch, 0, 14)) {
    case 9:
    case 10:
        make_force(sketch, node);
        return;
    case 11:
    case 12:
        sketch_at(sketch, "do ha pause freeze");
        return;
    case 13:
        sketch_at(sketch, "do ha pause ignore");
        return;
    case 14:
        sketch_at(sketch, "do ha resume");
        return;
    case 7:
        sketch_at(sketch, "do node remove n%u", node);
        return;
    case 8:
        sketch_at(sketch, "do cluster join n%u", node);
        return;
    case 0:
    case 1:
        sketch_at(sketch, "do vm stop v%u --timeout %us", vm, sketch_any(sketch, 1, 20));
        return;
    case 2:
    case 3:
        sketch_at(sketch, "do vm start v%u", vm);
        return;
    case 4:
        sketch_at(sketch, "do node unfence n%u", node);
        return;
    case 5:
        sketch_at(sketch, "do vm remove v%u", vm);
        return;
    default:
        sketch_at(sketch, "do node fence n%u", node);
        return;
    }
}

/* A path that is slow or gone; `what` is storage or state. */
static void make_path(struct sketch *sketch, const char *what, uint32_t node)
{
    switch (sketch_any(sketch, 0, 9)) {
    case 7:
    case 8:
        sketch_at(sketch, "%s all lossy:%u%%", what, sketch_any(sketch, 1, 20));
        return;
    case 9:
        sketch_at(sketch, "%s n%u lossy:%u%%", what, node, sketch_any(sketch, 1, 60));
        return;
    case 0:
    case 1:
        sketch_at(sketch, "%s n%u down", what, node);
        return;
    case 6:
        sketch_at(sketch, "%s n%u silent", what, node);
        return;
    case 2:
        sketch_at(sketch, "%s n%u up", what, node);
        return;
    case 3:
        sketch_at(sketch, "%s n%u slow:%ums", what, node, sketch_product(sketch, 60, 100));
        return;
    case 4:
        sketch_at(sketch, "%s all down", what);
        return;
    default:
        sketch_at(sketch, "%s all up", what);
        return;
    }
}

static void make_bmc(struct sketch *sketch, uint32_t node)
{
    static const char *const bmcs[] = {"ok", "dead", "slow:8s", "lies", "lies-off"};
    if (strcmp(sketch->bmc[node], "none") != 0) {
        sketch_at(sketch, "bmc n%u %s", node, bmcs[sketch_any(sketch, 0, 4)]);
    }
    if (sketch->pdu[node]) {
        sketch_at(sketch, "pdu n%u %s", node, bmcs[sketch_any(sketch, 0, 4)]);
    }
}

/* Corosync or the agent restarts, or only one half of that comes to pass. */
static void make_service(struct sketch *sketch, uint32_t node)
{
    const char *service = sketch_any(sketch, 0, 2) == 0 ? "agent" : "corosync";
    switch (sketch_any(sketch, 0, 9)) {
    case 8:
        sketch_at(sketch, "reboot n%u", node);
        return;
    case 9:
        sketch_at(sketch, "shutdown n%u", node);
        return;
    case 7:
        sketch_at(sketch, "halt n%u", node);
        return;
    case 0:
        sketch_at(sketch, "start n%u %s", node, service);
        return;
    case 1:
        sketch_at(sketch, "kill n%u %s", node, service);
        return;
    case 2:
        sketch_at(sketch, "stop n%u %s", node, service);
        return;
    default:
        sketch_at(sketch, "stop n%u %s", node, service);
        sketch->now_ms += sketch_product(sketch, 200, 200);
        sketch_at(sketch, "start n%u %s", node, service);
        return;
    }
}

/* Not `old`: where all who know better have lost their power, an old object is the only one. */
static void make_object(struct sketch *sketch)
{
    static const char *const kinds[] = {"gone", "back", "garbled", "damaged", "stalled"};
    sketch_at(sketch, "object %s", kinds[sketch_any(sketch, 0, 4)]);
}

/* Two nodes that do not hear each other, while the others hear both. */
static void make_cut(struct sketch *sketch, uint32_t node)
{
    uint32_t other = node % sketch->nodes + 1;
    sketch->cut[node] = true;
    if (sketch_any(sketch, 0, 2) == 0) {
        sketch_at(sketch, "mend n%u-n%u", node, other);
    } else {
        sketch_at(sketch, "cut n%u-n%u%s", node, other,
                  sketch_any(sketch, 0, 2) == 0 ? " oneway" : "");
    }
}

static void make_clock(struct sketch *sketch, uint32_t node)
{
    bool steps = sketch_any(sketch, 0, 1) == 0;
    uint32_t much = steps ? sketch_product(sketch, 100, 100) : sketch_any(sketch, 1, 500);
    bool ahead = sketch_any(sketch, 0, 1) == 0;
    if (steps) {
        sketch_at(sketch, "clock n%u %s%us", node, ahead ? "+" : "-", much);
    } else {
        sketch_at(sketch, "clock n%u drift:%s%uppm", node, ahead ? "" : "-", much);
    }
}

/* Links that go down and up faster than a ring forms. */
static void make_flapping(struct sketch *sketch, uint32_t node)
{
    uint32_t times = sketch_any(sketch, 2, 8);
    for (uint32_t i = 0; i < times; i++) {
        sketch_at(sketch, "net n%u down", node);
        sketch->now_ms += sketch_any(sketch, 20, 1500);
        sketch_at(sketch, "net n%u up", node);
        sketch->now_ms += sketch_any(sketch, 20, 1500);
    }
}

static void make_odd(struct sketch *sketch, uint32_t node, uint32_t vm)
{
    switch (sketch_any(sketch, 0, 10)) {
    case 9:
    case 10:
        sketch->version[node] = true;
        sketch_at(sketch, "version n%u %u", node, FEATURE_LEVEL + sketch_any(sketch, 0, 1));
        return;
    case 7:
    case 8:
        sketch_at(sketch, "hang n%u %ums", node, sketch_any(sketch, 200, 12000));
        return;
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
        sketch_at(sketch, "kill n%u libvirt", node);
        return;
    default:
        sketch_at(sketch, "lease v%u %s", vm, sketch_any(sketch, 0, 2) == 0 ? "back" : "stalled");
        return;
    }
}

/* A guest ends or stands still, by itself or by virsh. */
static void make_end(struct sketch *sketch, uint32_t vm)
{
    static const char *const hands[] = {"stop", "pause", "resume"};
    static const char *const pools[] = {"ok", "full", "refuses"};
    uint32_t deed = sketch_any(sketch, 0, 7);
    if (deed < 2) {
        sketch_at(sketch, "guest v%u %s", vm, deed == 0 ? "poweroff" : "panic");
    } else if (deed < 5) {
        sketch_at(sketch, "hand %s v%u", hands[deed - 2], vm);
    } else {
        sketch_at(sketch, "pool %s", pools[deed - 5]);
    }
}

static void make_freeze(struct sketch *sketch, uint32_t node)
{
    uint32_t times = sketch_any(sketch, 2, 300);
    sketch_at(sketch, "freeze n%u %ums", node, times * sketch_any(sketch, 10, 200));
}

static void make_libvirt(struct sketch *sketch, uint32_t node)
{
    uint32_t seconds = sketch_any(sketch, 1, 40);
    sketch_at(sketch, "libvirt n%u %s:%us", node, sketch_any(sketch, 0, 1) == 0 ? "hang" : "late",
              seconds);
}

/* One stroke on a host. */
static void make_strike(struct sketch *sketch, uint32_t node)
{
    switch (sketch_any(sketch, 0, 8)) {
    case 8:
        sketch_at(sketch, "hang n%u %ums", node, sketch_any(sketch, 200, 9000));
        return;
    case 0:
        sketch_at(sketch, "power n%u off", node);
        return;
    case 1:
        sketch_at(sketch, "kill n%u agent", node);
        return;
    case 2:
        make_freeze(sketch, node);
        return;
    case 3:
        sketch_at(sketch, "net n%u down", node);
        return;
    case 4:
        sketch_at(sketch, "do node fence n%u", node);
        return;
    case 5:
        sketch_at(sketch, "do node remove n%u", node);
        return;
    case 6:
        sketch_at(sketch, "reboot n%u", node);
        return;
    default:
        make_path(sketch, "storage", node);
        return;
    }
}

/* In the middle of a recovery or a start, where everything is under way. */
static void make_overlap(struct sketch *sketch, uint32_t node, uint32_t vm)
{
    uint32_t which = sketch_any(sketch, 0, 5);
    if (which < 3) {
        sketch_at(sketch, "do vm start v%u", vm);
        sketch->now_ms += sketch_any(sketch, 0, 900);
        make_strike(sketch, sketch_any(sketch, 1, sketch->nodes));
        return;
    }
    if (which == 3) { /* it wakes up in another world than it fell asleep in */
        sketch_at(sketch, "hang n%u %ums", node, sketch_any(sketch, 2000, 9500));
        sketch->now_ms += sketch_any(sketch, 0, 2000);
        make_strike(sketch, node);
        return;
    }
    sketch_at(sketch, "power n%u off", node);
    sketch->now_ms += sketch_any(sketch, 1000, 4000); /* the ring forms anew */
    make_strike(sketch, node % sketch->nodes + 1);
    sketch->now_ms += sketch_any(sketch, 0, 1500);
    if (sketch_any(sketch, 0, 1) == 0) {
        sketch_at(sketch, "power n%u on", node);
    }
}

/* Where half may be enough, a partition is the likeliest. */
static uint32_t which_fault(struct sketch *sketch)
{
    bool cut = sketch->tie != TIE_NONE && sketch_any(sketch, 0, 4) == 0;
    return cut ? 6 : sketch_any(sketch, 0, 28);
}

void sketch_fault(struct sketch *sketch)
{
    uint32_t node = sketch_any(sketch, 1, sketch->nodes);
    uint32_t vm = sketch_any(sketch, 1, sketch->vms);
    switch (which_fault(sketch)) {
    case 0:
    case 1:
    case 2:
        sketch_at(sketch, "power n%u off", node);
        return;
    case 3:
        sketch_at(sketch, "power n%u on", node);
        return;
    case 4:
    case 5:
        make_freeze(sketch, node);
        return;
    case 6:
    case 7:
        make_partition(sketch);
        return;
    case 8:
        sketch_at(sketch, "net n%u %s", node, sketch_any(sketch, 0, 2) != 0 ? "down" : "up");
        return;
    case 9:
        make_path(sketch, "storage", node);
        return;
    case 10:
        make_path(sketch, "state", node);
        return;
    case 11:
        sketch_at(sketch, "kill n%u agent", node);
        return;
    case 12:
        sketch_at(sketch, "kill n%u v%u", node, vm);
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
    case 25:
    case 26:
    case 27:
        make_overlap(sketch, node, vm);
        return;
    default:
        make_command(sketch, node, vm);
        return;
    }
}
