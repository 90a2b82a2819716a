/* Backup files. */
#include "storage/backup_io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/digest.h"
#include "proto/wire_io.h"
#include "storage/nvram_io.h"
#include "storage/op_io.h"
#include "storage/state.h"
#include "storage/state_io.h"

#define MAGIC "stead backup 1: the state, leases and definitions of a cluster\n"
#define PAGE_KEYS 512
#define TRIES_MAX 20
#define TRY_NS 100000000L
#define NAME_MAX_BYTES 256
#define VALUE_MAX_BYTES NVRAM_BYTES_MAX /* the largest: a copy of firmware variables */
#define ENTRIES_MAX 1000000

/* ---- entries in memory */

int backup_add(struct backup *backup, const char *object, const char *key, const void *value,
               size_t size)
{
    if (backup->count == backup->room) {
        size_t room = backup->room == 0 ? 1024 : 2 * backup->room;
        void *more = reallocarray(backup->entries, room, sizeof(backup->entries[0]));
        if (more == NULL) {
            return -ENOMEM;
        }
        backup->entries = more;
        backup->room = room;
    }
    struct backup_entry *entry = &backup->entries[backup->count++];
    *entry = (struct backup_entry){strdup(object), strdup(key), malloc(size + 1), size};
    if (entry->object == NULL || entry->key == NULL || entry->value == NULL) {
        return -ENOMEM;
    }
    memcpy(entry->value, value, size);
    return 0;
}

static void drop_from(struct backup *backup, size_t first)
{
    while (backup->count > first) {
        struct backup_entry *entry = &backup->entries[--backup->count];
        free(entry->object);
        free(entry->key);
        free(entry->value);
    }
}

void backup_free(struct backup *backup)
{
    drop_from(backup, 0);
    free(backup->entries);
    *backup = (struct backup){.count = 0};
}

/* ---- from the pool */

static int read_keys(rados_ioctx_t pool, const char *object, struct backup *backup)
{
    char after[NAME_MAX_BYTES] = "";
    unsigned char more = 1;
    int r = 0;
    while (r == 0 && more != 0) {
        rados_omap_iter_t page = NULL;
        struct op_value value;
        int result = 0;
        rados_read_op_t read = rados_create_read_op();
        more = 0;
        rados_read_op_omap_get_vals2(read, after, "", PAGE_KEYS, &page, &more, &result);
        r = rados_read_op_operate(read, pool, object, 0);
        while (r == 0 && op_next_value(page, &value)) {
            snprintf(after, sizeof(after), "%s", value.key);
            r = backup_add(backup, object, value.key, value.bytes, value.size);
        }
        rados_omap_get_end(page);
        rados_release_read_op(read);
    }
    return r;
}

static int read_data(rados_ioctx_t pool, const char *object, struct backup *backup)
{
    char *bytes = malloc(VALUE_MAX_BYTES);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    int r = rados_read(pool, object, bytes, VALUE_MAX_BYTES, 0);
    if (r >= 0) {
        r = backup_add(backup, object, "", bytes, (size_t)r);
    }
    free(bytes);
    return r;
}

static int read_object(rados_ioctx_t pool, const char *object, struct backup *backup)
{
    const size_t first = backup->count;
    int r = read_data(pool, object, backup);
    if (r == 0) {
        r = read_keys(pool, object, backup);
    }
    if (r == -ENOENT && strcmp(object, STORAGE_OBJECT) != 0) { /* removed meanwhile */
        drop_from(backup, first);
        return 0;
    }
    return r;
}

/* Pages of different versions do not add up to the digest: then once more. */
static int read_state(rados_ioctx_t pool, struct backup *backup)
{
    int r = -EAGAIN;
    bool moved = false;
    struct header before, after = {.version = 0};
    for (int i = 0; i < TRIES_MAX && r == -EAGAIN; i++) {
        struct cluster *image = NULL;
        bool exists = false;
        const struct timespec pause = {.tv_nsec = i == 0 ? 0 : TRY_NS};
        nanosleep(&pause, NULL);
        drop_from(backup, 0);
        r = backup_present_header(pool, &exists, &before);
        if (r == 0) {
            r = exists ? read_object(pool, STORAGE_OBJECT, backup) : -ENOENT;
        }
        if (r == 0) {
            r = backup_present_header(pool, &exists, &after);
        }
        if (r == 0) {
            moved = before.version != after.version;
            r = moved || backup_state(backup, &image) < 0 ? -EAGAIN : 0;
        }
        free(image);
    }
    return r == -EAGAIN && !moved ? -EBADMSG : r;
}

static bool matters(const char *object)
{
    return strncmp(object, "lease/", 6) == 0 || strncmp(object, "def/", 4) == 0;
}

int backup_read_state(rados_ioctx_t pool, struct backup *ret_backup)
{
    struct backup backup = {.count = 0};
    int r = read_state(pool, &backup);
    if (r < 0) {
        backup_free(&backup);
        return r;
    }
    *ret_backup = backup;
    return 0;
}

int backup_read_rest(rados_ioctx_t pool, struct backup *backup)
{
    rados_list_ctx_t list = NULL;
    const char *object = NULL;
    int r = rados_nobjects_list_open(pool, &list);
    while (r == 0) {
        r = rados_nobjects_list_next(list, &object, NULL, NULL);
        if (r == 0 && matters(object)) {
            r = read_object(pool, object, backup);
        }
    }
    if (list != NULL) {
        rados_nobjects_list_close(list);
        r = r == -ENOENT ? 0 : r; /* the list's end */
    }
    if (r < 0) {
        backup_free(backup);
    }
    return r;
}

/* ---- the file */

struct lengths {
    uint32_t object;
    uint32_t key;
    uint32_t value;
};

static bool put(FILE *file, uint64_t *digest, const void *bytes, size_t size)
{
    *digest = digest_bytes(*digest, bytes, size);
    return fwrite(bytes, 1, size, file) == size;
}

static bool put_entry(FILE *file, uint64_t *digest, const struct backup_entry *entry)
{
    const struct lengths lengths = {(uint32_t)strlen(entry->object), (uint32_t)strlen(entry->key),
                                    (uint32_t)entry->size};
    return put(file, digest, &lengths, sizeof(lengths)) &&
           put(file, digest, entry->object, lengths.object) &&
           put(file, digest, entry->key, lengths.key) &&
           put(file, digest, entry->value, lengths.value);
}

static bool put_all(FILE *file, const struct backup *backup)
{
    const struct lengths end = {0, 0, 0};
    uint64_t digest = DIGEST_SEED;
    bool good = put(file, &digest, MAGIC, strlen(MAGIC));
    for (size_t i = 0; good && i < backup->count; i++) {
        good = put_entry(file, &digest, &backup->entries[i]);
    }
    return good && put(file, &digest, &end, sizeof(end)) &&
           fwrite(&digest, sizeof(digest), 1, file) == 1 && fflush(file) == 0 &&
           fsync(fileno(file)) == 0;
}

int backup_write_file(const struct backup *backup, const char *path)
{
    char draft[PATH_MAX];
    if (snprintf(draft, sizeof(draft), "%s.new", path) >= (int)sizeof(draft)) {
        return -ENAMETOOLONG;
    }
    (void)unlink(draft);
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL) {
        return -errno;
    }
    errno = EIO;
    bool good = put_all(file, backup);
    int error = errno;
    good = fclose(file) == 0 && good;
    if (good && rename(draft, path) == 0) {
        return 0;
    }
    error = good ? errno : error;
    (void)unlink(draft);
    return -error;
}

static bool get(FILE *file, uint64_t *digest, void *bytes, size_t size)
{
    if (fread(bytes, 1, size, file) != size) {
        return false;
    }
    *digest = digest_bytes(*digest, bytes, size);
    return true;
}

/* 1: an entry was added; 0: the end; or -errno. */
static int get_entry(FILE *file, uint64_t *digest, char *value, struct backup *backup)
{
    struct lengths lengths;
    char object[NAME_MAX_BYTES + 1] = "";
    char key[NAME_MAX_BYTES + 1] = "";
    if (!get(file, digest, &lengths, sizeof(lengths)) || lengths.object > NAME_MAX_BYTES ||
        lengths.key > NAME_MAX_BYTES || lengths.value > VALUE_MAX_BYTES ||
        backup->count >= ENTRIES_MAX) {
        return -EBADMSG;
    }
    if (lengths.object == 0) {
        return 0;
    }
    if (!get(file, digest, object, lengths.object) || !get(file, digest, key, lengths.key) ||
        !get(file, digest, value, lengths.value)) {
        return -EBADMSG;
    }
    int r = backup_add(backup, object, key, value, lengths.value);
    return r < 0 ? r : 1;
}

static int get_all(FILE *file, struct backup *backup)
{
    char magic[sizeof(MAGIC)] = "";
    uint64_t digest = DIGEST_SEED;
    uint64_t said = 0;
    char *value = malloc(VALUE_MAX_BYTES);
    int r = value == NULL ? -ENOMEM : 1;
    if (r == 1 && (!get(file, &digest, magic, strlen(MAGIC)) || strcmp(magic, MAGIC) != 0)) {
        r = -EBADMSG;
    }
    while (r == 1) {
        r = get_entry(file, &digest, value, backup);
    }
    if (r == 0 && (fread(&said, sizeof(said), 1, file) != 1 || said != digest)) {
        r = -EBADMSG;
    }
    free(value);
    return r;
}

int backup_read_file(const char *path, struct backup *ret_backup)
{
    struct backup backup = {.count = 0};
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return -errno;
    }
    int r = get_all(file, &backup);
    fclose(file);
    if (r < 0) {
        backup_free(&backup);
        return r;
    }
    *ret_backup = backup;
    return 0;
}

/* ---- the state in it */

int backup_state(const struct backup *backup, struct cluster **ret_image)
{
    struct cluster *image = calloc(1, sizeof(*image));
    struct cluster *whole = calloc(1, sizeof(*whole));
    int r = image == NULL || whole == NULL ? -ENOMEM : 0;
    for (size_t i = 0; r == 0 && i < backup->count; i++) {
        const struct backup_entry *entry = &backup->entries[i];
        enum record_kind kind;
        uint32_t slot = 0;
        struct record record;
        if (strcmp(entry->object, STORAGE_OBJECT) != 0) {
            continue;
        }
        if (strcmp(entry->key, STATE_KEY_HEADER) == 0) {
            r = wire_unpack_header(entry->value, entry->size, &image->header);
        } else if (wire_parse_key(entry->key, &kind, &slot) == 0 &&
                   wire_unpack_record(entry->value, entry->size, kind, slot, &record) == 0) {
            state_take_record(image, &record);
        }
    }
    if (r == 0 && (image->header.version == 0 || !state_load(whole, image))) {
        r = -EBADMSG;
    }
    free(image);
    if (r < 0) {
        free(whole);
        return r;
    }
    *ret_image = whole;
    return 0;
}
