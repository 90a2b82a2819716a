/* Values of the scenario language: times, sizes, names, lists. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "agent/nearest.h"
#include "proto/assert.h"
#include "tests/sim/sim_words.h"

#define TIME_MAX_US (UINT64_C(1000000) * 3600 * 24 * 30)

static uint32_t here(const struct words *words)
{
    return words->next == 0 ? 0 : words->next - 1;
}

bool words_number(struct words *words, const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t number = 0;
    const char *at = text;
    for (; isdigit((unsigned char)*at) && number <= max; at++) {
        number = number * 10 + (uint64_t)(*at - '0');
    }
    if (at == text || *at != '\0' || number > max) {
        words_error(words, here(words), "'%s' is not a number up to %llu", text,
                    (unsigned long long)max);
        return false;
    }
    *ret = number;
    return true;
}

bool words_percent(struct words *words, const char *text, uint32_t *ret_percent)
{
    char digits[4] = "";
    uint64_t percent = 0;
    size_t length = strlen(text);
    if (length < 2 || length > sizeof(digits) || text[length - 1] != '%') {
        words_error(words, here(words), "'%s' is no percentage, as in 5%%", text);
        return false;
    }
    memcpy(digits, text, length - 1);
    if (!words_number(words, digits, 100, &percent)) {
        return false;
    }
    *ret_percent = (uint32_t)percent;
    return true;
}

static uint64_t unit_us(const char *unit)
{
    if (strcmp(unit, "ms") == 0) {
        return 1000;
    }
    if (strcmp(unit, "s") == 0) {
        return 1000000;
    }
    return strcmp(unit, "m") == 0 ? 60000000 : 0;
}

bool words_time(struct words *words, const char *text, uint64_t *ret_us)
{
    uint64_t whole = 0;
    uint64_t part = 0;
    uint64_t scale = 1;
    const char *at = text;
    for (; isdigit((unsigned char)*at) && whole < TIME_MAX_US; at++) {
        whole = whole * 10 + (uint64_t)(*at - '0');
    }
    bool digits = at != text;
    if (*at == '.') {
        for (at++; isdigit((unsigned char)*at) && scale < 1000000; at++) {
            part = part * 10 + (uint64_t)(*at - '0');
            scale *= 10;
        }
    }
    uint64_t unit = unit_us(at);
    if (!digits || unit == 0 || whole > TIME_MAX_US / unit) {
        words_error(words, here(words), "'%s' is not a time such as 90s, 1500ms or 2m", text);
        return false;
    }
    *ret_us = whole * unit + part * unit / scale;
    return true;
}

bool words_size(struct words *words, const char *text, uint32_t *ret_mib)
{
    uint64_t number = 0;
    const char *at = text;
    for (; isdigit((unsigned char)*at) && number < 1000000; at++) {
        number = number * 10 + (uint64_t)(*at - '0');
    }
    uint64_t unit = strcmp(at, "M") == 0 ? 1 : strcmp(at, "G") == 0 ? 1024 : 0;
    if (at == text || unit == 0 || number * unit == 0 || number * unit > UINT32_MAX) {
        words_error(words, here(words), "'%s' is not a size such as 512M or 16G", text);
        return false;
    }
    *ret_mib = (uint32_t)(number * unit);
    return true;
}

bool words_yes(struct words *words, const char *text, const char *yes, const char *no, bool *ret)
{
    if (strcmp(text, yes) != 0 && strcmp(text, no) != 0) {
        words_error(words, here(words), "'%s' is neither %s nor %s", text, yes, no);
        return false;
    }
    *ret = strcmp(text, yes) == 0;
    return true;
}

bool words_name(struct words *words, const char *text, char ret_name[NAME_BYTES])
{
    bool good = isalnum((unsigned char)text[0]) && strlen(text) < NAME_BYTES;
    for (const char *at = text; *at != '\0'; at++) {
        good = good && (isalnum((unsigned char)*at) || strchr("._-", *at) != NULL);
    }
    if (!good) {
        words_error(words, here(words),
                    "'%s' is not a name: a letter or digit, then letters, digits, '.', '_', '-', "
                    "%d at most",
                    text, NAME_BYTES - 1);
        return false;
    }
    memset(ret_name, 0, NAME_BYTES);
    memcpy(ret_name, text, strlen(text));
    return true;
}

static void unknown_name(struct words *words, const char *what, const char *text,
                         const char *const *known, size_t count)
{
    char list[SIM_LINE_BYTES];
    const char *near = nearest_word(text, known, count);
    if (near != NULL) {
        words_error(words, here(words), "there is no %s '%s', did you mean '%s'?", what, text,
                    near);
    } else {
        words_error(words, here(words), "there is no %s '%s'%s", what, text,
                    count > 0 ? words_list(known, count, list) : " yet");
    }
}

bool words_node(struct words *words, const char *text, uint32_t *ret_node)
{
    const char *known[SIM_NODES_MAX];
    for (uint32_t n = 0; n < words->story->node_count; n++) {
        known[n] = words->story->nodes[n].name;
        if (strcmp(text, known[n]) == 0) {
            *ret_node = n;
            return true;
        }
    }
    unknown_name(words, "node", text, known, words->story->node_count);
    return false;
}

bool words_nodes(struct words *words, const char *text, char separator, uint64_t *ret_mask)
{
    char copy[SIM_LINE_BYTES];
    (void)snprintf(copy, sizeof(copy), "%s", text);
    *ret_mask = 0;
    for (char *at = copy; at != NULL;) {
        char *end = strchr(at, separator);
        if (end != NULL) {
            *end++ = '\0';
        }
        uint32_t node = 0;
        if (!words_node(words, at, &node)) {
            return false;
        }
        if ((*ret_mask >> node & 1) != 0) {
            words_error(words, here(words), "'%s' is named twice", at);
            return false;
        }
        *ret_mask |= UINT64_C(1) << node;
        at = end;
    }
    return true;
}

bool words_vm(struct words *words, const char *text, uint32_t *ret_vm)
{
    const char *known[SIM_VMS_MAX];
    for (uint32_t v = 0; v < words->story->vm_count; v++) {
        known[v] = words->story->vms[v].name;
        if (strcmp(text, known[v]) == 0) {
            *ret_vm = v;
            return true;
        }
    }
    unknown_name(words, "VM", text, known, words->story->vm_count);
    return false;
}

bool words_setting(struct words *words, const struct setting *setting, const char *text,
                   uint32_t *ret_value)
{
    struct text why;
    if (!setting_parse(setting, text, ret_value, &why)) {
        words_error(words, here(words), "%s", why.bytes);
        return false;
    }
    return true;
}

bool words_proofs(struct words *words, const char *text, uint32_t *ret_mask)
{
    const struct setting *setting = settings_find("proof");
    ASSERT(setting != NULL);
    return words_setting(words, setting, text, ret_mask);
}
