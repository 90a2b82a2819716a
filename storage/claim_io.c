/* Claims on images, by librados' omap comparisons. */
#include "storage/claim_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/values.h"
#include "storage/definition_io.h"
#include "storage/op_io.h"

#define CLAIMS_OBJECT "images"
#define CLAIM_KEY_BYTES (NAME_BYTES * 3 + 2)
#define CLAIM_VALUE_BYTES (sizeof(struct uuid) + 24)

struct value {
    size_t size; /* 0: as a key that is not there compares */
    char bytes[CLAIM_VALUE_BYTES];
};

static void format_key(const struct definition *definition, uint32_t image, char *ret_key)
{
    snprintf(ret_key, CLAIM_KEY_BYTES, "%s/%s", definition->images[image].pool,
             definition->images[image].name);
}

/* The VM's UUID and the seconds as decimal digits. */
static struct value format_value(const struct image_claim *claim)
{
    struct value value = {.size = 0};
    if (uuid_is_zero(&claim->vm)) {
        return value;
    }
    memcpy(value.bytes, &claim->vm, sizeof(claim->vm));
    value.size = sizeof(claim->vm) +
                 (size_t)snprintf(value.bytes + sizeof(claim->vm), 24, "%" PRIu64, claim->wall_s);
    return value;
}

static bool parse_value(const char *bytes, size_t size, struct image_claim *ret_claim)
{
    char digits[24] = "";
    if (size <= sizeof(ret_claim->vm) || size - sizeof(ret_claim->vm) >= sizeof(digits)) {
        return false;
    }
    memcpy(&ret_claim->vm, bytes, sizeof(ret_claim->vm));
    memcpy(digits, bytes + sizeof(ret_claim->vm), size - sizeof(ret_claim->vm));
    ret_claim->wall_s = strtoull(digits, NULL, 10);
    return true;
}

static int read_one(rados_ioctx_t pool, const char *key, struct image_claim *ret_claim)
{
    const size_t key_size = strlen(key);
    rados_omap_iter_t found = NULL;
    char *name = NULL, *bytes = NULL;
    size_t name_size = 0, size = 0;
    int step = 0;
    rados_read_op_t read = rados_create_read_op();
    rados_read_op_omap_get_vals_by_keys2(read, &key, 1, &key_size, &found, &step);
    int r = rados_read_op_operate(read, pool, CLAIMS_OBJECT, 0);
    r = r == 0 ? step : r;
    if (r == 0) {
        r = rados_omap_get_next2(found, &name, &bytes, &name_size, &size);
    }
    if (r == 0 && name != NULL && !parse_value(bytes, size, ret_claim)) {
        r = -EBADMSG;
    }
    rados_omap_get_end(found);
    rados_release_read_op(read);
    return r == -ENOENT ? 0 : r;
}

int claims_read(rados_ioctx_t pool, const struct definition *definition,
                struct image_claim claims[IMAGES_MAX])
{
    char key[CLAIM_KEY_BYTES];
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < definition->image_count; i++) {
        claims[i] = (struct image_claim){.wall_s = 0};
        format_key(definition, i, key);
        r = read_one(pool, key, &claims[i]);
    }
    return r;
}

static int take_one(rados_ioctx_t pool, const char *key, const struct value *seen,
                    const struct value *wanted)
{
    const size_t key_size = strlen(key);
    const char *const bytes = wanted->bytes;
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_create(write, LIBRADOS_CREATE_IDEMPOTENT, NULL);
    rados_write_op_omap_cmp2(write, key, LIBRADOS_CMPXATTR_OP_EQ, seen->bytes, key_size, seen->size,
                             NULL);
    rados_write_op_omap_set2(write, &key, &bytes, &key_size, &wanted->size, 1);
    const int r = rados_write_op_operate(write, pool, CLAIMS_OBJECT, NULL, 0);
    rados_release_write_op(write);
    return r;
}

int claims_take(rados_ioctx_t pool, const struct definition *definition,
                const struct image_claim seen[IMAGES_MAX], uint32_t *ret_image)
{
    const struct image_claim ours = {.vm = definition->vm, .wall_s = (uint64_t)time(NULL)};
    char key[CLAIM_KEY_BYTES];
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < definition->image_count; i++) {
        const struct value before = format_value(&seen[i]), after = format_value(&ours);
        format_key(definition, i, key);
        r = take_one(pool, key, &before, &after);
        *ret_image = i;
    }
    return r;
}
