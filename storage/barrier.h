/*
 * One VM's part of the barrier, as the acting node raises it: read the lease of a dead holder,
 * blocklist the clients it names, and say at which generation that stands. Pure.
 */
#ifndef STEAD_STORAGE_BARRIER_H
#define STEAD_STORAGE_BARRIER_H

#include "proto/call.h"

enum barrier_state {
    BARRIER_IDLE,
    BARRIER_READING,  /* its lease */
    BARRIER_WATCHERS, /* a takeover failed before: who else has its images open? */
    BARRIER_RAISING,  /* the clients are being blocklisted and read back */
    BARRIER_STANDS,   /* a takeover may compare against `lease.generation` */
    BARRIER_FREE,     /* the lease turned out to be free at lease.generation */
    BARRIER_FREEING,  /* being freed by us: the VM is wanted stopped */
    BARRIER_WAITING,  /* failed; to be tried again */
    BARRIER_STATE_COUNT
};

struct barrier {
    enum barrier_state state;
    uint32_t slot; /* of the VM */
    struct uuid vm;
    struct call call;
    struct lease lease;
    struct client address; /* entry of the dead node: whose further watchers to block; or none */
    bool missing;          /* the lease is missing, foreign, or in a state we do not know */
    uint32_t failed_count; /* tries in a row; 0 once it stands, or the lease is free or missing */
    bool again;            /* not its first try: watchers are looked at, too */
    uint64_t retry_ms;
};

/* For one VM; `again`: a takeover at the standing generation was refused, look at watchers too. */
void barrier_init(struct barrier *barrier, uint32_t slot, const struct uuid *vm,
                  const struct client *address, bool again);

/* Begins what is due. Call at each step while the VM needs it. */
void barrier_carry_on(struct barrier *barrier, const struct settings *settings,
                      struct caller *caller);

/* Frees the lease it stands on (the VM is wanted stopped). Only from BARRIER_STANDS, while fresh.
 */
void barrier_free(struct barrier *barrier, const struct settings *settings, struct caller *caller);

/* The answers to its calls; false: none of ours. */
bool barrier_on_lease(struct barrier *barrier, const struct event *event,
                      const struct uuid *cluster_id, const struct settings *settings);
bool barrier_on_watchers(struct barrier *barrier, const struct event *event,
                         const struct settings *settings);
bool barrier_on_block(struct barrier *barrier, const struct event *event,
                      const struct settings *settings);
void barrier_on_tick(struct barrier *barrier, uint64_t now_ms);

#endif
