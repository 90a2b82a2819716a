/*
 * What agents say to each other through CPG, as plain values. Four messages: a heartbeat, a
 * committed delta, an operator command on its way to the actor, and the actor's refusal of one.
 */
#ifndef STEAD_PROTO_MESSAGE_H
#define STEAD_PROTO_MESSAGE_H

#include "proto/types.h"

enum outcome {
    OUTCOME_DONE,        /* it took effect */
    OUTCOME_REFUSED,     /* compared and found otherwise; nothing changed */
    OUTCOME_FAILED,      /* certainly did not happen */
    OUTCOME_UNKNOWN,     /* no answer in time: it may have happened, or may happen yet */
    OUTCOME_MISSING,     /* the object, domain or image does not exist */
    OUTCOME_BLOCKLISTED, /* our own RADOS handle is blocklisted */
    OUTCOME_STALE,       /* valid_until_ms had passed before it was tried; nothing was sent */
    OUTCOME_COUNT
};

/* "I had your heartbeat that you sent then": what freshness is made of. */
struct beat_answer {
    uint32_t nodeid;
    uint64_t agent_start;
    uint64_t sent_ms; /* the peer's own CLOCK_BOOTTIME, copied from its heartbeat */
};

/* What an agent finds wrong with its own host, most serious first. */
enum trouble {
    TROUBLE_CEPH,     /* no way to it, or a right is missing */
    TROUBLE_BMC,      /* it does not answer, refuses us, or is another host's */
    TROUBLE_DEVICE,   /* a fence device does not answer, or is not ours */
    TROUBLE_COROSYNC, /* its settings are refused: then nobody hears us */
    TROUBLE_HOOK,     /* libvirt does not ask stead's hook: it starts our VMs by hand, too */
    TROUBLE_POOL,     /* no trouble of the host's: which pools are full */
    TROUBLE_DEFINED,  /* libvirt has a definition of a VM of ours, made by hand */
    TROUBLE_WATCHDOG, /* it is to be armed, and is not; or no proof should rest on it */
    TROUBLE_COUNT
};

enum observation_kind {
    OBSERVED_NONE,
    OBSERVED_RUNNING,      /* it runs here, lease at `generation` */
    OBSERVED_START_FAILED, /* nothing of it is left here; lease as told */
    OBSERVED_STOPPED,      /* it ended here and its lease is free at `generation` */
    OBSERVED_CONDITION,    /* it runs here, in this condition */
    OBSERVED_BY_HAND,      /* somebody started it here past stead; `generation` is a token */
};

/* A fact about one VM, said with each heartbeat until the cluster state reflects it. */
struct observation {
    uint32_t slot;
    struct uuid vm;
    enum observation_kind kind;
    struct action_id action; /* of the record it answers */
    uint64_t generation;
    enum lease_state lease; /* with OBSERVED_START_FAILED: what the lease said */
    uint32_t lease_holder;  /* nodeid */
    struct incarnation lease_incarnation;
    char reason[TEXT_BYTES];
    enum domain_end end;     /* with OBSERVED_STOPPED */
    uint64_t up_ms;          /* likewise: how long it had run, as far as its agent saw */
    enum vm_trouble trouble; /* with OBSERVED_CONDITION */
};

/* What a failed assertion left: where the state stood, and what failed ("FILE:LINE: CONDITION"). */
struct mark {
    uint32_t epoch;
    uint64_t version;
    uint64_t decided; /* mark_decided() of the header there */
    char reason[TEXT_BYTES];
};

/* What an agent knows of its host's watchdog. */
enum watchdog_word {
    WATCHDOG_UNKNOWN, /* it has not heard of the keeper yet, or has nothing to ask it */
    WATCHDOG_OFF,
    WATCHDOG_ARMED, /* and vouched for by freshness alone, while a guest may be alive here */
    WATCHDOG_WORD_COUNT
};

/* Why a node is about to leave the ring. */
enum leaving {
    LEAVING_NOT,
    LEAVING_RING, /* its Corosync restarts, its guests run on: it asks for leave */
    LEAVING_HOST, /* its host shuts down, and ends its guests */
    LEAVING_COUNT
};

struct beat {
    uint32_t nodeid;
    uint64_t agent_start; /* random, one per agent process */
    uint64_t sent_ms;     /* CLOCK_BOOTTIME of the sender */
    uint32_t epoch;       /* of its copy */
    uint64_t version;     /* of its copy */
    uint64_t term;        /* of its copy; 0: none, or an older agent */
    uint64_t digest;      /* of its copy at that version */
    struct uuid machine;
    struct uuid boot;
    struct incarnation incarnation; /* as kept in /run/stead; 0/0: unknown */
    struct client client;           /* its present RADOS handle; empty: none yet */
    struct bmc_address bmc;
    struct fence_device devices[FENCE_DEVICES_MAX];
    char name[NAME_BYTES];
    uint32_t memory_mib;
    uint32_t feature_level;
    bool able;         /* a good RADOS answer within able_ms, and admitted */
    bool storage;      /* its present handle works (it reads the state) */
    bool empty;        /* no guest of ours is alive on this host, seen in /proc */
    bool wants_answer; /* not fresh: please answer at once */
    bool halted;       /* an assertion failed in it: `mark` */
    bool libvirt;      /* connected, and every domain of ours was listed */
    enum leaving leaving;
    uint32_t restarts; /* how often it was started lately; 0: it is steady */
    enum watchdog_word watchdog;
    uint32_t watchdog_fires_ms; /* at the latest so long after it was last fed */
    uint32_t watchdog_vouch_ms; /* how far it vouches, by the settings it has read */
    uint64_t suspended_ms;      /* its guests stand still for want of a quorum, since then; 0: no */
    struct mark mark;
    uint32_t alarms;          /* what only it sees of itself: alarm_of_ourselves() */
    char trouble[TEXT_BYTES]; /* what is wrong with its host, with the remedy; empty: nothing */
    uint32_t answer_count;
    uint32_t observation_count;
    /* From here on only as much is ever written or read as there is: see beat_copy(). */
    struct beat_answer answers[NODES_MAX];
    struct observation observations[OBSERVATIONS_MAX];
};

enum request_kind {
    REQUEST_NONE,
    REQUEST_CLUSTER_INIT, /* handled where it is given */
    REQUEST_NODE_JOIN,
    REQUEST_NODE_FENCE,
    REQUEST_NODE_UNFENCE,
    REQUEST_VM_ADD,
    REQUEST_VM_REMOVE,
    REQUEST_VM_START,
    REQUEST_VM_STOP,
    REQUEST_CONFIG_SET, /* `name` is the setting */
    REQUEST_NODE_REMOVE,
    REQUEST_NODE_RESUME, /* not the actor's: the named node itself answers it */
    REQUEST_CLASS_SET,   /* `name` is the class, `value` the proofs */
    REQUEST_CLASS_REMOVE,
    REQUEST_VM_CLASS, /* `value` is the class; or empty: none */
    REQUEST_KIND_COUNT
};

/* In which somebody acts: a term of an epoch (a restore begins a new one, and terms may go back).
 */
struct tenure {
    uint32_t epoch;
    uint64_t term; /* 0: none */
};

/* An operator's command. `name` is the VM or node meant. */
struct request {
    struct origin id;
    struct tenure tenure; /* whose acting node is to decide it; none: RESUME, or an older agent's */
    enum request_kind kind;
    char name[NAME_BYTES];
    char by[NAME_BYTES]; /* the operator's user name */
    bool vouched;        /* node fence|remove --i-vouch */
    /* REQUEST_VM_ADD: definition and lease object are already in RADOS. */
    struct uuid uuid;
    uint32_t memory_mib;
    int32_t priority;
    enum vm_want want;
    char on[NAME_BYTES]; /* preferred first place; empty: any */
    uint32_t definition_version;
    uint64_t definition_digest;
    uint64_t generation; /* of the lease object as it was made or found free */
    uint32_t stop_timeout_ms;
    /* REQUEST_NODE_JOIN; and the node of the VM that is adopted or given back as it runs */
    uint32_t nodeid;
    /* REQUEST_CONFIG_SET; VM_ADD: the class, or empty */
    char value[NAME_BYTES]; /* as people write it; "default": no longer set */
    bool adopt;             /* VM_ADD: it runs on `nodeid` already; its lease is made held */
    bool keep_running;      /* VM_REMOVE: it runs on `nodeid`, and goes on without stead */
    struct incarnation incarnation; /* of that node */
    char why[NAME_BYTES];           /* CONFIG_SET: the operator's own words; or empty */
};

enum message_kind { MESSAGE_NONE, MESSAGE_BEAT, MESSAGE_DELTA, MESSAGE_REQUEST, MESSAGE_REPLY };

enum verdict {
    VERDICT_REFUSED, /* and never done */
    VERDICT_DONE,
    VERDICT_UNKNOWN, /* its own node's word alone, never sent: others refuse or keep silent */
};

/* The actor's refusal of a command (acceptance is seen in the committed history), or the answer of
 * the node named in a REQUEST_NODE_RESUME. */
struct reply {
    struct origin id;
    struct tenure tenure; /* whose acting node refuses it; none: RESUME, or an older agent's */
    enum verdict verdict;
    char text[TEXT_BYTES]; /* the reason, with the remedy */
};

#endif
