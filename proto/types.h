/*
 * The plain types every room speaks: identities, the committed records, the run lease.
 *
 * All are values: no pointers, fixed size, zero is "none". Strings are NUL-terminated and padded
 * with zeros, so that two equal values are equal bytes field by field.
 */
#ifndef STEAD_PROTO_TYPES_H
#define STEAD_PROTO_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/limits.h"

struct uuid {
    uint8_t bytes[16];
};

/* One life of a node in the cluster: issued by a committed admit, never used twice. 0/0 is none. */
struct incarnation {
    uint32_t epoch;
    uint32_t number;
};

/* A RADOS client instance as Ceph spells it, "IP:0/NONCE"; an address entry is "IP:0/0". */
struct client {
    char address[CLIENT_BYTES];
};

struct clients {
    uint32_t count;
    struct client list[CLIENTS_PER_VM_MAX];
};

/* Names one decided outside action: the term it was decided in and a counter within it. */
struct action_id {
    uint64_t term;
    uint64_t counter;
};

/* Names one operator command or one commit: the agent process that made it and its counter. */
struct origin {
    uint32_t nodeid;
    uint64_t agent_start;
    uint64_t counter;
};

#define NODE_NONE 0xff /* "no node" where a node's slot is meant */

enum node_state {
    NODE_FREE,     /* slot not in use */
    NODE_OUT,      /* known; holds no incarnation; may be admitted once its hands are empty */
    NODE_ADMITTED, /* takes part under its incarnation */
    NODE_LOST,     /* a term named this incarnation lost; being fenced */
    NODE_FENCED,   /* proven harmless; its entries stand until it is admitted anew */
    NODE_REMOVED,  /* taken out for good; a tombstone, kept for its blocklist entries */
    NODE_STATE_COUNT
};

enum proof {                      /* bits of a mask: what makes a dead node harmless */
             PROOF_STORAGE = 1,   /* the barrier stands */
             PROOF_POWER = 2,     /* its BMC reads back off after our off */
             PROOF_REBORN = 4,    /* the same machine is back under another boot id, hands empty */
             PROOF_CLEAN = 8,     /* its own agent says so: its life is over, its hands are empty */
             PROOF_OPERATOR = 16, /* a person vouched, by name */
             PROOF_WATCHDOG = 32  /* its watchdog must have fired by now (fencing/timing.c) */
};

struct bmc_address {
    char address[ADDRESS_BYTES]; /* empty: this node has no BMC */
    uint32_t cipher_suite;
    bool verified;  /* its GUID was the host's machine UUID while the host was healthy */
    uint32_t level; /* in the order of the fence levels; 0: the first */
};

/* What a healthy host found of a device that cannot say whose power it switches. */
enum device_standing {
    DEVICE_UNKNOWN,  /* not seen to work yet, or no person says that it is this host's */
    DEVICE_VERIFIED, /* a person says so, and it read on while the host was up */
    DEVICE_DENIED,   /* it read off while the host was up: another's, or it lies */
    DEVICE_STANDING_COUNT
};

/* A way to a host's power beside its BMC: a fence agent of Debian's fence-agents. */
struct fence_device {
    char name[DEVICE_NAME_BYTES];       /* its section in stead.conf and in the credentials */
    char agent[DEVICE_AGENT_BYTES];     /* "fence_apc_snmp"; empty: no device */
    char options[DEVICE_OPTIONS_BYTES]; /* "plug=3", one a line, for the agent's standard input */
    uint32_t level;                     /* those of one level only together cut the power */
    enum device_standing standing;
};

struct node_record {
    char name[NAME_BYTES];
    uint32_t nodeid; /* Corosync's */
    enum node_state state;
    struct uuid machine; /* DMI UUID, as at the last admit */
    struct uuid boot;    /* kernel boot id, as at the last admit */
    struct incarnation incarnation;
    struct client client; /* the agent's RADOS handle */
    struct bmc_address bmc;
    struct fence_device devices[FENCE_DEVICES_MAX];
    uint32_t memory_mib; /* for guests */
    uint32_t feature_level;
    uint32_t proofs;      /* mask of enum proof, of the present or last fence */
    uint64_t fence_term;  /* the term that named it lost */
    bool client_only;     /* fence without an address entry: the machine is already back */
    bool address_blocked; /* an address entry against it stands */
    bool fence_wanted;    /* an operator asked for its fence */
    bool unfence_wanted;  /* an operator asked for its return */
    uint32_t away_ms; /* it announced that it leaves the ring for at most so long; 0: it did not */
    bool removing;    /* an operator asked for its removal: fenced, emptied, then a tombstone */
    uint32_t losses;  /* unannounced, in a row: each soon after it came back from the one before */
    uint64_t lost_ms; /* wall clock of the last of these; 0: none */
    bool power_on;    /* fenced unasked: to be switched on once it was read off (level 2) */
    bool watchdog;    /* its keeper is armed, and vouched for by freshness alone (level 2) */
    uint32_t watchdog_fires_ms; /* ... and fires at the latest so long after it was last fed */
    uint32_t watchdog_vouch_ms; /* its agent vouches at most so far past an answered heartbeat */
    uint64_t readmitted_ms; /* the suspension of its guests that is over, by its beginning on its
                               host's own clock; 0: none in this incarnation */
};

/* How a VM's process on a host came to its end. */
enum domain_end {
    END_UNKNOWN,   /* found gone: nobody saw how */
    END_SHUTDOWN,  /* the guest powered itself off: its disks were flushed and closed */
    END_DESTROYED, /* somebody destroyed it through libvirt */
    END_CRASHED,   /* QEMU died, or was told to quit by a signal */
    END_PANICKED,  /* its kernel panicked */
    END_MIGRATED,  /* somebody moved or saved it through libvirt */
    END_STEAD,     /* stead ended it for a reason of its own: it is to run elsewhere or anew */
    END_COUNT
};

/* What keeps a VM that runs by the record from doing its work. */
enum vm_trouble {
    VM_TROUBLE_NONE,
    VM_TROUBLE_PAUSED,   /* somebody paused it through libvirt */
    VM_TROUBLE_IO_ERROR, /* QEMU paused it: its disk refused I/O, and it is not blocklisted */
    VM_TROUBLE_PANICKED, /* its kernel panicked, and it is to be left so */
    VM_TROUBLE_COUNT
};

struct vm_condition {
    enum vm_trouble trouble;
    uint64_t since_wall_ms; /* the deciding node's wall clock */
};

/* No lease was ever at this one, so that taking it is refused and the lease is seen. */
#define GENERATION_UNKNOWN 0

enum vm_want { WANT_STOPPED, WANT_RUNNING };

enum vm_state {
    VM_FREE,       /* slot not in use */
    VM_STOPPED,    /* lease free at `generation`; nobody runs it */
    VM_STARTING,   /* `node` may take the lease from `generation`, and start it */
    VM_RUNNING,    /* runs on `node`, lease at `generation` */
    VM_STOPPING,   /* `node` is to end it and free the lease */
    VM_RECOVERING, /* the holder (node, incarnation) is gone; waits for barrier, proof or place */
    VM_STATE_COUNT
};

struct vm_record {
    char name[NAME_BYTES];
    struct uuid uuid;
    enum vm_want want;
    enum vm_state state;
    uint32_t memory_mib;
    int32_t priority;               /* higher starts first */
    uint8_t node;                   /* slot of the holder or assignee, NODE_NONE */
    struct incarnation incarnation; /* of that node */
    struct action_id action;        /* of the present start or stop */
    uint64_t generation;            /* of the lease, as last known */
    uint32_t definition_version;
    uint64_t definition_digest;
    uint32_t attempts;        /* failed starts since it last ran */
    uint64_t avoid;           /* mask of node slots where it failed since it last ran */
    uint32_t stop_timeout_ms; /* how long a shutdown may take before the plug is pulled */
    bool removing;            /* to be forgotten once stopped */
    char reason[TEXT_BYTES];  /* why it is not where it is wanted; empty when it is */
    uint64_t prefer; /* mask of node slots to try first: where it ended, or a person wants it */
    uint32_t ends;   /* by itself, in a row, none of them long after its start */
    struct vm_condition condition;
    uint32_t class_slot; /* of its class, behind the settings (level 3); 0: it has none */
};

/* What follows an end that nobody asked stead for. */
enum guest_rule { GUEST_RESTART, GUEST_STOP, GUEST_LEAVE, GUEST_RULE_COUNT };

/* What becomes of a guest that its storage stopped. */
enum io_rule { IO_RESUME, IO_LEAVE, IO_RULE_COUNT };

/* What the cluster does by itself. */
enum ha_mode {
    HA_ON,
    HA_FREEZE, /* nothing is fenced, started or stopped, for nobody: it is made up for later */
    HA_IGNORE, /* nor by itself; people's commands are carried out, and what ends stays off */
};

/* Cluster settings in force; units in the names. Each is a row of the table in proto/settings.c. */
struct settings {
    uint32_t beat_ms;  /* between two heartbeats of an agent */
    uint32_t fresh_ms; /* how old the sending of an answered heartbeat may be */
    uint32_t able_ms;  /* how old a good RADOS answer of an able node may be */
    uint32_t actor_ms; /* how long work may wait without a commit before the next one acts */
    uint32_t poll_ms;  /* between two polls of the state's header */
    uint32_t call_ms;  /* deadline of a RADOS call */
    uint32_t start_ms; /* deadline of creating a domain */
    uint32_t bmc_ms;   /* deadline of one BMC request, read-back included */
    uint32_t retry_ms; /* between two tries of the same failing thing */
    uint32_t proof;    /* mask of enum proof that releases VMs, over the barrier */
    uint32_t
        leave_ms; /* how long an announced absence (Corosync restarts) is no failure; 0: never */
    uint32_t grace_ms; /* from the first quorum on, how long hosts never seen may be booting */
    uint32_t guest_poweroff;  /* enum guest_rule (not LEAVE): the guest powered itself off */
    uint32_t guest_crash;     /* enum guest_rule (not LEAVE): QEMU died, however */
    uint32_t guest_destroyed; /* enum guest_rule (not LEAVE): destroyed through libvirt */
    uint32_t guest_panic;     /* enum guest_rule: its kernel panicked */
    uint32_t guest_io_error;  /* enum io_rule: paused because its disk refused I/O */
    uint32_t ha;              /* enum ha_mode */
    uint32_t fence_budget;    /* how many nodes may be fenced unasked within fence_window_ms */
    uint32_t fence_window_ms;
    uint32_t mass_loss; /* percent of the nodes: if more are gone at once, a person is asked */
    uint32_t flap_ms;   /* how long a node that fails again and again is first kept out; 0: never */
    uint32_t watchdog_ms;          /* what hosts' watchdogs are set to */
    uint32_t watchdog_fires_ms;    /* by when one has fired where its host does not say */
    uint32_t power_on_after_fence; /* 0 no, 1 yes: who was fenced unasked is switched on again */
    uint32_t bar_ms; /* in a tie: how long the side that holds the term must not have written */
};

/* What somebody set: the state keeps it under the setting's own number, known here or not. Behind
 * the settings: the classes of VMs, each with its name and the proofs that release its VMs. */
struct setting_record {
    uint64_t set_ms; /* wall clock; 0: never set */
    uint32_t value;
    bool given;            /* false: put back to the default */
    char by[NAME_BYTES];   /* the operator's user name */
    char name[NAME_BYTES]; /* of a class (level 3); a setting has none */
};

enum history_kind {
    HISTORY_NONE,
    HISTORY_TERM, /* node = new actor */
    HISTORY_NODE_JOINED,
    HISTORY_NODE_ADMITTED,
    HISTORY_NODE_LOST,
    HISTORY_NODE_FENCED, /* number = proofs mask */
    HISTORY_NODE_UNFENCED,
    HISTORY_BMC, /* number = enum outcome of the power-off */
    HISTORY_VM_ADDED,
    HISTORY_VM_REMOVED,
    HISTORY_VM_WANT,     /* number = enum vm_want */
    HISTORY_VM_STARTING, /* node = chosen place */
    HISTORY_VM_RUNNING,
    HISTORY_VM_STOPPING,
    HISTORY_VM_STOPPED,
    HISTORY_VM_RECOVERING,
    HISTORY_VM_FAILED, /* a start failed on node */
    HISTORY_REQUEST,   /* an operator command that changed nothing else */
    HISTORY_STATE,     /* the state object itself was mended; number = records written anew */
    HISTORY_NODE_AWAY, /* it announced its absence; number = ms */
    HISTORY_NODE_BACK, /* its announcement ended without a loss */
    HISTORY_SETTING,   /* an operator set it; number = the value */
    HISTORY_NODE_REMOVED,
    HISTORY_RESTORED,        /* the state was restored from a backup; number = its version */
    HISTORY_VM_ENDED,        /* by itself or another hand, on node; number = enum domain_end */
    HISTORY_VM_CONDITION,    /* number = enum vm_trouble, NONE: it is over */
    HISTORY_VM_BY_HAND,      /* somebody worked past stead; number = the teller's token */
    HISTORY_FORCED,          /* a person went on without a majority; number = nodes vouched dead */
    HISTORY_LEVEL,           /* number = the feature level from now on */
    HISTORY_NODE_WATCHDOG,   /* its keeper is armed: number = by when it fires, ms; 0: no more */
    HISTORY_BARRIER,         /* of a node: its entries stand; number = OSD map epoch */
    HISTORY_NODE_READMITTED, /* it had no quorum; number = for how many ms its guests stood still */
    HISTORY_FENCE_HELD,      /* of a node that is gone: its fence is held back, and why */
    HISTORY_KIND_COUNT
};

/* One decision: what, about whom, on whose word, and why. */
struct history_entry {
    uint64_t sequence; /* from 1; its slot is sequence % HISTORY_MAX; in the ledger, any */
    uint64_t wall_ms;  /* the deciding node's wall clock */
    uint64_t boot_ms;  /* its CLOCK_BOOTTIME: for stopwatches, comparable on one node only */
    uint64_t term;
    enum history_kind kind;
    uint32_t nodeid; /* 0: none */
    char vm[NAME_BYTES];
    struct action_id action;
    struct origin request; /* the operator command behind it; counter 0: none */
    uint64_t number;
    char cause[TEXT_BYTES];
};

struct header {
    struct uuid cluster_id;
    char corosync[NAME_BYTES]; /* totem.cluster_name of its Corosync; empty: not known */
    uint32_t epoch;
    uint64_t term;
    uint32_t actor;       /* nodeid */
    uint64_t actor_start; /* the acting agent process */
    uint64_t members;     /* mask of node slots the actor's Corosync showed it */
    uint64_t version;
    uint64_t digest;      /* over all records: the sum of the digests in proto/digest.h */
    struct origin commit; /* who wrote this version */
    uint32_t feature_level;
    uint32_t next_incarnation;
    uint64_t next_history;
};

enum record_kind { RECORD_NODE, RECORD_VM, RECORD_SETTING, RECORD_HISTORY, RECORD_KIND_COUNT };

/* One key of the state object with its value. `slot` is the index in its array. */
struct record {
    enum record_kind kind;
    uint32_t slot;
    bool removed; /* the key is taken away; the value is ignored */
    union {
        struct node_record node;
        struct vm_record vm;
        struct setting_record setting;
        struct history_entry history;
    };
};

/* One commit: replaces (epoch, term, version) = (header.epoch, base_term, header.version - 1). */
struct delta {
    struct header header; /* as it is afterwards */
    uint64_t base_term;
    uint32_t count;
    struct record records[DELTA_RECORDS_MAX];
};

/* The committed cluster state, or a node's copy of it. Written only by state_apply()/state_load. */
struct cluster {
    struct header header;                     /* version 0: nothing loaded */
    struct setting_record set[SETTING_SLOTS]; /* the settings, then the classes */
    struct settings settings; /* in force; follows from `set`, and is not committed itself */
    struct node_record nodes[NODES_MAX];
    uint64_t counting; /* mask of slots that count for the quorum; follows from `nodes` likewise */
    uint32_t vm_end;   /* one past the highest VM slot in use */
    struct history_entry history[HISTORY_SLOTS]; /* the ring, then the fence ledger */
    struct vm_record vms[VMS_MAX];               /* the last: a copy takes those in use */
};

enum lease_state { LEASE_FREE, LEASE_HELD, LEASE_MOVING, LEASE_STATE_COUNT };

/* The run lease of one VM: who may run it. Changed only by compare-and-set on `generation`. */
struct lease {
    struct uuid cluster_id;
    struct uuid vm;
    enum lease_state state;
    uint32_t holder; /* nodeid; 0 when free */
    struct incarnation incarnation;
    struct action_id action; /* that took it */
    struct clients clients;  /* the RADOS clients that may write its disks */
    uint64_t generation;
    enum domain_end end; /* of a free one: how what ran under it ended, for whoever hears it late */
};

#endif
