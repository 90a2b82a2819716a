/* What an agent knows of itself before it knows anything of the cluster. */
#ifndef STEAD_AGENT_FACTS_H
#define STEAD_AGENT_FACTS_H

#include "proto/message.h"

struct facts {
    char name[NAME_BYTES];          /* as in Corosync's nodelist */
    uint32_t nodeid;                /* Corosync's, never 0 */
    uint64_t agent_start;           /* random, one per process, never 0 */
    struct uuid machine;            /* DMI UUID, or the configured one */
    struct uuid boot;               /* /proc/sys/kernel/random/boot_id */
    struct incarnation incarnation; /* from /run/stead if kept under this boot id, else 0/0 */
    struct uuid cluster_id;         /* ... and of which cluster; zero: not known */
    struct bmc_address bmc;         /* `verified` false until EVENT_BMC_IDENTITY */
    struct fence_device devices[FENCE_DEVICES_MAX]; /* likewise their standing */
    uint32_t memory_mib;                            /* for guests */
    uint32_t feature_level;
    uint32_t watchdog_fires_ms; /* as measured on this host; 0: by the cluster's setting */
    bool halted;                /* an assertion failed in the agent before this one: `mark` */
    struct mark mark;
    uint32_t restarts;  /* starts lately, this one included */
    uint64_t steady_ms; /* CLOCK_BOOTTIME from which these are not too many; 0: they are not */
};

/* Of this code. What a level added to the state is written from then on only:
 * 2: losses in a row, `stead ha pause`, fence devices and the BMC's level, armed
 * watchdogs, the fence ledger, guests
 *    that stand still for want of a quorum
 * 3: classes of VMs, and which each VM is of */
#define FEATURE_LEVEL 3
#define LEVEL_LOSSES 2
#define LEVEL_PAUSE 2
#define LEVEL_FENCE_DEVICES 2
#define LEVEL_WATCHDOG 2
#define LEVEL_LEDGER 2
#define LEVEL_SUSPENDS 2
#define LEVEL_CLASSES 3

#endif
