/* The state object against a real Ceph: who wins, what is read, what a result means. */
#include "storage_world.h"

#define RACES 200
#define VMS 2500

static void test_nothing_there_is_missing(void **state)
{
    struct world *world = *state;
    struct seat *seat = &world->seats[0];
    assert_int_equal(poll_outcome(seat, false), OUTCOME_MISSING);
    assert_int_equal(poll_outcome(seat, true), OUTCOME_MISSING); /* and does not make it */
    assert_int_equal(poll_outcome(seat, false), OUTCOME_MISSING);
    assert_int_equal(ask_kind(seat, ACTION_STATE_READ)->state.outcome, OUTCOME_MISSING);
    make_delta(world, 1, 1);
    assert_int_equal(commit(seat, false)->commit.outcome, OUTCOME_MISSING);
}

static void test_create_is_exclusive(void **state)
{
    struct world *world = *state;
    create_state(world);
    make_delta(world, 1, 0);
    world->delta.header.commit.nodeid = 2;
    const struct event *event = commit(&world->seats[1], true);
    assert_int_equal(event->commit.outcome, OUTCOME_REFUSED);
    assert_int_equal(event->commit.header.commit.nodeid, 1); /* whose it is */
    assert_int_equal(event->commit.header.version, 1);
}

static void test_a_poll_reads_the_header(void **state)
{
    struct world *world = *state;
    create_state(world);
    struct action action = {.kind = ACTION_POLL, .poll.write = true};
    const struct event *event = ask(&world->seats[1], &action);
    assert_int_equal(event->poll.outcome, OUTCOME_DONE);
    assert_int_equal(event->poll.header.version, 1);
    assert_int_equal(event->poll.header.epoch, 1);
    assert_int_equal(event->poll.header.commit.agent_start, 11);
}

/* Both send their commit for the same base at once: exactly one wins, the other is shown it. */
static void race(struct world *world, uint64_t base_term, uint64_t term, uint64_t base_version)
{
    uint64_t ids[2];
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t seat = (uint32_t)(i + base_version) % 2; /* in turn the first to ask */
        struct action action = {.kind = ACTION_COMMIT};
        make_delta(world, base_term, base_version);
        world->delta.header.term = term;
        world->delta.header.commit = (struct origin){.nodeid = seat + 1, .counter = base_version};
        add_vm(world, seat)->generation = base_version;
        ids[seat] = begin(&world->seats[seat], &action);
    }
    world_wait(world);
    const struct event *first = answer_to(world, ids[0]), *second = answer_to(world, ids[1]);
    const uint32_t winner = first->commit.outcome == OUTCOME_DONE ? 0 : 1;
    const struct event *loser = winner == 0 ? second : first;
    assert_int_equal((winner == 0 ? first : second)->commit.outcome, OUTCOME_DONE);
    assert_int_equal(loser->commit.outcome, OUTCOME_REFUSED);
    assert_int_equal(loser->commit.header.version, base_version + 1);
    assert_int_equal(loser->commit.header.commit.nodeid, winner + 1);
}

static void test_one_of_two_wins_a_version(void **state)
{
    struct world *world = *state;
    create_state(world);
    for (uint64_t version = 1; version <= RACES; version++) {
        race(world, 1, 1, version);
    }
}

static void test_one_of_two_wins_a_term(void **state)
{
    struct world *world = *state;
    create_state(world);
    for (uint64_t version = 1; version <= RACES; version++) {
        race(world, version, version + 1, version);
    }
    make_delta(world, RACES - 5, RACES + 1); /* an older term, however right its version is */
    const struct event *event = commit(&world->seats[0], false);
    assert_int_equal(event->commit.outcome, OUTCOME_REFUSED);
    assert_int_equal(event->commit.header.term, RACES + 1);
}

static void test_an_other_epoch_is_refused(void **state)
{
    struct world *world = *state;
    create_state(world);
    make_delta(world, 1, 1);
    world->delta.header.epoch = 2;
    assert_int_equal(commit(&world->seats[0], false)->commit.outcome, OUTCOME_REFUSED);
}

/* The same bytes again after they took effect: refused, and the header says they are ours. */
static void test_own_success_read_as_refused(void **state)
{
    struct world *world = *state;
    create_state(world);
    make_delta(world, 1, 1);
    world->delta.header.commit = (struct origin){.nodeid = 1, .agent_start = 11, .counter = 2};
    assert_int_equal(commit(&world->seats[0], false)->commit.outcome, OUTCOME_DONE);
    const struct event *event = commit(&world->seats[0], false);
    assert_int_equal(event->commit.outcome, OUTCOME_REFUSED);
    assert_true(origin_equal(&event->commit.header.commit, &world->delta.header.commit));
}

static void test_what_came_too_late_is_not_sent(void **state)
{
    struct world *world = *state;
    create_state(world);
    make_delta(world, 1, 1);
    struct action action = {.kind = ACTION_COMMIT, .valid_until_ms = boot_ms() - 1};
    assert_int_equal(ask(&world->seats[0], &action)->commit.outcome, OUTCOME_STALE);
    action = (struct action){.kind = ACTION_COMMIT, .valid_until_ms = boot_ms() + 10000};
    assert_int_equal(ask(&world->seats[0], &action)->commit.outcome, OUTCOME_DONE);
}

static void test_a_commit_too_large_to_say_fails(void **state)
{
    struct world *world = *state;
    create_state(world);
    make_delta(world, 1, 1);
    memset(add_vm(world, 1)->reason, 'x', TEXT_BYTES);
    assert_int_equal(commit(&world->seats[0], false)->commit.outcome, OUTCOME_FAILED);
    world->delta.count = DELTA_RECORDS_MAX + 1;
    assert_int_equal(commit(&world->seats[0], false)->commit.outcome, OUTCOME_FAILED);
}

/* ---- whole reads */

static uint64_t fill(struct world *world, uint64_t version)
{
    for (uint32_t slot = 0; slot < VMS; version++) {
        make_delta(world, 1, version);
        for (uint32_t i = 0; i < DELTA_RECORDS_MAX && slot < VMS; i++, slot++) {
            add_vm(world, slot)->generation = slot;
        }
        assert_int_equal(commit(&world->seats[0], false)->commit.outcome, OUTCOME_DONE);
    }
    return version;
}

static void test_every_kind_of_record_comes_back(void **state)
{
    struct world *world = *state;
    create_state(world);
    make_delta(world, 1, 1);
    add_vm(world, VMS_MAX - 1)->priority = -7;
    struct record *records = world->delta.records;
    records[1].kind = RECORD_NODE;
    records[1].slot = NODES_MAX - 1;
    records[1].node.state = NODE_OUT;
    strcpy(records[1].node.name, "n1");
    records[2].kind = RECORD_SETTING;
    records[2].slot = SETTINGS_MAX - 1; /* a newer release's */
    records[2].setting = (struct setting_record){.set_ms = 1, .value = 123, .by = "ada"};
    records[3].kind = RECORD_HISTORY;
    records[3].slot = 5;
    records[3].history.sequence = HISTORY_MAX + 5;
    strcpy(records[3].history.cause, "because");
    world->delta.count = 4;
    assert_int_equal(commit(&world->seats[0], false)->commit.outcome, OUTCOME_DONE);
    assert_int_equal(poll_outcome(&world->seats[0], true), OUTCOME_DONE); /* beats are passed by */
    const struct event *event = ask_kind(&world->seats[1], ACTION_STATE_READ);
    assert_int_equal(event->state.outcome, OUTCOME_DONE);
    assert_int_equal(world->image.vm_end, VMS_MAX);
    assert_int_equal(world->image.vms[VMS_MAX - 1].priority, -7);
    assert_string_equal(world->image.nodes[NODES_MAX - 1].name, "n1");
    assert_int_equal(world->image.set[SETTINGS_MAX - 1].value, 123);
    assert_string_equal(world->image.history[5].cause, "because");
    make_delta(world, 1, 2);
    world->delta.records[0] =
        (struct record){.kind = RECORD_VM, .slot = VMS_MAX - 1, .removed = true};
    world->delta.count = 1;
    assert_int_equal(commit(&world->seats[0], false)->commit.outcome, OUTCOME_DONE);
    ask_kind(&world->seats[1], ACTION_STATE_READ);
    assert_int_equal(world->image.vm_end, 0);
}

/* Pages of one read while the other agent commits: the headers tell whether anything got between,
 * and every record is one that was committed. */
static void test_a_read_under_commits(void **state)
{
    struct world *world = *state;
    create_state(world);
    uint64_t version = fill(world, 1);
    uint32_t between = 0;
    uint64_t times_us[30];
    for (uint32_t round = 0; round < NUMBERED(times_us); round++) {
        struct action read = {.kind = ACTION_STATE_READ}, write = {.kind = ACTION_COMMIT};
        const uint64_t before = version, begun_us = mono_us();
        const uint64_t id = begin(&world->seats[1], &read);
        while (!world->answers[id % ANSWERS_MAX].there) {
            make_delta(world, 1, version);
            add_vm(world, 0)->generation = version + 1;
            add_vm(world, VMS - 1)->generation = version + 1;
            assert_int_equal(ask(&world->seats[0], &write)->commit.outcome, OUTCOME_DONE);
            version++;
        }
        times_us[round] = world->answers[id % ANSWERS_MAX].at_us - begun_us;
        const struct event *event = answer_to(world, id);
        assert_int_equal(event->state.outcome, OUTCOME_DONE);
        assert_true(event->state.first.version >= before);
        assert_true(event->state.last.version >= event->state.first.version);
        between += event->state.last.version != event->state.first.version;
        assert_int_equal(world->image.header.version, event->state.first.version);
        assert_int_equal(world->image.vm_end, VMS);
        for (uint32_t slot = 1; slot + 1 < VMS; slot++) {
            assert_int_equal(world->image.vms[slot].generation, slot);
        }
        assert_true(world->image.vms[0].generation <= event->state.first.version);
        assert_true(world->image.vms[VMS - 1].generation <=
                    (round == 0 ? VMS : event->state.last.version));
    }
    print_message("commits got between the pages of %u of %zu reads\n", between,
                  NUMBERED(times_us));
    print_times("state read, 2,500 VMs, under commits", times_us, NUMBERED(times_us));
}

static void spoil(struct world *world, const char *key, const char *value)
{
    const char *const keys[] = {key}, *const values[] = {value};
    const size_t sizes[] = {strlen(value)};
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_omap_set(write, keys, values, sizes, 1);
    assert_int_equal(rados_write_op_operate(write, world->pool, "cluster", NULL, 0), 0);
    rados_release_write_op(write);
}

/* A record that cannot be understood is left out: the digest tells. A header is an answer: garbled.
 */
static void test_what_cannot_be_understood_is_told(void **state)
{
    struct world *world = *state;
    create_state(world);
    spoil(world, "something/new", "from a newer version");
    assert_int_equal(ask_kind(&world->seats[0], ACTION_STATE_READ)->state.outcome, OUTCOME_DONE);
    spoil(world, "vm/00007", "\xff\xff\xff");
    const struct event *event = ask_kind(&world->seats[0], ACTION_STATE_READ);
    assert_int_equal(event->state.outcome, OUTCOME_DONE);
    assert_int_equal(world->image.vms[7].state, VM_FREE);
    spoil(world, "header", "\xff");
    event = ask_kind(&world->seats[0], ACTION_STATE_READ);
    assert_int_equal(event->state.outcome, OUTCOME_FAILED);
    assert_true(event->state.garbled);
    event = ask_kind(&world->seats[0], ACTION_POLL);
    assert_int_equal(event->poll.outcome, OUTCOME_FAILED);
    assert_true(event->poll.garbled);
}

/* A commit writes a damaged header anew; a damaged guard is written anew from the header, which the
 * journal is told, and after which the same commit takes effect. */
static void test_header_and_guard_are_mended(void **state)
{
    struct world *world = *state;
    create_state(world);
    spoil(world, "header", "\xff");
    make_delta(world, 1, 1);
    assert_int_equal(commit(&world->seats[0], false)->commit.outcome, OUTCOME_DONE);
    assert_int_equal(poll_outcome(&world->seats[0], false), OUTCOME_DONE);
    spoil(world, "guard", "nonsense");
    make_delta(world, 1, 2);
    int kept;
    FILE *heard = hear(&kept);
    const struct event *event = commit(&world->seats[0], false);
    assert_true(
        was_heard(heard, kept, "<4>storage: the state's guard did not say what its header"));
    assert_int_equal(event->commit.outcome, OUTCOME_REFUSED);
    assert_int_equal(event->commit.header.version, 2);
    assert_int_equal(commit(&world->seats[0], false)->commit.outcome, OUTCOME_DONE);
    make_delta(world, 1, 2); /* and still guards */
    assert_int_equal(commit(&world->seats[0], false)->commit.outcome, OUTCOME_REFUSED);
}

static void test_times(void **state)
{
    struct world *world = *state;
    uint64_t commits_us[300], polls_us[300];
    create_state(world);
    for (uint32_t i = 0; i < NUMBERED(commits_us); i++) {
        make_delta(world, 1, i + 1);
        add_vm(world, i);
        uint64_t begun_us = mono_us();
        assert_int_equal(commit(&world->seats[0], false)->commit.outcome, OUTCOME_DONE);
        commits_us[i] = mono_us() - begun_us;
        begun_us = mono_us();
        assert_int_equal(poll_outcome(&world->seats[0], true), OUTCOME_DONE);
        polls_us[i] = mono_us() - begun_us;
    }
    print_times("commit", commits_us, NUMBERED(commits_us));
    print_times("poll with beat", polls_us, NUMBERED(polls_us));
}

/* How often the monitors were asked for their pools; they note it down a moment later. */
static uint32_t looked_for_pools(const struct world *world)
{
    char path[600], line[1024];
    uint32_t count = 0;
    snprintf(path, sizeof(path), "%s/cluster.log", world->dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        count += strstr(line, "osd pool ls") != NULL;
    }
    fclose(file);
    return count;
}

/* Each command to a monitor is a commit of theirs, and a fence that comes right after it waits. */
static void test_the_monitors_are_left_in_peace(void **state)
{
    struct world *world = *state;
    create_state(world);
    world_run(world, 2000);
    const uint32_t before = looked_for_pools(world);
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(poll_outcome(&world->seats[0], false), OUTCOME_DONE);
        world_run(world, 1000);
    }
    assert_in_range(looked_for_pools(world) - before, 0, 1); /* a whole minute may just come */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_there_is_missing, world_empty),
        cmocka_unit_test_setup(test_create_is_exclusive, world_empty),
        cmocka_unit_test_setup(test_a_poll_reads_the_header, world_empty),
        cmocka_unit_test_setup(test_one_of_two_wins_a_version, world_empty),
        cmocka_unit_test_setup(test_one_of_two_wins_a_term, world_empty),
        cmocka_unit_test_setup(test_an_other_epoch_is_refused, world_empty),
        cmocka_unit_test_setup(test_own_success_read_as_refused, world_empty),
        cmocka_unit_test_setup(test_what_came_too_late_is_not_sent, world_empty),
        cmocka_unit_test_setup(test_a_commit_too_large_to_say_fails, world_empty),
        cmocka_unit_test_setup(test_every_kind_of_record_comes_back, world_empty),
        cmocka_unit_test_setup(test_a_read_under_commits, world_empty),
        cmocka_unit_test_setup(test_what_cannot_be_understood_is_told, world_empty),
        cmocka_unit_test_setup(test_header_and_guard_are_mended, world_empty),
        cmocka_unit_test_setup(test_times, world_empty),
        cmocka_unit_test_setup(test_the_monitors_are_left_in_peace, world_empty),
    };
    leave(cmocka_run_group_tests_name("storage: state", tests, world_make, world_end));
}
