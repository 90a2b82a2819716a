/*
 * What operators' commands do with a node's domains beside running them: finding one to adopt,
 * marking it, taking its persistent definition away, giving one back, asking where its console is.
 *
 * A persistent definition that stead takes or gives carries the mark <stead:pending
 * xmlns:stead="https://stead.example/pending/1"/> until that is settled: if the cluster's state has
 * the VM, the definition goes; if not, the mark does (agent/settle_io.h). Hence a crash in between
 * leaves one owner.
 *
 * All answers come once, on the loop's thread, by `deadline_ms` (CLOCK_BOOTTIME): UNKNOWN when
 * libvirt did not answer by then. Functions return 0, or -errno when nothing was asked; then there
 * is no answer.
 */
#ifndef STEAD_MIGRATION_DOMAIN_IO_H
#define STEAD_MIGRATION_DOMAIN_IO_H

#include "migration/libvirt_io.h"

#define DISPLAYS_MAX 4
#define DISPLAY_BYTES 128

/* A domain as libvirt has it. */
struct domain_found {
    struct uuid vm;
    bool active;
    bool running; /* active, and not paused */
    bool persistent;
    bool ours;        /* its running one carries stead's mark */
    bool saved;       /* a managed save of its memory lies on the host */
    int snapshots;    /* libvirt's, with checkpoints */
    char *xml;        /* its definition, inactive and with secrets; lent */
    char *active_xml; /* NULL unless active; lent */
};

/* What they answer; all but `context` is lent. `text`: libvirt's words where it failed. */
typedef void domain_found_done(void *context, enum outcome outcome, const char *text,
                               const struct domain_found *found);
typedef void domain_done(void *context, enum outcome outcome, const char *text);

/* Finds a domain by its libvirt name or UUID. MISSING: there is none. `found` is NULL unless DONE.
 */
int domain_io_find(struct libvirt_io *io, const char *name, uint64_t deadline_ms,
                   domain_found_done *done, void *context);

/* Marks the definition pending, if it is persistent, and the running one as ours. */
int domain_io_mark(struct libvirt_io *io, const struct uuid *vm, uint64_t deadline_ms,
                   domain_done *done, void *context);

/* Takes both marks away; one that is not there is fine. */
int domain_io_unmark(struct libvirt_io *io, const struct uuid *vm, uint64_t deadline_ms,
                     domain_done *done, void *context);

/* Autostart off, definition gone, NVRAM and TPM state kept: a running one is transient after that.
 * Only a definition that is marked pending; any other, or none, is left alone (DONE). */
int domain_io_undefine(struct libvirt_io *io, const struct uuid *vm, uint64_t deadline_ms,
                       domain_done *done, void *context);

/* Defines `xml` (copied) marked pending, autostart off; over a running transient domain, too. */
int domain_io_define(struct libvirt_io *io, const struct uuid *vm, const char *xml,
                     uint64_t deadline_ms, domain_done *done, void *context);

/* Destroys one that bears the mark of a start and was never resumed; any other, or none, is left
 * alone (DONE). */
int domain_io_destroy_unborn(struct libvirt_io *io, const struct uuid *vm, uint64_t deadline_ms,
                             domain_done *done, void *context);

/* The persistent domains, and those that a start of stead's made and never resumed. */
struct domain_pending {
    uint32_t count;
    struct domain_kept {
        struct uuid vm;
        bool persistent;
        bool pending; /* its definition is marked so */
        bool ours;    /* its running one bears stead's mark */
        bool unborn;  /* never resumed */
    } list[RUNS_MAX];
};
/* `pending` is lent; NULL: libvirt did not answer. */
int domain_io_list_pending(struct libvirt_io *io, uint64_t deadline_ms,
                           void (*done)(void *context, const struct domain_pending *pending),
                           void *context);

/* Where people look at a running domain: "vnc 127.0.0.1:5900", as it is now. */
struct domain_displays {
    bool console; /* it has a serial console (`virsh console`) */
    uint32_t count;
    char list[DISPLAYS_MAX][DISPLAY_BYTES];
};
/* `displays` is lent; NULL unless DONE. */
int domain_io_displays(struct libvirt_io *io, const struct uuid *vm, uint64_t deadline_ms,
                       void (*done)(void *context, enum outcome outcome,
                                    const struct domain_displays *displays),
                       void *context);

/* `xml` without any mark of stead's; *ret_xml is to be freed. 0, -EINVAL or -ENOMEM. */
int domain_xml_plain(const char *xml, char **ret_xml);

#endif
