/*
 * Threads that only enqueue. A thread may be stuck in librados for as long as a monitor is away
 * (measured: rados_wait_for_latest_osdmap knows no timeout), so nothing ever joins one.
 */
#include "storage/job_io.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Each blocklist change holds a thread for one round of the monitors, up to 1 s: as many as can
 * wait together cost one round (measured: 100 changes with 64 threads 2.0 s, with 256 1.0 s). */
#define THREADS_MAX 256
#define STACK_BYTES (512 * 1024)
#define IDLE_S 30 /* how long a thread waits for more before it ends */

struct queue {
    struct job *first;
    struct job **end;
    uint32_t count;
};

struct jobs {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct queue todo;
    struct queue over;
    int event_fd;
    uint32_t threads;
    uint32_t idle;
    uint32_t holders; /* the edge, the threads, and what is expected: the last one frees */
    bool closed;
};

static void queue_empty(struct queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
    queue->count = 0;
}

static void queue_put(struct queue *queue, struct job *job)
{
    job->next = NULL;
    *queue->end = job;
    queue->end = &job->next;
    queue->count++;
}

static struct job *queue_take(struct queue *queue)
{
    struct job *job = queue->first;
    if (job != NULL) {
        queue->first = job->next;
        if (queue->first == NULL) {
            queue->end = &queue->first;
        }
        queue->count--;
    }
    return job;
}

/* Unlocks, and frees if this was the last holder. */
static void let_go(struct jobs *jobs)
{
    const bool last = --jobs->holders == 0;
    pthread_mutex_unlock(&jobs->lock);
    if (last) {
        close(jobs->event_fd);
        pthread_cond_destroy(&jobs->wake);
        pthread_mutex_destroy(&jobs->lock);
        free(jobs);
    }
}

static void put_over(struct jobs *jobs, struct job *job)
{
    if (jobs->closed) {
        return;
    }
    queue_put(&jobs->over, job);
    const uint64_t one = 1;
    const ssize_t written = write(jobs->event_fd, &one, sizeof(one));
    (void)written; /* only a full counter refuses, and then it is readable anyway */
}

static bool wait_for_more(struct jobs *jobs)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += IDLE_S;
    jobs->idle++;
    int r = 0;
    while (jobs->todo.first == NULL && !jobs->closed && r == 0) {
        r = pthread_cond_timedwait(&jobs->wake, &jobs->lock, &until);
    }
    jobs->idle--;
    return jobs->todo.first != NULL;
}

static void *thread(void *argument)
{
    struct jobs *jobs = argument;
    pthread_mutex_lock(&jobs->lock);
    while (wait_for_more(jobs)) {
        struct job *job = queue_take(&jobs->todo);
        const bool awaited = job->after != NULL;
        pthread_mutex_unlock(&jobs->lock);
        job->work(job);
        pthread_mutex_lock(&jobs->lock);
        if (awaited) {
            put_over(jobs, job);
        }
    }
    jobs->threads--;
    let_go(jobs);
    return NULL;
}

/* With all signals blocked: they are the main loop's. Locked. */
static void start_thread(struct jobs *jobs)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t id;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&id, &attributes, thread, jobs) == 0) {
        jobs->threads++;
        jobs->holders++;
    } /* else: a running one takes the job, or the deadline does */
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int jobs_open(struct jobs **ret_jobs)
{
    struct jobs *jobs = calloc(1, sizeof(*jobs));
    if (jobs == NULL) {
        return -ENOMEM;
    }
    jobs->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (jobs->event_fd < 0) {
        const int r = -errno;
        free(jobs);
        return r;
    }
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->wake, NULL);
    queue_empty(&jobs->todo);
    queue_empty(&jobs->over);
    jobs->holders = 1;
    *ret_jobs = jobs;
    return 0;
}

int jobs_fd(const struct jobs *jobs)
{
    return jobs->event_fd;
}

void jobs_submit(struct jobs *jobs, struct job *job)
{
    pthread_mutex_lock(&jobs->lock);
    queue_put(&jobs->todo, job);
    if (jobs->todo.count > jobs->idle && jobs->threads < THREADS_MAX) {
        start_thread(jobs);
    }
    pthread_cond_signal(&jobs->wake);
    pthread_mutex_unlock(&jobs->lock);
}

void jobs_expect(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    jobs->holders++;
    pthread_mutex_unlock(&jobs->lock);
}

void jobs_over(struct jobs *jobs, struct job *job)
{
    pthread_mutex_lock(&jobs->lock);
    put_over(jobs, job);
    let_go(jobs);
}

void jobs_finish(struct jobs *jobs)
{
    uint64_t count;
    const ssize_t got = read(jobs->event_fd, &count, sizeof(count));
    (void)got; /* a wake-up, not a number */
    pthread_mutex_lock(&jobs->lock);
    struct job *job = jobs->over.first;
    queue_empty(&jobs->over);
    pthread_mutex_unlock(&jobs->lock);
    while (job != NULL) {
        struct job *next = job->next; /* `after` may free it or send it off again */
        job->after(job);
        job = next;
    }
}

void jobs_close(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    jobs->closed = true;
    struct job *left = jobs->todo.first; /* only what nobody waits for is still done: cleaning up */
    queue_empty(&jobs->todo);
    while (left != NULL) {
        struct job *next = left->next;
        if (left->after == NULL) {
            queue_put(&jobs->todo, left);
        }
        left = next;
    }
    pthread_cond_broadcast(&jobs->wake);
    let_go(jobs);
}
