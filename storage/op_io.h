/*
 * One action under way, from storage_io_act() to its event: its deadline, its handle, and the one
 * librados operation or worker it waits for at a time.
 *
 * Each room of this edge (state, lease, blocklist …) embeds `struct op` as the first member of a
 * structure of its own, moves from step to step by callbacks on the loop's thread, and ends with
 * op_answer(). At the deadline op_answer() is called for it (OUTCOME_UNKNOWN); a step that was
 * still outside is then not continued: nothing that changes the world follows a deadline.
 */
#ifndef STEAD_STORAGE_OP_IO_H
#define STEAD_STORAGE_OP_IO_H

#include <qb/qbloop.h>
#include <rados/librados.h>

#include "proto/action.h"
#include "proto/event.h"
#include "proto/sink.h"
#include "proto/warn_io.h"
#include "proto/wire_io.h"
#include "storage/job_io.h"
#include "storage/storage_io.h"

#define OPS_MAX 4096       /* more are refused at once (OUTCOME_FAILED) */
#define OPS_AT_ONCE 256    /* object operations sent at a time; librados blocks at 1,024 */
#define LOCKLESS_TOLD 1024 /* images, each with its place by its digest */

#define STORAGE_OBJECT "cluster" /* the state object */

struct op;
struct handle;
struct guest_client;

/* An object operation under way. */
struct aio {
    struct job job;
    struct jobs *jobs;
    struct op *op;
    rados_completion_t completion;
    rados_write_op_t write;
    rados_read_op_t read;
    int refused;              /* librados did not take it: why */
    rados_omap_iter_t values; /* of a read: asked keys */
    rados_omap_iter_t page;   /* of a read: keys in order */
    unsigned char more;       /* after `page` */
    void (*after)(struct op *op, int result);
};

/* Somebody who waits until a handle has seen the newest osdmap. */
struct map_wait {
    struct map_wait *next;
    void (*after)(struct map_wait *wait, int result);
};

struct op {
    struct op *next; /* in io->ops */
    struct op **link;
    struct op *queued; /* the next that waits for its turn */
    struct storage_io *io;
    struct handle *handle; /* NULL: none was open */
    enum action_kind kind;
    uint64_t deadline_ms;
    uint64_t valid_until_ms;
    bool answered;
    bool counted;  /* in io->at_once */
    uint32_t uses; /* who still holds it: its owner until answered, each excursion */
    struct aio aio;
    struct job job; /* the worker's, for those that need one */
    struct event event;
    void (*begin)(struct op *op); /* when its turn comes */
    struct map_wait map_wait;
    void (*after_map)(struct op *op, int result);
    void (*emit)(struct op *op, enum outcome outcome); /* NULL: event to the sink */
    void (*release)(struct op *op);                    /* NULL: nothing of its own to free */
};

struct op_queue {
    struct op *first;
    struct op *last;
};

/* The first put is the first taken; NULL: it is empty. */
void op_queue_put(struct op_queue *queue, struct op *op);
struct op *op_queue_take(struct op_queue *queue);

struct storage_io {
    qb_loop_t *loop;
    struct sink sink;
    char *conf;
    char *user;
    char *pool;
    uint32_t nodeid;
    _Atomic uint32_t call_ms; /* a thread that connects reads it, too */
    struct jobs *jobs;
    struct handle *handle;
    uint64_t openings; /* counts ACTION_HANDLE_OPEN: only the newest's handle is taken */
    struct guest_client *guest_client; /* the kept one */
    qb_loop_timer_handle guest_timer;  /* set while there is one */
    struct op *ops;
    uint32_t op_count;
    uint32_t at_once;
    struct op_queue waiting;
    struct op_queue blocking; /* requests about the blocklist, not in a batch yet */
    bool listing;             /* a batch reads its first list */
    int timer_fd;             /* CLOCK_BOOTTIME */
    uint64_t timer_ms;        /* 0: not set */
    uint64_t beats;
    uint64_t find_pool_ms;     /* not before is the pool looked up again */
    enum outcome poll_outcome; /* of the last poll: only a change is logged */
    char warning[TEXT_BYTES];
    uint64_t full_ms;                 /* when to look next which pools are full */
    char full[TEXT_BYTES];            /* which were */
    uint64_t lockless[LOCKLESS_TOLD]; /* images told of: they have no lock; 0: none */
};

/* The loop calls it when a deadline has come (io->timer_fd). */
int32_t op_on_timer(int32_t fd, int32_t revents, void *data);

/* Zeroed memory of `size` (>= sizeof(struct op)) for `action`, answered by an event of `kind`; held
 * once by its owner. NULL when there are too many or no memory: then that event was already sent.
 */
void *op_new(struct storage_io *io, const struct action *action, enum event_kind kind, size_t size);

/* The same for what is answered through `emit`, not by an event: emitted FAILED and NULL on
 * failure. */
void *op_new_call(struct storage_io *io, uint64_t deadline_ms, size_t size,
                  void (*emit)(struct op *op, enum outcome outcome));

/* Calls op->begin now, or when fewer operations are under way; FAILED without a handle. */
void op_begin(struct op *op, void (*begin)(struct op *op));

/* The same without waiting for others: for the state object, of which few operations are under way
 * and which must not wait behind leases in a placement group that stalls. */
void op_begin_ahead(struct op *op, void (*begin)(struct op *op));

/* Says how it ended, once; drops the owner's hold. */
void op_answer(struct op *op, enum outcome outcome);

/* Each excursion holds it; when the last has dropped it, it is released. */
void op_hold(struct op *op);
void op_drop(struct op *op);

/* Has the right behind it run out? To be asked right before anything that changes the world. */
bool op_stale(const struct op *op);
bool storage_stale(uint64_t valid_until_ms);

/* Which outcome a librados result is: what is not known to be a refusal may have taken effect. */
enum outcome op_outcome(int result);

/* Sends one write operation, taking it over; `after` runs on the loop's thread with librados'
 * result, unless the op was answered meanwhile. */
void op_write(struct op *op, rados_write_op_t write, const char *object,
              void (*after)(struct op *op, int result));

/* A read operation to be filled (`read`, and `values` or `page` for what it brings), then sent by
 * op_read(). What it brought is there until `after` returns or the op's next operation begins. */
struct aio *op_new_read(struct op *op);
void op_read(struct op *op, const char *object, void (*after)(struct op *op, int result));

/* Asks for these keys, at most OP_KEYS_MAX, in op->aio.values. */
#define OP_KEYS_MAX (NODES_MAX + 1)
void op_ask_keys(struct op *op, const char *const *keys, size_t count);

/* One key of an omap, cut at WIRE_KEY_BYTES (no key of ours is longer); `bytes` are the iterator's.
 */
struct op_value {
    char key[WIRE_KEY_BYTES];
    const uint8_t *bytes;
    size_t size;
};

/* The next of an iterator's, and the next of that name; false at the end. */
bool op_next_value(rados_omap_iter_t values, struct op_value *ret_value);
bool op_find_value(rados_omap_iter_t values, const char *key, struct op_value *ret_value);

/* Runs `work` on a worker's thread, holding the op; then `after` on the loop's, which must begin
 * with op_back(). */
void op_work(struct op *op, void (*work)(struct job *job), void (*after)(struct job *job));

/* The op whose job came back, or NULL if it was answered meanwhile. */
struct op *op_back(struct job *job);
struct op *op_of(struct job *job);

/* Continues with `after` once the op's handle has seen the newest osdmap (see handle_wait_map). */
void op_wait_map(struct op *op, void (*after)(struct op *op, int result));

#endif
