/* A Ceph user's key, for libvirt's secret. Whoever gets one wipes it after use. */
#ifndef STEAD_AGENT_KEYRING_IO_H
#define STEAD_AGENT_KEYRING_IO_H

#include "proto/types.h"

#define KEYRING_KEY_BYTES 128 /* base64, with the closing NUL */

/* The key of client.USER from the keyring that `conf` names, or from the usual places. 0, or
 * -errno (-ENOKEY: no keyring has it). */
int keyring_io_read_key(const char *conf, const char *user, char ret_key[KEYRING_KEY_BYTES]);

#endif
