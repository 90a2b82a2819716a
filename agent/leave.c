/*
 * Announced absences.
 *
 * Decides: when the Corosync of this host may end (it asks, as Debian's unit stops it), and on the
 * acting node whose announcement is accepted. A node whose Corosync restarts says so in its
 * heartbeat; the acting node commits away_ms into its record; only then does it let Corosync go. So
 * announced, it is not lost before it has been out of the ring for away_ms by the acting node's own
 * clock: its agent and its guests live on without Corosync, and still read the state from RADOS.
 * Assumes: no safety rests on an announcement. It only puts off a fence, and with it the recovery
 * of a node that dies meanwhile. Never: accepts one that would leave fewer nodes in the ring than
 * the quorum, from a node that is to be fenced, or from another incarnation than the record's.
 */
#include "agent/leave.h"

#include "agent/draft.h"
#include "agent/peers.h"
#include "agent/trace.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"

/* Corosync 3.1 waits 5 s for its clients (cfg.shutdown_timeout), then ends all the same. */
#define WAIT_MS 3000
/* It has not ended so long after it might: somebody changed his mind. */
#define STAYED_MS 15000

void leave_on_event(struct core *core, enum leaving why, bool forced)
{
    struct local *local = &core->local;
    if (local->leave.why == LEAVING_HOST) {
        return; /* there is no way back */
    }
    local->leave = (struct leave){.why = why, .forced = forced, .asked_ms = local->now_ms};
    peers_hurry(core);
}

static bool announced(const struct core *core)
{
    uint8_t slot = state_find_node(&core->cluster, core->local.facts.nodeid);
    return slot != NODE_NONE && core->cluster.nodes[slot].away_ms != 0 &&
           state_incarnation_lives(&core->cluster, slot, core->local.life.incarnation);
}

void leave_carry_on(struct core *core, struct caller *caller)
{
    struct leave *leave = &core->local.leave;
    if (leave->why != LEAVING_RING) {
        return;
    }
    uint64_t waited_ms = caller->now_ms - leave->asked_ms;
    if (leave->let_go) {
        leave->why = waited_ms < STAYED_MS ? LEAVING_RING : LEAVING_NOT;
        return;
    }
    bool outside = core->local.life.state != LIFE_ADMITTED; /* nothing here can be lost */
    bool agreed = announced(core) || outside;
    if (!agreed && waited_ms < WAIT_MS) {
        return;
    }
    leave->let_go = true;
    leave->why = agreed || leave->forced ? LEAVING_RING : LEAVING_NOT;
    actions_add(caller->out, ACTION_LET_GO)->let_go.agreed = agreed;
    trace_words(caller, agreed ? "Corosync may end here: the others know"
                               : "Corosync should not end here now: the others do not expect it");
}

/* Would the ring stay quorate without this one and those that have announced theirs? */
static bool rest_is_quorate(const struct core *core, uint32_t slot)
{
    uint32_t rest = 0;
    for (uint32_t other = 0; other < NODES_MAX; other++) {
        const struct node_record *node = draft_peek_node(core, other);
        const struct peer *peer = peers_see(core, node->nodeid);
        bool stays = node->state == NODE_ADMITTED && node->away_ms == 0 && other != slot;
        rest += stays && peer != NULL && peers_speaks(core, peer);
    }
    return rest >= core->local.ring.quorum;
}

static void draft_away(struct core *core, uint32_t slot, uint32_t away_ms)
{
    struct node_record *node = draft_node(core, slot);
    struct text text = {0};
    node->away_ms = away_ms;
    text_add(text_add(&text, node->name),
             away_ms != 0 ? " announces a restart of its Corosync: no failure, up to "
                          : " is back from its announced absence");
    if (away_ms != 0) {
        text_add(text_add_u64(&text, away_ms), " ms");
    }
    draft_history(core, away_ms != 0 ? HISTORY_NODE_AWAY : HISTORY_NODE_BACK, node->nodeid, NULL,
                  text.bytes)
        ->number = away_ms;
}

void leave_draft(struct core *core, uint32_t slot, const struct beat *beat)
{
    const struct node_record *node = draft_peek_node(core, slot);
    uint32_t leave_ms = core->cluster.settings.leave_ms;
    ASSERT(node->state == NODE_ADMITTED);
    ASSERT(beat->nodeid == node->nodeid);
    bool asks = beat->leaving == LEAVING_RING;
    if (asks && node->away_ms == 0 && leave_ms != 0 && rest_is_quorate(core, slot)) {
        draft_away(core, slot, leave_ms);
    } else if (!asks && node->away_ms != 0) {
        draft_away(core, slot, 0);
    }
}

bool leave_covers(const struct core *core, const struct node_record *node)
{
    ASSERT(peers_see(core, node->nodeid) == NULL);
    return node->away_ms != 0 && peers_absent_ms(core, node->nodeid) < node->away_ms;
}
