/* QEMU processes as /proc shows them. */
#ifndef STEAD_MIGRATION_GUEST_PROC_IO_H
#define STEAD_MIGRATION_GUEST_PROC_IO_H

#include <sys/types.h>

#include "proto/types.h"

struct guest_process {
    pid_t pid;
    struct uuid vm;
};

struct guest_list {
    struct guest_process *guests;
    uint32_t count;
    int unseen; /* 0, or -errno: there may be more, it cannot be seen */
};

/* Is `pid` a living QEMU of this PID namespace? 1, and its -uuid; 0; or -errno: it cannot be seen
 * whether it is. A zombie is dead: its memory and threads are gone, only its parent has not looked
 * yet. */
int guest_proc_read(pid_t pid, struct uuid *ret_vm);

/* All that can be seen; `guests` is to be freed. */
void guest_proc_scan(struct guest_list *ret_list);

#endif
