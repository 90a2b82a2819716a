/*
 * The copy of the committed cluster state: how a commit changes it, and what it holds.
 * Pure. `struct cluster` is written only here.
 */
#ifndef STEAD_STORAGE_STATE_H
#define STEAD_STORAGE_STATE_H

#include "proto/types.h"

/* May `delta` be applied to this copy? It follows it: same epoch, the next version, a term
 * that does not run backwards. */
bool state_follows(const struct cluster *cluster, const struct delta *delta);

/* Applies a committed delta that follows. The copy's own running digest must come out as the
 * header says; false if not: the copy is then not to be trusted and must be read again. */
bool state_apply(struct cluster *cluster, const struct delta *delta);

/* Takes a whole image, as read from the state object. False if its digest is not its header's
 * (then nothing is taken). */
bool state_load(struct cluster *cluster, const struct cluster *image);

/* What a slot holds; `removed` if it is free. */
struct record state_record(const struct cluster *cluster, enum record_kind kind, uint32_t slot);

/* How many slots of a kind there may be. */
uint32_t state_slots(enum record_kind kind);

/* The digest over all records, computed anew. */
uint64_t state_digest(const struct cluster *cluster);

/* What the header's digest becomes when `delta` is applied to `cluster`. */
uint64_t state_digest_after(const struct cluster *cluster, const struct delta *delta);

/* Does it count for the quorum? Not one that was removed or vouched dead. */
bool state_counts(const struct node_record *node);
uint64_t state_counting(const struct cluster *cluster); /* mask of the slots of those that do */

/* Slots by name or id; NODE_NONE or VMS_MAX when there is none. */
uint8_t state_find_node(const struct cluster *cluster, uint32_t nodeid);
uint8_t state_find_node_name(const struct cluster *cluster, const char *name);
uint32_t state_find_vm(const struct cluster *cluster, const char *name);
uint32_t state_find_vm_uuid(const struct cluster *cluster, const struct uuid *uuid);

/* The version of a VM's first definition, from which its lease's generations begin: the clock's
 * seconds, so that no earlier life of that VM had it, but above any that is there, should the clock
 * be behind. */
uint32_t state_new_definition(const struct cluster *cluster, uint32_t clock_s);

/* Is (node, incarnation) the present, admitted life of that node? */
bool state_incarnation_lives(const struct cluster *cluster, uint8_t node,
                             struct incarnation incarnation);

/* The history entry that records this operator command, or NULL. */
const struct history_entry *state_find_request(const struct cluster *cluster,
                                               const struct origin *request);

#endif
