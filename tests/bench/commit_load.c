/*
 * What tests/bench/commit runs on a node: commands through the real control socket, one at a time
 * or from many clients at once, and what they cannot be faster than, measured beside them.
 *
 *   commit_load register COUNT CLIENTS PREFIX   vm add --stopped, COUNT times
 *   commit_load latency COUNT PREFIX VMS        a command, a RADOS write, a CPG round trip; in
 * turns commit_load batched SECONDS CLIENTS PREFIX VMS
 *
 * Each prints one JSON object. The command is `vm stop` of a stopped VM: it commits what is wanted
 * and an entry of the history, and starts no QEMU.
 */
#include <corosync/cpg.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <rados/librados.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/cli/client_io.h"

#define CLIENTS_MAX 256
#define SAMPLES_MAX 100000
#define HEADER_BYTES 160 /* about a packed header */
#define GUARD "0000000001/00000000000000000001/00000000000000000001"
#define OBJECT "bench-floor"
#define CPG_BYTES 256 /* about a packed request */
#define CPG_MS 5000

struct samples {
    size_t count;
    double ms[SAMPLES_MAX];
};

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

__attribute__((noreturn)) static void die(const char *what, int error)
{
    fprintf(stderr, "commit_load: %s: %s\n", what, strerror(error));
    exit(1);
}

static void add(struct samples *samples, double ms)
{
    if (samples->count < SAMPLES_MAX) {
        samples->ms[samples->count++] = ms;
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(struct samples *samples, double share)
{
    if (samples->count == 0) {
        return 0;
    }
    qsort(samples->ms, samples->count, sizeof(samples->ms[0]), compare);
    return samples->ms[(size_t)((double)(samples->count - 1) * share)];
}

/* ---- commands */

static enum cli_exit ask(struct cli_client *client, Control__Request *request, bool *ret_done)
{
    Control__Reply *reply = NULL;
    enum cli_exit result = cli_ask(client, request, &reply);
    if (result == CLI_DONE) {
        *ret_done = reply->answer_case == CONTROL__REPLY__ANSWER_OUTCOME &&
                    reply->outcome->verdict == CONTROL__VERDICT__VERDICT_DONE;
        if (!*ret_done && reply->answer_case == CONTROL__REPLY__ANSWER_OUTCOME) {
            fprintf(stderr, "commit_load: %s\n", reply->outcome->text);
        }
        control_free_reply(&reply);
    }
    return result;
}

static bool stop_vm(struct cli_client *client, const char *prefix, unsigned number)
{
    char name[NAME_BYTES];
    bool done = false;
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__Command command = CONTROL__COMMAND__INIT;
    snprintf(name, sizeof(name), "%.40s%u", prefix, number);
    command.kind = CONTROL__COMMAND_KIND__COMMAND_VM_STOP;
    command.name = name;
    request.ask_case = CONTROL__REQUEST__ASK_COMMAND;
    request.command = &command;
    return ask(client, &request, &done) == CLI_DONE && done;
}

static bool add_vm(struct cli_client *client, const char *prefix, unsigned number)
{
    char name[NAME_BYTES], xml[2048];
    bool done = false;
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__VmAdd add_it = CONTROL__VM_ADD__INIT;
    snprintf(name, sizeof(name), "%.40s%u", prefix, number);
    snprintf(xml, sizeof(xml),
             "<domain type='qemu'><name>%s</name><uuid>5ead0000-0000-4000-9000-%012x</uuid>"
             "<memory unit='MiB'>64</memory><vcpu>1</vcpu>"
             "<os><type arch='x86_64' machine='pc'>hvm</type></os><on_crash>destroy</on_crash>"
             "<devices><disk type='network' device='disk'>"
             "<driver name='qemu' type='raw' cache='none' error_policy='stop' "
             "rerror_policy='stop'/>"
             "<source protocol='rbd' name='rbd/%s'/><target dev='vda' bus='virtio'/></disk>"
             "</devices></domain>",
             name, number, name);
    add_it.name = name;
    add_it.xml = xml;
    add_it.on = (char *)(uintptr_t) "";
    add_it.stopped = true;
    request.ask_case = CONTROL__REQUEST__ASK_VM_ADD;
    request.vm_add = &add_it;
    return ask(client, &request, &done) == CLI_DONE && done;
}

/* ---- the floor: one compare-and-set of a header, one message to oneself through CPG */

struct floor {
    rados_t cluster;
    rados_ioctx_t pool;
    cpg_handle_t cpg;
    int cpg_fd;
    bool arrived;
};

static void open_rados(struct floor *floor, const char *conf, const char *user, const char *pool)
{
    int r = rados_create(&floor->cluster, user);
    r = r < 0 ? r : rados_conf_read_file(floor->cluster, conf);
    r = r < 0 ? r : rados_conf_set(floor->cluster, "admin_socket", "");
    r = r < 0 ? r : rados_connect(floor->cluster);
    r = r < 0 ? r : rados_ioctx_create(floor->cluster, pool, &floor->pool);
    if (r < 0) {
        die("rados", -r);
    }
}

static double write_once(struct floor *floor, bool create)
{
    static const char header[HEADER_BYTES];
    static const char *const keys[] = {"header", "guard"};
    const char *const values[] = {header, GUARD};
    const size_t key_sizes[] = {6, 5}, value_sizes[] = {sizeof(header), strlen(GUARD)};
    rados_write_op_t write = rados_create_write_op();
    double begin = now_ms();
    if (create) {
        rados_write_op_create(write, LIBRADOS_CREATE_IDEMPOTENT, NULL);
    } else {
        rados_write_op_omap_cmp2(write, "guard", LIBRADOS_CMPXATTR_OP_EQ, GUARD, 5, strlen(GUARD),
                                 NULL);
    }
    rados_write_op_omap_set2(write, keys, values, key_sizes, value_sizes, 2);
    int r = rados_write_op_operate(write, floor->pool, OBJECT, NULL, 0);
    rados_release_write_op(write);
    if (r < 0) {
        die("the floor's RADOS write", -r);
    }
    return now_ms() - begin;
}

static void deliver(cpg_handle_t handle, const struct cpg_name *group, uint32_t nodeid,
                    uint32_t pid, void *data, size_t size)
{
    void *context = NULL;
    (void)group, (void)nodeid, (void)pid, (void)data, (void)size;
    if (cpg_context_get(handle, &context) == CS_OK && context != NULL) {
        ((struct floor *)context)->arrived = true;
    }
}

static void changed(cpg_handle_t handle, const struct cpg_name *group,
                    const struct cpg_address *members, size_t member_count,
                    const struct cpg_address *left, size_t left_count,
                    const struct cpg_address *joined, size_t joined_count)
{
    (void)handle, (void)group, (void)members, (void)member_count;
    (void)left, (void)left_count, (void)joined, (void)joined_count;
}

static void open_cpg(struct floor *floor)
{
    cpg_model_v1_data_t model = {
        .model = CPG_MODEL_V1, .cpg_deliver_fn = deliver, .cpg_confchg_fn = changed};
    struct cpg_name group = {.length = 11, .value = "stead-bench"};
    if (cpg_model_initialize(&floor->cpg, CPG_MODEL_V1, (cpg_model_data_t *)&model, floor) !=
            CS_OK ||
        cpg_fd_get(floor->cpg, &floor->cpg_fd) != CS_OK || cpg_join(floor->cpg, &group) != CS_OK) {
        die("CPG", ENOTCONN);
    }
}

static double round_trip(struct floor *floor)
{
    static char bytes[CPG_BYTES];
    struct iovec part = {bytes, sizeof(bytes)};
    struct pollfd ready = {.fd = floor->cpg_fd, .events = POLLIN};
    floor->arrived = false;
    double begin = now_ms();
    cs_error_t error = cpg_mcast_joined(floor->cpg, CPG_TYPE_AGREED, &part, 1);
    while (error == CS_OK && !floor->arrived) {
        if (poll(&ready, 1, CPG_MS) != 1) {
            die("the floor's CPG round trip", ETIMEDOUT);
        }
        error = cpg_dispatch(floor->cpg, CS_DISPATCH_ALL);
    }
    if (error != CS_OK) {
        die("the floor's CPG round trip", EIO);
    }
    return now_ms() - begin;
}

static int measure_latency(unsigned count, const char *prefix, unsigned vms)
{
    static struct samples commands, writes, trips;
    struct floor floor = {0};
    struct cli_client *client = NULL;
    open_rados(&floor, "/etc/ceph/ceph.conf", "stead", "stead");
    open_cpg(&floor);
    (void)write_once(&floor, true);
    (void)round_trip(&floor);
    if (cli_connect(&client) != CLI_DONE) {
        return 1;
    }
    for (unsigned i = 0; i < count; i++) {
        double begin = now_ms();
        if (!stop_vm(client, prefix, i % vms)) {
            return 1;
        }
        add(&commands, now_ms() - begin);
        add(&writes, write_once(&floor, false));
        add(&trips, round_trip(&floor));
    }
    cli_disconnect(&client);
    rados_remove(floor.pool, OBJECT);
    printf("{\"samples\": %zu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"rados_ms\": %.3f, "
           "\"rados_p99_ms\": %.3f, \"cpg_ms\": %.3f, \"cpg_p99_ms\": %.3f, \"floor_ms\": %.3f}\n",
           commands.count, percentile(&commands, 0.5), percentile(&commands, 0.99),
           percentile(&writes, 0.5), percentile(&writes, 0.99), percentile(&trips, 0.5),
           percentile(&trips, 0.99), percentile(&writes, 0.5) + percentile(&trips, 0.5));
    return 0;
}

/* ---- many at once */

struct shared {
    bool adding;
    const char *prefix;
    unsigned vms;
    double end_ms; /* batched: until then */
    pthread_mutex_t lock;
    unsigned next;
    unsigned done;
    unsigned failed;
    struct samples samples;
};

/* The next VM's number; false when there is nothing more to do. */
static bool next(struct shared *shared, unsigned *ret_number)
{
    pthread_mutex_lock(&shared->lock);
    bool more = shared->adding ? shared->next < shared->vms : now_ms() < shared->end_ms;
    *ret_number = shared->next++ % shared->vms;
    pthread_mutex_unlock(&shared->lock);
    return more;
}

static void note(struct shared *shared, bool done, double ms)
{
    pthread_mutex_lock(&shared->lock);
    shared->done += done;
    shared->failed += !done;
    add(&shared->samples, ms);
    pthread_mutex_unlock(&shared->lock);
}

static void *one_client(void *context)
{
    struct shared *shared = context;
    struct cli_client *client = NULL;
    unsigned number = 0;
    if (cli_connect(&client) != CLI_DONE) {
        note(shared, false, 0);
        return NULL;
    }
    while (next(shared, &number)) {
        double begin = now_ms();
        bool done = shared->adding ? add_vm(client, shared->prefix, number)
                                   : stop_vm(client, shared->prefix, number);
        note(shared, done, now_ms() - begin);
    }
    cli_disconnect(&client);
    return NULL;
}

static int run_many(struct shared *shared, unsigned clients)
{
    pthread_t threads[CLIENTS_MAX];
    double begin = now_ms();
    clients = clients < CLIENTS_MAX ? clients : CLIENTS_MAX;
    pthread_mutex_init(&shared->lock, NULL);
    for (unsigned i = 0; i < clients; i++) {
        if (pthread_create(&threads[i], NULL, one_client, shared) != 0) {
            die("a thread", EAGAIN);
        }
    }
    for (unsigned i = 0; i < clients; i++) {
        pthread_join(threads[i], NULL);
    }
    double seconds = (now_ms() - begin) / 1e3;
    printf("{\"clients\": %u, \"done\": %u, \"failed\": %u, \"seconds\": %.2f, "
           "\"per_s\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
           clients, shared->done, shared->failed, seconds, shared->done / seconds,
           percentile(&shared->samples, 0.5), percentile(&shared->samples, 0.99));
    return shared->failed != 0;
}

static unsigned number_of(const char *text)
{
    long number = strtol(text, NULL, 10);
    if (number < 1 || number > 1000000) {
        die(text, EINVAL);
    }
    return (unsigned)number;
}

int main(int argc, char **argv)
{
    static struct shared shared;
    if (argc == 5 && strcmp(argv[1], "register") == 0) {
        shared.adding = true;
        shared.vms = number_of(argv[2]);
        shared.prefix = argv[4];
        return run_many(&shared, number_of(argv[3]));
    }
    if (argc == 5 && strcmp(argv[1], "latency") == 0) {
        return measure_latency(number_of(argv[2]), argv[3], number_of(argv[4]));
    }
    if (argc == 6 && strcmp(argv[1], "batched") == 0) {
        shared.end_ms = now_ms() + 1e3 * number_of(argv[2]);
        shared.prefix = argv[4];
        shared.vms = number_of(argv[5]);
        return run_many(&shared, number_of(argv[3]));
    }
    fputs("usage: commit_load register COUNT CLIENTS PREFIX\n"
          "       commit_load latency COUNT PREFIX VMS\n"
          "       commit_load batched SECONDS CLIENTS PREFIX VMS\n",
          stderr);
    return 2;
}
