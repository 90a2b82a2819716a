/* Run leases and definitions against a real Ceph. */
#include "storage_world.h"

#define RACES 200
#define AT_ONCE 400

static struct lease free_lease(uint64_t vm)
{
    return (struct lease){.cluster_id = uuid_from(1), .vm = uuid_from(vm), .generation = 1};
}

/* ---- prepare_vm and definitions */

struct told {
    struct world *world;
    bool there;
    enum outcome outcome;
    uint64_t generation;
    char text[TEXT_BYTES];
    struct definition definition;
    char xml[4096];
};

static void on_prepared(void *context, enum outcome outcome, uint64_t generation, const char *text)
{
    struct told *told = context;
    assert_false(told->there);
    told->there = true;
    told->outcome = outcome;
    told->generation = generation;
    snprintf(told->text, sizeof(told->text), "%s", text);
    qb_loop_stop(told->world->loop);
}

static void on_definition(void *context, enum outcome outcome, const struct definition *definition)
{
    struct told *told = context;
    assert_false(told->there);
    told->there = true;
    told->outcome = outcome;
    if (definition != NULL) {
        told->definition = *definition;
        snprintf(told->xml, sizeof(told->xml), "%s", definition->xml);
    }
    qb_loop_stop(told->world->loop);
}

static struct definition make_definition(uint64_t vm, const char *image, char *xml)
{
    struct definition definition = {.vm = uuid_from(vm), .version = 1, .xml = xml};
    definition.digest = digest_bytes(DIGEST_SEED, xml, strlen(xml));
    if (image != NULL) {
        definition.image_count = 1;
        strcpy(definition.images[0].pool, "rbd");
        snprintf(definition.images[0].name, sizeof(definition.images[0].name), "%s", image);
    }
    return definition;
}

static struct told prepare(struct world *world, const struct definition *definition,
                           uint64_t cluster)
{
    struct told told = {.world = world};
    const struct preparation preparation = {.definition = *definition,
                                            .cluster_id = uuid_from(cluster)};
    storage_io_prepare_vm(world->seats[0].io, &preparation, boot_ms() + ANSWER_MS, on_prepared,
                          &told);
    if (!told.there) {
        run_guarded(world);
    }
    return told;
}

static struct told read_definition(struct world *world, uint64_t vm, uint32_t version)
{
    struct told told = {.world = world};
    const struct uuid uuid = uuid_from(vm);
    storage_io_read_definition(world->seats[1].io, &uuid, version, boot_ms() + ANSWER_MS,
                               on_definition, &told);
    if (!told.there) {
        run_guarded(world);
    }
    return told;
}

static void make_lease(struct world *world, uint64_t vm)
{
    char xml[] = "<domain/>";
    const struct definition definition = make_definition(vm, NULL, xml);
    const struct told told = prepare(world, &definition, 1);
    assert_int_equal(told.outcome, OUTCOME_DONE);
    assert_int_equal(told.generation, 1);
}

static void test_a_definition_comes_back(void **state)
{
    struct world *world = *state;
    char xml[] = "<domain type='kvm'><name>m\xc3\xbcll</name></domain>";
    struct definition definition = make_definition(5, NULL, xml);
    assert_int_equal(read_definition(world, 5, 1).outcome, OUTCOME_MISSING);
    assert_int_equal(prepare(world, &definition, 1).outcome, OUTCOME_DONE);
    const struct told told = read_definition(world, 5, 1);
    assert_int_equal(told.outcome, OUTCOME_DONE);
    assert_string_equal(told.xml, xml);
    assert_int_equal(told.definition.digest, definition.digest);
    assert_int_equal(told.definition.image_count, 0);
    definition.version = 12;
    assert_int_equal(prepare(world, &definition, 1).outcome, OUTCOME_DONE);
    assert_int_equal(read_definition(world, 5, 0).definition.version, 12); /* 0: the newest */
    assert_int_equal(read_definition(world, 5, 1).definition.version, 1);
    assert_int_equal(read_definition(world, 5, 2).outcome, OUTCOME_MISSING);
}

static void test_a_spoilt_definition_fails(void **state)
{
    struct world *world = *state;
    char xml[] = "<domain/>", object[64];
    struct definition definition = make_definition(5, NULL, xml);
    definition.digest++;
    assert_int_equal(prepare(world, &definition, 1).outcome, OUTCOME_FAILED);
    definition.digest--;
    assert_int_equal(prepare(world, &definition, 1).outcome, OUTCOME_DONE);
    snprintf(object, sizeof(object), "def/5ead0000-0000-0000-0500-000000000000/1");
    assert_int_equal(rados_write(world->pool, object, "X", 1, 40), 0);
    assert_int_equal(read_definition(world, 5, 1).outcome, OUTCOME_FAILED);
    assert_int_equal(rados_write_full(world->pool, object, "", 0), 0);
    assert_int_equal(read_definition(world, 5, 1).outcome, OUTCOME_FAILED);
}

static struct event *change(struct seat *seat, const struct lease *lease, bool wait_map)
{
    struct action action = {.kind = ACTION_LEASE_CHANGE};
    action.lease.lease = *lease;
    action.lease.wait_map = wait_map;
    return ask(seat, &action);
}

static void test_a_lease_found_decides(void **state)
{
    struct world *world = *state;
    char xml[] = "<domain/>";
    const struct definition definition = make_definition(8, NULL, xml);
    struct lease lease = free_lease(8);
    make_lease(world, 8);
    lease.generation = 2;
    assert_int_equal(change(&world->seats[0], &lease, false)->lease.outcome, OUTCOME_DONE);
    const struct told found = prepare(world, &definition, 1);
    assert_int_equal(found.outcome, OUTCOME_DONE); /* free: raised, so that a late removal fails */
    assert_int_equal(found.generation, 3);
    assert_int_equal(prepare(world, &definition, 2).outcome, OUTCOME_REFUSED); /* not ours */
    lease.generation = 4;
    lease.state = LEASE_HELD;
    lease.holder = 42;
    assert_int_equal(change(&world->seats[0], &lease, false)->lease.outcome, OUTCOME_DONE);
    const struct told held = prepare(world, &definition, 1);
    assert_int_equal(held.outcome, OUTCOME_REFUSED);
    assert_non_null(strstr(held.text, "node 42"));
}

/* ---- leases */

static void test_a_missing_lease(void **state)
{
    struct world *world = *state;
    struct lease lease = free_lease(9);
    struct action action = {.kind = ACTION_LEASE_READ, .lease.lease = lease};
    assert_int_equal(ask(&world->seats[0], &action)->lease.outcome, OUTCOME_MISSING);
    lease.generation = 2;
    assert_int_equal(change(&world->seats[0], &lease, false)->lease.outcome, OUTCOME_MISSING);
    assert_int_equal(ask(&world->seats[0], &action)->lease.outcome, OUTCOME_MISSING); /* not made */
}

static void test_a_lease_goes_on_by_one(void **state)
{
    struct world *world = *state;
    struct lease lease = free_lease(10);
    make_lease(world, 10);
    lease.generation = 3;
    const struct event *event = change(&world->seats[0], &lease, false);
    assert_int_equal(event->lease.outcome, OUTCOME_REFUSED);
    assert_true(event->lease.has_lease);
    assert_int_equal(event->lease.lease.generation, 1);
    lease.generation = 2;
    lease.state = LEASE_HELD;
    lease.holder = 1;
    lease.clients.count = 1;
    lease.clients.list[0] = world->seats[0].client;
    assert_int_equal(change(&world->seats[0], &lease, true)->lease.outcome, OUTCOME_DONE);
    struct action action = {.kind = ACTION_LEASE_READ, .lease.lease = lease};
    event = ask(&world->seats[1], &action);
    assert_int_equal(event->lease.outcome, OUTCOME_DONE);
    assert_int_equal(event->lease.lease.holder, 1);
    assert_true(clients_equal(&event->lease.lease.clients, &lease.clients));
    /* our own success, sent again: refused, and what stands is what we wanted */
    event = change(&world->seats[0], &lease, false);
    assert_int_equal(event->lease.outcome, OUTCOME_REFUSED);
    assert_int_equal(event->lease.lease.generation, 2);
    assert_int_equal(event->lease.lease.holder, 1);
}

static void test_one_of_two_takes_a_lease(void **state)
{
    struct world *world = *state;
    make_lease(world, 11);
    for (uint32_t round = 0; round < RACES; round++) {
        uint64_t ids[2];
        for (uint32_t i = 0; i < 2; i++) {
            const uint32_t seat = (i + round) % 2; /* in turn the first to ask */
            struct action action = {.kind = ACTION_LEASE_CHANGE, .lease.wait_map = round % 4 == 0};
            action.lease.lease = free_lease(11);
            action.lease.lease.state = LEASE_HELD;
            action.lease.lease.holder = seat + 1;
            action.lease.lease.generation = round + 2;
            ids[seat] = begin(&world->seats[seat], &action);
        }
        world_wait(world);
        const struct event *a = answer_to(world, ids[0]), *b = answer_to(world, ids[1]);
        assert_true((a->lease.outcome == OUTCOME_DONE) != (b->lease.outcome == OUTCOME_DONE));
        const uint32_t winner = a->lease.outcome == OUTCOME_DONE ? 1 : 2;
        const struct event *loser = winner == 1 ? b : a;
        assert_int_equal(loser->lease.outcome, OUTCOME_REFUSED);
        assert_int_equal(loser->lease.lease.holder, winner);
    }
}

static void test_a_lease_change_too_late_is_not_sent(void **state)
{
    struct world *world = *state;
    make_lease(world, 12);
    struct action action = {.kind = ACTION_LEASE_CHANGE,
                            .valid_until_ms = boot_ms() - 1,
                            .lease = {.lease = free_lease(12), .wait_map = true}};
    action.lease.lease.generation = 2;
    assert_int_equal(ask(&world->seats[0], &action)->lease.outcome, OUTCOME_STALE);
    action = (struct action){.kind = ACTION_LEASE_READ, .lease.lease = free_lease(12)};
    assert_int_equal(ask(&world->seats[0], &action)->lease.lease.generation, 1);
}

static void set_omap(struct world *world, const char *object, const char *key, const char *value)
{
    const char *const keys[] = {key}, *const values[] = {value};
    const size_t sizes[] = {strlen(value)};
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_omap_set(write, keys, values, sizes, 1);
    assert_int_equal(rados_write_op_operate(write, world->pool, object, NULL, 0), 0);
    rados_release_write_op(write);
}

static void test_an_unreadable_lease_fails(void **state)
{
    struct world *world = *state;
    const char *const object = "lease/5ead0000-0000-0000-0d00-000000000000";
    struct action action = {.kind = ACTION_LEASE_READ, .lease.lease = free_lease(13)};
    make_lease(world, 13);
    set_omap(world, object, "generation", "00000000000000000007");
    assert_int_equal(ask(&world->seats[0], &action)->lease.outcome, OUTCOME_FAILED);
    set_omap(world, object, "lease", "\xff\xff");
    assert_int_equal(ask(&world->seats[0], &action)->lease.outcome, OUTCOME_FAILED);
    struct lease next = free_lease(13);
    next.generation = 9;
    const struct event *event = change(&world->seats[0], &next, false);
    assert_int_equal(event->lease.outcome, OUTCOME_UNKNOWN); /* refused, and nothing to show */
    assert_false(event->lease.has_lease);
}

static void test_removal_takes_the_definitions_along(void **state)
{
    struct world *world = *state;
    char xml[] = "<domain/>";
    struct definition definition = make_definition(14, NULL, xml);
    make_lease(world, 14);
    definition.version = 2;
    assert_int_equal(prepare(world, &definition, 1).outcome, OUTCOME_DONE);
    struct action action = {.kind = ACTION_LEASE_REMOVE, .lease.lease = free_lease(14)};
    assert_int_equal(ask(&world->seats[0], &action)->lease.outcome, OUTCOME_REFUSED);
    action = (struct action){.kind = ACTION_LEASE_REMOVE, .lease.lease = free_lease(14)};
    action.lease.lease.generation = 2; /* as the second add raised it */
    assert_int_equal(ask(&world->seats[0], &action)->lease.outcome, OUTCOME_DONE);
    assert_int_equal(read_definition(world, 14, 1).outcome, OUTCOME_MISSING);
    assert_int_equal(read_definition(world, 14, 2).outcome, OUTCOME_MISSING);
    action = (struct action){.kind = ACTION_LEASE_READ, .lease.lease = free_lease(14)};
    assert_int_equal(ask(&world->seats[0], &action)->lease.outcome, OUTCOME_MISSING);
    action = (struct action){.kind = ACTION_LEASE_REMOVE, .lease.lease = free_lease(14)};
    storage_io_act(world->seats[0].io, &action, &world->out); /* without an id: no answer */
    world_run(world, 100);
}

/* As when a host with many VMs is lost: more than are sent at a time. */
static void test_many_leases_at_once(void **state)
{
    struct world *world = *state;
    static uint64_t ids[AT_ONCE], times_us[AT_ONCE];
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        make_lease(world, 100 + i);
    }
    watch_steps(world);
    const uint64_t begun_us = mono_us();
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        struct action action = {.kind = ACTION_LEASE_CHANGE, .lease.wait_map = true};
        action.lease.lease = free_lease(100 + i);
        action.lease.lease.generation = 2;
        ids[i] = begin(&world->seats[0], &action);
    }
    world_wait(world);
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        assert_int_equal(answer_to(world, ids[i])->lease.outcome, OUTCOME_DONE);
        times_us[i] = world->answers[ids[i] % ANSWERS_MAX].at_us - begun_us;
    }
    print_times("400 lease changes at once", times_us, AT_ONCE);
    print_message("longest step of the loop %.1f ms\n", (double)world->longest_us / 1e3);
}

static void test_times(void **state)
{
    struct world *world = *state;
    uint64_t plain_us[200], after_map_us[200];
    struct lease lease = free_lease(15);
    make_lease(world, 15);
    for (uint32_t i = 0; i < NUMBERED(plain_us); i++) {
        uint64_t begun_us = mono_us();
        lease.generation++;
        assert_int_equal(change(&world->seats[0], &lease, false)->lease.outcome, OUTCOME_DONE);
        plain_us[i] = mono_us() - begun_us;
        begun_us = mono_us();
        lease.generation++;
        assert_int_equal(change(&world->seats[0], &lease, true)->lease.outcome, OUTCOME_DONE);
        after_map_us[i] = mono_us() - begun_us;
    }
    print_times("lease change", plain_us, NUMBERED(plain_us));
    print_times("lease change after the newest map", after_map_us, NUMBERED(after_map_us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_definition_comes_back, world_empty),
        cmocka_unit_test_setup(test_a_spoilt_definition_fails, world_empty),
        cmocka_unit_test_setup(test_a_lease_found_decides, world_empty),
        cmocka_unit_test_setup(test_a_missing_lease, world_empty),
        cmocka_unit_test_setup(test_a_lease_goes_on_by_one, world_empty),
        cmocka_unit_test_setup(test_one_of_two_takes_a_lease, world_empty),
        cmocka_unit_test_setup(test_a_lease_change_too_late_is_not_sent, world_empty),
        cmocka_unit_test_setup(test_an_unreadable_lease_fails, world_empty),
        cmocka_unit_test_setup(test_removal_takes_the_definitions_along, world_empty),
        cmocka_unit_test_setup(test_many_leases_at_once, world_empty),
        cmocka_unit_test_setup(test_times, world_empty),
    };
    leave(cmocka_run_group_tests_name("storage: leases", tests, world_make, world_end));
}
