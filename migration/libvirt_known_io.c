/*
 * What is told of domains, and when.
 *
 * A domain is ours once its mark was read or we began to create it, and stays ours until it is seen
 * gone. So is one
 * whose UUID is a VM's of the cluster, started by whomever: its lease will tell. Of a stranger
 * nothing is told; a change of one makes a worker look whether it is ours.
 */
#include "migration/libvirt_known_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/clock_io.h"
#include "proto/values.h"

#define OWN_JOB_MS 30000 /* for looks and clean-ups nobody waits for */

static struct known *find(struct known_domains *domains, const struct uuid *vm)
{
    for (uint32_t i = 0; i < domains->count; i++) {
        if (uuid_equal(&domains->list[i].vm, vm)) {
            return &domains->list[i];
        }
    }
    return NULL;
}

static struct known *make_room(struct known_domains *domains)
{
    if (domains->count < KNOWN_MAX) {
        return &domains->list[domains->count++];
    }
    for (uint32_t i = 0; i < domains->count; i++) {
        struct known *known = &domains->list[i];
        if (!known->present && !known->coming) { /* waits for a late creation only */
            return known;
        }
    }
    return NULL;
}

static struct known *find_or_add(struct known_domains *domains, const struct uuid *vm)
{
    struct known *known = find(domains, vm);
    if (!known && (known = make_room(domains))) {
        *known = (struct known){.vm = *vm};
    }
    return known;
}

/* Of no more use: `known` names another one, or nobody, afterwards. */
static void forget(struct known_domains *domains, struct known *known)
{
    if (!known->present && !known->coming && !known->abandoned) {
        *known = domains->list[--domains->count];
    }
}

/* --- telling ------------------------------------------------------------------------------- */

static void tell(struct known_domains *domains, struct known *known, enum domain_state state,
                 enum domain_end end)
{
    struct event event = {.kind = EVENT_DOMAIN};
    if (known->told && known->state == state) {
        return;
    }
    event.domain.vm = known->vm;
    event.domain.state = state;
    event.domain.end = end;
    event.domain.mark = known->mark;
    event.domain.action = known->action;
    known->told = true;
    known->state = state;
    sink_put(&domains->sink, &event);
}

static void tell_connected(struct known_domains *domains, bool connected)
{
    struct event event = {.kind = EVENT_DOMAINS};
    event.domains.connected = connected;
    domains->connected = connected;
    sink_put(&domains->sink, &event);
}

static void tell_done(struct known_domains *domains, const struct news *news)
{
    struct event event = {.kind = EVENT_DOMAIN_DONE, .id = news->done.id};
    event.domain_done.outcome = news->done.outcome;
    memcpy(event.domain_done.text, news->done.text, sizeof(event.domain_done.text));
    sink_put(&domains->sink, &event);
}

static void now_is(struct known *known, enum mark_sight mark, struct action_id action,
                   bool starting)
{
    known->told = known->told && known->mark == mark && action_id_equal(known->action, action);
    known->mark = mark;
    known->action = action;
    known->starting = starting;
    known->present = true;
}

static void gone(struct known_domains *domains, struct known *known, enum domain_end end)
{
    if (end == END_SHUTDOWN && known->signalled) {
        end = END_CRASHED; /* its disks may be clean, its guest's file systems are not */
    }
    tell(domains, known, DOMAIN_GONE, end);
    if (known->abandoned && action_id_equal(known->action, known->abandoned_action)) {
        known->abandoned = false; /* it came, and went */
    }
    known->present = false;
    known->starting = false;
    known->suspended = false;
    known->told = false;
    known->signalled = false;
    forget(domains, known);
}

/* --- own jobs ------------------------------------------------------------------------------ */

static struct job *job_new(enum job_kind kind, const struct uuid *vm)
{
    struct job *job = calloc(1, sizeof(*job));
    if (job) {
        job->kind = kind;
        job->vm = *vm;
        job->deadline_ms = clock_io_boot_ms() + OWN_JOB_MS;
    }
    return job;
}

static void relist(struct libvirt_shared *shared)
{
    libvirt_news_post(shared, NULL);
}

static void look(struct known_domains *domains, const struct uuid *vm, enum domain_end end)
{
    const struct known *known = find(domains, vm);
    struct job *job = job_new(JOB_LOOK, vm);
    if (job) {
        job->end = end;
        job->changes = known ? known->changes : 0;
    }
    if (!job || libvirt_job_add(domains->shared, job) < 0) {
        relist(domains->shared);
    }
}

/* A creation that was given up has come after all. Should this not get through, the next list
 * shows it again. */
static void destroy_abandoned(struct known_domains *domains, const struct known *known)
{
    if (!known->abandoned || !known->present || !known->starting ||
        !action_id_equal(known->action, known->abandoned_action)) {
        return;
    }
    struct job *job = job_new(JOB_DESTROY, &known->vm);
    if (job) {
        job->guarded = true;
        job->action = known->abandoned_action;
    }
    if (!job || libvirt_job_add(domains->shared, job) < 0) {
        relist(domains->shared);
    }
}

static void unmark(struct known_domains *domains, const struct known *known)
{
    struct job *job = job_new(JOB_UNMARK, &known->vm);
    if (!job || libvirt_job_add(domains->shared, job) < 0) {
        relist(domains->shared);
    }
}

/* --- news ---------------------------------------------------------------------------------- */

static void on_started(struct known_domains *domains, struct known *known)
{
    if (known->coming) {
        now_is(known, MARK_READ, known->coming_action, true);
    } else if (known->abandoned && !known->present) {
        now_is(known, MARK_READ, known->abandoned_action, true);
    } else if (!known->present) { /* by another hand: its mark tells */
        look(domains, &known->vm, END_UNKNOWN);
        return;
    }
    tell(domains, known, known->starting ? DOMAIN_STARTING : DOMAIN_RUNNING, END_UNKNOWN);
    destroy_abandoned(domains, known);
}

static enum domain_state paused_state(const struct known *known)
{
    return known->starting ? DOMAIN_STARTING : known->suspended ? DOMAIN_SUSPENDED : DOMAIN_PAUSED;
}

static void on_change(struct known_domains *domains, const struct news *news)
{
    struct known *known = find(domains, &news->vm);
    if (!known) {
        look(domains, &news->vm, news->end);
        return;
    }
    known->changes++;
    switch (news->change) {
    case CHANGE_STARTED:
        on_started(domains, known);
        break;
    case CHANGE_RESUMED:
        known->starting = false;
        known->suspended = false;
        tell(domains, known, DOMAIN_RUNNING, END_UNKNOWN);
        break;
    case CHANGE_SUSPENDED:
        tell(domains, known, paused_state(known), END_UNKNOWN);
        break;
    case CHANGE_IO_ERROR:
        tell(domains, known, DOMAIN_IO_ERROR, END_UNKNOWN);
        break;
    case CHANGE_PANICKED:
        tell(domains, known, DOMAIN_PANICKED, END_UNKNOWN);
        break;
    case CHANGE_SIGNALLED:
        known->signalled = true;
        break;
    case CHANGE_STOPPED:
        if (known->coming || known->starting) { /* the new one's end, or the old one's, late? */
            look(domains, &known->vm, news->end);
        } else if (known->present) {
            gone(domains, known, news->end);
        }
        break;
    }
}

/* A VM of the cluster's, whoever started it. */
static bool is_registered(const struct known_domains *domains, const struct uuid *vm)
{
    return domains->registered && domains->registered(domains->registered_context, vm);
}

static void on_sight(struct known_domains *domains, const struct sight *sight)
{
    struct known *known = find(domains, &sight->vm);
    bool read = sight->sight == MARK_READ;
    if (!known && !read && !is_registered(domains, &sight->vm)) {
        return; /* a stranger */
    }
    known = known ? known : find_or_add(domains, &sight->vm);
    if (!known) {
        warn_io_say("more than %d domains of stead's on one host: one is not watched", KNOWN_MAX);
        return;
    }
    bool starting = read ? sight->mark.starting : known->starting;
    enum domain_state state = sight->state;
    known->starting = starting;
    known->suspended = read ? sight->mark.suspended : known->suspended;
    if (state == DOMAIN_PAUSED) {
        state = paused_state(known); /* should the mark be known, and unreadable now */
    }
    if (state == DOMAIN_RUNNING && known->suspended) {
        unmark(domains, known); /* whoever resumed it did not come to that */
    }
    starting = starting && state != DOMAIN_RUNNING;
    if (sight->sight == MARK_UNREADABLE) { /* as it was read before, if it was */
        now_is(known, known->present ? known->mark : MARK_UNREADABLE, known->action, starting);
    } else {
        now_is(known, sight->sight, sight->mark.action, starting);
    }
    known->listed = true;
    tell(domains, known, state, END_UNKNOWN);
    destroy_abandoned(domains, known);
}

static void on_seen(struct known_domains *domains, const struct news *news)
{
    struct known *known = find(domains, &news->vm);
    if (known && known->changes != news->changes) {
        look(domains, &news->vm, news->end); /* something has changed since */
    } else if (news->seen.state != DOMAIN_GONE) {
        on_sight(domains, &news->seen);
    } else if (known && known->present) {
        gone(domains, known, news->end);
    }
}

static void on_listed(struct known_domains *domains, const struct news *news)
{
    for (uint32_t i = 0; i < domains->count; i++) {
        domains->list[i].listed = false;
        domains->list[i].told = false; /* everything is told anew */
    }
    for (uint32_t i = 0; i < news->list.count; i++) {
        if (news->list.sights[i].state != DOMAIN_GONE) {
            on_sight(domains, &news->list.sights[i]);
        }
    }
    for (uint32_t i = domains->count; i > 0;
         i--) { /* backwards: gone() fills the gap from the end */
        struct known *known = &domains->list[i - 1];
        if (known->present && !known->listed) {
            gone(domains, known, END_UNKNOWN);
        }
    }
    tell_connected(domains, true);
}

/* One that should be there and was not counted may have begun or ended since: a look tells. */
static void on_counted(struct known_domains *domains, const struct news *news)
{
    for (uint32_t i = 0; i < domains->count; i++) {
        domains->list[i].listed = false;
    }
    for (uint32_t i = 0; i < news->list.count; i++) {
        struct known *known = find(domains, &news->list.sights[i].vm);
        if (known) {
            known->listed = true;
        } else if (is_registered(domains, &news->list.sights[i].vm)) {
            look(domains, &news->list.sights[i].vm, END_UNKNOWN);
        }
    }
    for (uint32_t i = 0; i < domains->count; i++) {
        const struct known *known = &domains->list[i];
        if (known->present && !known->listed) {
            look(domains, &known->vm, END_UNKNOWN);
        }
    }
}

void known_creation_ends(struct known_domains *domains, const struct uuid *vm,
                         struct action_id action, enum outcome outcome)
{
    struct known *known = find(domains, vm);
    if (!known || !known->coming || !action_id_equal(known->coming_action, action)) {
        return;
    }
    known->coming = false;
    if (outcome == OUTCOME_DONE) {
        now_is(known, MARK_READ, action, true);
        tell(domains, known, DOMAIN_STARTING, END_UNKNOWN);
    } else if (outcome == OUTCOME_UNKNOWN) {
        known->abandoned = true;
        known->abandoned_action = action;
        destroy_abandoned(domains, known);
    }
    forget(domains, known);
}

static void on_done(struct known_domains *domains, const struct news *news)
{
    if (news->done.job == JOB_CREATE) {
        known_creation_ends(domains, &news->vm, news->done.action, news->done.outcome);
    }
    if (news->done.job == JOB_SUSPEND) { /* it may have been paused by somebody, or not at all */
        look(domains, &news->vm, END_UNKNOWN);
    }
    tell_done(domains, news);
}

static void release_held(struct known_domains *domains)
{
    struct news *news;
    domains->listing = false;
    while ((news = STAILQ_FIRST(&domains->held))) {
        STAILQ_REMOVE_HEAD(&domains->held, link);
        on_change(domains, news);
        libvirt_news_free(news);
    }
}

void known_on_news(struct known_domains *domains, struct news *news)
{
    switch (news->kind) {
    case NEWS_DONE:
        on_done(domains, news);
        break;
    case NEWS_ASKED:
        news->asked.ask.done(news->asked.ask.context, news->asked.ask.memory, news->asked.outcome,
                             news->asked.text);
        break;
    case NEWS_CHANGE:
        if (domains->listing) {
            STAILQ_INSERT_TAIL(&domains->held, news, link);
            return;
        }
        on_change(domains, news);
        break;
    case NEWS_SEEN:
        on_seen(domains, news);
        break;
    case NEWS_CONNECTED:
        domains->listing = true;
        break;
    case NEWS_LISTED:
        on_listed(domains, news);
        release_held(domains);
        break;
    case NEWS_COUNTED:
        on_counted(domains, news);
        break;
    case NEWS_LOST:
        release_held(domains);
        if (domains->connected) {
            tell_connected(domains, false);
        }
        break;
    }
    libvirt_news_free(news);
}

int known_creation_begins(struct known_domains *domains, const struct uuid *vm,
                          struct action_id action)
{
    struct known *known = find_or_add(domains, vm);
    if (!known) {
        return -ENOBUFS;
    }
    known->coming = true;
    known->coming_action = action;
    return 0;
}

void known_suspends(struct known_domains *domains, const struct uuid *vm)
{
    struct known *known = find(domains, vm);
    if (known && known->state == DOMAIN_RUNNING) {
        known->suspended = true;
    }
}

void known_look(struct known_domains *domains, const struct uuid *vm)
{
    look(domains, vm, END_UNKNOWN);
}

void known_clear(struct known_domains *domains)
{
    struct news *news;
    while ((news = STAILQ_FIRST(&domains->held))) {
        STAILQ_REMOVE_HEAD(&domains->held, link);
        libvirt_news_free(news);
    }
    domains->count = 0;
}
