/*
 * Our way to the committed state.
 *
 * Decides: when to open a handle, when to poll, when the copy must be read again. Three doorbells
 * lead to the same door: a delta through CPG, the header polled, a refused commit. What is acted on
 * is only what was read from or committed to RADOS. Assumes: a delta is multicast only after its
 * commit. Never: opens a new handle while guests of a lost life may still run; never takes an image
 * whose digest is wrong, or goes back to an older version.
 */
#include "agent/view.h"

#include "agent/peers.h"
#include "agent/trace.h"
#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"

bool view_recorded(const struct core *core)
{
    uint8_t slot = state_find_node(&core->cluster, core->local.facts.nodeid);
    return slot != NODE_NONE && core->local.storage.handle == HANDLE_OPEN &&
           !client_is_none(&core->local.storage.client) &&
           client_equal(&core->cluster.nodes[slot].client, &core->local.storage.client);
}

void view_note(struct core *core, uint64_t id, enum outcome outcome)
{
    struct storage_view *storage = &core->local.storage;
    if (id < storage->handle_id) {
        return;
    }
    if (outcome == OUTCOME_BLOCKLISTED) {
        storage->blocklisted = true;
        storage->handle = HANDLE_NONE; /* a handle once blocklisted stays useless (measured) */
        storage->client = (struct client){{0}};
        storage->poll_call = (struct call){0};
        storage->read_call = (struct call){0};
    } else if (outcome == OUTCOME_DONE || outcome == OUTCOME_REFUSED ||
               outcome == OUTCOME_MISSING) {
        storage->good_ms = core->local.now_ms;
    }
}

/* Our record, while it names a handle that may be our predecessor's: of this life, or of one that a
 * reboot ended and nobody has fenced (a fence has blocklisted it already). */
static const struct node_record *own_record(const struct core *core)
{
    const struct life *life = &core->local.life;
    uint8_t slot = state_find_node(&core->cluster, core->local.facts.nodeid);
    if (slot == NODE_NONE) {
        return NULL;
    }
    const struct node_record *node = &core->cluster.nodes[slot];
    bool rebooted = life->state == LIFE_OUTSIDE && life->empty &&
                    (node->state == NODE_ADMITTED || node->state == NODE_LOST);
    return life->state == LIFE_ADMITTED || rebooted ? node : NULL;
}

struct client view_announced(const struct core *core)
{
    const struct storage_view *storage = &core->local.storage;
    const struct node_record *node = own_record(core);
    bool hold = node != NULL && !storage->predecessor_blocked && !view_recorded(core);
    return hold ? (struct client){{0}} : storage->client;
}

/* An agent restarted within one life: whatever its predecessor sent and is still under way must
 * fail before the new handle is recorded, or a late commit or lease change of it could land. */
static void end_predecessor(struct core *core, struct caller *caller)
{
    struct storage_view *storage = &core->local.storage;
    const struct node_record *node = own_record(core);
    (void)call_overdue(&storage->predecessor_call, caller->now_ms);
    if (node == NULL || storage->predecessor_blocked || view_recorded(core) ||
        call_open(&storage->predecessor_call) || caller->now_ms < storage->predecessor_retry_ms) {
        return;
    }
    if (client_is_none(&node->client)) {
        storage->predecessor_blocked = true;
        return;
    }
    struct action *action = call_begin(caller, &storage->predecessor_call, ACTION_BLOCK_ADD,
                                       core->cluster.settings.call_ms, false);
    action->block.count = 1;
    action->block.entries[0] = node->client;
}

bool view_on_block(struct core *core, const struct event *event)
{
    struct storage_view *storage = &core->local.storage;
    if (!call_ends(&storage->predecessor_call, event)) {
        return false;
    }
    storage->predecessor_blocked = event->block.outcome == OUTCOME_DONE;
    storage->predecessor_retry_ms = event->now_ms + core->cluster.settings.retry_ms / 4;
    if (storage->predecessor_blocked) {
        peers_hurry(core);
    }
    return true;
}

static bool may_open(const struct core *core)
{
    const struct storage_view *storage = &core->local.storage;
    if (storage->handle != HANDLE_NONE || core->local.now_ms < storage->reopen_ms) {
        return false;
    }
    return !storage->blocklisted || core->local.life.empty;
}

void view_carry_on(struct core *core, struct caller *caller)
{
    struct storage_view *storage = &core->local.storage;
    const struct settings *settings = &core->cluster.settings;
    if (call_overdue(&storage->handle_call, caller->now_ms)) {
        storage->handle = HANDLE_NONE;
    }
    (void)call_overdue(&storage->poll_call, caller->now_ms);
    (void)call_overdue(&storage->read_call, caller->now_ms);
    if (may_open(core)) {
        storage->handle_id = call_begin(caller, &storage->handle_call, ACTION_HANDLE_OPEN,
                                        2 * settings->call_ms, false)
                                 ->id;
        storage->handle = HANDLE_OPENING;
        return;
    }
    if (storage->handle != HANDLE_OPEN) {
        return;
    }
    end_predecessor(core, caller);
    bool behind = storage->stale || (core->cluster.header.version == 0 && !storage->missing);
    if (behind && !call_open(&storage->read_call)) {
        reload_begin(&storage->reload);
        (void)call_begin(caller, &storage->read_call, ACTION_STATE_READ, settings->call_ms, false);
    }
    if (!call_open(&storage->poll_call) && caller->now_ms >= storage->next_poll_ms) {
        struct action *action =
            call_begin(caller, &storage->poll_call, ACTION_POLL, settings->call_ms, false);
        action->poll.write = core->local.life.state == LIFE_ADMITTED && view_recorded(core);
        storage->next_poll_ms = caller->now_ms + settings->poll_ms;
    }
}

void view_on_handle(struct core *core, const struct event *event, struct caller *caller)
{
    struct storage_view *storage = &core->local.storage;
    if (!call_ends(&storage->handle_call, event)) {
        return;
    }
    ASSERT(storage->handle == HANDLE_OPENING);
    storage->handle = HANDLE_NONE;
    storage->reopen_ms = event->now_ms + core->cluster.settings.retry_ms;
    storage->client = (struct client){{0}};
    if (event->handle.outcome == OUTCOME_DONE || event->handle.outcome == OUTCOME_MISSING) {
        storage->handle = HANDLE_OPEN;
        storage->client = event->handle.client;
        storage->blocklisted = false;
        storage->predecessor_blocked = false;
        storage->predecessor_call = (struct call){0};
        storage->stale = true;
        storage->good_ms = event->now_ms;
        storage->next_poll_ms = event->now_ms;
        peers_hurry(core);
        struct text text = {0};
        trace(caller, text_add(text_add(&text, "storage: handle "), storage->client.address));
    } else if (event->handle.outcome == OUTCOME_BLOCKLISTED) {
        storage->blocklisted = true;
    }
}

void view_on_poll(struct core *core, const struct event *event, struct caller *caller)
{
    struct storage_view *storage = &core->local.storage;
    if (!call_ends(&storage->poll_call, event)) {
        return;
    }
    (void)caller;
    view_note(core, event->id, event->poll.outcome);
    if (event->poll.outcome == OUTCOME_MISSING && core->cluster.header.version == 0) {
        storage->missing = true;
    }
    if (event->poll.outcome != OUTCOME_DONE) {
        return;
    }
    storage->missing = false;
    const struct header *header = &event->poll.header;
    const struct header *copy = &core->cluster.header;
    if (header->epoch != copy->epoch || header->version > copy->version) {
        storage->stale = true;
    } else if (header->version == copy->version) {
        storage->newest_ms = event->now_ms;
    }
}

void view_on_state(struct core *core, const struct event *event, struct caller *caller)
{
    struct storage_view *storage = &core->local.storage;
    if (!call_ends(&storage->read_call, event)) {
        return;
    }
    view_note(core, event->id, event->state.outcome);
    if (event->state.outcome == OUTCOME_MISSING && core->cluster.header.version == 0) {
        storage->missing = true;
        storage->stale = false;
    }
    if (event->state.outcome != OUTCOME_DONE) {
        return;
    }
    struct cluster *image = event->state.image;
    bool whole =
        reload_finish(&storage->reload, image, &event->state.last) && image->settings.beat_ms != 0;
    if (!whole) { /* commits we missed got in between, or it is damaged: read again */
        bool still = event->state.first.version == event->state.last.version;
        if (still && !storage->damaged) {
            trace_words(caller, "state: what was read does not match its own digest");
        }
        storage->damaged = still;
        return;
    }
    storage->damaged = false;
    storage->missing = false;
    const struct header *copy = &core->cluster.header;
    if (image->header.epoch == copy->epoch && image->header.version < copy->version) {
        return; /* deltas were faster */
    }
    bool loaded = state_load(&core->cluster, image);
    ASSERT(loaded); /* reload_finish has just compared the same digest */
    storage->stale = false;
    storage->newest_ms = event->now_ms;
}

void view_on_delta(struct core *core, const struct delta *delta, struct caller *caller)
{
    struct storage_view *storage = &core->local.storage;
    if (call_open(&storage->read_call)) {
        reload_keep(&storage->reload, delta);
    }
    if (core->cluster.header.version == 0) {
        return;
    }
    if (state_follows(&core->cluster, delta)) {
        if (!state_apply(&core->cluster, delta)) {
            trace_words(caller, "state: the copy's digest went astray, reading it again");
            storage->stale = true;
        }
        storage->newest_ms = caller->now_ms;
    } else if (delta->header.version > core->cluster.header.version) {
        storage->stale = true;
    }
}
