/*
 * Reviews a domain's XML for `vm add`: everything that ties it to one host, that the run lease
 * cannot guard, or that a recovery would lose, is found at once. What becomes of each kind is in
 * proto/review.c; the same table for people in docs/operations.md.
 */
#ifndef STEAD_MIGRATION_REVIEW_IO_H
#define STEAD_MIGRATION_REVIEW_IO_H

#include <stddef.h>

#include "proto/review.h"

/* Adds to `review` what is found in `xml` (libvirt's domain XML, inactive form). `guest_user` is
 * the Ceph user whose key stead gives to libvirt, without "client."; borrowed for the call. */
void review_domain(const char *xml, const char *guest_user, struct review *review);

/* The same for the XML of a domain that runs, in its active form: only what matters of the running
 * one and not of its definition (block jobs, error policies). */
void review_running(const char *xml, struct review *review);

/* Where its firmware variables lie, in ret_path (`size` bytes); empty where it has none. */
void review_nvram_path(const char *xml, char *ret_path, size_t size);

#endif
