/*
 * Who is at the other end of the local socket. Everything is read from local files: a name service
 * that hangs must not hold up the main loop.
 */
#ifndef STEAD_AGENT_PEER_IO_H
#define STEAD_AGENT_PEER_IO_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/limits.h"

#define PEER_GROUP "stead" /* its members may command the agent, as root may */

/* Is this process root's, or one with `group` among its groups? `uid` and `gid` are those the
 * kernel vouched for; the other groups are read from /proc, where the process must still have that
 * uid. */
bool peer_io_is_allowed(pid_t pid, uid_t uid, gid_t gid, const char *group);

/* The user's name in /etc/passwd, else "uid-N". */
void peer_io_name(uid_t uid, char ret_name[NAME_BYTES]);

#endif
