/*
 * What follows when a VM's guest comes to an end, or to a standstill, that nobody asked stead for.
 * Pure; called by the acting node with a draft open.
 */
#ifndef STEAD_AGENT_ENDS_H
#define STEAD_AGENT_ENDS_H

#include "agent/core.h"

/* What the settings say for a guest that ended so; GUEST_LEAVE never comes back here: a guest that
 * has ended cannot be left as it is. */
enum guest_rule ends_rule(const struct settings *settings, enum domain_end end);

/* "The guest powered itself off", as people read it. */
const char *ends_word(enum domain_end end);

/* Drafts what follows from `observed`, an OBSERVED_STOPPED of a VM that nobody had told to stop:
 * stopped for good, or to be started again, there first and at a bounded rate. */
void ends_draft(struct core *core, const struct observed *observed);

/* Drafts a VM's condition as told by OBSERVED_CONDITION. */
void ends_draft_condition(struct core *core, const struct observed *observed);

/* "its guest is paused by hand", as people read it; for VM_TROUBLE_NONE: that all is well again. */
const char *ends_trouble_word(enum vm_trouble trouble);

/* The condition of a VM that no longer runs, or runs anew. */
void ends_forget_condition(struct vm_record *vm);

#endif
