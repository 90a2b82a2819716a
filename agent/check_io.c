/*
 * The checks, one after the other, each on its own: what one finds wrong does not keep the others
 * from being tried. They use the edges that the agent uses, so what passes here works there.
 */
#include "agent/check_io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <corosync/quorum.h>

#include "agent/cmap_io.h"
#include "agent/config_io.h"
#include "agent/hook_io.h"
#include "agent/host_io.h"
#include "agent/keyring_io.h"
#include "fencing/bmc_io.h"
#include "fencing/fence_agent_io.h"
#include "migration/libvirt_io.h"
#include "proto/clock_io.h"
#include "proto/values.h"
#include "storage/health.h"
#include "storage/storage_io.h"

#define DMI_UUID_PATH "/sys/class/dmi/id/product_uuid"
#define RUN_DIR "/run/stead"
#define CALL_MS 5000
#define BMC_MS 10000
#define WHOLE_S 45 /* Corosync's and libvirt's calls know no timeout */

enum result { WELL, NOTE, WRONG };

struct check {
    qb_loop_t *loop;
    struct config config;
    struct uuid machine;
    char name[NAME_BYTES];     /* of this node in Corosync's nodelist */
    char corosync[NAME_BYTES]; /* Corosync's cluster_name; empty: not known, or none */
    bool wrong;
    enum event_kind awaited;
    uint64_t awaited_id;
    bool got;
    struct event event;
    char trouble[TEXT_BYTES];
    struct cluster *image;
};

__attribute__((format(printf, 4, 5))) static void say(struct check *check, enum result verdict,
                                                      const char *what, const char *format, ...)
{
    static const char *const words[] = {[WELL] = "ok", [NOTE] = "note", [WRONG] = "WRONG"};
    va_list arguments;
    check->wrong = check->wrong || verdict == WRONG;
    printf("%-6s%-13s", words[verdict], what);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

/* ---- one event of an edge */

static void put(void *context, struct event *event)
{
    struct check *check = context;
    if (event->kind == EVENT_TROUBLE) {
        memcpy(check->trouble, event->trouble.text, sizeof(check->trouble));
    }
    if (event->kind == check->awaited && event->id == check->awaited_id) {
        check->got = true;
        check->event = *event;
        if (event->kind == EVENT_STATE && event->state.outcome == OUTCOME_DONE) {
            *check->image = *event->state.image;
        }
        qb_loop_stop(check->loop);
    }
}

static void give_up(void *context)
{
    struct check *check = context;
    qb_loop_stop(check->loop);
}

static bool wait_for(struct check *check, uint64_t wait_ms)
{
    qb_loop_timer_handle timer;
    if (!check->got) {
        qb_loop_timer_add(check->loop, QB_LOOP_LOW, wait_ms * 1000000, check, give_up, &timer);
        qb_loop_run(check->loop);
    }
    return check->got;
}

static void expect(struct check *check, enum event_kind kind, uint64_t id)
{
    check->awaited = kind;
    check->awaited_id = id;
    check->got = false;
    check->trouble[0] = '\0';
}

/* ---- the host itself */

static bool check_config(struct check *check, const char *path)
{
    char text[CONFIG_TEXT_BYTES];
    const char *name = path != NULL ? path : CONFIG_PATH;
    if (config_io_load(name, path != NULL, &check->config, text) < 0) {
        say(check, WRONG, "config", "%s", text);
        return false;
    }
    say(check, access(name, R_OK) == 0 ? WELL : NOTE, "config", "%s%s", name,
        access(name, R_OK) == 0 ? "" : " is not there: defaults are used");
    return true;
}

static void check_machine(struct check *check)
{
    static const char *const junk[] = {
        "03000200-0400-0500-0006-000700080009", "00020003-0004-0005-0006-000700080009",
        "ffffffff-ffff-ffff-ffff-ffffffffffff", "12345678-1234-5678-90ab-cddeefaabbcc"};
    char text[UUID_TEXT_BYTES];
    check->machine = check->config.machine;
    if (uuid_is_zero(&check->machine) && host_io_read_uuid(DMI_UUID_PATH, &check->machine) < 0) {
        say(check, WRONG, "machine", "no UUID in " DMI_UUID_PATH ": give it one as [node] uuid");
        return;
    }
    uuid_format(&check->machine, text);
    for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
        if (strcmp(junk[i], text) == 0) {
            say(check, WRONG, "machine",
                "UUID %s is one that many boards are shipped with: give it one of its own as "
                "[node] "
                "uuid (uuidgen)",
                text);
            return;
        }
    }
    say(check, WELL, "machine", "UUID %s", text);
}

static void check_run_dir(struct check *check)
{
    int fd = open(RUN_DIR "/.check", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, "check", 5) == 5;
    if (good) {
        say(check, WELL, "disk", RUN_DIR " can be written");
    } else if (errno == ENOENT) {
        say(check, NOTE, "disk", RUN_DIR " is made when the agent first starts");
    } else {
        say(check, WRONG, "disk", RUN_DIR " cannot be written: %s", strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
        unlink(RUN_DIR "/.check");
    }
}

/* ---- Corosync */

static void check_quorum(struct check *check)
{
    quorum_callbacks_t none = {0};
    quorum_handle_t handle;
    uint32_t type = 0;
    int quorate = 0;
    if (quorum_initialize(&handle, &none, &type) != CS_OK) {
        return;
    }
    if (quorum_getquorate(handle, &quorate) == CS_OK && quorate == 0) {
        say(check, WRONG, "quorum",
            "fewer than half of the nodes see each other: corosync-quorumtool -s");
    } else {
        say(check, WELL, "quorum", "Corosync is quorate");
    }
    quorum_finalize(handle);
}

static void check_corosync(struct check *check)
{
    struct cmap_facts facts;
    char text[TEXT_BYTES] = "";
    char host[NAME_BYTES] = "";
    int r = cmap_io_read(&facts, text);
    if (r == -ENOTCONN) {
        say(check, WRONG, "corosync", "does not run: systemctl status corosync");
        return;
    }
    if (r < 0) {
        say(check, WRONG, "corosync", "%s", text);
        return;
    }
    memcpy(check->corosync, facts.cluster, sizeof(check->corosync));
    (void)host_io_name(host);
    const char *name = facts.name[0] != '\0' ? facts.name : host;
    name_set(check->name, sizeof(check->name),
             check->config.name[0] != '\0' ? check->config.name : name);
    if (facts.name[0] == '\0') {
        say(check, NOTE, "corosync", "%u nodes; this one has no name in the nodelist: '%s' is used",
            facts.node_count, check->name);
    } else if (strcmp(check->name, host) != 0) {
        say(check, NOTE, "corosync",
            "%u nodes; this one is '%s' to stead, and its host name is '%s' (nothing rests on "
            "that)",
            facts.node_count, check->name, host);
    } else {
        say(check, WELL, "corosync", "%u nodes, this one is %s", facts.node_count, check->name);
    }
    check_quorum(check);
}

/* ---- Ceph */

static bool is_elsewhere(const struct check *check)
{
    const struct header *header = &check->image->header;
    struct belonging ours = {.cluster_id = {{0}}};
    memcpy(ours.corosync, check->corosync, sizeof(ours.corosync));
    return health_of_belonging(header, &ours) != STATE_WELL;
}

static void check_members(struct check *check)
{
    const struct cluster *state = check->image;
    if (is_elsewhere(check)) {
        say(check, WRONG, "cluster",
            "the state in pool %s is that of Corosync cluster '%s', and this host's cluster_name "
            "is '%s': correct [ceph] pool, or cluster_name in corosync.conf",
            check->config.ceph_pool, state->header.corosync, check->corosync);
        return;
    }
    if (check->name[0] == '\0') {
        say(check, NOTE, "cluster", "state version %lu; which node this is, Corosync must tell",
            (unsigned long)state->header.version);
        return;
    }
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        const struct node_record *node = &state->nodes[i];
        if (node->state != NODE_FREE && !name_equal(node->name, check->name) &&
            uuid_equal(&node->machine, &check->machine)) {
            say(check, WRONG, "machine",
                "its UUID is node %s's too: reboots and BMCs cannot be told apart; give it one of "
                "its "
                "own as [node] uuid",
                node->name);
        }
    }
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        if (state->nodes[i].state != NODE_FREE && name_equal(state->nodes[i].name, check->name)) {
            say(check, WELL, "cluster", "state version %lu; %s is a member",
                (unsigned long)state->header.version, check->name);
            return;
        }
    }
    say(check, NOTE, "cluster", "%s is no member yet: stead cluster join", check->name);
}

static void check_state(struct check *check, struct storage_io *storage)
{
    struct action action = {.kind = ACTION_STATE_READ, .id = 2};
    action.deadline_ms = clock_io_boot_ms() + CALL_MS;
    check->image = calloc(1, sizeof(*check->image));
    expect(check, EVENT_STATE, 2);
    storage_io_act(storage, &action, NULL);
    enum outcome outcome = check->image != NULL && wait_for(check, CALL_MS + 1000)
                               ? check->event.state.outcome
                               : OUTCOME_UNKNOWN;
    if (outcome == OUTCOME_DONE) {
        check_members(check);
    } else if (outcome == OUTCOME_MISSING) {
        say(check, NOTE, "cluster", "none in this pool yet: stead cluster init, on one node");
    } else if (outcome == OUTCOME_BLOCKLISTED) {
        say(check, WRONG, "cluster", "this host is blocklisted: stead node unfence it");
    } else {
        say(check, WRONG, "cluster", "the state object cannot be read: ceph health detail");
    }
}

static void check_ceph(struct check *check)
{
    const struct config *config = &check->config;
    struct storage_options options = {.conf = config->ceph_conf,
                                      .user = config->ceph_user,
                                      .pool = config->ceph_pool,
                                      .nodeid = 1,
                                      .call_ms = CALL_MS};
    struct sink sink = {.put = put, .context = check};
    struct storage_io *storage = NULL;
    struct action action = {.kind = ACTION_HANDLE_OPEN, .id = 1};
    if (storage_io_open(check->loop, &options, &sink, &storage) < 0) {
        say(check, WRONG, "ceph", "no memory");
        return;
    }
    action.deadline_ms = clock_io_boot_ms() + 2 * CALL_MS;
    expect(check, EVENT_HANDLE, 1);
    storage_io_act(storage, &action, NULL);
    bool answered = wait_for(check, 2 * CALL_MS + 1000);
    bool open = answered && check->event.handle.outcome == OUTCOME_DONE;
    if (!answered || check->trouble[0] != '\0') {
        say(check, WRONG, "ceph", "%s",
            answered ? check->trouble : "no answer: see mon_host, network, ceph -s");
    } else if (open) {
        say(check, WELL, "ceph", "client.%s, pool %s: read, write and blocklist", config->ceph_user,
            config->ceph_pool);
    }
    if (open || (answered && check->event.handle.outcome == OUTCOME_BLOCKLISTED)) {
        check_state(check, storage);
    }
}

static void check_guest_key(struct check *check)
{
    char key[KEYRING_KEY_BYTES];
    const char *user = check->config.ceph_guest_user;
    int r = keyring_io_read_key(check->config.ceph_conf, user, key);
    explicit_bzero(key, sizeof(key));
    if (r == 0) {
        say(check, WELL, "guest key", "client.%s", user);
    } else {
        say(check, NOTE, "guest key",
            "no keyring of client.%s here (%s): guests start only if libvirt has their secret",
            user, strerror(-r));
    }
}

/* ---- libvirt, BMC, fence devices */

static void check_libvirt(struct check *check)
{
    char text[TEXT_BYTES];
    char host[NAME_BYTES];
    if (libvirt_io_try(check->config.libvirt_uri, host, text) < 0) {
        say(check, WRONG, "libvirt", "%s: %s; systemctl status libvirtd", check->config.libvirt_uri,
            text);
    } else if (check->name[0] != '\0' && strcmp(host, check->name) != 0) {
        say(check, NOTE, "libvirt", "%s calls this host '%s', stead '%s' (nothing rests on that)",
            check->config.libvirt_uri, host, check->name);
    } else {
        say(check, WELL, "libvirt", "%s answers", check->config.libvirt_uri);
    }
}

static void check_hook(struct check *check)
{
    const char *fault = hook_io_fault();
    say(check, fault == NULL ? WELL : WRONG, "hook", "%s",
        fault == NULL ? "VMs of the cluster are not started by hand here" : fault);
}

static bool check_credentials(struct check *check)
{
    char text[TEXT_BYTES];
    const char *credentials = check->config.bmc_credentials;
    if (credentials[0] == '\0') {
        return true;
    }
    if (bmc_io_check_credentials(credentials, text) < 0) {
        say(check, WRONG, "credentials", "%s", text);
        return false;
    }
    say(check, WELL, "credentials", "%s", credentials);
    return true;
}

static void check_bmc(struct check *check, const char *helper)
{
    const struct config *config = &check->config;
    struct sink sink = {.put = put, .context = check};
    struct bmc_io *bmc = NULL;
    if (config->bmc.address[0] == '\0') {
        say(check, NOTE, "BMC", "none is configured ([bmc] address)%s",
            config->devices[0].agent[0] == '\0' ? ": fenced by the storage alone" : "");
        return;
    }
    if (bmc_io_open(check->loop, config->bmc_credentials, helper, &sink, &bmc) < 0) {
        say(check, WRONG, "BMC", "no memory");
        return;
    }
    expect(check, EVENT_TROUBLE, 0);
    bmc_io_identify(bmc, check->name, &config->bmc, &check->machine, clock_io_boot_ms() + BMC_MS);
    if (!wait_for(check, BMC_MS + 1000) || check->trouble[0] != '\0') {
        say(check, WRONG, "BMC", "%s", check->got ? check->trouble : "no answer");
    } else {
        say(check, WELL, "BMC", "%s is this machine's", config->bmc.address);
    }
    bmc_io_close(bmc);
}

static void check_device(struct check *check, struct fence_agent_io *agents, uint32_t at)
{
    const struct fence_device *device = &check->config.devices[at];
    if (device->agent[0] == '\0') {
        return;
    }
    expect(check, EVENT_TROUBLE, 0);
    fence_agent_io_identify(agents, at, device, clock_io_boot_ms() + BMC_MS);
    if (!wait_for(check, BMC_MS + 1000) || check->trouble[0] != '\0') {
        say(check, WRONG, "fence device", "%s", check->got ? check->trouble : "no answer");
    } else if (!check->config.trusted[at]) {
        say(check, NOTE, "fence device",
            "%s reads on, but nobody says that it is this host's, so it is never used: make sure, "
            "and add 'trusted = yes' to [fence %s]",
            device->name, device->name);
    } else {
        say(check, WELL, "fence device", "%s (%s, level %u) reads on", device->name, device->agent,
            device->level);
    }
}

static void check_devices(struct check *check)
{
    const char *path = check->config.bmc_credentials;
    struct sink sink = {.put = put, .context = check};
    for (uint32_t i = 0; i < FENCE_DEVICES_MAX; i++) {
        struct fence_agent_io *agents = NULL; /* each its own: a trouble stays with its device */
        if (fence_agent_io_open(check->loop, path[0] != '\0' ? path : NULL, FENCE_AGENT_FOLDER,
                                &sink, &agents) == 0) {
            check_device(check, agents, i);
            fence_agent_io_close(agents);
        }
    }
}

/* Also when a call into Corosync or libvirt never comes back. */
static void on_alarm(int number)
{
    static const char words[] =
        "WRONG the check before does not come back: is that service hung?\n";
    (void)number;
    ssize_t written = write(STDOUT_FILENO, words, sizeof(words) - 1);
    _exit(written < 0 ? 2 : 1);
}

int check_io_run(const char *path, const char *helper)
{
    struct check check = {.loop = qb_loop_create()};
    if (check.loop == NULL) {
        return 1;
    }
    signal(SIGALRM, on_alarm);
    alarm(WHOLE_S);
    if (!check_config(&check, path)) {
        return 1;
    }
    check_machine(&check);
    check_run_dir(&check);
    check_corosync(&check);
    check_ceph(&check);
    check_guest_key(&check);
    check_libvirt(&check);
    check_hook(&check);
    if (check_credentials(&check)) {
        check_bmc(&check, helper);
        check_devices(&check);
    }
    puts(check.wrong ? "Something must be mended first." : "This host is ready.");
    fflush(stdout);
    return check.wrong ? 1 : 0;
}
