/*
 * Alarms: what a person should know of now. Pure.
 *
 * Level-triggered: a look once a second finds what is so, by the state and by this node's own view;
 * what stays so is raised, what is no more is cleared, both a little late so that nothing flaps.
 * Nothing is decided by an alarm, and nothing is kept of one over a restart of the agent: what is
 * still so is told again then.
 */
#ifndef STEAD_AGENT_ALARM_H
#define STEAD_AGENT_ALARM_H

#include "proto/alarm.h"
#include "proto/call.h"

#define ALARMS_MAX 256
#define ALARMS_TOLD_MAX 32 /* in one look; the rest in the next */

struct alarm_seen {
    struct alarm alarm;
    uint64_t key;      /* digest of kind and subject: what is looked for is compared by it first */
    uint64_t since_ms; /* it is so since then (CLOCK_BOOTTIME) */
    uint64_t last_ms;  /* and was so last then */
    bool own;          /* it is this node's to tell, whoever acts */
    bool raised;
    bool told; /* raised, by us or by whoever had to; so its end is told too */
};

struct alarms {
    uint64_t next_ms;      /* of the next look */
    uint64_t actor_ms;     /* a quorum without an acting node that speaks: it had none since then */
    int64_t wall_ahead_ms; /* wall clock less CLOCK_BOOTTIME, as at the last look */
    uint64_t jumped_ms;    /* when that last changed at a stroke; 0: never */
    int64_t jump_ms;       /* by how much */
    uint32_t count;
    uint32_t next; /* where the next thing found likely is: each look finds in the same order */
    bool full;     /* more is so than could be kept */
    struct alarm_seen list[ALARMS_MAX];
};

/* What one look found: called by the predicates. `own`: of scope NODE, and about this node. */
void alarm_found(struct alarms *alarms, enum alarm_kind kind, const char *subject, bool own,
                 const char *text, uint64_t now_ms, uint64_t wall_ms);

struct core;

/* Looks, if it is time to: raises and clears, and lets ACTION_ALARM out for what this node has to
 * tell. Called at the end of each step. */
void alarm_carry_on(struct core *core, struct caller *caller);

/* The next of the alarms raised now, from *at on (NULL: no more). */
const struct alarm_seen *alarm_next(const struct alarms *alarms, uint32_t *at);

/* agent/alarm_find.c: each thing that is so now, through alarm_found(). */
void alarm_find_all(struct core *core);

/* What heartbeats carry of ourselves, so that the others can show it: a mask of the kinds about a
 * node that only the node itself sees, as alarm_find.c numbers them (SAYS_…). */
uint32_t alarm_of_ourselves(const struct core *core);

#endif
