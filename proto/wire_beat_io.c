/* The heartbeat on the wire, with the answers and observations it carries. */
#include <string.h>

#include "proto/wire_inner_io.h"

_Static_assert((int)STEAD__OBSERVATION_KIND__OBSERVED_BY_HAND == OBSERVED_BY_HAND, "message.h");
_Static_assert((int)STEAD__LEAVING__LEAVING_HOST == LEAVING_COUNT - 1, "message.h");

_Static_assert((int)STEAD__WATCHDOG_WORD__WATCHDOG_ARMED == WATCHDOG_WORD_COUNT - 1, "message.h");

#define OBSERVATION_KIND_COUNT (OBSERVED_BY_HAND + 1)

bool wire_beat_ok(const struct beat *beat)
{
    if (beat->answer_count > NODES_MAX || beat->observation_count > OBSERVATIONS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < beat->observation_count; i++) {
        const struct observation *observation = &beat->observations[i];
        if (!wire_text_ok(observation->reason, sizeof(observation->reason))) {
            return false;
        }
    }
    return wire_text_ok(beat->name, sizeof(beat->name)) &&
           wire_text_ok(beat->trouble, TEXT_BYTES) &&
           wire_text_ok(beat->mark.reason, sizeof(beat->mark.reason)) &&
           wire_text_ok(beat->client.address, CLIENT_BYTES) &&
           wire_text_ok(beat->bmc.address, ADDRESS_BYTES) && wire_devices_ok(beat->devices);
}

static Stead__BeatAnswer *answer_to_pb(struct wire_arena *arena, const struct beat_answer *answer)
{
    Stead__BeatAnswer *pb = wire_arena_get(arena, sizeof(*pb));
    stead__beat_answer__init(pb);
    pb->nodeid = answer->nodeid;
    pb->agent_start = answer->agent_start;
    pb->sent_ms = answer->sent_ms;
    return pb;
}

static Stead__Observation *observation_to_pb(struct wire_arena *arena,
                                             const struct observation *observation)
{
    Stead__Observation *pb = wire_arena_get(arena, sizeof(*pb));
    stead__observation__init(pb);
    pb->slot = observation->slot;
    pb->vm = wire_uuid_to_pb(&observation->vm);
    pb->kind = (Stead__ObservationKind)observation->kind;
    pb->action = wire_action_id_to_pb(arena, &observation->action);
    pb->generation = observation->generation;
    pb->lease = (Stead__LeaseState)observation->lease;
    pb->lease_holder = observation->lease_holder;
    pb->lease_incarnation = wire_incarnation_to_pb(arena, &observation->lease_incarnation);
    pb->reason = wire_text_to_pb(observation->reason);
    pb->end = (Stead__DomainEnd)observation->end;
    pb->up_ms = observation->up_ms;
    pb->trouble = (Stead__VmTrouble)observation->trouble;
    return pb;
}

static void lists_to_pb(struct wire_arena *arena, const struct beat *beat, Stead__Beat *pb)
{
    pb->n_answers = beat->answer_count;
    pb->answers = wire_arena_get(arena, NODES_MAX * sizeof(pb->answers[0]));
    for (uint32_t i = 0; i < beat->answer_count; i++) {
        pb->answers[i] = answer_to_pb(arena, &beat->answers[i]);
    }
    pb->n_observations = beat->observation_count;
    pb->observations = wire_arena_get(arena, OBSERVATIONS_MAX * sizeof(pb->observations[0]));
    for (uint32_t i = 0; i < beat->observation_count; i++) {
        pb->observations[i] = observation_to_pb(arena, &beat->observations[i]);
    }
}

static Stead__Mark *mark_to_pb(struct wire_arena *arena, const struct mark *mark)
{
    Stead__Mark *pb = wire_arena_get(arena, sizeof(*pb));
    stead__mark__init(pb);
    pb->epoch = mark->epoch;
    pb->decided = mark->decided;
    pb->version = mark->version;
    pb->reason = wire_text_to_pb(mark->reason);
    return pb;
}

static bool mark_from_pb(const Stead__Mark *pb, struct beat *ret_beat)
{
    if (pb == NULL) {
        return true;
    }
    ret_beat->halted = true;
    ret_beat->mark.epoch = pb->epoch;
    ret_beat->mark.decided = pb->decided;
    ret_beat->mark.version = pb->version;
    return wire_text_from_pb(pb->reason, ret_beat->mark.reason, TEXT_BYTES);
}

Stead__Beat *wire_beat_to_pb(struct wire_arena *arena, const struct beat *beat)
{
    Stead__Beat *pb = wire_arena_get(arena, sizeof(*pb));
    stead__beat__init(pb);
    pb->nodeid = beat->nodeid;
    pb->agent_start = beat->agent_start;
    pb->sent_ms = beat->sent_ms;
    pb->epoch = beat->epoch;
    pb->version = beat->version;
    pb->term = beat->term;
    pb->digest = beat->digest;
    pb->machine = wire_uuid_to_pb(&beat->machine);
    pb->boot = wire_uuid_to_pb(&beat->boot);
    pb->incarnation = wire_incarnation_to_pb(arena, &beat->incarnation);
    pb->client = wire_text_to_pb(beat->client.address);
    pb->bmc = wire_bmc_to_pb(arena, &beat->bmc);
    pb->devices = wire_devices_to_pb(arena, beat->devices, &pb->n_devices);
    pb->name = wire_text_to_pb(beat->name);
    pb->memory_mib = beat->memory_mib;
    pb->feature_level = beat->feature_level;
    pb->able = beat->able;
    pb->storage = beat->storage;
    pb->empty = beat->empty;
    pb->wants_answer = beat->wants_answer;
    pb->trouble = wire_text_to_pb(beat->trouble);
    pb->alarms = beat->alarms;
    pb->leaving = (Stead__Leaving)beat->leaving;
    pb->halted = beat->halted ? mark_to_pb(arena, &beat->mark) : NULL;
    pb->restarts = beat->restarts;
    pb->suspended_ms = beat->suspended_ms;
    pb->libvirt = beat->libvirt;
    pb->watchdog = (Stead__WatchdogWord)beat->watchdog;
    pb->watchdog_fires_ms = beat->watchdog_fires_ms;
    pb->watchdog_vouch_ms = beat->watchdog_vouch_ms;
    lists_to_pb(arena, beat, pb);
    return pb;
}

static bool observation_from_pb(const Stead__Observation *pb, struct observation *ret_observation)
{
    if (pb->slot >= VMS_MAX || !wire_enum_ok((int)pb->kind, OBSERVATION_KIND_COUNT) ||
        !wire_enum_ok((int)pb->lease, LEASE_STATE_COUNT) ||
        !wire_enum_ok((int)pb->end, END_COUNT) ||
        !wire_enum_ok((int)pb->trouble, VM_TROUBLE_COUNT)) {
        return false;
    }
    ret_observation->slot = pb->slot;
    ret_observation->kind = (enum observation_kind)pb->kind;
    ret_observation->generation = pb->generation;
    ret_observation->lease = (enum lease_state)pb->lease;
    ret_observation->lease_holder = pb->lease_holder;
    ret_observation->end = (enum domain_end)pb->end;
    ret_observation->up_ms = pb->up_ms;
    ret_observation->trouble = (enum vm_trouble)pb->trouble;
    wire_action_id_from_pb(pb->action, &ret_observation->action);
    wire_incarnation_from_pb(pb->lease_incarnation, &ret_observation->lease_incarnation);
    return wire_uuid_from_pb(&pb->vm, &ret_observation->vm) &&
           wire_text_from_pb(pb->reason, ret_observation->reason, TEXT_BYTES);
}

static bool lists_from_pb(const Stead__Beat *pb, struct beat *ret_beat)
{
    if (pb->n_answers > NODES_MAX || pb->n_observations > OBSERVATIONS_MAX) {
        return false;
    }
    ret_beat->answer_count = (uint32_t)pb->n_answers;
    for (size_t i = 0; i < pb->n_answers; i++) {
        ret_beat->answers[i].nodeid = pb->answers[i]->nodeid;
        ret_beat->answers[i].agent_start = pb->answers[i]->agent_start;
        ret_beat->answers[i].sent_ms = pb->answers[i]->sent_ms;
    }
    ret_beat->observation_count = (uint32_t)pb->n_observations;
    for (size_t i = 0; i < pb->n_observations; i++) {
        if (!observation_from_pb(pb->observations[i], &ret_beat->observations[i])) {
            return false;
        }
    }
    return true;
}

bool wire_beat_from_pb(const Stead__Beat *pb, struct beat *ret_beat)
{
    memset(ret_beat, 0, sizeof(*ret_beat));
    if (!wire_enum_ok((int)pb->leaving, LEAVING_COUNT) ||
        !wire_enum_ok((int)pb->watchdog, WATCHDOG_WORD_COUNT)) {
        return false;
    }
    ret_beat->leaving = (enum leaving)pb->leaving;
    ret_beat->watchdog = (enum watchdog_word)pb->watchdog;
    ret_beat->watchdog_fires_ms = pb->watchdog_fires_ms;
    ret_beat->watchdog_vouch_ms = pb->watchdog_vouch_ms;
    ret_beat->nodeid = pb->nodeid;
    ret_beat->agent_start = pb->agent_start;
    ret_beat->sent_ms = pb->sent_ms;
    ret_beat->epoch = pb->epoch;
    ret_beat->version = pb->version;
    ret_beat->term = pb->term;
    ret_beat->digest = pb->digest;
    ret_beat->memory_mib = pb->memory_mib;
    ret_beat->feature_level = pb->feature_level;
    ret_beat->able = pb->able;
    ret_beat->storage = pb->storage;
    ret_beat->empty = pb->empty;
    ret_beat->wants_answer = pb->wants_answer;
    ret_beat->alarms = pb->alarms;
    ret_beat->restarts = pb->restarts;
    ret_beat->suspended_ms = pb->suspended_ms;
    ret_beat->libvirt = pb->libvirt;
    wire_incarnation_from_pb(pb->incarnation, &ret_beat->incarnation);
    return wire_uuid_from_pb(&pb->machine, &ret_beat->machine) &&
           wire_uuid_from_pb(&pb->boot, &ret_beat->boot) &&
           wire_client_from_pb(pb->client, &ret_beat->client) &&
           wire_text_from_pb(pb->trouble, ret_beat->trouble, TEXT_BYTES) &&
           wire_bmc_from_pb(pb->bmc, &ret_beat->bmc) &&
           wire_devices_from_pb(pb->devices, pb->n_devices, ret_beat->devices) &&
           wire_name_from_pb(pb->name, NAME_REQUIRED, ret_beat->name, sizeof(ret_beat->name)) &&
           mark_from_pb(pb->halted, ret_beat) && lists_from_pb(pb, ret_beat);
}
