/* From a domain XML to what is stored and asked for: `stead vm add`. */
#ifndef STEAD_AGENT_VM_ADD_IO_H
#define STEAD_AGENT_VM_ADD_IO_H

#include "migration/libvirt_io.h"
#include "proto/control_io.h"
#include "storage/storage_io.h"

struct vm_to_add {
    struct domain_facts facts;
    struct definition definition; /* its XML is owned here */
};

/* Reads and checks the XML; puts a UUID in if it has none. 0, or -errno with one sentence in
 * ret_text (TEXT_BYTES). */
int vm_add_io_read(const Control__VmAdd *add, struct vm_to_add *ret_vm, char *ret_text);

void vm_add_io_free(struct vm_to_add *vm);

#endif
