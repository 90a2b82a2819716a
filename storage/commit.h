/* One commit under way, from its first sending to the moment its fate is known. Pure. */
#ifndef STEAD_STORAGE_COMMIT_H
#define STEAD_STORAGE_COMMIT_H

#include "proto/call.h"

enum commit_state {
    COMMIT_IDLE,
    COMMIT_SENT,    /* under way */
    COMMIT_UNKNOWN, /* no answer, or refused at the old version: it may land yet */
    COMMIT_STATE_COUNT
};

enum commit_verdict {
    COMMIT_PENDING, /* not known yet */
    COMMIT_DONE,    /* ours is the state now */
    COMMIT_FAILED,  /* another's came first; read the state again */
};

struct commit {
    enum commit_state state;
    struct call call;
    bool went_out;      /* it may have reached RADOS */
    bool create;        /* make the object */
    struct delta delta; /* the same bytes until the version moves */
};

/* Sends commit->delta (filled by the caller). Only from COMMIT_IDLE, only while fresh. */
void commit_begin(struct commit *commit, struct caller *caller, uint32_t limit_ms);

/* Sends the same bytes again. Only from COMMIT_UNKNOWN, only while fresh. */
void commit_again(struct commit *commit, struct caller *caller, uint32_t limit_ms);

/* The answer to commit->call (which the caller has closed), with the header read on a refusal. */
enum commit_verdict commit_on_answer(struct commit *commit, enum outcome outcome,
                                     const struct header *header);

/* A header was seen otherwise (poll, whole read). */
enum commit_verdict commit_on_header(struct commit *commit, const struct header *header);

#endif
