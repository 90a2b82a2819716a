/*
 * A RADOS client of ours: made in a worker, used by all, and shut down only when nobody uses it any
 * more (measured: rados_shutdown beside a pending monitor call crashes the process).
 */
#ifndef STEAD_STORAGE_HANDLE_IO_H
#define STEAD_STORAGE_HANDLE_IO_H

#include "storage/op_io.h"

/* ACTION_HANDLE_OPEN. The present handle is let go at once. */
void handle_open(struct storage_io *io, const struct action *action);

/* Lets io's own handle go, if there is one. */
void handle_close(struct storage_io *io);

/* Whoever uses it beyond the present call holds it; the last to drop it has it shut down. */
void handle_hold(struct handle *handle);
void handle_drop(struct handle *handle);

/* Lent as long as the handle is held. */
rados_t handle_cluster(const struct handle *handle);
rados_ioctx_t handle_pool(const struct handle *handle);

/* The object we look for is not there: perhaps its pool was deleted and made again, which we would
 * never see. Looks it up by its name, and goes on with that one. */
void handle_find_pool(struct handle *handle);

/* Its own address, as the blocklist would have it; lent. */
const struct client *handle_client(const struct handle *handle);

/* Calls wait->after on the loop's thread with librados' result, once this handle has seen a map at
 * least as new as the newest of now. May never come back while the monitors are away: keep `wait`.
 */
void handle_wait_map(struct handle *handle, struct map_wait *wait);

/* Ceph's client is made for traffic; ours is a few small operations a second. What the operator set
 * to something else than Ceph 16's own default stays. */
void handle_be_frugal(rados_t cluster);

/* Ceph's spellings of an address ("v2:IP:0/NONCE", "[v2:…,v1:…]", "any:…") as the blocklist has it:
 * "IP:0/NONCE". False when it is none or too long. */
bool client_normalise(const char *text, struct client *ret_client);

#endif
