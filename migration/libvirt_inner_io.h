/*
 * What the parts of the libvirt edge share. Three kinds of thread meet here:
 *
 *   the main loop   takes actions and gives events; never waits for anything
 *   workers         make one blocking call at a time, each on a connection of its own
 *   watch, events   hold the connection that domain events and the list come through
 *
 * `lock` is held for bookkeeping only, never across a call to libvirt. The struct outlives whoever
 * holds a reference: a thread that hangs in libvirt when the edge is closed keeps it, alone.
 */
#ifndef STEAD_MIGRATION_LIBVIRT_INNER_IO_H
#define STEAD_MIGRATION_LIBVIRT_INNER_IO_H

#include <libvirt/libvirt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "migration/domain_xml_io.h"
#include "migration/libvirt_ask_io.h"
#include "proto/action.h"
#include "proto/event.h"
#include "proto/warn_io.h"

#define WORKERS 8      /* that are free to take work */
#define WORKERS_MAX 32 /* with those that hang in a call whose deadline has passed */
#define JOBS_MAX 2048  /* waiting and under way */
#define NEWS_MAX 8192  /* beyond that everything is listed anew */
#define SECRETS_MAX 16 /* waiting to be told to libvirt */
#define SECRET_BYTES 128

enum job_kind {
    JOB_CREATE,
    JOB_RESUME,
    JOB_SUSPEND,
    JOB_UNMARK,
    JOB_SHUTDOWN,
    JOB_DESTROY,
    JOB_LOOK,
    JOB_ASK,
};

enum job_state {
    JOB_WAITING, /* for a worker, or for an earlier job of the same domain */
    JOB_RUNNING, /* a worker is in libvirt with it */
    JOB_EXPIRED, /* still so, but its answer has been given: whatever comes is too late */
};

struct job {
    TAILQ_ENTRY(job) link;
    enum job_kind kind;
    enum job_state state;
    uint64_t id; /* 0: our own, nobody waits for an answer */
    uint64_t deadline_ms;
    uint64_t valid_until_ms;
    struct uuid vm;
    struct action_id action;
    enum domain_end end;    /* LOOK: how it ended, should it be found gone */
    uint32_t changes;       /* LOOK: of this domain, so far; to tell whether the look is outdated */
    bool guarded;           /* DESTROY: only the domain that `action` made */
    char *xml;              /* CREATE */
    struct libvirt_ask ask; /* ASK */
};

/* One domain as libvirt shows it. */
struct sight {
    struct uuid vm;
    enum domain_state state;
    enum mark_sight sight;
    struct domain_mark mark;
};

enum change {
    CHANGE_STARTED,
    CHANGE_RESUMED,
    CHANGE_SUSPENDED,
    CHANGE_IO_ERROR,
    CHANGE_PANICKED,
    CHANGE_SIGNALLED, /* QEMU was told to quit, not its guest: an end will follow */
    CHANGE_STOPPED,
};

enum news_kind {
    NEWS_DONE,      /* a job with an id is answered */
    NEWS_ASKED,     /* an ASK is answered */
    NEWS_CHANGE,    /* a domain event */
    NEWS_SEEN,      /* what a LOOK found */
    NEWS_CONNECTED, /* changes are told from here on; the list is being made */
    NEWS_LISTED,
    NEWS_COUNTED, /* which domains there are, without a look at each */
    NEWS_LOST,
};

struct news {
    STAILQ_ENTRY(news) link;
    enum news_kind kind;
    struct uuid vm;
    union {
        struct {
            enum job_kind job;
            uint64_t id;
            struct action_id action;
            enum outcome outcome;
            char text[TEXT_BYTES];
        } done;
        struct {
            struct libvirt_ask ask; /* its memory: NULL while a worker may be in it */
            enum outcome outcome;
            char text[TEXT_BYTES];
        } asked;
        enum change change;
        struct sight seen;
        struct {
            uint32_t count;
            struct sight *sights;
        } list;
    };
    enum domain_end end; /* of CHANGE_STOPPED, and of SEEN when gone */
    uint32_t changes;    /* of SEEN: as in its job */
};

struct secret {
    char uuid[UUID_TEXT_BYTES];
    char user[NAME_BYTES];
    size_t size;
    unsigned char value[SECRET_BYTES];
};

struct libvirt_shared {
    atomic_uint references;
    char *uri;
    int event_fd; /* readable when there is news */

    pthread_mutex_t lock;
    pthread_cond_t work;  /* for workers */
    pthread_cond_t watch; /* for the watch thread: look at the connection */
    pthread_cond_t ended; /* a thread is about to end */
    bool stopping;
    bool relist;     /* news was lost: list everything anew */
    bool closed;     /* the watched connection has gone */
    int event_timer; /* libvirt's; shortens the events thread's sleep */
    uint32_t threads;
    uint32_t workers;
    uint32_t written_off; /* workers in an expired call */
    uint32_t job_count;
    TAILQ_HEAD(, job) jobs; /* in the order they were asked for, the running ones included */
    uint32_t news_count;
    STAILQ_HEAD(news_list, news) news;

    uint32_t secret_count;
    struct secret secrets[SECRETS_MAX]; /* not told to libvirt yet */
    pthread_mutex_t secret_lock; /* held while libvirt is told: creations wait for their secret */
};

/* --- libvirt_shared_io.c --- */

int libvirt_shared_new(const char *uri, struct libvirt_shared **ret_shared);
struct libvirt_shared *libvirt_shared_ref(struct libvirt_shared *shared);
void libvirt_shared_unref(void *shared);
/* Starts a detached thread that owns a reference; `run` ends with libvirt_thread_end. Call with the
 * lock held. 0 or -errno. */
int libvirt_thread_start(struct libvirt_shared *shared, void *(*run)(void *));
void libvirt_thread_end(struct libvirt_shared *shared);
/* Hands `news` (allocated) to the loop; takes it over. */
void libvirt_news_post(struct libvirt_shared *shared, struct news *news);
struct news *libvirt_news_new(enum news_kind kind, const struct uuid *vm);
void libvirt_news_free(struct news *news);
/* Waits on `condition` at most so long; with the lock held. */
void libvirt_wait(struct libvirt_shared *shared, pthread_cond_t *condition, uint64_t wait_ms);
/* The last libvirt error of this thread, in a line. */
void libvirt_error_text(char ret_text[TEXT_BYTES]);

/* --- libvirt_jobs_io.c: the list of jobs --- */

/* Takes over `job` and the memory in it. 0, or -ENOBUFS when there are too many. */
int libvirt_job_add(struct libvirt_shared *shared, struct job *job);
/* Answers UNKNOWN for each job whose deadline has passed; the earliest deadline left, or 0. */
uint64_t libvirt_jobs_sweep(struct libvirt_shared *shared, uint64_t now_ms);
/* The first job a worker may run now, or NULL; with the lock held. */
struct job *libvirt_job_take(struct libvirt_shared *shared);
/* The worker is back. False: it was in time, the answer is given, the job is gone. True: it was too
 * late; the job stays listed until libvirt_job_drop. */
bool libvirt_job_end(struct libvirt_shared *shared, struct job *job, enum outcome outcome,
                     const char *text);
/* Takes the job out of the list and frees it. */
void libvirt_job_drop(struct libvirt_shared *shared, struct job *job);
/* Is a creation of `vm` under way, answered or not? */
bool libvirt_job_creating(struct libvirt_shared *shared, const struct uuid *vm);

/* --- libvirt_calls_io.c: blocking, for workers and the watch thread --- */

/* A domain that is let go where its variable ends. */
#define CLEANUP_DOMAIN __attribute__((cleanup(libvirt_domain_free)))
void libvirt_domain_free(virDomainPtr *domain);

/* What went wrong in the last call, in words and as libvirt's code. True: the daemon's answer says
 * so; false: it did not answer. Needs the error, so it comes right after the call. */
bool libvirt_error_take(virConnectPtr connection, int *ret_code, char ret_text[TEXT_BYTES]);
/* What the failure of the last call amounts to: FAILED, MISSING (no such domain) or UNKNOWN. */
enum outcome libvirt_failure(virConnectPtr connection, char ret_text[TEXT_BYTES]);
enum outcome libvirt_call(struct libvirt_shared *shared, virConnectPtr connection,
                          const struct job *job, char ret_text[TEXT_BYTES]);
void libvirt_call_look(virConnectPtr connection, const struct uuid *vm, struct sight *ret_sight);
void libvirt_call_undo_create(virConnectPtr connection, const struct job *job);
/* All active domains; with `look`, what each is like. 0, or -errno when the list is not complete.
 */
int libvirt_call_list(virConnectPtr connection, bool look, struct news *list);

/* --- libvirt_secret_io.c --- */

/* Tells libvirt the secrets it has not been told yet. What it refuses is said and dropped. */
void libvirt_secrets_apply(struct libvirt_shared *shared, virConnectPtr connection);

/* --- threads --- */

int libvirt_worker_start(struct libvirt_shared *shared); /* with the lock held */
int libvirt_watch_start(struct libvirt_shared *shared);  /* likewise; watch and events */

#endif
