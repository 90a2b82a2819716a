/*
 * `stead vm remove`: nothing is lost. The domain is libvirt's again on the node where the command
 * is given: defined from the stored definition before the record, and with it lease and definition,
 * goes. A running one keeps running (keep_running; on its own node); where nothing is to be defined
 * (no_define), its XML is kept in a file.
 *
 * What a crash of this agent leaves: before the record went, a VM of stead's with a definition that
 * is marked pending, which agent/settle_io takes away again; after it, libvirt's domain, whose
 * marks agent/settle_io takes off.
 */
#ifndef STEAD_AGENT_VM_REMOVE_IO_H
#define STEAD_AGENT_VM_REMOVE_IO_H

#include "agent/vm_tools_io.h"
#include "proto/control_io.h"

#define REMOVED_DIR "/var/lib/stead/removed"

/* Ends in one call of `done`, by `deadline_ms` at the latest and perhaps before this returns.
 * `command` is borrowed for the call. */
void vm_remove_io_begin(const struct vm_tools *tools, const Control__Command *command,
                        uint64_t deadline_ms, vm_work_done *done, void *context);

#endif
