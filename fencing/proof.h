/* Which proofs release a dead node's VMs. Pure. */
#ifndef STEAD_FENCING_PROOF_H
#define STEAD_FENCING_PROOF_H

#include "proto/types.h"

/* Do these proofs suffice under this policy (masks of enum proof)? The barrier, PROOF_STORAGE, is
 * always needed; over it the policy's proofs, or one of those that always count. */
bool proof_suffices(uint32_t proofs, uint32_t policy);

/* Does one of the policy's proofs come about by time alone, so that a guest must be dead by then,
 * not merely stand still? */
bool proof_rests_on_time(uint32_t policy);

/* The words of a policy that this release knows; a newer one's suffice for nothing here. */
uint32_t proof_known(uint32_t words);

/* A proof mask in words, "storage+power". `ret_text` holds TEXT_BYTES. */
void proof_text(uint32_t proofs, char *ret_text);

#endif
