/* A VM of as many disks as a lease has room to name: whoever is found beside its own clients is
 * barred with them. */
#include "tests/unit/unit_run.h"

#define FIRST 9000     /* nonce of the first client of our QEMU */
#define ELSEWHERE 5000 /* ... of a copy on n3 */

/* One client per disk watches. */
static void watched(struct world *w, const struct action *action, uint32_t nodeid, uint32_t first,
                    uint32_t disks)
{
    struct event event = unit_event(EVENT_WATCHERS, action->id);
    event.watchers.outcome = OUTCOME_DONE;
    event.watchers.image_count = disks;
    for (uint32_t i = 0; i < disks; i++) {
        struct client client = unit_client(nodeid, first + i);
        assert_true(clients_add(&event.watchers.clients, &client));
    }
    unit_step(w->u, &event);
}

static struct world *up_with(uint32_t disks)
{
    struct world *w = world_at(RUN_WATCHERS);
    struct action read = unit_take(w->u, ACTION_WATCHERS_READ);
    watched(w, &read, OURS, FIRST, disks);
    w->nonce = FIRST; /* what the world resumes is one of them */
    world_until(w, RUN_UP);
    assert_int_equal(world_run(w)->lease.clients.count, disks);
    unit_forget(w->u);
    return w;
}

static void assert_barred(const struct action *block, uint32_t nodeid, uint32_t first,
                          uint32_t disks)
{
    for (uint32_t i = 0; i < disks; i++) {
        assert_true(unit_holds(&block->block, unit_client(nodeid, first + i)));
    }
}

TEST(a_moved_guest_is_barred_with_all_its_clients)
{
    for (uint32_t disks = 1; disks <= CLIENTS_PER_VM_MAX; disks++) {
        struct world *w = up_with(disks);
        world_guest_ends(w, END_MIGRATED);
        struct action read = unit_take(w->u, ACTION_WATCHERS_READ);
        watched(w, &read, 3, ELSEWHERE, disks);
        struct action block = unit_take(w->u, ACTION_BLOCK_ADD);
        assert_barred(&block, OURS, FIRST, disks);
        assert_barred(&block, 3, ELSEWHERE, disks);
        world_end(w);
    }
}

/* ... and so is one that died with a lock, seen once the own ones are barred. */
TEST(a_dead_holder_is_barred_beside_all_its_clients)
{
    for (uint32_t disks = 1; disks <= CLIENTS_PER_VM_MAX; disks++) {
        struct world *w = up_with(disks);
        struct client dead = unit_client(3, 4242);
        world_guest_ends(w, END_CRASHED);
        struct action block = unit_take(w->u, ACTION_BLOCK_ADD);
        assert_barred(&block, OURS, FIRST, disks);
        unit_block(w->u, &block, OUTCOME_DONE, block.block.count);
        struct action locks = unit_take(w->u, ACTION_LOCKS_BREAK);
        unit_locks(w->u, &locks, OUTCOME_DONE, dead);
        block = unit_take(w->u, ACTION_BLOCK_ADD);
        assert_true(unit_holds(&block.block, dead));
        world_end(w);
    }
}

/* A guest may have been barred by an entry for its whole host as well. */
TEST(the_check_of_many_clients_asks_for_the_address_too)
{
    struct world *w = world_at(RUN_WATCHERS);
    struct action read = unit_take(w->u, ACTION_WATCHERS_READ);
    watched(w, &read, OURS, FIRST, CLIENTS_PER_VM_MAX);
    world_until(w, RUN_CHECK);
    struct action check = unit_take(w->u, ACTION_BLOCK_CHECK);
    struct client own = unit_client(OURS, FIRST);
    assert_barred(&check, OURS, FIRST, CLIENTS_PER_VM_MAX);
    assert_true(unit_holds(&check.block, client_address_entry(&own)));
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_moved_guest_is_barred_with_all_its_clients),
        cmocka_unit_test(a_dead_holder_is_barred_beside_all_its_clients),
        cmocka_unit_test(the_check_of_many_clients_asks_for_the_address_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
