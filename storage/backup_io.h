/*
 * Backup files: every object of stead's pool that matters (the state, the run leases, the
 * definitions), as it is in RADOS, in one file. Blocking, for a program of its own
 * (agent/state_main.c), never for the agent.
 *
 * The file: a line of text for people, then entries {object, key, value} with their lengths, then a
 * digest over all of it. Values are those of proto/stead.proto, so a newer release reads older
 * files by the same rules by which it reads the pool.
 */
#ifndef STEAD_STORAGE_BACKUP_IO_H
#define STEAD_STORAGE_BACKUP_IO_H

#include <rados/librados.h>
#include <stddef.h>

#include "proto/types.h"

struct backup_entry {
    char *object;
    char *key;      /* "": the object's data */
    uint8_t *value; /* NULL where it is empty */
    size_t size;
};

struct backup {
    size_t count;
    size_t room;
    struct backup_entry *entries; /* those of one object stand together */
};

/* Reads the state from the pool: all of one version. 0, -ENOENT (no state object), -EBADMSG (it
 * does not match its digest), -EAGAIN (it changes too fast) or -errno. */
int backup_read_state(rados_ioctx_t pool, struct backup *ret_backup);

/* Adds what stands beside it: leases and definitions. Frees the backup on failure. */
int backup_read_rest(rados_ioctx_t pool, struct backup *backup);

/* Adds one value, copied. 0 or -ENOMEM. */
int backup_add(struct backup *backup, const char *object, const char *key, const void *value,
               size_t size);

/* Writes it to `path`: whole or not at all, for the owner's eyes only (definitions hold passwords
 * of consoles). 0 or -errno. */
int backup_write_file(const struct backup *backup, const char *path);

/* 0, -EBADMSG (no backup, or damaged) or -errno. */
int backup_read_file(const char *path, struct backup *ret_backup);

/* The state in it: allocated, whole, its digest right. 0, -EBADMSG or -ENOMEM. The caller frees. */
int backup_state(const struct backup *backup, struct cluster **ret_image);

/* Frees what is in it. */
void backup_free(struct backup *backup);

/* What lies in the pool under the state's name, for what a restore must be later than: 0 (and
 * *ret_header zero where nobody could read it) or -errno. */
int backup_present_header(rados_ioctx_t pool, bool *ret_exists, struct header *ret_header);

/* Replaces the state object by `image` in one operation, if it is still what
 * backup_present_header() told. 0, -ECANCELED or -EEXIST (it is not) or -errno. */
int backup_put_state(rados_ioctx_t pool, const struct cluster *image, bool exists,
                     const struct header *present);

/* Reads the run lease of a VM of `image`, raises it where `raise` says so (restore_raise(), by
 * compare-and-set), and lets the image know it. 0, -ENOENT (there is none), -EBADMSG (nobody can
 * read it, or it is another cluster's: left as it is), -EAGAIN (it changes too fast) or -errno. */
int backup_follow_lease(rados_ioctx_t pool, struct cluster *image, uint32_t slot, bool raise);

/* Adds to `write`, which makes the lease object `object` anew, the copy of firmware variables that
 * the backup has of it, if any. */
void backup_set_nvram(rados_write_op_t write, const struct backup *backup, const char *object);

/* Writes an object of the backup back, exactly, if there is none of that name. 0, -EEXIST, -ENOENT
 * (not in the backup) or -errno. */
int backup_put_object(rados_ioctx_t pool, const struct backup *backup, const char *object);

#endif
