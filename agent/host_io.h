/* What this host is and what its clocks say. */
#ifndef STEAD_AGENT_HOST_IO_H
#define STEAD_AGENT_HOST_IO_H

#include "proto/values.h"

uint64_t host_io_wall_ms(void); /* CLOCK_REALTIME: see docs/timing.md */

/* Never 0. */
uint64_t host_io_random(void);

/* RFC 4122, version 4. */
struct uuid host_io_random_uuid(void);

/* A UUID alone on the first line of a file (DMI, boot id). 0, -errno or -EINVAL. */
int host_io_read_uuid(const char *path, struct uuid *ret_uuid);

/* The host name up to its first dot. */
int host_io_name(char ret_name[NAME_BYTES]);

/* Memory there is for guests when nobody said: MemTotal less 1 GiB for the host, its agents and
 * QEMU's own needs, or half of it on a host with less than 2 GiB. 0, -errno or -EBADMSG. */
int host_io_guest_memory_mib(uint32_t *ret_mib);

/* Is the host shutting down or rebooting, as systemd has it? Asks PID 1, 200 ms at most. */
bool host_io_shuts_down(void);

#endif
