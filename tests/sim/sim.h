/*
 * The simulated world: hosts, network, BMCs, storage and hypervisors on a virtual clock, and one
 * real decision core per node. Everything that is random comes from one seed; nothing looks at a
 * real clock, at an address or at the order of a hash.
 *
 * Two layers are told apart throughout: what *is* (this struct; the checkers look at nothing else)
 * and what a core was told (events). Indexes: a node's is its slot in the cluster state, its nodeid
 * is one more; a VM's is its line in the scenario.
 */
#ifndef STEAD_TESTS_SIM_SIM_H
#define STEAD_TESTS_SIM_SIM_H

#include <setjmp.h>

#include "agent/core.h"
#include "agent/starts.h"
#include "fencing/keeper.h"
#include "tests/sim/sim_pool.h"
#include "tests/sim/sim_queue.h"
#include "tests/sim/sim_rng.h"
#include "tests/sim/sim_scenario.h"

#define MS UINT64_C(1000)
#define SECOND UINT64_C(1000000)
#define SIM_WALL_MS UINT64_C(1700000000000)

struct sim_address {
    uint32_t host;  /* index of the host with this address */
    uint32_t nonce; /* 0: the whole address */
};

/* Something an agent asked of an edge: one action, which ends in exactly one event. */
struct sim_call {
    struct sim_call *next; /* all calls, oldest first */
    struct sim_call *prior;
    uint32_t node;
    uint64_t asked_us;
    uint32_t life;             /* of the host */
    uint32_t agent_life;       /* of the agent process */
    struct sim_address client; /* the RADOS handle it goes through */
    bool answered;
    bool held;    /* waits at the client for its path to storage */
    bool unheard; /* its answer is lost */
    bool stalled; /* waits at the OSD for the placement group of its object */
    uint32_t libvirt_life;
    bool sent;           /* its path was up when it was sent: it may sit in a queue of the OSD */
    uint32_t refs;       /* tasks that still point here */
    uint32_t kill_count; /* KILL: guests it has ended, or tried to */
    struct action action;
    struct delta *delta;   /* COMMIT */
    struct cluster *image; /* STATE_READ, under way or answered */
};

/* What an agent is about to be told. */
struct sim_news {
    struct sim_call *call; /* that it answers, or NULL */
    bool own;              /* an answer on its way back from stead's own objects */
    struct event event;
};

struct sim_agent {
    struct core *core;
    bool alive;
    uint32_t life;
    uint64_t start;    /* agent_start of this process */
    uint64_t began_us; /* when that was */
    bool has_handle;
    struct sim_address client;
    uint32_t handle_epoch; /* the osdmap its handle has seen */
    uint64_t tick_us;      /* when the next tick is due; 0: none is */
    uint32_t steps_now;    /* at one instant: a core that never stops asking is a bug */
    uint64_t steps_us;
    uint64_t checked_version; /* of its copy, by the checker */
    uint64_t checked_digest;
    bool libvirt_connected;
    bool libvirt_told; /* that it is connected */
    bool hung;         /* it stands still; what Corosync has for it is kept */
    uint64_t hung_until_us;
    struct sim_kept *kept;
    size_t kept_count;
    size_t kept_room;
    bool stopped; /* by hand: systemd leaves it so */
};

/* What votequorum makes of it. */
struct sim_votes {
    uint32_t expected; /* the qdevice's among them */
    uint32_t quorum;
    bool quorate;
    bool waits;  /* wait_for_all: it has not seen all of them since it was started */
    bool device; /* the qdevice votes with its ring */
};

struct sim_host {
    bool powered;
    bool up; /* booted: Corosync and libvirt run */
    bool frozen;
    uint64_t froze_us; /* when it began */
    uint64_t thaw_us;
    uint32_t life; /* changes with each loss and return of power */
    struct uuid machine;
    struct uuid boot;
    uint64_t clock_us; /* its CLOCK_BOOTTIME at virtual time 0, modulo 2^64 */
    int32_t drift_ppm; /* and how much too fast it runs, since then */
    uint64_t drift_from_us;
    int64_t wall_us; /* how far its wall clock was stepped */
    bool net_up;
    uint8_t side;  /* of the partition */
    uint64_t deaf; /* mask of hosts whose packets do not arrive here */
    enum path_state storage;
    uint64_t cut_us; /* when it last changed while it led there */
    uint64_t storage_slow_us;
    uint32_t storage_lossy; /* percent */
    enum path_state state;
    uint64_t state_slow_us;
    uint32_t state_lossy;
    uint64_t last_arrival_us; /* operations of one client reach the OSD in order */
    enum sim_bmc bmc;
    uint64_t bmc_slow_us;
    bool lied_off; /* one of its devices once read off whatever it was */
    enum sim_watchdog watchdog;
    uint64_t watchdog_late_us;
    struct keeper keeper;
    uint64_t keeper_back_us; /* systemd has started it again */
    uint32_t watchdog_ms;    /* its timeout, armed */
    bool watchdog_runs;      /* whoever holds it, or nobody */
    bool watchdog_spared;    /* fed once more by its keeper's death, though nobody vouched */
    uint64_t fed_us;         /* when it was fed last */
    enum sim_bmc pdus[SIM_PDUS_MAX];
    uint64_t pdu_slow_us[SIM_PDUS_MAX];
    bool pdu_off[SIM_PDUS_MAX];
    enum libvirt_state libvirt;
    uint64_t libvirt_until_us;
    uint64_t libvirt_late_us;
    uint32_t libvirt_life;   /* changes with each of its deaths */
    uint64_t last_domain_us; /* libvirt's events come in order */
    struct sim_votes votes;  /* by its Corosync */
    bool corosync_asked;     /* it is being stopped, and asked its agent */
    uint64_t corosync_life;  /* changes with each of its ends */
    uint32_t level;          /* of the agent that is installed */
    bool tmpfs_full;         /* nothing can be kept in /run */
    bool has_file;           /* /run/stead */
    struct starts starts;    /* /run/stead/starts */
    bool marked;             /* /run/stead/halted */
    struct mark mark;
    struct incarnation file;
    uint64_t excused_us;   /* until then nothing said that its guests must stand still */
    uint64_t hook_version; /* of the copy that the list for libvirt's hook was written from */
    uint32_t hook_epoch;
    bool hook_has[SIM_VMS_MAX]; /* that list */
    struct sim_agent agent;
};

/* --- Corosync --- */
struct sim_message {
    enum message_kind kind;
    bool peer_left; /* not a message: the agent of `from` left the group */
    uint32_t from;  /* index */
    uint32_t refs;
    struct request request;
    struct reply reply;
    struct beat *beat;
    struct delta *delta;
};

struct sim_ring {
    struct sim_ring *next; /* all rings */
    uint64_t id;
    uint64_t members; /* mask of indexes */
    struct sim_message **messages;
    size_t base; /* absolute number of messages[0] */
    size_t count;
    size_t room;
};

struct sim_member {
    struct sim_ring *ring;
    size_t cursor;       /* absolute number of the next message to deliver */
    uint64_t last_us;    /* of the last delivery put in the queue */
    uint64_t component;  /* whom it can hear now */
    uint64_t round_us;   /* until when it was in a ring whose token goes round */
    uint64_t quorate_us; /* until when votequorum called it quorate: a qdevice may do so later */
    uint64_t held_us;    /* until when its ring was more than half, or had the term */
    uint64_t term_us;    /* until when it was a member of the term itself */
    uint64_t came_us;    /* into the ring it is in */
    uint64_t forming;    /* number of the formation under way; 0: none */
    uint64_t forming_component;
    bool unsettled; /* it hears somebody who does not hear all the others: no ring is ever made */
    bool mending;   /* it was unsettled until just now */
    struct sim_message **outbox; /* sent while no token came by */
    size_t outbox_count;
    size_t outbox_room;
};

struct sim_cpg {
    bool device_down; /* the qdevice's host */
    struct sim_ring *rings;
    uint64_t last_ring;
    uint64_t last_forming;
    bool orderly; /* whoever leaves now says so */
    enum delivery delivery;
    struct sim_member members[SIM_NODES_MAX];
};

/* --- RADOS --- */
struct sim_block {
    struct sim_address entry;
    uint32_t added;   /* osdmap epoch */
    uint32_t removed; /* 0: stands */
    bool short_lived; /* it will end by itself */
};

struct sim_rados {
    struct cluster *state;  /* the state object */
    struct cluster *kept;   /* a backup of it */
    struct cluster *newest; /* while the backup stands in its place: what was there */
    bool gone;
    bool garbled; /* its header, until it is written again */
    bool damaged; /* the record of the last node, until it is written again */
    bool stalled; /* its placement group */
    enum monitors_state monitors;
    uint64_t monitors_us;            /* SLOW, LATE: by so much */
    uint64_t beat_us[SIM_NODES_MAX]; /* when each agent last wrote its key there */
    bool lease_exists[SIM_VMS_MAX];
    bool lease_stalled[SIM_VMS_MAX];
    struct lease leases[SIM_VMS_MAX];
    enum pool_state pool; /* the guests' */
    uint32_t last_nonce;
    struct sim_block *blocks;
    size_t block_count;
    size_t block_room;
    uint32_t map_epoch; /* at the monitors */
    uint32_t osd_epoch; /* what the OSDs enforce */
    uint64_t map_changed_us;
    uint64_t proposal_us; /* when the pending map change takes effect */
    struct sim_call *first_call;
    struct sim_call *last_call;
};

/* --- hypervisors --- */
enum guest_state {
    GUEST_CREATING,
    GUEST_MARKED,
    GUEST_RUNNING,
    GUEST_IO_ERROR,
    GUEST_PAUSED,
    GUEST_PANICKED,
    GUEST_SUSPENDED, /* by stead */
};

/* One QEMU process, from its start to its end and beyond (its writes may outlive it). */
struct sim_guest {
    uint32_t vm;
    uint32_t node;
    bool alive;
    enum guest_state state;
    bool has_client;
    struct sim_address client;
    struct action_id action;
    uint64_t order;       /* among the resumes of all guests; 0: never resumed */
    bool write_held;      /* a write waits for the storage path */
    uint32_t asked_epoch; /* of the osdmap, when its client was last looked up there */
    bool refused;         /* it was on the blocklist then */
    bool ended_clean;
    bool asked_shutdown;
    uint64_t told_us;        /* since when its agent has heard, whenever it asked, that its client
                                is blocklisted; 0: it is not */
    uint64_t stuck_until_us; /* no signal ends it before */
    bool by_hand;            /* started past stead: no promise is about it, but that it ends */
    bool moved;              /* moved here past stead */
    bool let_go;             /* given back to libvirt: the lease that named it is gone */
    bool writing;            /* its loop of writes is under way */
    enum domain_end end;
    uint64_t ended_us;
    uint64_t ghost_us; /* since when it runs blocklisted; 0: does not */
    uint64_t runs_us;  /* since when it runs, the last time */
};

struct sim_vm {
    struct uuid uuid;
    bool known; /* its definition is in RADOS */
    uint32_t fails_left;
    uint64_t fails_on; /* mask of nodes */
    uint64_t boot_us;
    bool stop_fails;
    uint64_t newest_order; /* of the guest that last read the disk */
    uint32_t newest_guest;
    uint64_t writes;
    uint64_t ran_on; /* mask of nodes */
    uint32_t moves;
    bool may_stop; /* it ended by itself, or somebody ended it: a rule may stop it for good */
    uint64_t ghost_max_us;
    uint64_t down_us; /* when its last guest ended by a fault; 0: not */
    bool recovered;
    uint64_t recovered_max_us;
};

struct sim_text {
    char *bytes;
    size_t count;
    size_t room;
};

/* An operator's command under way. */
struct sim_command {
    const struct scenario_step *step;
    uint32_t node; /* where it was given */
    uint32_t agent_life;
    struct origin id;
    uint64_t sequence; /* of the history entry that says it is done */
    uint32_t tries;
    bool given;
    bool closed;
    bool refused;
    bool undone; /* it was committed, and then a backup from before was restored */
    char text[TEXT_BYTES];
};

/* What befalls the acting node after which of its actions (stead-sim kills). */
enum sim_kill_how { KILL_HOST, KILL_AGENT, KILL_FREEZE, KILL_HOW_COUNT };

struct sim_kill {
    bool armed; /* count, from the first step of the story on */
    bool counting;
    uint64_t count;  /* actions of acting nodes since the first fault */
    uint64_t target; /* kill after this one; 0: none */
    enum sim_kill_how how;
    bool done;
};

/* All that comes and goes while the simulation runs. */
struct sim_pools {
    struct sim_pool news;
    struct sim_pool calls;
    struct sim_pool messages;
    struct sim_pool beats;
    struct sim_pool deltas;
    struct sim_pool images;
};

struct sim_digest {
    uint64_t version;
    uint64_t digest;
};

struct coverage;

struct sim {
    uint64_t now_us;
    struct sim_queue queue;
    struct sim_task task; /* the one that runs now */
    struct sim_pools pools;
    struct sim_rng rng;
    const struct scenario *story;
    uint32_t next_step;
    uint32_t node_count;
    struct sim_host hosts[SIM_NODES_MAX];
    uint32_t vm_count;
    struct sim_vm vms[SIM_VMS_MAX];
    struct sim_cpg cpg;
    struct sim_rados rados;
    struct sim_guest *guests;
    uint32_t guest_count;
    uint32_t guest_room;
    uint64_t last_order;
    struct sim_command *commands;
    uint32_t command_count;
    uint64_t last_command;
    struct actions *actions;
    struct sim_kill kill;
    /* checkers */
    bool writers_changed;
    struct sim_digest *digests; /* by version - 1 */
    size_t digest_count;
    size_t digest_room;
    uint64_t fenced; /* mask of nodes ever FENCED */
    uint32_t fenced_by[SIM_NODES_MAX];
    uint64_t last_fault_us;
    /* outcome */
    struct sim_text trace;
    bool failed_expect[SIM_EXPECTS_MAX];
    uint32_t expects_failed;
    bool violated;
    char violation[SIM_LINE_BYTES];
    uint32_t stepping; /* the node whose core runs now */
    jmp_buf out;
    struct coverage *coverage; /* lent; NULL: nobody counts */
};

/* Runs `story` to its end; adds to `coverage`, if there is one. The caller frees with sim_free. */
struct sim *sim_run(const struct scenario *story, const struct sim_kill *kill,
                    struct coverage *coverage);
bool sim_ok(const struct sim *sim);
void sim_free(struct sim *sim);

/* The parts of it: a world before time 0 (sim_setup() is next) ... */
struct sim *sim_new(const struct scenario *story);
/* ... and what comes next in it; false when nothing does before the story's end. */
bool sim_turn(struct sim *sim);

/* Puts a task `delay_us` from now; on `host`, or SIM_NO_HOST for what no host can stop. */
void sim_put(struct sim *sim, uint64_t delay_us, uint32_t host, struct sim_task task);

/* One line of the trace: `node` SIM_NO_HOST for the world itself. */
void sim_log(struct sim *sim, uint32_t node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A promise was broken: ends the run. */
_Noreturn void sim_violation(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
