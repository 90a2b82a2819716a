/* `cluster force` against a real pool: who still writes is seen, and a commit in between wins. */
#include <pthread.h>

#include "agent/force_io.h"
#include "proto/values.h"
#include "storage/backup_io.h"
#include "storage/op_io.h"
#include "storage/state.h"
#include "storage_world.h"

/* What somebody does to the pool while it is watched. */
struct other {
    struct world *world;
    pthread_t thread;
    void (*act)(struct world *world);
};

static void add_node(struct world *world, uint32_t slot)
{
    struct record *record = &world->delta.records[world->delta.count++];
    record->kind = RECORD_NODE;
    record->slot = slot;
    record->node = (struct node_record){.nodeid = slot + 1, .state = NODE_ADMITTED};
    record->node.incarnation = (struct incarnation){1, slot + 1};
    snprintf(record->node.name, NAME_BYTES, "n%u", slot + 1);
}

/* Three nodes, all admitted. */
static void make_cluster(struct world *world)
{
    struct cluster *empty = calloc(1, sizeof(*empty));
    assert_non_null(empty);
    make_delta(world, 1, 0);
    for (uint32_t slot = 0; slot < 3; slot++) {
        add_node(world, slot);
    }
    world->delta.header.commit = (struct origin){.nodeid = 1, .agent_start = 11, .counter = 1};
    world->delta.header.digest = state_digest_after(empty, &world->delta);
    free(empty);
    assert_int_equal(commit(&world->seats[0], true)->commit.outcome, OUTCOME_DONE);
}

static void set_key(struct world *world, const char *key, const char *value)
{
    const char *const keys[] = {key}, *const values[] = {value};
    const size_t key_size = strlen(key), value_size = strlen(value);
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_omap_set2(write, keys, values, &key_size, &value_size, 1);
    assert_int_equal(rados_write_op_operate(write, world->pool, STORAGE_OBJECT, NULL, 0), 0);
    rados_release_write_op(write);
}

static struct cluster *read_state(const struct world *world)
{
    struct backup backup;
    struct cluster *image = NULL;
    assert_int_equal(backup_read_state(world->pool, &backup), 0);
    assert_int_equal(backup_state(&backup, &image), 0);
    backup_free(&backup);
    return image;
}

static void *run(void *context)
{
    struct other *other = context;
    struct timespec pause = {.tv_sec = 2};
    nanosleep(&pause, NULL);
    other->act(other->world);
    return NULL;
}

static int force_beside(struct world *world, const char *here, void (*act)(struct world *world))
{
    struct other other = {.world = world, .act = act};
    assert_int_equal(pthread_create(&other.thread, NULL, run, &other), 0);
    int status = force_io_run(world->pool, here, "ada");
    pthread_join(other.thread, NULL);
    return status;
}

static void beat_of_three(struct world *world)
{
    set_key(world, "beat/3", "2000/2");
}

static void beat_of_one(struct world *world)
{
    set_key(world, "beat/1", "2000/2");
}

/* Another's commit: a version later, nothing else changed. */
static void commit_between(struct world *world)
{
    make_delta(world, 1, 1);
    struct cluster *image = read_state(world);
    world->delta.header.digest = image->header.digest;
    world->delta.header.commit = (struct origin){.nodeid = 2, .agent_start = 12, .counter = 1};
    free(image);
    assert_int_equal(commit(&world->seats[0], false)->commit.outcome, OUTCOME_DONE);
}

static void who_still_writes_is_not_lost(void **state)
{
    struct world *world = *state;
    make_cluster(world);
    set_key(world, "beat/3", "1000/1");
    assert_int_equal(force_beside(world, "1", beat_of_three), 1);
    struct cluster *image = read_state(world);
    assert_int_equal(image->header.version, 1);
    assert_int_equal(image->nodes[2].state, NODE_ADMITTED);
    free(image);
}

static void the_others_are_lost(void **state)
{
    struct world *world = *state;
    make_cluster(world);
    set_key(world, "beat/3", "1000/1"); /* from when it lived */
    assert_int_equal(force_beside(world, "1", beat_of_one), 0);
    struct cluster *image = read_state(world);
    assert_int_equal(image->header.epoch, 2);
    assert_int_equal(image->header.version, 2);
    assert_int_equal(image->nodes[0].state, NODE_ADMITTED);
    assert_int_equal(image->nodes[1].state, NODE_LOST);
    assert_int_equal(image->nodes[2].state, NODE_LOST);
    free(image);
}

static void a_commit_in_between_wins(void **state)
{
    struct world *world = *state;
    make_cluster(world);
    assert_int_equal(force_beside(world, "1", commit_between), 1);
    struct cluster *image = read_state(world);
    assert_int_equal(image->header.epoch, 1);
    assert_int_equal(image->header.version, 2);
    assert_int_equal(image->nodes[1].state, NODE_ADMITTED);
    free(image);
}

static void what_is_no_list_of_nodes_is_refused(void **state)
{
    struct world *world = *state;
    make_cluster(world);
    assert_int_equal(force_io_run(world->pool, "1,x", "ada"), 1);
    assert_int_equal(force_io_run(world->pool, "1,2", "ada"), 1); /* no majority is lost */
    assert_int_equal(force_io_run(world->pool, "7", "ada"), 1);   /* nobody of ours is here */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(who_still_writes_is_not_lost, world_empty),
        cmocka_unit_test_setup(the_others_are_lost, world_empty),
        cmocka_unit_test_setup(a_commit_in_between_wins, world_empty),
        cmocka_unit_test_setup(what_is_no_list_of_nodes_is_refused, world_empty),
    };
    leave(cmocka_run_group_tests(tests, world_make, world_end));
}
