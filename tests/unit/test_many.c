/* More VMs, nodes and commands than one step has room for: none is lost, all have their turn. */
#include "agent/draft.h"
#include "agent/nodes.h"
#include "tests/unit/unit_request.h"

#define MANY 600

/* VMs of which each has a UUID of its own. */
static struct unit *with_many(uint32_t self, enum vm_state state, uint8_t node)
{
    struct unit *u = unit_new(self);
    for (uint32_t slot = 0; slot < MANY; slot++) {
        struct vm_record *vm = unit_vm(u, slot, state, node);
        vm->memory_mib = 1;
        memcpy(vm->uuid.bytes, &slot, sizeof(slot));
        vm->uuid.bytes[15] = 1;
    }
    return u;
}

static uint32_t slot_of(const struct uuid *vm)
{
    uint32_t slot;
    memcpy(&slot, vm->bytes, sizeof(slot));
    return slot;
}

/* ---- taken over */

static struct unit *orphans(void)
{
    struct unit *u = with_many(1, VM_RUNNING, N3);
    for (uint32_t slot = 0; slot < MANY; slot++) {
        u->image.vms[slot].incarnation = (struct incarnation){1, 77}; /* proven to be over */
    }
    unit_start(u);
    struct action term = unit_take(u, ACTION_COMMIT);
    unit_forget(u);
    unit_commit_is(u, &term, OUTCOME_DONE, NULL);
    return u;
}

/* The lease of each is read once, at once, in as few steps as there is room for. */
TEST(each_orphan_has_its_turn)
{
    struct unit *u = orphans();
    bool read[MANY] = {false};
    uint32_t count = 0;
    for (uint32_t steps = 0;; steps++) {
        struct action asked;
        assert_true(u->out.count < ACTIONS_EACH + 8);
        while (unit_find(u, ACTION_LEASE_READ, &asked)) {
            assert_false(read[slot_of(&asked.lease.lease.vm)]);
            read[slot_of(&asked.lease.lease.vm)] = true;
            count++;
        }
        if (core_next_ms(&u->core) > u->now_ms) {
            assert_int_equal(steps, 2);
            break;
        }
        unit_tick(u);
    }
    assert_int_equal(count, MANY);
    free(u);
}

/* Those that are answered, and asked again, take no turn of those that were not asked yet. */
TEST(orphans_take_turns)
{
    struct unit *u = orphans();
    uint32_t asked[MANY] = {0};
    for (uint32_t round = 0; round < 9; round++) {
        struct action action;
        struct actions *out = calloc(1, sizeof(*out));
        assert_non_null(out);
        while (unit_find(u, ACTION_LEASE_READ, &action)) {
            out->list[out->count++] = action;
        }
        for (uint32_t i = 0; i < out->count; i++) {
            asked[slot_of(&out->list[i].lease.lease.vm)]++;
        }
        for (uint32_t i = 0; i < MANY; i++) { /* as if all had been answered, and were due */
            struct barrier *barrier = &u->core.local.acting.barriers[i];
            barrier->call = (struct call){0};
            barrier->state = BARRIER_WAITING;
            barrier->retry_ms = 0;
        }
        free(out);
        unit_tick(u);
    }
    for (uint32_t slot = 0; slot < MANY; slot++) {
        assert_in_range(asked[slot], 3, 4); /* nine steps of 256, or nearly, for 600 */
    }
    free(u);
}

/* ---- nodes and commands: asked with a list that others have filled */

static struct unit_alone *filled(const struct unit *u, uint32_t count)
{
    struct unit_alone *alone = unit_alone_new();
    unit_alone_at(alone, u->now_ms);
    alone->out.count = count;
    return alone;
}

/* A fence has room where other work has none, and waits for the next step where it has none. */
TEST(a_fence_waits_for_nobody)
{
    for (uint32_t count = ACTIONS_EACH; count <= ACTIONS_URGENT;
         count += ACTIONS_URGENT - ACTIONS_EACH) {
        struct unit *u = unit_new(1);
        u->image.nodes[N3].state = NODE_LOST;
        u->image.header.members = 3;
        u->ring.count = 2;
        unit_lead(u);
        u->core.local.acting.fences[N3] = (struct fence){0};
        struct unit_alone *alone = filled(u, count);
        nodes_act(&u->core, &alone->caller);
        bool urgent = count == ACTIONS_EACH;
        assert_int_equal(alone->out.count, urgent ? count + 1 : count);
        assert_int_equal(alone->caller.full, !urgent);
        free(alone);
        free(u);
    }
}

/* Commands for which there is no room are sent, and answered, in the next step. */
TEST(commands_take_turns)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    unit_settle(u, 100);
    for (uint32_t i = 0; i < 4; i++) {
        u->core.local.pending[2 * i] = (struct pending){
            .request = command(REQUEST_VM_START, "vm0", i + 1), .deadline_ms = u->now_ms + 1000};
        u->core.local.pending_count++;
    }
    u->core.local.looked_epoch = 0;
    u->core.cluster.history[0].request = u->core.local.pending[6].request.id; /* done */
    u->core.cluster.history[0].sequence = 1;
    struct unit_alone *alone = filled(u, ACTIONS_EACH - 2);
    request_carry_on(&u->core, &alone->caller);
    assert_int_equal(alone->out.count, ACTIONS_EACH);
    assert_true(alone->caller.full);
    unit_alone_at(alone, u->now_ms);
    request_carry_on(&u->core, &alone->caller);
    assert_int_equal(alone->out.count, 2);
    assert_int_equal(alone->out.list[0].kind, ACTION_SEND_REQUEST);
    assert_int_equal(alone->out.list[0].request.id.counter, 3);
    assert_int_equal(alone->out.list[1].kind, ACTION_ANSWER);
    free(alone);
    free(u);
}

/* The acting node refuses those for which there is no room in the next step. */
TEST(refusals_take_turns)
{
    struct unit *u = unit_new(1);
    unit_lead(u);
    unit_settle(u, 100);
    for (uint32_t i = 0; i < 4; i++) {
        u->core.local.acting.inbox[i] = command(REQUEST_VM_START, "no-such", i + 1);
    }
    u->core.local.acting.inbox_count = 4;
    struct unit_alone *alone = filled(u, ACTIONS_EACH - 3);
    draft_begin(&u->core);
    request_draft(&u->core, &alone->caller);
    assert_int_equal(alone->out.count, ACTIONS_EACH);
    assert_true(alone->caller.full);
    assert_int_equal(u->core.local.acting.inbox_count, 1);
    assert_int_equal(u->core.local.acting.inbox[0].id.counter, 4);
    free(alone);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_orphan_has_its_turn),
        cmocka_unit_test(orphans_take_turns),
        cmocka_unit_test(a_fence_waits_for_nobody),
        cmocka_unit_test(commands_take_turns),
        cmocka_unit_test(refusals_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
