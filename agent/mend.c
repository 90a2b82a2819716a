/*
 * Mending the state object.
 *
 * Decides: when the acting node reads the whole object to see whether it is sound (every minute,
 * and soon when another agent has the storage but no copy), and which of its records are written
 * anew from the copy. Safe because a commit compares the object's guard: it takes effect only if
 * the object is of the very version that our copy, whose digest was checked, is of. So damage is
 * found while somebody still holds what was damaged, not at the next restart. Never: makes an
 * object that is gone, or overwrites one that is another, or older: whether that was meant only a
 * person knows.
 */
#include "agent/mend.h"

#include <string.h>

#include "agent/actor.h"
#include "agent/draft.h"
#include "agent/peers.h"
#include "proto/assert.h"
#include "proto/digest.h"
#include "proto/text.h"
#include "storage/state.h"

#define LOOK_MS 60000

/* An agent that has the storage and yet no copy: what it reads must be damaged. */
static bool somebody_is_blind(const struct core *core)
{
    for (uint32_t i = 0; i < core->local.peer_count; i++) {
        const struct peer *peer = &core->local.peers[i];
        if (peers_speaks(core, peer) && peer->beat.storage && peer->beat.version == 0) {
            return true;
        }
    }
    return false;
}

void mend_act(struct core *core)
{
    struct acting *acting = &core->local.acting;
    uint64_t now_ms = core->local.now_ms;
    uint64_t pace_ms = somebody_is_blind(core) ? core->cluster.settings.retry_ms : LOOK_MS;
    ASSERT(actor_holds(core));
    if (acting->look_ms == 0) {
        acting->look_ms = now_ms; /* of the last look: a new term looks a pace later */
    } else if (now_ms - acting->look_ms >= pace_ms) {
        acting->look_ms = now_ms;
        core->local.storage.look = true;
    }
}

static void note(struct core *core, enum record_kind kind, uint32_t slot, bool differs)
{
    struct acting *acting = &core->local.acting;
    if (differs && acting->mend_count < MENDS_MAX) { /* the rest after these */
        acting->mends[acting->mend_count++] = (struct record_name){.kind = kind, .slot = slot};
    }
}

bool mend_holds(const struct core *core, const struct cluster *image)
{
    const struct header *copy = &core->cluster.header;
    ASSERT(image->header.version != 0);
    return image->header.epoch == copy->epoch && image->header.version == copy->version &&
           image->header.digest == copy->digest &&
           state_digest(&core->cluster) == copy->digest; /* one that went astray mends nothing */
}

void mend_compare(struct core *core, const struct cluster *image)
{
    const struct cluster *copy = &core->cluster;
    core->local.acting.mend_count = 0;
    if (!actor_holds(core) || !mend_holds(core, image)) {
        return;
    }
    for (uint32_t i = 0; i < SETTING_SLOTS; i++) {
        note(core, RECORD_SETTING, i,
             digest_setting(i, &image->set[i]) != digest_setting(i, &copy->set[i]));
    }
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        note(core, RECORD_NODE, i,
             digest_node(i, &image->nodes[i]) != digest_node(i, &copy->nodes[i]));
    }
    uint32_t end = image->vm_end > copy->vm_end ? image->vm_end : copy->vm_end;
    for (uint32_t i = 0; i < end; i++) {
        note(core, RECORD_VM, i, digest_vm(i, &image->vms[i]) != digest_vm(i, &copy->vms[i]));
    }
    for (uint32_t i = 0; i < HISTORY_SLOTS; i++) {
        note(core, RECORD_HISTORY, i,
             digest_history(i, &image->history[i]) != digest_history(i, &copy->history[i]));
    }
}

bool mend_draft(struct core *core)
{
    struct acting *acting = &core->local.acting;
    bool header = core->local.storage.trouble == STATE_GARBLED;
    if (acting->mend_count == 0 && !header) {
        return false;
    }
    ASSERT(draft_room(core) > MENDS_MAX);
    for (uint32_t i = 0; i < acting->mend_count; i++) {
        draft_again(core, acting->mends[i].kind, acting->mends[i].slot);
    }
    struct text text = {0};
    text_add(text_add(&text, "the state object was damaged ("), header ? "its header" : "");
    text_add(&text, header && acting->mend_count > 0 ? ", " : "");
    if (acting->mend_count > 0) {
        text_add(text_add_u64(&text, acting->mend_count), " of its records");
    }
    text_add(text_add(&text, "): written anew from the copy of "), core->local.facts.name);
    draft_history(core, HISTORY_STATE, core->local.facts.nodeid, NULL, text.bytes)->number =
        acting->mend_count;
    return true;
}

void mend_on_commit(struct core *core)
{
    struct storage_view *storage = &core->local.storage;
    if (storage->trouble == STATE_GARBLED) {
        storage->trouble = STATE_WELL; /* every commit writes the header */
    }
    storage->look = storage->look || core->local.acting.mend_count > 0;
    core->local.acting.mend_count = 0;
}
