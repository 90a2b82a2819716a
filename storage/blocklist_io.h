/* The blocklist: who may not write any more. */
#ifndef STEAD_STORAGE_BLOCKLIST_IO_H
#define STEAD_STORAGE_BLOCKLIST_IO_H

#include "storage/op_io.h"

/* ACTION_BLOCK_ADD, _REMOVE, _CHECK. */
void block_act(struct storage_io *io, const struct action *action);

/* ---- the monitors' list; these block: for workers */

/* The whole list at one moment. */
struct blocklist {
    uint32_t epoch; /* of the osdmap, not older than the list */
    int64_t made_s; /* when the monitors made that map */
    size_t count;
    struct blocked *entries; /* sorted */
};

enum blocked_for { BLOCKED_NOT, BLOCKED_SHORTLY, BLOCKED_FOR_YEARS };

/* 0 or -errno. The caller frees with blocklist_free. */
int blocklist_read(rados_t cluster, struct blocklist *ret_list);
void blocklist_free(struct blocklist *list);

/* This very entry. */
enum blocked_for blocklist_find(const struct blocklist *list, const struct client *entry);

/* Is this client blocked, by its own entry or its address's? */
bool blocklist_holds(const struct blocklist *list, const struct client *client);

/* Returns when the change is committed by the monitors. 0 or -errno. */
int blocklist_add(rados_t cluster, const struct client *entry);
int blocklist_remove(rados_t cluster, const struct client *entry);

#endif
