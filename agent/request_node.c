/*
 * Commands about nodes and the cluster.
 *
 * Decides: whether a node may join, be fenced, return or be removed now, and what the first version
 * of a new cluster holds. Assumes: called on the acting node with a draft open. Never: fences or
 * removes the acting node, or takes a person's word about a node that is in the ring.
 */
#include "agent/request_validate.h"

#include <string.h>

#include "agent/draft.h"
#include "agent/peers.h"
#include "agent/spare.h"
#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/text.h"
#include "proto/values.h"
#include "storage/state.h"

void request_draft_first(struct core *core, const struct request *request)
{
    const struct local *local = &core->local;
    struct header *header = &core->local.draft.delta.header;
    *header = (struct header){
        .cluster_id = request->uuid,
        .epoch = 1,
        .term = 1,
        .actor = local->facts.nodeid,
        .actor_start = local->facts.agent_start,
        .members = 1,
        .feature_level = local->facts.feature_level,
        .next_incarnation = 2,
        .next_history = 1,
    };
    memcpy(header->corosync, local->ring.cluster, NAME_BYTES);
    struct node_record *node = draft_node(core, 0);
    memcpy(node->name, local->facts.name, NAME_BYTES);
    node->nodeid = local->facts.nodeid;
    node->state = NODE_ADMITTED;
    node->machine = local->facts.machine;
    node->boot = local->facts.boot;
    node->incarnation = (struct incarnation){1, 1};
    node->client = local->storage.client;
    node->bmc = local->facts.bmc;
    memcpy(node->devices, local->facts.devices, sizeof(node->devices));
    node->memory_mib = local->facts.memory_mib;
    node->feature_level = local->facts.feature_level;
    request_entry(core, request, HISTORY_NODE_JOINED, node->nodeid, NULL, "made the cluster");
}

/* Why this node may not join beside `other`, or NULL. */
static const char *clash(struct core *core, const struct request *request,
                         const struct node_record *other)
{
    bool same_name = name_equal(other->name, request->name);
    bool same_id = other->nodeid == request->nodeid;
    struct text text = {0};
    if (other->state == NODE_FREE || other->state == NODE_REMOVED || (!same_name && !same_id)) {
        return NULL;
    }
    if (same_name && same_id) {
        return other->removing
                   ? "its removal is under way; once it is fenced, join again to call it off"
                   : "this node is in the cluster already";
    }
    if (same_id) {
        text_add_u64(text_add(&text, "node id "), other->nodeid);
        text_add(text_add(text_add(&text, " is that of "), other->name),
                 " already: give this node another nodeid in corosync.conf, or remove that one");
    } else {
        text_add(text_add(&text, other->name), " is the name of node id ");
        text_add(text_add_u64(&text, other->nodeid),
                 " already: give this node another name in corosync.conf, or remove that one");
    }
    name_set(core->local.acting.refusal, TEXT_BYTES, text.bytes);
    return core->local.acting.refusal;
}

/* The slot for a node that joins: its own tombstone, a free one, or another's tombstone that nobody
 * in the ring belongs to. */
static uint32_t slot_for(const struct core *core, const struct request *request)
{
    uint32_t free_slot = NODES_MAX;
    uint32_t spare = NODES_MAX;
    for (uint32_t i = NODES_MAX; i > 0; i--) {
        const struct node_record *node = draft_peek_node(core, i - 1);
        if (node->state == NODE_REMOVED && node->nodeid == request->nodeid) {
            return i - 1;
        }
        if (node->state == NODE_FREE) {
            free_slot = i - 1;
        } else if (node->state == NODE_REMOVED && peers_see(core, node->nodeid) == NULL) {
            spare = i - 1;
        }
    }
    return free_slot != NODES_MAX ? free_slot : spare;
}

/* It was fenced, for its removal or before, and that waits for its VMs to find room elsewhere. */
static bool waits_to_go(const struct request *request, const struct node_record *node)
{
    bool ended = node->state == NODE_FENCED || node->state == NODE_OUT;
    return ended && node->removing && node->nodeid == request->nodeid &&
           name_equal(node->name, request->name);
}

const char *request_node_join(struct core *core, const struct request *request)
{
    uint8_t own = state_find_node(&core->cluster, request->nodeid);
    if (own != NODE_NONE && waits_to_go(request, draft_peek_node(core, own))) {
        struct node_record *node = draft_node(core, own);
        node->removing = false;
        node->unfence_wanted = node->state == NODE_FENCED;
        request_entry(core, request, HISTORY_NODE_JOINED, node->nodeid, NULL,
                      "joined again: its removal is called off");
        return NULL;
    }
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const char *refused = clash(core, request, draft_peek_node(core, slot));
        if (refused != NULL) {
            return refused;
        }
    }
    uint32_t slot = slot_for(core, request);
    if (slot == NODES_MAX) {
        return "the cluster is full (64 nodes)";
    }
    struct node_record *node = draft_node(core, slot);
    bool known = node->state == NODE_REMOVED && node->nodeid == request->nodeid;
    if (known && !incarnation_is_none(node->incarnation)) {
        node->state = NODE_FENCED; /* as after a fence: its address entry comes off first */
        node->unfence_wanted = true;
    } else {
        struct client address = node->client; /* since a restore: it may be barred */
        memset(node, 0, sizeof(*node));
        node->state = NODE_OUT;
        node->client = known ? address : node->client;
    }
    memcpy(node->name, request->name, NAME_BYTES);
    node->nodeid = request->nodeid;
    request_entry(core, request, HISTORY_NODE_JOINED, node->nodeid, NULL, "joined");
    return NULL;
}

/* A person's word is about a node that is gone. One that is lost or fenced may be another machine
 * by now, in the place of the one that is gone; not where it says that it is the same, not
 * rebooted. */
static const char *vouch_refuses(const struct core *core, const struct request *request,
                                 const struct node_record *node)
{
    const struct peer *peer = request->vouched ? peers_see(core, node->nodeid) : NULL;
    bool fenced = node->state == NODE_LOST || node->state == NODE_FENCED;
    ASSERT(node->state != NODE_FREE);
    if (peer == NULL || !(fenced || node->state == NODE_ADMITTED)) {
        return NULL;
    }
    bool same = peer->heard && uuid_equal(&peer->beat.machine, &node->machine) &&
                uuid_equal(&peer->beat.boot, &node->boot);
    return fenced && !same ? NULL
                           : "--i-vouch is for a node that is gone, and this one is in the ring: "
                             "power it off first";
}

const char *request_node_fence(struct core *core, const struct request *request)
{
    uint8_t slot = state_find_node_name(&core->cluster, request->name);
    if (slot == NODE_NONE) {
        return "no such node; see stead node list";
    }
    const struct node_record *node = draft_peek_node(core, slot);
    if (node->nodeid == core->local.facts.nodeid) {
        return "that node is acting; give the command when another acts, or power it off";
    }
    bool waits = node->state == NODE_FENCED && request->vouched; /* a VM may, for this word */
    if (node->state != NODE_ADMITTED && node->state != NODE_LOST && !waits) {
        return "it is fenced, out or removed already";
    }
    const char *refused = vouch_refuses(core, request, node);
    if (refused != NULL) {
        return refused;
    }
    struct node_record *next = draft_node(core, slot);
    next->fence_wanted = node->state == NODE_ADMITTED;
    next->proofs |= request->vouched ? (uint32_t)PROOF_OPERATOR : 0;
    request_entry(core, request, HISTORY_REQUEST, node->nodeid, NULL,
                  request->vouched ? "a person vouches that it is dead" : "fence asked for");
    return NULL;
}

const char *request_node_unfence(struct core *core, const struct request *request)
{
    uint8_t slot = state_find_node_name(&core->cluster, request->name);
    if (slot == NODE_NONE) {
        return "no such node; see stead node list";
    }
    const struct node_record *node = draft_peek_node(core, slot);
    if (node->state == NODE_LOST) {
        return "its fence has not ended yet; see stead node show";
    }
    if (node->removing || node->state == NODE_REMOVED) {
        return "it is removed, or about to be: stead cluster join on that node";
    }
    if (node->state == NODE_OUT && spare_out_ms(core, node) > 0) {
        draft_node(core, slot)->losses = 0;
        request_entry(core, request, HISTORY_REQUEST, node->nodeid, NULL,
                      "unfence asked for: it is kept out no longer");
        return NULL;
    }
    if (node->state != NODE_FENCED) {
        return "it is not fenced";
    }
    draft_node(core, slot)->unfence_wanted = true;
    request_entry(core, request, HISTORY_REQUEST, node->nodeid, NULL,
                  "unfence asked for: it returns once it is up with empty hands, and no VM waits "
                  "for a proof of its end");
    return NULL;
}

const char *request_node_remove(struct core *core, const struct request *request)
{
    uint8_t slot = state_find_node_name(&core->cluster, request->name);
    if (slot == NODE_NONE) {
        return "no such node; see stead node list";
    }
    const struct node_record *node = draft_peek_node(core, slot);
    if (node->nodeid == core->local.facts.nodeid) {
        return "that node is acting: systemctl stop stead-agent there, then remove it from another";
    }
    if (node->state == NODE_REMOVED) {
        return "it is removed already";
    }
    const char *refused = vouch_refuses(core, request, node);
    if (refused != NULL) {
        return refused;
    }
    struct node_record *next = draft_node(core, slot);
    next->removing = true;
    next->proofs |= request->vouched ? (uint32_t)PROOF_OPERATOR : 0;
    request_entry(core, request, HISTORY_REQUEST, next->nodeid, NULL,
                  request->vouched ? "removal asked for; a person vouches that it is dead"
                                   : "removal asked for: fenced first, then forgotten");
    return NULL;
}
