/*
 * What the core asks of the edges: one step returns a list, to be carried out in order.
 *
 * Each action with an `id` ends in exactly one event with that id, at the latest at `deadline_ms`
 * (CLOCK_BOOTTIME). `valid_until_ms`, where not 0, is how long the right behind the action is
 * known to hold: the edge compares it with the clock right before the call goes out and answers
 * OUTCOME_STALE, without calling, once it has passed (a host that froze in between must not act on
 * what it knew before). Nothing here blocks the caller.
 */
#ifndef STEAD_PROTO_ACTION_H
#define STEAD_PROTO_ACTION_H

#include "proto/alarm.h"
#include "proto/message.h"

enum action_kind {
    ACTION_TRACE,         /* one line for journal or trace: `trace` */
    ACTION_SEND_BEAT,     /* multicast actions.beat through CPG */
    ACTION_SEND_DELTA,    /* multicast actions.committed */
    ACTION_SEND_REQUEST,  /* multicast `request` */
    ACTION_SEND_REPLY,    /* multicast `reply` */
    ACTION_ANSWER,        /* tell the operator whose command (reply.id) was given on this node */
    ACTION_HANDLE_OPEN,   /* drop the RADOS handle if there is one and open a new one */
    ACTION_POLL,          /* read the header; with poll.write, first set our beat key there */
    ACTION_STATE_READ,    /* read the whole state object, in pages */
    ACTION_COMMIT,        /* compare-and-set actions.delta; with commit.create make the object */
    ACTION_LEASE_READ,    /* read `lease.vm` */
    ACTION_LEASE_CHANGE,  /* compare-and-set: lease.generation - 1 -> `lease` whole */
    ACTION_LEASE_REMOVE,  /* remove lease and definition of lease.vm if still in lease.state, by
                             lease.incarnation, at lease.generation; no answer: what is left behind
                             is reported at the next add */
    ACTION_BLOCK_ADD,     /* blocklist block.entries for years, read back, wait for the map */
    ACTION_BLOCK_REMOVE,  /* take block.entries off, read back */
    ACTION_BLOCK_CHECK,   /* are block.entries on the list? */
    ACTION_LOCKS_BREAK,   /* break the image locks of vm.uuid held by blocklisted clients, and tell
                             who else holds one and is dead */
    ACTION_WATCHERS_READ, /* who has the images of vm.uuid open */
    ACTION_POWER,         /* `power.order` by the device of `power`, and read it back */
    ACTION_DOMAIN_CREATE, /* create `vm` paused, marked with vm.action */
    ACTION_DOMAIN_RESUME, /* let it run, and drop the mark */
    ACTION_DOMAIN_SHUTDOWN,  /* ask the guest to shut down; DONE means asked */
    ACTION_DOMAIN_DESTROY,   /* through libvirt; DONE means it is gone */
    ACTION_KILL,             /* SIGKILL guests of ours by pidfd, no libvirt in the path: the one of
                                vm.uuid, or all when that is zero; then look in /proc */
    ACTION_SAVE_INCARNATION, /* keep `incarnation` with the boot id in /run/stead */
    ACTION_FORGET_MARK,      /* halted no more: take the mark away; no answer */
    ACTION_LET_GO,           /* answer Corosync's question (EVENT_LEAVING) by `let_go`; no answer */
    ACTION_ALARM,            /* tell people of `alarm`; no answer */
    ACTION_EXPECT_VOTES,     /* tell Corosync, ring-wide, to expect `votes` votes; no answer */
    ACTION_KEEPER_ARM,       /* tell stead-keeper to arm the watchdog; EVENT_KEEPER tells */
    ACTION_KEEPER_DISARM,    /* ... and to let it go */
    ACTION_VOUCH,            /* ... that this host is well until keeper.until_ms; no answer */
    ACTION_DOMAIN_SUSPEND, /* mark it and let it stand still; DONE: what it wrote is on its disk */
    ACTION_KIND_COUNT
};

struct action_vm {
    char name[NAME_BYTES];
    struct uuid uuid;
    struct action_id action;
    uint32_t definition_version;
    uint64_t definition_digest;
};

struct action_block {
    uint32_t count;
    struct client entries[BLOCK_ENTRIES_MAX];
};

enum power_order {
    POWER_ORDER_OFF,  /* DONE: it was read back off after our off, or was off already */
    POWER_ORDER_READ, /* DONE: it reads off; FAILED: it reads on, or says no */
    POWER_ORDER_ON    /* DONE: it was read back on, or the device says so */
};

struct action_power {
    char node[NAME_BYTES];
    struct incarnation incarnation;
    enum power_order order;
    struct fence_device device; /* no agent: by the BMC */
    struct bmc_address bmc;
    struct uuid machine; /* the GUID it must show before it is touched */
};

struct action {
    enum action_kind kind;
    uint64_t id;
    uint64_t deadline_ms;
    uint64_t valid_until_ms;
    union {
        char trace[TEXT_BYTES];
        struct request request;
        struct reply reply;
        struct {
            bool write;
            uint32_t watch_count; /* whose beat keys are to be read, too */
            uint32_t watch[NODES_MAX];
        } poll;
        struct {
            bool create;
        } commit;
        struct {
            struct lease lease;
            bool wait_map; /* LEASE_CHANGE: first wait for the latest osdmap on this handle */
        } lease;
        struct action_block block;
        struct action_vm vm;
        struct action_power power;
        struct incarnation incarnation;
        uint32_t votes;
        struct {
            uint64_t until_ms;   /* VOUCH */
            uint32_t timeout_ms; /* ARM */
        } keeper;
        struct {
            bool agreed; /* false: rather not; a forced end of Corosync goes on all the same */
        } let_go;
        struct {
            struct alarm alarm;
            bool raised; /* false: it is over */
        } alarm;
    };
};

/* The pointers lead into the core and stay valid until its next step. */
struct actions {
    const struct beat *beat;       /* of ACTION_SEND_BEAT */
    const struct delta *delta;     /* of ACTION_COMMIT: to be written */
    const struct delta *committed; /* of ACTION_SEND_DELTA: is written, to be told */
    uint32_t count;
    struct action list[ACTIONS_MAX];
};

/* Appends a zeroed action of `kind` and returns it to be filled. Asserts that there is room. */
struct action *actions_add(struct actions *out, enum action_kind kind);

#endif
