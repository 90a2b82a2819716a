/* What is wrong with the state object, judged by what was read of it and what is known. Pure. */
#ifndef STEAD_STORAGE_HEALTH_H
#define STEAD_STORAGE_HEALTH_H

#include "proto/types.h"

enum state_trouble {
    STATE_WELL,
    STATE_GONE,      /* the object, or its pool, is not there, and somebody holds a copy of it */
    STATE_FOREIGN,   /* it holds another cluster than the copy */
    STATE_OLDER,     /* it went back: an old backup was put in its place */
    STATE_GARBLED,   /* its header cannot be read */
    STATE_DAMAGED,   /* its records do not add up to its digest */
    STATE_ELSEWHERE, /* it is that of a cluster under another Corosync */
    STATE_TROUBLE_COUNT
};

/* How far the state had come, by our own copy and by what others told of theirs: what is read
 * afterwards cannot lawfully be from before. 0/0: nothing is known. */
struct known {
    uint32_t epoch;
    uint64_t version;
};

/* Which cluster it can only be. Zero and empty: not known. */
struct belonging {
    struct uuid cluster_id;    /* of our copy, or of the life we are in */
    char corosync[NAME_BYTES]; /* the name of our Corosync's cluster */
};

/* Raises *known to (epoch, version) if that is later. */
void health_know(struct known *known, uint32_t epoch, uint64_t version);

/* Is this header another cluster's? WELL, FOREIGN or ELSEWHERE. */
enum state_trouble health_of_belonging(const struct header *read, const struct belonging *ours);

/* Judges a header of our cluster that was read in one operation begun when `known` was known.
 * `copy` is ours (version 0: none). WELL or OLDER. */
enum state_trouble health_of_header(const struct header *read, const struct header *copy,
                                    const struct known *known);

/* May the holder of a good copy commit? Only where the object's own guard can still tell whether
 * that copy is the newest: a commit then writes anew what is damaged. */
bool health_may_commit(enum state_trouble trouble);

#endif
