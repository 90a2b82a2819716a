/*
 * This node's own half of the core: what it sees, what it waits for, what it has under way. Nothing
 * here is remembered over a restart or told to another node's decisions except through heartbeats.
 */
#ifndef STEAD_AGENT_LOCAL_H
#define STEAD_AGENT_LOCAL_H

#include "agent/alarm.h"
#include "agent/facts.h"
#include "fencing/fence.h"
#include "proto/call.h"
#include "storage/barrier.h"
#include "storage/commit.h"
#include "storage/health.h"
#include "storage/reload.h"

/* Another agent, or ourselves, as its heartbeats show it. Only nodes in the ring have one. */
struct peer {
    uint32_t nodeid;
    uint64_t came_ms;     /* into the ring, our clock */
    bool heard;           /* since it came into the ring, or since its process changed */
    uint64_t heard_ms;    /* our clock */
    uint64_t answered_ms; /* the newest of our own sending times it has answered, our clock */
    uint64_t no_storage_since_ms; /* 0: it reaches the storage */
    struct beat beat;             /* the newest */
};

enum handle_state { HANDLE_NONE, HANDLE_OPENING, HANDLE_OPEN };

/* Our way to RADOS: handle, polls, whole reads. */
struct storage_view {
    enum handle_state handle;
    struct client client;       /* of the present handle */
    uint64_t handle_id;         /* of the call that opened it: earlier ones went through another */
    bool blocklisted;           /* a read was refused with -108: the answer to "am I lost?" */
    bool missing;               /* no cluster was ever made in this pool */
    bool stale;                 /* a newer version exists than our copy */
    enum state_trouble trouble; /* of the object, as it was last read */
    char elsewhere[NAME_BYTES]; /* with STATE_ELSEWHERE: the Corosync cluster that it belongs to */
    struct known poll_known;    /* how far it had come when the poll under way began */
    struct known read_known;    /* ... and the whole read */
    bool look;                  /* read it whole although the copy is the newest: is it sound? */
    uint64_t next_read_ms;
    uint64_t poll_sent_ms;
    uint64_t read_sent_ms;
    uint64_t shown_ms;  /* when the last read was sent that showed our copy, or an older one */
    uint64_t good_ms;   /* the last good answer */
    uint64_t newest_ms; /* when our copy was last known to be the newest */
    uint64_t next_poll_ms;
    uint64_t reopen_ms;
    struct call handle_call;
    struct call poll_call;
    struct call read_call;
    struct call predecessor_call; /* blocklisting the handle of our predecessor process */
    struct client predecessor;    /* the one it is about */
    bool predecessor_blocked;     /* done */
    uint64_t predecessor_retry_ms;
    struct reload reload;
};

/* Our own standing in the cluster. */
enum life_state {
    LIFE_UNKNOWN,  /* no copy of the state yet: decide nothing */
    LIFE_OUTSIDE,  /* not admitted: hands must be empty, then a node may be admitted */
    LIFE_ADMITTED, /* the state holds our incarnation */
    LIFE_LOST,     /* a term names our incarnation lost, or our handle is blocklisted */
    LIFE_STATE_COUNT
};

struct life {
    enum life_state state;
    struct incarnation incarnation; /* 0/0: none */
    bool empty;                     /* no guest of ours in /proc, asked since we stood outside */
    bool brought;     /* one was told of since the look under way, or the last, began */
    bool killed;      /* a look into /proc since it was lost last found a guest of ours */
    uint32_t named;   /* guests that leases named when we were put out; 0 once all are gone */
    uint64_t late_ms; /* till then one of no lease may have a write under way; 0: none */
    struct call kill_call;
    uint64_t kill_retry_ms;
    struct call save_call;
    uint32_t save_tries; /* that failed */
    uint64_t save_retry_ms;
    struct incarnation saving; /* what that call carries */
    bool saved;
};

/* Half of the nodes, without the term (agent/tie.c). */
struct tie {
    uint64_t version; /* of the state, and what those of the term last wrote beside it ... */
    uint64_t beats;
    uint64_t
        since_ms;     /* ... unchanged since the answer to the first poll that showed it; 0: none */
    uint64_t last_ms; /* when the last one was sent */
    uint64_t barred_ms;    /* our address is on the blocklist and our hands are empty; 0: no */
    struct client refused; /* the handle that it was seen by */
    struct call off_call;  /* taking it off */
};

/* We are about to leave the ring. */
struct leave {
    enum leaving why;
    bool forced; /* it ends soon, whatever it is told */
    bool let_go; /* Corosync was told that it may */
    uint64_t asked_ms;
};

/* This host's watchdog, as its keeper last told. */
struct watchdog {
    bool known;
    bool armed;
    bool ending; /* this agent ends: nobody will vouch here for a while */
    uint32_t timeout_ms;
    uint64_t since_ms;   /* heartbeats sent from then on tell of that */
    uint64_t vouched_ms; /* until when this host was last vouched for */
    uint32_t span_ms;    /* timing_vouch_ms() by the settings it was done by */
    uint64_t vouch_ms;   /* not before is the keeper told again */
    uint64_t retry_ms;   /* not before is it asked to arm again */
    uint32_t tries;
    char identity[NAME_BYTES];
};

/* A domain of ours as libvirt last told it. */
struct domain {
    struct uuid vm;
    enum domain_state state;
    enum mark_sight mark;
    struct action_id action; /* of the start that made it */
    bool told;               /* since the connection was last made */
    bool noted;              /* somebody started it past stead, and that is told */
    uint64_t runs_ms;        /* it runs since then, as told */
    struct call suspend_call;
    struct call kill_call;
    uint64_t suspend_retry_ms;
    uint64_t rest_ms; /* its process is gone, libvirt has not said so: not looked at before */
    uint32_t slot;    /* where its record was last found; a hint */
};

/* Without a quorum our guests stand still (agent/suspend.c). */
struct suspension {
    uint64_t since_ms; /* when the present one, or the last, began; 0: there was none */
    uint64_t since_wall_ms;
    bool over;            /* we were readmitted: each guest may go on once it is vetted */
    uint64_t answered_ms; /* the newest sending time of ours that a quorum ever answered */
    uint64_t left_ms;     /* when Corosync here ended, until its next one has a quorum; 0: not */
    bool without;         /* a quorum, exempt from standing still or not */
    uint64_t without_ms;  /* until when that was so last; 0: never */
    uint32_t first;       /* the domain for which a step last had no room */
};

/* One VM this node runs, starts or ends. */
enum run_state {
    RUN_IDLE,     /* not in use */
    RUN_ADOPT,    /* found or assigned without memory of it: what does its lease say? */
    RUN_TAKE,     /* taking the lease; who has its images open beforehand? */
    RUN_CREATE,   /* creating it paused; breaking dead locks beside that */
    RUN_WATCHERS, /* which clients did QEMU open? */
    RUN_NAME,     /* writing them into the lease */
    RUN_CHECK,    /* is any of them, or this host, blocklisted? */
    RUN_RESUME,   /* letting it run */
    RUN_UP,       /* it runs */
    RUN_SHUTDOWN, /* asked to shut down */
    RUN_DESTROY,  /* pulling the plug through libvirt */
    RUN_KILL,     /* SIGKILL: libvirt did not, or the lease is no longer ours */
    RUN_BLOCK,    /* blocklisting the dead process's clients */
    RUN_UNLOCK,   /* breaking its image locks */
    RUN_RELEASE,  /* freeing the lease */
    RUN_OVER,     /* nothing of it is left here; told until the state reflects it */
    RUN_STATE_COUNT
};

/* A guest that its storage stopped: what is tried to make it go on. */
struct run_io {
    bool trouble;     /* it stands still, or did until just now */
    bool vetting;     /* to be resumed, once the lease and the blocklist have been seen anew */
    bool lease_ours;  /* seen so since */
    uint32_t tries;   /* resumes since the trouble began */
    uint64_t next_ms; /* not before */
    uint64_t calm_ms; /* it goes on: since when */
};

/* A guest that stands still by our doing, and may go on: what is asked first (run_wake.c). */
enum wake_state {
    WAKE_NOT,
    WAKE_LEASE, /* is its lease as we know it? */
    WAKE_BLOCK, /* is a client of its, or this host, blocklisted? */
    WAKE_ASKED, /* libvirt was asked to let it go on */
    WAKE_STATE_COUNT
};

struct run_wake {
    enum wake_state state;
    struct call call;
    uint64_t retry_ms;
};

struct run {
    enum run_state state;
    uint32_t slot;
    struct uuid vm;
    struct action_id action; /* of the record it serves */
    struct call call;
    struct call side_call; /* what goes on beside it in the same state */
    bool done;             /* the state's own call succeeded */
    bool side_done;
    bool has_domain;       /* libvirt has it, or may have */
    uint32_t domain_at;    /* where in the list its domain was last found; a hint */
    bool starting;         /* a start: its end before RUN_UP is a failed start */
    bool again;            /* after cleaning up our own leftovers, take the lease once more */
    bool forfeit;          /* the lease is not ours: leave it alone */
    bool clean;            /* the guest shut down by itself: its disks are closed */
    bool unfit;            /* it cannot be started: what it needs is missing */
    bool suspect;          /* its disk refused I/O: is a client of its blocklisted? */
    struct clients before; /* watchers from before the create: not ours */
    struct lease lease;    /* as we last knew it */
    struct lease wanted;   /* as we asked for it */
    uint64_t deadline_ms;  /* of the start, or of the shutdown */
    uint64_t retry_ms;
    uint64_t check_ms;       /* when to look at the lease next */
    char reason[TEXT_BYTES]; /* why a start failed */
    enum domain_end end;     /* how it came to its end */
    enum domain_end fate; /* likewise, of one that was gone when this run began, if that is known */
    uint64_t up_ms;       /* since when it is up */
    struct run_io io;
    struct run_wake wake;
    bool intruder;       /* another hand started it here: who has its images open is not known */
    struct client other; /* has its images open, and is neither its QEMU nor an agent */
    bool other_stays;    /* it was seen twice */
    uint64_t others_ms;  /* when to look for such a one next */
    bool stray; /* it ran here under no lease of ours: who has its images open here, may not */
};

/* How a VM had ended that an agent had when its life was in doubt; unknown: it had not, as far as
 * libvirt had said. */
struct fate {
    struct uuid vm;
    struct action_id action;
    enum domain_end end;
};

/* A copy of a VM that somebody started here past stead: told until the history holds the token. */
struct hand {
    struct uuid vm;
    uint64_t token; /* 0: free */
};
#define HANDS_MAX 16

/* A fact told by a peer that the state does not reflect yet. */
struct observed {
    uint8_t node; /* slot of the teller */
    struct incarnation incarnation;
    struct observation fact;
};
#define OBSERVED_MAX 256

/* An operator's command given on this node. */
struct pending {
    struct request request; /* kind NONE: free */
    uint64_t deadline_ms;
    uint64_t send_ms;
};

/* One record of the state object. */
struct record_name {
    enum record_kind kind;
    uint32_t slot;
};
#define MENDS_MAX 16

/* What the acting node does about blocklist entries against one node's address. */
struct address {
    struct call call; /* taking it off, or looking for one */
    bool looking;     /* that call only looks */
    uint64_t retry_ms;
    bool off;          /* it is off, read back: the node may come back */
    bool stray;        /* one stands against a node that takes part */
    uint64_t stray_ms; /* when that was last seen; 0: never */
    bool told;         /* it is in the history */
};

/* What only the acting node keeps; begun anew with each term. */
struct acting {
    uint64_t term; /* that we took; 0: none */
    struct fence fences[NODES_MAX];
    uint64_t lost_version[NODES_MAX];   /* of the copy when that fence was begun */
    uint64_t handle_version[NODES_MAX]; /* the state has its present handle since then at least */
    struct address addresses[NODES_MAX];
    uint64_t held; /* mask of nodes whose fence is held back, and the history says so */
    uint64_t vm_retry_ms[VMS_MAX];
    uint64_t vm_asked_ms[VMS_MAX]; /* when one that ran was to be started, or 0: see ends_draft() */
    uint16_t barrier_of[VMS_MAX];  /* index in barriers + 1; 0: none */
    uint32_t act_first;            /* of VMs: for whose takeover a step last had no room */
    uint32_t refused_next;
    char refusal[TEXT_BYTES];           /* the words of the one being made */
    struct reply refused[REQUESTS_MAX]; /* what was refused stays refused when it is asked again */
    uint64_t look_ms;                   /* when to see whether the state object is sound */
    uint32_t mend_count;
    struct record_name mends[MENDS_MAX]; /* records to be written anew: the object's are damaged */
    uint32_t inbox_count;
    struct request inbox[REQUESTS_MAX];
    uint64_t waits_since_ms; /* on every node: work has waited since; 0: none waits */
    uint64_t waits_version;
    uint32_t barrier_end; /* one past the last barrier in use since the term began */
    struct barrier barriers[TAKEOVERS_MAX];
};

/* The delta being built in this step, on top of the copy. */
struct draft {
    bool open;
    uint32_t ledger_count; /* of its entries, those that go into the ledger, too */
    struct delta delta;
};

struct local {
    struct facts facts;
    uint64_t now_ms;
    uint64_t wall_ms;
    uint64_t started_ms;
    uint64_t first_fresh_ms; /* 0: not yet */
    uint64_t next_id;        /* of calls */
    bool unfinished;         /* the last step had no room for all that was due */
    uint64_t next_counter;   /* of action ids and origins */
    struct event_ring ring;
    uint32_t peer_count;
    struct peer peers[NODES_MAX]; /* in the order of ring.nodeids */
    uint32_t seen_count;          /* node ids this process ever saw in the ring */
    uint32_t seen[NODES_MAX];
    uint64_t left_ms[NODES_MAX]; /* of each of these: when it last left the ring */
    bool ended[NODES_MAX];       /* ... and whether it last said that its host shuts down */
    struct leave leave;
    struct tie tie;
    struct watchdog watchdog;
    bool halted;             /* by facts.mark */
    uint64_t votes_retry_ms; /* not before is Corosync told again how many votes to expect */
    uint64_t beat_next_ms;
    uint64_t beat_last_ms;
    struct beat beat;
    char troubles[TROUBLE_COUNT][TEXT_BYTES]; /* as the edges told */
    bool domains_known;                       /* libvirt has listed every domain of ours */
    bool libvirt;                             /* its connection stands */
    struct storage_view storage;
    struct life life;
    struct suspension suspension;
    struct commit commit;
    uint64_t commit_retry_ms; /* not before is one of open fate sent again */
    struct delta committed;   /* the last one of ours, for the others */
    struct draft draft;
    struct acting acting;
    uint32_t domain_count;
    struct domain domains[RUNS_MAX];
    uint32_t begun_epoch; /* the copy of which all that is ours is begun; 0: look anew */
    uint64_t begun_version;
    uint32_t run_count; /* one past the last run in use */
    uint32_t run_first; /* the one for which a step last had no room */
    struct run runs[RUNS_MAX];
    uint32_t fate_count;
    struct fate fates[RUNS_MAX];
    struct hand hands[HANDS_MAX];
    uint32_t observed_count;
    struct observed observed[OBSERVED_MAX];
    uint32_t pending_count; /* in use, anywhere in the list */
    struct pending pending[REQUESTS_MAX];
    uint32_t looked_epoch; /* the copy of the state that was last looked through for them */
    uint64_t looked_version;
    struct alarms alarms;
    uint32_t answered_next;
    uint64_t
        answered[REQUESTS_MAX]; /* counters of the commands answered last: not new if heard again */
};

#endif
