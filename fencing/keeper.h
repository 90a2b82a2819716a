/*
 * What stead-keeper and the agent say to each other, and what the keeper decides. Pure.
 *
 * The two speak fixed-size messages over a local SOCK_SEQPACKET socket: orders one way, a report
 * the other way, on connecting and at each change. A keeper that has armed outlives the upgrade of
 * its agent, so what they look like stays.
 */
#ifndef STEAD_FENCING_KEEPER_H
#define STEAD_FENCING_KEEPER_H

#include "proto/types.h"

#define KEEPER_SOCKET "/run/stead/keeper"
#define KEEPER_MAGIC 0x73746b31u   /* "stk1": both sides are of one make */
#define KEEPER_IDENTITY_BYTES 32   /* as in struct watchdog_info */
#define KEEPER_VOUCH_MAX_MS 60000  /* a vouch that reaches further is nonsense */
#define KEEPER_TIMEOUT_MIN_MS 1000 /* devices count in seconds */
#define KEEPER_TIMEOUT_MAX_MS 600000

enum keeper_state {
    KEEPER_OFF,     /* the device is not held */
    KEEPER_ARMED,   /* it runs; nobody has vouched for this host yet: it is not fed */
    KEEPER_FEEDING, /* fed until the vouch runs out */
    KEEPER_EXPIRED, /* the vouch ran out: not fed; only a new one saves this host */
    KEEPER_KEPT,    /* to be let go, and it cannot be stopped: fed, whoever vouches or not */
    KEEPER_STATE_COUNT
};

enum keeper_order_kind { KEEPER_ARM = 1, KEEPER_VOUCH, KEEPER_DISARM, KEEPER_ORDER_KIND_COUNT };

struct keeper_order {
    uint32_t magic;
    uint32_t kind;
    uint64_t until_ms;          /* VOUCH: this host is well until then (CLOCK_BOOTTIME) */
    uint32_t timeout_ms;        /* ARM: what to set the device to */
    uint32_t softdog;           /* ARM: the kernel's own software watchdog will do */
    char device[ADDRESS_BYTES]; /* ARM: the one to take; empty: the first that will do */
};

struct keeper_report {
    uint32_t magic;
    uint32_t state;
    uint32_t timeout_ms; /* as the device says, once armed */
    uint32_t late_ms;    /* the longest that a feed came after it was decided, since it was armed */
    char identity[KEEPER_IDENTITY_BYTES];
    char device[ADDRESS_BYTES];
    char trouble[TEXT_BYTES]; /* why it is not armed, with the remedy; empty: nothing is wrong */
};

struct keeper {
    enum keeper_state state;
    uint32_t feed_ms;  /* between two feeds */
    uint64_t until_ms; /* this host is vouched for until then; 0: never was */
    uint64_t fed_ms;   /* when it was fed last, or armed */
};

/* For the journal. */
const char *keeper_word(enum keeper_state state);

/* What a person should know of that state; empty: nothing. */
const char *keeper_sentence(enum keeper_state state);

/* Is this host reset unless it is vouched for? Only then may anybody count on it. */
bool keeper_guards(enum keeper_state state);

/* How often a device with this timeout is fed. */
uint32_t keeper_feed_ms(uint32_t timeout_ms);

/* The device is held and runs since now. */
void keeper_armed(struct keeper *keeper, uint32_t timeout_ms, uint64_t now_ms);

/* A vouch; false: it makes no sense, and nothing changes. */
bool keeper_vouch(struct keeper *keeper, uint64_t until_ms, uint64_t now_ms);

/* It was told that it may let the device go, and did. */
void keeper_disarmed(struct keeper *keeper);

/* It may let the device go, but cannot stop it. */
void keeper_kept(struct keeper *keeper);

/* Is the device to be fed right now? Counts as fed if so. */
bool keeper_feeds(struct keeper *keeper, uint64_t now_ms);

/* Is a feed that came so late one that the sum of a proof (fencing/timing.c) does not cover? */
bool keeper_is_late(uint32_t late_ms);

/* How long nothing needs doing; UINT32_MAX: until somebody speaks. */
uint32_t keeper_rest_ms(const struct keeper *keeper, uint64_t now_ms);

/* What is known of a watchdog device before, or right after, it is opened. */
struct keeper_device {
    char identity[KEEPER_IDENTITY_BYTES]; /* WDIOC_GETSUPPORT's, or sysfs's */
    bool opened;                          /* the options below are known */
    bool stays_armed; /* closing it does not stop it: magic close, or nowayout */
    bool settable;    /* its timeout can be set */
    bool emulated;    /* this host is a virtual machine of QEMU's */
    bool ipmi_loaded; /* the kernel has loaded ipmi_watchdog */
};

/* May it be trusted to reset this host? Else false, and *ret_trouble says why not, and what would
 * help; TEXT_BYTES. */
bool keeper_trusts(const struct keeper_device *device, bool softdog, char *ret_trouble);

/* An order as it came from outside: does it make sense? */
bool keeper_order_ok(const struct keeper_order *order);
bool keeper_report_ok(const struct keeper_report *report);

#endif
