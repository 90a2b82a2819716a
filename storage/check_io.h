/*
 * `vm add`, the look at Ceph before anything is written: do the images open, with our key and with
 * the guests'; are they in our cluster; has somebody got them open; does another VM claim them.
 */
#ifndef STEAD_STORAGE_CHECK_IO_H
#define STEAD_STORAGE_CHECK_IO_H

#include "proto/review.h"
#include "storage/guest_client_io.h"
#include "storage/storage_io.h"

/* What is to be looked at. Strings are copied. */
struct image_check {
    struct definition definition;        /* its images; the XML is not looked at */
    char hosts[IMAGES_MAX][HOSTS_BYTES]; /* the monitors a disk names; empty: those of ceph.conf */
    char guest_user[NAME_BYTES];         /* whose key QEMU opens them with, without "client." */
    bool running; /* the domain runs on this host: each image is to be open here, once */
};

/* What was seen. */
struct image_report {
    struct review review;   /* findings only: nothing is accepted in it */
    struct clients clients; /* `running`: who has the images open, all at this host's address */
    struct image_claim claims[IMAGES_MAX]; /* of each image; a zero UUID: nobody's */
};

/* `done` is called once on the loop thread, by `deadline_ms` (CLOCK_BOOTTIME) at the latest; the
 * report is lent for the call, and NULL unless the outcome is DONE. */
void storage_io_check_images(struct storage_io *io, const struct image_check *check,
                             uint64_t deadline_ms,
                             void (*done)(void *context, enum outcome outcome,
                                          const struct image_report *report),
                             void *context);

#endif
