/* Many VMs on one host: each is found and begun, whatever goes on with the others; and how many
 * there is room for. */
#include "tests/unit/unit_run.h"

/* A uuid of its own for each of more than 256 VMs. */
static struct uuid uuid_of(uint32_t slot)
{
    struct uuid uuid = unit_uuid(0x55);
    memcpy(uuid.bytes, &slot, sizeof(slot));
    return uuid;
}

static struct unit *with_vms(uint32_t count, enum vm_state state)
{
    struct unit *u = unit_new(OURS);
    for (uint32_t slot = 0; slot < count; slot++) {
        unit_vm(u, slot, state, OUR_SLOT)->uuid = uuid_of(slot);
    }
    return u;
}

/* What is assigned here is begun, and waits for a quorum. */
static void start_alone(struct unit *u)
{
    unit_open(u, u->image.nodes[OUR_SLOT].client);
    unit_ring(u, false, 1, (uint32_t[]){OURS});
    unit_domains(u);
}

static void tell(struct unit *u, struct uuid vm, struct action_id action)
{
    struct event event = unit_event(EVENT_DOMAIN, 0);
    event.domain = (struct event_domain){
        .vm = vm, .state = DOMAIN_RUNNING, .mark = MARK_READ, .action = action};
    unit_step(u, &event);
}

/* The actor gives this VM to us. */
static void assign(struct unit *u, uint32_t slot)
{
    (void)unit_foreign(u);
    struct vm_record *vm = unit_foreign_vm(u, slot);
    vm->state = VM_STARTING;
    vm->node = OUR_SLOT;
    vm->incarnation = u->image.nodes[OUR_SLOT].incarnation;
    vm->action.counter += 100;
    unit_foreign_send(u);
}

/* All that an agent finds after a restart is kept, each under its own lease. */
TEST(each_of_several_guests_is_kept)
{
    const uint32_t count = 5;
    struct unit *u = with_vms(count, VM_RUNNING);
    unit_open(u, u->image.nodes[OUR_SLOT].client);
    unit_ring(u, true, u->ring.count, u->ring.nodeids);
    for (uint32_t slot = 0; slot < count; slot++) {
        tell(u, uuid_of(slot), u->image.vms[slot].action);
    }
    unit_domains(u);
    for (uint32_t i = 0; i < count; i++) {
        struct action read = unit_take(u, ACTION_LEASE_READ);
        for (uint32_t slot = 0; slot < count; slot++) {
            struct lease lease = unit_lease(u, slot, OURS);
            if (uuid_equal(&lease.vm, &read.lease.lease.vm)) {
                unit_lease_is(u, &read, OUTCOME_DONE, &lease);
            }
        }
    }
    assert_int_equal(u->core.local.run_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(u->core.local.runs[i].state, RUN_UP);
    }
    free(u);
}

/* Whatever runs here in one slot, a VM of any other is begun. */
TEST(a_vm_is_begun_whichever_other_runs)
{
    const uint32_t slots[] = {0, 1, 63, 64, 65};
    for (unsigned i = 0; i < UNIT_COUNT(slots); i++) {
        for (unsigned j = 0; j < UNIT_COUNT(slots); j++) {
            struct unit *u = unit_new(OURS);
            (void)unit_vm(u, slots[j], VM_STOPPED, NODE_NONE);
            (void)unit_vm(u, slots[i], VM_STARTING, OUR_SLOT);
            start_alone(u);
            assert_int_equal(u->core.local.run_count, 1);
            if (i != j) {
                assign(u, slots[j]);
                assert_int_equal(u->core.local.run_count, 2);
                assert_int_equal(u->core.local.runs[1].slot, slots[j]);
            }
            free(u);
        }
    }
}

/* The slot of a VM that is being ended here holds another by now: that one need not wait. */
TEST(a_vm_in_a_slot_used_again_is_begun_at_once)
{
    struct world *w = world_at(RUN_CREATE);
    (void)unit_foreign(w->u);
    struct vm_record *vm = unit_foreign_vm(w->u, 0);
    vm->uuid = uuid_of(0);
    vm->action.counter += 100;
    unit_foreign_send(w->u);
    assert_int_equal(world_state(w), RUN_DESTROY);
    assert_int_equal(w->u->core.local.run_count, 2);
    assert_true(uuid_equal(&w->u->core.local.runs[1].vm, &vm->uuid));
    assert_int_equal(w->u->core.local.runs[1].state, RUN_TAKE);
    world_end(w);
}

/* One given back to libvirt is let alone, also where its slot holds another VM at once. */
TEST(a_guest_given_back_runs_on_though_its_slot_is_used_again)
{
    struct world *w = world_up();
    (void)unit_foreign(w->u);
    struct vm_record *vm = unit_foreign_vm(w->u, 0);
    vm->uuid = uuid_of(0);
    vm->state = VM_STOPPED;
    vm->node = NODE_NONE;
    unit_foreign_send(w->u);
    world_settle(w, 3000);
    assert_true(w->alive && w->runs);
    assert_int_equal(w->blocked.count, 0);
    assert_int_equal(world_state(w), RUN_IDLE);
    world_end(w);
}

/* More than there is room for: what does not fit waits until something has ended. */
TEST(what_has_no_room_waits)
{
    struct unit *u = with_vms(RUNS_MAX + 1, VM_STARTING);
    start_alone(u);
    unit_pass(u, 100); /* a step begins so many at most */
    assert_int_equal(u->core.local.run_count, RUNS_MAX);
    struct action stranger = {.id = UINT64_MAX};
    unit_lease_is(u, &stranger, OUTCOME_DONE, NULL); /* of no interest to any */
    (void)unit_foreign(u);
    unit_foreign_vm(u, 7)->state = VM_STOPPED;
    unit_foreign_send(u);
    struct action read = unit_take(u, ACTION_LEASE_READ);
    struct lease lease = {.vm = uuid_of(7), .generation = UNIT_GENERATION};
    unit_lease_is(u, &read, OUTCOME_DONE, &lease);
    unit_tick(u);
    assert_int_equal(u->core.local.runs[7].slot, RUNS_MAX);
    assert_int_equal(u->core.local.runs[7].state, RUN_TAKE);
    free(u);
}

/* libvirt lists more domains than there is room for, be they the cluster's or not. */
TEST(what_does_not_fit_into_the_list_is_not_listed)
{
    struct unit *u = unit_new(OURS);
    unit_start(u);
    for (uint32_t i = 0; i <= RUNS_MAX; i++) {
        tell(u, uuid_of(i), (struct action_id){0, 0});
    }
    assert_int_equal(u->core.local.domain_count, RUNS_MAX);
    struct event event = unit_event(EVENT_DOMAIN, 0);
    event.domain = (struct event_domain){.vm = uuid_of(7), .state = DOMAIN_GONE};
    unit_step(u, &event);
    tell(u, uuid_of(RUNS_MAX), (struct action_id){0, 0}); /* now there is room */
    assert_int_equal(u->core.local.domain_count, RUNS_MAX);
    for (uint32_t i = 0; i < RUNS_MAX; i++) {
        assert_false(uuid_equal(&u->core.local.domains[i].vm, &event.domain.vm));
    }
    free(u);
}

/* A heartbeat tells of as many as it holds. */
TEST(what_does_not_fit_into_a_heartbeat_is_told_later)
{
    const uint32_t count = OBSERVATIONS_MAX + 2;
    struct unit *u = with_vms(count, VM_STARTING);
    unit_start(u);
    for (uint32_t i = 0; i < count; i++) {
        struct action take = unit_take(u, ACTION_LEASE_CHANGE);
        unit_lease_is(u, &take, OUTCOME_MISSING, NULL);
    }
    unit_pass(u, 600);
    const struct beat *beat = &u->core.local.beat;
    assert_int_equal(beat->observation_count, OBSERVATIONS_MAX);
    assert_true(uuid_equal(&beat->observations[OBSERVATIONS_MAX - 1].vm,
                           &u->core.local.runs[OBSERVATIONS_MAX - 1].vm));
    (void)unit_foreign(u);
    for (uint32_t slot = 0; slot < 10; slot++) { /* of these it is known by now */
        unit_foreign_vm(u, slot)->state = VM_STOPPED;
    }
    unit_foreign_send(u);
    unit_pass(u, 600);
    assert_int_equal(beat->observation_count, count - 10);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_several_guests_is_kept),
        cmocka_unit_test(a_vm_is_begun_whichever_other_runs),
        cmocka_unit_test(a_vm_in_a_slot_used_again_is_begun_at_once),
        cmocka_unit_test(a_guest_given_back_runs_on_though_its_slot_is_used_again),
        cmocka_unit_test(what_has_no_room_waits),
        cmocka_unit_test(what_does_not_fit_into_the_list_is_not_listed),
        cmocka_unit_test(what_does_not_fit_into_a_heartbeat_is_told_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
