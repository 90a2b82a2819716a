/* Hypervisors: QEMU processes and the libvirt in front of them. */
#ifndef STEAD_TESTS_SIM_VIRT_H
#define STEAD_TESTS_SIM_VIRT_H

#include "tests/sim/sim.h"

/* Carries out a domain action, or ACTION_KILL. */
void sim_virt_act(struct sim *sim, uint32_t node, const struct action *action);

/* A new agent connects: libvirt lists its domains. */
void sim_virt_connect(struct sim *sim, uint32_t node);

/* libvirtd answers no more for this long, or only late; LIBVIRT_OK: it is well again. */
void sim_virt_trouble(struct sim *sim, uint32_t node, enum libvirt_state state, uint64_t for_us);

/* libvirtd is killed, and started again by systemd. */
void sim_virt_kill(struct sim *sim, uint32_t node);

/* A new QEMU process; its index. */
uint32_t sim_guest_new(struct sim *sim, uint32_t vm, uint32_t node, struct action_id action);
/* It opens its image: a client of its own. */
void sim_guest_open(struct sim *sim, uint32_t guest);
/* It runs from now on. */
void sim_guest_run(struct sim *sim, uint32_t guest);
/* stead lets it stand still. */
void sim_guest_suspend(struct sim *sim, uint32_t guest);
/* The process ends; told by libvirt if `told`. */
void sim_guest_end(struct sim *sim, uint32_t guest, enum domain_end end, bool told);
/* No signal ends it now: it hangs in the kernel. */
bool sim_guest_sticks(const struct sim *sim, uint32_t guest);
/* The one of this VM on this host; UINT32_MAX when there is none. */
uint32_t sim_guest_find(const struct sim *sim, uint32_t vm, uint32_t node);

/* libvirt tells how it is now. */
void sim_guest_tell(struct sim *sim, const struct sim_guest *guest);

/* sim_hand.c: what a guest does by itself, and what somebody does with virsh or on the blocklist.
 */
void sim_hand_step(struct sim *sim, const struct scenario_step *step);

/* Its write was refused: it stands still. */
void sim_virt_io_error(struct sim *sim, uint32_t guest);

/* Who has the image open, as the OSD knows: a dead client's watch lasts 30 s. */
void sim_virt_watchers(const struct sim *sim, uint32_t vm, struct clients *ret_clients);

/* Who holds the image's lock, watches it no more and is not barred. */
void sim_virt_locker(struct sim *sim, uint32_t vm, struct clients *ret_clients);

#endif
