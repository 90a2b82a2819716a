/*
 * Which pools are full, so that people are told. Measured (Ceph 16.2): a pool that is full or at
 * its quota refuses nobody. What a guest writes to it waits, without an error and without a pause,
 * until there is room, and goes on then; libvirt says "running" all the time.
 */
#ifndef STEAD_STORAGE_FULL_IO_H
#define STEAD_STORAGE_FULL_IO_H

#include "storage/op_io.h"

/* Asks the monitors, if the last time is long enough ago; a change is told as TROUBLE_POOL. To be
 * called now and then. */
void full_look(struct storage_io *io);

#endif
