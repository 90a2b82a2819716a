/*
 * /run/stead/incarnation: what this node must remember over a restart of the agent, and must have
 * forgotten after a boot. The boot id inside decides, not the file system it lies on.
 */
#ifndef STEAD_AGENT_INCARNATION_IO_H
#define STEAD_AGENT_INCARNATION_IO_H

#include "proto/types.h"

#define INCARNATION_PATH "/run/stead/incarnation"

struct kept {
    struct incarnation incarnation;
    uint32_t nodeid; /* Corosync's, so that an agent can begin while Corosync is away */
    char name[NAME_BYTES];
    struct uuid cluster_id; /* whose incarnation it is; zero: not known */
};

/* 0; -ENOENT: nothing kept; -ESTALE: kept by another boot; -EBADMSG: not such a file. */
int incarnation_io_load(const char *path, const struct uuid *boot, struct kept *ret_kept);

/* Writes it whole or not at all (a new file takes the old one's place). 0 or -errno. */
int incarnation_io_save(const char *path, const struct uuid *boot, const struct kept *kept);

#endif
