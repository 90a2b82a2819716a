/*
 * The connection that domain events come through: made, watched, and made again.
 *
 * libvirt's own event loop runs in a thread that does nothing else; its callbacks only enqueue.
 * After each connection the order is: events registered (NEWS_CONNECTED), everything listed
 * (NEWS_LISTED). So no change falls between; one may be told twice, which harms nobody.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libvirt/virterror.h>

#include "migration/libvirt_inner_io.h"

#define BACKOFF_MS_MIN 200
#define BACKOFF_MS_MAX 5000
#define KEEPALIVE_S 2 /* a daemon that hangs counts as lost after 2 s * (3 + 1) */
#define KEEPALIVE_COUNT 3
#define LOOK_MS 1000 /* at the connection, without being told to */
#define LOOKS_PER_COUNT 5
#define EVENT_WAKE_MS 500
#define EVENTS 2

struct watch {
    struct libvirt_shared *shared;
    virConnectPtr connection;
    int callbacks[EVENTS];
    bool has_close_callback;
    bool complained; /* about the daemon not being there */
};

/* --- callbacks: on the events thread, enqueue only ----------------------------------------- */

static void change_post(struct libvirt_shared *shared, virDomainPtr domain, enum change change,
                        enum domain_end end)
{
    struct uuid vm;
    if (virDomainGetUUID(domain, vm.bytes) < 0) {
        return; /* cannot happen: it is in the handle */
    }
    struct news *news = libvirt_news_new(NEWS_CHANGE, &vm);
    if (news) {
        news->change = change;
        news->end = end;
    }
    libvirt_news_post(shared, news);
}

static enum domain_end end_read(int detail)
{
    switch (detail) {
    case VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
        return END_SHUTDOWN;
    case VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
        return END_DESTROYED;
    case VIR_DOMAIN_EVENT_STOPPED_CRASHED:
    case VIR_DOMAIN_EVENT_STOPPED_FAILED:
        return END_CRASHED;
    case VIR_DOMAIN_EVENT_STOPPED_MIGRATED:
    case VIR_DOMAIN_EVENT_STOPPED_SAVED: /* neither is stead's doing */
        return END_MIGRATED;
    default:
        return END_UNKNOWN;
    }
}

static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail,
                        void *data)
{
    (void)connection;
    switch (event) {
    case VIR_DOMAIN_EVENT_STARTED:
        change_post(data, domain, CHANGE_STARTED, END_UNKNOWN);
        break;
    case VIR_DOMAIN_EVENT_RESUMED:
        change_post(data, domain, CHANGE_RESUMED, END_UNKNOWN);
        break;
    case VIR_DOMAIN_EVENT_SUSPENDED:
        change_post(data, domain,
                    detail == VIR_DOMAIN_EVENT_SUSPENDED_IOERROR ? CHANGE_IO_ERROR
                                                                 : CHANGE_SUSPENDED,
                    END_UNKNOWN);
        break;
    case VIR_DOMAIN_EVENT_CRASHED: /* the guest panicked; QEMU lives, and stands still */
        change_post(data, domain, CHANGE_PANICKED, END_UNKNOWN);
        break;
    case VIR_DOMAIN_EVENT_SHUTDOWN:
        if (detail == VIR_DOMAIN_EVENT_SHUTDOWN_HOST) {
            change_post(data, domain, CHANGE_SIGNALLED, END_UNKNOWN);
        }
        break;
    case VIR_DOMAIN_EVENT_STOPPED:
        change_post(data, domain, CHANGE_STOPPED, end_read(detail));
        break;
    default: /* defined, undefined, asleep: nothing that stead acts on */
        break;
    }
    return 0;
}

static void on_io_error(virConnectPtr connection, virDomainPtr domain, const char *path,
                        const char *alias, int action, const char *reason, void *data)
{
    (void)connection;
    (void)path;
    (void)alias;
    (void)reason;
    if (action == VIR_DOMAIN_EVENT_IO_ERROR_PAUSE) {
        change_post(data, domain, CHANGE_IO_ERROR, END_UNKNOWN);
    }
}

static void on_close(virConnectPtr connection, int reason, void *data)
{
    struct libvirt_shared *shared = data;
    (void)connection;
    (void)reason;
    pthread_mutex_lock(&shared->lock);
    shared->closed = true;
    pthread_cond_broadcast(&shared->watch);
    pthread_mutex_unlock(&shared->lock);
}

/* --- one connection ------------------------------------------------------------------------ */

static int callbacks_register(struct watch *watch)
{
    virConnectPtr connection = watch->connection;
    struct libvirt_shared *shared = watch->shared;
    /* Without a reference of its own: libvirt calls it under the lock that unregistering takes, and
     * for drivers without a daemon it says yes here and never frees what it was given. */
    watch->has_close_callback =
        virConnectRegisterCloseCallback(connection, on_close, shared, NULL) == 0;
    const struct {
        int event;
        virConnectDomainEventGenericCallback callback;
    } wanted[EVENTS] = {
        {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
        {VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, VIR_DOMAIN_EVENT_CALLBACK(on_io_error)},
    };
    for (unsigned i = 0; i < EVENTS; i++) {
        watch->callbacks[i] =
            virConnectDomainEventRegisterAny(connection, NULL, wanted[i].event, wanted[i].callback,
                                             libvirt_shared_ref(shared), libvirt_shared_unref);
        if (watch->callbacks[i] < 0) {
            libvirt_shared_unref(shared);
            return -EIO;
        }
    }
    return 0;
}

static void connection_close(struct watch *watch)
{
    for (unsigned i = 0; i < EVENTS; i++) {
        if (watch->callbacks[i] >= 0) {
            (void)virConnectDomainEventDeregisterAny(watch->connection, watch->callbacks[i]);
        }
    }
    if (watch->has_close_callback) {
        (void)virConnectUnregisterCloseCallback(watch->connection, on_close);
    }
    virConnectClose(watch->connection);
    watch->connection = NULL;
}

static int connection_list(struct watch *watch, enum news_kind kind)
{
    struct news *list = libvirt_news_new(kind, NULL);
    int r = list ? libvirt_call_list(watch->connection, kind == NEWS_LISTED, list) : -ENOMEM;
    if (r < 0 && list) {
        libvirt_news_free(list);
    } else if (r == 0) {
        libvirt_news_post(watch->shared, list);
    }
    return r;
}

static int connection_open(struct watch *watch)
{
    struct libvirt_shared *shared = watch->shared;
    for (unsigned i = 0; i < EVENTS; i++) {
        watch->callbacks[i] = -1;
    }
    watch->has_close_callback = false;
    pthread_mutex_lock(&shared->lock);
    shared->relist = false;
    shared->closed = false;
    pthread_mutex_unlock(&shared->lock);
    watch->connection = virConnectOpen(shared->uri);
    if (!watch->connection) {
        return -ECONNREFUSED;
    }
    (void)virConnectSetKeepAlive(watch->connection, KEEPALIVE_S, KEEPALIVE_COUNT);
    int r = callbacks_register(watch);
    if (r == 0) {
        libvirt_news_post(shared, libvirt_news_new(NEWS_CONNECTED, NULL));
        libvirt_secrets_apply(shared, watch->connection);
        r = connection_list(watch, NEWS_LISTED);
    }
    if (r < 0) {
        connection_close(watch);
        libvirt_news_post(shared, libvirt_news_new(NEWS_LOST, NULL));
    }
    return r;
}

/*
 * Returns once the connection is no longer good, or nobody wants it. Counts the domains soon after
 * the start, and now and then: of one that died while libvirtd was away no event ever comes, and a
 * restarted libvirtd lists it for as long as it has not noticed (seen in 1 of 28 restarts).
 */
static void connection_watch(struct watch *watch)
{
    struct libvirt_shared *shared = watch->shared;
    uint32_t looks = 0;
    bool good = true;
    while (good && virConnectIsAlive(watch->connection) == 1) {
        libvirt_secrets_apply(shared, watch->connection);
        if (looks++ % LOOKS_PER_COUNT == 1) {
            (void)connection_list(watch, NEWS_COUNTED); /* if not, a broken connection shows */
        }
        pthread_mutex_lock(&shared->lock);
        if (!shared->stopping && !shared->relist && !shared->closed) {
            libvirt_wait(shared, &shared->watch, LOOK_MS);
        }
        good = !shared->stopping && !shared->relist && !shared->closed;
        pthread_mutex_unlock(&shared->lock);
    }
}

static void complain(struct watch *watch)
{
    char text[TEXT_BYTES];
    libvirt_error_text(text);
    if (!watch->complained) {
        warn_io_say("no connection to %s, trying on: %s", watch->shared->uri, text);
    }
    watch->complained = true;
}

static bool is_stopping(struct libvirt_shared *shared)
{
    pthread_mutex_lock(&shared->lock);
    bool stopping = shared->stopping;
    pthread_mutex_unlock(&shared->lock);
    return stopping;
}

static void *watch_run(void *data)
{
    struct watch watch = {.shared = data};
    uint64_t backoff_ms = BACKOFF_MS_MIN;
    while (!is_stopping(watch.shared)) {
        if (connection_open(&watch) == 0) {
            backoff_ms = BACKOFF_MS_MIN;
            watch.complained = false;
            connection_watch(&watch);
            connection_close(&watch);
            libvirt_news_post(watch.shared, libvirt_news_new(NEWS_LOST, NULL));
        } else {
            complain(&watch);
        }
        pthread_mutex_lock(&watch.shared->lock);
        if (!watch.shared->stopping) {
            libvirt_wait(watch.shared, &watch.shared->watch, backoff_ms);
        }
        pthread_mutex_unlock(&watch.shared->lock);
        backoff_ms = backoff_ms * 2 < BACKOFF_MS_MAX ? backoff_ms * 2 : BACKOFF_MS_MAX;
    }
    libvirt_thread_end(watch.shared);
    return NULL;
}

/* --- libvirt's event loop ------------------------------------------------------------------ */

static void on_wake(int timer, void *data)
{
    (void)timer;
    (void)data;
}

static void *events_run(void *data)
{
    struct libvirt_shared *shared = data;
    while (!is_stopping(shared)) {
        if (virEventRunDefaultImpl() < 0) {
            warn_io_say("libvirt's event loop failed; domain events may be late");
            pthread_mutex_lock(&shared->lock);
            libvirt_wait(shared, &shared->ended, EVENT_WAKE_MS); /* no busy loop */
            pthread_mutex_unlock(&shared->lock);
        }
    }
    (void)virEventRemoveTimeout(shared->event_timer);
    libvirt_thread_end(shared);
    return NULL;
}

int libvirt_watch_start(struct libvirt_shared *shared)
{
    /* Bounds the loop's sleep, so that it sees `stopping`. */
    shared->event_timer = virEventAddTimeout(EVENT_WAKE_MS, on_wake, NULL, NULL);
    int r = shared->event_timer < 0 ? -ENOMEM : libvirt_thread_start(shared, events_run);
    return r < 0 ? r : libvirt_thread_start(shared, watch_run);
}
