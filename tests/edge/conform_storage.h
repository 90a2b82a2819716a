/* What is asked of storage, of the model and of the real one alike: the list of
 * test_conform_storage.c. */
#ifndef STEAD_TESTS_EDGE_CONFORM_STORAGE_H
#define STEAD_TESTS_EDGE_CONFORM_STORAGE_H

#include "tests/edge/storage_world.h"

#include "tests/edge/conform.h"

#define LIMIT_MS 15000
#define SHORT_MS 1200 /* where no answer is to come */
#define BAR_MS 2000
#define WATCH_REAL_S 3 /* instead of Ceph's 30 */
#define WATCH_MODEL_S 30

enum seat_name { A, B, C };

enum vm_name { WEB, DB, NEVER }; /* the last has neither lease nor definition */

/* What befalls the storage and its guests, by the part's own means. */
struct hands {
    void (*garble)(struct conform *conform); /* the state object's header */
    void (*stall)(struct conform *conform, bool on);
    void (*bar)(struct conform *conform, const struct client *client); /* for BAR_MS only */
    void (*pass)(struct conform *conform, uint32_t real_ms, uint64_t model_ms);
    struct client (*guest_start)(struct conform *conform, uint32_t vm);
    void (*guest_end)(struct conform *conform, bool clean); /* of the one that was started last */
    const char *elsewhere;                                  /* an address at which no seat is */
};

struct list {
    struct conform conform;
    const struct hands *hands;
    struct uuid vms[NEVER + 1];
    struct cluster copy; /* of the state, as it must be by now */
    struct delta delta;
    uint64_t commits;
    uint32_t nonce;
};

/* ---- asking */

static enum outcome ask_both(struct list *list, const char *why, uint32_t seat,
                             struct action action)
{
    action.deadline_ms = action.deadline_ms == 0 ? LIMIT_MS : action.deadline_ms;
    return conform_ask(&list->conform, why, seat, &action, &list->delta);
}

static void plain(struct list *list, const char *why, uint32_t seat, enum action_kind kind)
{
    (void)ask_both(list, why, seat, (struct action){.kind = kind});
}

static void poll_write(struct list *list, const char *why, uint32_t seat)
{
    (void)ask_both(list, why, seat, (struct action){.kind = ACTION_POLL, .poll.write = true});
}

/* The commit that follows the copy. */
static struct delta *next_delta(struct list *list)
{
    struct delta *delta = &list->delta;
    memset(delta, 0, sizeof(*delta));
    delta->header = list->copy.header;
    delta->base_term = list->copy.header.term;
    delta->header.version++;
    delta->header.commit = (struct origin){1, 11, ++list->commits};
    struct record *record = &delta->records[delta->count++];
    record->kind = RECORD_HISTORY;
    record->slot = (uint32_t)(++delta->header.next_history % HISTORY_MAX);
    record->history = (struct history_entry){.sequence = delta->header.next_history,
                                             .kind = HISTORY_REQUEST,
                                             .nodeid = 1,
                                             .cause = "asked for"};
    delta->header.digest = state_digest_after(&list->copy, delta);
    return delta;
}

static void send_delta(struct list *list, const char *why, uint32_t seat)
{
    if (ask_both(list, why, seat, (struct action){.kind = ACTION_COMMIT}) == OUTCOME_DONE) {
        assert_true(state_apply(&list->copy, &list->delta));
    }
}

static struct action lease_action(const struct list *list, enum action_kind kind, uint32_t vm,
                                  uint64_t generation)
{
    struct action action = {.kind = kind};
    action.lease.lease = (struct lease){.vm = list->vms[vm],
                                        .state = LEASE_HELD,
                                        .holder = 1,
                                        .incarnation = {1, 4},
                                        .action = {2, 9},
                                        .generation = generation};
    (void)clients_add(&action.lease.lease.clients, &list->conform.clients[A]);
    return action;
}

static struct client stranger(struct list *list)
{
    struct client client = {{0}};
    snprintf(client.address, sizeof(client.address), "%s:0/%u", list->hands->elsewhere,
             list->nonce++);
    return client;
}

static struct action block(enum action_kind kind, const struct client *one,
                           const struct client *other)
{
    struct action action = {.kind = kind};
    action.block.entries[action.block.count++] = *one;
    if (other != NULL) {
        action.block.entries[action.block.count++] = *other;
    }
    return action;
}

static struct action of_vm(const struct list *list, enum action_kind kind, uint32_t vm)
{
    return (struct action){.kind = kind, .vm.uuid = list->vms[vm]};
}

/* ---- the list: the state object */

static void list_missing(struct list *list)
{
    plain(list, "a poll without a handle", A, ACTION_POLL);
    plain(list, "a commit without a handle", A, ACTION_COMMIT);
    (void)ask_both(list, "and too late", A,
                   (struct action){.kind = ACTION_COMMIT, .valid_until_ms = CONFORM_PAST_MS});
    for (uint32_t seat = A; seat <= C; seat++) {
        plain(list, "a handle", seat, ACTION_HANDLE_OPEN);
    }
    plain(list, "poll of nothing", A, ACTION_POLL);
    poll_write(list, "poll of nothing, with a beat", A);
    plain(list, "read of nothing", A, ACTION_STATE_READ);
    (void)next_delta(list);
    send_delta(list, "commit to nothing", A);
}

static void list_commits(struct list *list)
{
    struct delta *delta = next_delta(list);
    struct record *record = &delta->records[delta->count++];
    record->kind = RECORD_VM;
    record->vm = (struct vm_record){.name = "web", .uuid = list->vms[WEB], .state = VM_STOPPED};
    record->vm.node = NODE_NONE;
    name_set(delta->records[0].history.vm, NAME_BYTES, "web");
    delta->header.digest = state_digest_after(&list->copy, delta);
    const struct action create = {.kind = ACTION_COMMIT, .commit.create = true};
    assert_int_equal(ask_both(list, "create", A, create), OUTCOME_DONE);
    assert_true(state_apply(&list->copy, delta));
    plain(list, "poll of it", B, ACTION_POLL);
    plain(list, "read of it", B, ACTION_STATE_READ);
    (void)ask_both(list, "create what is there", B, create);
    (void)next_delta(list);
    send_delta(list, "commit", A);
    send_delta(list, "the same bytes again", A);
    next_delta(list)->header.version++;
    send_delta(list, "commit that skips a version", B);
    next_delta(list)->header.epoch++;
    send_delta(list, "commit of another epoch", B);
    delta = next_delta(list);
    delta->header.term++;
    send_delta(list, "commit that begins a term", B);
    delta = next_delta(list);
    delta->base_term--;
    send_delta(list, "commit on top of an older term", A);
    (void)next_delta(list);
    (void)ask_both(list, "commit that is too late", A,
                   (struct action){.kind = ACTION_COMMIT, .valid_until_ms = CONFORM_PAST_MS});
    poll_write(list, "poll", A);
    plain(list, "read", C, ACTION_STATE_READ);
}

static void list_garbled(struct list *list)
{
    list->hands->garble(&list->conform);
    plain(list, "poll of a garbled header", A, ACTION_POLL);
    plain(list, "read of a garbled header", A, ACTION_STATE_READ);
    next_delta(list)->header.version++;
    send_delta(list, "commit that does not fit, on a garbled header", A);
    (void)next_delta(list);
    send_delta(list, "commit that fits, on a garbled header", A);
    plain(list, "poll afterwards", B, ACTION_POLL);
}

/* ---- leases */

static void list_leases(struct list *list)
{
    struct action action = lease_action(list, ACTION_LEASE_READ, WEB, 0);
    (void)ask_both(list, "lease", A, action);
    action = lease_action(list, ACTION_LEASE_CHANGE, WEB, 2);
    (void)ask_both(list, "taken", A, action);
    (void)ask_both(list, "taken by the same bytes again", A, action);
    action = lease_action(list, ACTION_LEASE_CHANGE, WEB, 5);
    (void)ask_both(list, "changed from a generation to come", B, action);
    action = lease_action(list, ACTION_LEASE_CHANGE, WEB, 2);
    (void)ask_both(list, "changed from a generation gone by", B, action);
    action = lease_action(list, ACTION_LEASE_CHANGE, WEB, 3);
    action.valid_until_ms = CONFORM_PAST_MS;
    (void)ask_both(list, "changed too late", B, action);
    action.valid_until_ms = 0;
    action.lease.wait_map = true;
    action.lease.lease.clients.count = 0;
    (void)ask_both(list, "changed, the newest map first", B, action);
    (void)ask_both(list, "lease", A, lease_action(list, ACTION_LEASE_READ, WEB, 0));
    (void)ask_both(list, "no lease", A, lease_action(list, ACTION_LEASE_READ, NEVER, 0));
    (void)ask_both(list, "no lease to take", A, lease_action(list, ACTION_LEASE_CHANGE, NEVER, 2));
    (void)ask_both(list, "no lease to remove", A,
                   lease_action(list, ACTION_LEASE_REMOVE, NEVER, 1));
}

static void list_lease_removed(struct list *list)
{
    struct action action = lease_action(list, ACTION_LEASE_REMOVE, WEB, 2);
    (void)ask_both(list, "removed at an older generation", A, action);
    action.lease.lease.generation = 3;
    action.lease.lease.state = LEASE_FREE;
    (void)ask_both(list, "removed in another state", A, action);
    action.lease.lease.state = LEASE_HELD;
    action.lease.lease.incarnation.number++;
    (void)ask_both(list, "removed by another life", A, action);
    (void)ask_both(list, "it is still there", B, lease_action(list, ACTION_LEASE_READ, WEB, 0));
    action.lease.lease.incarnation.number--;
    (void)ask_both(list, "removed", A, action);
    (void)ask_both(list, "removed twice", A, action);
    (void)ask_both(list, "it is gone", B, lease_action(list, ACTION_LEASE_READ, WEB, 0));
    (void)ask_both(list, "and cannot be taken", B, lease_action(list, ACTION_LEASE_CHANGE, WEB, 4));
    (void)ask_both(list, "nor watched", B, of_vm(list, ACTION_WATCHERS_READ, WEB));
    (void)ask_both(list, "nor unlocked", B, of_vm(list, ACTION_LOCKS_BREAK, WEB));
}

/* ---- the blocklist */

static void list_entries(struct list *list)
{
    const struct client one = stranger(list), other = stranger(list);
    struct action add = block(ACTION_BLOCK_ADD, &one, &other);
    add.valid_until_ms = CONFORM_PAST_MS;
    (void)ask_both(list, "entries, too late", A, add);
    add.valid_until_ms = 0;
    (void)ask_both(list, "not there", B, block(ACTION_BLOCK_CHECK, &one, &other));
    (void)ask_both(list, "entries", A, add);
    (void)ask_both(list, "there", B, block(ACTION_BLOCK_CHECK, &one, &other));
    (void)ask_both(list, "the same entries again", B, add);
    add.valid_until_ms = CONFORM_PAST_MS;
    (void)ask_both(list, "too late for what is there", B, add);
    struct action half = add;
    half.block.entries[0] = stranger(list);
    (void)ask_both(list, "too late for one of two", B, half);
    (void)ask_both(list, "one of them off", A, block(ACTION_BLOCK_REMOVE, &one, NULL));
    (void)ask_both(list, "off again", A, block(ACTION_BLOCK_REMOVE, &one, NULL));
    (void)ask_both(list, "the other is there", C, block(ACTION_BLOCK_CHECK, &one, &other));
    (void)ask_both(list, "no entries", A, (struct action){.kind = ACTION_BLOCK_CHECK});
    struct client address = client_address_entry(&one);
    (void)ask_both(list, "another host's address", A, block(ACTION_BLOCK_ADD, &address, NULL));
    plain(list, "is no business of ours", A, ACTION_POLL);
}

/* Somebody's own, which end by themselves; of one it is made sure that it does not. */
static void list_short_entries(struct list *list)
{
    const struct client one = stranger(list), kept = stranger(list);
    list->hands->bar(&list->conform, &one);
    list->hands->bar(&list->conform, &kept);
    (void)ask_both(list, "short ones", A, block(ACTION_BLOCK_CHECK, &one, &kept));
    (void)ask_both(list, "one of them for good", A, block(ACTION_BLOCK_ADD, &kept, NULL));
    list->hands->pass(&list->conform, BAR_MS + 7000, BAR_MS + 7000); /* the monitors' tick is 5 s */
    (void)ask_both(list, "it stands, the other ended", B, block(ACTION_BLOCK_CHECK, &one, &kept));
}

/* What a handle gets that is on the list itself. */
static void list_blocked_asks(struct list *list)
{
    plain(list, "blocked: poll", B, ACTION_POLL);
    poll_write(list, "blocked: poll with a beat", B);
    plain(list, "blocked: read", B, ACTION_STATE_READ);
    (void)next_delta(list);
    send_delta(list, "blocked: commit", B);
    next_delta(list)->header.version++;
    send_delta(list, "blocked: commit that does not fit", B);
    (void)ask_both(list, "blocked: lease", B, lease_action(list, ACTION_LEASE_READ, WEB, 0));
    (void)ask_both(list, "blocked: take", B, lease_action(list, ACTION_LEASE_CHANGE, WEB, 4));
    (void)ask_both(list, "blocked: no lease", B, lease_action(list, ACTION_LEASE_READ, NEVER, 0));
    (void)ask_both(list, "blocked: remove", B, lease_action(list, ACTION_LEASE_REMOVE, WEB, 3));
    (void)ask_both(list, "blocked: locks", B, of_vm(list, ACTION_LOCKS_BREAK, DB));
    (void)ask_both(list, "blocked: watchers", B, of_vm(list, ACTION_WATCHERS_READ, DB));
    const struct client own = list->conform.clients[B], other = stranger(list);
    (void)ask_both(list, "blocked: check", B, block(ACTION_BLOCK_CHECK, &own, NULL));
    (void)ask_both(list, "blocked: add", B, block(ACTION_BLOCK_ADD, &other, NULL));
    (void)ask_both(list, "blocked: remove", B, block(ACTION_BLOCK_REMOVE, &other, NULL));
}

static void list_blocked(struct list *list)
{
    const struct client own = list->conform.clients[B];
    (void)ask_both(list, "B is blocked", A, block(ACTION_BLOCK_ADD, &own, NULL));
    plain(list, "the OSD has the map of whom it served last", A, ACTION_POLL);
    list_blocked_asks(list);
    plain(list, "a new handle", B, ACTION_HANDLE_OPEN);
    poll_write(list, "is none of the blocked", B);
    (void)ask_both(list, "whose entry stands", B, block(ACTION_BLOCK_CHECK, &own, NULL));
    /* C bars B; A, who knows nothing of that, takes a lease, the newest map first. */
    const struct client again = list->conform.clients[B];
    (void)ask_both(list, "B is blocked again", C, block(ACTION_BLOCK_ADD, &again, NULL));
    struct action change = lease_action(list, ACTION_LEASE_CHANGE, DB, 2);
    change.lease.wait_map = true;
    (void)ask_both(list, "whoever waited for the map", A, change);
    plain(list, "brought it to the OSD", B, ACTION_POLL);
    (void)ask_both(list, "B is let in again", A, block(ACTION_BLOCK_REMOVE, &again, NULL));
    plain(list, "the OSD knows", A, ACTION_POLL);
    plain(list, "B's handle of before", B, ACTION_POLL);
    plain(list, "and a new one", B, ACTION_HANDLE_OPEN);
    plain(list, "serve it", B, ACTION_POLL);
}

/* Of the two, the real seats share one address: only A asks while it is barred. */
static void list_address(struct list *list)
{
    const struct client address = client_address_entry(&list->conform.clients[A]);
    (void)ask_both(list, "A's address", C, block(ACTION_BLOCK_ADD, &address, NULL));
    list->hands->pass(&list->conform, 200, 200);
    plain(list, "barred", A, ACTION_POLL);
    plain(list, "so is a new handle", A, ACTION_HANDLE_OPEN);
    plain(list, "barred again", A, ACTION_POLL);
    (void)ask_both(list, "it sees its entry", A, block(ACTION_BLOCK_CHECK, &address, NULL));
    (void)ask_both(list, "and takes it off", A, block(ACTION_BLOCK_REMOVE, &address, NULL));
    list->hands->pass(&list->conform, 200, 200);
    for (uint32_t seat = A; seat <= C; seat++) {
        plain(list, "a handle", seat, ACTION_HANDLE_OPEN);
        plain(list, "is served", seat, ACTION_POLL);
    }
}

/* ---- guests */

static void list_guests(struct list *list)
{
    struct conform *conform = &list->conform;
    const struct action watchers = of_vm(list, ACTION_WATCHERS_READ, DB);
    const struct action locks = of_vm(list, ACTION_LOCKS_BREAK, DB);
    (void)ask_both(list, "nobody watches", A, watchers);
    (void)ask_both(list, "nobody locks", A, locks);
    (void)ask_both(list, "no definition: watchers", A, of_vm(list, ACTION_WATCHERS_READ, NEVER));
    (void)ask_both(list, "no definition: locks", A, of_vm(list, ACTION_LOCKS_BREAK, NEVER));
    struct action late = locks;
    late.valid_until_ms = CONFORM_PAST_MS;
    (void)ask_both(list, "locks, too late", A, late);
    struct client guest = list->hands->guest_start(conform, DB);
    conform->guest = &guest;
    (void)ask_both(list, "a guest", A, watchers);
    (void)ask_both(list, "its lock is its own", A, locks);
    (void)ask_both(list, "it still watches", B, watchers);
    list->hands->guest_end(conform, true);
    (void)ask_both(list, "closed, it watches no more", A, watchers);
    guest = list->hands->guest_start(conform, DB);
    list->hands->guest_end(conform, false);
    list->hands->pass(conform, 1000, 10000);
    (void)ask_both(list, "killed, it watches on", A, watchers);
    (void)ask_both(list, "and counts as alive", A, locks);
    list->hands->pass(conform, WATCH_REAL_S * 1000 + 1000, WATCH_MODEL_S * 1000 + 1000);
    (void)ask_both(list, "until its watch runs out", A, watchers);
    (void)ask_both(list, "it is dead and holds its lock", A, locks);
    (void)ask_both(list, "blocked", A, block(ACTION_BLOCK_ADD, &guest, NULL));
    (void)ask_both(list, "it holds it no more", A, locks);
    guest = list->hands->guest_start(conform, DB);
    list->hands->guest_end(conform, false);
    (void)ask_both(list, "killed and blocked", A, block(ACTION_BLOCK_ADD, &guest, NULL));
    plain(list, "the OSD knows", A, ACTION_POLL);
    list->hands->pass(conform, 300, 300);
    (void)ask_both(list, "it watches no more", A, watchers);
    (void)ask_both(list, "its lock is broken", A, locks);
    (void)ask_both(list, "broken twice", A, locks);
    conform->guest = NULL;
}

/* ---- silence */

static void list_silence(struct list *list)
{
    const struct client one = stranger(list);
    struct action action = {.kind = ACTION_POLL, .deadline_ms = SHORT_MS};
    list->hands->stall(&list->conform, true);
    (void)ask_both(list, "silence: poll", B, action);
    action.kind = ACTION_STATE_READ;
    (void)ask_both(list, "silence: read", B, action);
    action.kind = ACTION_COMMIT;
    (void)next_delta(list);
    (void)ask_both(list, "silence: commit", A, action);
    action = lease_action(list, ACTION_LEASE_CHANGE, DB, 3);
    action.deadline_ms = SHORT_MS;
    (void)ask_both(list, "silence: lease", A, action);
    action = (struct action){.kind = ACTION_HANDLE_OPEN, .deadline_ms = SHORT_MS};
    (void)ask_both(list, "silence: a handle", C, action);
    (void)ask_both(list, "the monitors do not care", A, block(ACTION_BLOCK_ADD, &one, NULL));
    list->hands->stall(&list->conform, false);
    list->hands->pass(&list->conform, 1000, 1000);
    plain(list, "the commit has landed", B, ACTION_POLL);
    (void)ask_both(list, "so has the lease", B, lease_action(list, ACTION_LEASE_READ, DB, 0));
    send_delta(list, "the same bytes again", A);
    plain(list, "there is no handle", C, ACTION_POLL);
    plain(list, "a handle", C, ACTION_HANDLE_OPEN);
    plain(list, "serves", C, ACTION_POLL);
}

static void run_list(struct list *list)
{
    list->copy.header = (struct header){.cluster_id = uuid_from(1), .epoch = 1, .term = 3};
    list_missing(list);
    list_commits(list);
    list_garbled(list);
    list_leases(list);
    list_entries(list);
    list_short_entries(list);
    list_blocked(list);
    list_address(list);
    list_guests(list);
    list_lease_removed(list);
    list_silence(list);
}

#endif
