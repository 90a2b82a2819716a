/*
 * Which VM an image belongs to: one key per image in the object "images", changed by
 * compare-and-set only, so that two adds at once cannot both have it. A claim of a VM that the
 * cluster does not know (any more) is nobody's once it is older than an add may take; so none need
 * ever be taken back.
 */
#ifndef STEAD_STORAGE_CLAIM_IO_H
#define STEAD_STORAGE_CLAIM_IO_H

#include <rados/librados.h>

#include "storage/storage_io.h"

/* Reads the claims on all images of `definition` into `claims`. Blocks: for workers. 0 or -errno.
 */
int claims_read(rados_ioctx_t pool, const struct definition *definition,
                struct image_claim claims[IMAGES_MAX]);

/* Claims them all for definition->vm, where each is still as in `seen`. Blocks. 0, -ECANCELED with
 * the first image that has changed in *ret_image, or -errno. */
int claims_take(rados_ioctx_t pool, const struct definition *definition,
                const struct image_claim seen[IMAGES_MAX], uint32_t *ret_image);

#endif
