/* The making of a cluster: by one host alone, in a pool that holds none, before anybody acts. */
#include "agent/actor.h"
#include "agent/request.h"
#include "tests/unit/unit_core.h"

/* n1, whose handle is open, before it knows what is in the pool; n2 holds a copy of that version.
 */
static struct unit *unread_pool(uint64_t version)
{
    struct unit *u = unit_new(1);
    u->facts.incarnation = (struct incarnation){0};
    u->facts.bmc = (struct bmc_address){.address = "10.1.0.1", .cipher_suite = 17};
    name_set(u->facts.devices[1].name, sizeof(u->facts.devices[1].name), "pdu");
    name_set(u->ring.cluster, NAME_BYTES, "prod");
    u->peers[2].epoch = version != 0;
    u->peers[2].version = version;
    u->polls_hang = true;
    core_init(&u->core, &u->facts, u->now_ms);
    unit_ring(u, true, 3, u->ring.nodeids);
    unit_tick(u);
    struct action open = unit_take(u, ACTION_HANDLE_OPEN);
    unit_pass(u, 500);
    unit_handle(u, &open, OUTCOME_DONE, unit_client(1, 100));
    return u;
}

static struct unit *empty_pool(void)
{
    struct unit *u = unread_pool(0);
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_MISSING);
    return u;
}

static void empty_hands(struct unit *u)
{
    struct action kill = unit_take(u, ACTION_KILL);
    unit_killed(u, &kill, OUTCOME_DONE, 0);
}

static struct request ask_init(struct unit *u, uint64_t counter)
{
    struct request request = {
        .kind = REQUEST_CLUSTER_INIT, .id = {1, 1001, counter}, .by = "ada", .name = "prod"};
    request.uuid = unit_uuid(0xc1);
    struct event event = unit_event(EVENT_REQUEST, 0);
    event.request = &request;
    unit_step(u, &event);
    return request;
}

/* Refused at once, in these words, and nothing more is under way for it. */
static void check_refused(struct unit *u, uint64_t counter, const char *part)
{
    uint32_t commits = unit_logged(u, ACTION_COMMIT);
    bool waited = request_waits(&u->core);
    (void)ask_init(u, counter);
    struct reply reply = unit_take(u, ACTION_ANSWER).reply;
    assert_int_equal(reply.id.counter, counter);
    assert_int_equal(reply.verdict, VERDICT_REFUSED);
    if (strstr(reply.text, part) == NULL) {
        fail_msg("refused by \"%s\" instead of \"%s\"", reply.text, part);
    }
    assert_int_equal(request_waits(&u->core), waited);
    unit_none(u, ACTION_SEND_REQUEST);
    assert_int_equal(unit_logged(u, ACTION_COMMIT), commits);
}

/* Its first version: this host is its only member, in its first life, and acts in the first term.
 */
static void check_first(const struct unit *u, const struct request *request)
{
    const struct header *header = &u->image.header;
    const struct node_record *node = &u->image.nodes[0];
    assert_true(uuid_equal(&header->cluster_id, &request->uuid));
    assert_string_equal(header->corosync, "prod");
    assert_int_equal(header->epoch, 1);
    assert_int_equal(header->term, 1);
    assert_int_equal(header->actor, 1);
    assert_int_equal(header->actor_start, 1001);
    assert_int_equal(header->members, 1);
    assert_int_equal(header->version, 1);
    assert_int_equal(header->feature_level, FEATURE_LEVEL);
    assert_int_equal(header->next_incarnation, 2);
    assert_int_equal(header->next_history, 2);
    assert_string_equal(node->name, u->facts.name);
    assert_int_equal(node->nodeid, 1);
    assert_int_equal(node->state, NODE_ADMITTED);
    assert_true(uuid_equal(&node->machine, &u->facts.machine));
    assert_true(uuid_equal(&node->boot, &u->facts.boot));
    assert_true(incarnation_equal(node->incarnation, (struct incarnation){1, 1}));
    struct client client = unit_client(1, 100);
    assert_true(client_equal(&node->client, &client));
    assert_string_equal(node->bmc.address, "10.1.0.1");
    assert_string_equal(node->devices[1].name, "pdu");
    assert_int_equal(node->memory_mib, u->facts.memory_mib);
    assert_int_equal(node->feature_level, FEATURE_LEVEL);
    for (uint32_t slot = 1; slot < NODES_MAX; slot++) {
        assert_int_equal(u->image.nodes[slot].state, NODE_FREE);
    }
    const struct history_entry *entry = state_find_request(&u->image, &request->id);
    assert_non_null(entry);
    assert_int_equal(entry->kind, HISTORY_NODE_JOINED);
    assert_int_equal(entry->sequence, 1);
    assert_int_equal(entry->nodeid, 1);
    assert_string_equal(entry->cause, "prod: made the cluster, by ada");
}

/* A cluster is made once hands are seen empty, without quorum, and we are its first member. It is
 * not sent to anybody: there is nobody to decide it. */
TEST(a_cluster_is_made)
{
    struct unit *u = empty_pool();
    empty_hands(u);
    struct request request = ask_init(u, 1);
    struct action commit = unit_take(u, ACTION_COMMIT);
    assert_true(commit.commit.create);
    unit_none(u, ACTION_SEND_REQUEST);
    unit_none(u, ACTION_ANSWER);
    unit_commit_is(u, &commit, OUTCOME_DONE, NULL);
    u->image = (struct cluster){0};
    u->image.header.epoch = u->delta.header.epoch;
    u->image.header.term = u->delta.base_term;
    assert_true(state_apply(&u->image, &u->delta));
    check_first(u, &request);
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_DONE);
    assert_int_equal(u->core.local.life.state, LIFE_ADMITTED);
    assert_true(actor_holds(&u->core));
    assert_int_equal(unit_take(u, ACTION_ANSWER).reply.verdict, VERDICT_DONE);
    free(u);
}

/* What is not known to be empty is let be: the pool, and this host's hands. */
TEST(none_is_made_before_pool_and_hands_are_seen_empty)
{
    struct unit *u = unread_pool(0);
    check_refused(u, 1, "cannot be read yet; check [ceph] in stead.conf");
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_MISSING);
    check_refused(u, 2, "not ready yet; try again in a moment");
    empty_hands(u);
    u->core.local.storage.handle = HANDLE_NONE; /* lost since */
    u->core.local.storage.reopen_ms = u->now_ms + 1000;
    check_refused(u, 3, "cannot be read yet; check [ceph] in stead.conf");
    free(u);
    u = unit_new(1);
    core_init(&u->core, &u->facts, u->now_ms);
    check_refused(u, 1, "cannot be read yet");
    free(u);
}

/* One is there, is being made, or was there and its object is gone: each with its own remedy. */
TEST(no_second_cluster_is_made)
{
    struct unit *u = unit_new(1);
    unit_lead(u);
    check_refused(u, 1, "there is a cluster in this pool already; see stead status");
    free(u);
    u = empty_pool();
    empty_hands(u);
    (void)ask_init(u, 1);
    check_refused(u, 2, "just being made");
    free(u);
    u = unread_pool(5);
    struct action read = unit_take(u, ACTION_STATE_READ);
    unit_state_is(u, &read, OUTCOME_MISSING);
    check_refused(u, 1, "its state object is gone: stead cluster restore brings it back");
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_is_made),
        cmocka_unit_test(none_is_made_before_pool_and_hands_are_seen_empty),
        cmocka_unit_test(no_second_cluster_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
