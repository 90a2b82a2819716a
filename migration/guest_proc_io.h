/* QEMU processes as /proc shows them. */
#ifndef STEAD_MIGRATION_GUEST_PROC_IO_H
#define STEAD_MIGRATION_GUEST_PROC_IO_H

#include <sys/types.h>

#include "proto/types.h"

struct guest_process {
    pid_t pid;
    struct uuid vm;
};

/* Is `pid` a living QEMU of this PID namespace? If so its -uuid. A zombie is dead: its memory and
 * threads are gone, only its parent has not looked yet. */
bool guest_proc_read(pid_t pid, struct uuid *ret_vm);

/* All of them, in an array to be freed. 0 or -errno. */
int guest_proc_scan(struct guest_process **ret_list, uint32_t *ret_count);

#endif
