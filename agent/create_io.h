/*
 * Creating a domain takes two rooms and a key: the definition from RADOS, Ceph's secret for
 * libvirt, the firmware variables if it has any, then the domain, paused. This strings them
 * together for ACTION_DOMAIN_CREATE.
 */
#ifndef STEAD_AGENT_CREATE_IO_H
#define STEAD_AGENT_CREATE_IO_H

#include "migration/libvirt_io.h"
#include "storage/storage_io.h"

struct create_io;

struct create_options {
    const char *ceph_conf;
    const char *guest_user; /* whose key QEMU opens its images with */
};

/* The strings in `options` are borrowed for good. */
int create_io_open(struct storage_io *storage, struct libvirt_io *libvirt,
                   const struct create_options *options, const struct sink *sink,
                   struct create_io **ret_io);

/* ACTION_DOMAIN_CREATE; ends in EVENT_DOMAIN_DONE. */
void create_io_act(struct create_io *io, const struct action *action);

/* Gives libvirt the Ceph secrets that the disks in `xml` name. What cannot be given is said. */
void create_io_bring_secrets(struct create_io *io, const char *xml);

/* libvirt went away, or refused a domain: what it knew of secrets may be gone, or was never taken.
 */
void create_io_forget_secrets(struct create_io *io);

#endif
