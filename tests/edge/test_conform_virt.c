/* The libvirt and guest edges on a real libvirtd with QEMUs, and the simulator's hypervisors: the
 * same list of actions to both. Not libvirt's own test:///: it takes no domain that starts paused,
 * which is how every domain of stead's starts. Run it from the top of the repository, as root. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "migration/guest_io.h"
#include "tests/edge/libvirtd_world.h"

#include "tests/edge/conform_model.h"

#define LIMIT_MS 15000
#define SHORT_MS 1500 /* where no answer is to come */
#define LATE_MS 3000  /* the model's late libvirtd */
#define TOLD_MS 10000

static const char story[] = "cluster seed=7\nnode n1\nnode n2\nnode n3\n"
                            "vm a on n1 want=stopped running=no\n"
                            "vm b on n1 want=stopped running=no\n"
                            "vm c on n1 want=stopped running=no\n"
                            "run 10000s\n";
enum { HOST = 0 };
enum vm_name { LIFE, KILLED, LATE, VM_COUNT };

struct hands {
    /* Lets it go on until libvirt has told this of the VM, for TOLD_MS at most. */
    bool (*told)(struct conform *conform, uint32_t vm, enum domain_state state,
                 enum domain_end end);
    void (*pause)(struct conform *conform, uint32_t vm, bool still); /* by another hand */
    void (*late)(struct conform *conform, bool on); /* libvirtd stands still meanwhile */
    void (*pass)(struct conform *conform, uint64_t ms);
};

struct list {
    struct conform conform;
    const struct hands *hands;
    struct uuid vms[VM_COUNT];
};

static const struct action_id mine = {3, 4};

/* ---- the list */

static struct action of_vm(const struct list *list, enum action_kind kind, uint32_t vm)
{
    return (struct action){
        .kind = kind, .deadline_ms = LIMIT_MS, .vm = {.uuid = list->vms[vm], .action = mine}};
}

static void act_on(struct list *list, const char *why, struct action action)
{
    (void)conform_ask(&list->conform, why, HOST, &action, NULL);
}

static void plain(struct list *list, const char *why, enum action_kind kind, uint32_t vm)
{
    act_on(list, why, of_vm(list, kind, vm));
}

static void told(struct list *list, uint32_t vm, enum domain_state state, enum domain_end end)
{
    conform_note(&list->conform, "libvirt tells state %d end %d: %s", (int)state, (int)end,
                 list->hands->told(&list->conform, vm, state, end) ? "yes" : "no");
}

static void list_nothing(struct list *list)
{
    plain(list, "nothing: resume", ACTION_DOMAIN_RESUME, LIFE);
    plain(list, "nothing: suspend", ACTION_DOMAIN_SUSPEND, LIFE);
    plain(list, "nothing: shutdown", ACTION_DOMAIN_SHUTDOWN, LIFE);
    plain(list, "nothing: destroy", ACTION_DOMAIN_DESTROY, LIFE);
    plain(list, "nothing: kill", ACTION_KILL, LIFE);
    struct action action = of_vm(list, ACTION_DOMAIN_CREATE, LIFE);
    action.valid_until_ms = CONFORM_PAST_MS;
    act_on(list, "create, too late", action);
    plain(list, "so nothing is there", ACTION_DOMAIN_RESUME, LIFE);
}

static void list_suspend(struct list *list)
{
    struct action other = of_vm(list, ACTION_DOMAIN_SUSPEND, LIFE);
    other.vm.action.counter++;
    act_on(list, "suspend by another start", other);
    plain(list, "suspend", ACTION_DOMAIN_SUSPEND, LIFE);
    told(list, LIFE, DOMAIN_SUSPENDED, END_UNKNOWN);
    plain(list, "suspend twice", ACTION_DOMAIN_SUSPEND, LIFE);
    plain(list, "shutdown of what stands still", ACTION_DOMAIN_SHUTDOWN, LIFE);
    struct action late = of_vm(list, ACTION_DOMAIN_RESUME, LIFE);
    late.valid_until_ms = CONFORM_PAST_MS;
    act_on(list, "let it go on, too late", late);
    told(list, LIFE, DOMAIN_SUSPENDED, END_UNKNOWN);
    plain(list, "let it go on", ACTION_DOMAIN_RESUME, LIFE);
    told(list, LIFE, DOMAIN_RUNNING, END_UNKNOWN);
}

static void list_life(struct list *list)
{
    plain(list, "create", ACTION_DOMAIN_CREATE, LIFE);
    told(list, LIFE, DOMAIN_STARTING, END_UNKNOWN);
    plain(list, "create twice", ACTION_DOMAIN_CREATE, LIFE);
    struct action other = of_vm(list, ACTION_DOMAIN_RESUME, LIFE);
    other.vm.action.counter++;
    act_on(list, "resume by another start", other);
    struct action late = of_vm(list, ACTION_DOMAIN_RESUME, LIFE);
    late.valid_until_ms = CONFORM_PAST_MS;
    act_on(list, "resume, too late", late);
    plain(list, "resume", ACTION_DOMAIN_RESUME, LIFE);
    told(list, LIFE, DOMAIN_RUNNING, END_UNKNOWN);
    plain(list, "resume twice", ACTION_DOMAIN_RESUME, LIFE);
    act_on(list, "resume what runs by another start", other);
    list->hands->pause(&list->conform, LIFE, true);
    told(list, LIFE, DOMAIN_PAUSED, END_UNKNOWN);
    plain(list, "shutdown of what is paused", ACTION_DOMAIN_SHUTDOWN, LIFE);
    act_on(list, "resume what was paused by another start", other);
    plain(list, "resume what somebody paused", ACTION_DOMAIN_RESUME, LIFE);
    plain(list, "suspend what somebody paused", ACTION_DOMAIN_SUSPEND, LIFE);
    list->hands->pass(&list->conform, SHORT_MS);
    told(list, LIFE, DOMAIN_PAUSED, END_UNKNOWN);
    list->hands->pause(&list->conform, LIFE, false);
    told(list, LIFE, DOMAIN_RUNNING, END_UNKNOWN);
    list_suspend(list);
    plain(list, "shutdown", ACTION_DOMAIN_SHUTDOWN, LIFE);
    plain(list, "shutdown twice", ACTION_DOMAIN_SHUTDOWN, LIFE);
    plain(list, "destroy", ACTION_DOMAIN_DESTROY, LIFE);
    told(list, LIFE, DOMAIN_GONE, END_DESTROYED);
    plain(list, "destroy twice", ACTION_DOMAIN_DESTROY, LIFE);
}

static void list_kill(struct list *list)
{
    plain(list, "create", ACTION_DOMAIN_CREATE, KILLED);
    told(list, KILLED, DOMAIN_STARTING, END_UNKNOWN);
    plain(list, "shutdown of what never ran", ACTION_DOMAIN_SHUTDOWN, KILLED);
    plain(list, "kill", ACTION_KILL, KILLED);
    told(list, KILLED, DOMAIN_GONE, END_CRASHED);
    plain(list, "kill twice", ACTION_KILL, KILLED);
    plain(list, "create anew", ACTION_DOMAIN_CREATE, KILLED);
    struct action all = of_vm(list, ACTION_KILL, KILLED);
    all.vm.uuid = (struct uuid){{0}};
    act_on(list, "kill all", all);
    plain(list, "destroy what was killed", ACTION_DOMAIN_DESTROY, KILLED);
}

/* libvirtd carries it out after its caller gave up; the edge then takes it away. */
static void list_late(struct list *list)
{
    struct action action = of_vm(list, ACTION_DOMAIN_CREATE, LATE);
    action.deadline_ms = SHORT_MS;
    list->hands->late(&list->conform, true);
    act_on(list, "create, late", action);
    action = of_vm(list, ACTION_DOMAIN_DESTROY, LIFE);
    action.deadline_ms = SHORT_MS;
    act_on(list, "destroy, late", action);
    list->hands->late(&list->conform, false);
    list->hands->pass(&list->conform, 2 * LATE_MS);
    plain(list, "nothing is left of it", ACTION_DOMAIN_RESUME, LATE);
    plain(list, "and it can be made", ACTION_DOMAIN_CREATE, LATE);
    plain(list, "and ended", ACTION_DOMAIN_DESTROY, LATE);
}

static void run_list(struct list *list)
{
    list_nothing(list);
    list_life(list);
    list_kill(list);
    list_late(list);
}

/* ---- the model */

static bool model_told(struct conform *conform, uint32_t vm, enum domain_state state,
                       enum domain_end end)
{
    (void)conform;
    const struct event_domain *domain = &model.told[vm];
    for (int i = 0; i < TOLD_MS / 50 && (domain->state != state || domain->end != end); i++) {
        model_pass(50 * MS);
    }
    return domain->state == state && domain->end == end && action_id_equal(domain->action, mine);
}

static void model_pause(struct conform *conform, uint32_t vm, bool still)
{
    (void)conform;
    const struct scenario_step step = {
        .kind = STEP_HAND, .deed = still ? DEED_PAUSE : DEED_RESUME, .vm = vm, .node = HOST};
    sim_hand_step(model.sim, &step);
}

static void model_late(struct conform *conform, bool on)
{
    (void)conform;
    sim_virt_trouble(model.sim, HOST, on ? LIBVIRT_LATE : LIBVIRT_OK, on ? LATE_MS * MS : 0);
}

static void model_hands_pass(struct conform *conform, uint64_t ms)
{
    (void)conform;
    model_pass(ms * MS);
}

/* As the core does before each resume: the lease names who is about to write. */
static struct event model_virt_ask(void *part, uint32_t seat, struct action *action,
                                   const struct delta *delta)
{
    const uint32_t vm = sim_vm_by_uuid(model.sim, &action->vm.uuid);
    const uint32_t guest = vm == SIM_VMS_MAX ? UINT32_MAX : sim_guest_find(model.sim, vm, HOST);
    if (action->kind == ACTION_DOMAIN_RESUME && guest != UINT32_MAX) {
        struct lease *lease = &model.sim->rados.leases[vm];
        const struct client client = sim_address_client(model.sim->guests[guest].client);
        *lease = (struct lease){.vm = action->vm.uuid, .state = LEASE_HELD, .holder = HOST + 1};
        (void)clients_add(&lease->clients, &client);
    }
    return model_ask(part, seat, action, delta);
}

static const struct hands model_hands = {model_told, model_pause, model_late, model_hands_pass};

static void model_virt_begin(struct list *list)
{
    model_begin(story);
    for (uint32_t vm = 0; vm < VM_COUNT; vm++) {
        list->vms[vm] = model.sim->vms[vm].uuid;
    }
    list->conform.ask = model_virt_ask;
    list->hands = &model_hands;
}

/* ---- the real one */

struct part {
    struct real *real;
    struct guest_io *guests;
    struct list *list;
};

static void carry_out(struct part *part, const struct action *action)
{
    char xml[2048], name[16];
    if (action->kind == ACTION_KILL) {
        guest_io_act(part->guests, action);
    } else if (action->kind == ACTION_DOMAIN_CREATE) {
        snprintf(name, sizeof(name), "vm%u", action->vm.uuid.bytes[15]);
        domain_xml(xml, sizeof(xml), "qemu", name, &action->vm.uuid, NULL);
        libvirt_io_create(part->real->world->io, action, xml);
    } else {
        libvirt_io_act(part->real->world->io, action);
    }
}

static struct event real_ask(void *context, uint32_t seat, struct action *action,
                             const struct delta *delta)
{
    struct part *part = context;
    struct events *events = part->real->world->events;
    struct action asked = *action;
    (void)seat;
    (void)delta;
    asked.id = events->next_id++;
    asked.deadline_ms += events_now_ms();
    carry_out(part, &asked);
    const enum event_kind kind = action->kind == ACTION_KILL ? EVENT_KILLED : EVENT_DOMAIN_DONE;
    const struct event *event = events_wait(events, 0, kind, asked.id, action->deadline_ms + 2000);
    assert_non_null(event);
    assert_true(event->now_ms <= asked.deadline_ms + 500); /* a busy machine's allowance */
    return *event;
}

/* The last that was told of it. */
static const struct event_domain *last_told(const struct events *events, const struct uuid *vm)
{
    for (uint32_t i = events->count; i > 0; i--) {
        const struct event *event = &events->list[i - 1];
        if (event->kind == EVENT_DOMAIN && uuid_equal(&event->domain.vm, vm)) {
            return &event->domain;
        }
    }
    return NULL;
}

static bool real_told(struct conform *conform, uint32_t vm, enum domain_state state,
                      enum domain_end end)
{
    const struct part *part = conform->part;
    struct events *events = part->real->world->events;
    const uint64_t until_ms = events_now_ms() + TOLD_MS;
    const struct event_domain *domain;
    do {
        domain = last_told(events, &part->list->vms[vm]);
        if (domain != NULL && domain->state == state && domain->end == end) {
            return action_id_equal(domain->action, mine);
        }
    } while (events_run_until(events, until_ms));
    return false;
}

static void real_pause(struct conform *conform, uint32_t vm, bool still)
{
    const struct part *part = conform->part;
    virDomainPtr domain =
        virDomainLookupByUUID(part->real->world->other, part->list->vms[vm].bytes);
    assert_non_null(domain);
    assert_int_equal(still ? virDomainSuspend(domain) : virDomainResume(domain), 0);
    virDomainFree(domain);
}

static void real_late(struct conform *conform, bool on)
{
    const struct part *part = conform->part;
    kill(libvirtd_pid(part->real), on ? SIGSTOP : SIGCONT);
}

static void real_pass(struct conform *conform, uint64_t ms)
{
    const struct part *part = conform->part;
    events_run(part->real->world->events, ms);
}

static const struct hands real_hands = {real_told, real_pause, real_late, real_pass};

/* ---- */

static void test_both_answer_alike(void **state)
{
    static struct list of_model, of_real;
    struct part part = {.real = *state, .list = &of_real};
    struct world *world = part.real->world;
    model_virt_begin(&of_model);
    run_list(&of_model);
    model_end();
    assert_int_equal(
        guest_io_open(world->events->loop, "/nowhere", &world->events->sink, &part.guests), 0);
    for (uint32_t v = 0; v < VM_COUNT; v++) {
        of_real.vms[v] = vm((uint8_t)v); /* several of this test may run at a time */
        guest_io_know(part.guests, &of_real.vms[v]);
    }
    of_real.conform.part = &part;
    of_real.conform.ask = real_ask;
    of_real.hands = &real_hands;
    run_list(&of_real);
    guest_io_close(part.guests);
    conform_compare(&of_model.conform, &of_real.conform);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* for the other client, here: libvirt leaves that to its users */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_answer_alike, setup_real, teardown_real),
    };
    return cmocka_run_group_tests_name("conform: virt", tests, start_libvirtd, stop_libvirtd);
}
