/*
 * Kills guests by pidfd and says when they are gone.
 *
 * A pidfd names one process for good: the pid is read, opened, and what it names is looked at once
 * more before the signal goes out, so a number used again hits nobody. Gone means that the pidfd
 * says so (all threads have exited) and that a look through /proc afterwards finds no guest meant:
 * one that somebody started meanwhile is killed as well.
 */
#define _GNU_SOURCE /* pidfd_open */
#include "migration/guest_io.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/queue.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "migration/domain_xml_io.h"
#include "migration/guest_proc_io.h"
#include "proto/clock_io.h"
#include "proto/values.h"

#define PATH_BYTES 4096
#define LOOKS_MAX 16         /* at guests that come and go faster than they can be opened */
#define TOGETHER_NS 10000000 /* one look serves all that ask for it meanwhile */

struct victim {
    LIST_ENTRY(victim) link;
    struct kill *kill;
    pid_t pid;
    int pid_fd;
};

struct kill {
    LIST_ENTRY(kill) link;
    struct guest_io *io;
    uint64_t id;
    uint64_t deadline_ms;
    struct uuid vm; /* zero: all of ours */
    qb_loop_timer_handle timer;
    bool due;       /* the next look concerns it */
    bool over;      /* it is the last: its deadline has come */
    uint32_t looks; /* in a row that found guests and could open none */
    uint32_t count; /* sent SIGKILL so far */
    LIST_HEAD(, victim) victims;
};

struct guest_io {
    qb_loop_t *loop;
    struct sink sink;
    char *run_dir;
    uint32_t known_count;
    struct uuid *known; /* sorted */
    qb_loop_timer_handle look_timer;
    LIST_HEAD(, kill) kills;
};

/* --- whose is it? -------------------------------------------------------------------------- */

/* Where `vm` is in the sorted list, or where it would have to be. */
static uint32_t known_place(const struct guest_io *io, const struct uuid *vm)
{
    uint32_t low = 0;
    uint32_t high = io->known_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memcmp(io->known[middle].bytes, vm->bytes, sizeof(vm->bytes)) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_known(const struct guest_io *io, const struct uuid *vm)
{
    uint32_t place = known_place(io, vm);
    return place < io->known_count && uuid_equal(&io->known[place], vm);
}

void guest_io_know(struct guest_io *io, const struct uuid *vm)
{
    uint32_t place = known_place(io, vm);
    if (uuid_is_zero(vm) || is_known(io, vm) || io->known_count == VMS_MAX) {
        return;
    }
    memmove(&io->known[place + 1], &io->known[place],
            (io->known_count - place) * sizeof(io->known[0]));
    io->known[place] = *vm;
    io->known_count++;
}

/* What libvirt's status files call ours stays ours, also when the files are gone. No folder:
 * libvirt has had no guest since the boot. A file that is none of libvirt's names nobody. 0 or
 * -errno. */
static int status_files_read(struct guest_io *io)
{
    char path[PATH_BYTES];
    DIR *dir = opendir(io->run_dir);
    struct dirent *entry;
    if (!dir) {
        return errno == ENOENT ? 0 : -errno;
    }
    int unread = 0;
    while ((errno = 0, entry = readdir(dir))) {
        struct uuid vm;
        bool ours;
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".xml") != 0) {
            continue;
        }
        snprintf(path, sizeof(path), "%s/%s", io->run_dir, entry->d_name);
        int r = domain_xml_status_read(path, &vm, &ours);
        if (r == 0 && ours) {
            guest_io_know(io, &vm);
        }
        unread = r == 0 || r == -ENOENT || r == -EBADMSG ? unread : r;
    }
    unread = errno != 0 ? -errno : unread;
    closedir(dir);
    return unread;
}

static bool is_meant(const struct guest_io *io, const struct kill *kill, const struct uuid *vm)
{
    return uuid_is_zero(&kill->vm) ? is_known(io, vm) : uuid_equal(vm, &kill->vm);
}

/* All guests; the files are read only if there is a stranger, and it matters whose he is. */
static void guests_find(struct guest_io *io, struct guest_list *ret_list)
{
    const struct kill *kill;
    bool all = false;
    bool strangers = false;
    guest_proc_scan(ret_list);
    LIST_FOREACH(kill, &io->kills, link)
    {
        all = all || (kill->due && uuid_is_zero(&kill->vm));
    }
    for (uint32_t i = 0; all && i < ret_list->count; i++) {
        strangers = strangers || !is_known(io, &ret_list->guests[i].vm);
    }
    int r = strangers ? status_files_read(io) : 0;
    ret_list->unseen = r < 0 ? r : ret_list->unseen;
}

/* --- one kill ------------------------------------------------------------------------------ */

static void victim_free(struct victim *victim)
{
    LIST_REMOVE(victim, link);
    (void)qb_loop_poll_del(victim->kill->io->loop, victim->pid_fd);
    close(victim->pid_fd);
    free(victim);
}

static struct victim *victim_find(const struct kill *kill, pid_t pid)
{
    struct victim *victim;
    LIST_FOREACH(victim, &kill->victims, link)
    {
        if (victim->pid == pid) {
            return victim;
        }
    }
    return NULL;
}

static void kill_free(struct kill *kill)
{
    struct victim *victim;
    while ((victim = LIST_FIRST(&kill->victims))) {
        victim_free(victim);
    }
    if (kill->timer) {
        (void)qb_loop_timer_del(kill->io->loop, kill->timer);
    }
    LIST_REMOVE(kill, link);
    free(kill);
}

static void answer(struct guest_io *io, uint64_t id, enum outcome outcome, uint32_t alive_count,
                   uint32_t count)
{
    struct event event = {.kind = EVENT_KILLED, .id = id};
    event.killed.outcome = outcome;
    event.killed.alive_count = alive_count;
    event.killed.count = count;
    sink_put(&io->sink, &event);
}

/* What cannot be seen is not gone: `unseen` counts as one that is alive. */
static void kill_end(struct kill *kill, uint32_t alive_count, int unseen)
{
    if (unseen < 0) {
        fprintf(stderr, SD_ERR "it cannot be seen whether guests run here (/proc, %s): %s\n",
                kill->io->run_dir, strerror(-unseen));
        alive_count++;
    }
    answer(kill->io, kill->id, alive_count == 0 ? OUTCOME_DONE : OUTCOME_UNKNOWN, alive_count,
           kill->count);
    kill_free(kill);
}

static void look(struct guest_io *io);

static void on_look(void *data)
{
    struct guest_io *io = data;
    io->look_timer = 0;
    look(io);
}

/* Soon, together with all others that ask; at once if there are none. A look reads all of /proc,
 * and of hundreds that are killed each needs two. */
static void ask_look(struct kill *kill)
{
    struct guest_io *io = kill->io;
    kill->due = true;
    if (LIST_FIRST(&io->kills) == kill && LIST_NEXT(kill, link) == NULL) {
        look(io);
    } else if (io->look_timer == 0) { /* where that fails, the deadline tries again */
        (void)qb_loop_timer_add(io->loop, QB_LOOP_HIGH, TOGETHER_NS, io, on_look, &io->look_timer);
    }
}

static int32_t on_victim_gone(int32_t fd, int32_t revents, void *data)
{
    struct victim *victim = data;
    struct kill *kill = victim->kill;
    (void)fd;
    (void)revents;
    victim_free(victim);
    if (LIST_EMPTY(&kill->victims)) {
        ask_look(kill);
    }
    return 0;
}

static int victim_kill(struct kill *kill, const struct guest_process *guest)
{
    struct uuid vm;
    struct victim *victim = calloc(1, sizeof(*victim));
    if (!victim) {
        return -ENOMEM;
    }
    victim->kill = kill;
    victim->pid = guest->pid;
    victim->pid_fd = pidfd_open(guest->pid, 0);
    if (victim->pid_fd < 0 || guest_proc_read(guest->pid, &vm) != 1 ||
        !uuid_equal(&vm, &guest->vm)) {
        if (victim->pid_fd >= 0) {
            close(victim->pid_fd);
        }
        free(victim); /* gone meanwhile, or unseen: the next look finds out */
        return 0;
    }
    (void)pidfd_send_signal(victim->pid_fd, SIGKILL, NULL, 0); /* gone or refused: seen below */
    LIST_INSERT_HEAD(&kill->victims, victim, link);
    kill->count++;
    return qb_loop_poll_add(kill->io->loop, QB_LOOP_HIGH, victim->pid_fd, POLLIN, victim,
                            on_victim_gone);
}

/* Its deadline has come: how many are left? */
static void kill_last(struct kill *kill, const struct guest_list *list)
{
    struct victim *victim;
    uint32_t alive = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct guest_process *guest = &list->guests[i];
        alive += is_meant(kill->io, kill, &guest->vm) && !victim_find(kill, guest->pid);
    }
    LIST_FOREACH(victim, &kill->victims, link)
    {
        alive++; /* its pidfd has not said it is gone, whatever /proc shows */
    }
    kill_end(kill, alive, list->unseen);
}

/* Kills who is there; ends when nobody is. Each further round comes only after all of the last
 * one's victims have exited, so it cannot spin on one that does not die. */
static void kill_round(struct kill *kill, const struct guest_list *list)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        if (is_meant(kill->io, kill, &list->guests[i].vm)) {
            (void)victim_kill(kill, &list->guests[i]); /* else it shows at the deadline */
            count++;
        }
    }
    if (count == 0) {
        kill_end(kill, 0, list->unseen);
    } else if (!LIST_EMPTY(&kill->victims)) {
        kill->looks = 0;
    } else if (++kill->looks < LOOKS_MAX) {
        ask_look(kill);
    }
}

/* An answer may bring another kill: it comes to the head of the list, and asks for itself. */
static void look(struct guest_io *io)
{
    struct guest_list list;
    struct kill *next;
    guests_find(io, &list);
    for (struct kill *kill = LIST_FIRST(&io->kills); kill != NULL; kill = next) {
        next = LIST_NEXT(kill, link);
        bool due = kill->due;
        kill->due = false;
        if (due && kill->over) {
            kill_last(kill, &list);
        } else if (due && LIST_EMPTY(&kill->victims)) {
            kill_round(kill, &list);
        }
    }
    free(list.guests);
}

static void on_deadline(void *data)
{
    struct kill *kill = data;
    kill->timer = 0;
    kill->over = true;
    ask_look(kill);
}

void guest_io_act(struct guest_io *io, const struct action *action)
{
    struct kill *kill = calloc(1, sizeof(*kill));
    uint64_t now = clock_io_boot_ms();
    uint64_t wait_ms = action->deadline_ms > now ? action->deadline_ms - now : 0;
    if (!kill) {
        answer(io, action->id, OUTCOME_UNKNOWN, 1, 0);
        return;
    }
    kill->io = io;
    kill->id = action->id;
    kill->deadline_ms = action->deadline_ms;
    kill->vm = action->vm.uuid;
    LIST_INIT(&kill->victims);
    LIST_INSERT_HEAD(&io->kills, kill, link);
    guest_io_know(io, &kill->vm);
    if (qb_loop_timer_add(io->loop, QB_LOOP_HIGH, wait_ms * 1000000, kill, on_deadline,
                          &kill->timer) < 0) {
        kill->timer = 0;
        kill_end(kill, 1, 0);
        return;
    }
    ask_look(kill);
}

/* --- open and close ------------------------------------------------------------------------ */

int guest_io_open(qb_loop_t *loop, const char *run_dir, const struct sink *sink,
                  struct guest_io **ret_io)
{
    struct guest_io *io = calloc(1, sizeof(*io));
    if (!io) {
        return -ENOMEM;
    }
    io->loop = loop;
    io->sink = *sink;
    LIST_INIT(&io->kills);
    io->run_dir = strdup(run_dir);
    io->known = calloc(VMS_MAX, sizeof(io->known[0]));
    if (!io->run_dir || !io->known) {
        guest_io_close(io);
        return -ENOMEM;
    }
    *ret_io = io;
    return 0;
}

void guest_io_close(struct guest_io *io)
{
    struct kill *kill;
    if (!io) {
        return;
    }
    while ((kill = LIST_FIRST(&io->kills))) {
        kill_free(kill);
    }
    if (io->look_timer != 0) {
        (void)qb_loop_timer_del(io->loop, io->look_timer);
    }
    free(io->run_dir);
    free(io->known);
    free(io);
}
