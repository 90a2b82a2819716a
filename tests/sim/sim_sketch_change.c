/* What comes, goes, or becomes another one: VMs that are added, adopted from libvirt and given back
 * to it, classes that are made, used and taken away, other hardware in a node's name. And a guest
 * that reboots, of which nothing follows. */
#include "tests/sim/sim_sketch.h"

static void pass(struct sketch *sketch, uint32_t most_ms)
{
    sketch->now_ms += sketch_any(sketch, 0, most_ms);
}

/* A VM of a name that was not there; from now on it is one of them. 0: there is no room for it. */
static uint32_t make_name(struct sketch *sketch, uint32_t node)
{
    if (sketch->vms == SIM_VMS_MAX) {
        return 0;
    }
    sketch->vms++;
    sketch->home[sketch->vms] = node;
    return sketch->vms;
}

/* Some with the keys that a record has: its first start is somewhere, or it is not wanted yet. */
static void make_new(struct sketch *sketch, bool adopted, uint32_t node)
{
    static const char *const classes[] = {"", "", " class=gold", " class=timed"};
    static const char *const wants[] = {"", "", "", " want=stopped"};
    uint32_t vm = make_name(sketch, node);
    uint32_t gib = sketch_any(sketch, 1, 4);
    uint32_t priority = sketch_any(sketch, 0, 3);
    const char *class = sketch->classes ? classes[sketch_any(sketch, 0, 3)] : "";
    const char *want = adopted ? "" : wants[sketch_any(sketch, 0, 3)];
    if (vm != 0) {
        sketch_at(sketch, "do vm %s v%u on n%u mem=%uG priority=%u%s%s", adopted ? "adopt" : "add",
                  vm, node, gib, priority, class, want);
    }
}

static void make_removed(struct sketch *sketch, uint32_t vm)
{
    sketch_at(sketch, "do vm stop v%u --timeout 5s", vm);
    sketch->now_ms += sketch_any(sketch, 4000, 12000);
    sketch_at(sketch, "do vm remove v%u", vm);
    pass(sketch, 9000);
}

/* It was there before, and comes back as it was: by the cluster's hand or by somebody's. */
static void make_again(struct sketch *sketch, uint32_t node, uint32_t vm)
{
    make_removed(sketch, vm);
    if (sketch_any(sketch, 0, 1) == 0) {
        sketch_at(sketch, "do vm add v%u on n%u", vm, node);
        return;
    }
    sketch_at(sketch, "hand start v%u n%u", vm, node);
    pass(sketch, 9000);
    sketch_at(sketch, "do vm adopt v%u on n%u", vm, node);
}

/* It runs on as libvirt's, and at times becomes the cluster's again, as it runs or from a stop. */
static void make_given_back(struct sketch *sketch, uint32_t node, uint32_t vm)
{
    uint32_t later = sketch_any(sketch, 0, 3);
    sketch_at(sketch, "do vm give-back v%u", vm);
    if (later == 0) {
        return;
    }
    pass(sketch, 20000);
    if (later < 3) {
        sketch_at(sketch, "do vm adopt v%u on n%u", vm, sketch->home[vm]);
        return;
    }
    sketch_at(sketch, "hand stop v%u", vm);
    pass(sketch, 60000); /* for half of it what it had open counts */
    sketch_at(sketch, "do vm add v%u on n%u", vm, node);
}

/* A class that is made, one that was there or one that never was; and a VM of it. */
static void make_class(struct sketch *sketch, uint32_t vm)
{
    static const char *const names[] = {"gold", "timed", "silver"};
    static const char *const proofs[] = {"power", "storage", "storage,power", "watchdog",
                                         "power,watchdog"};
    const char *name = names[sketch_any(sketch, 0, 2)];
    const char *proof = proofs[sketch_any(sketch, 0, sketch->proof.on ? 4 : 2)];
    uint32_t kind = sketch_any(sketch, 0, 5);
    sketch->strict = true;
    if (kind == 0) {
        sketch_at(sketch, "do class remove %s", name);
        return;
    }
    if (kind < 5) {
        sketch_at(sketch, "do class set %s proof=%s", name, proof);
        pass(sketch, 5000);
    }
    sketch_at(sketch, "do vm class v%u %s", vm, name);
    if (kind == 3) {
        pass(sketch, 30000);
        sketch_at(sketch, "do vm class v%u none", vm);
        pass(sketch, 2000);
        sketch_at(sketch, "do class remove %s", name);
    }
}

/* Its host is off, and another one comes in its name: at once, or when everything is mended. Of one
 * node alone, where no half is enough: of hosts that were all replaced none can prove what became
 * of the old ones. */
static void make_hardware(struct sketch *sketch, uint32_t any)
{
    uint32_t node = sketch->replaced != 0 ? sketch->replaced : any;
    if (sketch->tie != TIE_NONE) {
        return;
    }
    sketch->replaced = node;
    sketch_at(sketch, "power n%u off", node);
    pass(sketch, 30000);
    sketch_at(sketch, "machine n%u new", node);
    pass(sketch, 30000);
    if (sketch_any(sketch, 0, 3) != 0) {
        sketch_at(sketch, "power n%u on", node);
    }
}

void sketch_change(struct sketch *sketch)
{
    uint32_t node = sketch_any(sketch, 1, sketch->nodes);
    uint32_t vm = sketch_any(sketch, 1, sketch->vms);
    switch (sketch_any(sketch, 0, 11)) {
    case 0:
    case 1:
        make_new(sketch, false, node);
        return;
    case 2:
        make_new(sketch, true, node);
        return;
    case 3:
    case 4:
        make_again(sketch, node, vm);
        return;
    case 5:
    case 6:
        make_given_back(sketch, node, vm);
        return;
    case 7:
    case 8:
        make_class(sketch, vm);
        return;
    case 9:
        sketch_at(sketch, "guest v%u reboot", vm);
        return;
    default:
        make_hardware(sketch, node);
        return;
    }
}
