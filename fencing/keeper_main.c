/*
 * stead-keeper: feeds this host's watchdog, as long as somebody counts on it only while the agent
 * vouches for this host.
 *
 * `stead-keeper run` is systemd's; it arms only when the agent tells it to. `stead-keeper selftest`
 * tries whether the watchdog really resets this host (it does, if all is well), and `stead-keeper
 * result` tells what the last selftest showed.
 *
 * Small on purpose: locked memory, real time, nothing allocated after the start, no library but
 * libc. It outlives the agent; an agent that dies, hangs or is cut off lets its word run out.
 */
#define _GNU_SOURCE /* accept4, SO_PEERCRED */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fencing/keeper.h"
#include "fencing/keeper_selftest_io.h"
#include "fencing/watchdog_io.h"
#include "proto/assert.h"
#include "proto/clock_io.h"

#define PRIORITY 50 /* below Corosync's 99: it may run on while this one waits a moment */

struct server {
    struct keeper keeper;
    struct watchdog_io device;
    struct keeper_report report;
    int listener;
    int agent; /* the agent's connection, -1: none */
};

static volatile sig_atomic_t asked_to_end;

_Noreturn void stead_panic(const char *file, int line, const char *condition)
{
    fprintf(stderr, "<2>%s:%d: %s: the watchdog is fed no more\n", file, line, condition);
    abort();
}

static void on_signal(int number)
{
    (void)number;
    asked_to_end = 1;
}

/* To the journal, with its level; a journal that stands still must not hold this program up, so
 * what it does not take at once is lost. */
__attribute__((format(printf, 2, 3))) static void say(int level, const char *format, ...)
{
    char line[512];
    va_list arguments;
    int used = snprintf(line, sizeof(line), "<%d>", level);
    va_start(arguments, format);
    vsnprintf(line + used, sizeof(line) - (size_t)used, format, arguments);
    va_end(arguments);
    size_t length = strnlen(line, sizeof(line) - 1);
    line[length++] = '\n';
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0) {
        ssize_t written = write(STDERR_FILENO, line, length);
        (void)written;
    }
}

/* --- the agent's connection --- */

static void hang_up(struct server *server)
{
    if (server->agent >= 0) {
        close(server->agent);
        server->agent = -1;
    }
}

static void report(struct server *server)
{
    struct keeper_report *told = &server->report;
    told->magic = KEEPER_MAGIC;
    told->state = server->keeper.state;
    told->timeout_ms = server->device.timeout_ms;
    snprintf(told->identity, sizeof(told->identity), "%s", server->device.identity);
    snprintf(told->device, sizeof(told->device), "%s", server->device.path);
    if (server->agent >= 0 &&
        send(server->agent, told, sizeof(*told), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
        errno != EAGAIN) {
        hang_up(server);
    }
}

static void moved(struct server *server, enum keeper_state before)
{
    if (server->keeper.state == before) {
        return;
    }
    enum keeper_state now = server->keeper.state;
    say(now == KEEPER_EXPIRED ? 2 : 5, "%s -> %s%s%s", keeper_word(before), keeper_word(now),
        keeper_sentence(now)[0] != '\0' ? ": " : "", keeper_sentence(now));
    report(server);
}

/* The device was closed, or it runs on and must not fire. */
static void let_go(struct server *server)
{
    if (server->device.fd >= 0 && server->keeper.state != KEEPER_KEPT) {
        keeper_kept(&server->keeper);
    } else if (server->device.fd < 0 && server->keeper.state != KEEPER_OFF) {
        keeper_disarmed(&server->keeper);
    }
}

static void arm(struct server *server, const struct keeper_order *order)
{
    if (!keeper_guards(server->keeper.state)) {
        enum keeper_state before = server->keeper.state;
        int r = watchdog_io_arm(&server->device, order->device, order->timeout_ms,
                                order->softdog != 0, server->report.trouble);
        if (r == 0) {
            server->report.trouble[0] = '\0';
            server->report.late_ms = 0;
            say(5, "armed: %s '%s', timeout %u ms, fed every %u ms", server->device.path,
                server->device.identity, server->device.timeout_ms,
                keeper_feed_ms(server->device.timeout_ms));
            keeper_armed(&server->keeper, server->device.timeout_ms, clock_io_boot_ms());
        } else {
            say(3, "not armed: %s", server->report.trouble);
            let_go(server);
            moved(server, before);
        }
    }
    report(server);
}

static void disarm(struct server *server)
{
    if (keeper_guards(server->keeper.state)) {
        enum keeper_state before = server->keeper.state;
        int r = watchdog_io_disarm(&server->device);
        let_go(server);
        snprintf(server->report.trouble, TEXT_BYTES, "%s", keeper_sentence(server->keeper.state));
        if (r < 0) {
            say(4, "%s cannot be stopped: %s", server->device.path, strerror(-r));
        }
        moved(server, before);
        return;
    }
    report(server);
}

static void obey(struct server *server, const struct keeper_order *order)
{
    enum keeper_state before = server->keeper.state;
    if (!keeper_order_ok(order)) {
        say(3, "an order that makes no sense: agent and keeper are not of one release?");
    } else if (order->kind == KEEPER_ARM) {
        arm(server, order);
    } else if (order->kind == KEEPER_DISARM) {
        disarm(server);
    } else if (keeper_vouch(&server->keeper, order->until_ms, clock_io_boot_ms())) {
        moved(server, before);
    }
}

/* All that has come: of several vouches only the last counts, so none may wait behind another. */
static void hear(struct server *server)
{
    struct keeper_order order;
    ssize_t length = 0;
    while (server->agent >= 0) {
        length = recv(server->agent, &order, sizeof(order), MSG_DONTWAIT | MSG_TRUNC);
        if (length == (ssize_t)sizeof(order)) {
            obey(server, &order);
        } else if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        } else {
            hang_up(server); /* it ended; its word runs out */
        }
    }
}

/* One agent at a time; a newer connection is the newer agent's. */
static void accept_agent(struct server *server)
{
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != 0) {
        close(fd);
        return;
    }
    hang_up(server);
    server->agent = fd;
    report(server);
}

/* --- feeding --- */

static void feed(struct server *server)
{
    enum keeper_state before = server->keeper.state;
    uint64_t decided_ms = clock_io_boot_ms();
    if (!keeper_feeds(&server->keeper, decided_ms)) {
        moved(server, before);
        return;
    }
    int r = watchdog_io_feed(&server->device);
    uint64_t late_ms = clock_io_boot_ms() - decided_ms;
    if (r < 0) {
        say(2, "%s cannot be fed: %s", server->device.path, strerror(-r));
    }
    if (late_ms > server->report.late_ms) {
        server->report.late_ms = (uint32_t)late_ms;
        if (keeper_is_late(server->report.late_ms)) {
            say(3, "%s was fed %u ms late", server->device.path, server->report.late_ms);
            report(server);
        }
    }
}

/* Nothing but systemd's last step is left, which would wait for us. */
static bool host_ends(void)
{
    static const char last[] = "systemd-shutdow"; /* as the kernel cuts it */
    char name[sizeof(last)] = "";
    int fd = open("/proc/1/comm", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, name, sizeof(name) - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    return length > 0 && strcmp(name, last) == 0;
}

/* Told to end: may it, as things are? */
static bool may_end(const struct server *server)
{
    if (server->keeper.state == KEEPER_KEPT && host_ends()) {
        say(4, "ends with its host: %s fires soon, unless the host is down by then",
            server->device.path);
        return true;
    }
    if (asked_to_end == 1 && server->keeper.state != KEEPER_OFF) {
        say(4, "told to end while its watchdog runs: going on, or this host would be reset; the "
               "agent has it stopped (stead config set proof=...), unless it has nowayout=1");
        asked_to_end = 2;
    }
    return server->keeper.state == KEEPER_OFF;
}

static void serve(struct server *server)
{
    while (!asked_to_end || !may_end(server)) {
        struct pollfd fds[2] = {{.fd = server->listener, .events = POLLIN},
                                {.fd = server->agent, .events = POLLIN}};
        uint32_t rest_ms = keeper_rest_ms(&server->keeper, clock_io_boot_ms());
        int ready = poll(fds, 2, rest_ms == UINT32_MAX ? -1 : (int)rest_ms);
        if (ready > 0 && fds[1].revents != 0) {
            hear(server);
        }
        if (ready > 0 && fds[0].revents != 0) {
            accept_agent(server);
        }
        feed(server);
    }
}

/* --- start --- */

static int listen_for_agent(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = KEEPER_SOCKET};
    (void)mkdir("/run/stead", 0755);
    (void)unlink(KEEPER_SOCKET);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, 4) < 0) {
        return -errno;
    }
    return fd;
}

/* Nothing may hold this program up: neither a page on a disk nor a busy CPU. */
static void be_steady(void)
{
    const struct sched_param parameters = {.sched_priority = PRIORITY};
    if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
        say(4, "its memory cannot be locked (%s): LimitMEMLOCK, CAP_IPC_LOCK", strerror(errno));
    }
    if (sched_setscheduler(0, SCHED_RR, &parameters) < 0) {
        say(4, "no real-time priority (%s): CAP_SYS_NICE", strerror(errno));
    }
}

static int run(void)
{
    static struct server server; /* locked with the rest; nothing is allocated */
    struct sigaction action = {.sa_handler = on_signal};
    umask(077);
    server.agent = -1;
    server.device.fd = -1;
    server.listener = listen_for_agent();
    if (server.listener < 0) {
        say(3, "cannot listen on " KEEPER_SOCKET ": %s", strerror(-server.listener));
        return 1;
    }
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    be_steady();
    say(6, "ready; armed only when the agent says so");
    serve(&server);
    return 0;
}

static _Noreturn void usage(int code)
{
    fputs("usage: stead-keeper run\n"
          "       stead-keeper selftest [--device PATH] [--timeout SECONDS] [--softdog] [--yes]\n"
          "       stead-keeper result\n"
          "run feeds this host's watchdog while stead-agent vouches for it.\n"
          "selftest RESETS this host, if its watchdog is good; result tells how long it took.\n",
          code == 0 ? stdout : stderr);
    exit(code);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"device", required_argument, NULL, 'd'}, {"timeout", required_argument, NULL, 't'},
        {"softdog", no_argument, NULL, 's'},      {"yes", no_argument, NULL, 'y'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    struct keeper_selftest test = {.device = "", .timeout_ms = 10000};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'd') {
            test.device = optarg;
        } else if (option == 't') {
            test.timeout_ms = (uint32_t)strtoul(optarg, NULL, 10) * 1000;
        } else if (option == 's') {
            test.softdog = true;
        } else if (option == 'y') {
            test.yes = true;
        } else {
            usage(option == 'h' ? 0 : 2);
        }
    }
    const char *verb = optind + 1 == argc ? argv[optind] : "";
    if (strcmp(verb, "run") == 0) {
        return run();
    }
    if (strcmp(verb, "selftest") == 0 && test.timeout_ms >= KEEPER_TIMEOUT_MIN_MS &&
        test.timeout_ms <= KEEPER_TIMEOUT_MAX_MS) {
        return keeper_selftest_run(&test);
    }
    if (strcmp(verb, "result") == 0) {
        return keeper_selftest_result();
    }
    usage(2);
}
