/* QEMU processes: born, running, ended. What libvirt says of them is sim_virt.c. */
#include <stdlib.h>

#include "proto/assert.h"
#include "proto/values.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_block.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_hang.h"
#include "tests/sim/sim_virt.h"

#define WATCH_US (30 * SECOND)

static enum domain_state word_of(const struct sim_guest *guest)
{
    switch (guest->state) {
    case GUEST_CREATING:
    case GUEST_MARKED:
        return DOMAIN_STARTING;
    case GUEST_RUNNING:
        return DOMAIN_RUNNING;
    case GUEST_IO_ERROR:
        return DOMAIN_IO_ERROR;
    case GUEST_PAUSED:
        return DOMAIN_PAUSED;
    case GUEST_PANICKED:
        return DOMAIN_PANICKED;
    case GUEST_SUSPENDED:
        return DOMAIN_SUSPENDED;
    }
    stead_panic(__FILE__, __LINE__, "guest state");
}

static struct event domain_event(const struct sim *sim, const struct sim_guest *guest)
{
    struct event event = {.kind = EVENT_DOMAIN};
    event.domain.vm = sim->vms[guest->vm].uuid;
    event.domain.state = guest->alive ? word_of(guest) : DOMAIN_GONE;
    event.domain.end = guest->end;
    event.domain.mark = guest->by_hand ? MARK_ABSENT : MARK_READ;
    event.domain.action = guest->action;
    return event;
}

/* libvirt tells of it, in the order things happened. */
void sim_guest_tell(struct sim *sim, const struct sim_guest *guest)
{
    struct sim_host *host = &sim->hosts[guest->node];
    if (!host->agent.libvirt_connected || guest->state == GUEST_CREATING) {
        return;
    }
    struct event event = domain_event(sim, guest);
    uint64_t at_us = sim->now_us + sim_rng_range(&sim->rng, 300, 8 * MS);
    if (at_us <= host->last_domain_us) {
        at_us = host->last_domain_us + 1;
    }
    host->last_domain_us = at_us;
    sim_agent_tell(sim, guest->node, at_us - sim->now_us, &event);
}

uint32_t sim_guest_find(const struct sim *sim, uint32_t vm, uint32_t node)
{
    for (uint32_t i = sim->guest_count; i > 0; i--) {
        const struct sim_guest *guest = &sim->guests[i - 1];
        if (guest->alive && guest->vm == vm && guest->node == node) {
            return i - 1;
        }
    }
    return UINT32_MAX;
}

uint32_t sim_guest_new(struct sim *sim, uint32_t vm, uint32_t node, struct action_id action)
{
    ASSERT(sim_guest_find(sim, vm, node) == UINT32_MAX);
    if (sim->guest_count == sim->guest_room) {
        sim->guest_room = sim->guest_room == 0 ? 64 : sim->guest_room * 2;
        sim->guests = realloc(sim->guests, sim->guest_room * sizeof(*sim->guests));
        ASSERT(sim->guests != NULL);
    }
    sim->guests[sim->guest_count] = (struct sim_guest){
        .vm = vm, .node = node, .alive = true, .state = GUEST_CREATING, .action = action};
    return sim->guest_count++;
}

void sim_guest_open(struct sim *sim, uint32_t index)
{
    struct sim_guest *guest = &sim->guests[index];
    ASSERT(!guest->has_client);
    guest->has_client = true;
    guest->client = sim_address_new(sim, guest->node);
    sim_block_osd_learns(sim, sim->rados.map_epoch); /* a fresh client has the newest map */
}

static void count_move(struct sim *sim, const struct sim_guest *guest)
{
    struct sim_vm *vm = &sim->vms[guest->vm];
    if (vm->newest_order != 0 && sim->guests[vm->newest_guest].node != guest->node) {
        vm->moves++;
    }
    vm->ran_on |= UINT64_C(1) << guest->node;
    if (vm->down_us != 0) {
        uint64_t took_us = sim->now_us - vm->down_us;
        vm->recovered = true;
        vm->recovered_max_us = took_us > vm->recovered_max_us ? took_us : vm->recovered_max_us;
        vm->down_us = 0;
    }
}

void sim_guest_run(struct sim *sim, uint32_t index)
{
    struct sim_guest *guest = &sim->guests[index];
    ASSERT(guest->alive);
    ASSERT(guest->has_client);
    if (guest->by_hand) {
        /* nobody's promise */
    } else if (guest->order == 0) {
        sim_check_resume(sim, index);
        count_move(sim, guest);
        guest->order = ++sim->last_order;
        guest->state = GUEST_RUNNING;
        sim_disk_begin(sim, index);
    } else {
        guest->state = GUEST_RUNNING;
        sim_disk_resume(sim, index);
    }
    guest->state = GUEST_RUNNING;
    guest->runs_us = sim->now_us;
    sim->writers_changed = true;
    sim_log(sim, guest->node, "qemu: %s runs as %s", sim->story->vms[guest->vm].name,
            sim_address_client(guest->client).address);
    sim_guest_tell(sim, guest);
}

void sim_guest_end(struct sim *sim, uint32_t index, enum domain_end end, bool told)
{
    struct sim_guest *guest = &sim->guests[index];
    if (!guest->alive) {
        return;
    }
    guest->alive = false;
    guest->end = end;
    guest->ended_clean = guest->ended_clean || end == END_SHUTDOWN;
    guest->ended_us = sim->now_us;
    sim->writers_changed = true;
    sim_log(sim, guest->node, "qemu: %s ended (%s)", sim->story->vms[guest->vm].name,
            end == END_SHUTDOWN    ? "shut down"
            : end == END_DESTROYED ? "destroyed"
            : end == END_CRASHED   ? "killed"
            : end == END_MIGRATED  ? "moved away"
                                   : "gone with its host");
    sim_disk_end(sim, index);
    if (told) {
        sim_guest_tell(sim, guest);
    }
}

bool sim_guest_sticks(const struct sim *sim, uint32_t index)
{
    ASSERT(index < sim->guest_count);
    return sim->guests[index].alive && sim->now_us < sim->guests[index].stuck_until_us;
}

void sim_virt_io_error(struct sim *sim, uint32_t index)
{
    struct sim_guest *guest = &sim->guests[index];
    guest->state = GUEST_IO_ERROR;
    sim->writers_changed = true;
    sim_log(sim, guest->node, "qemu: %s stopped, its disk refused a write",
            sim->story->vms[guest->vm].name);
    sim_guest_tell(sim, guest);
}

/* Its vCPUs stop at once, and libvirt tells; what it has under way may land yet. */
void sim_guest_suspend(struct sim *sim, uint32_t index)
{
    struct sim_guest *guest = &sim->guests[index];
    ASSERT(guest->state == GUEST_RUNNING);
    guest->state = GUEST_SUSPENDED;
    sim->writers_changed = true;
    sim_log(sim, guest->node, "qemu: %s stands still", sim->story->vms[guest->vm].name);
    sim_guest_tell(sim, guest);
}

/* A watch lasts so long after the client's last word: of one that died, stands still or is cut off.
 */
static bool watches(const struct sim *sim, const struct sim_guest *guest)
{
    const struct sim_host *host = &sim->hosts[guest->node];
    bool cut = host->storage == PATH_DOWN || host->storage == PATH_SILENT;
    uint64_t silent_us = guest->alive ? sim->now_us : guest->ended_us;
    silent_us = host->frozen && host->froze_us < silent_us ? host->froze_us : silent_us;
    silent_us = cut && host->cut_us < silent_us ? host->cut_us : silent_us;
    bool closed = !guest->alive && guest->ended_clean;
    return guest->has_client && !closed && sim->now_us - silent_us < WATCH_US &&
           !sim_block_hits(sim, guest->client);
}

void sim_virt_watchers(const struct sim *sim, uint32_t vm, struct clients *ret_clients)
{
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        if (guest->vm == vm && watches(sim, guest)) {
            struct client client = sim_address_client(guest->client);
            (void)clients_add(ret_clients, &client); /* more than eight: the list is cut */
        }
    }
}

/* The guest that began last has it: it takes it from the one before with its first write, and that
 * one gives it up, or is broken, only with nothing under way. Of one that is barred by its address
 * alone, or for a while, it is told, too. */
void sim_virt_locker(struct sim *sim, uint32_t vm, struct clients *ret_clients)
{
    const struct sim_guest *guest = &sim->guests[sim->vms[vm].newest_guest];
    if (sim->vms[vm].newest_order != 0 && !watches(sim, guest) &&
        (guest->alive || !guest->ended_clean) && !sim_block_lasts(sim, guest->client)) {
        struct client client = sim_address_client(guest->client);
        (void)clients_add(ret_clients, &client);
    }
}

/* --- libvirt lists --- */

static void tell_lost(struct sim *sim, uint32_t node)
{
    struct event event = {.kind = EVENT_DOMAINS, .domains.connected = false};
    sim->hosts[node].agent.libvirt_told = false;
    sim_agent_event(sim, node, &event);
}

static void run_list(struct sim *sim, struct sim_task *task)
{
    if (sim_hang_waits(sim, task)) {
        return;
    }
    uint32_t node = task->host;
    struct sim_host *host = &sim->hosts[node];
    uint32_t life = host->agent.life;
    if (!host->agent.alive || life != task->number) {
        return;
    }
    if (host->libvirt == LIBVIRT_HANG && sim->now_us < host->libvirt_until_us) {
        return; /* connected when it is well again */
    }
    if (host->agent.libvirt_told) { /* a new connection: the old one is lost first */
        tell_lost(sim, node);
    }
    host->agent.libvirt_connected = true;
    for (uint32_t i = 0; i < sim->guest_count && host->agent.life == life; i++) {
        const struct sim_guest *guest = &sim->guests[i];
        if (guest->alive && guest->node == node && guest->state != GUEST_CREATING) {
            struct event event = domain_event(sim, guest);
            sim_agent_event(sim, node, &event);
        }
    }
    if (host->agent.life == life) {
        struct event event = {.kind = EVENT_DOMAINS, .domains.connected = true};
        host->agent.libvirt_told = true;
        sim_agent_event(sim, node, &event);
    }
}

void sim_virt_connect(struct sim *sim, uint32_t node)
{
    sim->hosts[node].agent.libvirt_connected = false;
    sim_put(sim, sim_rng_range(&sim->rng, 20 * MS, 80 * MS), node,
            (struct sim_task){.run = run_list, .number = sim->hosts[node].agent.life});
}

static void run_lost(struct sim *sim, struct sim_task *task)
{
    if (sim_hang_waits(sim, task)) {
        return;
    }
    struct sim_host *host = &sim->hosts[task->host];
    if (host->libvirt == LIBVIRT_HANG && sim->now_us < host->libvirt_until_us) {
        tell_lost(sim, task->host);
    }
}

static void run_well(struct sim *sim, struct sim_task *task)
{
    struct sim_host *host = &sim->hosts[task->host];
    if (host->libvirt != LIBVIRT_HANG || sim->now_us >= host->libvirt_until_us) {
        sim_virt_connect(sim, task->host);
    }
}

#define KEEPALIVE_US (6 * SECOND)

void sim_virt_trouble(struct sim *sim, uint32_t node, enum libvirt_state state, uint64_t for_us)
{
    struct sim_host *host = &sim->hosts[node];
    bool hung = host->libvirt == LIBVIRT_HANG;
    host->libvirt = state;
    if (state == LIBVIRT_HANG) {
        host->libvirt_until_us = sim->now_us + for_us;
        host->agent.libvirt_connected = false;
        sim_put(sim, KEEPALIVE_US, node, (struct sim_task){.run = run_lost});
        sim_put(sim, for_us, node, (struct sim_task){.run = run_well});
    } else {
        host->libvirt_late_us = for_us;
        host->libvirt_until_us = sim->now_us;
        if (hung) {
            sim_virt_connect(sim, node);
        }
    }
}

#define DAEMON_BACK_US SECOND

/* What it was starting ends with it, since nobody would know of that; what runs goes on, and is
 * found again by the next one. */
void sim_virt_kill(struct sim *sim, uint32_t node)
{
    struct sim_host *host = &sim->hosts[node];
    if (!host->up) {
        return;
    }
    host->libvirt_life++;
    host->libvirt = LIBVIRT_HANG;
    host->libvirt_until_us = sim->now_us + DAEMON_BACK_US;
    host->agent.libvirt_connected = false;
    for (uint32_t i = 0; i < sim->guest_count; i++) {
        if (sim->guests[i].node == node && sim->guests[i].state == GUEST_CREATING) {
            sim_guest_end(sim, i, END_CRASHED, false);
        }
    }
    sim_put(sim, 5 * MS, node, (struct sim_task){.run = run_lost});
    sim_put(sim, DAEMON_BACK_US, node, (struct sim_task){.run = run_well});
}
