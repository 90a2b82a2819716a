/* /run/stead/starts: when the agent was started lately in this boot. */
#ifndef STEAD_AGENT_STARTS_IO_H
#define STEAD_AGENT_STARTS_IO_H

#include "agent/starts.h"

#define STARTS_PATH "/run/stead/starts"

/* Notes a start now (CLOCK_BOOTTIME) in the file and tells which there were. What cannot be read
 * counts as none; where it cannot be written, -errno, and `ret_starts` is filled all the same. */
int starts_io_note(const char *path, uint64_t now_ms, struct starts *ret_starts);

/* An end in order: what came before is forgotten. */
void starts_io_forget(const char *path);

#endif
