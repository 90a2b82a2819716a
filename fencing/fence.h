/*
 * The per-target fence, as the acting node carries it out: the node's part of the barrier and its
 * power, both at once. Kept only by the actor; a new actor begins anew, which does no harm. Pure.
 */
#ifndef STEAD_FENCING_FENCE_H
#define STEAD_FENCING_FENCE_H

#include "fencing/power.h"

/* What its power is for. */
enum fence_power {
    FENCE_POWER_TRIED,  /* a clean-up */
    FENCE_POWER_NEEDED, /* a VM waits for it */
    FENCE_POWER_SPARED, /* it may be booting, or ends in order, and nobody waits for it */
};

enum fence_state {
    FENCE_IDLE,
    FENCE_RAISING, /* the barrier's entries are being added and read back */
    FENCE_WAITING, /* that failed; to be tried again */
    FENCE_STANDS,  /* the node's entries stand */
    FENCE_STATE_COUNT
};

struct fence {
    enum fence_state state;
    struct power power;
    struct incarnation incarnation; /* the life being ended */
    uint32_t proofs;                /* gained so far */
    bool address;                   /* an address entry was asked for */
    struct call barrier_call;
    uint32_t barrier_tries;
    uint64_t barrier_retry_ms;
    uint64_t begun_ms;
    uint64_t stands_ms;        /* when the barrier stood */
    uint64_t osd_epoch;        /* of the map in which its entries were read back */
    bool barrier_told;         /* that it stands is in the history */
    uint64_t watchdog_from_ms; /* since then nobody whose answer it needs answers it; 0: not yet */
};

/* Carries the fence of `node` on: begins what is due and may be begun. Call at each step while the
 * node is lost, and while it is fenced and not back (power is then tried on as clean-up). Without a
 * verified device, or with node->client_only (the machine is already back), no power is touched;
 * nor where it is spared: nobody has seen it since the power came back, it may just be slow, and
 * no policy needs it. */
void fence_carry_on(struct fence *fence, const struct node_record *node, enum fence_power power,
                    const struct settings *settings, struct caller *caller);

/* The answer to one of its calls; false: it was none of ours. */
bool fence_on_block(struct fence *fence, const struct event *event,
                    const struct settings *settings);
bool fence_on_power(struct fence *fence, const struct event *event,
                    const struct settings *settings);

/* Calls that were never answered count as unknown. */
void fence_on_tick(struct fence *fence, uint64_t now_ms);

#endif
