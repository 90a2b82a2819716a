/*
 * `stead-agent --check`: tries everything a host needs before, or while, its agent runs, and prints
 * one line for each thing: what is well, or what is wrong with the remedy. Changes nothing, joins
 * nothing.
 */
#ifndef STEAD_AGENT_CHECK_IO_H
#define STEAD_AGENT_CHECK_IO_H

/* `path`: the configuration (NULL: the usual one, which may be missing). `helper`: stead-bmc.
 * Returns the exit status: 0 nothing is wrong, 1 something is. Takes half a minute at most. */
int check_io_run(const char *path, const char *helper);

#endif
