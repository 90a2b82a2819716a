/* Alarms: each is raised when it has been so for its time, and cleared when it no longer is; one
 * node tells it. We are n1 and act, unless said otherwise. */
#include "agent/alarm.h"
#include "agent/ends.h"
#include "fencing/timing.h"
#include "proto/values.h"
#include "tests/unit/unit_alarm.h"

#define N3 2 /* slot */

/* It is not raised before its time, is at its time, with these words, and is told once. */
static void check_raised(struct unit *u, enum alarm_kind kind, const char *subject,
                         const char *words)
{
    uint32_t raise_ms = alarm_about(kind)->raise_ms;
    if (raise_ms > 2000) {
        look(u, raise_ms - 2000);
        assert_null(raised(u, kind, subject));
    }
    look(u, 5000);
    const struct alarm_seen *seen = raised(u, kind, subject);
    if (seen == NULL) {
        fail_msg("%s %s is not raised", alarm_about(kind)->word, subject);
    }
    if (strstr(seen->alarm.text, words) == NULL) {
        fail_msg("%s says \"%s\" instead of \"%s\"", alarm_about(kind)->word, seen->alarm.text,
                 words);
    }
    assert_int_equal(told(u, kind, true), 1);
    assert_int_equal(told(u, kind, false), 0);
}

static void check_cleared(struct unit *u, enum alarm_kind kind, const char *subject)
{
    look(u, alarm_about(kind)->clear_ms + 2500);
    assert_null(raised(u, kind, subject));
    assert_int_equal(told(u, kind, true), 1);
    assert_int_equal(told(u, kind, false), 1);
}

static struct beat *beat_of(struct unit *u, uint32_t nodeid)
{
    return &u->core.local.peers[nodeid - 1].beat;
}

/* Every row is whole, its word and its id its own. */
TEST(rows_are_sound)
{
    for (int i = 0; i < ALARM_KIND_COUNT; i++) {
        const struct alarm_about *about = alarm_about((enum alarm_kind)i);
        assert_int_equal(strlen(about->message_id), 32);
        assert_int_equal(strspn(about->message_id, "0123456789abcdef"), 32);
        assert_true(strlen(about->sentence) > 10 && strlen(about->remedy) > 10);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(about->word, alarm_about((enum alarm_kind)j)->word);
            assert_string_not_equal(about->message_id, alarm_about((enum alarm_kind)j)->message_id);
        }
    }
}

TEST(no_quorum)
{
    struct unit *u = well();
    set_ring(u, 1, false);
    check_raised(u, ALARM_NO_QUORUM, "", "1 in the ring, 2 needed");
    set_ring(u, 3, true);
    check_cleared(u, ALARM_NO_QUORUM, "");
    free(u);
}

/* A node with another corosync.conf raised what the others' Corosync waits for. */
TEST(votes_raised)
{
    struct unit *u = well();
    u->core.local.ring.quorum = 3;
    check_raised(u, ALARM_VOTES_RAISED, "", "wants 3 votes; more than half of the nodes are 2");
    u->core.local.ring.quorum = 2;
    check_cleared(u, ALARM_VOTES_RAISED, "");
    free(u);
}

TEST(corosync_away)
{
    struct unit *u = well();
    set_ring(u, 1, false);
    u->core.local.ring.away = true;
    check_raised(u, ALARM_COROSYNC_AWAY, "n1", "Corosync does not run");
    set_ring(u, 3, true);
    check_cleared(u, ALARM_COROSYNC_AWAY, "n1");
    free(u);
}

/* Quorate, but no agent answers. */
TEST(quorum_unproven)
{
    struct unit *u = well();
    u->silent[2] = u->silent[3] = true;
    check_raised(u, ALARM_NOT_FRESH, "n1", "too few agents answer");
    u->silent[2] = u->silent[3] = false;
    check_cleared(u, ALARM_NOT_FRESH, "n1");
    free(u);
}

TEST(storage_away)
{
    struct unit *u = well();
    u->polls_hang = true;
    look(u, 10000); /* until then the copy is young enough */
    check_raised(u, ALARM_STORAGE_AWAY, "n1", "goes by an old copy");
    u->polls_hang = false;
    look(u, 6000);
    check_cleared(u, ALARM_STORAGE_AWAY, "n1");
    free(u);
}

/* Another node says so of itself: it is shown here and told there. */
TEST(storage_away_of_another)
{
    struct unit *u = well();
    beat_of(u, 3)->storage = false;
    look(u, 12000);
    assert_non_null(raised(u, ALARM_STORAGE_AWAY, "n3"));
    assert_int_equal(told(u, ALARM_STORAGE_AWAY, true), 0);
    beat_of(u, 3)->storage = true;
    look(u, 9000);
    assert_null(raised(u, ALARM_STORAGE_AWAY, "n3"));
    assert_int_equal(told(u, ALARM_STORAGE_AWAY, false), 0);
    free(u);
}

TEST(state_trouble)
{
    struct unit *u = well();
    u->core.local.storage.trouble = STATE_OLDER;
    check_raised(u, ALARM_STATE_TROUBLE, "", "the state object is older");
    u->core.local.storage.trouble = STATE_WELL;
    check_cleared(u, ALARM_STATE_TROUBLE, "");
    free(u);
}

TEST(commit_open)
{
    struct unit *u = well();
    u->core.local.commit.state = COMMIT_UNKNOWN;
    check_raised(u, ALARM_COMMIT_OPEN, "n1", "took effect");
    u->core.local.commit.state = COMMIT_IDLE;
    check_cleared(u, ALARM_COMMIT_OPEN, "n1");
    free(u);
}

static struct unit *with_n3(enum node_state state)
{
    struct unit *u = unit_new(1);
    unit_set(u, "proof", PROOF_POWER);
    unit_lead(u);
    u->core.cluster.nodes[N3].state = state;
    u->core.local.alarms = (struct alarms){.next_ms = 0};
    unit_forget(u);
    return u;
}

TEST(node_fenced)
{
    struct unit *u = with_n3(NODE_FENCED);
    look(u, 4000);
    assert_non_null(raised(u, ALARM_NODE_FENCED, "n3"));
    u->core.cluster.nodes[N3].state = NODE_ADMITTED;
    check_cleared(u, ALARM_NODE_FENCED, "n3");
    free(u);
}

TEST(node_lost)
{
    struct unit *u = with_n3(NODE_LOST);
    u->silent[3] = true;
    check_raised(u, ALARM_NODE_LOST, "n3", "its fence is not done");
    u->core.cluster.nodes[N3].state = NODE_ADMITTED;
    u->silent[3] = false;
    check_cleared(u, ALARM_NODE_LOST, "n3");
    free(u);
}

TEST(node_unattended)
{
    struct unit *u = well();
    u->silent[3] = true;
    check_raised(u, ALARM_NODE_UNATTENDED, "n3", "nobody looks after its VMs, or whether they run");
    u->silent[3] = false;
    check_cleared(u, ALARM_NODE_UNATTENDED, "n3");
    free(u);
}

TEST(node_offline)
{
    struct unit *u = well();
    set_ring(u, 2, true);
    check_raised(u, ALARM_NODE_OFFLINE, "n3", "Corosync does not see it");
    set_ring(u, 3, true);
    check_cleared(u, ALARM_NODE_OFFLINE, "n3");
    free(u);
}

TEST(vm_down_and_failing)
{
    struct unit *u = well();
    struct vm_record *vm = &u->core.cluster.vms[0];
    vm->want = WANT_RUNNING;
    vm->state = VM_RECOVERING;
    vm->node = N3;
    vm->attempts = 3;
    name_set(vm->reason, TEXT_BYTES, "no node has room");
    check_raised(u, ALARM_VM_DOWN, "vm0", "it is recovering: no node has room");
    assert_non_null(raised(u, ALARM_VM_FAILS, "vm0"));
    vm->state = VM_RUNNING;
    vm->attempts = 0;
    check_cleared(u, ALARM_VM_DOWN, "vm0");
    assert_null(raised(u, ALARM_VM_FAILS, "vm0"));
    free(u);
}

TEST(vm_not_stopping)
{
    struct unit *u = well();
    struct vm_record *vm = &u->core.cluster.vms[0];
    vm->state = VM_STOPPING;
    vm->node = N3;
    vm->incarnation = u->core.cluster.nodes[N3].incarnation;
    check_raised(u, ALARM_VM_STOPPING, "vm0", "wanted stopped and is stopping");
    vm->state = VM_STOPPED;
    check_cleared(u, ALARM_VM_STOPPING, "vm0");
    free(u);
}

static struct vm_record *standing(struct unit *u, enum vm_trouble trouble)
{
    struct vm_record *vm = &u->core.cluster.vms[0];
    vm->want = WANT_RUNNING;
    vm->state = VM_RUNNING;
    vm->node = N3;
    vm->incarnation = u->core.cluster.nodes[N3].incarnation;
    vm->condition.trouble = trouble;
    name_set(vm->reason, TEXT_BYTES, ends_trouble_word(trouble));
    return vm;
}

TEST(vm_standing_still_elsewhere)
{
    static const struct {
        enum vm_trouble trouble;
        enum alarm_kind kind;
        const char *words;
    } kinds[] = {
        {VM_TROUBLE_IO_ERROR, ALARM_VM_IO, "its disk refused I/O"},
        {VM_TROUBLE_PAUSED, ALARM_VM_PAUSED, "somebody paused it"},
        {VM_TROUBLE_PANICKED, ALARM_VM_PANICKED, "its kernel panicked"},
    };
    struct unit *u = well();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        standing(u, kinds[i].trouble);
        check_raised(u, kinds[i].kind, "vm0", kinds[i].words);
        standing(u, VM_TROUBLE_NONE);
        check_cleared(u, kinds[i].kind, "vm0");
    }
    free(u);
}

TEST(vm_standing_still_here_uncommitted)
{
    struct unit *u = well();
    struct local *local = &u->core.local;
    struct vm_record *vm = standing(u, VM_TROUBLE_NONE);
    vm->node = 0;
    vm->incarnation = local->life.incarnation = u->core.cluster.nodes[0].incarnation;
    local->domain_count = local->run_count = 1;
    local->domains[0] = (struct domain){.vm = vm->uuid, .state = DOMAIN_PAUSED, .told = true};
    local->runs[0] = (struct run){.state = RUN_UP, .vm = vm->uuid};
    check_raised(u, ALARM_VM_PAUSED, "vm0", "somebody paused it");
    local->domains[0].state = DOMAIN_RUNNING;
    check_cleared(u, ALARM_VM_PAUSED, "vm0");
    free(u);
}

TEST(vm_shared)
{
    struct unit *u = well();
    struct local *local = &u->core.local;
    struct vm_record *vm = standing(u, VM_TROUBLE_NONE);
    vm->node = 0;
    vm->incarnation = local->life.incarnation = u->core.cluster.nodes[0].incarnation;
    local->run_count = 1;
    local->runs[0] = (struct run){.state = RUN_UP, .vm = vm->uuid, .other = {"10.0.0.9:0/1"}};
    look(u, 3000);
    assert_null(raised(u, ALARM_VM_SHARED, "vm0")); /* it may be a snapshot being made */
    local->runs[0].other_stays = true;
    check_raised(u, ALARM_VM_SHARED, "vm0", "open at 10.0.0.9:0/1, too");
    assert_true((alarm_of_ourselves(&u->core) & 1u << ALARM_VM_SHARED) != 0);
    local->runs[0].other_stays = false;
    check_cleared(u, ALARM_VM_SHARED, "vm0");
    beat_of(u, 2)->alarms = 1u << ALARM_VM_SHARED;
    look(u, 3000);
    assert_non_null(raised(u, ALARM_VM_SHARED, "n2"));
    assert_int_equal(told(u, ALARM_VM_SHARED, true), 1); /* n2 itself tells that */
    free(u);
}

/* VM 0 has a run in that state here, whose call is open. */
static struct run *with_run(struct unit *u, enum run_state state)
{
    struct local *local = &u->core.local;
    local->run_count = 1;
    local->runs[0] = (struct run){.state = state,
                                  .vm = u->core.cluster.vms[0].uuid,
                                  .call = {.id = 7, .deadline_ms = UINT64_MAX}};
    return &local->runs[0];
}

TEST(vm_stuck)
{
    static const char *const words[RUN_STATE_COUNT] = {
        [RUN_ADOPT] = "found here, and its lease does not answer or is missing",
        [RUN_TAKE] = "to start here, and its lease does not answer",
        [RUN_DESTROY] = "no signal ends it: reboot or fence this host",
        [RUN_KILL] = "no signal ends it: reboot or fence this host",
        [RUN_BLOCK] = "not on the blocklist yet: ceph health detail",
        [RUN_UNLOCK] = "its images' locks do not answer: ceph health detail",
        [RUN_RELEASE] = "nothing of it runs here, and its lease does not answer",
    };
    struct unit *u = well();
    for (int state = 0; state < RUN_STATE_COUNT; state++) {
        struct run *run = with_run(u, (enum run_state)state);
        if (words[state] == NULL) { /* ends by its own deadline, or is no wait of this node's */
            look(u, 60000);
            assert_null(raised(u, ALARM_VM_STUCK, "vm0"));
            continue;
        }
        check_raised(u, ALARM_VM_STUCK, "vm0", words[state]);
        run->state = RUN_OVER;
        check_cleared(u, ALARM_VM_STUCK, "vm0");
        unit_forget(u);
    }
    free(u);
}

/* One step after the other, each for less than that: it is the whole that takes too long. */
TEST(vm_stuck_by_steps)
{
    struct unit *u = well();
    struct run *run = with_run(u, RUN_DESTROY);
    look(u, 15000);
    run->state = RUN_KILL;
    look(u, 14000);
    run->state = RUN_UNLOCK;
    assert_null(raised(u, ALARM_VM_STUCK, "vm0"));
    look(u, 3000);
    assert_non_null(raised(u, ALARM_VM_STUCK, "vm0"));
    run->vm.bytes[0] ^= 1; /* its record went: it has no name any more */
    check_cleared(u, ALARM_VM_STUCK, "vm0");
    free(u);
}

/* What keeps a start from its lease is that, and not a quorum or room, which others tell. */
TEST(a_start_that_asks_nothing_is_not_stuck)
{
    struct unit *u = well();
    struct run *run = with_run(u, RUN_TAKE);
    run->call = (struct call){0};
    look(u, 60000);
    assert_null(raised(u, ALARM_VM_STUCK, "vm0"));
    run->retry_ms = UINT64_MAX; /* asked, and to be asked again */
    check_raised(u, ALARM_VM_STUCK, "vm0", "to start here");
    run->done = true; /* taken: from now on the start has its deadline */
    check_cleared(u, ALARM_VM_STUCK, "vm0");
    free(u);
}

/* The others show the node alone, and do not tell. */
TEST(vm_stuck_elsewhere)
{
    struct unit *u = well();
    (void)with_run(u, RUN_RELEASE);
    look(u, 29000);
    uint32_t before = alarm_of_ourselves(&u->core);
    look(u, 3000);
    uint32_t says = alarm_of_ourselves(&u->core) & ~before;
    assert_int_not_equal(says, 0);
    u->core.local.run_count = 0;
    beat_of(u, 2)->alarms = says;
    look(u, 32000);
    assert_non_null(raised(u, ALARM_VM_STUCK, "n2"));
    assert_int_equal(count_raised(u), 1);
    assert_int_equal(told(u, ALARM_VM_STUCK, true), 1); /* of our own VM */
    free(u);
}

TEST(vm_ends_again_and_again)
{
    struct unit *u = well();
    struct vm_record *vm = standing(u, VM_TROUBLE_NONE);
    vm->ends = 2;
    look(u, 5000);
    assert_null(raised(u, ALARM_VM_ENDS, "vm0"));
    vm->ends = 3;
    u->core.cluster.history[1] =
        (struct history_entry){.kind = HISTORY_VM_RUNNING, .wall_ms = u->core.local.wall_ms};
    name_set(u->core.cluster.history[1].vm, NAME_BYTES, "vm0");
    check_raised(u, ALARM_VM_ENDS, "vm0", "3 times in a row");
    look(u, timing_steady_ms()); /* it runs on: the row is over */
    check_cleared(u, ALARM_VM_ENDS, "vm0");
    vm->state = VM_STOPPED;
    unit_forget(u);
    check_raised(u, ALARM_VM_ENDS, "vm0", "3 times in a row");
    vm->want = WANT_STOPPED;
    check_cleared(u, ALARM_VM_ENDS, "vm0");
    free(u);
}

TEST(libvirt_away)
{
    struct unit *u = well();
    u->core.local.domains_known = false;
    check_raised(u, ALARM_LIBVIRT_AWAY, "n1", "libvirt does not answer");
    u->core.local.domains_known = true;
    u->core.local.libvirt = true;
    check_cleared(u, ALARM_LIBVIRT_AWAY, "n1");
    unit_forget(u);
    u->core.local.libvirt = false; /* it answered once, and went away */
    check_raised(u, ALARM_LIBVIRT_AWAY, "n1", "libvirt does not answer");
    u->core.local.libvirt = true;
    check_cleared(u, ALARM_LIBVIRT_AWAY, "n1");
    unit_forget(u);
    beat_of(u, 2)->alarms = 1u << ALARM_LIBVIRT_AWAY;
    look(u, 13000);
    assert_non_null(raised(u, ALARM_LIBVIRT_AWAY, "n2")); /* seen here, told there */
    assert_int_equal(told(u, ALARM_LIBVIRT_AWAY, true), 0);
    free(u);
}

TEST(bmc_unverified)
{
    struct unit *u = well();
    beat_of(u, 3)->bmc = (struct bmc_address){.address = "10.1.0.3"};
    check_raised(u, ALARM_BMC_UNVERIFIED, "n3", "its GUID is not this machine's");
    beat_of(u, 3)->bmc.verified = true;
    check_cleared(u, ALARM_BMC_UNVERIFIED, "n3");
    free(u);
}

TEST(host_trouble)
{
    struct unit *u = well();
    name_set(beat_of(u, 3)->trouble, TEXT_BYTES, "Ceph refuses the key of client.stead");
    check_raised(u, ALARM_HOST_TROUBLE, "n3", "refuses the key");
    beat_of(u, 3)->trouble[0] = '\0';
    check_cleared(u, ALARM_HOST_TROUBLE, "n3");
    free(u);
}

TEST(no_spare_room)
{
    struct unit *u = well();
    struct vm_record *vm = &u->core.cluster.vms[0];
    vm->want = WANT_RUNNING;
    vm->state = VM_RUNNING;
    vm->node = N3;
    vm->incarnation = u->core.cluster.nodes[N3].incarnation;
    vm->memory_mib = 3 * 8192;
    check_raised(u, ALARM_NO_SPARE, "n3", "its VMs need 24576 MiB, the others have 16384 MiB");
    vm->memory_mib = 1024;
    check_cleared(u, ALARM_NO_SPARE, "n3");
    free(u);
}

/* The unit clock: wall time jumps while CLOCK_BOOTTIME does not. */
TEST(clock_jumped)
{
    struct unit *u = well();
    u->core.local.alarms.wall_ahead_ms -= 90000;
    check_raised(u, ALARM_CLOCK_JUMPED, "n1", "set by 90 s ahead");
    look(u, 600000);
    check_cleared(u, ALARM_CLOCK_JUMPED, "n1");
    free(u);
}

/* What comes and goes within its time is never told. */
TEST(nothing_flaps)
{
    struct unit *u = well();
    for (int i = 0; i < 20; i++) {
        u->silent[3] = !u->silent[3];
        look(u, 6000);
    }
    assert_int_equal(told(u, ALARM_NODE_UNATTENDED, true), 0);
    free(u);
}

/* More than there is room for: the rest is said to exist, and nothing breaks. */
TEST(a_full_list)
{
    struct unit *u = well();
    for (uint32_t i = 0; i < ALARMS_MAX + 20; i++) {
        struct vm_record *vm = &u->core.cluster.vms[i];
        snprintf(vm->name, sizeof(vm->name), "vm%u", i);
        vm->want = WANT_RUNNING;
        vm->state = VM_RECOVERING;
        vm->node = N3;
        vm->attempts = 9;
    }
    u->core.cluster.vm_end = ALARMS_MAX + 20;
    look(u, 60000);
    assert_true(u->core.local.alarms.full);
    assert_int_equal(u->core.local.alarms.count, ALARMS_MAX);
    assert_int_equal(count_raised(u), ALARMS_MAX);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sound),
        cmocka_unit_test(no_quorum),
        cmocka_unit_test(votes_raised),
        cmocka_unit_test(corosync_away),
        cmocka_unit_test(quorum_unproven),
        cmocka_unit_test(storage_away),
        cmocka_unit_test(storage_away_of_another),
        cmocka_unit_test(state_trouble),
        cmocka_unit_test(commit_open),
        cmocka_unit_test(node_fenced),
        cmocka_unit_test(node_lost),
        cmocka_unit_test(node_unattended),
        cmocka_unit_test(node_offline),
        cmocka_unit_test(vm_down_and_failing),
        cmocka_unit_test(vm_not_stopping),
        cmocka_unit_test(vm_standing_still_elsewhere),
        cmocka_unit_test(vm_standing_still_here_uncommitted),
        cmocka_unit_test(vm_ends_again_and_again),
        cmocka_unit_test(vm_shared),
        cmocka_unit_test(vm_stuck),
        cmocka_unit_test(vm_stuck_by_steps),
        cmocka_unit_test(a_start_that_asks_nothing_is_not_stuck),
        cmocka_unit_test(vm_stuck_elsewhere),
        cmocka_unit_test(libvirt_away),
        cmocka_unit_test(bmc_unverified),
        cmocka_unit_test(host_trouble),
        cmocka_unit_test(no_spare_room),
        cmocka_unit_test(clock_jumped),
        cmocka_unit_test(nothing_flaps),
        cmocka_unit_test(a_full_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
