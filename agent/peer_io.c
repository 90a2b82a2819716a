/* Who is at the other end of the local socket. */
#define _GNU_SOURCE /* struct ucred */
#include "agent/peer_io.h"

#include <errno.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/values.h"

#define GROUP_FILE "/etc/group"
#define ENTRY_BYTES 4096 /* one user's line */

enum { ALL, ASK };
static const char *const names[] = {[ALL] = PEER_GROUP, [ASK] = PEER_ASK_GROUP};

/* ---- which group is which */

/* "name:password:gid:members", group(5). The members may be thousands: getline() grows. */
static void read_entry(struct peer_groups *groups, const char *line)
{
    const char *colon = strchr(line, ':');
    const char *second = colon != NULL ? strchr(colon + 1, ':') : NULL;
    char *end = NULL;
    if (second == NULL) {
        return;
    }
    const unsigned long gid = strtoul(second + 1, &end, 10);
    for (int i = ALL; i <= ASK; i++) {
        bool same = (size_t)(colon - line) == strlen(names[i]) &&
                    strncmp(line, names[i], strlen(names[i])) == 0;
        if (same && end != second + 1 && *end == ':' && gid <= UINT32_MAX && !groups->there[i]) {
            groups->there[i] = true;
            groups->gids[i] = (gid_t)gid;
        }
    }
}

static void read_groups(struct peer_groups *groups)
{
    struct stat now;
    char *line = NULL;
    size_t size = 0;
    if (stat(GROUP_FILE, &now) < 0) {
        *groups = (struct peer_groups){.size = 0}; /* root only */
        return;
    }
    bool same = now.st_ino == groups->inode && now.st_size == groups->size &&
                now.st_mtim.tv_sec == groups->changed.tv_sec &&
                now.st_mtim.tv_nsec == groups->changed.tv_nsec;
    FILE *file = same ? NULL : fopen(GROUP_FILE, "re");
    if (file == NULL) {
        return;
    }
    *groups = (struct peer_groups){now.st_mtim, now.st_ino, now.st_size, {false}, {0}};
    while (getline(&line, &size, file) > 0) {
        read_entry(groups, line);
    }
    free(line);
    fclose(file);
}

/* ---- what the kernel says */

static bool holds(const gid_t *list, size_t count, gid_t gid)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == gid) {
            return true;
        }
    }
    return false;
}

/* The supplementary groups, on the heap; a process may have 65536 of them. */
static int read_supplementary(int fd, gid_t **ret_list, size_t *ret_count)
{
    socklen_t size = 0;
    gid_t *list = NULL;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 && errno != ERANGE) {
        return -errno;
    }
    if (size > 0) {
        list = malloc(size);
        if (list == NULL) {
            return -ENOMEM;
        }
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, list, &size) < 0) {
            int r = -errno;
            free(list);
            return r;
        }
    }
    *ret_list = list;
    *ret_count = size / sizeof(*list);
    return 0;
}

static bool in_group(const struct peer_groups *groups, int which, gid_t own, const gid_t *list,
                     size_t count)
{
    const gid_t gid = groups->gids[which];
    return groups->there[which] && (own == gid || holds(list, count, gid));
}

int peer_io_read(int fd, struct peer_groups *groups, struct peer_user *ret_peer)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    gid_t *list = NULL;
    size_t count = 0;
    enum peer_access access = PEER_STRANGER;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
        return -errno;
    }
    int r = read_supplementary(fd, &list, &count);
    if (r < 0) {
        return r;
    }
    read_groups(groups);
    if (peer.uid == 0) {
        access = PEER_IS_ROOT;
    } else if (in_group(groups, ALL, peer.gid, list, count)) {
        access = PEER_OPERATES;
    } else if (in_group(groups, ASK, peer.gid, list, count)) {
        access = PEER_ASKS;
    }
    free(list);
    *ret_peer = (struct peer_user){.uid = peer.uid, .access = access};
    return 0;
}

void peer_io_name(uid_t uid, char ret_name[NAME_BYTES])
{
    char *text = malloc(ENTRY_BYTES);
    FILE *file = text != NULL ? fopen("/etc/passwd", "re") : NULL;
    struct passwd entry;
    struct passwd *got = NULL;
    snprintf(ret_name, NAME_BYTES, "uid-%u", uid);
    while (file != NULL && fgetpwent_r(file, &entry, text, ENTRY_BYTES, &got) == 0) {
        if (entry.pw_uid == uid) {
            name_set(ret_name, NAME_BYTES, entry.pw_name);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    free(text);
}
