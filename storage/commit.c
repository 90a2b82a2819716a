/*
 * One commit under way.
 *
 * Decides whether a commit took effect. A write that timed out, or that was read back as absent,
 * may land yet; a retried one may be refused by its own success. So an unknown or refused outcome
 * is settled only by the header: our id in it = done, a version that moved on = another's came
 * first (or ours did and another's after it: the state itself tells, and is read again), the old
 * version = still unknown, send the same bytes again. Never: drops a commit whose fate is open, or
 * changes its bytes.
 */
#include "storage/commit.h"

#include "proto/assert.h"
#include "proto/values.h"

static void send(struct commit *commit, struct caller *caller, uint32_t limit_ms)
{
    ASSERT(caller_fresh(caller) || commit->create);
    ASSERT(commit->delta.header.commit.counter != 0);
    struct action *action =
        call_begin(caller, &commit->call, ACTION_COMMIT, limit_ms, !commit->create);
    action->commit.create = commit->create;
    caller->out->delta = &commit->delta;
    commit->state = COMMIT_SENT;
}

void commit_begin(struct commit *commit, struct caller *caller, uint32_t limit_ms)
{
    ASSERT(commit->state == COMMIT_IDLE);
    commit->went_out = false;
    send(commit, caller, limit_ms);
}

void commit_again(struct commit *commit, struct caller *caller, uint32_t limit_ms)
{
    ASSERT(commit->state == COMMIT_UNKNOWN);
    send(commit, caller, limit_ms);
}

static enum commit_verdict settle(struct commit *commit, enum commit_verdict verdict)
{
    ASSERT(commit->state != COMMIT_IDLE);
    if (verdict != COMMIT_PENDING) {
        commit->state = COMMIT_IDLE;
        commit->call = (struct call){0};
    }
    return verdict;
}

static enum commit_verdict judge(const struct commit *commit, const struct header *header)
{
    if (origin_equal(&header->commit, &commit->delta.header.commit)) {
        return COMMIT_DONE;
    }
    bool moved = header->epoch != commit->delta.header.epoch ||
                 header->version >= commit->delta.header.version;
    return moved ? COMMIT_FAILED : COMMIT_PENDING;
}

enum commit_verdict commit_on_answer(struct commit *commit, enum outcome outcome,
                                     const struct header *header)
{
    ASSERT(commit->state == COMMIT_SENT);
    ASSERT(outcome < OUTCOME_COUNT);
    commit->state = COMMIT_UNKNOWN;
    switch (outcome) {
    case OUTCOME_DONE:
        return settle(commit, COMMIT_DONE);
    case OUTCOME_REFUSED:
        return settle(commit, judge(commit, header));
    case OUTCOME_FAILED: /* certainly not sent this time, but maybe before */
    case OUTCOME_STALE:
        return commit->went_out ? COMMIT_PENDING : settle(commit, COMMIT_FAILED);
    case OUTCOME_UNKNOWN:
    case OUTCOME_BLOCKLISTED:
    case OUTCOME_MISSING:
    case OUTCOME_COUNT:
        break;
    }
    commit->went_out = true;
    return COMMIT_PENDING;
}

enum commit_verdict commit_on_header(struct commit *commit, const struct header *header)
{
    if (commit->state == COMMIT_IDLE) {
        return COMMIT_PENDING;
    }
    return settle(commit, judge(commit, header));
}
