/* What goes wrong seldom, beside everything else: people who work past stead, on the blocklist,
 * with virsh or on the state; monitors that stand still; a QEMU that no signal ends. */
#include "tests/sim/sim_sketch.h"

/* An entry against a QEMU between the look at who has its images open and its first write. Its
 * lease is slow to be written meanwhile: else these are two milliseconds (measured). */
static void make_start_and_entry(struct sketch *sketch, uint32_t vm)
{
    sketch_at(sketch, "do vm stop v%u --timeout 5s", vm);
    sketch->now_ms += sketch_any(sketch, 3000, 8000);
    sketch_at(sketch, "do vm start v%u", vm);
    sketch->now_ms += sketch_any(sketch, 20, 200);
    sketch_at(sketch, "lease v%u stalled", vm);
    sketch->now_ms += sketch_any(sketch, 100, 500);
    sketch_at(sketch, "blocklist v%u %us", vm, sketch_any(sketch, 1, 60));
    sketch->now_ms += sketch_any(sketch, 0, 800);
    sketch_at(sketch, "lease v%u back", vm);
}

/* An actor's hand that comes late, or an operator's own. */
static void make_entry(struct sketch *sketch, uint32_t node, uint32_t vm)
{
    switch (sketch_any(sketch, 0, 7)) {
    case 0:
    case 1: /* not for an hour: where no other node is left, nobody could take it off */
        sketch_at(sketch, "blocklist n%u %us", node, sketch_any(sketch, 1, 120));
        return;
    case 2:
        sketch_at(sketch, "blocklist n%u off", node);
        return;
    case 3:
        sketch_at(sketch, "blocklist n%u agent on", node);
        return;
    case 4:
        sketch_at(sketch, "blocklist v%u %us", vm, sketch_any(sketch, 1, 60));
        return;
    default:
        make_start_and_entry(sketch, vm);
        return;
    }
}

/* Its host is given up, or gives itself up, and cannot end it. */
static void make_stuck(struct sketch *sketch, uint32_t vm)
{
    uint32_t node = sketch->home[vm];
    sketch_at(sketch, "guest v%u stuck:%us", vm, sketch_product(sketch, 10, 10));
    sketch->now_ms += sketch_any(sketch, 0, 3000);
    switch (sketch_any(sketch, 0, 4)) {
    case 0:
        sketch_at(sketch, "net n%u down", node);
        break;
    case 1:
        sketch_at(sketch, "blocklist n%u agent on", node);
        break;
    default:
        sketch_at(sketch, "do node fence n%u", node);
        break;
    }
    sketch->now_ms += sketch_any(sketch, 1000, 15000);
    sketch_at(sketch, "net n%u up", node);
    sketch_at(sketch, "do node unfence n%u", node);
}

/* All of Ceph: its monitors stand still, or everything takes its time. */
static void make_slow(struct sketch *sketch)
{
    if (sketch_any(sketch, 0, 1) == 0) {
        const char *what = sketch_any(sketch, 0, 1) == 0 ? "storage" : "state";
        sketch_at(sketch, "%s all slow:%ums", what, sketch_product(sketch, 60, 100));
        return;
    }
    sketch_at(sketch, "monitors stalled");
    sketch->now_ms += sketch_product(sketch, 100, 200);
    sketch_at(sketch, "monitors back");
}

/* Something is decided after the backup was made. */
static void make_between(struct sketch *sketch)
{
    uint32_t vm = sketch_any(sketch, 1, sketch->vms);
    uint32_t node = sketch_any(sketch, 1, sketch->nodes);
    switch (sketch_any(sketch, 0, 3)) {
    case 0:
        sketch_at(sketch, "do vm stop v%u --timeout 5s", vm);
        break;
    case 1:
        sketch_at(sketch, "do node fence n%u", node);
        break;
    case 2:
        sketch_at(sketch, "power n%u off", node);
        break;
    default:
        return;
    }
    sketch->now_ms += sketch_any(sketch, 0, 9000);
}

/* A backup, and later its restore: over what is there, or in place of what is not any more. */
static void make_restore(struct sketch *sketch)
{
    static const char *const kinds[] = {"gone", "garbled", "damaged"};
    uint32_t kind = sketch_any(sketch, 0, 4);
    if (!sketch->kept) {
        sketch->kept = true;
        sketch_at(sketch, "object kept");
        sketch->now_ms += sketch_any(sketch, 0, 20000);
        make_between(sketch);
    }
    if (kind < 3) {
        sketch_at(sketch, "object %s", kinds[kind]);
        sketch->now_ms += sketch_any(sketch, 0, 9000);
    }
    sketch_at(sketch, "object restored");
    sketch->now_ms += 1000; /* nobody is quicker */
}

static void make_set(struct sketch *sketch, uint32_t node, uint32_t vm)
{
    switch (sketch_any(sketch, 0, 3)) {
    case 3:
        sketch_at(sketch, "set v%u stop_fails=yes", vm);
        return;
    case 0:
        sketch_at(sketch, "set v%u start_fails=%u", vm, sketch_any(sketch, 0, 3));
        return;
    case 1:
        sketch_at(sketch, "set v%u boot=%us", vm, sketch_any(sketch, 0, 30));
        return;
    default:
        sketch_at(sketch, "set v%u start_fails_on=n%u", vm, node);
        return;
    }
}

/* Moved past stead; at times to where nobody ends the copy nor sees it for longer than a watch
 * lasts, while the host that it was on dies: what is left to tell of it is its image's lock. */
static void make_move(struct sketch *sketch, uint32_t node, uint32_t vm)
{
    uint32_t kind = sketch_any(sketch, 0, 3);
    if (kind == 0) {
        sketch_at(sketch, "stop n%u agent", node);
    }
    sketch_at(sketch, "hand move v%u n%u", vm, node);
    if (kind > 1) {
        return;
    }
    sketch->now_ms += sketch_any(sketch, 0, 1);
    if (sketch->home[vm] != node) {
        sketch_at(sketch, "power n%u off", sketch->home[vm]);
    }
    if (kind == 1) {
        sketch_at(sketch, "freeze n%u %us", node, sketch_any(sketch, 30, 90));
        return;
    }
    sketch->now_ms += sketch_any(sketch, 0, 5000);
    sketch_at(sketch, "storage n%u down", node);
    sketch->now_ms += sketch_any(sketch, 0, 60000);
    sketch_at(sketch, "storage n%u up", node);
}

void sketch_rare(struct sketch *sketch)
{
    uint32_t node = sketch_any(sketch, 1, sketch->nodes);
    uint32_t vm = sketch_any(sketch, 1, sketch->vms);
    switch (sketch_any(sketch, 0, 13)) {
    case 0:
    case 1:
    case 2:
    case 3:
        make_entry(sketch, node, vm);
        return;
    case 4:
    case 5:
        make_stuck(sketch, vm);
        return;
    case 6:
        make_slow(sketch);
        return;
    case 7:
    case 8:
        make_restore(sketch);
        return;
    case 9:
        make_set(sketch, node, vm);
        return;
    case 10:
    case 11:
        sketch_at(sketch, "hand start v%u n%u", vm, node);
        return;
    default:
        make_move(sketch, node, vm);
        return;
    }
}
