/*
 * What corosync.conf says, read from Corosync's own map: our name, and whether it may be trusted to
 * count votes. stead takes "quorate" to mean "more than half of the configured nodes, one vote
 * each, are here", or, where `tie` says so, half of them; whatever makes Corosync mean something
 * else is refused by name.
 */
#ifndef STEAD_AGENT_CMAP_IO_H
#define STEAD_AGENT_CMAP_IO_H

#include "proto/event.h"

struct cmap_facts {
    char name[NAME_BYTES];    /* of this node in the nodelist; empty: it has none there */
    uint32_t node_count;      /* of the nodelist */
    char cluster[NAME_BYTES]; /* totem.cluster_name; empty: none */
    enum tie_break tie;
    uint32_t
        detect_ms; /* its token and consensus timeouts, as it runs with them, and a qdevice's */
};

/* Blocks as long as Corosync likes: for a worker thread. 0; -ENOTCONN when Corosync is not there;
 * -EPERM with one sentence naming the key of corosync.conf in ret_text when it is refused. */
int cmap_io_read(struct cmap_facts *ret_facts, char ret_text[TEXT_BYTES]);

#endif
