/* The promises, held against the simulated world and never against a core's opinion of it. */
#ifndef STEAD_TESTS_SIM_CHECK_H
#define STEAD_TESTS_SIM_CHECK_H

#include "tests/sim/sim.h"

/* A commit takes effect: it is applied to the state object, and looked at (I3). */
void sim_check_commit(struct sim *sim, uint32_t node, const struct delta *delta);
/* The state object was forced into a new epoch (I3). */
void sim_check_forced(struct sim *sim);
/* Before it is applied: each of its decisions says why (I8). */
void sim_check_why(struct sim *sim, const struct delta *delta);
/* After: what it places keeps to what is hard (I6). */
void sim_check_places(struct sim *sim, const struct delta *delta);
/* The operator was told no: with a reason (I8). */
void sim_check_refusal(struct sim *sim, const struct sim_command *command);
/* In the end: what operators were told is done is still known, and what was refused is not done
 * (I7). */
void sim_check_kept(struct sim *sim);
/* A lease is about to change hands, or not (I2). */
void sim_check_lease(struct sim *sim, uint32_t node, uint32_t vm, const struct lease *lease);
/* The lease of this VM is removed, and whom it names runs on without it (I2). */
void sim_check_let_go(struct sim *sim, uint32_t vm);
/* This guest is about to run for the first time (I2). */
void sim_check_resume(struct sim *sim, uint32_t guest);
/* Its agent lets this guest run, or go on: not where it was told that its client is blocklisted
 * (I2). */
void sim_check_told(struct sim *sim, const struct sim_call *call, uint32_t guest);
/* A commit is about to take effect: no node is taken for one without guests that has some (I2). */
void sim_check_hands(struct sim *sim, const struct delta *delta);
/* ... and each VM is taken over only by a proof that its own policy asks for (I2). */
void sim_check_proofs(struct sim *sim, const struct delta *delta);
/* A watchdog on this node proves nothing: it never fires, or its keeper's death fed it once more.
 */
bool sim_check_spared(const struct sim *sim, uint32_t node);
/* The proofs of which one releases this VM. */
uint32_t sim_check_policy(const struct sim *sim, const struct vm_record *vm);
/* A backup, up to `next_history`, is about to take the place of the state object (I7). */
void sim_check_restores(struct sim *sim, uint64_t next_history);
/* It did, in a new epoch (I3). */
void sim_check_restored(struct sim *sim, uint64_t next_history);
/* After a step: this node's copy is one that was committed (I3). */
void sim_check_copy(struct sim *sim, uint32_t node);
/* After a step: one live writer per disk (I1); how long ghosts run. */
void sim_check_world(struct sim *sim);
/* After a step: without a quorum nothing runs here for longer than it may (I4). */
void sim_check_quorum(struct sim *sim, uint32_t node);
/* An edge is about to do this: may its node still act (it is fresh, in truth)? */
void sim_check_fresh(struct sim *sim, const struct sim_call *call);
/* Entries are asked for: none against the address of a machine that is back (its new agent, and
 * each guest started there since, would be hit). */
void sim_check_entries(struct sim *sim, uint32_t node, const struct action *action);
/* The operator was told it is done: it is in the state object (I7). */
void sim_check_acknowledged(struct sim *sim, struct sim_command *command);

/* Is everything where it belongs (I5)? If not, false and one reason. */
bool sim_settled(const struct sim *sim, char ret_why[SIM_LINE_BYTES]);

/* A guest that runs and may write. */
bool sim_guest_writes(const struct sim *sim, const struct sim_guest *guest);

#endif
