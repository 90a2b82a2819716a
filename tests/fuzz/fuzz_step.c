/*
 * A node that has been told lies: what other agents send and what lies in RADOS, decoded and given
 * to the core. It may decide badly; it may not fall.
 *
 * The input is a row of: one byte what, two bytes how long, so many bytes. The core is n2 of three
 * nodes, fresh, with a VM in each state. With the byte's bit 2 the lie is a likely one: it names
 * this cluster, its peers, its VMs, the next version; the rest is as told.
 */
#include "proto/wire_io.h"
#include "tests/unit/unit_core.h"

#define FUZZ_OWN_PANIC /* unit.h has one */
#include "tests/fuzz/fuzz.h"

#define STEPS_MAX 12

static struct unit *u;
static struct core *fresh;
static uint64_t fresh_ms;
static struct event_ring fresh_ring;
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
    fresh_ring = u->ring;
}

/* ---- lies that would be believed */

static void likely_header(struct header *header)
{
    const struct header *copy = &u->core.cluster.header;
    header->cluster_id = copy->cluster_id;
    header->epoch = copy->epoch;
    header->term = copy->term + header->term % 3 - 1;
    header->version = copy->version + 1;
}

static void likely_beat(struct beat *beat)
{
    const struct beat *usual = &u->peers[1 + 2 * (beat->nodeid % 2)]; /* n1 or n3 */
    beat->nodeid = usual->nodeid;
    beat->agent_start = usual->agent_start;
    beat->machine = usual->machine;
    beat->boot = usual->boot;
    beat->incarnation = usual->incarnation;
    for (uint32_t i = 0; i < beat->observation_count; i++) {
        struct observation *observation = &beat->observations[i];
        const struct vm_record *vm = &u->core.cluster.vms[observation->slot % VM_STATE_COUNT];
        observation->slot %= VM_STATE_COUNT;
        observation->vm = vm->uuid;
        observation->action = vm->action;
    }
}

/* Its digest is right: whoever can send it can compute it. */
static void likely_delta(struct delta *delta)
{
    likely_header(&delta->header);
    delta->base_term = u->core.cluster.header.term;
    for (uint32_t i = 0; i < delta->count; i++) {
        const enum record_kind kind = delta->records[i].kind;
        if (kind == RECORD_VM || kind == RECORD_NODE) {
            delta->records[i].slot %= VM_STATE_COUNT;
        }
    }
    delta->header.digest = state_digest_after(&u->core.cluster, delta);
}

static void make_likely(void)
{
    if (message.kind == MESSAGE_BEAT) {
        likely_beat(&message.beat);
    } else if (message.kind == MESSAGE_DELTA) {
        likely_delta(&message.delta);
    } else if (message.kind == MESSAGE_REQUEST) {
        message.request.id.nodeid = message.request.id.nodeid % UNIT_NODES + 1;
        message.request.id.agent_start = 1000 + message.request.id.nodeid;
    } else {
        message.reply.id.nodeid = u->facts.nodeid;
        message.reply.id.agent_start = u->facts.agent_start;
    }
}

static void send_message(const uint8_t *data, size_t size, bool likely)
{
    if (wire_unpack_message(data, size, &message) < 0) {
        return;
    }
    if (likely) {
        make_likely();
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

static void answer_poll(const uint8_t *data, size_t size, bool likely)
{
    struct event event = unit_event(EVENT_POLL, u->core.local.storage.poll_call.id);
    if (wire_unpack_header(data, size, &event.poll.header) == 0 && event.id != 0) {
        if (likely) {
            likely_header(&event.poll.header);
        }
        event.poll.outcome = OUTCOME_DONE;
        unit_step(u, &event);
    }
}

static void answer_lease(const uint8_t *data, size_t size, bool likely)
{
    struct action asked;
    struct event event = unit_event(EVENT_LEASE, 0);
    if (wire_unpack_lease(data, size, &event.lease.lease) == 0 &&
        (unit_find(u, ACTION_LEASE_READ, &asked) || unit_find(u, ACTION_LEASE_CHANGE, &asked))) {
        event.id = asked.id;
        event.lease.outcome = asked.kind == ACTION_LEASE_READ ? OUTCOME_DONE : OUTCOME_REFUSED;
        event.lease.has_lease = true;
        if (likely) {
            event.lease.lease.cluster_id = u->core.cluster.header.cluster_id;
            event.lease.lease.vm =
                asked.kind == ACTION_LEASE_READ ? asked.vm.uuid : asked.lease.lease.vm;
        }
        unit_step(u, &event);
    }
}

static void one_step(unsigned what, const uint8_t *data, size_t size)
{
    const bool likely = (what & 4) != 0;
    switch (what % 4) {
    case 0:
        send_message(data, size, likely);
        break;
    case 1:
        answer_poll(data, size, likely);
        break;
    case 2:
        answer_lease(data, size, likely);
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
    u->ring = fresh_ring;
    u->log_count = 0;
    u->polls_hang = (size & 1) != 0; /* then the input answers the polls */
    if ((size & 2) != 0) {           /* Corosync breaks ties; how many count, the input says */
        const uint32_t alone[] = {2};
        u->ring.tie = TIE_TWO_NODE;
        u->ring.quorum = 1;
        unit_ring(u, true, 1, alone);
    }
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
