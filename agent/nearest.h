/* The known word that somebody probably meant. Pure. */
#ifndef STEAD_AGENT_NEAREST_H
#define STEAD_AGENT_NEAREST_H

#include <stddef.h>

/* The word of `words` nearest to `word` by typing errors, or NULL when none is near (more errors
 * than half its letters). Equal ones: the first. */
const char *nearest_word(const char *word, const char *const *words, size_t count);

#endif
