/*
 * The blocking half of the Corosync edge: a thread that connects, joins the group, asks for votes
 * and leaves. Its calls have no timeout (a stopped Corosync holds them for ever), so nothing of
 * this may run on the main loop; what it finds is fetched there after its eventfd became readable.
 */
#ifndef STEAD_AGENT_COROSYNC_LINK_IO_H
#define STEAD_AGENT_COROSYNC_LINK_IO_H

#include <corosync/cfg.h>
#include <corosync/cpg.h>
#include <corosync/quorum.h>

#include "proto/event.h"

enum link_order {                   /* bits */
                  LINK_CONNECT = 1, /* give up the present handles; try until there are new ones */
                  LINK_CHECK = 2,   /* ask again what the votes and settings are */
                  LINK_LEAVE = 4,   /* leave the group, then do nothing more */
                  LINK_AGREE = 8,   /* Corosync asked whether it may end: it may */
                  LINK_OBJECT = 16, /* ... rather not */
                  LINK_EXPECT = 32, /* tell Corosync how many votes to expect */
};

enum link_news {                   /* bits */
                 LINK_UP = 1,      /* new handles are there */
                 LINK_CHECKED = 2, /* `quorum` is fresh */
                 LINK_REFUSED =
                     4, /* a setting of Corosync's is refused: `text`; it is tried again later */
                 LINK_LEFT = 8,
};

/* What the loop needs of a connection. */
struct link_state {
    uint32_t news; /* mask of enum link_news, since the last fetch */
    uint32_t nodeid;
    uint32_t quorum; /* votes of nodes needed, as Corosync says, with a qdevice's */
    enum tie_break tie;
    uint32_t detect_ms;       /* as cmap_io_read() has it */
    char name[NAME_BYTES];    /* in the nodelist; empty: none */
    char cluster[NAME_BYTES]; /* totem.cluster_name; empty: none */
    char text[TEXT_BYTES];
    cpg_handle_t cpg;
    quorum_handle_t votes;     /* tracked */
    corosync_cfg_handle_t cfg; /* tracked */
    int cpg_fd;
    int votes_fd;
    int cfg_fd;
};

struct link_callbacks {
    cpg_model_v1_data_t cpg;
    quorum_model_v1_data_t votes;
    corosync_cfg_callbacks_t cfg;
    void *context; /* of cpg and votes; libcfg knows none */
};

struct corosync_link;

/* Starts the thread; it waits for orders. `*ret_fd` is its eventfd, owned by the link. */
int corosync_link_open(const struct link_callbacks *callbacks, int *ret_fd,
                       struct corosync_link **ret_link);

/* LINK_EXPECT: `votes`, in every Corosync of the ring, until one that expects more comes in. */
void corosync_link_expect(struct corosync_link *link, uint32_t votes);

/* Adds an order to those the thread has not carried out yet. Never blocks. */
void corosync_link_order(struct corosync_link *link, enum link_order order);

/* Takes the news and clears the eventfd. */
void corosync_link_fetch(struct corosync_link *link, struct link_state *ret_state);

/* There is no close: the thread may hang in Corosync. The process exits beside it. */

#endif
