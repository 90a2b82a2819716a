/*
 * The kinds of alarms: what each means, how bad it is, who tells it, and what to do. Pure.
 *
 * To add one: a kind at the end of the enum, a row of the table in proto/alarm.c, a predicate in
 * agent/alarm_find.c, and its explanation in deploy/systemd/stead.catalog (a test compares them).
 */
#ifndef STEAD_PROTO_ALARM_H
#define STEAD_PROTO_ALARM_H

#include "proto/types.h"

enum alarm_kind {
    ALARM_COROSYNC_AWAY,   /* this host's Corosync does not run */
    ALARM_NO_QUORUM,       /* fewer than half of the nodes see each other */
    ALARM_NOT_FRESH,       /* Corosync says quorate, the agents do not prove it */
    ALARM_STORAGE_AWAY,    /* a node does not reach the state */
    ALARM_STATE_TROUBLE,   /* the state object is gone, older, foreign or damaged */
    ALARM_COMMIT_OPEN,     /* the fate of a commit is not known */
    ALARM_NODE_LOST,       /* its fence is not done */
    ALARM_NODE_FENCED,     /* proven harmless; waits for a person */
    ALARM_NODE_UNATTENDED, /* in the ring, its agent silent */
    ALARM_NODE_OFFLINE,    /* Corosync does not see it */
    ALARM_VM_DOWN,         /* wanted running, and runs nowhere */
    ALARM_VM_FAILS,        /* failed to start several times */
    ALARM_VM_STOPPING,     /* wanted stopped, and still there */
    ALARM_VM_IO,           /* paused by QEMU: its disk refused I/O */
    ALARM_VM_PAUSED,       /* paused by somebody */
    ALARM_LIBVIRT_AWAY,    /* libvirt does not answer */
    ALARM_BMC_UNVERIFIED,  /* its BMC does not answer, or is another host's */
    ALARM_CLOCK_JUMPED,    /* the wall clock jumped */
    ALARM_NO_SPARE,        /* one node's VMs would find no room elsewhere */
    ALARM_HOST_TROUBLE,    /* an agent finds something wrong with its host */
    ALARM_HALTED,          /* an assertion failed in its agent: it decides nothing */
    ALARM_RESTLESS,        /* its agent is started again and again */
    ALARM_VM_PANICKED,     /* its kernel panicked, and it is left so */
    ALARM_VM_ENDS,         /* it ends by itself again and again */
    ALARM_POOL_FULL,       /* a pool is full: guests' writes to it wait */
    ALARM_VM_SHARED,       /* somebody its lease does not name has its images open */
    ALARM_FENCE_HELD,      /* a node is gone and is not fenced, for a reason */
    ALARM_KEPT_OUT,        /* a node failed again and again */
    ALARM_PAUSED,          /* HA is paused, and has been for long */
    ALARM_VOTES_RAISED,    /* Corosync waits for more votes than there are nodes for */
    ALARM_SUSPENDED,       /* its guests stand still: it has no quorum */
    ALARM_ADDRESS_BARRED,  /* a node's address was on the blocklist, and no fence wants that */
    ALARM_NOBODY_ACTS,     /* a quorum, and no node of it acts or could */
    ALARM_VM_STUCK,        /* its end or start on a node does not get on */
    ALARM_KIND_COUNT
};

/* Who tells it to journal and notify command; every node that sees it shows it. */
enum alarm_scope {
    ALARM_SCOPE_NODE,   /* the node it is about, or that sees it */
    ALARM_SCOPE_CLUSTER /* the acting node, or one in its stead; without a quorum each for itself */
};

struct alarm_about {
    const char *word;       /* stable: scripts and monitoring read it */
    const char *message_id; /* of journal entries; 32 hexadecimal digits */
    const char *sentence;   /* what it means */
    const char *remedy;     /* what to do; NODE and VM stand for its subject */
    bool critical;          /* else a warning */
    enum alarm_scope scope;
    uint32_t raise_ms; /* it must be so for that long before it is raised */
    uint32_t clear_ms; /* and no more for that long before it is cleared */
};

/* One alarm as people are told of it. */
struct alarm {
    enum alarm_kind kind;
    char subject[NAME_BYTES]; /* the VM or node; empty: the cluster */
    char text[TEXT_BYTES];    /* what is so, now */
    uint64_t since_wall_ms;   /* it is so since then */
};

/* Static. */
const struct alarm_about *alarm_about(enum alarm_kind kind);

#endif
