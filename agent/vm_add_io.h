/*
 * `stead vm add`: from a domain's XML, or from a domain that is on this node, to a request for the
 * acting node. Looks at everything first (the XML, libvirt, Ceph) and tells all that was found;
 * then, unless something refuses it, writes to RADOS and marks the domain. Nothing blocks.
 *
 * Adopting a running domain, what a crash of this agent leaves after each step:
 *   1. looked at            the plain domain, as it was
 *   2. images claimed, lease made as held by this node with the clients its QEMU has open,
 *      definition stored    the plain domain; a lease no VM in the state refers to. The next try
 *                           takes it up; nobody else may (it is held)
 *   3. marked               the plain domain with two marks; agent/settle_io takes them off
 *   4. committed            stead's VM, running here. Autostart may still be on and a definition
 *                           there: agent/settle_io takes it away, as it would have done
 *   5. undefined            stead's VM, transient
 * The commit is the one point where the owner changes; it names the node's incarnation, so it is
 * refused if the node was given up meanwhile.
 */
#ifndef STEAD_AGENT_VM_ADD_IO_H
#define STEAD_AGENT_VM_ADD_IO_H

#include "agent/vm_tools_io.h"
#include "proto/control_io.h"

/* Ends in one call of `done`, by `deadline_ms` at the latest and perhaps before this returns. `add`
 * is as control_unpack_request() leaves it, and borrowed for the call. */
void vm_add_io_begin(const struct vm_tools *tools, const Control__VmAdd *add, uint64_t deadline_ms,
                     vm_work_done *done, void *context);

#endif
