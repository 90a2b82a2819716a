/* Which proofs release a dead node's VMs: every mask against every policy. */
#include "fencing/proof.h"
#include "tests/unit/unit.h"

#define MASKS 64 /* six proofs */

static const uint32_t always = PROOF_REBORN | PROOF_CLEAN | PROOF_OPERATOR;

/* Without the barrier nothing suffices, whatever else is proven. */
TEST(the_barrier_is_always_required)
{
    for (uint32_t policy = 0; policy < MASKS; policy++) {
        for (uint32_t proofs = 0; proofs < MASKS; proofs++) {
            if ((proofs & PROOF_STORAGE) == 0) {
                assert_false(proof_suffices(proofs, policy));
            }
        }
    }
}

/* Behind the barrier, exactly the policy's proofs and those that always count suffice. */
TEST(behind_the_barrier_the_policy_decides)
{
    for (uint32_t policy = 0; policy < MASKS; policy++) {
        for (uint32_t proofs = 0; proofs < MASKS; proofs++) {
            if ((proofs & PROOF_STORAGE) != 0) {
                bool wanted = (proofs & policy) != 0 || (proofs & always) != 0;
                assert_int_equal(proof_suffices(proofs, policy), wanted);
            }
        }
    }
}

/* Under the policy "power" the barrier alone releases nothing; with the power read back off it
 * does. */
TEST(policy_power_waits_for_power)
{
    assert_false(proof_suffices(PROOF_STORAGE, PROOF_POWER));
    assert_true(proof_suffices(PROOF_STORAGE | PROOF_POWER, PROOF_POWER));
}

/* A further proof never takes a release away. */
TEST(more_proof_never_hurts)
{
    for (uint32_t policy = 0; policy < MASKS; policy++) {
        for (uint32_t proofs = 0; proofs < MASKS; proofs++) {
            for (uint32_t more = 0; more < MASKS; more++) {
                if (proof_suffices(proofs, policy)) {
                    assert_true(proof_suffices(proofs | more, policy));
                }
            }
        }
    }
}

/* A proof nobody has heard of is a programmer's error, not a proof. */
TEST(unknown_proofs_assert)
{
    expect_assert_failure(proof_suffices(MASKS, 0));
    expect_assert_failure(proof_suffices(0, MASKS));
}

/* The words people read. */
TEST(words)
{
    char text[TEXT_BYTES];
    proof_text(0, text);
    assert_string_equal(text, "none");
    proof_text(PROOF_STORAGE | PROOF_POWER, text);
    assert_string_equal(text, "storage+power");
    proof_text(MASKS - 1, text);
    assert_string_equal(text, "storage+power+reborn+clean+operator+watchdog");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_barrier_is_always_required),
        cmocka_unit_test(behind_the_barrier_the_policy_decides),
        cmocka_unit_test(policy_power_waits_for_power),
        cmocka_unit_test(more_proof_never_hurts),
        cmocka_unit_test(unknown_proofs_assert),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
