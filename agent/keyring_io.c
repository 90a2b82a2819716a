/* Finds a user's keyring as librados does, and takes its key out. */
#include "agent/keyring_io.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "proto/values.h"

#define PATHS_BYTES 512

struct search {
    char section[NAME_BYTES + 8]; /* client.USER */
    char paths[PATHS_BYTES];      /* the `keyring` of ceph.conf, a list with commas */
    int paths_rank;               /* how special the section was that gave it */
    char *key;
};

static int take_conf(void *context, const char *section, const char *name, const char *value)
{
    struct search *search = context;
    int rank = strcmp(section, search->section) == 0 ? 3
               : strcmp(section, "client") == 0      ? 2
               : strcmp(section, "global") == 0      ? 1
                                                     : 0;
    if (strcmp(name, "keyring") == 0 && rank > search->paths_rank) {
        search->paths_rank = rank;
        name_set(search->paths, sizeof(search->paths), value);
    }
    return 1;
}

static int take_key(void *context, const char *section, const char *name, const char *value)
{
    struct search *search = context;
    /* The first only: keyrings are indented, which libinih takes for more of the same. */
    bool ours = strcmp(section, search->section) == 0 && strcmp(name, "key") == 0;
    if (ours && search->key[0] == '\0' && strlen(value) < KEYRING_KEY_BYTES) {
        name_set(search->key, KEYRING_KEY_BYTES, value);
    }
    return 1;
}

/* Puts Ceph's metavariables of a path in: $name, $cluster, $id, $type. */
static void expand(const char *path, const char *user, char *ret_path, size_t size)
{
    const struct {
        const char *variable, *value;
    } table[] = {{"$name", "client."}, {"$cluster", "ceph"}, {"$id", ""}, {"$type", "client"}};
    size_t used = 0;
    ret_path[0] = '\0';
    while (*path != '\0' && used + 1 < size) {
        const char *value = NULL;
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]) && value == NULL; i++) {
            size_t length = strlen(table[i].variable);
            if (strncmp(path, table[i].variable, length) == 0) {
                value = table[i].value;
                path += length;
                bool with_user = i == 0 || i == 2;
                int added =
                    snprintf(ret_path + used, size - used, "%s%s", value, with_user ? user : "");
                used += added > 0 ? (size_t)added : 0;
            }
        }
        if (value == NULL) {
            ret_path[used++] = *path++;
            ret_path[used] = '\0';
        }
    }
}

int keyring_io_read_key(const char *conf, const char *user, char ret_key[KEYRING_KEY_BYTES])
{
    struct search search = {.key = ret_key};
    char path[PATHS_BYTES];
    char *rest = NULL;
    ret_key[0] = '\0';
    snprintf(search.section, sizeof(search.section), "client.%s", user);
    ini_parse(conf, take_conf, &search);
    if (search.paths_rank == 0) {
        name_set(search.paths, sizeof(search.paths),
                 "/etc/ceph/$cluster.$name.keyring,/etc/ceph/$cluster.keyring,/etc/ceph/keyring");
    }
    for (char *one = strtok_r(search.paths, ", ", &rest); one != NULL && ret_key[0] == '\0';
         one = strtok_r(NULL, ", ", &rest)) {
        expand(one, user, path, sizeof(path));
        ini_parse(path, take_key, &search);
    }
    return ret_key[0] != '\0' ? 0 : -ENOKEY;
}
