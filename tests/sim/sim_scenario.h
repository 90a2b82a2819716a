/*
 * A scenario as read and checked: a cluster, what happens to it, and what must be true. Names are
 * resolved to indexes while reading, so that nothing can be wrong with it any more when it runs.
 */
#ifndef STEAD_TESTS_SIM_SCENARIO_H
#define STEAD_TESTS_SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/event.h"
#include "proto/types.h"

#define SIM_NODES_MAX NODES_MAX
#define SIM_VMS_MAX 1024
#define SIM_STEPS_MAX 1024
#define SIM_EXPECTS_MAX 256
#define SIM_LINE_BYTES 512
#define SIM_TIME_END UINT64_MAX

enum sim_bmc {
    SIM_BMC_OK,
    SIM_BMC_DEAD,
    SIM_BMC_WITH_HOST, /* loses its power with its host */
    SIM_BMC_SLOW,
    SIM_BMC_LIES,     /* commands succeed, the host stays on and reads on */
    SIM_BMC_LIES_OFF, /* it even reads off */
    SIM_BMC_NONE,
};

enum sim_watchdog {
    SIM_WATCHDOG_NO,
    SIM_WATCHDOG_YES,
    SIM_WATCHDOG_NEVER, /* it arms, and never fires */
};

#define SIM_PDUS_MAX 2 /* outlets of a switched PDU that feed one host */

struct scenario_node {
    char name[NAME_BYTES];
    uint32_t memory_mib;
    bool powered;
    bool net_up;
    enum sim_bmc bmc;
    uint64_t bmc_slow_us;
    enum sim_watchdog watchdog;
    uint64_t watchdog_late_us; /* it fires so long after its timeout */
    enum sim_bmc pdus[SIM_PDUS_MAX];
    uint64_t pdu_slow_us[SIM_PDUS_MAX];
};

struct scenario_vm {
    char name[NAME_BYTES];
    uint32_t node; /* index */
    bool wanted;
    bool running;
    bool later; /* not there at time 0: made by `do vm add` */
    uint32_t memory_mib;
    int32_t priority;
    uint64_t boot_us;
    uint32_t start_fails;
    uint64_t start_fails_on; /* mask of node indexes */
    bool stop_fails;         /* it does not shut down when asked to */
    uint32_t class_slot;     /* in `set`; 0: none */
};

enum step_kind {
    STEP_POWER,
    STEP_NET,
    STEP_PARTITION,
    STEP_HEAL,
    STEP_STORAGE,
    STEP_STATE,
    STEP_OBJECT,
    STEP_BMC,
    STEP_LIBVIRT,
    STEP_FREEZE,
    STEP_KILL_AGENT,
    STEP_KILL_VM,
    STEP_VM_START,
    STEP_VM_STOP,
    STEP_VM_ADD,
    STEP_VM_REMOVE,
    STEP_NODE_FENCE,
    STEP_NODE_UNFENCE,
    STEP_STOP_AGENT,
    STEP_START_AGENT,
    STEP_KILL_COROSYNC,
    STEP_STOP_COROSYNC,
    STEP_START_COROSYNC,
    STEP_CONFIG_SET,
    STEP_NODE_REMOVE,
    STEP_CLUSTER_JOIN,
    STEP_MACHINE,
    STEP_HALT,
    STEP_NODE_RESUME,
    STEP_SHUTDOWN,
    STEP_REBOOT,
    STEP_GUEST,
    STEP_HAND,
    STEP_POOL,
    STEP_VM_ADOPT,     /* a domain that runs on `node`, by hand so far */
    STEP_VM_GIVE_BACK, /* as it runs */
    STEP_CUT,          /* `node` and `other` do not hear each other */
    STEP_MEND,
    STEP_CLOCK,
    STEP_KILL_LIBVIRT,
    STEP_KILL_KEEPER,
    STEP_LEASE,   /* of `vm` */
    STEP_HANG,    /* the agent alone stands still */
    STEP_VERSION, /* its agent is restarted with feature level `level` */
    STEP_CLUSTER_FORCE,
    STEP_BLOCKLIST, /* somebody's own hand on the blocklist */
    STEP_MONITORS,
    STEP_TMPFS, /* the /run of `node` has room no more, or again */
    STEP_SET,   /* another `change` of `vm` */
    STEP_QDEVICE,
    STEP_CLASS, /* set, removed, or that of `vm`: `request` */
    STEP_MESSAGES,
    STEP_KIND_COUNT
};

enum monitors_state {
    MONITORS_OK,
    MONITORS_STALLED,
    MONITORS_SLOW, /* each change of the map takes so long */
    MONITORS_LATE, /* the OSDs hear of it so much later, but from whoever asks them for something */
};

/* What is under way as a ring changes reaches all who go on together, or none of them. */
enum delivery { DELIVERY_BY_CHANCE, DELIVERY_TO_ALL, DELIVERY_TO_NONE };

/* What a guest does, or what somebody does to it with virsh. */
enum deed {
    DEED_POWEROFF,
    DEED_REBOOT,
    DEED_PANIC,
    DEED_START,
    DEED_STOP,
    DEED_PAUSE,
    DEED_RESUME,
    DEED_MOVE,
    DEED_STICK, /* no signal ends its QEMU for a while */
};

/* Whom an entry of somebody's hand is about. */
enum block_target { BLOCK_QEMU, BLOCK_HOST, BLOCK_AGENT, BLOCK_ALL };

enum path_state {
    PATH_UP,
    PATH_DOWN,
    PATH_SLOW,
    PATH_SILENT, /* what is asked arrives, the answers do not */
    PATH_LOSSY,  /* so now and then, or it arrives much later, or never */
};
/* What befalls the state object itself. */
enum object_event {
    OBJECT_GONE,     /* removed */
    OBJECT_KEPT,     /* somebody keeps a copy of it: a backup */
    OBJECT_OLD,      /* and puts that in its place */
    OBJECT_BACK,     /* the object as it was last is there again */
    OBJECT_GARBLED,  /* its header becomes unreadable */
    OBJECT_DAMAGED,  /* the record of a node becomes another */
    OBJECT_STALLED,  /* its placement group answers nobody, and does it all later */
    OBJECT_RESTORED, /* the backup becomes the first state of a new epoch */
};
enum libvirt_state { LIBVIRT_OK, LIBVIRT_HANG, LIBVIRT_LATE };

/* The guests' pool. Measured: a full one answers nothing until there is room. */
enum pool_state { POOL_OK, POOL_FULL, POOL_REFUSES };

/* How a VM's starts go from now on. */
struct vm_change {
    bool boots;
    uint64_t boot_us;
    bool fails;
    uint32_t start_fails;
    bool fails_on;
    uint64_t start_fails_on;
    bool stops;
    bool stop_fails;
};

struct scenario_step {
    uint64_t at_us;
    enum step_kind kind;
    uint32_t node;  /* index; of STEP_STORAGE and STEP_STATE: SIM_NODES_MAX means all */
    uint32_t other; /* CUT, MEND */
    uint32_t vm;    /* index */
    bool on;        /* power, net; NODE_FENCE, _REMOVE: vouched; LEASE: stalled;
                       CUT: only one way, `other` does not hear `node`;
                       BLOCKLIST: put on, and for `duration_us` */
    enum block_target target;
    int64_t wall_us;   /* CLOCK: its wall clock steps by this */
    int32_t drift_ppm; /* CLOCK: or its monotonic clock runs so much too fast */
    bool drifts;
    uint32_t level; /* VERSION */
    enum pool_state pool;
    enum deed deed;
    enum path_state path;
    enum libvirt_state libvirt;
    enum object_event object;
    enum delivery delivery;
    enum monitors_state monitors;
    enum sim_bmc bmc;
    uint32_t device;             /* BMC: 0; else 1 + the PDU's index */
    uint32_t percent;            /* lossy */
    uint64_t duration_us;        /* slow, freeze, hang, late, stuck, --timeout; 0: as measured */
    uint8_t side[SIM_NODES_MAX]; /* PARTITION: which part each node is in */
    enum request_kind request;   /* CLASS */
    char setting[NAME_BYTES];    /* CONFIG_SET; CLASS: its name; and its value */
    char value[NAME_BYTES];
    struct vm_change change;    /* SET */
    char words[SIM_LINE_BYTES]; /* as written, for the trace */
};

enum expect_kind {
    EXPECT_VM_RUNNING,
    EXPECT_VM_STOPPED,
    EXPECT_VM_RECOVERING,
    EXPECT_VM_SUSPENDED,
    EXPECT_NODE,
    EXPECT_FENCED,
    EXPECT_FENCED_BY,
    EXPECT_GHOST,
    EXPECT_RECOVERED,
    EXPECT_NEVER_ON,
    EXPECT_MOVED,
    EXPECT_REFUSED,
    EXPECT_LOG,
    EXPECT_SETTING,
    EXPECT_ALARM, /* `number` the kind, ALARM_KIND_COUNT any; `text` the subject, empty any */
    EXPECT_NO_ALARM,
};

enum node_word {
    NODE_ONLINE,
    NODE_OFFLINE,
    NODE_IS_FENCED,
    NODE_AWAY,
    NODE_UNATTENDED,
    NODE_IS_REMOVED,
    NODE_HALTED,
    NODE_IS_OUT
};

struct scenario_expect {
    enum expect_kind kind;
    uint32_t line;
    uint64_t at_us; /* SIM_TIME_END: at the end */
    uint32_t vm;
    uint32_t node;
    uint64_t nodes; /* mask */
    bool any;       /* running on any */
    enum node_word word;
    uint32_t proof;
    uint64_t duration_us;
    uint32_t number;
    char text[SIM_LINE_BYTES];  /* log, refused; the name of a setting, `number` its value */
    char words[SIM_LINE_BYTES]; /* as written */
};

struct scenario {
    char file[256];
    char title[SIM_LINE_BYTES];
    uint64_t seed;
    uint64_t token_us;
    uint64_t boot_us; /* of a host */
    enum tie_break tie;
    bool hook;          /* libvirt asks stead before it starts a domain */
    uint64_t settle_us; /* how long after the last fault everything must be where it belongs */
    struct setting_record set[SETTING_SLOTS]; /* the settings, then the classes */
    int32_t class_priority[CLASSES_MAX];      /* of VMs that do not say */
    uint32_t node_count;
    struct scenario_node nodes[SIM_NODES_MAX];
    uint32_t vm_count;
    struct scenario_vm vms[SIM_VMS_MAX];
    uint32_t step_count;
    struct scenario_step steps[SIM_STEPS_MAX];
    uint32_t expect_count;
    struct scenario_expect expects[SIM_EXPECTS_MAX];
    uint64_t run_us; /* how long the story is */
};

/*
 * Reads a scenario from `text`; `file` is only for messages. Returns how many errors were printed
 * to `errors` (NULL: to nobody), as FILE:LINE:COLUMN: what is wrong. `ret` is usable only after 0.
 */
uint32_t scenario_parse(const char *file, const char *text, FILE *errors, struct scenario *ret);

/* The bytes of a file ("-": standard input), or NULL and why not; the caller frees them. */
char *scenario_text(const char *file, FILE *errors);

/* Reads a scenario from a file. */
uint32_t scenario_read(const char *file, FILE *errors, struct scenario *ret);

#endif
