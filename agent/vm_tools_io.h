/*
 * What operators' commands about VMs work with, beside the core: the edges of this node; and how
 * the work that this node does, before the acting node is asked, ends.
 */
#ifndef STEAD_AGENT_VM_TOOLS_IO_H
#define STEAD_AGENT_VM_TOOLS_IO_H

#include <qb/qbloop.h>

#include "agent/core.h"
#include "agent/create_io.h"
#include "agent/settle_io.h"
#include "migration/libvirt_io.h"
#include "proto/review.h"
#include "storage/storage_io.h"

/* All borrowed for good. */
struct vm_tools {
    qb_loop_t *loop;
    const struct core *core;
    struct storage_io *storage;
    struct libvirt_io *libvirt;
    struct create_io *create;
    struct settle_io *settle;
    const char *guest_user; /* whose key QEMU gets, without "client." */
};

/* All lent. */
struct vm_work_result {
    const struct request *request; /* to be sent, all but its id and `by`; NULL: nothing is */
    bool held;        /* request->uuid is held in tools->settle: to be dropped with the answer */
    bool done;        /* without a request: nothing had to be changed */
    const char *text; /* with a request: to be told if it is accepted, NULL: nothing; without:
                         what came of it */
    const struct review *review; /* NULL: none */
};

/* Called once, on the loop, when all has been looked at and done. */
typedef void vm_work_done(void *context, const struct vm_work_result *result);

#endif
