/*
 * A RADOS client with the guests' key, to open images as QEMU will. Making one costs some twenty
 * milliseconds and megabytes, so the last one is kept for some seconds: a row of `vm add` needs one
 * and not one each. No longer, since it holds a key; and never after something went wrong with it:
 * what the operator mends then (a cap, a keyring) must be seen by the next try.
 */
#ifndef STEAD_STORAGE_GUEST_CLIENT_IO_H
#define STEAD_STORAGE_GUEST_CLIENT_IO_H

#include <rados/librados.h>

#include "storage/storage_io.h"

#define HOSTS_BYTES 256

struct guest_client;

/* The kept one, if it is for this user and these monitors (empty: those of ceph.conf), or a new
 * one; NULL without memory. On the loop's thread, as the two below. */
struct guest_client *guest_client_hold(struct storage_io *io, const char *user, const char *hosts);
void guest_client_drop(struct guest_client *client);

/* Lets the kept one go. */
void guest_client_forget(struct storage_io *io);

/* Connects it unless it is, in a worker; others wait for the first. 0 or -errno. */
int guest_client_connect(struct guest_client *client, rados_t *ret_cluster);

/* It is not for anybody else. In a worker, too. */
void guest_client_spoil(struct guest_client *client);

#endif
