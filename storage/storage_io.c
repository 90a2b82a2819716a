/*
 * The RADOS edge's front: which action goes to which room, beginning and end. The rooms: handle_io
 * (clients of ours), guest_client_io (one with the guests' key), state_io and state_read_io (the
 * state object), lease_io, blocklist_io, images_io (librbd), definition_io and prepare_io; under
 * them op_io (actions under way) and job_io (threads).
 *
 * On the end: a thread inside librados cannot be called back, and rados_shutdown beside a pending
 * monitor call crashes. So closing leaves alone, unfreed, what is still under way; the process
 * should then leave by _exit(), or after nothing was under way: exit() would run librados'
 * destructors under those threads' feet.
 */
#include "storage/storage_io.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "proto/assert.h"
#include "storage/blocklist_io.h"
#include "storage/full_io.h"
#include "storage/guest_client_io.h"
#include "storage/handle_io.h"
#include "storage/images_io.h"
#include "storage/lease_io.h"
#include "storage/op_io.h"
#include "storage/state_io.h"

static int32_t on_jobs_over(int32_t fd, int32_t events, void *data)
{
    (void)fd;
    (void)events;
    struct storage_io *io = data;
    jobs_finish(io->jobs);
    return 0;
}

static void free_io(struct storage_io *io)
{
    free(io->conf);
    free(io->user);
    free(io->pool);
    free(io);
}

static struct storage_io *new_io(const struct storage_options *options)
{
    struct storage_io *io = calloc(1, sizeof(*io));
    if (io == NULL) {
        return NULL;
    }
    io->conf = strdup(options->conf);
    io->user = strdup(options->user);
    io->pool = strdup(options->pool);
    if (io->conf == NULL || io->user == NULL || io->pool == NULL) {
        free_io(io);
        return NULL;
    }
    io->nodeid = options->nodeid;
    io->call_ms = options->call_ms;
    return io;
}

void storage_io_set_call_ms(struct storage_io *io, uint32_t call_ms)
{
    ASSERT(call_ms > 0);
    io->call_ms = call_ms;
}

/* What the loop hears of: deadlines, and jobs that are over. */
static int watch(struct storage_io *io)
{
    io->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (io->timer_fd < 0) {
        return -errno;
    }
    int r = qb_loop_poll_add(io->loop, QB_LOOP_HIGH, io->timer_fd, POLLIN, io, op_on_timer);
    if (r == 0) {
        r = jobs_open(&io->jobs);
    }
    if (r == 0) {
        r = qb_loop_poll_add(io->loop, QB_LOOP_HIGH, jobs_fd(io->jobs), POLLIN, io, on_jobs_over);
        if (r < 0) {
            jobs_close(io->jobs);
        }
    }
    if (r < 0) {
        (void)qb_loop_poll_del(io->loop, io->timer_fd);
        close(io->timer_fd);
    }
    return r;
}

int storage_io_open(qb_loop_t *loop, const struct storage_options *options, const struct sink *sink,
                    struct storage_io **ret_io)
{
    struct storage_io *io = new_io(options);
    if (io == NULL) {
        return -ENOMEM;
    }
    io->loop = loop;
    io->sink = *sink;
    int r = watch(io);
    if (r < 0) {
        free_io(io);
        return r;
    }
    *ret_io = io;
    return 0;
}

void storage_io_act(struct storage_io *io, const struct action *action, const struct actions *out)
{
    switch ((int)action->kind) {
    case ACTION_HANDLE_OPEN:
        handle_open(io, action);
        break;
    case ACTION_POLL:
        state_poll(io, action);
        full_look(io);
        break;
    case ACTION_STATE_READ:
        state_read(io, action);
        break;
    case ACTION_COMMIT:
        state_commit(io, action, out->delta);
        break;
    case ACTION_LEASE_READ:
        lease_io_read(io, action);
        break;
    case ACTION_LEASE_CHANGE:
        lease_io_change(io, action);
        break;
    case ACTION_LEASE_REMOVE:
        lease_io_remove(io, action);
        break;
    case ACTION_BLOCK_ADD:
    case ACTION_BLOCK_REMOVE:
    case ACTION_BLOCK_CHECK:
        block_act(io, action);
        break;
    case ACTION_LOCKS_BREAK:
        images_break_locks(io, action);
        break;
    case ACTION_WATCHERS_READ:
        images_read_watchers(io, action);
        break;
    default:
        stead_panic(__FILE__, __LINE__, "action->kind is a storage kind");
    }
}

void storage_io_close(struct storage_io *io)
{
    if (io == NULL) {
        return;
    }
    qb_loop_poll_del(io->loop, jobs_fd(io->jobs));
    qb_loop_poll_del(io->loop, io->timer_fd);
    close(io->timer_fd);
    io->timer_fd = -1;
    handle_close(io);
    guest_client_forget(io);
    jobs_close(io->jobs);
    if (io->op_count == 0) {
        free_io(io);
    }
}
