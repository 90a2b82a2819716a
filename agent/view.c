/*
 * Our way to the committed state.
 *
 * Decides: when to open a handle, when to poll, when the copy must be read again. Three doorbells
 * lead to the same door: a delta through CPG, the header polled, a refused commit. What is acted on
 * is only what was read from or committed to RADOS. Assumes: a delta is multicast only after its
 * commit. Never: opens a new handle while guests of a lost life may still run; never takes an image
 * whose digest is wrong, or goes back to an older version than anybody holds.
 */
#include "agent/view.h"

#include <string.h>

#include "agent/mend.h"
#include "agent/peers.h"
#include "agent/tie.h"
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
 * reboot of this machine ended and nobody has fenced. Another machine's handle is not ours to end:
 * it may be another cluster's, well and at work. Or while we are fenced or out: whichever handle it
 * names then was barred by the fence that put us there. */
static const struct node_record *own_record(const struct core *core)
{
    const struct life *life = &core->local.life;
    uint8_t slot = state_find_node(&core->cluster, core->local.facts.nodeid);
    if (slot == NODE_NONE) {
        return NULL;
    }
    const struct node_record *node = &core->cluster.nodes[slot];
    bool rebooted = life->state == LIFE_OUTSIDE && life->empty &&
                    uuid_equal(&node->machine, &core->local.facts.machine) &&
                    (node->state == NODE_ADMITTED || node->state == NODE_LOST);
    bool out = node->state == NODE_OUT || node->state == NODE_FENCED;
    return life->state == LIFE_ADMITTED || rebooted || out ? node : NULL;
}

bool view_predecessor_ended(const struct core *core)
{
    const struct storage_view *storage = &core->local.storage;
    uint8_t slot = state_find_node(&core->cluster, core->local.facts.nodeid);
    ASSERT(slot == NODE_NONE || slot < NODES_MAX);
    return slot != NODE_NONE && storage->predecessor_blocked &&
           client_equal(&core->cluster.nodes[slot].client, &storage->predecessor);
}

struct client view_announced(const struct core *core)
{
    const struct storage_view *storage = &core->local.storage;
    const struct node_record *node = own_record(core);
    enum life_state life = core->local.life.state;
    bool unread = life == LIFE_UNKNOWN || life == LIFE_LOST; /* whose handle we succeed to */
    bool hold = node != NULL && !view_predecessor_ended(core) && !view_recorded(core);
    return unread || hold ? (struct client){{0}} : storage->client;
}

/* An agent restarted within one life: whatever its predecessor sent and is still under way must
 * fail before the new handle is recorded, or a late commit or lease change of it could land. */
static void end_predecessor(struct core *core, struct caller *caller)
{
    struct storage_view *storage = &core->local.storage;
    const struct node_record *node = own_record(core);
    (void)call_overdue(&storage->predecessor_call, caller->now_ms);
    if (node == NULL || view_predecessor_ended(core) || view_recorded(core) ||
        call_open(&storage->predecessor_call) || caller->now_ms < storage->predecessor_retry_ms) {
        return;
    }
    if (node->state == NODE_OUT || node->state == NODE_FENCED || client_is_none(&node->client)) {
        storage->predecessor = node->client;
        storage->predecessor_blocked = true;
        return;
    }
    storage->predecessor = node->client;
    storage->predecessor_blocked = false;
    struct action *action = call_begin(caller, &storage->predecessor_call, ACTION_BLOCK_ADD,
                                       core->cluster.settings.call_ms, false);
    action->block.count = 1;
    action->block.entries[0] = node->client;
}

void view_on_block(struct core *core, const struct event *event)
{
    struct storage_view *storage = &core->local.storage;
    if (!call_ends(&storage->predecessor_call, event)) {
        return;
    }
    storage->predecessor_blocked = event->block.outcome == OUTCOME_DONE;
    storage->predecessor_retry_ms = event->now_ms + core->cluster.settings.retry_ms / 4;
    if (storage->predecessor_blocked) {
        peers_hurry(core);
    }
}

static bool may_open(const struct core *core)
{
    const struct storage_view *storage = &core->local.storage;
    const struct local *local = &core->local;
    bool none = storage->handle == HANDLE_NONE || tie_wants_handle(core);
    if (!none || local->now_ms < storage->reopen_ms) {
        return false;
    }
    if (local->ring.count == 0 && incarnation_is_none(local->life.incarnation)) {
        return false; /* what is in the pool may be another cluster's, and nothing would tell yet */
    }
    return !storage->blocklisted || core->local.life.empty;
}

/* What the object cannot be older than: our copy, and what the others hold. */
static struct known what_is_known(const struct core *core)
{
    const struct header *copy = &core->cluster.header;
    struct known known = {.epoch = copy->epoch, .version = copy->version};
    for (uint32_t i = 0; i < core->local.peer_count; i++) {
        const struct peer *peer = &core->local.peers[i];
        if (peer->heard) {
            health_know(&known, peer->beat.epoch, peer->beat.version);
        }
    }
    return known;
}

bool view_in_epoch(const struct core *core)
{
    struct known known = what_is_known(core);
    ASSERT(known.epoch >= core->cluster.header.epoch);
    return known.epoch == core->cluster.header.epoch;
}

/* Judges a header that was read. */
static enum state_trouble judge(struct core *core, const struct header *read,
                                const struct known *known)
{
    const struct header *copy = &core->cluster.header;
    struct belonging ours = {.cluster_id = copy->cluster_id};
    if (copy->version == 0 && !incarnation_is_none(core->local.life.incarnation)) {
        ours.cluster_id = core->local.facts.cluster_id;
    }
    memcpy(ours.corosync, core->local.ring.cluster, NAME_BYTES);
    enum state_trouble trouble = health_of_belonging(read, &ours);
    if (trouble == STATE_ELSEWHERE) {
        memcpy(core->local.storage.elsewhere, read->corosync, NAME_BYTES);
    }
    return trouble == STATE_WELL ? health_of_header(read, copy, known) : trouble;
}

static void find(struct core *core, enum state_trouble trouble, struct caller *caller)
{
    static const char *const words[STATE_TROUBLE_COUNT] = {
        [STATE_WELL] = "state: the object is well",
        [STATE_GONE] = "state: the object is gone; copies of it are held",
        [STATE_FOREIGN] = "state: the object is another cluster's",
        [STATE_OLDER] = "state: the object is older than a copy that is held, or another",
        [STATE_GARBLED] = "state: the object's header cannot be read",
        [STATE_DAMAGED] = "state: what was read does not match its own digest",
        [STATE_ELSEWHERE] = "state: the object is that of a cluster under another Corosync",
    };
    ASSERT(trouble < STATE_TROUBLE_COUNT);
    if (trouble != core->local.storage.trouble) {
        core->local.storage.trouble = trouble;
        trace_words(caller, words[trouble]);
    }
}

/* There is no such object. No cluster was ever made, as far as we can know; or it is gone. */
static void find_missing(struct core *core, const struct known *known, struct caller *caller)
{
    bool never = known->version == 0 && incarnation_is_none(core->local.life.incarnation);
    core->local.storage.missing = never;
    core->local.storage.stale = core->local.storage.stale && !never;
    find(core, never ? STATE_WELL : STATE_GONE, caller);
}

/* The answer to a read was not the state. */
static void find_unread(struct core *core, enum outcome outcome, bool garbled,
                        const struct known *known, struct caller *caller)
{
    if (outcome == OUTCOME_MISSING) {
        find_missing(core, known, caller);
    } else if (garbled) {
        core->local.storage.good_ms = caller->now_ms; /* RADOS did answer */
        find(core, STATE_GARBLED, caller);
    }
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
        storage->poll_call = (struct call){0};
        storage->read_call = (struct call){0};
        storage->handle_id = call_begin(caller, &storage->handle_call, ACTION_HANDLE_OPEN,
                                        2 * settings->call_ms, false)
                                 ->id;
        storage->handle = HANDLE_OPENING;
    }
    if (storage->handle != HANDLE_OPEN) {
        return;
    }
    end_predecessor(core, caller);
    bool behind = storage->stale || (core->cluster.header.version == 0 && !storage->missing);
    if ((behind || storage->look) && !call_open(&storage->read_call) &&
        caller->now_ms >= storage->next_read_ms) {
        reload_begin(&storage->reload);
        storage->look = false;
        storage->read_known = what_is_known(core);
        storage->read_sent_ms = caller->now_ms;
        (void)call_begin(caller, &storage->read_call, ACTION_STATE_READ, settings->call_ms, false);
    }
    if (!call_open(&storage->poll_call) && caller->now_ms >= storage->next_poll_ms) {
        struct action *action =
            call_begin(caller, &storage->poll_call, ACTION_POLL, settings->call_ms, false);
        action->poll.write = core->local.life.state == LIFE_ADMITTED && view_recorded(core);
        tie_fill_poll(core, action);
        storage->poll_sent_ms = caller->now_ms;
        storage->poll_known = what_is_known(core);
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
        tie_on_refused(core, &event->handle.client);
    }
}

void view_on_poll(struct core *core, const struct event *event, struct caller *caller)
{
    struct storage_view *storage = &core->local.storage;
    if (!call_ends(&storage->poll_call, event)) {
        return;
    }
    view_note(core, event->id, event->poll.outcome);
    tie_on_poll(core, event);
    if (event->poll.outcome != OUTCOME_DONE) {
        find_unread(core, event->poll.outcome, event->poll.garbled, &storage->poll_known, caller);
        return;
    }
    storage->missing = false;
    const struct header *header = &event->poll.header;
    const struct header *copy = &core->cluster.header;
    enum state_trouble trouble = judge(core, header, &storage->poll_known);
    if (trouble != STATE_WELL) {
        find(core, trouble, caller);
        return;
    }
    if (storage->trouble != STATE_DAMAGED) { /* that only a whole read can tell */
        find(core, STATE_WELL, caller);
    }
    if (header->epoch != copy->epoch || header->version > copy->version) {
        storage->stale = true;
        return;
    }
    storage->shown_ms = storage->poll_sent_ms; /* our copy came no earlier than what was read */
    if (header->version == copy->version) {
        storage->newest_ms = event->now_ms;
    }
}

/* A whole image, its records in step with its digest. */
static void take_image(struct core *core, const struct cluster *image, struct caller *caller)
{
    struct storage_view *storage = &core->local.storage;
    const struct header *copy = &core->cluster.header;
    find(core, STATE_WELL, caller);
    storage->missing = false;
    if (image->header.epoch == copy->epoch && image->header.version < copy->version) {
        return; /* deltas were faster */
    }
    bool loaded = state_load(&core->cluster, image);
    ASSERT(loaded); /* reload_finish has just compared the same digest */
    storage->stale = false;
    storage->shown_ms =
        storage->read_sent_ms > storage->shown_ms ? storage->read_sent_ms : storage->shown_ms;
    storage->newest_ms = caller->now_ms;
}

void view_on_state(struct core *core, const struct event *event, struct caller *caller)
{
    struct storage_view *storage = &core->local.storage;
    if (!call_ends(&storage->read_call, event)) {
        return;
    }
    view_note(core, event->id, event->state.outcome);
    storage->next_read_ms = event->now_ms + core->cluster.settings.retry_ms / 4;
    if (event->state.outcome != OUTCOME_DONE) {
        find_unread(core, event->state.outcome, event->state.garbled, &storage->read_known, caller);
        return;
    }
    struct cluster *image = event->state.image;
    enum state_trouble trouble = judge(core, &image->header, &storage->read_known);
    if (trouble != STATE_WELL) {
        find(core, trouble, caller);
        return;
    }
    if (reload_finish(&storage->reload, image, &event->state.last)) {
        take_image(core, image, caller);
    } else if (event->state.first.version == event->state.last.version) {
        find(core, STATE_DAMAGED, caller);
        storage->stale = storage->stale && !mend_holds(core, image);
        mend_compare(core, image);
    } else { /* commits we missed got in between: read again, at once */
        storage->next_read_ms = event->now_ms;
    }
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
