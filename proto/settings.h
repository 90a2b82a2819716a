/*
 * The cluster's settings: one table, from which everything about a setting follows: its default,
 * its range, how it is read and written, what people are told of it. Pure.
 *
 * To add one: a uint32_t field in struct settings (proto/types.h) and a row in proto/settings.c
 * under a number of its own. The state keeps one small record per setting that somebody set, under
 * that number; so a record of a setting this release does not know is kept as it is.
 */
#ifndef STEAD_PROTO_SETTINGS_H
#define STEAD_PROTO_SETTINGS_H

#include <stddef.h>

#include "proto/text.h"
#include "proto/types.h"

enum setting_kind {
    SETTING_MS,     /* a duration: "1500ms", "2s", "1.5s", "2m", or a bare number of ms */
    SETTING_NUMBER, /* a whole number */
    SETTING_WORD,   /* one of the words; the value is its index */
    SETTING_WORDS   /* some of the words, with commas between; bit i stands for word i */
};

#define SETTING_WORDS_MAX 16

struct setting {
    uint32_t slot; /* its record in the state; for ever */
    const char *name;
    enum setting_kind kind;
    uint32_t standard; /* the default */
    uint32_t least;    /* of MS and NUMBER; both bounds are allowed values */
    uint32_t most;
    size_t offset;                        /* of its uint32_t in struct settings */
    const char *words[SETTING_WORDS_MAX]; /* NULL: no more */
    const char *help;                     /* one line: what it does */
};

/* All settings, in the order people are shown them; *ret_count of them. Static. */
const struct setting *settings_table(uint32_t *ret_count);

/* By name, or by number in the state; NULL when this release has none such. */
const struct setting *settings_find(const char *name);
const struct setting *settings_find_slot(uint32_t slot);

/* Every setting at its default. */
struct settings settings_default(void);

/* The settings in force: defaults, and over them what was set. A value out of this release's range
 * (another release set it) counts as the nearest bound; an unknown word as not given. */
struct settings settings_in_force(const struct setting_record set[SETTINGS_MAX]);

/* The value of one setting: ms, a number, the index of a word, or a mask of words. */
uint32_t setting_get(const struct setting *setting, const struct settings *settings);
void setting_put(const struct setting *setting, struct settings *settings, uint32_t value);

/* Reads a value as people write it. False when it is none, or out of range: *ret_why is then one
 * sentence that says what is right. */
bool setting_parse(const struct setting *setting, const char *words, uint32_t *ret_value,
                   struct text *ret_why);

/* Adds a value, or the range, as people read it: "1500ms", "storage,power"; "50ms to 2s". */
void setting_add_value(struct text *text, const struct setting *setting, uint32_t value);
void setting_add_range(struct text *text, const struct setting *setting);

/* Do they go together? If not, *ret_why says which two do not, and what would mend it. */
bool settings_agree(const struct settings *settings, struct text *ret_why);

#endif
