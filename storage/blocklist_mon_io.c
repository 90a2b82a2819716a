/*
 * The monitor commands about the blocklist. An add is not believed by its exit code: measured, a
 * second add of an entry answers with the new time and keeps the old one. How long an entry stands
 * is told by the monitors' clock alone, which made its end and will end it: ours may be years off.
 */
#define _GNU_SOURCE /* strptime */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/values.h"
#include "storage/blocklist_io.h"
#include "storage/handle_io.h"

#define EXPIRE_S "315360000.0"      /* ten years */
#define YEARS_S (365LL * 24 * 3600) /* what is left for longer than this will do */

struct blocked {
    struct client client;
    int64_t until_s; /* by the monitors' wall clock */
};

static int command(rados_t cluster, const char *text, char **ret_out, size_t *ret_size)
{
    const char *const commands[] = {text};
    return rados_mon_command(cluster, (const char **)commands, 1, "", 0, ret_out, ret_size, NULL,
                             NULL);
}

static int change(rados_t cluster, const char *verb, const char *more, const struct client *entry)
{
    char text[256];
    char *out = NULL;
    size_t size = 0;
    if (strpbrk(entry->address, "\"\\") != NULL) {
        return -EINVAL;
    }
    snprintf(text, sizeof(text),
             "{\"prefix\":\"osd blocklist\",\"blocklistop\":\"%s\",\"addr\":\"%s\"%s}", verb,
             entry->address, more);
    const int r = command(cluster, text, &out, &size);
    rados_buffer_free(out);
    return r;
}

int blocklist_add(rados_t cluster, const struct client *entry)
{
    return change(cluster, "add", ",\"expire\":" EXPIRE_S, entry);
}

int blocklist_remove(rados_t cluster, const struct client *entry)
{
    return change(cluster, "rm", "", entry);
}

/* "2035-11-19T10:17:30.891672+0000" */
static bool parse_time(const char *text, int64_t *ret_s)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest == NULL) {
        return false;
    }
    if (*rest == '.') {
        rest += 1 + strspn(rest + 1, "0123456789");
    }
    int hours = 0, minutes = 0;
    char sign = '+';
    if (sscanf(rest, "%c%2d%2d", &sign, &hours, &minutes) != 3) {
        return false;
    }
    const int64_t east_s = (hours * 60 + minutes) * 60LL * (sign == '-' ? -1 : 1);
    *ret_s = (int64_t)timegm(&tm) - east_s;
    return true;
}

static int compare_blocked(const void *a, const void *b)
{
    return strcmp(((const struct blocked *)a)->client.address,
                  ((const struct blocked *)b)->client.address);
}

static int take_entries(const json_t *array, struct blocklist *list)
{
    list->entries = calloc(json_array_size(array) + 1, sizeof(*list->entries));
    if (list->entries == NULL) {
        return -ENOMEM;
    }
    size_t index;
    const json_t *item;
    json_array_foreach(array, index, item)
    {
        const char *address = json_string_value(json_object_get(item, "addr"));
        const char *until = json_string_value(json_object_get(item, "until"));
        struct blocked *const entry = &list->entries[list->count];
        if (address == NULL || until == NULL || !parse_time(until, &entry->until_s)) {
            return -EBADMSG;
        }
        if (client_normalise(address, &entry->client)) { /* else no entry of the kind we make */
            list->count++;
        }
    }
    qsort(list->entries, list->count, sizeof(*list->entries), compare_blocked);
    return 0;
}

/* Asked after the list: a map at least as new, made no earlier than any entry of the list was. As
 * text: with hundreds of OSDs its JSON keeps a monitor busy for milliseconds (measured). */
static int read_map(rados_t cluster, struct blocklist *list)
{
    char head[256], made[64];
    char *out = NULL;
    size_t size = 0;
    const int r = command(cluster, "{\"prefix\":\"osd dump\",\"format\":\"plain\"}", &out, &size);
    if (r < 0) {
        return r;
    }
    snprintf(head, sizeof(head), "%.*s", (int)size, out);
    rados_buffer_free(out);
    const int fields =
        sscanf(head, "epoch %" SCNu32 " fsid %*s created %*s modified %63s", &list->epoch, made);
    return fields == 2 && parse_time(made, &list->made_s) ? 0 : -EBADMSG;
}

int blocklist_read(rados_t cluster, struct blocklist *ret_list)
{
    char *out = NULL;
    size_t size = 0;
    struct blocklist list = {0};
    int r = command(cluster, "{\"prefix\":\"osd blocklist ls\",\"format\":\"json\"}", &out, &size);
    if (r < 0) {
        return r;
    }
    /* A second array follows, of address ranges: not of our making. */
    json_t *array = json_loadb(out, size, JSON_DISABLE_EOF_CHECK, NULL);
    r = json_is_array(array) ? take_entries(array, &list) : -EBADMSG;
    json_decref(array);
    rados_buffer_free(out);
    if (r == 0) {
        r = read_map(cluster, &list);
    }
    if (r < 0) {
        blocklist_free(&list);
        return r;
    }
    *ret_list = list;
    return 0;
}

void blocklist_free(struct blocklist *list)
{
    free(list->entries);
    *list = (struct blocklist){0};
}

enum blocked_for blocklist_find(const struct blocklist *list, const struct client *entry)
{
    struct blocked key = {.client = *entry};
    const struct blocked *found =
        list->count == 0 ? NULL
                         : bsearch(&key, list->entries, list->count, sizeof(key), compare_blocked);
    if (found == NULL) {
        return BLOCKED_NOT;
    }
    return found->until_s - list->made_s > YEARS_S ? BLOCKED_FOR_YEARS : BLOCKED_SHORTLY;
}

bool blocklist_holds(const struct blocklist *list, const struct client *client)
{
    const struct client address = client_address_entry(client);
    return blocklist_find(list, client) != BLOCKED_NOT ||
           blocklist_find(list, &address) != BLOCKED_NOT;
}
