/* The acting node mends a damaged state object from its own good copy. Pure. */
#ifndef STEAD_AGENT_MEND_H
#define STEAD_AGENT_MEND_H

#include "agent/core.h"

/* While acting: is it time to see whether the object is sound? */
void mend_act(struct core *core);

/* Is our copy, itself sound, of the very version that this damaged image is of? Then nothing of the
 * object is newer than it. */
bool mend_holds(const struct core *core, const struct cluster *image);

/* What was read of the object does not add up. Where we act, and our copy is of that very version:
 * remembers which records differ. */
void mend_compare(struct core *core, const struct cluster *image);

/* Drafts what is to be written anew, with a history entry: a commit of its own. False: nothing is.
 */
bool mend_draft(struct core *core);

/* A commit of ours took effect: the header is good again, and the records are looked at anew. */
void mend_on_commit(struct core *core);

#endif
