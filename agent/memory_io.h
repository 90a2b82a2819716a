/* How much memory this process keeps. */
#ifndef STEAD_AGENT_MEMORY_IO_H
#define STEAD_AGENT_MEMORY_IO_H

/* Before any thread starts: one arena of glibc's malloc, large blocks given back when freed. */
void memory_io_begin(void);

/* Once, when the start is over: gives back what only the start needed, the code of the loader, of
 * configuration and of connecting. What is used again is there again at its first use, from the
 * page cache. */
void memory_io_settle(void);

/* Now and then: gives back what was freed; a burst of commands must not count for ever. */
void memory_io_trim(void);

#endif
