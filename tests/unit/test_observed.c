/* What nodes tell of their VMs: believed only from the right life about the right action. We are n1
 * and act. */
#include "agent/ends.h"
#include "agent/observed.h"
#include "fencing/timing.h"
#include "tests/unit/unit_core.h"

#define N3 2 /* slot */

static struct unit *acting(enum vm_state state)
{
    struct unit *u = unit_new(1);
    struct vm_record *vm = unit_vm(u, 0, state, N3);
    vm->want = state == VM_STOPPING ? WANT_STOPPED : WANT_RUNNING;
    unit_lead(u);
    return u;
}

/* What n3 tells of VM 0, as it must be to answer the record. */
static struct observation *tells(struct unit *u, enum observation_kind kind)
{
    struct beat *beat = &u->peers[3];
    const struct vm_record *vm = unit_copy_vm(u, 0);
    beat->observation_count = 1;
    beat->observations[0] = (struct observation){.slot = 0,
                                                 .vm = vm->uuid,
                                                 .kind = kind,
                                                 .action = vm->action,
                                                 .generation = UNIT_GENERATION + 3};
    name_set(beat->observations[0].reason, TEXT_BYTES, "no such image");
    return &beat->observations[0];
}

/* "It runs" makes it running, at the generation told, with failures of before forgotten. */
TEST(running)
{
    struct unit *u = unit_new(1);
    struct vm_record *before = unit_vm(u, 0, VM_STARTING, N3);
    before->want = WANT_RUNNING;
    before->attempts = 2;
    before->avoid = 2;
    before->prefer = 4;
    name_set(before->reason, TEXT_BYTES, "no such image");
    unit_lead(u);
    tells(u, OBSERVED_RUNNING);
    unit_settle(u, 600);
    const struct vm_record *vm = unit_copy_vm(u, 0);
    assert_int_equal(vm->state, VM_RUNNING);
    assert_int_equal(vm->generation, UNIT_GENERATION + 3);
    assert_int_equal(vm->attempts, 0);
    assert_int_equal(vm->avoid, 0);
    assert_int_equal(vm->prefer, 0);
    assert_string_equal(vm->reason, "");
    assert_int_equal(u->core.local.observed_count, 0);
    free(u);
}

/* "It stopped" makes it stopped, held by nobody. */
TEST(stopped)
{
    struct unit *u = acting(VM_STOPPING);
    tells(u, OBSERVED_STOPPED);
    unit_settle(u, 600);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STOPPED);
    assert_int_equal(unit_copy_vm(u, 0)->node, NODE_NONE);
    assert_int_equal(unit_copy_vm(u, 0)->generation, UNIT_GENERATION + 3);
    free(u);
}

/* One that ended by itself and is wanted running is started again, but not at once; there first. */
TEST(ended_by_itself_is_started_again_later)
{
    struct unit *u = acting(VM_RUNNING);
    tells(u, OBSERVED_STOPPED)->end = END_CRASHED;
    unit_settle(u, 400);
    u->peers[3].observation_count = 0;
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STOPPED);
    assert_int_equal(unit_copy_vm(u, 0)->ends, 1);
    assert_int_not_equal(unit_copy_vm(u, 0)->reason[0], 0);
    unit_settle(u, 2000);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    assert_int_equal(unit_copy_vm(u, 0)->node, N3);
    assert_int_equal(unit_copy_vm(u, 0)->reason[0], 0);
    free(u);
}

/* Each end in a row makes it rest twice as long; one after a long life is the first of a new row.
 */
TEST(the_rate_of_restarts_falls)
{
    struct unit *u = acting(VM_RUNNING);
    ((struct vm_record *)unit_copy_vm(u, 0))->ends = 3;
    tells(u, OBSERVED_STOPPED)->end = END_CRASHED;
    unit_settle(u, 400);
    u->peers[3].observation_count = 0;
    assert_int_equal(unit_copy_vm(u, 0)->ends, 4);
    unit_settle(u, 7000);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STOPPED);
    unit_settle(u, 1500);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    free(u);

    u = acting(VM_RUNNING);
    ((struct vm_record *)unit_copy_vm(u, 0))->ends = 3;
    struct observation *fact = tells(u, OBSERVED_STOPPED);
    fact->end = END_CRASHED;
    fact->up_ms = timing_steady_ms();
    unit_settle(u, 400);
    assert_int_equal(unit_copy_vm(u, 0)->ends, 1);
    free(u);
}

/* Each end by the rule that the settings hold for it; what stead ended itself is always restarted.
 */
TEST(each_end_has_its_rule)
{
    struct settings settings = settings_default();
    assert_int_equal(ends_rule(&settings, END_SHUTDOWN), GUEST_STOP);
    assert_int_equal(ends_rule(&settings, END_CRASHED), GUEST_RESTART);
    assert_int_equal(ends_rule(&settings, END_UNKNOWN), GUEST_RESTART);
    assert_int_equal(ends_rule(&settings, END_DESTROYED), GUEST_RESTART);
    assert_int_equal(ends_rule(&settings, END_PANICKED), GUEST_RESTART);
    settings.guest_poweroff = GUEST_RESTART;
    settings.guest_crash = GUEST_STOP;
    assert_int_equal(ends_rule(&settings, END_SHUTDOWN), GUEST_RESTART);
    assert_int_equal(ends_rule(&settings, END_CRASHED), GUEST_STOP);
    assert_int_equal(ends_rule(&settings, END_UNKNOWN), GUEST_STOP);
    assert_int_equal(ends_rule(&settings, END_DESTROYED), GUEST_RESTART);
    settings.guest_destroyed = GUEST_STOP;
    assert_int_equal(ends_rule(&settings, END_DESTROYED), GUEST_STOP);
    assert_int_equal(ends_rule(&settings, END_PANICKED), GUEST_RESTART);
    settings.guest_panic = GUEST_STOP;
    assert_int_equal(ends_rule(&settings, END_PANICKED), GUEST_STOP);
    settings.guest_panic = GUEST_LEAVE; /* it has ended all the same */
    assert_int_equal(ends_rule(&settings, END_PANICKED), GUEST_RESTART);
    assert_int_equal(ends_rule(&settings, END_STEAD), GUEST_RESTART);
    assert_int_equal(ends_rule(&settings, END_MIGRATED), GUEST_RESTART);
}

/* A guest that powered itself off is not wanted any more, in the same commit. */
TEST(powered_off_is_stopped_for_good)
{
    struct unit *u = acting(VM_RUNNING);
    tells(u, OBSERVED_STOPPED)->end = END_SHUTDOWN;
    unit_settle(u, 400);
    u->peers[3].observation_count = 0;
    unit_settle(u, 5000);
    assert_int_equal(unit_copy_vm(u, 0)->want, WANT_STOPPED);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STOPPED);
    free(u);

    u = acting(VM_STOPPING); /* one that was told to, and is wanted again meanwhile */
    ((struct vm_record *)unit_copy_vm(u, 0))->want = WANT_RUNNING;
    tells(u, OBSERVED_STOPPED)->end = END_SHUTDOWN;
    unit_settle(u, 400);
    assert_int_equal(unit_copy_vm(u, 0)->want, WANT_RUNNING);
    free(u);
}

/* Who asks for it at that moment has seen the end; who asked long ago has not. */
TEST(what_was_asked_for_meanwhile_is_started_again)
{
    static const struct {
        uint64_t ago_ms; /* 0: never asked for */
        bool starts;
    } cases[] = {{0, false}, {1000, true}, {28000, true}, {31000, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct unit *u = acting(VM_RUNNING);
        unit_settle(u, 40000);
        uint64_t at_ms = u->now_ms - cases[i].ago_ms;
        u->core.local.acting.vm_asked_ms[0] = cases[i].ago_ms != 0 ? at_ms : 0;
        tells(u, OBSERVED_STOPPED)->end = END_SHUTDOWN;
        unit_settle(u, 400);
        const struct vm_record *vm = unit_copy_vm(u, 0);
        assert_int_equal(vm->want, cases[i].starts ? WANT_RUNNING : WANT_STOPPED);
        const char *words = "powered itself off; its start was asked for meanwhile; started again";
        assert_int_equal(strstr(vm->reason, words) != NULL, cases[i].starts);
        free(u);
    }
}

/* A condition is taken over once, with the time, and forgotten with the next. */
TEST(a_condition_is_kept_until_it_is_over)
{
    struct unit *u = acting(VM_RUNNING);
    tells(u, OBSERVED_CONDITION)->trouble = VM_TROUBLE_PAUSED;
    u->peers[3].observations[0].reason[0] = '\0';
    memset(u->peers[3].observations[0].reason, 0, TEXT_BYTES);
    unit_settle(u, 400);
    assert_int_equal(unit_copy_vm(u, 0)->condition.trouble, VM_TROUBLE_PAUSED);
    assert_int_not_equal(unit_copy_vm(u, 0)->condition.since_wall_ms, 0);
    assert_non_null(strstr(unit_copy_vm(u, 0)->reason, "paused"));
    uint64_t version = u->core.cluster.header.version;
    unit_settle(u, 1000);
    assert_int_equal(u->core.cluster.header.version, version);
    u->peers[3].observations[0].trouble = VM_TROUBLE_NONE;
    unit_settle(u, 400);
    assert_int_equal(unit_copy_vm(u, 0)->condition.trouble, VM_TROUBLE_NONE);
    assert_int_equal(unit_copy_vm(u, 0)->reason[0], 0);
    free(u);
}

/* What somebody did by hand is written down once, whoever tells it how often. */
TEST(work_past_stead_is_written_down_once)
{
    struct unit *u = acting(VM_RUNNING);
    struct observation *fact = tells(u, OBSERVED_BY_HAND);
    fact->generation = 77;
    fact->action = (struct action_id){0}; /* it answers no record */
    unit_settle(u, 1000);
    uint32_t count = 0;
    for (uint32_t i = 0; i < HISTORY_MAX; i++) {
        count += u->core.cluster.history[i].kind == HISTORY_VM_BY_HAND;
    }
    assert_int_equal(count, 1);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_RUNNING);
    free(u);
}

/* A start that failed is tried on another node, and the reason is kept in the history. */
TEST(a_failed_start_is_tried_elsewhere)
{
    struct unit *u = acting(VM_STARTING);
    tells(u, OBSERVED_START_FAILED)->lease = LEASE_FREE;
    unit_settle(u, 600);
    const struct vm_record *vm = unit_copy_vm(u, 0);
    assert_int_equal(vm->state, VM_STARTING);
    assert_int_not_equal(vm->node, N3);
    assert_int_equal(vm->avoid, 4);
    assert_int_equal(vm->attempts, 1);
    assert_int_equal(vm->generation, UNIT_GENERATION + 3);
    free(u);
}

/* The first failure moves it at once; after each further one it rests, from that failure on. */
TEST(after_a_second_failure_it_rests)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_STARTING, N3)->attempts = 1;
    unit_lead(u);
    tells(u, OBSERVED_START_FAILED)->lease = LEASE_FREE;
    unit_settle(u, 400);
    u->peers[3].observation_count = 0;
    assert_int_equal(unit_copy_vm(u, 0)->attempts, 2);
    unit_settle(u, u->core.cluster.settings.retry_ms - 450);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STOPPED);
    unit_settle(u, 600);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    free(u);
}

/* A start that found the lease in a living node's hands follows it there. */
TEST(a_failed_start_follows_a_living_holder)
{
    struct unit *u = acting(VM_STARTING);
    struct observation *fact = tells(u, OBSERVED_START_FAILED);
    fact->lease = LEASE_HELD;
    fact->lease_holder = 2;
    fact->lease_incarnation = (struct incarnation){1, 2};
    unit_settle(u, 600);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
    assert_int_equal(unit_copy_vm(u, 0)->node, 1);
    free(u);
}

/* A start that found the lease held by a life that is over raises the barrier against that one. */
TEST(a_failed_start_recovers_from_a_dead_holder)
{
    struct unit *u = acting(VM_STARTING);
    struct observation *fact = tells(u, OBSERVED_START_FAILED);
    fact->lease = LEASE_HELD;
    fact->lease_holder = 2;
    fact->lease_incarnation = (struct incarnation){1, 55};
    unit_settle(u, 600);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_RECOVERING);
    assert_int_equal(unit_copy_vm(u, 0)->incarnation.number, 55);
    (void)unit_take(u, ACTION_LEASE_READ);
    free(u);
}

/* A fact of an earlier life, for an earlier action, of another VM or node, is not believed. */
TEST(what_does_not_fit_is_not_believed)
{
    for (unsigned i = 0; i < 6; i++) {
        struct unit *u = acting(VM_STARTING);
        struct observation *fact = tells(u, OBSERVED_STOPPED);
        fact->action.counter += i == 0;
        fact->action.term += i == 1;
        fact->vm.bytes[0] ^= i == 2;
        fact->slot += (i == 3) ? 5u : 0u;
        u->peers[3].incarnation.number += i == 4;
        if (i == 5) { /* n2 tells it, whose VM it is not */
            u->peers[2].observation_count = 1;
            u->peers[2].observations[0] = *fact;
            u->peers[3].observation_count = 0;
        }
        unit_settle(u, 600);
        assert_int_equal(unit_copy_vm(u, 0)->state, VM_STARTING);
        assert_int_equal(u->core.local.observed_count, 0);
        free(u);
    }
}

/* "It runs" told of one that is recorded as running changes nothing. */
TEST(what_is_reflected_is_forgotten)
{
    struct unit *u = acting(VM_RUNNING);
    uint64_t version = u->core.cluster.header.version;
    tells(u, OBSERVED_RUNNING);
    unit_settle(u, 1000);
    assert_int_equal(u->core.cluster.header.version, version);
    free(u);
}

/* A node that does not act keeps the fact, so that it has it should it act next. */
TEST(facts_are_kept_for_the_next_actor)
{
    struct unit *u = unit_new(2);
    unit_vm(u, 0, VM_STARTING, N3);
    unit_start(u);
    tells(u, OBSERVED_RUNNING);
    unit_pass(u, 600);
    assert_int_equal(u->core.local.observed_count, 1);
    u->silent[1] = true;
    unit_leave(u, 1);
    unit_settle(u, 1000);
    assert_int_equal(unit_copy_vm(u, 0)->state, VM_RUNNING);
    free(u);
}

/* What one heartbeat tells of several VMs is kept, each once. */
TEST(facts_about_several_are_kept)
{
    struct unit *u = unit_new(2);
    struct beat *beat = &u->peers[3];
    for (uint32_t i = 0; i < 3; i++) {
        unit_vm(u, i, VM_STARTING, N3);
    }
    unit_start(u);
    tells(u, OBSERVED_RUNNING);
    for (uint32_t i = 1; i < 3; i++) {
        beat->observations[i] = beat->observations[0];
        beat->observations[i].slot = i;
        beat->observations[i].vm = unit_copy_vm(u, i)->uuid;
        beat->observations[i].action = unit_copy_vm(u, i)->action;
    }
    beat->observation_count = 3;
    unit_pass(u, 600);
    assert_int_equal(u->core.local.observed_count, 3);
    free(u);
}

/* Starts that keep failing everywhere are tried on, ever more slowly (I5). */
TEST(failing_starts_are_tried_on_at_a_bounded_rate)
{
    struct unit *u = unit_new(1);
    unit_vm(u, 0, VM_STARTING, N3);
    u->image.nodes[0].memory_mib = 100; /* never on ourselves */
    u->facts.memory_mib = 100;
    unit_lead(u);
    unsigned starts = 0;
    struct action_id last = {0};
    for (unsigned i = 0; i < 600; i++) {
        const struct vm_record *vm = unit_copy_vm(u, 0);
        struct observation fact = *tells(u, OBSERVED_START_FAILED);
        for (uint32_t id = 2; id <= 3; id++) {
            bool here = vm->state == VM_STARTING && vm->node + 1u == id;
            u->peers[id].observation_count = here;
            u->peers[id].observations[0] = fact;
        }
        starts += vm->state == VM_STARTING && !action_id_equal(vm->action, last);
        last = vm->action;
        unit_settle(u, 100);
        unit_forget(u);
    }
    assert_true(starts >= 4);
    assert_true(starts <= 12);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(running),
        cmocka_unit_test(stopped),
        cmocka_unit_test(ended_by_itself_is_started_again_later),
        cmocka_unit_test(the_rate_of_restarts_falls),
        cmocka_unit_test(each_end_has_its_rule),
        cmocka_unit_test(powered_off_is_stopped_for_good),
        cmocka_unit_test(what_was_asked_for_meanwhile_is_started_again),
        cmocka_unit_test(a_condition_is_kept_until_it_is_over),
        cmocka_unit_test(work_past_stead_is_written_down_once),
        cmocka_unit_test(a_failed_start_is_tried_elsewhere),
        cmocka_unit_test(a_failed_start_follows_a_living_holder),
        cmocka_unit_test(a_failed_start_recovers_from_a_dead_holder),
        cmocka_unit_test(what_does_not_fit_is_not_believed),
        cmocka_unit_test(what_is_reflected_is_forgotten),
        cmocka_unit_test(facts_are_kept_for_the_next_actor),
        cmocka_unit_test(facts_about_several_are_kept),
        cmocka_unit_test(failing_starts_are_tried_on_at_a_bounded_rate),
        cmocka_unit_test(after_a_second_failure_it_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
