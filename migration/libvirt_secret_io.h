/* Putting a secret where the next connection or creation finds it; on the loop, never blocking. */
#ifndef STEAD_MIGRATION_LIBVIRT_SECRET_IO_H
#define STEAD_MIGRATION_LIBVIRT_SECRET_IO_H

#include "migration/libvirt_inner_io.h"

/* 0, -EINVAL for a bad argument, -ENOBUFS when too many wait for libvirt already. */
int libvirt_secret_put(struct libvirt_shared *shared, const char *uuid, const char *user,
                       const char *key_base64);

#endif
