/* Between review*_io.c only. */
#ifndef STEAD_MIGRATION_REVIEW_INNER_IO_H
#define STEAD_MIGRATION_REVIEW_INNER_IO_H

#include "migration/domain_xml_io.h"
#include "migration/review_io.h"

__attribute__((format(printf, 3, 4))) void review_say(struct review *review, enum finding_kind kind,
                                                      const char *format, ...);

/* For %s: the text, or "?". */
static inline const char *review_or_none(const xmlChar *text)
{
    return text ? (const char *)text : "?";
}

/* A <disk>; a writable RBD disk is counted in *images. */
void review_disk(xmlNodePtr disk, const char *guest_user, struct review *review, uint32_t *images);
/* Two disks of one image. */
void review_twins(xmlNodePtr devices, struct review *review);
/* Any other child of <devices>. */
void review_device(xmlNodePtr device, struct review *review);

#endif
