/*
 * stead-agent: one per node. Joins Corosync's group, keeps a copy of the cluster's state, runs this
 * node's share of the VMs, and acts for the others when it is its turn.
 *
 * Started by systemd (Type=notify), in the foreground. Exit status: 0 after SIGTERM, 1 when the
 * configuration (its own or Corosync's) must be changed first, 70 for what a restart may cure.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/alarm_command_io.h"
#include "agent/check_io.h"
#include "agent/config_io.h"
#include "agent/effects_io.h"
#include "agent/host_io.h"
#include "agent/incarnation_io.h"
#include "agent/journal_io.h"
#include "agent/memory_io.h"
#include "agent/notify_io.h"
#include "agent/panic_io.h"
#include "agent/query.h"
#include "agent/server_io.h"
#include "agent/starts_io.h"
#include "agent/tick_io.h"
#include "agent/version.h"
#include "agent/watchdog.h"
#include "fencing/keeper.h"
#include "proto/clock_io.h"
#include "proto/control_io.h"
#include "proto/helper_io.h"
#include "proto/values.h"

#define RUN_DIR "/run/stead"
#define LIBVIRT_RUN_DIR "/run/libvirt/qemu"
#define DMI_UUID_PATH "/sys/class/dmi/id/product_uuid"
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define CALL_MS 5000               /* librados' own timeouts: the last net under each deadline */
#define IDENTIFY_NS 60000000000ull /* between two looks at our own BMC: many lock users out */
#define IDENTIFY_MS 10000
#define TIDY_NS 20000000000ull /* between two looks after our memory */
#define LEAVE_NS 500000000ull  /* how long Corosync may take to let us go */
#define SAY_NS 20000000ull     /* for the last heartbeat to go out */
#define WAIT_NS 100000000ull   /* between two looks whether the watchdog is let go */
#define WAITS_MAX 30           /* of these; TimeoutStopSec is longer */

enum { EXIT_CONFIG = 1, EXIT_RESTART = 70 };

struct agent {
    qb_loop_t *loop;
    struct config config;
    struct facts facts;
    char bmc_helper[CONFIG_VALUE_BYTES * 2];
    struct effects *effects;
    struct edges edges;
    struct server_io *server;
    struct notify_io *notify;
    struct create_options create_options;
    struct keeper_options keeper_options;
    struct settle_io *settle;
    struct vm_tools vm_tools;
    bool begun;
    bool leaving;
    uint32_t waits; /* for the watchdog to be let go */
    int exit_status;
    char refused[TEXT_BYTES]; /* as last said */
    qb_loop_timer_handle identify_timer;
    qb_loop_timer_handle leave_timer;
    struct tick tidy;
};

static void stop(struct agent *agent, int exit_status)
{
    agent->exit_status = exit_status;
    qb_loop_stop(agent->loop);
}

/* ---- the core begins, as soon as we know which node we are */

static void identify_devices(void *context)
{
    struct agent *agent = context;
    const struct config *config = &agent->config;
    if (config->bmc.address[0] != '\0') {
        bmc_io_identify(agent->edges.bmc, agent->facts.name, &config->bmc, &agent->facts.machine,
                        clock_io_boot_ms() + IDENTIFY_MS);
    }
    for (uint32_t i = 0; i < FENCE_DEVICES_MAX; i++) {
        if (config->trusted[i]) {
            fence_agent_io_identify(agent->edges.fence_agents, i, &config->devices[i],
                                    clock_io_boot_ms() + IDENTIFY_MS);
        } else if (config->devices[i].agent[0] != '\0') {
            fence_agent_io_distrust(agent->edges.fence_agents, i, &config->devices[i]);
        }
    }
    qb_loop_timer_add(agent->loop, QB_LOOP_LOW, IDENTIFY_NS, agent, identify_devices,
                      &agent->identify_timer);
}

static void answer(void *context, const struct reply *reply)
{
    struct agent *agent = context;
    server_io_answer(agent->server, reply);
}

static int open_edges(struct agent *agent)
{
    const struct config *config = &agent->config;
    struct edges *edges = &agent->edges;
    struct sink sink = effects_io_sink(agent->effects);
    const char *credentials = config->bmc_credentials[0] != '\0' ? config->bmc_credentials : NULL;
    struct storage_options options = {.conf = config->ceph_conf,
                                      .user = config->ceph_user,
                                      .pool = config->ceph_pool,
                                      .nodeid = agent->facts.nodeid,
                                      .call_ms = CALL_MS};
    agent->create_options.ceph_conf = config->ceph_conf;
    agent->create_options.guest_user = config->ceph_guest_user;
    int r = storage_io_open(agent->loop, &options, &sink, &edges->storage);
    if (r == 0) {
        r = guest_io_open(agent->loop, LIBVIRT_RUN_DIR, &sink, &edges->guests);
    }
    if (r == 0) {
        r = bmc_io_open(agent->loop, credentials, agent->bmc_helper, &sink, &edges->bmc);
    }
    if (r == 0) {
        r = fence_agent_io_open(agent->loop, credentials, FENCE_AGENT_FOLDER, &sink,
                                &edges->fence_agents);
    }
    if (r == 0) {
        r = libvirt_io_open(agent->loop, config->libvirt_uri, &sink, &edges->libvirt);
    }
    if (r == 0) {
        r = alarm_command_io_open(agent->loop, config->notify_command, ALARM_COMMAND_MS,
                                  &edges->notify);
    }
    if (r == 0) {
        r = create_io_open(edges->storage, edges->libvirt, &agent->create_options, &sink,
                           &edges->create);
    }
    if (r == 0) {
        r = nvram_io_open(agent->loop, edges->storage, &edges->nvram);
    }
    if (r == 0) {
        r = hook_io_open(agent->loop, &sink, &edges->hook);
    }
    if (r == 0) {
        agent->keeper_options = (struct keeper_options){.socket = KEEPER_SOCKET,
                                                        .device = config->watchdog_device,
                                                        .softdog = config->watchdog_softdog};
        r = keeper_io_open(agent->loop, &agent->keeper_options, &sink, &edges->keeper);
    }
    return r;
}

/* What operators' commands about VMs need of this node. */
static int open_tools(struct agent *agent)
{
    const struct core *core = effects_io_core(agent->effects);
    struct sink sink = effects_io_sink(agent->effects);
    int r = nvram_io_begin(agent->edges.nvram, core);
    if (r == 0) {
        r = settle_io_open(agent->loop, core, agent->edges.libvirt, &sink, &agent->settle);
    }
    agent->vm_tools = (struct vm_tools){.loop = agent->loop,
                                        .core = core,
                                        .storage = agent->edges.storage,
                                        .libvirt = agent->edges.libvirt,
                                        .create = agent->edges.create,
                                        .settle = agent->settle,
                                        .guest_user = agent->config.ceph_guest_user};
    return r;
}

static void tidy(void *context)
{
    (void)context;
    memory_io_tidy();
}

static void begin(struct agent *agent, uint32_t nodeid, const char *name)
{
    agent->facts.nodeid = nodeid;
    if (agent->facts.name[0] == '\0') {
        name_set(agent->facts.name, sizeof(agent->facts.name), name);
    }
    if (!control_is_name(agent->facts.name)) {
        journal_io_say(LOG_ERR, "this node has no usable name: give it one as [node] name in %s",
                       CONFIG_PATH);
        stop(agent, EXIT_CONFIG);
        return;
    }
    int r = open_edges(agent);
    if (r < 0) {
        journal_io_say(LOG_ERR, "cannot begin: %s", strerror(-r));
        stop(agent, EXIT_RESTART);
        return;
    }
    agent->begun = true;
    agent->edges.answer = answer;
    agent->edges.answer_context = agent;
    effects_io_begin(agent->effects, &agent->facts, &agent->edges);
    r = open_tools(agent);
    if (r == 0) {
        r = tick_io_begin(&agent->tidy, agent->loop, QB_LOOP_LOW, TIDY_NS, tidy, agent);
    }
    if (r < 0) {
        journal_io_say(LOG_ERR, "cannot begin: %s", strerror(-r));
        stop(agent, EXIT_RESTART);
        return;
    }
    server_io_begin(agent->server, &agent->vm_tools);
    identify_devices(agent);
    notify_io_ready(agent->notify);
}

static void tell_corosync(struct agent *agent, const char *text)
{
    struct event event = {.kind = EVENT_TROUBLE};
    struct sink sink = effects_io_sink(agent->effects);
    event.trouble.kind = TROUBLE_COROSYNC;
    name_set(event.trouble.text, sizeof(event.trouble.text), text);
    sink_put(&sink, &event);
}

static void corosync_connected(void *context, uint32_t nodeid, const char *name)
{
    struct agent *agent = context;
    char host[NAME_BYTES] = "";
    agent->refused[0] = '\0';
    if (!agent->begun) {
        (void)host_io_name(host);
        begin(agent, nodeid, name[0] != '\0' ? name : host);
    } else if (nodeid != agent->facts.nodeid) {
        journal_io_say(LOG_ERR,
                       "Corosync's nodeid of this node changed from %u to %u: set it back, or "
                       "remove the node from the cluster and reboot it",
                       agent->facts.nodeid, nodeid);
        stop(agent, EXIT_CONFIG);
    } else {
        tell_corosync(agent, "");
    }
}

static void corosync_refused(void *context, const char *text)
{
    struct agent *agent = context;
    if (strcmp(agent->refused, text) != 0) {
        name_set(agent->refused, sizeof(agent->refused), text);
        journal_io_say(LOG_ERR, "%s", text);
    }
    if (!agent->begun) {
        stop(agent, EXIT_CONFIG);
    } else {
        tell_corosync(agent, text);
    }
}

/* ---- and ends */

static void corosync_left(void *context)
{
    struct agent *agent = context;
    stop(agent, 0);
}

static void leave_timed_out(void *context)
{
    struct agent *agent = context;
    stop(agent, 0); /* Corosync sees our process end */
}

static void leave(void *context)
{
    struct agent *agent = context;
    const struct core *core = effects_io_core(agent->effects);
    if (core != NULL && watchdog_is_ending(core) && agent->waits++ < WAITS_MAX) {
        qb_loop_timer_add(agent->loop, QB_LOOP_HIGH, WAIT_NS, agent, leave, &agent->leave_timer);
        return; /* an empty host must not be reset for want of an agent */
    }
    qb_loop_timer_add(agent->loop, QB_LOOP_HIGH, LEAVE_NS, agent, leave_timed_out,
                      &agent->leave_timer);
    corosync_io_leave(agent->edges.corosync);
}

static int32_t on_signal(int32_t number, void *context)
{
    struct agent *agent = context;
    if (!agent->leaving) {
        agent->leaving = true;
        starts_io_forget(STARTS_PATH);
        journal_io_say(LOG_NOTICE, "%s: leaving; guests run on",
                       number == SIGINT ? "SIGINT" : "SIGTERM");
        notify_io_stopping(agent->notify);
        struct event event = {.kind = EVENT_LEAVING, .leaving = {.agent = true}};
        struct sink sink = effects_io_sink(agent->effects);
        event.leaving.why = host_io_shuts_down() ? LEAVING_HOST : LEAVING_NOT;
        sink_put(&sink, &event);
        qb_loop_timer_add(agent->loop, QB_LOOP_HIGH, SAY_NS, agent, leave, &agent->leave_timer);
    }
    return 0;
}

/* ---- start */

static void situation(void *context, char *ret_text)
{
    struct agent *agent = context;
    const struct core *core = effects_io_core(agent->effects);
    if (core != NULL) {
        query_situation(core, clock_io_boot_ms(), ret_text);
    } else {
        name_set(ret_text, TEXT_BYTES, "waiting for Corosync");
    }
}

static bool gather_facts(struct agent *agent)
{
    const struct config *config = &agent->config;
    struct facts *facts = &agent->facts;
    facts->agent_start = host_io_random();
    facts->feature_level = FEATURE_LEVEL;
    facts->bmc = config->bmc;
    memcpy(facts->devices, config->devices, sizeof(facts->devices));
    facts->memory_mib = config->memory_mib;
    facts->watchdog_fires_ms = config->watchdog_fires_s * 1000;
    facts->machine = config->machine;
    memcpy(facts->name, config->name, sizeof(facts->name));
    int r = host_io_read_uuid(BOOT_ID_PATH, &facts->boot);
    if (r < 0) {
        journal_io_say(LOG_ERR, BOOT_ID_PATH ": %s", strerror(-r));
        return false;
    }
    if (uuid_is_zero(&facts->machine) && host_io_read_uuid(DMI_UUID_PATH, &facts->machine) < 0) {
        journal_io_say(LOG_ERR,
                       "this machine has no UUID in " DMI_UUID_PATH
                       ": give it one as [node] uuid in %s",
                       CONFIG_PATH);
        return false;
    }
    if (facts->memory_mib == 0 && host_io_guest_memory_mib(&facts->memory_mib) < 0) {
        journal_io_say(LOG_ERR, "cannot read MemTotal: give [node] memory in %s", CONFIG_PATH);
        return false;
    }
    return true;
}

/* However often it fails, it costs neither this host nor its peers much. */
static void hold_up(const char *why)
{
    journal_io_say(LOG_ERR, "%s: waiting %u s", why, STARTS_HOLD_UP_MS / 1000);
    notify_io_held_up(why);
    sleep(STARTS_HOLD_UP_MS / 1000);
}

/* Two agents on one host would each believe the other's guests to be theirs. 0, or how to exit. */
static int be_the_only_one(void)
{
    char text[TEXT_BYTES];
    int fd = -1;
    if ((mkdir(RUN_DIR, 0755) == 0 || errno == EEXIST) && chmod(RUN_DIR, 0755) == 0) {
        fd = open(RUN_DIR "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    }
    if (fd < 0) {
        snprintf(text, sizeof(text), "cannot make " RUN_DIR "/lock (%s): make room in /run",
                 strerror(errno));
        hold_up(text);
        return EXIT_RESTART;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        journal_io_say(LOG_ERR, "another stead-agent runs on this host (" RUN_DIR "/lock): %s",
                       strerror(errno));
        return EXIT_CONFIG;
    }
    return 0; /* held until the process ends */
}

static bool load_config(struct agent *agent, const char *path)
{
    char text[CONFIG_TEXT_BYTES];
    bool must_exist = path != NULL;
    if (config_io_load(must_exist ? path : CONFIG_PATH, must_exist, &agent->config, text) < 0) {
        journal_io_say(LOG_ERR, "%s", text);
        return false;
    }
    if (agent->config.bmc_credentials[0] != '\0' &&
        bmc_io_check_credentials(agent->config.bmc_credentials, text) < 0) {
        journal_io_say(LOG_ERR, "%s", text);
        return false;
    }
    return true;
}

/* An agent that was restarted while Corosync is away must still see to its guests. */
static void begin_from_memory(struct agent *agent)
{
    struct kept kept;
    int r = incarnation_io_load(INCARNATION_PATH, &agent->facts.boot, &kept);
    if (r == 0) {
        agent->facts.incarnation = kept.incarnation;
        agent->facts.cluster_id = kept.cluster_id;
        begin(agent, kept.nodeid, kept.name);
    } else if (r == -EBADMSG) {
        journal_io_say(LOG_WARNING, INCARNATION_PATH " cannot be read: taken as not there");
    }
}

/* What the agents before this one left in this boot: a mark, and how often they were started. One
 * that ends again and again is held up, so that it costs neither this host nor its peers much. */
static void recall(struct agent *agent)
{
    struct facts *facts = &agent->facts;
    struct starts starts;
    char text[TEXT_BYTES];
    const int noted = starts_io_note(STARTS_PATH, clock_io_boot_ms(), &starts);
    facts->restarts = starts.count;
    facts->steady_ms = starts_steady_ms(&starts);
    int r = panic_io_load(MARK_PATH, &facts->boot, &facts->mark);
    facts->halted = r == 0;
    if (facts->halted) {
        journal_io_say(LOG_CRIT,
                       "halted at version %llu of the state: an assertion failed here (%s); guests "
                       "run on, this node decides nothing until the state has a newer version, or: "
                       "stead node resume",
                       (unsigned long long)facts->mark.version, facts->mark.reason);
    } else if (r != -ENOENT) {
        journal_io_say(LOG_WARNING, MARK_PATH " cannot be read: taken as not there");
    }
    if (noted < 0) { /* nobody knows how many there were */
        snprintf(text, sizeof(text), "cannot write " STARTS_PATH " (%s)", strerror(-noted));
        hold_up(text);
    } else if (facts->steady_ms != 0) {
        snprintf(text, sizeof(text), "started %u times within ten minutes", starts.count);
        hold_up(text);
    }
}

static int open_all(struct agent *agent)
{
    qb_loop_signal_handle signals[2];
    const struct corosync_watcher watcher = {.connected = corosync_connected,
                                             .refused = corosync_refused,
                                             .left = corosync_left,
                                             .context = agent};
    agent->loop = qb_loop_create();
    if (agent->loop == NULL) {
        return -ENOMEM;
    }
    qb_loop_signal_add(agent->loop, QB_LOOP_HIGH, SIGTERM, agent, on_signal, &signals[0]);
    qb_loop_signal_add(agent->loop, QB_LOOP_HIGH, SIGINT, agent, on_signal, &signals[1]);
    int r = effects_io_open(agent->loop, &agent->effects);
    if (r < 0) {
        return r;
    }
    struct sink sink = effects_io_sink(agent->effects);
    r = notify_io_open(agent->loop, situation, agent, &agent->notify);
    if (r == 0) {
        r = server_io_open(agent->loop, CONTROL_PATH, &sink, &agent->server);
        if (r < 0) {
            journal_io_say(LOG_ERR, "cannot make the control socket " CONTROL_PATH ": %s",
                           strerror(-r));
        }
    }
    if (r == 0) {
        r = corosync_io_open(agent->loop, &watcher, &sink, &agent->edges.corosync);
    }
    return r;
}

static _Noreturn void usage(int code)
{
    puts("usage: stead-agent [-c FILE] [--check]   (default " CONFIG_PATH ")\n"
         "--check tries what this host needs, says what is wrong, and changes nothing.\n"
         "Runs in the foreground; normally: systemctl start stead-agent");
    exit(code);
}

static const char *parse_options(int argc, char **argv, bool *ret_check)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check", no_argument, NULL, 'C'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {NULL, 0, NULL, 0}};
    const char *config = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
        if (option == 'c') {
            config = optarg;
        } else if (option == 'C') {
            *ret_check = true;
        } else if (option == 'V') {
            puts("stead-agent " STEAD_VERSION);
            exit(0);
        } else {
            usage(option == 'h' ? 0 : 2);
        }
    }
    if (optind < argc) { /* "stead-agent check" is not to start one */
        usage(2);
    }
    return config;
}

int main(int argc, char **argv)
{
    bool check = false;
    const char *path = parse_options(argc, argv, &check);
    struct agent *agent = calloc(1, sizeof(*agent));
    memory_io_begin();
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    if (agent == NULL) {
        return EXIT_CONFIG;
    }
    helper_io_find("stead-bmc", agent->bmc_helper, sizeof(agent->bmc_helper));
    if (check) {
        _exit(check_io_run(path, agent->bmc_helper)); /* as below */
    }
    if (!load_config(agent, path) || !gather_facts(agent)) {
        return EXIT_CONFIG;
    }
    int r = be_the_only_one();
    if (r != 0) {
        return r;
    }
    panic_io_watch(MARK_PATH);
    recall(agent);
    r = open_all(agent);
    if (r < 0) {
        journal_io_say(LOG_ERR, "cannot start: %s", strerror(-r));
        return EXIT_RESTART;
    }
    begin_from_memory(agent);
    if (agent->exit_status == 0) {
        qb_loop_run(agent->loop);
    }
    server_io_close(agent->server);
    if (agent->edges.notify != NULL) {
        alarm_command_io_close(agent->edges.notify);
    }
    storage_io_close(agent->edges.storage);
    _exit(agent->exit_status); /* threads may hang in Corosync, Ceph or libvirt: no waiting */
}
