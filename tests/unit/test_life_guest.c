/* When no guest is here, and what we are while no copy of the state tells. We are n2. */
#include "agent/life.h"
#include "tests/unit/unit_core.h"

#define OUR_SLOT 1

/* No cluster in the pool, and nothing of an earlier life: outside, once the others had time to say
 * whether they hold a copy. Neither one of both is enough, and it is not taken back. */
TEST(where_no_cluster_is_we_are_outside)
{
    for (unsigned i = 0; i < 3; i++) {
        struct unit *u = unit_new(2);
        const enum life_state *state = &u->core.local.life.state;
        u->facts.incarnation = i == 1 ? u->facts.incarnation : (struct incarnation){0};
        core_init(&u->core, &u->facts, u->now_ms);
        u->core.local.storage.missing = i != 2;
        unit_pass(u, u->core.cluster.settings.fresh_ms - UNIT_TICK_MS);
        assert_int_equal(*state, LIFE_UNKNOWN);
        unit_pass(u, 2 * UNIT_TICK_MS);
        assert_int_equal(*state, i == 0 ? LIFE_OUTSIDE : LIFE_UNKNOWN);
        u->core.local.storage.missing = false;
        unit_pass(u, 2 * UNIT_TICK_MS);
        assert_int_equal(*state, i == 0 ? LIFE_OUTSIDE : LIFE_UNKNOWN);
        free(u);
    }
}

/* The others wait for it, to let us in again. */
TEST(empty_hands_are_told_at_once)
{
    struct unit *u = unit_all_rebooted(2); /* outside from the first: no other change is told */
    unit_open(u, unit_client(2, 902));
    unit_ring(u, true, 3, u->ring.nodeids);
    unit_domains(u);
    assert_int_equal(u->core.local.life.state, LIFE_OUTSIDE);
    struct action kill = unit_take(u, ACTION_KILL);
    unit_pass(u, 400);
    while (u->core.local.beat_last_ms != u->now_ms) {
        unit_pass(u, UNIT_TICK_MS);
    }
    u->now_ms += 10;
    unit_killed(u, &kill, OUTCOME_DONE, 0);
    unit_tick(u);
    assert_int_equal(u->core.local.beat_last_ms, u->now_ms);
    assert_true(u->core.local.beat.empty);
    free(u);
}

/* Outside of the cluster only /proc tells. */
TEST(outside_hands_must_have_been_seen_empty)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    assert_true(life_no_guest(&u->core, false));
    u->core.local.life.state = LIFE_OUTSIDE;
    assert_false(life_no_guest(&u->core, false));
    u->core.local.life.empty = true;
    assert_true(life_no_guest(&u->core, false));
    free(u);
}

/* A node's VM 0 is of a policy by which time kills it, or of one by which it does not. */
static struct unit *with_policy(uint32_t proof)
{
    struct unit *u = unit_new(2);
    unit_vm(u, 0, VM_RUNNING, OUR_SLOT);
    unit_set(u, "proof", proof);
    unit_start(u);
    u->core.local.run_count = 0;
    return u;
}

/* Every domain and every run whose process may live is a guest; of mortal ones only those count
 * whose death time is to prove. Without libvirt's word there may be any. */
TEST(who_is_a_guest)
{
    static const uint32_t proofs[] = {PROOF_STORAGE, PROOF_STORAGE | PROOF_WATCHDOG};
    for (unsigned i = 0; i < 2; i++) {
        struct unit *u = with_policy(proofs[i]);
        struct local *local = &u->core.local;
        const struct uuid vm = u->image.vms[0].uuid;
        local->domain_count = 1;
        local->domains[0] = (struct domain){.vm = vm, .state = DOMAIN_GONE};
        assert_true(life_no_guest(&u->core, false));
        local->libvirt = false;
        assert_false(life_no_guest(&u->core, false));
        local->libvirt = true;
        local->domains[0].state = DOMAIN_RUNNING;
        assert_false(life_no_guest(&u->core, false));
        assert_int_equal(life_no_guest(&u->core, true), i == 0);
        local->domain_count = 0;
        local->run_count = 1;
        for (enum run_state state = RUN_IDLE; state < RUN_STATE_COUNT; state++) {
            local->runs[0] = (struct run){.vm = vm, .state = state};
            bool gone = state == RUN_IDLE || state >= RUN_BLOCK;
            assert_int_equal(life_no_guest(&u->core, false), gone);
            assert_int_equal(life_no_guest(&u->core, true), gone || i == 0);
        }
        local->run_count = 2; /* one that is gone after one that is not */
        local->runs[0].state = RUN_UP;
        local->runs[1] = (struct run){.vm = vm, .state = RUN_OVER};
        assert_false(life_no_guest(&u->core, false));
        free(u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_no_cluster_is_we_are_outside),
        cmocka_unit_test(empty_hands_are_told_at_once),
        cmocka_unit_test(outside_hands_must_have_been_seen_empty),
        cmocka_unit_test(who_is_a_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
