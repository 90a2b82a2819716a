/* Words and values of the scenario language. Every error names file, line and column, once a line.
 */
#include "tests/sim/sim_words.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "agent/nearest.h"
#include "proto/assert.h"

bool words_split(struct words *words, const char *line, size_t length)
{
    words->count = 0;
    words->next = 0;
    words->failed = false;
    words->source[0] = '\0';
    const char *hash = memchr(line, '#', length);
    length = hash != NULL ? (size_t)(hash - line) : length;
    while (length > 0 && isspace((unsigned char)line[length - 1])) {
        length--;
    }
    size_t at = 0;
    words->end_column = (uint32_t)length + 1;
    if (length >= SIM_LINE_BYTES) {
        words_error(words, UINT32_MAX, "this line is too long");
        return false;
    }
    while (at < length) {
        if (isspace((unsigned char)line[at])) {
            at++;
            continue;
        }
        if (words->count == 0) {
            memcpy(words->source, line + at, length - at);
            words->source[length - at] = '\0';
        }
        size_t begin = at;
        while (at < length && !isspace((unsigned char)line[at])) {
            at++;
        }
        if (words->count == WORDS_MAX) {
            words_error(words, UINT32_MAX, "more than %d words on a line", WORDS_MAX);
            return false;
        }
        struct word *word = &words->list[words->count++];
        memcpy(word->text, line + begin, at - begin);
        word->text[at - begin] = '\0';
        word->column = (uint32_t)begin + 1;
    }
    return words->count > 0;
}

void words_error(struct words *words, uint32_t index, const char *format, ...)
{
    if (words->failed) {
        return;
    }
    words->failed = true;
    words->error_count++;
    if (words->errors == NULL) {
        return;
    }
    uint32_t column = index < words->count ? words->list[index].column : words->end_column;
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(words->errors, "%s:%u:%u: ", words->file, words->line, column);
    (void)vfprintf(words->errors, format, arguments);
    (void)fputc('\n', words->errors);
    va_end(arguments);
}

bool words_not_yet(const char *word)
{
    static const char *const words[] = {
        "policy",      "rule",
        "lms",         "load",
        "set",         "cpu",
        "osd",         "mon",
        "max_restart", "max_relocate",
        "failback",    "dirty",
        "tags",        "migrate_fails",
        "placement",   "balance_on_start",
        "rebalance",   "shutdown_policy",
        "ignore",      "migrate",
        "relocate",    "drain",
        "undrain",     "ignored",
        "error",       "unmanaged",
        "migrating",   "draining",
        "maintenance",
    };
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcmp(word, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

const char *words_list(const char *const *known, size_t count, char ret_list[SIM_LINE_BYTES])
{
    size_t length = 0;
    ret_list[0] = '\0';
    for (size_t i = 0; i < count && length < SIM_LINE_BYTES; i++) {
        const char *between = i == 0 ? ": " : i + 1 < count ? ", " : " or ";
        length +=
            (size_t)snprintf(ret_list + length, SIM_LINE_BYTES - length, "%s%s", between, known[i]);
    }
    return ret_list;
}

void words_unknown(struct words *words, uint32_t index, const char *what, const char *const *known,
                   size_t known_count)
{
    char list[SIM_LINE_BYTES];
    char word[SIM_LINE_BYTES];
    (void)snprintf(word, sizeof(word), "%s", index < words->count ? words->list[index].text : "");
    char *equals = strchr(word, '=');
    if (equals != NULL) {
        *equals = '\0';
    }
    const char *near = nearest_word(word, known, known_count);
    if (words_not_yet(word)) {
        words_error(words, index, "'%s' is not yet supported", word);
    } else if (known_count == 0) {
        words_error(words, index, "'%s' is one word too many", word);
    } else if (near != NULL) {
        words_error(words, index, "unknown %s '%s', did you mean '%s'?", what, word, near);
    } else {
        words_error(words, index, "unknown %s '%s'%s", what, word,
                    words_list(known, known_count, list));
    }
}

bool words_more(const struct words *words)
{
    return !words->failed && words->next < words->count;
}

const char *words_take(struct words *words, const char *what)
{
    if (words->failed) {
        return NULL;
    }
    if (words->next == words->count) {
        words_error(words, UINT32_MAX, "%s is missing here", what);
        return NULL;
    }
    return words->list[words->next++].text;
}

bool words_take_if(struct words *words, const char *text)
{
    if (!words_more(words) || strcmp(words->list[words->next].text, text) != 0) {
        return false;
    }
    words->next++;
    return true;
}

bool words_expect(struct words *words, const char *text)
{
    if (words->failed || words_take_if(words, text)) {
        return !words->failed;
    }
    words_error(words, words->next, "'%s' is missing here", text);
    return false;
}

void words_end(struct words *words)
{
    if (words_more(words)) {
        words_unknown(words, words->next, "word", NULL, 0);
    }
}

int words_choice(struct words *words, const char *what, const char *const *known, size_t count)
{
    char list[SIM_LINE_BYTES];
    if (!words->failed && words->next == words->count) {
        words_error(words, UINT32_MAX, "%s is missing here%s", what,
                    words_list(known, count, list));
    }
    const char *word = words_take(words, what);
    for (size_t i = 0; word != NULL && i < count; i++) {
        if (strcmp(word, known[i]) == 0) {
            return (int)i;
        }
    }
    if (word != NULL) {
        words_unknown(words, words->next - 1, what, known, count);
    }
    return -1;
}

/* KEY= stands further left on this line, too. */
static bool is_second(const struct words *words, const char *key, size_t length)
{
    for (uint32_t i = 0; i + 1 < words->next; i++) {
        const char *before = words->list[i].text;
        if (strncmp(before, key, length) == 0 && before[length] == '=') {
            return true;
        }
    }
    return false;
}

int words_key(struct words *words, const char *const *keys, size_t count, const char **ret_value)
{
    const char *word = words_take(words, "KEY=VALUE");
    if (word == NULL) {
        return -1;
    }
    size_t length = strcspn(word, "=");
    for (size_t i = 0; i < count; i++) {
        if (strlen(keys[i]) != length || memcmp(keys[i], word, length) != 0) {
            continue;
        }
        if (word[length] == '\0') {
            words_error(words, words->next - 1, "'%s' wants a value: %s=…", word, word);
            return -1;
        }
        if (is_second(words, word, length)) {
            words_error(words, words->next - 1, "'%s' is given twice", keys[i]);
            return -1;
        }
        *ret_value = word + length + 1;
        return (int)i;
    }
    words_unknown(words, words->next - 1, "key", keys, count);
    return -1;
}
