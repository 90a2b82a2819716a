/*
 * The table of alarms: their words, who tells them, after how long, and with which remedy.
 *
 * Decides nothing else; what raises one is agent/alarm_find.c. Assumes that deploy/systemd/
 * stead.catalog (a test compares) and docs/operations.md have the same rows. MESSAGE_IDs are for
 * ever, since `journalctl` is asked by them: a row is added, and never gets another's.
 */
#include "proto/alarm.h"

#include <stddef.h>

#include "proto/assert.h"

#define NODE ALARM_SCOPE_NODE
#define CLUSTER ALARM_SCOPE_CLUSTER

static const struct alarm_about table[ALARM_KIND_COUNT] = {
    [ALARM_COROSYNC_AWAY] = {"corosync-away", "f84255dc6f3b55f3bf1803bdd1ce56f1",
                             "this host's Corosync does not run",
                             "systemctl start corosync; then see corosync-cfgtool -s", true, NODE,
                             5000, 2000},
    [ALARM_NO_QUORUM] =
        {"no-quorum", "a1650696837e5badaff26228696d24f2",
         "fewer than half of the nodes see each other",
         "bring nodes back until more than half see each other; lost for ever: stead cluster force",
         true, NODE, 5000, 2000},
    [ALARM_NOT_FRESH] = {"quorum-unproven", "62ad15d2ad9d54c9af406b968cd1e189",
                         "Corosync says quorate, the agents do not prove it",
                         "see stead node list: which agents are silent?", false, NODE, 10000, 5000},
    [ALARM_STORAGE_AWAY] = {"storage-away", "4fa49dcee7b8501c948eb4b96cc4a09c",
                            "a node does not reach the state",
                            "check Ceph and this node's way to it: ceph -s", true, NODE, 10000,
                            5000},
    [ALARM_STATE_TROUBLE] = {"state-trouble", "3e12f2cd16eb5112aa88d174329fbea3",
                             "the state object is gone, older, foreign or damaged",
                             "stead status says what is wrong and what to do", true, CLUSTER, 3000,
                             5000},
    [ALARM_COMMIT_OPEN] = {"commit-open", "3150aa2404365c459655a3b94fa5123b",
                           "the fate of a commit is not known",
                           "check Ceph: a placement group may be stuck", false, NODE, 15000, 2000},
    [ALARM_NODE_LOST] =
        {"node-lost", "3667d221a4c25e08a776f84c03db513f", "its fence is not done",
         "stead node show NODE; if it surely is off: stead node fence NODE --i-vouch", true,
         CLUSTER, 15000, 1000},
    [ALARM_NODE_FENCED] = {"node-fenced", "cba7848aa738551bb5bd372c4aeb84e7",
                           "proven harmless; waits for a person",
                           "find out why; then power it on, or stead node unfence NODE", false,
                           CLUSTER, 1000, 1000},
    [ALARM_NODE_UNATTENDED] = {"node-unattended", "08823535ede55ca595f53684f7d661e9",
                               "in the ring, its agent silent",
                               "systemctl status stead-agent there; if it cannot be started: stead "
                               "node fence NODE",
                               false, CLUSTER, 10000, 3000},
    [ALARM_NODE_OFFLINE] = {"node-offline", "c5cc49b70bac5e78b6912741f66388e9",
                            "Corosync does not see it", "bring it back", false, CLUSTER, 60000,
                            3000},
    [ALARM_VM_DOWN] = {"vm-down", "c103bd60493b54dbacdd70e72471a0c5",
                       "wanted running, and runs nowhere",
                       "stead vm show VM tells what it waits for", true, CLUSTER, 30000, 2000},
    [ALARM_VM_FAILS] = {"vm-start-fails", "8f2d2482801e5bd3983171f61c437e8c",
                        "failed to start several times", "stead history --vm VM tells why", false,
                        CLUSTER, 0, 2000},
    [ALARM_VM_STOPPING] = {"vm-not-stopping", "c1e24f7befad57119ac87c5e3d76827b",
                           "wanted stopped, and still there", "stead vm show VM", false, CLUSTER,
                           180000, 2000},
    [ALARM_VM_IO] = {"vm-io-error", "9181d73ec72d5997b25aa95f1f7a9f47",
                     "paused by QEMU: its disk refused I/O",
                     "rbd info, rbd status of its images; ceph health detail", true, CLUSTER, 3000,
                     2000},
    [ALARM_VM_PAUSED] = {"vm-paused", "0542c14708fe5ebdac9cb908813455a2", "paused by somebody",
                         "virsh resume VM there, if nobody means it to pause", false, CLUSTER,
                         10000, 2000},
    [ALARM_LIBVIRT_AWAY] = {"libvirt-away", "d6d7c9c05f6a50508b515c9611fc830a",
                            "libvirt does not answer",
                            "systemctl restart libvirtd there; its VMs run on", false, NODE, 10000,
                            3000},
    [ALARM_BMC_UNVERIFIED] = {"bmc-unverified", "53989fa45ee55e1a89a87c3094c05470",
                              "its BMC or a fence device does not answer, or is another host's",
                              "check [bmc] and [fence NAME] in its stead.conf and the credentials: "
                              "stead-agent --check there",
                              false, CLUSTER, 120000, 5000},
    [ALARM_CLOCK_JUMPED] =
        {"clock-jumped", "df6397449b63558b810dcd54970db937", "the wall clock jumped",
         "check NTP; times in the history are off, and so is how fences are counted", false, NODE,
         0, 0},
    [ALARM_NO_SPARE] = {"no-spare-room", "9846c5954c3559a2998c81f87e8368c4",
                        "one node's VMs would find no room elsewhere",
                        "add memory or a node, or stop VMs", false, CLUSTER, 60000, 30000},
    [ALARM_HOST_TROUBLE] = {"host-trouble", "4b3f8f0c6a5d4e0f9f7d2c1be83a5d17",
                            "its agent finds something wrong with its host",
                            "what the text says; stead-agent --check there tells all", false,
                            CLUSTER, 10000, 3000},
    [ALARM_HALTED] = {"agent-halted", "852d7b84800449f18f0a8a8431c6ff8a",
                      "an assertion failed in its agent: it decides nothing, its VMs run on",
                      "report it with journalctl -u stead-agent there; then stead node resume NODE",
                      true, CLUSTER, 1000, 1000},
    [ALARM_RESTLESS] = {"agent-restless", "41564619a0c841c99881b3080a98fcbf",
                        "its agent is started again and again",
                        "journalctl -u stead-agent there tells why it ends", false, CLUSTER, 1000,
                        3000},
    [ALARM_VM_PANICKED] = {"vm-panicked", "135dcb105e1f416c86deee7c3939bb76",
                           "its kernel panicked, and guest_panic = leave leaves it so",
                           "look at its console (stead vm show VM); then stop and start it", true,
                           CLUSTER, 3000, 2000},
    [ALARM_VM_ENDS] = {"vm-restless", "6a53e08182db40e499de6a6e5a575596",
                       "it ends by itself again and again",
                       "stead history --vm VM tells how; its console and QEMU's log there, why",
                       false, CLUSTER, 0, 2000},
    [ALARM_POOL_FULL] = {"pool-full", "a55e5aac59704a339c9d0cbc32b379ac",
                         "a pool is full: guests' writes to it wait",
                         "ceph health detail; make room, or raise the pool's quota", true, CLUSTER,
                         0, 2000},
    [ALARM_VM_SHARED] = {"vm-shared", "44906868f06d416e9d8885d11f3b1f91",
                         "somebody its run lease does not name has its images open",
                         "rbd status of its images; end what uses them there (a domain, rbd map)",
                         true, NODE, 0, 2000},
    [ALARM_FENCE_HELD] = {"fence-withheld", "a51fc2e2d0b249809c9667b78ec244fb",
                          "it is gone with its VMs, and is not fenced unasked",
                          "bring it back; if it surely is dead: stead node fence NODE", true,
                          CLUSTER, 1000, 1000},
    [ALARM_KEPT_OUT] = {"node-kept-out", "ab55326479b143629cc22b402bbc4f47",
                        "it failed several times in a row and stays out for a while",
                        "find out why; stead node unfence NODE lets it in at once", false, CLUSTER,
                        1000, 1000},
    [ALARM_ADDRESS_BARRED] = {"address-barred", "73ae3e66cd5c44ea9cc24a478611fdbf",
                              "its address was on the blocklist, and no fence wants that",
                              "it was taken off; who put it there? ceph osd blocklist ls", true,
                              CLUSTER, 0, 1000},
    [ALARM_PAUSED] = {"ha-paused", "e737106613584566bf961d2b17e316f6",
                      "HA has been paused for long: nothing is recovered", "stead ha resume", false,
                      CLUSTER, 600000, 1000},
    [ALARM_VOTES_RAISED] = {"votes-raised", "1d2a8f5be2f34a0c9d6e7b3c58a04f16",
                            "Corosync waits for more votes than half of the nodes and one",
                            "systemctl stop corosync on all nodes at once, then start; or join the "
                            "missing ones: stead cluster join",
                            false, CLUSTER, 20000, 2000},
    [ALARM_SUSPENDED] = {"guests-suspended", "5d0c4d1b6f0e4a6c9a7b83b1c2e94f60",
                         "its guests stand still: it has no quorum",
                         "bring nodes back until more than half see each other: they go on by "
                         "themselves",
                         true, NODE, 1000, 1000},
    [ALARM_NOBODY_ACTS] = {"nobody-acts", "465376712aba4d1a8ad99e9680659e72",
                           "more than half see each other, and none of them can act",
                           "stead status on each says what it waits for", true, CLUSTER, 10000,
                           2000},
    [ALARM_VM_STUCK] = {"vm-stuck", "a7bf423094f0630cc4714a1f0cf0633b",
                        "its end or start on a node does not get on",
                        "the text says what it waits for: mend Ceph, or reboot or fence that host",
                        true, NODE, 30000, 2000},
};

const struct alarm_about *alarm_about(enum alarm_kind kind)
{
    ASSERT((unsigned)kind < ALARM_KIND_COUNT);
    ASSERT(table[kind].word != NULL);
    return &table[kind];
}
