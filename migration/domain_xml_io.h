/*
 * libvirt's XML, as far as stead reads and changes it: the mark that makes a domain ours, and the
 * disk rules a domain is started with. The facts for `vm add` are in migration/domain_facts_io.c.
 */
#ifndef STEAD_MIGRATION_DOMAIN_XML_IO_H
#define STEAD_MIGRATION_DOMAIN_XML_IO_H

#include <libxml/tree.h>

#include "proto/values.h"

#define MARK_URI "https://stead.example/1"
#define MARK_PREFIX "stead"
#define PENDING_URI "https://stead.example/pending/1" /* see migration/domain_io.h */
#define MARK_TEXT_BYTES 128
#define XML_BYTES_MAX (1024 * 1024)

/* The element <stead:vm term= counter= starting="yes" suspended="yes"/> of a domain's metadata. */
struct domain_mark {
    struct action_id action; /* the start that made the domain */
    bool starting;           /* created paused by it and never resumed yet */
    bool suspended;          /* paused by stead, not by somebody: it was without a quorum */
};

/* The mark as virDomainSetMetadata takes it (without namespace), and as virDomainGetMetadata gives
 * it back (with or without). Reading returns 0 or -EBADMSG. */
void domain_xml_mark_text(const struct domain_mark *mark, char ret_text[MARK_TEXT_BYTES]);
int domain_xml_mark_read(const char *text, struct domain_mark *ret_mark);

/* `xml` as it is to be started: with this mark (instead of any other), this UUID, error_policy and
 * rerror_policy stop on its RBD disks, and the ends of its guest left to stead's rules (on_poweroff
 * destroy, on_reboot restart, on_crash preserve). *ret_xml is to be freed. 0, or -EINVAL with a
 * sentence.
 */
int domain_xml_prepare(const char *xml, const struct uuid *vm, const struct domain_mark *mark,
                       char **ret_xml, char ret_text[TEXT_BYTES]);

/* `xml` without any mark, but marked pending. *ret_xml is to be freed. 0, -EINVAL or -ENOMEM. */
int domain_xml_pending(const char *xml, char **ret_xml);

/* A status file of libvirt's QEMU driver (/run/libvirt/qemu/NAME.xml): whose domain it is and
 * whether it carries our mark. 0, -EBADMSG: it is none, or -errno: it cannot be read. */
int domain_xml_status_read(const char *path, struct uuid *ret_vm, bool *ret_ours);

/* --- for the two files that read domains --- */

void domain_xml_free(xmlDocPtr *doc);      /* for cleanup attributes */
void domain_xml_free_text(xmlChar **text); /* likewise */
/* NULL when it is no XML or has another root element. Never fetches anything. */
xmlDocPtr domain_xml_parse(const char *xml, const char *root);
xmlNodePtr domain_xml_child(xmlNodePtr parent, const char *name); /* first such element, or NULL */
xmlNodePtr domain_xml_next(xmlNodePtr node); /* the next element of the same name, or NULL */
/* The attribute's value, or NULL (also when `node` is). Free with domain_xml_free_text. */
xmlChar *domain_xml_attribute(xmlNodePtr node, const char *name);
/* Is attribute `name` of `node` (which may be NULL) equal to `value`? */
bool domain_xml_attribute_is(xmlNodePtr node, const char *name, const char *value);
bool domain_xml_is_rbd(xmlNodePtr disk);
/* Is it an RBD image that this domain may write? Nobody writes a CD, a snapshot or a read-only
 * disk, and librbd puts no watcher on those. */
bool domain_xml_is_written(xmlNodePtr disk);

/* Where its firmware variables lie: the path of its <nvram>, or the one libvirt would give it.
 * False: it has none. */
bool domain_xml_nvram(xmlNodePtr domain, char *ret_path, size_t size);
/* Its <auth>: a child of <source> since libvirt 3.9, of <disk> before; both are still read. */
xmlNodePtr domain_xml_auth(xmlNodePtr disk);

#define CLEANUP_TEXT __attribute__((cleanup(domain_xml_free_text)))

#endif
