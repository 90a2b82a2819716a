/* A force, from outside: read, watch, replace. */
#include "agent/force_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/host_io.h"
#include "proto/clock_io.h"
#include "proto/settings.h"
#include "proto/values.h"
#include "storage/backup_io.h"
#include "storage/force.h"
#include "storage/op_io.h"
#include "storage/state.h"
#include "storage/state_io.h"

#define WATCH_MS 10000
#define LOOK_S 1
#define BEAT_BYTES 48 /* of a key beat/N and of what is in it */

/* What each agent last wrote beside the state, by node slot; empty: nothing. */
struct beats {
    char of[NODES_MAX][BEAT_BYTES];
};

int force_io_fail(const char *what, int r)
{
    fprintf(stderr, "stead: %s: %s; nothing was changed\n", what, strerror(-r));
    return 1;
}

static int refuse(const char *why)
{
    fprintf(stderr, "stead: %s; nothing was changed\n", why);
    return 1;
}

static void take_beats(rados_omap_iter_t values, const struct cluster *image,
                       struct beats *ret_beats)
{
    struct op_value value;
    uint32_t nodeid;
    while (op_next_value(values, &value)) {
        uint8_t slot = sscanf(value.key, "beat/%" SCNu32, &nodeid) == 1
                           ? state_find_node(image, nodeid)
                           : NODE_NONE;
        if (slot != NODE_NONE && value.size < BEAT_BYTES) {
            memcpy(ret_beats->of[slot], value.bytes, value.size);
        }
    }
}

static int read_beats(rados_ioctx_t pool, const struct cluster *image, struct beats *ret_beats)
{
    char names[NODES_MAX][BEAT_BYTES];
    const char *keys[NODES_MAX];
    size_t sizes[NODES_MAX];
    rados_omap_iter_t values = NULL;
    size_t count = 0;
    int result = 0;
    memset(ret_beats, 0, sizeof(*ret_beats));
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        if (image->nodes[slot].state != NODE_FREE) {
            snprintf(names[count], BEAT_BYTES, "beat/%" PRIu32, image->nodes[slot].nodeid);
            keys[count] = names[count];
            sizes[count] = strlen(names[count]);
            count++;
        }
    }
    rados_read_op_t read = rados_create_read_op();
    rados_read_op_omap_get_vals_by_keys2(read, keys, count, sizes, &values, &result);
    int r = rados_read_op_operate(read, pool, STORAGE_OBJECT, 0);
    if (r == 0) {
        take_beats(values, image, ret_beats);
        rados_omap_get_end(values);
    }
    rados_release_read_op(read);
    return r;
}

/* Those who wrote since `before`. */
static uint64_t moved(const struct beats *before, const struct beats *now)
{
    uint64_t mask = 0;
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        mask |= strcmp(before->of[slot], now->of[slot]) != 0 ? UINT64_C(1) << slot : 0;
    }
    return mask;
}

static int parse_here(const struct cluster *image, const char *here, uint64_t *ret_mask)
{
    const char *next = here;
    uint64_t mask = 0;
    while (*next != '\0') {
        char *end = NULL;
        unsigned long nodeid = strtoul(next, &end, 10);
        if (end == next || (*end != ',' && *end != '\0') || nodeid == 0 || nodeid > UINT32_MAX) {
            return -EINVAL;
        }
        uint8_t slot = state_find_node(image, (uint32_t)nodeid);
        mask |= slot != NODE_NONE ? UINT64_C(1) << slot : 0;
        next = *end == ',' ? end + 1 : end;
    }
    *ret_mask = mask;
    return 0;
}

static uint64_t watch_ms(const struct cluster *image)
{
    const struct settings settings = settings_in_force(image->set);
    uint64_t ms = 3 * (uint64_t)settings.poll_ms + settings.call_ms;
    return ms > WATCH_MS ? ms : WATCH_MS;
}

/* Waits until it is sure that nobody else is at work; 0, or 1 after it said who is. */
static int watch(rados_ioctx_t pool, const struct cluster *image, struct force *force)
{
    struct beats before, now;
    struct text text;
    const uint64_t end_ms = clock_io_boot_ms() + watch_ms(image);
    int r = read_beats(pool, image, &before);
    printf("watching for %" PRIu64 " s whether any of the others still writes to the state\n",
           watch_ms(image) / 1000);
    fflush(stdout);
    while (r == 0 && clock_io_boot_ms() < end_ms) {
        sleep(LOOK_S);
        r = read_beats(pool, image, &now);
        force->alive |= r == 0 ? moved(&before, &now) : 0;
        if (r == 0 && !force_allowed(image, force, &text)) {
            return refuse(text.bytes);
        }
    }
    return r < 0 ? force_io_fail("reading the state", r) : 0;
}

static int replace(rados_ioctx_t pool, struct cluster *image, const struct force *force)
{
    const struct header before = image->header;
    const uint64_t absent = force_absent(image, force->here);
    force_image(image, force);
    int r = backup_put_state(pool, image, true, &before);
    if (r == -ECANCELED) {
        return refuse("the state moved meanwhile: somebody is at work; see stead status");
    }
    if (r < 0) {
        return force_io_fail("writing the state", r);
    }
    printf("done: epoch %" PRIu32 " goes on without", image->header.epoch);
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        if ((absent & (UINT64_C(1) << slot)) != 0) {
            printf(" %s", image->nodes[slot].name);
        }
    }
    puts("; what they held is barred and started here: stead status --watch\n"
         "next: take those that never come back out: stead node remove NAME, then corosync.conf");
    return 0;
}

int force_io_run(rados_ioctx_t pool, const char *here, const char *by)
{
    struct force force = {.start = host_io_random() | 1};
    struct backup backup = {.count = 0};
    struct cluster *image = NULL;
    struct text text;
    int r = backup_read_state(pool, &backup);
    if (r == 0) {
        r = backup_state(&backup, &image);
    }
    backup_free(&backup);
    if (r == -EBADMSG) {
        return refuse("the state in the pool is damaged: stead cluster restore");
    }
    if (r == 0) {
        r = parse_here(image, here, &force.here);
    }
    if (r < 0) {
        return force_io_fail("reading the state", r);
    }
    force.wall_ms = host_io_wall_ms();
    name_set(force.by, sizeof(force.by), by);
    int status = force_allowed(image, &force, &text) ? 0 : refuse(text.bytes);
    if (status == 0) {
        status = watch(pool, image, &force);
    }
    if (status == 0) {
        status = replace(pool, image, &force);
    }
    free(image);
    return status;
}
