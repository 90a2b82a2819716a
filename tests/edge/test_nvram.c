/* Firmware variables between files and the lease object, against a real Ceph. */
#include "storage/lease_io.h"
#include "storage/nvram_io.h"
#include "storage_guest.h"

#define VM 70
#define AT_ONCE 8

static char file[NVRAM_BYTES_MAX];

struct told {
    struct world *world;
    uint32_t count, done;
};

static void on_restored(void *context, enum outcome outcome)
{
    struct told *told = context;
    told->count--;
    told->done += outcome == OUTCOME_DONE;
    if (told->count == 0) {
        qb_loop_stop(told->world->loop);
    }
}

static void on_saved(void *context, enum outcome outcome, const struct nvram_stamp *stamp)
{
    (void)stamp;
    on_restored(context, outcome);
}

static void wait_for(struct told *told)
{
    while (told->count > 0) {
        run_guarded(told->world);
    }
}

/* A lease, and node 1's file copied into it; the place is on another node, without a file. */
static struct nvram_place saved_by_one(struct world *world, const char *dir, size_t size)
{
    const struct uuid vm = uuid_from(VM);
    struct nvram_place place = {.vm = vm, .generation = 1};
    struct told told = {.world = world, .count = 1};
    const struct lease lease = {.vm = vm, .generation = 1, .state = LEASE_FREE};
    char object[LEASE_OBJECT_BYTES];
    rados_write_op_t write = rados_create_write_op();
    lease_object(&vm, object);
    assert_int_equal(lease_set(write, &lease), 0);
    assert_int_equal(rados_write_op_operate(write, world->pool, object, NULL, 0), 0);
    rados_release_write_op(write);
    snprintf(place.path, sizeof(place.path), "%s/here", dir);
    FILE *made = fopen(place.path, "w");
    assert_non_null(made);
    memset(file, 'v', size);
    assert_int_equal(fwrite(file, 1, size, made), size);
    fclose(made);
    storage_io_save_nvram(world->seats[0].io, &place, boot_ms() + ANSWER_MS, on_saved, &told);
    wait_for(&told);
    assert_int_equal(told.done, 1);
    snprintf(place.path, sizeof(place.path), "%s/there/vars", dir);
    return place;
}

static uint32_t restore(struct world *world, const struct nvram_place *place, uint32_t count,
                        uint64_t deadline_ms)
{
    struct told told = {.world = world, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        storage_io_restore_nvram(world->seats[1].io, place, deadline_ms, on_restored, &told);
    }
    wait_for(&told);
    return told.done;
}

static bool is_whole(const char *path, size_t size)
{
    FILE *made = fopen(path, "r");
    const size_t got = made == NULL ? 0 : fread(file, 1, sizeof(file), made);
    if (made != NULL) {
        fclose(made);
    }
    return got == size && file[0] == 'v' && memcmp(file, file + 1, size - 1) == 0;
}

static void make_dir(char dir[64])
{
    strcpy(dir, "/tmp/stead-test-nvram.XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static void remove_dir(const char *dir)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

/* QEMU, which is not root, must get through a folder that was not there. */
static void the_copy_comes_to_another_node(void **state)
{
    struct world *world = *state;
    struct stat status;
    char dir[64], folder[80];
    make_dir(dir);
    const struct nvram_place place = saved_by_one(world, dir, 528 * 1024);
    assert_int_equal(restore(world, &place, 1, boot_ms() + ANSWER_MS), 1);
    assert_true(is_whole(place.path, 528 * 1024));
    assert_int_equal(stat(place.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    snprintf(folder, sizeof(folder), "%s/there", dir);
    assert_int_equal(stat(folder, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0711);
    remove_dir(dir);
}

/* Nobody waits for it any more; the file may be a running guest's by then. */
static void too_late_nothing_is_written(void **state)
{
    struct world *world = *state;
    char dir[64];
    make_dir(dir);
    const struct nvram_place place = saved_by_one(world, dir, 4096);
    assert_int_equal(restore(world, &place, 1, boot_ms() - 1), 0);
    world_run(world, 500);
    assert_int_equal(access(place.path, F_OK), -1);
    remove_dir(dir);
}

/* One that hung, and the next try. */
static void several_at_once_leave_one_file(void **state)
{
    struct world *world = *state;
    char dir[64], command[128];
    make_dir(dir);
    const struct nvram_place place = saved_by_one(world, dir, NVRAM_BYTES_MAX);
    assert_int_equal(restore(world, &place, AT_ONCE, boot_ms() + ANSWER_MS), AT_ONCE);
    assert_true(is_whole(place.path, NVRAM_BYTES_MAX));
    snprintf(command, sizeof(command), "[ \"$(ls -A %s/there)\" = vars ]", dir);
    assert_int_equal(system(command), 0);
    remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_copy_comes_to_another_node, world_empty),
        cmocka_unit_test_setup(too_late_nothing_is_written, world_empty),
        cmocka_unit_test_setup(several_at_once_leave_one_file, world_empty),
    };
    leave(cmocka_run_group_tests_name("storage: firmware variables", tests, world_make, world_end));
}
