/* Who is at the other end of the local socket. */
#include "agent/peer_io.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/values.h"

#define ENTRY_BYTES 16384 /* a group with a thousand members */

static bool group_id(const char *name, gid_t *ret_gid)
{
    char *text = malloc(ENTRY_BYTES);
    FILE *file = text != NULL ? fopen("/etc/group", "re") : NULL;
    struct group entry;
    struct group *got = NULL;
    bool found = false;
    while (file != NULL && !found && fgetgrent_r(file, &entry, text, ENTRY_BYTES, &got) == 0) {
        found = strcmp(entry.gr_name, name) == 0;
        *ret_gid = found ? entry.gr_gid : *ret_gid;
    }
    if (file != NULL) {
        fclose(file);
    }
    free(text);
    return found;
}

static bool list_holds(const char *list, gid_t gid)
{
    char *end = NULL;
    for (const char *at = list; *at != '\0' && *at != '\n'; at = end) {
        unsigned long number = strtoul(at, &end, 10);
        if (end == at) {
            break;
        }
        if (number == gid) {
            return true;
        }
    }
    return false;
}

static bool process_has_group(pid_t pid, uid_t uid, gid_t gid)
{
    char path[64];
    char *line = NULL;
    size_t size = 0;
    bool same_user = false;
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    while (getline(&line, &size, file) > 0) {
        if (strncmp(line, "Uid:", 4) == 0) {
            same_user = strtoul(line + 4, NULL, 10) == uid;
        } else if (strncmp(line, "Groups:", 7) == 0) {
            found = list_holds(line + 7, gid);
        }
    }
    free(line);
    fclose(file);
    return same_user && found;
}

bool peer_io_is_allowed(pid_t pid, uid_t uid, gid_t gid, const char *group)
{
    gid_t wanted = 0;
    if (uid == 0) {
        return true;
    }
    if (!group_id(group, &wanted)) {
        return false;
    }
    return gid == wanted || (pid > 0 && process_has_group(pid, uid, wanted));
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
