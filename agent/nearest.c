/*
 * How far apart two words are: letters put in, left out, changed, or swapped with their neighbour.
 *
 * Decides which known word is offered for one that is not known; the one who typed it is refused
 * all the same. Assumes short words: letters past WORD_MAX count as equal. Never guesses: more
 * errors than half of the letters are another word.
 */
#include "agent/nearest.h"

#include <string.h>

#define WORD_MAX 32 /* letters looked at */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1] = {{0}};
    size_t a_length = strnlen(a, WORD_MAX);
    size_t b_length = strnlen(b, WORD_MAX);
    size_t *before = rows[0];
    size_t *above = rows[1];
    size_t *row = rows[2];
    for (size_t j = 0; j <= b_length; j++) {
        above[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t changed = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(changed, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b_length];
}

const char *nearest_word(const char *word, const char *const *words, size_t count)
{
    const char *nearest = NULL;
    size_t best = strnlen(word, WORD_MAX) / 2 + 1;
    for (size_t i = 0; i < count; i++) {
        size_t errors = distance(word, words[i]);
        if (errors < best) {
            best = errors;
            nearest = words[i];
        }
    }
    return nearest;
}
