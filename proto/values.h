/* Small pure helpers over the plain types: equality, names, client lists. */
#ifndef STEAD_PROTO_VALUES_H
#define STEAD_PROTO_VALUES_H

#include <string.h>

#include "proto/message.h"

static inline bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

#define UUID_TEXT_BYTES 37 /* with the closing NUL */

/* "01234567-89ab-…", and the way back: with its four dashes or without any, in either case. False,
 * and nothing filled in, for anything else. */
void uuid_format(const struct uuid *uuid, char ret_text[UUID_TEXT_BYTES]);
bool uuid_parse(const char *text, struct uuid *ret_uuid);

/* No UUID at all: of a free slot, or one that was not read. */
bool uuid_is_zero(const struct uuid *uuid);

static inline bool incarnation_equal(struct incarnation a, struct incarnation b)
{
    return a.epoch == b.epoch && a.number == b.number;
}

static inline bool incarnation_is_none(struct incarnation a)
{
    return a.epoch == 0 && a.number == 0;
}

static inline bool action_id_equal(struct action_id a, struct action_id b)
{
    return a.term == b.term && a.counter == b.counter;
}

static inline bool origin_equal(const struct origin *a, const struct origin *b)
{
    return a->nodeid == b->nodeid && a->agent_start == b->agent_start && a->counter == b->counter;
}

/* Copies a NUL-terminated string into a field of `size` bytes, cut if need be, padded with zeros.
 */
void name_set(char *field, size_t size, const char *text);
bool name_equal(const char *a, const char *b);

static inline bool client_is_none(const struct client *client)
{
    return client->address[0] == '\0';
}

/* The same address and nonce: one RADOS client. */
bool client_equal(const struct client *a, const struct client *b);

/* The address entry of a client: "IP:0/NONCE" -> "IP:0/0", which blocklists every client there. */
struct client client_address_entry(const struct client *client);

/* How many decisions this epoch has seen up to there. Commits that merely take a term, or record a
 * handle, are none: they could not have cured anything. */
static inline uint64_t mark_decided(const struct header *header)
{
    return header->next_history - header->term; /* each term taken is one entry of the history */
}

/* A heartbeat has room for far more facts than most carry; only those it does are copied. */
void beat_copy(struct beat *to, const struct beat *from);

/* Is it in the list? */
bool clients_hold(const struct clients *clients, const struct client *client);
/* Adds `client` unless it is there already or is none; false when the list is full. */
bool clients_add(struct clients *clients, const struct client *client);
/* Both name the same clients, in any order. */
bool clients_equal(const struct clients *a, const struct clients *b);

/* How many bits are set. */
uint32_t mask_count(uint64_t mask);

#endif
