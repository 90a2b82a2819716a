/* Classes of VMs: which proof of its holder's death releases which VM. Pure. */
#ifndef STEAD_AGENT_CLASSES_H
#define STEAD_AGENT_CLASSES_H

#include "agent/core.h"

/* The class of this name, by its slot among the settings, as it will be; 0: there is none. */
uint32_t classes_find(const struct core *core, const char *name);

/* Its name; "" for none. */
const char *classes_name(const struct cluster *cluster, const struct vm_record *vm);

/* The proofs (mask) of which one releases this VM: its class's, or else the cluster's. */
uint32_t classes_policy(const struct cluster *cluster, const struct vm_record *vm);

/* Does any policy take a host for dead by time: the cluster's, if it is this one, or a class's? */
bool classes_rest_on_time(const struct cluster *cluster, uint32_t proof);

/* ... that of the VM in this slot? VMS_MAX, a guest that no record names: if any does. */
bool classes_mortal(const struct cluster *cluster, uint32_t slot);

/* Is this life of a node at its end, and proven so for this VM? */
bool classes_proven(const struct core *core, const struct vm_record *vm, uint8_t node,
                    struct incarnation life);

/* How many VMs that the present or last life of this node holds are not released by these proofs.
 * With no proofs: how many it holds. */
uint32_t classes_waiting(const struct core *core, uint32_t node, uint32_t proofs);

#endif
