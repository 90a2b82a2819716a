/* The incarnation, kept as a few lines of text. */
#include "agent/incarnation_io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/control_io.h"
#include "proto/values.h"

int incarnation_io_load(const char *path, const struct uuid *boot, struct kept *ret_kept)
{
    struct kept kept = {.nodeid = 0};
    struct uuid file_boot;
    char boot_text[UUID_TEXT_BYTES] = "";
    char cluster_text[UUID_TEXT_BYTES] = "";
    char name[NAME_BYTES] = "";
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return -errno;
    }
    int fields = fscanf(file, "boot %36s epoch %u number %u node %u %63s", boot_text,
                        &kept.incarnation.epoch, &kept.incarnation.number, &kept.nodeid, name);
    bool told = fields == 5 && fscanf(file, " cluster %36s", cluster_text) == 1;
    fclose(file);
    if (told && !uuid_parse(cluster_text, &kept.cluster_id)) {
        return -EBADMSG;
    }
    if (fields != 5 || !uuid_parse(boot_text, &file_boot) || !control_is_name(name) ||
        kept.nodeid == 0) {
        return -EBADMSG;
    }
    if (!uuid_equal(&file_boot, boot)) {
        return -ESTALE;
    }
    name_set(kept.name, sizeof(kept.name), name);
    *ret_kept = kept;
    return 0;
}

int incarnation_io_save(const char *path, const struct uuid *boot, const struct kept *kept)
{
    char fresh[256];
    char boot_text[UUID_TEXT_BYTES];
    char cluster_text[UUID_TEXT_BYTES];
    int length = snprintf(fresh, sizeof(fresh), "%s.new", path);
    if (length < 0 || length >= (int)sizeof(fresh)) {
        return -ENAMETOOLONG;
    }
    FILE *file = fopen(fresh, "we");
    if (file == NULL) {
        return -errno;
    }
    uuid_format(boot, boot_text);
    uuid_format(&kept->cluster_id, cluster_text);
    fprintf(file, "boot %s\nepoch %u\nnumber %u\nnode %u %s\ncluster %s\n", boot_text,
            kept->incarnation.epoch, kept->incarnation.number, kept->nodeid, kept->name,
            cluster_text);
    int failed = ferror(file);
    /* No fsync: what lies here need not outlive a power cut, it must not. */
    if (fclose(file) != 0 || failed || rename(fresh, path) < 0) {
        int error = errno == 0 ? EIO : errno;
        unlink(fresh);
        return -error;
    }
    return 0;
}
