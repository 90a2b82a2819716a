/*
 * Equality and small list work over the plain types.
 *
 * Decides nothing. Assumes zero-padded strings, as name_set() leaves them, so that equal values are
 * equal to the digest too. Lists of clients are sets: order means nothing, and one that is full
 * refuses rather than drops.
 */
#include "proto/values.h"

#include <stddef.h>

#include "proto/assert.h"

bool uuid_is_zero(const struct uuid *uuid)
{
    static const struct uuid zero;
    return uuid_equal(uuid, &zero);
}

/* Is there a dash before this byte? */
static bool is_dashed(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void uuid_format(const struct uuid *uuid, char ret_text[UUID_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (is_dashed(i)) {
            ret_text[at++] = '-';
        }
        ret_text[at++] = digits[uuid->bytes[i] >> 4];
        ret_text[at++] = digits[uuid->bytes[i] & 15];
    }
    ASSERT(at == UUID_TEXT_BYTES - 1);
    ret_text[at] = '\0';
}

/* 16: it is none. */
static uint8_t digit_of(char letter)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    uint8_t at = 0;
    while (at < 32 && digits[at] != letter) {
        at++;
    }
    return at < 32 ? at % 16 : 16;
}

bool uuid_parse(const char *text, struct uuid *ret_uuid)
{
    struct uuid uuid;
    size_t length = strnlen(text, UUID_TEXT_BYTES);
    const bool dashes = length == UUID_TEXT_BYTES - 1;
    if (!dashes && length != 2 * sizeof(uuid.bytes)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(uuid.bytes); i++) {
        if (dashes && is_dashed(i) && *text++ != '-') {
            return false;
        }
        uint8_t high = digit_of(*text++);
        uint8_t low = digit_of(*text++);
        if (high > 15 || low > 15) {
            return false;
        }
        uuid.bytes[i] = (uint8_t)(high << 4 | low);
    }
    ASSERT(*text == '\0');
    *ret_uuid = uuid;
    return true;
}

void name_set(char *field, size_t size, const char *text)
{
    ASSERT(size > 0);
    size_t length = strnlen(text, size - 1);
    memset(field, 0, size);
    memcpy(field, text, length);
    ASSERT(field[size - 1] == '\0');
}

bool name_equal(const char *a, const char *b)
{
    return strncmp(a, b, NAME_BYTES) == 0;
}

bool client_equal(const struct client *a, const struct client *b)
{
    return strncmp(a->address, b->address, CLIENT_BYTES) == 0;
}

struct client client_address_entry(const struct client *client)
{
    ASSERT(!client_is_none(client));
    struct client entry = {{0}};
    size_t length = strnlen(client->address, CLIENT_BYTES - 1);
    size_t slash = length;
    while (slash > 0 && client->address[slash - 1] != '/') {
        slash--;
    }
    if (slash == 0) { /* no nonce: it is an address already */
        return *client;
    }
    memcpy(entry.address, client->address, slash);
    ASSERT(slash + 1 < CLIENT_BYTES);
    entry.address[slash] = '0';
    return entry;
}

void beat_copy(struct beat *to, const struct beat *from)
{
    ASSERT(from->answer_count <= NODES_MAX);
    ASSERT(from->observation_count <= OBSERVATIONS_MAX);
    memcpy(to, from, offsetof(struct beat, answers));
    memcpy(to->answers, from->answers, from->answer_count * sizeof(from->answers[0]));
    memcpy(to->observations, from->observations,
           from->observation_count * sizeof(from->observations[0]));
}

bool clients_hold(const struct clients *clients, const struct client *client)
{
    ASSERT(clients->count <= CLIENTS_PER_VM_MAX);
    for (uint32_t i = 0; i < clients->count; i++) {
        if (client_equal(&clients->list[i], client)) {
            return true;
        }
    }
    return false;
}

bool clients_add(struct clients *clients, const struct client *client)
{
    ASSERT(clients->count <= CLIENTS_PER_VM_MAX);
    if (client_is_none(client) || clients_hold(clients, client)) {
        return true;
    }
    if (clients->count == CLIENTS_PER_VM_MAX) {
        return false;
    }
    clients->list[clients->count++] = *client;
    return true;
}

bool clients_equal(const struct clients *a, const struct clients *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (!clients_hold(b, &a->list[i])) {
            return false;
        }
    }
    return true;
}

uint32_t mask_count(uint64_t mask)
{
    uint32_t count = 0;
    for (; mask != 0; mask &= mask - 1) { /* takes the lowest bit away */
        count++;
    }
    ASSERT(count <= 64);
    return count;
}
