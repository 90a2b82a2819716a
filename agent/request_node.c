/*
 * Commands about nodes and the cluster.
 *
 * Decides: whether a node may join, be fenced or return now, and what the first version of a new
 * cluster holds. Assumes: called on the acting node with a draft open. Never: fences the acting
 * node, or takes a person's word about a node that is in the ring.
 */
#include "agent/request_validate.h"

#include <string.h>

#include "agent/draft.h"
#include "agent/peers.h"
#include "fencing/timing.h"
#include "proto/assert.h"
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
    struct node_record *node = draft_node(core, 0);
    memcpy(node->name, local->facts.name, NAME_BYTES);
    node->nodeid = local->facts.nodeid;
    node->state = NODE_ADMITTED;
    node->machine = local->facts.machine;
    node->boot = local->facts.boot;
    node->incarnation = (struct incarnation){1, 1};
    node->client = local->storage.client;
    node->bmc = local->facts.bmc;
    node->memory_mib = local->facts.memory_mib;
    node->feature_level = local->facts.feature_level;
    request_entry(core, request, HISTORY_NODE_JOINED, node->nodeid, NULL, "made the cluster");
}

const char *request_node_join(struct core *core, const struct request *request)
{
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *other = draft_peek_node(core, slot);
        if (other->state != NODE_FREE && other->nodeid == request->nodeid) {
            return "this node is in the cluster already";
        }
        if (other->state != NODE_FREE && name_equal(other->name, request->name)) {
            return "another node has that name already";
        }
    }
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        if (draft_peek_node(core, slot)->state == NODE_FREE) {
            struct node_record *node = draft_node(core, slot);
            memcpy(node->name, request->name, NAME_BYTES);
            node->nodeid = request->nodeid;
            node->state = NODE_OUT;
            request_entry(core, request, HISTORY_NODE_JOINED, node->nodeid, NULL, "joined");
            return NULL;
        }
    }
    return "the cluster is full (64 nodes)";
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
    if (node->state == NODE_FENCED || node->state == NODE_OUT) {
        return "it is fenced or out already";
    }
    if (request->vouched && node->state != NODE_LOST && peers_see(core, node->nodeid) != NULL) {
        return "--i-vouch is for a node that is gone, and this one is in the ring";
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
    if (node->state != NODE_FENCED) {
        return "it is not fenced";
    }
    draft_node(core, slot)->unfence_wanted = true;
    request_entry(core, request, HISTORY_REQUEST, node->nodeid, NULL,
                  "unfence asked for: it returns once it is up with empty hands");
    return NULL;
}
