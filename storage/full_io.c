/*
 * Asks the monitors which pools are full, in a worker: seldom, and all hosts at the same time.
 * Measured (Ceph 16.2): each command, one that only reads too, goes into the monitors' audit log,
 * a commit of theirs, and a blocklist entry that is asked for less than paxos_propose_interval
 * (1 s) after a commit waits for the rest of it. Three hosts that ask every 5 s, each when it
 * likes, made every third fence up to a second longer.
 */
#include "storage/full_io.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/clock_io.h"
#include "storage/handle_io.h"

#define LOOK_MS 60000

struct full_op {
    struct op op;
    int result;
    char text[TEXT_BYTES]; /* empty: none is full */
};

static bool has_flag(const char *names, const char *flag)
{
    size_t length = strlen(flag);
    for (const char *at = names; (at = strstr(at, flag)) != NULL; at += length) {
        bool begins = at == names || at[-1] == ',';
        if (begins && (at[length] == ',' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

/* Ours, and those with images. */
static bool is_used(const struct full_op *full, const json_t *pool, const char *name)
{
    return strcmp(name, full->op.io->pool) == 0 ||
           json_object_get(json_object_get(pool, "application_metadata"), "rbd") != NULL;
}

static int take_pools(struct full_op *full, const json_t *pools)
{
    size_t index;
    const json_t *pool;
    size_t length = 0;
    json_array_foreach(pools, index, pool)
    {
        const char *name = json_string_value(json_object_get(pool, "pool_name"));
        const char *flags = json_string_value(json_object_get(pool, "flags_names"));
        if (name == NULL || flags == NULL) {
            return -EBADMSG;
        }
        if (has_flag(flags, "full") && is_used(full, pool, name) && length < sizeof(full->text)) {
            length += (size_t)snprintf(full->text + length, sizeof(full->text) - length, "%s%s%s",
                                       length == 0 ? "full in Ceph: " : ", ", name,
                                       has_flag(flags, "full_quota") ? " (its quota)" : "");
        }
    }
    return 0;
}

static void full_work(struct job *job)
{
    struct full_op *full = (struct full_op *)op_of(job);
    const char *const command = "{\"prefix\":\"osd pool ls\",\"detail\":\"detail\",\"format\":"
                                "\"json\"}";
    char *out = NULL;
    size_t size = 0;
    full->result = rados_mon_command(handle_cluster(full->op.handle), (const char **)&command, 1,
                                     "", 0, &out, &size, NULL, NULL);
    json_t *pools = full->result < 0 ? NULL : json_loadb(out, size, JSON_DISABLE_EOF_CHECK, NULL);
    if (full->result == 0) {
        full->result = json_is_array(pools) ? take_pools(full, pools) : -EBADMSG;
    }
    json_decref(pools);
    rados_buffer_free(out);
}

static void full_after(struct job *job)
{
    struct op *op = op_back(job);
    if (op != NULL) {
        op_answer(op, op_outcome(((struct full_op *)op)->result));
    }
}

/* The next whole minute by the wall clock, which the hosts have in common. */
static uint64_t next_look_ms(void)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    uint64_t wall_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000;
    return clock_io_boot_ms() + LOOK_MS - wall_ms % LOOK_MS;
}

static void full_emit(struct op *op, enum outcome outcome)
{
    const struct full_op *full = (const struct full_op *)op;
    struct storage_io *io = op->io;
    struct event event = {.kind = EVENT_TROUBLE};
    io->full_ms = next_look_ms();
    if (outcome != OUTCOME_DONE || strcmp(io->full, full->text) == 0) {
        return;
    }
    memcpy(io->full, full->text, sizeof(io->full));
    event.trouble.kind = TROUBLE_POOL;
    memcpy(event.trouble.text, io->full, sizeof(event.trouble.text));
    sink_put(&io->sink, &event);
}

static void full_begin(struct op *op)
{
    op_work(op, full_work, full_after);
}

void full_look(struct storage_io *io)
{
    uint64_t now_ms = clock_io_boot_ms();
    if (now_ms < io->full_ms) {
        return;
    }
    io->full_ms = UINT64_MAX; /* until it is answered, by its deadline at the latest */
    struct full_op *full = op_new_call(io, now_ms + io->call_ms, sizeof(*full), full_emit);
    if (full == NULL) {
        io->full_ms = next_look_ms();
        return;
    }
    op_begin(&full->op, full_begin);
}
