/*
 * Actions under way: turns, deadlines, excursions, answers. Assumes the loop's thread throughout,
 * except on_complete(), which librados calls. What an action means is decided in the other files.
 */
#include "storage/op_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "proto/assert.h"
#include "proto/clock_io.h"
#include "storage/handle_io.h"

bool storage_stale(uint64_t valid_until_ms)
{
    return valid_until_ms != 0 && clock_io_boot_ms() >= valid_until_ms;
}

bool op_stale(const struct op *op)
{
    return storage_stale(op->valid_until_ms);
}

/* Only what the OSD or the client library refuses before doing anything is a failure. */
enum outcome op_outcome(int result)
{
    switch (-result) {
    case ESHUTDOWN:
        return OUTCOME_BLOCKLISTED;
    case ENOENT:
        return OUTCOME_MISSING;
    case ECANCELED:
    case EEXIST:
        return OUTCOME_REFUSED;
    case EPERM:
    case EACCES:
    case EINVAL:
    case E2BIG:
    case ENOMEM:
    case EOPNOTSUPP:
    case EBADMSG:
        return OUTCOME_FAILED;
    default:
        return result >= 0 ? OUTCOME_DONE : OUTCOME_UNKNOWN;
    }
}

/* ---- queues and turns */

void op_queue_put(struct op_queue *queue, struct op *op)
{
    op->queued = NULL;
    if (queue->first == NULL) {
        queue->first = op;
    } else {
        queue->last->queued = op;
    }
    queue->last = op;
}

struct op *op_queue_take(struct op_queue *queue)
{
    struct op *op = queue->first;
    if (op != NULL) {
        queue->first = op->queued;
        op->queued = NULL;
    }
    return op;
}

static void take_turn(struct op *op)
{
    op->io->at_once++;
    op->counted = true;
    op->begin(op);
}

static void next_turns(struct storage_io *io)
{
    while (io->at_once < OPS_AT_ONCE && io->waiting.first != NULL) {
        struct op *op = op_queue_take(&io->waiting);
        if (!op->answered) {
            take_turn(op);
        }
        op_drop(op);
    }
}

void op_begin_ahead(struct op *op, void (*begin)(struct op *op))
{
    op->begin = begin;
    if (op->handle == NULL) {
        op_answer(op, OUTCOME_FAILED);
    } else {
        take_turn(op);
    }
}

void op_begin(struct op *op, void (*begin)(struct op *op))
{
    op->begin = begin;
    if (op->handle == NULL) {
        op_answer(op, OUTCOME_FAILED);
    } else if (op->io->at_once < OPS_AT_ONCE) {
        take_turn(op);
    } else {
        op_hold(op);
        op_queue_put(&op->io->waiting, op);
    }
}

/* ---- life */

static void set_outcome(struct event *event, enum outcome outcome)
{
    enum outcome *const places[EVENT_KIND_COUNT] = {
        [EVENT_HANDLE] = &event->handle.outcome,     [EVENT_POLL] = &event->poll.outcome,
        [EVENT_STATE] = &event->state.outcome,       [EVENT_COMMIT] = &event->commit.outcome,
        [EVENT_LEASE] = &event->lease.outcome,       [EVENT_BLOCK] = &event->block.outcome,
        [EVENT_WATCHERS] = &event->watchers.outcome, [EVENT_LOCKS] = &event->locks.outcome,
    };
    if (places[event->kind] != NULL) {
        *places[event->kind] = outcome;
    }
}

static void send_event(struct op *op, enum outcome outcome)
{
    set_outcome(&op->event, outcome);
    if (op->event.id != 0) {
        sink_put(&op->io->sink, &op->event);
    }
}

static void free_op(struct op *op)
{
    struct storage_io *io = op->io;
    *op->link = op->next;
    if (op->next != NULL) {
        op->next->link = op->link;
    }
    io->op_count--;
    if (op->release != NULL) {
        op->release(op);
    }
    if (op->handle != NULL) {
        handle_drop(op->handle);
    }
    const bool counted = op->counted;
    free(op);
    if (counted) {
        io->at_once--;
        next_turns(io);
    }
}

void op_hold(struct op *op)
{
    op->uses++;
}

void op_drop(struct op *op)
{
    if (--op->uses == 0) {
        free_op(op);
    }
}

void op_answer(struct op *op, enum outcome outcome)
{
    if (op->answered) {
        return;
    }
    op->answered = true;
    if (op->emit != NULL) {
        op->emit(op, outcome);
    } else {
        send_event(op, outcome);
    }
    op_drop(op);
}

/* ---- deadlines */

static void set_timer(struct storage_io *io, uint64_t at_ms);

static void sweep(void *data)
{
    struct storage_io *io = data;
    const uint64_t now = clock_io_boot_ms();
    io->timer_ms = 0;
    struct op *op = io->ops;
    if (op != NULL) {
        op_hold(op);
    }
    while (op != NULL) { /* each is held until its successor is: an answer may end others */
        if (!op->answered && now >= op->deadline_ms) {
            op_answer(op, OUTCOME_UNKNOWN);
        } else if (!op->answered) {
            set_timer(io, op->deadline_ms);
        }
        struct op *next = op->next;
        if (next != NULL) {
            op_hold(next);
        }
        op_drop(op);
        op = next;
    }
}

int32_t op_on_timer(int32_t fd, int32_t revents, void *data)
{
    uint64_t count;
    const ssize_t got = read(fd, &count, sizeof(count));
    (void)got; /* a wake-up, not a number */
    (void)revents;
    sweep(data);
    return 0;
}

/* A descriptor instead of the loop's own timers: it counts a suspend, and the loop does not turn
 * idly for the last millisecond before it, as libqb's does. */
static void set_timer(struct storage_io *io, uint64_t at_ms)
{
    if (io->timer_ms != 0 && io->timer_ms <= at_ms) {
        return;
    }
    io->timer_ms = at_ms != 0 ? at_ms : 1; /* 0 would disarm it */
    const struct itimerspec at = {.it_value = {.tv_sec = (time_t)(io->timer_ms / 1000),
                                               .tv_nsec = (long)(io->timer_ms % 1000) * 1000000}};
    const int r = timerfd_settime(io->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    ASSERT(r == 0);
}

static void enter(struct op *op, struct storage_io *io, uint64_t deadline_ms)
{
    op->io = io;
    op->uses = 1;
    op->deadline_ms = deadline_ms != 0 ? deadline_ms : clock_io_boot_ms() + io->call_ms;
    op->handle = io->handle;
    if (op->handle != NULL) {
        handle_hold(op->handle);
    }
    op->next = io->ops;
    op->link = &io->ops;
    if (io->ops != NULL) {
        io->ops->link = &op->next;
    }
    io->ops = op;
    io->op_count++;
    set_timer(io, op->deadline_ms);
}

static void *allocate(struct storage_io *io, size_t size)
{
    struct op *op = io->op_count < OPS_MAX ? calloc(1, size) : NULL;
    if (op == NULL) {
        warn_io_say("storage: %u operations under way: one more is refused", io->op_count);
    }
    return op;
}

void *op_new(struct storage_io *io, const struct action *action, enum event_kind kind, size_t size)
{
    struct op refused = {.io = io, .uses = 2};
    struct op *op = allocate(io, size);
    struct op *const any = op != NULL ? op : &refused;
    any->kind = action->kind;
    any->event.kind = kind;
    any->event.id = action->id;
    if (op == NULL) {
        op_answer(&refused, OUTCOME_FAILED);
        return NULL;
    }
    op->valid_until_ms = action->valid_until_ms;
    enter(op, io, action->deadline_ms);
    return op;
}

void *op_new_call(struct storage_io *io, uint64_t deadline_ms, size_t size,
                  void (*emit)(struct op *op, enum outcome outcome))
{
    struct op *op = allocate(io, size);
    if (op != NULL) {
        enter(op, io, deadline_ms);
        op->emit = emit;
    }
    return op;
}

/* ---- object operations */

static void on_complete(rados_completion_t completion, void *argument)
{
    (void)completion;
    struct aio *aio = argument;
    jobs_over(aio->jobs, &aio->job);
}

static void aio_free(struct aio *aio)
{
    if (aio->values != NULL) {
        rados_omap_get_end(aio->values);
    }
    if (aio->page != NULL) {
        rados_omap_get_end(aio->page);
    }
    if (aio->write != NULL) {
        rados_release_write_op(aio->write);
    }
    if (aio->read != NULL) {
        rados_release_read_op(aio->read);
    }
    if (aio->completion != NULL) {
        rados_aio_release(aio->completion);
    }
}

/* The next step may send the next operation: the finished one is put aside first. */
static void aio_after(struct job *job)
{
    struct aio *aio = (struct aio *)((char *)job - offsetof(struct aio, job));
    struct op *op = aio->op;
    struct aio finished = op->aio;
    const int result =
        finished.refused != 0 ? finished.refused : rados_aio_get_return_value(finished.completion);
    if (!op->answered) {
        finished.after(op, result);
    }
    if (op->aio.completion == finished.completion) {
        memset(&op->aio, 0, sizeof(op->aio));
    }
    aio_free(&finished);
    op_drop(op);
}

static void send_aio(struct op *op, const char *object)
{
    struct aio *aio = &op->aio;
    rados_ioctx_t pool = handle_pool(op->handle);
    aio->job.after = aio_after;
    aio->jobs = op->io->jobs;
    aio->op = op;
    op_hold(op);
    jobs_expect(aio->jobs);
    rados_aio_create_completion2(aio, on_complete, &aio->completion);
    const int r =
        aio->write != NULL
            ? rados_aio_write_op_operate(aio->write, pool, aio->completion, object, NULL, 0)
            : rados_aio_read_op_operate(aio->read, pool, aio->completion, object, 0);
    if (r < 0) { /* not sent, and on_complete will not come */
        warn_io_say("storage: object %s: %s", object, strerror(-r));
        aio->refused = r;
        jobs_over(aio->jobs, &aio->job);
    }
}

void op_write(struct op *op, rados_write_op_t write, const char *object,
              void (*after)(struct op *op, int result))
{
    op->aio = (struct aio){.write = write, .after = after};
    send_aio(op, object);
}

struct aio *op_new_read(struct op *op)
{
    op->aio = (struct aio){.read = rados_create_read_op()};
    return &op->aio;
}

void op_read(struct op *op, const char *object, void (*after)(struct op *op, int result))
{
    op->aio.after = after;
    send_aio(op, object);
}

void op_ask_keys(struct op *op, const char *const *keys, size_t count)
{
    size_t sizes[OP_KEYS_MAX];
    ASSERT(count <= OP_KEYS_MAX);
    for (size_t i = 0; i < count; i++) {
        sizes[i] = strlen(keys[i]);
    }
    rados_read_op_omap_get_vals_by_keys2(op->aio.read, keys, count, sizes, &op->aio.values, NULL);
}

bool op_next_value(rados_omap_iter_t values, struct op_value *ret_value)
{
    char *key = NULL, *bytes = NULL;
    size_t key_size = 0;
    if (rados_omap_get_next2(values, &key, &bytes, &key_size, &ret_value->size) != 0 ||
        key == NULL) {
        return false;
    }
    memset(ret_value->key, 0, sizeof(ret_value->key));
    memcpy(ret_value->key, key,
           key_size < sizeof(ret_value->key) ? key_size : sizeof(ret_value->key) - 1);
    ret_value->bytes = (const uint8_t *)bytes;
    return true;
}

bool op_find_value(rados_omap_iter_t values, const char *key, struct op_value *ret_value)
{
    while (op_next_value(values, ret_value)) {
        if (strcmp(ret_value->key, key) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- workers */

struct op *op_of(struct job *job)
{
    return (struct op *)((char *)job - offsetof(struct op, job));
}

struct op *op_back(struct job *job)
{
    struct op *op = op_of(job);
    const bool answered = op->answered;
    op_drop(op);
    return answered ? NULL : op;
}

void op_work(struct op *op, void (*work)(struct job *job), void (*after)(struct job *job))
{
    op->job = (struct job){.work = work, .after = after};
    op_hold(op);
    jobs_submit(op->io->jobs, &op->job);
}
