/* The run lease: what follows what, and whose it is. */
#include "storage/lease.h"
#include "tests/unit/unit.h"

static const struct action_id action = {4, 12};
static const struct incarnation life = {1, 2};

static struct lease taken(void)
{
    struct uuid cluster = unit_uuid(1);
    struct uuid vm = unit_uuid(2);
    return lease_take(&cluster, &vm, 40, 3, life, action);
}

static struct clients two_clients(void)
{
    struct clients clients = {0};
    struct client a = unit_client(3, 71);
    struct client b = unit_client(3, 72);
    (void)clients_add(&clients, &a);
    (void)clients_add(&clients, &b);
    return clients;
}

static struct lease named(void)
{
    struct lease lease = taken();
    struct clients clients = two_clients();
    return lease_name(&lease, &clients);
}

/* Taking a lease raises the generation by one and names holder, life and action, but no client yet.
 */
TEST(take_raises_the_generation_by_one)
{
    struct lease lease = taken();
    assert_int_equal(lease.generation, 41);
    assert_int_equal(lease.state, LEASE_HELD);
    assert_int_equal(lease.holder, 3);
    assert_true(incarnation_equal(lease.incarnation, life));
    assert_true(action_id_equal(lease.action, action));
    assert_int_equal(lease.clients.count, 0);
}

/* Naming clients raises the generation by one and changes nothing else. */
TEST(name_raises_the_generation_by_one)
{
    struct lease before = taken();
    struct clients clients = two_clients();
    struct lease after = lease_name(&before, &clients);
    assert_int_equal(after.generation, 42);
    assert_true(clients_equal(&after.clients, &clients));
    after.generation = before.generation;
    after.clients = before.clients;
    assert_true(lease_is(&before, &after));
}

/* Freeing raises the generation by one and leaves neither holder nor clients. */
TEST(free_raises_the_generation_by_one)
{
    struct lease before = named();
    struct lease after = lease_free(&before, END_CRASHED);
    assert_int_equal(after.end, END_CRASHED);
    assert_int_equal(after.generation, 43);
    assert_int_equal(after.state, LEASE_FREE);
    assert_int_equal(after.holder, 0);
    assert_true(incarnation_is_none(after.incarnation));
    assert_int_equal(after.clients.count, 0);
    assert_true(uuid_equal(&after.vm, &before.vm));
    assert_true(uuid_equal(&after.cluster_id, &before.cluster_id));
}

/* A lease is never taken for nobody, or named without a client. */
TEST(senseless_changes_assert)
{
    struct uuid any = unit_uuid(1);
    struct clients none = {0};
    struct lease held = taken();
    struct lease freed = lease_free(&held, END_STEAD);
    expect_assert_failure(lease_take(&any, &any, 1, 0, life, action));
    expect_assert_failure(lease_take(&any, &any, 1, 3, (struct incarnation){0}, action));
    expect_assert_failure(lease_name(&held, &none));
    expect_assert_failure(lease_name(&freed, &none));
}

/* A free lease can be raised, so that a change under way for its generation fails. */
TEST(a_free_lease_is_raised)
{
    struct lease held = taken();
    struct lease freed = lease_free(&held, END_STEAD);
    struct lease raised = lease_free(&freed, END_STEAD);
    assert_int_equal(raised.state, LEASE_FREE);
    assert_int_equal(raised.generation, freed.generation + 1);
}

/* Only the same node in the same life holds it. */
TEST(held_by_node_and_life)
{
    struct lease lease = named();
    assert_true(lease_held_by(&lease, 3, life));
    assert_false(lease_held_by(&lease, 2, life));
    assert_false(lease_held_by(&lease, 3, (struct incarnation){1, 3}));
    assert_false(lease_held_by(&lease, 3, (struct incarnation){2, 2}));
    lease.state = LEASE_MOVING;
    assert_false(lease_held_by(&lease, 3, life));
    lease.state = LEASE_FREE;
    assert_false(lease_held_by(&lease, 3, life));
}

/* What we find is our own change only if every part of it is. */
TEST(lease_is_compares_every_part)
{
    struct lease wanted = named();
    assert_true(lease_is(&wanted, &wanted));
    struct lease seen[8];
    for (unsigned i = 0; i < UNIT_COUNT(seen); i++) {
        seen[i] = wanted;
    }
    seen[0].generation++;
    seen[1].state = LEASE_FREE;
    seen[2].holder = 2;
    seen[3].incarnation.number++;
    seen[4].action.counter++;
    seen[5].clients.list[1] = unit_client(3, 73);
    seen[6].clients.count = 1;
    seen[7].end = END_STEAD;
    for (unsigned i = 0; i < UNIT_COUNT(seen); i++) {
        assert_false(lease_is(&wanted, &seen[i]));
    }
}

/* A raised lease is ours but for its generation, which never goes back. */
TEST(a_raised_lease_is_ours)
{
    struct lease ours = named();
    struct lease seen = ours;
    assert_false(lease_is_raised(&ours, &seen));
    seen.generation += 9;
    assert_true(lease_is_raised(&ours, &seen));
    assert_false(lease_is_raised(&seen, &ours));
    seen.clients.count = 1;
    assert_false(lease_is_raised(&ours, &seen));
    seen = ours;
    seen.generation += 9;
    seen.state = LEASE_FREE;
    assert_false(lease_is_raised(&ours, &seen));
    ours.state = LEASE_FREE; /* nobody's */
    assert_false(lease_is_raised(&ours, &seen));
}

/* The order in which clients are listed means nothing. */
TEST(lease_is_ignores_the_order_of_clients)
{
    struct lease wanted = named();
    struct lease seen = wanted;
    seen.clients.list[0] = wanted.clients.list[1];
    seen.clients.list[1] = wanted.clients.list[0];
    assert_true(lease_is(&wanted, &seen));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_raises_the_generation_by_one),
        cmocka_unit_test(name_raises_the_generation_by_one),
        cmocka_unit_test(free_raises_the_generation_by_one),
        cmocka_unit_test(senseless_changes_assert),
        cmocka_unit_test(a_free_lease_is_raised),
        cmocka_unit_test(held_by_node_and_life),
        cmocka_unit_test(lease_is_compares_every_part),
        cmocka_unit_test(a_raised_lease_is_ours),
        cmocka_unit_test(lease_is_ignores_the_order_of_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
