/*
 * Opening and retiring RADOS clients. A new handle is a new client instance: new nonce, not on the
 * blocklist unless its whole address is. Assumes the loop's thread except in work functions.
 */
#include "storage/handle_io.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/values.h"
#include "storage/blocklist_io.h"

#define PROBE_OBJECT "stead-probe" /* is never there */
#define FORMER_MAX 16              /* times a pool can be made again in one handle's life */

struct handle {
    struct jobs *jobs;
    struct job job; /* its shutdown, and its waits for the map */
    rados_t cluster;
    _Atomic rados_ioctx_t pool; /* workers read it too */
    bool has_cluster;
    bool has_pool;
    struct client client;
    uint32_t uses;
    struct map_wait *waiting; /* for the newest map, not yet asked for; the latest first */
    struct map_wait *asking;  /* for the answer that is under way */
    bool asking_map;
    int map_result;
    struct job pool_job; /* looks for the pool anew */
    bool finding_pool;
    bool pool_found;
    rados_ioctx_t found; /* by that */
    uint32_t former_count;
    rados_ioctx_t former[FORMER_MAX]; /* workers may still use them */
    const char *pool_name;            /* storage_io's, which outlives us */
    char warning[TEXT_BYTES];
};

struct handle_op {
    struct op op;
    struct handle *made; /* not taken yet */
    uint64_t opening;
    int result;
};

rados_t handle_cluster(const struct handle *handle)
{
    return handle->cluster;
}

rados_ioctx_t handle_pool(const struct handle *handle)
{
    return handle->pool;
}

const struct client *handle_client(const struct handle *handle)
{
    return &handle->client;
}

/* ---- its end */

static void shut_down(struct job *job)
{
    struct handle *handle = (struct handle *)((char *)job - offsetof(struct handle, job));
    for (uint32_t i = 0; i < handle->former_count; i++) {
        rados_ioctx_destroy(handle->former[i]);
    }
    if (handle->has_pool) {
        rados_ioctx_destroy(handle->pool);
    }
    if (handle->has_cluster) {
        rados_shutdown(handle->cluster);
    }
    free(handle);
}

void handle_hold(struct handle *handle)
{
    handle->uses++;
}

void handle_drop(struct handle *handle)
{
    if (--handle->uses == 0) {
        handle->job = (struct job){.work = shut_down};
        jobs_submit(handle->jobs, &handle->job);
    }
}

void handle_close(struct storage_io *io)
{
    if (io->handle != NULL) {
        handle_drop(io->handle);
        io->handle = NULL;
    }
}

/* ---- its beginning, on a worker's thread */

bool client_normalise(const char *text, struct client *ret_client)
{
    memset(ret_client, 0, sizeof(*ret_client));
    if (text[0] == '[' && text[1] == 'v') { /* a list of addresses: the first will do */
        text++;
    }
    static const char *const types[] = {"v1:", "v2:", "any:"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strncmp(text, types[i], strlen(types[i])) == 0) {
            text += strlen(types[i]);
            break;
        }
    }
    const char *const slash = strchr(text, '/');
    if (slash == NULL) {
        return false;
    }
    const size_t length = (size_t)(slash - text) + 1 + strspn(slash + 1, "0123456789");
    if (length >= CLIENT_BYTES ||
        strspn(text, "0123456789abcdefABCDEF.:[]") != (size_t)(slash - text)) {
        return false;
    }
    memcpy(ret_client->address, text, length);
    return true;
}

static int set_seconds(rados_t cluster, const char *option, uint32_t milliseconds)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", (milliseconds + 999) / 1000); /* whole seconds only */
    return rados_conf_set(cluster, option, text);
}

/* librados asks the monitors for a newer map when, at a tick (5 s), it finds an operation older
 * than objecter_timeout (10 s). With a shorter op timeout it never finds one, and a client whose
 * map names an OSD's former address asks that address for ever (measured: a mon, then an OSD
 * restarted; map 38 where the monitors had 41, no answer in 110 s; QEMU, which has no op timeout,
 * writes on). A quarter each: every operation that will run into its timeout is found. */
static int set_laggy(rados_t cluster, uint32_t timeout_ms)
{
    char text[16];
    snprintf(text, sizeof(text), "%u.%03u", timeout_ms / 4000, timeout_ms / 4 % 1000);
    const int r = rados_conf_set(cluster, "objecter_timeout", text);
    return r < 0 ? r : rados_conf_set(cluster, "objecter_tick_interval", text);
}

void handle_be_frugal(rados_t cluster)
{
    static const struct {
        const char *option;
        const char *fallback;
        const char *ours;
    } rows[] = {
        {"ms_async_op_threads", "3", "1"},   {"librados_thread_count", "2", "1"},
        {"log_max_recent", "500", "1"},      {"rbd_cache", "true", "false"},
        {"debug_monc", "0/10", "0/0"},       {"debug_rados", "0/5", "0/0"},
        {"debug_rbd", "0/5", "0/0"},         {"debug_objecter", "0/1", "0/0"},
        {"debug_auth", "1/5", "1/1"},        {"debug_context", "0/1", "0/0"},
        {"debug_perfcounter", "1/5", "1/1"}, {"debug_finisher", "1/1", "0/0"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char now[64] = "";
        if (rados_conf_get(cluster, rows[i].option, now, sizeof(now)) == 0 &&
            strcmp(now, rows[i].fallback) == 0) {
            (void)rados_conf_set(cluster, rows[i].option, rows[i].ours); /* a matter of thrift */
        }
    }
}

static int configure(struct handle *handle, const struct storage_io *io)
{
    int r = rados_create(&handle->cluster, io->user);
    if (r < 0) {
        return r;
    }
    handle->has_cluster = true;
    r = rados_conf_read_file(handle->cluster, io->conf);
    if (r == 0) {
        handle_be_frugal(handle->cluster);
    }
    const char *const timeouts[] = {"client_mount_timeout", "rados_mon_op_timeout",
                                    "rados_osd_op_timeout"};
    for (size_t i = 0; r == 0 && i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
        r = set_seconds(handle->cluster, timeouts[i], io->call_ms);
    }
    if (r == 0) {
        r = set_laggy(handle->cluster, io->call_ms);
    }
    if (r == 0) { /* an admin socket per process: a second handle would fail to make its own */
        r = rados_conf_set(handle->cluster, "admin_socket", "");
    }
    if (r == 0) { /* we blocklist ourselves, for years; librbd's own entry lasts an hour */
        r = rados_conf_set(handle->cluster, "rbd_blocklist_on_break_lock", "false");
    }
    return r;
}

/* librbd 16.2.15 sends a set value as a string when it breaks a dead client's lock; the monitor
 * refuses that, and the guest that waits for the lock gets EINVAL (docs/decisions/0006). */
static void check_expiry(struct handle *handle)
{
    char text[32] = "";
    rados_conf_get(handle->cluster, "rbd_blocklist_expire_seconds", text, sizeof(text));
    if (strtoll(text, NULL, 10) != 0) {
        snprintf(handle->warning, sizeof(handle->warning),
                 "rbd_blocklist_expire_seconds is %s: take it out of ceph.conf on every host, "
                 "guests' lock breaks fail with it (Ceph 16)",
                 text);
    }
}

__attribute__((format(printf, 2, 3))) static void warn(struct handle *handle, const char *format,
                                                       ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(handle->warning, sizeof(handle->warning), format, arguments);
    va_end(arguments);
}

static void warn_connect(struct handle *handle, const struct storage_io *io, int r)
{
    if (r == -EACCES || r == -EPERM) {
        warn(handle,
             "Ceph refuses the key of client.%s: compare this host's keyring with what "
             "'ceph auth get client.%s' shows",
             io->user, io->user);
    } else if (r == -ENOENT) {
        warn(handle, "no keyring of client.%s here: put it into /etc/ceph/ceph.client.%s.keyring",
             io->user, io->user);
    } else {
        warn(handle, "no answer from Ceph's monitors (%s): see mon_host in %s, network, ceph -s",
             strerror(-r), io->conf);
    }
}

/* The rights that a failover needs, tried without changing anything while all is well. Where a
 * right is missing, the handle still serves for what it may. */
static void check_rights(struct handle *handle, const struct storage_io *io)
{
    struct blocklist list;
    const struct client nobody = {.address = "192.0.2.1:0/1"}; /* TEST-NET: never on the list */
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_assert_exists(write);
    rados_write_op_omap_clear(write);
    int r = rados_write_op_operate(write, handle->pool, PROBE_OBJECT, NULL, 0);
    rados_release_write_op(write);
    if (r == -EPERM || r == -EACCES) {
        warn(handle, "client.%s may not write pool %s: its osd caps lack 'allow rwx pool=%s'",
             io->user, io->pool, io->pool);
        return;
    }
    r = blocklist_read(handle->cluster, &list);
    if (r == 0) {
        blocklist_free(&list);
    } else if (r == -EPERM || r == -EACCES) {
        warn(handle,
             "client.%s may not read the blocklist, no VM could start: its mon caps lack "
             "'allow command \"osd blocklist ls\"'",
             io->user);
        return;
    }
    r = blocklist_remove(handle->cluster, &nobody);
    if (r == -EPERM || r == -EACCES) {
        warn(handle,
             "client.%s may not change the blocklist, no host could be fenced: its mon caps "
             "lack 'allow command \"osd blocklist\"'",
             io->user);
    }
}

/* A full pool holds every write back until there is room (measured), and a cluster that is full is
 * one that needs deciding. Our records and leases replace what is there: OSDs take those from who
 * says that he wants an answer; a new object is refused. */
static void write_when_full(rados_ioctx_t pool)
{
    rados_set_pool_full_try(pool);
}

static int connect_handle(struct handle *handle, const struct storage_io *io)
{
    int r = configure(handle, io);
    if (r < 0) {
        warn(handle, "%s cannot be read ([ceph] conf in stead.conf): %s", io->conf, strerror(-r));
        return r;
    }
    check_expiry(handle);
    r = rados_connect(handle->cluster);
    if (r < 0) {
        warn_connect(handle, io, r);
        return r;
    }
    char *addresses = NULL;
    r = rados_getaddrs(handle->cluster, &addresses);
    if (r < 0) {
        return r;
    }
    const bool understood = client_normalise(addresses, &handle->client);
    rados_buffer_free(addresses);
    if (!understood) {
        return -EBADMSG;
    }
    handle->pool_name = io->pool;
    rados_ioctx_t pool = NULL;
    r = rados_ioctx_create(handle->cluster, io->pool, &pool);
    handle->pool = pool;
    handle->has_pool = r == 0;
    if (r == 0) {
        write_when_full(pool);
    }
    if (r == -ENOENT) {
        warn(handle,
             "Ceph has no pool %s: 'ceph osd pool create %s 16 16 replicated', or correct "
             "[ceph] pool in stead.conf",
             io->pool, io->pool);
    }
    return r == -ENOENT ? -EINVAL : r; /* no such pool is not "no such object" */
}

/* The monitors serve a blocklisted client: only an object operation tells. */
static void open_work(struct job *job)
{
    struct handle_op *open = (struct handle_op *)op_of(job);
    open->result = connect_handle(open->made, open->op.io);
    if (open->result == 0) {
        char byte;
        const int r = rados_read(open->made->pool, STORAGE_OBJECT, &byte, sizeof(byte), 0);
        open->result = r == -ENOENT || r >= 0 ? 0 : r;
        if (open->result == 0) {
            check_rights(open->made, open->op.io);
        } else if (r == -EPERM || r == -EACCES) {
            warn(open->made,
                 "client.%s may not read pool %s: its osd caps lack 'allow rwx pool=%s'",
                 open->op.io->user, open->op.io->pool, open->op.io->pool);
        }
    }
}

/* Said once, and told to the core, which tells the others. */
static void tell_warning(struct storage_io *io, const char *warning)
{
    struct event event = {.kind = EVENT_TROUBLE};
    if (strcmp(io->warning, warning) == 0) {
        return;
    }
    snprintf(io->warning, sizeof(io->warning), "%s", warning);
    event.trouble.kind = TROUBLE_CEPH;
    memcpy(event.trouble.text, io->warning, sizeof(event.trouble.text));
    sink_put(&io->sink, &event);
}

static void open_after(struct job *job)
{
    struct handle_op *open = (struct handle_op *)op_of(job);
    struct op *op = &open->op;
    struct storage_io *io = op->io;
    const enum outcome outcome = op_outcome(open->result);
    const bool usable = outcome == OUTCOME_DONE || outcome == OUTCOME_BLOCKLISTED;
    if (!op->answered && usable && open->opening == io->openings) {
        tell_warning(io, open->made->warning);
        op->event.handle.client = open->made->client;
        io->handle = open->made; /* a blocklisted one still reaches the monitors */
        open->made = NULL;
        op_answer(op, outcome);
    } else if (!op->answered) {
        if (open->result < 0) {
            char warning[TEXT_BYTES];
            snprintf(warning, sizeof(warning), "no way to Ceph: %s", strerror(-open->result));
            tell_warning(io, open->made->warning[0] != '\0' ? open->made->warning : warning);
        }
        op_answer(op, usable ? OUTCOME_FAILED : outcome);
    }
    op_back(job);
}

static void open_release(struct op *op)
{
    struct handle_op *open = (struct handle_op *)op;
    if (open->made != NULL) {
        handle_drop(open->made);
    }
}

void handle_open(struct storage_io *io, const struct action *action)
{
    handle_close(io);
    io->openings++;
    struct handle_op *open = op_new(io, action, EVENT_HANDLE, sizeof(*open));
    if (open == NULL) {
        return;
    }
    open->op.release = open_release;
    open->opening = io->openings;
    open->made = calloc(1, sizeof(*open->made));
    if (open->made == NULL) {
        op_answer(&open->op, OUTCOME_FAILED);
        return;
    }
    open->made->uses = 1;
    open->made->jobs = io->jobs;
    op_work(&open->op, open_work, open_after);
}

/* ---- a pool that was deleted and made again has another number */

static void pool_work(struct job *job)
{
    struct handle *handle = (struct handle *)((char *)job - offsetof(struct handle, pool_job));
    const int64_t id = rados_pool_lookup(handle->cluster, handle->pool_name);
    handle->pool_found = id >= 0 && id != rados_ioctx_get_id(handle->pool) &&
                         rados_ioctx_create2(handle->cluster, id, &handle->found) == 0;
}

static void pool_after(struct job *job)
{
    struct handle *handle = (struct handle *)((char *)job - offsetof(struct handle, pool_job));
    handle->finding_pool = false;
    if (handle->pool_found) {
        handle->former[handle->former_count++] = handle->pool;
        handle->pool = handle->found;
        write_when_full(handle->pool);
    }
    handle_drop(handle);
}

void handle_find_pool(struct handle *handle)
{
    if (!handle->finding_pool && handle->former_count < FORMER_MAX) {
        handle->finding_pool = true;
        handle->pool_job = (struct job){.work = pool_work, .after = pool_after};
        handle_hold(handle);
        jobs_submit(handle->jobs, &handle->pool_job);
    }
}

/* ---- the newest map: one question for all that ask meanwhile */

static void ask_map(struct handle *handle);

static void map_work(struct job *job)
{
    struct handle *handle = (struct handle *)((char *)job - offsetof(struct handle, job));
    handle->map_result = rados_wait_for_latest_osdmap(handle->cluster);
}

static void map_after(struct job *job)
{
    struct handle *handle = (struct handle *)((char *)job - offsetof(struct handle, job));
    const int result = handle->map_result;
    struct map_wait *wait = handle->asking;
    while (wait != NULL) {
        struct map_wait *next = wait->next;
        wait->after(wait, result);
        wait = next;
    }
    handle->asking_map = false;
    if (handle->waiting != NULL) {
        ask_map(handle);
    }
    handle_drop(handle);
}

static void ask_map(struct handle *handle)
{
    handle->asking = NULL;
    while (handle->waiting != NULL) { /* turned round: first come, first served */
        struct map_wait *wait = handle->waiting;
        handle->waiting = wait->next;
        wait->next = handle->asking;
        handle->asking = wait;
    }
    handle->asking_map = true;
    handle->job = (struct job){.work = map_work, .after = map_after};
    handle_hold(handle);
    jobs_submit(handle->jobs, &handle->job);
}

void handle_wait_map(struct handle *handle, struct map_wait *wait)
{
    wait->next = handle->waiting;
    handle->waiting = wait;
    if (!handle->asking_map) {
        ask_map(handle);
    }
}

static void op_map_seen(struct map_wait *wait, int result)
{
    struct op *op = (struct op *)((char *)wait - offsetof(struct op, map_wait));
    if (!op->answered) {
        op->after_map(op, result);
    }
    op_drop(op);
}

void op_wait_map(struct op *op, void (*after)(struct op *op, int result))
{
    op->after_map = after;
    op->map_wait.after = op_map_seen;
    op_hold(op);
    handle_wait_map(op->handle, &op->map_wait);
}
