/* Builds one bounded line of text without the C library's locale or allocation. What does not fit
 * is cut, never overrun. */
#ifndef STEAD_PROTO_TEXT_H
#define STEAD_PROTO_TEXT_H

#include "proto/types.h"

struct text {
    uint32_t length;
    char bytes[TEXT_BYTES];
};

/* Each appends and returns `text`, so that calls nest. A zeroed one is empty. */
struct text *text_add(struct text *text, const char *words);
struct text *text_add_u64(struct text *text, uint64_t value);
struct text *text_add_incarnation(struct text *text, struct incarnation incarnation);

#endif
