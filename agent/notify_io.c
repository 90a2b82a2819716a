/* sd_notify from the main loop. */
#include "agent/notify_io.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "agent/tick_io.h"
#include "proto/limits.h"
#include "proto/values.h"

#define STATUS_NS 2000000000ull

struct notify_io {
    void (*situation)(void *context, char *ret_text);
    void *context;
    char told[TEXT_BYTES];
    struct tick watchdog;
    struct tick status;
};

static void feed(void *context)
{
    (void)context;
    sd_notify(0, "WATCHDOG=1");
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
}

void notify_io_held_up(const char *why)
{
    sd_notifyf(0, "STATUS=%s: waiting", why);
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
    notify->situation = situation;
    notify->context = context;
    int r = tick_io_begin(&notify->status, loop, QB_LOOP_LOW, STATUS_NS, tell, notify);
    if (r == 0 && sd_watchdog_enabled(0, &watchdog_usec) > 0) {
        r = tick_io_begin(&notify->watchdog, loop, QB_LOOP_HIGH, watchdog_usec * 1000 / 2, feed,
                          notify);
        feed(notify);
    }
    if (r < 0) {
        return r; /* the process ends now */
    }
    tell(notify);
    *ret_notify = notify;
    return 0;
}
