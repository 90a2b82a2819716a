/* Backup files of a real pool: what goes in comes out, and nothing damaged is taken for whole. */
#include <sys/stat.h>

#include "proto/values.h"
#include "storage/backup_io.h"
#include "storage/lease_io.h"
#include "storage/op_io.h"
#include "storage/restore.h"
#include "storage/state.h"
#include "storage/state_io.h"
#include "storage_world.h"

#define LEASE "lease/5ead0000-0000-0000-e803-000000000000"
#define NVRAM_BYTES (528 * 1024) /* OVMF's variables */
#define PATH_BYTES 256

static void file_path(const struct world *world, char ret_path[PATH_BYTES])
{
    snprintf(ret_path, PATH_BYTES, "%s/state.backup", world->dir);
}

/* A cluster of one VM, its digest right, and beside it a lease with firmware variables. */
static void make_cluster(struct world *world)
{
    struct cluster *empty = calloc(1, sizeof(*empty));
    assert_non_null(empty);
    make_delta(world, 1, 0);
    (void)add_vm(world, 0);
    world->delta.header.commit = (struct origin){.nodeid = 1, .agent_start = 11, .counter = 1};
    world->delta.header.digest = state_digest_after(empty, &world->delta);
    free(empty);
    assert_int_equal(commit(&world->seats[0], true)->commit.outcome, OUTCOME_DONE);
    char *nvram = malloc(NVRAM_BYTES);
    assert_non_null(nvram);
    memset(nvram, 'n', NVRAM_BYTES);
    assert_int_equal(rados_write_full(world->pool, LEASE, nvram, NVRAM_BYTES), 0);
    free(nvram);
    rados_write_op_t write = rados_create_write_op();
    const char *const keys[] = {"generation"};
    const char *const values[] = {"7"};
    const size_t key_size = strlen(keys[0]);
    const size_t value_size = 1;
    rados_write_op_omap_set2(write, keys, values, &key_size, &value_size, 1);
    assert_int_equal(rados_write_op_operate(write, world->pool, LEASE, NULL, 0), 0);
    rados_release_write_op(write);
}

static struct backup backup_now(const struct world *world)
{
    struct backup backup;
    assert_int_equal(backup_read_state(world->pool, &backup), 0);
    assert_int_equal(backup_read_rest(world->pool, &backup), 0);
    return backup;
}

static void what_goes_in_comes_out(void **state)
{
    struct world *world = *state;
    char path[PATH_BYTES];
    struct stat file;
    struct cluster *image = NULL;
    char *nvram = calloc(1, NVRAM_BYTES + 1);
    make_cluster(world);
    file_path(world, path);
    struct backup backup = backup_now(world);
    assert_int_equal(backup_write_file(&backup, path), 0);
    backup_free(&backup);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    assert_int_equal(backup_read_file(path, &backup), 0);
    assert_int_equal(backup_state(&backup, &image), 0);
    assert_string_equal(image->vms[0].name, "vm0");
    assert_int_equal(backup_put_object(world->pool, &backup, LEASE), -EEXIST);
    assert_int_equal(rados_remove(world->pool, LEASE), 0);
    assert_int_equal(backup_put_object(world->pool, &backup, LEASE), 0);
    assert_int_equal(rados_read(world->pool, LEASE, nvram, NVRAM_BYTES + 1, 0), NVRAM_BYTES);
    assert_int_equal(nvram[NVRAM_BYTES - 1], 'n');
    assert_int_equal(backup_put_object(world->pool, &backup, "lease/none"), -ENOENT);
    free(nvram);
    free(image);
    backup_free(&backup);
}

/* One flipped bit, one missing byte, one too few entries: no backup. */
static void a_damaged_file_is_no_backup(void **state)
{
    struct world *world = *state;
    char path[PATH_BYTES];
    struct stat file;
    make_cluster(world);
    file_path(world, path);
    struct backup backup = backup_now(world);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(backup_write_file(&backup, path), 0);
        assert_int_equal(stat(path, &file), 0);
        off_t at = i < 30 ? (off_t)i * 8 : file.st_size - 1 - (off_t)(i - 30);
        FILE *bytes = fopen(path, "r+e");
        assert_non_null(bytes);
        fseeko(bytes, at, SEEK_SET);
        int byte = fgetc(bytes);
        fseeko(bytes, at, SEEK_SET);
        fputc(byte ^ 1, bytes);
        assert_int_equal(fclose(bytes), 0);
        struct backup read = {.count = 0};
        assert_int_equal(backup_read_file(path, &read), -EBADMSG);
    }
    assert_int_equal(backup_write_file(&backup, path), 0);
    assert_int_equal(truncate(path, file.st_size - 9), 0);
    struct backup read = {.count = 0};
    assert_int_equal(backup_read_file(path, &read), -EBADMSG);
    backup_free(&backup);
}

/* A record that does not match the digest is not backed up as if it did. */
static void a_damaged_state_is_not_backed_up(void **state)
{
    struct world *world = *state;
    struct backup backup;
    const char *const keys[] = {"vm/00000"};
    const char *const values[] = {"rubbish"};
    const size_t key_size = strlen(keys[0]);
    const size_t value_size = strlen(values[0]);
    make_cluster(world);
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_omap_set2(write, keys, values, &key_size, &value_size, 1);
    assert_int_equal(rados_write_op_operate(write, world->pool, STORAGE_OBJECT, NULL, 0), 0);
    rados_release_write_op(write);
    assert_int_equal(backup_read_state(world->pool, &backup), -EBADMSG);
    assert_int_equal(rados_remove(world->pool, STORAGE_OBJECT), 0);
    assert_int_equal(backup_read_state(world->pool, &backup), -ENOENT);
}

/* The state is replaced only while it is what was looked at; a commit in between wins. */
static void a_restore_never_overtakes_a_commit(void **state)
{
    struct world *world = *state;
    struct header present;
    struct header after;
    bool exists = false;
    struct cluster *image = NULL;
    const struct restore order = {.epoch = 1, .version = 1, .term = 1, .start = 9, .by = "ada"};
    make_cluster(world);
    struct backup backup = backup_now(world);
    assert_int_equal(backup_state(&backup, &image), 0);
    restore_image(image, &order);
    assert_int_equal(backup_present_header(world->pool, &exists, &present), 0);
    assert_true(exists);
    make_delta(world, 1, 1);
    world->delta.header.commit = (struct origin){.nodeid = 1, .agent_start = 11, .counter = 2};
    assert_int_equal(commit(&world->seats[0], false)->commit.outcome, OUTCOME_DONE);
    assert_int_equal(backup_put_state(world->pool, image, true, &present), -ECANCELED);
    assert_int_equal(backup_put_state(world->pool, image, false, &present), -EEXIST);
    assert_int_equal(backup_present_header(world->pool, &exists, &present), 0);
    assert_int_equal(present.version, 2);
    assert_int_equal(backup_put_state(world->pool, image, true, &present), 0);
    assert_int_equal(backup_present_header(world->pool, &exists, &after), 0);
    assert_int_equal(after.epoch, 2);
    assert_int_equal(after.commit.agent_start, 9);
    make_delta(world, 1, 2); /* an actor of the old epoch comes too late */
    world->delta.header.commit = (struct origin){.nodeid = 1, .agent_start = 11, .counter = 3};
    assert_int_equal(commit(&world->seats[0], false)->commit.outcome, OUTCOME_REFUSED);
    free(image);
    backup_free(&backup);
}

/* A removal begun in the epoch before may arrive after the restore: it finds another generation. */
static void a_lease_is_raised_by_a_restore(void **state)
{
    struct world *world = *state;
    struct cluster *image = NULL;
    const struct lease lease = {.cluster_id = uuid_from(1), .vm = uuid_from(1000), .generation = 1};
    const struct restore order = {.epoch = 1, .version = 1, .term = 1, .start = 9, .by = "ada"};
    make_cluster(world);
    struct backup backup = backup_now(world);
    assert_int_equal(backup_state(&backup, &image), 0);
    restore_image(image, &order);
    assert_int_equal(backup_follow_lease(world->pool, image, 0, true),
                     -EBADMSG); /* rubbish, as made */
    assert_int_equal(rados_remove(world->pool, LEASE), 0);
    assert_int_equal(backup_follow_lease(world->pool, image, 0, true), -ENOENT);
    rados_write_op_t write = rados_create_write_op();
    assert_int_equal(lease_set(write, &lease), 0);
    assert_int_equal(rados_write_op_operate(write, world->pool, LEASE, NULL, 0), 0);
    rados_release_write_op(write);
    struct action removal = {.kind = ACTION_LEASE_REMOVE, .lease.lease = lease};
    assert_int_equal(backup_follow_lease(world->pool, image, 0, false), 0);
    assert_int_equal(image->vms[0].generation, 1);
    assert_int_equal(backup_follow_lease(world->pool, image, 0, true), 0);
    assert_int_equal(image->vms[0].generation, (UINT64_C(2) << 32) + 1);
    assert_int_equal(ask(&world->seats[0], &removal)->lease.outcome, OUTCOME_REFUSED);
    struct action read = {.kind = ACTION_LEASE_READ};
    read.lease.lease.vm = uuid_from(1000);
    const struct event *answer = ask(&world->seats[0], &read);
    assert_int_equal(answer->lease.outcome, OUTCOME_DONE);
    assert_int_equal(answer->lease.lease.generation, (UINT64_C(2) << 32) + 1);
    struct action take = {.kind = ACTION_LEASE_CHANGE};
    take.lease.lease = answer->lease.lease;
    take.lease.lease.state = LEASE_HELD;
    take.lease.lease.generation++;
    assert_int_equal(ask(&world->seats[0], &take)->lease.outcome, OUTCOME_DONE);
    assert_int_equal(backup_follow_lease(world->pool, image, 0, true), 0);
    assert_int_equal(image->vms[0].generation, (UINT64_C(2) << 32) + 1); /* held: not to be known */
    free(image);
    backup_free(&backup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_goes_in_comes_out, world_empty),
        cmocka_unit_test_setup(a_damaged_file_is_no_backup, world_empty),
        cmocka_unit_test_setup(a_damaged_state_is_not_backed_up, world_empty),
        cmocka_unit_test_setup(a_restore_never_overtakes_a_commit, world_empty),
        cmocka_unit_test_setup(a_lease_is_raised_by_a_restore, world_empty),
    };
    leave(cmocka_run_group_tests(tests, world_make, world_end));
}
