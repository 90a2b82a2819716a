/* The thread that makes and checks connections to Corosync. */
#include "agent/corosync_link_io.h"

#include <corosync/votequorum.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/cmap_io.h"
#include "agent/journal_io.h"
#include "proto/assert.h"
#include "proto/values.h"

#define BACKOFF_FIRST_MS 200
#define BACKOFF_LAST_MS 2000
#define REFUSED_MS 2000
#define AGAIN_MS 20 /* between two tries while Corosync says "try again" */
#define AGAIN_TRIES 100

struct corosync_link {
    pthread_mutex_t lock; /* over `orders`, `votes` and `state` */
    pthread_cond_t ordered;
    uint32_t orders;
    uint32_t votes; /* with LINK_EXPECT */
    struct link_state state;
    int event_fd;
    /* The rest is the thread's own. */
    struct link_callbacks callbacks;
    struct link_state own;
    votequorum_handle_t info; /* for questions; `own.votes` is the tracked one */
    bool connected;
};

static void sleep_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static void publish(struct corosync_link *link, enum link_news news)
{
    const uint64_t one = 1;
    pthread_mutex_lock(&link->lock);
    uint32_t before = link->state.news;
    link->state = link->own;
    link->state.news = before | news;
    pthread_mutex_unlock(&link->lock);
    ssize_t written = write(link->event_fd, &one, sizeof(one));
    ASSERT(written == (ssize_t)sizeof(one));
}

/* Waits for an order at most `ms` (negative: for ever) and takes all there are. */
static uint32_t wait_for_orders(struct corosync_link *link, long ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (ms < 0 ? 0 : ms) / 1000;
    until.tv_nsec += (ms < 0 ? 0 : ms) % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&link->lock);
    int r = 0;
    while (link->orders == 0 && r == 0) {
        r = ms < 0 ? pthread_cond_wait(&link->ordered, &link->lock)
                   : pthread_cond_timedwait(&link->ordered, &link->lock, &until);
    }
    uint32_t orders = link->orders;
    link->orders = 0;
    pthread_mutex_unlock(&link->lock);
    return orders;
}

static void disconnect(struct corosync_link *link)
{
    if (link->own.cpg != 0) {
        cpg_finalize(link->own.cpg);
    }
    if (link->own.votes != 0) {
        quorum_finalize(link->own.votes);
    }
    if (link->info != 0) {
        votequorum_finalize(link->info);
    }
    if (link->own.cfg != 0) {
        corosync_cfg_finalize(link->own.cfg);
    }
    link->own.cpg = 0;
    link->own.cfg = 0;
    link->own.votes = 0;
    link->info = 0;
    link->connected = false;
}

/* The same settings as in the map, as votequorum lives by them now (they can be changed while it
 * runs), and the votes needed. */
static int check_votequorum(struct corosync_link *link)
{
    static const struct {
        uint32_t flag;
        const char *key;
        enum tie_break but; /* is the very thing then */
    } refused[] = {{VOTEQUORUM_INFO_TWONODE, "quorum.two_node", TIE_TWO_NODE},
                   {VOTEQUORUM_INFO_LAST_MAN_STANDING, "quorum.last_man_standing", TIE_NONE},
                   {VOTEQUORUM_INFO_AUTO_TIE_BREAKER, "quorum.auto_tie_breaker", TIE_NONE},
                   {VOTEQUORUM_INFO_ALLOW_DOWNSCALE, "quorum.allow_downscale", TIE_NONE},
                   {VOTEQUORUM_INFO_QDEVICE_REGISTERED, "quorum.device", TIE_QDEVICE},
                   {VOTEQUORUM_INFO_QDEVICE_MASTER_WINS, "quorum.device.master_wins", TIE_NONE}};
    const enum tie_break tie = link->own.tie;
    struct votequorum_info info = {0};
    cs_error_t error = votequorum_getinfo(link->info, link->own.nodeid, &info);
    if (error != CS_OK) {
        return -ENOTCONN;
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        bool meant = tie != TIE_NONE && refused[i].but == tie;
        if ((info.flags & refused[i].flag) != 0 && !meant) {
            snprintf(link->own.text, TEXT_BYTES,
                     "Corosync runs with %s, which stead does not support", refused[i].key);
            return -EPERM;
        }
    }
    if (info.node_votes != 1) {
        snprintf(link->own.text, TEXT_BYTES,
                 "corosync.conf: quorum_votes of this node must be 1 (it is %u)", info.node_votes);
        return -EPERM;
    }
    if (tie == TIE_TWO_NODE && (info.flags & VOTEQUORUM_INFO_TWONODE) != 0 &&
        (info.flags & VOTEQUORUM_INFO_WAIT_FOR_ALL) == 0) {
        snprintf(link->own.text, TEXT_BYTES,
                 "Corosync runs with quorum.two_node and without "
                 "wait_for_all, which stead does not support");
        return -EPERM;
    }
    /* Lowered by hand or not: agent/votes.c counts, too. */
    link->own.quorum = info.quorum - (tie == TIE_QDEVICE && info.quorum > 1);
    return 0;
}

static int check(struct corosync_link *link)
{
    struct cmap_facts facts;
    int r = cmap_io_read(&facts, link->own.text);
    if (r == 0) {
        memcpy(link->own.name, facts.name, sizeof(link->own.name));
        memcpy(link->own.cluster, facts.cluster, sizeof(link->own.cluster));
        link->own.detect_ms = facts.detect_ms;
        link->own.tie = facts.tie;
        r = check_votequorum(link);
    }
    return r;
}

static int join(struct corosync_link *link)
{
    struct cpg_name group = {.length = 5, .value = "stead"};
    cs_error_t error = CS_ERR_TRY_AGAIN;
    for (int i = 0; i < AGAIN_TRIES && error == CS_ERR_TRY_AGAIN; i++) {
        error = cpg_join(link->own.cpg, &group);
        if (error == CS_ERR_TRY_AGAIN) {
            sleep_ms(AGAIN_MS);
        }
    }
    if (error != CS_OK) {
        return -ENOTCONN;
    }
    error = quorum_trackstart(link->own.votes, CS_TRACK_CHANGES | CS_TRACK_CURRENT);
    if (error == CS_OK) {
        error = corosync_cfg_trackstart(link->own.cfg, 0);
    }
    return error == CS_OK ? 0 : -ENOTCONN;
}

static int open_handles(struct corosync_link *link)
{
    struct link_state *own = &link->own;
    uint32_t type = 0;
    cpg_handle_t cpg;
    quorum_handle_t votes;
    corosync_cfg_handle_t cfg;
    votequorum_callbacks_t none = {0};
    votequorum_handle_t info;
    if (cpg_model_initialize(&cpg, CPG_MODEL_V1, (cpg_model_data_t *)&link->callbacks.cpg,
                             link->callbacks.context) != CS_OK) {
        return -ENOTCONN;
    }
    own->cpg = cpg;
    if (quorum_model_initialize(&votes, QUORUM_MODEL_V1,
                                (quorum_model_data_t *)&link->callbacks.votes, &type,
                                link->callbacks.context) != CS_OK) {
        return -ENOTCONN;
    }
    own->votes = votes;
    if (votequorum_initialize(&info, &none) != CS_OK) {
        return -ENOTCONN;
    }
    link->info = info;
    if (corosync_cfg_initialize(&cfg, &link->callbacks.cfg) != CS_OK) {
        return -ENOTCONN;
    }
    own->cfg = cfg;
    if (cpg_local_get(cpg, &own->nodeid) != CS_OK || cpg_fd_get(cpg, &own->cpg_fd) != CS_OK ||
        corosync_cfg_fd_get(cfg, &own->cfg_fd) != CS_OK ||
        quorum_fd_get(votes, &own->votes_fd) != CS_OK || own->nodeid == 0) {
        return -ENOTCONN;
    }
    return 0;
}

static int connect_once(struct corosync_link *link)
{
    struct cmap_facts facts;
    disconnect(link);
    int r = cmap_io_read(&facts, link->own.text); /* first: says what is wrong most clearly */
    if (r == 0) {
        r = open_handles(link);
    }
    if (r == 0) {
        r = check(link);
    }
    if (r == 0) {
        r = join(link);
    }
    if (r < 0) {
        disconnect(link);
    }
    return r;
}

/* Returns the orders that came meanwhile. */
static uint32_t connect_until_there(struct corosync_link *link)
{
    long backoff_ms = BACKOFF_FIRST_MS;
    uint32_t orders = 0;
    for (;;) {
        int r = connect_once(link);
        if (r == 0) {
            link->connected = true;
            publish(link, LINK_UP);
            return orders;
        }
        if (r == -EPERM) {
            publish(link, LINK_REFUSED);
        }
        orders |= wait_for_orders(link, r == -EPERM ? REFUSED_MS : backoff_ms);
        if ((orders & LINK_LEAVE) != 0) {
            return orders;
        }
        backoff_ms = backoff_ms * 2 > BACKOFF_LAST_MS ? BACKOFF_LAST_MS : backoff_ms * 2;
    }
}

static void check_and_tell(struct corosync_link *link)
{
    int r = check(link);
    if (r == 0) {
        publish(link, LINK_CHECKED);
    } else if (r == -EPERM) {
        publish(link, LINK_REFUSED);
    } /* else Corosync is going away, which the loop sees on its own handles */
}

static void expect(struct corosync_link *link)
{
    pthread_mutex_lock(&link->lock);
    unsigned int votes = link->votes;
    pthread_mutex_unlock(&link->lock);
    cs_error_t error = votequorum_setexpected(link->info, votes);
    journal_io_say(error == CS_OK ? LOG_NOTICE : LOG_WARNING,
                   "Corosync is to expect %u votes: the others were vouched dead%s", votes,
                   error == CS_OK ? "" : "; it refused, it is told again");
}

static void *run(void *context)
{
    struct corosync_link *link = context;
    for (;;) {
        uint32_t orders = wait_for_orders(link, -1);
        if ((orders & LINK_CONNECT) != 0) {
            orders |= connect_until_there(link);
        }
        if ((orders & LINK_LEAVE) != 0) {
            disconnect(link); /* Corosync tells the others that we left */
            publish(link, LINK_LEFT);
            return NULL;
        }
        if ((orders & (LINK_AGREE | LINK_OBJECT)) != 0 && link->connected) {
            (void)corosync_cfg_replyto_shutdown(link->own.cfg, (orders & LINK_AGREE) != 0
                                                                   ? COROSYNC_CFG_SHUTDOWN_FLAG_YES
                                                                   : COROSYNC_CFG_SHUTDOWN_FLAG_NO);
        }
        if ((orders & LINK_EXPECT) != 0 && link->connected) {
            expect(link);
        }
        if ((orders & LINK_CHECK) != 0 && link->connected) {
            check_and_tell(link);
        }
    }
}

void corosync_link_order(struct corosync_link *link, enum link_order order)
{
    pthread_mutex_lock(&link->lock);
    link->orders |= order;
    pthread_cond_signal(&link->ordered);
    pthread_mutex_unlock(&link->lock);
}

void corosync_link_expect(struct corosync_link *link, uint32_t votes)
{
    pthread_mutex_lock(&link->lock);
    link->votes = votes;
    pthread_mutex_unlock(&link->lock);
    corosync_link_order(link, LINK_EXPECT);
}

void corosync_link_fetch(struct corosync_link *link, struct link_state *ret_state)
{
    uint64_t count;
    ssize_t got = read(link->event_fd, &count, sizeof(count));
    ASSERT(got == (ssize_t)sizeof(count) || errno == EAGAIN);
    pthread_mutex_lock(&link->lock);
    *ret_state = link->state;
    link->state.news = 0;
    pthread_mutex_unlock(&link->lock);
}

int corosync_link_open(const struct link_callbacks *callbacks, int *ret_fd,
                       struct corosync_link **ret_link)
{
    pthread_t thread;
    pthread_condattr_t attributes;
    struct corosync_link *link = calloc(1, sizeof(*link));
    if (link == NULL) {
        return -ENOMEM;
    }
    link->callbacks = *callbacks;
    link->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = link->event_fd < 0 ? errno : 0;
    pthread_mutex_init(&link->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&link->ordered, &attributes);
    pthread_condattr_destroy(&attributes);
    if (r == 0) {
        r = pthread_create(&thread, NULL, run, link);
    }
    if (r != 0) {
        free(link);
        return -r;
    }
    pthread_detach(thread);
    *ret_fd = link->event_fd;
    *ret_link = link;
    return 0;
}
