/*
 * A restore.
 *
 * Decides: what a backed-up state says in a new epoch. No life of before counts: nodes that were
 * admitted are out, with no more than their address, and their agents, reading that, end their
 * guests and are admitted anew with empty hands; a VM that was not stopped, or was started since,
 * is recovering from the holder the backup or the lease knows, so it waits for its lease, as it is
 * now, and for the barrier on the clients that lease names. What had been fenced stays fenced. The
 * epoch, the term and the version are above those of the backup and of the object in the pool
 * (where that cannot be read, the epoch is above any there was), so no commit under way can land
 * and every copy is replaced. A lease of which a removal or a start may be under way that the
 * backup does not know of is raised: that of a VM that the state in the pool has no more, or does
 * not have stopped as the backup does. Assumes: the image's digest was right. Never: frees a lease,
 * or makes a VM startable without one.
 */
#include "storage/restore.h"

#include <string.h>

#include "proto/assert.h"
#include "proto/digest.h"
#include "proto/text.h"
#include "proto/values.h"
#include "storage/state.h"

/* Whatever handle it has by now is welcome, the one of then too: a fence under way may not have
 * barred it. But its address may be barred since the backup was made, and whoever takes that entry
 * off must know it. */
static struct client address_of(const struct client *client)
{
    return client_is_none(client) ? *client : client_address_entry(client);
}

static void end_life(struct node_record *node)
{
    node->fence_wanted = false;
    node->unfence_wanted = false;
    node->away_ms = 0;
    if (node->state == NODE_LOST) { /* its entries may stand: as after a fence */
        node->state = NODE_FENCED;
        node->proofs |= PROOF_STORAGE; /* each VM's own barrier is raised anew */
        node->address_blocked = true;
        node->client = address_of(&node->client);
    } else if (node->state == NODE_ADMITTED || node->state == NODE_OUT) {
        node->state = NODE_OUT;
        node->incarnation = (struct incarnation){0};
        node->client = address_of(&node->client);
    }
}

static void orphan(struct vm_record *vm)
{
    ASSERT(vm->state != VM_FREE);
    vm->state = VM_RECOVERING;
    vm->attempts = 0;
    vm->avoid = 0;
    memset(vm->reason, 0, sizeof(vm->reason));
}

static void note(struct cluster *image, const struct restore *restore, uint64_t version)
{
    struct header *header = &image->header;
    uint64_t sequence = header->next_history == 0 ? 1 : header->next_history;
    struct history_entry *entry = &image->history[sequence % HISTORY_MAX];
    struct text text = {0};
    text_add_u64(text_add(&text, "restored from a backup of version "), version);
    text_add(&text, ": what was decided since then is forgotten, by ");
    text_add(&text, restore->by);
    memset(entry, 0, sizeof(*entry));
    entry->sequence = sequence;
    entry->wall_ms = restore->wall_ms;
    entry->term = header->term;
    entry->kind = HISTORY_RESTORED;
    entry->number = version;
    name_set(entry->cause, TEXT_BYTES, text.bytes);
    header->next_history = sequence + 1;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return (a > b ? a : b) + 1;
}

/* What cannot be read may have been an epoch of this very backup, and somebody may hold a copy of
 * it: then the seconds since 1970 are the epoch, which are above all that a person made before. */
static uint64_t epoch_floor(const struct restore *restore)
{
    return restore->version != 0 ? restore->epoch : restore->wall_ms / 1000;
}

void restore_image(struct cluster *image, const struct restore *restore)
{
    struct header *header = &image->header;
    const uint64_t version = header->version;
    ASSERT(version != 0);
    ASSERT(restore->start != 0);
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        end_life(&image->nodes[i]);
    }
    for (uint32_t i = 0; i < image->vm_end; i++) {
        if (image->vms[i].state != VM_FREE && image->vms[i].state != VM_STOPPED) {
            orphan(&image->vms[i]);
        }
    }
    header->epoch = (uint32_t)later(header->epoch, epoch_floor(restore));
    header->term = later(header->term, restore->term);
    header->version = later(version, restore->version);
    memset(header->corosync, 0, NAME_BYTES); /* whichever it is restored under */
    header->actor = 0;
    header->actor_start = 0;
    header->members = 0;
    header->commit = (struct origin){0, restore->start, 1};
    note(image, restore, version);
    header->digest = state_digest(image);
    ASSERT(header->epoch > restore->epoch);
    ASSERT(header->version > restore->version);
}

/* Above any there ever was. */
static uint64_t first_generation(const struct cluster *image)
{
    return ((uint64_t)image->header.epoch << 32) + 1;
}

bool restore_raises(const struct cluster *image, uint32_t slot, const struct cluster *present)
{
    ASSERT(slot < image->vm_end);
    ASSERT(image->vms[slot].state != VM_FREE);
    const uint32_t now =
        present == NULL ? VMS_MAX : state_find_vm_uuid(present, &image->vms[slot].uuid);
    return now == VMS_MAX ||
           (image->vms[slot].state == VM_STOPPED && present->vms[now].state != VM_STOPPED);
}

struct lease restore_raise(const struct cluster *image, uint32_t slot, const struct lease *seen)
{
    const uint64_t first = first_generation(image);
    struct lease lease = *seen;
    ASSERT(slot < image->vm_end);
    ASSERT(uuid_equal(&seen->vm, &image->vms[slot].uuid));
    lease.generation = seen->generation < first ? first : seen->generation + 1;
    return lease;
}

struct lease restore_lease(const struct cluster *image, uint32_t slot,
                           const struct clients *watchers)
{
    const struct vm_record *vm = &image->vms[slot];
    ASSERT(slot < image->vm_end);
    ASSERT(vm->state == VM_STOPPED || vm->state == VM_RECOVERING);
    struct lease lease = {
        .cluster_id = image->header.cluster_id,
        .vm = vm->uuid,
        .state = LEASE_FREE,
        .generation = first_generation(image),
    };
    uint32_t holder = vm->node < NODES_MAX ? image->nodes[vm->node].nodeid : 0;
    if (vm->state == VM_RECOVERING && holder != 0 && !incarnation_is_none(vm->incarnation)) {
        lease.state = LEASE_HELD;
        lease.holder = holder;
        lease.incarnation = vm->incarnation;
        lease.action = vm->action;
        lease.clients = *watchers;
    }
    return lease;
}

/* The start of a VM that stands stopped takes the lease at the generation of its record: never may
 * that be the one of a lease which somebody holds. One that stands stopped and is held was started
 * since: it is recovering, as if the backup knew of it. */
void restore_know(struct cluster *image, uint32_t slot, const struct lease *lease)
{
    ASSERT(slot < image->vm_end);
    struct vm_record *vm = &image->vms[slot];
    ASSERT(uuid_equal(&lease->vm, &vm->uuid));
    image->header.digest -= digest_vm(slot, vm);
    if (lease->state == LEASE_FREE) {
        vm->generation = lease->generation;
    } else if (vm->state == VM_STOPPED) {
        orphan(vm);
        vm->node = state_find_node(image, lease->holder);
        vm->incarnation = lease->incarnation;
    }
    image->header.digest += digest_vm(slot, vm);
}
