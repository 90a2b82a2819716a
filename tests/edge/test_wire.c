/* The wire forms: round trips of everything with random contents, and what bytes from outside may
 * not do. Run it under ASan too (make SAN=1 edge-tests). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/assert.h"
#include "wire_random.h"

#define ROUNDS 300

_Noreturn void stead_panic(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, condition);
    abort();
}

static int pack_message(const struct wire_message *message, uint8_t *buffer, size_t size,
                        size_t *ret_size)
{
    switch (message->kind) {
    case MESSAGE_BEAT:
        return wire_pack_beat(&message->beat, buffer, size, ret_size);
    case MESSAGE_DELTA:
        return wire_pack_delta(&message->delta, buffer, size, ret_size);
    case MESSAGE_REQUEST:
        return wire_pack_request(&message->request, buffer, size, ret_size);
    case MESSAGE_REPLY:
        return wire_pack_reply(&message->reply, buffer, size, ret_size);
    case MESSAGE_NONE:
    default:
        return -EINVAL;
    }
}

/* ---- round trips */

struct room { /* large values: one heap block for each test */
    uint8_t bytes[WIRE_BYTES_MAX];
    uint8_t again[WIRE_BYTES_MAX];
    struct wire_message in;
    struct wire_message out;
};

static int room_make(void **state)
{
    *state = calloc(1, sizeof(struct room));
    return *state == NULL ? -1 : 0;
}

static int room_free(void **state)
{
    free(*state);
    return 0;
}

static void test_messages_come_back(void **state)
{
    struct room *r = *state;
    uint64_t seed = 1;
    for (int round = 0; round < ROUNDS; round++) {
        for (int kind = MESSAGE_BEAT; kind <= MESSAGE_REPLY; kind++) {
            size_t size = 0;
            random_message(&seed, (enum message_kind)kind, &r->in);
            assert_int_equal(pack_message(&r->in, r->bytes, sizeof(r->bytes), &size), 0);
            memset(&r->out, 0, sizeof(r->out));
            assert_int_equal(wire_unpack_message(r->bytes, size, &r->out), 0);
            assert_memory_equal(&r->in, &r->out, sizeof(r->in));
            assert_int_equal(pack_message(&r->in, r->again, size - 1, &size), -ENOBUFS);
        }
    }
}

static void test_records_come_back(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int round = 0; round < ROUNDS * 10; round++) {
        struct record in, out;
        uint8_t bytes[2048];
        size_t size = 0;
        random_record(&seed, &in);
        assert_int_equal(wire_pack_record(&in, bytes, sizeof(bytes), &size), 0);
        memset(&out, 0, sizeof(out));
        assert_int_equal(wire_unpack_record(bytes, size, in.kind, in.slot, &out), 0);
        assert_memory_equal(&in, &out, sizeof(in));
        char key[WIRE_KEY_BYTES];
        enum record_kind kind = RECORD_KIND_COUNT;
        uint32_t slot = UINT32_MAX;
        wire_record_key(in.kind, in.slot, key);
        assert_int_equal(wire_parse_key(key, &kind, &slot), 0);
        assert_int_equal(kind, in.kind);
        assert_int_equal(slot, in.slot);
    }
}

/* An emptied value is a sound protobuf message; as a header it is garbled, not version 0. */
static void test_a_header_without_version_is_none(void **state)
{
    (void)state;
    uint64_t seed = 5;
    struct header in, out;
    uint8_t bytes[2048] = {0};
    size_t size = 0;
    assert_int_equal(wire_unpack_header(bytes, 0, &out), -EBADMSG);
    random_header(&seed, &in);
    in.version = 0;
    assert_int_equal(wire_pack_header(&in, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(wire_unpack_header(bytes, size, &out), -EBADMSG);
}

static void test_leases_and_headers_come_back(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int round = 0; round < ROUNDS * 10; round++) {
        struct lease lease_in, lease_out;
        struct header header_in, header_out;
        uint8_t bytes[2048];
        size_t size = 0;
        random_lease(&seed, &lease_in);
        memset(&lease_out, 0, sizeof(lease_out));
        assert_int_equal(wire_pack_lease(&lease_in, bytes, sizeof(bytes), &size), 0);
        assert_int_equal(wire_unpack_lease(bytes, size, &lease_out), 0);
        assert_memory_equal(&lease_in, &lease_out, sizeof(lease_in));
        random_header(&seed, &header_in);
        memset(&header_out, 0, sizeof(header_out));
        assert_int_equal(wire_pack_header(&header_in, bytes, sizeof(bytes), &size), 0);
        assert_int_equal(wire_unpack_header(bytes, size, &header_out), 0);
        assert_memory_equal(&header_in, &header_out, sizeof(header_in));
    }
}

static void test_the_largest_messages_fit(void **state)
{
    struct room *r = *state;
    size_t size = 0;
    uint64_t seed = 4;
    random_message(&seed, MESSAGE_BEAT, &r->in);
    r->in.beat.answer_count = NODES_MAX;
    r->in.beat.observation_count = OBSERVATIONS_MAX;
    for (uint32_t i = 0; i < OBSERVATIONS_MAX; i++) {
        memset(r->in.beat.observations[i].reason, 'x', TEXT_BYTES - 1);
    }
    assert_int_equal(pack_message(&r->in, r->bytes, sizeof(r->bytes), &size), 0);
    assert_int_equal(wire_unpack_message(r->bytes, size, &r->out), 0);
    random_message(&seed, MESSAGE_DELTA, &r->in);
    r->in.delta.count = DELTA_RECORDS_MAX;
    for (uint32_t i = 0; i < DELTA_RECORDS_MAX; i++) {
        struct record *record = &r->in.delta.records[i];
        memset(record, 0, sizeof(*record));
        record->kind = i % 2 == 0 ? RECORD_VM : RECORD_NODE;
        record->slot = i;
        if (record->kind == RECORD_VM) {
            random_vm(&seed, &record->vm);
            memset(record->vm.name, 'x', NAME_BYTES - 1);
            memset(record->vm.reason, 'x', TEXT_BYTES - 1);
        } else {
            random_node(&seed, &record->node);
        }
    }
    assert_int_equal(pack_message(&r->in, r->bytes, sizeof(r->bytes), &size), 0);
    assert_int_equal(wire_unpack_message(r->bytes, size, &r->out), 0);
}

/* ---- bytes from outside */

static void take_or_leave(struct room *r, size_t size)
{
    size_t packed = 0;
    if (wire_unpack_message(r->again, size, &r->out) == 0) { /* then it is a value like any other */
        assert_int_equal(pack_message(&r->out, r->bytes, sizeof(r->bytes), &packed), 0);
    }
}

static void test_damaged_messages_do_no_harm(void **state)
{
    struct room *r = *state;
    uint64_t seed = 5;
    for (int round = 0; round < ROUNDS / 10; round++) {
        for (int kind = MESSAGE_BEAT; kind <= MESSAGE_REPLY; kind++) {
            size_t size = 0;
            random_message(&seed, (enum message_kind)kind, &r->in);
            for (int flip = 0; flip < 200; flip++) {
                assert_int_equal(pack_message(&r->in, r->again, sizeof(r->again), &size), 0);
                for (uint32_t times = 1 + below(&seed, 3); times > 0; times--) {
                    r->again[below(&seed, (uint32_t)size)] ^= (uint8_t)(1u << below(&seed, 8));
                }
                take_or_leave(r, size);
            }
            assert_int_equal(pack_message(&r->in, r->again, sizeof(r->again), &size), 0);
            for (size_t cut = 0; cut < size; cut += 1 + size / 200) {
                take_or_leave(r, cut);
            }
        }
    }
}

static void test_damaged_values_do_no_harm(void **state)
{
    (void)state;
    uint64_t seed = 6;
    for (int round = 0; round < ROUNDS * 30; round++) {
        struct record record;
        struct lease lease;
        struct header header;
        uint8_t bytes[2048], packed[2048];
        size_t size = 0, again = 0;
        random_record(&seed, &record);
        assert_int_equal(wire_pack_record(&record, bytes, sizeof(bytes), &size), 0);
        bytes[below(&seed, (uint32_t)size)] ^= (uint8_t)(1u << below(&seed, 8));
        size = coin(&seed) ? size : below(&seed, (uint32_t)size);
        if (wire_unpack_record(bytes, size, record.kind, record.slot, &record) == 0) {
            assert_int_equal(wire_pack_record(&record, packed, sizeof(packed), &again), 0);
        }
        random_lease(&seed, &lease);
        assert_int_equal(wire_pack_lease(&lease, bytes, sizeof(bytes), &size), 0);
        bytes[below(&seed, (uint32_t)size)] ^= (uint8_t)(1u << below(&seed, 8));
        if (wire_unpack_lease(bytes, size, &lease) == 0) {
            assert_int_equal(wire_pack_lease(&lease, packed, sizeof(packed), &again), 0);
        }
        random_header(&seed, &header);
        assert_int_equal(wire_pack_header(&header, bytes, sizeof(bytes), &size), 0);
        bytes[below(&seed, (uint32_t)size)] ^= (uint8_t)(1u << below(&seed, 8));
        (void)wire_unpack_header(bytes, size, &header);
    }
}

/* A few bytes each on the wire, more in memory: it must end at the arena, not in the heap. */
static void test_a_flood_of_parts_is_refused(void **state)
{
    struct room *r = *state;
    const size_t parts = 60000;
    uint8_t *at = r->again;
    *at++ = 0x0a; /* Message.beat, length as a varint of three bytes */
    const size_t length = parts * 3;
    *at++ = (uint8_t)(0x80 | (length & 0x7f));
    *at++ = (uint8_t)(0x80 | ((length >> 7) & 0x7f));
    *at++ = (uint8_t)(length >> 14);
    for (size_t i = 0; i < parts; i++) {
        *at++ = 0x92; /* Beat.answers, empty */
        *at++ = 0x01;
        *at++ = 0x00;
    }
    assert_int_equal(wire_unpack_message(r->again, (size_t)(at - r->again), &r->out), -EBADMSG);
    assert_int_equal(wire_unpack_message(r->again, WIRE_BYTES_MAX + 1, &r->out), -EBADMSG);
    assert_int_equal(wire_unpack_message(r->again, 0, &r->out), -EBADMSG);
}

static int vm_named(const char *name)
{
    struct record in, out;
    uint8_t bytes[2048];
    size_t size = 0;
    memset(&in, 0, sizeof(in));
    in.kind = RECORD_VM;
    in.vm.state = VM_STOPPED;
    in.vm.node = NODE_NONE;
    snprintf(in.vm.name, sizeof(in.vm.name), "%s", name);
    assert_int_equal(wire_pack_record(&in, bytes, sizeof(bytes), &size), 0);
    return wire_unpack_record(bytes, size, RECORD_VM, 0, &out);
}

static void test_names(void **state)
{
    (void)state;
    const char *const good[] = {"a", "9", "web-1", "A.b_c-", "x--", "node01.example.com"};
    const char *const bad[] = {"", ".a", "-a", "_a", "a b", "a/b", "a\"", "a\n", "\xc3\xa4", "a;b"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(vm_named(good[i]), 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(vm_named(bad[i]), -EBADMSG);
    }
}

static void test_keys(void **state)
{
    (void)state;
    const char *const bad[] = {"",        "node/7",      "node/64",    "node/0x",
                               "node/-1", "vm/10000",    "vm/+0001",   "vm/000001",
                               "guard",   "header",      "setting/80", "settings",
                               "beat/1",  "history/512", "history/12", "vm/ 1234"};
    enum record_kind kind = RECORD_KIND_COUNT;
    uint32_t slot = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(wire_parse_key(bad[i], &kind, &slot), -EBADMSG);
    }
    assert_int_equal(slot, 77);
    char key[WIRE_KEY_BYTES];
    wire_record_key(RECORD_NODE, 7, key);
    assert_string_equal(key, "node/07");
    wire_record_key(RECORD_VM, 42, key);
    assert_string_equal(key, "vm/00042");
    wire_record_key(RECORD_HISTORY, 123, key);
    assert_string_equal(key, "history/0123");
    wire_record_key(RECORD_SETTING, 9, key);
    assert_string_equal(key, "setting/09");
}

/* Each breaks one bound of a value that is otherwise right. */
static void test_bounds(void **state)
{
    struct room *r = *state;
    struct record record, out;
    struct lease lease;
    uint8_t bytes[2048];
    size_t size = 0;
    uint64_t seed = 7;
    memset(&record, 0, sizeof(record));
    record.kind = RECORD_VM;
    random_vm(&seed, &record.vm);
    record.vm.node = NODES_MAX;
    assert_int_equal(wire_pack_record(&record, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(wire_unpack_record(bytes, size, RECORD_VM, 0, &out), -EBADMSG);
    record.vm.node = NODE_NONE;
    record.vm.state = VM_STATE_COUNT;
    assert_int_equal(wire_pack_record(&record, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(wire_unpack_record(bytes, size, RECORD_VM, 0, &out), -EBADMSG);
    assert_int_equal(wire_unpack_record(bytes, size, RECORD_VM, VMS_MAX, &out), -EBADMSG);
    record.vm.state = VM_RUNNING;
    record.vm.class_slot = SETTINGS_MAX - 1; /* a setting's */
    assert_int_equal(wire_pack_record(&record, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(wire_unpack_record(bytes, size, RECORD_VM, 0, &out), -EBADMSG);
    record.vm.class_slot = SETTING_SLOTS;
    assert_int_equal(wire_pack_record(&record, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(wire_unpack_record(bytes, size, RECORD_VM, 0, &out), -EBADMSG);
    memset(record.vm.reason, 'x', TEXT_BYTES); /* no end */
    assert_int_equal(wire_pack_record(&record, bytes, sizeof(bytes), &size), -EINVAL);
    memset(&record, 0, sizeof(record));
    record.kind = RECORD_HISTORY;
    record.slot = 3;
    random_history(&seed, 4, &record.history); /* not the slot of its sequence */
    assert_int_equal(wire_pack_record(&record, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(wire_unpack_record(bytes, size, RECORD_HISTORY, 3, &out), -EBADMSG);
    random_lease(&seed, &lease);
    lease.clients.count = CLIENTS_PER_VM_MAX + 1;
    assert_int_equal(wire_pack_lease(&lease, bytes, sizeof(bytes), &size), -EINVAL);
    lease.clients.count = 1;
    memset(&lease.clients.list[0], 0, sizeof(lease.clients.list[0]));
    strcpy(lease.clients.list[0].address, "10.0.0.1:0/1\",\"x\":\"");
    assert_int_equal(wire_pack_lease(&lease, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(wire_unpack_lease(bytes, size, &lease), -EBADMSG);
    random_message(&seed, MESSAGE_REQUEST, &r->in);
    r->in.request.kind = REQUEST_KIND_COUNT;
    assert_int_equal(pack_message(&r->in, r->bytes, sizeof(r->bytes), &size), 0);
    assert_int_equal(wire_unpack_message(r->bytes, size, &r->out), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_messages_come_back, room_make, room_free),
        cmocka_unit_test(test_records_come_back),
        cmocka_unit_test(test_leases_and_headers_come_back),
        cmocka_unit_test(test_a_header_without_version_is_none),
        cmocka_unit_test_setup_teardown(test_the_largest_messages_fit, room_make, room_free),
        cmocka_unit_test_setup_teardown(test_damaged_messages_do_no_harm, room_make, room_free),
        cmocka_unit_test(test_damaged_values_do_no_harm),
        cmocka_unit_test_setup_teardown(test_a_flood_of_parts_is_refused, room_make, room_free),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_keys),
        cmocka_unit_test_setup_teardown(test_bounds, room_make, room_free),
    };
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
