/* This host's watchdog, and what the acting node makes of another's. Pure. */
#ifndef STEAD_AGENT_WATCHDOG_H
#define STEAD_AGENT_WATCHDOG_H

#include "agent/core.h"
#include "proto/text.h"

/* EVENT_KEEPER. */
void watchdog_on_event(struct core *core, const struct event *event, struct caller *caller);

/* This agent is told to end. What is armed is let go first, if no guest is alive here. */
void watchdog_on_end(struct core *core, struct caller *caller);

/* ... and that is under way. */
bool watchdog_is_ending(const struct core *core);

/* Has the keeper armed, vouches for this host, has the watchdog let go. Each step, halted or not.
 */
void watchdog_carry_on(struct core *core, struct caller *caller);

/* What our heartbeat says of it. */
void watchdog_fill_beat(const struct core *core, struct beat *beat);

/* Is this peer's heartbeat not to be answered? Its watchdog runs, by its record or its own word,
 * and it is lost; or we do not know yet whether it is, and were restarted so lately that it may not
 * have fired. */
bool watchdog_shuns(const struct core *core, const struct beat *beat);

/* Drafts what this present member's heartbeat says of its watchdog. Needs room for two. */
void watchdog_draft(struct core *core, uint32_t slot, const struct beat *beat);

/* How far its agent may vouch past the sending of an answered heartbeat: by the settings in force,
 * or those that it had read when it last said so. */
uint32_t watchdog_vouch_ms(const struct settings *settings, const struct node_record *node);

/* So long after a quorum has stopped answering this node, its armed watchdog has surely fired. */
uint32_t watchdog_deadline_ms(const struct settings *settings, const struct node_record *node);

/* Do these settings go with what is committed of all watchdogs? If not, *ret_why says what would
 * mend it. Needs an open draft. */
bool watchdog_agrees(const struct core *core, const struct settings *next, struct text *ret_why);

/* Gains PROOF_WATCHDOG for a lost node whose fence is under way, once its watchdog has fired. */
void watchdog_prove(struct core *core, uint32_t slot, struct fence *fence);

#endif
