/*
 * The decisions of stead-keeper.
 *
 * Decides: when /dev/watchdog is fed. While anybody may count on it, only as long as CLOCK_BOOTTIME
 * has not passed what the agent last vouched for: an agent that dies, hangs, or is cut off just
 * lets its word run out. One that it may let go and cannot stop (nowayout) would reset a host for
 * nothing: that is fed for ever, and reported as one that guards nothing, until it is armed anew.
 * Decides, too, which device is worth trusting: one that arms and never fires is worse than none,
 * since others would start this host's guests on its word.
 * Assumes: the clock counts suspend; a vouch is a statement of fact, so of two the later end holds.
 * Never: feeds on the strength of a feed before, nor lets a device go that it was not told to.
 */
#include "fencing/keeper.h"

#include <string.h>

#include "proto/assert.h"
#include "proto/text.h"

#define FEEDS_PER_TIMEOUT 10
#define FEED_MAX_MS 1000

static const struct {
    const char *word;
    bool fed;       /* until until_ms */
    bool guards;    /* this host is reset unless it is vouched for */
    uint32_t moves; /* mask of states it may move to */
    const char *sentence;
} states[KEEPER_STATE_COUNT] = {
    [KEEPER_OFF] = {"off", false, false, 1u << KEEPER_ARMED | 1u << KEEPER_KEPT, ""},
    [KEEPER_ARMED] = {"armed", false, true,
                      1u << KEEPER_FEEDING | 1u << KEEPER_OFF | 1u << KEEPER_KEPT, ""},
    [KEEPER_FEEDING] = {"feeding", true, true,
                        1u << KEEPER_EXPIRED | 1u << KEEPER_OFF | 1u << KEEPER_KEPT, ""},
    [KEEPER_EXPIRED] = {"expired", false, true,
                        1u << KEEPER_FEEDING | 1u << KEEPER_OFF | 1u << KEEPER_KEPT,
                        "nobody vouches for this host any more; its watchdog is left to fire"},
    [KEEPER_KEPT] = {"kept", true, false, 1u << KEEPER_ARMED | 1u << KEEPER_OFF,
                     "its watchdog cannot be stopped (nowayout=1?): stead-keeper feeds it, and "
                     "nobody counts on it; without stead-keeper this host would be reset"},
};

const char *keeper_word(enum keeper_state state)
{
    ASSERT(state < KEEPER_STATE_COUNT);
    ASSERT(states[state].word != NULL);
    return states[state].word;
}

const char *keeper_sentence(enum keeper_state state)
{
    ASSERT(state < KEEPER_STATE_COUNT);
    ASSERT(states[state].sentence != NULL);
    return states[state].sentence;
}

bool keeper_guards(enum keeper_state state)
{
    ASSERT(state < KEEPER_STATE_COUNT);
    return states[state].guards;
}

static void move(struct keeper *keeper, enum keeper_state state)
{
    if (keeper->state != state) {
        ASSERT(state < KEEPER_STATE_COUNT);
        ASSERT((states[keeper->state].moves & 1u << state) != 0);
        keeper->state = state;
    }
}

uint32_t keeper_feed_ms(uint32_t timeout_ms)
{
    ASSERT(timeout_ms >= KEEPER_TIMEOUT_MIN_MS);
    ASSERT(timeout_ms <= KEEPER_TIMEOUT_MAX_MS);
    uint32_t feed_ms = timeout_ms / FEEDS_PER_TIMEOUT;
    return feed_ms > FEED_MAX_MS ? FEED_MAX_MS : feed_ms;
}

void keeper_armed(struct keeper *keeper, uint32_t timeout_ms, uint64_t now_ms)
{
    ASSERT(!keeper_guards(keeper->state));
    ASSERT(timeout_ms >= KEEPER_TIMEOUT_MIN_MS);
    move(keeper, KEEPER_ARMED);
    keeper->feed_ms = keeper_feed_ms(timeout_ms);
    keeper->until_ms = 0;
    keeper->fed_ms = now_ms;
}

bool keeper_vouch(struct keeper *keeper, uint64_t until_ms, uint64_t now_ms)
{
    if (!keeper_guards(keeper->state) || until_ms > now_ms + KEEPER_VOUCH_MAX_MS) {
        return false;
    }
    if (until_ms > keeper->until_ms) {
        keeper->until_ms = until_ms;
    }
    if (now_ms < keeper->until_ms) {
        move(keeper, KEEPER_FEEDING);
    }
    return true;
}

void keeper_disarmed(struct keeper *keeper)
{
    ASSERT(keeper->state != KEEPER_OFF);
    move(keeper, KEEPER_OFF);
    keeper->until_ms = 0;
    ASSERT(keeper->feed_ms > 0);
}

/* As often as the shortest timeout wants: of one that was refused nobody has asked for its own. */
void keeper_kept(struct keeper *keeper)
{
    ASSERT(keeper->state != KEEPER_KEPT);
    move(keeper, KEEPER_KEPT);
    keeper->feed_ms = keeper_feed_ms(KEEPER_TIMEOUT_MIN_MS);
    keeper->until_ms = UINT64_MAX;
}

bool keeper_feeds(struct keeper *keeper, uint64_t now_ms)
{
    if (!states[keeper->state].fed) {
        return false;
    }
    ASSERT(keeper->feed_ms > 0);
    ASSERT(keeper->until_ms > 0);
    if (now_ms >= keeper->until_ms) {
        move(keeper, KEEPER_EXPIRED);
        return false;
    }
    if (now_ms < keeper->fed_ms + keeper->feed_ms) {
        return false;
    }
    keeper->fed_ms = now_ms;
    return true;
}

bool keeper_is_late(uint32_t late_ms)
{
    return late_ms > keeper_feed_ms(KEEPER_TIMEOUT_MAX_MS);
}

uint32_t keeper_rest_ms(const struct keeper *keeper, uint64_t now_ms)
{
    if (!states[keeper->state].fed) {
        return UINT32_MAX;
    }
    uint64_t due_ms = keeper->fed_ms + keeper->feed_ms;
    uint64_t next_ms = due_ms < keeper->until_ms ? due_ms : keeper->until_ms;
    ASSERT(keeper->feed_ms <= FEED_MAX_MS);
    ASSERT(next_ms <= now_ms + KEEPER_VOUCH_MAX_MS);
    return next_ms > now_ms ? (uint32_t)(next_ms - now_ms) : 0;
}

/* --- which device --- */

/* Those that are known to arm and not to fire, or not when it matters. The first that fits. */
static const struct liar {
    const char *identity; /* the beginning of it */
    bool only_emulated;   /* real ones are sound */
    bool softdog;         /* a person may accept it all the same */
    const char *trouble;
} liars[] = {
    {"iTCO_wdt", true, false,
     "iTCO_wdt of this virtual machine arms and never fires: give it a <watchdog "
     "model='i6300esb' action='reset'/>, and blacklist iTCO_wdt"},
    {"Software Watchdog", false, true,
     "softdog dies with the kernel it is to reset: use a hardware watchdog, or say softdog = yes "
     "below [watchdog] in stead.conf and set kernel.panic"},
};

static bool begins_with(const char *text, const char *start)
{
    size_t length = strnlen(start, KEEPER_IDENTITY_BYTES);
    ASSERT(length > 0);
    return strncmp(text, start, length) == 0;
}

static bool refuse(char *ret_trouble, const char *why, const char *identity)
{
    struct text text = {0};
    text_add(&text, "watchdog '");
    text_add(text_add(&text, identity), "': ");
    text_add(&text, why);
    memcpy(ret_trouble, text.bytes, TEXT_BYTES);
    return false;
}

bool keeper_trusts(const struct keeper_device *device, bool softdog, char *ret_trouble)
{
    ASSERT(device->identity[KEEPER_IDENTITY_BYTES - 1] == '\0');
    for (size_t i = 0; i < sizeof(liars) / sizeof(liars[0]); i++) {
        bool fits = begins_with(device->identity, liars[i].identity) &&
                    (device->emulated || !liars[i].only_emulated);
        if (fits && !(liars[i].softdog && softdog)) {
            return refuse(ret_trouble, liars[i].trouble, device->identity);
        }
    }
    if (device->ipmi_loaded && !begins_with(device->identity, "IPMI")) {
        return refuse(ret_trouble,
                      "ipmi_watchdog is loaded, and another driver has /dev/watchdog: blacklist "
                      "one of the two",
                      device->identity);
    }
    if (device->opened && !device->stays_armed) {
        return refuse(ret_trouble,
                      "it stops when it is closed, so a keeper that dies would disarm it: load its "
                      "driver with nowayout=1 (it is then fed for good once it was armed)",
                      device->identity);
    }
    ASSERT(ret_trouble != NULL);
    ret_trouble[0] = '\0';
    return true;
}

/* --- from outside --- */

bool keeper_order_ok(const struct keeper_order *order)
{
    if (order->magic != KEEPER_MAGIC || order->kind == 0 ||
        order->kind >= KEEPER_ORDER_KIND_COUNT || order->device[ADDRESS_BYTES - 1] != '\0') {
        return false;
    }
    return order->kind != KEEPER_ARM || (order->timeout_ms >= KEEPER_TIMEOUT_MIN_MS &&
                                         order->timeout_ms <= KEEPER_TIMEOUT_MAX_MS);
}

bool keeper_report_ok(const struct keeper_report *report)
{
    return report->magic == KEEPER_MAGIC && report->state < KEEPER_STATE_COUNT &&
           report->identity[KEEPER_IDENTITY_BYTES - 1] == '\0' &&
           report->device[ADDRESS_BYTES - 1] == '\0' && report->trouble[TEXT_BYTES - 1] == '\0';
}
