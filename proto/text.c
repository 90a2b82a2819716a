/*
 * One bounded line of text.
 *
 * Decides nothing. Assumes a text that was zeroed once and changed only here. Always
 * NUL-terminated; what does not fit is cut, so a text may end in the middle of a word. Never used
 * where a cut could change what is done.
 */
#include "proto/text.h"

#include <string.h>

#include "proto/assert.h"

struct text *text_add(struct text *text, const char *words)
{
    ASSERT(text->length < TEXT_BYTES);
    size_t room = TEXT_BYTES - 1 - text->length;
    size_t length = strnlen(words, room);
    memcpy(text->bytes + text->length, words, length);
    text->length += (uint32_t)length;
    text->bytes[text->length] = '\0';
    ASSERT(text->length < TEXT_BYTES);
    return text;
}

struct text *text_add_u64(struct text *text, uint64_t value)
{
    char digits[21] = {0};
    unsigned at = sizeof(digits) - 1;
    do {
        ASSERT(at > 0);
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return text_add(text, digits + at);
}

struct text *text_add_incarnation(struct text *text, struct incarnation incarnation)
{
    text_add_u64(text, incarnation.epoch);
    text_add(text, ".");
    return text_add_u64(text, incarnation.number);
}
