/* HA paused: what the cluster does not do then, and when a pause is said to be in force. Pure. */
#ifndef STEAD_AGENT_PAUSE_H
#define STEAD_AGENT_PAUSE_H

#include "agent/core.h"
#include "proto/text.h"

/* As it will be after what is drafted now. */
enum ha_mode pause_mode(const struct core *core);

/* Why this command is refused while HA is frozen, or NULL. */
const char *pause_refuses(const struct core *core, const struct request *request);

/* The name of a node whose fence is under way, or asked for; NULL: there is none. */
const char *pause_waits_for(const struct core *core);

/* May the cluster start this VM in that mode? One that a person wants, yes, while it only ignores
 * failures. */
bool pause_lets_start(enum ha_mode mode, const struct vm_record *vm);

/* The setting by which HA is paused, and who did it; NULL: it is not. */
const struct setting_record *pause_record(const struct core *core);

/* Is this the name of that setting? */
bool pause_is_meant(const char *setting);

/* Does this command ask for the pause that is in force? It may wait to be called done. */
bool pause_in_force(const struct core *core, const struct request *request);

/* ... and does it wait, for a fence that was under way has not ended? */
bool pause_waits(const struct core *core, const struct request *request);

/* Is HA another than this command made it, by its entry? */
bool pause_is_undone(const struct core *core, const struct request *request,
                     const struct history_entry *entry);

/* "HA is paused (freeze, by ada): …; stead ha resume", if it is. True if so. */
bool pause_tell(const struct core *core, struct text *text);

#endif
