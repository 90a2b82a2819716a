/* One line of the trace: what this node sees, decides and does, in the words people read. */
#ifndef STEAD_AGENT_TRACE_H
#define STEAD_AGENT_TRACE_H

#include "agent/core.h"
#include "proto/text.h"

/* Appends the line. When the step's list is nearly full the line is dropped, never an action. */
void trace(struct caller *caller, const struct text *text);
void trace_words(struct caller *caller, const char *words);

#endif
