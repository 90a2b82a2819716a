/*
 * Who is at the other end of the local socket, and what they may do. The kernel vouches for the
 * process's user and groups as they were when it connected (SO_PEERCRED and SO_PEERGROUPS, unix(7)
 * and socket(7)); which group is which is read from /etc/group, never from a name service: one that
 * hangs must not hold up the main loop.
 */
#ifndef STEAD_AGENT_PEER_IO_H
#define STEAD_AGENT_PEER_IO_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "proto/limits.h"

#define PEER_GROUP "stead"          /* its members may do everything, as root may */
#define PEER_ASK_GROUP "stead-view" /* its members may ask, and change nothing */

/* Ordered: who may do more is larger. */
enum peer_access { PEER_STRANGER, PEER_ASKS, PEER_OPERATES, PEER_IS_ROOT, PEER_ACCESS_COUNT };

struct peer_user {
    uid_t uid;
    enum peer_access access;
};

/* What /etc/group says of the two groups; read anew when the file has changed. Begins zeroed. */
struct peer_groups {
    struct timespec changed;
    ino_t inode;
    off_t size;
    bool there[2];
    gid_t gids[2];
};

/* Of a connected Unix stream socket: 0 or -errno. */
int peer_io_read(int fd, struct peer_groups *groups, struct peer_user *ret_peer);

/* The user's name in /etc/passwd, else "uid-N". */
void peer_io_name(uid_t uid, char ret_name[NAME_BYTES]);

#endif
