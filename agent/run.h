/*
 * The VMs of this host: each one the state assigns to us is started, kept, or ended, as a machine
 * of its own (enum run_state). Pure. run.c: the machine and its table; run_start.c: up to RUN_UP;
 * run_end.c: from there on.
 */
#ifndef STEAD_AGENT_RUN_H
#define STEAD_AGENT_RUN_H

#include "agent/core.h"

/* Brings the runs in line with the copy of the state and begins what is due. Each step. */
void run_carry_on(struct core *core, struct caller *caller);

/* An answer: to a call of a run (lease, block, locks, watchers, domain, kill), or to another's. */
void run_on_answer(struct core *core, const struct event *event, struct caller *caller);

/* libvirt told of a domain, or lost or made its connection. */
void run_on_domain(struct core *core, const struct event_domain *domain, struct caller *caller);
void run_on_domains(struct core *core, bool connected, struct caller *caller);

/* What libvirt last told of the domain of a run; NULL: there is none. */
const struct domain *run_domain(const struct core *core, const struct run *run);

/* The slot of a VM's record, or VMS_MAX; looked for at `hint` first. */
uint32_t run_slot(const struct core *core, const struct uuid *vm, uint32_t hint);

/* Ends the guest of that VM by SIGKILL, and sees to what it leaves behind. False: nothing here does
 * that yet. */
bool run_kill(struct core *core, const struct uuid *vm, const char *cause, struct caller *caller);

/* What keeps a guest that is up from its work, as seen here. */
enum vm_trouble run_trouble(const struct core *core, const struct run *run);

/* Our life ended: the runs are forgotten; what still runs is killed by life.c. */
void run_drop_all(struct core *core);

/* What our runs know that the state does not reflect yet. */
void run_fill_observations(const struct core *core, struct beat *beat);

/* For the trace and for coverage. */
const char *run_word(enum run_state state);

/* Between run*.c only. */
struct run_step {
    struct core *core;
    struct run *run;
    struct caller *caller;
};

/* The one mover: asserts that the move is allowed, traces it, forgets the calls of the old state.
 */
void run_move(struct run_step *step, enum run_state state, const char *cause);
/* The record this run serves, if the state still assigns the VM to us; NULL if not. */
const struct vm_record *run_assigned(const struct core *core, const struct run *run);
/* Begins a call about this VM, filled with its name and definition; `bound`: only while fresh. */
struct action *run_call(struct run_step *step, struct call *call, enum action_kind kind,
                        uint32_t limit_ms, bool bound);
/* May a lease be taken, a guest resumed now? Asked right before the call, which is bound. */
bool run_may_begin(const struct run_step *step);
const struct settings *run_settings(const struct run_step *step);
/* Try the state's call again after a while. */
void run_retry(struct run_step *step);
/* A start fails: clean up what there is of it and say why. */
void run_undo(struct run_step *step, const char *reason);
/* A domain that bears no mark of a start: somebody's, which is told once. */
void run_note_hand(struct core *core, const struct uuid *vm);
/* Is this domain none that the start made which the lease, ours, was taken for? */
bool run_is_anothers(const struct run *run, const struct domain *domain);
/* What somebody started in its place is killed; whoever has its images open is barred. */
void run_kill_anothers(struct run_step *step);
/* /proc no longer has its process, though libvirt may list it for a while yet. */
void run_rest_domain(struct run_step *step);
/* How it ended, as others are to hear it. */
enum domain_end run_told_end(const struct run *run);
/* What became of all that is dropped now, and of what a run that begins now finds gone. */
void run_note_fates(struct local *local);
enum domain_end run_fate(const struct core *core, const struct run *run);
/* Its lease, read just now, may say so. */
void run_learn_fate(struct run *run);
/* Ends what is left here, from wherever it is: domain, clients, locks, lease. */
void run_end(struct run_step *step, const char *cause);

void run_start_carry_on(struct run_step *step);
void run_start_on_answer(struct run_step *step, const struct event *event);
void run_start_on_side(struct run_step *step, const struct event *event);
/* One of these clients that is no agent's and that the lease does not name; empty: none. An agent's
 * own handle may look at an image just now; it never writes one. */
struct client run_other(const struct core *core, const struct run *run,
                        const struct clients *clients);
void run_end_carry_on(struct run_step *step);
void run_end_on_answer(struct run_step *step, const struct event *event);
/* The rules for a guest that is up and stands still (run_halt.c). */
void run_halt_carry_on(struct run_step *step);
void run_halt_on_lease(struct run_step *step);
/* Asks whether a client of its, or this host's address, is blocklisted. */
void run_ask_block(struct run_step *step, struct call *call);
/* The way of a suspended guest back to its work (run_wake.c). */
void run_wake_carry_on(struct run_step *step);
void run_wake_on_answer(struct run_step *step, const struct event *event);
void run_up_on_side(struct run_step *step, const struct event *event);

#endif
