/*
 * Every state of a run against everything the world may say there: nothing asserts, the world's own
 * checks of I1 and I2 hold (unit_run.h), and it ends in one of the two lawful places.
 */
#include "tests/unit/unit_run.h"

static const enum run_state started[] = {RUN_TAKE,  RUN_CREATE, RUN_WATCHERS, RUN_NAME,
                                         RUN_CHECK, RUN_RESUME, RUN_UP};
static const enum run_state ended[] = {RUN_DESTROY, RUN_KILL, RUN_BLOCK, RUN_UNLOCK, RUN_RELEASE};

static struct world *at_start(enum run_state state)
{
    struct world *w = world_new(VM_STARTING);
    unit_start(w->u);
    world_until(w, state);
    return w;
}

/* A run on its way down. */
static struct world *at_end(enum run_state state)
{
    struct world *w = world_up();
    world_record(w, VM_RECOVERING, OUR_SLOT);
    if (state == RUN_KILL) {
        struct action destroy = unit_take(w->u, ACTION_DOMAIN_DESTROY);
        world_tell(w, &destroy, OUTCOME_FAILED);
    }
    world_until(w, state);
    return w;
}

/* Either it runs under a lease of ours that names its client, or nothing of it is here and the
 * lease is not ours. */
static void check_lawful(struct world *w)
{
    world_settle(w, 6000);
    if (world_state(w) == RUN_UP) {
        struct client client = world_client(w);
        assert_true(w->alive && world_held(w));
        assert_true(clients_hold(&w->lease.clients, &client));
    } else {
        assert_true(world_state(w) == RUN_OVER || world_state(w) == RUN_IDLE);
        assert_false(w->alive);
        assert_false(world_held(w));
    }
    world_end(w);
}

/* libvirt tells that what was killed is gone. */
static void check_lawful_once_gone(struct world *w)
{
    world_settle(w, 500);
    if (!w->alive) {
        unit_domain(w->u, 0, DOMAIN_GONE, END_DESTROYED);
    }
    check_lawful(w);
}

/* Answers the oldest call that way, its effect having happened or not. */
static void answer(struct world *w, enum outcome outcome, bool happened)
{
    struct action action;
    if (!world_next(w, &action)) {
        unit_pass(w->u, 300);
        if (!world_next(w, &action)) {
            return; /* this state asks nothing just now */
        }
    }
    bool images = action.kind == ACTION_LOCKS_BREAK || action.kind == ACTION_WATCHERS_READ;
    bool refusable = action.kind != ACTION_LEASE_CHANGE; /* that one only if it compares unequal */
    if (outcome == OUTCOME_BLOCKLISTED && !images) {
        outcome = OUTCOME_UNKNOWN; /* a lease that says so ends our life: below */
    }
    if (happened || (outcome == OUTCOME_REFUSED && !refusable)) {
        outcome = world_effect(w, &action) ? outcome : OUTCOME_REFUSED;
    }
    world_tell(w, &action, outcome);
}

/* What a call may end in, beside "done": a lease or list that is there is never called missing. */
static const struct {
    enum outcome outcome;
    bool happened;
} endings[] = {
    {OUTCOME_DONE, true},         {OUTCOME_REFUSED, false}, {OUTCOME_FAILED, false},
    {OUTCOME_UNKNOWN, true},      {OUTCOME_UNKNOWN, false}, {OUTCOME_STALE, false},
    {OUTCOME_BLOCKLISTED, false},
};

/* Every answer in every state of a start. */
TEST(every_answer_in_a_start)
{
    for (unsigned i = 0; i < UNIT_COUNT(started); i++) {
        for (unsigned j = 0; j < UNIT_COUNT(endings); j++) {
            struct world *w = at_start(started[i]);
            answer(w, endings[j].outcome, endings[j].happened);
            check_lawful(w);
        }
    }
}

/* Every answer in every state of an end. */
TEST(every_answer_in_an_end)
{
    for (unsigned i = 0; i < UNIT_COUNT(ended); i++) {
        for (unsigned j = 0; j < UNIT_COUNT(endings); j++) {
            struct world *w = at_end(ended[i]);
            answer(w, endings[j].outcome, endings[j].happened);
            check_lawful(w);
        }
    }
}

/* A call that is never answered, in every state, its effect having happened. */
TEST(no_answer_in_any_state)
{
    for (unsigned i = 0; i < UNIT_COUNT(started) + UNIT_COUNT(ended); i++) {
        bool start = i < UNIT_COUNT(started);
        struct world *w = start ? at_start(started[i]) : at_end(ended[i - UNIT_COUNT(started)]);
        struct action action;
        if (world_next(w, &action)) {
            (void)world_effect(w, &action);
        }
        unit_forget(w->u);
        world_settle(w, 9000);
        check_lawful(w);
    }
}

/* QEMU ends, in every state and way. */
TEST(the_guest_ends_in_any_state)
{
    const enum domain_end ends[] = {END_UNKNOWN, END_SHUTDOWN, END_DESTROYED, END_CRASHED};
    for (unsigned i = 0; i < UNIT_COUNT(started) + UNIT_COUNT(ended); i++) {
        for (unsigned j = 0; j < UNIT_COUNT(ends); j++) {
            bool start = i < UNIT_COUNT(started);
            struct world *w = start ? at_start(started[i]) : at_end(ended[i - UNIT_COUNT(started)]);
            if (w->alive) {
                bool ran = w->runs;
                world_guest_ends(w, ends[j]);
                w->clean = ran && ends[j] == END_SHUTDOWN;
            }
            check_lawful(w);
        }
    }
}

/* libvirt tells of any state of the domain, in every state of the run; where there was none any
 * more, of one that another hand started. */
TEST(any_domain_state_in_any_state)
{
    for (unsigned i = 0; i < UNIT_COUNT(started) + UNIT_COUNT(ended); i++) {
        for (int domain = DOMAIN_STARTING; domain <= DOMAIN_PANICKED; domain++) {
            bool start = i < UNIT_COUNT(started);
            struct world *w = start ? at_start(started[i]) : at_end(ended[i - UNIT_COUNT(started)]);
            w->alive |= world_state(w) == RUN_BLOCK || world_state(w) == RUN_UNLOCK;
            if (w->alive) {
                unit_domain(w->u, 0, (enum domain_state)domain, END_UNKNOWN);
            }
            check_lawful_once_gone(w);
        }
    }
}

/* The connection to libvirt breaks and comes back, in every state. */
TEST(libvirt_comes_back_in_any_state)
{
    for (unsigned i = 0; i < UNIT_COUNT(started) + UNIT_COUNT(ended); i++) {
        bool start = i < UNIT_COUNT(started);
        struct world *w = start ? at_start(started[i]) : at_end(ended[i - UNIT_COUNT(started)]);
        struct event lost = unit_event(EVENT_DOMAINS, 0);
        unit_step(w->u, &lost);
        if (w->alive) {
            unit_domain(w->u, 0, w->runs ? DOMAIN_RUNNING : DOMAIN_STARTING, END_UNKNOWN);
        }
        unit_domains(w->u);
        check_lawful_once_gone(w);
    }
}

/* The lease answers that we are blocklisted, in every state that asks it: our life is over. */
TEST(a_blocklisted_lease_call_ends_our_life)
{
    const enum run_state asking[] = {RUN_TAKE, RUN_NAME, RUN_UP, RUN_RELEASE};
    for (unsigned i = 0; i < UNIT_COUNT(asking); i++) {
        bool end = asking[i] == RUN_RELEASE;
        struct world *w = end ? at_end(RUN_RELEASE) : at_start(asking[i]);
        bool read = asking[i] == RUN_UP;
        struct action action = unit_take(w->u, read ? ACTION_LEASE_READ : ACTION_LEASE_CHANGE);
        world_tell(w, &action, OUTCOME_BLOCKLISTED);
        assert_int_equal(world_state(w), RUN_IDLE);
        assert_int_equal(w->u->core.local.life.state, LIFE_LOST);
        world_end(w);
    }
}

/* The record changes in every way, in every state. */
TEST(any_record_in_any_state)
{
    const struct {
        enum vm_state state;
        uint8_t node;
    } records[] = {{VM_STOPPED, NODE_NONE},   {VM_STARTING, OUR_SLOT}, {VM_STARTING, 2},
                   {VM_RUNNING, OUR_SLOT},    {VM_RUNNING, 2},         {VM_STOPPING, OUR_SLOT},
                   {VM_RECOVERING, OUR_SLOT}, {VM_FREE, NODE_NONE}};
    for (unsigned i = 0; i < UNIT_COUNT(started) + UNIT_COUNT(ended); i++) {
        for (unsigned j = 0; j < UNIT_COUNT(records); j++) {
            bool start = i < UNIT_COUNT(started);
            if (start && started[i] == RUN_UP && records[j].state == VM_FREE) {
                continue; /* given back: test_run_end.c */
            }
            struct world *w = start ? at_start(started[i]) : at_end(ended[i - UNIT_COUNT(started)]);
            world_record(w, records[j].state, records[j].node);
            check_lawful(w);
        }
    }
}

/* Our life ends, in every state: nothing of the run acts any more, and what lives is killed. */
TEST(our_life_ends_in_any_state)
{
    for (unsigned i = 0; i < UNIT_COUNT(started); i++) {
        struct world *w = at_start(started[i]);
        unit_forget(w->u);
        (void)unit_foreign(w->u);
        unit_foreign_node(w->u, OUR_SLOT)->state = NODE_LOST;
        unit_foreign_send(w->u);
        unit_pass(w->u, 2000);
        assert_int_equal(world_state(w), RUN_IDLE);
        assert_true(unit_logged(w->u, ACTION_KILL) > 0);
        unit_none(w->u, ACTION_LEASE_CHANGE);
        unit_none(w->u, ACTION_DOMAIN_RESUME);
        unit_none(w->u, ACTION_DOMAIN_CREATE);
        world_end(w);
    }
}

/* A move the table does not allow asserts. */
TEST(a_disallowed_move_asserts)
{
    struct world *w = at_start(RUN_CREATE);
    struct run_step step = {&w->u->core, world_run(w), NULL};
    expect_assert_failure(run_move(&step, RUN_UP, "skipping the naming"));
    expect_assert_failure(run_move(&step, RUN_RESUME, "skipping the check"));
    world_end(w);
}

/* Each state has a word for people. */
TEST(states_have_words)
{
    for (int state = 0; state < RUN_STATE_COUNT; state++) {
        assert_non_null(run_word((enum run_state)state));
    }
    expect_assert_failure(run_word(RUN_STATE_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_in_a_start),
        cmocka_unit_test(every_answer_in_an_end),
        cmocka_unit_test(no_answer_in_any_state),
        cmocka_unit_test(the_guest_ends_in_any_state),
        cmocka_unit_test(any_domain_state_in_any_state),
        cmocka_unit_test(libvirt_comes_back_in_any_state),
        cmocka_unit_test(a_blocklisted_lease_call_ends_our_life),
        cmocka_unit_test(any_record_in_any_state),
        cmocka_unit_test(our_life_ends_in_any_state),
        cmocka_unit_test(a_disallowed_move_asserts),
        cmocka_unit_test(states_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
