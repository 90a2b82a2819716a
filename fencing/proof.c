/*
 * Proof of death.
 *
 * Decides: whether what is known of a lost node releases its VMs. The barrier is always required:
 * no other proof stops a write that already left the host (seen landing 14.5 s later).
 * Never: takes an order that was carried out for a proof (power is off once a device, asked anew,
 * reads off), or time passed, but for the time in which an armed watchdog must have fired.
 */
#include "fencing/proof.h"

#include <string.h>

#include "proto/assert.h"
#include "proto/text.h"

#define PROOFS_ALWAYS (PROOF_REBORN | PROOF_CLEAN | PROOF_OPERATOR)
#define PROOFS_ALL (PROOF_STORAGE | PROOF_POWER | PROOF_WATCHDOG | PROOFS_ALWAYS)

bool proof_suffices(uint32_t proofs, uint32_t policy)
{
    ASSERT((proofs & ~(uint32_t)PROOFS_ALL) == 0);
    ASSERT((policy & ~(uint32_t)PROOFS_ALL) == 0);
    if ((proofs & PROOF_STORAGE) == 0) {
        return false;
    }
    return (proofs & (policy | PROOFS_ALWAYS)) != 0;
}

bool proof_rests_on_time(uint32_t policy)
{
    ASSERT((policy & ~(uint32_t)PROOFS_ALL) == 0);
    return (policy & PROOF_WATCHDOG) != 0; /* none at all: a newer release's words, unknown here */
}

uint32_t proof_known(uint32_t words)
{
    return words & PROOFS_ALL;
}

void proof_text(uint32_t proofs, char *ret_text)
{
    static const struct {
        uint32_t bit;
        const char *word;
    } words[] = {{PROOF_STORAGE, "storage"},   {PROOF_POWER, "power"},
                 {PROOF_REBORN, "reborn"},     {PROOF_CLEAN, "clean"},
                 {PROOF_OPERATOR, "operator"}, {PROOF_WATCHDOG, "watchdog"}};
    ASSERT((proofs & ~(uint32_t)PROOFS_ALL) == 0);
    struct text text = {0};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (proofs & words[i].bit) {
            text_add(text_add(&text, text.length ? "+" : ""), words[i].word);
        }
    }
    text_add(&text, text.length ? "" : "none");
    memcpy(ret_text, text.bytes, TEXT_BYTES);
}
