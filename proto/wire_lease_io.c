/* The run lease and the header as values of their own. */
#include <errno.h>
#include <string.h>

#include "proto/wire_inner_io.h"
#include "proto/wire_io.h"

_Static_assert((int)STEAD__LEASE_STATE__LEASE_MOVING == LEASE_STATE_COUNT - 1, "as in types.h");

static bool clients_ok(const struct clients *clients)
{
    if (clients->count > CLIENTS_PER_VM_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < clients->count; i++) {
        if (!wire_text_ok(clients->list[i].address, CLIENT_BYTES)) {
            return false;
        }
    }
    return true;
}

static bool clients_from_pb(const Stead__Lease *pb, struct clients *ret_clients)
{
    if (pb->n_clients > CLIENTS_PER_VM_MAX) {
        return false;
    }
    ret_clients->count = (uint32_t)pb->n_clients;
    for (size_t i = 0; i < pb->n_clients; i++) {
        if (pb->clients[i][0] == '\0' ||
            !wire_client_from_pb(pb->clients[i], &ret_clients->list[i])) {
            return false;
        }
    }
    return true;
}

int wire_pack_lease(const struct lease *lease, uint8_t *buffer, size_t size, size_t *ret_size)
{
    _Alignas(max_align_t) uint8_t bytes[WIRE_ARENA_VALUE_BYTES];
    struct wire_arena arena;
    wire_arena_init(&arena, bytes, sizeof(bytes));
    if (!clients_ok(&lease->clients)) {
        return -EINVAL;
    }
    char *clients[CLIENTS_PER_VM_MAX];
    for (uint32_t i = 0; i < lease->clients.count; i++) {
        clients[i] = wire_text_to_pb(lease->clients.list[i].address);
    }
    Stead__Lease pb = STEAD__LEASE__INIT;
    pb.cluster_id = wire_uuid_to_pb(&lease->cluster_id);
    pb.vm = wire_uuid_to_pb(&lease->vm);
    pb.state = (Stead__LeaseState)lease->state;
    pb.holder = lease->holder;
    pb.incarnation = wire_incarnation_to_pb(&arena, &lease->incarnation);
    pb.action = wire_action_id_to_pb(&arena, &lease->action);
    pb.n_clients = lease->clients.count;
    pb.clients = clients;
    pb.generation = lease->generation;
    pb.end = (Stead__DomainEnd)lease->end;
    return wire_arena_pack(&arena, true, &pb.base, buffer, size, ret_size);
}

int wire_unpack_lease(const uint8_t *data, size_t size, struct lease *ret_lease)
{
    _Alignas(max_align_t) uint8_t bytes[WIRE_ARENA_VALUE_BYTES];
    struct wire_arena arena;
    wire_arena_init(&arena, bytes, sizeof(bytes));
    const Stead__Lease *pb = wire_arena_unpack(&arena, &stead__lease__descriptor, data, size);
    struct lease lease;
    memset(&lease, 0, sizeof(lease));
    if (pb == NULL || !wire_enum_ok((int)pb->state, LEASE_STATE_COUNT) ||
        !wire_uuid_from_pb(&pb->cluster_id, &lease.cluster_id) ||
        !wire_uuid_from_pb(&pb->vm, &lease.vm) || !clients_from_pb(pb, &lease.clients)) {
        return -EBADMSG;
    }
    lease.state = (enum lease_state)pb->state;
    lease.holder = pb->holder;
    lease.generation = pb->generation;
    /* A way to end that only a newer release knows is no reason not to run the VM. */
    lease.end = wire_enum_ok((int)pb->end, END_COUNT) ? (enum domain_end)pb->end : END_UNKNOWN;
    wire_incarnation_from_pb(pb->incarnation, &lease.incarnation);
    wire_action_id_from_pb(pb->action, &lease.action);
    *ret_lease = lease;
    return 0;
}

int wire_pack_header(const struct header *header, uint8_t *buffer, size_t size, size_t *ret_size)
{
    _Alignas(max_align_t) uint8_t bytes[WIRE_ARENA_VALUE_BYTES];
    struct wire_arena arena;
    wire_arena_init(&arena, bytes, sizeof(bytes));
    const Stead__Header *pb = wire_header_to_pb(&arena, header);
    return wire_arena_pack(&arena, true, &pb->base, buffer, size, ret_size);
}

int wire_unpack_header(const uint8_t *data, size_t size, struct header *ret_header)
{
    _Alignas(max_align_t) uint8_t bytes[WIRE_ARENA_VALUE_BYTES];
    struct wire_arena arena;
    wire_arena_init(&arena, bytes, sizeof(bytes));
    const Stead__Header *pb = wire_arena_unpack(&arena, &stead__header__descriptor, data, size);
    struct header header;
    if (!wire_header_from_pb(pb, &header) || header.version == 0) { /* as an emptied value reads */
        return -EBADMSG;
    }
    *ret_header = header;
    return 0;
}
