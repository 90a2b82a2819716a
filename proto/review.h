/*
 * What `vm add` finds in a domain: all of it at once, each finding of a kind that has a word and a
 * treatment. Pure; the rooms that look (libvirt's XML, Ceph's images) put their findings in.
 */
#ifndef STEAD_PROTO_REVIEW_H
#define STEAD_PROTO_REVIEW_H

#include "proto/types.h"

#define FINDINGS_MAX 48   /* in one review; the last place is kept for one that refuses */
#define FINDING_BYTES 320 /* one sentence: what was found and the remedy or consequence */
#define ACCEPT_BYTES 256  /* "KIND,KIND" */

enum finding_kind {
    FINDING_DEFINITION,      /* no XML, no name, no memory … */
    FINDING_NO_RBD,          /* nothing the run lease could guard */
    FINDING_LOCAL_DISK,      /* a file, folder, volume or NVDIMM of one host */
    FINDING_BLOCK_DISK,      /* LVM, iSCSI and other block devices */
    FINDING_KRBD,            /* /dev/rbd…: the kernel is the RADOS client */
    FINDING_NETWORK_DISK,    /* NBD, Gluster …: no blocklist reaches it */
    FINDING_RBD_DISK,        /* an RBD disk that cannot be guarded as it is written */
    FINDING_CEPH_USER,       /* its <auth> is not the guest user of stead.conf */
    FINDING_CACHE,           /* cache='unsafe' */
    FINDING_TPM_LOCAL,       /* the vTPM's state lies on one host */
    FINDING_PASSTHROUGH,     /* devices of one host */
    FINDING_FILESYSTEM,      /* folders of one host */
    FINDING_SHARED_MEMORY,   /* shared with a process of one host */
    FINDING_LAUNCH_SECURITY, /* memory encrypted by one host's processor */
    FINDING_MEDIA,           /* CD-ROM or floppy from a local file */
    FINDING_NVRAM,           /* firmware variables in a local file */
    FINDING_HOST_CPU,        /* CPU as the host's */
    FINDING_HOST_MEMORY,     /* huge pages, memory or CPUs pinned */
    FINDING_HOST_INTERFACE,  /* a named network card of the host */
    FINDING_HOST_ADDRESS,    /* VNC or SPICE on one host's address */
    FINDING_HOST_FILE,       /* kernels, logs: files each host must have */
    FINDING_QEMU_ARGUMENTS,  /* <qemu:commandline>, which nobody reviews */
    FINDING_SECRET,          /* a libvirt secret that stead does not bring */
    FINDING_ERROR_POLICY,    /* a running one without error_policy=stop */
    FINDING_IMAGE,           /* the image is missing, cannot be opened, or is another cluster's */
    FINDING_IMAGE_OPEN,      /* somebody has it open */
    FINDING_IMAGE_USED,      /* another VM of the cluster has it */
    FINDING_DOMAIN_STATE,    /* snapshots, a saved state, a paused guest */
    FINDING_KIND_COUNT
};

enum treatment {
    TREATMENT_REFUSED,  /* the VM is not added with it */
    TREATMENT_ACCEPTED, /* not added, unless the operator accepts the kind by its word */
    TREATMENT_TOLD,     /* added; the operator is told what follows */
};

struct finding {
    enum finding_kind kind;
    char text[FINDING_BYTES];
};

struct review {
    uint64_t accepted; /* mask of kinds the operator accepts */
    uint32_t count;
    bool cut; /* there were more */
    struct finding list[FINDINGS_MAX];
};

/* Adds a finding; control characters become spaces. A text found already is not repeated. */
void review_add(struct review *review, enum finding_kind kind, const char *text);

/* The word of `--accept` and of operations.md; and what is done about it. */
const char *review_word(enum finding_kind kind);
enum treatment review_treatment(enum finding_kind kind);

/* Does this finding keep the VM from being added, and how many of all do? */
bool review_refuses(const struct review *review, const struct finding *finding);
uint32_t review_refusals(const struct review *review);

/* "passthrough,tpm" as a mask; false with the word that is none (or may not be accepted) in
 * ret_word (NAME_BYTES). Empty: none. */
bool review_parse_accept(const char *text, uint64_t *ret_mask, char *ret_word);

/* The words that may be accepted, in order; NULL after the last. */
const char *review_acceptable(uint32_t index);

#endif
