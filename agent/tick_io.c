/* Periodic timerfds. */
#include "agent/tick_io.h"

#include <errno.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define S_NS 1000000000ull

static int32_t on_tick(int32_t fd, int32_t revents, void *data)
{
    const struct tick *tick = data;
    uint64_t count;
    const ssize_t got = read(fd, &count, sizeof(count));
    (void)got; /* a wake-up, not a number: those missed are not made up for */
    (void)revents;
    tick->call(tick->context);
    return 0;
}

int tick_io_begin(struct tick *tick, qb_loop_t *loop, enum qb_loop_priority priority,
                  uint64_t every_ns, void (*call)(void *context), void *context)
{
    const struct timespec every = {.tv_sec = (time_t)(every_ns / S_NS),
                                   .tv_nsec = (long)(every_ns % S_NS)};
    const struct itimerspec times = {.it_interval = every, .it_value = every};
    const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    *tick = (struct tick){.loop = loop, .fd = fd, .call = call, .context = context};
    int r = timerfd_settime(fd, 0, &times, NULL) < 0 ? -errno : 0;
    if (r == 0) {
        r = qb_loop_poll_add(loop, priority, fd, POLLIN, tick, on_tick);
    }
    if (r < 0) {
        close(fd);
    }
    return r;
}

void tick_io_end(struct tick *tick)
{
    (void)qb_loop_poll_del(tick->loop, tick->fd);
    close(tick->fd);
}
