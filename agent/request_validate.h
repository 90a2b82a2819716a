/*
 * What each operator's command changes, and when it is lawful. Called by request.c on the acting
 * node only, with a draft open and room in it for ROOM_PER_REQUEST records; each returns NULL when
 * it drafted the command, or why it is refused (with the remedy), having drafted nothing. Pure.
 */
#ifndef STEAD_AGENT_REQUEST_VALIDATE_H
#define STEAD_AGENT_REQUEST_VALIDATE_H

#include "agent/core.h"
#include "proto/text.h"

#define ROOM_PER_REQUEST 4 /* record, its entry, a start's entry, and one to spare */

/* The history entry by which the command counts as done (I7): carries its id and who gave it. */
struct history_entry *request_entry(struct core *core, const struct request *request,
                                    enum history_kind kind, uint32_t nodeid,
                                    const struct vm_record *vm, const char *cause);

/* request_node.c */
void request_draft_first(struct core *core, const struct request *request);
const char *request_node_join(struct core *core, const struct request *request);
const char *request_node_fence(struct core *core, const struct request *request);
const char *request_node_unfence(struct core *core, const struct request *request);
const char *request_node_remove(struct core *core, const struct request *request);

/* request_config.c; the sentence is in *ret_why, which the caller lends */
const char *request_config_set(struct core *core, const struct request *request,
                               struct text *ret_why);
/* "there is no setting 'x'; did you mean 'y' (50ms to 2s)?" */
void request_config_unknown(const char *name, struct text *ret_why);

/* request_class.c; likewise. Where a VM is to be of a class: its slot, or why it cannot be */
const char *request_class_set(struct core *core, const struct request *request,
                              struct text *ret_why);
const char *request_class_remove(struct core *core, const struct request *request,
                                 struct text *ret_why);
const char *request_vm_class(struct core *core, const struct request *request,
                             struct text *ret_why);
const char *request_class_find(const struct core *core, const char *name, uint32_t *ret_slot,
                               struct text *ret_why);
/* A command about classes is not for older agents: one would not answer it, or add a VM without the
 * class that was asked for. Why not yet, or NULL: asked where it is given, too. */
const char *request_class_early(const struct core *core, const struct request *request);
/* The cluster's own policy is to be this: for its VMs of no class, as for those of one. */
const char *request_class_proof(const struct core *core, const struct settings *next,
                                struct text *ret_why);

/* request_vm.c */
const char *request_vm_add(struct core *core, const struct request *request, struct text *ret_why);
const char *request_vm_want(struct core *core, const struct request *request, enum vm_want want);
const char *request_vm_remove(struct core *core, const struct request *request);

#endif
