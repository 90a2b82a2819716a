/*
 * The table of settings and what follows from it.
 *
 * Decides: which values are right, and which go together. Why the durations are what they are is
 * argued in fencing/timing.c. Assumes: records in the state may come from another release. Never:
 * hands out a value out of its range, whatever the state holds.
 */
#include "proto/settings.h"

#include <string.h>

#include "proto/assert.h"

#define MINUTE 60000

#define ROW(slot, field, kind, standard, least, most, help, ...)                                   \
    {                                                                                              \
        slot, #field, kind, standard, least, most, offsetof(struct settings, field),               \
            {__VA_ARGS__}, help                                                                    \
    }
#define MS(slot, field, standard, least, most, help)                                               \
    ROW(slot, field, SETTING_MS, standard, least, most, help, NULL)
#define WORDS(slot, field, standard, help, ...)                                                    \
    ROW(slot, field, SETTING_WORDS, standard, 0, 0, help, __VA_ARGS__)

#define WORD(slot, field, standard, help, ...)                                                     \
    ROW(slot, field, SETTING_WORD, standard, 0, 0, help, __VA_ARGS__)

_Static_assert(GUEST_RESTART == 0 && GUEST_STOP == 1 && GUEST_LEAVE == 2 && IO_RESUME == 0 &&
                   HA_ON == 0 && HA_FREEZE == 1 && HA_IGNORE == 2,
               "words in the order of the values");
_Static_assert(PROOF_STORAGE == 1 && PROOF_POWER == 2 && PROOF_REBORN == 4 && PROOF_CLEAN == 8 &&
                   PROOF_OPERATOR == 16 && PROOF_WATCHDOG == 32,
               "bits in the order of the words below");

static const struct setting table[] = {
    MS(1, beat_ms, 200, 50, 2000, "between two heartbeats of an agent"),
    MS(2, fresh_ms, 1000, 200, 10000, "how long an answered heartbeat proves quorum"),
    MS(3, able_ms, 1500, 200, 30000,
       "how long Ceph's last answer keeps a node able, its word alive"),
    MS(4, actor_ms, 3000, 500, MINUTE, "how long work may wait before another node acts"),
    MS(5, poll_ms, 500, 100, 10000, "between two looks at the state's version in Ceph"),
    MS(6, call_ms, 5000, 500, MINUTE, "deadline of one request to Ceph or libvirt"),
    MS(7, start_ms, 30000, 1000, 10 * MINUTE, "deadline of a VM's start, its images opened"),
    MS(8, bmc_ms, 15000, 1000, 2 * MINUTE, "deadline of one BMC request, read-back included"),
    MS(9, retry_ms, 1000, 100, MINUTE, "before what failed is tried again; up to 32 times as long"),
    WORDS(10, proof, PROOF_STORAGE, "what frees a dead node's VMs, beside the storage barrier",
          "storage", "power", "reborn", "clean", "operator", "watchdog"),
    MS(11, leave_ms, MINUTE, 0, 60 * MINUTE,
       "how long an announced absence is no failure; 0: never"),
    WORD(20, guest_poweroff, GUEST_STOP, "what follows when a guest powers itself off", "restart",
         "stop"),
    WORD(21, guest_crash, GUEST_RESTART, "what follows when a VM's QEMU dies", "restart", "stop"),
    WORD(22, guest_destroyed, GUEST_RESTART, "what follows when somebody destroys a VM by virsh",
         "restart", "stop"),
    WORD(23, guest_panic, GUEST_RESTART, "what follows when a guest's kernel panics (pvpanic)",
         "restart", "stop", "leave"),
    WORD(24, guest_io_error, IO_RESUME, "of a guest paused because its disk refused I/O", "resume",
         "leave"),
    MS(33, grace_ms, MINUTE, 1000, 60 * MINUTE,
       "how long hosts never seen may boot at a cold start"),
    WORD(40, ha, HA_ON, "what the cluster does by itself; set by stead ha", "on", "freeze",
         "ignore"),
    ROW(41, fence_budget, SETTING_NUMBER, 4, 1, NODES_MAX,
        "nodes fenced unasked within fence_window_ms", NULL),
    MS(42, fence_window_ms, 10 * MINUTE, MINUTE, 24 * 60 * MINUTE,
       "the time that fence_budget is for"),
    ROW(43, mass_loss, SETTING_NUMBER, 25, 10, 100,
        "percent: if more nodes, and 3 or more, are gone, ask", NULL),
    MS(44, flap_ms, 5 * MINUTE, 0, 60 * MINUTE,
       "how long one lost 3 times in a row stays out at first"),
    WORD(55, power_on_after_fence, 0,
         "is a host that was switched off by itself switched on again?", "no", "yes"),
    MS(50, watchdog_ms, 15000, 2000, 5 * MINUTE,
       "timeout that hosts' watchdogs are set to when armed"),
    MS(51, watchdog_fires_ms, 40000, 3000, 10 * MINUTE,
       "when one has surely fired; a host's [watchdog] fires"),
    MS(60, bar_ms, 15000, 5000, 10 * MINUTE,
       "in a tie: silence in Ceph after which the other side acts"),
};
#define ROWS (sizeof(table) / sizeof(table[0]))

/* What holds between two settings: the first is at least `times` the second. */
static const struct {
    const char *larger;
    uint32_t times;
    const char *smaller;
    const char *or_else;
} rules[] = {
    {"fresh_ms", 2, "beat_ms", "one late heartbeat would end the proof of quorum"},
    {"able_ms", 2, "poll_ms", "one late poll would make a node unable"},
    {"able_ms", 2, "beat_ms", "one late heartbeat would make a node unattended"},
    {"start_ms", 1, "call_ms", "a start asks Ceph first"},
    {"bar_ms", 3, "poll_ms", "one late poll would pass for a dead agent"},
    {"watchdog_fires_ms", 1, "watchdog_ms", "none has surely fired before its timeout"},
    {"watchdog_ms", 2, "fresh_ms", "a host would be reset while it is vouched for but once"},
};
#define RULES (sizeof(rules) / sizeof(rules[0]))

const struct setting *settings_table(uint32_t *ret_count)
{
    *ret_count = ROWS;
    return table;
}

const struct setting *settings_find(const char *name)
{
    for (uint32_t i = 0; i < ROWS; i++) {
        if (strncmp(table[i].name, name, NAME_BYTES) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

const struct setting *settings_find_slot(uint32_t slot)
{
    for (uint32_t i = 0; i < ROWS; i++) {
        ASSERT(table[i].slot < SETTINGS_MAX);
        if (table[i].slot == slot) {
            return &table[i];
        }
    }
    return NULL;
}

uint32_t setting_get(const struct setting *setting, const struct settings *settings)
{
    uint32_t value = 0;
    ASSERT(setting->offset + sizeof(value) <= sizeof(*settings));
    memcpy(&value, (const char *)settings + setting->offset, sizeof(value));
    return value;
}

void setting_put(const struct setting *setting, struct settings *settings, uint32_t value)
{
    ASSERT(setting->offset + sizeof(value) <= sizeof(*settings));
    memcpy((char *)settings + setting->offset, &value, sizeof(value));
}

struct settings settings_default(void)
{
    struct settings settings = {0};
    for (uint32_t i = 0; i < ROWS; i++) {
        setting_put(&table[i], &settings, table[i].standard);
    }
    ASSERT(settings.beat_ms > 0);
    return settings;
}

static uint32_t word_count(const struct setting *setting)
{
    uint32_t count = 0;
    while (count < SETTING_WORDS_MAX && setting->words[count] != NULL) {
        count++;
    }
    return count;
}

/* The nearest value this release knows what to do with. */
static uint32_t tamed(const struct setting *setting, uint32_t value)
{
    switch (setting->kind) {
    case SETTING_WORD:
        return value < word_count(setting) ? value : setting->standard;
    case SETTING_WORDS: /* unknown proofs suffice for nothing */
        return value & ((1u << word_count(setting)) - 1);
    case SETTING_MS:
    case SETTING_NUMBER:
        break;
    }
    if (value < setting->least) {
        return setting->least;
    }
    return value > setting->most ? setting->most : value;
}

struct settings settings_in_force(const struct setting_record set[SETTINGS_MAX])
{
    struct settings settings = settings_default();
    for (uint32_t i = 0; i < ROWS; i++) {
        const struct setting_record *record = &set[table[i].slot];
        if (record->set_ms != 0 && record->given) {
            setting_put(&table[i], &settings, tamed(&table[i], record->value));
        }
    }
    return settings;
}

/* ---- as people read it */

/* In the largest unit that leaves a whole number, minutes from two on. */
static void add_duration(struct text *text, uint32_t ms)
{
    static const struct {
        uint32_t least;
        uint32_t ms;
        const char *name;
    } units[] = {{60 * MINUTE, 60 * MINUTE, "h"}, {2 * MINUTE, MINUTE, "m"}, {1000, 1000, "s"}};
    for (uint32_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (ms >= units[i].least && ms % units[i].ms == 0) {
            text_add(text_add_u64(text, ms / units[i].ms), units[i].name);
            return;
        }
    }
    text_add(text_add_u64(text, ms), "ms");
}

void setting_add_value(struct text *text, const struct setting *setting, uint32_t value)
{
    if (setting->kind == SETTING_MS) {
        add_duration(text, value);
    } else if (setting->kind == SETTING_NUMBER) {
        text_add_u64(text, value);
    } else if (setting->kind == SETTING_WORD) {
        text_add(text, value < word_count(setting) ? setting->words[value] : "?");
    } else {
        bool first = true;
        for (uint32_t i = 0; i < word_count(setting); i++) {
            if ((value >> i & 1) != 0) {
                text_add(text_add(text, first ? "" : ","), setting->words[i]);
                first = false;
            }
        }
    }
}

void setting_add_range(struct text *text, const struct setting *setting)
{
    if (setting->kind == SETTING_MS || setting->kind == SETTING_NUMBER) {
        setting_add_value(text, setting, setting->least);
        setting_add_value(text_add(text, " to "), setting, setting->most);
        return;
    }
    uint32_t count = word_count(setting);
    for (uint32_t i = 0; i < count; i++) {
        text_add(text_add(text, i == 0                           ? ""
                                : setting->kind == SETTING_WORDS ? ","
                                                                 : "|"),
                 setting->words[i]);
    }
}

/* ---- as people write it */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* How many ms one of this unit is; 0: no unit of time. */
static uint32_t unit_ms(const char *unit)
{
    static const struct {
        const char *name;
        uint32_t ms;
    } units[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", MINUTE}, {"h", 60 * MINUTE}};
    for (uint32_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strncmp(unit, units[i].name, 3) == 0) {
            return units[i].ms;
        }
    }
    return 0;
}

/* DIGITS[.DIGITS][UNIT]; a fraction wants a unit, and must come out in whole ms. */
static bool read_number(const char *words, bool duration, uint64_t *ret_value)
{
    uint64_t value = 0;
    uint64_t scale = 1;
    const char *at = words;
    for (; is_digit(*at) && value <= UINT32_MAX; at++) {
        value = value * 10 + (uint64_t)(*at - '0');
    }
    if (at == words || is_digit(*at)) {
        return false;
    }
    if (duration && *at == '.' && is_digit(at[1])) {
        for (at++; is_digit(*at) && scale < 1000000; at++) {
            value = value * 10 + (uint64_t)(*at - '0');
            scale *= 10;
        }
    }
    uint32_t unit = duration ? unit_ms(at) : *at == '\0';
    if (unit == 0 || (scale > 1 && *at == '\0') || value * unit % scale != 0) {
        return false;
    }
    *ret_value = value * unit / scale;
    return true;
}

/* The index of the word of this length, or the count when there is none. */
static uint32_t find_word(const struct setting *setting, const char *word, size_t length)
{
    uint32_t i = 0;
    while (i < word_count(setting) && (strnlen(setting->words[i], NAME_BYTES) != length ||
                                       strncmp(setting->words[i], word, length) != 0)) {
        i++;
    }
    return i;
}

static bool read_words(const struct setting *setting, const char *words, uint32_t *ret_value)
{
    uint32_t mask = 0;
    const char *at = words;
    while (true) {
        size_t length = 0;
        while (at[length] != '\0' && at[length] != ',') {
            length++;
        }
        uint32_t index = find_word(setting, at, length);
        if (index == word_count(setting)) {
            return false;
        }
        mask |= 1u << index;
        if (at[length] == '\0') {
            break;
        }
        at += length + 1;
    }
    *ret_value = mask;
    return true;
}

static bool read_value(const struct setting *setting, const char *words, uint32_t *ret_value)
{
    uint64_t number = 0;
    switch (setting->kind) {
    case SETTING_MS:
    case SETTING_NUMBER:
        if (!read_number(words, setting->kind == SETTING_MS, &number) || number < setting->least ||
            number > setting->most) {
            return false;
        }
        *ret_value = (uint32_t)number;
        return true;
    case SETTING_WORD:
        *ret_value = find_word(setting, words, strnlen(words, NAME_BYTES));
        return *ret_value < word_count(setting);
    case SETTING_WORDS:
        return read_words(setting, words, ret_value);
    }
    IMPOSSIBLE("setting kind");
    return false;
}

bool setting_parse(const struct setting *setting, const char *words, uint32_t *ret_value,
                   struct text *ret_why)
{
    static const char *const wants[] = {
        [SETTING_MS] = " wants a time from ",
        [SETTING_NUMBER] = " wants a whole number from ",
        [SETTING_WORD] = " wants one of ",
        [SETTING_WORDS] = " wants one or more, with commas between, of ",
    };
    uint32_t value = 0;
    ASSERT(word_count(setting) < 32);
    if (read_value(setting, words, &value)) {
        *ret_value = value;
        return true;
    }
    *ret_why = (struct text){0};
    text_add(text_add(ret_why, setting->name), wants[setting->kind]);
    setting_add_range(ret_why, setting);
    text_add(text_add(text_add(ret_why, ", not '"), words), "'");
    return false;
}

bool settings_agree(const struct settings *settings, struct text *ret_why)
{
    for (uint32_t i = 0; i < RULES; i++) {
        const struct setting *larger = settings_find(rules[i].larger);
        const struct setting *smaller = settings_find(rules[i].smaller);
        ASSERT(larger != NULL && smaller != NULL);
        uint32_t large = setting_get(larger, settings);
        uint32_t small = setting_get(smaller, settings);
        if (large / rules[i].times >= small) {
            continue;
        }
        *ret_why = (struct text){0};
        text_add(text_add(text_add(ret_why, rules[i].or_else), ": set "), larger->name);
        setting_add_value(text_add(ret_why, " to "), larger, small * rules[i].times);
        text_add(text_add(ret_why, " or more, or "), smaller->name);
        setting_add_value(text_add(ret_why, " to "), smaller, large / rules[i].times);
        text_add(ret_why, " or less");
        return false;
    }
    return true;
}
