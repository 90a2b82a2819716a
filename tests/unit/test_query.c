/* What people are told. The words are stable: scripts read them. */
#include "agent/query.h"
#include "tests/unit/unit_core.h"

static const char *word(const struct unit *u, uint8_t slot)
{
    return query_node_word(&u->core, slot, u->now_ms);
}

static void check_situation(const struct unit *u, const char *part)
{
    char text[TEXT_BYTES];
    query_situation(&u->core, u->now_ms, text);
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", text, part);
    }
}

static void record(struct unit *u, uint8_t slot, enum node_state state)
{
    (void)unit_foreign(u);
    unit_foreign_node(u, slot)->state = state;
    unit_foreign_send(u);
}

/* A node in the ring whose agent speaks is online, a silent one unattended, one off the ring
 * offline. */
TEST(online_unattended_offline)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    assert_string_equal(word(u, 2), "online");
    u->silent[3] = true;
    unit_pass(u, 2000);
    assert_string_equal(word(u, 2), "unattended");
    unit_leave(u, 3);
    assert_string_equal(word(u, 2), "offline");
    assert_false(query_in_ring(&u->core, 2));
    assert_false(query_agent_alive(&u->core, 2, u->now_ms));
    free(u);
}

/* Lost, fenced and out are said as recorded. */
TEST(words_of_recorded_states)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    record(u, 2, NODE_LOST);
    assert_string_equal(word(u, 2), "lost");
    record(u, 2, NODE_FENCED);
    assert_string_equal(word(u, 2), "fenced");
    record(u, 2, NODE_OUT);
    assert_string_equal(word(u, 2), "out");
    assert_string_equal(word(u, 9), "unknown");
    free(u);
}

/* Each state of a VM has its word. */
TEST(words_of_vms)
{
    const char *const words[] = {"unknown", "stopped",  "starting",
                                 "running", "stopping", "recovering"};
    for (int state = 0; state < VM_STATE_COUNT; state++) {
        struct vm_record vm = {.state = (enum vm_state)state};
        assert_string_equal(query_vm_word(&vm), words[state]);
        vm.condition.trouble = VM_TROUBLE_PAUSED; /* of a life that is over, unless it runs */
        assert_string_equal(query_vm_word(&vm), state == VM_RUNNING ? "paused" : words[state]);
        vm.condition.trouble = VM_TROUBLE_NONE;
        assert_string_equal(query_vm_word(&vm), words[state]);
    }
}

/* The copy's age is counted from when it was last known to be the newest. */
TEST(the_age_of_the_copy)
{
    struct unit *u = unit_new(2);
    core_init(&u->core, &u->facts, u->now_ms);
    assert_int_equal(query_copy_age_ms(&u->core, u->now_ms), UINT64_MAX);
    free(u);
    u = unit_new(2);
    unit_start(u);
    unit_pass(u, 1000);
    assert_true(query_copy_age_ms(&u->core, u->now_ms) <= 600);
    u->polls_hang = true;
    unit_pass(u, 5000);
    assert_true(query_copy_age_ms(&u->core, u->now_ms) >= 4400);
    free(u);
}

/* That something is not there is believed of a copy that is new, where there is a quorum. */
TEST(which_copy_is_trusted)
{
    const uint32_t alone[] = {2};
    struct unit *u = unit_new(2);
    core_init(&u->core, &u->facts, u->now_ms);
    assert_false(query_trusted(&u->core, u->now_ms));
    free(u);
    u = unit_new(2);
    unit_start(u);
    unit_pass(u, 1000);
    u->core.local.storage.newest_ms = u->now_ms - 4999;
    assert_true(query_trusted(&u->core, u->now_ms));
    u->core.local.storage.newest_ms = u->now_ms - 5000;
    assert_false(query_trusted(&u->core, u->now_ms));
    u->core.local.storage.newest_ms = u->now_ms;
    unit_ring(u, false, 1, alone);
    assert_false(query_trusted(&u->core, u->now_ms));
    free(u);
}

/* The plain questions. */
TEST(plain_questions)
{
    struct unit *u = unit_new(1);
    core_init(&u->core, &u->facts, u->now_ms);
    assert_false(query_loaded(&u->core));
    assert_false(query_quorate(&u->core));
    assert_false(query_acting(&u->core));
    assert_int_equal(query_own_slot(&u->core), NODE_NONE);
    free(u);
    u = unit_new(1);
    unit_lead(u);
    assert_true(query_loaded(&u->core) && query_quorate(&u->core) && query_acting(&u->core));
    assert_true(query_fresh(&u->core, u->now_ms));
    assert_false(query_fresh(&u->core, u->now_ms + 5000));
    assert_int_equal(query_own_slot(&u->core), 0);
    free(u);
}

/* The sentence says why nothing is done, and in what order of importance. */
TEST(the_situation_in_a_sentence)
{
    struct unit *u = unit_new(2);
    const uint32_t alone[] = {2};
    core_init(&u->core, &u->facts, u->now_ms);
    check_situation(u, "Ceph cannot be reached yet");
    u->core.local.storage.missing = true;
    check_situation(u, "cluster init");
    free(u);
    u = unit_new(2);
    unit_vm(u, 0, VM_STARTING, 2);
    unit_start(u);
    check_situation(u, "VMs being started, stopped or recovered: 1");
    u->core.local.commit.state = COMMIT_UNKNOWN;
    check_situation(u, "commit's fate");
    u->silent[1] = u->silent[2] = u->silent[3] = true;
    u->now_ms += 2000;
    check_situation(u, "not proven fresh");
    u->now_ms += 3000;
    check_situation(u, "Ceph does not answer this host, for 5 s");
    u->core.local.storage.good_ms = u->now_ms;
    check_situation(u, "Ceph answers, but not about the state object, for 5 s");
    u->core.local.life.state = LIFE_LOST;
    check_situation(u, "gave this node up");
    u->core.local.commit.state = COMMIT_IDLE;
    unit_ring(u, false, 1, alone);
    check_situation(u, "no quorum: 1 in the ring, 2 needed");
    name_set(u->core.local.troubles[TROUBLE_COROSYNC], TEXT_BYTES, "quorum.device is set");
    check_situation(u, "quorum.device is set; until then this node takes no part");
    u->core.local.storage.blocklisted = true;
    check_situation(u, "blocklisted");
    free(u);
}

/* All is settled when it is, and a stranger is told to join. */
/* Each trouble of the object: what is wrong, whether anything is decided, and the remedy. */
TEST(the_state_objects_troubles)
{
    static const struct {
        enum state_trouble trouble;
        const char *word, *says, *remedy;
    } troubles[] = {
        {STATE_GONE, "gone", "gone from its pool: nothing is decided", "stead cluster restore"},
        {STATE_FOREIGN, "foreign", "another cluster's: nothing is decided", "cluster restore"},
        {STATE_OLDER, "older", "older than a copy held here", "cluster restore"},
        {STATE_GARBLED, "garbled", "header is damaged", "writes it anew"},
        {STATE_DAMAGED, "damaged", "records of the state object", "writes it anew"},
        {STATE_ELSEWHERE, "foreign", "Corosync cluster", "correct [ceph] pool"},
    };
    struct unit *u = unit_new(2);
    unit_start(u);
    assert_string_equal(query_state_word(&u->core), "");
    for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
        u->core.local.storage.trouble = troubles[i].trouble;
        assert_string_equal(query_state_word(&u->core), troubles[i].word);
        check_situation(u, troubles[i].says);
        check_situation(u, troubles[i].remedy);
    }
    u->core.local.peers[0].beat.epoch = u->core.cluster.header.epoch;
    u->core.local.peers[0].beat.version = u->core.cluster.header.version + 9;
    u->core.local.storage.trouble = STATE_OLDER;
    check_situation(u, "older than the copy of n1");
    u->core.local.storage.trouble = STATE_GONE;
    check_situation(u, "(copy: n1)");
    free(u);
}

TEST(settled_and_strangers)
{
    struct unit *u = unit_new(2);
    unit_start(u);
    check_situation(u, "all is settled");
    for (uint32_t i = 0; i < u->core.local.peer_count; i++) {
        u->core.local.peers[i].beat.able = false;
    }
    check_situation(u, "nobody acts: no node here is admitted and able");
    free(u);
    u = unit_new(2);
    memset(&u->image.nodes[1], 0, sizeof(u->image.nodes[1]));
    unit_open(u, unit_client(2, 999));
    unit_ring(u, true, 3, u->ring.nodeids);
    check_situation(u, "cluster join");
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(online_unattended_offline),
        cmocka_unit_test(words_of_recorded_states),
        cmocka_unit_test(words_of_vms),
        cmocka_unit_test(the_age_of_the_copy),
        cmocka_unit_test(which_copy_is_trusted),
        cmocka_unit_test(plain_questions),
        cmocka_unit_test(the_situation_in_a_sentence),
        cmocka_unit_test(the_state_objects_troubles),
        cmocka_unit_test(settled_and_strangers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
