/* More VMs, nodes and commands than one step has room for: none is lost, all have their turn, and
 * what ends a guest does not wait for what others read. */
#include "agent/draft.h"
#include "agent/nodes.h"
#include "agent/run.h"
#include "tests/unit/unit_request.h"

#define N2 1 /* slot */
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

static void tell_domains(struct unit *u, enum domain_state state)
{
    for (uint32_t slot = 0; slot < MANY; slot++) {
        struct event event = unit_event(EVENT_DOMAIN, 0);
        event.domain = (struct event_domain){
            .vm = u->image.vms[slot].uuid, .state = state, .mark = MARK_UNREADABLE};
        unit_step(u, &event);
    }
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

/* ---- on one host */

/* An agent that is started anew finds all of them, up; or, told by nobody, what they left. */
static struct unit *found(enum vm_state state, bool there)
{
    struct unit *u = with_many(2, state, N2);
    unit_open(u, u->image.nodes[N2].client);
    unit_ring(u, true, UNIT_NODES, u->ring.nodeids);
    if (there) {
        tell_domains(u, DOMAIN_RUNNING);
    }
    unit_forget(u);
    unit_domains(u);
    return u;
}

/* Each is found, and of each the lease is read once, without a pause in between; no line of the
 * trace is left out for it. */
TEST(each_that_is_found_has_its_turn)
{
    for (unsigned there = 0; there < 2; there++) {
        struct unit *u = found(VM_RUNNING, there == 1);
        uint32_t lines = 0;
        uint32_t reads = 0;
        uint32_t steps = 0;
        for (;; steps++) {
            assert_true(u->out.count < ACTIONS_EACH + 8);
            for (uint32_t i = 0; i < u->out.count; i++) {
                lines += u->out.list[i].kind == ACTION_TRACE;
                reads += u->out.list[i].kind == ACTION_LEASE_READ;
            }
            if (core_next_ms(&u->core) > u->now_ms) {
                break;
            }
            unit_forget(u);
            unit_tick(u);
        }
        assert_int_equal(u->core.local.run_count, MANY);
        assert_int_equal(lines, MANY);
        assert_int_equal(reads, MANY);
        assert_in_range(steps, 4, 5);
        free(u);
    }
}

/* All of them are up, as if their leases had been read, and nothing is due. */
static struct unit *all_up(void)
{
    struct unit *u = found(VM_RUNNING, true);
    while (u->core.local.run_count < MANY) {
        unit_forget(u);
        unit_tick(u);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        struct run *run = &u->core.local.runs[i];
        run->state = RUN_UP;
        run->lease = unit_lease(u, run->slot, 2);
        run->call = (struct call){0};
        run->check_ms = UINT64_MAX;
        run->others_ms = UINT64_MAX;
    }
    unit_forget(u);
    return u;
}

/* Those whose lease is due again take no turn of those that were not looked at yet. */
TEST(guests_take_turns)
{
    struct unit *u = all_up();
    uint32_t asked[MANY] = {0};
    for (uint32_t round = 0; round < 9; round++) {
        struct action action;
        for (uint32_t i = 0; i < MANY; i++) { /* as if all had been answered, and were due */
            u->core.local.runs[i].call = (struct call){0};
            u->core.local.runs[i].check_ms = 0;
        }
        unit_tick(u);
        while (unit_find(u, ACTION_LEASE_READ, &action)) {
            asked[slot_of(&action.lease.lease.vm)]++;
        }
    }
    for (uint32_t slot = 0; slot < MANY; slot++) {
        assert_in_range(asked[slot], 3, 4);
    }
    free(u);
}

/* One that must end does so in this very step, however many others are due before it. */
TEST(a_kill_waits_for_nobody)
{
    struct unit *u = all_up();
    struct unit_alone *alone = unit_alone_new();
    struct action action;
    for (uint32_t i = 0; i < MANY; i++) {
        u->core.local.runs[i].check_ms = 0;
    }
    assert_true(
        run_kill(&u->core, &u->image.vms[MANY - 1].uuid, "the test says so", &alone->caller));
    unit_tick(u);
    assert_int_equal(unit_logged(u, ACTION_LEASE_READ), ACTIONS_EACH);
    action = unit_take(u, ACTION_KILL);
    assert_int_equal(slot_of(&action.vm.uuid), MANY - 1);
    free(alone);
    free(u);
}

/* Without a quorum each is told to stand still, without a pause in between, ahead of all reads. */
TEST(all_stand_still)
{
    struct unit *u = all_up();
    bool told[MANY] = {false};
    struct action action;
    uint32_t count = 0;
    unit_ring(u, false, 1, (const uint32_t[]){2});
    for (uint32_t steps = 0;; steps++) {
        assert_in_range(u->out.count, 0, ACTIONS_URGENT + 8);
        while (unit_find(u, ACTION_DOMAIN_SUSPEND, &action)) {
            assert_false(told[slot_of(&action.vm.uuid)]);
            told[slot_of(&action.vm.uuid)] = true;
            count++;
        }
        unit_forget(u);
        if (core_next_ms(&u->core) > u->now_ms) {
            assert_in_range(steps, 1, 2);
            break;
        }
        unit_tick(u);
    }
    assert_int_equal(count, MANY);
    free(u);
}

/* Those that libvirt refuses at once take no turn of those that were not asked yet. */
TEST(those_that_stand_still_take_turns)
{
    struct unit *u = all_up();
    uint32_t asked[MANY] = {0};
    unit_ring(u, false, 1, (const uint32_t[]){2});
    for (uint32_t round = 0; round < 6; round++) {
        struct action action;
        while (unit_find(u, ACTION_DOMAIN_SUSPEND, &action)) {
            asked[slot_of(&action.vm.uuid)]++;
        }
        for (uint32_t i = 0; i < MANY; i++) {
            u->core.local.domains[i].suspend_call = (struct call){0};
        }
        unit_forget(u);
        unit_tick(u);
    }
    for (uint32_t slot = 0; slot < MANY; slot++) {
        assert_in_range(asked[slot], 3, 5); /* six steps of 416, or nearly, for 600 */
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
        cmocka_unit_test(each_that_is_found_has_its_turn),
        cmocka_unit_test(guests_take_turns),
        cmocka_unit_test(a_kill_waits_for_nobody),
        cmocka_unit_test(all_stand_still),
        cmocka_unit_test(those_that_stand_still_take_turns),
        cmocka_unit_test(a_fence_waits_for_nobody),
        cmocka_unit_test(commands_take_turns),
        cmocka_unit_test(refusals_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
