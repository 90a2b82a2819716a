/*
 * What the edges tell the core. An event is a value; the few large payloads are borrowed pointers,
 * valid only during the step. `now_ms` is CLOCK_BOOTTIME (a clock that counts suspend), `wall_ms`
 * is CLOCK_REALTIME: shown to people, and what docs/timing.md lists; no disk rests on it.
 *
 * Results carry the `id` of the action they answer. Every action with an id ends in exactly one
 * event, at the latest at its deadline (then with OUTCOME_UNKNOWN); the core ignores an id it no
 * longer waits for.
 */
#ifndef STEAD_PROTO_EVENT_H
#define STEAD_PROTO_EVENT_H

#include "proto/message.h"

enum event_kind {
    EVENT_TICK,         /* core_next_ms() has come; send it late rather than never */
    EVENT_RING,         /* Corosync shows this view (once at start, then at each change) */
    EVENT_PEER_LEFT,    /* a peer's agent process left the CPG group (its node may be well) */
    EVENT_BEAT,         /* delivered by CPG, our own included */
    EVENT_DELTA,        /* delivered by CPG, our own included (ours is ignored) */
    EVENT_REQUEST,      /* an operator's command: from the control socket or delivered by CPG */
    EVENT_REPLY,        /* delivered by CPG */
    EVENT_HANDLE,       /* answers ACTION_HANDLE_OPEN: a RADOS handle is there, or is not */
    EVENT_POLL,         /* answers ACTION_POLL */
    EVENT_STATE,        /* answers ACTION_STATE_READ */
    EVENT_COMMIT,       /* answers ACTION_COMMIT */
    EVENT_LEASE,        /* answers ACTION_LEASE_READ and ACTION_LEASE_CHANGE */
    EVENT_BLOCK,        /* answers ACTION_BLOCK_ADD, ACTION_BLOCK_REMOVE, ACTION_BLOCK_CHECK */
    EVENT_LOCKS,        /* answers ACTION_LOCKS_BREAK */
    EVENT_WATCHERS,     /* answers ACTION_WATCHERS_READ */
    EVENT_POWER,        /* answers ACTION_POWER */
    EVENT_BMC_IDENTITY, /* our own BMC or fence device was asked: is it this machine's? */
    EVENT_DOMAIN_DONE,  /* answers ACTION_DOMAIN_CREATE, _RESUME, _SUSPEND, ... */
    EVENT_DOMAIN,       /* a domain of ours is in this state (at any change, and when listed) */
    EVENT_DOMAINS,      /* libvirt connection: lost, or listed completely */
    EVENT_KILLED,       /* answers ACTION_KILL */
    EVENT_SAVED,        /* answers ACTION_SAVE_INCARNATION */
    EVENT_LEAVING,      /* Corosync here asks whether it may end, or the host shuts down; or over */
    EVENT_TROUBLE,      /* an edge finds this wrong with the host, or (empty text) no more */
    EVENT_KEEPER,       /* how it stands with this host's watchdog; unasked, at each change */
    EVENT_KIND_COUNT
};

enum domain_state {
    DOMAIN_GONE,     /* no process of it on this host */
    DOMAIN_STARTING, /* paused, still carrying the start mark: never resumed */
    DOMAIN_RUNNING,
    DOMAIN_PAUSED,    /* paused after it once ran, by somebody */
    DOMAIN_IO_ERROR,  /* paused by QEMU: its disk refused I/O (as after a blocklisting) */
    DOMAIN_PANICKED,  /* its kernel panicked: QEMU lives and stands still */
    DOMAIN_SUSPENDED, /* paused by stead, for want of a quorum: its mark says so */
};

/* What lets exactly half of the nodes be quorate. */
enum tie_break {
    TIE_NONE,
    TIE_TWO_NODE, /* corosync.conf: both halves are */
    TIE_QDEVICE,  /* a vote beside the nodes': the half that it is given to */
};

struct event_ring {
    bool away;          /* Corosync here is not running: the rest is what that means */
    uint32_t detect_ms; /* what it takes to miss a member: its token and consensus timeouts */
    bool quorate;
    uint32_t quorum; /* votes of nodes needed, with a qdevice's where there is one */
    enum tie_break tie;
    uint32_t count;
    uint32_t nodeids[NODES_MAX]; /* ring members, ourselves included */
    char cluster[NAME_BYTES];    /* Corosync's cluster_name; empty: it has none */
};

struct event_state {
    enum outcome outcome; /* MISSING: there is no such object, or no such pool */
    bool garbled;         /* with FAILED: RADOS answered, and what it holds cannot be read */
    /* On DONE: the records as read in pages; `first` and `last` are the header at the first and at
     * the last page. They differ when commits got in between. image->header equals `first`. Lent
     * for the step, which may change it. */
    struct cluster *image;
    struct header first;
    struct header last;
};

struct event_lease {
    enum outcome outcome;
    bool has_lease; /* `lease` is what the object holds now (after DONE, or read on REFUSED) */
    struct lease lease;
};

struct event_block {
    enum outcome outcome;
    uint64_t osd_epoch;     /* map epoch that holds the entries */
    uint32_t blocked_count; /* BLOCK_CHECK: how many of the asked entries are on the list */
};

enum mark_sight {
    MARK_READ,       /* it bears ours */
    MARK_ABSENT,     /* it bears none: somebody made it past stead */
    MARK_UNREADABLE, /* it could not be asked, or says nonsense */
};

struct event_domain {
    struct uuid vm;
    enum domain_state state;
    enum domain_end end; /* with DOMAIN_GONE */
    enum mark_sight mark;
    struct action_id action; /* which the mark says: the start that made it; none: adopted */
};

struct event {
    enum event_kind kind;
    uint64_t now_ms;
    uint64_t wall_ms;
    uint64_t id; /* of the answered action; 0 for the unasked */
    union {
        struct event_ring ring;
        uint32_t nodeid; /* PEER_LEFT */
        const struct beat *beat;
        const struct delta *delta;
        const struct request *request;
        struct reply reply;
        struct {
            enum outcome outcome;
            struct client client;
        } handle;
        struct {
            enum outcome outcome;
            bool garbled;         /* as in event_state */
            struct header header; /* on DONE */
            uint64_t beats;       /* likewise: a digest of what those watched last wrote there */
        } poll;
        struct event_state state;
        struct {
            enum outcome outcome;
            struct header header; /* on REFUSED: as read right after */
        } commit;
        struct event_lease lease;
        struct event_block block;
        struct {
            enum outcome outcome;
        } done; /* SAVED */
        struct {
            enum outcome outcome;
            struct clients dead; /* hold an image's lock, watch it no more, not barred for good */
        } locks;
        struct {
            enum outcome outcome;
            struct clients clients;
            uint32_t image_count; /* images of the definition; each has at least one watcher */
        } watchers;
        struct {
            enum outcome outcome; /* DONE: as enum power_order says */
            char text[TEXT_BYTES];
        } power;
        struct {
            bool verified;
            uint32_t device; /* 0: the BMC; else 1 + its index in facts.devices */
        } bmc_identity;
        struct {
            enum trouble kind;
            char text[TEXT_BYTES]; /* one sentence with the remedy */
        } trouble;
        struct {
            enum outcome outcome;
            char text[TEXT_BYTES]; /* libvirt's own words on FAILED */
        } domain_done;
        struct event_domain domain;
        struct {
            bool connected; /* true: every domain of ours has just been told by EVENT_DOMAIN */
        } domains;
        struct {
            bool armed;
            uint32_t timeout_ms;       /* as the armed device says */
            char identity[NAME_BYTES]; /* of the device */
            char trouble[TEXT_BYTES];  /* why it is not armed although it was to; or empty */
        } keeper;
        struct {
            enum leaving why; /* NOT: over, whatever came of it */
            bool forced;      /* RING: it ends after a while whatever we say */
            bool agent;       /* this agent is told to end, whatever else does */
        } leaving;
        struct {
            enum outcome outcome;
            uint32_t alive_count; /* of those it was to kill, still in /proc */
            uint32_t count;       /* that were sent SIGKILL */
        } killed;
    };
};

#endif
