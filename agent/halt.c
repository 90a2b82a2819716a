/*
 * Halted.
 *
 * Decides: what a failed assertion means. The core that failed left a mark with the version of the
 * state it stood on, and was started anew. It is halted: it takes no term, commits nothing, starts,
 * adopts and ends no guest; it still reads the state, answers heartbeats and plays the losing side.
 * Its heartbeat carries the mark. Another node may act on the same version, since the cause may lie
 * in the one that failed; once two have failed on it nobody does, since then it lies in the state,
 * and acting on would only halt the rest. A newer version ends it, or an operator.
 * Newer is one that holds another decision; a term taken, a handle recorded is none, or a state
 * that halts every acting node would look like a new one to each. Assumes: a node whose agent has
 * just fallen silent on a version that halted another may come back with a mark. Never: kills or
 * starts a guest for a failed assertion.
 */
#include "agent/halt.h"

#include <stddef.h>

#include "agent/peers.h"
#include "agent/trace.h"
#include "proto/assert.h"
#include "proto/values.h"

#define MARKS_MAX 2
/* systemd starts an agent again within a second. One that is silent for longer was not just halted.
 */
#define DOUBT_MS 10000

bool halt_here(const struct core *core)
{
    return core->local.halted;
}

static const struct mark *own_mark(const struct core *core)
{
    return core->local.halted ? &core->local.facts.mark : NULL;
}

static const struct mark *mark_of(const struct peer *peer)
{
    return peer->heard && peer->beat.halted ? &peer->beat.mark : NULL;
}

const struct mark *halt_mark(const struct core *core, uint32_t nodeid)
{
    const struct peer *peer = peers_see(core, nodeid);
    if (nodeid == core->local.facts.nodeid) {
        return own_mark(core);
    }
    return peer != NULL ? mark_of(peer) : NULL;
}

static bool on_this_version(const struct core *core, const struct mark *mark)
{
    const struct header *header = &core->cluster.header;
    return mark->epoch == header->epoch && mark->decided == mark_decided(header);
}

/* Heard before, and silent since a moment ago: it may be coming back with a mark. */
static bool doubtful(const struct core *core, const struct peer *peer)
{
    return peer->heard_ms != 0 && !peers_speaks(core, peer) &&
           core->local.now_ms - peer->heard_ms < DOUBT_MS;
}

bool halt_forbids(const struct core *core)
{
    uint32_t marks = 0;
    uint32_t doubts = 0;
    for (uint32_t i = 0; i < core->local.peer_count; i++) {
        const struct peer *peer = &core->local.peers[i];
        bool own = peer->nodeid == core->local.facts.nodeid;
        const struct mark *mark = own ? own_mark(core) : mark_of(peer);
        if (mark != NULL && on_this_version(core, mark)) {
            marks++;
        } else if (doubtful(core, peer)) {
            doubts++;
        }
    }
    ASSERT(marks + doubts <= NODES_MAX);
    return marks > 0 && marks + doubts >= MARKS_MAX;
}

static void end(struct core *core, struct caller *caller, const char *why)
{
    struct text text = {0};
    ASSERT(core->local.halted);
    core->local.halted = false;
    (void)actions_add(caller->out, ACTION_FORGET_MARK);
    trace(caller, text_add(text_add(&text, "self: halted -> "), why));
    peers_hurry(core);
}

void halt_carry_on(struct core *core, struct caller *caller)
{
    const struct header *header = &core->cluster.header;
    const struct mark *mark = &core->local.facts.mark;
    if (!core->local.halted || header->version == 0) {
        return;
    }
    if (header->epoch > mark->epoch ||
        (header->epoch == mark->epoch && mark_decided(header) > mark->decided)) {
        end(core, caller, "at work (the state has moved on from the version that halted it)");
    }
}

bool halt_resume(struct core *core, struct caller *caller)
{
    if (!core->local.halted) {
        return false;
    }
    end(core, caller, "at work (an operator said so)");
    return true;
}
