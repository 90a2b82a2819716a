/* The whole budget of stead in one place: what is bounded, and by how much. */
#ifndef STEAD_PROTO_LIMITS_H
#define STEAD_PROTO_LIMITS_H

#define NODES_MAX 64         /* a member set is one 64-bit mask */
#define VMS_MAX 10000        /* registered VMs in one cluster */
#define RUNS_MAX 1024        /* VMs one host may run or end at a time */
#define TAKEOVERS_MAX 1024   /* VMs an actor takes from dead holders at a time */
#define CLIENTS_PER_VM_MAX 8 /* RADOS clients one lease names (one per image, two in a move) */
#define BLOCK_ENTRIES_MAX 16 /* ... one action carries: those of a lease, and as many others */
#define DELTA_RECORDS_MAX 64 /* records one commit sets */
#define DELTAS_KEPT_MAX 16   /* deltas kept while a paged read is under way */
#define SETTINGS_MAX 64      /* settings the cluster state can hold */
#define CLASSES_MAX 16       /* classes of VMs, kept behind the settings */
#define SETTING_SLOTS (SETTINGS_MAX + CLASSES_MAX)
#define FENCE_DEVICES_MAX 3 /* fence devices of one node, beside its BMC */
#define FENCE_LEVEL_MAX 9   /* the last of the fence levels */
#define HISTORY_MAX 512     /* decisions the cluster state remembers */
#define LEDGER_MAX 128      /* of these, those about fences, kept longer */
#define HISTORY_SLOTS (HISTORY_MAX + LEDGER_MAX)
#define REQUESTS_MAX 128   /* operator commands under way on one node */
#define ACTIONS_MAX 512    /* effects of one step */
#define ACTIONS_EACH 256   /* ... with which no further VM or command begins its own in that step */
#define ACTIONS_URGENT 416 /* ... and no further kill or fence: the rest is what is once a step */
#define OBSERVATIONS_MAX 64 /* facts about VMs one heartbeat carries */

#define NAME_BYTES 64            /* VM, node names; with the closing NUL */
#define CLIENT_BYTES 64          /* "[IPv6]:0/NONCE" with the closing NUL */
#define ADDRESS_BYTES 64         /* a BMC's address */
#define DEVICE_NAME_BYTES 24     /* of a fence device beside the BMC */
#define DEVICE_AGENT_BYTES 32    /* "fence_apc_snmp" */
#define DEVICE_OPTIONS_BYTES 128 /* what its agent is told, secrets apart */
#define TEXT_BYTES 192           /* one reason or trace line */

_Static_assert(NODES_MAX == 64, "member masks are uint64_t");
_Static_assert(DELTA_RECORDS_MAX < ACTIONS_MAX, "each record of a commit may call for an action");

#endif
