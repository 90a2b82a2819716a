/* One kept client; those in use beside it end with their last user. */
#include "storage/guest_client_io.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "proto/values.h"
#include "storage/handle_io.h"

#define KEEP_NS 5000000000ull /* after its last use */
#define TIMEOUT_S "5"

struct guest_client {
    struct job job; /* its shutdown */
    struct jobs *jobs;
    const char *conf; /* storage_io's, which outlives us */
    char user[NAME_BYTES];
    char hosts[HOSTS_BYTES];
    uint32_t uses;
    _Atomic bool spoilt;
    pthread_mutex_t lock; /* of what follows */
    bool tried;
    int result;
    rados_t cluster; /* NULL: not connected */
};

/* ---- its end */

static void shut_down(struct job *job)
{
    struct guest_client *client =
        (struct guest_client *)((char *)job - offsetof(struct guest_client, job));
    if (client->cluster != NULL) {
        rados_shutdown(client->cluster);
    }
    pthread_mutex_destroy(&client->lock);
    free(client);
}

void guest_client_drop(struct guest_client *client)
{
    if (--client->uses == 0) {
        client->job = (struct job){.work = shut_down};
        jobs_submit(client->jobs, &client->job);
    }
}

void guest_client_forget(struct storage_io *io)
{
    struct guest_client *client = io->guest_client;
    if (client != NULL) {
        (void)qb_loop_timer_del(io->loop, io->guest_timer);
        io->guest_client = NULL;
        guest_client_drop(client);
    }
}

static void idle(void *data)
{
    struct storage_io *io = data;
    struct guest_client *client = io->guest_client;
    io->guest_client = NULL;
    guest_client_drop(client);
}

/* ---- its beginning */

static struct guest_client *make(struct storage_io *io, const char *user, const char *hosts)
{
    struct guest_client *client = calloc(1, sizeof(*client));
    if (client != NULL) {
        client->jobs = io->jobs;
        client->conf = io->conf;
        name_set(client->user, sizeof(client->user), user);
        name_set(client->hosts, sizeof(client->hosts), hosts);
        pthread_mutex_init(&client->lock, NULL);
        client->uses = 1;
    }
    return client;
}

struct guest_client *guest_client_hold(struct storage_io *io, const char *user, const char *hosts)
{
    struct guest_client *client = io->guest_client;
    if (client != NULL && !client->spoilt && strcmp(client->user, user) == 0 &&
        strcmp(client->hosts, hosts) == 0) {
        (void)qb_loop_timer_del(io->loop, io->guest_timer);
    } else {
        guest_client_forget(io);
        client = make(io, user, hosts);
        io->guest_client = client;
    }
    if (client != NULL) {
        client->uses++;
        qb_loop_timer_add(io->loop, QB_LOOP_LOW, KEEP_NS, io, idle, &io->guest_timer);
    }
    return client;
}

/* ---- in a worker */

/* As QEMU would connect. */
static int try_connect(const struct guest_client *client, rados_t *ret_cluster)
{
    rados_t cluster;
    int r = rados_create(&cluster, client->user);
    if (r < 0) {
        return r;
    }
    r = rados_conf_read_file(cluster, client->conf);
    if (r == 0 && client->hosts[0] != '\0') {
        r = rados_conf_set(cluster, "mon_host", client->hosts);
    }
    if (r == 0) {
        handle_be_frugal(cluster);
        (void)rados_conf_set(cluster, "rados_mon_op_timeout", TIMEOUT_S);
        (void)rados_conf_set(cluster, "rados_osd_op_timeout", TIMEOUT_S);
        (void)rados_conf_set(cluster, "client_mount_timeout", TIMEOUT_S);
        r = rados_connect(cluster);
    }
    if (r < 0) {
        rados_shutdown(cluster);
        return r;
    }
    *ret_cluster = cluster;
    return 0;
}

int guest_client_connect(struct guest_client *client, rados_t *ret_cluster)
{
    pthread_mutex_lock(&client->lock);
    if (!client->tried) {
        client->tried = true;
        client->result = try_connect(client, &client->cluster);
    }
    const int r = client->result;
    *ret_cluster = client->cluster;
    pthread_mutex_unlock(&client->lock);
    return r;
}

void guest_client_spoil(struct guest_client *client)
{
    client->spoilt = true;
}
