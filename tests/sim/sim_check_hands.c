/* The checkers of what an agent says of its own guests, and of what it does once it was told (I2).
 */
#include "proto/values.h"
#include "storage/state.h"
#include "tests/sim/sim_block.h"
#include "tests/sim/sim_check.h"

void sim_check_told(struct sim *sim, const struct sim_call *call, uint32_t index)
{
    const struct sim_guest *guest = &sim->guests[index];
    if (guest->told_us != 0 && call->asked_us > guest->told_us) {
        sim_violation(sim, "I2: %s lets %s run as %s, and was told that it is blocklisted",
                      sim->story->nodes[guest->node].name, sim->story->vms[guest->vm].name,
                      sim_address_client(guest->client).address);
    }
}

/* Is this node taken for one on which no guest of an earlier life runs any more? */
static bool said_empty(const struct node_record *before, const struct node_record *after)
{
    uint32_t confessed = PROOF_CLEAN | PROOF_REBORN;
    bool admitted = after->state == NODE_ADMITTED &&
                    !(before->state == NODE_ADMITTED &&
                      incarnation_equal(before->incarnation, after->incarnation));
    return admitted || (after->proofs & confessed & ~before->proofs) != 0;
}

/* Those that somebody brought there past stead are found later. */
static bool left_over(const struct sim *sim, const struct sim_guest *guest)
{
    return guest->alive && guest->order != 0 && !guest->by_hand && !guest->moved &&
           state_find_vm_uuid(sim->rados.state, &sim->vms[guest->vm].uuid) != VMS_MAX;
}

void sim_check_hands(struct sim *sim, const struct delta *delta)
{
    for (uint32_t i = 0; i < delta->count; i++) {
        const struct record *record = &delta->records[i];
        if (record->kind != RECORD_NODE || record->removed || record->slot >= sim->node_count ||
            !said_empty(&sim->rados.state->nodes[record->slot], &record->node)) {
            continue;
        }
        for (uint32_t g = 0; g < sim->guest_count; g++) {
            const struct sim_guest *guest = &sim->guests[g];
            if (guest->node == record->slot && left_over(sim, guest)) {
                sim_violation(sim, "I2: %s is taken for one without guests, and %s lives there",
                              record->node.name, sim->story->vms[guest->vm].name);
            }
        }
    }
}
