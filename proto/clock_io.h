/* The clock that all deadlines and ages are told by. */
#ifndef STEAD_PROTO_CLOCK_IO_H
#define STEAD_PROTO_CLOCK_IO_H

#include <stdint.h>

/* CLOCK_BOOTTIME: it goes on while the host sleeps, and nobody sets it. */
uint64_t clock_io_boot_ms(void);

#endif
