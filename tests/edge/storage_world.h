/* What the storage tests share: agents' RADOS edges on one main loop, against a real, tiny Ceph
 * (tests/edge/ceph.sh) whose directory is in STEAD_TEST_CEPH. */
#ifndef STEAD_TESTS_EDGE_STORAGE_WORLD_H
#define STEAD_TESTS_EDGE_STORAGE_WORLD_H

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <qb/qbloop.h>
#include <rados/librados.h>

#include "proto/assert.h"
#include "proto/digest.h"
#include "proto/values.h"
#include "storage/storage_io.h"

#define SEATS_MAX 3
#define ANSWERS_MAX 4096
#define CALL_MS 2000    /* librados' own timeouts */
#define ANSWER_MS 20000 /* deadline of an action, where the test does not say */
#define STUCK_S 90
#define NUMBERED(array) (sizeof(array) / sizeof((array)[0]))

struct answer {
    bool there;
    uint64_t at_us;
    struct event event;
};

struct seat {
    struct world *world;
    struct storage_io *io;
    struct client client;
    char trouble[TEXT_BYTES]; /* as it was told last */
};

struct world {
    const char *dir;
    char conf[512];
    qb_loop_t *loop;
    struct seat seats[SEATS_MAX];
    uint32_t seat_count;
    uint64_t next_id;
    uint32_t missing; /* answers not there yet */
    uint64_t awaited; /* the id to stop at, before all are there; 0: none */
    struct answer answers[ANSWERS_MAX];
    struct actions out;
    struct delta delta;
    struct cluster image; /* of the last STATE_READ */
    uint64_t longest_us;  /* of the loop's steps */
    uint64_t tick_us;
    uint64_t waited_us; /* for a processor, at the last tick: not the loop's fault */
    rados_t by_hand;
    rados_ioctx_t pool;
};

_Noreturn void stead_panic(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, condition);
    abort();
}

static inline uint64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline uint64_t boot_ms(void)
{
    return clock_us(CLOCK_BOOTTIME) / 1000;
}

static inline uint64_t mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

/* ---- answers */

static inline void world_put(void *context, struct event *event)
{
    struct seat *seat = context;
    struct world *world = seat->world;
    struct answer *answer = &world->answers[event->id % ANSWERS_MAX];
    if (event->kind == EVENT_TROUBLE) { /* nobody asked for it */
        name_set(seat->trouble, sizeof(seat->trouble), event->trouble.text);
        return;
    }
    assert_true(event->id != 0);
    assert_false(answer->there); /* exactly one each */
    answer->there = true;
    answer->at_us = mono_us();
    answer->event = *event;
    if (event->kind == EVENT_STATE && event->state.outcome == OUTCOME_DONE) {
        world->image = *event->state.image; /* lent only for now */
    }
    if (event->kind == EVENT_HANDLE && !client_is_none(&event->handle.client)) {
        seat->client = event->handle.client;
    }
    world->missing--;
    if (world->missing == 0 || event->id == world->awaited) {
        qb_loop_stop(world->loop);
    }
}

static inline void world_stuck(void *data)
{
    (void)data;
    fprintf(stderr, "no answer within %d s\n", STUCK_S);
    abort();
}

static inline void run_guarded(struct world *world)
{
    qb_loop_timer_handle guard;
    qb_loop_timer_add(world->loop, QB_LOOP_LOW, STUCK_S * 1000000000ull, world, world_stuck,
                      &guard);
    qb_loop_run(world->loop);
    qb_loop_timer_del(world->loop, guard);
}

/* Runs the loop until every action begun has its answer. */
static inline void world_wait(struct world *world)
{
    if (world->missing != 0) {
        run_guarded(world);
    }
    assert_int_equal(world->missing, 0);
}

/* Until this one has. */
static inline struct event *world_wait_for(struct world *world, uint64_t id)
{
    world->awaited = id;
    while (!world->answers[id % ANSWERS_MAX].there) {
        run_guarded(world);
    }
    world->awaited = 0;
    return &world->answers[id % ANSWERS_MAX].event;
}

static inline void world_stop(void *data)
{
    qb_loop_stop(((struct world *)data)->loop);
}

static inline void world_run(struct world *world, uint64_t for_ms)
{
    qb_loop_timer_handle end;
    qb_loop_timer_add(world->loop, QB_LOOP_LOW, for_ms * 1000000, world, world_stop, &end);
    qb_loop_run(world->loop);
}

static inline uint64_t begin(struct seat *seat, struct action *action)
{
    struct world *world = seat->world;
    action->id = ++world->next_id;
    if (action->deadline_ms == 0) {
        action->deadline_ms = boot_ms() + ANSWER_MS;
    }
    world->answers[action->id % ANSWERS_MAX].there = false;
    world->missing++;
    world->out.delta = &world->delta;
    storage_io_act(seat->io, action, &world->out);
    return action->id;
}

static inline struct event *answer_to(struct world *world, uint64_t id)
{
    struct answer *answer = &world->answers[id % ANSWERS_MAX];
    assert_true(answer->there);
    return &answer->event;
}

static inline struct event *ask(struct seat *seat, struct action *action)
{
    return world_wait_for(seat->world, begin(seat, action));
}

static inline struct event *ask_kind(struct seat *seat, enum action_kind kind)
{
    struct action action = {.kind = kind};
    return ask(seat, &action);
}

static inline enum outcome poll_outcome(struct seat *seat, bool write)
{
    struct action action = {.kind = ACTION_POLL, .poll.write = write};
    return ask(seat, &action)->poll.outcome;
}

static inline void open_handle(struct seat *seat)
{
    const struct event *event = ask_kind(seat, ACTION_HANDLE_OPEN);
    assert_int_equal(event->handle.outcome, OUTCOME_DONE);
    assert_false(client_is_none(&event->handle.client));
}

/* ---- the longest step of the loop, by a timer that wants to come every 5 ms */

#define TICK_US 5000

/* How long this thread was ready to run but had no processor. */
static inline uint64_t cpu_wait_us(void)
{
    unsigned long long ran = 0, waited = 0;
    FILE *file = fopen("/proc/thread-self/schedstat", "r");
    if (file != NULL) {
        if (fscanf(file, "%llu %llu", &ran, &waited) != 2) {
            waited = 0;
        }
        fclose(file);
    }
    return waited / 1000;
}

static inline void world_tick(void *data)
{
    struct world *world = data;
    const uint64_t now = mono_us(), waited = cpu_wait_us();
    const uint64_t excuse = TICK_US + (waited - world->waited_us);
    if (world->tick_us != 0 && now - world->tick_us > excuse &&
        now - world->tick_us - excuse > world->longest_us) {
        world->longest_us = now - world->tick_us - excuse;
    }
    world->tick_us = now;
    world->waited_us = waited;
    qb_loop_timer_handle timer;
    qb_loop_timer_add(world->loop, QB_LOOP_HIGH, TICK_US * 1000, world, world_tick, &timer);
}

/* From here on; the time until the loop runs again does not count. */
static inline void watch_steps(struct world *world)
{
    if (world->tick_us == 0) {
        world_tick(world);
    }
    world_run(world, 20);
    world->longest_us = 0;
}

/* ---- freezing daemons */

static inline void signal_daemon(const struct world *world, const char *name, int number)
{
    char path[600];
    long pid = 0;
    snprintf(path, sizeof(path), "%s/%s.pid", world->dir, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld", &pid), 1);
    fclose(file);
    assert_int_equal(kill((pid_t)pid, number), 0);
}

/* ---- making and ending a world */

static inline rados_t connect_as(const struct world *world, const char *user)
{
    rados_t cluster;
    assert_int_equal(rados_create(&cluster, user), 0);
    assert_int_equal(rados_conf_read_file(cluster, world->conf), 0);
    assert_int_equal(rados_connect(cluster), 0);
    return cluster;
}

static inline void add_seat(struct world *world)
{
    struct seat *seat = &world->seats[world->seat_count++];
    const struct storage_options options = {.conf = world->conf,
                                            .user = "stead",
                                            .pool = "stead",
                                            .nodeid = world->seat_count,
                                            .call_ms = CALL_MS};
    const struct sink sink = {.put = world_put, .context = seat};
    seat->world = world;
    assert_int_equal(storage_io_open(world->loop, &options, &sink, &seat->io), 0);
    open_handle(seat);
}

static inline void forget_objects(struct world *world)
{
    rados_list_ctx_t list;
    const char *object = NULL;
    assert_int_equal(rados_nobjects_list_open(world->pool, &list), 0);
    while (rados_nobjects_list_next(list, &object, NULL, NULL) == 0) {
        rados_remove(world->pool, object);
    }
    rados_nobjects_list_close(list);
}

/* Setup of a group: two agents, handles open. */
static inline int world_make(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    world->dir = getenv("STEAD_TEST_CEPH");
    if (world->dir == NULL) {
        fprintf(stderr,
                "STEAD_TEST_CEPH is not set: `tests/edge/ceph.sh start DIR`, then set it to "
                "DIR\n");
        free(world);
        return -1;
    }
    umask(077); /* as the agent does */
    snprintf(world->conf, sizeof(world->conf), "%s/ceph.conf", world->dir);
    world->loop = qb_loop_create();
    world->by_hand = connect_as(world, "stead");
    assert_int_equal(rados_ioctx_create(world->by_hand, "stead", &world->pool), 0);
    add_seat(world);
    add_seat(world);
    *state = world;
    return 0;
}

static inline int world_empty(void **state)
{
    forget_objects(*state);
    return 0;
}

static inline int world_end(void **state)
{
    struct world *world = *state;
    for (uint32_t i = 0; world != NULL && i < world->seat_count; i++) {
        storage_io_close(world->seats[i].io);
    }
    return 0; /* the loop and the librados handles go with the process: see storage_io_close() */
}

/* Ends the process without librados' destructors running under its threads' feet. */
static inline _Noreturn void leave(int failures)
{
    fflush(NULL);
    _exit(failures == 0 ? 0 : 1);
}

/* ---- what is said on standard error */

static inline FILE *hear(int *ret_kept)
{
    FILE *heard = tmpfile();
    assert_non_null(heard);
    *ret_kept = dup(STDERR_FILENO);
    dup2(fileno(heard), STDERR_FILENO);
    return heard;
}

/* Ends it; was this among it? */
static inline bool was_heard(FILE *heard, int kept, const char *words)
{
    char text[4096];
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(heard);
    text[fread(text, 1, sizeof(text) - 1, heard)] = '\0';
    fclose(heard);
    fputs(text, stderr);
    return strstr(text, words) != NULL;
}

/* ---- commits */

static inline struct uuid uuid_from(uint64_t number)
{
    struct uuid uuid = {{0x5e, 0xad}};
    memcpy(uuid.bytes + 8, &number, sizeof(number));
    return uuid;
}

static inline void make_delta(struct world *world, uint64_t base_term, uint64_t base_version)
{
    memset(&world->delta, 0, sizeof(world->delta));
    struct header *header = &world->delta.header;
    header->cluster_id = uuid_from(1);
    header->epoch = 1;
    header->term = base_term;
    header->version = base_version + 1;
    world->delta.base_term = base_term;
}

static inline struct vm_record *add_vm(struct world *world, uint32_t slot)
{
    struct record *record = &world->delta.records[world->delta.count++];
    record->kind = RECORD_VM;
    record->slot = slot;
    record->vm.state = VM_STOPPED;
    record->vm.node = NODE_NONE;
    record->vm.uuid = uuid_from(1000 + slot);
    snprintf(record->vm.name, sizeof(record->vm.name), "vm%u", slot);
    return &record->vm;
}

static inline struct event *commit(struct seat *seat, bool create)
{
    struct action action = {.kind = ACTION_COMMIT, .commit.create = create};
    return ask(seat, &action);
}

static inline void create_state(struct world *world)
{
    make_delta(world, 1, 0);
    world->delta.header.commit = (struct origin){.nodeid = 1, .agent_start = 11, .counter = 1};
    assert_int_equal(commit(&world->seats[0], true)->commit.outcome, OUTCOME_DONE);
}

/* ---- timings, for people */

static inline int compare_u64(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static inline void print_times(const char *what, uint64_t *times_us, size_t count)
{
    qsort(times_us, count, sizeof(*times_us), compare_u64);
    print_message("%-34s n=%-4zu p50 %7.2f  p99 %7.2f  max %7.2f ms\n", what, count,
                  (double)times_us[count / 2] / 1e3, (double)times_us[count * 99 / 100] / 1e3,
                  (double)times_us[count - 1] / 1e3);
}

#endif
