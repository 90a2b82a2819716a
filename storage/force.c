/*
 * A force: a majority of the nodes is lost for ever, and a person says so.
 *
 * Decides: what the state says then. The nodes that are not here are vouched dead and, where they
 * had a life, lost: each is fenced as ever, its VMs wait for the barrier, so no disk gets a second
 * writer even if the person is wrong. From then on they do not count for the quorum
 * (storage/state.c) until they are admitted anew. Nodes that are here keep their lives and their
 * VMs. Epoch, term and version go up, so nothing that the lost majority had under way can land.
 * Assumes: the image's digest was right, and it replaces that very version. Never: does this where
 * more than half are here, or while one of the absent still writes to the state.
 */
#include "storage/force.h"

#include <string.h>

#include "proto/assert.h"
#include "proto/values.h"
#include "storage/state.h"

static uint64_t bit(uint32_t slot)
{
    return UINT64_C(1) << slot;
}

uint64_t force_absent(const struct cluster *image, uint64_t here)
{
    uint64_t absent = 0;
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        if (state_counts(&image->nodes[slot]) && (here & bit(slot)) == 0) {
            absent |= bit(slot);
        }
    }
    ASSERT((absent & here) == 0);
    return absent;
}

static void add_names(struct text *text, const struct cluster *image, uint64_t mask)
{
    const char *between = "";
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        if ((mask & bit(slot)) != 0) {
            text_add(text_add(text, between), image->nodes[slot].name);
            between = ", ";
        }
    }
}

/* Somebody must be here who can go on: in a life, or to be admitted anew. */
static bool somebody_can(const struct cluster *image, uint64_t here)
{
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        const struct node_record *node = &image->nodes[slot];
        bool can = node->state == NODE_ADMITTED || node->state == NODE_OUT;
        if ((here & bit(slot)) != 0 && can && state_counts(node)) {
            return true;
        }
    }
    return false;
}

bool force_allowed(const struct cluster *image, const struct force *force, struct text *ret_text)
{
    const uint64_t absent = force_absent(image, force->here);
    const uint32_t all = mask_count(state_counting(image));
    *ret_text = (struct text){0};
    if (absent == 0) {
        text_add(ret_text, "all nodes that count are here: nobody is lost");
    } else if (all - mask_count(absent) > all / 2) {
        text_add(ret_text, "more than half of the nodes that count are here: this is no loss of a "
                           "majority; see stead node fence --i-vouch, stead node remove");
    } else if ((absent & force->alive) != 0) {
        add_names(ret_text, image, absent & force->alive);
        text_add(ret_text,
                 mask_count(absent & force->alive) == 1 ? " still writes" : " still write");
        text_add(ret_text,
                 " to the state: not lost. Mend the network, or power off for good first");
    } else if (!somebody_can(image, force->here)) {
        text_add(ret_text, "no node that is here may go on, each was given up itself; bring back ");
        add_names(ret_text, image, absent);
    } else {
        return true;
    }
    return false;
}

static struct history_entry *note(struct cluster *image, const struct force *force,
                                  enum history_kind kind, const struct text *cause)
{
    struct header *header = &image->header;
    uint64_t sequence = header->next_history == 0 ? 1 : header->next_history;
    struct history_entry *entry = &image->history[sequence % HISTORY_MAX];
    memset(entry, 0, sizeof(*entry));
    entry->sequence = sequence;
    entry->wall_ms = force->wall_ms;
    entry->term = header->term;
    entry->kind = kind;
    name_set(entry->cause, TEXT_BYTES, cause->bytes);
    header->next_history = sequence + 1;
    return entry;
}

/* As a term would name it lost, and vouched dead. */
static void give_up(struct cluster *image, const struct force *force, uint32_t slot)
{
    struct node_record *node = &image->nodes[slot];
    node->fence_wanted = false;
    node->unfence_wanted = false;
    node->away_ms = 0;
    if (node->state != NODE_ADMITTED) { /* its fence, if there is to be one, is under way or done */
        node->proofs |= PROOF_OPERATOR;
        return;
    }
    node->state = NODE_LOST;
    node->client_only = false;
    node->proofs = PROOF_OPERATOR;
    node->fence_term = image->header.term;
    struct text text = {0};
    text_add(text_add(&text, node->name), " (incarnation ");
    text_add_incarnation(&text, node->incarnation);
    text_add(text_add(&text, ") lost: vouched dead with a majority, by "), force->by);
    note(image, force, HISTORY_NODE_LOST, &text)->nodeid = node->nodeid;
}

void force_image(struct cluster *image, const struct force *force)
{
    struct header *header = &image->header;
    const uint64_t absent = force_absent(image, force->here);
    struct text text;
    ASSERT(force->start != 0);
    bool allowed = force_allowed(image, force, &text);
    ASSERT(allowed);
    header->epoch++;
    header->term++;
    header->version++;
    header->actor = 0;
    header->actor_start = 0;
    header->members &= force->here;
    header->commit = (struct origin){0, force->start, 1};
    add_names(text_add(&text, "epoch goes on without "), image, absent);
    text_add(text_add(&text, ": a majority is lost for ever, by "), force->by);
    note(image, force, HISTORY_FORCED, &text)->number = mask_count(absent);
    for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
        if ((absent & bit(slot)) != 0) {
            give_up(image, force, slot);
        }
    }
    header->digest = state_digest(image);
    ASSERT(state_counting(image) != 0);
}
