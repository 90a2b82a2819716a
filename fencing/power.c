/*
 * One lost host's power.
 *
 * Decides: which of its devices are told to switch off, in what order, and when they have proven
 * it off. Devices of one level feed the same host, as two power supplies do: all are told off, and
 * only then are all read; if one fails, the next level is tried, and after the last all again, a
 * bounded number of rounds. A level with a device that was never seen to be this host's is not used
 * at all: half of a level cuts nothing.
 * Assumes: the caller may fence this node, and its freshness. DONE of a device means read back.
 * Never: takes an answer of one level for a proof by another; tells anything on while it tells off.
 */
#include "fencing/power.h"

#include <string.h>

#include "fencing/timing.h"
#include "proto/assert.h"
#include "proto/values.h"

#define POWER_TRIES_MAX 3 /* of a clean-up; and so many failures are told */

static void power_move(struct power *power, enum power_state to)
{
    static const uint32_t moves[POWER_STATE_COUNT] = {
        [POWER_UNTRIED] = 1u << POWER_ASKED | 1u << POWER_ON_ASKED,
        [POWER_ASKED] =
            1u << POWER_ASKED | 1u << POWER_READING | 1u << POWER_OFF | 1u << POWER_FAILED,
        [POWER_READING] = 1u << POWER_ASKED | 1u << POWER_OFF | 1u << POWER_FAILED,
        [POWER_OFF] = 1u << POWER_ON_ASKED,
        [POWER_FAILED] = 1u << POWER_ASKED | 1u << POWER_ON_ASKED,
        [POWER_ON_ASKED] = 1u << POWER_ON_ENDED,
        [POWER_ON_ENDED] = 0,
    };
    ASSERT(to < POWER_STATE_COUNT);
    ASSERT((moves[power->state] & 1u << to) != 0);
    power->state = to;
}

/* ---- its devices */

/* 0: the node has no such device. */
static uint32_t level_of(const struct node_record *node, uint32_t device)
{
    ASSERT(device < POWER_DEVICES_MAX);
    if (device == 0) {
        uint32_t level = node->bmc.level > 0 ? node->bmc.level : 1;
        return node->bmc.address[0] != '\0' ? level : 0;
    }
    const struct fence_device *other = &node->devices[device - 1];
    return other->agent[0] != '\0' ? other->level : 0;
}

static bool is_verified(const struct node_record *node, uint32_t device)
{
    ASSERT(device < POWER_DEVICES_MAX);
    return device == 0 ? node->bmc.verified : node->devices[device - 1].standing == DEVICE_VERIFIED;
}

static bool may_use(const struct node_record *node, uint32_t level)
{
    for (uint32_t i = 0; i < POWER_DEVICES_MAX; i++) {
        if (level_of(node, i) == level && !is_verified(node, i)) {
            return false;
        }
    }
    return true;
}

/* The first level above `level` that may be used; 0: there is none. */
static uint32_t next_level(const struct node_record *node, uint32_t level)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < POWER_DEVICES_MAX; i++) {
        uint32_t its = level_of(node, i);
        if (its > level && (next == 0 || its < next) && may_use(node, its)) {
            next = its;
        }
    }
    return next;
}

bool power_has_level(const struct node_record *node)
{
    return next_level(node, 0) != 0;
}

/* ---- asking them */

static void ask(struct power *power, const struct node_record *node, uint32_t device,
                enum power_order order, const struct settings *settings, struct caller *caller)
{
    struct action *action =
        call_begin(caller, &power->calls[device], ACTION_POWER, settings->bmc_ms, true);
    memcpy(action->power.node, node->name, NAME_BYTES);
    action->power.incarnation = node->incarnation;
    action->power.machine = node->machine;
    action->power.order = order;
    if (device == 0) {
        action->power.bmc = node->bmc;
    } else {
        action->power.device = node->devices[device - 1];
    }
}

/* All devices of the level, or with level 0 every one that may be used; how many. */
static uint32_t ask_level(struct power *power, const struct node_record *node, uint32_t level,
                          enum power_order order, const struct settings *settings,
                          struct caller *caller)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < POWER_DEVICES_MAX; i++) {
        uint32_t its = level_of(node, i);
        if (its != 0 && (level == 0 ? is_verified(node, i) : its == level)) {
            ask(power, node, i, order, settings, caller);
            count++;
        }
    }
    power->failed = false;
    return count;
}

static bool is_waiting(const struct power *power)
{
    for (uint32_t i = 0; i < POWER_DEVICES_MAX; i++) {
        if (call_open(&power->calls[i])) {
            return true;
        }
    }
    return false;
}

static void begin_level(struct power *power, const struct node_record *node, uint32_t level,
                        const struct settings *settings, struct caller *caller)
{
    ASSERT(level > 0);
    ASSERT(!is_waiting(power));
    power->level = level;
    power->next = next_level(node, level);
    power_move(power, POWER_ASKED);
    power->asked = ask_level(power, node, level, POWER_ORDER_OFF, settings, caller);
}

/* Every device of the level has answered, and that was not the end of it. */
static void level_goes_on(struct power *power, const struct node_record *node,
                          const struct settings *settings, struct caller *caller)
{
    ASSERT(power->failed || power->state == POWER_ASKED);
    uint32_t next = next_level(node, power->level);
    if (!power->failed) {
        power_move(power, POWER_READING);
        (void)ask_level(power, node, power->level, POWER_ORDER_READ, settings, caller);
    } else if (next != 0) {
        begin_level(power, node, next, settings, caller);
    } else { /* its agent has told of other devices meanwhile */
        power_move(power, POWER_FAILED);
    }
}

void power_off_carry_on(struct power *power, const struct node_record *node, bool needed,
                        const struct settings *settings, struct caller *caller)
{
    ASSERT(caller_fresh(caller));
    bool again = power->state == POWER_FAILED && (needed || power->tries < POWER_TRIES_MAX) &&
                 caller->now_ms >= power->retry_ms;
    uint32_t first = next_level(node, 0);
    if ((power->state == POWER_ASKED || power->state == POWER_READING) && !is_waiting(power)) {
        level_goes_on(power, node, settings, caller);
    } else if ((power->state == POWER_UNTRIED || again) && first != 0) {
        power->tries++;
        power->begun_ms = caller->now_ms;
        power->told = power->tries > POWER_TRIES_MAX;
        begin_level(power, node, first, settings, caller);
    }
}

void power_on_again(struct power *power, const struct node_record *node,
                    const struct settings *settings, struct caller *caller)
{
    ASSERT(caller_fresh(caller));
    bool rests =
        power->state == POWER_UNTRIED || power->state == POWER_OFF || power->state == POWER_FAILED;
    if (rests && !is_waiting(power)) {
        power_move(power, POWER_ON_ASKED);
        power->told = false;
        power->begun_ms = power->ended_ms = caller->now_ms;
        name_set(power->text, TEXT_BYTES, "no device of it may be used");
        if (ask_level(power, node, 0, POWER_ORDER_ON, settings, caller) == 0) {
            power_move(power, POWER_ON_ENDED);
        }
    }
}

/* ---- their answers */

/* All have answered: what follows from it without asking anybody further. */
static void all_answered(struct power *power, uint64_t retry_ms)
{
    ASSERT(!is_waiting(power));
    if (power->state == POWER_ON_ASKED) {
        power_move(power, POWER_ON_ENDED);
    } else if (!power->failed && (power->state == POWER_READING || power->asked == 1)) {
        power_move(power, POWER_OFF);
        power->told = false;
    } else if (power->failed && power->next == 0) {
        power_move(power, POWER_FAILED);
        power->retry_ms = retry_ms;
    }
}

static void answered(struct power *power, bool done, const char *text, uint64_t retry_ms)
{
    ASSERT(power->state == POWER_ASKED || power->state == POWER_READING ||
           power->state == POWER_ON_ASKED);
    if (!power->failed) { /* of those that failed, the first tells why */
        name_set(power->text, TEXT_BYTES, text);
    }
    power->failed |= !done;
    power->on |= done && power->state == POWER_ON_ASKED;
    if (!is_waiting(power)) {
        all_answered(power, retry_ms);
    }
}

bool power_on_event(struct power *power, const struct event *event, const struct settings *settings)
{
    for (uint32_t i = 0; i < POWER_DEVICES_MAX; i++) {
        if (call_ends(&power->calls[i], event)) {
            uint64_t retry_ms = event->now_ms + timing_retry_ms(settings, power->tries);
            power->ended_ms = event->now_ms;
            answered(power, event->power.outcome == OUTCOME_DONE, event->power.text, retry_ms);
            return true;
        }
    }
    return false;
}

void power_on_tick(struct power *power, uint64_t now_ms)
{
    for (uint32_t i = 0; i < POWER_DEVICES_MAX; i++) {
        if (call_overdue(&power->calls[i], now_ms)) {
            power->ended_ms = now_ms;
            answered(power, false, "the device was asked and nothing came back", now_ms);
        }
    }
}
