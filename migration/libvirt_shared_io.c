/* What the libvirt edge's threads share: life, news for the loop, waiting. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <libvirt/virterror.h>

#include "migration/libvirt_inner_io.h"

/* --- life ---------------------------------------------------------------------------------- */

static void conditions_init(struct libvirt_shared *shared)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes); /* these cannot fail on Linux */
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&shared->work, &attributes);
    pthread_cond_init(&shared->watch, &attributes);
    pthread_cond_init(&shared->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&shared->lock, NULL);
    pthread_mutex_init(&shared->secret_lock, NULL);
}

int libvirt_shared_new(const char *uri, struct libvirt_shared **ret_shared)
{
    struct libvirt_shared *shared = calloc(1, sizeof(*shared));
    if (!shared) {
        return -ENOMEM;
    }
    atomic_init(&shared->references, 1);
    shared->event_timer = -1;
    TAILQ_INIT(&shared->jobs);
    STAILQ_INIT(&shared->news);
    conditions_init(shared);
    shared->uri = strdup(uri);
    shared->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!shared->uri || shared->event_fd < 0) {
        libvirt_shared_unref(shared);
        return -ENOMEM;
    }
    *ret_shared = shared;
    return 0;
}

struct libvirt_shared *libvirt_shared_ref(struct libvirt_shared *shared)
{
    atomic_fetch_add(&shared->references, 1);
    return shared;
}

/* Takes void * because libvirt frees what its callbacks were given through such a function. */
void libvirt_shared_unref(void *data)
{
    struct libvirt_shared *shared = data;
    struct news *news;
    struct job *job;
    if (atomic_fetch_sub(&shared->references, 1) != 1) {
        return;
    }
    while ((news = STAILQ_FIRST(&shared->news))) {
        STAILQ_REMOVE_HEAD(&shared->news, link);
        libvirt_news_free(news);
    }
    while ((job = TAILQ_FIRST(&shared->jobs))) {
        libvirt_job_drop(shared, job);
    }
    if (shared->event_fd >= 0) {
        close(shared->event_fd);
    }
    pthread_cond_destroy(&shared->work);
    pthread_cond_destroy(&shared->watch);
    pthread_cond_destroy(&shared->ended);
    pthread_mutex_destroy(&shared->lock);
    pthread_mutex_destroy(&shared->secret_lock);
    explicit_bzero(shared->secrets, sizeof(shared->secrets));
    free(shared->uri);
    free(shared);
}

/* With every signal blocked: the process's own belong to the main loop, and libvirt's client writes
 * to its socket without MSG_NOSIGNAL, so a daemon that dies would take us along by SIGPIPE. */
int libvirt_thread_start(struct libvirt_shared *shared, void *(*run)(void *))
{
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&thread, NULL, run, libvirt_shared_ref(shared));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        libvirt_shared_unref(shared);
        return -r;
    }
    pthread_detach(thread);
    shared->threads++;
    return 0;
}

void libvirt_thread_end(struct libvirt_shared *shared)
{
    pthread_mutex_lock(&shared->lock);
    shared->threads--;
    pthread_cond_broadcast(&shared->ended);
    pthread_mutex_unlock(&shared->lock);
    libvirt_shared_unref(shared);
}

void libvirt_wait(struct libvirt_shared *shared, pthread_cond_t *condition, uint64_t wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t nanoseconds = (uint64_t)until.tv_nsec + wait_ms % 1000 * 1000000;
    until.tv_sec += (time_t)(wait_ms / 1000 + nanoseconds / 1000000000);
    until.tv_nsec = (long)(nanoseconds % 1000000000);
    (void)pthread_cond_timedwait(condition, &shared->lock, &until);
}

/* --- news ---------------------------------------------------------------------------------- */

struct news *libvirt_news_new(enum news_kind kind, const struct uuid *vm)
{
    struct news *news = calloc(1, sizeof(*news));
    if (news) {
        news->kind = kind;
        if (vm) {
            news->vm = *vm;
        }
    }
    return news;
}

void libvirt_news_free(struct news *news)
{
    if (news->kind == NEWS_LISTED || news->kind == NEWS_COUNTED) {
        free(news->list.sights);
    } else if (news->kind == NEWS_ASKED && news->asked.ask.memory) {
        news->asked.ask.release(news->asked.ask.memory);
    }
    free(news);
}

/* Only changes come in numbers that nobody here bounds; one that finds no room makes the watch
 * thread connect again, which tells the state of all. */
void libvirt_news_post(struct libvirt_shared *shared, struct news *news)
{
    uint64_t one = 1;
    pthread_mutex_lock(&shared->lock);
    if (!news || (news->kind == NEWS_CHANGE && shared->news_count >= NEWS_MAX)) {
        shared->relist = true;
        pthread_cond_broadcast(&shared->watch);
        if (news) {
            libvirt_news_free(news);
        }
    } else {
        STAILQ_INSERT_TAIL(&shared->news, news, link);
        shared->news_count++;
        (void)!write(shared->event_fd, &one, sizeof(one)); /* full means readable already */
    }
    pthread_mutex_unlock(&shared->lock);
}

/* --- words --------------------------------------------------------------------------------- */

void libvirt_error_text(char ret_text[TEXT_BYTES])
{
    virErrorPtr error = virGetLastError();
    const char *message = error && error->message ? error->message : "no reason given";
    snprintf(ret_text, TEXT_BYTES, "libvirt: %s", message);
    for (char *at = ret_text; *at; at++) {
        *at = *at == '\n' ? ' ' : *at; /* QEMU's own words come in lines */
    }
}
