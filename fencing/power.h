/*
 * The power of one lost host: its devices in ordered levels, off and read back; on again, where a
 * setting says so. Kept only by the actor; a new actor begins anew, which does no harm. Pure.
 */
#ifndef STEAD_FENCING_POWER_H
#define STEAD_FENCING_POWER_H

#include "proto/call.h"

#define POWER_DEVICES_MAX (1 + FENCE_DEVICES_MAX) /* number 0 is the BMC */

enum power_state {
    POWER_UNTRIED,
    POWER_ASKED,   /* every device of `level` was told to switch off */
    POWER_READING, /* each said off; all are read once more, since only all at once cut the power */
    POWER_OFF,     /* read back off */
    POWER_FAILED,  /* this round through the levels did not prove it off; `text` says why */
    POWER_ON_ASKED,
    POWER_ON_ENDED, /* `text` says how */
    POWER_STATE_COUNT
};

struct power {
    enum power_state state;
    uint32_t level; /* being tried */
    uint32_t next;  /* the one after it that may be used; 0: none */
    uint32_t asked; /* devices of it */
    bool failed;    /* one of them did not do as told */
    bool on;        /* ON_ENDED: at least one says on */
    struct call calls[POWER_DEVICES_MAX];
    uint32_t tries;    /* rounds begun */
    uint64_t begun_ms; /* the last of them */
    uint64_t ended_ms;
    uint64_t retry_ms;
    bool told; /* the outcome is in the history */
    char text[TEXT_BYTES];
};

/* Is there a level that may be used: all of whose devices were seen to be this host's? */
bool power_has_level(const struct node_record *node);

/* Begins what is due of switching off; more than a few rounds only where it is `needed`. */
void power_off_carry_on(struct power *power, const struct node_record *node, bool needed,
                        const struct settings *settings, struct caller *caller);

/* Tells each device that may be used to switch on, once. */
void power_on_again(struct power *power, const struct node_record *node,
                    const struct settings *settings, struct caller *caller);

/* The answer to one of its calls; false: it was none of ours. */
bool power_on_event(struct power *power, const struct event *event,
                    const struct settings *settings);

/* Calls that were never answered count as unknown. */
void power_on_tick(struct power *power, uint64_t now_ms);

#endif
