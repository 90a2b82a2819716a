/*
 * Corosync as its users see it (measured on 3.1): a lost member is noticed after the token timeout
 * and left out after the consensus timeout (1.2 tokens); a returning one joins in about 1.2 s; in
 * between nothing is delivered and what is sent waits. Members that go from one ring to the next
 * together deliver the same messages before the new view. A host that stood still and goes on holds
 * its old view until the others take it in.
 */
#include "tests/sim/sim_cpg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_hang.h"
#include "tests/sim/sim_votes.h"

#define JOIN_US (1200 * MS)
#define MEND_US (1900 * MS)
#define LEAVE_US (100 * MS)
#define BIT(index) (UINT64_C(1) << (index))

static struct sim_member *member_of(struct sim *sim, uint32_t node)
{
    ASSERT(node < sim->node_count);
    return &sim->cpg.members[node];
}

/* --- messages --- */

struct sim_message *sim_message_new(struct sim *sim, enum message_kind kind, uint32_t from)
{
    struct sim_message *message = sim_pool_take(&sim->pools.messages);
    *message = (struct sim_message){.kind = kind, .from = from, .refs = 1};
    return message;
}

void sim_message_drop(struct sim *sim, struct sim_message *message)
{
    ASSERT(message->refs > 0);
    if (--message->refs == 0) {
        sim_pool_give(&sim->pools.beats, message->beat);
        sim_pool_give(&sim->pools.deltas, message->delta);
        sim_pool_give(&sim->pools.messages, message);
    }
}

static void push(struct sim_message ***list, size_t *count, size_t *room,
                 struct sim_message *message)
{
    if (*count == *room) {
        *room = *room == 0 ? 32 : *room * 2;
        *list = realloc(*list, *room * sizeof(**list));
        ASSERT(*list != NULL);
    }
    (*list)[(*count)++] = message;
}

void sim_message_deliver(struct sim *sim, uint32_t node, struct sim_message *message)
{
    if (sim_hang_keeps(sim, node, message, NULL)) {
        return;
    }
    struct event event = {0};
    switch (message->kind) {
    case MESSAGE_BEAT:
        event.kind = EVENT_BEAT;
        event.beat = message->beat;
        break;
    case MESSAGE_DELTA:
        event.kind = EVENT_DELTA;
        event.delta = message->delta;
        break;
    case MESSAGE_REQUEST:
        event.kind = EVENT_REQUEST;
        event.request = &message->request;
        break;
    case MESSAGE_REPLY:
        event.kind = EVENT_REPLY;
        event.reply = message->reply;
        break;
    case MESSAGE_NONE:
        ASSERT(message->peer_left);
        if (message->from == node) {
            return;
        }
        event.kind = EVENT_PEER_LEFT;
        event.nodeid = message->from + 1;
        break;
    }
    sim_agent_event(sim, node, &event);
}

/* --- rings --- */

static struct sim_ring *ring_new(struct sim *sim, uint64_t members)
{
    struct sim_ring *ring = calloc(1, sizeof(*ring));
    ASSERT(ring != NULL);
    ASSERT(members != 0);
    ring->id = ++sim->cpg.last_ring;
    ring->members = members;
    ring->next = sim->cpg.rings;
    sim->cpg.rings = ring;
    return ring;
}

static void ring_empty(struct sim *sim, struct sim_ring *ring)
{
    for (size_t i = 0; i < ring->count; i++) {
        sim_message_drop(sim, ring->messages[i]);
    }
    free(ring->messages);
    ring->messages = NULL;
    ring->base += ring->count;
    ring->count = 0;
    ring->room = 0;
}

/* Forgets messages that everybody still in this ring has. */
static void ring_trim(struct sim *sim, struct sim_ring *ring)
{
    size_t low = ring->base + ring->count;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        const struct sim_member *member = &sim->cpg.members[n];
        if (member->ring == ring && member->cursor < low) {
            low = member->cursor;
        }
    }
    size_t gone = low - ring->base;
    if (gone < 64 && gone < ring->count) {
        return;
    }
    for (size_t i = 0; i < gone; i++) {
        sim_message_drop(sim, ring->messages[i]);
    }
    for (size_t i = gone; i < ring->count; i++) {
        ring->messages[i - gone] = ring->messages[i];
    }
    ring->base = low;
    ring->count -= gone;
}

/* No token comes by: somebody of its ring is gone from it, or cannot be heard. */
static bool stalled(const struct sim *sim, uint32_t node)
{
    const struct sim_member *member = &sim->cpg.members[node];
    if (member->unsettled || member->mending) {
        return true;
    }
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((member->ring->members & BIT(n)) == 0) {
            continue;
        }
        if (sim->cpg.members[n].ring != member->ring || (member->component & BIT(n)) == 0) {
            return true;
        }
    }
    return false;
}

static void deliver_up_to(struct sim *sim, uint32_t node, size_t end)
{
    struct sim_member *member = member_of(sim, node);
    struct sim_ring *ring = member->ring;
    ASSERT(end <= ring->base + ring->count);
    while (member->ring == ring && member->cursor < end) {
        struct sim_message *message = ring->messages[member->cursor - ring->base];
        message->refs++;
        member->cursor++;
        sim_message_deliver(sim, node, message);
        sim_message_drop(sim, message);
    }
}

static void run_delivery(struct sim *sim, struct sim_task *task)
{
    struct sim_member *member = member_of(sim, task->host);
    if (member->ring == NULL || member->ring->id != task->number || stalled(sim, task->host)) {
        return; /* settled when the next ring forms, or when the token is back */
    }
    deliver_up_to(sim, task->host, (size_t)task->other);
    if (member->ring != NULL) {
        ring_trim(sim, member->ring);
    }
}

static void put_delivery(struct sim *sim, uint32_t node, size_t end)
{
    struct sim_member *member = member_of(sim, node);
    uint64_t at_us = sim->now_us + sim_rng_range(&sim->rng, 200, 1200);
    if (at_us <= member->last_us) {
        at_us = member->last_us + 1;
    }
    member->last_us = at_us;
    sim_put(sim, at_us - sim->now_us, node,
            (struct sim_task){.run = run_delivery, .number = member->ring->id, .other = end});
}

static void ring_put(struct sim *sim, struct sim_ring *ring, struct sim_message *message)
{
    push(&ring->messages, &ring->count, &ring->room, message);
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if (sim->cpg.members[n].ring == ring) {
            put_delivery(sim, n, ring->base + ring->count);
        }
    }
}

/* As the agent does it while Corosync takes nothing: of heartbeats only the newest is kept. */
static void outbox_forget_beat(struct sim *sim, struct sim_member *member,
                               const struct sim_message *next)
{
    for (size_t i = 0; i < member->outbox_count && next->kind == MESSAGE_BEAT; i++) {
        if (member->outbox[i]->kind == MESSAGE_BEAT) {
            sim_message_drop(sim, member->outbox[i]);
            memmove(&member->outbox[i], &member->outbox[i + 1],
                    (member->outbox_count - i - 1) * sizeof(member->outbox[0]));
            member->outbox_count--;
            return;
        }
    }
}

void sim_cpg_send(struct sim *sim, uint32_t node, struct sim_message *message)
{
    struct sim_member *member = member_of(sim, node);
    if (member->ring == NULL) {
        sim_message_drop(sim, message);
    } else if (stalled(sim, node)) {
        outbox_forget_beat(sim, member, message);
        push(&member->outbox, &member->outbox_count, &member->outbox_room, message);
    } else {
        ring_put(sim, member->ring, message);
    }
}

static void outbox_flush(struct sim *sim, uint32_t node)
{
    struct sim_member *member = member_of(sim, node);
    for (size_t i = 0; i < member->outbox_count; i++) {
        ring_put(sim, member->ring, member->outbox[i]);
    }
    member->outbox_count = 0;
}

static void outbox_drop(struct sim *sim, struct sim_member *member)
{
    for (size_t i = 0; i < member->outbox_count; i++) {
        sim_message_drop(sim, member->outbox[i]);
    }
    free(member->outbox);
    member->outbox = NULL;
    member->outbox_count = 0;
    member->outbox_room = 0;
}

/* --- views --- */

uint32_t sim_cpg_detect_ms(const struct sim *sim)
{
    return (uint32_t)(sim->story->token_us * 22 / 10 / MS);
}

void sim_cpg_show(struct sim *sim, uint32_t node)
{
    const struct sim_ring *ring = sim->cpg.members[node].ring;
    struct event event = {.kind = EVENT_RING};
    if (ring == NULL) {
        return;
    }
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((ring->members & BIT(n)) != 0) {
            event.ring.nodeids[event.ring.count++] = n + 1;
        }
    }
    event.ring.quorum = sim_votes_quorum(sim, node);
    event.ring.tie = sim->story->tie;
    event.ring.quorate = sim->hosts[node].votes.quorate;
    event.ring.detect_ms = sim_cpg_detect_ms(sim);
    if (!sim_hang_keeps(sim, node, NULL, &event.ring)) {
        sim_agent_event(sim, node, &event);
    }
}

bool sim_cpg_goes_round(const struct sim *sim, uint32_t node)
{
    return sim->cpg.members[node].ring != NULL && !stalled(sim, node);
}

static bool quorate(const struct sim *sim, uint32_t node)
{
    return sim->cpg.members[node].ring != NULL && sim->hosts[node].votes.quorate;
}

static uint64_t until_us(const struct sim *sim, bool now, uint64_t last_us)
{
    return now ? sim->now_us : last_us;
}

uint64_t sim_cpg_worked_us(const struct sim *sim, uint32_t node)
{
    const struct sim_member *member = &sim->cpg.members[node];
    uint64_t worked_us = until_us(sim, sim_cpg_goes_round(sim, node), member->round_us);
    uint64_t quorate_us = until_us(sim, quorate(sim, node), member->quorate_us);
    uint64_t held_us = sim_votes_held_us(sim, node);
    worked_us = quorate_us < worked_us ? quorate_us : worked_us;
    return held_us < worked_us ? held_us : worked_us;
}

bool sim_cpg_works(const struct sim *sim, uint32_t node)
{
    return sim_cpg_goes_round(sim, node) && quorate(sim, node) && sim_votes_hold(sim, node);
}

/* Before the new view: what was on its way in the old rings reaches a whole group or nobody of it.
 */
static void settle_group(struct sim *sim, struct sim_ring *ring, uint64_t component)
{
    size_t most = ring->base;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        const struct sim_member *member = &sim->cpg.members[n];
        if ((component & BIT(n)) != 0 && member->ring == ring && member->cursor > most) {
            most = member->cursor;
        }
    }
    size_t end = sim->cpg.delivery == DELIVERY_TO_NONE ? most : ring->base + ring->count;
    if (sim->cpg.delivery == DELIVERY_BY_CHANCE) {
        end = (size_t)sim_rng_range(&sim->rng, most, end);
    }
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((component & BIT(n)) != 0 && sim->cpg.members[n].ring == ring) {
            deliver_up_to(sim, n, end);
        }
    }
}

/* Rings that nobody is in any more. */
static void rings_drop_unused(struct sim *sim)
{
    struct sim_ring **link = &sim->cpg.rings;
    while (*link != NULL) {
        struct sim_ring *ring = *link;
        bool used = false;
        for (uint32_t n = 0; n < sim->node_count; n++) {
            used = used || sim->cpg.members[n].ring == ring;
        }
        if (used) {
            link = &ring->next;
        } else {
            *link = ring->next;
            ring_empty(sim, ring);
            free(ring);
        }
    }
}

static bool all_wait_for(const struct sim *sim, uint64_t component, uint64_t number)
{
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((component & BIT(n)) != 0 && sim->cpg.members[n].forming != number) {
            return false; /* overtaken by another change */
        }
    }
    return true;
}

static void enter_ring(struct sim *sim, struct sim_ring *ring)
{
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((ring->members & BIT(n)) != 0) {
            struct sim_member *member = member_of(sim, n);
            member->ring = ring;
            member->cursor = ring->base;
            member->forming = 0;
            member->mending = false;
            member->came_us = sim->now_us;
        }
    }
    rings_drop_unused(sim);
}

static void log_ring(struct sim *sim, uint64_t members)
{
    char text[SIM_LINE_BYTES] = "";
    size_t end = 0;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((members & BIT(n)) != 0 && end < sizeof(text)) {
            end += (size_t)snprintf(text + end, sizeof(text) - end, "%s%s", end == 0 ? "" : ",",
                                    sim->story->nodes[n].name);
        }
    }
    sim_log(sim, SIM_NO_HOST, "ring of %s", text);
}

static void form(struct sim *sim, uint64_t component, uint64_t number)
{
    for (struct sim_ring *ring = sim->cpg.rings; ring != NULL; ring = ring->next) {
        settle_group(sim, ring, component);
    }
    if (!all_wait_for(sim, component, number)) {
        return; /* a host went off while its agent heard the last messages */
    }
    enter_ring(sim, ring_new(sim, component));
    sim_votes_meet(sim, component);
    log_ring(sim, component);
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((component & BIT(n)) != 0) {
            outbox_flush(sim, n);
        }
    }
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((component & BIT(n)) != 0) {
            sim_cpg_show(sim, n);
        }
    }
}

static void run_forming(struct sim *sim, struct sim_task *task)
{
    if (all_wait_for(sim, task->other, task->number)) {
        form(sim, task->other, task->number);
    }
}

/* --- changes --- */

static bool ring_is(const struct sim *sim, uint64_t component)
{
    const struct sim_ring *ring = NULL;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((component & BIT(n)) == 0) {
            continue;
        }
        if (ring == NULL) {
            ring = sim->cpg.members[n].ring;
        }
        if (sim->cpg.members[n].ring != ring || ring->members != component) {
            return false;
        }
    }
    return true;
}

static bool mending(const struct sim *sim, uint64_t component)
{
    bool any = false;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        any |= (component & BIT(n)) != 0 && sim->cpg.members[n].mending;
    }
    return any;
}

static void component_stable(struct sim *sim, uint64_t component)
{
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((component & BIT(n)) == 0) {
            continue;
        }
        struct sim_member *member = member_of(sim, n);
        member->forming = 0;
        outbox_flush(sim, n);
        if (member->cursor < member->ring->base + member->ring->count) {
            put_delivery(sim, n, member->ring->base + member->ring->count);
        }
    }
}

static void component_changed(struct sim *sim, uint64_t component)
{
    bool pending = true;
    bool lost = false;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((component & BIT(n)) != 0) {
            const struct sim_member *member = member_of(sim, n);
            pending = pending && member->forming != 0 && member->forming_component == component;
            lost |= (member->ring->members & ~component) != 0;
        }
    }
    if (pending) {
        return;
    }
    uint64_t number = ++sim->cpg.last_forming;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((component & BIT(n)) != 0) {
            member_of(sim, n)->forming = number;
            member_of(sim, n)->forming_component = component;
        }
    }
    uint64_t delay_us = !lost              ? (mending(sim, component) ? MEND_US : JOIN_US)
                        : sim->cpg.orderly ? LEAVE_US
                                           : sim->story->token_us * 22 / 10;
    delay_us += sim_rng_range(&sim->rng, 0, 50 * MS);
    sim_put(sim, delay_us, SIM_NO_HOST,
            (struct sim_task){.run = run_forming, .number = number, .other = component});
}

void sim_cpg_note_works(struct sim *sim)
{
    for (uint32_t n = 0; n < sim->node_count; n++) {
        struct sim_member *member = &sim->cpg.members[n];
        member->round_us = until_us(sim, sim_cpg_goes_round(sim, n), member->round_us);
        member->quorate_us = until_us(sim, quorate(sim, n), member->quorate_us);
        member->held_us = until_us(sim, sim_votes_hold(sim, n), member->held_us);
        member->term_us = until_us(sim, sim_votes_in_term(sim, n), member->term_us);
    }
}

void sim_cpg_changed(struct sim *sim)
{
    sim_cpg_note_works(sim);
    sim_cpg_listen(sim);
    uint64_t seen = 0;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        uint64_t component = sim->cpg.members[n].component;
        if (component == 0 || (seen & BIT(n)) != 0 || sim->cpg.members[n].unsettled) {
            continue;
        }
        seen |= component;
        if (!mending(sim, component) && ring_is(sim, component)) {
            component_stable(sim, component);
        } else {
            component_changed(sim, component);
        }
    }
}

void sim_cpg_start(struct sim *sim, uint32_t node)
{
    struct sim_member *member = member_of(sim, node);
    ASSERT(member->ring == NULL);
    member->ring = ring_new(sim, BIT(node));
    member->cursor = 0;
    sim_votes_start(sim, node);
    sim_cpg_changed(sim);
}

void sim_cpg_stop(struct sim *sim, uint32_t node)
{
    struct sim_member *member = member_of(sim, node);
    if (member->ring == NULL) {
        return;
    }
    sim_cpg_note_works(sim);
    member->ring = NULL;
    member->forming = 0;
    member->unsettled = false;
    member->mending = false;
    outbox_drop(sim, member);
    sim_votes_device(sim);
    sim_cpg_changed(sim);
}

void sim_cpg_leave(struct sim *sim, uint32_t node)
{
    sim->cpg.orderly = true;
    sim_cpg_stop(sim, node);
    sim->cpg.orderly = false;
}

bool sim_cpg_runs(const struct sim *sim, uint32_t node)
{
    return sim->cpg.members[node].ring != NULL;
}

void sim_cpg_begin(struct sim *sim)
{
    uint64_t members = 0;
    for (uint32_t n = 0; n < sim->node_count; n++) {
        members |= sim->hosts[n].up ? BIT(n) : 0;
    }
    if (members == 0) {
        return;
    }
    struct sim_ring *ring = ring_new(sim, members);
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((members & BIT(n)) != 0) {
            sim->cpg.members[n].ring = ring;
            sim_votes_start(sim, n);
        }
    }
    sim_votes_meet(sim, members);
    sim_cpg_changed(sim);
}

void sim_cpg_free(struct sim *sim)
{
    for (uint32_t n = 0; n < sim->node_count; n++) {
        outbox_drop(sim, &sim->cpg.members[n]);
    }
    while (sim->cpg.rings != NULL) {
        struct sim_ring *ring = sim->cpg.rings;
        sim->cpg.rings = ring->next;
        ring_empty(sim, ring);
        free(ring);
    }
}
