/*
 * The libvirt edge on the main loop: takes actions, keeps their deadlines, gives events.
 *
 * Nothing here calls libvirt, save for its registration at the start: whatever libvirtd does or
 * does not do, the loop only moves jobs into one list and takes news from another.
 */
#include "migration/libvirt_io.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libvirt/virterror.h>

#include "migration/libvirt_inner_io.h"
#include "migration/libvirt_known_io.h"
#include "migration/libvirt_secret_io.h"
#include "proto/clock_io.h"

#define CLOSE_WAIT_MS 1000
#define NEWS_PER_TURN 256 /* then the loop has its turn */
#define TIMER_MS_MAX 1000 /* its clock stands still in suspend, deadlines do not */

struct libvirt_io {
    qb_loop_t *loop;
    struct sink sink;
    struct libvirt_shared *shared;
    qb_loop_timer_handle timer;
    uint64_t timer_ms; /* when it is due; 0: not set */
    struct known_domains domains;
};

/* --- deadlines ----------------------------------------------------------------------------- */

static void on_timer(void *data);

static void timer_set(struct libvirt_io *io, uint64_t due_ms)
{
    uint64_t now = clock_io_boot_ms();
    due_ms = due_ms < now + TIMER_MS_MAX ? due_ms : now + TIMER_MS_MAX;
    if (io->timer_ms != 0 && io->timer_ms <= due_ms) {
        return;
    }
    if (io->timer_ms != 0) {
        (void)qb_loop_timer_del(io->loop, io->timer);
    }
    uint64_t wait_ms = due_ms > now ? due_ms - now : 0;
    int r = qb_loop_timer_add(io->loop, QB_LOOP_HIGH, wait_ms * 1000000, io, on_timer, &io->timer);
    io->timer_ms = r == 0 ? due_ms : 0; /* without memory the next job tries again */
}

static void on_timer(void *data)
{
    struct libvirt_io *io = data;
    io->timer_ms = 0;
    uint64_t next_ms = libvirt_jobs_sweep(io->shared, clock_io_boot_ms());
    if (next_ms != 0) {
        timer_set(io, next_ms);
    }
}

/* --- news ---------------------------------------------------------------------------------- */

static struct news *news_take(struct libvirt_shared *shared)
{
    pthread_mutex_lock(&shared->lock);
    struct news *news = STAILQ_FIRST(&shared->news);
    if (news) {
        STAILQ_REMOVE_HEAD(&shared->news, link);
        shared->news_count--;
    }
    pthread_mutex_unlock(&shared->lock);
    return news;
}

static int32_t on_news(int32_t fd, int32_t revents, void *data)
{
    struct libvirt_io *io = data;
    uint64_t count;
    uint64_t one = 1;
    struct news *news = NULL;
    (void)revents;
    (void)!read(fd, &count, sizeof(count));
    for (uint32_t i = 0; i < NEWS_PER_TURN && (news = news_take(io->shared)); i++) {
        known_on_news(&io->domains, news);
    }
    if (news) {
        (void)!write(fd, &one, sizeof(one)); /* there may be more */
    }
    timer_set(io, clock_io_boot_ms() + TIMER_MS_MAX); /* own jobs have deadlines, too */
    return 0;
}

/* --- actions ------------------------------------------------------------------------------- */

static void answer(struct libvirt_io *io, uint64_t id, enum outcome outcome, const char *text)
{
    struct event event = {.kind = EVENT_DOMAIN_DONE, .id = id};
    event.domain_done.outcome = outcome;
    snprintf(event.domain_done.text, sizeof(event.domain_done.text), "%s", text);
    sink_put(&io->sink, &event);
}

static struct job *job_new(enum job_kind kind, const struct action *action)
{
    struct job *job = calloc(1, sizeof(*job));
    if (job) {
        job->kind = kind;
        job->id = action->id;
        job->deadline_ms = action->deadline_ms;
        job->valid_until_ms = action->valid_until_ms;
        job->vm = action->vm.uuid;
        job->action = action->vm.action;
    }
    return job;
}

static int job_give(struct libvirt_io *io, struct job *job, const struct action *action)
{
    int r = job ? libvirt_job_add(io->shared, job) : -ENOMEM;
    if (r == 0) {
        timer_set(io, action->deadline_ms);
    } else {
        answer(io, action->id, OUTCOME_FAILED,
               r == -ENOMEM ? "no memory to ask libvirt"
                            : "libvirt has too much to do; nothing was sent");
    }
    return r;
}

void libvirt_io_act(struct libvirt_io *io, const struct action *action)
{
    enum job_kind kind = action->kind == ACTION_DOMAIN_RESUME     ? JOB_RESUME
                         : action->kind == ACTION_DOMAIN_SUSPEND  ? JOB_SUSPEND
                         : action->kind == ACTION_DOMAIN_SHUTDOWN ? JOB_SHUTDOWN
                                                                  : JOB_DESTROY;
    if (kind == JOB_SUSPEND) {
        known_suspends(&io->domains, &action->vm.uuid);
    }
    (void)job_give(io, job_new(kind, action), action);
}

void libvirt_io_create(struct libvirt_io *io, const struct action *action, const char *xml)
{
    struct job *job = job_new(JOB_CREATE, action);
    if (job && !(job->xml = strdup(xml))) {
        free(job);
        job = NULL;
    }
    if (job && known_creation_begins(&io->domains, &action->vm.uuid, action->vm.action) < 0) {
        free(job->xml);
        free(job);
        answer(io, action->id, OUTCOME_FAILED, "more domains on this host than stead can watch");
        return;
    }
    if (job_give(io, job, action) < 0) {
        known_creation_ends(&io->domains, &action->vm.uuid, action->vm.action, OUTCOME_FAILED);
    }
}

void libvirt_io_set_registered(struct libvirt_io *io,
                               bool (*registered)(void *context, const struct uuid *vm),
                               void *context)
{
    io->domains.registered = registered;
    io->domains.registered_context = context;
}

int libvirt_io_ask(struct libvirt_io *io, const struct uuid *vm, uint64_t deadline_ms,
                   const struct libvirt_ask *ask)
{
    struct job *job = calloc(1, sizeof(*job));
    if (!job) {
        ask->release(ask->memory);
        return -ENOMEM;
    }
    job->kind = JOB_ASK;
    job->vm = *vm;
    job->deadline_ms = deadline_ms;
    job->ask = *ask;
    int r = libvirt_job_add(io->shared, job);
    if (r == 0) {
        timer_set(io, deadline_ms);
    }
    return r;
}

void libvirt_io_look(struct libvirt_io *io, const struct uuid *vm)
{
    known_look(&io->domains, vm);
}

int libvirt_io_set_ceph_secret(struct libvirt_io *io, const char *uuid, const char *user,
                               const char *key_base64)
{
    return libvirt_secret_put(io->shared, uuid, user, key_base64);
}

/* --- open and close ------------------------------------------------------------------------ */

/* libvirt's default prints every error to stderr; here each one becomes an answer's text. */
static void on_error(void *data, virErrorPtr error)
{
    (void)data;
    (void)error;
}

static int threads_start(struct libvirt_shared *shared)
{
    pthread_mutex_lock(&shared->lock);
    int r = libvirt_watch_start(shared);
    for (uint32_t i = 0; r == 0 && i < WORKERS; i++) {
        r = libvirt_worker_start(shared);
    }
    pthread_mutex_unlock(&shared->lock);
    return r;
}

int libvirt_io_open(qb_loop_t *loop, const char *uri, const struct sink *sink,
                    struct libvirt_io **ret_io)
{
    virSetErrorFunc(NULL, on_error);
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0) {
        return -ENOTSUP;
    }
    struct libvirt_io *io = calloc(1, sizeof(*io));
    if (!io) {
        return -ENOMEM;
    }
    io->loop = loop;
    io->sink = *sink;
    io->domains.sink = *sink;
    STAILQ_INIT(&io->domains.held);
    int r = libvirt_shared_new(uri, &io->shared);
    if (r < 0) {
        free(io);
        return r;
    }
    io->domains.shared = io->shared;
    r = qb_loop_poll_add(loop, QB_LOOP_HIGH, io->shared->event_fd, POLLIN, io, on_news);
    r = r < 0 ? r : threads_start(io->shared);
    if (r < 0) {
        libvirt_io_close(io);
        return r;
    }
    *ret_io = io;
    return 0;
}

/* Waits for the threads as long as threads need that do not hang in libvirt. */
static void threads_stop(struct libvirt_shared *shared)
{
    uint64_t until_ms = clock_io_boot_ms() + CLOSE_WAIT_MS;
    uint64_t now;
    pthread_mutex_lock(&shared->lock);
    shared->stopping = true;
    pthread_cond_broadcast(&shared->work);
    pthread_cond_broadcast(&shared->watch);
    pthread_mutex_unlock(&shared->lock);
    if (shared->event_timer >= 0) {
        virEventUpdateTimeout(shared->event_timer, 0); /* wakes the events thread */
    }
    pthread_mutex_lock(&shared->lock);
    while (shared->threads > 0 && (now = clock_io_boot_ms()) < until_ms) {
        libvirt_wait(shared, &shared->ended, until_ms - now);
    }
    pthread_mutex_unlock(&shared->lock);
}

void libvirt_io_close(struct libvirt_io *io)
{
    if (!io) {
        return;
    }
    (void)qb_loop_poll_del(io->loop, io->shared->event_fd);
    if (io->timer_ms != 0) {
        (void)qb_loop_timer_del(io->loop, io->timer);
    }
    threads_stop(io->shared);
    known_clear(&io->domains);
    libvirt_shared_unref(io->shared);
    free(io);
}

static void try_silent(void *context, virErrorPtr error)
{
    (void)context;
    (void)error; /* libvirt would print it */
}

int libvirt_io_try(const char *uri, char ret_host[NAME_BYTES], char ret_text[TEXT_BYTES])
{
    virSetErrorFunc(NULL, try_silent);
    virConnectPtr connection = virConnectOpen(uri);
    if (connection == NULL) {
        const virError *error = virGetLastError();
        snprintf(ret_text, TEXT_BYTES, "%s",
                 error != NULL && error->message != NULL ? error->message : "no connection");
        return -EIO;
    }
    char *host = virConnectGetHostname(connection);
    snprintf(ret_host, NAME_BYTES, "%s", host != NULL ? host : "");
    ret_host[strcspn(ret_host, ".")] = '\0';
    free(host);
    virConnectClose(connection);
    return 0;
}
