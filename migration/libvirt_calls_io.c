/*
 * The calls to libvirt, as they are: blocking. What each failure means is decided here.
 *
 * FAILED is only said when libvirtd answered with an error. A connection that broke under a call
 * says nothing about it: the call may still be carried out (measured: a start whose client had gone
 * ran the domain ten seconds later), so that is UNKNOWN.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libvirt/virterror.h>

#include "migration/libvirt_inner_io.h"
#include "proto/clock_io.h"
#include "proto/values.h"

void libvirt_domain_free(virDomainPtr *domain)
{
    if (*domain) {
        virDomainFree(*domain);
    }
}

bool libvirt_error_take(virConnectPtr connection, int *ret_code, char ret_text[TEXT_BYTES])
{
    virErrorPtr error = virGetLastError();
    bool lost = !error || error->domain == VIR_FROM_RPC || error->code == VIR_ERR_RPC;
    *ret_code = error ? error->code : VIR_ERR_OK;
    libvirt_error_text(ret_text);
    return !lost && virConnectIsAlive(connection) == 1; /* asking resets the error */
}

enum outcome libvirt_failure(virConnectPtr connection, char ret_text[TEXT_BYTES])
{
    int code;
    if (!libvirt_error_take(connection, &code, ret_text)) {
        return OUTCOME_UNKNOWN;
    }
    return code == VIR_ERR_NO_DOMAIN ? OUTCOME_MISSING : OUTCOME_FAILED;
}

static virDomainPtr find(virConnectPtr connection, const struct uuid *vm)
{
    return virDomainLookupByUUID(connection, vm->bytes);
}

/* --- looking ------------------------------------------------------------------------------- */

static enum mark_sight mark_look(virDomainPtr domain, struct domain_mark *ret_mark)
{
    char *text =
        virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, MARK_URI, VIR_DOMAIN_AFFECT_LIVE);
    if (!text) {
        virErrorPtr error = virGetLastError();
        return error && error->code == VIR_ERR_NO_DOMAIN_METADATA ? MARK_ABSENT : MARK_UNREADABLE;
    }
    enum mark_sight sight = domain_xml_mark_read(text, ret_mark) == 0 ? MARK_READ : MARK_UNREADABLE;
    free(text);
    return sight;
}

static enum domain_state state_read(int state, int reason, const struct domain_mark *mark)
{
    switch (state) {
    case VIR_DOMAIN_SHUTOFF:
        return DOMAIN_GONE;
    case VIR_DOMAIN_PAUSED:
        if (reason == VIR_DOMAIN_PAUSED_IOERROR) {
            return DOMAIN_IO_ERROR;
        }
        if (reason == VIR_DOMAIN_PAUSED_CRASHED) {
            return DOMAIN_PANICKED;
        }
        return mark->starting    ? DOMAIN_STARTING
               : mark->suspended ? DOMAIN_SUSPENDED
                                 : DOMAIN_PAUSED;
    case VIR_DOMAIN_CRASHED: /* panicked and kept: its QEMU lives */
        return DOMAIN_PANICKED;
    default: /* running, shutting down, sleeping: its QEMU may write */
        return DOMAIN_RUNNING;
    }
}

/* The mark is read first: resuming drops it first, so a mark without `starting` seen after a state
 * of paused would tell a domain that is being resumed as one that somebody paused. */
static void sight_take(virDomainPtr domain, struct sight *ret_sight)
{
    struct sight sight = {.state = DOMAIN_GONE};
    int state;
    int reason;
    (void)virDomainGetUUID(domain, sight.vm.bytes);
    sight.sight = mark_look(domain, &sight.mark);
    if (virDomainGetState(domain, &state, &reason, 0) == 0) { /* else it ended meanwhile */
        sight.state = state_read(state, reason, &sight.mark);
    }
    *ret_sight = sight;
}

void libvirt_call_look(virConnectPtr connection, const struct uuid *vm, struct sight *ret_sight)
{
    CLEANUP_DOMAIN virDomainPtr domain = find(connection, vm);
    if (domain) {
        sight_take(domain, ret_sight);
    }
    ret_sight->vm = *vm;
}

static void list_add(virDomainPtr domain, bool look, struct news *list)
{
    struct sight *sight = &list->list.sights[list->list.count++];
    if (look) {
        sight_take(domain, sight);
    } else {
        (void)virDomainGetUUID(domain, sight->vm.bytes);
    }
}

int libvirt_call_list(virConnectPtr connection, bool look, struct news *list)
{
    virDomainPtr *domains = NULL;
    int count = virConnectListAllDomains(connection, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    if (count < 0) {
        return -EIO;
    }
    list->list.sights = calloc((size_t)count + 1, sizeof(*list->list.sights));
    for (int i = 0; i < count; i++) {
        if (list->list.sights) {
            list_add(domains[i], look, list);
        }
        virDomainFree(domains[i]);
    }
    free(domains);
    /* A list cut short by a lost connection would make the living look gone. */
    return list->list.sights && virConnectIsAlive(connection) == 1 ? 0 : -EIO;
}

/* --- acting -------------------------------------------------------------------------------- */

static bool is_stale(const struct job *job)
{
    return job->valid_until_ms != 0 && clock_io_boot_ms() >= job->valid_until_ms;
}

static enum outcome stale(char *ret_text)
{
    snprintf(ret_text, TEXT_BYTES, "the right to do this ran out before it was tried");
    return OUTCOME_STALE;
}

static enum outcome call_create(virConnectPtr connection, const struct job *job, char *ret_text)
{
    const struct domain_mark mark = {.action = job->action, .starting = true};
    char *xml = NULL;
    if (domain_xml_prepare(job->xml, &job->vm, &mark, &xml, ret_text) < 0) {
        return OUTCOME_FAILED;
    }
    if (is_stale(job)) {
        free(xml);
        return stale(ret_text);
    }
    CLEANUP_DOMAIN virDomainPtr domain =
        virDomainCreateXML(connection, xml, VIR_DOMAIN_START_PAUSED);
    enum outcome outcome = domain ? OUTCOME_DONE : libvirt_failure(connection, ret_text);
    free(xml);
    return outcome;
}

static int mark_write(virDomainPtr domain, const struct domain_mark *mark)
{
    char text[MARK_TEXT_BYTES];
    domain_xml_mark_text(mark, text);
    return virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, text, MARK_PREFIX, MARK_URI,
                                VIR_DOMAIN_AFFECT_LIVE);
}

/* The mark of a start goes first: were it left on a running guest, a restarted agent would take
 * that for a start that was never finished and destroy it. */
static enum outcome resume_started(virConnectPtr connection, virDomainPtr domain,
                                   const struct job *job, char *ret_text)
{
    struct domain_mark mark = {.action = job->action};
    if (mark_write(domain, &mark) < 0) {
        return libvirt_failure(connection, ret_text);
    }
    if (is_stale(job)) {
        mark.starting = true;
        (void)mark_write(domain, &mark); /* else it shows as paused after it ran: a safe error */
        return stale(ret_text);
    }
    return virDomainResume(domain) == 0 ? OUTCOME_DONE : libvirt_failure(connection, ret_text);
}

/* The mark of a suspension goes last: without it a paused guest looks like somebody's doing, and
 * nobody would wake it. */
static enum outcome resume_suspended(virConnectPtr connection, virDomainPtr domain,
                                     const struct job *job, char *ret_text)
{
    const struct domain_mark mark = {.action = job->action};
    if (virDomainResume(domain) < 0) {
        return libvirt_failure(connection, ret_text);
    }
    (void)mark_write(domain, &mark); /* else when it is next listed */
    return OUTCOME_DONE;
}

/* The domain that this job is about, if `job->action` made it. DONE, or why not. */
static enum outcome find_marked(virConnectPtr connection, const struct job *job,
                                virDomainPtr domain, struct domain_mark *ret_mark, int *ret_state,
                                int *ret_reason, char *ret_text)
{
    if (!domain || virDomainGetState(domain, ret_state, ret_reason, 0) < 0) {
        return libvirt_failure(connection, ret_text);
    }
    enum mark_sight sight = mark_look(domain, ret_mark);
    if (sight == MARK_UNREADABLE && virGetLastError()) { /* it could not be asked */
        return libvirt_failure(connection, ret_text);
    }
    if (sight != MARK_READ || !action_id_equal(ret_mark->action, job->action)) {
        snprintf(ret_text, TEXT_BYTES, "the domain here was not made by this start");
        return OUTCOME_REFUSED;
    }
    return OUTCOME_DONE;
}

static enum outcome call_resume(virConnectPtr connection, const struct job *job, char *ret_text)
{
    CLEANUP_DOMAIN virDomainPtr domain = find(connection, &job->vm);
    struct domain_mark mark = {0};
    int state;
    int reason;
    enum outcome found = find_marked(connection, job, domain, &mark, &state, &reason, ret_text);
    if (found != OUTCOME_DONE) {
        return found;
    }
    if (state == VIR_DOMAIN_RUNNING && !mark.starting) {
        return OUTCOME_DONE; /* an earlier resume came through after all */
    }
    if (is_stale(job)) {
        return stale(ret_text);
    }
    if (mark.suspended && !mark.starting) {
        return resume_suspended(connection, domain, job, ret_text);
    }
    if (!mark.starting && reason != VIR_DOMAIN_PAUSED_IOERROR) {
        snprintf(ret_text, TEXT_BYTES, "somebody paused it");
        return OUTCOME_REFUSED;
    }
    return resume_started(connection, domain, job, ret_text);
}

/* The mark goes first: a guest that stands still without it would be taken for somebody's doing.
 * QEMU stops its vCPUs at once, which libvirt tells; it answers once all is on the disk. */
static enum outcome call_suspend(virConnectPtr connection, const struct job *job, char *ret_text)
{
    CLEANUP_DOMAIN virDomainPtr domain = find(connection, &job->vm);
    struct domain_mark mark = {0};
    int state;
    int reason;
    enum outcome found = find_marked(connection, job, domain, &mark, &state, &reason, ret_text);
    if (found != OUTCOME_DONE || state == VIR_DOMAIN_PAUSED) { /* by somebody, or by its disk */
        return found;
    }
    mark.suspended = true;
    if (mark_write(domain, &mark) < 0) {
        return libvirt_failure(connection, ret_text);
    }
    return virDomainSuspend(domain) == 0 ? OUTCOME_DONE : libvirt_failure(connection, ret_text);
}

/* Takes the mark of a suspension off a guest that runs. */
static void call_unmark(virConnectPtr connection, const struct job *job)
{
    CLEANUP_DOMAIN virDomainPtr domain = find(connection, &job->vm);
    struct domain_mark mark = {0};
    int state;
    if (domain && virDomainGetState(domain, &state, NULL, 0) == 0 && state == VIR_DOMAIN_RUNNING &&
        mark_look(domain, &mark) == MARK_READ && mark.suspended) {
        mark.suspended = false;
        (void)mark_write(domain, &mark);
    }
}

static enum outcome call_shutdown(virConnectPtr connection, const struct job *job, char *ret_text)
{
    CLEANUP_DOMAIN virDomainPtr domain = find(connection, &job->vm);
    if (!domain || virDomainShutdown(domain) < 0) {
        return libvirt_failure(connection, ret_text);
    }
    return OUTCOME_DONE;
}

static bool is_guarded(virDomainPtr domain, const struct job *job)
{
    struct domain_mark mark;
    return job->guarded &&
           (mark_look(domain, &mark) != MARK_READ || !action_id_equal(mark.action, job->action));
}

static enum outcome call_destroy(struct libvirt_shared *shared, virConnectPtr connection,
                                 const struct job *job, char *ret_text)
{
    CLEANUP_DOMAIN virDomainPtr domain = find(connection, &job->vm);
    if (domain && is_guarded(domain, job)) {
        return OUTCOME_DONE;
    }
    if (domain && virDomainDestroy(domain) == 0) {
        return OUTCOME_DONE;
    }
    int code;
    bool answered = libvirt_error_take(connection, &code, ret_text);
    if (!answered) {
        return OUTCOME_UNKNOWN;
    }
    /* "domain is not running": it ended by itself meanwhile. */
    if (code != VIR_ERR_NO_DOMAIN && code != VIR_ERR_OPERATION_INVALID) {
        return OUTCOME_FAILED;
    }
    if (libvirt_job_creating(shared, &job->vm)) {
        snprintf(ret_text, TEXT_BYTES, "it is not there, but its creation has not come back yet");
        return OUTCOME_UNKNOWN;
    }
    return OUTCOME_DONE;
}

void libvirt_call_undo_create(virConnectPtr connection, const struct job *job)
{
    CLEANUP_DOMAIN virDomainPtr domain = find(connection, &job->vm);
    struct job guard = *job;
    guard.guarded = true;
    if (domain && !is_guarded(domain, &guard)) {
        (void)virDomainDestroy(domain); /* the loop watches for it, should this fail */
    }
}

enum outcome libvirt_call(struct libvirt_shared *shared, virConnectPtr connection,
                          const struct job *job, char ret_text[TEXT_BYTES])
{
    ret_text[0] = '\0';
    switch (job->kind) {
    case JOB_CREATE:
        libvirt_secrets_apply(shared, connection);
        return call_create(connection, job, ret_text);
    case JOB_RESUME:
        return call_resume(connection, job, ret_text);
    case JOB_SUSPEND:
        return call_suspend(connection, job, ret_text);
    case JOB_UNMARK:
        call_unmark(connection, job);
        break;
    case JOB_SHUTDOWN:
        return call_shutdown(connection, job, ret_text);
    case JOB_DESTROY:
        return call_destroy(shared, connection, job, ret_text);
    case JOB_ASK:
        return job->ask.work(connection, job->ask.memory, ret_text);
    case JOB_LOOK:
        break;
    }
    return OUTCOME_DONE;
}
