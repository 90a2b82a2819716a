/*
 * Workers: each takes one job at a time and makes its calls on a connection of its own, so that one
 * that hangs holds up nobody else (libvirtd also stops reading from a connection with five calls
 * under way, keepalive included).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <libvirt/virterror.h>

#include "migration/libvirt_inner_io.h"

#define KEEPALIVE_S 5
#define KEEPALIVE_COUNT 3

/* A connection that lay idle may have lost its daemon unnoticed: a cheap question finds out before
 * a call whose fate would then be unknown. */
static virConnectPtr connection_check(struct libvirt_shared *shared, virConnectPtr connection)
{
    unsigned long version;
    if (connection && virConnectGetLibVersion(connection, &version) == 0) {
        return connection;
    }
    if (connection) {
        virConnectClose(connection);
    }
    connection = virConnectOpen(shared->uri);
    if (connection) {
        (void)virConnectSetKeepAlive(connection, KEEPALIVE_S, KEEPALIVE_COUNT); /* not all can */
    }
    return connection;
}

static void look(struct libvirt_shared *shared, virConnectPtr connection, const struct job *job)
{
    struct news *news = libvirt_news_new(NEWS_SEEN, &job->vm);
    if (news) {
        news->seen = (struct sight){.sight = MARK_UNREADABLE};
        news->end = job->end;
        news->changes = job->changes;
        libvirt_call_look(connection, &job->vm, &news->seen);
    }
    if (!news || virConnectIsAlive(connection) == 1) {
        libvirt_news_post(shared, news); /* without memory: everything is listed anew */
    } else {
        libvirt_news_free(news); /* not a look; the next connection lists everything */
    }
}

static void job_run(struct libvirt_shared *shared, virConnectPtr connection, struct job *job)
{
    char text[TEXT_BYTES] = "";
    enum outcome outcome = OUTCOME_FAILED;
    if (!connection) {
        libvirt_error_text(text); /* nothing was sent, so nothing happened */
    } else if (job->kind == JOB_LOOK) {
        look(shared, connection, job);
    } else {
        outcome = libvirt_call(shared, connection, job, text);
    }
    if (libvirt_job_end(shared, job, outcome, text)) {
        if (job->kind == JOB_CREATE && outcome == OUTCOME_DONE) {
            /* The core has given it up. It is still listed as under way, so nothing new of this
             * domain is started before it is gone. */
            libvirt_call_undo_create(connection, job);
        }
        libvirt_job_drop(shared, job);
    }
}

/* NULL: this worker is to end. */
static struct job *job_wait(struct libvirt_shared *shared)
{
    struct job *job = NULL;
    pthread_mutex_lock(&shared->lock);
    while (!shared->stopping && shared->workers - shared->written_off <= WORKERS &&
           !(job = libvirt_job_take(shared))) {
        pthread_cond_wait(&shared->work, &shared->lock);
    }
    if (!job) {
        shared->workers--;
        pthread_cond_signal(&shared->work); /* a wake-up meant for a worker is not lost with us */
    }
    pthread_mutex_unlock(&shared->lock);
    return job;
}

static void *worker_run(void *data)
{
    struct libvirt_shared *shared = data;
    virConnectPtr connection = NULL;
    struct job *job;
    while ((job = job_wait(shared))) {
        connection = connection_check(shared, connection);
        job_run(shared, connection, job);
    }
    if (connection) {
        virConnectClose(connection);
    }
    libvirt_thread_end(shared);
    return NULL;
}

int libvirt_worker_start(struct libvirt_shared *shared)
{
    int r = libvirt_thread_start(shared, worker_run);
    if (r == 0) {
        shared->workers++;
    }
    return r;
}
