/*
 * The libvirt edge: starts, resumes, ends and watches domains. libvirt's blocking calls live in
 * worker threads that only enqueue; one call at a time per domain, several domains at once. Events
 * come through libvirt's own event loop implementation, bridged to or run beside the main loop.
 * The connection is made, and made again after a libvirtd restart, by itself: after each success
 * every domain of ours is told by EVENT_DOMAIN, then EVENT_DOMAINS{connected}; after a loss
 * EVENT_DOMAINS{not connected}.
 *
 * "Ours" is a domain whose metadata carries the element <stead:vm
 * xmlns:stead="https://stead.example/1" term= counter= starting="yes" suspended="yes"/>: the start
 * mark. Resuming rewrites it without `starting` first, then resumes. Suspending writes `suspended`
 * first; resuming takes that off last, and a guest that somebody else paused is not resumed.
 */
#ifndef STEAD_MIGRATION_LIBVIRT_IO_H
#define STEAD_MIGRATION_LIBVIRT_IO_H

#include <qb/qbloop.h>

#include "proto/action.h"
#include "proto/sink.h"

struct libvirt_io;

/* Starts the workers, which connect by themselves. Strings are copied. 0 or -errno. */
int libvirt_io_open(qb_loop_t *loop, const char *uri, const struct sink *sink,
                    struct libvirt_io **ret_io);

/* ACTION_DOMAIN_RESUME, _SUSPEND, _SHUTDOWN, _DESTROY; answers EVENT_DOMAIN_DONE. Destroying what
 * is not there is DONE. */
void libvirt_io_act(struct libvirt_io *io, const struct action *action);

/* ACTION_DOMAIN_CREATE: makes a transient domain, paused and marked, from `xml` with stead's disk
 * rules put in (error_policy and rerror_policy stop). A creation that did not answer by the
 * deadline is reported UNKNOWN and destroyed as soon as it appears (measured: it starts by itself
 * later). */
void libvirt_io_create(struct libvirt_io *io, const struct action *action, const char *xml);

/* Defines or updates the libvirt secret that `xml` disks refer to (usage ceph), value from the
 * keyring of Ceph user `user`. Done at connect and again when the keyring changed. 0 or -errno. */
int libvirt_io_set_ceph_secret(struct libvirt_io *io, const char *uuid, const char *user,
                               const char *key_base64);

/* Looks whether a domain is ours: for one that was marked by another way than a start. */
void libvirt_io_look(struct libvirt_io *io, const struct uuid *vm);

/* One RBD image that a domain writes. */
struct domain_image {
    char pool[NAME_BYTES];
    char image[NAME_BYTES * 2];
    char secret[40]; /* uuid text of its <auth> secret, or empty */
    char hosts[256]; /* the monitors it names, "HOST:PORT,HOST"; empty: those of ceph.conf */
};

/* What stead must know of a domain XML. Strings are NUL-terminated. */
struct domain_facts {
    char name[NAME_BYTES];
    struct uuid uuid;
    bool has_uuid;
    uint32_t memory_mib;
    uint32_t image_count;
    struct domain_image images[CLIENTS_PER_VM_MAX];
};

/* Reads those facts. -EINVAL with one sentence in ret_text (TEXT_BYTES) when the XML is none, or
 * has no name, no memory or a UUID that is none. Whether the VM may be added is for review_domain()
 * in "migration/review_io.h". */
int domain_xml_facts(const char *xml, struct domain_facts *ret_facts, char *ret_text);

/* Connects once and asks for the host's name, as a start-up check would. Blocks as long as libvirt
 * does. 0, or -EIO with libvirt's words in ret_text. */
int libvirt_io_try(const char *uri, char ret_host[NAME_BYTES], char ret_text[TEXT_BYTES]);

/* From now on a domain whose UUID is `registered` is told also if it bears no mark of stead's: its
 * `action` is then 0/0. The callback is asked on the main loop and must not call back. */
void libvirt_io_set_registered(struct libvirt_io *io,
                               bool (*registered)(void *context, const struct uuid *vm),
                               void *context);

/* Blocks for a moment at most: a worker that hangs in libvirt keeps what it needs. NULL is fine. */
void libvirt_io_close(struct libvirt_io *io);

#endif
