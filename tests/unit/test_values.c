/* Equality, names, client lists. */
#include "proto/values.h"
#include "tests/unit/unit.h"

/* A UUID is written in one way, and read in either case, with its dashes in place or without any.
 */
TEST(uuids_are_written_and_read)
{
    static const char usual[] = "4c4c4544-0042-3510-8052-b4c04f4d32ff";
    static const char *const same[] = {usual, "4C4C4544-0042-3510-8052-B4C04F4D32FF",
                                       "4c4c4544004235108052b4c04f4d32ff"};
    static const char *const none[] = {
        "",
        "4c4c4544-0042-3510-8052-b4c04f4d32f",
        "4c4c4544-0042-3510-8052-b4c04f4d32ff0",
        "4c4c4544-0042-3510-8052-b4c04f4d32fg",
        "4c4c4544-0042-3510-8052-b4c04f4d32/f",
        "4c4c4544-0042-3510-8052-b4c04f4d32:f",
        "4c4c4544-0042-3510-8052-b4c04f4d32f\x11",
        "4c4c4544-0042-3510-8052=b4c04f4d32ff",
        "4c4c454400423510-8052-b4c04f4d32ff--",
        "4c4c4544004235108052b4c04f4d32fg",
        "4c4c4544004235108052b4c04f4d32f",
    };
    char text[UUID_TEXT_BYTES];
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        struct uuid uuid = {{0}};
        assert_true(uuid_parse(same[i], &uuid));
        assert_int_equal(uuid.bytes[15], 0xff);
        uuid_format(&uuid, text);
        assert_string_equal(text, usual);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        struct uuid uuid = {{7}};
        assert_false(uuid_parse(none[i], &uuid));
        assert_int_equal(uuid.bytes[0], 7); /* nothing is filled in */
    }
}

/* A name is cut to its field, closed by NUL and padded with zeros, so that equal names are equal
 * bytes. */
TEST(names_are_cut_and_padded)
{
    char field[4];
    memset(field, 'x', sizeof(field));
    name_set(field, sizeof(field), "a");
    assert_memory_equal(field, "a\0\0\0", 4);
    name_set(field, sizeof(field), "abcdef");
    assert_string_equal(field, "abc");
    expect_assert_failure(name_set(field, 0, "a"));
}

/* Names are equal as a whole, not by their beginnings. */
TEST(names_are_compared_whole)
{
    assert_true(name_equal("n1", "n1"));
    assert_false(name_equal("n1", "n10"));
    assert_false(name_equal("", "n1"));
}

/* Incarnations, action ids and origins are equal only in all their parts. */
TEST(ids_are_compared_in_all_parts)
{
    assert_true(incarnation_equal((struct incarnation){1, 2}, (struct incarnation){1, 2}));
    assert_false(incarnation_equal((struct incarnation){1, 2}, (struct incarnation){2, 2}));
    assert_true(incarnation_is_none((struct incarnation){0}));
    assert_false(incarnation_is_none((struct incarnation){0, 1}));
    assert_false(action_id_equal((struct action_id){1, 2}, (struct action_id){1, 3}));
    struct origin a = {1, 2, 3};
    struct origin b = {1, 2, 3};
    assert_true(origin_equal(&a, &b));
    b.agent_start = 9;
    assert_false(origin_equal(&a, &b));
    struct uuid zero = unit_uuid(0);
    struct uuid one = unit_uuid(1);
    assert_true(uuid_is_zero(&zero));
    assert_false(uuid_is_zero(&one));
}

static void check_entry(const char *address, const char *wanted)
{
    struct client client = {{0}};
    name_set(client.address, CLIENT_BYTES, address);
    struct client entry = client_address_entry(&client);
    assert_string_equal(entry.address, wanted);
}

/* The address entry of a client covers every client at its address. */
TEST(address_entries)
{
    check_entry("10.0.0.1:0/123456", "10.0.0.1:0/0");
    check_entry("10.0.0.1:0/0", "10.0.0.1:0/0");
    check_entry("[fd00::1]:0/42", "[fd00::1]:0/0");
    check_entry("10.0.0.1", "10.0.0.1");
    struct client none = {{0}};
    expect_assert_failure(client_address_entry(&none));
}

/* A list holds each client once, takes no "none", and says when it is full. */
TEST(client_lists)
{
    struct clients clients = {0};
    struct client none = {{0}};
    struct client client = unit_client(1, 0);
    assert_true(clients_add(&clients, &none));
    assert_int_equal(clients.count, 0);
    for (uint32_t i = 1; i <= CLIENTS_PER_VM_MAX; i++) {
        client = unit_client(1, i);
        assert_true(clients_add(&clients, &client));
        assert_true(clients_add(&clients, &client));
        assert_int_equal(clients.count, i);
    }
    assert_true(clients_hold(&clients, &client));
    client = unit_client(1, 99);
    assert_false(clients_add(&clients, &client));
    assert_false(clients_hold(&clients, &client));
    assert_int_equal(clients.count, CLIENTS_PER_VM_MAX);
}

/* Two lists are equal when they name the same clients, in whatever order. */
TEST(client_lists_are_sets)
{
    struct clients a = {.count = 2, .list = {unit_client(1, 1), unit_client(1, 2)}};
    struct clients b = {.count = 2, .list = {unit_client(1, 2), unit_client(1, 1)}};
    assert_true(clients_equal(&a, &b));
    b.list[0] = unit_client(1, 3);
    assert_false(clients_equal(&a, &b));
    b.count = 1;
    assert_false(clients_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uuids_are_written_and_read),
        cmocka_unit_test(names_are_cut_and_padded),
        cmocka_unit_test(names_are_compared_whole),
        cmocka_unit_test(ids_are_compared_in_all_parts),
        cmocka_unit_test(address_entries),
        cmocka_unit_test(client_lists),
        cmocka_unit_test(client_lists_are_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
