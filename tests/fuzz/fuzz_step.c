/*
 * A node that has been told lies: what other agents send and what lies in RADOS, decoded and given
 * to the core. It may decide badly; it may not fall.
 *
 * The input is a row of: one byte what, two bytes how long, so many bytes. The core is n2 of three
 * nodes, fresh, with a VM in each state.
 */
#include "proto/wire_io.h"
#include "tests/unit/unit_core.h"

#define FUZZ_OWN_PANIC /* unit.h has one */
#include "tests/fuzz/fuzz.h"

#define STEPS_MAX 12

static struct unit *u;
static struct core *fresh;
static uint64_t fresh_ms;
static struct wire_message message;

static void prepare(void)
{
    u = unit_new(2);
    for (uint32_t i = 0; i < VM_STATE_COUNT; i++) {
        unit_vm(u, i, (enum vm_state)i, (uint8_t)(i % UNIT_NODES));
    }
    unit_start(u);
    fresh = malloc(sizeof(*fresh));
    PROMISE(fresh != NULL);
    memcpy(fresh, &u->core, sizeof(*fresh));
    fresh_ms = u->now_ms;
}

static void send_message(const uint8_t *data, size_t size)
{
    if (wire_unpack_message(data, size, &message) < 0) {
        return;
    }
    struct event event = {.kind = EVENT_KIND_COUNT};
    if (message.kind == MESSAGE_BEAT) { /* in its own name: the edge sees to that */
        event.kind = EVENT_BEAT;
        event.beat = &message.beat;
    } else if (message.kind == MESSAGE_DELTA) {
        event.kind = EVENT_DELTA;
        event.delta = &message.delta;
    } else if (message.kind == MESSAGE_REQUEST) {
        event.kind = EVENT_REQUEST;
        event.request = &message.request;
    } else {
        event.kind = EVENT_REPLY;
        event.reply = message.reply;
    }
    unit_step(u, &event);
}

static void answer_poll(const uint8_t *data, size_t size)
{
    struct action poll;
    struct event event = unit_event(EVENT_POLL, 0);
    if (wire_unpack_header(data, size, &event.poll.header) == 0 &&
        unit_find(u, ACTION_POLL, &poll)) {
        event.id = poll.id;
        event.poll.outcome = OUTCOME_DONE;
        unit_step(u, &event);
    }
}

static void answer_lease(const uint8_t *data, size_t size)
{
    struct action asked;
    struct event event = unit_event(EVENT_LEASE, 0);
    if (wire_unpack_lease(data, size, &event.lease.lease) == 0 &&
        (unit_find(u, ACTION_LEASE_READ, &asked) || unit_find(u, ACTION_LEASE_CHANGE, &asked))) {
        event.id = asked.id;
        event.lease.outcome = asked.kind == ACTION_LEASE_READ ? OUTCOME_DONE : OUTCOME_REFUSED;
        event.lease.has_lease = true;
        unit_step(u, &event);
    }
}

static void one_step(unsigned what, const uint8_t *data, size_t size)
{
    switch (what % 4) {
    case 0:
        send_message(data, size);
        break;
    case 1:
        answer_poll(data, size);
        break;
    case 2:
        answer_lease(data, size);
        break;
    default:
        unit_pass(u, 20 + 20 * (size % 50));
        break;
    }
    u->log_count = u->log_count > UNIT_LOG_MAX / 2 ? 0 : u->log_count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (u == NULL) {
        prepare();
    }
    memcpy(&u->core, fresh, sizeof(*fresh));
    u->now_ms = fresh_ms;
    u->log_count = 0;
    u->polls_hang = false;
    for (int i = 0; i < STEPS_MAX && size >= 3; i++) {
        const unsigned what = data[0];
        size_t length = (size_t)data[1] << 8 | data[2];
        data += 3;
        size -= 3;
        length = length < size ? length : size;
        one_step(what, data, length);
        data += length;
        size -= length;
    }
    return 0;
}
