/* sd_notify from the main loop. */
#include "agent/notify_io.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "proto/limits.h"
#include "proto/values.h"

#define STATUS_NS 2000000000ull

struct notify_io {
    qb_loop_t *loop;
    void (*situation)(void *context, char *ret_text);
    void *context;
    uint64_t watchdog_ns; /* between two signs of life; 0: nobody watches */
    char told[TEXT_BYTES];
    qb_loop_timer_handle watchdog;
    qb_loop_timer_handle status;
};

static void feed(void *context)
{
    struct notify_io *notify = context;
    sd_notify(0, "WATCHDOG=1");
    qb_loop_timer_add(notify->loop, QB_LOOP_HIGH, notify->watchdog_ns, notify, feed,
                      &notify->watchdog);
}

static void tell(void *context)
{
    struct notify_io *notify = context;
    char text[TEXT_BYTES] = "";
    notify->situation(notify->context, text);
    if (strcmp(text, notify->told) != 0) {
        name_set(notify->told, sizeof(notify->told), text);
        sd_notifyf(0, "STATUS=%s", text);
    }
    qb_loop_timer_add(notify->loop, QB_LOOP_LOW, STATUS_NS, notify, tell, &notify->status);
}

void notify_io_held_up(unsigned restarts)
{
    sd_notifyf(0, "STATUS=started %u times in ten minutes: waiting before the next try", restarts);
}

void notify_io_ready(struct notify_io *notify)
{
    (void)notify;
    sd_notify(0, "READY=1");
}

void notify_io_stopping(struct notify_io *notify)
{
    (void)notify;
    sd_notify(0, "STOPPING=1\nSTATUS=leaving; guests run on");
}

int notify_io_open(qb_loop_t *loop, void (*situation)(void *context, char *ret_text), void *context,
                   struct notify_io **ret_notify)
{
    uint64_t watchdog_usec = 0;
    struct notify_io *notify = calloc(1, sizeof(*notify));
    if (notify == NULL) {
        return -ENOMEM;
    }
    notify->loop = loop;
    notify->situation = situation;
    notify->context = context;
    if (sd_watchdog_enabled(0, &watchdog_usec) > 0) {
        notify->watchdog_ns = watchdog_usec * 1000 / 2;
        feed(notify);
    }
    tell(notify);
    *ret_notify = notify;
    return 0;
}
