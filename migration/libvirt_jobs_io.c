/*
 * The list of jobs: who may run next, and who has run out of time.
 *
 * Each job with an id is answered once: by the worker that comes back with it, or by the sweep,
 * whichever is first under the lock. One job at a time per domain, except that a destroy need not
 * wait for a call that is past its deadline: libvirt can end a start that hangs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migration/libvirt_inner_io.h"
#include "proto/values.h"

static void job_free(struct job *job)
{
    if (job->kind == JOB_ASK && job->ask.memory) {
        job->ask.release(job->ask.memory);
    }
    free(job->xml);
    free(job);
}

static void job_remove(struct libvirt_shared *shared, struct job *job)
{
    TAILQ_REMOVE(&shared->jobs, job, link);
    shared->job_count--;
}

int libvirt_job_add(struct libvirt_shared *shared, struct job *job)
{
    int r = 0;
    pthread_mutex_lock(&shared->lock);
    if (shared->job_count >= JOBS_MAX || shared->stopping) {
        r = -ENOBUFS;
        job_free(job);
    } else {
        TAILQ_INSERT_TAIL(&shared->jobs, job, link);
        shared->job_count++;
        pthread_cond_signal(&shared->work);
    }
    pthread_mutex_unlock(&shared->lock);
    return r;
}

static bool must_wait(const struct libvirt_shared *shared, const struct job *job)
{
    const struct job *earlier = NULL;
    TAILQ_FOREACH(earlier, &shared->jobs, link)
    {
        if (earlier == job) {
            return false;
        }
        bool past = earlier->state == JOB_EXPIRED && job->kind == JOB_DESTROY;
        if (uuid_equal(&earlier->vm, &job->vm) && !past) {
            return true;
        }
    }
    return false;
}

struct job *libvirt_job_take(struct libvirt_shared *shared)
{
    struct job *job;
    TAILQ_FOREACH(job, &shared->jobs, link)
    {
        if (job->state == JOB_WAITING && !must_wait(shared, job)) {
            job->state = JOB_RUNNING;
            return job;
        }
    }
    return NULL;
}

/* `over`: no worker is in it, so its memory goes with the answer. */
static struct news *ask_answer(struct job *job, enum outcome outcome, const char *text, bool over)
{
    struct news *news = libvirt_news_new(NEWS_ASKED, &job->vm);
    if (news) {
        news->asked.ask = job->ask;
        news->asked.ask.memory = over ? job->ask.memory : NULL;
        job->ask.memory = over ? NULL : job->ask.memory;
        news->asked.outcome = outcome;
        snprintf(news->asked.text, sizeof(news->asked.text), "%s", text);
    }
    return news;
}

static struct news *job_answer(struct job *job, enum outcome outcome, const char *text, bool over)
{
    if (job->kind == JOB_ASK) {
        return ask_answer(job, outcome, text, over);
    }
    struct news *news = libvirt_news_new(NEWS_DONE, &job->vm);
    if (news) {
        news->done.job = job->kind;
        news->done.id = job->id;
        news->done.action = job->action;
        news->done.outcome = outcome;
        snprintf(news->done.text, sizeof(news->done.text), "%s", text);
    }
    return news;
}

/* Does anybody wait for it? */
static bool is_answered(const struct job *job)
{
    return job->id != 0 || job->kind == JOB_ASK;
}

bool libvirt_job_end(struct libvirt_shared *shared, struct job *job, enum outcome outcome,
                     const char *text)
{
    struct news *news = NULL;
    pthread_mutex_lock(&shared->lock);
    bool late = job->state == JOB_EXPIRED;
    if (late) {
        shared->written_off--;
    } else { /* off the list before the answer is seen: what comes next must not find it there */
        news = is_answered(job) ? job_answer(job, outcome, text, true) : NULL;
        job_remove(shared, job);
        pthread_cond_broadcast(&shared->work);
    }
    pthread_mutex_unlock(&shared->lock);
    if (late) {
        return true;
    }
    if (news) {
        libvirt_news_post(shared, news);
    }
    job_free(job);
    return false;
}

void libvirt_job_drop(struct libvirt_shared *shared, struct job *job)
{
    pthread_mutex_lock(&shared->lock);
    job_remove(shared, job);
    pthread_cond_broadcast(&shared->work); /* the next of this domain may go */
    pthread_mutex_unlock(&shared->lock);
    job_free(job);
}

bool libvirt_job_creating(struct libvirt_shared *shared, const struct uuid *vm)
{
    const struct job *job;
    bool creating = false;
    pthread_mutex_lock(&shared->lock);
    TAILQ_FOREACH(job, &shared->jobs, link)
    {
        creating = creating || (job->kind == JOB_CREATE && job->state != JOB_WAITING &&
                                uuid_equal(&job->vm, vm));
    }
    pthread_mutex_unlock(&shared->lock);
    return creating;
}

/* The worker hangs in a call nobody waits for: another takes its place, up to a bound. */
static void write_off(struct libvirt_shared *shared, struct job *job)
{
    job->state = JOB_EXPIRED;
    shared->written_off++;
    if (shared->workers < WORKERS_MAX) {
        (void)libvirt_worker_start(shared); /* else the others carry on */
    }
}

static void expire(struct libvirt_shared *shared, struct job *job)
{
    bool sent = job->state == JOB_RUNNING;
    struct news *news = NULL;
    if (is_answered(job)) {
        news = job_answer(job, OUTCOME_UNKNOWN,
                          sent ? "libvirt did not answer before the deadline"
                               : "libvirt was busy until the deadline; nothing was sent",
                          !sent);
        if (!news) {
            return; /* no memory: at the next sweep, rather than never */
        }
        STAILQ_INSERT_TAIL(&shared->news, news, link);
        shared->news_count++;
    }
    if (job->kind == JOB_LOOK) {
        shared->relist = true;
        pthread_cond_broadcast(&shared->watch);
    }
    if (sent) {
        write_off(shared, job);
    } else {
        job_remove(shared, job);
        job_free(job);
    }
}

uint64_t libvirt_jobs_sweep(struct libvirt_shared *shared, uint64_t now_ms)
{
    uint64_t next_ms = 0;
    uint64_t one = 1;
    pthread_mutex_lock(&shared->lock);
    for (struct job *job = TAILQ_FIRST(&shared->jobs), *after; job; job = after) {
        after = TAILQ_NEXT(job, link);
        if (job->state == JOB_EXPIRED) {
            continue;
        }
        if (job->deadline_ms <= now_ms) {
            expire(shared, job);
        } else if (next_ms == 0 || job->deadline_ms < next_ms) {
            next_ms = job->deadline_ms;
        }
    }
    if (!STAILQ_EMPTY(&shared->news)) {
        (void)!write(shared->event_fd, &one, sizeof(one));
    }
    pthread_mutex_unlock(&shared->lock);
    return next_ms;
}
