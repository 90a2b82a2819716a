/* Blocklist, locks, watchers and new handles against a real Ceph. */
#include "storage_guest.h"

#define ONE_YEAR_S (365 * 24 * 3600)

/* This host's wall clock, as far off as a test says: nothing in storage may go by it. */
static time_t clock_off_s;

time_t time(time_t *ret_now)
{
    const time_t now = (time_t)(clock_us(CLOCK_REALTIME) / 1000000) + clock_off_s;
    if (ret_now != NULL) {
        *ret_now = now;
    }
    return now;
}

static struct client stranger(void)
{
    struct client client = {{0}};
    snprintf(client.address, sizeof(client.address), "10.99.0.7:0/%u", fresh_nonce());
    return client;
}

static struct action block(enum action_kind kind, const struct client *a, const struct client *b)
{
    struct action action = {.kind = kind};
    action.block.entries[action.block.count++] = *a;
    if (b != NULL) {
        action.block.entries[action.block.count++] = *b;
    }
    return action;
}

static uint32_t count_blocked(struct world *world, const struct client *a, const struct client *b)
{
    struct action action = block(ACTION_BLOCK_CHECK, a, b);
    const struct event *event = ask(&world->seats[1], &action);
    assert_int_equal(event->block.outcome, OUTCOME_DONE);
    return event->block.blocked_count;
}

/* How long an entry still has, as the monitors tell it. */
static double left_s(struct world *world, const struct client *client)
{
    const char *command = "{\"prefix\":\"osd blocklist ls\"}";
    char *out = NULL, *said = NULL;
    size_t size = 0, said_size = 0;
    struct tm until = {0};
    assert_int_equal(
        rados_mon_command(world->by_hand, &command, 1, "", 0, &out, &size, &said, &said_size), 0);
    char *text = strndup(out, size);
    const char *line = strstr(text, client->address);
    int fields = line == NULL ? 0
                              : sscanf(line + strlen(client->address), " %d-%d-%dT%d:%d:%d",
                                       &until.tm_year, &until.tm_mon, &until.tm_mday,
                                       &until.tm_hour, &until.tm_min, &until.tm_sec);
    free(text);
    rados_buffer_free(out);
    rados_buffer_free(said);
    until.tm_year -= 1900;
    until.tm_mon -= 1;
    return fields == 6 ? difftime(timegm(&until), (time_t)(clock_us(CLOCK_REALTIME) / 1000000)) : 0;
}

static void test_an_entry_stands_for_years(void **state)
{
    struct world *world = *state;
    const struct client a = stranger(), b = stranger();
    assert_int_equal(count_blocked(world, &a, &b), 0);
    struct action action = block(ACTION_BLOCK_ADD, &a, &b);
    const struct event *event = ask(&world->seats[0], &action);
    assert_int_equal(event->block.outcome, OUTCOME_DONE);
    const uint64_t epoch = event->block.osd_epoch;
    assert_true(epoch > 0);
    assert_int_equal(count_blocked(world, &a, &b), 2);
    assert_true(left_s(world, &a) > 9.0 * ONE_YEAR_S);
    event = ask(&world->seats[1], &action); /* there already: nothing changes */
    assert_int_equal(event->block.outcome, OUTCOME_DONE);
    assert_int_equal(event->block.osd_epoch, epoch);
    action = block(ACTION_BLOCK_REMOVE, &a, NULL);
    event = ask(&world->seats[0], &action);
    assert_int_equal(event->block.outcome, OUTCOME_DONE);
    assert_true(event->block.osd_epoch > epoch);
    assert_int_equal(count_blocked(world, &a, &b), 1);
    assert_int_equal(ask(&world->seats[0], &action)->block.outcome, OUTCOME_DONE); /* not there */
}

/* librbd's own break leaves an entry of an hour, which no second add prolongs. */
static void test_a_short_entry_is_replaced(void **state)
{
    struct world *world = *state;
    struct client client = stranger();
    assert_int_equal(rados_blocklist_add(world->by_hand, client.address, 3600), 0);
    assert_true(left_s(world, &client) < 3700);
    struct action action = block(ACTION_BLOCK_ADD, &client, NULL);
    assert_int_equal(ask(&world->seats[0], &action)->block.outcome, OUTCOME_DONE);
    assert_true(left_s(world, &client) > 9.0 * ONE_YEAR_S);
}

/* A dead battery, and no NTP yet: an hour's entry is none for years, and ten years are. */
static void test_the_hosts_clock_is_not_asked(void **state)
{
    const time_t years[] = {-3, 12};
    for (size_t i = 0; i < NUMBERED(years); i++) {
        clock_off_s = years[i] * ONE_YEAR_S;
        test_a_short_entry_is_replaced(state);
        test_an_entry_stands_for_years(state);
        clock_off_s = 0;
    }
}

static void test_too_late_to_block(void **state)
{
    struct world *world = *state;
    const struct client client = stranger();
    struct action action = block(ACTION_BLOCK_ADD, &client, NULL);
    action.valid_until_ms = boot_ms() - 1;
    assert_int_equal(ask(&world->seats[0], &action)->block.outcome, OUTCOME_STALE);
    assert_int_equal(count_blocked(world, &client, NULL), 0);
}

static void test_an_entry_that_is_none_fails(void **state)
{
    struct world *world = *state;
    const struct client nonsense = {"nonsense"}, quoted = {"1.2.3.4:0/1\",\"x"};
    struct action action = block(ACTION_BLOCK_ADD, &nonsense, NULL);
    assert_int_equal(ask(&world->seats[0], &action)->block.outcome, OUTCOME_FAILED);
    action = block(ACTION_BLOCK_ADD, &quoted, NULL);
    assert_int_equal(ask(&world->seats[0], &action)->block.outcome, OUTCOME_FAILED);
}

/* As when a host with many VMs is lost. */
static void test_many_requests_share_the_rounds(void **state)
{
    struct world *world = *state;
    static uint64_t ids[100], times_us[100];
    const struct client shared = stranger();
    watch_steps(world);
    const uint64_t begun_us = mono_us();
    for (uint32_t i = 0; i < NUMBERED(ids); i++) {
        const struct client own = stranger();
        struct action action = block(ACTION_BLOCK_ADD, &own, &shared);
        ids[i] = begin(&world->seats[0], &action);
    }
    world_wait(world);
    for (uint32_t i = 0; i < NUMBERED(ids); i++) {
        assert_int_equal(answer_to(world, ids[i])->block.outcome, OUTCOME_DONE);
        times_us[i] = world->answers[ids[i] % ANSWERS_MAX].at_us - begun_us;
    }
    print_times("100 blocklist requests at once", times_us, NUMBERED(times_us));
    print_message("longest step of the loop %.1f ms\n", (double)world->longest_us / 1e3);
}

/* ---- our own handle */

static void test_a_blocklisted_handle_is_told_and_replaced(void **state)
{
    struct world *world = *state;
    struct seat *seat = &world->seats[0];
    const struct client old = seat->client;
    create_state(world);
    struct action action = block(ACTION_BLOCK_ADD, &old, NULL);
    assert_int_equal(ask(&world->seats[1], &action)->block.outcome, OUTCOME_DONE);
    assert_int_equal(poll_outcome(&world->seats[1], false), OUTCOME_DONE); /* the osd knows now */
    assert_int_equal(poll_outcome(seat, false), OUTCOME_BLOCKLISTED);
    assert_int_equal(poll_outcome(seat, true), OUTCOME_BLOCKLISTED);
    make_delta(world, 1, 1);
    assert_int_equal(commit(seat, false)->commit.outcome, OUTCOME_BLOCKLISTED);
    assert_int_equal(ask_kind(seat, ACTION_STATE_READ)->state.outcome, OUTCOME_BLOCKLISTED);
    action = (struct action){.kind = ACTION_LEASE_READ};
    assert_int_equal(ask(seat, &action)->lease.outcome, OUTCOME_BLOCKLISTED);
    open_handle(seat);
    assert_false(client_equal(&seat->client, &old));
    assert_int_equal(poll_outcome(seat, true), OUTCOME_DONE);
    assert_int_equal(count_blocked(world, &old, &seat->client), 1);
}

/* Every client of this machine: a new handle does not help, but it reaches the monitors. */
static void test_an_address_entry_hits_new_handles_too(void **state)
{
    struct world *world = *state;
    struct seat *seat = &world->seats[0];
    create_state(world);
    const struct client address = client_address_entry(&seat->client);
    assert_string_equal(address.address, "127.0.0.1:0/0");
    struct action action = block(ACTION_BLOCK_ADD, &address, NULL);
    assert_int_equal(ask(&world->seats[1], &action)->block.outcome, OUTCOME_DONE);
    assert_int_equal(poll_outcome(&world->seats[1], false), OUTCOME_BLOCKLISTED);
    assert_int_equal(poll_outcome(seat, false), OUTCOME_BLOCKLISTED);
    const struct event *event = ask_kind(seat, ACTION_HANDLE_OPEN);
    assert_int_equal(event->handle.outcome, OUTCOME_BLOCKLISTED);
    assert_false(client_is_none(&event->handle.client));
    action = block(ACTION_BLOCK_REMOVE, &address, NULL);
    assert_int_equal(ask(seat, &action)->block.outcome, OUTCOME_DONE);
    open_handle(seat);
    open_handle(&world->seats[1]);
    assert_int_equal(poll_outcome(seat, true), OUTCOME_DONE);
}

/* Whatever happened: the tests after this one need the storage. */
static int let_us_in(void **state)
{
    const char *command = "{\"prefix\":\"osd blocklist\",\"blocklistop\":\"rm\","
                          "\"addr\":\"127.0.0.1:0/0\"}";
    struct world *world = *state;
    return rados_mon_command(world->by_hand, &command, 1, "", 0, NULL, NULL, NULL, NULL);
}

static void test_without_a_handle_all_fails(void **state)
{
    struct world *world = *state;
    const struct storage_options options = {.conf = world->conf,
                                            .user = "stead",
                                            .pool = "no-such-pool",
                                            .nodeid = 9,
                                            .call_ms = CALL_MS};
    struct seat seat = {.world = world};
    const struct sink sink = {.put = world_put, .context = &seat};
    assert_int_equal(storage_io_open(world->loop, &options, &sink, &seat.io), 0);
    assert_int_equal(poll_outcome(&seat, true), OUTCOME_FAILED); /* never opened */
    assert_int_equal(ask_kind(&seat, ACTION_HANDLE_OPEN)->handle.outcome, OUTCOME_FAILED);
    const struct client client = stranger();
    struct action action = block(ACTION_BLOCK_ADD, &client, NULL);
    assert_int_equal(ask(&seat, &action)->block.outcome, OUTCOME_FAILED);
    storage_io_close(seat.io);
}

static void test_handles_are_replaced_under_way(void **state)
{
    struct world *world = *state;
    struct seat *seat = &world->seats[0];
    create_state(world);
    for (uint32_t round = 0; round < 10; round++) {
        const struct client one = stranger();
        struct action add = block(ACTION_BLOCK_ADD, &one, NULL),
                      opening = {.kind = ACTION_HANDLE_OPEN};
        struct action poll = {.kind = ACTION_POLL, .poll.write = true};
        begin(seat, &poll);
        const uint64_t added = begin(seat, &add);
        const uint64_t first = begin(seat, &opening);
        const uint64_t second = begin(seat, &opening);
        world_wait(world);
        assert_int_equal(answer_to(world, added)->block.outcome, OUTCOME_DONE);
        assert_int_equal(answer_to(world, first)->handle.outcome, OUTCOME_FAILED); /* superseded */
        assert_int_equal(answer_to(world, second)->handle.outcome, OUTCOME_DONE);
        assert_int_equal(poll_outcome(seat, true), OUTCOME_DONE);
    }
}

static void test_the_conf_is_looked_at(void **state)
{
    struct world *world = *state;
    assert_string_equal(world->seats[0].trouble, "");
    char path[600], command[1400];
    snprintf(path, sizeof(path), "%s/expire.conf", world->dir);
    snprintf(command, sizeof(command),
             "{ cat %s; printf '[client]\\nrbd_blocklist_expire_seconds = 3600\\n'; } > %s",
             world->conf, path);
    assert_int_equal(system(command), 0);
    const struct storage_options options = {
        .conf = path, .user = "stead", .pool = "stead", .nodeid = 9, .call_ms = CALL_MS};
    struct seat seat = {.world = world};
    const struct sink sink = {.put = world_put, .context = &seat};
    assert_int_equal(storage_io_open(world->loop, &options, &sink, &seat.io), 0);
    open_handle(&seat);
    assert_non_null(strstr(seat.trouble, "rbd_blocklist_expire_seconds"));
    storage_io_close(seat.io);
}

/* ---- locks and watchers */

struct guest { /* a QEMU, as far as RBD can tell */
    rados_t cluster;
    rados_ioctx_t pool;
    rbd_image_t image;
    struct client client;
};

static struct guest start_guest(struct world *world, const char *image)
{
    struct guest guest;
    guest.cluster = connect_as(world, "vm");
    assert_int_equal(rados_ioctx_create(guest.cluster, "rbd", &guest.pool), 0);
    assert_int_equal(rbd_open(guest.pool, image, &guest.image, NULL), 0);
    assert_int_equal(rbd_lock_acquire(guest.image, RBD_LOCK_MODE_EXCLUSIVE), 0);
    guest.client = address_of(guest.cluster);
    return guest;
}

/* Who holds the lock; empty: nobody. */
static struct client lock_owner(struct world *world, const char *name)
{
    struct client owner = {{0}};
    char *owners[4];
    size_t count = NUMBERED(owners);
    rbd_lock_mode_t mode;
    rados_ioctx_t images;
    rbd_image_t image;
    assert_int_equal(rados_ioctx_create(world->by_hand, "rbd", &images), 0);
    assert_int_equal(rbd_open(images, name, &image, NULL), 0);
    if (rbd_lock_get_owners(image, &mode, owners, &count) == 0) {
        assert_int_equal(count, 1);
        snprintf(owner.address, sizeof(owner.address), "%.63s", owners[0]);
        rbd_lock_get_owners_cleanup(owners, count);
    }
    rbd_close(image);
    rados_ioctx_destroy(images);
    return owner;
}

static void test_only_a_blocklisted_lock_is_broken(void **state)
{
    struct world *world = *state;
    char names[2][32];
    const char *const images[] = {names[0], names[1], NULL};
    struct guest guests[2];
    for (uint32_t i = 0; i < 2; i++) {
        snprintf(names[i], sizeof(names[i]), "disk-%u", fresh_nonce());
        make_image(world, names[i]);
        guests[i] = start_guest(world, names[i]);
    }
    struct action action = {.kind = ACTION_LOCKS_BREAK, .vm.uuid = uuid_from(20)};
    struct action watchers = {.kind = ACTION_WATCHERS_READ, .vm.uuid = uuid_from(20)};
    assert_int_equal(ask(&world->seats[0], &action)->done.outcome, OUTCOME_MISSING);
    add_definition(world, &action.vm.uuid, 3, images);
    watchers.vm.definition_version = 3;
    const struct event *event = ask(&world->seats[0], &watchers);
    assert_int_equal(event->watchers.outcome, OUTCOME_DONE);
    assert_int_equal(event->watchers.image_count, 2);
    assert_int_equal(event->watchers.clients.count, 2);
    assert_true(clients_hold(&event->watchers.clients, &guests[0].client));
    assert_true(clients_hold(&event->watchers.clients, &guests[1].client));
    assert_int_equal(ask(&world->seats[0], &action)->done.outcome, OUTCOME_DONE);
    for (uint32_t i = 0; i < 2; i++) { /* their owners may still write: left alone */
        const struct client owner = lock_owner(world, names[i]);
        assert_true(client_equal(&owner, &guests[i].client));
    }
    struct action add = block(ACTION_BLOCK_ADD, &guests[0].client, NULL);
    assert_int_equal(ask(&world->seats[0], &add)->block.outcome, OUTCOME_DONE);
    const uint64_t begun_us = mono_us();
    assert_int_equal(ask(&world->seats[0], &action)->done.outcome, OUTCOME_DONE);
    print_message("locks of 2 images looked at, 1 broken: %.1f ms\n",
                  (double)(mono_us() - begun_us) / 1e3);
    const struct client gone = lock_owner(world, names[0]), kept = lock_owner(world, names[1]);
    assert_true(client_is_none(&gone));
    assert_true(client_equal(&kept, &guests[1].client));
    assert_true(left_s(world, &guests[0].client) > 9.0 * ONE_YEAR_S); /* no entry of an hour */
    char byte = 'x';
    assert_int_equal(rbd_write(guests[0].image, 0, 1, &byte), -ESHUTDOWN);
    assert_int_equal(rbd_write(guests[1].image, 0, 1, &byte), 1);
    /* One whose entry runs out is to be barred for good first. */
    char *address = guests[1].client.address;
    assert_int_equal(rados_blocklist_add(world->by_hand, address, 3600), 0);
    event = ask(&world->seats[0], &action);
    assert_int_equal(event->locks.outcome, OUTCOME_DONE);
    assert_true(clients_hold(&event->locks.dead, &guests[1].client));
    const struct client barred = lock_owner(world, names[1]);
    assert_true(client_equal(&barred, &guests[1].client));
    add = block(ACTION_BLOCK_ADD, &guests[1].client, NULL);
    assert_int_equal(ask(&world->seats[0], &add)->block.outcome, OUTCOME_DONE);
    event = ask(&world->seats[0], &action);
    assert_int_equal(event->locks.dead.count, 0);
    const struct client broken = lock_owner(world, names[1]);
    assert_true(client_is_none(&broken));
}

static bool ask_and_hear(struct seat *seat, struct action action, const char *words)
{
    int kept;
    FILE *heard = hear(&kept);
    const enum outcome outcome = ask(seat, &action)->done.outcome;
    const bool said = was_heard(heard, kept, words);
    assert_int_equal(outcome, OUTCOME_DONE);
    return said;
}

/* The remedy works while a guest runs: a write takes the lock once it is told of the feature. */
static void expect_enabled_under_a_guest(struct world *world, const char *name, rbd_image_t image)
{
    rados_t cluster = connect_as(world, "vm");
    rados_ioctx_t pool;
    rbd_image_t opened;
    char byte = 'x';
    int owner = 0;
    assert_int_equal(rados_ioctx_create(cluster, "rbd", &pool), 0);
    assert_int_equal(rbd_open(pool, name, &opened, NULL), 0);
    assert_int_equal(rbd_update_features(image, RBD_FEATURE_EXCLUSIVE_LOCK, 1), 0);
    for (int i = 0; i < 50 && owner == 0; i++) {
        usleep(100000);
        assert_int_equal(rbd_write(opened, 0, 1, &byte), 1);
        assert_int_equal(rbd_is_exclusive_lock_owner(opened, &owner), 0);
    }
    assert_int_equal(owner, 1);
    rbd_close(opened);
    rados_ioctx_destroy(pool);
    rados_shutdown(cluster);
}

/* Its VM is not kept from starting or ending by it; a person is told, once for as long as it is so.
 */
static void test_an_image_without_a_lock_is_told_of_once(void **state)
{
    struct seat *seat = &((struct world *)*state)->seats[0];
    char name[32], remedy[96];
    const char *const images[] = {name, NULL};
    rados_ioctx_t pool;
    rbd_image_t image;
    int order = 22;
    snprintf(name, sizeof(name), "disk-%u", fresh_nonce());
    snprintf(remedy, sizeof(remedy), "rbd feature enable rbd/%s exclusive-lock", name);
    assert_int_equal(rados_ioctx_create(seat->world->by_hand, "rbd", &pool), 0);
    assert_int_equal(rbd_create2(pool, name, 8 << 20, RBD_FEATURE_LAYERING, &order), 0);
    const struct action locks = {.kind = ACTION_LOCKS_BREAK, .vm.uuid = uuid_from(23)};
    const struct action watchers = {.kind = ACTION_WATCHERS_READ, .vm.uuid = uuid_from(23)};
    add_definition(seat->world, &locks.vm.uuid, 3, images);
    assert_true(ask_and_hear(seat, locks, remedy));
    assert_false(ask_and_hear(seat, locks, remedy));
    assert_false(ask_and_hear(seat, watchers, remedy));
    assert_int_equal(rbd_open(pool, name, &image, NULL), 0);
    expect_enabled_under_a_guest(seat->world, name, image);
    assert_false(ask_and_hear(seat, locks, remedy));
    assert_int_equal(rbd_update_features(image, RBD_FEATURE_EXCLUSIVE_LOCK, 0), 0);
    assert_true(ask_and_hear(seat, watchers, remedy)); /* under a guest that is up */
    assert_false(ask_and_hear(seat, locks, remedy));
    rbd_close(image);
    rados_ioctx_destroy(pool);
}

/* What is blocklisted for watching an image may be writing it: an `rbd export` is left alone. */
static void test_who_only_reads_is_no_watcher(void **state)
{
    struct world *world = *state;
    char name[32];
    const char *const images[] = {name, NULL};
    rados_ioctx_t pool;
    rbd_image_t read_only, writable;
    snprintf(name, sizeof(name), "disk-%u", fresh_nonce());
    make_image(world, name);
    struct action action = {.kind = ACTION_WATCHERS_READ, .vm.uuid = uuid_from(22)};
    action.vm.definition_version = 3;
    add_definition(world, &action.vm.uuid, 3, images);
    assert_int_equal(rados_ioctx_create(world->by_hand, "rbd", &pool), 0);
    assert_int_equal(rbd_open_read_only(pool, name, &read_only, NULL), 0);
    assert_int_equal(ask(&world->seats[0], &action)->watchers.clients.count, 0);
    assert_int_equal(rbd_open(pool, name, &writable, NULL), 0);
    action.id = 0;
    assert_int_equal(ask(&world->seats[0], &action)->watchers.clients.count, 1);
    rbd_close(writable);
    rbd_close(read_only);
    rados_ioctx_destroy(pool);
}

static void test_a_missing_image_has_no_locks(void **state)
{
    struct world *world = *state;
    char name[32];
    const char *const images[] = {name, NULL};
    rados_ioctx_t pool;
    snprintf(name, sizeof(name), "disk-%u", fresh_nonce());
    make_image(world, name);
    struct action action = {.kind = ACTION_LOCKS_BREAK, .vm.uuid = uuid_from(21)};
    add_definition(world, &action.vm.uuid, 3, images);
    assert_int_equal(rados_ioctx_create(world->by_hand, "rbd", &pool), 0);
    assert_int_equal(rbd_remove(pool, name), 0);
    rados_ioctx_destroy(pool);
    assert_int_equal(ask(&world->seats[0], &action)->done.outcome, OUTCOME_MISSING);
    action.kind = ACTION_WATCHERS_READ;
    assert_int_equal(ask(&world->seats[0], &action)->watchers.outcome, OUTCOME_MISSING);
    action = (struct action){.kind = ACTION_LOCKS_BREAK, .valid_until_ms = boot_ms() - 1};
    assert_int_equal(ask(&world->seats[0], &action)->done.outcome, OUTCOME_STALE);
}

static void test_times(void **state)
{
    struct world *world = *state;
    uint64_t times_us[15], checks_us[15];
    for (uint32_t i = 0; i < NUMBERED(times_us); i++) {
        const struct client a = stranger(), b = stranger();
        struct action action = block(ACTION_BLOCK_ADD, &a, &b);
        uint64_t begun_us = mono_us();
        assert_int_equal(ask(&world->seats[0], &action)->block.outcome, OUTCOME_DONE);
        times_us[i] = mono_us() - begun_us;
        begun_us = mono_us();
        assert_int_equal(count_blocked(world, &a, &b), 2);
        checks_us[i] = mono_us() - begun_us;
    }
    print_times("blocklist add, read back, map seen", times_us, NUMBERED(times_us));
    print_times("blocklist check", checks_us, NUMBERED(checks_us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_an_entry_stands_for_years, world_empty),
        cmocka_unit_test_setup(test_a_short_entry_is_replaced, world_empty),
        cmocka_unit_test_setup(test_the_hosts_clock_is_not_asked, world_empty),
        cmocka_unit_test_setup(test_too_late_to_block, world_empty),
        cmocka_unit_test_setup(test_an_entry_that_is_none_fails, world_empty),
        cmocka_unit_test_setup(test_many_requests_share_the_rounds, world_empty),
        cmocka_unit_test_setup(test_a_blocklisted_handle_is_told_and_replaced, world_empty),
        cmocka_unit_test_setup(test_without_a_handle_all_fails, world_empty),
        cmocka_unit_test_setup(test_handles_are_replaced_under_way, world_empty),
        cmocka_unit_test_setup(test_the_conf_is_looked_at, world_empty),
        cmocka_unit_test_setup(test_only_a_blocklisted_lock_is_broken, world_empty),
        cmocka_unit_test_setup(test_an_image_without_a_lock_is_told_of_once, world_empty),
        cmocka_unit_test_setup(test_who_only_reads_is_no_watcher, world_empty),
        cmocka_unit_test_setup(test_a_missing_image_has_no_locks, world_empty),
        cmocka_unit_test_setup(test_times, world_empty),
        cmocka_unit_test_setup_teardown(test_an_address_entry_hits_new_handles_too, world_empty,
                                        let_us_in),
    };
    leave(cmocka_run_group_tests_name("storage: fence", tests, world_make, world_end));
}
